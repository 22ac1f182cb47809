"""Compounds that were imaged and whose structure is known: what both towers learn from.

Salts, duplicates and stereoisomers of one parent are one compound here: their fingerprints are
equal, so nothing could tell them apart, and one of them in training would give the others away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.chemistry import parent, scaffold
from screenbook.errors import InputError, did_you_mean, listing
from screenbook.fingerprints import morgan_fingerprints

FEWEST = 10
"""Compounds below which nothing is learned or asked."""

FEWEST_SCAFFOLDS = 5
"""Scaffolds below which none is held out: one for each of five folds."""

COLUMNS = ("parent_key", "compound_key", "compound", "moa", "smiles", "scaffold", "n_profiles")
"""Columns of ``ImagedCompounds.table``."""

_NO_STRUCTURE, _UNREADABLE = "no structure", "structure cannot be read"
_NEEDS = ("compound_key", "compound", "moa", "smiles")


@dataclass(frozen=True)
class ImagedCompounds:
    """Profiles and the structures that belong to them.

    Attributes
    ----------
    points : ndarray of float32, shape (n, k)
        Profiles.
    compound : ndarray of int, shape (n,)
        Row of `table` that each profile is of.
    table : DataFrame, c rows
        ``parent_key`` (connectivity block of the parent's InChIKey), ``compound_key`` and
        ``compound`` of its first name, ``moa`` (``""`` if unknown or if its names disagree),
        ``smiles`` (canonical, of the parent), ``scaffold`` (Bemis-Murcko; ``""`` if acyclic),
        ``n_profiles``.
    bits : ndarray of float32, shape (c, n_bits)
        Morgan fingerprints.
    left_out : DataFrame
        ``compound_key compound smiles why``: compounds that could not be used.
    rows : ndarray of int, shape (n,)
        Which of the profiles that were given each is.
    n_given : int
        How many were.
    """

    points: np.ndarray
    compound: np.ndarray
    table: pd.DataFrame
    bits: np.ndarray
    left_out: pd.DataFrame
    rows: np.ndarray
    n_given: int

    @property
    def refusal(self) -> str:
        """Why nothing can be learned from these compounds; ``""`` if it can."""
        n, n_scaffolds = len(self.table), self.table["scaffold"].nunique()
        if n < FEWEST:
            reasons = Counter(self.left_out["why"])
            why = "; ".join(f"{k} x {reason}" for reason, k in reasons.most_common())
            unread = reasons.keys() & {_NO_STRUCTURE, _UNREADABLE}
            return (
                f"structures beside profiles: {n} compounds have both, and it takes {FEWEST}"
                f"{f' (left out: {why})' if why else ''}: "
                + ("add SMILES to the metadata" if unread else "add compounds")
            )
        if n_scaffolds < FEWEST_SCAFFOLDS:
            return (
                f"structures beside profiles: {n} compounds are of {n_scaffolds} scaffolds, and "
                f"it takes {FEWEST_SCAFFOLDS} to hold whole scaffolds out: add compounds of others"
            )
        return ""

    @property
    def means(self) -> np.ndarray:
        """Mean profile of each compound, (c, k)."""
        return mean_by(self.points, self.compound, len(self.table))


def match_structures(
    points: np.ndarray, compound_key: Sequence[str] | pd.Series, compounds: pd.DataFrame
) -> ImagedCompounds:
    """Join profiles to the structures of their compounds.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Profiles of wells or treatments, centred on controls.
    compound_key : sequence of str, length n
        Compound of each profile; ``""`` (controls) is left out.
    compounds : DataFrame
        ``compound_key compound moa smiles``; a missing mechanism is ``""``.

    Returns
    -------
    ImagedCompounds
        In the order of `compounds`. If they are too few its `refusal` says so, and
        :func:`~screenbook.structure.held_out_towers.train_held_out` raises it.

    Raises
    ------
    InputError
        If a column is missing, lengths differ, a key is not in the table, or a profile is not
        finite.
    """
    key = np.asarray(list(map(str, compound_key)), dtype=object)
    _check(points, key, compounds)
    table = compounds[list(_NEEDS)].astype(object).fillna("").astype(str)
    table = table[table["compound_key"] != ""].drop_duplicates("compound_key")
    found = [parent(s) if s else None for s in table["smiles"]]
    why = np.array(["" if f else _NO_STRUCTURE for f in found], dtype=object)
    unreadable = (table["smiles"] != "") & (why != "")
    why[unreadable.to_numpy()] = _UNREADABLE
    why[~table["compound_key"].isin(set(key)).to_numpy() & (why == "")] = "never imaged"
    left_out = table.drop(columns="moa").assign(why=why)[why != ""]
    table = table.assign(
        parent_key=[f[1].partition("-")[0] if f else "" for f in found],
        smiles=[f[0] if f else "" for f in found],
    )[why == ""]
    code, _ = pd.factorize(table["parent_key"])
    row_of = dict(zip(table["compound_key"], code, strict=True))
    agreed = table[table["moa"] != ""].groupby("parent_key")["moa"].agg(_if_one)
    table = table.drop_duplicates("parent_key").reset_index(drop=True)
    table["moa"] = agreed.reindex(table["parent_key"]).fillna("").to_numpy()
    compound = np.array([row_of.get(k, -1) for k in key], dtype=int)
    used = compound >= 0
    table["scaffold"] = [scaffold(s) for s in table["smiles"]]
    table["n_profiles"] = np.bincount(compound[used], minlength=len(table))
    bits = morgan_fingerprints(table["parent_key"], table["smiles"]).bits.to_numpy()
    return ImagedCompounds(
        np.asarray(points, dtype=np.float32)[used],
        compound[used],
        table[list(COLUMNS)],
        bits,
        left_out.reset_index(drop=True),
        np.flatnonzero(used),
        len(used),
    )


def mean_by(values: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Mean of the rows of each group, (n_groups, ...); a group without rows is 0."""
    total = np.zeros((n_groups, *values.shape[1:]))
    np.add.at(total, group, values)
    count = np.maximum(np.bincount(group, minlength=n_groups), 1)
    return total / count.reshape(-1, *[1] * (values.ndim - 1))


def _check(points: np.ndarray, key: np.ndarray, compounds: pd.DataFrame) -> None:
    for column in _NEEDS:
        if column not in compounds:
            raise InputError(
                f"compounds: there is no column {column!r}"
                f"{did_you_mean(column, compounds.columns)}; found {listing(compounds.columns)}"
            )
    if points.ndim != 2 or len(points) != len(key):
        raise InputError(
            f"profiles of shape {points.shape} for {len(key):,} compound keys: give one key "
            "for each row"
        )
    unknown = sorted(set(key) - set(compounds["compound_key"].astype(str)) - {""})
    if unknown:
        raise InputError(f"compound_key: {listing(unknown, 3)} of the profiles not in compounds")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1) & (key != ""))
    if len(bad):
        raise InputError(f"profiles: row {bad[0] + 1} is not finite; drop it")


def _if_one(values: pd.Series) -> str:
    names = values.unique()
    return str(names[0]) if len(names) == 1 else ""
