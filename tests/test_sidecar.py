"""The facts of a run, harvested from what its notebook says."""

import json
import shlex
import subprocess

import nbformat.v4 as v4
import pytest

from screenbook.report.show import MIME, PLOTLY_MIME
from screenbook.report.sidecar import (
    KEYS,
    command,
    describe_run,
    git_state,
    harvest,
    sha256,
    title_and_question,
    versions,
    write_sidecar,
)


def says(kind, **spec):
    return v4.new_output("display_data", {MIME: {"kind": kind, **spec}})


def notebook(*outputs, prose="# 02 Centre it\n\n**Question.** What does\nbatch do?\n\nMore."):
    code = v4.new_code_cell("x", outputs=list(outputs))
    return v4.new_notebook(cells=[v4.new_markdown_cell(prose), code])


def describe(book, **changes):
    given = {
        "run": "mine",
        "name": "02_center",
        "parameters": {"run": "mine", "k": 4},
        "defaults": {"run": "simulated", "k": 3},
        "overrides": [],
        "started": 0.0,
        "seconds": 12.345,
    }
    return describe_run(book, harvest(book), **(given | changes))


def test_every_kind_is_harvested_once():
    book = notebook(
        v4.new_output("stream", name="stdout", text="x"),
        says("headline", numbers={"a": 1, "b": 2.5}),
        says("headline", numbers={"a": 3}),
        says("answer", text="So *much*."),
        says("gate", passed=True, text="fine"),
        says("reads", path="build/mine/x"),
        says("reads", path="build/mine/x"),
        says("writes", path="build/mine/y"),
        says("saved", name="t", path="build/mine/tables/t.tsv", columns={}),
        says("saved", name="t", path="build/mine/tables/t.tsv", columns={"a": "b"}),
        says("say", text="nothing for the sidecar"),
    )
    found = harvest(book)
    assert found.headline == {"a": 3, "b": 2.5}
    assert found.answer == "So *much*."
    assert found.gates == [{"passed": True, "text": "fine"}]
    assert found.reads == ["build/mine/x"]
    assert found.writes == ["build/mine/y"]
    assert [s["columns"] for s in found.saved] == [{"a": "b"}]
    assert found.figure is None


@pytest.mark.parametrize(
    ("marks", "taken"), [([0, 0], 0), ([0, 1], 1), ([0, 1, 1], 1), ([1, 0], 0)]
)
def test_the_figure_marked_first_stands_for_the_report(marks, taken):
    figures = [
        v4.new_output(
            "display_data",
            {
                MIME: {"kind": "figure", "caption": "", "thumbnail": bool(mark)},
                PLOTLY_MIME: {"data": [], "layout": {"n": i}},
            },
        )
        for i, mark in enumerate(marks)
    ]
    assert harvest(notebook(*figures)).figure["layout"] == {"n": taken}
    assert describe(notebook(*figures))["thumbnail"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("prose", "both"),
    [
        (
            "# 02 Centre it\n\n**Question.** What does\nbatch do?\n\nMore.",
            ("Centre it", "What does batch do?"),
        ),
        ("# Centre it\n\n**Question**: Why?", ("Centre it", "Why?")),
        ("Only words, # and **Question** among them", ("", "")),
    ],
)
def test_title_and_question_are_read_from_the_prose(prose, both):
    assert title_and_question(notebook(prose=prose)) == both


def test_keys_their_order_and_their_values(home):
    (home / "build").mkdir()
    (home / "build" / "in.txt").write_text("abc")
    book = notebook(
        says("reads", path="build/in.txt"),
        says("reads", path="build/gone"),
        says("gate", passed=False, text="no separation"),
    )
    sidecar = describe(book)
    assert tuple(sidecar) == KEYS
    assert sidecar["inputs"] == [
        {
            "path": "build/in.txt",
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        },
        {"path": "build/gone", "sha256": None},
    ]
    assert sidecar["state"] == "gate failed"
    assert sidecar["started"] == "1970-01-01T00:00:00Z"
    assert sidecar["seconds"] == 12.3
    assert sidecar["git"] is None
    assert describe(notebook())["state"] == "done"
    assert describe(book, error="boom")["state"] == "failed"


def test_source_date_epoch_stops_the_clock(home, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first, second = describe(notebook()), describe(notebook(), started=5e8, seconds=99.0)
    assert first == second
    assert first["started"] == "2023-11-14T22:13:20Z"
    assert first["seconds"] == 0.0


def test_the_file_is_json_that_ends_in_a_line(home):
    path = home / "reports" / "mine" / "02_center.json"
    write_sidecar(describe(notebook()), path)
    assert path.read_bytes().endswith(b"}\n")
    assert json.loads(path.read_text())["notebook"] == "02_center"
    with pytest.raises(ValueError, match="Out of range float"):
        write_sidecar({"seconds": float("nan")}, path)
    assert json.loads(path.read_text())["notebook"] == "02_center"
    assert [p.name for p in path.parent.iterdir()] == ["02_center.json"]


def test_a_folder_is_hashed_by_names_and_contents(tmp_path):
    def made(name, files):
        for path, text in files.items():
            target = tmp_path / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return sha256(tmp_path / name)

    base = made("a", {"x/1": "one", "y": "two"})
    assert made("b", {"y": "two", "x/1": "one"}) == base
    assert made("c", {"x/1": "one", "y": "too"}) != base
    assert made("d", {"x/2": "one", "y": "two"}) != base
    assert made("e", {"x/1": "one"}) != base


@pytest.mark.parametrize(
    ("run", "overrides", "line"),
    [
        ("mine", [], "make report NB=04 RUN=mine"),
        ("mine@k-3", ["k=3"], "make report NB=04 RUN=mine P=k=3"),
        ("mine@strict", ["k=3"], "make report NB=04 RUN=mine P=k=3 AS=strict"),
        ("mine@k-3", [], "make report NB=04 RUN=mine@k-3"),
    ],
)
def test_the_command_repeats_the_run(run, overrides, line):
    assert command("04_score", run, overrides) == line


@pytest.mark.parametrize("texts", [["a=x y", "b='q'"], ['l=$HOME "z"'], ["d=[1, 2]"]])
def test_quoting_survives_shell_and_make(tmp_path, texts):
    makefile = tmp_path / "Makefile"
    makefile.write_text("report: ; @printf '%s\\n' $(P)\n")
    words = shlex.split(command("04_score", "mine@v", texts))
    done = subprocess.run(
        ["make", "--no-print-directory", "-s", "-C", tmp_path, *words[1:]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == texts


def test_versions_name_what_the_project_asks_for(home):
    (home / "constraints.txt").write_text("x==1\n")
    found = versions()
    assert list(found)[:2] == ["python", "screenbook"]
    assert {"papermill", "anndata", "torch", "constraints.txt"} <= set(found)
    assert "pytest" not in found


def test_git_tells_commit_and_changes(home):
    assert git_state() is None
    git = ["git", "-C", str(home), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert git_state() is None  # no commit yet
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    assert not git_state()["dirty"]
    (home / "new.py").write_text("1")
    assert git_state()["dirty"]
    assert len(git_state()["commit"]) == 40
