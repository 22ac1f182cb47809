"""Image files to one store: a shard at a time, with progress, going on where it was stopped.

While it is made, a store lies beside its place under a name of its own. It keeps a journal of
the shards that are done, each with a digest of its files: after a break, or when files were
mended or replaced, exactly the shards that need it are made again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from screenbook.errors import InputError
from screenbook.image_set import new_store, write_metadata
from screenbook.paths import replacing
from screenbook.settings import short
from screenbook.sources import config
from screenbook.sources.files import Progress
from screenbook.sources.images.fields import DAMAGED, FieldFiles
from screenbook.sources.images.planes import cut, read_planes
from screenbook.sources.images.trees import DamagedImage
from screenbook.threads import cores, side_by_side

_LINES_FROM = 1000  # fields; progress of fewer is not worth lines in a log

RECIPE = 1
"""Raised by whoever changes what the same files become: finished stores are then made anew."""

PLAN, JOURNAL = ".plan.json", ".journal.tsv"


def convert(files: FieldFiles, section: Mapping[str, Any], where: str, target: Path) -> None:
    """Write the image set that files hold.

    Parameters
    ----------
    files : FieldFiles
        Which files, and their metadata.
    section : mapping
        ``crop``, ``pool`` (pixels, see :func:`~screenbook.sources.images.planes.cut`) and
        ``damaged``: whether a damaged or black image is refused or its field left out.
    where : str
        File and section, quoted in errors.
    target : Path
        Where the store goes; what is there stays until the new one is complete.

    Raises
    ------
    InputError
        If an image cannot be used, or differs in size or depth from the first; what is done by
        then is kept, and the next call goes on from there.
    """
    crop, pool = _pixels(section, "crop", where, 0), _pixels(section, "pool", where, 1)
    leave_out = config.choice(section, "damaged", DAMAGED, where, "refuse") == "leave_out"
    part = target.with_name(f".{target.name}.part")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tags that no pixel depends on
        reader = _Reader(files, crop, pool, leave_out)
        group, pixels = _begin(part, target, reader)
        try:
            _fill(part, pixels, reader)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise InputError(
                f"{short(target)}: the disk is full; make room and run this again, it goes on "
                "where it stopped"
            ) from None
    lost = sorted({row for _, rows in _read_journal(part).values() for row in rows})
    _finish(part, target, group, files, lost)


class _Reader:
    """Reads the files of a field, and refuses what does not fit the first one."""

    def __init__(self, files: FieldFiles, crop: int, pool: int, leave_out: bool) -> None:
        self.files, self._crop, self._pool, self.leaves_out = files, crop, pool, leave_out
        self._like: tuple[np.ndarray, str] | None = None  # a plane to be alike, and its name
        for row in range(len(files.obs)):
            first = self._read(row)
            if first is not None:
                break
        else:
            raise InputError(f"{files.tree.name}: every image is damaged or black; bring others")
        label, self.dtype = self._name(row), first.dtype
        self._like = (first[:1], label)
        self.shape = (len(files.obs), *cut(first, crop, pool, label).shape)

    def field(self, row: int) -> np.ndarray | None:
        """Read a field, shape (channel, y, x); None if it is damaged and may be left out."""
        planes = self._read(row)
        if planes is None:
            return None
        return cut(planes, self._crop, self._pool, self._name(row))

    def stamp(self, rows: range) -> str:
        """Digest the files of some fields by their names, sizes and times."""
        digest = hashlib.sha256()
        for name in self.files.names[rows.start : rows.stop].ravel():
            digest.update(f"{name}\t{self.files.tree.stamp(name)}\n".encode())
        return digest.hexdigest()[:16]

    def plan(self) -> dict[str, Any]:
        """Say what a store must agree in to be gone on with."""
        fields = hashlib.sha256("\n".join(self.files.obs.index).encode()).hexdigest()
        return {
            "shape": list(self.shape),
            "dtype": str(self.dtype),
            "channels": list(self.files.channels),
            "cut": [self._crop, self._pool],
            "fields": fields,
            "recipe": RECIPE,
        }

    def _read(self, row: int) -> np.ndarray | None:
        names, tree = self.files.names[row], self.files.tree
        n_pages = len(self.files.channels) if len(names) == 1 else 1
        try:
            planes = [read_planes(tree, name, n_pages) for name in names]
        except DamagedImage:
            if self.leaves_out:
                return None
            raise
        like, first = self._like or (planes[0], tree.label(names[0]))
        for name, plane in zip(names, planes, strict=True):
            self._same(tree.label(name), plane, like, first)
        return np.concatenate(planes)

    @staticmethod
    def _same(label: str, planes: np.ndarray, like: np.ndarray, first: str) -> None:
        if planes.dtype != like.dtype:
            bits, expected = 8 * planes.dtype.itemsize, 8 * like.dtype.itemsize
            raise InputError(
                f"{label}: has {bits} bits a pixel and {first} has {expected}; bring all images "
                "in one depth, or make two runs of them"
            )
        if planes.shape[1:] != like.shape[1:]:
            (height, width), (rows, columns) = planes.shape[1:], like.shape[1:]
            raise InputError(
                f"{label}: is {height} x {width} px and {first} is {rows} x {columns} px; bring "
                "all images in one size, or make two runs of them"
            )

    def _name(self, row: int) -> str:
        return self.files.tree.label(self.files.names[row, 0])


def _pixels(section: Mapping[str, Any], option: str, where: str, least: int) -> int:
    value = section.get(option, least)
    if type(value) is not int or value < least:
        raise InputError(f"{where}: {option} is {value!r}; give a whole number of pixels")
    return value


def _begin(part: Path, target: Path, reader: _Reader) -> tuple[zarr.Group, zarr.Array]:
    """Go on with a store of the same fields, broken off or finished before, or begin one."""
    plan = json.dumps(reader.plan())
    if _plan_of(part) != plan:
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        if _plan_of(target) == plan:
            # Zarr replaces files and never writes into one, so links leave the old store whole.
            without = shutil.ignore_patterns(PLAN)
            shutil.copytree(target, part, copy_function=_link, ignore=without)
        else:
            new_store(part, reader.shape, reader.dtype)
        (part / PLAN).write_text(plan, encoding="utf-8")  # last: what has one is complete
    (part / JOURNAL).touch()
    group = zarr.open_group(part, mode="r+", use_consolidated=False)
    pixels: Any = group["pixels"]
    return group, pixels


def _plan_of(store: Path) -> str:
    file = store / PLAN
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _link(source: str, place: str) -> None:
    if Path(source).name == JOURNAL:  # which is written into
        shutil.copyfile(source, place)
        return
    try:
        os.link(source, place)
    except OSError:  # a file system without links
        shutil.copyfile(source, place)


def _fill(part: Path, pixels: zarr.Array, reader: _Reader) -> None:
    """Write every shard that is not done, and a line in the journal after each."""
    done, n = _read_journal(part), pixels.shape[0]
    step = (pixels.shards or pixels.chunks)[0]
    progress = Progress(n, "converting images", unit="field", lines=n > _LINES_FROM)
    # Pillow decodes outside of Python's lock.
    with ThreadPoolExecutor(max(1, cores() // side_by_side())) as pool:
        for shard, start in enumerate(range(0, n, step)):
            rows = range(start, min(start + step, n))
            stamp = reader.stamp(rows)
            known, lost = done.get(shard, ("", []))
            if known != stamp or (lost and not reader.leaves_out):
                fields = list(pool.map(reader.field, rows))
                blank = np.zeros(reader.shape[1:], reader.dtype)
                lost = [row for row, found in zip(rows, fields, strict=True) if found is None]
                pixels[start : rows.stop] = np.stack([blank if f is None else f for f in fields])
                with open(part / JOURNAL, "a", encoding="utf-8") as journal:
                    journal.write(f"{shard}\t{stamp}\t{json.dumps(lost)}\n")
            progress.at(rows.stop)
    progress.close()


def _read_journal(part: Path) -> dict[int, tuple[str, list[int]]]:
    """Read which shards are done, with the digest of their files and the rows left out."""
    done = {}
    if (part / JOURNAL).is_file():
        for line in (part / JOURNAL).read_text(encoding="utf-8").splitlines(keepends=True):
            parts = line.rstrip("\n").split("\t")
            if line.endswith("\n") and len(parts) == 3:  # the last may be cut short
                done[int(parts[0])] = (parts[1], json.loads(parts[2]))
    return done


def _finish(
    part: Path, target: Path, group: zarr.Group, files: FieldFiles, lost: list[int]
) -> None:
    """Write what goes with the pixels, and move the store into its place."""
    kept = np.setdiff1d(np.arange(len(files.obs)), lost)
    notes = list(files.notes)
    if lost:
        notes.append(
            f"{len(lost):,} fields with a damaged or black image are left out "
            f"(first: {files.obs.index[lost[0]]})"
        )
    obs = files.obs.iloc[kept]
    if not obs["role"].eq("control").any():
        notes.append("no field is a negative control: pixels cannot be normalised by plate")
    write_metadata(group, obs, files.channels, notes, kept if lost else None)
    with replacing(target) as place:
        os.replace(part, place)
