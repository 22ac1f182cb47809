"""Whether signatures find their own compound again, on another plate or at another dose.

The question that every later claim stands on: if replicates do not find each other, no ranking of
drugs by their signatures can mean anything. Lines are asked one by one, and the way of comparing
is chosen by other compounds than those it is judged by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.expression.comparison import (
    Method,
    RetrievalTask,
    SignatureRows,
    score_library,
)
from screenbook.expression.effect_metrics import score_effects
from screenbook.expression.method_choice import cross_fit
from screenbook.expression.signatures import Signatures
from screenbook.retrieval_metrics import NOT_RELEVANT, SAME_PARENT, score_rankings

N_FOLDS = 5

FEWEST = 10
"""Pairs of drug and line that two plates must share; of few drugs a fifth."""


@dataclass(frozen=True)
class ReplicateTasks:
    """One task for each line.

    Attributes
    ----------
    across : str
        ``"plates"`` (the same dose on another plate) or ``"doses"``.
    told : str
        Queries and library in words.
    tasks : tuple of ReplicateTask
    """

    across: str
    told: str
    tasks: tuple[RetrievalTask, ...]


def replicate_tasks(signatures: Signatures, profiles: ad.AnnData) -> ReplicateTasks:
    """Pair up what was measured twice: on two plates, or else at two doses.

    Across plates, queries are the highest dose's conditions on the plate that has most compounds
    of other plates, and the library is that dose on all other plates. Where no compound comes on
    two plates, the second highest dose asks the highest.

    Raises
    ------
    InputError
        If neither is there.
    """
    obs = signatures.obs.reset_index(drop=True)
    compound = obs["compound_key"].to_numpy(dtype=object)
    measured = obs.groupby(["compound_key", "cell_line"])["dose"]
    place = measured.rank(method="dense", ascending=False).to_numpy()
    top = place == 1
    shared = {
        plate: _n_shared(obs[top], (obs["plate"][top] == plate).to_numpy())
        for plate in sorted(obs["plate"].unique())
    }
    plate = max(shared, key=lambda name: shared[name])
    # One positive control on every plate makes no replicates of a screen.
    if shared[plate] and shared[plate] >= min(FEWEST, 0.2 * obs["compound_key"].nunique()):
        on_plate = (obs["plate"] == plate).to_numpy()
        asks, answers, across = top & on_plate, top & ~on_plate, "plates"
        told = f"highest dose on {plate} asks the highest dose on all other plates"
    else:
        asks, answers, across = place == 2, top, "doses"
        told = "second highest dose of each drug asks the highest"
        both = obs[measured.transform("nunique") > 1]
        pairs = both.groupby(["compound_key", "cell_line"])["dose"].unique()
        steps = {tuple(np.sort(doses)[-2:]) for doses in pairs}
        if len(steps) == 1:
            told = "{:g} µM asks {:g} µM".format(*steps.pop())
    tasks = []
    for line in sorted(obs["cell_line"].unique()):
        here = (obs["cell_line"] == line).to_numpy()
        if set(compound[here & asks]) & set(compound[here & answers]):
            query, library = (_rows(signatures, here & side) for side in (asks, answers))
            tasks.append(RetrievalTask(query, library, _control_spread(profiles, line), line))
    if not tasks:
        raise InputError(
            "no drug was measured twice in one line, on two plates or at two doses: there are no "
            "replicates to find"
        )
    return ReplicateTasks(across, told, tuple(tasks))


def plain_scores(tasks: Sequence[RetrievalTask], methods: Mapping[str, Method]) -> pd.DataFrame:
    """Score fixed methods.

    Returns
    -------
    DataFrame
        One row per query of a compound that the library has: ``method``, ``line``, ``compound``
        and the columns of :func:`~screenbook.retrieval_metrics.score_rankings`.
    """
    parts = []
    for task in tasks:
        for name, method in methods.items():
            scores = score_library(method, task.query, task.library, task.controls)
            parts.append(_scored(scores, task).assign(method=name))
    return pd.concat(parts, ignore_index=True)


def chance_scores(tasks: Sequence[RetrievalTask]) -> pd.DataFrame:
    """Score an order by nothing: as :func:`plain_scores`, with ``method`` ``"chance"``."""
    parts = [_scored(np.zeros((len(t.query.delta), len(t.library.delta))), t) for t in tasks]
    return pd.concat(parts, ignore_index=True).assign(method="chance")


def cross_fitted_scores(
    tasks: Sequence[RetrievalTask], methods: Sequence[Method], *, n_best: int = 3, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score every query by the methods that serve compounds of other folds best, in all lines.

    Parameters
    ----------
    tasks : sequence of RetrievalTask
    methods : sequence of Method
    n_best : int
        Methods to average.
    seed : int
        Of the draw of folds.

    Returns
    -------
    scores : DataFrame
        As :func:`plain_scores` gives, with ``method`` ``"chosen"``.
    choice : DataFrame
        See :class:`~screenbook.expression.method_choice.CrossFit`.
    """
    n_compounds = len(set(np.concatenate([t.query.compound for t in tasks])))
    fitted = cross_fit(tasks, methods, n_folds=min(N_FOLDS, n_compounds), n_best=n_best, seed=seed)
    parts = [_scored(scores, task) for scores, task in zip(fitted.scores, tasks, strict=True)]
    return pd.concat(parts, ignore_index=True).assign(method="chosen"), fitted.choice


def reference_table(signatures: Mapping[str, Signatures], profiles: ad.AnnData) -> pd.DataFrame:
    """Compare ways to subtract controls by what they leave of plates, and by replicates.

    Parameters
    ----------
    signatures : mapping of str to Signatures
        By the name of the reference.
    profiles : AnnData
        They were made of.

    Returns
    -------
    DataFrame
        One row per reference: ``reference``, ``told_by_plate`` (share of the squared change that
        the mean of each line and plate tells), ``replicate_pearson`` (mean correlation of the
        same compound, line and dose on two plates; NaN without), ``hit@10`` and ``median_rank``
        (replicates or doses by plain cosine) and ``n_queries``.
    """
    rows = []
    for name, some in signatures.items():
        where = some.obs["cell_line"].astype(str) + "|" + some.obs["plate"].astype(str)
        mean = pd.DataFrame(some.delta).groupby(where.to_numpy()).transform("mean").to_numpy()
        tasks = replicate_tasks(some, profiles)
        scored = plain_scores(tasks.tasks, {name: Method()})
        rows.append(
            {
                "reference": name,
                "told_by_plate": float((mean**2).sum() / (some.delta.astype(float) ** 2).sum()),
                "replicate_pearson": _replicate_pearson(tasks),
                "hit@10": float(scored["hit@10"].mean()),
                "median_rank": float(scored["own_rank"].median()),
                "n_queries": len(scored),
            }
        )
    return pd.DataFrame(rows)


def _replicate_pearson(tasks: ReplicateTasks) -> float:
    found = []
    for task in tasks.tasks if tasks.across == "plates" else ():
        names, first = np.unique(task.library.compound, return_index=True)
        at = pd.Index(names).get_indexer(pd.Index(task.query.compound))
        one, other = task.query.delta[at >= 0], task.library.delta[first[at[at >= 0]]]
        found.append(score_effects(one, other)["pearson"].to_numpy())
    return float(np.nanmean(np.concatenate(found))) if found else float("nan")


def _scored(scores: np.ndarray, task: RetrievalTask) -> pd.DataFrame:
    same = np.asarray(task.query.compound)[:, None] == np.asarray(task.library.compound)
    own = np.where(same, SAME_PARENT, NOT_RELEVANT)
    table = score_rankings(scores, own, ks=(1, 2, 5, 10, 20, 50))
    table = table.assign(line=task.line, compound=np.asarray(task.query.compound))
    return table[table["n_own"] > 0]


def _n_shared(obs: pd.DataFrame, here: np.ndarray) -> int:
    """Count drugs that a line has here and elsewhere."""
    pairs = (obs["compound_key"].astype(str) + "|" + obs["cell_line"].astype(str)).to_numpy()
    return len(set(pairs[here]) & set(pairs[~here]))


def _rows(signatures: Signatures, rows: np.ndarray) -> SignatureRows:
    some = signatures.subset(rows)
    batch = some.obs["plate"].astype(str) + "|" + some.obs["cell_line"].astype(str)
    return SignatureRows(
        delta=some.delta.astype(np.float64),
        compound=some.obs["compound_key"].to_numpy(dtype=object).astype(str),
        batch=batch.to_numpy(dtype=object).astype(str),
    )


def _control_spread(profiles: ad.AnnData, line: str) -> np.ndarray | None:
    obs = profiles.obs
    rows = (obs["role"].eq("control") & obs["cell_line"].eq(line)).to_numpy()
    frame = pd.DataFrame(np.asarray(profiles.X[rows], dtype=np.float64))
    plates = obs.loc[rows, "plate"].astype(str).to_numpy()
    spread = (frame - frame.groupby(plates).transform("mean")).to_numpy()
    return spread if len(spread) - len(set(plates)) > 1 else None
