"""Selecting a compound anywhere lights it everywhere: in tables and in every figure of hits."""

import sys
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from test_pages import blank_plots, scroll_through

import planted_figures as planted
from sample_reports import cell, sample_sidecar
from screenbook import report

NAME = "04_search_hits"
FIGURES = [
    *("volcano", "plane", "ranks", "nulls", "wells", "evidence", "slopes", "map", "contrast"),
    *("curves", "chosen"),
]


def figures():
    """One figure of each kind, by name."""
    from screenbook.figures import hits as draw
    from screenbook.figures.dose_curves import DoseTables, chosen_dose_curve, dose_curves
    from screenbook.figures.hit_context import cell_type_contrast, hits_on_map
    from screenbook.figures.searches import search_comparison, search_ranks

    hits, treatments, wells = planted.hits(), planted.treatments(), planted.wells()
    searches, said = planted.searches(), {"title": "Compounds bring cells back"}
    treated = wells[wells["role"] == "treated"]
    tables = DoseTables(treated, treatments, planted.curves(), hits, planted.controls())
    return {
        "volcano": draw.volcano(treatments, level=0.1, **said),
        "plane": draw.on_off_plane(hits, controls=planted.controls(), **said),
        "ranks": draw.rank_whiskers(hits, **said),
        "nulls": draw.null_agreement(treatments, level=0.1, **said),
        "wells": search_comparison(searches, hits, **said),
        "evidence": search_comparison(searches, hits, against="evidence", **said),
        "slopes": search_ranks(searches, hits, **said),
        "map": hits_on_map(wells, hits, **said),
        "contrast": cell_type_contrast(planted.contrasts(), treatments=treatments, **said),
        "curves": dose_curves(tables, planted.NAMES[:4], **said),
        "chosen": chosen_dose_curve(tables, planted.NAMES, **said),
    }


@pytest.fixture(scope="module")
def hits_page(tmp_path_factory):
    """A report with a table of hits and all its figures."""
    from screenbook.report.render import render_report
    from screenbook.report.sidecar import write_sidecar

    home = tmp_path_factory.mktemp("hits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCREENBOOK_HOME", str(home))
        table = planted.hits()[["compound", "cell_type", "call", "q"]]
        calls = [lambda: report.show_table(table, "All compounds.", rows=20, file="hits")]
        caption = "Compounds, one point for each. Some are lit."
        calls += [lambda fig=fig: report.show(fig, caption) for fig in figures().values()]
        cells = [
            new_markdown_cell("# 04 Search hits\n\n**Question.** Which compounds?"),
            new_code_cell('run: str = "sample"  # run', metadata={"tags": ["parameters"]}),
            cell("show(...)", *calls),
        ]
        for number, each in enumerate(cells):
            each["id"] = f"cell-{number}"
        folder = home / "reports" / "sample"
        executed = home / "build" / "sample" / f"{NAME}.ipynb"
        executed.parent.mkdir(parents=True)
        folder.mkdir(parents=True)
        nbformat.write(new_notebook(cells=cells), executed)
        write_sidecar(sample_sidecar(notebook=NAME), folder / f"{NAME}.json")
        render_report(executed, folder / f"{NAME}.html")
    return folder / f"{NAME}.html"


@pytest.fixture(scope="module")
def drawn(tab_maker, hits_page):
    """The page in one tab, all figures drawn."""
    tab = tab_maker()
    tab.open(hits_page)
    tab.page.evaluate("screenbook.drawAll()")
    return tab


@pytest.fixture
def page(drawn):
    drawn.page.evaluate("screenbook.select('')")
    yield drawn.page
    assert drawn.errors == []
    assert drawn.requests == []
    assert drawn.page.evaluate("window.hacked") is None


# For each figure: names whose points, lines or whiskers stand out, and whether anything is dimmed.
_LIT = """() => Object.fromEntries(screenbook.all(".chart").map((chart) => {
  const name = (row) => (Array.isArray(row) ? row[0] : row);
  const lit = new Set(), dim = new Set(), whiskers = new Set();
  for (const trace of chart.data) {
    if (trace.meta !== "compound" || !trace.customdata) continue;
    const whole = trace.opacity !== undefined && trace.opacity < 0.2;
    Array.from(trace.customdata, name).forEach((compound, i) => {
      if (!compound) return;
      const chosen = trace.selectedpoints ? trace.selectedpoints.includes(i) : true;
      (chosen && !whole ? lit : dim).add(compound);
      for (const bars of [trace.error_x, trace.error_y]) {
        if (bars && bars.array && bars.array[i] !== null && !whole) whiskers.add(compound);
      }
    });
  }
  return [chart.closest("figure").id, { lit: [...lit], dim: [...dim], whiskers: [...whiskers] }];
}))"""


def lit(page):
    """What stands out in each figure, by the figure's name."""
    page.wait_for_timeout(350)
    state = page.evaluate(_LIT)
    return {name: state[f"figure-{i}"] for i, name in enumerate(FIGURES, start=1)}


def shown_curve(page):
    """Name of the compound whose curve the menu shows, and the title of its panel."""
    chart = f"document.querySelector('#figure-{len(FIGURES)} .chart')"
    return page.evaluate(
        f"[{chart}.layout.meta.follow[{chart}.layout.updatemenus[0].active],"
        f" {chart}.layout.annotations[0].text]"
    )


def assert_lit_everywhere(page, compound):
    for name, state in lit(page).items():
        if name == "chosen":
            continue
        if name == "contrast" and compound not in ("Alpha", "Beta"):
            continue
        assert state["lit"] == [compound], name
        assert compound not in state["dim"], name
        assert set(state["whiskers"]) <= {compound}, name
    assert shown_curve(page)[0] == compound
    assert {e.inner_text() for e in page.query_selector_all("tr.selected th")} == {compound}
    assert page.input_value("#find") == compound


def test_the_page_draws_every_figure(page):
    scroll_through(page)
    assert blank_plots(page) == []
    assert page.locator(".plot").count() == len(FIGURES)


@pytest.mark.parametrize("compound", ["Beta", planted.HOSTILE])
def test_a_click_on_a_row_lights_the_compound_in_every_figure(page, compound):
    before = lit(page)
    assert all(not state["dim"] for state in before.values())
    assert set(before["plane"]["whiskers"]) == {
        "Alpha",
        "Beta",
        planted.HOSTILE,
    }  # Gamma is off-axis
    row = planted.NAMES.index(compound) + 1
    page.click(f"#table-1 tbody tr:nth-child({row}) button")
    assert_lit_everywhere(page, compound)
    page.click(f"#table-1 tbody tr:nth-child({row}) button")
    assert lit(page) == before  # whiskers are back, nothing is dim


def test_the_search_lights_the_compound_in_every_figure(page):
    page.fill("#find", "beta")
    page.wait_for_timeout(250)
    page.fill("#find", "Alpha")
    page.wait_for_timeout(250)
    assert_lit_everywhere(page, "Alpha")


@pytest.mark.parametrize("figure", [name for name in FIGURES if name != "chosen"])
def test_a_click_on_a_point_lights_the_compound_everywhere(page, figure):
    number = FIGURES.index(figure) + 1
    place = page.evaluate(
        """number => {
          const chart = document.querySelector(`#figure-${number} .chart`);
          chart.scrollIntoView({block: 'center', behavior: 'instant'});
          const box = chart.getBoundingClientRect();
          const full = chart._fullLayout;
          const rescues = (trace) => trace.name.startsWith("rescue");  // hidden by no other point
          for (const trace of [...chart._fullData].sort((a, b) => rescues(b) - rescues(a))) {
            if (trace.meta !== "compound" || !(trace.mode || "").includes("markers")) continue;
            const x = full[trace.xaxis.replace("x", "xaxis")];
            const y = full[trace.yaxis.replace("y", "yaxis")];
            const i = Array.from(trace.customdata).findIndex((row) => row[0] === "Beta");
            if (i < 0 || trace.hoverinfo === "skip") continue;
            return [
              box.left + x._offset + x.d2p(trace.x[i]), box.top + y._offset + y.d2p(trace.y[i])];
          }
        }""",
        number,
    )
    page.mouse.move(place[0] - 3, place[1])
    page.mouse.move(*place)
    page.wait_for_timeout(200)
    page.mouse.click(*place)
    page.wait_for_timeout(300)
    assert_lit_everywhere(page, "Beta")


def test_the_menu_of_curves_lights_the_compound_everywhere(page):
    figure = page.locator(f"#figure-{len(FIGURES)}")
    figure.scroll_into_view_if_needed()
    figure.locator(".updatemenu-header").click()
    figure.locator(".updatemenu-dropdown-button").nth(1).click()
    assert_lit_everywhere(page, "Beta")
    assert shown_curve(page) == ["Beta", "<b>Beta · bell</b>"]


def test_the_curve_follows_the_selection_with_its_numbers(page):
    numbers = (
        f"document.querySelector('#figure-{len(FIGURES)} .chart').data"
        ".find(t => t.name.startsWith('mean')).y"
    )
    page.fill("#find", "Alpha")
    page.wait_for_timeout(500)
    first = page.evaluate(numbers)
    page.fill("#find", "Zeta")
    page.wait_for_timeout(500)
    second = page.evaluate(numbers)
    truth = planted.treatments().query("cell_type == 'renal'")
    for name, seen in (("Alpha", first), ("Zeta", second)):
        wanted = truth[truth["compound"] == name]["on_score"].tolist()
        assert list(seen) == pytest.approx(wanted, rel=1e-3), name
    page.fill("#find", "")
    page.wait_for_timeout(500)
    assert shown_curve(page)[0] == "Zeta"  # it keeps the last one


def test_a_selection_in_the_address_lights_figures_drawn_later(new_tab, hits_page):
    tab = new_tab(height=500)
    tab.open(hits_page, "#compound=Beta")
    scroll_through(tab.page)
    assert_lit_everywhere(tab.page, "Beta")
    assert tab.errors == []


def test_panels_stand_in_a_column_on_a_phone(new_tab, hits_page):
    tab = new_tab(width=390, height=800, is_mobile=True, has_touch=True)
    tab.open(hits_page)
    tab.page.evaluate("screenbook.drawAll()")
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
    domains = tab.page.evaluate("document.querySelector('#figure-1 .chart').layout.xaxis2.domain")
    assert domains == [0, 1]
    assert tab.errors == []
