"""Trees of images with CellProfiler's load-data tables, as the Cell Painting Gallery has them.

A table has a row per field, with the columns ``FileName_X`` and ``PathName_X`` (or ``URL_X``)
for every channel X, and ``Metadata_`` columns. doi:10.1186/s12859-021-04344-9 (CellProfiler),
doi:10.1038/s41592-024-02399-z (the gallery; CPG0004 is among it).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.paths import root
from screenbook.sources import config
from screenbook.sources.files import TextTable
from screenbook.sources.images.fields import CUTTING, ROWS, FieldFiles
from screenbook.sources.images.joining import complete
from screenbook.sources.images.patterns import match_names
from screenbook.sources.images.trees import FolderTree, safe_name

OPTIONS = ("source", "folder", "load_data", "strip", "channels", *ROWS, *CUTTING)
"""What the ``images:`` section takes when its source is ``load_data``."""

MEANING = {
    "experiment": ("Metadata_Batch", "Metadata_Experiment"),
    "plate": ("Metadata_Plate",),
    "well": ("Metadata_Well",),
    "site": ("Metadata_Site", "Metadata_FieldID"),
}
"""Columns that are known without a word about them under ``columns:``."""


def write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    """Convert the images that load-data tables list.

    Parameters
    ----------
    section : mapping
        See ``params/my_images.yml.example``.
    where : str
        File and section, quoted in errors.
    folder : Path
        Where ``images.zarr`` goes.

    Returns
    -------
    list of Path
        What was read: the tables, and the folders with the images.

    Raises
    ------
    InputError
        If tables, channels, metadata or images are missing or do not fit each other, or a path
        leads out of the image folder.
    """
    config.check_options(section, OPTIONS, where, required=["folder", "load_data"])
    tree = FolderTree(config.path(section, "folder", where))
    pattern = config.text(section, "load_data", where)
    tables = _tables(pattern, where)
    channels = _channels(tables[0][0], section, where)
    rows, names = [], []
    for table, facts in tables:
        _require(table, channels)
        text = table.read_text(table.columns)
        names.append(_file_names(text, channels, section, where, table.name, tree))
        rows.append(_meaning(text).assign(**facts))
    obs = pd.concat(rows, ignore_index=True)
    origin = tables[0][0].name if len(tables) == 1 else pattern
    files = FieldFiles(
        *(obs, np.concatenate(names), tuple(channels), tree, origin),
        inputs=[table.path for table, _ in tables],
    )
    return complete(files, section, where, folder)


def _tables(pattern: str, where: str) -> list[tuple[TextTable, dict[str, str]]]:
    """Find the tables, with what their paths say (``load_data/{experiment}/{plate}/*.csv``)."""
    if not set(pattern) & set("{*"):
        return [(TextTable(root() / Path(pattern).expanduser()), {})]
    pattern = str(root() / Path(pattern).expanduser())
    top = Path(pattern[: min(pattern.find(m) for m in "{*" if m in pattern)]).parent
    paths = sorted(
        (Path(folder) / name).as_posix() for folder, _, names in os.walk(top) for name in names
    )
    found, _ = match_names(paths, pattern, where)
    if found.empty:
        raise InputError(f"{where}: no table fits load_data {pattern!r}; correct it")
    said = [str(name) for name in found.columns if name != "file"]
    return [
        (TextTable(Path(row["file"])), {name: row[name] for name in said})
        for row in found.to_dict("records")
    ]


def _channels(table: TextTable, section: Mapping[str, Any], where: str) -> dict[str, str]:
    """Name the channels, ``{our name: name in FileName_}``.

    Without ``channels:`` all that begin with ``Orig`` are taken, by what follows; where none
    does, all that are no illumination function.
    """
    known = [c.removeprefix("FileName_") for c in table.columns if c.startswith("FileName_")]
    if not known:
        raise InputError(
            f"{table.name}: there is no column FileName_...; found {listing(table.columns)}: name "
            "a load-data table of CellProfiler under `load_data:`"
        )
    given = section.get("channels")
    if not given:
        raw = [name for name in known if name.startswith("Orig")]
        raw = raw or [name for name in known if not name.startswith("Illum")]
        return {name.removeprefix("Orig"): name for name in raw}
    if isinstance(given, dict):
        channels = {str(ours): str(theirs) for ours, theirs in given.items()}
    else:
        names = config.texts(section, "channels", where)
        channels = {n: f"Orig{n}" if f"Orig{n}" in known else n for n in names}
    for ours, theirs in channels.items():
        if theirs not in known:
            raise InputError(
                f"{table.name}: channel {ours!r} has no column 'FileName_{theirs}'"
                f"{did_you_mean(theirs, known)}; there are {listing(known)}"
            )
    return channels


def _require(table: TextTable, channels: Mapping[str, str]) -> None:
    for name in channels.values():
        table.require([f"FileName_{name}"])
        if not {f"PathName_{name}", f"URL_{name}"} & set(table.columns):
            raise InputError(
                f"{table.name}: there is no column 'PathName_{name}'; add the folder of each file"
            )


def _file_names(
    text: pd.DataFrame,
    channels: Mapping[str, str],
    section: Mapping[str, Any],
    where: str,
    origin: str,
    tree: FolderTree,
) -> np.ndarray:
    """Name the files of every field below the image folder, shape (n, n_channels)."""
    strip = config.texts(section, "strip", where)
    beginnings = [*strip, tree.path.as_posix(), tree.path.resolve().as_posix()]
    columns = []
    for theirs in channels.values():
        column = f"PathName_{theirs}"
        if column in text:
            paths = text[column].str.rstrip("/\\") + "/" + text[f"FileName_{theirs}"]
        else:
            column = f"URL_{theirs}"
            paths = text[column]
        blank = text[f"FileName_{theirs}"].eq("")
        # Few folders, many files: what is said of a path is worked out row by row all the same.
        columns.append(
            [
                ""
                if nothing
                else _below(path, beginnings, f"{origin}: column {column!r}, row {row}")
                for row, (path, nothing) in enumerate(zip(paths, blank, strict=True), start=1)
            ]
        )
    return np.array(columns, dtype=object).T


def _below(path: str, beginnings: list[str], origin: str) -> str:
    """Take the beginning off a path, and refuse what then leads out of the image folder."""
    path = path.replace("\\", "/").removeprefix("file:")
    for beginning in beginnings:
        start = beginning.replace("\\", "/").rstrip("/") + "/"
        if path.startswith(start):
            path = path[len(start) :]
            break
    return safe_name(path, origin)


def _meaning(text: pd.DataFrame) -> pd.DataFrame:
    """Give the metadata columns their names here; what only names files is dropped."""
    files = ("FileName_", "PathName_", "URL_", "Frame_")
    obs = text[[name for name in text.columns if not str(name).startswith(files)]].copy()
    for ours, names in MEANING.items():
        theirs = next((name for name in names if name in obs), None)
        if theirs and ours not in obs:
            obs[ours] = obs[theirs]
    return obs
