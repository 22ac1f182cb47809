import numpy as np
import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.profiles.selection import choose_method


def table(rows, cell_type="renal", **columns):
    """Methods as (name, mAP, AUC, plates told above a chance of 0.1)."""
    frame = pd.DataFrame(rows, columns=["method", "map", "auc", "plate_accuracy"])
    frame["plate_accuracy"] += 0.1
    defaults = {
        "cell_type": cell_type,
        "title": frame["method"].str.upper(),
        "status": "candidate",
        "plate_chance": 0.1,
        "plate_se": 0.01,
        "auc_se": 0.02,
        "map_se": 0.05,
        "nsc": np.nan,
    }
    return frame.assign(**(defaults | columns))


ROWS = [
    ("none", 0.30, 0.90, 0.80),
    ("plain", 0.70, 0.95, 0.30),
    ("best", 0.74, 0.93, 0.20),
    ("clean", 0.71, 0.92, 0.00),
    ("eraser", 0.90, 0.60, 0.00),
]


def test_the_rule_step_by_step():
    choice = choose_method(table(ROWS))
    steps = choice.table.set_index("method")
    assert not steps.loc["eraser", "keeps_controls"]  # the best replicates, and no disease left
    assert steps["near_best"].loc[["plain", "best", "clean"]].all()
    assert not steps.loc["none", "near_best"]
    assert choice.method == choice.by_rule == "clean"
    assert "1 of 5 candidates lose control separation" in choice.reason
    assert "+0.000 above chance" in choice.reason


def test_among_equals_the_best_separation_wins():
    rows = [*ROWS[:3], ("a", 0.71, 0.92, 0.005), ("b", 0.72, 0.94, 0.0), ("c", 0.73, 0.91, 0.0)]
    choice = choose_method(table(rows))
    assert choice.table.set_index("method")["least_told"].loc[["a", "b", "c"]].all()
    assert choice.method == "b"


def test_a_tie_goes_to_the_simplest():
    rows = [ROWS[0], ("a", 0.7, 0.95, 0.0), ("b", 0.7, 0.95, 0.0)]
    assert choose_method(table(rows)).method == "a"


def test_without_a_disease_replicates_decide():
    rows = [(m, x, np.nan, p) for m, x, _, p in [*ROWS[:4], ("d", 0.72, 0, 0.005)]]
    choice = choose_method(table(rows, auc_se=np.nan))
    assert choice.method == "d"
    assert "no disease" in choice.reason
    assert "replicate mAP" in choice.reason


def test_warnings_and_comparisons_are_never_chosen_by_the_rule():
    rows = [*ROWS, ("warn", 0.99, 0.99, -0.1), ("compare", 0.99, 0.99, -0.1)]
    frame = table(rows)
    frame.loc[frame["method"] == "warn", "status"] = "warning"
    frame.loc[frame["method"] == "compare", "status"] = "comparison"
    assert choose_method(frame).method == "clean"
    with pytest.raises(InputError, match="cannot go on here"):
        choose_method(frame, "warn")
    asked = choose_method(frame, "compare")
    assert (asked.method, asked.by_rule) == ("compare", "clean")


def test_mechanisms_have_no_say():
    frame = table(ROWS)
    tempting = frame.assign(nsc=[0, 0, 1, 0, 0], nscb=[0, 0, 1, 0, 0])
    assert choose_method(tempting).method == choose_method(frame).method


def test_separation_must_hold_in_every_cell_type():
    other = table(ROWS, cell_type="simian")
    other.loc[other["method"] == "clean", "auc"] = 0.5
    choice = choose_method(pd.concat([table(ROWS), other]))
    assert not choice.table.set_index("method").loc["clean", "keeps_controls"]
    assert choice.method == "best"


def test_a_method_that_one_cell_type_lacks_is_no_candidate():
    other = table([row for row in ROWS if row[0] != "clean"], cell_type="simian")
    assert choose_method(pd.concat([table(ROWS), other])).method == "best"


def test_a_parameter_takes_the_place_of_the_rule_and_says_so():
    choice = choose_method(table(ROWS), "plain")
    assert (choice.method, choice.by_rule) == ("plain", "clean")
    assert choice.reason == "The parameter asks for plain; the rule would have chosen clean."
    assert choice.table.set_index("method")["chosen"].to_dict()["plain"]
    with pytest.raises(InputError, match="did you mean 'plain'"):
        choose_method(table(ROWS), "plane")


def test_a_screen_without_replicates_or_two_plates_still_gets_a_method():
    rows = [(m, np.nan, np.nan, np.nan) for m, *_ in ROWS]
    frame = table(rows, auc_se=np.nan, map_se=np.nan, plate_chance=np.nan, plate_se=np.nan)
    assert choose_method(frame).method == "none"
