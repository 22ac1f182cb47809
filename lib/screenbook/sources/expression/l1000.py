"""L1000 profiles as the LINCS programme gives them: GCT (text) and GCTX (HDF5).

Both hold genes as rows, profiles as columns and metadata of both. Level 3 is log2 intensity
after quantile normalisation (Subramanian et al. 2017, doi:10.1016/j.cell.2017.10.049). A
format's own description: https://clue.io/connectopedia/gct_format.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.expression_set import make_profiles, write_profiles
from screenbook.metadata import as_text
from screenbook.settings import short
from screenbook.sources import config
from screenbook.sources.expression.conditions import OPTIONS, name_conditions, refuse_copies

COLUMNS = {
    "treatment": "pert_iname",
    "dose": "pert_dose",
    "cell_line": "cell_id",
    "plate": "rna_plate",
    "well": "rna_well",
}
"""What LINCS calls the columns; ``columns:`` overrides it."""

MISSING = ("-666", "-666.0", "na", "nan")
"""What LINCS writes where there is nothing."""

_VALUES = "0/DATA/0/matrix"
_SCALE = "log2 intensity (L1000 level 3)"


@dataclass
class Matrix:
    """Contents of a GCT or GCTX file.

    Attributes
    ----------
    profiles, genes : DataFrame of str
        Metadata; both have a column ``id``.
    take : callable
        Gets the numbers of some profiles, ascending, and gives their expression, float32, shape
        (n, n_genes): of a large GCTX no more is read than is wanted.
    """

    profiles: pd.DataFrame
    genes: pd.DataFrame
    take: Callable[[np.ndarray], np.ndarray]


def write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    """Read a GCT or GCTX file.

    Parameters
    ----------
    section : mapping
        Options of :data:`~screenbook.sources.expression.conditions.OPTIONS`; ``genes`` is the
        column of the gene metadata that names them (``id`` by default).
    where : str
        File and section, quoted in errors.
    folder : Path
        Where ``expression.zarr`` goes.

    Returns
    -------
    list of Path
        The files that were read.
    """
    config.check_options(section, OPTIONS, where, ["file", "vehicle"])
    path = config.path(section, "file", where)
    origin = short(path)
    if not path.is_file():
        raise InputError(f"{where}: {origin} is not there; bring it, or correct `file:`")
    matrix = read_gctx(path) if h5py.is_hdf5(path) else read_gct(path)
    name = config.text(section, "genes", where, "id")
    about = matrix.genes.columns
    if name not in about:
        raise InputError(
            f"{where}: genes is {name!r}, and {origin} says no such thing of its genes"
            f"{did_you_mean(name, about)}; it has {listing(about, 20)}"
        )
    genes = matrix.genes[name].tolist()
    refuse_copies(genes, origin)
    found = {ours: theirs for ours, theirs in COLUMNS.items() if theirs in matrix.profiles}
    constants = config.mapping(section, "constants", where)
    columns = {k: v for k, v in found.items() if k not in constants}
    columns |= config.mapping(section, "columns", where)
    missing = [*MISSING, *config.texts(section, "missing", where)]
    given = {**section, "columns": columns, "missing": missing}
    obs, rows, notes = name_conditions(matrix.profiles, given, where, origin)
    scale = config.text(section, "scale", where, _SCALE)
    profiles = make_profiles(matrix.take(rows), obs, genes, scale=scale, origin=origin, notes=notes)
    write_profiles(profiles, folder / "expression.zarr")
    return [path, *([config.path(section, "drugs", where)] if section.get("drugs") else [])]


def read_gct(path: Path) -> Matrix:
    """Read GCT 1.2 or 1.3, plain or gzip.

    Raises
    ------
    InputError
        If the first lines are not those of GCT, the numbers of rows or columns are not those
        the second line tells, or a value is no number.
    """
    origin = short(path)
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            lines = [line.rstrip("\r\n") for line in file]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{origin}: cannot be read as GCT ({error}); fetch it again") from None
    version = lines[0].strip() if lines else ""
    if version not in ("#1.2", "#1.3") or len(lines) < 3:
        raise InputError(
            f"{origin}: begins with {version[:20]!r}, not with '#1.2' or '#1.3'; give a GCT file"
        )
    sizes = lines[1].split()
    if len(sizes) != (2 if version == "#1.2" else 4) or not all(s.isdigit() for s in sizes):
        raise InputError(f"{origin} line 2: {lines[1][:60]!r} does not tell the numbers of rows "
                         "and columns; fetch the file again")  # fmt: skip
    n_genes, n_profiles = int(sizes[0]), int(sizes[1])
    # GCT 1.2 has the gene's name and a description, and says nothing of its profiles.
    n_about, n_said = (1, 0) if version == "#1.2" else (int(sizes[2]), int(sizes[3]))
    cells = [line.split("\t") for line in lines[2:] if line.strip()]
    wide, high = 1 + n_about + n_profiles, 1 + n_said + n_genes
    if len(cells) != high:
        raise InputError(
            f"{origin}: line 2 tells {n_genes:,} genes and {n_said:,} rows about profiles, which "
            f"makes {high:,} rows, and there are {len(cells):,}; the file is cut short or line 2 "
            "is wrong: fetch it again"
        )
    odd = next((i for i, row in enumerate(cells) if len(row) != wide), None)
    if odd is not None:
        raise InputError(
            f"{origin} line {odd + 3}: has {len(cells[odd]):,} cells, and line 2 tells {wide:,} "
            f"({n_profiles:,} profiles and {1 + n_about} columns about genes); fetch it again"
        )
    return _gct_parts(cells, n_about, n_said, origin)


def read_gctx(path: Path) -> Matrix:
    """Read GCTX, which is HDF5.

    Raises
    ------
    InputError
        If it is damaged, or the matrix does not fit its metadata.
    """
    origin = short(path)
    try:
        with h5py.File(path) as file:
            parts = {part: _gctx_table(file[f"0/META/{part}"]) for part in ("COL", "ROW")}
            shape = file[_VALUES].shape
    except (OSError, KeyError, ValueError) as error:
        cause = " ".join(str(error).split())[:200]
        raise InputError(f"{origin}: cannot be read as GCTX ({cause}); fetch it again") from None
    profiles, genes = parts["COL"], parts["ROW"]
    if shape != (len(profiles), len(genes)):
        raise InputError(
            f"{origin}: the matrix is {' x '.join(map(str, shape))}, and the metadata tell "
            f"{len(profiles)} profiles and {len(genes)} genes; fetch the file again"
        )

    def take(rows: np.ndarray) -> np.ndarray:
        with h5py.File(path) as file:
            values: np.ndarray = file[_VALUES][rows].astype(np.float32)
        return values

    return Matrix(profiles, genes, take)


def _gct_parts(cells: list[list[str]], n_about: int, n_said: int, origin: str) -> Matrix:
    """Cut the rows of a GCT into the matrix and both tables of metadata."""
    header, first = cells[0], 1 + n_about
    said, body = cells[1 : 1 + n_said], cells[1 + n_said :]
    profiles = pd.DataFrame({"id": header[first:]}, dtype=object)
    for row in said:
        profiles[row[0]] = [value.strip() for value in row[first:]]
    names = ["id", *header[1:first]]
    genes = pd.DataFrame([row[:first] for row in body], columns=names, dtype=object)
    try:
        values = np.array([row[first:] for row in body], dtype=np.float32).T
    except ValueError:
        for row in body:
            for profile, text in zip(header[first:], row[first:], strict=True):
                try:
                    float(text)
                except ValueError:
                    raise InputError(
                        f"{origin}: gene {row[0]!r}, profile {profile!r}: {text!r} is no number; "
                        "correct it or drop the gene"
                    ) from None
        raise
    return Matrix(profiles, genes, lambda rows: values[rows])


def _gctx_table(group: Any) -> pd.DataFrame:
    """Metadata of the rows or columns of a GCTX as text."""
    columns = {}
    for name, stored in group.items():
        values = stored[()]
        if values.dtype.kind in "SO":
            values = [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values]
        columns[name] = as_text(pd.Series(values))
    return pd.DataFrame(columns)
