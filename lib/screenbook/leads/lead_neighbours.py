"""Which other compounds do to cells what a lead does."""

from __future__ import annotations

from collections.abc import Sequence

import anndata as ad
import numpy as np
import pandas as pd

from screenbook.profiles.treatment_means import treatment_means

COLUMNS = (
    *("compound_key", "neighbour_key", "neighbour", "place", "cosine", "share_below"),
    *("best_dose", "moa", "call"),
)
"""Columns of :func:`lead_neighbours`."""


def treatment_profiles(
    points: np.ndarray, wells: pd.DataFrame, doses: pd.DataFrame, untreated: str
) -> tuple[list[str], np.ndarray]:
    """Average what each compound does at one dose, over plates.

    Parameters
    ----------
    points : ndarray, shape (n_wells, k)
        Centred profiles of one cell type.
    wells : DataFrame, n_wells rows
        ``batch role compound_key dose``, of wells in use.
    doses : DataFrame
        ``compound_key best_dose``.
    untreated : str
        Role of the wells that each plate's treated wells are measured from.

    Returns
    -------
    keys : list of str
    profiles : ndarray of float64, shape (n_compounds, k)
        Mean over plates of the mean offset from the plate's untreated wells; plates without
        such wells do not count.
    """
    means = treatment_means(points, wells, untreated)
    best = doses.drop_duplicates("compound_key").set_index("compound_key")["best_dose"]
    wanted = means.treatments["compound_key"].map(best).astype(float)
    rows = np.flatnonzero(np.isclose(means.treatments["dose"], wanted))
    return means.treatments["compound_key"].astype(str).iloc[rows].tolist(), means.profiles[rows]


def neighbours_of_leads(
    screen: ad.AnnData,
    scored: pd.DataFrame,
    leads: pd.DataFrame,
    untreated: str,
    n_neighbours: int = 5,
) -> pd.DataFrame:
    """List the neighbours of all leads, each cell type by itself.

    Parameters
    ----------
    screen : AnnData
        Centred profiles, wells in rows.
    scored : DataFrame
        ``id cell_type batch role compound_key dose used``; wells of `screen` that it does not
        list, or says are not used, take no part.
    leads : DataFrame
        ``cell_type compound_key compound moa call best_dose is_lead``.
    untreated : str
        See :func:`treatment_profiles`.
    n_neighbours : int

    Returns
    -------
    DataFrame
        As of :func:`lead_neighbours`, with ``cell_type``.
    """
    wells = scored[scored["used"].astype(bool) & scored["id"].isin(screen.obs_names)]
    parts = []
    for cell_type, about in leads.groupby("cell_type"):
        mine = about.loc[about["is_lead"], "compound_key"].tolist()
        own = wells[wells["cell_type"] == cell_type].reset_index(drop=True)
        if not mine or own.empty:
            continue
        points = np.asarray(screen.X[screen.obs_names.get_indexer(pd.Index(own["id"]))])
        keys, profiles = treatment_profiles(points, own, about, untreated)
        near = lead_neighbours(keys, profiles, mine, about, n_neighbours=n_neighbours)
        parts.append(near.assign(cell_type=cell_type))
    empty = pd.DataFrame(columns=[*COLUMNS, "cell_type"])
    return pd.concat(parts, ignore_index=True) if parts else empty


def lead_neighbours(
    keys: Sequence[str],
    profiles: np.ndarray,
    leads: Sequence[str],
    about: pd.DataFrame,
    *,
    n_neighbours: int = 5,
) -> pd.DataFrame:
    """List the compounds whose profiles point where a lead's points.

    Parameters
    ----------
    keys, profiles
        From :func:`treatment_profiles`.
    leads : sequence of str
        Compound keys; those without a profile are passed over.
    about : DataFrame
        ``compound_key compound moa call best_dose``.
    n_neighbours : int
        Listed for each lead.

    Returns
    -------
    DataFrame
        :data:`COLUMNS`. ``cosine`` is the similarity of the two mean profiles, ``share_below``
        the share of all pairs of compounds that are less similar: rescuers all point away
        from disease, so that a high cosine by itself says little.
    """
    keys = list(keys)
    mine = [key for key in leads if key in set(keys)]
    if len(keys) < 2 or not mine:
        return pd.DataFrame(columns=COLUMNS)
    length = np.linalg.norm(profiles, axis=1, keepdims=True)
    unit = profiles / np.where(length == 0, 1.0, length)
    cosines = unit @ unit.T
    pairs = np.sort(cosines[np.triu_indices(len(keys), 1)])
    known = about.drop_duplicates("compound_key").set_index("compound_key")
    place = {key: i for i, key in enumerate(keys)}
    rows = []
    for lead in mine:
        near = cosines[place[lead]].copy()
        near[place[lead]] = -np.inf
        order = np.argsort(-near, kind="stable")[: min(n_neighbours, len(keys) - 1)]
        rows += [(lead, keys[i], n, near[i]) for n, i in enumerate(order, start=1)]
    table = pd.DataFrame(rows, columns=["compound_key", "neighbour_key", "place", "cosine"])
    table["share_below"] = np.searchsorted(pairs, table["cosine"]) / len(pairs)
    for new, old in {"neighbour": "compound", "moa": "moa", "call": "call"}.items():
        table[new] = table["neighbour_key"].map(known[old]).fillna("")
    table["best_dose"] = table["neighbour_key"].map(known["best_dose"])
    return table[list(COLUMNS)]
