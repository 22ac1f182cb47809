"""Cells that were found, held against those that were drawn: the truth judges."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from sklearn.metrics import roc_auc_score


def match_nuclei(found: pd.DataFrame, nuclei: pd.DataFrame, reach: float) -> np.ndarray:
    """Find the drawn nucleus nearest to each cell.

    Parameters
    ----------
    found : DataFrame, n rows
        ``field``, ``y``, ``x`` (px) of cells.
    nuclei : DataFrame, m rows
        The same of nuclei that were drawn.
    reach : float
        How far it may be, px.

    Returns
    -------
    ndarray of int, shape (n,)
        Rows of `nuclei`; -1 where none is near.
    """
    match = np.full(len(found), -1)
    rows_of = {name: rows.to_numpy() for name, rows in _rows_by_field(nuclei)}
    at, true = found[["y", "x"]].to_numpy(), nuclei[["y", "x"]].to_numpy()
    for name, rows in _rows_by_field(found):
        here = rows_of.get(name)
        if here is not None:
            mine = rows.to_numpy()
            away, nearest = cKDTree(true[here]).query(at[mine])
            match[mine] = np.where(away <= reach, here[nearest], -1)
    return match


def _rows_by_field(table: pd.DataFrame) -> list[tuple[object, pd.Series]]:
    rows = pd.Series(np.arange(len(table)))
    return list(rows.groupby(table["field"].to_numpy(), sort=False))


def found_nuclei(found: pd.DataFrame, nuclei: pd.DataFrame, reach: float) -> dict[str, float]:
    """Count how many drawn nuclei were found, and how many found ones were drawn.

    Returns
    -------
    dict of str to float
        ``n_found``, ``n_drawn``, ``recall`` (drawn nuclei that a cell is nearest to), ``precision``
        (cells with a drawn nucleus in reach that no other cell has).
    """
    match = match_nuclei(found, nuclei, reach)
    once = len(np.unique(match[match >= 0]))
    return {
        "n_found": len(found),
        "n_drawn": len(nuclei),
        "recall": once / max(len(nuclei), 1),
        "precision": once / max(len(found), 1),
    }


def responders_against_truth(
    cells: pd.DataFrame, found: pd.DataFrame, nuclei: pd.DataFrame, reach: float
) -> pd.DataFrame:
    """Hold scores of cells against which cells a compound acted on.

    Parameters
    ----------
    cells : DataFrame, n rows
        ``score``, ``marked``, ``treatment``, ``role`` of ``Subpopulations.cells``.
    found : DataFrame, n rows
        ``field``, ``y``, ``x`` of the same cells.
    nuclei : DataFrame
        Drawn, with ``treated``.
    reach : float
        px.

    Returns
    -------
    DataFrame, one row a treatment
        ``treatment``, ``n_cells`` (matched with a drawn one), ``true_share`` (that a compound acted
        on), ``marked_of_responders``, ``marked_of_others``, ``auc`` (score of responders over that
        of the other cells of the same wells; NaN where all are alike).
    """
    match = match_nuclei(found, nuclei, reach)
    there = match >= 0
    hit = nuclei["treated"].to_numpy(dtype=bool)[match[there]]
    rows = []
    for name, part in cells[there].assign(hit=hit).groupby("treatment", sort=True):
        yes, no = part[part["hit"]], part[~part["hit"]]
        both = len(yes) and len(no)
        rows.append(
            {
                **{"treatment": name, "n_cells": len(part), "true_share": part["hit"].mean()},
                "marked_of_responders": yes["marked"].mean() if len(yes) else np.nan,
                "marked_of_others": no["marked"].mean() if len(no) else np.nan,
                "auc": float(roc_auc_score(part["hit"], part["score"])) if both else np.nan,
            }
        )
    return pd.DataFrame(rows)
