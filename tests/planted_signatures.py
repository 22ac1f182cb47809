"""Expression signatures of one set of compounds on two plates, with a shared programme."""

import numpy as np

from screenbook.expression.comparison import SignatureRows


def two_plates(n=40, genes=150, stress=3.0, noise=1.0, seed=0):
    """Two plates with the same compounds, a shared programme, and a shift of each plate."""
    rng = np.random.default_rng(seed)
    effect = rng.standard_t(4, size=(n, genes))
    programme = rng.normal(size=(3, genes))
    sides = []
    for plate in "ab":
        level = rng.normal(size=(n, 3)) * stress
        delta = effect + level @ programme + rng.normal(size=genes)
        delta = delta + noise * rng.normal(size=(n, genes))
        names = np.array([f"drug {i:02d}" for i in range(n)], dtype=object)
        sides.append(SignatureRows(delta, names, np.repeat(plate, n)))
    return sides[0], sides[1], rng.normal(size=(20, genes))
