"""A headless Chromium without network, and folders of reports to open in it.

Without Chromium, or without the packages of the ``dev`` extra, these tests are skipped and say
how to get them. ``SCREENBOOK_REPORTS=reports/fast`` opens an existing run instead of making one.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path

import pytest
from machine import CHECKOUT, CHROMIUM

from sample_reports import write_sample

_ARGUMENTS = ["--no-sandbox", "--force-color-profile=srgb"]


def pytest_collection_modifyitems(items):
    missing = None
    if CHROMIUM is None:
        missing = "no Chromium on PATH; on Debian: apt-get install chromium"
    for package in ("playwright", "axe_playwright_python"):
        if importlib.util.find_spec(package) is None:
            missing = f"{package} is not installed: pip install -e '.[dev]'"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if missing:
                item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture(scope="module")  # Playwright's event loop must not outlive the browser tests
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page, and what it tried or complained of."""

    page: object
    requests: list = field(default_factory=list)
    errors: list = field(default_factory=list)

    def open(self, path, anchor=""):
        """Open a file and wait until its scripts have run."""
        self.page.goto(path.resolve().as_uri() + anchor)
        return self.page


def make_tab(chromium, contexts, width=1280, height=900, **options):
    """Open a tab whose every request to a network is recorded and refused."""
    context = chromium.new_context(viewport={"width": width, "height": height}, **options)
    contexts.append(context)
    context.set_default_timeout(20_000)
    tab = Tab(context.new_page())

    def guard(route):
        tab.requests.append(route.request.url)
        route.abort()

    context.route(lambda url: not url.startswith(("file:", "data:", "blob:")), guard)
    tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.page.on(
        "console",
        lambda message: tab.errors.append(message.text) if message.type == "error" else None,
    )
    return tab


@pytest.fixture
def new_tab(chromium):
    """Make tabs that live as long as a test."""
    contexts = []
    yield partial(make_tab, chromium, contexts)
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def tab_maker(chromium):
    """Make tabs that live as long as a module of tests."""
    contexts = []
    yield partial(make_tab, chromium, contexts)
    for context in contexts:
        context.close()


@pytest.fixture
def tab(new_tab):
    return new_tab()


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory):
    """Reports put together by hand, hostile names included: ``reports/sample``."""
    home = tmp_path_factory.mktemp("sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCREENBOOK_HOME", str(home))
        return write_sample(home)


@pytest.fixture(scope="session")
def fast_reports(tmp_path_factory):
    """The reports of the ``fast`` run: every notebook of the project on a tiny screen."""
    if given := os.environ.get("SCREENBOOK_REPORTS"):
        return (CHECKOUT / given).resolve()
    notebooks = sorted((CHECKOUT / "notebooks").glob("[0-9]*_*.py"))
    if not notebooks or not (CHECKOUT / "params" / "fast.yml").is_file():
        pytest.skip("no notebooks, or no params/fast.yml, to make reports from")
    home = tmp_path_factory.mktemp("fast")
    for folder in ("notebooks", "params"):
        shutil.copytree(CHECKOUT / folder, home / folder)
    environment = os.environ | {"SCREENBOOK_HOME": str(home), "OMP_NUM_THREADS": "1"}

    def screenbook(*arguments):
        command = [sys.executable, "-m", "screenbook", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-2000:]}"

    screenbook("screen", "fast")
    for notebook in notebooks:
        screenbook("run", notebook.stem, "--run", "fast", "--report")
    return home / "reports" / "fast"


@pytest.fixture(scope="session", params=["sample", pytest.param("fast", marks=pytest.mark.slow)])
def pages(request):
    """All pages of a folder of reports, the index first: of the sample, of the fast run."""
    fixture = "sample_folder" if request.param == "sample" else "fast_reports"
    folder = request.getfixturevalue(fixture)
    return [folder.parent / "index.html", *sorted(folder.glob("*.html"))]


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core, to be run inside a page."""
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
