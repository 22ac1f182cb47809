"""Two runs side by side: what was set otherwise, and what came out otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from screenbook.errors import InputError
from screenbook.paths import base_run, reports_dir, root
from screenbook.report.outputs import Outputs
from screenbook.report.page import copy_assets, write_page
from screenbook.report.series import read_sidecars
from screenbook.report.show import MIME, table_spec
from screenbook.report.text import markdown

_ROW = "\0row"  # no table has a column of this name
_POSITIONS = ("position in A", "position in B", "places up")


def compare_runs(a: str, b: str) -> Path:
    """Write a page that compares two runs, or a run with one of its variants.

    For each notebook that both have: parameters, inputs and versions that differ, and the
    headline numbers with their differences. For each table that both published: rows added
    and lost, values changed, and rows that moved in rank.

    Parameters
    ----------
    a, b : str
        Runs or variants; differences are *b minus a*.

    Returns
    -------
    pathlib.Path
        ``reports/compare-<a>-vs-<b>.html``; the same reports give the same bytes.

    Raises
    ------
    InputError
        If a run has no reports, or both are the same run.
    """
    if a == b:
        raise InputError(f"run {a!r} is given twice: name two runs, A=… and B=…")
    sidecars = [{s["notebook"]: s for s in _sidecars(run)} for run in (a, b)]
    shared = [name for name in sidecars[0] if name in sidecars[1]]
    widgets = Outputs(f"compare-{a}-vs-{b}")
    sections = [_compare_reports(sidecars[0][n], sidecars[1][n], widgets) for n in shared]
    names = [{path.name for path in (reports_dir(run) / "tables").glob("*.tsv")} for run in (a, b)]
    both = sorted((names[0] & names[1]) - {"dictionary.tsv"})
    tables = [
        _compare_tables(reports_dir(a) / "tables" / name, reports_dir(b) / "tables" / name, widgets)
        for name in both
    ]
    reports = root() / "reports"
    page = reports / f"compare-{a}-vs-{b}.html"
    copy_assets(reports)
    write_page(
        page,
        "compare.html.j2",
        a=a,
        b=b,
        sections=sections,
        tables=tables,
        alone=[
            (run, sorted(set(mine) - set(shared)))
            for run, mine in zip((a, b), sidecars, strict=True)
        ],
    )
    return page


def _sidecars(run: str) -> list[dict[str, Any]]:
    folder = reports_dir(run)
    found = read_sidecars(folder) if folder.is_dir() else []
    if not found:
        raise InputError(
            f"run {run!r} has no reports in {folder}: run 'make reports RUN={base_run(run)}' first"
        )
    return found


def _compare_reports(
    a: Mapping[str, Any], b: Mapping[str, Any], widgets: Outputs
) -> dict[str, Any]:
    """Compare one notebook's two sidecars."""
    parameters = _differing(a.get("parameters"), b.get("parameters"), skip={"run"})
    versions = _differing(a.get("versions"), b.get("versions"))
    inputs = _differing(_hashes(a), _hashes(b))
    headline = _headline(a.get("headline") or {}, b.get("headline") or {})
    return {
        "number": a["number"],
        "title": a.get("title") or a["notebook"],
        "hrefs": [f"{reports_dir(s['run']).name}/{s['href']}" for s in (a, b)],
        "states": [a["state"], b["state"]],
        "answers": [Markup(markdown(s.get("answer") or "")) for s in (a, b)],
        "parameters": _widget(widgets, parameters, "Parameters that differ."),
        "headline": _widget(
            widgets, headline, "Headline numbers; the difference is B minus A.", rows=50
        ),
        "inputs": _widget(widgets, inputs, "Inputs that differ, by the start of their SHA-256."),
        "versions": _widget(widgets, versions, "Versions that differ."),
    }


def _hashes(sidecar: Mapping[str, Any]) -> dict[str, str]:
    """Return input hashes under names that do not hold the run's."""
    own = (f"build/{sidecar.get('run')}/", f"build/{base_run(str(sidecar.get('run')))}/")
    hashes = {}
    for file in sidecar.get("inputs") or []:
        path = str(file["path"])
        for prefix in own:
            path = path.removeprefix(prefix)
        hashes[path] = (file["sha256"] or "not there")[:12]
    return hashes


def _differing(
    a: Mapping[str, Any] | None,
    b: Mapping[str, Any] | None,
    skip: frozenset[str] | set[str] = frozenset(),
) -> pd.DataFrame:
    """Return entries of two mappings that are not the same, as text."""
    a, b = a or {}, b or {}
    names = [name for name in dict.fromkeys([*a, *b]) if name not in skip]
    rows = [(name, _text(a, name), _text(b, name)) for name in names if a.get(name) != b.get(name)]
    return pd.DataFrame(rows, columns=["name", "A", "B"])


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "not there"


def _headline(a: Mapping[str, Any], b: Mapping[str, Any]) -> pd.DataFrame:
    """Return the headline numbers side by side, with difference and relative change."""
    rows = []
    for name in dict.fromkeys([*a, *b]):
        left, right = a.get(name), b.get(name)
        difference = relative = ""
        if isinstance(left, int | float) and isinstance(right, int | float):
            difference = _signed(f"{right - left:+.4g}") if right != left else "0"
            relative = (
                _signed(f"{(right - left) / abs(left):+.1%}") if left != right and left else ""
            )
        texts = [_number_text(v) for v in (left, right)]
        rows.append((name, *texts, difference, relative))
    return pd.DataFrame(rows, columns=["number", "A", "B", "difference", "relative"])


def _signed(text: str) -> str:
    return text.replace("-", "−")


def _number_text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _compare_tables(path_a: Path, path_b: Path, widgets: Outputs) -> dict[str, Any]:
    """Compare two versions of a table by the first columns that tell its rows apart."""
    name = path_a.stem
    a, b = (_read(path) for path in (path_a, path_b))
    key = _key(a, b)
    facts = {
        "name": path_a.name,
        "rows": [f"{len(a):,}", f"{len(b):,}"],
        "columns": [[c for c in one if c not in other] for one, other in ((a, b), (b, a))],
        "key": key,
        "same": False,
    }
    if path_a.read_bytes() == path_b.read_bytes():
        return facts | {"same": True, "parts": []}
    if not key:
        return facts | {"parts": []}
    for frame in (a, b):
        frame[_ROW] = np.arange(1, len(frame) + 1)
    joined = a.merge(b, on=key, how="outer", suffixes=(" A", " B"), indicator=True, sort=False)
    lost = joined[joined["_merge"] == "left_only"].sort_values(f"{_ROW} A")[key]
    added = joined[joined["_merge"] == "right_only"].sort_values(f"{_ROW} B")[key]
    kept = joined[joined["_merge"] == "both"]
    parts = [
        _widget(widgets, lost, f"Rows of {name} in A only.", file=f"{name}_only_A"),
        _widget(widgets, added, f"Rows of {name} in B only.", file=f"{name}_only_B"),
        _widget(widgets, _changes(kept, a, b, key), f"Columns of {name} whose values changed."),
        _widget(widgets, _moves(kept, key), f"Rows of {name} that moved, the farthest first."),
    ]
    return facts | {
        "parts": [part for part in parts if part],
        "counts": {"added": len(added), "lost": len(lost), "kept": len(kept)},
    }


def _read(path: Path) -> pd.DataFrame:
    # The default parser is off by the last digit, which would count as a change.
    return pd.read_csv(path, sep="\t", low_memory=False, float_precision="round_trip")


def _key(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    """Return the fewest leading columns, no measurements, that no two rows share in either."""
    key: list[str] = []
    for column in a.columns:
        if column not in b or a[column].dtype.kind != b[column].dtype.kind:
            break
        key.append(column)
        if not a.duplicated(key).any() and not b.duplicated(key).any():
            # A lone column of fractions is unique by chance, and matches nothing.
            return key if any(a[name].dtype.kind != "f" for name in key) else []
    return []


def _changes(kept: pd.DataFrame, a: pd.DataFrame, b: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return, for each column, how many values changed and the largest difference."""
    rows = []
    for column in (c for c in a.columns if c in b and c not in key and c != _ROW):
        left, right = kept[f"{column} A"], kept[f"{column} B"]
        changed = ~((left == right) | (left.isna() & right.isna()))
        if not changed.any():
            continue
        largest = np.nan
        if left.dtype.kind in "fi" and right.dtype.kind in "fi":
            difference = (right - left).to_numpy(np.float64)
            difference = difference[np.isfinite(difference)]
            largest = difference[np.abs(difference).argmax()] if difference.size else np.nan
        rows.append((column, int(changed.sum()), len(kept), largest))
    return pd.DataFrame(rows, columns=["column", "changed", "of rows", "largest difference"])


def _moves(kept: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return the rows whose rank, among those that both tables hold, is another."""
    ranks = kept[[f"{_ROW} A", f"{_ROW} B"]].rank().astype(int)
    moved = kept[key].assign(**dict(zip(_POSITIONS[:2], (ranks[c] for c in ranks), strict=True)))
    moved[_POSITIONS[2]] = moved[_POSITIONS[0]] - moved[_POSITIONS[1]]
    moved = moved[moved[_POSITIONS[2]] != 0]
    farthest_first = np.lexsort((moved[_POSITIONS[1]], -moved[_POSITIONS[2]].abs()))
    return moved.iloc[farthest_first]


def _widget(
    widgets: Outputs, frame: pd.DataFrame, caption: str, rows: int = 10, file: str | None = None
) -> Markup | str:
    """Return a table as the reports show it, or nothing if it is empty."""
    if frame.empty:
        return ""
    spec = table_spec(frame.reset_index(drop=True), caption, rows=rows, file=file)
    return Markup(widgets.html({"output_type": "display_data", "data": {MIME: spec}}))
