"""Galleries of cell images: fields of several groups, and the channels of one field.

A picture is part of its figure, as a PNG of its own, so that a page needs no file beside it.
Text of data is an annotation above or below a picture, never in it.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.errors import InputError
from screenbook.figures.palette import style
from screenbook.figures.small_multiples import (
    PAGE_WIDTH,
    PHONE_WIDTH,
    as_text,
    nothing_to_draw,
    require,
)

_GAP = 5  # pixels between pictures
_LABEL = 20  # below a picture, for its label
_HEADING = 26  # above a group, for its name
_LETTER = 6.6  # pixels of a letter of a label, about
_NOTHING = "There is no field to show."


@dataclass(frozen=True)
class PictureGroup:
    """Pictures that stand together under one heading.

    Attributes
    ----------
    heading : str
        Above them; ``""`` for none.
    pictures : sequence of ndarray of uint8, each (y, x) or (y, x, 3)
        Grey or colour.
    labels : sequence of str
        Below each picture.
    told : sequence of str, optional
        What hovering over a label says; the label itself if not given.
    """

    heading: str
    pictures: Sequence[np.ndarray]
    labels: Sequence[str]
    told: Sequence[str] = ()


def field_gallery(
    pictures: np.ndarray,
    fields: pd.DataFrame,
    *,
    group: str,
    label: str,
    title: str,
    subtitle: str = "",
    columns: int | None = None,
    narrow_columns: int | None = None,
) -> go.Figure:
    """Show fields under the name of their group: cell types, say, each in several batches.

    Parameters
    ----------
    pictures : ndarray of uint8, shape (n, y, x, 3) or (n, y, x)
        Of :func:`screenbook.images.composite.composite`.
    fields : DataFrame
        One row for each picture, in the same order, with the columns `group` and `label`. Its
        index, if it has text, is what hovering tells.
    group, label : str
        Columns: what heads a group of pictures, and what stands below each.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    columns, narrow_columns : int, optional
        Pictures in a row on a wide and on a narrow page; where not given, such that the rows of
        the largest group are about equal, at most 8 and 4 in each.

    Raises
    ------
    InputError
        If a column is missing, or there are not as many rows as pictures.
    """
    require(fields, [group, label], "field_gallery()")
    if len(fields) != len(pictures):
        raise InputError(
            f"field_gallery(): {len(fields)} rows for {len(pictures)} pictures; one for each"
        )
    told = [str(name) for name in fields.index]
    groups = []
    for name in pd.unique(fields[group]):
        at = np.flatnonzero((fields[group] == name).to_numpy())
        labels = [str(v) for v in fields[label].iloc[at]]
        groups.append(
            PictureGroup(str(name), [pictures[i] for i in at], labels, [told[i] for i in at])
        )
    most = max((len(g.pictures) for g in groups), default=1)
    return picture_groups(
        groups, columns=columns or _even(most, 8),
        narrow_columns=narrow_columns or _even(most, 4), title=title, subtitle=subtitle,
    )  # fmt: skip


def channel_strip(
    planes: np.ndarray,
    channels: Sequence[str],
    picture: np.ndarray,
    *,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Show one field as a composite and channel by channel, each under its name.

    Parameters
    ----------
    planes : ndarray of uint8, shape (channel, y, x)
        Of :func:`screenbook.images.composite.greys`.
    channels : sequence of str
        Names of the channels.
    picture : ndarray of uint8, shape (y, x, 3)
        The composite of the same field.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If there are not as many names as channels.
    """
    if len(planes) != len(channels):
        raise InputError(f"channel_strip(): {len(channels)} names for {len(planes)} channels")
    shown = PictureGroup("", [picture, *planes], ["composite", *channels])
    n = len(planes) + 1
    return picture_groups(
        [shown], columns=_even(n, 4), narrow_columns=_even(n, 3), title=title, subtitle=subtitle
    )


def _even(n: int, most: int) -> int:
    """Columns, `most` or fewer, that fill about equal rows with `n` pictures."""
    return max(1, -(-n // max(1, -(-n // most))))


def picture_groups(
    groups: Sequence[PictureGroup],
    *,
    columns: int,
    narrow_columns: int,
    title: str,
    subtitle: str = "",
    most_pixels: int = 210,
) -> go.Figure:
    """Lay out pictures in rows under headings, anew on a narrow page.

    Parameters
    ----------
    groups : sequence of PictureGroup
        In their order.
    columns, narrow_columns : int
        Pictures in a row on a wide and on a narrow page.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    most_pixels : int
        Width of a picture at most.
    """
    groups = [group for group in groups if len(group.pictures)]
    if not groups:
        return nothing_to_draw(title, subtitle, _NOTHING)
    wide = _places(groups, columns, PAGE_WIDTH, most_pixels)
    tight = _places(groups, narrow_columns, PHONE_WIDTH, most_pixels)
    fig = go.Figure()
    style(fig, title=title, subtitle=subtitle, height=round(wide.height) + 8)
    narrow = dict[str, Any]()
    images: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for (heading, at), (_, there) in zip(wide.headings, tight.headings, strict=True):
        narrow[f"annotations[{len(notes)}].y"] = there
        notes.append(note_at(f"<b>{as_text(heading)}</b>", 0, at, 14))
    shown = [
        (picture, label, told)
        for group in groups
        for picture, label, told in zip(
            group.pictures, group.labels, group.told or group.labels, strict=True
        )
    ]
    for i, (picture, label, told) in enumerate(shown):
        (x, y), (x2, y2) = wide.corners[i], tight.corners[i]
        images.append(picture_at(picture, x, y, wide.width, wide.depth))
        narrow |= {f"images[{i}].x": x2, f"images[{i}].y": y2}
        narrow |= {f"images[{i}].sizex": tight.width, f"images[{i}].sizey": tight.depth}
        k = len(notes)
        narrow |= {f"annotations[{k}].x": x2, f"annotations[{k}].y": y2 + tight.depth + 1}
        narrow[f"annotations[{k}].text"] = as_text(label, int(tight.width / _LETTER))
        note = note_at(as_text(label, int(wide.width / _LETTER)), x, y + wide.depth + 1, 12)
        notes.append(note | {"hovertext": as_text(told, 200)})
    fig.update_layout(images=images, annotations=notes)
    _add_list(fig, groups, wide)
    canvas(fig, PAGE_WIDTH, wide.height)
    return fig.update_layout(meta={"narrow": narrow | narrow_canvas(PHONE_WIDTH, tight.height)})


def _add_list(fig: go.Figure, groups: Sequence[PictureGroup], places: _Places) -> None:
    """Add what is seen where as invisible points: the figure's data, for the page to save."""
    first = 0
    for group in groups:
        corners = np.array(places.corners[first : first + len(group.pictures)])
        first += len(group.pictures)
        fig.add_scatter(
            x=corners[:, 0], y=corners[:, 1], mode="markers", marker={"opacity": 0, "size": 1},
            name=as_text(group.heading) or "pictures", showlegend=False, hoverinfo="skip",
            text=[as_text(told, 200) for told in group.told or group.labels],
        )  # fmt: skip


def canvas(fig: go.Figure, width: float, height: float) -> None:
    """Make the axes of a figure a sheet of pixels, with the origin at its upper left."""
    fig.update_layout(margin={"l": 2, "r": 2, "b": 6})
    fig.update_xaxes(visible=False, range=[0, width], constrain="domain", constraintoward="left")
    fig.update_yaxes(
        visible=False, range=[height, 0], scaleanchor="x", constrain="domain",
        constraintoward="top",
    )  # fmt: skip


def narrow_canvas(width: float, height: float) -> dict[str, Any]:
    """Make the same of another size where the page is narrow: arguments of *relayout*."""
    return {
        **{"xaxis.range": [0, width], "yaxis.range": [height, 0]},
        **{"height": round(height) + 20, "margin.t": 8, "margin.b": 6},
    }


def picture_at(
    picture: np.ndarray, x: float, y: float, width: float, height: float
) -> dict[str, Any]:
    """Place a picture on a sheet of pixels: an entry of plotly's ``layout.images``."""
    return {
        **{"source": picture_uri(picture), "xref": "x", "yref": "y", "layer": "below"},
        **{"x": x, "y": y, "sizex": width, "sizey": height, "sizing": "contain"},
        **{"xanchor": "left", "yanchor": "top"},
    }


def note_at(text: str, x: float, y: float, size: int = 12) -> dict[str, Any]:
    """Write a line on a sheet of pixels: an entry of plotly's ``layout.annotations``."""
    return {
        **{"text": text, "x": x, "y": y, "xref": "x", "yref": "y", "showarrow": False},
        **{"xanchor": "left", "yanchor": "top", "font": {"size": size}, "borderpad": 0},
    }


def picture_uri(picture: np.ndarray) -> str:
    """Write a picture as a PNG that is its own address.

    Parameters
    ----------
    picture : ndarray of uint8, shape (y, x) or (y, x, 3)
        Grey, or red, green and blue.

    Raises
    ------
    InputError
        If it has another shape or type.
    """
    picture = np.asarray(picture)
    colour = picture.ndim == 3 and picture.shape[2] == 3
    if picture.dtype != np.uint8 or not picture.size or not (colour or picture.ndim == 2):
        raise InputError(
            f"picture of shape {picture.shape} and type {picture.dtype}; "
            "(y, x) or (y, x, 3) of uint8 is needed"
        )
    height, width = picture.shape[:2]
    # Five bits a channel look the same, and weigh half of eight.
    lines = (picture & 0xF8 | picture >> 5).reshape(height, width, -1)
    steps = lines.copy()
    steps[:, 1:] -= lines[:, :-1]  # filter 1: differences to the pixel on the left
    body = np.concatenate([np.ones((height, 1), np.uint8), steps.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if colour else 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(body.tobytes(), 9)), (b"IEND", b"")
    png = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


@dataclass(frozen=True)
class _Places:
    corners: list[tuple[float, float]]  # upper left of each picture, in pixels
    headings: list[tuple[str, float]]  # and the top of each heading
    width: float  # of a picture
    depth: float
    height: float  # of all


def _places(groups: Sequence[PictureGroup], columns: int, page: int, most: int) -> _Places:
    shapes = [np.shape(picture) for group in groups for picture in group.pictures]
    side = min(float(most), (page - _GAP * (columns - 1)) / columns)
    depth = side * max(shape[0] / shape[1] for shape in shapes)
    corners, headings, top = [], [], 0.0
    for group in groups:
        if group.heading:
            headings.append((group.heading, top))
            top += _HEADING
        for i in range(len(group.pictures)):
            row, column = divmod(i, columns)
            corners.append((column * (side + _GAP), top + row * (depth + _LABEL)))
        top += -(-len(group.pictures) // columns) * (depth + _LABEL)
    return _Places(corners, headings, side, depth, top)
