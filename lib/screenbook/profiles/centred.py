"""The screen as one recipe leaves it: what all later notebooks compute with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from screenbook.profiles.batches import Part, cell_type_parts
from screenbook.profiles.methods import (
    Method,
    Representation,
    Settings,
    Task,
    feature_units,
    represent,
)
from screenbook.profiles.reduce import principal_components
from screenbook.profiles.separability import leave_plate_out_scores


def center_screen(wells: ad.AnnData, method: Method, settings: Settings) -> ad.AnnData:
    """Run one recipe on all wells, each cell type by itself, with all controls as reference.

    Parameters
    ----------
    wells : AnnData, n_wells x n_features
        Wells of a screen.
    method : Method
    settings : Settings

    Returns
    -------
    AnnData, n_wells x k
        The same wells; ``X`` holds the recipe's axes. Axis 3 of one cell type and axis 3 of
        another have nothing to do with each other. ``varm["loadings <cell type>"]`` (k, n_features)
        says how each axis follows from centred and scaled features, whose names are in
        ``uns["features"]``; ``uns["centering"]`` records the recipe (see :func:`recipe_of`).

    Raises
    ------
    InputError
        If the method cannot be had for one of the cell types.
    """
    parts = cell_type_parts(wells)
    done = {part.cell_type: represent_part(part, method, settings) for part in parts}
    k = max(found.scores.shape[1] for found in done.values())
    # A cell type with fewer wells than axes has none beyond; zeros add nothing to a distance.
    out = np.zeros((wells.n_obs, k), dtype=np.float32)
    varm: dict[str, np.ndarray] = {}
    for part in parts:
        found = done[part.cell_type]
        out[part.rows, : found.scores.shape[1]] = found.scores
        if found.loadings is not None:
            padding = ((0, k - len(found.loadings)), (0, 0))
            name = "loadings " + part.cell_type.replace("/", "_")
            varm[name] = np.pad(found.loadings, padding).astype(np.float32)
    record = {
        "method": method.name,
        "title": method.title,
        "takes_off": method.what,
        "whitened": method.whiten,
        "settings": asdict(settings),
        "facts": {name: found.facts for name, found in done.items()},
    }
    return ad.AnnData(
        X=out,
        obs=wells.obs.copy(),
        var=pd.DataFrame(index=pd.Index([f"axis_{i + 1}" for i in range(k)], dtype=object)),
        varm=varm,
        uns={
            **wells.uns,
            "centering": json.dumps(record),
            "features": wells.var_names.to_numpy(dtype=object),
        },
    )


def recipe_of(centred: ad.AnnData) -> dict[str, Any]:
    """Read how a centred screen was made: ``method``, ``title``, ``settings``, ``facts`` ..."""
    return dict(json.loads(centred.uns["centering"]))


def represent_part(part: Part, method: Method, settings: Settings) -> Representation:
    """Run one recipe on one cell type, with all controls as reference."""
    everything = np.ones(len(part.X), dtype=bool)
    task = Task(part.X, part.obs, part.layout, feature_units(part.X), everything)
    return represent(method, task, settings)


def control_views(
    parts: Sequence[Part], methods: Sequence[Method], settings: Settings
) -> pd.DataFrame:
    """Place control wells on their own first two principal components, for a picture.

    Returns
    -------
    DataFrame
        One row per control well and method: ``cell_type experiment batch well role``,
        ``panel`` (the method's title), ``x``, ``y``.
    """
    columns = ["cell_type", "experiment", "batch", "well", "role"]
    views = []
    for part in parts:
        control = part.layout.control
        for method in methods:
            points = represent_part(part, method, settings).scores[control]
            axes = principal_components(points, most=2, share=1.0)
            xy = np.pad(axes.scores(points), ((0, 0), (0, 2 - len(axes.axes))))
            view = part.obs.loc[control, columns].astype(str)
            views.append(view.assign(panel=method.title, x=xy[:, 0], y=xy[:, 1]))
    return pd.concat(views, ignore_index=True)


def follow_latent(
    parts: Sequence[Part], latent: pd.DataFrame, methods: Sequence[Method], settings: Settings
) -> pd.DataFrame:
    """Correlate treated wells' place between healthy and diseased with known quantities.

    The axis is learned on the controls of all other plates.

    Parameters
    ----------
    parts : sequence of Part
        Wells of each cell type of a screen with a disease.
    latent : DataFrame, n_wells rows
        What each well of the screen is known to be, in a simulation: one column for each
        quantity. Rows with a missing value are left out.
    methods : sequence of Method
    settings : Settings

    Returns
    -------
    DataFrame
        ``cell_type method title status``, and for each column of `latent` the Pearson
        correlation over treated wells; NaN if no axis can be learned.
    """
    rows: list[dict[str, object]] = []
    for part in parts:
        layout, known = part.layout, latent[part.rows]
        diseased = layout.kinds.index("diseased")
        teach = np.where(layout.control, (layout.kind == diseased).astype(int), -1)
        asked = layout.bulk & known.notna().all(axis=1).to_numpy()
        for method in methods:
            row: dict[str, object] = {"cell_type": part.cell_type, "method": method.name}
            row |= {"title": method.title, "status": method.status}
            points = represent_part(part, method, settings).scores
            score = leave_plate_out_scores(points, teach, layout.batch)
            values = {str(name): column.to_numpy()[asked] for name, column in known.items()}
            found = {
                name: float("nan") if score is None else _correlation(score[asked], value)
                for name, value in values.items()
            }
            rows.append(row | found)
    return pd.DataFrame(rows)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])
