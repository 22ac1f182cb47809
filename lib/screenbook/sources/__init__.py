"""Where screens come from: simulated, your own tables, public data.

:func:`prepare` turns the ``screen:`` section of ``params/<run>.yml`` into
``build/<run>/screen.zarr`` (sites) and ``wells.zarr``; notebooks take them with
:func:`open_screen` and :func:`open_wells`. This package alone knows URLs and file formats.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd

from screenbook.errors import InputError, did_you_mean
from screenbook.paths import base_run, build_dir, params_file, replacing, root
from screenbook.profiles.aggregate import aggregate_wells
from screenbook.screen import notes_of, read_screen, write_screen
from screenbook.settings import load_settings, short
from screenbook.sources.files import sha256
from screenbook.sources.staging import Found, to_screen

SOURCES = ("simulated", "tables", "rxrx19a", "bbbc021")
"""Values of ``source:``; each is a module here with ``find(section, where, scratch)``."""

_MAKERS = (
    *("sources/*.py", "simulate/*.py", "profiles/aggregate.py"),
    *("screen.py", "metadata.py", "chemistry.py"),
)
"""Code that decides what a screen holds: when it changes, screens are made anew."""

_TRUTH = ("compounds", "plates", "wells", "library")


def open_screen(run: str, *, lazy: bool = True) -> ad.AnnData:
    """Open the sites of a run, making the screen first if it is not there.

    Parameters
    ----------
    run : str
        Run or variant; a variant shares the screen of its run.
    lazy : bool
        Leave the features on disk, as a Dask array in blocks of rows.

    Raises
    ------
    InputError
        If the screen is not there and cannot be made.
    """
    return read_screen(_made(run) / "screen.zarr", lazy=lazy)


def open_wells(run: str) -> ad.AnnData:
    """Open the wells of a run (means over sites), in memory; see :func:`open_screen`."""
    return read_screen(_made(run) / "wells.zarr")


def prepare(run: str) -> Path:
    """Make the screen of a run, unless it is there and still what the params file asks for.

    Writes ``screen.zarr``, ``wells.zarr``, for a simulated screen ``truth/*.tsv`` and
    ``library.tsv`` (structures that were never imaged), and last
    ``screen.json``: source, counts, notes, the digest of every input, seconds. When nothing
    needs making, ``screen.json`` is only touched, so that Make sees it newer than the params.

    Returns
    -------
    Path
        ``build/<run>/screen.json``.

    Raises
    ------
    InputError
        One line that says what is wrong with the params file or the data, and the mend.
    """
    run = base_run(run)
    section = _section(run)
    folder = build_dir(run)
    record = folder / "screen.json"
    if _is_current(record, section):
        record.touch()
        return record
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    found = _write_sites(section, f"{short(params_file(run))} screen", folder)
    screen = read_screen(folder / "screen.zarr", lazy=True)
    wells = aggregate_wells(screen)
    write_screen(wells, folder / "wells.zarr")
    _write_truth(found, folder / "truth")
    (folder / "library.tsv").unlink(missing_ok=True)  # of what the run was before
    if found.library is not None:
        _write_table(found.library, folder / "library.tsv")
    facts = {
        "run": run,
        "source": section["source"],
        "name": found.name,
        "level": screen.uns["level"],
        "n_sites": screen.n_obs,
        "n_wells": wells.n_obs,
        "n_features": screen.n_vars,
        "inputs": [{"path": short(path), "sha256": sha256(path)} for path in _files(found.inputs)],
        "notes": notes_of(screen),
        "made_from": _digest(section),
    }
    if "SOURCE_DATE_EPOCH" not in os.environ:
        facts["seconds"] = round(time.monotonic() - started, 1)
    with replacing(record) as part:
        part.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return record


def _write_sites(section: Mapping[str, Any], where: str, folder: Path) -> Found:
    """Find, check and write the sites; what is given back has no features any more."""
    with tempfile.TemporaryDirectory(prefix=".staging.", dir=folder) as scratch:
        found = _finder(section["source"])(section, where, Path(scratch))
        write_screen(to_screen(found), folder / "screen.zarr")
        found.X = None  # the staged file must not stay mapped while wells are summed
    return found


def _made(run: str) -> Path:
    """Folder of a run's screen, made if it is not there."""
    folder = build_dir(base_run(run))
    if not (folder / "screen.json").is_file():
        prepare(run)
    return folder


def _section(run: str) -> dict[str, Any]:
    section = load_settings(run).get("screen")
    where = f"{short(params_file(run))} screen"
    if not section or "source" not in section:
        raise InputError(
            f"{where}: 'source' is missing; say where the screen comes from, for example "
            "`screen: {source: simulated}` (or tables, rxrx19a, bbbc021)"
        )
    source = str(section["source"])
    if source not in SOURCES:
        raise InputError(
            f"{where}: source {source!r} is not known{did_you_mean(source, SOURCES)}; "
            f"take one of {', '.join(SOURCES)}"
        )
    return section


def _finder(source: str) -> Callable[[Mapping[str, Any], str, Path], Found]:
    finder: Callable[..., Found] = import_module(f"screenbook.sources.{source}").find
    return finder


def _digest(section: Mapping[str, Any]) -> str:
    """Digest of what decides how a screen is made: its section, and the code that makes it."""
    digest = hashlib.sha256(json.dumps(section, sort_keys=True, default=str).encode())
    package = Path(__file__).parents[1]
    for pattern in _MAKERS:
        for file in sorted(package.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _is_current(record: Path, section: Mapping[str, Any]) -> bool:
    """Whether a finished screen is still what its section and its inputs say."""
    try:
        facts = json.loads(record.read_text(encoding="utf-8"))
        if facts["made_from"] != _digest(section):
            return False
        made = record.stat().st_mtime
        for entry in facts["inputs"]:
            path = root() / entry["path"]
            # Only what changed since is read again: a digest of gigabytes is not for free.
            if path.stat().st_mtime > made and sha256(path) != entry["sha256"]:
                return False
    except (OSError, ValueError, KeyError):
        return False
    return all((record.parent / name).is_dir() for name in ("screen.zarr", "wells.zarr"))


def _files(inputs: list[Path]) -> list[Path]:
    """Name every file that was read; a Zarr folder is read through its many files."""
    return [
        file
        for path in inputs
        for file in (sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path])
    ]


def _write_truth(found: Found, folder: Path) -> None:
    # Of what the run was before. The folder holds the truth of images and expression as well.
    for name in _TRUTH:
        (folder / f"{name}.tsv").unlink(missing_ok=True)
    for name, table in sorted(found.truth.items()):
        _write_table(table, folder / f"{name}.tsv")


def _write_table(table: pd.DataFrame, path: Path) -> None:
    with replacing(path) as part:
        table.to_csv(part, sep="\t", index=False, lineterminator="\n")
