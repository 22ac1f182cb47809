"""Classifiers of healthy and diseased wells: how good, how honest, what drives them, what leads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from screenbook.figures.palette import (
    BLUE,
    GREY,
    ORANGE,
    REFERENCE,
    ROLE_COLOURS,
    ROLE_NAMES,
    shade,
    style,
)
from screenbook.figures.panels import stack_when_narrow

_DASHED = {"color": REFERENCE, "dash": "dash", "width": 1.5}
_HELD_OUT = {"plate": (BLUE, "circle"), "experiment": (ORANGE, "diamond")}


def auc_by_plate(
    plates: pd.DataFrame,
    measures: pd.DataFrame,
    titles: dict[str, str],
    *,
    null_high: float,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """AUC of healthy against diseased controls: single plates, and all with an interval.

    Parameters
    ----------
    plates : DataFrame
        ``cell_type model batch auc n used``, plates held out.
    measures : DataFrame
        ``cell_type model held_out auc auc_low auc_high``.
    titles : dict of str to str
        What each model is called.
    null_high : float
        Highest AUC under permuted labels; a band from 0.5 to it, if the axis goes that low.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    panels, models = list(pd.unique(measures["cell_type"])), list(titles)
    fig = make_subplots(1, len(panels), subplot_titles=panels, shared_yaxes=True)
    for k, panel in enumerate(panels, start=1):
        mine = plates[(plates["cell_type"] == panel) & plates["auc"].notna()]
        for used, colour, symbol, name in (
            (True, GREY, "circle", "one plate"),
            (False, GREY, "x", "a plate flagged in report 01: taught nothing"),
        ):
            some = mine[mine["used"] == used]
            fig.add_scatter(
                **{"name": name, "legendgroup": name, "showlegend": k == 1, "mode": "markers"},
                x=some["auc"],
                y=some["model"].map(models.index) + 0.25,
                marker={"color": colour, "symbol": symbol, "size": 6, "opacity": 0.6},
                customdata=some[["batch", "n"]].astype(str),
                hovertemplate="%{customdata[0]} (%{customdata[1]} controls): %{x:.3f}"
                "<extra></extra>",
                **{"row": 1, "col": k},
            )
        for held_out, (colour, symbol) in _HELD_OUT.items():
            some = measures[(measures["cell_type"] == panel) & (measures["held_out"] == held_out)]
            name = f"{held_out}s held out, 95 % interval over plates"
            fig.add_scatter(
                **{"name": name, "legendgroup": held_out, "showlegend": k == 1, "mode": "markers"},
                x=some["auc"],
                y=some["model"].map(models.index) - (0.05 if held_out == "plate" else 0.25),
                error_x=interval_bars(some, "auc"),
                marker={"color": colour, "symbol": symbol, "size": 10},
                hovertemplate="%{x:.3f}<extra>" + name + "</extra>",
                **{"row": 1, "col": k},
            )
        band = {"fillcolor": shade(GREY, 0.2), "line_width": 0}
        fig.add_vrect(x0=min(1 - null_high, 0.5), x1=null_high, **band, row=1, col=k)
    style(fig, title=title, subtitle=subtitle, x="AUC", height=120 + 62 * len(models))
    lowest = min(plates["auc"].min(), measures["auc_low"].fillna(measures["auc"]).min())
    fig.update_xaxes(range=[max(lowest - 0.02, 0.0), 1.005])
    names = [titles[m] for m in models]
    fig.update_yaxes(
        tickvals=list(range(len(models))), ticktext=names, range=[len(models) - 0.5, -0.5]
    )
    return stack_when_narrow(fig, 230)


def reliability(
    tables: dict[str, pd.DataFrame], wells: pd.DataFrame, *, title: str, subtitle: str = ""
) -> go.Figure:
    """Predicted against observed share of healthy wells, over a histogram of the predictions.

    Parameters
    ----------
    tables : dict of str to DataFrame
        By cell type, from :func:`screenbook.classifier.calibration.reliability_table`.
    wells : DataFrame
        ``cell_type role p_healthy`` of the control wells.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    n = len(tables)
    fig = make_subplots(
        2,
        n,
        subplot_titles=[*tables, *(f"{name}: its predictions" for name in tables)],
        row_heights=[0.68, 0.32],
        vertical_spacing=0.16,
    )
    highest = 0.0
    for k, (cell_type, table) in enumerate(tables.items(), start=1):
        place = {"row": 1, "col": k}
        ends = {"x": [0, 1], "y": [0, 1], "hoverinfo": "skip", "mode": "lines", "line": _DASHED}
        fig.add_scatter(name="what it says is what happens", showlegend=k == 1, **ends, **place)
        fig.add_scatter(
            **{"name": "held-out controls, 95 % interval", "showlegend": k == 1},
            mode="markers+lines",
            x=table["predicted"],
            y=table["observed"],
            error_y={
                "array": table["high"] - table["observed"],
                "arrayminus": table["observed"] - table["low"],
                **{"thickness": 1.2, "width": 0},
            },
            line={"color": BLUE, "width": 1},
            marker={"color": BLUE, "size": 8},
            customdata=table["n"],
            hovertemplate="predicted %{x:.3f}, observed %{y:.3f}, %{customdata} wells"
            "<extra></extra>",
            **place,
        )
        for role in ("diseased", "healthy"):
            some = wells[(wells["cell_type"] == cell_type) & (wells["role"] == role)]
            share, middle = _histogram(some["p_healthy"], 20)
            highest = max(highest, float(share.max()))
            fig.add_bar(
                **{"name": ROLE_NAMES[role], "showlegend": k == 1, "legendgroup": role},
                x=middle,
                y=share,
                marker={"color": ROLE_COLOURS[role], "opacity": 0.7},
                hovertemplate="p near %{x:.2f}: %{y:.1%} of them<extra>" + role + "</extra>",
                **{"row": 2, "col": k},
            )
    style(fig, title=title, subtitle=subtitle, height=470)
    fig.update_xaxes(range=[-0.02, 1.02])
    fig.update_xaxes(title_text="predicted probability of healthy", row=2)
    fig.update_yaxes(range=[-0.03, 1.03], row=1)
    fig.update_yaxes(title_text="observed share", row=1, col=1)
    fig.update_yaxes(title_text="share of wells", row=2, col=1)
    fig.update_yaxes(tickformat=".0%", range=[0, 1.05 * highest], row=2)
    fig.update_layout(barmode="overlay", bargap=0.05)
    return stack_when_narrow(fig, 240)


def probability_histogram(wells: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """How probable it is that wells are healthy, by role, one panel a cell type.

    Parameters
    ----------
    wells : DataFrame
        ``cell_type role p_healthy``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    panels = list(pd.unique(wells["cell_type"]))
    fig = make_subplots(1, len(panels), subplot_titles=panels, shared_yaxes=True)
    present = set(wells["role"])
    roles = [r for r in ("diseased", "treated", "healthy", "treated_healthy") if r in present]
    for k, panel in enumerate(panels, start=1):
        for role in roles:
            some = wells[(wells["cell_type"] == panel) & (wells["role"] == role)]
            share, middle = _histogram(some["p_healthy"], 25)
            fig.add_scatter(
                **{"name": ROLE_NAMES[role], "legendgroup": role, "showlegend": k == 1},
                mode="lines",
                x=middle,
                y=np.where(share > 0, share, np.nan),
                line={
                    "color": ROLE_COLOURS[role],
                    "shape": "hvh",
                    "width": 3 if role == "treated" else 1.5,
                    "dash": "dot" if role == "healthy" else "solid",
                },
                hovertemplate="p near %{x:.2f}: %{y:.2%}<extra>" + ROLE_NAMES[role] + "</extra>",
                **{"row": 1, "col": k},
            )
    style(fig, title=title, subtitle=subtitle, x="probability of healthy, plate held out")
    fig.update_yaxes(type="log", tickformat="~%", dtick=1)
    fig.update_yaxes(title_text="share of the wells of a role", col=1)
    return stack_when_narrow(fig, 300)


def drivers(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Share of the scores' variance that each factor explains, beside what it does by chance.

    Parameters
    ----------
    table : DataFrame
        ``panel role factor share null_high p``; one panel a cell type.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    panels, factors = list(pd.unique(table["panel"])), list(pd.unique(table["factor"]))
    fig = make_subplots(1, len(panels), subplot_titles=panels, shared_yaxes=True)
    roles = list(pd.unique(table["role"]))
    symbols = dict(zip(roles, ("circle", "diamond", "square", "cross"), strict=False))
    for k, panel in enumerate(panels, start=1):
        for i, role in enumerate(roles):
            some = table[(table["panel"] == panel) & (table["role"] == role)]
            y = some["factor"].map(factors.index) + 0.22 * (i - (len(roles) - 1) / 2)
            fig.add_scatter(
                **{"name": ROLE_NAMES[role], "legendgroup": role, "showlegend": k == 1},
                mode="markers",
                x=some["share"],
                y=y,
                marker={"color": ROLE_COLOURS[role], "symbol": symbols[role], "size": 9},
                customdata=some[["factor", "null_high", "p", "n"]],
                hovertemplate="%{customdata[0]}: %{x:.1%} (by chance up to %{customdata[1]:.1%}; "
                "p = %{customdata[2]:.3f}, n = %{customdata[3]})<extra>"
                + ROLE_NAMES[role]
                + "</extra>",
                **{"row": 1, "col": k},
            )
            fig.add_scatter(
                **{"name": "95 % of permutations lie below", "legendgroup": "null"},
                showlegend=k == 1 and i == 0,
                mode="markers",
                x=some["null_high"],
                y=y,
                marker={"symbol": "line-ns", "size": 10, "line": {"color": REFERENCE, "width": 2}},
                hoverinfo="skip",
                **{"row": 1, "col": k},
            )
    style(
        fig,
        title=title,
        subtitle=subtitle,
        x="share of variance explained",
        height=130 + 42 * len(factors),
    )
    fig.update_xaxes(tickformat=".0%", rangemode="tozero")
    fig.update_yaxes(
        tickvals=list(range(len(factors))), ticktext=factors, range=[len(factors) - 0.5, -0.5]
    )
    return stack_when_narrow(fig, 90 + 42 * len(factors))


def schemes(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """AUC that a way of training reports, one row for each way, down to the mended one.

    Parameters
    ----------
    table : DataFrame
        ``scheme auc split``, in order.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    fig = go.Figure()
    for split, colour, symbol, name in (
        ("rows", ORANGE, "diamond", "split at random"),
        ("plates", BLUE, "circle", "plates held out"),
    ):
        some = table[table["split"] == split]
        fig.add_scatter(
            **{"name": name, "mode": "markers", "x": some["auc"], "y": some["scheme"]},
            marker={"color": colour, "symbol": symbol, "size": 12},
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    fig.add_vline(x=0.5, line=_DASHED)
    style(
        fig,
        title=title,
        subtitle=subtitle,
        x="AUC, healthy above diseased",
        height=110 + 34 * len(table),
    )
    fig.update_xaxes(range=[0, 1.02])
    order = list(table["scheme"])[::-1]
    return fig.update_yaxes(categoryorder="array", categoryarray=order)


def interval_bars(table: pd.DataFrame, name: str) -> dict[str, object]:
    """Error bars of plotly from columns ``<name>_low`` and ``<name>_high``."""
    middle = table["p_healthy"] if name == "p" else table[name]
    ends = {"array": table[f"{name}_high"] - middle, "arrayminus": middle - table[f"{name}_low"]}
    return {**ends, "thickness": 1.4, "width": 0}


def _histogram(p: pd.Series, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of wells in equal bins from 0 to 1, and their middles."""
    counts, edges = np.histogram(p, bins=n_bins, range=(0, 1))
    return counts / max(len(p), 1), (edges[:-1] + edges[1:]) / 2
