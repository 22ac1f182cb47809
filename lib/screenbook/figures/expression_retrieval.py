"""Retrieval of drugs by signature: hits among the first K, scores side by side, one query."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.heat_tables import heat_tables
from screenbook.figures.interval_rows import SERIES_MARKS
from screenbook.figures.palette import (
    GREY,
    ORANGE,
    REFERENCE,
    SKY,
    VERMILLION,
    shade,
    style,
)
from screenbook.figures.small_multiples import (
    Layout,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
    require,
)

GRADE_MARKS = {
    3: (VERMILLION, "same drug"),
    2: (ORANGE, "same mechanism and a shared target"),
    1: (SKY, "same mechanism or a shared target"),
    0: (GREY, "neither"),
}
"""Colour and meaning of each grade of relevance."""

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_NOTHING = "There is no result to draw."


def hit_curves(
    table: pd.DataFrame, *, title: str, subtitle: str = "", y: str = "hit@K (share of queries)"
) -> go.Figure:
    """Draw how often the right drug is among the first K, for K on a logarithmic axis.

    Parameters
    ----------
    table : DataFrame
        ``series`` (library or score), ``k`` and ``hit`` (0 to 1); optionally ``low`` and
        ``high`` (ends of the interval), ``chance`` and ``panel`` (split, say).
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    y : str
        Title of the vertical axis.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["series", "k", "hit"], "hit_curves()")
    table = table[table["hit"].notna()]
    if table.empty:
        return nothing_to_draw(title, subtitle, _NOTHING)
    table = table.assign(panel=table["panel"].astype(str) if "panel" in table else "")
    names = [str(name) for name in pd.unique(table["series"])]
    panels = [str(name) for name in pd.unique(table["panel"])]
    fig = go.Figure()
    for i, panel in enumerate(panels):
        part = table[table["panel"] == panel]
        for place, name in enumerate(names):
            rows = part[part["series"].astype(str) == name].sort_values("k")
            if len(rows):
                _draw_curve(fig, rows, name, place, i)
        if "chance" in part and part["chance"].notna().any():
            level = part[part["chance"].notna()].drop_duplicates("k").sort_values("k")
            fig.add_scatter(
                **axes_of(i), x=level["k"], y=level["chance"], mode="lines", name="chance",
                legendgroup="the chance", showlegend=not _has(fig, "the chance"),
                hoverinfo="skip", line={"color": REFERENCE, "dash": "dash", "width": 1.5},
            )  # fmt: skip
    entries = len(names) + 1
    layout = Layout(min(3, len(panels)), 330, 280, legend=-(-entries // 3), narrow_legend=entries)
    ticks = sorted(int(k) for k in table["k"].unique())
    ticks = [k for k in ticks if k in (1, 3, 10, 30, 100, 300, 1000)] or ticks
    return arrange(
        fig, panels, layout, title=title, subtitle=subtitle, x="K (log scale)", y=y,
        x_axis={"type": "log", "tickvals": ticks, "ticktext": [str(k) for k in ticks]},
        y_axis={"range": [0, 1.02]},
    )  # fmt: skip


def score_table(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw scores by metrics as a heat table.

    Parameters
    ----------
    table : DataFrame
        Scores or libraries (index) by metrics (columns), all 0 to 1.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    return heat_tables({"": table}, title=title, subtitle=subtitle, value="", y="")


def ranked_candidates(
    table: pd.DataFrame,
    *,
    title: str,
    subtitle: str = "",
    top: int = 15,
    score: str = "similarity to the query",
) -> go.Figure:
    """Draw the first candidates of one query as bars, coloured by their relevance.

    Parameters
    ----------
    table : DataFrame
        ``compound``, ``score``, ``grade`` (of :data:`GRADE_MARKS`), and optionally ``detail``
        (what hovering adds); the best first. The grade stands at the end of every bar.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    top : int
        Candidates at most.
    score : str
        Title of the axis.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["compound", "score", "grade"], "ranked_candidates()")
    table = table[table["score"].notna()].head(top).reset_index(drop=True)
    if table.empty:
        return nothing_to_draw(title, subtitle, _NOTHING)
    table["detail"] = table["detail"].map(as_text) if "detail" in table else ""
    fig = go.Figure()
    for grade, (colour, meaning) in GRADE_MARKS.items():
        rows = table[table["grade"] == grade]
        if rows.empty:
            continue
        _draw_bars(fig, rows, grade, colour, meaning)
    style(fig, title=title, subtitle=subtitle, x=as_text(score), y="", height=110 + 24 * len(table))
    names = [f"{i + 1}. {as_text(name, 26)}" for i, name in enumerate(table["compound"])]
    short = [f"{i + 1}. {as_text(name, 16)}" for i, name in enumerate(table["compound"])]
    fig.update_yaxes(
        tickvals=list(range(len(table))), ticktext=names, range=[len(table) - 0.4, -0.6],
        showgrid=False, zeroline=False,
    )  # fmt: skip
    ends = [min(0.0, float(table["score"].min())), max(0.0, float(table["score"].max()))]
    room = 0.08 * (ends[1] - ends[0] or 1)
    fig.update_xaxes(range=[ends[0] - (room if ends[0] < 0 else 0), ends[1] + room])
    lines = -(-len(fig.data) // 2)
    fig.update_layout(margin={"b": 62 + 22 * lines}, height=fig.layout.height + 22 * lines)
    foot = 62 + 22 * len(fig.data)
    narrow = {"margin.b": foot, "margin.r": 14, "height": 40 + 24 * len(table) + foot,
              "yaxis.ticktext": short}  # fmt: skip
    return fig.update_layout(meta={"narrow": narrow}, barmode="overlay")


def _draw_bars(fig: go.Figure, rows: pd.DataFrame, grade: int, colour: str, meaning: str) -> None:
    fig.add_bar(
        orientation="h", x=rows["score"], y=rows.index, name=f"{grade}: {meaning}",
        marker={"color": colour}, text=[str(grade)] * len(rows), textposition="outside",
        cliponaxis=False, width=0.7,
        customdata=[[as_text(a), b] for a, b in zip(rows["compound"], rows["detail"],
                                                    strict=True)],
        hovertemplate="%{customdata[0]}: %{x:.3g}<br>%{customdata[1]}<extra>" + meaning
        + "</extra>",
    )  # fmt: skip


def _draw_curve(fig: go.Figure, rows: pd.DataFrame, name: str, place: int, panel: int) -> None:
    colour, symbol = SERIES_MARKS[place % len(SERIES_MARKS)]
    dash = _DASHES[place // len(SERIES_MARKS) % len(_DASHES)]
    text = as_text(name, 40)
    if {"low", "high"} <= set(rows):
        fig.add_scatter(
            **axes_of(panel), x=[*rows["k"], *rows["k"][::-1]],
            y=[*rows["high"], *rows["low"][::-1]], fill="toself", fillcolor=shade(colour, 0.13),
            line={"width": 0}, mode="lines", name=f"{text}, interval", legendgroup=name,
            showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    fig.add_scatter(
        **axes_of(panel), x=rows["k"], y=rows["hit"], mode="lines+markers", name=text,
        legendgroup=name, showlegend=not _has(fig, name),
        line={"color": colour, "dash": dash}, marker={"symbol": symbol, "size": 7},
        hovertemplate="hit@%{x}: %{y:.3f}<extra>" + text + "</extra>",
    )  # fmt: skip


def _has(fig: go.Figure, group: str) -> bool:
    return any(trace.legendgroup == group and trace.showlegend for trace in fig.data)
