"""What Make cannot know before a run: the modules a notebook uses, the files a screen is of."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import screenbook
from screenbook.paths import replacing, root

_PACKAGE = Path(screenbook.__file__).parent


def write_rule(target: Path, prerequisites: Iterable[Path]) -> Path:
    """Write the Make rule that `target` depends on `prerequisites`.

    As compilers do it for C: ``name.d`` beside the target, for the Makefile to include. Each
    prerequisite is a target without a rule too, so that one that is deleted stops nothing.
    """
    needed = [_make_path(path) for path in prerequisites]
    lines = [f"{_make_path(target)}: {' '.join(needed)}", *(f"{path}:" for path in needed)]
    rule = target.with_suffix(".d")
    with replacing(rule) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return rule


def imported_modules(source: Path) -> list[Path]:
    """Find the files of the package that a Python file imports, directly or through others.

    Parameters
    ----------
    source : Path
        A module, or a notebook in the percent format.

    Returns
    -------
    list of Path
        Sorted. Imports are read from the text, wherever they stand; nothing is executed.
    """
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        new = set(_imports(waiting.pop())) - found
        found |= new
        waiting += new
    return sorted(found)


def _imports(source: Path) -> Iterator[Path]:
    # Lines for IPython (%magic, !command) are no Python, and import nothing.
    text = re.sub(r"^\s*[%!].*$", "", source.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:  # a name may be a module of that package
                yield from _files(f"{node.module}.{alias.name}")


def _files(dotted: str) -> Iterator[Path]:
    """Find the file of a module and those of the packages above it; none outside of ours."""
    package, *names = dotted.split(".")
    if package != screenbook.__name__:
        return
    folder = _PACKAGE
    yield folder / "__init__.py"
    for name in names:
        if (folder / f"{name}.py").is_file():
            yield folder / f"{name}.py"
            return
        folder = folder / name
        if not (folder / "__init__.py").is_file():
            return
        yield folder / "__init__.py"


def _make_path(path: Path) -> str:
    """Write a path as Make reads it, from the checkout where it lies inside."""
    shown = path.relative_to(root()) if path.is_relative_to(root()) else path
    return shown.as_posix().replace("$", "$$").replace(" ", r"\ ")
