"""Hit wells counted by compound, as the first public analysis did it, and so that it is fair.

A count of hit wells is a count of wells: a compound that stands on the plates ten times as often
as another has ten times the hits by chance alone. The fair ranking asks instead which share of
the wells of a compound at a dose are hits, beyond the share on the same plates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from screenbook.errors import InputError

_PRIOR_WELLS = 4.0  # where replicates are too few to say how much treatments differ
_PRIOR_RANGE = (1.0, 100.0)
_Z = 1.959964  # standard normal, 95 % two-sided


def count_by_name(wells: pd.DataFrame, hit: np.ndarray | pd.Series) -> pd.DataFrame:
    """Count the hit wells of every compound: the ranking of the first public analysis.

    Parameters
    ----------
    wells : DataFrame, n rows
        Wells of one cell type: ``role compound compound_key``. Treated wells are counted.
    hit : ndarray or Series of bool, shape (n,)
        A Series must have the index of `wells`, in any order.

    Returns
    -------
    DataFrame
        By falling count: ``compound_key compound n_wells count share`` (0 to 1); of equal
        counts by key.

    Raises
    ------
    InputError
        If `hit` is not of the same wells.
    """
    treated = _treated(wells)
    mine = treated.assign(hit=_aligned(wells, hit)[treated["_row"]])
    out = (
        mine.groupby("compound_key", sort=True)
        .agg(compound=("compound", "first"), n_wells=("hit", "size"), count=("hit", "sum"))
        .reset_index()
    )
    out["share"] = out["count"] / out["n_wells"]
    out = out[["compound_key", "compound", "n_wells", "count", "share"]]
    return out.sort_values("count", ascending=False, kind="stable").reset_index(drop=True)


def follows_replicates(counts: pd.DataFrame, column: str = "count") -> float:
    """Correlate a compound's place in a ranking with its number of wells.

    Parameters
    ----------
    counts : DataFrame
        With ``n_wells`` and the column that is ranked by.
    column : str

    Returns
    -------
    float
        Spearman's rho; NaN with fewer than three compounds or where either does not vary.
    """
    known = counts[["n_wells", column]].dropna()
    if len(known) < 3 or (known.nunique() < 2).any():
        return float("nan")
    return float(spearmanr(known["n_wells"], known[column]).statistic)


@dataclass(frozen=True)
class FairRanking:
    """Treatments and compounds by their share of hit wells beyond what was expected.

    Attributes
    ----------
    treatments : DataFrame
        ``compound_key compound dose n_wells count share share_low share_high expected excess
        score``. Shares are 0 to 1, with their 95 % Wilson interval; ``expected`` is the share of
        hits among the wells of other compounds on the same plates; ``excess`` is share minus
        expected, shrunk towards 0; ``score`` the mean score of its wells.
    compounds : DataFrame
        By falling ``excess`` (then score, then key), that of the best dose: ``compound_key
        compound n_wells n_doses best_dose excess score``.
    prior_wells : float
        Wells' worth of the expected share that every treatment was given.
    """

    treatments: pd.DataFrame
    compounds: pd.DataFrame
    prior_wells: float


def fair_ranking(
    wells: pd.DataFrame, hit: np.ndarray | pd.Series, score: np.ndarray | pd.Series
) -> FairRanking:
    """Rank compounds by the share of hit wells at their best dose, beyond the share expected.

    A treatment of n wells gets ``excess = n / (n + prior) * (share - expected)``. The prior is
    estimated from how much the shares of treatments differ beyond sampling (analysis of
    variance; between 1 and 100 wells): without effect the excess is 0 on average for any n,
    and what more wells bring is less noise. A lower confidence bound would instead put an inert
    compound of many wells above one of few. The best of several doses is above 0 by chance;
    compounds with more doses have that advantage still.

    Parameters
    ----------
    wells : DataFrame, n rows
        Wells of one cell type: ``role compound compound_key treatment_conc batch``.
    hit : ndarray or Series of bool, shape (n,)
    score : ndarray or Series of float, shape (n,)
        Larger is better; breaks ties. A Series must have the index of `wells`, in any order.

    Returns
    -------
    FairRanking

    Raises
    ------
    InputError
        If `hit` or `score` is not of the same wells.

    References
    ----------
    Wilson, J. Am. Stat. Assoc. 22, 209 (1927), doi:10.1080/01621459.1927.10502953.
    """
    treated = _treated(wells)
    mine = treated.assign(
        hit=_aligned(wells, hit)[treated["_row"]].astype(float),
        score=_aligned(wells, score)[treated["_row"]].astype(float),
        batch=wells["batch"].astype(str).to_numpy()[treated["_row"]],
        dose=wells["treatment_conc"].to_numpy(dtype=float)[treated["_row"]],
    )
    mine["expected"] = _expected(mine)
    out = (
        mine.groupby(["compound_key", "dose"], dropna=False, sort=True)
        .agg(
            compound=("compound", "first"),
            n_wells=("hit", "size"),
            count=("hit", "sum"),
            expected=("expected", "mean"),
            score=("score", "mean"),
        )
        .reset_index()
    )
    n = out["n_wells"].to_numpy(dtype=float)
    out["count"] = out["count"].astype(int)
    out["share"] = out["count"] / n
    out["share_low"], out["share_high"] = wilson_interval(out["count"].to_numpy(), n)
    prior = _prior_wells(out["count"].to_numpy(dtype=float), n)
    # Rounded, lest the order in which wells were added up break ties.
    out["excess"] = (n / (n + prior) * (out["share"] - out["expected"])).round(12)
    columns = ["compound_key", "compound", "dose", "n_wells", "count", "share", "share_low"]
    out = out[[*columns, "share_high", "expected", "excess", "score"]]
    return FairRanking(out, _best_doses(out), prior)


def wilson_interval(count: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the 95 % Wilson interval of a share, `count` of `n`."""
    share = count / n
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def _best_doses(treatments: pd.DataFrame) -> pd.DataFrame:
    ranked = treatments.sort_values(
        ["excess", "score", "compound_key", "dose"], ascending=[False, False, True, True]
    )
    best = ranked.drop_duplicates("compound_key").reset_index(drop=True)
    groups = treatments.groupby("compound_key")
    best["n_wells"] = best["compound_key"].map(groups["n_wells"].sum())
    best["n_doses"] = best["compound_key"].map(groups.size())
    best = best.rename(columns={"dose": "best_dose"})
    return best[["compound_key", "compound", "n_wells", "n_doses", "best_dose", "excess", "score"]]


def _expected(mine: pd.DataFrame) -> np.ndarray:
    """Share of hits among treated wells of other compounds on the plate of each well."""
    plate = pd.factorize(mine["batch"])[0]
    pair = mine.groupby(["batch", "compound_key"], sort=False)["hit"].transform
    hits = np.bincount(plate, mine["hit"])[plate] - pair("sum").to_numpy()
    others = np.bincount(plate)[plate] - pair("size").to_numpy()
    everywhere = float(mine["hit"].mean()) if len(mine) else np.nan
    return np.where(others > 0, hits / np.maximum(others, 1), everywhere)


def _prior_wells(count: np.ndarray, n: np.ndarray) -> float:
    """Estimate (1 - rho) / rho, rho being the intraclass correlation of hits in a treatment."""
    total, groups = n.sum(), len(n)
    if groups < 2 or total <= groups:
        return _PRIOR_WELLS
    share, overall = count / n, count.sum() / total
    between = (n * (share - overall) ** 2).sum() / (groups - 1)
    within = (n * share * (1 - share)).sum() / (total - groups)
    usual = (total - (n**2).sum() / total) / (groups - 1)
    spread = between + (usual - 1) * within
    rho = (between - within) / spread if spread > 0 else 0.0
    least, most = _PRIOR_RANGE
    return float(np.clip((1 - rho) / rho, least, most)) if rho > 0 else most


def _treated(wells: pd.DataFrame) -> pd.DataFrame:
    """Compound of every treated well, with its position in `wells` as ``_row``."""
    row = np.flatnonzero((wells["role"].astype(str) == "treated").to_numpy())
    names = wells[["compound_key", "compound"]].iloc[row].astype(str).reset_index(drop=True)
    return names.assign(_row=row)


def _aligned(wells: pd.DataFrame, values: np.ndarray | pd.Series) -> np.ndarray:
    """Values in the order of the wells, by index if they have one."""
    if isinstance(values, pd.Series):
        if len(values) != len(wells) or not values.index.isin(wells.index).all():
            raise InputError(
                "hits are of other wells than those counted; give the wells that were searched"
            )
        return values.loc[wells.index].to_numpy()
    if len(values) != len(wells):
        raise InputError(f"{len(values)} hits for {len(wells)} wells; give one for each well")
    return np.asarray(values)
