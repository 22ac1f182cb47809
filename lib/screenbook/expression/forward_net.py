"""A transformer from basal expression, drug and dose to expression change.

Tokens are ``[CLS] [DRUG] [CELL] g1 … gn``. What the gene tokens carry, and the token of the cell
as one vector, is the formulation:

``basal``
    expression of the untreated line. The answer is not in the input, and a line that was never
    treated can be asked.
``query``
    nothing but which gene it is; the line is known by its number only.
``masked``
    the change itself, of some genes; only the others are asked for.
``leaky``
    the change itself, of the genes that changed most, all genes being asked for: what the
    public system that this improves on did (its input was the condition that it predicted).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

MODES = ("basal", "query", "masked", "leaky")


@dataclass(frozen=True)
class NetShape:
    """Sizes of the net.

    Attributes
    ----------
    n_genes : int
        Genes there are.
    n_components : int
        Components that changes are predicted in.
    n_tokens : int
        Gene tokens.
    n_bits : int
        Length of a fingerprint.
    n_lines : int
        Lines known by number, in the modes without basal expression.
    width, heads, layers : int
        Of the encoder.
    dropout, bit_dropout : float
        In the encoder; of fingerprint bits, so that no single one names a drug.
    """

    n_genes: int
    n_components: int
    n_tokens: int = 24
    n_bits: int = 2048
    n_lines: int = 0
    width: int = 64
    heads: int = 4
    layers: int = 2
    dropout: float = 0.0
    bit_dropout: float = 0.7


@dataclass(frozen=True)
class Batch:
    """Some conditions as the net takes them.

    Attributes
    ----------
    bits : Tensor, shape (b, n_bits)
        Fingerprint of the drug.
    log_dose : Tensor, shape (b,)
        log10 of uM.
    basal : Tensor, shape (b, n_genes)
        Basal expression of the line, standardised over lines; where tokens carry changes, those.
    line : Tensor of int, shape (b,)
        Number of the line; 0 for one that is not known.
    gene : Tensor of int, shape (b, n_tokens)
        Which genes the tokens are.
    value : Tensor, shape (b, n_tokens)
        What they carry.
    hidden : Tensor of bool, shape (b, n_tokens)
        Tokens whose value is withheld.
    prior : Tensor, shape (b, n_components)
        Change that a baseline predicts; zeros for none.
    """

    bits: torch.Tensor
    log_dose: torch.Tensor
    basal: torch.Tensor
    line: torch.Tensor
    gene: torch.Tensor
    value: torch.Tensor
    hidden: torch.Tensor
    prior: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Move all of it."""
        return Batch(**{name: value.to(device) for name, value in vars(self).items()})


class ForwardNet(nn.Module):
    """Encoder and head; a new net adds nothing to its prior.

    Parameters
    ----------
    shape : NetShape
    """

    def __init__(self, shape: NetShape) -> None:
        super().__init__()
        d, k = shape.width, shape.n_components
        self.shape = shape
        self.gene = nn.Embedding(shape.n_genes, d)
        self.value = nn.Linear(2, d)  # value, and whether it is withheld
        self.drug = nn.Sequential(
            nn.Dropout(shape.bit_dropout), nn.Linear(shape.n_bits, d), nn.GELU(), nn.Linear(d, d)
        )
        self.dose = nn.Sequential(nn.Linear(1, d), nn.GELU(), nn.Linear(d, d))
        self.line = nn.Embedding(shape.n_lines + 1, d)
        self.basal = nn.Linear(shape.n_genes, d)
        self.prior = nn.Linear(k, d)
        self.cls = nn.Parameter(torch.zeros(d))
        layer = nn.TransformerEncoderLayer(
            d, shape.heads, 2 * d, shape.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, shape.layers, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 2 * d), nn.GELU())
        self.drop = nn.Dropout(shape.dropout)
        self.change = nn.Linear(2 * d, k)
        self.gate = nn.Linear(2 * d, k)
        self.signature = nn.Sequential(nn.Linear(k, d), nn.GELU(), nn.Linear(d, d))
        for last in (self.change, self.gate):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def drug_vector(self, bits: torch.Tensor) -> torch.Tensor:
        """Embed structures, (b, n_bits) to (b, d)."""
        found: torch.Tensor = self.drug(bits)
        return found

    def signature_vector(self, delta: torch.Tensor) -> torch.Tensor:
        """Embed observed changes into the space of structures, (b, n_components) to (b, d)."""
        found: torch.Tensor = self.signature(delta)
        return found

    def forward(self, batch: Batch) -> torch.Tensor:
        """Predict what is to be added to the prior, (b, n_components)."""
        n = len(batch.bits)
        told = torch.stack([batch.value, batch.hidden.float()], dim=-1)  # (b, t, 2)
        genes = self.gene(batch.gene) + self.value(told)  # (b, t, d)
        drug = self.drug_vector(batch.bits) + self.dose(batch.log_dose[:, None])  # (b, d)
        drug = drug + self.prior(batch.prior)
        cell = self.line(batch.line) + self.basal(batch.basal)
        cls = self.cls.expand(n, -1)
        tokens = torch.cat([torch.stack([cls, drug, cell], dim=1), genes], dim=1)
        read = self.drop(self.head(self.encoder(tokens)[:, 0]))  # (b, 2d)
        out: torch.Tensor = batch.prior * self.gate(read) + self.change(read)
        return out
