"""Ask models that tell healthy from diseased whether they take a well for a healthy one.

Models learn from healthy and untreated diseased wells only. Plates are cut into folds, and a
well is scored by models that learned from no well of its fold. Within a fold the other plates are
cut again, into parts: member p of the ensemble holds part p back, which tells it when to stop and
how strongly to regularise, and whose scores teach the calibration. So neither a model nor its
calibration has seen the plate of a well that it speaks of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anndata as ad
import numpy as np

from screenbook.classifier.calibration import conformal_p, fit_calibration
from screenbook.classifier.classifier_models import MODELS, Segment, Settings, fit_members
from screenbook.errors import InputError
from screenbook.profiles.batches import Part, batch_codes


@dataclass(frozen=True)
class Task:
    """Wells of one cell type, and who teaches.

    Attributes
    ----------
    points : ndarray of float64, shape (n, k)
    label : ndarray of int, shape (n,)
        1 healthy, 0 untreated disease, -1 any other well.
    teach : ndarray of bool, shape (n,)
        Controls that may be learned from.
    plate, experiment : ndarray of int, shape (n,)
    """

    points: np.ndarray
    label: np.ndarray
    teach: np.ndarray
    plate: np.ndarray
    experiment: np.ndarray


@dataclass(frozen=True)
class HeldOut:
    """Scores of wells by models that did not learn from their plate.

    Attributes
    ----------
    fold : ndarray of int, shape (n,)
    members : ndarray of float64, shape (m, n)
        Log odds of healthy by each member of the ensemble, before calibration.
    learned : ndarray of bool, shape (n_folds, m, n)
        The wells that each model learned from, or was stopped by.
    known_rows, known_scores : tuple of ndarray
        For each fold the controls of *other* folds, and their log odds by the member that did
        not learn from them.
    distance : ndarray of float64, shape (n,)
        From all controls; see :class:`screenbook.classifier.classifier_models.Segment`.
    limit : ndarray of float64, shape (n_folds,)
        Distance beyond which a well of the fold is unlike any control.
    """

    fold: np.ndarray
    members: np.ndarray
    learned: np.ndarray
    known_rows: tuple[np.ndarray, ...]
    known_scores: tuple[np.ndarray, ...]
    distance: np.ndarray
    limit: np.ndarray

    @property
    def outside(self) -> np.ndarray:
        """Which wells are unlike any control, (n,) bool."""
        return self.distance > self.limit[self.fold]


@dataclass(frozen=True)
class Probabilities:
    """What the scores mean.

    Attributes
    ----------
    p, low, high : ndarray of float64, shape (n,)
        Probability of healthy: mean, lowest and highest of the ensemble.
    call : ndarray of str, shape (n,)
        ``"healthy"`` or ``"diseased"`` where the other class is excluded; ``"either"`` where
        none is, ``"neither"`` where both are.
    """

    p: np.ndarray
    low: np.ndarray
    high: np.ndarray
    call: np.ndarray


def refuse_sites(screen: ad.AnnData) -> None:
    """Refuse a screen whose rows are sites.

    Raises
    ------
    InputError
        Sites of one well on both sides of a split would let a model know its answers.
    """
    if screen.uns.get("level") == "site":
        raise InputError(
            "the rows of this screen are sites; classifiers here learn from wells: average the "
            "sites of each well first (open_wells does)"
        )


def task_of(part: Part, used: np.ndarray) -> Task:
    """Make ready what one cell type asks.

    Parameters
    ----------
    part : Part
        Wells of one cell type, as report 02 left them.
    used : ndarray of bool, shape (n,)
        Wells that may teach, if they are controls.

    Raises
    ------
    InputError
        If the screen has no disease: there is nothing to tell apart.
    """
    layout = part.layout
    if "diseased" not in layout.kinds:
        raise InputError("the screen has no disease, so there is no healthy and diseased to learn")
    label = np.full(len(layout.kind), -1)
    label[layout.kind == layout.kinds.index("healthy")] = 1
    label[layout.kind == layout.kinds.index("diseased")] = 0
    points = part.X[:, part.X.any(axis=0)].astype(np.float64)  # other cell types may have more axes
    return Task(points, label, (label >= 0) & used, layout.batch, layout.experiment)


def fold_codes(part: Part, key: str, at_most: int, seed: int) -> np.ndarray:
    """Cut wells into folds along plates or experiments.

    Parameters
    ----------
    part : Part
    key : str
        ``"batch"`` (plates) or ``"experiment"``, or another column that is no label.
    at_most : int
        Folds; if there are more batches, several make a fold, spread over experiments.
    seed : int
        Of which batches share a fold.

    Returns
    -------
    ndarray of int, shape (n,)

    Raises
    ------
    InputError
        If `key` is a label of interest, or there is only one batch.
    """
    batch = batch_codes(part.obs, key)[0]
    names, first, batch = np.unique(batch, return_index=True, return_inverse=True)
    if len(names) < 2:
        raise InputError(
            f"{part.cell_type}: there is one {'plate' if key == 'batch' else key} only, and none "
            "is left to learn from"
        )
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(names)), part.layout.experiment[first]))
    fold = np.empty(len(names), dtype=int)
    fold[order] = np.arange(len(names)) % at_most
    return fold[batch]


def held_out_scores(
    task: Task,
    fold: np.ndarray,
    model: str = "net",
    settings: Settings | None = None,
    *,
    n_parts: int | None = None,
) -> HeldOut:
    """Score every well by models that learned from controls of other folds.

    Parameters
    ----------
    task : Task
    fold : ndarray of int, shape (n,)
        From :func:`fold_codes`.
    model : {"net", "logistic", "lda"}
    settings : Settings, optional
    n_parts : int, optional
        Members to train, fewer than there are parts: for nulls, which need no ensemble.

    Raises
    ------
    InputError
        If fewer than two plates with both kinds of control are left to learn from, or the
        model is not known.
    """
    settings = settings or Settings()
    if model not in MODELS:
        raise InputError(f"model {model!r} is not known; choose {', '.join(MODELS)}")
    for plate in np.unique(task.plate):
        if np.ptp(fold[task.plate == plate]) > 0:
            raise InputError(f"plate {plate} is cut by the folds: keep whole plates in one fold")
    rows = np.flatnonzero(task.teach)
    stop = _parts(task, fold, settings)[:, :n_parts]  # (f, p, taught)
    learn = ~stop & (fold[rows] != np.arange(len(stop))[:, None, None])
    points, label = task.points[rows], task.label[rows]
    members = fit_members(model, points, label, learn, stop, settings)
    segment = Segment.fit(points, label, learn)
    n_members = len(members.part)
    learned = np.zeros((len(stop), n_members, len(fold)), dtype=bool)
    learned[:, :, rows] = (learn | stop)[:, members.part]
    refuse_shared_plates(learned, task.plate, fold)
    out, distance = np.empty((n_members, len(fold))), np.empty(len(fold))
    limit, known_rows, known_scores = np.empty(len(stop)), [], []
    for f in range(len(stop)):
        held_back = stop[f]  # (p, taught)
        asked = fold == f
        out[:, asked] = members.log_odds(f, task.points[asked])
        distance[asked] = segment.distance(f, task.points[asked]).mean(axis=0)
        # Each control of another fold, by the members that held its part back.
        own = held_back[members.part]  # (m, taught)
        known = own.any(axis=0)
        scores = np.where(own, members.log_odds(f, points), 0).sum(axis=0)[known]
        known_scores.append(scores / own.sum(axis=0)[known])
        known_rows.append(rows[known])
        away = np.where(held_back, segment.distance(f, points), 0).sum(axis=0)[known]
        limit[f] = np.quantile(away, 1 - settings.outside)
    return HeldOut(fold, out, learned, tuple(known_rows), tuple(known_scores), distance, limit)


def refuse_shared_plates(learned: np.ndarray, plates: np.ndarray, fold: np.ndarray) -> None:
    """Refuse scores of wells whose plate has taught the model that scores them.

    Parameters
    ----------
    learned : ndarray of bool, shape (n_folds, m, n)
        Wells that the models of each fold learned from.
    plates, fold : ndarray of int, shape (n,)
        Plate of each well, and the fold whose models score it.

    Raises
    ------
    InputError
        Naming the first such plate by its number.
    """
    for f in range(len(learned)):
        taught = learned[f].any(axis=0)
        both = np.intersect1d(plates[taught], plates[fold == f])
        if len(both):
            raise InputError(
                f"plate {both[0]} has wells that the models of fold {f} learned from, and wells "
                "that they score: keep whole plates in one fold"
            )


def calibrate(held: HeldOut, task: Task, settings: Settings | None = None) -> Probabilities:
    """Turn held-out scores into probabilities, by maps that saw other plates only.

    Every member's scores go through the map of their fold; the probability is their mean.

    Parameters
    ----------
    held : HeldOut
    task : Task
        The one that was scored.
    settings : Settings, optional

    Returns
    -------
    Probabilities
        They refer to the share of healthy wells among the controls.
    """
    settings = settings or Settings()
    p = np.empty_like(held.members)
    call = np.empty(len(held.fold), dtype=object)
    for f, (rows, scores) in enumerate(zip(held.known_rows, held.known_scores, strict=True)):
        asked = held.fold == f
        to_p = fit_calibration(scores, task.label[rows], settings.calibration)
        p[:, asked] = to_p(held.members[:, asked])
        usual = conformal_p(scores, task.label[rows], held.members[:, asked].mean(axis=0))
        call[asked] = _calls(usual, settings.error)
    return Probabilities(p.mean(axis=0), p.min(axis=0), p.max(axis=0), call.astype(str))


def _calls(usual: np.ndarray, error: float) -> np.ndarray:
    diseased, healthy = (usual >= error).T
    names: Sequence[str] = ("healthy", "diseased", "either")
    return np.select(
        [healthy & ~diseased, diseased & ~healthy, healthy & diseased], names, "neither"
    )


def _parts(task: Task, fold: np.ndarray, settings: Settings) -> np.ndarray:
    """Which controls each member of each fold holds back, (n_folds, n_parts, n_taught) bool.

    Plates with both kinds of control are spread over the parts, so that each part has both.
    """
    rows = np.flatnonzero(task.teach)
    plate, label = task.plate[rows], task.label[rows]
    both = [int(p) for p in np.intersect1d(plate[label == 0], plate[label == 1])]
    fold_of = {int(p): int(fold[rows[plate == p][0]]) for p in np.unique(plate)}
    n_folds = int(fold.max()) + 1
    left = [[p for p in both if fold_of[p] != f] for f in range(n_folds)]
    n_parts = min(settings.n_parts, *(len(plates) for plates in left), len(both))
    if n_parts < 2:
        raise InputError(
            f"{len(both)} plate{'s' * (len(both) != 1)} with both healthy and untreated diseased "
            "wells: a model needs two to learn and stop on, beside those that it is asked about"
        )
    out = np.zeros((n_folds, n_parts, len(rows)), dtype=bool)
    rng = np.random.default_rng(settings.seed)
    for f, whole in enumerate(left):
        others = [p for p in np.unique(plate) if fold_of[int(p)] != f and int(p) not in whole]
        for i, p in enumerate([*rng.permutation(whole).tolist(), *others]):
            out[f, i % n_parts] |= plate == p
    return out
