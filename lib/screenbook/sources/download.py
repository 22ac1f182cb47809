"""Public files: fetched once, checked always, resumed where they broke off.

What there is to fetch stands in ``data/registry.yml``. Archives are kept as they come and are
read without being unpacked, so nothing in them can be written anywhere.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pooch
import requests

from screenbook.errors import InputError, did_you_mean
from screenbook.paths import replacing, root
from screenbook.settings import read_yaml, short
from screenbook.sources.files import Progress, sha256

SUMS = "SHA256SUMS"
"""Digests of what was fetched, as ``sha256sum --check`` reads them."""

_DIGEST = re.compile(r"-([0-9a-fA-F]{8,64})\.")  # in the name of a file
_CHUNK = 1 << 20
_TIMEOUT = 60  # seconds without a byte
_ATTEMPTS = 3


def fetch(dataset: str, source: Path | None = None) -> list[Path]:
    """Bring the files of a public data set into ``data/<dataset>/``.

    A file that is there and has its known digest is left alone. A digest that the registry
    does not know is recorded the first time, in ``SHA256SUMS``, and checked from then on.

    Parameters
    ----------
    dataset : str
        Name in ``data/registry.yml``.
    source : Path, optional
        Folder to copy the files from, instead of the network.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        If the data set is unknown, a file cannot be had, is not what it should be, or does
        not fit on the disk.
    """
    files = _registered(dataset)
    folder = root() / "data" / dataset
    folder.mkdir(parents=True, exist_ok=True)
    sums = _read_sums(folder)
    fetched = []
    for entry in files:
        target = folder / entry["name"]
        known = entry.get("sha256") or sums.get(target.name)
        if source is not None:
            _copy(Path(source) / target.name, target, known)
        elif not target.is_file() or (known and sha256(target) != known):
            copy = f"take a copy with 'make data DATASET={dataset} FROM=folder'"
            _download(entry, target, known, copy)
        sums[target.name] = sha256(target)
        _write_sums(folder, sums)
        fetched.append(target)
    return fetched


def fetch_address(url: str, folder: Path, aside: str) -> Path:
    """Bring one file from an address that no registry knows, once.

    Where its name ends in ``-<beginning of its sha256>`` before the dot, as those of torchvision's
    weights do, that is checked. Its digest is recorded in ``SHA256SUMS``, and checked from then on.

    Parameters
    ----------
    url : str
    folder : Path
        Where it goes, under the last part of the address.
    aside : str
        What else to do if it cannot be had, for errors.

    Raises
    ------
    InputError
        If it cannot be had, is not what it should be, or does not fit on the disk.
    """
    name = url.partition("?")[0].rpartition("/")[2]
    if not name or name in (".", "..", SUMS):
        raise InputError(f"{url}: the address names no file; {aside}")
    target = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    sums = _read_sums(folder)
    known, named = sums.get(name), _DIGEST.search(name)
    if not target.is_file() or (known and sha256(target) != known):
        _download({"url": url}, target, known, aside)
    digest = sha256(target)
    if named and not digest.startswith(named[1].lower()):
        target.unlink()
        raise InputError(
            f"{name}: its sha256 begins {digest[: len(named[1])]} and its name says {named[1]}; "
            f"it was thrown away: run this again, or {aside}"
        )
    sums[name] = digest
    _write_sums(folder, sums)
    return target


def _registered(dataset: str) -> list[dict[str, Any]]:
    path = root() / "data" / "registry.yml"
    if not path.is_file():
        raise InputError(f"{short(path)}: there is no such file; restore it from the repository")
    registry = read_yaml(path.read_bytes(), short(path))
    if dataset not in registry:
        raise InputError(
            f"{short(path)}: data set {dataset!r} is not known{did_you_mean(dataset, registry)}; "
            f"take one of {', '.join(registry)}"
        )
    files: list[dict[str, Any]] = registry[dataset]["files"]
    return files


def _copy(origin: Path, target: Path, known: str | None) -> None:
    if not origin.is_file():
        raise InputError(f"{origin}: there is no such file; --from names a folder that holds it")
    _check_room(target.parent, origin.stat().st_size, target.name)
    with replacing(target) as part:
        shutil.copyfile(origin, part)
        _check_digest(part, known, str(origin))


def _download(entry: Mapping[str, Any], target: Path, known: str | None, aside: str) -> None:
    """Fetch one file with pooch, which checks its digest and only then moves it into place."""
    pooch.get_logger().setLevel(logging.WARNING)
    url, size = entry["url"], entry.get("size")
    if size:
        _check_room(target.parent, size, target.name)
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{known}" if known else None,
            fname=target.name,
            path=target.parent,
            downloader=_Resuming(target.parent / f".{target.name}.part"),
        )
    except InputError:
        raise
    except requests.exceptions.HTTPError as error:
        status = getattr(error.response, "status_code", "nothing")
        raise InputError(
            f"{target.name}: {url} answers {status}; see data/README.md for its page, or {aside}"
        ) from None
    except requests.exceptions.RequestException as error:
        raise InputError(
            f"{target.name}: {url} cannot be reached ({type(error).__name__}); check the network "
            f"and run this again to go on where it stopped, or {aside}"
        ) from None
    except ValueError:
        raise InputError(
            f"{target.name}: what {url} gave is not the file that is known (another sha256) and "
            f"was thrown away; run this again, or {aside}"
        ) from None


class _Resuming:
    """A downloader for pooch that goes on where an earlier one broke off.

    Parameters
    ----------
    part : Path
        Where the bytes gather; it outlives a failure. Beside it the server's ETag is kept:
        bytes of two versions of a file are never joined.
    """

    def __init__(self, part: Path) -> None:
        self._part = part
        self._tag = part.with_name(f"{part.name}.etag")

    def __call__(self, url: str, output_file: str, _pooch: Any, check_only: bool = False) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._go_on(url)
                break
            except requests.exceptions.HTTPError:
                raise
            except requests.exceptions.RequestException:
                if attempt == _ATTEMPTS:
                    raise
                time.sleep(attempt)
        self._tag.unlink(missing_ok=True)
        self._part.replace(output_file)

    def _go_on(self, url: str) -> None:
        done = self._part.stat().st_size if self._part.is_file() and self._tag.is_file() else 0
        # Asking for the bytes as they are keeps offsets those of the file itself.
        headers = {"Accept-Encoding": "identity"}
        if done:
            headers |= {"Range": f"bytes={done}-", "If-Range": self._tag.read_text()}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                self._part.unlink()
                raise requests.exceptions.ConnectionError("the part at hand is no part of it")
            answer.raise_for_status()
            done = done if answer.status_code == requests.codes.partial_content else 0
            left = int(answer.headers.get("Content-Length", 0))
            _check_room(self._part.parent, left, self._part.name)
            tag = answer.headers.get("ETag", "")
            if tag and not tag.startswith("W/"):
                self._tag.write_text(tag)
            else:
                self._tag.unlink(missing_ok=True)
            progress = Progress(done + left, f"fetching {url.rpartition('/')[2]}")
            with open(self._part, "ab" if done else "wb") as file:
                for chunk in answer.iter_content(_CHUNK):
                    file.write(chunk)
                    progress.at(file.tell())
            progress.close()


def _check_digest(path: Path, known: str | None, origin: str) -> None:
    if known and sha256(path) != known:
        raise InputError(
            f"{origin}: is not the file that is known (its sha256 begins {sha256(path)[:12]} and "
            f"should begin {known[:12]}); take another copy"
        )


def _check_room(folder: Path, size: int, name: str) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            f"{name}: needs {size / 1e6:,.1f} MB and {short(folder)} has {free / 1e6:,.1f} MB "
            "free; make room, or link that folder to a larger disk"
        )


def _read_sums(folder: Path) -> dict[str, str]:
    path = folder / SUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {name.strip(): digest for digest, name in pairs}


def _write_sums(folder: Path, sums: Mapping[str, str]) -> None:
    with replacing(folder / SUMS) as part:
        part.write_text(
            "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())),
            encoding="utf-8",
        )
