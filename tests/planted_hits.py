"""A screen of wells whose rescuers, poisons and idle compounds are known."""

import numpy as np
import pandas as pd

from screenbook.profiles.batches import cell_type_parts
from screenbook.screen import Roles, make_screen

DISEASE = Roles(healthy=("Mock",), diseased=("Active",))
DOSES = (0.1, 1.0, 10.0)
GAP = 4.0
"""Distance from healthy to diseased, SD between like wells."""

CLASSES = {"idle": 30, "rescuer": 4, "aggravator": 2, "poison": 4, "sideways": 4}
"""Compounds of each class."""


def planted_hits(
    *,
    n_experiments=2,
    n_plates=3,
    n_healthy=20,
    n_diseased=20,
    n_features=20,
    doses=DOSES,
    classes=None,
    gap=GAP,
    edge=0.0,
    seed=0,
    cell_type="renal",
    n_columns=24,
):
    """Wells of one cell type, every compound at every dose once on each plate.

    Rescuers take away 0.8 of the disease at the top two doses. Poisons, at the top dose, go as
    far towards healthy as rescuers and twice as far in a direction of their own that they
    share. Scatterers rescue as rescuers do, and throw each well in a direction of its own.
    Sideways compounds go off the way only, each its own direction. `edge` moves wells of
    the outermost ring towards diseased, as a share of the disease.
    """
    rng = np.random.default_rng(seed)
    classes = CLASSES if classes is None else classes
    kinds = [kind for kind, n in classes.items() for _ in range(n)]
    axis = np.zeros(n_features)
    axis[0] = gap
    dying = np.eye(n_features)[1]
    own = rng.normal(size=(len(kinds), n_features))
    own[:, :2] = 0.0
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    obs, X = [], []
    for experiment in range(n_experiments):
        for plate in range(n_plates):
            shift = 3.0 * rng.normal(size=n_features)
            wells = [("Mock", -1, np.nan)] * n_healthy + [("Active", -1, np.nan)] * n_diseased
            wells += [("Active", c, dose) for c in range(len(kinds)) for dose in doses]
            places = rng.permutation(16 * n_columns)[: len(wells)]
            for place, (condition, c, dose) in zip(places, wells, strict=True):
                row, column = divmod(int(place), n_columns)
                point = shift + rng.normal(size=n_features) + axis * (condition == "Active")
                if c >= 0:
                    point += effect_of(kinds[c], dose, max(doses), axis, dying, own[c])
                    point += 4.0 * rng.normal(size=n_features) * (kinds[c] == "scatterer")
                if min(row, 15 - row, column, n_columns - 1 - column) == 0:
                    point += edge * axis
                obs.append(
                    {
                        "cell_type": cell_type,
                        "experiment": f"E{experiment + 1}",
                        "plate": str(plate + 1),
                        "well": f"{chr(65 + row)}{column + 1:02d}",
                        "disease_condition": condition,
                        "treatment": f"{kinds[c]} {c}" if c >= 0 else "",
                        "treatment_conc": str(dose) if c >= 0 else "",
                        "SMILES": "",
                    }
                )
                X.append(point)
    return make_screen(
        np.array(X, dtype=np.float32), pd.DataFrame(obs), DISEASE, name="planted", origin="planted"
    )


def effect_of(kind, dose, top, axis, dying, own):
    """Where one well of a compound goes."""
    far = np.linalg.norm(axis)
    if kind in ("rescuer", "scatterer"):
        return -0.8 * axis * (dose >= top / 10)
    if kind == "aggravator":
        return 0.8 * axis * (dose >= top / 10)
    if kind == "poison":
        return (-0.8 * axis + 1.6 * far * dying) * (dose >= top)
    if kind == "sideways":
        return 1.2 * far * own * (dose >= top / 10)
    return 0.0


def planted_part(**options):
    """The one cell type of :func:`planted_hits`."""
    return cell_type_parts(planted_hits(**options))[0]
