import numpy as np
import pandas as pd
import pytest

from planted import plate_wells
from screenbook.profiles.sites import pick_complete_wells, predict_site


def sites_of(n_plates=6, seed=0, strength=0.0, k=30):
    wells = plate_wells(n_plates, 4, 6, controls={"healthy": 4, "diseased": 4}, seed=seed)
    sites = wells.loc[wells.index.repeat(4)].reset_index(drop=True)
    sites["site"] = np.tile([1, 2, 3, 4], len(wells))
    rng = np.random.default_rng(seed)
    X = 20 * rng.normal(size=(len(wells), k)).repeat(4, axis=0) + rng.normal(size=(len(sites), k))
    X += strength * rng.normal(size=(5, k))[sites["site"]]
    return X.astype(np.float32), sites


def test_alike_sites_are_told_apart_no_better_than_by_chance():
    X, sites = sites_of()
    found = predict_site(X, sites, n_components=10, seed=0)
    assert found.chance == 0.25
    assert found.low < 0.25 < found.high
    assert found.accuracy <= found.null + 0.06
    assert found.position_share < 0.03


def test_planted_positions_are_found_through_far_larger_well_differences():
    X, sites = sites_of(strength=1.0)
    found = predict_site(X, sites, n_components=10, seed=0)
    assert found.accuracy > 0.9
    assert found.null < 0.35
    assert found.low <= found.accuracy <= found.high
    assert np.diag(found.confusion) == pytest.approx(found.confusion.max(axis=1))
    assert found.confusion.sum(axis=1).to_numpy() == pytest.approx(np.ones(4))
    # four centres of unit variance per axis, seen about their mean, beside noise of unit variance
    assert 0.2 < found.position_share < 0.8


def test_one_position_that_differs_is_the_one_told():
    X, sites = sites_of()
    X[(sites["site"] == 3).to_numpy(), 0] += 6
    confusion = predict_site(X, sites, n_components=10, seed=0).confusion
    assert confusion.loc[3, 3] > 0.9
    assert confusion.loc[1, 1] < 0.6


def test_the_same_seed_gives_the_same_answer():
    X, sites = sites_of(strength=0.3)
    one, two = (predict_site(X, sites, n_components=8, seed=4) for _ in range(2))
    assert (one.accuracy, one.low, one.null) == (two.accuracy, two.low, two.null)


def test_one_plate_cannot_be_held_out():
    X, sites = sites_of(n_plates=1)
    with pytest.raises(ValueError, match="two plates"):
        predict_site(X, sites, seed=0)


def test_only_complete_wells_are_picked_and_all_of_their_sites():
    _, sites = sites_of(n_plates=2)
    broken = sites.drop(index=[1, 10])
    doubled = pd.concat([broken, broken.iloc[[20]]], ignore_index=True)
    rows = pick_complete_wells(doubled, 1000, seed=0)
    picked = doubled.iloc[rows]
    counts = picked.groupby(["batch", "well"], observed=True)["site"].agg(["size", "nunique"])
    assert (counts == 4).all(axis=None)
    assert len(counts) == 48 - 3
    assert len(pick_complete_wells(doubled, 10, seed=0)) == 40
    assert list(rows) == sorted(rows)


def test_a_screen_without_sites_has_none_to_pick():
    wells = plate_wells().assign(site=0)
    assert len(pick_complete_wells(wells, 10, seed=0)) == 0
