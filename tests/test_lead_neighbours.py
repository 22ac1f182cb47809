"""Neighbours of a lead are the compounds that do the same, measured from untreated wells."""

import numpy as np
import pandas as pd
import pytest

from screenbook.leads.lead_neighbours import lead_neighbours, treatment_profiles


def plates(effects, n_plates=3, k=4, sd=0.0, shift=5.0, seed=0):
    """Two untreated and two wells of each compound at two doses, the second with the effect."""
    rng = np.random.default_rng(seed)
    rows, points = [], []
    for plate in range(n_plates):
        offset = shift * rng.normal(size=k)
        rows += [(f"E/{plate}", "diseased", "", np.nan)] * 2
        points += [offset] * 2
        for key, effect in effects.items():
            for dose in (0.1, 1.0):
                rows += [(f"E/{plate}", "treated", key, dose)] * 2
                points += [offset + np.array(effect) * (dose == 1)] * 2
    wells = pd.DataFrame(rows, columns=["batch", "role", "compound_key", "dose"])
    return np.array(points) + sd * rng.normal(size=(len(points), k)), wells


EFFECTS = {
    "A": [1, 0, 0, 0],
    "B": [2, 0.1, 0, 0],
    "C": [0, 1, 0, 0],
    "D": [-1, 0, 0, 0],
    "E": [0, 0, 1, 1],
}
DOSES = pd.DataFrame({"compound_key": list(EFFECTS), "best_dose": 1.0})
ABOUT = DOSES.assign(compound=[f"drug {k}" for k in EFFECTS], moa="", call="rescue")


def test_profiles_are_offsets_from_untreated_wells_of_the_plate():
    points, wells = plates(EFFECTS)
    keys, profiles = treatment_profiles(points, wells, DOSES, "diseased")
    assert keys == list(EFFECTS)
    np.testing.assert_allclose(profiles, np.array(list(EFFECTS.values()), dtype=float), atol=1e-9)


def test_only_the_best_dose_and_plates_with_controls_count():
    points, wells = plates(EFFECTS)
    low = DOSES.assign(best_dose=0.1)
    _, profiles = treatment_profiles(points, wells, low, "diseased")
    np.testing.assert_allclose(profiles, 0, atol=1e-9)
    alone = (wells["batch"] == "E/2") & (wells["role"] == "diseased")
    points[(wells["batch"] == "E/2") & (wells["role"] == "treated")] += 100
    keep = (~alone).to_numpy()
    _, profiles = treatment_profiles(points[keep], wells[keep], DOSES, "diseased")
    np.testing.assert_allclose(profiles, np.array(list(EFFECTS.values()), dtype=float), atol=1e-9)


def test_neighbours_come_by_cosine():
    points, wells = plates(EFFECTS, sd=0.01)
    keys, profiles = treatment_profiles(points, wells, DOSES, "diseased")
    table = lead_neighbours(keys, profiles, ["A", "absent"], ABOUT, n_neighbours=3)
    assert table["neighbour_key"].tolist()[0] == "B"
    assert table["neighbour"].tolist()[0] == "drug B"
    assert "D" not in table["neighbour_key"].tolist()  # it does the opposite
    unit = profiles / np.linalg.norm(profiles, axis=1, keepdims=True)
    assert table["cosine"].iloc[0] == pytest.approx(unit[0] @ unit[1])
    assert table["share_below"].iloc[0] == pytest.approx(9 / 10)
    assert table["place"].tolist() == [1, 2, 3]
    assert (table["compound_key"] == "A").all()


def test_too_few_compounds_have_no_neighbours():
    points, wells = plates({"A": [1, 0, 0, 0]})
    keys, profiles = treatment_profiles(points, wells, DOSES, "diseased")
    assert lead_neighbours(keys, profiles, ["A"], ABOUT).empty
    keys, profiles = treatment_profiles(points, wells, DOSES.iloc[:0], "diseased")
    assert keys == []
    assert lead_neighbours(keys, profiles, ["A"], ABOUT).empty
