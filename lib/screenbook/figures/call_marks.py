"""How a call looks: colour, symbol and order, the same in all figures of hits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.palette import BLUE, GREY, ORANGE, PURPLE
from screenbook.figures.small_multiples import as_text, axes_of


@dataclass(frozen=True)
class Mark:
    """Colour, plotly's symbol, size (pixels) and opacity of a point."""

    colour: str
    symbol: str
    size: float
    opacity: float = 0.9


CALL_MARKS = {
    "not testable": Mark(GREY, "circle-open", 6, 0.7),
    "no call": Mark(GREY, "circle", 5, 0.55),
    "off-axis": Mark(ORANGE, "x", 7),
    "aggravates": Mark(PURPLE, "triangle-up", 8),
    "active": Mark(BLUE, "star", 10),
    "rescue": Mark(BLUE, "star", 10),
}
"""Calls in the order in which they are drawn: what matters comes last, on top."""

GOOD = ("rescue", "active")
"""Calls that a screen looks for, with a disease and without one."""

OFF_FLAG = "off-axis"
"""The flag of compounds and doses that leave the way from disease to health."""


def call_column(table: pd.DataFrame) -> str:
    """Return ``call`` of a table of compounds, ``verdict`` of one of treatments."""
    return "call" if "call" in table else "verdict"


def by_call(table: pd.DataFrame) -> Iterator[tuple[str, Mark, pd.DataFrame]]:
    """Rows of each call that occurs, in the order of :data:`CALL_MARKS`; unknown calls first."""
    calls = table[call_column(table)].fillna("").astype(str)
    unknown = [call for call in pd.unique(calls) if call not in CALL_MARKS]
    for call in [*unknown, *CALL_MARKS]:
        some = table[calls == call]
        if len(some):
            yield call, CALL_MARKS.get(call, CALL_MARKS["no call"]), some


def details(table: pd.DataFrame) -> np.ndarray:
    """Return what hovering tells of each row: ``customdata``, shape (n, 6).

    Name, dose, numbers of wells and plates, on-axis score with interval, off-axis score, p and q;
    each as text, blank where the table does not have it.
    """
    dose = next((c for c in ("dose", "best_dose") if c in table), None)
    blank = pd.Series("", index=table.index)
    columns = [
        table["compound"].astype(str),
        _numbers(table, dose, "{:g} µM") if dose else blank,
        _counts(table),
        _interval(table, "on"),
        _numbers(table, "off_score", "{:.3g} control SD"),
        _numbers(table, "q", "{:.2g}"),
    ]
    return np.column_stack([column.to_numpy(dtype=object) for column in columns])


HOVER = (
    "%{hovertext}, %{customdata[1]}<br>%{customdata[2]}<br>on-axis score %{customdata[3]}"
    "<br>off-axis score %{customdata[4]}<br>q %{customdata[5]}"
)
"""Template for :func:`details`; the name is the trace's ``hovertext``, where tags are text."""


def points(
    kind: type[go.Scatter] | type[go.Scattergl],
    some: pd.DataFrame,
    *,
    name: str,
    mark: Mark,
    panel: int,
    legend: bool,
    **more: Any,
) -> go.Scatter | go.Scattergl:
    """Make a trace of compounds that takes part in the page's search.

    Parameters
    ----------
    kind : type
        See :func:`screenbook.figures.small_multiples.scatter_of`.
    some : DataFrame
        Its rows are the points: ``compound`` and what :func:`details` tells.
    name : str
        In the legend.
    mark : Mark
        How they look.
    panel : int
        From 0.
    legend : bool
        Whether the trace stands for its group in the legend.
    **more
        Of the trace: ``x``, ``y`` and what else.
    """
    trace = {
        **{"name": name, "legendgroup": name, "showlegend": legend, "mode": "markers"},
        **{"meta": "compound", "customdata": details(some)},
        "hovertext": [as_text(compound) for compound in some["compound"]],
        "hovertemplate": HOVER + "<extra>" + as_text(name) + "</extra>",
        "marker": {
            **{"color": mark.colour, "symbol": mark.symbol},
            **{"size": mark.size, "opacity": mark.opacity},
        },
    }
    return kind(**axes_of(panel), **{**trace, **more})


def _numbers(table: pd.DataFrame, column: str, form: str) -> pd.Series:
    if column not in table:
        return pd.Series("–", index=table.index)
    return table[column].map(lambda v: form.format(v) if pd.notna(v) else "–")


def _counts(table: pd.DataFrame) -> pd.Series:
    parts = [
        table[column].map(f"{{:,.0f}} {word}".format)
        for column, word in (("n_wells", "wells"), ("n_plates", "plates"))
        if column in table
    ]
    if not parts:
        return pd.Series("", index=table.index)
    return parts[0] if len(parts) == 1 else parts[0] + ", " + parts[1]


def _interval(table: pd.DataFrame, stem: str) -> pd.Series:
    score = _numbers(table, f"{stem}_score", "{:.2f}")
    if f"{stem}_low" not in table:
        return score
    ends = [_numbers(table, f"{stem}_{end}", "{:.2f}") for end in ("low", "high")]
    return score + " (" + ends[0] + " to " + ends[1] + ")"
