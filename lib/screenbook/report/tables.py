"""Publishing: from ``build/<run>/tables``, where notebooks write, to where people read."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from screenbook.paths import build_dir, replacing, reports_dir, root

_DICTIONARY = ["table", "notebook", "column", "type", "meaning"]
_TYPES = {"b": "true or false", "i": "whole number", "u": "whole number", "f": "number"}


def publish_tables(run: str, notebook: str, saved: Sequence[Mapping[str, Any]]) -> None:
    """Copy the tables that a notebook saved beside its report, each in one step.

    Parameters
    ----------
    run, notebook : str
    saved : sequence of mapping
        The outputs of kind ``saved`` (see :mod:`screenbook.report.show`).

    Notes
    -----
    ``tables/dictionary.tsv`` says of every column of every table which notebook made it, its
    type and what it means. Tables that the notebook saved before and no longer does go away.
    """
    folder = reports_dir(run) / "tables"
    with _alone(run):
        known = _read_dictionary(folder)
        gone = set(known.loc[known["notebook"] == notebook, "table"]) - {s["name"] for s in saved}
        for spec in saved:
            with replacing(folder / f"{spec['name']}.tsv") as part:
                shutil.copyfile(root() / spec["path"], part)
        replaced = known["table"].isin([s["name"] for s in saved]) | known["table"].isin(gone)
        rows = [row for spec in saved for row in _rows(notebook, spec)]
        merged = pd.concat([known[~replaced], pd.DataFrame(rows, columns=_DICTIONARY)])
        if len(merged) or len(known):
            with replacing(folder / "dictionary.tsv") as part:
                merged.sort_values("table", kind="stable").to_csv(
                    part, sep="\t", index=False, lineterminator="\n"
                )
        for name in gone:
            (folder / f"{name}.tsv").unlink(missing_ok=True)


def _read_dictionary(folder: Path) -> pd.DataFrame:
    path = folder / "dictionary.tsv"
    if not path.is_file():
        return pd.DataFrame(columns=_DICTIONARY, dtype=str)
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def _rows(notebook: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """Describe the columns of one saved table."""
    for column, dtype in pd.read_csv(root() / spec["path"], sep="\t").dtypes.items():
        meaning = " ".join(spec["columns"][column].split())
        yield spec["name"], notebook, str(column), _TYPES.get(dtype.kind, "text"), meaning


@contextmanager
def _alone(run: str) -> Iterator[None]:
    """Keep two notebooks that end at once from losing each other's lines of the dictionary."""
    lock = build_dir(run) / ".tables.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        with suppress(OSError):  # some network file systems cannot lock
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
