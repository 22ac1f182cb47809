"""What holds for every page: reports and index, of the sample and of the real notebooks."""

import io

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def desktop(pages, tab_maker):
    """Every page, opened once at desktop size, each figure drawn as it came into view."""
    return [opened(path, tab_maker(height=1_600)) for path in pages]


@pytest.fixture(scope="module")
def phone(pages, tab_maker):
    """Every page, opened once on a phone."""
    options = {"width": 360, "height": 740, "is_mobile": True, "has_touch": True}
    return [opened(path, tab_maker(**options)) for path in pages]


def opened(path, tab):
    tab.open(path)
    scroll_through(tab.page)
    return tab


def name(tab):
    return tab.page.url.rpartition("/")[2]


def scroll_through(page):
    """Bring every figure into view, and wait until it is drawn."""
    page.bring_to_front()
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


def test_pages_open_without_network_requests_or_errors(desktop, phone):
    for tab in desktop + phone:
        assert tab.requests == [], name(tab)
        assert tab.errors == [], name(tab)
        assert tab.page.evaluate("window.hacked") is None, name(tab)


def test_every_plot_has_pixels(desktop):
    for tab in desktop:
        assert blank_plots(tab.page) == [], name(tab)


def test_pages_stay_below_what_webgl_can_do(desktop):
    for tab in desktop:
        count = tab.page.evaluate(
            "screenbook.all('.plot').filter(plot => "
            '/"type":"(scatter3d|scattergl|splom|parcoords|surface)"/.test('
            "document.getElementById(plot.dataset.figure).textContent)).length"
        )
        assert count <= 6, name(tab)


def test_pages_never_scroll_sideways(desktop, phone):
    for tab in desktop + phone:
        page, width, window = tab.page, "document.documentElement.scrollWidth", "window.innerWidth"
        unfold(page, True)
        assert page.evaluate(width) <= page.viewport_size["width"], name(tab)
        assert page.evaluate(window) == page.viewport_size["width"], name(tab)
        unfold(page, False)
        assert page.evaluate(width) <= page.viewport_size["width"], name(tab)


def unfold(page, is_open):
    page.evaluate(f"for (const d of document.querySelectorAll('details')) d.open = {is_open:d}")


def violations(tab, axe, *, code=True):
    """Rules of axe-core that the page breaks, with the elements; plotly's drawings left out.

    Without `code` the listings are left out too: they look alike on all pages, and their
    thousands of coloured words take most of the time.
    """
    # Of a tab that lay behind others for minutes, Chromium wakes a timer once a minute.
    tab.page.bring_to_front()
    if tab.page.evaluate("!window.axe"):
        tab.page.evaluate(axe)
    exclude = [[".chart svg"]] if code else [[".chart svg"], ["pre"]]
    found = tab.page.evaluate(
        "exclude => axe.run({exclude}, {preload: false, resultTypes: ['violations']})", exclude
    )["violations"]
    return [
        f"{name(tab)}: {rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize(
    ("theme", "is_open", "n_pages"),
    [("light", False, 3), ("light", True, 1), ("dark", True, None)],
    ids=["light-folded", "light-unfolded", "dark-unfolded"],
)
def test_pages_are_accessible(desktop, axe, theme, is_open, n_pages):
    # All pages once, unfolded, in the dark; the light paints the same elements on every page.
    for i, tab in enumerate(desktop[:n_pages]):
        tab.page.emulate_media(color_scheme=theme)
        tab.page.wait_for_selector(f"html[data-theme={theme}]")
        unfold(tab.page, is_open)
        assert violations(tab, axe, code=i == 0) == []


def test_phones_get_an_accessible_page_too(phone, axe):
    for tab in phone[:3]:
        assert violations(tab, axe, code=False) == []


def test_no_button_sends_the_data_away(desktop):
    for tab in desktop:
        titles = tab.page.eval_on_selector_all(
            ".modebar-btn", "buttons => buttons.map(b => b.dataset.title)"
        )
        assert bool(titles) == bool(tab.page.query_selector(".plot"))
        assert not [title for title in titles if "Share" in title or "Studio" in title]


def test_paper_is_light_even_in_the_dark(desktop):
    for tab in desktop:
        page = tab.page
        page.emulate_media(color_scheme="dark")
        ground = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(ground) != "rgb(255, 255, 255)"
        page.emulate_media(color_scheme="dark", media="print")
        page.wait_for_timeout(300)
        assert page.evaluate(ground) == "rgb(255, 255, 255)"
        inks = page.eval_on_selector_all(
            ".plot .xtick text, .plot .ytick text",
            "texts => [...new Set(texts.map(t => getComputedStyle(t).fill))]",
        )
        for ink in inks:
            assert max(int(v) for v in ink[4:-1].split(",")[:3]) < 120, f"{name(tab)}: {ink}"
        page.emulate_media(color_scheme="light", media="screen")


def test_paper_is_complete(pages, tab_maker):
    tab = tab_maker(height=400)
    page = tab.open(pages[1])
    assert page.query_selector(".plot .preview")
    assert page.pdf()[:5] == b"%PDF-"
    page.wait_for_function("!document.querySelector('.plot .preview')")
