"""How early rankings of compounds name the right ones: average precision, compared fairly.

Rankings tie (counts do so often) and leave compounds out. Ties take the value expected over
their random orders, and what a ranking leaves out comes last, as one tie; so no ranking gains
from the order of a table.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from screenbook.errors import InputError

_KEY = ["cell_type", "compound_key"]
_COLUMNS = [
    "cell_type",
    "ranking",
    "n",
    "n_right",
    "average_precision",
    "low",
    "high",
    "chance",
    "difference",
    "difference_low",
    "difference_high",
]


def expected_average_precision(
    right: np.ndarray, score: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Average precision, expected over random orders of ties, for many weightings at once.

    Parameters
    ----------
    right : ndarray of bool, shape (n,)
        What should come first.
    score : ndarray, shape (n,)
        Higher is earlier; NaN is last.
    weights : ndarray of int, shape (b, n), optional
        How often each entry stands in each of b lists (a bootstrap's draws); once by default.

    Returns
    -------
    ndarray, shape (b,)
        0 to 1; NaN for a list without a right entry.

    Notes
    -----
    A tie of n entries, r of them right, behind N entries, R of them right, adds
    ``r/n * sum_i (R + 1 + (i - 1) (r - 1)/(n - 1)) / (N + i)``; its sums are harmonic numbers
    (after McSherry & Najork 2008, 10.1007/978-3-540-78646-7_38).
    """
    right, score = np.asarray(right, dtype=bool), np.asarray(score, dtype=float)
    weights = np.ones((1, len(right)), dtype=int) if weights is None else np.asarray(weights)
    _, tie = np.unique(-np.where(np.isnan(score), -np.inf, score), return_inverse=True)
    n_ties = int(tie.max(initial=-1)) + 1
    member = np.zeros((len(tie), n_ties))
    member[np.arange(len(tie)), tie] = 1.0
    n, r = weights @ member, (weights * right) @ member  # (b, n_ties), best first
    before, right_before = np.cumsum(n, axis=1) - n, np.cumsum(r, axis=1) - r
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, weights.sum(axis=1).max() + 1))])
    step = harmonic[(before + n).astype(int)] - harmonic[before.astype(int)]
    slope = np.where(n > 1, (r - 1) / np.maximum(n - 1, 1), 0.0)
    gain = (right_before + 1) * step + slope * (n - (before + 1) * step)
    total = r.sum(axis=1)
    gains = (r / np.maximum(n, 1) * gain).sum(axis=1)
    return np.where(total > 0, gains / np.maximum(total, 1), np.nan)


def compare_rankings(
    rankings: Mapping[str, pd.Series],
    truth: pd.DataFrame,
    *,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Average precision of several rankings, and how far each is from the first.

    Parameters
    ----------
    rankings : mapping of str to Series
        Score by ``cell_type`` and ``compound_key`` (the Series' index levels); higher is
        better, NaN or absent is last. The first is what the others are compared to.
    truth : DataFrame
        ``cell_type compound_key rescues``: the compounds to be ranked, and the right ones.
    n_bootstrap : int
        Draws of compounds with replacement, the same for all rankings; a compound brings its
        rows of all cell types along.
    confidence : float
        Of the percentile intervals.
    seed : int

    Returns
    -------
    DataFrame
        Per cell type and ranking, and for their mean over cell types (``cell_type`` is
        ``"mean"``, where there are several): ``ranking n n_right average_precision low high``,
        ``chance`` (expected of a random order), ``difference difference_low difference_high``
        (to the first ranking, of the same draws; negative: worse than the first). Cell types
        without a right compound are passed over.

    Raises
    ------
    InputError
        If there is no ranking, or one names a compound twice in a cell type.
    """
    if not rankings:
        raise InputError("no ranking is given: name at least one")
    for name, score in rankings.items():
        if score.index.duplicated().any():
            raise InputError(f"ranking {name!r} names a compound twice: give one score each")
    truth = truth[[*_KEY, "rescues"]].reset_index(drop=True)
    truth["rescues"] = truth["rescues"].astype(str).str.casefold().eq("true")
    _, compound = np.unique(truth["compound_key"].astype(str), return_inverse=True)
    rng = np.random.default_rng(seed)
    n = int(compound.max(initial=-1)) + 1
    draws = rng.multinomial(n, np.full(n, 1 / max(n, 1)), n_bootstrap) if n else np.ones((1, 0))
    found: dict[str, list[np.ndarray]] = {name: [] for name in rankings}
    sizes = []
    for cell_type, part in truth.groupby("cell_type", sort=True, observed=True):
        right = part["rescues"].to_numpy()
        if not right.any():
            continue
        once = np.ones((1, len(part)), dtype=int)
        weights = np.concatenate([once, draws[:, compound[part.index]]])
        flat = expected_average_precision(right, np.zeros(len(part)))[0]
        sizes.append((str(cell_type), len(part), int(right.sum()), float(flat)))
        index = pd.MultiIndex.from_frame(part[_KEY])
        for name, score in rankings.items():
            values = score.reindex(index).to_numpy(dtype=float)
            found[name].append(expected_average_precision(right, values, weights))
    if len(sizes) > 1:
        _, counts, rights, chances = zip(*sizes, strict=True)
        sizes.append(("mean", sum(counts), sum(rights), float(np.mean(chances))))
        for lists in found.values():
            lists.append(np.mean(lists, axis=0))
    first = found[next(iter(rankings))]
    rows = [
        {
            "cell_type": cell_type,
            "ranking": name,
            "n": count,
            "n_right": n_right,
            **_interval(found[name][i], "", confidence),
            "chance": chance,
            **_interval(found[name][i] - first[i], "difference", confidence),
        }
        for i, (cell_type, count, n_right, chance) in enumerate(sizes)
        for name in rankings
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _interval(values: np.ndarray, name: str, confidence: float) -> dict[str, float]:
    """Value of the list itself (the first) and percentile interval of its draws."""
    tail = (1 - confidence) / 2
    draws = values[1:][~np.isnan(values[1:])]
    low, high = np.quantile(draws, [tail, 1 - tail]) if len(draws) else (np.nan, np.nan)
    label, prefix = (name, f"{name}_") if name else ("average_precision", "")
    return {label: float(values[0]), f"{prefix}low": float(low), f"{prefix}high": float(high)}
