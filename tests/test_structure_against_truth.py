"""What calls and rankings turn out to be worth, counted by hand."""

import numpy as np
import pandas as pd
import pytest

from screenbook.structure.structure_against_truth import calls_against, ranking_against


def test_only_active_unannotated_compounds_are_held_against_the_truth():
    calls = pd.DataFrame(
        {
            "compound_key": list("abcd"), "compound": list("ABCD"), "moa": ["", "", "x", ""],
            "active": [True, True, True, False], "mechanism": ["x", "y", "x", ""],
            "p": 0.01, "q": 0.02, "verdict": "called", "support": 1.0,
        }
    )  # fmt: skip
    truth = pd.DataFrame({"compound_key": list("aabcd"), "mechanism": list("xxzxx")})
    found = calls_against(calls, truth)
    assert found["compound"].tolist() == ["A", "B"]
    assert found["right"].tolist() == [True, False]


def test_a_rescuer_of_another_cell_type_is_none():
    ranked = pd.DataFrame(
        {
            "rank": [1, 2, 3, 4], "compound": list("abcd"), "predicted": [0.1, 0.4, 0.6, 0.9],
            "note": ["", "far", "", ""],
        }
    )  # fmt: skip
    truth = pd.DataFrame(
        {"compound": list("dcba"), "class": ["inert", "rescuer", "rescuer", "rescuer"],
         "only": ["", "", "simian", ""]}
    )  # fmt: skip
    found = ranking_against(ranked, truth, "renal")
    assert found["n_rescuers"] == 2
    assert found["top_rescuers"] == 1
    assert found["auc"] == pytest.approx(0.75)
    assert found["like"] == 0.75
    nothing = ranking_against(ranked, truth.assign(**{"class": "inert"}), "renal")
    assert np.isnan(nothing["auc"])
