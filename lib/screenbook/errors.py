"""The one error a user is meant to read, and the phrases such errors share."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something given to screenbook cannot be used as it is.

    The message is a single line that names the file, the column or parameter, the first bad
    row or value where there is one, and the mend. Command-line programs print it without a
    traceback and leave with status 2.
    """


class RunFailed(Exception):
    """A notebook stopped before its end; the message is one line that says where to look."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """End an error about an unknown name: point to the nearest known one, if any is near.

    Returns
    -------
    str
        ``" (did you mean 'Mock'?)"``, with its leading blank, or ``""``.
    """
    folded = {str(name).casefold(): str(name) for name in known}
    near = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f" (did you mean {folded[near[0]]!r}?)" if near else ""


def listing(names: Iterable[str], limit: int = 8) -> str:
    """Quote names and join them by commas; of a long list the first `limit`, then a count."""
    quoted = [repr(str(name)) for name in names]
    more = f" and {len(quoted) - limit:,} more" if len(quoted) > limit else ""
    return ", ".join(quoted[:limit]) + more


def known_name(name: str, known: Iterable[str], what: str) -> str:
    """Give back a name that a parameter holds, if there is such a thing, or none was given.

    Parameters
    ----------
    name : str
        ``""`` for none.
    known : iterable of str
        What there is.
    what : str
        The parameter, quoted in the error.

    Raises
    ------
    InputError
        If there is nothing of that name.
    """
    there = sorted({str(one) for one in known})
    if name and name not in there:
        raise InputError(
            f"{what} {name!r} is not there{did_you_mean(name, there)}; there are {listing(there)}"
        )
    return name
