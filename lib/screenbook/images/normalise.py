"""Put pixels and features on the scale of the negative controls of their plate.

A plate's negative controls tell how bright its stain and how strong its lamp was. Subtracting
their mean and dividing by their standard deviation, channel by channel, takes off whatever a
batch adds to or multiplies a channel by, and nothing else: blur, haze that leaks from another
channel, gamma and cell density stay. Rows are read a block at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from screenbook.errors import InputError, listing

How = Literal["plate", "global"]

_BLOCK_BYTES = 32 << 20  # of pixels, as float32


@dataclass(frozen=True)
class ControlScale:
    """Mean and standard deviation of the negative controls of every batch.

    Attributes
    ----------
    names : ndarray, shape (B,)
        Batches, sorted; a single ``""`` if one scale holds for all of them.
    mean, sd : ndarray of float64, shape (B, k)
        Of k channels or features. An SD is 1 where the controls do not vary.
    n : ndarray of int, shape (B,)
        Negative controls of each batch.
    """

    names: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    n: np.ndarray


def normalise(
    pixels: Any,
    batch: np.ndarray,
    control: np.ndarray,
    how: How = "plate",
    *,
    pool: int = 1,
    channels: Sequence[str] | None = None,
) -> np.ndarray:
    """Give every channel of the negative controls mean 0 and standard deviation 1.

    Parameters
    ----------
    pixels : array of uint8, uint16 or float, shape (n, channel, y, x)
        Fields; NumPy, or a Zarr array, of which one block of rows is read at a time.
    batch : ndarray, shape (n,)
        Plate of each field.
    control : ndarray of bool, shape (n,)
        Negative controls. For `how` = "global", give those of the training experiments only
        if nothing at all may be known of the others.
    how : {"plate", "global"}
        Statistics of each plate's own controls, or of all controls together. The second leaves
        differences between plates in.
    pool : int
        Average squares of so many pixels first; rows and columns left over are cut off. The
        standard deviation is that of the averages.
    channels : sequence of str, optional
        Names, for what is refused.

    Returns
    -------
    ndarray of float32, shape (n, channel, y // pool, x // pool)

    Raises
    ------
    InputError
        If a plate has no negative control (for "plate"), there is none at all, or a channel has
        one and the same value in all control pixels, as a lamp that stayed dark leaves it.
    """
    batch, control = np.asarray(batch), np.asarray(control, dtype=bool)
    names, code = _batches_with_controls(batch, control, how)
    n, n_channels, height, width = pixels.shape
    out = np.empty((n, n_channels, height // pool, width // pool), dtype=np.float32)
    if not out.size:
        raise InputError(f"fields of {height} x {width} pixels are empty once pooled by {pool}")
    moments = np.zeros((2, n, n_channels))
    for rows in _row_blocks(pixels.shape):
        block = _pooled(np.asarray(pixels[rows]), pool)
        out[rows] = block
        moments[0, rows] = block.mean(axis=(2, 3), dtype=np.float64)
        moments[1, rows] = block.var(axis=(2, 3), dtype=np.float64)
    scale = _pixel_scale(names, code, control, *moments)
    _refuse_dark(scale, channels)
    for rows in _row_blocks(pixels.shape):
        out[rows] -= scale.mean[code[rows], :, None, None].astype(np.float32)
        out[rows] /= scale.sd[code[rows], :, None, None].astype(np.float32)
    return out


def standardise(
    embedding: np.ndarray, batch: np.ndarray, reference: np.ndarray | None = None
) -> np.ndarray:
    """Give every feature of the reference fields of each batch mean 0 and standard deviation 1.

    Parameters
    ----------
    embedding : ndarray, shape (n, k)
        Features of fields.
    batch : ndarray, shape (n,)
        Plate of each.
    reference : ndarray of bool, shape (n,), optional
        Fields that give mean and standard deviation: the negative controls. By default all
        fields of the batch, which is fair only where all batches hold the same treatments.

    Returns
    -------
    ndarray of float32, shape (n, k)
        A feature without variation in a batch is only centred there.

    Raises
    ------
    InputError
        If a batch has fewer than two reference fields.
    """
    batch = np.asarray(batch)
    used = np.ones(len(batch), bool) if reference is None else np.asarray(reference, bool)
    scale = control_scale(embedding, batch, used)
    code = np.searchsorted(scale.names, batch)
    return ((embedding - scale.mean[code]) / scale.sd[code]).astype(np.float32)


def control_scale(embedding: np.ndarray, batch: np.ndarray, reference: np.ndarray) -> ControlScale:
    """Mean and SD of every feature over the reference fields of each batch.

    Parameters
    ----------
    embedding : ndarray, shape (n, k)
    batch : ndarray, shape (n,)
    reference : ndarray of bool, shape (n,)

    Raises
    ------
    InputError
        If a batch has fewer than two of them: one field has no standard deviation.
    """
    names, code = _batches_with_controls(np.asarray(batch), reference, "plate", least=2)
    values = np.asarray(embedding, dtype=np.float64)
    mean, sd = np.empty((2, len(names), values.shape[1]))
    for b in range(len(names)):
        mine = values[reference & (code == b)]
        mean[b], sd[b] = mine.mean(axis=0), mine.std(axis=0, ddof=1)
    flat = sd <= 1e-6 * np.maximum(np.abs(mean), sd.max(initial=1e-12))
    counts = np.bincount(code[reference], minlength=len(names))
    return ControlScale(names, mean, np.where(flat, 1.0, sd), counts)


def _pixel_scale(
    names: np.ndarray, code: np.ndarray, control: np.ndarray, mean: np.ndarray, var: np.ndarray
) -> ControlScale:
    """Pixel statistics of each batch from those of its fields, all of one size."""
    member = np.zeros((len(names), len(code)))
    member[code[control], np.flatnonzero(control)] = 1.0
    n = member.sum(axis=1)
    middle = member @ mean / n[:, None]
    # Within fields and between fields, which does not cancel as a difference of squares does.
    spread = member @ (var + (mean - middle[code]) ** 2) / n[:, None]
    return ControlScale(names, middle, np.sqrt(spread), n.astype(int))


def _batches_with_controls(
    batch: np.ndarray, control: np.ndarray, how: str, least: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Names and codes of batches, after checking that each has controls enough."""
    if how not in ("plate", "global"):
        raise InputError(f"normalisation {how!r} is not known: take 'plate' or 'global'")
    if batch.shape != control.shape:
        raise ValueError(f"{len(batch)} batches for {len(control)} fields")
    if how == "global":
        batch = np.full(len(batch), "")
    names, code = np.unique(batch, return_inverse=True)
    bare = np.bincount(code[control], minlength=len(names)) < least
    if bare.any():
        wanted = "no negative control" if least == 1 else f"fewer than {least} negative controls"
        where = "the set has" if how == "global" else f"plates {listing(names[bare])} have"
        raise InputError(
            f"column role: {where} {wanted} to normalise by: mark some as 'control', leave the "
            "plates out, or normalise all plates together (how='global')"
        )
    return names, code


def _refuse_dark(scale: ControlScale, channels: Sequence[str] | None) -> None:
    dark = np.argwhere(scale.sd <= 0)
    if not len(dark):
        return
    b, c = dark[0]
    channel = repr(channels[c]) if channels is not None else f"number {c + 1}"
    where = f" of plate {str(scale.names[b])!r}" if scale.names[b] else ""
    raise InputError(
        f"channel {channel}: all control pixels{where} have the value {scale.mean[b, c]:g} "
        "(black or saturated): leave the channel or the plate out"
    )


def _row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    size = max(1, _BLOCK_BYTES // max(1, 4 * int(np.prod(shape[1:]))))
    for first in range(0, shape[0], size):
        yield slice(first, min(first + size, shape[0]))


def _pooled(block: np.ndarray, pool: int) -> np.ndarray:
    """Average squares of pixels, float32."""
    if pool == 1:
        return block.astype(np.float32)
    height, width = (size // pool * pool for size in block.shape[2:])
    total = np.zeros((*block.shape[:2], height // pool, width // pool), dtype=np.float32)
    for y in range(pool):
        for x in range(pool):
            total += block[:, :, y:height:pool, x:width:pool]
    return total / np.float32(pool**2)
