"""Wells that stand alone: far from others of their role, and far from their own replicates.

Being far is no fault in itself: a toxic compound is far in all its wells. A well is suspect
when its replicates do not do as it does. Sites that differ widely within a well are a sign of
few cells, since each site then shows another handful of them. Distances are taken on principal
components about the plate's mean, whitened by the robust spread of the bulk.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from screenbook.blocks import Array
from screenbook.profiles.plate_space import PlateSpace
from screenbook.profiles.robust import middle_and_spread
from screenbook.profiles.sites import well_codes

KINDS = {
    "": "unremarkable",
    "outlier": "far from its kind and from its replicates; its sites agree",
    "sites disagree": "its sites differ widely (few cells, or a bad field); its replicates do not",
    "no replicate": "far, or its sites differ widely, and there is no replicate to ask",
    "extreme treatment": "far, or its sites differ widely, and its replicates do the same",
}
"""What :func:`judge_wells` calls a well, and what that means."""

FLAGGED = ("outlier", "sites disagree", "no replicate")
"""Kinds that speak against a well; an extreme treatment is a finding, not a fault."""

WELL_COLUMNS = {
    "cell_type": "cell type",
    "batch": "plate within its experiment",
    "well": "well",
    "role": "role in the analysis",
    "compound": "compound, empty if untreated",
    "treatment_conc": "concentration, µM",
    "kind": "what is odd",
    "far": "distance from wells of its role, robust z",
    "alone": "distance from its replicates, robust z",
    "site_spread": "spread of its sites, robust z",
}
"""What a table of flagged wells holds."""


def find_outliers(
    points: np.ndarray, wells: pd.DataFrame, spread: np.ndarray, threshold: float
) -> pd.DataFrame:
    """Measure how far each well stands apart, and name what is odd about it.

    Parameters
    ----------
    points : ndarray, shape (n_wells, k)
        From :meth:`screenbook.profiles.plate_space.PlateSpace.points`.
    wells : DataFrame
        Metadata: ``cell_type role disease_condition compound_key treatment_conc``.
    spread : ndarray, shape (n_wells,)
        From :func:`site_spread`; NaN where wells have no sites.
    threshold : float
        See :func:`judge_wells`.

    Returns
    -------
    DataFrame, indexed as `wells`
        See :func:`judge_wells`; and ``flagged``, whether the kind is one of :data:`FLAGGED`.
    """
    white = whiten_bulk(points, wells["cell_type"].astype(str).to_numpy())
    cell_type = wells["cell_type"].astype(str).to_numpy()
    kind = cell_type + "/" + wells["role"].astype(str).to_numpy()
    far = robust_z(role_distance(white, wells), kind)
    alone = robust_z(replicate_distance(white, wells), cell_type)
    judged = judge_wells(far, alone, robust_z(spread, cell_type), threshold)
    judged["flagged"] = judged["kind"].isin(FLAGGED)
    return judged.set_axis(wells.index)


def whiten_bulk(points: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Divide every axis by its robust spread in each group (median absolute deviation, as SD).

    Extremes must not set the yardstick that they are measured with.
    """
    frame = pd.DataFrame(points.astype(np.float64))
    middle, spread = middle_and_spread(frame, groups)
    return ((frame - middle) / spread.where(spread > 0, 1.0)).to_numpy()


def thin_out(judged: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    """Keep all remarkable wells and a random choice of the others, for a picture.

    Parameters
    ----------
    judged : DataFrame
        With ``kind``.
    most : int
        Unremarkable wells kept at most.
    seed : int
        Of the choice.
    """
    plain = np.flatnonzero((judged["kind"] == "").to_numpy())
    if len(plain) > most:
        plain = np.random.default_rng(seed).choice(plain, most, replace=False)
    return judged.iloc[np.sort(np.r_[plain, np.flatnonzero((judged["kind"] != "").to_numpy())])]


def role_distance(points: np.ndarray, wells: pd.DataFrame) -> np.ndarray:
    """Root-mean-square distance of a well from the median of its role and cell type.

    Parameters
    ----------
    points : ndarray, shape (n_wells, k)
        From :func:`whiten_bulk`.
    wells : DataFrame
        ``cell_type`` and ``role`` of the wells.

    Returns
    -------
    ndarray of float64, shape (n_wells,)
        About 1 for a well of the bulk.
    """
    groups = wells.groupby(["cell_type", "role"], observed=True).ngroup().to_numpy()
    frame = pd.DataFrame(points.astype(np.float64))
    offset = frame - frame.groupby(groups).transform("median")
    return np.sqrt((offset.to_numpy() ** 2).mean(axis=1))


def replicate_distance(points: np.ndarray, wells: pd.DataFrame) -> np.ndarray:
    """Root-mean-square distance of a well from the mean of its *other* replicates.

    Replicates share cell type, role, condition, compound and concentration; the distance is
    divided by √(1 + 1/m), m being the number of others, so that it does not grow as they get
    fewer. With three or more others their median is taken, axis by axis, so that one bad well
    does not make its replicates look bad.

    Returns
    -------
    ndarray of float64, shape (n_wells,)
        NaN for a well without a replicate.
    """
    keys = ["cell_type", "role", "disease_condition", "compound_key", "treatment_conc"]
    groups = wells.groupby(keys, observed=True, dropna=False, sort=True).ngroup().to_numpy()
    counts = np.bincount(groups)
    points = points.astype(np.float64)
    sums = np.zeros((len(counts), points.shape[1]))
    np.add.at(sums, groups, points)
    others = counts[groups] - 1
    centre = (sums[groups] - points) / np.maximum(others, 1)[:, None]
    many = others >= 3
    if many.any():
        medians = pd.DataFrame(points).groupby(groups).transform("median").to_numpy()
        centre[many] = medians[many]
    distance = np.sqrt(((points - centre) ** 2).mean(axis=1) / (1 + 1 / np.maximum(others, 1)))
    distance[others == 0] = np.nan
    return distance


def site_spread(site_points: np.ndarray, well_of_site: np.ndarray, site: np.ndarray) -> np.ndarray:
    """Root-mean-square distance of a well's sites from their mean.

    What all wells show at one site position is taken off first.

    Parameters
    ----------
    site_points : ndarray, shape (n_sites, k)
        Sites on the same axes as the wells.
    well_of_site : ndarray of int, shape (n_sites,)
        Well of each site, from 0.
    site : ndarray of int, shape (n_sites,)
        Position of the site in its well.

    Returns
    -------
    ndarray of float64, shape (n_wells,)
        NaN for a well with one site.
    """
    frame = pd.DataFrame(site_points.astype(np.float64))
    frame -= frame.groupby(well_of_site).transform("mean")
    frame -= frame.groupby(site).transform("mean")
    square = (frame.to_numpy() ** 2).mean(axis=1)
    counts = np.bincount(well_of_site).astype(float)
    counts[counts < 2] = np.nan
    return np.sqrt(np.bincount(well_of_site, weights=square) / (counts - 1))


def screen_site_spread(space: PlateSpace, X: Array, rows: pd.DataFrame) -> np.ndarray:
    """Apply :func:`site_spread` to a whole screen, on the axes of its wells.

    Parameters
    ----------
    space : PlateSpace
        Axes, fitted to the wells.
    X : ndarray or dask.array.Array, shape (n, n_features)
        Profiles of the sites; of the wells, in a screen without sites.
    rows : DataFrame, shape (n, ...)
        Their metadata: ``cell_type batch well site``.

    Returns
    -------
    ndarray of float64, shape (n_wells,)
        Wells in the order of their first site; NaN throughout if there are no sites.
    """
    wells, site = well_codes(rows), rows["site"].to_numpy()
    if not (site > 0).any():
        return np.full(len(rows), np.nan)
    return site_spread(space.points(X, rows), wells, site)


def robust_z(distance: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Robust z of the logarithm of a distance among the wells of its group.

    Distances are skewed to the right; their logarithms hardly are.

    Parameters
    ----------
    distance : ndarray, shape (n,)
        Positive, or NaN.
    groups : ndarray, shape (n,)
        Wells are compared within these (cell type, or cell type and role).

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where `distance` is NaN.
    """
    with np.errstate(divide="ignore"):
        log = pd.Series(np.log(distance)).replace(-np.inf, np.nan)
    middle, spread = middle_and_spread(log, np.asarray(groups))
    return ((log - middle) / spread.where(spread > 0)).to_numpy()


def judge_wells(
    far: np.ndarray, alone: np.ndarray, spread: np.ndarray, threshold: float
) -> pd.DataFrame:
    """Name what is odd about each well.

    Parameters
    ----------
    far, alone, spread : ndarray, shape (n_wells,)
        Robust z of the distance from the role, of that from the replicates, and of the site
        spread; NaN where there is none.
    threshold : float
        z above which a distance is remarkable; 3.5 is the convention of Iglewicz & Hoaglin.

    Returns
    -------
    DataFrame, length n_wells
        ``far``, ``alone``, ``site_spread`` (the z given) and ``kind`` (see :data:`KINDS`).

    References
    ----------
    Iglewicz & Hoaglin, How to Detect and Handle Outliers, ASQC (1993).
    """
    is_far, is_alone, is_wide = far > threshold, alone > threshold, spread > threshold
    odd = is_far | is_wide
    kind = np.select(
        [odd & np.isnan(alone), is_wide & is_alone, is_far & is_alone, odd],
        ["no replicate", "sites disagree", "outlier", "extreme treatment"],
        default="",
    )
    return pd.DataFrame({"far": far, "alone": alone, "site_spread": spread, "kind": kind})
