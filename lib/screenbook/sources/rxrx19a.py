"""RxRx19a (Recursion, 2020): SARS-CoV-2 in HRCE and Vero cells, 1,670 compounds.

305,520 sites of 57 plates, with 1,024-dimensional embeddings made by their owner. Metadata of
the August 2020 release, which corrected the mapping of compounds; older copies are not
comparable. ``https://rxrx.ai/rxrx19a``, CC BY 4.0, doi:10.1101/2020.04.21.054387.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from screenbook.errors import InputError
from screenbook.settings import short
from screenbook.sources import config, tables
from screenbook.sources.staging import Found

OPTIONS = ("source", "folder", "roles", "join", "nonfinite")
"""What the ``screen:`` section takes when its source is ``rxrx19a``."""

ROLES = {
    "healthy": ["Mock", "UV Inactivated SARS-CoV-2"],
    "diseased": ["Active SARS-CoV-2"],
}
"""What the conditions mean; ``roles:`` in the params file adds to this or replaces it.

There are no vehicle wells: untreated means that no treatment is named. A blank condition is
not explained by the data's owner and stays a class of its own.
"""

_FILES = {
    "metadata": ("metadata.csv", "metadata.csv.gz", "RxRx19a-metadata.zip", "metadata.zip"),
    "features": (
        *("embeddings.csv", "embeddings.csv.gz", "embeddings.parquet"),
        *("RxRx19a-DL-embeddings.zip", "embeddings.zip"),
    ),
}


def find(section: Mapping[str, Any], where: str, scratch: Path) -> Found:
    """Read RxRx19a from a folder; see :func:`screenbook.sources.tables.find`.

    Parameters
    ----------
    section : mapping
        ``folder`` holds the two files, unpacked or as downloaded (``data/rxrx19a``).
    where, scratch
        As there.
    """
    config.check_options(section, OPTIONS, where)
    folder = config.path({"folder": "data/rxrx19a", **section}, "folder", where)
    options = {
        **{part: str(_locate(folder, names)) for part, names in _FILES.items()},
        "name": "RxRx19a",
        "key": "site_id",
        "feature_columns": {"prefix": "feature_"},
        "roles": {**ROLES, **config.mapping(section, "roles", where)},
        **{name: section[name] for name in ("join", "nonfinite") if name in section},
    }
    return tables.find(options, where, scratch)


def _locate(folder: Path, names: tuple[str, ...]) -> Path:
    for parent in (folder, folder / "RxRx19a"):
        for name in names:
            if (parent / name).is_file():
                return parent / name
    raise InputError(
        f"{short(folder)}: there is no {names[0]} (or {names[2]}); run 'make data DATASET=rxrx19a' "
        "or name the folder that holds it under `screen: {folder: ...}`"
    )
