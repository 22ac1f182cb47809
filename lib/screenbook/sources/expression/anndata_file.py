"""Profiles in an AnnData file: ``.h5ad`` or ``.zarr``, one row for each condition or well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from screenbook.expression_set import make_profiles, write_profiles
from screenbook.sources import config
from screenbook.sources.expression.conditions import OPTIONS, name_conditions, refuse_copies
from screenbook.sources.files import AnnDataTable


def write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    """Read an AnnData whose rows are profiles already.

    Parameters
    ----------
    section : mapping
        ``file``, ``layer`` and the other options of
        :data:`~screenbook.sources.expression.conditions.OPTIONS`.
    where : str
        File and section, quoted in errors.
    folder : Path
        Where ``expression.zarr`` goes.

    Returns
    -------
    list of Path
        The files that were read.
    """
    options = [name for name in (*OPTIONS, "layer") if name != "genes"]
    config.check_options(section, options, where, ["file", "scale", "vehicle"])
    table = AnnDataTable(
        config.path(section, "file", where), config.text(section, "layer", where) or None
    )
    refuse_copies(table.features, table.name)
    features = set(table.features)
    raw = table.read_text([name for name in table.columns if name not in features])
    obs, rows, notes = name_conditions(raw, section, where, table.name)
    X = np.concatenate([block for _, block in table.feature_batches([], table.features)])[rows]
    profiles = make_profiles(
        X,
        obs,
        table.features,
        scale=config.text(section, "scale", where),
        origin=table.name,
        notes=notes,
    )
    write_profiles(profiles, folder / "expression.zarr")
    return [table.path, *([config.path(section, "drugs", where)] if section.get("drugs") else [])]
