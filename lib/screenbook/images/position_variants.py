"""The same question put in other ways, each of which leaves one explanation out or puts one in.

A net that concatenates has to see how the centre and its neighbour differ; that is the method.
What else could tell the direction is told apart by its controls: edges that run on (no gap), the
place of a single patch (a blind net, under even light, under a vignette and in the grid of a
JPEG file), and a merge that cannot know left from right (adding).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from screenbook.errors import InputError
from screenbook.images.normalise import How, normalise
from screenbook.images.position_training import PositionSettings
from screenbook.images.shortcuts import (
    pooled,
    with_jpeg_grid,
    with_vignette,
    without_illumination,
)

TRACES = ("none", "as recorded", "vignette", "JPEG")


@dataclass(frozen=True)
class Variant:
    """One way to put the question.

    Attributes
    ----------
    name : str
        For tables and figures.
    merge : {"concat", "add", "blind"}
    gap : bool
        Whether margins are cut from the tiles.
    trace : {"none", "as recorded", "vignette", "JPEG"}
        What the pictures show of the place in the field: nothing, as the uneven light was
        divided out; what the microscope left; or, on top of the first, what was put there.
    widths : tuple of int
        Filters of the trunk; empty for those of the settings.
    """

    name: str
    merge: str = "concat"
    gap: bool = True
    trace: str = "none"
    widths: tuple[int, ...] = ()


VARIANTS = (
    Variant("concat"),
    Variant("concat, 64-16-4", widths=(64, 16, 4)),
    Variant("add", "add"),
    Variant("blind", "blind"),
    Variant("concat, no gap", gap=False),
    Variant("add, no gap", "add", gap=False),
    Variant("blind, as recorded", "blind", trace="as recorded"),
    Variant("blind, vignette", "blind", trace="vignette"),
    Variant("add, vignette", "add", trace="vignette"),
    Variant("concat, vignette", trace="vignette"),
    Variant("blind, JPEG", "blind", trace="JPEG"),
)
"""The method, and what it is compared with."""


def traced_images(
    pixels: np.ndarray,
    batch: np.ndarray,
    control: np.ndarray,
    trace: str = "none",
    *,
    how: How = "plate",
    pool: int = 2,
    vignette_depth: float = 0.4,
    jpeg_quality: int = 50,
) -> np.ndarray:
    """Normalised fields with or without a trace of the place of a patch.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, channel, y, x)
        As recorded.
    batch : ndarray, shape (n,)
        Plate of each field.
    control : ndarray of bool, shape (n,)
        Negative controls, which the scale comes from.
    trace : {"none", "as recorded", "vignette", "JPEG"}
        See :class:`Variant`.
    how : {"plate", "global"}
        See :func:`screenbook.images.normalise.normalise`.
    pool : int
        Average squares of so many pixels; traces are put on afterwards.
    vignette_depth : float
        See :func:`screenbook.images.shortcuts.with_vignette`.
    jpeg_quality : int
        See :func:`screenbook.images.shortcuts.with_jpeg_grid`.

    Returns
    -------
    ndarray of float32, shape (n, channel, y // pool, x // pool)
    """
    if trace not in TRACES:
        raise InputError(f"trace {trace!r} is none of {', '.join(TRACES)}")
    if trace == "as recorded":
        fields = pooled(pixels, pool)
    else:
        fields = without_illumination(pixels, batch, pool=pool)
    if trace == "vignette":
        fields = with_vignette(fields, vignette_depth)
    elif trace == "JPEG":
        fields = with_jpeg_grid(fields, jpeg_quality)
    return normalise(fields, batch, control, how)


def variant_settings(variant: Variant, settings: PositionSettings) -> PositionSettings:
    """Change the settings given by what makes the variant.

    The grid of a JPEG file lies fixed in the field, so fields are not turned and patches not
    moved where it is to be found.
    """
    net = replace(settings.net, merge=variant.merge, widths=variant.widths or settings.net.widths)
    grid, turn = settings.grid, settings.turn
    if not variant.gap:
        grid = replace(grid, margin_px=0, jitter_px=0)
    if variant.trace == "JPEG":
        grid, turn = replace(grid, jitter_px=0, random_anchor=False), False
    return replace(settings, net=net, grid=grid, turn=turn)
