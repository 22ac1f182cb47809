"""Could an inert compound have done this? Exact p within plates, and q over one family.

A treated well of an inert compound is exchangeable with the untreated wells of its plate. So the
number of (treated, untreated) pairs on one plate in which the treated well scores lower follows
Mann and Whitney's distribution, plate by plate, whatever the distribution of the scores; the sum
over plates follows their convolution (a stratified rank-sum test, van Elteren 1960, with each
pair counted once). It is worked out exactly: no permutation is drawn, so p has no noise of its
own and reaches as low as the design allows.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, norm

from screenbook.profiles.robust import MAD_TO_SD


def rank_test(
    scores: np.ndarray, treatment: np.ndarray, plate: np.ndarray, untreated: np.ndarray
) -> pd.DataFrame:
    """Test every treatment against the untreated wells of the same plates.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        Smaller is healthier; NaN for wells that take no part.
    treatment : ndarray of int, shape (n,)
        Treatment of each well, -1 for none.
    plate : ndarray of int, shape (n,)
        Plate of each.
    untreated : ndarray of bool, shape (n,)
        Wells that a treatment without effect would equal.

    Returns
    -------
    DataFrame
        By treatment code, all from 0 to the largest: ``n_tested`` (wells on plates with an
        untreated well), ``p`` (one-sided, towards healthy), ``p_worse`` (one-sided, away),
        ``p_least`` (what the best possible ranks would give); 1 where there is nothing to
        test with.

    References
    ----------
    Mann & Whitney, Ann. Math. Stat. 18, 50 (1947), 10.1214/aoms/1177730491; van Elteren, Bull.
    Inst. Int. Stat. 37, 351 (1960).
    """
    scores = np.asarray(scores, dtype=np.float64)
    there = np.isfinite(scores)
    n_treatments = int(treatment.max(initial=-1)) + 1
    n_plates = int(plate.max(initial=-1)) + 1
    reference = [np.sort(scores[there & untreated & (plate == p)]) for p in range(n_plates)]
    size = np.array([len(r) for r in reference], dtype=int)
    tested = np.flatnonzero(there & (treatment >= 0) & (size[plate] > 0))
    lower, higher = np.zeros(len(tested)), np.zeros(len(tested))
    for p in np.unique(plate[tested]):
        mine = plate[tested] == p
        value = scores[tested[mine]]
        # Of a tie neither side has the better: that makes both tails conservative.
        lower[mine] = size[p] - np.searchsorted(reference[p], value, side="right")
        higher[mine] = np.searchsorted(reference[p], value, side="left")
    codes = treatment[tested]
    wins = np.bincount(codes, lower, n_treatments).astype(int)
    losses = np.bincount(codes, higher, n_treatments).astype(int)
    on_plate = pd.crosstab(codes, plate[tested])
    found = np.ones((n_treatments, 3))
    plates = on_plate.columns.to_numpy()
    for code, counts in zip(on_plate.index, on_plate.to_numpy(), strict=True):
        used = counts > 0
        design = tuple(sorted(zip(counts[used].tolist(), size[plates[used]].tolist(), strict=True)))
        found[code] = upper_tail(design)[[wins[code], losses[code], -1]]
    index = pd.RangeIndex(n_treatments, name="treatment")
    table = pd.DataFrame(found, index=index, columns=["p", "p_worse", "p_least"])
    return table.assign(n_tested=np.bincount(codes, minlength=n_treatments))


@lru_cache(maxsize=65536)
def upper_tail(design: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Probability of at least so many wins by chance, for one design.

    Parameters
    ----------
    design : tuple of (int, int)
        Treated and untreated wells of each plate.

    Returns
    -------
    ndarray, shape (1 + sum of products,)
        Entry *w* is P(pairs won >= w).
    """
    chance = np.ones(1)
    for treated, untreated in design:
        chance = np.convolve(chance, pair_chances(treated, untreated))
    return np.minimum(np.cumsum(chance[::-1])[::-1], 1.0)


@lru_cache(maxsize=4096)
def pair_chances(treated: int, untreated: int) -> np.ndarray:
    """Mann and Whitney's distribution of pairs won, (treated * untreated + 1,).

    It is the Gaussian binomial coefficient, multiplied up factor by factor.
    """
    out = np.ones(1)
    for i in range(1, treated + 1):
        # Times (1 - x^(untreated + i)) / (1 - x^i): the quotient is a polynomial.
        longer = np.zeros(len(out) + untreated + i)
        longer[: len(out)] += out
        longer[untreated + i :] -= out
        for j in range(i, len(longer)):
            longer[j] += longer[j - i]
        out = longer[: len(out) + untreated] / ((untreated + i) / i)
    # The quotient's later coefficients hold the rounding of all before; it is symmetric.
    half = len(out) // 2
    out[len(out) - half :] = out[:half][::-1]
    return out


def bulk_test(
    scores: np.ndarray, treatment: np.ndarray, plate: np.ndarray, compound: np.ndarray
) -> pd.DataFrame:
    """Hold every treatment against the bulk of treated wells on the same plates.

    Most compounds of a library do nothing, and treated wells share with each other what they do
    not share with untreated ones: a solvent, their places on the plate. The bulk is described
    by its median and median absolute deviation, which a minority of active compounds moves
    little; where many are active, it is the wrong null.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        Smaller is healthier; NaN for wells that take no part.
    treatment, plate, compound : ndarray of int, shape (n,)
        Treatment (-1 for untreated wells), plate, and compound of each.

    Returns
    -------
    DataFrame
        By treatment code: ``z_bulk`` (mean robust z of its wells times the root of their
        number; negative is healthier than the bulk), ``p_bulk`` (one-sided, from a normal).
    """
    n_treatments = int(treatment.max(initial=-1)) + 1
    treated = np.isfinite(scores) & (treatment >= 0)
    z = np.full(len(scores), np.nan)
    for p in np.unique(plate[treated]):
        here = treated & (plate == p)
        middle = np.median(scores[here])
        spread = MAD_TO_SD * np.median(np.abs(scores[here] - middle))
        if len(np.unique(compound[here])) > 2 and spread > 0:
            z[here] = (scores[here] - middle) / spread
    used = np.isfinite(z)
    n = np.bincount(treatment[used], minlength=n_treatments)
    total = np.bincount(treatment[used], z[used], n_treatments)
    with np.errstate(invalid="ignore"):
        z_bulk = total / np.sqrt(n)
    index = pd.RangeIndex(n_treatments, name="treatment")
    return pd.DataFrame({"z_bulk": z_bulk, "p_bulk": norm.cdf(z_bulk)}, index=index)


def simes(p: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Join the p-values of each group into one, of all of them being null.

    Simes' rule: the least of m p₍ᵢ₎ / i. It is valid for independent tests and for tests that
    share their controls.

    Parameters
    ----------
    p : ndarray, shape (n,)
        NaN takes no part.
    group : ndarray of int, shape (n,)
    n_groups : int

    Returns
    -------
    ndarray of float64, shape (n_groups,)
        NaN for a group without a p.

    References
    ----------
    Simes, Biometrika 73, 751 (1986), 10.1093/biomet/73.3.751; Sarkar & Chang, J. Am. Stat.
    Assoc. 92, 1601 (1997), 10.1080/01621459.1997.10473682.
    """
    frame = pd.DataFrame({"p": p, "group": group}).dropna().sort_values(["group", "p"])
    by = frame.groupby("group")
    rank = by.cumcount() + 1
    frame["joined"] = frame["p"] * by["p"].transform("size") / rank
    least = frame.groupby("group")["joined"].min()
    return np.asarray(least.reindex(range(n_groups)).to_numpy(dtype=np.float64))


def false_discovery_q(p: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg q over all p that are there; NaN stays NaN.

    References
    ----------
    Benjamini & Hochberg, J. R. Stat. Soc. B 57, 289 (1995), 10.1111/j.2517-6161.1995.tb02031.x.
    """
    p = np.asarray(p, dtype=np.float64)
    q, there = np.full(p.shape, np.nan), np.isfinite(p)
    if there.any():
        q[there] = false_discovery_control(p[there])
    return q
