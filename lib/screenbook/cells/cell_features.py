"""Numbers of a cell that a person would measure: size, shape, and light of every stain.

They are what a learned embedding of cells has to beat. All are sums over the pixels of a nucleus,
or of the cytoplasm around it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import ndimage

from screenbook.cells.segmentation import Segmentation
from screenbook.image_set import ImageSet
from screenbook.processes import run_each

_FIELDS_IN_BLOCK = 16  # that a process takes at once

SHAPE = (
    *("nucleus area", "nucleus elongation", "cell area", "cell elongation"),
    *("nucleus share", "nuclear offset"),
)
"""Areas in px; elongation is the ratio of the axes of the ellipse of the same second moments;
offset is the way from the centre of the cell to that of the nucleus, in radii of the nucleus."""

LIGHT = (
    "nucleus mean",
    "nucleus sd",
    "cytoplasm mean",
    "cytoplasm sd",
    "cytoplasm grain",
    "spread",
)
"""Of every channel: grain is the mean size of what a Gaussian of 1 px takes off, spread the mean
distance of the light from the centre of the nucleus, px."""


def cell_features(
    images: ImageSet, found: Segmentation, obs: pd.DataFrame, *, jobs: int = 1
) -> pd.DataFrame:
    """Measure cells.

    Parameters
    ----------
    images : ImageSet
        What was segmented.
    found : Segmentation
    obs : DataFrame, n rows
        The cells wanted, with ``row`` and ``cell``; of :class:`screenbook.cells.crops.CellCrops`.
    jobs : int
        Processes.

    Returns
    -------
    DataFrame of float64, n rows
        Index as `obs`; :data:`SHAPE`, then for every channel :data:`LIGHT`. A cell without
        cytoplasm has that of its nucleus.
    """
    names = [*SHAPE, *(f"{c} {what}" for c in images.channels for what in LIGHT)]
    values = np.empty((len(obs), len(names)))
    row, number = obs["row"].to_numpy(), obs["cell"].to_numpy()
    rows = np.unique(row)
    starts = range(0, len(rows), _FIELDS_IN_BLOCK)
    blocks = [rows[i : i + _FIELDS_IN_BLOCK] for i in starts]
    work = {i: (images.load(r), found.nuclei[r], found.cells[r]) for i, r in enumerate(blocks)}
    measured = run_each(_of_fields, work, jobs=jobs).values()
    for r, all_cells in zip(rows, (cells for block in measured for cells in block), strict=True):
        mine = np.flatnonzero(row == r)
        values[mine] = all_cells[number[mine]]
    return pd.DataFrame(values, index=obs.index, columns=names)


def _of_fields(fields: np.ndarray, nuclei: np.ndarray, cells: np.ndarray) -> list[np.ndarray]:
    sets = zip(fields.astype(np.float64), nuclei, cells, strict=True)
    return [_of_field(*each) for each in sets]


def _of_field(field: np.ndarray, nuclei: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Measure all cells of one field, (1 + cells, numbers); row 0 is the ground."""
    n = int(cells.max()) + 1
    nucleus, cell = _Region(nuclei, n), _Region(cells, n)
    body = _Region(np.where(nuclei > 0, 0, cells), n)
    area = np.maximum(nucleus.area, 1)
    offset = np.hypot(*(nucleus.centre - cell.centre)) / np.sqrt(area / np.pi)
    numbers = [
        *(nucleus.area, nucleus.elongation, cell.area, cell.elongation),
        *(nucleus.area / np.maximum(cell.area, 1), offset),
    ]
    y, x = cell.y - nucleus.centre[0][cell.of], cell.x - nucleus.centre[1][cell.of]
    away = np.hypot(y, x)
    for plane in field:
        grain = np.abs(plane - ndimage.gaussian_filter(plane, 1.0))
        mean, sd = nucleus.moments(plane)
        body_mean, body_sd = body.moments(plane)
        bare = body.area == 0
        light = plane[cell.there]
        total = np.maximum(np.bincount(cell.of, light, n), 1e-9)
        numbers += [mean, sd, np.where(bare, mean, body_mean), np.where(bare, sd, body_sd)]
        grains = np.where(bare, nucleus.moments(grain)[0], body.moments(grain)[0])
        numbers += [grains, np.bincount(cell.of, light * away, n) / total]
    return np.stack(numbers, axis=1)


class _Region:
    """Pixels that carry a number, and sums over those of each."""

    def __init__(self, labels: np.ndarray, n: int) -> None:
        self.there = labels > 0
        self.of, self.n = labels[self.there], n
        self.y, self.x = (at.astype(np.float64) for at in np.nonzero(self.there))
        self.area = np.bincount(self.of, minlength=n).astype(np.float64)
        size = np.maximum(self.area, 1)
        self.centre = np.stack([np.bincount(self.of, at, n) / size for at in (self.y, self.x)])
        dy, dx = self.y - self.centre[0][self.of], self.x - self.centre[1][self.of]
        # A pixel is a square, whose own second moment is 1/12: no line is without width.
        yy, xx = (np.bincount(self.of, d * d, n) / size + 1 / 12 for d in (dy, dx))
        yx = np.bincount(self.of, dy * dx, n) / size
        half, gap = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
        self.elongation = np.sqrt((half + gap) / np.maximum(half - gap, 1e-9))

    def moments(self, plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and SD of a plane over the pixels of each number."""
        light, size = plane[self.there], np.maximum(self.area, 1)
        mean = np.bincount(self.of, light, self.n) / size
        apart = np.bincount(self.of, (light - mean[self.of]) ** 2, self.n) / size
        return mean, np.sqrt(apart)
