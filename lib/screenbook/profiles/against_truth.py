"""Verdicts on plates and wells held against what is known to have happened to them.

The tables of the truth come from a simulated screen; nothing here knows how they were made.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

DYING = 0.3
"""Fraction of a well's cells whose loss to a compound is named."""


def plates_against(judged: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Join the verdicts on plates with their faults.

    Parameters
    ----------
    judged : DataFrame
        From :func:`screenbook.profiles.quality.judge_plates`.
    truth : DataFrame
        ``experiment plate fault row_gradient column_gradient``; ``fault`` blank if there is
        none.

    Returns
    -------
    DataFrame
        ``batch fault verdict reason``, ``gradient`` (rank of the plate's position gradient
        among all plates, 1 is the strongest), ``faulty`` and ``flagged`` (bool); plates as in
        `judged`.
    """
    columns = ["experiment", "plate", "fault", "row_gradient", "column_gradient"]
    known = truth[columns].astype({"experiment": str, "plate": str})
    held = judged.merge(known, on=["experiment", "plate"], how="left", validate="1:1")
    held["fault"] = held["fault"].fillna("")
    strength = held["row_gradient"] ** 2 + held["column_gradient"] ** 2
    held["gradient"] = strength.rank(ascending=False, method="first").astype(int)
    held["faulty"], held["flagged"] = held["fault"] != "", held["verdict"] == "flag"
    return held[["batch", "fault", "verdict", "reason", "gradient", "faulty", "flagged"]]


def well_states(wells: pd.DataFrame, truth: pd.DataFrame) -> np.ndarray:
    """Say what happened to each well.

    Parameters
    ----------
    wells : DataFrame
        Metadata: ``experiment plate well``.
    truth : DataFrame
        ``experiment plate well outlier empty cell_loss``.

    Returns
    -------
    ndarray of str, shape (n_wells,)
        ``"accident"``, ``"nearly empty"``, ``"dying"`` (more than `DYING` of its cells lost to
        a compound) or ``"sound"``.
    """
    address = ["experiment", "plate", "well"]
    known = truth.astype(dict.fromkeys(address, str)).set_index(address)
    known = known.loc[pd.MultiIndex.from_frame(wells[address].astype(str))]
    conditions = [known["outlier"], known["empty"], known["cell_loss"] > DYING]
    return np.select(
        [condition.to_numpy(dtype=bool) for condition in conditions],
        ["accident", "nearly empty", "dying"],
        default="sound",
    )


def wells_against(kind: pd.Series, states: np.ndarray) -> pd.DataFrame:
    """Count wells by what happened to them (rows) and what they are called (columns).

    Parameters
    ----------
    kind : Series of str, length n_wells
        From :func:`screenbook.profiles.outliers.find_outliers`.
    states : ndarray of str, shape (n_wells,)
        From :func:`well_states`.
    """
    called = kind.replace("", "unremarkable").to_numpy()
    table = pd.crosstab(pd.Series(states, name="truth"), called)
    return table.rename_axis(columns=None).reset_index()
