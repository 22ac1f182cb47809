"""The tables that a hit search leaves for people and later notebooks, each column explained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from screenbook.hits.calls import CALLS
from screenbook.hits.hit_search import HitSearch
from screenbook.profiles.batches import Part
from screenbook.profiles.design import compound_table

WELL_COLUMNS = {
    "id": "experiment/plate/well",
    "cell_type": "cell type",
    "experiment": "experiment",
    "batch": "plate within its experiment",
    "role": "role in the analysis",
    "compound": "compound, blank if none",
    "compound_key": "key of its structure (InChIKey of the parent) or name",
    "dose": "dose (µM)",
    "on_score": "0 at the healthy, 1 at the untreated diseased wells of the plate",
    "off_score": "distance from the line between these, control SD, about 1 for a control well "
    "(without a disease: from the vehicle wells of the plate)",
    "outside": "farther from its controls than 99 % of all control wells",
    "used": "takes part: neither left out nor on a plate without a scale",
}

_SHARED = {
    "on_score": "0 healthy, 1 untreated diseased: mean over plates, each counted alike",
    "on_low": "95 % interval over plates, lower end",
    "on_high": "95 % interval over plates, upper end",
    "off_score": "shift off the way from diseased to healthy, control SD, free of noise",
    "off_low": "95 % interval over plates, lower end",
    "off_high": "95 % interval over plates, upper end",
}

TREATMENT_COLUMNS = {
    "cell_type": "cell type",
    "compound": "compound",
    "compound_key": "key of its structure (InChIKey of the parent) or name",
    "dose": "dose (µM)",
    "n_wells": "wells with a score",
    "n_plates": "their plates",
    "n_experiments": "their experiments",
    **_SHARED,
    "alignment": "cosine between the way moved and the way to healthy, -1 to 1",
    "p": "one-sided, towards healthy, exact, against untreated wells of the same plates",
    "q": "Benjamini-Hochberg over all treatments of the screen",
    "p_worse": "as p, away from healthy",
    "q_worse": "as q",
    "z_bulk": "robust z against the treated wells of the same plates, negative is healthier",
    "p_bulk": "one-sided, from that z",
    "q_bulk": "as q",
    "off_p": "do plates agree on a shift off the way? one-sided",
    "outside": "share of wells unlike any control, accidents counted",
    "outside_p": "one-sided binomial, against the share among all treated wells",
    "off_q": "as q, of twice the smaller of off_p and outside_p",
    "replicate_map": "replicate mean average precision across plates (report 02), 0 to 1",
    "replicate_q": "its q, over the treatments of the cell type",
    "testable": "enough wells and plates for p to reach 0.05",
    "flags": "what speaks against it, words between semicolons",
    "verdict": "; ".join((*CALLS, "active")) + " (one of these)",
}

HIT_COLUMNS = {
    "compound": "compound",
    "compound_key": "key of its structure (InChIKey of the parent) or name",
    "names": "other names in the metadata",
    "smiles": "structure as the metadata give it",
    "moa": "mechanism as the metadata give it",
    "cell_type": "cell type",
    "call": TREATMENT_COLUMNS["verdict"],
    "rank": "within the cell type: by call, then by the recovery promised or the mean score",
    "n_wells": "wells with a score at the best dose",
    "n_plates": "their plates",
    "n_doses": "doses tried",
    "best_dose": "the dose that promises most recovery, of those that pass by themselves (µM)",
    **_SHARED,
    "promised": "recovery at the best dose that the interval promises: 1 - on_high",
    "p": "Simes' p over the doses; a dose that fails the gates counts as 1",
    "q": "Benjamini-Hochberg over all compounds and cell types",
    "ec50": "dose of half the effect (µM)",
    "ec50_low": "95 % interval, lower end; blank if open",
    "ec50_high": "95 % interval, upper end; blank if open",
    "emax": "on-score gained from the lowest plateau to the highest dose fitted",
    "hill": "slope of the fitted curve",
    "plateau": "on-score of the fitted curve at dose zero",
    "p_flat": "p of the curve against a flat line",
    "shape": "sigmoid, partial (EC50 beyond the doses), bell, flat or not testable",
    "replicate_map": TREATMENT_COLUMNS["replicate_map"] + ", best dose",
    "replicate_q": TREATMENT_COLUMNS["replicate_q"],
    "flags": "what speaks against it, words between semicolons",
}


def well_table(search: HitSearch, parts: Sequence[Part]) -> pd.DataFrame:
    """One row per well of the cell types that were scored, as :data:`WELL_COLUMNS`."""
    tables = []
    for part in parts:
        if part.cell_type not in search.scores:
            continue
        found, obs = search.scores[part.cell_type], part.obs
        tables.append(
            pd.DataFrame(
                {
                    "id": obs.index.astype(str),
                    **{c: obs[c].astype(str).to_numpy() for c in list(WELL_COLUMNS)[1:7]},
                    "dose": obs["treatment_conc"].to_numpy(),
                    "on_score": found.on,
                    "off_score": found.off,
                    "outside": found.outside,
                    "used": found.used,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)[list(WELL_COLUMNS)]


def treatment_table(search: HitSearch) -> pd.DataFrame:
    """One row per cell type, compound and dose, as :data:`TREATMENT_COLUMNS`."""
    return search.treatments[list(TREATMENT_COLUMNS)]


def hit_table(search: HitSearch, obs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell type and compound, best first, as :data:`HIT_COLUMNS`.

    Parameters
    ----------
    search : HitSearch
    obs : DataFrame
        Metadata of all wells.
    """
    facts = compound_table(obs).drop_duplicates("compound_key").set_index("compound_key")
    treated = obs[obs["compound_key"].astype(str) != ""]
    moa = treated.get("moa", pd.Series("", index=treated.index)).astype(str)
    known = moa.groupby(treated["compound_key"].astype(str)).max()  # "" sorts before any name
    key = search.hits["compound_key"]
    named = search.hits.assign(
        names=key.map(facts["aliases"]).fillna(""),
        smiles=key.map(facts["SMILES"]).fillna("").astype(str),
        moa=key.map(known).fillna("").replace("nan", ""),
    )
    return named.reindex(columns=list(HIT_COLUMNS))


def wells_left_out(
    obs: pd.DataFrame, plates: pd.DataFrame, wells: pd.DataFrame, *, keep_flagged: bool
) -> np.ndarray:
    """Which wells report 01 advises to leave out: those of flagged plates, and accidents.

    Parameters
    ----------
    obs : DataFrame, n rows
        Metadata of the wells.
    plates, wells : DataFrame
        ``plates.tsv`` (``batch verdict``) and ``wells_flagged.tsv`` (``batch well kind``).
    keep_flagged : bool
        Leave none out.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    if keep_flagged:
        return np.zeros(len(obs), dtype=bool)
    batch = obs["batch"].astype(str)
    faulty = set(plates.loc[plates["verdict"] == "flag", "batch"].astype(str))
    accidents = wells[wells["kind"] == "outlier"]
    address = accidents["batch"].astype(str) + "/" + accidents["well"].astype(str)
    gone = (batch + "/" + obs["well"].astype(str)).isin(set(address))
    return np.asarray(batch.isin(faulty) | gone)
