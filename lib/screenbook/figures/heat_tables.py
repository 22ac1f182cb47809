"""Tables of shares as heat maps with their numbers: confusions, classes, knobs."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.palette import GREY
from screenbook.figures.small_multiples import (
    PAGE_WIDTH,
    PHONE_WIDTH,
    Layout,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
)

SHARES = ((0.0, "#F4F7FA"), (1.0, "#3E97CC"))
"""Colour scale of cells with a number in them: light throughout, so that black is read on all."""

SEPARATOR = " · "
"""In the name of a row: what follows it is left out on a narrow page."""

_ROW = 27  # pixels
_LETTER = 6.3  # pixels of a letter of a tick, about


def heat_tables(
    tables: Mapping[str, pd.DataFrame],
    *,
    title: str,
    subtitle: str = "",
    x: str = "",
    y: str = "",
    value: str,
    limits: tuple[float, float] = (0.0, 1.0),
    beside: bool = True,
    rules: Mapping[str, list[int]] | None = None,
) -> go.Figure:
    """Draw tables as heat maps, the number in every cell that has room for it.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Title of the panel to its numbers; index and columns are the names of rows and columns.
        Missing numbers are blank.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    x, y : str
        What columns and rows are.
    value : str
        What the numbers are, for hovering and the colour bar.
    limits : tuple of float
        Numbers of the darkest and the brightest colour.
    beside : bool
        Panels side by side on a wide page, at most three in a row; below one another if not.
    rules : mapping of str to list of int, optional
        For a panel, rows above which a line is drawn, to set groups apart.
    """
    shown = {name: table for name, table in tables.items() if table.size}
    if not shown:
        return nothing_to_draw(title, subtitle, "There is no result to draw.")
    fig = go.Figure()
    for i, table in enumerate(shown.values()):
        fig.add_trace(_heat(table, i, value))
    rows = max(len(table) for table in shown.values())
    slant = _slant(shown, beside)
    columns = min(3, len(shown)) if beside else 1
    height = 62 + _ROW * rows
    layout = Layout(columns, height, height, gap=0.09, legend=0, narrow_legend=0, own_y=True)
    arrange(
        fig, list(shown), layout, title=title, subtitle=subtitle, x=x, y=y,
        x_axis={"showgrid": False, "ticks": "", "zeroline": False,
                "tickangle": -40 if slant else 0},
        y_axis={"showgrid": False, "ticks": "", "autorange": "reversed", "zeroline": False,
                "ticklabelstandoff": 5},
    )  # fmt: skip
    narrow = dict(fig.layout.meta["narrow"])
    for i, (name, table) in enumerate(shown.items()):
        axes = axes_of(i)
        narrow[axes["yaxis"].replace("y", "yaxis") + ".ticktext"] = [
            as_text(str(v).split(SEPARATOR)[0], 18) for v in table.index
        ]
        for axis, names in (("x", table.columns), ("y", table.index)):
            ticks = {
                "tickvals": list(range(len(names))),
                "ticktext": [as_text(v, 26) for v in names],
            }
            fig.update_layout({axes[f"{axis}axis"].replace(axis, f"{axis}axis"): ticks})
        for row in (rules or {}).get(name, []):
            fig.add_shape(
                **{"type": "line", "x0": 0, "x1": 1, "y0": row - 0.5, "y1": row - 0.5},
                **{"xref": f"{axes['xaxis']} domain", "yref": axes["yaxis"]},
                line={"color": GREY, "width": 2},
            )
    fig.update_layout(
        meta={"narrow": narrow},
        coloraxis={
            "colorscale": [list(stop) for stop in SHARES], "cmin": limits[0],
            "cmax": limits[1], "showscale": False,
        },
    )  # fmt: skip
    return _room_for_ticks(fig, slant, columns, len(shown))


def row_shares(counts: pd.DataFrame) -> pd.DataFrame:
    """Divide each row of a table of counts by its sum; a row without any is missing."""
    total = counts.sum(axis=1).astype(float)
    return counts.div(total.where(total > 0), axis=0)


def _heat(table: pd.DataFrame, panel: int, value: str) -> go.Heatmap:
    names = [[[as_text(row), as_text(column)] for column in table.columns] for row in table.index]
    return go.Heatmap(
        **axes_of(panel),
        z=table.to_numpy(dtype=float),
        x=list(range(table.shape[1])),
        y=list(range(table.shape[0])),
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
        texttemplate="%{z:.2f}",
        textfont={"color": "#101418"},
        customdata=names,
        hoverongaps=False,
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>" + as_text(value)
        + " %{z:.3f}<extra></extra>",
    )  # fmt: skip


def _slant(tables: Mapping[str, pd.DataFrame], beside: bool) -> int:
    """Pixels that the names of columns need below the panels if they must stand on a slant."""
    if len({tuple(map(str, table.columns)) for table in tables.values()}) > 1:
        return 0
    columns = next(iter(tables.values())).columns
    longest = max(min(22, len(str(v))) for v in columns)
    panels = min(3, len(tables)) if beside else 1
    room = min(PAGE_WIDTH / panels, PHONE_WIDTH) - 130
    return 0 if longest * _LETTER < room / len(columns) else round(longest * _LETTER * 0.66)


def _room_for_ticks(fig: go.Figure, slant: int, columns: int, n: int) -> go.Figure:
    """Give slanted names their room below the last panels, and write them there alone."""
    if not slant:
        return fig
    bottom = int(fig.layout.margin.b) + slant
    fig.update_layout(height=fig.layout.height + slant, margin={"b": bottom})
    narrow = dict(fig.layout.meta["narrow"])
    narrow["height"] += slant
    narrow["margin.b"] += slant
    for i in range(n - 1):
        key = axes_of(i)["xaxis"].replace("x", "xaxis")
        fig.update_layout({key: {"showticklabels": i + columns >= n}})
        narrow[f"{key}.showticklabels"] = False
    return fig.update_layout(meta={"narrow": narrow})
