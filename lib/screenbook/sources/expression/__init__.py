"""Where expression profiles come from: simulated, or files converted to one set of conditions.

:func:`prepare_expression` turns the ``expression:`` section of ``params/<run>.yml`` into
``build/<run>/expression.zarr``; notebooks take the profiles with :func:`open_expression`.
Whatever the source, ``counts:`` may name a table of cells per treatment and line, which
:func:`open_counts` gives. A run without that section has no report on expression.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd

from screenbook.expression_set import read_profiles
from screenbook.paths import replacing
from screenbook.screen import notes_of
from screenbook.sources import config
from screenbook.sources.expression.counts import read_counts
from screenbook.sources.prepared import Kind, made, prepare_section

SOURCES = ("simulated", "tahoe", "l1000", "anndata")
"""Values of ``source:``; each has a module here with ``write(section, where, folder)``."""

_COUNTS = "expression_counts.parquet"

KIND = Kind(
    section="expression",
    what="expression profiles",
    count="n_profiles",
    example="params/my_expression.yml.example",
    sources=SOURCES,
    makers={
        "simulated": (
            *("simulate/expression/*.py", "simulate/compounds.py", "simulate/pharmacology.py"),
            *("sources/expression/simulated.py", "sources/expression/counts.py"),
            *("expression_set.py", "chemistry.py"),
        ),
        "": (
            *("sources/expression/*.py", "expression/pseudobulk.py"),
            *("expression_set.py", "chemistry.py"),
        ),
    },
    beside={"counts": _COUNTS},
)

_MODULES = {"anndata": "anndata_file"}


def open_expression(run: str) -> ad.AnnData:
    """Open the expression profiles of a run, making them first if they are not there.

    Parameters
    ----------
    run : str
        Run or variant; a variant shares the profiles of its run.

    Returns
    -------
    AnnData
        As in :mod:`screenbook.expression_set`.

    Raises
    ------
    InputError
        If the run has no profiles, or they are not there and cannot be made.
    """
    return read_profiles(made(KIND, run, prepare_expression) / "expression.zarr")


def open_counts(run: str) -> pd.DataFrame | None:
    """Open the table of cells per treatment and line that ``counts:`` names, if it does.

    Parameters
    ----------
    run : str
        Run or variant.

    Returns
    -------
    DataFrame or None
        See :func:`screenbook.sources.expression.counts.read_counts`.

    Raises
    ------
    InputError
        If the run has no ``expression:`` section, or the table cannot be used.
    """
    path = made(KIND, run, prepare_expression) / _COUNTS
    return pd.read_parquet(path) if path.is_file() else None


def prepare_expression(run: str) -> Path:
    """Make the profiles of a run, unless they are there and still what the params file asks for.

    Writes ``expression.zarr``, for simulated profiles ``truth/*``, with ``counts:`` a table
    ``expression_counts.parquet``, and last ``expression.json`` (see
    :func:`~screenbook.sources.prepared.prepare_section`). Reading of single cells that was
    interrupted goes on where it was.

    Returns
    -------
    Path
        ``build/<run>/expression.json``. For a run without expression it says so.

    Raises
    ------
    InputError
        One line that says what is wrong with the params file or the data, and the mend.
    """
    return prepare_section(KIND, run, _write, _describe)


def _write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    source = {name: value for name, value in section.items() if name != "counts"}
    counts = folder / _COUNTS
    counts.unlink(missing_ok=True)  # of what the run was before
    inputs: list[Path] = []
    if section.get("counts"):
        path = config.path(section, "counts", where)
        table = read_counts(path)
        with replacing(counts) as part:
            table.to_parquet(part, index=False)
        inputs.append(path)
    module = _MODULES.get(section["source"], section["source"])
    write = import_module(f"screenbook.sources.expression.{module}").write
    return [*write(source, where, folder), *inputs]


def _describe(folder: Path) -> dict[str, Any]:
    profiles = read_profiles(folder / "expression.zarr")
    obs = profiles.obs
    return {
        "n_profiles": profiles.n_obs,
        "n_genes": profiles.n_vars,
        "n_controls": int(obs["role"].eq("control").sum()),
        "n_compounds": int(obs.loc[obs["role"].eq("treated"), "compound_key"].nunique()),
        "n_cell_lines": int(obs["cell_line"].nunique()),
        "n_plates": int(obs["plate"].nunique()),
        "scale": str(profiles.uns["scale"]),
        "notes": notes_of(profiles),
    }
