"""What should be tested next: the evidence of all reports in one row per compound and cell type.

A *candidate* may be ranked: it was testable, and nothing said of it beforehand that it is no
rescue (moving cells off the way to health, or away from it). A *lead* is a candidate that report
04 calls a rescue. Ranks come from :mod:`screenbook.leads.rank_consensus`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from screenbook.leads.rank_consensus import Consensus, build_consensus, make_voter
from screenbook.leads.stability import LeaveOut, leave_out, worst_ranks

RANKED_CALLS = ("rescue", "no call")
"""Calls of report 04 that let a compound be ranked; any other bars it, and is the reason."""

BARRED_DOSES = ("off-axis", "not testable")
"""Verdicts on a dose that keep it from standing for its compound."""

WITNESSES = {
    "earth mover": "earth_mover_score",
    "kNN": "knn_pca_score",
}
"""Methods of report 04 that give one number for all plates together, and their columns."""

ON_AXIS, CLASSIFIER = "on_axis", "classifier"

COLUMNS = {
    "cell_type": "cell type",
    "compound": "compound",
    "compound_key": "key of its structure (InChIKey of the parent) or name",
    "names": "other names in the metadata",
    "moa": "mechanism as the metadata give it",
    "call": "call of report 04",
    "is_lead": "ranked, and called a rescue",
    "rank": "consensus rank, 1 first: by mean rank over draws of plates; blank if not ranked",
    "median_rank": "median over draws",
    "rank_low": "5 % of draws have this rank or a better one",
    "rank_high": "95 % of draws have this rank or a better one",
    "top_share": "share of draws in which it is among the first n_top",
    "n_top": "what counts as the top of the list of its cell type",
    "n_ranked": "candidates of its cell type that are ranked",
    "chance": "top_share if all candidates were alike",
    "rank_on_axis": "rank by the recovery at the best dose alone",
    "rank_classifier": "rank by the classifier's probability alone",
    "rank_earth_mover": "rank by the earth mover's distance (no vote)",
    "rank_kNN": "rank by the share of healthy neighbours (no vote)",
    "rank_04": "rank in report 04",
    "worst_rank": "worst rank with one plate, experiment or method left out",
    "worst_without": "what was left out then; blank if nothing costs it a place",
    "best_dose": "best dose, as report 04 chose it (µM)",
    "n_wells": "wells at the best dose",
    "n_plates": "their plates",
    "on_score": "on-axis score at the best dose: 0 healthy, 1 untreated diseased",
    "on_low": "95 % interval over plates, lower end",
    "on_high": "95 % interval over plates, upper end",
    "off_score": "shift off the way from diseased to healthy at the best dose (control SD)",
    "off_low": "95 % interval over plates, lower end",
    "off_high": "95 % interval over plates, upper end",
    "q": "Benjamini-Hochberg q of the compound (report 04)",
    "ec50": "dose of half the effect (µM)",
    "ec50_low": "95 % interval, lower end; blank if open",
    "ec50_high": "95 % interval, upper end; blank if open",
    "shape": "shape of the dose response",
    "replicate_map": "replicate mean average precision across plates at the best dose, 0 to 1",
    "replicate_q": "its q",
    "p_healthy": "classifier's probability of being healthy, best dose of report 05",
    "p_healthy_low": "95 % interval, lower end",
    "p_healthy_high": "95 % interval, upper end",
    "p_outside": "share of wells unlike the controls that the classifier knows",
    "flags": "flags of report 04, words between semicolons",
    "doubts": "what speaks against a lead, words between semicolons",
}
"""Columns of the table that report 09 leaves, and what they hold."""


class Ranked(NamedTuple):
    """One cell type, ranked.

    Attributes
    ----------
    consensus : Consensus
    left : LeaveOut
    strata : tuple of str
        Experiment of each plate.
    witnesses : dict of str to ndarray, shape (n_candidates,)
        Scores of methods that do not vote, larger is better.
    """

    consensus: Consensus
    left: LeaveOut
    strata: tuple[str, ...]
    witnesses: dict[str, np.ndarray]


def rank_cell_type(
    cell_type: str,
    hits: pd.DataFrame,
    treatments: pd.DataFrame,
    scored: pd.DataFrame,
    classified: pd.DataFrame | None = None,
    searches: pd.DataFrame | None = None,
    *,
    n_top: int = 20,
    n_draws: int = 1000,
    seed: int = 0,
) -> Ranked | None:
    """Rank the candidates of one cell type, and leave everything out once.

    Parameters
    ----------
    cell_type : str
    hits : DataFrame
        ``cell_type compound_key call``.
    treatments : DataFrame
        ``cell_type compound_key dose verdict``.
    scored : DataFrame
        Wells: ``id cell_type experiment batch role compound_key dose on_score used``.
    classified : DataFrame, optional
        Wells out of fold: ``id cell_type batch role compound_key dose p_healthy``.
    searches : DataFrame, optional
        ``cell_type compound_key`` and columns of :data:`WITNESSES`.
    n_top, n_draws, seed
        See :func:`screenbook.leads.rank_consensus.build_consensus`.

    Returns
    -------
    Ranked or None
        None if fewer than two candidates stand on two plates.
    """
    hits = hits[hits["cell_type"] == cell_type]
    candidates = hits.loc[hits["call"].isin(RANKED_CALLS), "compound_key"].tolist()
    wells = _open_doses(scored[scored["cell_type"] == cell_type], treatments, cell_type)
    wells = wells[wells["used"].astype(bool) & (wells["role"] == "treated")]
    wells = wells.assign(recovery=1 - wells["on_score"])
    plates = sorted(wells["batch"].unique())
    voters = [make_voter(ON_AXIS, wells, "recovery", candidates, plates)]
    if classified is not None:
        seen = classified[classified["id"].isin(wells["id"])]
        voters.append(make_voter(CLASSIFIER, seen, "p_healthy", candidates, plates))
    asked = {"n_top": n_top, "n_draws": n_draws, "seed": seed}
    consensus = build_consensus(cell_type, voters, candidates, plates, **asked)
    if consensus is None:
        return None
    experiment = wells.drop_duplicates("batch").set_index("batch")["experiment"].astype(str)
    witnesses = _witness_scores(searches, cell_type, candidates)
    strata = tuple(str(name) for name in experiment[plates])
    left = leave_out(consensus, strata, witnesses)
    return Ranked(consensus, left, strata, witnesses)


def _open_doses(wells: pd.DataFrame, treatments: pd.DataFrame, cell_type: str) -> pd.DataFrame:
    """Drop wells of doses that a verdict bars."""
    verdicts = treatments[treatments["cell_type"] == cell_type]
    barred = verdicts.loc[verdicts["verdict"].isin(BARRED_DOSES), ["compound_key", "dose"]]
    if barred.empty:
        return wells
    found = wells[["compound_key", "dose"]].merge(barred.assign(barred=True), how="left")
    return wells[found["barred"].isna().to_numpy()]


def _witness_scores(
    searches: pd.DataFrame | None, cell_type: str, candidates: list[str]
) -> dict[str, np.ndarray]:
    if searches is None:
        return {}
    mine = searches[searches["cell_type"] == cell_type].drop_duplicates("compound_key")
    mine = mine.set_index("compound_key").reindex(candidates)
    found = {n: c for n, c in WITNESSES.items() if c in mine}
    return {name: mine[column].to_numpy(dtype=np.float64) for name, column in found.items()}


def lead_table(
    hits: pd.DataFrame, ranked: Mapping[str, Ranked], classifier: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Join what is known of every compound and cell type, ranked ones first.

    Parameters
    ----------
    hits : DataFrame
        The table of report 04.
    ranked : mapping of str to Ranked
        Cell types that could be ranked.
    classifier : DataFrame, optional
        ``cell_type compound_key p_healthy p_low p_high outside`` per compound.

    Returns
    -------
    DataFrame
        All columns of `hits`, its ``rank`` renamed ``rank_04``, and ``is_lead rank median_rank
        rank_low rank_high top_share n_ranked n_top chance rank_on_axis rank_classifier
        worst_rank worst_without``, a ``rank_<witness>`` for each witness, and ``p_healthy
        p_healthy_low p_healthy_high p_outside``.
    """
    parts = []
    for cell_type, r in ranked.items():
        table = r.consensus.table.drop(columns=[f"score_{n}" for n in r.consensus.names])
        table = table.merge(worst_ranks(r.consensus, r.left), on="compound_key")
        for name, score in r.witnesses.items():
            order = pd.Series(-score, index=list(r.consensus.candidates)).rank(method="min")
            table[f"rank_{name.replace(' ', '_')}"] = table["compound_key"].map(order)
        about = {"n_ranked": r.consensus.n_ranked, "n_top": r.consensus.n_top}
        parts.append(table.assign(cell_type=cell_type, chance=r.consensus.chance, **about))
    ranks = pd.concat(parts) if parts else pd.DataFrame(columns=["cell_type", "compound_key"])
    keys = ["cell_type", "compound_key"]
    leads = hits.rename(columns={"rank": "rank_04"}).merge(ranks, on=keys, how="left")
    needed = ["rank", "median_rank", "rank_low", "rank_high", "top_share", "n_ranked", "n_top"]
    needed += ["chance", f"rank_{ON_AXIS}", f"rank_{CLASSIFIER}", "worst_rank", "worst_without"]
    leads = leads.reindex(columns=[*leads, *(c for c in needed if c not in leads)])
    leads["worst_without"] = leads["worst_without"].fillna("")
    names = {"p_low": "p_healthy_low", "p_high": "p_healthy_high", "outside": "p_outside"}
    columns = [*keys, "p_healthy", *names]
    said = pd.DataFrame(columns=columns) if classifier is None else classifier[columns]
    leads = leads.merge(said.rename(columns=names), on=keys, how="left")
    leads["is_lead"] = (leads["call"] == "rescue") & leads["rank"].notna()
    return leads.sort_values(["cell_type", "rank"], kind="stable").reset_index(drop=True)


def choose_leads(leads: pd.DataFrame, n_leads: int) -> list[str]:
    """Choose the compounds that get a dossier: leads of any cell type, best rank first.

    Ranks of cell types with different numbers of candidates are compared as shares of them.

    Returns
    -------
    list of str
        Compound keys, at most `n_leads`.
    """
    mine = leads[leads["is_lead"]]
    share = (mine["rank"] / mine["n_ranked"]).groupby(mine["compound_key"]).min()
    return [str(key) for key in share.sort_values(kind="stable").index[:n_leads]]
