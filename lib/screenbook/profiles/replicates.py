"""Do replicates of one treatment, on different plates, find each other? Replicate mAP.

Average precision asks of one treated well: if its replicates on *other* plates and control
wells are ranked by similarity to it, how early do the replicates come? Their mean over a
treatment's wells is its mAP (Kalinin et al. 2025, 10.1038/s41467-025-60306-2; computed with
`copairs`). Replicates on the same plate do not count: they share whatever is wrong with it.
"""

from __future__ import annotations

import tempfile

import numpy as np
import pandas as pd
from copairs.map import average_precision, mean_average_precision
from copairs.matching import UnpairedException

from screenbook.profiles.batches import Layout

_FEWEST_NEGATIVES = 8  # control wells a plate, below which a ranking against them is too coarse


def treatment_codes(obs: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Give every treatment, a compound at a dose, a number.

    Parameters
    ----------
    obs : DataFrame, n rows
        Metadata of wells of one cell type, with ``role``, ``compound_key``, ``compound`` and
        ``treatment_conc``.

    Returns
    -------
    codes : ndarray of int, shape (n,)
        -1 for wells whose role is not ``treated``.
    treatments : DataFrame
        In the order of the codes: ``compound_key``, ``compound``, ``treatment_conc`` (µM).
    """
    treated = (obs["role"].astype(str) == "treated").to_numpy()
    keys = obs.loc[treated, ["compound_key", "compound", "treatment_conc"]].copy()
    keys[["compound_key", "compound"]] = keys[["compound_key", "compound"]].astype(str)
    groups = keys.groupby(["compound_key", "treatment_conc"], dropna=False, sort=True)
    codes = np.full(len(obs), -1)
    codes[treated] = groups.ngroup().to_numpy()
    return codes, groups["compound"].first().reset_index()[
        ["compound_key", "compound", "treatment_conc"]
    ]


def sample_treatments(
    codes: np.ndarray, batch: np.ndarray, *, at_most: int, seed: int
) -> np.ndarray:
    """Keep treatments that stand on two plates or more, a random sample if there are many.

    Returns
    -------
    ndarray of int, shape (n,)
        `codes` with -1 for the wells of all other treatments.
    """
    pairs = np.unique(np.column_stack([codes, batch])[codes >= 0], axis=0)
    names, n_plates = np.unique(pairs[:, 0], return_counts=True)
    names = names[n_plates > 1]
    if len(names) > at_most:
        names = np.random.default_rng(seed).choice(names, at_most, replace=False)
    return np.where(np.isin(codes, names), codes, -1)


def negatives_from(layout: Layout, negative: np.ndarray) -> str:
    """Say where a well's negatives come from: its plate, or its experiment if plates have few.

    Returns
    -------
    str
        ``"batch"`` or ``"experiment"``.
    """
    plates = np.unique(layout.batch[layout.bulk])
    per_plate = np.bincount(layout.batch[negative], minlength=len(layout.batches))[plates]
    enough = len(per_plate) > 0 and np.median(per_plate) >= _FEWEST_NEGATIVES
    return "batch" if enough else "experiment"


def replicate_precision(
    points: np.ndarray,
    codes: np.ndarray,
    layout: Layout,
    negative: np.ndarray,
    *,
    negatives: str | None = None,
) -> pd.DataFrame:
    """Rank each treated well's replicates on other plates against control wells, by cosine.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Profiles, centred on controls.
    codes : ndarray of int, shape (n,)
        Treatment of each well, -1 for wells left out.
    layout : Layout
        Their plates and experiments.
    negative : ndarray of bool, shape (n,)
        Control wells to rank against. They should not have been the reference of the
        centring: wells at the origin by construction are no neighbours of anything.
    negatives : {"batch", "experiment"}, optional
        Rank against controls of the well's own plate (cost grows with wells times controls of
        a plate), or of its experiment; by default what :func:`negatives_from` says.

    Returns
    -------
    DataFrame
        One row per treated well with a replicate elsewhere and a negative: ``well``
        (position), ``treatment`` (code), ``average_precision`` (0 to 1), ``n_pos_pairs``,
        ``n_total_pairs``, ``normalized_average_precision`` (0 chance, 1 perfect).
    """
    near = negatives or negatives_from(layout, negative)
    used = np.flatnonzero((codes >= 0) | negative)
    control = negative[used]
    # A code of its own keeps every control from being another's replicate.
    group = np.where(control, -1 - np.arange(len(used)), codes[used])
    meta = pd.DataFrame(
        {
            "well": used,
            "treatment": group,
            "batch": layout.batch[used],
            "experiment": layout.experiment[used],
            "control": control,
        }
    )
    columns = [
        "well",
        "treatment",
        "average_precision",
        "n_pos_pairs",
        "n_total_pairs",
        "normalized_average_precision",
    ]
    rules = (["treatment"], ["batch"], [near], ["control"])
    try:
        found = average_precision(meta, points[used], *rules, progress_bar=False)
    except UnpairedException:
        return pd.DataFrame(columns=columns)
    kept = ~found["control"] & (found["n_pos_pairs"] > 0)
    kept &= found["n_total_pairs"] > found["n_pos_pairs"]
    return found.loc[kept, columns].reset_index(drop=True)


def join_halves(halves: list[pd.DataFrame]) -> pd.DataFrame:
    """Average each well's precision over the halves of a cross-fit.

    The pair counts kept are those of the half with fewer negatives, so that a p-value refers
    to the wider null: conservative, since a mean of two varies less than one.
    """
    stacked = pd.concat(halves)
    return (
        stacked.groupby("well", sort=True)
        .agg(
            treatment=("treatment", "first"),
            average_precision=("average_precision", "mean"),
            n_pos_pairs=("n_pos_pairs", "min"),
            n_total_pairs=("n_total_pairs", "min"),
            normalized_average_precision=("normalized_average_precision", "mean"),
        )
        .reset_index()
    )


def replicate_map(precision: pd.DataFrame, *, null_size: int, seed: int) -> pd.DataFrame:
    """Mean average precision of every treatment, with p and Benjamini-Hochberg q.

    Parameters
    ----------
    precision : DataFrame
        From :func:`replicate_precision` or :func:`join_halves`.
    null_size : int
        Random rankings for each pair of counts (replicates, negatives); p is at least
        1 / (null_size + 1), and no smaller than so few wells allow.
    seed : int
        Of the rankings.

    Returns
    -------
    DataFrame
        By treatment code: ``treatment``, ``n_wells``, ``map`` (0 to 1), ``map_normalised``
        (0 chance, 1 perfect), ``p``, ``q`` (over all treatments given).
    """
    columns = ["treatment", "n_wells", "map", "map_normalised", "p", "q"]
    if precision.empty:
        return pd.DataFrame(columns=columns)
    # copairs keeps the rankings it draws, and takes those of other data with the same counts
    # for its own: in its default folder a p-value would depend on what was run before.
    with tempfile.TemporaryDirectory() as folder:
        found = mean_average_precision(
            precision, ["treatment"], null_size, 0.05, seed, progress_bar=False, cache_dir=folder
        )
    found["n_wells"] = found["indices"].map(len)
    found = found.rename(
        columns={
            "mean_average_precision": "map",
            "mean_normalized_average_precision": "map_normalised",
            "p_value": "p",
            "corrected_p_value": "q",
        }
    )
    return found.sort_values("treatment", kind="stable")[columns].reset_index(drop=True)
