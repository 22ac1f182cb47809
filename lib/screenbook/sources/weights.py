"""Weights of networks that were trained elsewhere: a local file, or an address.

Nothing in such a file is executed: only tensors are read from it.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from screenbook.errors import InputError, did_you_mean
from screenbook.paths import root
from screenbook.settings import short
from screenbook.sources.download import fetch_address

FOLDER = "data/weights"
"""Where files from an address are kept."""


def find_weights(place: str) -> tuple[dict[str, torch.Tensor], str]:
    """Read a state dict from a file or an address.

    Parameters
    ----------
    place : str
        Path of a ``.pth`` file, from the folder of the project on; or an address that begins
        with ``http://`` or ``https://``, which is fetched once.

    Returns
    -------
    state : dict of str to Tensor
        On the CPU.
    origin : str
        Name of the file.

    Raises
    ------
    InputError
        If it is not there, cannot be had, or is no state dict.
    """
    if place.startswith(("http://", "https://")):
        aside = "name a file that is on this machine"
        path = fetch_address(place, root() / FOLDER, aside)
    else:
        path = root() / Path(place).expanduser()
    return read_weights(path), path.name


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict; nothing in the file is executed.

    Raises
    ------
    InputError
        If it is not there, is damaged, or holds anything but named tensors.
    """
    name = short(path)
    if not path.is_file():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(
            f"{name}: there is no such file of weights{did_you_mean(path.name, beside)}"
        )
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"{name}: holds more than tensors, or is damaged; nothing in it was run. Save the "
            "state_dict() of the network alone, or fetch it again"
        ) from None
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        cause = " ".join(str(error).split())[:100]
        raise InputError(f"{name}: cannot be read as weights ({cause}); fetch it again") from None
    tensors = isinstance(state, dict) and all(torch.is_tensor(v) for v in state.values())
    if not tensors or not state:
        raise InputError(
            f"{name}: is no state dict, which is one tensor for each name; save the state_dict() "
            "of the network"
        )
    return dict(state)
