"""Does it matter where on the plate a well stands? Row, column and edge effects.

A score is taken about the mean of its plate and role, so that neither batch nor the places of
the controls look like a position effect. Plates with one and the same layout repeat every
compound in its place; there a position cannot be told from its compound by more plates, so such
plates are averaged before anything is tested.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import f as f_distribution
from scipy.stats import false_discovery_control

from screenbook.profiles.robust import middle_and_spread

EFFECTS = ("row", "column", "edge")

EFFECT_COLUMNS = {
    "cell_type": "cell type",
    "among": "wells tested: all, or controls alone",
    "score": "score; pooled: the principal components together",
    "effect": "row, column or edge (the outermost ring in use)",
    "share": "share of the variance between wells of a plate and role, beyond permuted positions",
    "size": "edge: edge less inner wells; row, column: range of their means; in SD between wells",
    "p": "permutation p, one-sided",
    "q": "Benjamini-Hochberg over the tests of a cell type and choice of wells",
    "wells": "wells, count",
    "layouts": "independent layouts (plates, among controls), count",
}
"""What the columns of :func:`position_effects` hold, and the two that tell tests apart."""


def position_residuals(scores: np.ndarray, wells: pd.DataFrame) -> np.ndarray:
    """Scores about the mean of their plate and role, winsorised at four robust SD.

    Winsorising keeps a few strong compounds from deciding the mean of a row.

    Parameters
    ----------
    scores : ndarray, shape (n_wells, n_scores)
        One column per score.
    wells : DataFrame
        ``batch`` and ``role`` of the wells.

    Returns
    -------
    ndarray of float64, shape (n_wells, n_scores)
    """
    frame = pd.DataFrame(np.asarray(scores, dtype=np.float64))
    groups = _codes(wells, ["batch", "role"])
    middle, spread = middle_and_spread(frame, groups)
    limits = (middle - 4 * spread).to_numpy(), (middle + 4 * spread).to_numpy()
    clipped = pd.DataFrame(np.clip(frame.to_numpy(), *limits))
    return (clipped - clipped.groupby(groups).transform("mean")).to_numpy()


def layout_of(wells: pd.DataFrame) -> np.ndarray:
    """Tell plate layouts apart: plates with the same treatments in the same wells share one.

    Returns
    -------
    ndarray of int, shape (n_wells,)
        Layout of each well's plate, from 0 in the order of first appearance.
    """
    content = wells["well"].astype(str) + "\t" + wells["role"].astype(str)
    content += "\t" + wells["compound_key"].astype(str) + "\t" + wells["treatment_conc"].astype(str)
    hashed = pd.Series(pd.util.hash_array(content.to_numpy(dtype=object)), index=wells.index)
    # A sum of hashes does not depend on the order of the rows.
    signature = hashed.groupby(wells["batch"].astype(str)).transform("sum")
    return pd.factorize(signature)[0]


def is_edge(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Whether a well lies in the outermost ring of the wells in use."""
    return (
        (row == row.min())
        | (row == row.max())
        | (column == column.min())
        | (column == column.max())
    )


def screen_position_effects(
    scores: pd.DataFrame,
    wells: pd.DataFrame,
    controls: Sequence[str],
    *,
    pooled: Sequence[str],
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Apply :func:`position_effects` to each cell type: to all its wells, and to controls alone.

    Among all wells a row may owe its mean to the compounds that stand in it; among controls it
    cannot. Plates of one layout are averaged for the first test and not for the second.

    Parameters
    ----------
    scores, wells, pooled, n_permutations, seed
        As in :func:`position_effects`; `wells` has ``cell_type`` too.
    controls : sequence of str
        Roles of the control wells.

    Returns
    -------
    DataFrame
        See :data:`EFFECT_COLUMNS`.
    """
    control = wells["role"].astype(str).isin(controls).to_numpy()
    tables = []
    for cell_type in dict.fromkeys(wells["cell_type"]):
        mine = (wells["cell_type"] == cell_type).to_numpy()
        for among, chosen in (("all", mine), ("controls", mine & control)):
            found = position_effects(
                scores[chosen],
                wells[chosen],
                pooled=pooled,
                average_layouts=among == "all",
                n_permutations=n_permutations,
                seed=seed,
            )
            tables.append(found.assign(cell_type=cell_type, among=among))
    return pd.concat(tables, ignore_index=True)[list(EFFECT_COLUMNS)]


def position_effects(
    scores: pd.DataFrame,
    wells: pd.DataFrame,
    *,
    pooled: Sequence[str] = (),
    average_layouts: bool = True,
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Test whether row, column and edge matter, by permuting wells within layout and role.

    Parameters
    ----------
    scores : DataFrame, shape (n_wells, n_scores)
        Scores of the wells of one cell type, NaN where a well has none (it is then left out);
        names as columns. A score that no well has is not tested.
    wells : DataFrame
        Their metadata: ``batch role row column well compound_key treatment_conc``.
    pooled : sequence of str, optional
        Scores (principal components) that are tested together too, under the name
        ``"pooled"``: the mean of their shares, which is the share of their summed variance
        after giving each unit variance, as in a permutational MANOVA.
    average_layouts : bool, optional
        Average plates of one layout before testing. Turn it off for control wells alone:
        they are all alike, so more plates do tell more about a position.
    n_permutations : int
        Permutations; the least p is 1 / (n_permutations + 1).
    seed : int
        Of the permutations.

    Returns
    -------
    DataFrame
        One row per score and effect: ``score``, ``effect``, ``share`` (of the variance between
        wells of a plate and role that the effect explains, less what permuted positions
        explain on average, not below 0), ``size`` (edge: mean of edge wells less that of
        inner wells; row and column: robust range of their means; in standard deviations
        between wells; NaN for ``"pooled"``), ``p`` (one-sided, with the observed layout counted
        as one permutation), ``q`` (Benjamini-Hochberg over the rows of this table), ``wells``,
        ``layouts``.
        Empty where no well has a plate address.
    """
    scores = scores.loc[:, scores.notna().any()]
    used = (wells["row"].to_numpy() >= 0) & scores.notna().all(axis=1).to_numpy()
    layout = (layout_of if average_layouts else _plate_numbers)(wells[used])
    values, place = _average(scores[used], wells[used], layout)
    columns = ["score", "effect", "share", "size", "p", "q", "wells", "layouts"]
    if len(place) < 3:
        return pd.DataFrame(columns=columns)
    values -= values.mean(axis=0)
    variance = values.var(axis=0)
    values /= np.sqrt(np.where(variance > 0, variance, 1.0))
    together = scores.columns.isin(pooled)
    groups = {
        "row": place["row"].to_numpy(),
        "column": place["column"].to_numpy(),
        "edge": is_edge(place["row"].to_numpy(), place["column"].to_numpy()).astype(int),
    }
    means = {effect: _group_means(codes) for effect, codes in groups.items()}
    strata = _codes(place, ["layout", "role"])
    rng = np.random.default_rng(seed)
    observed = np.stack([_explained(means[e], values, together) for e in EFFECTS])
    null = np.empty((n_permutations, *observed.shape))
    home = np.argsort(strata, kind="stable")
    for i in range(n_permutations):
        moved = np.empty_like(values)
        moved[home] = values[np.lexsort((rng.random(len(strata)), strata))]
        null[i] = [_explained(means[e], moved, together) for e in EFFECTS]
    p = (1 + (null >= observed * (1 - 1e-12)).sum(axis=0)) / (1 + n_permutations)
    share = np.clip(observed - null.mean(axis=0), 0, None)
    names = ["pooled", *scores.columns] if together.any() else list(scores.columns)
    columns_of = [None, *values.T] if together.any() else list(values.T)
    rows = [
        (name, effect, share[e, s], _size(means[effect], value, effect), p[e, s])
        for s, (name, value) in enumerate(zip(names, columns_of, strict=True))
        for e, effect in enumerate(EFFECTS)
    ]
    out = pd.DataFrame(rows, columns=columns[:5])
    out["q"] = false_discovery_control(out["p"])
    out["wells"], out["layouts"] = int(used.sum()), place["layout"].nunique()
    return out[columns]


def plate_gradients(score: np.ndarray, wells: pd.DataFrame) -> pd.DataFrame:
    """Fit a plane to a score on each plate, to see whether its sides differ.

    Parameters
    ----------
    score : ndarray, shape (n_wells,)
        One score; NaN where a well has none.
    wells : DataFrame
        Metadata: ``batch role row column``.

    Returns
    -------
    DataFrame
        One row per plate: ``batch``, ``tilt`` (difference of the fitted plane between its
        highest and its lowest well, in units of the score), ``tilt_share`` (R² of the plane),
        ``tilt_p`` (F test of the plane against a flat plate, on winsorised residuals) and
        ``tilt_q`` (Benjamini-Hochberg over plates). A plate with too few placed wells for the
        test is left out.
    """
    used = (wells["row"].to_numpy() >= 0) & np.isfinite(score)
    kept = wells[used]
    residual = position_residuals(score[used, None], kept)[:, 0]
    rows = []
    for batch, index in kept.groupby("batch", observed=True, sort=False).indices.items():
        place = kept[["row", "column"]].to_numpy(dtype=float)[index]
        place -= place.mean(axis=0)
        rank = np.linalg.matrix_rank(place)
        freedom = len(index) - rank - kept["role"].iloc[index].nunique()
        value = residual[index]
        total = float(value @ value)
        if rank == 0 or freedom < 3 or total == 0:
            continue
        plane = place @ np.linalg.lstsq(place, value, rcond=None)[0]
        share = float(plane @ plane) / total
        p = f_distribution.sf(share / rank / ((1 - share) / freedom), rank, freedom)
        rows.append((str(batch), float(np.ptp(plane)), share, float(p)))
    out = pd.DataFrame(rows, columns=["batch", "tilt", "tilt_share", "tilt_p"])
    out["tilt_q"] = false_discovery_control(out["tilt_p"]) if len(out) else out["tilt_p"]
    return out


def control_places(wells: pd.DataFrame, roles: Sequence[str]) -> dict[str, pd.DataFrame]:
    """On how many plates each position holds a well of a role.

    Returns
    -------
    dict of str to DataFrame
        Role to ``row``, ``column``, ``share`` (of the screen's plates, 0 to 1), for every
        position that is used on any plate; roles without a placed well are left out.
    """
    placed = wells[wells["row"] >= 0]
    used = placed.groupby(["row", "column"], observed=True).size().index
    out = {}
    for role in roles:
        some = placed[placed["role"].astype(str) == role]
        if len(some):
            plates = some.groupby(["row", "column"], observed=True)["batch"].nunique()
            share = plates.reindex(used, fill_value=0) / placed["batch"].nunique()
            out[role] = share.rename("share").reset_index()
    return out


def position_maps(score: np.ndarray, wells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Apply :func:`position_map` to each cell type that has a placed and scored well."""
    indices = wells.groupby("cell_type", observed=True, sort=False).indices
    maps = {str(c): position_map(score[i], wells.iloc[i]) for c, i in indices.items()}
    return {cell_type: table for cell_type, table in maps.items() if len(table)}


def position_map(score: np.ndarray, wells: pd.DataFrame) -> pd.DataFrame:
    """Mean residual of a score at every plate position.

    Returns
    -------
    DataFrame
        ``row``, ``column`` (from 0), ``mean`` (in standard deviations between wells of a
        plate and role), ``n`` (wells), sorted by position.
    """
    used = (wells["row"].to_numpy() >= 0) & np.isfinite(score)
    kept = wells[used]
    residual = position_residuals(score[used, None], kept)[:, 0]
    if len(kept):
        residual = residual / (residual.std() or 1.0)
    frame = kept[["row", "column"]].assign(value=residual)
    grouped = frame.groupby(["row", "column"], observed=True)["value"]
    return grouped.agg(mean="mean", n="size").reset_index()


def _plate_numbers(wells: pd.DataFrame) -> np.ndarray:
    return pd.factorize(wells["batch"].astype(str))[0]


def _average(
    scores: pd.DataFrame, wells: pd.DataFrame, layout: np.ndarray
) -> tuple[np.ndarray, pd.DataFrame]:
    """Residuals averaged over the plates of a layout: values and their places."""
    residuals = position_residuals(scores.to_numpy(), wells)
    place = pd.DataFrame(
        {
            "layout": layout,
            "role": wells["role"].astype(str).to_numpy(),
            "row": wells["row"].to_numpy(),
            "column": wells["column"].to_numpy(),
        }
    )
    codes = _codes(place, list(place.columns))
    mean = _group_means(codes) @ residuals
    first = np.unique(codes, return_index=True)[1]
    return mean, place.iloc[first].reset_index(drop=True)


def _codes(frame: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """One number from 0 per combination of values that occurs."""
    return frame.groupby(columns, observed=True, sort=True).ngroup().to_numpy()


def _group_means(codes: np.ndarray) -> sparse.csr_matrix:
    """Matrix (n_groups, n) that averages values over groups; groups without a member are none."""
    _, dense, counts = np.unique(codes, return_inverse=True, return_counts=True)
    n = len(codes)
    return sparse.csr_matrix((1 / counts[dense], (dense, np.arange(n))), shape=(len(counts), n))


def _explained(means: sparse.csr_matrix, values: np.ndarray, together: np.ndarray) -> np.ndarray:
    """Share of variance between the groups of `means`: of scores `together`, then of each."""
    shares = np.diff(means.indptr) @ (means @ values) ** 2 / values.shape[0]
    return np.concatenate([[shares[together].mean()] if together.any() else [], shares])


def _size(means: sparse.csr_matrix, values: np.ndarray | None, effect: str) -> float:
    if values is None:
        return float("nan")
    group_means = means @ values
    if effect == "edge":
        return float(group_means[-1] - group_means[0]) if len(group_means) == 2 else 0.0
    return float(np.subtract(*np.quantile(group_means, [0.95, 0.05])))
