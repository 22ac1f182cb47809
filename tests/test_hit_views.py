"""What figures and sentences about hits are made from."""

import numpy as np
import pandas as pd
import pytest

from planted_hits import GAP, planted_hits
from screenbook.hits import hit_views
from screenbook.hits.calls import Rule
from screenbook.hits.hit_search import search_hits
from screenbook.profiles.batches import cell_type_parts


@pytest.fixture(scope="module")
def parts():
    return cell_type_parts(planted_hits(classes={"idle": 20, "rescuer": 3}))


@pytest.fixture(scope="module")
def search(parts):
    columns = ["cell_type", "compound_key", "treatment_conc", "map", "p", "q"]
    none = pd.DataFrame(columns=columns).astype({"treatment_conc": float})
    nobody = np.zeros(len(parts[0].obs), dtype=bool)
    return search_hits(parts, parts, nobody, none, Rule(), n_draws=100)


def test_boxes_hold_means_of_controls_and_gates_are_as_far_off_as_along(search, parts):
    boxes = hit_views.control_boxes(search, parts).set_index("role")
    # Six wells of SD 1 on a way of length GAP.
    width = boxes["on_high"] - boxes["on_low"]
    np.testing.assert_allclose(width, 2 * 1.96 / np.sqrt(6) / GAP, rtol=0.2)
    assert boxes.loc["healthy", "on_low"] < 0 < boxes.loc["healthy", "on_high"]
    idle = search.treatments["compound"].str.startswith("idle")
    inside = search.treatments["off_score"] <= boxes.loc["diseased", "off_high"]
    assert inside[idle].mean() > 0.95
    gate = hit_views.gate_lines(search)
    assert gate["on_score"].tolist() == [1.0, 0.0]
    assert gate["off_score"].iloc[1] == pytest.approx(GAP, rel=0.15)


def test_design_is_counted(search):
    row = hit_views.power_of_design(search).iloc[0]
    assert row[["compounds", "treatments", "testable", "treated"]].tolist() == [23, 69, 69, 414]
    assert row["p_least"] == pytest.approx((1 / 21) ** 6, rel=1e-6)


def test_curves_carry_names(search):
    keys = search.hits.loc[search.hits["call"] == "rescue", "compound_key"]
    lines = hit_views.dose_lines(search, keys)
    assert set(lines["compound"]) == {"rescuer 20", "rescuer 21", "rescuer 22"}
    assert (lines.groupby("compound")["score"].agg(lambda s: s.iloc[0] - s.iloc[-1]) > 0.5).all()


def test_weak_mechanisms_come_first():
    treatments = pd.DataFrame(
        {
            "cell_type": "u",
            "compound_key": ["a", "a", "b", "c"],
            "dose": [1.0, 2.0, 1.0, 1.0],
            "off_score": [1.0, 3.0, 9.0, 4.0],
            "replicate_map": [0.2, 0.4, 1.0, 0.9],
            "verdict": ["no call", "active", "active", "active"],
        }
    )
    hits = pd.DataFrame({"cell_type": "u", "compound_key": ["a", "b", "c"], "moa": ["x", "y", ""]})
    table = hit_views.activity_by_mechanism(treatments, hits)
    assert table["mechanism"].tolist() == ["x", "not annotated", "y"]
    columns = ["compounds", "treatments", "active", "share", "distance"]
    assert table.loc[0, columns].tolist() == [1, 2, 1, 0.5, 2.0]


def test_every_search_column_is_explained():
    table = pd.DataFrame(columns=["compound", "knn_pca_count", "antipodal_score"])
    explained = hit_views.search_columns(table)
    assert explained["knn_pca_count"] == "knn pca: wells found, count"
    assert set(table) <= set(explained)
