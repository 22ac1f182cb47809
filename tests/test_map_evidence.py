"""Evidence beside a map, on drawings that are right, wrong or half right by construction."""

import numpy as np
import pandas as pd
import pytest

from screenbook.profiles import map_evidence
from screenbook.screen import Roles


@pytest.fixture(scope="module")
def plane():
    return np.random.default_rng(0).normal(size=(300, 2))


def shuffled(points):
    return points[np.random.default_rng(1).permutation(len(points))]


def test_groups_are_controls_and_compounds_at_their_highest_dose():
    obs = pd.DataFrame(
        {
            "role": ["healthy", "diseased", "blank", "treated", "treated", "treated"],
            "compound": ["", "", "", "x", "x", "y"],
            "treatment_conc": [np.nan, np.nan, np.nan, 1.0, 10.0, 3.0],
        }
    )
    names = map_evidence.name_groups(obs, Roles(healthy=("m",), diseased=("d",)))
    assert list(names) == ["healthy", "diseased", "", "", "x", "y"]


def test_a_faithful_drawing_keeps_all_neighbours_and_a_shuffled_one_none(plane):
    drawings = {"same": (plane, plane * 3), "shuffled": (plane, shuffled(plane))}
    recalls, quality = map_evidence.keep_neighbours(
        drawings, k=10, n_queries=200, most=1000, seed=0
    )
    quality = quality.set_index("drawing")
    assert quality.loc["same", ["recall", "trustworthiness", "continuity"]].tolist() == [1, 1, 1]
    assert quality.loc["shuffled", "recall"] == pytest.approx(quality["chance"].iloc[0], abs=0.03)
    assert quality.loc["shuffled", "trustworthiness"] == pytest.approx(0.5, abs=0.06)
    assert set(recalls["k"]) == {5, 10, 50}
    assert (quality["wells"] == 300).all()


def test_of_few_rows_fewer_neighbours_are_asked_for_and_none_placed(plane):
    few = plane[:17]
    recalls, quality = map_evidence.keep_neighbours(
        {"same": (few, few)}, k=15, n_queries=200, most=1000, seed=0
    )
    assert recalls["k"].max() == 8
    assert quality[["recall", "trustworthiness", "continuity"]].eq(1).all(axis=None)
    assert map_evidence.cost_of_placing(few.astype(np.float32), 15, seed=0) is None


def test_distances_agree_when_the_drawing_is_the_space(plane):
    names = pd.Series(np.repeat([f"g{i}" for i in range(20)], 15))
    names[:15] = ""
    drawings = {"same": plane, "shuffled": shuffled(plane)}
    pairs, agreement = map_evidence.compare_distances(plane, drawings, names)
    assert agreement.loc["same"].tolist() == pytest.approx([1, 1])
    assert abs(agreement.loc["shuffled", "rho"]) < 0.4
    assert len(pairs["same"]) == 19 * 18 / 2
    assert "" not in set(pairs["same"]["a_name"]) | set(pairs["same"]["b_name"])


def test_a_radius_selects_the_closest_only_if_the_drawing_is_right(plane):
    anchors, others = np.arange(50), np.arange(50, 300)
    count, same = map_evidence.radius_agreement(plane, plane, anchors, others, share=0.1)
    assert (count, same) == (25, 1.0)
    _, wrong = map_evidence.radius_agreement(shuffled(plane), plane, anchors, others, share=0.1)
    assert wrong < 0.4


def test_placing_costs_neighbours_and_needs_enough_rows():
    rng = np.random.default_rng(0)
    scores = np.repeat(rng.normal(scale=20, size=(12, 5)), 100, axis=0)
    scores = (scores + rng.normal(size=scores.shape)).astype(np.float32)
    found = map_evidence.cost_of_placing(scores, 10, seed=0, n_early=60, n_iter=60)
    if found is None:
        pytest.fail("1,200 rows are enough for landmarks")
    n, fitted, placed = found
    assert n == 600
    assert 0.1 < placed <= fitted + 0.05


def test_neighbours_know_what_varies_smoothly_and_nothing_of_noise(plane):
    noise = np.random.default_rng(2).normal(size=300)
    values = pd.DataFrame({"smooth": plane[:, 0], "noise": noise})
    known = map_evidence.neighbours_know({"plane": plane}, values, 10, n_queries=300, seed=0)
    assert known.loc["smooth", "plane"] > 0.9
    assert known.loc["noise", "plane"] < 0.1
