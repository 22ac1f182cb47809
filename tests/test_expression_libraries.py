"""Libraries of changes: means of what was measured, neighbours' means, and predictions."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from screenbook.expression.libraries import (
    LIBRARIES,
    candidates,
    line_libraries,
    line_mean,
    retrieve,
)
from screenbook.expression.priors import drug_prior
from screenbook.expression.split_study import study_split
from small_studies import QUICK, bits, small_signatures, study

TOP = 5.0


def weighted_mean(rows, which):
    """Mean of the training changes that a mask names, by its definition."""
    weight = rows.weight[which]
    return (weight[:, None] * rows.delta[which]).sum(axis=0) / weight.sum()


def observed_by_hand(rows, key, line, dose):
    there = (rows.obs["compound_key"] == key).to_numpy() & (rows.obs["dose"] == dose).to_numpy()
    here = there & (rows.obs["cell_line"] == line).to_numpy()
    if not there.any():
        return np.full(rows.delta.shape[1], np.nan)
    return weighted_mean(rows, here if here.any() else there)


@pytest.mark.parametrize("rule", ["pair", "drug", "line"])
def test_the_observed_library_is_the_mean_in_the_line_or_over_lines(rule):
    predictor = study(rule).predictor
    chosen = small_signatures()
    drugs = candidates(chosen.obs, predictor.train.obs)
    lines = sorted(chosen.obs["cell_line"].unique())
    found = line_libraries(predictor, drugs, lines, ["observed"])
    assert list(found) == ["observed"]
    assert found["observed"].shape == (len(lines), len(drugs), len(chosen.genes))
    for i, line in enumerate(lines):
        for j, key in enumerate(drugs["compound_key"]):
            wanted = observed_by_hand(predictor.train, key, line, TOP)
            np.testing.assert_allclose(found["observed"][i, j], wanted, atol=1e-6)
    blank = np.isnan(found["observed"]).all(axis=(0, 2))
    assert (blank == ~drugs["profiled"]).all()
    assert blank.any() == (rule == "drug")


def test_means_in_the_line_and_over_lines_both_occur():
    train = study("pair").predictor.train.obs
    top = train[train["dose"] == TOP]
    pairs = set(zip(top["compound_key"], top["cell_line"], strict=True))
    n = top["compound_key"].nunique() * top["cell_line"].nunique()
    assert 0 < len(pairs) < n
    assert top.duplicated(["compound_key", "cell_line"]).any()  # so that weights have a say
    assert np.ptp(top["n_cells"]) > 0


def test_neighbours_fill_what_was_never_profiled_and_nothing_else():
    predictor = study("drug").predictor
    drugs = candidates(small_signatures().obs, predictor.train.obs)
    lines = sorted(small_signatures().obs["cell_line"].unique())
    found = line_libraries(predictor, drugs, lines)
    assert list(found) == list(LIBRARIES)
    known = drugs["profiled"].to_numpy()
    filled, observed = found["neighbour-filled"], found["observed"]
    np.testing.assert_array_equal(filled[:, known], observed[:, known])
    assert np.isfinite(filled).all()
    new = drugs[~known]
    prior = drug_prior(predictor.train, new.assign(dose=TOP))
    for place in range(len(lines)):
        np.testing.assert_array_equal(filled[place][~known], prior)


def test_predictions_are_of_all_drugs_alike():
    predictor = study("drug").predictor
    drugs = candidates(small_signatures().obs, predictor.train.obs)
    found = line_libraries(predictor, drugs, ["SBL-02", "SBL-01"], ["predicted"])["predicted"]
    assert np.isfinite(found).all()
    for place, line in enumerate(("SBL-02", "SBL-01")):
        asked = drugs[["compound_key"]].assign(cell_line=line, dose=TOP, moa="", n_cells=np.nan)
        np.testing.assert_allclose(found[place], predictor.predict(asked), atol=1e-6)
    assert not np.allclose(found[0], found[1])


def test_drugs_keep_their_changes_in_any_order():
    predictor = study("drug").predictor
    drugs = candidates(small_signatures().obs, predictor.train.obs)
    order = np.random.default_rng(0).permutation(len(drugs))
    first = line_libraries(predictor, drugs, ["SBL-01"])
    again = line_libraries(predictor, drugs.iloc[order], ["SBL-01"])
    for name in LIBRARIES:
        np.testing.assert_allclose(again[name][0], first[name][0][order], atol=1e-6)


def test_scores_follow_the_drug_wherever_it_stands():
    chosen = small_signatures()
    names = chosen.obs["compound"].unique()
    other = dict(zip(names, np.random.default_rng(1).permutation(names), strict=True))
    renamed = replace(chosen, obs=chosen.obs.assign(compound=chosen.obs["compound"].map(other)))
    first, again = (retrieve(some, study("drug")) for some in (chosen, renamed))
    order = pd.Index(first.candidates["compound_key"]).get_indexer(again.candidates["compound_key"])
    assert (order != np.arange(len(order))).any()
    for name in LIBRARIES:
        np.testing.assert_allclose(again.scores[name], first.scores[name][:, order], atol=1e-6)


@pytest.mark.parametrize("rule", ["pair", "scaffold"])
def test_queries_are_test_conditions_at_the_highest_dose(rule):
    chosen, asked = small_signatures(), study(rule)
    found = retrieve(chosen, asked)
    test = chosen.obs[asked.split.test]
    assert found.queries.obs.index.tolist() == test.index[test["dose"] == TOP].tolist()
    assert not set(found.queries.obs.index) & set(asked.predictor.train.obs.index)
    assert len(found.candidates) == chosen.obs["compound_key"].nunique()
    assert found.candidates["compound"].is_monotonic_increasing
    assert found.candidates["compound_key"].is_unique
    profiled = found.candidates["compound_key"].isin(asked.predictor.train.obs["compound_key"])
    assert (found.candidates["profiled"] == profiled).all()
    for scores in found.scores.values():
        assert scores.shape == (len(found.queries), len(found.candidates))


def test_the_score_is_the_cosine_of_what_drugs_do_beyond_the_mean():
    chosen, asked = small_signatures(), study("drug")
    found = retrieve(chosen, asked, libraries=["observed"])
    assert list(found.scores) == ["observed"]
    rows = asked.predictor.train
    for q in (0, len(found.queries) - 1):
        line = found.queries.obs["cell_line"].iloc[q]
        at_dose = (rows.obs["dose"] == TOP).to_numpy()
        shared = weighted_mean(rows, at_dose & (rows.obs["cell_line"] == line).to_numpy())
        a = found.queries.delta[q] - shared
        for c, key in enumerate(found.candidates["compound_key"]):
            b = observed_by_hand(rows, key, line, TOP) - shared
            wanted = a @ b / np.sqrt((a @ a) * (b @ b))
            np.testing.assert_allclose(found.scores["observed"][q, c], wanted, atol=1e-5)
    assert np.isnan(found.scores["observed"]).any()


def test_another_score_is_taken_by_its_name():
    found = retrieve(small_signatures(), study("pair"), score="zhang", libraries=["predicted"])
    plain = retrieve(small_signatures(), study("pair"), libraries=["predicted"])
    assert not np.allclose(found.scores["predicted"], plain.scores["predicted"])


def test_the_mean_of_a_line_is_of_all_lines_where_it_was_not_seen():
    rows = study("line").predictor.train
    at_dose = (rows.obs["dose"] == TOP).to_numpy()
    seen = rows.obs["cell_line"].iloc[0]
    own = at_dose & (rows.obs["cell_line"] == seen).to_numpy()
    np.testing.assert_allclose(line_mean(rows, seen), weighted_mean(rows, own), atol=1e-6)
    every = weighted_mean(rows, at_dose)
    np.testing.assert_allclose(line_mean(rows, "a new line"), every, atol=1e-6)


def test_each_drug_is_asked_and_answers_at_its_own_highest_dose():
    whole = small_signatures()
    weak = whole.obs["compound_key"].unique()[3:8]
    chosen = whole.subset(~(whole.obs["compound_key"].isin(weak) & (whole.obs["dose"] == TOP)))
    asked = study_split(chosen, bits(), "pair", 0, QUICK)
    found = retrieve(chosen, asked, libraries=["observed"])
    doses = found.candidates.set_index("compound_key")["dose"]
    assert (doses == np.where(doses.index.isin(weak), 0.5, TOP)).all()
    own = found.queries.obs["compound_key"].map(doses)
    assert (found.queries.obs["dose"] == own).all()
    assert set(found.queries.obs["dose"]) == {0.5, TOP}
    rows = asked.predictor.train
    library = line_libraries(asked.predictor, found.candidates, ["SBL-01"], ["observed"])
    for change, (key, dose) in zip(library["observed"][0], doses.items(), strict=True):
        wanted = observed_by_hand(rows, key, "SBL-01", dose)
        np.testing.assert_allclose(change, wanted, atol=1e-6)
    top = rows.obs["dose"] == rows.obs["compound_key"].map(doses)
    own = (top & (rows.obs["cell_line"] == "SBL-01")).to_numpy()
    np.testing.assert_allclose(line_mean(rows, "SBL-01"), weighted_mean(rows, own), atol=1e-6)


def test_a_lower_dose_does_not_stand_in_where_the_highest_was_lost():
    whole = small_signatures()
    test = study("pair").split.test
    weak = whole.obs["compound_key"][test].iloc[0]
    lost = test & (whole.obs["compound_key"] == weak) & (whole.obs["dose"] == TOP)
    chosen = whole.subset(~lost)
    found = retrieve(chosen, study_split(chosen, bits(), "pair", 0, QUICK), libraries=["observed"])
    doses = found.candidates.set_index("compound_key")["dose"]
    assert doses[weak] == TOP
    assert (found.queries.obs["dose"] == found.queries.obs["compound_key"].map(doses)).all()


def test_salts_of_a_drug_are_one_candidate():
    chosen = small_signatures()
    salts = chosen.obs[chosen.obs["treatment"].str.endswith("hydrochloride")]
    assert salts["treatment"].nunique() == 2
    drugs = candidates(chosen.obs, chosen.obs.iloc[:0])
    assert drugs["compound_key"].isin(salts["compound_key"]).sum() == 2
    assert len(drugs) == len(bits())
    assert not drugs["profiled"].any()
