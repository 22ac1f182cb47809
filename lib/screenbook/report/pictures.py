"""Pictures that a figure carries, for its preview: reading their PNGs, laying them on a canvas."""

from __future__ import annotations

import base64
import io
import logging
from typing import Any

import numpy as np
from PIL import Image

_PNG = "data:image/png;base64,"

log = logging.getLogger(__name__)


def draw_pictures(canvas: np.ndarray, layout: dict[str, Any]) -> None:
    """Draw the PNGs that a figure carries, where it lays them out on a sheet of pixels."""
    x_range, y_range = (layout.get(f"{axis}axis", {}).get("range") for axis in "xy")
    if not (x_range and y_range):
        return
    (left, right), (bottom, top) = x_range, y_range
    scale = min(canvas.shape[1] / (right - left), canvas.shape[0] / (bottom - top))
    for placed in layout.get("images") or []:
        source = str(placed.get("source", ""))
        if not source.startswith(_PNG) or placed.get("xref") != "x":
            continue
        try:
            picture = read_png(base64.b64decode(source[len(_PNG) :]))
        except ValueError as error:
            log.info("left a picture out of a small picture: %r", error)
            continue
        x, y = (placed["x"] - left) * scale, (placed["y"] - top) * scale
        right_end, lower_end = x + placed["sizex"] * scale, y + placed["sizey"] * scale
        paint_picture(canvas, picture, x, y, right_end, lower_end)


def read_png(picture: bytes) -> np.ndarray:
    """Read a PNG as opaque canvas (height, width, 4).

    Raises
    ------
    ValueError
        If it is none, or damaged.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=["PNG"]) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    except (OSError, SyntaxError) as error:
        raise ValueError(f"no PNG that can be read: {error}") from None
    return np.dstack([pixels / 255, np.ones(pixels.shape[:2], dtype=np.float32)])


def paint_picture(
    canvas: np.ndarray, picture: np.ndarray, left: float, top: float, right: float, bottom: float
) -> None:
    """Lay an opaque picture over a box of the canvas, each pixel taken from the nearest one."""
    rows = np.arange(max(0, round(top)), min(canvas.shape[0], round(bottom)))
    columns = np.arange(max(0, round(left)), min(canvas.shape[1], round(right)))
    if rows.size and columns.size:
        y = ((rows + 0.5 - top) / (bottom - top) * picture.shape[0]).astype(int)
        x = ((columns + 0.5 - left) / (right - left) * picture.shape[1]).astype(int)
        y, x = y.clip(0, picture.shape[0] - 1), x.clip(0, picture.shape[1] - 1)
        canvas[np.ix_(rows, columns)] = picture[np.ix_(y, x)]
