from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from screenbook.errors import InputError
from screenbook.hits.ranking_precision import compare_rankings, expected_average_precision


def by_hand(right, score):
    """Mean over all orders that the scores allow."""
    score = np.where(np.isnan(score), -np.inf, score)
    found = []
    for order in permutations(range(len(right))):
        if all(score[a] >= score[b] for a, b in pairwise(order)):
            hits = np.asarray(right)[list(order)]
            precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
            found.append(precision[hits].mean())
    return np.mean(found)


@pytest.mark.parametrize("seed", range(5))
def test_without_ties_it_is_sklearns(seed):
    rng = np.random.default_rng(seed)
    right, score = rng.random(60) < 0.2, rng.normal(size=60)
    ours = expected_average_precision(right, score)
    assert ours == pytest.approx(average_precision_score(right, score))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 1.0, 2.0, np.nan])), min_size=1, max_size=6
    ).filter(lambda rows: any(right for right, _ in rows))
)
def test_with_ties_it_is_the_mean_over_all_orders(rows):
    right, score = np.array([r for r, _ in rows]), np.array([s for _, s in rows])
    assert expected_average_precision(right, score)[0] == pytest.approx(by_hand(right, score))


def test_weights_are_copies():
    rng = np.random.default_rng(0)
    right, score = rng.random(20) < 0.3, rng.integers(0, 6, 20).astype(float)
    weights = rng.integers(0, 3, (4, 20))
    ours = expected_average_precision(right, score, weights)
    for row, times in zip(ours, weights, strict=True):
        copies = np.repeat(right, times), np.repeat(score, times)
        assert row == pytest.approx(expected_average_precision(*copies)[0])


def test_a_list_without_a_right_entry_has_no_precision():
    assert np.isnan(expected_average_precision(np.zeros(3, bool), np.arange(3.0)))[0]
    weights = np.array([[1, 1, 0], [0, 1, 1]])
    found = expected_average_precision(np.array([False, False, True]), np.arange(3.0), weights)
    assert np.isnan(found[0])
    assert found[1] == 1


def truth_of(n=80, seed=0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "cell_type": np.repeat(["renal", "simian"], [n, n // 2]),
            "compound_key": [f"K{i}" for i in [*range(n), *range(n // 2)]],
        }
    )
    table["rescues"] = rng.random(len(table)) < 0.25
    return table


def ranking(truth, strength, seed):
    noise = np.random.default_rng(seed).normal(size=len(truth))
    index = pd.MultiIndex.from_frame(truth[["cell_type", "compound_key"]])
    return pd.Series(strength * truth["rescues"].to_numpy() + noise, index=index)


def test_rankings_side_by_side():
    truth = truth_of()
    ours, theirs = ranking(truth, 3.0, 1), ranking(truth, 0.5, 2)
    found = compare_rankings({"ours": ours, "theirs": theirs}, truth, n_bootstrap=400)
    assert found["cell_type"].unique().tolist() == ["renal", "simian", "mean"]
    table = found.set_index(["cell_type", "ranking"])
    for cell_type in ("renal", "simian"):
        mine = (truth["cell_type"] == cell_type).to_numpy()
        for name, score in (("ours", ours), ("theirs", theirs)):
            row = table.loc[(cell_type, name)]
            oracle = average_precision_score(truth["rescues"][mine], score.to_numpy()[mine])
            assert row["average_precision"] == pytest.approx(oracle)
            assert row["low"] <= oracle <= row["high"]
            assert row["n_right"] == truth["rescues"][mine].sum()
    mean = table.loc[("mean", "ours"), "average_precision"]
    assert mean == pytest.approx(
        table.loc[(["renal", "simian"], "ours"), "average_precision"].mean()
    )
    worse = table.loc[("mean", "theirs")]
    assert worse["difference"] == pytest.approx(worse["average_precision"] - mean)
    assert worse["difference_high"] < 0
    assert (table.xs("ours", level="ranking")[["difference", "difference_low"]] == 0).all(axis=None)


def test_the_interval_of_a_difference_is_paired():
    truth = truth_of()
    ours = ranking(truth, 1.5, 1)
    twin = ours + 1e-3 * ranking(truth, 0.0, 3)
    row = compare_rankings({"ours": ours, "twin": twin}, truth, n_bootstrap=200).iloc[1]
    assert row["difference_high"] - row["difference_low"] < 0.1 * (row["high"] - row["low"])


def test_missing_compounds_are_last_and_other_compounds_do_not_count():
    truth = truth_of()
    full = ranking(truth, 2.0, 1)
    last = full.where(full > 0)
    table = compare_rankings({"dropped": last.dropna(), "nan": last}, truth, n_bootstrap=20)
    by_name = table.set_index("ranking")["average_precision"]
    np.testing.assert_allclose(by_name["dropped"], by_name["nan"])
    alien = pd.concat([full, pd.Series({("renal", "unheard of"): 99.0})])
    found = compare_rankings({"a": alien, "b": full}, truth, n_bootstrap=20)
    np.testing.assert_allclose(found["difference"], 0)


def test_a_constant_ranking_is_chance():
    truth = truth_of()
    flat = ranking(truth, 0.0, 0) * 0
    found = compare_rankings({"flat": flat}, truth, n_bootstrap=20)
    np.testing.assert_allclose(found["average_precision"], found["chance"])
    order = np.random.default_rng(0).normal(size=(400, 80))
    right = truth["rescues"].to_numpy()[:80]
    shuffled = np.mean([average_precision_score(right, row) for row in order])
    assert found.iloc[0]["chance"] == pytest.approx(shuffled, abs=0.012)


def test_truth_read_from_text_is_understood_and_nothing_to_find_is_no_error():
    truth = truth_of()
    score = {"a": ranking(truth, 1.0, 0)}
    text = truth.assign(rescues=truth["rescues"].map({True: "True", False: "False"}))
    pd.testing.assert_frame_equal(
        compare_rankings(score, text, n_bootstrap=20),
        compare_rankings(score, truth, n_bootstrap=20),
    )
    none = compare_rankings(score, truth.assign(rescues=False), n_bootstrap=20)
    assert none.empty
    assert "average_precision" in none


def test_rankings_that_cannot_be_used_are_refused():
    truth = truth_of()
    with pytest.raises(InputError, match="no ranking"):
        compare_rankings({}, truth)
    twice = ranking(truth, 1.0, 0)
    with pytest.raises(InputError, match="'a' names a compound twice"):
        compare_rankings({"a": pd.concat([twice, twice])}, truth)
