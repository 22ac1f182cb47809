"""Calls of mechanisms and rankings of libraries held against what a simulation knows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score


def calls_against(calls: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Join calls on active, unannotated compounds with their mechanisms.

    Parameters
    ----------
    calls : DataFrame
        Of :func:`screenbook.structure.mechanism_calls.call_mechanisms`.
    truth : DataFrame
        ``compound_key mechanism``.

    Returns
    -------
    DataFrame
        ``compound mechanism really right p q verdict support``.
    """
    really = truth.drop_duplicates("compound_key").set_index("compound_key")["mechanism"]
    asked = calls[calls["active"] & calls["moa"].eq("")].reset_index(drop=True)
    asked["really"] = asked["compound_key"].map(really)
    asked["right"] = asked["mechanism"] == asked["really"]
    return asked[["compound", "mechanism", "really", "right", "p", "q", "verdict", "support"]]


def ranking_against(ranked: pd.DataFrame, truth: pd.DataFrame, cell_type: str) -> dict[str, float]:
    """Count what a ranked library would have done.

    Parameters
    ----------
    ranked : DataFrame
        ``rank compound predicted note``, nearest to health first; a blank note means that a
        like compound was measured.
    truth : DataFrame
        ``compound class only``: what each would do, and the one cell type it does it to, if any.
    cell_type : str
        In which the screen looked.

    Returns
    -------
    dict of str to float
        ``n``, ``n_rescuers``, ``n_top`` (a tenth), ``top_rescuers``, ``auc`` (of rescuers by
        prediction; NaN if there is none, or nothing else) and ``like`` (share with a like
        compound measured).
    """
    table = ranked.merge(truth[["compound", "class", "only"]], on="compound").sort_values("rank")
    rescues = (table["class"].eq("rescuer") & table["only"].isin(["", cell_type])).to_numpy()
    n_top = max(1, len(table) // 10)
    both = 0 < rescues.sum() < len(table)
    return {
        **{"n": len(table), "n_rescuers": int(rescues.sum()), "n_top": n_top},
        "top_rescuers": int(rescues[:n_top].sum()),
        "auc": float(roc_auc_score(rescues, -table["predicted"])) if both else np.nan,
        "like": float(table["note"].eq("").mean()),
    }
