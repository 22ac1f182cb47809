"""The driver: one notebook, one run.

It checks the parameters, executes with papermill, and puts what came out into place only when
all of it is there: a run that fails or is killed leaves the last good report as it was.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import jupytext
import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from papermill.execute import remove_error_markers
from traitlets.config import Config

from screenbook.errors import InputError, RunFailed
from screenbook.paths import build_dir, replacing, reports_dir, root
from screenbook.report import sidecar
from screenbook.report.imports import imported_modules, write_rule
from screenbook.report.parameters import (
    find_notebook,
    given_parameters,
    notebook_files,
    overridden_parameters,
    read_parameters,
    variant_name,
)
from screenbook.report.progress import Progress
from screenbook.report.tables import publish_tables
from screenbook.settings import short

log = logging.getLogger(__name__)

_LATE_OUTPUT = 300
"""Seconds for a large figure to arrive after its cell has ended: on a busy machine, more than
the 4 after which the client would give the whole run up."""

_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


@dataclass(frozen=True)
class Plan:
    """One notebook of one run, checked and ready.

    Attributes
    ----------
    notebook : Path
    run : str
        Run or variant.
    parameters, defaults : dict
        All that the notebook takes, in its order.
    overrides : tuple of str
        ``name=value`` texts of the command line.
    """

    notebook: Path
    run: str
    parameters: dict[str, Any]
    defaults: dict[str, Any]
    overrides: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the notebook, without ending."""
        return self.notebook.stem

    def built(self, ending: str) -> Path:
        """Path of one of its files under ``build/<run>``."""
        return build_dir(self.run) / f"{self.name}{ending}"

    def report(self, ending: str) -> Path:
        """Path of one of its files under ``reports/<run>``."""
        return reports_dir(self.run) / f"{self.name}{ending}"


def plan_run(
    notebook: str, run: str, overrides: Sequence[str] = (), variant: str | None = None
) -> Plan:
    """Check everything that can be checked before a notebook runs.

    Parameters
    ----------
    notebook : str
        Number, name or path.
    run : str
        Run or variant.
    overrides : sequence of str
        ``name=value`` texts; they make a variant of the run. Without them, a variant that
        holds this notebook already repeats it under those that made it.
    variant : str, optional
        What to call it, instead of after its overrides.

    Raises
    ------
    InputError
        Unknown notebook, run, section or parameter; a wrong type; a value out of range.
    """
    path = find_notebook(notebook)
    takes = {file.stem: read_parameters(file) for file in notebook_files()}
    mine = takes[path.stem]
    name = variant_name(run, overrides, variant)
    if "@" in name and not overrides:
        before = sidecar.read_sidecar(reports_dir(name) / f"{path.stem}.json") or {}
        overrides = before.get("overrides", [])
    given = given_parameters(run, takes)[path.stem]
    given |= overridden_parameters(overrides, mine, path.stem)
    defaults = {key: parameter.default for key, parameter in mine.items()}
    if "run" in mine:
        given["run"] = name
    return Plan(path, name, defaults | given, defaults, tuple(overrides))


def run_notebook(plan: Plan) -> Path:
    """Execute a notebook, and put in place its executed copy, tables and sidecar.

    Returns
    -------
    Path
        ``build/<run>/NN_name.ipynb``, written last: to Make, the sign that all is done.

    Raises
    ------
    InputError
        Raised by a cell: what was given cannot be used.
    RunFailed
        Any other end. In both cases ``NN_name.failed.ipynb``, the report rendered from it and
        its sidecar tell what happened; the last good ones stay.
    """
    source = _prepare(plan)
    part = plan.built(".running.ipynb")
    part.parent.mkdir(parents=True, exist_ok=True)
    code_cells = sum(cell.cell_type == "code" for cell in source.cells) + 1  # and the injected one
    started = time.time()
    try:
        with Progress(f"{plan.name}  {plan.run}", code_cells) as progress:
            executed, stop = _execute(source, plan, part, progress)
            seconds = time.time() - started
            _settle(executed, plan)
            _conclude(plan, executed, started, seconds, stop)
            progress.failed() if stop else progress.done()
    finally:
        part.unlink(missing_ok=True)
    if stop:
        raise stop
    return plan.built(".ipynb")


def _conclude(
    plan: Plan,
    executed: NotebookNode,
    started: float,
    seconds: float,
    stop: InputError | RunFailed | None,
) -> None:
    """Put what came out of a run into place, the executed notebook last."""
    found = sidecar.harvest(executed)
    facts = sidecar.describe_run(
        executed,
        found,
        run=plan.run,
        name=plan.name,
        parameters=plan.parameters,
        defaults=plan.defaults,
        overrides=plan.overrides,
        started=started,
        seconds=seconds,
        error=str(stop) if stop else None,
    )
    if stop:
        _keep_failure(plan, executed, facts)
        return
    publish_tables(plan.run, plan.name, found.saved)
    sidecar.write_sidecar(facts, plan.report(".json"))
    write_rule(plan.built(".ipynb"), imported_modules(plan.notebook))
    _write(executed, plan.built(".ipynb"))
    for stale in (plan.built(".failed.ipynb"), *_failure_reports(plan)):
        stale.unlink(missing_ok=True)


def _prepare(plan: Plan) -> NotebookNode:
    """Read the notebook, with ids that stay the same from run to run."""
    notebook = jupytext.read(plan.notebook)
    notebook.metadata["kernelspec"] = dict(_KERNEL)
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index:02d}"
    return notebook


def _execute(
    notebook: NotebookNode, plan: Plan, part: Path, progress: Progress
) -> tuple[NotebookNode, InputError | RunFailed | None]:
    """Execute a notebook, saving to `part` as it goes; return it, and what stopped it, if any."""
    # An interpreter of the same name in the user's home must not run instead of ours.
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    with (
        plan.built(".log").open("w", encoding="utf-8") as file,
        _stderr_to(file),
        # Sockets in a folder of their own: no port to clash with that of another kernel, and
        # no other user who could listen. Its path is short, as paths of sockets must be.
        tempfile.TemporaryDirectory(prefix="screenbook-", dir=_short_folder()) as sockets,
    ):
        try:
            executed = papermill.execute_notebook(
                notebook,
                _literal(part),
                parameters=plan.parameters,
                progress_bar=False,
                kernel_name=_KERNEL["name"],
                cwd=plan.notebook.parent,
                stderr_file=file,
                autosave_cell_every=0,
                iopub_timeout=_LATE_OUTPUT,
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}}),
                on_cell_start=progress.cell,
            )
        except PapermillExecutionError as error:
            print(error, file=file)
            stop = _reason(plan, error, progress)
        except DeadKernelError:
            stop = RunFailed(
                f"{plan.name}: the kernel died in cell {progress.at}, most often for want of "
                f"memory; free some, or make the screen smaller in params ({_log(plan)})"
            )
        except Exception as error:
            log.exception("%s could not be executed", plan.name)
            stop = RunFailed(f"{plan.name}: {_one_line(error)} ({_log(plan)})")
        else:
            # Not read back from the file, which sorts the keys of headline numbers.
            return executed, None
    # It never came to a first cell if there was no kernel to run it.
    return (nbformat.read(part, as_version=4) if part.is_file() else notebook), stop


def _short_folder() -> str:
    """Find a temporary folder whose path leaves room for a socket (some 100 bytes in all)."""
    folder = tempfile.gettempdir()
    return folder if len(folder) < 60 else "/tmp"


def _reason(
    plan: Plan, error: PapermillExecutionError, progress: Progress
) -> InputError | RunFailed:
    message = " ".join(str(error.evalue).split())
    if error.ename == InputError.__name__:
        return InputError(f"{plan.name}: {message}")
    page = short(plan.report(".failed.html"))
    return RunFailed(f"{plan.name}: cell {progress.at}: {error.ename}: {message} (see {page})")


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _log(plan: Plan) -> str:
    return f"see {short(plan.built('.log'))}"


def _literal(path: Path) -> str:
    """Papermill formats paths with the parameters: a brace must stay a brace."""
    return str(path).replace("{", "{{").replace("}", "}}")


@contextmanager
def _stderr_to(file: TextIO) -> Iterator[None]:
    """Send what this process and its kernel say on stderr to the log, not to the terminal."""
    sys.stderr.flush()
    terminal = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)


def _settle(notebook: NotebookNode, plan: Plan) -> None:
    """Free an executed notebook of what papermill adds and of what the log holds."""
    remove_error_markers(notebook)
    times = notebook.metadata.setdefault("papermill", {})
    times |= {"input_path": short(plan.notebook), "output_path": None}
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "cell-injected"
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]


def _write(notebook: NotebookNode, target: Path) -> None:
    with replacing(target) as new:
        nbformat.write(notebook, new)


def _failure_reports(plan: Plan) -> tuple[Path, Path]:
    return plan.report(".failed.json"), plan.report(".failed.html")


def _keep_failure(plan: Plan, executed: NotebookNode, facts: dict[str, Any]) -> None:
    """Keep a failed run to be looked at, and let the index tell of it."""
    described, page = _failure_reports(plan)
    _write(executed, plan.built(".failed.ipynb"))
    sidecar.write_sidecar(facts, described)
    try:
        from screenbook.report.index import write_index
        from screenbook.report.render import render_report

        render_report(plan.built(".failed.ipynb"), page)
        write_index(root() / "reports")
    except Exception as error:
        # Why the run stopped matters more than why its page could not be made.
        log.warning("%s could not be made: %s", short(page), _one_line(error))
