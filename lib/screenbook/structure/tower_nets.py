"""Two towers that end in one space: one reads profiles, the other structures.

A structure is read as a fingerprint, which says which substructures there are, or as a SMILES
string, from which a net has to find them. Both towers are small: some hundred compounds are all
that a screen has to learn from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from screenbook.contrastive import bounded_temperature
from screenbook.structure.smiles_tokens import PADDING


@dataclass(frozen=True)
class TowerShape:
    """Sizes of the towers.

    Attributes
    ----------
    n_space : int
        Dimensions of the shared space.
    width : int
        Of the hidden layer of the towers of profiles and fingerprints.
    dropout, bit_dropout : float
        In the tower of profiles; of fingerprint bits, so that no single one names a compound.
    n_letters, n_channels, reach : int
        Of the tower of SMILES: numbers of a token, channels of its convolutions, and tokens
        that one sees.
    temperature : float
        Where it starts; it is learned.
    """

    n_space: int = 64
    width: int = 128
    dropout: float = 0.4
    bit_dropout: float = 0.5
    n_letters: int = 24
    n_channels: int = 32
    reach: int = 5
    temperature: float = 0.1


class FingerprintTower(nn.Sequential):
    """Fingerprint bits (b, n_bits) to the shared space (b, n_space)."""

    def __init__(self, n_bits: int, shape: TowerShape) -> None:
        super().__init__(
            nn.Dropout(shape.bit_dropout),
            nn.Linear(n_bits, shape.width),
            nn.GELU(),
            nn.Linear(shape.width, shape.n_space),
        )


class SmilesTower(nn.Module):
    """Tokens (b, length) to the shared space (b, n_space): convolutions, maximum and mean."""

    def __init__(self, n_tokens: int, shape: TowerShape) -> None:
        super().__init__()
        c = shape.n_channels
        self.letters = nn.Embedding(n_tokens + 2, shape.n_letters, padding_idx=PADDING)
        self.first = nn.Conv1d(shape.n_letters, c, shape.reach, padding="same")
        self.second = nn.Conv1d(c, c, shape.reach, padding="same")
        self.out = nn.Linear(2 * c, shape.n_space)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Read rows of token numbers; what is behind their end has no say."""
        there = (tokens != PADDING)[:, None]  # (b, 1, length)
        x = self.letters(tokens).transpose(1, 2)  # (b, n_letters, length)
        x = F.relu(self.first(x)) * there
        x = F.relu(self.second(x)) * there  # (b, c, length)
        mean = x.sum(dim=2) / there.sum(dim=2).clamp_min(1)
        return self.out(torch.cat([x.amax(dim=2), mean], dim=1))


class TwoTowers(nn.Module):
    """A tower of profiles, one of structures, and the temperature of their comparison.

    Parameters
    ----------
    n_features : int
        Of a profile.
    structure : Module
        A tower of structures.
    shape : TowerShape
    """

    def __init__(self, n_features: int, structure: nn.Module, shape: TowerShape) -> None:
        super().__init__()
        self.profile = nn.Sequential(
            nn.Linear(n_features, shape.width),
            nn.GELU(),
            nn.Dropout(shape.dropout),
            nn.Linear(shape.width, shape.n_space),
        )
        self.structure = structure
        self.log_temperature = nn.Parameter(torch.tensor(math.log(shape.temperature)))

    @property
    def temperature(self) -> torch.Tensor:
        """Of the comparison, a scalar."""
        return bounded_temperature(self.log_temperature)

    def see(self, profiles: torch.Tensor) -> torch.Tensor:
        """Place profiles, (b, n_features) to unit rows (b, n_space)."""
        return F.normalize(self.profile(profiles), dim=1)

    def read(self, structures: torch.Tensor) -> torch.Tensor:
        """Place structures, as their tower takes them, to unit rows (b, n_space)."""
        return F.normalize(self.structure(structures), dim=1)
