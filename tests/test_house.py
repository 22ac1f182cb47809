"""The arrows between the packages run one way, and the truth stays where it is made."""

import ast
from pathlib import Path

import pytest

import screenbook

PACKAGE = Path(screenbook.__file__).parent
GROUND = {
    *("errors", "paths", "threads", "blocks", "chemistry", "metadata", "screen", "settings"),
    *("image_set", "expression_set", "checkpoints", "processes", "training", "held_out"),
    *("fingerprints", "retrieval_metrics", "contrastive"),
}
MAY_USE = {
    "simulate": GROUND,
    "report": GROUND,
    "profiles": GROUND,
    "hits": GROUND | {"profiles"},
    "classifier": GROUND | {"profiles", "hits"},
    "leads": GROUND | {"profiles", "hits", "classifier"},
    "images": GROUND | {"profiles"},
    "expression": GROUND | {"profiles"},
    "structure": GROUND | {"profiles"},
    "finetune": GROUND | {"profiles", "images"},
    "cells": GROUND | {"profiles", "images"},
    "figures": GROUND,
    "sources": GROUND | {"profiles", "expression", "simulate", "report"},
}
"""Each package, and what it may import beside itself. Notebooks may import all but simulate."""

DRAWS = {"plotly", "matplotlib", "IPython"}
COMPUTES = {
    *("profiles", "hits", "classifier", "leads", "images", "expression"),
    *("structure", "finetune", "cells"),
}


def imported(path):
    """Names of all modules that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "screenbook":
                yield from (f"screenbook.{alias.name}" for alias in node.names)


def rooms():
    return sorted(p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists())


def test_every_package_has_its_place():
    assert set(rooms()) == set(MAY_USE)


@pytest.mark.parametrize("room", sorted(MAY_USE))
def test_arrows_run_one_way(room):
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "screenbook" and len(parts) > 1:
                assert parts[1] in MAY_USE[room] | {room}, f"{path.name} imports {name}"


@pytest.mark.parametrize("room", sorted(COMPUTES))
def test_what_computes_neither_draws_nor_prints_nor_reads_files(room):
    for path in sorted((PACKAGE / room).rglob("*.py")):
        assert not DRAWS & {name.split(".")[0] for name in imported(path)}, path.name
        calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
        names = {getattr(c.func, "id", getattr(c.func, "attr", "")) for c in calls}
        assert not names & {"print", "open", "read_csv", "to_csv", "read_text"}, path.name


def test_only_the_source_of_simulated_screens_knows_the_simulation():
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] != "simulate"
        and any(name.startswith("screenbook.simulate") for name in imported(path))
    }
    assert users <= {
        *("sources/simulated.py", "sources/config.py", "sources/__init__.py"),
        "sources/images/simulated.py",
        "sources/expression/simulated.py",
    }
