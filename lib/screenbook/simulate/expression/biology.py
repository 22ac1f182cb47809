"""Genes, programmes, cell lines and mechanisms: what a drug can do, and where it does it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from screenbook.simulate.expression.spec import ExpressionSpec

ORGANS = ("Lung", "Bowel", "Breast", "Skin", "Pancreas", "Blood")

PROGRAMME_GENES = 18
"""Genes of a programme; programmes overlap."""

OWN_GENES = 10
"""Genes that only one mechanism changes."""

DRIVEN = 1.3
"""What a mutated driver adds to the activity of its programme, in SD over lines."""


@dataclass(frozen=True)
class Biology:
    """What is true of genes, lines and mechanisms.

    Attributes
    ----------
    genes : ndarray of str, shape (n_genes,)
    programmes : ndarray, shape (n_programmes, n_genes)
        Weights, rows of length 1. Mechanism m works on programme m; the last programme is the
        stress that all toxic drugs share.
    drivers : ndarray of int, shape (n_mechanisms,)
        Gene whose mutation raises programme m.
    targets : list of tuple of int
        Genes that the drugs of mechanism m bind, the driver first.
    lines : DataFrame
        ``cell_line``, ``organ``, ``drivers`` (names of mutated genes), ``growth`` (cells in
        units of the median line's).
    activity : ndarray, shape (n_lines, n_programmes)
        In SD over lines.
    mean : ndarray, shape (n_lines, n_genes)
        Basal expression, log1p counts per 10,000.
    sensitivity : ndarray, shape (n_lines, n_mechanisms)
        Share of a mechanism's largest effect that a line shows, 0 to 1.
    effects : ndarray, shape (n_mechanisms, n_genes)
        Change of a fully sensitive line under a full dose.
    """

    genes: np.ndarray
    programmes: np.ndarray
    drivers: np.ndarray
    targets: list[tuple[int, ...]]
    lines: pd.DataFrame
    activity: np.ndarray
    mean: np.ndarray
    sensitivity: np.ndarray
    effects: np.ndarray


def draw_biology(spec: ExpressionSpec, rng: np.random.Generator) -> Biology:
    """Draw genes, lines and mechanisms."""
    n, m = spec.n_genes, spec.n_mechanisms
    genes = np.array([f"G{i + 1:04d}" for i in range(n)], dtype=object)
    programmes = np.vstack([_sparse(n, PROGRAMME_GENES, rng) for _ in range(m + 1)])
    drivers = rng.choice(n, m, replace=False)
    # Neighbouring mechanisms share a target, as kinase inhibitors do.
    targets: list[tuple[int, ...]] = [
        (int(drivers[i]), int(drivers[(i + 1) % m])) for i in range(m)
    ]
    mutated = rng.random((spec.n_lines, m)) < 0.3
    organ = rng.integers(len(ORGANS), size=spec.n_lines)
    by_organ = rng.normal(0, 0.6, (len(ORGANS), m + 1))
    activity = by_organ[organ] + rng.normal(0, 0.5, (spec.n_lines, m + 1))
    activity[:, :m] += DRIVEN * (mutated - 0.3)
    level = np.clip(rng.gamma(2.0, 0.5, n), 0.05, 3.5)
    # A programme shows in its own genes: what a line has running is what can be shut down.
    mean = level + 0.7 * activity @ programmes + rng.normal(0, 0.2, (spec.n_lines, n))
    mean[:, drivers] += 0.6 * mutated
    mean = np.log1p(np.exp(3.0 * mean)) / 3.0  # soft floor at 0: no gene is seen less than never
    return Biology(
        genes=genes,
        programmes=programmes,
        drivers=drivers,
        targets=targets,
        lines=pd.DataFrame(
            {
                "cell_line": [f"SBL-{i + 1:02d}" for i in range(spec.n_lines)],
                "organ": [ORGANS[i] for i in organ],
                "drivers": [";".join(genes[drivers[row]]) for row in mutated],
                "growth": np.exp(rng.normal(0, 0.6, spec.n_lines)),
            }
        ),
        activity=activity,
        mean=mean,
        sensitivity=expit(spec.sensitivity * (activity[:, :m] - 0.2)),
        effects=spec.effect * _effects(programmes[:m], rng),
    )


def _effects(programmes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each mechanism shuts its programme down, moves another a little, and has own genes."""
    m, n = programmes.shape
    other = programmes[(np.arange(m) + 1 + rng.integers(max(m - 1, 1), size=m)) % m]
    own = np.vstack([_sparse(n, OWN_GENES, rng) for _ in range(m)])
    return -2.4 * programmes + 0.7 * rng.choice([-1, 1], (m, 1)) * other + 1.2 * own


def _sparse(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a direction of length 1 over k of n genes, most of them of one sign."""
    out = np.zeros(n)
    out[rng.choice(n, k, replace=False)] = rng.gamma(3.0, 1.0, k) * np.where(
        rng.random(k) < 0.8, 1, -1
    )
    return np.asarray(out / np.linalg.norm(out))
