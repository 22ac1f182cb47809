"""What a set of cell images is: pixels with named channels, and one row of metadata a field.

``pixels``
    uint8 or uint16, shape (n, channel, y, x); left on disk until rows are asked for.
``obs``
    one row per field, indexed by ``experiment/plate/well/site``. Fixed columns: :data:`COLUMNS`;
    further ones (``compound``, ``moa``, say) are kept.
``channels``
    what each channel shows; an array of pixels never travels without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
import zarr

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.paths import replacing

ROLES = ("control", "treated", "positive")
"""Values of ``obs["role"]``: negative control, treatment of interest, positive control."""

COLUMNS = ("cell_type", "experiment", "plate", "well", "site", "treatment", "role", "batch")
"""Columns of every image set. ``batch`` is ``experiment/plate``; ``site`` is a whole number."""

DTYPES = ("uint8", "uint16")

_CHUNK_BYTES = 1 << 20  # what is read at once; a larger field is a chunk of its own
_SHARD_BYTES = 32 << 20  # of one file, and of what a converter holds in memory


class StoredPixels:
    """Pixels on disk: some rows and channels of a Zarr array, read when they are asked for.

    Parameters
    ----------
    array : zarr.Array, shape (n_stored, channel_stored, y, x)
        Where they are.
    rows, channels : ndarray of int, optional
        Which of them, in this order; by default all.
    """

    def __init__(
        self,
        array: zarr.Array,
        rows: np.ndarray | None = None,
        channels: np.ndarray | None = None,
    ) -> None:
        self._array = array
        self._rows = np.arange(array.shape[0]) if rows is None else np.asarray(rows)
        self._channels = np.arange(array.shape[1]) if channels is None else np.asarray(channels)
        self._all_channels = np.array_equal(self._channels, np.arange(array.shape[1]))
        self.shape = (len(self._rows), len(self._channels), *array.shape[2:])
        self.dtype, self.ndim = np.dtype(array.dtype), 4

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Read rows: an int, a slice, positions or a mask.

        Returns
        -------
        ndarray, shape (n_rows, channel, y, x)
            One dimension less for an int.
        """
        if isinstance(rows, tuple):
            raise TypeError("stored pixels are indexed by rows only; take channels from the result")
        wanted = self._rows[rows]
        places, order = np.unique(wanted, return_inverse=True)
        found = self._read(places)
        if np.ndim(wanted) and np.array_equal(wanted, places):
            return found
        return found[order.reshape(np.shape(wanted))]

    def _read(self, places: np.ndarray) -> np.ndarray:
        """Read stored rows, given in ascending order."""
        out = np.empty((len(places), *self.shape[1:]), dtype=self.dtype)
        if not len(places):
            return out
        array, channels = self._array, slice(None) if self._all_channels else self._channels
        neighbours = places[-1] - places[0] + 1 == len(places)
        step = (array.shards or array.chunks)[0] if neighbours else array.chunks[0]
        # Zarr's own selection of scattered rows takes twice the time of this loop.
        for part in np.split(np.arange(len(places)), np.flatnonzero(np.diff(places // step)) + 1):
            first, last = int(places[part[0]]), int(places[part[-1]])
            block: Any = array[first : last + 1]
            out[part] = block[places[part] - first][:, channels]
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("stored pixels have to be read, which is a copy")
        return self[:].astype(dtype or self.dtype, copy=False)

    def take(
        self, rows: np.ndarray | None = None, channels: np.ndarray | None = None
    ) -> StoredPixels:
        """Name fewer of the same pixels, without reading any."""
        return StoredPixels(
            self._array,
            self._rows if rows is None else self._rows[rows],
            self._channels if channels is None else self._channels[channels],
        )


Pixels: TypeAlias = "np.ndarray | StoredPixels"


@dataclass(frozen=True)
class ImageSet:
    """Fields of cells with their metadata.

    Attributes
    ----------
    pixels : ndarray or StoredPixels, shape (n, channel, y, x)
        uint8 or uint16.
    obs : DataFrame, n rows
        Metadata, see the text of this module.
    channels : tuple of str
        Names of the channels, in the order of `pixels`.
    notes : tuple of str
        What was decided while the set was made, one sentence each.
    """

    pixels: Pixels
    obs: pd.DataFrame
    channels: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.obs)

    def subset(self, rows: Any) -> ImageSet:
        """Keep some fields, in the order given, without reading pixels that lie on disk.

        Parameters
        ----------
        rows : slice, ndarray of int or of bool, Series of bool
            Which; a Series is taken by position, not by its index.
        """
        places = self._places(rows)
        pixels = self.pixels
        kept = pixels.take(places) if isinstance(pixels, StoredPixels) else pixels[places]
        return replace(self, pixels=kept, obs=self.obs.iloc[places])

    def load(self, rows: Any = None) -> np.ndarray:
        """Read pixels into memory.

        Parameters
        ----------
        rows : slice, ndarray of int or of bool, Series of bool, optional
            Which fields; by default all.

        Returns
        -------
        ndarray of uint8 or uint16, shape (n_rows, channel, y, x)
        """
        return np.asarray(self.pixels[slice(None) if rows is None else self._places(rows)])

    def select_channels(self, names: Sequence[str]) -> ImageSet:
        """Keep some channels, in the order given.

        Raises
        ------
        InputError
            If there is no channel of that name, or a name is repeated.
        """
        for name in names:
            if name not in self.channels:
                raise InputError(
                    f"channel {name!r} is not in these images{did_you_mean(name, self.channels)}; "
                    f"they have {listing(self.channels)}"
                )
        if len(set(names)) < len(names) or not names:
            raise InputError(f"channels {list(names)} of images: name one or more, each once")
        places = np.array([self.channels.index(name) for name in names])
        pixels = self.pixels
        kept = (
            pixels.take(channels=places) if isinstance(pixels, StoredPixels) else pixels[:, places]
        )
        return replace(self, pixels=kept, channels=tuple(names))

    def _places(self, rows: Any) -> np.ndarray:
        rows = rows.to_numpy() if isinstance(rows, pd.Series) else rows
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        if not isinstance(rows, slice) and rows.size == 0:
            rows = rows.astype(np.int64)
        return np.atleast_1d(np.arange(len(self.obs))[rows])


def field_ids(obs: pd.DataFrame) -> pd.Index:
    """Give the ids of fields, ``experiment/plate/well/site``."""
    parts = [obs[name].astype(str) for name in ("experiment", "plate", "well", "site")]
    return pd.Index(["/".join(row) for row in zip(*parts, strict=True)], dtype=object)


def validate(images: ImageSet, origin: str = "images") -> ImageSet:
    """Refuse an image set that is not what the text of this module says.

    Parameters
    ----------
    images : ImageSet
        The set; its pixels are not read.
    origin : str
        Where it came from, quoted in errors.

    Returns
    -------
    ImageSet
        The same.

    Raises
    ------
    InputError
        If shapes do not agree, pixels are neither uint8 nor uint16, a column is missing, blank
        or wrong, or an id is repeated.
    """
    shape, obs = tuple(images.pixels.shape), images.obs
    if len(shape) != 4 or shape[0] != len(obs) or shape[1] != len(images.channels):
        raise InputError(
            f"{origin}: pixels of shape {shape} do not fit {len(obs):,} rows of metadata and "
            f"{len(images.channels)} channels; give (field, channel, y, x)"
        )
    if not shape[0]:
        raise InputError(f"{origin}: there is no image; check that the metadata are complete")
    if str(images.pixels.dtype) not in DTYPES:
        raise InputError(
            f"{origin}: pixels are {images.pixels.dtype}; give them as {' or '.join(DTYPES)}"
        )
    names = list(images.channels)
    if any(not name for name in names) or len(set(names)) < len(names):
        raise InputError(f"{origin}: channels {names} need names, each its own; rename one")
    check_fields(obs, origin)
    return images


def check_fields(obs: pd.DataFrame, origin: str) -> None:
    """Refuse metadata of fields in which a column is missing, blank or wrong, or an id repeated.

    Raises
    ------
    InputError
        One line with `origin`, column, row and the mend.
    """
    for column in COLUMNS:
        if column not in obs:
            raise InputError(
                f"{origin}: there is no column {column!r}{did_you_mean(column, obs.columns)}; "
                f"found {listing(obs.columns)}: name it under `columns:`"
            )
        blank = obs[column].isna() | obs[column].astype(str).str.strip().eq("")
        _refuse(obs, column, blank.to_numpy(), origin, "is blank; fill it in, or drop the row")
    if not pd.api.types.is_integer_dtype(obs["site"].dtype):
        raise InputError(f"{origin}: column 'site' holds {obs['site'].dtype}; number sites 1, 2, …")
    odd = ~obs["role"].isin(ROLES).to_numpy()
    _refuse(obs, "role", odd, origin, f"is no role; take one of {listing(ROLES)}")
    batch = obs["experiment"].astype(str) + "/" + obs["plate"].astype(str)
    wrong = obs["batch"].astype(str).ne(batch).to_numpy()
    _refuse(obs, "batch", wrong, origin, "is not experiment/plate; leave it to be derived")
    again = obs.index.duplicated()
    if again.any():
        first = obs.index[again][0]
        one, other = np.flatnonzero(obs.index == first)[:2] + 1
        raise InputError(
            f"{origin}: field {first!r} is in row {one} and again in row {other} "
            f"({int(again.sum()):,} repeated in all); number the sites of a well, or drop copies"
        )


def _refuse(obs: pd.DataFrame, column: str, bad: np.ndarray, origin: str, mend: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{origin}: column {column!r}, row {row + 1} (field {obs.index[row]!r}): "
            f"{str(obs[column].iloc[row])!r} {mend}"
        )


def new_store(path: Path, shape: Sequence[int], dtype: Any) -> tuple[zarr.Group, zarr.Array]:
    """Make an empty store of pixels, cut into shards of rows.

    Parameters
    ----------
    path : Path
        A folder that does not exist.
    shape : sequence of int
        (n, channel, y, x).
    dtype : dtype
        uint8 or uint16.

    Returns
    -------
    group : zarr.Group
        For :func:`write_metadata`.
    pixels : zarr.Array
        Write whole shards, ``pixels.shards[0]`` rows each: a shard is one file.
    """
    field = max(int(np.prod(shape[1:])) * np.dtype(dtype).itemsize, 1)
    rows = min(max(1, _CHUNK_BYTES // field), max(shape[0], 1))
    shard = rows * min(max(1, _SHARD_BYTES // (rows * field)), -(-max(shape[0], 1) // rows))
    group = zarr.create_group(path, overwrite=False)
    pixels = group.create_array(
        "pixels",
        shape=tuple(shape),
        dtype=dtype,
        chunks=(rows, *shape[1:]),
        shards=(shard, *shape[1:]),
        # A shard that is not there is one that was lost, never one that was black.
        config={"write_empty_chunks": True},
    )
    return group, pixels


def write_metadata(
    group: zarr.Group,
    obs: pd.DataFrame,
    channels: Iterable[str],
    notes: Iterable[str] = (),
    rows: np.ndarray | None = None,
) -> None:
    """Complete a store: `rows` of its pixels, in the order of `obs`, are the image set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of zarr's plans for its next release
        ad.io.write_elem(group, "obs", obs.copy())
        if rows is not None:
            ad.io.write_elem(group, "rows", np.asarray(rows, dtype=np.int64))
    group.attrs.update({"channels": list(channels), "notes": list(notes)})


def write_image_set(images: ImageSet, path: str | Path) -> None:
    """Write an image set as Zarr, a shard in memory at a time, whole or not at all.

    Raises
    ------
    InputError
        As :func:`validate`.
    """
    path = Path(path)
    validate(images, str(path))
    with replacing(path) as part:
        group, stored = new_store(part, images.pixels.shape, images.pixels.dtype)
        step = stored.shards[0] if stored.shards else 1
        for start in range(0, len(images), step):
            stored[start : start + step] = images.pixels[start : start + step]
        write_metadata(group, images.obs, images.channels, images.notes)


def read_image_set(path: str | Path) -> ImageSet:
    """Open an image set; its pixels stay on disk until they are asked for.

    Raises
    ------
    InputError
        If there is no image set, or it is damaged or incomplete.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: there are no images here; run the command that makes them first")
    try:
        group = zarr.open_group(path, mode="r", use_consolidated=False)
        array: Any = group["pixels"]
        obs = ad.io.read_elem(group["obs"])
        rows = ad.io.read_elem(group["rows"]) if "rows" in group else None
        facts: Any = group.attrs.asdict()
        channels, notes = tuple(facts["channels"]), tuple(facts["notes"])
        lost = [part for part in _shard_files(path, array) if not part.is_file()]
    except Exception as error:  # zarr, its codecs and anndata fail in ways of their own
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: cannot be read as images ({cause}); delete it and make it again"
        ) from error
    if lost:
        raise InputError(f"{lost[0]}: is lost; delete {path.name} and make it again")
    for column in obs.select_dtypes("category"):  # on disk repeated text is stored so
        obs[column] = obs[column].astype(object)
    obs.index = obs.index.astype(object)
    return validate(ImageSet(StoredPixels(array, rows), obs, channels, notes), str(path))


def _shard_files(path: Path, array: zarr.Array) -> list[Path]:
    """Name the files that hold the pixels; Zarr itself reads a lost one as zeros."""
    rows = (array.shards or array.chunks)[0]
    count = -(-array.shape[0] // rows)
    return [path / "pixels" / "c" / str(i) / "0" / "0" / "0" for i in range(count)]
