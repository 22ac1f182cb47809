"""``reports/index.html``: all runs and their reports, from the sidecars beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from screenbook.report.page import copy_assets, duration, moment, write_page
from screenbook.report.series import read_sidecars, write_series
from screenbook.report.text import markdown, plain


def write_index(reports: Path) -> None:
    """Write the index of a folder of reports.

    Parameters
    ----------
    reports : Path
        Holds one folder for each run. A folder without sidecars is no run and is left out;
        with no run at all the page says how to make one.
    """
    runs = [_run(folder) for folder in sorted(reports.glob("*/")) if read_sidecars(folder)]
    # Variants stand behind the run they belong to, whatever sorts between them.
    runs.sort(key=lambda run: (run["name"].partition("@")[0], run["name"]))
    newest = max(runs, key=lambda run: run["started"], default=None)
    for run in runs:
        write_series(reports / run["name"])
        run["newest"] = run is newest and len(runs) > 1
    copy_assets(reports)
    comparisons = [
        {"href": page.name, "name": page.stem.removeprefix("compare-").replace("-vs-", " and ")}
        for page in sorted(reports.glob("compare-*-vs-*.html"))
    ]
    write_page(reports / "index.html", "runs.html.j2", runs=runs, comparisons=comparisons)


def _run(folder: Path) -> dict[str, Any]:
    """Collect what the index shows of a run."""
    sidecars = read_sidecars(folder)
    failed = sum(sidecar["state"] == "failed" for sidecar in sidecars)
    stopped = sum(sidecar["state"] == "gate failed" for sidecar in sidecars)
    tables = sorted(path.name for path in folder.glob("tables/*.tsv"))
    return {
        "name": folder.name,
        "reports": [_report(sidecar) for sidecar in sidecars],
        "state": _state(failed, stopped),
        "failed": failed,
        "started": max(str(sidecar.get("started") or "") for sidecar in sidecars),
        "took": duration(sum(sidecar.get("seconds") or 0.0 for sidecar in sidecars)),
        "tables": [name for name in tables if name != "dictionary.tsv"],
        "dictionary": "dictionary.tsv" in tables,
        "newest": False,
    }


def _state(failed: int, stopped: int) -> str:
    parts = [f"{failed} failed"] if failed else []
    parts += [f"control gate failed in {stopped}"] if stopped else []
    return ", ".join(parts) or "complete"


def _report(sidecar: dict[str, Any]) -> dict[str, Any]:
    answer = sidecar.get("answer")
    return {
        "href": sidecar["href"],
        "good": sidecar["good"],
        "number": sidecar["number"],
        "title": sidecar.get("title") or sidecar["notebook"].partition("_")[2].replace("_", " "),
        "question": plain(sidecar.get("question") or ""),
        "answer": Markup(markdown(answer)) if answer else "",
        "thumbnail": sidecar.get("thumbnail") or "",
        "took": duration(sidecar.get("seconds")),
        "started": moment(sidecar.get("started")),
        "state": sidecar["state"],
        "error": sidecar.get("error") or "",
    }
