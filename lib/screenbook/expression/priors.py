"""What is known of a drug before the line is looked at: its own mean change, or its neighbours'.

The forward model starts from it. For training conditions it has to be found without them, or
the model would learn to trust it more than it deserves.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from screenbook.expression.fingerprints import tanimoto
from screenbook.expression.structure_baselines import N_NEIGHBOURS
from screenbook.expression.training_rows import TrainingRows, group_means

N_FOLDS = 5


def drug_prior(train: TrainingRows, obs: pd.DataFrame, k: int = N_NEIGHBOURS) -> np.ndarray:
    """Mean change of each drug over lines, at the dose.

    A drug that was not profiled at the dose takes the mean of the `k` of most similar structure,
    weighted by Tanimoto similarity; one that resembles none, the mean of all drugs.

    Parameters
    ----------
    train : TrainingRows
    obs : DataFrame, m rows
        ``compound_key`` and ``dose``.

    Returns
    -------
    ndarray of float32, shape (m, n_genes)
    """
    level = train.levels(train.obs["dose"])
    known = train.obs["compound_key"].to_numpy(dtype=object)
    means = group_means(train.delta, train.weight, level, known)
    every = group_means(train.delta, train.weight, level)
    asked = pd.DataFrame(
        {"level": train.levels(obs["dose"]), "key": obs["compound_key"].to_numpy(dtype=object)}
    )
    out = every.means[every.find(asked["level"].to_numpy())].copy()
    for (dose, key), rows in asked.groupby(["level", "key"], sort=False).indices.items():
        place = means.find(np.array([dose]), np.array([key], dtype=object))[0]
        if place >= 0:
            out[rows] = means.means[place]
            continue
        others = np.unique(known[level == dose])
        bits = train.fingerprints
        alike = tanimoto(bits.loc[[key]].to_numpy(), bits.loc[others].to_numpy())[0]
        near = np.argsort(-alike, kind="stable")[:k]
        if alike[near].sum() > 0:
            at = means.find(np.full(len(near), dose), others[near])
            out[rows] = alike[near] @ means.means[at] / alike[near].sum()
    return out


def cross_fitted_prior(train: TrainingRows, *, seed: int = 0) -> np.ndarray:
    """Give each training condition the prior that is found without its unit.

    Units are those of the split, so that the prior is as good, or as poor, as it will be for
    the conditions that are held out.

    Returns
    -------
    ndarray of float32, shape (n, n_genes)
    """
    names, code = np.unique(np.asarray(train.unit, dtype=str), return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % min(N_FOLDS, len(names)))[code]
    out = np.zeros(train.delta.shape, dtype=np.float32)
    if len(names) < 2:
        return out
    for one in np.unique(fold):
        out[fold == one] = drug_prior(subset_rows(train, fold != one), train.obs[fold == one])
    return out


def subset_rows(train: TrainingRows, rows: np.ndarray) -> TrainingRows:
    """Keep some training conditions, chosen by a mask."""
    return replace(
        train,
        delta=train.delta[rows],
        obs=train.obs[rows],
        weight=train.weight[rows],
        unit=np.asarray(train.unit)[rows],
    )
