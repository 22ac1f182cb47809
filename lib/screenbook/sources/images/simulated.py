"""The embedded images with a known truth; what they show is :mod:`screenbook.simulate.images`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from screenbook.image_set import ImageSet, write_image_set
from screenbook.paths import replacing
from screenbook.simulate.images import (
    CellSpec,
    ImageSpec,
    design_images,
    nucleus_table,
    simulate_images,
)
from screenbook.sources import config
from screenbook.sources.files import Progress
from screenbook.threads import cores, side_by_side

_FEW = 4 << 20  # pixels that are drawn before a second process has come up
_MANY_FIELDS = 1000  # progress of fewer is not worth lines in a log


def write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    """Render the images that a params file asks for.

    Parameters
    ----------
    section : mapping
        Any field of :class:`screenbook.simulate.images.ImageSpec`.
    where : str
        File and section, quoted in errors.
    folder : Path
        Where ``images.zarr`` and ``truth/images.tsv`` go.

    Returns
    -------
    list of Path
        The files that were read: none.
    """
    spec = config.dataclass_of(ImageSpec, section, where, "simulated images")
    _write_set(spec, folder, "images")
    return []


def write_cells(section: Mapping[str, Any], where: str, folder: Path) -> None:
    """Render the images for single cells that a params file asks for.

    Parameters
    ----------
    section : mapping
        Any field of :class:`screenbook.simulate.images.CellSpec`.
    where : str
        File and section, quoted in errors.
    folder : Path
        Where ``cells.zarr``, ``truth/cells.tsv`` (a row a field) and ``truth/nuclei.tsv`` (a row a
        nucleus) go.
    """
    spec = config.dataclass_of(CellSpec, section, where, "simulated images of cells")
    _write_set(spec, folder, "cells")
    _write_truth(nucleus_table(design_images(spec)).set_index("field"), folder, "nuclei")


def _write_set(spec: ImageSpec, folder: Path, name: str) -> None:
    bar: list[Progress] = []

    def tell(done: int, total: int) -> None:
        if not bar:
            lines = total > _MANY_FIELDS
            bar.append(Progress(total, f"rendering {_WHAT[name]}", unit="field", lines=lines))
        bar[0].at(done)

    few = len(design_images(spec).obs) * spec.size_px**2 < _FEW
    made = simulate_images(spec, jobs=1 if few else max(1, cores() // side_by_side()), tell=tell)
    for started in bar:
        started.close()
    images = ImageSet(made.pixels, made.obs, tuple(made.channels))
    write_image_set(images, folder / f"{name}.zarr")
    _write_truth(made.truth.rename_axis("field"), folder, name)


_WHAT = {"images": "fields", "cells": "fields of cells"}


def _write_truth(table: pd.DataFrame, folder: Path, name: str) -> None:
    with replacing(folder / "truth" / f"{name}.tsv") as part:
        table.to_csv(part, sep="\t", lineterminator="\n")
