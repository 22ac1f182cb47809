"""Maps of wells, coloured by any column with one control, and what such maps are worth.

Maps are drawn by WebGL; up to 50,000 wells stay quick to pan, which :data:`MOST_SHOWN` says.
"""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.colouring import Colouring
from screenbook.figures.palette import GREY, ROLE_NAMES, style
from screenbook.figures.panels import place_panels

MOST_SHOWN = 50_000
"""Wells drawn at most on all panels of a figure; draw a random sample of more."""

_MENU_ROOM = 62  # pixels above the panels, for the menu and their titles
_OTHER_ROOM = 76  # pixels above that and below the panels, for axis titles and margins
_GAP = 0.05  # of the width, between panels
_LEGEND_WIDTH = 190  # pixels
_HEIGHTS = {1: 620, 2: 460, 3: 360}  # pixels by number of panels: each is square on most pages
_HOVER = "%{customdata[0]} %{customdata[3]}<br>%{customdata[1]}, %{customdata[2]}<extra></extra>"
_FRAME = 1.06  # side of a panel, over the spread of its wells


@dataclass(frozen=True)
class Panel:
    """One map.

    Attributes
    ----------
    title : str
        What it shows.
    coordinates : ndarray of float32, shape (m, 2)
        Places of the wells.
    wells : ndarray of int, shape (m,)
        Their rows in the metadata and in every colouring.
    """

    title: str
    coordinates: np.ndarray
    wells: np.ndarray


def map_figure(
    panels: Sequence[Panel],
    obs: pd.DataFrame,
    colourings: Sequence[Colouring],
    *,
    title: str,
    subtitle: str,
    axes: tuple[str, str] = ("t-SNE 1 (no unit)", "t-SNE 2 (no unit)"),
) -> go.Figure:
    """Draw maps side by side, with one menu that colours all of them.

    Wells are drawn in random order, so that no plate lies on top of another by its place in
    the file; controls come last, since they are few. The page's search finds compounds.

    Parameters
    ----------
    panels : sequence of Panel
        One to three maps.
    obs : DataFrame, n rows
        Metadata: ``compound``, ``batch``, ``well``, ``role`` and ``treatment_conc`` are used.
    colourings : sequence of Colouring
        Entries of the menu; the first is shown at first.
    title, subtitle : str
        The conclusion; what is counted, and how many.
    axes : tuple of str
        Titles of the axes, with unit.
    """
    hover = _hover(obs)
    treated = obs["role"].to_numpy() == "treated"
    drawn = [_drawing_order(panel, treated) for panel in panels]
    size = _marker_size(max(len(rows) for rows in drawn))
    fig = go.Figure()
    for number, (panel, rows) in enumerate(zip(panels, drawn, strict=True), start=1):
        suffix = "" if number == 1 else str(number)
        fig.add_trace(
            go.Scattergl(
                x=panel.coordinates[rows, 0].astype(np.float32),
                y=panel.coordinates[rows, 1].astype(np.float32),
                xaxis=f"x{suffix}",
                yaxis=f"y{suffix}",
                mode="markers",
                name=panel.title,
                meta="compound",
                customdata=hover[panel.wells[rows]],
                hovertemplate=_HOVER,
                showlegend=False,
                marker={"size": size, "opacity": 0.85, "line": {"width": 0}},
            )
        )
    for _ in range(max(len(colouring.legend) for colouring in colourings)):
        fig.add_trace(_legend_line())
    wells = [panel.wells[rows] for panel, rows in zip(panels, drawn, strict=True)]
    states = [_state(colouring, panels, wells, len(fig.data)) for colouring in colourings]
    _apply(fig, states[0], colourings[0])
    style(fig, title=title, subtitle=subtitle, height=_HEIGHTS[len(panels)])
    _arrange(fig, panels, axes)
    fig.update_layout(updatemenus=[_menu(colourings, states, len(fig.data))])
    return fig


def _drawing_order(panel: Panel, treated: np.ndarray) -> np.ndarray:
    shuffled = np.random.default_rng(0).permutation(len(panel.wells))
    return shuffled[np.argsort(~treated[panel.wells[shuffled]], kind="stable")]


def _hover(obs: pd.DataFrame) -> np.ndarray:
    """Compound, plate, well, and dose or role of every well: shape (n, 4).

    Apart, since the page writes text that repeats itself once.
    """
    well = obs["well"].astype(str)
    if (obs["site"] > 0).any():
        well = well + ", site " + obs["site"].astype(str)
    dose = obs["treatment_conc"].map("{:g} µM".format).astype(object)
    role = obs["role"].astype(str).map(ROLE_NAMES)
    what = dose.where(obs["treatment_conc"].notna(), role)
    columns = [obs["compound"].astype(str), obs["batch"].astype(str), well, what]
    return np.column_stack([column.to_numpy(dtype=object) for column in columns])


def _marker_size(n: int) -> float:
    """Smaller as wells grow in number, so that they do not merge into one blot."""
    return float(np.clip(round(320 / np.sqrt(max(n, 1)), 1), 2.5, 8))


def _legend_line() -> go.Scatter:
    return go.Scatter(x=[None], y=[None], mode="markers", visible=False, marker={"size": 9})


def _state(
    colouring: Colouring, panels: Sequence[Panel], wells: list[np.ndarray], n_traces: int
) -> dict[str, Any]:
    """Restyle arguments, one entry for each trace: panels first, then lines of the legend."""
    spare = n_traces - len(wells) - len(colouring.legend)
    lines, symbols = colouring.legend, colouring.symbols
    return {
        "marker.color": [
            *(_typed(colouring.values[rows]) for rows in wells),
            *(line.colour for line in lines),
            *[GREY] * spare,
        ],
        "marker.symbol": [
            *(_typed(symbols[rows]) if symbols.any() else "circle" for rows in wells),
            *(line.symbol for line in lines),
            *["circle"] * spare,
        ],
        "name": [*(p.title for p in panels), *(line.label for line in lines), *[""] * spare],
        "visible": [*[True] * len(wells), *[True] * len(lines), *[False] * spare],
    }


def _scale(colouring: Colouring) -> dict[str, Any]:
    """Relayout arguments of the colour axis; classes have a legend instead of a bar."""
    title = "<br>".join(textwrap.wrap(colouring.name, 22))
    return {
        "coloraxis.colorscale": [list(stop) for stop in colouring.scale],
        "coloraxis.cmin": colouring.low,
        "coloraxis.cmax": colouring.high,
        "coloraxis.showscale": not colouring.legend,
        "coloraxis.colorbar.title.text": title,
        "coloraxis.colorbar.tickvals": [value for value, _ in colouring.ticks],
        "coloraxis.colorbar.ticktext": [text for _, text in colouring.ticks],
        "legend.title.text": title,
    }


def _apply(fig: go.Figure, state: Mapping[str, Sequence[Any]], colouring: Colouring) -> None:
    """Put the figure into a state of its menu."""
    for i, trace in enumerate(fig.data):
        trace.update({key.replace(".", "_"): values[i] for key, values in state.items()})
        if isinstance(trace, go.Scattergl):
            # The scale is the layout's; the trace's own serves the preview picture.
            trace.marker.update(
                coloraxis="coloraxis",
                colorscale=colouring.scale,
                cmin=colouring.low,
                cmax=colouring.high,
            )
    fig.update_layout({key.replace(".", "_"): value for key, value in _scale(colouring).items()})


def _typed(values: np.ndarray) -> dict[str, str]:
    """Write plotly's typed array: a menu's arguments are not packed as those of traces are."""
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    code = f"{values.dtype.kind}{values.dtype.itemsize}"
    return {"dtype": code, "bdata": base64.b64encode(little.tobytes()).decode("ascii")}


def _menu(
    colourings: Sequence[Colouring], states: Sequence[dict[str, Any]], n_traces: int
) -> dict[str, Any]:
    traces = list(range(n_traces))
    return {
        "buttons": [
            {
                "label": f"Colour: {colouring.name}",
                "method": "update",
                "args": [state, _scale(colouring), traces],
            }
            for colouring, state in zip(colourings, states, strict=True)
        ],
        "x": 0,
        "xanchor": "left",
        "y": 1,
        "yanchor": "top",
        "pad": {"t": 0, "b": 0},
        # Plotly paints the chosen entry white whatever the theme, so its text must be dark.
        "bgcolor": "#eef1f4",
        "bordercolor": "#b9c0c7",
        "font": {"color": "#1d2126"},
    }


def _square(coordinates: np.ndarray) -> tuple[list[float], list[float]]:
    """Ranges of both axes, equally long: one unit is as wide as it is high, in every panel."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    reach = 0.5 * _FRAME * max(float((high - low).max()), 1e-6)
    x, y = ((low + high) / 2).tolist()
    return [x - reach, x + reach], [y - reach, y + reach]


def _arrange(fig: go.Figure, panels: Sequence[Panel], axes: tuple[str, str]) -> None:
    """Place menu, panels and legend, on a wide and on a narrow page."""
    n = len(panels)
    blank = {"showticklabels": False, "ticks": "", "showgrid": False, "zeroline": False}
    for i, panel in enumerate(panels):
        suffix = "" if i == 0 else str(i + 1)
        across, up = _square(panel.coordinates)
        fig.update_layout(
            {
                f"xaxis{suffix}": {"title": axes[0], "range": across},
                f"yaxis{suffix}": {
                    **{"title": axes[1] if i == 0 else None, "range": up},
                    "scaleanchor": f"x{suffix}",
                },
            }
        )
    fig.update_xaxes(mirror=True, showline=True, constrain="domain", **blank)
    fig.update_yaxes(mirror=True, showline=True, constrain="domain", constraintoward="top", **blank)
    tall = 330 * n + 240
    place_panels(
        fig,
        [panel.title for panel in panels],
        gap=_GAP,
        narrow_height=tall,
        top=1 - _MENU_ROOM / (_HEIGHTS[n] - _OTHER_ROOM),
        narrow_top=1 - 40 / tall,
    )
    bar = {"thickness": 14, "len": 0.8, "x": 1.01, "xanchor": "left", "outlinewidth": 0}
    fig.update_layout(
        margin={"l": 30, "r": _LEGEND_WIDTH, "b": 30},
        coloraxis={"colorbar": bar},
        legend={
            **{"orientation": "v", "x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top"},
            **{"yref": "paper", "itemclick": False, "itemdoubleclick": False},
            **{"title": {"side": "top"}, "font": {"size": 12}},
        },
    )
    fig.layout.meta["narrow"].update(
        {
            **{"margin.b": 30, "legend.orientation": "h", "legend.x": 0, "legend.y": 0},
            **{"legend.yref": "container", "legend.yanchor": "bottom"},
            **{"coloraxis.colorbar.orientation": "h", "coloraxis.colorbar.len": 1},
            **{"coloraxis.colorbar.x": 0, "coloraxis.colorbar.y": -0.06},
            "coloraxis.colorbar.yanchor": "top",
        }
    )
