"""``python -m screenbook``: what the Makefile calls, one subcommand for each kind of work."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from screenbook.errors import InputError, RunFailed
from screenbook.paths import build_dir, reports_dir, root
from screenbook.settings import short
from screenbook.threads import cap_threads

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Returns
    -------
    int
        0; 2 after an :class:`~screenbook.errors.InputError`, told in one line on stderr; 1
        after a notebook that stopped; 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    cap_threads()  # before a subcommand imports NumPy
    # jsonschema, which checks notebooks, compiles a grammar of web addresses as it is imported:
    # more than a second, for a format that notebooks do not use. Missing, it is left out.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        options.call(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except RunFailed as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted; the last good reports are as they were", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="screenbook", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, call: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        about = (call.__doc__ or "").partition("\n")[0]
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(call=call)
        return added

    data = command("data", _data)
    data.add_argument("dataset", help="name in data/registry.yml")
    data.add_argument("--from", dest="folder", type=Path, help="copy from here, not the network")
    command("settings", _settings).add_argument("run")
    command("screen", _screen).add_argument("run")
    command("images", _images).add_argument("run")
    command("expression", _expression).add_argument("run")
    run = command("run", _run)
    run.add_argument("notebook", help="number, name or path")
    run.add_argument("--run", default="simulated", help="run or variant (default: simulated)")
    run.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="parameters")
    run.add_argument("--as", dest="variant", metavar="NAME", help="name of the variant they make")
    run.add_argument("--report", action="store_true", help="render it, and the index, as well")
    render = command("render", _render)
    render.add_argument("notebook", help="number, name or path")
    render.add_argument("--run", default="simulated", help="run or variant (default: simulated)")
    command("index", _index)
    compare = command("compare", _compare)
    compare.add_argument("runs", nargs=2, metavar=("A", "B"))
    return parser


def _data(options: argparse.Namespace) -> None:
    """Download a public data set and check it."""
    from screenbook.sources.download import fetch

    for path in fetch(options.dataset, options.folder):
        print(short(path))


def _settings(options: argparse.Namespace) -> None:
    """Check params/<run>.yml and write what it gives the screen and each notebook."""
    from screenbook.report.parameters import write_settings

    write_settings(options.run)


def _screen(options: argparse.Namespace) -> None:
    """Make the screen of a run from its source."""
    from screenbook.sources import prepare

    _make("screen", prepare, options.run, lambda facts: f"{facts['n_wells']:,} wells")


def _images(options: argparse.Namespace) -> None:
    """Make the cell images of a run from their source."""
    from screenbook.sources.images import prepare_images

    _make(
        "images",
        prepare_images,
        options.run,
        lambda facts: f"{facts['n_images']:,} fields" if facts["n_images"] else "",
    )


def _expression(options: argparse.Namespace) -> None:
    """Make the expression profiles of a run from their source."""
    from screenbook.sources.expression import prepare_expression

    def told(facts: dict[str, Any]) -> str:
        n = facts["n_profiles"]
        return f"{n:,} profiles of {facts['n_genes']:,} genes" if n else ""

    _make("expression", prepare_expression, options.run, told)


def _make(
    what: str, prepare: Callable[[str], Path], run: str, told: Callable[[dict[str, Any]], str]
) -> None:
    """Make what notebooks read, write the rule that Make goes by, and say how much it was."""
    from screenbook.report.imports import write_rule

    started = time.monotonic()
    made = prepare(run)
    facts = json.loads(made.read_text(encoding="utf-8"))
    write_rule(made, [root() / entry["path"] for entry in facts["inputs"]])
    seconds = time.monotonic() - started
    if count := told(facts):
        print(f"{what}  {facts['run']}  {count} in {seconds:.1f} s", flush=True)


def _run(options: argparse.Namespace) -> None:
    """Execute one notebook for a run."""
    from screenbook.report.run import plan_run, run_notebook

    plan = plan_run(options.notebook, options.run, options.set, options.variant)
    run_notebook(plan)
    if options.report:
        _render(argparse.Namespace(notebook=plan.name, run=plan.run))
        _index(options)
        print(f"  {short(plan.report('.html'))}")


def _render(options: argparse.Namespace) -> None:
    """Render the report of an executed notebook."""
    from screenbook.report.parameters import find_notebook
    from screenbook.report.render import render_report

    name = find_notebook(options.notebook).stem
    executed = build_dir(options.run) / f"{name}.ipynb"
    if not executed.is_file():
        number = name.partition("_")[0]
        raise InputError(
            f"{short(executed)} is not there yet: run 'make report NB={number} RUN={options.run}'"
        )
    render_report(executed, reports_dir(options.run) / f"{name}.html")


def _index(options: argparse.Namespace) -> None:
    """Write reports/index.html, the list of all runs and reports."""
    from screenbook.report.index import write_index

    write_index(root() / "reports")


def _compare(options: argparse.Namespace) -> None:
    """Compare the reports of two runs."""
    from screenbook.report.compare import compare_runs

    print(f"  {short(compare_runs(*options.runs))}")


if __name__ == "__main__":
    sys.exit(main())
