"""The file in which a training keeps how far it got."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from screenbook.errors import InputError


class Checkpoints:
    """One file that always holds the last state that was saved whole.

    Parameters
    ----------
    path : path-like
        The file; its folder is made when something is saved.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def load(self) -> dict[str, Any] | None:
        """Read the state back, its tensors on the CPU; None if nothing was saved yet.

        Nothing in the file is executed: only tensors, numbers, text, lists and dicts are read.

        Raises
        ------
        InputError
            If the file is damaged or holds anything else.
        """
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as e:
            raise InputError(
                f"{self.path}: not a checkpoint that can be read; delete it to train anew"
            ) from e
        if not isinstance(state, dict):
            raise InputError(f"{self.path}: not a checkpoint; delete it to train anew")
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace what was saved, all at once: whoever is killed here leaves the old state.

        Parameters
        ----------
        state : dict
            Tensors, numbers, text, and lists and dicts of such.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            torch.save(state, part)
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)
