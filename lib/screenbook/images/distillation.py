"""Self-distillation: a student learns to say what its own moving average, the teacher, says.

DINO and BYOL, their cross-batch forms (-CB), CDCL, which adds a centre for every batch and a
redundancy term, and the supervised net they are compared with: one module that has the
ingredients its variant asks for (:mod:`screenbook.images.variants`).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from screenbook.errors import InputError
from screenbook.images.collapse import collapse_watch, effective_rank, evenness, spread
from screenbook.images.distillation_losses import Centres, byol_loss, dino_loss, redundancy_loss
from screenbook.images.encoders import Encoder, build_encoder
from screenbook.images.positives import CrossBatchPartners, FieldCodes
from screenbook.images.variants import DistillationSettings, Variant, find_variant
from screenbook.images.views import draw_views
from screenbook.training import (
    History,
    Keeper,
    Numbers,
    Step,
    cosine,
    epoch_rows,
    fixed_seed,
    pick_device,
    train,
)

Fields = np.ndarray | Callable[[np.ndarray], np.ndarray]
Told = tuple[torch.Tensor, dict[str, Any]]


@dataclass(frozen=True)
class Trained:
    """A trained encoder and how it got there.

    Attributes
    ----------
    name : str
    variant : Variant
    encoder : Encoder
        The moving average of the weights, in eval mode.
    history : History
        Columns ``loss``, ``spread``, ``rank`` (see :mod:`screenbook.images.collapse`) and, by
        variant, ``dino`` (over log k), ``target_entropy``, ``byol``, ``redundancy``,
        ``cross_entropy``.
    n_alone : int
        Fields that have no partner in another batch and were their own; 0 without cross-batch
        positives.
    """

    name: str
    variant: Variant
    encoder: Encoder
    history: History
    n_alone: int = 0


class Head(nn.Module):
    """From features to logits of prototypes: three layers, a unit vector, unit prototypes.

    Batch norm in the layers is what keeps small runs from collapsing; without it DINO's loss
    stays at log k on sets of this size.
    """

    def __init__(self, n_features: int, hidden: int, bottleneck: int, n_prototypes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_hidden_layer(n_features, hidden),
            *_hidden_layer(hidden, hidden),
            nn.Linear(hidden, bottleneck),
        )
        self.prototypes = nn.Parameter(torch.randn(n_prototypes, bottleneck))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (n, k), cosines between -1 and 1, of features (n, f)."""
        unit = F.normalize(self.layers(features), dim=-1)
        return F.linear(unit, F.normalize(self.prototypes, dim=-1))


def _hidden_layer(n_in: int, n_out: int) -> list[nn.Module]:
    return [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.GELU()]


def _mlp(n_in: int, hidden: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(*_hidden_layer(n_in, hidden), nn.Linear(hidden, n_out))


class Distillation(nn.Module):
    """Student, teacher and centres of one variant.

    Parameters
    ----------
    variant : Variant
    encoder : Encoder
        The student's; the teacher starts as its copy.
    settings : DistillationSettings
    codes : FieldCodes
        Of the training set.
    """

    def __init__(
        self,
        variant: Variant,
        encoder: Encoder,
        settings: DistillationSettings,
        codes: FieldCodes,
    ) -> None:
        super().__init__()
        self.variant, self.settings = variant, settings
        n_features, wide = encoder.n_features, settings.hidden
        head: nn.Module
        if variant.loss == "dino":
            head = Head(n_features, wide, settings.bottleneck, settings.n_prototypes)
        elif variant.loss == "byol":
            head = _mlp(n_features, wide, settings.bottleneck)
            self.predictor = _mlp(settings.bottleneck, wide, settings.bottleneck)
        else:
            head = nn.Linear(n_features, len(codes.treatments))
        self.student = nn.ModuleDict({"encoder": encoder, "head": head})
        self.teacher = deepcopy(self.student).requires_grad_(False)
        sizes = np.bincount(codes.batch) if variant.batch_centres else np.array([len(codes)])
        self.centres = Centres(
            settings.n_prototypes, torch.from_numpy(sizes).float(), settings.centre_momentum
        )

    def forward(
        self,
        whole: list[torch.Tensor],
        small: list[torch.Tensor],
        batch: torch.Tensor,
        treatment: torch.Tensor,
        step: Step,
    ) -> Told:
        """Loss of one step, and the numbers to report.

        Parameters
        ----------
        whole, small : lists of Tensor, shape (n, channel, size, size)
            Two global views, and local ones.
        batch : Tensor of int, shape (2, n)
            Batches of the fields that the global views show.
        treatment : Tensor of int, shape (n,)
        step : Step
        """
        n, supervised = len(treatment), self.variant.loss == "supervised"
        features = self.student["encoder"](torch.cat(whole))
        if small and self.variant.loss == "dino":
            features = torch.cat([features, self.student["encoder"](torch.cat(small))])
        with torch.no_grad():
            seen = features if supervised else self.teacher["encoder"](torch.cat(whole))
        # Temperatures and correlations ask for more digits than mixed precision has.
        with torch.autocast(features.device.type, enabled=False):
            said = self.student["head"](features.float())
            said = said.view(-1, n, said.shape[-1])  # (v, n, k)
            if supervised:
                loss, more = self._name_loss(said, treatment)
            else:
                with torch.no_grad():
                    meant = self.teacher["head"](seen.float()).view(2, n, -1)
                if self.variant.loss == "dino":
                    loss, more = self._dino(said, meant, batch, step)
                else:
                    loss, more = self._byol(said, meant)
        if step.recorded:
            more |= {"spread": spread(seen), "rank": effective_rank(seen)}
        return loss, more

    def _name_loss(self, said: torch.Tensor, treatment: torch.Tensor) -> Told:
        loss = F.cross_entropy(said.flatten(0, 1), treatment.repeat(len(said)))
        return loss, {"cross_entropy": loss.detach()}

    def _dino(
        self, said: torch.Tensor, meant: torch.Tensor, batch: torch.Tensor, step: Step
    ) -> Told:
        code = batch if self.variant.batch_centres else torch.zeros_like(batch)
        centre = self.centres.of(code)
        n_steps = self.settings.training.n_steps
        temperature = cosine(step.number, n_steps, *self.settings.teacher_temperature)
        loss = dino_loss(
            *(said, meant, centre),
            student_temperature=self.settings.student_temperature,
            teacher_temperature=temperature,
        )
        more: dict[str, Any] = {"dino": loss.detach()}
        if step.recorded:
            targets = ((meant - centre) / temperature).softmax(dim=-1)
            more["target_entropy"] = evenness(targets)
        loss = self._with_redundancy(loss, said, meant - centre, more)
        self.centres.update(meant, code)
        return loss, more

    def _byol(self, said: torch.Tensor, meant: torch.Tensor) -> Told:
        guess = self.predictor(said.flatten(0, 1)).view_as(said)
        loss = 0.5 * (byol_loss(guess[0], meant[1]) + byol_loss(guess[1], meant[0]))
        more: dict[str, Any] = {"byol": loss.detach()}
        return self._with_redundancy(loss, guess, meant, more), more

    def _with_redundancy(
        self, loss: torch.Tensor, said: torch.Tensor, meant: torch.Tensor, more: dict[str, Any]
    ) -> torch.Tensor:
        if not self.variant.redundancy:
            return loss
        weight, off = self.settings.redundancy_weight, self.settings.redundancy_off_diagonal
        term = 0.5 * (
            redundancy_loss(said[0], meant[1], off) + redundancy_loss(said[1], meant[0], off)
        )
        more["redundancy"] = term.detach()
        return (1 - weight) * loss + weight * term

    @torch.no_grad()
    def move_teacher(self, step: int) -> None:
        """Let the teacher follow the student."""
        keep = cosine(step, self.settings.training.n_steps, *self.settings.teacher_momentum)
        pairs = zip(self.teacher.parameters(), self.student.parameters(), strict=True)
        for mean, now in pairs:
            mean.lerp_(now, 1 - keep)


def train_variant(
    name: str | Variant,
    images: Fields,
    codes: FieldCodes,
    settings: DistillationSettings | None = None,
    *,
    checkpoints: Keeper | None = None,
    tell: Callable[[int, Numbers], None] | None = None,
) -> Trained:
    """Train an encoder by one of the methods.

    Parameters
    ----------
    name : str or Variant
        A key of ``VARIANTS`` or ``ABLATION``, or ingredients of your own.
    images : ndarray of float32, shape (n, channel, y, x), or callable
        Normalised fields; or what gives them for an array of rows, where they are too many to
        be held.
    codes : FieldCodes
        Their treatments and batches.
    settings : DistillationSettings, optional
    checkpoints, tell : optional
        See :func:`screenbook.training.train`.

    Returns
    -------
    Trained
        A run that collapsed is given back too; its history says why it ended.

    Raises
    ------
    InputError
        If there is no such variant, or fields are too few, or cross-batch positives are
        impossible.
    """
    variant = name if isinstance(name, Variant) else find_variant(name)
    settings = settings or DistillationSettings()
    if len(codes) < 2:
        raise InputError(f"images: {len(codes)} field to train on; two or more are needed")
    partners = CrossBatchPartners(codes) if variant.cross_batch else None
    device = pick_device(settings.training.device)
    fetch = _fetcher(images, device)
    n_channels = fetch(np.arange(1)).shape[1]
    seed = settings.training.seed
    encoder = build_encoder(
        settings.encoder, n_channels, fixed_seed(seed, 1), **settings.encoder_options
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fixed_seed(seed, 2))
        net = Distillation(variant, encoder, settings, codes)

    def loss_of(step: Step) -> Told:
        rows = epoch_rows(len(codes), settings.batch_size, step.number, seed)
        others = rows if partners is None else partners.draw(rows, step.rng)
        pair = fetch(rows), fetch(others)
        whole, small = draw_views(pair, settings.views, step.draws)
        batch = torch.from_numpy(codes.batch[np.stack([rows, others])]).to(device)
        treatment = torch.from_numpy(codes.treatment[rows]).to(device)
        return net(whole, small, batch, treatment, step)

    history = train(
        *(net, loss_of, settings.training),
        after_step=net.move_teacher,
        stop_when=collapse_watch(settings.limits),
        checkpoints=checkpoints,
        tell=tell,
    )
    label = name if isinstance(name, str) else variant.loss
    n_alone = int(partners.alone.sum()) if partners is not None else 0
    return Trained(label, variant, cast(Encoder, net.teacher["encoder"]), history, n_alone)


def _fetcher(images: Fields, device: torch.device) -> Callable[[np.ndarray], torch.Tensor]:
    """Make what gives fields, by rows, as tensors on the device."""
    if callable(images):
        return lambda rows: torch.from_numpy(np.asarray(images(rows), np.float32)).to(device)
    held = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).to(device)
    return lambda rows: held[torch.from_numpy(rows).to(device)]
