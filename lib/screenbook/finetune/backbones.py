"""Backbones: networks that may come with weights learned elsewhere, for any number of channels.

:class:`ResNet18` names its parameters as torchvision does, so that a ``resnet18-*.pth`` fits it
as it is. A backbone is a row of layers from the input to the features; fine-tuning opens the
last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.images.encoders import Encoder, SmallCNN

_HEAD = "fc."  # of the classes that the weights were learned for
_COUNTER = "num_batches_tracked"  # missing from files of old versions of torch, and not needed


class ResNet18(Encoder):
    """A residual net of 18 layers (He et al. 2016, doi:10.1109/CVPR.2016.90), without its head.

    Parameters
    ----------
    n_channels : int
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.n_channels, self.n_features = n_channels, 512
        self.conv1 = nn.Conv2d(n_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _stage(64, 64, stride=1)
        self.layer2 = _stage(64, 128, stride=2)
        self.layer3 = _stage(128, 256, stride=2)
        self.layer4 = _stage(256, 512, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (n, 512) of fields (n, channel, y, x)."""
        return list(self.feature_maps(x).values())[-1].mean(dim=(2, 3))

    def feature_maps(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Give the maps after the first convolution and after each stage."""
        x = F.relu(self.bn1(self.conv1(x)))  # (n, 64, y / 2, x / 2)
        maps = {"conv1": x}
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = maps[name] = getattr(self, name)(x)
        return maps


class _BasicBlock(nn.Module):
    """Two convolutions, beside a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or n_in != n_out:
            shortcut = nn.Conv2d(n_in, n_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn maps (n, n_in, y, x) into maps (n, n_out, y / stride, x / stride)."""
        beside = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + beside)


def _stage(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_BasicBlock(n_in, n_out, stride), _BasicBlock(n_out, n_out, 1))


BACKBONES: dict[str, Callable[[int], Encoder]] = {"cnn": SmallCNN, "resnet18": ResNet18}


def build_backbone(name: str, n_channels: int, seed: int = 0) -> Encoder:
    """Build a backbone whose weights come from the seed alone.

    Parameters
    ----------
    name : {"cnn", "resnet18"}
        :class:`screenbook.images.encoders.SmallCNN`, which trains on two cores, or
        :class:`ResNet18`.
    n_channels : int
    seed : int

    Raises
    ------
    InputError
        If there is no such backbone.
    """
    if name not in BACKBONES:
        raise InputError(
            f"backbone {name!r} is none of {', '.join(BACKBONES)}{did_you_mean(name, BACKBONES)}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BACKBONES[name](n_channels)


def layers_of(backbone: Encoder) -> dict[str, list[nn.Module]]:
    """Name the layers from the input to the features, with the modules of each.

    Names are those of ``feature_maps``.
    """
    if isinstance(backbone, ResNet18):
        stages = {name: [getattr(backbone, name)] for name in ("layer1", "layer2", "layer3")}
        first: list[nn.Module] = [backbone.conv1, backbone.bn1]
        return {"conv1": first, **stages, "layer4": [backbone.layer4]}
    if isinstance(backbone, SmallCNN):
        return {f"block {i}": [block] for i, block in enumerate(backbone.blocks, start=1)}
    raise TypeError(f"{type(backbone).__name__} is not a row of layers that can be opened")


def load_weights(backbone: Encoder, state: Mapping[str, Any], origin: str) -> str:
    """Give a backbone weights that were learned elsewhere, in place.

    The weights of the head are passed over. Where the first layer is for another number of
    channels, its mean over them is taken for each of ours, and scaled such that a picture that
    is the same in all channels gives what it gave before.

    Parameters
    ----------
    backbone : Encoder
    state : mapping of str to Tensor
        A state dict.
    origin : str
        Where it is from, quoted in errors.

    Returns
    -------
    str
        What was done, a sentence.

    Raises
    ------
    InputError
        If names or shapes are not those of the backbone.
    """
    kind = type(backbone).__name__
    wanted = backbone.state_dict()
    given = {name: v for name, v in state.items() if not name.startswith(_HEAD)}
    first = next(name for name, v in wanted.items() if v.ndim == 4)
    n_given = 0
    if first in given and getattr(given[first], "ndim", 0) == 4:
        n_given = given[first].shape[1]
        given[first] = _for_channels(given[first], backbone.n_channels)
    missing = [n for n in wanted if n not in given and not n.endswith(_COUNTER)]
    strange = [n for n in given if n not in wanted]
    if missing or strange:
        what = f"lacks {listing(missing, 2)}" if missing else f"has {listing(strange, 2)} besides"
        raise InputError(f"{origin}: {what}, so it is not of a {kind}; name the file of one")
    for name, value in given.items():
        shape, expected = tuple(getattr(value, "shape", ())), tuple(wanted[name].shape)
        if shape != expected:
            raise InputError(
                f"{origin}: {name!r} is {shape} and should be {expected}, so it is not of a "
                f"{kind}; name the file of one"
            )
        if not torch.isfinite(value.float()).all():
            raise InputError(f"{origin}: {name!r} holds values that are no numbers; fetch it again")
    backbone.load_state_dict(given, strict=False)
    if n_given == backbone.n_channels:
        return f"Its weights are those of {origin}."
    return (
        f"Its weights are those of {origin}; the first layer, made for {n_given} channels, gives "
        f"its mean to each of the {backbone.n_channels} here."
    )


def _for_channels(weight: torch.Tensor, n_channels: int) -> torch.Tensor:
    """Turn weights (n_out, n_given, y, x) into (n_out, n_channels, y, x)."""
    n_given = weight.shape[1]
    if n_given == n_channels:
        return weight
    mean = weight.mean(dim=1, keepdim=True) * (n_given / n_channels)
    return mean.expand(-1, n_channels, -1, -1).contiguous()
