"""Every way of taking batch out that notebook 02 compares, as one list of recipes.

A recipe brings profiles of one cell type to a few axes in three steps: centre and scale each
feature; principal components; and, for some, whitening on controls. It sees only the wells it
is allowed to see, so that it can be judged on control wells that were no part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
import pandas as pd

from screenbook.blocks import row_blocks
from screenbook.errors import InputError, did_you_mean, listing
from screenbook.profiles.batches import Layout
from screenbook.profiles.centering import center_in_sequence, fit_plate_reference
from screenbook.profiles.reduce import Components, principal_components
from screenbook.profiles.whitening import align_plates, fit_whitening


@dataclass(frozen=True)
class Settings:
    """Numbers that recipes share.

    Attributes
    ----------
    n_components : int
        Principal components kept.
    clip : float
        Robust standard deviations beyond which a scaled feature is held.
    pca_wells : int
        Wells, drawn at random, that the components are learned from.
    coral_prior : float
        Wells that the common covariance counts for in a plate's own.
    seed : int
    """

    n_components: int = 50
    clip: float = 10.0
    pca_wells: int = 3000
    coral_prior: float = 50.0
    seed: int = 0


@dataclass(frozen=True)
class Task:
    """Wells of one cell type, and which of them a recipe may learn from.

    Attributes
    ----------
    X : ndarray, shape (n, n_features)
    obs : DataFrame, n rows
    layout : Layout
    unit : ndarray, shape (n_features,)
        One divisor for each feature, the same on all plates; see :func:`feature_units`.
    visible : ndarray of bool, shape (n,)
    """

    X: np.ndarray
    obs: pd.DataFrame
    layout: Layout
    unit: np.ndarray
    visible: np.ndarray

    @property
    def reference(self) -> np.ndarray:
        """Kind of each control well that may be used, -1 for all other wells."""
        return np.where(self.visible, self.layout.kind, -1)


@dataclass(frozen=True)
class Representation:
    """Profiles as a recipe leaves them.

    Attributes
    ----------
    scores : ndarray of float32, shape (n, k)
    loadings : ndarray of float64, shape (k, n_features) or None
        Change of each score for one unit of each centred and scaled feature.
    axes : Components
        The principal components, before any whitening.
    facts : dict
        What was learned, in numbers: variance kept, shrinkage, condition.
    """

    scores: np.ndarray
    loadings: np.ndarray | None
    axes: Components
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A recipe.

    Attributes
    ----------
    name : str
        What the parameter and the tables call it.
    title : str
        What figures call it.
    what : str
        One sentence: what is taken off.
    status : {"candidate", "warning", "comparison"}
        The rule chooses among candidates. A comparison can be asked for: the original's
        sequences, whose means mix controls with treated wells, and Harmony, which cannot be
        judged on wells it has not seen. A warning is given a label of interest, and never goes
        on.
    scale : callable
        Task and settings in, centred and scaled profiles (n, n_features) out.
    whiten, align, harmonise : bool
        What follows the principal components.
    """

    name: str
    title: str
    what: str
    scale: Callable[[Task, Settings], np.ndarray]
    status: str = "candidate"
    whiten: bool = False
    align: bool = False
    harmonise: bool = False


def feature_units(X: np.ndarray) -> np.ndarray:
    """Take the standard deviation of each feature over all wells, 1 where it does not vary.

    Divided by it, features of different units can be compared, and no batch is removed.
    """
    n, mean, scatter = 0, np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for _, block in row_blocks(X):
        gap = block.mean(axis=0, dtype=np.float64) - mean
        scatter += block.var(axis=0, dtype=np.float64) * len(block)
        scatter += gap**2 * (n * len(block) / (n + len(block)))
        mean += gap * len(block) / (n + len(block))
        n += len(block)
    sd = np.sqrt(scatter / max(n, 1))
    return np.where(sd > 1e-6 * np.abs(mean), sd, 1.0).astype(np.float32)


def _uncentred(task: Task, settings: Settings) -> np.ndarray:
    return (task.X - task.X.mean(axis=0, dtype=np.float64).astype(np.float32)) / task.unit


def _sequence(*keys: str, standardise: bool = False) -> Callable[[Task, Settings], np.ndarray]:
    """Centring in sequence; on the condition too only where a warning asks for it."""

    def scale(task: Task, settings: Settings) -> np.ndarray:
        if "disease_condition" in keys and len(task.layout.kinds) < 2:
            raise InputError("there is no disease, so there is no condition to be centred on")
        profiles = center_in_sequence(
            task.X,
            task.obs,
            keys,
            fit=task.visible,
            standardise=standardise,
            demonstrate="disease_condition" in keys,
        )
        return profiles if standardise else np.divide(profiles, task.unit, out=profiles)

    return scale


def _by_reference(
    *,
    bulk: bool = False,
    robust: bool = False,
    spread: str = "none",
    shrink: bool = False,
    clip: bool = False,
) -> Callable[[Task, Settings], np.ndarray]:
    """Centring on control wells, or on the treated wells, of each plate."""

    def scale(task: Task, settings: Settings) -> np.ndarray:
        kind = np.where(task.layout.bulk, 0, -1) if bulk else task.reference
        fitted = fit_plate_reference(
            task.X, task.layout, kind, robust=robust, spread=spread, shrink=shrink
        )
        profiles = fitted.apply(task.X, task.layout.batch, settings.clip if clip else None)
        return np.divide(profiles, task.unit, out=profiles) if spread == "none" else profiles

    return scale


_SHRUNKEN = _by_reference(spread="pooled", shrink=True, clip=True)
_BULK = _by_reference(bulk=True, robust=True, spread="pooled", clip=True)

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("none", "uncentred", "nothing", _uncentred),
        Method(
            "sequence",
            "experiment, site, plate",
            "the mean of each experiment, then of each plate, over all wells",
            _sequence("experiment", "site", "batch"),
            status="comparison",
        ),
        Method(
            "sequence_standard",
            "experiment, site, plate; standardised",
            "the same, and the standard deviation of each",
            _sequence("experiment", "site", "batch", standardise=True),
            status="comparison",
        ),
        Method(
            "sequence_condition",
            "experiment, site, plate, condition",
            "the same, and then the mean of each disease condition: a warning",
            _sequence("experiment", "site", "batch", "disease_condition"),
            status="warning",
        ),
        Method(
            "control_center",
            "plate controls, mean",
            "the mean of the plate's control wells",
            _by_reference(),
        ),
        Method(
            "control_standard",
            "plate controls, mean and SD",
            "the mean and standard deviation of the plate's control wells",
            _by_reference(spread="plate"),
        ),
        Method(
            "control_robust",
            "plate controls, median and MAD",
            "the median and MAD of the plate's control wells",
            _by_reference(robust=True, spread="plate", clip=True),
        ),
        Method(
            "control_shrunk",
            "plate controls, shrunken; pooled MAD",
            "the mean of the plate's control wells, shrunken towards the experiment's, "
            "and the MAD of all plates' controls",
            _SHRUNKEN,
        ),
        Method(
            "bulk_robust",
            "plate bulk, median and MAD",
            "the median and MAD of the plate's treated wells",
            _by_reference(bulk=True, robust=True, spread="plate", clip=True),
        ),
        Method(
            "tvn",
            "controls, whitened (TVN)",
            "the same as control_shrunk (shrunken means of plate controls, pooled MAD), then the "
            "covariance of all controls",
            _SHRUNKEN,
            whiten=True,
        ),
        Method(
            "tvn_coral",
            "controls, whitened by plate (CORAL)",
            "the same as tvn, and then each plate's own control covariance",
            _SHRUNKEN,
            whiten=True,
            align=True,
        ),
        Method(
            "bulk_tvn",
            "bulk, whitened on controls",
            "the median of the plate's treated wells, then the covariance of all controls",
            _BULK,
            whiten=True,
        ),
        Method(
            "harmony",
            "Harmony",
            "plate differences within soft clusters of all wells",
            _uncentred,
            status="comparison",
            harmonise=True,
        ),
    )
}
"""All recipes by name, simplest first: ties are decided in this order."""


def method_named(name: str) -> Method:
    """Look up a recipe.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in METHODS:
        raise InputError(
            f"method is {name!r}; it can be auto or one of {listing(METHODS, 20)}"
            + did_you_mean(name, METHODS)
        )
    return METHODS[name]


def represent(
    method: Method, task: Task, settings: Settings, axes: Components | None = None
) -> Representation:
    """Run a recipe on the wells of one cell type.

    Parameters
    ----------
    method : Method
    task : Task
        All wells come back represented; only its visible wells are learned from.
    settings : Settings
    axes : Components, optional
        Principal components to use in place of the visible wells' own.

    Returns
    -------
    Representation

    Raises
    ------
    InputError
        If the method cannot be had here: a plate without reference wells, or an optional
        package that is not installed.
    """
    if method.harmonise and find_spec("harmonypy") is None:
        raise InputError(
            "method 'harmony' needs the package harmonypy; install it with "
            "pip install 'screenbook[harmony]'"
        )
    profiles = method.scale(task, settings)
    if axes is None:
        axes = principal_components(
            profiles[_sample(task, settings)], most=settings.n_components, share=1.0
        )
    scores = axes.scores(profiles)
    loadings: np.ndarray | None = axes.axes
    facts = {"variance_kept": float(axes.explained.sum())}
    if method.whiten:
        whitening = fit_whitening(scores, task.reference)
        scores = whitening.transform(scores)
        loadings = whitening.matrix.T @ axes.axes
        facts |= {"shrinkage": whitening.shrinkage, "condition": whitening.condition}
    if method.align:
        scores = align_plates(scores, task.layout.batch, task.reference, prior=settings.coral_prior)
    if method.harmonise:
        scores, loadings = _harmonise(scores, task.layout.batch, settings.seed), None
    return Representation(scores, loadings, axes, facts)


def _sample(task: Task, settings: Settings) -> np.ndarray:
    """Wells that the components are learned from, in order."""
    visible = np.flatnonzero(task.visible)
    if len(visible) <= settings.pca_wells:
        return visible
    rng = np.random.default_rng(settings.seed)
    return np.sort(rng.choice(visible, settings.pca_wells, replace=False))


def _harmonise(scores: np.ndarray, batch: np.ndarray, seed: int) -> np.ndarray:
    """Correct scores with Harmony (Korsunsky et al. 2019); it learns from all wells."""
    from harmonypy import run_harmony  # an optional extra, GPL

    labels = pd.DataFrame({"batch": batch.astype(str)})
    corrected = run_harmony(
        scores.astype(np.float64), labels, ["batch"], verbose=False, random_state=seed, ncores=1
    ).Z_corr
    out = np.asarray(corrected, dtype=np.float32)
    return out if out.shape == scores.shape else np.ascontiguousarray(out.T)
