"""Classes of compounds whose members come first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.palette import BLUE, GREY, REFERENCE
from screenbook.figures.small_multiples import (
    Layout,
    add_count,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
    require,
    whiskers,
)

_LINE = {"color": REFERENCE, "dash": "dash", "width": 1.5}

_MEASURES = {
    "auc": ("auc_low", "auc_high", "q_score", 0.5, "AUC (0.5 = no enrichment)"),
    "odds_ratio": ("odds_low", "odds_high", "q_hits", 1.0, "odds ratio (1 = no enrichment)"),
}
"""Of a measure: columns of its interval and of its q, its value without enrichment, its title."""


def enrichment_bars(
    table: pd.DataFrame,
    *,
    measure: str = "auc",
    level: float = 0.1,
    top: int = 15,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Classes of compounds (mechanisms, scaffolds) and how far their members come first.

    A class without any hit has an odds ratio of 0, and one whose members are all hits an
    infinite one; on the logarithmic axis they cannot be drawn, and are counted.

    Parameters
    ----------
    table : DataFrame
        As :func:`screenbook.hits.enrichment.class_enrichment` makes it: ``cell_type
        class n_members`` and, for ``"auc"``, ``auc auc_low auc_high q_score``; for
        ``"odds_ratio"``, ``odds_ratio odds_low odds_high q_hits``.
    measure : {"auc", "odds_ratio"}
        What is drawn; odds ratios stand on a logarithmic axis.
    level : float, optional
        Classes with q up to it are drawn full, others hollow.
    top : int, optional
        Classes in each panel at most: least q first.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    ValueError
        If `measure` is neither.
    """
    if measure not in _MEASURES:
        raise ValueError(f"measure={measure!r}: 'auc' or 'odds_ratio'")
    low, high, q, null, effect_title = _MEASURES[measure]
    log = measure == "odds_ratio"
    require(table, ["cell_type", "class", "n_members", measure, low, high, q], "enrichment_bars()")
    table = table.reset_index(drop=True)
    known = table[q].notna() & np.isfinite(table[measure].astype(float))
    known &= table[measure].gt(0) | (not log)
    subtitle = add_count(
        subtitle, int((~known).sum()), "classes not testable, or at 0 or ∞, not drawn"
    )
    if not known.any():
        return nothing_to_draw(title, subtitle, "No class could be tested.")
    names = {measure: "effect", low: "low", high: "high", q: "q"}
    table = table.rename(columns=names)
    panels = list(pd.unique(table.loc[known, "cell_type"]))
    first = {
        p: table[known & (table["cell_type"] == p)].sort_values(["q", "effect"]).head(top)
        .sort_values("effect", ascending=False).reset_index(drop=True)
        for p in panels
    }  # fmt: skip
    most = max(map(len, first.values()))
    layout = Layout(
        min(2, len(panels)), 90 + 24 * most, 90 + 24 * most, gap=0.26, own_y=True, narrow_legend=2
    )
    fig = go.Figure()
    for i, panel in enumerate(panels):
        _stems(fig, first[panel], i, null, level)
    span = pd.concat([rows["effect"] for rows in first.values()])
    ends = [min(span.min(), null), max(span.max(), null)]
    ends = list(np.log10(ends)) if log else ends
    room = 0.08 * (ends[1] - ends[0] or 1)
    x_axis: dict[str, Any] = {"range": [ends[0] - 2 * room, ends[1] + 2 * room]}
    x_axis |= {"type": "log", "dtick": 1} if log else {"nticks": 5}
    arrange(
        fig, [str(p) for p in panels], layout, title=title, subtitle=subtitle,
        x=effect_title, y="", x_axis=x_axis, y_axis={"zeroline": False},
    )  # fmt: skip
    for i, panel in enumerate(panels):
        rows = first[panel]
        ticks = [as_text(c, 24) for c in rows["class"]]
        ticks = [f"{tick} ({n:.0f})" for tick, n in zip(ticks, rows["n_members"], strict=True)]
        axis = {"tickvals": list(range(len(rows))), "ticktext": ticks, "range": [most - 0.4, -0.95]}
        fig.update_layout({axes_of(i)["yaxis"].replace("y", "yaxis"): axis})
    return fig


def _stems(fig: go.Figure, rows: pd.DataFrame, panel: int, null: float, level: float) -> None:
    """Draw a bar from `null` to each effect, full or hollow, with its q beside it."""
    for holds in (False, True):
        some = rows[(rows["q"] <= level) == holds]
        text = f"q ≤ {level:g}" if holds else f"q > {level:g}"
        colour = BLUE if holds else GREY
        x = [v for value in some["effect"] for v in (null, value, None)]
        y = [v for place in some.index for v in (place, place, None)]
        fig.add_scatter(
            **axes_of(panel), x=x, y=y, mode="lines", line={"color": colour, "width": 6},
            opacity=0.45, hoverinfo="skip", showlegend=False,
        )  # fmt: skip
        interval = whiskers(some["effect"], some["low"], some["high"], colour, 0.5)
        fig.add_scatter(
            **axes_of(panel), name=text, legendgroup=text, showlegend=panel == 0,
            mode="markers+text", x=some["effect"], y=some.index, error_x=interval,
            text=[f" q {q:.1g} " for q in some["q"]],
            textposition=np.where(some["effect"] < null, "top right", "top left"),
            textfont={"size": 11},
            customdata=[[as_text(c)] for c in some["class"]],
            marker={"color": colour, "size": 9, "symbol": "diamond" if holds else "circle-open"},
            hovertemplate="%{customdata[0]}: %{x:.3g},%{text}<extra></extra>",
        )  # fmt: skip
    fig.add_scatter(
        **axes_of(panel), x=[null, null], y=[-0.95, len(rows) - 0.4], mode="lines", line=_LINE,
        hoverinfo="skip", name="no enrichment", legendgroup="null", showlegend=panel == 0,
    )  # fmt: skip
