"""What the owner of a screen asks of its score: does it hold, is it necessary, is it sufficient.

The questions are those that came with RxRx19a: how well does the score tell healthy from
diseased; does it hold on other plates, experiments and cells; what would happen in the next
experiment; is it necessary, is it sufficient?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from screenbook.classifier.classifier_metrics import measure
from screenbook.leads.leads import Ranked
from screenbook.leads.stability import (
    between_experiments,
    next_experiment,
    rank_correlation,
    split_half,
)

CHECKS = {
    "replicates": "replicates find each other on other plates (mAP, q ≤ 0.05)",
    "dose response": "the dose response is not flat (p ≤ 0.05)",
    "on the way": "not flagged off-axis at its best dose",
    "like a control": "not flagged as unlike any control at its best dose",
    "both nulls": "stands against the treated bulk as well",
    "classifier": "the classifier takes most of it for healthy (p > 0.5)",
}
"""What a compound with the score should stand up to."""

SEPARATION_COLUMNS = ("cell_type", "score", "auc", "auc_low", "auc_high", "n", "n_plates")


def control_separation(
    scored: pd.DataFrame, classified: pd.DataFrame | None = None, *, seed: int = 0
) -> pd.DataFrame:
    """Ask how well each score tells diseased from healthy controls.

    Parameters
    ----------
    scored : DataFrame
        ``id cell_type batch role on_score used``.
    classified : DataFrame, optional
        ``id cell_type batch role p_healthy``; wells that are not used take no part here either.
    seed : int
        Of the resampled plates.

    Returns
    -------
    DataFrame
        :data:`SEPARATION_COLUMNS`: area under the ROC curve over all plates together, with a
        95 % interval from resampled plates. Every well is scored by what other plates teach.
    """
    used = scored[scored["used"].astype(bool)]
    sides = {"on-axis score": used.assign(s=used["on_score"])}
    if classified is not None:
        same = classified[classified["id"].isin(used["id"])]
        sides["classifier"] = same.assign(s=1 - same["p_healthy"])
    rows = []
    for name, wells in sides.items():
        known = wells[wells["role"].isin(["healthy", "diseased"]) & wells["s"].notna()]
        for cell_type, part in known.groupby("cell_type"):
            label = (part["role"] == "diseased").to_numpy().astype(int)
            plate = pd.factorize(part["batch"])[0]
            found = measure(part["s"].to_numpy(dtype=float), label, plate, seed=seed)
            rows.append({"cell_type": cell_type, "score": name, **found})
    return pd.DataFrame(rows, columns=list(SEPARATION_COLUMNS))


REPEAT_COLUMNS = ("cell_type", "score", "asked", "across", "rho", "low", "high", "n")


def repeats(ranked: Mapping[str, Ranked], *, seed: int = 0) -> pd.DataFrame:
    """Correlate the scores of candidates across plates, experiments and cell types.

    Parameters
    ----------
    ranked : mapping of str to Ranked
        By cell type.
    seed : int
        Of the halves.

    Returns
    -------
    DataFrame
        :data:`REPEAT_COLUMNS`. ``asked`` is ``plates`` (disjoint halves of them; ``low`` and
        ``high`` are the middle 90 % of random halvings), ``plates, all`` (Spearman-Brown),
        ``experiments`` or ``cell types``; ``across`` says which; ``rho`` is Spearman's and
        ``n`` the number of candidates.
    """
    rows: list[dict[str, object]] = []
    for cell_type, r in ranked.items():
        for voter in r.consensus.voters:
            about = {"cell_type": cell_type, "score": voter.name}
            n = len(np.unique(voter.compound))
            half = split_half(voter, r.strata, seed=seed)
            ends = {"low": half["rho_low"], "high": half["rho_high"]}
            rows += [
                {
                    **about,
                    "asked": "plates",
                    "across": "halves",
                    "rho": half["rho"],
                    **ends,
                    "n": n,
                },
                {**about, "asked": "plates, all", "across": "", "rho": half["full"], "n": n},
            ]
            rows += [
                {
                    **about,
                    **{"asked": "experiments", "across": f"{pair['first']}, {pair['second']}"},
                    **{"rho": pair["rho"], "n": pair["n"]},
                }
                for pair in between_experiments(voter, r.strata).to_dict("records")
            ]
    return pd.DataFrame(rows + _between_cell_types(ranked), columns=list(REPEAT_COLUMNS))


def _between_cell_types(ranked: Mapping[str, Ranked]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for a, b in combinations(ranked, 2):
        first, second = (
            r.consensus.table.set_index("compound_key") for r in (ranked[a], ranked[b])
        )
        for name in ranked[a].consensus.names:
            if f"score_{name}" not in second:
                continue
            pair = pd.concat([first[f"score_{name}"], second[f"score_{name}"]], axis=1).dropna()
            rho = rank_correlation(pair.iloc[:, 0].to_numpy(), pair.iloc[:, 1].to_numpy())
            about = {"cell_type": f"{a}, {b}", "score": name, "asked": "cell types"}
            rows.append({**about, "across": f"{a}, {b}", "rho": rho, "n": len(pair)})
    return rows


def foretold(
    ranked: Mapping[str, Ranked], n_leads: Mapping[str, int], *, seed: int = 0
) -> pd.DataFrame:
    """Foretell every experiment of every cell type from the others.

    Parameters
    ----------
    ranked : mapping of str to Ranked
        By cell type.
    n_leads : mapping of str to int
        Leads of each cell type: the top is asked at this length too, if there are any.
    seed : int
        See :func:`screenbook.leads.stability.next_experiment`.

    Returns
    -------
    DataFrame
        ``cell_type`` and the columns of :func:`screenbook.leads.stability.next_experiment`.
    """
    depths = {
        cell_type: dict.fromkeys((r.consensus.n_top, n_leads.get(cell_type) or r.consensus.n_top))
        for cell_type, r in ranked.items()
    }
    parts = [
        next_experiment(r.consensus, r.strata, n_top=n, seed=seed).assign(cell_type=cell_type)
        for cell_type, r in ranked.items()
        for n in depths[cell_type]
    ]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def sufficiency(leads: pd.DataFrame, least: float) -> pd.DataFrame:
    """Ask what compounds with the score stand up to.

    Parameters
    ----------
    leads : DataFrame
        From :func:`screenbook.leads.leads.lead_table`; gated compounds take part.
    least : float
        Recovery (1 - on-axis score at the best dose) that counts as having the score.

    Returns
    -------
    DataFrame
        One row per compound and cell type with the score, whatever it was called: ``cell_type
        compound call recovery``, a column for each of :data:`CHECKS` (True, False, or None
        where it was not asked) and ``all`` (all that were asked passed).
    """
    have = leads[(1 - leads["on_score"]) >= least]
    have = have.reindex(columns=list(dict.fromkeys([*have, "p_flat", "replicate_q", "p_healthy"])))
    flags = have["flags"].fillna("").astype(str)
    # 'off-axis at 10 µM' speaks of another dose.
    words = flags.map(lambda text: {word.strip() for word in text.split(";")})
    checks: dict[str, Any] = {
        "replicates": _passes(have["replicate_q"], have["replicate_q"] <= 0.05),
        "dose response": _passes(have["p_flat"], have["p_flat"] <= 0.05),
        "on the way": words.map(lambda w: not w & {"off-axis", "toxicity-like"}).astype(object),
        "like a control": words.map(lambda w: "unlike any control" not in w).astype(object),
        "both nulls": words.map(lambda w: "nulls disagree" not in w).astype(object),
        "classifier": _passes(have["p_healthy"], have["p_healthy"] > 0.5),
    }
    table = have[["cell_type", "compound", "call"]].assign(recovery=1 - have["on_score"], **checks)
    asked = table[list(CHECKS)]
    table["all"] = ~(asked == False).any(axis=1)  # noqa: E712  (None is neither)
    return table.sort_values("recovery", ascending=False).reset_index(drop=True)


def _passes(known: pd.Series, passed: pd.Series) -> np.ndarray:
    """Turn a comparison into True, False or None where nothing was measured."""
    asked = zip(known.notna(), passed, strict=True)
    return np.array([bool(yes) if there else None for there, yes in asked], dtype=object)


def necessity(leads: pd.DataFrame, references: Sequence[str], least: float) -> pd.DataFrame:
    """Ask whether the reference compounds have the score.

    Which of them ought to rescue is the owner's knowledge; nothing is assumed here.

    Parameters
    ----------
    leads : DataFrame
        From :func:`screenbook.leads.leads.lead_table`.
    references : sequence of str
        Names, as the roles of the screen list them; compared without case, all names of a
        compound count.
    least : float
        See :func:`sufficiency`.

    Returns
    -------
    DataFrame
        ``compound cell_type call rank on_score on_low on_high has_score``; references that the
        tables do not know are missing.
    """
    wanted = {name.casefold() for name in references}
    named = leads["compound"].astype(str) + "; " + leads["names"].fillna("").astype(str)
    known = [{n.strip().casefold() for n in text.split(";")} for text in named]
    met = np.array([bool(names & wanted) for names in known], dtype=bool)
    columns = ["compound", "cell_type", "call", "rank", "on_score", "on_low", "on_high"]
    table = leads.loc[met, columns]
    table = table.assign(has_score=(1 - table["on_score"]) >= least)
    return table.sort_values(["cell_type", "on_score"]).reset_index(drop=True)
