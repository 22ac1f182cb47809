"""Self-distillation: how it trained, what it tells of treatments, and what of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.interval_rows import SERIES_MARKS
from screenbook.figures.labels import print_names
from screenbook.figures.palette import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    REFERENCE,
    SKY,
    VERMILLION,
    shade,
)
from screenbook.figures.small_multiples import (
    Layout,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
    require,
)

VARIANT_MARKS = {
    "DINO": (SKY, "circle-open", "dot"),
    "DINO-CB": (BLUE, "circle", "solid"),
    "BYOL": (ORANGE, "square-open", "dot"),
    "BYOL-CB": (ORANGE, "square", "solid"),
    "CDCL": (VERMILLION, "diamond", "solid"),
    "supervised": (GREEN, "star", "dash"),
    "untrained": (GREY, "x", "dash"),
    "channel statistics": (PURPLE, "triangle-up", "dash"),
}
"""Colour, symbol and dash of each variant; full marks learn from pairs across batches."""

CURVES = {
    "dino": "DINO: loss / log K",
    "byol": "BYOL: loss",
    "spread": "spread of the embedding (SD)",
    "rank": "effective rank of the embedding",
}
"""Columns of a training's history that are drawn, and what their panels are called."""

AGAINST = {
    "batch_id": "batch told from the embedding (lower is better)",
    "kbet": "kBET acceptance (higher is better)",
}

_NONE = "No variant was trained, so there is nothing to draw."


def training_curves(
    histories: Mapping[str, pd.DataFrame],
    *,
    limits: Mapping[str, float] | None = None,
    measures: Mapping[str, str] = CURVES,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Follow the losses and the signs of collapse of all variants.

    Parameters
    ----------
    histories : mapping of str to DataFrame
        Variant to the history of its training: ``step``, and some columns of `measures`. Where
        it has a column ``seed``, there is a line for each.
    limits : mapping of str to float, optional
        For columns of `measures`, where a run counts as collapsed.
    measures : mapping of str to str
        Columns to draw, each in a panel, and its title.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a history has no column ``step``.
    """
    for name, history in histories.items():
        require(history, ["step"], f"training_curves(), history of {name}")
    drawn = {
        column: text
        for column, text in measures.items()
        if any(column in h and h[column].notna().any() for h in histories.values())
    }
    if not drawn:
        return nothing_to_draw(title, subtitle, _NONE)
    fig = go.Figure()
    marks = variant_marks(histories)
    for i, column in enumerate(drawn):
        for name, history in histories.items():
            if column in history and history[column].notna().any():
                for line in _lines(name, history, column, i, marks[name]):
                    fig.add_trace(line.update(showlegend=not _named(fig, name)))
        if column in (limits or {}):
            _draw_limit(fig, histories.values(), (limits or {})[column], i)
    columns = min(2, len(drawn))
    layout = Layout(columns, 250, 215, gap=0.09, legend=2, narrow_legend=4, own_y=True)
    arrange(
        fig, list(drawn.values()), layout, title=title, subtitle=subtitle, x="step", y="",
        x_axis={"nticks": 6}, y_axis={"rangemode": "tozero", "nticks": 6},
    )  # fmt: skip
    return fig


def variant_marks(names: Any) -> dict[str, tuple[str, str, str]]:
    """Colour, symbol and dash of each variant, the same in all figures; others in order."""
    names = [str(name) for name in names]
    others = [name for name in names if name not in VARIANT_MARKS]
    spare = {
        name: (*SERIES_MARKS[i % len(SERIES_MARKS)], "dashdot") for i, name in enumerate(others)
    }
    return {name: VARIANT_MARKS.get(name) or spare[name] for name in names}


def _lines(
    name: str, history: pd.DataFrame, column: str, panel: int, mark: tuple[str, str, str]
) -> list[go.Scatter]:
    runs = [rows for _, rows in history.groupby("seed")] if "seed" in history else [history]
    colour, _, dash = mark
    return [
        go.Scatter(
            **axes_of(panel), x=rows["step"], y=rows[column], mode="lines", name=as_text(name),
            legendgroup=name, line={"color": colour, "dash": dash, "width": 1.8},
            opacity=0.9 if len(runs) == 1 else 0.6,
            hovertemplate="step %{x}: %{y:.3g}<extra>" + as_text(name) + "</extra>",
        )
        for rows in runs
    ]  # fmt: skip


def _named(fig: go.Figure, name: str) -> bool:
    return any(trace.legendgroup == name and trace.showlegend for trace in fig.data)


def _draw_limit(fig: go.Figure, histories: Any, level: float, panel: int) -> None:
    last = max(float(history["step"].max()) for history in histories)
    fig.add_scatter(
        **axes_of(panel), x=[0, last], y=[level, level], mode="lines", name="counts as collapsed",
        legendgroup="the limit", legendrank=2000, showlegend=not _named(fig, "the limit"),
        line={"color": REFERENCE, "dash": "dash", "width": 2},
        hovertemplate="counts as collapsed: %{y:g}<extra></extra>",
    )  # fmt: skip


def accuracy_against_batches(
    table: pd.DataFrame,
    *,
    accuracy: str = "knn",
    against: Mapping[str, str] = AGAINST,
    runs: pd.DataFrame | None = None,
    standardised: str = "none",
    title: str,
    subtitle: str = "",
    y: str = "treatment accuracy, held-out experiments",
) -> go.Figure:
    """Set what is told of treatments against what is told of batches, a point a variant.

    Parameters
    ----------
    table : DataFrame
        Of :func:`screenbook.images.embedding_scores.variant_table`: ``variant``, the column
        `accuracy` and those of `against` (means over seeds), and optionally for each
        ``<column>_sd`` (bars) and ``<column>_chance``; rows of which ``standardised`` is another
        are left out.
    accuracy : str
        Column of the vertical axis.
    against : mapping of str to str
        Columns of the horizontal axes, a panel each, and their titles.
    runs : DataFrame, optional
        Of :func:`screenbook.images.embedding_scores.score_table`: small points, one for each
        training seed.
    standardised : str
        Which rows of both tables.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    y : str
        Title of the vertical axis.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["variant", accuracy, *against], "accuracy_against_batches()")
    table = _only(table, standardised)
    table = table[table[accuracy].notna()].reset_index(drop=True)
    if table.empty:
        return nothing_to_draw(title, subtitle, _NONE)
    seeds = None if runs is None else _by_seed(_only(runs, standardised))
    fig = go.Figure()
    chance = {c: _first(table, f"{c}_chance") for c in (accuracy, *against)}
    up, across = _range(table, accuracy, chance[accuracy], seeds), [-0.04, 1.04]
    marks = variant_marks(table["variant"])
    shown = []
    for i, column in enumerate(against):
        if seeds is not None and {column, accuracy} <= set(seeds):
            fig.add_trace(_run_points(seeds, column, accuracy, i, marks))
        for row in table.to_dict("records"):
            if pd.notna(row[column]):
                fig.add_trace(_variant_point(row, column, accuracy, i, marks, i == 0))
        _draw_chance(fig, chance[column], chance[accuracy], i, across, up)
        places = table.rename(columns={"variant": "compound", column: "x", accuracy: "y"})
        shown.append(places.dropna(subset=["x"])[["compound", "x", "y"]])
    layout = Layout(min(2, len(against)), 400, 330, gap=0.06, legend=2, narrow_legend=5)
    print_names(fig, shown, shown, layout, across, up)
    arrange(
        fig, list(against.values()), layout, title=title, subtitle=subtitle,
        x="share (0 to 1)", y=y, x_axis={"range": across, "nticks": 6},
        y_axis={"range": up, "nticks": 6},
    )  # fmt: skip
    return fig


def _only(table: pd.DataFrame, standardised: str) -> pd.DataFrame:
    if "standardised" not in table:
        return table
    return table[table["standardised"] == standardised]


def _by_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """Lay the measures of every training side by side."""
    keys = ["variant", "training_seed"]
    require(runs, [*keys, "measure", "value"], "accuracy_against_batches(), runs")
    wide = runs.pivot_table("value", keys, "measure", aggfunc="first")
    return wide.reset_index()


def _first(table: pd.DataFrame, column: str) -> float:
    known = table[column].dropna() if column in table else pd.Series(dtype=float)
    return float(known.iloc[0]) if len(known) else np.nan


def _range(
    table: pd.DataFrame, accuracy: str, chance: float, seeds: pd.DataFrame | None
) -> list[float]:
    sd = table.get(f"{accuracy}_sd", pd.Series(0.0, index=table.index)).fillna(0)
    values = [*(table[accuracy] - sd), *(table[accuracy] + sd), chance]
    values += [] if seeds is None or accuracy not in seeds else list(seeds[accuracy])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.09 * (high - low or 1)
    return [low - room, high + room]


def _variant_point(
    row: Mapping[Any, Any],
    column: str,
    accuracy: str,
    panel: int,
    marks: Mapping[str, tuple[str, str, str]],
    legend: bool,
) -> go.Scatter:
    name = str(row["variant"])
    colour, symbol, _ = marks[name]
    spreads = {}
    for side, value in (("error_x", column), ("error_y", accuracy)):
        sd = row.get(f"{value}_sd", np.nan)
        if pd.notna(sd):
            spreads[side] = {
                **{"type": "data", "array": [sd], "thickness": 1.3, "width": 3},
                "color": shade(colour, 0.9),
            }
    return go.Scatter(
        **axes_of(panel), x=[row[column]], y=[row[accuracy]], mode="markers", name=as_text(name),
        legendgroup=name, showlegend=legend, **spreads,
        marker={"color": colour, "symbol": symbol, "size": 12,
                "line": {"width": 2, "color": colour}},
        hovertemplate="%{x:.3f}, accuracy %{y:.3f}<extra>" + as_text(name) + "</extra>",
    )  # fmt: skip


def _run_points(
    runs: pd.DataFrame,
    column: str,
    accuracy: str,
    panel: int,
    marks: Mapping[str, tuple[str, str, str]],
) -> go.Scatter:
    colours = [shade(marks.get(str(v), (GREY, "", ""))[0], 0.55) for v in runs["variant"]]
    return go.Scatter(
        **axes_of(panel), x=runs[column], y=runs[accuracy], mode="markers", name="one seed",
        showlegend=False, marker={"color": colours, "size": 5},
        text=[as_text(v) for v in runs["variant"]],
        hovertemplate="%{x:.3f}, accuracy %{y:.3f}<extra>%{text}, one seed</extra>",
    )  # fmt: skip


def _draw_chance(
    fig: go.Figure,
    across_at: float,
    up_at: float,
    panel: int,
    across: Sequence[float],
    up: Sequence[float],
) -> None:
    x: list[float | None] = []
    y: list[float | None] = []
    if np.isfinite(across_at):
        x, y = [across_at, across_at, None], [*up, None]
    if np.isfinite(up_at):
        x, y = [*x, *across], [*y, up_at, up_at]
    if x:
        fig.add_scatter(
            **axes_of(panel), x=x, y=y, mode="lines", name="chance",
            legendgroup="chance level", legendrank=2000,
            showlegend=not _named(fig, "chance level"), hoverinfo="skip",
            line={"color": REFERENCE, "dash": "dash", "width": 1.5},
        )  # fmt: skip
