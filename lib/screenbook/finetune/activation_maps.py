"""What the layers of a backbone see: averaged activation maps, and what a probe reads from them.

Cell2Structure (Hübscher and Gillet 2024) laid the mean of a layer's maps over cell images, and
opened those layers whose mean map showed nothing of the cells. Here the same is a number: how
well the mean map of a field follows its stain. Beside it stands what counts in the end: how well
a linear probe on the layer tells the mechanism of compounds that it did not learn from.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from screenbook.finetune.backbones import layers_of
from screenbook.finetune.mechanism_folds import Mechanisms
from screenbook.held_out import Split
from screenbook.images.encoders import Encoder
from screenbook.images.probes import balanced_share, linear_probe
from screenbook.images.trunk_features import pooled_maps
from screenbook.training import pick_device

INPUT = "stains"
"""What tables call the input, before the first layer."""

SEES = 0.5
"""Share of what the best layer sees, below which a layer is said to see nothing of the cells."""

_BLOCK = 64
_LEAST_SIDE = 4  # pixels of a map that a correlation is taken over


def mean_maps(backbone: Encoder, fields: np.ndarray) -> dict[str, np.ndarray]:
    """Average the activation maps of every layer.

    Parameters
    ----------
    backbone : Encoder
    fields : ndarray of float32, shape (n, channel, y, x)
        Normalised.

    Returns
    -------
    dict of str to ndarray of float32, shape (n, y', x')
        The stain under :data:`INPUT`, which is the mean of all channels, then every layer.
    """
    found: dict[str, list[np.ndarray]] = {INPUT: [], **{name: [] for name in layers_of(backbone)}}
    for x, maps in _passes(backbone, fields):
        found[INPUT].append(x.mean(dim=1).numpy())
        for name, each in maps.items():
            found[name].append(each.mean(dim=1).numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def map_pictures(maps: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Make pictures of averaged maps, each from black (its lowest) to white (its highest).

    Parameters
    ----------
    maps : dict of str to ndarray, shape (n, y', x')
        Of :func:`mean_maps`.

    Returns
    -------
    dict of str to ndarray of uint8, shape (n, y, x)
        All of the size of the stain; a pixel of a map becomes a square.
    """
    pictures = {}
    for name, each in maps.items():
        low, high = (f(each, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
        grey = 255 * (each - low) / np.where(high > low, high - low, 1.0)
        large = F.interpolate(torch.from_numpy(grey)[:, None].float(), maps[INPUT].shape[1:])
        pictures[name] = large[:, 0].round().to(torch.uint8).numpy()
    return pictures


def layer_table(
    backbone: Encoder,
    fields: np.ndarray,
    known: Mechanisms,
    split: Split,
    *,
    n_fields: int = 160,
    seed: int = 0,
) -> pd.DataFrame:
    """Say of every layer what it sees, and which rule would open it.

    Nothing here looks at fields that are asked: the maps are those of training fields, the probe
    learns from training fields and is asked on validation fields.

    Two rules choose the layers to open, always a row of them that ends at the features. *Maps*:
    from the first layer on that sees less than :data:`SEES` of what the best layer sees; what
    lies behind it was learned from what it lost. *Probe*: every layer behind the one whose probe
    is best.

    Parameters
    ----------
    backbone : Encoder
        Before fine-tuning.
    fields : ndarray of float32, shape (n, channel, y, x)
    known : Mechanisms
    split : Split
        Without validation fields the probe is missing and opens nothing.
    n_fields : int
        Training fields whose maps are averaged, at most.
    seed : int
        Of their draw.

    Returns
    -------
    DataFrame
        One row for :data:`INPUT` and each layer, from the input on: ``layer``; ``sees`` (mean
        absolute correlation, over the pixels of a field, of the mean map with the stain, less
        that with the stain of another field) and its 95 % interval ``low high`` over fields;
        ``probe`` (mean recall over mechanisms); ``chance``; ``by_maps`` and ``by_probe`` (bool:
        the rule opens it).
    """
    rng = np.random.default_rng(seed)
    learn = np.flatnonzero(split.train)
    some = np.sort(rng.choice(learn, min(n_fields, len(learn)), replace=False))
    maps = mean_maps(backbone, fields[some])
    stain, order = maps[INPUT], rng.permutation(len(some))
    # A cyclic shift of a random order: every field gets another one.
    other = np.empty(len(some), dtype=int)
    other[order] = np.roll(order, 1)
    probes = _probes(backbone, fields, known, split)
    rows = []
    for name, each in maps.items():
        seen = map_contrast(each, stain) - map_contrast(each, stain[other])
        reach = 1.96 * seen.std(ddof=1) / np.sqrt(len(seen))
        middle = float(seen.mean())
        rows.append((name, middle, middle - reach, middle + reach, probes.get(name, np.nan)))
    table = pd.DataFrame(rows, columns=["layer", "sees", "low", "high", "probe"])
    table["chance"] = 1 / len(known.names)
    return table.assign(by_maps=_by_maps(table), by_probe=_by_probe(table))


def map_contrast(maps: np.ndarray, stain: np.ndarray) -> np.ndarray:
    """Correlate maps with the stain of their fields, over pixels.

    Parameters
    ----------
    maps : ndarray, shape (n, y', x')
    stain : ndarray, shape (n, y, x)
        Averaged to the size of the maps first.

    Returns
    -------
    ndarray, shape (n,)
        Absolute values: a layer that answers to the background tells the cells apart as well. 0
        where a map or the stain is the same everywhere, NaN where a map has under 4 × 4 pixels.
    """
    if min(maps.shape[1:]) < _LEAST_SIDE:
        return np.full(len(maps), np.nan)
    fitted = F.adaptive_avg_pool2d(torch.from_numpy(stain)[:, None], maps.shape[1:]).numpy()
    a, b = (m.reshape(len(maps), -1).astype(np.float64) for m in (maps, fitted))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.abs((a * b).sum(axis=1)) / np.where(length > 1e-12, length, np.inf)


def _by_maps(table: pd.DataFrame) -> np.ndarray:
    """Open from the first layer on that sees too little; a map too small to tell sees none."""
    sees = table["sees"].fillna(0.0).to_numpy()
    little = sees < SEES * sees[1:].max()
    little[0] = False  # the input is no layer
    return np.asarray(np.logical_or.accumulate(little))


def _by_probe(table: pd.DataFrame) -> np.ndarray:
    if table["probe"].isna().all():
        return np.zeros(len(table), dtype=bool)
    return np.arange(len(table)) > int(table["probe"].to_numpy().argmax())


def _probes(
    backbone: Encoder, fields: np.ndarray, known: Mechanisms, split: Split
) -> dict[str, float]:
    """Mean recall over mechanisms, on validation fields, of a linear probe on every layer."""
    learn, asked = np.flatnonzero(split.train), np.flatnonzero(split.validation)
    if not len(asked):
        return {}
    rows = np.concatenate([learn, asked])
    code, told = known.code, {}
    for name, points in layer_features(backbone, fields[rows]).items():
        guess = linear_probe(points[: len(learn)], code[learn], points[len(learn) :])
        right = guess == code[asked]
        told[name] = balanced_share(right, code[asked], known.compound[asked]).value
    return told


def layer_features(backbone: Encoder, fields: np.ndarray) -> dict[str, np.ndarray]:
    """Mean and SD over the field of every map, (n, 2 * maps), of the stains and every layer."""
    found: dict[str, list[np.ndarray]] = {INPUT: [], **{name: [] for name in layers_of(backbone)}}
    for x, maps in _passes(backbone, fields):
        for name, each in {INPUT: x, **maps}.items():
            found[name].append(pooled_maps(each).numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _passes(
    backbone: Encoder, fields: np.ndarray
) -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """Run blocks of fields through the layers; what comes out is on the CPU."""
    where = pick_device("auto")
    backbone.to(where).eval()
    with torch.inference_mode():
        for first in range(0, len(fields), _BLOCK):
            x = torch.from_numpy(np.ascontiguousarray(fields[first : first + _BLOCK]))
            yield x, {k: v.cpu() for k, v in backbone.feature_maps(x.to(where)).items()}
