"""Cells of an expression screen: on which drugs, lines and pairs they fall, at which doses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.palette import (
    BLUE,
    GREEN,
    LOG_TICKS,
    ORANGE,
    PURPLE,
    REFERENCE,
    SEQUENTIAL,
    style,
)
from screenbook.figures.small_multiples import as_text, nothing_to_draw, require

LEVEL_MARKS = {
    "drug": (BLUE, "solid", "circle", "drugs"),
    "line": (ORANGE, "dash", "diamond", "cell lines"),
    "pair": (GREEN, "dot", "square", "drug × line pairs"),
}
"""Colour, dash, symbol and name of each level."""

_KEPT = {
    "share_of_pairs": LEVEL_MARKS["pair"],
    "share_of_drugs": LEVEL_MARKS["drug"],
    "share_of_lines": LEVEL_MARKS["line"],
    "share_of_cells": (PURPLE, "dashdot", "cross", "cells"),
}
_MOST_NAMES = 30  # rows or columns of a heat map that can have their names written
_MOST_NARROW = 12  # columns of one on a phone
_TIGHT = {"margin.l": 55, "margin.r": 14}


def lorenz_curves(
    curves: pd.DataFrame,
    notes: Mapping[str, str] | None = None,
    *,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Draw how the share of cells grows from the poorest group to the richest.

    Parameters
    ----------
    curves : DataFrame
        Of :func:`screenbook.expression.imbalance.lorenz_curves`: ``level groups cells``.
    notes : mapping of str to str, optional
        What the legend adds for a level, its Gini coefficient say.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(curves, ["level", "groups", "cells"], "lorenz_curves()")
    fig = go.Figure()
    for level, (colour, dash, _, name) in LEVEL_MARKS.items():
        rows = curves[curves["level"] == level]
        if rows.empty:
            continue
        note = (notes or {}).get(level, "")
        fig.add_scatter(
            x=rows["groups"], y=rows["cells"], mode="lines",
            name=f"{name} ({as_text(note)})" if note else name,
            line={"color": colour, "dash": dash, "width": 2.5},
            hovertemplate="The poorest %{x:.1%} of " + name + " have %{y:.1%} of the cells"
            "<extra></extra>",
        )  # fmt: skip
    fig.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="all alike", hoverinfo="skip",
        line={"color": REFERENCE, "dash": "longdash", "width": 1.5},
    )  # fmt: skip
    style(
        fig, title=title, subtitle=subtitle, x="share of groups, poorest first",
        y="share of all cells", height=400,
    )  # fmt: skip
    fig.update_xaxes(range=[0, 1], tickformat=".0%").update_yaxes(range=[0, 1], tickformat=".0%")
    return _room_for_legend(fig, len(fig.data))


def threshold_curves(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw what is left when pairs of few cells are dropped.

    Parameters
    ----------
    table : DataFrame
        Of :func:`screenbook.expression.imbalance.apply_thresholds`. A threshold of 0, which a
        logarithmic axis cannot show, is left out.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["threshold", *_KEPT], "threshold_curves()")
    table = table[table["threshold"] > 0]
    if table.empty:
        return nothing_to_draw(title, subtitle, "There is no threshold to draw.")
    fig = go.Figure()
    for column, (colour, dash, symbol, name) in _KEPT.items():
        fig.add_scatter(
            x=table["threshold"], y=table[column], mode="lines+markers", name=name,
            line={"color": colour, "dash": dash}, marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x:,} cells or more: %{y:.1%} of " + name + "<extra></extra>",
        )  # fmt: skip
    style(
        fig, title=title, subtitle=subtitle, x="fewest cells of a pair (log scale)",
        y="share that is left", height=360,
    )  # fmt: skip
    low, high = table["threshold"].min(), table["threshold"].max()
    ticks = [tick for tick in LOG_TICKS if low <= tick <= high]
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks])
    fig.update_yaxes(range=[0, 1.03], tickformat=".0%")
    _room_for_legend(fig, len(_KEPT))
    few = [tick for tick in ticks if np.log10(tick) % 1 == 0] or ticks
    sparse = {"xaxis.tickvals": few, "xaxis.ticktext": [f"{tick:,}" for tick in few]}
    return fig.update_layout(meta={"narrow": {**fig.layout.meta["narrow"], **sparse}})


def cells_heatmap(matrix: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw the cells of every drug in every line, by colour on a logarithmic scale.

    Parameters
    ----------
    matrix : DataFrame
        Of :func:`screenbook.expression.imbalance.pair_matrix`: treatments by lines. Pairs
        without a cell are blank.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    counts = matrix.to_numpy(dtype=float)
    counts = np.where(counts > 0, counts, np.nan)
    if not np.isfinite(counts).any():
        return nothing_to_draw(title, subtitle, "No pair has a cell.")
    low, high = np.log10(np.nanmin(counts)), np.log10(np.nanmax(counts))
    fig = go.Figure(
        go.Heatmap(
            z=np.log10(counts),
            customdata=counts,
            x=[as_text(name) for name in matrix.columns],
            y=[as_text(name) for name in matrix.index],
            coloraxis="coloraxis",
            hoverongaps=False,
            hovertemplate="%{y} in %{x}<br>%{customdata:,.0f} cells<extra></extra>",
        )
    )
    fig.update_layout(coloraxis=_log_colours(low, high))
    n, m = matrix.shape
    height = int(np.clip(20 * n, 160, 620))
    style(
        fig, title=title, subtitle=subtitle, x=_axis_title("cell line", m),
        y=_axis_title("drug", n), height=height,
    )  # fmt: skip
    fig.update_xaxes(
        type="category", showgrid=False, ticks="", tickangle=-90, showticklabels=m <= 60
    )
    fig.update_yaxes(
        type="category", showgrid=False, ticks="", autorange="reversed",
        showticklabels=n <= _MOST_NAMES,
    )  # fmt: skip
    fig.update_xaxes(tickfont={"size": 10}, title={"standoff": 12})
    fig.update_layout(margin={"b": 150}, height=fig.layout.height + 95)
    narrow = {**_TIGHT, "margin.b": 115, "height": height + 175,
              "coloraxis.colorbar.len": 1, "xaxis.showticklabels": m <= _MOST_NARROW,
              "yaxis.tickvals": list(range(n)),
              "yaxis.ticktext": [as_text(name, 14) for name in matrix.index]}  # fmt: skip
    return fig.update_layout(meta={"narrow": narrow})


def plate_dose_table(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw how many treatments stand on each plate at each dose.

    Parameters
    ----------
    table : DataFrame
        Of :func:`screenbook.expression.imbalance.plate_doses`: plates (index) by doses (columns,
        uM). Blank where there is none.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    if table.empty:
        return nothing_to_draw(title, subtitle, "There is no plate to draw.")
    counts = table.to_numpy(dtype=float)
    fig = go.Figure(
        go.Heatmap(
            z=np.where(counts > 0, counts, np.nan),
            x=[f"{float(dose):g} µM" for dose in table.columns],
            y=[as_text(plate, 18) for plate in table.index],
            colorscale=[[0.0, "#DCEAF5"], [1.0, "#3E97CC"]],
            zmin=0,
            showscale=False,
            xgap=2,
            ygap=2,
            hoverongaps=False,
            texttemplate="%{z:.0f}",
            textfont={"color": "#101418"},
            hovertemplate="%{y}, %{x}: %{z:.0f} treatments<extra></extra>",
        )
    )
    style(
        fig, title=title, subtitle=subtitle, x="dose", y="plate", height=90 + 24 * len(table)
    )  # fmt: skip
    fig.update_xaxes(type="category", showgrid=False, ticks="")
    fig.update_yaxes(type="category", showgrid=False, ticks="", autorange="reversed", title_text="")
    return fig


def _log_colours(low: float, high: float) -> dict[str, object]:
    """Make the colour axis of decimal logarithms, its bar below the map."""
    # Beside the map the bar would take a third of a phone's width.
    ticks = [tick for tick in LOG_TICKS if low <= np.log10(tick) <= high]
    decades = [tick for tick in ticks if np.log10(tick) % 1 == 0]
    ticks = decades if len(decades) > 2 else ticks
    bar = {
        "title": {"text": "cells of a pair (log scale)", "side": "top"}, "thickness": 12,
        "orientation": "h", "x": 0.5, "xanchor": "center", "len": 0.7,
        "y": 0, "yref": "container", "yanchor": "bottom",
        "tickvals": np.log10(ticks), "ticktext": [f"{tick:,}" for tick in ticks], "outlinewidth": 0,
    }  # fmt: skip
    return {"colorscale": SEQUENTIAL, "cmin": low, "cmax": high, "colorbar": bar}


def _axis_title(what: str, n: int) -> str:
    return f"{n:,} {what}s, most cells first"


def _room_for_legend(fig: go.Figure, entries: int) -> go.Figure:
    """Give the legend lines enough below the axis, on a wide and on a narrow page."""
    lines = -(-entries // 4)
    fig.update_layout(margin={"b": 62 + 22 * lines}, height=fig.layout.height + 22 * lines)
    foot = 62 + 22 * entries
    narrow = {**_TIGHT, "margin.b": foot, "height": 300 + foot}
    return fig.update_layout(meta={"narrow": narrow})
