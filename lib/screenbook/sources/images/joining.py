"""Images and metadata brought together: nothing without its counterpart goes unnoticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.image_set import check_fields
from screenbook.metadata import as_text, well_address, well_name
from screenbook.sources import config
from screenbook.sources.files import TextTable
from screenbook.sources.images.convert import convert
from screenbook.sources.images.fields import (
    FieldFiles,
    assign_roles,
    keep_only,
    rename_columns,
    tidy_fields,
)
from screenbook.sources.images.trees import SUFFIXES, FolderTree, Tree

JOIN = ("exact", "inner")
"""Whether rows without images and images without rows are refused, or left out."""


def complete(files: FieldFiles, section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    """Go from files and what their names or list say to the image set on disk.

    Parameters
    ----------
    files : FieldFiles
        Its `obs` is text still; `inputs` names tables that were read.
    section : mapping
        ``metadata``, ``key``, ``columns``, ``constants``, ``controls``, ``positives``, ``only``,
        ``join``, and what :func:`~screenbook.sources.images.convert.convert` takes.
    where : str
        File and section, quoted in errors.
    folder : Path
        Where ``images.zarr`` goes.

    Returns
    -------
    list of Path
        What was read: tables, and the folders or the archive with the images.
    """
    for ours, theirs in config.mapping(section, "columns", where).items():
        if theirs in files.obs:  # of the images themselves, so that `key:` may name it
            files.obs[ours] = files.obs[theirs]
    left, metadata = _join_metadata(files, section, where)
    table = rename_columns(files.obs, section, where, files.origin)
    files.obs = assign_roles(tidy_fields(table, files.origin), section, where, files.origin)
    check_fields(files.obs, files.origin)
    keep_only(files, section, where)
    missing, _ = find_missing(files.tree, files.names)
    join = config.choice(section, "join", JOIN, where, "exact")
    match_files(files, join, missing, others=left)
    inputs = [*files.inputs, *([metadata] if metadata else []), *places_of(files)]
    convert(files, section, where, folder / "images.zarr")
    return inputs


def find_missing(tree: Tree, names: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Compare names with what lies in their folders.

    Parameters
    ----------
    tree : Tree
    names : ndarray of str, shape (n, n_files)
        ``""`` is a file that has no name.

    Returns
    -------
    missing : ndarray of bool, shape (n, n_files)
    extra : list of str
        Images in these folders that none of the names is of.
    """
    listed: dict[str, set[str]] = {}
    missing = np.ones(names.size, dtype=bool)
    asked: dict[str, set[str]] = {}
    for place, name in enumerate(names.ravel()):
        if name:
            folder, _, file = name.rpartition("/")
            if folder not in listed:
                listed[folder], asked[folder] = tree.names_in(folder), set()
            missing[place] = file not in listed[folder]
            asked[folder].add(file)
    extra = [
        f"{folder}/{file}" if folder else file
        for folder, there in listed.items()
        for file in sorted(there - asked[folder])
        if file.lower().endswith(SUFFIXES) and not file.startswith(".")
    ]
    return missing.reshape(names.shape), extra


def places_of(files: FieldFiles) -> list[Path]:
    """Name the archive, or the folders with the images: their time tells if files come or go."""
    tree = files.tree
    if not isinstance(tree, FolderTree):
        return [tree.path]
    folders = {PurePosixPath(name).parent for name in files.names.ravel()}
    above = {parent for folder in folders for parent in (folder, *folder.parents)}
    return [tree.path / folder for folder in sorted(above)]


def match_files(
    files: FieldFiles,
    join: str,
    missing: np.ndarray,
    extra: Sequence[str] = (),
    others: str = "",
) -> None:
    """Refuse rows without images and images without rows, or leave them out, in place.

    Parameters
    ----------
    files : FieldFiles
    join : {"exact", "inner"}
    missing : ndarray of bool, shape (n, n_files)
        Whether a file is not there.
    extra : sequence of str
        Image files that no row asks for.
    others : str
        What else has no counterpart, in words.

    Raises
    ------
    InputError
        If `join` is exact and there is any of these, or nothing is left.
    """
    sides = [others] if others else []
    lacking: np.ndarray = np.asarray(missing.any(axis=1))
    if lacking.any():
        row = int(np.flatnonzero(lacking)[0])
        column = int(np.flatnonzero(missing[row])[0])
        what = "image"
        if missing.shape[1] > 1:
            what = f"image of channel {files.channels[column]!r}"
        name = files.names[row, column]
        file = f", {files.tree.label(name)}" if name else ""
        sides.append(
            f"{int(lacking.sum()):,} of {len(lacking):,} fields of {files.origin} have no {what} "
            f"(first: {files.obs.index[row]}{file})"
        )
    if len(extra):
        sides.append(
            f"{len(extra):,} images are of no row in {files.origin} "
            f"(first: {files.tree.label(extra[0])})"
        )
    if not sides:
        return
    said = " and ".join(sides)
    if join == "exact":
        raise InputError(
            f"{said}: bring the images and complete the metadata, or set `join: inner` to leave "
            "out what has no counterpart"
        )
    if lacking.all():
        raise InputError(f"{said}: no field is complete; check `folder:` and the names of channels")
    files.keep(~lacking)
    files.notes.append(f"{said}; they are left out")


def _join_metadata(
    files: FieldFiles, section: Mapping[str, Any], where: str
) -> tuple[str, Path | None]:
    """Follow ``metadata:`` and ``key:``: add to every field what a table says of its well.

    Returns
    -------
    left : str
        What has no counterpart, in words; fields without a row are left out already.
    path : Path or None
        The table.
    """
    if not section.get("metadata"):
        return "", None
    table = TextTable(config.path(section, "metadata", where))
    key = _key(section, where)
    for ours in key:
        if ours not in files.obs:
            raise InputError(
                f"{where} key: {ours!r} is not known of the images of {files.origin}"
                f"{did_you_mean(ours, files.obs.columns)}; they have {listing(files.obs.columns)}"
            )
    table.require(list(key.values()))
    facts = table.read_text(table.columns)
    ids, rows = _key_texts(files.obs, list(key), key), _key_texts(facts, list(key.values()), key)
    again = rows.duplicated()
    if again.any():
        row = int(np.flatnonzero(again)[0])
        raise InputError(
            f"{table.name}: row {row + 1} repeats {'+'.join(key.values())} {rows[row]!r}; keep one "
            "row for each, or name more columns under `key:`"
        )
    places = rows.get_indexer(ids)
    left = _unmatched(ids, rows, places, table.name, files.origin)
    if (places < 0).all():
        raise InputError(f"{left}: none fits; check `key:`")
    files.keep(places >= 0)
    facts = facts.drop(columns=list(key.values())).iloc[places[places >= 0]]
    ours_only = files.obs.drop(columns=[name for name in facts if name in files.obs])
    files.obs = pd.concat([ours_only.reset_index(drop=True), facts.reset_index(drop=True)], axis=1)
    return left, table.path


def _key(section: Mapping[str, Any], where: str) -> dict[str, str]:
    given = section.get("key") or ["plate", "well"]
    if isinstance(given, dict):
        return {str(ours): str(theirs) for ours, theirs in given.items()}
    return {name: name for name in config.texts({"key": given}, "key", where)}


def _key_texts(table: pd.DataFrame, columns: list[str], key: Mapping[str, str]) -> pd.Index:
    """One text for each row; wells are compared as addresses, so that A1 is A01."""
    parts = []
    for ours, column in zip(key, columns, strict=True):
        part = as_text(table[column])
        if ours == "well":
            addresses = zip(part, *well_address(part), strict=True)
            part = pd.Series([well_name(r, c) if r >= 0 else w for w, r, c in addresses])
        parts.append(part)
    return pd.Index(["/".join(row) for row in zip(*parts, strict=True)], dtype=object)


def _unmatched(ids: pd.Index, rows: pd.Index, places: np.ndarray, table: str, images: str) -> str:
    """Say which fields have no row, and which rows no field."""
    sides = []
    lacking = places < 0
    if lacking.any():
        sides.append(
            f"{int(lacking.sum()):,} fields with images have no row in {table} "
            f"(first: {ids[lacking][0]})"
        )
    unused = np.setdiff1d(np.arange(len(rows)), places)
    if len(unused):
        sides.append(
            f"{len(unused):,} rows of {table} have no image in {images} (first: {rows[unused[0]]})"
        )
    return " and ".join(sides)
