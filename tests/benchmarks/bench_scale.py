"""Seconds and peak memory of the steps that touch every row, at RxRx19a's size and below.

``make bench`` prints a table; each step runs in a process of its own, so that its peak memory
is its own. ``SCALE=1`` is all 57 plates (305,520 sites, 8 GB of disk for the CSV round trip);
the default 0.1 takes a tenth of the rows. Nothing here is asserted: read the numbers.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np

SITES, WELLS, FEATURES, PLATES = 305_520, 76_380, 1_024, 57
SCALE = float(os.environ.get("SCALE", "0.1"))


def profiles(rows: int) -> np.ndarray:
    """Correlated columns with a falling spectrum, (rows, FEATURES) float32."""
    rng = np.random.default_rng(0)
    n = int(rows * SCALE)
    latent = rng.normal(size=(n, 64)).astype(np.float32) / np.sqrt(np.arange(1, 65))
    mixed = latent.astype(np.float32) @ rng.normal(size=(64, FEATURES)).astype(np.float32)
    for start in range(0, n, 4096):
        block = mixed[start : start + 4096]
        block += 0.3 * rng.normal(size=block.shape)
    return mixed


def bench_group_sums() -> Callable[[], object]:
    """Means of every plate."""
    from screenbook.blocks import group_sums

    X = profiles(SITES)
    codes = np.arange(len(X)) % PLATES
    return lambda: group_sums(X, codes, PLATES)


def bench_group_sums_dask() -> Callable[[], object]:
    """The same, from a Dask array on threads."""
    from screenbook.blocks import group_sums

    X = da.from_array(profiles(SITES), chunks=(4096, -1))
    codes = np.arange(len(X)) % PLATES
    return lambda: group_sums(X, codes, PLATES)


def bench_principal_components() -> Callable[[], object]:
    """50 principal components of all sites, and their scores."""
    from screenbook.profiles.reduce import principal_components

    X = profiles(SITES)
    return lambda: principal_components(X, most=50).scores(X)


def bench_tsne() -> Callable[[], object]:
    """Map of all wells, landmarks and the rest placed among them."""
    from screenbook.profiles.reduce import principal_components, tsne_map

    X = profiles(WELLS)
    scores = principal_components(X, most=50).scores(X)
    return lambda: tsne_map(scores, jobs=os.cpu_count() or 1)


def bench_embeddings_csv() -> Callable[[], object]:
    """From RxRx19a's two CSV files to a checked screen of sites and one of wells."""
    home = Path(os.environ["SCREENBOOK_HOME"])
    (home / "params").mkdir()
    (home / "data").mkdir()
    (home / "params" / "bench.yml").write_text(
        "screen:\n  source: rxrx19a\n  folder: data\n"
        "  roles: {healthy: [Mock], diseased: [Active SARS-CoV-2]}\n"
    )
    X = profiles(SITES)
    with (
        (home / "data" / "metadata.csv").open("w") as metadata,
        (home / "data" / "embeddings.csv").open("w") as embeddings,
    ):
        metadata.write(
            "site_id,well_id,cell_type,experiment,plate,well,site,"
            "disease_condition,treatment,treatment_conc,SMILES\n"
        )
        embeddings.write("site_id," + ",".join(f"feature_{j}" for j in range(FEATURES)) + "\n")
        for i, row in enumerate(X):
            well, site = divmod(i, 4)
            plate, at = divmod(well, 1340)
            address = f"{chr(65 + at // 48 % 26) if at < 1248 else 'A' + chr(65 + at // 48 - 26)}"
            name = f"{address}{at % 48 + 1:02d}"
            condition = "Mock" if at % 20 == 0 else "Active SARS-CoV-2"
            drug = f"drug {at % 300},{0.01 * (1 + at % 6)},C{'C' * (at % 300)}" if at % 3 else ",,"
            key = f"HRCE-1_{plate + 1}_{name}_{site + 1}"
            metadata.write(
                f"{key},{key[:-2]},HRCE,HRCE-1,{plate + 1},{name},{site + 1},{condition},{drug}\n"
            )
            embeddings.write(key + "," + ",".join(f"{value:.6f}" for value in row) + "\n")

    def convert() -> None:
        from screenbook.sources import prepare

        prepare("bench")

    return convert


STEPS = {
    name.removeprefix("bench_"): step
    for name, step in list(globals().items())
    if name.startswith("bench_")
}


def main() -> None:
    """Run every step in a fresh interpreter; or, with its name as argument, one here."""
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory(prefix="screenbook-bench-") as home:
            os.environ["SCREENBOOK_HOME"] = home
            work = STEPS[sys.argv[1]]()
            started = time.perf_counter()
            work()
            seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{sys.argv[1]:24}{seconds:10.1f}{peak:12.2f}   {STEPS[sys.argv[1]].__doc__}")
        return
    print(f"scale {SCALE:g}: {int(SITES * SCALE):,} sites, {int(WELLS * SCALE):,} wells")
    print(f"{'step':24}{'seconds':>10}{'peak GiB':>12}   what", flush=True)
    for name in STEPS:
        subprocess.run([sys.executable, __file__, name], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
