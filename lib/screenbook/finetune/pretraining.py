"""Where a backbone starts: weights learned elsewhere, or another label of the same images.

Fine-tuning opens layers of a network that knows something already. Where there is no file with
such weights, the cell type of negative controls is told first, for a short while. That is a
stand-in for ImageNet, and no more: it makes sure that shut layers hold filters that were learned
for another question, without a look at any treatment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from screenbook.finetune.backbones import build_backbone, layers_of, load_weights
from screenbook.finetune.fine_tuning import Tuning, fine_tune
from screenbook.images.encoders import Encoder

_LEAST = 20  # controls of a cell type
_NOTHING = (
    "There is no file with weights, and no second cell type to learn from first: the backbone "
    "starts from random weights, and shut layers stay random."
)


@dataclass(frozen=True)
class Start:
    """A backbone before it is told mechanisms.

    Attributes
    ----------
    backbone : Encoder
    untrained : Encoder
        The same before anything was learned.
    note : str
        Where its weights are from, a sentence.
    history : DataFrame
        Of the stand-in's training; no rows if there was none.
    """

    backbone: Encoder
    untrained: Encoder
    note: str
    history: pd.DataFrame = field(default_factory=pd.DataFrame)


def starting_backbone(
    fields: np.ndarray,
    obs: pd.DataFrame,
    name: str = "cnn",
    *,
    weights: Mapping[str, Any] | None = None,
    origin: str = "",
    tuning: Tuning | None = None,
) -> Start:
    """Build a backbone and give it something to start from.

    Parameters
    ----------
    fields : ndarray of float32, shape (n, channel, y, x)
        Normalised.
    obs : DataFrame, n rows
        With ``role`` and ``cell_type``.
    name : {"cnn", "resnet18"}
    weights : mapping of str to Tensor, optional
        A state dict; `origin` says where it is from. Without it, the stand-in is trained if the
        controls are of two cell types or more, and else the backbone starts from nothing.
    origin : str
    tuning : Tuning, optional
        Of the stand-in; the seed is that of the weights as well.

    Raises
    ------
    InputError
        If there is no such backbone, or the weights are not of it.
    """
    tuning = tuning or Tuning()
    seed = tuning.training.seed
    untrained = build_backbone(name, fields.shape[1], seed)
    backbone = build_backbone(name, fields.shape[1], seed)
    if weights is not None:
        return Start(backbone, untrained, load_weights(backbone, weights, origin))
    kind, names = _kinds(obs)
    if len(names) < 2:
        return Start(backbone, untrained, _NOTHING)
    code = np.full(len(obs), -1)
    taken = (obs["role"] == "control").to_numpy() & np.isin(kind, names)
    code[taken] = np.searchsorted(names, kind[taken])
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(taken))
    learn, check = rows[len(rows) // 5 :], rows[: len(rows) // 5]
    everything = replace(tuning, early_stopping=False, patience=tuning.training.n_steps)
    n_open = len(layers_of(backbone))
    tuned = fine_tune(fields, code, learn, check, backbone, n_open, everything)
    told = float(tuned.history["validation"].iloc[-1])
    note = (
        f"There is no file with weights. As a stand-in the backbone learned for "
        f"{tuned.n_steps} steps to tell the {len(names)} cell types of negative controls; it "
        f"tells {told:.2f} of those that it did not learn from."
    )
    return Start(tuned.net.backbone, untrained, note, tuned.history)


def _kinds(obs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Cell type of each field, and those of which there are controls enough."""
    kind = obs["cell_type"].astype(str).to_numpy()
    names, counts = np.unique(kind[(obs["role"] == "control").to_numpy()], return_counts=True)
    return kind, names[counts >= _LEAST]
