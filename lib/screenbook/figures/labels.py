"""Names beside points that do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.palette import GREY
from screenbook.figures.small_multiples import Layout, as_text, axes_of

_LETTER, _LINE = 6.8, 16.0  # pixels of a label at 12 px, about
_RADII = (14, 26, 40, 58, 80)
_DIRECTIONS = np.deg2rad([20, 160, -20, -160, 55, 125, -55, -125, 0, 180, 90, -90])


def place_labels(
    points: np.ndarray, names: Sequence[str], obstacles: np.ndarray, size: tuple[float, float]
) -> list[tuple[float, float] | None]:
    """Choose where names stand: near their points, on few others, never on one another.

    Greedy, the first name first: of 60 places around its point, the one that covers fewest
    obstacles and lies nearest.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        Places of the points with a name, in pixels from the panel's upper left.
    names : sequence of str
        Their names, the most important first.
    obstacles : ndarray, shape (m, 2)
        Points that a name should not cover, these ones among them.
    size : tuple of float
        Width and height of the panel, in pixels.

    Returns
    -------
    list of (float, float) or None
        Where the name is held, relative to its point, in pixels (y downwards): by its left end
        if that is right of the point, else by its right end. None: there is no room.
    """
    taken: list[np.ndarray] = []
    found: list[tuple[float, float] | None] = []
    for point, name in zip(points, names, strict=True):
        best: tuple[float, tuple[float, float] | None, np.ndarray | None] = (np.inf, None, None)
        for radius in _RADII:
            for angle in _DIRECTIONS:
                shift = (float(radius * np.cos(angle)), float(-radius * np.sin(angle)))
                box = _box(point, shift, name)
                if _leaves(box, size) or any(_cross(box, other) for other in taken):
                    continue
                cost = _covered(box, obstacles) + radius / 30
                if cost < best[0]:
                    best = (cost, shift, box)
        if best[2] is not None:
            taken.append(best[2])
        found.append(best[1])
    return found


def print_names(
    fig: go.Figure,
    best: list[pd.DataFrame],
    shown: list[pd.DataFrame],
    layout: Layout,
    across: list[float],
    up: list[float],
) -> None:
    """Print names beside points, placed for a wide page and anew for a narrow one.

    Parameters
    ----------
    fig : plotly.graph_objects.Figure
        Gets an annotation for each name. Changed in place, before
        :func:`screenbook.figures.small_multiples.arrange`.
    best, shown : list of DataFrame
        For each panel what gets a name (``compound x y``, the most important first), and all
        points that a name should not cover (``x y``).
    layout : Layout
        Sizes of the panels.
    across, up : list of float
        Ranges of both axes, the same in all panels.
    """
    narrow: dict[str, object] = {}
    for i, (rows, every) in enumerate(zip(best, shown, strict=True)):
        names = [as_text(name, 24) for name in rows["compound"]]
        places = []
        for is_narrow in (False, True):
            size = layout.width(narrow=is_narrow), float(layout.depth(narrow=is_narrow))
            at, others = (_pixels(frame, across, up, size) for frame in (rows, every))
            places.append(place_labels(at, names, others, size))
        for row, name, there, tight in zip(rows.to_dict("records"), names, *places, strict=True):
            number = len(fig.layout.annotations)
            fig.add_annotation(
                **{"xref": axes_of(i)["xaxis"], "yref": axes_of(i)["yaxis"]},
                **{"x": row["x"], "y": row["y"], "text": name, "font": {"size": 12}},
                **{"arrowhead": 0, "arrowwidth": 1, "arrowcolor": GREY, "standoff": 5},
                **{"visible": there is not None, **_held(there)},
            )
            narrow[f"annotations[{number}].visible"] = tight is not None
            narrow |= {f"annotations[{number}].{k}": v for k, v in _held(tight).items()}
    fig.update_layout(meta={"narrow": narrow})


def _held(shift: tuple[float, float] | None) -> dict[str, object]:
    x, y = shift or (10.0, 0.0)
    side = {"xanchor": "left" if x >= 0 else "right", "yanchor": "middle"}
    return {"ax": round(x, 1), "ay": round(y, 1), **side}


def _pixels(
    rows: pd.DataFrame, across: list[float], up: list[float], size: tuple[float, float]
) -> np.ndarray:
    x = (rows["x"] - across[0]) / (across[1] - across[0]) * size[0]
    y = (up[1] - rows["y"]) / (up[1] - up[0]) * size[1]
    return np.column_stack([x, y])


def _box(point: np.ndarray, shift: tuple[float, float], name: str) -> np.ndarray:
    width = _LETTER * len(name) + 4
    left = point[0] + shift[0] - (width if shift[0] < 0 else 0)
    top = point[1] + shift[1] - _LINE / 2
    return np.array([left, top, left + width, top + _LINE])


def _leaves(box: np.ndarray, size: tuple[float, float]) -> bool:
    return bool(box[0] < 0 or box[1] < 0 or box[2] > size[0] or box[3] > size[1])


def _cross(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def _covered(box: np.ndarray, points: np.ndarray) -> int:
    x, y = points.T
    inside = (x > box[0] - 4) & (x < box[2] + 4) & (y > box[1] - 4) & (y < box[3] + 4)
    return int(inside.sum())
