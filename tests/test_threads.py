"""Jobs that run side by side share the cores."""

import os
import subprocess
import sys

import pytest

from screenbook import threads


@pytest.mark.parametrize(
    ("flags", "jobs"),
    [
        ("", 1),
        ("k", 1),
        (" -j2 --jobserver-auth=3,4", 2),
        ("k -j16 --jobserver-auth=fifo:/tmp/x --no-print-directory", 16),
        (" --no-print-directory -j4", 4),
        (" -j --no-print-directory", 8),
        (" -- P=k=-j9", 1),
    ],
)
def test_jobs_are_read_from_makes_flags(monkeypatch, flags, jobs):
    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.setenv("MAKEFLAGS", flags)
    assert threads.side_by_side() == jobs


@pytest.mark.parametrize(
    ("cores", "jobs", "share"), [(8, 2, "4"), (2, 2, "1"), (2, 16, "1"), (8, 1, "8")]
)
def test_every_pool_gets_its_share(monkeypatch, cores, jobs, share):
    monkeypatch.setattr(threads, "cores", lambda: cores)
    monkeypatch.setattr(os, "environ", {"MAKEFLAGS": f" -j{jobs}", "MKL_NUM_THREADS": "3"})
    threads.cap_threads()
    assert os.environ["OMP_NUM_THREADS"] == os.environ["DASK_NUM_WORKERS"] == share
    assert os.environ["MKL_NUM_THREADS"] == "3"  # the user's own limit stays


def test_make_tells_its_jobs_in_a_form_that_is_understood(tmp_path):
    program = "from screenbook.threads import side_by_side; print(side_by_side())"
    (tmp_path / "Makefile").write_text(f"all: ; @{sys.executable} -c '{program}'\n")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}

    def told(*options):
        command = ["make", "-s", "-C", str(tmp_path), *options]
        return int(subprocess.run(command, env=kept, capture_output=True, check=True).stdout)

    assert told() == 1
    assert told("-j3") == 3
    assert told("-k", "-j", "2") == 2


def test_importing_it_does_not_import_numpy():
    program = "import sys, screenbook.__main__; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
