"""Metadata as text and numbers, and addresses on plates."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screenbook.errors import InputError
from screenbook.metadata import COLUMNS, as_text, tidy, well_address
from small_screens import metadata


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, None], ["1", ""]),
        ([1.5, 2.0], ["1.5", "2.0"]),
        ([1, 2], ["1", "2"]),
        ([" a ", None], ["a", ""]),
        ([True, False], ["True", "False"]),
        ([], []),
    ],
)
def test_text(values, text):
    assert as_text(pd.Series(values)).tolist() == text
    assert as_text(pd.Series(values).astype("category")).tolist() == text


def test_a_mechanism_that_says_nothing_is_none():
    obs = metadata().assign(moa="Actin disruptors")
    said = ["unknown", " N/A", "-", "Unclear"]
    obs.iloc[: len(said), obs.columns.get_loc("moa")] = said
    found = tidy(obs, "meta.csv")["moa"]
    assert found.iloc[: len(said)].eq("").all()
    assert found.iloc[len(said) :].eq("Actin disruptors").all()


def test_fixed_columns_come_first_and_in_order():
    table = tidy(metadata().assign(moa="m")[["moa", *reversed(COLUMNS)]], "meta.csv")
    assert table.columns.tolist() == [*COLUMNS, "moa"]
    assert table["site"].dtype == np.int64
    assert table["treatment_conc"].dtype == np.float64


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 31), st.integers(0, 47), st.booleans(), st.integers(1, 3))
def test_every_address_of_a_1536_well_plate_is_read(row, column, lower, width):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    name = (letters[row] if row < 26 else "A" + letters[row - 26]) + f"{column + 1:0{width}}"
    rows, columns = well_address(pd.Series([name.lower() if lower else name]))
    assert (rows[0], columns[0]) == (row, column)


CELLS = st.one_of(st.none(), st.text(max_size=5), st.integers(-2, 3), st.floats())


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(COLUMNS), st.lists(CELLS, min_size=48, max_size=48)))
def test_whatever_the_cells_hold_it_is_a_table_or_one_line(columns):
    obs = metadata().assign(
        **{name: pd.Series(v, dtype=object).to_numpy() for name, v in columns.items()}
    )
    try:
        table = tidy(obs, "meta.csv")
    except InputError as error:
        message = str(error)
    else:
        message = "meta.csv: "
        assert not table.drop(columns="treatment_conc").isna().any(axis=None)
        assert (table["site"] >= 0).all()
        assert not (table["treatment_conc"] < 0).any()
    assert "\n" not in message
    assert message.startswith("meta.csv: ")
