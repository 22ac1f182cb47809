"""Predict a compound's structure from its picture, for scaffolds that were never seen.

Ridge regression from the profile to fingerprint bits and physico-chemical descriptors, all
compounds of a Bemis-Murcko scaffold held out together, so that no analogue with the same ring
system is learned from. (Compounds that differ in a ring of a substituent have different
scaffolds and may still be analogues; no split by scaffold knows that.)

The penalty does not look at structures: it is the mean eigenvalue of the profiles' kernel. So
nothing is fitted twice: the predictions for a held-out fold follow from the smoother of all
compounds in closed form, and a thousand permutations take seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from scipy.stats import false_discovery_control, rankdata

from screenbook.errors import InputError
from screenbook.fingerprints import N_BITS, RADIUS
from screenbook.structure.compound_folds import deal
from screenbook.structure.permutations import (
    ALL,
    WITHIN,
    Permuted,
    cannot_permute,
    mechanism_codes,
    shuffles,
)
from screenbook.structure.similarity import CompoundSet, unit

N_FOLDS = 5
LEAST_WITH = 5
"""Compounds that must have a bit, and that must lack it."""
LEAST_SCAFFOLDS = 3
"""Scaffolds on which a bit must be found, and on which it must be missing."""
MOST_BITS = 40
"""Bits that are predicted, those nearest to half of the compounds first."""

BITS, DESCRIPTORS = "fingerprint bits", "descriptors"
OVERALL = "all"
"""What the row of the mean over properties is called."""

_CHUNK = 2**21  # numbers of permuted smoothers held at a time


@dataclass(frozen=True)
class Targets:
    """What is predicted of n compounds.

    Attributes
    ----------
    kind : str
        :data:`BITS` or :data:`DESCRIPTORS`.
    names : tuple of str, length q
    values : ndarray of float64, shape (n, q)
    fold : ndarray of int, shape (n,)
        Compounds of one scaffold share it.
    """

    kind: str
    names: tuple[str, ...]
    values: np.ndarray
    fold: np.ndarray

    @property
    def measure(self) -> str:
        """How predictions are scored: by the ranks they give."""
        return "AUROC" if self.kind == BITS else "Spearman"

    @property
    def note(self) -> str:
        """Why nothing can be predicted; ``""`` if it can."""
        if self.fold.max(initial=0) < 1:
            return "all compounds have one scaffold: none can be held out"
        return "" if self.names else f"no {self.kind[:-1]} varies enough over scaffolds"

    def scores(self, predicted: np.ndarray) -> np.ndarray:
        """AUROC or Spearman correlation of predictions, (..., q, n) to (..., q)."""
        n = len(self.values)
        rank = rankdata(self.values, axis=0).T - (n + 1) / 2
        if self.kind == BITS:  # AUROC is the rank sum of those that have the bit
            having = self.values.sum(axis=0)[:, None]
            weight, offset = self.values.T / (having * (n - having)), 0.5
        else:
            size = np.linalg.norm(rank, axis=1, keepdims=True) * np.sqrt((n**3 - n) / 12)
            weight, offset = rank / np.maximum(size, 1e-12), 0.0
        # One sort does it; ranks that know of ties take five times as long.
        order = np.argsort(predicted, axis=-1)
        ordered = np.take_along_axis(predicted, order, axis=-1)
        if (ordered[..., 1:] == ordered[..., :-1]).any():
            place = rankdata(predicted, axis=-1) - (n + 1) / 2
            return np.asarray(offset + (place * weight).sum(axis=-1))
        spread = np.take_along_axis(np.broadcast_to(weight, predicted.shape), order, axis=-1)
        return np.asarray(offset + spread @ (np.arange(n) - (n - 1) / 2))


def targets(compounds: CompoundSet, kind: str, *, seed: int = 0) -> Targets:
    """Choose what is predicted, and the folds.

    Parameters
    ----------
    compounds : CompoundSet
    kind : str
        :data:`BITS`: Morgan bits that enough compounds on enough scaffolds have and lack; of
        those that the same compounds have, one. :data:`DESCRIPTORS`: those that vary.
    seed : int
        Of the order in which scaffolds of one size are dealt to the folds.
    """
    scaffold = compounds.table["scaffold"].to_numpy(dtype=str)
    group = np.unique(scaffold, return_inverse=True)[1]  # acyclic compounds are one unit
    fold = deal(group, min(N_FOLDS, len(np.unique(group))), seed)
    if kind == DESCRIPTORS:
        table = compounds.descriptors
        varied = table.columns[table.nunique() > 2]
        return Targets(kind, tuple(varied), table[varied].to_numpy(), fold)
    bits, first = np.unique(compounds.bits, axis=1, return_index=True)
    member = np.eye(group.max(initial=0) + 1)[group]
    enough = np.ones(bits.shape[1], dtype=bool)
    for having in (bits, 1 - bits):
        enough &= (having.sum(axis=0) >= LEAST_WITH) & (
            ((member.T @ having) > 0).sum(axis=0) >= LEAST_SCAFFOLDS
        )
    at = np.flatnonzero(enough)
    at = at[np.argsort(np.abs(bits[:, at].mean(axis=0) - 0.5), kind="stable")][:MOST_BITS]
    names = tuple(_fragment(compounds, int(first[b])) for b in at)
    return Targets(kind, names, bits[:, at].astype(np.float64), fold)


def smoother(profiles: np.ndarray) -> np.ndarray:
    """Matrix that takes what is to be predicted to its ridge fit, intercept and all.

    Parameters
    ----------
    profiles : ndarray, shape (..., n, k)
        Their directions are used, as by the cosine.

    Returns
    -------
    ndarray of float64, shape (..., n, n)
    """
    points = unit(profiles)
    points = points - points.mean(axis=-2, keepdims=True)
    kernel = points @ points.swapaxes(-1, -2)
    n = kernel.shape[-1]
    penalty = np.trace(kernel, axis1=-2, axis2=-1)[..., None, None] / n
    ridge = kernel + np.maximum(penalty, 1e-12) * np.eye(n)
    return np.linalg.solve(ridge, kernel) + 1 / n


def held_out_scores(
    smooth: np.ndarray, wanted: Sequence[Targets], drawn: np.ndarray
) -> list[np.ndarray]:
    """Score predictions for held-out scaffolds, for each arrangement of profiles.

    Leaving out a fold g of a linear smoother S leaves the errors ``(I - S_gg)^-1 (y - S y)_g``
    (Cook's identity for groups), so that no fold is fitted anew.

    Parameters
    ----------
    smooth : ndarray, shape (n, n)
        Of :func:`smoother`.
    wanted : sequence of Targets
        With the same folds.
    drawn : ndarray of int, shape (n_arrangements, n)
        Whose profile each compound gets.

    Returns
    -------
    list of ndarray of float64, shape (n_arrangements, q)
        For each of the targets.
    """
    y = np.hstack([told.values for told in wanted])
    ends = np.cumsum([told.values.shape[1] for told in wanted])[:-1]
    found = []
    for part in np.array_split(drawn, 1 + drawn.shape[0] * smooth.size // _CHUNK):
        mixed = smooth[part[:, :, None], part[:, None, :]]
        error = y - mixed @ y
        predicted = np.empty((len(part), y.shape[1], len(y)))
        for fold in np.unique(wanted[0].fold):
            g = np.flatnonzero(wanted[0].fold == fold)
            own = np.eye(len(g)) - mixed[:, g[:, None], g]
            predicted[:, :, g] = (y[g] - np.linalg.solve(own, error[:, g])).swapaxes(1, 2)
        parts = np.split(predicted, ends, axis=1)
        found.append([told.scores(part) for told, part in zip(wanted, parts, strict=True)])
    return [np.vstack(scores) for scores in zip(*found, strict=True)]


def held_out_table(
    compounds: CompoundSet, *, n_permutations: int = 199, seed: int = 0
) -> pd.DataFrame:
    """Predict structure from the picture for scaffolds held out.

    Parameters
    ----------
    compounds : CompoundSet
    n_permutations, seed : int

    Returns
    -------
    DataFrame
        For each kind and each way to permute, a row for the mean over properties (``property``
        is :data:`OVERALL`) and one for each property (a bit is named by the fragment that sets
        it, and its number): ``kind``, ``property``, ``measure``
        (``"AUROC"``, ``"Spearman"``), ``beyond``, ``permuted``, ``value``, ``null_mean``,
        ``null_low``, ``null_high`` (95 % of permutations), ``p`` (one-sided), ``q`` (over the
        properties of a kind), ``n_with`` (compounds that have the bit; missing for descriptors),
        ``n_compounds``, ``n_scaffolds`` and ``note``.

    Raises
    ------
    InputError
        If there are too few compounds.
    """
    if compounds.refusal:
        raise InputError(compounds.refusal)
    parts = []
    smooth = smoother(compounds.profiles)
    n, group = len(compounds), mechanism_codes(compounds.mechanism)
    for kind in (BITS, DESCRIPTORS):
        wanted = targets(compounds, kind, seed=seed)
        for permuted in (ALL, WITHIN):
            note = wanted.note or (cannot_permute(group) if permuted == WITHIN else "")
            drawn = shuffles(n, n_permutations, seed, group if permuted == WITHIN else None)
            scores = np.full((1, len(wanted.names)), np.nan)
            if not note:
                scores = held_out_scores(smooth, [wanted], np.vstack([np.arange(n), drawn]))[0]
            table = _rows(wanted, scores)
            parts.append(table.assign(permuted=permuted, beyond=permuted == WITHIN, note=note))
    n_scaffolds = compounds.table["scaffold"].nunique()
    out = pd.concat(parts, ignore_index=True)
    return out.assign(n_compounds=n, n_scaffolds=n_scaffolds)


def _rows(wanted: Targets, scores: np.ndarray) -> pd.DataFrame:
    """One row for the mean over properties and one for each property."""
    whole = scores.mean(axis=1) if scores.shape[1] else np.full(1, np.nan)
    counts = wanted.values.sum(axis=0) if wanted.kind == BITS else np.full(scores.shape[1], np.nan)
    rows = [
        {"kind": wanted.kind, "property": name, "measure": wanted.measure, "value": column[0],
         **Permuted(float(column[0]), column[1:]).row(), "n_with": n}
        for name, column, n in zip(
            (OVERALL, *wanted.names), (whole, *scores.T), (np.nan, *counts), strict=True
        )
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    table["q"] = np.nan
    single = table["p"].notna() & table["property"].ne(OVERALL)
    if single.any():
        table.loc[single, "q"] = false_discovery_control(table.loc[single, "p"])
    return table


def _fragment(compounds: CompoundSet, bit: int) -> str:
    """Name a bit by the atoms that set it in the first compound that has it."""
    at = int(compounds.bits[:, bit].argmax())
    mol = Chem.MolFromSmiles(compounds.table["smiles"].iloc[at])
    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=N_BITS)
    generator.GetFingerprint(mol, additionalOutput=output)
    atom, radius = output.GetBitInfoMap()[bit][0]
    bonds = Chem.FindAtomEnvironmentOfRadiusN(mol, radius, atom)
    atoms = {atom}.union(
        *({b.GetBeginAtomIdx(), b.GetEndAtomIdx()} for b in map(mol.GetBondWithIdx, bonds))
    )
    return f"{Chem.MolFragmentToSmiles(mol, list(atoms), list(bonds), rootedAtAtom=atom)} ({bit})"
