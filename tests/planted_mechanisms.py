"""Compounds with planted mechanisms: profiles, their plates, tables as report 04 leaves them."""

import numpy as np
import pandas as pd

from screenbook.profiles.treatment_means import treatment_means
from screenbook.structure.compound_profiles import compound_profiles


def wells_of(
    n_mechanisms=5,
    size=4,
    n_inactive=6,
    n_plates=4,
    k=12,
    effect=4.0,
    own=1.0,
    seed=0,
    doses=(1.0,),
):
    """Wells of a screen: points (n, k), metadata, and the tables of compounds and treatments."""
    rng = np.random.default_rng(seed)
    names = [f"M{m}" for m in range(n_mechanisms) for _ in range(size)] + [""] * n_inactive
    keys = [f"K{i:02d}" for i in range(len(names))]
    shared = rng.standard_normal((n_mechanisms, k))
    shared *= effect / np.linalg.norm(shared, axis=1, keepdims=True)
    code = np.repeat(np.arange(n_mechanisms), size)
    does = np.zeros((len(names), k))
    does[: len(code)] = shared[code] + own * rng.standard_normal((len(code), k)) / np.sqrt(k)
    rows, points = [], []
    for plate in range(n_plates):
        shift = rng.standard_normal(k)
        for _ in range(6):
            rows.append((f"E/{plate}", "diseased", "", np.nan))
            points.append(shift + 0.3 * rng.standard_normal(k))
        for i, key in enumerate(keys):
            for dose in doses:
                rows.append((f"E/{plate}", "treated", key, dose))
                points.append(shift + does[i] * dose + 0.3 * rng.standard_normal(k))
    wells = pd.DataFrame(rows, columns=["batch", "role", "compound_key", "dose"])
    about = pd.DataFrame(
        {"compound_key": keys, "compound": [f"c{i}" for i in range(len(keys))], "moa": names}
    ).assign(smiles="")
    activity = pd.DataFrame([(key, dose) for key in keys for dose in doses])
    activity.columns = ["compound_key", "dose"]
    acts = activity["compound_key"].map(dict(zip(keys, names, strict=True))).ne("")
    activity["replicate_q"] = np.where(acts, 0.01, 0.8)
    return np.array(points), wells, about, activity


def planted_compounds(**options):
    """The same as :class:`CompoundProfiles`."""
    points, wells, about, activity = wells_of(**options)
    return compound_profiles(treatment_means(points, wells, "diseased"), about, activity)
