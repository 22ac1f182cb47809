"""Plates seen from above: who stands where, and which places differ from others."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from screenbook.figures.palette import (
    BLUE,
    DIVERGING,
    GREEN,
    GREY,
    ORANGE,
    ROLE_COLOURS,
    ROLE_NAMES,
    SEQUENTIAL,
    style,
)
from screenbook.figures.panels import stack_when_narrow

_LAYOUT_SYMBOLS = {
    "healthy": "circle",
    "diseased": "diamond",
    "vehicle": "circle",
    "treated": "square",
    "treated_healthy": "cross",
    "blank": "x",
}


def row_name(row: int) -> str:
    """Letters of a plate row: ``A`` for 0, ``AA`` for 26."""
    return chr(65 + row) if row < 26 else "A" + chr(65 + row - 26)


def layout_map(wells: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw what stands in each well of a plate, with a menu of plates.

    Parameters
    ----------
    wells : DataFrame
        Wells of the plates to choose from: ``batch row column well role compound
        treatment_conc``; wells without an address (row -1) are left out.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    placed = wells[wells["row"] >= 0]
    plates = [str(batch) for batch in pd.unique(placed["batch"])]
    roles = [role for role in ROLE_COLOURS if (placed["role"].astype(str) == role).any()]
    n_rows, n_columns = int(placed["row"].max()) + 1, int(placed["column"].max()) + 1
    size = float(np.clip(560 / n_columns * 0.62, 5, 15))
    fig = go.Figure()
    for plate in plates:
        on_plate = placed[placed["batch"].astype(str) == plate]
        for role in roles:
            some = on_plate[on_plate["role"].astype(str) == role]
            dose = some["treatment_conc"].map(lambda c: "" if pd.isna(c) else f", {c:g} µM")
            fig.add_scatter(
                name=ROLE_NAMES[role],
                visible=plate == plates[0],
                mode="markers",
                x=some["column"] + 1,
                y=some["row"],
                marker={
                    "color": ROLE_COLOURS[role],
                    "symbol": _LAYOUT_SYMBOLS[role],
                    "size": size,
                    "opacity": 0.45 if role == "treated" else 1.0,
                },
                meta="compound",
                customdata=np.stack([some["compound"].astype(str), some["well"], dose], axis=1),
                hovertemplate="well %{customdata[1]}<br>%{customdata[0]}%{customdata[2]}<extra>"
                + ROLE_NAMES[role]
                + "</extra>",
            )
    style(fig, title=title, subtitle=subtitle, x="column", y="row", height=120 + 22 * n_rows)
    _plate_axes(fig, n_rows, n_columns)
    if len(plates) > 1:
        fig.update_layout(updatemenus=[_plate_menu(plates, len(roles))])
    return fig


def control_places(
    places: Mapping[str, pd.DataFrame], *, title: str, subtitle: str = ""
) -> go.Figure:
    """On how many plates each position holds a control, one panel a role.

    Parameters
    ----------
    places : mapping of str to DataFrame
        Role to ``row``, ``column`` and ``share`` (of plates, 0 to 1).
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    top = max(float(table["share"].max()) for table in places.values())
    panels = {
        ROLE_NAMES[role]: table.rename(columns={"share": "z"}) for role, table in places.items()
    }
    scale = {
        "colorscale": SEQUENTIAL,
        "cmin": 0,
        "cmax": top,
        "colorbar": {"title": {"text": "share of<br>plates"}, "tickformat": ".0%"},
    }
    hover = "%{y}%{x}: on %{z:.0%} of plates<extra></extra>"
    return _panels(panels, scale, hover, title=title, subtitle=subtitle)


def position_heatmaps(
    maps: Mapping[str, pd.DataFrame], *, title: str, subtitle: str = ""
) -> go.Figure:
    """Mean score at every plate position, one panel a cell type.

    Parameters
    ----------
    maps : mapping of str to DataFrame
        Panel name to the result of :func:`screenbook.profiles.position.position_map`.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    panels = {name: table.rename(columns={"mean": "z"}) for name, table in maps.items()}
    # The scale ends where all but a few positions lie, or one well would wash out the rest.
    top = max(float(np.nanquantile(table["z"].abs(), 0.98)) for table in panels.values()) or 1.0
    scale = {
        "colorscale": DIVERGING,
        "cmin": -top,
        "cmax": top,
        "colorbar": {"title": {"text": "mean score<br>(SD)"}},
    }
    hover = "%{y}%{x}: %{z:.2f} SD (n = %{customdata})<extra></extra>"
    return _panels(panels, scale, hover, title=title, subtitle=subtitle)


def position_effect_bars(
    effects: pd.DataFrame, *, level: float, title: str, subtitle: str = ""
) -> go.Figure:
    """Share of variance that row, column and edge explain, by cell type and wells tested.

    Parameters
    ----------
    effects : DataFrame
        From :func:`screenbook.profiles.position.position_effects`, with ``cell_type`` and
        ``among`` (which wells were tested); bars with ``q`` under `level` are filled.
    level : float
        Of q.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    cell_types = list(dict.fromkeys(effects["cell_type"]))
    kinds = list(dict.fromkeys(effects["among"]))
    wells = {"all": "all wells", "controls": "control wells"}
    names = [f"{cell_type}, {wells[kind]}" for kind in kinds for cell_type in cell_types]
    fig = make_subplots(
        len(kinds),
        len(cell_types),
        subplot_titles=names,
        shared_yaxes="all",
        shared_xaxes="all",
        vertical_spacing=0.14,
        horizontal_spacing=0.05,
    )
    for i, (kind, cell_type) in enumerate(product(kinds, cell_types)):
        panel = effects[(effects["cell_type"] == cell_type) & (effects["among"] == kind)]
        for effect, colour in _EFFECT_COLOURS.items():
            some = panel[panel["effect"] == effect]
            fig.add_bar(
                name=effect,
                showlegend=False,
                x=some["score"],
                y=some["share"],
                marker={
                    "color": [colour if q < level else "rgba(0,0,0,0)" for q in some["q"]],
                    "line": {"color": colour, "width": 1.5},
                },
                customdata=some[["p", "q", "wells"]],
                hovertemplate=effect + " on %{x}: %{y:.2%} of variance<br>p = %{customdata[0]:.3g}"
                ", q = %{customdata[1]:.3g}, n = %{customdata[2]:,} wells<extra></extra>",
                row=i // len(cell_types) + 1,
                col=i % len(cell_types) + 1,
            )
    style(fig, title=title, subtitle=subtitle, height=130 + 200 * len(kinds))
    fig.update_xaxes(type="category", showgrid=False)
    fig.update_yaxes(tickformat=".1%", rangemode="tozero")
    # Bars without a fill would leave the legend blank; these squares are there for it alone.
    for effect, colour in _EFFECT_COLOURS.items():
        fig.add_scatter(
            name=effect,
            x=[None],
            y=[None],
            mode="markers",
            marker={"color": colour, "symbol": "square", "size": 11},
        )
    fig.update_yaxes(title_text="share of variance", col=1)
    return stack_when_narrow(fig, 240)


_EFFECT_COLOURS = {"row": BLUE, "column": ORANGE, "edge": GREEN}


def _panels(
    panels: Mapping[str, pd.DataFrame],
    scale: dict[str, Any],
    hover: str,
    *,
    title: str,
    subtitle: str,
) -> go.Figure:
    """Heatmaps of plates side by side, under one colour scale."""
    fig = make_subplots(1, len(panels), subplot_titles=list(panels), horizontal_spacing=0.07)
    n_rows = max(int(table["row"].max()) for table in panels.values()) + 1
    n_columns = max(int(table["column"].max()) for table in panels.values()) + 1
    for i, table in enumerate(panels.values()):
        grid = np.full((n_rows, n_columns), np.nan)
        grid[table["row"], table["column"]] = table["z"]
        counts = np.zeros((n_rows, n_columns), dtype=int)
        if "n" in table:
            counts[table["row"], table["column"]] = table["n"]
        fig.add_heatmap(
            z=grid,
            x=np.arange(1, n_columns + 1),
            y=[row_name(r) for r in range(n_rows)],
            coloraxis="coloraxis",
            customdata=counts,
            hovertemplate=hover,
            hoverongaps=False,
            xgap=1,
            ygap=1,
            row=1,
            col=i + 1,
        )
    width = 640 / len(panels)
    height = 110 + float(np.clip(width * n_rows / n_columns, 200, 420))
    style(fig, title=title, subtitle=subtitle, x="column", height=int(height))
    fig.update_xaxes(showgrid=False, range=[0.5, n_columns + 0.5])
    fig.update_yaxes(showgrid=False, autorange="reversed", type="category")
    fig.update_yaxes(title_text="row", col=1)
    fig.update_layout(coloraxis=scale)
    return stack_when_narrow(fig, 90 + round(300 * n_rows / n_columns))


def _plate_axes(fig: go.Figure, n_rows: int, n_columns: int) -> None:
    step = 1 if n_rows <= 16 else 2
    rows = list(range(0, n_rows, step))
    fig.update_yaxes(
        range=[n_rows - 0.4, -0.6],
        tickvals=rows,
        ticktext=[row_name(r) for r in rows],
        zeroline=False,
        showgrid=False,
    )
    fig.update_xaxes(range=[0.4, n_columns + 0.6], zeroline=False, showgrid=False)


def _plate_menu(plates: list[str], n_roles: int) -> dict[str, Any]:
    """One entry per plate, which shows that plate's traces alone."""
    return {
        "buttons": [
            {
                "label": f"plate {plate}",
                "method": "restyle",
                "args": [{"visible": [p == plate for p in plates for _ in range(n_roles)]}],
            }
            for plate in plates
        ],
        "x": 1.0,
        "xanchor": "right",
        "y": 1.02,
        "yanchor": "bottom",
        "bgcolor": "#f4f5f7",
        "bordercolor": GREY,
        "font": {"color": "#222222"},
        "active": 0,
        "showactive": True,
        "pad": {"b": 2},
        "name": "plate",
    }
