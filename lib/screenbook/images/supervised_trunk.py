"""The upper bound: the same trunk, trained on the labels themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from screenbook.images.patches import turned
from screenbook.images.position_net import PositionNetSettings, Trunk
from screenbook.images.position_training import refuse_split, restained
from screenbook.images.shares import Share, clustered_share
from screenbook.images.trunk_features import pooled_maps
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


@dataclass(frozen=True)
class SupervisedSettings:
    """How the trunk is trained on labels.

    Attributes
    ----------
    net : PositionNetSettings
        Shape of the trunk; what concerns the head is not used.
    n_fields : int
        Whole fields of a step.
    stain_shift : float
        As in :class:`screenbook.images.position_training.PositionSettings`.
    training : TrainSettings
    """

    net: PositionNetSettings = field(default_factory=PositionNetSettings)
    n_fields: int = 48
    stain_shift: float = 0.0
    training: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            n_steps=250, learning_rate=5e-3, optimiser="adam", warmup_steps=10
        )
    )


@dataclass(frozen=True)
class SupervisedTrunk:
    """A trunk that was told the labels.

    Attributes
    ----------
    trunk : Trunk
        In eval mode, on the CPU.
    accuracy : Share
        Of its linear head on the fields held back; the interval is over groups.
    history : History
    """

    trunk: Trunk
    accuracy: Share
    history: History


class _Classifier(nn.Module):
    """Trunk, mean and SD of its last maps, one linear layer."""

    def __init__(self, n_channels: int, n_classes: int, settings: PositionNetSettings) -> None:
        super().__init__()
        self.trunk = Trunk(n_channels, settings)
        self.linear = nn.Linear(2 * settings.widths[-1], n_classes)

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        """Scores of the classes, (n, n_classes), of fields (n, channel, y, x)."""
        return self.linear(pooled_maps(self.trunk(fields)))


def train_supervised(
    images: np.ndarray,
    labels: np.ndarray,
    is_train: np.ndarray,
    groups: np.ndarray,
    settings: SupervisedSettings | None = None,
    *,
    checkpoints: Keeper | None = None,
    tell: Callable[[int, Numbers], None] | None = None,
) -> SupervisedTrunk:
    """Train the trunk to tell the labels of whole fields.

    Parameters
    ----------
    images : ndarray of float32, shape (n, channel, y, x)
        Normalised fields, square.
    labels : ndarray, shape (n,)
        Cell type.
    is_train, groups
        See :func:`screenbook.images.position_training.train_position`.
    settings : SupervisedSettings, optional
    checkpoints, tell
        See :func:`screenbook.training.train`.

    Returns
    -------
    SupervisedTrunk
    """
    settings = settings or SupervisedSettings()
    is_train, groups = np.asarray(is_train, dtype=bool), np.asarray(groups)
    refuse_split(is_train, groups)
    classes, code = np.unique(np.asarray(labels), return_inverse=True)
    learn, held = np.flatnonzero(is_train), np.flatnonzero(~is_train)
    seed = settings.training.seed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fixed_seed(seed, 4))
        net = _Classifier(images.shape[1], len(classes), settings.net)

    def loss_of(step: Step) -> torch.Tensor:
        rows = learn[epoch_rows(len(learn), settings.n_fields, step.number, seed)]
        fields = turned(torch.from_numpy(images[rows]), int(step.rng.integers(8)))
        if settings.stain_shift:
            fields = restained(fields, settings.stain_shift, step.draws)
        target = torch.from_numpy(code[rows]).to(step.device)
        return cross_entropy(net(fields.to(step.device)), target)

    history = train(net, loss_of, settings.training, checkpoints=checkpoints, tell=tell)
    net.cpu()
    with torch.inference_mode():
        answers = [net(torch.from_numpy(images[r])).argmax(dim=1) for r in _in_blocks(held)]
    right = torch.cat(answers).numpy() == code[held]
    return SupervisedTrunk(net.trunk, clustered_share(right, groups[held]), history)


def _in_blocks(rows: np.ndarray, size: int = 128) -> list[np.ndarray]:
    return np.array_split(rows, max(1, -(-len(rows) // size)))
