"""Do compounds that act alike look alike? The numbers behind the dark squares of a heat map.

All distances are cosine distances between compounds, 0 to 2. Chance is what the same compounds
give when their mechanisms are dealt out anew, so sizes of mechanisms, and whatever shape the
cloud of compounds has, are the same in the null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from screenbook.structure.compound_profiles import unit_rows

MEASURES = {
    "ratio": "within mechanisms / between them, mean distance (lower: alike)",
    "silhouette": "silhouette by mechanism (-1 to 1)",
    "nearest": "nearest other compound has the mechanism (0 to 1)",
    "map": "mean average precision of a compound's own mechanism (0 to 1)",
}
"""What :func:`mechanism_measures` gives."""


def cosine_distances(profiles: np.ndarray) -> np.ndarray:
    """Cosine distance of all pairs of rows, (n, n), with a diagonal of zeros."""
    unit = unit_rows(profiles)
    out = np.clip(1 - unit @ unit.T, 0.0, 2.0)
    np.fill_diagonal(out, 0.0)
    return np.asarray(out)


def askable(mechanism: np.ndarray) -> np.ndarray:
    """Find compounds of known mechanism that another compound shares, bool (n,)."""
    names = pd.Series(np.asarray(mechanism, dtype=object))
    return (names.ne("") & names.groupby(names).transform("size").gt(1)).to_numpy()


def mechanism_measures(
    distance: np.ndarray | Sequence[np.ndarray],
    mechanism: np.ndarray,
    *,
    members: Sequence[np.ndarray] | None = None,
    n_permutations: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure how much nearer compounds of one mechanism are, and how often chance does as well.

    Parameters
    ----------
    distance : ndarray, shape (n, n), or a sequence of such
        Between compounds, all of a mechanism that another shares (:func:`askable`). Of several,
        which may come from spaces of their own, the measures are averaged.
    mechanism : ndarray of str, shape (n,)
    members : sequence of ndarray of int, optional
        Which compounds each of several distances is between; by default all.
    n_permutations : int
        Deals of the mechanisms to the compounds.
    seed : int

    Returns
    -------
    DataFrame
        One row for each of :data:`MEASURES`: ``measure title value chance chance_low
        chance_high`` (mean and middle 95 % over the deals), ``p`` (one-sided, (b + 1) / (m + 1)),
        ``n_compounds n_mechanisms``. Empty with fewer than two mechanisms.
    """
    code, names = pd.factorize(np.asarray(mechanism, dtype=object), sort=True)
    if len(names) < 2:
        return pd.DataFrame()
    several = [distance] if isinstance(distance, np.ndarray) else list(distance)
    members = [np.arange(len(code))] * len(several) if members is None else members
    views = [_measures_of(d) for d in several]
    rng = np.random.default_rng(seed)
    deals = [rng.permutation(code) for _ in range(n_permutations)]
    rows = []
    for name in MEASURES:

        def mean(c: np.ndarray, name: str = name) -> float:
            found = [view[name](c[m]) for view, m in zip(views, members, strict=True)]
            return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")

        value, null = mean(code), np.array([mean(c) for c in deals])
        as_good = null <= value + 1e-12 if name == "ratio" else null >= value - 1e-12
        low, high = np.quantile(null, [0.025, 0.975])
        p = (as_good.sum() + 1) / (n_permutations + 1)
        rows.append(
            {
                **{"measure": name, "title": MEASURES[name], "value": value},
                **{"chance": null.mean(), "chance_low": low, "chance_high": high},
                # Where nothing could be measured, nothing is as good, and p would be smallest.
                "p": p if np.isfinite([value, *null]).all() else np.nan,
                **{"n_compounds": len(code), "n_mechanisms": len(names)},
            }
        )
    return pd.DataFrame(rows)


def _measures_of(distance: np.ndarray) -> dict[str, Callable[[np.ndarray], float]]:
    """Give the measures of one matrix, as functions of the groups of its compounds."""
    order = _order_of_others(distance)
    return {
        "ratio": lambda c: _ratio(distance, c),
        "silhouette": lambda c: float(_silhouettes(distance, c).mean()),
        "nearest": lambda c: float((c[order[:, 0]] == c).mean()),
        "map": lambda c: float(_precisions(order, c).mean()),
    }


def mechanism_table(
    distance: np.ndarray, mechanism: np.ndarray, *, null_size: int = 9999, seed: int = 0
) -> pd.DataFrame:
    """Ask every mechanism whether its compounds find each other before all others.

    Parameters
    ----------
    distance, mechanism
        As for :func:`mechanism_measures`.
    null_size : int
        Random groups of the mechanism's size that are asked the same.
    seed : int

    Returns
    -------
    DataFrame
        One row a mechanism, by `map` downwards: ``mechanism n_compounds map`` (mean average
        precision, 0 to 1), ``chance`` (of random groups of that size), ``p`` (share of them as
        good), ``q`` (Benjamini-Hochberg over mechanisms), ``within`` (mean distance),
        ``nearest_other`` (the mechanism at the smallest mean distance), ``to_nearest_other``
        and ``silhouette``.

    References
    ----------
    Kalinin et al. 2025, doi:10.1038/s41467-025-60306-2: average precision of like against
    unlike compounds; `copairs` computes the same, and is the oracle of the tests.
    """
    code, names = pd.factorize(np.asarray(mechanism, dtype=object), sort=True)
    order = _order_of_others(distance)
    precision, silhouette = _precisions(order, code), _silhouettes(distance, code)
    means = _mean_distances(distance, code)
    rng = np.random.default_rng(seed)
    nulls: dict[int, np.ndarray] = {}
    rows = []
    for c, name in enumerate(names):
        mine = code == c
        size = int(mine.sum())
        if size not in nulls:
            nulls[size] = _random_groups(order, size, null_size, rng)
        found = float(precision[mine].mean())
        others = np.where(np.arange(len(names)) == c, np.inf, means[mine].mean(axis=0))
        rows.append(
            {
                **{"mechanism": name, "n_compounds": size, "map": found},
                "chance": nulls[size].mean(),
                "p": ((nulls[size] >= found - 1e-12).sum() + 1) / (null_size + 1),
                "within": means[mine, c].mean(),
                "nearest_other": names[others.argmin()],
                "to_nearest_other": others.min(),
                "silhouette": silhouette[mine].mean(),
            }
        )
    out = pd.DataFrame(rows)
    out.insert(5, "q", false_discovery_control(out["p"]))
    return out.sort_values(["map", "mechanism"], ascending=[False, True]).reset_index(drop=True)


def confusion(neighbours: pd.DataFrame) -> pd.DataFrame:
    """Count which mechanism the nearest treatment of another compound has.

    Parameters
    ----------
    neighbours : DataFrame
        ``MechanismMatch.table`` of :mod:`screenbook.profiles.mechanism`.

    Returns
    -------
    DataFrame
        Share of a mechanism's treatments, rows their own mechanism, columns the neighbour's;
        rows sum to 1 but for treatments without an eligible neighbour.
    """
    table = pd.crosstab(neighbours["mechanism"], neighbours["nsc_mechanism"])
    names = sorted(set(table.index) | (set(table.columns) - {""}))
    n = neighbours["mechanism"].value_counts().reindex(names).fillna(1)
    return table.reindex(index=names, columns=names, fill_value=0).div(n, axis=0)


def _order_of_others(distance: np.ndarray) -> np.ndarray:
    """Other compounds from near to far, (n, n - 1)."""
    apart = distance.copy()
    np.fill_diagonal(apart, np.inf)
    return np.argsort(apart, axis=1, kind="stable")[:, :-1]


def _precisions(order: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Average precision of each compound's own group among all others, (n,)."""
    like = code[order] == code[:, None]
    at = np.arange(1, order.shape[1] + 1)
    found = (np.cumsum(like, axis=1) / at * like).sum(axis=1)
    return np.asarray(found / np.maximum(like.sum(axis=1), 1))


def _random_groups(
    order: np.ndarray, size: int, n_draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Mean average precision of random groups of compounds, (n_draws,)."""
    n = len(order)
    rank = np.empty((n, n), dtype=np.int64)
    np.put_along_axis(rank, order, np.arange(1, n)[None, :].repeat(n, axis=0), axis=1)
    groups = np.argsort(rng.random((n_draws, n)), axis=1)[:, :size]
    ranks = rank[groups[:, :, None], groups[:, None, :]]  # (draw, member, other member)
    np.einsum("dii->di", ranks)[:] = n + 1
    ranks = np.sort(ranks, axis=2)[:, :, :-1]
    return np.asarray((np.arange(1, size) / ranks).mean(axis=(1, 2)))


def _mean_distances(distance: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Mean distance of each compound to each group without itself, (n, g); NaN if alone."""
    member = np.equal.outer(code, np.arange(code.max() + 1)).astype(float)
    others = member.sum(axis=0) - member
    return np.asarray(distance @ member / np.where(others == 0, np.nan, others))


def _silhouettes(distance: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Silhouette of each compound (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7)."""
    means = _mean_distances(distance, code)
    rows = np.arange(len(code))
    own = means[rows, code]
    means[rows, code] = np.inf
    other = np.nanmin(means, axis=1)
    found = (other - own) / np.maximum(np.maximum(other, own), 1e-12)
    return np.asarray(np.nan_to_num(found))  # 0 for a compound that is alone in its group


def _ratio(distance: np.ndarray, code: np.ndarray) -> float:
    """Mean distance within groups over that between them."""
    i, j = np.triu_indices(len(code), 1)
    same = code[i] == code[j]
    pairs = distance[i, j]
    if not same.any() or same.all():
        return float("nan")
    return float(pairs[same].mean() / pairs[~same].mean())
