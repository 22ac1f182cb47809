"""One notebook output in, one piece of HTML out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup
from nbconvert.filters import strip_ansi

from screenbook.report.page import templates
from screenbook.report.raster import png_uri
from screenbook.report.show import MIME, PLOTLY_MIME, typed_array
from screenbook.report.text import (
    first_rows,
    json_for_script,
    markdown,
    plain,
    plain_title,
    svg_uri,
)
from screenbook.report.thumbnail import figure_png

MAX_WEBGL = 6
"""WebGL figures a page may hold: browsers keep some 16 contexts, and each figure takes two."""

_WEBGL = {"scattergl", "scatterpolargl", "splom", "parcoords", "scatter3d", "surface", "mesh3d"}
_CONTROLS = ("updatemenus", "sliders", "legend")
_MANY = 256  # strings above which repeated ones are worth a dictionary

log = logging.getLogger(__name__)


class Outputs:
    """Turns the outputs of one report into HTML, numbering figures and tables as they come.

    Parameters
    ----------
    name : str
        The report, for the log.
    tables : str or None
        Where the run's published tables lie, relative to the page; None: no links to them.

    Attributes
    ----------
    answers : list of str
        Markdown of the answers met so far; they belong to the top of the page.
    gates : list of dict
        ``passed``, ``text`` and ``id`` of the gates met so far.
    errors : list of nbformat outputs
    webgl : int
        Figures that need WebGL.
    """

    def __init__(self, name: str, tables: str | None = "tables") -> None:
        self.name = name
        self.tables = tables
        self.answers: list[str] = []
        self.gates: list[dict[str, Any]] = []
        self.errors: list[Mapping[str, Any]] = []
        self.webgl = 0
        self._figures = 0
        self._tables = 0
        self._macros: Any = templates().get_template("outputs.html.j2").module

    def html(self, output: Mapping[str, Any]) -> str:
        """Return the HTML of an output, empty if it has no place in the report.

        Warnings and other text on stderr go to the log. HTML made by libraries is not
        trusted with the page: such an output appears as its plain text.
        """
        kind = output["output_type"]
        if kind == "stream":
            if output["name"] == "stdout":
                return self._printed(output["text"])
            log.warning("%s, on stderr: %s", self.name, output["text"].strip())
            return ""
        if kind == "error":
            self.errors.append(output)
            return str(self._macros.error(output["ename"]))
        data = output["data"]
        if MIME in data:
            method = getattr(self, "_" + data[MIME]["kind"], None)
            return str(method(data[MIME], data)) if method else ""
        if PLOTLY_MIME in data:
            log.warning("%s: a figure without caption; use show(fig, caption)", self.name)
            return str(self._figure({"caption": ""}, data))
        return self._foreign(data)

    def _foreign(self, data: Mapping[str, Any]) -> str:
        """Show an output that did not come from show.py: a picture, or plain text."""
        alt = data.get("text/plain", "A picture without description.")
        if "image/png" in data:
            uri = "data:image/png;base64," + "".join(data["image/png"].split())
            return str(self._macros.picture(uri, alt))
        if "image/svg+xml" in data:
            return str(self._macros.picture(svg_uri(data["image/svg+xml"]), alt))
        if "text/markdown" in data:
            return markdown(data["text/markdown"])
        return self._printed(data.get("text/plain", ""))

    def _printed(self, text: str) -> str:
        text = strip_ansi(text).rstrip()
        return str(self._macros.printed(text)) if text else ""

    def _figure(self, spec: Mapping[str, Any], data: Mapping[str, Any]) -> str:
        self._figures += 1
        figure = data[PLOTLY_MIME]
        self.webgl += any(trace.get("type") in _WEBGL for trace in figure["data"])
        layout, title, subtitle, height = _lift_title(figure["layout"])
        compact = {"data": [_compact(trace) for trace in figure["data"]], "layout": layout}
        return self._macros.figure(
            id=f"figure-{self._figures}",
            number=self._figures,
            title=title,
            subtitle=subtitle,
            caption=Markup(_inline(spec["caption"])),
            alt=plain(spec["caption"]) or title,
            picture=png_uri(figure_png(figure, 640, 320)),
            height=height,
            wide=spec.get("wide", False),
            data=Markup(json_for_script(compact)),
        )

    def _table(self, spec: Mapping[str, Any], data: Mapping[str, Any]) -> str:
        self._tables += 1
        carried = len(spec["data"][0]) if spec["data"] else 0
        rows = first_rows(dict(spec))
        payload = {key: spec[key] for key in ("columns", "data", "page", "total")}
        name = f"table-{self._tables}"
        payload["file"] = spec["file"] or f"{self.name}_{name}"
        return self._macros.table(
            id=name,
            number=self._tables,
            caption=Markup(_inline(spec["caption"])),
            headings=spec["columns"],
            rows=rows,
            shown=f"{len(rows):,}",
            total=f"{spec['total']:,}",
            cut=f"{carried:,}" if carried < spec["total"] else "",
            data=Markup(json_for_script(payload)),
        )

    def _gallery(self, spec: Mapping[str, Any], data: Mapping[str, Any]) -> str:
        self._figures += 1
        cards = [{**item, "uri": svg_uri(item["svg"])} for item in spec["items"]]
        name, caption = f"figure-{self._figures}", Markup(_inline(spec["caption"]))
        return self._macros.gallery(name, self._figures, caption, cards)

    def _say(self, spec: Mapping[str, Any], data: Mapping[str, Any]) -> str:
        return self._macros.say(Markup(markdown(spec["text"])))

    def _answer(self, spec: Mapping[str, Any], data: Mapping[str, Any]) -> str:
        self.answers.append(spec["text"])
        return ""

    def _gate(self, spec: Mapping[str, Any], data: Mapping[str, Any]) -> str:
        name = f"gate-{len(self.gates) + 1}"
        self.gates.append({**spec, "id": name, "html": Markup(markdown(spec["text"]))})
        return self._macros.gate(name, spec["passed"], self.gates[-1]["html"])

    def _saved(self, spec: Mapping[str, Any], data: Mapping[str, Any]) -> str:
        href = f"{self.tables}/{spec['name']}.tsv" if self.tables else ""
        return self._macros.saved(spec["name"], href, f"{spec['rows']:,}", spec["columns"])


def _inline(caption: str) -> str:
    """Return a caption's HTML; a single paragraph without its tags, to follow its label."""
    text = markdown(caption)
    inner = text.removeprefix("<p>").removesuffix("</p>")
    return text if "<p>" in inner else inner


def _lift_title(layout: Mapping[str, Any]) -> tuple[dict[str, Any], str, str, int]:
    """Take title and subtitle out of a figure: as text of the page they wrap on a phone.

    Returns the layout without them, both as plain text, and the height of what remains.
    """
    title = layout.get("title") or {}
    title = {"text": title} if isinstance(title, str) else title
    margin = {**layout.get("template", {}).get("layout", {}).get("margin", {})}
    margin |= layout.get("margin", {})
    text = title.get("text") or ""
    subtitle = (title.get("subtitle") or {}).get("text") or ""
    old = margin.get("t", 100)
    if any(item.get("y", 1) > 1 for key in _CONTROLS for item in _listed(layout.get(key))):
        # What stands above the panels keeps its place: only the title's lines go.
        lines, sublines = text.count("<br>") + 1, subtitle.count("<br>") + bool(subtitle)
        new = old - 24 - 21 * lines - 17 * sublines
    else:
        notes = layout.get("annotations", [])
        above = any(n.get("yref", "paper") == "paper" and n.get("y", 0) >= 1 for n in notes)
        new = 40 if above else 16  # titles of panels stand on top of the highest ones
    height = int(layout.get("height") or 450)
    if text:
        margin["t"] = min(old, max(0, new))
        height -= old - margin["t"]
    rest = {key: value for key, value in layout.items() if key not in ("title", "width")}
    lifted = {**rest, "height": height, "margin": margin}
    return lifted, plain_title(text), plain_title(subtitle), height


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _compact(trace: Mapping[str, Any]) -> dict[str, Any]:
    """Write text that a trace repeats for its points once; ``figures.js`` spells it out again."""
    compact = dict(trace)
    for key in ("x", "y", "text", "hovertext", "ids"):
        if isinstance(trace.get(key), list):
            compact[key] = _dictionary(trace[key])
    rows = trace.get("customdata")
    if isinstance(rows, list) and len(rows) >= _MANY and all(isinstance(r, list) for r in rows):
        widths = {len(row) for row in rows}
        if len(widths) == 1 and not any(isinstance(v, list) for v in rows[0]):
            columns = [_dictionary([row[i] for row in rows]) for i in range(widths.pop())]
            compact["customdata"] = {"columns": columns}
    return compact


def _dictionary(values: list[Any]) -> Any:
    """Return many repeated strings as codes and names; anything else as it is."""
    if len(values) < _MANY or not all(isinstance(value, str) for value in values):
        return values
    names = sorted(set(values))
    if len(names) > len(values) // 2:
        return values
    codes = {name: code for code, name in enumerate(names)}
    width = np.min_scalar_type(len(names))
    return {"codes": typed_array(np.array([codes[v] for v in values], dtype=width)), "names": names}
