"""Small metadata tables, features and files that several test modules start from."""

from pathlib import Path

import numpy as np
import pandas as pd

from screenbook.screen import Roles

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real files for tests; not part of the repository."""

DISEASE = Roles(healthy=("Mock", "UV Inactivated"), diseased=("Active",))


def metadata(n_plates=2, n_sites=2):
    """One row per site: on every plate two wells of each kind, under the fixed names."""
    kinds = [
        ("Mock", "", "", ""),
        ("UV Inactivated", "", "", ""),
        ("Active", "", "", ""),
        ("Active", "ethanol", "0.3", "CCO |c:1|"),
        ("Mock", "ethanol", "1", "CCO"),
        ("", "", "", ""),
    ]
    rows = [
        ("renal", "E1", str(plate), f"{'AB'[copy]}{kind + 1:02}", str(site), *kinds[kind])
        for plate in range(1, n_plates + 1)
        for kind in range(len(kinds))
        for copy in range(2)
        for site in range(1, n_sites + 1)
    ]
    columns = ["cell_type", "experiment", "plate", "well", "site"]
    columns += ["disease_condition", "treatment", "treatment_conc", "SMILES"]
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    ids = table[["experiment", "plate", "well", "site"]].agg("_".join, axis=1)
    return table.set_axis(pd.Index(ids, dtype=object))


def features(n, n_features=5, seed=0):
    """Features that are all different."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_features)).astype(np.float32)


def feature_table(X, ids, prefix="feature_"):
    """Features as a table with a ``site_id`` column in front."""
    table = pd.DataFrame(X, columns=[f"{prefix}{i}" for i in range(X.shape[1])])
    table.insert(0, "site_id", list(ids))
    return table
