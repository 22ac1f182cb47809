"""What compounds do to cells, and how much of it a well shows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from screenbook.simulate.embedding import random_direction, unit
from screenbook.simulate.spec import ScreenSpec

EFFECTS = ("emax", "off_axis", "cell_loss", "glow")
"""Columns of the largest effects in :func:`draw_pharmacology`."""


def hill(dose: np.ndarray, ec50: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Fraction of the largest effect at a dose (Hill equation); 0 where dose is NaN.

    Parameters
    ----------
    dose, ec50 : ndarray
        µM.
    slope : ndarray

    Returns
    -------
    ndarray
        From 0 to 1.
    """
    ratio = np.power(np.nan_to_num(dose) / ec50, slope)
    return ratio / (1 + ratio)


def infection_phenotype(load: np.ndarray, half: float) -> np.ndarray:
    """How far a viral load pushes cells along the way to infected.

    Parameters
    ----------
    load : ndarray
        Relative to the median well.
    half : float
        Load at which half of the largest possible phenotype is reached.

    Returns
    -------
    ndarray
        0 without virus, 1 at load 1, saturating at ``1 + half``.
    """
    return load * (1 + half) / (load + half)


def _log_uniform(bounds: tuple[float, float], n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw values that are uniform on a log scale."""
    low, high = np.log(bounds)
    return np.exp(rng.uniform(low, high, n))


def draw_pharmacology(
    spec: ScreenSpec, library: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw the potency and the largest effects of every compound in every cell type.

    Returns
    -------
    DataFrame
        One row per compound and cell type, cell types outermost: ``cell_type``, ``compound``,
        ``rescues``, ``ec50`` (µM, at which half of the compound's main effect shows),
        ``hill``, ``emax`` (fraction of the infection undone; negative if added to),
        ``off_axis`` (well SD), ``cell_loss`` (fraction of cells), ``cell_loss_ec50`` (µM),
        ``cell_loss_hill`` and ``glow`` (feature SD), each at its largest.
    """
    kind = library["class"].to_numpy()
    n = len(library)
    ec50 = np.where(
        kind == "toxic",
        _log_uniform(spec.toxic_ec50, n, rng),
        _log_uniform(spec.rescue_ec50, n, rng),
    )
    base = pd.DataFrame(
        {
            "compound": library["compound"].to_numpy(),
            "ec50": ec50,
            "hill": rng.uniform(*spec.hill, n),
            "cell_loss_hill": rng.uniform(1.5, 3.0, n),
        }
    )
    rescue, worse = rng.uniform(*spec.rescue_emax, n), rng.uniform(*spec.aggravation, n)
    emax = np.select([kind == "rescuer", kind == "aggravator"], [rescue, -worse], 0.0)
    side, off = spec.rescue_off_axis * rng.random(n), rng.uniform(*spec.off_axis, n)
    base["off_axis"] = np.select([kind == "rescuer", kind == "off_axis"], [side, off], 0.0)
    # A rescuer that also kills does so near the top dose: its curve is a bell.
    bell = (kind == "rescuer") & (rng.random(n) < spec.rescue_toxicity)
    loss = rng.uniform(0.5, 0.95, n)
    base["cell_loss"] = np.where((kind == "toxic") | bell, loss, 0.0)
    late = max(spec.doses) * rng.uniform(0.4, 1.0, n)
    base["cell_loss_ec50"] = np.where(bell, late, base["ec50"])
    base["glow"] = np.where(kind == "fluorescent", spec.glow * rng.uniform(0.6, 1.0, n), 0.0)

    tables = []
    for cell_type in spec.cell_types:
        own = base.copy()
        here = library["only"].isin(["", cell_type.name]).to_numpy()
        own["emax"] = np.where(here, emax, 0.0)
        own["rescues"] = own["emax"] > 0
        own["ec50"] *= np.exp(spec.selective_ec50_spread * rng.standard_normal(n))
        own["cell_loss_ec50"] = np.where(bell, late, own["ec50"])
        own.insert(0, "cell_type", cell_type.name)
        tables.append(own)
    columns = "cell_type compound rescues ec50 hill emax off_axis cell_loss cell_loss_ec50"
    both = pd.concat(tables, ignore_index=True)
    return both[[*columns.split(), "cell_loss_hill", "glow"]]


def off_axis_directions(
    library: pd.DataFrame, away_from: tuple[np.ndarray, ...], rng: np.random.Generator
) -> np.ndarray:
    """Draw where compounds push cells off the axis: alike within a mechanism.

    Returns
    -------
    ndarray, shape (n_compounds, N_STATE)
        Unit vectors, orthogonal to `away_from`.
    """
    names = sorted(library["mechanism"].unique())
    shared = {name: random_direction(rng, away_from=away_from) for name in names}
    own = [random_direction(rng, away_from=away_from) for _ in range(len(library))]
    return unit(np.stack([shared[m] for m in library["mechanism"]]) + 0.5 * np.stack(own))


def glow_features(
    library: pd.DataFrame, n_features: int, n_glow: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw the features in which fluorescent compounds glow: the same within a mechanism.

    Returns
    -------
    ndarray of float32, shape (n_compounds, n_features)
        +1 or -1 where a fluorescent compound shifts the feature, else 0.
    """
    pattern = np.zeros((len(library), n_features), dtype=np.float32)
    glowing = library["class"].eq("fluorescent").to_numpy()
    for mechanism in sorted(library.loc[glowing, "mechanism"].unique()):
        where = rng.choice(n_features, min(n_glow, n_features), replace=False)
        rows = np.flatnonzero(glowing & library["mechanism"].eq(mechanism).to_numpy())
        pattern[np.ix_(rows, where)] = rng.choice([1.0, 1.0, -1.0], len(where))
    return pattern
