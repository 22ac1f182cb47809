"""What a notebook imports is found without running it, and told to Make."""

from pathlib import Path

import screenbook
from screenbook.report.imports import imported_modules, write_rule

PACKAGE = Path(screenbook.__file__).parent


def modules_of(tmp_path, text):
    path = tmp_path / "notebook.py"
    path.write_text(text)
    return {p.relative_to(PACKAGE).as_posix() for p in imported_modules(path)}


def test_imports_are_followed_wherever_they_stand(tmp_path):
    found = modules_of(
        tmp_path, "%matplotlib inline\n!ls\nif True:\n    from screenbook import settings\n"
    )
    assert found == {"__init__.py", "settings.py", "errors.py", "paths.py"}


def test_a_package_brings_its_init_and_what_that_imports(tmp_path):
    found = modules_of(tmp_path, "import numpy\nfrom screenbook.report import show\n")
    assert {"report/__init__.py", "report/show.py", "report/text.py"} <= found
    assert "report/run.py" not in found


def test_foreign_modules_are_none_of_ours(tmp_path):
    assert modules_of(tmp_path, "import os, numpy as np\nfrom screenbook_two import x\n") == set()


def test_the_rule_is_one_that_make_reads(home):
    target = home / "build" / "mine" / "01.ipynb"
    rule = write_rule(target, [home / "lib" / "a b.py", Path("/elsewhere/c$.py")])
    assert rule == target.with_suffix(".d")
    assert rule.read_text() == (
        "build/mine/01.ipynb: lib/a\\ b.py /elsewhere/c$$.py\nlib/a\\ b.py:\n/elsewhere/c$$.py:\n"
    )
