"""Which wells belong together, and what a correction for it may know of them.

A *kind* is the sort of control a well is: healthy or diseased, or vehicle where there is no
disease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import anndata as ad
import numpy as np
import pandas as pd

from screenbook.errors import InputError, listing
from screenbook.screen import Roles, roles_of

LABELS = {
    "disease_condition": "it is the contrast between healthy and diseased itself",
    "role": "it tells controls from treated wells, and healthy from diseased ones",
    "treatment": "it is what the wells were given",
    "treatment_conc": "it is the dose, whose effect is looked for",
    "compound": "it is what the wells were given",
    "compound_key": "it is what the wells were given",
    "SMILES": "it names the compound by its structure",
    "moa": "it is the answer that a mechanism is later checked against",
}
"""Columns that are no batch, and why."""


def refuse_labels(keys: Sequence[str]) -> None:
    """Refuse to treat a label of interest as a batch.

    Raises
    ------
    InputError
        If one of `keys` is in :data:`LABELS` (in any case): subtracting the mean of its
        groups removes the effect that the screen was made to find.
    """
    folded = {name.casefold(): (name, why) for name, why in LABELS.items()}
    for key in keys:
        if key.casefold() in folded:
            name, why = folded[key.casefold()]
            raise InputError(
                f"batch column {key!r} is a label of interest ({name}: {why}); centring on it "
                "takes away the effect looked for: name plates and experiments instead"
            )


def batch_codes(obs: pd.DataFrame, key: str) -> tuple[np.ndarray, list[str]]:
    """Turn the batches of a metadata column into numbers.

    Parameters
    ----------
    obs : DataFrame, n rows
        Metadata.
    key : str
        A column of `obs`.

    Returns
    -------
    codes : ndarray of int, shape (n,)
        From 0, in the order of the names.
    names : list of str
        In natural order of a category, else sorted.

    Raises
    ------
    InputError
        If the column is missing, is a label of interest, or is a plate number that recurs in
        several experiments (number 7 of one and number 7 of another are different plates).
    """
    refuse_labels([key])
    return column_codes(obs, key)


def column_codes(obs: pd.DataFrame, key: str) -> tuple[np.ndarray, list[str]]:
    """Do what :func:`batch_codes` does, for any column: only to show what a label does."""
    if key not in obs:
        raise InputError(
            f"batch column {key!r} is not in the metadata; it has {listing(map(str, obs))}"
        )
    if key == "plate" and obs.drop_duplicates(["plate", "experiment"])["plate"].duplicated().any():
        raise InputError(
            "batch column 'plate' holds numbers that recur in several experiments; "
            "use 'batch', the plate within its experiment"
        )
    column = obs[key].astype("category").cat.remove_unused_categories()
    return column.cat.codes.to_numpy().astype(np.int64), [str(v) for v in column.cat.categories]


@dataclass(frozen=True)
class Layout:
    """All that a centring may know of a well.

    Attributes
    ----------
    batch, experiment : ndarray of int, shape (n,)
        Plate within its experiment; experiment.
    kind : ndarray of int, shape (n,)
        Sort of control, an index into `kinds`; -1 for a well that is none.
    bulk : ndarray of bool, shape (n,)
        Treated wells, whatever they were treated with.
    batches, experiments, kinds : tuple of str
        Their names.
    """

    batch: np.ndarray
    experiment: np.ndarray
    kind: np.ndarray
    bulk: np.ndarray
    batches: tuple[str, ...]
    experiments: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def control(self) -> np.ndarray:
        """Which wells are controls, (n,) bool."""
        return self.kind >= 0

    @property
    def baseline(self) -> np.ndarray:
        """Controls that a treatment without effect would equal, (n,) bool: diseased, vehicle."""
        name = "diseased" if "diseased" in self.kinds else self.kinds[0]
        return self.kind == self.kinds.index(name)

    def take(self, wells: np.ndarray) -> Layout:
        """Keep some wells, given as a mask; all plates must still have one."""
        return replace(
            self,
            batch=self.batch[wells],
            experiment=self.experiment[wells],
            kind=self.kind[wells],
            bulk=self.bulk[wells],
        )

    def experiment_of(self) -> np.ndarray:
        """Experiment of each plate, (n_batches,) int."""
        first = np.unique(self.batch, return_index=True)[1]
        return self.experiment[first]


def layout_of(obs: pd.DataFrame, roles: Roles) -> Layout:
    """Read from the metadata of a screen what a centring may know.

    Parameters
    ----------
    obs : DataFrame
        Metadata of wells, with ``batch``, ``experiment`` and ``role``.
    roles : Roles
        Says which roles are controls.
    """
    batch, batches = batch_codes(obs, "batch")
    experiment, experiments = batch_codes(obs, "experiment")
    role = obs["role"].astype(str).to_numpy()
    kind = np.full(len(obs), -1)
    for i, name in enumerate(roles.controls):
        kind[role == name] = i
    return Layout(
        batch,
        experiment,
        kind,
        role == "treated",
        tuple(batches),
        tuple(experiments),
        tuple(roles.controls),
    )


@dataclass(frozen=True)
class Part:
    """The wells of one cell type: the unit of every correction.

    Attributes
    ----------
    cell_type : str
    rows : ndarray of bool, shape (n_wells,)
        Which wells of the screen.
    X : ndarray of float32, shape (n, n_features)
    obs : DataFrame, n rows
    layout : Layout
    """

    cell_type: str
    rows: np.ndarray
    X: np.ndarray
    obs: pd.DataFrame
    layout: Layout

    def take(self, wells: np.ndarray) -> Part:
        """Keep some of the wells, given as a mask over this part."""
        rows = self.rows.copy()
        rows[self.rows] = wells
        layout = self.layout.take(wells)
        return replace(self, rows=rows, X=self.X[wells], obs=self.obs[wells], layout=layout)


def cell_type_parts(wells: ad.AnnData) -> list[Part]:
    """Cut a screen into its cell types, in the order of their first well."""
    roles = roles_of(wells)
    cell_type = wells.obs["cell_type"].astype(str).to_numpy()
    parts = []
    for name in pd.unique(cell_type):
        rows = cell_type == name
        obs = wells.obs[rows]
        parts.append(Part(str(name), rows, np.asarray(wells.X[rows]), obs, layout_of(obs, roles)))
    return parts


def split_controls(layout: Layout, seed: int) -> np.ndarray:
    """Halve the control wells of every plate and kind at random.

    A centring that refers to one half is judged on the other, because wells that were used
    as reference lie at the centre by construction.

    Returns
    -------
    ndarray of int, shape (n,)
        0 or 1 for controls, -1 for all other wells. Of an odd number of wells the extra one
        goes to either half at random.
    """
    rng = np.random.default_rng(seed)
    half = np.full(len(layout.kind), -1)
    wells = np.flatnonzero(layout.control)
    group = layout.batch[wells] * len(layout.kinds) + layout.kind[wells]
    order = np.lexsort((rng.random(len(wells)), group))
    wells, group = wells[order], group[order]
    _, start, size = np.unique(group, return_index=True, return_counts=True)
    rank = np.arange(len(wells)) - np.repeat(start, size)
    half[wells] = (rank + np.repeat(rng.integers(0, 2, len(size)), size)) % 2
    return half
