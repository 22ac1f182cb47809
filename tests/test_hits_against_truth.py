import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from screenbook.errors import InputError
from screenbook.hits.hits_against_truth import (
    binomial_interval,
    calls_at_levels,
    calls_by_class,
    ec50_errors,
    ec50_within,
    harmful_on_top,
    join_truth,
    null_calibration,
    on_score_coverage,
    selective_calls,
    true_on_score,
)

NAN = np.nan


def truth():
    """Five compounds on renal cells, four of them on simian ones."""
    rows = [
        # key, cells, class, rescues, ec50, hill, emax, loss, loss ec50, loss hill
        ("A", "renal", "rescuer", True, 1.0, 1.0, 0.8, 0.0, NAN, NAN),
        ("B", "renal", "rescuer", True, 0.5, 2.0, 0.5, 0.9, 10.0, 2.0),
        ("C", "renal", "inert", False, NAN, NAN, 0.0, 0.0, NAN, NAN),
        ("D", "renal", "toxic", False, 1.0, 1.0, 0.0, 0.9, 1.0, 2.0),
        ("E", "renal", "aggravator", False, 2.0, 1.0, -0.4, 0.0, NAN, NAN),
        ("A", "simian", "rescuer", False, NAN, NAN, 0.0, 0.0, NAN, NAN),
        ("B", "simian", "rescuer", True, 0.25, 1.0, 0.7, 0.0, NAN, NAN),
        ("C", "simian", "inert", False, NAN, NAN, 0.0, 0.0, NAN, NAN),
        ("E", "simian", "aggravator", False, 2.0, 1.0, -0.4, 0.0, NAN, NAN),
    ]
    names = "compound_key cell_type class rescues ec50 hill emax cell_loss"
    columns = [*names.split(), "cell_loss_ec50", "cell_loss_hill"]
    return pd.DataFrame(rows, columns=columns)


def hits():
    table = truth()[["cell_type", "compound_key"]]
    table["compound"] = "drug " + table["compound_key"]
    table["q"] = [0.01, 0.15, 0.04, NAN, 0.9, 0.08, 0.02, 0.5, 0.7]
    table["rank"] = [1, 3, 2, 4, 5, 2, 1, 3, 4]
    table["ec50"] = [2.5, NAN, NAN, NAN, NAN, NAN, 0.05, NAN, NAN]
    table["ec50_low"] = [1.5, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN]
    table["ec50_high"] = [4.0, NAN, NAN, NAN, NAN, NAN, 0.3, NAN, NAN]
    return table


def test_recall_precision_and_false_discoveries_by_hand():
    found = calls_at_levels(hits(), truth(), levels=(0.05, 0.2))
    table = found.set_index(["cell_type", "level"])
    counts = table[["n_true", "n_called", "n_right"]]
    assert counts.loc[("renal", 0.05)].tolist() == [2, 2, 1]  # A, C
    assert counts.loc[("renal", 0.2)].tolist() == [2, 3, 2]  # A, B, C
    assert counts.loc[("simian", 0.05)].tolist() == [1, 1, 1]  # B
    assert counts.loc[("simian", 0.2)].tolist() == [1, 2, 1]  # A, B
    assert counts.loc[("all", 0.2)].tolist() == [3, 5, 3]
    row = table.loc[("all", 0.2)]
    assert row[["recall", "precision", "fdp"]].tolist() == pytest.approx([1.0, 0.6, 0.4])
    exact = binomtest(2, 5).proportion_ci(0.95, method="exact")
    assert (row["fdp_low"], row["fdp_high"]) == pytest.approx((exact.low, exact.high))
    exact = binomtest(3, 3).proportion_ci(0.95, method="exact")
    assert (row["recall_low"], row["recall_high"]) == pytest.approx((exact.low, exact.high))


def test_what_the_rest_of_the_rule_bars_is_not_called():
    eligible = (hits()["compound_key"] != "C").to_numpy()
    found = calls_at_levels(hits(), truth(), levels=(0.2,), eligible=eligible)
    assert found.set_index("cell_type").loc["renal", ["n_called", "n_right"]].tolist() == [2, 2]


def test_no_call_is_no_false_discovery_and_no_rescuer_no_recall():
    found = calls_at_levels(hits().assign(q=1.0), truth(), levels=(0.05,))
    assert (found["fdp"] == 0).all()
    assert found[["fdp_low", "fdp_high", "precision"]].isna().all(axis=None)
    assert found["held"].all()
    none = calls_at_levels(hits(), truth().assign(rescues=False), levels=(0.05,))
    assert none["recall"].isna().all()
    assert (none["fdp"] == 1).all()


def test_a_rate_beyond_chance_is_not_held():
    many = pd.DataFrame({"cell_type": "renal", "compound_key": [f"K{i}" for i in range(40)]})
    known = many.assign(rescues=False, ec50=NAN, hill=NAN, emax=0.0, cell_loss=0.0)
    known["class"] = "inert"
    known.loc[:19, ["class", "rescues"]] = ["rescuer", True]
    called = many.assign(q=0.01)
    assert not calls_at_levels(called, known, levels=(0.05,))["held"].any()
    assert calls_at_levels(called, known, levels=(0.4,))["held"].all()


def test_calls_by_class():
    called = np.array([1, 0, 1, 0, 0, 1, 1, 0, 0], dtype=bool)
    found = calls_by_class(hits(), truth(), called)
    renal = found[found["cell_type"] == "renal"].set_index("class")
    assert renal["n"].to_dict() == {"inert": 1, "rescuer": 2, "aggravator": 1, "toxic": 1}
    assert renal["n_called"].to_dict() == {"inert": 1, "rescuer": 1, "aggravator": 0, "toxic": 0}
    assert renal["right"].to_dict()["rescuer"]
    assert renal.loc["inert", "called"] == "drug C"
    simian = found[found["cell_type"] == "simian"].set_index("class")
    assert simian.loc["rescuer elsewhere", ["right", "n_called", "called"]].tolist() == [
        False,
        1,
        "drug A",
    ]


def test_harmful_compounds_near_the_top_are_listed():
    found = harmful_on_top(hits(), truth(), top=4)
    assert found[["cell_type", "compound", "class", "rank"]].to_numpy().tolist() == [
        ["renal", "drug D", "toxic", 4],
        ["simian", "drug E", "aggravator", 4],
    ]
    assert harmful_on_top(hits(), truth(), top=3).empty
    assert harmful_on_top(hits().assign(rank=NAN), truth()).empty


@pytest.mark.parametrize(
    ("renal", "simian", "verdict"),
    [(1, 0, "right"), (0, 1, "wrong"), (1, 1, "wrong"), (0, 0, "missed")],
)
def test_selective_rescuers(renal, simian, verdict):
    called = np.array([renal, 1, 0, 0, 0, simian, 1, 0, 0], dtype=bool)
    found = selective_calls(hits(), truth(), called)
    assert found["compound"].tolist() == ["drug A"]  # B rescues both, so it is not selective
    assert found["rescues_in"].tolist() == ["renal"]
    assert found["verdict"].tolist() == [verdict]


def test_a_selective_rescuer_called_in_some_of_its_cells_is_partly_right():
    three = pd.DataFrame({"cell_type": ["a", "b", "c"], "compound_key": "K", "compound": "drug"})
    known = three.assign(rescues=[True, True, False], ec50=1.0, hill=1.0, emax=0.5, cell_loss=0.0)
    known["class"] = "rescuer"
    found = selective_calls(three, known, np.array([True, False, False]))
    assert found.loc[0, ["rescues_in", "called_in", "verdict"]].tolist() == ["a; b", "a", "part"]


def test_ec50_errors_by_hand():
    errors = ec50_errors(hits(), truth())
    assert errors["compound"].tolist() == ["drug A", "drug B"]  # renal B has an Emax of 0.5 only
    assert errors["fold"].tolist() == pytest.approx([2.5, 5.0])
    assert errors["covered"].tolist() == [False, True]
    within = ec50_within(errors).set_index("cell_type")
    assert within.loc["all", ["k", "n", "share"]].tolist() == [1, 2, 0.5]
    assert within.loc["all", "median_fold"] == pytest.approx(3.75)
    assert within.loc["all", "covered"] == 0.5
    weak = ec50_errors(hits(), truth(), strong=0.5)
    assert len(weak) == 3
    assert ec50_within(weak).set_index("cell_type").loc["all", ["k", "n"]].tolist() == [1, 3]


def test_true_scores_follow_the_hill_equation():
    table = pd.DataFrame({"cell_type": "renal", "compound_key": list("AABCE")})
    table["dose"] = [1.0, 3.0, 1.0, 1.0, 2.0]
    right = true_on_score(join_truth(table, truth()))
    assert right == pytest.approx([0.6, 0.4, 1 - 0.5 * 4 / 5, 1.0, 1.2])


def test_coverage_counts_only_treatments_that_keep_their_cells():
    rows = [
        ("A", 1.0, 0.5, 0.4, 0.61),  # true 0.6: inside
        ("A", 3.0, 0.7, 0.5, 0.90),  # true 0.4: outside
        ("B", 0.5, 0.8, 0.6, 1.00),  # true 0.75, loss 0.9 * 0.0025: inside
        ("B", 10.0, 0.8, 0.0, 2.0),  # half of its cells are gone
        ("D", 1.0, 1.0, 0.0, 2.0),  # toxic
        ("C", 1.0, 1.1, 0.9, 1.30),  # true 1: inside
        ("C", 3.0, NAN, NAN, NAN),  # no interval
    ]
    columns = ["compound_key", "dose", "on_score", "on_low", "on_high"]
    table = pd.DataFrame(rows, columns=columns).assign(cell_type="renal")
    found = on_score_coverage(table, truth()).set_index("class")
    assert found.loc["rescuer", ["k", "n"]].tolist() == [2, 3]
    assert found.loc["all", ["k", "n"]].tolist() == [3, 4]
    assert found.loc["inert", "bias"] == pytest.approx(0.1)
    assert found.loc["rescuer", "bias"] == pytest.approx((-0.1 + 0.3 + 0.05) / 3)
    assert found.loc["rescuer", "width"] == pytest.approx(0.4)


def test_calibration_counts_inert_compounds_alone():
    inert = pd.DataFrame({"cell_type": "renal", "compound_key": [f"K{i}" for i in range(100)]})
    known = inert.assign(rescues=False, ec50=NAN, hill=NAN, emax=0.0, cell_loss=0.0)
    known["class"] = "inert"
    table = pd.concat([inert.assign(p=np.arange(1, 101) / 100), hits().assign(p=0.001).iloc[[0]]])
    table = pd.concat([table, inert.iloc[[0]].assign(p=NAN)])  # not tested
    everything = pd.concat([known, truth()])
    found = null_calibration(table, everything, levels=(0.05, 0.2))
    assert found[["level", "k", "n"]].to_numpy().tolist() == [[0.05, 5, 100], [0.2, 20, 100]]
    assert found["held"].all()
    crowded = table.assign(p=table["p"] / 5)
    assert not null_calibration(crowded, everything, levels=(0.05,))["held"].any()


def test_uniform_p_values_hold_their_levels():
    rng = np.random.default_rng(0)
    inert = pd.DataFrame({"cell_type": "renal", "compound_key": [f"K{i}" for i in range(400)]})
    known = inert.assign(rescues=False, ec50=NAN, hill=NAN, emax=0.0, cell_loss=0.0)
    known["class"] = "inert"
    held = [
        null_calibration(inert.assign(p=rng.random(400)), known, levels=(0.05,))["held"].iloc[0]
        for _ in range(60)
    ]
    assert np.mean(held) > 0.9


def test_intervals_are_those_of_scipy():
    k, n = np.array([0, 1, 5, 10]), np.array([10, 10, 10, 10])
    low, high = binomial_interval(k, n)
    exact = [binomtest(int(a), 10).proportion_ci(0.95, method="exact") for a in k]
    np.testing.assert_allclose(low, [e.low for e in exact])
    np.testing.assert_allclose(high, [e.high for e in exact])
    assert np.isnan(binomial_interval(0, 0)).all()


def test_the_truth_of_another_screen_is_refused():
    with pytest.raises(InputError, match="lacks compound 'A'"):
        join_truth(hits(), truth().query("compound_key != 'A'"))
    with pytest.raises(InputError, match="'A' twice"):
        join_truth(hits(), pd.concat([truth(), truth().iloc[:1]]))


def test_order_and_text_of_the_tables_do_not_matter():
    order = np.random.default_rng(0).permutation(9)
    text = truth().assign(rescues=truth()["rescues"].map({True: "True", False: "False"}))
    mixed = calls_at_levels(hits().iloc[order], text.iloc[order[::-1]])
    pd.testing.assert_frame_equal(mixed, calls_at_levels(hits(), truth()))
    called = (hits()["q"] < 0.1).to_numpy()
    mixed = selective_calls(hits().iloc[order], text, called[order])
    pd.testing.assert_frame_equal(mixed, selective_calls(hits(), truth(), called))
