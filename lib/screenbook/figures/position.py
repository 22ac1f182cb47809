"""The patch-position task: what a network is shown, what it can tell, and what it looks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.errors import InputError
from screenbook.figures.heat_tables import heat_tables, row_shares
from screenbook.figures.image_fields import (
    PictureGroup,
    canvas,
    narrow_canvas,
    note_at,
    picture_at,
    picture_groups,
)
from screenbook.figures.interval_rows import Axis, interval_rows
from screenbook.figures.palette import BLUE, DIVERGING, ORANGE, YELLOW, style
from screenbook.figures.small_multiples import (
    PAGE_WIDTH,
    PHONE_WIDTH,
    Layout,
    arrange,
    as_text,
    axes_of,
    require,
)

_ACCURACY = Axis("accuracy on held-out fields (0 to 1)")
_DIRECTIONS = ("up", "left", "right", "down")
_FIELD = 384  # pixels of the field on a wide page
_GAP = 12  # between the field and its pairs
_NAME = 18  # above a pair


def patch_task(
    picture: np.ndarray, *, tile: int, margin: int, title: str, subtitle: str = ""
) -> go.Figure:
    """Draw a field with its tiles, and the pairs of patches that a network gets to see.

    Parameters
    ----------
    picture : ndarray of uint8, shape (y, x, 3)
        A square field.
    tile : int
        Side of a tile, in pixels; nine of them lie around the middle of the field.
    margin : int
        Pixels cut from each edge of a tile, so that patches do not touch.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If three tiles do not fit, or the margin leaves nothing.
    """
    if 3 * tile > min(picture.shape[:2]) or not 0 <= 2 * margin < tile:
        raise InputError(
            f"patch_task(): tiles of {tile} pixels with margins of {margin} in a field of "
            f"{picture.shape[0]} x {picture.shape[1]}; three tiles must fit, and leave a patch"
        )
    patches = _patches(picture, tile, margin)
    small = (PAGE_WIDTH - _FIELD - 6 * _GAP) / 4
    tiny = (PHONE_WIDTH - 3 * _GAP) / 4
    fig = go.Figure()
    style(fig, title=title, subtitle=subtitle, height=_FIELD + 8)
    images = [picture_at(picture, 0, 0, _FIELD, _FIELD)]
    notes, narrow = [], dict[str, Any]()
    for i, name in enumerate(_DIRECTIONS):
        row, column = divmod(i, 2)
        x, y = _FIELD + 3 * _GAP + column * (2 * small + 2 * _GAP), row * (small + _NAME + 8)
        x2 = column * (2 * tiny + 2 * _GAP)
        y2 = PHONE_WIDTH + 8 + row * (tiny + _NAME + 8)
        for k, part in enumerate(("centre", name)):
            key = f"images[{len(images)}]"
            narrow |= {f"{key}.x": x2 + k * (tiny + 3), f"{key}.y": y2 + _NAME}
            narrow |= {f"{key}.sizex": tiny, f"{key}.sizey": tiny}
            left, top, side = patches[part]
            patch = np.ascontiguousarray(picture[top : top + side, left : left + side])
            images.append(picture_at(patch, x + k * (small + 3), y + _NAME, small, small))
        narrow |= {f"annotations[{i}].x": x2, f"annotations[{i}].y": y2}
        notes.append(note_at(f"centre and <b>{name}</b>", x, y))
    shapes: list[dict[str, Any]] = []
    for name, place in patches.items():
        there = _frame(name, place, PHONE_WIDTH / picture.shape[0])
        narrow |= {f"shapes[{len(shapes)}].{end}": there[end] for end in ("x0", "x1", "y0", "y1")}
        shapes.append(_frame(name, place, _FIELD / picture.shape[0]))
    fig.update_layout(images=images, annotations=notes, shapes=shapes)
    canvas(fig, PAGE_WIDTH, _FIELD)
    narrow |= {"images[0].sizex": PHONE_WIDTH, "images[0].sizey": PHONE_WIDTH}
    tall = PHONE_WIDTH + 8 + 2 * (tiny + _NAME + 8)
    return fig.update_layout(meta={"narrow": narrow | narrow_canvas(PHONE_WIDTH, tall)})


def _patches(picture: np.ndarray, tile: int, margin: int) -> dict[str, tuple[int, int, int]]:
    """Left, top and side of all nine patches; corners, which are not used, are numbered."""
    height, width = picture.shape[:2]
    left, top = (width - 3 * tile) // 2, (height - 3 * tile) // 2
    places = {(0, 1): "up", (1, 0): "left", (1, 2): "right", (2, 1): "down", (1, 1): "centre"}
    return {
        places.get((row, column), f"corner {row}{column}"): (
            left + column * tile + margin,
            top + row * tile + margin,
            tile - 2 * margin,
        )
        for row in range(3)
        for column in range(3)
    }


def _frame(name: str, patch: tuple[int, int, int], scale: float) -> dict[str, Any]:
    """Outline a patch: the centre and its neighbours boldly, the corners faintly."""
    x, y, size = (v * scale for v in patch)
    line: dict[str, Any] = {"color": "#FFFFFF", "width": 2.5}
    if name == "centre":
        line["color"] = YELLOW
    elif name not in _DIRECTIONS:
        line = {"color": "rgba(255,255,255,0.5)", "width": 1, "dash": "dot"}
    return {"type": "rect", "x0": x, "y0": y, "x1": x + size, "y1": y + size, "line": line}


def direction_accuracy(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Show how often each variant of the network tells the direction, beside chance.

    Parameters
    ----------
    table : DataFrame
        Of :func:`screenbook.images.position_training.position_table`: ``variant accuracy low
        high``, and optionally ``axis axis_low axis_high`` (how often it tells up-down from
        left-right), ``merge`` (``"add"`` has a bound of one half) and ``detail``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["variant", "accuracy", "low", "high"], "direction_accuracy()")
    names = {"variant": "row", "accuracy": "value"}
    rows = table.rename(columns=names).assign(series="direction", chance=0.25)
    if "merge" in table:
        rows["bound"] = np.where(table["merge"] == "add", 0.5, np.nan)
    if "axis" in table:
        renamed = {"variant": "row", "axis": "value", "axis_low": "low", "axis_high": "high"}
        axis = table.drop(columns=["low", "high"]).rename(columns=renamed)
        rows = pd.concat([rows, axis.assign(series="axis only", chance=0.5)], ignore_index=True)
    fig = interval_rows(
        rows, _ACCURACY, title=title, subtitle=subtitle,
        marks={"direction": (BLUE, "circle"), "axis only": (ORANGE, "diamond-open")},
        bound="bound of a symmetric merge",
    )  # fmt: skip
    return fig.update_xaxes(dtick=0.25)


def direction_confusion(
    tables: Mapping[str, pd.DataFrame], *, title: str, subtitle: str = ""
) -> go.Figure:
    """Show what each variant answers for every true direction.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Variant to counts or shares of answers: rows are true directions, columns answers. Rows
        are drawn as shares.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    shares = {name: row_shares(table) for name, table in tables.items()}
    return heat_tables(
        shares, title=title, subtitle=subtitle, x="answer", y="true direction",
        value="share of the row",
    )  # fmt: skip


def first_layer_filters(
    filters: np.ndarray, channels: Sequence[str], *, title: str, subtitle: str = ""
) -> go.Figure:
    """Show the filters of the first convolution, a panel for each input channel.

    Parameters
    ----------
    filters : ndarray, shape (n_filters, channel, y, x)
        Weights, of either sign. A filter stands at the same place in every panel.
    channels : sequence of str
        Names of the input channels.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If there are not as many names as channels.
    """
    if filters.ndim != 4 or filters.shape[1] != len(channels):
        raise InputError(
            f"first_layer_filters(): weights of shape {filters.shape} for {len(channels)} "
            "channels; (filters, channel, y, x) is needed"
        )
    most = float(np.abs(filters).max()) or 1.0
    columns = int(np.ceil(np.sqrt(len(filters))))
    fig = go.Figure()
    for i in range(len(channels)):
        sheet = _sheet(filters[:, i], columns)
        fig.add_heatmap(
            **axes_of(i), z=sheet, coloraxis="coloraxis", hoverongaps=False,
            hovertemplate="weight %{z:.3f}<extra>" + as_text(channels[i]) + "</extra>",
        )  # fmt: skip
    n = len(channels)
    layout = Layout(
        min(3, n), 270, 190, narrow_columns=min(2, n), gap=0.05, legend=1, narrow_legend=1
    )
    arrange(
        fig, list(channels), layout, title=title, subtitle=subtitle, x="", y="",
        x_axis={"visible": False, "constrain": "domain"},
        y_axis={"visible": False, "autorange": "reversed", "constrain": "domain"},
    )  # fmt: skip
    for i in range(n):
        axes = axes_of(i)
        key = axes["yaxis"].replace("y", "yaxis")
        fig.update_layout({key: {"scaleanchor": axes["xaxis"]}})
    scale = [list(stop) for stop in DIVERGING]
    bar = {
        **{"title": {"text": "weight", "side": "top", "font": {"size": 13}}, "thickness": 10},
        **{"orientation": "h", "len": 0.5, "y": 0, "yref": "container", "yanchor": "bottom"},
    }
    return fig.update_layout(
        coloraxis={"colorscale": scale, "cmin": -most, "cmax": most, "colorbar": bar},
        margin={"l": 10},
    )


def _sheet(planes: np.ndarray, columns: int) -> np.ndarray:
    """Lay filters side by side with a gap of nothing between them."""
    n, height, width = planes.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for i, plane in enumerate(planes):
        top, left = (i // columns) * (height + 1), (i % columns) * (width + 1)
        sheet[top : top + height, left : left + width] = plane
    return sheet


def feature_maps(sheets: Mapping[str, np.ndarray], *, title: str, subtitle: str = "") -> go.Figure:
    """Show what the layers make of one patch.

    Parameters
    ----------
    sheets : mapping of str to ndarray of uint8
        Label (name of the layer, number and size of its maps) to a picture: the patch itself,
        or the maps of a layer as :func:`screenbook.images.composite.mosaic` lays them out.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    pictures = [_enlarged(sheet) for sheet in sheets.values()]
    group = PictureGroup("", pictures, list(sheets))
    return picture_groups(
        [group], columns=max(1, min(4, len(sheets))), narrow_columns=2, title=title,
        subtitle=subtitle, most_pixels=280,
    )  # fmt: skip


def _enlarged(picture: np.ndarray, least: int = 240) -> np.ndarray:
    """Repeat the pixels of a small picture, lest a browser blur them."""
    times = max(1, -(-least // max(picture.shape[:2])))
    return picture.repeat(times, axis=0).repeat(times, axis=1)
