import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from planted import noisy_points, plate_wells, vehicle_screen
from screenbook.profiles.control_axis import control_scores
from screenbook.profiles.quality import (
    PLATE_COLUMNS,
    PlateRules,
    auc_in_words,
    auc_interval,
    judge_plates,
    mean_auc,
    plate_quality,
    robust_ssmd,
    robust_z_prime,
)


def quality_of(wells, points, **rules):
    table = plate_quality(
        control_scores(points, wells, has_disease=True), wells, has_disease=True, n_boot=200, seed=0
    )
    return judge_plates(table, PlateRules(**rules), has_disease=True)


def test_noise_does_not_separate_although_a_fitted_axis_would():
    wells = plate_wells(n_plates=4, controls={"healthy": 12, "diseased": 12})
    points = noisy_points(wells, k=40, gap=0.0)
    table = quality_of(wells, points)
    assert table["auc"].mean() == pytest.approx(0.5, abs=0.1)
    assert (table["verdict"] == "flag").all()
    assert table["reason"].str.contains("do not separate").all()
    assert set(table) <= set(PLATE_COLUMNS)


def test_one_plate_cannot_be_judged_and_says_so():
    wells = plate_wells(n_plates=1)
    table = quality_of(wells, noisy_points(wells))
    assert np.isnan(table["auc"]).all()
    assert "no other plate" in table["reason"].iloc[0]


def test_weak_spread_and_missing_controls_are_flagged_with_their_reason():
    wells = plate_wells(n_plates=7)
    points = noisy_points(wells, gap=6)
    plate, role = wells["plate"].to_numpy(), wells["role"].astype(str).to_numpy()
    weak = (plate == "2") & (role != "healthy")
    points[weak, :2] -= 0.75 * 6 / np.sqrt(2)
    wide = (plate == "5") & np.isin(role, ["healthy", "diseased"])
    points[wide, :2] += 3 * np.random.default_rng(1).normal(size=(wide.sum(), 2))
    kept = ~((plate == "7") & (role == "healthy") & (np.arange(len(wells)) % 20 != 0))
    table = quality_of(wells[kept], points[kept]).set_index("plate")
    assert list(table.index[table["verdict"] == "flag"]) == ["2", "5", "7"]
    assert "of the usual" in table.loc["2", "reason"]
    assert table.loc["2", "relative_gap"] == pytest.approx(0.25, abs=0.1)
    assert "times as wide" in table.loc["5", "reason"]
    assert "healthy wells" in table.loc["7", "reason"]
    assert table.loc["1", "reason"] == "within all limits"


def test_a_tilt_counts_only_if_it_is_large_and_sure():
    wells = plate_wells(n_plates=3)
    table = plate_quality(
        control_scores(noisy_points(wells, gap=8), wells, has_disease=True),
        wells,
        has_disease=True,
        n_boot=50,
        seed=0,
    )
    table["tilt"], table["tilt_q"] = [0.9, 0.9, 0.1], [0.001, 0.3, 0.001]
    verdict = judge_plates(table, PlateRules(), has_disease=True)
    assert verdict["verdict"].tolist() == ["flag", "keep", "keep"]
    assert "one side" in verdict["reason"].iloc[0]


def test_z_prime_and_ssmd_are_the_classical_ones_for_normal_wells():
    rng = np.random.default_rng(0)
    low, high = rng.normal(0, 1, 200_000), rng.normal(10, 2, 200_000)
    assert robust_z_prime(low, high) == pytest.approx(1 - 3 * (1 + 2) / 10, abs=0.01)
    assert robust_ssmd(low, high) == pytest.approx(10 / np.sqrt(1 + 4), abs=0.03)
    assert robust_ssmd(high, low) == pytest.approx(-robust_ssmd(low, high))


def test_one_wild_well_does_not_move_robust_statistics():
    rng = np.random.default_rng(0)
    low, high = rng.normal(0, 1, 40), rng.normal(10, 1, 40)
    wild = np.append(low, 1e6)
    assert robust_z_prime(wild, high) == pytest.approx(robust_z_prime(low, high), abs=0.05)


def test_statistics_of_nothing_are_nan():
    assert np.isnan(robust_z_prime(np.ones(4), np.ones(4)))
    assert np.isnan(robust_ssmd(np.ones(4), np.zeros(4)))


def test_auc_is_that_of_scikit_learn_with_ties():
    rng = np.random.default_rng(2)
    low, high = rng.integers(0, 6, 30), rng.integers(2, 8, 25)
    auc, lower, upper = auc_interval(low, high, n_boot=500, rng=rng)
    truth = np.r_[np.zeros(30), np.ones(25)]
    assert auc == pytest.approx(roc_auc_score(truth, np.r_[low, high]))
    assert lower < auc < upper


def test_the_bootstrap_interval_covers_the_true_auc():
    rng = np.random.default_rng(3)
    true = 0.8413  # Phi(1), for two normals whose means differ by sqrt(2)
    intervals = [
        auc_interval(rng.normal(0, 1, 40), rng.normal(2**0.5, 1, 40), n_boot=300, rng=rng)
        for _ in range(200)
    ]
    covered = np.mean([low <= true <= high for _, low, high in intervals])
    assert 0.88 < covered < 0.99


def test_complete_separation_does_not_claim_certainty():
    auc, lower, upper = auc_interval(
        np.arange(6), np.arange(10, 18), n_boot=100, rng=np.random.default_rng(0)
    )
    assert (auc, upper) == (1.0, 1.0)
    assert lower == pytest.approx(0.025 ** (1 / 6))
    auc, lower, upper = auc_interval(
        np.arange(10, 16), np.arange(6), n_boot=100, rng=np.random.default_rng(0)
    )
    assert (auc, lower) == (0.0, 0.0)
    assert upper == pytest.approx(1 - 0.025 ** (1 / 6))


def test_without_disease_z_prime_is_not_defined_and_activity_is_no_fault():
    wells, points = vehicle_screen(n_plates=6)
    plate = (wells["plate"] == "3").to_numpy()
    points[plate & (wells["role"] == "vehicle").to_numpy()] *= 12
    table = plate_quality(
        control_scores(points, wells, has_disease=False),
        wells,
        has_disease=False,
        n_boot=100,
        seed=0,
    )
    table = judge_plates(table, PlateRules(), has_disease=False).set_index("plate")
    assert table[["z_prime", "ssmd"]].isna().all(axis=None)
    assert table["auc"].drop("3").mean() == pytest.approx(0.5, abs=0.12)
    assert list(table.index[table["verdict"] == "flag"]) == ["3"]


def test_a_plate_of_vehicle_wells_alone_is_judged_by_their_spread():
    wells, points = vehicle_screen(n_plates=5)
    kept = ((wells["plate"] != "4") | (wells["role"] == "vehicle")).to_numpy()
    table = plate_quality(
        control_scores(points[kept], wells[kept], has_disease=False),
        wells[kept],
        has_disease=False,
        n_boot=50,
        seed=0,
    )
    row = judge_plates(table, PlateRules(), has_disease=False).set_index("plate").loc["4"]
    assert np.isnan(row["auc"])
    assert np.isfinite(row["spread"])
    assert row["verdict"] == "keep"


def test_mean_auc_is_taken_over_plates_and_cell_types():
    table = pd.DataFrame(
        {
            "cell_type": ["a"] * 5 + ["b"],
            "auc": [0.9, 0.8, 0.95, 0.85, np.nan, 0.7],
            "n_low": 20,
            "n_high": 30,
            "auc_low": [0.8, 0.7, 0.9, 0.8, np.nan, 0.6],
            "auc_high": [1.0, 0.9, 1.0, 0.9, np.nan, 0.8],
        }
    )
    means = mean_auc(table, n_boot=500, seed=0).set_index("cell_type")
    assert means.loc["a", ["plates", "auc"]].tolist() == [4, pytest.approx(0.875)]
    assert 0.8 <= means.loc["a", "auc_low"] < 0.875 < means.loc["a", "auc_high"] <= 0.95
    assert means.loc["b", ["auc_low", "auc_high"]].tolist() == [0.6, 0.8]
    clear = mean_auc(table.assign(auc=1.0), n_boot=50, seed=0).set_index("cell_type")
    assert clear.loc["a", "auc_low"] == pytest.approx(0.025 ** (1 / 100))
    assert auc_in_words(means.reset_index()).startswith("a 0.875 (")
