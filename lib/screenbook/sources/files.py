"""Tables on disk, read a batch of rows at a time: CSV and TSV (plain, gzip, zip), Parquet.

Nothing here holds more than one batch, so a table may be larger than memory.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import zarr
from anndata.experimental import read_elem_lazy
from scipy import sparse
from tqdm import tqdm

from screenbook.blocks import row_blocks
from screenbook.errors import InputError, did_you_mean, listing
from screenbook.metadata import as_text
from screenbook.settings import short

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null")
"""Cells that mean *not given*. "None" is not one of them: it may name a condition."""

ANNDATA = (".h5ad", ".zarr")
"""Endings of files that hold metadata and features at once."""

_BLOCK_BYTES = 4 << 20
_BATCH_ROWS = 4096
_SUFFIXES = (".csv", ".tsv", ".txt", ".gz", ".zip", ".parquet", ".pq")


class Table(Protocol):
    """Rows and named columns on disk."""

    path: Path
    name: str

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""

    def require(self, columns: Sequence[str]) -> None:
        """Refuse to go on without these columns."""

    def read_text(self, columns: Sequence[str]) -> pd.DataFrame:
        """Read some columns as text, whole, with ``""`` where a cell is missing."""

    def feature_batches(
        self, keys: Sequence[str], features: Sequence[str]
    ) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """Yield key columns and features (float32) a batch of rows at a time."""


class TextTable:
    """A table as CSV, TSV or Parquet.

    Parameters
    ----------
    path : Path
        ``.csv .tsv .txt``, each also as ``.gz`` or as the only table in a ``.zip``, or
        ``.parquet``. Comma, tab or semicolon: what the header has most of.

    Raises
    ------
    InputError
        If it is not there, is empty or damaged, or is of no kind that can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.name = short(self.path)
        if not self.path.is_file():
            raise InputError(f"{self.name}: there is no such file{_beside(self.path)}")
        if self.path.suffix.lower() not in _SUFFIXES:
            raise InputError(
                f"{self.name}: cannot tell what kind of table this is; use a name that ends in "
                ".csv, .tsv, .parquet, .h5ad or .zarr"
            )
        self._parquet = self.path.suffix.lower() in (".parquet", ".pq")

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns."""
        if self._parquet:
            with self._errors(), pa.parquet.ParquetFile(self.path) as table:
                names = [str(name) for name in table.schema_arrow.names]
        else:
            line = self._header
            options = pa.csv.ReadOptions(encoding="utf8", use_threads=False)
            with self._errors():
                table = pa.csv.read_csv(pa.BufferReader(line), options, self._parse_options)
            names = table.column_names
        if not names:
            raise InputError(f"{self.name}: the file has no columns; check that it is complete")
        twice = pd.Index(names)[pd.Index(names).duplicated()]
        if len(twice):
            raise InputError(f"{self.name}: column {twice[0]!r} is there twice; rename or drop one")
        return names

    def require(self, columns: Sequence[str]) -> None:
        """Refuse to go on without these columns."""
        require(self, columns)

    def read_text(self, columns: Sequence[str]) -> pd.DataFrame:
        """Read some columns as text, whole, with ``""`` where a cell is missing."""
        self.require(columns)
        batches = list(self._batches(columns, numeric=()))
        if not batches:
            return pd.DataFrame({column: [] for column in columns}, dtype=object)
        return _text(pa.Table.from_batches(batches))[list(columns)]

    def feature_batches(
        self, keys: Sequence[str], features: Sequence[str]
    ) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """Walk over the table, a batch of rows at a time, with progress on stderr.

        Yields
        ------
        keys : DataFrame of str, shape (n, len(keys))
        values : ndarray of float32, shape (n, len(features))
            NaN where a cell is missing.
        """
        self.require([*keys, *features])
        for batch in self._batches([*keys, *features], numeric=features, progress=True):
            yield _text(batch.select(list(keys))), self._numbers(batch.select(list(features)))

    def _numbers(self, batch: pa.RecordBatch) -> np.ndarray:
        """Turn columns of numbers of any width into one float32 array, NaN where missing."""
        for field in batch.schema:
            if not (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
                raise InputError(
                    f"{self.name}: feature column {field.name!r} holds {field.type}, not numbers; "
                    "leave it out under `feature_columns:`"
                )
        single = pa.schema([(name, pa.float32()) for name in batch.schema.names])
        return batch.cast(single, safe=False).to_tensor(null_to_nan=True).to_numpy()

    def _batches(
        self, columns: Sequence[str], numeric: Sequence[str], progress: bool = False
    ) -> Iterator[pa.RecordBatch]:
        with self._errors(), open(self.path, "rb") as raw:
            report = Progress(self.path.stat().st_size, f"reading {self.name}", on=progress)
            if self._parquet:
                table = pa.parquet.ParquetFile(raw)
                done = 0
                for batch in table.iter_batches(_BATCH_ROWS, columns=list(columns)):
                    yield batch
                    done += batch.num_rows
                    report.at(report.total * done // table.metadata.num_rows)
            else:
                types = dict.fromkeys(columns, pa.string()) | dict.fromkeys(numeric, pa.float32())
                reader = pa.csv.open_csv(
                    self._text_stream(raw),
                    pa.csv.ReadOptions(block_size=_BLOCK_BYTES),
                    self._parse_options,
                    pa.csv.ConvertOptions(
                        column_types=types,
                        include_columns=list(columns),
                        null_values=MISSING,
                        strings_can_be_null=True,
                    ),
                )
                for batch in reader:
                    yield batch
                    report.at(raw.tell())
            report.close()

    @cached_property
    def _header(self) -> bytes:
        with self._errors(), open(self.path, "rb") as raw:
            line = self._text_stream(raw).readline(_BLOCK_BYTES)
        if not line.strip():
            raise InputError(f"{self.name}: the file is empty; check that it is complete")
        return line

    @property
    def _parse_options(self) -> pa.csv.ParseOptions:
        delimiter = max(",\t;", key=lambda mark: self._header.count(mark.encode()))
        return pa.csv.ParseOptions(delimiter=delimiter)

    def _text_stream(self, raw: BinaryIO) -> BinaryIO:
        """Give the bytes of the table itself, unpacked as they are read."""
        suffix = self.path.suffix.lower()
        if suffix == ".gz":
            return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        if suffix != ".zip":
            return raw
        archive = zipfile.ZipFile(raw)
        members = [name for name in archive.namelist() if "__MACOSX" not in name]
        tables = [name for name in members if name.lower().endswith((".csv", ".tsv"))]
        if len(tables) != 1:
            raise InputError(
                f"{self.name}: holds {len(tables)} tables ({listing(tables) or 'none'}) and should "
                "hold one; unpack it and name the table"
            )
        return cast(BinaryIO, archive.open(tables[0]))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn a reader's complaint into one line that names the file."""
        try:
            yield
        except (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile) as error:
            raise InputError(
                f"{self.name}: the archive is damaged or incomplete ({error}); fetch it again"
            ) from None
        except InputError:
            raise
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            cause = " ".join(str(error).split())[:200]
            raise InputError(f"{self.name}: {cause}; mend that row or column") from None


class AnnDataTable:
    """An AnnData on disk, seen as a table: the columns of ``obs``, then the features.

    Parameters
    ----------
    path : Path
        ``.h5ad`` file or ``.zarr`` folder.
    layer : str, optional
        Layer that holds the features, instead of ``X``.
    """

    INDEX = "obs_names"

    def __init__(self, path: Path, layer: str | None = None) -> None:
        self.path = Path(path)
        self.name = short(self.path)
        if not self.path.exists():
            raise InputError(f"{self.name}: there is no such file{_beside(self.path)}")
        try:
            hdf = self.path.suffix.lower() == ".h5ad"
            group: Any = h5py.File(self.path) if hdf else zarr.open_group(self.path, mode="r")
            self._obs = ad.io.read_elem(group["obs"])
            self.features = [str(name) for name in ad.io.read_elem(group["var"]).index]
            self._X = read_elem_lazy(group["layers"][layer] if layer else group["X"])
        except Exception as error:  # HDF5, zarr and anndata fail in ways of their own
            cause = " ".join(str(error).split())[:200]
            raise InputError(f"{self.name}: cannot be read as AnnData ({cause})") from error
        if self.INDEX not in self._obs:
            self._obs.insert(0, self.INDEX, self._obs.index.astype(str))

    @property
    def columns(self) -> list[str]:
        """Names of the columns: the index, ``obs``, features."""
        return [*map(str, self._obs.columns), *self.features]

    def require(self, columns: Sequence[str]) -> None:
        """Refuse to go on without these columns."""
        require(self, columns)

    def read_text(self, columns: Sequence[str]) -> pd.DataFrame:
        """Read some columns of ``obs`` as text, with ``""`` where a cell is missing."""
        self.require(columns)
        texts = {column: _given(self._obs[column]) for column in columns}
        return pd.DataFrame(texts).reset_index(drop=True)

    def feature_batches(
        self, keys: Sequence[str], features: Sequence[str]
    ) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """Yield key columns and features (float32) a block of rows at a time."""
        ids = self.read_text(keys)
        self.require(features)
        places = pd.Index(self.features).get_indexer(pd.Index(features))
        for rows, block in row_blocks(self._X):
            dense = np.asarray(block.todense() if sparse.issparse(block) else block)
            yield ids.iloc[rows], dense[:, places].astype(np.float32)


def open_table(path: Path, layer: str | None = None) -> TextTable | AnnDataTable:
    """Open a table by the ending of its name."""
    return AnnDataTable(path, layer) if path.suffix.lower() in ANNDATA else TextTable(path)


def require(table: Table, columns: Sequence[str]) -> None:
    """Refuse to go on without these columns, naming the first that is missing."""
    known = set(table.columns)
    for column in columns:
        if column not in known:
            raise InputError(
                f"{table.name}: there is no column {column!r}"
                f"{did_you_mean(column, table.columns)}; found {listing(table.columns)}"
            )


class Progress:
    """Progress on stderr: a bar on a terminal, elsewhere a line for every tenth.

    Parameters
    ----------
    total : int
        Where the work ends.
    label : str
        What is being done.
    on : bool
        Whether to say anything.
    unit : str
        What is counted.
    lines : bool, optional
        Whether to write the lines; by default where there are more than a few megabytes.
    """

    def __init__(
        self,
        total: int,
        label: str,
        *,
        on: bool = True,
        unit: str = "B",
        lines: bool | None = None,
    ) -> None:
        self.total, self._label, self._tenths = max(total, 1), label, 0
        live = on and sys.stderr.isatty()
        self._lines = on and not live and (total > _BLOCK_BYTES if lines is None else lines)
        self._bar = tqdm(total=self.total, desc=label, unit=unit, unit_scale=True, disable=not live)

    def at(self, done: int) -> None:
        """Report how far the work has come."""
        self._bar.update(done - self._bar.n)
        tenths = 10 * done // self.total
        if self._lines and tenths > self._tenths:
            self._tenths = tenths
            print(f"{self._label}: {10 * tenths} %", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the bar."""
        self._bar.close()


def sha256(path: Path) -> str:
    """Digest of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(table: Any) -> pd.DataFrame:
    """Columns of an Arrow batch or table as trimmed text, ``""`` where missing."""
    columns = zip(table.schema.names, table.columns, strict=True)
    return pd.DataFrame({name: _given(column.to_pandas()) for name, column in columns})


def _given(values: pd.Series) -> pd.Series:
    """Text of a column, without the words that mean *not given*."""
    text = as_text(values)
    return text.mask(text.isin(MISSING), "")


def _beside(path: Path) -> str:
    """Point to a file of a similar name in the same folder, or say that there is no folder."""
    if not path.parent.is_dir():
        return f", and no folder {short(path.parent)}"
    return did_you_mean(path.name, (other.name for other in path.parent.iterdir()))
