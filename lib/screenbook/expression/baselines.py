"""The ladder of simple predictions that a model of expression change has to climb.

Each knows less than a model does and is cheap. A model that stands below one of them on a split
has not learned what that split asks. Where a baseline is not defined (the drug mean of a drug
never seen), the nearest defined quantity stands in, and the baseline says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg

from screenbook.expression.structure_baselines import (
    N_NEIGHBOURS,
    knn_predictions,
    ridge_predictions,
)
from screenbook.expression.training_rows import TrainingRows, group_means

BASELINES = {
    "zero": "no change",
    "global_mean": "mean over all, per dose",
    "line_mean": "mean over drugs, per line",
    "drug_mean": "mean over lines, per drug",
    "additive": "drug effect + line effect",
    "knn": "nearest structures",
    "ridge": "ridge on structure × line",
    "pca_linear": "ridge on ten components",
    "mechanism_mean": "mean of its mechanism",
    "cell_count": "number of cells alone",
}
"""Each baseline, and what figures call it."""

_STAND_IN = "the mean over all at their dose stands in"


@dataclass(frozen=True)
class Baseline:
    """A simple prediction of test conditions.

    Attributes
    ----------
    prediction : ndarray of float32, shape (m, n_genes)
        Predicted change; finite everywhere.
    served : ndarray of bool, shape (m,)
        Where the baseline is defined; elsewhere another quantity stands in.
    note : str
        What it is, and what stands in.
    """

    prediction: np.ndarray
    served: np.ndarray
    note: str

    @property
    def serves(self) -> bool:
        """Whether it is defined for most test conditions, so that its score means something."""
        return bool(self.served.mean() > 0.5)


def predict_baselines(
    train: TrainingRows, obs: pd.DataFrame, names: Iterable[str] | None = None
) -> dict[str, Baseline]:
    """Predict test conditions by every baseline.

    Parameters
    ----------
    train : TrainingRows
    obs : DataFrame, m rows
        Test conditions, with the columns of ``train.obs``. Only the mechanism mean looks at
        their ``moa``, and only the cell count at their ``n_cells``. A dose never seen, or
        of few drugs, counts as the nearest level (:meth:`.TrainingRows.levels`).
    names : iterable of str, optional
        Which, by their keys; all by default.

    Returns
    -------
    dict of str to Baseline
        In the order of :data:`BASELINES`.

    Raises
    ------
    InputError
        If a column is missing, or a drug or line has no features.
    """
    train.check(obs)
    task = _Task(train, obs)
    wanted = set(BASELINES if names is None else names)
    return {name: _PREDICT[name](task) for name in BASELINES if name in wanted}


class _Task:
    """Training and test conditions with their dose levels, and the mean of each level."""

    def __init__(self, train: TrainingRows, obs: pd.DataFrame) -> None:
        self.train, self.obs = train, obs
        self.level, self.asked_level = train.levels(train.obs["dose"]), train.levels(obs["dose"])
        per_dose = group_means(train.delta, train.weight, self.level)
        self.dose_mean = per_dose.means[per_dose.find(self.asked_level)]
        self.residual = train.delta - per_dose.means[per_dose.find(self.level)]

    def report(self, prediction: np.ndarray, served: np.ndarray | bool, note: str) -> Baseline:
        served = np.broadcast_to(served, len(self.obs)).copy()
        return Baseline(prediction.astype(np.float32), served, note)

    def lookup(self, columns: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the training conditions that agree in columns and dose; where there is one."""
        known = [self.train.obs[c].to_numpy(dtype=object) for c in columns]
        asked = [self.obs[c].to_numpy(dtype=object) for c in columns]
        groups = group_means(self.train.delta, self.train.weight, self.level, *known)
        place = groups.find(self.asked_level, *asked)
        return groups.means[place], place >= 0

    def mean_by(self, columns: list[str], what: str) -> Baseline:
        means, served = self.lookup(columns)
        note = f"{what} at the dose{self.absent(served, _STAND_IN)}."
        return self.report(np.where(served[:, None], means, self.dose_mean), served, note)

    def absent(self, served: np.ndarray, stand_in: str) -> str:
        n = int((~served).sum())
        return f"; {n:,} of {len(served):,} conditions have none: {stand_in}" if n else ""


def _additive(task: _Task) -> Baseline:
    """Least squares of drug and line effects about the mean of each dose."""
    train, obs = task.train, task.obs
    prediction = task.dose_mean.astype(np.float64)
    served = np.zeros(len(obs), dtype=bool)
    for dose in np.unique(task.asked_level):
        rows, asked = task.level == dose, np.flatnonzero(task.asked_level == dose)
        weight, y = train.weight[rows], task.residual[rows].astype(np.float64)
        parts = []
        for column in ("compound_key", "cell_line"):
            names = pd.Index(train.obs[column].to_numpy(dtype=object)[rows].astype(str)).unique()
            own = names.get_indexer(train.obs.loc[rows, column].astype(str))
            parts.append((names, own, names.get_indexer(obs[column].iloc[asked].astype(str))))
        sizes = [len(names) for names, _, _ in parts]
        X = np.zeros((len(y), sum(sizes)))
        X[np.arange(len(y)), parts[0][1]] = 1.0
        X[np.arange(len(y)), sizes[0] + parts[1][1]] = 1.0
        normal = (X * weight[:, None]).T @ X
        # Drug and line effects may trade a constant: the smallest effects are taken.
        normal[np.diag_indices_from(normal)] += 1e-9 * np.trace(normal) / len(normal)
        effects = linalg.solve(normal, X.T @ (y * weight[:, None]), assume_a="pos")
        there = [place >= 0 for _, _, place in parts]
        drug, line = effects[parts[0][2]], effects[sizes[0] + parts[1][2]]
        prediction[asked] += np.where(there[0][:, None], drug, 0)
        prediction[asked] += np.where(there[1][:, None], line, 0)
        served[asked] = there[0] & there[1]
    stand_in = "the effect that is not known counts as 0"
    note = (
        "Effect of the drug plus effect of the line about the mean of the dose, by least squares"
        f"{task.absent(served, stand_in)}."
    )
    return task.report(prediction, served, note)


def _knn(task: _Task) -> Baseline:
    means, served = knn_predictions(task.train, task.obs)
    note = (
        f"Mean of the {N_NEIGHBOURS} drugs of the most similar structures (Morgan, Tanimoto as "
        "weight) at the dose, in the line where they were profiled there"
        f"{task.absent(served, _STAND_IN)}."
    )
    return task.report(np.where(served[:, None], means, task.dose_mean), served, note)


def _ridge(task: _Task, *, low_rank: bool) -> Baseline:
    train, obs = task.train, task.obs
    shift = ridge_predictions(train, obs, task.residual, low_rank=low_rank)
    bits = train.fingerprints.loc[obs["compound_key"]].to_numpy()
    served = np.asarray(bits.any(axis=1))
    what = (
        "Ridge regression of the first ten principal components of the change on structure, line "
        "and dose"
        if low_rank
        else "Ridge regression of the change on structure, line, their products and dose"
    )
    note = f"{what}{task.absent(served, 'their line and dose alone are used')}."
    return task.report(task.dose_mean + shift, served, note)


def _mechanism_mean(task: _Task) -> Baseline:
    in_line, there = task.lookup(["moa", "cell_line"])
    over_lines, known = task.lookup(["moa"])
    told = task.obs["moa"].astype(str).ne("").to_numpy()
    served = known & told
    best = np.where(there[:, None], in_line, over_lines)
    note = (
        "Mean change of the drugs of the same mechanism in the line at the dose, over lines where "
        "the line has none. It is told the mechanism, which no model is"
        f"{task.absent(served, _STAND_IN)}."
    )
    return task.report(np.where(served[:, None], best, task.dose_mean), served, note)


def _cell_count(task: _Task) -> Baseline:
    """Weighted regression of every gene on the log of the number of cells."""
    train, obs = task.train, task.obs
    counts = train.obs["n_cells"].to_numpy(dtype=float)
    asked = obs["n_cells"].to_numpy(dtype=float)
    fit, served = counts > 0, asked > 0
    if fit.sum() < 3 or np.ptp(counts[fit]) == 0:
        note = "Cells were not counted; the mean over all at the dose stands in."
        return task.report(task.dose_mean, False, note)
    weight = train.weight[fit] / train.weight[fit].sum()
    x, y = np.log(counts[fit]), train.delta[fit].astype(np.float64)
    centre, level = weight @ x, weight @ y
    slope = (weight * (x - centre)) @ (y - level) / (weight @ (x - centre) ** 2)
    line = level + (np.log(np.where(served, asked, 1.0)) - centre)[:, None] * slope
    note = (
        "Linear regression of each gene on the log of the number of cells of the condition"
        f"{task.absent(served, _STAND_IN)}."
    )
    return task.report(np.where(served[:, None], line, task.dose_mean), served, note)


_PREDICT: dict[str, Callable[[_Task], Baseline]] = {
    "zero": lambda t: t.report(np.zeros_like(t.dose_mean), True, "Predicts no change at all."),
    "global_mean": lambda t: t.report(
        t.dose_mean, True, "Mean change over all drugs and lines at the dose."
    ),
    "line_mean": lambda t: t.mean_by(["cell_line"], "Mean change over all drugs in the line"),
    "drug_mean": lambda t: t.mean_by(["compound_key"], "Mean change of the drug over all lines"),
    "additive": _additive,
    "knn": _knn,
    "ridge": lambda t: _ridge(t, low_rank=False),
    "pca_linear": lambda t: _ridge(t, low_rank=True),
    "mechanism_mean": _mechanism_mean,
    "cell_count": _cell_count,
}
