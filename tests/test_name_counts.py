import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from screenbook.errors import InputError
from screenbook.hits.name_counts import (
    count_by_name,
    fair_ranking,
    follows_replicates,
    wilson_interval,
)


def treated_wells(n_of_compound, *, n_doses=1, n_plates=4, seed=0):
    """Wells of compounds, so many of each, spread over doses and plates; and two controls."""
    n_of_compound = np.asarray(n_of_compound)
    compound = np.repeat(np.arange(len(n_of_compound)), n_of_compound)
    within = np.concatenate([np.arange(n) for n in n_of_compound])
    rng = np.random.default_rng(seed)
    wells = pd.DataFrame(
        {
            "role": "treated",
            "compound_key": [f"K{c:03d}" for c in compound],
            "compound": [f"drug {c}" for c in compound],
            "treatment_conc": 10.0 ** (within % n_doses),
            "batch": [f"E/{p}" for p in rng.integers(0, n_plates, len(compound))],
        }
    )
    controls = pd.DataFrame({"role": ["healthy", "diseased"], "compound_key": "", "compound": ""})
    controls = controls.assign(treatment_conc=np.nan, batch="E/0")
    wells = pd.concat([controls, wells], ignore_index=True)
    wells.index = [f"well {i}" for i in range(len(wells))]
    return wells


def planted_replicates(seed):
    """100 inert compounds, ten of them with ten times the wells, and four rescuers."""
    rng = np.random.default_rng(seed)
    n = np.r_[np.full(10, 60), np.full(90, 6), np.full(4, 6)]
    wells = treated_wells(n, seed=seed)
    number = wells["compound_key"].str[1:].replace("", "-1").astype(int).to_numpy()
    chance = np.where(number >= 100, 0.85, np.where(number >= 0, 0.1, 0.0))
    return wells, rng.random(len(wells)) < chance, rng.normal(size=len(wells))


def test_wells_are_counted_by_compound_and_controls_are_not():
    wells = treated_wells([3, 2, 1])
    hit = np.array([True, True, *[True, False, True], *[False, True], False])
    counts = count_by_name(wells, hit)
    assert counts["compound_key"].tolist() == ["K000", "K001", "K002"]
    assert counts["count"].tolist() == [2, 1, 0]
    assert counts["n_wells"].tolist() == [3, 2, 1]
    np.testing.assert_allclose(counts["share"], [2 / 3, 1 / 2, 0])


def test_hits_belong_to_their_wells_in_whatever_order_they_come():
    wells, hit, score = planted_replicates(0)
    hits, scores = pd.Series(hit, wells.index), pd.Series(score, wells.index)
    shuffled = np.random.default_rng(1).permutation(len(wells))
    pd.testing.assert_frame_equal(
        count_by_name(wells, hits.iloc[shuffled]), count_by_name(wells, hit)
    )
    other = fair_ranking(wells.iloc[shuffled], hits, scores.iloc[::-1])
    pd.testing.assert_frame_equal(other.compounds, fair_ranking(wells, hit, score).compounds)
    with pytest.raises(InputError, match="other wells"):
        count_by_name(wells, hits.rename(lambda name: name + "x"))
    with pytest.raises(InputError, match="one for each well"):
        fair_ranking(wells, hit[:-1], score)


def test_replicates_win_the_count_and_not_the_fair_ranking():
    tops, rho = {"count": [], "fair": []}, []
    often = {f"K{c:03d}" for c in range(10)}
    rescuers = {f"K{c:03d}" for c in range(100, 104)}
    for seed in range(20):
        wells, hit, score = planted_replicates(seed)
        counts = count_by_name(wells, hit)
        ranking = fair_ranking(wells, hit, score).compounds
        tops["count"].append(len(often & set(counts["compound_key"][:4])))
        assert len(rescuers & set(ranking["compound_key"][:5])) >= 3
        inert = ranking[~ranking["compound_key"].isin(rescuers)]
        tops["fair"].append(len(often & set(inert["compound_key"][:10])))
        # Of inert compounds alone: ten of 100 should be one of the first ten.
        rho.append(follows_replicates(inert, "excess"))
        assert follows_replicates(counts) > 0.4
    assert np.mean(tops["count"]) > 3
    assert np.mean(tops["fair"]) <= 1
    assert abs(np.mean(rho)) < 0.1


def test_without_effect_the_excess_is_zero_on_average_for_any_number_of_wells():
    excess = {6: [], 60: []}
    for seed in range(40):
        wells, hit, score = planted_replicates(seed)
        found = fair_ranking(wells, hit, score).treatments
        found = found[found["compound_key"] < "K100"]
        for n, values in excess.items():
            values.append((found["share"] - found["expected"])[found["n_wells"] == n].mean())
    assert np.mean(excess[60]) == pytest.approx(np.mean(excess[6]), abs=0.01)


def test_hits_that_a_whole_plate_has_are_expected():
    wells = treated_wells([8] * 30, n_plates=4)
    bad = (wells["batch"] == "E/1") & (wells["role"] == "treated")
    found = fair_ranking(wells, bad.to_numpy(), np.zeros(len(wells))).treatments
    np.testing.assert_allclose(found["share"], found["expected"])
    np.testing.assert_allclose(found["excess"], 0, atol=1e-12)


def test_the_best_dose_is_named_and_the_better_score_breaks_ties():
    wells = treated_wells([12, 12, 12], n_doses=2, n_plates=1)
    strong = (wells["treatment_conc"] == 10.0).to_numpy()
    hit = strong & wells["compound_key"].isin(["K001", "K002"]).to_numpy()
    score = np.where(wells["compound_key"] == "K002", 2.0, 1.0)
    found = fair_ranking(wells, hit, score).compounds
    assert found["compound_key"].tolist() == ["K002", "K001", "K000"]
    assert found["best_dose"].tolist()[:2] == [10.0, 10.0]
    assert found["n_wells"].tolist() == [12, 12, 12]
    assert found["n_doses"].tolist() == [2, 2, 2]


def test_shares_are_shrunk_hard_where_treatments_do_not_differ_and_little_where_they_do():
    rng = np.random.default_rng(0)
    wells = treated_wells([10] * 200)
    alike = fair_ranking(wells, rng.random(len(wells)) < 0.3, np.zeros(len(wells)))
    all_or_none = wells["compound_key"].isin([f"K{c:03d}" for c in range(50)]).to_numpy()
    apart = fair_ranking(wells, all_or_none, np.zeros(len(wells)))
    assert alike.prior_wells > 30
    assert apart.prior_wells == 1.0
    single = treated_wells([1] * 20)
    hit = np.arange(len(single)) % 3 == 0
    assert fair_ranking(single, hit, np.zeros(len(single))).prior_wells == 4.0


def test_a_missing_dose_is_a_dose_of_its_own():
    wells = treated_wells([4, 4])
    wells.loc[wells["compound_key"] == "K001", "treatment_conc"] = np.nan
    found = fair_ranking(wells, np.ones(len(wells), dtype=bool), np.zeros(len(wells)))
    assert found.treatments["n_wells"].tolist() == [4, 4]
    assert len(found.compounds) == 2


@pytest.mark.parametrize(("count", "n"), [(0, 4), (3, 7), (60, 60), (1, 200)])
def test_wilson_interval_is_that_of_scipy(count, n):
    low, high = wilson_interval(np.array([count]), np.array([n]))
    expected = binomtest(count, n).proportion_ci(method="wilson")
    np.testing.assert_allclose([low[0], high[0]], expected, atol=1e-6)


def test_one_compound_says_nothing_of_replicates():
    wells = treated_wells([5, 5])
    assert np.isnan(follows_replicates(count_by_name(wells, np.zeros(len(wells), dtype=bool))))
