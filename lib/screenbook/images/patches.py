"""Patches of a field: nine tiles, of which the centre and its four neighbours are used.

A network that is shown the centre and one neighbour is asked where the neighbour lies (Doersch
et al. 2015, doi:10.1109/ICCV.2015.167, with four directions instead of eight). Margins are cut
from the tiles, so that no line runs on from one patch to the next: without that gap the question
is answered by matching edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from screenbook.errors import InputError

DIRECTIONS = ("up", "left", "right", "down")
"""Where the outer patch lies, seen from the centre; the order is the code, 0 to 3."""

OPPOSITE = (3, 2, 1, 0)
"""Code of the direction opposite to each."""

_STEP = ((0, 0), (-1, 0), (0, -1), (0, 1), (1, 0))  # tiles down and right: centre, then DIRECTIONS


@dataclass(frozen=True)
class PatchGrid:
    """How patches are cut from a field.

    Attributes
    ----------
    tile_px : int
        Side of a tile; three of them must fit into the field. 0 takes a third of the field.
    margin_px : int
        Cut from every edge of a tile: patches of neighbouring tiles are twice that apart.
    jitter_px : int
        Each patch is moved by up to so much, either way, along both axes; at most the margin.
    random_anchor : bool
        Put the nine tiles anywhere in the field instead of its middle: the centre tile is then
        not always the centre of the field, nor of its illumination.
    """

    tile_px: int = 0
    margin_px: int = 4
    jitter_px: int = 0
    random_anchor: bool = False

    def tile(self, height: int, width: int) -> int:
        """Side of a tile in a field of this size, in pixels.

        Raises
        ------
        InputError
            If tiles do not fit, or the margin leaves nothing.
        """
        tile = self.tile_px or min(height, width) // 3
        if 3 * tile > min(height, width):
            raise InputError(
                f"tile_px is {tile}: three tiles do not fit into a field of {height} x {width} "
                f"pixels; give at most {min(height, width) // 3}"
            )
        if self.margin_px < 0 or 2 * self.margin_px >= tile:
            raise InputError(
                f"margin_px is {self.margin_px}: give 0 to {(tile - 1) // 2} for tiles of {tile}"
            )
        if not 0 <= self.jitter_px <= self.margin_px:
            raise InputError(
                f"jitter_px is {self.jitter_px}: give 0 to {self.margin_px}, the margin, lest "
                "patches touch"
            )
        return tile

    def patch(self, height: int, width: int) -> int:
        """Side of a patch cut from a field of this size, in pixels."""
        return self.tile(height, width) - 2 * self.margin_px


def cut(
    fields: torch.Tensor,
    grid: PatchGrid,
    draws: torch.Generator | None = None,
    rows: np.ndarray | None = None,
) -> torch.Tensor:
    """Cut the centre and its four neighbours from every field.

    Parameters
    ----------
    fields : Tensor, shape (n, channel, y, x)
    grid : PatchGrid
    draws : torch.Generator, optional
        Of jitter and anchor, on the CPU. Without it patches lie where the grid says: neither
        jitter nor random anchor, as for a test.
    rows : ndarray of int, shape (m,), optional
        Fields to cut from; by default all, m = n.

    Returns
    -------
    Tensor, shape (m, 5, channel, patch, patch)
        The centre, then the neighbours in the order of :data:`DIRECTIONS`.
    """
    rows = np.arange(len(fields)) if rows is None else rows
    n, (height, width) = len(rows), fields.shape[2:]
    tile, side = grid.tile(height, width), grid.patch(height, width)
    corner = _corners(n, height, width, tile, grid, draws)  # (n, 5, 2)
    flat = [
        fields[i, :, y : y + side, x : x + side]
        for i, places in zip(rows.tolist(), corner.tolist(), strict=True)
        for y, x in places
    ]
    return torch.stack(flat).view(n, 5, -1, side, side)


def turned(fields: torch.Tensor, way: int) -> torch.Tensor:
    """Turn or mirror fields in one of the eight ways a square can be.

    Cells lie in no preferred direction, so each is as good a field as the first.

    Parameters
    ----------
    fields : Tensor, shape (n, channel, y, x)
        Square.
    way : int
        0 to 7; 0 leaves them as they are, 4 and more mirror left and right.
    """
    out = torch.rot90(fields, way % 4, (2, 3)) if way % 4 else fields
    return out.flip(3) if way >= 4 else out


def turned_patches(patches: torch.Tensor, way: int) -> torch.Tensor:
    """Do to patches what :func:`turned` does to their fields: each turns, and takes a new place.

    Parameters
    ----------
    patches : Tensor, shape (n, 5, channel, patch, patch)
        As :func:`cut` has them.
    way : int
        0 to 7.
    """
    places = torch.zeros(3, 3, dtype=torch.long)
    for number, (down, right) in enumerate(_STEP):
        places[down + 1, right + 1] = number
    order = turned(places[None, None], way)[0, 0]
    order = torch.stack([order[down + 1, right + 1] for down, right in _STEP])
    return turned(patches[:, order].flatten(0, 1), way).unflatten(0, patches.shape[:2])


def _corners(
    n: int, height: int, width: int, tile: int, grid: PatchGrid, draws: torch.Generator | None
) -> torch.Tensor:
    """Upper left corner of every patch, (n, 5, 2) as y and x."""
    room = torch.tensor([height - 3 * tile, width - 3 * tile])
    anchor = (room // 2).expand(n, 2)
    if draws is not None and grid.random_anchor:
        anchor = (torch.rand(n, 2, generator=draws) * (room + 1)).long()
    steps = torch.tensor(_STEP) + 1
    corner = anchor[:, None] + steps * tile + grid.margin_px
    if draws is not None and grid.jitter_px:
        most = grid.jitter_px
        corner = corner + torch.randint(-most, most + 1, (n, 5, 2), generator=draws)
    return corner
