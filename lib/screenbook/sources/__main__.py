"""``python -m screenbook.sources``: what ``make data`` and the screen's Make target call."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from screenbook.errors import InputError
from screenbook.settings import short
from screenbook.sources import prepare
from screenbook.sources.download import fetch


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a user's error is one line on stderr and status 2."""
    parser = argparse.ArgumentParser(prog="python -m screenbook.sources", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("prepare", help="make the screen of a run")
    command.add_argument("run")
    command = commands.add_parser("fetch", help="fetch the files of a public data set")
    command.add_argument("dataset")
    command.add_argument(
        "--from", dest="source", type=Path, help="folder to copy from, instead of the network"
    )
    given = parser.parse_args(arguments)
    try:
        if given.command == "prepare":
            print(short(prepare(given.run)))
        else:
            for path in fetch(given.dataset, given.source):
                print(short(path))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
