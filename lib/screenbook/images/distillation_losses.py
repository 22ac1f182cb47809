"""The losses of self-distillation, each as its paper writes it.

Views are v, fields of a mini-batch n, outputs of a head k, batches (domains) d.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


def dino_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    centre: torch.Tensor,
    *,
    student_temperature: float = 0.1,
    teacher_temperature: float = 0.04,
) -> torch.Tensor:
    """Cross-entropy of the student's outputs with the teacher's, between different views.

    Caron et al. 2021 (arXiv 2104.14294), divided by log k: 1 if both know nothing.

    Parameters
    ----------
    student : Tensor, shape (v, n, k)
        Logits of all views, those that the teacher sees first.
    teacher : Tensor, shape (u, n, k)
        Logits of the first u views; no gradient flows into them.
    centre : Tensor, shape (k,) or (u, n, k)
        Taken off the teacher's logits.
    student_temperature, teacher_temperature : float

    Returns
    -------
    Tensor, a scalar
    """
    target = ((teacher - centre) / teacher_temperature).softmax(dim=-1).detach()  # (u, n, k)
    log_guess = (student / student_temperature).log_softmax(dim=-1)  # (v, n, k)
    each = -torch.einsum("unk,vnk->uv", target, log_guess) / student.shape[1]
    other = ~torch.eye(*each.shape, dtype=torch.bool, device=each.device)
    return each[other].mean() / math.log(student.shape[-1])


def byol_loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared distance between unit vectors, 0 to 4 (Grill et al. 2020, arXiv 2006.07733).

    Parameters
    ----------
    prediction, target : Tensor, shape (n, k)
        No gradient flows into the target.
    """
    return 2 - 2 * F.cosine_similarity(prediction, target.detach(), dim=-1).mean()


def redundancy_loss(
    student: torch.Tensor, teacher: torch.Tensor, off_diagonal: float = 0.95
) -> torch.Tensor:
    """Ask outputs to agree between views and to be uncorrelated with one another.

    The cross-correlation matrix of both should be the identity (Zbontar et al. 2021, arXiv
    2103.03230), with the weights of CDCL (Haslum et al. 2023, arXiv 2212.11595): the mean over
    the diagonal has weight 1 - `off_diagonal`, the mean over the rest `off_diagonal`, scaled
    by their sum with the second taken a hundredth.

    Parameters
    ----------
    student, teacher : Tensor, shape (n, k)
        Outputs for two views of the same fields; no gradient flows into the teacher's.
    off_diagonal : float
        0 to 1.

    Returns
    -------
    Tensor, a scalar
    """
    n, k = student.shape
    correlation = _standardised(student).T @ _standardised(teacher.detach()) / n  # (k, k)
    diagonal = correlation.diagonal()
    agree = (diagonal - 1).pow(2).mean()
    rest = (correlation.pow(2).sum() - diagonal.pow(2).sum()) / (k * (k - 1))
    scale = (1 - off_diagonal) + 0.01 * off_diagonal
    return ((1 - off_diagonal) * agree + off_diagonal * rest) / scale


def _standardised(x: torch.Tensor) -> torch.Tensor:
    """Mean 0 and variance 1 in every column of (n, k), as batch norm does it; float32 always."""
    x = x.float()
    return (x - x.mean(dim=0)) / (x.var(dim=0, unbiased=False) + 1e-5).sqrt()


class Centres(nn.Module):
    """Moving averages of the teacher's logits, one for every batch of the experiment.

    With one batch it is DINO's centre. With several, every batch is centred on its own, so that
    the teacher cannot tell batches apart by their means (CDCL, arXiv 2212.11595).

    Parameters
    ----------
    n_outputs : int
    batch_sizes : Tensor of int, shape (d,)
        Fields of each batch in the whole training set.
    momentum : float
        What is kept of a centre in a step in which its batch has its fair share of the fields;
        a batch with twice its share moves twice as fast, up to the mean itself.
    """

    centres: torch.Tensor
    share: torch.Tensor

    def __init__(self, n_outputs: int, batch_sizes: torch.Tensor, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("centres", torch.zeros(len(batch_sizes), n_outputs))
        self.register_buffer("share", batch_sizes / batch_sizes.sum())

    def of(self, batch: torch.Tensor) -> torch.Tensor:
        """Centres (..., k) of fields whose batches are coded by `batch` (...)."""
        return self.centres[batch]

    @torch.no_grad()
    def update(self, logits: torch.Tensor, batch: torch.Tensor) -> None:
        """Move towards the means of this step.

        Parameters
        ----------
        logits : Tensor, shape (..., k)
            Of the teacher, not centred.
        batch : Tensor of int, shape (...)
            Codes 0 to d - 1.
        """
        logits, batch = logits.flatten(0, -2).float(), batch.flatten()
        # A product, not a scattered sum: the same bits every time on a GPU too.
        member = F.one_hot(batch, len(self.centres)).T.float()  # (d, n)
        seen = member.sum(dim=1)
        weight = (seen / len(batch)) / self.share  # 1: as often as in the whole set
        rate = ((1 - self.momentum) * weight).clamp(max=1)[:, None]
        self.centres.lerp_(member @ logits / seen.clamp(min=1)[:, None], rate)
