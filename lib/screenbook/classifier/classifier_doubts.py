"""What a classifier may have learned beside the disease, and what a careless one reports.

`what_drives` asks what explains the scores among wells that ought to be alike. `original_scheme`
repeats the training of the first public analysis of RxRx19a, as a warning: all treated wells
labelled infected, sites split at random, profiles centred on the disease condition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.classifier.classifier_metrics import permute_within, weighted_auc
from screenbook.classifier.classifier_net import NetSettings, train_nets
from screenbook.profiles.batches import column_codes
from screenbook.profiles.reduce import principal_components

_COUNT = re.compile(r"cell.?count|count.?cells|n_cells|nuclei.?count|count.?nuclei", re.IGNORECASE)


def explained_share(values: np.ndarray, codes: np.ndarray) -> float:
    """Share of the variance of values (n,) that lies between groups (n,), 0 to 1."""
    away = values - values.mean()
    total = float(away @ away)
    if total == 0:
        return 0.0
    size = np.bincount(codes)
    sums = np.bincount(codes, away)
    return float((sums**2 / np.maximum(size, 1)).sum() / total)


def what_drives(
    score: np.ndarray,
    factors: Mapping[str, np.ndarray],
    plates: np.ndarray,
    *,
    n_permutations: int = 199,
    seed: int = 0,
) -> pd.DataFrame:
    """Ask of each factor which share of the variance of the scores it explains.

    Parameters
    ----------
    score : ndarray, shape (n,)
        Log odds of wells of one role.
    factors : mapping of str to ndarray, shape (n,)
        Whole numbers are groups; other numbers are ranked, cut into ten groups of equal size.
        NaN leaves a well out.
    plates : ndarray of int, shape (n,)
        A factor that varies within plates is asked about the scores less their plate's mean,
        and wells are permuted within plates; one that does not (``plate``, ``experiment``)
        about the scores as they are, and is permuted among all wells.
    n_permutations, seed : int

    Returns
    -------
    DataFrame
        ``factor``, ``share`` (0 to 1), ``null`` and ``null_high`` (mean and 95th percentile
        under permutation: many groups explain something by chance), ``p``, ``n``, ``groups``.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for name, values in factors.items():
        known = np.isfinite(values)
        if known.sum() < 10:
            continue
        codes, plate = _groups(values[known]), np.unique(plates[known], return_inverse=True)[1]
        if codes.max() == 0:
            continue
        y = score[known].astype(np.float64)
        of_plate = all(len(np.unique(codes[plate == p])) == 1 for p in range(plate.max() + 1))
        if of_plate:
            strata = np.zeros_like(plate)
        else:
            y, strata = y - (np.bincount(plate, y) / np.bincount(plate))[plate], plate
        found = explained_share(y, codes)
        null = np.array(
            [explained_share(permute_within(y, strata, rng), codes) for _ in range(n_permutations)]
        )
        p = (1 + (null >= found - 1e-12).sum()) / (1 + n_permutations)
        null_high = float(np.quantile(null, 0.95))
        row = {"factor": name, "share": found, "null": float(null.mean()), "null_high": null_high}
        rows.append(row | {"p": float(p), "n": int(known.sum()), "groups": int(codes.max()) + 1})
    columns = ["factor", "share", "null", "null_high", "p", "n", "groups"]
    return pd.DataFrame(rows, columns=columns)


def well_factors(obs: pd.DataFrame, distance: np.ndarray) -> dict[str, np.ndarray]:
    """Gather what might drive a classifier, for :func:`what_drives`.

    Parameters
    ----------
    obs : DataFrame, n rows
        ``batch experiment row column compound_key treatment_conc`` of wells of one role.
    distance : ndarray, shape (n,)
        Distance of each well from all controls.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        ``plate experiment row column edge``, ``distance from controls``, and for treated
        wells ``dose`` and ``compound``.
    """
    codes = {
        name: pd.factorize(obs[column].astype(str))[0]
        for name, column in (("plate", "batch"), ("experiment", "experiment"))
    }
    row, column = obs["row"].to_numpy(dtype=float), obs["column"].to_numpy(dtype=float)
    on_plate = (row >= 0) & (column >= 0)
    row, column = np.where(on_plate, row, np.nan), np.where(on_plate, column, np.nan)
    factors: dict[str, np.ndarray] = {name: code.astype(np.int64) for name, code in codes.items()}
    if on_plate.all():
        edge = (
            (row == row.min())
            | (row == row.max())
            | (column == column.min())
            | (column == column.max())
        )
        factors |= {"row": row.astype(int), "column": column.astype(int), "edge": edge.astype(int)}
    factors["distance from controls"] = distance.astype(float)
    if (obs["compound_key"].astype(str) != "").any():
        doses = obs["treatment_conc"].to_numpy(dtype=float)
        if np.isfinite(doses).all():
            factors["dose"] = np.unique(doses, return_inverse=True)[1]
        factors["compound"] = pd.factorize(obs["compound_key"].astype(str))[0]
    return factors


def cell_counts(features: Sequence[str], X: np.ndarray) -> np.ndarray | None:
    """Return the feature that counts cells (n,), if one's name says so; embeddings have none."""
    found = [i for i, name in enumerate(features) if _COUNT.search(name)]
    return np.asarray(X[:, found[0]], dtype=float) if found else None


@dataclass(frozen=True)
class OriginalScheme:
    """What the first public analysis's way of training reports, and what it is worth.

    Attributes
    ----------
    table : DataFrame
        One row for each way: ``scheme`` (in words), ``condition`` (centred on it, bool),
        ``learned`` (all wells, or controls), ``split`` (sites or plates), ``asked`` (all, or
        controls), ``auc``, ``n``.
    p : ndarray of float64, shape (n,)
        Score of each row by the original's net, from the random split.
    """

    table: pd.DataFrame
    p: np.ndarray


_SCHEMES = (
    ("the original, as it would be reported", True, "all", "rows", "all"),
    ("the original, asked about controls", True, "all", "rows", "controls"),
    ("… and about controls of plates not seen", True, "all", "plates", "controls"),
    ("not centred on the condition, random split", False, "all", "rows", "controls"),
    ("… and plates not seen", False, "all", "plates", "controls"),
    ("… and learned from controls only", False, "controls", "plates", "controls"),
)


def original_scheme(
    X: np.ndarray, obs: pd.DataFrame, *, n_components: int = 50, n_folds: int = 3, seed: int = 0
) -> OriginalScheme:
    """Train as the first public analysis did, and mend it step by step.

    Parameters
    ----------
    X : ndarray of float32, shape (n, n_features)
        Sites (or wells) of one cell type, as they came.
    obs : DataFrame, n rows
        ``experiment batch site disease_condition role``.
    n_components : int
        Principal components that the net is given.
    n_folds, seed : int

    Returns
    -------
    OriginalScheme
    """
    role = obs["role"].astype(str).to_numpy()
    healthy = np.isin(role, ("healthy", "treated_healthy")).astype(int)
    control = np.isin(role, ("healthy", "diseased"))
    plate = column_codes(obs, "batch")[0]
    rng = np.random.default_rng(seed)
    folds = {
        "rows": rng.permutation(len(obs)) % n_folds,
        "plates": (rng.permutation(plate.max() + 1) % n_folds)[plate],
    }
    keys = ["experiment", *["site"] * (len(set(obs["site"])) > 1), "batch"]
    profiles = {
        condition: _in_sequence(X, obs, [*keys, *["disease_condition"] * condition], n_components)
        for condition in (True, False)
    }
    scores: dict[tuple[bool, str, str], np.ndarray] = {}
    rows = []
    for scheme, condition, learned, split, asked in _SCHEMES:
        way = (condition, learned, split)
        if way not in scores:
            teach = control if learned == "controls" else np.ones(len(obs), dtype=bool)
            scores[way] = _cross_validated(profiles[condition], healthy, teach, folds[split], seed)
        some = control if asked == "controls" else np.ones(len(obs), dtype=bool)
        auc = weighted_auc(scores[way][some], healthy[some], np.ones((1, int(some.sum()))))[0]
        row = {"scheme": scheme, "condition": condition, "learned": learned, "split": split}
        rows.append(row | {"asked": asked, "auc": float(auc), "n": int(some.sum())})
    return OriginalScheme(pd.DataFrame(rows), scores[True, "all", "rows"])


def sample_wells(obs: pd.DataFrame, at_most: int, seed: int) -> np.ndarray:
    """Rows of a random choice of wells, whole wells each, blank ones left out; sorted.

    Parameters
    ----------
    obs : DataFrame
        ``batch well role``, one row a site or a well.
    at_most : int
        Rows, about.
    seed : int
    """
    rows = np.flatnonzero((obs["role"].astype(str) != "blank").to_numpy())
    well = obs.iloc[rows].groupby(["batch", "well"], observed=True, sort=False).ngroup().to_numpy()
    n_wells = int(well.max()) + 1
    keep = max(round(n_wells * at_most / len(rows)), 1)
    if keep >= n_wells:
        return rows
    chosen = np.random.default_rng(seed).choice(n_wells, keep, replace=False)
    return rows[np.isin(well, chosen)]


def _cross_validated(
    points: np.ndarray, label: np.ndarray, teach: np.ndarray, fold: np.ndarray, seed: int
) -> np.ndarray:
    """Score each row by a net that learned from other folds, stopped by a tenth of their rows."""
    rows = np.flatnonzero(teach)
    others = fold[rows] != np.arange(fold.max() + 1)[:, None]  # (f, taught)
    tenth = np.random.default_rng(seed).random(len(rows)) < 0.1
    learn, stop = ((others & part)[:, None] for part in (~tenth, tenth))
    nets = train_nets(points[rows], label[rows], learn, stop, [seed], NetSettings())
    out = np.empty(len(points))
    for f in range(fold.max() + 1):
        out[fold == f] = nets.log_odds(f, points[fold == f])[0]
    return out


def _in_sequence(
    X: np.ndarray, obs: pd.DataFrame, keys: Sequence[str], n_components: int
) -> np.ndarray:
    """Components after the mean of each group of each column was taken off, one after another."""
    left = X.astype(np.float32, copy=True)
    for key in keys:
        codes = column_codes(obs, key)[0]
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        means = np.add.reduceat(left[order], starts, axis=0) / np.bincount(codes)[:, None]
        left -= means[codes]
    axes = principal_components(left, most=n_components, share=1.0)
    return np.asarray(axes.scores(left), dtype=np.float64)


def _groups(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "iu":
        return np.unique(values, return_inverse=True)[1]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, 11)[1:-1]))
    return np.unique(np.searchsorted(edges, values), return_inverse=True)[1]
