"""The prediction that is shipped: joined baselines, and as much of the net as has proved itself.

The net learns to correct the joined baselines (:mod:`.fusion`) on one part of the training
conditions. On another part, held out by the rule of the split, least squares finds the share of
its correction that helps. Where that cannot be told from none, over resamples of what was held
out, it is none, and the joined baselines are the prediction. No test condition has a say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from screenbook.expression.forward import ForwardModel, ForwardSettings, train_forward
from screenbook.expression.fusion import Fusion, fit_fusion
from screenbook.expression.training_rows import TrainingRows, subset_rows
from screenbook.training import Keeper

N_DRAWS, RISK = 500, 0.025
"""Resamples of the units that a share is found on, and the share of them that may ask for none."""


@dataclass(frozen=True)
class Predictor:
    """Joined baselines with a share of the net's correction.

    Attributes
    ----------
    train : TrainingRows
        All conditions that it knows.
    fusion : Fusion
    net : ForwardModel
    share : float
        Of the net's correction, 0 to 1.
    """

    train: TrainingRows
    fusion: Fusion
    net: ForwardModel
    share: float

    def parts(self, obs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Give the joined baselines and the net's whole correction, each float32 (m, n_genes)."""
        joined = self.fusion.predict(self.train, obs)
        net = replace(self.net, fingerprints=self.train.fingerprints)
        return joined, net.predict(obs, self.train.basal, prior=joined) - joined

    def predict(self, obs: pd.DataFrame) -> np.ndarray:
        """Predict conditions.

        Parameters
        ----------
        obs : DataFrame, m rows
            ``compound_key``, ``cell_line``, ``dose``, ``moa`` and ``n_cells``; the last two are
            not looked at. Drugs need a row in ``train.fingerprints``, lines in ``train.basal``.

        Returns
        -------
        ndarray of float32, shape (m, n_genes)
        """
        joined, correction = self.parts(obs)
        return np.asarray(joined + self.share * correction, dtype=np.float32)


def fit_predictor(
    train: TrainingRows,
    held: np.ndarray,
    settings: ForwardSettings | None = None,
    *,
    trust: np.ndarray | None = None,
    checkpoints: Keeper | None = None,
) -> Predictor:
    """Fit the joined baselines, the net on top of them, and the share of it that helps.

    Parameters
    ----------
    train : TrainingRows
        Training conditions, those that the share is found on among them.
    held : ndarray of bool, shape (n,)
        Which are only used to find the share; the baselines learn from them in the end.
    settings : ForwardSettings, optional
    trust : ndarray, shape (n,), optional
        See :func:`screenbook.expression.forward.train_forward`.
    checkpoints : Keeper, optional
        Of the net's training.
    """
    seed = (settings or ForwardSettings()).training.seed
    inner = subset_rows(train, ~held)
    fusion = fit_fusion(inner, seed=seed)
    net = train_forward(
        inner, settings, prior=fusion.out_of_fold,
        trust=None if trust is None else trust[~held], checkpoints=checkpoints,
    )  # fmt: skip
    share = 0.0
    if held.any():
        joined, correction = Predictor(inner, fusion, net, 1.0).parts(train.obs[held])
        share = _helpful_share(subset_rows(train, held), joined, correction, seed)
    return Predictor(train, fusion, net, share)


def _helpful_share(
    held: TrainingRows, joined: np.ndarray, correction: np.ndarray, seed: int
) -> float:
    """Find the share of a correction that least squares asks for; 0 if that may be chance."""
    weight = held.weight[:, None]
    unit = np.where(held.unit == "", held.obs["compound_key"].to_numpy(dtype=object), held.unit)
    names, code = np.unique(unit.astype(str), return_inverse=True)
    n = len(names)
    agrees, length = (
        np.bincount(code, (weight * correction * other).sum(axis=1), minlength=n)
        for other in (held.delta - joined, correction)
    )
    if not length.sum() > 0:
        return 0.0
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=N_DRAWS)
    if n > 1 and np.quantile(drawn @ agrees, RISK) <= 0:
        return 0.0
    return float(np.clip(agrees.sum() / length.sum(), 0, 1))
