"""A notebook's parameters: what it takes, and what a run gives it. Strict, before anything runs.

Papermill only warns of a name that a notebook does not know, and takes any type: a misspelt
setting would leave the default in force, unseen. Here it stops the run.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import math
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
from nbformat import NotebookNode

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.paths import base_run, build_dir, params_file, replacing, root
from screenbook.settings import load_settings, read_yaml, short

_TYPES = {"int": int, "float": float, "str": str, "bool": bool}
_WORDS = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
_ANNOTATION = re.compile(r"(?:(int|float|str|bool)|list\[(int|float|str)\])(?: \| (None))?")
NUMBER = r"\d+[a-z]?"
"""How notebooks are numbered: two may share a number and differ by a letter, 06a and 06b."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\[\s*({_NUMBER})?\s*\.\.\s*({_NUMBER})?\s*\]")
_CHOICES = re.compile(r"\{([^{}]+)\}")
_GIVEN_BY_DRIVER = "run"
_MADE_FROM = ("screen", "images", "expression")  # sections that data are made from
_NOT_NOTEBOOKS = (*_MADE_FROM, "common")
_LONGEST_NAME = 80  # of a variant: file systems allow 255 bytes, readers less


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell.

    Attributes
    ----------
    name : str
    kind : str
        ``int``, ``float``, ``str`` or ``bool``; of a list, that of its items.
    default : object
    help : str
        The trailing comment, without its range or choices.
    many, optional : bool
        Whether it takes a list; whether it takes ``null``.
    low, high : float or None
        Range, both ends included, from ``[low..high]`` in the comment; either may be missing.
    choices : tuple of str
        From ``{a|b|c}`` in the comment; empty if anything goes.
    """

    name: str
    kind: str
    default: Any
    help: str = ""
    many: bool = False
    optional: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def takes(self) -> str:
        """What it takes, in words: ``a whole number from 2 to 200``."""
        words = _WORDS[self.kind]
        if self.choices:
            words = "one of " + ", ".join(self.choices)
        elif self.low is not None and self.high is not None:
            words += f" from {self.low:g} to {self.high:g}"
        elif self.low is not None:
            words += f" of at least {self.low:g}"
        elif self.high is not None:
            words += f" of at most {self.high:g}"
        if self.many:
            words = f"a list, each item {words}"
        return words + (", or null" if self.optional else "")

    def check(self, value: Any) -> Any:
        """Return `value` as the notebook will get it (a whole number for a float becomes one).

        Raises
        ------
        ValueError
            If the type, the range or the choices do not allow it; the message is the value.
        """
        if value is None and self.optional:
            return None
        if not self.many:
            return self._check_one(value)
        if not isinstance(value, list):
            raise ValueError(repr(value))
        return [self._check_one(item) for item in value]

    def _check_one(self, value: Any) -> Any:
        if self.kind == "float" and type(value) is int:
            value = float(value)
        # type() and not isinstance(): True is an int to Python, and no number to a reader.
        if type(value) is not _TYPES[self.kind]:
            raise ValueError(repr(value))
        if isinstance(value, float) and math.isnan(value):
            raise ValueError("not a number")
        if self.choices and value not in [_TYPES[self.kind](choice) for choice in self.choices]:
            raise ValueError(repr(value))
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if isinstance(value, int | float) and not low <= value <= high:
            raise ValueError(repr(value))
        return value

    def parse(self, text: str) -> Any:
        """Turn the text behind ``name=`` on a command line into a value, unchecked."""
        if self.kind == "str" and not self.many:
            return None if self.optional and text == "null" else text
        return read_yaml(text, f"the value of {self.name}")


def notebook_files() -> list[Path]:
    """Find the notebooks of the checkout, ``NN_name.py``, in their order."""
    return sorted((root() / "notebooks").glob("[0-9]*.py"))


def find_notebook(name: str) -> Path:
    """Find a notebook by its number (``04``, ``4`` or ``06a``), its name or its path.

    Raises
    ------
    InputError
        If there is no such notebook, or more than one.
    """
    files = notebook_files()
    stem = Path(name).stem if name.endswith(".py") else name
    found = [file for file in files if file.stem == stem]
    if not found and re.fullmatch(NUMBER, name):
        found = [file for file in files if _number(file) == name.lstrip("0")]
    if len(found) != 1:
        problem = "no notebook" if not found else "more than one notebook"
        raise InputError(
            f"{name!r} is {problem} of {short(root() / 'notebooks')}: "
            f"give a number or a name of {listing((file.stem for file in files), 20)}"
        )
    return found[0]


def _number(file: Path) -> str:
    match = re.match(NUMBER, file.stem)
    return match.group().lstrip("0") if match else ""


def read_parameters(notebook: Path) -> dict[str, Parameter]:
    """Read what a notebook takes from its cell tagged ``parameters``.

    Raises
    ------
    InputError
        If there is not exactly one such cell, or a line is not
        ``name: type = value  # help [low..high] or {a|b}``, or a default breaks its own rule.
    """
    return parameters_of(jupytext.read(notebook), notebook.name)


def parameters_of(notebook: NotebookNode, origin: str) -> dict[str, Parameter]:
    """Read what a notebook takes (see :func:`read_parameters`); `origin` names it in errors."""
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise InputError(
            f"{origin} has {len(cells)} cells tagged 'parameters': "
            "give it one, opened by '# %% tags=[\"parameters\"]'"
        )
    source = cells[0].source
    try:
        statements, comments = ast.parse(source).body, _comments(source)
    except SyntaxError as error:
        raise InputError(
            f"{origin}, parameters cell, line {error.lineno}: {error.msg}; "
            "write 'name: type = value  # help'"
        ) from None
    parameters = {}
    for statement in statements:
        line = source.splitlines()[statement.lineno - 1].strip()
        parameter = _parameter(statement, comments.get(statement.lineno, ""))
        if parameter is None:
            raise InputError(
                f"{origin}, parameters cell: {line!r} is not 'name: type = value  # help' on one "
                "line, with int, float, str, bool, a list of these or one '| None' as type"
            )
        try:
            parameter.check(parameter.default)
        except ValueError as error:
            raise InputError(
                f"{origin}, parameter {parameter.name}: its default {error} breaks its own rule, "
                f"{parameter.takes}"
            ) from None
        parameters[parameter.name] = parameter
    return parameters


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def _parameter(statement: ast.stmt, comment: str) -> Parameter | None:
    """Read a line of the parameters cell; None if it is something else."""
    if (
        not isinstance(statement, ast.AnnAssign)
        or not isinstance(statement.target, ast.Name)
        or statement.value is None
        or statement.lineno != statement.end_lineno
        or not (annotation := _ANNOTATION.fullmatch(ast.unparse(statement.annotation)))
    ):
        return None
    try:
        default = ast.literal_eval(statement.value)
    except ValueError:
        return None
    single, item, none = annotation.groups()
    bounds, choices = _RANGE.search(comment), _CHOICES.search(comment)
    low, high = bounds.groups() if bounds else (None, None)
    return Parameter(
        name=statement.target.id,
        kind=single or item,
        default=float(default) if single == "float" and type(default) is int else default,
        help=" ".join(_CHOICES.sub("", _RANGE.sub("", comment)).split()),
        many=bool(item),
        optional=bool(none),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        choices=tuple(choice.strip() for choice in choices[1].split("|")) if choices else (),
    )


def given_parameters(
    run: str, notebooks: Mapping[str, Mapping[str, Parameter]]
) -> dict[str, dict[str, Any]]:
    """Check what the file of a run gives each notebook.

    Parameters
    ----------
    run : str
        Run or variant.
    notebooks : mapping of str to mapping of str to Parameter
        What each notebook takes, by the notebook's name (``04_score_rescue``).

    Returns
    -------
    dict of str to dict
        Checked values by notebook and parameter: its own section over ``common``.

    Raises
    ------
    InputError
        Unknown section, a key that nothing takes, a wrong type, a value out of range.
    """
    settings = load_settings(run)
    origin = short(params_file(run))
    sections = {name: part for name, part in settings.items() if name not in _NOT_NOTEBOOKS}
    for name in sections:
        if name not in notebooks:
            known = [*_NOT_NOTEBOOKS, *notebooks]
            raise InputError(
                f"{origin}: section {name!r} belongs to no notebook{did_you_mean(name, known)}; "
                f"it may hold {listing(known, 20)}"
            )
    common = settings.get("common", {})
    for key in common:
        if not any(key in takes for takes in notebooks.values()) or key == _GIVEN_BY_DRIVER:
            taken = {name for takes in notebooks.values() for name in takes} - {_GIVEN_BY_DRIVER}
            raise InputError(
                f"{origin}, common: no notebook takes {str(key)!r}{did_you_mean(str(key), taken)}; "
                f"they take {listing(sorted(taken), 20) or 'none'}"
            )
    return {
        name: _checked({k: v for k, v in common.items() if k in takes}, takes, name, origin)
        | _checked(sections.get(name, {}), takes, name, origin)
        for name, takes in notebooks.items()
    }


def write_settings(run: str) -> list[Path]:
    """Check the file of a run, and write what it gives each kind of data and each notebook.

    Returns
    -------
    list of Path
        ``build/<run>/settings/screen.json``, ``images.json``, ``expression.json`` and one file for
        each notebook. A file that would not change is left alone, so that Make repeats what has
        other settings and no more.
    """
    takes = {file.stem: read_parameters(file) for file in notebook_files()}
    settings = load_settings(run)
    parts = {name: settings.get(name, {}) for name in _MADE_FROM}
    parts |= given_parameters(run, takes)
    paths = []
    for name, values in parts.items():
        path = build_dir(run) / "settings" / f"{name}.json"
        text = json.dumps(values, indent=2, default=str) + "\n"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            with replacing(path) as part:
                part.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def overridden_parameters(
    overrides: Iterable[str], takes: Mapping[str, Parameter], notebook: str
) -> dict[str, Any]:
    """Parse and check ``name=value`` texts of a command line.

    Raises
    ------
    InputError
        As :func:`given_parameters`, or if a text has no ``=`` or repeats a name.
    """
    given: dict[str, Any] = {}
    for text in overrides:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise InputError(f"{text!r} sets nothing: write name=value, as in P='seed=1'")
        if name in given:
            raise InputError(f"parameter {name!r} is given twice: keep one")
        given[name] = takes[name].parse(value) if name in takes else value
    return _checked(given, takes, notebook, "command line")


def _checked(
    given: Mapping[str, Any], takes: Mapping[str, Parameter], notebook: str, origin: str
) -> dict[str, Any]:
    checked = {}
    for key, value in given.items():
        name = str(key)
        if name == _GIVEN_BY_DRIVER:
            raise InputError(
                f"{origin}: {notebook} gets 'run' from the name of the run; "
                "remove it and say RUN=… to make"
            )
        if name not in takes:
            known = [other for other in takes if other != _GIVEN_BY_DRIVER]
            raise InputError(
                f"{origin}: {notebook} does not take {name!r}{did_you_mean(name, known)}; "
                f"it takes {listing(known, 20)}"
            )
        try:
            checked[name] = takes[name].check(value)
        except ValueError as error:
            raise InputError(
                f"{origin}: {notebook} takes for {name!r} {takes[name].takes}, not {error}"
            ) from None
    return checked


def variant_name(run: str, overrides: Iterable[str], name: str | None = None) -> str:
    """Name the variant that overrides make of a run: ``simulated@n_neighbors-30``.

    Parameters
    ----------
    run : str
        Run, or a variant that is to be repeated under its own name.
    overrides : iterable of str
        ``name=value`` texts.
    name : str, optional
        What to call it, instead of after its overrides.
    """
    texts = list(overrides)
    variant = run
    if name:
        variant = f"{base_run(run)}@{name}"
    elif texts and "@" not in run:
        slug = ",".join(re.sub(r"[^A-Za-z0-9_.-]", "-", text).strip(".") for text in texts)
        if len(slug) > _LONGEST_NAME:
            digest = hashlib.sha256(slug.encode()).hexdigest()[:8]
            slug = f"{slug[:_LONGEST_NAME]}-{digest}"
        variant = f"{run}@{slug}"
    base_run(variant)  # refuses what could not be a folder
    return variant
