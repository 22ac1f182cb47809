"""Does a profile find its molecule, and a molecule its profile? Every compound is asked once.

The candidates of a query are the compounds held out with it. So a hit cannot rest on having
seen the answer, and chance is known: it is what a random order of them would give.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from screenbook.retrieval_metrics import NOT_IN_POOL, SAME_PARENT, score_rankings, summarise
from screenbook.structure.held_out_towers import HeldOutTowers
from screenbook.structure.imaged_compounds import ImagedCompounds
from screenbook.structure.resampling import cross_validated_p, resampled_units
from screenbook.structure.retrieval_scores import (
    BASELINES,
    IMAGE_TO_MOLECULE,
    MOLECULE_TO_IMAGE,
    Asked,
    Scores,
    by_towers,
)

KS = (1, 5, 10)
METRICS = {
    **{f"hit@{k}": f"the own one is among the first {k}" for k in KS},
    "reciprocal_rank": "1 / rank of the own one",
    "rank": "rank of the own one (median)",
    "same_scaffold@1": "the first has the own scaffold",
    "same_mechanism@1": "the first has the own mechanism",
}
"""What is measured for a query. The own one has the own scaffold and mechanism too."""


def retrieve_structures(
    imaged: ImagedCompounds,
    held_out: Sequence[HeldOutTowers],
    *,
    n_draws: int = 1000,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ask every compound once, both ways, by every method and every split.

    Parameters
    ----------
    imaged : ImagedCompounds
    held_out : sequence of HeldOutTowers
        From :func:`~screenbook.structure.held_out_towers.train_held_out`.
    n_draws : int
        Resamples and permutations.
    seed : int

    Returns
    -------
    summary : DataFrame
        ``rule direction method metric n value low high chance p``: the mean over queries (the
        median of ``rank``), 95 % of resamples of whole scaffolds, what a random order gives,
        and for ``reciprocal_rank`` the share of permutations that do as well, in which
        compounds of a fold swap their molecules.
    queries : DataFrame
        One row per compound, direction, method and rule: ``rule direction method compound_key
        compound moa scaffold fold n_candidates first`` (the compound ranked first; ``""`` where
        several tie) and the metrics. ``same_mechanism@1`` is missing without a mechanism.
    """
    columns = ["rule", "direction", "method"]
    tables, parts = [], []
    for towers in held_out:
        for method, fits in _scores(imaged, towers).items():
            for direction, fit in zip((IMAGE_TO_MOLECULE, MOLECULE_TO_IMAGE), fits, strict=True):
                name = dict(zip(columns, (towers.rule, direction, method), strict=True))
                asked = _ask(imaged, fit, towers.fold)
                part = _summary(asked, n_draws, seed).assign(p=np.nan, **name)
                p = _swap_test(fit, towers.fold, n_draws, seed)
                part.loc[part["metric"] == "reciprocal_rank", "p"] = p
                tables.append(asked.assign(**name))
                parts.append(part)
    queries = pd.concat(tables, ignore_index=True)
    queries = queries[columns + [c for c in queries if c not in columns]]
    summary = pd.concat(parts, ignore_index=True)
    chance = summary[summary["method"] == "random"].set_index(["rule", "direction", "metric"])
    at = pd.MultiIndex.from_frame(summary[["rule", "direction", "metric"]])
    summary["chance"] = chance["value"].reindex(at).to_numpy()
    return summary[[*columns, "metric", "n", "value", "low", "high", "chance", "p"]], queries


def _scores(imaged: ImagedCompounds, towers: HeldOutTowers) -> dict[str, Scores]:
    """Scores of all pairs of a fold by each method, both ways, (c, c); elsewhere missing."""
    c = len(imaged.table)
    methods = [*BASELINES, *(f"towers, {encoder}" for encoder in towers.models)]
    found = {name: (np.full((c, c), np.nan), np.full((c, c), np.nan)) for name in methods}
    for k in range(int(towers.fold.max()) + 1):
        ask = Asked(imaged, np.flatnonzero(towers.fold != k), np.flatnonzero(towers.fold == k))
        block = np.ix_(ask.asked, ask.asked)
        fits = {name: score(ask) for name, score in BASELINES.items()}
        fits |= {f"towers, {e}": by_towers(models[k], ask) for e, models in towers.models.items()}
        for name, both in fits.items():
            for whole, part in zip(found[name], both, strict=True):
                whole[block] = part
    return found


def _ask(imaged: ImagedCompounds, fit: np.ndarray, fold: np.ndarray) -> pd.DataFrame:
    """Metrics of each query."""
    table = imaged.table
    pool = fold[:, None] == fold[None]
    own = np.where(np.eye(len(fold), dtype=bool), SAME_PARENT, 0)
    metrics = score_rankings(fit, np.where(pool, own, NOT_IN_POOL), ks=KS)
    out = table[["compound_key", "compound", "moa", "scaffold"]].assign(
        fold=fold, n_candidates=metrics["n_candidates"], first=_first(fit, pool, table["compound"])
    )
    for k in KS:
        out[f"hit@{k}"] = metrics[f"hit@{k}"]
    out["reciprocal_rank"], out["rank"] = metrics["own_reciprocal_rank"], metrics["own_rank"]
    for column, name in (("scaffold", "same_scaffold@1"), ("moa", "same_mechanism@1")):
        values = table[column].to_numpy(dtype=object)
        same = (values[:, None] == values[None]) & (values != "")[:, None]
        if column == "scaffold":
            same |= own > 0  # an acyclic compound has no scaffold but is itself
        grade = np.where(pool, same, NOT_IN_POOL).astype(int)
        out[name] = score_rankings(fit, grade, ks=(1,))["precision@1"]
    return out


def _first(fit: np.ndarray, pool: np.ndarray, names: pd.Series) -> np.ndarray:
    value = np.where(pool & ~np.isnan(fit), fit, -np.inf)
    best = value.max(axis=1, keepdims=True)
    alone = (value == best).sum(axis=1) == 1
    return np.where(alone, names.to_numpy(dtype=object)[value.argmax(axis=1)], "")


def _summary(queries: pd.DataFrame, n_draws: int, seed: int) -> pd.DataFrame:
    scaffold = queries["scaffold"].to_numpy(dtype=str)
    values = queries[list(METRICS)]
    table = summarise(values, scaffold, n_draws=n_draws, seed=seed)
    table = table.rename(columns={"mean": "value"})
    ranks = values["rank"].to_numpy()
    at = table.index[table["metric"] == "rank"][0]
    weight = resampled_units(scaffold, n_draws, seed)
    table.loc[at, "value"] = np.median(ranks)
    table.loc[at, ["low", "high"]] = np.quantile(_medians(ranks, weight), [0.025, 0.975])
    return table


def _medians(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Median of values that stand in each resample as often as their weight says, (b,)."""
    order = np.argsort(values)
    reached = np.cumsum(weight[:, order], axis=1)
    half = reached[:, -1:] / 2
    low, high = ((reached >= at).argmax(axis=1) for at in (half, np.floor(half) + 1))
    return np.asarray((values[order][low] + values[order][high]) / 2)


def _swap_test(fit: np.ndarray, fold: np.ndarray, n_draws: int, seed: int) -> float:
    """Permutation p of the mean reciprocal rank: queries of a fold swap their own ones."""
    rng = np.random.default_rng(seed)
    found, null = 0.0, np.zeros(n_draws)
    for k in np.unique(fold):
        rows = np.flatnonzero(fold == k)
        gain = _reciprocal_ranks(fit[np.ix_(rows, rows)])
        found += float(np.trace(gain))
        order = np.argsort(rng.random((n_draws, len(rows))), axis=1)
        null += gain[np.arange(len(rows)), order].sum(axis=1)
    return cross_validated_p(found, null)


def _reciprocal_ranks(fit: np.ndarray) -> np.ndarray:
    """Expect 1 / rank of every candidate of each query over random orders of ties."""
    value = -np.where(np.isnan(fit), -np.inf, fit)
    low = rankdata(value, method="min", axis=1).astype(int)
    high = rankdata(value, method="max", axis=1).astype(int)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, fit.shape[1] + 1))])
    return np.asarray((harmonic[high] - harmonic[low - 1]) / (high - low + 1))
