"""NSC and NSCB of treatments: the exclusions of the literature, and what is right by hand."""

import numpy as np
import pandas as pd
import pytest

from planted_mechanisms import wells_of
from screenbook.errors import InputError
from screenbook.profiles.treatment_means import TreatmentMeans, treatment_means
from screenbook.structure.mechanism_matches import (
    match_scores,
    match_treatments,
    published_scores,
)


def by_hand():
    """Five compounds: a1 and a2 alike in one week, a3 alike in another; b1 and b2 share a week."""
    treatments = pd.DataFrame({"compound_key": ["a1", "a2", "a3", "b1", "b2"], "dose": 1.0})
    profiles = np.array([[1, 0], [1, 0.1], [1, 0.3], [0, 1], [0.1, 1]], dtype=float)
    on_plates = pd.DataFrame(
        {"treatment": [0, 1, 2, 3, 4], "batch": ["w1/1", "w1/2", "w2/1", "w1/1", "w1/2"]}
    )
    about = pd.DataFrame({"compound_key": treatments["compound_key"], "moa": list("aaabb")})
    weeks = {"w1/1": "w1", "w1/2": "w1", "w2/1": "w2"}
    return TreatmentMeans(treatments, profiles, on_plates, profiles), about, weeks


def test_treatments_that_no_other_batch_can_match_are_left_out_of_nscb():
    means, about, weeks = by_hand()
    found = match_scores(match_treatments(means, about, weeks), means, weeks).set_index("rule")
    assert found.loc["NSC", ["value", "n", "n_left_out"]].tolist() == [1.0, 5, 0]
    assert found.loc["NSCB", ["value", "n", "n_left_out"]].tolist() == [1.0, 3, 2]
    assert found.loc["NSCB", "n_compounds"] == 3


def test_only_the_treatments_asked_for_take_part():
    means, about, weeks = by_hand()
    used = np.array([True, False, True, True, True])
    match = match_treatments(means, about, weeks, used)
    assert match.table["treatment"].tolist() == [0, 2, 3, 4]


def test_one_mechanism_cannot_be_asked():
    means, about, weeks = by_hand()
    assert match_treatments(means, about.assign(moa=["a", "a", "a", "", ""]), weeks) is None


def test_planted_mechanisms_and_noise():
    scores = {}
    for effect in (4.0, 0.0):
        points, wells, about, _ = wells_of(effect=effect, own=1.0, size=5, doses=(1.0, 2.0))
        means = treatment_means(points, wells, "diseased")
        weeks = {b: b for b in means.on_plates["batch"]}
        match = match_treatments(means, about, weeks)
        scores[effect] = match_scores(match, means, weeks).set_index("rule").loc["NSC"]
    assert scores[4.0]["value"] > 0.95
    assert scores[0.0]["low"] < scores[0.0]["chance"] < scores[0.0]["high"]
    assert scores[0.0]["chance"] == pytest.approx(0.17, abs=0.05)


def test_published_results_are_read():
    table = published_scores(["factor analysis | 0.94 | | doi:10.1", "DINO|0.9|0.92|log"])
    assert table["method"].tolist() == ["factor analysis", "DINO"]
    assert table["NSC"].tolist() == [0.94, 0.9]
    assert np.isnan(table["NSCB"].iloc[0])
    assert published_scores([]).columns.tolist() == ["method", "NSC", "NSCB", "source"]


@pytest.mark.parametrize("line", ["a | 0.9", " | 0.9 | 0.9 | x", "a | 94 | | x", "a | high | | x"])
def test_published_results_that_cannot_be_read_are_named(line):
    with pytest.raises(InputError, match="published:"):
        published_scores([line])
