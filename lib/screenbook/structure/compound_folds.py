"""Folds of compounds: every one is asked once by a model that never saw it, or its like."""

from __future__ import annotations

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing

RULES = {
    "compound": "the compound was never seen; others of its scaffold may have been",
    "scaffold": "no compound of its scaffold was ever seen",
}
"""What is held out together, and what is new in an asked compound."""


def compound_folds(table: pd.DataFrame, rule: str, n_folds: int = 5, seed: int = 0) -> np.ndarray:
    """Deal compounds into folds of about equal size.

    All acyclic compounds are one scaffold.

    Parameters
    ----------
    table : DataFrame, c rows
        One row per parent structure (:class:`~screenbook.structure.imaged_compounds
        .ImagedCompounds`), with ``scaffold``.
    rule : {"compound", "scaffold"}
    n_folds : int
    seed : int

    Returns
    -------
    ndarray of int, shape (c,)
        From 0 to ``n_folds - 1``.

    Raises
    ------
    InputError
        If the rule is unknown, or there are fewer scaffolds than folds.
    """
    if rule not in RULES:
        raise InputError(
            f"split rule {rule!r} is none of {listing(RULES)}{did_you_mean(rule, RULES)}"
        )
    unit = np.arange(len(table))
    if rule == "scaffold":
        unit = pd.factorize(table["scaffold"])[0]
    n_units = len(np.unique(unit))
    if n_folds < 2 or n_units < n_folds:
        raise InputError(
            f"split by {rule}: {n_units} {rule}s cannot be dealt into {n_folds} folds; "
            "take from 2 folds to as many as there are"
        )
    return deal(unit, n_folds, seed)


def deal(unit: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Deal units to folds: the largest first, equal ones in random order, to the smallest fold.

    Parameters
    ----------
    unit : ndarray of int, shape (n,)
        What each row belongs to, from 0.
    n_folds, seed : int

    Returns
    -------
    ndarray of int, shape (n,)
    """
    size = np.bincount(unit)
    order = np.random.default_rng(seed).permutation(len(size))
    order = order[np.argsort(-size[order], kind="stable")]
    fold_of, load = np.empty(len(size), dtype=int), np.zeros(n_folds, dtype=int)
    for u in order:
        fold_of[u] = load.argmin()
        load[fold_of[u]] += size[u]
    return np.asarray(fold_of[unit])
