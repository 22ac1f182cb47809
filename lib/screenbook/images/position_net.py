"""The network that tells where a patch lies: two patches, one trunk, a small head.

The trunk (three strided convolutions) sees either patch by itself; what it made of the two is
merged and decided on. The first public form of it on RxRx1 (64, 16 and 4 filters, then two
dense layers of 16) *adds* the two. A sum does not know which patch was the centre, so left and
right look the same to it, and up and down: at best the axis is told, and the accuracy stays at
or below one half unless the place of a single patch shows. Concatenation is the form that can
tell. A *blind* net gets the outer patch alone: whatever it knows is a shortcut.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from screenbook.errors import InputError
from screenbook.images.patches import DIRECTIONS

MERGES = ("concat", "add", "blind")


@dataclass(frozen=True)
class PositionNetSettings:
    """Shape of the net.

    Attributes
    ----------
    widths : tuple of int
        Filters of the convolutions, 3 x 3 with stride 2.
    merge : {"concat", "add", "blind"}
    padding : int
        Pixels of zeros around each map.
    pool_px : int
        Side of the maximum taken before the head; 1 for none.
    n_hidden : int
        Units of either dense layer.
    dropout : float
        Share of values silent after all convolutions but the last, 0 to 1 (exclusive).
    norm_momentum, norm_epsilon : float
        Of batch normalisation: weight of the newest batch in the running mean, and what is
        added to a variance.
    """

    widths: tuple[int, ...] = (32, 16)
    merge: str = "concat"
    padding: int = 1
    pool_px: int = 1
    n_hidden: int = 64
    dropout: float = 0.0
    norm_momentum: float = 0.1
    norm_epsilon: float = 1e-3


ORIGINAL = PositionNetSettings(
    widths=(64, 16, 4),
    merge="add",
    padding=0,
    n_hidden=16,
    pool_px=3,
    dropout=0.2,
    norm_momentum=0.01,
)
"""The net as first published, for patches of 133 or 100 pixels in 3 channels."""


class Trunk(nn.Module):
    """What both patches go through: (n, channel, y, x) to (n, widths[-1], y', x').

    Parameters
    ----------
    n_channels : int
    settings : PositionNetSettings
    """

    def __init__(self, n_channels: int, settings: PositionNetSettings) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.norm_in = _norm2d(n_channels, settings)
        sizes = (n_channels, *settings.widths)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=settings.padding) for a, b in pairwise(sizes)
        )
        self.norms = nn.ModuleList(_norm2d(width, settings) for width in settings.widths)
        last = len(settings.widths) - 1
        self.silence = nn.ModuleList(
            nn.Dropout(settings.dropout if i < last else 0.0) for i in range(last + 1)
        )

    @property
    def layer_names(self) -> tuple[str, ...]:
        """``conv1`` and so on."""
        return tuple(f"conv{i + 1}" for i in range(len(self.convs)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map of the last layer."""
        return self.maps(x)[-1]

    def maps(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of all layers, each after its normalisation."""
        out = []
        x = self.norm_in(x)
        for conv, silence, norm in zip(self.convs, self.silence, self.norms, strict=True):
            x = norm(silence(torch.relu(conv(x))))
            out.append(x)
        return out


class PositionNet(nn.Module):
    """Trunk, merge and head.

    Parameters
    ----------
    n_channels : int
    patch_px : int
        Side of a patch.
    settings : PositionNetSettings, optional

    Raises
    ------
    InputError
        If the merge is unknown or patches are too small for the strides.
    """

    def __init__(
        self, n_channels: int, patch_px: int, settings: PositionNetSettings | None = None
    ) -> None:
        super().__init__()
        settings = settings or PositionNetSettings()
        if settings.merge not in MERGES:
            raise InputError(f"merge {settings.merge!r} is none of {', '.join(MERGES)}")
        self.settings = settings
        self.trunk = Trunk(n_channels, settings)
        self.pool = nn.MaxPool2d(settings.pool_px) if settings.pool_px > 1 else nn.Identity()
        n_flat = self._n_flat(patch_px)
        hidden = settings.n_hidden
        self.head = nn.Sequential(
            nn.Linear(n_flat, hidden),
            nn.ReLU(),
            _norm1d(hidden, settings),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            _norm1d(hidden, settings),
            nn.Linear(hidden, len(DIRECTIONS)),
        )

    def forward(self, centre: torch.Tensor, outer: torch.Tensor) -> torch.Tensor:
        """Scores of the directions (before softmax), (n, 4), of pairs (n, channel, y, x)."""
        if self.settings.merge == "blind":
            return self.head(self._merged(None, self.trunk(outer)))
        return self.head(self._merged(self.trunk(centre), self.trunk(outer)))

    def all_directions(self, patches: torch.Tensor) -> torch.Tensor:
        """Scores of all four pairs of every field, each patch seen by the trunk once.

        Parameters
        ----------
        patches : Tensor, shape (n, 5, channel, y, x)
            The centre and its neighbours, as :func:`screenbook.images.patches.cut` has them.

        Returns
        -------
        Tensor, shape (n, 4, 4)
            Of each field and true direction, the score of each direction.
        """
        blind = self.settings.merge == "blind"
        used = patches[:, 1:] if blind else patches
        seen = self.trunk(used.flatten(0, 1)).unflatten(0, used.shape[:2])
        outer = seen if blind else seen[:, 1:]
        centre = None if blind else seen[:, :1].expand_as(outer).flatten(0, 1)
        return self.head(self._merged(centre, outer.flatten(0, 1))).unflatten(0, outer.shape[:2])

    def _merged(self, centre: torch.Tensor | None, outer: torch.Tensor) -> torch.Tensor:
        """One row of numbers for each pair."""
        if centre is None:
            merged = outer
        elif self.settings.merge == "add":
            merged = centre + outer
        else:
            merged = torch.cat([centre, outer], dim=1)
        return self.pool(merged).flatten(1)

    def _n_flat(self, patch_px: int) -> int:
        """Numbers that reach the head, found by sending zeros through."""
        was = self.training
        self.eval()
        try:
            with torch.no_grad():
                zeros = torch.zeros(1, self.trunk.n_channels, patch_px, patch_px)
                seen = self.trunk(zeros)
                blind = self.settings.merge == "blind"
                return self._merged(None if blind else seen, seen).shape[1]
        except RuntimeError as e:
            raise InputError(
                f"patches of {patch_px} pixels are too small for {len(self.settings.widths)} "
                f"convolutions with stride 2 and a pool of {self.settings.pool_px}: cut larger "
                "tiles, or give padding 1 and pool_px 1"
            ) from e
        finally:
            self.train(was)


def count_parameters(module: nn.Module, *, with_statistics: bool = True) -> int:
    """Count the numbers a module keeps.

    Parameters
    ----------
    module : Module
    with_statistics : bool
        Count running means and variances of batch normalisation as well, as Keras does.
    """
    total = sum(p.numel() for p in module.parameters())
    if with_statistics:
        total += sum(b.numel() for b in module.buffers() if b.is_floating_point())
    return total


def _norm2d(n: int, settings: PositionNetSettings) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(n, eps=settings.norm_epsilon, momentum=settings.norm_momentum)


def _norm1d(n: int, settings: PositionNetSettings) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(n, eps=settings.norm_epsilon, momentum=settings.norm_momentum)
