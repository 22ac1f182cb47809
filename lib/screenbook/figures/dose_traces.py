"""The parts that dose curves are drawn from: tables, axes, traces of a compound, controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.errors import InputError
from screenbook.figures.call_marks import OFF_FLAG
from screenbook.figures.palette import GREY, ROLE_COLOURS, ROLE_NAMES, class_colours, shade
from screenbook.figures.small_multiples import as_text, axes_of, require, whiskers

LEGEND = {
    "wells": "well",
    "means": "mean of a dose (hollow: off-axis)",
    "ec50": "EC50, with interval",
}
_STUB = (0.62, 0.12)  # decades below the lowest dose between which controls stand
_SYMBOLS = ("circle", "diamond", "square", "triangle-up")


TABLES = ("wells", "treatments", "curves", "hits")


@dataclass(frozen=True)
class DoseTables:
    """What dose curves are drawn from; each has ``cell_type`` and ``compound``.

    Attributes
    ----------
    wells : DataFrame
        Treated wells: ``dose on_score``.
    treatments : DataFrame
        One row per dose: ``dose on_score on_low on_high verdict flags``.
    curves : DataFrame
        Fitted curves on a fine grid: ``dose score low high``.
    hits : DataFrame
        One row per compound: ``ec50 ec50_low ec50_high flags call shape``.
    controls : DataFrame
        ``cell_type role on_low on_high``: where wells of a role lie.
    """

    wells: pd.DataFrame
    treatments: pd.DataFrame
    curves: pd.DataFrame
    hits: pd.DataFrame
    controls: pd.DataFrame

    def check(self) -> None:
        """Raise :class:`~screenbook.errors.InputError` if a column is missing."""
        wanted = {
            "wells": "dose on_score",
            "treatments": "dose on_score on_low on_high verdict flags",
            "curves": "dose score low high",
            "hits": "ec50 ec50_low ec50_high flags call shape",
        }
        for name, columns in wanted.items():
            needed = ["cell_type", "compound", *columns.split()]
            require(getattr(self, name), needed, f"dose curves, {name}")
        require(self.controls, ["cell_type", "role", "on_low", "on_high"], "dose curves, controls")


@dataclass(frozen=True)
class DoseFrame:
    """What all panels share: cell types with colour and symbol, and the axes."""

    colours: dict[str, str]
    symbols: dict[str, str]
    doses: list[float]  # lowest and highest
    scores: list[float]

    @property
    def x_axis(self) -> dict[str, Any]:
        """A log axis with round doses and a place for the controls."""
        low, high = np.log10(self.doses)
        at = [
            m * 10.0**e for e in range(int(np.floor(low)), int(np.ceil(high)) + 1) for m in (1, 3)
        ]
        near = [t for t in at if low - 0.05 <= np.log10(t) <= high + 0.05]
        near = near if len(near) <= 6 else [t for t in near if _is_power(t)]
        stub = 10 ** (low - sum(_STUB) / 2)
        return {
            **{"type": "log", "range": [low - 0.75, high + 0.15]},
            **{"tickvals": [stub, *near], "ticktext": ["0", *(f"{t:g}" for t in near)]},
            "tickangle": 0,
        }

    @property
    def y_axis(self) -> dict[str, Any]:
        """The scores, few ticks."""
        return {"range": self.scores, "nticks": 6, "zeroline": False}


def compound_traces(
    parts: dict[str, pd.DataFrame], cell_type: str, frame: DoseFrame
) -> list[dict[str, Any]]:
    """Make the traces of a compound in a cell type: band, curve, wells, means, EC50.

    Parameters
    ----------
    parts : dict of str to DataFrame
        From :func:`parts_of`.
    cell_type : str
        Its colour and symbol are those of `frame`.
    frame : DoseFrame
        Axes.

    Returns
    -------
    list of dict
        Always five, in this order, so that a menu can change one compound for another.
    """
    curve, wells = parts["curves"], parts["wells"]
    colour, symbol = frame.colours[cell_type], frame.symbols[cell_type]
    quiet = {"type": "scatter", "legendgroup": cell_type, "showlegend": False, "hoverinfo": "skip"}
    band = {
        **{**quiet, "name": "band", "mode": "lines", "fill": "toself"},
        **{"x": [*curve["dose"], *curve["dose"][::-1]]},
        **{"y": [*curve["high"], *curve["low"][::-1]]},
        **{"line": {"width": 0}, "fillcolor": shade(colour, 0.16)},
    }
    line = {
        **{**quiet, "name": "fit", "mode": "lines", "line": {"color": colour, "width": 2}},
        **{"x": curve["dose"].tolist(), "y": curve["score"].tolist()},
    }
    faint = {
        **{**quiet, "name": LEGEND["wells"], "mode": "markers"},
        **{"x": wells["dose"].tolist(), "y": wells["on_score"].tolist()},
        "marker": {"color": colour, "size": 4, "opacity": 0.4, "symbol": symbol},
    }
    means = _means(parts["treatments"], colour, symbol)
    potency = _potency(parts["hits"], colour, frame)
    told = "<extra>" + as_text(cell_type) + "</extra>"
    means["hovertemplate"] = "%{x:g} µM: %{y:.2f}" + told
    potency["hovertemplate"] = "EC50 %{x:.2g} µM" + told
    return [band, line, faint, quiet | means, quiet | potency]


def _means(means: pd.DataFrame, colour: str, symbol: str) -> dict[str, Any]:
    """Means of doses with their intervals; a dose off the axis is hollow."""
    flags = means["flags"].fillna("").astype(str)
    off = means["verdict"].eq(OFF_FLAG) | flags.str.contains(OFF_FLAG, regex=False)
    return {
        **{"name": LEGEND["means"], "mode": "markers", "hoverinfo": "x+y"},
        **{"x": means["dose"].tolist(), "y": means["on_score"].tolist()},
        "error_y": whiskers(means["on_score"], means["on_low"], means["on_high"], colour),
        "marker": {
            **{"color": colour, "size": 9, "line": {"width": 2, "color": colour}},
            "symbol": [f"{symbol}-open" if hollow else symbol for hollow in off],
        },
    }


def _potency(hit: pd.DataFrame, colour: str, frame: DoseFrame) -> dict[str, Any]:
    """EC50 as a tick near the foot of the panel, with its interval."""
    known = hit[hit["ec50"].notna()]
    foot = frame.scores[0] + 0.05 * (frame.scores[1] - frame.scores[0])
    tick = {"size": 12, "symbol": "line-ns", "line": {"color": colour, "width": 3}}
    return {
        **{"name": LEGEND["ec50"], "mode": "markers", "hoverinfo": "x"},
        **{"x": known["ec50"].tolist(), "y": [foot] * len(known)},
        "error_x": whiskers(known["ec50"], known["ec50_low"], known["ec50_high"], colour),
        "marker": {"color": colour, **tick},
    }


def draw_controls(
    fig: go.Figure, controls: pd.DataFrame, frame: DoseFrame, panel: int, *, legend: bool
) -> None:
    """Draw where controls lie: a box for each cell type, and a line through the panel."""
    left, right = (np.log10(frame.doses[0]) - s for s in _STUB)
    edges = np.linspace(left, right, len(frame.colours) + 1)
    for role, level in (("healthy", 0.0), ("diseased", 1.0)):
        name, colour = ROLE_NAMES[role], ROLE_COLOURS[role]
        ends = (
            controls[controls["role"] == role].groupby("cell_type")[["on_low", "on_high"]].first()
        )
        for k, cell_type in enumerate(frame.colours):
            if cell_type not in ends.index:
                continue
            low, high = ends.loc[cell_type].to_numpy()
            x = 10.0 ** edges[[k, k + 1, k + 1, k, k]]
            fig.add_scatter(
                **axes_of(panel), x=x, y=[low, low, high, high, low], mode="lines",
                fill="toself", fillcolor=shade(colour, 0.3), line={"width": 1, "color": colour},
                name=f"{name}, range of wells", legendgroup=role, hoverinfo="skip",
                showlegend=legend and k == 0,
            )  # fmt: skip
        fig.add_scatter(
            **axes_of(panel), x=[frame.doses[0] / 10, frame.doses[1] * 10], y=[level, level],
            mode="lines", line={"color": colour, "width": 1, "dash": "dot"}, hoverinfo="skip",
            name=name, legendgroup=role, showlegend=False,
        )  # fmt: skip


def draw_legend(fig: go.Figure, frame: DoseFrame) -> None:
    """Add lines of the legend that do not depend on which compound has what."""
    for cell_type, colour in frame.colours.items():
        fig.add_scatter(
            x=[None], y=[None], mode="lines+markers", name=as_text(cell_type, 30),
            line={"color": colour, "width": 2},
            marker={"color": colour, "symbol": frame.symbols[cell_type], "size": 8},
        )  # fmt: skip
    for key, symbol, size in (("wells", "circle", 4), ("means", "circle-open", 9)):
        marker = {"symbol": symbol, "size": size, "color": GREY}
        fig.add_scatter(x=[None], y=[None], mode="markers", name=LEGEND[key], marker=marker)
    tick = {"symbol": "line-ns", "size": 10, "line": {"width": 3, "color": GREY}}
    fig.add_scatter(x=[None], y=[None], mode="markers", name=LEGEND["ec50"], marker=tick)


def panel_title(compound: str, hits: pd.DataFrame) -> str:
    """Name and flags: ``bell`` of the curve, and doses off the axis."""
    flags = "; ".join(hits["flags"].fillna("").astype(str))
    words = []
    if hits["shape"].eq("bell").any():
        words.append("bell")
    if OFF_FLAG in flags or hits["call"].eq(OFF_FLAG).any():
        words.append(OFF_FLAG)
    name = " ".join(compound.split())
    name = name if len(name) <= 24 else name[:23].rstrip() + "…"
    return f"{name} · {', '.join(words)}" if words else name


def parts_of(mine: dict[str, pd.DataFrame], cell_type: str) -> dict[str, pd.DataFrame]:
    """Rows of a cell type, by dose."""
    found = {name: table[table["cell_type"] == cell_type] for name, table in mine.items()}
    return {n: t.sort_values("dose") if "dose" in t else t for n, t in found.items()}


def rows_of(table: pd.DataFrame, compounds: Sequence[str]) -> pd.DataFrame:
    """Rows of some compounds."""
    return table[table["compound"].isin(list(compounds))]


def dose_frame(tables: DoseTables, compounds: Sequence[str]) -> DoseFrame:
    """Axes that hold every mean and interval of a dose, and almost all wells."""
    wells, means = rows_of(tables.wells, compounds), rows_of(tables.treatments, compounds)
    every = pd.concat([tables.treatments["cell_type"], tables.hits["cell_type"]])
    cell_types = sorted(set(every.astype(str)))
    colours = class_colours(cell_types)
    doses = pd.concat([wells["dose"], means["dose"]])
    doses = doses[doses > 0]
    if doses.empty:
        raise InputError("dose curves: no dose above zero; a logarithmic axis needs some")
    reach = [*means["on_score"].dropna(), -0.2, 1.2]
    reach += list(tables.controls[["on_low", "on_high"]].to_numpy(float).ravel())
    reach += list(wells["on_score"].quantile([0.01, 0.99]).dropna())
    low, high = np.nanmin(reach), np.nanmax(reach)
    room = 0.1 * (high - low)
    symbols = {c: _SYMBOLS[i % len(_SYMBOLS)] for i, c in enumerate(cell_types)}
    span = [float(doses.min()), float(doses.max())]
    return DoseFrame(colours, symbols, span, [float(low - room), float(high + room / 2)])


def check_known(tables: DoseTables, compounds: Sequence[str]) -> None:
    """Raise :class:`~screenbook.errors.InputError` if a compound has nothing to be drawn."""
    known = set(tables.treatments["compound"]) | set(tables.wells["compound"])
    unknown = [c for c in compounds if c not in known]
    if unknown:
        raise InputError(
            f"dose curves: compound {unknown[0]!r} has neither wells nor treatments; "
            "name compounds of the tables"
        )


def _is_power(value: float) -> bool:
    return bool(np.isclose(np.log10(value) % 1, 0) or np.isclose(np.log10(value) % 1, 1))
