"""Which rows are learned from and which are asked: the parts of a split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

TRAIN, VALIDATION, TEST = "train", "validation", "test"

_Split = TypeVar("_Split", bound="Split")


@dataclass(frozen=True)
class Split:
    """The part that every row plays.

    Attributes
    ----------
    part : ndarray of str, shape (n,)
        ``"train"``, ``"validation"`` or ``"test"``; what has another name is left out.
    """

    part: np.ndarray

    @property
    def train(self) -> np.ndarray:
        """Rows that are learned from, bool (n,)."""
        return self.part == TRAIN

    @property
    def validation(self) -> np.ndarray:
        """Rows that settings may be chosen by, bool (n,)."""
        return self.part == VALIDATION

    @property
    def test(self) -> np.ndarray:
        """Rows that are asked once, at the end, bool (n,)."""
        return self.part == TEST

    def subset(self: _Split, rows: np.ndarray) -> _Split:
        """Keep some rows, chosen by a mask or by row numbers."""
        return replace(self, part=self.part[rows])
