"""The models that tell healthy from diseased, one for each fold and member of an ensemble.

Members hold back one part each of a fold's plates, as :mod:`~screenbook.classifier.classify`
says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from sklearn.linear_model import LogisticRegression

from screenbook.classifier.classifier_net import (
    NetSettings,
    TrainedNets,
    balanced_weights,
    train_nets,
)
from screenbook.profiles.separability import ShrunkenLDA
from screenbook.profiles.whitening import shrunken_covariance

MODELS = {
    "net": "net of one hidden layer",
    "logistic": "logistic regression",
    "lda": "shrunken discriminant",
}
"""Models, and what figures call them."""

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Inverse penalties that logistic regression chooses among, by the loss on the part held back."""


@dataclass(frozen=True)
class Settings:
    """How wells are scored.

    Attributes
    ----------
    n_folds : int
        Folds of plates at most; all plates of a fold are held out together.
    n_parts : int
        Parts into which the other plates are cut: members of the ensemble.
    n_seeds : int
        Nets for each part, from different seeds.
    calibration : {"platt", "isotonic"}
    outside : float
        Share of held-out controls that may lie further from all controls than a well that is
        called outside.
    error : float
        Error at which a class is excluded for a well.
    net : NetSettings
    seed : int
        Of folds, parts, starting weights and dropout.
    """

    n_folds: int = 9
    n_parts: int = 5
    n_seeds: int = 1
    calibration: str = "platt"
    outside: float = 0.01
    error: float = 0.05
    net: NetSettings = field(default_factory=NetSettings)
    seed: int = 0


class Members(Protocol):
    """The models of all folds.

    Attributes
    ----------
    part : ndarray of int, shape (m,)
        Which part of the plates each member holds back.
    """

    @property
    def part(self) -> np.ndarray: ...  # noqa: D102

    def log_odds(self, fold: int, points: np.ndarray) -> np.ndarray:
        """Log odds of healthy by each member of a fold, (m, n)."""


@dataclass(frozen=True)
class LinearMembers:
    """Models that are a direction and an offset.

    Attributes
    ----------
    weights : ndarray of float64, shape (f, m, k)
    offset : ndarray of float64, shape (f, m)
    """

    weights: np.ndarray
    offset: np.ndarray

    @property
    def part(self) -> np.ndarray:
        """Member p holds back part p."""
        return np.arange(self.weights.shape[1])

    def log_odds(self, fold: int, points: np.ndarray) -> np.ndarray:
        """Log odds of healthy by each member of a fold, (m, n)."""
        return self.weights[fold] @ points.T + self.offset[fold][:, None]


@dataclass(frozen=True)
class NetMembers:
    """Nets, several seeds for each part."""

    nets: TrainedNets
    part: np.ndarray

    def log_odds(self, fold: int, points: np.ndarray) -> np.ndarray:
        """Log odds of healthy by each member of a fold, (m, n)."""
        return self.nets.log_odds(fold, points)


def fit_members(
    model: str,
    points: np.ndarray,
    label: np.ndarray,
    learn: np.ndarray,
    stop: np.ndarray,
    settings: Settings,
) -> Members:
    """Train a model for each fold and member.

    Parameters
    ----------
    model : {"net", "logistic", "lda"}
    points : ndarray, shape (n, k)
        Controls.
    label : ndarray of int, shape (n,)
        1 healthy, 0 diseased.
    learn, stop : ndarray of bool, shape (f, p, n)
        Controls to learn from, and controls held back; both kinds are among either.
    settings : Settings
    """
    if model == "net":
        n_parts, n_seeds = learn.shape[1], settings.n_seeds
        part = np.tile(np.arange(n_parts), n_seeds)
        seeds = [settings.seed * 1000 + s for s in range(n_seeds) for _ in range(n_parts)]
        trained = train_nets(points, label, learn[:, part], stop[:, part], seeds, settings.net)
        return NetMembers(trained, part)
    fit = _fit_logistic if model == "logistic" else _fit_lda
    n_folds, n_parts = learn.shape[:2]
    weights, offset = np.empty((n_folds, n_parts, points.shape[1])), np.empty((n_folds, n_parts))
    for f in range(n_folds):
        for p in range(n_parts):
            weights[f, p], offset[f, p] = fit(points, label, learn[f, p], stop[f, p])
    return LinearMembers(weights, offset)


def _fit_lda(
    points: np.ndarray, label: np.ndarray, learn: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, float]:
    lda = ShrunkenLDA().fit(points[learn], label[learn], 2)
    return lda.weights[:, 1] - lda.weights[:, 0], float(lda.offset[1] - lda.offset[0])


def _fit_logistic(
    points: np.ndarray, label: np.ndarray, learn: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, float]:
    mean, scale = points[learn].mean(axis=0), points[learn].std(axis=0)
    scale[scale < 1e-9] = 1.0
    x = (points - mean) / scale
    balance = balanced_weights(label, stop)[stop]
    best = (np.inf, np.zeros(x.shape[1]), 0.0)
    model = LogisticRegression(class_weight="balanced", warm_start=True, max_iter=300)
    for strength in STRENGTHS:
        model.set_params(C=strength).fit(x[learn], label[learn])
        odds = model.decision_function(x[stop])
        loss = float(balance @ np.logaddexp(0, np.where(label[stop] == 1, -odds, odds)))
        if loss < best[0]:
            best = (loss, model.coef_[0].copy(), float(model.intercept_[0]))
    weights = best[1] / scale
    return weights, best[2] - float(weights @ mean)


@dataclass(frozen=True)
class Segment:
    """The line from healthy to diseased, and how controls scatter about it.

    A well between the two ends is like a control that is partly diseased; one that is far from
    every point of the line is like no control.

    Attributes
    ----------
    healthy, diseased : ndarray of float64, shape (f, p, k)
        Means.
    whitening : ndarray of float64, shape (f, p, k, k)
        Applied from the right; controls get unit covariance about their mean.
    """

    healthy: np.ndarray
    diseased: np.ndarray
    whitening: np.ndarray

    @staticmethod
    def fit(points: np.ndarray, label: np.ndarray, learn: np.ndarray) -> Segment:
        """Learn the line for each fold and part; see :func:`fit_members`."""
        shape, k = learn.shape[:2], points.shape[1]
        means = np.empty((2, *shape, k))
        whitening = np.empty((*shape, k, k))
        for at in np.ndindex(*shape):
            rows = learn[at]
            scale = points[rows].std(axis=0)
            scale[scale < 1e-9] = 1.0  # shrinkage would pull a narrow axis towards the wide ones
            some, kind = points[rows] / scale, label[rows]
            ends = np.stack([some[kind == value].mean(axis=0) for value in (0, 1)])
            covariance, _ = shrunken_covariance(some - ends[kind])
            covariance += 1e-9 * max(float(np.trace(covariance)), 1e-12) * np.eye(k)
            inverse = np.linalg.inv(np.linalg.cholesky(covariance))  # L⁻¹
            whitening[at] = inverse.T / scale[:, None]
            means[:, at[0], at[1]] = ends * scale
        return Segment(means[1], means[0], whitening)

    def distance(self, fold: int, points: np.ndarray) -> np.ndarray:
        """Distance of wells from the nearest point of each part's line, (p, n) float64.

        In standard deviations of controls, divided by √k: like wells lie near 1.
        """
        ends = zip(self.healthy[fold], self.diseased[fold], self.whitening[fold], strict=True)
        rows = []
        for healthy, diseased, whitening in ends:
            away = (points - healthy) @ whitening
            line = (diseased - healthy) @ whitening
            along = np.clip(away @ line / max(float(line @ line), 1e-300), 0, 1)
            left = away - along[:, None] * line
            rows.append(np.sqrt((left**2).sum(axis=1) / points.shape[1]))
        return np.stack(rows)
