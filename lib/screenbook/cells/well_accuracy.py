"""Can a well's treatment be told from its cells? Representations asked alike, by experiment."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from screenbook.cells.cell_metric import CrossFitted
from screenbook.cells.subpopulations import own_points
from screenbook.cells.wells_compared import well_means
from screenbook.images.normalise import standardise
from screenbook.images.probes import balanced_share, linear_probe, weighted_knn

Represented = tuple[CrossFitted, pd.DataFrame, np.ndarray]
"""Points, what is known of each row (a cell or a field), and which rows are of reference wells."""


def measured(values: np.ndarray, fold: np.ndarray) -> CrossFitted:
    """Take numbers that no net gave as what every fold sees.

    Parameters
    ----------
    values : ndarray, shape (n, k)
    fold : ndarray of int, shape (n,)
        Of :func:`screenbook.cells.cell_metric.experiment_folds`.
    """
    points = np.asarray(values, dtype=np.float32)
    return CrossFitted(np.broadcast_to(points, (int(fold.max()) + 1, *points.shape)), fold)


def well_accuracy(spaces: Mapping[str, Represented], *, k: int = 5) -> pd.DataFrame:
    """Tell the treatment of wells of held-out experiments from their mean.

    Every plate is first put on the scale of its reference wells. What is learned (the classes
    of wells, and the space, where it was learned) comes from the experiments of other folds.

    Parameters
    ----------
    spaces : mapping of str to tuple
        See :data:`Represented`; rows may be cells or fields.
    k : int
        Neighbours that vote.

    Returns
    -------
    DataFrame
        ``space``, ``measure`` (``"knn"``, ``"linear"``), ``value`` (all treatments count alike),
        ``low``, ``high`` (95 %, over experiments), ``chance``, ``n`` (wells), ``n_groups``.
    """
    rows = []
    for name, (fitted, obs, reference) in spaces.items():
        truth, guesses, experiment, n_classes = _told(fitted, obs, reference, k)
        for measure, guess in guesses.items():
            share = balanced_share(guess == truth, truth, experiment)
            rows.append(
                {
                    **{"space": name, "measure": measure, "value": share.value},
                    **{"low": share.low, "high": share.high, "chance": 1 / n_classes},
                    **{"n": share.n, "n_groups": share.n_groups},
                }
            )
    return pd.DataFrame(rows)


def _told(
    fitted: CrossFitted, obs: pd.DataFrame, reference: np.ndarray, k: int
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray, int]:
    """Treatment of each well, and what two probes say that it is."""
    batch = obs["batch"].astype(str).to_numpy()
    place = well_means(own_points(fitted, obs, reference), obs, reference).index.to_frame(False)
    names, truth = np.unique(place["treatment"], return_inverse=True)
    experiment = place["experiment"].to_numpy()
    fold_of = dict(zip(obs["experiment"].astype(str), fitted.fold, strict=True))
    fold = np.array([fold_of[e] for e in experiment])
    guesses = {m: np.empty(len(truth), dtype=int) for m in ("knn", "linear")}
    for f in np.unique(fold):
        points = standardise(fitted.points[f], batch, reference)
        wells = well_means(points, obs, reference).to_numpy()
        learn, asked = fold != f, fold == f
        wells = (wells - wells[learn].mean(axis=0)) / np.maximum(wells[learn].std(axis=0), 1e-9)
        known = (wells[learn], truth[learn], wells[asked])
        guesses["knn"][asked] = weighted_knn(*known, len(names), k=k)
        guesses["linear"][asked] = linear_probe(*known)
    return truth, guesses, experiment, len(names)
