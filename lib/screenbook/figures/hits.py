"""Hits: how far compounds go towards health, how surely, and how straight.

All figures take tables of treatments (``verdict``, ``dose``) or of compounds (``call``,
``best_dose``) as the notebooks write them, one panel for each cell type. Scores are 0 for
healthy and 1 for untreated disease; recovery is 1 minus the score.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.call_marks import GOOD, OFF_FLAG, by_call, call_column, points
from screenbook.figures.labels import print_names
from screenbook.figures.palette import REFERENCE, ROLE_COLOURS, ROLE_NAMES, ROLE_SYMBOLS, shade
from screenbook.figures.small_multiples import (
    Layout,
    add_count,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
    require,
    scatter_of,
    whiskers,
)

_LINE = {"color": REFERENCE, "dash": "dash", "width": 1.5}
_ON_AXIS = "on-axis score (0 healthy, 1 disease)"
_NOTHING = "There is no compound to draw."


def volcano(
    table: pd.DataFrame, *, level: float, title: str, subtitle: str = "", labels: int = 6
) -> go.Figure:
    """Recovery against -log10 q, one panel for each cell type.

    Where there is a column ``q_worse`` (of a move away from health), it is the height of points
    left of zero, so that both wings rise. Rows without q are not drawn, and counted.

    Parameters
    ----------
    table : DataFrame
        Of treatments or of compounds: ``cell_type compound on_score q`` and ``verdict`` or
        ``call``; told on hovering if there: ``dose`` or ``best_dose``, ``n_wells n_plates on_low
        on_high off_score``.
    level : float
        The q below which something is called.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    labels : int, optional
        Names printed in each panel at most: those of rescues, least q first.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["cell_type", "compound", "on_score", "q", call_column(table)], "volcano()")
    table = table.reset_index(drop=True)
    worse = (table["on_score"] > 1) & ("q_worse" in table)
    q = table["q"].mask(worse, table["q_worse"]) if "q_worse" in table else table["q"]
    known = q.notna() & table["on_score"].notna()
    subtitle = add_count(subtitle, int((~known).sum()), "without a q (not testable) not drawn")
    if not known.any():
        return nothing_to_draw(title, subtitle, "No row has a q, so there is nothing to draw.")
    q = q[known]
    lowest = q[q > 0].min() if (q > 0).any() else 1.0
    shown = table[known].assign(
        x=1 - table["on_score"], y=-np.log10(q.clip(lower=min(lowest, 1.0))) + 0.0
    )
    panels = list(pd.unique(shown["cell_type"]))
    layout = Layout(min(len(panels), 3), height=450, narrow_height=340)
    fig, kind = go.Figure(), scatter_of(len(shown))
    _draw_calls(fig, shown, panels, kind)
    across = _range(shown["x"], 0.06, around=(0.0, 1.0))
    up = [-0.02 * shown["y"].max(), max(1.12 * shown["y"].max(), -1.3 * np.log10(level))]
    for i in range(len(panels)):
        _segment(fig, i, x=across, y=[-np.log10(level)] * 2, text=f"q = {level:g}", legend=i == 0)
    best = [
        shown[(shown["cell_type"] == panel) & (shown[call_column(shown)].isin(GOOD))]
        .sort_values(["y", "x"], ascending=False)
        .drop_duplicates("compound")
        .head(labels)
        for panel in panels
    ]
    print_names(fig, best, [shown[shown["cell_type"] == p] for p in panels], layout, across, up)
    y = "−log10 q" + (" (left of 0: of harm)" if worse.any() else "")
    x = "recovery (1 − on-axis score; 1 = healthy)"
    return arrange(
        fig, _text(panels), layout, title=title, subtitle=subtitle, x=x, y=y,
        x_axis={"range": across}, y_axis={"range": up},
    )  # fmt: skip


def on_off_plane(
    table: pd.DataFrame,
    *,
    title: str,
    subtitle: str = "",
    controls: pd.DataFrame | None = None,
    gate: pd.DataFrame | None = None,
    labels: int = 5,
) -> go.Figure:
    """On-axis against off-axis score, with the ranges of the controls.

    Parameters
    ----------
    table : DataFrame
        Of treatments or of compounds: ``cell_type compound on_score on_low on_high off_score
        off_low off_high`` and ``verdict`` or ``call``. Rescues and aggravations have
        whiskers; those of all off-axis ones would hide them.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    controls : DataFrame, optional
        ``cell_type role on_low on_high off_low off_high``: a box for each role.
    gate : DataFrame, optional
        ``cell_type on_score off_score``: corners of a line, in their order.
    labels : int, optional
        Names printed in each panel at most: those of rescues, least score first.

    Raises
    ------
    InputError
        If a column is missing.
    """
    ends = ["on_low", "on_high", "off_low", "off_high"]
    needed = ["cell_type", "compound", "on_score", "off_score", *ends, call_column(table)]
    require(table, needed, "on_off_plane()")
    table = table.reset_index(drop=True)
    known = table["on_score"].notna() & table["off_score"].notna()
    subtitle = add_count(subtitle, int((~known).sum()), "without a score not drawn")
    if not known.any():
        return nothing_to_draw(title, subtitle, _NOTHING)
    shown = table[known].assign(x=table["on_score"], y=table["off_score"])
    panels = list(pd.unique(shown["cell_type"]))
    layout = Layout(min(len(panels), 3), height=470, narrow_height=360, narrow_legend=5, legend=2)
    fig = go.Figure()
    if controls is not None:
        require(controls, ["cell_type", "role", *ends], "on_off_plane(), controls")
        _boxes(fig, controls, panels)
    _draw_calls(fig, shown, panels, scatter_of(len(shown)), with_whiskers=True)
    if gate is not None:
        require(gate, ["cell_type", "on_score", "off_score"], "on_off_plane(), gate")
        for i, panel in enumerate(panels):
            line = gate[gate["cell_type"] == panel]
            text = "as far off the axis as along it"
            _segment(fig, i, x=line["on_score"], y=line["off_score"], text=text, legend=i == 0)
    around_y = () if controls is None else tuple(controls["off_high"].dropna())
    across = _range(shown["x"], 0.06, around=(-0.1, 1.1))
    up = [0.0, _range(shown["y"], 0.08, around=(0.0, *around_y))[1]]
    best = [
        shown[(shown["cell_type"] == panel) & (shown[call_column(shown)].isin(GOOD))]
        .sort_values("x")
        .drop_duplicates("compound")
        .head(labels)
        for panel in panels
    ]
    print_names(fig, best, [shown[shown["cell_type"] == p] for p in panels], layout, across, up)
    return arrange(
        fig, _text(panels), layout, title=title, subtitle=subtitle,
        x=_ON_AXIS, y="off-axis score (control SD)",
        x_axis={"range": across}, y_axis={"range": up},
    )  # fmt: skip


def rank_whiskers(
    hits: pd.DataFrame, *, title: str, subtitle: str = "", top: int = 15
) -> go.Figure:
    """Show the first compounds of each cell type by rank, each with its interval.

    A flagged compound (``off-axis`` among its flags) is drawn hollow. The best dose stands
    beside the name.

    Parameters
    ----------
    hits : DataFrame
        Of compounds: ``cell_type compound best_dose on_score on_low on_high flags call rank``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    top : int, optional
        Compounds in each panel at most.

    Raises
    ------
    InputError
        If a column is missing.
    """
    columns = ["cell_type", "compound", "best_dose", "on_score", "on_low", "on_high"]
    require(hits, [*columns, "flags", "call", "rank"], "rank_whiskers()")
    hits = hits.reset_index(drop=True)
    known = hits[hits["on_score"].notna() & hits["rank"].notna()]
    if known.empty:
        return nothing_to_draw(title, subtitle, _NOTHING)
    panels = list(pd.unique(known["cell_type"]))
    first = {p: known[known["cell_type"] == p].sort_values("rank").head(top) for p in panels}
    most = max(map(len, first.values()))
    tall = 90 + 23 * most
    wide = min(len(panels), 2)
    layout = Layout(wide, tall, tall, gap=0.24, narrow_legend=4, legend=2, own_y=True)
    fig, seen = go.Figure(), set()
    for i, panel in enumerate(panels):
        rows = first[panel].assign(place=np.arange(len(first[panel])))
        flagged = rows["flags"].fillna("").astype(str).str.contains(OFF_FLAG, regex=False)
        for off in (False, True):
            for call, mark, some in by_call(rows[flagged == off]):
                name = f"{call}, some doses off-axis" if off and call != "off-axis" else call
                ends = some["on_low"], some["on_high"]
                trace = points(
                    go.Scatter, some, name=name, mark=mark, panel=i, legend=name not in seen,
                    x=some["on_score"], y=some["place"],
                    error_x=whiskers(some["on_score"], *ends, mark.colour),
                )  # fmt: skip
                trace.marker.update(size=max(8, mark.size), opacity=1)
                if off:
                    trace.marker.symbol = mark.symbol.removesuffix("-open") + "-open"
                fig.add_trace(trace)
                seen.add(name)
        ticks = [
            f"{as_text(name, 22)} · {dose:g} µM"
            for name, dose in zip(rows["compound"], rows["best_dose"], strict=True)
        ]
        axis = axes_of(i)["yaxis"].replace("y", "yaxis")
        tick = {"tickvals": rows["place"].tolist(), "ticktext": ticks, "range": [most - 0.4, -0.6]}
        fig.update_layout({axis: {**tick, "tickfont": {"size": 12}}})
    drawn = pd.concat(first.values())
    across = _range(pd.concat([drawn["on_low"], drawn["on_high"]]), 0.04, around=(-0.1, 1.1))
    for i in range(len(panels)):
        for role, at in (("healthy", 0), ("diseased", 1)):
            name, colour = ROLE_NAMES[role], ROLE_COLOURS[role]
            _segment(
                fig, i, x=[at, at], y=[-0.6, most - 0.4], text=name, legend=i == 0, colour=colour
            )
    return arrange(
        fig, _text(panels), layout, title=title, subtitle=subtitle, x=_ON_AXIS, y="",
        x_axis={"range": across}, y_axis={"zeroline": False},
    )  # fmt: skip


def null_agreement(
    treatments: pd.DataFrame,
    *,
    level: float,
    title: str,
    subtitle: str = "",
    columns: tuple[str, str] = ("q", "q_bulk"),
) -> go.Figure:
    """Evidence against untreated disease, and against the plate's treated bulk.

    Parameters
    ----------
    treatments : DataFrame
        ``cell_type compound verdict`` (or ``call``) and `columns`.
    level : float
        Of q, marked on both axes.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    columns : tuple of str, optional
        Against untreated wells, and against the bulk: q or p.

    Raises
    ------
    InputError
        If a column is missing.
    """
    needed = ["cell_type", "compound", call_column(treatments), *columns]
    require(treatments, needed, "null_agreement()")
    treatments = treatments.reset_index(drop=True)
    known = treatments[list(columns)].notna().all(axis=1)
    subtitle = add_count(subtitle, int((~known).sum()), "not testable not drawn")
    if not known.any():
        return nothing_to_draw(title, subtitle, "No row has both, so there is nothing to draw.")
    shown = treatments[known]
    ends = [shown[c][shown[c] > 0].min() for c in columns]
    floor = np.nanmin([*ends, 1.0])
    x, y = (-np.log10(shown[c].clip(lower=floor)) + 0.0 for c in columns)
    shown = shown.assign(x=x, y=y)
    panels = list(pd.unique(shown["cell_type"]))
    layout = Layout(min(len(panels), 3), height=430, narrow_height=340)
    fig = go.Figure()
    _draw_calls(fig, shown, panels, scatter_of(len(shown)))
    reach = [-0.03 * -np.log10(floor), max(-1.06 * np.log10(floor), -1.3 * np.log10(level))]
    at = -np.log10(level)
    for i in range(len(panels)):
        text = f"{columns[0]} = {level:g}"
        _segment(fig, i, x=[at, at], y=reach, text=text, legend=i == 0)
        _segment(fig, i, x=reach, y=[at, at], text=text, legend=False)
        _segment(fig, i, x=reach, y=reach, text="equal", legend=i == 0, dash="dot")
    name = "q" if columns[0].startswith("q") else "p"
    return arrange(
        fig, _text(panels), layout, title=title, subtitle=subtitle,
        x=f"−log10 {name}, against untreated wells", y=f"−log10 {name}, against the plate's bulk",
        x_axis={"range": reach}, y_axis={"range": reach},
    )  # fmt: skip


def _draw_calls(
    fig: go.Figure,
    shown: pd.DataFrame,
    panels: list[str],
    kind: type[go.Scatter] | type[go.Scattergl],
    *,
    with_whiskers: bool = False,
) -> None:
    """Add a trace for each call and panel, at columns ``x`` and ``y``."""
    seen: set[str] = set()
    for call, mark, some in by_call(shown):
        for i, panel in enumerate(panels):
            mine = some[some["cell_type"] == panel]
            if mine.empty:
                continue
            bars = {}
            if with_whiskers and call not in ("no call", "not testable", "off-axis"):
                for axis, stem in (("x", "on"), ("y", "off")):
                    ends = mine[f"{stem}_low"], mine[f"{stem}_high"]
                    bars[f"error_{axis}"] = whiskers(mine[axis], *ends, mark.colour, 0.4)
            trace = points(
                kind, mine, name=call, mark=mark, panel=i, legend=call not in seen,
                x=mine["x"], y=mine["y"], **bars,
            )  # fmt: skip
            fig.add_trace(trace)
            seen.add(call)


def _boxes(fig: go.Figure, controls: pd.DataFrame, panels: list[str]) -> None:
    seen: set[str] = set()
    for i, panel in enumerate(panels):
        for row in controls[controls["cell_type"] == panel].to_dict("records"):
            colour, name = ROLE_COLOURS[row["role"]], f"range of {ROLE_NAMES[row['role']]} wells"
            x = [row["on_low"], row["on_high"], row["on_high"], row["on_low"], row["on_low"]]
            y = [row["off_low"], row["off_low"], row["off_high"], row["off_high"], row["off_low"]]
            fig.add_scatter(
                **axes_of(i), name=name, legendgroup=name, showlegend=name not in seen,
                x=x, y=y, mode="lines", line={"color": colour, "width": 1}, fill="toself",
                fillcolor=shade(colour, 0.16), hoverinfo="skip",
                marker={"symbol": ROLE_SYMBOLS[row["role"]]},
            )  # fmt: skip
            seen.add(name)


def _segment(
    fig: go.Figure,
    panel: int,
    *,
    x: object,
    y: object,
    text: str,
    legend: bool,
    dash: str = "dash",
    colour: str = REFERENCE,
) -> None:
    """Draw a line of reference through a panel; the legend says what it is."""
    fig.add_scatter(
        **axes_of(panel), x=x, y=y, name=text, legendgroup=text, showlegend=legend, mode="lines",
        line={**_LINE, "dash": dash, "color": colour}, hoverinfo="skip",
    )  # fmt: skip


def _range(values: pd.Series, room: float, *, around: tuple[float, ...]) -> list[float]:
    finite = values[np.isfinite(values)]
    low, high = min([finite.min(), *around]), max([finite.max(), *around])
    return [float(low - room * (high - low)), float(high + room * (high - low))]


def _text(panels: list[str]) -> list[str]:
    return [str(panel) for panel in panels]
