"""The autoencoder under deep clustering: residual blocks, and a few features for a field.

By default a field's features are mean and standard deviation over the field of a few maps, from
which the decoder draws the field again: what is where is told by the maps, and the features hold
how much of each there is and how it clumps. Cells lie anywhere in a field, so that features which
also have to tell places (the flattened maps of the first public form) cluster by places.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from screenbook.errors import InputError, listing

POOLINGS = ("moments", "mean", "flatten")

_SHRINK = 4  # side of a field over side of its maps


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a short cut (He et al. 2016, arXiv 1512.03385).

    Without a norm, which would take off how bright a field is and in which channel; the second
    convolution starts from zero instead (Zhang et al. 2019, arXiv 1901.09321).

    Parameters
    ----------
    n_in, n_out : int
        Maps.
    stride : int
        Of the first convolution.
    """

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, stride, padding=1)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        same = n_in == n_out and stride == 1
        self.short = nn.Identity() if same else nn.Conv2d(n_in, n_out, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn maps (n, n_in, y, x) into maps (n, n_out, y / stride, x / stride)."""
        return F.relu(self.second(F.relu(self.first(x))) + self.short(x))


class ResidualAutoencoder(nn.Module):
    """Residual encoder, few features, and a decoder of one block and a sub-pixel convolution.

    Parameters
    ----------
    n_channels : int
    size_px : int
        Side of the fields, a multiple of 4.
    n_maps : int
        Maps of the code.
    widths : tuple of three int
        Maps of the encoder.
    pooling : {"moments", "mean", "flatten"}
        Features are mean and SD of the maps over the field, means only, or (`n_maps` of them)
        projections of all pixels of the encoder's maps.

    Attributes
    ----------
    n_features : int
        Of a field: twice `n_maps` for moments, else `n_maps`.

    Raises
    ------
    InputError
        If the side is no multiple of 4, or `pooling` is unknown.
    """

    def __init__(
        self,
        n_channels: int,
        size_px: int,
        n_maps: int = 10,
        widths: tuple[int, int, int] = (16, 32, 48),
        pooling: str = "moments",
    ) -> None:
        super().__init__()
        if size_px % _SHRINK or size_px < 2 * _SHRINK:
            raise InputError(
                f"fields of {size_px} px: the autoencoder halves them twice; pool or crop them "
                f"to a side that is a multiple of {_SHRINK}"
            )
        if pooling not in POOLINGS:
            raise InputError(f"pooling {pooling!r} is none of {listing(POOLINGS)}")
        self.pooling = pooling
        self.n_features = 2 * n_maps if pooling == "moments" else n_maps
        a, b, c = widths
        self.side, self.width = size_px // _SHRINK, c
        self.encoder = nn.Sequential(
            nn.Conv2d(n_channels, a, 3, 2, padding=1),
            nn.ReLU(),
            ResidualBlock(a, b, 2),
            ResidualBlock(b, c),
        )
        flat = c * self.side**2
        if pooling == "flatten":
            self.narrow: nn.Module = nn.Sequential(nn.Flatten(), nn.Linear(flat, n_maps))
            self.widen: nn.Module = nn.Linear(n_maps, flat)
        else:
            self.narrow, self.widen = nn.Conv2d(c, n_maps, 1), nn.Conv2d(n_maps, c, 1)
        self.decoder = nn.Sequential(
            nn.ReLU(),
            ResidualBlock(c, c),
            nn.Conv2d(c, n_channels * _SHRINK**2, 3, padding=1),
            nn.PixelShuffle(_SHRINK),
        )

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Features (n, n_features) of fields (n, channel, y, x)."""
        return self._pooled(self.narrow(self.encoder(x)))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (n, n_features), and the fields drawn again (n, channel, y, x)."""
        code = self.narrow(self.encoder(x))
        wide = self.widen(code)
        maps = wide.view(len(x), self.width, self.side, self.side)
        return self._pooled(code), self.decoder(maps)

    def _pooled(self, code: torch.Tensor) -> torch.Tensor:
        if self.pooling == "flatten":
            return code
        mean = code.mean(dim=(2, 3))
        if self.pooling == "mean":
            return mean
        # A floor, since the slope of a root has no end at zero.
        spread = code.flatten(2).var(dim=2).clamp_min(1e-6).sqrt()
        return torch.cat([mean, spread], dim=1)
