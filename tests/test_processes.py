"""The same results from one process or several, in the order asked for."""

import os

import numpy as np
import pytest

from screenbook.processes import in_processes, run_each


def total(values, factor):
    return os.getpid(), float(values.sum() * factor)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_arguments(jobs):
    values = np.arange(400_000.0)  # large enough to be shared, not copied
    told = []
    found = run_each(
        total,
        {name: (values, k) for k, name in enumerate("cab")},
        jobs=jobs,
        tell=lambda done, n: told.append((done, n)),
    )
    assert [*found] == ["c", "a", "b"]
    assert [value for _, value in found.values()] == [0.0, values.sum(), 2 * values.sum()]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert all((pid == os.getpid()) == (jobs == 1) for pid, _ in found.values())


def test_an_error_in_a_process_reaches_the_caller():
    with pytest.raises(AttributeError, match="sum"):
        run_each(total, {"a": (1, 2), "b": (3, 4)}, jobs=2)


def threads(_):
    return os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]


def test_a_process_takes_one_thread_whatever_make_gives_to_all(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert [*in_processes(threads, iter([(0,), (1,)]), jobs=2)] == [("1", "1")] * 2
