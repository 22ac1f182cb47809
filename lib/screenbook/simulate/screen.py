"""A whole screen with a known truth, after the design and the difficulties of RxRx19a.

The truth is settled first (compounds, plates, wells), then features are made plate by plate,
so that a screen of any size fits in memory. Every plate has random streams of its own: neither
the order of plates nor their number of readers changes a figure.

How hard the default screen is (its first cell type, wells; tests/test_simulate_traps.py holds
it to this): healthy and untreated diseased wells of a plate that was left out are told apart
with an AUC of 0.95 to 0.99 once features are centred on the controls of each plate, and under
0.65 once they are centred on the condition; an experiment that was left out gives over 0.93
centred and under 0.90 raw. A linear classifier knows the plate of over 95 % of raw wells, and
of under 1.5 times chance once features are centred on the wells with active virus.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from screenbook.screen import Roles
from screenbook.simulate.cells import (
    BatchEffect,
    Biology,
    draw_batch_effect,
    draw_biology,
    draw_plates,
    draw_wells,
    site_states,
    well_states,
)
from screenbook.simulate.compounds import build_library
from screenbook.simulate.embedding import FeatureMap, feature_map, small_rotation
from screenbook.simulate.layout import lay_out, list_plates, well_names
from screenbook.simulate.pharmacology import EFFECTS, draw_pharmacology, glow_features
from screenbook.simulate.spec import ACTIVE, INACTIVATED, MOCK, ScreenSpec
from screenbook.simulate.unscreened import unscreened_analogues

OBS_COLUMNS = (
    *("cell_type", "experiment", "plate", "well", "site", "disease_condition"),
    *("treatment", "treatment_conc", "SMILES", "moa"),
)
"""Metadata columns, as a file would have them."""

# Names of the independent random streams; a number never changes its meaning.
_LIBRARY, _PHARMACOLOGY, _LAYOUT, _BIOLOGY, _GLOW, _PLATES = range(6)
_EXPERIMENT, _PLATE_EFFECT, _WELLS, _STATES, _SITES, _FEATURES = range(6, 12)
_UNSCREENED = 12


def _stream(spec: ScreenSpec, *key: int) -> np.random.Generator:
    """Open one random stream of a screen."""
    return np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=key))


@dataclass(frozen=True)
class Simulated:
    """A simulated screen.

    Attributes
    ----------
    spec : ScreenSpec
        What it was made from.
    roles : Roles
        What the metadata values mean.
    library : DataFrame
        The compounds, see :func:`~screenbook.simulate.compounds.build_library`.
    truth : dict of str to DataFrame
        ``compounds`` (one row per compound and cell type it was tried on), ``plates``,
        ``wells`` and ``library``; see :func:`simulate_screen`.
    """

    spec: ScreenSpec
    roles: Roles
    library: pd.DataFrame
    truth: dict[str, pd.DataFrame]
    _layout: pd.DataFrame
    _biology: Biology
    _glow: np.ndarray
    _network: FeatureMap

    @property
    def n_sites(self) -> int:
        """Rows of the whole screen."""
        return len(self._layout) * self.spec.n_sites

    @property
    def n_plates(self) -> int:
        """Plates of the whole screen."""
        return len(self.truth["plates"])

    def plates(self) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """Yield metadata and features plate by plate.

        Yields
        ------
        obs : DataFrame
            :data:`OBS_COLUMNS`, indexed by ``<experiment>_<plate>_<well>_<site>``.
        X : ndarray of float32, shape (n_sites_of_plate, n_features)
        """
        for index in range(self.n_plates):
            yield self.plate_obs(index), self.plate_features(index)

    @cached_property
    def obs(self) -> pd.DataFrame:
        """Metadata of all plates."""
        return pd.concat([self.plate_obs(i) for i in range(self.n_plates)])

    @cached_property
    def X(self) -> np.ndarray:
        """Features of all plates, float32, shape (n_sites, n_features); only if they fit."""
        return np.concatenate([self.plate_features(i) for i in range(self.n_plates)])

    def plate_obs(self, index: int) -> pd.DataFrame:
        """Metadata of one plate, as :meth:`plates` yields them."""
        plate = self.truth["plates"].iloc[index]
        layout = self._layout[self._layout["plate_index"] == index]
        wells = _metadata(self.spec, self.library, layout)
        for name in ("plate", "experiment", "cell_type"):
            wells.insert(0, name, plate[name])
        n = self.spec.n_sites
        obs = wells.loc[wells.index.repeat(n)].reset_index(drop=True)
        obs["site"] = np.tile(np.arange(1, n + 1), len(wells))
        where = zip(obs["well"], obs["site"], strict=True)
        batch = f"{plate['experiment']}_{plate['plate']}"
        obs.index = pd.Index([f"{batch}_{well}_{site}" for well, site in where], name="site_id")
        return obs[list(OBS_COLUMNS)]

    def plate_features(self, index: int) -> np.ndarray:
        """Features of one plate, as :meth:`plates` yields them."""
        spec, plate = self.spec, self.truth["plates"].iloc[index]
        mine = self._layout["plate_index"].to_numpy() == index
        layout, wells = self._layout[mine], self.truth["wells"][mine]
        cell_type = [c.name for c in spec.cell_types].index(plate["cell_type"])
        states = well_states(
            spec, self._biology, cell_type, layout, wells, plate, _stream(spec, _STATES, index)
        )
        loss = wells["cell_loss"].to_numpy()
        sites = site_states(spec, self._biology, states, loss, _stream(spec, _SITES, index))

        experiment = [e.name for e in spec.experiments].index(plate["experiment"])
        rotation, batch = _experiment_effect(spec, self._network, experiment)
        own = _plate_effect(spec, self._network, index)
        sites = sites @ rotation.T.astype(np.float32)
        sites += self._biology.baseline[cell_type].astype(np.float32)
        x = self._network(sites)
        noise = _stream(spec, _FEATURES, index).standard_normal(x.shape, dtype=np.float32)
        x += noise * (np.float32(spec.feature_noise) * self._network.sd)
        self._add_glow(x, layout, wells)
        x -= self._network.mean
        x *= np.exp(batch.log_scale + own.log_scale)
        x += self._network.mean + batch.shift + own.shift
        return x

    def _add_glow(self, x: np.ndarray, layout: pd.DataFrame, wells: pd.DataFrame) -> None:
        """Light up the features of fluorescent wells, in place."""
        glow = wells["glow"].to_numpy()
        rows = np.flatnonzero(glow)
        pattern = self._glow[layout["compound"].to_numpy()[rows]]
        added = glow[rows, None].astype(np.float32) * pattern * self._network.sd
        x.reshape(len(glow), self.spec.n_sites, -1)[rows] += added[:, None, :]


def simulate_screen(spec: ScreenSpec) -> Simulated:
    """Settle the truth of a screen and make it ready to yield its plates.

    Parameters
    ----------
    spec : ScreenSpec
        See :func:`~screenbook.simulate.shapes.screen_spec` for the ready shapes.

    Returns
    -------
    Simulated
        Its truth tables are

        compounds
            ``compound_key compound names smiles scaffold mechanism moa class reference
            cell_type n_series rescues ec50 hill emax off_axis cell_loss cell_loss_ec50
            cell_loss_hill glow``, units as in
            :func:`~screenbook.simulate.pharmacology.draw_pharmacology`.
        plates
            ``cell_type experiment plate fault load load_gradient row_gradient
            column_gradient``, see :func:`~screenbook.simulate.cells.draw_plates`, and
            ``shift`` and ``experiment_shift`` (RMS over features, feature SD), and ``edge``
            (effect of the outermost ring, well SD).
        wells
            ``cell_type experiment plate well disease_condition compound dose`` and the columns of
            :func:`~screenbook.simulate.cells.draw_wells`.
        library
            Structures that were not screened, see
            :func:`~screenbook.simulate.unscreened.unscreened_analogues`.
    """
    library = build_library(spec, _stream(spec, _LIBRARY))
    pharmacology = draw_pharmacology(spec, library, _stream(spec, _PHARMACOLOGY))
    plates = draw_plates(spec, list_plates(spec), _stream(spec, _PLATES))
    layout = lay_out(spec, library, plates, _stream(spec, _LAYOUT))
    network = feature_map(spec.n_features)
    truth = {
        "compounds": _compound_truth(library, pharmacology, layout, plates),
        "plates": _plate_truth(spec, network, plates),
        "wells": _well_truth(spec, library, pharmacology, layout, plates),
        "library": unscreened_analogues(library, spec.n_unscreened, _stream(spec, _UNSCREENED)),
    }
    return Simulated(
        spec=spec,
        roles=Roles(
            healthy=(MOCK, INACTIVATED),
            diseased=(ACTIVE,),
            references=tuple(library.loc[library["reference"], "compound"]),
        ),
        library=library,
        truth=truth,
        _layout=layout,
        _biology=draw_biology(spec, library, _stream(spec, _BIOLOGY)),
        _glow=glow_features(library, spec.n_features, spec.n_glow_features, _stream(spec, _GLOW)),
        _network=network,
    )


def _experiment_effect(
    spec: ScreenSpec, network: FeatureMap, index: int
) -> tuple[np.ndarray, BatchEffect]:
    """Rotation of the state, and effect on the features, of one experiment."""
    rng = _stream(spec, _EXPERIMENT, index)
    rotation = small_rotation(spec.experiment_rotation, rng)
    return rotation, draw_batch_effect(network, spec.experiment_shift, spec.experiment_scale, rng)


def _plate_effect(spec: ScreenSpec, network: FeatureMap, index: int) -> BatchEffect:
    """Effect of one plate on the features."""
    rng = _stream(spec, _PLATE_EFFECT, index)
    return draw_batch_effect(network, spec.plate_shift, spec.plate_scale, rng)


def _metadata(spec: ScreenSpec, library: pd.DataFrame, layout: pd.DataFrame) -> pd.DataFrame:
    """Metadata of wells, but for their plate: what the experimenter would have noted."""
    treated = layout["compound"].to_numpy() >= 0
    drug = library.iloc[np.maximum(layout["compound"].to_numpy(), 0)]
    salt = drug["alias"].ne("").to_numpy() & (layout["series"].to_numpy() % 2 == 1)
    name = np.where(salt, drug["alias"], drug["compound"])
    smiles = np.where(salt, drug["smiles"] + ".Cl", drug["metadata_smiles"])
    return pd.DataFrame(
        {
            "well": well_names(spec.n_rows, spec.n_columns)[layout["position"].to_numpy()],
            "disease_condition": layout["disease_condition"].to_numpy(),
            "treatment": np.where(treated, name, ""),
            "treatment_conc": layout["dose"].to_numpy(),
            "SMILES": np.where(treated, smiles, ""),
            "moa": np.where(treated, drug["moa"], ""),
        }
    )


def _compound_truth(
    library: pd.DataFrame, pharmacology: pd.DataFrame, layout: pd.DataFrame, plates: pd.DataFrame
) -> pd.DataFrame:
    """Join what compounds are with what they do, for the cell types they were tried on.

    A potency is missing where there is no effect that it could be the potency of.
    """
    series = layout[layout["compound"] >= 0].drop_duplicates(["plate_index", "compound", "series"])
    tried = pd.DataFrame(
        {
            "cell_type": plates["cell_type"].to_numpy()[series["plate_index"].to_numpy()],
            "compound": library["compound"].to_numpy()[series["compound"].to_numpy()],
        }
    )
    n_series = tried.value_counts().rename("n_series").reset_index()
    names = library["compound"].where(
        library["alias"].eq(""), library["compound"] + "; " + library["alias"]
    )
    columns = "compound_key compound names smiles scaffold mechanism moa class reference"
    table = library.assign(names=names)[columns.split()]
    silent = (pharmacology[list(EFFECTS)] == 0).all(axis=1)
    pharmacology = pharmacology.assign(
        **{c: pharmacology[c].mask(silent) for c in ("ec50", "hill")},
        **{
            c: pharmacology[c].mask(pharmacology["cell_loss"] == 0)
            for c in ("cell_loss_ec50", "cell_loss_hill")
        },
    )
    done = pharmacology.merge(n_series, on=["cell_type", "compound"], how="inner")
    table = table.merge(done, on="compound", how="inner", sort=False)
    moved = [c for c in table.columns if c != "n_series"]
    moved.insert(moved.index("cell_type") + 1, "n_series")
    order = table["cell_type"].map({c: i for i, c in enumerate(plates["cell_type"].unique())})
    return table[moved].iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


def _plate_truth(spec: ScreenSpec, network: FeatureMap, plates: pd.DataFrame) -> pd.DataFrame:
    """Add the size of the batch effects to what went wrong on the plates."""

    def size(effect: BatchEffect) -> float:
        return float(np.sqrt(np.mean((effect.shift / network.sd) ** 2)))

    by_name = {
        e.name: size(_experiment_effect(spec, network, i)[1])
        for i, e in enumerate(spec.experiments)
    }
    return plates.assign(
        shift=[size(_plate_effect(spec, network, i)) for i in range(len(plates))],
        experiment_shift=plates["experiment"].map(by_name),
        edge=spec.edge,
    )


def _well_truth(
    spec: ScreenSpec,
    library: pd.DataFrame,
    pharmacology: pd.DataFrame,
    layout: pd.DataFrame,
    plates: pd.DataFrame,
) -> pd.DataFrame:
    """Draw what happened in every well, plate by plate."""
    by_type = {str(name): table for name, table in pharmacology.groupby("cell_type")}
    tables = []
    for index in range(len(plates)):
        plate, mine = plates.iloc[index], layout[layout["plate_index"] == index]
        rng = _stream(spec, _WELLS, index)
        drawn = draw_wells(spec, mine, plate, by_type[plate["cell_type"]], rng)
        compound = mine["compound"].to_numpy()
        name = library["compound"].to_numpy()[np.maximum(compound, 0)]
        where = pd.DataFrame(
            {
                "cell_type": plate["cell_type"],
                "experiment": plate["experiment"],
                "plate": plate["plate"],
                "well": well_names(spec.n_rows, spec.n_columns)[mine["position"].to_numpy()],
                "disease_condition": mine["disease_condition"],
                "compound": np.where(compound >= 0, name, ""),
                "dose": mine["dose"].to_numpy(),
            },
            index=mine.index,
        )
        tables.append(where.join(drawn))
    return pd.concat(tables)
