"""How many of what: wells by condition, plate and dose, and replicates of each compound."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from screenbook.figures.palette import (
    BLUE,
    GREY,
    LOG_TICKS,
    REFERENCE,
    ROLE_COLOURS,
    ROLE_NAMES,
    VERMILLION,
    condition_colours,
    plate_names,
    style,
)
from screenbook.figures.panels import stack_when_narrow

ROLE_PATTERNS = {
    "healthy": "\\",
    "diseased": "/",
    "vehicle": "\\",
    "treated": "",
    "treated_healthy": "x",
    "blank": "-",
}
"""Fill of each role's bars, so that colour is not the only sign."""


_REFERENCE_MARKS = (
    (False, "compound", BLUE, "circle"),
    (True, "reference compound", VERMILLION, "diamond"),
)


def breakdown_bars(
    tables: Mapping[str, pd.DataFrame],
    healthy: Sequence[str],
    diseased: Sequence[str],
    *,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Wells by each of several metadata columns, one panel a column.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Panel name to the result of :func:`screenbook.profiles.design.breakdown`.
    healthy, diseased : sequence of str
        Conditions by role, which decides their colour.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    n_rows = math.ceil(len(tables) / 2)
    values = {value for table in tables.values() for value in table["value"]}
    colours = _value_colours(values, healthy, diseased)
    lengths = [len(table) for table in tables.values()]
    bars = [max(lengths[i : i + 2]) for i in range(0, len(lengths), 2)]  # of each row of panels
    height = 24 * sum(bars) + 75 * n_rows
    fig = make_subplots(
        n_rows,
        2,
        subplot_titles=list(tables),
        horizontal_spacing=0.2,
        vertical_spacing=65 / height,
        row_heights=bars,
    )
    for i, table in enumerate(tables.values()):
        shown = table.iloc[::-1]  # the first value on top
        fig.add_bar(
            orientation="h",
            x=shown["wells"],
            y=[ROLE_NAMES.get(value, value) for value in shown["value"]],
            marker_color=[colours.get(value, BLUE) for value in shown["value"]],
            text=[f"{n:,}" for n in shown["wells"]],
            textposition="outside",
            cliponaxis=False,
            customdata=shown[["sites", "share"]],
            hovertemplate="%{y}<br>%{x:,} wells, %{customdata[0]:,} sites, "
            "%{customdata[1]:.1%} of all<extra></extra>",
            showlegend=False,
            row=i // 2 + 1,
            col=i % 2 + 1,
        )
    style(fig, title=title, subtitle=subtitle, height=height + 90)
    fig.update_xaxes(rangemode="tozero", nticks=5)
    fig.update_xaxes(title_text="wells", row=n_rows)
    fig.update_traces(width=0.7)
    fig.update_yaxes(type="category", showgrid=False)
    return stack_when_narrow(fig, 70 + 24 * max(bars))


def plate_composition(plates: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Wells of each plate by role, stacked.

    Parameters
    ----------
    plates : DataFrame
        From :func:`screenbook.profiles.design.plate_counts`.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    fig = go.Figure()
    names = list(plate_names(plates["batch"]).values())
    for role, colour in ROLE_COLOURS.items():
        if f"n_{role}" not in plates:
            continue
        fig.add_bar(
            name=ROLE_NAMES[role],
            x=names,
            y=plates[f"n_{role}"],
            marker={"color": colour, "pattern": _pattern(role)},
            customdata=plates[["cell_type"]],
            hovertemplate="plate %{x} (%{customdata[0]})<br>%{y:,} wells<extra>"
            + ROLE_NAMES[role]
            + "</extra>",
        )
    fig.update_layout(barmode="stack", bargap=0.1)
    style(fig, title=title, subtitle=subtitle, x="plate", y="wells", height=380)
    return fig.update_xaxes(type="category", tickangle=-60, showgrid=False)


def _pattern(role: str) -> dict[str, object]:
    lines = "rgba(255,255,255,0.55)"
    return {"shape": ROLE_PATTERNS[role], "size": 7, "fillmode": "overlay", "fgcolor": lines}


def replicate_ranks(compounds: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Wells of each compound in falling order, one panel a cell type.

    Parameters
    ----------
    compounds : DataFrame
        From :func:`screenbook.profiles.design.compound_table`.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    cell_types = list(dict.fromkeys(compounds["cell_type"]))
    fig = make_subplots(1, len(cell_types), subplot_titles=cell_types, shared_yaxes=True)
    for i, cell_type in enumerate(cell_types):
        mine = compounds[compounds["cell_type"] == cell_type].reset_index(drop=True)
        for reference, name, colour, symbol in _REFERENCE_MARKS:
            some = mine[mine["reference"] == reference]
            fig.add_scatter(
                name=name,
                legendgroup=name,
                showlegend=bool(i == 0 and len(some)),
                mode="markers",
                x=some.index + 1,
                y=some["wells"],
                marker={"color": colour, "symbol": symbol, "size": 8},
                meta="compound",
                customdata=some[["compound", "doses", "plates"]],
                hovertemplate="%{customdata[0]}<br>%{y:,} wells: %{customdata[1]} doses, "
                "%{customdata[2]} plates<extra></extra>",
                row=1,
                col=i + 1,
            )
    style(fig, title=title, subtitle=subtitle, x="compound, by number of wells", height=340)
    fig.update_yaxes(type="log", tickvals=LOG_TICKS)
    fig.update_yaxes(title_text="wells of the compound (log scale)", col=1)
    return stack_when_narrow(fig, 300)


def listing_chances(chances: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Chance of a compound to be listed blindly, against its number of wells.

    Parameters
    ----------
    chances : DataFrame
        Columns ``cell_type compound reference wells probability`` (0 to 1) and ``fair`` (the
        chance that all compounds of the cell type would have with equal replicates).
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    cell_types = list(dict.fromkeys(chances["cell_type"]))
    fig = make_subplots(1, len(cell_types), subplot_titles=cell_types, shared_yaxes=True)
    for i, cell_type in enumerate(cell_types):
        mine = chances[chances["cell_type"] == cell_type]
        for reference, name, colour, symbol in _REFERENCE_MARKS:
            some = mine[mine["reference"] == reference]
            fig.add_scatter(
                name=name,
                legendgroup=name,
                showlegend=bool(i == 0 and len(some)),
                mode="markers",
                x=some["wells"],
                y=some["probability"],
                marker={"color": colour, "symbol": symbol, "size": 9, "opacity": 0.75},
                meta="compound",
                customdata=some[["compound"]],
                hovertemplate="%{customdata[0]}<br>%{x:,} wells, listed in %{y:.1%} of draws"
                "<extra></extra>",
                row=1,
                col=i + 1,
            )
        fair = float(mine["fair"].iloc[0])
        fig.add_hline(
            y=fair,
            line={"color": REFERENCE, "dash": "dash", "width": 1.5},
            annotation_text=f"equal replicates: {fair:.0%}",
            annotation_position="bottom right",
            row=1,
            col=i + 1,
        )
    style(fig, title=title, subtitle=subtitle, x="wells of the compound (log scale)", height=340)
    fig.update_xaxes(type="log", tickvals=LOG_TICKS)
    fig.update_yaxes(tickformat=".0%", range=[-0.04, 1.06])
    fig.update_yaxes(title_text="listed, share of blind draws", col=1)
    return stack_when_narrow(fig, 300)


def _value_colours(
    values: Iterable[str], healthy: Sequence[str], diseased: Sequence[str]
) -> dict[str, str]:
    """Colours of conditions and roles; all else has none of its own."""
    named = condition_colours([v for v in values if v in (*healthy, *diseased)], healthy, diseased)
    return {**ROLE_COLOURS, **named, "(blank)": ROLE_COLOURS["blank"], "(untreated)": GREY}
