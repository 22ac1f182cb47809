"""Text and numbers: nothing from data survives as markup, numbers read alike everywhere."""

import json
import math

import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from screenbook.report.text import (
    decimals_for,
    json_for_script,
    markdown,
    number,
    plain,
    plain_title,
    slug,
    svg_uri,
)


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "<script>alert(1)</script>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](java&#10;script:alert(1))",
        "[a](&#106;avascript:alert(1))",
        "[a](data:text/html,<script>alert(1)</script>)",
        "[a](vbscript:x)",
        "![a](https://example.org/beacon.png)",
        "![a](javascript:alert(1))",
        '[a](https://example.org "x\\" onmouseover=\\"alert(1)")',
        "<javascript:alert(1)>",
        "| a |\n|---|\n| <b onclick=alert(1)>x</b> |",
    ],
)
def test_markdown_from_data_is_inert(text):
    for element in BeautifulSoup(markdown(text), "html.parser").find_all():
        assert element.name not in {"script", "img", "iframe", "b"}
        assert not [name for name in element.attrs if name.startswith("on")]
        assert element.get("href", "https:").startswith("https:")


@given(st.text())
def test_any_text_becomes_markup_without_scripts_or_pictures(text):
    page = markdown(text).lower()
    assert "<script" not in page
    assert "<img" not in page


def test_markdown_keeps_what_authors_mean():
    page = markdown("**25 wells** (p < 0.01, [doi](https://doi.org/10.1/x)), `x_1`, A_b_c")
    assert "<strong>25 wells</strong>" in page
    assert "p &lt; 0.01" in page
    assert 'href="https://doi.org/10.1/x"' in page
    assert "A_b_c" in page


def test_plain_is_one_line_of_text():
    assert plain("**a** < b\n\n- <i>c</i> & d") == "a < b <i>c</i> & d"


def test_plotly_titles_lose_plotlys_tags_only():
    assert plain_title("A<br>B <i>x</i><sup>2</sup> &lt; <img>") == "A B x2 < <img>"


def test_slugs_are_ascii_and_unique():
    taken = {"main"}
    names = [slug(text, taken) for text in ("Über µM – x", "Main", "main", "µ", "?")]
    assert names == ["uber-m-x", "main-2", "main-3", "section", "section-2"]


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists))
def test_json_in_a_page_cannot_end_its_script(value):
    text = json_for_script(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1234.5, 1, "1,234.5"),
        (-0.125, 2, "−0.13"),
        (0.0, 2, "0"),
        (-0.0, 2, "0"),
        (3.2e-7, 3, "3.2e−7"),
        (-3.2e-7, 3, "−3.2e−7"),
        (12_345_678, 0, "12,345,678"),
        (None, 2, "–"),
        (math.inf, 2, "–"),
    ],
)
def test_numbers_read_so(value, decimals, text):
    assert number(value, decimals) == text


@given(st.floats(-1e12, 1e12), st.integers(0, 4))
def test_a_printed_number_is_the_number(value, decimals):
    back = float(number(value, decimals).replace(",", "").replace("−", "-"))
    assert back == pytest.approx(value, abs=0.5001 * 10**-decimals, rel=0.06)


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        ([1, 2, 3], 0),
        ([0.01, 0.1, 1, 10], 2),
        ([0.123456, 0.2345], 3),
        ([123.456, 222.2], 0),
        ([np.nan, np.inf], 0),
        ([], 0),
        ([1e-9], 4),
    ],
)
def test_decimals_suit_the_column(values, decimals):
    assert decimals_for(np.array(values, dtype=float)) == decimals


def test_a_drawing_becomes_an_address():
    assert svg_uri("<svg/>") == "data:image/svg+xml;base64,PHN2Zy8+"
