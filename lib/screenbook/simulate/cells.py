"""The state of cells: where infection, death, place and chance move them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.simulate.embedding import (
    N_STATE,
    FeatureMap,
    random_direction,
    tilt,
)
from screenbook.simulate.layout import ring_of
from screenbook.simulate.pharmacology import (
    hill,
    infection_phenotype,
    off_axis_directions,
)
from screenbook.simulate.spec import ACTIVE, INACTIVATED, ScreenSpec

CELL_TYPE_TILT = 40.0
"""Degrees between the infection's directions in two cell types."""

PLACE_ON_AXIS = -0.5
"""Cosine between an effect of place and the infection: edge wells look healthier."""


OWN_SHIFT = 0.5
"""Feature SD by which a batch shifts each feature by itself, where it shifts the state by 1."""


@dataclass(frozen=True)
class Biology:
    """Directions of the state, drawn once for a screen; lengths are 1 unless said.

    Attributes
    ----------
    baseline : ndarray, shape (n_cell_types, N_STATE)
        Healthy cells, well SD.
    infection, bend, cell_loss : ndarray, shape (n_cell_types, N_STATE)
    off_axis : ndarray, shape (n_compounds, N_STATE)
    inactivated, blank, edge, row, column : ndarray, shape (N_STATE,)
    corners : ndarray, shape (2, N_STATE)
        Across and down the well.
    """

    baseline: np.ndarray
    infection: np.ndarray
    bend: np.ndarray
    cell_loss: np.ndarray
    off_axis: np.ndarray
    inactivated: np.ndarray
    blank: np.ndarray
    edge: np.ndarray
    row: np.ndarray
    column: np.ndarray
    corners: np.ndarray


def draw_biology(spec: ScreenSpec, library: pd.DataFrame, rng: np.random.Generator) -> Biology:
    """Draw the directions in which everything acts."""
    n_types = len(spec.cell_types)
    first = random_direction(rng)
    infection = np.stack([first, *(tilt(first, CELL_TYPE_TILT, rng) for _ in range(n_types - 1))])
    axes = tuple(infection)
    away = [random_direction(rng, biology=False) for _ in range(n_types)]
    baseline = spec.cell_type_shift * np.stack([np.zeros(N_STATE), *away[1:]])
    dying = random_direction(rng, away_from=axes)
    disguise = spec.cell_loss_disguise
    cell_loss = -disguise * infection + np.sqrt(1 - disguise**2) * dying

    def place() -> np.ndarray:
        side = random_direction(rng, away_from=axes)
        return PLACE_ON_AXIS * first + np.sqrt(1 - PLACE_ON_AXIS**2) * side

    return Biology(
        baseline=baseline,
        infection=infection,
        bend=np.stack([random_direction(rng, away_from=axes) for _ in range(n_types)]),
        cell_loss=cell_loss,
        off_axis=off_axis_directions(library, (*axes, dying), rng),
        inactivated=random_direction(rng, away_from=axes),
        blank=random_direction(rng, away_from=axes),
        edge=place(),
        row=place(),
        column=place(),
        corners=np.stack([random_direction(rng, biology=False) for _ in range(2)]) / np.sqrt(2),
    )


@dataclass(frozen=True)
class BatchEffect:
    """What a batch (an experiment, or a plate) does to the features of its sites.

    Attributes
    ----------
    shift : ndarray of float32, shape (n_features,)
        Added.
    log_scale : ndarray of float32, shape (n_features,)
        Log factor on the distance to the feature's mean.
    """

    shift: np.ndarray
    log_scale: np.ndarray


def draw_batch_effect(
    network: FeatureMap, shift: float, scale: float, rng: np.random.Generator
) -> BatchEffect:
    """Draw a batch effect; `shift` in well SD along each direction, `scale` a log factor."""
    step = (shift * rng.standard_normal(N_STATE)).astype(np.float32) @ network.linear
    own = rng.standard_normal(len(network.sd), dtype=np.float32) * network.sd
    step += np.float32(OWN_SHIFT * shift) * own
    log_scale = scale * rng.standard_normal(len(network.mean), dtype=np.float32)
    return BatchEffect(step, log_scale.astype(np.float32))


def draw_plates(spec: ScreenSpec, plates: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw how well each plate went.

    Returns
    -------
    DataFrame
        `plates` with ``fault`` (``""``, ``"weak infection"`` or ``"pipetting gradient"``),
        ``load`` (median viral load, relative), ``load_gradient`` (log load from the centre to
        the last column), ``row_gradient`` and ``column_gradient`` (well SD from the centre to
        the last row or column).
    """
    n = len(plates)
    first = np.flatnonzero(plates["cell_type"] == spec.cell_types[0].name)
    order = rng.permutation(first)
    weak, uneven = np.split(
        order[: spec.n_weak_plates + spec.n_gradient_plates], [spec.n_weak_plates]
    )
    fault = np.full(n, "", dtype=object)
    fault[weak], fault[uneven] = "weak infection", "pipetting gradient"
    load = np.exp(spec.plate_load_spread * rng.standard_normal(n))
    load[weak] *= spec.weak_load
    side = rng.choice([-1.0, 1.0], n) * spec.pipetting_gradient
    row, column = spec.gradient * rng.standard_normal((2, n))
    return plates.assign(
        fault=fault,
        load=load,
        load_gradient=np.where(fault == "pipetting gradient", side, 0.0),
        row_gradient=row,
        column_gradient=column,
    )


def across(position: np.ndarray, n: int) -> np.ndarray:
    """Scale a place along a side of the plate: -1 at its first row or column, 1 at the last."""
    return 2 * position / max(n - 1, 1) - 1


def draw_wells(
    spec: ScreenSpec,
    layout: pd.DataFrame,
    plate: pd.Series,
    pharmacology: pd.DataFrame,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw what happened in each well of one plate.

    Parameters
    ----------
    layout : DataFrame
        Wells of the plate, see :func:`~screenbook.simulate.layout.lay_out`.
    plate : Series
        Its row of :func:`draw_plates`.
    pharmacology : DataFrame
        Of the plate's cell type, one row per compound of the library.

    Returns
    -------
    DataFrame
        ``load`` (viral, relative), ``rescue`` (fraction of the infection undone),
        ``infection`` (what is left: 0 healthy, 1 the median untreated well), ``off_axis``
        (well SD), ``cell_loss`` (fraction), ``glow`` (feature SD), ``outlier``, ``empty``.
    """
    n = len(layout)
    active = layout["disease_condition"].eq(ACTIVE).to_numpy()
    blank = layout["disease_condition"].eq("").to_numpy()
    column = layout["position"].to_numpy() % spec.n_columns
    log_load = spec.load_spread * rng.standard_normal(n)
    log_load += plate["load_gradient"] * across(column, spec.n_columns)
    load = np.where(active, plate["load"] * np.exp(log_load), 0.0)

    compound = layout["compound"].to_numpy()
    drug = pharmacology.iloc[np.maximum(compound, 0)].reset_index(drop=True)
    dose = layout["dose"].to_numpy()
    shown = np.where(compound >= 0, hill(dose, drug["ec50"], drug["hill"]), 0.0)
    killed = hill(dose, drug["cell_loss_ec50"], drug["cell_loss_hill"])
    killed = np.where(compound >= 0, killed * drug["cell_loss"], 0.0)
    empty = rng.random(n) < np.where(blank, spec.blank_empty_fraction, spec.empty_fraction)
    gone = np.where(empty, rng.uniform(0.85, 1.0, n), 0.0)
    rescue = shown * drug["emax"].to_numpy()
    return pd.DataFrame(
        {
            "load": load,
            "rescue": rescue,
            "infection": infection_phenotype(load, spec.saturation) * (1 - rescue),
            "off_axis": shown * drug["off_axis"].to_numpy(),
            "cell_loss": 1 - (1 - killed) * (1 - gone),
            "glow": shown * drug["glow"].to_numpy(),
            "outlier": rng.random(n) < spec.outlier_fraction,
            "empty": empty,
        },
        index=layout.index,
    )


def well_states(
    spec: ScreenSpec,
    biology: Biology,
    cell_type: int,
    layout: pd.DataFrame,
    wells: pd.DataFrame,
    plate: pd.Series,
    rng: np.random.Generator,
) -> np.ndarray:
    """Add up what moves the cells of each well away from their healthy state.

    Returns
    -------
    ndarray, shape (n_wells, N_STATE)
        Well SD; without noise within wells.
    """
    axis = tilt(biology.infection[cell_type], spec.plate_tilt, rng)
    length = spec.infection * spec.cell_types[cell_type].infection
    left = wells["infection"].to_numpy()[:, None]
    state = left * length * axis
    state += (left * (1 - left) * 4 * spec.infection_bend * length) * biology.bend[cell_type]
    loss = wells["cell_loss"].to_numpy()[:, None]
    state += loss * spec.cell_loss * biology.cell_loss[cell_type]
    directions = biology.off_axis[np.maximum(layout["compound"].to_numpy(), 0)]
    state += wells["off_axis"].to_numpy()[:, None] * directions

    condition = layout["disease_condition"]
    for name, size, direction in (
        (INACTIVATED, spec.inactivated_effect, biology.inactivated),
        ("", spec.blank_effect, biology.blank),
    ):
        state += condition.eq(name).to_numpy()[:, None] * size * direction
    state += _place_effect(spec, biology, layout["position"].to_numpy(), plate)

    thrown = rng.standard_normal(state.shape)
    thrown *= spec.outlier / np.linalg.norm(thrown, axis=1, keepdims=True)
    state += wells["outlier"].to_numpy()[:, None] * thrown
    # Few cells make an uncertain mean.
    state += spec.well_noise * (1 + loss) * rng.standard_normal(state.shape)
    return state


def _place_effect(
    spec: ScreenSpec, biology: Biology, position: np.ndarray, plate: pd.Series
) -> np.ndarray:
    """Add up what lying at the edge, and up, down, left or right on the plate does."""
    row, column = np.divmod(position, spec.n_columns)
    edge = spec.edge * np.clip(1 - ring_of(spec, row, column) / 2, 0, 1)
    down = plate["row_gradient"] * across(row, spec.n_rows)
    right = plate["column_gradient"] * across(column, spec.n_columns)
    return (
        edge[:, None] * biology.edge + down[:, None] * biology.row + right[:, None] * biology.column
    )


def site_states(
    spec: ScreenSpec,
    biology: Biology,
    states: np.ndarray,
    cell_loss: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Image each well at its corners.

    Parameters
    ----------
    states : ndarray, shape (n_wells, N_STATE)
    cell_loss : ndarray, shape (n_wells,)

    Returns
    -------
    ndarray of float32, shape (n_wells * n_sites, N_STATE)
        Sites of a well follow each other.
    """
    site = np.arange(spec.n_sites)
    corner = np.stack([np.where(site % 2, 1, -1), np.where(site // 2 % 2, 1, -1)], axis=1)
    shift = spec.site_shift * corner @ biology.corners
    sites = (states[:, None, :] + shift).astype(np.float32)
    noise = rng.standard_normal(sites.shape, dtype=np.float32)
    noise *= (spec.site_noise * (1 + cell_loss)).astype(np.float32)[:, None, None]
    return (sites + noise).reshape(-1, N_STATE)
