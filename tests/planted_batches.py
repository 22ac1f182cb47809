"""A screen with known plate effects, infection and compound effects, small enough for tests."""

import numpy as np
import pandas as pd

from screenbook.profiles.batches import cell_type_parts
from screenbook.screen import Roles, make_screen

DISEASE = Roles(healthy=("Mock",), diseased=("Active",))
NO_DISEASE = Roles(vehicle=("DMSO",))


def planted_screen(
    *,
    disease=True,
    n_experiments=2,
    n_plates=4,
    n_controls=16,
    n_compounds=12,
    n_doses=2,
    n_features=30,
    plate_shift=4.0,
    infection=4.0,
    effect=4.0,
    tilt=0.0,
    seed=0,
):
    """Wells of one cell type; every compound at every dose once on each plate.

    Shifts are in SD between like wells. Compounds 2i and 2i + 1 share mechanism i; the last
    half of the mechanisms does nothing. Plate numbers recur in each experiment.
    """
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n_compounds // 2 + 1, n_features))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    disease_axis, mechanism_axes = directions[0], directions[1:]
    mechanism_axes[len(mechanism_axes) // 2 :] = 0.0
    kinds = ["Mock", "Active"] if disease else [""]
    obs, X = [], []
    for experiment in range(n_experiments):
        far = plate_shift * rng.normal(size=n_features)
        for plate in range(n_plates):
            shift = far + plate_shift * rng.normal(size=n_features)
            axis = disease_axis + tilt * rng.normal(size=n_features) / np.sqrt(n_features)
            wells = [(kind, "", 0, -1) for kind in kinds for _ in range(n_controls)]
            wells += [
                ("Active" if disease else "", f"drug {c}", 10.0**d, c)
                for c in range(n_compounds)
                for d in range(n_doses)
            ]
            for n, (condition, name, dose, compound) in enumerate(wells):
                point = shift + rng.normal(size=n_features)
                point += infection * axis * (condition == "Active")
                if compound >= 0:
                    point += effect * mechanism_axes[compound // 2] * (1 + dose / 10) / 2
                obs.append(
                    {
                        "cell_type": "renal",
                        "experiment": f"E{experiment + 1}",
                        "plate": str(plate + 1),
                        "well": f"{chr(65 + n // 24)}{n % 24 + 1:02d}",
                        "disease_condition": condition,
                        "treatment": name or ("" if disease else "DMSO"),
                        "treatment_conc": str(dose) if compound >= 0 else "",
                        "SMILES": "",
                        "moa": f"mechanism {compound // 2}" if compound >= 0 else "",
                    }
                )
                X.append(point)
    roles = DISEASE if disease else NO_DISEASE
    return make_screen(
        np.array(X, dtype=np.float32), pd.DataFrame(obs), roles, name="planted", origin="test"
    )


def planted_part(**changes):
    """The only cell type of a planted screen."""
    return cell_type_parts(planted_screen(**changes))[0]
