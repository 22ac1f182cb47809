"""Draw the fields of a design, on one core or several, all of them or some."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import fft

from screenbook.processes import in_processes
from screenbook.simulate.images.cells import Cells, place_cells
from screenbook.simulate.images.design import Design, design_images, field_stream
from screenbook.simulate.images.field import lay_out_field
from screenbook.simulate.images.knobs import KNOBS
from screenbook.simulate.images.optics import Optics, photograph
from screenbook.simulate.images.spec import CHANNELS, ImageSpec
from screenbook.simulate.images.stains import stain

MARGIN_UM = 8.0
"""Drawn around a field, so that what lies outside blurs into it."""

_BLOCK = 64  # fields that a process draws before it hands them over


@dataclass(frozen=True)
class SimulatedImages:
    """A simulated image set.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (n, 6, size_px, size_px)
    obs : DataFrame
        See :class:`~screenbook.simulate.images.design.Design`.
    channels : tuple of str
    truth : DataFrame
        One row a field, index as in `obs`: every biology knob as the well's cells have it on
        average (``biology_``), ``responders``, the stain that wells took up (``well_``), every
        number of the batch (``batch_``), and the cells drawn (``n_cells``, ``n_mitotic``,
        ``n_multinucleate``, ``n_affected``).
    """

    pixels: np.ndarray
    obs: pd.DataFrame
    channels: tuple[str, ...]
    truth: pd.DataFrame


def simulate_images(
    spec: ImageSpec, jobs: int = 1, tell: Callable[[int, int], None] | None = None
) -> SimulatedImages:
    """Simulate an image set.

    Parameters
    ----------
    spec : ImageSpec
    jobs : int
        Processes; the pictures do not depend on it.
    tell : callable, optional
        Called with the number of fields drawn and to be drawn, time and again.

    Returns
    -------
    SimulatedImages
    """
    design = design_images(spec)
    pixels, counts = render_fields(design, np.arange(len(design.obs)), jobs, tell)
    return SimulatedImages(pixels, design.obs, CHANNELS, truth_table(design, counts))


def render_fields(
    design: Design,
    rows: np.ndarray,
    jobs: int = 1,
    tell: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Draw some fields of a design, just as they are among all others.

    Parameters
    ----------
    design : Design
    rows : ndarray of int, shape (n,)
        Of ``design.obs``.
    jobs : int
        Processes.
    tell : callable, optional
        Called with the number of fields drawn and n.

    Returns
    -------
    pixels : ndarray of uint8, shape (n, 6, size_px, size_px)
    counts : DataFrame
        ``n_cells n_mitotic n_multinucleate n_affected`` of each field (its centre, not its
        margin).
    """
    spec, rows = design.spec, np.asarray(rows)
    pixels = np.empty((len(rows), len(CHANNELS), spec.size_px, spec.size_px), np.uint8)
    counts = np.empty((len(rows), len(COUNTS)), np.int64)
    starts = range(0, len(rows), _BLOCK)
    records = design.biology.to_dict("records")
    batches = design.obs["batch"].to_numpy()

    def block(start: int) -> list[tuple[dict, Optics]]:
        here = rows[start : start + _BLOCK]
        return [(records[i], design.optics[batches[i]]) for i in here]

    work = ((spec, block(start)) for start in starts)
    done = 0
    for drawn, counted in in_processes(_render_block, work, jobs=jobs):
        pixels[done : done + len(drawn)] = drawn
        counts[done : done + len(drawn)] = counted
        done += len(drawn)
        if tell:
            tell(done, len(rows))
    return pixels, pd.DataFrame(counts, columns=list(COUNTS), index=design.obs.index[rows])


COUNTS = ("n_cells", "n_mitotic", "n_multinucleate", "n_affected")


def _render_block(
    spec: ImageSpec, fields: list[tuple[dict, Optics]]
) -> tuple[np.ndarray, np.ndarray]:
    drawn = [draw_field(spec, record, optics) for record, optics in fields]
    return np.stack([p for p, _ in drawn]), np.array([c for _, c in drawn])


def canvas_px(spec: ImageSpec) -> int:
    """Side of the canvas that a field is cut from: a size that transforms fast."""
    margin = 2 * math.ceil(MARGIN_UM / spec.um_per_px)
    side = fft.next_fast_len(spec.size_px + margin, real=True)
    return side + (side - spec.size_px) % 2


def draw_field(
    spec: ImageSpec, record: dict, optics: Optics
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Draw one field.

    Parameters
    ----------
    spec : ImageSpec
    record : dict
        Its row of ``Design.biology``.
    optics : Optics
        Of its batch.

    Returns
    -------
    pixels : ndarray of uint8, shape (6, size_px, size_px)
    counts : tuple of int
        As :data:`COUNTS`.
    """
    cells, paint, camera = _place(spec, record, optics)
    field = lay_out_field(cells, canvas_px(spec), spec.um_per_px, paint)
    light = stain(field, paint, optics.loose)
    uptake = [record[f"stain_{name}"] for name in CHANNELS]
    light *= np.array(uptake, dtype=np.float32)[:, None, None]
    inside = (np.abs(cells.centre) < spec.size_px * spec.um_per_px / 2).all(1)
    nuclei = np.bincount(cells.parent, minlength=len(inside))
    counts = (
        int(inside.sum()),
        int((inside & cells.mitotic).sum()),
        int((inside & (nuclei > 1) & ~cells.mitotic).sum()),
        int((inside & cells.treated).sum()),
    )
    return photograph(light, optics, spec, camera), counts


def _place(
    spec: ImageSpec, record: dict, optics: Optics
) -> tuple[Cells, np.random.Generator, np.random.Generator]:
    """Place the cells of a field; with the streams that paint and photograph it."""
    place, paint, camera = field_stream(spec, record["identity"]).spawn(3)
    cells = place_cells(
        {k: record[f"base_{k}"] for k in KNOBS},
        {k: record[f"treated_{k}"] for k in KNOBS},
        record["responders"],
        extent_um=canvas_px(spec) * spec.um_per_px,
        cell_spread=spec.cell_spread,
        size=optics.size,
        density=optics.density * np.exp(place.normal(0, spec.density_spread)),
        rng=place,
    )
    return cells, paint, camera


def nucleus_table(design: Design) -> pd.DataFrame:
    """Tabulate every nucleus of a design, without drawing any field.

    Returns
    -------
    DataFrame
        ``field`` (index of ``design.obs``), ``cell`` (number in its field), ``y`` and ``x``
        (centre, pixels of the field), ``treated`` (whether a compound acts on it), ``mitotic``;
        nuclei whose centre lies in a field only.
    """
    spec, parts = design.spec, []
    batches = design.obs["batch"].to_numpy()
    records = design.biology.to_dict("records")
    for name, batch, record in zip(design.obs.index, batches, records, strict=True):
        cells, _, _ = _place(spec, record, design.optics[batch])
        # Pixel centres are whole numbers, and the middle of the field is (0, 0) um.
        at = cells.nucleus_centre / spec.um_per_px + (spec.size_px - 1) / 2
        part = pd.DataFrame({"field": name, "cell": cells.parent, "y": at[:, 0], "x": at[:, 1]})
        part["treated"] = cells.treated[cells.parent]
        part["mitotic"] = cells.mitotic[cells.parent]
        parts.append(part[((at > -0.5) & (at < spec.size_px - 0.5)).all(axis=1)])
    return pd.concat(parts, ignore_index=True)


def truth_table(design: Design, counts: pd.DataFrame) -> pd.DataFrame:
    """Tabulate what is true of the fields in `counts`, see :class:`SimulatedImages`."""
    biology = design.biology.loc[counts.index]
    share = biology["responders"]
    knobs = {
        f"biology_{k}": biology[f"base_{k}"]
        + share * (biology[f"treated_{k}"] - biology[f"base_{k}"])
        for k in KNOBS
    }
    stains = biology[[f"stain_{name}" for name in CHANNELS]].add_prefix("well_")
    batch = pd.DataFrame({name: o.table() for name, o in design.optics.items()}).T
    batch = batch.loc[design.obs.loc[counts.index, "batch"]].set_axis(counts.index)
    return pd.concat(
        [pd.DataFrame(knobs), share.rename("responders"), stains, batch, counts], axis=1
    )
