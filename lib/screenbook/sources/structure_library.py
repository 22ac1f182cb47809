"""Libraries of structures that were never imaged: a table with a name and a SMILES each."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from screenbook.errors import InputError
from screenbook.paths import base_run, build_dir, root
from screenbook.settings import short
from screenbook.sources.files import open_table

COLUMNS = ("compound", "smiles")


def find_library(name: str, run: str) -> Path | None:
    """Locate the library that a parameter names, or the one that came with the run's screen.

    Parameters
    ----------
    name : str
        CSV, TSV or Parquet, from the folder of the project; blank for ``library.tsv`` of the run.
    run : str
        Run or variant.

    Returns
    -------
    Path or None
        None if none was named and the run has none.

    Raises
    ------
    InputError
        If the file that was named is not there.
    """
    if name:
        path = root() / name
        if not path.is_file():
            raise InputError(f"library: {name!r} is not there; give a path from the project's root")
        return path
    own = build_dir(base_run(run)) / "library.tsv"
    return own if own.is_file() else None


def read_library(path: Path) -> pd.DataFrame:
    """Read the structures of a library; whether they are structures is not asked here.

    Returns
    -------
    DataFrame
        ``compound smiles`` (str).

    Raises
    ------
    InputError
        If a column is missing, there is no row, or a row has no name.
    """
    table = open_table(path).read_text(list(COLUMNS))
    if table.empty:
        raise InputError(f"{short(path)}: holds no row; write one for each compound")
    blank = table["compound"].str.strip() == ""
    if blank.any():
        raise InputError(
            f"{short(path)}: column 'compound', row {int(blank.idxmax()) + 2} is blank; name it"
        )
    return table
