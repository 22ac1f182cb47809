"""Found cells beside drawn ones: matches, recall, and how well scores tell responders."""

import numpy as np
import pandas as pd
import pytest

from screenbook.cells.cells_against_truth import (
    found_nuclei,
    match_nuclei,
    responders_against_truth,
)

DRAWN = pd.DataFrame(
    {
        "field": ["a", "a", "b", "b"],
        "y": [10.0, 30, 10, 50],
        "x": [10.0, 30, 10, 50],
        "treated": [True, False, True, False],
    }
)


def found(*rows):
    return pd.DataFrame(rows, columns=["field", "y", "x"])


def test_a_cell_is_the_nearest_drawn_one_of_its_field():
    cells = found(("b", 11, 10), ("a", 29, 31), ("a", 20, 20), ("c", 10, 10))
    assert match_nuclei(cells, DRAWN, 5).tolist() == [2, 1, -1, -1]


def test_a_nucleus_found_twice_counts_once():
    cells = found(("a", 10, 10), ("a", 11, 10), ("b", 50, 50))
    told = found_nuclei(cells, DRAWN, 5)
    assert told == {"n_found": 3, "n_drawn": 4, "recall": 0.5, "precision": pytest.approx(2 / 3)}


def test_scores_are_held_against_who_responded():
    cells = found(("a", 10, 10), ("a", 30, 30), ("b", 10, 10), ("b", 50, 50), ("b", 90, 90))
    told = pd.DataFrame(
        {
            **{"score": [3.0, 1, 2, 2.5, 9], "marked": [True, False, False, True, True]},
            **{"treatment": ["drug"] * 5, "role": "treated"},
        }
    )
    row = responders_against_truth(told, cells, DRAWN, 5).iloc[0]
    assert row["n_cells"] == 4  # the last is no drawn cell
    assert row["true_share"] == row["marked_of_responders"] == row["marked_of_others"] == 0.5
    assert row["auc"] == 0.75
    alike = responders_against_truth(told, cells, DRAWN.assign(treated=False), 5).iloc[0]
    assert np.isnan(alike["auc"])
    assert np.isnan(alike["marked_of_responders"])
