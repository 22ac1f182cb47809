"""Compounds as a classifier ranks them, beside a count by name and beside the on-axis score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from screenbook.figures.classify import interval_bars
from screenbook.figures.palette import EMPHASIS, GREY, ORANGE, ROLE_COLOURS, SKY, style
from screenbook.figures.panels import stack_when_narrow


def ranking(
    compounds: pd.DataFrame, levels: pd.DataFrame, *, most: int, title: str, subtitle: str = ""
) -> go.Figure:
    """First compounds of each cell type, with the interval of their best dose.

    Parameters
    ----------
    compounds : DataFrame
        Columns of :data:`screenbook.classifier.classifier_ranking.COMPOUND_COLUMNS`.
    levels : DataFrame
        ``cell_type diseased healthy``: mean probability of either control.
    most : int
        Compounds shown of each cell type.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    panels = list(pd.unique(compounds["cell_type"]))
    fig = make_subplots(1, len(panels), subplot_titles=panels, horizontal_spacing=0.2)
    for k, panel in enumerate(panels, start=1):
        mine = compounds[compounds["cell_type"] == panel].nsmallest(most, "rank")
        for above, colour, symbol, name in (
            (True, EMPHASIS, "circle", "interval above untreated disease"),
            (False, GREY, "circle-open", "not above it"),
        ):
            some = mine[mine["above"] == above]
            fig.add_scatter(
                **{"name": name, "legendgroup": name, "showlegend": k == 1, "mode": "markers"},
                meta="compound",
                x=some["p_healthy"],
                y=some["compound"],
                error_x=interval_bars(some, "p"),
                marker={"color": colour, "symbol": symbol, "size": 9},
                customdata=some[["compound", "rank", "best_dose", "n_wells", "outside"]],
                hovertemplate="%{customdata[0]}, rank %{customdata[1]}: %{x:.3f} at "
                "%{customdata[2]:g} µM; %{customdata[4]:.0%} of wells outside<extra></extra>",
                **{"row": 1, "col": k},
            )
        known = levels.set_index("cell_type").loc[panel]
        for role in ("diseased", "healthy"):
            line = {"color": ROLE_COLOURS[role], "dash": "dash", "width": 1.5}
            fig.add_vline(x=float(known[role]), line=line, row=1, col=k)
        order = mine.sort_values("rank", ascending=False)["compound"].tolist()
        fig.update_yaxes(categoryorder="array", categoryarray=order, type="category", row=1, col=k)
    style(fig, title=title, subtitle=subtitle, x="probability of healthy", height=110 + 20 * most)
    fig.update_xaxes(range=[-0.02, 1.02])
    return stack_when_narrow(fig, 60 + 20 * most)


def count_against_wells(compounds: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw the original's count of top wells by name against the number of a compound's wells.

    Parameters
    ----------
    compounds : DataFrame
        ``cell_type compound n_wells count_top rank above``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    groups = (
        Group(~compounds["above"], GREY, "circle-open", "not above untreated disease", 8),
        Group(compounds["above"], EMPHASIS, "circle", "above it in the fair ranking", 8),
    )
    hover = "%{customdata[0]}: %{y} of %{x} wells; rank %{customdata[1]}<extra></extra>"
    fig = _compounds_in_panels(compounds, groups, "n_wells", "count_top", ["rank"], hover)
    style(fig, title=title, subtitle=subtitle, x="wells of the compound")
    fig.update_yaxes(title_text="of them among the top", col=1)
    return stack_when_narrow(fig, 300)


def against_on_axis(joined: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Probability of healthy against the on-axis score of report 04, a dot a treatment.

    Parameters
    ----------
    joined : DataFrame
        From :func:`screenbook.classifier.classifier_ranking.compare_treatments`.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    outside = joined["outside"] > 0.5
    groups = (
        Group(~outside, SKY, "circle", "like the controls", 6),
        Group(outside, ORANGE, "x", "mostly unlike any control", 6),
    )
    hover = "%{customdata[0]}, %{customdata[1]:g} µM: on-axis %{x:.2f}, p %{y:.3f}<extra></extra>"
    fig = _compounds_in_panels(
        joined, groups, "on_score", "p_healthy", ["dose"], hover, kind=go.Scattergl
    )
    style(fig, title=title, subtitle=subtitle, x="on-axis score (0 healthy, 1 untreated disease)")
    fig.update_yaxes(title_text="probability of healthy", col=1)
    return stack_when_narrow(fig, 300)


class Group(NamedTuple):
    """Rows that share a mark."""

    rows: pd.Series
    colour: str
    symbol: str
    name: str
    size: int


def _compounds_in_panels(
    table: pd.DataFrame,
    groups: Sequence[Group],
    x: str,
    y: str,
    told: list[str],
    hover: str,
    kind: type[go.Scatter] | type[go.Scattergl] = go.Scatter,
) -> go.Figure:
    """Draw a dot for each row, a panel for each cell type; `told` are columns for the hover."""
    panels = list(pd.unique(table["cell_type"]))
    fig = make_subplots(1, len(panels), subplot_titles=panels, shared_yaxes=True)
    for k, panel in enumerate(panels, start=1):
        for group in groups:
            some = table[(table["cell_type"] == panel) & group.rows]
            dots = kind(
                name=group.name,
                legendgroup=group.name,
                showlegend=k == 1,
                mode="markers",
                meta="compound",
                x=some[x],
                y=some[y],
                marker={
                    **{"color": group.colour, "symbol": group.symbol},
                    **{"size": group.size, "opacity": 0.8},
                },
                customdata=some[["compound", *told]],
                hovertemplate=hover,
            )
            fig.add_trace(dots, row=1, col=k)
    return fig
