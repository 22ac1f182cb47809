"""From what a source found to a screen: rows joined by id, features staged on disk.

Features are written once to a scratch file in the order of the metadata, whatever the order
of the feature table; the screen is then written from there, block by block.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata as ad
import dask.array as da
import numpy as np
import pandas as pd

from screenbook.blocks import BLOCK_ROWS, Array, row_blocks
from screenbook.errors import InputError, listing
from screenbook.screen import Roles, add_note, make_screen
from screenbook.sources.files import Table

NONFINITE = ("refuse", "drop_features", "drop_rows")
"""What can be done with features that are not finite."""

JOIN = ("exact", "inner")
"""Whether ids in one table only are an error, or are left out."""


@dataclass
class Found:
    """What a source found, before it is checked as a screen.

    Attributes
    ----------
    obs : DataFrame, n rows
        Metadata under the fixed names; indexed by id, or by a plain count.
    X : ndarray or dask.array.Array, shape (n, n_features)
        Features in the same order.
    features : list of str
        Names of the columns of `X`.
    roles : Roles
        What the metadata values mean.
    name : str
        Name of the screen.
    origin, key : str
        File and id column, quoted in errors.
    inputs : list of Path
        The files that were read.
    notes : list of str
        What was decided on the way, one sentence each.
    nonfinite : str
        One of `NONFINITE`.
    truth : dict of str to DataFrame
        Truth tables of a simulated screen.
    library : DataFrame, optional
        ``compound smiles`` of structures that were never imaged, if any came with the screen.
    """

    obs: pd.DataFrame
    X: Array
    features: list[str]
    roles: Roles
    name: str
    origin: str
    key: str = "id"
    inputs: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    nonfinite: str = "refuse"
    truth: dict[str, pd.DataFrame] = field(default_factory=dict)
    library: pd.DataFrame | None = None


def to_screen(found: Found) -> ad.AnnData:
    """Drop features that cannot be used, then check and derive the rest.

    Constant features always go: they say nothing and have no scale. Values that are not
    finite are an error unless the user chose what to drop for them.
    """
    dropped = _drop_unusable(found)
    screen = make_screen(
        found.X,
        found.obs,
        found.roles,
        name=found.name,
        features=found.features,
        origin=found.origin,
        key=found.key,
    )
    screen.uns["dropped_features"] = json.dumps(dropped)
    for note in found.notes:
        add_note(screen, note)
    return screen


def scratch_array(folder: Path, n_rows: int, n_features: int) -> np.memmap:
    """Make room on disk for float32 features of a whole screen."""
    shape = (max(n_rows, 1), max(n_features, 1))
    return np.memmap(folder / "features.f32", dtype=np.float32, mode="w+", shape=shape)


class _OnDisk:
    """A mapped array without ``copy``, by which Dask would take it into memory whole."""

    def __init__(self, staged: np.ndarray) -> None:
        self._staged, self.shape, self.dtype, self.ndim = staged, staged.shape, staged.dtype, 2

    def __getitem__(self, place: Any) -> np.ndarray:
        return np.array(self._staged[place])


def as_blocks(staged: np.ndarray) -> da.Array:
    """Wrap a staged array, so that it is read a block of rows at a time."""
    return da.from_array(_OnDisk(staged), chunks=(BLOCK_ROWS, -1), name=False)


def join_features(
    ids: pd.Index,
    table: Table,
    keys: Sequence[str],
    features: Sequence[str],
    folder: Path,
    *,
    origin: str,
    join: str = "exact",
) -> tuple[np.ndarray, Array, str | None]:
    """Stage the features of every id, in the order of the ids.

    Parameters
    ----------
    ids : Index, length n
        Ids of the metadata rows, each once.
    table : Table
        Where the features are.
    keys : sequence of str
        Columns of `table` that together are the id (joined by ``_``).
    features : sequence of str
        Columns of `table` that are features.
    folder : Path
        Scratch folder.
    origin : str
        The metadata file, quoted in errors.
    join : {"exact", "inner"}
        Whether ids in one table only are refused or left out.

    Returns
    -------
    kept : ndarray of bool, shape (n,)
        Which ids have features.
    X : dask.array.Array, shape (kept.sum(), n_features)
    note : str or None
        What was left out.

    Raises
    ------
    InputError
        If an id comes twice, or `join` is exact and the tables do not have the same ids.
    """
    staged = scratch_array(folder, len(ids), len(features))
    kept, extra, first_extra = np.zeros(len(ids), dtype=bool), 0, None
    for key_columns, values in table.feature_batches(keys, features):
        here = pd.Index(joined_key(key_columns, table.name))
        rows = ids.get_indexer(here)
        known = rows >= 0
        if not known.all():
            extra += int((~known).sum())
            first_extra = first_extra or here[~known][0]
        rows = rows[known]
        again = kept[rows] | pd.Series(rows).duplicated().to_numpy()
        if again.any():
            raise InputError(
                f"{table.name}: {'+'.join(keys)} {here[known][again][0]!r} is there more than "
                "once; every row needs an id of its own: drop the copies"
            )
        staged[rows] = values[known]
        kept[rows] = True
    missing = int((~kept).sum())
    note = None
    if missing or extra:
        note = _one_sided(ids, kept, extra, first_extra, origin, table.name)
        if join == "exact":
            raise InputError(f"{note}: complete the tables, or set `join: inner` to leave them out")
        if not kept.any():
            raise InputError(f"{note}: no id is in both; check `key:`")
        note += " and are left out"
    X = as_blocks(staged[: len(ids)])
    return kept, X if kept.all() else X[np.flatnonzero(kept)], note


def take_features(table: Table, features: Sequence[str], n_rows: int, folder: Path) -> Array:
    """Stage the features of a table that brings its own metadata, in its own order."""
    staged, start = scratch_array(folder, n_rows, len(features)), 0
    for _, values in table.feature_batches((), features):
        staged[start : start + len(values)] = values
        start += len(values)
    return as_blocks(staged[:n_rows])


def joined_key(columns: pd.DataFrame, origin: str) -> pd.Series:
    """One id for each row, from one or more columns of text.

    Raises
    ------
    InputError
        If a part of the id is blank.
    """
    parts = [columns[name] for name in columns]
    for part in parts:
        if part.eq("").any():
            row = int(np.flatnonzero(part.eq(""))[0]) + 1
            raise InputError(
                f"{origin}: {part.name!r} is blank in row {row}; it is (part of) the id: fill it in"
            )
    return pd.Series(["_".join(row) for row in zip(*parts, strict=True)], dtype=object)


def _one_sided(
    ids: pd.Index, kept: np.ndarray, extra: int, first_extra: str | None, origin: str, other: str
) -> str:
    parts = []
    if not kept.all():
        parts.append(f"{int((~kept).sum()):,} ids are in {origin} only (first {ids[~kept][0]!r})")
    if extra:
        parts.append(f"{extra:,} ids are in {other} only (first {first_extra!r})")
    return " and ".join(parts)


def _drop_unusable(found: Found) -> list[str]:
    """Drop constant features, and what is not finite if the user asked for that, in place.

    Returns the names of the features that went.
    """
    low = np.full(found.X.shape[1], np.inf)
    high = -low
    bad_features = np.zeros(found.X.shape[1], dtype=bool)
    bad_rows = np.zeros(found.X.shape[0], dtype=bool)
    for rows, block in row_blocks(found.X):
        bad = ~np.isfinite(block)
        bad_features |= bad.any(axis=0)
        bad_rows[rows] = bad.any(axis=1)
        low = np.fmin(low, np.fmin.reduce(block, axis=0))
        high = np.fmax(high, np.fmax.reduce(block, axis=0))
    constant = (low == high) & ~bad_features if len(bad_rows) > 1 else np.zeros_like(bad_features)
    drop = constant.copy()
    if found.nonfinite == "drop_features":
        drop |= bad_features
    elif found.nonfinite == "drop_rows" and bad_rows.any():
        found.X = found.X[np.flatnonzero(~bad_rows)]
        found.obs = found.obs[~bad_rows]
        found.notes.append(f"{int(bad_rows.sum()):,} rows with features that are not finite went")
    if drop.all():
        raise InputError(
            f"{found.origin}: every feature is constant or not finite; say under "
            "`feature_columns:` which columns are features"
        )
    names = [name for name, gone in zip(found.features, drop, strict=True) if gone]
    if names:
        found.X = found.X[:, np.flatnonzero(~drop)]
        found.features = [f for f, gone in zip(found.features, drop, strict=True) if not gone]
        found.notes.append(
            f"{len(names):,} features that are constant or not finite went: {listing(names)}"
        )
    return names
