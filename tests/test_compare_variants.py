"""Variants of self-distillation trained side by side, on a planted set of tiny fields."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from screenbook.checkpoints import Checkpoints
from screenbook.errors import InputError
from screenbook.images.compare_variants import (
    PIXELS,
    UNTRAINED,
    Trial,
    check_trial,
    compare_variants,
    histories,
)
from screenbook.images.splits import split_experiments
from screenbook.images.variants import DistillationSettings
from screenbook.images.views import ViewSettings
from screenbook.training import TrainSettings

N_EXPERIMENTS, N_FIELDS = 4, 6


@pytest.fixture(scope="module")
def trial():
    """Three treatments that differ in the brightness of one channel, plates in that of both."""
    rng = np.random.default_rng(0)
    rows = [
        {"experiment": f"E{e}", "well": f"{name[0]}{i:02d}", "treatment": name, "role": role}
        for e in range(N_EXPERIMENTS)
        for name, role in (("control", "control"), ("drug", "treated"), ("toxin", "treated"))
        for i in range(N_FIELDS)
    ]
    obs = pd.DataFrame(rows).assign(plate="1", site="1", cell_type="U2OS")
    obs["batch"] = obs["experiment"] + "/1"
    level = obs["treatment"].map({"control": 0.0, "drug": 2.0, "toxin": 4.0}).to_numpy()
    fields = rng.normal(size=(len(obs), 2, 16, 16))
    fields[:, 0] += level[:, None, None]
    obs.index = [f"f{i}" for i in range(len(obs))]
    settings = DistillationSettings(
        training=TrainSettings(n_steps=4, record_every=2, checkpoint_every=2),
        views=ViewSettings(size=12),
        encoder_options={"widths": (8, 16)},
        batch_size=16,
        n_prototypes=8,
        bottleneck=8,
        hidden=16,
    )
    split = split_experiments(obs, test=1)
    return Trial(fields.astype(np.float32), obs, split, settings)


@pytest.fixture(scope="module")
def results(trial):
    return compare_variants(trial, [PIXELS, UNTRAINED, "DINO-CB"], seeds=(0, 1))


def test_each_variant_is_asked_from_each_seed_and_channel_statistics_once(results):
    assert list(results) == [
        *[(PIXELS, 0), (UNTRAINED, 0), ("DINO-CB", 0)],
        *[(UNTRAINED, 1), ("DINO-CB", 1)],
    ]
    assert all(
        key == (r.evaluation.variant, r.evaluation.training_seed) for key, r in results.items()
    )
    assert not np.array_equal(results[UNTRAINED, 0].embedding, results[UNTRAINED, 1].embedding)


def test_what_is_planted_in_brightness_is_told_by_channel_statistics(results):
    assert results[PIXELS, 0].evaluation.value("linear") > 0.9  # chance 1 in 3


def test_only_what_was_trained_has_a_history(results):
    found = histories(results)
    assert list(found) == ["DINO-CB"]
    assert list(found["DINO-CB"]["seed"].unique()) == [0, 1]
    assert set(found["DINO-CB"]["step"]) == {2, 4}


def test_two_processes_find_the_same_as_one(trial, results):
    again = compare_variants(trial, [UNTRAINED, "DINO-CB"], jobs=2)
    for key, result in again.items():
        np.testing.assert_array_equal(result.embedding, results[key].embedding)


def test_nothing_is_learned_from_held_out_experiments(trial, results):
    other = trial.fields.copy()
    other[trial.split.test] = 7.0
    again = compare_variants(Trial(other, trial.obs, trial.split, trial.settings), ["DINO-CB"])
    learned = trial.split.train
    np.testing.assert_array_equal(
        again["DINO-CB", 0].embedding[learned], results["DINO-CB", 0].embedding[learned]
    )


def test_a_training_that_was_interrupted_goes_on(trial, results, tmp_path):
    class Interrupted(Checkpoints):
        def save(self, state):
            super().save(state)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_variants(trial, ["DINO-CB"], keep=lambda name: Interrupted(tmp_path / name))
    again = compare_variants(trial, ["DINO-CB"], keep=lambda name: Checkpoints(tmp_path / name))
    np.testing.assert_array_equal(again["DINO-CB", 0].embedding, results["DINO-CB", 0].embedding)


def test_progress_is_told_in_words(trial):
    told = []
    compare_variants(trial, ["DINO"], tell=told.append)
    assert told[0].startswith("DINO, step 2 of 4, loss ")
    assert told[-1] == "1 of 1 variants trained and asked"


@pytest.mark.parametrize(
    ("changes", "names", "says"),
    [
        ({}, [PIXELS, UNTRAINED], "variants: none given that learns"),
        ({}, ["DINO", "DIMO"], "'DIMO' is none of"),
        ({"batch": "E0/1"}, ["DINO"], "all fields to learn from are of 'E0/1'"),
        ({"role": "treated"}, ["DINO"], "have fewer than two negative controls"),
        ({"treatment": "own"}, ["DINO", "CDCL"], "none is in two batches"),
    ],
)
def test_what_would_end_in_an_error_is_refused_before_training(trial, changes, names, says):
    changed = trial.obs.assign(**changes)
    if "treatment" in changes:
        changed["treatment"] = changed["batch"]
    check_trial(trial, ["DINO", "CDCL"])
    with pytest.raises(InputError, match=says):
        check_trial(dataclasses.replace(trial, obs=changed), names)


def test_the_digest_follows_what_trainings_depend_on(trial):
    assert trial.digest() == dataclasses.replace(trial).digest()
    darker = trial.fields.copy()
    darker[-1, -1, -1, -1] -= 1
    renamed = trial.obs.assign(treatment=trial.obs["treatment"].replace("drug", "toxin"))
    others = [
        dataclasses.replace(trial, fields=darker),
        dataclasses.replace(trial, obs=renamed),
        dataclasses.replace(trial, subset="only_controls"),
        dataclasses.replace(trial, split=split_experiments(trial.obs, test=2)),
        dataclasses.replace(trial, settings=dataclasses.replace(trial.settings, batch_size=8)),
    ]
    assert len({t.digest() for t in [trial, *others]}) == 6


@pytest.mark.filterwarnings("ignore")
def test_a_training_that_diverges_is_asked_and_stops_no_other(trial):
    training = dataclasses.replace(
        trial.settings.training, learning_rate=1e30, warmup_steps=0, optimiser="sgd", clip=0.0
    )
    wild = dataclasses.replace(trial.settings, training=training)
    found = compare_variants(dataclasses.replace(trial, settings=wild), ["DINO", UNTRAINED])
    assert "no number" in found["DINO", 0].stopped
    assert np.isfinite(found["DINO", 0].embedding).all()
    assert found["DINO", 0].evaluation.value("knn") <= 0.5  # chance 1 in 3
    assert np.isfinite(found[UNTRAINED, 0].evaluation.value("knn"))
