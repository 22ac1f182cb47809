"""What a simple classifier can tell of wells it has not seen: their plate, or their disease.

The first should fail after a batch correction, the second should not. Both are asked of
control wells, by linear discriminant analysis with a shrunken covariance
(Ledoit & Wolf 2004, 10.1016/S0047-259X(03)00096-4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from screenbook.profiles.whitening import shrunken_covariance


class ShrunkenLDA:
    """Linear discriminant analysis in closed form, with a Ledoit-Wolf covariance.

    Classes have equal prior weight. Fitting takes milliseconds, which permutation nulls need.
    """

    def fit(self, points: np.ndarray, labels: np.ndarray, n_classes: int) -> ShrunkenLDA:
        """Learn class means and the shared covariance.

        Parameters
        ----------
        points : ndarray, shape (n, k)
        labels : ndarray of int, shape (n,)
        n_classes : int
            Classes without a row are never predicted.
        """
        counts = np.bincount(labels, minlength=n_classes)
        member = np.zeros((n_classes, len(labels)))
        member[labels, np.arange(len(labels))] = 1.0
        means = member @ points / np.maximum(counts, 1)[:, None]
        covariance, _ = shrunken_covariance(points - means[labels])
        # A sphere of rounding's size, for points that do not vary at all.
        covariance += 1e-9 * max(float(np.trace(covariance)), 1e-12) * np.eye(len(covariance))
        self.weights = np.linalg.solve(covariance, means.T)  # (k, n_classes)
        self.offset = -0.5 * np.einsum("ck,kc->c", means, self.weights)
        self.offset[counts == 0] = -np.inf
        return self

    def decide(self, points: np.ndarray) -> np.ndarray:
        """Log odds of each class up to a constant of the row, (n, n_classes)."""
        return points @ self.weights + self.offset


@dataclass(frozen=True)
class Predictability:
    """How well a classifier tells the batch of a well it has not seen.

    Attributes
    ----------
    accuracy : float
        Mean over batches of the share of wells assigned to their own batch, 0 to 1.
    chance : float
        Mean of the same under permuted labels.
    null_high : float
        95th percentile under permuted labels.
    p : float
        Share of permutations that do as well, (b + 1) / (m + 1).
    n, n_batches, n_permutations : int
    """

    accuracy: float
    chance: float
    null_high: float
    p: float
    n: int
    n_batches: int
    n_permutations: int


def predictability(
    points: np.ndarray,
    batch: np.ndarray,
    *,
    blocks: np.ndarray | None = None,
    n_folds: int = 5,
    n_permutations: int = 20,
    seed: int = 0,
) -> Predictability | None:
    """Tell the batch of wells by cross-validated, shrunken linear discriminant analysis.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Coordinates of control wells.
    batch : ndarray of int, shape (n,)
        The label to be told.
    blocks : ndarray of int, shape (n,), optional
        Wells that stay together, in folds as in permutations: plates, when the label is the
        experiment.
    n_folds : int
        Folds; the wells (or blocks) of every batch are spread over all of them.
    n_permutations : int
        Labels are permuted among wells (or among blocks) this many times.
    seed : int
        Of folds and permutations.

    Returns
    -------
    Predictability or None
        None if there are fewer than two batches, or no batch could be learned: one well of
        each, or (with blocks) one block of each.
    """
    rng = np.random.default_rng(seed)
    names, label = np.unique(batch, return_inverse=True)
    _, first, block = np.unique(
        np.arange(len(label)) if blocks is None else blocks, return_index=True, return_inverse=True
    )
    owner = label[first]  # of each block
    if len(names) < 2 or np.bincount(owner).min() < 2:
        return None
    fold = _spread_folds(owner, n_folds, rng)[block]

    def accuracy(labels: np.ndarray) -> float:
        right = np.zeros(len(labels), dtype=bool)
        for f in range(fold.max() + 1):
            test = fold == f
            model = ShrunkenLDA().fit(points[~test], labels[~test], len(names))
            right[test] = model.decide(points[test]).argmax(axis=1) == labels[test]
        hits = np.bincount(labels, right, len(names)) / np.bincount(labels, minlength=len(names))
        return float(hits.mean())

    observed = accuracy(label)
    null = np.empty(n_permutations)
    for i in range(n_permutations):
        null[i] = accuracy(rng.permutation(owner)[block])
    return Predictability(
        observed,
        float(null.mean()) if n_permutations else 1 / len(names),
        float(np.quantile(null, 0.95)) if n_permutations else float("nan"),
        float((1 + (null >= observed).sum()) / (1 + n_permutations)),
        len(label),
        len(names),
        n_permutations,
    )


def _spread_folds(label: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Folds over which every label is spread as evenly as can be."""
    n_folds = min(n_folds, int(np.bincount(label).max()))
    order = np.lexsort((rng.random(len(label)), label))
    fold = np.empty(len(label), dtype=int)
    fold[order] = np.arange(len(label)) % n_folds
    return fold


@dataclass(frozen=True)
class Separation:
    """How well two kinds of control part on plates that the axis was not learned from.

    Attributes
    ----------
    auc : float
        Probability that a diseased well scores above a healthy one, over wells of all plates
        together: 0.5 is chance, below 0.5 the axis points the wrong way.
    low, high, se : float
        95 % interval and standard error from resampling plates.
    within : float
        The same for pairs of wells on one plate only, mean over plates.
    by_plate : ndarray, shape (n_plates,)
        AUC within each plate; NaN where it lacks a kind.
    plates : ndarray of int, shape (n_plates,)
        Codes of the plates.
    scores : ndarray, shape (n,)
        Held-out score of each well, in the order given.
    """

    auc: float
    low: float
    high: float
    se: float
    within: float
    by_plate: np.ndarray
    plates: np.ndarray
    scores: np.ndarray


def leave_plate_out_scores(
    points: np.ndarray, diseased: np.ndarray, plates: np.ndarray
) -> np.ndarray | None:
    """Place every well on the axis from healthy to diseased that all other plates teach.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Coordinates of wells.
    diseased : ndarray of int, shape (n,)
        1 for diseased and 0 for healthy controls; -1 for wells that teach nothing.
    plates : ndarray of int, shape (n,)
        Plate of each.

    Returns
    -------
    ndarray of float64, shape (n,), or None
        Log odds of being diseased; None if, without one plate, fewer than two wells of a kind
        are left to learn from.
    """
    points = np.asarray(points, dtype=np.float64)
    score = np.empty(len(points))
    for plate in np.unique(plates):
        test = plates == plate
        teach = ~test & (diseased >= 0)
        if np.bincount(diseased[teach], minlength=2).min() < 2:
            return None
        odds = ShrunkenLDA().fit(points[teach], diseased[teach], 2).decide(points[test])
        score[test] = odds[:, 1] - odds[:, 0]
    return score


def separation(
    points: np.ndarray,
    diseased: np.ndarray,
    plates: np.ndarray,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> Separation | None:
    """Tell diseased from healthy controls on one plate by what all other plates teach.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Coordinates of control wells.
    diseased : ndarray of bool, shape (n,)
        Kind of each.
    plates : ndarray of int, shape (n,)
        Plate of each.
    n_boot : int
        Times that plates are resampled, for the interval.
    seed : int
        Of the resampling.

    Returns
    -------
    Separation or None
        None with fewer than two plates, or if a kind is missing from what is learned from.
    """
    names, plate = np.unique(plates, return_inverse=True)
    label = np.asarray(diseased).astype(int)
    score = leave_plate_out_scores(points, label, plate)
    if score is None or len(names) < 2:
        return None
    wins, pairs = _wins_between_plates(score, label, plate, len(names))
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_boot)
    total = np.einsum("bp,pq,bq->b", weights, pairs, weights, optimize=True)
    won = np.einsum("bp,pq,bq->b", weights, wins, weights, optimize=True)
    boot = won[total > 0] / total[total > 0]
    own, own_pairs = np.diag(wins), np.diag(pairs)
    by_plate = np.where(own_pairs > 0, own / np.maximum(own_pairs, 1), np.nan)
    low, high = np.quantile(boot, [0.025, 0.975])
    return Separation(
        float(wins.sum() / pairs.sum()),
        float(low),
        float(high),
        float(boot.std()),
        float(np.nanmean(by_plate)) if (own_pairs > 0).any() else float("nan"),
        by_plate,
        names,
        score,
    )


def _wins_between_plates(
    score: np.ndarray, label: np.ndarray, plate: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs in which a diseased well of plate p scores above a healthy one of plate q, (n, n)."""
    wins = np.zeros((n, n))
    pairs = np.zeros((n, n))
    diseased = [np.sort(score[(label == 1) & (plate == p)]) for p in range(n)]
    healthy = [np.sort(score[(label == 0) & (plate == p)]) for p in range(n)]
    for p, upper in enumerate(diseased):
        for q, lower in enumerate(healthy):
            below = np.searchsorted(lower, upper, side="left").sum()
            upto = np.searchsorted(lower, upper, side="right").sum()
            wins[p, q] = (below + upto) / 2
            pairs[p, q] = len(upper) * len(lower)
    return wins, pairs
