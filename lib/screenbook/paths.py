"""Where a run reads and writes: the only module that knows the folders of a checkout.

A *run* is one screen with one set of parameters, named after its file ``params/<run>.yml``.
A *variant* ``<run>@<name>`` is the same run with some notebooks repeated under other
parameters: it writes into folders of its own and reads from its run what it has not
made itself.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from screenbook.errors import InputError

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(@[A-Za-z0-9][A-Za-z0-9_.,-]*)?")


def root() -> Path:
    """Give the checkout: ``$SCREENBOOK_HOME`` if set, else the folder that holds ``lib/``."""
    home = os.environ.get("SCREENBOOK_HOME")
    return Path(home).resolve() if home else Path(__file__).resolve().parents[2]


def base_run(run: str) -> str:
    """Name the run that a variant belongs to (``simulated@k30`` gives ``simulated``).

    Raises
    ------
    InputError
        If the name could not be a folder name (this also keeps ``..`` and ``/`` out).
    """
    if not _RUN.fullmatch(run) or ".." in run:
        raise InputError(
            f"run {run!r} is not a name: use letters, digits, '_', '-' and '.', "
            "with '@' before the name of a variant (simulated, simulated@k30)"
        )
    return run.partition("@")[0]


def params_file(run: str) -> Path:
    """Give the YAML file that defines a run; variants share the file of their run."""
    return root() / "params" / f"{base_run(run)}.yml"


def build_dir(run: str) -> Path:
    """Give the folder of intermediates: screens, executed notebooks, truth tables."""
    base_run(run)
    return root() / "build" / run


def reports_dir(run: str) -> Path:
    """Give the folder of what people read: HTML reports, their sidecars and ``tables/``."""
    base_run(run)
    return root() / "reports" / run


def find(run: str, name: str, made_by: str) -> Path:
    """Locate an intermediate of a run, or of the run that a variant belongs to.

    Parameters
    ----------
    run : str
        Run or variant.
    name : str
        Path below ``build/<run>/``, for example ``"centred.zarr"``.
    made_by : str
        Number of the notebook, or the command, that makes it; quoted in the error.

    Raises
    ------
    InputError
        If neither folder holds it; the message names the command that makes it.
    """
    for candidate in dict.fromkeys((run, base_run(run))):
        path = build_dir(candidate) / name
        if path.exists():
            return path
    command = f"make report NB={made_by} RUN={base_run(run)}" if made_by.isdigit() else made_by
    raise InputError(f"{build_dir(base_run(run)) / name} is not there yet: run '{command}' first")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Write a file or folder under a temporary name, and move it into place at the end.

    Whatever was at `target` stays whole until the new one is complete, and survives an
    exception in the body.

    Yields
    ------
    Path
        A path that does not exist yet, on the same file system as `target`.

    Raises
    ------
    FileNotFoundError
        If the body wrote nothing there.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        part = scratch / target.name
        yield part
        if not part.exists():
            raise FileNotFoundError(f"nothing was written in place of {target}")
        if target.is_dir() and not target.is_symlink():
            # A folder cannot be replaced in one step: move the old one aside first.
            target.rename(scratch / "old")
        part.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
