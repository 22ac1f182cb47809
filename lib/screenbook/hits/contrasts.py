"""What a compound does in one cell type and not in another."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, t

COLUMNS = (
    *("compound_key", "compound", "first", "second", "dose", "recovery_first", "recovery_second"),
    *("difference", "low", "high", "p", "q", "n_first", "n_second", "finding"),
)
"""Columns of :func:`cell_type_contrasts`."""


def cell_type_contrasts(
    wells: pd.DataFrame, hits: pd.DataFrame, *, level: float = 0.05
) -> pd.DataFrame:
    """Compare every compound between cell types, at one dose that both have.

    Of the two best doses the one with the larger recovery in its own cell type is taken, of
    those that both cell types had.

    Parameters
    ----------
    wells : DataFrame
        Treated wells in use: ``cell_type compound_key dose batch on_score``.
    hits : DataFrame
        ``cell_type compound_key compound best_dose on_score call``.
    level : float
        False discovery rate up to which a difference is a finding.

    Returns
    -------
    DataFrame
        :data:`COLUMNS`, one row per compound and pair of cell types. ``difference`` is the
        recovery (1 - on-axis score) in the first less that in the second, ``low`` and ``high``
        its 95 % interval and ``p`` its two-sided p, from Welch's t over plate means (with the
        handful of plates behind a dose, a resampling of plates would be too narrow). ``q`` is
        Benjamini-Hochberg's over the table. The dose was picked for its recovery in one of
        the two, which favours that one a little.

    References
    ----------
    Welch, Biometrika 34, 28 (1947), 10.1093/biomet/34.1-2.28.
    """
    known = {str(name): part.set_index("compound_key") for name, part in hits.groupby("cell_type")}
    keys = ["cell_type", "compound_key", "dose"]
    recovery = wells.assign(recovery=1 - wells["on_score"])
    by_plate = recovery.groupby([*keys, "batch"], observed=True)["recovery"].mean()
    means = by_plate.groupby(level=keys).agg(["mean", "var", "count"])
    there = set(means.index.get_level_values("cell_type"))
    pairs = [pair for pair in combinations(sorted(known), 2) if there.issuperset(pair)]
    parts = [_contrast(means, known, first, second) for first, second in pairs]
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    table = pd.concat(parts, ignore_index=True).assign(q=np.nan)
    tested = table["p"].notna()
    if tested.any():
        table.loc[tested, "q"] = false_discovery_control(table.loc[tested, "p"])
    table["finding"] = _finding(table, level)
    return table.sort_values("p", kind="stable")[list(COLUMNS)].reset_index(drop=True)


def _contrast(
    means: pd.DataFrame, known: dict[str, pd.DataFrame], first: str, second: str
) -> pd.DataFrame:
    """Contrast the compounds that two cell types share, before q."""
    a, b = known[first], known[second]
    shared = a.index.intersection(b.index)
    columns = ["best_dose", "on_score", "call"]
    both = a.loc[shared, [*columns, "compound"]].join(b.loc[shared, columns], rsuffix="_b")
    sides = [means.xs(name, level="cell_type") for name in (first, second)]
    both["dose"] = _shared_dose(both, sides[0].index.intersection(sides[1].index))
    both = both[both["dose"].notna()]
    at = pd.MultiIndex.from_arrays([both.index, both["dose"]])
    x, y = (side.reindex(at).reset_index(drop=True) for side in sides)
    share = [side["var"] / side["count"] for side in (x, y)]
    se = np.sqrt(share[0] + share[1])
    difference = x["mean"] - y["mean"]
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = se**4 / (share[0] ** 2 / (x["count"] - 1) + share[1] ** 2 / (y["count"] - 1))
        reach = t.ppf(0.975, freedom) * se
        p = 2 * t.sf(np.abs(difference) / se, freedom)
    names = {"compound_key": both.index, "compound": both["compound"].to_numpy()}
    return pd.DataFrame(
        {
            **names,
            **{"first": first, "second": second, "dose": both["dose"].to_numpy()},
            **{"recovery_first": x["mean"], "recovery_second": y["mean"]},
            **{"difference": difference, "low": difference - reach, "high": difference + reach},
            **{"p": p, "n_first": x["count"], "n_second": y["count"]},
            "call_first": both["call"].to_numpy(),
            "call_second": both["call_b"].to_numpy(),
        }
    )


def _shared_dose(both: pd.DataFrame, there: pd.Index) -> np.ndarray:
    """Best dose of the stronger rescue, or else the other's, whichever both cell types had."""
    stronger = (both["on_score"] <= both["on_score_b"]) | both["on_score_b"].isna()
    doses = [
        both["best_dose"].where(stronger, both["best_dose_b"]),
        both["best_dose_b"].where(stronger, both["best_dose"]),
    ]
    have = [pd.MultiIndex.from_arrays([both.index, dose]).isin(there) for dose in doses]
    return np.select(have, [dose.to_numpy() for dose in doses], default=np.nan)


def _finding(table: pd.DataFrame, level: float) -> np.ndarray:
    """Say in words what the calls and the difference amount to."""
    first, second = (table[f"call_{side}"] == "rescue" for side in ("first", "second"))
    real, ahead = table["q"] <= level, table["difference"] > 0
    more = table["first"].where(ahead, table["second"])
    rules = [
        (first & ~second & real & ahead, "rescues in " + table["first"] + " only"),
        (second & ~first & real & ~ahead, "rescues in " + table["second"] + " only"),
        (first ^ second, "called in one, difference not shown"),
        (first & second & real, "rescues in both, more in " + more),
        (first & second, "rescues in both"),
        (real, "no rescue, yet they differ"),
    ]
    words = [np.broadcast_to(np.asarray(word, dtype=object), len(table)) for _, word in rules]
    held = [condition.to_numpy(dtype=bool) for condition, _ in rules]
    return np.select(held, words, default="no difference shown")
