"""Random textures with a given period: chromatin, mitochondria, the wobble of outlines."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft


def noise(
    side: int,
    um_per_px: float,
    periods: tuple[float, ...],
    rng: np.random.Generator,
    same: tuple[tuple[int, int], ...] = (),
) -> np.ndarray:
    """Random textures of mean 0 and SD 1 with a given period each.

    Parameters
    ----------
    side : int
        Height and width, px.
    um_per_px : float
    periods : tuple of float
        um.
    rng : Generator
    same : tuple of (int, int)
        Pairs of textures made of the same waves, in step but for their period.

    Returns
    -------
    ndarray of float32, shape (len(periods), side, side)
    """
    shape = (len(periods), side, side // 2 + 1)
    waves = rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    for first, second in same:
        waves[second] = waves[first]
    band = np.stack([_band(side, um_per_px, round(float(p), 3)) for p in periods])
    return fft.irfft2(waves * band, s=(side, side), axes=(1, 2))


@lru_cache(maxsize=4096)
def _band(side: int, um_per_px: float, period: float) -> np.ndarray:
    """Weights of the frequencies around one over a period, for noise of SD 1."""
    fy = fft.fftfreq(side)[:, None] / um_per_px
    fx = fft.rfftfreq(side)[None, :] / um_per_px
    f = np.sqrt(fy**2 + fx**2)
    width = 0.45 / period
    band = np.exp(-((f - 1 / period) ** 2) / (2 * width**2))
    band[0, 0] = 0
    # Waves off the borders of the half spectrum stand for two.
    twice = np.full(band.shape[1], 2.0)
    twice[0] = 1
    if side % 2 == 0:
        twice[-1] = 1
    # |wave|^2 is 2 on average; the inverse transform divides by side ** 2.
    power = 2 * (band**2 * twice).sum() / side**4
    return (band / np.sqrt(power)).astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function, of float32."""
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
