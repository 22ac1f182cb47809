"""Tests of whether a model knows the drug, or was told the answer.

A model that is shown the condition it predicts scores well whatever drug it is told. So the test
conditions are predicted again with the drugs exchanged, and with the lines exchanged: a score that
stays was not earned by knowing them. Copying what is shown, and nothing else, is the floor of a
model that is shown anything.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from screenbook.expression.splits import parent_blocks

OF_THE_DRUG = ("compound_key", "compound", "treatment", "SMILES", "moa", "targets")
"""Columns that change hands with the drug."""


def shuffle_drugs(obs: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Give every drug's conditions to another drug, all of them to the same one.

    Parameters
    ----------
    obs : DataFrame, n rows
        Test conditions; drugs are parents, so that a salt is no other drug.

    Returns
    -------
    DataFrame
        The same rows under other drugs; dose, line and cells stay. A single drug stays as it is.
    """
    parent = parent_blocks(obs["compound_key"])
    names, code = np.unique(parent.astype(str), return_inverse=True)
    taken = _exchange(len(names), seed)[code]
    first = np.array([np.flatnonzero(code == i)[0] for i in range(len(names))])
    out = obs.copy()
    for column in OF_THE_DRUG:
        if column in out:
            out[column] = obs[column].to_numpy()[first[taken]]
    return out


def shuffle_lines(obs: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Give every line's conditions to another line; the rest of each row stays."""
    names, code = np.unique(obs["cell_line"].to_numpy().astype(str), return_inverse=True)
    return obs.assign(cell_line=names.astype(object)[_exchange(len(names), seed)[code]])


def input_copy(delta: np.ndarray, n_visible: int) -> np.ndarray:
    """Predict the genes that changed most by themselves, and all others by 0.

    Parameters
    ----------
    delta : ndarray, shape (n, n_genes)
        Observed changes, of which a leaky model is shown the largest.
    n_visible : int
        How many it is shown.
    """
    shown = np.argsort(-np.abs(delta), axis=1, kind="stable")[:, :n_visible]
    out = np.zeros_like(delta)
    np.put_along_axis(out, shown, np.take_along_axis(delta, shown, axis=1), axis=1)
    return out


def kept_share(right: float, exchanged: float, floor: float) -> float:
    """Share of a score above its floor that survives the exchange.

    Parameters
    ----------
    right, exchanged : float
        Mean score with the right drugs, and with others.
    floor : float
        Score of a prediction that knows no drug at all.

    Returns
    -------
    float
        0 where nothing survives (or less than the floor), 1 where all does; NaN if there was
        no skill to lose.
    """
    if not right > floor:
        return float("nan")
    return float(np.clip((exchanged - floor) / (right - floor), 0, None))


def _exchange(n: int, seed: int) -> np.ndarray:
    """Draw a permutation that leaves nothing in place (of one thing, the identity)."""
    order = np.random.default_rng(seed).permutation(n)
    out = np.empty(n, dtype=int)
    out[order] = np.roll(order, 1)
    return out
