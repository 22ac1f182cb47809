"""Structures that were never screened: what a chemist could buy or make next.

Each is an analogue of a compound of the screen, with its scaffold, mechanism and class, and
substituents of its own. So what the screen teaches holds for them as far as scaffolds promise it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from rdkit import Chem

from screenbook.simulate.compounds import ON_CARBON, ON_HETERO, build_molecule

_TRIES = 200


def unscreened_analogues(library: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw structures that no compound of a screen has.

    Parameters
    ----------
    library : DataFrame
        Of :func:`screenbook.simulate.compounds.build_library`.
    n : int
        How many; fewer where the scaffolds have no more substituents.
    rng : numpy.random.Generator

    Returns
    -------
    DataFrame
        ``compound smiles mechanism class only``.
    """
    seen = set(library["compound_key"])
    rows = []
    for place in rng.integers(len(library), size=n):
        like = library.iloc[place]
        for _ in range(_TRIES):
            pair = rng.choice(ON_CARBON), rng.choice(ON_HETERO)
            mol = build_molecule(like["scaffold"], str(pair[0]), str(pair[1]))
            key = Chem.MolToInchiKey(mol)
            if key not in seen:
                seen.add(key)
                rows.append((Chem.MolToSmiles(mol), *like[["mechanism", "class", "only"]]))
                break
    table = pd.DataFrame(rows, columns=["smiles", "mechanism", "class", "only"])
    table.insert(0, "compound", [f"SBV-{i + 1:04d}" for i in range(len(table))])
    return table
