"""One line for each notebook; on a terminal it lives while the notebook runs.

What runs for minutes inside one cell says how far it is with :func:`tell`: in JupyterLab the
text stands below the cell, under the driver it joins the living line, and no report keeps it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from IPython import get_ipython
from IPython.display import display

from screenbook.threads import side_by_side

_EVERY = 1.0  # seconds between two states of the living line
_TOLD = "SCREENBOOK_TOLD"  # names the file through which a kernel speaks to the driver
_LONGEST = 80  # characters of what is told


def tell(text: str) -> None:
    """Say how far a long cell has come; the next text takes the place of this one.

    Parameters
    ----------
    text : str
        One line, such as ``"DINO, step 300 of 500, loss 2.31, 14 s left"``.
    """
    line = " ".join(text.split())[:_LONGEST]
    if (file := os.environ.get(_TOLD)) is not None:
        with suppress(OSError):  # no progress is worth a failed run
            Path(file).write_text(line, encoding="utf-8")
        return
    global _display
    if _display is None or _display[0] != _cell():
        _display = (_cell(), display({"text/plain": line}, raw=True, display_id=True))
    elif _display[1] is not None:
        _display[1].update({"text/plain": line}, raw=True)


_display: tuple[int, Any] | None = None


def _cell() -> int:
    """Which cell runs, as JupyterLab counts them; 0 outside of a notebook."""
    shell = get_ipython()
    return int(shell.execution_count) if shell else 0


class Progress:
    """Tell how far a notebook has come.

    Parameters
    ----------
    what : str
        Notebook and run, the start of the line.
    cells : int
        Code cells in all.

    Notes
    -----
    Where stdout is no terminal, or several notebooks share it, only the last line is written.
    """

    def __init__(self, what: str, cells: int) -> None:
        self.what = what
        self.cells = cells
        self.at = 0
        self._live = sys.stdout.isatty() and side_by_side() == 1
        self._over = threading.Event()
        self._started = time.monotonic()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._folder = tempfile.TemporaryDirectory(prefix="screenbook-")
        self._told = Path(self._folder.name) / "told"

    def __enter__(self) -> Self:
        os.environ[_TOLD] = str(self._told)  # the kernel inherits it
        if self._live:
            self._ticker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        os.environ.pop(_TOLD, None)
        self._folder.cleanup()

    def cell(self, cell: Any, cell_index: int) -> None:
        """Count a code cell that starts (a hook of nbclient, called for each cell)."""
        self.at += cell.cell_type == "code"
        self._told.unlink(missing_ok=True)

    def done(self) -> None:
        """Write the last line of a notebook that came to its end."""
        self._last(f"{self.cells} cells in {self._elapsed()}")

    def failed(self) -> None:
        """Write the last line of a notebook that stopped."""
        self._last(f"stopped in cell {self.at} of {self.cells} after {self._elapsed()}")

    def _elapsed(self) -> str:
        seconds = time.monotonic() - self._started
        if seconds < 100:
            return f"{seconds:.1f} s"
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"

    def _tick(self) -> None:
        while not self._over.wait(_EVERY):
            state = [f"cell {self.at} of {self.cells}", self._elapsed()]
            with suppress(OSError):  # most cells tell nothing
                state.append(self._told.read_text(encoding="utf-8"))
            self._write(", ".join(state), end="")

    def _last(self, text: str) -> None:
        self._stop()
        self._write(text, end="\n")

    def _stop(self) -> None:
        self._over.set()
        if self._ticker.is_alive():
            self._ticker.join()

    def _write(self, text: str, end: str) -> None:
        # Back to the start of the line and clear it: the line before may have been longer.
        start = "\r\x1b[K" if self._live else ""
        print(f"{start}{self.what}  {text}", end=end, flush=True)
