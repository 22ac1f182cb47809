"""What one fold answered, for a fine-tuned network or a baseline beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from screenbook.finetune.mechanism_folds import Mechanisms
from screenbook.finetune.pretraining import Start
from screenbook.held_out import Split
from screenbook.images.encoders import encode
from screenbook.images.pixel_statistics import channel_statistics

STATISTICS = "channel statistics"
UNTRAINED = "untrained backbone"
BEFORE = "backbone before tuning"
BASELINES = (STATISTICS, UNTRAINED, BEFORE)
"""Features that no mechanism was told, with logistic regression on them."""

_STRENGTH = 0.1  # inverse of the L2 penalty, as of the probes of the other reports


@dataclass(frozen=True)
class Outcome:
    """Answers of one model in one fold.

    Attributes
    ----------
    asked : ndarray of int
        Rows of the fields that were asked.
    share : ndarray, shape (n_asked, n_mechanisms)
        How likely each mechanism is said to be.
    train : float
        Mean recall over mechanisms on the fields that were learned from.
    n_steps : int
        Of the training; 0 for a baseline.
    validation : float
        Mean recall on the validation fields, of the network that they stopped; NaN if there
        is none.
    history : DataFrame
        See :class:`screenbook.finetune.fine_tuning.Tuned`.
    first, final : ndarray of float32, shape (n, d)
        Features of all fields: of the network that never learned from the validation fields,
        and of the one that was asked. Empty unless wanted.
    """

    asked: np.ndarray
    share: np.ndarray
    train: float
    n_steps: int = 0
    validation: float = np.nan
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    first: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    final: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))


def baseline_features(fields: np.ndarray, start: Start) -> dict[str, np.ndarray]:
    """Features of :data:`BASELINES`, (n, d) each, of fields (n, channel, y, x)."""
    return {
        STATISTICS: channel_statistics(fields),
        UNTRAINED: encode(start.untrained, fields, device="cpu"),
        BEFORE: encode(start.backbone, fields, device="cpu"),
    }


def baseline_outcome(points: np.ndarray, known: Mechanisms, split: Split) -> Outcome:
    """Tell mechanisms by logistic regression on features.

    It learns from training and validation fields, as the networks do in the end. Features are
    put to mean 0 and SD 1 there, mechanisms are weighed alike.

    Parameters
    ----------
    points : ndarray, shape (n, d)
    known : Mechanisms
    split : Split
    """
    learn, asked = np.flatnonzero(split.train | split.validation), np.flatnonzero(split.test)
    mean, sd = points[learn].mean(axis=0), points[learn].std(axis=0)
    scaled = ((points - mean) / np.where(sd > 1e-9, sd, 1.0)).astype(np.float64)
    model = LogisticRegression(C=_STRENGTH, max_iter=300, tol=1e-3, class_weight="balanced")
    model.fit(scaled[learn], known.code[learn])
    share = np.zeros((len(asked), len(known.names)))
    share[:, model.classes_] = model.predict_proba(scaled[asked])
    learned = mean_recall(model.predict(scaled[learn]), known.code[learn])
    return Outcome(asked, share, learned)


def mean_recall(guess: np.ndarray, truth: np.ndarray) -> float:
    """Average over classes of the share told right; NaN without fields."""
    counts = np.bincount(truth)
    hits = np.bincount(truth, weights=guess == truth, minlength=len(counts))
    there = counts > 0
    return float((hits[there] / counts[there]).mean()) if there.any() else np.nan
