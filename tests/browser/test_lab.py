"""JupyterLab, as ``make lab`` starts it: a ``.py`` opens as a notebook and stays as it was."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from machine import CHECKOUT

TOKEN = "for-this-test-only"
NOTEBOOK = "01_explore_screen.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="make lab needs a POSIX shell"),
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the project whose default run is the tiny screen."""
    notebook, tiny = CHECKOUT / "notebooks" / NOTEBOOK, CHECKOUT / "params" / "fast.yml"
    for needed in (notebook, tiny, CHECKOUT / "Makefile"):
        if not needed.is_file():
            pytest.skip(f"{needed.name} is not there")
    copy = tmp_path_factory.mktemp("lab")
    for folder in ("notebooks", "params"):
        hidden = shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints")
        shutil.copytree(CHECKOUT / folder, copy / folder, ignore=hidden)
    shutil.copy(CHECKOUT / "Makefile", copy)
    shutil.copy(tiny, copy / "params" / "simulated.yml")
    shutil.copy(notebook, copy / "before.py")
    (copy / "lib").symlink_to(CHECKOUT / "lib")
    return copy


@pytest.fixture(scope="module")
def lab(checkout):
    """The address of a running JupyterLab that serves the copy on the loopback device."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--IdentityProvider.token={TOKEN}",
        "--expose-app-in-browser",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=",
    ]
    own = {name: str(checkout / ".jupyter" / name) for name in ("config", "data", "runtime")}
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": own["config"],  # nothing of this user's settings
        "JUPYTER_DATA_DIR": own["data"],
        "JUPYTER_RUNTIME_DIR": own["runtime"],
        "JUPYTERLAB_SETTINGS_DIR": own["config"],
        "JUPYTERLAB_WORKSPACES_DIR": own["data"],
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("MAKEFLAGS", None)
    command = ["make", "lab", f"PYTHON={sys.executable}", f"LAB_OPTIONS={' '.join(options)}"]
    with (checkout / "lab.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=checkout, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, server, checkout / "lab.log")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def wait_for(address, server, log, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            request = urllib.request.Request(
                f"{address}/api/status", headers={"Authorization": f"token {TOKEN}"}
            )
            with urllib.request.urlopen(request, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def opened(lab, chromium):
    """The notebook opened from its .py in a browser, all cells run, and saved."""
    page = chromium.new_page(viewport={"width": 1400, "height": 1000})
    outside = []
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((lab, lab.replace("http", "ws"), "data:", "blob:"))
            else outside.append(request.url)
        ),
    )
    page.goto(f"{lab}/lab/tree/{NOTEBOOK}?token={TOKEN}")
    page.wait_for_selector(".jp-NotebookPanel .jp-MarkdownOutput h1", timeout=120_000)
    page.wait_for_function(
        "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=120_000,
    )
    page.set_default_timeout(300_000)
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(
        """() => {
          const panel = jupyterapp.shell.currentWidget;
          const cells = [...panel.content.model.cells].filter(c => c.type === 'code');
          return panel.sessionContext.session.kernel.status === 'idle'
            && (cells.every(c => c.executionCount !== null && !c.isDirty) || hasError(cells));
          function hasError(cells) {
            return cells.some(c => c.outputs.toJSON().some(o => o.output_type === 'error'));
          }
        }"""
    )
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    page.outside = outside
    yield page
    page.close()


@pytest.fixture(scope="module")
def outputs(opened):
    """All outputs of the notebook, as nbformat has them."""
    return json.loads(
        opened.evaluate(
            "JSON.stringify([...jupyterapp.shell.currentWidget.content.model.cells]"
            ".filter(c => c.type === 'code').flatMap(c => c.outputs.toJSON()))"
        )
    )


def test_a_py_file_opens_as_a_notebook_and_runs_without_an_error(outputs):
    errors = [o["ename"] + ": " + o["evalue"] for o in outputs if o["output_type"] == "error"]
    assert errors == []
    assert outputs


def test_its_figures_are_drawn_under_their_captions(opened, outputs):
    figures = [o for o in outputs if "application/vnd.plotly.v1+json" in o.get("data", {})]
    assert figures
    caption = figures[0]["data"]["text/plain"].split(".")[0]
    opened.evaluate(
        """async () => {
          const notebook = jupyterapp.shell.currentWidget.content;
          for (let i = 0; i < notebook.widgets.length; i++) await notebook.scrollToItem(i);
        }"""
    )
    opened.wait_for_selector(".jp-RenderedPlotly .main-svg", state="attached")
    drawn = opened.locator(".jp-RenderedPlotly:has(.main-svg)").count()
    assert drawn == len(figures)
    text = opened.evaluate("document.querySelector('.jp-NotebookPanel').textContent")
    assert caption.split("**")[-1][:40] in text


def test_no_figure_offers_to_send_its_data_away(opened):
    titles = opened.eval_on_selector_all(".modebar-btn", "bs => bs.map(b => b.dataset.title)")
    assert titles
    assert not [title for title in titles if "Share" in title or "Studio" in title]


def test_saving_leaves_the_py_as_it_was(opened, checkout):
    assert (checkout / "notebooks" / NOTEBOOK).with_suffix(".ipynb").is_file()  # paired, ignored
    saved = (checkout / "notebooks" / NOTEBOOK).read_text("utf-8")
    assert saved == (checkout / "before.py").read_text("utf-8")


def test_nothing_is_asked_of_the_network(opened):
    assert opened.outside == []
