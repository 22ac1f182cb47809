"""How much light each of the six stains gives at every pixel of a field of cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft, ndimage

from screenbook.simulate.images.cells import Cells, quadratic
from screenbook.simulate.images.spec import CHANNELS


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
        """A biology knob at every pixel."""
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
    d2 = _measure(cells.centre, cells.axes, cells.angle, wy, wx)
    owner = d2.argmin(0).reshape(side, side)
    d = np.sqrt(np.maximum(np.take_along_axis(d2, owner.reshape(1, -1), 0)[0], 0))
    d = d.reshape(side, side)
    knobs = cells.knobs
    bays = _bays(cells.centre, cells.angle, knobs["cell_ruffle"], owner, wy, wx, rng)
    depth = (1 - d / bays) * knobs["cell_radius"].astype(np.float32)[owner]  # um within the outline
    cell = sigmoid(depth / np.float32(0.9))
    rim = _rim(owner, cell)

    n2 = _measure(cells.nucleus_centre, cells.nucleus_axes, cells.nucleus_angle, y, x)
    near = n2.argmin(0).reshape(side, side)
    rho = np.sqrt(np.maximum(np.take_along_axis(n2, near.reshape(1, -1), 0)[0], 0))
    lobes = knobs["nucleus_lobes"][cells.parent]
    dents = _bays(cells.nucleus_centre, cells.nucleus_angle, lobes, near, y, x, rng)
    rho = rho.reshape(side, side) / dents
    radius = np.sqrt(cells.nucleus_axes.prod(1)).astype(np.float32)[near]
    nucleus = sigmoid((1 - rho) * radius / np.float32(0.45))
    away = np.maximum(rho - 1, 0) * radius
    return Field(cells, um_per_px, y, x, owner, cell, rim, nucleus, near, rho, away)


def stain(field: Field, rng: np.random.Generator) -> np.ndarray:
    """Paint the six stains.

    Parameters
    ----------
    field : Field
    rng : Generator

    Returns
    -------
    ndarray of float32, shape (6, side, side)
        1 is a well stained structure.
    """
    side, cells = field.owner.shape[0], field.cells
    knobs = {k: _grain(cells, k) for k in ("chromatin_grain", "mito_grain")}
    texture = noise(
        side,
        field.um_per_px,
        (*knobs["chromatin_grain"], *knobs["mito_grain"], 4.0, 9.0, 3.2),
        rng,
        same=((0, 1), (2, 3)),
    )
    acted = cells.treated[field.owner]
    chromatin = np.where(acted, texture[1], texture[0])
    mito = np.where(acted, texture[3], texture[2])
    net, slow, fine = texture[4:7]
    rounded = cells.mitotic.astype(np.float32)[field.owner]
    out = np.empty((len(CHANNELS), side, side), dtype=np.float32)
    thick = 1 + np.float32(0.9) * rounded
    cytoplasm = field.cell * (1 - np.float32(0.85) * field.nucleus) * thick
    out[0] = _dna(field, chromatin, rng)
    out[1] = _er(field, cytoplasm, net)
    out[2] = _actin(field, cytoplasm, slow, rng)
    out[3] = _rna(field, cytoplasm, fine, rng)
    out[4] = _mitochondria(field, cytoplasm, mito, slow)
    out[5] = _golgi(field, cytoplasm, fine, net, rng)
    return out


def _dna(field: Field, chromatin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    cells = field.cells
    stain = np.exp(rng.normal(0, 0.12, len(cells.parent)))
    condensed = cells.mitotic[cells.parent]
    stain = (stain * np.where(condensed, 1.7, 1.0)).astype(np.float32)[field.near]
    contrast = field.of_cell("chromatin_contrast") * ~condensed[field.near]
    tex = np.clip(1 + contrast * 1.4 * chromatin, 0.2, 2.5)
    return field.nucleus * stain * tex + np.float32(0.03) * field.cell


def _er(field: Field, cytoplasm: np.ndarray, net: np.ndarray) -> np.ndarray:
    fall = np.exp(-field.away / field.of_cell("er_decay"))
    tex = np.clip(1 + field.of_cell("er_texture") * net, 0.15, 2.5)
    return cytoplasm * (0.12 + fall) * tex


def _actin(
    field: Field, cytoplasm: np.ndarray, slow: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    cells = field.cells
    n = len(cells.angle)
    turn = cells.angle + rng.normal(0, 0.15, n)
    period = 6.0 * np.exp(rng.normal(0, 0.12, n))
    across = (
        field.x * (-np.sin(turn) / period).astype(np.float32)[field.owner]
        + field.y * (np.cos(turn) / period).astype(np.float32)[field.owner]
    )
    phase = across + rng.uniform(0, 1, n).astype(np.float32)[field.owner] + np.float32(0.22) * slow
    wave = np.cos(np.float32(2 * np.pi) * phase)
    bundle = np.maximum(wave, 0) ** 2 * np.clip(1 + np.float32(0.6) * slow, 0, 2)
    fibres = field.of_cell("actin_fibres") * ~cells.mitotic[field.owner]
    body = field.cell * (np.float32(0.18) + np.float32(0.75) * fibres * bundle)
    return (
        body * (1 - np.float32(0.25) * field.nucleus)
        + np.float32(0.9) * field.of_cell("actin_cortex") * field.rim
    )


def _rna(
    field: Field, cytoplasm: np.ndarray, fine: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    spots = _nucleoli(field, rng)
    fall = np.exp(-field.away / (np.float32(1.2) * field.of_cell("er_decay")))
    body = cytoplasm * (0.10 + 0.55 * fall) * np.clip(1 + np.float32(0.18) * fine, 0.3, 2)
    return body + field.nucleus * (0.28 + 0.6 * field.of_cell("nucleolus_contrast") * spots)


def _nucleoli(field: Field, rng: np.random.Generator) -> np.ndarray:
    """Round spots within nuclei, none in mitosis; (side, side)."""
    cells = field.cells
    m, most = len(cells.parent), 6
    count = np.minimum(
        1 + rng.poisson(np.maximum(cells.knobs["nucleoli"] - 1, 0)[cells.parent]), most
    )
    count = np.where(cells.mitotic[cells.parent], 0, count)
    r = 0.68 * np.sqrt(rng.uniform(size=(m, most)))
    theta = rng.uniform(0, 2 * np.pi, (m, most))
    size = cells.knobs["nucleolus_radius"][cells.parent][:, None] * np.exp(
        rng.normal(0, 0.25, (m, most))
    )
    along, across = (
        r * np.cos(theta) * cells.nucleus_axes[:, :1],
        r * np.sin(theta) * cells.nucleus_axes[:, 1:],
    )
    cos, sin = np.cos(cells.nucleus_angle)[:, None], np.sin(cells.nucleus_angle)[:, None]
    spot_y = cells.nucleus_centre[:, :1] + along * sin + across * cos
    spot_x = cells.nucleus_centre[:, 1:] + along * cos - across * sin
    rows, cols = np.nonzero(field.rho < 1.05)
    mine = field.near[rows, cols]
    d2 = (field.y[rows, cols, None] - spot_y[mine]) ** 2
    d2 += (field.x[rows, cols, None] - spot_x[mine]) ** 2
    absent = np.arange(most) >= count[:, None]
    inside = np.where(absent[mine], 0, np.exp(-d2 / (1.2 * size[mine] ** 2)))
    spots = np.zeros_like(field.rho)
    spots[rows, cols] = inside.max(1)
    return spots


def _mitochondria(
    field: Field, cytoplasm: np.ndarray, mito: np.ndarray, slow: np.ndarray
) -> np.ndarray:
    broken = field.of_cell("mito_fragments")
    threads = np.exp(-((mito / np.float32(0.42)) ** 2))
    grains = np.clip(mito - np.float32(0.25), 0, 2) ** 1.5
    network = (1 - broken) * threads + np.float32(1.15) * broken * grains
    fall = np.exp(-((field.away / field.of_cell("mito_decay")) ** 1.5))
    patchy = np.clip(1 + np.float32(0.25) * slow, 0.3, 2)
    return cytoplasm * (0.10 + fall * network * patchy)


def _golgi(
    field: Field,
    cytoplasm: np.ndarray,
    fine: np.ndarray,
    net: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    cells = field.cells
    first = np.searchsorted(cells.parent, np.arange(len(cells.angle)))
    side = cells.angle + rng.normal(0, 0.5, len(first)) + np.pi * rng.integers(0, 2, len(first))
    reach = np.sqrt(cells.nucleus_axes.prod(1))[first] + 1.5
    gy = (cells.nucleus_centre[first, 0] + reach * np.sin(side)).astype(np.float32)
    gx = (cells.nucleus_centre[first, 1] + reach * np.cos(side)).astype(np.float32)
    loose = np.where(cells.mitotic, 0.9, cells.knobs["golgi_dispersal"]).astype(np.float32)
    wide = (3.2 * np.exp(1.0 * loose)).astype(np.float32)[field.owner]
    d2 = (field.y - gy[field.owner]) ** 2 + (field.x - gx[field.owner]) ** 2
    ribbon = np.exp(-d2 / (2 * wide**2)) * np.clip(1 + np.float32(0.6) * net, 0, 3)
    around = np.exp(-field.away / np.float32(9))
    specks = np.clip(fine - np.float32(0.7), 0, 3) * np.float32(1.6) * around
    loose_px = loose[field.owner]
    amount = field.of_cell("golgi_amount") * cytoplasm * np.float32(0.42)
    golgi = amount * ((1 - loose_px) * ribbon + loose_px * specks)
    return golgi + np.float32(0.16) * field.cell + np.float32(0.35) * field.rim


def _grain(cells: Cells, name: str) -> tuple[float, float]:
    """A knob of untreated and of treated cells; where one kind is missing, the other's."""
    value, acted = cells.knobs[name], cells.treated
    there = {kind: value[acted == kind] for kind in (False, True)}
    either = {kind: float(v[0]) if len(v) else float(value[0]) for kind, v in there.items()}
    return either[False], either[True]


def _measure(
    centre: np.ndarray, axes: np.ndarray, angle: np.ndarray, y: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """Squared elliptic distance of every pixel from every centre, (n, side * side)."""
    y, x = y.ravel(), x.ravel()
    terms = np.stack([y * y, x * y, x * x, y, x, np.ones_like(x)])
    return quadratic(centre, axes, angle) @ terms


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


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function, of float32."""
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def noise(
    side: int,
    um_per_px: float,
    periods: tuple[float, ...],
    rng: np.random.Generator,
    same: tuple[tuple[int, int], ...] = (),
) -> np.ndarray:
    """Random textures of mean 0 and SD 1 with a given period each.

    Parameters
    ----------
    side : int
        Height and width, px.
    um_per_px : float
    periods : tuple of float
        um.
    rng : Generator
    same : tuple of (int, int)
        Pairs of textures made of the same waves, in step but for their period.

    Returns
    -------
    ndarray of float32, shape (len(periods), side, side)
    """
    shape = (len(periods), side, side // 2 + 1)
    waves = rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    for first, second in same:
        waves[second] = waves[first]
    band = np.stack([_band(side, um_per_px, round(float(p), 3)) for p in periods])
    return fft.irfft2(waves * band, s=(side, side), axes=(1, 2))


@lru_cache(maxsize=4096)
def _band(side: int, um_per_px: float, period: float) -> np.ndarray:
    """Weights of the frequencies around one over a period, for noise of SD 1."""
    fy = fft.fftfreq(side)[:, None] / um_per_px
    fx = fft.rfftfreq(side)[None, :] / um_per_px
    f = np.sqrt(fy**2 + fx**2)
    width = 0.35 / period
    band = np.exp(-((f - 1 / period) ** 2) / (2 * width**2))
    band[0, 0] = 0
    # Waves off the borders of the half spectrum stand for two.
    twice = np.full(band.shape[1], 2.0)
    twice[0] = 1
    if side % 2 == 0:
        twice[-1] = 1
    # |wave|^2 is 2 on average; the inverse transform divides by side ** 2.
    power = 2 * (band**2 * twice).sum() / side**4
    return (band / np.sqrt(power)).astype(np.float32)
