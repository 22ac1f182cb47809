"""What the user's columns mean: treatments, doses, lines, plates and which rows are controls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.expression_set import OPTIONAL, REQUIRED
from screenbook.sources import config
from screenbook.sources.files import TextTable

OPTIONS = (
    *("source", "file", "scale", "genes", "columns", "constants", "missing", "only", "vehicle"),
    *("drugs", "drug_columns"),
)
"""What sources of whole profiles take in the ``expression:`` section."""

FACTS = ("SMILES", "moa", "targets")
"""What a table of drugs may say."""

_GIVEN = tuple(name for name in (*REQUIRED, *OPTIONAL) if name != "role")


def name_conditions(
    raw: pd.DataFrame, section: Mapping[str, Any], where: str, origin: str
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Bring a file's columns under the fixed names, and say which rows are controls.

    Parameters
    ----------
    raw : DataFrame of str
        Metadata as the file has them.
    section : mapping
        ``columns``, ``constants``, ``missing``, ``only``, ``vehicle``, ``drugs``,
        ``drug_columns``.
    where : str
        File and section of the params, quoted in errors.
    origin : str
        The file the rows came from, quoted in errors.

    Returns
    -------
    obs : DataFrame of str
        What ``columns:`` and ``constants:`` name, and ``role``; rows that ``only:`` leaves.
    rows : ndarray of int
        Which rows of `raw` these are.
    notes : list of str
        What was decided, one sentence each.

    Raises
    ------
    InputError
        If a column or a value is named that is not there.
    """
    raw = raw.mask(raw.isin(config.texts(section, "missing", where)), "")
    columns = config.mapping(section, "columns", where)
    constants = config.mapping(section, "constants", where)
    for ours, theirs in columns.items():
        if str(theirs) not in raw:
            raise InputError(
                f"{where} columns: {ours}: {origin} has no column {str(theirs)!r}"
                f"{did_you_mean(str(theirs), raw.columns)}; it has {listing(raw.columns, 40)}"
            )
    both = sorted(set(columns) & set(constants))
    if both:
        raise InputError(f"{where}: {both[0]!r} is under `columns:` and `constants:`; keep one")
    obs = pd.DataFrame({ours: raw[str(theirs)] for ours, theirs in columns.items()}, dtype=object)
    obs = obs.reindex(raw.index)
    for name in constants:
        obs[name] = config.text(constants, name, f"{where} constants")
    for name in (n for n in _GIVEN if n in raw and n not in obs):
        obs[name] = raw[name]
    kept, notes = _only(raw, section, where, origin)
    obs = obs.iloc[kept].reset_index(drop=True)
    obs["role"] = assign_roles(obs, section, where, origin)
    if section.get("drugs"):
        obs, said = join_drugs(obs, section, where)
        notes += said
    return obs, kept, notes


def assign_roles(
    obs: pd.DataFrame, section: Mapping[str, Any], where: str, origin: str
) -> np.ndarray:
    """Tell controls from treated conditions by the names under ``vehicle:``.

    Names must be equal: *Trametinib (DMSO_TF solvate)* is no DMSO.

    Returns
    -------
    ndarray of str, shape (n,)
        ``control`` or ``treated``.
    """
    vehicle = config.texts(section, "vehicle", where)
    if "treatment" not in obs:
        raise InputError(
            f"{where}: `columns:` does not say which column of {origin} holds the treatment; add "
            "`columns: {treatment: ...}`"
        )
    names = obs["treatment"].unique()
    for name in vehicle:
        if name not in names:
            raise InputError(
                f"{where}: vehicle names {name!r}, which is no treatment of {origin}"
                f"{did_you_mean(name, names)}; found {listing(names)}"
            )
    return np.where(obs["treatment"].isin(vehicle), "control", "treated")


def join_drugs(
    obs: pd.DataFrame, section: Mapping[str, Any], where: str
) -> tuple[pd.DataFrame, list[str]]:
    """Add what the table under ``drugs:`` says of each treatment, where nothing is said yet.

    Parameters
    ----------
    obs : DataFrame
        With columns ``treatment`` and ``role``.
    section, where
        ``drugs`` (a file) and ``drug_columns`` (what treatment, SMILES, moa and targets are
        called there).

    Returns
    -------
    obs : DataFrame
    notes : list of str
        Treatments that the table does not have.
    """
    table = TextTable(config.path(section, "drugs", where))
    called = {name: name for name in ("treatment", *FACTS) if name in table.columns}
    called |= {k: str(v) for k, v in config.mapping(section, "drug_columns", where).items()}
    config.check_options(called, ("treatment", *FACTS), f"{where} drug_columns", ["treatment"])
    drugs = table.read_text(list(dict.fromkeys(called.values())))
    drugs = pd.DataFrame({ours: drugs[theirs] for ours, theirs in called.items()})
    drugs = drugs.drop_duplicates()
    twice = drugs["treatment"].duplicated() & drugs["treatment"].ne("")
    if twice.any():
        name = drugs.loc[twice, "treatment"].iloc[0]
        raise InputError(
            f"{table.name}: column {called['treatment']!r}: {name!r} is there more than once, with "
            "different facts; keep one row for each"
        )
    drugs = drugs.set_index("treatment")
    obs = obs.copy()
    for fact in drugs.columns:
        found = obs["treatment"].map(drugs[fact]).fillna("")
        if fact == "targets":
            found = found.map(split_targets)
        given = obs[fact] if fact in obs else pd.Series("", index=obs.index)
        obs[fact] = given.where(given.ne(""), found)
    treated = pd.Index(obs.loc[obs["role"].eq("treated"), "treatment"].unique())
    lacking = treated.difference(drugs.index)
    if len(lacking):
        return obs, [
            f"{len(lacking):,} of {len(treated):,} treatments are not in {table.name} "
            f"({listing(lacking)})"
        ]
    return obs, []


def split_targets(text: str) -> str:
    """Join gene symbols by ``;`` that were joined by commas or bars."""
    return ";".join(part for part in re.split(r"\s*[,;|]\s*", text.strip()) if part)


def refuse_copies(genes: Sequence[str], origin: str) -> None:
    """Refuse genes that come twice, before anything is looked up by them."""
    index = pd.Index(genes)
    twice = index[index.duplicated()]
    if len(twice):
        raise InputError(
            f"{origin}: gene {twice[0]!r} is there more than once ({len(twice):,} such rows); sum "
            "or drop the copies, or name another column of unique names under `genes:`"
        )


def _only(
    raw: pd.DataFrame, section: Mapping[str, Any], where: str, origin: str
) -> tuple[np.ndarray, list[str]]:
    """Follow ``only:``, a mapping of columns of the file to the values that are taken."""
    keep = np.ones(len(raw), dtype=bool)
    wanted = config.mapping(section, "only", where)
    for column in wanted:
        if column not in raw:
            raise InputError(
                f"{where} only: {origin} has no column {column!r}"
                f"{did_you_mean(column, raw.columns)}; it has {listing(raw.columns, 40)}"
            )
        values = config.texts(wanted, column, f"{where} only")
        for value in values:
            if value not in set(raw[column]):
                raise InputError(
                    f"{where} only: {value!r} is not in column {column!r} of {origin}"
                    f"{did_you_mean(value, raw[column].unique())}"
                )
        keep &= raw[column].isin(values).to_numpy()
    kept = np.flatnonzero(keep)
    if not len(kept):
        raise InputError(f"{where} only: no row of {origin} has all these values; take others")
    left = len(raw) - len(kept)
    return kept, [f"{left:,} of {len(raw):,} rows are left out by `only:`"] if left else []
