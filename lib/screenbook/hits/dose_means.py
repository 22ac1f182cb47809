"""Wells of a dose series, reduced to what a curve needs: count, mean and spread at each dose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import chi2

from screenbook.errors import InputError

ACCIDENT = 4.0
"""Distance from the median of its dose, in well SD, beyond which a lone well is left out."""


@dataclass(frozen=True)
class DoseMeans:
    """Sufficient statistics of all curves, one entry per group and dose, in that order.

    Attributes
    ----------
    group : ndarray of int, shape (m,)
    dose : ndarray, shape (m,)
        µM, ascending within a group.
    n : ndarray of int, shape (m,)
        Wells.
    weight, mean, within : ndarray, shape (m,)
        Sum of the wells' weights, their weighted mean, and the weighted sum of squares about it.
    n_groups : int
    left_out : ndarray of int, shape (n_groups,)
        Wells of each group that were left out as accidents.
    """

    group: np.ndarray
    dose: np.ndarray
    n: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    within: np.ndarray
    n_groups: int
    left_out: np.ndarray

    def take(self, kept: np.ndarray) -> DoseMeans:
        """Keep some of the entries (boolean mask, shape (m,)); the groups stay numbered."""
        names = ("group", "dose", "n", "weight", "mean", "within")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def per_group(self) -> pd.DataFrame:
        """Count wells and doses and name the dose range, one row per group."""
        table = pd.DataFrame({"group": self.group, "dose": self.dose, "n": self.n})
        found = table.groupby("group").agg(
            n_wells=("n", "sum"),
            n_doses=("dose", "size"),
            dose_low=("dose", "min"),
            dose_high=("dose", "max"),
        )
        found = found.reindex(pd.RangeIndex(self.n_groups))
        return found.fillna({"n_wells": 0, "n_doses": 0}).astype({"n_wells": int, "n_doses": int})


@dataclass(frozen=True)
class Series:
    """Groups that were tested at the same doses.

    Attributes
    ----------
    groups : ndarray of int, shape (g,)
    doses : ndarray, shape (k,)
        µM, ascending.
    n : ndarray of int, shape (g, k)
    weight, mean, within : ndarray, shape (g, k)
        As in :class:`DoseMeans`.
    """

    groups: np.ndarray
    doses: np.ndarray
    n: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    within: np.ndarray

    def take(self, rows: np.ndarray) -> Series:
        """Keep some of the groups."""
        columns = (self.n, self.weight, self.mean, self.within)
        return Series(self.groups[rows], self.doses, *(column[rows] for column in columns))


def gather_doses(
    score: np.ndarray,
    dose: np.ndarray,
    group: np.ndarray,
    *,
    n_groups: int | None = None,
    weights: np.ndarray | None = None,
) -> DoseMeans:
    """Sum up wells by group and dose, without wells that look like accidents.

    Wells whose score, dose or weight is missing or infinite, whose dose or weight is not above
    zero, or whose group is negative, are not used. Of the others, a well is an accident if it
    alone at its dose lies more than :data:`ACCIDENT` well SD from the median of the dose, where
    the dose has three wells or more. The well SD is the median over such doses of their
    variance, made unbiased for a normal law, so one accident cannot hide itself; it takes three
    such doses. The rule asks nothing of the curve's form: a dose whose wells agree is never
    thinned, however far it lies from a curve.

    Parameters
    ----------
    score, dose : ndarray, shape (n_wells,)
    group : ndarray of int, shape (n_wells,)
        Code of the curve that each well belongs to; negative for none.
    n_groups : int, optional
        Number of groups, if some may have no well.
    weights : ndarray, shape (n_wells,), optional

    Returns
    -------
    DoseMeans

    Raises
    ------
    InputError
        If the arrays differ in length, or codes are not whole numbers below `n_groups`.
    """
    score, dose = np.asarray(score, dtype=float), np.asarray(dose, dtype=float)
    group = np.asarray(group)
    weight = np.ones(len(score)) if weights is None else np.asarray(weights, dtype=float)
    if not len(score) == len(dose) == len(group) == len(weight):
        raise InputError(
            f"a dose series has {len(score)} scores, {len(dose)} doses, {len(group)} groups and "
            f"{len(weight)} weights: give one of each for every well"
        )
    if len(group) and not np.issubdtype(group.dtype, np.integer):
        raise InputError(f"groups of a dose series are {group.dtype}: give whole-number codes")
    least = int(group.max(initial=-1)) + 1
    n_groups = least if n_groups is None else n_groups
    if n_groups < least:
        raise InputError(f"groups of a dose series go up to {least - 1}: n_groups is {n_groups}")

    used = np.isfinite(score) & np.isfinite(dose) & np.isfinite(weight) & (group >= 0)
    used &= (np.nan_to_num(dose) > 0) & (np.nan_to_num(weight) > 0)
    # Doses that differ in the seventh digit are one dose written twice.
    level = np.round(np.log10(dose[used]), 6)
    wells = pd.DataFrame({"group": group[used], "level": level, "y": score[used]})
    wells["dose"], wells["weight"] = dose[used], weight[used]
    accident = _accidents(wells, n_groups)
    left_out = np.bincount(wells.loc[accident, "group"].astype(int), minlength=n_groups)
    return _sum_up(wells[~accident], n_groups, left_out)


def _sum_up(wells: pd.DataFrame, n_groups: int, left_out: np.ndarray) -> DoseMeans:
    cells = wells.groupby(["group", "level"], sort=True)
    code = cells.ngroup().to_numpy()
    m = int(code.max(initial=-1)) + 1
    w, y = wells["weight"].to_numpy(), wells["y"].to_numpy()
    weight = np.bincount(code, w, m)
    mean = np.bincount(code, w * y, m) / weight
    within = np.bincount(code, w * (y - mean[code]) ** 2, m)
    first = cells[["group", "dose"]].first().reset_index(drop=True)
    return DoseMeans(
        first["group"].to_numpy(dtype=int),
        first["dose"].to_numpy(dtype=float),
        np.bincount(code, minlength=m),
        weight,
        mean,
        within,
        n_groups,
        left_out,
    )


def _accidents(wells: pd.DataFrame, n_groups: int) -> np.ndarray:
    """Find the lone far wells, shape (n_wells,); see :func:`gather_doses`."""
    if wells.empty:
        return np.zeros(0, dtype=bool)
    cells = wells.groupby(["group", "level"], sort=True)
    code = cells.ngroup().to_numpy()
    found = cells["y"].agg(["size", "var", "median"]).reset_index()
    size = found["size"].to_numpy()
    enough = size >= 3
    spread = np.full(n_groups, np.nan)
    free = found.loc[enough, "size"] - 1
    # The median of a chi-squared law lies below its mean.
    variance = found.loc[enough, "var"] / (chi2.ppf(0.5, free) / free)
    by_group = variance.groupby(found.loc[enough, "group"])
    median = by_group.median()[by_group.size() >= 3]
    spread[median.index.to_numpy(dtype=int)] = np.sqrt(median)
    limit = ACCIDENT * spread[found["group"].to_numpy(dtype=int)]
    limit = np.where(enough & (limit > 0), limit, np.inf)
    far = np.abs(wells["y"].to_numpy() - found["median"].to_numpy()[code]) > limit[code]
    alone = np.bincount(code, far, len(found)) == 1
    return far & alone[code]


def series_of(means: DoseMeans, groups: np.ndarray, at_most: int = 256) -> Iterator[Series]:
    """Give groups that share their doses together, `at_most` at a time.

    Parameters
    ----------
    means : DoseMeans
    groups : ndarray of int
        The groups asked for; those without an entry are passed over.
    at_most : int
        Bounds the memory of what is computed on a grid for each group.
    """
    start = np.searchsorted(means.group, groups, side="left")
    stop = np.searchsorted(means.group, groups, side="right")
    alike: dict[bytes, list[int]] = {}
    for i, (a, b) in enumerate(zip(start, stop, strict=True)):
        if b > a:
            alike.setdefault(np.round(np.log10(means.dose[a:b]), 6).tobytes(), []).append(i)
    for members in alike.values():
        k = stop[members[0]] - start[members[0]]
        for chunk in range(0, len(members), at_most):
            part = np.asarray(members[chunk : chunk + at_most])
            rows = start[part][:, None] + np.arange(k)
            yield Series(
                np.asarray(groups)[part],
                means.dose[rows[0]],
                means.n[rows],
                means.weight[rows],
                means.mean[rows],
                means.within[rows],
            )
