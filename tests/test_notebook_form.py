"""Every notebook has the anatomy that readers rely on, and survives JupyterLab unchanged."""

import ast
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupytext.cli import jupytext as jupytext_command

from screenbook.errors import InputError
from screenbook.report.parameters import parameters_of
from tiny_notebook import HEADER, write_tiny_notebook

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
ENDING = (
    "Against the truth",
    "What we found",
    "What could be wrong",
    "Methods and citations",
    "Provenance",
)
CELLS = range(20, 31)
LONGEST_CELL, MOST_PARAMETERS = 15, 12


def problems(text, number):
    """What a notebook's text lacks, one line for each; nothing for a good one."""
    notebook = jupytext.reads(text, fmt="py:percent")
    return [
        *_header_problems(text),
        *_opening_problems(notebook, number),
        *_parameter_problems(notebook),
        *_code_problems(notebook),
        *_ending_problems(notebook),
    ]


def _header_problems(text):
    if not text.startswith(HEADER):
        yield f"the header is not\n{HEADER}"
    if re.search(r"^# \+", text, re.MULTILINE):
        yield "'# +' is another format's cell mark: jupytext takes it for prose"


def _opening_problems(notebook, number):
    count = len(notebook.cells)
    if count not in CELLS:
        yield f"{count} cells, not {CELLS[0]} to {CELLS[-1]}"
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not re.match(rf"# {number} [\x20-\x7e]+\n", first.source):
        yield f"the first cell does not open with '# {number} Title', in plain letters"
    if not re.search(r"^\*\*Question\.\*\* [^?]+\?\s*$", first.source, re.MULTILINE):
        yield "the first cell has no '**Question.** ... ?'"
    if not re.search(r"^\*\*Reads\*\* .+\*\*Writes\*\* .+", first.source, re.MULTILINE | re.DOTALL):
        yield "the first cell does not say '**Reads** ... **Writes** ...'"
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    if len(re.findall(r"^# ", prose, re.MULTILINE)) != 1:
        yield "more than one heading of the first level"


def _parameter_problems(notebook):
    try:
        parameters = parameters_of(notebook, "notebook")
    except InputError as error:
        yield str(error)
        return
    if list(parameters)[:1] != ["run"] or parameters["run"].default != "simulated":
        yield "the first parameter is not 'run: str = \"simulated\"'"
    if "seed" not in parameters:
        yield "no parameter 'seed'"
    if len(parameters) > MOST_PARAMETERS:
        yield f"{len(parameters)} parameters, more than {MOST_PARAMETERS}"
    yield from (f"parameter {p.name} has no help" for p in parameters.values() if not p.help)


def _code_problems(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tags = [cell.metadata.get("tags", []) for cell in code]
    if tags[:2] != [["parameters"], ["setup"]]:
        yield "the first two code cells are not tagged 'parameters' and 'setup'"
    for cell in code[1:]:
        lines = cell.source.splitlines()
        if len(lines) > LONGEST_CELL and "setup" not in cell.metadata.get("tags", []):
            yield f"a cell of {len(lines)} lines: {lines[0]}"
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield f"{node.name} is defined in a notebook: move it to lib/"
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "show",
                "show_table",
            ):
                captions = [k for k in node.keywords if k.arg == "caption"]
                if len(node.args) + len(captions) < 2:
                    yield f"no caption: {ast.unparse(node)[:60]}"
    source = "\n".join(cell.source for cell in code)
    if re.search(r"sys\.path|chdir|getcwd", source):
        yield "a path of its own: screenbook.paths knows them all"
    if found := re.search(r"""["'](/|[A-Z]:\\|~)\w+[^"']*["']""", source):
        yield f"an absolute path: {found[0]}"
    if "screenbook.simulate" in source:
        yield "imports screenbook.simulate: the truth must not leak"


def _ending_problems(notebook):
    sources = [(c.cell_type, c.source) for c in notebook.cells]
    prose = "\n".join(source for kind, source in sources if kind == "markdown")
    headings = re.findall(r"^## (.+)$", prose, re.MULTILINE)
    if tuple(headings[-len(ENDING) :]) != ENDING:
        yield f"does not end with {', '.join(ENDING)}"
        return
    if not re.search(r"10\.\d{4,}/", prose[prose.index("## Methods and citations") :]):
        yield "no DOI under 'Methods and citations'"
    start = next(i for i, (_, source) in enumerate(sources) if f"## {ENDING[0]}" in source)
    if any("truth" in source for kind, source in sources[:start] if kind == "code"):
        yield "code looks at the truth before 'Against the truth'"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_have_their_anatomy(path):
    assert problems(path.read_text(encoding="utf-8"), path.stem.partition("_")[0]) == []


def good_text():
    """The text of a notebook that has everything."""
    middle = "".join(
        f"# %% [markdown]\n# Step {i}.\n\n# %%\nshow(fig, 'A. B.')\n\n" for i in range(8)
    )
    ending = "".join(f"# %% [markdown]\n# ## {title}\n# 10.1038/x\n\n" for title in ENDING)
    return (
        HEADER
        + """
# %% [markdown]
# # 07 A title
#
# **Question.** Does it hold?
#
# **Reads** a. **Writes** b.

# %% tags=["parameters"]
run: str = "simulated"  # the run
seed: int = 0  # of every draw

# %% tags=["setup"]
from screenbook.report import show

"""
        + middle
        + ending
    )


def test_a_good_notebook_has_no_problems():
    assert problems(good_text(), "07") == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("name: python3", "name: my-env", "the header is not"),
        ("# %% [markdown]\n# Step 3.", "# + [markdown]\n# Step 3.", "another format's cell mark"),
        ("# # 07 A title", "# # 08 A title", "does not open with '# 07 Title'"),
        ("# Step 3.", "# # Step 3", "more than one heading"),
        ("Does it hold?", "It holds.", "no '**Question.**"),
        (" **Writes** b.", "", "does not say '**Reads**"),
        ('run: str = "simulated"', 'run: str = "mine"', "the first parameter is not"),
        ("seed: int = 0  # of every draw", "k: int = 0  # neighbours", "no parameter 'seed'"),
        ("  # of every draw", "", "parameter seed has no help"),
        ("seed: int = 0", "seed = 0", "is not 'name: type = value"),
        (' tags=["setup"]', "", "are not tagged"),
        ("show(fig, 'A. B.')", "x = 1\n" * 16, "a cell of 16 lines"),
        ("show(fig, 'A. B.')", "def f():\n    pass", "f is defined in a notebook"),
        ("show(fig, 'A. B.')", "show(fig)", "no caption: show(fig)"),
        ("show(fig, 'A. B.')", "open('/work/x.csv')", "an absolute path: '/work/x.csv'"),
        ("show(fig, 'A. B.')", "import sys; sys.path.append('.')", "a path of its own"),
        ("show(fig, 'A. B.')", "from screenbook.simulate import x", "must not leak"),
        ("show(fig, 'A. B.')", "find(run, 'truth/wells.tsv')", "code looks at the truth before"),
        ("# ## What could be wrong", "# ## Caveats", "does not end with"),
        ("# 10.1038/x", "# a paper", "no DOI"),
        ("# %% [markdown]\n# Step 3.\n\n# %%\n", "", "19 cells"),
    ],
)
def test_each_lack_is_seen(old, new, says):
    text = good_text()
    assert old in text
    changed = text.replace(old, new) if "10.1038" in old else text.replace(old, new, 1)
    if says == "19 cells":
        changed = re.sub(r"# %% \[markdown\]\n# Step \d\.\n\n", "", text)
        says = "16 cells"
    found = problems(changed, "07")
    assert any(says in problem for problem in found), found


def test_git_holds_no_ipynb():
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "*.ipynb"], capture_output=True, text=True, check=True
    )
    assert listed.stdout == ""


def sync(path):
    """Synchronise a pair as JupyterLab does, the file that was changed last winning."""
    assert jupytext_command(["--sync", "--quiet", str(path)]) == 0


@pytest.mark.parametrize("path", [None, *NOTEBOOKS], ids=lambda p: p.stem if p else "tiny")
def test_a_round_through_jupyterlab_leaves_no_diff(home, path):
    """Open the .py (its .ipynb appears), run it (outputs, counts, another kernel name), save."""
    shutil.copy(ROOT / "notebooks" / "jupytext.toml", home / "notebooks")
    text = home / "notebooks" / path.name if path else write_tiny_notebook(home)
    if path:
        shutil.copy(path, text)
    before = text.read_bytes()
    sync(text)
    assert text.read_bytes() == before
    paired = text.with_suffix(".ipynb")
    notebook = nbformat.read(paired, as_version=4)
    for count, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
        cell.execution_count = count
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="x")]
        cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01"}
        cell.metadata["scrolled"] = True
    notebook.metadata["language_info"] = {"name": "python", "version": "3.12.0"}
    nbformat.write(notebook, paired)
    later = time.time() + 10
    os.utime(paired, (later, later))
    sync(paired)
    assert text.read_bytes() == before


def test_the_round_would_notice_a_change(home):
    shutil.copy(ROOT / "notebooks" / "jupytext.toml", home / "notebooks")
    text = write_tiny_notebook(home)
    sync(text)
    paired = text.with_suffix(".ipynb")
    notebook = nbformat.read(paired, as_version=4)
    notebook.cells[-1].source = "print('edited')"
    nbformat.write(notebook, paired)
    later = time.time() + 10
    os.utime(paired, (later, later))
    sync(paired)
    assert "print('edited')" in text.read_text()
