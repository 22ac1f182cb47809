"""Replicates that find each other, and mechanisms that do."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from screenbook.figures.palette import BLUE, GREY, REFERENCE, shade, style


def replicate_gain(treatments: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Replicate mAP of every treatment, uncentred against chosen.

    Parameters
    ----------
    treatments : DataFrame
        ``cell_type compound treatment_conc map_uncentred map q``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    panels = list(pd.unique(treatments["cell_type"]))
    fig = make_subplots(1, len(panels), subplot_titles=panels, shared_yaxes=True)
    for k, panel in enumerate(panels, start=1):
        for found, name, colour, symbol in (
            (False, "q ≥ 0.05", GREY, "circle"),
            (True, "q < 0.05", BLUE, "diamond"),
        ):
            some = treatments[
                (treatments["cell_type"] == panel) & ((treatments["q"] < 0.05) == found)
            ]
            trace = go.Scattergl(
                name=name,
                legendgroup=name,
                showlegend=k == 1,
                mode="markers",
                x=some["map_uncentred"],
                y=some["map"],
                meta="compound",
                marker={"color": colour, "symbol": symbol, "size": 6, "opacity": 0.7},
                customdata=some[["compound", "treatment_conc"]],
                hovertemplate="%{customdata[0]}, %{customdata[1]:g} µM<br>mAP %{x:.2f} uncentred, "
                "%{y:.2f} now<extra></extra>",
            )
            fig.add_trace(trace, row=1, col=k)
        line = {"color": REFERENCE, "dash": "dash", "width": 1.5}
        fig.add_scatter(
            x=[0, 1],
            y=[0, 1],
            mode="lines",
            line=line,
            showlegend=False,
            hoverinfo="skip",
            row=1,
            col=k,
        )
    style(fig, title=title, subtitle=subtitle, x="replicate mAP, uncentred", height=400)
    fig.update_xaxes(range=[0, 1.02]).update_yaxes(range=[0, 1.02])
    return fig.update_yaxes(title_text="replicate mAP, chosen method", col=1)


def mechanism_confusion(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Which mechanism the nearest neighbour has, by the treatment's own.

    Parameters
    ----------
    table : DataFrame
        ``mechanism`` and ``neighbour`` (its mechanism, ``""`` if there is no neighbour).
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    counts = pd.crosstab(table["mechanism"], table["neighbour"].replace("", "(none)"))
    rows = list(counts.index)
    columns = [*rows, *(c for c in counts.columns if c not in rows)]
    counts = counts.reindex(columns=columns, fill_value=0)
    share = counts.div(counts.sum(axis=1), axis=0)
    fig = go.Figure(
        go.Heatmap(
            z=share,
            x=columns,
            y=rows,
            text=counts.astype(str).where(counts > 0, ""),
            texttemplate="%{text}",
            colorscale=[[0, shade(BLUE, 0.0)], [1, BLUE]],
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": "share of row"}, "tickformat": ".0%"},
            hovertemplate="%{y}: neighbour %{x}, %{text} treatments (%{z:.0%})<extra></extra>",
        )
    )
    style(
        fig,
        title=title,
        subtitle=subtitle,
        x="mechanism of the nearest eligible treatment",
        y="mechanism of the treatment",
        height=150 + 26 * len(rows),
    )
    fig.update_xaxes(tickangle=-45, showgrid=False)
    return fig.update_yaxes(autorange="reversed", showgrid=False)
