"""A backbone with some of its layers opened, trained to tell the mechanism.

Layers that stay shut keep their weights and, where they normalise by batch, their statistics.
How many steps are taken is chosen on fields that are held out of the training fields; then the
training is repeated on all of them for so many steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from screenbook.errors import InputError
from screenbook.finetune.backbones import layers_of
from screenbook.images.encoders import Encoder
from screenbook.images.views import ViewSettings, one_view
from screenbook.training import (
    History,
    Step,
    TrainSettings,
    fixed_seed,
    pick_device,
    torch_threads,
    train,
)

_BLOCK = 128  # fields at a time where nothing is learned


@dataclass(frozen=True)
class Tuning:
    """How a backbone is fine-tuned.

    Attributes
    ----------
    training : TrainSettings
        ``n_steps`` is the most that is taken; ``record_every`` steps lie between two looks at
        the validation.
    n_fields : int
        Fields of a step; every mechanism gives as many on average, however many it has.
    augment : bool
        Train on views (crops, quarter turns, mirror images, channels shifted) of the fields.
    area : float
        Least share of a field that a view shows.
    early_stopping : bool
        Choose the number of steps on validation fields; if not, take all.
    patience : int
        Looks at the validation without a lower loss after which a training is given up.
    n_watched : int
        Training and validation fields looked at, at most: so many of each.
    memory : float
        What the moving average of the weights keeps of itself in a step; it is what is looked at
        and asked. 0 takes the weights as they are, which in short trainings with few compounds
        tell much less or more than a step ago.
    """

    training: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            n_steps=100,
            learning_rate=3e-3,
            warmup_steps=5,
            schedule="constant",
            weight_decay=1e-2,
            record_every=10,
        )
    )
    n_fields: int = 32
    augment: bool = True
    area: float = 0.5
    early_stopping: bool = True
    patience: int = 4
    n_watched: int = 128
    memory: float = 0.9


def quick(tuning: Tuning, **training: Any) -> Tuning:
    """Change settings of the training alone, say ``quick(tuning, n_steps=50)``."""
    return replace(tuning, training=replace(tuning.training, **training))


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned network.

    Attributes
    ----------
    net : MechanismNet
        In eval mode, on the CPU.
    n_steps : int
        That it was trained.
    history : DataFrame
        ``step loss learning_rate train validation validation_loss``: accuracies, the mean over
        mechanisms, on fields as they are; the last two are missing without validation fields.
    """

    net: MechanismNet
    n_steps: int
    history: pd.DataFrame


class MechanismNet(nn.Module):
    """A backbone and one linear layer on its features.

    Parameters
    ----------
    backbone : Encoder
        It is copied.
    n_classes : int
    n_open : int
        Layers that are trained, counted from the features; 0 trains the linear layer alone.
    """

    def __init__(self, backbone: Encoder, n_classes: int, n_open: int) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone)
        self.head = nn.Linear(backbone.n_features, n_classes)
        layers = list(layers_of(self.backbone).values())
        if not 0 <= n_open <= len(layers):
            raise InputError(f"n_open={n_open}: this backbone has {len(layers)} layers to open")
        self._shut = [module for layer in layers[: len(layers) - n_open] for module in layer]
        for module in self._shut:
            module.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of the mechanisms (n, n_classes), of fields (n, channel, y, x)."""
        return self.head(self.backbone(x))

    def train(self, mode: bool = True) -> MechanismNet:
        """Set the mode; shut layers stay in eval mode, so that their statistics stay as well."""
        super().train(mode)
        for module in self._shut:
            module.eval()
        return self


def fine_tune(
    fields: np.ndarray,
    code: np.ndarray,
    learn: np.ndarray,
    validate: np.ndarray,
    backbone: Encoder,
    n_open: int,
    tuning: Tuning,
) -> Tuned:
    """Train a copy of a backbone, once.

    Parameters
    ----------
    fields : ndarray of float32, shape (n, channel, y, x)
        Normalised.
    code : ndarray of int, shape (n,)
        Mechanism of each, 0 to the number of mechanisms - 1; -1 for fields of no part.
    learn, validate : ndarray of int
        Rows that are learned from, and rows that may end the training; the second may be empty.
    backbone : Encoder
    n_open : int
        See :class:`MechanismNet`.
    tuning : Tuning

    Returns
    -------
    Tuned
        With validation fields the weights are those of the lowest validation loss.
    """
    settings = tuning.training
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fixed_seed(settings.seed, 7))
        net = MechanismNet(backbone, int(code.max()) + 1, n_open)
    average = AveragedModel(
        net.to(pick_device(settings.device)),
        multi_avg_fn=get_ema_multi_avg_fn(tuning.memory),
        use_buffers=True,
    )
    mean_net = cast(MechanismNet, average.module)
    best, draw = _Best(mean_net), _drawing(fields, code, learn, tuning)
    watched = [_some(rows, tuning.n_watched, settings.seed) for rows in (learn, validate)]

    def loss_of(step: Step) -> tuple[torch.Tensor, dict[str, float]]:
        told: dict[str, float] = {}
        if step.recorded:
            told = _watch(mean_net, fields, code, *watched)
            best.see(step.number, told.get("validation_loss"))
        x, target = draw(step)
        return cross_entropy(net(x), target), told

    history: History = train(
        *(net, loss_of, settings),
        after_step=lambda _: average.update_parameters(net),
        stop_when=lambda _: "no lower loss" if best.looks_since > tuning.patience else "",
    )
    n_steps = settings.n_steps
    if len(validate) and tuning.early_stopping:
        n_steps = best.restore()
    return Tuned(mean_net.cpu().eval(), n_steps, history.table)


def fine_tune_twice(
    fields: np.ndarray,
    code: np.ndarray,
    learn: np.ndarray,
    validate: np.ndarray,
    backbone: Encoder,
    n_open: int,
    tuning: Tuning,
) -> tuple[Tuned, Tuned]:
    """Choose the number of steps on validation fields, then train on all fields for so many.

    Parameters
    ----------
    fields, code, learn, validate, backbone, n_open, tuning
        See :func:`fine_tune`.

    Returns
    -------
    first, final : Tuned
        The network that the validation fields stopped, and the one that learned from them too.
        They are the same where there is none to validate on, or early stopping is off.
    """
    everything = np.sort(np.concatenate([learn, validate]))
    if not len(validate) or not tuning.early_stopping:
        # All steps on all fields; what is watched is only what it learns from.
        whole = fine_tune(fields, code, everything, validate[:0], backbone, n_open, tuning)
        return whole, whole
    first = fine_tune(fields, code, learn, validate, backbone, n_open, tuning)
    again = replace(tuning.training, n_steps=max(1, first.n_steps))
    settings = replace(tuning, training=again)
    final = fine_tune(fields, code, everything, validate[:0], backbone, n_open, settings)
    return first, final


def answers(
    net: MechanismNet, fields: np.ndarray, device: str = "auto", threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and features of fields.

    Returns
    -------
    scores : ndarray of float32, shape (n, n_classes)
        Before the softmax.
    features : ndarray of float32, shape (n, n_features)
        What the linear layer sees.
    """
    where = pick_device(device)
    net.to(where).eval()
    scores, features = [], []
    with torch.no_grad(), torch_threads(threads):
        for first in range(0, len(fields), _BLOCK):
            block = np.ascontiguousarray(fields[first : first + _BLOCK], dtype=np.float32)
            found = net.backbone(torch.from_numpy(block).to(where))
            features.append(found.float().cpu().numpy())
            scores.append(net.head(found).float().cpu().numpy())
    net.cpu()
    return np.concatenate(scores), np.concatenate(features)


def _drawing(
    fields: np.ndarray, code: np.ndarray, learn: np.ndarray, tuning: Tuning
) -> Callable[[Step], tuple[torch.Tensor, torch.Tensor]]:
    """Draw the views of a step and their mechanisms, every mechanism as often on average."""
    weight = 1.0 / np.bincount(code[learn])[code[learn]]
    views = ViewSettings(size=_view_size(fields.shape[-1], tuning.area))

    def draw(step: Step) -> tuple[torch.Tensor, torch.Tensor]:
        rows = step.rng.choice(learn, min(tuning.n_fields, len(learn)), p=weight / weight.sum())
        x = torch.from_numpy(fields[rows])
        if tuning.augment:
            x = one_view(x, views.size, (tuning.area, 1.0), views, step.draws)
        return x.to(step.device), torch.from_numpy(code[rows]).to(step.device)

    return draw


class _Best:
    """Remembers the weights of the lowest validation loss."""

    def __init__(self, net: nn.Module) -> None:
        self.loss, self.step, self.looks_since = np.inf, 0, 0
        self._net, self._state = net, dict[str, Any]()

    def see(self, step: int, loss: float | None) -> None:
        if loss is None:
            return
        self.looks_since += 1
        if loss < self.loss:
            self.loss, self.step, self.looks_since = loss, step, 0
            self._state = copy.deepcopy(self._net.state_dict())

    def restore(self) -> int:
        self._net.load_state_dict(self._state)
        return self.step


def _watch(
    net: nn.Module, fields: np.ndarray, code: np.ndarray, learn: np.ndarray, validate: np.ndarray
) -> dict[str, float]:
    """Look at some fields as they are, in eval mode."""
    told: dict[str, float] = {}
    device = next(net.parameters()).device
    net.eval()
    with torch.no_grad():
        for name, rows in (("train", learn), ("validation", validate)):
            if not len(rows):
                continue
            x = torch.from_numpy(fields[rows]).to(device)
            truth = torch.from_numpy(code[rows]).to(device)
            scores = net(x)
            told[name] = _recall(scores.argmax(dim=1).cpu().numpy(), code[rows])
            if name == "validation":
                told["validation_loss"] = float(cross_entropy(scores, truth))
    return told


def _recall(guess: np.ndarray, truth: np.ndarray) -> float:
    counts = np.bincount(truth)
    hits = np.bincount(truth, weights=guess == truth, minlength=len(counts))
    return float((hits[counts > 0] / counts[counts > 0]).mean())


def _some(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Draw rows, at most so many, in ascending order."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _view_size(side: int, area: float) -> int:
    """Side of a view that shows cells about as large as they are, in steps of 8 pixels."""
    return int(8 * max(1, round(side * np.sqrt((area + 1) / 2) / 8)))
