"""Leaving things out finds what a list hangs on."""

import numpy as np
import pandas as pd
import pytest

from planted_ranks import ranked_wells
from screenbook.leads.rank_consensus import build_consensus, make_voter
from screenbook.leads.stability import (
    between_experiments,
    leave_out,
    next_experiment,
    rank_correlation,
    split_half,
    worst_ranks,
)


def consensus_of(wells, names=("recovery", "p_healthy"), **options):
    candidates = sorted(wells["compound_key"].unique())
    plates = sorted(wells["batch"].unique())
    voters = [make_voter(name, wells, name, candidates, plates) for name in names]
    found = build_consensus("renal", voters, candidates, plates, n_draws=50, **options)
    return found, [plate.partition("/")[0] for plate in plates]


def test_a_compound_carried_by_one_plate_is_found():
    effect = np.r_[np.full(4, 0.8), np.zeros(36)]
    wells = ranked_wells(effect, sd=0.1, seed=2)
    lucky = (wells["compound_key"] == "K030") & (wells["batch"] == "E2/4")
    wells.loc[lucky, ["recovery", "p_healthy"]] += 6.0
    found, strata = consensus_of(wells, n_top=6)
    left = leave_out(found, strata)
    worst = worst_ranks(found, left).set_index("compound_key")
    assert left.full[list(found.candidates).index("K030")] <= 6
    assert worst.loc["K030", "worst_without"] in ("plate E2/4", "experiment E2")
    assert worst.loc["K030", "worst_rank"] > 6
    plate = left.summary.set_index(["kind", "what"])
    kept = plate.loc["plate", "kept"]
    assert kept["E2/4"] == kept.min()
    assert kept["E2/4"] < 1
    carried = (worst["worst_rank"] > 6) & (left.full <= 6)
    assert carried["K030"]
    assert not carried[["K000", "K001", "K002", "K003"]].any()


def test_a_compound_that_loses_all_its_plates_loses_its_rank():
    wells = ranked_wells(np.linspace(1, 0, 12), sd=0.05, n_plates=4)
    kept = (wells["compound_key"] != "K000") | (wells["experiment"] == "E1")
    found, strata = consensus_of(wells[kept])
    left = leave_out(found, strata)
    by_thing = left.summary.set_index("what")
    assert by_thing.loc["E1", "lost"] == 1
    assert by_thing.loc["E2", "lost"] == 0
    worst = worst_ranks(found, left).set_index("compound_key").loc["K000"]
    assert worst["worst_without"] == "experiment E1"
    assert worst["worst_rank"] == 12


def test_witnesses_are_heard_but_blamed_for_nothing():
    wells = ranked_wells(np.linspace(2, 0, 16), sd=0.05)
    found, strata = consensus_of(wells)
    agrees = np.linspace(1, 0, 16)
    noise, silent = np.random.default_rng(0).normal(size=16), np.full(16, np.nan)
    left = leave_out(found, strata, {"agrees": agrees, "random": noise, "silent": silent})
    rho = left.summary[left.summary["kind"] == "witness"].set_index("what")["spearman"]
    assert list(rho.index) == ["agrees", "random"]
    assert rho["agrees"] > 0.99 > rho["random"]
    assert not worst_ranks(found, left)["worst_without"].str.contains("witness").any()
    assert set(left.summary["kind"]) == {"plate", "experiment", "method", "witness"}
    one, strata = consensus_of(wells, names=("recovery",))
    assert "method" not in set(leave_out(one, strata).summary["kind"])


def test_spearman_needs_four_and_some_variation():
    x = np.array([1.0, 2, 3, np.nan, 5])
    assert rank_correlation(x, np.array([2.0, 3, 4, 1, 9])) == pytest.approx(1)
    assert np.isnan(rank_correlation(x[:4], x[:4]))
    assert np.isnan(rank_correlation(x, np.ones(5)))


def test_split_half_follows_spearman_and_brown():
    """With single-dose scores of known reliability, theory gives both correlations."""
    rng = np.random.default_rng(0)
    effect = 0.4 * rng.normal(size=400)
    wells = ranked_wells(effect, n_doses=1, n_plates=8, sd=0.8, seed=5)
    found, strata = consensus_of(wells, names=("recovery",))
    half = split_half(found.voters[0], strata, n_splits=40)
    in_half, in_full = (0.16 / (0.16 + 0.64 / n) for n in (4, 8))
    # Spearman's rho of bivariate normals lies a little below Pearson's r.
    expected = 6 / np.pi * np.arcsin(in_half / 2)
    assert half["rho"] == pytest.approx(expected, abs=0.05)
    assert half["full"] == pytest.approx(2 * half["rho"] / (1 + half["rho"]))
    assert half["full"] == pytest.approx(in_full, abs=0.06)
    assert half["rho_low"] < half["rho"] < half["rho_high"]
    null, strata = consensus_of(ranked_wells(np.zeros(800)), names=("recovery",))
    assert abs(split_half(null.voters[0], strata)["rho"]) < 0.1


def test_halves_are_balanced_over_experiments():
    """If one experiment ruled the scores, unbalanced halves would disagree."""
    wells = ranked_wells(np.zeros(60), n_plates=8, sd=0.1, n_doses=1)
    number = wells["compound_key"].str[1:].astype(int)
    wells["recovery"] += np.where(wells["experiment"] == "E1", number, -number) / 10
    wells["recovery"] += number / 50
    found, strata = consensus_of(wells, names=("recovery",))
    assert split_half(found.voters[0], strata)["rho_low"] > 0.9


def test_experiments_are_compared_pairwise():
    wells = ranked_wells(np.linspace(1, 0, 30), n_plates=6, n_experiments=3, sd=0.05)
    spoilt = wells["experiment"] == "E3"
    rng = np.random.default_rng(0)
    wells.loc[spoilt, "recovery"] = rng.normal(size=spoilt.sum())
    found, strata = consensus_of(wells, names=("recovery",))
    rho = between_experiments(found.voters[0], strata).set_index(["first", "second"])["rho"]
    assert rho["E1", "E2"] > 0.9
    assert abs(rho["E1", "E3"]) < 0.5
    assert between_experiments(found.voters[0], ["E1"] * 6).empty


def test_the_next_experiment_is_foretold_without_looking_at_it():
    effect = np.r_[np.full(8, 0.9), np.zeros(56)]
    found, strata = consensus_of(ranked_wells(effect, sd=0.2), n_top=8)
    told = next_experiment(found, strata)
    assert told["held_out"].tolist() == ["E1", "E2"]
    assert (told["overlap"] >= 0.99).all()
    assert told["chance"].tolist() == [8 / 64] * 2
    assert told["held"].to_numpy() == pytest.approx(0.9, abs=0.1)
    nothing, strata = consensus_of(ranked_wells(np.zeros(64), seed=4), n_top=16)
    told = next_experiment(nothing, strata)
    # The choice flatters itself where it was made, and not where it was not.
    assert (told["chosen"] > 0.25).all()
    assert told["held"].abs().max() < 0.12
    assert told["overlap"].mean() < 0.5


def test_halves_stand_in_for_a_single_experiment():
    wells = ranked_wells(np.r_[np.ones(6), np.zeros(42)], n_experiments=1, sd=0.1)
    found, strata = consensus_of(wells, n_top=6)
    told = next_experiment(found, strata)
    assert not told["is_experiment"].any()
    assert told["held_out"].isin(["half A", "half B"]).all()
    assert (told["overlap"] == 1).all()
    assert isinstance(told, pd.DataFrame)
