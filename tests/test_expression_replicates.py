"""Planted replicates are found, noise is not, and no query chooses how it is compared."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from screenbook.errors import InputError
from screenbook.expression import method_choice
from screenbook.expression.comparison import Method, RetrievalTask, SignatureRows, combine_methods
from screenbook.expression.replicates import (
    cross_fitted_scores,
    plain_scores,
    reference_table,
    replicate_tasks,
)
from screenbook.expression.signatures import REFERENCES, Signatures, signatures
from screenbook.expression.spaces import Space
from small_studies import screen

N_DRUGS, N_GENES = 30, 25
LINES = ("L1", "L2")
METHODS = [
    Method(space, "cosine", centre)
    for space in (Space(), Space(remove=2))
    for centre in (False, True)
]


def conditions(plates=("p1", "p2"), doses=(1.0, 10.0), lines=LINES, n_drugs=N_DRUGS):
    """Every drug in every line, on every plate, at every dose."""
    grid = pd.MultiIndex.from_product([range(n_drugs), lines, plates, doses])
    table = grid.to_frame(index=False, name=["drug", "cell_line", "plate", "dose"])
    return table.assign(compound_key="name:" + table["drug"].astype(str))


def measured(obs, signal=1.0, noise=0.0, seed=0, controls_per_plate=3):
    """Signatures that each drug has alike at all doses, on all plates; and control wells."""
    rng = np.random.default_rng(seed)
    effect = signal * rng.normal(size=(obs["drug"].max() + 1, N_GENES))
    delta = effect[obs["drug"]] + noise * rng.normal(size=(len(obs), N_GENES))
    genes = np.array([f"G{i}" for i in range(N_GENES)], dtype=object)
    wells = obs[["cell_line", "plate"]].drop_duplicates()
    wells = wells.loc[wells.index.repeat(controls_per_plate)].reset_index(drop=True)
    profiles = ad.AnnData(
        X=rng.normal(size=(len(wells), N_GENES)).astype(np.float32),
        obs=wells.assign(role="control").set_index(wells.index.astype(str)),
    )
    made = Signatures(
        delta.astype(np.float32), np.full(delta.shape, 0.1), obs, genes, pd.DataFrame()
    )
    return made, profiles


def test_replicates_without_noise_find_each_other():
    tasks = replicate_tasks(*measured(conditions()))
    assert tasks.across == "plates"
    assert tasks.told == "highest dose on p1 asks the highest dose on all other plates"
    assert [t.line for t in tasks.tasks] == list(LINES)
    found = plain_scores(tasks.tasks, {"plain": Method()})
    assert len(found) == len(LINES) * N_DRUGS
    assert (found["hit@1"] == 1).all()
    assert (found["n_candidates"] == N_DRUGS).all()
    assert (found["n_own"] == 1).all()
    assert set(found["line"]) == set(LINES)
    assert (found.groupby("line")["compound"].nunique() == N_DRUGS).all()


def test_noise_finds_by_chance():
    obs = conditions(lines=[f"L{i}" for i in range(8)])
    tasks = replicate_tasks(*measured(obs, signal=0, noise=1))
    found = plain_scores(tasks.tasks, {"a": Method(), "b": Method(score="spearman")})
    for _, some in found.groupby("method"):
        assert len(some) == 240
        for k in (1, 5, 10):
            chance = k / N_DRUGS
            off = 4 * np.sqrt(chance * (1 - chance) / len(some))
            assert some[f"hit@{k}"].mean() == pytest.approx(chance, abs=off)
        assert some["own_rank"].mean() == pytest.approx((N_DRUGS + 1) / 2, abs=2.3)


def test_the_plate_with_most_compounds_of_other_plates_asks_at_their_highest_dose():
    obs = conditions(plates=("p1", "p2", "p3"))
    obs = obs[(obs["plate"] != "p1") | (obs["drug"] < 5)]  # five drugs on p1
    obs = obs[(obs["plate"] != "p3") | (obs["drug"] < 20)].reset_index(drop=True)
    made, profiles = measured(obs)
    tasks = replicate_tasks(made, profiles)
    # p2 and p3 both have twenty compounds of other plates; the first by name is taken.
    assert "on p2 asks" in tasks.told
    for task in tasks.tasks:
        assert set(task.query.batch) == {f"p2|{task.line}"}
        assert set(task.library.batch) == {f"p1|{task.line}", f"p3|{task.line}"}
        assert len(task.query.delta) == N_DRUGS
        assert len(task.library.delta) == 25
        here = (obs["cell_line"] == task.line) & (obs["dose"] == 10.0) & (obs["plate"] == "p2")
        np.testing.assert_array_equal(task.query.delta, made.delta[here])
    # Ten of the drugs are on p2 alone: what cannot be found is not asked.
    assert len(plain_scores(tasks.tasks, {"plain": Method()})) == len(LINES) * 20


def test_a_drug_counts_by_its_own_highest_dose():
    obs = conditions()
    obs = obs[(obs["dose"] < 10) | (obs["drug"] > 0)].reset_index(drop=True)
    tasks = replicate_tasks(*measured(obs))
    assert len(tasks.tasks[0].query.delta) == N_DRUGS


def test_doses_ask_each_other_where_nothing_comes_twice():
    obs = conditions(plates=("p",), doses=(0.1, 1.0, 10.0))
    obs["plate"] = "p" + obs["dose"].astype(str)
    obs = obs[(obs["drug"] != 0) | (obs["dose"] < 10)]
    obs = obs[(obs["drug"] != 1) | (obs["dose"] == 10)].reset_index(drop=True)
    # Drug 0 tops at 1 µM, so 0.1 µM asks; drug 1 has one dose, which nothing asks for.
    tasks = replicate_tasks(*measured(obs))
    assert tasks.across == "doses"
    assert tasks.told == "second highest dose of each drug asks the highest"
    for task in tasks.tasks:
        assert set(task.query.batch) == {f"p0.1|{task.line}", f"p1.0|{task.line}"}
        assert set(task.library.batch) == {f"p1.0|{task.line}", f"p10.0|{task.line}"}
    found = plain_scores(tasks.tasks, {"plain": Method()})
    assert len(found) == len(LINES) * (N_DRUGS - 1)
    assert (found["hit@1"] == 1).all()


def test_nothing_measured_twice_is_refused():
    with pytest.raises(InputError, match="no drug was measured twice"):
        replicate_tasks(*measured(conditions(plates=("p1",), doses=(5.0,))))


def test_lines_on_plates_of_their_own_are_no_replicates_of_each_other():
    obs = conditions(plates=("p",))
    obs["plate"] = "p" + obs["cell_line"]
    tasks = replicate_tasks(*measured(obs))
    assert tasks.across == "doses"
    assert len(tasks.tasks) == len(LINES)


def test_doses_of_which_no_compound_has_two_are_refused_or_passed_over():
    obs = conditions(plates=("p",))
    obs["dose"] *= np.where(obs["drug"] % 2, 1.0, 0.9)
    tasks = replicate_tasks(*measured(obs))
    assert len(tasks.tasks) == len(LINES)


def test_controls_are_told_about_the_mean_of_their_plate():
    made, profiles = measured(conditions(), controls_per_plate=4)
    for task in replicate_tasks(made, profiles).tasks:
        here = (profiles.obs["cell_line"] == task.line).to_numpy()
        X = np.asarray(profiles.X[here], dtype=float)
        plate = profiles.obs["plate"].to_numpy()[here]
        wanted = X - np.array([X[plate == p].mean(axis=0) for p in plate])
        np.testing.assert_allclose(task.controls, wanted, atol=1e-6)
    lonely = replicate_tasks(*measured(conditions(), controls_per_plate=1))
    assert [t.controls for t in lonely.tasks] == [None, None]


def few(seed=0):
    made = measured(conditions(doses=(10.0,), n_drugs=12), noise=1.5, seed=seed)
    return replicate_tasks(*made).tasks


def spied(monkeypatch, tasks, n_best=2):
    """Cross-fitted scores, and the compounds that each fold's choice did not look at."""
    names = np.concatenate([t.query.compound for t in tasks])
    unseen, choose = [], method_choice.choose_methods

    def spy(found, compound, n):
        unseen.append(set(names) - set(names[found.index]))
        return choose(found, compound, n)

    with monkeypatch.context() as patch:
        patch.setattr(method_choice, "choose_methods", spy)
        scores, choice = cross_fitted_scores(tasks, METHODS, n_best=n_best, seed=3)
    return scores, choice, unseen


def test_each_compound_is_scored_by_what_others_chose(monkeypatch):
    tasks = few()
    scores, choice, unseen = spied(monkeypatch, tasks)
    assert len(unseen) == 5
    assert set.union(*unseen) == set(tasks[0].query.compound)
    assert sum(len(some) for some in unseen) == 12  # each in one fold
    assert choice[["fold", "place"]].to_numpy().tolist() == [
        [f, p] for f in range(5) for p in (1, 2)
    ]
    named = {str(m): m for m in METHODS}
    for fold, compounds in enumerate(unseen):
        chosen = [named[name] for name in choice.loc[choice["fold"] == fold, "method"]]
        for task in tasks:
            joined = combine_methods(chosen, task.query, task.library, task.controls)
            got = scores[scores["line"] == task.line].set_index("compound")["own_rank"]
            for i, compound in enumerate(task.query.compound):
                if compound in compounds:
                    own = joined[i, task.library.compound == compound]
                    assert got[compound] == 1 + (joined[i] > own).sum()
    assert set(scores["method"]) == {"chosen"}


def test_queries_have_no_say_in_how_they_are_compared(monkeypatch):
    tasks = few()
    _, choice, unseen = spied(monkeypatch, tasks)
    moved = 0
    for fold, compounds in enumerate(unseen):
        wrong = []
        for task in tasks:
            # Names are exchanged within the fold, so that all it says of methods is wrong.
            names = task.query.compound.copy()
            mine = np.flatnonzero(np.isin(names, list(compounds)))
            names[mine] = np.roll(names[mine], 1)
            rows = SignatureRows(task.query.delta, names, task.query.batch)
            wrong.append(RetrievalTask(rows, task.library, task.controls, task.line))
        again = cross_fitted_scores(wrong, METHODS, n_best=2, seed=3)[1]
        own = choice["fold"] == fold
        assert again.loc[own, "method"].tolist() == choice.loc[own, "method"].tolist()
        moved += again["method"].tolist() != choice["method"].tolist()
    assert moved  # in other folds they do have a say


def test_the_same_seed_gives_the_same_scores():
    first, again = (cross_fitted_scores(few(), METHODS, seed=2) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_one_fold_per_compound_where_there_are_few():
    made = measured(conditions(doses=(10.0,), n_drugs=3))
    _, choice = cross_fitted_scores(replicate_tasks(*made).tasks, METHODS[:1], n_best=1)
    assert choice["fold"].tolist() == [0, 1, 2]


def test_one_reference_for_all_plates_leaves_the_plate_in():
    profiles, _ = screen()
    made = {name: signatures(profiles, reference=name) for name in REFERENCES}
    table = reference_table(made, profiles).set_index("reference")
    told = table["told_by_plate"]
    assert told["pooled"] > 1.2 * told["plate"]
    assert told["adjusted"] < told["plate"]
    assert np.ptp(table["n_queries"]) == 0
    assert table["replicate_pearson"].between(-1, 1).all()
    assert table["hit@10"].between(0, 1).all()


def test_the_table_of_references_holds_its_definitions():
    made, profiles = measured(conditions(plates=("p1", "p2"), doses=(5.0,)), noise=0.7)
    row = reference_table({"one": made}, profiles).iloc[0]
    plate = (made.obs["plate"] + made.obs["cell_line"]).to_numpy()
    means = np.array([made.delta[plate == p].mean(axis=0) for p in plate])
    assert row["told_by_plate"] == pytest.approx((means**2).sum() / (made.delta**2).sum(), rel=1e-4)
    found = []
    for _, some in made.obs.groupby(["drug", "cell_line"]):
        one, other = some.index
        found.append(pearsonr(made.delta[one], made.delta[other]).statistic)
    assert row["replicate_pearson"] == pytest.approx(np.mean(found), rel=1e-4)
    scores = plain_scores(replicate_tasks(made, profiles).tasks, {"plain": Method()})
    assert row["median_rank"] == scores["own_rank"].median()
    assert row["hit@10"] == scores["hit@10"].mean()
    assert row["n_queries"] == len(LINES) * N_DRUGS


def test_doses_have_no_correlation_of_replicates():
    row = reference_table(
        {"one": measured(conditions(plates=("p",)))[0]}, measured(conditions())[1]
    )
    assert np.isnan(row["replicate_pearson"].iloc[0])
    assert row["hit@10"].iloc[0] == 1
