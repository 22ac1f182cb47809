"""A picture of every cell: windows of one size around nuclei, with what is known of each cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from screenbook.cells.segmentation import Segmentation
from screenbook.errors import InputError
from screenbook.image_set import ImageSet
from screenbook.images.normalise import normalise


@dataclass(frozen=True)
class CellCrops:
    """Pictures of single cells.

    Attributes
    ----------
    pixels : ndarray, shape (n, channel, side, side)
        As in the images (uint8 or uint16), or float32 once normalised.
    obs : DataFrame, n rows
        One row a cell, indexed by ``field/number``: what is known of its field, and ``field cell
        y x nucleus_area cell_area touches_border row`` of the segmentation.
    channels : tuple of str
    """

    pixels: np.ndarray
    obs: pd.DataFrame
    channels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.obs)

    def subset(self, rows: Any) -> CellCrops:
        """Keep some cells, by a mask or by places."""
        rows = np.arange(len(self))[np.asarray(rows)]
        return replace(self, pixels=self.pixels[rows], obs=self.obs.iloc[rows])


def cut_crops(
    images: ImageSet, found: Segmentation, side: int, *, mask_others: bool = False
) -> CellCrops:
    """Cut a window around every nucleus.

    Cells whose window would reach over the edge of the field are left out: no pixel is made up.

    Parameters
    ----------
    images : ImageSet
        What was segmented.
    found : Segmentation
    side : int
        Of a window, px.
    mask_others : bool
        Set what belongs to another cell, or to none, to 0.

    Returns
    -------
    CellCrops

    Raises
    ------
    InputError
        If a window is larger than a field, or no cell is left.
    """
    height, width = images.pixels.shape[2:]
    if not 1 <= side <= min(height, width):
        raise InputError(
            f"side = {side}: a window of a cell has 1 to {min(height, width)} pixels in fields of "
            f"{height} x {width}"
        )
    table = found.table
    top = np.rint(table["y"].to_numpy() - (side - 1) / 2).astype(int)
    left = np.rint(table["x"].to_numpy() - (side - 1) / 2).astype(int)
    inside = (top >= 0) & (left >= 0) & (top + side <= height) & (left + side <= width)
    if not inside.any():
        raise InputError(
            f"side = {side}: of {len(table):,} cells none has so much room around it; take a "
            "smaller window, or look at the segmentation"
        )
    table, top, left = table[inside], top[inside], left[inside]
    row, number = table["row"].to_numpy(), table["cell"].to_numpy()
    shape = (len(table), len(images.channels), side, side)
    pixels = np.empty(shape, dtype=images.pixels.dtype)
    steps = np.arange(side)
    for r in np.unique(row):
        mine = np.flatnonzero(row == r)
        y = (top[mine, None] + steps)[:, :, None]
        x = (left[mine, None] + steps)[:, None, :]
        window = images.load([r])[0][:, y, x]  # (channel, cells, side, side)
        if mask_others:
            window = window * (found.cells[r][y, x] == number[mine, None, None])
        pixels[mine] = np.moveaxis(window, 0, 1)
    known = images.obs.iloc[row].reset_index(drop=True)
    obs = pd.concat([known, table.reset_index(drop=True)], axis=1)
    obs.index = pd.Index(obs["field"].astype(str) + "/" + obs["cell"].astype(str), name="id")
    return CellCrops(pixels, obs, images.channels)


def normalise_crops(crops: CellCrops, reference: np.ndarray, *, pool: int = 1) -> CellCrops:
    """Put every channel on the scale of the reference cells of its plate.

    Parameters
    ----------
    crops : CellCrops
        With the column ``batch``.
    reference : ndarray of bool, shape (n,)
        Cells of negative controls, of every plate.
    pool : int
        Average squares of so many pixels first.

    Returns
    -------
    CellCrops
        float32; pixels of the reference cells of a plate have mean 0 and SD 1.

    Raises
    ------
    InputError
        See :func:`screenbook.images.normalise.normalise`.
    """
    batch = crops.obs["batch"].astype(str).to_numpy()
    pixels = normalise(crops.pixels, batch, reference, pool=pool, channels=crops.channels)
    return replace(crops, pixels=pixels)
