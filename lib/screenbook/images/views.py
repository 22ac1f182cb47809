"""Views of a field: the changes that leave its biology alone, made for a whole batch at once.

A cell has no up and no left, so fields are turned by quarter turns and mirrored; it may lie
anywhere, so they are cropped; and the stain of each channel is a little stronger or weaker.
What would change the biology, or what a microscope never does, is left out: colour jitter across
channels, solarisation, grey scale, shear. Blur and noise are batch effects and are not added.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from screenbook.errors import InputError


@dataclass(frozen=True)
class ViewSettings:
    """How views are drawn.

    Attributes
    ----------
    size : int
        Side of a global view, pixels.
    area : tuple of float
        Least and greatest share of the field's area that a global view shows.
    n_local : int
        Small views beside the two global ones (multi-crop: Caron et al. 2020, 2006.09882).
    local_size : int
    local_area : tuple of float
    channel_gain, channel_offset : float
        SD of what each channel is multiplied by (around 1) and of what is added to it, in the
        unit of the normalised image: the SD of a plate's negative controls.
    turn, mirror : bool
        Quarter turns and mirror images.
    """

    size: int = 32
    area: tuple[float, float] = (0.6, 1.0)
    n_local: int = 0
    local_size: int = 20
    local_area: tuple[float, float] = (0.1, 0.3)
    channel_gain: float = 0.1
    channel_offset: float = 0.1
    turn: bool = True
    mirror: bool = True

    def __post_init__(self) -> None:
        for name in ("area", "local_area"):
            low, high = getattr(self, name)
            if not 0 < low <= high <= 1:
                raise InputError(f"{name}={(low, high)}: shares of a field lie between 0 and 1")


def draw_views(
    pairs: tuple[torch.Tensor, torch.Tensor], settings: ViewSettings, draws: torch.Generator
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Draw the views of one step.

    Parameters
    ----------
    pairs : two Tensors, shape (n, channel, y, x)
        Fields and their partners: the first global view and every other local one come from
        the field, the rest from its partner, which may be the field itself.
    settings : ViewSettings
    draws : torch.Generator
        On the CPU.

    Returns
    -------
    global_views, local_views : lists of Tensor, shape (n, channel, size, size)
    """
    whole = [one_view(fields, settings.size, settings.area, settings, draws) for fields in pairs]
    small = [
        one_view(pairs[i % 2], settings.local_size, settings.local_area, settings, draws)
        for i in range(settings.n_local)
    ]
    return whole, small


def one_view(
    fields: torch.Tensor,
    size: int,
    area: tuple[float, float],
    settings: ViewSettings,
    draws: torch.Generator,
) -> torch.Tensor:
    """Crop, turn, mirror and shift the channels of every field, each in its own way.

    Parameters
    ----------
    fields : Tensor, shape (n, channel, y, x)
    size : int
        Side of the view, pixels.
    area : tuple of float
        Least and greatest share of the field shown.
    settings : ViewSettings
    draws : torch.Generator

    Returns
    -------
    Tensor, shape (n, channel, size, size)
    """
    n = len(fields)
    frame = crop_frames(n, area, settings, draws)  # (n, 2, 3)
    grid = F.affine_grid(frame, [n, 1, size, size], align_corners=False)
    view = F.grid_sample(
        fields, grid.to(fields.device), padding_mode="reflection", align_corners=False
    )
    return shift_channels(view, settings.channel_gain, settings.channel_offset, draws)


def crop_frames(
    n: int, area: tuple[float, float], settings: ViewSettings, draws: torch.Generator
) -> torch.Tensor:
    """Draw which square of its field each view shows, and how it is turned.

    Returns
    -------
    Tensor, shape (n, 2, 3)
        Affine maps from the view to the field, both reaching from -1 to 1; no corner of a view
        lies outside its field.
    """
    low, high = area
    side = (low + (high - low) * torch.rand(n, generator=draws)).sqrt()  # of the field's
    centre = (2 * torch.rand(n, 2, generator=draws) - 1) * (1 - side)[:, None]
    quarter = torch.randint(4, (n,), generator=draws) * settings.turn
    flip = 1.0 - 2.0 * torch.randint(2, (n,), generator=draws) * settings.mirror
    # Whole numbers, so that a turn by a quarter is exact.
    cos = torch.tensor([1.0, 0.0, -1.0, 0.0])[quarter]
    sin = torch.tensor([0.0, 1.0, 0.0, -1.0])[quarter]
    turn = torch.stack([cos * flip, -sin, sin * flip, cos], dim=1).view(n, 2, 2)
    return torch.cat([turn * side[:, None, None], centre[:, :, None]], dim=2)


def shift_channels(
    view: torch.Tensor, gain: float, offset: float, draws: torch.Generator
) -> torch.Tensor:
    """Multiply and shift every channel of every view (n, channel, y, x) by its own numbers."""
    shape = (*view.shape[:2], 1, 1)
    times = 1 + gain * torch.randn(shape, generator=draws)
    plus = offset * torch.randn(shape, generator=draws)
    return view * times.to(view.device) + plus.to(view.device)
