"""Judge an embedding of cell images: what it tells of the cells, and what of the batch.

All embeddings are asked the same, on experiments that nothing was learned from: a linear probe
and nearest neighbours for the treatment or the cell type, the nearest compound of the same
mechanism, replicates against controls (grit); and, of the batch, batch-id accuracy and kBET.
Each twice: as the embedding is, and after every plate was standardised by its negative controls.
Intervals are over what would be drawn anew in another study, mostly experiments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError, listing
from screenbook.images.batch_mixing import ALPHA, batch_mixing
from screenbook.images.class_accuracy import ClassAccuracy, class_accuracy
from screenbook.images.embedding_scores import NONE, PLATE, Evaluation, score_row
from screenbook.images.grit import grit
from screenbook.images.held_out_mechanisms import mechanism_scores
from screenbook.images.normalise import standardise
from screenbook.images.shares import Share
from screenbook.images.splits import Split, refuse_leaks


@dataclass(frozen=True)
class Questions:
    """How embeddings are asked; one setting for all that are compared.

    Attributes
    ----------
    target : str
        Column of the metadata that is to be told: ``"treatment"`` or ``"cell_type"``.
    k, temperature
        Of weighted nearest neighbours (10 and 0.1 as in DINO's and CDCL's evaluation).
    probe_strength : float
        Of the linear probe, see :func:`screenbook.images.probes.linear_probe`.
    balanced : bool
        Classes count alike, in votes, probe and accuracy. Without, fields do.
    kbet_neighbours : int
    grit_floor : float
        See :func:`screenbook.images.grit.grit`.
    seed : int
        Of draws; the same seed gives the same numbers.
    """

    target: str = "treatment"
    k: int = 10
    temperature: float = 0.1
    probe_strength: float = 0.1
    balanced: bool = True
    kbet_neighbours: int = 15
    grit_floor: float = 0.05
    seed: int = 0


def evaluate(
    embedding: np.ndarray,
    obs: pd.DataFrame,
    split: Split,
    *,
    variant: str = "embedding",
    training_seed: int = 0,
    questions: Questions | None = None,
) -> Evaluation:
    """Ask an embedding everything.

    Parameters
    ----------
    embedding : ndarray, shape (n, d)
        Features of fields, scaled here to the mean and SD of the training fields.
    obs : DataFrame, n rows
        Metadata with ``cell_type experiment plate well treatment role batch`` and the target;
        ``compound`` and ``moa`` where known.
    split : Split
        By experiment; fields of neither part take no part.
    variant, training_seed
        What the result is filed under.
    questions : Questions, optional

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        If an experiment is on both sides, a value is no number, or fewer than two classes are
        on both sides.
    """
    questions = questions or Questions()
    asked = _Asked.prepare(embedding, obs, split, questions)
    scores, classes, experiments = [], [], []
    for how in (NONE, PLATE):
        points = asked.standardised() if how == PLATE else asked.points
        if points is None:
            continue
        told = _of_classes(points, asked, questions)
        rows = [*told.scores, *_of_batches(points, asked, questions)]
        rows += _of_treatments(points[asked.split.test], asked, questions)
        scores.append(pd.DataFrame(rows).assign(standardised=how))
        classes.append(told.per_class.assign(standardised=how))
        experiments.append(told.by_experiment.assign(standardised=how))
    return Evaluation(
        variant,
        training_seed,
        questions.target,
        _joined(scores),
        _joined(classes),
        _joined(experiments),
        asked.about,
        tuple(dict.fromkeys(asked.notes)),
    )


@dataclass
class _Asked:
    """Fields that are asked about, scaled by those in training."""

    points: np.ndarray
    obs: pd.DataFrame
    split: Split
    label: np.ndarray  # -1: of a class that is on one side only
    classes: np.ndarray
    about: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def prepare(
        cls, embedding: np.ndarray, obs: pd.DataFrame, split: Split, questions: Questions
    ) -> _Asked:
        if len(embedding) != len(obs) or len(split.part) != len(obs):
            raise ValueError(f"{len(embedding)} rows and {len(split.part)} parts for {len(obs)}")
        refuse_leaks(obs, split)
        used = split.train | split.test
        split, obs = split.subset(used), obs[used]
        points = np.asarray(embedding, dtype=np.float64)[used]
        if not np.isfinite(points).all():
            bad = obs.index[~np.isfinite(points).all(axis=1)][0]
            raise InputError(f"embedding: field {str(bad)!r} has a value that is no number")
        mean, sd = points[split.train].mean(axis=0), points[split.train].std(axis=0)
        varies = sd > 1e-6 * np.maximum(np.abs(mean), 1e-9)
        points = (points[:, varies] - mean[varies]) / sd[varies]
        if not varies.any():  # a dead network: it tells nothing, and that is what is to be shown
            points = np.zeros((len(points), 1))
        notes: list[str] = []
        label, classes = _shared_classes(obs[questions.target].astype(str), split, notes)
        about = {
            "n_features": int(embedding.shape[1]),
            "n_features_that_vary": int(varies.sum()),  # all others are left out
            "n_train": int(split.train.sum()),
            "n_test": int(split.test.sum()),
            "n_classes": len(classes),
            "train_experiments": _names(obs.loc[split.train, "experiment"]),
            "test_experiments": _names(obs.loc[split.test, "experiment"]),
        }
        return cls(points.astype(np.float32), obs, split, label, classes, about, notes)

    def standardised(self) -> np.ndarray | None:
        """Points standardised by the controls of their plate; None, with a note, if they lack."""
        control = (self.obs["role"] == "control").to_numpy()
        try:
            return standardise(self.points, self.obs["batch"].astype(str).to_numpy(), control)
        except InputError as e:
            self.notes.append(f"not standardised by plate: {e}")
            return None


def _shared_classes(
    values: pd.Series, split: Split, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Give classes that are on both sides a code, and note those that are not."""
    names = values.to_numpy()
    train, test = np.unique(names[split.train]), np.unique(names[split.test])
    classes = np.intersect1d(train, test)
    for side, lost in (
        ("training", np.setdiff1d(test, train)),
        ("test", np.setdiff1d(train, test)),
    ):
        if len(lost):
            notes.append(f"{values.name}: {listing(lost)} not in {side}: not asked about")
    if len(classes) < 2:
        raise InputError(
            f"column {values.name}: {len(classes)} classes are both in training and in test "
            f"({listing(classes) or 'none'}): at least two are needed to tell them apart"
        )
    counts = pd.Series(names[split.train]).value_counts()
    single = [name for name in classes if counts[name] == 1]
    if single:
        notes.append(f"{values.name}: {listing(single)} with a single field in training")
    place = np.searchsorted(classes, names)
    known = np.isin(names, classes)
    return np.where(known, np.minimum(place, len(classes) - 1), -1), classes


def _of_classes(points: np.ndarray, asked: _Asked, questions: Questions) -> ClassAccuracy:
    return class_accuracy(
        *(points, asked.label, asked.classes, asked.split.train, asked.split.test),
        asked.obs["experiment"].astype(str).to_numpy(),
        k=questions.k,
        temperature=questions.temperature,
        probe_strength=questions.probe_strength,
        balanced=questions.balanced,
    )


def _of_batches(points: np.ndarray, asked: _Asked, questions: Questions) -> list[dict[str, Any]]:
    """How far batches are told apart, among training and among held-out experiments."""
    rows = []
    for suffix, used in (("", asked.split.train), ("_held_out", asked.split.test)):
        found = batch_mixing(
            points[used],
            asked.obs[used],
            k=questions.k,
            temperature=questions.temperature,
            n_neighbours=questions.kbet_neighbours,
            seed=questions.seed,
        )
        where = "held out" if suffix else "in training"
        if found is None:
            asked.notes.append(f"batch: one batch only {where}, so there is nothing to mix")
            continue
        linear = Share(found.linear, np.nan, np.nan, found.knn.n, found.knn.n_groups)
        rows += [
            score_row(f"batch_id{suffix}", found.knn, found.chance, "batches"),
            score_row(f"batch_id_linear{suffix}", linear, found.chance, "batches"),
            score_row(f"kbet{suffix}", found.kbet, 1 - ALPHA, "batches"),
        ]
        asked.about[f"batches_asked_of{suffix}"] = found.kind
    return rows


def _of_treatments(points: np.ndarray, asked: _Asked, questions: Questions) -> list[dict[str, Any]]:
    """Mechanisms and grit, among held-out experiments."""
    obs = asked.obs[asked.split.test]
    rows = mechanism_scores(points, obs, seed=questions.seed)
    if rows is None:
        rows = []
        asked.notes.append("moa: fewer than two mechanisms have two compounds: not asked about")
    found = grit(
        points,
        obs["treatment"].astype(str).to_numpy(),
        (obs["role"] == "control").to_numpy(),
        obs["batch"].astype(str).to_numpy(),
        cell_type=obs["cell_type"].astype(str).to_numpy(),
        floor=questions.grit_floor,
    )
    if found.n_treatments:
        counts = (found.n_fields, found.n_treatments)
        robust = Share(found.value, found.low, found.high, *counts)
        plain = Share(found.plain, np.nan, np.nan, *counts)
        rows += [score_row("grit", robust, 0.0, "treatments")]
        rows += [score_row("grit_plain", plain, 0.0, "treatments")]
        asked.about["grit_at_floor"] = found.at_floor
    return rows


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """One table, with ``standardised`` as its first column."""
    table = pd.concat(parts, ignore_index=True)
    return table[["standardised", *table.columns.drop("standardised")]]


def _names(values: pd.Series) -> list[str]:
    return sorted(set(values.astype(str)))
