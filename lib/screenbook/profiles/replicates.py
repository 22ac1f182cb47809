"""Do replicates of one treatment, on different plates, find each other? Replicate mAP.

Average precision asks of one treated well: if its replicates on *other* plates and control
wells are ranked by similarity to it, how early do the replicates come? Their mean over a
treatment's wells is its mAP (Kalinin et al. 2025, 10.1038/s41467-025-60306-2; precisions by
`copairs`). Replicates on the same plate do not count: they share whatever is wrong with it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from copairs.map import average_precision
from copairs.matching import UnpairedException
from scipy.stats import false_discovery_control

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
        Control wells to rank against: those that a treatment without effect would equal. They
        should not have been the reference of the centring: wells at the origin by construction
        are no neighbours of anything.
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


def replicate_map(
    precision: pd.DataFrame, layout: Layout, *, null_size: int, seed: int
) -> pd.DataFrame:
    """Mean average precision of every treatment, with p and Benjamini-Hochberg q.

    Parameters
    ----------
    precision : DataFrame
        From :func:`replicate_precision` or :func:`join_halves`.
    layout : Layout
        Plates of the wells that it speaks of.
    null_size : int
        Draws of the null for each design (wells on each plate, negatives).
    seed : int
        Of the draws.

    Returns
    -------
    DataFrame
        By treatment code: ``treatment``, ``n_wells``, ``map`` (0 to 1), ``map_normalised``
        (mean over wells of 0 chance, 1 perfect), ``p``, ``p_least`` (what a perfect ranking
        would give), ``q`` (over all treatments given).

    Notes
    -----
    The null keeps the design: see :func:`null_maps`. `copairs` would take the ranking of one
    well as null for the mean over a treatment's wells, which costs most of the power, or
    independent rankings, which forgets that two replicates share one similarity.
    """
    rows = []
    nulls: dict[tuple[tuple[int, ...], int], np.ndarray] = {}
    for treatment, wells in precision.groupby("treatment", sort=True):
        _, on_plate = np.unique(layout.batch[wells["well"]], return_counts=True)
        n_negative = int((wells["n_total_pairs"] - wells["n_pos_pairs"]).min())
        design = (tuple(sorted(map(int, on_plate))), n_negative)
        if design not in nulls:
            nulls[design] = np.sort(null_maps(*design, size=null_size, seed=seed))
        found = float(wells["average_precision"].mean())
        rows.append(
            {
                "treatment": treatment,
                "n_wells": len(wells),
                "map": found,
                "map_normalised": wells["normalized_average_precision"].mean(),
                "p": _upper_tail(nulls[design], found),
                "p_least": _upper_tail(nulls[design], 1.0),
            }
        )
    columns = ["treatment", "n_wells", "map", "map_normalised", "p", "p_least"]
    out = pd.DataFrame(rows, columns=columns)
    q = false_discovery_control(out["p"]) if len(out) else np.empty(0)
    return out.assign(q=q)


def null_maps(on_plate: tuple[int, ...], n_negative: int, *, size: int, seed: int) -> np.ndarray:
    """Replicate mAP of treatments that do nothing, for one design.

    All similarities are exchangeable: those of two replicates, which count in the ranking of
    both, and those of a replicate and a control. So wells of a treatment agree by chance as
    much as they do in a real screen.

    Parameters
    ----------
    on_plate : tuple of int
        Replicates on each plate; only pairs on different plates count.
    n_negative : int
        Control wells each replicate is ranked against.
    size : int
        Number of draws.
    seed : int

    Returns
    -------
    ndarray of float64, shape (size,)
    """
    rng = np.random.default_rng(seed)
    plate = np.repeat(np.arange(len(on_plate)), on_plate)
    m = len(plate)
    similarity = np.triu(rng.standard_normal((size, m, m), dtype=np.float32), 1)
    similarity += similarity.transpose(0, 2, 1)
    total, n_ranked = np.zeros(size), 0
    for i in range(m):
        others = plate != plate[i]
        if not others.any():
            continue
        negative = rng.standard_normal((size, n_negative), dtype=np.float32)
        total += _average_precision(similarity[:, i, others], negative)
        n_ranked += 1
    return total / max(n_ranked, 1)


def _average_precision(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Average precision of each row's ranking, (size,)."""
    positive = -np.sort(-positive, axis=1)  # best first
    hits = np.arange(1, positive.shape[1] + 1)
    order = np.argsort(-np.concatenate([positive, negative], axis=1), axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")[:, : positive.shape[1]] + 1
    return (hits / rank).mean(axis=1)


def _upper_tail(null: np.ndarray, value: float) -> float:
    """Share of a sorted null that is as large, (b + 1) / (m + 1)."""
    above = len(null) - np.searchsorted(null, value - 1e-9, side="left")
    return float((1 + above) / (1 + len(null)))
