"""Predict the expression change of a drug at a dose in a line: training and use of the net.

The loss is the squared error, weighted by cells, and two terms that come in over the first part
of the training: a contrast between the predicted changes of a batch and the observed ones, so
that drugs are told apart, and one between structures and observed changes, so that structures
that do the same lie together. Other names of one parent are no negatives, and conditions
without a change above their noise have no say in either.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from screenbook.contrastive import contrast
from screenbook.errors import InputError
from screenbook.expression.forward_net import MODES, Batch, ForwardNet, NetShape
from screenbook.expression.fusion import change_basis
from screenbook.expression.splits import parent_blocks
from screenbook.expression.training_rows import TrainingRows
from screenbook.training import (
    History,
    Keeper,
    Step,
    TrainSettings,
    epoch_rows,
    torch_threads,
    train,
)

FEWEST_VISIBLE, MOST_VISIBLE = 0.15, 0.5
"""Share of gene tokens that ``masked`` training shows."""

_AT_ONCE = 512  # conditions predicted in one go


@dataclass(frozen=True)
class ForwardSettings:
    """How a forward model is formulated and trained.

    Attributes
    ----------
    mode : {"basal", "query", "masked", "leaky"}
        See :mod:`screenbook.expression.forward_net`.
    n_tokens, width, layers : int
        Gene tokens, and size of the encoder.
    n_components : int
        Principal components of the training changes that are predicted: noise is alike in all
        genes, and what drugs do lies in few directions.
    rank_weight, align_weight : float
        Of the two contrasts.
    temperature : float
        Of both.
    warm_up : float
        Share of the steps over which their weights rise from 0.
    batch_size : int
    training : TrainSettings
    """

    mode: str = "basal"
    n_tokens: int = 24
    width: int = 64
    layers: int = 2
    n_components: int = 32
    rank_weight: float = 0.01
    align_weight: float = 0.02
    temperature: float = 0.1
    warm_up: float = 0.3
    batch_size: int = 64
    training: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            n_steps=200, learning_rate=1e-3, warmup_steps=20, weight_decay=0.05, clip=1.0
        )
    )

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"mode {self.mode!r} is none of {', '.join(MODES)}")


@dataclass(frozen=True)
class Scales:
    """What numbers are divided by, found on training conditions.

    Attributes
    ----------
    basis : ndarray of float32, shape (n_components, n_genes)
        Orthonormal directions of change, in units of `size`.
    size : float
        Root mean square change.
    basal_mean, basal_sd : ndarray of float32, shape (n_genes,)
        Of basal expression over lines.
    tokens : ndarray of int, shape (n_tokens,)
        Genes whose basal expression differs most between lines.
    lines : tuple of str
        Lines known by number, from 1.
    """

    basis: np.ndarray
    size: float
    basal_mean: np.ndarray
    basal_sd: np.ndarray
    tokens: np.ndarray
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ForwardModel:
    """A trained net with all it needs to be asked.

    Attributes
    ----------
    net : ForwardNet
    settings : ForwardSettings
    scales : Scales
    fingerprints : DataFrame, shape (n_compounds, n_bits)
        By compound key.
    history : History
    """

    net: ForwardNet
    settings: ForwardSettings
    scales: Scales
    fingerprints: pd.DataFrame
    history: History

    def predict(
        self,
        obs: pd.DataFrame,
        basal: pd.DataFrame,
        *,
        prior: np.ndarray | None = None,
        visible: np.ndarray | None = None,
    ) -> np.ndarray:
        """Predict changes.

        Parameters
        ----------
        obs : DataFrame, m rows
            ``compound_key``, ``dose`` (uM) and ``cell_line``.
        basal : DataFrame
            Basal expression of these lines, genes as columns.
        prior : ndarray, shape (m, n_genes), optional
            What a baseline predicts, where the net was trained on top of one.
        visible : ndarray, shape (m, n_genes), optional
            Changes that gene tokens show: all that ``leaky`` goes by, and the genes that
            ``masked`` is given (NaN for those withheld; without it, all are).

        Returns
        -------
        ndarray of float32, shape (m, n_genes)

        Raises
        ------
        InputError
            If ``leaky`` is not shown the changes it needs.
        """
        if self.settings.mode == "leaky" and visible is None:
            raise InputError("a leaky model predicts changes from themselves: give visible=")
        rows = _rows(obs, basal, self.fingerprints, self.scales, prior, visible)
        out = []
        self.net.eval()
        with torch_threads(1), torch.no_grad():
            for start in range(0, len(obs), _AT_ONCE):
                part = np.arange(start, min(start + _AT_ONCE, len(obs)))
                batch = _batch(rows, part, self.settings, self.scales, None)
                out.append(self.net(batch).numpy())
        found = np.vstack(out) if out else np.empty((0, len(self.scales.basis)))
        added = found @ self.scales.basis * self.scales.size
        return np.asarray(added if prior is None else prior + added, dtype=np.float32)


def train_forward(
    train_on: TrainingRows,
    settings: ForwardSettings | None = None,
    *,
    prior: np.ndarray | None = None,
    trust: np.ndarray | None = None,
    checkpoints: Keeper | None = None,
) -> ForwardModel:
    """Train a forward model.

    Parameters
    ----------
    train_on : TrainingRows
        Training conditions; no other condition's change is looked at.
    settings : ForwardSettings, optional
    prior : ndarray, shape (n, n_genes), optional
        What a baseline predicts for the training conditions *without having seen them*; the net
        then learns to correct it.
    trust : ndarray, shape (n,), optional
        How much of each change is no noise (:func:`reliability`): its say in the contrasts.
    checkpoints : Keeper, optional
        As in :func:`screenbook.training.train`.

    Returns
    -------
    ForwardModel
    """
    settings, n = settings or ForwardSettings(), len(train_on.delta)
    scales = _scales(train_on, settings)
    fingerprints = train_on.fingerprints
    rows = _rows(train_on.obs, train_on.basal, fingerprints, scales, prior, train_on.delta)
    start = 0 if prior is None else prior
    target = torch.from_numpy(((train_on.delta - start) / scales.size).astype(np.float32))
    whole = torch.from_numpy((train_on.delta @ scales.basis.T / scales.size).astype(np.float32))
    basis = torch.from_numpy(scales.basis)
    weight = torch.from_numpy((train_on.weight / np.mean(train_on.weight)).astype(np.float32))
    sure = torch.from_numpy(np.ones(n) if trust is None else trust).float()
    parent = pd.factorize(parent_blocks(train_on.obs["compound_key"]))[0]
    same = torch.from_numpy(parent)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.training.seed)
        net = ForwardNet(
            NetShape(
                n_genes=train_on.delta.shape[1],
                n_components=len(scales.basis),
                n_tokens=len(scales.tokens),
                n_bits=fingerprints.shape[1],
                n_lines=len(scales.lines),
                width=settings.width,
                layers=settings.layers,
            )
        )
    rise = max(1.0, settings.warm_up * settings.training.n_steps)

    def loss_of(step: Step) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        some = epoch_rows(n, settings.batch_size, step.number, settings.training.seed)
        batch = _batch(rows, some, settings, scales, step.rng).to(step.device)
        wanted, seen, w, r = (t[some].to(step.device) for t in (target, whole, weight, sure))
        alike = (same[some][:, None] == same[some][None]).to(step.device)
        added = net(batch)
        error = (added @ basis.to(step.device) - wanted).square()
        if settings.mode == "masked":
            error = error * _asked(batch, error.shape[1])
        mse = (w[:, None] * error).mean()
        rank = contrast(batch.prior + added, seen, alike, r, settings.temperature)
        told, shown = net.drug_vector(batch.bits), net.signature_vector(seen)
        align = contrast(told, shown, alike, r, settings.temperature)
        up = min(1.0, step.number / rise)
        loss = mse + up * (settings.rank_weight * rank + settings.align_weight * align)
        return loss, {"mse": mse.detach(), "rank": rank.detach(), "align": align.detach()}

    history = train(net, loss_of, settings.training, checkpoints=checkpoints)
    return ForwardModel(net.cpu(), settings, scales, fingerprints, history)


def _scales(train_on: TrainingRows, settings: ForwardSettings) -> Scales:
    weight = (train_on.weight / np.mean(train_on.weight))[:, None]
    size = float(np.sqrt((weight * np.square(train_on.delta, dtype=np.float64)).mean()))
    lines = train_on.obs["cell_line"].unique().tolist()
    basal = train_on.basal.loc[lines]
    sd = basal.std(axis=0, ddof=0).to_numpy()
    tokens = np.argsort(-sd, kind="stable")[: settings.n_tokens]
    return Scales(
        basis=change_basis(train_on, settings.n_components),
        size=max(size, 1e-12),
        basal_mean=basal.mean(axis=0).to_numpy(dtype=np.float32),
        basal_sd=np.maximum(sd, 0.05 * sd.max() + 1e-6).astype(np.float32),
        tokens=np.sort(tokens),
        lines=tuple(lines),
    )


@dataclass(frozen=True)
class _Rows:
    """Conditions as arrays, what drugs and lines share not repeated."""

    bits: np.ndarray
    drug: np.ndarray
    log_dose: np.ndarray
    basal: np.ndarray
    line: np.ndarray
    number: np.ndarray
    prior: np.ndarray | None
    visible: np.ndarray | None


def _rows(
    obs: pd.DataFrame,
    basal: pd.DataFrame,
    fingerprints: pd.DataFrame,
    scales: Scales,
    prior: np.ndarray | None,
    visible: np.ndarray | None,
) -> _Rows:
    keys, lines = obs["compound_key"].to_numpy(), obs["cell_line"].to_numpy()
    drug, line = (
        fingerprints.index.get_indexer(pd.Index(keys)),
        basal.index.get_indexer(pd.Index(lines)),
    )
    if (drug < 0).any():
        raise InputError(f"compound {keys[drug < 0][0]!r} has no fingerprint: add its structure")
    dose = obs["dose"].to_numpy(dtype=np.float32)
    if not (dose > 0).all():  # nor NaN
        row = int(np.flatnonzero(~(dose > 0))[0])
        raise InputError(f"row {row + 1}: dose is {dose[row]:g}; give uM above 0")
    if (line < 0).any():
        raise InputError(f"cell line {lines[line < 0][0]!r} has no basal expression: add its row")
    standard = (basal.to_numpy(dtype=np.float32) - scales.basal_mean) / scales.basal_sd
    number = pd.Index(scales.lines).get_indexer(pd.Index(lines)) + 1
    return _Rows(
        bits=fingerprints.to_numpy(dtype=np.float32),
        drug=drug,
        log_dose=np.log10(dose),
        basal=np.clip(standard, -5, 5),
        line=line,
        number=number,
        prior=None if prior is None else (prior @ scales.basis.T / scales.size).astype(np.float32),
        visible=None if visible is None else (visible / scales.size).astype(np.float32),
    )


def _batch(
    rows: _Rows,
    some: np.ndarray,
    settings: ForwardSettings,
    scales: Scales,
    rng: np.random.Generator | None,
) -> Batch:
    """Gather some conditions; with random numbers if they are trained on."""
    n, t = len(some), len(scales.tokens)
    gene = np.broadcast_to(scales.tokens, (n, t))
    basal = rows.basal[rows.line[some]]
    value = np.zeros((n, t), dtype=np.float32)
    hidden = np.ones((n, t), dtype=bool)
    number = np.zeros(n, dtype=np.int64)
    if settings.mode == "basal":
        value, hidden = basal[:, scales.tokens], np.zeros((n, t), dtype=bool)
    else:
        basal = np.zeros_like(basal)
        number = rows.number[some]
    if settings.mode == "leaky" and rows.visible is not None:
        shown = rows.visible[some]
        gene = np.argsort(-np.abs(shown), axis=1, kind="stable")[:, :t]
        value, hidden = np.take_along_axis(shown, gene, axis=1), np.zeros((n, t), dtype=bool)
    if settings.mode == "masked" and rows.visible is not None:
        shown = rows.visible[some][:, scales.tokens]
        hidden = np.isnan(shown)
        if rng is not None:
            share = rng.uniform(FEWEST_VISIBLE, MOST_VISIBLE, (n, 1))
            hidden |= rng.random((n, t)) >= share
        value = np.where(hidden, 0, shown).astype(np.float32)
    if settings.mode in ("leaky", "masked"):
        np.put_along_axis(basal, gene, value, axis=1)
    prior = np.zeros((n, len(scales.basis)), np.float32) if rows.prior is None else rows.prior[some]
    return Batch(
        bits=torch.from_numpy(rows.bits[rows.drug[some]]),
        log_dose=torch.from_numpy(rows.log_dose[some]),
        basal=torch.from_numpy(basal),
        line=torch.from_numpy(number),
        gene=torch.from_numpy(np.array(gene)),
        value=torch.from_numpy(np.ascontiguousarray(value)),
        hidden=torch.from_numpy(hidden),
        prior=torch.from_numpy(prior),
    )


def _asked(batch: Batch, n_genes: int) -> torch.Tensor:
    """Genes that no token shows, as weights of mean 1, (b, n_genes)."""
    shown = torch.zeros(len(batch.bits), n_genes, device=batch.bits.device)
    shown.scatter_(1, batch.gene, (~batch.hidden).float())
    asked = 1 - shown
    return asked / asked.mean().clamp_min(1e-6)
