"""What each treatment does, from its wells: means over plates of offsets from untreated wells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class TreatmentMeans:
    """Mean offset of every treatment, a compound at a dose, from untreated wells.

    Attributes
    ----------
    treatments : DataFrame, t rows
        ``compound_key dose n_wells n_plates``, sorted by the first two.
    profiles : ndarray of float64, shape (t, k)
        Mean over plates, each plate counted alike.
    on_plates : DataFrame, s rows
        A treatment on one plate: ``treatment`` (row of `treatments`), ``batch``.
    plate_profiles : ndarray of float64, shape (s, k)
        Mean offset of its wells there.
    """

    treatments: pd.DataFrame
    profiles: np.ndarray
    on_plates: pd.DataFrame
    plate_profiles: np.ndarray


def treatment_means(points: np.ndarray, wells: pd.DataFrame, untreated: str) -> TreatmentMeans:
    """Average the offset of treated wells from the untreated wells of their plate.

    Parameters
    ----------
    points : ndarray, shape (n_wells, k)
        Centred profiles of one cell type.
    wells : DataFrame, n_wells rows
        ``batch role compound_key dose``, of wells in use.
    untreated : str
        Role of the wells that offsets are taken from. Plates without any do not count.

    Returns
    -------
    TreatmentMeans
    """
    points = np.asarray(points, dtype=np.float64)
    plate, plates = pd.factorize(wells["batch"].astype(str), sort=True)
    is_control = (wells["role"] == untreated).to_numpy()
    base = _group_means(points[is_control], plate[is_control], len(plates))
    treated = (wells["role"] == "treated").to_numpy() & np.isfinite(base[plate, :1]).all(axis=1)
    rows = np.flatnonzero(treated)
    keys = wells.iloc[rows][["compound_key", "dose"]]
    groups = keys.groupby(["compound_key", "dose"], sort=True, observed=True, dropna=False)
    code = groups.ngroup().to_numpy()
    n_wells = groups.size()
    pair, first, member = np.unique(
        code * len(plates) + plate[rows], return_index=True, return_inverse=True
    )
    by_plate = _group_means(points[rows] - base[plate[rows]], member, len(pair))
    treatments = n_wells.rename("n_wells").reset_index()
    treatments["n_plates"] = np.bincount(code[first], minlength=len(treatments))
    on_plates = pd.DataFrame({"treatment": code[first], "batch": plates[plate[rows][first]]})
    profiles = _group_means(by_plate, code[first], len(treatments))
    return TreatmentMeans(treatments, profiles, on_plates, by_plate)


def _group_means(values: np.ndarray, group: np.ndarray, n: int) -> np.ndarray:
    """Mean of rows by group, (n, k); NaN for a group without rows."""
    sums = np.zeros((n, values.shape[1]))
    np.add.at(sums, group, values)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / np.bincount(group, minlength=n)[:, None])
