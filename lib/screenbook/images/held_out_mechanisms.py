"""Mechanisms on held-out experiments: does the nearest other compound share the mechanism.

With few treatments an experiment, each treatment of each experiment asks for itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from screenbook.images.embedding_scores import score_row
from screenbook.images.shares import clustered_share
from screenbook.profiles.mechanism import match_mechanisms, treatment_profiles


def mechanism_scores(
    points: np.ndarray, obs: pd.DataFrame, *, seed: int = 0
) -> list[dict[str, Any]] | None:
    """Match mechanisms by the nearest profile of another compound (NSC, and NSCB).

    Each treatment of each experiment and cell type is one profile: the mean of its fields, about
    the mean of that cell type's negative controls in all experiments given. NSCB also bars
    profiles of the same experiment, so that a match cannot rest on the batch. Intervals are over
    compounds: another study would try others.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        Features of fields of held-out experiments.
    obs : DataFrame, n rows
        With ``cell_type experiment treatment role``; without ``compound`` and ``moa`` nothing
        is asked.
    seed : int
        Of the permutations that give chance.

    Returns
    -------
    list of dict, or None
        Rows of ``Evaluation.scores``, none of them where no mechanism is known; None if fewer
        than two mechanisms have two compounds each.
    """
    obs = obs.reset_index(drop=True)
    if not {"compound", "moa"} <= set(obs):
        return []
    control = (obs["role"] == "control").to_numpy()
    named = ~control & (obs["moa"].fillna("").astype(str) != "").to_numpy()
    centred = about_controls(points, obs["cell_type"].to_numpy(), control)
    keys = obs[named].groupby(["cell_type", "experiment", "compound", "treatment"], observed=True)
    if not named.any():
        return []
    codes = np.full(len(obs), -1)
    codes[named] = keys.ngroup().to_numpy()
    first = keys[["moa"]].first().reset_index()
    compound = first["compound"].astype(str).to_numpy()
    found = match_mechanisms(
        treatment_profiles(centred, codes),
        first["moa"].astype(str).to_numpy(),
        compound,
        codes,
        obs.groupby("experiment", observed=True).ngroup().to_numpy(),
        seed=seed,
    )
    if found is None:
        return None
    rows = []
    for rule, chance in (("nsc", found.chance_nsc), ("nscb", found.chance_nscb)):
        right = (found.table[f"{rule}_mechanism"] == found.table["mechanism"]).to_numpy()
        share = clustered_share(right, compound[found.table["treatment"].to_numpy()])
        if not (found.table[f"{rule}_neighbour"] >= 0).any():
            share = replace(share, value=np.nan, low=np.nan, high=np.nan)
        rows.append(score_row(f"mechanism_{rule}", share, chance, "compounds"))
    return rows


def about_controls(points: np.ndarray, kind: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Take the mean of the controls of each kind off its rows; of all its rows if it has none."""
    out = np.array(points, dtype=np.float64)
    for name in np.unique(kind):
        mine = kind == name
        centre = mine & control if (mine & control).any() else mine
        out[mine] -= out[centre].mean(axis=0)
    return out
