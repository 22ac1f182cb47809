"""Predict a drug's effect from its structure by simple means: neighbours and ridge regression.

They serve drugs never profiled, and the ridge serves lines never treated, by their basal
expression. That linear models of this kind hold their ground against deep ones is the finding
of Ahlmann-Eltze, Huber & Anders, Nat. Methods 22, 1657 (2025), doi:10.1038/s41592-025-02772-6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg

from screenbook.expression.training_rows import TrainingRows, group_means
from screenbook.fingerprints import tanimoto

N_NEIGHBOURS = 5
STRENGTHS = tuple(10.0**e for e in (-4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 2))
"""Ridge penalties tried, for one condition; the mean square of a block of features is 1."""

_N_STRUCTURE, _N_CROSSED = 32, 16  # principal components of fingerprints; those met by lines
_N_LINE = 6  # of basal expression
_N_OUTPUT = 10  # of the change
_N_FOLDS = 4


def knn_predictions(
    train: TrainingRows, obs: pd.DataFrame, k: int = N_NEIGHBOURS
) -> tuple[np.ndarray, np.ndarray]:
    """Average the drugs of the most similar structures, at the same dose.

    A neighbour gives its change in the same line where it was profiled there, and its mean over
    lines where not. A drug seen in other lines is its own nearest neighbour. Of neighbours
    equally near the first in order of keys count.

    Parameters
    ----------
    train : TrainingRows
    obs : DataFrame, m rows
    k : int
        Neighbours, weighted by their Tanimoto similarity.

    Returns
    -------
    prediction : ndarray of float32, shape (m, n_genes)
        0 where `served` is False.
    served : ndarray of bool, shape (m,)
        Whether any drug shares a bit with this one.
    """
    level = train.levels(train.obs["dose"])
    known, line = (train.obs[c].to_numpy(dtype=object) for c in ("compound_key", "cell_line"))
    in_line = group_means(train.delta, train.weight, level, known, line)
    over_lines = group_means(train.delta, train.weight, level, known)
    means = np.vstack([in_line.means, over_lines.means])
    asked_level, asked_key = train.levels(obs["dose"]), obs["compound_key"].to_numpy(dtype=object)
    total = np.zeros(len(obs))
    prediction = np.zeros((len(obs), train.delta.shape[1]), dtype=np.float32)
    for dose in np.unique(asked_level):
        rows = np.flatnonzero(asked_level == dose)
        keys = np.unique(known[level == dose])
        drugs, drug = np.unique(asked_key[rows], return_inverse=True)
        alike = tanimoto(
            train.fingerprints.loc[drugs].to_numpy(), train.fingerprints.loc[keys].to_numpy()
        )
        nearest = np.argsort(-alike, axis=1, kind="stable")[:, :k]
        for place in range(nearest.shape[1]):
            near = nearest[:, place]
            weight = alike[np.arange(len(drugs)), near][drug]
            key = keys[near][drug]
            at = np.full(len(rows), dose)
            here = in_line.find(at, key, obs["cell_line"].to_numpy(dtype=object)[rows])
            elsewhere = len(in_line.means) + over_lines.find(at, key)
            prediction[rows] += weight[:, None] * means[np.where(here >= 0, here, elsewhere)]
            total[rows] += weight
    served = total > 0
    prediction /= np.where(served, total, 1)[:, None].astype(np.float32)
    return prediction, served


def ridge_predictions(
    train: TrainingRows, obs: pd.DataFrame, residual: np.ndarray, *, low_rank: bool = False
) -> np.ndarray:
    """Regress what a simpler prediction leaves on structure, line and dose.

    Features come in blocks: the line (one-hot, and principal components of basal expression, by
    which a line never treated has features too), principal components of the fingerprints and,
    unless `low_rank`, the products of both; each times a polynomial of the dose level, of degree
    2 at most. One block is regressed after the other, on what those before it left, because how
    far lines can be trusted says nothing on how far structures can: each has a penalty of its
    own, chosen by 4-fold validation over ``train.unit``.

    Parameters
    ----------
    train : TrainingRows
    obs : DataFrame, m rows
    residual : ndarray, shape (n, n_genes)
        Change of the training rows less what is predicted without features.
    low_rank : bool
        Regress the first ten principal components of `residual`, without products.

    Returns
    -------
    ndarray of float32, shape (m, n_genes)
        Predicted residual.
    """
    design = _fit_design(train, crossed=not low_rank)
    root = np.sqrt(train.weight / train.weight.mean()).astype(np.float32)[:, None]
    target = residual.astype(np.float32) * root
    axes = None
    if low_rank:
        axes = _principal_axes(target, _N_OUTPUT)
        target = target @ axes
    fold = _folds(train)
    predicted = np.zeros((len(obs), target.shape[1]), dtype=np.float32)
    for known, asked in zip(design.blocks(train.obs), design.blocks(obs), strict=True):
        known *= root
        coefficients = fit_ridge(known, target, fold)
        target = target - known @ coefficients
        predicted += asked @ coefficients
    return predicted if axes is None else predicted @ axes.T


def fit_ridge(X: np.ndarray, Y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Fit a ridge regression without intercept, its penalty chosen by validation over folds.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    Y : ndarray, shape (n, q)
    fold : ndarray of int, shape (n,)
        With a single fold there is nothing to choose by: the penalty is 1 for a condition.

    Returns
    -------
    ndarray of float32, shape (p, q)
        Coefficients; the penalty is ``n`` times one of :data:`STRENGTHS`.
    """
    folds = np.unique(fold)
    grams = [(X[fold == f].T @ X[fold == f]).astype(np.float64) for f in folds]
    cross = [(X[fold == f].T @ Y[fold == f]).astype(np.float64) for f in folds]
    gram, target = np.sum(grams, axis=0), np.sum(cross, axis=0)
    strength = 1.0
    if len(folds) > 1:
        loss = np.zeros(len(STRENGTHS))
        for f, part, aside in zip(folds, grams, cross, strict=True):
            n = int((fold != f).sum())
            values, vectors = linalg.eigh(gram - part)
            rotated = vectors.T @ (target - aside)
            inner, outer = vectors.T @ part @ vectors, vectors.T @ aside
            for i, s in enumerate(STRENGTHS):
                b = rotated / (np.maximum(values, 0) + n * s)[:, None]
                loss[i] += np.sum(b * (inner @ b - 2 * outer))
        strength = STRENGTHS[int(loss.argmin())]
    penalty = len(X) * strength * np.eye(len(gram))
    return linalg.solve(gram + penalty, target, assume_a="pos").astype(np.float32)


@dataclass(frozen=True)
class _Design:
    train: TrainingRows
    drugs: pd.DataFrame  # compound_key x components
    lines: pd.DataFrame  # cell_line x (one-hot, components)
    n_basal: int  # of the columns of `lines`, the last ones that are components
    crossed: bool

    def blocks(self, obs: pd.DataFrame) -> list[np.ndarray]:
        """Features of conditions, float32 (m, p) each: line, structure, their products."""
        drug = self.drugs.loc[obs["compound_key"]].to_numpy()
        line = self.lines.loc[obs["cell_line"]].to_numpy()
        blocks = [line, drug]
        if self.crossed:
            basal = line[:, line.shape[1] - self.n_basal :]
            products = drug[:, :_N_CROSSED, None] * basal[:, None, :]
            blocks.append(products.reshape(len(obs), -1))
        n_levels = len(self.train.doses)
        level = self.train.levels(obs["dose"]) / max(1, n_levels - 1)
        powers = np.vander(level, min(3, n_levels), increasing=True).astype(np.float32)
        filled = [block for block in blocks if block.shape[1]]
        return [np.hstack([b * p[:, None] for p in powers.T]) for b in filled]


def _fit_design(train: TrainingRows, *, crossed: bool) -> _Design:
    learned = train.fingerprints.index.isin(train.obs["compound_key"].unique())
    drugs = _components(train.fingerprints, learned, _N_STRUCTURE)
    seen = train.basal.index.isin(train.obs["cell_line"].unique())
    basal = _components(train.basal, seen, min(_N_LINE, int(seen.sum()) - 1))
    one_hot = pd.DataFrame(
        np.eye(len(train.basal), dtype=np.float32)[:, seen], index=train.basal.index
    )
    lines = pd.concat([one_hot, basal], axis=1)
    return _Design(train, drugs, lines, basal.shape[1], crossed)


def _components(table: pd.DataFrame, learned: np.ndarray, most: int) -> pd.DataFrame:
    """Principal components of rows, their axes from the learned ones, of mean square norm 1.

    Rows of zeros (no readable structure) have no part in the axes and lie at the mean.
    """
    values = table.to_numpy(dtype=np.float64)
    there = np.asarray(values.any(axis=1))
    basis = values[learned & there]
    most = min(most, len(basis) - 1)
    if most < 1:
        return pd.DataFrame(np.zeros((len(table), 0), dtype=np.float32), index=table.index)
    centre = basis.mean(axis=0)
    axes = linalg.svd(basis - centre, full_matrices=False)[2][:most]
    scores = np.where(there[:, None], (values - centre) @ axes.T, 0.0)
    size = np.sqrt(np.mean(np.sum(scores[learned & there] ** 2, axis=1)))
    return pd.DataFrame((scores / max(size, 1e-12)).astype(np.float32), index=table.index)


def _principal_axes(values: np.ndarray, most: int) -> np.ndarray:
    """First axes of the sum of squares about zero, (n_genes, n_axes)."""
    gram = values.T.astype(np.float64) @ values
    n = len(gram)
    return linalg.eigh(gram, subset_by_index=[max(0, n - most), n - 1])[1].astype(np.float32)


def _folds(train: TrainingRows) -> np.ndarray:
    """Fold of each row; a unit lies in one."""
    unit = np.asarray(train.unit, dtype=object)
    unit = np.where(unit == "", train.obs["compound_key"].to_numpy(dtype=object), unit).astype(str)
    names, code = np.unique(unit, return_inverse=True)
    return (np.random.default_rng(0).permutation(len(names)) % _N_FOLDS)[code]
