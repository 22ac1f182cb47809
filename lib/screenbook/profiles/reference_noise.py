"""What a centring leaves behind: by the chance error of its reference, or by a wrong key.

A centre estimated on a few wells is off by chance, and all wells of the plate inherit the same
error, by which the plate can be told. That floor is measured on plates that differ by a shift
and by nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from screenbook.blocks import group_sums
from screenbook.profiles.batch_metrics import pc_regression
from screenbook.profiles.batches import Layout, Part
from screenbook.profiles.centering import center_in_sequence, fit_plate_reference
from screenbook.profiles.judge import Judge, Questions
from screenbook.profiles.methods import Method, Settings, feature_units
from screenbook.profiles.whitening import kind_residuals


def shift_only_plates(X: np.ndarray, layout: Layout, *, seed: int) -> np.ndarray:
    """Deal the wells to plates at random, and give every plate its own shift.

    Each well is taken about the mean of its plate and sort; controls of one kind then change
    places with each other only, and so do treated wells. The shift of a plate is what its
    controls say.

    Parameters
    ----------
    X : ndarray, shape (n, n_features)
        Profiles.
    layout : Layout
        Their plates and kinds.
    seed : int
        Of the dealing.

    Returns
    -------
    ndarray of float32, shape (n, n_features)
    """
    rng = np.random.default_rng(seed)
    sort = np.where(layout.kind >= 0, layout.kind, len(layout.kinds) + layout.bulk)
    _, group = np.unique(np.column_stack([sort, layout.batch]), axis=0, return_inverse=True)
    group = group.ravel()
    counts = np.bincount(group)
    means = group_sums(X, group, len(counts)) / counts[:, None]
    shift = fit_plate_reference(X, layout, layout.kind).centre
    shift -= shift.mean(axis=0)
    out = np.empty(X.shape, dtype=np.float32)
    for s in np.unique(sort):
        wells = np.flatnonzero(sort == s)
        dealt = rng.permutation(wells)
        # What a group's own mean takes from the scatter of its wells is given back.
        stretch = np.sqrt(counts / np.maximum(counts - 1, 1))[group[dealt], None]
        off = (X[dealt] - means[group[dealt]]) * stretch
        out[wells] = off + X[wells].mean(axis=0, dtype=np.float64) + shift[layout.batch[wells]]
    return out


def told_if_plates_only_shift(
    part: Part,
    method: Method,
    *,
    settings: Settings | None = None,
    questions: Questions | None = None,
) -> float:
    """Tell plates of a screen in which a recipe has only shifts to take off.

    Parameters
    ----------
    part : Part
        Wells of one cell type.
    method : Method
        Recipe that is run, and judged as ever.
    settings, questions : Settings and Questions, optional

    Returns
    -------
    float
        Accuracy, as in the column ``plate_accuracy`` of a comparison; what is above chance is
        the recipe's own noise.
    """
    settings, questions = settings or Settings(), questions or Questions()
    shifted = shift_only_plates(part.X, part.layout, seed=questions.seed)
    judge = Judge(replace(part, X=shifted), settings, questions)
    told = [judge.tell_plates(trial, n_permutations=0) for trial in judge.trials(method)[1]]
    return float(np.mean([t.accuracy for t in told if t is not None] or [np.nan]))


def plate_distances(
    parts: Sequence[Part],
    method: Method,
    *,
    settings: Settings | None = None,
    questions: Questions | None = None,
) -> pd.DataFrame:
    """Measure how far each plate's held-out controls lie from those of all plates.

    Parameters
    ----------
    parts : sequence of Part
        Wells of each cell type.
    method : Method
    settings, questions : Settings and Questions, optional

    Returns
    -------
    DataFrame
        ``cell_type``, ``batch``, ``distance`` (root mean square over axes, in SD of controls
        within plates) and ``expected`` (what so few wells would give if plates were alike),
        mean over the halves.
    """
    settings, questions = settings or Settings(), questions or Questions()
    halves = []
    for part in parts:
        names = np.array(part.layout.batches)
        for trial in Judge(part, settings, questions).trials(method)[1]:
            wells = trial.held_out
            points, _ = kind_residuals(trial.points[wells], part.layout.kind[wells])
            plates, plate, n = np.unique(
                part.layout.batch[wells], return_inverse=True, return_counts=True
            )
            means = group_sums(points, plate, len(plates)) / n[:, None]
            freedom = max(len(points) - len(plates), 1)
            within = ((points - means[plate]) ** 2).sum(axis=0) / freedom
            distance = np.sqrt(((means - means.mean(axis=0)) ** 2 / within).mean(axis=1))
            half = pd.DataFrame({"batch": names[plates], "distance": distance})
            halves.append(half.assign(cell_type=part.cell_type, expected=1 / np.sqrt(n)))
    return pd.concat(halves).groupby(["cell_type", "batch"], sort=False).mean().reset_index()


def plates_left(part: Part, column: str) -> float:
    """Centre experiments, then the groups of one column, and ask what plates still explain.

    Parameters
    ----------
    part : Part
        Wells of one cell type.
    column : str
        ``"batch"``, or to show what comes of it ``"plate"``, a number that may recur in
        several experiments.

    Returns
    -------
    float
        Share of the controls' variance that plates explain beyond chance (adjusted R²).
    """
    obs = part.obs.assign(batch=part.obs[column])
    centred = center_in_sequence(part.X, obs, ["experiment", "batch"])[part.layout.control]
    points, _ = kind_residuals(
        centred / feature_units(part.X), part.layout.kind[part.layout.control]
    )
    return pc_regression(points, part.layout.batch[part.layout.control])[1]
