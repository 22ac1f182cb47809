"""Pseudobulk of simulated single cells in Tahoe's layout: speed, memory, one answer by any road.

The cells are made in a temporary folder: 200,000 in eight Parquet files, about 1,350 of 62,710
genes seen in each, two wells of 50 lines to a file. Every measurement is a process of its own.

    python tests/benchmarks/bench_expression.py            200,000 cells, a few minutes
    python tests/benchmarks/bench_expression.py 20000      fewer
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

N_GENES, SEEN, N_LINES, N_FILES = 62_710, 1_350, 50, 8
FIRST_TOKEN = 3
WANTED = 2_000
KEYS = ("drug", "cell_line_id", "plate", "sample")


def templates(rng, n=400):
    """Sorted genes and counts of a few cells, of which the others are thinned copies."""
    share = rng.lognormal(0, 2.2, N_GENES)
    edges = np.cumsum(share / share.sum())
    drawn = [np.minimum(np.searchsorted(edges, rng.random(3_300)), N_GENES - 1) for _ in range(n)]
    return [np.unique(genes, return_counts=True) for genes in drawn]


def write_cells(folder, n_cells):
    """Write the cells, a file at a time; mean genes per cell and bytes in all."""
    rng = np.random.default_rng(0)
    made = templates(rng)
    each, n_values = n_cells // N_FILES, 0
    for number in range(N_FILES):
        tokens, counts, lengths = [], [], []
        for pick in rng.integers(0, len(made), each):
            genes, n = made[pick]
            kept = rng.random(len(genes)) < SEEN / len(genes)
            tokens += [[1], genes[kept] + FIRST_TOKEN]
            counts += [[-2], n[kept]]
            lengths.append(1 + int(kept.sum()))
        starts = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        well = np.where(np.arange(each) < each // 2, 2 * number, 2 * number + 1)
        lists = pa.ListArray.from_arrays
        table = pa.table(
            {
                "genes": lists(starts, pa.array(np.concatenate(tokens), pa.int64())),
                "expressions": lists(starts, pa.array(np.concatenate(counts), pa.float32())),
                "drug": pa.array([f"drug {w}" if w else "DMSO_TF" for w in well]),
                "sample": pa.array([f"smp_{w}" for w in well]),
                "cell_line_id": pa.array([f"CVCL_{i}" for i in rng.integers(0, N_LINES, each)]),
                "plate": pa.array(["plate4"] * each),
            }
        )
        pq.write_table(table, folder / f"train-{number:05d}.parquet", row_group_size=5_000)
        n_values += sum(lengths) - each
    return n_values / (each * N_FILES), sum(p.stat().st_size for p in folder.iterdir())


def recipe(n_genes):
    """Sum `n_genes` of the genes, evenly taken."""
    from screenbook.expression.pseudobulk import gene_tokens
    from screenbook.sources.expression.shards import Recipe

    wanted = np.unique(np.linspace(0, N_GENES - 1, n_genes).astype(int))
    return Recipe(KEYS, gene_tokens(np.arange(N_GENES) + FIRST_TOKEN, wanted), 1e4)


def measure(folder, n_genes, jobs):
    """Sum all files; print seconds of this process and peak memory as JSON, keep the result."""
    from screenbook.expression.pseudobulk import finish
    from screenbook.sources.expression.shards import sum_shards

    asked = recipe(n_genes)
    began, cpu = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        sums = sum_shards(sorted(folder.glob("*.parquet")), asked, Path(scratch), "", jobs)
        bulk = finish(sums)
    facts = {"wall": time.monotonic() - began, "cpu": time.process_time() - cpu}
    facts["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    facts["n_cells"] = int(bulk.n_cells.sum())
    kept = folder / f"{n_genes}-{jobs}-{'DASK_SCHEDULER_ADDRESS' in os.environ}.npz"
    np.savez(kept, mean=bulk.mean, variance=bulk.variance, n=bulk.n_cells)
    print(json.dumps(facts))


def run(*arguments, **environment):
    """Do one thing in a process of its own: the peak of a parent would count for its children."""
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


def resharded(folder, target):
    """Write the same cells in other files: three, cut where no file was cut."""
    table = pa.concat_tables(pq.read_table(p) for p in sorted(folder.glob("*.parquet"))[:2])
    bounds = [0, len(table) // 7, len(table) // 2 + 11, len(table)]
    for number, (start, stop) in enumerate(pairwise(bounds)):
        pq.write_table(table.slice(start, stop - start), target / f"{number}.parquet")
    return sorted(folder.glob("*.parquet"))[:2], sorted(target.glob("*.parquet"))


def differences(one, other):
    """Largest difference of means and of variances."""
    with np.load(one) as a, np.load(other) as b:
        assert np.array_equal(a["n"], b["n"])
        return [float(np.nanmax(np.abs(a[k] - b[k]))) for k in ("mean", "variance")]


def compare_shardings(folder):
    """Two files against the same cells in three others."""
    from screenbook.expression.pseudobulk import finish
    from screenbook.sources.expression.shards import sum_shards

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        target = Path(scratch) / "other"
        target.mkdir()
        bulks = [
            finish(sum_shards(paths, recipe(WANTED), Path(scratch) / "sums", "", jobs=1))
            for paths in resharded(folder, target)
        ]
    assert np.array_equal(bulks[0].n_cells, bulks[1].n_cells)
    pairs = [(getattr(bulks[0], k), getattr(bulks[1], k)) for k in ("mean", "variance")]
    return [float(np.nanmax(np.abs(a - b))) for a, b in pairs]


def main(n_cells):
    """Make the cells, measure, and say what 100 million would take."""
    with tempfile.TemporaryDirectory(prefix="cells.") as name:
        folder = Path(name)
        began = time.monotonic()
        seen, size = run("write", folder, n_cells)
        print(
            f"{n_cells:,} cells, {seen:,.0f} genes seen in each, {size / 1e6:,.0f} MB, made in "
            f"{time.monotonic() - began:.0f} s"
        )
        for n_genes in (WANTED, N_GENES):
            facts = run("measure", folder, n_genes, 1)
            speed = facts["n_cells"] / facts["cpu"]
            print(
                f"{n_genes:,} genes, one process: {speed:,.0f} cells/s/core, peak "
                f"{facts['peak']:.2f} GB; 100 million cells in {1e8 / speed / 3600:.1f} core-hours",
                flush=True,
            )
        facts = run("measure", folder, WANTED, 2)
        print(f"two processes: {facts['n_cells'] / facts['wall']:,.0f} cells/s", flush=True)
        from distributed import LocalCluster

        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
            at = {"DASK_SCHEDULER_ADDRESS": cluster.scheduler_address}
            facts = run("measure", folder, WANTED, 1, **at)
        print(f"Dask, two workers: {facts['n_cells'] / facts['wall']:,.0f} cells/s", flush=True)
        alone = folder / f"{WANTED}-1-False.npz"
        for how, other in (("two processes", "2-False"), ("Dask", "1-True")):
            mean, variance = differences(alone, folder / f"{WANTED}-{other}.npz")
            print(f"largest difference to one process, {how}: {mean:.1g}, variance {variance:.1g}")
        mean, variance = compare_shardings(folder)
        print(f"largest difference between shardings: mean {mean:.1g}, variance {variance:.1g}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        measure(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1:2] == ["write"]:
        print(json.dumps(write_cells(Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
