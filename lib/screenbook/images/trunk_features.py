"""What a trunk makes of whole fields: features of every layer, its first filters, its maps."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from screenbook.errors import InputError, listing
from screenbook.images.position_net import PositionNet, Trunk
from screenbook.training import fixed_seed

POOLS = ("mean", "sd")


def trunk_features(
    net: PositionNet | Trunk, images: np.ndarray, layer: str = "", *, block: int = 64
) -> np.ndarray:
    """Mean and standard deviation over the field of every map of a layer.

    The trunk is convolutional, so it takes whole fields although it was trained on patches. The
    place of a cell in the field does not count; how much there is of what the filters answer
    to, and how unevenly, does.

    Parameters
    ----------
    net : PositionNet or Trunk
    images : ndarray of float32, shape (n, channel, y, x)
        Normalised as for training.
    layer : str
        ``conv1`` and so on; by default all layers side by side.
    block : int
        Fields at a time.

    Returns
    -------
    ndarray of float32, shape (n, 2 * filters)
        All means, then all standard deviations; for all layers, one layer after the other.
    """
    found = all_layer_features(net, images, block=block)
    if not layer:
        return np.concatenate(list(found.values()), axis=1)
    return found[_known(layer, tuple(found))]


def all_layer_features(
    net: PositionNet | Trunk, images: np.ndarray, *, block: int = 64
) -> dict[str, np.ndarray]:
    """Features of :func:`trunk_features` by layer, from one pass over the fields."""
    trunk = _trunk(net)
    parts: list[list[np.ndarray]] = [[] for _ in trunk.layer_names]
    device = next(trunk.parameters()).device
    with torch.inference_mode():
        for first in range(0, len(images), block):
            x = torch.from_numpy(images[first : first + block]).to(device)
            for part, maps in zip(parts, trunk.maps(x), strict=True):
                part.append(pooled_maps(maps).cpu().numpy())
    return {name: np.concatenate(part) for name, part in zip(trunk.layer_names, parts, strict=True)}


def pooled_maps(maps: torch.Tensor) -> torch.Tensor:
    """Mean and SD over the field of every map: (n, filters, y, x) to (n, 2 * filters)."""
    flat = maps.flatten(2)
    return torch.cat([flat.mean(dim=2), flat.std(dim=2)], dim=1)


def untrained(net: PositionNet, seed: int = 0) -> Trunk:
    """Draw the trunk that a training from this seed starts with, before anything is learned.

    Its input normalisation is the identity, as images are normalised already.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fixed_seed(seed, 1))  # as position_training does
        fresh = Trunk(net.trunk.n_channels, net.settings)
    return fresh.eval()


def first_filters(net: PositionNet | Trunk) -> np.ndarray:
    """Weights of the first convolution.

    Returns
    -------
    ndarray of float32, shape (filters, channel, 3, 3)
        Strongest filter first, by Euclidean norm.
    """
    first = _trunk(net).convs[0]
    assert isinstance(first, nn.Conv2d)
    weight = first.weight.detach().cpu().numpy()
    return weight[
        np.argsort(-np.linalg.norm(weight.reshape(len(weight), -1), axis=1), kind="stable")
    ]


def feature_maps(net: PositionNet | Trunk, field: np.ndarray) -> dict[str, np.ndarray]:
    """Find the maps of every layer for one field.

    Parameters
    ----------
    net : PositionNet or Trunk
    field : ndarray of float32, shape (channel, y, x)

    Returns
    -------
    dict of str to ndarray of float32, shape (filters, y', x')
        By layer; the filter whose map varies most first.
    """
    trunk = _trunk(net)
    with torch.inference_mode():
        maps = trunk.maps(torch.from_numpy(np.ascontiguousarray(field))[None])
    out = {}
    for name, found in zip(trunk.layer_names, maps, strict=True):
        each = found[0].numpy()
        order = np.argsort(-each.reshape(len(each), -1).std(axis=1), kind="stable")
        out[name] = each[order]
    return out


def _trunk(net: PositionNet | Trunk) -> Trunk:
    trunk = net.trunk if isinstance(net, PositionNet) else net
    return trunk.eval()


def _known(layer: str, names: tuple[str, ...]) -> str:
    if layer not in names:
        raise InputError(f"layer {layer!r} is none of {listing(names)}")
    return layer
