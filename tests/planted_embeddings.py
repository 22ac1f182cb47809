"""Embeddings of image fields in which treatment, well and batch were planted."""

import numpy as np
import pandas as pd


def design(
    n_experiments=6,
    n_controls=8,
    n_treated=4,
    compounds=("a1", "a2", "b1", "b2"),
    cell_types=("U2OS",),
):
    """Fields of one plate an experiment, two sites a well; a compound's first letter is its MoA."""
    rows = []
    for e in range(1, n_experiments + 1):
        for cell_type in cell_types:
            wells = ["control"] * (n_controls // 2)
            wells += [c for c in compounds for _ in range(n_treated // 2)]
            rows += [
                {
                    "cell_type": cell_type,
                    "experiment": f"E{e}",
                    "plate": "1",
                    "well": f"{cell_type[0]}{number:02d}",
                    "site": site,
                    "treatment": name,
                    "role": "control" if name == "control" else "treated",
                    "batch": f"E{e}/1",
                    "compound": "" if name == "control" else name,
                    "moa": "" if name == "control" else name[0].upper(),
                }
                for number, name in enumerate(wells)
                for site in (1, 2)
            ]
    obs = pd.DataFrame(rows)
    keys = ["batch", "well", "site"]
    obs.index = pd.Index(obs[keys].astype(str).agg("/".join, axis=1), name="id")
    return obs


def planted(obs, *, effect=2.0, mechanism=2.0, batch=0.0, well=0.0, d=24, seed=0):
    """Unit noise plus directions of compound, mechanism, batch and well, (n, d)."""
    rng = np.random.default_rng(seed)
    out = rng.normal(size=(len(obs), d))
    wells = obs["batch"] + "/" + obs["well"]
    for labels, size in (
        (obs["treatment"].where(obs["role"] == "treated"), effect),
        (obs["moa"].where(obs["moa"] != ""), mechanism),
        (obs["batch"], batch),
        (wells, well),
    ):
        codes, names = pd.factorize(labels, sort=True)
        directions = rng.normal(size=(len(names), d))
        directions *= size / np.linalg.norm(directions, axis=1, keepdims=True)
        known = codes >= 0
        out[known] += directions[codes[known]]
    return out.astype(np.float32)
