"""Do several long things at once: a process each, one thread in every process."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

_Key = TypeVar("_Key", bound=Hashable)
_Result = TypeVar("_Result")


def run_each(
    function: Callable[..., _Result],
    arguments: Mapping[_Key, tuple[Any, ...]],
    *,
    jobs: int = 1,
    tell: Callable[[int, int], None] | None = None,
) -> dict[_Key, _Result]:
    """Call a function with each set of arguments.

    Parameters
    ----------
    function : callable
        Defined in a module, so that another process finds it.
    arguments : mapping of any key to tuple
        Large arrays are shared with the other processes, not copied.
    jobs : int
        Processes; with 1 everything happens in this one, with one thread as well: on small
        problems two threads of linear algebra wait for each other longer than they work.
    tell : callable, optional
        Gets how many are done, and of how many, each time one is.

    Returns
    -------
    dict
        Results by key, in the order of `arguments`, whichever was done first.
    """
    results: dict[_Key, _Result] = {}
    found = in_processes(function, arguments.values(), jobs=min(jobs, len(arguments)))
    for key, result in zip(arguments, found, strict=True):
        results[key] = result
        if tell is not None:
            tell(len(results), len(arguments))
    return results


def in_processes(
    function: Callable[..., _Result], arguments: Iterable[tuple[Any, ...]], *, jobs: int = 1
) -> Iterator[_Result]:
    """Call a function with each set of arguments, and give results as they come.

    Parameters
    ----------
    function, arguments, jobs
        As of :func:`run_each`; arguments may be made one by one.

    Returns
    -------
    iterator
        Results in the order of `arguments`.
    """
    if jobs <= 1:
        return _here(function, arguments)
    # The threads that Make's jobs may take are meant for one process. A process each that
    # takes them too is slower than one thread: half of the time they wait for each other.
    with parallel_config(backend="loky", inner_max_num_threads=1):
        # Shared arrays may be written to by whoever copies them first: torch wants that.
        parallel = Parallel(n_jobs=jobs, mmap_mode="c", return_as="generator")
        found: Iterator[_Result] = parallel(delayed(function)(*each) for each in arguments)
    return found


def _here(
    function: Callable[..., _Result], arguments: Iterable[tuple[Any, ...]]
) -> Iterator[_Result]:
    for each in arguments:
        with threadpool_limits(1):
            result = function(*each)
        yield result
