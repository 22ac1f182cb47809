import numpy as np
import pytest

from planted_fields import split, textures
from screenbook.errors import InputError
from screenbook.images.position_net import PositionNetSettings
from screenbook.images.supervised_trunk import SupervisedSettings, train_supervised
from screenbook.images.trunk_features import trunk_features
from screenbook.training import TrainSettings

FIELDS = np.concatenate([textures(60, sigma=s, seed=i) for i, s in enumerate((1.0, 4.0))])
LABEL = np.repeat(["fine", "coarse"], 60)
GROUPS, IS_TRAIN = split(len(FIELDS))
SETTINGS = SupervisedSettings(
    PositionNetSettings((8, 8)),
    n_fields=24,
    stain_shift=0.1,
    training=TrainSettings(n_steps=25, learning_rate=0.01, optimiser="adam", device="cpu"),
)


def test_it_learns_what_it_is_told():
    found = train_supervised(FIELDS, LABEL, IS_TRAIN, GROUPS, SETTINGS)
    assert found.accuracy.value > 0.9
    assert found.accuracy.n == (~IS_TRAIN).sum()
    assert trunk_features(found.trunk, FIELDS[:5], "conv2").shape == (5, 16)
    again = train_supervised(FIELDS, LABEL, IS_TRAIN, GROUPS, SETTINGS)
    np.testing.assert_array_equal(
        trunk_features(found.trunk, FIELDS[:5]), trunk_features(again.trunk, FIELDS[:5])
    )


def test_shuffled_labels_teach_nothing():
    shuffled = np.random.default_rng(0).permutation(LABEL)
    found = train_supervised(FIELDS, shuffled, IS_TRAIN, GROUPS, SETTINGS)
    assert found.accuracy.value < 0.75


def test_leaking_splits_are_refused():
    with pytest.raises(InputError, match="split by experiment"):
        train_supervised(FIELDS, LABEL, np.arange(120) < 60, GROUPS, SETTINGS)
