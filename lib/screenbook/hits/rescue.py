"""How far a well lies on the way from healthy to diseased, and how far off that way.

The *on-axis* score is 0 at the healthy and 1 at the untreated diseased wells of the well's own
plate; the *off-axis* score is the distance from the line between the two, in standard deviations
of control wells. Both follow Heiser et al. 2020 (10.1101/2020.04.21.054387), with two changes.
Lengths are measured in the shrunken covariance of control wells, so that a direction in which
like wells scatter anyway counts for less. And direction and covariance come from the controls of
*other* plates, so that a plate's controls are exchangeable with its treated wells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import f as f_distribution

from screenbook.errors import InputError
from screenbook.profiles.batches import Part
from screenbook.profiles.whitening import shrunken_covariance

WEAK = 1 / 3
"""Gap between a plate's controls, of the mean gap, below which the plate has no scale."""

OUTSIDE = 0.99
"""Quantile of the controls' distance from their plate's line, beyond which a well is outside."""

_FEWEST = 2  # controls of a kind on a plate
_FEWEST_IN_ZONE = 10  # controls in a zone, below which its effect is not estimated


@dataclass(frozen=True)
class WellScores:
    """Wells of one cell type on and off the way from healthy to diseased.

    Attributes
    ----------
    cell_type : str
    on : ndarray of float64, shape (n,)
        0 at the mean healthy, 1 at the mean untreated diseased well of the plate; NaN where a
        plate has no scale.
    off : ndarray of float64, shape (n,)
        Distance from the line between these two means, in SD of control wells, over √(k - 1):
        near 1 for a control well.
    remainder : ndarray of float32, shape (n, k)
        Offset from that line, in SD of control wells of the other plates. Its axes are those of
        the profiles, turned and scaled alike on all plates as far as covariances agree.
    gap : ndarray of float64, shape (n,)
        Distance from healthy to diseased along the axis, on the well's plate, in those SD.
    outside : ndarray of bool, shape (n,)
        Farther from the line, or from its ends, than `OUTSIDE` of all control wells; asked of
        all wells on plates with a scale, left out or not.
    used : ndarray of bool, shape (n,)
        Wells that have a score and were not left out.
    unscaled : dict of str to str
        Plates without a scale, and why.
    zones : DataFrame
        What the place on the plate does to the score, see :func:`zone_effects`.
    tested : ndarray of float64, shape (n,)
        What treatments are tested on, smaller is healthier: the on-axis score.
    """

    cell_type: str
    on: np.ndarray
    off: np.ndarray
    remainder: np.ndarray
    gap: np.ndarray
    outside: np.ndarray
    used: np.ndarray
    unscaled: dict[str, str]
    zones: pd.DataFrame
    tested: np.ndarray


def score_wells(part: Part, left_out: np.ndarray, *, hold_out: str = "batch") -> WellScores:
    """Score all wells of one cell type, each by the controls of other plates.

    Parameters
    ----------
    part : Part
        Wells of one cell type, centred, with healthy and diseased controls.
    left_out : ndarray of bool, shape (n,)
        Wells that neither teach nor are scored: flagged plates, accidents.
    hold_out : {"batch", "experiment"}
        Whose controls do not teach the direction and covariance that score a plate: its own,
        or those of its whole experiment.

    Returns
    -------
    WellScores

    Raises
    ------
    InputError
        If fewer than two plates (or experiments) have both controls, so that none can be scored
        by another; if controls do not part along the axis of other plates.
    """
    X = varying_axes(part.X)
    layout, teach = part.layout, ~left_out
    plate, block = layout.batch, getattr(layout, hold_out)
    middle, unscaled = _control_means(X, part, teach)
    scaled = ~np.isnan(middle[:, 0, 0])
    learns = teach & layout.control & scaled[plate]
    blocks = np.unique(block[learns])
    if len(blocks) < 2:
        unit, mend = (
            ("plate", "leave fewer plates out")
            if hold_out == "batch"
            else ("experiment", "set hold_out to batch")
        )
        raise InputError(
            f"{part.cell_type}: healthy and untreated diseased wells are together in {len(blocks)} "
            f"{unit}; scores need two, so that one is scored by the other: {mend}"
        )
    n, k = X.shape
    on, gap = np.full(n, np.nan), np.full(n, np.nan)
    remainder = np.zeros((n, k), dtype=np.float32)
    kind_means = middle[plate, np.maximum(layout.kind, 0)]  # (n, k), of controls
    step = middle[:, 1] - middle[:, 0]  # (n_batches, k)
    for held in np.unique(block):
        here = np.flatnonzero(block == held)
        learn = learns & (block != held)
        whiten = whitener(X[learn] - kind_means[learn])
        axis = step[np.unique(plate[learn])].mean(axis=0) @ whiten
        axis /= np.linalg.norm(axis)
        own = step[plate[here]] @ whiten
        placed = (X[here] - middle[plate[here], 0]) @ whiten
        gap[here] = own @ axis
        on[here] = placed @ axis / gap[here]
        remainder[here] = placed - on[here, None] * own
    typical = np.mean(gap[learns & (layout.kind == 1)])
    if not typical > 0:
        raise InputError(
            f"{part.cell_type}: healthy and untreated diseased wells do not part along the axis of "
            "other plates, so nothing can be scored by it; see the controls in reports 01 and 02"
        )
    for code in np.unique(plate[gap < WEAK * typical]):
        unscaled[layout.batches[code]] = "its controls hardly part along the axis of the others"
    on[gap < WEAK * typical] = np.nan
    return _finish(part, teach, on, remainder, gap, unscaled)


def varying_axes(X: np.ndarray) -> np.ndarray:
    """Drop the axes on which all wells agree, such as those that another cell type has more.

    Returns
    -------
    ndarray of float64, shape (n, k)
    """
    X = np.asarray(X, dtype=np.float64)
    return X[:, np.ptp(X, axis=0) > 0]


def whitener(residuals: np.ndarray) -> np.ndarray:
    """Find the matrix after which residuals of controls have about unit covariance.

    Parameters
    ----------
    residuals : ndarray, shape (n, k)
        Control wells about the mean of their plate and kind.

    Returns
    -------
    ndarray of float64, shape (k, k)
        Applied from the right; from the covariance shrunken as Ledoit & Wolf (2004).
    """
    # To equal scale first: shrinkage would pull a narrow axis towards the wide ones.
    scale = np.sqrt((residuals**2).mean(axis=0))
    scale[scale == 0] = 1.0
    covariance, _ = shrunken_covariance(residuals / scale)
    covariance += 1e-9 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return np.linalg.cholesky(np.linalg.inv(covariance)) / scale[:, None]


def _control_means(
    X: np.ndarray, part: Part, teach: np.ndarray
) -> tuple[np.ndarray, dict[str, str]]:
    """Mean healthy and diseased well of each plate, (n_batches, 2, k); NaN where one lacks."""
    layout = part.layout
    middle = np.full((len(layout.batches), 2, X.shape[1]), np.nan)
    unscaled = {}
    for code in np.unique(layout.batch):
        rows = [teach & (layout.batch == code) & (layout.kind == kind) for kind in (0, 1)]
        counts = [int(r.sum()) for r in rows]
        if not teach[layout.batch == code].any():
            unscaled[layout.batches[code]] = "left out"
        elif min(counts) < _FEWEST:
            unscaled[layout.batches[code]] = (
                f"{counts[0]} healthy and {counts[1]} untreated diseased wells"
            )
        else:
            middle[code] = [X[r].mean(axis=0) for r in rows]
    return middle, unscaled


def _finish(
    part: Part,
    teach: np.ndarray,
    on: np.ndarray,
    remainder: np.ndarray,
    gap: np.ndarray,
    unscaled: dict[str, str],
) -> WellScores:
    """Work out distances from the line and who lies outside, and take off effects of place."""
    used = teach & np.isfinite(on)
    far = np.linalg.norm(remainder, axis=1).astype(np.float64)
    beyond = (on - np.clip(on, 0, 1)) * gap
    distance = np.hypot(far, np.nan_to_num(beyond))
    control = used & part.layout.control
    # Of wells left out too: an accident and a well that something killed look alike.
    outside = np.isfinite(on) & (distance > np.quantile(distance[control], OUTSIDE))
    off = np.where(np.isfinite(on), far / np.sqrt(max(remainder.shape[1] - 1, 1)), np.nan)
    scores = WellScores(
        part.cell_type, on, off, remainder, gap, outside, used, unscaled, pd.DataFrame(), on
    )
    return _without_zones(scores, part)


def zones_of(obs: pd.DataFrame) -> np.ndarray:
    """Tell the outermost ring of wells in use (0), the next (1) and all others (2).

    Returns
    -------
    ndarray of int, shape (n,)
        2 for wells without an address.
    """
    row, column = obs["row"].to_numpy(), obs["column"].to_numpy()
    placed = row >= 0
    if not placed.any():
        return np.full(len(obs), 2)
    sides = [row - row[placed].min(), row[placed].max() - row]
    sides += [column - column[placed].min(), column[placed].max() - column]
    return np.where(placed, np.clip(np.minimum.reduce(sides), 0, 2), 2)


def zone_effects(on: np.ndarray, obs: pd.DataFrame, kind: np.ndarray) -> pd.DataFrame:
    """Ask controls whether wells near the edge score otherwise than those inside.

    Parameters
    ----------
    on : ndarray, shape (n,)
        On-axis scores; NaN for wells not asked.
    obs : DataFrame, n rows
        ``batch row column``.
    kind : ndarray of int, shape (n,)
        Sort of control, -1 for others.

    Returns
    -------
    DataFrame
        One row per zone (0 outermost ring, 1 the next, 2 inside): ``zone controls effect``
        (mean over control wells about their plate and kind, less that inside), ``se`` and
        ``p`` (of all zones together, F test within plates and kinds).
    """
    asked = np.isfinite(on) & (kind >= 0)
    zone = zones_of(obs)
    group = pd.factorize(pd.MultiIndex.from_arrays([obs["batch"].astype(str), kind, asked]))[0]
    # Regress the score on zones within groups: both about the mean of the group.
    dummies = np.column_stack([zone == z for z in (0, 1)]).astype(float)
    frame = pd.DataFrame(np.column_stack([on, dummies]))[asked]
    about = (frame - frame.groupby(group[asked]).transform("mean")).to_numpy()
    y, D = about[:, 0], about[:, 1:]
    counts = np.bincount(zone[asked], minlength=3)
    enough = [z for z in (0, 1) if min(counts[z], counts[2]) >= _FEWEST_IN_ZONE]
    table = pd.DataFrame({"zone": [0, 1, 2], "controls": counts, "effect": 0.0, "se": np.nan})
    freedom = len(y) - len(np.unique(group[asked])) - len(enough)
    if not enough or freedom < 1:
        return table.assign(p=np.nan)
    D = D[:, enough]
    slope, *_ = np.linalg.lstsq(D, y, rcond=None)
    noise = float(((y - D @ slope) ** 2).sum() / freedom)
    gained = float((y**2).sum() - ((y - D @ slope) ** 2).sum()) / len(enough)
    table.loc[enough, "effect"] = slope
    table.loc[enough, "se"] = np.sqrt(noise * np.diag(np.linalg.pinv(D.T @ D)))
    p = f_distribution.sf(gained / noise, len(enough), freedom) if noise > 0 else np.nan
    return table.assign(p=float(p))


def _without_zones(scores: WellScores, part: Part, level: float = 0.05) -> WellScores:
    """Take the effect of place off the scores where the controls show one."""
    kind = part.layout.kind
    asked = np.where(scores.used, scores.on, np.nan)
    zones = zone_effects(asked, part.obs, kind)
    if not zones["p"].iloc[0] < level:
        return replace(scores, zones=zones.assign(taken_off=False))
    effect = zones["effect"].to_numpy()[zones_of(part.obs)]
    on = scores.on - effect
    # Controls keep their plate's 0 and 1.
    for code in np.unique(part.layout.batch[scores.used]):
        here = part.layout.batch == code
        low, high = (on[here & scores.used & (kind == k)].mean() for k in (0, 1))
        on[here] = (on[here] - low) / (high - low)
    return replace(scores, on=on, tested=on, zones=zones.assign(taken_off=True))
