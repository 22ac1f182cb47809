"""Values with their intervals, one row each: variants, representations, losses side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.palette import BLUE, GREEN, ORANGE, PURPLE, REFERENCE, SKY, VERMILLION
from screenbook.figures.small_multiples import (
    PAGE_WIDTH,
    PHONE_WIDTH,
    Layout,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
    require,
    whiskers,
)

Marks = Mapping[str, tuple[str, str]]

SERIES_MARKS = (
    (BLUE, "circle"),
    (ORANGE, "diamond"),
    (GREEN, "square"),
    (PURPLE, "triangle-up"),
    (SKY, "cross"),
    (VERMILLION, "star"),
)
"""Colour and symbol of the first series, the second, and so on."""

_LEVELS = {"chance": (REFERENCE, "dot"), "bound": (VERMILLION, "solid")}
_DODGE = 0.56  # of the room of a row, shared by its series
_LABEL, _NARROW_LABEL = 24, 15  # letters in a line of a row's name
_ROW, _NARROW_ROW = 34, 40  # pixels of a row, for one series
_LEAST = 130  # of a panel
_MORE = 11  # and for each further one


@dataclass(frozen=True)
class Axis:
    """What is drawn along the horizontal axis.

    Attributes
    ----------
    title : str
        With unit.
    range : tuple of float
        Ends.
    """

    title: str
    range: tuple[float, float] = (-0.02, 1.02)


@dataclass(frozen=True)
class _Rows:
    names: list[str]
    series: list[str]
    panels: list[str]
    marks: dict[str, tuple[str, str]]
    dodge: bool

    @property
    def lines(self) -> int:
        """Lines that the series of a row take."""
        return len(self.series) if self.dodge else 1

    def at(self, rows: pd.Series, series: str) -> np.ndarray:
        """Heights of values of a series."""
        place = self.series.index(series) if self.dodge else 0
        offset = _DODGE * ((place + 0.5) / self.lines - 0.5)
        return np.array([self.names.index(str(name)) + offset for name in rows], dtype=float)


def interval_rows(
    table: pd.DataFrame,
    axis: Axis,
    *,
    title: str,
    subtitle: str = "",
    marks: Marks | None = None,
    join: bool = False,
    dodge: bool = True,
    chance: str = "chance",
    bound: str = "bound",
    empty: str = "There is no result to draw.",
) -> go.Figure:
    """Draw a dot with its interval for each row and series, beside the level of chance.

    Parameters
    ----------
    table : DataFrame
        ``row`` (name, in order of first appearance from the top) and ``value``; optionally
        ``low`` and ``high`` (ends of the interval, missing for none), ``chance`` (level of
        chance), ``bound`` (what cannot be passed), ``series`` (colour and symbol), ``panel``, and
        ``detail`` (what hovering adds). Rows whose value is missing are left out.
    axis : Axis
        The horizontal axis of all panels.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    marks : mapping of str to (colour, symbol), optional
        Of series; :data:`SERIES_MARKS` in order for the others.
    join : bool
        Draw a line between the values of a row.
    dodge : bool
        Give every series of a row a line of its own.
    chance, bound : str
        What the legend calls these levels.
    empty : str
        What is said where there is no value.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["row", "value"], "interval_rows()")
    table = table[table["value"].notna()].reset_index(drop=True)
    if table.empty:
        return nothing_to_draw(title, subtitle, empty)
    for column in ("series", "panel", "detail"):
        table[column] = table[column].astype(str) if column in table else ""
    for column in ("low", "high", "chance", "bound"):
        table[column] = table[column].astype(float) if column in table else np.nan
    rows = _rows(table, marks or {}, dodge=dodge and not join)
    fig = go.Figure()
    for i, panel in enumerate(rows.panels):
        some = table[table["panel"] == panel]
        if join:
            _draw_joins(fig, some, rows, i)
        _draw_values(fig, some, rows, i)
        for column, name in (("chance", chance), ("bound", bound)):
            _draw_level(fig, some, rows, i, column, name)
    n = len(rows.names)
    height, tall = (
        max(_LEAST, 54 + n * (room + _MORE * (rows.lines - 1))) for room in (_ROW, _NARROW_ROW)
    )
    entries = [trace.name for trace in fig.data if trace.showlegend]
    layout = Layout(
        len(rows.panels), height, tall, gap=0.04, legend=_legend_lines(entries, PAGE_WIDTH),
        narrow_legend=_legend_lines(entries, PHONE_WIDTH),
    )  # fmt: skip
    names = [_wrapped(name, _LABEL) for name in rows.names]
    arrange(
        fig, rows.panels, layout, title=title, subtitle=subtitle, x=axis.title, y="",
        x_axis={"nticks": 6, "range": list(axis.range)},
        y_axis={"tickvals": list(range(n)), "ticktext": names, "range": [n - 0.5, -0.5],
                "zeroline": False},
    )  # fmt: skip
    return _fit_text(fig, rows, axis)


def _rows(table: pd.DataFrame, marks: Marks, *, dodge: bool) -> _Rows:
    series = [str(name) for name in pd.unique(table["series"])]
    unmarked = [name for name in series if name not in marks]
    own = {name: SERIES_MARKS[i % len(SERIES_MARKS)] for i, name in enumerate(unmarked)}
    return _Rows(
        names=[str(name) for name in pd.unique(table["row"])],
        series=series,
        panels=[str(name) for name in pd.unique(table["panel"])],
        marks=own | {name: marks[name] for name in series if name in marks},
        dodge=dodge,
    )


def _draw_joins(fig: go.Figure, table: pd.DataFrame, rows: _Rows, panel: int) -> None:
    x: list[float | None] = []
    y: list[float | None] = []
    for name, some in table.groupby("row", sort=False):
        at = rows.names.index(str(name))
        x += [some["value"].min(), some["value"].max(), None]
        y += [at, at, None]
    fig.add_scatter(
        **axes_of(panel), x=x, y=y, mode="lines", line={"color": REFERENCE, "width": 2},
        hoverinfo="skip", showlegend=False,
    )  # fmt: skip


def _draw_values(fig: go.Figure, table: pd.DataFrame, rows: _Rows, panel: int) -> None:
    axes = axes_of(panel)
    for series in rows.series:
        some = table[table["series"] == series]
        if some.empty:
            continue
        colour, symbol = rows.marks[series]
        fig.add_scatter(
            **axes, x=some["value"], y=rows.at(some["row"], series), mode="markers",
            name=as_text(series) or "value",
            legendgroup=series, showlegend=bool(series) and not _has(fig, series),
            marker={"color": colour, "symbol": symbol, "size": 10},
            error_x=whiskers(some["value"], some["low"], some["high"], colour),
            customdata=np.column_stack([some[c].map(as_text) for c in ("row", "detail")]),
            hovertext=[_told(row) for row in some.to_dict("records")],
            hovertemplate="%{customdata[0]}<br>%{hovertext}<br>%{customdata[1]}<extra>"
            + as_text(series) + "</extra>",
        )  # fmt: skip


def _draw_level(
    fig: go.Figure, table: pd.DataFrame, rows: _Rows, panel: int, column: str, name: str
) -> None:
    """Draw a level, of chance or a bound, as a line through the room of each value."""
    known = table[table[column].notna()].drop_duplicates(["row", "series", column])
    if known.empty:
        return
    whole = not rows.dodge or known.groupby("row")[column].nunique().max() == 1
    reach = 0.46 if whole else 0.46 * _DODGE / rows.lines
    x: list[float | None] = []
    y: list[float | None] = []
    for row, series, level in known[["row", "series", column]].itertuples(index=False):
        at = rows.names.index(row) if whole else rows.at(pd.Series([row]), series)[0]
        x += [level, level, None]
        y += [at - reach, at + reach, None]
    colour, dash = _LEVELS[column]
    dash = dash if whole else "solid"  # a short dash looks like dust
    fig.add_scatter(
        **axes_of(panel), x=x, y=y, mode="lines", name=as_text(name), legendgroup=f"the {column}",
        legendrank=2000,
        line={"color": colour, "dash": dash, "width": 2}, hoverinfo="skip",
        showlegend=not _has(fig, f"the {column}"),
    )  # fmt: skip


def _told(row: dict[Any, Any]) -> str:
    value, low, high = (f"{row[c]:.3g}" for c in ("value", "low", "high"))
    text = value if pd.isna(row["low"]) else f"{value} ({low} to {high})"
    return text if pd.isna(row["chance"]) else f"{text}, chance {row['chance']:.3g}"


def _legend_lines(names: Sequence[str], page: int) -> int:
    """Lines that the entries of a legend take on a page so wide, about."""
    room, lines, used = page - 110, 1, 0.0
    for name in names:
        width = 50 + 6.8 * len(name)
        if used and used + width > room:
            lines, used = lines + 1, 0.0
        used += width
    return lines


def _wrapped(name: str, letters: int) -> str:
    lines = textwrap.wrap(name, letters)[:3] or [""]
    return "<br>".join(as_text(line) for line in lines)


def _fit_text(fig: go.Figure, rows: _Rows, axis: Axis) -> go.Figure:
    """Wrap names of rows and the title of the axis sooner where the page is narrow."""
    narrow = dict(fig.layout.meta["narrow"])
    names = [_wrapped(name, _NARROW_LABEL) for name in rows.names]
    last = len(rows.panels) - 1
    for i in range(last + 1):
        narrow[axes_of(i)["yaxis"].replace("y", "yaxis") + ".ticktext"] = names
    title = "<br>".join(textwrap.wrap(axis.title.replace("(0 to 1)", "(0\u00a0to\u00a01)"), 30))
    narrow[axes_of(last)["xaxis"].replace("x", "xaxis") + ".title.text"] = title
    more = 18 * title.count("<br>")
    narrow["height"] += more
    narrow["margin.b"] += more
    return fig.update_layout(meta={"narrow": narrow})


def _has(fig: go.Figure, group: str) -> bool:
    return any(trace.legendgroup == group and trace.showlegend for trace in fig.data)
