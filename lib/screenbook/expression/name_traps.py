"""Names of treatments that a join would lose or count twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.chemistry import name_compounds, parent
from screenbook.errors import InputError, did_you_mean
from screenbook.expression.splits import parent_blocks


@dataclass(frozen=True)
class NameTraps:
    """Names that a join would lose or count twice.

    Attributes
    ----------
    spellings : DataFrame
        Names that are not what they look like, one row each: ``table``, ``name`` and
        ``also`` (the spelling with which it agrees when trimmed and case-folded; the trimmed
        name itself if no table has it).
    structures : DataFrame
        Names without a readable structure: ``name``, ``smiles``, ``why`` ("missing" or
        "unreadable", as are those without a carbon).
    parents : DataFrame
        Parents with several names: ``parent`` (connectivity block of the InChIKey),
        ``n_names``, ``names`` (joined by ``"; "``).
    """

    spellings: pd.DataFrame
    structures: pd.DataFrame
    parents: pd.DataFrame


def find_name_traps(names: Mapping[str, Iterable[str]], structures: pd.DataFrame) -> NameTraps:
    """Look for names that differ by blanks or case, lack a structure, or share a parent.

    Parameters
    ----------
    names : mapping of str to iterable of str
        For each table, the names of treatments in it; the table to trust first.
    structures : DataFrame
        ``treatment`` and ``SMILES``; blank or missing where there is none.

    Raises
    ------
    InputError
        If a column is missing.
    """
    for column in ("treatment", "SMILES"):
        if column not in structures:
            raise InputError(
                f"structures: there is no column {column!r}"
                f"{did_you_mean(column, structures.columns)}"
            )
    smiles = structures["SMILES"].fillna("").astype(str).str.strip()
    treatment = structures["treatment"].astype(str)
    read = np.array([bool(s) and parent(s) is not None for s in smiles], dtype=bool)
    without = pd.DataFrame(
        {
            "name": treatment,
            "smiles": smiles,
            "why": np.where(smiles.eq(""), "missing", "unreadable"),
        }
    )[~read]
    naming = name_compounds(treatment[read], smiles[read])
    known = pd.DataFrame(
        {"parent": parent_blocks(naming.compound_key), "name": treatment[read].str.strip()}
    ).drop_duplicates()
    groups = known.sort_values("name").groupby("parent")["name"]
    shared = pd.DataFrame({"n_names": groups.size(), "names": groups.agg("; ".join)})
    shared = shared[shared["n_names"] > 1].sort_values(
        ["n_names", "names"], ascending=[False, True]
    )
    return NameTraps(
        _spellings({table: sorted(set(map(str, some))) for table, some in names.items()}),
        without.drop_duplicates().reset_index(drop=True),
        shared.reset_index(),
    )


def _spellings(names: Mapping[str, list[str]]) -> pd.DataFrame:
    """Names not as they are meant: of twins but for blanks and case, the first trimmed one is."""
    met: dict[str, list[str]] = {}
    for some in names.values():
        for name in some:
            met.setdefault(_folded(name), []).append(name)
    meant = {key: min(some, key=lambda name: name != name.strip()) for key, some in met.items()}
    rows = [
        {"table": table, "name": name, "also": " ".join(meant[_folded(name)].split())}
        for table, some in names.items()
        for name in some
        if name != " ".join(meant[_folded(name)].split())
    ]
    return pd.DataFrame(rows, columns=["table", "name", "also"])


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
