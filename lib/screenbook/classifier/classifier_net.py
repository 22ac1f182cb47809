"""The small net that tells healthy from diseased wells: many of them, trained side by side.

One hidden layer, tanh, dropout, sigmoid; Adam on binary cross-entropy: the net of the first
public analysis of RxRx19a. Leaving plates out takes a net for each fold, and an ensemble takes
several for each of those, so all of them are one batched problem: every parameter has a leading
dimension for folds (f) and one for members (m). Wells are n, features k, hidden units h.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits


@dataclass(frozen=True)
class NetSettings:
    """How the nets are built and trained.

    Attributes
    ----------
    n_hidden : int
        Hidden units.
    dropout : float
        Share of hidden units that are silent in a training step, 0 to 1 (exclusive).
    learning_rate, weight_decay : float
        Of Adam; the decay is an L2 penalty.
    max_epochs : int
        Passes over all training wells, each of them one step.
    patience : int
        A net stops if its loss on wells held back has not fallen for this many epochs.
    check_every : int
        Epochs between two looks at that loss.
    device : str
        ``"auto"`` takes a GPU if there is one; or what torch calls a device.
    """

    n_hidden: int = 8
    dropout: float = 0.5
    learning_rate: float = 0.05
    weight_decay: float = 0.02
    max_epochs: int = 200
    patience: int = 10
    check_every: int = 5
    device: str = "auto"


class Nets(nn.Module):
    """Nets of one shape, f folds by m members, evaluated together.

    Parameters
    ----------
    n_folds, n_features, n_hidden : int
    seeds : sequence of int
        One for each member. All folds of a member start from the same weights, so that they
        differ by the wells they learn from and by nothing else.
    """

    def __init__(self, n_folds: int, n_features: int, n_hidden: int, seeds: list[int]) -> None:
        super().__init__()
        draws = [torch.Generator().manual_seed(seed) for seed in seeds]

        def start(n_in: int, *shape: int) -> nn.Parameter:
            limit = (6 / (n_in + shape[-1])) ** 0.5  # Glorot & Bengio (2010), for tanh
            one = [torch.rand(*shape, generator=g, dtype=torch.float64) for g in draws]
            each = (2 * torch.stack(one) - 1) * limit  # (m, ...)
            return nn.Parameter(each.expand(n_folds, *each.shape).clone())  # (f, m, ...)

        self.w1 = start(n_features, n_features, n_hidden)  # (f, m, k, h)
        self.w2 = start(1, n_hidden)  # (f, m, h)
        # float64: rounding, which differs between devices, must not decide when a net stops.
        self.b1 = nn.Parameter(torch.zeros(n_folds, len(seeds), 1, n_hidden, dtype=torch.float64))
        self.b2 = nn.Parameter(torch.zeros(n_folds, len(seeds), 1, dtype=torch.float64))

    def forward(self, x: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """Log odds of class 1, (f, m, n).

        Parameters
        ----------
        x : Tensor, shape (f, n, k)
        kept : Tensor, shape (m, n, h), optional
            Dropout: what each hidden unit is multiplied by.
        """
        hidden = torch.tanh(torch.einsum("fnk,fmkh->fmnh", x, self.w1) + self.b1)  # (f, m, n, h)
        if kept is not None:
            hidden = hidden * kept
        return torch.einsum("fmnh,fmh->fmn", hidden, self.w2) + self.b2  # (f, m, n)


@dataclass(frozen=True)
class TrainedNets:
    """Nets at the epoch at which they did best on wells held back.

    Attributes
    ----------
    nets : Nets
    mean, scale : ndarray of float64, shape (f, k)
        What each fold's wells are standardised by: from its training wells alone.
    epochs : ndarray of int, shape (f, m)
        Epoch that was kept.
    loss : ndarray of float64, shape (f, m)
        Class-balanced cross-entropy on the wells held back, at that epoch.
    """

    nets: Nets
    mean: np.ndarray
    scale: np.ndarray
    epochs: np.ndarray
    loss: np.ndarray

    def log_odds(self, fold: int, points: np.ndarray) -> np.ndarray:
        """Log odds of class 1 by every member of one fold, (m, n) float64.

        Parameters
        ----------
        fold : int
        points : ndarray, shape (n, k)
        """
        here = slice(fold, fold + 1)
        x = torch.from_numpy((points - self.mean[fold]) / self.scale[fold])  # (n, k)
        nets = self.nets
        with torch.no_grad(), _one_thread():
            blocks = []
            for rows in x.split(8192):
                z = torch.einsum("nk,fmkh->fmnh", rows.to(nets.w1.device), nets.w1[here])
                hidden = torch.tanh(z + nets.b1[here])  # (1, m, n, h)
                blocks.append(torch.einsum("fmnh,fmh->fmn", hidden, nets.w2[here]) + nets.b2[here])
            return torch.cat(blocks, dim=2)[0].cpu().numpy()  # (m, n)


def train_nets(
    points: np.ndarray,
    label: np.ndarray,
    learn: np.ndarray,
    stop: np.ndarray,
    seeds: list[int],
    settings: NetSettings | None = None,
) -> TrainedNets:
    """Train one net for each fold and member, each on its own wells.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Control wells.
    label : ndarray of int, shape (n,)
        0 or 1.
    learn, stop : ndarray of bool, shape (f, m, n)
        Wells that each net learns from, and wells of other plates that tell it when to stop;
        both classes must be among either.
    seeds : list of int, length m
        Of starting weights and dropout. On a CPU the same seeds give the same nets; a GPU
        gives the same within rounding, since all random numbers are drawn on the CPU.
    settings : NetSettings, optional

    Returns
    -------
    TrainedNets
    """
    settings = settings or NetSettings()
    device = _device(settings.device)
    fold_learns = learn.any(axis=1).astype(float)  # (f, n)
    mean, scale = _standardisation(points.astype(np.float64), fold_learns)
    x = torch.from_numpy((points[None] - mean[:, None]) / scale[:, None]).to(device)  # (f, n, k)
    y = torch.from_numpy(label.astype(np.float64)).to(device)  # (n,)
    learning, stopping = (
        torch.from_numpy(balanced_weights(label, rows)).to(device)  # (f, m, n)
        for rows in (learn, stop)
    )
    nets = Nets(len(learn), points.shape[1], settings.n_hidden, seeds).to(device)
    adam = torch.optim.Adam(
        nets.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    dropout = _Dropout(seeds, len(label), settings, device)
    best = _Best(nets, settings.patience)

    def loss(log_odds: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        each = binary_cross_entropy_with_logits(log_odds, y.expand_as(log_odds), reduction="none")
        return (each * weights).sum(dim=2)  # (f, m)

    with _one_thread():
        for epoch in range(1, settings.max_epochs + 1):
            adam.zero_grad()
            # A sum over nets: each one's gradient is that of its own loss.
            loss(nets(x, dropout.draw()), learning).sum().backward()
            adam.step()
            if epoch % settings.check_every == 0 or epoch == settings.max_epochs:
                with torch.no_grad():
                    if best.all_have_stopped(epoch, loss(nets(x), stopping)):
                        break
    best.restore()
    return TrainedNets(nets, mean, scale, best.epoch.cpu().numpy(), best.loss.cpu().numpy())


def balanced_weights(label: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Weights by which both classes count the same, 0 outside `rows`.

    Parameters
    ----------
    label : ndarray of int, shape (n,)
        0 or 1.
    rows : ndarray of bool, shape (..., n)
        Wells that are there.

    Returns
    -------
    ndarray of float64, shape (..., n)
        Sums to 1 along the last axis, one half for each class.
    """
    weights = np.zeros(rows.shape)
    for value in (0, 1):
        mine = rows & (label == value)
        weights += 0.5 * mine / np.maximum(mine.sum(axis=-1, keepdims=True), 1)
    return weights


@contextmanager
def _one_thread() -> Iterator[None]:
    """Train on one thread: sums have one order on every machine, and small products no quarrel.

    Two threads on busy cores take ten times as long as one for nets of this size.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def _standardisation(points: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD of every feature over the wells of each fold, both (f, k)."""
    share = rows / rows.sum(axis=1, keepdims=True)  # (f, n)
    mean = share @ points
    scale = np.sqrt(np.maximum(share @ points**2 - mean**2, 0))
    return mean, np.where(scale > 1e-9, scale, 1.0)


class _Dropout:
    """Draws the hidden units that stay, on the CPU: the same on every device."""

    def __init__(
        self, seeds: list[int], n: int, settings: NetSettings, device: torch.device
    ) -> None:
        self.draws = [torch.Generator().manual_seed(seed + 1_000_003) for seed in seeds]
        self.shape, self.rate, self.device = (n, settings.n_hidden), settings.dropout, device

    def draw(self) -> torch.Tensor | None:
        """Multipliers of the hidden units, (m, n, h); folds share them."""
        if self.rate == 0:
            return None
        kept = torch.stack([torch.rand(self.shape, generator=g) >= self.rate for g in self.draws])
        return kept.to(self.device).to(torch.float64) / (1 - self.rate)


class _Best:
    """Remembers every net as it was when it did best, and when to give up on it."""

    def __init__(self, nets: Nets, patience: int) -> None:
        self.nets, self.patience = nets, patience
        self.kept = [p.detach().clone() for p in nets.parameters()]
        shape, device = nets.b2.shape[:2], nets.b2.device
        self.loss = torch.full(shape, torch.inf, dtype=torch.float64, device=device)  # (f, m)
        self.epoch = torch.zeros(shape, dtype=torch.int64, device=device)

    def all_have_stopped(self, epoch: int, loss: torch.Tensor) -> bool:
        """Note the losses (f, m) of an epoch; a net that was given up on stays as it was."""
        learning = epoch - self.epoch <= self.patience
        better = learning & (loss < self.loss)
        self.loss = torch.where(better, loss, self.loss)
        self.epoch = torch.where(better, epoch, self.epoch)
        for kept, now in zip(self.kept, self.nets.parameters(), strict=True):
            kept.copy_(torch.where(better.view(*better.shape, *[1] * (now.ndim - 2)), now, kept))
        return not (epoch - self.epoch <= self.patience).any()

    def restore(self) -> None:
        """Put the best weights back."""
        for kept, now in zip(self.kept, self.nets.parameters(), strict=True):
            now.data.copy_(kept)
