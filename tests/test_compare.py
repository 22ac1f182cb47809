"""Two runs side by side: planted differences are found, and no others."""

import json

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from sample_reports import HOSTILE, sample_sidecar
from screenbook.errors import InputError
from screenbook.report.compare import compare_runs


def put(home, run, notebook="03_map_wells", table=None, **changes):
    folder = home / "reports" / run
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    sidecar = sample_sidecar(run, notebook, **changes)
    (folder / f"{notebook}.json").write_text(json.dumps(sidecar))
    (folder / f"{notebook}.html").touch()
    if table is not None:
        table.to_csv(folder / "tables" / "hits.tsv", sep="\t", index=False)


def compared(a="a", b="b"):
    return BeautifulSoup(compare_runs(a, b).read_text("utf-8"), "html.parser")


def rows(page, caption):
    """Rows of the table under a caption, or [] if there is none."""
    for figure in page.find_all("figure"):
        if caption in figure.figcaption.text:
            payload = json.loads(figure.script.string)
            return list(zip(*payload["data"], strict=True))
    return []


def ranked(n=40):
    rng = np.random.default_rng(0)
    names = [f"SIM-{i}" for i in range(n)]
    return pd.DataFrame(
        {"compound": names, "cell_type": "A", "score": rng.normal(size=n), "note": "x"}
    )


def test_parameters_headlines_and_versions_that_differ_are_shown(home):
    put(home, "a", headline={"hits": 12, "auc": 0.5, "same": 1.0, "gone": 1})
    put(
        home,
        "b",
        headline={"hits": 15, "auc": None, "same": 1.0},
        parameters={"run": "b", "seed": 0, "n_neighbors": 50, "method": "auto"},
        versions={"python": "3.11.7", "plotly": "8.0"},
        answer="No.",
    )
    page = compared()
    assert rows(page, "Parameters that differ") == [("n_neighbors", "30", "50")]
    assert rows(page, "Versions that differ") == [("plotly", "7.1.0", "8.0")]
    assert rows(page, "Headline numbers") == [
        ("hits", "12", "15", "+3", "+25.0%"),
        ("auc", "0.5", "–", "", ""),
        ("same", "1", "1", "0", ""),
        ("gone", "1", "–", "", ""),
    ]
    assert "No." in page.find_all(class_="answer")[1].text


def test_a_run_and_itself_under_another_name_differ_in_nothing(home):
    for run in ("a", "a@k-1"):
        inputs = [{"path": f"build/{run}/wells.zarr", "sha256": "ab" * 32}]
        put(home, run, table=ranked(), inputs=inputs)
    page = compared("a", "a@k-1")
    assert "The parameters are the same." in page.text
    assert "The same in both runs" in page.text
    assert rows(page, "Inputs that differ") == []
    assert not page.find_all(class_="answer")


def test_changed_inputs_are_named(home):
    put(home, "a", inputs=[{"path": "build/a/w.zarr", "sha256": "ab" * 32}])
    put(home, "b", inputs=[{"path": "build/b/w.zarr", "sha256": "cd" * 32}])
    assert rows(compared(), "Inputs that differ") == [("w.zarr", "ab" * 6, "cd" * 6)]


def test_rows_added_lost_changed_and_moved_are_found(home):
    before = ranked()
    after = before.drop(index=[3, 7]).reset_index(drop=True)
    after.loc[after["compound"] == "SIM-9", "score"] += 0.5
    after.loc[after["compound"] == "SIM-11", "note"] = "y"
    new = pd.DataFrame({"compound": ["SIM-new"], "cell_type": "A", "score": 0.0, "note": "x"})
    last = after.iloc[[-1]]
    after = pd.concat([last, after.iloc[:-1], new])  # the last one takes the lead
    put(home, "a", table=before)
    put(home, "b", table=after)
    page = compared()
    assert rows(page, "in A only") == [("SIM-3",), ("SIM-7",)]
    assert rows(page, "in B only") == [("SIM-new",)]
    assert rows(page, "values changed") == [("score", 1, 38, 0.5), ("note", 1, 38, None)]
    moved = rows(page, "moved")
    assert moved[0] == ("SIM-39", 38, 1, 37)
    assert {move[3] for move in moved[1:]} == {-1}  # all others gave way by one place
    assert len(moved) == 38


def test_values_that_only_went_through_a_file_are_no_change(home):
    table = ranked()
    table["score"] = table["score"] * np.pi * 1e-20
    put(home, "a", table=table)
    put(home, "b", table=table.assign(note="y"))
    assert [row[0] for row in rows(compared(), "values changed")] == ["note"]


def test_rows_are_matched_by_as_many_leading_columns_as_it_takes(home):
    twice = pd.concat([ranked(5), ranked(5).assign(cell_type="B")])
    put(home, "a", table=twice)
    put(home, "b", table=twice.iloc[:-1])
    page = compared()
    assert "matched by compound, cell_type" in page.text
    assert rows(page, "in A only") == [("SIM-4", "B")]


def test_rows_that_cannot_be_told_apart_are_not_matched(home):
    table = pd.DataFrame({"score": np.linspace(0, 1, 5)})
    put(home, "a", table=table)
    put(home, "b", table=table + 0.1)
    assert "cannot be matched" in compared().text


def test_columns_of_one_side_only_are_named(home):
    put(home, "a", table=ranked())
    put(home, "b", table=ranked().assign(extra=1))
    assert "Columns in B only: extra" in compared().text


def test_reports_of_one_side_only_are_named(home):
    put(home, "a", "01_x")
    put(home, "a", "02_y")
    put(home, "b", "02_y")
    assert "Only a has 01_x." in compared().text


def test_names_are_text(home):
    table = ranked(len(HOSTILE)).assign(compound=HOSTILE)
    put(home, "a", table=table, answer=HOSTILE[0], title=HOSTILE[1])
    put(home, "b", table=table.iloc[::-1], answer=HOSTILE[2], title=HOSTILE[1])
    page = compared()
    assert not page.find_all("img")
    assert all(s.get("src") or s["type"] == "application/json" for s in page.find_all("script"))
    assert HOSTILE[0] in page.text


def test_the_page_is_the_same_each_time(home):
    put(home, "a", table=ranked())
    put(home, "b", table=ranked().iloc[::-1])
    first = compare_runs("a", "b").read_bytes()
    assert compare_runs("a", "b").read_bytes() == first
    assert compare_runs("a", "b") == home / "reports" / "compare-a-vs-b.html"


def test_runs_that_are_not_there_are_refused(home):
    put(home, "a")
    with pytest.raises(InputError, match=r"'b' has no reports.*make reports RUN=b"):
        compare_runs("a", "b")
    with pytest.raises(InputError, match="given twice"):
        compare_runs("a", "a")
    with pytest.raises(InputError, match="not a name"):
        compare_runs("a", "../b")
