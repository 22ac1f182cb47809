"""Compounds with a structure, a picture and perhaps a mechanism: how alike all pairs are in each.

Every test of structure starts here, so that all of them speak of the same compounds. A compound
is a parent molecule: rows whose parents share an InChIKey are one compound, whose profile is
their mean. Structures are compared in three ways, because a fingerprint that sees no likeness
may have missed it: Morgan fingerprints (what atoms have around them), MACCS keys (166 named
groups) and ten physico-chemical descriptors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors
from scipy.spatial.distance import pdist, squareform
from scipy.stats import zscore

from screenbook.chemistry import parent, scaffold
from screenbook.errors import InputError
from screenbook.fingerprints import morgan_fingerprints, tanimoto

FEWEST = 10
"""Compounds below which no test of structure is made: 45 pairs, of which hardly one is close."""

REPRESENTATIONS = ("Morgan", "MACCS", "descriptors")
"""Names of the structural similarities, the first of them the one that verdicts rest on."""

_NO_STRUCTURE, _UNREADABLE = "no structure", "SMILES cannot be read"
_MENDED = {_NO_STRUCTURE, _UNREADABLE}  # reasons that better metadata would take away

_IONISED = Chem.MolFromSmarts(
    "[$([NX3;H2,H1,H0;!$(N-[C,S,P]=[O,N,S]);!$(N-a);!$(N-[N,O])]-[CX4]),"
    "$([CX3](=O)[OX2H1]),$([SX4](=O)(=O)[OX2H1]),$([PX4](=O)[OX2H1])]"
)

DESCRIPTORS: dict[str, Callable[[Chem.Mol], float]] = {
    "mass": rdMolDescriptors.CalcExactMolWt,
    "logP": lambda mol: rdMolDescriptors.CalcCrippenDescriptors(mol)[0],
    "polar surface": rdMolDescriptors.CalcTPSA,
    "H donors": rdMolDescriptors.CalcNumHBD,
    "H acceptors": rdMolDescriptors.CalcNumHBA,
    "rotatable bonds": rdMolDescriptors.CalcNumRotatableBonds,
    "rings": rdMolDescriptors.CalcNumRings,
    "aromatic rings": rdMolDescriptors.CalcNumAromaticRings,
    "fraction sp3": rdMolDescriptors.CalcFractionCSP3,
    "basic or acidic groups": lambda mol: len(mol.GetSubstructMatches(_IONISED)),
}
"""Name to function of a molecule. Parents bear no charge, so groups that would are counted."""

COLUMNS = ("compound", "compound_key", "smiles", "scaffold", "mechanism", "strength", "n_rows")
"""Columns of ``CompoundSet.table``."""


@dataclass(frozen=True)
class CompoundSet:
    """Compounds with a readable structure and a profile.

    Attributes
    ----------
    table : DataFrame, n rows
        ``compound`` (name), ``compound_key`` (InChIKey of the parent), ``smiles`` (of the
        parent), ``scaffold`` (Bemis-Murcko, ``""`` if acyclic), ``mechanism`` (``""`` if
        unknown), ``strength`` (how far it changes cells) and ``n_rows`` (that were merged).
    profiles : ndarray of float64, shape (n, k)
    left_out : DataFrame
        What is not among them, or not by itself: ``compound``, ``smiles`` and ``reason``.
    """

    table: pd.DataFrame
    profiles: np.ndarray
    left_out: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    @property
    def refusal(self) -> str:
        """Why these compounds cannot be asked about structure; ``""`` if they can."""
        if len(self) >= FEWEST:
            return ""
        reasons = Counter(str(reason).partition(":")[0] for reason in self.left_out["reason"])
        why = "; ".join(f"{n} x {reason}" for reason, n in reasons.most_common())
        mend = "give SMILES in the metadata" if reasons.keys() & _MENDED else "add compounds"
        return (
            f"{len(self)} compounds have a readable structure and a profile, and {FEWEST} are "
            f"needed to ask about structure{f' (left out: {why})' if why else ''}: {mend}"
        )

    @property
    def mechanism(self) -> np.ndarray:
        """Mechanism of each compound, str (n,)."""
        return self.table["mechanism"].to_numpy(dtype=str)

    @cached_property
    def phenotype(self) -> np.ndarray:
        """Cosine similarity of all profiles, (n, n)."""
        return cosine(self.profiles)

    @cached_property
    def bits(self) -> np.ndarray:
        """Morgan fingerprints, 0 or 1, float32 (n, N_BITS)."""
        found = morgan_fingerprints(self.table["compound_key"], self.table["smiles"])
        return found.bits.to_numpy()

    @cached_property
    def descriptors(self) -> pd.DataFrame:
        """Physico-chemical descriptors in their own units, n rows, indexed by compound."""
        mols = [Chem.MolFromSmiles(text) for text in self.table["smiles"]]
        values = {name: [float(f(mol)) for mol in mols] for name, f in DESCRIPTORS.items()}
        return pd.DataFrame(values, index=pd.Index(self.table["compound"], name="compound"))

    @cached_property
    def structure(self) -> dict[str, np.ndarray]:
        """Structural similarity of all pairs by representation, (n, n) each.

        Tanimoto of Morgan fingerprints and of MACCS keys, 0 to 1; for descriptors minus the
        Euclidean distance of their z-scores, at most 0.
        """
        mols = [Chem.MolFromSmiles(text) for text in self.table["smiles"]]
        keys = np.array(
            [list(rdMolDescriptors.GetMACCSKeysFingerprint(mol)) for mol in mols], dtype=np.float32
        )
        scores = self.descriptors.loc[:, self.descriptors.nunique().to_numpy() > 1]
        far = pdist(zscore(scores.to_numpy())) if scores.shape[1] else np.zeros(_pairs(len(self)))
        alike = tanimoto(self.bits, self.bits), tanimoto(keys, keys), -squareform(far)
        return dict(zip(REPRESENTATIONS, (a.astype(np.float64) for a in alike), strict=True))

    def subset(self, rows: np.ndarray) -> CompoundSet:
        """Keep some compounds, chosen by a mask or by row numbers."""
        table = self.table[rows] if rows.dtype == bool else self.table.iloc[rows]
        return replace(self, table=table.reset_index(drop=True), profiles=self.profiles[rows])


def compound_set(
    compound: Iterable[str],
    smiles: Iterable[str],
    mechanism: Iterable[str],
    profiles: np.ndarray,
    strength: np.ndarray | None = None,
) -> CompoundSet:
    """Gather the compounds that can be asked about structure, and say why others cannot.

    Rows whose parents share an InChIKey (salts, names written twice) are merged: the mean of
    their profiles, the first of their names, and their mechanism if they agree on one.

    Parameters
    ----------
    compound, smiles, mechanism : iterable of str, length m
        Name, structure and mechanism of every row; ``""`` where unknown.
    profiles : ndarray, shape (m, k)
        Mean profile of every row, zero where cells are as untreated. A row with a missing
        number, or of zeros only, is left out: it has no direction.
    strength : ndarray, shape (m,), optional
        How far each changes cells, where the length of its profile does not say so.

    Returns
    -------
    CompoundSet
        With fewer than :data:`FEWEST` compounds its `refusal` says so, and tests raise it.

    Raises
    ------
    InputError
        If lengths differ.
    """
    values = np.asarray(profiles, dtype=np.float64)
    lengths = np.linalg.norm(np.atleast_2d(values), axis=1) if strength is None else strength
    columns = {"compound": compound, "smiles": smiles, "mechanism": mechanism}
    rows = {name: ["" if pd.isna(v) else str(v).strip() for v in c] for name, c in columns.items()}
    counts = {name: len(c) for name, c in rows.items()} | {"strength": len(lengths)}
    if values.ndim != 2 or set(counts.values()) != {len(values)}:
        told = ", ".join(f"{n} of {name}" for name, n in counts.items())
        raise InputError(
            f"profiles have shape {values.shape} and beside them are {told}: "
            "give one row of each for every compound"
        )
    found = pd.DataFrame(rows, dtype=object).assign(strength=lengths)
    parents = [parent(text) if text else None for text in found["smiles"]]
    found["compound_key"] = [p[1] if p else "" for p in parents]
    found["parent"] = [p[0] if p else "" for p in parents]
    found["reason"] = _reasons(found, values)
    table, means = _merge(found[found["reason"] == ""], values)
    left_out = found.loc[found["reason"] != "", ["compound", "smiles", "reason"]]
    merged = _merged(found[found["reason"] == ""])
    return CompoundSet(table, means, pd.concat([left_out, merged]).sort_index())


def unit(profiles: np.ndarray) -> np.ndarray:
    """Scale profiles, (..., k), to length 1; zeros stay."""
    length = np.linalg.norm(profiles, axis=-1, keepdims=True)
    return np.asarray(profiles / np.where(length == 0, 1.0, length))


def cosine(profiles: np.ndarray) -> np.ndarray:
    """Cosine similarity of all rows: (..., n, k) to (..., n, n)."""
    rows = unit(profiles)
    return np.asarray(rows @ rows.swapaxes(-1, -2))


def _reasons(found: pd.DataFrame, values: np.ndarray) -> np.ndarray:
    """Why each row cannot be used, ``""`` if it can."""
    missing = ~np.isfinite(values).all(axis=1) | ~np.isfinite(found["strength"].astype(float))
    return np.select(
        [
            found["smiles"] == "",
            found["compound_key"] == "",
            missing,
            ~values.any(axis=1),
        ],
        [_NO_STRUCTURE, _UNREADABLE, "profile has missing numbers", "profile is zero"],
        default="",
    ).astype(object)


def _merge(found: pd.DataFrame, values: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """One row for each parent, in order of first appearance."""
    records, means = [], []
    for key, rows in found.groupby("compound_key", sort=False):
        named = [m for m in pd.unique(rows["mechanism"]) if m]
        records.append(
            {
                "compound": rows["compound"].iloc[0],
                "compound_key": key,
                "smiles": rows["parent"].iloc[0],
                "scaffold": scaffold(rows["parent"].iloc[0]),
                "mechanism": named[0] if len(named) == 1 else "",
                "strength": rows["strength"].mean(),
                "n_rows": len(rows),
            }
        )
        means.append(values[rows.index].mean(axis=0))
    profiles = np.array(means) if means else np.zeros((0, values.shape[1]))
    return pd.DataFrame(records, columns=list(COLUMNS)), profiles


def _merged(found: pd.DataFrame) -> pd.DataFrame:
    """List what became part of another row, and say where their mechanisms disagree."""
    records = {}
    for _, rows in found.groupby("compound_key", sort=False):
        named = [m for m in pd.unique(rows["mechanism"]) if m]
        clash = f"; mechanisms {' and '.join(map(repr, named))} disagree: unknown"
        for at in rows.index[1:]:
            records[at] = {
                "compound": rows.loc[at, "compound"],
                "smiles": rows.loc[at, "smiles"],
                "reason": f"same parent as another: {rows['compound'].iloc[0]!r}, profiles "
                f"averaged{clash if len(named) > 1 else ''}",
            }
    return pd.DataFrame.from_dict(records, orient="index", columns=["compound", "smiles", "reason"])


def _pairs(n: int) -> int:
    return n * (n - 1) // 2
