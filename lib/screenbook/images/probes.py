"""What simple classifiers read from an embedding: nearest neighbours and a linear probe.

Both learn from fields of the training experiments and answer for fields of others. Classes
count alike however many fields they have, in what is learned and in how it is scored, since a
plate holds more negative controls than fields of any treatment.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import LogisticRegression

from screenbook.images.shares import Share, clustered_share

_BLOCK_BYTES = 64 << 20  # of one block of similarities


def unit_rows(points: np.ndarray) -> np.ndarray:
    """Scale rows to length 1, as float64; a row of zeros stays one."""
    points = np.asarray(points, dtype=np.float64)
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)


def cosine_blocks(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Cosine similarities of rows of `a` with all of `b`, a block of `a` at a time."""
    a, b = unit_rows(a), unit_rows(b)
    size = max(1, _BLOCK_BYTES // (8 * max(1, len(b))))
    for first in range(0, len(a), size):
        rows = slice(first, min(first + size, len(a)))
        yield rows, a[rows] @ b.T


def most_similar(similarity: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k largest entries of each row, largest first, (q, k)."""
    k = min(k, similarity.shape[1])
    some = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    within = np.argsort(-np.take_along_axis(similarity, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, within, axis=1)


def weighted_votes(
    similarity: np.ndarray, label: np.ndarray, weight: np.ndarray, temperature: float
) -> np.ndarray:
    """Add up the votes of neighbours for their classes.

    Parameters
    ----------
    similarity : ndarray, shape (q, k)
        Cosine with each neighbour; minus infinity for one that has no vote.
    label : ndarray of int, shape (q, k)
        Class of each.
    weight : ndarray, shape (n_classes,)
        What a vote for each class counts.
    temperature : float
        A vote counts exp(similarity / temperature).

    Returns
    -------
    ndarray, shape (q, n_classes)
        Shares of the votes.
    """
    size = np.exp((similarity - similarity.max(axis=1, keepdims=True)) / temperature)
    votes = np.zeros((len(label), len(weight)))
    np.add.at(
        votes, (np.repeat(np.arange(len(label)), label.shape[1]), label.ravel()), size.ravel()
    )
    votes *= weight
    return votes / votes.sum(axis=1, keepdims=True)


def class_weights(label: np.ndarray, n_classes: int, balanced: bool) -> np.ndarray:
    """One over the frequency of each class among `label`, or 1 for all."""
    if not balanced:
        return np.ones(n_classes)
    counts = np.bincount(label, minlength=n_classes)
    return len(label) / (n_classes * np.maximum(counts, 1))


def weighted_knn(
    bank: np.ndarray,
    label: np.ndarray,
    queries: np.ndarray,
    n_classes: int,
    *,
    k: int = 10,
    temperature: float = 0.1,
    balanced: bool = True,
) -> np.ndarray:
    """Classify by the k most similar fields of a bank (Wu et al. 2018, arXiv 1805.01978).

    Parameters
    ----------
    bank, queries : ndarray, shape (m, d) and (q, d)
        Features; neighbours are found by cosine.
    label : ndarray of int, shape (m,)
        Classes of the bank.
    n_classes : int
    k : int
        Neighbours that vote.
    temperature : float
        See :func:`weighted_votes`.
    balanced : bool
        Divide votes by how frequent their class is in the bank.

    Returns
    -------
    ndarray of int, shape (q,)
    """
    weight = class_weights(label, n_classes, balanced)
    out = np.empty(len(queries), dtype=np.int64)
    for rows, similarity in cosine_blocks(queries, bank):
        near = most_similar(similarity, k)
        closeness = np.take_along_axis(similarity, near, axis=1)
        out[rows] = weighted_votes(closeness, label[near], weight, temperature).argmax(axis=1)
    return out


def linear_probe(
    train: np.ndarray,
    label: np.ndarray,
    queries: np.ndarray,
    *,
    strength: float = 0.1,
    balanced: bool = True,
    max_iter: int = 300,
) -> np.ndarray:
    """Classify by multinomial logistic regression on features of mean 0 and SD 1 in training.

    Parameters
    ----------
    train, queries : ndarray, shape (m, d) and (q, d)
    label : ndarray of int, shape (m,)
        At least two classes.
    strength : float
        Inverse of the L2 penalty, C of scikit-learn.
    balanced : bool
        Weigh fields by one over the frequency of their class.
    max_iter : int
        Of L-BFGS.

    Returns
    -------
    ndarray of int, shape (q,)
    """
    mean, sd = train.mean(axis=0), train.std(axis=0)
    sd = np.where(sd > 1e-9, sd, 1.0)
    model = LogisticRegression(
        C=strength, max_iter=max_iter, tol=1e-3, class_weight="balanced" if balanced else None
    )
    # float64: in float32 the line search of L-BFGS stalls on rounding.
    model.fit(((train - mean) / sd).astype(np.float64), label)
    return np.asarray(model.predict(((queries - mean) / sd).astype(np.float64)))


def balanced_share(right: np.ndarray, label: np.ndarray, groups: np.ndarray) -> Share:
    """Mean over classes of the share of right answers, with an interval over groups.

    Parameters
    ----------
    right : ndarray of bool, shape (n,)
    label : ndarray of int, shape (n,)
        True class of each.
    groups : ndarray, shape (n,)
        Experiment of each.
    """
    right = np.asarray(right, dtype=np.float64)
    names, code = np.unique(label, return_inverse=True)
    if not len(names):
        return clustered_share(right, groups)
    counts = np.bincount(code)
    recall = np.bincount(code, weights=right) / counts
    # What each answer moves the mean of recalls by: a sum over these has its variance.
    influence = len(right) / (len(names) * counts[code]) * (right - recall[code])
    return clustered_share(recall.mean() + influence, groups)
