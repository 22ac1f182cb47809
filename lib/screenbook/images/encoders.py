"""Encoders: from fields of any number of channels to feature vectors, behind one interface.

An encoder has ``n_channels``, ``n_features``, ``forward`` from (n, channel, y, x) to
(n, n_features), and ``feature_maps``, which gives what its layers see. Both encoders take
fields and views of any size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from screenbook.errors import InputError, did_you_mean
from screenbook.training import pick_device, torch_threads


class Encoder(nn.Module):
    """What all encoders share.

    Attributes
    ----------
    n_channels, n_features : int
    """

    n_channels: int
    n_features: int

    def feature_maps(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Name what each layer gives for fields (n, channel, y, x): (n, maps, y', x') each."""
        raise NotImplementedError


class SmallCNN(Encoder):
    """Blocks of 3×3 convolutions, each at half the resolution of the one before.

    Group norm and not batch norm, so that the features of a field do not depend on the fields
    beside it. A field's features are the means of the last maps over the field.

    Parameters
    ----------
    n_channels : int
    widths : tuple of int
        Maps of each block; multiples of 8.
    depth : int
        Convolutions of each block, the first with a stride of 2.
    """

    def __init__(
        self, n_channels: int, widths: tuple[int, ...] = (32, 64, 96), depth: int = 1
    ) -> None:
        super().__init__()
        self.n_channels, self.n_features = n_channels, widths[-1]
        sizes = zip((n_channels, *widths[:-1]), widths, strict=True)
        self.blocks = nn.ModuleList([_conv_block(n_in, n_out, depth) for n_in, n_out in sizes])
        # A fifth faster on a CPU; torch's own hints leave this argument out.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (n, n_features) of fields (n, channel, y, x)."""
        x = x.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x)
        return x.mean(dim=(2, 3))

    def feature_maps(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Give the maps after each block."""
        maps = {}
        for number, block in enumerate(self.blocks, start=1):
            x = maps[f"block {number}"] = block(x)
        return maps


def _conv_block(n_in: int, n_out: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(depth):
        first = number == 0
        layers += [
            nn.Conv2d(n_in if first else n_out, n_out, 3, 2 if first else 1, padding=1, bias=False),
            nn.GroupNorm(8, n_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class SmallViT(Encoder):
    """A vision transformer (Dosovitskiy et al. 2021, arXiv 2010.11929) of a few narrow blocks.

    Positions are sines and cosines of row and column, so that small views and whole fields
    share them. Pixels at the right and the lower edge that fill no patch are not seen.

    Parameters
    ----------
    n_channels : int
    patch : int
        Side of a patch, pixels.
    width : int
        Features of a token, a multiple of 4 and of `n_heads`.
    depth, n_heads : int
        Blocks, and heads of attention in each.
    """

    def __init__(
        self, n_channels: int, patch: int = 6, width: int = 96, depth: int = 4, n_heads: int = 4
    ) -> None:
        super().__init__()
        self.n_channels, self.n_features = n_channels, width
        self.patches = nn.Conv2d(n_channels, width, patch, stride=patch)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                *(width, n_heads, 4 * width),
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (n, n_features) of fields (n, channel, y, x): the mean of all tokens."""
        tokens = self._tokens(self.patches(x))
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens).mean(dim=1)

    def feature_maps(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Give the tokens in their places, after the patches and after each block."""
        maps = {"patches": self.patches(x)}
        tokens, shape = self._tokens(maps["patches"]), maps["patches"].shape
        for number, block in enumerate(self.blocks, start=1):
            tokens = block(tokens)
            maps[f"block {number}"] = tokens.transpose(1, 2).reshape(shape)
        return maps

    def _tokens(self, patches: torch.Tensor) -> torch.Tensor:
        n_rows, n_columns = patches.shape[2:]
        places = sine_positions(n_rows, n_columns, self.n_features).to(patches)
        return patches.flatten(2).transpose(1, 2) + places  # (n, y·x, width)


def sine_positions(n_rows: int, n_columns: int, width: int) -> torch.Tensor:
    """Positions of the cells of a grid as sines and cosines (Vaswani et al. 2017, 1706.03762).

    Returns
    -------
    Tensor, shape (n_rows * n_columns, width)
        Half of the width for the row, half for the column.
    """
    frequency = torch.exp(-math.log(1000.0) * torch.arange(width // 4) / (width // 4))

    def code(n: int) -> torch.Tensor:
        angle = torch.arange(n)[:, None] * frequency
        return torch.cat([angle.sin(), angle.cos()], dim=1)  # (n, width / 2)

    rows = code(n_rows)[:, None].expand(-1, n_columns, -1)
    columns = code(n_columns)[None].expand(n_rows, -1, -1)
    return torch.cat([rows, columns], dim=2).flatten(0, 1)


ENCODERS: dict[str, Callable[..., Encoder]] = {"cnn": SmallCNN, "vit": SmallViT}


def build_encoder(name: str, n_channels: int, seed: int = 0, **options: Any) -> Encoder:
    """Build an encoder whose weights come from the seed alone.

    Parameters
    ----------
    name : {"cnn", "vit"}
    n_channels : int
    seed : int
    **options
        Of :class:`SmallCNN` or :class:`SmallViT`.

    Raises
    ------
    InputError
        If there is no such encoder.
    """
    if name not in ENCODERS:
        raise InputError(
            f"encoder {name!r} is none of {', '.join(ENCODERS)}{did_you_mean(name, ENCODERS)}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ENCODERS[name](n_channels, **options)


def encode(
    encoder: nn.Module,
    images: np.ndarray,
    *,
    batch_size: int = 256,
    device: str = "auto",
    threads: int = 1,
) -> np.ndarray:
    """Features of whole fields.

    Parameters
    ----------
    encoder : Module
        Put into eval mode and moved to the device.
    images : array, shape (n, channel, y, x)
        Normalised; whatever can be indexed by a slice of rows.
    batch_size, threads : int
    device : str

    Returns
    -------
    ndarray of float32, shape (n, n_features)
    """
    where = pick_device(device)
    encoder.to(where).eval()
    found = []
    with torch.no_grad(), torch_threads(threads):
        for start in range(0, len(images), batch_size):
            block = np.ascontiguousarray(images[start : start + batch_size], dtype=np.float32)
            found.append(encoder(torch.from_numpy(block).to(where)).float().cpu().numpy())
    return np.concatenate(found)
