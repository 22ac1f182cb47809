"""BBBC021's images: MCF-7 cells, three channels, 55 plates of 10 weeks, 113 compounds.

13,200 fields of 1024 x 1280 px, 16 bits. ``BBBC021_v1_image.csv`` has a row for each and says
what is in its well; ``BBBC021_v1_moa.csv`` names the mechanism of 103 treatments (a compound at a
dose). The images come in one archive for each plate and are read packed or unpacked. Broad
Bioimage Benchmark Collection, doi:10.1038/nmeth.2083; CC BY 3.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError, listing
from screenbook.image_set import check_fields
from screenbook.paths import root
from screenbook.settings import short
from screenbook.sources import bbbc021, config
from screenbook.sources.bbbc021_structures import STRUCTURES
from screenbook.sources.files import TextTable
from screenbook.sources.images.convert import convert
from screenbook.sources.images.fields import CUTTING, FieldFiles, keep_only, tidy_fields
from screenbook.sources.images.joining import JOIN, find_missing, match_files
from screenbook.sources.images.trees import (
    ArchiveTree,
    FolderTree,
    Tree,
    archive_tops,
    safe_name,
)

OPTIONS = ("source", "folder", "known_only", "only", "join", *CUTTING)
"""What the ``images:`` section takes when its source is ``bbbc021``."""

CHANNELS = {"DNA": "DAPI", "tubulin": "Tubulin", "actin": "Actin"}
"""Our name of each channel, and that of the table."""

FOLDER = "data/bbbc021_images"

_SITE = r"_s(\d+)_w\d"  # in the name of a file


def write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    """Convert BBBC021's images, or the part of them that a params file asks for.

    Parameters
    ----------
    section : mapping
        ``folder``: where the archives, or the folders of plates, and the two tables are.
        ``known_only``: leave out treatments of unknown mechanism. ``only``, ``join``, ``crop``,
        ``pool``, ``damaged``: see ``params/my_images.yml.example``.
    where : str
        File and section, quoted in errors.
    folder : Path
        Where ``images.zarr`` goes.

    Returns
    -------
    list of Path
        What was read: the tables, and the archives or folders of plates.

    Raises
    ------
    InputError
        If tables or images are not there, do not fit each other, or cannot be used.
    """
    config.check_options(section, OPTIONS, where)
    place = config.path({"folder": FOLDER, **section}, "folder", where)
    images, mechanisms = (TextTable(_table(place, name)) for name in _TABLES)
    obs, names = read_fields(images, mechanisms)
    tree = PlateTrees(place)
    files = FieldFiles(obs, names, tuple(CHANNELS), tree, images.name)
    _leave_out_unknown(files, section, where)
    keep_only(files, section, where)
    for plate in files.obs["plate"].unique():
        tree.of(str(plate))
    missing, extra = find_missing(tree, files.names)
    join = config.choice(section, "join", JOIN, where, "exact")
    # Where only some rows are wanted, images of others are no surprise.
    part = section.get("only") or section.get("known_only")
    match_files(files, join, missing, () if part else extra)
    convert(files, section, where, folder / "images.zarr")
    return [images.path, mechanisms.path, *tree.places]


_TABLES = (bbbc021.IMAGES, bbbc021.MECHANISMS)


def read_fields(images: TextTable, mechanisms: TextTable) -> tuple[pd.DataFrame, np.ndarray]:
    """Read the fields, what is in them, and the names of their files.

    Parameters
    ----------
    images, mechanisms : TextTable
        ``BBBC021_v1_image.csv`` and ``BBBC021_v1_moa.csv``.

    Returns
    -------
    obs : DataFrame, n rows
        As :mod:`screenbook.image_set` has it: ``experiment`` is the week, ``treatment`` the
        compound with its dose in micromolar. Also ``compound`` and ``moa`` (``""`` for DMSO and
        where it is unknown), ``treatment_conc``, ``replicate`` and ``SMILES``.
    names : ndarray of str, shape (n, 3)
        ``PLATE/FILE`` for each of :data:`CHANNELS`.

    Raises
    ------
    InputError
        If a column is missing, a site or a dose is no number, or a field is there twice.
    """
    columns = {
        "Image_Metadata_Plate_DAPI": "plate",
        "Image_Metadata_Well_DAPI": "well",
        "Image_Metadata_Compound": "compound",
        "Image_Metadata_Concentration": "dose",
        "Replicate": "replicate",
    }
    file_columns = [f"Image_FileName_{theirs}" for theirs in CHANNELS.values()]
    rows = images.read_text([*columns, *file_columns]).rename(columns=columns)
    rows["dose"] = bbbc021.doses(rows["dose"], images.name)
    known = bbbc021.read_mechanisms(mechanisms).rename(columns={"treatment": "compound"})
    rows = rows.merge(known, on=["compound", "dose"], how="left", sort=False)
    vehicle = rows["compound"].eq(bbbc021.VEHICLE)
    conc = rows.pop("dose").map("{:g}".format)
    site = rows[file_columns[0]].str.extract(_SITE)[0]
    _refuse_nameless(rows[file_columns[0]], site, images.name)
    obs = rows.drop(columns=file_columns).assign(
        cell_type="MCF7",
        experiment=rows["plate"].str.partition("_")[0],
        site=site,
        treatment=rows["compound"].where(vehicle, rows["compound"] + " " + conc),
        compound=rows["compound"].mask(vehicle, ""),
        moa=rows["moa"].fillna("").mask(vehicle, ""),
        treatment_conc=conc,
        SMILES=rows["compound"].map(STRUCTURES).fillna(""),
    )
    obs = tidy_fields(obs, images.name)
    obs["role"] = np.where(vehicle, "control", "treated")
    check_fields(obs, images.name)
    for plate in obs["plate"].unique():
        safe_name(str(plate), f"{images.name}: column 'Image_Metadata_Plate_DAPI'")
    files = rows[file_columns].to_numpy(dtype=object)
    plates = rows["plate"].to_numpy(dtype=object)[:, None]
    return obs, np.where(files == "", "", plates + "/" + files)


class PlateTrees:
    """Images of plates, each in an archive or a folder of its own; names are ``PLATE/FILE``.

    Parameters
    ----------
    path : Path
        The folder with ``BBBC021_v1_images_PLATE.zip``, or with ``PLATE`` or ``WEEK/PLATE``.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, short(path)
        self._trees: dict[str, Tree] = {}

    @property
    def places(self) -> list[Path]:
        """The archives and folders that were looked into, by plate."""
        return [self._trees[plate].path for plate in sorted(self._trees)]

    def of(self, plate: str) -> Tree:
        """Find the images of a plate.

        Raises
        ------
        InputError
            If there is neither an archive nor a folder of it.
        """
        if plate not in self._trees:
            self._trees[plate] = self._find(plate)
        return self._trees[plate]

    def files(self, folder: str = "") -> Iterator[str]:
        """Name all image files of a plate, in order; of all plates looked into without one."""
        for plate in [folder] if folder else sorted(self._trees):
            for name in self.of(plate).files():
                yield f"{plate}/{name}"

    def names_in(self, folder: str) -> set[str]:
        """Name the files of a plate."""
        return self.of(folder).names_in("")

    def read(self, name: str) -> bytes:
        """Read one file."""
        plate, _, file = name.partition("/")
        return self.of(plate).read(file)

    def stamp(self, name: str) -> str:
        """Describe a file so that a change of it shows."""
        plate, _, file = name.partition("/")
        return self.of(plate).stamp(file)

    def label(self, name: str) -> str:
        """Name a file as a reader finds it."""
        plate, _, file = name.partition("/")
        return self.of(plate).label(file)

    def _find(self, plate: str) -> Tree:
        for folder in (self.path / plate, self.path / plate.partition("_")[0] / plate):
            if folder.is_dir():
                return FolderTree(folder)
        archive = self.path / f"BBBC021_v1_images_{plate}.zip"
        if archive.is_file():
            tops = archive_tops(archive, plate)
            if len(tops) != 1:
                raise InputError(
                    f"{short(archive)}: has {len(tops)} folders {plate!r} with images and should "
                    "have one; fetch it again"
                )
            return ArchiveTree(archive, tops[0])
        raise InputError(
            f"{self.name}: there is no {archive.name}, and no folder {plate!r}; run 'make data "
            "DATASET=bbbc021_images', put it there, or name the plates that are there under "
            "`images: {only: {plate: [...]}}`"
        )


def _leave_out_unknown(files: FieldFiles, section: Mapping[str, Any], where: str) -> None:
    """Follow ``known_only:``, in place."""
    wanted = section.get("known_only", False)
    if not isinstance(wanted, bool):
        raise InputError(f"{where}: known_only is {wanted!r}; give true or false")
    if wanted:
        kept = (files.obs["role"].eq("control") | files.obs["moa"].ne("")).to_numpy()
        files.notes.append(
            f"only DMSO and treatments of known mechanism: {int(kept.sum()):,} of {len(kept):,}"
        )
        files.keep(kept)


def _refuse_nameless(names: pd.Series, site: pd.Series, origin: str) -> None:
    lacking = site.isna().to_numpy()
    if lacking.any():
        row = int(np.flatnonzero(lacking)[0])
        raise InputError(
            f"{origin}: column {names.name!r}, row {row + 1}: {names.iloc[row]!r} names no site "
            "(_s1_w1...); fetch the table again"
        )


def _table(place: Path, name: str) -> Path:
    """Find a table, packed or not, beside the images or where that of the profiles is."""
    folders = [place, *(root() / folder for folder in bbbc021.FOLDERS)]
    for folder in folders:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise InputError(
        f"{short(place)}: there is no {name}, nor in {listing(short(f) for f in folders[1:])}; run "
        "'make data DATASET=bbbc021_images' or put it there"
    )
