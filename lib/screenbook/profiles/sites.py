"""Are the sites of a well alike? How well a classifier tells where in the well a site lies.

The mean of the well is taken off first, so that nothing is left but the differences between
its sites. Whole plates are held out, so that no well is on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GroupKFold

from screenbook.blocks import Array


@dataclass(frozen=True)
class SitePrediction:
    """How well the position in the well is told from the features.

    Attributes
    ----------
    accuracy, low, high : float
        Share of sites put right on held-out plates, with a 95 % bootstrap interval over plates.
    chance : float
        1 / number of positions: each well has every position once.
    null : float
        Highest accuracy among repetitions with positions shuffled within the wells.
    confusion : DataFrame, shape (n_positions, n_positions)
        Share of the sites of each true position (rows) that are put at each position (columns).
    position_share : float
        Share of the variance between the sites of a well that their position explains.
    wells, plates : int
        How many were used.
    """

    accuracy: float
    low: float
    high: float
    chance: float
    null: float
    confusion: pd.DataFrame
    position_share: float
    wells: int
    plates: int


def well_codes(sites: pd.DataFrame) -> np.ndarray:
    """Give wells numbers, from 0 in the order of their first site: that of the screen's wells."""
    return sites.groupby(["batch", "well"], observed=True, sort=False).ngroup().to_numpy()


def pick_complete_wells(sites: pd.DataFrame, n_wells: int, seed: int) -> np.ndarray:
    """Rows of the sites of a random choice of wells that have every position once.

    Parameters
    ----------
    sites : DataFrame, shape (n_sites, ...)
        Metadata of the sites: ``batch well site``.
    n_wells : int
        Wells wanted; all complete wells if there are fewer.
    seed : int
        Of the choice.

    Returns
    -------
    ndarray of int
        Row numbers in ascending order; empty if no well has two positions or more.
    """
    well = well_codes(sites)
    positions = np.unique(sites["site"].to_numpy())
    per_well = np.bincount(well)
    distinct = sites.assign(_well=well).groupby("_well")["site"].nunique().to_numpy()
    complete = np.flatnonzero((per_well == len(positions)) & (distinct == len(positions)))
    if len(positions) < 2 or len(complete) == 0:
        return np.array([], dtype=int)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(complete, size=min(n_wells, len(complete)), replace=False)
    return np.flatnonzero(np.isin(well, chosen))


def predict_sites(
    X: Array, sites: pd.DataFrame, *, n_wells: int, seed: int
) -> dict[str, SitePrediction]:
    """Apply :func:`predict_site` to a random choice of complete wells of each cell type.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n_sites, n_features)
        Profiles of all sites; only those of the chosen wells are read.
    sites : DataFrame, shape (n_sites, ...)
        Their metadata: ``cell_type batch well site``.
    n_wells : int
        Wells chosen of each cell type.
    seed : int
        Of the choice, and of :func:`predict_site`.

    Returns
    -------
    dict of str to SitePrediction
        Without the cell types that have no complete well with several sites, or one plate.
    """
    told = {}
    for cell_type in dict.fromkeys(sites["cell_type"]):
        mine = np.flatnonzero(sites["cell_type"] == cell_type)
        rows = mine[pick_complete_wells(sites.iloc[mine], n_wells, seed)]
        chosen = sites.iloc[rows]
        if len(set(chosen["batch"])) > 1:
            told[str(cell_type)] = predict_site(np.asarray(X[rows]), chosen, seed=seed)
    return told


def predict_site(
    X: np.ndarray,
    sites: pd.DataFrame,
    *,
    n_components: int = 50,
    n_splits: int = 5,
    n_null: int = 5,
    n_boot: int = 1000,
    seed: int,
) -> SitePrediction:
    """Tell the position of a site from its difference to its well's mean.

    Principal components and a shrunk linear discriminant are fitted on some plates and applied
    to the others.

    Parameters
    ----------
    X : ndarray, shape (n_sites, n_features)
        Profiles of the sites of complete wells.
    sites : DataFrame, shape (n_sites, ...)
        Their metadata: ``batch well site``.
    n_components : int
        Principal components of the differences.
    n_splits : int
        Folds, by plate; as many as there are plates if these are fewer.
    n_null : int
        Repetitions with shuffled positions.
    n_boot : int
        Bootstrap draws over plates.
    seed : int
        Of shuffling and bootstrap.

    Returns
    -------
    SitePrediction

    Raises
    ------
    ValueError
        If all sites lie on one plate: it cannot be held out.
    """
    plates = pd.factorize(sites["batch"].astype(str))[0]
    if plates.max(initial=-1) < 1:
        raise ValueError("telling sites apart needs at least two plates, one to be held out")
    wells = well_codes(sites)
    site = sites["site"].to_numpy()
    X = np.asarray(X, dtype=np.float32)
    sums = pd.DataFrame(X.astype(np.float64)).groupby(wells).transform("mean").to_numpy()
    within = (X - sums).astype(np.float32)

    positions = np.unique(site)
    folds = list(_folds(within, plates, n_components, n_splits))
    predicted = _out_of_fold(folds, site)
    right = predicted == site
    rng = np.random.default_rng(seed)
    low, high = _plate_interval(right, plates, n_boot, rng)
    null = [
        np.mean(_out_of_fold(folds, shuffled) == shuffled)
        for shuffled in (_shuffle_within(site, wells, rng) for _ in range(n_null))
    ]
    confusion = pd.crosstab(site, predicted, normalize="index")
    confusion = confusion.reindex(index=positions, columns=positions, fill_value=0.0)
    centres = pd.DataFrame(within.astype(np.float64)).groupby(site).mean().to_numpy()
    return SitePrediction(
        accuracy=float(right.mean()),
        low=low,
        high=high,
        chance=1 / len(positions),
        null=float(max(null, default=np.nan)),
        confusion=confusion.rename_axis(index="true", columns="predicted"),
        position_share=float((centres**2).sum() / len(positions) / (within**2).sum(1).mean()),
        wells=len(np.unique(wells)),
        plates=len(np.unique(plates)),
    )


_Fold = tuple[np.ndarray, np.ndarray, np.ndarray]


def told_in_words(told: Mapping[str, SitePrediction]) -> str:
    """Read the result of :func:`predict_sites` aloud, one part for each cell type."""
    form = "{} {:.1%} right ({:.1%} to {:.1%}; {:,} wells, {} plates)".format
    return "; ".join(form(c, t.accuracy, t.low, t.high, t.wells, t.plates) for c, t in told.items())


def _folds(X: np.ndarray, plates: np.ndarray, n_components: int, n_splits: int) -> Iterator[_Fold]:
    """Whole plates held out: rows to fit on, rows to predict, components of all rows."""
    folds = GroupKFold(n_splits=min(n_splits, len(np.unique(plates))))
    for train, test in folds.split(X, groups=plates):
        k = min(n_components, X.shape[1], len(train) - 1)
        yield train, test, PCA(k, svd_solver="covariance_eigh").fit(X[train]).transform(X)


def _out_of_fold(folds: Sequence[_Fold], site: np.ndarray) -> np.ndarray:
    predicted = np.empty_like(site)
    for train, test, Z in folds:
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        predicted[test] = model.fit(Z[train], site[train]).predict(Z[test])
    return predicted


def _plate_interval(
    right: np.ndarray, plates: np.ndarray, n_boot: int, rng: np.random.Generator
) -> tuple[float, float]:
    hits, counts = np.bincount(plates, weights=right), np.bincount(plates)
    drawn = rng.integers(len(counts), size=(n_boot, len(counts)))
    low, high = np.quantile(hits[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _shuffle_within(site: np.ndarray, wells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Permute positions within each well."""
    home = np.argsort(wells, kind="stable")
    shuffled = np.empty_like(site)
    shuffled[home] = site[np.lexsort((rng.random(len(site)), wells))]
    return shuffled
