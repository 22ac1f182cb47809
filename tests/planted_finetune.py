"""Fields whose brightness and texture carry a mechanism, a compound and a batch."""

import numpy as np
import pandas as pd

MECHANISMS = ("alpha", "beta")


def design(n_compounds=3, n_experiments=3, n_fields=2, mechanisms=MECHANISMS):
    """Metadata: every compound and as many controls in every experiment, and two cell types."""
    rows = []
    for e in range(n_experiments):
        for moa in mechanisms:
            for c in range(n_compounds):
                rows += [(f"E{e}", f"{moa}-{c}", moa, "treated", "A")] * n_fields
        for cell_type in "AB":
            rows += [(f"E{e}", "", "", "control", cell_type)] * 10
    obs = pd.DataFrame(rows, columns=["experiment", "compound", "moa", "role", "cell_type"])
    obs["treatment"] = obs["compound"].where(obs["compound"] != "", "DMSO")
    obs["plate"] = "1"
    obs["batch"] = obs["experiment"] + "/1"
    obs["well"] = [f"A{i + 1:02d}" for i in range(len(obs))]
    obs["site"] = 1
    obs.index = obs["batch"] + "/" + obs["well"] + "/1"
    return obs


def fields_of(obs, *, by="moa", strength=2.0, size=16, n_channels=2, seed=0):
    """Noise, and for each value of a column one of several gratings in one of the channels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (len(obs), n_channels, size, size)).astype(np.float32)
    names = sorted(set(obs[by]) - {""})
    y, z = np.mgrid[:size, :size] / size
    for i, name in enumerate(names):
        waves = 1 + i // n_channels
        grating = np.sin(2 * np.pi * waves * (y if i % 2 else z)) + 0.5
        rows = np.flatnonzero((obs[by] == name).to_numpy())
        x[rows, i % n_channels] += np.float32(strength) * grating.astype(np.float32)
    return x
