"""Towers that are each asked only about compounds they never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from screenbook.errors import InputError
from screenbook.structure.compound_folds import RULES, compound_folds
from screenbook.structure.imaged_compounds import ImagedCompounds
from screenbook.structure.two_towers import ENCODERS, TowerModel, TowerSettings, train_towers


@dataclass(frozen=True)
class HeldOutTowers:
    """Towers of every fold of one split.

    Attributes
    ----------
    rule : str
        Key of :data:`~screenbook.structure.compound_folds.RULES`.
    fold : ndarray of int, shape (c,)
        In which each compound is asked.
    models : dict of str to tuple of TowerModel
        For each encoder a model of each fold, trained on all other folds.
    """

    rule: str
    fold: np.ndarray
    models: dict[str, tuple[TowerModel, ...]]


def train_held_out(
    imaged: ImagedCompounds,
    *,
    rules: Sequence[str] = tuple(RULES),
    encoders: Sequence[str] = tuple(ENCODERS),
    n_folds: int = 5,
    settings: TowerSettings | None = None,
    seed: int = 0,
) -> list[HeldOutTowers]:
    """Train towers for every fold of every split.

    Parameters
    ----------
    imaged : ImagedCompounds
    rules : sequence of str
        Keys of :data:`~screenbook.structure.compound_folds.RULES`.
    encoders : sequence of str
        Keys of :data:`~screenbook.structure.two_towers.ENCODERS`; none for the baselines alone.
    n_folds : int
    settings : TowerSettings, optional
    seed : int
        Of the folds.

    Returns
    -------
    list of HeldOutTowers
        One for each rule.

    Raises
    ------
    InputError
        If the compounds, or their scaffolds, are too few (`imaged.refusal`).
    """
    if imaged.refusal:
        raise InputError(imaged.refusal)
    found = []
    for rule in rules:
        fold = compound_folds(imaged.table, rule, n_folds, seed)
        models = {
            encoder: tuple(_train(imaged, fold != k, encoder, settings) for k in range(n_folds))
            for encoder in encoders
        }
        found.append(HeldOutTowers(rule, fold, models))
    return found


def _train(
    imaged: ImagedCompounds, known: np.ndarray, encoder: str, settings: TowerSettings | None
) -> TowerModel:
    rows = known[imaged.compound]
    smiles = imaged.table["smiles"].tolist()
    return train_towers(imaged.points[rows], imaged.compound[rows], smiles, encoder, settings)
