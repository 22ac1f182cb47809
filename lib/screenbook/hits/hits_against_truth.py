"""Calls, curves and intervals of a hit search held against a known pharmacology.

The tables of the truth come from a simulated screen; nothing here knows how they were made.
Counts come with exact binomial intervals (Clopper & Pearson 1934, 10.1093/biomet/26.4.404): a
screen has few rescuers, and a share of few is uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import beta

from screenbook.errors import InputError

KEY = ["cell_type", "compound_key"]
HARMFUL = ("toxic", "aggravator")
"""Classes that must not be among the first of a ranking."""

_TRUTH = ["class", "rescues", "ec50", "hill", "emax", "cell_loss"]


def binomial_interval(
    k: ArrayLike, n: ArrayLike, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Exact interval of a share, k of n; NaN where n is 0."""
    hits, size = np.asarray(k, dtype=float), np.asarray(n, dtype=float)
    tail = (1 - confidence) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(hits > 0, beta.ppf(tail, hits, size - hits + 1), 0.0)
        high = np.where(hits < size, beta.ppf(1 - tail, hits + 1, size - hits), 1.0)
    return np.where(size > 0, low, np.nan), np.where(size > 0, high, np.nan)


def join_truth(table: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Put beside each row what is true of its compound in its cell type.

    Parameters
    ----------
    table : DataFrame
        ``cell_type compound_key`` and whatever else.
    truth : DataFrame
        ``cell_type compound_key class rescues ec50 hill emax cell_loss``; ``cell_loss_ec50
        cell_loss_hill`` where there are any.

    Returns
    -------
    DataFrame
        `table` with ``true_class true_rescues true_ec50 ...``. A compound whose class is
        rescuer but that does not rescue these cells has the class ``rescuer elsewhere``.

    Raises
    ------
    InputError
        If a compound is not in the truth, or twice.
    """
    more = [name for name in ("cell_loss_ec50", "cell_loss_hill") if name in truth]
    known = truth[[*KEY, *_TRUTH, *more]].astype(dict.fromkeys(KEY, str)).copy()
    known["rescues"] = known["rescues"].astype(str).str.casefold().eq("true")
    elsewhere = known["class"].eq("rescuer") & ~known["rescues"]
    known["class"] = known["class"].mask(elsewhere, "rescuer elsewhere")
    twice = known.duplicated(KEY)
    if twice.any():
        key = known.loc[twice, "compound_key"].iloc[0]
        raise InputError(f"the truth has compound {key!r} twice in one cell type: keep one row")
    known = known.rename(columns={name: f"true_{name}" for name in [*_TRUTH, *more]})
    out = table.astype(dict.fromkeys(KEY, str)).merge(known, on=KEY, how="left")
    unknown = out["true_class"].isna()
    if unknown.any():
        key = out.loc[unknown, "compound_key"].iloc[0]
        raise InputError(f"the truth lacks compound {key!r}: give the truth of the same screen")
    out["true_rescues"] = out["true_rescues"].astype(bool)
    out.index = table.index
    return out


def _shares(flags: pd.DataFrame, by: list[str], confidence: float) -> pd.DataFrame:
    """Count a bool column ``yes`` by group, with its share and interval."""
    counts = flags.groupby(by, sort=True, observed=True)["yes"].agg(["sum", "size"]).reset_index()
    counts = counts.rename(columns={"sum": "k", "size": "n"})
    low, high = binomial_interval(counts["k"], counts["n"], confidence)
    return counts.assign(share=counts["k"] / counts["n"], low=low, high=high)


def _with_all(table: pd.DataFrame) -> pd.DataFrame:
    """Repeat the rows under the cell type ``all``, where there is more than one."""
    if table["cell_type"].nunique() < 2:
        return table
    return pd.concat([table, table.assign(cell_type="all")], ignore_index=True)


def calls_at_levels(
    hits: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    levels: Sequence[float] = (0.05, 0.1, 0.2),
    eligible: np.ndarray | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Recall, precision and realised false discoveries of rescue calls at several q.

    Parameters
    ----------
    hits : DataFrame
        One row per compound and cell type: ``cell_type compound_key q``; q NaN is not called.
    truth : DataFrame
        See :func:`join_truth`.
    levels : sequence of float
        A compound is called where its q is at most the level, and it is eligible.
    eligible : ndarray of bool, shape (n_hits,), optional
        Rows that the rest of the rule lets through (effect, alignment, wells); all by default.

    Returns
    -------
    DataFrame
        Per cell type (and ``all``) and level: ``n_true n_called n_right``; ``recall recall_low
        recall_high``, ``precision``, ``fdp fdp_low fdp_high`` (share of calls that are wrong;
        0 and NaN bounds without a call), ``held`` (the interval of the false discoveries
        reaches down to the level).
    """
    joined = join_truth(hits, truth)
    allowed = np.ones(len(hits), dtype=bool) if eligible is None else np.asarray(eligible)
    joined = _with_all(joined.assign(allowed=allowed))
    rows = []
    for cell_type, part in joined.groupby("cell_type", sort=True):
        right = part["true_rescues"].to_numpy()
        for level in levels:
            called = (part["q"].le(level) & part["allowed"]).to_numpy()
            n_true, n_called, n_right = right.sum(), called.sum(), (called & right).sum()
            low, high = binomial_interval(n_right, n_true, confidence)
            wrong_low, wrong_high = binomial_interval(n_called - n_right, n_called, confidence)
            fdp = (n_called - n_right) / max(n_called, 1)
            rows.append(
                {
                    "cell_type": cell_type,
                    "level": level,
                    "n_true": int(n_true),
                    "n_called": int(n_called),
                    "n_right": int(n_right),
                    "recall": n_right / n_true if n_true else np.nan,
                    "recall_low": float(low),
                    "recall_high": float(high),
                    "precision": n_right / n_called if n_called else np.nan,
                    "fdp": float(fdp),
                    "fdp_low": float(wrong_low),
                    "fdp_high": float(wrong_high),
                    "held": bool(n_called == 0 or wrong_low <= level),
                }
            )
    return pd.DataFrame(rows)


def calls_by_class(hits: pd.DataFrame, truth: pd.DataFrame, called: np.ndarray) -> pd.DataFrame:
    """Count what was called by its true class.

    Parameters
    ----------
    hits, truth : DataFrame
        As in :func:`calls_at_levels`, with ``compound``.
    called : ndarray of bool, shape (n_hits,)

    Returns
    -------
    DataFrame
        Per cell type and class: ``n n_called``, ``right`` (whether a call is), ``called`` (the
        names, joined by ``"; "``); most called first.
    """
    joined = join_truth(hits, truth).assign(yes=np.asarray(called, dtype=bool))
    by = ["cell_type", "true_class", "true_rescues"]
    counts = joined.groupby(by, sort=True)["yes"].agg(n="size", n_called="sum").reset_index()
    names = joined[joined["yes"]].groupby(by)["compound"].agg(lambda c: "; ".join(sorted(c)))
    counts = counts.join(names.rename("called"), on=by).fillna({"called": ""})
    counts = counts.rename(columns={"true_class": "class", "true_rescues": "right"})
    order = ["cell_type", "n_called", "class"]
    counts = counts.sort_values(order, ascending=[True, False, True], ignore_index=True)
    return counts[["cell_type", "class", "right", "n", "n_called", "called"]]


def harmful_on_top(
    hits: pd.DataFrame, truth: pd.DataFrame, *, top: int = 50, rank: str = "rank"
) -> pd.DataFrame:
    """List toxic and aggravating compounds among the first of each cell type's ranking.

    Parameters
    ----------
    hits : DataFrame
        ``cell_type compound_key compound`` and the column `rank` (1 is first, NaN not ranked).

    Returns
    -------
    DataFrame
        ``cell_type compound compound_key class rank``, first rank first; empty if all is well.
    """
    joined = join_truth(hits, truth)
    found = joined[joined["true_class"].isin(HARMFUL) & joined[rank].le(top)]
    found = found.rename(columns={"true_class": "class"})
    columns = ["cell_type", "compound", "compound_key", "class", rank]
    return found[columns].sort_values(["cell_type", rank], ignore_index=True)


def selective_calls(hits: pd.DataFrame, truth: pd.DataFrame, called: np.ndarray) -> pd.DataFrame:
    """Ask of compounds that rescue some of their cell types, not all, if the calls say so.

    Parameters
    ----------
    hits, truth, called
        As in :func:`calls_by_class`.

    Returns
    -------
    DataFrame
        One row per selective rescuer: ``compound compound_key``, ``rescues_in called_in``
        (cell types joined by ``"; "``), ``verdict``: ``right`` (called where it rescues and
        nowhere else), ``part`` (in some of several, and nowhere else), ``missed`` (nowhere),
        ``wrong`` (called where it does not rescue).
    """
    joined = join_truth(hits, truth).assign(yes=np.asarray(called, dtype=bool))
    rows = []
    for key, part in joined.groupby("compound_key", sort=True):
        rescued = set(part.loc[part["true_rescues"], "cell_type"])
        if not rescued or len(rescued) == part["cell_type"].nunique():
            continue
        named = set(part.loc[part["yes"], "cell_type"])
        verdict = "right" if named == rescued else "part"
        verdict = "wrong" if named - rescued else verdict if named else "missed"
        rows.append(
            {
                "compound": part["compound"].iloc[0],
                "compound_key": key,
                "rescues_in": "; ".join(sorted(rescued)),
                "called_in": "; ".join(sorted(named)),
                "verdict": verdict,
            }
        )
    return pd.DataFrame(
        rows, columns=["compound", "compound_key", "rescues_in", "called_in", "verdict"]
    )


def ec50_errors(hits: pd.DataFrame, truth: pd.DataFrame, *, strong: float = 0.6) -> pd.DataFrame:
    """Compare the EC50 of strong rescuers with the true ones.

    Parameters
    ----------
    hits : DataFrame
        ``cell_type compound compound_key ec50 ec50_low ec50_high`` (µM; NaN: none, or an open
        end).
    truth : DataFrame
        See :func:`join_truth`.
    strong : float
        Least true Emax of a strong rescuer.

    Returns
    -------
    DataFrame
        ``cell_type compound compound_key emax_true ec50_true ec50``, ``fold`` (how far off, at
        least 1; NaN without an EC50), ``covered`` (the true EC50 is in the interval; False
        without an EC50).
    """
    joined = join_truth(hits, truth)
    table = joined[joined["true_rescues"] & joined["true_emax"].ge(strong)].copy()
    table["fold"] = np.exp(np.abs(np.log(table["ec50"] / table["true_ec50"])))
    low, high = table["ec50_low"].fillna(0.0), table["ec50_high"].fillna(np.inf)
    inside = table["true_ec50"].between(low, high)
    table["covered"] = inside & table["ec50"].notna()
    table = table.rename(columns={"true_emax": "emax_true", "true_ec50": "ec50_true"})
    names = ["cell_type", "compound", "compound_key", "emax_true", "ec50_true", "ec50"]
    table = table[[*names, "fold", "covered"]]
    return table.sort_values(["cell_type", "compound"], ignore_index=True)


def ec50_within(
    errors: pd.DataFrame, *, factor: float = 3.0, confidence: float = 0.95
) -> pd.DataFrame:
    """Count strong rescuers whose EC50 is within a factor; one without an EC50 is not.

    Returns
    -------
    DataFrame
        Per cell type (and ``all``): ``k n share low high``, ``median_fold`` (of those with an
        EC50), ``covered`` (share whose interval holds the true EC50, of those with an EC50).
    """
    errors = _with_all(errors)
    out = _shares(errors.assign(yes=errors["fold"].le(factor)), ["cell_type"], confidence)
    known = errors[errors["fold"].notna()].groupby("cell_type")
    out = out.join(known["fold"].median().rename("median_fold"), on="cell_type")
    return out.join(known["covered"].mean().rename("covered"), on="cell_type")


def true_on_score(table: pd.DataFrame, dose: str = "dose") -> np.ndarray:
    """On-axis score that a treatment would have without noise: 1 minus its rescue, (n,).

    Parameters
    ----------
    table : DataFrame
        From :func:`join_truth`, with a column of doses in µM.
    """
    return 1 - table["true_emax"].fillna(0.0).to_numpy() * _hill(
        table[dose], table["true_ec50"], table["true_hill"]
    )


def _hill(dose: pd.Series, ec50: pd.Series, hill: pd.Series) -> np.ndarray:
    """Share of the largest effect; 0 where there is no EC50."""
    power = (dose / ec50).to_numpy(dtype=float) ** hill.to_numpy(dtype=float)
    return np.where(np.isnan(power), 0.0, power / (1 + power))


def on_score_coverage(
    treatments: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    loss: float = 0.01,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Count intervals of on-axis scores that hold the true score.

    Parameters
    ----------
    treatments : DataFrame
        ``cell_type compound_key dose on_score on_low on_high``; rows without an interval are
        passed over.
    truth : DataFrame
        See :func:`join_truth`; with ``cell_loss_ec50 cell_loss_hill``.
    loss : float
        Treatments that cost more than this share of the cells have no known on-score and are
        passed over.

    Returns
    -------
    DataFrame
        Per cell type (and ``all``) and true class (and ``all``): ``k n share low high``,
        ``bias`` (mean of score minus truth), ``width`` (median of the intervals).
    """
    joined = join_truth(treatments, truth).reset_index(drop=True)
    lost = joined["true_cell_loss"].fillna(0.0) * _hill(
        joined["dose"], joined["true_cell_loss_ec50"], joined["true_cell_loss_hill"]
    )
    kept = lost.le(loss) & joined[["on_low", "on_high"]].notna().all(axis=1)
    joined = joined[kept]
    right = true_on_score(joined)
    table = pd.DataFrame(
        {
            "cell_type": joined["cell_type"],
            "class": joined["true_class"],
            "yes": (joined["on_low"] <= right) & (right <= joined["on_high"]),
            "bias": joined["on_score"] - right,
            "width": joined["on_high"] - joined["on_low"],
        }
    )
    table = _with_all(table)
    table = pd.concat([table, table.assign(**{"class": "all"})], ignore_index=True)
    by = ["cell_type", "class"]
    out = _shares(table, by, confidence)
    more = table.groupby(by).agg(bias=("bias", "mean"), width=("width", "median"))
    return out.join(more, on=by)


def null_calibration(
    table: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    p: str = "p",
    levels: Sequence[float] = (0.01, 0.05, 0.1, 0.2),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Share of truly inert compounds or treatments whose p is at most a level.

    Parameters
    ----------
    table : DataFrame
        ``cell_type compound_key`` and the column `p`; NaN is not tested, so not counted.

    Returns
    -------
    DataFrame
        Per cell type (and ``all``) and level: ``k n share low high``, ``held`` (the share is not
        significantly above the level). The doses of a compound count apart, and may not be
        independent.
    """
    joined = _with_all(join_truth(table, truth))
    inert = joined[joined["true_class"].eq("inert") & joined[p].notna()]
    parts = [
        _shares(
            inert.assign(yes=inert[p].le(level), level=level), ["cell_type", "level"], confidence
        )
        for level in levels
    ]
    out = pd.concat(parts, ignore_index=True)
    out["held"] = out["low"] <= out["level"]
    return out.sort_values(["cell_type", "level"], ignore_index=True)
