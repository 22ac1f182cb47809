"""Deep embedded clustering: how it goes on over the epochs, and which clusters hold what."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.heat_tables import heat_tables, row_shares
from screenbook.figures.palette import BLUE, GREEN, GREY, ORANGE, VERMILLION, style
from screenbook.figures.small_multiples import as_text, nothing_to_draw, require

_LINES = {
    "accuracy": ("accuracy, all fields together", BLUE, "circle", "solid"),
    "batch_accuracy": ("accuracy, mean of mini-batches", VERMILLION, "diamond", "solid"),
    "nmi": ("normalised mutual information", GREEN, "square", "dot"),
    "ari": ("adjusted Rand index", ORANGE, "triangle-up", "dot"),
}
"""Column of the history to its name, colour, symbol and dash."""


def clustering_curves(
    history: pd.DataFrame,
    *,
    chance: Mapping[str, float] | None = None,
    title: str,
    subtitle: str = "",
    x: str = "step",
) -> go.Figure:
    """Show measures of a clustering over its training, and what chance gives each.

    Clusters have no names, so accuracy matches them to classes as well as can be. Matched anew
    in every mini-batch, it flatters: there chance is far higher than on the whole set.

    Parameters
    ----------
    history : DataFrame
        Of :func:`screenbook.images.cluster_agreement.agreement_history`: the column `x`, and any
        of ``accuracy`` (all fields together), ``batch_accuracy`` (mean of mini-batches, each
        matched by itself), ``nmi`` and ``ari``.
    chance : mapping of str to float, optional
        Level of random clusters, for some of these columns.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    x : str
        Column of time, and the title of its axis.

    Raises
    ------
    InputError
        If the column `x` is missing.
    """
    require(history, [x], "clustering_curves()")
    shown = [column for column in _LINES if column in history and history[column].notna().any()]
    if not shown:
        return nothing_to_draw(title, subtitle, "There is no measure of the clustering to draw.")
    fig = go.Figure()
    for column in shown:
        name, colour, symbol, dash = _LINES[column]
        fig.add_scatter(
            x=history[x], y=history[column], mode="lines+markers", name=name, legendgroup=column,
            line={"color": colour, "dash": dash}, marker={"symbol": symbol, "size": 7},
            hovertemplate=as_text(x) + " %{x}: %{y:.3f}<extra>" + name + "</extra>",
        )  # fmt: skip
    for column, level in (chance or {}).items():
        if column not in shown:
            continue
        name, colour, *_ = _LINES[column]
        fig.add_scatter(
            x=[history[x].min(), history[x].max()], y=[level, level], mode="lines",
            name=f"chance: {name}", legendgroup=column,
            line={"color": colour if len(chance or {}) > 1 else GREY, "dash": "dash", "width": 1.5},
            hovertemplate=f"chance {level:.3f}<extra>{name}</extra>",
        )  # fmt: skip
    style(fig, title=title, subtitle=subtitle, x=x.replace("_", " "), y="measure (0 to 1)")
    low = min(0.0, float(history[shown].min().min()))
    fig.update_yaxes(range=[low, 1.02])
    lines = len(fig.data)
    fig.update_layout(
        margin={"b": 62 + 22 * -(-lines // 2)}, height=fig.layout.height + 22 * -(-lines // 2)
    )
    tight = 62 + 22 * lines
    return fig.update_layout(meta={"narrow": {"margin.b": tight, "height": 300 + tight}})


def cluster_confusion(
    tables: Mapping[str, pd.DataFrame], *, title: str, subtitle: str = ""
) -> go.Figure:
    """Show into which clusters the fields of each class fall.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Title of a panel (start, end of training) to counts or shares: rows are classes, columns
        clusters. Rows are drawn as shares.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    shares = {name: row_shares(table) for name, table in tables.items()}
    return heat_tables(
        shares, title=title, subtitle=subtitle, x="cluster", y="class", value="share of the class"
    )
