"""Scores that others gave the same compounds: a table with compound, cell type and score.

For RxRx19a the published hit scores can be brought in this form (ChEMBL document CHEMBL4303122).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from screenbook.errors import InputError
from screenbook.paths import root
from screenbook.settings import short
from screenbook.sources.files import open_table

COLUMNS = ("compound", "cell_type", "score")


def read_reference_scores(path: str | Path) -> pd.DataFrame:
    """Read a table of reference scores.

    Parameters
    ----------
    path : str or Path
        CSV, TSV or Parquet with the columns ``compound``, ``cell_type`` (blank: all cell types)
        and ``score`` (larger is a better rescue, negative is harm). A relative path starts at
        the folder of the project. Other columns are passed over.

    Returns
    -------
    DataFrame
        ``compound cell_type`` (str) and ``score`` (float).

    Raises
    ------
    InputError
        If the file is not there or cannot be read, lacks a column, holds no row, or has a row
        without a name, with a score that is no finite number, or with two scores for one
        compound and cell type.
    """
    path = root() / path
    table = open_table(path).read_text(list(COLUMNS))
    name = short(path)
    if table.empty:
        raise InputError(f"{name}: holds no row; write one for each compound, or leave it out")
    # Row 1 is the header, as an editor counts.
    table.index = table.index + 2
    _refuse(name, "compound", table["compound"] == "", table["compound"], "name the compound")
    score = pd.to_numeric(table["score"], errors="coerce")
    finite = score.notna() & ~score.isin([float("inf"), float("-inf")])
    _refuse(name, "score", ~finite, table["score"], "write a number, or take the row out")
    folded = table[["compound", "cell_type"]].apply(lambda column: column.str.casefold())
    _refuse(
        name,
        "compound",
        folded.duplicated(),
        table["compound"],
        "it has another score for this cell type above: keep one of the two",
    )
    return table.assign(score=score.astype(float)).reset_index(drop=True)


def _refuse(file: str, column: str, bad: pd.Series, values: pd.Series, mend: str) -> None:
    """Refuse the first bad row, by its line in the file."""
    if bad.any():
        row = bad.index[bad.to_numpy()][0]
        raise InputError(f"{file}: column {column!r}, row {row}: {values[row]!r}; {mend}")
