"""The theme: templates, shared assets, and how pages are written and point at each other."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import plotly
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from screenbook.paths import replacing
from screenbook.report.text import json_for_script

THEME = Path(__file__).parent / "theme"
ASSETS = ("report.css", "report.js", "tables.js", "figures.js", "compounds.js")


@cache
def templates() -> Environment:
    """Load the theme's templates; whatever they print is escaped unless it is marked as HTML."""
    environment = Environment(
        loader=FileSystemLoader(THEME),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["link"] = link
    environment.filters["moment"] = moment
    return environment


def link(path: str) -> str:
    """Quote a relative path for ``href``: runs may hold ``@`` and ``,``, files blanks."""
    return quote(path, safe="/#@,=")


def duration(seconds: float | None) -> str:
    """Print a time span: ``0.8 s``, ``42 s``, ``3 min 05 s``."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


def moment(started: str | None) -> str:
    """Print a sidecar's UTC time: ``2026-01-02 03:04 UTC``."""
    if not started:
        return ""
    return f"{started[:10]} {started[11:16]} UTC"


def write_page(target: Path, template: str, **context: Any) -> None:
    """Fill a template and put the page into place in one step."""
    text = templates().get_template(template).render(**context)
    write_text(target, text)


def write_text(target: Path, text: str) -> None:
    """Write a file in one step, and not at all if it already reads so (Make looks at times)."""
    content = text.encode("utf-8")
    if target.is_file() and target.read_bytes() == content:
        return
    with replacing(target) as part:
        part.write_bytes(content)


def copy_assets(reports: Path) -> None:
    """Put what all pages share into ``reports/assets``: style, scripts and plotly.js.

    Files that are there and the same stay as they are, so that reports made side by side do
    not disturb each other.
    """
    shared = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    for source in (*(THEME / name for name in ASSETS), shared):
        target = reports / "assets" / source.name
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            with replacing(target) as part:
                shutil.copyfile(source, part)


def write_script(target: Path, name: str, value: Any) -> None:
    """Write data that pages load as a script, because ``file://`` lets them fetch nothing."""
    write_text(target, f"window.{name} = {json_for_script(value)};\n")
