"""The owner's questions get the answers that were planted."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from planted_ranks import hits_of, ranked_wells, treatments_of
from screenbook.leads.leads import lead_table, rank_cell_type
from screenbook.leads.score_questions import (
    CHECKS,
    REPEAT_COLUMNS,
    control_separation,
    foretold,
    necessity,
    repeats,
    sufficiency,
)


def ranked(effect, cell_type="renal", **options):
    wells = ranked_wells(effect, cell_type=cell_type, **options)
    return rank_cell_type(cell_type, hits_of(wells), treatments_of(wells), wells, wells, n_draws=60)


def controls(gap, n=60, n_plates=4, seed=0):
    rng = np.random.default_rng(seed)
    diseased = np.arange(n * n_plates) % 2 == 1
    return pd.DataFrame(
        {
            "id": [f"W{i}" for i in range(len(diseased))],
            "cell_type": "renal",
            "batch": np.repeat([f"E/{i}" for i in range(n_plates)], n),
            "role": np.where(diseased, "diseased", "healthy"),
            "on_score": diseased * gap + rng.normal(size=len(diseased)),
            "used": True,
        }
    )


def test_separation_is_the_area_under_the_curve():
    wells = controls(1.5)
    classified = wells.assign(p_healthy=1 - (wells["on_score"] + 5) / 12)
    wells.loc[0, "used"] = False
    table = control_separation(wells, classified).set_index("score")
    used = wells[wells["used"]]
    expected = roc_auc_score(used["role"] == "diseased", used["on_score"])
    assert table.loc["on-axis score", "auc"] == pytest.approx(expected)
    assert table.loc["on-axis score", "auc_low"] < expected < table.loc["on-axis score", "auc_high"]
    assert table.loc["classifier", "auc"] == pytest.approx(expected)
    assert table["n"].tolist() == [239, 239]
    nothing = control_separation(wells[wells["role"] == "treated"])
    assert nothing.empty


def test_scores_repeat_where_there_is_something_to_repeat():
    effect = np.linspace(2, 0, 40)
    found = {
        "renal": ranked(effect, sd=0.1),
        "simian": ranked(effect[::-1], "simian", sd=0.1, n_experiments=1),
    }
    table = repeats(found)
    assert list(table) == list(REPEAT_COLUMNS)
    by = table.set_index(["asked", "cell_type", "score"])["rho"].sort_index()
    assert by["plates", "renal", "on_axis"] > 0.95
    assert by["experiments", "renal", "on_axis"] > 0.95
    assert by["cell types", "renal, simian", "on_axis"] < -0.9  # the order was turned round
    assert ("experiments", "simian", "on_axis") not in by
    told = foretold(found, {"renal": 4})
    assert told.groupby("cell_type")["is_experiment"].all().to_dict() == {
        "renal": True,
        "simian": False,
    }
    assert told.groupby("cell_type")["n_top"].unique().map(list).to_dict() == {
        "renal": [10, 4],
        "simian": [10],
    }
    assert repeats({}).empty
    assert foretold({}, {}).empty


def leads():
    return pd.DataFrame(
        {
            "cell_type": "renal",
            "compound": ["good", "flat", "poison", "unknown", "weak"],
            "names": ["Good; Gutes", "flat", "poison", np.nan, "weak"],
            "call": ["rescue", "rescue", "off-axis", "no call", "no call"],
            "rank": [1.0, 2, np.nan, 3, 4],
            "on_score": [0.1, 0.2, 0.0, 0.3, 0.95],
            "on_low": 0.0,
            "on_high": 1.0,
            "replicate_q": [0.01, 0.01, 0.01, np.nan, 0.01],
            "p_flat": [0.01, 0.5, 0.01, np.nan, 0.01],
            "p_healthy": [0.9, 0.8, 0.7, np.nan, 0.9],
            "flags": ["off-axis at 10 µM", np.nan, "off-axis; toxicity-like", "", ""],
        }
    )


def test_what_was_not_asked_is_not_failed():
    table = sufficiency(leads(), 0.5).set_index("compound")
    assert set(table.index) == {"good", "flat", "poison", "unknown"}
    assert table["all"].to_dict() == {"good": True, "flat": False, "poison": False, "unknown": True}
    assert table.loc["flat", "dose response"] is False or not table.loc["flat", "dose response"]
    assert not table.loc["poison", "on the way"]
    assert table.loc["good", "on the way"]  # flagged at another dose only
    assert table.loc["unknown", ["replicates", "dose response", "classifier"]].isna().all()
    assert set(CHECKS) < set(table)
    assert sufficiency(leads().drop(columns="p_flat"), 0.5)["dose response"].isna().all()


def test_references_are_found_by_any_name():
    table = necessity(leads(), ["GUTES", "weak", "absent"], 0.5)
    assert table["compound"].tolist() == ["good", "weak"]
    assert table["has_score"].tolist() == [True, False]
    assert necessity(leads(), [], 0.5).empty


def test_the_lead_table_has_what_is_asked_for():
    wells = ranked_wells(np.linspace(1, 0, 12), sd=0.05)
    hits = hits_of(wells).assign(names="", flags="", on_low=0.0, on_high=1.0, replicate_q=0.01)
    found = rank_cell_type("renal", hits, treatments_of(wells), wells, n_draws=60)
    table = lead_table(hits, {"renal": found})
    assert sufficiency(table, 0.2)["all"].all()
    assert len(necessity(table, ["Drug 003"], 0.2)) == 1
