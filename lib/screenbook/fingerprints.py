"""Structures as bits: Morgan fingerprints of parents, and how alike two of them are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from screenbook.chemistry import parent

N_BITS = 2048
RADIUS = 2


@dataclass(frozen=True)
class Fingerprints:
    """Morgan fingerprints of compounds.

    Attributes
    ----------
    bits : DataFrame of float32, shape (n_compounds, N_BITS)
        0 or 1, indexed by ``compound_key``, in order of first appearance. A compound without a
        readable structure has a row of zeros.
    without : tuple of str
        Keys of the compounds that have such a row.
    """

    bits: pd.DataFrame
    without: tuple[str, ...]


def morgan_fingerprints(compound_key: Iterable[str], smiles: Iterable[str]) -> Fingerprints:
    """Fingerprint the parent structure of every compound.

    Parameters
    ----------
    compound_key, smiles : iterable of str, length n
        Key and structure of each row; rows with an empty key (controls) are left out. Of the
        structures of a key the first readable one counts, since salts of it have one parent.

    Returns
    -------
    Fingerprints

    References
    ----------
    Rogers & Hahn, J. Chem. Inf. Model. 50, 742 (2010), doi:10.1021/ci100050t.
    """
    structure: dict[str, str] = {}
    pairs = pd.DataFrame({"key": list(compound_key), "smiles": list(smiles)}).drop_duplicates()
    for key, text in pairs[pairs["key"] != ""].itertuples(index=False):
        if not structure.get(key):
            found = parent(text) if isinstance(text, str) and text else None
            structure[key] = found[0] if found else ""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=N_BITS)
    bits = np.zeros((len(structure), N_BITS), dtype=np.float32)
    for row, text in enumerate(structure.values()):
        if text:
            bits[row] = generator.GetFingerprintAsNumPy(Chem.MolFromSmiles(text))
    index = pd.Index(list(structure), name="compound_key", dtype=object)
    without = tuple(key for key, text in structure.items() if not text)
    return Fingerprints(pd.DataFrame(bits, index=index), without)


def tanimoto(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Tanimoto similarity of all pairs of fingerprints.

    Parameters
    ----------
    a : ndarray, shape (n, n_bits)
    b : ndarray, shape (m, n_bits)
        0 or 1.

    Returns
    -------
    ndarray of float32, shape (n, m)
        Shared bits by bits in either, 0 to 1. A fingerprint without a bit is like nothing,
        itself included.
    """
    a, b = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    shared = a @ b.T
    either = a.sum(axis=1)[:, None] + b.sum(axis=1)[None, :] - shared
    return shared / np.maximum(either, 1)
