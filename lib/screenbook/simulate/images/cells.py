"""Where cells lie and what shape they have: positions, territories, nuclei.

A cell is an ellipse with bays; where two meet, each pixel belongs to the one in whose own
measure it is nearer (a Voronoi diagram with a metric for each cell), which makes the polygons
of a confluent layer. All lengths are in um, from the centre of the field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cells:
    """The n cells of a field and their m nuclei.

    Attributes
    ----------
    centre : ndarray, shape (n, 2)
        y and x.
    axes : ndarray, shape (n, 2)
        Half axes along and across, um.
    angle : ndarray, shape (n,)
        Of the long axis, radians.
    treated, mitotic : ndarray of bool, shape (n,)
    knobs : dict of str to ndarray, shape (n,)
        Every biology knob of each cell.
    parent : ndarray of int, shape (m,)
        Cell of each nucleus.
    nucleus_centre, nucleus_axes, nucleus_angle : ndarray
        As for cells, shape (m, ...).
    """

    centre: np.ndarray
    axes: np.ndarray
    angle: np.ndarray
    treated: np.ndarray
    mitotic: np.ndarray
    knobs: dict[str, np.ndarray]
    parent: np.ndarray
    nucleus_centre: np.ndarray
    nucleus_axes: np.ndarray
    nucleus_angle: np.ndarray


def place_cells(
    base: dict[str, float],
    treated: dict[str, float],
    responders: float,
    *,
    extent_um: float,
    cell_spread: float,
    size: float,
    density: float,
    rng: np.random.Generator,
) -> Cells:
    """Draw the cells of a field.

    Parameters
    ----------
    base, treated : dict of str to float
        Knobs of cells that a compound leaves alone, and of those that it acts on.
    responders : float
        Share of the latter.
    extent_um : float
        Height and width that cells must cover.
    cell_spread : float
        SD of log size and shape between cells.
    size, density : float
        Factors of the batch.
    rng : Generator

    Returns
    -------
    Cells
    """
    mix = {k: base[k] + responders * (treated[k] - base[k]) for k in base}
    side = extent_um + 1.4 * mix["cell_radius"]
    # Settled cells keep apart: their number varies less than a Poisson variable.
    n = max(int(mix["density"] * density * side**2 * 1e-6 + rng.uniform()), 1)
    acted_on = rng.uniform(size=n) < responders
    knobs = {k: np.where(acted_on, treated[k], base[k]) for k in base}
    for name in ("cell_radius", "nucleus_radius"):
        knobs[name] = knobs[name] * size * np.exp(rng.normal(0, cell_spread, n))
    for name in ("cell_aspect", "nucleus_aspect"):
        # A strong effect may ask for less than a circle, which there is not.
        longer = np.maximum(knobs[name] - 1, 0)
        knobs[name] = 1 + longer * np.exp(rng.normal(0, 3 * cell_spread, n))
    mitotic = rng.uniform(size=n) < knobs["mitotic"]
    knobs["cell_radius"] = np.where(mitotic, 1.5 * knobs["nucleus_radius"], knobs["cell_radius"])
    knobs["cell_aspect"] = np.where(mitotic, 1.08, knobs["cell_aspect"])
    centre = _spread_out(n, side, mix, knobs, rng)
    heading = rng.uniform(0, np.pi)
    angle = heading + rng.normal(0, 1, n) * (1.6 * (1 - mix["alignment"]) + 0.08)
    stretch = np.sqrt(knobs["cell_aspect"])
    axes = np.stack([knobs["cell_radius"] * stretch, knobs["cell_radius"] / stretch], 1)
    nuclei = _nuclei(centre, angle, knobs, mitotic, rng)
    return Cells(centre, axes, angle, acted_on, mitotic, knobs, *nuclei)


def _spread_out(
    n: int,
    side: float,
    mix: dict[str, float],
    knobs: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Centres that keep their distance; those of an island lie together."""
    centre = rng.uniform(-side / 2, side / 2, size=(n, 2))
    islander = rng.uniform(size=n) < mix["clustering"]
    n_islands = max(int(np.ceil(islander.sum() / 14)), 1)
    island = rng.uniform(-side / 2, side / 2, size=(n_islands, 2))
    home = rng.integers(n_islands, size=n)
    room = 1.9 * mix["nucleus_radius"]  # between neighbours in an island
    around = island[home] + rng.normal(0, room * 1.2, size=(n, 2))
    centre[islander] = around[islander]
    want = np.where(islander, 0.5 * room * 1.25, 0.72 * knobs["cell_radius"])
    want = np.maximum(want, 1.1 * knobs["nucleus_radius"])
    apart = want[:, None] + want[None, :]
    for _ in range(10):
        step = centre[:, None] - centre[None]
        far = np.sqrt((step**2).sum(-1)) + 1e-6
        push = np.maximum(apart - far, 0) / far
        np.fill_diagonal(push, 0)
        centre = centre + 0.3 * (step * push[..., None]).sum(1)
    return centre


def _nuclei(
    centre: np.ndarray,
    angle: np.ndarray,
    knobs: dict[str, np.ndarray],
    mitotic: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Parents, centres, half axes and angles of all nuclei; in mitosis, of the chromosomes."""
    n = len(centre)
    radius, stretch = knobs["nucleus_radius"], np.sqrt(knobs["nucleus_aspect"])
    several = (rng.uniform(size=n) < knobs["multinucleate"]) & ~mitotic
    anaphase = mitotic & (rng.uniform(size=n) < 0.35)
    count = np.where(several, rng.choice([2, 3], size=n, p=[0.75, 0.25]), 1)
    count = np.where(anaphase, 2, count)
    parent = np.repeat(np.arange(n), count)
    turn = angle + rng.normal(0, 0.25, n)
    order = np.arange(len(parent)) - np.repeat(np.cumsum(count) - count, count)
    # Several nuclei sit around the middle of the cell, the two plates of anaphase face each other.
    around = turn[parent] + order * 2 * np.pi / count[parent]
    off = np.where(several, 0.85, 0.0) + np.where(anaphase, 0.55, 0.0)
    off = (off * radius)[parent]
    middle = (
        centre + rng.normal(0, 0.10, (n, 2)) * knobs["cell_radius"][:, None] * ~mitotic[:, None]
    )
    at = middle[parent] + off[:, None] * np.stack([np.sin(around), np.cos(around)], 1)
    smaller = np.where(several, 0.78, 1.0)
    axes = np.stack([radius * stretch * smaller, radius / stretch * smaller], 1)
    plate = np.stack([radius * 0.75, radius * np.where(anaphase, 0.26, 0.36)], 1)
    axes = np.where(mitotic[:, None], plate, axes)[parent]
    facing = np.where(mitotic, turn + np.pi / 2, turn)[parent]
    facing = facing + np.where(several[parent], rng.normal(0, 0.6, len(parent)), 0.0)
    return parent, at, axes, facing


def quadratic(centre: np.ndarray, axes: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Coefficients of squared elliptic distance in (yy, xy, xx, y, x, 1).

    Parameters
    ----------
    centre, axes : ndarray, shape (n, 2)
    angle : ndarray, shape (n,)

    Returns
    -------
    ndarray of float32, shape (n, 6)
        Their sum over the six terms is 1 on the ellipse.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    along, across = 1 / axes[:, 0] ** 2, 1 / axes[:, 1] ** 2
    yy = sin**2 * along + cos**2 * across
    xx = cos**2 * along + sin**2 * across
    xy = 2 * sin * cos * (along - across)
    y, x = centre[:, 0], centre[:, 1]
    terms = (yy, xy, xx, -2 * yy * y - xy * x, -2 * xx * x - xy * y)
    constant = yy * y**2 + xy * x * y + xx * x**2
    return np.stack([*terms, constant], 1).astype(np.float32)
