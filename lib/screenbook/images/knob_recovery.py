"""How well an embedding tells each knob of a simulation: ridge regression, experiments held out.

On simulated images it is known how large nuclei are and how far the lens is out of focus. A good
embedding tells the first and not the second. The knobs come as a table; what made them is not
known here, and any measured table (a segmentation's, say) does as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from scipy.stats import t

from screenbook.errors import InputError
from screenbook.images.splits import Split

PENALTIES = tuple(10.0**p for p in range(-1, 6))
"""Ridge penalties that are tried on training experiments, for features of SD 1."""

WITHIN, BETWEEN = "within batches", "between batches"


def knob_recovery(
    embedding: np.ndarray,
    knobs: pd.DataFrame,
    obs: pd.DataFrame,
    split: Split | None = None,
    *,
    n_folds: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Predict every knob from an embedding, on experiments that the regression did not see.

    Parameters
    ----------
    embedding : ndarray, shape (n, d)
        Features of fields.
    knobs : DataFrame, n rows
        One knob a column. A column that does not vary is left out.
    obs : DataFrame, n rows
        With ``experiment`` and ``batch``.
    split : Split, optional
        Learn from training and ask of test experiments. By default every experiment is asked in
        turn, in `n_folds` folds: what varies between batches only has no more values than there
        are batches, and four of them tell next to nothing.
    n_folds : int
        Also of the choice of the penalty, among training experiments.
    seed : int
        Of the folds.

    Returns
    -------
    DataFrame
        One row per knob: ``knob varies r2 low high r2_within n n_experiments``. ``varies`` is
        :data:`WITHIN` or :data:`BETWEEN`; ``r2`` is that of held-out experiments about their own
        mean (0: no better than the mean; below 0: worse), its 95 % interval a jackknife over
        experiments; ``r2_within`` compares fields of one batch with each other only (NaN for
        knobs that do not vary there).

    Raises
    ------
    InputError
        If a knob has a missing value, or there are fewer than three experiments.
    """
    if len(knobs) != len(embedding) or len(obs) != len(embedding):
        raise ValueError(f"{len(knobs)} rows of knobs and {len(obs)} for {len(embedding)} fields")
    values = knobs.to_numpy(dtype=np.float64)
    experiment = pd.factorize(obs["experiment"].astype(str), sort=True)[0]
    kept = _varying(knobs.columns, values, experiment)
    values, names = values[:, kept], knobs.columns[kept].astype(str)
    if split is not None:
        parts = [(np.flatnonzero(split.train), np.flatnonzero(split.test))]
    else:
        parts = list(_folds(experiment, n_folds, seed))
    told = np.full(values.shape, np.nan)
    points = np.asarray(embedding, dtype=np.float64)
    for train, test in parts:
        told[test] = _ridge(points, values, train, test, experiment, n_folds, seed)
    asked = np.isfinite(told).all(axis=1)
    batch = pd.factorize(obs["batch"].astype(str))[0]
    return _scores(names, values[asked], told[asked], experiment[asked], batch[asked])


def knob_tables(
    recoveries: Mapping[str, pd.DataFrame], value: str = "r2"
) -> dict[str, pd.DataFrame]:
    """Set embeddings side by side.

    Parameters
    ----------
    recoveries : mapping of str to DataFrame
        Name of an embedding to what :func:`knob_recovery` gave for it.
    value : str
        Column that is shown.

    Returns
    -------
    dict of str to DataFrame
        :data:`WITHIN` and :data:`BETWEEN` to a table: knobs are rows, embeddings columns.
    """
    long = pd.concat([table.assign(embedding=name) for name, table in recoveries.items()])
    out = {}
    for varies in (WITHIN, BETWEEN):
        mine = long[long["varies"] == varies]
        wide = mine.pivot_table(index="knob", columns="embedding", values=value, sort=False)
        out[varies] = wide.reindex(columns=[name for name in recoveries if name in wide])
    return out


def _varying(names: pd.Index, values: np.ndarray, experiment: np.ndarray) -> np.ndarray:
    """Check the knobs, and find those that vary at all: bool (n_knobs,)."""
    bad = ~np.isfinite(values).all(axis=0)
    if bad.any():
        raise InputError(f"knob {str(names[bad][0])!r} has a missing value: drop the column")
    if len(np.unique(experiment)) < 3:
        raise InputError("column experiment: knobs can be asked with three experiments or more")
    return values.std(axis=0) > 1e-9 * np.maximum(np.abs(values).max(axis=0), 1e-300)


def _folds(
    experiment: np.ndarray, n_folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to learn from and to ask, whole experiments in each fold."""
    names = np.random.default_rng(seed).permutation(np.unique(experiment))
    for part in np.array_split(names, min(n_folds, len(names))):
        asked = np.isin(experiment, part)
        yield np.flatnonzero(~asked), np.flatnonzero(asked)


def _ridge(
    points: np.ndarray,
    values: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    experiment: np.ndarray,
    n_folds: int,
    seed: int,
) -> np.ndarray:
    """Predict all knobs of the test rows, each by the penalty that was best on training rows."""
    error = np.zeros((len(PENALTIES), values.shape[1]))
    for inner, asked in _folds(experiment[train], n_folds, seed + 1):
        guess = _solve(points[train[inner]], values[train[inner]], points[train[asked]])
        error += ((guess - values[train[asked]]) ** 2).sum(axis=1)
    guess = _solve(points[train], values[train], points[test])
    return np.take_along_axis(guess, error.argmin(axis=0)[None, None, :], axis=0)[0]


def _solve(train: np.ndarray, values: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Ridge predictions for every penalty, (penalty, n_test, n_knobs)."""
    mean, sd = train.mean(axis=0), train.std(axis=0)
    sd = np.where(sd > 1e-9 * np.maximum(np.abs(mean), 1e-300), sd, np.inf)
    middle = values.mean(axis=0)
    size, axes = np.linalg.eigh(((train - mean) / sd).T @ ((train - mean) / sd))
    along = axes.T @ (((train - mean) / sd).T @ (values - middle))  # (d, n_knobs)
    turned = ((test - mean) / sd) @ axes  # (n_test, d)
    rates = 1 / (np.maximum(size, 0) + np.asarray(PENALTIES)[:, None])  # (penalty, d)
    return middle + np.stack([turned @ (rate[:, None] * along) for rate in rates])


def _scores(
    names: pd.Index, truth: np.ndarray, told: np.ndarray, experiment: np.ndarray, batch: np.ndarray
) -> pd.DataFrame:
    groups = np.unique(experiment)
    sums = np.stack([_sums(truth[experiment == g], told[experiment == g]) for g in groups])
    whole = _r2(sums.sum(axis=0))
    n = len(groups)
    low = high = np.full(len(names), np.nan)
    if n > 2:
        without = np.stack([_r2(sums.sum(axis=0) - one) for one in sums])
        se = np.sqrt((n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
        reach = t.ppf(0.975, n - 1) * se
        low, high = whole - reach, whole + reach
    inner_truth, inner_told = _about_groups(truth, batch), _about_groups(told, batch)
    total, inside = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0), (inner_truth**2).sum(axis=0)
    varies = inside > 1e-6 * total
    error = ((inner_truth - inner_told) ** 2).sum(axis=0)
    return pd.DataFrame(
        {
            "knob": names,
            "varies": np.where(varies, WITHIN, BETWEEN),
            "r2": whole,
            "low": low,
            "high": high,
            "r2_within": np.where(varies, 1 - error / np.maximum(inside, 1e-300), np.nan),
            "n": len(truth),
            "n_experiments": n,
        }
    )


def _sums(truth: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Add up what R² is made of, (4, n_knobs): count, sum, sum of squares, squared error."""
    count = np.full(truth.shape[1], float(len(truth)))
    return np.stack([count, truth.sum(0), (truth**2).sum(0), ((truth - told) ** 2).sum(0)])


def _r2(sums: np.ndarray) -> np.ndarray:
    count, total, squares, error = sums
    spread = squares - total**2 / count
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 1e-9 * squares, 1 - error / spread, np.nan)


def _about_groups(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Values less the mean of their group."""
    code, counts = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, code, values)
    return values - (sums / counts[:, None])[code]
