"""Predictions of expression change: models among their baselines, leaks, single conditions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.heat_tables import heat_tables
from screenbook.figures.interval_rows import Axis, interval_rows
from screenbook.figures.palette import (
    BLUE,
    EMPHASIS,
    GREY,
    ORANGE,
    PURPLE,
    REFERENCE,
    VERMILLION,
    shade,
    style,
)
from screenbook.figures.small_multiples import (
    Layout,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
    require,
    scatter_of,
    whiskers,
)

KIND_MARKS = {
    "baseline": (GREY, "circle-open"),
    "model": (BLUE, "diamond"),
    "fusion": (VERMILLION, "star"),
    "told": (PURPLE, "x"),
}
"""Colour and symbol of each kind of prediction; *told* is one that knows more than it could."""

LEAK_MARKS = {
    "right drug": (BLUE, "circle"),
    "drug shuffled": (VERMILLION, "diamond"),
    "line shuffled": (ORANGE, "square"),
    "input copied": (GREY, "x"),
}
"""Colour and symbol of each question that a leak test asks."""

OVERLAP_COLUMNS = {
    "same_parent": "same parent",
    "close": "analogue",
    "median_tanimoto": "median Tanimoto",
    "max_tanimoto": "largest Tanimoto",
    "same_mechanism": "same mechanism",
    "lines_seen": "line seen",
}
"""Columns of an overlap audit that are drawn, and what figures call them."""

_ROW, _NARROW_ROW = 24, 26  # pixels


def model_ladder(
    table: pd.DataFrame,
    axis: Axis,
    *,
    title: str,
    subtitle: str = "",
    ceiling: str = "noise ceiling",
) -> go.Figure:
    """Draw the score of every model and baseline on every split, with intervals.

    Parameters
    ----------
    table : DataFrame
        ``split`` (panel), ``model`` (row, in order of first appearance), ``kind`` (of
        :data:`KIND_MARKS`) and ``value``; optionally ``low`` and ``high`` (ends of the interval),
        ``ceiling`` (what noise allows, one for a split) and ``detail`` (what hovering adds). A
        model that does not serve a split has no row there, or a missing value.
    axis : Axis
        Of the score.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    ceiling : str
        What the legend calls the ceiling.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["split", "model", "kind", "value"], "model_ladder()")
    table = table[table["value"].notna()]
    if table.empty:
        return nothing_to_draw(title, subtitle, "There is no result to draw.")
    table = table.assign(**{c: np.nan for c in ("low", "high", "ceiling") if c not in table})
    table = table.assign(detail=table.get("detail", ""))
    names = [str(name) for name in pd.unique(table["model"])]
    splits = [str(name) for name in pd.unique(table["split"])]
    fig = go.Figure()
    for i, split in enumerate(splits):
        rows = table[table["split"].astype(str) == split]
        _draw_kinds(fig, rows, names, i)
        level = rows["ceiling"].dropna()
        if len(level):
            fig.add_scatter(
                **axes_of(i), x=[level.iloc[0]] * 2, y=[-0.6, len(names) - 0.4], mode="lines",
                name=as_text(ceiling), legendgroup="ceiling", hoverinfo="skip",
                showlegend=not _has(fig, "ceiling"),
                line={"color": REFERENCE, "dash": "dash", "width": 1.5},
            )  # fmt: skip
    layout = Layout(
        min(3, len(splits)), 62 + _ROW * len(names), 62 + _NARROW_ROW * len(names), gap=0.04,
        narrow_legend=2,
    )  # fmt: skip
    return arrange(
        fig, splits, layout, title=title, subtitle=subtitle, x=axis.title, y="",
        x_axis={"range": list(axis.range), "nticks": 5},
        y_axis={"tickvals": list(range(len(names))), "ticktext": [as_text(n, 28) for n in names],
                "range": [len(names) - 0.4, -0.6], "zeroline": False},
    )  # fmt: skip


def overlap_table(summary: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw what the test drugs of every split share with those learned from.

    Parameters
    ----------
    summary : DataFrame
        A row for each split, of :func:`screenbook.expression.overlap.overlap_audit`: ``rule``
        and the columns of :data:`OVERLAP_COLUMNS`.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(summary, ["rule", *OVERLAP_COLUMNS], "overlap_table()")
    table = summary.set_index(summary["rule"].astype(str).str.replace("_", " + "))
    table = table[list(OVERLAP_COLUMNS)].rename(columns=OVERLAP_COLUMNS)
    return heat_tables({"": table}, title=title, subtitle=subtitle, value="", y="")


def leak_tests(table: pd.DataFrame, axis: Axis, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw what is left of each model's skill when it is told the wrong drug or line.

    Parameters
    ----------
    table : DataFrame
        ``model`` (with its formulation), ``question`` (of :data:`LEAK_MARKS`) and ``value``;
        optionally ``low``, ``high``, ``split`` (panel), ``chance`` (skill of the best prediction
        that does not know the drug) and ``detail`` (share kept, say).
    axis : Axis
        Of the skill.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["model", "question", "value"], "leak_tests()")
    rows = table.rename(columns={"model": "row", "question": "series", "split": "panel"})
    return interval_rows(
        rows, axis, title=title, subtitle=subtitle, marks=LEAK_MARKS, chance="without the drug"
    )


def predicted_against_observed(
    genes: pd.DataFrame,
    *,
    title: str,
    subtitle: str = "",
    scale: str = "expression change",
    names: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw the predicted change of every gene of a condition against the observed one.

    Parameters
    ----------
    genes : DataFrame
        ``gene``, ``observed``, ``predicted``; optionally ``error`` (standard error of the
        observed change) and ``named`` (bool: the gene's name is written).
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    scale : str
        What the axes are, with unit.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(genes, ["gene", "observed", "predicted"], "predicted_against_observed()")
    genes = genes[genes["observed"].notna() & genes["predicted"].notna()]
    if genes.empty:
        return nothing_to_draw(title, subtitle, "No gene is both predicted and observed.")
    named = genes["named"].astype(bool) if "named" in genes else pd.Series(False, genes.index)
    fig = go.Figure()
    for rows, colour, symbol, name in (
        (genes[~named], BLUE, "circle", "gene"),
        (genes[named], EMPHASIS, "diamond", "gene with most change"),
    ):
        _draw_genes(fig, rows, colour, symbol, name)
    ends = genes[["observed", "predicted"]].to_numpy(dtype=float)
    most = float(np.abs(ends).max()) * 1.2 or 1.0
    fig.add_scatter(
        x=[-most, most], y=[-most, most], mode="lines", name="predicted as observed",
        line={"color": REFERENCE, "dash": "dash", "width": 1.5}, hoverinfo="skip",
    )  # fmt: skip
    style(
        fig, title=title, subtitle=subtitle, x=f"observed {scale}", y=f"predicted {scale}",
        height=460,
    )  # fmt: skip
    fig.update_xaxes(range=[-most, most]).update_yaxes(range=[-most, most])
    fig.update_layout(margin={"b": 84}, height=fig.layout.height + 22)
    narrow = {"margin.b": 62 + 22 * 3, "margin.l": 55, "margin.r": 12, "height": 330 + 62 + 66}
    return fig.update_layout(meta={"narrow": narrow})


def _draw_genes(fig: go.Figure, rows: pd.DataFrame, colour: str, symbol: str, name: str) -> None:
    if rows.empty:
        return
    written = name != "gene"
    rows = rows.sort_values("observed")
    kind = scatter_of(len(rows))
    trace = kind(
        x=rows["observed"], y=rows["predicted"], mode="markers+text" if written else "markers",
        name=name, text=[as_text(gene, 18) for gene in rows["gene"]],
        # Neighbours write to different sides.
        textposition=np.resize(["top center", "bottom center"], len(rows)), textfont={"size": 11},
        marker={"color": colour, "symbol": symbol, "size": 8 if written else 6,
                "opacity": 1 if written else 0.55},
        hovertemplate="%{text}<br>observed %{x:.3g}<br>predicted %{y:.3g}<extra></extra>",
    )  # fmt: skip
    if "error" in rows and rows["error"].notna().any():
        trace.error_x = {
            "array": rows["error"], "thickness": 0.8, "width": 0, "color": shade(GREY, 0.4),
        }  # fmt: skip
    fig.add_trace(trace)


def _draw_kinds(fig: go.Figure, rows: pd.DataFrame, names: list[str], panel: int) -> None:
    for kind, (colour, symbol) in KIND_MARKS.items():
        some = rows[rows["kind"] == kind]
        if some.empty:
            continue
        fig.add_scatter(
            **axes_of(panel), x=some["value"], y=[names.index(str(m)) for m in some["model"]],
            mode="markers", name=kind, legendgroup=kind, showlegend=not _has(fig, kind),
            marker={"color": colour, "symbol": symbol, "size": 9},
            error_x=whiskers(some["value"], some["low"], some["high"], colour),
            customdata=np.column_stack([some[c].map(as_text) for c in ("model", "detail")]),
            hovertemplate="%{customdata[0]}: %{x:.3f}<br>%{customdata[1]}<extra></extra>",
        )  # fmt: skip


def _has(fig: go.Figure, group: str) -> bool:
    return any(trace.legendgroup == group and trace.showlegend for trace in fig.data)
