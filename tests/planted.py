"""Small screens with known faults, for the tests of what the first report measures."""

import numpy as np
import pandas as pd


def plate_wells(
    n_plates: int = 4,
    n_rows: int = 8,
    n_columns: int = 12,
    controls: dict[str, int] | None = None,
    seed: int = 0,
    cell_type: str = "renal",
) -> pd.DataFrame:
    """Metadata of wells, as aggregate_wells() leaves it: controls in random places."""
    controls = controls or {"healthy": 20, "diseased": 20}
    rng = np.random.default_rng(seed)
    plates = []
    for plate in range(n_plates):
        row, column = np.divmod(np.arange(n_rows * n_columns), n_columns)
        role = np.repeat(
            [*controls, "treated"], [*controls.values(), len(row) - sum(controls.values())]
        )
        role = rng.permutation(role)
        treated = role == "treated"
        number = np.where(treated, np.cumsum(treated) - 1, 0)
        key = np.where(treated, np.char.add("KEY", (number // 2).astype(str)), "")
        plates.append(
            pd.DataFrame(
                {
                    "cell_type": cell_type,
                    "experiment": f"{cell_type}-1",
                    "plate": str(plate + 1),
                    "well": [f"{chr(65 + r)}{c + 1:02d}" for r, c in zip(row, column, strict=True)],
                    "disease_condition": np.where(role == "healthy", "Mock", "Active"),
                    "treatment": np.where(treated, np.char.replace(key, "KEY", "drug "), ""),
                    "treatment_conc": np.where(treated, 0.1 * 10.0 ** (number % 2), np.nan),
                    "SMILES": np.where(treated, "CCO", ""),
                    "row": row,
                    "column": column,
                    "role": role,
                    "compound_key": key,
                    "compound": np.char.replace(key, "KEY", "drug "),
                    "n_sites": 4,
                }
            )
        )
    wells = pd.concat(plates, ignore_index=True)
    wells["batch"] = wells["experiment"] + "/" + wells["plate"]
    wells.index = wells["batch"] + "/" + wells["well"]
    for column in ("batch", "role", "compound", "compound_key"):
        wells[column] = wells[column].astype("category")
    return wells


def plate_numbers(wells: pd.DataFrame) -> np.ndarray:
    return pd.factorize(wells["batch"].astype(str))[0]


def noisy_points(wells: pd.DataFrame, k: int = 6, gap: float = 4.0, seed: int = 0) -> np.ndarray:
    """Noise of SD 1 and plate offsets of SD 3; what is not healthy is moved along (1, 1, 0 ...)."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(len(wells), k))
    points += 3 * rng.normal(size=(wells["batch"].nunique(), k))[plate_numbers(wells)]
    points[(wells["role"] != "healthy").to_numpy(), :2] += gap / np.sqrt(2)
    return points


def vehicle_screen(
    n_plates: int = 12, n_vehicle: int = 6, seed: int = 0, k: int = 5
) -> tuple[pd.DataFrame, np.ndarray]:
    """Wells of a screen without a disease, and inert points on axes of unequal scale."""
    wells = plate_wells(n_plates, 4, 8, controls={"vehicle": n_vehicle}, seed=seed)
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(len(wells), k)) * np.arange(1, k + 1)
    points += 10 * rng.normal(size=(n_plates, k))[plate_numbers(wells)]
    return wells, points
