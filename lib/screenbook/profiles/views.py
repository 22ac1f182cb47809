"""One screen seen three ways before it is drawn: as it came, centred in sequence, as chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from screenbook.blocks import Array
from screenbook.profiles.centering import center_in_sequence
from screenbook.profiles.methods import feature_units
from screenbook.profiles.neighbour_questions import label_codes
from screenbook.profiles.reduce import (
    Components,
    Map,
    count_above_noise,
    principal_components,
    tsne_map,
)
from screenbook.screen import Roles

ENOUGH = 0.95
"""Share of the variance at which no further component is kept."""

SIGNAL = 1.5
"""Least variance of a component of chosen profiles, over that of like controls."""


@dataclass(frozen=True)
class View:
    """Profiles of all rows on common axes.

    Attributes
    ----------
    components : Components
    scores : ndarray of float32, shape (n, k)
    """

    components: Components
    scores: np.ndarray


@dataclass(frozen=True)
class ChosenView:
    """Profiles of each cell type on axes of its own.

    Attributes
    ----------
    components : dict of str to Components
        By cell type, the one with most wells first.
    rows : dict of str to ndarray of int
        Wells of each cell type.
    scores : ndarray of float32, shape (n_wells, k)
        Zero beyond the components of a well's cell type, which changes no distance within it.
    """

    components: dict[str, Components]
    rows: dict[str, np.ndarray]
    scores: np.ndarray

    def draw(self, **drawing: Any) -> tuple[dict[str, Map], np.ndarray]:
        """Map each cell type by itself; returns the maps and every well's place, (n_wells, 2).

        `drawing` goes to :func:`screenbook.profiles.reduce.tsne_map`.
        """
        places = np.zeros((len(self.scores), 2), dtype=np.float32)
        maps = {}
        for cell_type, rows in self.rows.items():
            k = len(self.components[cell_type].variance)
            maps[cell_type] = tsne_map(self.scores[rows, :k], **drawing)
            places[rows] = maps[cell_type].coordinates
        return maps, places


def view_as_it_came(X: Array, *, most: int) -> View:
    """Reduce features as they came, each in units of its own standard deviation.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n, n_features)
    most : int
        Components kept at most.
    """
    components = principal_components(X, most=most, share=ENOUGH, standardise=True)
    return View(components, components.scores(X))


def view_in_sequence(X: Array, obs: pd.DataFrame, keys: Sequence[str], *, most: int) -> View:
    """Reduce features after taking off the mean of each group of one column after another.

    See :func:`screenbook.profiles.centering.center_in_sequence`, which refuses labels.
    """
    centred = center_in_sequence(X, obs, keys) / feature_units(X)
    components = principal_components(centred, most=most, share=ENOUGH)
    return View(components, components.scores(centred))


def view_chosen(chosen: ad.AnnData, roles: Roles, *, most: int) -> ChosenView:
    """Reduce centred profiles, cell type by cell type.

    Only leading components are kept in which wells vary `SIGNAL` times as much as control
    wells of one kind do: whitening gives noise as much variance as it gives effects.

    Parameters
    ----------
    chosen : AnnData
        Wells as :func:`screenbook.profiles.centred.center_screen` leaves them.
    roles : Roles
    most : int
        Components kept at most.
    """
    role = chosen.obs["role"].astype(str)
    kinds = label_codes(role.where(role.isin(roles.controls)))
    cell_types = chosen.obs["cell_type"].astype(str)
    rows = {name: np.flatnonzero(cell_types == name) for name in cell_types.value_counts().index}
    components, parts = {}, {}
    for name, i in rows.items():
        found = principal_components(chosen.X[i], most=most, share=ENOUGH)
        n = count_above_noise(found.scores(chosen.X[i]), kinds[i], SIGNAL)
        components[name] = found.first(n)
        parts[name] = components[name].scores(chosen.X[i])
    width = max(part.shape[1] for part in parts.values())
    scores = np.zeros((chosen.n_obs, width), dtype=np.float32)
    for name, i in rows.items():
        scores[i, : parts[name].shape[1]] = parts[name]
    return ChosenView(components, rows, scores)


def leading_components(chosen: ad.AnnData, most: int) -> np.ndarray:
    """Principal components of centred profiles, cell type by cell type, by falling variance.

    Unlike :func:`view_chosen` none is dropped for being no wider than noise.

    Parameters
    ----------
    chosen : AnnData
        Wells as :func:`screenbook.profiles.centred.center_screen` leaves them.
    most : int
        Components kept at most.

    Returns
    -------
    ndarray of float32, shape (n_wells, k)
        Zeros where a cell type has fewer.
    """
    cell_types = chosen.obs["cell_type"].astype(str).to_numpy()
    found = {}
    for name in pd.unique(cell_types):
        X = np.asarray(chosen.X[cell_types == name])
        found[name] = principal_components(X, most=most, share=1.0).scores(X)
    out = np.zeros((len(cell_types), max(part.shape[1] for part in found.values())), np.float32)
    for name, part in found.items():
        out[cell_types == name, : part.shape[1]] = part
    return out
