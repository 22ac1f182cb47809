"""Deep embedded clustering (DEC) of cell images.

Xie et al. 2016 (arXiv 1511.06335): an autoencoder gives features, k-means their first centres;
then encoder and centres are trained such that soft assignments (Student's t) come nearer to a
sharpened version of themselves. That target is taken over all fields and renewed from time to
time. The first public form on cell images took it in each mini-batch of 32, where the sizes of
clusters, by which it divides, are mostly chance (``target="mini-batch"`` does that).

Labels are not seen here; see :mod:`screenbook.images.cluster_agreement` for what the clusters
have to do with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn
from torch.nn import functional as F

from screenbook.errors import InputError
from screenbook.images.residual_autoencoder import ResidualAutoencoder
from screenbook.images.soft_clusters import sharpened, student_t
from screenbook.training import (
    History,
    Keeper,
    Numbers,
    Step,
    TrainSettings,
    epoch_rows,
    pick_device,
    torch_threads,
    train,
)

_BLOCK = 256  # fields that are encoded at once


@dataclass(frozen=True)
class DecSettings:
    """How fields are clustered.

    Attributes
    ----------
    n_clusters : int
    n_maps, widths, pooling
        See :class:`screenbook.images.residual_autoencoder.ResidualAutoencoder`.
    noise : float
        SD of the noise that the autoencoder learns to take off, in SD of control pixels.
    batch_size : int
        Fields of a step.
    update_every : int
        Steps between two targets.
    tolerance : float
        Clustering ends when fewer fields than this share change their cluster between two
        targets.
    freedom : float
        Degrees of freedom of Student's t.
    target : {"data", "mini-batch"}
        What the sharpened target is taken over.
    reconstruction : float
        Weight of the autoencoder's loss during clustering: 0 in DEC; above 0 it is IDEC
        (Guo et al. 2017, doi:10.24963/ijcai.2017/243).
    autoencoder, clustering : TrainSettings
        Of the two trainings. The seed of the first is that of everything, and the second is
        recorded at every target.
    """

    n_clusters: int = 4
    n_maps: int = 10
    widths: tuple[int, int, int] = (16, 32, 48)
    pooling: str = "moments"
    noise: float = 0.2
    batch_size: int = 64
    update_every: int = 20
    tolerance: float = 0.001
    freedom: float = 1.0
    target: str = "data"
    reconstruction: float = 0.0
    autoencoder: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            n_steps=180, learning_rate=2e-3, warmup_steps=10, optimiser="adam"
        )
    )
    clustering: TrainSettings = field(
        default_factory=lambda: TrainSettings(n_steps=100, learning_rate=1e-3, optimiser="adam")
    )

    def __post_init__(self) -> None:
        if self.target not in ("data", "mini-batch"):
            raise InputError(f"target {self.target!r} is neither 'data' nor 'mini-batch'")


@dataclass(frozen=True)
class DeepClusters:
    """Fields in clusters.

    Attributes
    ----------
    clusters : ndarray of int, shape (n,)
    soft : ndarray of float32, shape (n, n_clusters)
        Soft assignments.
    embedding, start_embedding : ndarray of float32, shape (n, n_features)
        Features after clustering, and of the autoencoder alone.
    start : ndarray of int, shape (n,)
        Clusters of k-means on the features of the autoencoder: what DEC starts from.
    steps : ndarray of int, shape (u,)
        Clustering steps at which a target was taken.
    assignments : ndarray of int, shape (u, n)
        Clusters at each of them; the first are `start`.
    autoencoder_history, clustering_history : History
    """

    clusters: np.ndarray
    soft: np.ndarray
    embedding: np.ndarray
    start_embedding: np.ndarray
    start: np.ndarray
    steps: np.ndarray
    assignments: np.ndarray
    autoencoder_history: History
    clustering_history: History


def deep_clusters(
    images: np.ndarray,
    settings: DecSettings | None = None,
    *,
    checkpoints: Keeper | None = None,
    tell: Callable[[int, Numbers], None] | None = None,
) -> DeepClusters:
    """Cluster fields without labels.

    Parameters
    ----------
    images : ndarray of float32, shape (n, channel, y, x)
        Normalised fields, square, with a side that is a multiple of 4.
    settings : DecSettings, optional
    checkpoints : Keeper, optional
        One file for both trainings; they go on from there.
    tell : callable, optional
        See :func:`screenbook.training.train`; steps of the clustering count on from
        those of the autoencoder.

    Returns
    -------
    DeepClusters

    Raises
    ------
    InputError
        If there are fewer fields than clusters, or they are not square.
    """
    settings = settings or DecSettings()
    net = _untrained(images.shape, settings)
    x = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
    first = train(
        *(net, _reconstruction_loss(net, x, settings), settings.autoencoder),
        checkpoints=_Phase.of(checkpoints, "autoencoder"),
        tell=tell,
    )
    start_embedding = encode_fields(net, x, settings.autoencoder)
    model = ClusterModel(net, start_embedding, settings)
    seed = settings.autoencoder.seed + 1
    later = replace(settings.clustering, record_every=settings.update_every, seed=seed)
    done = settings.autoencoder.n_steps
    second = train(
        *(model, model.loss_on(x, settings, later.seed), later),
        stop_when=model.settled(settings.tolerance),
        checkpoints=_Phase.of(checkpoints, "clustering"),
        tell=(lambda step, row: tell(done + step, row)) if tell else None,
    )
    embedding = encode_fields(net, x, later)
    with torch.no_grad():
        soft = model.soft(torch.from_numpy(embedding).to(model.centres.device)).cpu().numpy()
    taken = int(model.n_targets)
    return DeepClusters(
        *(soft.argmax(axis=1), soft, embedding, start_embedding),
        model.assignments[0].cpu().numpy().astype(int),
        np.arange(taken) * settings.update_every,
        model.assignments[:taken].cpu().numpy().astype(int),
        *(first, second),
    )


class ClusterModel(nn.Module):
    """Encoder, cluster centres and the target that both are trained on.

    Parameters
    ----------
    net : ResidualAutoencoder
    embedding : ndarray, shape (n, n_features)
        Its features, for the scale and the first centres.
    settings : DecSettings
    """

    def __init__(
        self, net: ResidualAutoencoder, embedding: np.ndarray, settings: DecSettings
    ) -> None:
        super().__init__()
        self.net, self.freedom = net, settings.freedom
        n, n_clusters = len(embedding), settings.n_clusters
        # One scale for all features, as in the paper: a feature of little variance stays small.
        shift, scale = (
            embedding.mean(axis=0),
            np.sqrt(max(float(embedding.var(axis=0).mean()), 1e-12)),
        )
        means = KMeans(n_clusters, n_init=20, random_state=settings.autoencoder.seed)
        start = means.fit_predict((embedding - shift) / scale)
        self.centres = nn.Parameter(torch.tensor(means.cluster_centers_, dtype=torch.float32))
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))
        self.register_buffer("target", torch.zeros(n, n_clusters))
        # All that a resumed run has to know is in buffers.
        most = -(-settings.clustering.n_steps // settings.update_every)
        self.register_buffer("assignments", torch.full((max(most, 1), n), -1, dtype=torch.int16))
        self.assignments[0] = torch.tensor(start)
        self.register_buffer("n_targets", torch.tensor(0))
        self.register_buffer("changed", torch.tensor(1.0))

    centres: torch.Tensor
    shift: torch.Tensor
    scale: torch.Tensor
    target: torch.Tensor
    assignments: torch.Tensor
    n_targets: torch.Tensor
    changed: torch.Tensor

    def soft(self, features: torch.Tensor) -> torch.Tensor:
        """Soft assignments (n, n_clusters) of features (n, n_features)."""
        return student_t((features - self.shift) / self.scale, self.centres, self.freedom)

    def loss_on(
        self, x: torch.Tensor, settings: DecSettings, seed: int
    ) -> Callable[[Step], tuple[torch.Tensor, dict[str, Any]]]:
        """Loss of a step on fields x (n, channel, y, x)."""

        def loss(step: Step) -> tuple[torch.Tensor, dict[str, Any]]:
            if step.number % settings.update_every == 0:
                self._renew_target(x, step)
            rows = torch.from_numpy(epoch_rows(len(x), settings.batch_size, step.number, seed))
            batch = x[rows].to(step.device)
            whole = settings.reconstruction > 0
            features, again = self.net(batch) if whole else (self.net.features(batch), None)
            q = self.soft(features.float())
            by_batch = settings.target == "mini-batch"
            p = sharpened(q.detach()) if by_batch else self.target[rows.to(step.device)]
            divergence = F.kl_div(q.log(), p, reduction="batchmean")
            total = divergence
            if again is not None:
                total = divergence + settings.reconstruction * F.mse_loss(again, batch)
            return total, {"divergence": divergence.detach(), "changed": self.changed}

        return loss

    @torch.no_grad()
    def _renew_target(self, x: torch.Tensor, step: Step) -> None:
        features = torch.cat(
            [self.net.features(part.to(step.device)).float() for part in x.split(_BLOCK)]
        )
        q = self.soft(features)
        self.target.copy_(sharpened(q))
        place, clusters = int(self.n_targets), q.argmax(dim=1).to(torch.int16)
        if place:
            self.changed.copy_((clusters != self.assignments[place - 1]).float().mean())
            self.assignments[place] = clusters
        self.n_targets += 1

    def settled(self, tolerance: float) -> Callable[[list[Numbers]], str]:
        """Stop when hardly a field changes its cluster any more."""

        def why(rows: list[Numbers]) -> str:
            changed = rows[-1]["changed"]
            if changed >= tolerance:
                return ""
            return f"settled at step {rows[-1]['step']:.0f}: {changed:.2%} of fields change cluster"

        return why


def encode_fields(net: ResidualAutoencoder, x: torch.Tensor, settings: TrainSettings) -> np.ndarray:
    """Features of all fields, float32 (n, n_features), some fields at a time."""
    device = pick_device(settings.device)
    with torch.no_grad(), torch_threads(settings.threads):
        parts = [net.features(part.to(device)).float().cpu() for part in x.split(_BLOCK)]
    return torch.cat(parts).numpy()


def _untrained(shape: tuple[int, ...], settings: DecSettings) -> ResidualAutoencoder:
    """Check that fields of this shape can be clustered, and build an autoencoder for them."""
    n, n_channels, height, width = shape
    if height != width:
        raise InputError(f"fields of {height} x {width} px: crop them to squares")
    if n < settings.n_clusters:
        raise InputError(f"{n} fields cannot form {settings.n_clusters} clusters")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.autoencoder.seed)
        return ResidualAutoencoder(
            *(n_channels, height, settings.n_maps, settings.widths, settings.pooling)
        )


def _reconstruction_loss(
    net: ResidualAutoencoder, x: torch.Tensor, settings: DecSettings
) -> Callable[[Step], torch.Tensor]:
    """Mean squared error of fields drawn again from noisy ones."""
    seed = settings.autoencoder.seed

    def loss(step: Step) -> torch.Tensor:
        batch = x[torch.from_numpy(epoch_rows(len(x), settings.batch_size, step.number, seed))]
        noise = settings.noise * torch.randn(batch.shape, generator=step.draws)
        _, again = net((batch + noise).to(step.device))
        return F.mse_loss(again, batch.to(step.device))

    return loss


@dataclass(frozen=True)
class _Phase:
    """Part of a checkpoint that belongs to one of several trainings."""

    keeper: Keeper
    name: str

    @classmethod
    def of(cls, keeper: Keeper | None, name: str) -> _Phase | None:
        return None if keeper is None else cls(keeper, name)

    @property
    def path(self) -> Any:
        return getattr(self.keeper, "path", "checkpoint")

    def load(self) -> dict[str, Any] | None:
        return (self.keeper.load() or {}).get(self.name)

    def save(self, state: dict[str, Any]) -> None:
        self.keeper.save((self.keeper.load() or {}) | {self.name: state})
