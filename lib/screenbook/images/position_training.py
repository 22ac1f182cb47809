"""Train the position net, and ask how it came to its answers.

The accuracy on fields of other experiments says what was learned; variants of the same training
say from what: without a gap from edges that run on, with a blind net from the place of a single
patch, with the merge that adds from either that or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from screenbook.errors import InputError
from screenbook.images.patches import DIRECTIONS, PatchGrid, cut, turned_patches
from screenbook.images.position_net import PositionNet, PositionNetSettings, count_parameters
from screenbook.images.shares import Share, clustered_share
from screenbook.training import (
    History,
    Keeper,
    Numbers,
    Step,
    TrainSettings,
    epoch_rows,
    fixed_seed,
    train,
)

_AXIS = np.array([0, 1, 1, 0])  # of DIRECTIONS: up and down, left and right


@dataclass(frozen=True)
class PositionSettings:
    """How a position net is trained; the defaults suit fields of about 54 pixels.

    Attributes
    ----------
    net : PositionNetSettings
    grid : PatchGrid
        Jitter and random anchor are for training; tests use the grid as it is.
    n_fields : int
        Fields of a step; each gives its four pairs.
    turn : bool
        Turn and mirror the fields of a step, all in the same way: eight times the data. It
        takes traces away that tell directions apart, so leave it out to measure those.
    stain_shift : float
        Multiply every channel of a field by 1 and add 0 give or take so much (SD), the same for
        its patches: what a stain differs by between wells is then of no use. It makes the
        question harder and the features better: 1 where these are what is wanted.
    training : TrainSettings
        Adam by default. The first public form took SGD with Nesterov's step:
        ``optimiser="sgd", momentum=0.9, nesterov=True``.
    """

    net: PositionNetSettings = field(default_factory=PositionNetSettings)
    grid: PatchGrid = field(default_factory=lambda: PatchGrid(margin_px=2, jitter_px=1))
    n_fields: int = 64
    turn: bool = True
    stain_shift: float = 0.0
    training: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            n_steps=700, learning_rate=0.01, optimiser="adam", warmup_steps=20
        )
    )


@dataclass(frozen=True)
class TrainedPosition:
    """A position net and how well it does on fields it was not trained on.

    Attributes
    ----------
    net : PositionNet
        In eval mode, on the CPU.
    accuracy, axis : Share
        Of all four pairs of every field held back: direction right (chance 0.25), and at least
        the axis right, up-down or left-right (chance 0.5). Intervals are over groups.
    train_accuracy : float
        Of as many training fields, without augmentation.
    confusion : DataFrame
        Pairs by true direction (rows) and answer (columns).
    history : History
    n_parameters : int
        Weights and running statistics.
    """

    net: PositionNet
    accuracy: Share
    axis: Share
    train_accuracy: float
    confusion: pd.DataFrame
    history: History
    n_parameters: int


def train_position(
    images: np.ndarray,
    is_train: np.ndarray,
    groups: np.ndarray,
    settings: PositionSettings | None = None,
    *,
    checkpoints: Keeper | None = None,
    tell: Callable[[int, Numbers], None] | None = None,
) -> TrainedPosition:
    """Train a position net on some fields and test it on the others.

    Parameters
    ----------
    images : ndarray of float32, shape (n, channel, y, x)
        Normalised fields, square.
    is_train : ndarray of bool, shape (n,)
    groups : ndarray, shape (n,)
        Experiment (or plate) of each field, for intervals. None may be on both sides.
    settings : PositionSettings, optional
    checkpoints, tell
        See :func:`screenbook.training.train`.

    Returns
    -------
    TrainedPosition

    Raises
    ------
    InputError
        If a group is on both sides, a side is empty, or tiles do not fit the fields.
    """
    settings = settings or PositionSettings()
    is_train, groups = np.asarray(is_train, dtype=bool), np.asarray(groups)
    refuse_split(is_train, groups)
    learn = np.flatnonzero(is_train)
    seed = settings.training.seed
    height, width = images.shape[2:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fixed_seed(seed, 1))
        net = PositionNet(images.shape[1], settings.grid.patch(height, width), settings.net)

    fields, truth = torch.from_numpy(images), torch.arange(len(DIRECTIONS))

    def loss_of(step: Step) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        rows = learn[epoch_rows(len(learn), settings.n_fields, step.number, seed)]
        patches = cut(fields, settings.grid, step.draws, rows)
        if settings.turn:
            patches = turned_patches(patches, int(step.rng.integers(8)))
        if settings.stain_shift:
            patches = restained(patches, settings.stain_shift, step.draws)
        scores = net.all_directions(patches.to(step.device)).flatten(0, 1)  # (4 fields, 4)
        target = truth.repeat(len(rows)).to(step.device)
        right = (scores.detach().argmax(dim=1) == target).float().mean()
        return cross_entropy(scores, target), {"accuracy": right}

    history = train(net, loss_of, settings.training, checkpoints=checkpoints, tell=tell)
    net.cpu()
    held = np.flatnonzero(~is_train)
    answers = position_answers(net, images[held], settings.grid)
    some = learn[:: max(1, len(learn) // len(held))]
    seen = position_answers(net, images[some], settings.grid)
    return TrainedPosition(
        net,
        *_shares(answers, groups[held]),
        float((seen == np.arange(4)).mean()),
        _confusion(answers),
        history,
        count_parameters(net),
    )


def position_answers(
    net: PositionNet, images: np.ndarray, grid: PatchGrid, block: int = 128
) -> np.ndarray:
    """Ask for the direction of all four neighbours of every field.

    Parameters
    ----------
    net : PositionNet
    images : ndarray of float32, shape (n, channel, y, x)
    grid : PatchGrid
        Jitter and random anchor are left out.
    block : int
        Fields at a time.

    Returns
    -------
    ndarray of int, shape (n, 4)
        Code of the answer, columns in the order of
        :data:`screenbook.images.patches.DIRECTIONS`, which are the right ones.
    """
    net.eval()
    device = next(net.parameters()).device
    out = np.empty((len(images), len(DIRECTIONS)), dtype=np.int64)
    with torch.inference_mode():
        for first in range(0, len(images), block):
            patches = cut(torch.from_numpy(images[first : first + block]), grid).to(device)
            out[first : first + block] = net.all_directions(patches).argmax(dim=2).cpu().numpy()
    return out


def position_table(results: Mapping[str, TrainedPosition]) -> pd.DataFrame:
    """Lay variants side by side.

    Parameters
    ----------
    results : mapping of str to TrainedPosition
        By the name of the variant.

    Returns
    -------
    DataFrame
        One row for each: ``variant merge parameters steps accuracy low high axis axis_low
        axis_high train_accuracy n_pairs n_groups``; intervals of 95 % over groups.
    """
    return pd.DataFrame(
        {
            "variant": name,
            "merge": each.net.settings.merge,
            "parameters": each.n_parameters,
            "steps": int(each.history.rows[-1]["step"]) if each.history.rows else 0,
            "accuracy": each.accuracy.value,
            "low": each.accuracy.low,
            "high": each.accuracy.high,
            "axis": each.axis.value,
            "axis_low": each.axis.low,
            "axis_high": each.axis.high,
            "train_accuracy": each.train_accuracy,
            "n_pairs": each.accuracy.n,
            "n_groups": each.accuracy.n_groups,
        }
        for name, each in results.items()
    )


def restained(fields: torch.Tensor, spread: float, draws: torch.Generator) -> torch.Tensor:
    """Draw another gain and offset for every channel of every field.

    Parameters
    ----------
    fields : Tensor, shape (n, ..., channel, y, x)
        Fields, or their patches.
    spread : float
        SD of the gain about 1 and of the offset about 0.
    draws : torch.Generator
    """
    n, channels = len(fields), fields.shape[-3]
    shape = (2, n, *[1] * (fields.ndim - 4), channels, 1, 1)
    gain, offset = torch.randn(shape, generator=draws) * spread
    return torch.addcmul(offset, fields, 1 + gain)


def _shares(answers: np.ndarray, groups: np.ndarray) -> tuple[Share, Share]:
    """Share of right directions, and of right axes."""
    of_pair = np.repeat(groups, answers.shape[1])
    right = answers == np.arange(answers.shape[1])
    same_axis = _AXIS[answers] == _AXIS
    return clustered_share(right.ravel(), of_pair), clustered_share(same_axis.ravel(), of_pair)


def _confusion(answers: np.ndarray) -> pd.DataFrame:
    counts = np.stack([np.bincount(column, minlength=4) for column in answers.T])
    return pd.DataFrame(
        counts,
        index=pd.Index(DIRECTIONS, name="true"),
        columns=pd.Index(DIRECTIONS, name="answer"),
    )


def refuse_split(is_train: np.ndarray, groups: np.ndarray) -> None:
    """Refuse a split with an empty side, or with a group on both.

    Raises
    ------
    InputError
    """
    if not is_train.any() or is_train.all():
        side = "train on" if not is_train.any() else "test on"
        raise InputError(f"no field to {side}: hold some experiments back, but not all")
    both = np.intersect1d(groups[is_train], groups[~is_train])
    if len(both):
        raise InputError(
            f"{len(both)} group(s), the first {str(both[0])!r}, have fields both to train on and "
            "to test on: split by experiment"
        )
