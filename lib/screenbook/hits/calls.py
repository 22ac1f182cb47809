"""From evidence to calls, by one stated rule.

A treatment is called a *rescue* where four things hold: it moves cells towards healthy beyond
what untreated wells of the same plates do by chance (q), it moves them by more than a little,
it moves them further along the way to healthy than off it, to where controls are, and enough
wells say so. A compound is called by its doses together: Simes' rule joins their p, where a dose
that moves cells more off than along the way, or half of whose wells are unlike any control,
counts with p = 1, so that a poison's p never speaks for a rescue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.hits.significance import false_discovery_q, simes

CALLS = ("rescue", "no call", "not testable", "off-axis", "aggravates")
"""What a compound or treatment may be called, in the order in which they are ranked."""

_TESTABLE = 0.05  # least p that a design must be able to reach


@dataclass(frozen=True)
class Rule:
    """What a call asks for.

    Attributes
    ----------
    fdr : float
        Benjamini-Hochberg level, over one family: all treatments (for a treatment) or all
        compounds (for a compound) of all cell types of the screen.
    least : float
        Share of the way from untreated to healthy that a rescue covers at least.
    alignment : float
        Least cosine between the way moved and the way to healthy. √½: no further off the way
        than along it.
    wells, plates : int
        Fewest of a treatment; below it is flagged and not called.
    """

    fdr: float = 0.1
    least: float = 0.2
    alignment: float = float(np.sqrt(0.5))
    wells: int = 3
    plates: int = 2


def judge_treatments(treatments: pd.DataFrame, rule: Rule, n_experiments: int) -> pd.DataFrame:
    """Add q over all treatments, flags and a verdict.

    Parameters
    ----------
    treatments : DataFrame
        Rows of :func:`screenbook.hits.evidence.weigh_treatments` of all cell types, with
        ``replicate_map replicate_q fluorescent harm`` joined.
    rule : Rule
    n_experiments : int
        Experiments of the screen.

    Returns
    -------
    DataFrame
        With ``q q_worse q_bulk``, ``p_rescue`` (p, or 1 where the move is more off than along
        the way, or half of the wells are unlike any control), ``apart_p off_q`` (do plates agree
        on a shift off the way, or are too many wells unlike any control? twice the smaller p),
        ``testable`` (bool), ``flags`` (words, ``; `` between) and ``verdict``
        (one of :data:`CALLS`).
    """
    out = treatments.copy()
    out["testable"] = (
        (out["n_tested"] >= rule.wells)
        & (out["n_plates"] >= rule.plates)
        & (out["p_least"] <= _TESTABLE)
        & out["on_score"].notna()
    )
    out["apart_p"] = np.minimum(2 * out[["off_p", "outside_p"]].min(axis=1), 1.0)
    along = (out["alignment"] >= rule.alignment) & (out["outside"] < 0.5)
    out["p_rescue"] = out["p"].where(along, 1.0)
    for name, p in {"q": "p", "q_worse": "p_worse", "q_bulk": "p_bulk", "off_q": "apart_p"}.items():
        out[name] = false_discovery_q(out[p].where(out["testable"]).to_numpy())
    off = out["off_q"] <= rule.fdr
    rescue = (out["q"] <= rule.fdr) & along & (1 - out["on_score"] >= rule.least)
    worse = (out["q_worse"] <= rule.fdr) & (out["on_score"] - 1 >= rule.least)
    conditions = {
        "not testable": ~out["testable"],
        "rescue": rescue,
        "aggravates": worse,
        "off-axis": off,
    }
    out["verdict"] = np.select(list(conditions.values()), list(conditions), "no call")
    flags = {
        "few wells": (out["n_wells"] < rule.wells) | (out["n_plates"] < rule.plates),
        "one experiment": (out["n_experiments"] < 2) & (n_experiments > 1),
        "edge wells only": (out["edge"] == 1) & (out["n_wells"] > 0),
        "off-axis": off,
        "toxicity-like": off & out["harm"].fillna(False).astype(bool),
        "unlike any control": out["outside"] >= 0.5,
        "fluorescence-like": out["fluorescent"].fillna(False).astype(bool),
        "nulls disagree": out["testable"] & ((out["q"] <= rule.fdr) != (out["q_bulk"] <= rule.fdr)),
    }
    out["flags"] = _words(flags)
    return out


def harm_direction(shifts: np.ndarray, treatments: pd.DataFrame, fdr: float) -> np.ndarray:
    """Ask which treatments go off the way in the direction that most strong ones share.

    Cells that die look alike whatever kills them, so the direction in which many compounds go
    at their highest dose stands for toxicity where nobody counted cells.

    Parameters
    ----------
    shifts : ndarray, shape (n_treatments, k)
        From :class:`screenbook.hits.evidence.Evidence`.
    treatments : DataFrame, n_treatments rows
        ``compound_key dose off_p`` of one cell type.
    fdr : float
        Level at which a shift counts as strong.

    Returns
    -------
    ndarray of float64, shape (n_treatments,)
        Cosine with that direction, -1 to 1; NaN where fewer than three compounds are strong at
        their highest dose, or there is no shift.
    """
    dose = treatments["dose"]
    highest = dose == dose.groupby(treatments["compound_key"]).transform("max")
    strong = highest.to_numpy() & (false_discovery_q(treatments["off_p"].to_numpy()) <= fdr)
    length = np.linalg.norm(shifts, axis=1)
    units = np.divide(
        shifts, length[:, None], out=np.full(shifts.shape, np.nan), where=length[:, None] > 0
    )
    if strong.sum() < 3:
        return np.full(len(shifts), np.nan)
    direction = np.linalg.svd(units[strong], full_matrices=False)[2][0]
    direction *= np.sign(np.median(units[strong] @ direction)) or 1.0
    return np.asarray(units @ direction)


def call_compounds(judged: pd.DataFrame, curves: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Call every compound in every cell type by all its doses together.

    The *best dose* is, of those that would pass as a rescue on their own evidence (testable, p <=
    0.05, far enough, along the way), the one whose interval promises most recovery; where there
    is none, the one with the least p. A compound is a rescue where it has such a dose and its
    joint q holds. Ranks follow the call; among rescues the recovery that the interval promises at
    the best dose, among others the mean on-axis score over all doses.

    Parameters
    ----------
    judged : DataFrame
        From :func:`judge_treatments`.
    curves : DataFrame
        One row per ``cell_type`` and ``compound_key``: ``ec50 ec50_low ec50_high emax hill p_flat
        shape``.
    rule : Rule

    Returns
    -------
    DataFrame
        One row per cell type and compound, best first within a cell type: what the best dose
        shows, ``p`` and ``q`` of the compound, ``call`` and ``rank``.
    """
    key = ["cell_type", "compound_key"]
    code = judged.groupby(key, sort=True).ngroup().to_numpy()
    n = int(code.max(initial=-1)) + 1
    p = judged["p_rescue"].where(judged["testable"]).to_numpy()
    recovery = 1 - judged["on_score"]
    promised = (1 - judged["on_high"]).fillna(-np.inf)
    passes = judged["testable"] & (judged["p_rescue"] <= 0.05) & (recovery >= rule.least)
    order = np.lexsort((judged["p"], -promised.where(passes, -np.inf), ~passes, code))
    best = order[np.unique(code[order], return_index=True)[1]]
    out = judged.iloc[best].rename(columns={"dose": "best_dose"}).reset_index(drop=True)
    out["p"] = simes(p, code, n)
    out["q"] = false_discovery_q(out["p"].to_numpy())
    joined = {
        "q_worse": simes(judged["p_worse"].where(judged["testable"]).to_numpy(), code, n),
        "off_q": simes(judged["apart_p"].where(judged["testable"]).to_numpy(), code, n),
    }
    for name, joint in joined.items():
        out[name] = false_discovery_q(joint)
    kinds = pd.crosstab(code, judged["verdict"]).reindex(columns=list(CALLS), fill_value=0)
    conditions = {
        "not testable": out["p"].isna(),
        "rescue": (out["q"] <= rule.fdr) & passes.to_numpy()[best],
        "aggravates": (out["q_worse"] <= rule.fdr) & (kinds["aggravates"] > 0),
        "off-axis": (out["off_q"] <= rule.fdr),
    }
    out["call"] = np.select(
        [c.to_numpy() for c in conditions.values()], list(conditions), "no call"
    )
    out["n_doses"] = np.bincount(code, minlength=n)
    out["promised"] = np.where(passes.to_numpy()[best], promised.to_numpy()[best], np.nan)
    out = out.merge(curves, on=key, how="left", validate="1:1")
    out["flags"] = _compound_flags(out, judged, code)
    place = out["call"].map({name: i for i, name in enumerate(CALLS)})
    worst_last = judged["on_score"].groupby(code).mean().fillna(np.inf)
    promise = -out["promised"].where(out["call"].eq("rescue")).fillna(-np.inf)
    order = np.lexsort((worst_last, promise, place, out["cell_type"]))
    out = out.iloc[order].reset_index(drop=True)
    out["rank"] = out.groupby("cell_type").cumcount() + 1
    return out


def _compound_flags(out: pd.DataFrame, judged: pd.DataFrame, code: np.ndarray) -> np.ndarray:
    """Join the flags of the best dose, of the curve, and of other doses with the dose named."""
    words = pd.Series(
        _words(
            {
                "bell-shaped": out["shape"].eq("bell"),
                "EC50 beyond the doses": out["shape"].eq("partial"),
                "no dose response": out["call"].eq("rescue") & (out["p_flat"] > _TESTABLE),
            }
        )
    )
    off = judged["verdict"].ne("rescue") & judged["flags"].str.contains("off-axis")
    doses = judged["dose"].map("{:g} µM".format)
    elsewhere = doses[off].groupby(code[off.to_numpy()]).agg(", ".join)
    elsewhere = ("off-axis at " + elsewhere).reindex(range(len(out)), fill_value="")
    elsewhere = elsewhere.where(out["call"].eq("rescue"), "")
    parts = pd.concat([out["flags"], words, elsewhere], axis=1)
    return parts.apply(lambda row: "; ".join(w for w in row if w), axis=1).to_numpy()


def _words(flags: dict[str, pd.Series]) -> np.ndarray:
    """Join the names of the flags that hold, row by row."""
    names = np.array(list(flags), dtype=object)
    held = np.column_stack([flag.to_numpy(dtype=bool) for flag in flags.values()])
    return np.array(["; ".join(names[row]) for row in held], dtype=object)
