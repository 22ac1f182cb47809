"""How well held-out profiles and held-out molecules fit each other, by every method.

The baselines need no net. That they stand in the same table is the point: a model that reads
structures is worth its training only where it finds more than they do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import normalize

from screenbook.fingerprints import tanimoto
from screenbook.structure.imaged_compounds import ImagedCompounds, mean_by
from screenbook.structure.two_towers import TowerModel

IMAGE_TO_MOLECULE, MOLECULE_TO_IMAGE = "image to molecule", "molecule to image"
"""Who asks whom."""

PENALTIES = tuple(10.0**e for e in range(-2, 6))
"""Of the ridge regressions; chosen by leaving out one training compound."""


@dataclass(frozen=True)
class Asked:
    """What a method is given: compounds it may learn from, and those it is asked about.

    Attributes
    ----------
    imaged : ImagedCompounds
    known, asked : ndarray of int
        Rows of ``imaged.table``.
    """

    imaged: ImagedCompounds
    known: np.ndarray
    asked: np.ndarray


Scores = tuple[np.ndarray, np.ndarray]
"""For m compounds asked, (m, m) each: profile i with molecule j, and molecule i with profile j."""


def by_chance(ask: Asked) -> Scores:
    """Score all alike: what is expected of a random order."""
    m = len(ask.asked)
    return np.zeros((m, m)), np.zeros((m, m))


def by_nearest_compound(ask: Asked) -> Scores:
    """Take the nearest training compound for the query, and rank what is like it.

    For a profile: the training compound nearest in profile, then Tanimoto of the candidates to
    it. For a molecule: the training compounds nearest in structure, then the cosine of the
    candidates to the mean of their profiles.
    """
    means, bits = normalize(ask.imaged.means), ask.imaged.bits
    near = (means[ask.asked] @ means[ask.known].T).argmax(axis=1)
    molecules = tanimoto(bits[ask.known][near], bits[ask.asked])
    alike = tanimoto(bits[ask.asked], bits[ask.known])
    nearest = alike >= alike.max(axis=1, keepdims=True)  # all that are equally near
    profiles = normalize(nearest @ means[ask.known]) @ means[ask.asked].T
    return molecules, profiles


def by_mechanism(ask: Asked) -> Scores:
    """Compare the profile with the mean of the molecule's mechanism, where that is known.

    This one is told the mechanism of a held-out molecule, which no structure says: it is not a
    rival of the others but shows what knowing the mechanism would be worth.
    """
    names = ask.imaged.table["moa"].to_numpy(dtype=object)
    means = normalize(ask.imaged.means)
    fit = np.full((len(ask.asked), len(ask.asked)), np.nan)
    for j, name in enumerate(names[ask.asked]):
        alike = ask.known[names[ask.known] == name]
        if name and len(alike):
            fit[:, j] = means[ask.asked] @ normalize(means[alike].mean(axis=0)[None])[0]
    return fit, fit.T


def by_ridge(ask: Asked) -> Scores:
    """Regress fingerprints on profiles and profiles on fingerprints; rank by cosine."""
    means, bits = ask.imaged.means, ask.imaged.bits
    scale = np.maximum(means[ask.known].std(axis=0), 1e-9)
    profiles = (means - means[ask.known].mean(axis=0)) / scale
    structure = bits - bits[ask.known].mean(axis=0)
    return _regress(profiles, structure, ask), _regress(structure, profiles, ask)


def _regress(x: np.ndarray, y: np.ndarray, ask: Asked) -> np.ndarray:
    model = RidgeCV(alphas=PENALTIES).fit(x[ask.known], y[ask.known])
    return np.asarray(normalize(model.predict(x[ask.asked])) @ normalize(y[ask.asked]).T)


def by_towers(model: TowerModel, ask: Asked) -> Scores:
    """Compare places in the shared space; the place of a compound is the mean of its profiles."""
    imaged = ask.imaged
    places = mean_by(model.see(imaged.points), imaged.compound, len(imaged.table))
    read = model.read(imaged.table["smiles"].iloc[ask.asked].tolist())
    fit = normalize(places[ask.asked]) @ read.T
    return fit, fit.T


BASELINES: dict[str, Callable[[Asked], Scores]] = {
    "random": by_chance,
    "nearest compound": by_nearest_compound,
    "mechanism mean": by_mechanism,
    "ridge": by_ridge,
}
"""Methods without a net."""
