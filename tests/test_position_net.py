from dataclasses import replace

import pytest
import torch

from screenbook.errors import InputError
from screenbook.images.position_net import (
    MERGES,
    ORIGINAL,
    PositionNet,
    PositionNetSettings,
    count_parameters,
)


@pytest.mark.parametrize(
    ("patch", "maps", "pooled", "flat", "first_dense", "total"),
    [(133, (66, 32, 15), 5, 100, 1616, 14_036), (100, (49, 24, 11), 3, 36, 592, 13_012)],
)
def test_the_original_net_is_the_published_one(patch, maps, pooled, flat, first_dense, total):
    net = PositionNet(3, patch, ORIGINAL).eval()
    seen = net.trunk.maps(torch.zeros(2, 3, patch, patch))
    assert [m.shape[1:] for m in seen] == [
        (width, side, side) for width, side in zip((64, 16, 4), maps, strict=True)
    ]
    assert net.pool(seen[-1]).shape[1:] == (4, pooled, pooled)
    assert net.head[0].in_features == flat
    trunk, head = net.trunk, net.head
    counts = [count_parameters(trunk.norm_in)]
    for conv, norm in zip(trunk.convs, trunk.norms, strict=True):
        counts += [count_parameters(conv), count_parameters(norm)]
    assert counts == [12, 1792, 256, 9232, 64, 580, 16]
    dense = [count_parameters(layer) for layer in head if count_parameters(layer)]
    assert dense == [first_dense, 64, 272, 64, 68]
    assert count_parameters(net) == total


def test_the_original_is_silent_after_two_convolutions_only():
    rates = [layer.p for layer in PositionNet(3, 100, ORIGINAL).trunk.silence]
    assert rates == [0.2, 0.2, 0.0]


@pytest.mark.parametrize("merge", MERGES)
def test_all_directions_are_the_four_pairs(merge):
    torch.manual_seed(0)
    net = PositionNet(2, 16, PositionNetSettings((8, 8, 4), merge=merge)).eval()
    patches = torch.randn(5, 5, 2, 16, 16)
    found = net.all_directions(patches)
    assert found.shape == (5, 4, 4)
    for d in range(4):
        torch.testing.assert_close(found[:, d], net(patches[:, 0], patches[:, 1 + d]))


def test_adding_cannot_tell_left_from_right():
    torch.manual_seed(0)
    a, b = torch.randn(2, 6, 2, 16, 16)
    for merge, symmetric in (("add", True), ("concat", False)):
        net = PositionNet(2, 16, PositionNetSettings((8, 8, 4), merge=merge)).eval()
        assert torch.allclose(net(a, b), net(b, a), atol=1e-6) == symmetric


def test_a_blind_net_sees_the_outer_patch_only():
    torch.manual_seed(0)
    net = PositionNet(2, 16, PositionNetSettings((8, 8, 4), merge="blind")).eval()
    a, b, c = torch.randn(3, 6, 2, 16, 16)
    assert torch.equal(net(a, b), net(c, b))
    assert not torch.equal(net(a, b), net(a, c))


def test_both_patches_share_one_trunk():
    seed_sized = replace(ORIGINAL, padding=1, pool_px=1)
    net = PositionNet(6, 28, replace(seed_sized, merge="concat"))
    one = PositionNet(6, 28, replace(seed_sized, merge="blind"))
    assert count_parameters(net.trunk) == count_parameters(one.trunk)
    assert net.head[0].in_features == 2 * one.head[0].in_features == 2 * 4 * 4 * 4


def test_building_leaves_a_net_in_training_mode_and_its_statistics_untouched():
    net = PositionNet(2, 16, PositionNetSettings((8, 8, 4)))
    assert net.training
    assert all((norm.running_mean == 0).all() for norm in net.trunk.norms)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(InputError, match="none of concat, add, blind"):
        PositionNet(2, 16, PositionNetSettings(merge="multiply"))
    with pytest.raises(InputError, match="28 pixels are too small"):
        PositionNet(6, 28, ORIGINAL)
    assert PositionNet(6, 28, replace(ORIGINAL, padding=1, pool_px=1))
