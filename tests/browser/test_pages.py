"""What holds for every page: reports and index, of the sample and of the real notebooks."""

import io

import numpy as np
import pytest
from PIL import Image

PHONE = {"width": 360, "height": 740}


def scroll_through(page):
    """Bring every figure into view, and wait until it is drawn."""
    for plot in page.query_selector_all(".plot"):
        plot.scroll_into_view_if_needed()
        page.wait_for_function("plot => plot.dataset.drawn === 'true'", arg=plot)


def pixels(page, clip):
    image = Image.open(io.BytesIO(page.screenshot(clip=clip)))
    return np.asarray(image.convert("RGB")).astype(int)


def is_drawn(image):
    """Whether there are marks: colour, or many shades; grid lines and a word are neither."""
    colourful = (image.max(axis=2) - image.min(axis=2) > 40).sum()
    shades = len(np.unique(image.reshape(-1, 3), axis=0))
    return colourful >= 30 or shades > 120


def blank_plots(page):
    """Ids of figures with a panel area in which nothing is drawn."""
    scroll_through(page)
    page.mouse.move(0, 0)
    blank = []
    for plot in page.query_selector_all(".plot"):
        plot.scroll_into_view_if_needed()
        page.wait_for_timeout(100)
        panels = plot.query_selector_all(".nsewdrag") or [plot]
        areas = [panel.bounding_box() for panel in panels]
        if not any(is_drawn(pixels(page, area)) for area in areas):
            blank.append(plot.get_attribute("data-figure"))
    return blank


def test_pages_open_without_network_requests_or_errors(pages, new_tab):
    for path in pages:
        tab = new_tab()
        tab.open(path)
        scroll_through(tab.page)
        assert tab.requests == [], path.name
        assert tab.errors == [], path.name
        assert tab.page.evaluate("window.hacked") is None, path.name


def test_every_plot_has_pixels(pages, new_tab):
    for path in pages:
        tab = new_tab(height=1_600)
        assert blank_plots(tab.open(path)) == [], path.name


def test_pages_stay_below_what_webgl_can_do(pages, new_tab):
    for path in pages:
        page = new_tab().open(path)
        count = page.evaluate(
            "screenbook.all('.plot').filter(plot => "
            '/"type":"(scatter3d|scattergl|splom|parcoords|surface)"/.test('
            "document.getElementById(plot.dataset.figure).textContent)).length"
        )
        assert count <= 6, path.name


@pytest.mark.parametrize("size", [PHONE, {"width": 1280, "height": 900}])
def test_pages_never_scroll_sideways(pages, new_tab, size):
    for path in pages:
        tab = new_tab(**size)
        tab.open(path)
        tab.draw()
        tab.page.wait_for_timeout(300)
        width = tab.page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], path.name


def violations(page, axe):
    """Rules of axe-core that the page breaks, with the elements; plotly's drawings left out."""
    if page.evaluate("!window.axe"):
        page.evaluate(axe)
    found = page.evaluate("axe.run({exclude: [['.chart svg']]})")["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_accessible_folded_and_unfolded(pages, new_tab, axe, theme):
    for path in pages:
        tab = new_tab(color_scheme=theme, bypass_csp=True)
        tab.open(path)
        tab.draw()
        assert violations(tab.page, axe) == [], f"{path.name}, {theme}"
        tab.page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        assert violations(tab.page, axe) == [], f"{path.name}, {theme}, unfolded"


def test_phones_get_an_accessible_page_too(pages, new_tab, axe):
    for path in pages:
        tab = new_tab(**PHONE, bypass_csp=True, is_mobile=True, has_touch=True)
        tab.open(path)
        tab.draw()
        assert violations(tab.page, axe) == [], path.name


def test_no_button_sends_the_data_away(pages, new_tab):
    for path in pages:
        tab = new_tab()
        tab.open(path)
        tab.draw()
        titles = tab.page.eval_on_selector_all(
            ".modebar-btn", "buttons => buttons.map(b => b.dataset.title || '')"
        )
        assert not [title for title in titles if "Share" in title or "Studio" in title]


def test_paper_is_light_and_complete(pages, new_tab):
    for path in pages:
        tab = new_tab(color_scheme="dark")
        page = tab.open(path)
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark != "rgb(255, 255, 255)"
        page.emulate_media(media="print")
        page.wait_for_function(
            "document.querySelectorAll('.plot').length"
            " === document.querySelectorAll('.plot[data-drawn]').length"
        )
        page.wait_for_timeout(200)
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(255, 255, 255)"
        inks = page.eval_on_selector_all(
            ".plot .xtick text, .plot .ytick text",
            "texts => [...new Set(texts.map(t => getComputedStyle(t).fill))]",
        )
        for ink in inks:
            assert max(int(v) for v in ink[4:-1].split(",")[:3]) < 120, f"{path.name}: {ink}"
        assert tab.page.pdf()[:5] == b"%PDF-"
