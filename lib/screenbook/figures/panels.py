"""Panels of a figure: side by side on a wide page, one below the other on a narrow one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

_AXIS_ROOM = 52  # pixels below a panel of a column, for ticks and title of its axis
_TITLE_ROOM = 24  # pixels above it, for its own title


def place_panels(
    fig: go.Figure,
    titles: Sequence[str],
    *,
    gap: float,
    narrow_height: int,
    top: float = 1.0,
    narrow_top: float = 1.0,
) -> None:
    """Give the axes ``x y``, ``x2 y2`` ... their places, and each panel its title.

    The page reads ``layout.meta["narrow"]`` (arguments of plotly's *relayout*) where it is
    narrower than 600 pixels.

    Parameters
    ----------
    fig : plotly.graph_objects.Figure
        Changed in place; call this after :func:`screenbook.figures.palette.style`.
    titles : sequence of str
        One for each panel.
    gap : float
        Between panels, of the width.
    narrow_height : int
        Pixels of the whole figure where panels stand in a column.
    top, narrow_top : float
        Upper end of the panels, of the height, in a row and in a column.
    """
    n = len(titles)
    width, slot = (1 - gap * (n - 1)) / n, narrow_top / n
    notes: list[dict[str, Any]] = []
    narrow: dict[str, Any] = {"height": narrow_height, "margin.r": 10}
    for i, title in enumerate(titles):
        suffix = "" if i == 0 else str(i + 1)
        left, foot = i * (width + gap), (n - 1 - i) * slot
        fig.update_layout(
            {
                f"xaxis{suffix}": {"domain": [left, left + width], "anchor": f"y{suffix}"},
                f"yaxis{suffix}": {"domain": [0, top], "anchor": f"x{suffix}"},
            }
        )
        notes.append(
            {
                **{"text": f"<b>{title}</b>", "x": left, "y": top, "showarrow": False},
                **{"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"},
            }
        )
        below = _AXIS_ROOM / narrow_height if i < n - 1 else 0.0
        upper = foot + slot - _TITLE_ROOM / narrow_height
        narrow |= {
            f"xaxis{suffix}.domain": [0, 1],
            f"yaxis{suffix}.domain": [foot + below, upper],
            f"yaxis{suffix}.showticklabels": fig.layout[f"yaxis{suffix}"].showticklabels,
            f"annotations[{i}].x": 0,
            f"annotations[{i}].y": upper,
        }
    fig.update_layout(annotations=notes, meta={"narrow": narrow})


def stack_when_narrow(fig: go.Figure, panel_height: int, axis_room: int = _AXIS_ROOM) -> go.Figure:
    """Let the panels of ``make_subplots`` stand in one column where the page is narrow.

    Parameters
    ----------
    fig : plotly.graph_objects.Figure
        Changed in place; its first annotations are the titles of its panels, in their order.
        Call this after :func:`screenbook.figures.palette.style`.
    panel_height : int
        Pixels of one panel there, with its title and its axis.
    axis_room : int, optional
        Pixels of it that ticks and title of the axis take.

    Returns
    -------
    plotly.graph_objects.Figure
        The same figure, for chaining.
    """
    n = sum(1 for axis in fig.layout if re.fullmatch(r"xaxis\d*", axis))
    rows = n * panel_height
    narrow: dict[str, Any] = {"height": rows + 130, "margin.r": 40}
    for i in range(n):
        suffix = "" if i == 0 else str(i + 1)
        foot, upper = (n - 1 - i) / n, (n - i) / n - _TITLE_ROOM / rows
        narrow |= {
            f"xaxis{suffix}.domain": [0, 1],
            f"yaxis{suffix}.domain": [foot + (axis_room / rows if i < n - 1 else 0), upper],
            f"xaxis{suffix}.showticklabels": True,
            f"yaxis{suffix}.showticklabels": True,
            f"annotations[{i}].x": 0,
            f"annotations[{i}].xanchor": "left",
            f"annotations[{i}].y": upper,
        }
    return fig.update_layout(meta={"narrow": narrow})
