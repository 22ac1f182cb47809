"""Single cells: where they were found, how far each is from a control, what wells show of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.errors import InputError
from screenbook.figures.image_fields import PictureGroup, picture_groups
from screenbook.figures.interval_rows import SERIES_MARKS, Axis, interval_rows
from screenbook.figures.palette import REFERENCE, shade
from screenbook.figures.small_multiples import (
    Layout,
    arrange,
    as_text,
    axes_of,
    nothing_to_draw,
    require,
)

_NUCLEUS, _CELL = (255, 255, 255), (255, 176, 0)
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_BINS = 60


def outlined_fields(
    pictures: np.ndarray,
    nuclei: np.ndarray,
    cells: np.ndarray,
    labels: Sequence[str],
    *,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Show fields with the outlines of their nuclei (white) and cells (amber).

    Parameters
    ----------
    pictures : ndarray of uint8, shape (n, y, x, 3)
        Of :func:`screenbook.images.composite.composite`.
    nuclei, cells : ndarray of int, shape (n, y, x)
        Of :class:`screenbook.cells.segmentation.Segmentation`.
    labels : sequence of str
        Below each picture.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If there are not as many pictures, labels and numbered fields.
    """
    if not len(pictures) == len(nuclei) == len(cells) == len(labels):
        raise InputError(
            f"outlined_fields(): {len(pictures)} pictures, {len(nuclei)} and {len(cells)} numbered "
            f"fields and {len(labels)} labels; one of each is needed"
        )
    drawn = []
    for picture, inner, outer in zip(pictures, nuclei, cells, strict=True):
        # Lines of one pixel of a small field would hide what they are drawn around.
        factor = max(1, round(480 / max(picture.shape[:2])))
        large = picture.repeat(factor, axis=0).repeat(factor, axis=1).copy()
        for numbers, colour in ((outer, _CELL), (inner, _NUCLEUS)):
            large[_outline(numbers.repeat(factor, axis=0).repeat(factor, axis=1))] = colour
        drawn.append(large)
    return picture_groups(
        [PictureGroup("", drawn, list(labels))], columns=min(2, max(1, len(drawn))),
        narrow_columns=1, title=title, subtitle=subtitle, most_pixels=420,
    )  # fmt: skip


def _outline(numbers: np.ndarray) -> np.ndarray:
    """Pixels whose right or lower neighbour carries another number."""
    line = np.zeros(numbers.shape, dtype=bool)
    line[:, :-1] |= numbers[:, :-1] != numbers[:, 1:]
    line[:-1] |= numbers[:-1] != numbers[1:]
    return line


def score_distributions(
    cells: pd.DataFrame,
    treatments: Sequence[str],
    *,
    title: str,
    subtitle: str = "",
    threshold: float | None = None,
) -> go.Figure:
    """Draw how the score of cells is distributed under some treatments, as densities.

    Parameters
    ----------
    cells : DataFrame
        ``treatment``, ``score`` and ``reference`` of
        :class:`screenbook.cells.subpopulations.Subpopulations`; reference cells are left out.
    treatments : sequence of str
        Which, in this order; the first is filled.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    threshold : float, optional
        From which cells are marked.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(cells, ["treatment", "score", "reference"], "score_distributions()")
    cells = cells[~cells["reference"]]
    groups = {name: cells.loc[cells["treatment"] == name, "score"] for name in treatments}
    groups = {name: scores for name, scores in groups.items() if len(scores) > 1}
    if not groups:
        return nothing_to_draw(title, subtitle, "There is no cell with a score.")
    low, high = np.quantile(np.concatenate(list(groups.values())), [0.002, 0.998])
    edges = np.linspace(low, max(high, low + 1e-6), _BINS + 1)
    middle, most = (edges[:-1] + edges[1:]) / 2, 0.0
    fig = go.Figure()
    for i, (name, scores) in enumerate(groups.items()):
        height = _smooth(np.histogram(np.clip(scores, low, high), edges)[0] / len(scores))
        height = height / (edges[1] - edges[0])
        most = max(most, float(height.max()))
        colour = SERIES_MARKS[i % len(SERIES_MARKS)][0]
        fig.add_scatter(
            **axes_of(0), x=middle, y=height, mode="lines",
            name=f"{as_text(name)} ({len(scores):,})",
            line={"color": colour, "width": 2.5, "dash": _DASHES[i % len(_DASHES)]},
            fill="tozeroy" if i == 0 else "none", fillcolor=shade(colour, 0.2),
            hovertemplate="score %{x:.1f}: %{y:.3f}<extra>" + as_text(name) + "</extra>",
        )  # fmt: skip
    if threshold is not None:
        fig.add_scatter(
            **axes_of(0), x=[threshold, threshold], y=[0, most], mode="lines",
            name="marked from here",
            line={"color": REFERENCE, "width": 2, "dash": "dot"}, hoverinfo="skip",
        )  # fmt: skip
    return arrange(
        fig, [""], Layout(1, 330, 300), title=title, subtitle=subtitle,
        x="score of a cell (SD of reference cells)", y="density",
        y_axis={"rangemode": "tozero"},
    )  # fmt: skip


def _smooth(heights: np.ndarray) -> np.ndarray:
    """Average each bin with its neighbours, weighted 1 2 1."""
    wide = np.pad(heights, 1, mode="edge")
    return np.asarray((wide[:-2] + 2 * wide[1:-1] + wide[2:]) / 4)


def effects_by_test(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Show how far wells of each treatment are from controls, by each test.

    Parameters
    ----------
    table : DataFrame
        ``test treatment effect low high q n_wells`` of
        :class:`screenbook.cells.subpopulations.Subpopulations`.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(
        table, ["test", "treatment", "effect", "low", "high", "q", "n_wells"], "effects_by_test()"
    )
    rows = pd.DataFrame(
        {
            **{"row": table["treatment"], "value": table["effect"], "series": table["test"]},
            **{"low": table["low"], "high": table["high"], "chance": 0.0},
            "detail": [
                f"q {q:.2g}, {n} wells" for q, n in zip(table["q"], table["n_wells"], strict=True)
            ],
        }
    )
    ends = table[["low", "high", "effect"]].to_numpy(dtype=float)
    ends = ends[np.isfinite(ends)]
    low, high = min(-1.0, ends.min(initial=0)), max(1.0, ends.max(initial=0))
    reach = 0.03 * (high - low)
    axis = Axis("standardised difference from controls (SD between wells)",
                (low - reach, high + reach))  # fmt: skip
    return interval_rows(rows, axis, title=title, subtitle=subtitle, chance="no difference")


def responding_shares(
    responding: pd.DataFrame,
    *,
    title: str,
    subtitle: str = "",
    truth: Mapping[str, float] | None = None,
) -> go.Figure:
    """Show which share of the cells of each treatment left the range of controls.

    Parameters
    ----------
    responding : DataFrame
        Of :func:`screenbook.cells.wells_compared.responding_share`.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    truth : mapping of str to float, optional
        The share that responded, by treatment, where it is known.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(responding, ["treatment", "responding", "low", "high"], "responding_shares()")
    rows = responding.rename(columns={"treatment": "row", "responding": "value"})
    if truth is not None:
        rows = rows.assign(bound=rows["row"].map(truth))
    axis = Axis("share of cells that responded, at least (0 to 1)", (-0.1, 1.02))
    return interval_rows(rows, axis, title=title, subtitle=subtitle, bound="drawn so")


def power_curves(power: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Show how often each test finds each treatment, by the number of wells.

    Parameters
    ----------
    power : DataFrame
        ``test treatment n_wells power`` of
        :func:`screenbook.cells.subpopulations.power_by_wells`; a panel for each treatment.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(power, ["test", "treatment", "n_wells", "power"], "power_curves()")
    if power.empty:
        return nothing_to_draw(title, subtitle, "There is no number of wells to draw.")
    panels, tests = list(pd.unique(power["treatment"])), list(pd.unique(power["test"]))
    fig = go.Figure()
    for i, panel in enumerate(panels):
        for k, test in enumerate(tests):
            some = power[(power["treatment"] == panel) & (power["test"] == test)]
            some = some.sort_values("n_wells")
            colour, symbol = SERIES_MARKS[k % len(SERIES_MARKS)]
            fig.add_scatter(
                **axes_of(i), x=some["n_wells"], y=some["power"], mode="lines+markers",
                name=as_text(test), legendgroup=test, showlegend=i == 0,
                line={"color": colour, "dash": _DASHES[k % len(_DASHES)]},
                marker={"color": colour, "symbol": symbol, "size": 9},
                hovertemplate="%{x} wells: found in %{y:.0%}<extra>" + as_text(test) + "</extra>",
            )  # fmt: skip
    return arrange(
        fig, panels, Layout(min(2, len(panels)), 230, 210, legend=2), title=title,
        subtitle=subtitle, x="wells of the treatment", y="share of draws found",
        y_axis={"range": [-0.05, 1.05]}, x_axis={"rangemode": "tozero"},
    )  # fmt: skip


def cell_gallery(groups: Mapping[str, np.ndarray], *, title: str, subtitle: str = "") -> go.Figure:
    """Show pictures of single cells under the name of their group.

    Parameters
    ----------
    groups : mapping of str to ndarray of uint8, shape (n, side, side, 3)
        Composites of crops, by heading.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    shown = [
        PictureGroup(name, list(pictures), [""] * len(pictures), [name] * len(pictures))
        for name, pictures in groups.items()
    ]
    return picture_groups(
        shown, columns=8, narrow_columns=4, title=title, subtitle=subtitle, most_pixels=100
    )
