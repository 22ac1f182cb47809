"""Cells of planted wells, and fields with planted nuclei, for the tests of single cells."""

import numpy as np
import pandas as pd

from screenbook.cells.subpopulations import hidden_changes
from screenbook.cells.well_accuracy import measured
from screenbook.cells.wells_compared import reference_wells
from screenbook.image_set import ImageSet

SHARES = {"full": 0.9, "rare": 0.15, "inert": 0.0}


def planted_cells(
    shares=SHARES, *, n_plates=4, n_control=6, n_wells=2, n_cells=40, away=4.0, well_sd=0.5,
    n_features=4, seed=0,
):  # fmt: skip
    """Cells as points: a share of those of a treatment lies `away` in a direction of its own.

    Wells and plates shift all their cells.
    """
    rng = np.random.default_rng(seed)
    rows, points = [], []
    for plate in range(n_plates):
        wells = [("control", 0.0)] * n_control
        wells += [(name, share) for name, share in shares.items() for _ in range(n_wells)]
        of_plate = rng.normal(0, 2, n_features)
        for number, (name, share) in enumerate(wells):
            here = of_plate + rng.normal(0, well_sd, n_features)
            cells = here + rng.normal(0, 1, (n_cells, n_features))
            hit = rng.random(n_cells) < share
            cells[hit, 0] += away
            points.append(cells)
            rows += [
                {
                    **{"experiment": f"E{plate}", "batch": f"E{plate}/1", "well": f"A{number:02d}"},
                    **{"treatment": name, "role": "control" if name == "control" else "treated"},
                    "hit": bool(h),
                }
                for h in hit
            ]
    obs = pd.DataFrame(rows)
    obs.index = [f"cell {i}" for i in range(len(obs))]
    return np.concatenate(points), obs


def asked(points, obs, seed=0, **options):
    """Ask measured points what is hidden, in two folds of plates."""
    fold = (obs["experiment"].str[1:].astype(int) % 2).to_numpy()
    reference = reference_wells(obs, seed=seed)
    features = pd.DataFrame(points, index=obs.index)
    options = {"n_permutations": 199, "seed": seed} | options
    return hidden_changes(features, measured(points, fold), obs, reference, **options)


def null_p_values(n_sets):
    """p of an inert treatment beside an active one, by test, a row for each fresh set."""
    rows = []
    for seed in range(n_sets):
        points, obs = planted_cells({"full": 0.9, "inert": 0.0}, n_cells=20, seed=1000 + seed)
        table = asked(points, obs, seed=seed).table
        rows.append(table[table["treatment"] == "inert"].set_index("test")["p"])
    return pd.DataFrame(rows).reset_index(drop=True)


def discs(centres, radius=8, size=96, dtype=np.uint8, seed=0):
    """A field of DNA and cytoplasm, (2, size, size), with nuclei at these places, and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    far = np.full((size, size), np.inf)
    for cy, cx in centres:
        far = np.minimum(far, np.hypot(y - cy, x - cx))
    dna = 0.1 + 0.7 / (1 + np.exp((far - radius) * 2))
    body = 0.05 + 0.5 / (1 + np.exp((far - 2.2 * radius) * 2))
    planes = np.stack([dna, body]) + rng.normal(0, 0.02, (2, size, size))
    top = np.iinfo(dtype).max
    return np.clip(planes * top, 0, top).astype(dtype)


def disc_set(fields, channels=("DNA", "actin")):
    """Make an image set of fields, one a well."""
    n = len(fields)
    obs = pd.DataFrame(
        {
            **{"cell_type": "U2OS", "experiment": [f"E{i % 4}" for i in range(n)], "plate": "1"},
            **{"well": [f"A{i:02d}" for i in range(n)], "site": 1},
            **{"treatment": ["control" if i < n // 2 else "drug" for i in range(n)]},
            **{"role": ["control" if i < n // 2 else "treated" for i in range(n)]},
        }
    )
    obs["batch"] = obs["experiment"] + "/1"
    obs.index = pd.Index(obs["batch"] + "/" + obs["well"] + "/1", name="id")
    return ImageSet(np.stack(fields), obs, channels)
