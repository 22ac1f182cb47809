"""Parameters are read from the notebook, and refused in one line before anything runs."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from screenbook.errors import InputError
from screenbook.report.parameters import (
    Parameter,
    find_notebook,
    given_parameters,
    overridden_parameters,
    read_parameters,
    variant_name,
)

CELL = """\
# %% tags=["parameters"]
run: str = "simulated"  # the run whose screen is read
seed: int = 0  # of every draw
k: int = 15  # neighbours of a well, wells [2..200]
alpha: float = 0.05  # level of the test [0..1]
scale: float = 2  # factor [0..]
method: str = "auto"  # which centring goes on {auto|tvn}
deep: bool = False  # also the slow part
label: str = "a # b"  # text with a hash
doses: list[float] = [0.1, 1.0]  # µM [0..]
cut: float | None = None  # threshold; null = chosen from the data
"""


def notebook(home, name="04_score", cell=CELL):
    path = home / "notebooks" / f"{name}.py"
    path.write_text(f"# %% [markdown]\n# # 04 Score\n\n{cell}\n# %%\nprint(1)\n")
    return path


@pytest.fixture
def takes(home):
    return read_parameters(notebook(home))


def refusal(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_cell_is_read_with_types_ranges_choices_and_help(takes):
    assert list(takes) == (
        ["run", "seed", "k", "alpha", "scale", "method", "deep", "label", "doses", "cut"]
    )
    assert takes["k"] == Parameter("k", "int", 15, "neighbours of a well, wells", low=2, high=200)
    assert takes["method"].choices == ("auto", "tvn")
    assert takes["label"].default == "a # b"
    assert takes["label"].help == "text with a hash"
    assert takes["doses"].many
    assert takes["cut"].optional
    assert type(takes["scale"].default) is float
    assert takes["k"].takes == "a whole number from 2 to 200"
    assert takes["scale"].takes == "a number of at least 0"
    assert takes["method"].takes == "one of auto, tvn"
    assert takes["doses"].takes == "a list, each item a number of at least 0"
    assert takes["cut"].takes == "a number, or null"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("# %%\nk: int = 1\n", "0 cells tagged 'parameters'"),
        (CELL + CELL, "2 cells tagged 'parameters'"),
        ('# %% tags=["parameters"]\nk = 1\n', "'k = 1' is not 'name: type"),
        ('# %% tags=["parameters"]\nk: int = f(1)\n', "is not 'name: type"),
        ('# %% tags=["parameters"]\nk: dict = {}\n', "is not 'name: type"),
        ('# %% tags=["parameters"]\nk: list[int] = [\n    1]\n', "on one line"),
        ('# %% tags=["parameters"]\nimport os\n', "'import os' is not"),
        ('# %% tags=["parameters"]\na: int = 1\nb: int = (\n', "line 2"),
        ('# %% tags=["parameters"]\nk: int = 1  # wells [2..9]\n', "breaks its own rule"),
    ],
)
def test_malformed_cells_are_refused(home, cell, says):
    message = refusal(read_parameters, notebook(home, cell=cell))
    assert says in message
    assert "04_score.py" in message


@pytest.mark.parametrize(
    ("name", "value", "becomes"),
    [
        ("k", 2, 2),
        ("k", 200, 200),
        ("alpha", 1, 1.0),
        ("scale", 1e9, 1e9),
        ("method", "tvn", "tvn"),
        ("deep", True, True),
        ("doses", [1, 2.5], [1.0, 2.5]),
        ("cut", None, None),
        ("cut", 3, 3.0),
    ],
)
def test_good_values_pass(takes, name, value, becomes):
    checked = takes[name].check(value)
    assert checked == becomes
    assert type(checked) is type(becomes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k", 1),
        ("k", 201),
        ("k", 15.0),
        ("k", "15"),
        ("k", True),
        ("k", None),
        ("k", [15]),
        ("alpha", 1.5),
        ("alpha", True),
        ("alpha", math.nan),
        ("scale", -0.1),
        ("method", "TVN"),
        ("method", 1),
        ("deep", 0),
        ("deep", "yes"),
        ("label", 3),
        ("doses", 1.0),
        ("doses", [1.0, -2.0]),
        ("doses", [1.0, "2"]),
        ("doses", [True]),
    ],
)
def test_bad_values_are_refused_naming_notebook_parameter_and_what_it_takes(
    home, takes, name, value
):
    settings = {"04_score": {name: value}}
    (home / "params" / "r.yml").write_text(yaml.safe_dump(settings))
    message = refusal(given_parameters, "r", {"04_score": takes})
    assert message.startswith("params/r.yml: 04_score takes for ")
    assert f"{name!r} {takes[name].takes}, not " in message


WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(value=WILD)
def test_whatever_passes_has_the_declared_type_and_range(value):
    for parameter in (
        Parameter("k", "int", 3, low=2, high=9),
        Parameter("x", "float", 0.5, low=0, high=1),
        Parameter("s", "str", ""),
        Parameter("b", "bool", False),
    ):
        try:
            checked = parameter.check(value)
        except ValueError:
            continue
        assert type(checked).__name__ == parameter.kind
        assert parameter.low is None or parameter.low <= checked <= parameter.high


def test_common_goes_only_to_those_who_take_it_and_the_section_wins(home, takes):
    (home / "params" / "r.yml").write_text(
        "screen: {source: x}\ncommon: {seed: 7, depth: 3}\n04_score: {seed: 8, alpha: 1e-3}\n"
    )
    other = {"depth": Parameter("depth", "int", 1), "seed": Parameter("seed", "int", 0)}
    given_values = given_parameters("r@v", {"04_score": takes, "05_near": other})
    assert given_values == {
        "04_score": {"seed": 8, "alpha": 1e-3},
        "05_near": {"seed": 7, "depth": 3},
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("common: {sed: 1}", "common: no notebook takes 'sed' (did you mean 'seed'?)"),
        ("04_score: {kk: 1}", "04_score does not take 'kk'"),
        (
            "04_scores: {k: 1}",
            "section '04_scores' belongs to no notebook (did you mean '04_score'?)",
        ),
        ("commons: {k: 1}", "section 'commons' belongs to no notebook (did you mean 'common'?)"),
        ("04_score: {run: x}", "'run' from the name of the run"),
        ("common: {run: x}", "no notebook takes 'run'"),
        ("common: {seed: [1]}", "04_score takes for 'seed' a whole number, not [1]"),
    ],
)
def test_unknown_names_are_refused(home, takes, text, says):
    (home / "params" / "r.yml").write_text(text)
    message = refusal(given_parameters, "r", {"04_score": takes})
    assert message.startswith("params/r.yml")
    assert says in message


def test_overrides_are_parsed_by_the_type_they_meet(takes):
    texts = [
        "k=30",
        "alpha=1e-3",
        "label=12",
        "deep=true",
        "doses=[1, 2]",
        "cut=null",
        "method=tvn",
    ]
    assert overridden_parameters(texts, takes, "04_score") == {
        "k": 30,
        "alpha": 1e-3,
        "label": "12",
        "deep": True,
        "doses": [1.0, 2.0],
        "cut": None,
        "method": "tvn",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("k", "write name=value"),
        ("kk=3", "does not take 'kk' (did you mean 'k'?)"),
        ("k=3.0", "a whole number from 2 to 200, not 3.0"),
        ("k=many", "not 'many'"),
        ("k=", "not None"),
        ("alpha=2", "a number from 0 to 1, not 2.0"),
        ("deep=maybe", "true or false"),
        ("doses=[1", "the value of doses line 1"),
        ("run=other", "'run' from the name of the run"),
    ],
)
def test_bad_overrides_are_refused(takes, text, says):
    assert says in refusal(overridden_parameters, [text], takes, "04_score")


def test_an_override_given_twice_is_refused(takes):
    assert "given twice" in refusal(overridden_parameters, ["k=3", "k=4"], takes, "04_score")


def test_notebooks_are_found_by_number_name_and_path(home):
    path = notebook(home)
    for name in ("04", "4", "04_score", "notebooks/04_score.py", str(path)):
        assert find_notebook(name) == path
    message = refusal(find_notebook, "05")
    assert "'05' is no notebook" in message
    assert "'04_score'" in message
    notebook(home, "04_again")
    assert "more than one" in refusal(find_notebook, "4")


def test_two_notebooks_may_share_a_number_and_differ_by_a_letter(home):
    first, second = notebook(home, "06a_first"), notebook(home, "06b_second")
    assert [find_notebook("06a"), find_notebook("6b")] == [first, second]
    assert "'06a_first', '06b_second'" in refusal(find_notebook, "6")


@pytest.mark.parametrize(
    ("run", "texts", "name", "variant"),
    [
        ("simulated", [], None, "simulated"),
        ("simulated", ["k=30"], None, "simulated@k-30"),
        ("simulated", ["k=-1", "m=a b"], None, "simulated@k--1,m-a-b"),
        ("simulated", ["k=30"], "strict", "simulated@strict"),
        ("simulated@strict", ["k=30"], None, "simulated@strict"),
        ("simulated@strict", [], "loose", "simulated@loose"),
    ],
)
def test_variants_are_named_after_what_they_change(run, texts, name, variant):
    assert variant_name(run, texts, name) == variant


def test_long_names_stay_short_and_distinct():
    long = ["doses=[" + "1.0, " * 60 + f"{last}]" for last in (1, 2)]
    first, second = (variant_name("r", [text]) for text in long)
    assert first != second
    assert len(first) < 100


@pytest.mark.parametrize("name", ["../x", "a/b", "a b", ""])
def test_names_that_are_no_folders_are_refused(name):
    if name:
        refusal(variant_name, "simulated", ["k=1"], name)
    else:
        refusal(variant_name, "simul/ated", [], name)
