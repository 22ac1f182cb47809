"""Compounds that shine in a channel instead of changing cells.

A fluorescent compound brightens whatever feature reads its channel, by much and in few features;
a change of cells shows in many features at once, a little in each. So the raw features are asked
how concentrated the shift of a treatment is. It is a hint, not a verdict: a feature that one
organelle alone drives looks the same.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from screenbook.blocks import Array, group_sums
from screenbook.hits.intervals import plate_means
from screenbook.profiles.batches import Layout

FEW = 0.02
"""Share of the features that count as few."""

CONCENTRATED, STRONG = 0.5, 3.0
"""Share of a shift in few features, and its size in the foremost (SD of untreated wells), from
which on it looks like fluorescence."""


def fluorescence_like(
    X: Array, codes: np.ndarray, layout: Layout, used: np.ndarray, n_treatments: int
) -> pd.DataFrame:
    """Measure how concentrated the shift of each treatment is.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n, n_features)
        Features as they came, before any mixing of them.
    codes : ndarray of int, shape (n,)
        Treatment of each well, -1 for none.
    layout : Layout
        Their plates, and who is untreated.
    used : ndarray of bool, shape (n,)
        Wells that take part.
    n_treatments : int

    Returns
    -------
    DataFrame
        By treatment code: ``in_few`` (share, 0 to 1, of the squared shift beyond chance that
        falls on `FEW` of the features; NaN where there is none), ``foremost`` (size of the shift
        in the feature that shifts most, SD of untreated wells), ``fluorescent`` (bool).
    """
    plate, untreated = layout.batch, layout.baseline & used
    n_plates = int(plate.max()) + 1
    counts = np.bincount(plate[untreated], minlength=n_plates)
    middle = group_sums(X, np.where(untreated, plate, -1), n_plates)
    middle /= np.maximum(counts, 1)[:, None]
    rows = np.flatnonzero(untreated)
    about = np.asarray(X[rows], dtype=np.float64) - middle[plate[rows]]
    spread = np.sqrt((about**2).sum(axis=0) / max(len(rows) - (counts > 0).sum(), 1))
    varies = spread > 0
    own = np.where(used & (counts[plate] > 0), codes, -1)
    means = plate_means(X, own, plate, n_treatments)
    shift = (means.values - middle[means.plate])[:, varies] / spread[varies]
    chance = 1 / means.n_wells + 1 / counts[means.plate]  # variance of a plate's shift
    n_on = np.bincount(means.group, minlength=n_treatments)
    size = np.maximum(n_on, 1)[:, None]
    mean = group_sums(shift, means.group, n_treatments) / size
    noise = np.bincount(means.group, chance, n_treatments)[:, None] / size**2
    beyond = np.maximum(mean**2 - 3 * noise, 0.0)
    few = max(round(FEW * varies.sum()), 1)
    foremost = np.sort(beyond, axis=1)[:, -few:].sum(axis=1)
    total = beyond.sum(axis=1)
    in_few = np.divide(foremost, total, out=np.full(n_treatments, np.nan), where=total > 0)
    most = np.abs(mean).max(axis=1, initial=0.0)
    return pd.DataFrame(
        {
            "in_few": in_few,
            "foremost": np.where(n_on > 0, most, np.nan),
            "fluorescent": (np.nan_to_num(in_few) >= CONCENTRATED) & (most >= STRONG),
        }
    )
