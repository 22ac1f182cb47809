"""Has a network given up? Three numbers that tell, and the line that says so.

Self-distillation has trivial solutions: the same output for every field, or an output that is
even over all prototypes. Both look like progress or like a plateau in the loss alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F


def spread(features: torch.Tensor) -> float:
    """How far the directions of feature vectors are apart.

    Parameters
    ----------
    features : Tensor, shape (n, f)

    Returns
    -------
    float
        Root mean squared distance of the unit vectors from their mean: 0 if all point the same
        way, 1 if their mean is nil.
    """
    unit = F.normalize(features.detach().float(), dim=1)
    return (unit - unit.mean(dim=0)).pow(2).sum(dim=1).mean().sqrt().item()


def effective_rank(features: torch.Tensor) -> float:
    """Count the directions that the features fill.

    The exponential of the entropy of the singular values of the centred features (Roy &
    Vetterli 2007, EUSIPCO 606; RankMe: Garrido et al. 2023, arXiv 2210.02885).

    Parameters
    ----------
    features : Tensor, shape (n, f)

    Returns
    -------
    float
        From 1 to min(n - 1, f); 0 if all rows are the same; NaN if a feature is no number.
    """
    x = features.detach().float()
    if not torch.isfinite(x).all():
        return math.nan
    values = torch.linalg.svdvals(x - x.mean(dim=0))
    total = values.sum()
    if total <= 1e-6 * x.norm() or total == 0:
        return 0.0
    share = values / total
    return torch.exp(-torch.xlogy(share, share).sum()).item()


def evenness(targets: torch.Tensor) -> float:
    """Mean entropy of distributions (..., k) over log k: 1 if all are even, 0 if all are sure."""
    p = targets.detach().float()
    return (-torch.xlogy(p, p).sum(dim=-1).mean() / math.log(p.shape[-1])).item()


@dataclass(frozen=True)
class CollapseLimits:
    """When a run counts as collapsed.

    Attributes
    ----------
    loss_share : float
        DINO's loss over log k, and the entropy of the teacher's targets over log k. If both are
        1, teacher and student are even over all prototypes. The loss alone does not tell: it
        starts above 1, and may be there for long while the targets are sure.
    spread : float
        See :func:`spread`.
    rank : float
        See :func:`effective_rank`.
    patience : int
        Rows of the history in a row that must be beyond a limit.
    grace : int
        Steps at the start that do not count.
    """

    loss_share: float = 0.99
    spread: float = 0.01
    rank: float = 1.5
    patience: int = 5
    grace: int = 100


_EVEN = ("dino", "target_entropy")


def collapse_watch(limits: CollapseLimits | None = None) -> Callable[[list[dict]], str]:
    """Make the function that a training asks whether to stop.

    Parameters
    ----------
    limits : CollapseLimits, optional

    Returns
    -------
    callable
        Gets the rows of a history (``step`` and, where known, ``dino``, ``target_entropy``,
        ``spread`` and ``rank``); gives one line that names what collapsed, or an empty one.
    """
    limits = limits or CollapseLimits()

    def watch(rows: list[dict]) -> str:
        last = [row for row in rows if row["step"] > limits.grace][-limits.patience :]
        if len(last) < limits.patience:
            return ""
        at = f"collapsed at step {last[-1]['step']}:"
        if all(min(row.get(k, 0) for k in _EVEN) >= limits.loss_share for row in last):
            return f"{at} loss / log K is {last[-1]['dino']:.3f}, all prototypes alike"
        if all(row.get("spread", 1) <= limits.spread for row in last):
            return f"{at} all fields have one embedding (spread {last[-1]['spread']:.4f})"
        if all(row.get("rank", 9) <= limits.rank for row in last):
            return f"{at} embeddings lie on a line (effective rank {last[-1]['rank']:.2f})"
        return ""

    return watch
