"""Image files in a folder or in a zip archive, by names that cannot lead out of it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from screenbook.errors import InputError, did_you_mean
from screenbook.settings import short

SUFFIXES = (".png", ".tif", ".tiff")
"""Endings of the files that are images here, in any case."""


class DamagedImage(InputError):
    """A file that is there and holds no picture: empty, cut short, or of one value only."""


class Tree(Protocol):
    """Files below one place, named by paths with ``/`` that start there."""

    path: Path
    name: str

    def files(self, folder: str = "") -> Iterator[str]:
        """Name all image files below a folder, in order."""

    def names_in(self, folder: str) -> set[str]:
        """Name the files that lie in a folder itself; empty if there is no such folder."""

    def read(self, name: str) -> bytes:
        """Read one file."""

    def stamp(self, name: str) -> str:
        """Describe a file so that a change of it shows."""

    def label(self, name: str) -> str:
        """Name a file as a reader finds it."""


def safe_name(name: str, origin: str) -> str:
    """Bring a name from a table into the form a :class:`Tree` takes.

    Parameters
    ----------
    name : str
        With ``/`` between its parts, or the backslash of Windows.
    origin : str
        File, column and row, quoted in errors.

    Raises
    ------
    InputError
        If it is empty or absolute, or goes up: it could lead out of the image folder.
    """
    posix = name.replace("\\", "/")
    path = PurePosixPath(posix)
    drive = len(posix) > 1 and posix[1] == ":"
    if not path.parts or path.is_absolute() or drive or ".." in path.parts or "\0" in posix:
        raise InputError(
            f"{origin}: {name!r} is no name of a file inside the image folder; give names that "
            "start there (`strip:` takes the beginning off paths of another machine)"
        )
    return path.as_posix()


class FolderTree:
    """Image files in a folder.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, short(path)
        if not path.is_dir():
            near = ""
            if path.parent.is_dir():
                near = did_you_mean(path.name, (other.name for other in path.parent.iterdir()))
            raise InputError(f"{self.name}: there is no such folder{near}; correct `folder:`")

    def files(self, folder: str = "") -> Iterator[str]:
        """Name all image files below a folder, in order."""
        for parent, folders, names in os.walk(self.path / folder, followlinks=True):
            folders.sort()
            below = Path(parent).relative_to(self.path)
            for name in sorted(names):
                if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                    yield (below / name).as_posix()

    def names_in(self, folder: str) -> set[str]:
        """Name the files that lie in a folder itself; empty if there is no such folder."""
        try:
            with os.scandir(self.path / folder) as entries:
                return {entry.name for entry in entries}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def read(self, name: str) -> bytes:
        """Read one file."""
        path = self.path / name
        if not path.is_file():
            raise InputError(
                f"{self.label(name)}: there is no such file; bring it, or `join: inner`"
            )
        return path.read_bytes()

    def stamp(self, name: str) -> str:
        """Describe a file so that a change of it shows."""
        try:
            facts = (self.path / name).stat()
        except FileNotFoundError:
            return "none"
        return f"{facts.st_size}:{facts.st_mtime_ns}"

    def label(self, name: str) -> str:
        """Name a file as a reader finds it."""
        return short(self.path / name)


class ArchiveTree:
    """Image files in a zip archive, read without being unpacked.

    Parameters
    ----------
    path : Path
        The archive.
    top : str
        Folder in it where names start; everything else is passed over.
    """

    def __init__(self, path: Path, top: str = "") -> None:
        self.path, self.name = path, short(path)
        self._top = f"{top.strip('/')}/" if top.strip("/") else ""
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{self.name}: cannot be read as a zip archive ({error}); fetch it again"
            ) from None

    @cached_property
    def _sizes(self) -> dict[str, zipfile.ZipInfo]:
        start = len(self._top)
        return {
            entry.filename[start:]: entry
            for entry in self._zip.infolist()
            if entry.filename.startswith(self._top) and not entry.is_dir()
        }

    @cached_property
    def _folders(self) -> dict[str, set[str]]:
        folders: dict[str, set[str]] = {}
        for name in self._sizes:
            folder, _, file = name.rpartition("/")
            folders.setdefault(folder, set()).add(file)
        return folders

    def files(self, folder: str = "") -> Iterator[str]:
        """Name all image files below a folder, in order."""
        start = f"{folder.strip('/')}/" if folder.strip("/") else ""
        for name in sorted(self._sizes):
            hidden = name.rpartition("/")[2].startswith(".") or name.startswith("__MACOSX")
            if name.startswith(start) and name.lower().endswith(SUFFIXES) and not hidden:
                yield name

    def names_in(self, folder: str) -> set[str]:
        """Name the files that lie in a folder itself; empty if there is no such folder."""
        return self._folders.get(folder.strip("/"), set())

    def read(self, name: str) -> bytes:
        """Read one file."""
        entry = self._sizes.get(name)
        if entry is None:
            raise InputError(
                f"{self.label(name)}: there is no such file; bring it, or `join: inner`"
            )
        try:
            return self._zip.read(entry)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise DamagedImage(
                f"{self.label(name)}: the archive is damaged there ({error}); fetch it again"
            ) from None

    def stamp(self, name: str) -> str:
        """Describe a file so that a change of it shows."""
        entry = self._sizes.get(name)
        return f"{entry.file_size}:{entry.CRC:x}" if entry else "none"

    def label(self, name: str) -> str:
        """Name a file as a reader finds it."""
        return f"{self.name}: {self._top}{name}"


def archive_tops(path: Path, folder: str) -> list[str]:
    """Find a folder of this name in an archive, wherever it lies.

    Parameters
    ----------
    path : Path
        A zip archive.
    folder : str
        Name of a folder (``images``).

    Returns
    -------
    list of str
        Each place of it, from the top of the archive; usually one.
    """
    tree = ArchiveTree(path)
    tops = {
        "/".join(parts[: parts.index(folder) + 1])
        for parts in (name.split("/")[:-1] for name in tree.files())
        if folder in parts
    }
    return sorted(tops)
