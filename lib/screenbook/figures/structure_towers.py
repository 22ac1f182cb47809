"""Profiles beside structures: who finds whom, and what structure foretells of a score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.interval_rows import Axis, interval_rows
from screenbook.figures.palette import BLUE, ORANGE, REFERENCE
from screenbook.figures.small_multiples import (
    Layout,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
    require,
    scatter_of,
)

RULE_MARKS = {"compound": (ORANGE, "diamond"), "scaffold": (BLUE, "circle")}
"""Colour and symbol of each split: what was held out together."""

METRIC_NAMES = {
    "hit@1": "share whose own one is first",
    "hit@5": "share whose own one is among the first 5",
    "hit@10": "share whose own one is among the first 10",
    "reciprocal_rank": "mean reciprocal rank of the own one",
    "rank": "median rank of the own one",
    "same_scaffold@1": "share whose first has the own scaffold",
    "same_mechanism@1": "share whose first has the own mechanism",
}
"""What the axis is called for each metric."""


def retrieval_rows(
    summary: pd.DataFrame, *, title: str, subtitle: str = "", metric: str = "reciprocal_rank"
) -> go.Figure:
    """Draw one metric of every method, both ways and for both splits, beside chance.

    Parameters
    ----------
    summary : DataFrame
        ``rule direction method metric value low high chance``, and ``n``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    metric : str
        Key of :data:`METRIC_NAMES`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    columns = ["rule", "direction", "method", "metric", "value", "low", "high", "chance"]
    require(summary, columns, "retrieval_rows()")
    table = summary[summary["metric"] == metric]
    table = table.rename(columns={"direction": "panel", "method": "row"})
    table = table.assign(series=[f"{rule} held out" for rule in table["rule"]])
    if "n" in table:
        table["detail"] = [f"{n:,} queries" for n in table["n"]]
    marks = {f"{rule} held out": mark for rule, mark in RULE_MARKS.items()}
    most = float(np.nanmax([*table[["value", "high", "chance"]].to_numpy().ravel(), 0.0]))
    axis = Axis(METRIC_NAMES.get(metric, metric), (0.0, most * 1.05 or 1.0))
    return interval_rows(
        table, axis, title=title, subtitle=subtitle, marks=marks,
        chance="a random order", empty="No compound could be asked.",
    )  # fmt: skip


def predicted_scores(
    predictions: pd.DataFrame, *, title: str, subtitle: str = "", rule: str = "scaffold"
) -> go.Figure:
    """Draw what structure foretold of each held-out compound against what was measured.

    Parameters
    ----------
    predictions : DataFrame
        ``rule method compound measured predicted``; optionally ``moa``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    rule : str
        Which split is shown.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(
        predictions, ["rule", "method", "compound", "measured", "predicted"], "predicted_scores()"
    )
    table = predictions[(predictions["rule"] == rule) & predictions["predicted"].notna()]
    if table.empty:
        return nothing_to_draw(title, subtitle, "No score was predicted out of fold.")
    table = table.assign(moa=table["moa"].astype(str) if "moa" in table else "")
    methods = [str(m) for m in pd.unique(table["method"])]
    across, up = _range(table["predicted"]), _range(table["measured"])
    ends = [min(across[0], up[0]), max(across[1], up[1])]
    colour, symbol = RULE_MARKS.get(rule, (BLUE, "circle"))
    fig = go.Figure()
    for i, method in enumerate(methods):
        mine = table[table["method"].astype(str) == method]
        fig.add_trace(
            scatter_of(len(table))(
                **axes_of(i), x=mine["predicted"], y=mine["measured"], mode="markers",
                showlegend=False, marker={"color": colour, "symbol": symbol, "size": 7,
                                          "opacity": 0.7},
                customdata=[[as_text(c), as_text(m)] for c, m in
                            zip(mine["compound"], mine["moa"], strict=True)],
                hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>predicted %{x:.2f}"
                "<br>measured %{y:.2f}<extra></extra>",
            )
        )  # fmt: skip
        fig.add_scatter(
            **axes_of(i), x=ends, y=ends, mode="lines", name="predicted as measured",
            showlegend=i == 0, hoverinfo="skip",
            line={"color": REFERENCE, "dash": "dash", "width": 1.5},
        )  # fmt: skip
    return arrange(
        fig, methods, Layout(min(2, len(methods)), 300, 280, legend=1, narrow_legend=1),
        title=title, subtitle=subtitle, x="predicted on-axis score", y="measured on-axis score",
        x_axis={"range": across}, y_axis={"range": up},
    )  # fmt: skip


def _range(values: pd.Series) -> list[float]:
    low, high = float(values.min()), float(values.max())
    room = 0.06 * (high - low) or 0.1
    return [low - room, high + room]
