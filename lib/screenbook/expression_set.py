"""What a set of expression profiles is: an AnnData of conditions by genes.

A condition is one treatment at one dose in one cell line on one plate: the mean of its cells
(pseudobulk), or one well measured as a whole.

``X``
    float32, shape (n, n_genes): mean expression, on the scale that ``uns["scale"]`` names.
``layers``
    of single cells: ``variance`` (between the cells of a condition, X's scale squared) and
    ``nonzero`` (share of cells in which the gene was seen).
``obs``
    one row per condition, indexed by a unique id. Fixed columns: :data:`COLUMNS`; further
    ones are kept.
``var``
    indexed by gene, each once.
``uns``
    ``scale`` (text with the unit) and ``notes`` (what was decided on the way in, as JSON).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from screenbook.chemistry import name_compounds
from screenbook.errors import InputError, did_you_mean, listing
from screenbook.metadata import as_text
from screenbook.screen import add_note, read_screen, write_screen

REQUIRED = ("treatment", "dose", "cell_line", "plate", "role")
"""Columns that every source brings."""

OPTIONAL = ("SMILES", "moa", "targets", "n_cells")
"""Columns that are blank (``n_cells``: NaN) where a source has none."""

COLUMNS = (*REQUIRED, *OPTIONAL, "compound", "compound_key")
"""The fixed columns.

``treatment``
    name as given, trimmed; ``dose`` in uM, 0 for controls.
``role``
    ``control`` (the vehicle, DMSO say) or ``treated``.
``moa``, ``targets``
    mechanism of action; gene symbols joined by ``;``. ``""`` where unknown.
``n_cells``
    cells behind a profile; NaN where a well was measured as a whole.
``compound``, ``compound_key``
    one display name and one key for each parent structure (:mod:`screenbook.chemistry`);
    ``""`` for controls. Salts and aliases share them.
"""

ROLES = ("control", "treated")

LAYERS = ("variance", "nonzero")

UNCLEAR = ("", "unclear", "unknown", "none", "nan")
"""Mechanisms that say nothing, in lower case: they are kept as ``""``."""


def make_profiles(
    X: np.ndarray,
    obs: pd.DataFrame,
    genes: Sequence[str],
    *,
    scale: str,
    origin: str,
    layers: Mapping[str, np.ndarray] | None = None,
    notes: Iterable[str] = (),
) -> ad.AnnData:
    """Check profiles and their metadata, name compounds, and join both.

    Parameters
    ----------
    X : ndarray, shape (n, n_genes)
        Mean expression.
    obs : DataFrame, n rows
        :data:`REQUIRED` columns, :data:`OPTIONAL` ones, any others. Its index is replaced by
        ``plate|cell_line|treatment|dose``, numbered where that comes more than once.
    genes : sequence of str
        Names of the columns of `X`.
    scale : str
        What X is, with its unit, for readers.
    origin : str
        The file the rows came from, quoted in errors.
    layers : mapping of str to ndarray, shape (n, n_genes), optional
        Any of :data:`LAYERS`.
    notes : iterable of str
        What was decided while the profiles were made, one sentence each.

    Raises
    ------
    InputError
        If a column is missing, blank or wrong, genes repeat, values are not finite, a line has
        no control, or shapes do not fit.
    """
    table = _tidy(obs, origin)
    names = [str(gene).strip() for gene in genes]
    _check_values(X, table, names, origin)
    treated = table["role"].eq("treated")
    naming = name_compounds(table["treatment"].where(treated, ""), table["SMILES"])
    table["compound"], table["compound_key"] = naming.compound, naming.compound_key
    table.index = _ids(table)
    profiles = ad.AnnData(
        X=np.asarray(X, dtype=np.float32),
        obs=table,
        var=pd.DataFrame(index=pd.Index(names, dtype=object)),
        layers={name: np.asarray(v, dtype=np.float32) for name, v in (layers or {}).items()},
        uns={"scale": scale, "notes": json.dumps(list(notes))},
    )
    if naming.unreadable:
        add_note(
            profiles,
            f"{len(naming.unreadable)} SMILES cannot be read (first: {naming.unreadable[0]!r}); "
            "their compounds are known by name only",
        )
    return profiles


def read_profiles(path: str | Path) -> ad.AnnData:
    """Read a set of profiles from Zarr.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    profiles = read_screen(path)
    for column in profiles.obs.select_dtypes("category"):  # on disk repeated text is stored so
        profiles.obs[column] = profiles.obs[column].astype(object)
    return profiles


def write_profiles(profiles: ad.AnnData, path: str | Path) -> None:
    """Write a set of profiles as Zarr, whole or not at all."""
    write_screen(profiles, path)


def _tidy(obs: pd.DataFrame, origin: str) -> pd.DataFrame:
    if obs.empty:
        raise InputError(f"{origin}: there are no profiles; check that the file is complete")
    table = obs.copy()
    for column in REQUIRED:
        if column not in table:
            raise InputError(
                f"{origin}: there is no column {column!r}{did_you_mean(column, obs.columns)}; "
                f"found {listing(obs.columns)}: name it under `columns:`"
            )
    for column in OPTIONAL:
        if column not in table:
            table[column] = np.nan if column == "n_cells" else ""
    for column in ("treatment", "cell_line", "plate", "role", "SMILES", "moa", "targets"):
        table[column] = as_text(table[column])
    for column in ("treatment", "cell_line", "plate"):
        _refuse(table, column, table[column].eq(""), origin, "is blank; fill it in")
    _refuse(table, "role", ~table["role"].isin(ROLES), origin, f"is none of {listing(ROLES)}")
    dose = pd.to_numeric(table["dose"], errors="coerce").where(table["role"].eq("treated"), 0.0)
    bad = ~(np.isfinite(dose) & dose.ge(0))
    _refuse(table, "dose", bad, origin, "is no dose; give a plain number of uM")
    table["dose"] = dose.astype(float)
    table["n_cells"] = pd.to_numeric(table["n_cells"], errors="coerce").astype(float)
    table["moa"] = table["moa"].where(~table["moa"].str.casefold().isin(UNCLEAR), "")
    without = set(table["cell_line"]) - set(table.loc[table["role"].eq("control"), "cell_line"])
    if without:
        raise InputError(
            f"{origin}: cell line {min(without)!r} has no control profile, so there is nothing to "
            "compare its treatments with: add its vehicle wells, or name the vehicle under "
            f"`vehicle:` ({len(without)} such lines in all)"
        )
    return table[[*REQUIRED, *OPTIONAL, *(c for c in table if c not in COLUMNS)]]


def _refuse(table: pd.DataFrame, column: str, bad: pd.Series, origin: str, mend: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        value = str(table[column].iloc[row])
        raise InputError(f"{origin}: column {column!r}, row {row + 1}: {value!r} {mend}")


def _check_values(X: np.ndarray, table: pd.DataFrame, genes: list[str], origin: str) -> None:
    if X.shape != (len(table), len(genes)):
        raise InputError(
            f"{origin}: expression of shape {X.shape} does not fit {len(table):,} conditions and "
            f"{len(genes):,} genes; the file is incomplete, or its header is wrong"
        )
    if "" in genes:
        raise InputError(f"{origin}: gene {genes.index('') + 1} has no name; fill it in")
    twice = pd.Index(genes)[pd.Index(genes).duplicated()]
    if len(twice):
        raise InputError(
            f"{origin}: gene {twice[0]!r} is there more than once ({len(twice):,} such rows); "
            "sum or drop the copies"
        )
    bad = ~np.isfinite(X)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"{origin}: gene {genes[column]!r} of profile {row + 1} ({table['treatment'].iloc[row]}"
            f" in {table['cell_line'].iloc[row]}) is {X[row, column]}; drop the gene or the profile"
        )


def _ids(table: pd.DataFrame) -> pd.Index:
    parts = [
        table["plate"],
        table["cell_line"],
        table["treatment"],
        table["dose"].map("{:g}".format),
    ]
    ids = pd.Series(["|".join(row) for row in zip(*parts, strict=True)], dtype=object)
    copy = ids.groupby(ids).cumcount()
    return pd.Index(np.where(copy > 0, ids + "|" + (copy + 1).astype(str), ids), dtype=object)
