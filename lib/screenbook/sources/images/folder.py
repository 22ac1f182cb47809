"""Your own folder of images, whose names say what they are: a pattern with named fields."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.sources import config
from screenbook.sources.images.fields import CUTTING, ROWS, FieldFiles
from screenbook.sources.images.joining import complete
from screenbook.sources.images.patterns import match_names
from screenbook.sources.images.trees import ArchiveTree, FolderTree, Tree

OPTIONS = ("source", "folder", "pattern", "channels", *ROWS, *CUTTING)
"""What the ``images:`` section takes when its source is ``folder``."""


def write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    """Convert a folder, or a zip archive, of images.

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
        What was read: the table of metadata, and the folders or the archive with the images.

    Raises
    ------
    InputError
        If no name fits the pattern, a channel or metadata are missing, or an image cannot be
        used.
    """
    config.check_options(section, OPTIONS, where, required=["folder", "pattern"])
    place = config.path(section, "folder", where)
    tree: Tree = ArchiveTree(place) if place.suffix.lower() == ".zip" else FolderTree(place)
    pattern = config.text(section, "pattern", where)
    if "{" not in pattern:
        raise InputError(
            f"{where}: pattern {pattern!r} names nothing; write for example "
            "'{plate}/{well}_s{site}_{channel}.tif'"
        )
    found, others = match_names(tree.files(), pattern, where)
    if found.empty:
        seen = f"its images are called {listing(others, 2)}" if others else "it holds no image"
        raise InputError(f"{tree.name}: nothing fits pattern {pattern!r}; {seen}: correct either")
    files = _fields(found, section, where, tree)
    if others:
        files.notes.append(
            f"{len(others):,} images do not fit the pattern and are passed over "
            f"(first: {tree.label(others[0])})"
        )
    return complete(files, section, where, folder)


def _fields(found: pd.DataFrame, section: Mapping[str, Any], where: str, tree: Tree) -> FieldFiles:
    """Bring the channels of a field together."""
    if "channel" not in found:
        channels = config.texts(section, "channels", where)
        if not channels:
            raise InputError(
                f"{where}: the pattern has no {{channel}}; list the channels that each file holds "
                "as pages, for example `channels: [DNA, ER]`"
            )
        names = found["file"].to_numpy(dtype=object)[:, None]
        return FieldFiles(found.drop(columns="file"), names, channels, tree, tree.name)
    codes = _codes(section, found["channel"], where)
    notes = []
    unnamed = sorted(set(found["channel"]) - set(codes.values()))
    if unnamed:
        notes.append(f"channels {listing(unnamed)} of the files have no name and are passed over")
        found = found[found["channel"].isin(codes.values())]
    facts = [name for name in found if name not in ("channel", "file")]
    fields, rows = pd.factorize(pd.MultiIndex.from_frame(found[facts])), None
    rows, first = fields[0], ~pd.Series(fields[0]).duplicated().to_numpy()
    columns = pd.Index(list(codes.values())).get_indexer(pd.Index(found["channel"]))
    names = np.full((int(first.sum()), len(codes)), "", dtype=object)
    for row, column, name in zip(rows, columns, found["file"], strict=True):
        if names[row, column]:
            raise InputError(
                f"{tree.label(name)}: is of the same field and channel as "
                f"{tree.label(names[row, column])}; name in the pattern what tells them apart"
            )
        names[row, column] = name
    obs = found.loc[first, facts].reset_index(drop=True)
    return FieldFiles(obs, names, tuple(codes), tree, tree.name, notes=notes)


def _codes(section: Mapping[str, Any], found: pd.Series, where: str) -> dict[str, str]:
    """Give names to what the files write for their channels, ``{name: code}``."""
    given = section.get("channels")
    known = sorted(found.unique())
    if not given:
        return {code: code for code in known}
    if isinstance(given, dict):
        codes = {str(name): str(code) for name, code in given.items()}
    else:
        codes = {name: name for name in config.texts(section, "channels", where)}
    for name, code in codes.items():
        if code not in known:
            raise InputError(
                f"{where}: channel {name!r} is {code!r} in no file name"
                f"{did_you_mean(code, known)}; they have {listing(known)}"
            )
    if len(set(codes.values())) < len(codes):
        raise InputError(f"{where}: two channels have one code in {codes}; correct one")
    return codes
