"""RxRx1 (Recursion, 2019): four cell types, 1,138 siRNAs, 51 experiments, six channels.

125,510 fields of 512 x 512 px, 8 bits. ``metadata.csv`` has a row for each; the images are
``images/EXPERIMENT/PlateN/WELL_sS_wC.png``, unpacked or in the archive they come in.
``https://www.rxrx.ai/rxrx1``, doi:10.48550/arXiv.2301.05768, CC BY-NC-SA 4.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError, listing
from screenbook.image_set import ROLES, check_fields
from screenbook.settings import short
from screenbook.sources import config
from screenbook.sources.files import TextTable
from screenbook.sources.images.convert import convert
from screenbook.sources.images.fields import (
    CUTTING,
    FieldFiles,
    keep_only,
    tidy_fields,
)
from screenbook.sources.images.joining import JOIN, find_missing, match_files, places_of
from screenbook.sources.images.trees import (
    ArchiveTree,
    FolderTree,
    Tree,
    archive_tops,
    safe_name,
)

OPTIONS = ("source", "folder", "metadata", "only", "join", *CUTTING)
"""What the ``images:`` section takes when its source is ``rxrx1``."""

CHANNELS = ("DNA", "ER", "actin", "RNA", "mitochondria", "Golgi")
"""What ``w1`` to ``w6`` show: Hoechst, ConA, phalloidin, Syto 14, MitoTracker, WGA."""

ROLE_OF = dict(zip(("negative_control", "treatment", "positive_control"), ROLES, strict=True))
"""What ``well_type`` means."""

NO_SIRNA = ("EMPTY", "1138")
"""The negative control in column ``sirna``: by name, and by number in the challenge's tables."""

_METADATA = ("metadata.csv", "metadata.csv.gz", "rxrx1-metadata.zip", "RxRx1-metadata.zip")
_ARCHIVES = ("rxrx1-images.zip", "RxRx1-images.zip")
_SITES = (1, 2)


def write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    """Convert RxRx1, or the part of it that a params file asks for.

    Parameters
    ----------
    section : mapping
        ``folder``: where it is (``data/rxrx1``). ``metadata``: another well table than that
        folder's. ``only``, ``join``, ``crop``, ``pool``, ``damaged``: see ``data/README.md``.
    where : str
        File and section, quoted in errors.
    folder : Path
        Where ``images.zarr`` goes.

    Returns
    -------
    list of Path
        What was read: the table, and the archive or the folders of plates.

    Raises
    ------
    InputError
        If metadata or images are not there, do not fit each other, or cannot be used.
    """
    config.check_options(section, OPTIONS, where)
    place = config.path({"folder": "data/rxrx1", **section}, "folder", where)
    if section.get("metadata"):
        table = TextTable(config.path(section, "metadata", where))
    else:
        table = TextTable(_metadata_file(place))
    obs = read_metadata(table)
    tree = _images(place, obs["experiment"].iloc[0])
    files = FieldFiles(obs, _file_names(obs, table.name), CHANNELS, tree, table.name)
    keep_only(files, section, where)
    missing, extra = find_missing(tree, files.names)
    join = config.choice(section, "join", JOIN, where, "exact")
    # Where only some rows are wanted, images of others are no surprise.
    match_files(files, join, missing, () if section.get("only") else extra)
    convert(files, section, where, folder / "images.zarr")
    return [table.path, *places_of(files)]


def read_metadata(table: TextTable) -> pd.DataFrame:
    """Read the fields of RxRx1 from its ``metadata.csv``, or from a well table of the challenge.

    Parameters
    ----------
    table : TextTable
        ``metadata.csv`` (a row per field, with ``well_type``), or ``train.csv`` of the
        challenge (a row per well, which becomes two fields; without ``well_type``, all wells
        are treated but those without siRNA).

    Returns
    -------
    DataFrame
        As :func:`screenbook.sources.images.fields.tidy_fields` gives it, with ``role``;
        ``treatment`` is the siRNA. The challenge's own split, if there is one, is kept as
        ``dataset``, and never used.

    Raises
    ------
    InputError
        If a column is missing, a well type is unknown, or a field is there twice.
    """
    table.require(["experiment", "plate", "well", "sirna"])
    there = [
        name
        for name in ("site", "cell_type", "well_type", "experiment_type", "dataset")
        if name in table.columns
    ]
    rows = table.read_text(["experiment", "plate", "well", "sirna", *there])
    rows = rows.rename(columns={"sirna": "treatment"})
    if "cell_type" not in rows:
        # An experiment is named after its cells: HUVEC-05.
        rows["cell_type"] = rows["experiment"].str.rpartition("-")[0]
    if "site" not in rows:
        rows = rows.loc[rows.index.repeat(len(_SITES))].reset_index(drop=True)
        rows["site"] = np.tile(_SITES, len(rows) // len(_SITES)).astype(str)
    obs = tidy_fields(rows, table.name)
    if "well_type" in obs:
        well_type = obs.pop("well_type")
        role = well_type.map(ROLE_OF)
        if role.isna().any():
            row = int(np.flatnonzero(role.isna())[0])
            raise InputError(
                f"{table.name}: column 'well_type', row {row + 1}: {well_type.iloc[row]!r} is "
                f"none of {listing(ROLE_OF)}; correct it"
            )
    else:
        role = pd.Series("treated", obs.index).mask(obs["treatment"].isin(NO_SIRNA), "control")
    obs["role"] = role.astype(object)
    check_fields(obs, table.name)
    return obs


def _file_names(obs: pd.DataFrame, origin: str) -> np.ndarray:
    """Name the six files of every field, shape (n, 6)."""
    plates = obs["experiment"] + "/Plate" + obs["plate"]
    for part in (plates, obs["well"]):
        for name in part.unique():
            safe_name(name, f"{origin}: column 'experiment', 'plate' or 'well'")
    wells = (plates + "/" + obs["well"] + "_s" + obs["site"].astype(str)).to_numpy(dtype=object)
    return np.stack([wells + f"_w{c}.png" for c in range(1, len(CHANNELS) + 1)], axis=1)


def _metadata_file(place: Path) -> Path:
    for parent in (place, place / "rxrx1"):
        for name in _METADATA:
            if (parent / name).is_file():
                return parent / name
    raise InputError(
        f"{short(place)}: there is no {_METADATA[0]} (or {_METADATA[2]}); run 'make data "
        "DATASET=rxrx1' or name the folder that holds it under `images: {folder: ...}`"
    )


def _images(place: Path, experiment: str) -> Tree:
    """Find the images: unpacked, or in the archive."""
    for parent in (place, place / "rxrx1"):
        if (parent / "images").is_dir():
            return FolderTree(parent / "images")
    for name in _ARCHIVES:
        if (place / name).is_file():
            tops = archive_tops(place / name, "images")
            if len(tops) != 1:
                raise InputError(
                    f"{short(place / name)}: has {len(tops)} folders 'images' and should have one; "
                    "fetch it again"
                )
            return ArchiveTree(place / name, tops[0])
    if (place / experiment).is_dir():
        return FolderTree(place)
    raise InputError(
        f"{short(place)}: there is no folder 'images' (or {_ARCHIVES[0]}); run 'make data "
        "DATASET=rxrx1' or name the folder that holds it under `images: {folder: ...}`"
    )
