"""Fields of many channels as pictures for the eye: greys and colours, never for a computation.

A screen shows three colours and a field has five or six channels, so a composite loses: what it
is for is a look. Every channel gets a hue of its own and is screened over the others, which
keeps bright places from clipping to white.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from screenbook.errors import InputError, listing

CHANNEL_COLOURS = {
    "DNA": "#2b4bff",
    "ER": "#1fd655",
    "actin": "#ff2a2a",
    "RNA": "#1fd8d8",
    "mitochondria": "#ff3df0",
    "Golgi": "#ffe81f",
}
"""Hue of each channel, after the composites in which RxRx1 was published (rxrx.ai/rxrx1):
nuclei blue, endoplasmic reticulum green, actin red, nucleoli cyan, mitochondria magenta, Golgi
yellow."""

# Channels that fill the cell would drown the others at 1.
_STRENGTH = {"DNA": 1.0, "ER": 0.4, "actin": 0.8, "RNA": 0.3, "mitochondria": 0.4, "Golgi": 0.6}
_OTHER_STRENGTH = 0.7


def display_limits(pixels: Any, low: float = 1.0, high: float = 99.7) -> np.ndarray:
    """Intensities that are shown black and full, for every channel, over all fields given.

    Fields shown with the same limits can be compared by eye; limits of each field alone would
    hide what a batch does to brightness.

    Parameters
    ----------
    pixels : array, shape (n, channel, y, x)
        Fields, of any number type.
    low, high : float
        Percentiles of a channel's pixels, 0 to 100.

    Returns
    -------
    ndarray of float64, shape (channel, 2)

    Raises
    ------
    InputError
        If `pixels` has another shape or no field, or `low` is not below `high`.
    """
    fields = _fields(pixels)
    if not 0 <= low < high <= 100:
        raise InputError(
            f"display limits: percentiles {low:g} and {high:g}; 0 <= low < high <= 100"
        )
    by_channel = np.moveaxis(fields, 1, 0).reshape(fields.shape[1], -1)
    return np.percentile(by_channel, [low, high], axis=1).T


def greys(pixels: Any, limits: np.ndarray | None = None, *, gamma: float = 1.0) -> np.ndarray:
    """Scale every channel from black to white.

    Parameters
    ----------
    pixels : array, shape (n, channel, y, x)
        Fields.
    limits : ndarray, shape (channel, 2), optional
        Of :func:`display_limits`; those of `pixels` themselves if none are given. A channel
        whose limits are equal is black.
    gamma : float
        Exponent; below 1 lifts what is faint.

    Returns
    -------
    ndarray of uint8, shape (n, channel, y, x)

    Raises
    ------
    InputError
        If shapes do not fit.
    """
    return np.rint(255 * _scaled(pixels, limits, gamma)).astype(np.uint8)


def composite(
    pixels: Any,
    channels: Sequence[str],
    limits: np.ndarray | None = None,
    *,
    colours: Mapping[str, str] | None = None,
    gamma: float = 1.2,
) -> np.ndarray:
    """Blend the channels of every field into one colour picture, for display only.

    The complement of the result is the product of the channels' complements (screen blending),
    so that channels add where they are faint and saturate softly.

    Parameters
    ----------
    pixels : array, shape (n, channel, y, x)
        Fields.
    channels : sequence of str
        Their names.
    limits : ndarray, shape (channel, 2), optional
        See :func:`greys`.
    colours : mapping of str to str, optional
        ``#RRGGBB`` for each channel, at full strength; otherwise :data:`CHANNEL_COLOURS`, and
        hues around the circle for channels that it does not name.
    gamma : float
        See :func:`greys`.

    Returns
    -------
    ndarray of uint8, shape (n, y, x, 3)
        Red, green and blue.

    Raises
    ------
    InputError
        If there are not as many names as channels, or a colour cannot be read.
    """
    scaled = _scaled(pixels, limits, gamma)
    if len(channels) != scaled.shape[1]:
        raise InputError(
            f"composite: {len(channels)} channel names ({listing(channels)}) for fields of "
            f"{scaled.shape[1]} channels; give one name for each"
        )
    hues = _hues(channels, colours)
    dark = np.ones((len(scaled), *scaled.shape[2:], 3), dtype=np.float32)
    for plane, hue in zip(np.moveaxis(scaled, 1, 0), hues, strict=True):
        dark *= 1 - plane[..., None] * hue
    return np.rint(255 * (1 - dark)).astype(np.uint8)


def mosaic(planes: Any, columns: int, *, gap: int = 1) -> np.ndarray:
    """Lay planes (feature maps, filters) side by side, each from its own darkest to brightest.

    Parameters
    ----------
    planes : array, shape (n, y, x)
        Numbers of any sign; a plane without contrast is black.
    columns : int
        Planes in a row.
    gap : int
        Pixels of mid-grey between them.

    Returns
    -------
    ndarray of uint8, shape (rows * (y + gap) - gap, columns * (x + gap) - gap)

    Raises
    ------
    InputError
        If `planes` has another shape or none, or `columns` is below 1.
    """
    planes = np.asarray(planes, dtype=np.float32)
    if planes.ndim != 3 or not planes.size or columns < 1:
        raise InputError(
            f"mosaic: planes of shape {planes.shape} in {columns} columns; (n, y, x), n and "
            "columns at least 1"
        )
    n, height, width = planes.shape
    low = planes.min(axis=(1, 2), keepdims=True)
    span = planes.max(axis=(1, 2), keepdims=True) - low
    shown = np.rint(255 * (planes - low) / np.where(span > 0, span, 1)).astype(np.uint8)
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap), columns * (width + gap)), 128, dtype=np.uint8)
    for i, plane in enumerate(shown):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = plane
    return sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]


def _fields(pixels: Any) -> np.ndarray:
    fields = np.asarray(pixels)
    if fields.ndim != 4 or not fields.size:
        raise InputError(
            f"fields of shape {fields.shape}: (n, channel, y, x) with at least one field is needed"
        )
    return fields


def _scaled(pixels: Any, limits: np.ndarray | None, gamma: float) -> np.ndarray:
    """Scale from 0 to 1 between the limits; float32, shape (n, channel, y, x)."""
    fields = _fields(pixels)
    limits = display_limits(fields) if limits is None else np.asarray(limits, dtype=np.float64)
    if limits.shape != (fields.shape[1], 2):
        raise InputError(
            f"display limits of shape {limits.shape} for fields of {fields.shape[1]} channels; "
            "give (channel, 2), as display_limits() does"
        )
    low, high = limits.T[:, None, :, None, None]
    span = np.where(high > low, high - low, np.inf)  # without contrast: black
    scaled = np.nan_to_num((fields - low) / span).clip(0, 1).astype(np.float32)
    return scaled if gamma == 1 else scaled**gamma


def _hues(channels: Sequence[str], colours: Mapping[str, str] | None) -> np.ndarray:
    """Red, green and blue of every channel, 0 to 1; float32, shape (channel, 3)."""
    hues = np.empty((len(channels), 3), dtype=np.float32)
    for i, name in enumerate(channels):
        if colours is not None and name in colours:
            hues[i] = _rgb(colours[name], name)
        elif name in CHANNEL_COLOURS:
            strength = _STRENGTH.get(name, _OTHER_STRENGTH)
            hues[i] = strength * _rgb(CHANNEL_COLOURS[name], name)
        else:
            hues[i] = np.multiply(_OTHER_STRENGTH, colorsys.hsv_to_rgb(i / len(channels), 0.85, 1))
    return hues


def _rgb(colour: str, channel: str) -> np.ndarray:
    digits = colour.removeprefix("#")
    try:
        if len(digits) != 6:
            raise ValueError
        return np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)], dtype=np.float32) / 255
    except ValueError:
        raise InputError(
            f"colour {colour!r} of channel {channel!r} cannot be read; give #RRGGBB"
        ) from None
