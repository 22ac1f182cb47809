"""Wells of one cell type whose compounds are truly of a known order, for the tests of ranks."""

import numpy as np
import pandas as pd


def ranked_wells(
    effect,
    *,
    n_plates=6,
    n_doses=3,
    n_experiments=2,
    sd=0.4,
    shared=0.7,
    seed=0,
    cell_type="renal",
):
    """One well per compound, dose and plate; the top dose shows the effect, lower ones nothing.

    Two methods see the same wells: ``recovery`` is 1 - ``on_score``, and ``p_healthy`` (on a
    scale of its own) shares `shared` of its noise with it.
    """
    rng = np.random.default_rng(seed)
    n = len(effect)
    c, d, p = (v.ravel() for v in np.meshgrid(range(n), range(n_doses), range(n_plates)))
    experiment = p % n_experiments
    noise = rng.normal(size=(2, len(c)))
    noise[1] = shared * noise[0] + np.sqrt(1 - shared**2) * noise[1]
    true = np.asarray(effect, dtype=float)[c] * (d == n_doses - 1)
    batch = [f"E{e + 1}/{q + 1}" for e, q in zip(experiment, p, strict=True)]
    return pd.DataFrame(
        {
            "id": [f"{b}/W{i}" for i, b in enumerate(batch)],
            "cell_type": cell_type,
            "experiment": [f"E{e + 1}" for e in experiment],
            "batch": batch,
            "role": "treated",
            "compound": [f"drug {i:03}" for i in c],
            "compound_key": [f"K{i:03}" for i in c],
            "dose": 10.0 ** (d - 1),
            "on_score": 1 - true - sd * noise[0],
            "recovery": true + sd * noise[0],
            "p_healthy": (true + sd * noise[1]) / 2 + 0.3,
            "used": True,
        }
    )


def hits_of(wells, calls="rescue"):
    """What report 04 would hand on, as far as ranking looks at it."""
    keys = ["cell_type", "compound_key", "compound"]
    top = wells.sort_values("dose").groupby(keys).tail(1)[keys].drop_duplicates()
    top = top.sort_values(keys).reset_index(drop=True)
    return top.assign(call=calls, best_dose=wells["dose"].max(), on_score=0.5, rank=1)


def treatments_of(wells, verdict="no call"):
    return wells[["cell_type", "compound_key", "dose"]].drop_duplicates().assign(verdict=verdict)
