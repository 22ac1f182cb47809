"""From rows of metadata to fields of an image set, and what a source has to say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.image_set import field_ids
from screenbook.metadata import as_text
from screenbook.sources import config
from screenbook.sources.images.trees import Tree

CUTTING = ("damaged", "crop", "pool")
"""Options that every source of files takes, about the pixels."""

ROWS = (
    *("metadata", "key", "columns", "constants"),
    *("controls", "positives", "only", "join"),
)
"""Options that sources take, about the rows."""

DAMAGED = ("refuse", "leave_out")
"""What is done about a file that is empty, cut short or black: see ``damaged:``."""

UNTREATED = "untreated"
"""What a blank treatment is called."""

_TEXT = ("cell_type", "experiment", "plate", "well", "treatment")


@dataclass
class FieldFiles:
    """Fields that are still files.

    Attributes
    ----------
    obs : DataFrame, n rows
        As :mod:`screenbook.image_set` has it.
    names : ndarray of str, shape (n, n_files)
        Files of each field in `tree`: one for each channel, or one with all of them; ``""``
        where there is none.
    channels : tuple of str
    tree : Tree
    origin : str
        The table or pattern that the rows come from, quoted in errors.
    inputs : list of Path
        Tables that were read, and folders or archives with the images.
    notes : list of str
        What was decided on the way, one sentence each.
    """

    obs: pd.DataFrame
    names: np.ndarray
    channels: tuple[str, ...]
    tree: Tree
    origin: str
    inputs: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def keep(self, rows: np.ndarray) -> None:
        """Leave out all rows but these (positions or a mask), in place."""
        places = np.arange(len(self.obs))[rows]
        self.obs, self.names = self.obs.iloc[places], self.names[places]


def rename_columns(
    table: pd.DataFrame, section: Mapping[str, Any], where: str, origin: str
) -> pd.DataFrame:
    """Follow ``columns:`` (our name: name in the table) and ``constants:``.

    Raises
    ------
    InputError
        If a column is not in the table, or is given twice.
    """
    columns = config.mapping(section, "columns", where)
    constants = config.mapping(section, "constants", where)
    for ours, theirs in columns.items():
        if str(theirs) not in table:
            raise InputError(
                f"{origin}: there is no column {str(theirs)!r}"
                f"{did_you_mean(str(theirs), table.columns)}, which {where} names as {ours}; "
                f"found {listing(table.columns)}"
            )
        if ours in constants:
            raise InputError(f"{where}: {ours!r} is a column and a constant; keep one of the two")
    renamed = table.drop(columns=[name for name in columns if name in table])
    for ours, theirs in columns.items():
        renamed[ours] = table[str(theirs)]
    for ours, value in constants.items():
        renamed[ours] = str(value)
    return renamed


def tidy_fields(table: pd.DataFrame, origin: str) -> pd.DataFrame:
    """Bring metadata into the fixed form, without roles.

    Parameters
    ----------
    table : DataFrame of text
        Columns under the fixed names; ``site`` may be missing (all are 1 then).
    origin : str
        Where the rows came from, quoted in errors.

    Returns
    -------
    DataFrame
        The fixed columns but ``role`` first, then others, indexed by
        ``experiment/plate/well/site``.

    Raises
    ------
    InputError
        If a column is missing, or a site is no whole number.
    """
    for column in _TEXT:
        if column not in table:
            raise InputError(
                f"{origin}: nothing says the {column}{did_you_mean(column, table.columns)}; name "
                "its column under `columns:`, or give one value for all under `constants:`"
            )
    if table.empty:
        raise InputError(f"{origin}: there is no row; check that it is complete")
    obs = table.copy()
    for column in _TEXT:
        obs[column] = as_text(obs[column])
    obs["treatment"] = obs["treatment"].where(obs["treatment"].ne(""), UNTREATED)
    sites = as_text(obs["site"]) if "site" in obs else pd.Series("1", obs.index)
    numbers = pd.to_numeric(sites.where(sites.ne(""), "1"), errors="coerce")
    bad = (numbers.isna() | numbers.mod(1).ne(0)).to_numpy()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{origin}: column 'site', row {row + 1}: {sites.iloc[row]!r} is no whole number; "
            "number sites 1, 2, ..."
        )
    obs["site"] = numbers.astype(np.int64)
    obs["batch"] = obs["experiment"] + "/" + obs["plate"]
    obs.index = field_ids(obs)
    first = [*("cell_type", "experiment", "plate", "well", "site", "treatment"), "batch"]
    return obs[[*first, *(name for name in obs if name not in first)]]


def keep_only(files: FieldFiles, section: Mapping[str, Any], where: str) -> None:
    """Follow ``only:``, a mapping of columns to the values that are wanted, in place.

    Raises
    ------
    InputError
        If a column or a value is not there, or nothing is left.
    """
    wanted = config.mapping(section, "only", where)
    for column in wanted:
        if column not in files.obs:
            raise InputError(
                f"{where} only: there is no column {column!r}"
                f"{did_you_mean(column, files.obs.columns)} in {files.origin}; found "
                f"{listing(files.obs.columns)}"
            )
        values, known = config.texts(wanted, column, where), files.obs[column].astype(str)
        for value in values:
            if not known.eq(value).any():
                raise InputError(
                    f"{where} only: no field left of {files.origin} has {column} {value!r}"
                    f"{did_you_mean(value, known.unique())}; there are {listing(known.unique())}"
                )
        kept = known.isin(values).to_numpy()
        files.notes.append(
            f"only fields with {column} {listing(values)}: {int(kept.sum()):,} of {len(kept):,}"
        )
        files.keep(kept)
    if files.obs.empty:
        raise InputError(f"{where} only: no field is left; name a value")


def assign_roles(
    obs: pd.DataFrame, section: Mapping[str, Any], where: str, origin: str
) -> pd.DataFrame:
    """Give every row its role, from the treatments named as ``controls:`` and ``positives:``.

    Raises
    ------
    InputError
        If no control is named, a name is no treatment, or is both.
    """
    controls = config.texts(section, "controls", where)
    positives = config.texts(section, "positives", where)
    found = obs["treatment"].value_counts().index
    if not controls:
        raise InputError(
            f"{where}: 'controls' is missing; name the treatments that are negative controls, for "
            f"example `controls: [DMSO]`; there are {listing(found)}"
        )
    for option, values in (("controls", controls), ("positives", positives)):
        for value in values:
            if value not in found:
                raise InputError(
                    f"{where}: {option} names {value!r}, which is no treatment in {origin}"
                    f"{did_you_mean(value, found)}; there are {listing(found)}"
                )
    both = sorted(set(controls) & set(positives))
    if both:
        raise InputError(f"{where}: {both[0]!r} is both negative and positive control; choose one")
    treatment = obs["treatment"]
    roles = np.select(
        [treatment.isin(controls), treatment.isin(positives)], ["control", "positive"], "treated"
    )
    return obs.assign(role=roles.astype(object))
