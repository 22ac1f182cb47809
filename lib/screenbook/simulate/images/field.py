"""Which cell and which nucleus each pixel of a field belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from screenbook.simulate.images.cells import Cells, quadratic
from screenbook.simulate.images.textures import noise, sigmoid


@dataclass(frozen=True)
class Field:
    """What every pixel is part of; all maps (side, side) float32 unless stated.

    Attributes
    ----------
    cells : Cells
    um_per_px : float
    y, x : ndarray
        Position, um.
    owner : ndarray of int
        Cell.
    cell : ndarray
        1 within a cell, 0 without.
    rim : ndarray
        Light of a thin sheet along the outlines of cells.
    nucleus : ndarray
        1 within a nucleus, 0 without.
    near : ndarray of int
        Nearest nucleus.
    rho : ndarray
        Distance from its centre, over its radius.
    away : ndarray
        Distance from its border, um; 0 within.
    """

    cells: Cells
    um_per_px: float
    y: np.ndarray
    x: np.ndarray
    owner: np.ndarray
    cell: np.ndarray
    rim: np.ndarray
    nucleus: np.ndarray
    near: np.ndarray
    rho: np.ndarray
    away: np.ndarray

    def of_cell(self, name: str) -> np.ndarray:
        """Look up a biology knob at every pixel."""
        return self.cells.knobs[name].astype(np.float32)[self.owner]


def lay_out_field(cells: Cells, side: int, um_per_px: float, rng: np.random.Generator) -> Field:
    """Find out for every pixel of a canvas which cell and which nucleus it belongs to.

    Parameters
    ----------
    cells : Cells
    side : int
        Of the canvas, px.
    um_per_px : float
    rng : Generator

    Returns
    -------
    Field
    """
    at = ((np.arange(side) - (side - 1) / 2) * um_per_px).astype(np.float32)
    y, x = (np.ascontiguousarray(a) for a in np.meshgrid(at, at, indexing="ij"))
    bend = noise(side, um_per_px, (14.0, 14.0), rng)
    wy, wx = y + 1.3 * bend[0], x + 1.3 * bend[1]
    owner, d = _nearest(cells.centre, cells.axes, cells.angle, wy, wx)
    knobs = cells.knobs
    bays = _bays(cells.centre, cells.angle, knobs["cell_ruffle"], owner, wy, wx, rng)
    depth = (1 - d / bays) * knobs["cell_radius"].astype(np.float32)[owner]  # um within the outline
    cell = sigmoid(depth / np.float32(0.9))
    rim = _rim(owner, cell)

    near, rho = _nearest(cells.nucleus_centre, cells.nucleus_axes, cells.nucleus_angle, y, x)
    lobes = knobs["nucleus_lobes"][cells.parent]
    dents = _bays(cells.nucleus_centre, cells.nucleus_angle, lobes, near, y, x, rng)
    rho = rho / dents
    radius = np.sqrt(cells.nucleus_axes.prod(1)).astype(np.float32)[near]
    nucleus = sigmoid((1 - rho) * radius / np.float32(0.45))
    away = np.maximum(rho - 1, 0) * radius
    return Field(cells, um_per_px, y, x, owner, cell, rim, nucleus, near, rho, away)


def _nearest(
    centre: np.ndarray, axes: np.ndarray, angle: np.ndarray, y: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For every pixel the ellipse that it is nearest to, and how far: 1 on its line."""
    shape, y, x = y.shape, y.ravel(), x.ravel()
    terms = np.stack([y * y, x * y, x * x, y, x, np.ones_like(x)], axis=1)
    d2 = terms @ quadratic(centre, axes, angle).T  # (pixels, n)
    first = d2.argmin(1)
    away = np.sqrt(np.maximum(d2[np.arange(len(d2)), first], 0))
    return first.reshape(shape), away.reshape(shape)


def _bays(
    centre: np.ndarray,
    angle: np.ndarray,
    depth: np.ndarray,
    owner: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Radius of an outline over that of its ellipse: waves of 2 to 5 periods around it."""
    n = len(angle)
    waves = rng.normal(size=(n, 4)) + 1j * rng.normal(size=(n, 4))
    waves *= depth[:, None] / np.arange(1.0, 5.0) ** 0.5
    waves = waves.astype(np.complex64)
    dy = y - centre[:, 0].astype(np.float32)[owner]
    dx = x - centre[:, 1].astype(np.float32)[owner]
    turn = (dx + 1j * dy) / np.sqrt(dx**2 + dy**2 + np.float32(1e-3))
    power, total = turn, 0
    for k in range(4):
        power = power * turn
        total = total + (waves[:, k][owner] * power).real
    return np.clip(1 + total, 0.6, 1.6)


def _rim(owner: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Free outlines of cells, and borders between those that touch."""
    border = np.zeros(owner.shape, dtype=np.float32)
    down = owner[1:] != owner[:-1]
    right = owner[:, 1:] != owner[:, :-1]
    border[1:] += down
    border[:-1] += down
    border[:, 1:] += right
    border[:, :-1] += right
    touching = ndimage.gaussian_filter(np.minimum(border, 1) * cell, 0.6)
    return touching * np.float32(0.9) + np.float32(2.6) * cell * (1 - cell)
