"""Which well of which plate gets what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from screenbook.simulate.spec import ACTIVE, INACTIVATED, MOCK, CellType, ScreenSpec

CONTROL_COLUMN_WEIGHT = 6.0
"""How much likelier a control lies in one of the preferred columns than elsewhere."""


def well_names(n_rows: int, n_columns: int) -> np.ndarray:
    """Addresses of a plate row by row: ``A01 .. P24``, and beyond ``Z`` ``AA01 ..``.

    Returns
    -------
    ndarray of str, shape (n_rows * n_columns,)
    """
    letters = [chr(65 + r) if r < 26 else f"A{chr(65 + r - 26)}" for r in range(n_rows)]
    return np.array([f"{row}{column + 1:02d}" for row in letters for column in range(n_columns)])


def list_plates(spec: ScreenSpec) -> pd.DataFrame:
    """One row per plate: ``cell_type experiment plate``, numbers starting anew each time."""
    rows = [
        (e.cell_type, e.name, str(number + 1))
        for e in spec.experiments
        for number in range(e.n_plates)
    ]
    return pd.DataFrame(rows, columns=["cell_type", "experiment", "plate"])


def screened_compounds(
    library: pd.DataFrame, cell_type: CellType, rng: np.random.Generator
) -> np.ndarray:
    """Rows of the library that a cell type sees beside the references, rescuers first."""
    candidates = rng.permutation(np.flatnonzero(~library["reference"]))
    rescues = library["class"].to_numpy()[candidates] == "rescuer"
    ordered = candidates[np.argsort(~rescues, kind="stable")]
    return np.sort(ordered[: cell_type.n_compounds])


def assign_series(
    spec: ScreenSpec, library: pd.DataFrame, plates: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Spread the dose series of all compounds over the plates.

    A series is all doses of one compound on one plate. Series of a compound lie on different
    plates as long as there are enough, and on different experiments as far as room allows.

    Returns
    -------
    DataFrame
        ``plate_index`` (row of `plates`), ``compound`` (row of `library`) and ``series``
        (number of the series within the compound and cell type).
    """
    rows: list[tuple[int, int, int]] = []
    for cell_type in spec.cell_types:
        own = np.flatnonzero(plates["cell_type"] == cell_type.name)
        if not len(own):
            continue
        experiment = pd.factorize(plates["experiment"].iloc[own])[0]
        room = np.full(len(own), spec.n_series)
        for compound, n_series in _series_wanted(spec, library, cell_type, len(own), rng):
            dealt = _deal(n_series, room, experiment, rng)
            rows += [(int(own[p]), compound, k) for k, p in enumerate(dealt)]
    return pd.DataFrame(rows, columns=["plate_index", "compound", "series"])


def _series_wanted(
    spec: ScreenSpec,
    library: pd.DataFrame,
    cell_type: CellType,
    n_plates: int,
    rng: np.random.Generator,
) -> list[tuple[int, int]]:
    """Compounds and their numbers of series; the references share what room is left."""
    chosen = screened_compounds(library, cell_type, rng)
    references = np.flatnonzero(library["reference"])
    left = n_plates * spec.n_series - len(chosen) * cell_type.replicates
    wanted = [(int(c), cell_type.replicates) for c in rng.permutation(chosen)]
    if not len(references):
        return wanted
    each, more = divmod(left, len(references))
    shared = [(int(c), each + (i < more)) for i, c in enumerate(references)]
    return shared + wanted


def _deal(
    n_series: int, room: np.ndarray, experiment: np.ndarray, rng: np.random.Generator
) -> list[int]:
    """Choose plates for one compound, and take their room.

    Plates without this compound come first, then those with most room, then those of an
    experiment that has less of it; ties are broken by chance.
    """
    used = np.zeros(len(room), dtype=int)
    used_experiment = np.zeros(experiment.max() + 1, dtype=int)
    dealt = []
    for _ in range(n_series):
        order = np.lexsort((rng.random(len(room)), used_experiment[experiment], -room, used))
        plate = next(int(p) for p in order if room[p] > 0)
        room[plate] -= 1
        used[plate] += 1
        used_experiment[experiment[plate]] += 1
        dealt.append(plate)
    return dealt


def plate_positions(
    spec: ScreenSpec, n_controls: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the places of controls and of compounds on one plate.

    Controls lie all over the plate but prefer six columns (beside the edges and in the
    middle), as a dispenser would have it. Where the plate has more wells than are used, the
    outermost stay empty.

    Returns
    -------
    tuple of ndarray of int
        Positions (row by row) of the controls, and of all other wells, each in random order.
    """
    row, column = np.divmod(np.arange(spec.n_rows * spec.n_columns), spec.n_columns)
    ring = ring_of(spec, row, column)
    used = np.argsort(-ring, kind="stable")[: spec.wells_per_plate]
    last, middle = spec.n_columns - 1, spec.n_columns // 2
    preferred = np.isin(column[used], [1, 2, middle - 1, middle, last - 2, last - 1])
    weight = np.where(preferred, CONTROL_COLUMN_WEIGHT, 1.0)
    # Weighted sampling without replacement: Efraimidis & Spirakis, doi:10.1016/j.ipl.2005.11.003
    first = np.argsort(-np.log(rng.random(len(used))) / weight, kind="stable")
    controls, others = used[first[:n_controls]], used[first[n_controls:]]
    return rng.permutation(controls), rng.permutation(others)


def ring_of(spec: ScreenSpec, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Distance from the plate's edge, in wells: 0 is the outermost ring."""
    from_sides: Sequence[np.ndarray] = (
        row,
        spec.n_rows - 1 - row,
        column,
        spec.n_columns - 1 - column,
    )
    return np.minimum.reduce(from_sides)


def lay_out(
    spec: ScreenSpec,
    library: pd.DataFrame,
    plates: pd.DataFrame,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Lay out all plates.

    Returns
    -------
    DataFrame
        One row per used well, plate by plate and there row by row: ``plate_index``,
        ``position`` (row by row, from 0), ``disease_condition``, ``compound`` (row of
        `library`; -1 where there is none), ``dose`` (µM; NaN where there is none) and
        ``series``.
    """
    series = assign_series(spec, library, plates, rng)
    wells = [
        _lay_out_plate(spec, i, series[series["plate_index"] == i], rng) for i in range(len(plates))
    ]
    return pd.concat(wells, ignore_index=True)


def _lay_out_plate(
    spec: ScreenSpec, plate_index: int, series: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Lay out one plate; series that it has no use for become untreated wells."""
    doses = np.repeat(np.asarray(spec.doses, dtype=float), spec.wells_per_dose)
    n_treated = len(series) * len(doses)
    n_blank = spec.n_blank + (plate_index < spec.n_extra_blank_plates)
    n_untreated = spec.wells_per_plate - spec.n_mock - spec.n_inactivated - n_blank - n_treated
    controls, others = plate_positions(spec, spec.wells_per_plate - n_treated, rng)
    names = [MOCK, INACTIVATED, "", ACTIVE]
    condition = np.repeat(
        np.array(names, dtype=object), [spec.n_mock, spec.n_inactivated, n_blank, n_untreated]
    )
    wells = pd.DataFrame(
        {
            "plate_index": plate_index,
            "position": np.concatenate([controls, others]),
            "disease_condition": np.concatenate([condition, np.full(n_treated, ACTIVE, object)]),
            "compound": np.concatenate(
                [np.full(len(controls), -1), np.repeat(series["compound"].to_numpy(), len(doses))]
            ),
            "dose": np.concatenate([np.full(len(controls), np.nan), np.tile(doses, len(series))]),
            "series": np.concatenate(
                [np.full(len(controls), -1), np.repeat(series["series"].to_numpy(), len(doses))]
            ),
        }
    )
    return wells.sort_values("position", kind="stable")
