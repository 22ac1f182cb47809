"""pyproject.toml is the one source of what is needed; the other files keep in step with it."""

import ast
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = [
    Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
]


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_constraints_pin_plain_versions():
    malformed = [
        line for line in pins() if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)
    ]
    assert malformed == []  # no paths, no local versions such as 2.13.0+cpu
    assert "screenbook" not in {line.partition("==")[0] for line in pins()}


@pytest.mark.parametrize("needed", NEEDED, ids=lambda needed: needed.name)
def test_what_is_needed_is_pinned_within_its_range(needed):
    versions = {canonicalize_name(n): v for n, _, v in (line.partition("==") for line in pins())}
    assert needed.specifier.contains(versions[canonicalize_name(needed.name)])


def imported_packages(folder):
    """Distributions that the Python files below a folder import."""
    known = metadata.packages_distributions()
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    modules |= {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    tops = {module.partition(".")[0] for module in modules}
    return {canonicalize_name(name) for top in tops for name in known.get(top, [])} - {"screenbook"}


def test_what_is_imported_is_asked_for():
    asked = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    extras = {
        canonicalize_name(Requirement(line).name)
        for lines in PROJECT["optional-dependencies"].values()
        for line in lines
    }
    used = imported_packages(ROOT / "lib") | imported_packages(ROOT / "notebooks")
    optional = {"harmonypy"}
    assert used - asked <= optional
    assert imported_packages(ROOT / "tests") - asked <= extras


def test_torch_is_one_version():
    torch = next(needed for needed in NEEDED if needed.name == "torch")
    assert str(torch.specifier) == "==2.13.0"


def test_optional_dependencies_are_tested():
    extras = PROJECT["optional-dependencies"]
    tested = {Requirement(line).name for line in extras["dev"]}
    for extra, lines in extras.items():
        assert {Requirement(line).name for line in lines} <= tested, extra


def test_conda_gives_python_and_pip_the_rest():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert environment["name"] == PROJECT["name"]
    assert environment["channels"] == ["conda-forge"]
    python = Requirement(next(entry for entry in conda if entry.startswith("python ")))
    assert python.specifier == SpecifierSet(PROJECT["requires-python"])
    assert {Requirement(entry).name for entry in conda} == {"python", "pip", "make"}
    assert pip == ["-c constraints.txt", "-e .[dev]"]


def test_the_makefile_accepts_the_same_pythons():
    makefile = (ROOT / "Makefile").read_text()
    assert PROJECT["requires-python"] == ">=3.11,<3.13"
    assert "not (3, 11) <= sys.version_info < (3, 13)" in makefile
    assert "--python '>=3.11,<3.13'" in makefile
