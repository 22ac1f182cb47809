"""Leads: how sure their rank is, what it hangs on, and the evidence on one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.call_marks import CALL_MARKS
from screenbook.figures.palette import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    REFERENCE,
    VERMILLION,
    class_colours,
    shade,
)
from screenbook.figures.small_multiples import Layout, arrange, as_text, axes_of, whiskers

_ROW, _TALL_ROW = 21, 30  # pixels of a compound's row
_SYMBOLS = ("circle", "diamond", "square", "triangle-up")
_LEFT_OUT = {
    "plate": ("one plate less", GREY, "line-ns-open", 8, 0.0),
    "experiment": ("one experiment less", ORANGE, "diamond", 8, -0.27),
    "method": ("one method less", PURPLE, "square", 7, 0.27),
    "witness": ("one witness more", GREEN, "triangle-up-open", 7, 0.27),
}


def rank_intervals(
    leads: pd.DataFrame, *, title: str, subtitle: str, n_shown: int = 20
) -> go.Figure:
    """Draw the first candidates of each cell type with the interval of their rank.

    Parameters
    ----------
    leads : DataFrame
        ``cell_type compound call rank rank_low rank_high top_share n_top``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    n_shown : int
        Candidates of each cell type.
    """
    panels = {
        str(name): part.nsmallest(n_shown, "rank")
        for name, part in leads[leads["rank"].notna()].groupby("cell_type")
    }
    fig, met = go.Figure(), set()
    for panel, part in enumerate(panels.values()):
        place = pd.Series(np.arange(len(part)), part.index)
        for call, some in part.groupby("call", sort=False):
            mark = CALL_MARKS.get(str(call), CALL_MARKS["no call"])
            ends = whiskers(some["rank"], some["rank_low"], some["rank_high"], mark.colour)
            trace = {
                "marker": {"color": mark.colour, "symbol": mark.symbol, "size": 9},
                "error_x": {**ends, "thickness": 2},
                "customdata": some[["compound", "rank_low", "rank_high", "top_share"]].to_numpy(),
                "hovertext": [as_text(name) for name in some["compound"]],
                "hovertemplate": "%{hovertext}: rank %{x}, 90 % of draws %{customdata[1]:.0f} to "
                "%{customdata[2]:.0f}<br>at the top in %{customdata[3]:.0%} of draws"
                f"<extra>{as_text(call)}</extra>",
            }
            fig.add_scatter(
                **{"x": some["rank"], "y": place[some.index], "mode": "markers"},
                **{"meta": "compound", "name": as_text(call), "legendgroup": str(call)},
                **{"showlegend": call not in met, **axes_of(panel), **trace},
            )
            met.add(call)
        top = float(part["n_top"].iloc[0])
        _line(fig, top + 0.5, panel)
    return _rows(fig, panels, title, subtitle, _ROW)


def rank_stability(
    ranks: Mapping[str, pd.DataFrame], *, title: str, subtitle: str, n_top: Mapping[str, int]
) -> go.Figure:
    """Draw where each lead would stand if something were left out.

    Parameters
    ----------
    ranks : mapping of str to DataFrame
        By cell type, long: ``compound full kind what rank``, leads in the order of ``full``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    n_top : mapping of str to int
        What counts as the top, drawn as a line.
    """
    panels = {
        name: long.drop_duplicates("compound").sort_values("full") for name, long in ranks.items()
    }
    fig, met = go.Figure(), set()
    for panel, (name, long) in enumerate(ranks.items()):
        row = {compound: i for i, compound in enumerate(panels[name]["compound"])}
        for kind, (label, colour, symbol, size, lift) in _LEFT_OUT.items():
            some = long[(long["kind"] == kind) & long["rank"].notna()]
            if some.empty:
                continue
            fig.add_scatter(
                **{"x": some["rank"], "y": some["compound"].map(row) + lift, "mode": "markers"},
                **{"meta": "compound", "name": label, "legendgroup": label},
                **{"showlegend": label not in met, **axes_of(panel)},
                marker={"color": colour, "symbol": symbol, "size": size, "opacity": 0.85},
                customdata=some[["compound", "what"]].to_numpy(),
                hovertext=[as_text(text) for text in some["compound"] + ", " + some["what"]],
                hovertemplate="%{hovertext}: rank %{x:.0f}<extra>" + label + "</extra>",
            )
            met.add(label)
        whole = panels[name]
        fig.add_scatter(
            **{"x": whole["full"], "y": whole["compound"].map(row), "mode": "markers"},
            **{"meta": "compound", "name": "nothing left out", "legendgroup": "whole"},
            **{"showlegend": panel == 0, **axes_of(panel)},
            marker={"color": BLUE, "symbol": "circle-open", "size": 13, "line": {"width": 2}},
            customdata=whole[["compound"]].to_numpy(),
            hovertext=[as_text(name) for name in whole["compound"]],
            hovertemplate="%{hovertext}: rank %{x:.0f}<extra>nothing left out</extra>",
        )
        _line(fig, n_top[name] + 0.5, panel)
    return _rows(fig, panels, title, subtitle, _TALL_ROW)


def _line(fig: go.Figure, x: float, panel: int) -> None:
    axes = axes_of(panel)
    line = {"color": REFERENCE, "dash": "dash", "width": 1.5}
    across = {"xref": axes["xaxis"], "yref": f"{axes['yaxis']} domain"}
    fig.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, line=line, **across)


def _rows(
    fig: go.Figure, panels: Mapping[str, pd.DataFrame], title: str, subtitle: str, row: int
) -> go.Figure:
    """Arrange panels whose rows are compounds, the first on top, and whose x is a rank."""
    most = max((len(part) for part in panels.values()), default=1)
    height = row * most + 60
    layout = Layout(2 if len(panels) > 1 else 1, height, height, gap=0.2, own_y=True)
    x = "rank (1 = first; dashed: the top)"
    arrange(fig, list(panels), layout, title=title, subtitle=subtitle, x=x, y="")
    for panel, part in enumerate(panels.values()):
        names = [as_text(name, 22) for name in part["compound"]]
        axes = axes_of(panel)
        fig.layout[axes["yaxis"].replace("y", "yaxis", 1)].update(
            **{"tickvals": list(range(len(names))), "ticktext": names, "showgrid": True},
            **{"range": [most - 0.4, -0.6], "zeroline": False, "automargin": False},
        )
        fig.layout[axes["xaxis"].replace("x", "xaxis", 1)].update(
            type="log", tickvals=[m * 10**e for e in range(5) for m in (1, 2, 5)]
        )
    fig.update_layout(margin={"l": 110})
    fig.layout.meta["narrow"]["margin.l"] = 110
    return fig


_EVIDENCE = {
    "on": ("On the way (0 healthy, 1 diseased)", "on_score", "on_low", "on_high"),
    "off": ("Off the way (control SD)", "off_score", "off_low", "off_high"),
    "p": ("Classifier: p healthy", "p_healthy", "p_low", "p_high"),
}


def evidence_strip(
    doses: pd.DataFrame,
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    bands: pd.DataFrame,
    cell_types: Sequence[str],
    *,
    title: str,
    subtitle: str,
) -> go.Figure:
    """Draw the doses of one compound: along the way to healthy, off it, and by the classifier.

    Parameters
    ----------
    doses : DataFrame
        ``cell_type compound dose``, ``on_score on_low on_high``, ``off_score off_low off_high``
        and, where a classifier ran, ``p_healthy p_low p_high``. Barred doses are hollow:
        ``open`` (bool).
    curves : mapping of str to (dose, on_score)
        Fitted curve of each cell type; may be empty.
    bands : DataFrame
        ``panel`` (``on off p``), ``role``, ``low`` and ``high``: where the middle 80 % of single
        control wells lie.
    cell_types : sequence of str
        All of the screen, so that each keeps its colour.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    known = {key: spec[1] for key, spec in _EVIDENCE.items() if spec[1] in doses}
    drawn = [key for key, value in known.items() if doses[value].notna().any()]
    colours = class_colours(cell_types)
    fig = go.Figure()
    for panel, key in enumerate(drawn):
        _bands(fig, bands[bands["panel"] == key], panel)
        for number, (name, part) in enumerate(doses.groupby("cell_type", sort=False)):
            # Side by side, so that intervals of two cell types do not cover each other.
            shift = 1.14 ** (number - (doses["cell_type"].nunique() - 1) / 2)
            look = {"colour": colours[str(name)], "symbol": _SYMBOLS[number % len(_SYMBOLS)]}
            if key == "on" and str(name) in curves:
                _curve(fig, curves[str(name)], look["colour"], panel, str(name))
            _points(fig, part.sort_values("dose"), _EVIDENCE[key][1:], panel, look, shift)
    layout = Layout(columns=3, height=270, narrow_height=230, gap=0.07, narrow_legend=2, own_y=True)
    titles = [_EVIDENCE[key][0] for key in drawn]
    arrange(fig, titles, layout, title=title, subtitle=subtitle, x="dose (µM)", y="")
    ticks = sorted(float(dose) for dose in doses["dose"].unique())
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks], zeroline=False)
    for panel, key in enumerate(drawn):
        axis = axes_of(panel)["yaxis"].replace("y", "yaxis", 1)
        if key == "p":
            fig.layout[axis].range = [-0.03, 1.03]
        if key == "off":
            fig.layout[axis].rangemode = "tozero"
    return fig


def _bands(fig: go.Figure, bands: pd.DataFrame, panel: int) -> None:
    """Shade where single control wells lie, over the whole width of a panel."""
    axes = axes_of(panel)
    look = {"healthy": GREEN, "diseased": VERMILLION}
    for row in bands.to_dict("records"):
        fig.add_shape(
            **{"type": "rect", "x0": 0, "x1": 1, "y0": row["low"], "y1": row["high"]},
            **{"xref": f"{axes['xaxis']} domain", "yref": axes["yaxis"], "layer": "below"},
            **{"fillcolor": shade(look.get(row["role"], GREY), 0.13), "line": {"width": 0}},
        )


def _curve(
    fig: go.Figure, curve: tuple[np.ndarray, np.ndarray], colour: str, panel: int, name: str
) -> None:
    dose, score = curve
    if len(dose):
        line = {"color": colour, "width": 1.6, "dash": "dot"}
        fig.add_scatter(
            **{"x": dose, "y": score, "mode": "lines", "line": line, "hoverinfo": "skip"},
            **{"name": as_text(name), "showlegend": False, **axes_of(panel)},
        )


def _points(
    fig: go.Figure,
    part: pd.DataFrame,
    columns: Sequence[str],
    panel: int,
    look: Mapping[str, str],
    shift: float,
) -> None:
    value, low, high = columns
    name = as_text(part["cell_type"].iloc[0])
    part = part[part[value].notna()]
    symbols = [look["symbol"] + ("-open" if barred else "") for barred in part["open"]]
    intervals = [
        f"{v:.2f} ({a:.2f} to {b:.2f})"
        for v, a, b in zip(part[value], part[low], part[high], strict=True)
    ]
    details: dict[str, Any] = {
        "customdata": np.column_stack(
            [part["compound"].astype(str), part["dose"].map("{:g} µM".format), intervals]
        )
        if len(part)
        else [],
        "hovertext": [as_text(compound) for compound in part["compound"]],
        "hovertemplate": "%{hovertext}, %{customdata[1]}<br>%{customdata[2]}"
        f"<extra>{name}</extra>",
    }
    fig.add_scatter(
        **{"x": part["dose"] * shift, "y": part[value], "mode": "markers"},
        **{"meta": "compound", "name": name, "legendgroup": name, "showlegend": panel == 0},
        **{**axes_of(panel), **details},
        marker={"color": look["colour"], "symbol": symbols, "size": 8},
        error_y=whiskers(part[value], part[low], part[high], look["colour"]),
    )
