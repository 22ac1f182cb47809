"""Which treatments differ from the vehicle, in a screen without a disease to be rescued from.

A treatment is *active* where its wells on different plates find each other among vehicle wells
(replicate mAP, see :mod:`screenbook.profiles.replicates`). Its distance from the vehicle, and
whether its wells lie farther out than vehicle wells of the same plates, stand beside it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.hits.rescue import OUTSIDE, WellScores, varying_axes, whitener
from screenbook.hits.significance import false_discovery_q, simes
from screenbook.profiles.batches import Part
from screenbook.profiles.control_axis import distance_from_control


def score_activity(part: Part, left_out: np.ndarray) -> WellScores:
    """Offset of every well from the vehicle wells of its plate.

    Parameters
    ----------
    part : Part
        Wells of one cell type, centred, with vehicle wells.
    left_out : ndarray of bool, shape (n,)
        Wells that take no part.

    Returns
    -------
    WellScores
        ``on`` is NaN throughout; ``off`` is the distance of
        :func:`~screenbook.profiles.control_axis.distance_from_control`, ``remainder`` the
        offset in control SD, ``tested`` the distance with its sign turned.

    Raises
    ------
    InputError
        If fewer than two plates have two vehicle wells.
    """
    X = varying_axes(part.X)
    plate, used = part.layout.batch, ~left_out
    vehicle = used & part.layout.control
    counts = np.bincount(plate[vehicle], minlength=len(part.layout.batches))
    if (counts >= 2).sum() < 2:
        raise InputError(
            f"{part.cell_type}: {(counts >= 2).sum()} plates have two vehicle wells; activity "
            "needs two such plates, so that the scatter of one is known from the other"
        )
    n, k = X.shape
    distance, remainder = np.full(n, np.nan), np.zeros((n, k), dtype=np.float32)
    role = np.where(vehicle, "vehicle", "")
    distance[used] = distance_from_control(X[used], plate[used], role[used])
    middle = np.full((len(counts), k), np.nan)
    for code in np.flatnonzero(counts >= 2):
        middle[code] = X[vehicle & (plate == code)].mean(axis=0)
    about = X - middle[plate]
    for code in np.flatnonzero(counts >= 2):
        here = plate == code
        others = vehicle & ~here & (counts[plate] >= 2)
        remainder[here] = about[here] @ whitener(about[others])
    used &= np.isfinite(distance)
    outside = used & (distance > np.quantile(distance[vehicle & used], OUTSIDE))
    unscaled = {
        part.layout.batches[c]: f"{counts[c]} vehicle wells"
        for c in np.unique(plate[~left_out])
        if counts[c] < 2
    }
    nothing = np.full(n, np.nan)
    return WellScores(
        part.cell_type, nothing, distance, remainder, nothing, outside, used, unscaled,
        pd.DataFrame(), -distance,
    )  # fmt: skip


def judge_activity(treatments: pd.DataFrame, fdr: float) -> pd.DataFrame:
    """Add q over all treatments, flags and a verdict: ``active``, ``no call``, ``not testable``.

    Parameters
    ----------
    treatments : DataFrame
        As for :func:`screenbook.hits.calls.judge_treatments`, with ``replicate_p``.
    fdr : float
    """
    out = treatments.copy()
    out["testable"] = out["replicate_p"].notna()
    for name, p in {"q": "p", "q_bulk": "p_bulk", "off_q": "off_p"}.items():
        out[name] = false_discovery_q(out[p].where(out["n_tested"] > 0).to_numpy())
    active = out["replicate_q"] <= fdr
    out["verdict"] = np.select([~out["testable"], active], ["not testable", "active"], "no call")
    few = np.where(out["n_plates"] < 2, "few wells", "")
    alone = np.where(active & ~(out["q"] <= fdr), "not far from vehicle", "")
    glow = np.where(out["fluorescent"], "fluorescence-like", "")
    words = pd.DataFrame([few, alone, glow]).T
    out["flags"] = words.apply(lambda row: "; ".join(w for w in row if w), axis=1)
    return out.assign(q_worse=np.nan, p_rescue=np.nan)


def call_active(judged: pd.DataFrame, fdr: float) -> pd.DataFrame:
    """Call every compound by all its doses: the replicate p joined by Simes' rule.

    The best dose is that with the best replicate mAP, of equals the one farther from the vehicle.
    Ranks follow the call, then both in this order.

    Returns
    -------
    DataFrame
        With the columns of :func:`screenbook.hits.calls.call_compounds`; there is no curve.
    """
    code = judged.groupby(["cell_type", "compound_key"], sort=True).ngroup().to_numpy()
    n = int(code.max(initial=-1)) + 1
    far, found = -judged["off_score"].fillna(-1), -judged["replicate_map"].fillna(-1)
    order = np.lexsort((far, found, code))
    best = order[np.unique(code[order], return_index=True)[1]]
    out = judged.iloc[best].rename(columns={"dose": "best_dose"}).reset_index(drop=True)
    out["p"] = simes(judged["replicate_p"].to_numpy(), code, n)
    out["q"] = false_discovery_q(out["p"].to_numpy())
    conditions = [out["p"].isna(), out["q"] <= fdr]
    out["call"] = np.select(conditions, ["not testable", "active"], "no call")
    out["n_doses"] = np.bincount(code, minlength=n)
    out["promised"] = np.nan
    place = out["call"].map({"active": 0, "no call": 1, "not testable": 2})
    far, found = -out["off_score"].fillna(-1), -out["replicate_map"].fillna(-1)
    order = np.lexsort((far, found, place, out["cell_type"]))
    out = out.iloc[order].reset_index(drop=True)
    out["rank"] = out.groupby("cell_type").cumcount() + 1
    return out
