"""Which reports a run has, told by the sidecars beside them; pages learn it from ``series.js``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from screenbook.paths import root
from screenbook.report.page import write_script
from screenbook.report.parameters import NUMBER
from screenbook.report.sidecar import read_sidecar

_SIDECAR = re.compile(rf"({NUMBER}_[^.]*)(\.failed)?\.json")


def read_sidecars(folder: Path) -> list[dict[str, Any]]:
    """Read what a run's reports say of themselves, in the order of the notebooks.

    Parameters
    ----------
    folder : Path
        ``reports/<run>``.

    Returns
    -------
    list of dict
        One sidecar for each report, with ``href`` (the page to open), ``number`` and
        ``good`` (the last completed page beside a failed one, or ``""``) added. A notebook
        whose last run failed is there as that run. Files that are no sidecar are passed over.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        match = _SIDECAR.fullmatch(path.name)
        sidecar = read_sidecar(path) if match else None
        if match is None or sidecar is None:
            continue
        notebook, failed = match[1], bool(match[2])
        sidecar["notebook"] = notebook
        sidecar["state"] = "failed" if failed else sidecar.get("state", "done")
        page = f"{notebook}{match[2] or ''}.html"
        good = f"{notebook}.html" if failed and (folder / f"{notebook}.html").is_file() else ""
        sidecar |= {"href": page, "number": notebook.partition("_")[0], "good": good}
        if failed or notebook not in found:
            found[notebook] = sidecar
    return [found[notebook] for notebook in sorted(found)]


def write_series(folder: Path) -> None:
    """Write ``series.js``: the reports of a run, for the links between its pages.

    Pages made side by side do not know each other's fate when they are written; this list
    is made anew after each of them.
    """
    listed = [
        {key: str(sidecar.get(key, "")) for key in ("notebook", "number", "title", "state", "href")}
        for sidecar in read_sidecars(folder)
    ]
    write_script(folder / "series.js", "screenbookSeries", listed)


def neighbours(run: str, notebook: str) -> tuple[dict[str, str] | None, dict[str, str] | None]:
    """Name the report before and the one after, as the notebooks of the checkout are numbered.

    A variant holds single notebooks: its pages learn their neighbours from ``series.js`` only.
    """
    files = sorted((root() / "notebooks").glob("[0-9]*_*.py"))
    names = [file.stem for file in files]
    if "@" in run or notebook not in names:
        return None, None
    at = names.index(notebook)
    before = _page(names[at - 1]) if at > 0 else None
    after = _page(names[at + 1]) if at + 1 < len(names) else None
    return before, after


def _page(notebook: str) -> dict[str, str]:
    number, _, words = notebook.partition("_")
    return {"number": number, "title": words.replace("_", " "), "href": f"{notebook}.html"}
