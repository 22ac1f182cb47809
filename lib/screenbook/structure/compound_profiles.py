"""One vector for each compound: which way it changes cells, over its doses that do so at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.errors import InputError, listing
from screenbook.profiles.treatment_means import TreatmentMeans

COLUMNS = ("compound_key", "compound", "moa", "smiles", "active", "n_active", "strength")
"""Columns of ``CompoundProfiles.table``."""


@dataclass(frozen=True)
class CompoundProfiles:
    """Compounds of one cell type, and the direction in which each changes cells.

    Attributes
    ----------
    table : DataFrame, c rows
        :data:`COLUMNS`: ``active`` if the wells of a dose on different plates find each other
        (replicate mAP, report 04), ``n_active`` such doses, ``strength`` the mean length of
        its offsets at the doses used. ``moa`` and ``smiles`` are ``""`` where unknown.
    profiles : ndarray of float64, shape (c, k)
        Mean of the unit offsets at its active doses; at its highest dose if none is.
    doses : DataFrame, d rows
        The doses used: ``compound`` (row of `table`), ``dose``.
    dose_profiles : ndarray of float64, shape (d, k)
        Unit offsets at these doses.
    on_plates : DataFrame, s rows
        ``compound`` (row of `table`), ``batch``.
    plate_profiles : ndarray of float64, shape (s, k)
        As `profiles`, from the wells of one plate.
    """

    table: pd.DataFrame
    profiles: np.ndarray
    doses: pd.DataFrame
    dose_profiles: np.ndarray
    on_plates: pd.DataFrame
    plate_profiles: np.ndarray

    def __len__(self) -> int:
        return len(self.table)

    def subset(self, rows: np.ndarray) -> CompoundProfiles:
        """Keep some compounds, given by a mask."""
        rows = np.asarray(rows, dtype=bool)
        place = np.cumsum(rows) - 1
        parts = []
        for about, points in (
            (self.doses, self.dose_profiles),
            (self.on_plates, self.plate_profiles),
        ):
            kept = rows[about["compound"].to_numpy()]
            mine = about[kept].reset_index(drop=True)
            parts += [mine.assign(compound=place[mine["compound"].to_numpy()]), points[kept]]
        return CompoundProfiles(
            self.table[rows].reset_index(drop=True), self.profiles[rows], *parts
        )


def compound_profiles(
    means: TreatmentMeans, about: pd.DataFrame, activity: pd.DataFrame, fdr: float = 0.05
) -> CompoundProfiles:
    """Join the doses of each compound to one direction.

    Offsets are scaled to length 1 before they are averaged, since a dose that does more should
    not count more: what is asked is the direction. Which doses count is decided by replicates
    alone, so nothing of mechanism or structure goes into it.

    Parameters
    ----------
    means : TreatmentMeans
        Of one cell type.
    about : DataFrame
        ``compound_key compound moa smiles``.
    activity : DataFrame
        ``compound_key dose replicate_q``, the q of each treatment's replicate mAP.
    fdr : float
        Largest q of an active dose.

    Raises
    ------
    InputError
        If no treatment of `means` is in `about`.
    """
    known = about.drop_duplicates("compound_key").set_index("compound_key")
    rows = means.treatments.merge(
        activity[["compound_key", "dose", "replicate_q"]], on=["compound_key", "dose"], how="left"
    )
    rows["active"] = rows["replicate_q"] <= fdr
    highest = rows["dose"].eq(rows.groupby("compound_key")["dose"].transform("max"))
    any_active = rows.groupby("compound_key")["active"].transform("any")
    used = rows["active"] | (~any_active & (highest | rows["dose"].isna()))
    used &= rows["compound_key"].isin(known.index)
    if not used.any():
        raise InputError(
            f"no compound of the profiles is in the table of hits ({listing(known.index[:3])}, …): "
            "run report 04 on this screen again"
        )
    keys = sorted(rows.loc[used, "compound_key"].unique())
    place = {key: i for i, key in enumerate(keys)}
    owner = rows["compound_key"].map(place).where(used, -1).astype(int).to_numpy()
    picked = np.flatnonzero(owner >= 0)
    units = unit_rows(means.profiles[picked])
    of_pair = owner[means.on_plates["treatment"].to_numpy()]
    here = np.flatnonzero(of_pair >= 0)
    pairs = means.on_plates.iloc[here].assign(compound=of_pair[here])
    groups = pairs.groupby(["compound", "batch"], sort=True)
    on_plates = groups.size().reset_index()[["compound", "batch"]]
    table = known.loc[keys, ["compound", "moa", "smiles"]].fillna("").reset_index()
    active = rows[used].groupby("compound_key")["active"].sum().reindex(keys).to_numpy()
    lengths = np.linalg.norm(means.profiles[picked], axis=1)
    table["active"], table["n_active"] = active > 0, active
    table["strength"] = _means(lengths[:, None], owner[picked], len(keys))[:, 0]
    return CompoundProfiles(
        table,
        _means(units, owner[picked], len(keys)),
        pd.DataFrame({"compound": owner[picked], "dose": rows["dose"].to_numpy()[picked]}),
        units,
        on_plates,
        _means(unit_rows(means.plate_profiles[here]), groups.ngroup().to_numpy(), len(on_plates)),
    )


def unit_rows(points: np.ndarray) -> np.ndarray:
    """Scale rows to length 1; a row of zeros stays."""
    length = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(length == 0, 1.0, length))


def _means(values: np.ndarray, group: np.ndarray, n: int) -> np.ndarray:
    """Mean of rows by group, (n, k); every group has rows."""
    sums = np.zeros((n, values.shape[1]))
    np.add.at(sums, group, values)
    return np.asarray(sums / np.bincount(group, minlength=n)[:, None])
