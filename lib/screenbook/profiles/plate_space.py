"""Coordinates of wells about the mean of their plate.

Plate quality, position effects and outliers compare wells with wells of their own plate. What
a whole plate has in common would only take up principal components, so it is taken off first;
no label is looked at.
"""

from __future__ import annotations

import dask.array as da
import numpy as np

from screenbook.blocks import Array, group_sums
from screenbook.profiles.reduce import Components, principal_components


def plate_components(
    X: Array, plates: np.ndarray, *, most: int, standardise: bool = False
) -> Components:
    """Principal components of profiles about the mean of their plate.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n_wells, n_features)
        Profiles.
    plates : ndarray of int, shape (n_wells,)
        Plate of each, from 0.
    most : int
        Components kept at most.
    standardise : bool
        Give every feature unit variance within plates first: for features of different units.

    Returns
    -------
    Components
        Project with ``scores`` and take :func:`about_plate` of that; its mean is that of the
        plate-centred profiles, near 0.

    Raises
    ------
    InputError
        If nothing varies within plates.
    """
    counts = np.bincount(plates)
    means = group_sums(X, plates, len(counts)) / np.maximum(counts, 1)[:, None]
    means = means.astype(np.float32)
    if isinstance(X, da.Array):
        centred = X - da.from_array(means[plates], chunks=(X.chunks[0], -1))
    else:
        centred = np.asarray(X, dtype=np.float32) - means[plates]
    return principal_components(centred, most=most, share=1.0, standardise=standardise)


def about_plate(points: np.ndarray, plates: np.ndarray) -> np.ndarray:
    """Subtract the mean of the plate from every row.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Coordinates.
    plates : ndarray of int, shape (n,)
        Plate of each, from 0.

    Returns
    -------
    ndarray of float32, shape (n, k)
    """
    counts = np.bincount(plates)
    means = group_sums(points, plates, len(counts)) / np.maximum(counts, 1)[:, None]
    return (points - means[plates]).astype(np.float32)
