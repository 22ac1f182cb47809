"""Dose curves: wells, means and fitted curves, on one scale with the controls.

Scores are 0 for healthy and 1 for untreated disease; doses are in µM on a logarithmic axis, and
the controls stand left of the lowest dose, at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.dose_traces import (
    LEGEND,
    TABLES,
    DoseTables,
    check_known,
    compound_traces,
    dose_frame,
    draw_controls,
    draw_legend,
    panel_title,
    parts_of,
    rows_of,
)
from screenbook.figures.small_multiples import (
    MOST_AS_SVG,
    Layout,
    add_count,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
)

__all__ = ["MOST_IN_MENU", "DoseTables", "chosen_dose_curve", "dose_curves"]

MOST_IN_MENU = 150
"""Compounds that the interactive figure offers at most, so that the page stays small."""


def dose_curves(
    tables: DoseTables,
    compounds: Sequence[str],
    *,
    title: str,
    subtitle: str = "",
    columns: int = 3,
) -> go.Figure:
    """Draw a panel for each compound: wells, means, fitted curves, EC50 and the controls.

    Cell types differ by colour and symbol. Doses that are off the axis are hollow, and the
    panel's title names the flags of the compound.

    Parameters
    ----------
    tables : DoseTables
        May hold more compounds than are drawn.
    compounds : sequence of str
        In the order of the panels; nine to twelve can be read.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    columns : int, optional
        Panels side by side on a wide page.

    Raises
    ------
    InputError
        If a column is missing, or a compound is in no table.
    """
    tables.check()
    check_known(tables, compounds)
    if not len(compounds):
        return nothing_to_draw(title, subtitle, "There is no compound whose curve could be drawn.")
    frame = dose_frame(tables, compounds)
    some = {name: rows_of(getattr(tables, name), compounds) for name in TABLES}
    many = len(some["wells"]) > 2 * MOST_AS_SVG
    fig, titles = go.Figure(), []
    for i, compound in enumerate(compounds):
        mine = {name: table[table["compound"] == compound] for name, table in some.items()}
        titles.append(panel_title(str(compound), mine["hits"]))
        draw_controls(fig, tables.controls, frame, i, legend=i == 0)
        for cell_type in frame.colours:
            parts = parts_of(mine, cell_type)
            for trace in compound_traces(parts, cell_type, frame):
                if many and trace["name"] == LEGEND["wells"]:
                    trace["type"] = "scattergl"
                n = len(trace["x"])
                trace |= {"customdata": [[str(compound)]] * n, "meta": "compound", **axes_of(i)}
                fig.add_trace(trace)
    draw_legend(fig, frame)
    layout = Layout(min(columns, len(titles)), 250, 220, legend=2, narrow_legend=8)
    return arrange(
        fig, titles, layout, title=title, subtitle=subtitle, x="dose (µM)", y="on-axis score",
        x_axis=frame.x_axis, y_axis=frame.y_axis,
    )  # fmt: skip


def chosen_dose_curve(
    tables: DoseTables, compounds: Sequence[str], *, title: str, subtitle: str = ""
) -> go.Figure:
    """Draw the curve of one compound, to be chosen by a menu or by the page's selection.

    Parameters
    ----------
    tables : DoseTables
        As for :func:`dose_curves`.
    compounds : sequence of str
        Entries of the menu, the first shown at first; of more than :data:`MOST_IN_MENU`, the
        first are kept and the subtitle says so.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing, or a compound is in no table.
    """
    tables.check()
    check_known(tables, compounds)
    names = [str(c) for c in list(dict.fromkeys(compounds))[:MOST_IN_MENU]]
    left = len(set(compounds)) - len(names)
    subtitle = add_count(subtitle, left, "further compounds not in the menu")
    if not names:
        return nothing_to_draw(title, subtitle, "There is no compound whose curve could be drawn.")
    frame = dose_frame(tables, names)
    some = {name: rows_of(getattr(tables, name), names) for name in TABLES}
    some["curves"] = _thinned(some["curves"])
    grouped = {name: dict(list(table.groupby("compound"))) for name, table in some.items()}
    empty = {name: table.iloc[:0] for name, table in some.items()}
    states, heads = [], []
    for name in names:
        mine = {table: grouped[table].get(name, empty[table]) for table in TABLES}
        heads.append(panel_title(name, mine["hits"]))
        states.append(
            [t for c in frame.colours for t in compound_traces(parts_of(mine, c), c, frame)]
        )
    fig = go.Figure()
    for trace in states[0]:
        fig.add_trace(trace | axes_of(0))
    moving = list(range(len(fig.data)))
    draw_controls(fig, tables.controls, frame, 0, legend=True)
    draw_legend(fig, frame)
    layout = Layout(1, 440, 360, legend=2, narrow_legend=8)
    arrange(
        fig, [heads[0]], layout, title=title, subtitle=subtitle, x="dose (µM)", y="on-axis score",
        x_axis=frame.x_axis, y_axis=frame.y_axis,
    )  # fmt: skip
    buttons = [
        {
            "label": as_text(name, 40),
            "method": "update",
            "args": [_state(state), {"annotations[0].text": f"<b>{as_text(head)}</b>"}, moving],
        }
        for name, state, head in zip(names, states, heads, strict=True)
    ]
    return _add_menu(fig, buttons, names)


_CHANGING = ("x", "y", "marker.symbol", "error_x.array", "error_x.arrayminus",
             "error_y.array", "error_y.arrayminus")  # fmt: skip


def _thinned(curves: pd.DataFrame, most: int = 25) -> pd.DataFrame:
    """Keep some 25 points of every curve, its ends among them: the page carries all curves."""
    curves = curves.sort_values("dose", ignore_index=True)
    by_curve = curves.groupby(["cell_type", "compound"])["dose"]
    place, size = by_curve.cumcount(), by_curve.transform("size")
    step = np.ceil(size / most).clip(lower=1)
    return curves[(place % step == 0) | (place == size - 1)]


def _state(traces: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Restyle arguments that turn the figure to a compound: one entry for each trace."""
    state: dict[str, list[Any]] = {}
    for key in _CHANGING:
        head, _, tail = key.partition(".")
        values = [trace.get(head, {}).get(tail) if tail else trace[head] for trace in traces]
        if any(value is not None for value in values):
            state[key] = [_short(value) for value in values]
    return state


def _short(value: Any) -> Any:
    """Four digits are enough for a drawing, and a menu's arguments are not packed."""
    if isinstance(value, str) or value is None:
        return value
    return [
        v if isinstance(v, str) or v is None else float(f"{v:.4g}") if np.isfinite(v) else None
        for v in value
    ]


def _add_menu(fig: go.Figure, buttons: list[dict[str, Any]], names: list[str]) -> go.Figure:
    """Put the menu above the panel, and let it follow the page's selection."""
    room = 44
    fig.layout.height += room
    narrow = dict(fig.layout.meta["narrow"])
    narrow["height"] += room
    menu = {
        **{"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom"},
        **{"pad": {"b": 30}, "bgcolor": "#eef1f4", "bordercolor": "#b9c0c7"},
        # Plotly paints the chosen entry white whatever the theme, so its text must be dark.
        **{"font": {"color": "#1d2126"}, "showactive": True, "active": 0},
    }
    top = fig.layout.margin.t + room
    narrow["margin.t"] = 16 + room
    fig.update_layout(updatemenus=[menu], margin={"t": top})
    return fig.update_layout(meta={"narrow": narrow, "follow": names})
