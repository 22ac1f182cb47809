"""Which fields teach the mechanism and which are asked: compounds, experiments or fields apart.

A mechanism is only told if it is told of a compound that was never trained on. Fields of the same
compound from another experiment, and above all other fields of the same plates, are easier: both
are made here too, to show by how much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.held_out import TEST, TRAIN, VALIDATION, Split
from screenbook.metadata import unclear

KINDS = ("compounds", "experiments", "fields")
"""What is held out, from the honest split to the leak."""

_LEAST = 3  # folds: to train on, to validate, to ask


@dataclass(frozen=True)
class Mechanisms:
    """The mechanism of every field, as far as it is known and can be asked.

    Attributes
    ----------
    code : ndarray of int, shape (n,)
        Into `names`; -1 for fields that take no part.
    names : ndarray of str
        Mechanisms with two compounds or more, sorted.
    compound : ndarray of str, shape (n,)
    experiment : ndarray of str, shape (n,)
    notes : tuple of str
        What takes no part, and why, a sentence each.
    """

    code: np.ndarray
    names: np.ndarray
    compound: np.ndarray
    experiment: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> np.ndarray:
        """Fields that take part, bool (n,)."""
        return self.code >= 0

    def subset(self, rows: np.ndarray) -> Mechanisms:
        """Keep some fields, by their row numbers."""
        return replace(
            self,
            code=self.code[rows],
            compound=self.compound[rows],
            experiment=self.experiment[rows],
        )

    def table(self) -> pd.DataFrame:
        """Count what takes part: ``mechanism n_compounds compounds n_fields n_experiments``."""
        rows = []
        for code, name in enumerate(self.names):
            mine = self.code == code
            compounds = sorted(set(self.compound[mine]))
            n_experiments = len(set(self.experiment[mine]))
            rows.append((name, len(compounds), ", ".join(compounds), mine.sum(), n_experiments))
        columns = ["mechanism", "n_compounds", "compounds", "n_fields", "n_experiments"]
        return pd.DataFrame(rows, columns=columns)


def known_mechanisms(obs: pd.DataFrame, column: str = "moa") -> Mechanisms:
    """Find the mechanisms that can be asked.

    Parameters
    ----------
    obs : DataFrame, n rows
        With ``role experiment`` and the column of mechanisms; ``compound`` if there is one,
        else ``treatment`` names the compound.
    column : str
        Where a cell is blank or says that nothing is known, or the field is a negative control,
        the field takes no part.

    Raises
    ------
    InputError
        If there is no such column, or fewer than two mechanisms have two compounds each.
    """
    if column not in obs:
        raise InputError(
            f"column {column!r} is not in these images{did_you_mean(column, obs.columns)}; found "
            f"{listing(obs.columns)}: name the column of mechanisms under `columns:`"
        )
    text = obs[column].fillna("").astype(str).str.strip()
    mechanism = text.mask(unclear(text), "").to_numpy(dtype=object)
    compound = obs["compound" if "compound" in obs else "treatment"].fillna("").astype(str)
    control = (obs["role"] == "control").to_numpy()
    named = ~control & (mechanism != "")
    pairs = pd.DataFrame({"mechanism": mechanism, "compound": compound.to_numpy()})[named]
    counts = pairs.groupby("mechanism")["compound"].nunique()
    names = np.array(sorted(counts.index[counts >= 2]), dtype=str)
    single = sorted(counts.index[counts < 2])
    if len(names) < 2:
        why = f"; one compound only: {listing(single)}" if single else ""
        raise InputError(
            f"column {column}: {len(names)} mechanisms have two compounds or more, and to hold "
            f"compounds out takes two such mechanisms{why}: add compounds or mechanisms"
        )
    code = np.full(len(obs), -1)
    taken = named & np.isin(mechanism, names)
    code[taken] = np.searchsorted(names, mechanism[taken].astype(str))
    unknown = int((~control & (mechanism == "")).sum())
    notes = []
    if unknown:
        notes.append(f"{unknown:,} treated fields have no known mechanism and take no part.")
    if single:
        notes.append(f"Mechanisms with one compound cannot be asked: {listing(single)}.")
    experiment = obs["experiment"].astype(str).to_numpy()
    return Mechanisms(code, names, compound.to_numpy(dtype=str), experiment, tuple(notes))


def mechanism_folds(
    known: Mechanisms, kind: str = "compounds", *, n_folds: int = 0, seed: int = 0
) -> list[Split]:
    """Deal what is held out into folds, such that every field is asked in one of them.

    Of compounds each mechanism gives its own, so that all mechanisms have one in training. The
    next fold validates; a mechanism that it would leave without training keeps its compound
    there, and is not validated.

    Parameters
    ----------
    known : Mechanisms
    kind : {"compounds", "experiments", "fields"}
    n_folds : int
        0, or more than the compounds of the largest mechanism, for as many as those: one compound
        of each mechanism is asked at a time. At least three, as one validates; two only where
        no mechanism has three compounds.
    seed : int
        Of the dealing.

    Returns
    -------
    list of Split
        Fields that take no part have the part ``""``.

    Raises
    ------
    InputError
        If there is no such kind, or there are fewer than three experiments.
    """
    if kind not in KINDS:
        raise InputError(f"split {kind!r} is none of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    most = int(known.table()["n_compounds"].max())
    n_folds = min(n_folds, most) if n_folds else most
    n_folds = max(min(_LEAST, most) if kind == "compounds" else _LEAST, n_folds)
    unit = {
        "compounds": known.compound,
        "experiments": known.experiment,
        "fields": np.arange(len(known.code)).astype(str),
    }[kind]
    if kind == "experiments" and len(set(unit[known.known])) < n_folds:
        raise InputError(
            f"column experiment: {listing(sorted(set(unit[known.known])))} are too few to hold "
            f"experiments out in {n_folds} folds: add experiments, or leave this split out"
        )
    stratum = known.code if kind == "compounds" else np.where(known.known, 0, -1)
    fold = _dealt(unit, stratum, n_folds, seed)
    return [Split(_parts(fold, stratum, k, n_folds)) for k in range(n_folds)]


def _dealt(unit: np.ndarray, stratum: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Give every unit of each stratum a fold, in turn; -1 where there is no stratum."""
    rng = np.random.default_rng(seed)
    fold = np.full(len(unit), -1)
    for s in range(stratum.max() + 1):
        mine = stratum == s
        names, code = np.unique(unit[mine], return_inverse=True)
        fold[mine] = ((rng.permutation(len(names)) + s) % n_folds)[code]
    return fold


def _parts(fold: np.ndarray, stratum: np.ndarray, k: int, n_folds: int) -> np.ndarray:
    part = np.where(fold < 0, "", np.where(fold == k, TEST, TRAIN)).astype(object)
    spare = fold == (k + 1) % n_folds
    for s in range(stratum.max() + 1):
        mine = spare & (stratum == s) & (part == TRAIN)
        left = (stratum == s) & (part == TRAIN) & ~spare
        if left.any():
            part[mine] = VALIDATION
    return part.astype(str)
