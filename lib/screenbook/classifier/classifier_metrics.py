"""How good are scores and probabilities of wells of known class, with intervals over plates.

All measures take weights of wells, many sets at once: resampling plates is counting them anew.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

METRICS = ("auc", "average_precision", "mcc", "brier")
"""What :func:`measure` measures, beside the calibration error."""


def weighted_auc(scores: np.ndarray, label: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Probability that a well of class 1 scores above one of class 0; ties count half.

    Parameters
    ----------
    scores : ndarray, shape (n,)
    label : ndarray of int, shape (n,)
        0 or 1.
    weights : ndarray, shape (b, n)
        How often each well counts, b times over.

    Returns
    -------
    ndarray of float64, shape (b,)
        NaN where a class has no weight.
    """
    upper, lower = _by_level(scores, label, weights)  # ascending
    below = np.cumsum(lower, axis=1) - lower
    won = (upper * (below + lower / 2)).sum(axis=1)
    return _ratio(won, upper.sum(axis=1) * lower.sum(axis=1))


def weighted_average_precision(
    scores: np.ndarray, label: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Mean precision at each well of class 1, best scores first; see :func:`weighted_auc`."""
    upper, lower = (side[:, ::-1] for side in _by_level(scores, label, weights))
    hits = np.cumsum(upper, axis=1)
    precision = hits / np.maximum(hits + np.cumsum(lower, axis=1), 1e-300)
    return _ratio((upper * precision).sum(axis=1), upper.sum(axis=1))


def weighted_mcc(called: np.ndarray, label: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Matthews correlation of calls (bool, shape (n,)) and classes, (b,)."""
    yes, true = called.astype(float), label.astype(float)
    n = weights.sum(axis=1)
    a, b, both = weights @ yes, weights @ true, weights @ (yes * true)
    spread = np.sqrt(np.maximum(a * (n - a) * b * (n - b), 0))
    return _ratio(n * both - a * b, spread)


def weighted_brier(p: np.ndarray, label: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean squared distance of probabilities and classes, (b,)."""
    return _ratio(weights @ (p - label) ** 2, weights.sum(axis=1))


def measure(
    p: np.ndarray, label: np.ndarray, plates: np.ndarray, *, n_boot: int = 500, seed: int = 0
) -> dict[str, float]:
    """All measures over all plates together, with 95 % intervals from resampled plates.

    Parameters
    ----------
    p : ndarray, shape (n,)
        Probability of class 1, of wells of known class.
    label : ndarray of int, shape (n,)
    plates : ndarray of int, shape (n,)
    n_boot : int
        Times that plates are drawn with replacement.
    seed : int

    Returns
    -------
    dict of str to float
        For each of :data:`METRICS` the value, and ``<name>_low``, ``<name>_high``; ``n`` wells
        and ``n_plates``. The Matthews correlation calls class 1 from p = 0.5 on.
    """
    names, plate = np.unique(plates, return_inverse=True)
    counts = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=n_boot
    )
    weights = np.vstack([np.ones(len(p)), counts[:, plate]])
    found: dict[str, float] = {}
    for name, values in _all_measures(p, label, weights).items():
        found[name] = float(values[0])
        low, high = np.nanquantile(values[1:], [0.025, 0.975]) if len(names) > 1 else (np.nan,) * 2
        found |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return found | {"n": len(p), "n_plates": len(names)}


def measure_plates(p: np.ndarray, label: np.ndarray, plates: np.ndarray) -> pd.DataFrame:
    """All measures within each plate.

    Returns
    -------
    DataFrame
        ``plate`` (code), ``n``, and :data:`METRICS`, NaN where a plate lacks a class.
    """
    names, plate = np.unique(plates, return_inverse=True)
    weights = (plate == np.arange(len(names))[:, None]).astype(float)
    columns = {"plate": names, "n": weights.sum(axis=1).astype(int)}
    return pd.DataFrame(columns | _all_measures(p, label, weights))


def permute_within(label: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle labels (n,) among the wells of each group (n,), plates for instance."""
    shuffled = np.empty_like(label)
    shuffled[np.argsort(groups, kind="stable")] = label[
        np.lexsort((rng.random(len(label)), groups))
    ]
    return shuffled


def _all_measures(p: np.ndarray, label: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    ranked: dict[str, Callable[..., np.ndarray]] = {
        "auc": weighted_auc,
        "average_precision": weighted_average_precision,
    }
    found = {name: function(p, label, weights) for name, function in ranked.items()}
    found["mcc"] = weighted_mcc(p >= 0.5, label, weights)
    return found | {"brier": weighted_brier(p, label, weights)}


def _by_level(
    scores: np.ndarray, label: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weight of class 1 and of class 0 at each score that occurs, ascending, both (b, levels)."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)
    sides = ((weights * side)[:, order] for side in (label == 1, label == 0))
    upper, lower = (np.add.reduceat(side, starts, axis=1) for side in sides)
    return upper, lower


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
