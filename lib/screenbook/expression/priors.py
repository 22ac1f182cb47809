"""What is known of a drug before the line is looked at: its own mean change, or its neighbours'.

One of the predictions that :mod:`.fusion` joins.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd

from screenbook.expression.structure_baselines import N_NEIGHBOURS
from screenbook.expression.training_rows import TrainingRows, group_means
from screenbook.fingerprints import tanimoto


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
    for group, rows in asked.groupby(["level", "key"], sort=False).indices.items():
        dose, key = cast("tuple[int, str]", group)
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
