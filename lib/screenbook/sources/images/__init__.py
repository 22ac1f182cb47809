"""Where cell images come from: simulated, or files converted to one lazily read store.

:func:`prepare_images` turns the ``images:`` section of ``params/<run>.yml`` into
``build/<run>/images.zarr``; notebooks take the set with :func:`open_images`.
A run without that section has no images, and no reports on them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from screenbook.errors import InputError
from screenbook.image_set import ImageSet, read_image_set
from screenbook.sources import config
from screenbook.sources.prepared import Kind, made, prepare_section

SOURCES = ("simulated", "rxrx1", "bbbc021", "load_data", "folder")
"""Values of ``source:``; each is a module here with ``write(section, where, folder)``."""

_CELLS = "cells.zarr"

KIND = Kind(
    section="images",
    what="images",
    count="n_images",
    example="params/my_images.yml.example",
    sources=SOURCES,
    makers={
        "simulated": ("simulate/images/*.py", "sources/images/simulated.py", "image_set.py"),
        "": ("sources/images/*.py", "image_set.py"),
    },
    beside={"cells": _CELLS},
)


def open_images(run: str) -> ImageSet:
    """Open the images of a run, making them first if they are not there.

    Parameters
    ----------
    run : str
        Run or variant; a variant shares the images of its run.

    Returns
    -------
    ImageSet
        Pixels stay on disk until they are asked for.

    Raises
    ------
    InputError
        If the run has no images, or they are not there and cannot be made.
    """
    return read_image_set(made(KIND, run, prepare_images) / "images.zarr")


def open_cells(run: str) -> ImageSet:
    """Open the images that single cells are looked at in.

    That is ``cells.zarr`` where the run's simulated images have a section ``cells:``; for all
    other runs it is the image set itself.

    Parameters
    ----------
    run : str
        Run or variant.

    Returns
    -------
    ImageSet

    Raises
    ------
    InputError
        As :func:`open_images`.
    """
    folder = made(KIND, run, prepare_images)
    own = folder / _CELLS
    return read_image_set(own if own.is_dir() else folder / "images.zarr")


def prepare_images(run: str) -> Path:
    """Make the images of a run, unless they are there and still what the params file asks for.

    Writes ``images.zarr``, for simulated images ``truth/images.tsv``, with ``cells:`` a second
    set ``cells.zarr`` with its truth, and last ``images.json`` (see
    :func:`~screenbook.sources.prepared.prepare_section`). A conversion that was interrupted goes
    on where it was.

    Returns
    -------
    Path
        ``build/<run>/images.json``. For a run without images it says so.

    Raises
    ------
    InputError
        One line that says what is wrong with the params file or the data, and the mend.
    """
    return prepare_section(KIND, run, _write, _describe)


def _write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    source = {name: value for name, value in section.items() if name != "cells"}
    cells = config.mapping(section, "cells", where)
    shutil.rmtree(folder / _CELLS, ignore_errors=True)  # of what the run was before
    module = import_module(f"screenbook.sources.images.{section['source']}")
    if cells and not hasattr(module, "write_cells"):
        raise InputError(
            f"{where}: 'cells' is an option of simulated images; cells of real images are cut from "
            "the images themselves: leave it out"
        )
    inputs: list[Path] = module.write(source, where, folder)
    if cells:
        module.write_cells(cells, f"{where} cells", folder)
    return inputs


def _describe(folder: Path) -> dict[str, Any]:
    images, cells = read_image_set(folder / "images.zarr"), folder / _CELLS
    return {
        "n_images": len(images),
        **({"n_cell_images": len(read_image_set(cells))} if cells.is_dir() else {}),
        "n_batches": int(images.obs["batch"].nunique()),
        "shape": list(images.pixels.shape),
        "dtype": str(images.pixels.dtype),
        "channels": list(images.channels),
        "notes": list(images.notes),
    }
