"""Classes of compounds, mechanisms or scaffolds, that score better than the others.

Two tests for each class against all other compounds of the cell type: Fisher's exact test on
hits, and the Mann-Whitney test on a score, which needs no threshold. One compound with a strong
effect is no class effect, so small classes are left out, and compounds, not wells, are counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import false_discovery_control, fisher_exact, mannwhitneyu, norm
from scipy.stats.contingency import odds_ratio

from screenbook.chemistry import scaffold
from screenbook.errors import InputError, listing

_COLUMNS = [
    "cell_type",
    "class",
    "n_members",
    "n_others",
    "n_hits",
    "n_hits_others",
    "odds_ratio",
    "odds_low",
    "odds_high",
    "p_hits",
    "q_hits",
    "auc",
    "auc_low",
    "auc_high",
    "p_score",
    "q_score",
    "members",
    "hits",
]


def scaffolds_of(smiles: Sequence[str]) -> np.ndarray:
    """Bemis-Murcko scaffold of each structure; ``""`` where it is acyclic or unreadable.

    Returns
    -------
    ndarray of object, shape (n,)
    """
    return np.array([scaffold(str(s)) if pd.notna(s) else "" for s in smiles], dtype=object)


def class_enrichment(
    compounds: pd.DataFrame,
    by: str,
    *,
    fewest: int = 3,
    separator: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Test every class for more hits, and for higher scores, than among the other compounds.

    Parameters
    ----------
    compounds : DataFrame
        One row per compound and cell type: ``cell_type compound_key compound hit score`` and
        the column `by`. ``hit`` is bool; a higher ``score`` is better, NaN is not ranked.
    by : str
        Column with the class of each compound; blank or NaN: the compound is in none, yet
        counts among the others.
    fewest : int
        Classes with fewer compounds in a cell type are not tested.
    separator : str, optional
        Splits a field that names several classes; the compound is a member of each.
    confidence : float
        Of the intervals.

    Returns
    -------
    DataFrame
        Per cell type and class, lowest p first: ``n_members n_others n_hits n_hits_others``;
        ``odds_ratio odds_low odds_high`` (conditional maximum likelihood, exact interval),
        ``p_hits q_hits`` (one-sided: more hits); ``auc`` (chance that a member scores above
        another compound, ties half) with ``auc_low auc_high`` (Newcombe 2006, 10.1002/sim.2324,
        method 5), ``p_score q_score`` (one-sided: higher; NaN where no member or no other has a
        score); ``members`` and ``hits`` (names joined by ``"; "``). q is Benjamini-Hochberg
        over the classes of a cell type, for each of the two tests apart.

    Raises
    ------
    InputError
        If a column is missing, or a compound stands twice in a cell type.
    """
    wanted = ["cell_type", "compound_key", "compound", "hit", "score", by]
    missing = [name for name in wanted if name not in compounds]
    if missing:
        raise InputError(f"the table of compounds lacks {listing(missing)}: add it")
    twice = compounds.duplicated(["cell_type", "compound_key"])
    if twice.any():
        key = compounds.loc[twice, "compound_key"].iloc[0]
        raise InputError(f"compound {key!r} has two rows in one cell type: give it one")
    parts = []
    for cell_type, part in compounds.groupby("cell_type", sort=True, observed=True):
        part = part.reset_index(drop=True)
        rows = [
            {"cell_type": cell_type, "class": name, **_test_class(part, member, confidence)}
            for name, member in _members(part[by], separator).items()
            if fewest <= member.sum() < len(part)
        ]
        table = pd.DataFrame(rows, columns=_COLUMNS)
        for test in ("hits", "score"):
            table[f"q_{test}"] = _adjust(table[f"p_{test}"].to_numpy(dtype=float))
        parts.append(table.sort_values(["p_score", "p_hits", "class"], kind="stable"))
    filled = [table for table in parts if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=_COLUMNS)


def _members(classes: pd.Series, separator: str | None) -> dict[str, np.ndarray]:
    """Which rows belong to each class, (n,) of bool."""
    text = classes.astype(object).where(classes.notna(), "").astype(str)
    lists = text.str.split(separator, regex=False) if separator else text.map(lambda t: [t])
    named = lists.explode().str.strip()
    named = named[named != ""]
    out = {}
    for name, rows in named.groupby(named, sort=True).groups.items():
        member = np.zeros(len(classes), dtype=bool)
        member[rows.to_numpy()] = True
        out[str(name)] = member
    return out


def _test_class(part: pd.DataFrame, member: np.ndarray, confidence: float) -> dict[str, object]:
    """Both tests of one class."""
    hit = part["hit"].to_numpy(dtype=bool)
    counts = np.array(
        [
            [(hit & member).sum(), (~hit & member).sum()],
            [(hit & ~member).sum(), (~hit & ~member).sum()],
        ]
    )
    odds, odds_low, odds_high = np.nan, 0.0, np.inf
    if hit.any() and not hit.all():
        found = odds_ratio(counts)
        bounds = found.confidence_interval(confidence)
        odds, odds_low, odds_high = found.statistic, bounds.low, bounds.high
    score = part["score"].to_numpy(dtype=float)
    inside, outside = score[member & ~np.isnan(score)], score[~member & ~np.isnan(score)]
    auc = low = high = p_score = np.nan
    if len(inside) and len(outside):
        rank = mannwhitneyu(inside, outside, alternative="greater")
        auc, p_score = rank.statistic / (len(inside) * len(outside)), rank.pvalue
        low, high = auc_interval(auc, len(inside), len(outside), confidence)
    names = part["compound"].astype(str)
    return {
        "n_members": int(member.sum()),
        "n_others": int((~member).sum()),
        "n_hits": int(counts[0, 0]),
        "n_hits_others": int(counts[1, 0]),
        "odds_ratio": odds,
        "odds_low": odds_low,
        "odds_high": odds_high,
        "p_hits": fisher_exact(counts, alternative="greater").pvalue,
        "auc": auc,
        "auc_low": low,
        "auc_high": high,
        "p_score": p_score,
        "members": "; ".join(sorted(names[member])),
        "hits": "; ".join(sorted(names[member & hit])),
    }


def auc_interval(auc: float, m: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of an area under the ROC curve: score method of Newcombe 2006, method 5.

    It stays within 0 and 1 and holds its level with a few members, where the usual standard
    error is zero as soon as the groups do not overlap.

    Parameters
    ----------
    auc : float
    m, n : int
        Sizes of the two groups.
    confidence : float

    Returns
    -------
    tuple of float

    References
    ----------
    Newcombe, Stat. Med. 25, 559 (2006), doi:10.1002/sim.2324.
    """
    z = norm.ppf(0.5 + confidence / 2)
    extra = (m + n) / 2 - 1

    def away(theta: float) -> float:
        spread = 1 + extra * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return float((theta - auc) ** 2 - z**2 * theta * (1 - theta) / (m * n) * spread)

    # At 0 and 1 the estimate itself is a root, and no bound.
    low = 0.0 if auc <= 0 else float(brentq(away, 0.0, min(auc, 1 - 1e-9)))
    high = 1.0 if auc >= 1 else float(brentq(away, max(auc, 1e-9), 1.0))
    return low, high


def _adjust(p: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg over the p there are; NaN stays."""
    q = np.full(len(p), np.nan)
    known = ~np.isnan(p)
    if known.any():
        q[known] = false_discovery_control(p[known])
    return q
