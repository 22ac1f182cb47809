"""A screen of one cell type in which some compounds bring wells back to healthy."""

import numpy as np
import pandas as pd

from planted import plate_wells
from screenbook.hits.searches import Spaces

RESCUERS = ("KEY0", "KEY3", "KEY7")
"""Compounds of :func:`rescue_screen` whose higher dose (1 µM) makes wells healthy."""


def rescue_screen(
    n_plates: int = 6, k: int = 8, gap: float = 5.0, seed: int = 0, **layout
) -> tuple[pd.DataFrame, np.ndarray]:
    """Wells, and points with noise of SD 1: all but healthy ones lie `gap` along axis 0.

    Every plate holds 28 compounds at two doses once, and 20 controls of either kind.
    """
    wells = plate_wells(n_plates, seed=seed, **layout)
    wells["treatment_conc"] = wells["treatment_conc"].round(3)
    points = np.random.default_rng(seed).normal(size=(len(wells), k))
    points[~_healthy(wells), 0] += gap
    return wells, points


def _healthy(wells: pd.DataFrame) -> np.ndarray:
    rescued = wells["compound_key"].isin(RESCUERS) & (wells["treatment_conc"] == 1.0)
    return (rescued | (wells["role"] == "healthy")).to_numpy()


def spaces_for(points: np.ndarray) -> Spaces:
    """Spaces whose map is the first two axes."""
    return Spaces(points[:, :2], points, points)


def roles(wells: pd.DataFrame) -> np.ndarray:
    return wells["role"].astype(str).to_numpy(copy=True)
