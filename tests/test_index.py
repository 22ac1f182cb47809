"""The index: every run and report, from the sidecars alone."""

import json

import pytest
from bs4 import BeautifulSoup

from sample_reports import HOSTILE, sample_sidecar
from screenbook.report.index import write_index
from screenbook.report.series import neighbours, read_sidecars


def put(home, run, notebook, *, failed=False, html=True, **changes):
    """Write a sidecar, and a page to link to."""
    folder = home / "reports" / run
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{notebook}.failed" if failed else notebook
    sidecar = sample_sidecar(run, notebook, **changes)
    if failed:
        sidecar |= {"state": "failed", "error": "out of memory"}
    (folder / f"{stem}.json").write_text(json.dumps(sidecar))
    if html:
        (folder / f"{stem}.html").touch()
    return folder


def index(home):
    write_index(home / "reports")
    return BeautifulSoup((home / "reports" / "index.html").read_text("utf-8"), "html.parser")


def test_without_runs_it_says_how_to_make_one(home):
    page = index(home)
    assert "make reports" in page.main.text
    assert (home / "reports" / "assets" / "report.css").is_file()


def test_a_report_is_listed_with_question_answer_and_time(home):
    put(home, "fast", "03_map_wells", thumbnail="data:image/png;base64,AAAA")
    card = index(home).find("li", recursive=True)
    assert card.h3.get_text(" ", strip=True) == "03 Map the wells"
    assert card.h3.a["href"] == "fast/03_map_wells.html"
    assert "Do wells of one state" in card.text
    assert card.strong.text == "0.98"
    assert card.img["src"] == "data:image/png;base64,AAAA"
    assert "42 s" in card.text
    assert "2026-01-02 03:04 UTC" in card.text


def test_text_of_sidecars_is_text(home):
    hostile = " ".join(HOSTILE)
    put(home, "fast", "01_a", title=hostile, question=hostile, answer=hostile)
    put(home, "fast", "02_b", failed=True, title=hostile)
    page = index(home)
    assert not page.find_all("img")
    assert not [s for s in page.find_all("script") if not s.get("src")]
    assert "<img src=x" in page.main.text
    series = (home / "reports" / "fast" / "series.js").read_text("utf-8")
    assert "</script>" not in series
    assert "\u2028" not in series


def test_reports_come_in_order_and_variants_behind_their_run(home):
    for run in ("simulated@k-30", "simulated", "simulated-b", "fast"):
        for notebook in ("02_b", "01_a", "10_c"):
            put(home, run, notebook)
    page = index(home)
    runs = [h2["id"] for h2 in page.find_all("h2")]
    assert runs == ["fast", "simulated", "simulated@k-30", "simulated-b"]
    numbers = [span.text for span in page.section.find_all(class_="number")]
    assert numbers == ["01", "02", "10"]


def test_a_failure_is_told_and_the_last_good_report_kept_at_hand(home):
    put(home, "fast", "01_a", answer="Old answer.")
    put(home, "fast", "01_a", failed=True, answer=None)
    put(home, "fast", "02_b", state="gate failed")
    page = index(home)
    assert "1 failed" in page.find(class_="facts").text
    assert "control gate failed in 1" in page.find(class_="facts").text
    card = page.find("ol", class_="cards").li
    assert card.h3.a["href"] == "fast/01_a.failed.html"
    assert "out of memory" in card.text
    assert "Old answer" not in card.text
    assert card.find("a", string="last completed report")["href"] == "fast/01_a.html"


def test_the_latest_run_is_marked(home):
    put(home, "a", "01_a", started="2026-01-01T00:00:00Z")
    put(home, "b", "01_a", started="2026-03-01T00:00:00Z")
    newest = index(home).find_all(class_="newest")
    assert [mark.find_parent("section")["aria-labelledby"] for mark in newest] == ["b"]


def test_tables_and_comparisons_are_linked(home):
    folder = put(home, "fast", "01_a")
    (folder / "tables").mkdir()
    for name in ("hits", "dictionary"):
        (folder / "tables" / f"{name}.tsv").touch()
    (home / "reports" / "compare-fast-vs-fast@k-1.html").touch()
    links = [a["href"] for a in index(home).main.find_all("a")]
    assert "fast/tables/hits.tsv" in links
    assert "fast/tables/dictionary.tsv" in links
    assert "compare-fast-vs-fast@k-1.html" in links


def test_broken_or_foreign_files_do_no_harm(home):
    folder = put(home, "fast", "01_a")
    (folder / "02_b.json").write_text("{")
    (folder / "03_c.json").write_text("[1]")
    (folder / "notes.json").write_text("{}")
    (home / "reports" / "empty").mkdir()
    (home / "reports" / "README.md").touch()
    assert [s["notebook"] for s in read_sidecars(folder)] == ["01_a"]
    assert len(index(home).find_all("section")) == 1


def test_an_almost_empty_sidecar_is_enough(home):
    folder = home / "reports" / "fast"
    folder.mkdir(parents=True)
    (folder / "01_look_here.json").write_text("{}")
    assert "look here" in index(home).main.text


def test_the_index_is_the_same_each_time(home):
    put(home, "fast", "01_a")
    index(home)
    first = (home / "reports" / "index.html").read_bytes()
    index(home)
    assert (home / "reports" / "index.html").read_bytes() == first


@pytest.mark.parametrize(
    ("run", "notebook", "expected"),
    [
        ("fast", "01_a", (None, "02_b.html")),
        ("fast", "02_b", ("01_a.html", None)),
        ("fast@k-1", "01_a", (None, None)),
        ("fast", "09_unknown", (None, None)),
    ],
)
def test_neighbours_are_those_of_the_checkout(home, run, notebook, expected):
    for name in ("01_a", "02_b"):
        (home / "notebooks" / f"{name}.py").touch()
    found = neighbours(run, notebook)
    assert tuple(page and page["href"] for page in found) == expected
