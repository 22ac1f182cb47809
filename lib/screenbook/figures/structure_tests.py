"""Tests of structure: values beside their nulls, and how often they would find what is there."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.interval_rows import SERIES_MARKS
from screenbook.figures.palette import GREY, REFERENCE, shade
from screenbook.figures.small_multiples import (
    Layout,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
    require,
    whiskers,
)

LEVEL = 0.05
"""At which the rejections of a power curve were counted."""

POWER_TESTS = (
    "Mantel",
    "partial Mantel, mechanism held",
    "restricted permutation",
    "analogues among the nearest",
    "similarity of the nearest",
    "held-out scaffolds, fingerprint bits",
    "held-out scaffolds, descriptors",
)
"""Tests whose power is drawn, each by the same colour in both panels."""

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
_SPREAD = 0.6  # of the room of a row, shared by its series
_ROW, _NARROW_ROW = 19, 22  # pixels of one value
_LEAST = 46  # of a row, for a name of three lines
_MOST_BITS = 8  # beside their mean
_SWAPPED = {"all compounds": "swapped among all", "within mechanisms": "within mechanisms"}
_SHORT = {
    "analogues among the nearest": "analogues in the top 5 %",
    "similarity of the nearest": "Tanimoto of the nearest",
}
_NULL = "95 % of permutations"


def correlations_beside_nulls(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw every correlation with its interval, over the range that permutations gave.

    Parameters
    ----------
    table : DataFrame
        ``test`` (row, in order of first appearance), ``representation`` (colour and symbol),
        ``beyond`` (panel: whether the test asks for structure beyond mechanism), ``r``, ``low``,
        ``high``, ``null_low``, ``null_high``, ``p``, ``n_compounds`` and ``n_pairs``. Rows
        without a value are left out.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    columns = ["test", "representation", "beyond", "r", "low", "high", "null_low", "null_high"]
    require(table, [*columns, "p", "n_compounds", "n_pairs"], "correlations_beside_nulls()")
    shown = pd.DataFrame(
        {
            "panel": np.where(table["beyond"], "beyond mechanism", "mechanism and structure"),
            "row": table["test"],
            "series": table["representation"],
            "value": table["r"],
            "detail": [
                f"p {p:.3g}, {n} compounds, {pairs} pairs"
                for p, n, pairs in table[["p", "n_compounds", "n_pairs"]].itertuples(index=False)
            ],
        }
    ).join(table[["low", "high", "null_low", "null_high"]])  # fmt: skip
    return _beside_nulls(shown, "Spearman r over pairs", title=title, subtitle=subtitle)


def neighbours_beside_nulls(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw what neighbours share, over the range that permutations gave.

    Parameters
    ----------
    table : DataFrame
        ``test`` (panel), ``pairs`` (row), ``permuted`` (colour and symbol), ``value``,
        ``null_low``, ``null_high``, ``p`` and ``n_pairs``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    columns = ["test", "pairs", "permuted", "value", "null_low", "null_high", "p", "n_pairs"]
    require(table, columns, "neighbours_beside_nulls()")
    rows = table["pairs"].map({"all": "all pairs", "other mechanisms": "of other mechanisms"})
    shown = table.assign(
        panel=table["test"].replace(_SHORT),
        row=rows.fillna(table["pairs"]),
        series=table["permuted"].map(_SWAPPED),
        detail=[f"p {p:.3g}, {n} pairs" for p, n in zip(table["p"], table["n_pairs"], strict=True)],
    )
    return _beside_nulls(
        shown, "share, or Tanimoto similarity", title=title, subtitle=subtitle, own_x=True
    )


def held_out_properties(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw how well structure is told for scaffolds held out, over the range of permutations.

    Parameters
    ----------
    table : DataFrame
        ``kind`` (panel), ``property`` (row; ``"all"`` is the mean), ``measure``, ``permuted``
        (colour and symbol), ``value``, ``null_low``, ``null_high`` and ``p``. Of many bits the
        best are drawn, below their mean.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    columns = ["kind", "property", "measure", "permuted", "value", "null_low", "null_high", "p"]
    require(table, columns, "held_out_properties()")
    parts = []
    for kind, rows in table.groupby("kind", sort=False):
        names = rows[rows["property"] != "all"].groupby("property", sort=False)["value"].max()
        best = names.sort_values(ascending=False, kind="stable").index[:_MOST_BITS]
        told = rows["measure"].iloc[0]
        some = [rows[rows["property"] == name] for name in ("all", *best)]
        parts.append(pd.concat(some).assign(panel=f"{told} of {kind}"))
    shown = pd.concat(parts) if parts else table.assign(panel="")
    shown = shown.assign(
        row=shown["property"].replace("all", "mean of all"),
        series=shown["permuted"].map(_SWAPPED),
        detail=[f"p {p:.3g}" for p in shown["p"]],
    )
    return _beside_nulls(
        shown, "score for scaffolds held out", title=title, subtitle=subtitle, own_x=True
    )


def power_curves(
    table: pd.DataFrame,
    *,
    title: str,
    subtitle: str = "",
    tests: Sequence[str] = POWER_TESTS,
) -> go.Figure:
    """Draw how often each test rejects, over the strength of structure in the phenotype.

    Parameters
    ----------
    table : DataFrame
        ``scenario``, ``dial``, ``test``, ``beyond`` (panel), ``rejected``, ``low`` and ``high``.
        At dial 0 the curve starts from the null in which mechanism acts; where nothing acts at
        all is drawn as an open symbol left of it.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    tests : sequence of str
        Tests that are drawn.

    Raises
    ------
    InputError
        If a column is missing.
    """
    columns = ["scenario", "dial", "test", "beyond", "rejected", "low", "high"]
    require(table, columns, "power_curves()")
    table = table[table["rejected"].notna() & table["test"].isin(tests)]
    if table.empty:
        return nothing_to_draw(title, subtitle, "No test could be asked.")
    scopes = [scope for scope in (False, True) if (table["beyond"] == scope).any()]
    places = sorted(table["dial"].unique())
    fig = go.Figure()
    for panel, scope in enumerate(scopes):
        for place, test in enumerate(tests):
            rows = table[(table["beyond"] == scope) & (table["test"] == test)]
            if len(rows):
                _draw_power(fig, rows, str(test), place, panel, places)
        fig.add_scatter(
            **axes_of(panel), x=[-0.75, len(places) - 0.8], y=[LEVEL] * 2, mode="lines",
            name="level, 5 %", legendgroup="the level", showlegend=panel == 0, legendrank=2000,
            hoverinfo="skip", line={"color": REFERENCE, "dash": "dash", "width": 1.5},
        )  # fmt: skip
    names = {False: "any tie of picture and structure", True: "structure beyond mechanism"}
    n = len({trace.legendgroup for trace in fig.data})
    layout = Layout(len(scopes), 350, 300, legend=-(-n // 2), narrow_legend=n)
    return arrange(
        fig, [names[scope] for scope in scopes], layout, title=title, subtitle=subtitle,
        x="SD of structure's part (SD of noise)", y="plantings in which p ≤ 0.05",
        x_axis={"tickvals": [-0.5, *range(len(places))], "zeroline": False,
                "tickangle": 0, "ticktext": ["none", *(f"{d:g}" for d in places)],
                "range": [-0.8, len(places) - 0.7]},
        y_axis={"range": [-0.02, 1.03]},
    )  # fmt: skip


def _draw_power(
    fig: go.Figure, rows: pd.DataFrame, test: str, place: int, panel: int, places: list[float]
) -> None:
    colour, symbol = SERIES_MARKS[place % len(SERIES_MARKS)]
    if place >= len(SERIES_MARKS):
        colour, symbol = GREY, "hexagram"
    dash = _DASHES[place % len(_DASHES)]
    nothing = rows["scenario"] == "nothing"
    # Points of one dial would hide each other's intervals.
    shift = 0.03 * (place - 3)
    for some, open_symbol in ((rows[~nothing].sort_values("dial"), ""), (rows[nothing], "-open")):
        at = [places.index(d) + shift for d in some["dial"]] if not open_symbol else [-0.5 + shift]
        if some.empty:
            continue
        fig.add_scatter(
            **axes_of(panel), x=at, y=some["rejected"],
            mode="markers" if open_symbol else "lines+markers", name=as_text(test),
            legendgroup=as_text(test), showlegend=not open_symbol and not _has(fig, as_text(test)),
            legendrank=1000 + place,
            line={"color": colour, "dash": dash, "width": 2},
            marker={"color": colour, "symbol": symbol + open_symbol, "size": 8},
            error_y=whiskers(some["rejected"], some["low"], some["high"], colour, 0.6),
            customdata=some["dial"],
            hovertemplate="dial %{customdata:g}: %{y:.2f}<extra>" + as_text(test) + "</extra>",
        )  # fmt: skip


def _beside_nulls(
    shown: pd.DataFrame, x: str, *, title: str, subtitle: str, own_x: bool = False
) -> go.Figure:
    """Draw rows of values, a line for each series, over bars of what permutations gave.

    `shown` has ``row series value null_low null_high detail`` and perhaps ``low high panel``.
    """
    shown = shown[shown["value"].notna()].reset_index(drop=True)
    if shown.empty:
        return nothing_to_draw(title, subtitle, "No test could be asked.")
    ends = {c: np.nan for c in ("low", "high") if c not in shown}
    shown = shown.assign(**ends, panel=shown.get("panel", ""))
    panels = [str(name) for name in pd.unique(shown["panel"])]
    series = [str(name) for name in pd.unique(shown["series"])]
    fig = go.Figure()
    names = []
    for i, panel in enumerate(panels):
        some = shown[shown["panel"] == panel]
        rows = list(pd.unique(some["row"]))
        names.append(rows)
        for name in series:
            mine = some[some["series"] == name]
            if len(mine):
                here = list(pd.unique(some["series"]))
                dodge = _SPREAD * ((here.index(name) + 0.5) / len(here) - 0.5)
                at = mine["row"].map(rows.index).to_numpy(dtype=float)
                # A row with fewer series than others is drawn in its middle.
                alone = mine["row"].map(some.groupby("row")["series"].nunique()).to_numpy() == 1
                _draw_series(fig, mine, at + np.where(alone, 0.0, dodge), series.index(name), i)
    held = int(shown.groupby(["panel", "row"], sort=False)["series"].nunique().max())
    rooms = [max(len(rows) for rows in names) * max(_LEAST, r * held) for r in (_ROW, _NARROW_ROW)]
    layout = Layout(
        1, 70 + rooms[0], 70 + rooms[1], gap=0.0, own_y=True,
        legend=-(-(len(series) + 1) // 3), narrow_legend=len(series) + 1,
    )  # fmt: skip
    arrange(
        fig, panels, layout, title=title, subtitle=subtitle, x=x, y="",
        x_axis={"nticks": 7}, y_axis={"zeroline": False, "showgrid": False},
    )  # fmt: skip
    narrow = dict(fig.layout.meta["narrow"])
    measured = ["value", "low", "high", "null_low", "null_high"]
    for i, rows in enumerate(names):
        reach = shown.loc[shown["panel"] == panels[i], measured] if own_x else shown[measured]
        least, most = float(np.nanmin(reach)), float(np.nanmax(reach))
        room = 0.04 * (most - least)
        across = axes_of(i)["xaxis"].replace("x", "xaxis")
        narrow[f"{across}.nticks"] = 4
        fig.update_layout({across: {"range": [least - room, most + room]}})
        key = axes_of(i)["yaxis"].replace("y", "yaxis")
        fig.update_layout(
            {key: {"tickvals": list(range(len(rows))), "ticktext": [_wrapped(r, 30) for r in rows],
                   "range": [len(rows) - 0.5, -0.5]}}
        )  # fmt: skip
        narrow[f"{key}.ticktext"] = [_wrapped(r, 16) for r in rows]
    return fig.update_layout(meta={"narrow": narrow})


def _draw_series(
    fig: go.Figure, rows: pd.DataFrame, at: np.ndarray, place: int, panel: int
) -> None:
    colour, symbol = SERIES_MARKS[place % len(SERIES_MARKS)]
    x: list[float | None] = []
    y: list[float | None] = []
    for low, high, height in zip(rows["null_low"], rows["null_high"], at, strict=True):
        x, y = [*x, low, high, None], [*y, height, height, None]
    fig.add_scatter(
        **axes_of(panel), x=x, y=y, mode="lines", name=_NULL, legendgroup="the null",
        legendrank=2000, showlegend=not _has(fig, "the null"), hoverinfo="skip",
        line={"color": shade(GREY, 0.45), "width": 9},
    )  # fmt: skip
    name = str(rows["series"].iloc[0])
    told = np.column_stack([rows["row"].map(as_text), rows["detail"].map(as_text)])
    fig.add_scatter(
        **axes_of(panel), x=rows["value"], y=at, mode="markers", name=as_text(name),
        legendgroup=as_text(name), showlegend=not _has(fig, as_text(name)), customdata=told,
        marker={"color": colour, "symbol": symbol, "size": 9},
        error_x=whiskers(rows["value"], rows["low"], rows["high"], colour),
        hovertemplate="%{customdata[0]}<br>%{x:.3f}, %{customdata[1]}<extra>" + as_text(name)
        + "</extra>",
    )  # fmt: skip


def _wrapped(name: str, letters: int) -> str:
    return "<br>".join(as_text(line) for line in textwrap.wrap(name, letters)[:3])


def _has(fig: go.Figure, group: str) -> bool:
    return any(trace.legendgroup == group and trace.showlegend for trace in fig.data)
