"""Who is in which well of an image set, and what cells and camera are like there: the truth."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.simulate.images.knobs import CELL_TYPES, KNOBS, shifted
from screenbook.simulate.images.optics import Optics, draw_optics
from screenbook.simulate.images.spec import CHANNELS, N_COLUMNS, N_ROWS, ImageSpec
from screenbook.simulate.images.treatments import BY_NAME

# Names of the independent random streams; a number never changes its meaning.
_LAYOUT, _BATCH, _WELL, _FIELD = range(4)


def stream(spec: ImageSpec, kind: int, name: str) -> np.random.Generator:
    """Open the random stream of one thing, by its name: no other thing moves it."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    key = (kind, int.from_bytes(digest, "little"))
    return np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=key))


def field_stream(spec: ImageSpec, identity: str) -> np.random.Generator:
    """Open the stream that places and paints the cells of one field."""
    return stream(spec, _FIELD, identity)


@dataclass(frozen=True)
class Design:
    """An image set before it is drawn.

    Attributes
    ----------
    spec : ImageSpec
    obs : DataFrame
        One row a field, indexed by ``experiment/plate/well/site``: ``cell_type experiment
        plate well site treatment role batch compound moa`` (role: ``"control"`` is untreated,
        with an empty compound and moa).
    biology : DataFrame
        Same index; ``identity`` (of the random stream), ``responders`` (share of cells that a
        compound acts on), ``stain_`` (uptake by channel), every knob of cells it does not act on
        (``base_``) and of those it does (``treated_``).
    optics : dict of str to Optics
        Of each batch.
    """

    spec: ImageSpec
    obs: pd.DataFrame
    biology: pd.DataFrame
    optics: dict[str, Optics]


def design_images(spec: ImageSpec) -> Design:
    """Settle who is where and what is true of them; takes no time.

    Parameters
    ----------
    spec : ImageSpec

    Returns
    -------
    Design
    """
    rows: list[dict[str, object]] = []
    truth: list[dict[str, object]] = []
    optics = {}
    for number in range(1, spec.n_experiments + 1):
        experiment, plate = f"E{number:02d}", "1"
        batch = f"{experiment}/{plate}"
        optics[batch] = draw_optics(spec, stream(spec, _BATCH, batch))
        wells = _wells(spec)
        for place, (cell_type, name, replicate) in zip(
            _places(spec, batch, len(wells)), wells, strict=True
        ):
            compound = BY_NAME[name] if name else None
            treatment = compound.name if compound else "control"
            identity = f"{batch}/{cell_type}/{treatment}/{replicate}"
            knobs = _well_knobs(spec, identity, cell_type, name)
            for site in range(1, spec.n_sites + 1):
                rows.append(
                    {
                        **{"cell_type": cell_type, "experiment": experiment, "plate": plate},
                        **{"well": place, "site": site, "treatment": treatment},
                        **{"role": "treated" if compound else "control", "batch": batch},
                        **{"compound": compound.name if compound else ""},
                        **{"moa": compound.moa if compound else ""},
                    }
                )
                truth.append({"identity": f"{identity}/{site}", **knobs})
    obs = pd.DataFrame(rows)
    obs.index = pd.Index(
        obs["batch"] + "/" + obs["well"] + "/" + obs["site"].astype(str), name="id"
    )
    return Design(spec, obs, pd.DataFrame(truth, index=obs.index), optics)


def _wells(spec: ImageSpec) -> list[tuple[str, str, int]]:
    """Cell type, compound ("": none) and replicate number of every well of a plate."""
    controls = [
        (cell_type, "", k)
        for cell_type in spec.cell_types
        for k in range(spec.n_control_fields // spec.n_sites)
    ]
    treated = [
        (spec.treated_cell_type, name, k)
        for name in spec.compounds
        for k in range(spec.n_treated_fields // spec.n_sites)
    ]
    return controls + treated


def _places(spec: ImageSpec, batch: str, n: int) -> list[str]:
    """Scatter n wells over a plate of 384."""
    order = stream(spec, _LAYOUT, batch).permutation(N_ROWS * N_COLUMNS)[:n]
    return [f"{chr(65 + k // N_COLUMNS)}{k % N_COLUMNS + 1:02d}" for k in order]


def _well_knobs(spec: ImageSpec, identity: str, cell_type: str, name: str) -> dict[str, float]:
    """Knobs of a well, around those of its cell type and compound."""
    rng = stream(spec, _WELL, identity)
    spread = dict(zip(KNOBS, rng.normal(0, spec.well_spread, len(KNOBS)), strict=True))
    stain = np.exp(rng.normal(0, spec.stain_spread, len(CHANNELS)))
    base = shifted(CELL_TYPES[cell_type], spread)
    treated, responders = base, 0.0
    if name:
        compound = BY_NAME[name]
        treated = compound.act_on(base, spec.treatment_strength)
        responders = compound.responders
    return {
        "responders": responders,
        **{f"stain_{name}": float(s) for name, s in zip(CHANNELS, stain, strict=True)},
        **{f"base_{name}": value for name, value in base.items()},
        **{f"treated_{name}": value for name, value in treated.items()},
    }
