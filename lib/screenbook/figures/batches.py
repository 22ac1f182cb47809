"""Batch correction: methods held side by side, the choice among them, and what it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from screenbook.figures.palette import (
    BLUE,
    DIVERGING,
    EMPHASIS,
    GREY,
    ORANGE,
    REFERENCE,
    ROLE_NAMES,
    ROLE_SYMBOLS,
    class_colours,
    shade,
    style,
)

_STATUS = {
    "candidate": (BLUE, "can be chosen"),
    "warning": (ORANGE, "warning: was given a label of interest"),
    "comparison": (GREY, "for comparison: not chosen by the rule"),
}
_CELL_TYPE_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")


def controls_before_after(points: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Control wells on two axes, one column a method and one row a cell type.

    Parameters
    ----------
    points : DataFrame
        ``cell_type``, ``panel`` (name of the method), ``x``, ``y`` (principal components),
        ``experiment``, ``batch``, ``well``, ``role``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    rows, columns = list(pd.unique(points["cell_type"])), list(pd.unique(points["panel"]))
    names = [f"{row}, {column}" for row in rows for column in columns]
    fig = make_subplots(
        len(rows), len(columns), subplot_titles=names, vertical_spacing=0.22 / max(len(rows), 1)
    )
    colours = class_colours(points["experiment"])
    seen: set[tuple[str, str]] = set()
    keys = ["cell_type", "panel", "experiment", "role"]
    for key, some in points.groupby(keys, sort=False, observed=True):
        cell_type, panel, experiment, role = map(str, key)
        trace = go.Scattergl(
            name=f"{experiment}, {ROLE_NAMES[role]}",
            legendgroup=f"{experiment} {role}",
            showlegend=(experiment, role) not in seen,
            mode="markers",
            x=some["x"],
            y=some["y"],
            marker={
                "color": colours[experiment],
                "symbol": ROLE_SYMBOLS[role],
                "size": 5,
                "opacity": 0.65,
            },
            customdata=some[["batch", "well"]].astype(str),
            hovertemplate="%{customdata[0]} %{customdata[1]}<extra>"
            + ROLE_NAMES[role]
            + "</extra>",
        )
        fig.add_trace(trace, row=rows.index(cell_type) + 1, col=columns.index(panel) + 1)
        seen.add((experiment, role))
    style(fig, title=title, subtitle=subtitle, height=90 + 300 * len(rows))
    fig.update_xaxes(title_text="first component", row=len(rows))
    return fig.update_yaxes(title_text="second component", col=1)


def method_scores(
    table: pd.DataFrame,
    measures: Sequence[Mapping[str, Any]],
    *,
    chosen: str,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """All methods by several measures, a dot for each cell type.

    Parameters
    ----------
    table : DataFrame
        One row per method and cell type: ``method title status cell_type`` and the measures.
    measures : sequence of mapping
        Panels from left to right: ``column``, ``title``, and any of ``low`` and ``high``
        (columns of an interval), ``reference`` (column of a level to hold it against, drawn as
        a bar through each dot's row).
    chosen : str
        The method that is printed in bold.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    methods = table.drop_duplicates("method").set_index("method")
    place = {method: i for i, method in enumerate(methods.index)}
    cell_types = list(pd.unique(table["cell_type"]))
    fig = make_subplots(
        1,
        len(measures),
        shared_yaxes=True,
        subplot_titles=[m["title"] for m in measures],
        horizontal_spacing=0.025,
    )
    for panel, measure in enumerate(measures, start=1):
        for key, some in table.groupby(["status", "cell_type"], sort=False):
            status, cell_type = map(str, key)
            k = cell_types.index(cell_type)
            step = 0.0 if len(cell_types) == 1 else 0.4 * (k / (len(cell_types) - 1) - 0.5)
            y = some["method"].map(place) + step
            if "reference" in measure:
                fig.add_scatter(
                    name="level without batch (by chance)",
                    legendgroup="reference",
                    showlegend=panel == 1 and status == "candidate" and k == 0,
                    mode="markers",
                    x=some[measure["reference"]],
                    y=y,
                    marker={
                        "symbol": "line-ns",
                        "size": 11,
                        "line": {"color": REFERENCE, "width": 2},
                    },
                    hoverinfo="skip",
                    row=1,
                    col=panel,
                )
            fig.add_scatter(
                **_dots(some, measure, y),
                name=_legend(cell_type, status, cell_types),
                legendgroup=cell_type if status == "candidate" else status,
                showlegend=panel == 1 and (status == "candidate" or k == 0),
                marker={
                    "color": _STATUS[status][0],
                    "symbol": _CELL_TYPE_SYMBOLS[k % len(_CELL_TYPE_SYMBOLS)],
                    "size": 8,
                },
                row=1,
                col=panel,
            )
    labels = [
        f"<b>{methods.loc[m, 'title']}</b>" if m == chosen else methods.loc[m, "title"]
        for m in place
    ]
    style(fig, title=title, subtitle=subtitle, height=150 + 34 * len(place))
    fig.update_yaxes(tickvals=list(place.values()), ticktext=labels, range=[len(place) - 0.4, -0.6])
    return fig.update_annotations(font_size=12)


def _dots(some: pd.DataFrame, measure: Mapping[str, Any], y: pd.Series) -> dict[str, Any]:
    column = measure["column"]
    interval = None
    if "low" in measure:
        interval = {
            "array": some[measure["high"]] - some[column],
            "arrayminus": some[column] - some[measure["low"]],
            "thickness": 1.2,
            "width": 0,
        }
    return {
        "mode": "markers",
        "x": some[column],
        "y": y,
        "error_x": interval,
        "customdata": some[["title", "cell_type"]],
        "hovertemplate": "%{customdata[0]}, %{customdata[1]}: %{x:.3f}<extra></extra>",
    }


def _legend(cell_type: str, status: str, cell_types: Sequence[str]) -> str:
    several = len(cell_types) > 1 and status == "candidate"
    return cell_type if several else _STATUS[status][1]


def separation_by_plate(
    plates: pd.DataFrame, pooled: pd.DataFrame, *, title: str, subtitle: str = ""
) -> go.Figure:
    """Leave-plate-out AUC of the controls, plate by plate, for a few methods.

    Parameters
    ----------
    plates : DataFrame
        ``cell_type``, ``title`` (of the method), ``batch``, ``auc`` (within the plate).
    pooled : DataFrame
        ``cell_type``, ``title``, ``auc``, ``auc_low``, ``auc_high`` over all plates together.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    panels = list(pd.unique(pooled["cell_type"]))
    titles = list(pd.unique(pooled["title"]))
    fig = make_subplots(1, len(panels), subplot_titles=panels, shared_yaxes=True)
    for k, panel in enumerate(panels, start=1):
        some = plates[plates["cell_type"] == panel]
        whole = pooled[pooled["cell_type"] == panel]
        fig.add_scatter(
            name="one plate",
            legendgroup="plate",
            showlegend=k == 1,
            mode="markers",
            x=some["auc"],
            y=some["title"].map(titles.index) + 0.18,
            marker={"color": GREY, "size": 6, "opacity": 0.55},
            customdata=some["batch"].astype(str),
            hovertemplate="%{customdata}: %{x:.3f}<extra></extra>",
            row=1,
            col=k,
        )
        fig.add_scatter(
            name="all plates, 95 % interval",
            legendgroup="pooled",
            showlegend=k == 1,
            mode="markers",
            x=whole["auc"],
            y=whole["title"].map(titles.index) - 0.12,
            error_x={
                "array": whole["auc_high"] - whole["auc"],
                "arrayminus": whole["auc"] - whole["auc_low"],
                "thickness": 1.5,
                "width": 0,
            },
            marker={"color": EMPHASIS, "symbol": "diamond", "size": 10},
            hovertemplate="all plates: %{x:.3f}<extra></extra>",
            row=1,
            col=k,
        )
        line = {"color": REFERENCE, "dash": "dash", "width": 1.5}
        fig.add_vline(x=0.5, line=line, row=1, col=k)
    style(
        fig, title=title, subtitle=subtitle, x="AUC, plate left out", height=130 + 48 * len(titles)
    )
    return fig.update_yaxes(
        tickvals=list(range(len(titles))), ticktext=titles, range=[len(titles) - 0.5, -0.5]
    )


def selection(choice: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw the rule that chooses a method: replicates first, then plates told.

    Parameters
    ----------
    choice : DataFrame
        ``table`` of :class:`screenbook.profiles.selection.Choice`.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    names = ["replicate mAP across plates", "plates told, above chance (share of wells)"]
    fig = make_subplots(1, 2, shared_yaxes=True, subplot_titles=names, horizontal_spacing=0.04)
    fair, near = choice["candidate"], choice["near_best"]
    lost = ~choice["keeps_controls"] & fair
    groups = (
        ("chosen", choice["chosen"], EMPHASIS, "star", 14),
        ("within one standard error of the best", near & fair & ~lost, BLUE, "circle", 9),
        ("less replicable", ~near & fair & ~lost, BLUE, "circle-open", 9),
        ("loses control separation", lost, ORANGE, "x", 9),
        ("for comparison", ~fair, GREY, "circle", 7),
    )
    for name, mask, colour, symbol, size in groups:
        some = choice[mask & ((name == "chosen") | ~choice["chosen"])]
        for panel, column in enumerate(("map", "plate_excess"), start=1):
            if some.empty:
                continue
            fig.add_scatter(
                name=name,
                legendgroup=name,
                showlegend=panel == 1,
                mode="markers",
                x=some[column],
                y=some["title"],
                error_x={"array": some["map_se" if column == "map" else "plate_se"], "width": 0},
                marker={"color": colour, "symbol": symbol, "size": size},
                hovertemplate="%{y}: %{x:.3f}<extra></extra>",
                row=1,
                col=panel,
            )
    best = choice[fair & choice["keeps_controls"]].nlargest(1, "map")
    if len(best):
        top, se = float(best["map"].iloc[0]), float(best["map_se"].iloc[0])
        fig.add_vrect(x0=top - se, x1=top, fillcolor=shade(BLUE, 0.15), line_width=0, row=1, col=1)
    fig.add_vline(x=0, line={"color": REFERENCE, "dash": "dash", "width": 1.5}, row=1, col=2)
    style(fig, title=title, subtitle=subtitle, height=150 + 26 * len(choice))
    fig.update_annotations(font_size=13)
    order = choice["title"].tolist()[::-1]
    return fig.update_yaxes(type="category", categoryorder="array", categoryarray=order)


def covariances(
    panels: Mapping[str, np.ndarray], *, limit: float, title: str, subtitle: str = ""
) -> go.Figure:
    """Covariance matrices side by side, on one colour scale about zero.

    Parameters
    ----------
    panels : mapping of str to ndarray, shape (k, k)
        Name of each matrix, and its entries in units of the mean variance.
    limit : float
        End of the colour scale.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    fig = make_subplots(1, len(panels), subplot_titles=list(panels), horizontal_spacing=0.08)
    for k, matrix in enumerate(panels.values(), start=1):
        axes = np.arange(1, len(matrix) + 1)
        fig.add_heatmap(
            z=np.round(matrix, 3),
            x=axes,
            y=axes,
            coloraxis="coloraxis",
            hovertemplate="axes %{x} and %{y}: %{z:.2f}<extra></extra>",
            row=1,
            col=k,
        )
    style(fig, title=title, subtitle=subtitle, x="axis", height=400)
    fig.update_yaxes(autorange="reversed", showgrid=False)
    fig.update_xaxes(showgrid=False).update_yaxes(title_text="axis", col=1)
    bar = {"title": {"text": "covariance"}}
    return fig.update_layout(
        coloraxis={"colorscale": DIVERGING, "cmin": -limit, "cmax": limit, "colorbar": bar}
    )


def plate_offsets(offsets: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """How far plates stand apart before and after, against what was put in.

    Parameters
    ----------
    offsets : DataFrame
        One row per plate: ``batch``, ``cell_type``, ``injected`` (well SD), ``before`` and
        ``after`` (SD of control wells within plates).
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    fig = go.Figure()
    for column, name, colour, symbol in (
        ("before", "uncentred", GREY, "circle-open"),
        ("after", "chosen method", BLUE, "circle"),
    ):
        fig.add_scatter(
            name=name,
            mode="markers",
            x=offsets["injected"],
            y=offsets[column],
            marker={"color": colour, "symbol": symbol, "size": 9},
            customdata=offsets["batch"].astype(str),
            hovertemplate="%{customdata}: put in %{x:.2f}, found %{y:.2f}<extra>"
            + name
            + "</extra>",
        )
    style(
        fig,
        title=title,
        subtitle=subtitle,
        x="shift of the plate that was put in (SD between like wells)",
        y="distance of its controls (SD within plates)",
        height=380,
    )
    return fig.update_yaxes(rangemode="tozero")
