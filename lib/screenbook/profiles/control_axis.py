"""One number for every well, from controls that are not those of its own plate.

With a disease, the axis from healthy to diseased is fitted on the controls of the *other* plates,
so that statistics of the controls along it are free of the optimism of a fitted axis. Without
one there are no two controls to tell apart; there a well is measured by its distance from the
vehicle wells of its plate.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis


def control_scores(points: np.ndarray, wells: pd.DataFrame, *, has_disease: bool) -> np.ndarray:
    """Score every well against the controls of its plate, each cell type by itself.

    Parameters
    ----------
    points : ndarray, shape (n_wells, k)
        From :meth:`screenbook.profiles.plate_space.PlateSpace.points`.
    wells : DataFrame
        Metadata: ``cell_type batch role``.
    has_disease : bool
        Score with :func:`leave_plate_out_axis`, or else :func:`distance_from_control`.

    Returns
    -------
    ndarray of float64, shape (n_wells,)
    """
    scores = np.full(len(wells), np.nan)
    measure = leave_plate_out_axis if has_disease else distance_from_control
    for index in wells.groupby("cell_type", observed=True, sort=False).indices.values():
        mine = wells.iloc[index]
        plates = pd.factorize(mine["batch"].astype(str))[0]
        own = points[index]
        own = own[:, own.any(axis=0)]  # axes that another cell type has more
        scores[index] = measure(own, plates, mine["role"].astype(str).to_numpy())
    return scores


def leave_plate_out_axis(points: np.ndarray, plates: np.ndarray, role: np.ndarray) -> np.ndarray:
    """Place every well on the axis from healthy to diseased, fitted without its plate.

    Shrunk linear discriminant analysis of the controls of all other plates, each plate first
    centred on the midpoint of its two control means, so that plate offsets neither help nor
    hurt. Scores are shifted so that the median healthy well of the plate is 0, and scaled so
    that the mean gap between the controls of the plates used for fitting is 1.

    Parameters
    ----------
    points : ndarray, shape (n_wells, k)
        Wells of one cell type, on a few principal components.
    plates : ndarray of int, shape (n_wells,)
        Plate of each, from 0.
    role : ndarray of str, shape (n_wells,)
        ``"healthy"`` and ``"diseased"`` are the controls.

    Returns
    -------
    ndarray of float64, shape (n_wells,)
        NaN on a plate without healthy wells, and where no other plate has both controls.

    References
    ----------
    Ledoit & Wolf, J. Multivar. Anal. 88, 365 (2004), doi:10.1016/S0047-259X(03)00096-4.
    """
    points = points.astype(np.float64)
    diseased, healthy = role == "diseased", role == "healthy"
    fitting = [
        plate
        for plate in np.unique(plates)
        if (healthy & (plates == plate)).any() and (diseased & (plates == plate)).any()
    ]
    centred = np.zeros_like(points)
    gaps = {}
    for plate in fitting:
        here = plates == plate
        high, low = points[here & diseased].mean(axis=0), points[here & healthy].mean(axis=0)
        centred[here] = points[here] - (high + low) / 2
        gaps[plate] = high - low

    scores = np.full(len(points), np.nan)
    for plate in np.unique(plates):
        others = [other for other in fitting if other != plate]
        here = plates == plate
        if not others or not (here & healthy).any():
            continue
        rows = np.isin(plates, others) & (healthy | diseased)
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5])
        axis = lda.fit(centred[rows], diseased[rows]).coef_[0]
        axis /= np.mean([gaps[other] @ axis for other in others])
        on_axis = points[here] @ axis
        scores[here] = on_axis - np.median(on_axis[healthy[here]])
    return scores


def distance_from_control(
    points: np.ndarray, plates: np.ndarray, role: np.ndarray, control: str = "vehicle"
) -> np.ndarray:
    """Distance of every well from the control wells of its plate, in control standard deviations.

    The metric is the shrunk covariance of control wells about their plate's mean, taken from
    the other plates. A control well is measured from the mean of the *other* controls of its
    plate, and all distances are divided by √(1 + 1/m), m being the number of wells in that
    mean, so that control and treated wells are comparable although one has helped to make the
    mean and the other has not. Divided by √k as well: an inert well lies near 1.

    Parameters
    ----------
    points : ndarray, shape (n_wells, k)
        Wells of one cell type, on a few principal components.
    plates : ndarray of int, shape (n_wells,)
        Plate of each, from 0.
    role : ndarray of str, shape (n_wells,)
        Role of each.
    control : str, optional
        The role measured from.

    Returns
    -------
    ndarray of float64, shape (n_wells,)
        NaN where the plate has fewer than two controls, or no other plate has any.
    """
    points = points.astype(np.float64)
    is_control = role == control
    n_plates = int(plates.max()) + 1
    counts = np.bincount(plates[is_control], minlength=n_plates)
    sums = np.zeros((n_plates, points.shape[1]))
    np.add.at(sums, plates[is_control], points[is_control])

    held = counts[plates] - is_control  # controls in the mean that this well is measured from
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (sums[plates] - is_control[:, None] * points) / held[:, None]
        offset = (points - centre) / np.sqrt(1 + 1 / held)[:, None]
    usable = (counts[plates] >= 2) & (held > 0)

    distances = np.full(len(points), np.nan)
    for plate in np.unique(plates[usable]):
        elsewhere = is_control & usable & (plates != plate)
        if elsewhere.sum() < 3:
            continue
        # To equal scale first: shrinkage would pull a narrow axis towards the wide ones.
        scale = np.sqrt((offset[elsewhere] ** 2).mean(axis=0))
        scale[scale == 0] = 1.0
        covariance, _ = ledoit_wolf(offset[elsewhere] / scale, assume_centered=True)
        here = usable & (plates == plate)
        own = offset[here] / scale
        solved = np.linalg.solve(covariance, own.T).T
        distances[here] = np.sqrt((own * solved).sum(axis=1) / points.shape[1])
    return distances
