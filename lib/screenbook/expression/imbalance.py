"""How unevenly cells fall on drugs, lines and their pairs, and what the layout confounds.

A profile of few cells is mostly noise, and a model that weighs conditions alike learns it. Where
all wells of a plate carry one dose, plate and dose cannot be told apart without controls of the
same plate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean

LEVELS = {
    "drug": ["treatment"],
    "line": ["cell_line"],
    "pair": ["treatment", "cell_line"],
}
"""What is counted at each level. Vehicle controls are counted as a drug, if they are there."""

THRESHOLDS = (0, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


def gini(counts: np.ndarray) -> float:
    """Compute the Gini coefficient: 0 if all counts are alike, towards 1 if one has all.

    Parameters
    ----------
    counts : ndarray, shape (n,)
        Not negative, not all 0.
    """
    values = np.sort(np.asarray(counts, dtype=float))
    n = len(values)
    return float((2 * np.arange(1, n + 1) - n - 1) @ values / (n * values.sum()))


def effective_number(counts: np.ndarray) -> float:
    """Count the equal groups that would have the same entropy: its exponential.

    References
    ----------
    Hill, Ecology 54, 427 (1973), doi:10.2307/1934352 (order 1).
    """
    share = np.asarray(counts, dtype=float)
    share = share[share > 0] / share.sum()
    return float(np.exp(-(share @ np.log(share))))


def condition_counts(obs: pd.DataFrame) -> pd.DataFrame:
    """Count the cells of each condition; where they were not counted, each well is one.

    Parameters
    ----------
    obs : DataFrame, n rows
        Metadata of profiles, see :mod:`screenbook.expression_set`.

    Returns
    -------
    DataFrame
        ``treatment cell_line plate dose n_cells``.
    """
    table = obs[["treatment", "cell_line", "plate", "dose", "n_cells"]].reset_index(drop=True)
    return table.assign(n_cells=table["n_cells"].fillna(1.0).astype(int))


def measure_imbalance(counts: pd.DataFrame) -> pd.DataFrame:
    """Measure how uneven the cells of drugs, lines and pairs are.

    Parameters
    ----------
    counts : DataFrame
        ``treatment``, ``cell_line``, ``n_cells``; rows of one pair (doses, plates) are summed.

    Returns
    -------
    DataFrame
        One row for each of :data:`LEVELS`: ``level``, ``n``, ``n_cells`` (total), ``median``,
        ``gini``, ``effective``, ``largest``, ``n_largest``, ``smallest``, ``n_smallest``,
        ``max_over_min`` (infinite if the smallest has no cell).

    Raises
    ------
    InputError
        If a column is missing or a count is no number of cells.
    """
    rows = []
    for level, columns in LEVELS.items():
        totals = _totals(counts, columns)
        most, least = totals.idxmax(), totals.idxmin()
        rows.append(
            {
                "level": level,
                "n": len(totals),
                "n_cells": int(totals.sum()),
                "median": float(totals.median()),
                "gini": gini(totals.to_numpy()),
                "effective": effective_number(totals.to_numpy()),
                "largest": _name(most),
                "n_largest": int(totals[most]),
                "smallest": _name(least),
                "n_smallest": int(totals[least]),
                "max_over_min": float(totals.max() / totals.min()) if totals.min() else np.inf,
            }
        )
    return pd.DataFrame(rows)


def lorenz_curves(counts: pd.DataFrame, *, most: int = 200) -> pd.DataFrame:
    """Cumulate the share of cells from the poorest group to the richest.

    Parameters
    ----------
    counts : DataFrame
        See :func:`measure_imbalance`.
    most : int
        Points of a curve at most, evenly spaced, both ends among them.

    Returns
    -------
    DataFrame
        ``level``, ``groups`` and ``cells`` (shares, 0 to 1).
    """
    parts = []
    for level, columns in LEVELS.items():
        values = np.sort(_totals(counts, columns).to_numpy(dtype=float))
        cells = np.concatenate([[0.0], np.cumsum(values) / values.sum()])
        kept = np.unique(
            np.linspace(0, len(values), min(most, len(values) + 1)).round().astype(int)
        )
        parts.append(
            pd.DataFrame({"level": level, "groups": kept / len(values), "cells": cells[kept]})
        )
    return pd.concat(parts, ignore_index=True)


def apply_thresholds(counts: pd.DataFrame, thresholds: Sequence[int] = THRESHOLDS) -> pd.DataFrame:
    """Count what is left when pairs of fewer cells are dropped.

    Returns
    -------
    DataFrame
        One row per threshold: ``threshold`` (cells of a pair, at least), ``pairs``, ``drugs``,
        ``lines``, ``n_cells``, then ``share_of_pairs``, ``share_of_drugs``,
        ``share_of_lines`` and ``share_of_cells``.
    """
    totals = _totals(counts, LEVELS["pair"]).rename("n_cells").reset_index()
    rows = []
    for threshold in thresholds:
        kept = totals[totals["n_cells"] >= threshold]
        rows.append(
            {
                "threshold": threshold,
                "pairs": len(kept),
                "drugs": kept["treatment"].nunique(),
                "lines": kept["cell_line"].nunique(),
                "n_cells": int(kept["n_cells"].sum()),
            }
        )
    table = pd.DataFrame(rows)
    whole = {
        "pairs": len(totals),
        "drugs": totals["treatment"].nunique(),
        "lines": totals["cell_line"].nunique(),
        "n_cells": totals["n_cells"].sum(),
    }
    for column, total in whole.items():
        table[f"share_of_{'cells' if column == 'n_cells' else column}"] = table[column] / total
    return table


def pair_matrix(counts: pd.DataFrame) -> pd.DataFrame:
    """Lay out the cells of all pairs: treatments by lines, both from most cells to fewest.

    Returns
    -------
    DataFrame
        Index ``treatment``, columns ``cell_line``; NaN where a pair was not profiled.
    """
    totals = _totals(counts, LEVELS["pair"]).astype(float).reset_index()
    matrix = totals.pivot_table("n_cells", "treatment", "cell_line", aggfunc="sum")
    rows = matrix.sum(axis=1).sort_values(ascending=False, kind="stable").index
    columns = matrix.sum(axis=0).sort_values(ascending=False, kind="stable").index
    return matrix.loc[rows, columns]


@dataclass(frozen=True)
class PlateDoses:
    """How far plates tell doses.

    Attributes
    ----------
    table : DataFrame
        Plates by doses (uM): number of treatments, without plate controls and vehicle.
    plate_controls : tuple of str
        Treatments that stand on every plate at a dose above 0.
    single_dose : float
        Share of the plates that carry one dose only.
    told : float
        Share of the entropy of the dose that the plate tells (uncertainty coefficient): 0 if
        every plate has the doses alike, 1 if the plate gives the dose away. NaN with one dose.
    """

    table: pd.DataFrame
    plate_controls: tuple[str, ...]
    single_dose: float
    told: float


def plate_doses(counts: pd.DataFrame) -> PlateDoses:
    """Lay out which doses stand on which plates.

    Parameters
    ----------
    counts : DataFrame
        ``treatment``, ``plate``, ``dose`` (uM; 0 for the vehicle).

    Raises
    ------
    InputError
        If a column is missing, or nothing is dosed.
    """
    _require(counts, ["treatment", "plate", "dose"])
    wells = counts[["treatment", "plate", "dose"]].drop_duplicates()
    wells = wells[wells["dose"].astype(float) > 0]
    if wells.empty:
        raise InputError("counts: column 'dose' has no dose above 0; give doses in uM")
    plates = wells.groupby("treatment")["plate"].nunique()
    n_plates = wells["plate"].nunique()
    controls = sorted(plates.index[plates == n_plates]) if n_plates > 1 else []
    # Without a plate of its own left, the layout has nothing but plate controls.
    rest = wells[~wells["treatment"].isin(controls)]
    rest = rest if rest["plate"].nunique() == n_plates else wells
    table = pd.crosstab(rest["plate"], rest["dose"])
    table = table.loc[sorted(table.index, key=_natural)]
    n_doses = (table.to_numpy() > 0).sum(axis=1)
    single = float((n_doses == 1).mean())
    return PlateDoses(table, tuple(map(str, controls)), single, _told(table.to_numpy()))


def _natural(name: object) -> tuple[str, int]:
    """Sort key by which plate2 stands before plate10."""
    text = str(name)
    head = text.rstrip("0123456789")
    return head, int(text[len(head) :] or 0)


def _told(table: np.ndarray) -> float:
    """Uncertainty coefficient of columns given rows."""
    joint = table / table.sum()
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    entropy = -(columns @ np.log(columns))
    if len(columns) < 2:
        return float("nan")
    there = joint > 0
    mutual = joint[there] @ np.log(joint[there] / np.outer(rows, columns)[there])
    return float(mutual / entropy)


def _totals(counts: pd.DataFrame, columns: list[str]) -> pd.Series:
    _require(counts, [*LEVELS["pair"], "n_cells"])
    cells = pd.to_numeric(counts["n_cells"], errors="coerce")
    bad = ~(np.isfinite(cells) & cells.ge(0))
    if bad.any() or cells.sum() == 0:
        row = int(np.flatnonzero(bad)[0]) if bad.any() else 0
        value = str(counts["n_cells"].iloc[row]) if len(counts) else ""
        raise InputError(
            f"counts: column 'n_cells', row {row + 1}: {value!r} is no number of cells; give "
            "whole numbers, not all 0"
        )
    return cells.groupby([counts[c].astype(str) for c in columns]).sum()


def _name(key: object) -> str:
    return " in ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _require(table: pd.DataFrame, columns: Iterable[str]) -> None:
    for column in columns:
        if column not in table:
            raise InputError(
                f"counts: there is no column {column!r}{did_you_mean(column, table.columns)}"
            )
