"""One line for each notebook; on a terminal it lives while the notebook runs."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

from screenbook.threads import side_by_side

_EVERY = 1.0  # seconds between two states of the living line


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

    def __enter__(self) -> Self:
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

    def cell(self, cell: Any, cell_index: int) -> None:
        """Count a code cell that starts (a hook of nbclient, called for each cell)."""
        self.at += cell.cell_type == "code"

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
            self._write(f"cell {self.at} of {self.cells}, {self._elapsed()}", end="")

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
