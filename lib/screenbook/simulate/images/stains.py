"""How much light each of the six stains gives at every pixel of a field of cells."""

from __future__ import annotations

import numpy as np
from scipy import fft

from screenbook.simulate.images.cells import Cells
from screenbook.simulate.images.field import Field
from screenbook.simulate.images.spec import CHANNELS
from screenbook.simulate.images.textures import noise

BUNDLE_PERIOD, BUNDLE_STEP = 6.0, 0.25
"""um: mean spacing of stress fibres, and how finely they are drawn."""

LOOSE = np.float32(0.4)
"""Brightness of stain that is bound to nothing."""


def stain(field: Field, rng: np.random.Generator, loose: np.ndarray) -> np.ndarray:
    """Paint the six stains.

    Parameters
    ----------
    field : Field
    rng : Generator
    loose : ndarray, shape (6,)
        Share of each stain that fills cells evenly.

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
        (*knobs["chromatin_grain"], *knobs["mito_grain"], 4.0, 18.0, 3.2),
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
    thick = thick * field.of_cell("thickness")
    cytoplasm = field.cell * (1 - np.float32(0.85) * field.nucleus) * thick
    spots = _nucleoli(field, rng)
    out[0] = _dna(field, chromatin, spots, rng)
    out[1] = _er(field, cytoplasm, net)
    out[2] = _actin(field, cytoplasm, slow, rng)
    out[3] = _rna(field, cytoplasm, fine, spots)
    out[4] = _mitochondria(field, cytoplasm, mito, slow)
    out[5] = _golgi(field, cytoplasm, fine, net, rng)
    share = loose.astype(np.float32)[:, None, None]
    return (1 - share) * out + share * LOOSE * field.cell


def _dna(
    field: Field, chromatin: np.ndarray, spots: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    cells = field.cells
    stain = np.exp(rng.normal(0, 0.12, len(cells.parent)))
    condensed = cells.mitotic[cells.parent]
    stain = (stain * np.where(condensed, 1.7, 1.0)).astype(np.float32)[field.near]
    contrast = field.of_cell("chromatin_contrast") * ~condensed[field.near]
    tex = np.clip(1 + contrast * 1.4 * chromatin, 0.2, 2.5) * (1 - np.float32(0.35) * spots)
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
    across = (
        field.x * (-np.sin(turn)).astype(np.float32)[field.owner]
        + field.y * np.cos(turn).astype(np.float32)[field.owner]
        + np.float32(0.8) * slow
    )
    # Bundles of all strengths at uneven spacing; each cell shows another stretch of the line.
    line, step = _bundles(rng), np.float32(1 / BUNDLE_STEP)
    start = rng.uniform(0, len(line), n).astype(np.float32)[field.owner]
    bundle = line[(across * step + start).astype(np.int32) % len(line)]
    bundle = bundle * np.clip(1 + np.float32(0.45) * slow, 0, 2)
    fibres = field.of_cell("actin_fibres") * ~cells.mitotic[field.owner]
    body = field.cell * (np.float32(0.18) + np.float32(0.75) * fibres * bundle)
    return (
        body * (1 - np.float32(0.25) * field.nucleus)
        + np.float32(0.9) * field.of_cell("actin_cortex") * field.rim
    )


def _bundles(rng: np.random.Generator) -> np.ndarray:
    """Brightness of stress fibres along a line across them, every `BUNDLE_STEP` um."""
    n, period = 2048, BUNDLE_PERIOD / BUNDLE_STEP
    f = fft.rfftfreq(n)
    band = np.exp(-((f * period - 1) ** 2) / (2 * 0.4**2))
    waves = rng.normal(size=(2, len(f)))
    wave = fft.irfft((waves[0] + 1j * waves[1]) * band)
    return np.maximum(wave / wave.std(), 0).astype(np.float32) ** np.float32(1.4)


def _rna(field: Field, cytoplasm: np.ndarray, fine: np.ndarray, spots: np.ndarray) -> np.ndarray:
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
    """Look up a knob of untreated and of treated cells; of a missing kind, the other's."""
    value, acted = cells.knobs[name], cells.treated
    there = {kind: value[acted == kind] for kind in (False, True)}
    either = {kind: float(v[0]) if len(v) else float(value[0]) for kind, v in there.items()}
    return either[False], either[True]
