"""The first public analysis's searches for hits, all on one screen, each cell type by itself.

The searches themselves are in :mod:`screenbook.hits.healthy_likeness` and
:mod:`screenbook.hits.earth_mover`, the counting in :mod:`screenbook.hits.name_counts`.
Here wells, scores and names are kept together: the original read its hits from another table
than the one it had searched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.errors import InputError, listing
from screenbook.hits.earth_mover import EarthMover, earth_mover_scores
from screenbook.hits.healthy_likeness import (
    Likeness,
    antipodal_cosine,
    antipodal_offsets,
    cosine,
    healthy_share,
    mixture_density,
    near_on_map,
)
from screenbook.hits.name_counts import count_by_name, fair_ranking, follows_replicates
from screenbook.profiles.replicates import treatment_codes

SEARCHES = {
    "radius_map": "healthy wells within a radius on the map",
    "knn_pca": "healthy share of the nearest controls, in components",
    "knn_full": "healthy share of the nearest controls, in whole profiles",
    "mixture": "density under a mixture fitted to healthy wells",
    "antipodal": "cosine with the way from diseased to healthy",
    "earth_mover": "earth mover's distance to healthy wells (BUSCAR)",
}
"""Searches and what each asks for."""

PER_WELL = tuple(name for name in SEARCHES if name != "earth_mover")
"""Searches that score single wells; the earth mover's distance is one of treatments."""


@dataclass(frozen=True)
class Spaces:
    """Where wells are looked for: rows as in the metadata, cell types stacked.

    Attributes
    ----------
    places : ndarray, shape (n_wells, 2)
        On the t-SNE map of the cell type (see :func:`places_of`).
    components : ndarray, shape (n_wells, k)
        Principal components, by falling variance.
    profiles : ndarray, shape (n_wells, d)
        Whole profiles. Columns that are zero throughout a cell type are left out of it.
    """

    places: np.ndarray
    components: np.ndarray
    profiles: np.ndarray


@dataclass(frozen=True)
class SearchSettings:
    """Numbers of the searches.

    Attributes
    ----------
    radius : float
        On the map, in its units; 0 fits it to the healthy wells.
    n_neighbors : int
        k of the radius rule and of both nearest-neighbour searches.
    components, dimensions, threshold
        See :func:`screenbook.hits.healthy_likeness.mixture_density`.
    most_wells, fewest_wells
        ``most`` and ``fewest`` of :func:`screenbook.hits.earth_mover.earth_mover_scores`.
    seed : int
    """

    radius: float = 0.0
    n_neighbors: int = 15
    components: int = 6
    dimensions: int = 10
    threshold: float = 0.9
    most_wells: int = 60
    fewest_wells: int = 3
    seed: int = 0


@dataclass(frozen=True)
class Searches:
    """What all searches of a screen found.

    Attributes
    ----------
    wells : DataFrame, n_wells rows, index that of the metadata
        ``cell_type experiment batch role compound compound_key dose`` (µM), and for each search
        of `PER_WELL` ``<name>_score`` (larger is more like healthy, NaN if it cannot be had)
        and ``<name>_hit`` (bool, treated wells only).
    treatments : DataFrame
        One row per cell type x compound x dose: ``cell_type compound compound_key dose n_wells``,
        ``<name>_score`` of each search, and ``on_score off_score on_untreated on_healthy`` of
        the earth mover's distance.
    compounds : DataFrame
        One row per cell type x compound: ``compound compound_key cell_type n_wells``, and of each
        search ``<name>_count`` (hit wells) and ``<name>_score`` (best dose; see
        :func:`search_screen`).
    rules : DataFrame
        One row per cell type x search: ``cell_type search asks level facts reason``,
        ``healthy_kept`` and ``diseased_caught`` (share of controls that reach the level, each
        judged without itself), ``hits``, ``treated`` (wells with a score), ``follows_count`` and
        ``follows_score`` (Spearman's rho of a compound's number of wells with its count, and
        with its score).
    """

    wells: pd.DataFrame
    treatments: pd.DataFrame
    compounds: pd.DataFrame
    rules: pd.DataFrame


def places_of(table: pd.DataFrame, ids: pd.Index) -> np.ndarray:
    """Take the wells' places from a table of the map, by id.

    Parameters
    ----------
    table : DataFrame
        ``id x y``, in any order.
    ids : Index
        Of the wells asked for.

    Returns
    -------
    ndarray of float64, shape (n, 2)

    Raises
    ------
    InputError
        If an id is missing or there twice.
    """
    known = table.set_index(table["id"].astype(str))[["x", "y"]]
    if known.index.has_duplicates:
        twice = known.index[known.index.duplicated()]
        raise InputError(f"the map has {listing(twice, 3)} twice; draw it again (report 03)")
    missing = ids.difference(known.index)
    if len(missing):
        raise InputError(f"the map has no place for {listing(missing, 3)}; draw it again (03)")
    return known.loc[ids].to_numpy(dtype=np.float64)


def search_screen(
    obs: pd.DataFrame,
    spaces: Spaces,
    settings: SearchSettings | None = None,
    *,
    used: np.ndarray | None = None,
) -> Searches:
    """Run every search on a screen with a disease.

    The score of a compound is that of its best dose: of the radius, both neighbour searches and
    the mixture the share of hit wells beyond the share expected (see
    :func:`screenbook.hits.name_counts.fair_ranking`), of the antipodal direction the cosine
    of the treatment's mean, of the earth mover's distance its score. The result does not depend
    on the order of rows.

    Parameters
    ----------
    obs : DataFrame, n_wells rows
        Metadata of wells, the index their ids: ``cell_type experiment batch role compound
        compound_key treatment_conc``.
    spaces : Spaces
    settings : SearchSettings, optional
    used : ndarray of bool, shape (n_wells,), optional
        Wells that take part; by default all. The others have no score, and are nobody's
        neighbour.

    Returns
    -------
    Searches

    Raises
    ------
    InputError
        If rows do not match, ids are not unique, coordinates are not finite, a setting is out
        of range, or there are no healthy wells at all.
    """
    settings = settings or SearchSettings()
    used = np.ones(len(obs), dtype=bool) if used is None else np.asarray(used, dtype=bool)
    _check(obs, spaces, used)
    # By id, so that draws and sums do not depend on the order in which wells came.
    order = np.argsort(obs.index.to_numpy(dtype=str), kind="stable")
    order = order[used[order]]
    cell_types = obs["cell_type"].astype(str).to_numpy()
    parts = [order[cell_types[order] == name] for name in pd.unique(cell_types[order])]
    found = [_search_part(obs.iloc[rows], rows, spaces, settings) for rows in parts]
    per_well = pd.concat([part.wells for part in found]).reindex(obs.index)
    for name in PER_WELL:
        # A well that takes no part is no hit, and has no score.
        per_well[f"{name}_hit"] = per_well[f"{name}_hit"].eq(True)
    columns = ["cell_type", "experiment", "batch", "role", "compound", "compound_key"]
    wells = obs[columns].astype(str).assign(dose=obs["treatment_conc"].astype(float))
    return Searches(
        wells.join(per_well),
        pd.concat([part.treatments for part in found], ignore_index=True),
        pd.concat([part.compounds for part in found], ignore_index=True),
        pd.concat([part.rules for part in found], ignore_index=True),
    )


def _check(obs: pd.DataFrame, spaces: Spaces, used: np.ndarray) -> None:
    if len(used) != len(obs):
        raise InputError(f"`used` has {len(used)} entries for {len(obs)} wells; give one for each")
    for name in ("places", "components", "profiles"):
        space = getattr(spaces, name)
        if space.ndim != 2 or len(space) != len(obs):
            raise InputError(
                f"{name} have shape {space.shape} for {len(obs)} wells; give a row for each"
            )
        if not np.isfinite(space[used]).all():
            raise InputError(f"{name} are not finite; leave such wells out, or mend the features")
    if obs.index.has_duplicates:
        twice = obs.index[obs.index.duplicated()]
        raise InputError(f"well ids {listing(twice, 3)} are there twice; ids must be unique")
    if not (obs["role"].astype(str) == "healthy").to_numpy()[used].any():
        raise InputError(
            "no healthy wells: there is no neighbourhood to search; name the healthy condition in "
            "`roles:`, or show activity against the vehicle instead"
        )


def _search_part(
    obs: pd.DataFrame, rows: np.ndarray, spaces: Spaces, settings: SearchSettings
) -> Searches:
    """Search the wells of one cell type, given in the order of their ids."""
    role = obs["role"].astype(str).to_numpy()
    plates = np.unique(obs["batch"].astype(str), return_inverse=True)[1]
    components, profiles = (_varying(space[rows]) for space in (spaces.components, spaces.profiles))
    k = {"n_neighbors": settings.n_neighbors}
    answers = {
        "radius_map": near_on_map(spaces.places[rows], role, radius=settings.radius, **k),
        "knn_pca": healthy_share(components, role, **k),
        "knn_full": healthy_share(profiles, role, **k),
        "mixture": mixture_density(
            components,
            role,
            plates,
            np.unique(obs["experiment"].astype(str), return_inverse=True)[1],
            components=settings.components,
            dimensions=settings.dimensions,
            threshold=settings.threshold,
            seed=settings.seed,
        ),
        "antipodal": antipodal_cosine(profiles, role, plates),
    }
    moved = earth_mover_scores(
        profiles,
        obs,
        most=settings.most_wells,
        fewest=settings.fewest_wells,
        seed=settings.seed,
    )
    scores = {f"{name}_score": answer.score for name, answer in answers.items()}
    hits = {f"{name}_hit": answer.hit(role) for name, answer in answers.items()}
    wells = pd.DataFrame(scores | hits, index=obs.index)
    treatments, compounds = _treatments_and_compounds(obs, wells, moved)
    own = antipodal_of_treatments(profiles, obs, role, plates)
    treatments["antipodal_score"] = own
    compounds["antipodal_score"] = _best(treatments, compounds, "antipodal_score")
    cell_type = str(obs["cell_type"].iloc[0])
    for table in (treatments, compounds):
        table.insert(0, "cell_type", cell_type)
    rules = _rules(answers, moved, role, compounds)
    rules.insert(0, "cell_type", cell_type)
    return Searches(wells, treatments, compounds, rules)


def _varying(space: np.ndarray) -> np.ndarray:
    """Drop the columns that are zero throughout (axes that another cell type has more)."""
    return space[:, space.any(axis=0)]


def _treatments_and_compounds(
    obs: pd.DataFrame, wells: pd.DataFrame, moved: EarthMover
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Gather scores of treatments, and counts and best scores of compounds, both by key."""
    treatments = moved.treatments.rename(columns={"score": "earth_mover_score"})
    codes, _ = treatment_codes(obs)
    counts = count_by_name(obs, np.zeros(len(obs), dtype=bool)).sort_values("compound_key")
    compounds = counts[["compound", "compound_key", "n_wells"]].reset_index(drop=True)
    in_hit = np.zeros(len(obs), dtype=bool)
    in_hit[codes >= 0] = treatments["hit"].to_numpy()[codes[codes >= 0]]
    for name in PER_WELL:
        score = wells[f"{name}_score"]
        excess = fair_ranking(obs, wells[f"{name}_hit"], score).treatments["excess"]
        treatments[f"{name}_score"] = excess if score.notna().any() else np.nan
    for name in SEARCHES:
        hit = wells[f"{name}_hit"].to_numpy() if name in PER_WELL else in_hit
        counted = count_by_name(obs, hit).set_index("compound_key")["count"]
        compounds[f"{name}_count"] = compounds["compound_key"].map(counted)
        compounds[f"{name}_score"] = _best(treatments, compounds, f"{name}_score")
    named = ["compound", "compound_key", "dose", "n_wells", *(f"{name}_score" for name in SEARCHES)]
    parts = ["on_score", "off_score", "on_untreated", "on_healthy"]
    return treatments[[*named, *parts]].copy(), compounds


def antipodal_of_treatments(
    points: np.ndarray, obs: pd.DataFrame, role: np.ndarray, plates: np.ndarray
) -> np.ndarray:
    """Cosine of every treatment's mean difference from untreated wells with the way to health.

    Parameters
    ----------
    points, role, plates
        As for :func:`screenbook.hits.healthy_likeness.antipodal_cosine`.
    obs : DataFrame, n rows
        ``role compound compound_key treatment_conc``.

    Returns
    -------
    ndarray of float64, shape (n_treatments,)
        In the order of :func:`screenbook.profiles.replicates.treatment_codes`; NaN where no
        well has a difference.
    """
    codes, treatments = treatment_codes(obs)
    offset, way, reason = antipodal_offsets(points, role, plates)
    if reason:
        return np.full(len(treatments), np.nan)
    asked = (codes >= 0) & np.isfinite(offset).all(axis=1) & np.isfinite(way).all(axis=1)
    sums = np.zeros((2, len(treatments), points.shape[1]))
    np.add.at(sums[0], codes[asked], offset[asked])
    np.add.at(sums[1], codes[asked], way[asked])
    return cosine(sums[0], sums[1])


def _best(treatments: pd.DataFrame, compounds: pd.DataFrame, column: str) -> pd.Series:
    best = treatments.groupby("compound_key")[column].max()
    return compounds["compound_key"].map(best).astype(float)


def _rules(
    answers: dict[str, Likeness], moved: EarthMover, role: np.ndarray, compounds: pd.DataFrame
) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    nan = float("nan")
    for name, asks in SEARCHES.items():
        row: dict[str, object] = {"search": name, "asks": asks}
        if name == "earth_mover":
            known = moved.treatments["score"].notna()
            on = moved.signature.on if moved.signature else np.empty(0, dtype=bool)
            facts = {"features_on": float(on.sum()), "features_off": float((~on).sum())}
            row |= {"level": 0.5, "reason": moved.reason, "healthy_kept": nan}
            row |= {"diseased_caught": nan, "treated": moved.treatments["n_wells"][known].sum()}
        else:
            answer = answers[name]
            facts = answer.facts
            row |= {"level": answer.level, "reason": answer.reason}
            row["healthy_kept"] = answer.share_reached(role, "healthy")
            row["diseased_caught"] = answer.share_reached(role, "diseased")
            row["treated"] = int((np.isfinite(answer.score) & (role == "treated")).sum())
        row["facts"] = "; ".join(f"{key} {value:g}" for key, value in facts.items())
        row["hits"] = int(compounds[f"{name}_count"].sum())
        row["follows_count"] = follows_replicates(compounds, f"{name}_count")
        row["follows_score"] = follows_replicates(compounds, f"{name}_score")
        rows.append(row)
    return pd.DataFrame(rows)
