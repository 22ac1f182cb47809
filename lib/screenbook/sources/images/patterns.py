"""File names that say what is in the file: ``{experiment}/Plate{plate}/{well}_s{site}.tif``."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from screenbook.errors import InputError
from screenbook.metadata import well_address, well_name


def compile_pattern(pattern: str, where: str) -> re.Pattern[str]:
    """Turn a pattern into a regular expression.

    Parameters
    ----------
    pattern : str
        ``{name}`` is a piece of text without ``/``, as short as the rest allows; twice the
        same name is twice the same text. ``{name:regex}`` says what it looks like. ``*`` is
        anything without ``/``. All else is meant as it stands.
    where : str
        File and section, quoted in errors.

    Raises
    ------
    InputError
        If a bracket is not closed, or a name is none.
    """
    parts, names, place = [], set(), 0
    while place < len(pattern):
        mark = pattern[place]
        if mark == "{":
            end = _closing(pattern, place, where)
            name, colon, shape = pattern[place + 1 : end].partition(":")
            if not name.isidentifier():
                raise InputError(f"{where}: {{{name}}} in pattern {pattern!r} is no name")
            again = name in names
            parts.append(f"(?P={name})" if again else f"(?P<{name}>{shape if colon else '[^/]+?'})")
            names.add(name)
            place = end
        else:
            parts.append("[^/]*?" if mark == "*" else re.escape(mark))
        place += 1
    try:
        return re.compile("".join(parts))
    except re.error as error:
        raise InputError(f"{where}: pattern {pattern!r} cannot be read ({error})") from None


def match_names(names: Iterable[str], pattern: str, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Read what the names of files say.

    Parameters
    ----------
    names : iterable of str
        Names with ``/``.
    pattern : str
        See :func:`compile_pattern`. ``{row}`` and ``{column}`` (numbers or letters) together
        make a ``well`` where there is none.
    where : str
        File and section, quoted in errors.

    Returns
    -------
    found : DataFrame of str
        One row for each name that fits, column ``file`` with the name itself.
    others : list of str
        Names that do not fit.
    """
    shape = compile_pattern(pattern, where)
    if "file" in shape.groupindex:
        raise InputError(f"{where}: pattern {pattern!r}: {{file}} is taken; call it otherwise")
    rows, others = [], []
    for name in names:
        match = shape.fullmatch(name)
        if match:
            rows.append({**match.groupdict(), "file": name})
        else:
            others.append(name)
    found = pd.DataFrame(rows, columns=[*shape.groupindex, "file"], dtype=object)
    if "well" not in found and {"row", "column"} <= set(found):
        found["well"] = _wells(found, pattern, where)
    return found, others


def _wells(found: pd.DataFrame, pattern: str, where: str) -> list[str]:
    """Name wells by row (a number or letters) and column."""
    wells = []
    for row, column, name in zip(found["row"], found["column"], found["file"], strict=True):
        numbers = row.isdigit() and column.isdigit() and int(row) > 0 and int(column) > 0
        well = well_name(int(row) - 1, int(column) - 1) if numbers else f"{row}{column}"
        if well_address(pd.Series([well]))[0][0] < 0:
            raise InputError(
                f"{where}: pattern {pattern!r} reads row {row!r} and column {column!r} from "
                f"{name!r}, which is no well; correct the pattern"
            )
        wells.append(well)
    return wells


def _closing(pattern: str, start: int, where: str) -> int:
    depth = 0
    for place in range(start, len(pattern)):
        depth += {"{": 1, "}": -1}.get(pattern[place], 0)
        if not depth:
            return place
    raise InputError(f"{where}: a bracket of pattern {pattern!r} is not closed; add '}}'")
