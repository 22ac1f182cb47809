"""Coordinates of wells about the mean of their plate.

Plate quality, position effects and outliers compare wells with wells of their own plate. What
a whole plate has in common would only take up principal components, so it is taken off first;
no label is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dask.array as da
import numpy as np
import pandas as pd

from screenbook.blocks import Array, group_sums
from screenbook.profiles.reduce import Components, principal_components


@dataclass(frozen=True)
class PlateSpace:
    """Axes of the variation within plates, for each cell type its own.

    Attributes
    ----------
    components : mapping of str to Components
        Cell type to its principal components.
    """

    components: Mapping[str, Components]

    def points(self, X: Array, rows: pd.DataFrame) -> np.ndarray:
        """Place wells, or sites, on the axes of their cell type, about their plate's mean.

        Parameters
        ----------
        X : ndarray or dask.array.Array, shape (n, n_features)
            Profiles.
        rows : DataFrame, shape (n, ...)
            Their metadata: ``cell_type`` and ``batch``.

        Returns
        -------
        ndarray of float32, shape (n, k)
            k is that of the cell type with most axes; others are filled up with zeros.
        """
        k = max(len(found.axes) for found in self.components.values())
        points = np.zeros((len(rows), k), dtype=np.float32)
        for cell_type, index in _by_cell_type(rows).items():
            found = self.components[cell_type]
            plates = plate_codes(rows.iloc[index])
            points[index, : len(found.axes)] = about_plate(found.scores(X[index]), plates)
        return points


def fit_plate_space(
    X: Array, wells: pd.DataFrame, *, n_components: int, standardise: bool = False
) -> PlateSpace:
    """Fit :func:`plate_components` to the wells of each cell type.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n_wells, n_features)
        Profiles.
    wells : DataFrame, shape (n_wells, ...)
        Their metadata: ``cell_type`` and ``batch``.
    n_components, standardise
        As `most` and `standardise` of :func:`plate_components`.
    """
    return PlateSpace(
        {
            cell_type: plate_components(
                X[index],
                plate_codes(wells.iloc[index]),
                most=n_components,
                standardise=standardise,
            )
            for cell_type, index in _by_cell_type(wells).items()
        }
    )


def plate_codes(rows: pd.DataFrame) -> np.ndarray:
    """Give plates numbers, from 0 in the order of first appearance."""
    return pd.factorize(rows["batch"].astype(str))[0]


def _by_cell_type(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    indices = rows.groupby(rows["cell_type"].astype(str), sort=False).indices
    return {str(cell_type): np.asarray(index) for cell_type, index in indices.items()}


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
