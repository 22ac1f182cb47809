"""What models that bring pairs together share: the loss, and its learned temperature."""

from __future__ import annotations

import torch
from torch.nn import functional as F

COLDEST, WARMEST = 0.01, 0.5
"""Limits of a learned temperature."""


def bounded_temperature(log_temperature: torch.Tensor) -> torch.Tensor:
    """Turn a learned logarithm into a temperature between :data:`COLDEST` and :data:`WARMEST`."""
    return log_temperature.exp().clamp(COLDEST, WARMEST)


def contrast(
    a: torch.Tensor,
    b: torch.Tensor,
    alike: torch.Tensor,
    weight: torch.Tensor,
    temperature: float | torch.Tensor,
) -> torch.Tensor:
    """Symmetric cross entropy of finding each row's partner by cosine (InfoNCE).

    Parameters
    ----------
    a, b : Tensor, shape (n, d)
        Row i of each belong together.
    alike : Tensor of bool, shape (n, n)
        Pairs of one parent: they are not negatives of one another.
    weight : Tensor, shape (n,)
    temperature : float

    References
    ----------
    van den Oord, Li and Vinyals 2018, arXiv:1807.03748; Radford et al. 2021, arXiv:2103.00020.
    """
    cosine = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature  # (n, n)
    own = torch.eye(len(a), dtype=torch.bool, device=a.device)
    cosine = cosine.masked_fill(alike & ~own, -torch.inf)
    loss = -(cosine.log_softmax(1).diagonal() + cosine.log_softmax(0).diagonal()) / 2
    return (weight * loss).sum() / weight.sum().clamp_min(1e-6)
