"""Painting points, paths and boxes on a canvas of pixels, and writing it as PNG.

NumPy and zlib only. A canvas is a float array (height, width, 4): red, green and blue already
multiplied by the opacity that stands in the fourth place.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np


def _blend(canvas: np.ndarray, rows: np.ndarray, columns: np.ndarray, colour: np.ndarray) -> None:
    """Lay colour over pixels (alpha already multiplied in); what is outside is left out."""
    inside = (rows >= 0) & (rows < canvas.shape[0]) & (columns >= 0) & (columns < canvas.shape[1])
    rows, columns = rows[inside], columns[inside]
    colour = colour[inside]
    under = canvas[rows, columns]
    canvas[rows, columns] = colour + under * (1 - colour[:, 3:])


def paint_points(
    canvas: np.ndarray, x: np.ndarray, y: np.ndarray, colour: np.ndarray, size: float
) -> None:
    """Paint a disc of diameter `size` at each (x, y), in pixels; `colour` is (n, 4)."""
    finite = np.isfinite(x) & np.isfinite(y) & np.isfinite(colour).all(axis=1)
    columns, rows = np.rint(x[finite]).astype(int), np.rint(y[finite]).astype(int)
    colour = _premultiplied(colour[finite])
    radius = size / 2
    reach = int(radius)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dx * dx + dy * dy <= radius * radius:
                _blend(canvas, rows + dy, columns + dx, colour)


def paint_path(
    canvas: np.ndarray, x: np.ndarray, y: np.ndarray, colour: np.ndarray, size: float
) -> None:
    """Paint a line through the points, in the first of the colours, open where one is NaN."""
    if len(x) < 2:
        return
    steps = np.nan_to_num(np.hypot(np.diff(x), np.diff(y)), nan=0.0)
    at = np.concatenate([[0], np.cumsum(np.minimum(steps, 4_000))])
    along = np.arange(0, at[-1], 1.0)
    fill_x, fill_y = np.interp(along, at, x), np.interp(along, at, y)  # nan where there is a gap
    paint_points(canvas, fill_x, fill_y, np.tile(colour[:1], (len(along), 1)), size)


def paint_boxes(canvas: np.ndarray, x: np.ndarray, y: np.ndarray, colour: np.ndarray) -> None:
    """Fill boxes whose sides are the rows of `x` and `y` (n, 2)."""
    height, width = canvas.shape[:2]
    colour = _premultiplied(colour)
    for (x0, x1), (y0, y1), paint in zip(np.sort(x, 1), np.sort(y, 1), colour, strict=True):
        if np.isfinite([x0, x1, y0, y1]).all():
            rows = slice(max(0, round(y0)), min(height, max(round(y1), round(y0) + 1)))
            columns = slice(max(0, round(x0)), min(width, max(round(x1), round(x0) + 1)))
            canvas[rows, columns] = paint + canvas[rows, columns] * (1 - paint[3])


def _premultiplied(colour: np.ndarray) -> np.ndarray:
    return np.concatenate([colour[:, :3] * colour[:, 3:], colour[:, 3:]], axis=1)


def png(canvas: np.ndarray) -> bytes:
    """Write a premultiplied canvas (height, width, 4) as an RGBA PNG."""
    alpha = canvas[..., 3:]
    straight = np.divide(
        canvas[..., :3], alpha, out=np.zeros_like(canvas[..., :3]), where=alpha > 0
    )
    pixels = np.concatenate([straight, alpha], axis=2).clip(0, 1)
    pixels = np.rint(pixels * 15).astype(np.uint8) * 17  # 16 shades compress far better than 256
    height, width = pixels.shape[:2]
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png_uri(picture: bytes) -> str:
    """Make a picture its own address, so that a page needs no file for it."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
