"""A compound that changes some cells: found by its cells, hidden in the means of its wells."""

import numpy as np
import pandas as pd
import pytest

from planted_cells import asked, null_p_values, planted_cells
from screenbook.cells.cell_metric import CrossFitted
from screenbook.cells.subpopulations import (
    CHANGED,
    LEARNED,
    MEANS,
    null_rejections,
    own_points,
    power_by_wells,
    responder_scores,
)
from screenbook.cells.well_accuracy import measured, well_accuracy
from screenbook.cells.wells_compared import reference_wells
from screenbook.errors import InputError


@pytest.fixture(scope="module")
def planted():
    """Wells differ by 0.6 SD of cells in each of eight features, and a mean shifts by 0.75."""
    return planted_cells(n_plates=6, n_wells=1, n_features=8, well_sd=0.6, away=5.0, seed=3)


@pytest.fixture(scope="module")
def answer(planted):
    return asked(*planted)


def test_the_rare_compound_is_found_by_cells_and_missed_by_means(answer):
    found = answer.table.set_index(["test", "treatment"])["found"]
    assert found.loc[(MEANS, ["full", "rare", "inert"])].tolist() == [True, False, False]
    assert found.loc[(CHANGED, ["full", "rare", "inert"])].tolist() == [True, True, False]
    effect = answer.table.set_index(["test", "treatment"])["effect"]
    assert effect[CHANGED, "rare"] > effect[MEANS, "rare"] + 0.5


def test_the_share_that_responds_is_told_within_its_interval(answer):
    table = answer.responding.set_index("treatment")
    assert table.loc["rare", "low"] <= 0.15 <= table.loc["rare", "high"]
    assert table.loc["full", "responding"] > 0.7
    assert table.loc["inert", "low"] <= 0 <= table.loc["inert", "high"]


def test_scores_tell_which_cells_responded(planted, answer):
    _, obs = planted
    rare = (obs["treatment"] == "rare").to_numpy()
    score, hit = answer.cells["score"].to_numpy()[rare], obs["hit"].to_numpy()[rare]
    assert np.median(score[hit]) > np.quantile(score[~hit], 0.9)
    assert answer.cells["marked"].to_numpy()[rare][hit].mean() > 0.6
    reference = answer.cells["reference"]
    assert answer.cells.loc[reference, "marked"].mean() == pytest.approx(0.03, abs=0.003)
    of_plate = answer.cells[reference].groupby("batch")["score"].median()
    assert of_plate.to_numpy() == pytest.approx(0, abs=1e-9)


def test_what_a_plate_does_to_all_its_cells_does_not_matter(planted, answer):
    points, obs = planted
    plate = obs["batch"].str[1].astype(int).to_numpy()[:, None]
    again = asked(points * (1 + plate) + 50 * plate, obs)
    pd.testing.assert_frame_equal(again.table, answer.table, rtol=1e-3)


def test_a_cell_is_scored_by_cells_of_other_experiments_only(planted):
    points, obs = planted
    fold = (obs["experiment"].str[1:].astype(int) % 2).to_numpy()
    reference = reference_wells(obs)
    before = responder_scores(measured(points, fold), obs, reference)
    one = np.flatnonzero((fold == 0) & ~reference)[5]
    moved = points.copy()
    moved[one] += 30
    after = responder_scores(measured(moved, fold), obs, reference)
    others = fold == 0
    others[one] = False
    np.testing.assert_allclose(after[others], before[others])
    assert not np.allclose(after[one], before[one])


def test_each_cell_is_seen_by_the_net_of_its_own_fold():
    points, obs = planted_cells(n_plates=2, n_cells=5)
    fold = obs["experiment"].str[1:].astype(int).to_numpy()
    two = CrossFitted(np.stack([points, points * -1]).astype(np.float32), fold)
    reference = reference_wells(obs)
    own = own_points(two, obs, reference)
    plain = own_points(measured(points, fold), obs, reference)
    np.testing.assert_allclose(own[fold == 0], plain[fold == 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(own[fold == 1], -plain[fold == 1], rtol=1e-4, atol=1e-5)


def test_few_cells_to_learn_from_are_refused():
    points, obs = planted_cells({"full": 0.9}, n_plates=2, n_wells=1, n_cells=5)
    with pytest.raises(InputError, match="5 treated cells outside fold 1, and k = 15"):
        asked(points, obs)
    control = (obs["role"] == "control").to_numpy()
    with pytest.raises(InputError, match="column role: 0 treated cells"):
        asked(points[control], obs[control])


def test_an_inert_compound_is_found_as_often_as_it_should_be():
    p = null_p_values(30)
    assert set(p) == {MEANS, CHANGED, LEARNED}
    for test in p:
        assert (p[test] <= 0.05).sum() <= 5, test  # more: once in 60 where the level holds
        assert 0.25 < p[test].median() < 0.75


def test_more_wells_find_more(answer):
    power = power_by_wells(answer.wells, (2, 6, 99), n_draws=20, n_permutations=99)
    assert set(power["n_wells"]) == {2, 6}
    table = power.set_index(["test", "treatment", "n_wells"])["power"]
    assert table[CHANGED, "rare", 6] == 1 > table[CHANGED, "rare", 2]
    assert table[MEANS, "rare", 6] == 0
    assert table[CHANGED, "inert", 2] <= 0.3
    assert power.set_index("n_wells").loc[6, "n_draws"].eq(1).all()  # all wells: one way to draw


def test_control_wells_that_pose_as_a_treatment_are_seldom_found(planted):
    points, obs = planted
    fold = (obs["experiment"].str[1:].astype(int) % 2).to_numpy()
    features = pd.DataFrame(points, index=obs.index)
    table = null_rejections(features, measured(points, fold), obs, n_draws=12, n_permutations=99)
    assert table["test"].tolist() == [MEANS, CHANGED, LEARNED]
    assert (table["rejected"] <= 0.34).all()
    assert (table["n_draws"] == 12).all()


def test_wells_are_told_by_a_space_that_knows_and_not_by_one_that_does_not(planted):
    _, obs = planted
    fold = (obs["experiment"].str[1:].astype(int) % 2).to_numpy()
    reference = reference_wells(obs)
    noise = np.random.default_rng(0).normal(size=(len(obs), 3))
    hit = obs[["hit"]].to_numpy(dtype=float)
    spaces = {
        "answer": (measured(hit, fold), obs, reference),
        "noise": (measured(noise, fold), obs, reference),
    }
    table = well_accuracy(spaces).set_index(["space", "measure"])
    assert table.loc["answer", "low"].min() > table.loc["noise", "value"].max()
    assert table.loc["noise", "low"].max() < 0.25  # chance
    assert (table["chance"] == 0.25).all()
    assert (table["n"] == 6 * 9).all()
    assert (table["n_groups"] == 6).all()
