"""The sidecar of a report: what a run was given, what it found, and how to repeat it, as JSON.

Index, comparison and tests read this and never the HTML. ``NN_name.json`` lies beside
``NN_name.html``, ``NN_name.failed.json`` beside the page of a run that failed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from screenbook.paths import base_run, replacing, reports_dir, root
from screenbook.report.parameters import NUMBER, variant_name
from screenbook.report.raster import png_uri
from screenbook.report.show import MIME, PLOTLY_MIME
from screenbook.report.thumbnail import figure_png

KEYS = (
    "run",
    "notebook",
    "title",
    "question",
    "answer",
    "parameters",
    "defaults",
    "overrides",
    "headline",
    "gates",
    "inputs",
    "outputs",
    "versions",
    "git",
    "started",
    "seconds",
    "state",
    "error",
    "command",
    "thumbnail",
)
"""Keys of a sidecar, in their order.

run, notebook
    ``simulated@k-30``, ``04_score_rescue``.
title, question
    From the notebook's first cell; `answer` (markdown) from ``answer()``, or null.
parameters, defaults
    Name to value, in the notebook's order: all that it took, and what it takes untold.
overrides
    ``name=value`` texts of the command line that made a variant.
headline
    Named numbers of ``headline()``.
gates
    List of ``{"passed", "text"}``.
inputs, outputs
    List of ``{"path", "sha256"}``; paths relative to the checkout where they lie inside.
versions
    Of Python, of the packages that the project asks for, and sha256 of ``constraints.txt``.
git
    ``{"commit", "dirty"}``, or null outside a repository.
started, seconds
    UTC (ISO 8601) and wall time; with ``SOURCE_DATE_EPOCH`` that time, and 0.
state
    ``"done"``, ``"gate failed"`` or ``"failed"``; `error` then tells why in one line.
command
    What repeats this very run.
thumbnail
    A small picture of its first figure, or of the one marked so, as a ``data:`` address; null
    if it shows none.
"""


@dataclass
class Harvest:
    """What a notebook's outputs say (kinds as in :mod:`screenbook.report.show`)."""

    answer: str | None = None
    headline: dict[str, Any] = field(default_factory=dict)
    gates: list[dict[str, Any]] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    saved: list[dict[str, Any]] = field(default_factory=list)
    figure: dict[str, Any] | None = None


def harvest(notebook: NotebookNode) -> Harvest:
    """Collect what the outputs of an executed notebook say; later numbers win over earlier."""
    found, marked = Harvest(), False
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            spec = data.get(MIME, {})
            match spec.get("kind"):
                case "figure" if found.figure is None or (spec["thumbnail"] and not marked):
                    found.figure, marked = data[PLOTLY_MIME], spec["thumbnail"]
                case "headline":
                    found.headline |= spec["numbers"]
                case "answer":
                    found.answer = spec["text"]
                case "gate":
                    found.gates.append({"passed": spec["passed"], "text": spec["text"]})
                case "reads" if spec["path"] not in found.reads:
                    found.reads.append(spec["path"])
                case "writes" if spec["path"] not in found.writes:
                    found.writes.append(spec["path"])
                case "saved":
                    found.saved = [s for s in found.saved if s["name"] != spec["name"]] + [spec]
    return found


def title_and_question(notebook: NotebookNode) -> tuple[str, str]:
    """Read ``# NN Title`` (without NN) and ``**Question.** …`` from a notebook; "" if missing."""
    prose = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    title = re.search(rf"^# +(?:{NUMBER} +)?(.+)$", prose, re.MULTILINE)
    question = re.search(r"^\*\*Question\.?\*\*[ :]*(.+?)(?:\n\s*\n|\Z)", prose, re.M | re.S)
    return (
        title[1].strip() if title else "",
        " ".join(question[1].split()) if question else "",
    )


def describe_run(
    notebook: NotebookNode,
    found: Harvest,
    *,
    run: str,
    name: str,
    parameters: dict[str, Any],
    defaults: dict[str, Any],
    overrides: Sequence[str],
    started: float,
    seconds: float,
    error: str | None = None,
) -> dict[str, Any]:
    """Make the sidecar of a run.

    Parameters
    ----------
    notebook : NotebookNode
        Executed, as far as it came.
    found : Harvest
        What its outputs say.
    run, name : str
        Run or variant, and name of the notebook.
    parameters, defaults : dict
        What it was given, and what it takes untold.
    overrides : sequence of str
        ``name=value`` texts of the command line.
    started : float
        Seconds since the epoch.
    seconds : float
        Wall time.
    error : str, optional
        Why it failed.

    Returns
    -------
    dict
        With the keys :data:`KEYS`.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch) if epoch else started, UTC)
    title, question = title_and_question(notebook)
    published = [(published_table(run, s["name"]), s["path"]) for s in found.saved]
    state = "done" if all(gate["passed"] for gate in found.gates) else "gate failed"
    values = {
        "run": run,
        "notebook": name,
        "title": title,
        "question": question,
        "answer": found.answer,
        "parameters": parameters,
        "defaults": defaults,
        "overrides": list(overrides),
        "headline": found.headline,
        "gates": found.gates,
        "inputs": _hashed((path, path) for path in found.reads),
        "outputs": _hashed([*((path, path) for path in found.writes), *published]),
        "versions": versions(),
        "git": git_state(),
        "started": moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seconds": 0.0 if epoch else round(seconds, 1),
        "state": "failed" if error else state,
        "error": error,
        "command": command(name, run, overrides),
        "thumbnail": png_uri(figure_png(found.figure)) if found.figure else None,
    }
    return {key: values[key] for key in KEYS}


def write_sidecar(sidecar: dict[str, Any], path: Path) -> None:
    """Write a sidecar in one step: same run, same bytes."""
    with replacing(path) as part:
        text = json.dumps(sidecar, indent=2, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """Read a sidecar; None if there is none, or it is of no use (an older one, cut short)."""
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return sidecar if isinstance(sidecar, dict) else None


def published_table(run: str, name: str) -> str:
    """Where a saved table lies for readers, relative to the checkout."""
    return (reports_dir(run) / "tables" / f"{name}.tsv").relative_to(root()).as_posix()


def command(name: str, run: str, overrides: Sequence[str]) -> str:
    """Write the ``make`` command that repeats a run, ready for a shell."""
    number = re.match(NUMBER, name)
    words = ["make report", f"NB={number.group() if number else name}"]
    if not overrides:
        return " ".join([*words, f"RUN={run}"])
    given = " ".join(shlex.quote(text) for text in overrides).replace("$", "$$")
    words += [f"RUN={base_run(run)}", f"P={shlex.quote(given)}"]
    if run != variant_name(base_run(run), overrides):
        words.append(f"AS={run.partition('@')[2]}")
    return " ".join(words)


def versions() -> dict[str, str]:
    """Versions of Python, of screenbook and of what it asks for (extras left out)."""
    wanted = [line for line in metadata.requires("screenbook") or [] if "extra ==" not in line]
    names = {re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0] for line in wanted}
    found = {"python": platform.python_version(), "screenbook": metadata.version("screenbook")}
    found |= {name: metadata.version(name) for name in sorted(names, key=str.casefold)}
    pinned = root() / "constraints.txt"
    if pinned.is_file():
        found["constraints.txt"] = file_sha256(pinned)[:12]
    return found


def git_state() -> dict[str, Any] | None:
    """Commit of the checkout, and whether files differ from it; None outside a repository."""

    def git(*arguments: str) -> str:
        call = ["git", "-C", str(root()), *arguments]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def sha256(path: Path) -> str | None:
    """Hash a file, or a folder over the names and hashes of its files; None if not there."""
    if path.is_file():
        return file_sha256(path)
    if not path.is_dir():
        return None
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(f"{file.relative_to(path).as_posix()}\0{file_sha256(file)}\n".encode())
    return total.hexdigest()


def file_sha256(path: Path) -> str:
    """Hash a file without reading it into memory at once."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _hashed(paths: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """List shown paths, each with the hash of the file or folder that it stands for."""
    return [{"path": shown, "sha256": sha256(root() / actual)} for shown, actual in paths]
