"""The whole hit search on wells: scores, evidence, curves and calls of all cell types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.hits.activity import call_active, judge_activity, score_activity
from screenbook.hits.calls import (
    Rule,
    call_compounds,
    harm_direction,
    judge_treatments,
)
from screenbook.hits.dose_response import DoseResponse, fit_dose_response
from screenbook.hits.evidence import Evidence, weigh_treatments
from screenbook.hits.fluorescence import fluorescence_like
from screenbook.hits.rescue import WellScores, score_wells
from screenbook.profiles.batches import Part

CURVE_COLUMNS = ["ec50", "ec50_low", "ec50_high", "emax", "hill", "plateau", "p_flat", "shape"]


@dataclass(frozen=True)
class HitSearch:
    """What a hit search found.

    Attributes
    ----------
    scores : dict of str to WellScores
        By cell type, as everything else; cell types that could not be scored are missing.
    evidence : dict of str to Evidence
    curves : dict of str to DoseResponse
        Groups are compounds in the order of ``compounds[cell_type]``.
    compounds : dict of str to ndarray of str
        Keys of the compounds.
    treatments : DataFrame
        All treatments, judged.
    hits : DataFrame
        All compounds, called.
    refused : dict of str to str
        Cell types that could not be scored, and why.
    """

    scores: dict[str, WellScores]
    evidence: dict[str, Evidence]
    curves: dict[str, DoseResponse]
    compounds: dict[str, np.ndarray]
    treatments: pd.DataFrame
    hits: pd.DataFrame
    refused: dict[str, str]


def search_hits(
    parts: Sequence[Part],
    raw: Sequence[Part],
    left_out: np.ndarray,
    replicates: pd.DataFrame,
    rule: Rule,
    *,
    hold_out: str = "batch",
    n_draws: int = 2000,
    seed: int = 0,
) -> HitSearch:
    """Score wells, weigh treatments, fit curves and call compounds.

    Parameters
    ----------
    parts : sequence of Part
        Centred profiles of each cell type. Wells, not sites: four sites of a well are no four
        replicates.
    raw : sequence of Part
        The same wells with their features as they came.
    left_out : ndarray of bool, shape (n_wells,)
        Wells of the screen that take no part.
    replicates : DataFrame
        ``cell_type compound_key treatment_conc map p q`` of report 02.
    rule : Rule
    hold_out, n_draws, seed
        See :func:`~screenbook.hits.rescue.score_wells` and
        :func:`~screenbook.hits.evidence.weigh_treatments`.

    Returns
    -------
    HitSearch

    Raises
    ------
    InputError
        If rows are sites, or no cell type can be scored.
    """
    scores: dict[str, WellScores] = {}
    evidence, tables, refused = {}, [], {}
    for part, features in zip(parts, raw, strict=True):
        refuse_sites(part)
        try:
            found = _score(part, left_out[part.rows], hold_out)
        except InputError as error:
            refused[part.cell_type] = str(error)
            continue
        weighed = weigh_treatments(part, found, n_draws=n_draws, seed=seed)
        table = weighed.treatments
        few = fluorescence_like(features.X, weighed.codes, part.layout, found.used, len(table))
        harm = harm_direction(weighed.shifts, table, rule.fdr) >= 0.5
        tables.append(table.join(few).assign(harm=harm))
        scores[part.cell_type], evidence[part.cell_type] = found, weighed
    if not tables:
        raise InputError("; ".join(refused.values()) or "the screen has no wells")
    treatments = _with_replicates(pd.concat(tables, ignore_index=True), replicates)
    if not any("diseased" in part.layout.kinds for part in parts):
        judged = judge_activity(treatments, rule.fdr)
        hits = call_active(judged, rule.fdr)
        hits = hits.reindex(columns=[*hits.columns, *CURVE_COLUMNS])
        return HitSearch(scores, evidence, {}, {}, judged, hits, refused)
    n_experiments = len({name for part in parts for name in part.layout.experiments})
    judged = judge_treatments(treatments, rule, n_experiments)
    curves, compounds, fitted = {}, {}, []
    for part in (p for p in parts if p.cell_type in scores):
        name = part.cell_type
        mine = judged.loc[judged["cell_type"] == name, "verdict"].to_numpy()
        compounds[name], curves[name] = fit_curves(
            part, scores[name], evidence[name].codes, mine == "off-axis", seed=seed
        )
        table = curves[name].table[CURVE_COLUMNS].reset_index(drop=True)
        fitted.append(table.assign(cell_type=name, compound_key=compounds[name]))
    hits = call_compounds(judged, pd.concat(fitted, ignore_index=True), rule)
    return HitSearch(scores, evidence, curves, compounds, judged, hits, refused)


def refuse_sites(part: Part) -> None:
    """Refuse rows that are sites of wells.

    Raises
    ------
    InputError
        If an address (plate and well) occurs twice.
    """
    twice = part.obs.duplicated(["batch", "well"])
    if twice.any():
        first = part.obs[twice].iloc[0]
        raise InputError(
            f"well {first['well']} of plate {first['batch']} has more than one row: hits are "
            "called on wells, because sites of one well are no replicates; average them first "
            "(screenbook.profiles.aggregate.aggregate_wells)"
        )


def _score(part: Part, left_out: np.ndarray, hold_out: str) -> WellScores:
    if "diseased" in part.layout.kinds:
        return score_wells(part, left_out, hold_out=hold_out)
    return score_activity(part, left_out)


def _with_replicates(treatments: pd.DataFrame, replicates: pd.DataFrame) -> pd.DataFrame:
    """Join the replicate mAP of report 02."""
    names = {"treatment_conc": "dose"}
    names |= {"map": "replicate_map", "p": "replicate_p", "q": "replicate_q"}
    found = replicates[["cell_type", "compound_key", *names]].rename(columns=names)
    return treatments.merge(
        found, on=["cell_type", "compound_key", "dose"], how="left", validate="1:1"
    )


def fit_curves(
    part: Part, scores: WellScores, codes: np.ndarray, off_axis: np.ndarray, *, seed: int
) -> tuple[np.ndarray, DoseResponse]:
    """Fit the on-axis score of every compound of a cell type against dose.

    Doses that move cells elsewhere are left out: there the on-axis score is no measure of
    rescue, and a compound that kills at its top dose would seem to rescue all the more.

    Parameters
    ----------
    part : Part
    scores : WellScores
    codes : ndarray of int, shape (n,)
        Treatment of each well, -1 for none.
    off_axis : ndarray of bool, shape (n_treatments,)
    seed : int

    Returns
    -------
    compounds : ndarray of str
        Keys, sorted.
    curves : DoseResponse
        Its groups are these compounds.
    """
    treated = (part.obs["role"].astype(str) == "treated").to_numpy()
    keys = part.obs["compound_key"].astype(str).to_numpy()
    compounds, code = np.unique(keys[treated], return_inverse=True)
    group = np.full(len(keys), -1)
    group[treated] = code
    elsewhere = (codes >= 0) & off_axis[np.maximum(codes, 0)]
    score = np.where(scores.used & ~elsewhere, scores.on, np.nan)
    dose = part.obs["treatment_conc"].to_numpy(dtype=float)
    untreated = score[part.layout.baseline & scores.used]
    fitted = fit_dose_response(
        score, dose, group, n_groups=len(compounds), untreated=untreated, seed=seed
    )
    return compounds, fitted
