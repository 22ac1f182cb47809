import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit
from scipy.stats import f as f_law

from screenbook.errors import InputError
from screenbook.hits.dose_bands import dose_curves, dose_means_table
from screenbook.hits.dose_means import gather_doses
from screenbook.hits.dose_response import fit_dose_response

DOSES = np.array([0.03, 0.1, 0.3, 1.0, 3.0, 10.0])
SD = 0.28
UNTREATED = 1 + SD * np.random.default_rng(99).standard_normal(300)


def hill_share(dose, ec50, hill):
    return (dose / ec50) ** hill / (1 + (dose / ec50) ** hill)


def planted(ec50, hill, emax, sd=SD, n_plates=6, seed=0, doses=DOSES):
    """Wells of compounds with known curves, one well per plate and dose."""
    ec50, hill, emax = np.broadcast_arrays(np.atleast_1d(ec50), hill, emax)
    group = np.repeat(np.arange(len(ec50)), len(doses) * n_plates)
    dose = np.tile(np.repeat(doses, n_plates), len(ec50))
    score = 1 - emax[group] * hill_share(dose, ec50[group], hill[group])
    return score + np.random.default_rng(seed).normal(0, sd, len(dose)), dose, group


def strong(n, seed=0):
    rng = np.random.default_rng(seed)
    ec50 = np.exp(rng.uniform(np.log(0.06), np.log(1.2), n))
    return ec50, rng.uniform(1, 2, n), rng.uniform(0.6, 0.95, n)


@pytest.fixture(scope="module")
def strong_fits():
    truth = strong(500, seed=1)
    return truth, fit_dose_response(*planted(*truth, seed=2), untreated=UNTREATED)


@pytest.fixture(scope="module")
def flat_fits():
    return fit_dose_response(*planted(np.ones(2000), 1, 0.0, seed=3), untreated=UNTREATED)


def test_ec50_of_strong_curves_is_within_a_factor_of_three(strong_fits):
    (ec50, _, _), fitted = strong_fits
    fold = np.abs(np.log(fitted.table["ec50"] / ec50))
    assert (fold < np.log(3)).mean() > 0.85  # NaN counts as a miss
    assert np.exp(fold.median()) < 1.6


def test_intervals_cover_as_they_say(strong_fits):
    (ec50, hill, emax), fitted = strong_fits
    table = fitted.table
    low, high = table["ec50_low"].fillna(0), table["ec50_high"].fillna(np.inf)
    assert 0.91 <= ((low <= ec50) & (ec50 <= high)).mean() <= 0.985
    at_top = emax * hill_share(10.0, ec50, hill)
    assert 0.93 <= table["emax_low"].le(at_top).mul(table["emax_high"].ge(at_top)).mean() <= 0.99
    assert (table["emax"] - at_top).abs().mean() < 0.12
    curves = dose_curves(fitted)
    g, dose = curves["group"].to_numpy(), curves["dose"].to_numpy()
    truth = 1 - emax[g] * hill_share(dose, ec50[g], hill[g])
    assert 0.90 <= ((curves["low"] <= truth) & (truth <= curves["high"])).mean() <= 0.98


def test_ends_that_the_wells_do_not_bound_are_open_and_named(strong_fits):
    table = strong_fits[1].table.query("shape in ['sigmoid', 'partial', 'bell']")
    named = table["ec50_open"].map({"": (0, 0), "low": (1, 0), "high": (0, 1), "both": (1, 1)})
    missing = list(zip(table["ec50_low"].isna(), table["ec50_high"].isna(), strict=True))
    assert named.tolist() == missing
    bounded = table[table["ec50_open"].eq("") & table["ec50"].notna()]
    assert (bounded["ec50_low"] <= bounded["ec50"]).all()
    assert (bounded["ec50"] <= bounded["ec50_high"]).all()
    assert len(bounded) > 250


@pytest.mark.parametrize("level", [0.2, 0.05, 0.01])
def test_flat_responses_are_called_at_the_level_of_the_test(flat_fits, level):
    share = (flat_fits.table["p_flat"] <= level).mean()
    assert share == pytest.approx(level, abs=3.5 * np.sqrt(level * (1 - level) / 2000))


def test_the_nominal_f_law_would_not_keep_its_level(flat_fits):
    """Why p_flat has a law of its own: 3 and n - 4 degrees of freedom would be too strict."""
    table = flat_fits.table
    r2 = table["r2"].clip(0, 1)
    nominal = f_law.sf(r2 / (1 - r2) * 32 / 3, 3, 32)
    assert (nominal <= 0.05).mean() < 0.035


@pytest.mark.parametrize("plates", [1, 2])
def test_the_test_against_flat_keeps_its_level_with_few_wells_and_uneven_doses(plates):
    rng = np.random.default_rng(5)
    score, dose, group = planted(np.ones(1200), 1, 0.0, n_plates=plates, seed=6)
    kept = rng.random(len(dose)) < (1.0 if plates == 1 else 0.9)
    table = fit_dose_response(score[kept], dose[kept], group[kept]).table
    p = table.loc[table["shape"] != "not testable", "p_flat"]
    assert len(p) > 1150
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.02)


def test_p_of_a_clear_curve_goes_below_any_simulated_floor():
    table = fit_dose_response(*planted(0.5, 1.5, 0.9, sd=0.1)).table
    assert table.loc[0, "p_flat"] < 1e-12


def test_shapes_of_flat_and_monotone_responses(flat_fits, strong_fits):
    flat = flat_fits.table["shape"].value_counts(normalize=True)
    assert flat["flat"] > 0.93
    assert flat.get("bell", 0.0) < 0.02
    shape = strong_fits[1].table["shape"].value_counts(normalize=True)
    assert shape["sigmoid"] > 0.93
    assert shape.get("bell", 0.0) < 0.05
    # Saturated: all doses between equal the top one, the hardest case for the bell's test.
    score = planted(np.full(300, 0.05), 2, 0.8, seed=5)
    shape = fit_dose_response(*score, untreated=UNTREATED).table["shape"]
    assert (shape == "bell").mean() < 0.05


def test_a_bell_is_found_and_its_rising_limb_fitted():
    ec50, hill, emax = strong(150, seed=7)
    score, dose, group = planted(ec50, hill, emax, seed=8)
    lost = emax[group] * hill_share(dose, ec50[group], hill[group])
    table = fit_dose_response(np.where(dose == 10, score + lost, score), dose, group).table
    bell = table["shape"] == "bell"
    assert bell.mean() > 0.8
    assert (table.loc[bell, "turn_dose"] <= 3).all()
    assert table.loc[~bell, "turn_dose"].isna().all()
    assert ((np.log(table["ec50"] / ec50)).abs()[bell] < np.log(3)).mean() > 0.7
    curves = dose_curves(fit_dose_response(score + lost * (dose == 10), dose, group))
    top = curves.groupby("group")["dose"].max()[table["group"][bell]]
    np.testing.assert_allclose(top, table.loc[bell, "turn_dose"])


def test_an_upturned_bell_of_harm_is_a_bell_too():
    score, dose, group = planted(np.full(50, 0.2), 2, -1.5, seed=9)
    table = fit_dose_response(np.where(dose == 10, 1.0, score), dose, group).table
    assert (table["shape"] == "bell").all()
    assert (table["emax"] < -1).all()


def test_an_ec50_above_the_doses_is_partial():
    clean = fit_dose_response(*planted(np.full(40, 30.0), 1.5, 3.0, sd=0.003, seed=4)).table
    assert (clean["shape"] == "partial").all()
    assert clean["reason"].eq("EC50 above the highest dose fitted").all()
    assert clean["ec50"].median() == pytest.approx(30, rel=0.2)
    # Noise hides where such a curve would bend: then its interval has to say so.
    noisy = fit_dose_response(*planted(np.full(120, 30.0), 1.5, 3.0, sd=0.1, seed=4)).table
    curved = noisy[noisy["shape"].isin(["sigmoid", "partial"])]
    assert len(curved) > 110
    assert (curved["ec50_high"].fillna(np.inf) > 30).mean() > 0.91


def test_clean_curves_agree_with_scipy_curve_fit():
    def curve(dose, plateau, bottom, log_ec50, hill):
        return plateau + (bottom - plateau) * hill_share(dose, np.exp(log_ec50), hill)

    ec50, hill, emax = strong(20, seed=11)
    score, dose, group = planted(ec50, hill, emax, sd=0.03, seed=12)
    table = fit_dose_response(score, dose, group).table
    for i in range(20):
        mine = group == i
        start = (1.0, 1 - emax[i], np.log(ec50[i]), hill[i])
        theirs, _ = curve_fit(curve, dose[mine], score[mine], start)
        row = table.loc[i]
        ours = [row["plateau"], row["bottom"], np.log(row["ec50"]), row["hill"]]
        if 0.5 < theirs[3] < 4:
            np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-3)
            left = np.sum((score[mine] - curve(dose[mine], *theirs)) ** 2)
            assert row["residual_sd"] == pytest.approx(np.sqrt(left / 32), rel=1e-4)


def test_ec50_intervals_of_precise_wells_agree_with_the_wald_interval():
    score, dose, group = planted(np.full(40, 0.5), 1.4, 0.9, sd=0.02, n_plates=12, seed=13)
    table = fit_dose_response(score, dose, group).table
    width = np.log(table["ec50_high"] / table["ec50_low"])

    def curve(dose, plateau, bottom, log_ec50, hill):
        return plateau + (bottom - plateau) * hill_share(dose, np.exp(log_ec50), hill)

    for i in range(40):
        mine = group == i
        _, cov = curve_fit(curve, dose[mine], score[mine], (1, 0.1, np.log(0.5), 1.4))
        assert width[i] == pytest.approx(2 * 1.995 * np.sqrt(cov[2, 2]), rel=0.12)


def test_another_dose_unit_or_score_unit_changes_nothing_else():
    score, dose, group = planted(*strong(30, seed=14), seed=15)
    table = fit_dose_response(score, dose, group, untreated=UNTREATED).table
    nano = fit_dose_response(score, 1000 * dose, group, untreated=UNTREATED).table
    other = fit_dose_response(3 - 2 * score, dose, group, untreated=3 - 2 * UNTREATED).table
    for name in ("ec50", "ec50_low", "ec50_high"):
        np.testing.assert_allclose(nano[name], 1000 * table[name], rtol=1e-4)
        np.testing.assert_allclose(other[name], table[name], rtol=1e-4)
    for name in ("p_flat", "emax", "hill", "r2", "plateau", "emax_low"):
        np.testing.assert_allclose(nano[name], table[name], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(other["emax_low"], -2 * table["emax_high"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(other["p_flat"], table["p_flat"], rtol=1e-6)
    assert (nano["shape"] == table["shape"]).all()


def test_a_compound_is_fitted_the_same_alone_and_in_any_order():
    score, dose, group = planted(*strong(20, seed=16), seed=17)
    table = fit_dose_response(score, dose, group, untreated=UNTREATED).table
    order = np.random.default_rng(0).permutation(len(score))
    mixed = fit_dose_response(score[order], dose[order], group[order], untreated=UNTREATED).table
    pd.testing.assert_frame_equal(mixed, table, rtol=1e-5)
    one = fit_dose_response(
        score[group == 7], dose[group == 7], group[group == 7] - 7, untreated=UNTREATED
    ).table
    pd.testing.assert_series_equal(
        one.loc[0].drop("group"), table.loc[7].drop("group"), check_names=False, rtol=1e-5
    )


def test_one_accident_does_not_move_the_fit():
    truth = strong(120, seed=18)
    score, dose, group = planted(*truth, seed=19)
    clean = fit_dose_response(score, dose, group, untreated=UNTREATED).table
    rng = np.random.default_rng(20)
    hit = np.arange(120) * 36 + rng.integers(0, 36, 120)
    struck = score.copy()
    struck[hit] += rng.choice([-8.0, 8.0], 120)
    table = fit_dose_response(struck, dose, group, untreated=UNTREATED).table
    assert (table["n_left_out"] >= 1).mean() > 0.97
    assert (clean["n_left_out"] == 0).mean() > 0.97
    moved = np.log(table["ec50"] / clean["ec50"]).abs()
    assert np.exp(moved.quantile(0.9)) < 1.4
    assert (table["emax"] - clean["emax"]).abs().quantile(0.95) < 0.1


def test_a_dose_whose_wells_agree_is_never_left_out():
    score, dose, group = planted(np.ones(20), 1, 0.0, seed=21)
    table = fit_dose_response(np.where(dose == 1, score + 10, score), dose, group).table
    assert (table["n_left_out"] == 0).mean() > 0.8
    assert (table["n_wells"] >= 35).all()


def test_weights_count_as_copies_in_the_curve():
    score, dose, group = planted(np.full(5, 1.0), 1.5, 0.8, sd=0.1, seed=23)
    double = [np.repeat(column, 2) for column in (score, dose, group)]
    copies = fit_dose_response(*double).table
    weighted = fit_dose_response(score, dose, group, weights=np.full(len(score), 2.0)).table
    np.testing.assert_allclose(weighted["ec50"], copies["ec50"], rtol=1e-4)
    np.testing.assert_allclose(weighted["emax"], copies["emax"], rtol=1e-4)


def test_untreated_wells_hold_the_plateau_of_a_compound_active_at_every_dose():
    score, dose, group = planted(np.full(60, 0.02), 1.5, 0.9, seed=24)
    free = fit_dose_response(score, dose, group).table
    held = fit_dose_response(score, dose, group, untreated=UNTREATED).table
    assert (held["plateau"] - 1).abs().mean() < 0.25 * (free["plateau"] - 1).abs().mean()


CASES = {
    "one dose": ([1.0] * 6, [1.0] * 6, "1 dose, a curve needs 3"),
    "two doses": ([1.0, 0.5, 0.2, 0.4], [1, 1, 3, 3], "2 doses, a curve needs 3"),
    "no dose": ([1.0, 0.4], [np.nan, np.nan], "no well with a score and a dose above zero"),
    "zero": ([1.0, 0.4, 0.2], [0, 0, -1], "no well with a score and a dose above zero"),
    "infinite": ([1.0, np.inf, 0.2], [np.inf, 1, 0], "no well with a score and a dose above zero"),
    "constant": ([0.7] * 12, [1, 2, 3, 4] * 3, "the scores do not vary"),
    "few wells": ([1.0, 0.5, 0.2, 0.1], [1, 2, 3, 4], "4 wells, the test needs 5"),
    "three lone wells": ([1.0, 0.5, 0.2], [1, 2, 3], "3 wells, the test needs 4"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_tested_says_why_and_spares_the_others(case):
    score, dose, reason = CASES[case]
    good = planted(0.5, 1.5, 0.9, seed=25)
    score = np.r_[score, good[0]]
    dose = np.r_[dose, good[1]]
    group = np.r_[np.zeros(len(score) - 36, dtype=int), np.ones(36, dtype=int)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = fit_dose_response(score, dose, group)
        curves = dose_curves(fitted)
    table = fitted.table
    assert table.loc[0, "shape"] == "not testable"
    assert table.loc[0, "reason"] == reason
    assert table.loc[0, ["ec50", "emax", "p_flat", "r2"]].isna().all()
    assert table.loc[1, "shape"] == "sigmoid"
    assert set(curves["group"]) == {1}


def test_a_code_without_wells_and_no_wells_at_all_give_rows():
    score, dose, group = planted(0.5, 1.5, 0.9)
    table = fit_dose_response(score, dose, group + 2, n_groups=5).table
    assert table["shape"].tolist() == ["not testable"] * 2 + ["sigmoid"] + ["not testable"] * 2
    empty = fit_dose_response(np.array([]), np.array([]), np.array([], dtype=int), n_groups=2)
    assert len(empty.table) == 2
    assert dose_curves(empty).empty
    assert list(dose_curves(empty).columns) == ["group", "dose", "score", "low", "high"]


def test_arrays_that_do_not_fit_together_are_refused():
    with pytest.raises(InputError, match="2 scores, 1 doses"):
        fit_dose_response(np.zeros(2), np.ones(1), np.zeros(2, dtype=int))
    with pytest.raises(InputError, match="whole-number"):
        fit_dose_response(np.zeros(2), np.ones(2), np.zeros(2))
    with pytest.raises(InputError, match="n_groups is 1"):
        fit_dose_response(np.zeros(2), np.ones(2), np.array([0, 3]), n_groups=1)


def test_dose_means_are_those_of_pandas():
    score, dose, group = planted(*strong(4, seed=26), sd=0.1, seed=27)
    means = dose_means_table(fit_dose_response(score, dose, group))
    wells = pd.DataFrame({"group": group, "dose": dose, "score": score})
    wells = wells.groupby(["group", "dose"])["score"].agg(["mean", "sem", "size"]).reset_index()
    if (means["n"] == 6).all():
        np.testing.assert_allclose(means[["score", "se"]], wells[["mean", "sem"]])
    assert means["n"].sum() >= 143


def test_doses_written_with_rounding_are_one_dose():
    means = gather_doses(np.arange(4.0), np.array([0.3, 0.30000001, 0.1 * 3, 1]), np.zeros(4, int))
    assert means.n.tolist() == [3, 1]


wild = st.floats(allow_nan=True, allow_infinity=True, width=64)
tame = st.floats(-3, 3) | st.sampled_from([0.0, 1.0, 1e6, -1e6, 1e-12])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            wild | tame,
            wild | st.sampled_from([*DOSES, 0.0, -1.0]),
            st.integers(-1, 3),
        ),
        max_size=60,
    )
)
def test_no_input_breaks_it(wells):
    score, dose, group = (np.array([w[i] for w in wells], dtype=float) for i in range(3))
    # Beyond this a square overflows: no score is that large.
    score = np.where(np.abs(score) > 1e100, np.nan, score)
    fitted = fit_dose_response(score, dose, group.astype(int), n_groups=4)
    table = fitted.table
    assert table["group"].tolist() == [0, 1, 2, 3]
    assert ((table["reason"] != "") | (table["shape"] != "not testable")).all()
    p = table["p_flat"].dropna()
    assert p.between(0, 1).all()
    ends = table[["emax_low", "emax", "emax_high"]].dropna()
    slack = 1e-9 * (1 + ends.abs().max(axis=1))
    assert (ends["emax_low"] <= ends["emax"] + slack).all()
    assert (ends["emax"] <= ends["emax_high"] + slack).all()
    dose_curves(fitted)


def test_a_large_screen_takes_seconds():
    from time import process_time

    rng = np.random.default_rng(28)
    emax = np.where(rng.random(1670) < 0.1, 0.8, 0.0)
    wells = planted(np.full(1670, 0.5), 1.5, emax, seed=29)
    start = process_time()
    fit_dose_response(*wells, untreated=UNTREATED)
    assert process_time() - start < 15
