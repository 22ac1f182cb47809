"""How well classes are told on experiments that nothing was learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from screenbook.images.embedding_scores import score_row
from screenbook.images.probes import balanced_share, linear_probe, weighted_knn
from screenbook.images.shares import Share, clustered_share


@dataclass(frozen=True)
class ClassAccuracy:
    """How well two probes tell the classes.

    Attributes
    ----------
    scores : list of dict
        Rows of ``Evaluation.scores``.
    per_class, by_experiment : DataFrame
        As in ``Evaluation``.
    """

    scores: list[dict[str, Any]]
    per_class: pd.DataFrame
    by_experiment: pd.DataFrame


def class_accuracy(
    points: np.ndarray,
    label: np.ndarray,
    classes: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    experiment: np.ndarray,
    *,
    k: int = 10,
    temperature: float = 0.1,
    probe_strength: float = 0.1,
    balanced: bool = True,
) -> ClassAccuracy:
    """Learn classes from training fields and tell those of test fields.

    Parameters
    ----------
    points : ndarray, shape (n, d)
    label : ndarray of int, shape (n,)
        -1 for fields that take no part.
    classes : ndarray of str
        Names, in the order of the codes.
    train, test : ndarray of bool, shape (n,)
    experiment : ndarray of str, shape (n,)
        What intervals are over.
    k, temperature, probe_strength, balanced
        See :mod:`screenbook.images.probes`. With `balanced`, chance is one over the number of
        classes; without, the share of the most frequent class.
    """
    train, test = train & (label >= 0), test & (label >= 0)
    known, truth = label[train], label[test]
    experiment, n = experiment[test], len(classes)
    guesses = {
        "knn": weighted_knn(
            *(points[train], known, points[test], n),
            k=k,
            temperature=temperature,
            balanced=balanced,
        ),
        "linear": linear_probe(
            *(points[train], known, points[test]), strength=probe_strength, balanced=balanced
        ),
    }
    share: Callable[..., Share] = balanced_share if balanced else _plain_share
    chance = 1 / n if balanced else float(np.bincount(truth).max() / len(truth))
    scores, per_class, by_experiment = [], [], []
    for measure, guess in guesses.items():
        right = guess == truth
        scores.append(score_row(measure, share(right, truth, experiment), chance, "experiments"))
        per_class.append(class_table(truth, guess, classes).assign(by=measure))
        for name in np.unique(experiment):
            mine = experiment == name
            value = share(right[mine], truth[mine], experiment[mine]).value
            by_experiment.append(
                {"measure": measure, "experiment": name, "value": value, "n": int(mine.sum())}
            )
    tables = pd.concat(per_class, ignore_index=True)
    return ClassAccuracy(scores, tables, pd.DataFrame(by_experiment))


def class_table(truth: np.ndarray, guess: np.ndarray, classes: np.ndarray) -> pd.DataFrame:
    """Recall and precision of each class, and what it is most often taken for.

    Parameters
    ----------
    truth, guess : ndarray of int, shape (n,)
    classes : ndarray of str
        Names, in the order of the codes.

    Returns
    -------
    DataFrame
        ``class n recall precision confused_with confused_share``; NaN precision where nothing
        was called so.
    """
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (truth, guess), 1)
    n, called, right = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    wrong = counts - np.diag(right)
    other = wrong.argmax(axis=1)
    rate = wrong.max(axis=1) / np.maximum(n, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return pd.DataFrame(
            {
                "class": classes,
                "n": n.astype(int),
                "recall": right / n,
                "precision": right / called,
                "confused_with": np.where(rate > 0, classes[other], ""),
                "confused_share": rate,
            }
        )


def _plain_share(right: np.ndarray, label: np.ndarray, groups: np.ndarray) -> Share:
    return clustered_share(right, groups)
