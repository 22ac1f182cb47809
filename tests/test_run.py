"""The driver: what it leaves behind when a notebook ends well, ends badly, or never ends."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from screenbook.__main__ import main
from screenbook.errors import InputError, RunFailed
from screenbook.report.run import plan_run, run_notebook
from tiny_notebook import write_tiny_notebook


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout whose path has blanks and braces, with one notebook and one run."""
    home = tmp_path_factory.mktemp("a {checkout} of mine")
    for folder in ("params", "notebooks"):
        (home / folder).mkdir()
    (home / "params" / "mine.yml").write_text("common: {k: 4}\n")
    write_tiny_notebook(home)
    return home


@pytest.fixture(autouse=True)
def at_home(checkout, monkeypatch):
    monkeypatch.setenv("SCREENBOOK_HOME", str(checkout))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.delenv("MAKEFLAGS", raising=False)


def contents(folder):
    """Bytes of every file below a folder, by its path."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def good(checkout):
    """Bytes of the published files of a run that ended well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCREENBOOK_HOME", str(checkout))
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        run_notebook(plan_run("01", "mine"))
    return contents(checkout / "reports" / "mine")


def published(checkout):
    """Bytes of what the last good run published."""
    files = contents(checkout / "reports" / "mine")
    return {p: b for p, b in files.items() if "failed" not in p.name and p.name != "series.js"}


def test_a_good_run_leaves_notebook_tables_and_sidecar(checkout, good):
    built = checkout / "build" / "mine"
    assert {str(path) for path in good} == {
        "01_tiny.json",
        "tables/rows_01.tsv",
        "tables/dictionary.tsv",
    }
    notebook = nbformat.read(built / "01_tiny.ipynb", as_version=4)
    ids = [cell["id"] for cell in notebook.cells]
    assert ids == ["cell-00", "cell-01", "cell-injected", "cell-02", "cell-03", "cell-04"]
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert all(out.get("name") != "stderr" for out in outputs)
    log = (built / "01_tiny.log").read_text()
    assert "a warning" in log
    assert "straight to stderr" in log
    assert not list(built.glob("*.running.ipynb"))


def test_tables_are_described_in_the_dictionary(good):
    text = next(b for p, b in good.items() if p.name == "dictionary.tsv").decode()
    assert text.splitlines() == [
        "table\tnotebook\tcolumn\ttype\tmeaning",
        "rows_01\t01_tiny\trow\twhole number\tnumber of the row",
        "rows_01\t01_tiny\tthird\tnumber\ta third of it",
        "rows_01\t01_tiny\tname\ttext\ttext",
    ]


@pytest.mark.parametrize(
    ("mode", "error", "says"),
    [
        ("input", InputError, "01_tiny: rows.csv, column 'a', row 3 is empty: fill it"),
        ("error", RunFailed, "01_tiny: cell 5: ValueError: boom on two lines (see reports/mine/"),
        ("die", RunFailed, "the kernel died in cell 5, most often for want of memory"),
    ],
)
def test_a_failed_run_leaves_the_good_report(checkout, good, capfd, mode, error, says):
    write_mode(checkout, mode)
    with pytest.raises(error) as stop:
        run_notebook(plan_run("01", "mine"))
    write_mode(checkout, "good")
    message = str(stop.value)
    assert says in message
    assert "\n" not in message
    assert published(checkout) == good
    failed = json.loads((checkout / "reports" / "mine" / "01_tiny.failed.json").read_text())
    assert failed["state"] == "failed"
    assert failed["error"] == message
    page = (checkout / "reports" / "mine" / "01_tiny.failed.html").read_text()
    assert "This run stopped before its end" in page
    assert (checkout / "build" / "mine" / "01_tiny.failed.ipynb").is_file()
    assert not list((checkout / "build" / "mine").glob("*.running.ipynb"))
    printed = capfd.readouterr()
    assert printed.out.startswith("01_tiny  mine  stopped in cell 5 of 5 after ")
    assert printed.out.count("\n") == 1
    assert printed.err == ""


def write_mode(checkout, mode):
    section = "" if mode == "good" else f"01_tiny: {{mode: {mode}}}\n"
    (checkout / "params" / "mine.yml").write_text("common: {k: 4}\n" + section)


def test_the_next_good_run_gives_the_same_bytes_and_takes_the_failure_away(checkout, good):
    for name in ("reports/mine/01_tiny.failed.html", "build/mine/01_tiny.failed.ipynb"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("an old failure")
    run_notebook(plan_run("01", "mine"))
    assert published(checkout) == good
    assert not [p for p in checkout.rglob("*failed*") if p.is_file()]


def test_a_killed_run_leaves_the_good_report(checkout, good):
    built = contents(checkout / "build" / "mine")
    command = [sys.executable, "-m", "screenbook", "run", "01", "--run", "mine"]
    write_mode(checkout, "slow")
    process = subprocess.Popen(command, start_new_session=True)
    growing = checkout / "build" / "mine" / "01_tiny.running.ipynb"
    until = time.monotonic() + 60
    while not (growing.is_file() and b"A line. It rises." in growing.read_bytes()):
        assert time.monotonic() < until, "the notebook never came to its third cell"
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    write_mode(checkout, "good")
    assert published(checkout) == good
    after = contents(checkout / "build" / "mine")
    assert (
        after[next(p for p in after if p.name == "01_tiny.ipynb")]
        == built[next(p for p in built if p.name == "01_tiny.ipynb")]
    )


def test_variants_stand_beside_their_run_and_are_repeated_as_they_were_made(checkout, good):
    plan = plan_run("01", "mine", ["k=7"])
    assert (plan.run, plan.parameters["k"], plan.parameters["run"]) == ("mine@k-7", 7, "mine@k-7")
    assert (
        main(["run", "01", "--run", "mine", "--set", "k=7", "mode=no_table", "--as", "seven"]) == 0
    )
    sidecar = json.loads((checkout / "reports" / "mine@seven" / "01_tiny.json").read_text())
    assert list(sidecar["headline"].items()) == [("rows", 7), ("last", 6)]
    assert sidecar["command"] == "make report NB=01 RUN=mine P='k=7 mode=no_table' AS=seven"
    assert published(checkout) == good
    again = plan_run("01", "mine@seven")
    assert again.run == "mine@seven"
    assert again.parameters == sidecar["parameters"]
    assert again.overrides == ("k=7", "mode=no_table")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "01", "--run", "mine", "--set", "kk=3"], "01_tiny does not take 'kk'"),
        (["run", "01", "--run", "mine", "--set", "k=3.5"], "a whole number from 1 to 10, not 3.5"),
        (["run", "01", "--run", "mine", "--set", "k=11"], "a whole number from 1 to 10, not 11"),
        (["run", "01", "--run", "mine", "--set", "mode=x"], "one of good, no_table"),
        (["run", "02", "--run", "mine"], "'02' is no notebook"),
        (["run", "01", "--run", "nobody"], "params/nobody.yml is not there"),
        (["run", "01", "--run", "../mine"], "is not a name"),
        (["run", "01", "--run", "mine", "--set", "k=3", "--as", "a/b"], "is not a name"),
        (["settings", "nobody"], "params/nobody.yml is not there"),
        (["render", "01", "--run", "mine@none"], "run 'make report NB=01 RUN=mine@none'"),
    ],
)
def test_bad_input_is_one_line_exit_2_and_nothing_written(checkout, capfd, arguments, says):
    before = contents(checkout)
    assert main(arguments) == 2
    printed = capfd.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert contents(checkout) == before


def test_settings_that_stay_the_same_keep_their_time(checkout):
    write_mode(checkout, "good")
    assert main(["settings", "mine"]) == 0
    files = {p: p.stat().st_mtime_ns for p in (checkout / "build/mine/settings").iterdir()}
    assert {p.name for p in files} == {
        *("screen.json", "images.json", "expression.json", "01_tiny.json")
    }
    (checkout / "params" / "mine.yml").write_text("screen: {a: 1}\ncommon: {k: 4}\n")
    assert main(["settings", "mine"]) == 0
    changed = {p.name for p, time in files.items() if p.stat().st_mtime_ns != time}
    assert changed == {"screen.json"}
