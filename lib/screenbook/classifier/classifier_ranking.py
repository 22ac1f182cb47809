"""Treatments and compounds ranked by how healthy a classifier takes their wells to be.

The mean over plates, each plate counted alike, with an interval over plates: a compound does not
rise by standing on more plates. Wells unlike any control are where the classifier must guess; a
treatment that consists of them is put behind all others.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import spearmanr

from screenbook.hits.intervals import mean_intervals, plate_means
from screenbook.hits.name_counts import count_by_name
from screenbook.profiles.robust import middle_and_spread

ABSTAIN = 0.5
"""Share of a treatment's wells unlike any control, above which its probability is no answer."""

ORIGINAL_SHARE = 10_000 / 305_520
"""Share of all sites that the first public analysis of RxRx19a took as its top."""

WELL_COLUMNS = {
    "id": "experiment/plate/well",
    "cell_type": "cell type; models of one never score another",
    "batch": "plate within its experiment",
    "compound": "compound, blank if none",
    "compound_key": "key of the compound's structure, blank if none",
    "dose": "dose (µM), blank if none",
    "role": "role in the analysis",
    "p_healthy": "probability of being healthy by models that did not see the plate (0 to 1)",
    "p_low": "lowest of the ensemble (0 to 1)",
    "p_high": "highest of the ensemble (0 to 1)",
    "outside": "unlike any control: further from both kinds than 99 % of held-out controls",
    "call": "class left at an error of 5 %: healthy, diseased, either or neither",
    "distance": "distance from the line between healthy and diseased (SD of controls, over √axes)",
    "used": "kept: its plate and the well itself were not flagged by report 01",
}
"""What ``classifier_wells.tsv`` holds."""

TREATMENT_COLUMNS = {
    "cell_type": "cell type",
    "compound": "compound",
    "compound_key": "key of the compound's structure",
    "dose": "dose (µM)",
    "n_wells": "wells",
    "n_plates": "plates",
    "p_healthy": "probability of being healthy, mean over plates (0 to 1)",
    "p_low": "95 % interval over plates, lower end; blank on a single plate",
    "p_high": "95 % interval over plates, upper end; blank on a single plate",
    "outside": "share of its wells unlike any control (0 to 1)",
    "z": "log odds against the treated wells of its plates, robust z summed over wells / √n",
}
"""What ``classifier_treatments.tsv`` holds."""

COMPOUND_COLUMNS = {
    "cell_type": "cell type",
    "compound": "compound",
    "compound_key": "key of the compound's structure",
    "names": "other names in the metadata",
    "n_wells": "wells at all doses",
    "n_plates": "plates at all doses",
    "best_dose": "dose with the highest lower end of the interval (µM)",
    "p_healthy": "probability of being healthy at that dose (0 to 1)",
    "p_low": "95 % interval over plates, lower end",
    "p_high": "95 % interval over plates, upper end",
    "outside": "share of wells at that dose unlike any control (0 to 1)",
    "rank": "1 is first within the cell type; see the report for the rule",
    "above": "p_low lies above the mean of untreated diseased wells",
    "count_top": "wells among the top share by probability: the original's count",
}
"""What ``classifier.tsv`` holds."""


def rank_treatments(wells: pd.DataFrame, *, n_draws: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Average treated wells over plates.

    Parameters
    ----------
    wells : DataFrame
        Wells of one cell type, columns of :data:`WELL_COLUMNS`; treated and used ones count.
    n_draws, seed : int
        Resamples of plates; see :func:`screenbook.hits.intervals.mean_intervals`.

    Returns
    -------
    DataFrame
        Columns of :data:`TREATMENT_COLUMNS`, by compound key and dose.
    """
    score = logit(wells["p_healthy"].clip(1e-3, 1 - 1e-3))  # one certain well is no sum
    treated = (wells["role"].astype(str) == "treated") & wells["used"]
    mine = wells[treated].assign(z=_against_bulk(score[treated], wells.loc[treated, "batch"]))
    keys = ["cell_type", "compound_key", "dose"]
    groups = mine.groupby(keys, dropna=False, sort=True, observed=True)
    out = groups.agg(
        compound=("compound", "first"),
        n_wells=("id", "size"),
        n_plates=("batch", "nunique"),
        outside=("outside", "mean"),
        z=("z", "sum"),
    ).reset_index()
    out["z"] /= np.sqrt(out["n_wells"])
    plate = pd.factorize(mine["batch"].astype(str))[0]
    values = mine["p_healthy"].to_numpy(dtype=float)[:, None]
    means = plate_means(values, groups.ngroup().to_numpy(), plate, len(out))
    mean, low, high = mean_intervals(means, n_draws=n_draws, seed=seed)
    out = out.assign(p_healthy=mean, p_low=np.clip(low, 0, 1), p_high=np.clip(high, 0, 1))
    return out[list(TREATMENT_COLUMNS)]


def rank_compounds(
    treatments: pd.DataFrame, wells: pd.DataFrame, names: pd.Series, top: float = ORIGINAL_SHARE
) -> pd.DataFrame:
    """Rank compounds by their best dose, and count them by name as the original did.

    Parameters
    ----------
    treatments : DataFrame
        From :func:`rank_treatments`, of one cell type.
    wells : DataFrame
        What they were made of.
    names : Series
        Other names of each compound, by compound key.
    top : float
        See :func:`among_top`.

    Returns
    -------
    DataFrame
        Columns of :data:`COMPOUND_COLUMNS`, first rank first. The best dose is the one with
        the highest ``p_low`` among those of which at most half the wells are outside, if there
        are any. Compounds whose ``p_low`` there lies above the mean of untreated diseased wells
        come first, by ``p_low``. The others are no healthier than untreated ones, and how
        little says nothing: those are ordered by how few of their wells, at all doses, are
        outside, then by the mean over these wells; by ``p_low``, compounds with more wells
        would come first. Compounds without an interval, or with all doses outside, come last.
    """
    kept = wells[wells["used"]]
    role = kept["role"].astype(str)
    untreated = kept[role == "diseased"].groupby("batch", observed=True)["p_healthy"].mean()
    best = _best_doses(treatments, float(untreated.mean()))
    stock = kept[role == "treated"].groupby("compound_key", observed=True)
    counts = count_by_name(kept, among_top(kept, top)).set_index("compound_key")["count"]
    key = best["compound_key"]
    out = best.assign(
        names=key.map(names).fillna(""),
        rank=np.arange(1, len(best) + 1),
        count_top=key.map(counts).fillna(0).astype(int),
        n_wells=key.map(stock.size()),
        n_plates=key.map(stock["batch"].nunique()),
    )
    return out[list(COMPOUND_COLUMNS)].reset_index(drop=True)


def _best_doses(treatments: pd.DataFrame, level: float) -> pd.DataFrame:
    """Take each compound's best dose, compounds in the order of their ranks."""
    asked = treatments.assign(
        abstain=treatments["outside"] > ABSTAIN,
        unsure=treatments["p_low"].isna(),
        above=treatments["p_low"] > level,
    )
    order = {"abstain": True, "unsure": True, "p_low": False, "p_healthy": False}
    tie = {"compound_key": True, "dose": True}
    best = _sorted(asked, order | tie).drop_duplicates("compound_key")
    best = best.assign(above=best["above"] & ~best["abstain"])
    # Means over all wells of a compound: what its weakest doses say counts as well.
    share = asked[["outside", "p_healthy"]].mul(asked["n_wells"], axis=0)
    whole = share.groupby(asked["compound_key"]).sum()
    whole = whole.div(asked.groupby("compound_key")["n_wells"].sum(), axis=0)
    best = best.assign(**{f"all_{name}": best["compound_key"].map(whole[name]) for name in share})
    rest = {"abstain": True, "unsure": True, "all_outside": True, "all_p_healthy": False}
    ordered = [_sorted(best[best["above"]], order | tie), _sorted(best[~best["above"]], rest | tie)]
    return pd.concat(ordered).rename(columns={"dose": "best_dose"})


def among_top(wells: pd.DataFrame, top: float, by: str = "p_healthy") -> np.ndarray:
    """Mark the wells (or sites) that the first public analysis would have counted.

    It took the 10,000 sites of 305,520 with the highest probability, of treated ones.

    Parameters
    ----------
    wells : DataFrame, n rows
        ``role`` and the column `by`.
    top : float
        Share of all rows, controls included, 0 to 1.
    by : str

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    treated = (wells["role"].astype(str) == "treated").to_numpy()
    value = np.where(treated, wells[by].to_numpy(dtype=float), -np.inf)
    most = min(round(top * len(wells)), int(treated.sum()))
    chosen = np.zeros(len(wells), dtype=bool)
    chosen[np.argsort(-value, kind="stable")[:most]] = True
    return chosen


def compare_treatments(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Join the treatments of this report with their on-axis scores.

    Parameters
    ----------
    ours : DataFrame
        From :func:`rank_treatments`.
    theirs : DataFrame
        ``cell_type compound_key dose on_score off_score`` and maybe more.

    Returns
    -------
    DataFrame
        Columns of `ours`, and ``on_score``, ``off_score``; treatments that both have.
    """
    keys = ["cell_type", "compound_key", "dose"]
    kept = theirs[[*keys, "on_score", "off_score"]].drop_duplicates(keys)
    return ours.merge(kept, on=keys, how="inner").dropna(subset=["on_score"])


def rank_correlation(a: pd.Series, b: pd.Series) -> float:
    """Spearman's rho of two columns; NaN with fewer than three rows, or where one is constant."""
    if len(a) < 3 or a.nunique() < 2 or b.nunique() < 2:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def ranking_quality(
    score: np.ndarray, positive: np.ndarray, toxic: np.ndarray, most: int = 50
) -> dict[str, float]:
    """Hold a ranking of compounds against what is known of them.

    Parameters
    ----------
    score : ndarray, shape (n,)
        Larger comes first; equal scores come in the worst order for us, so that a count of
        many zeros gains nothing by the order of its rows.
    positive, toxic : ndarray of bool, shape (n,)
        Compounds that should come first, and that should not.
    most : int
        Length of the list; half the compounds where that is less.

    Returns
    -------
    dict of str to float
        ``average_precision`` (NaN, as both recalls, without a positive), ``by_chance`` (share
        of positives), ``recall`` (share of the positives among as many first places as there
        are positives), ``recall_top`` (among the first `most`), ``toxic_top`` (how many of
        these are toxic), ``most``.
    """
    most = min(most, (len(score) + 1) // 2)
    order = np.lexsort((positive, ~toxic, -score))
    n = int(positive.sum())
    found = dict.fromkeys(("average_precision", "recall", "recall_top"), float("nan"))
    found |= {"by_chance": n / len(positive), "toxic_top": float(toxic[order[:most]].sum())}
    if n:
        hits = positive[order]
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        found |= {"average_precision": float(precision[hits].mean())}
        found |= {"recall": float(hits[:n].mean()), "recall_top": float(hits[:most].sum() / n)}
    return found | {"most": float(most)}


def rankings_against(
    rankings: Mapping[str, pd.Series], rescues: pd.Series, toxic: pd.Series
) -> pd.DataFrame:
    """Hold several rankings of the same compounds against what is known of them.

    Parameters
    ----------
    rankings : mapping of str to Series
        Scores by compound key, larger first; a compound that is missing comes last.
    rescues, toxic : Series of bool
        By compound key.

    Returns
    -------
    DataFrame
        One row per ranking: ``ranking`` and what :func:`ranking_quality` gives.
    """
    rows = []
    for name, score in rankings.items():
        aligned = score.reindex(rescues.index).fillna(-np.inf).to_numpy(dtype=float)
        known = toxic.reindex(rescues.index).to_numpy(dtype=bool)
        rows.append({"ranking": name} | ranking_quality(aligned, rescues.to_numpy(bool), known))
    return pd.DataFrame(rows)


def _sorted(table: pd.DataFrame, order: dict[str, bool]) -> pd.DataFrame:
    return table.sort_values(list(order), ascending=list(order.values()))


def _against_bulk(score: pd.Series, batch: pd.Series) -> pd.Series:
    """Robust z of wells against all wells given of their plate."""
    plate = batch.astype(str)
    middle, spread = middle_and_spread(score, plate)
    return (score - middle) / spread.where(spread > 0)
