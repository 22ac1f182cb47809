import numpy as np
import pandas as pd

from screenbook.profiles.against_truth import plates_against, well_states, wells_against


def test_plates_are_joined_by_experiment_and_number_whatever_their_type():
    judged = pd.DataFrame(
        {
            "batch": ["A/2", "B/1", "A/1"],
            "experiment": ["A", "B", "A"],
            "plate": ["2", "1", "1"],
            "verdict": ["flag", "keep", "flag"],
            "reason": "",
        }
    )
    truth = pd.DataFrame(
        {
            "experiment": ["A", "A", "B"],
            "plate": [1, 2, 1],  # as pandas reads them back
            "fault": [np.nan, "weak infection", np.nan],
            "row_gradient": [0.1, 0.0, -2.0],
            "column_gradient": [0.2, 0.1, 1.0],
        }
    )
    held = plates_against(judged, truth).set_index("batch")
    assert held["fault"].to_dict() == {"A/2": "weak infection", "B/1": "", "A/1": ""}
    assert held["gradient"].to_dict() == {"A/2": 3, "B/1": 1, "A/1": 2}
    assert held["faulty"].to_dict() == {"A/2": True, "B/1": False, "A/1": False}
    assert held["flagged"].to_dict() == {"A/2": True, "B/1": False, "A/1": True}


def test_wells_are_named_by_the_worst_that_happened_and_counted():
    wells = pd.DataFrame({"experiment": "A", "plate": "1", "well": list("dcba")})
    truth = pd.DataFrame(
        {
            "experiment": "A",
            "plate": 1,
            "well": list("abcd"),
            "outlier": [True, False, False, False],
            "empty": [True, True, False, False],
            "cell_loss": [0.9, 0.9, 0.5, 0.1],
        }
    )
    states = well_states(wells, truth)
    assert states.tolist() == ["sound", "dying", "nearly empty", "accident"]
    table = wells_against(pd.Series(["", "outlier", "", "outlier"]), states).set_index("truth")
    assert table.loc["accident", "outlier"] == table.loc["dying", "outlier"] == 1
    assert table.loc["sound", "unremarkable"] == 1
    assert table.to_numpy().sum() == 4
