"""What a reader can do with a report: find, sort, filter, leaf, download, change the theme."""

import csv

import pytest
from machine import CHROMIUM
from test_pages import blank_plots

from sample_reports import ALIAS, COMPOUNDS, HOSTILE, hit_table, wells

HITS = hit_table()


@pytest.fixture
def drawn(page):
    """The sample report, all figures drawn."""
    page.evaluate("screenbook.drawAll()")
    return page


@pytest.fixture
def page(tab, sample_folder):
    """The sample report; figures are drawn where they come into view."""
    tab.open(sample_folder / "03_map_wells.html")
    yield tab.page
    assert tab.errors == []
    assert tab.requests == []


def column(page, number, table="table-2"):
    cells = page.query_selector_all(f"#{table} tbody tr > :nth-child({number})")
    return [cell.inner_text() for cell in cells]


def status(page, table="table-2"):
    return page.inner_text(f"#{table} .rows")


def find(page, text):
    page.fill("#find", text)
    page.wait_for_timeout(250)
    return page.inner_text(".find output")


def selected_points(page, figure):
    """Number of points that stand out in a figure; None where nothing is selected."""
    counts = page.evaluate(
        f"document.querySelector('#{figure} .chart').data"
        ".map(t => t.selectedpoints ? t.selectedpoints.length : null)"
    )
    return None if all(n is None for n in counts) else sum(n or 0 for n in counts)


def saved(page, button, separator=","):
    """Click a download; return the file's name and its rows."""
    with page.expect_download() as waiting:
        page.click(button)
    with open(waiting.value.path(), encoding="utf-8", newline="") as handle:
        return waiting.value.suggested_filename, list(csv.reader(handle, delimiter=separator))


def test_a_drawing_that_fails_would_be_noticed(drawn):
    assert blank_plots(drawn) == []
    drawn.evaluate("Plotly.restyle(document.querySelector('#figure-1 .chart'), {visible: false})")
    assert blank_plots(drawn) == ["figure-1-data"]


def test_scripts_and_page_print_numbers_alike(new_tab, page, sample_folder):
    plain = new_tab(java_script_enabled=False)
    plain.page.goto((sample_folder / "03_map_wells.html").resolve().as_uri())
    for number in range(1, 9):
        assert column(plain.page, number) == column(page, number)


def test_without_scripts_the_page_still_tells_its_story(new_tab, sample_folder):
    page = new_tab(java_script_enabled=False).page
    page.goto((sample_folder / "03_map_wells.html").resolve().as_uri())
    assert len(column(page, 1)) == 10
    assert page.is_visible("#figure-1 .preview")
    assert page.is_visible(".no-script")
    assert not page.is_visible(".find")
    assert not page.is_visible(".theme")
    assert not page.is_visible("#figure-1 .tools")


def test_search_finds_a_compound_in_figures_and_tables(drawn):
    name = "SIM-012"
    in_map = int((wells()["compound"] == name).sum())
    told = find(drawn, name.lower())
    assert selected_points(drawn, "figure-1") == in_map
    assert "1 row" in told
    rows = drawn.query_selector_all("#table-2 tr.selected")
    assert [row.query_selector("th").inner_text() for row in rows] == [name]
    assert status(drawn).startswith("11–20 of 60")  # it has leafed to the row
    assert find(drawn, "") == ""
    assert selected_points(drawn, "figure-1") is None
    assert not drawn.query_selector_all("tr.selected")


def test_search_knows_other_names_lists_and_parts(page):
    find(page, ALIAS)
    assert page.inner_text("#table-2 tr.selected th") == "SIM-007"
    assert find(page, "SIM-001, sim-002").startswith("2 compounds")
    assert find(page, "SIM-01").startswith("10 compounds")
    assert find(page, HOSTILE[5]).endswith("1 row")  # a name with a comma in it
    assert find(page, "aspirin") == "not on this page"


def test_search_frames_wells_on_plates_and_dims_other_curves(drawn):
    find(drawn, COMPOUNDS[1])
    shapes = drawn.evaluate("document.querySelector('#figure-2 .chart').layout.shapes.length")
    cells = drawn.evaluate(
        "document.querySelector('#figure-2 .chart').data[0].customdata.flat()"
        f".filter(c => [c].flat()[0] === '{COMPOUNDS[1]}').length"
    )
    assert shapes == cells > 0
    opacity = drawn.evaluate("document.querySelector('#figure-3 .chart').data.map(t => t.opacity)")
    assert opacity == [0.12, 1, 0.12, 0.12, 0.12, 0.12]
    find(drawn, "")
    assert not drawn.evaluate("document.querySelector('#figure-2 .chart').layout.shapes.length")


def test_a_click_on_a_row_selects_everywhere_and_again_lets_go(drawn):
    drawn.click("#table-2 tbody tr:nth-child(3) button")
    assert drawn.input_value("#find") == "SIM-002"
    assert selected_points(drawn, "figure-1") == int((wells()["compound"] == "SIM-002").sum())
    drawn.click("#table-2 tr.selected button")
    assert drawn.input_value("#find") == ""
    assert selected_points(drawn, "figure-1") is None


def test_a_click_on_a_point_selects_everywhere(drawn):
    point = drawn.evaluate(
        """() => {
          const chart = document.querySelector('#figure-3 .chart');
          chart.scrollIntoView({block: 'center', behavior: 'instant'});
          const {xaxis, yaxis} = chart._fullLayout;
          const box = chart.getBoundingClientRect();
          const trace = chart._fullData[4];
          return [box.left + xaxis._offset + xaxis.d2p(trace.x[0]),
                  box.top + yaxis._offset + yaxis.d2p(trace.y[0])];
        }"""
    )
    drawn.mouse.move(*point)
    drawn.wait_for_timeout(200)
    drawn.mouse.click(*point)
    drawn.wait_for_timeout(400)
    assert drawn.input_value("#find") in COMPOUNDS[:6]
    assert len(drawn.query_selector_all("#table-2 tr.selected")) == 1


def test_hostile_names_can_be_searched_and_stay_text(page):
    for name in HOSTILE[:3]:
        find(page, name)
        assert page.inner_text("#table-2 tr.selected th") == name
    assert page.evaluate("window.hacked") is None


def test_a_selection_travels_in_the_address(new_tab, page, sample_folder):
    find(page, "SIM-003")
    assert page.url.endswith("#compound=SIM-003")
    assert page.get_attribute(".bar a[rel=next]", "href").endswith("#compound=SIM-003")
    other = new_tab()
    other.open(sample_folder / "03_map_wells.html", "#compound=SIM-003")
    assert other.page.input_value("#find") == "SIM-003"
    assert other.page.inner_text("#table-2 tr.selected th") == "SIM-003"


def test_tables_sort_by_number_and_by_text(page):
    head = "#table-2 thead th:nth-child(6)"
    page.click(f"{head} button")
    assert page.get_attribute(head, "aria-sort") == "ascending"
    ascending = HITS.sort_values("q")["compound"].tolist()
    assert column(page, 1) == ascending[:10]
    page.click(f"{head} button")
    assert page.get_attribute(head, "aria-sort") == "descending"
    assert column(page, 1) == ascending[::-1][:10]
    page.click(f"{head} button")
    assert page.get_attribute(head, "aria-sort") is None
    assert column(page, 1) == COMPOUNDS[:10]
    page.click("#table-2 thead th:nth-child(8) button")
    assert set(column(page, 8)) == {"kinase inhibitor"}


def test_missing_values_come_last_both_ways(page):
    page.click("#table-2 .tools button:text-is('Show all')")
    for _ in range(2):
        page.click("#table-2 thead th:nth-child(5) button")
        assert column(page, 5)[-1] == "–"


def test_tables_sort_from_the_keyboard(page):
    page.focus("#table-2 thead th:nth-child(4) button")
    page.keyboard.press("Enter")
    assert page.get_attribute("#table-2 thead th:nth-child(4)", "aria-sort") == "ascending"
    numbers = [int(text.replace(",", "")) for text in column(page, 4)]
    assert numbers == sorted(HITS["wells"])[:10]


def test_tables_filter_by_words_and_by_conditions(page):
    box = "#table-2 input[type=search]"
    page.fill(box, "kinase yes")
    wanted = HITS[(HITS["mechanism"] == "kinase inhibitor") & HITS["hit"]]
    assert f"{len(wanted)} found of 60" in status(page)
    page.fill(box, "q < 1e-3; wells>=1000")
    wanted = HITS[(HITS["q"] < 1e-3) & (HITS["wells"] >= 1_000)]
    assert f"{len(wanted)} found of 60" in status(page)
    page.fill(box, "nothing has this")
    assert status(page) == "none of 60 rows"
    assert column(page, 1) == []
    page.fill(box, "")
    assert status(page) == "1–10 of 60 rows"


def test_tables_leaf_through_their_pages(page):
    forth, back = (f"#table-2 .tools button:text-is('{t}')" for t in ("Next", "Previous"))
    assert page.is_disabled(back)
    for _ in range(5):
        page.click(forth)
    assert status(page) == "51–60 of 60 rows"
    assert page.is_disabled(forth)
    page.click(back)
    assert column(page, 1) == COMPOUNDS[40:50]
    page.click("#table-2 .tools button:text-is('Show all')")
    assert column(page, 1) == COMPOUNDS


@pytest.mark.parametrize(("button", "separator"), [("CSV", ","), ("TSV", "\t")])
def test_downloads_hold_all_rows_and_no_formula(page, button, separator):
    page.fill("#table-2 input[type=search]", "kinase")
    name, rows = saved(page, f"#table-2 .tools button:text-is('{button}')", separator)
    assert name == f"hits.{button.lower()}"
    assert rows.pop(0) == [
        "compound",
        "aliases",
        "dose (µM)",
        "wells",
        "on_axis (1 = disease)",
        "q",
        "hit",
        "mechanism",
    ]
    assert len(rows) == 60
    for row, truth in zip(rows, HITS.itertuples(), strict=True):
        guarded = truth.compound[0] in "=+-@"
        assert row[0] == ("'" if guarded else "") + truth.compound
        assert float(row[2]) == truth.dose
        assert float(row[5]) == pytest.approx(truth.q, rel=1e-6)
        assert row[4] == "" if truth.on_axis != truth.on_axis else float(row[4]) < 9
    assert sum(row[0].startswith("'") for row in rows) == 2


def test_the_data_of_a_figure_can_be_downloaded(page):
    name, rows = saved(page, "#figure-1 .tools button")
    assert name == "03_map_wells_figure-1.csv"
    assert rows.pop(0)[:4] == ["series", "t-SNE 1", "t-SNE 2", "compound"]
    truth = wells()
    assert len(rows) == len(truth)
    treated = truth[truth["role"] == "treated"]
    mine = [row for row in rows if row[0] == "treated"]
    assert [row[3].removeprefix("'") for row in mine] == treated["compound"].tolist()
    assert [float(row[1]) for row in mine] == pytest.approx(treated["x"].tolist(), rel=1e-5)
    _, plate = saved(page, "#figure-2 .tools button")
    assert len(plate) == 1 + 16 * 24


def test_the_theme_changes_figures_too_and_is_remembered(drawn):
    def ink():
        return drawn.eval_on_selector("#figure-3 .xtick text", "t => getComputedStyle(t).fill")

    light = ink()
    assert drawn.inner_text("button.theme") == "Theme: auto"
    drawn.click("button.theme")
    assert drawn.evaluate("document.documentElement.dataset.theme") == "light"
    drawn.click("button.theme")
    assert drawn.evaluate("document.documentElement.dataset.theme") == "dark"
    drawn.wait_for_timeout(300)
    assert ink() != light
    drawn.reload()
    assert drawn.evaluate("document.documentElement.dataset.theme") == "dark"
    assert drawn.inner_text("button.theme") == "Theme: dark"


def test_the_theme_follows_the_system_until_it_is_chosen(new_tab, sample_folder):
    page = new_tab(color_scheme="dark").open(sample_folder / "03_map_wells.html")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.emulate_media(color_scheme="light")
    page.wait_for_function("document.documentElement.dataset.theme === 'light'")


def test_code_unfolds_one_by_one_and_all_at_once(page):
    first = page.locator("details.code").first
    first.locator("summary").click()
    assert first.locator(".highlight").is_visible()
    page.click("button:text-is('Show all code')")
    shown = page.locator("details.code .highlight")
    assert all(shown.nth(i).is_visible() for i in range(shown.count()))
    page.click("button:text-is('Hide all code')")
    assert not first.locator(".highlight").is_visible()


def test_neighbours_follow_what_was_really_made(page):
    link = page.locator(".bar a[rel=next]")
    assert link.inner_text() == "04 ›"
    assert link.get_attribute("href").startswith("04_score_rescue.failed.html")
    link.click()
    page.wait_for_url("**/04_score_rescue.failed.html*")
    assert "stopped before its end" in page.inner_text(".stopped")


def test_the_command_can_be_copied(new_tab, sample_folder):
    tab = new_tab(permissions=["clipboard-read", "clipboard-write"])
    page = tab.open(sample_folder / "03_map_wells.html")
    page.click(".parameters summary")
    page.click("button[data-copy=command]")
    page.wait_for_selector("button[data-copy=command]:text-is('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == "make report NB=03 RUN=sample"


def test_figures_are_drawn_only_when_they_are_near(new_tab, sample_folder):
    page = new_tab(height=500).open(sample_folder / "03_map_wells.html")
    page.wait_for_timeout(500)
    assert page.locator("#figure-4 .preview").count() == 1
    page.locator("#figure-4").scroll_into_view_if_needed()
    page.wait_for_selector("#figure-4 .plot[data-drawn]")
    assert page.locator("#figure-4 .preview").count() == 0


def test_panels_side_by_side_keep_a_legible_width_on_a_phone(new_tab, sample_folder):
    def chart(**changes):
        """Change figure 4 before it comes into view, and draw it."""
        page = new_tab(width=360, height=500).open(sample_folder / "03_map_wells.html")
        page.evaluate(
            """changes => {
              const script = document.getElementById("figure-4-data");
              const figure = JSON.parse(script.textContent);
              Object.assign(figure.layout, changes);
              script.textContent = JSON.stringify(figure);
            }""",
            changes,
        )
        page.evaluate("screenbook.drawAll()")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        return page.eval_on_selector("#figure-4 .chart", "c => [c.clientWidth, c.layout.height]")

    panels = {"xaxis": {"domain": [0, 0.4]}, "xaxis2": {"domain": [0.6, 1]}}
    assert chart()[0] < 360
    assert chart(**panels)[0] > 500  # scrolls inside its box
    width, height = chart(**panels, meta={"narrow": {"height": 700, "xaxis.domain": [0, 1]}})
    assert width < 360  # the figure has an arrangement of its own
    assert height == 700


def test_without_webgl_points_are_drawn_as_svg_while_they_are_few(chromium, sample_folder):
    browser = chromium.browser_type.launch(
        executable_path=CHROMIUM, args=["--no-sandbox", "--disable-3d-apis"]
    )
    page = browser.new_page()
    page.goto((sample_folder / "03_map_wells.html").resolve().as_uri())
    page.evaluate("screenbook.drawAll()")
    assert page.locator("#figure-1 .scatterlayer .point").count() == len(wells())
    assert blank_plots(page) == []
    source = (sample_folder / "03_map_wells.html").read_text("utf-8")
    deep = sample_folder / "deep.html"
    deep.write_text(source.replace('"scattergl"', '"scatter3d"'), encoding="utf-8")
    try:
        page.goto(deep.resolve().as_uri())
        page.evaluate("screenbook.drawAll()")
        assert "no WebGL" in page.inner_text("#figure-1 .plot")
        assert page.is_visible("#figure-1 .preview")
    finally:
        deep.unlink()
        browser.close()


def test_contents_lead_to_their_sections(page):
    page.click(".contents a:text-is('The compounds')")
    page.wait_for_function(
        "document.getElementById('the-compounds').getBoundingClientRect().top < 200"
    )
    page.wait_for_selector(".contents a[aria-current]:text-is('The compounds')")
