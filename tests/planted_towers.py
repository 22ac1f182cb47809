"""Compounds whose effect on cells is a sum over their side groups, whatever their scaffold.

So a scaffold that was never seen can be told by what hangs on it; with a dial of 0 profiles are
noise, and nothing can be told.
"""

from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd

from screenbook.structure.imaged_compounds import match_structures

CORES = (
    *("c1c({0})cc({1})cc1", "c1c({0})nc({1})cc1", "c1c({0})nc({1})nc1", "s1c({0})cc({1})c1"),
    *("o1c({0})cc({1})c1", "C1C({0})CC({1})CC1", "C1C({0})CN({1})CC1", "c1c({0})cc2cc({1})ccc2c1"),
    *("c1c({0})cc2nc({1})ccc2c1", "c1c({0})cc2oc({1})cc2c1", "C1C({0})CC({1})C1"),
    *("c1c({0})cc2sc({1})cc2c1", "C1C({0})OC({1})CC1", "c1c({0})nn({1})c1"),
)
GROUPS = ("C#N", "CC(=O)N", "S(=O)(=O)C", "CCO", "C(F)(F)F", "CCCCC", "C(C)(C)C")
N_FEATURES, N_DOSES = 12, 3


def library(n_groups=7):
    """One row per core and pair of side groups: compound, smiles, moa (the first group)."""
    rows = []
    for i, core in enumerate(CORES):
        for a, b in combinations(range(n_groups), 2):
            name = f"P{i:02d}-{a}{b}"
            smiles = core.format(GROUPS[a], GROUPS[b])
            rows.append({"compound_key": name, "compound": name, "moa": f"m{a}", "smiles": smiles,
                         "a": a, "b": b})  # fmt: skip
    return pd.DataFrame(rows)


@cache
def planted(dial=1.0, seed=0, n_groups=7, noise=0.7):
    """Imaged compounds and the on-axis score of each profile that was given.

    A profile is the sum of the effects of both groups, times a dose of 0.6, 0.8 or 1, times the
    dial, and noise. The score falls with the first feature.
    """
    table = library(n_groups)
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=(len(GROUPS), N_FEATURES))
    clean = effects[table["a"]] + effects[table["b"]]
    dose = np.tile([0.6, 0.8, 1.0], len(table))
    points = np.repeat(clean, N_DOSES, axis=0) * dose[:, None] * dial
    points += noise * rng.normal(size=points.shape)
    keys = np.repeat(table["compound_key"].to_numpy(), N_DOSES)
    on_axis = 1 - 0.2 * points[:, 0]
    return match_structures(points, keys, table), on_axis
