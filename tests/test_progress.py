"""One line for each notebook; on a terminal it is rewritten while the notebook runs."""

import io
import re
import time
from contextlib import redirect_stdout
from types import SimpleNamespace

import pytest

from screenbook.report import progress
from screenbook.report.progress import Progress, tell

CODE, PROSE = SimpleNamespace(cell_type="code"), SimpleNamespace(cell_type="markdown")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    monkeypatch.setattr(progress, "_EVERY", 0.01)


def run_two_cells(stream):
    with redirect_stdout(stream), Progress("01_tiny  mine", 2) as line:
        line.cell(PROSE, 0)
        line.cell(CODE, 1)
        for _ in range(100):  # until the clock has ticked, on a terminal
            if "cell" in stream.getvalue():
                break
            time.sleep(0.01)
        line.cell(CODE, 2)
        line.done()
    return stream.getvalue()


def wait_for(stream, text):
    for _ in range(200):
        if text in stream.getvalue():
            return
        time.sleep(0.01)
    raise AssertionError(f"{text!r} never came: {stream.getvalue()!r}")


def test_away_from_a_terminal_there_is_one_line(quick):
    assert re.fullmatch(r"01_tiny  mine  2 cells in \d\.\d s\n", run_two_cells(io.StringIO()))


def test_on_a_terminal_the_line_lives(quick):
    text = run_two_cells(Terminal())
    assert "\r\x1b[K01_tiny  mine  cell 1 of 2, " in text
    assert text.count("\n") == 1
    assert re.search(r"\r\x1b\[K01_tiny  mine  2 cells in \d\.\d s\n$", text)


def test_what_a_long_cell_tells_joins_the_line_until_its_cell_ends(quick):
    stream = Terminal()
    with redirect_stdout(stream), Progress("01_tiny  mine", 2) as line:
        line.cell(CODE, 0)
        tell("step 3\n of 9")
        wait_for(stream, "cell 1 of 2, 0.0 s, step 3 of 9")
        line.cell(CODE, 1)
        wait_for(stream, "cell 2 of 2, ")
        line.done()
    assert "step" not in stream.getvalue().rpartition("cell 2 of 2")[2]


def test_outside_of_the_driver_the_last_text_stands_below_the_cell(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_display", None)
    tell("step 1")
    tell("step 2")
    assert "step 1" in capsys.readouterr().out


def test_notebooks_side_by_side_do_not_write_over_each_other(quick, monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", " -j2")
    assert "\r" not in run_two_cells(Terminal())


def test_a_failure_says_where(capsys):
    with Progress("01_tiny  mine", 5) as line:
        line.cell(CODE, 0)
        line.failed()
    assert "stopped in cell 1 of 5 after 0.0 s" in capsys.readouterr().out


def test_an_exception_stops_the_clock(quick):
    with (
        redirect_stdout(Terminal()),
        pytest.raises(KeyError),
        Progress("01_tiny  mine", 5) as line,
    ):
        raise KeyError
    assert not line._ticker.is_alive()
