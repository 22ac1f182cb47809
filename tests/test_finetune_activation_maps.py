"""Activation maps: what follows the stain is seen to, and the rules read the table as written."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from planted_finetune import design, fields_of
from screenbook.finetune.activation_maps import (
    INPUT,
    _by_maps,
    _by_probe,
    layer_features,
    layer_table,
    map_contrast,
    map_pictures,
    mean_maps,
)
from screenbook.finetune.backbones import build_backbone
from screenbook.finetune.mechanism_folds import known_mechanisms, mechanism_folds
from screenbook.images.encoders import encode

RNG = np.random.default_rng(0)


def test_contrast_is_the_absolute_correlation_over_pixels():
    stain = RNG.normal(size=(5, 12, 12)).astype(np.float32)
    maps = RNG.normal(size=(5, 6, 6)).astype(np.float32)
    small = stain.reshape(5, 6, 2, 6, 2).mean(axis=(2, 4))
    expected = [
        abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in zip(maps, small, strict=True)
    ]
    np.testing.assert_allclose(map_contrast(maps, stain), expected, rtol=1e-5)
    np.testing.assert_allclose(map_contrast(-3 * small + 7, stain), 1, rtol=1e-5)


def test_a_flat_map_sees_nothing_and_a_tiny_one_cannot_say():
    stain = RNG.normal(size=(2, 12, 12)).astype(np.float32)
    assert (map_contrast(np.ones((2, 6, 6), np.float32), stain) == 0).all()
    assert np.isnan(map_contrast(np.ones((2, 3, 6), np.float32), stain)).all()


def test_mean_maps_and_features_are_those_of_the_layers():
    net = build_backbone("cnn", 3).eval()
    fields = RNG.normal(size=(70, 3, 24, 24)).astype(np.float32)  # more than one block
    maps, features = mean_maps(net, fields), layer_features(net, fields)
    with torch.no_grad():
        expected = net.feature_maps(torch.from_numpy(fields))
    assert list(maps) == list(features) == [INPUT, *expected]
    np.testing.assert_allclose(maps[INPUT], fields.mean(axis=1), rtol=1e-5, atol=1e-6)
    for name, each in expected.items():
        np.testing.assert_allclose(maps[name], each.mean(dim=1), rtol=1e-3, atol=1e-5)
    # The means of the last layer are the features of the backbone.
    np.testing.assert_allclose(
        features["block 3"][:, :96], encode(net, fields), rtol=1e-3, atol=1e-5
    )


def table_of(sees, probe):
    return pd.DataFrame({"sees": [0.9, *sees], "probe": [0.2, *probe]})


@pytest.mark.parametrize(
    ("sees", "opened"),
    [
        ([0.8, 0.6, 0.5], [0, 0, 0, 0]),
        ([0.8, 0.6, 0.1], [0, 0, 0, 1]),
        ([0.8, 0.3, 0.5], [0, 0, 1, 1]),  # what lies behind a blind layer is opened with it
        ([0.1, 0.8, 0.8], [0, 1, 1, 1]),
        ([0.8, 0.6, np.nan], [0, 0, 0, 1]),
        ([0.8, 0.4001, 0.4], [0, 0, 0, 0]),  # half of the best layer, not of the stains
    ],
)
def test_the_rule_by_maps(sees, opened):
    assert _by_maps(table_of(sees, [0, 0, 0])).astype(int).tolist() == opened


@pytest.mark.parametrize(
    ("probe", "opened"),
    [
        ([0.3, 0.5, 0.4], [0, 0, 0, 1]),
        ([0.3, 0.4, 0.5], [0, 0, 0, 0]),
        ([0.1, 0.1, 0.1], [0, 1, 1, 1]),  # the stains themselves tell most
        ([np.nan] * 3, [0, 0, 0, 0]),
    ],
)
def test_the_rule_by_probe(probe, opened):
    table = table_of([0, 0, 0], probe)
    if np.isnan(probe).all():
        table["probe"] = np.nan
    assert _by_probe(table).astype(int).tolist() == opened


class Blind(nn.Module):
    """A layer that answers with noise of its own, whatever it gets."""

    def forward(self, x):
        noise = np.random.default_rng(len(x)).normal(size=(len(x), 8, *x.shape[2:]))
        return torch.from_numpy(noise.astype(np.float32))


@pytest.fixture(scope="module")
def planted():
    obs = design(n_experiments=4)
    known = known_mechanisms(obs)
    rng = np.random.default_rng(1)
    fields = fields_of(obs, size=24)
    for field in fields:  # a cell somewhere in each
        y, x = rng.integers(4, 20, 2)
        field[:, y - 4 : y + 4, x - 4 : x + 4] += 4
    return fields, known, mechanism_folds(known)[0]


def test_a_layer_that_sees_and_one_that_does_not(planted):
    fields, known, split = planted
    net = build_backbone("cnn", 2)
    with torch.no_grad():
        for block in net.blocks:
            block[0].weight.abs_()  # every map follows the stain
    net.blocks[2] = Blind()
    table = layer_table(net, fields, known, split).set_index("layer")
    assert table.loc["block 1", "low"] > 0.3
    assert abs(table.loc["block 3", "sees"]) < 0.25
    assert table.loc["block 3", "by_maps"]
    assert not table.loc["block 1", "by_maps"]
    assert table.loc["block 3", "probe"] < 0.8 < table["probe"].max()
    assert table["chance"].eq(0.5).all()


def test_nothing_that_is_asked_changes_the_table(planted):
    fields, known, split = planted
    net = build_backbone("cnn", 2)
    spoiled = np.where(split.test[:, None, None, None], np.float32(1e4), fields)
    a, b = (layer_table(net, x, known, split) for x in (fields, spoiled))
    pd.testing.assert_frame_equal(a, b)


def test_pictures_have_the_size_of_the_stain_and_their_own_range():
    maps = {INPUT: RNG.normal(size=(2, 8, 8)), "one": np.stack([np.eye(4), np.zeros((4, 4))])}
    pictures = map_pictures(maps)
    assert all(p.shape == (2, 8, 8) and p.dtype == np.uint8 for p in pictures.values())
    np.testing.assert_array_equal(pictures["one"][0], 255 * np.kron(np.eye(4), np.ones((2, 2))))
    assert not pictures["one"][1].any()
    assert pictures[INPUT].min() == 0
    assert pictures[INPUT].max() == 255
