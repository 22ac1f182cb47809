"""The searches of the first public analysis: what their counts follow, and what they rank."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.call_marks import by_call, points
from screenbook.figures.palette import BLUE, GREY, REFERENCE
from screenbook.figures.small_multiples import (
    MOST_AS_SVG,
    Layout,
    add_count,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
    require,
)

SEARCH_NAMES = {
    "radius_map": "radius on the map",
    "knn_pca": "kNN, PCA",
    "knn_full": "kNN, all features",
    "mixture": "Gaussian mixture",
    "antipodal": "antipodal direction",
    "earth_mover": "earth mover",
}
"""What figures call the searches of ``searches.tsv``; another name is printed as it is."""

_KEY = ["cell_type", "compound"]
_NONE = "No search found a compound, so there is nothing to draw."


def search_comparison(
    searches: pd.DataFrame,
    hits: pd.DataFrame,
    *,
    against: str = "wells",
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Draw a panel for each search: its count against wells, or its score against the evidence.

    Parameters
    ----------
    searches : DataFrame
        One row per compound and cell type: ``cell_type compound n_wells``, ``<search>_count``
        and ``<search>_score``.
    hits : DataFrame
        ``cell_type compound on_score call``, and what hovering tells.
    against : {"wells", "evidence"}
        Counts (wells found, by name) against the number of wells of the compound; or scores
        against recovery.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    ValueError
        If `against` is neither.
    """
    if against not in ("wells", "evidence"):
        raise ValueError(f"against={against!r}: 'wells' or 'evidence'")
    suffix = "_count" if against == "wells" else "_score"
    names = _search_names(searches, suffix)
    require(searches, [*_KEY, "n_wells"], "search_comparison(), searches")
    require(hits, [*_KEY, "on_score", "call"], "search_comparison(), hits")
    table = _joined(searches, hits)
    if table.empty or not names:
        return nothing_to_draw(title, subtitle, _NONE)
    # Six panels of two thousand points would be slow as SVG, and WebGL serves them all at once.
    kind = go.Scatter if len(table) * len(names) <= 2 * MOST_AS_SVG else go.Scattergl
    x = table["n_wells"] if against == "wells" else 1 - table["on_score"]
    fig, seen = go.Figure(), set()
    for i, name in enumerate(names):
        shown = table.assign(x=x, y=table[name + suffix]).dropna(subset=["x", "y"])
        for call, mark, some in by_call(shown):
            trace = points(
                kind, some, name=call, mark=mark, panel=i, legend=call not in seen,
                x=some["x"], y=some["y"],
            )  # fmt: skip
            trace.hovertemplate = (
                "%{hovertext}<br>%{y:.3g} at %{x:.3g}<extra>" + as_text(call) + "</extra>"
            )
            fig.add_trace(trace)
            seen.add(call)
    layout = Layout(
        min(3, len(names)), 270, 215, narrow_columns=min(2, len(names)), gap=0.09, own_y=True
    )
    titles = [SEARCH_NAMES.get(name, name) for name in names]
    if against == "wells":
        x_title, y_title = "wells of the compound", "wells found (count)"
        x_axis = {"type": "log", **_log_ticks(table["n_wells"])}
    else:
        x_title, y_title, x_axis = "recovery (1 = healthy)", "score of the search", {}
    return arrange(
        fig, titles, layout, title=title, subtitle=subtitle, x=x_title, y=y_title,
        x_axis=x_axis, y_axis={"nticks": 5},
    )  # fmt: skip


def search_ranks(
    searches: pd.DataFrame,
    hits: pd.DataFrame,
    *,
    title: str,
    subtitle: str = "",
    top: int = 10,
    last: int = 30,
    by: str = "count",
) -> go.Figure:
    """Follow the first compounds by evidence through the rankings of the searches.

    A line is a compound; ranks beyond `last` lie on the lowest line, hollow. Equal counts share
    their mean rank.

    Parameters
    ----------
    searches : DataFrame
        As for :func:`search_comparison`.
    hits : DataFrame
        ``cell_type compound rank call``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    top : int, optional
        Compounds of each cell type: those ranked first by the evidence.
    last : int, optional
        Last rank with a place of its own.
    by : {"count", "score"}
        Which ranking of the searches.

    Raises
    ------
    InputError
        If a column is missing.
    """
    names = _search_names(searches, f"_{by}")
    require(searches, _KEY, "search_ranks(), searches")
    require(hits, [*_KEY, "rank", "call"], "search_ranks(), hits")
    table = _joined(searches, hits)
    known = table["rank"].notna()
    subtitle = add_count(subtitle, int((~known).sum()), "without a rank not drawn")
    if not known.any() or not names:
        return nothing_to_draw(title, subtitle, _NONE)
    panels = list(pd.unique(table["cell_type"]))
    ticks = ["evidence", *(SEARCH_NAMES.get(name, name) for name in names)]
    layout = Layout(min(2, len(panels)), 150 + 12 * last, 150 + 12 * last, gap=0.2, own_y=True)
    fig, y_axes = go.Figure(), []
    for i, panel in enumerate(panels):
        mine = table[table["cell_type"] == panel]
        ranks = mine[[name + f"_{by}" for name in names]].rank(ascending=False)
        ranks.insert(0, "evidence", mine["rank"])
        first = mine.sort_values("rank").head(top)
        for row in first.to_dict("index").values():
            index = mine.index[mine["compound"] == row["compound"]][0]
            fig.add_trace(_slope(row, ranks.loc[index].to_numpy(float), ticks, i, last))
        y_axes.append(
            {
                "tickvals": [*first["rank"], last, last + 2],
                "ticktext": [
                    *(f"{as_text(c, 18)}  {r:.0f}" for c, r in first[["compound", "rank"]].values),
                    *(f"{last}", "later"),
                ],
                "tickfont": {"size": 11},
            }
        )
    arrange(
        fig, [str(p) for p in panels], layout, title=title, subtitle=subtitle, x="", y="",
        x_axis={"tickangle": -50, "tickvals": list(range(len(ticks))),
                "ticktext": [as_text(t) for t in ticks], "showgrid": True},
        y_axis={"range": [last + 3, 0], "zeroline": False, "showgrid": False},
    )  # fmt: skip
    for i, axis in enumerate(y_axes):
        fig.update_layout({axes_of(i)["yaxis"].replace("y", "yaxis"): axis})
    return _room_for_slanted_ticks(fig, len(panels))


def _slope(
    row: dict[str, object], ranks: np.ndarray, ticks: list[str], panel: int, last: int
) -> go.Scatter:
    called = row["call"] == "rescue"
    beyond = ranks > last
    shown = np.where(beyond, last + 2.0, ranks)
    told = [[row["compound"], tick, f"{r:g}"] for tick, r in zip(ticks, ranks, strict=True)]
    return go.Scatter(
        **axes_of(panel),
        name=as_text(row["compound"]),
        showlegend=False,
        mode="lines+markers",
        x=list(range(len(ranks))),
        y=shown,
        meta="compound",
        customdata=told,
        hovertext=[as_text(row["compound"])] * len(ranks),
        hovertemplate="%{hovertext}<br>%{customdata[1]}: rank %{customdata[2]}<extra></extra>",
        line={"width": 1.6, "color": BLUE if called else GREY},
        opacity=0.75,
        marker={"size": 7, "symbol": np.where(beyond, "circle-open", "circle")},
    )


def _room_for_slanted_ticks(fig: go.Figure, n_panels: int) -> go.Figure:
    """Give the names of searches, which stand on a slant below the panels, their room."""
    margin = 135
    more = margin - fig.layout.margin.b
    fig.update_layout(height=fig.layout.height + more, margin={"b": margin})
    narrow = dict(fig.layout.meta["narrow"])
    narrow["height"] += margin - narrow["margin.b"]
    narrow["margin.b"] = margin
    for i in range(n_panels - 1):  # one above the other, only the last needs its ticks
        narrow[axes_of(i)["xaxis"].replace("x", "xaxis") + ".showticklabels"] = False
    fig.add_annotation(
        **{"text": "rank (1 = first)", "x": 0, "y": 1, "xref": "paper", "yref": "paper"},
        **{"xanchor": "right", "yanchor": "bottom", "showarrow": False, "xshift": -6},
        font={"size": 11, "color": REFERENCE},
    )
    return fig.update_layout(meta={"narrow": narrow})


def _search_names(searches: pd.DataFrame, suffix: str) -> list[str]:
    found = [c.removesuffix(suffix) for c in searches.columns if str(c).endswith(suffix)]
    return sorted(found, key=lambda n: [*SEARCH_NAMES, n].index(n))


def _joined(searches: pd.DataFrame, hits: pd.DataFrame) -> pd.DataFrame:
    columns = [c for c in hits.columns if c in _KEY or c not in searches.columns]
    return searches.merge(hits[columns], on=_KEY, how="left", validate="1:1")


def _log_ticks(values: pd.Series) -> dict[str, list[float]]:
    """Ticks at 1, 2, 5 times powers of ten, about six at most."""
    low, high = np.log10(values[values > 0].min()), np.log10(values.max())
    steps = (1, 2, 5) if high - low < 1.7 else (1,)
    at = [m * 10.0**e for e in range(int(np.floor(low)), int(np.ceil(high)) + 1) for m in steps]
    near = [t for t in at if low - 0.2 <= np.log10(t) <= high + 0.2]
    return {"tickvals": near or [float(values.max())]}
