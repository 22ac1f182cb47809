"""Where the cells of a field are: nuclei from the DNA stain, cells around them.

The steps are those that most pipelines share, as scikit-image has them. The ground under the
nuclei is taken off by a grey opening, wider than a nucleus; Otsu's threshold
(10.1109/TSMC.1979.4310076) parts nuclei from the rest; nuclei that touch are split by a watershed
of their distance map (Meyer 1994, 10.1016/0165-1684(94)90060-4). From there every pixel of the
cytoplasm goes to the nucleus that it is nearest to, without crossing what is no cytoplasm.

All lengths follow from one number, the diameter of a nucleus in pixels.

On five fields of the NF1 Cell Painting data (16 bits, 20 to 30 nuclei), all at 60 px, nuclei agree
with the masks shipped with them with a Dice of 0.96 to 0.98 and an F1 at half overlap of 0.95 to
1, on the two fields that were looked at before as on the three that were not. Cells have a Dice
of 0.74 to 0.93; their masks melt touching cells into one, so they say nothing of the borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.image_set import ImageSet
from screenbook.processes import run_each

NUCLEAR = ("DNA", "DAPI", "Hoechst", "nucleus", "nuclei", "H33342", "DRAQ5")
"""Names, or parts of names, of channels that show nuclei."""

_FIELDS_IN_BLOCK = 16  # fields that a process takes at once


@dataclass(frozen=True)
class SegmentationSettings:
    """How fields are segmented; one setting for all fields of a set.

    Attributes
    ----------
    nucleus_px : float
        Diameter of a typical nucleus, px.
    nuclear : str
        Channel of the nuclei; ``""`` takes the one whose name says so, see :data:`NUCLEAR`.
    cytoplasm : tuple of str
        Channels that show whole cells; empty for all others.
    area_range : tuple of float
        Smallest and largest nucleus, as a multiple of the area of a typical one.
    contrast : float
        How far a nucleus stands out at least, in SD of the ground.
    split_distance : float
        Centres of touching nuclei lie at least so far apart, in diameters.
    reach : float
        Cells end so far from their nucleus at most, in diameters.
    """

    nucleus_px: float
    nuclear: str = ""
    cytoplasm: tuple[str, ...] = ()
    area_range: tuple[float, float] = (0.2, 5.0)
    contrast: float = 4.0
    split_distance: float = 0.55
    reach: float = 3.0

    def __post_init__(self) -> None:
        if not self.nucleus_px >= 3:
            raise InputError(
                f"nucleus_px = {self.nucleus_px}: a nucleus of fewer than 3 pixels cannot be seen; "
                "give its diameter in pixels"
            )


@dataclass(frozen=True)
class Segmentation:
    """The cells of some fields.

    Attributes
    ----------
    nuclei, cells : ndarray of int32, shape (n, y, x)
        0 is ground; a cell and its nucleus have the same number, from 1 in each field.
    table : DataFrame
        One row a cell: ``field`` (index of the image set), ``cell`` (its number), ``y`` and ``x``
        (centre of the nucleus, px), ``nucleus_area``, ``cell_area`` (px), ``touches_border``
        (nucleus or cell), ``row`` (place of the field in the set).
    """

    nuclei: np.ndarray
    cells: np.ndarray
    table: pd.DataFrame


def nuclear_channel(channels: Sequence[str], name: str = "") -> int:
    """Find the channel of the nuclei.

    Parameters
    ----------
    channels : sequence of str
    name : str
        Which it is; ``""`` to go by names.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If the one named is not there, or not exactly one has a name that says so.
    """
    if name:
        return _channel(channels, name)
    found = [c for c in channels if any(word.casefold() in c.casefold() for word in NUCLEAR)]
    if len(found) != 1:
        which = f"{listing(found)} could each be" if found else "none of them is known to be"
        raise InputError(
            f"channels {listing(channels)}: {which} the channel of the nuclei; name it as `nuclear`"
        )
    return list(channels).index(found[0])


def _channel(channels: Sequence[str], name: str) -> int:
    if name not in channels:
        raise InputError(
            f"channel {name!r} is not in these images{did_you_mean(name, channels)}; "
            f"they have {listing(channels)}"
        )
    return list(channels).index(name)


def segment_images(
    images: ImageSet, settings: SegmentationSettings, *, jobs: int = 1
) -> Segmentation:
    """Segment every field of an image set.

    Parameters
    ----------
    images : ImageSet
        Fields of any size, 8 or 16 bits, any number of channels.
    settings : SegmentationSettings
    jobs : int
        Processes.

    Returns
    -------
    Segmentation
        Without rows for fields in which there is no nucleus.

    Raises
    ------
    InputError
        If a channel is not there, or it cannot be told which shows the nuclei.
    """
    channels = images.channels
    nuclear = nuclear_channel(channels, settings.nuclear)
    named = [_channel(channels, name) for name in settings.cytoplasm]
    body = named or [c for c in range(len(channels)) if c != nuclear] or [nuclear]
    segment = partial(_segment_block, nuclear=nuclear, body=body, settings=settings)
    starts = range(0, len(images), _FIELDS_IN_BLOCK)
    blocks = {i: (images.load(slice(i, i + _FIELDS_IN_BLOCK)),) for i in starts}
    found = [pair for block in run_each(segment, blocks, jobs=jobs).values() for pair in block]
    nuclei, cells = (np.stack(labels) for labels in zip(*found, strict=True))
    tables = [_table(*pair).assign(row=row) for row, pair in enumerate(found)]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "field", images.obs.index.to_numpy()[table["row"]])
    return Segmentation(nuclei, cells, table)


def _segment_block(
    block: np.ndarray, *, nuclear: int, body: list[int], settings: SegmentationSettings
) -> list[tuple[np.ndarray, np.ndarray]]:
    pairs = []
    for field in block:
        nuclei = find_nuclei(field[nuclear], settings)
        pairs.append((nuclei, find_cells(field[body], nuclei, settings)))
    return pairs


def find_nuclei(plane: np.ndarray, settings: SegmentationSettings) -> np.ndarray:
    """Segment the nuclei of one field.

    Parameters
    ----------
    plane : ndarray, shape (y, x)
        The DNA stain.
    settings : SegmentationSettings

    Returns
    -------
    ndarray of int32, shape (y, x)
        0, and 1 to the number of nuclei.
    """
    size = settings.nucleus_px
    light = ndimage.gaussian_filter(plane.astype(np.float32), size / 16)
    light = light - ground(light, size)
    level = threshold_otsu(light)
    dark = light[light <= level]
    noise = 1.4826 * float(np.median(np.abs(dark - np.median(dark))))
    above = light > max(level, float(np.median(dark)) + settings.contrast * noise)
    above = ndimage.binary_fill_holes(ndimage.binary_opening(above, iterations=1))
    labels = _split(above, settings)
    return _of_size(labels, settings)


def ground(light: np.ndarray, nucleus_px: float) -> np.ndarray:
    """Light of uneven illumination and haze under nuclei: a grey opening wider than they are.

    Parameters
    ----------
    light : ndarray of float32, shape (y, x)
    nucleus_px : float

    Returns
    -------
    ndarray of float32, shape (y, x)
    """
    step = max(1, int(nucleus_px / 6))
    coarse = light[::step, ::step]
    width = max(3, int(2.5 * nucleus_px / step) | 1)
    opened = ndimage.grey_opening(coarse, size=(width, width), mode="nearest")
    opened = ndimage.gaussian_filter(opened, width / 4, mode="nearest")
    y, x = (np.minimum(np.arange(n) / step, m - 1) for n, m in zip(light.shape, opened.shape,
                                                                   strict=True))  # fmt: skip
    found: np.ndarray = ndimage.map_coordinates(
        opened, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest"
    )
    return found


def _split(above: np.ndarray, settings: SegmentationSettings) -> np.ndarray:
    """Give each nucleus a number, and part those that touch."""
    depth = ndimage.gaussian_filter(
        ndimage.distance_transform_edt(above).astype(np.float32), settings.nucleus_px / 20
    )
    apart = max(1, int(settings.split_distance * settings.nucleus_px) // 2)
    pieces, _ = ndimage.label(above)
    peaks = peak_local_max(depth, min_distance=apart, labels=pieces, exclude_border=False)
    seeds = np.zeros(above.shape, dtype=np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(watershed(-depth, seeds, mask=above), dtype=np.int32)


def _of_size(labels: np.ndarray, settings: SegmentationSettings) -> np.ndarray:
    """Drop what is too small or too large for a nucleus, and number the others anew."""
    area = np.bincount(labels.ravel())
    typical = np.pi * (settings.nucleus_px / 2) ** 2
    kept = (area >= settings.area_range[0] * typical) & (area <= settings.area_range[1] * typical)
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]


def find_cells(body: np.ndarray, nuclei: np.ndarray, settings: SegmentationSettings) -> np.ndarray:
    """Grow cells from the nuclei of one field.

    Parameters
    ----------
    body : ndarray, shape (channel, y, x)
        Stains of the cytoplasm.
    nuclei : ndarray of int32, shape (y, x)
        Of :func:`find_nuclei`.
    settings : SegmentationSettings

    Returns
    -------
    ndarray of int32, shape (y, x)
        The numbers of the nuclei; a cell holds its nucleus whole.
    """
    if not nuclei.any():
        return np.zeros_like(nuclei)
    size = settings.nucleus_px
    light = np.zeros(nuclei.shape, dtype=np.float32)
    for plane in body:
        smooth = ndimage.gaussian_filter(plane.astype(np.float32), size / 16)
        low, high = np.percentile(smooth, [1, 99])
        light += (smooth - low) / max(high - low, 1e-6)
    light = np.clip(light / len(body), 0, None)
    root = np.sqrt(light)
    within = (root > threshold_otsu(np.clip(root, 0, np.percentile(root, 99)))) | (nuclei > 0)
    away = ndimage.distance_transform_edt(nuclei == 0)
    within &= away <= settings.reach * size
    return np.asarray(watershed(away, nuclei, mask=within), dtype=np.int32)


def _at_border(shape: tuple[int, ...]) -> np.ndarray:
    border = np.ones(shape, dtype=bool)
    border[1:-1, 1:-1] = False
    return border


def _table(nuclei: np.ndarray, cells: np.ndarray) -> pd.DataFrame:
    n = int(nuclei.max())
    numbers = np.arange(1, n + 1)
    at = np.array(ndimage.center_of_mass(nuclei > 0, nuclei, numbers)).reshape(n, 2)
    outer = np.unique(cells[_at_border(cells.shape)])
    return pd.DataFrame(
        {
            "cell": numbers,
            "y": at[:, 0],
            "x": at[:, 1],
            "nucleus_area": np.bincount(nuclei.ravel(), minlength=n + 1)[1:],
            "cell_area": np.bincount(cells.ravel(), minlength=n + 1)[1:],
            "touches_border": np.isin(numbers, outer),
        }
    )
