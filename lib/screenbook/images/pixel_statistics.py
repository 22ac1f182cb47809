"""Mean, spread and maximum of every channel: what any learned feature has to beat.

No cell, no shape, no texture: three numbers for a channel, which tell how bright, how uneven
and how concentrated a stain is. Put on the scale of a plate's controls, they are hard to beat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

STATISTICS = ("mean", "sd", "max")


def channel_statistics(
    pixels: Any, *, maximum_percentile: float = 100.0, block: int = 256
) -> np.ndarray:
    """Mean, standard deviation and maximum of every channel of every field.

    Parameters
    ----------
    pixels : array, shape (n, channel, y, x)
        Fields, as recorded or normalised; NumPy, or Zarr, of which some rows are read at a time.
    maximum_percentile : float
        Percentile of the pixels that is taken for the maximum; below 100, one dead or hot
        pixel does not decide.
    block : int
        Fields at a time.

    Returns
    -------
    ndarray of float32, shape (n, 3 * channel)
        All means, then all standard deviations, then all maxima.
    """
    n, n_channels = pixels.shape[:2]
    out = np.empty((n, 3, n_channels), dtype=np.float32)
    for first in range(0, n, block):
        rows = slice(first, min(first + block, n))
        flat = np.asarray(pixels[rows]).reshape(rows.stop - first, n_channels, -1)
        out[rows, 0] = flat.mean(axis=2, dtype=np.float64)
        out[rows, 1] = flat.std(axis=2, dtype=np.float64)
        whole = maximum_percentile >= 100
        out[rows, 2] = (
            flat.max(axis=2) if whole else np.percentile(flat, maximum_percentile, axis=2)
        )
    return out.reshape(n, -1)


def statistic_names(channels: Sequence[str]) -> list[str]:
    """Names of the columns of :func:`channel_statistics`: ``"DNA mean"`` and so on."""
    return [f"{channel} {statistic}" for statistic in STATISTICS for channel in channels]
