"""params/<run>.yml is read as people mean it, and refused in one line with its mend."""

import pytest

from screenbook.errors import InputError
from screenbook.settings import load_settings, read_yaml


def write(home, text):
    (home / "params" / "mine.yml").write_text(text)


def test_sections_are_read_and_empty_ones_are_empty(home):
    write(home, "screen: {source: simulated}\ncommon:\n02_center:\n  k: 3\n")
    assert load_settings("mine") == {
        "screen": {"source": "simulated"},
        "common": {},
        "02_center": {"k": 3},
    }


def test_variants_share_the_file_of_their_run(home):
    write(home, "common: {seed: 1}\n")
    assert load_settings("mine@seed2") == load_settings("mine")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("-2E4", -2e4), ("1.5e+3", 1500.0), ("7", 7), ("e3", "e3"), ("1e", "1e")],
)
def test_exponents_are_numbers(text, value):
    read = read_yaml(f"x: {text}", "f")["x"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a:\n\tb: 1", "line 2"),
        ("a:\n\tb: 1", "not with tabs"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is repeated"),
        ("x: 1\na: b: c", "line 2: mapping values"),
        ("a: @x", "quotes"),
        ("a: [1, 2", "close the bracket"),
        ("a: *q", "undefined alias"),
        ("a: !!python/object:os.system x", "constructor"),
        ("a: 2020-13-45", "month must be in 1..12; put quotes"),
        ("- 1", "holds a list"),
        ("just words", "'just words'"),
        ("common: 3", "section 'common' holds only '3'"),
    ],
)
def test_malformed_files_are_refused_in_one_line(home, text, says):
    write(home, text)
    with pytest.raises(InputError) as refusal:
        load_settings("mine")
    message = str(refusal.value)
    assert message.startswith("params/mine.yml")
    assert says in message
    assert "\n" not in message


def test_bytes_that_are_no_text_are_refused(home):
    (home / "params" / "mine.yml").write_bytes(b"common: \xe9\x80")
    with pytest.raises(InputError, match="save it as UTF-8"):
        load_settings("mine")


def test_a_missing_file_names_the_runs_there_are(home):
    write(home, "")
    with pytest.raises(InputError, match=r"params/other\.yml is not there: the runs are 'mine'"):
        load_settings("other")
