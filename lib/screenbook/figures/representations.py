"""What features of cell images know: maps of fields, neighbours that agree, few labels."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.heat_tables import heat_tables
from screenbook.figures.interval_rows import SERIES_MARKS, Axis, interval_rows
from screenbook.figures.palette import BLUE, GREY, OKABE_ITO, ORANGE, REFERENCE, shade, style
from screenbook.figures.small_multiples import (
    Layout,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
    require,
    scatter_of,
)

_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "x", "hexagon")
_MOST_GROUPS = 8  # that colours can tell apart; of more, the symbol changes too
_CONSENSUS = {
    "consensus": ("nearest field", (GREY, "circle-open")),
    "other_batch": ("nearest field of another batch", (BLUE, "circle")),
    "five_with_self": ("majority of 5 with itself", (ORANGE, "diamond-open")),
}
"""Column of the table to what the legend calls it, colour and symbol."""

_NOTHING = "There is no result to draw."


def embedding_panels(
    points: pd.DataFrame,
    *,
    title: str,
    subtitle: str = "",
    by: tuple[str, str] = ("cell_type", "batch"),
) -> go.Figure:
    """Draw each embedding twice: coloured by what is looked for, and by where it comes from.

    Parameters
    ----------
    points : DataFrame
        One row for each field and embedding: ``embedding`` (its name), ``x``, ``y``, and the
        two columns of `by`. Axes of embeddings have no unit, and none is drawn.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    by : tuple of str
        Columns that colour the left and the right panel of a pair.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(points, ["embedding", "x", "y", *by], "embedding_panels()")
    points = points[points["x"].notna() & points["y"].notna()]
    if points.empty:
        return nothing_to_draw(title, subtitle, _NOTHING)
    fig = go.Figure()
    titles: list[str] = []
    kind = scatter_of(len(points))
    embeddings = list(pd.unique(points["embedding"]))
    marks = {column: _group_marks(points[column], k) for k, column in enumerate(by)}
    for embedding in embeddings:
        some = points[points["embedding"] == embedding]
        for column in by:
            panel = len(titles)
            titles.append(f"{embedding}: {column.replace('_', ' ')}")
            for name, (colour, symbol) in marks[column].items():
                mine = some[some[column].astype(str) == name]
                fig.add_trace(
                    kind(
                        **axes_of(panel), x=mine["x"], y=mine["y"], mode="markers",
                        name=as_text(name, 24), legendgroup=f"{column} {name}",
                        legend="legend" if column == by[0] else "legend2",
                        showlegend=panel < len(by),
                        marker={"color": colour, "symbol": symbol, "size": 5, "opacity": 0.75},
                        hovertemplate="%{text}<extra></extra>",
                        text=_both(mine, by),
                    )
                )  # fmt: skip
    columns = 2 if len(embeddings) == 1 else 4
    layout = Layout(
        columns, 300 if columns == 2 else 235, 200, narrow_columns=2, gap=0.03, legend=2,
        narrow_legend=0,
    )  # fmt: skip
    bare = {"showticklabels": False, "ticks": "", "zeroline": False, "nticks": 4}
    arrange(
        fig, titles, layout, title=title, subtitle=subtitle, x="", y="", x_axis=bare, y_axis=bare
    )
    return _two_legends(fig, by, [len(marks[column]) for column in by])


def _group_marks(values: pd.Series, k: int) -> dict[str, tuple[str, str]]:
    """Colour and symbol of each group; other symbols for the second set than for the first."""
    names = sorted(set(values.astype(str)))
    return {
        name: (
            OKABE_ITO[i % _MOST_GROUPS],
            _SYMBOLS[(i + 4 * k + i // _MOST_GROUPS) % len(_SYMBOLS)],
        )
        for i, name in enumerate(names)
    }


def _both(points: pd.DataFrame, by: tuple[str, str]) -> list[str]:
    return [f"{as_text(a)}<br>{as_text(b)}" for a, b in points[list(by)].itertuples(index=False)]


def _two_legends(fig: go.Figure, by: tuple[str, str], sizes: list[int]) -> go.Figure:
    """Give each colouring a legend of its own, one below the other; axes have no ticks."""
    lines = [-(-n // 7) for n in sizes]
    narrow_lines = [-(-n // 2) for n in sizes]
    narrow = dict(fig.layout.meta["narrow"])
    for i in range(len(fig.layout.annotations)):
        narrow[axes_of(i)["yaxis"].replace("y", "yaxis") + ".showticklabels"] = False
        narrow[f"annotations[{i}].font.size"] = 11
    fig.update_layout(margin={"l": 10})
    narrow["margin.b"] += 22 * sum(narrow_lines) + 20
    narrow["height"] += 22 * sum(narrow_lines) + 20
    bottom = int(fig.layout.margin.b) + 22 * (sum(lines) - 2)
    fig.update_layout(height=fig.layout.height + 22 * (sum(lines) - 2), margin={"b": bottom})
    for legend, column, above, n_above in (
        ("legend", by[0], lines[1], narrow_lines[1]),
        ("legend2", by[1], 0, 0),
    ):
        place: dict[str, Any] = {
            "orientation": "h", "x": 0, "xanchor": "left", "yref": "container",
            "yanchor": "bottom", "y": 22 * above / fig.layout.height,
            "title": {"text": column.replace("_", " "), "side": "left", "font": {"size": 13}},
            "itemsizing": "constant",
        }  # fmt: skip
        fig.update_layout({legend: place})
        narrow[f"{legend}.y"] = (22 * n_above + (10 if above else 0)) / narrow["height"]
        narrow[f"{legend}.title.side"] = "top left"
    return fig.update_layout(meta={"narrow": narrow})


def consensus(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Show how often the nearest neighbour of a field is of its cell type.

    Parameters
    ----------
    table : DataFrame
        Of :func:`screenbook.images.neighbour_consensus.consensus_table`: ``representation``;
        ``consensus low high chance`` (nearest other field); and optionally the same four for
        fields of other batches (``other_batch other_batch_low ...``) and ``five_with_self
        five_with_self_chance`` (majority of five, the field itself among them). ``panel`` may
        set groups of representations apart.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["representation", "consensus", "low", "high", "chance"], "consensus()")
    kept = table[["representation", *(["panel"] if "panel" in table else [])]]
    kept = kept.rename(columns={"representation": "row"})
    parts = []
    for column, (series, _) in _CONSENSUS.items():
        if column not in table:
            continue
        prefix = "" if column == "consensus" else f"{column}_"
        ends = {
            end: table[prefix + end] for end in ("low", "high", "chance") if prefix + end in table
        }
        parts.append(kept.assign(value=table[column], series=series, **ends))
    return interval_rows(
        pd.concat(parts, ignore_index=True),
        Axis("share of fields whose neighbours agree (0 to 1)"),
        title=title, subtitle=subtitle, marks=dict(_CONSENSUS.values()),
    )  # fmt: skip


def layer_consensus(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Show what each layer of a network keeps of the classes, in each embedding.

    Parameters
    ----------
    table : DataFrame
        Shares of neighbours that agree, a row for each layer (index) and a column for each
        embedding.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    return heat_tables({"": table}, title=title, subtitle=subtitle, value="neighbours that agree")


def few_label_curves(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Show accuracy against the number of labelled fields of each class.

    Parameters
    ----------
    table : DataFrame
        Of :func:`screenbook.images.few_labels.few_label_table`: ``representation
        labels_per_class accuracy``, and optionally ``low high`` (interval) and ``chance``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["representation", "labels_per_class", "accuracy"], "few_label_curves()")
    table = table[table["accuracy"].notna()]
    if table.empty:
        return nothing_to_draw(title, subtitle, _NOTHING)
    fig = go.Figure()
    names = list(pd.unique(table["representation"]))
    for i, name in enumerate(names):
        rows = table[table["representation"] == name].sort_values("labels_per_class")
        colour, symbol = (*SERIES_MARKS, (GREY, "x"), (ORANGE, "circle-open"))[i % 8]
        if {"low", "high"} <= set(rows):
            fig.add_trace(_band(rows, colour, str(name)))
        fig.add_scatter(
            x=rows["labels_per_class"], y=rows["accuracy"], mode="lines+markers",
            name=as_text(name, 40), legendgroup=str(name),
            line={"color": colour}, marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x} labels a class: %{y:.3f}<extra>" + as_text(name, 40) + "</extra>",
        )  # fmt: skip
    if "chance" in table and table["chance"].notna().any():
        level = float(table["chance"].dropna().iloc[0])
        ends = [table["labels_per_class"].min(), table["labels_per_class"].max()]
        fig.add_scatter(
            x=ends, y=[level, level], mode="lines", name="chance", hoverinfo="skip",
            line={"color": REFERENCE, "dash": "dash", "width": 1.5},
        )  # fmt: skip
    style(
        fig, title=title, subtitle=subtitle, x="labelled fields of each class (log scale)",
        y="accuracy (0 to 1)",
    )  # fmt: skip
    ticks = sorted(int(n) for n in table["labels_per_class"].unique())
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[str(n) for n in ticks])
    fig.update_yaxes(range=[0, 1.02])
    lines = -(-(len(names) + 1) // 3)
    fig.update_layout(margin={"b": 62 + 22 * lines}, height=fig.layout.height + 22 * lines)
    tight = 62 + 22 * (len(names) + 1)
    return fig.update_layout(meta={"narrow": {"margin.b": tight, "height": 300 + tight}})


def _band(rows: pd.DataFrame, colour: str, name: str) -> go.Scatter:
    return go.Scatter(
        x=[*rows["labels_per_class"], *rows["labels_per_class"][::-1]],
        y=[*rows["high"], *rows["low"][::-1]],
        fill="toself",
        fillcolor=shade(colour, 0.13),
        line={"width": 0},
        mode="lines",
        name=as_text(name, 40) + ", interval",
        legendgroup=name,
        showlegend=False,
        hoverinfo="skip",
    )
