"""Which fields a network learns from, and which two count as the same.

Without labels, two views of one field are a pair. Cross-batch positives pair a field with one
of the same treatment on another plate: what both share is biology, what differs is the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing

SUBSETS = ("all", "only_controls", "only_treatments", "only_treatments_half_as_many_with_controls")


@dataclass(frozen=True)
class FieldCodes:
    """Treatment and batch of every field, as whole numbers.

    Attributes
    ----------
    treatment, batch : ndarray of int, shape (n,)
        Codes into the names.
    treatments, batches : tuple of str
        Names, sorted.
    """

    treatment: np.ndarray
    batch: np.ndarray
    treatments: tuple[str, ...]
    batches: tuple[str, ...]

    @classmethod
    def of(cls, obs: pd.DataFrame) -> FieldCodes:
        """Code the columns ``treatment`` and ``batch`` of a table of fields."""
        missing = [name for name in ("treatment", "batch") if name not in obs]
        if missing:
            raise InputError(f"obs: no column {listing(missing)}; it has {listing(obs.columns)}")
        treatments, treatment = np.unique(obs["treatment"].astype(str), return_inverse=True)
        batches, batch = np.unique(obs["batch"].astype(str), return_inverse=True)
        return cls(treatment, batch, tuple(treatments), tuple(batches))

    def __len__(self) -> int:
        """Count the fields."""
        return len(self.treatment)


class CrossBatchPartners:
    """Draws, for a field, another of the same treatment and another batch.

    Parameters
    ----------
    codes : FieldCodes

    Attributes
    ----------
    alone : ndarray of bool, shape (n,)
        Fields whose treatment is in no other batch: each is its own partner.

    Raises
    ------
    InputError
        If there is one batch only, or no treatment is in two.
    """

    def __init__(self, codes: FieldCodes) -> None:
        if len(codes.batches) < 2:
            raise InputError(
                f"batch: all fields are of {codes.batches[0]!r}, and cross-batch positives need"
                " two or more; train DINO or BYOL without them"
            )
        # Sorted by treatment and batch, the fields that may not be drawn are one run of rows.
        self.order = np.lexsort((codes.batch, codes.treatment))
        treatment, batch = codes.treatment[self.order], codes.batch[self.order]
        cell = treatment * len(codes.batches) + batch
        self.place = np.empty(len(codes), dtype=np.int64)
        self.place[self.order] = np.arange(len(codes))
        self.first = np.searchsorted(treatment, treatment)
        self.last = np.searchsorted(treatment, treatment, side="right")
        self.mine_first = np.searchsorted(cell, cell)
        self.mine_last = np.searchsorted(cell, cell, side="right")
        self.n_others = (self.last - self.first) - (self.mine_last - self.mine_first)
        self.alone = (self.n_others == 0)[self.place]
        if self.alone.all():
            raise InputError(
                "treatment: none is in two batches, so no field has a partner in another one;"
                " train DINO or BYOL without cross-batch positives"
            )

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Partners of fields, uniform among those of the same treatment in other batches.

        Parameters
        ----------
        rows : ndarray of int, shape (m,)
        rng : numpy.random.Generator

        Returns
        -------
        ndarray of int, shape (m,)
        """
        place = self.place[rows]
        drawn = self.first[place] + rng.integers(np.maximum(self.n_others[place], 1))
        own = self.mine_last[place] - self.mine_first[place]
        drawn = np.where(drawn >= self.mine_first[place], drawn + own, drawn)
        return np.where(
            self.n_others[place] > 0, self.order[np.minimum(drawn, self.last[place] - 1)], rows
        )


def subset_rows(strategy: str, obs: pd.DataFrame, seed: int = 0) -> np.ndarray:
    """Choose the fields to train on, as the experiments of CDCL on fewer labels do.

    Parameters
    ----------
    strategy : str
        ``"all"``; ``"only_controls"`` (negative and positive); ``"only_treatments"``;
        ``"only_treatments_half_as_many_with_controls"``: half of the treatments, drawn by the
        seed and rounded up, and all controls.
    obs : DataFrame
        Columns ``role`` ("control", "positive", "treated") and ``treatment``.
    seed : int

    Returns
    -------
    ndarray of int
        Rows, ascending.

    Raises
    ------
    InputError
        If the strategy is unknown or leaves no field.
    """
    if strategy not in SUBSETS:
        raise InputError(
            f"subset {strategy!r} is none of {', '.join(SUBSETS)}{did_you_mean(strategy, SUBSETS)}"
        )
    control = obs["role"].isin(["control", "positive"]).to_numpy()
    treatment = obs["treatment"].astype(str).to_numpy()
    kept = np.ones(len(obs), dtype=bool)
    if strategy == "only_controls":
        kept = control
    elif strategy == "only_treatments":
        kept = ~control
    elif strategy != "all":
        names = np.unique(treatment[~control])
        half = np.random.default_rng(seed).permutation(names)[: (len(names) + 1) // 2]
        kept = control | np.isin(treatment, half)
    if not kept.any():
        raise InputError(f"role: no field is left by the subset {strategy!r}")
    return np.flatnonzero(kept)
