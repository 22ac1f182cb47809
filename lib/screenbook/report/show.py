"""What a notebook says to its report: figures, tables and sentences, as data.

Each function displays one output whose data under the media type :data:`MIME` is a small JSON
object with a ``kind``; next to it stands something JupyterLab can draw. HTML is made later, by
:mod:`screenbook.report.render`; the sidecar is harvested from the same objects. The kinds:

``figure``
    ``caption`` (markdown), ``wide``, ``thumbnail`` (shown on the index); the figure itself
    is under plotly's own media type, its numbers as base64 typed arrays.
``table``
    ``caption``, ``columns`` (``name``, ``unit``, ``type`` of text, number or boolean,
    ``decimals``), ``data`` (one list for each column, missing = null), ``page`` (rows shown
    at once), ``total`` (rows of the table, of which at most :data:`MAX_ROWS` are given),
    ``file`` (name of the download, without ending).
``gallery``
    ``caption``, ``items`` (``svg``, ``title``, ``subtitle``).
``say``, ``answer``, ``gate``
    ``text`` (markdown); a gate has ``passed`` too.
``headline``
    ``numbers`` (name to number).
``reads``, ``writes``
    ``path``, relative to the checkout where it lies inside.
``saved``
    ``path``, ``run``, ``name``, ``rows``, ``columns`` (name to description).
``live``
    for JupyterLab only; no part of the report.

Conventions that link the parts of a page
-----------------------------------------
*Compounds.* A trace with ``meta="compound"`` has a compound's name as the first entry of each
point's ``customdata``; a table's column ``compound`` holds the same names. The page's search
and a click on either select the compound everywhere. A table's column ``aliases`` holds other
names, separated by ``;``, under which the search finds it.

*Titles.* The page lifts title and subtitle out of a figure, because text wraps and plotly's
does not.

*Narrow pages.* Where a figure's panels would be too narrow side by side, ``layout.meta`` may
hold ``{"narrow": {…}}``: what ``Plotly.relayout`` changes there, ``height`` among it.

*Text from data* is never HTML. In CSV and TSV downloads made by a page, text that a spreadsheet
would run as a formula (it starts with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return)
gets an apostrophe in front. Files written by :func:`save_table` hold the exact text.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from plotly.utils import PlotlyJSONEncoder

from screenbook.errors import InputError
from screenbook.paths import build_dir, replacing, root
from screenbook.report.text import decimals_for, first_rows, heading, markdown, svg_uri

MIME = "application/vnd.screenbook.v1+json"
PLOTLY_MIME = "application/vnd.plotly.v1+json"

LIVE_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["sendChartToCloud"],
    "plotlyServerURL": "",
}
"""How JupyterLab draws figures: without plotly's button that would send the data away."""

MAX_ROWS = 5_000
"""Rows of a table that a page carries; more would make it slow, and belong into a file."""

_SHORT = 32  # lists below this length stay lists: ranges, domains, a few ticks
_LONG = 1_000  # arrays above it are halved to float32 where that loses nothing visible


def show(fig: go.Figure, caption: str, *, wide: bool = False, thumbnail: bool = False) -> None:
    """Show a figure under a caption that is also its text alternative.

    Parameters
    ----------
    fig : plotly.graph_objects.Figure
        Traces with ``meta="compound"`` take part in the search, see the module's docstring.
    caption : str
        Markdown, two sentences or more: what is drawn (of what, how many, with which
        interval), and what it shows.
    wide : bool
        Give it the page's full width.
    thumbnail : bool
        The picture of this report on the index; the first one marked so is taken.
    """
    if not isinstance(fig, go.Figure):
        raise TypeError(f"show() takes a plotly figure, not {type(fig).__name__}")
    if not caption.strip():
        raise ValueError("a figure needs a caption: it is its text alternative too")
    figure = json.loads(json.dumps(fig.to_dict(), cls=PlotlyJSONEncoder))
    figure["data"] = [_typed_arrays(trace) for trace in figure["data"]]
    spec = {"kind": "figure", "caption": caption, "wide": wide, "thumbnail": thumbnail}
    figure["config"] = LIVE_CONFIG
    _emit(spec, {PLOTLY_MIME: figure, "text/plain": caption})
    # JupyterLab draws one representation of an output, so the caption is a second one.
    _emit({"kind": "live"}, {"text/html": markdown(caption), "text/plain": caption})


def show_table(
    df: pd.DataFrame,
    caption: str,
    *,
    units: Mapping[str, str] | None = None,
    rows: int = 10,
    file: str | None = None,
) -> None:
    """Show a table that readers can sort, filter and download.

    Parameters
    ----------
    df : pandas.DataFrame
        A named index becomes the first column; an unnamed one is left out.
    caption : str
        Markdown.
    units : mapping of str to str, optional
        Unit for each column that has one, printed in its heading.
    rows : int
        Rows shown at once.
    file : str, optional
        Name of the downloads, without ending.

    Raises
    ------
    ValueError
        If `units` names a column that the table has not, or a column name is repeated.
    """
    spec = table_spec(df, caption, units=units, rows=rows, file=file)
    _emit(spec, {"text/html": _live_table(spec), "text/plain": df.head(rows).to_string()})


def table_spec(
    df: pd.DataFrame,
    caption: str,
    *,
    units: Mapping[str, str] | None = None,
    rows: int = 10,
    file: str | None = None,
) -> dict[str, Any]:
    """Make the JSON of a table (kind ``table``); parameters as for :func:`show_table`."""
    frame = df.reset_index() if any(name is not None for name in df.index.names) else df
    names = [str(column) for column in frame.columns]
    if len(set(names)) < len(names):
        raise ValueError(f"show_table(): a column name is repeated in {names}")
    if unknown := sorted(set(units or {}) - set(names)):
        raise ValueError(f"show_table(): units for {unknown}, which are no columns of {names}")
    shown = frame.iloc[:MAX_ROWS]
    columns, data = [], []
    for position, name in enumerate(names):
        kind, decimals, values = _column(shown.iloc[:, position])
        unit = (units or {}).get(name, "")
        columns.append({"name": name, "unit": unit, "type": kind, "decimals": decimals})
        data.append(values)
    return {
        "kind": "table",
        "caption": caption,
        "columns": columns,
        "data": data,
        "page": rows,
        "total": len(frame),
        "file": file,
    }


def save_table(df: pd.DataFrame, run: str, name: str, columns: Mapping[str, str]) -> None:
    """Write a table of results, every column described, for people and for later notebooks.

    It goes to ``build/<run>/tables/<name>.tsv``, atomically, its numbers in full precision.

    Parameters
    ----------
    df : pandas.DataFrame
        The index is not written.
    run : str
        The run the table belongs to.
    name : str
        Name of the file, without ending.
    columns : mapping of str to str
        What each column holds, with its unit: all of `df`'s columns and no other.

    Raises
    ------
    InputError
        If the descriptions and the columns differ.
    """
    names = [str(column) for column in df.columns]
    if differ := sorted(set(names) ^ set(columns)):
        raise InputError(
            f"table {name}: column {differ[0]!r} is "
            + ("not described" if differ[0] in names else "described but not there")
            + "; save_table() takes one description for each column"
        )
    path = build_dir(run) / "tables" / f"{name}.tsv"
    with replacing(path) as part:
        df.to_csv(part, sep="\t", index=False, lineterminator="\n")
    ordered = {column: columns[column] for column in names}
    spec = {"kind": "saved", "path": _relative(path), "run": run, "name": name}
    _emit(spec | {"rows": len(df), "columns": ordered}, {"text/plain": f"saved {_relative(path)}"})


def gallery(items: Sequence[tuple[str, str, str]], caption: str) -> None:
    """Show small drawings side by side, each with a title and a line below it.

    Parameters
    ----------
    items : sequence of (svg, title, subtitle)
        The SVG is shown as a picture: scripts or links in it do nothing.
    caption : str
        Markdown.
    """
    cards = [{"svg": svg, "title": title, "subtitle": below} for svg, title, below in items]
    spec = {"kind": "gallery", "caption": caption, "items": cards}
    _emit(spec, {"text/html": _live_gallery(spec), "text/plain": caption})


def say(text: str) -> None:
    """Read a result aloud: markdown with this run's numbers in it."""
    _emit({"kind": "say", "text": text}, {"text/html": markdown(text), "text/plain": text})


def answer(text: str) -> None:
    """Fill the *Answer* box under the report's title (markdown)."""
    live = f"<blockquote><b>Answer.</b> {markdown(text)}</blockquote>"
    _emit({"kind": "answer", "text": text}, {"text/html": live, "text/plain": text})


def gate(passed: bool, text: str) -> None:
    """State whether the controls allow a conclusion; a failed gate also opens the report."""
    verdict = "Control gate passed." if passed else "Control gate failed."
    live = f"<blockquote><b>{verdict}</b> {markdown(text)}</blockquote>"
    spec = {"kind": "gate", "passed": bool(passed), "text": text}
    _emit(spec, {"text/html": live, "text/plain": f"{verdict} {text}"})


def headline(**numbers: float | int | str | bool | None) -> None:
    """Hand the numbers that the prose quotes to the sidecar, the index and comparisons."""
    clean = {name: _json_value(value) for name, value in numbers.items()}
    _emit({"kind": "headline", "numbers": clean}, {})


def reads(path: Path | str) -> Path:
    """Record a file or folder as an input; the driver hashes it. Returns the path."""
    _emit({"kind": "reads", "path": _relative(Path(path))}, {})
    return Path(path)


def writes(path: Path | str) -> Path:
    """Record a file or folder as an output. Returns the path."""
    _emit({"kind": "writes", "path": _relative(Path(path))}, {})
    return Path(path)


def typed_array(values: np.ndarray) -> dict[str, str]:
    """Write an array the way plotly.js reads it: base64 of little-endian numbers."""
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return {
        "dtype": f"{values.dtype.kind}{values.dtype.itemsize}",
        "bdata": base64.b64encode(little.tobytes()).decode("ascii"),
    }


def _emit(spec: dict[str, Any], live: dict[str, Any]) -> None:
    """Display `spec` for the report and `live` for JupyterLab; print where neither listens."""
    if InteractiveShell.initialized():
        display({MIME: spec, **live}, raw=True)
    elif text := live.get("text/plain"):
        print(text)


def _relative(path: Path) -> str:
    resolved, home = path.resolve(), root()
    inside = resolved.is_relative_to(home)
    return (resolved.relative_to(home) if inside else resolved).as_posix()


def _json_value(value: Any) -> Any:
    """NumPy's scalars as Python's; what is not finite as null."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _column(series: pd.Series) -> tuple[str, int, list[Any]]:
    """Type, decimals and JSON values of a column."""
    if pd.api.types.is_bool_dtype(series):
        return "boolean", 0, [None if pd.isna(v) else bool(v) for v in series]
    if pd.api.types.is_integer_dtype(series):
        return "number", 0, [None if pd.isna(v) else int(v) for v in series]
    if pd.api.types.is_float_dtype(series):
        values = series.to_numpy(np.float64, na_value=np.nan)
        # Seven digits are float32's worth; the whole precision is in save_table()'s file.
        rounded = [float(f"{v:.7g}") if math.isfinite(v) else None for v in values]
        return "number", decimals_for(values), rounded
    return "text", 0, [None if pd.isna(v) else str(v) for v in series]


def _typed_arrays(node: Any) -> Any:
    """Turn number lists of a trace into plotly's base64 typed arrays, half as wide if possible."""
    if isinstance(node, dict):
        if node.get("dtype") == "f8" and "bdata" in node:
            values = np.frombuffer(base64.b64decode(node["bdata"]), np.float64)
            return _packed(values, node.get("shape"))
        return {key: _typed_arrays(value) for key, value in node.items()}
    if isinstance(node, list):
        array = _number_array(node)
        if array is None:
            return [_typed_arrays(value) if isinstance(value, dict) else value for value in node]
        return _packed(array.ravel(), ", ".join(map(str, array.shape)) if array.ndim > 1 else None)
    return node


def _number_array(values: list[Any]) -> np.ndarray | None:
    """Return a list (of lists) of numbers and nulls as an array, None for anything else."""
    flat = [v for row in values for v in row] if values and isinstance(values[0], list) else values
    if len(flat) < _SHORT or not all(
        v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in flat
    ):
        return None
    try:
        return np.array(values, dtype=np.float64)
    except ValueError:  # rows of unequal length
        return None


def _packed(values: np.ndarray, shape: str | None) -> dict[str, str]:
    """Make a typed array spec, of float32 if the numbers keep six digits there."""
    size = np.abs(values[np.isfinite(values) & (values != 0)])
    # Larger whole numbers, and p-values near 1e-300, would suffer.
    if values.size >= _LONG and (size.size == 0 or (size.max() < 1e6 and size.min() > 1e-30)):
        values = values.astype(np.float32)
    return typed_array(values) | ({"shape": shape} if shape else {})


def _live_table(spec: dict[str, Any]) -> str:
    """Write the first rows as plain HTML, for JupyterLab."""
    heads = "".join(f"<th>{escape(heading(column))}</th>" for column in spec["columns"])
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>"
        for row in first_rows(spec)
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    hidden = spec["total"] - min(spec["page"], spec["total"])
    more = f"<p>… and {hidden:,} more rows.</p>" if hidden else ""
    return markdown(spec["caption"]) + table + more


def _live_gallery(spec: dict[str, Any]) -> str:
    cards = "".join(
        '<figure style="display:inline-block;margin:.5em">'
        f'<img src="{svg_uri(item["svg"])}" alt="" style="max-width:200px">'
        f"<figcaption>{escape(item['title'])}<br>{escape(item['subtitle'])}</figcaption></figure>"
        for item in spec["items"]
    )
    return markdown(spec["caption"]) + cards
