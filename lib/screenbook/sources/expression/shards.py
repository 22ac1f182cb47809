"""Single cells in many Parquet files, summed a file at a time, going on where it was stopped.

Each file's sums are kept in a scratch folder as soon as they are there, under a name made of
the file and of what was asked: after a break, or when one file was replaced, exactly the files
that need it are read again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from screenbook.blocks import client
from screenbook.errors import InputError, did_you_mean, listing
from screenbook.expression.pseudobulk import (
    COUNTS,
    GENES,
    GeneTokens,
    GroupSums,
    add_sums,
    sum_cells,
)
from screenbook.paths import replacing
from screenbook.processes import in_processes
from screenbook.settings import short
from screenbook.sources.files import Progress
from screenbook.threads import cores, side_by_side

_BATCH = 1024  # cells at once: more leave the cache, fewer spend their time on overheads

RECIPE = 1
"""Raised by whoever changes what the same cells become: sums that were kept are then made anew."""

_LINES_FROM = 8  # files; progress of fewer is not worth lines in a log


@dataclass(frozen=True)
class Recipe:
    """What is summed.

    Attributes
    ----------
    keys : tuple of str
        Columns that name the group of a cell.
    tokens : GeneTokens
    target : float
        Counts to which every cell is scaled.
    only : tuple of str
        Values of ``drug`` to which cells are limited; empty for all.
    """

    keys: tuple[str, ...]
    tokens: GeneTokens
    target: float
    only: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Columns that are read."""
        return [GENES, COUNTS, *self.keys, *(("drug",) if "drug" not in self.keys else ())]

    def digest(self) -> str:
        """Digest of what is asked, in hexadecimal."""
        told = hashlib.sha256(repr((RECIPE, self.keys, self.target, self.only)).encode())
        told.update(self.tokens.column.tobytes())
        return told.hexdigest()


def check_shards(shards: Sequence[Path], columns: Sequence[str]) -> int:
    """Look at the end of every file before any is summed, and count the cells.

    Raises
    ------
    InputError
        If a file is damaged or cut short, or has no such column.
    """
    n_cells = 0
    for path in shards:
        with _open(path) as file:
            names = file.schema_arrow.names
            n_cells += file.metadata.num_rows
        for column in columns:
            if column not in names:
                raise InputError(
                    f"{short(path)}: there is no column {column!r}{did_you_mean(column, names)}; "
                    f"found {listing(names, 20)}: bring the shards as Tahoe-100M has them, or take "
                    "this file out of `shards:`"
                )
    return n_cells


def sum_shards(
    shards: Sequence[Path], recipe: Recipe, scratch: Path, label: str, jobs: int | None = None
) -> GroupSums:
    """Sum the cells of all files.

    Parameters
    ----------
    shards : sequence of Path
    recipe : Recipe
    scratch : Path
        Folder in which the sums of each file are kept.
    label : str
        What is being done, for progress.
    jobs : int, optional
        Processes; by default one for each core that Make leaves to this job. With
        ``DASK_SCHEDULER_ADDRESS`` set, the cluster's workers do it instead, and `scratch` and
        the files must lie where they see them.

    Returns
    -------
    GroupSums
        The same whatever was read by whom, or in a run before.

    Raises
    ------
    InputError
        If a file cannot be summed; what is done by then is kept.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    asked = recipe.digest()
    parts = {path: scratch / f"{_stamp(path, asked)}.npz" for path in shards}
    waiting = {path: part for path, part in parts.items() if not part.is_file()}
    bar = Progress(len(shards), label, unit="file", lines=len(shards) > _LINES_FROM)
    done = len(shards) - len(waiting)
    for _ in _each(waiting, recipe, jobs or max(1, cores() // side_by_side())):
        done += 1
        bar.at(done)
    bar.close()
    groups = pd.concat([_read_groups(part) for part in parts.values()]).drop_duplicates()
    return add_sums((_read_part(part) for part in parts.values()), groups)


def sum_shard(path: Path, part: Path, recipe: Recipe) -> None:
    """Sum the cells of one file, and keep the sums."""
    sums = sum_cells(
        _batches(path, recipe), recipe.keys, recipe.tokens, origin=short(path), target=recipe.target
    )
    with replacing(part) as kept, open(kept, "wb") as file:
        np.savez(
            file,
            keys=np.array(recipe.keys),
            groups=sums.groups.to_numpy(dtype=str),
            n_cells=sums.n_cells,
            total=sums.total,
            squares=sums.squares,
            nonzero=sums.nonzero,
            n_empty=sums.n_empty,
        )


def _each(waiting: Mapping[Path, Path], recipe: Recipe, jobs: int) -> Iterator[None]:
    """Sum files, by processes of this machine or by a cluster, and tell of each that is done."""
    with client() as cluster:
        if cluster is None:
            tasks = [(path, part, recipe) for path, part in waiting.items()]
            yield from in_processes(sum_shard, tasks, jobs=min(jobs, len(tasks)))
            return
        from distributed import as_completed  # half a second that only a cluster's user pays

        shared = cluster.scatter(recipe, broadcast=True)
        tasks = cluster.map(
            sum_shard, list(waiting), list(waiting.values()), recipe=shared, pure=False
        )
        for task in as_completed(tasks):
            yield task.result()


def _batches(path: Path, recipe: Recipe) -> Iterator[pa.RecordBatch]:
    with _open(path) as file:
        try:
            groups = _row_groups(file, recipe.only)
            for batch in file.iter_batches(_BATCH, groups, recipe.columns, use_threads=False):
                if recipe.only:
                    batch = batch.filter(pc.is_in(batch["drug"], pa.array(recipe.only)))
                yield batch
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from None


def _row_groups(file: pq.ParquetFile, only: tuple[str, ...]) -> list[int]:
    """Parts of a file that may hold these drugs, by the statistics that the file keeps."""
    every = list(range(file.metadata.num_row_groups))
    if not only:
        return every
    names = [file.metadata.schema.column(i).path for i in range(file.metadata.num_columns)]
    place = names.index("drug")
    chosen = []
    for group in every:
        facts = file.metadata.row_group(group).column(place).statistics
        known = facts is not None and facts.has_min_max
        if not known or any(facts.min <= drug <= facts.max for drug in only):
            chosen.append(group)
    return chosen


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    cause = " ".join(str(error).split())[:120]
    return InputError(
        f"{short(path)}: cannot be read as Parquet ({cause}); it is damaged or cut short: fetch it "
        "again, and run this again to go on with the other files' sums as they are"
    )


def _stamp(path: Path, asked: str) -> str:
    facts = path.stat()
    told = (os.fspath(path.resolve()), facts.st_size, facts.st_mtime_ns, asked)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


def _read_groups(part: Path) -> pd.DataFrame:
    with np.load(part) as kept:
        return pd.DataFrame(kept["groups"], columns=kept["keys"], dtype=object)


def _read_part(part: Path) -> GroupSums:
    with np.load(part) as kept:
        arrays = {name: kept[name] for name in ("n_cells", "total", "squares", "nonzero")}
        return GroupSums(groups=_read_groups(part), n_empty=int(kept["n_empty"]), **arrays)
