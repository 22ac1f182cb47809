import numpy as np
import pandas as pd
import pytest

from planted import noisy_points, plate_numbers, plate_wells, vehicle_screen
from screenbook.profiles.control_axis import control_scores


def test_the_axis_puts_healthy_at_zero_and_diseased_at_one():
    wells = plate_wells(n_plates=6)
    score = control_scores(noisy_points(wells, gap=6), wells, has_disease=True)
    median = pd.Series(score).groupby(wells["role"].astype(str).to_numpy()).median()
    assert median["healthy"] == pytest.approx(0, abs=1e-9)
    assert median["diseased"] == pytest.approx(1, abs=0.1)
    assert median["treated"] == pytest.approx(1, abs=0.1)


def test_a_plate_has_no_part_in_its_own_axis():
    wells = plate_wells(n_plates=4)
    points = noisy_points(wells)
    before = control_scores(points, wells, has_disease=True)
    first = (wells["plate"] == "1").to_numpy()
    changed = points.copy()
    diseased = first & (wells["role"] == "diseased").to_numpy()
    changed[diseased] += 50  # another axis altogether, on this plate only
    after = control_scores(changed, wells, has_disease=True)
    np.testing.assert_allclose(after[first & ~diseased], before[first & ~diseased])
    assert not np.allclose(after[~first], before[~first])


def test_plate_offsets_change_nothing():
    wells = plate_wells(n_plates=4)
    points = noisy_points(wells)
    score = control_scores(points, wells, has_disease=True)
    moved = points + 1000 * np.arange(4)[plate_numbers(wells), None]
    np.testing.assert_allclose(control_scores(moved, wells, has_disease=True), score, atol=1e-6)


def test_inert_wells_stand_as_far_from_control_as_controls_do():
    wells, points = vehicle_screen(n_plates=40)
    d = pd.Series(control_scores(points, wells, has_disease=False), index=wells["role"].astype(str))
    assert d["vehicle"].median() == pytest.approx(1, abs=0.12)
    assert d["treated"].median() == pytest.approx(d["vehicle"].median(), rel=0.06)


def test_activity_is_seen_whatever_the_scale_of_the_axes():
    wells, points = vehicle_screen()
    active = (wells["compound_key"] == "KEY1").to_numpy()
    points[active] += 6
    d = control_scores(points, wells, has_disease=False)
    assert np.median(d[active]) > 2 * np.median(d[~active])
    np.testing.assert_allclose(
        control_scores(points * [1, 10, 100, 1, 1], wells, has_disease=False), d
    )


def test_a_plate_with_one_vehicle_well_has_no_distances():
    wells, points = vehicle_screen(n_plates=5, n_vehicle=2)
    drop = (wells["plate"] == "2") & (wells["role"] == "vehicle")
    kept = (~(drop & drop.groupby(wells["plate"]).cumsum().eq(1))).to_numpy()
    d = control_scores(points[kept], wells[kept], has_disease=False)
    assert np.isnan(d[(wells[kept]["plate"] == "2").to_numpy()]).all()
    assert np.isfinite(d[(wells[kept]["plate"] != "2").to_numpy()]).all()


def test_cell_types_are_scored_apart():
    renal, simian = plate_wells(n_plates=3), plate_wells(n_plates=3, cell_type="simian", seed=9)
    points = noisy_points(renal), -noisy_points(simian, seed=1)
    both = control_scores(np.vstack(points), pd.concat([renal, simian]), has_disease=True)
    alone = [
        control_scores(own, wells, has_disease=True)
        for own, wells in zip(points, (renal, simian), strict=True)
    ]
    np.testing.assert_allclose(both, np.concatenate(alone))
