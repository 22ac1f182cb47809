"""How many jobs Make runs side by side, and how many threads each may take."""

from __future__ import annotations

import os
import re

_POOLS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "DASK_NUM_WORKERS",
)


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def side_by_side() -> int:
    """Count the jobs that Make may run at once: 2 under ``make -j2``, 1 outside of Make.

    GNU make tells it in ``MAKEFLAGS``; a bare ``-j`` (any number) counts as one job a core.
    """
    flags = os.environ.get("MAKEFLAGS", "").partition(" -- ")[0]
    match = re.search(r"(?:^| )-j ?(\d*)(?= |$)", flags)
    if not match:
        return 1
    return int(match[1]) if match[1] else cores()


def cap_threads() -> None:
    """Share the cores among the jobs: every library's pool gets its part, no more.

    Call it before NumPy is imported. A limit that the user has set stays.
    """
    share = str(max(1, cores() // side_by_side()))
    for pool in _POOLS:
        os.environ.setdefault(pool, share)
    # A thread that waits for its turn on a busy core sleeps instead of spinning.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
