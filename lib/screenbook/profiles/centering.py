"""Take off what a whole plate has in common, without taking what the screen is about.

Two families. *Centring in sequence* subtracts the mean of each experiment, then of each plate,
over all wells, as the first public analysis of RxRx19a did. *Control-referenced centring*
subtracts what a plate's control wells say about the plate, so that a plate with many active
compounds is not pulled towards them. Neither is given a label of what is being looked for:
:func:`screenbook.profiles.batches.refuse_labels` stands in the way. Kinds of control are
balanced when a plate's centre is estimated, and never subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.blocks import Array, group_sums, row_blocks
from screenbook.errors import InputError
from screenbook.profiles.batches import Layout, column_codes, refuse_labels
from screenbook.profiles.robust import MAD_TO_SD

_SMALLEST_SPREAD = 0.01  # of the pooled one: below, a plate's few wells agree by accident
_COLUMNS_AT_ONCE = 128  # features, so that copies of the reference wells stay small
_FEWEST_FREEDOM = 3  # plates beyond one an experiment, below which plates teach no variance


# --- in sequence ------------------------------------------------------------------------------


def center_in_sequence(
    X: np.ndarray,
    obs: pd.DataFrame,
    keys: Sequence[str],
    *,
    fit: np.ndarray | None = None,
    standardise: bool = False,
    demonstrate: bool = False,
) -> np.ndarray:
    """Subtract the mean of each group of one column, then of the next, over all wells.

    The rows are summed once, over the cells of all columns together; the sequence is then
    run on the cells, which gives the same numbers as running it on the rows.

    Parameters
    ----------
    X : ndarray, shape (n, n_features)
        Profiles.
    obs : DataFrame, n rows
        Their metadata.
    keys : sequence of str
        Columns, in order: experiment, site, batch (the plate within its experiment).
    fit : ndarray of bool, shape (n,), optional
        Rows that the means are taken over; by default all. A group without such a row only
        loses the mean over all of them.
    standardise : bool
        Divide by the standard deviation of the group, too.
    demonstrate : bool
        Let labels of interest pass, to measure what centring on them does.

    Returns
    -------
    ndarray of float32, shape (n, n_features)

    Raises
    ------
    InputError
        If a column is missing, or is a label of interest and `demonstrate` is not set.
    """
    if not demonstrate:
        refuse_labels(keys)
    codes = np.column_stack([column_codes(obs, key)[0] for key in keys])  # (n, n_keys)
    cells, cell_of = np.unique(codes, axis=0, return_inverse=True)
    cell_of = cell_of.ravel()
    used = cell_of if fit is None else np.where(fit, cell_of, -1)
    shift, spread = _sequence_of_cells(X, cells, used, standardise=standardise)
    out = np.empty(X.shape, dtype=np.float32)
    shift, factor = shift.astype(np.float32), (1 / spread).astype(np.float32)
    for rows, block in row_blocks(X):
        of = cell_of[rows]
        np.subtract(block, shift[of], out=out[rows])
        if standardise:
            out[rows] *= factor[of]
    return out


def _sequence_of_cells(
    X: np.ndarray, cells: np.ndarray, used: np.ndarray, *, standardise: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Shift and divisor of every cell after all columns, each (n_cells, n_features)."""
    n = np.bincount(used[used >= 0], minlength=len(cells))[:, None].astype(np.float64)
    total = group_sums(X, used, len(cells))
    middle = total.sum(axis=0) / max(n.sum(), 1.0)
    # Squares are taken about the common mean, lest they drown the variance.
    total -= n * middle
    squares = _squared_sums(X, middle, used, len(cells)) if standardise else None
    shift, spread = np.zeros_like(total), np.ones_like(total)
    for column in cells.T:
        groups = np.zeros((column.max() + 1, len(cells)))
        groups[column, np.arange(len(cells))] = 1.0  # (n_groups, n_cells)
        size = np.maximum(groups @ n, 1.0)
        mean = groups @ ((total - n * shift) / spread) / size
        shift += mean[column] * spread
        if squares is not None:
            about = (squares - 2 * shift * total + n * shift**2) / spread**2
            sd = np.sqrt(np.maximum(groups @ about / size, 0.0))
            spread *= np.where(sd > 0, sd, 1.0)[column]
    return shift + middle, spread


def _squared_sums(X: np.ndarray, middle: np.ndarray, used: np.ndarray, n: int) -> np.ndarray:
    out = np.zeros((n, X.shape[1]))
    for rows, block in row_blocks(X):
        out += group_sums((block - middle) ** 2, used[rows], n)
    return out


def site_shift(X: Array, sites: np.ndarray, wells: np.ndarray, unit: np.ndarray) -> float:
    """How far centring each site position would move well means against each other.

    Centring on the site comes before the sites of a well are averaged. Where all wells have
    all sites, each well loses the same vector, and nothing changes between wells.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n_sites, n_features)
        Profiles of sites.
    sites : ndarray of int, shape (n_sites,)
        Position code of each site, from 0.
    wells : ndarray of int, shape (n_sites,)
        Well of each site, from 0.
    unit : ndarray, shape (n_features,)
        Unit of each feature.

    Returns
    -------
    float
        Largest distance, over features and wells, from the mean move; in those units.
    """
    counts = np.bincount(sites)
    means = group_sums(X, sites, len(counts)) / np.maximum(counts, 1)[:, None]
    share = np.zeros((int(wells.max()) + 1, len(counts)))
    np.add.at(share, (wells, sites), 1.0)
    share /= share.sum(axis=1, keepdims=True)
    patterns, times = np.unique(share, axis=0, return_counts=True)  # few, however many wells
    moves = patterns @ (means - means.mean(axis=0))
    return float(np.abs((moves - np.average(moves, axis=0, weights=times)) / unit).max())


# --- by reference wells -----------------------------------------------------------------------


@dataclass(frozen=True)
class PlateReference:
    """Centre and spread of each plate, estimated on its reference wells.

    Attributes
    ----------
    centre : ndarray of float64, shape (n_batches, n_features)
    spread : ndarray of float64, shape (1, n_features) or (n_batches, n_features)
        One for all plates, or one for each.
    kept : ndarray of float64, shape (n_features,)
        Share of a plate's distance from its experiment that its centre keeps; 1 where
        centres are not shrunk.
    """

    centre: np.ndarray
    spread: np.ndarray
    kept: np.ndarray

    def apply(self, X: np.ndarray, batch: np.ndarray, clip: float | None = None) -> np.ndarray:
        """Centre and scale profiles, and hold them within ± `clip` spreads.

        Returns
        -------
        ndarray of float32, shape (n, n_features)
        """
        out = np.empty(X.shape, dtype=np.float32)
        centre, factor = self.centre.astype(np.float32), (1 / self.spread).astype(np.float32)
        for rows, block in row_blocks(X):
            of = batch[rows]
            np.subtract(block, centre[of], out=out[rows])
            out[rows] *= factor[of] if len(factor) > 1 else factor
            if clip is not None:
                np.clip(out[rows], -clip, clip, out=out[rows])
        return out


def fit_plate_reference(
    X: np.ndarray,
    layout: Layout,
    kind: np.ndarray,
    *,
    robust: bool = False,
    spread: str = "none",
    shrink: bool = False,
) -> PlateReference:
    """Estimate the centre and spread of every plate on its reference wells.

    The centre is the mean over kinds of the kind's mean (or median), so that plates with
    different numbers of healthy and diseased controls are not shifted along the disease. A
    plate that lacks a kind borrows the kinds' distance from the other plates.

    Parameters
    ----------
    X : ndarray, shape (n, n_features)
        Profiles.
    layout : Layout
        Their plates.
    kind : ndarray of int, shape (n,)
        Kind of each reference well; -1 for wells that are none.
    robust : bool
        Median and median absolute deviation in place of mean and standard deviation.
    spread : {"none", "plate", "pooled"}
        Divide by nothing, by the spread of the plate's own reference wells, or by that of
        all plates' reference wells about their plate and kind.
    shrink : bool
        Pull each plate's centre towards its experiment's, feature by feature, by the share
        of their scatter that the few reference wells explain by chance (empirical Bayes,
        Efron & Morris 1973). Means only.

    Returns
    -------
    PlateReference

    Raises
    ------
    InputError
        If a plate has no reference well, or no plate has all kinds.
    """
    n_kinds = int(kind.max()) + 1 if (kind >= 0).any() else 1
    group = np.where(kind >= 0, layout.batch * n_kinds + kind, -1)
    shape = (len(layout.batches), n_kinds)
    counts = np.bincount(group[group >= 0], minlength=shape[0] * n_kinds).reshape(shape)
    _check_reference(counts, layout.batches)
    used = np.flatnonzero(kind >= 0)
    parts = []
    for first in range(0, X.shape[1], _COLUMNS_AT_ONCE):
        own = X[used, first : first + _COLUMNS_AT_ONCE].astype(np.float64)
        rows = _Rows(own, group[used], layout.batch[used], kind[used], counts)
        centre, contrast, kept = _centres(rows, layout, robust=robust, shrink=shrink)
        # About the centre as it will be used, so that the spread holds what that leaves.
        off = own - centre[rows.batch] - contrast[rows.kind]
        parts.append((centre, _spreads(off, rows, spread, robust=robust or shrink), kept))
    centre, divisor, kept = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    return PlateReference(centre, divisor, kept)


@dataclass(frozen=True)
class _Rows:
    """Reference wells: values, group (plate and kind), plate, kind, and wells in each group."""

    values: np.ndarray
    group: np.ndarray
    batch: np.ndarray
    kind: np.ndarray
    counts: np.ndarray


def _check_reference(counts: np.ndarray, batches: Sequence[str]) -> None:
    if (counts.sum(axis=1) == 0).any():
        plate = batches[int(np.argmax(counts.sum(axis=1) == 0))]
        raise InputError(
            f"plate {plate!r} has no reference well to be centred on; leave the plate out or "
            "choose a method with another reference"
        )
    if not (counts > 0).all(axis=1).any():
        raise InputError(
            "no plate carries all kinds of control, so plate and disease cannot be told apart; "
            "choose a method that refers to the treated wells (its name has bulk in it)"
        )


def _centres(
    rows: _Rows, layout: Layout, *, robust: bool, shrink: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Plate centres (n_batches, f), each kind's distance from them (n_kinds, f), share kept."""
    counts, n_features = rows.counts, rows.values.shape[1]
    if robust:
        location = np.zeros((counts.size, n_features))
        for g in np.unique(rows.group):
            location[g] = np.median(rows.values[rows.group == g], axis=0)
    else:
        location = group_sums(rows.values, rows.group, counts.size)
        location /= np.maximum(counts.reshape(-1, 1), 1)
    by_kind = location.reshape(*counts.shape, n_features)
    complete = (counts > 0).all(axis=1)
    middle = by_kind[complete].mean(axis=1, keepdims=True)
    contrast = (by_kind[complete] - middle).mean(axis=0)
    there = (counts > 0)[:, :, None]
    centre = np.where(there, by_kind - contrast, 0.0).sum(axis=1) / there.sum(axis=1)
    if not shrink:
        return centre, contrast, np.ones(n_features)
    freedom = max(len(rows.values) - int((counts > 0).sum()), 1)
    noise = ((rows.values - location[rows.group]) ** 2).sum(axis=0) / freedom
    centre, kept = _shrink_centres(centre, noise, counts, layout.experiment_of())
    return centre, contrast, kept


def _shrink_centres(
    centre: np.ndarray, noise: np.ndarray, counts: np.ndarray, experiment: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shrunken centres, and the share of its distance that a centre keeps (mean over plates)."""
    n_experiments = int(experiment.max()) + 1
    freedom = len(centre) - n_experiments
    if freedom < _FEWEST_FREEDOM:
        return centre, np.ones(centre.shape[1])
    size = np.bincount(experiment, minlength=n_experiments)[:, None]
    home = (group_sums(centre, experiment, n_experiments) / np.maximum(size, 1))[experiment]
    there = np.where(counts > 0, 1 / np.maximum(counts, 1), 0.0)
    share = there.sum(axis=1) / (counts > 0).sum(axis=1) ** 2  # variance of a centre, in noise
    chance = share[:, None] * noise  # (n_batches, n_features)
    between = ((centre - home) ** 2).sum(axis=0) / freedom
    true = np.maximum(between - chance.mean(axis=0), 0.0)
    kept = np.where(chance + true > 0, true / np.maximum(chance + true, 1e-300), 1.0)
    return home + kept * (centre - home), kept.mean(axis=0)


def _spreads(off: np.ndarray, rows: _Rows, spread: str, *, robust: bool) -> np.ndarray:
    """Divisors, (1, f) for all plates or (n_batches, f) for each; never zero."""
    if spread == "none":
        return np.ones((1, off.shape[1]))
    sd = off.std(axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    mad = MAD_TO_SD * np.median(np.abs(off), axis=0)
    pooled = np.where(mad > 0, mad, sd) if robust else sd
    if spread == "pooled":
        return pooled[None]
    own = np.zeros((len(rows.counts), off.shape[1]))
    for plate in np.unique(rows.batch):
        there = off[rows.batch == plate]
        if robust:
            own[plate] = MAD_TO_SD * np.median(np.abs(there), axis=0)
        else:
            own[plate] = np.sqrt((there**2).sum(axis=0) / max(len(there) - 1, 1))
    return np.maximum(own, _SMALLEST_SPREAD * pooled)
