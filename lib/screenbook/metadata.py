"""The metadata of a screen as text and numbers: fixed columns, a schema, plate addresses."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    import pandera.pandas as pa

REQUIRED = ("cell_type", "experiment", "plate", "well", "treatment")
"""Columns that every screen must bring."""

OPTIONAL = ("site", "disease_condition", "treatment_conc", "SMILES")
"""Columns that are filled in where a screen has none."""

COLUMNS = (
    *("cell_type", "experiment", "plate", "well", "site"),
    *("disease_condition", "treatment", "treatment_conc", "SMILES"),
)
"""The fixed columns, in their order."""

_NUMBERS = ("site", "treatment_conc")

_UNCLEAR = {"", "unclear", "unknown", "not known", "none", "nan", "n/a", "na", "-", "?"}
_WELL = re.compile(r"([A-Z]{1,2})0*([1-9][0-9]?)", re.IGNORECASE)
_PLATE_ROWS, _PLATE_COLUMNS = 48, 72  # of a 3,456-well plate, the largest there is


def as_text(values: pd.Series) -> pd.Series:
    """Turn a column into trimmed text, ``""`` where it is missing.

    Whole numbers lose the ``.0`` that a missing value elsewhere in the column gave them, so
    that plate 7 is ``"7"`` whichever reader met it.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object).infer_objects()
    if pd.api.types.is_float_dtype(values.dtype):
        whole = values.dropna().mod(1).eq(0).all()
        values = values.astype("Int64") if whole else values
    text = values.astype(object)
    return text.where(text.notna(), "").astype(str).str.strip().astype(object)


def _is_number(text: pd.Series) -> pd.Series:
    return pd.to_numeric(text.replace("", "0"), errors="coerce").notna()


def _is_dose(text: pd.Series) -> pd.Series:
    number = pd.to_numeric(text.replace("", "0"), errors="coerce").fillna(0.0)
    return number.ge(0) & np.isfinite(number)


def _is_count(text: pd.Series) -> pd.Series:
    number = pd.to_numeric(text.replace("", "0"), errors="coerce").fillna(-1.0)
    return number.ge(0) & number.mod(1).eq(0)


_NAMED = pa.Check(lambda text: text.ne(""), error="is blank; fill it in, or leave the row out")

SCHEMA = pa.DataFrameSchema(
    {
        **{name: pa.Column(object, _NAMED) for name in ("experiment", "plate", "well")},
        **{
            name: pa.Column(object)
            for name in ("cell_type", "disease_condition", "treatment", "SMILES")
        },
        "site": pa.Column(
            object, pa.Check(_is_count, error="is no whole number; number sites 1, 2, ...")
        ),
        "treatment_conc": pa.Column(
            object,
            [
                pa.Check(
                    _is_number, error="is not a number; give doses as plain numbers, blank for none"
                ),
                pa.Check(_is_dose, error="is not a dose; doses are finite and not negative"),
            ],
        ),
    },
)
"""What the metadata of a screen must satisfy while they are still text."""


def tidy(
    obs: pd.DataFrame, origin: str, also: tuple[str, ...] = (), key: str = "id"
) -> pd.DataFrame:
    """Bring metadata into the fixed form, or say in one line why that cannot be.

    Parameters
    ----------
    obs : DataFrame
        Metadata; its index holds the row ids, unless it is numbers.
    origin : str
        File the rows came from, quoted in errors.
    also : tuple of str
        Further columns that must be there.
    key : str
        What the ids are called where the user wrote them, quoted in errors.

    Returns
    -------
    DataFrame
        The fixed columns first (text as str with ``""`` for missing, ``site`` as int, 0 where
        there are none, ``treatment_conc`` as float), then the others,
        indexed by unique ids. A ``moa`` that says nothing (:func:`unclear`) is ``""``.

    Raises
    ------
    InputError
        If a column is missing, a value cannot be read, or an id comes twice.
    """
    _check_columns(obs, origin, also)
    if obs.empty:
        raise InputError(f"{origin}: there are no rows; check that the file is complete")
    table = obs.copy()
    for column in OPTIONAL:
        if column not in table:
            table[column] = ""
    for column in table.columns:
        if column in COLUMNS or not pd.api.types.is_numeric_dtype(table[column]):
            table[column] = as_text(table[column])
    counted = pd.api.types.is_integer_dtype(obs.index.dtype)
    ids = _addresses(table) if counted else obs.index.astype(str)
    table.index = pd.Index(ids, dtype=object)
    key = "address" if counted else key
    _check_values(table, origin, key)
    check_ids(table.index, origin, key)
    if "moa" in table:
        table["moa"] = table["moa"].where(~unclear(table["moa"]), "")
    numbers = {name: pd.to_numeric(table[name], errors="coerce") for name in _NUMBERS}
    table["site"] = numbers["site"].fillna(0).astype(np.int64)
    table["treatment_conc"] = numbers["treatment_conc"].astype(np.float64)
    return table[[*COLUMNS, *(c for c in table.columns if c not in COLUMNS)]]


def unclear(names: pd.Series) -> pd.Series:
    """Find annotations that only say that nothing is known, such as ``unknown`` or ``-``.

    Taken at their word, all such compounds would share one mechanism.

    Returns
    -------
    Series of bool
    """
    return names.astype(str).str.strip().str.casefold().isin(_UNCLEAR)


def well_address(well: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of wells on their plate, from names like ``A01``, ``a1`` or ``AF48``.

    Parameters
    ----------
    well : Series of str, length n
        Names of wells.

    Returns
    -------
    row, column : ndarray of int64, shape (n,)
        From 0: ``A01`` is (0, 0), rows go on from Z to AA. Both -1 if the name is no address
        on a plate of up to 3,456 wells.
    """
    codes, names = pd.factorize(well)
    known = np.array([_address(name) for name in names], dtype=np.int64).reshape(-1, 2)
    row, column = known[codes].T
    return row, column


def well_name(row: int, column: int) -> str:
    """Name a well by its row and column on the plate, both from 0: (0, 0) is ``A01``."""
    first = chr(ord("A") + row // 26 - 1) if row >= 26 else ""
    return f"{first}{chr(ord('A') + row % 26)}{column + 1:02d}"


def _address(well: str) -> tuple[int, int]:
    match = _WELL.fullmatch(well.strip())
    if match is None:
        return -1, -1
    row = 0
    for letter in match[1].upper():
        row = 26 * row + ord(letter) - ord("A") + 1
    row, column = row - 1, int(match[2]) - 1
    return (row, column) if row < _PLATE_ROWS and column < _PLATE_COLUMNS else (-1, -1)


def _addresses(table: pd.DataFrame) -> list[str]:
    parts = [table[column] for column in ("experiment", "plate", "well", "site")]
    return ["_".join(part for part in row if part) for row in zip(*parts, strict=True)]


def _check_columns(obs: pd.DataFrame, origin: str, also: tuple[str, ...]) -> None:
    for column in dict.fromkeys((*REQUIRED, *also)):
        if column not in obs:
            raise InputError(
                f"{origin}: there is no column {column!r}"
                f"{did_you_mean(column, obs.columns)}; found {listing(obs.columns)}: "
                f"name it under `columns:`, or give one value for all rows under `constants:`"
            )
    twice = obs.columns[obs.columns.duplicated()]
    if len(twice):
        raise InputError(f"{origin}: column {twice[0]!r} is there twice; rename or drop one")


def _check_values(table: pd.DataFrame, origin: str, key: str) -> None:
    """Turn the first refusal of the schema into one line."""
    try:
        SCHEMA.validate(table.reset_index(drop=True), lazy=False)
    except pa.errors.SchemaError as error:
        row = int(error.failure_cases["index"].iloc[0])
        value = error.failure_cases["failure_case"].iloc[0]
        raise InputError(
            f"{origin}: column {error.schema.name!r}, row {row + 1} ({key} {table.index[row]!r}): "
            f"{value!r} {error.check.error}"
        ) from None


def check_ids(ids: pd.Index, origin: str, key: str) -> None:
    """Refuse ids that come twice, naming the first and two of its rows."""
    again = ids.duplicated()
    if again.any():
        first = ids[again][0]
        one, other = np.flatnonzero(ids == first)[:2] + 1
        raise InputError(
            f"{origin}: {key} {first!r} is in row {one} and again in row {other} "
            f"({int(again.sum()):,} repeated in all); every row needs an id of its own: "
            "drop the copies"
        )
