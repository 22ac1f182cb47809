"""BBBC021 as profiled by Ljosa et al. 2013: MCF-7 cells, 38 annotated compounds.

Well means of 516 CellProfiler features on 55 plates of 10 weeks, with six or more DMSO wells
a plate and no disease. What is in a well is only said by the list of images, and what a
treatment does by the table of mechanisms. Broad Bioimage Benchmark Collection,
doi:10.1038/nmeth.2083; profiles doi:10.1177/1087057113503553; CC BY 3.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError, listing
from screenbook.paths import root
from screenbook.screen import Roles
from screenbook.settings import short
from screenbook.sources import config
from screenbook.sources.bbbc021_structures import STRUCTURES
from screenbook.sources.files import TextTable
from screenbook.sources.staging import Found, join_features

OPTIONS = ("source", "folders", "nonfinite")
"""What the ``screen:`` section takes when its source is ``bbbc021``."""

FOLDERS = ("data/bbbc021", "../shared/data/bbbc021_ljosa")
"""Where the three files are looked for unless the params file says otherwise."""

PROFILES = "ljosa_jbiomolscreen_2013_per_well_mean.csv"
IMAGES = "BBBC021_v1_image.csv"
MECHANISMS = "BBBC021_v1_moa.csv"
VEHICLE = "DMSO"

_KEYS = ("Image_Metadata_Plate", "Image_Metadata_Well")


def find(section: Mapping[str, Any], where: str, scratch: Path) -> Found:
    """Read the three files and join them.

    Parameters
    ----------
    section : mapping
        ``folders``: where to look, in this order.
    where : str
        File and section, quoted in errors.
    scratch : Path
        Folder for the staged features.

    Raises
    ------
    InputError
        If no folder has the files, or a well is not in the list of images.
    """
    config.check_options(section, OPTIONS, where)
    folders = config.texts({"folders": list(FOLDERS), **section}, "folders", where)
    profiles, images, mechanisms = (
        TextTable(path) for path in _locate([root() / folder for folder in folders])
    )
    wells = profiles.read_text(_KEYS).set_axis(["plate", "well"], axis=1)
    obs = wells.merge(_contents(images), on=["plate", "well"], how="left", sort=False)
    unknown = obs["treatment"].isna()
    if unknown.any():
        first = obs[unknown].iloc[0]
        raise InputError(
            f"{images.name}: well {first['plate']}_{first['well']} of {profiles.name} is not in "
            f"this list of images ({int(unknown.sum())} such wells); take both from one release"
        )
    obs = obs.merge(read_mechanisms(mechanisms), on=["treatment", "dose"], how="left", sort=False)
    obs["moa"] = obs["moa"].fillna("").where(obs["treatment"].ne(VEHICLE), "")
    obs["SMILES"] = obs["treatment"].map(STRUCTURES).fillna("")
    # The week in which plates were made and imaged is the batch that all of them share.
    obs["experiment"] = obs["plate"].str.partition("_")[0]
    obs["cell_type"] = "MCF7"
    obs["treatment_conc"] = obs["dose"].map("{:g}".format)
    obs.index = pd.Index(wells["plate"] + "_" + wells["well"], dtype=object)
    features = [name for name in profiles.columns if name not in _KEYS]
    _, X, _ = join_features(obs.index, profiles, _KEYS, features, scratch, origin=images.name)
    return Found(
        obs=obs.drop(columns="dose"),
        X=X,
        features=features,
        roles=Roles(vehicle=(VEHICLE,)),
        name="BBBC021",
        origin=profiles.name,
        key="plate_well",
        inputs=[profiles.path, images.path, mechanisms.path],
        nonfinite=config.choice(
            section, "nonfinite", ("refuse", "drop_features", "drop_rows"), where, "drop_features"
        ),
    )


def _locate(folders: list[Path]) -> list[Path]:
    """Find the three files, from the first folder that has them all, packed or not."""
    for folder in folders:
        found = [
            [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
            for name in (PROFILES, IMAGES, MECHANISMS)
        ]
        if all(found):
            return [paths[0] for paths in found]
    raise InputError(
        f"BBBC021: {PROFILES}.gz, {IMAGES}.gz and {MECHANISMS} are not in "
        f"{listing(short(folder) for folder in folders)}; run 'make data DATASET=bbbc021' or put "
        "them there"
    )


def _contents(images: TextTable) -> pd.DataFrame:
    """Compound and dose of every well, from its images."""
    columns = {
        "Image_Metadata_Plate_DAPI": "plate",
        "Image_Metadata_Well_DAPI": "well",
        "Image_Metadata_Compound": "treatment",
        "Image_Metadata_Concentration": "dose",
    }
    wells = images.read_text(list(columns)).rename(columns=columns).drop_duplicates()
    wells["dose"] = doses(wells["dose"], images.name)
    twice = wells.duplicated(["plate", "well"])
    if twice.any():
        first = wells[twice].iloc[0]
        raise InputError(
            f"{images.name}: the images of well {first['plate']}_{first['well']} name different "
            "treatments; fetch the list again"
        )
    return wells


def read_mechanisms(mechanisms: TextTable) -> pd.DataFrame:
    """Mechanism of every treatment."""
    table = mechanisms.read_text(["compound", "concentration", "moa"])
    table = table.rename(columns={"compound": "treatment", "concentration": "dose"})
    table["dose"] = doses(table["dose"], mechanisms.name)
    return table.drop_duplicates(["treatment", "dose"])


def doses(values: pd.Series, origin: str) -> pd.Series:
    """Doses as numbers that can be compared; files write 0.3 and 0.300000."""
    number = pd.to_numeric(values, errors="coerce")
    if number.isna().any():
        row = int(np.flatnonzero(number.isna())[0])
        raise InputError(
            f"{origin}: dose {values.iloc[row]!r} of row {row + 1} is not a number; "
            "fetch the file again"
        )
    return number.round(9)
