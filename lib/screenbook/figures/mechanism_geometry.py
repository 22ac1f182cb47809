"""Compounds of one mechanism beside those of others: distances, precisions, confusions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.heat_tables import heat_tables
from screenbook.figures.interval_rows import Axis, interval_rows
from screenbook.figures.palette import BLUE, GREY, SEQUENTIAL
from screenbook.figures.small_multiples import (
    Layout,
    arrange,
    as_text,
    nothing_to_draw,
    require,
)

_MARKS = {"found": (BLUE, "circle"), "not found": (GREY, "circle-open")}


def distance_heat(
    distance: np.ndarray, compounds: pd.DataFrame, *, title: str, subtitle: str = ""
) -> go.Figure:
    """Draw the distances of all pairs of compounds, those of one mechanism together.

    Parameters
    ----------
    distance : ndarray, shape (n, n)
        Cosine distances.
    compounds : DataFrame, n rows
        ``compound`` and ``moa``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    require(compounds, ["compound", "moa"], "distance_heat()")
    if compounds.empty:
        return nothing_to_draw(title, subtitle, "There is no compound to draw.")
    order = np.lexsort((compounds["compound"], compounds["moa"]))
    names = compounds["compound"].map(as_text).to_numpy()[order]
    moa = compounds["moa"].map(as_text).to_numpy()[order]
    n = len(order)
    across, down = np.meshgrid(np.arange(n), np.arange(n))
    told = np.dstack([names[down], moa[down], names[across], moa[across]])
    fig = go.Figure(
        go.Heatmap(
            z=distance[np.ix_(order, order)], coloraxis="coloraxis", customdata=told,
            hovertemplate="%{customdata[0]} (%{customdata[1]})<br>"
            "%{customdata[2]} (%{customdata[3]})<br>distance %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    starts = np.flatnonzero(np.r_[True, moa[1:] != moa[:-1]])
    ends = np.r_[starts[1:], n]
    side = max(420, min(640, 18 * n))
    arrange(
        fig, [""], Layout(1, side, 330, gap=0.0, legend=0, narrow_legend=0),
        title=title, subtitle=subtitle, x="", y="",
        x_axis={"showticklabels": False, "showgrid": False, "ticks": "", "zeroline": False},
        y_axis={"showgrid": False, "ticks": "", "autorange": "reversed", "zeroline": False,
                "tickvals": list((starts + ends - 1) / 2),
                "ticktext": [as_text(moa[s], 26) for s in starts]},
    )  # fmt: skip
    for start, end in zip(starts, ends, strict=True):
        box = {"x0": start - 0.5, "x1": end - 0.5, "y0": start - 0.5, "y1": end - 0.5}
        fig.add_shape(type="rect", **box, line={"color": "#FFFFFF", "width": 1.5})
    bar = {"title": {"text": "cosine<br>distance"}, "thickness": 12, "len": 0.6}
    narrow = dict(fig.layout.meta["narrow"])
    narrow["coloraxis.showscale"] = False
    narrow["yaxis.ticktext"] = [as_text(moa[s], 12) for s in starts]
    return fig.update_layout(
        coloraxis={"colorscale": SEQUENTIAL, "reversescale": False, "colorbar": bar},
        meta={"narrow": narrow},
    )


def mechanism_rows(table: pd.DataFrame, fdr: float, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw the mean average precision of every mechanism beside that of random groups.

    Parameters
    ----------
    table : DataFrame
        ``mechanism n_compounds map chance q nearest_other``.
    fdr : float
        Largest q of a mechanism that counts as found.
    """
    require(table, ["mechanism", "n_compounds", "map", "chance", "q"], "mechanism_rows()")
    rows = pd.DataFrame(
        {
            "row": [f"{r.mechanism} ({r.n_compounds})" for r in table.itertuples()],
            "value": table["map"],
            "chance": table["chance"],
            "series": np.where(table["q"] <= fdr, "found", "not found"),
            "detail": [f"q {q:.3g}, nearest other: {o}" for q, o in
                       zip(table["q"], table["nearest_other"], strict=True)],
        }
    )  # fmt: skip
    return interval_rows(
        rows, Axis("mean average precision (0 to 1)"), title=title, subtitle=subtitle,
        marks=_MARKS, dodge=False, chance="random groups of that size",
        empty="No mechanism has two compounds.",
    )  # fmt: skip


def own_mean_rows(groups: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw how far each compound's replicates lie from its mean, a row a mechanism.

    Parameters
    ----------
    groups : DataFrame
        ``compound moa median chance n``.
    """
    require(groups, ["compound", "moa", "median", "chance", "n"], "own_mean_rows()")
    some = groups.sort_values(["moa", "compound"], kind="stable")
    rows = pd.DataFrame(
        {
            "row": some["moa"].where(some["moa"] != "", "unknown"),
            "value": some["median"],
            "chance": some.groupby("moa")["chance"].transform("mean"),
            "detail": [
                f"{c}, {n} plates" for c, n in zip(some["compound"], some["n"], strict=True)
            ],
        }
    )
    top = max(1.0, float(some["median"].max()) if len(some) else 1.0) * 1.03
    return interval_rows(
        rows, Axis("median cosine distance of a plate to the mean of the others", (-0.02, top)),
        title=title, subtitle=subtitle, dodge=False, chance="random replicates",
        empty="No compound stands on two plates.",
    )  # fmt: skip


def confusion_heat(shares: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw which mechanism the nearest treatment of another compound has; blank where none has."""
    return heat_tables(
        {"nearest other compound": shares.where(shares > 0)}, title=title, subtitle=subtitle,
        x="mechanism of the nearest", y="", value="share",
    )  # fmt: skip
