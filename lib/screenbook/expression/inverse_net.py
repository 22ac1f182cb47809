"""A small net that reads an expression change into the space where drugs and targets lie.

Three towers end in one space, and closeness is cosine: a signature with the line's basal
expression, the structure of a drug, and a vector for each target gene. No tower of a signature is
told the drug, so nothing can be copied from input to answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from screenbook.contrastive import bounded_temperature


@dataclass(frozen=True)
class InverseShape:
    """Sizes of the net.

    Attributes
    ----------
    n_change, n_basal : int
        Components of a change, and of basal expression, that are read.
    n_bits : int
        Length of a fingerprint.
    n_targets : int
        Target genes known from training.
    width : int
        Of the hidden layers.
    depth : int
        Hidden layers of the signature's tower.
    n_space : int
        Dimensions of the shared space.
    dropout, bit_dropout : float
        In the signature's tower; of fingerprint bits, so that no single one names a drug.
    temperature : float
        Both start there.
    """

    n_change: int
    n_basal: int
    n_bits: int
    n_targets: int
    width: int = 256
    depth: int = 1
    n_space: int = 64
    dropout: float = 0.3
    bit_dropout: float = 0.5
    temperature: float = 0.1


class InverseNet(nn.Module):
    """The three towers and the temperatures of the two comparisons.

    Parameters
    ----------
    shape : InverseShape
    """

    def __init__(self, shape: InverseShape) -> None:
        super().__init__()
        self.shape = shape
        w, d = shape.width, shape.n_space
        layers: list[nn.Module] = []
        for i in range(shape.depth):
            n_in = shape.n_change + shape.n_basal if i == 0 else w
            layers += [nn.Linear(n_in, w), nn.GELU(), nn.Dropout(shape.dropout)]
        self.signature = nn.Sequential(*layers, nn.Linear(w, d))
        self.structure = nn.Sequential(
            nn.Dropout(shape.bit_dropout), nn.Linear(shape.n_bits, w), nn.GELU(), nn.Linear(w, d)
        )
        self.target = nn.Embedding(max(shape.n_targets, 1), d)
        self.log_temperature = nn.Parameter(torch.full((2,), math.log(shape.temperature)))

    @property
    def temperatures(self) -> torch.Tensor:
        """Of the comparison with structures, and of that with targets, shape (2,)."""
        return bounded_temperature(self.log_temperature)

    def read(self, change: torch.Tensor, basal: torch.Tensor) -> torch.Tensor:
        """Place signatures, (b, n_change) and (b, n_basal) to unit rows (b, n_space)."""
        return F.normalize(self.signature(torch.cat([change, basal], dim=1)), dim=1)

    def place(self, bits: torch.Tensor) -> torch.Tensor:
        """Place structures, (b, n_bits) to unit rows (b, n_space)."""
        return F.normalize(self.structure(bits), dim=1)

    def target_vectors(self) -> torch.Tensor:
        """Place target genes, unit rows (n_targets, n_space)."""
        return F.normalize(self.target.weight[: self.shape.n_targets], dim=1)


def target_loss(
    read: torch.Tensor,
    genes: torch.Tensor,
    member: torch.Tensor,
    weight: torch.Tensor,
    temperature: torch.Tensor | float,
) -> torch.Tensor:
    """Cross entropy of finding each signature's targets among all target genes by cosine.

    Parameters
    ----------
    read : Tensor, shape (b, d)
        Unit rows.
    genes : Tensor, shape (t, d)
        Unit rows.
    member : Tensor of float, shape (b, t)
        1 for a target; its targets share the probability of a row alike.
    weight : Tensor, shape (b,)
        Rows without a known target have no say, whatever theirs.
    temperature : Tensor or float
    """
    log_chance = (read @ genes.T / temperature).log_softmax(dim=1)
    each = -(member * log_chance).sum(dim=1) / member.sum(dim=1).clamp_min(1)
    weight = weight * member.any(dim=1)
    return (weight * each).sum() / weight.sum().clamp_min(1e-6)
