"""How near predicted expression changes are to observed ones, one row per condition.

All scores compare changes against one real control, so that a model cannot move its score by
predicting the control. A correlation with a constant is undefined and stays NaN: it is counted
(:func:`screenbook.retrieval_metrics.summarise`), never turned into a 0.

A prediction of the mean change of a line correlates with every drug in it, because drugs share
a response to stress. Figures named ``centred_`` subtract such a reference from prediction and
observation first, so that a model that knows no more than it scores nothing (Viñas Torné et
al. 2025, 10.1038/s41587-025-02777-8).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from screenbook.errors import InputError

_TINY = 1e-6
"""Spread, relative to the values themselves, below which a row is taken to be constant."""

_DISTANCES = {"l1": "cityblock", "l2": "euclidean", "cosine": "cosine"}


def score_effects(
    predicted: np.ndarray,
    observed: np.ndarray,
    *,
    error: np.ndarray | None = None,
    reference: np.ndarray | None = None,
    top: int = 50,
) -> pd.DataFrame:
    """Compare predicted with observed changes, over all genes and over those that change most.

    Parameters
    ----------
    predicted, observed : ndarray, shape (n, n_genes)
        Change of expression against control.
    error : ndarray, shape (n, n_genes), optional
        Standard error of `observed`: genes that change most are then those of the largest
        change in standard errors, else of the largest change. They are chosen by the truth.
    reference : ndarray, shape (n, n_genes), optional
        What any prediction should know, as the mean change of the line over training drugs.
    top : int
        Genes that change most; all, where there are fewer.

    Returns
    -------
    DataFrame
        One row per condition: ``mse mae cosine pearson spearman`` over all genes, the same as
        ``top_mse`` … ``top_spearman`` over the top genes, and ``sign_accuracy``: the share of
        top genes predicted to move as they do (half for a prediction of exactly 0; genes that
        do not move are passed over). With a reference also ``centred_cosine centred_pearson
        centred_spearman`` and their ``centred_top_`` forms, on the same top genes; errors do
        not change by centring. NaN where a score is undefined: a constant row has no
        correlation, a row of zeros no cosine.

    Raises
    ------
    InputError
        If shapes differ, a value of prediction or observation is not finite, or `top` is below 2.
    """
    predicted, observed = (np.asarray(x, dtype=np.float64) for x in (predicted, observed))
    _check(predicted, observed, {"error": error, "reference": reference}, top)
    best = _top_genes(observed, error, top)
    best_predicted, best_observed = (
        np.take_along_axis(x, best, axis=1) for x in (predicted, observed)
    )
    table = {
        "mse": ((predicted - observed) ** 2).mean(axis=1),
        "mae": np.abs(predicted - observed).mean(axis=1),
        **_agreement(predicted, observed, ""),
        "top_mse": ((best_predicted - best_observed) ** 2).mean(axis=1),
        "top_mae": np.abs(best_predicted - best_observed).mean(axis=1),
        **_agreement(best_predicted, best_observed, "top_"),
        "sign_accuracy": _sign_accuracy(best_predicted, best_observed),
    }
    if reference is not None:
        p, o = _without(predicted, reference), _without(observed, reference)
        table |= _agreement(p, o, "centred_")
        p, o = (np.take_along_axis(x, best, axis=1) for x in (p, o))
        table |= _agreement(p, o, "centred_top_")
    return pd.DataFrame(table)


def discrimination_scores(
    predicted: np.ndarray,
    observed: np.ndarray,
    *,
    within: np.ndarray | None = None,
    distance: str = "l1",
) -> np.ndarray:
    """Ask whether each prediction is nearer to its own observation than to the others.

    The score is 1 - r / (N - 1), where r of N observations are nearer than the own one, and
    ties count half: 1 if none is, 0 if all are.

    Parameters
    ----------
    predicted, observed : ndarray, shape (n, n_genes)
        Row i of both is one condition.
    within : ndarray, shape (n,), optional
        Group of each row, as its cell line: only observations of the same group compete.
    distance : {"l1", "l2", "cosine"}
        L1 and L2 reward predictions of the right size, cosine those of the right direction.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN in a group of one.

    Raises
    ------
    InputError
        If shapes differ, values are not finite, or the distance is unknown.

    Notes
    -----
    One vector predicted for every condition of a group scores 0.5 on average, exactly: its
    ranks of the N observations are 0 to N - 1, each once. The perturbation discrimination
    score of cell-eval divides by N instead, so that a constant gets 0.5 + 1 / (2 N), and breaks
    ties by the order of rows. A single row of a constant prediction is still near or far from
    its observation, so only means can be judged; and an inactive drug is anyone's neighbour, so
    that the score has a ceiling below 1 which replicates show.
    """
    predicted, observed = (np.asarray(x, dtype=np.float64) for x in (predicted, observed))
    _check(predicted, observed, {}, 2)
    if distance not in _DISTANCES:
        raise InputError(f"distance {distance!r} is none of {', '.join(_DISTANCES)}")
    n = len(predicted)
    _, group = np.unique(np.zeros(n) if within is None else within, return_inverse=True)
    out = np.full(n, np.nan)
    for g in range(int(group.max(initial=-1)) + 1):
        rows = np.flatnonzero(group == g)
        if len(rows) < 2:
            continue
        far = cdist(predicted[rows], observed[rows], metric=_DISTANCES[distance])
        # No direction, no cosine: such a prediction is as far from all, such a row from any.
        far = np.where(np.isnan(far), 1.0, far)
        own = np.diag(far)[:, None]
        nearer = (far < own).sum(axis=1) + ((far == own).sum(axis=1) - 1) / 2
        out[rows] = 1 - nearer / (len(rows) - 1)
    return out


def _check(
    predicted: np.ndarray, observed: np.ndarray, others: dict[str, np.ndarray | None], top: int
) -> None:
    shapes = {"predicted": predicted, **{k: v for k, v in others.items() if v is not None}}
    for name, values in shapes.items():
        if np.shape(values) != observed.shape or observed.ndim != 2:
            raise InputError(
                f"{name} changes of shape {np.shape(values)} do not fit observed ones of shape "
                f"{observed.shape}: give the same conditions and genes in the same order"
            )
    for name, values in (("predicted", predicted), ("observed", observed)):
        bad = ~np.isfinite(values)
        if bad.any():
            row, gene = np.argwhere(bad)[0]
            raise InputError(
                f"{name} changes: row {row + 1}, gene {gene + 1} is {values[row, gene]}; "
                "leave the condition out, or fill the gene in"
            )
    if top < 2:
        raise InputError(f"top is {top}; a correlation takes at least 2 genes")


def _top_genes(observed: np.ndarray, error: np.ndarray | None, top: int) -> np.ndarray:
    """Find the genes that change most in truth, (n, top); one without an error comes last."""
    size = np.abs(observed)
    if error is not None:
        known = np.isfinite(error) & (np.asarray(error) > 0)
        size = np.where(known, size / np.where(known, error, 1.0), 0.0)
    return np.argsort(-size, axis=1, kind="stable")[:, :top]


def _without(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Subtract the reference; what is left of rounding alone is made an exact zero."""
    left = values - reference
    scale = np.maximum(np.abs(values), np.abs(reference)).max(axis=1, initial=0.0, keepdims=True)
    return np.where(np.abs(left).max(axis=1, initial=0.0, keepdims=True) > _TINY * scale, left, 0.0)


def _agreement(p: np.ndarray, o: np.ndarray, prefix: str) -> dict[str, np.ndarray]:
    ranks = (rankdata(x, axis=1) for x in (p, o))
    return {
        f"{prefix}cosine": _cosine(p, o),
        f"{prefix}pearson": _cosine(*(_centre(x) for x in (p, o))),
        f"{prefix}spearman": _cosine(*(_centre(x) for x in ranks)),
    }


def _centre(values: np.ndarray) -> np.ndarray:
    spread = np.ptp(values, axis=1, keepdims=True)
    flat = spread <= _TINY * np.abs(values).max(axis=1, initial=0.0, keepdims=True)
    return np.where(flat, 0.0, values - values.mean(axis=1, keepdims=True))


def _cosine(p: np.ndarray, o: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(p, axis=1) * np.linalg.norm(o, axis=1)
    return np.where(length > 0, (p * o).sum(axis=1) / np.where(length > 0, length, 1.0), np.nan)


def _sign_accuracy(p: np.ndarray, o: np.ndarray) -> np.ndarray:
    moves = o != 0
    right = np.where(p == 0, 0.5, (np.sign(p) == np.sign(o)).astype(float))
    n = moves.sum(axis=1)
    return np.where(n > 0, (right * moves).sum(axis=1) / np.maximum(n, 1), np.nan)
