"""One optional section of a params file, made into a store once, and again when it must be.

Cell images and expression profiles each come from a section of their own (``images:``,
``expression:``), and both are kept as ``build/<run>/<section>.zarr`` with a record beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import screenbook
from screenbook.errors import InputError, did_you_mean
from screenbook.paths import base_run, build_dir, params_file, replacing, root
from screenbook.settings import load_settings, short
from screenbook.sources.files import sha256

Writer = Callable[[Mapping[str, Any], str, Path], list[Path]]
"""Writes what a section asks for: ``write(section, where, folder)`` names the files it read."""

_PACKAGE = Path(screenbook.__file__).parent
_HASHED_BYTES = 1 << 30  # of all inputs together: 46 GB of images are known by their time


@dataclass(frozen=True)
class Kind:
    """A kind of data that a run may have.

    Attributes
    ----------
    section : str
        Its section in ``params/<run>.yml``, which names the store and the record as well.
    what : str
        What a run without that section does not have, in words.
    count : str
        Name of the record's entry that is 0 where there is nothing.
    example : str
        File that shows such sections.
    sources : tuple of str
        Values of ``source:``.
    makers : mapping of str to tuple of str
        Code that decides what a store holds, by source, as patterns in the package; under
        ``""`` that of every source that is not named.
    beside : mapping of str to str
        Files that options of the section add to the store, by option.
    """

    section: str
    what: str
    count: str
    example: str
    sources: tuple[str, ...]
    makers: Mapping[str, tuple[str, ...]]
    beside: Mapping[str, str] = field(default_factory=dict)

    def given(self, run: str) -> bool:
        """Whether the params file of a run has this section, and it says something."""
        return bool(load_settings(run).get(self.section))

    def stores(self, section: Mapping[str, Any]) -> list[str]:
        """Name what lies beside the record when it is complete."""
        beside = [name for option, name in self.beside.items() if section.get(option)]
        return [f"{self.section}.zarr", *beside]


def made(kind: Kind, run: str, make: Callable[[str], Path]) -> Path:
    """Give the folder of a run in which its store is complete, making it first if it is not.

    Raises
    ------
    InputError
        If the run has no such section, or the store is not there and cannot be made.
    """
    if not kind.given(run):
        raise InputError(
            f"{short(params_file(base_run(run)))} has no section `{kind.section}:`, so run {run} "
            f"has no {kind.what}; {kind.example} shows such sections"
        )
    folder = build_dir(base_run(run))
    needed = [f"{kind.section}.json", *kind.stores(load_settings(run)[kind.section])]
    if not all((folder / name).exists() for name in needed):
        make(run)
    return folder


def prepare_section(
    kind: Kind, run: str, write: Writer, describe: Callable[[Path], dict[str, Any]]
) -> Path:
    """Make the store of a run, unless it is there and still what the params file asks for.

    Parameters
    ----------
    kind : Kind
    run : str
        Run or variant.
    write : callable
        Makes the store.
    describe : callable
        Gets the folder of a finished store, and gives what its record is to say.

    Returns
    -------
    Path
        The record, written last: source, what `describe` said, a stamp of every input,
        seconds. When nothing needs making it is only touched, so that Make sees it newer than
        the params.
    """
    run = base_run(run)
    folder = build_dir(run)
    record = folder / f"{kind.section}.json"
    if not kind.given(run):
        return _write_record(record, {"run": run, "source": None, kind.count: 0, "inputs": []})
    section = _read_section(kind, run)
    if _is_current(kind, record, section):
        record.touch()
        return record
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    inputs = write(section, f"{short(params_file(run))} {kind.section}", folder)
    facts = {
        "run": run,
        "source": section["source"],
        **describe(folder),
        "inputs": _stamps(inputs),
        "made_from": _digest(kind, section),
    }
    if "SOURCE_DATE_EPOCH" not in os.environ:
        facts["seconds"] = round(time.monotonic() - started, 1)
    return _write_record(record, facts)


def _read_section(kind: Kind, run: str) -> dict[str, Any]:
    section = load_settings(run)[kind.section]
    source = str(section.get("source", ""))
    if source not in kind.sources:
        raise InputError(
            f"{short(params_file(run))} {kind.section}: source {source!r} is not known"
            f"{did_you_mean(source, kind.sources)}; take one of {', '.join(kind.sources)}"
        )
    return dict(section)


def _digest(kind: Kind, section: Mapping[str, Any]) -> str:
    """Digest of what decides how a store is made: its section, and the code that makes it."""
    digest = hashlib.sha256(json.dumps(section, sort_keys=True, default=str).encode())
    for pattern in kind.makers.get(section["source"], kind.makers[""]):
        for file in sorted(_PACKAGE.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _stamps(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Describe inputs so that a change shows: small ones by their digests, others by time."""
    left, hashed = _HASHED_BYTES, set()
    for path in sorted((p for p in paths if p.is_file()), key=lambda p: p.stat().st_size):
        left -= path.stat().st_size
        if left > 0:
            hashed.add(path)
    return [_stamp(path, path in hashed) for path in paths]


def _stamp(path: Path, hashed: bool) -> dict[str, Any]:
    if hashed:
        return {"path": short(path), "sha256": sha256(path)}
    return {"path": short(path), "changed": path.stat().st_mtime_ns}


def _is_current(kind: Kind, record: Path, section: Mapping[str, Any]) -> bool:
    """Whether a finished store is still what its section and its inputs say."""
    try:
        facts = json.loads(record.read_text(encoding="utf-8"))
        if facts["made_from"] != _digest(kind, section):
            return False
        for entry in facts["inputs"]:
            if _stamp(root() / entry["path"], "sha256" in entry) != entry:
                return False
    except (OSError, ValueError, KeyError):
        return False
    return all((record.parent / name).exists() for name in kind.stores(section))


def _write_record(record: Path, facts: Mapping[str, Any]) -> Path:
    with replacing(record) as part:
        part.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return record
