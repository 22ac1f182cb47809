"""Can a plate be trusted? How well its controls separate on a score it had no part in.

The score is that of :mod:`screenbook.profiles.control_axis`: one number a well. In a screen with
a disease, Z′, SSMD and AUC of the two controls are plain one-dimensional statistics of it. In a
screen without one, Z′ and SSMD are not defined; the AUC is that of treated against vehicle wells.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from screenbook.profiles.position import plate_gradients
from screenbook.profiles.robust import MAD_TO_SD

_PERCENTILES = (5, 25, 50, 75, 95)

PLATE_COLUMNS = {
    "batch": "plate within its experiment",
    "cell_type": "cell type",
    "experiment": "experiment",
    "plate": "plate",
    "verdict": "keep or flag",
    "reason": "why",
    "n_low": "healthy (or vehicle) wells, count",
    "n_high": "diseased (or treated) wells, count",
    "low": "median score of healthy (or vehicle) wells",
    "high": "median score of diseased (or treated) wells",
    "gap": "high less low, score units",
    "relative_gap": "gap over that of the cell type's median plate",
    "z_prime": "robust Z′; empty without a disease, where it is not defined",
    "ssmd": "robust SSMD; empty without a disease, where it is not defined",
    "auc": "chance that a high well exceeds a low one, 0 to 1",
    "auc_low": "lower limit of its 95 % interval",
    "auc_high": "upper limit of its 95 % interval",
    "spread": "robust SD of the controls, over that of the cell type's median plate",
    "treated_5": "5th percentile of treated wells, score units",
    "treated_25": "25th percentile of treated wells, score units",
    "treated": "median of treated wells, score units",
    "treated_75": "75th percentile of treated wells, score units",
    "treated_95": "95th percentile of treated wells, score units",
    "tilt": "difference between two sides of the plate, score units",
    "tilt_share": "share of variance that a plane over the plate explains, 0 to 1",
    "tilt_p": "F test of the plane, p",
    "tilt_q": "Benjamini-Hochberg over the plates of the screen",
}
"""What a table of judged plates holds."""


@dataclass(frozen=True)
class PlateRules:
    """When a plate is flagged; every threshold is a parameter of the report.

    Attributes
    ----------
    min_controls : int
        Fewest wells of each control; with fewer nothing below can be judged.
    min_auc : float
        Lower limit of the AUC's interval must lie above this (0.5 is chance).
    min_gap : float
        Least healthy-to-diseased gap, as a fraction of the median plate's.
    max_spread : float
        Widest spread of the controls, in units of the median plate's.
    max_tilt : float
        Largest difference between two sides of the plate on the healthy-to-diseased axis, as
        a fraction of the plate's own gap; only a tilt with q < 0.05 counts.
    """

    min_controls: int = 4
    min_auc: float = 0.5
    min_gap: float = 0.5
    max_spread: float = 1.75
    max_tilt: float = 0.5


def robust_z_prime(low: np.ndarray, high: np.ndarray) -> float:
    """Z′ with median and MAD: 1 - 3 (s_low + s_high) / |difference of the medians|.

    References
    ----------
    Zhang, Chung & Oldenburg, J. Biomol. Screen. 4, 67 (1999),
    doi:10.1177/108705719900400206; robust form: Birmingham et al., Nat. Methods 6, 569
    (2009), doi:10.1038/nmeth.1351.
    """
    gap = abs(np.median(high) - np.median(low))
    return float(1 - 3 * (_robust_sd(low) + _robust_sd(high)) / gap) if gap > 0 else float("nan")


def robust_ssmd(low: np.ndarray, high: np.ndarray) -> float:
    """Strictly standardised mean difference with median and MAD; positive if `high` is higher.

    References
    ----------
    Zhang, Genomics 89, 552 (2007), doi:10.1016/j.ygeno.2006.12.014.
    """
    spread = np.hypot(_robust_sd(low), _robust_sd(high))
    return float((np.median(high) - np.median(low)) / spread) if spread > 0 else float("nan")


def auc_interval(
    low: np.ndarray, high: np.ndarray, *, n_boot: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Probability that a `high` well exceeds a `low` well, with a 95 % bootstrap interval.

    Wells are resampled within each group. Where the groups do not overlap, every resample
    gives 1 (or 0) and the bootstrap would claim certainty; the limit is then 0.025^(1/m), m
    being the smaller group: with a smaller AUC than that, m disjoint pairs would all be in
    order less often than once in forty screens.

    Returns
    -------
    auc, lower, upper : float
    """
    order = (high[:, None] > low[None, :]) + 0.5 * (high[:, None] == low[None, :])
    auc = float(order.mean())
    exact = 0.025 ** (1 / min(len(low), len(high)))
    if auc in (0.0, 1.0):
        return (auc, exact, 1.0) if auc == 1.0 else (auc, 0.0, 1 - exact)
    times_high = rng.multinomial(len(high), np.full(len(high), 1 / len(high)), size=n_boot)
    times_low = rng.multinomial(len(low), np.full(len(low), 1 / len(low)), size=n_boot)
    drawn = ((times_high @ order) * times_low).sum(axis=1) / order.size
    lower, upper = np.quantile(drawn, [0.025, 0.975])
    return auc, float(lower), float(upper)


def assess_plates(
    score: np.ndarray,
    wells: pd.DataFrame,
    rules: PlateRules,
    *,
    has_disease: bool,
    n_boot: int = 1000,
    seed: int,
) -> pd.DataFrame:
    """Measure and judge every plate: quality, tilt, verdict and reason.

    Parameters
    ----------
    score, wells, has_disease, n_boot, seed
        As in :func:`plate_quality`.
    rules : PlateRules
        As in :func:`judge_plates`.

    Returns
    -------
    DataFrame
        One row per plate; see :data:`PLATE_COLUMNS`.
    """
    measured = plate_quality(score, wells, has_disease=has_disease, n_boot=n_boot, seed=seed)
    measured = measured.merge(plate_gradients(score, wells), on="batch", how="left")
    return judge_plates(measured, rules, has_disease=has_disease)[list(PLATE_COLUMNS)]


def plate_quality(
    scores: np.ndarray, wells: pd.DataFrame, *, has_disease: bool, n_boot: int, seed: int
) -> pd.DataFrame:
    """Summarise the controls of each plate along a leave-plate-out score.

    Parameters
    ----------
    scores : ndarray, shape (n_wells,)
        From :func:`screenbook.profiles.control_axis.control_scores`.
    wells : DataFrame, shape (n_wells, ...)
        Metadata: ``cell_type experiment plate batch role``.
    has_disease : bool
        Which of the two `scores` are.
    n_boot : int
        Bootstrap draws for the interval of the AUC.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per plate in the order of first appearance; see :data:`PLATE_COLUMNS`. Verdict
        and tilt are for others to add. NaN where there is nothing to compare.
    """
    low_role, high_role = ("healthy", "diseased") if has_disease else ("vehicle", "treated")
    rng = np.random.default_rng(seed)
    role = wells["role"].astype(str).to_numpy()
    keys = ["batch", "cell_type", "experiment", "plate"]
    rows = []
    for index in wells.groupby("batch", observed=True, sort=False).indices.values():
        value, here = scores[index], role[index]
        seen = np.isfinite(value)
        low, high = value[seen & (here == low_role)], value[seen & (here == high_role)]
        row: dict[str, Any] = {name: str(wells[name].iloc[index[0]]) for name in keys}
        row |= {"n_low": int((here == low_role).sum()), "n_high": int((here == high_role).sum())}
        row |= _compare(low, high, has_disease=has_disease, n_boot=n_boot, rng=rng)
        treated = value[seen & (here == "treated")]
        spots = np.percentile(treated, _PERCENTILES) if len(treated) else [np.nan] * 5
        row |= dict(
            zip(
                ("treated_5", "treated_25", "treated", "treated_75", "treated_95"),
                spots,
                strict=True,
            )
        )
        rows.append(row)
    out = pd.DataFrame(rows)
    typical = out.groupby("cell_type")[["spread", "gap"]].transform("median")
    out["spread"] /= typical["spread"]
    out["relative_gap"] = out["gap"] / typical["gap"].abs()
    return out


def judge_plates(quality: pd.DataFrame, rules: PlateRules, *, has_disease: bool) -> pd.DataFrame:
    """Keep or flag each plate, and say why.

    Parameters
    ----------
    quality : DataFrame
        From :func:`plate_quality`; ``tilt`` and ``tilt_q`` (from
        :func:`screenbook.profiles.position.plate_gradients`) are looked at if they are there.
    rules : PlateRules
        Thresholds. Without a disease only the number and the spread of the controls count: a
        plate of inactive compounds is no bad plate.
    has_disease : bool
        Whether the screen has two controls to tell apart.

    Returns
    -------
    DataFrame
        `quality` with ``verdict`` (``"keep"`` or ``"flag"``) and ``reason`` (a sentence).
    """
    reasons = [_reasons(row, rules, has_disease=has_disease) for row in quality.to_dict("records")]
    return quality.assign(
        verdict=["flag" if found else "keep" for found in reasons],
        reason=["; ".join(found) or "within all limits" for found in reasons],
    )


def mean_auc(quality: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Control separation of each cell type: the mean AUC of its plates.

    Returns
    -------
    DataFrame
        One row per cell type: ``cell_type``, ``plates``, ``auc``, ``auc_low`` and ``auc_high``
        (95 % bootstrap over plates; with one or two plates the widest plate interval; where no
        plate has a well out of order, the bound of :func:`auc_interval` for all of them).
    """
    rng = np.random.default_rng(seed)
    rows = []
    for cell_type, plates in quality.dropna(subset="auc").groupby("cell_type", sort=True):
        auc = plates["auc"].to_numpy()
        if (auc == 1).all():
            low = 0.025 ** (1 / plates[["n_low", "n_high"]].min(axis=1).sum())
            high = 1.0
        elif len(auc) > 2:
            drawn = auc[rng.integers(len(auc), size=(n_boot, len(auc)))].mean(axis=1)
            low, high = np.quantile(drawn, [0.025, 0.975])
        else:
            low, high = plates["auc_low"].min(), plates["auc_high"].max()
        rows.append((cell_type, len(auc), auc.mean(), low, high))
    return pd.DataFrame(rows, columns=["cell_type", "plates", "auc", "auc_low", "auc_high"])


def auc_in_words(separation: pd.DataFrame) -> str:
    """Read the result of :func:`mean_auc` aloud: ``renal 0.95 (0.92 to 0.97, 18 plates)``."""
    form = "{} {:.3f} ({:.3f} to {:.3f}, {} plates)".format
    return "; ".join(
        form(r.cell_type, r.auc, r.auc_low, r.auc_high, r.plates) for r in separation.itertuples()
    )


def _compare(
    low: np.ndarray, high: np.ndarray, *, has_disease: bool, n_boot: int, rng: np.random.Generator
) -> dict[str, float]:
    """Statistics of one plate; NaN where a group is empty."""
    names = ("low", "high", "gap", "z_prime", "ssmd", "auc", "auc_low", "auc_high", "spread")
    out = dict.fromkeys(names, float("nan"))
    out["low"], out["high"] = _or_nan(np.median, low), _or_nan(np.median, high)
    if not has_disease:
        out["spread"] = out["low"]  # vehicle wells among themselves: a distance is a spread
    if len(low) == 0 or len(high) == 0:
        return out
    out["gap"] = out["high"] - out["low"]
    out["auc"], out["auc_low"], out["auc_high"] = auc_interval(low, high, n_boot=n_boot, rng=rng)
    if has_disease:
        out["z_prime"], out["ssmd"] = robust_z_prime(low, high), robust_ssmd(low, high)
        out["spread"] = float(np.sqrt((_robust_sd(low) ** 2 + _robust_sd(high) ** 2) / 2))
    return out


def _reasons(row: Mapping[Hashable, Any], rules: PlateRules, *, has_disease: bool) -> list[str]:
    low, high = ("healthy", "diseased") if has_disease else ("vehicle", "treated")
    counts = [(low, row["n_low"])] + ([(high, row["n_high"])] if has_disease else [])
    few = [f"only {n} {name} wells" for name, n in counts if n < rules.min_controls]
    if few:
        return few
    if not np.isfinite(row["spread"]):
        return ["not judged: no other plate of this cell type has the controls"]
    found = []
    if has_disease and not row["auc_low"] > rules.min_auc:
        found.append(
            f"controls do not separate (AUC {row['auc']:.2f}, "
            f"95 % interval from {row['auc_low']:.2f})"
        )
    if has_disease and row["relative_gap"] < rules.min_gap:
        found.append(f"gap between the controls is {row['relative_gap']:.2f} of the usual")
    if row["spread"] > rules.max_spread:
        found.append(f"controls spread {row['spread']:.1f} times as wide as usual")
    tilt = abs(row.get("tilt", np.nan) / row["gap"])
    if has_disease and tilt > rules.max_tilt and row["tilt_q"] < 0.05:
        found.append(f"one side differs from the other by {tilt:.2f} of the gap")
    return found


def _robust_sd(values: np.ndarray) -> float:
    return float(MAD_TO_SD * np.median(np.abs(values - np.median(values))))


def _or_nan(statistic: Callable[[np.ndarray], np.floating], values: np.ndarray) -> float:
    return float(statistic(values)) if len(values) else float("nan")
