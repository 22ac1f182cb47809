"""Small multiples: panels laid out in pixels, on a wide page and on a narrow one.

Beside them, what such figures share: text of data that stays text, and the figure that says why
there is nothing to draw.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from screenbook.errors import InputError
from screenbook.figures.palette import shade, style

PAGE_WIDTH = 860
"""Pixels that a figure has on a wide page, about."""
PHONE_WIDTH = 330
"""Pixels that it has on a phone."""

MOST_AS_SVG = 2_000
"""Points drawn as SVG; more are drawn by WebGL, of which a page can hold few figures."""

_TITLE_ROOM = 24  # pixels above a panel, for its title
_TICK_ROOM = 30  # below it, for the ticks of its axis
_FOOT = 52  # below all panels, for ticks and title of the axis
_LEGEND_LINE = 22


@dataclass(frozen=True)
class Layout:
    """Sizes of small multiples, in pixels.

    Attributes
    ----------
    columns, narrow_columns : int
        Panels side by side on a wide and on a narrow page.
    height, narrow_height : int
        Of a panel with its title and its ticks.
    gap : float
        Between panels, of the width.
    legend, narrow_legend : int
        Lines of the legend below the panels.
    own_y : bool
        Every panel has a y axis of its own, with its ticks.
    """

    columns: int
    height: int
    narrow_height: int
    narrow_columns: int = 1
    gap: float = 0.05
    legend: int = 1
    narrow_legend: int = 3
    own_y: bool = False

    def width(self, *, narrow: bool) -> float:
        """Pixels of a panel's width, about."""
        columns = self.narrow_columns if narrow else self.columns
        whole = (PHONE_WIDTH if narrow else PAGE_WIDTH) - 70
        return whole * (1 - self.gap * (columns - 1)) / columns

    def depth(self, *, narrow: bool) -> int:
        """Pixels of a panel's height, without title and ticks."""
        return (self.narrow_height if narrow else self.height) - _TITLE_ROOM - _TICK_ROOM


def axes_of(panel: int) -> dict[str, str]:
    """Name the axes of a trace by its panel, counted from 0: ``{"xaxis": "x2", ...}``."""
    suffix = "" if panel == 0 else str(panel + 1)
    return {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}


def arrange(
    fig: go.Figure,
    titles: Sequence[str],
    layout: Layout,
    *,
    title: str,
    subtitle: str,
    x: str,
    y: str,
    x_axis: Mapping[str, Any] | None = None,
    y_axis: Mapping[str, Any] | None = None,
) -> go.Figure:
    """Style a figure of panels and give each its place, on a wide and on a narrow page.

    The page reads ``layout.meta["narrow"]`` where it is narrower than 600 pixels. Annotations
    that the figure has already stay; titles of panels come after them.

    Parameters
    ----------
    fig : plotly.graph_objects.Figure
        Its traces name their axes, see :func:`axes_of`. Changed in place.
    titles : sequence of str
        One for each panel, row by row; text, not HTML.
    layout : Layout
        Sizes.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    x, y : str
        Titles of the axes, with unit; written once in each column and in each row.
    x_axis, y_axis : mapping, optional
        What all x axes and all y axes have in common: range, ticks.

    Returns
    -------
    plotly.graph_objects.Figure
        The same figure.
    """
    n = len(titles)
    foot = _FOOT + _LEGEND_LINE * layout.legend
    rows = -(-n // layout.columns)
    area = rows * layout.height - _TICK_ROOM
    style(fig, title=title, subtitle=subtitle, height=area + 12 + foot)
    fig.update_layout(margin={"b": foot})
    wide, narrow = _places(n, layout, area, narrow=False), dict[str, Any]()
    narrow_rows = -(-n // layout.narrow_columns)
    narrow_area = narrow_rows * layout.narrow_height - _TICK_ROOM
    narrow_foot = _FOOT + _LEGEND_LINE * layout.narrow_legend
    tight = _places(n, layout, narrow_area, narrow=True)
    narrow |= {"height": narrow_area + 16 + narrow_foot, "margin.b": narrow_foot, "margin.r": 10}
    first = len(fig.layout.annotations)
    for i, (panel, there) in enumerate(zip(wide, tight, strict=True)):
        axes = axes_of(i)
        suffix = axes["xaxis"][1:]
        across = {"domain": panel.across, "anchor": axes["yaxis"], **(x_axis or {})}
        up = {"domain": panel.up, "anchor": axes["xaxis"], "showticklabels": panel.y_ticks}
        across["title"] = {"text": x if panel.is_last else "", "font": {"size": 13}}
        up["title"] = {"text": y if panel.is_first else "", "font": {"size": 13}}
        fig.update_layout({f"xaxis{suffix}": across, f"yaxis{suffix}": {**up, **(y_axis or {})}})
        fig.add_annotation(
            **{"text": f"<b>{as_text(titles[i])}</b>", "x": panel.across[0], "y": panel.up[1]},
            **{"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"},
            **{"showarrow": False, "font": {"size": 13}},
        )
        narrow |= {
            f"xaxis{suffix}.domain": there.across,
            f"yaxis{suffix}.domain": there.up,
            f"yaxis{suffix}.showticklabels": there.y_ticks,
            f"xaxis{suffix}.title.text": x if there.is_last else "",
            f"yaxis{suffix}.title.text": y if there.is_first else "",
            f"annotations[{first + i}].x": there.across[0],
            f"annotations[{first + i}].y": there.up[1],
        }
    meta = dict(fig.layout.meta or {})
    return fig.update_layout(meta=meta | {"narrow": meta.get("narrow", {}) | narrow})


@dataclass(frozen=True)
class _Place:
    across: list[float]
    up: list[float]
    is_first: bool  # of its row
    is_last: bool  # of its column
    y_ticks: bool


def _places(n: int, layout: Layout, area: int, *, narrow: bool) -> list[_Place]:
    columns = layout.narrow_columns if narrow else layout.columns
    columns = min(columns, n)
    height = layout.narrow_height if narrow else layout.height
    width = (1 - layout.gap * (columns - 1)) / columns
    places = []
    for i in range(n):
        row, column = divmod(i, columns)
        left, top = column * (width + layout.gap), area - row * height
        foot = max(0, top - height + _TICK_ROOM)
        places.append(
            _Place(
                across=[left, min(1.0, left + width)],
                up=[foot / area, (top - _TITLE_ROOM) / area],
                is_first=column == 0,
                is_last=i + columns >= n,
                y_ticks=layout.own_y or column == 0,
            )
        )
    return places


def as_text(value: object, most: int = 60) -> str:
    """Text of data as plotly prints it: never a tag, one line, cut after `most` characters."""
    line = " ".join(str(value).split())
    line = line if len(line) <= most else line[: most - 1].rstrip() + "…"
    return html.escape(line, quote=False)


def scatter_of(n: int) -> type[go.Scatter] | type[go.Scattergl]:
    """Choose the kind of trace for `n` points: SVG while they are few."""
    return go.Scatter if n <= MOST_AS_SVG else go.Scattergl


def require(table: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """Raise :class:`~screenbook.errors.InputError` if a table lacks a column."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(f"{what}: column {missing[0]!r} is missing; the figure draws it")


def nothing_to_draw(title: str, subtitle: str, why: str) -> go.Figure:
    """Return a figure without axes that says why it is empty."""
    fig = go.Figure()
    fig.add_annotation(
        **{"text": as_text(why, 200), "x": 0, "y": 0.5, "xref": "paper", "yref": "paper"},
        **{"xanchor": "left", "showarrow": False, "font": {"size": 14}},
    )
    style(fig, title=title, subtitle=subtitle, height=120)
    return fig.update_xaxes(visible=False).update_yaxes(visible=False)


def add_count(subtitle: str, n: int, what: str) -> str:
    """Append to a subtitle how many are not drawn, and why; nothing if there are none."""
    if not n:
        return subtitle
    told = f"{n:,} {what}"
    return f"{subtitle}; {told}" if subtitle else told


def whiskers(
    value: pd.Series, low: pd.Series, high: pd.Series, colour: str, alpha: float = 0.9
) -> dict[str, Any]:
    """Make plotly's error bars of an interval about a value."""
    return {
        **{"type": "data", "symmetric": False, "thickness": 1.3, "width": 0},
        **{"array": (high - value).to_numpy(), "arrayminus": (value - low).to_numpy()},
        "color": shade(colour, alpha),
    }
