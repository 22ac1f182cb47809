"""On and off the way from healthy to diseased."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from planted_hits import GAP, planted_part
from screenbook.errors import InputError
from screenbook.hits.rescue import score_wells, whitener, zone_effects, zones_of


def score(part, left_out=None, **options):
    nobody = np.zeros(len(part.obs), dtype=bool)
    return score_wells(part, nobody if left_out is None else left_out, **options)


def in_class(part, kind, dose=None):
    mine = part.obs["treatment"].astype(str).str.startswith(kind).to_numpy()
    return mine & (part.obs["treatment_conc"] == dose).to_numpy() if dose else mine


@pytest.fixture(scope="module")
def part():
    return planted_part()


@pytest.fixture(scope="module")
def scores(part):
    return score(part)


def test_controls_are_zero_and_one_on_every_plate(part, scores):
    for plate in np.unique(part.layout.batch):
        for kind in (0, 1):
            mine = (part.layout.batch == plate) & (part.layout.kind == kind)
            assert scores.on[mine].mean() == pytest.approx(kind, abs=1e-9)


def test_planted_effects_come_out_in_size(part, scores):
    assert scores.on[in_class(part, "idle")].mean() == pytest.approx(1.0, abs=0.03)
    assert scores.on[in_class(part, "rescuer", 10.0)].mean() == pytest.approx(0.2, abs=0.07)
    assert scores.on[in_class(part, "aggravator", 10.0)].mean() == pytest.approx(1.8, abs=0.15)
    assert scores.on[in_class(part, "sideways", 10.0)].mean() == pytest.approx(1.0, abs=0.15)
    assert scores.gap.mean() == pytest.approx(GAP, rel=0.15)
    poisoned = in_class(part, "poison", 10.0)
    shared = np.linalg.norm(scores.remainder[poisoned].mean(axis=0))
    assert shared == pytest.approx(1.6 * GAP, rel=0.25)
    assert scores.outside[poisoned].mean() > 0.9
    assert scores.outside[part.layout.control].mean() == pytest.approx(0.01, abs=0.01)
    assert np.median(scores.off[part.layout.control]) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("hold_out", ["batch", "experiment"])
def test_a_plate_is_scored_by_others_only(part, hold_out):
    """Its diseased wells go twice as far: its scores halve, so it taught neither axis nor SD."""
    held = getattr(part.layout, hold_out) == 1
    X = part.X.astype(np.float64)
    for plate in np.unique(part.layout.batch[held]):
        healthy, diseased = (
            (part.layout.batch == plate) & (part.layout.kind == kind) for kind in (0, 1)
        )
        X[diseased] += X[diseased].mean(axis=0) - X[healthy].mean(axis=0)
    asked = held & ~part.layout.control
    obs = part.obs.assign(row=-1)  # no places: effects of place are of all plates together
    one, other = (
        score(dataclasses.replace(part, obs=obs, X=x), hold_out=hold_out) for x in (part.X, X)
    )
    np.testing.assert_allclose(other.on[asked], one.on[asked] / 2, rtol=1e-6)
    if hold_out == "batch":  # it does teach the others
        elsewhere = ~held & ~part.layout.control
        assert np.abs(other.on[elsewhere] - one.on[elsewhere]).max() > 1e-6


def test_controls_that_do_not_part_are_refused(part):
    rng = np.random.default_rng(0)
    kind = part.layout.kind.copy()
    control = part.layout.control
    kind[control] = rng.integers(0, 2, control.sum())
    away = (part.layout.batch % 2 == 0) & control  # the disease goes one way here, another there
    kind[away] = 1 - kind[away]
    X = part.X.copy()
    X[:, 0] = 0
    X[:, 0] += 5 * (np.where(part.layout.batch % 2 == 0, 1, -1) * (kind == 1))
    layout = dataclasses.replace(part.layout, kind=kind)
    with pytest.raises(InputError, match="do not part"):
        score(dataclasses.replace(part, X=X, layout=layout))


def test_what_moves_a_whole_plate_changes_nothing(part, scores):
    rng = np.random.default_rng(0)
    moved = part.X + 10 * rng.normal(size=(6, part.X.shape[1]))[part.layout.batch]
    other = score(dataclasses.replace(part, X=moved))
    np.testing.assert_allclose(other.on, scores.on, atol=1e-4)
    np.testing.assert_allclose(other.off, scores.off, atol=1e-4)


def test_units_of_features_change_nothing_much(part, scores):
    stretched = part.X * np.geomspace(0.01, 100, part.X.shape[1])
    other = score(dataclasses.replace(part, X=stretched))
    np.testing.assert_allclose(other.on, scores.on, atol=1e-5)


def test_wells_left_out_neither_teach_nor_are_used(part, scores):
    plate = part.layout.batch == 0
    wild = part.X.copy()
    wild[plate] += 1000 * np.random.default_rng(1).normal(size=(plate.sum(), part.X.shape[1]))
    found = score(dataclasses.replace(part, X=wild), plate)
    clean = score(part, plate)
    assert not found.used[plate].any()
    np.testing.assert_allclose(found.on[~plate], clean.on[~plate], atol=1e-9)
    assert found.unscaled == {part.layout.batches[0]: "left out"}


def test_a_plate_whose_controls_do_not_part_has_no_scale(part):
    X = part.X.copy()
    weak = (part.layout.batch == 2) & (part.layout.kind != 0)
    X[weak, 0] -= 0.95 * GAP
    found = score(dataclasses.replace(part, X=X))
    assert list(found.unscaled) == [part.layout.batches[2]]
    assert not found.used[part.layout.batch == 2].any()
    assert np.isfinite(found.on[part.layout.batch == 1]).all()


def test_a_plate_without_healthy_wells_has_no_scale(part):
    gone = (part.layout.batch == 1) & (part.layout.kind == 0)
    found = score(part, gone)
    assert "0 healthy and 20" in found.unscaled[part.layout.batches[1]]


def test_one_plate_is_refused(part):
    with pytest.raises(InputError, match="1 plate; scores need two"):
        score(part, part.layout.batch > 0)


def test_one_experiment_cannot_be_left_out(part):
    with pytest.raises(InputError, match="set hold_out to batch"):
        score(part, part.layout.experiment > 0, hold_out="experiment")


def test_features_that_never_vary_do_no_harm(part, scores):
    X = np.hstack([part.X, np.ones((len(part.X), 3), np.float32), np.zeros((len(part.X), 2))])
    other = score(dataclasses.replace(part, X=X.astype(np.float32)))
    np.testing.assert_allclose(other.on, scores.on, atol=0.05)
    assert np.isfinite(other.off).all()


def test_an_edge_effect_is_found_on_controls_and_taken_off():
    part = planted_part(edge=0.5, n_healthy=40, n_diseased=40, n_plates=4)
    found = score(part)
    assert found.zones["taken_off"].all()
    assert found.zones["effect"][0] == pytest.approx(0.5, abs=0.1)
    idle = in_class(part, "idle")
    zone = zones_of(part.obs)
    apart = found.on[idle & (zone == 0)].mean() - found.on[idle & (zone == 2)].mean()
    assert abs(apart) < 0.08


def test_no_edge_effect_is_left_alone():
    taken = [bool(score(planted_part(seed=s)).zones["taken_off"].any()) for s in range(12)]
    assert sum(taken) <= 3  # at the level of 0.05


def test_zones_need_addresses_and_enough_controls():
    obs = pd.DataFrame({"row": [-1, 0, 5, 5], "column": [-1, 0, 5, 1], "batch": "p"})
    np.testing.assert_array_equal(zones_of(obs.assign(row=-1)), [2, 2, 2, 2])
    table = zone_effects(np.ones(4), obs, np.array([0, 0, 1, 1]))
    assert table["effect"].eq(0).all()
    assert table["p"].isna().all()


def test_whitened_controls_have_unit_covariance():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(4000, 6)) @ rng.normal(size=(6, 6)) * np.geomspace(0.01, 100, 6)
    white = mixed @ whitener(mixed)
    np.testing.assert_allclose(np.cov(white.T), np.eye(6), atol=0.05)
