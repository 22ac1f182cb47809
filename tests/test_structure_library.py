"""Libraries of structures: where they are looked for, and what is refused."""

import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.paths import build_dir
from screenbook.sources.structure_library import find_library, read_library


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_run_has_a_library_unless_another_is_named(home):
    assert find_library("", "mine") is None
    own = write(build_dir("mine") / "library.tsv", "compound\tsmiles\na\tCCO\n")
    assert find_library("", "mine@variant") == own
    named = write(home / "data" / "other.csv", "compound,smiles\nb,CCN\n")
    assert find_library("data/other.csv", "mine") == named
    assert read_library(named).to_dict("records") == [{"compound": "b", "smiles": "CCN"}]


def test_structures_are_text_and_other_columns_are_passed_over(home):
    path = write(home / "l.csv", "smiles,price,compound\n=1+1,3,<b>x</b>\n,4,y\n")
    expected = pd.DataFrame({"compound": ["<b>x</b>", "y"], "smiles": ["=1+1", ""]})
    pd.testing.assert_frame_equal(read_library(path), expected, check_dtype=False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("compound,structure\na,CC\n", "smiles"),
        ("compound,smiles\n", "holds no row"),
        ("compound,smiles\na,CC\n ,CCC\n", "row 3 is blank"),
    ],
)
def test_tables_that_are_no_library_are_refused(home, text, says):
    with pytest.raises(InputError, match=says):
        read_library(write(home / "l.csv", text))


def test_a_named_library_must_be_there(home):
    with pytest.raises(InputError, match=r"'data/no\.csv' is not there"):
        find_library("data/no.csv", "mine")
