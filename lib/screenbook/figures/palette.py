"""One palette for the whole series: a role, a condition or a class keeps its colour in all figures.

The colours are those of Okabe and Ito (Color Universal Design, 2008), which readers with any
common colour vision deficiency can tell apart. Colour is never the only sign: every role has
a marker symbol of its own too. Backgrounds are transparent, so that one figure serves light,
dark and print.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from functools import cache

import plotly.graph_objects as go

BLUE = "#0072B2"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
ORANGE = "#E69F00"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#8C8C8C"

OKABE_ITO = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW, GREY)
"""The order in which classes without a colour of their own are coloured."""

ROLE_COLOURS = {
    "healthy": GREEN,
    "diseased": VERMILLION,
    "vehicle": GREEN,
    "treated": BLUE,
    "treated_healthy": SKY,
    "blank": PURPLE,
}
"""Colour of each value of ``obs["role"]``; green is always *where a hit should go*."""

ROLE_SYMBOLS = {
    "healthy": "circle",
    "diseased": "diamond",
    "vehicle": "circle",
    "treated": "x-thin",
    "treated_healthy": "cross-thin",
    "blank": "square-open",
}
"""Marker of each value of ``obs["role"]``, so that colour is not the only sign."""

ROLE_NAMES = {
    "healthy": "healthy control",
    "diseased": "untreated disease",
    "vehicle": "vehicle control",
    "treated": "treated",
    "treated_healthy": "treated, healthy cells",
    "blank": "condition blank",
}
"""What figures and prose call each role."""

VERDICT_COLOURS = {"keep": BLUE, "flag": ORANGE}
VERDICT_SYMBOLS = {"keep": "circle", "flag": "triangle-up"}

EMPHASIS = VERMILLION
"""The one element of a figure that its title speaks about."""
REFERENCE = GREY
"""Lines of chance level, thresholds and nulls."""

SEQUENTIAL = "Cividis"
"""Colour scale for quantities from low to high."""
DIVERGING = ((0.0, BLUE), (0.5, "#F2F2F2"), (1.0, VERMILLION))
"""Colour scale for signed quantities; set the middle of the axis to zero."""

LOG_TICKS = [m * 10**e for e in range(7) for m in (1, 2, 5)]
"""Ticks of logarithmic axes of counts."""

_HEALTHY_SHADES = (GREEN, SKY)
_DISEASED_SHADES = (VERMILLION, ORANGE)


def condition_colours(
    conditions: Iterable[str], healthy: Sequence[str], diseased: Sequence[str]
) -> dict[str, str]:
    """Colour per disease condition: healthy ones green to sky, diseased ones red to orange.

    Parameters
    ----------
    conditions : iterable of str
        Values of ``disease_condition``; ``""`` is the blank class.
    healthy, diseased : sequence of str
        The conditions that the screen's roles name, in that order.

    Returns
    -------
    dict of str to str
        One colour for each condition, the same in every figure of a run.
    """
    named = {"": ROLE_COLOURS["blank"]}
    for group, shades in ((healthy, _HEALTHY_SHADES), (diseased, _DISEASED_SHADES)):
        named |= {name: shades[min(i, len(shades) - 1)] for i, name in enumerate(group)}
    return {name: named.get(name, GREY) for name in dict.fromkeys(conditions)}


def class_colours(values: Iterable[str]) -> dict[str, str]:
    """Colour per class of a nominal variable, in sorted order, repeating after eight.

    Sorting makes the assignment independent of the order of rows: a cell type or an
    experiment has one colour in all figures of a run.
    """
    return {v: OKABE_ITO[i % len(OKABE_ITO)] for i, v in enumerate(sorted(set(values)))}


def plate_names(batches: Iterable[str]) -> dict[str, str]:
    """Short names of plates for ticks: without the experiment, where that leaves them unique."""
    short = {str(batch): str(batch).rpartition("/")[2] for batch in batches}
    return short if len(set(short.values())) == len(short) else {batch: batch for batch in short}


def shade(colour: str, alpha: float) -> str:
    """``#RRGGBB`` as an ``rgba(...)`` of opacity `alpha`, for bands and fills."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


@cache
def base_template() -> go.layout.Template:
    """Build the shared layout: transparent ground, quiet grid, room for a two-line title."""
    axis = {
        "showgrid": True,
        "gridcolor": "rgba(128,128,128,0.22)",
        "zerolinecolor": "rgba(128,128,128,0.45)",
        "linecolor": "rgba(128,128,128,0.6)",
        "ticks": "outside",
        "tickcolor": "rgba(128,128,128,0.6)",
        "title": {"standoff": 8},
        "separatethousands": True,
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#4a5058"},
            "title": {
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "yref": "container",
                "y": 0.98,
                "yanchor": "top",
                "font": {"size": 16},
                "subtitle": {"font": {"size": 12.5}},
            },
            "colorway": list(OKABE_ITO),
            "colorscale": {"sequential": SEQUENTIAL, "diverging": DIVERGING},
            "margin": {"l": 60, "r": 20, "t": 80, "b": 55},
            "xaxis": axis,
            "yaxis": axis,
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 0,
                "yref": "container",
                "yanchor": "bottom",
                "title": {"side": "left"},
            },
            "hoverlabel": {"align": "left"},
            "bargap": 0.25,
        }
    )


def style(
    fig: go.Figure,
    *,
    title: str,
    subtitle: str = "",
    x: str | None = None,
    y: str | None = None,
    height: int = 360,
) -> go.Figure:
    """Give a figure the series' look, its conclusion as title, and its axes their units.

    Parameters
    ----------
    fig : plotly.graph_objects.Figure
        Changed in place.
    title : str
        The conclusion, as a short sentence; wrapped where it is long.
    subtitle : str, optional
        What is counted, and how many (n).
    x, y : str, optional
        Axis titles with unit; ``None`` leaves them as they are.
    height : int, optional
        Pixels below the title; the width follows the page.

    Returns
    -------
    plotly.graph_objects.Figure
        The same figure, for chaining.
    """
    lines, sublines = textwrap.wrap(title, 78), textwrap.wrap(subtitle, 105)
    head = 24 + 21 * len(lines) + 17 * len(sublines)
    fig.update_layout(
        template=base_template(),
        title={
            "text": "<br>".join(lines),
            "y": 1 - 24 / (height + head),
            "yanchor": "auto",
            "subtitle": {"text": "<br>".join(sublines)},
        },
        margin={"t": head + 12},
        height=height + head,
    )
    if x is not None:
        fig.update_xaxes(title_text=x)
    if y is not None:
        fig.update_yaxes(title_text=y)
    return fig


def add_reference(
    fig: go.Figure, text: str, *, x: float | None = None, y: float | None = None
) -> None:
    """Draw a labelled dashed line (chance level, threshold, null) at `x` or at `y`."""
    line = {"color": REFERENCE, "dash": "dash", "width": 1.5}
    if x is not None:
        fig.add_vline(x=x, line=line, annotation_text=text, annotation_position="top")
    if y is not None:
        fig.add_hline(y=y, line=line, annotation_text=text, annotation_position="top left")
