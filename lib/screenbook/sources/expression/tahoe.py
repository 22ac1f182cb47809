"""Tahoe-100M: 100 million single cells of 50 cancer lines under 379 drugs at three doses.

Zhang et al. 2025, doi:10.1101/2025.02.20.639398. The cells come as Parquet shards of about
28,000 cells, with tables of genes, drugs, samples (wells) and lines beside them. A profile is
the pseudobulk of one line in one well.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.expression.pseudobulk import (
    TARGET,
    Pseudobulk,
    finish,
    gene_tokens,
)
from screenbook.expression_set import make_profiles, write_profiles
from screenbook.settings import short
from screenbook.sources import config
from screenbook.sources.expression.conditions import assign_roles, join_drugs
from screenbook.sources.expression.shards import Recipe, check_shards, sum_shards
from screenbook.sources.files import TextTable

OPTIONS = ("source", "shards", "metadata", "vehicle", "genes", "target")
"""What the ``expression:`` section takes when its source is ``tahoe``."""

KEYS = ("drug", "cell_line_id", "plate", "sample")
"""Columns of the shards that name a group of cells."""

VEHICLE = "DMSO_TF"

N_GENES = 2000
"""Genes kept where ``genes:`` does not say: 62,710 of 65,943 conditions are 16 GB."""

_DRUG_COLUMNS = {
    **{"treatment": "drug", "SMILES": "canonical_smiles"},
    **{"moa": "moa-fine", "targets": "targets"},
}
_TABLES = ("gene_metadata", "drug_metadata", "sample_metadata", "cell_line_metadata")


@dataclass(frozen=True)
class Design:
    """The tables beside the cells.

    Attributes
    ----------
    paths : mapping of str to Path
        Where each of the tables lies.
    genes : DataFrame
        ``token_id`` (int), ``gene_symbol``, ``ensembl_id``.
    samples : DataFrame
        Indexed by sample: ``drug``, ``plate``, ``dose`` (uM).
    lines : Series of str
        Name of a line by its Cellosaurus id.
    """

    paths: Mapping[str, Path]
    genes: pd.DataFrame
    samples: pd.DataFrame
    lines: pd.Series


def write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    """Sum the cells of all shards into profiles.

    Parameters
    ----------
    section : mapping
        ``shards`` (a folder, a file or a pattern), ``metadata`` (the folder of the tables),
        ``vehicle``, ``genes`` (a number: the most variable ones among control cells; a list of
        symbols; or ``all``) and ``target`` (counts to which a cell is scaled).
    where : str
        File and section, quoted in errors.
    folder : Path
        Where ``expression.zarr`` goes, and meanwhile the sums of each shard.

    Returns
    -------
    list of Path
        The files that were read.
    """
    config.check_options(section, OPTIONS, where, ["shards", "metadata"])
    vehicle = config.texts(section, "vehicle", where) or (VEHICLE,)
    design = read_design(config.path(section, "metadata", where))
    shards = find_shards(section, where)
    n_cells = check_shards(shards, [*KEYS, "genes", "expressions"])
    target = _target(section, where)
    scratch = folder / ".expression.sums"
    chosen = _choose_genes(section, where, design, shards, vehicle, target, scratch)
    tokens = gene_tokens(design.genes["token_id"].to_numpy(), chosen)
    recipe = Recipe(KEYS, tokens, target)
    sums = sum_shards(shards, recipe, scratch, "summing cells")
    notes = [f"{n_cells:,} cells in {len(shards):,} shards"]
    if sums.n_empty:
        notes.append(f"{sums.n_empty:,} cells have no counts and are in no profile")
    bulk = finish(sums)
    obs, said = describe_groups(bulk, design, vehicle, where)
    profiles = make_profiles(
        bulk.mean,
        obs,
        design.genes["name"].iloc[chosen].tolist(),
        scale=f"mean of ln(1 + counts per {target:,.0f})",
        origin=short(shards[0].parent),
        layers={"variance": bulk.variance, "nonzero": bulk.nonzero},
        notes=[*notes, *said],
    )
    write_profiles(profiles, folder / "expression.zarr")
    shutil.rmtree(scratch)
    # A folder's time tells of files that come or go.
    folders = sorted({path.parent for path in shards} if len(shards) > 1 else ())
    return [*folders, *shards, *design.paths.values()]


def find_shards(section: Mapping[str, Any], where: str) -> list[Path]:
    """Find the Parquet files that ``shards:`` names, in order."""
    path = config.path(section, "shards", where)
    if has_magic(str(path)):
        shards = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    else:
        shards = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not shards or not shards[0].is_file():
        raise InputError(
            f"{where}: shards: there is no Parquet file {short(path)}; data/README.md says how to "
            "fetch them"
        )
    return shards


def read_design(folder: Path) -> Design:
    """Read the tables beside the cells.

    Raises
    ------
    InputError
        If one is missing, or holds what cannot be read.
    """
    paths = {name: folder / f"{name}.parquet" for name in _TABLES}
    genes = _table(paths["gene_metadata"], ("gene_symbol", "ensembl_id", "token_id"))
    origin = short(paths["gene_metadata"])
    token = pd.to_numeric(genes["token_id"], errors="coerce")
    if token.isna().any() or token.duplicated().any():
        row = int(np.flatnonzero(token.isna() | token.duplicated())[0])
        raise InputError(
            f"{origin}: column 'token_id', row {row + 1}: {genes['token_id'].iloc[row]!r} is no "
            "number of its own; fetch the table again"
        )
    genes["token_id"] = token.astype(np.int64)
    shared = genes["gene_symbol"].duplicated(keep=False) | genes["gene_symbol"].eq("")
    genes["name"] = genes["gene_symbol"].mask(shared, genes["ensembl_id"])
    samples = _table(paths["sample_metadata"], ("sample", "plate", "drug", "drugname_drugconc"))
    origin = short(paths["sample_metadata"])
    if samples["sample"].duplicated().any():
        name = samples.loc[samples["sample"].duplicated(), "sample"].iloc[0]
        raise InputError(f"{origin}: sample {name!r} is there more than once; keep one row")
    samples["dose"] = [
        _dose(text, drug, f"{origin}, row {row}")
        for row, (text, drug) in enumerate(
            zip(samples["drugname_drugconc"], samples["drug"], strict=True), start=1
        )
    ]
    lines = _table(paths["cell_line_metadata"], ("cell_name", "Cell_ID_Cellosaur"))
    named = lines.drop_duplicates("Cell_ID_Cellosaur").set_index("Cell_ID_Cellosaur")["cell_name"]
    return Design(paths, genes, samples.set_index("sample"), named)


def describe_groups(
    bulk: Pseudobulk, design: Design, vehicle: tuple[str, ...], where: str
) -> tuple[pd.DataFrame, list[str]]:
    """Say what each group of cells is: the columns of a set of profiles.

    Raises
    ------
    InputError
        If cells name a sample that is not in the table of samples, or another drug or plate
        than it.
    """
    groups, samples = bulk.groups, design.samples
    origin = short(design.paths["sample_metadata"])
    unknown = ~groups["sample"].isin(samples.index)
    if unknown.any():
        name = groups.loc[unknown, "sample"].iloc[0]
        raise InputError(
            f"{origin}: there is no sample {name!r}{did_you_mean(name, samples.index)}, of which "
            "there are cells; bring the table that belongs to these shards"
        )
    for column in ("drug", "plate"):
        told = groups["sample"].map(samples[column])
        differ = told.ne(groups[column])
        if differ.any():
            row = int(np.flatnonzero(differ)[0])
            raise InputError(
                f"{origin}: sample {groups['sample'].iloc[row]!r} has {column} {told.iloc[row]!r}, "
                f"and its cells say {groups[column].iloc[row]!r}; correct the table"
            )
    named = groups["cell_line_id"].map(design.lines)
    obs = pd.DataFrame(
        {
            "treatment": groups["drug"],
            "dose": groups["sample"].map(samples["dose"]),
            "cell_line": named.fillna(groups["cell_line_id"]),
            "plate": groups["plate"],
            "n_cells": bulk.n_cells,
            "well": groups["sample"],
            "cell_line_id": groups["cell_line_id"],
        }
    )
    notes = []
    if named.isna().any():
        ids = groups.loc[named.isna(), "cell_line_id"].unique()
        table = short(design.paths["cell_line_metadata"])
        notes.append(f"{len(ids):,} lines are not in {table} and keep their id ({listing(ids)})")
    obs["role"] = assign_roles(obs, {"vehicle": list(vehicle)}, where, "the shards")
    drugs = {"drugs": str(design.paths["drug_metadata"]), "drug_columns": _DRUG_COLUMNS}
    obs, said = join_drugs(obs, drugs, where)
    return obs, [*notes, *said]


def _choose_genes(
    section: Mapping[str, Any],
    where: str,
    design: Design,
    shards: list[Path],
    vehicle: tuple[str, ...],
    target: float,
    scratch: Path,
) -> np.ndarray:
    """Follow ``genes:``: places in the gene table of those that are kept, in its order."""
    wanted, names = section.get("genes", N_GENES), design.genes["name"]
    if wanted == "all":
        return np.arange(len(names))
    if isinstance(wanted, list):
        places = pd.Index(names).get_indexer(pd.Index([str(name) for name in wanted]))
        if (places < 0).any():
            name = str(wanted[int(np.flatnonzero(places < 0)[0])])
            raise InputError(
                f"{where}: genes names {name!r}, which is not in "
                f"{short(design.paths['gene_metadata'])}{did_you_mean(name, names)}"
            )
        return np.unique(places)
    if type(wanted) is not int or wanted < 1:
        raise InputError(
            f"{where}: genes is {wanted!r}; give a number, a list of gene symbols, or all"
        )
    if wanted >= len(names):
        return np.arange(len(names))
    every = gene_tokens(design.genes["token_id"].to_numpy())
    controls = sum_shards(
        shards, Recipe(("plate",), every, target, vehicle), scratch, "reading control cells"
    )
    n = int(controls.n_cells.sum())
    if n < 2:
        raise InputError(
            f"{where}: there are {n} control cells with counts ({listing(vehicle)}), too few to "
            "tell which genes vary; correct `vehicle:`, or list `genes:`"
        )
    mean = controls.total.sum(axis=0) / n
    variance = controls.squares.sum(axis=0) / n - mean**2
    return np.sort(np.argsort(-variance, kind="stable")[:wanted])


def _target(section: Mapping[str, Any], where: str) -> float:
    value = section.get("target", TARGET)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < np.inf:
        raise InputError(f"{where}: target is {value!r}; give a number of counts above 0")
    return float(value)


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    return TextTable(path).read_text(columns)


def _dose(text: str, drug: str, place: str) -> float:
    """Read ``[('Infigratinib', 0.05, 'uM')]``, which is Python and never run."""
    mend = "it should be one [('name', dose, 'uM')]; correct it"
    try:
        ((name, dose, unit),) = ast.literal_eval(text)
        value = float(dose)
    except (ValueError, SyntaxError, TypeError):
        raise InputError(f"{place}: drugname_drugconc is {text!r}; {mend}") from None
    if str(name).strip() != drug or unit != "uM" or not 0 <= value < np.inf:
        raise InputError(f"{place}: drugname_drugconc is {text!r} of drug {drug!r}; {mend}")
    return value
