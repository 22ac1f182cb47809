"""The training loop: it steps, keeps time and remembers; it knows nothing of the model.

A learning problem is a module, which holds all that changes (weights, moving averages, centres),
and a function that gives the loss of one step. Whatever is random in a step is drawn from the
seed and the number of the step alone, so that a run that was stopped goes on to the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import nn

from screenbook.errors import InputError

OPTIMISERS = ("adamw", "adam", "sgd")
Numbers = dict[str, float]
LossOf = Callable[["Step"], torch.Tensor | tuple[torch.Tensor, Mapping[str, Any]]]


class Keeper(Protocol):
    """Where a training keeps how far it got: see :class:`screenbook.checkpoints.Checkpoints`."""

    def load(self) -> dict[str, Any] | None:
        """Give back what was saved last, or None."""

    def save(self, state: dict[str, Any]) -> None:
        """Replace what was saved."""


@dataclass(frozen=True)
class TrainSettings:
    """How a module is trained.

    Attributes
    ----------
    n_steps : int
        Optimiser steps: a budget in steps gives the same result on every machine.
    learning_rate : float
        The highest.
    warmup_steps : int
        Steps over which it rises to there, in a straight line.
    schedule : {"cosine", "constant"}
        What it does then.
    final_learning_rate : float
        Where the cosine ends.
    optimiser : {"adamw", "adam", "sgd"}
    weight_decay : float
        On weights of two and more dimensions; biases and norms are free of it.
    momentum, nesterov : float, bool
        Of SGD. Without momentum Nesterov's step is the plain one.
    clip : float
        Longest gradient, as a Euclidean norm over all parameters; 0 for any length.
    seed : int
    device : str
        ``"auto"`` takes a GPU if there is one; or what torch calls a device.
    mixed_precision : bool
        bfloat16 where that is safe, on a CUDA GPU only.
    threads : int
        Of torch on a CPU. More threads than idle cores slow a small net tenfold.
    record_every : int
        Steps between two rows of the history.
    checkpoint_every : int
        Steps between two checkpoints; the last step is always kept.
    """

    n_steps: int = 500
    learning_rate: float = 7e-4
    warmup_steps: int = 0
    schedule: str = "cosine"
    final_learning_rate: float = 1e-5
    optimiser: str = "adamw"
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    clip: float = 0.0
    seed: int = 0
    device: str = "auto"
    mixed_precision: bool = True
    threads: int = 1
    record_every: int = 10
    checkpoint_every: int = 100


# What may differ between the run that wrote a checkpoint and the one that goes on from it.
_FREE = {"device", "threads", "checkpoint_every"}


@dataclass(frozen=True)
class Step:
    """One step: its number, and where its random numbers come from.

    Attributes
    ----------
    number : int
        From 0.
    device : torch.device
        Where the module is and the data must go.
    rng : numpy.random.Generator
    draws : torch.Generator
        On the CPU, so that every device sees the same numbers.
    recorded : bool
        Whether its numbers go into the history: those that cost time need not be found if not.
    """

    number: int
    device: torch.device
    rng: np.random.Generator
    draws: torch.Generator
    recorded: bool = True


@dataclass
class History:
    """What a training reported.

    Attributes
    ----------
    rows : list of dict
        One for every `record_every` steps: ``step`` (steps done), ``loss``, ``learning_rate``
        and what the loss function added.
    stopped : str
        Why it ended before its last step, in one line; empty if it did not.
    """

    rows: list[Numbers] = field(default_factory=list)
    stopped: str = ""

    @property
    def table(self) -> pd.DataFrame:
        """The rows as a table."""
        return pd.DataFrame(self.rows)


def train(
    module: nn.Module,
    loss_of: LossOf,
    settings: TrainSettings | None = None,
    *,
    after_step: Callable[[int], None] | None = None,
    stop_when: Callable[[list[Numbers]], str] | None = None,
    checkpoints: Keeper | None = None,
    tell: Callable[[int, Numbers], None] | None = None,
) -> History:
    """Train a module, in place.

    Parameters
    ----------
    module : Module
        Its parameters that require a gradient are optimised; all its state (parameters and
        buffers) goes into a checkpoint. It is moved to the device and left there, in eval mode.
    loss_of : callable
        Gets a :class:`Step`; returns the loss, or the loss and a dict of numbers to report.
    settings : TrainSettings, optional
    after_step : callable, optional
        Gets the number of the step just done: the place for moving averages.
    stop_when : callable, optional
        Gets the rows of the history so far; a line of text stops the training.
    checkpoints : Keeper, optional
        The training goes on from what is there and saves to it. It ends in the same bits,
        on the same kind of device, as one that was never interrupted.
    tell : callable, optional
        Gets the number of steps done and the newest row with ``seconds_left`` added.

    Returns
    -------
    History

    Raises
    ------
    InputError
        If a setting is unknown, or a checkpoint is of other settings or another module.
    """
    settings = settings or TrainSettings()
    device = pick_device(settings.device)
    module.to(device).train()
    optimiser = _optimiser(module, settings)
    history = History()
    done = _restore(checkpoints, module, optimiser, settings, history)
    first, clock = done, time.monotonic()
    with torch_threads(settings.threads), _repeatable(device):
        while done < settings.n_steps and not history.stopped:
            last = done + 1 == settings.n_steps
            recorded = last or (done + 1) % settings.record_every == 0
            step = _draw(settings, done, device, recorded)
            numbers = _one_step(module, loss_of, optimiser, settings, step)
            if after_step is not None:
                after_step(done)
            done += 1
            if recorded:
                row = {"step": done} | {name: float(v) for name, v in numbers.items()}
                history.rows.append(row)
                history.stopped = _why_stop(row, history.rows, stop_when)
                if tell is not None:
                    each = (time.monotonic() - clock) / (done - first)
                    tell(done, row | {"seconds_left": each * (settings.n_steps - done)})
            if checkpoints is not None and (
                last or history.stopped or done % settings.checkpoint_every == 0
            ):
                checkpoints.save(_state(module, optimiser, settings, history, done))
    module.eval()
    return history


def epoch_rows(n: int, batch_size: int, step: int, seed: int) -> np.ndarray:
    """Rows of one mini-batch, such that every epoch goes once through all n in a new order.

    Parameters
    ----------
    n : int
    batch_size : int
        Rows that are left over at the end of an epoch are not used in it.
    step : int
        From 0.
    seed : int

    Returns
    -------
    ndarray of int, shape (min(batch_size, n),)
    """
    size = min(batch_size, n)
    epoch, place = divmod(step, n // size)
    order = np.random.default_rng([seed, epoch, 1]).permutation(n)
    return order[place * size : (place + 1) * size]


def cosine(step: int, n_steps: int, start: float, end: float) -> float:
    """Go from `start` (step 0) to `end` (the last step) along half a cosine."""
    share = min(max(step / max(n_steps - 1, 1), 0.0), 1.0)
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


def pick_device(name: str) -> torch.device:
    """Take what is asked for; ``"auto"`` is a GPU if there is one."""
    if name != "auto":
        try:
            return torch.device(name)
        except RuntimeError as e:
            raise InputError(f"device {name!r} is none that torch knows; try 'cpu'") from e
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Let torch use n threads of the CPU, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fixed_seed(*parts: int) -> int:
    """Mix whole numbers (a seed, the number of a step, ...) into one 63-bit seed."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def _draw(settings: TrainSettings, number: int, device: torch.device, recorded: bool) -> Step:
    """Seed everything random in one step by its number."""
    seed = fixed_seed(settings.seed, number)
    torch.manual_seed(seed)  # dropout and the like inside the module
    draws = torch.Generator().manual_seed(seed)
    return Step(number, device, np.random.default_rng(seed), draws, recorded)


def _one_step(
    module: nn.Module,
    loss_of: LossOf,
    optimiser: torch.optim.Optimizer,
    settings: TrainSettings,
    step: Step,
) -> dict[str, Any]:
    """Forward, backward, step; the numbers to report."""
    rate = _learning_rate(step.number, settings)
    for group in optimiser.param_groups:
        group["lr"] = rate
    half = settings.mixed_precision and step.device.type == "cuda"
    with torch.autocast(step.device.type, dtype=torch.bfloat16, enabled=half):
        found = loss_of(step)
    loss, more = found if isinstance(found, tuple) else (found, {})
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if settings.clip > 0:
        nn.utils.clip_grad_norm_(module.parameters(), settings.clip)
    optimiser.step()
    return {"loss": loss.detach(), "learning_rate": rate, **more}


def _learning_rate(step: int, settings: TrainSettings) -> float:
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    step, n = step - settings.warmup_steps, settings.n_steps - settings.warmup_steps
    return cosine(step, n, settings.learning_rate, settings.final_learning_rate)


def _optimiser(module: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    if settings.schedule not in ("cosine", "constant"):
        raise InputError(f"schedule {settings.schedule!r} is neither 'cosine' nor 'constant'")
    free = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in free if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in free if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    rate = settings.learning_rate
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=rate)
    if settings.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate)
    if settings.optimiser == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum, nesterov=nesterov)
    raise InputError(f"optimiser {settings.optimiser!r} is none of {', '.join(OPTIMISERS)}")


def _why_stop(
    row: Numbers, rows: list[Numbers], stop_when: Callable[[list[Numbers]], str] | None
) -> str:
    if not math.isfinite(row["loss"]):
        return f"stopped at step {row['step']}: the loss is no number; lower the learning rate"
    return stop_when(rows) if stop_when is not None else ""


def _state(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    settings: TrainSettings,
    history: History,
    done: int,
) -> dict[str, Any]:
    return {
        "done": done,
        "module": module.state_dict(),
        "optimiser": optimiser.state_dict(),
        "history": history.rows,
        "stopped": history.stopped,
        "settings": asdict(settings),
    }


def _restore(
    checkpoints: Keeper | None,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    settings: TrainSettings,
    history: History,
) -> int:
    """Take over what a checkpoint holds; the number of steps that were done."""
    saved = checkpoints.load() if checkpoints is not None else None
    if saved is None:
        return 0
    where = getattr(checkpoints, "path", "checkpoint")
    for name, value in asdict(settings).items():
        before = saved.get("settings", {}).get(name)
        if name not in _FREE and before != value:
            raise InputError(
                f"{where}: of a training with {name}={before!r}, not {value!r};"
                " delete it to train anew"
            )
    try:
        module.load_state_dict(saved["module"])
        optimiser.load_state_dict(saved["optimiser"])
    except (RuntimeError, ValueError, KeyError) as e:
        raise InputError(f"{where}: of another net; delete it to train anew") from e
    history.rows, history.stopped = list(saved["history"]), saved["stopped"]
    return int(saved["done"])


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Give the same numbers for the same seed, and leave the caller's random numbers alone."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
