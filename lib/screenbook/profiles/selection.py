"""The rule that chooses a recipe, by controls and replicates only: it is never told a mechanism."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing


@dataclass(frozen=True)
class Choice:
    """Which recipe goes on, and why.

    Attributes
    ----------
    method : str
        Its name.
    by_rule : str
        The one that the rule chooses; `method` unless a parameter took its place.
    reason : str
        One sentence.
    table : DataFrame
        One row per method that may go on, in the order of the comparison: ``method``,
        ``title``, ``candidate`` (whether the rule may choose it), ``map`` and ``map_se`` (mean
        over cell types), ``auc`` (mean), ``plate_excess`` and ``plate_se`` (accuracy above
        chance, mean), and the steps of the rule: ``keeps_controls``, ``near_best``,
        ``least_told`` and ``chosen``.
    """

    method: str
    by_rule: str
    reason: str
    table: pd.DataFrame


def choose_method(table: pd.DataFrame, method: str = "auto") -> Choice:
    """Choose a recipe by a stated rule.

    1. Of the candidates, keep those that lose no control separation: in every cell type, the
       leave-plate-out AUC of held-out controls is not below the uncentred one by more than
       its standard error. Screens without a disease skip this step.
    2. Of these, keep those whose replicate mAP across plates, mean over cell types, is within
       one standard error of the best.
    3. Of these, keep those whose plates are told least from held-out controls, within one
       standard error of the lowest.
    4. Of these, take the one whose control separation, mean over cell types, is highest;
       without a disease, the one whose replicate mAP is. A tie goes to the simplest, which
       is the first in the table.

    Parameters
    ----------
    table : DataFrame
        From :func:`screenbook.profiles.comparison.compare_methods`; columns about mechanisms
        are not looked at.
    method : str
        ``"auto"``, or the name of a method that takes the place of the rule's.

    Returns
    -------
    Choice

    Raises
    ------
    InputError
        If `method` is a warning, or is not there for all cell types.
    """
    summary = _summary(table)
    if method != "auto" and method not in set(summary["method"]):
        raise InputError(
            f"parameter method is {method!r}, which cannot go on here; choose auto or one of "
            + listing(summary["method"], 20)
            + did_you_mean(method, ["auto", *summary["method"]])
        )
    left = summary[summary["candidate"] & summary["keeps_controls"]]
    if left["map"].notna().any():
        best = left.iloc[int(np.nanargmax(left["map"].to_numpy()))]
        summary["near_best"] = summary["map"] >= best["map"] - best["map_se"]
        left = left[left["map"] >= best["map"] - best["map_se"]]
    else:
        summary["near_best"] = True
    told = left["plate_excess"].fillna(np.inf)
    lowest = int(np.argmin(told))
    margin = 0.0 if np.isnan(se := left["plate_se"].iloc[lowest]) else float(se)
    left = left[told <= told.iloc[lowest] + margin]
    summary["least_told"] = summary["method"].isin(left["method"])
    merit = left["auc"] if left["auc"].notna().any() else left["map"]
    by_rule = str(left["method"].iloc[int(np.argmax(merit.fillna(-np.inf)))])
    chosen = by_rule if method == "auto" else method
    summary["chosen"] = summary["method"] == chosen
    if chosen != by_rule:
        reason = f"The parameter asks for {chosen}; the rule would have chosen {by_rule}."
    else:
        reason = _reason(summary[summary["candidate"]])
    return Choice(chosen, by_rule, reason, summary)


def _summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per method that every cell type has and that may go on, means over cell types."""
    fair = table[table["status"] != "warning"].copy()
    uncentred = fair[fair["method"] == "none"].set_index("cell_type")
    floor = (uncentred["auc"] - uncentred["auc_se"]).reindex(fair["cell_type"]).to_numpy()
    fair["keeps"] = ~(fair["auc"].to_numpy() < floor)  # nothing is lost where nothing is asked
    fair["plate_excess"] = fair["plate_accuracy"] - fair["plate_chance"]
    fair["map_var"], fair["plate_var"] = fair["map_se"] ** 2, fair["plate_se"] ** 2
    out = (
        fair.groupby("method", sort=False)
        .agg(
            title=("title", "first"),
            status=("status", "first"),
            n=("cell_type", "size"),
            map=("map", "mean"),
            map_var=("map_var", "mean"),
            auc=("auc", "mean"),
            plate_excess=("plate_excess", "mean"),
            plate_var=("plate_var", "mean"),
            keeps_controls=("keeps", "all"),
        )
        .reset_index()
    )
    out["map_se"] = np.sqrt(out["map_var"] / out["n"])
    out["plate_se"] = np.sqrt(out["plate_var"] / out["n"])
    out = out[out["n"] == fair["cell_type"].nunique()].reset_index(drop=True)
    out["candidate"] = out["status"] == "candidate"
    columns = ["method", "title", "candidate", "map", "map_se", "auc", "plate_excess", "plate_se"]
    return out[[*columns, "keeps_controls"]]


def _reason(fair: pd.DataFrame) -> str:
    """Retell the steps of the rule with their numbers."""
    row = fair[fair["chosen"]].iloc[0]
    lost = int((~fair["keeps_controls"]).sum())
    if fair["auc"].isna().all():
        words = f"There are {len(fair)} candidates, and no disease whose separation could be lost"
    else:
        words = (
            f"{lost} of {len(fair)} candidates lose control separation"
            if lost
            else (f"None of {len(fair)} candidates loses control separation")
        )
    name, told = row["method"], f"{row['plate_excess']:+.3f} above chance"
    near = int((fair["near_best"] & fair["keeps_controls"]).sum())
    few = int(fair["least_told"].sum())
    if fair["map"].notna().any():
        words += "; replicate mAP is within one standard error of the best for "
        words += str(near) if near > 1 else f"{name} alone (plates told {told})"
    if near > 1 and np.isfinite(row["plate_excess"]):
        which = f"{few} of these leave" if few > 1 else f"of these {name} leaves"
        words += f"; {which} plates least recognisable ({name}: {told})"
    if near > 1 and few > 1:
        words += f", and {name} has the highest "
        words += "replicate mAP" if fair["auc"].isna().all() else "control separation"
        words += " among them"
    return words + "."
