"""How many cells there are of each treatment in each line, as a table of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from screenbook.errors import InputError, listing
from screenbook.sources.files import TextTable

_NAMES = {
    "treatment": ("treatment", "drug"),
    "cell_line": ("cell_line", "cell_line_id", "cell_name"),
    "n_cells": ("n_cells",),
    "plate": ("plate",),
    "dose": ("dose", "conc"),
}
"""What each column may be called in the file; plate and dose may be missing."""

_KEY = ("treatment", "cell_line", "plate", "dose")


def read_counts(path: Path) -> pd.DataFrame:
    """Read a table of cell counts, strictly.

    Parameters
    ----------
    path : Path
        CSV, TSV or Parquet with one row for each pair of treatment and line, or for each pair
        on each plate and at each dose.

    Returns
    -------
    DataFrame
        ``treatment``, ``cell_line`` (names as in the file, without blanks around them),
        ``n_cells`` (int64) and, where the file has them, ``plate`` and ``dose`` (uM).

    Raises
    ------
    InputError
        If a column is missing, a name is blank, a number cannot be read, or a pair comes twice.
    """
    table = TextTable(path)
    chosen: dict[str, str] = {}
    for ours, theirs in _NAMES.items():
        found = [name for name in theirs if name in table.columns]
        if found:
            chosen[ours] = found[0]
        elif ours in ("treatment", "cell_line", "n_cells"):
            raise InputError(
                f"{table.name}: there is no column {theirs[-1]!r} (or {listing(theirs[:-1])}); "
                f"found {listing(table.columns)}"
                if len(theirs) > 1
                else f"{table.name}: there is no column {ours!r}; found {listing(table.columns)}"
            )
    raw = table.read_text(list(chosen.values()))
    if raw.empty:
        raise InputError(f"{table.name}: there are no rows; check that the file is complete")
    counts = pd.DataFrame({ours: raw[theirs] for ours, theirs in chosen.items()})
    for column in ("treatment", "cell_line", *(("plate",) if "plate" in counts else ())):
        _refuse(counts[column], counts[column].eq(""), table.name, chosen[column], "is blank")
    number = pd.to_numeric(counts["n_cells"], errors="coerce")
    whole = np.isfinite(number) & number.ge(0) & number.mod(1).eq(0)
    _refuse(counts["n_cells"], ~whole, table.name, "n_cells", "is no count of cells")
    counts["n_cells"] = number.astype(np.int64)
    if "dose" in counts:
        dose = pd.to_numeric(counts["dose"], errors="coerce")
        bad = ~(np.isfinite(dose) & dose.ge(0))
        _refuse(counts["dose"], bad, table.name, chosen["dose"], "is no dose in uM")
        counts["dose"] = dose.astype(float)
    key = [name for name in _KEY if name in counts]
    again = counts.duplicated(key)
    if again.any():
        row = int(np.flatnonzero(again)[0])
        values = ", ".join(str(counts[name].iloc[row]) for name in key)
        raise InputError(
            f"{table.name}: row {row + 1} repeats {values}; keep one row for each, or sum them"
        )
    return counts


def _refuse(values: pd.Series, bad: pd.Series, origin: str, column: str, problem: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{origin}: column {column!r}, row {row + 1}: {str(values.iloc[row])!r} {problem}; "
            "correct it or leave the row out"
        )
