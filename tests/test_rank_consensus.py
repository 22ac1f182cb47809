"""Planted orders come back, ranks are as sure as they ought to be, and no surer."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from planted_ranks import ranked_wells
from screenbook.leads.rank_consensus import (
    aggregate_ranks,
    build_consensus,
    draw_plate_weights,
    make_voter,
    normalised_ranks,
)


def consensus_of(wells, names=("recovery", "p_healthy"), **options):
    candidates = sorted(wells["compound_key"].unique())
    plates = sorted(wells["batch"].unique())
    voters = [make_voter(name, wells, name, candidates, plates) for name in names]
    return build_consensus("renal", voters, candidates, plates, n_draws=400, **options)


def test_a_voter_averages_plates_and_takes_the_best_dose():
    wells = ranked_wells([0.0, 1.0, 0.5], n_plates=4, seed=1)
    wells = pd.concat([wells, wells.iloc[:5]])  # some treatments have two wells on a plate
    plates = sorted(wells["batch"].unique())
    keys = sorted(wells["compound_key"].unique())
    voter = make_voter("a", wells, "recovery", keys, plates)
    weights = np.array([[1.0, 2.0], [1.0, 0.0], [1.0, 1.0], [1.0, 0.5]])
    for column in range(2):
        by_plate = wells.groupby(["compound_key", "dose", "batch"])["recovery"].mean()
        by_plate = by_plate.unstack("batch")  # noqa: PD010
        w = pd.Series(weights[:, column], plates)
        expected = (by_plate * w).sum(axis=1) / w.sum()
        best = expected.groupby("compound_key").max()
        np.testing.assert_allclose(voter.scores(weights)[:, column], best[keys])


def test_treatments_on_one_plate_have_no_vote():
    wells = ranked_wells([0.5] * 4)
    alone = (wells["compound_key"] == "K002") & (wells["batch"] != "E1/1")
    plates = sorted(wells["batch"].unique())
    voter = make_voter("a", wells[~alone], "recovery", ["K000", "K001", "K002", "K003"], plates)
    score = voter.scores(np.ones((6, 1)))[:, 0]
    assert np.isnan(score[2])
    assert np.isfinite(score[[0, 1, 3]]).all()
    assert voter.plates_behind().tolist()[:2] == [6, 6]
    assert np.isnan(voter.plates_behind()[2])


def test_ranks_against_scipy():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, (12, 7)).astype(float)
    expected = (np.apply_along_axis(rankdata, 0, -scores) - 1) / 11
    np.testing.assert_allclose(normalised_ranks(scores), expected)
    scores[3] = np.nan
    ranks = normalised_ranks(scores)
    assert np.isnan(ranks[3]).all()
    rest = np.delete(scores, 3, axis=0)
    np.testing.assert_allclose(np.delete(ranks, 3, axis=0), normalised_ranks(rest))


def test_the_mean_of_ranks_decides_and_ties_go_to_the_first_method():
    first = np.array([[0.0], [0.5], [1.0], [np.nan]])
    second = np.array([[0.5], [0.0], [1.0], [0.2]])
    assert aggregate_ranks([first, second])[:, 0].tolist() == [2, 3, 4, 1]
    alone = np.array([[np.nan], [np.nan]])
    assert np.isnan(aggregate_ranks([alone, alone])).all()


def test_a_planted_order_comes_back():
    effect = np.r_[np.linspace(3, 0.9, 8), np.zeros(40)]
    table = consensus_of(ranked_wells(effect, sd=0.1), n_top=8).table
    assert table["compound_key"].tolist()[:8] == [f"K{i:03}" for i in range(8)]
    assert (table["top_share"].iloc[:8] > 0.99).all()
    assert (table["top_share"].iloc[8:] < 0.05).all()
    assert (table["rank_high"] - table["rank_low"]).iloc[:4].max() <= 1


def test_noise_widens_intervals_and_more_plates_narrow_them():
    effect = np.r_[np.linspace(1.5, 0.5, 8), np.zeros(32)]

    def width(**options):
        table = consensus_of(ranked_wells(effect, **options)).table
        return float((table["rank_high"] - table["rank_low"]).iloc[:8].mean())

    assert width(sd=0.1) < width(sd=0.3) < width(sd=0.6)
    assert width(sd=0.4, n_plates=24) < width(sd=0.4, n_plates=6)


def test_where_all_are_alike_nobody_is_surely_at_the_top():
    """A plain bootstrap would be sure of the luckiest: its first would top nearly all draws."""
    highest, plain = [], []
    for seed in range(6):
        wells = ranked_wells(np.zeros(60), seed=seed)
        found = consensus_of(wells, n_top=15, seed=seed)
        assert found.n_top == 15
        highest.append(found.table["top_share"].max())
        votes = [normalised_ranks(v.scores(draw_plate_weights(6, 400, seed))) for v in found.voters]
        plain.append((aggregate_ranks(votes) <= 15).mean(axis=1).max())
        assert found.table["top_share"].mean() == pytest.approx(found.chance, abs=1e-6)
    assert np.mean(plain) > 0.85
    assert np.mean(highest) < 0.55


def test_a_share_of_draws_means_what_it_says():
    """Of compounds said to be at the top with 80 % or more, about as many truly are."""
    said, true = [], []
    for seed in range(12):
        rng = np.random.default_rng(100 + seed)
        effect = np.where(rng.random(80) < 0.2, rng.uniform(0.2, 1, 80), 0)
        effect += 0.02 * rng.normal(size=80)
        found = consensus_of(ranked_wells(effect, seed=seed))
        place = pd.Series(rankdata(-effect), found.candidates)
        said.extend(found.table["top_share"])
        true.extend(place[found.table["compound_key"]] <= found.n_top)
    said, true = np.array(said), np.array(true)
    sure, unsure = said >= 0.8, said <= 0.1
    assert sure.sum() > 80
    assert true[sure].mean() == pytest.approx(said[sure].mean(), abs=0.06)
    assert true[unsure].mean() < 0.1


def test_the_top_is_at_most_a_quarter():
    assert consensus_of(ranked_wells(np.zeros(40)), n_top=20).n_top == 10
    assert consensus_of(ranked_wells(np.zeros(5)), n_top=20).n_top == 1


def test_renaming_and_reordering_change_nothing():
    wells = ranked_wells(np.linspace(1, 0, 12), seed=3)
    table = consensus_of(wells).table
    mixed = consensus_of(wells.sample(frac=1, random_state=1)).table
    pd.testing.assert_frame_equal(table, mixed)
    scaled = wells.assign(p_healthy=5 * wells["p_healthy"] - 2, recovery=3 * wells["recovery"])
    assert consensus_of(scaled).table["rank_low"].tolist() == table["rank_low"].tolist()


def test_nothing_to_rank_is_no_consensus():
    wells = ranked_wells([1.0], n_plates=4)
    assert consensus_of(wells) is None
    one_plate = ranked_wells([1.0, 0.5, 0.2], n_plates=1, n_experiments=1)
    assert consensus_of(one_plate) is None
    empty = consensus_of(ranked_wells([1.0, 0.0]).assign(p_healthy=np.nan))
    assert empty.names == ("recovery",)


def test_identical_scores_are_ties_and_not_a_crash():
    wells = ranked_wells(np.zeros(8), sd=0.0)
    table = consensus_of(wells).table
    assert table["rank"].notna().all()
    assert np.isfinite(table["top_share"]).all()
