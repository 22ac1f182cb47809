"""Which conditions are learned from and which are asked: six questions, from easy to hard.

A drug in a line is one unit at all its doses, on all its plates, under every rule: a
neighbouring dose in training would give the answer away. A drug is its parent by connectivity,
so that salts, hydrates and enantiomers stay together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook import held_out
from screenbook.chemistry import parent, scaffold
from screenbook.errors import InputError, did_you_mean, listing
from screenbook.held_out import TEST, TRAIN, VALIDATION

DROPPED = "dropped"

RULES = {
    "pair": "drug and line were both seen, not together",
    "line": "the line was never seen",
    "drug": "the drug was never seen",
    "scaffold": "no drug with its scaffold was ever seen",
    "mechanism": "no drug with its mechanism was ever seen",
    "drug_line": "neither the drug nor the line was ever seen",
}
"""Each rule, and what is new in a test condition under it."""

LARGEST_SCAFFOLD = 0.05
"""A scaffold with more than this share of the drugs, and thrice the median scaffold's number of
them, is no kinship (benzene, say): it trains."""

_NEEDS = {"scaffold": "SMILES", "mechanism": "moa"}


@dataclass(frozen=True)
class Split(held_out.Split):
    """The part that every condition plays.

    Attributes
    ----------
    part : ndarray of str, shape (n,)
        ``"train"``, ``"validation"``, ``"test"`` or ``"dropped"`` (of ``drug_line``: one of
        drug and line is held out, the other is not).
    rule : str
        Key of :data:`RULES`.
    """

    rule: str

    @property
    def dropped(self) -> np.ndarray:
        """Conditions that no part can have, bool (n,)."""
        return self.part == DROPPED


def parent_blocks(compound_key: Iterable[str]) -> np.ndarray:
    """Cut keys to the connectivity of the parent.

    Parameters
    ----------
    compound_key : iterable of str, length n
        InChIKey of a parent, or ``name:`` and a name where there is no structure.

    Returns
    -------
    ndarray of object, shape (n,)
        First block (14 letters) of an InChIKey; a key made of a name as it is.
    """
    keys = [str(key) for key in compound_key]
    return np.array([k if k.startswith("name:") else k.partition("-")[0] for k in keys], object)


def split_units(obs: pd.DataFrame, rule: str) -> np.ndarray:
    """Name what is held out together: under ``drug_line`` the drug.

    Parameters
    ----------
    obs : DataFrame, n rows
        Treated conditions with ``compound_key`` and ``cell_line``, and ``SMILES`` or ``moa``
        for the rules that look at them.
    rule : str
        Key of :data:`RULES`.

    Returns
    -------
    ndarray of object, shape (n,)
        ``""`` where a drug has no unit and can only be trained on: a structure that cannot
        be read, a mechanism that is not known. All acyclic drugs are one scaffold.

    Raises
    ------
    InputError
        If the rule is unknown, a column is missing, or a row is no treatment.
    """
    _check(obs, rule)
    drug = parent_blocks(obs["compound_key"])
    if rule == "pair":
        lines = obs["cell_line"].astype(str)
        return np.array([f"{d}|{c}" for d, c in zip(drug, lines, strict=True)], object)
    if rule == "line":
        return obs["cell_line"].astype(str).to_numpy(dtype=object)
    if rule == "scaffold":
        return _of_drug(drug, obs["SMILES"], _scaffold_name)
    if rule == "mechanism":
        return _of_drug(drug, obs["moa"], str)
    return drug


def split_conditions(
    obs: pd.DataFrame, rule: str, *, test: float = 0.2, validation: float = 0.1, seed: int = 0
) -> Split:
    """Hold whole units out, by one rule.

    Parameters
    ----------
    obs : DataFrame, n rows
        See :func:`split_units`.
    rule : str
        Key of :data:`RULES`.
    test, validation : float
        Share of the pairs, of the lines, or of the drugs that have a unit; for ``drug_line`` of
        the drugs and of the lines. `validation` is a share of the same total, drawn by the same
        rule from what the test left, and may be 0. Units of several drugs are drawn while they
        fit; a pair is kept where it is the last of its drug or line.
    seed : int
        Of the draw. The order of rows has no part in it.

    Raises
    ------
    InputError
        See :func:`split_units`; also if there are too few units to hold any out.
    """
    for name, share in (("test", test), ("validation", validation)):
        if not 0 <= share < 1 or (name == "test" and share == 0):
            raise InputError(f"split: {name}={share:g} is no share; give a number between 0 and 1")
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "unit": split_units(obs, rule),
            "drug": parent_blocks(obs["compound_key"]),
            "line": obs["cell_line"].astype(str).to_numpy(dtype=object),
            "part": TRAIN,
        }
    )
    units = table[["unit", "drug", "line"]].drop_duplicates().sort_values(["unit", "drug", "line"])
    most = _largest(units) if rule == "scaffold" else np.inf
    for name, share in ((TEST, test), (VALIDATION, validation)):
        if share == 0:
            continue
        left = units[~units["unit"].isin(table.loc[table["part"] != TRAIN, "unit"])]
        if rule == "drug_line":
            _hold_crossed_out(table, units, share, name, rng)
        elif rule == "pair":
            held = _draw_pairs(left, max(1, round(share * len(units))), rng)
            table.loc[table["unit"].isin(held), "part"] = name
        else:
            held = _draw(_sizes(left, rule), share * _sizes(units, rule).sum(), most, rng)
            table.loc[table["unit"].isin(held), "part"] = name
        _refuse_empty(table, rule, name)
    return Split(table["part"].to_numpy().astype(str), rule)


def _check(obs: pd.DataFrame, rule: str) -> None:
    if rule not in RULES:
        raise InputError(
            f"split: there is no rule {rule!r}{did_you_mean(rule, RULES)}; choose {listing(RULES)}"
        )
    for column in ("compound_key", "cell_line", *filter(None, [_NEEDS.get(rule)])):
        if column not in obs:
            raise InputError(f"split: column {column!r} is missing, which rule {rule!r} looks at")
    blank = obs["compound_key"].astype(str).eq("").to_numpy()
    if blank.any():
        raise InputError(
            f"split: row {np.flatnonzero(blank)[0] + 1} has no compound_key; controls belong to "
            "no part, so leave them out"
        )


def _of_drug(drug: np.ndarray, values: pd.Series, name: Callable[[str], str]) -> np.ndarray:
    """Name each row's drug after its most frequent value that has a name; ``""`` if none has."""
    pairs = pd.DataFrame({"drug": drug, "value": values.to_numpy(dtype=object)})
    counts = pairs.value_counts().rename("n").reset_index()
    counts["name"] = [name(str(value)) for value in counts["value"]]
    named = counts[counts["name"] != ""].groupby(["drug", "name"])["n"].sum().reset_index()
    named = named.sort_values(["n", "name"], ascending=[False, True], kind="stable")
    best = dict(named.drop_duplicates("drug")[["drug", "name"]].to_numpy())
    return np.array([best.get(d, "") for d in drug], dtype=object)


def _scaffold_name(smiles: str) -> str:
    if not smiles or parent(smiles) is None:
        return ""
    return scaffold(smiles) or "acyclic"


def _sizes(units: pd.DataFrame, rule: str) -> pd.Series:
    """Drugs of each unit; a line counts as one."""
    named = units[units["unit"] != ""]
    column = "line" if rule == "line" else "drug"
    return named.groupby("unit", sort=True)[column].nunique()


def _largest(units: pd.DataFrame) -> float:
    sizes = _sizes(units, "scaffold")
    return max(LARGEST_SCAFFOLD * units["drug"].nunique(), 3 * sizes.median())


def _draw(sizes: pd.Series, wanted: float, most: float, rng: np.random.Generator) -> list[str]:
    """Draw units while their sizes fit; at least one, the smallest where none fits."""
    allowed = sizes[sizes <= most]
    drawn = allowed.iloc[rng.permutation(len(allowed))]
    room, held = max(1, round(wanted)), []
    for unit, size in drawn.items():
        if size <= room:
            held.append(str(unit))
            room -= size
    return held or [str(unit) for unit in drawn.sort_values(kind="stable").index[:1]]


def _draw_pairs(pairs: pd.DataFrame, wanted: int, rng: np.random.Generator) -> list[str]:
    """Draw pairs, none of them the last of its drug or line."""
    drugs, lines = Counter(pairs["drug"]), Counter(pairs["line"])
    rows = list(pairs[["unit", "drug", "line"]].itertuples(index=False))
    held: list[str] = []
    for place in rng.permutation(len(pairs)):
        unit, drug, line = rows[place]
        if len(held) < wanted and drugs[drug] > 1 and lines[line] > 1:
            held.append(unit)
            drugs[drug] -= 1
            lines[line] -= 1
    return held


def _hold_crossed_out(
    table: pd.DataFrame, units: pd.DataFrame, share: float, name: str, rng: np.random.Generator
) -> None:
    """Hold drugs and lines out; rows with one of both can be on neither side."""
    left = table["part"] == TRAIN
    inside = []
    for column in ("drug", "line"):
        there = table.loc[left, column].value_counts().sort_index()
        sizes = pd.Series(1, index=there.index)
        held = _draw(sizes, share * units[column].nunique(), np.inf, rng)
        inside.append(left & table[column].isin(held))
    table.loc[inside[0] ^ inside[1], "part"] = DROPPED
    table.loc[inside[0] & inside[1], "part"] = name


def _refuse_empty(table: pd.DataFrame, rule: str, name: str) -> None:
    for part in (name, TRAIN):
        if not (table["part"] == part).any():
            n = len(set(table["unit"]) - {""})
            raise InputError(
                f"split: rule {rule!r} leaves no condition for {part} ({n} units that can be held "
                f"out, {table['drug'].nunique()} drugs, {table['line'].nunique()} lines): leave "
                "this rule out, or add drugs or lines"
            )
