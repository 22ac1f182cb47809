"""Does a treatment's nearest neighbour have its mechanism? NSC and NSCB accuracy.

The question of Ljosa et al. 2013 (10.1177/1087057113503553) on BBBC021: one mean profile for
each compound and dose, its nearest other profile by cosine, a hit if both have one mechanism
of action (MoA). *Not same compound* (NSC) bars the compound's own other doses; *not same
compound or batch* (NSCB, Ando et al. 2017, 10.1101/161422) also bars treatments that shared a
batch with it, so that a match cannot rest on the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.blocks import group_sums
from screenbook.profiles.batches import Part
from screenbook.profiles.replicates import treatment_codes


@dataclass(frozen=True)
class MechanismMatch:
    """Nearest eligible neighbours of all treatments with a known mechanism.

    Attributes
    ----------
    nsc, nscb : float
        Share of treatments whose neighbour has their mechanism, 0 to 1. A treatment without
        an eligible neighbour counts as wrong; NaN if none has one, as where every treatment
        stands in every batch.
    chance_nsc, chance_nscb : float
        Mean of the same when mechanisms are permuted among compounds.
    table : DataFrame
        One row per treatment: ``treatment`` (code), ``mechanism``, and for both rules the
        neighbour's code (-1 if none), its mechanism and its cosine similarity.
    """

    nsc: float
    nscb: float
    chance_nsc: float
    chance_nscb: float
    table: pd.DataFrame


def treatment_profiles(points: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Mean profile of each treatment's wells, (n_treatments, k)."""
    counts = np.bincount(codes[codes >= 0])
    return group_sums(points, codes, len(counts)) / np.maximum(counts, 1)[:, None]


def mechanisms_of(obs: pd.DataFrame, codes: np.ndarray) -> np.ndarray:
    """Mechanism of each treatment, ``""`` where none or more than one is given.

    Parameters
    ----------
    obs : DataFrame, n rows
        Metadata; without a column ``moa`` no mechanism is known.
    codes : ndarray of int, shape (n,)
        Treatment of each well, -1 for none.
    """
    n = int(codes.max(initial=-1)) + 1
    out = np.full(n, "", dtype=object)
    if "moa" not in obs:
        return out
    wells = pd.DataFrame({"code": codes, "moa": obs["moa"].astype(str).to_numpy()})
    named = wells[(wells["code"] >= 0) & (wells["moa"] != "")].drop_duplicates()
    single = named[~named.duplicated("code", keep=False)]
    out[single["code"].to_numpy()] = single["moa"].to_numpy()
    return out


def match_mechanisms(
    profiles: np.ndarray,
    mechanism: np.ndarray,
    compound: np.ndarray,
    codes: np.ndarray,
    batch: np.ndarray,
    *,
    n_permutations: int = 200,
    seed: int = 0,
) -> MechanismMatch | None:
    """Find each treatment's nearest neighbour under both rules, and count shared mechanisms.

    Parameters
    ----------
    profiles : ndarray, shape (n_treatments, k)
        Mean profile of each treatment.
    mechanism, compound : ndarray of str, shape (n_treatments,)
        Mechanism (``""`` if unknown: left out altogether) and compound.
    codes, batch : ndarray of int, shape (n_wells,)
        Treatment (-1 for none) and batch of each well. The batch is what treatments must not
        share for NSCB: the experiment, since plates of one week have much in common.
    n_permutations : int
        Permutations of mechanisms among compounds, for chance.
    seed : int
        Of the permutations.

    Returns
    -------
    MechanismMatch or None
        None if fewer than two mechanisms have two compounds each.
    """
    known = np.flatnonzero(mechanism != "")
    pairs = pd.DataFrame({"m": mechanism[known], "c": compound[known]}).drop_duplicates()
    if (pairs["m"].value_counts() > 1).sum() < 2:
        return None
    unit = profiles[known] / np.maximum(
        np.linalg.norm(profiles[known], axis=1, keepdims=True), 1e-12
    )
    similarity = unit @ unit.T
    same_compound = compound[known][:, None] == compound[known][None, :]
    member = np.zeros((len(profiles), int(batch.max()) + 1), dtype=np.float32)
    member[codes[codes >= 0], batch[codes >= 0]] = 1.0
    same_batch = member[known] @ member[known].T > 0

    labels, names = mechanism[known], compound[known]
    table = pd.DataFrame({"treatment": known, "mechanism": labels})
    accuracy, chance = {}, {}
    for rule, barred in (("nsc", same_compound), ("nscb", same_compound | same_batch)):
        allowed = np.where(barred, -np.inf, similarity)
        nearest = allowed.argmax(axis=1)
        there = np.isfinite(allowed[np.arange(len(known)), nearest])
        asked = bool(there.any())
        right = (there & (labels[nearest] == labels)).mean()
        accuracy[rule] = float(right) if asked else float("nan")
        guess = _chance(labels, names, nearest, there, n_permutations, seed)
        chance[rule] = guess if asked else float("nan")
        table[f"{rule}_neighbour"] = np.where(there, known[nearest], -1)
        table[f"{rule}_mechanism"] = np.where(there, labels[nearest], "")
        best = allowed[np.arange(len(known)), nearest]
        table[f"{rule}_similarity"] = np.where(there, best, np.nan)
    return MechanismMatch(accuracy["nsc"], accuracy["nscb"], chance["nsc"], chance["nscb"], table)


def _chance(
    labels: np.ndarray,
    names: np.ndarray,
    nearest: np.ndarray,
    there: np.ndarray,
    n_permutations: int,
    seed: int,
) -> float:
    """Mean accuracy of the same neighbours when whole compounds swap their mechanism."""
    rng = np.random.default_rng(seed)
    _, first, owner = np.unique(names, return_index=True, return_inverse=True)
    of_compound = labels[first]
    hits = [
        (there & (shuffled[nearest] == shuffled)).mean()
        for shuffled in (rng.permutation(of_compound)[owner] for _ in range(n_permutations))
    ]
    return float(np.mean(hits)) if hits else float("nan")


def match_part(
    part: Part, points: np.ndarray, *, n_permutations: int = 200, seed: int = 0
) -> MechanismMatch | None:
    """Match mechanisms of the treatments of one cell type; batches are experiments.

    Parameters
    ----------
    part : Part
        Wells of one cell type.
    points : ndarray, shape (n, k)
        Their profiles as a method leaves them.
    n_permutations, seed : int
        See :func:`match_mechanisms`.
    """
    codes, treatments = treatment_codes(part.obs)
    mechanism = mechanisms_of(part.obs, codes)
    if not (mechanism != "").any():
        return None
    return match_mechanisms(
        treatment_profiles(points, codes),
        mechanism,
        treatments["compound_key"].to_numpy(),
        codes,
        part.layout.experiment,
        n_permutations=n_permutations,
        seed=seed,
    )
