"""Read the drug and its targets from an expression change: training and use of the fast net.

The loss has two terms. One finds the structure that a signature belongs to among those of the
batch, and back (CLIP: Radford et al. 2021, arXiv:2103.00020). The other finds the targets of its
drug among all target genes. Other names of one parent are no negatives, signatures below their
noise have little say, and a drug without structure, or without known targets, has none in the
term that would need them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from screenbook.contrastive import contrast
from screenbook.errors import InputError
from screenbook.expression.inverse_net import InverseNet, InverseShape, target_loss
from screenbook.expression.splits import parent_blocks
from screenbook.expression.target_baselines import target_table
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

LEAST_TRUST = 0.05
"""Say that is left to a signature of which nothing stands out of its noise: most are such, and
together they still tell a drug."""


@dataclass(frozen=True)
class InverseSettings:
    """How a net that reads signatures is trained.

    Attributes
    ----------
    n_components : int
        Principal components of the training changes that are read.
    n_basal : int
        Principal components of basal expression over training lines that are read with them.
    width, depth, n_space : int
        See :class:`~screenbook.expression.inverse_net.InverseShape`.
    dropout, bit_dropout : float
    structure_weight, target_weight : float
        Of the two terms.
    warm_up : float
        Share of the steps over which the weight of structures rises from 0: targets are few
        and shared between drugs, so they order the space before single drugs are told apart.
    temperature : float
        Both start there and are learned.
    batch_size : int
    training : TrainSettings
    """

    n_components: int = 64
    n_basal: int = 6
    width: int = 384
    depth: int = 1
    n_space: int = 128
    dropout: float = 0.3
    bit_dropout: float = 0.5
    structure_weight: float = 1.0
    target_weight: float = 1.0
    warm_up: float = 0.2
    temperature: float = 0.1
    batch_size: int = 256
    training: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            n_steps=500, learning_rate=2e-3, warmup_steps=30, weight_decay=0.05, clip=1.0
        )
    )


@dataclass(frozen=True)
class _Scales:
    """What the net reads, found on training conditions.

    Attributes
    ----------
    change : ndarray, shape (n_components, n_genes)
        Axes of change, each over the root mean square change.
    basal : ndarray, shape (n_basal, n_genes)
        Axes of basal expression, each over the SD of all along it.
    basal_mean : ndarray, shape (n_genes,)
    bits : ndarray of bool, shape (n_bits,)
        Those that some training drugs have and some have not: others teach nothing.
    """

    change: np.ndarray
    basal: np.ndarray
    basal_mean: np.ndarray
    bits: np.ndarray

    def read(self, delta: np.ndarray, basal: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn changes and basal expression of their lines, (q, n_genes) each, into inputs."""
        n_genes = len(self.basal_mean)
        for name, values in (("delta", delta), ("basal", basal)):
            if np.ndim(values) != 2 or np.shape(values) != (len(delta), n_genes):
                raise InputError(
                    f"inverse model: {name} has shape {np.shape(values)}; give one row for each "
                    f"query and the {n_genes:,} genes that the model was trained on, in order"
                )
            if not np.isfinite(values).all():
                row = int(np.argwhere(~np.isfinite(values))[0][0])
                raise InputError(f"inverse model: row {row + 1} of {name} is not finite; drop it")
        change = np.asarray(delta, dtype=np.float32) @ self.change.T
        line = (np.asarray(basal, dtype=np.float32) - self.basal_mean) @ self.basal.T
        return torch.from_numpy(change), torch.from_numpy(np.clip(line, -4, 4))


@dataclass(frozen=True)
class InverseModel:
    """A trained net with all it needs to be asked.

    Attributes
    ----------
    net : InverseNet
    settings : InverseSettings
    scales : object
        What inputs are projected on.
    target_genes : tuple of str
        Genes that can be named: the known targets of training drugs, in capitals.
    history : History
    """

    net: InverseNet
    settings: InverseSettings
    scales: _Scales
    target_genes: tuple[str, ...]
    history: History

    def embed(self, delta: np.ndarray, basal_rows: np.ndarray) -> np.ndarray:
        """Place signatures in the space of drugs.

        Parameters
        ----------
        delta : ndarray, shape (q, n_genes)
            Expression change, on the scale of the training changes; the reverse of a change
            asks for what undoes it.
        basal_rows : ndarray, shape (q, n_genes)
            Basal expression of the line of each; the mean over lines for a query of no line.

        Returns
        -------
        ndarray of float32, shape (q, n_space)
            Rows of length 1.

        Raises
        ------
        InputError
            If genes differ in number from the training's, or a value is not finite.
        """
        change, basal = self.scales.read(delta, basal_rows)
        with torch_threads(1), torch.no_grad():
            return np.asarray(self.net.read(change, basal).numpy())

    def rank(
        self, delta: np.ndarray, basal_rows: np.ndarray, candidate_bits: np.ndarray
    ) -> np.ndarray:
        """Score candidate drugs by their structure; none of them need ever have been profiled.

        Parameters
        ----------
        delta, basal_rows : ndarray, shape (q, n_genes)
            See :meth:`embed`.
        candidate_bits : ndarray, shape (c, n_bits)
            Fingerprints.

        Returns
        -------
        ndarray of float32, shape (q, c)
            Cosine; NaN for a candidate whose structure cannot be read (no bit set).

        Raises
        ------
        InputError
            See :meth:`embed`; also if fingerprints have another length.
        """
        bits = np.array(candidate_bits, dtype=np.float32, ndmin=2)
        n_bits = len(self.scales.bits)
        if bits.shape[1] != n_bits:
            raise InputError(
                f"inverse model: fingerprints of {bits.shape[1]:,} bits; "
                f"it was trained on {n_bits:,}"
            )
        with torch_threads(1), torch.no_grad():
            drugs = self.net.place(torch.from_numpy(bits[:, self.scales.bits])).numpy()
        scores = self.embed(delta, basal_rows) @ drugs.T
        scores[:, ~bits.any(axis=1)] = np.nan
        return np.asarray(scores)

    def targets(self, delta: np.ndarray, basal_rows: np.ndarray) -> pd.DataFrame:
        """Score target genes.

        Parameters
        ----------
        delta, basal_rows : ndarray, shape (q, n_genes)
            See :meth:`embed`.

        Returns
        -------
        DataFrame, shape (q, n_targets)
            Cosine, genes as columns.

        Raises
        ------
        InputError
            See :meth:`embed`.
        """
        with torch_threads(1), torch.no_grad():
            genes = self.net.target_vectors().numpy()
        columns = pd.Index(self.target_genes, name="target", dtype=object)
        return pd.DataFrame(self.embed(delta, basal_rows) @ genes.T, columns=columns)


def train_inverse(
    train_on: TrainingRows,
    targets: Sequence[str],
    settings: InverseSettings | None = None,
    *,
    trust: np.ndarray | None = None,
    checkpoints: Keeper | None = None,
) -> InverseModel:
    """Train a net that reads signatures.

    Parameters
    ----------
    train_on : TrainingRows
        Training conditions; nothing of any other is looked at.
    targets : sequence of str, length n
        Target genes of the drug of each condition, joined by ``;``; ``""`` if not known.
    settings : InverseSettings, optional
    trust : ndarray, shape (n,), optional
        How much of each change is no noise, 0 to 1
        (:func:`~screenbook.expression.forward.reliability`): its say in both terms, which is
        :data:`LEAST_TRUST` at least.
    checkpoints : Keeper, optional
        As in :func:`screenbook.training.train`.

    Returns
    -------
    InverseModel

    Raises
    ------
    InputError
        If lengths differ, or no two training drugs differ in structure.
    """
    settings = settings or InverseSettings()
    n, table = len(train_on.delta), target_table(targets)
    sure = np.ones(n) if trust is None else np.asarray(trust, dtype=float)
    for name, length in (("targets", len(table)), ("trust", len(sure))):
        if length != n:
            raise InputError(f"inverse model: {length:,} {name} for {n:,} training conditions")
    scales = _find_scales(train_on, settings)
    rows = _rows(train_on, table, sure, scales)
    torch.manual_seed(settings.training.seed)
    net = _new_net(settings, scales, table.shape[1])

    def loss_of(step: Step) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        some = epoch_rows(n, settings.batch_size, step.number, settings.training.seed)
        structure, target = _losses(net, rows, some, step.device)
        rise = max(1.0, settings.warm_up * settings.training.n_steps)
        up = min(1.0, step.number / rise) * settings.structure_weight
        numbers = {"structure": structure.detach(), "target": target.detach()}
        numbers["temperature"] = net.temperatures[0].detach()
        return up * structure + settings.target_weight * target, numbers

    history = train(net, loss_of, settings.training, checkpoints=checkpoints)
    return InverseModel(net.cpu(), settings, scales, tuple(table.columns), history)


@dataclass(frozen=True)
class _Rows:
    """Training conditions as tensors.

    Attributes
    ----------
    by_condition : tuple of Tensor
        Change, basal components, number of the parent, targets, weight, and whether the
        structure is known.
    drug : Tensor of int, shape (n,)
        Row of `bits`.
    bits : Tensor, shape (n_compounds, bits that vary)
    """

    by_condition: tuple[torch.Tensor, ...]
    drug: torch.Tensor
    bits: torch.Tensor


def _new_net(settings: InverseSettings, scales: _Scales, n_targets: int) -> InverseNet:
    shape = InverseShape(
        n_change=len(scales.change),
        n_basal=len(scales.basal),
        n_bits=int(scales.bits.sum()),
        n_targets=n_targets,
        width=settings.width,
        depth=settings.depth,
        n_space=settings.n_space,
        dropout=settings.dropout,
        bit_dropout=settings.bit_dropout,
        temperature=settings.temperature,
    )
    return InverseNet(shape)


def _losses(
    net: InverseNet, rows: _Rows, some: np.ndarray, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of structures and of targets, for some conditions."""
    change, basal, parent, member, weight, has_bits = (
        t[some].to(device) for t in rows.by_condition
    )
    read = net.read(change, basal)
    drugs, which = rows.drug[some].unique(return_inverse=True)
    places = net.place(rows.bits[drugs].to(device))[which.to(device)]
    alike = parent[:, None] == parent[None]
    told: Any = net.temperatures
    structure = contrast(read, places, alike, weight * has_bits, told[0])
    target = target_loss(read, net.target_vectors(), member, weight, told[1])
    return structure, target


def _rows(train_on: TrainingRows, table: pd.DataFrame, trust: np.ndarray, scales: _Scales) -> _Rows:
    obs, fingerprints = train_on.obs, train_on.fingerprints
    basal = train_on.basal.loc[obs["cell_line"]].to_numpy()
    change, line = scales.read(train_on.delta, basal)
    bits = torch.from_numpy(fingerprints.to_numpy(dtype=np.float32, copy=True))
    drug = torch.from_numpy(fingerprints.index.get_indexer(pd.Index(obs["compound_key"])))
    parent = torch.from_numpy(pd.factorize(parent_blocks(obs["compound_key"]))[0])
    weight = np.maximum(trust, LEAST_TRUST) * train_on.weight / np.mean(train_on.weight)
    member = torch.from_numpy(table.to_numpy(dtype=np.float32, copy=True))
    has_bits = bits.any(dim=1)[drug].float()
    told = (change, line, parent, member, torch.from_numpy(weight).float(), has_bits)
    return _Rows(told, drug, bits[:, torch.from_numpy(scales.bits)])


def _find_scales(train_on: TrainingRows, settings: InverseSettings) -> _Scales:
    weight = np.sqrt(train_on.weight / np.mean(train_on.weight))[:, None]
    scaled = weight * np.asarray(train_on.delta, dtype=np.float64)
    size = max(float(np.sqrt(np.square(scaled).mean())), 1e-12)
    k = min(settings.n_components, *scaled.shape)
    axes = np.linalg.eigh(scaled.T @ scaled)[1][:, ::-1][:, :k].T / size
    lines, keys = (list(train_on.obs[c].unique()) for c in ("cell_line", "compound_key"))
    seen = train_on.basal.loc[lines].to_numpy(dtype=np.float64)
    centred = seen - seen.mean(axis=0)
    _, values, basal = np.linalg.svd(centred, full_matrices=False)
    m = min(settings.n_basal, len(seen) - 1)
    sd = np.maximum(values[:m] / np.sqrt(len(seen)), 1e-12)
    drugs = train_on.fingerprints.loc[keys].to_numpy() > 0
    drugs = drugs[drugs.any(axis=1)]
    differ = np.asarray(drugs.any(axis=0) & ~drugs.all(axis=0))
    if not differ.any():
        raise InputError("inverse model: no two training drugs differ in structure; add SMILES")
    return _Scales(
        change=axes.astype(np.float32),
        basal=(basal[:m] / sd[:, None]).astype(np.float32),
        basal_mean=seen.mean(axis=0).astype(np.float32),
        bits=differ,
    )
