"""Text and numbers on their way into HTML: everything that comes from data leaves here inert."""

from __future__ import annotations

import base64
import html
import json
import math
import re
import unicodedata
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import mistune
import numpy as np

_TAG = re.compile(r"<[^>]+>")
# What plotly reads as markup in titles and labels; anything else in brackets is text.
_PLOTLY_TAG = re.compile(r"</?(?:b|i|u|s|em|strong|sub|sup|span|a)(?:\s[^<>]*)?>", re.IGNORECASE)
_PLOTLY_BREAK = re.compile(r"\s*<br\s*/?>\s*", re.IGNORECASE)


class _InertRenderer(mistune.HTMLRenderer):
    """Markdown for sentences that quote data: no raw HTML, no scripts, and no pictures to fetch."""

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return text

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return text if self.sanitize_url(url) == "#harmful-link" else super().link(text, url, title)


_markdown = mistune.create_markdown(
    renderer=_InertRenderer(escape=True), plugins=["table", "strikethrough"]
)


def markdown(text: str) -> str:
    """Markdown as HTML in which neither tags nor links of the text can do anything.

    HTML is shown as text, a link with any but a harmless protocol loses its address, a picture
    is replaced by its description, so that no page ever asks the network for one.
    """
    return str(_markdown(text)).strip()


def plain(text: str) -> str:
    """Markdown as one line of plain text, for text alternatives and for the index."""
    return " ".join(html.unescape(_TAG.sub(" ", markdown(text))).split())


def plain_title(text: str) -> str:
    """Take the words out of a plotly title, which knows ``<br>`` and a few tags of HTML."""
    return html.unescape(_PLOTLY_TAG.sub("", _PLOTLY_BREAK.sub(" ", text))).strip()


def slug(text: str, taken: set[str]) -> str:
    """Make an id for a heading: ASCII, unique among `taken`, to which it is added."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-") or "section"
    candidate, n = stem, 2
    while candidate in taken:
        candidate, n = f"{stem}-{n}", n + 1
    taken.add(candidate)
    return candidate


def json_for_script(value: Any) -> str:
    """JSON that may stand inside a ``<script>`` element: no ``</script>`` can end it early."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def decimals_for(values: np.ndarray) -> int:
    """Decimals for a column, 0 to 4.

    As many as all values need to be exact (doses: 0.01, 0.1, 1), but no more than give the
    typical value three significant digits.
    """
    finite = np.abs(np.asarray(values, dtype=np.float64))
    finite = finite[np.isfinite(finite) & (finite > 0)]
    if finite.size == 0:
        return 0
    three_digits = int(np.clip(2 - math.floor(math.log10(float(np.median(finite)))), 0, 4))
    exact = (d for d in range(three_digits) if np.allclose(finite, finite.round(d), 1e-9, 0))
    return next(exact, three_digits)


def number(value: float | int | None, decimals: int) -> str:
    """Print a number as tables show it; ``tables.js`` does exactly the same.

    Fixed decimals, thousands apart by commas, a true minus sign; nothing is 0, a value that
    would round to it is written with an exponent, a missing one as a dash.
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(Decimal(value))
    # Half up, as JavaScript's toFixed does it; Python's own rounding takes the even digit.
    rounded = size.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    if rounded == 0:
        mantissa, exponent = f"{size:.1e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    else:
        text = f"{rounded:,f}"
    return ("−" if value < 0 else "") + text.replace("-", "−")


def cell_text(column: dict[str, Any], value: Any) -> str:
    """Print a value of a table (see ``show.py``, kind ``table``)."""
    if value is None:
        return "–"
    if column["type"] == "number":
        return number(value, column["decimals"])
    if column["type"] == "boolean":
        return "yes" if value else "no"
    return str(value)


def heading(column: dict[str, Any]) -> str:
    """Join a column's name and its unit."""
    return f"{column['name']} ({column['unit']})" if column["unit"] else str(column["name"])


def first_rows(table: dict[str, Any]) -> list[list[str]]:
    """Print a table's first page, row by row."""
    columns, n = table["columns"], table["page"]
    printed = [
        [cell_text(column, value) for value in values[:n]]
        for column, values in zip(columns, table["data"], strict=True)
    ]
    return [list(row) for row in zip(*printed, strict=True)]


def svg_uri(svg: str) -> str:
    """Make a drawing the address of a picture: in an ``<img>``, nothing of it can run or load."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
