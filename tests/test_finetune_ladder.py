"""The ladder and its tables: honest splits stay at chance where nothing is shared, leaks do not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from planted_finetune import design, fields_of
from screenbook.finetune import ladder_tables as told
from screenbook.finetune.fine_tuning import Tuning, quick
from screenbook.finetune.ladder import (
    HONEST,
    LEAK,
    PLAIN,
    _tune,
    climb,
    rung_names,
    without_remedies,
)
from screenbook.finetune.mechanism_folds import KINDS, known_mechanisms, mechanism_folds
from screenbook.finetune.outcomes import BASELINES, STATISTICS, baseline_outcome
from screenbook.finetune.pretraining import starting_backbone

FEW = quick(Tuning(n_fields=8), n_steps=2, record_every=1, device="cpu")


def climbed(obs, fields, tuning=FEW, **more):
    known = known_mechanisms(obs)
    start = starting_backbone(fields, obs, tuning=FEW)
    return climb(fields, obs, known, start, tuning, **more)


@pytest.fixture(scope="module")
def ladder():
    obs = design()
    said = []
    found = climbed(obs, fields_of(obs), tell=said.append)
    # 4 rungs and one without remedy in 3 folds, 2 in each other split, layers, features.
    assert said[-1] == "23 of 23 trainings and probes done"
    return found


def test_every_model_is_asked_every_compound_once(ladder):
    n = len(ladder.rows)
    assert n == 36
    assert ladder.rungs == ("head alone", "block 3 on", "block 2 on", "all layers")
    for model in (*ladder.rungs, PLAIN, *BASELINES, *told.CHOICES):
        calls = told.call_table(ladder, model)
        assert sorted(calls.index) == sorted(ladder.obs.index)
        assert (calls["mechanism"] == ladder.obs.loc[calls.index, "moa"]).all()
        shares = calls[list(ladder.known.names)]
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
        assert (shares.idxmax(axis=1) == calls["called"]).all()


def test_accuracies_are_those_of_the_calls(ladder):
    table = told.accuracy_table(ladder)
    assert table.groupby("split").size().to_dict() == {
        "compounds": 11,
        "experiments": 5,
        "fields": 5,
    }
    mine = table[table["split"] == "compounds"].set_index("model")
    for model, row in mine.iterrows():
        calls = told.call_table(ladder, model)
        expected = balanced_accuracy_score(calls["mechanism"], calls["called"])
        assert row["test"] == pytest.approx(expected)
        assert row["gap"] == pytest.approx(row["train"] - row["test"])
        assert (row["n"], row["n_groups"], row["n_folds"], row["chance"]) == (36, 6, 3, 0.5)
    assert mine.loc[PLAIN, ["augmented", "weight_decay", "early_stopping"]].tolist() == [
        False,
        0,
        False,
    ]
    assert mine.loc["all layers", ["augmented", "weight_decay"]].tolist() == [True, 0.01]
    assert mine.loc[list(ladder.rungs), "n_open"].tolist() == [0, 1, 2, 3]
    assert mine.loc[list(BASELINES), ["n_open", "steps"]].isna().all(axis=None)
    assert table.loc[table["split"] != "compounds", "groups"].eq("experiments").all()


def test_every_rung_trains_other_layers(ladder):
    for fold in range(3):
        shares = [ladder.outcomes[HONEST, rung, fold].share for rung in ladder.rungs]
        # From one seed, and on the same fields: only what is opened differs.
        assert len({share.tobytes() for share in shares}) == 4


def test_features_are_of_the_network_that_never_learned_from_validation_fields(ladder):
    outcome = ladder.outcomes[HONEST, ladder.rungs[-1], 0]
    assert not np.allclose(outcome.first, outcome.final)
    found = next(e for e in told.embeddings(ladder) if e.name == told.TOLD and e.fold == 0)
    np.testing.assert_array_equal(found.points, outcome.first)


def test_choices_take_the_rung_that_their_rule_names(ladder):
    picked = told.chosen_rungs(ladder)
    for choice, fold, n_open, rung in picked.itertuples(index=False):
        assert rung == ladder.rungs[n_open]
        layers = ladder.layers[ladder.layers["fold"] == fold]
        if choice == told.BY_VALIDATION:
            seen = [ladder.outcomes[HONEST, r, fold].validation for r in ladder.rungs]
            assert seen[n_open] == max(seen)
        else:
            rule = "by_maps" if choice == told.BY_MAPS else "by_probe"
            assert n_open == layers[rule].sum()
        calls = told.call_table(ladder, choice)
        same = told.call_table(ladder, rung)
        pd.testing.assert_frame_equal(calls[calls["fold"] == fold], same[same["fold"] == fold])


def test_two_experiments_are_too_few_to_hold_out():
    obs = design(n_compounds=2, n_experiments=2)
    ladder = climbed(obs, fields_of(obs))
    assert set(ladder.folds) == {HONEST, LEAK}
    assert ladder.notes[0].startswith("Not asked with experiments held out: column experiment")
    # Nor can two compounds each spare one to validate on.
    table = told.accuracy_table(ladder)
    assert table.loc[table["split"] == HONEST, "validation"].isna().all()
    last = told.chosen_rungs(ladder).set_index("choice").loc[told.BY_VALIDATION]
    assert last["rung"].eq("all layers").all()


def test_tables_of_calls_add_up(ladder):
    calls = told.call_table(ladder)
    compounds, counts = told.compound_table(calls), told.confusion(calls)
    assert compounds["n_fields"].eq(6).all()
    assert len(compounds) == 6
    assert counts.to_numpy().sum() == 36
    right = (compounds["right"] * compounds["n_fields"]).sum()
    assert np.trace(counts) == pytest.approx(right)
    means = told.layer_means(ladder).set_index("layer")
    by_hand = ladder.layers[ladder.layers["layer"] == "block 2"]
    assert means.loc["block 2", "sees"] == pytest.approx(by_hand["sees"].mean())
    assert means.index[0] == "stains"


def test_curves_hold_every_look_of_every_fold(ladder):
    curves = told.learning_curves(ladder)
    assert set(curves["model"]) == {*ladder.rungs, PLAIN}
    assert curves.groupby(["model", "fold"]).size().eq(2).all()
    validated = curves["model"] != PLAIN
    assert curves.loc[validated, "validation"].notna().all()
    assert curves.loc[~validated, "validation"].isna().all()


def test_embeddings_say_what_the_network_learned_from(ladder):
    found = told.embeddings(ladder)
    assert [(e.name, e.fold) for e in found] == [
        *((name, -1) for name in BASELINES),
        *((told.TOLD, k) for k in range(3)),
        (told.ALL_SEEN, 0),
    ]
    for e in found:
        assert len(e.points) == len(e.part) == 36
        assert np.isfinite(e.points).all()
    assert all(e.unseen.all() for e in found[:3])
    compound = ladder.known.compound
    for e in found[3:6]:
        learned = set(compound[~e.unseen])
        assert len(learned) == 2
        assert not learned & set(compound[e.unseen])
        # Each mechanism leaves two compounds to compare.
        left = sorted(name.partition("-")[0] for name in set(compound[e.unseen]))
        assert left == ["alpha", "alpha", "beta", "beta"]
    assert set(compound[~found[6].unseen]) == set(compound)


def test_what_compounds_do_not_share_is_told_by_the_leak_alone():
    """Every compound has a look of its own, and mechanisms are names."""
    obs = design(n_experiments=4, n_fields=4)
    names = sorted(set(obs["compound"]) - {""})
    mixed = dict(
        zip(names, np.random.default_rng(3).permutation(["alpha", "beta"] * 3), strict=True)
    )
    obs["moa"] = obs["compound"].map(mixed).fillna("")
    fields = fields_of(obs, by="compound", strength=4)
    known, start = known_mechanisms(obs), starting_backbone(fields, obs, tuning=FEW)
    tuning = without_remedies(replace(quick(FEW, n_steps=40, record_every=20), n_fields=24))
    told_right = {}
    for kind in KINDS:
        splits = mechanism_folds(known, kind)[: 3 if kind == HONEST else 1]
        outcomes = [_tune(fields, known.code, start, split, 3, tuning) for split in splits]
        asked = np.concatenate([o.asked for o in outcomes])
        guess = np.concatenate([o.share.argmax(axis=1) for o in outcomes])
        told_right[kind] = (guess == known.code[asked]).mean()
        assert min(o.train for o in outcomes) > 0.9
    assert told_right[LEAK] > 0.85
    assert told_right["experiments"] > 0.85
    assert told_right[HONEST] < 0.7


def test_a_baseline_is_logistic_regression_on_scaled_features(ladder):
    split, known = ladder.folds[HONEST][1], ladder.known
    points = ladder.features[STATISTICS]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced"))
    model.fit(points[~split.test], known.code[~split.test])
    found = baseline_outcome(points, known, split)
    np.testing.assert_allclose(found.share, model.predict_proba(points[split.test]), atol=0.01)


def test_names_and_recipes():
    assert rung_names(["conv1", "layer1"]) == ("head alone", "layer1 on", "all layers")
    plain = without_remedies(Tuning())
    assert (plain.augment, plain.early_stopping, plain.memory) == (False, False, 0.0)
    assert plain.training.weight_decay == 0
    assert plain.training.n_steps == Tuning().training.n_steps
