"""Choose how signatures are compared, without the queries that judge the choice.

With some hundred ways to compare signatures, the best of them on the queries at hand is partly
the luckiest. So compounds are divided in folds: the methods for the queries of a fold are those
that find the compounds of the other folds best in the whole library. Every query is then scored
by methods that were chosen without its compound (cross-fitting).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.expression.comparison import (
    Comparison,
    Method,
    RetrievalTask,
    SignatureRows,
    combine_methods,
)
from screenbook.retrieval_metrics import NOT_RELEVANT, SAME_PARENT, score_rankings


def judge_methods(
    query: SignatureRows,
    library: SignatureRows,
    methods: Sequence[Method],
    controls: np.ndarray | None = None,
) -> pd.DataFrame:
    """Find each query's own compound by every method.

    Parameters
    ----------
    query, library, controls
        As in :func:`screenbook.expression.comparison.score_library`.
    methods : sequence of Method

    Returns
    -------
    DataFrame
        Reciprocal rank of the first own candidate, expected over ties: one row per query, one
        column per method (its name, ``str(method)``). NaN where the library lacks the compound.
    """
    same = np.asarray(query.compound)[:, None] == np.asarray(library.compound)
    own = np.where(same, SAME_PARENT, NOT_RELEVANT)
    comparison = Comparison(query, library, controls)
    # Methods that share a space and a score follow each other, and share what they compute.
    order = sorted(methods, key=lambda m: (m.centre, str(m.space), m.score))
    found = {
        str(m): score_rankings(comparison.scores(m), own, ks=())["own_reciprocal_rank"]
        for m in order
    }
    return pd.DataFrame({str(m): found[str(m)] for m in methods})


def choose_methods(found: pd.DataFrame, compound: np.ndarray, n_best: int = 3) -> list[str]:
    """Take the methods that find compounds best, each compound counted once.

    Parameters
    ----------
    found : DataFrame, q rows
        From :func:`judge_methods`.
    compound : ndarray, shape (q,)
    n_best : int
        How many to take.

    Returns
    -------
    list of str
        Names, best first; among equals the first in the table.

    Raises
    ------
    InputError
        If no query's compound is in the library.
    """
    means = found.groupby(np.asarray(compound)).mean().mean()
    if means.isna().all():
        raise InputError(
            "no query has its compound in the library, so no method can be chosen: add "
            "replicates, or name a method"
        )
    return [str(name) for name in means.sort_values(ascending=False, kind="stable").index[:n_best]]


@dataclass(frozen=True)
class CrossFit:
    """Scores by methods that were chosen without the query's compound.

    Attributes
    ----------
    scores : tuple of ndarray, each of shape (q, c)
        By task.
    fold : ndarray of int, shape (n_queries,)
        The fold of each query's compound, one task after the other.
    choice : DataFrame
        One row per fold and chosen method: ``fold place`` (1 = best) ``method n_chosen_on``
        (queries) ``chosen_on`` (mean reciprocal rank where it was chosen) and ``held_out`` (on
        the fold itself).
    """

    scores: tuple[np.ndarray, ...]
    fold: np.ndarray
    choice: pd.DataFrame


def cross_fit(
    tasks: Sequence[RetrievalTask],
    methods: Sequence[Method],
    *,
    n_folds: int = 5,
    n_best: int = 3,
    seed: int = 0,
) -> CrossFit:
    """Score every query by the methods that are best for the compounds of other folds.

    The best few are averaged: with some tens of compounds, which is first is much chance.
    Spaces are learned from the whole library, unnamed: a library is there before a query comes.

    Parameters
    ----------
    tasks : sequence of RetrievalTask
        Methods are chosen on all of them together: a compound is in one fold in every line.
    methods : sequence of Method
    n_folds : int
        Groups of compounds.
    n_best : int
        Methods to average; 1 takes the best alone.
    seed : int
        Of the draw of folds.

    Raises
    ------
    InputError
        If there are fewer compounds than folds, or none of the others is in the library.
    """
    compound = np.concatenate([np.asarray(t.query.compound).astype(str) for t in tasks])
    names, code = np.unique(compound, return_inverse=True)
    if not 2 <= n_folds <= len(names):
        raise InputError(
            f"{n_folds} folds of {len(names)} compounds: take 2 folds or more, each with a compound"
        )
    fold = (np.random.default_rng(seed).permutation(len(names)) % n_folds)[code]
    judged = [judge_methods(t.query, t.library, methods, t.controls) for t in tasks]
    found = pd.concat(judged, ignore_index=True)
    best = [choose_methods(found[fold != f], code[fold != f], n_best) for f in range(n_folds)]
    ends = np.cumsum([len(t.query.delta) for t in tasks])[:-1]
    scores = tuple(
        _scores_by_fold(task, own, best, methods)
        for task, own in zip(tasks, np.split(fold, ends), strict=True)
    )
    rows = [
        {
            "fold": f,
            "place": place,
            "method": name,
            "n_chosen_on": int(found.loc[fold != f, name].notna().sum()),
            "chosen_on": float(found.loc[fold != f, name].mean()),
            "held_out": float(found.loc[fold == f, name].mean()),
        }
        for f, chosen in enumerate(best)
        for place, name in enumerate(chosen, start=1)
    ]
    return CrossFit(scores, fold, pd.DataFrame(rows))


def _scores_by_fold(
    task: RetrievalTask, fold: np.ndarray, best: list[list[str]], methods: Sequence[Method]
) -> np.ndarray:
    """Score each query by the methods that were chosen for its fold."""
    named = {str(method): method for method in methods}
    known: dict[tuple[str, ...], np.ndarray] = {}
    scores = np.full((len(task.query.delta), len(task.library.delta)), np.nan)
    for f in np.unique(fold):
        names = tuple(best[f])
        if names not in known:
            chosen = [named[name] for name in names]
            known[names] = combine_methods(chosen, task.query, task.library, task.controls)
        scores[fold == f] = known[names][fold == f]
    return scores
