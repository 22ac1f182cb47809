"""Where cell images come from: simulated, or files converted to one lazily read store.

:func:`prepare_images` turns the ``images:`` section of ``params/<run>.yml`` into
``build/<run>/images.zarr``; notebooks take the set with :func:`open_images`.
A run without that section has no images, and no reports on them.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from screenbook.errors import InputError, did_you_mean
from screenbook.image_set import ImageSet, read_image_set
from screenbook.paths import base_run, build_dir, params_file, replacing, root
from screenbook.settings import load_settings, short
from screenbook.sources.files import sha256

SOURCES = ("simulated", "rxrx1", "load_data", "folder")
"""Values of ``source:``; each is a module here with ``write(section, where, folder)``."""

_MAKERS = {"simulated": ("simulate/images/*.py", "sources/images/simulated.py")}
"""Code that decides what an image set holds, by source; of files it is this package's."""


def has_images(run: str) -> bool:
    """Whether the params file of a run has an ``images:`` section that says something."""
    return bool(load_settings(run).get("images"))


def open_images(run: str) -> ImageSet:
    """Open the images of a run, making them first if they are not there.

    Parameters
    ----------
    run : str
        Run or variant; a variant shares the images of its run.

    Returns
    -------
    ImageSet
        Pixels stay on disk until they are asked for.

    Raises
    ------
    InputError
        If the run has no images, or they are not there and cannot be made.
    """
    if not has_images(run):
        raise InputError(
            f"{short(params_file(base_run(run)))} has no section `images:`, so run {run} has no "
            "images; params/my_images.yml.example shows such sections"
        )
    folder = build_dir(base_run(run))
    if not (folder / "images.json").is_file() or not (folder / "images.zarr").is_dir():
        prepare_images(run)
    return read_image_set(folder / "images.zarr")


def prepare_images(run: str) -> Path:
    """Make the images of a run, unless they are there and still what the params file asks for.

    Writes ``images.zarr``, for simulated images ``truth/images.tsv``, and last ``images.json``:
    source, counts, notes, the digest of every table read, seconds. When nothing needs making,
    ``images.json`` is only touched, so that Make sees it newer than the params. A conversion
    that was interrupted goes on where it was.

    Returns
    -------
    Path
        ``build/<run>/images.json``. For a run without images it says so.

    Raises
    ------
    InputError
        One line that says what is wrong with the params file or the data, and the mend.
    """
    run = base_run(run)
    folder = build_dir(run)
    record = folder / "images.json"
    if not has_images(run):
        return _write_record(record, {"run": run, "source": None, "n_images": 0, "inputs": []})
    section = _section(run)
    if _is_current(record, section):
        record.touch()
        return record
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    where = f"{short(params_file(run))} images"
    write = import_module(f"screenbook.sources.images.{section['source']}").write
    inputs: list[Path] = write(section, where, folder)
    images = read_image_set(folder / "images.zarr")
    facts = {
        "run": run,
        "source": section["source"],
        "n_images": len(images),
        "n_batches": int(images.obs["batch"].nunique()),
        "shape": list(images.pixels.shape),
        "dtype": str(images.pixels.dtype),
        "channels": list(images.channels),
        "inputs": [_stamp(path) for path in inputs],
        "notes": list(images.notes),
        "made_from": _digest(section),
    }
    if "SOURCE_DATE_EPOCH" not in os.environ:
        facts["seconds"] = round(time.monotonic() - started, 1)
    return _write_record(record, facts)


def _section(run: str) -> dict[str, Any]:
    section = load_settings(run)["images"]
    where = f"{short(params_file(run))} images"
    source = str(section.get("source", ""))
    if source not in SOURCES:
        raise InputError(
            f"{where}: source {source!r} is not known{did_you_mean(source, SOURCES)}; "
            f"take one of {', '.join(SOURCES)}"
        )
    return dict(section)


def _digest(section: Mapping[str, Any]) -> str:
    """Digest of what decides how images are made: their section, and the code that makes them."""
    digest = hashlib.sha256(json.dumps(section, sort_keys=True, default=str).encode())
    package = Path(__file__).parents[2]
    for pattern in (*_MAKERS.get(section["source"], ("sources/images/*.py",)), "image_set.py"):
        for file in sorted(package.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _stamp(path: Path) -> dict[str, Any]:
    """Describe an input so that a change shows: a small file by its digest, others by time."""
    facts = path.stat()
    if path.is_file() and facts.st_size < _HASHED_BYTES:
        return {"path": short(path), "sha256": sha256(path)}
    return {"path": short(path), "changed": facts.st_mtime_ns}


_HASHED_BYTES = 1 << 30  # an archive of 46 GB is known by its time


def _is_current(record: Path, section: Mapping[str, Any]) -> bool:
    """Whether a finished set is still what its section and its inputs say."""
    try:
        facts = json.loads(record.read_text(encoding="utf-8"))
        if facts["made_from"] != _digest(section):
            return False
        if any(_stamp(root() / entry["path"]) != entry for entry in facts["inputs"]):
            return False
    except (OSError, ValueError, KeyError):
        return False
    return (record.parent / "images.zarr").is_dir()


def _write_record(record: Path, facts: Mapping[str, Any]) -> Path:
    with replacing(record) as part:
        part.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return record
