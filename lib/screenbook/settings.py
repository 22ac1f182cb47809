"""``params/<run>.yml``: one file for one run, read strictly.

Top-level keys: ``screen`` (where the screen comes from; :mod:`screenbook.sources` reads it),
``images`` (where cell images come from, if there are any; :mod:`screenbook.sources.images`),
``expression`` (the same of expression profiles; :mod:`screenbook.sources.expression`),
``common`` (parameters for every notebook that takes them) and one section for each notebook,
named after its file (``04_score_rescue``).
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from screenbook.errors import InputError, listing
from screenbook.paths import params_file, root


class _StrictLoader(yaml.SafeLoader):
    """YAML as people mean it: ``1e-3`` is a number, and a repeated key is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is repeated", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1, which PyYAML speaks, wants 1.0e-3 and takes 1e-3 for text.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def load_settings(run: str) -> dict[str, Any]:
    """Read the settings of a run; a variant shares those of its run.

    Raises
    ------
    InputError
        If there is no such file, or it is no mapping of sections.
    """
    path = params_file(run)
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.yml"))
        there = f"the runs are {listing(known)}" if known else f"there are no runs in {path.parent}"
        raise InputError(f"{short(path)} is not there: {there}; write that file to define a run")
    settings = read_yaml(path.read_bytes(), short(path))
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise InputError(
            f"{short(path)} holds {_kind(settings)}: write sections such as 'screen:', 'common:' "
            "and one for each notebook, with 'name: value' lines indented below"
        )
    for name, section in settings.items():
        if section is not None and not isinstance(section, dict):
            raise InputError(
                f"{short(path)}: section {str(name)!r} holds {_kind(section)}: "
                "write 'name: value' lines indented below it"
            )
    return {str(name): section or {} for name, section in settings.items()}


def read_yaml(text: str | bytes, origin: str) -> Any:
    """Parse YAML; `origin` names the file in errors.

    Raises
    ------
    InputError
        If it is malformed: one line with file, line number and mend.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}" if mark else ""
        problem = (error.problem or "malformed").replace("\n", " ")
        raise InputError(f"{origin}{where}: {problem}; {_mend(problem)}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise InputError(f"{origin} is not readable text: save it as UTF-8") from None
    except ValueError as error:  # what looks like a date but is none
        raise InputError(f"{origin}: {error}; put quotes around that text") from None


def short(path: Path) -> str:
    """Name a file from the root of the checkout, where it lies inside."""
    return path.relative_to(root()).as_posix() if path.is_relative_to(root()) else str(path)


def _mend(problem: str) -> str:
    if r"'\t'" in problem:
        return "indent with blanks, not with tabs"
    if "end" in problem and "stream" in problem:
        return "close the bracket or the quotation mark"
    if "repeated" in problem:
        return "keep one of them"
    if "alias" in problem or "tag" in problem or "cannot start any token" in problem:
        return "put quotes around a text that starts with a special character"
    return "check the indentation and the ':' here and above; quote texts that hold ': ' or ' #'"


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"only {str(value)[:40]!r}"
