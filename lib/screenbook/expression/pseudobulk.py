"""Pseudobulk: from single cells to sums for each group of cells, in pieces of any size.

A piece gives, for each group, the number of cells and for each gene the sum, the sum of squares
and the number of cells in which it was seen. Such pieces add up in any order, so files can be
read apart: by processes, on a cluster, or on another day. Expression is log-normalised first:
log(1 + counts x target / total counts of the cell), the natural logarithm.

Cells come as Arrow batches in the layout of Tahoe-100M (Zhang et al. 2025,
doi:10.1101/2025.02.20.639398): one row for each cell, with a list of gene tokens and a list of
counts, of which the first entry is a special token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import sparse

from screenbook.errors import InputError, did_you_mean, listing

TARGET = 10_000.0
"""Counts to which every cell is scaled."""

SPECIAL = (0, 1, 2)
"""Tokens that are no genes: padding, the beginning of a cell, its end."""

GENES, COUNTS = "genes", "expressions"
"""Columns that hold the lists."""

_FIRST_ROWS = 64


@dataclass(frozen=True)
class GeneTokens:
    """Which token is which gene, and which genes are wanted.

    Attributes
    ----------
    column : ndarray of int32, shape (n_tokens,)
        Column of each token's gene: up to ``n_genes``; ``n_genes`` for a gene that only counts
        towards its cell's total, then ``n_genes + 1`` for special and ``n_genes + 2`` for
        unknown tokens.
    n_genes : int
        Number of genes wanted.
    """

    column: np.ndarray
    n_genes: int


def gene_tokens(
    token: np.ndarray, wanted: np.ndarray | None = None, special: Sequence[int] = SPECIAL
) -> GeneTokens:
    """Give each wanted gene a column.

    Parameters
    ----------
    token : ndarray of int, shape (n,)
        Token of each gene, each once.
    wanted : ndarray of int, shape (n_genes,), optional
        Places in `token` of the genes to sum; by default all.
    special : sequence of int
        Tokens that are no genes.
    """
    chosen = np.arange(len(token)) if wanted is None else np.asarray(wanted)
    n_genes = len(chosen)
    size = int(max(token.max(initial=0), *special, 0)) + 1
    column = np.full(size, n_genes + 2, dtype=np.int32)
    column[token] = n_genes
    column[list(special)] = n_genes + 1
    column[token[chosen]] = np.arange(n_genes, dtype=np.int32)
    return GeneTokens(column, n_genes)


@dataclass(frozen=True)
class GroupSums:
    """What adds up over cells, by group.

    Attributes
    ----------
    groups : DataFrame of str, n_groups rows
        The columns that name a group; no row comes twice.
    n_cells : ndarray of int64, shape (n_groups,)
        Cells with any counts.
    total, squares : ndarray of float64, shape (n_groups, n_genes)
        Sum of log-normalised expression, and of its square.
    nonzero : ndarray of int32, shape (n_groups, n_genes)
        Cells in which a gene was seen.
    n_empty : int
        Cells without any counts, which are in no group.
    """

    groups: pd.DataFrame
    n_cells: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    nonzero: np.ndarray
    n_empty: int

    def __add__(self, other: GroupSums) -> GroupSums:
        return add_sums([self, other])


@dataclass(frozen=True)
class Pseudobulk:
    """Mean, variance and share of cells with a gene, for each group.

    Attributes
    ----------
    groups : DataFrame of str, n_groups rows
        In order of their names.
    n_cells : ndarray of int64, shape (n_groups,)
    mean, variance, nonzero : ndarray of float32, shape (n_groups, n_genes)
        Variance between cells with n - 1 in the denominator: NaN for a group of one cell.
    """

    groups: pd.DataFrame
    n_cells: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    nonzero: np.ndarray


def sum_cells(
    batches: Iterable[pa.RecordBatch],
    keys: Sequence[str],
    tokens: GeneTokens,
    *,
    origin: str,
    target: float = TARGET,
) -> GroupSums:
    """Sum the cells of each group.

    Parameters
    ----------
    batches : iterable of RecordBatch
        One row for each cell; columns :data:`GENES` and :data:`COUNTS` hold lists of equal
        length, `keys` hold text. A gene that is there twice in a cell has the sum of both.
    keys : sequence of str
        Columns that name the group of a cell; blanks around a name are taken off.
    tokens : GeneTokens
        Which token is which gene.
    origin : str
        The file the cells came from, quoted in errors.
    target : float
        Counts to which every cell is scaled.

    Returns
    -------
    GroupSums
        Memory grows with the groups met times the genes wanted, not with the cells.

    Raises
    ------
    InputError
        If a column is missing or of another type, lists differ in length, a token is unknown,
        a count is negative or not finite, or the name of a group is missing.
    """
    sums = _Running(list(keys), tokens.n_genes)
    seen = 0
    for batch in batches:
        place = f"{origin}, cells from {seen + 1:,}"
        names, codes = _group_names(batch, keys, place)
        values, some = _log_normalised(batch, tokens, target, place)
        sums.n_empty += int((~some).sum())
        cells = np.flatnonzero(some)  # a cell without counts is in no group
        if len(cells):
            sums.add_cells(names, codes[cells], values[cells])
        seen += batch.num_rows
    return sums.done()


def add_sums(parts: Iterable[GroupSums], groups: pd.DataFrame | None = None) -> GroupSums:
    """Add up any number of pieces, one in memory at a time.

    Parameters
    ----------
    parts : iterable of GroupSums
        All of the same genes and with the same columns of `groups`.
    groups : DataFrame, optional
        All groups there will be, so that memory for them is taken once.
    """
    sums: _Running | None = None
    for part in parts:
        if sums is None:
            sums = _Running(list(part.groups.columns), part.total.shape[1])
            if groups is not None:
                sums.rows_of([tuple(names) for names in groups.itertuples(index=False)])
        sums.add_part(part)
    if sums is None:
        raise ValueError("there is nothing to add up")
    return sums.done()


def finish(sums: GroupSums) -> Pseudobulk:
    """Turn sums into means, variances and shares.

    Parameters
    ----------
    sums : GroupSums

    Returns
    -------
    Pseudobulk
        Without groups in which no cell has counts.
    """
    order = sums.groups.sort_values(list(sums.groups.columns), kind="stable").index.to_numpy()
    order = order[sums.n_cells[order] > 0]
    n = sums.n_cells[order].astype(float)[:, None]
    mean = np.empty((len(order), sums.total.shape[1]), dtype=np.float32)
    variance, nonzero = np.empty_like(mean), np.empty_like(mean)
    for start in range(0, len(order), _FIRST_ROWS):  # a temporary of all groups is not for free
        rows, at = order[start : start + _FIRST_ROWS], slice(start, start + _FIRST_ROWS)
        means = sums.total[rows] / n[at]
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = (sums.squares[rows] / n[at] - means**2) * (n[at] / (n[at] - 1))
        mean[at], nonzero[at] = means, sums.nonzero[rows] / n[at]
        variance[at] = np.where(n[at] > 1, np.maximum(spread, 0.0), np.nan)
    groups = sums.groups.iloc[order].reset_index(drop=True)
    return Pseudobulk(groups, sums.n_cells[order], mean, variance, nonzero)


class _Running:
    """Sums that grow as groups are met."""

    def __init__(self, keys: list[str], n_genes: int) -> None:
        self.keys, self.n_empty = keys, 0
        self._row: dict[tuple[str, ...], int] = {}
        self._n_cells = np.zeros(_FIRST_ROWS, dtype=np.int64)
        # Sum and sum of squares as one complex number: both are brought from memory at once.
        self._both = np.zeros((_FIRST_ROWS, n_genes), dtype=np.complex128)
        self._nonzero = np.zeros((_FIRST_ROWS, n_genes), dtype=np.int32)
        # Kept from batch to batch: memory that is new each time costs as much as the sums.
        self._room = np.empty(0, dtype=np.complex128)

    def rows_of(self, names: Iterable[tuple[str, ...]]) -> np.ndarray:
        """Find the rows of groups, making those that are new."""
        rows = np.array([self._row.setdefault(n, len(self._row)) for n in names], dtype=np.int64)
        if len(self._row) > len(self._n_cells):
            size = max(len(self._row), 2 * len(self._n_cells))
            self._n_cells = _grown(self._n_cells, size)
            self._both = _grown(self._both, size)
            self._nonzero = _grown(self._nonzero, size)
        return rows

    def add_cells(
        self, names: Sequence[tuple[str, ...]], codes: np.ndarray, values: sparse.csr_matrix
    ) -> None:
        """Add log-normalised cells; `codes` says which of the groups named each is in."""
        rows = self.rows_of(names)
        np.add.at(self._n_cells, rows[codes], 1)
        order = np.argsort(codes, kind="stable")  # one group after another stays in the cache
        values = values[order]
        starts = np.repeat(rows[codes[order]] * values.shape[1], np.diff(values.indptr))
        flat = starts + values.indices
        if len(flat) > len(self._room):
            self._room = np.empty(len(flat), dtype=np.complex128)
        both = self._room[: len(flat)]
        both.real = values.data
        np.multiply(both.real, both.real, out=both.imag)
        np.add.at(self._both.reshape(-1), flat, both)
        np.add.at(self._nonzero.reshape(-1), flat, np.ones(len(flat), dtype=np.int32))

    def add_part(self, part: GroupSums) -> None:
        """Add another piece."""
        rows = self.rows_of([tuple(names) for names in part.groups.itertuples(index=False)])
        self.n_empty += part.n_empty
        self._n_cells[rows] += part.n_cells
        self._both.real[rows] += part.total
        self._both.imag[rows] += part.squares
        self._nonzero[rows] += part.nonzero

    def done(self) -> GroupSums:
        """Give the sums so far."""
        n = len(self._row)
        return GroupSums(
            groups=pd.DataFrame(list(self._row), columns=self.keys, dtype=object),
            n_cells=self._n_cells[:n],
            total=self._both.real[:n],
            squares=self._both.imag[:n],
            nonzero=self._nonzero[:n],
            n_empty=self.n_empty,
        )


def _grown(array: np.ndarray, size: int) -> np.ndarray:
    """Give the same array with more rows; memory of the new ones is taken when they are used."""
    larger = np.zeros((size, *array.shape[1:]), dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def _group_names(
    batch: pa.RecordBatch, keys: Sequence[str], place: str
) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Name the groups of a batch, each once, and say which one each cell is in."""
    codes = np.zeros(batch.num_rows, dtype=np.int64)
    for key in keys:
        column = _column(batch, key, place)
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise InputError(f"{place}: cell {row + 1} has no {key!r}; fill it in or drop the cell")
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        codes = codes * len(column.dictionary) + column.indices.to_numpy(zero_copy_only=False)
    _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
    rows = batch.select(list(keys)).take(pa.array(first)).to_pylist()
    given = [tuple(str(row[key]).strip() for key in keys) for row in rows]
    place_of = {name: i for i, name in enumerate(dict.fromkeys(given))}  # 'A ' and 'A' are one
    return list(place_of), np.array([place_of[name] for name in given], dtype=np.int64)[codes]


def _log_normalised(
    batch: pa.RecordBatch, tokens: GeneTokens, target: float, place: str
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Read the lists of a batch as cells by genes; also which cells have any counts."""
    lengths, token = _lists(batch, GENES, place)
    other, counts = _lists(batch, COUNTS, place)
    if not np.array_equal(lengths, other):
        cell = int(np.flatnonzero(lengths != other)[0])
        raise InputError(
            f"{place}: cell {cell + 1} has {lengths[cell]:,} genes and {other[cell]:,} counts; "
            "the file is damaged, fetch it again"
        )
    column = _columns_of(token, tokens, place)
    special = column == tokens.n_genes + 1
    counts = np.where(special, np.float32(0), counts).astype(np.float32, copy=False)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    if counts.size and not (counts.min() >= 0 and np.isfinite(counts.max())):
        entry = int(np.flatnonzero(~(np.isfinite(counts) & (counts >= 0)))[0])
        cell = int(np.searchsorted(starts, entry, side="right"))
        raise InputError(
            f"{place}: cell {cell} has the count {counts[entry]} of token {token[entry]}; counts "
            "are finite and not negative"
        )
    shape = (len(lengths), tokens.n_genes + 2)
    cells = sparse.csr_matrix((counts, column, starts), shape=shape)
    totals = cells @ np.ones(shape[1])
    cells.data[column >= tokens.n_genes] = 0
    cells.eliminate_zeros()
    cells.sum_duplicates()
    cells.resize((shape[0], tokens.n_genes))
    scale = np.divide(target, totals, out=np.zeros_like(totals), where=totals > 0)
    cells.data *= np.repeat(scale.astype(np.float32), np.diff(cells.indptr))
    np.log1p(cells.data, out=cells.data)
    return cells, totals > 0


def _columns_of(token: np.ndarray, tokens: GeneTokens, place: str) -> np.ndarray:
    """Columns of tokens, which must all be known."""
    unknown = tokens.n_genes + 2
    inside = not token.size or (token.min() >= 0 and token.max() < len(tokens.column))
    column = tokens.column.take(token) if inside else None
    if column is None or column.max(initial=0) == unknown:
        known = np.flatnonzero(tokens.column != unknown)
        odd = token[~np.isin(token, known)][0]
        raise InputError(
            f"{place}: token {odd} is no gene of the gene table; bring the gene table that belongs "
            "to these cells"
        )
    return column


def _lists(batch: pa.RecordBatch, name: str, place: str) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the lists of a column, and all their values in one array."""
    column = _column(batch, name, place)
    listed = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    kind = column.type.value_type if listed else column.type
    whole = pa.types.is_integer(kind)
    if not listed or not (whole or (name == COUNTS and pa.types.is_floating(kind))):
        raise InputError(
            f"{place}: column {name!r} holds {column.type}, not lists of "
            f"{'whole ' if name == GENES else ''}numbers; bring shards as Tahoe-100M has them"
        )
    values = column.flatten()
    if values.null_count:
        raise InputError(f"{place}: column {name!r} has missing values inside its lists")
    lengths = column.value_lengths().fill_null(0)
    return lengths.to_numpy(zero_copy_only=False).astype(np.int64), values.to_numpy()


def _column(batch: pa.RecordBatch, name: str, place: str) -> pa.Array:
    names = batch.schema.names
    if name not in names:
        raise InputError(
            f"{place}: there is no column {name!r}{did_you_mean(name, names)}; "
            f"found {listing(names)}"
        )
    return batch.column(name)
