"""Traces of the microscope and of the file format that tell where in the field a patch was.

A lens lights the middle of a field more than its corners, and JPEG codes blocks of 8 x 8 pixels
whose borders stay visible. Either tells a network the place of a single patch, without a look
at any cell: the microscope's chromatic aberration. These functions put such traces on, to
measure what they do, and take the smooth one off.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn, idctn

from screenbook.errors import InputError

_BLOCK = 8

# The luminance table that ITU-T T.81 (the JPEG standard) proposes in its Annex K.
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=np.float32,
)


def with_vignette(
    pixels: np.ndarray, depth: float = 0.4, centre: tuple[float, float] = (0.5, 0.5)
) -> np.ndarray:
    """Darken fields towards their corners, as an uneven illumination does.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (n, channel, y, x)
        As recorded, before any normalisation.
    depth : float
        Share of the light that is missing at the corner farthest from `centre`, 0 to 1; it
        falls with the square of the distance.
    centre : tuple of float
        Where it is brightest, as shares of height and width.

    Returns
    -------
    ndarray, same shape and type
    """
    if not 0 <= depth <= 1:
        raise InputError(f"the depth of a vignette is {depth:g}; give 0 (none) to 1 (black)")
    height, width = pixels.shape[2:]
    y = (np.arange(height) + 0.5) / height - centre[0]
    x = (np.arange(width) + 0.5) / width - centre[1]
    far = y[:, None] ** 2 + x[None] ** 2
    light = (1 - depth * far / far.max()).astype(np.float32)
    return _like(pixels, [block * light for block in _blocks(pixels)])


def with_jpeg_grid(pixels: np.ndarray, quality: int = 30) -> np.ndarray:
    """Leave on every channel what JPEG leaves: rounded cosine coefficients of 8 x 8 blocks.

    Blocks start at the corner of the field, so that tiles whose side is no multiple of 8 start
    within one, each tile at another place. Of JPEG, only what loses anything is done.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, channel, y, x)
        As recorded.
    quality : int
        1 to 100, as JPEG libraries have it.

    Returns
    -------
    ndarray of uint8, same shape
    """
    if not 1 <= quality <= 100:
        raise InputError(f"JPEG quality is {quality}; give 1 to 100")
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    table = np.clip(np.floor(_LUMINANCE * scale + 0.5), 1, 255)
    height, width = pixels.shape[2:]
    pad = [(0, 0), (0, 0), (0, -height % _BLOCK), (0, -width % _BLOCK)]
    out = []
    for block in _blocks(pixels):
        padded = np.pad(block, pad, mode="edge") - 128
        n, c, y, x = padded.shape
        tiles = padded.reshape(n, c, y // _BLOCK, _BLOCK, x // _BLOCK, _BLOCK)
        coded = np.round(dctn(tiles, axes=(3, 5), norm="ortho") / table[:, None]) * table[:, None]
        back = idctn(coded, axes=(3, 5), norm="ortho").reshape(n, c, y, x)
        out.append(back[:, :, :height, :width] + 128)
    return _like(pixels, out)


def illumination(pixels: np.ndarray, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the light over the field, for every plate and channel, from the fields themselves.

    The mean of many fields shows the light and no cell. A paraboloid is fitted to it (least
    squares), which is smooth enough that a few dozen fields suffice.

    Parameters
    ----------
    pixels : ndarray, shape (n, channel, y, x)
        As recorded.
    batch : ndarray, shape (n,)
        Plate of each field.

    Returns
    -------
    names : ndarray, shape (B,)
        Plates, sorted.
    light : ndarray of float32, shape (B, channel, y, x)
        Mean 1 over each field; at least 0.1.
    """
    names, code = np.unique(np.asarray(batch), return_inverse=True)
    _, n_channels, height, width = pixels.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(y), y, x, y * y, x * y, x * x], axis=-1).reshape(-1, 6)
    basis, _ = np.linalg.qr(terms)  # (y * x, 6)
    light = np.empty((len(names), n_channels, height, width), dtype=np.float32)
    for b in range(len(names)):
        mean = pixels[code == b].mean(axis=0, dtype=np.float64).reshape(n_channels, -1)
        smooth = (mean @ basis) @ basis.T
        smooth /= np.maximum(smooth.mean(axis=1, keepdims=True), 1e-12)
        light[b] = np.maximum(smooth, 0.1).reshape(n_channels, height, width)
    return names, light


def without_illumination(pixels: np.ndarray, batch: np.ndarray, *, pool: int = 1) -> np.ndarray:
    """Divide every field by the light over the fields of its plate (:func:`illumination`).

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (n, channel, y, x)
    batch : ndarray, shape (n,)
    pool : int
        Average squares of so many pixels afterwards; rows and columns left over are cut off.

    Returns
    -------
    ndarray, shape (n, channel, y // pool, x // pool)
        In whole grey levels of the type of `pixels`.
    """
    names, light = illumination(pixels, batch)
    code = np.searchsorted(names, np.asarray(batch))
    n, n_channels, height, width = pixels.shape
    out = np.empty((n, n_channels, height // pool, width // pool), dtype=pixels.dtype)
    for b in range(len(names)):
        for rows in np.array_split(np.flatnonzero(code == b), max(1, (code == b).sum() // 128)):
            out[rows] = _like(pixels, [pooled(pixels[rows] / light[b], pool)])
    return out


def pooled(pixels: np.ndarray, pool: int) -> np.ndarray:
    """Average squares of `pool` pixels, (n, channel, y, x) to (n, channel, y // pool, ...)."""
    n, n_channels, height, width = pixels.shape
    y, x = height // pool, width // pool
    whole = pixels[:, :, : y * pool, : x * pool]
    return whole.reshape(n, n_channels, y, pool, x, pool).mean(axis=(3, 5), dtype=np.float32)


def _blocks(pixels: np.ndarray, size: int = 128) -> list[np.ndarray]:
    """Fields as float32, so many at a time."""
    return [pixels[i : i + size].astype(np.float32) for i in range(0, len(pixels), size)]


def _like(pixels: np.ndarray, blocks: list[np.ndarray]) -> np.ndarray:
    """Put blocks together as whole grey levels of the type of `pixels`."""
    most = np.iinfo(pixels.dtype).max
    whole = [np.clip(np.rint(block), 0, most).astype(pixels.dtype) for block in blocks]
    return np.concatenate(whole) if whole else pixels.copy()
