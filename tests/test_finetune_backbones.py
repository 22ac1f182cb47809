"""Backbones: torchvision's names, weights of any number of channels, layers in order."""

import numpy as np
import pytest
import torch

from screenbook.errors import InputError
from screenbook.finetune.backbones import BACKBONES, build_backbone, layers_of, load_weights


def state_of(n_channels=3, seed=1):
    """What a file of torchvision's holds: backbone and head."""
    state = build_backbone("resnet18", n_channels, seed).state_dict()
    return state | {"fc.weight": torch.ones(1000, 512), "fc.bias": torch.zeros(1000)}


def test_resnet_has_the_parameters_that_torchvision_names():
    net = build_backbone("resnet18", 3)
    # torchvision's resnet18 has 11,689,512 parameters, 513,000 of them in its head.
    assert sum(p.numel() for p in net.parameters()) == 11_689_512 - 513_000
    names = net.state_dict()
    assert len(names) == 122 - 2
    for name, shape in {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_var": (64,),
        "layer1.1.conv2.weight": (64, 64, 3, 3),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer2.0.downsample.1.running_mean": (128,),
        "layer4.1.bn2.num_batches_tracked": (),
    }.items():
        assert tuple(names[name].shape) == shape
    assert not [name for name in names if name.startswith("layer1.0.downsample")]


def test_resnet_agrees_with_torchvision():
    models = pytest.importorskip("torchvision.models")
    theirs = models.resnet18(weights=None).eval()
    theirs.fc = torch.nn.Identity()
    ours = build_backbone("resnet18", 3).eval()
    load_weights(ours, theirs.state_dict(), "file")
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_layers_are_those_of_the_maps_and_hold_all_parameters(name):
    net = build_backbone(name, 4).eval()
    layers = layers_of(net)
    x = torch.randn(2, 4, 40, 40)
    maps = net.feature_maps(x)
    assert list(layers) == list(maps)
    inside = [p for modules in layers.values() for m in modules for p in m.parameters()]
    assert {id(p) for p in inside} == {id(p) for p in net.parameters()}
    last = list(maps.values())[-1]
    torch.testing.assert_close(net(x), last.mean(dim=(2, 3)))
    assert net(x).shape == (2, net.n_features)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_weights_come_from_the_seed_alone(name):
    one, same, other = (build_backbone(name, 2, seed) for seed in (3, 3, 4))
    first = next(iter(one.state_dict()))
    assert torch.equal(one.state_dict()[first], same.state_dict()[first])
    assert not torch.equal(one.state_dict()[first], other.state_dict()[first])


def test_weights_of_the_same_channels_are_taken_as_they_are():
    net, state = build_backbone("resnet18", 3), state_of()
    note = load_weights(net, state, "resnet18-f37072fd.pth")
    assert "resnet18-f37072fd.pth" in note
    assert "mean" not in note
    for name, value in net.state_dict().items():
        assert torch.equal(value, state[name])


@pytest.mark.parametrize("n_channels", [1, 5, 6])
def test_a_grey_picture_gives_the_same_whatever_the_number_of_channels(n_channels):
    rgb, ours = build_backbone("resnet18", 3).eval(), build_backbone("resnet18", n_channels).eval()
    state = state_of()
    load_weights(rgb, state, "file")
    assert f"to each of the {n_channels}" in load_weights(ours, state, "file")
    grey = torch.randn(2, 1, 48, 48)
    torch.testing.assert_close(
        ours(grey.expand(-1, n_channels, -1, -1)), rgb(grey.expand(-1, 3, -1, -1)),
        rtol=1e-3, atol=1e-4,
    )  # fmt: skip


def test_the_small_net_takes_weights_as_well():
    given, net = build_backbone("cnn", 3, 5), build_backbone("cnn", 6)
    load_weights(net, given.state_dict(), "file")
    assert torch.equal(net.blocks[1][0].weight, given.blocks[1][0].weight)
    assert net.blocks[0][0].weight.shape[1] == 6


def test_old_files_without_counters_are_taken():
    state = {k: v for k, v in state_of().items() if not k.endswith("num_batches_tracked")}
    load_weights(build_backbone("resnet18", 3), state, "file")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.pop("layer3.0.conv1.weight"), "lacks 'layer3.0.conv1.weight'"),
        (lambda s: s.update({"layer5.weight": torch.ones(1)}), "has 'layer5.weight' besides"),
        (lambda s: s.update({"bn1.weight": torch.ones(32)}), "'bn1.weight' is (32,)"),
        (lambda s: s.update({"conv1.weight": torch.ones(64)}), "'conv1.weight' is (64,)"),
        (lambda s: s["bn1.bias"].fill_(np.nan), "no numbers"),
    ],
)
def test_weights_of_another_net_are_refused(change, told):
    state = state_of()
    change(state)
    with pytest.raises(InputError) as caught:
        load_weights(build_backbone("resnet18", 3), state, "mine.pth")
    assert told in str(caught.value)
    assert "mine.pth" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_backbone_is_refused():
    with pytest.raises(InputError, match="did you mean 'resnet18'"):
        build_backbone("resnet81", 3)
