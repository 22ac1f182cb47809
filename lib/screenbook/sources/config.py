"""The ``screen:`` section of ``params/<run>.yml``, read strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.paths import root
from screenbook.screen import Roles

_Made = TypeVar("_Made")
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def check_options(
    section: Mapping[str, Any], known: Sequence[str], where: str, required: Sequence[str] = ()
) -> None:
    """Refuse options that do not exist, and the lack of those that must be there.

    Parameters
    ----------
    section : mapping
        The options as written.
    known, required : sequence of str
        All options there are, and those that must be given.
    where : str
        File and section, quoted in errors.
    """
    for option in section:
        if option not in known:
            raise InputError(
                f"{where}: {str(option)!r} is no option here"
                f"{did_you_mean(str(option), known)}; it takes {', '.join(known)}"
            )
    for option in required:
        if section.get(option) is None:
            raise InputError(f"{where}: {option!r} is missing; add a line `{option}: ...`")


def text(section: Mapping[str, Any], option: str, where: str, default: str = "") -> str:
    """One piece of text; numbers are taken as they are written."""
    value = section.get(option)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InputError(f"{where}: {option} is {value!r}; give one text, in quotes if need be")
    return str(value).strip()


def texts(section: Mapping[str, Any], option: str, where: str) -> tuple[str, ...]:
    """Read one text or a list of them as a tuple."""
    value = section.get(option)
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    return tuple(text({option: item}, option, where) for item in values if item is not None)


def mapping(section: Mapping[str, Any], option: str, where: str) -> dict[str, Any]:
    """Read a mapping; nothing there is an empty one."""
    value = section.get(option)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(
            f"{where}: {option} is {value!r}; write `name: value` lines indented below `{option}:`"
        )
    return {str(key): item for key, item in value.items()}


def choice(
    section: Mapping[str, Any], option: str, choices: Sequence[str], where: str, default: str
) -> str:
    """Read one of a few words."""
    value = text(section, option, where, default)
    if value not in choices:
        raise InputError(
            f"{where}: {option} is {value!r}{did_you_mean(value, choices)}; "
            f"take one of {listing(choices)}"
        )
    return value


def roles(section: Mapping[str, Any], where: str) -> Roles:
    """Read the ``roles:`` of a screen."""
    given = mapping(section, "roles", where)
    where = f"{where} roles"
    check_options(given, [f.name for f in fields(Roles)], where)
    return Roles(**{name: texts(given, name, where) for name in given if given[name] is not None})


def path(section: Mapping[str, Any], option: str, where: str) -> Path:
    """Read a path; a relative one starts at the root of the checkout."""
    return root() / Path(text(section, option, where)).expanduser()


def dataclass_of(made: type[_Made], section: Mapping[str, Any], where: str, what: str) -> _Made:
    """Fill a dataclass with defaults from a section, each value of its default's type.

    Parameters
    ----------
    made : type
        The dataclass.
    section : mapping
        Its fields by name; ``source`` is passed over.
    where : str
        File and section, quoted in errors.
    what : str
        What the fields are options of, in words.

    Raises
    ------
    InputError
        If there is no such field, a value has another type, or the dataclass refuses it.
    """
    defaults = {f.name: f.default for f in fields(made)}  # type: ignore[arg-type]
    given = {name: value for name, value in section.items() if name != "source"}
    for name in given:
        if name not in defaults:
            raise InputError(
                f"{where}: {str(name)!r} is no option of {what}"
                f"{did_you_mean(str(name), defaults)}; they take {listing(defaults, 99)}"
            )
    try:
        return made(**{name: _typed(name, defaults[name], v) for name, v in given.items()})
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _typed(name: str, default: Any, value: Any) -> Any:
    """Check a value against the type of the field's default, and make lists tuples."""
    if isinstance(default, tuple):
        if not isinstance(value, list):
            raise InputError(f"{name} is {value!r}; give a list, [...]")
        return tuple(_typed(name, default[0], item) for item in value)
    if type(default) is float and type(value) is int:
        return float(value)
    # type() and not isinstance(): True is an int to Python, and no number to a reader.
    if type(value) is not type(default):
        raise InputError(f"{name} is {value!r}; give {_WORDS[type(default)]}")
    return value
