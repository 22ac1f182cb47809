"""What stands for and against each treatment, a compound at one dose in one cell type."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binom, pearson3

from screenbook.hits.intervals import (
    PlateMeans,
    length_intervals,
    mean_intervals,
    plate_means,
)
from screenbook.hits.rescue import OUTSIDE, WellScores, zones_of
from screenbook.hits.significance import bulk_test, rank_test
from screenbook.profiles.batches import Part
from screenbook.profiles.replicates import treatment_codes
from screenbook.profiles.whitening import kind_residuals


@dataclass(frozen=True)
class Evidence:
    """Treatments of one cell type.

    Attributes
    ----------
    cell_type : str
    treatments : DataFrame
        One row per treatment; see :func:`weigh_treatments`.
    codes : ndarray of int, shape (n,)
        Treatment of each well, a row of `treatments`; -1 for other wells.
    shifts : ndarray of float64, shape (n_treatments, k)
        Mean offset from the line between the controls, control SD; NaN without wells.
    """

    cell_type: str
    treatments: pd.DataFrame
    codes: np.ndarray
    shifts: np.ndarray


def weigh_treatments(part: Part, scores: WellScores, *, n_draws: int, seed: int) -> Evidence:
    """Average, bound and test every treatment of one cell type.

    Parameters
    ----------
    part : Part
    scores : WellScores
        Of the same wells.
    n_draws : int
        Resamples of plates behind each interval.
    seed : int

    Returns
    -------
    Evidence
        ``treatments`` has ``cell_type compound_key compound dose`` (µM), ``n_wells n_plates
        n_experiments`` (that have a score), ``on_score on_low on_high`` (0 healthy, 1
        untreated), ``off_score off_low off_high`` (control SD, free of noise: 0 where nothing
        is shared between plates), ``alignment`` (cosine between the way moved and the way to
        healthy, -1 to 1), ``off_p off_limit`` (see :func:`off_axis_test`), ``outside
        outside_p`` (see :func:`unlike_controls`), ``edge`` (share of wells in the two outer
        rings), ``p p_worse p_least`` (against untreated wells, exact), ``z_bulk p_bulk``
        (against the treated bulk).
    """
    codes, names = treatment_codes(part.obs)
    used = np.where(scores.used, codes, -1)
    n = len(names)
    layout = part.layout
    on_plate = plate_means(scores.on[:, None], used, layout.batch, n)
    shift_on_plate = plate_means(scores.remainder, used, layout.batch, n)
    gap = plate_means(((1 - scores.on) * scores.gap)[:, None], used, layout.batch, n)
    table = names.rename(columns={"treatment_conc": "dose"})
    table.insert(0, "cell_type", part.cell_type)
    table = _counted(table, used, part)
    drawing = {"n_draws": n_draws, "seed": seed}
    for name, (middle, low, high) in {
        "on": mean_intervals(on_plate, **drawing),
        "off": length_intervals(shift_on_plate, **drawing),
    }.items():
        table[f"{name}_score"], table[f"{name}_low"], table[f"{name}_high"] = middle, low, high
    moved = _over_plates(gap)[:, 0]  # towards healthy, control SD
    length = np.hypot(moved, table["off_score"])
    table["alignment"] = np.divide(moved, length, out=np.full(n, np.nan), where=length > 0)
    own = used >= 0
    edge = np.bincount(used[own], zones_of(part.obs)[own] < 2, n)
    table["edge"] = edge / np.maximum(table["n_wells"], 1)
    table = table.join(unlike_controls(part, scores, codes, n))
    asked = np.where(scores.used, scores.tested, np.nan)
    compound = pd.factorize(part.obs["compound_key"].astype(str))[0]
    table = table.join(rank_test(asked, codes, layout.batch, layout.baseline))
    table = table.join(bulk_test(asked, codes, layout.batch, compound))
    table = table.join(off_axis_test(part, scores, shift_on_plate))
    return Evidence(part.cell_type, table, codes, _over_plates(shift_on_plate))


def unlike_controls(
    part: Part, scores: WellScores, codes: np.ndarray, n_treatments: int
) -> pd.DataFrame:
    """Count the wells of each treatment that are unlike any control.

    Wells that were left out as accidents on a plate with a scale count too: cells that die in
    all directions make each replicate an outlier. By chance a well is outside as often as
    treated wells are altogether, or as one control in a hundred, whichever is more.

    Returns
    -------
    DataFrame
        By treatment code: ``outside`` (share of wells, 0 to 1), ``outside_p`` (one-sided,
        binomial).
    """
    asked = (codes >= 0) & (scores.used | scores.outside)
    n = np.bincount(codes[asked], minlength=n_treatments)
    k = np.bincount(codes[asked], scores.outside[asked], n_treatments)
    rate = max(1 - OUTSIDE, float(k.sum() / max(n.sum(), 1)))
    return pd.DataFrame({"outside": k / np.maximum(n, 1), "outside_p": binom.sf(k - 1, n, rate)})


def _counted(table: pd.DataFrame, used: np.ndarray, part: Part) -> pd.DataFrame:
    """Add how many wells, plates and experiments each treatment has."""
    own = used >= 0
    frame = pd.DataFrame(
        {
            "code": used[own],
            "plate": part.layout.batch[own],
            "experiment": part.layout.experiment[own],
        }
    )
    by = frame.groupby("code").agg(
        n_wells=("plate", "size"),
        n_plates=("plate", "nunique"),
        n_experiments=("experiment", "nunique"),
    )
    return table.join(by.reindex(range(len(table)), fill_value=0))


def _over_plates(means: PlateMeans) -> np.ndarray:
    """Mean over plates of each group, each plate counted alike; (n_groups, k)."""
    out = np.full((means.n_groups, means.values.shape[1]), np.nan)
    for codes, rows in means.by_size():
        out[codes] = means.values[rows].mean(axis=1)
    return out


def off_axis_test(part: Part, scores: WellScores, means: PlateMeans) -> pd.DataFrame:
    """Ask whether plates agree on an offset from the line more than untreated wells would.

    The sum of products of offsets on different plates is a quadratic form with mean 0 for wells
    that only scatter. Its variance and skewness follow from the covariance of untreated wells
    about the mean of their plate and from the design, and a gamma distribution with these
    moments stands for its law: the tail of a normal would be too short.

    Parameters
    ----------
    part : Part
    scores : WellScores
    means : PlateMeans
        Of ``scores.remainder``, by treatment.

    Returns
    -------
    DataFrame
        By treatment code: ``off_p`` (one-sided; NaN on a single plate) and
        ``off_limit`` (off-axis score, control SD, that chance exceeds in 1 of 100 treatments of
        this design).
    """
    plate = part.layout.batch
    free = np.flatnonzero(scores.used & part.layout.baseline)
    controls = np.bincount(plate[free], minlength=len(part.layout.batches))
    residuals, _ = kind_residuals(scores.remainder[free], plate[free])
    covariance = residuals.T @ residuals / max(len(free) - (controls > 0).sum(), 1)
    squared = covariance @ covariance
    second, third = float(np.trace(squared)), float((squared * covariance).sum())
    out = np.full((2, means.n_groups), np.nan)
    for codes, rows in means.by_size():
        n = rows.shape[1]
        if n < 2:
            continue
        vectors = means.values[rows]
        total = (vectors.sum(axis=1) ** 2).sum(axis=1) - (vectors**2).sum(axis=(1, 2))
        # A plate's mean scatters by its own wells and by the untreated wells it is held against.
        share = np.sqrt(1 / means.n_wells[rows] + 1 / np.maximum(controls[means.plate[rows]], 1))
        form = share[:, :, None] * share[:, None, :] * (1 - np.eye(n))  # (g, n, n)
        sd = np.sqrt(2 * second * (form**2).sum(axis=(1, 2)))
        skew = 8 * third * np.einsum("gij,gjk,gki->g", form, form, form, optimize=True) / sd**3
        limit = pearson3.isf(0.01, skew) * sd
        out[:, codes] = pearson3.sf(total / sd, skew), np.sqrt(limit / (n * (n - 1)))
    return pd.DataFrame({"off_p": out[0], "off_limit": out[1]})
