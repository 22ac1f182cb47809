"""Plate quality: where controls and treated wells lie, and how well controls separate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from screenbook.figures.palette import (
    BLUE,
    REFERENCE,
    ROLE_COLOURS,
    ROLE_NAMES,
    ROLE_SYMBOLS,
    VERDICT_COLOURS,
    VERDICT_SYMBOLS,
    plate_names,
    shade,
    style,
)
from screenbook.figures.panels import stack_when_narrow

_MEASURES = {
    "auc": "AUC",
    "relative_gap": "gap / usual",
    "spread": "spread / usual",
    "z_prime": "robust Z′",
    "ssmd": "robust SSMD",
}


def scores_by_plate(
    wells: pd.DataFrame,
    quality: pd.DataFrame,
    controls: Sequence[str],
    *,
    axis: str,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Control wells of each plate as points, its treated wells as a box, on one score.

    Parameters
    ----------
    wells : DataFrame
        Control wells: ``batch cell_type role well score``.
    quality : DataFrame
        From :func:`screenbook.profiles.quality.plate_quality`: gives the order of plates and
        the percentiles of treated wells (5, 25, 50, 75, 95).
    controls : sequence of str
        Roles to be drawn as points.
    axis : str
        Title of the score's axis, with its unit.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    fig = _cell_type_panels(quality)
    places = {batch: i for i, batch in enumerate(quality["batch"])}
    for panel, (cell_type, plates) in enumerate(quality.groupby("cell_type", sort=False)):
        boxes = plates.dropna(subset="treated")  # a plate may hold controls alone
        fig.add_box(
            name="treated (5 to 95 %)",
            legendgroup="treated",
            showlegend=panel == 0,
            x=boxes["batch"].map(places) + 0.27,
            q1=boxes["treated_25"],
            median=boxes["treated"],
            q3=boxes["treated_75"],
            lowerfence=boxes["treated_5"],
            upperfence=boxes["treated_95"],
            width=0.28,
            line={"color": ROLE_COLOURS["treated"], "width": 1.5},
            fillcolor=shade(ROLE_COLOURS["treated"], 0.25),
            row=1,
            col=panel + 1,
        )
        for k, role in enumerate(controls):
            some = wells[
                (wells["cell_type"] == cell_type)
                & (wells["role"].astype(str) == role)
                & wells["score"].notna()
            ]
            fig.add_trace(
                go.Scattergl(
                    name=ROLE_NAMES[role],
                    legendgroup=role,
                    showlegend=panel == 0,
                    mode="markers",
                    x=some["batch"].astype(str).map(places) - 0.27 + 0.22 * k,
                    y=some["score"],
                    marker={
                        "color": ROLE_COLOURS[role],
                        "symbol": ROLE_SYMBOLS[role],
                        "size": 6 if len(wells) < 4000 else 4,
                        "opacity": 0.6,
                    },
                    customdata=some[["batch", "well"]].astype(str),
                    hovertemplate="%{customdata[0]} %{customdata[1]}: %{y:.2f}<extra>"
                    + ROLE_NAMES[role]
                    + "</extra>",
                ),
                row=1,
                col=panel + 1,
            )
    style(fig, title=title, subtitle=subtitle, height=420)
    _plate_ticks(fig, quality, places)
    fig.update_yaxes(title_text=axis, col=1)
    return stack_when_narrow(fig, 400, axis_room=120)


def plate_verdicts(
    quality: pd.DataFrame,
    limits: Mapping[str, float],
    *,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Several measures of each plate side by side, flagged plates marked.

    Parameters
    ----------
    quality : DataFrame
        From :func:`screenbook.profiles.quality.judge_plates`; a measure that no plate has gets
        no panel, and one with ``<measure>_low`` and ``<measure>_high`` an interval.
    limits : mapping of str to float
        Where a measure's dashed line stands, by its column.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    measures = [m for m in _MEASURES if quality[m].notna().any()] or ["auc"]
    names = plate_names(quality["batch"])
    panels = [_MEASURES[measure] for measure in measures]
    fig = make_subplots(1, len(measures), shared_yaxes=True, subplot_titles=panels)
    for panel, measure in enumerate(measures, start=1):
        for verdict, colour in VERDICT_COLOURS.items():
            some = quality[quality["verdict"] == verdict]
            if some.empty:
                continue
            interval = None
            if f"{measure}_low" in quality:
                interval = {
                    "array": some[f"{measure}_high"] - some[measure],
                    "arrayminus": some[measure] - some[f"{measure}_low"],
                    "thickness": 1.2,
                    "width": 0,
                }
            fig.add_scatter(
                name=verdict,
                legendgroup=verdict,
                showlegend=panel == 1,
                mode="markers",
                x=some[measure],
                y=[names[batch] for batch in some["batch"]],
                error_x=interval,
                marker={"color": colour, "symbol": VERDICT_SYMBOLS[verdict], "size": 9},
                customdata=some[["reason"]],
                hovertemplate="%{y}: %{x:.2f}<br>%{customdata[0]}<extra>" + verdict + "</extra>",
                row=1,
                col=panel,
            )
        if measure in limits:
            line = {"color": REFERENCE, "dash": "dash", "width": 1.5}
            fig.add_vline(x=limits[measure], line=line, row=1, col=panel)
    style(fig, title=title, subtitle=subtitle, height=110 + 17 * len(quality))
    fig.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=[names[batch] for batch in quality["batch"]][::-1],
        dtick=1,
        tickfont={"size": 11},
    )
    fig.update_yaxes(title_text="plate", col=1)
    return stack_when_narrow(fig, 80 + 12 * len(quality))


def site_confusion(
    tables: dict[str, pd.DataFrame], *, chance: float, title: str, subtitle: str = ""
) -> go.Figure:
    """Where a classifier puts the sites of a well, one panel a cell type.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Panel name to ``confusion`` of :class:`screenbook.profiles.sites.SitePrediction`.
    chance : float
        The share that guessing would reach; the middle of the colour scale.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    fig = make_subplots(1, len(tables), subplot_titles=list(tables), horizontal_spacing=0.1)
    for i, table in enumerate(tables.values()):
        fig.add_heatmap(
            z=table.to_numpy(),
            x=[f"site {site}" for site in table.columns],
            y=[f"site {site}" for site in table.index],
            text=[[f"{value:.0%}" for value in row] for row in table.to_numpy()],
            texttemplate="%{text}",
            coloraxis="coloraxis",
            hovertemplate="truly %{y}, put at %{x}: %{z:.1%}<extra></extra>",
            xgap=2,
            ygap=2,
            row=1,
            col=i + 1,
        )
    style(fig, title=title, subtitle=subtitle, x="predicted position", height=330)
    fig.update_xaxes(showgrid=False)
    fig.update_yaxes(autorange="reversed", showgrid=False)
    fig.update_yaxes(title_text="true position", col=1)
    scale = ((0.0, "#ffffff"), (chance, "#dce6ee"), (1.0, BLUE))
    bar = {"title": {"text": "share of<br>sites"}, "tickformat": ".0%"}
    fig.update_layout(coloraxis={"colorscale": scale, "cmin": 0, "cmax": 1, "colorbar": bar})
    return stack_when_narrow(fig, 300)


def outlier_scatter(
    wells: pd.DataFrame, *, threshold: float, title: str, subtitle: str = ""
) -> go.Figure:
    """Wells by their distance from their kind and from their replicates.

    Parameters
    ----------
    wells : DataFrame
        ``far``, ``alone`` (robust z), ``kind``, ``well``, ``batch``, ``compound``.
    threshold : float
        z above which a distance is remarkable.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    fig = go.Figure()
    for kind, (colour, symbol, size, opacity) in _KIND_MARKS.items():
        some = wells[wells["kind"] == kind]
        if some.empty:
            continue
        fig.add_trace(
            go.Scattergl(
                name=f"{kind or 'unremarkable'} ({len(some):,})",
                mode="markers",
                x=some["far"],
                y=some["alone"],
                marker={"color": colour, "symbol": symbol, "size": size, "opacity": opacity},
                meta="compound",
                customdata=some[["compound", "batch", "well"]].astype(str),
                hovertemplate="%{customdata[1]} %{customdata[2]} %{customdata[0]}<br>"
                "from its kind %{x:.1f}, from its replicates %{y:.1f}<extra></extra>",
            )
        )
    line = {"color": REFERENCE, "dash": "dash", "width": 1.5}
    fig.add_hline(y=threshold, line=line)
    fig.add_vline(x=threshold, line=line)
    return style(
        fig,
        title=title,
        subtitle=subtitle,
        x="distance from wells of its role (robust z)",
        y="distance from its replicates (robust z)",
        height=420,
    )


_KIND_MARKS = {
    "": (REFERENCE, "circle", 4, 0.35),
    "extreme treatment": (BLUE, "circle-open", 7, 0.8),
    "sites disagree": (ROLE_COLOURS["blank"], "square", 8, 0.9),
    "no replicate": ("#E69F00", "triangle-up", 9, 0.9),
    "outlier": (ROLE_COLOURS["diseased"], "diamond", 9, 0.95),
}


def _cell_type_panels(quality: pd.DataFrame) -> go.Figure:
    """One panel a cell type, as wide as it has plates."""
    counts = quality.groupby("cell_type", sort=False).size()
    share = np.maximum(counts / counts.sum(), 0.12)
    return make_subplots(
        1,
        len(counts),
        subplot_titles=list(counts.index),
        shared_yaxes=True,
        column_widths=(share / share.sum()).tolist(),
        horizontal_spacing=0.03,
    )


def _plate_ticks(fig: go.Figure, quality: pd.DataFrame, places: dict[str, int]) -> None:
    names = plate_names(quality["batch"])
    crowded = len(quality) > 30
    for panel, (_, plates) in enumerate(quality.groupby("cell_type", sort=False), start=1):
        fig.update_xaxes(
            tickvals=[places[batch] for batch in plates["batch"]],
            ticktext=[names[batch] for batch in plates["batch"]],
            tickangle=-90 if crowded else -60,
            tickfont={"size": 9 if crowded else 11},
            range=[
                min(places[b] for b in plates["batch"]) - 0.6,
                max(places[b] for b in plates["batch"]) + 0.6,
            ],
            showgrid=False,
            title_text="plate",
            col=panel,
        )
