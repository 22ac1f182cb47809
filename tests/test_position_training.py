from dataclasses import replace

import numpy as np
import pytest
import torch

from planted_fields import grey, split, textures
from screenbook.errors import InputError
from screenbook.images.patches import PatchGrid
from screenbook.images.position_net import PositionNet, PositionNetSettings
from screenbook.images.position_training import (
    PositionSettings,
    position_answers,
    position_table,
    restained,
    train_position,
)
from screenbook.images.shortcuts import with_vignette
from screenbook.training import TrainSettings

FIELDS = textures(320, side=36, n_channels=1, sigma=4.0)
GROUPS, IS_TRAIN = split(len(FIELDS))


def settings(merge="concat", n_steps=200, margin=1, **changes):
    training = TrainSettings(n_steps=n_steps, learning_rate=5e-3, optimiser="adam", device="cpu")
    base = PositionSettings(
        PositionNetSettings((16, 16, 8), merge=merge),
        PatchGrid(margin_px=margin, jitter_px=min(margin, 1)),
        n_fields=32,
        training=training,
    )
    return replace(base, **changes)


@pytest.fixture(scope="module")
def concat():
    return train_position(FIELDS, IS_TRAIN, GROUPS, settings())


def test_concatenating_tells_directions(concat):
    assert concat.accuracy.value > 0.45
    assert concat.accuracy.low > 0.3
    assert concat.accuracy.n == 4 * (~IS_TRAIN).sum()
    assert concat.accuracy.n_groups == 3
    assert concat.history.table["loss"].iloc[-1] < concat.history.table["loss"].iloc[0]


def test_adding_tells_the_axis_at_best():
    found = train_position(FIELDS, IS_TRAIN, GROUPS, settings("add"))
    assert found.axis.value > 0.55
    assert found.accuracy.value < 0.5 * found.axis.value + 0.06


def test_a_blind_net_is_at_chance_until_the_light_is_uneven():
    even = train_position(FIELDS, IS_TRAIN, GROUPS, settings("blind", 60))
    assert even.accuracy.value == pytest.approx(0.25, abs=0.06)
    dark = with_vignette(grey(0.3 * FIELDS), 0.9).astype(np.float32) / 40 - 2
    uneven = train_position(dark, IS_TRAIN, GROUPS, settings("blind", 60))
    assert uneven.accuracy.value > even.accuracy.value + 0.15


def test_numbers_of_a_result_agree_with_each_other(concat):
    answers = position_answers(concat.net, FIELDS[~IS_TRAIN], settings().grid)
    assert (answers == np.arange(4)).mean() == pytest.approx(concat.accuracy.value)
    counts = concat.confusion.to_numpy()
    assert counts.sum(axis=1).tolist() == [(~IS_TRAIN).sum()] * 4
    assert np.trace(counts) / counts.sum() == pytest.approx(concat.accuracy.value)
    same_axis = np.trace(counts) + np.trace(counts[:, ::-1])
    assert same_axis / counts.sum() == pytest.approx(concat.axis.value)


def test_the_same_seed_gives_the_same_net():
    a, b, other = (
        train_position(
            FIELDS,
            IS_TRAIN,
            GROUPS,
            replace(settings(), training=replace(settings(n_steps=3).training, seed=seed)),
        ).net.state_dict()
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["head.0.weight"], other["head.0.weight"])


def test_the_callers_random_numbers_stay_as_they_were():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train_position(FIELDS, IS_TRAIN, GROUPS, settings(n_steps=1))
    assert torch.rand(1) == expected


def test_another_stain_is_one_for_all_patches_of_a_field():
    patches = torch.randn(400, 5, 3, 4, 4)
    found = restained(patches, 0.2, torch.Generator().manual_seed(0))
    gain = (found[..., 0, 0] - found[..., 1, 1]) / (patches[..., 0, 0] - patches[..., 1, 1])
    torch.testing.assert_close(gain, gain[:, :1].expand_as(gain), rtol=1e-2, atol=1e-2)
    assert gain[:, 0].mean() == pytest.approx(1.0, abs=0.03)
    assert gain[:, 0].std() == pytest.approx(0.2, abs=0.02)
    assert not torch.allclose(gain[:, 0, 0], gain[:, 0, 1])


def test_sgd_with_nesterov_trains_too():
    sgd = replace(
        settings().training, optimiser="sgd", momentum=0.9, nesterov=True, learning_rate=0.05
    )
    found = train_position(
        FIELDS, IS_TRAIN, GROUPS, replace(settings(), training=replace(sgd, n_steps=60))
    )
    loss = found.history.table["loss"]
    assert loss.iloc[-1] < loss.iloc[0] - 0.05


def test_the_table_lists_variants(concat):
    table = position_table({"with gap": concat, "again": concat})
    assert table["variant"].tolist() == ["with gap", "again"]
    assert table["merge"].tolist() == ["concat", "concat"]
    assert table["accuracy"].tolist() == [concat.accuracy.value] * 2
    assert (table["low"] < table["accuracy"]).all()
    assert table["steps"].tolist() == [200, 200]


def test_leaking_and_empty_splits_are_refused():
    with pytest.raises(InputError, match="both to train on and to test on"):
        train_position(FIELDS, np.arange(len(FIELDS)) < 100, GROUPS, settings())
    with pytest.raises(InputError, match="no field to test on"):
        train_position(FIELDS, np.ones(len(FIELDS), bool), GROUPS, settings())


def test_answers_do_not_depend_on_the_block():
    net = PositionNet(1, 10, PositionNetSettings((8, 8, 4)))
    found = [position_answers(net, FIELDS[:20], PatchGrid(margin_px=1), b) for b in (3, 64)]
    assert (found[0] == found[1]).all()
