"""Executed notebook in, report out: one HTML page that needs nothing but ``reports/assets``."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mistune
import nbformat
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode
from traitlets.config import Config

from screenbook.errors import InputError
from screenbook.report.outputs import MAX_WEBGL, Outputs
from screenbook.report.page import THEME, copy_assets, duration, moment, write_page
from screenbook.report.parameters import NUMBER, parameters_of
from screenbook.report.series import neighbours, write_series
from screenbook.report.text import markdown, plain, slug

log = logging.getLogger(__name__)

_TITLE = re.compile(rf"#\s+(?:({NUMBER})\s+)?(.+)")
_NOT_CODE = {"parameters", "injected-parameters", "remove-cell"}
_SCROLLING = '<div class="scroll prose" role="region" tabindex="0" aria-label="Table">'
_BANNERS = {"papermill-error-cell-tag"}


def render_report(executed: Path, html: Path, *, sidecar: dict[str, Any] | None = None) -> None:
    """Render an executed notebook as a report page.

    Parameters
    ----------
    executed : Path
        The executed ``.ipynb``, of a run that was completed or of one that failed.
    html : Path
        The page: ``reports/<run>/NN_name.html``, or ``NN_name.failed.html``. It is written in
        one step; shared assets go to ``reports/assets``, the list of the run's reports to
        ``series.js`` beside the page.
    sidecar : dict, optional
        What is known of the run (see ``sidecar.py``); without it the JSON file beside `html`
        is read, if there is one.

    Warns
    -----
    Through :mod:`logging`: of more WebGL figures than browsers can draw, of figures without
    caption, and of what the notebook said on stderr.

    Notes
    -----
    The page holds no time but those of the sidecar: rendered twice, it is the same to the
    byte.
    """
    notebook = nbformat.read(executed, as_version=4)
    if sidecar is None:
        beside = html.with_suffix(".json")
        sidecar = json.loads(beside.read_text("utf-8")) if beside.is_file() else {}
    name = html.name.removesuffix(".html").removesuffix(".failed")
    failed = html.name.endswith(".failed.html") or sidecar.get("state") == "failed"
    outputs = Outputs(name, tables=None if failed else "tables")
    front = _take_front(notebook, name)
    parameters = _parameters(notebook, sidecar, name)
    body, contents = _render_body(notebook, outputs)
    if outputs.webgl > MAX_WEBGL:
        log.warning(
            "%s has %d WebGL figures; browsers go blank beyond some %d: draw the smaller ones "
            "as SVG (go.Scatter), or join some into one with a drop-down",
            name,
            outputs.webgl,
            MAX_WEBGL,
        )
    run = str(sidecar.get("run") or html.parent.name)
    previous, following = neighbours(run, name)
    copy_assets(html.parent.parent)
    write_series(html.parent)
    write_page(
        html,
        "page.html.j2",
        run=run,
        notebook=name,
        previous=previous,
        next=following,
        **front.context(outputs),
        **_provenance(sidecar, contents),
        error=_error(outputs, sidecar) if failed else None,
        good=f"{name}.html" if failed and html.with_name(f"{name}.html").is_file() else "",
        gates=outputs.gates,
        parameters=parameters,
        changed=sum(row["changed"] for row in parameters),
        command=sidecar.get("command", ""),
        contents=contents,
        body=Markup(body),
        has_figures='data-figure="' in body,
    )


@dataclass
class _Front:
    """What stands above a report, out of the notebook's first cell."""

    number: str
    title: str
    question: str = ""
    files: str = ""
    rest: list[str] = field(default_factory=list)

    def context(self, outputs: Outputs) -> dict[str, Any]:
        """Return what the page template asks for; call it after the body is rendered."""
        answer = outputs.answers[-1] if outputs.answers else ""  # as in the sidecar
        return {
            "number": self.number,
            "title": self.title,
            "question": _prose(self.question),
            "question_text": plain(self.question),
            "answer": Markup(markdown(answer)) if answer else "",
            "files": _prose(self.files),
        }


def _take_front(notebook: NotebookNode, name: str) -> _Front:
    """Cut title, question and files out of the first cell, and leave it the rest."""
    number, _, words = name.partition("_")
    front = _Front(number if number.isdigit() else "", words.replace("_", " ") or name)
    if not notebook.cells or notebook.cells[0].cell_type != "markdown":
        return front
    for block in re.split(r"\n\s*\n", notebook.cells[0].source.strip()):
        if match := _TITLE.fullmatch(block.splitlines()[0]):
            front.number, front.title = match[1] or front.number, match[2]
            block = "\n".join(block.splitlines()[1:])
        if block.startswith("**Question.**"):
            front.question = block.removeprefix("**Question.**").strip()
        elif block.startswith("**Reads**"):
            front.files = block
        elif block.strip():
            front.rest.append(block)
    notebook.cells[0].source = "\n\n".join(front.rest)
    return front


def _render_body(notebook: NotebookNode, outputs: Outputs) -> tuple[str, list[dict[str, Any]]]:
    """Return the body's HTML, and its headings for the contents list."""
    cells = []
    for number, cell in enumerate(notebook.cells, start=1):
        tags = set(cell.metadata.get("tags", []))
        if tags & _BANNERS or not (cell.source.strip() or cell.get("outputs")):
            continue
        cell.metadata["screenbook"] = {"number": number, "hide_code": bool(tags & _NOT_CODE)}
        if cell.cell_type == "code":
            pieces = [outputs.html(output) for output in cell.outputs]
            cell.metadata["screenbook"]["stopped"] = any(
                output.output_type == "error" for output in cell.outputs
            )
            cell.outputs = [
                nbformat.v4.new_output("display_data", {"text/html": piece})
                for piece in pieces
                if piece
            ]
        cells.append(cell)
    prose = _Prose()
    exporter = HTMLExporter(
        config=Config({"TagRemovePreprocessor": {"enabled": False}}),
        template_name=THEME.name,
        extra_template_basedirs=[str(THEME.parent)],
        filters={"markdown2html": prose},
    )
    body, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=cells))
    return body, prose.headings


class _Prose:
    """Markdown cells as HTML: an author's prose, whose own HTML is kept as JupyterLab keeps it."""

    def __init__(self) -> None:
        self.headings: list[dict[str, Any]] = []
        self._ids = {"main", "find", "question", "answer", "command", "command-again", "stopped"}
        self._ids |= {f"{kind}-{n}" for kind in ("figure", "table", "gate") for n in range(100)}
        page = self

        class Renderer(mistune.HTMLRenderer):
            def heading(self, text: str, level: int, **attrs: Any) -> str:
                return page.heading(text, level)

            def table(self, text: str) -> str:
                return f"{_SCROLLING}<table>{text}</table></div>\n"

        self._markdown = mistune.create_markdown(
            renderer=Renderer(escape=False), plugins=["table", "strikethrough", "footnotes"]
        )

    def __call__(self, source: str) -> str:
        return str(self._markdown(source))

    def heading(self, text: str, level: int) -> str:
        """Give a heading an id and, on hover, a link to itself; list it in the contents."""
        name = slug(Markup(text).striptags(), self._ids)
        if 2 <= level <= 3:
            self.headings.append({"id": name, "level": level, "text": Markup(text).striptags()})
        anchor = f'<a class="anchor" href="#{name}" aria-label="Link to this section">#</a>'
        return f'<h{level} id="{name}">{text} {anchor}</h{level}>\n'


def _prose(text: str) -> Markup:
    return Markup(_Prose()(text)) if text else Markup("")


def _parameters(
    notebook: NotebookNode, sidecar: Mapping[str, Any], name: str
) -> list[dict[str, Any]]:
    """Return the rows of the parameter table: value and default as they would be typed, help."""
    values: dict[str, Any] = sidecar.get("parameters", {})
    defaults: dict[str, Any] = sidecar.get("defaults", {})
    try:
        known = parameters_of(notebook, name)
    except InputError:  # a notebook without a well-formed parameters cell
        known = {}
    rows = []
    for key in known or values:
        default = defaults.get(key, known[key].default if key in known else None)
        value = values.get(key, default)
        about = f"{known[key].help} ({known[key].takes})" if key in known else ""
        # The run is the frame of the report, not a setting that departs from something.
        changed = key != "run" and value != default
        texts = {"value": json.dumps(value), "default": json.dumps(default)}
        rows.append({"name": key, "help": about, "changed": changed, **texts})
    return rows


def _error(outputs: Outputs, sidecar: Mapping[str, Any]) -> dict[str, str]:
    """Return what stopped a failed run: a user's error as its sentence, another with its name."""
    if not outputs.errors:  # the kernel died, say
        message = sidecar.get("error") or "It ended without an error message."
        return {"name": "", "message": message, "traceback": ""}
    error = outputs.errors[-1]
    name, message = error["ename"], error["evalue"]
    return {
        "name": name,
        "message": message if name == InputError.__name__ else f"{name}: {message}",
        "traceback": strip_ansi("\n".join(error["traceback"])),
    }


def _provenance(sidecar: Mapping[str, Any], contents: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the facts under the heading *Provenance*, which the notebook itself may carry."""
    seconds = sidecar.get("seconds")
    parameters = sidecar.get("parameters", {})
    facts = {
        "run": sidecar.get("run"),
        "started": moment(sidecar.get("started")) or None,
        "took": None if seconds is None else duration(seconds),
        "seed": parameters.get("seed"),
        "code": _commit(sidecar.get("git") or {}),
    }
    headings = [h["id"] for h in contents if h["text"] == "Provenance"]
    if not headings:
        contents.append({"id": "provenance", "level": 2, "text": "Provenance"})
    return {
        "has_provenance": bool(headings),
        "provenance_id": headings[-1] if headings else "provenance",
        "provenance": [(key, value) for key, value in facts.items() if value is not None],
        "listings": [
            ("Inputs, with their SHA-256", _files(sidecar.get("inputs"))),
            ("Outputs", _files(sidecar.get("outputs"))),
            ("Versions", sorted((sidecar.get("versions") or {}).items())),
        ],
    }


def _commit(git: Mapping[str, Any]) -> str | None:
    if not git:
        return None
    return f"commit {git['commit']}" + (", with uncommitted changes" if git["dirty"] else "")


def _files(listed: list[Mapping[str, Any]] | None) -> list[tuple[str, str]]:
    return [(file["path"], file["sha256"] or "not there") for file in listed or []]
