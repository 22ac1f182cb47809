"""The simple predictions joined into one: non-negative weights, found out of fold.

Which baseline is best depends on what is new, the drug, the line or the pair of them. Weights are
learned on training conditions that each prediction has not seen, held out by the rule of the split
(stacked generalisation, Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1; with non-negative weights
as Breiman 1996, doi:10.1007/BF00117832).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from screenbook.expression.baselines import predict_baselines
from screenbook.expression.priors import drug_prior
from screenbook.expression.training_rows import TrainingRows, subset_rows

_SIMPLE = ("line_mean", "additive", "ridge")

MEMBERS = (*_SIMPLE, "drug profile", "drug profile, low rank")
"""What is joined. None of them is told a mechanism, or how many cells survived."""

N_FOLDS = 4
N_COMPONENTS = 32


@dataclass(frozen=True)
class Fusion:
    """Weights of the simple predictions, and what they give for training conditions.

    Attributes
    ----------
    weights : Series
        By member, 0 and above. They need not add up to 1: less than 1 shrinks towards no change.
    out_of_fold : ndarray of float32, shape (n, n_genes)
        Prediction of each training condition by members that have not seen its unit.
    """

    weights: pd.Series
    out_of_fold: np.ndarray

    def predict(self, train: TrainingRows, obs: pd.DataFrame) -> np.ndarray:
        """Predict conditions from all training conditions, ndarray of float32 (m, n_genes)."""
        return _joined(self.weights, member_predictions(train, obs))


def fit_fusion(train: TrainingRows, *, seed: int = 0) -> Fusion:
    """Find the weights of the simple predictions.

    Parameters
    ----------
    train : TrainingRows
        Its units are held out together.
    seed : int
        Of the folds.
    """
    fold = unit_folds(train, seed)
    members = {name: np.zeros(train.delta.shape, dtype=np.float32) for name in MEMBERS}
    for one in np.unique(fold):
        rest = subset_rows(train, fold != one)
        for name, found in member_predictions(rest, train.obs[fold == one]).items():
            members[name][fold == one] = found
    root = np.sqrt(train.weight)[:, None]
    weighted = [(root * members[name]).ravel() for name in MEMBERS]
    wanted = (root * train.delta).ravel()
    # Normal equations through their Cholesky factor: NNLS of as many rows as members.
    gram = np.array([[a @ b for b in weighted] for a in weighted], dtype=np.float64)
    factor = np.linalg.cholesky(gram + (1e-9 * np.trace(gram) + 1e-12) * np.eye(len(gram)))
    right = np.linalg.solve(factor, np.array([a @ wanted for a in weighted], dtype=np.float64))
    weights = pd.Series(nnls(factor.T, right)[0], index=MEMBERS, name="weight")
    return Fusion(weights, _joined(weights, members))


def _joined(weights: pd.Series, members: dict[str, np.ndarray]) -> np.ndarray:
    out = np.zeros_like(members[MEMBERS[0]])
    for name in MEMBERS:
        if weights[name] > 0:
            out += np.float32(weights[name]) * members[name]
    return out


def member_predictions(train: TrainingRows, obs: pd.DataFrame) -> dict[str, np.ndarray]:
    """Predict conditions by each member, each ndarray of float32 (m, n_genes)."""
    found = predict_baselines(train, obs, _SIMPLE)
    out = {name: found[name].prediction for name in _SIMPLE}
    out["drug profile"] = drug_prior(train, obs)
    basis = change_basis(train, N_COMPONENTS)
    out["drug profile, low rank"] = out["drug profile"] @ basis.T @ basis
    return out


def change_basis(train: TrainingRows, n_components: int) -> np.ndarray:
    """Principal components of the training changes about zero, weighted.

    Returns
    -------
    ndarray of float32, shape (min(n_components, n, n_genes), n_genes)
        Orthonormal rows, the largest first.
    """
    scaled = np.sqrt(train.weight)[:, None] * train.delta
    k = min(n_components, *scaled.shape)
    axes = np.linalg.eigh(scaled.T.astype(np.float64) @ scaled)[1][:, ::-1][:, :k]
    return np.ascontiguousarray(axes.T, dtype=np.float32)


def unit_folds(train: TrainingRows, seed: int) -> np.ndarray:
    """Deal units to folds, ndarray of int (n,); a blank unit is its drug."""
    unit = np.asarray(train.unit, dtype=object)
    unit = np.where(unit == "", train.obs["compound_key"].to_numpy(dtype=object), unit)
    names, code = np.unique(unit.astype(str), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return np.asarray((order % min(N_FOLDS, len(names)))[code])
