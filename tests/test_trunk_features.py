import numpy as np
import pytest
import torch

from planted_fields import textures
from screenbook.errors import InputError
from screenbook.images.position_net import PositionNet, PositionNetSettings
from screenbook.images.position_training import PositionSettings, train_position
from screenbook.images.trunk_features import (
    all_layer_features,
    feature_maps,
    first_filters,
    trunk_features,
    untrained,
)
from screenbook.training import TrainSettings

FIELDS = textures(9, side=32)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return PositionNet(2, 12, PositionNetSettings((8, 6, 4)))


def test_features_are_mean_and_sd_of_maps(net):
    found = trunk_features(net, FIELDS, "conv2", block=4)
    with torch.no_grad():
        maps = net.trunk.maps(torch.from_numpy(FIELDS))[1].numpy().reshape(9, 6, -1)
    np.testing.assert_allclose(found[:, :6], maps.mean(axis=2), atol=1e-5)
    np.testing.assert_allclose(found[:, 6:], maps.std(axis=2, ddof=1), atol=1e-5)
    layers = all_layer_features(net, FIELDS)
    assert {name: x.shape[1] for name, x in layers.items()} == {
        "conv1": 16,
        "conv2": 12,
        "conv3": 8,
    }
    assert trunk_features(net, FIELDS).shape == (9, 36)


def test_an_untrained_trunk_is_fresh_and_repeatable(net):
    fresh = untrained(net, seed=1)
    assert [c.weight.shape for c in fresh.convs] == [c.weight.shape for c in net.trunk.convs]
    assert not torch.equal(fresh.convs[0].weight, net.trunk.convs[0].weight)
    np.testing.assert_array_equal(
        trunk_features(fresh, FIELDS), trunk_features(untrained(net, seed=1), FIELDS)
    )


def test_an_untrained_trunk_is_what_a_training_of_its_seed_starts_with(net):
    images = textures(12, side=48)
    brief = TrainSettings(n_steps=1, learning_rate=1e-30, warmup_steps=0, seed=3)
    settings = PositionSettings(net=PositionNetSettings((8, 6, 4)), training=brief)
    trained = train_position(images, np.arange(12) < 8, np.arange(12), settings).net
    for mine, theirs in zip(untrained(trained, 3).convs, trained.trunk.convs, strict=True):
        torch.testing.assert_close(mine.weight, theirs.weight)


def test_filters_come_strongest_first(net):
    found = first_filters(net)
    assert found.shape == (8, 2, 3, 3)
    strength = np.linalg.norm(found.reshape(8, -1), axis=1)
    assert (np.diff(strength) <= 0).all()


def test_maps_of_one_field(net):
    maps = feature_maps(net, FIELDS[0])
    assert {name: m.shape for name, m in maps.items()} == {
        "conv1": (8, 16, 16),
        "conv2": (6, 8, 8),
        "conv3": (4, 4, 4),
    }
    spread = maps["conv1"].std(axis=(1, 2))
    assert (np.diff(spread) <= 1e-6).all()


def test_unknown_layers_are_refused(net):
    with pytest.raises(InputError, match="'conv9' is none of 'conv1', 'conv2', 'conv3'"):
        trunk_features(net, FIELDS, "conv9")
