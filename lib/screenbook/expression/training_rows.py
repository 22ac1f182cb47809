"""What a prediction of expression change is learned from, and means of it by group."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import sparse

from screenbook.errors import InputError

CELL_CAP = 1000
"""Cells beyond which a condition weighs no more: other errors than counting rule there."""

FEWEST_DRUGS = 10
"""Drugs that a dose needs to be a level of its own: a mean over fewer is theirs, not the dose's."""

_NEEDED = ("compound_key", "cell_line", "dose", "moa", "n_cells")


@dataclass(frozen=True)
class TrainingRows:
    """Conditions that a prediction is learned from.

    Attributes
    ----------
    delta : ndarray, shape (n, n_genes)
        Expression change against matched controls.
    obs : DataFrame, n rows
        ``compound_key``, ``cell_line``, ``dose`` (uM), ``moa`` (``""`` if unknown) and
        ``n_cells`` (NaN if unknown).
    fingerprints : DataFrame
        Bits indexed by ``compound_key``, of all drugs, test drugs too; zeros where a structure
        cannot be read.
    basal : DataFrame
        Mean control expression indexed by ``cell_line``, of all lines, test lines too.
    weight : ndarray, shape (n,)
        Of each condition; see :func:`cell_weights`.
    unit : ndarray of str, shape (n,)
        What the split holds out together (:func:`.splits.split_units`), so that an inner
        validation asks the same question; a blank unit is its drug.

    Raises
    ------
    InputError
        If lengths do not fit, a column, fingerprint or line is missing, or a change is not
        finite.
    """

    delta: np.ndarray
    obs: pd.DataFrame
    fingerprints: pd.DataFrame = field(repr=False)
    basal: pd.DataFrame = field(repr=False)
    weight: np.ndarray
    unit: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.delta)
        for name, length in (
            ("obs", len(self.obs)),
            ("weight", len(self.weight)),
            ("unit", len(self.unit)),
        ):
            if length != n or n == 0:
                raise InputError(f"training rows: delta has {n:,} rows and {name} {length:,}")
        if not np.isfinite(self.delta).all():
            row = int(np.argwhere(~np.isfinite(self.delta))[0][0])
            raise InputError(f"training rows: row {row + 1} of delta is not finite; leave it out")
        if not (np.isfinite(self.weight).all() and (np.asarray(self.weight) > 0).all()):
            raise InputError("training rows: weights must be finite and above 0")
        self.check(self.obs)

    def check(self, obs: pd.DataFrame) -> None:
        """Refuse conditions that lack a column, a fingerprint row or a basal row."""
        for column in _NEEDED:
            if column not in obs:
                raise InputError(f"conditions: column {column!r} is missing")
        for column, table, name in (
            ("compound_key", self.fingerprints, "fingerprints"),
            ("cell_line", self.basal, "basal"),
        ):
            absent = ~obs[column].isin(table.index)
            if absent.any():
                raise InputError(
                    f"{name}: there is no row for {column} {str(obs.loc[absent, column].iloc[0])!r}"
                    f" ({absent.sum():,} conditions); add it"
                )

    @property
    def doses(self) -> np.ndarray:
        """Levels of dose in uM, ascending: doses of :data:`FEWEST_DRUGS`, or all if none has."""
        drugs = self.obs.groupby("dose")["compound_key"].nunique()
        shared = drugs[drugs >= FEWEST_DRUGS]
        return (shared if len(shared) else drugs).index.to_numpy(dtype=float)

    def levels(self, dose: pd.Series) -> np.ndarray:
        """Place doses among the levels: the same, or the nearest on the log scale.

        Parameters
        ----------
        dose : Series, m rows
            uM.

        Returns
        -------
        ndarray of int, shape (m,)
            Index into :attr:`doses`.
        """
        tiny = np.finfo(float).tiny
        asked, known = (
            np.log(np.maximum(np.asarray(values, dtype=float), tiny))
            for values in (dose, self.doses)
        )
        return np.abs(asked[:, None] - known[None, :]).argmin(axis=1)


def subset_rows(train: TrainingRows, rows: np.ndarray) -> TrainingRows:
    """Keep some training conditions, chosen by a mask."""
    return replace(
        train,
        delta=train.delta[rows],
        obs=train.obs[rows],
        weight=train.weight[rows],
        unit=np.asarray(train.unit)[rows],
    )


def cell_weights(n_cells: pd.Series, cap: float = CELL_CAP) -> np.ndarray:
    """Weigh conditions by the cells behind them: the root of their number, capped.

    Parameters
    ----------
    n_cells : Series, n rows
        NaN where a well was measured as a whole.
    cap : float
        Cells from which the weight stays the same.

    Returns
    -------
    ndarray, shape (n,)
        Conditions without a number weigh as the median one; all weigh 1 if none has one.
    """
    root = np.sqrt(np.clip(n_cells.astype(float), 1, cap))
    return root.fillna(root.median() if root.notna().any() else 1.0).to_numpy()


@dataclass(frozen=True)
class GroupMeans:
    """Weighted mean change of each group of conditions.

    Attributes
    ----------
    keys : Index
        Group of each row, as the columns that it was made by.
    means : ndarray, shape (n_groups, n_genes)
    """

    keys: pd.Index
    means: np.ndarray

    def find(self, *columns: np.ndarray) -> np.ndarray:
        """Rows of groups given by one array for each column; -1 where there is none."""
        return self.keys.get_indexer(pd.MultiIndex.from_arrays(list(columns)))


def group_means(delta: np.ndarray, weight: np.ndarray, *columns: np.ndarray) -> GroupMeans:
    """Average the change over the conditions that agree in all columns.

    Parameters
    ----------
    delta : ndarray, shape (n, n_genes)
    weight : ndarray, shape (n,)
    *columns : ndarray, shape (n,)
    """
    groups = pd.MultiIndex.from_arrays(list(columns))
    codes, keys = groups.factorize()
    total = np.bincount(codes, weights=weight)
    mixing = sparse.csr_matrix((weight / total[codes], (codes, np.arange(len(codes)))))
    return GroupMeans(pd.Index(keys), np.asarray(mixing @ delta, dtype=np.float32))
