"""Structures: one identity per parent molecule, its scaffold, its drawing.

A screen's metadata call one compound by many names (brand, code, salt form). Two rows mean the
same compound when the parents of their structures (largest organic fragment, uncharged) share
an InChIKey. Where there is no readable structure, the name has to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D
from rdkit.Chem.MolStandardize import rdMolStandardize
from rdkit.Chem.Scaffolds import MurckoScaffold
from rdkit.rdBase import BlockLogs

_FRAGMENTS = rdMolStandardize.LargestFragmentChooser(preferOrganic=True)
_UNCHARGER = rdMolStandardize.Uncharger()


class Naming(NamedTuple):
    """Which compound each row of a screen holds.

    Attributes
    ----------
    compound : ndarray of object, shape (n,)
        Display name: one per key; ``""`` where the row has no treatment.
    compound_key : ndarray of object, shape (n,)
        InChIKey of the parent, or ``"name:"`` and the case-folded name; ``""`` if untreated.
    names : DataFrame
        One row per compound, in the order of first appearance, indexed by ``compound_key``:
        ``compound``, ``names`` (every spelling met, joined by ``"; "``) and ``smiles``
        (canonical, of the parent; ``""`` if there is no structure).
    unreadable : tuple of str
        SMILES that RDKit cannot read; their rows are keyed by name.
    """

    compound: np.ndarray
    compound_key: np.ndarray
    names: pd.DataFrame
    unreadable: tuple[str, ...]


def plain_smiles(smiles: str) -> str:
    """Cut what follows the SMILES itself.

    ChemAxon writes its extensions behind a blank (``CC=C |c:1,t:4|``); RDKit would read them
    as its own and refuse, so they go before it sees them.
    """
    return smiles.split()[0] if smiles.strip() else ""


@lru_cache(maxsize=65536)
def parent(smiles: str) -> tuple[str, str] | None:
    """Standardise a structure to its parent: largest organic fragment, without charge.

    Parameters
    ----------
    smiles : str
        SMILES, with or without a ChemAxon tail.

    Returns
    -------
    tuple of str or None
        Canonical SMILES and InChIKey of the parent; None if RDKit cannot read the structure,
        or if no carbon is left of it: without its metal cisplatin would pass for ammonia.
    """
    with BlockLogs():
        mol = Chem.MolFromSmiles(plain_smiles(smiles))
        if mol is None or mol.GetNumAtoms() == 0:
            return None
        mol = _UNCHARGER.uncharge(_FRAGMENTS.choose(rdMolStandardize.Cleanup(mol)))
        if not any(atom.GetAtomicNum() == 6 for atom in mol.GetAtoms()):
            return None
        key = Chem.MolToInchiKey(mol)
        return (Chem.MolToSmiles(mol), key) if key else None


def name_compounds(treatment: Iterable[str], smiles: Iterable[str]) -> Naming:
    """Join the aliases and salts of one structure under one key and one display name.

    A row without a readable structure takes the structure that its name has elsewhere, if
    that is only one. The display name is the spelling with most rows (ties: alphabetical
    order); if two structures would share it, the InChIKey's first block is added.

    Parameters
    ----------
    treatment, smiles : iterable of str, length n
        Name and structure of every row; ``""`` where there is none.

    Returns
    -------
    Naming
    """
    rows = pd.DataFrame(
        {"name": [name.strip() for name in treatment], "smiles": list(smiles)}, dtype=object
    )
    pairs = rows.value_counts(sort=False).rename("n").reset_index()
    parents = [parent(s) if s else None for s in pairs["smiles"]]
    pairs["key"] = [p[1] if p else "" for p in parents]
    pairs["parent"] = [p[0] if p else "" for p in parents]
    unreadable = pairs["smiles"].ne("") & pairs["key"].eq("")
    _key_by_name(pairs)
    display = _display_names(pairs)

    rows = rows.merge(pairs, on=["name", "smiles"], how="left", sort=False)
    key = rows["key"].to_numpy(dtype=object)
    met = [k for k in pd.unique(key) if k]
    by_key = pairs.sort_values(["name", "smiles"]).groupby("key", sort=False)
    names = pd.DataFrame(
        {
            "compound": [display[k] for k in met],
            "names": ["; ".join(dict.fromkeys(by_key.get_group(k)["name"])) for k in met],
            "smiles": [max(by_key.get_group(k)["parent"]) for k in met],
        },
        index=pd.Index(met, name="compound_key", dtype=object),
        dtype=object,
    )
    compound = np.array([display.get(k, "") for k in key], dtype=object)
    bad = tuple(sorted(set(pairs.loc[unreadable, "smiles"])))
    return Naming(compound, key, names, bad)


def _key_by_name(pairs: pd.DataFrame) -> None:
    """Fill the keys of pairs without a structure, and blank those without a name."""
    folded = [name.casefold() for name in pairs["name"]]
    known: dict[str, set[str]] = {}
    for name, key in zip(folded, pairs["key"], strict=True):
        if key:
            known.setdefault(name, set()).add(key)
    alone = {name: min(keys) for name, keys in known.items() if len(keys) == 1}
    pairs["key"] = [
        (key or alone.get(name, f"name:{name}")) if name else ""
        for name, key in zip(folded, pairs["key"], strict=True)
    ]


def _display_names(pairs: pd.DataFrame) -> dict[str, str]:
    """Pick one name per key, and tell apart structures that share it."""
    counts = pairs[pairs["key"].ne("")].groupby(["key", "name"])["n"].sum().reset_index()
    counts = counts.sort_values(["n", "name"], ascending=[False, True], kind="stable")
    best = dict(counts.drop_duplicates("key")[["key", "name"]].to_numpy())
    met = Counter(name.casefold() for name in best.values())
    shared = [k for k in best if met[best[k].casefold()] > 1 and not k.startswith("name:")]
    skeletons = Counter((best[k].casefold(), k.partition("-")[0]) for k in shared)
    for key in shared:  # stereoisomers share the first block of the InChIKey as well
        block = key.partition("-")[0]
        alone = skeletons[best[key].casefold(), block] == 1
        best[key] = f"{best[key]} [{block if alone else key}]"
    return best


def scaffold(smiles: str) -> str:
    """Bemis-Murcko scaffold of the parent, as canonical SMILES.

    Returns
    -------
    str
        ``""`` for an acyclic or unreadable structure.

    References
    ----------
    Bemis & Murcko, J. Med. Chem. 39, 2887 (1996), doi:10.1021/jm9602928.
    """
    found = parent(smiles)
    return MurckoScaffold.MurckoScaffoldSmiles(found[0]) if found else ""


def molecule_svg(smiles: str, width: int = 220, height: int = 150) -> str:
    """Draw a structure for a page that may be light or dark.

    The ground is transparent and all atoms share one mid grey that keeps a contrast above
    3:1 on white and on near-black, so one drawing serves both themes.

    Parameters
    ----------
    smiles : str
        Structure, drawn as given (salts included), without its ChemAxon tail.
    width, height : int
        Size in pixels.

    Returns
    -------
    str
        An ``<svg>`` element; ``""`` if RDKit cannot read the structure.
    """
    with BlockLogs():
        mol = Chem.MolFromSmiles(plain_smiles(smiles))
    if mol is None or mol.GetNumAtoms() == 0:
        return ""
    drawer = rdMolDraw2D.MolDraw2DSVG(width, height)
    options: Any = drawer.drawOptions()
    options.setBackgroundColour((1.0, 1.0, 1.0, 0.0))
    options.clearBackground = False
    grey = (0.45, 0.47, 0.50)
    options.setAtomPalette({-1: grey, 0: grey})
    options.bondLineWidth = 1.4
    options.padding = 0.06
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, mol)
    drawer.FinishDrawing()
    text = drawer.GetDrawingText()
    return text[text.index("<svg") :].strip()
