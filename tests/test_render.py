"""Executed notebook in, page out: complete, inert, and the same to the byte."""

import itertools
import json
import logging
import re

import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from sample_reports import (
    COMPOUNDS,
    HOSTILE,
    cell,
    hit_table,
    sample_notebook,
    sample_sidecar,
    write_sample,
)
from screenbook import report
from screenbook.report.outputs import MAX_WEBGL
from screenbook.report.page import duration
from screenbook.report.render import render_report
from screenbook.report.text import number


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A folder of sample reports, and the parsed page of the good one."""
    home = tmp_path_factory.mktemp("sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCREENBOOK_HOME", str(home))
        (home / "notebooks").mkdir()
        for name in ("02_center_batches", "03_map_wells", "04_score_rescue"):
            (home / "notebooks" / f"{name}.py").touch()
        return write_sample(home)


def parse(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


@pytest.fixture(scope="module")
def page(sample):
    return parse(sample / "03_map_wells.html")


def render(home, cells, sidecar=None, name="01_look"):
    """Render cells as a report; return its page."""
    executed, html = home / "build" / "r" / f"{name}.ipynb", home / "reports" / "r" / f"{name}.html"
    executed.parent.mkdir(parents=True, exist_ok=True)
    for index, each in enumerate(cells):
        each["id"] = f"cell-{index:02d}"
    nbformat.write(new_notebook(cells=cells), executed)
    render_report(executed, html, sidecar=sidecar or {})
    return parse(html)


def test_nothing_is_loaded_from_anywhere_but_the_folder(sample):
    for path in sample.parent.rglob("*.html"):
        for element in parse(path).find_all(src=True) + parse(path).find_all("link"):
            address = element.get("src") or element.get("href")
            if not address.startswith("data:"):
                target = path.parent / address
                assert target.is_file(), f"{path.name} loads {address}"
    for name in ("report.css", "report.js", "tables.js", "figures.js", "compounds.js"):
        text = (sample.parent / "assets" / name).read_text("utf-8")
        assert not re.search(r"https?:|@import|url\(", text), name


def test_links_and_ids_resolve(sample):
    for path in sample.parent.rglob("*.html"):
        tree = parse(path)
        ids = [element["id"] for element in tree.find_all(id=True)]
        assert len(ids) == len(set(ids)), path.name
        for link in tree.find_all("a", href=True):
            address = link["href"]
            if address.startswith("https:"):
                continue
            file, _, anchor = address.partition("#")
            target = path if not file else (path.parent / file)
            if link.get("rel"):  # neighbours may not be made yet; series.js corrects them
                continue
            assert target.exists(), f"{path.name} links to {address}"
            if anchor:
                assert parse(target).find(id=anchor), f"{path.name} links to {address}"
        for element in tree.find_all(attrs={"aria-labelledby": True}):
            assert element["aria-labelledby"] in ids


def test_the_page_opens_with_title_question_and_answer(page):
    assert page.html["lang"] == "en"
    assert page.title.text == "03 Map the wells · sample · screenbook"
    assert [h.get_text(" ", strip=True) for h in page.find_all("h1")] == ["03 Map the wells"]
    assert "Do wells of one state lie together" in page.find(class_="question").text
    answer = page.find(class_="answer")
    assert "12 of 60 compounds" in answer.text
    assert answer.strong.text == "0.98"
    assert "wells.zarr" in page.find(class_="files").text
    assert page.find("main", id="main")
    assert page.find("a", class_="skip")["href"] == "#main"


def test_headings_step_down_one_by_one_and_fill_the_contents(page):
    levels = [int(h.name[1]) for h in page.main.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    contents = [a.text for a in page.find(class_="contents").find_all("a")]
    assert contents == [
        "Which wells are there?",
        "The map",
        "Before centring",
        "On the plate",
        "The compounds",
        "What we found",
        "Methods and citations",
        "Provenance",
    ]


def test_hostile_names_are_text_everywhere(sample):
    for path in sample.parent.rglob("*.html"):
        tree = parse(path)
        for element in tree.find_all():
            assert not [name for name in element.attrs if name.startswith("on")]
            assert not element.get("href", "").startswith("javascript")
            assert element.name != "img" or element["src"].startswith("data:image/")
        for script in tree.find_all("script"):
            if not script.get("src"):
                assert script["type"] == "application/json"
                json.loads(script.string)
        assert "'unsafe-inline'" not in tree.find("meta", {"http-equiv": True})["content"]
    text = parse(sample / "03_map_wells.html").get_text()
    assert HOSTILE[0] in text
    assert HOSTILE[1] in text


def test_code_is_folded_and_parameters_are_a_table(page):
    folded = page.find_all("details", class_="code")
    assert folded
    assert not any(d.has_attr("open") for d in folded)
    code = "".join(d.get_text() for d in folded)
    assert "import numpy" in code
    assert "n_neighbors = 30" not in code  # the cells of parameters are the table
    rows = {
        row.th.text: [td.get_text(" ", strip=True) for td in row.find_all("td")]
        for row in page.find(class_="parameters").tbody.find_all("tr")
    }
    assert rows["n_neighbors"][:2] == ["30 changed", "15"]
    assert "neighbours of a well" in rows["n_neighbors"][2]
    assert "2 to 200" in rows["n_neighbors"][2]
    assert rows["seed"][:2] == ["0", "0"]
    assert rows["run"][0] == '"sample"'  # frames the report; not marked as changed
    assert "1 of 4" in page.find(class_="parameters").summary.text
    assert page.find(id="command").text == "make report NB=03 RUN=sample"


def test_figures_have_captions_alternatives_and_data(page):
    figures = page.find_all("figure", class_="figure")
    assert [f["id"] for f in figures] == [f"figure-{i}" for i in range(1, 5)]
    first = figures[0]
    assert first.figcaption.get_text(" ", strip=True).startswith("Figure 1. t-SNE map of 3,000")
    assert first.img["alt"].startswith("t-SNE map of 3,000 wells")
    assert first.img["src"].startswith("data:image/png;base64,")
    title = first.find(class_="figure-title").text
    assert title.startswith("Healthy and diseased wells lie apart")
    assert "wide" in first["class"]
    data = json.loads(first.script.string)
    assert "title" not in data["layout"]
    assert all("bdata" in trace["x"] for trace in data["data"])
    assert first.find("button", attrs={"data-csv": "figure-1"})


def test_repeated_names_are_written_once_and_can_be_restored(page):
    data = json.loads(page.find(id="figure-1-data").string)
    treated = next(trace for trace in data["data"] if trace["name"] == "treated")
    names = treated["customdata"]["columns"][0]
    assert sorted(names["names"]) == names["names"]
    assert set(names["names"]) == set(COMPOUNDS)
    assert names["codes"]["dtype"] == "u1"


def test_tables_show_their_first_page_without_scripts(page):
    table = page.find(id="table-2")
    heads = [th.get_text(" ", strip=True) for th in table.thead.find_all("th")]
    assert heads[2] == "dose (µM)"
    rows = table.tbody.find_all("tr")
    assert len(rows) == 10
    hits = hit_table()
    assert rows[3].find_all("td")[3].text == number(hits["on_axis"][3], 3)
    assert rows[5].find_all("td")[3].text == "–"
    assert "10 of 60 rows" in table.get_text()
    assert table.find(class_="scroll")["tabindex"] == "0"
    payload = json.loads(table.script.string)
    assert [len(column) for column in payload["data"]] == [60] * 8
    assert payload["file"] == "hits"


def test_stray_output_is_shown_as_text_and_warnings_only_in_the_log(home, caplog):
    with caplog.at_level(logging.WARNING):
        executed = home / "nb.ipynb"
        nbformat.write(sample_notebook(home), executed)
        html = home / "reports" / "sample" / "03_map_wells.html"
        render_report(executed, html, sidecar={})
    text = html.read_text("utf-8")
    assert "not for readers" not in text
    assert "UserWarning: not for readers" in caplog.text
    assert "a frame" in text  # of an output with HTML and text, the text


def test_provenance_tells_how_it_was_made(page):
    section = page.find(class_="provenance")
    facts = dict(
        zip(
            (dt.text for dt in section.dl.find_all("dt")),
            (dd.get_text(" ", strip=True) for dd in section.dl.find_all("dd")),
            strict=True,
        )
    )
    assert facts["run"] == "sample"
    assert facts["started"] == "2026-01-02 03:04 UTC"
    assert facts["took"] == "42 s"
    assert facts["seed"] == "0"
    assert "0123456789abcdef" in facts["code"]
    assert "uncommitted" in facts["code"]
    assert "make report NB=03" in facts["repeat with"]
    text = section.get_text()
    assert "ab" * 32 in text
    assert "plotly" in text
    assert len(page.find_all(id="provenance")) == 1


def test_a_failed_run_says_so_first_and_points_to_the_last_good_report(sample, home):
    failed = parse(sample / "04_score_rescue.failed.html")
    banner = failed.find(class_="stopped")
    assert "column 'plate' is missing" in banner.find(class_="message").text
    assert "InputError:" not in banner.find(class_="message").text  # the sentence says it all
    assert "\x1b" not in banner.pre.text
    assert "<b>wells.csv</b>" in banner.pre.text
    assert not banner.find_all("a")
    before_question = failed.find(class_="question").find_all_previous(class_="stopped")
    assert before_question
    open_code = failed.find_all("details", class_="code", open=True)
    assert [d.find(class_="highlight").text.strip() for d in open_code] == ["read_screen(path)"]

    good = home / "reports" / "r" / "01_look.html"
    good.parent.mkdir(parents=True)
    good.touch()
    error = new_output("error", ename="KeyError", evalue="'x'", traceback=["KeyError: 'x'"])
    page = render(home, [new_code_cell("f()", outputs=[error])], name="01_look.failed")
    assert page.find(class_="stopped").a["href"] == "01_look.html"
    assert page.find(class_="message").text == "KeyError: 'x'"


def test_a_dead_kernel_is_reported_from_the_sidecar(home):
    sidecar = {"state": "failed", "error": "the kernel died in cell 3"}
    page = render(home, [new_markdown_cell("# 01 Look")], sidecar)
    assert "kernel died in cell 3" in page.find(class_="stopped").text


def test_a_failed_gate_opens_the_report(home):
    gate = cell("gate()", lambda: report.gate(False, "Controls do not separate: AUC 0.52."))
    page = render(home, [new_markdown_cell("# 01 Look\n\n**Question.** Any?"), gate])
    top = page.find(class_="title").find(class_="gate")
    assert "failed" in top["class"]
    assert "AUC 0.52" in top.text
    assert page.find(id=top.a["href"][1:])


def test_neighbours_come_from_the_notebooks(page):
    assert page.find("a", rel="prev")["href"] == "02_center_batches.html"
    assert page.find("a", rel="next")["href"] == "04_score_rescue.html"
    assert page.find("a", string="Index")["href"] == "../index.html#sample"


def test_two_renders_are_the_same_to_the_byte(home, monkeypatch):
    files = []
    for _ in range(2):
        folder = write_sample(home)
        files.append({p.name: p.read_bytes() for p in folder.parent.rglob("*") if p.is_file()})
    assert files[0] == files[1]


def test_a_page_is_not_touched_when_nothing_changed(home):
    folder = write_sample(home)
    before = (folder / "03_map_wells.html").stat().st_mtime_ns
    shared = (folder.parent / "assets" / "plotly.min.js").stat().st_mtime_ns
    write_sample(home)
    assert (folder / "03_map_wells.html").stat().st_mtime_ns == before
    assert (folder.parent / "assets" / "plotly.min.js").stat().st_mtime_ns == shared


def test_a_bare_notebook_makes_a_bare_page(home):
    page = render(home, [new_code_cell("1 + 1")], name="scratch")
    assert page.h1.get_text(" ", strip=True) == "scratch"
    assert page.find(id="provenance")
    assert not page.find(class_="answer")
    assert not page.find("script", src=re.compile("plotly"))


def test_too_many_webgl_figures_are_warned_of(home, caplog):
    def figure():
        points = np.arange(3)
        report.show(go.Figure(go.Scattergl(x=points, y=points)), "One. Two.")

    with caplog.at_level(logging.WARNING):
        render(home, [cell("x", *[figure] * MAX_WEBGL)])
        assert not caplog.text
        render(home, [cell("x", *[figure] * (MAX_WEBGL + 1))])
    assert "7 WebGL figures" in caplog.text


def test_a_figure_without_caption_is_warned_of(home, caplog):
    data = {"application/vnd.plotly.v1+json": {"data": [], "layout": {"title": "T"}}}
    with caplog.at_level(logging.WARNING):
        page = render(home, [new_code_cell("fig", outputs=[new_output("display_data", data)])])
    assert "without caption" in caplog.text
    assert page.find(class_="figure-title").text == "T"


@pytest.mark.parametrize(
    ("layout", "top"),
    [
        ({}, 16),
        ({"annotations": [{"text": "panel", "y": 1.0, "yref": "paper"}]}, 40),
        ({"updatemenus": [{"y": 1.15, "buttons": [{}]}]}, 120 - 24 - 21 - 17),
        ({"updatemenus": [{"y": 0.9, "buttons": [{}]}]}, 16),
        ({"legend": {"y": 1.1}}, 120 - 24 - 21 - 17),
    ],
)
def test_a_lifted_title_leaves_the_panels_as_high_as_they_were(home, layout, top):
    title = {"text": "A title", "subtitle": {"text": "n = 3"}}
    figure = go.Figure(layout={"title": title, "height": 500, "margin": {"t": 120}, **layout})
    page = render(home, [cell("x", lambda: report.show(figure, "One. Two."))])
    lifted = json.loads(page.find(id="figure-1-data").string)["layout"]
    assert lifted["margin"]["t"] == top
    assert lifted["height"] == 500 - 120 + top
    assert page.find(class_="figure-title").text == "A title"
    assert page.find(class_="figure-subtitle").text == "n = 3"


def test_headings_never_take_the_ids_of_figures(home):
    draw = cell("x", lambda: report.show(go.Figure(), "One. Two."))
    page = render(home, [new_markdown_cell("# 01 Look\n\n## Figure 1\n\n## Main"), draw])
    ids = [element["id"] for element in page.find_all(id=True)]
    assert len(ids) == len(set(ids))


def test_the_sidecar_beside_the_page_is_read(home):
    html = home / "reports" / "r" / "01_look.html"
    html.parent.mkdir(parents=True)
    html.with_suffix(".json").write_text(json.dumps(sample_sidecar("r", "01_look")))
    executed = home / "nb.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# 01 Look")]), executed)
    render_report(executed, html)
    assert "42 s" in parse(html).find(class_="provenance").text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (None, "–")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
