"""Hits in their surroundings: on the map, and in another cell type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.call_marks import CALL_MARKS, Mark, points
from screenbook.figures.colouring import PALE
from screenbook.figures.palette import (
    BLUE,
    GREY,
    ORANGE,
    REFERENCE,
    ROLE_COLOURS,
    ROLE_NAMES,
    SKY,
)
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


def hits_on_map(
    wells: pd.DataFrame,
    hits: pd.DataFrame,
    *,
    title: str,
    subtitle: str = "",
    calls: tuple[str, ...] = ("off-axis", "aggravates", "rescue"),
    every_dose: bool = False,
) -> go.Figure:
    """Draw the t-SNE map with the wells of called compounds lit, one panel for each cell type.

    Parameters
    ----------
    wells : DataFrame
        ``map.tsv``: ``cell_type experiment plate well role compound treatment_conc x y``.
    hits : DataFrame
        ``cell_type compound best_dose call``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    calls : tuple of str, optional
        Calls that are lit, the most important last.
    every_dose : bool, optional
        Light all wells of a called compound, not only those at its best dose.

    Raises
    ------
    InputError
        If a column is missing.
    """
    columns = ["cell_type", "experiment", "plate", "well", "role", "compound"]
    require(wells, [*columns, "treatment_conc", "x", "y"], "hits_on_map(), wells")
    require(hits, ["cell_type", "compound", "best_dose", "call"], "hits_on_map(), hits")
    if wells.empty:
        return nothing_to_draw(title, subtitle, "The map holds no well.")
    table = wells.merge(
        hits[["cell_type", "compound", "best_dose", "call"]],
        on=["cell_type", "compound"], how="left",
    )  # fmt: skip
    at_best = np.isclose(table["treatment_conc"], table["best_dose"])
    lit = table["call"].where((table["role"] == "treated") & (every_dose | at_best), "")
    panels = list(pd.unique(table["cell_type"]))
    size = float(np.clip(320 / np.sqrt(len(table) / len(panels)), 2.5, 6))
    dose = "all doses" if every_dose else "best dose"
    rest = ~lit.isin(calls) & ~table["role"].isin(["diseased", "healthy", "vehicle"])
    groups = [("other wells", Mark(PALE, "circle", size, 0.45), rest)]
    for role, opacity in (("diseased", 0.4), ("vehicle", 0.4), ("healthy", 0.4)):
        mark = Mark(ROLE_COLOURS[role], "circle", size, opacity)
        groups.append((ROLE_NAMES[role], mark, table["role"] == role))
    for call in calls:
        mark = CALL_MARKS[call]
        groups.append((f"{call}, {dose}", Mark(mark.colour, mark.symbol, 9), lit == call))
    fig = go.Figure()
    for name, mark, chosen in groups:
        _add_wells(fig, table[chosen], panels, name, mark, scatter_of(len(table)))
    layout = Layout(min(2, len(panels)), 440, 350, narrow_legend=4)
    blank = {"showticklabels": False, "ticks": "", "showgrid": False, "zeroline": False}
    blank |= {"showline": True, "mirror": True, "constrain": "domain"}
    arrange(
        fig, [str(p) for p in panels], layout, title=title, subtitle=subtitle,
        x="t-SNE 1 (no unit)", y="t-SNE 2 (no unit)", x_axis=blank, y_axis=blank,
    )  # fmt: skip
    narrow = fig.layout.meta["narrow"]
    for i, panel in enumerate(panels):
        axes = axes_of(i)
        name = axes["yaxis"].replace("y", "yaxis")
        across, up = _square(table[table["cell_type"] == panel])
        fixed = {"scaleanchor": axes["xaxis"], "constraintoward": "top", "range": up}
        fig.update_layout({name: {**fixed, "showticklabels": False}})
        fig.update_layout({axes["xaxis"].replace("x", "xaxis"): {"range": across}})
        narrow[f"{name}.showticklabels"] = False
    return fig.update_layout(meta={"narrow": narrow})


def _square(wells: pd.DataFrame) -> tuple[list[float], list[float]]:
    """Ranges of both axes, equally long."""
    low, high = wells[["x", "y"]].min().to_numpy(), wells[["x", "y"]].max().to_numpy()
    reach = 0.53 * max(float((high - low).max()), 1e-6)
    x, y = ((low + high) / 2).tolist()
    return [x - reach, x + reach], [y - reach, y + reach]


def _add_wells(
    fig: go.Figure,
    some: pd.DataFrame,
    panels: list[str],
    name: str,
    mark: Mark,
    kind: type[go.Scatter] | type[go.Scattergl],
) -> None:
    for i, panel in enumerate(panels):
        mine = some[some["cell_type"] == panel]
        if mine.empty:
            continue
        shown = not any(trace.name == name for trace in fig.data)
        compound = mine["compound"].fillna("").astype(str)
        dose = mine["treatment_conc"].map(lambda v: f"{v:g} µM" if pd.notna(v) else "")
        place = mine["experiment"].astype(str) + "/" + mine["plate"].astype(str)
        trace = kind(
            **axes_of(i), name=name, legendgroup=name, showlegend=shown, mode="markers",
            x=mine["x"].astype(np.float32), y=mine["y"].astype(np.float32),
            meta="compound" if compound.ne("").any() else None,
            customdata=np.column_stack(
                [compound, place, mine["well"].astype(str), dose]
            ).astype(object),
            hovertext=[as_text(c) for c in compound],
            hovertemplate="%{hovertext} %{customdata[3]}<br>%{customdata[1]}, %{customdata[2]}"
            "<extra>" + as_text(name) + "</extra>",
            marker={"color": mark.colour, "symbol": mark.symbol, "size": mark.size,
                    "opacity": mark.opacity, "line": {"width": 0}},
        )  # fmt: skip
        fig.add_trace(trace)


_NEITHER = Mark(GREY, "circle", 5, 0.6)


def _finding_mark(finding: str, first: str) -> Mark:
    """How a finding looks, by its words."""
    if finding.startswith("rescues in both"):
        return Mark(BLUE, "star", 11)
    if finding.startswith("rescues in") and finding.endswith("only"):
        in_first = finding == f"rescues in {first} only"
        return Mark(SKY, "triangle-right", 9) if in_first else Mark(ORANGE, "triangle-up", 9)
    if finding.startswith("called in one"):
        return Mark(BLUE, "star-open", 8)
    return Mark(GREY, "circle-open", 6) if finding.startswith("no rescue") else _NEITHER


def cell_type_contrast(
    contrasts: pd.DataFrame,
    *,
    treatments: pd.DataFrame | None = None,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Recovery in one cell type against another, the same compound at the same dose.

    Parameters
    ----------
    contrasts : DataFrame
        ``compound first second dose recovery_first recovery_second difference low high q
        finding``, as :func:`screenbook.hits.contrasts.cell_type_contrasts` makes it; a panel
        for each pair of cell types.
    treatments : DataFrame, optional
        ``cell_type compound dose on_low on_high``: whiskers of what is a rescue in either.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    columns = "compound first second dose recovery_first recovery_second difference low high q"
    require(contrasts, [*columns.split(), "finding"], "cell_type_contrast()")
    contrasts = contrasts.reset_index(drop=True)
    known = contrasts["recovery_first"].notna() & contrasts["recovery_second"].notna()
    subtitle = add_count(subtitle, int((~known).sum()), "without both scores not drawn")
    if not known.any():
        return nothing_to_draw(title, subtitle, "No compound was seen in two cell types.")
    table = _with_ends(contrasts[known], treatments)
    groups = list(table.groupby(["first", "second"], sort=False))
    fig, reach = go.Figure(), _reach(table)
    seen: set[str] = set()
    for i, ((first, second), mine) in enumerate(groups):
        marks = {f: _finding_mark(str(f), str(first)) for f in mine["finding"].unique()}
        for finding, mark in sorted(marks.items(), key=lambda item: item[1].size):
            some = mine[mine["finding"] == finding]
            fig.add_trace(_pair_trace(some, str(finding), mark, i, finding not in seen))
            seen.add(finding)
        for x, y in ((reach, reach), ([0, 0], reach), (reach, [0, 0])):
            fig.add_scatter(
                **axes_of(i), x=x, y=y, mode="lines", hoverinfo="skip", showlegend=False,
                line=_LINE if x == y else {"color": REFERENCE, "width": 1},
            )  # fmt: skip
        _corners(fig, i, str(first), str(second))
    a, b = ("the first", "the second") if len(groups) > 1 else map(str, groups[0][0])
    titles = [f"{first} (across), {second} (up)" for (first, second), _ in groups]
    layout = Layout(min(2, len(groups)), 520, 380, narrow_legend=1 + len(seen), legend=2)
    return arrange(
        fig, titles, layout, title=title, subtitle=subtitle,
        x=f"recovery in {as_text(a, 24)} (1 = healthy)",
        y=f"recovery in {as_text(b, 24)} (1 = healthy)",
        x_axis={"range": reach}, y_axis={"range": reach},
    )  # fmt: skip


def _with_ends(contrasts: pd.DataFrame, treatments: pd.DataFrame | None) -> pd.DataFrame:
    """Join the ends of each recovery's interval: ``low_first high_first low_second ...``."""
    if treatments is None:
        return contrasts
    columns = ["cell_type", "compound", "dose", "on_low", "on_high"]
    require(treatments, columns, "cell_type_contrast(), treatments")
    for side in ("first", "second"):
        names = {"cell_type": side, "on_low": f"high_{side}", "on_high": f"low_{side}"}
        own = treatments[columns].rename(columns=names)
        own[[f"low_{side}", f"high_{side}"]] = 1 - own[[f"low_{side}", f"high_{side}"]]
        contrasts = contrasts.merge(own, on=["compound", "dose", side], how="left")
    return contrasts


def _pair_trace(some: pd.DataFrame, name: str, mark: Mark, panel: int, legend: bool) -> go.Scatter:
    more: dict[str, Any] = {}
    for axis, side in (("x", "first"), ("y", "second")):
        if name.startswith(("rescues", "called")) and f"low_{side}" in some:
            ends = some[f"low_{side}"], some[f"high_{side}"]
            more[f"error_{axis}"] = whiskers(some[f"recovery_{side}"], *ends, mark.colour, 0.5)
    trace = points(
        go.Scatter, some, name=name, mark=mark, panel=panel, legend=legend,
        x=some["recovery_first"], y=some["recovery_second"], **more,
    )  # fmt: skip
    told = [
        [row["compound"], f"{row['dose']:g} µM",
         f"{row['difference']:.2f} ({row['low']:.2f} to {row['high']:.2f})", f"{row['q']:.2g}"]
        for row in some.to_dict("records")
    ]  # fmt: skip
    trace.customdata = told
    trace.hovertemplate = (
        "%{hovertext}, %{customdata[1]}<br>%{x:.2f} against %{y:.2f}"
        "<br>difference %{customdata[2]}, q %{customdata[3]}<extra>" + as_text(name) + "</extra>"
    )
    return trace


def _reach(table: pd.DataFrame) -> list[float]:
    values = table[["recovery_first", "recovery_second"]].to_numpy(float)
    low, high = min(-0.2, values.min()), max(1.1, values.max())
    return [float(low - 0.05 * (high - low)), float(high + 0.05 * (high - low))]


def _corners(fig: go.Figure, panel: int, first: str, second: str) -> None:
    axes = axes_of(panel)
    for text, x, y in (
        ("towards health in both", 1, 1),
        (f"only in {as_text(first, 18)}", 1, 0),
        (f"only in {as_text(second, 18)}", 0, 1),
        ("in neither", 0, 0),
    ):
        fig.add_annotation(
            **{"xref": axes["xaxis"] + " domain", "yref": axes["yaxis"] + " domain"},
            **{"x": x, "y": y, "text": text, "showarrow": False, "xshift": -6 if x else 6},
            **{"xanchor": "right" if x else "left", "yanchor": "top" if y else "bottom"},
            **{"font": {"size": 11}, "opacity": 0.75},
        )
