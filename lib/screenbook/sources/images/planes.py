"""Greyscale planes from PNG and TIFF files, whole or not at all."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from screenbook.errors import InputError
from screenbook.sources.images.trees import DamagedImage, Tree

_GREY = {"L": np.uint8, "I;16": np.uint16, "I;16L": np.uint16, "I;16B": np.uint16}
"""Pillow's modes of one 8-bit or 16-bit channel."""

_OTHER = {
    "1": "black and white only (a mask, say)",
    "P": "coloured by a palette",
    "I": "of 32 bits",
    "F": "of floating-point numbers",
}


def read_planes(tree: Tree, name: str, n_pages: int = 1) -> np.ndarray:
    """Read one image file.

    Parameters
    ----------
    tree : Tree
        Where it is.
    name : str
        Which.
    n_pages : int
        Pages that it must have: a file of several channels has as many.

    Returns
    -------
    ndarray of uint8 or uint16, shape (n_pages, y, x)

    Raises
    ------
    DamagedImage
        If it is empty, cut short or otherwise damaged, or a page is of one value only.
    InputError
        If it is not there, is not greyscale of 8 or 16 bits, or has more or fewer pages.
    """
    label, data = tree.label(name), tree.read(name)
    if not data:
        raise DamagedImage(f"{label}: the file is empty (0 bytes); bring it again")
    try:
        with Image.open(io.BytesIO(data)) as image:
            count = getattr(image, "n_frames", 1)
            if count != n_pages:
                raise InputError(
                    f"{label}: has {count} pages and should have {n_pages}; list one channel for "
                    "each page under `channels:`, or give one file a channel"
                )
            planes = [_page(image, page, label) for page in range(n_pages)]
    except InputError:
        raise
    except UnidentifiedImageError:
        raise DamagedImage(
            f"{label}: cannot be read as PNG or TIFF ({len(data):,} bytes); it may be cut short: "
            "bring it again"
        ) from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{label}: {error}; cut it into fields") from None
    except (OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError) as error:
        cause = " ".join(str(error).split())[:120]
        raise DamagedImage(
            f"{label}: the image is damaged or cut short ({cause}); bring it again"
        ) from None
    if len({plane.shape for plane in planes}) > 1 or len({plane.dtype for plane in planes}) > 1:
        raise InputError(f"{label}: its pages differ in size or depth; give one file a channel")
    return np.stack(planes)


def _page(image: Image.Image, page: int, label: str) -> np.ndarray:
    """Decode a page of an open image."""
    if page or getattr(image, "n_frames", 1) > 1:
        image.seek(page)
    if image.mode not in _GREY:
        kind = _OTHER.get(image.mode, f"of colours ({image.mode})")
        raise InputError(
            f"{label}: is {kind}, not greyscale of 8 or 16 bits; export each channel as measured, "
            "one greyscale file each"
        )
    image.load()
    plane = np.asarray(image).astype(_GREY[image.mode])
    if plane.min() == plane.max():
        value = int(plane.flat[0])
        what = "a black image" if value == 0 else "nothing was measured"
        raise DamagedImage(
            f"{label}: every pixel is {value} ({what}); image it again, or leave such fields out "
            "with `damaged: leave_out`"
        )
    return plane


def cut(planes: np.ndarray, crop: int, pool: int, label: str) -> np.ndarray:
    """Take the middle of planes and average squares of pixels.

    Parameters
    ----------
    planes : ndarray of uint8 or uint16, shape (channel, y, x)
    crop : int
        Height and width of the middle, in pixels; 0 for all.
    pool : int
        Side of the squares that become one pixel; what is left over at the lower and right
        edge is dropped.
    label : str
        The file, quoted in errors.

    Returns
    -------
    ndarray, shape (channel, y, x), same type
        Means are rounded.

    Raises
    ------
    InputError
        If the image is smaller than `crop` or `pool`.
    """
    height, width = planes.shape[1:]
    if min(height, width) < max(crop, pool):
        raise InputError(
            f"{label}: is {height} x {width} px, too small for `crop: {crop}` and `pool: {pool}`; "
            "lower them"
        )
    if crop:
        top, left = (height - crop) // 2, (width - crop) // 2
        planes = planes[:, top : top + crop, left : left + crop]
    if pool > 1:
        n, rows, columns = len(planes), planes.shape[1] // pool, planes.shape[2] // pool
        squares = planes[:, : rows * pool, : columns * pool].reshape(n, rows, pool, columns, pool)
        sums = squares.sum(axis=(2, 4), dtype=np.uint64)
        planes = ((sums + pool * pool // 2) // (pool * pool)).astype(planes.dtype)
    return planes
