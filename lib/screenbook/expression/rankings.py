"""Every way to rank drugs for a measured change, asked the same queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from screenbook.expression.connectivity import (
    cosine,
    normalise_connectivity,
    score_connectivity,
    tau,
)
from screenbook.expression.inverse import InverseModel, InverseSettings, train_inverse
from screenbook.expression.libraries import Retrieval, line_mean, retrieve
from screenbook.expression.retrieval_baselines import retrieval_baselines
from screenbook.expression.signatures import Signatures, at_top_dose, reliability
from screenbook.expression.split_study import SplitStudy, training_rows
from screenbook.expression.splits import parent_blocks
from screenbook.expression.target_baselines import (
    frequent_targets,
    neighbour_targets,
    score_targets,
    target_table,
)
from screenbook.retrieval_metrics import grade_relevance, score_rankings, summarise

FAMILY = ("spearman", "wtcs", "xsum", "xcos", "zhang")
"""Connectivity scores beside cosine, each against the observed library of the query's line."""

UPPER, LOWER = 0.67, 0.33
"""Quantiles over lines of which the one further from 0 speaks for a drug (NCSct)."""

N_BACKGROUND = 500
"""Reference queries of tau; fewer are coarse."""

DEPTHS = (1, 2, 3, 5, 10, 20, 50)


def rank_by_all(
    signatures: Signatures,
    study: SplitStudy,
    bits: pd.DataFrame,
    inverse: InverseModel | None = None,
    *,
    seed: int = 0,
) -> Retrieval:
    """Rank all drugs for the held-out conditions by libraries, scores, f_p and baselines.

    Parameters
    ----------
    signatures : Signatures
    study : SplitStudy
        Rankings learn from its training part only.
    bits : DataFrame
        Fingerprints by compound key.
    inverse : InverseModel, optional
        f_p, trained on the training part.
    seed : int
        Of the random baseline, and of the reference queries.

    Returns
    -------
    Retrieval
        Scores by name: the three libraries by cosine, ``observed, <score>``, ``all lines,
        cosine``, ``all lines, NCS`` and ``all lines, tau``, ``f_p``, and the baselines.
    """
    found = retrieve(signatures, study)
    scores = dict(found.scores)
    # A drug that was never profiled is in no library of observed changes.
    if found.queries.obs["compound_key"].isin(study.predictor.train.obs["compound_key"]).any():
        for name in FAMILY:
            more = retrieve(signatures, study, score=name, libraries=("observed",))
            scores[f"observed, {name}"] = more.scores["observed"]
        scores |= over_lines(found, study, seed=seed)
    keys = found.candidates["compound_key"]
    candidate_bits = bits.loc[keys].to_numpy()
    queries = found.queries
    if inverse is not None:
        basal = signatures.basal.loc[queries.obs["cell_line"]].to_numpy()
        scores["f_p"] = inverse.rank(queries.delta, basal, candidate_bits)
    train = study.predictor.train
    top = at_top_dose(train.obs)
    scores |= retrieval_baselines(
        queries.delta,
        _mean_changes(train.delta[top], train.obs[top], keys),
        train.delta[top],
        bits.loc[queries.obs["compound_key"]].to_numpy(),
        candidate_bits,
        seed=seed,
    )
    return replace(found, scores=scores)


def study_rankings(
    signatures: Signatures,
    study: SplitStudy,
    bits: pd.DataFrame,
    settings: InverseSettings,
    seed: int = 0,
) -> tuple[Retrieval, InverseModel | None]:
    """Train f_p on the training part of a split, and rank all drugs by everything.

    Returns
    -------
    Retrieval
        See :func:`rank_by_all`.
    InverseModel or None
        f_p; None where no structure is known.
    """
    inverse = None
    if bits.to_numpy().any():
        rows = study.split.train | study.split.validation
        inverse = train_inverse(
            training_rows(signatures, bits, study.split.rule, rows),
            signatures.obs["targets"][rows].tolist(),
            settings,
            trust=reliability(signatures.subset(rows)),
        )
    return rank_by_all(signatures, study, bits, inverse, seed=seed), inverse


def over_lines(found: Retrieval, study: SplitStudy, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Compare with the library of all lines together, and let each drug's lines speak for it.

    Returns
    -------
    dict of str to ndarray, shape (q, c)
        ``all lines, cosine`` (mean over lines), ``all lines, NCS`` (weighted connectivity,
        normalised in each line; of its :data:`UPPER` and :data:`LOWER` quantiles over lines the
        one further from 0) and ``all lines, tau`` (of that, against training signatures as
        reference queries). NaN for drugs that were not profiled.

    References
    ----------
    Subramanian et al. 2017, doi:10.1016/j.cell.2017.10.049.
    """
    train = study.predictor.train
    top = at_top_dose(train.obs)
    obs, delta = train.obs[top], train.delta[top].astype(np.float64)
    line = obs["cell_line"].to_numpy()
    shared = {name: line_mean(train, name) for name in pd.unique(line)}
    every = np.mean(list(shared.values()), axis=0)
    library = delta - np.array([shared[name] for name in line])
    own = found.queries.obs["cell_line"]
    asked = found.queries.delta - np.array([shared.get(name, every) for name in own])
    some = np.random.default_rng(seed).permutation(len(library))[:N_BACKGROUND]
    owner = found.candidates["compound_key"].to_numpy()
    place = pd.Index(owner).get_indexer(pd.Index(obs["compound_key"]))
    plain = cosine(asked, library)
    connected, background = (
        _speak(
            normalise_connectivity(score_connectivity(x, library, "wtcs"), line), place, len(owner)
        )
        for x in (asked, library[some])
    )
    return {
        "all lines, cosine": _speak(plain, place, len(owner), mean=True),
        "all lines, NCS": connected,
        "all lines, tau": tau(connected, background),
    }


def _speak(scores: np.ndarray, owner: np.ndarray, n: int, *, mean: bool = False) -> np.ndarray:
    """Summarise each drug's signatures, (q, library) to (q, n)."""
    out = np.full((len(scores), n), np.nan)
    for drug in np.unique(owner):
        mine = scores[:, owner == drug]
        if mean:
            out[:, drug] = mine.mean(axis=1)
            continue
        high, low = np.quantile(mine, (UPPER, LOWER), axis=1)
        out[:, drug] = np.where(np.abs(high) >= np.abs(low), high, low)
    return out


def _mean_changes(delta: np.ndarray, obs: pd.DataFrame, keys: pd.Series) -> np.ndarray:
    mean = pd.DataFrame(delta).groupby(obs["compound_key"].to_numpy()).mean()
    return mean.reindex(keys).to_numpy(dtype=np.float64)


def ranking_table(
    found: Retrieval,
    names: Sequence[str] | None = None,
    *,
    pool: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Score rankings, with 95 % intervals over drugs.

    Parameters
    ----------
    found : Retrieval
    names : sequence of str, optional
        Which rankings; all by default.
    pool : ndarray of bool, shape (c,), optional
        Candidates that are ranked; all by default.
    seed : int

    Returns
    -------
    table : DataFrame
        One row per ranking and metric: ``ranking`` and the columns of
        :func:`~screenbook.retrieval_metrics.summarise`.
    queries : dict of str to DataFrame
        Scores of each query, by ranking.
    """
    obs = found.queries.obs
    mask = None if pool is None else np.broadcast_to(pool, (len(obs), len(pool)))
    relevance = grade_relevance(obs, found.candidates, pool=mask)
    groups = parent_blocks(obs["compound_key"])
    queries = {
        name: score_rankings(found.scores[name], relevance, ks=DEPTHS)
        for name in names or found.scores
    }
    parts = [summarise(q, groups, seed=seed).assign(ranking=name) for name, q in queries.items()]
    return pd.concat(parts, ignore_index=True), queries


def hit_table(table: pd.DataFrame, chance: Mapping[int, float] | None = None) -> pd.DataFrame:
    """Arrange the hits at each depth for a figure: ``series k hit low high chance``."""
    rows = table[table["metric"].str.startswith("hit@")]
    depth = rows["metric"].str.removeprefix("hit@").astype(int)
    return pd.DataFrame(
        {
            "series": rows["ranking"],
            "k": depth,
            "hit": rows["mean"],
            "low": rows["low"],
            "high": rows["high"],
            "chance": depth.map(dict(chance or {})).astype(float),
        }
    )


def by_part(queries: pd.DataFrame, obs: pd.DataFrame, column: str, metric: str) -> pd.DataFrame:
    """Average a metric over the queries of each line, or of each drug, best first."""
    values = queries[metric].to_numpy()
    table = pd.DataFrame({column: obs[column].to_numpy(), metric: values})
    found = table.groupby(column)[metric].agg(["size", "mean"]).reset_index()
    found.columns = pd.Index([column, "n_queries", metric])
    return found.sort_values([metric, column], ascending=[False, True], ignore_index=True)


def target_rankings(
    inverse: InverseModel,
    found: Retrieval,
    study: SplitStudy,
    bits: pd.DataFrame,
    signatures: Signatures,
) -> pd.DataFrame:
    """Ask for the target genes of each query's drug, by f_p and by what needs no signature.

    Returns
    -------
    DataFrame
        One row per query, of drugs whose targets are known, and way: ``way`` and the columns of
        :func:`~screenbook.expression.target_baselines.score_targets`.
    """
    obs = found.queries.obs
    known = found.candidates[found.candidates["profiled"] & found.candidates["targets"].ne("")]
    member = target_table(known["targets"])
    own = parent_blocks(obs["compound_key"])[:, None] == parent_blocks(known["compound_key"])
    basal = signatures.basal.loc[obs["cell_line"]].to_numpy()
    ways = {
        "f_p": inverse.targets(found.queries.delta, basal),
        "neighbours by structure": neighbour_targets(
            bits.loc[obs["compound_key"]].to_numpy(),
            bits.loc[known["compound_key"]].to_numpy(),
            member,
            excluded=own,
        ),
        "most frequent targets": frequent_targets(len(obs), member, excluded=own),
    }
    told = obs["targets"].to_numpy()
    parts = [score_targets(scores, told).assign(way=way) for way, scores in ways.items()]
    table = pd.concat([p.assign(compound_key=obs["compound_key"].to_numpy()) for p in parts])
    return table[table["n_targets"] > 0].reset_index(drop=True)
