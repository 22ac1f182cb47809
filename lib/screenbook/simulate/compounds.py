"""A library of invented compounds: valid structures, names no drug bears, mechanisms.

Structures are put together from scaffolds and substituents. Mechanism is tied to scaffold, as
in a real library, and as there a scaffold is no promise: some analogues do nothing. The tie can
be loosened, to see what tests of structure make of it. A structure may by chance have been made
by somebody; names and mechanisms are invented throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from rdkit import Chem

from screenbook.errors import InputError
from screenbook.simulate.spec import ScreenSpec


class Mechanism(NamedTuple):
    """A way to act, and the scaffold that acts so.

    Attributes
    ----------
    name : str
        As an annotation would have it; invented, and silent about the class.
    kind : str
        Class of its active members; ``"selective"`` for rescue in one cell type.
    scaffold : str
        SMILES with two open places: ``[*:1]`` on a carbon, ``[*:2]`` on a heteroatom.
    """

    name: str
    kind: str
    scaffold: str


MECHANISMS = (
    Mechanism("entry blocker A", "rescuer", "[*:1]c1ccc2ncnc(N[*:2])c2c1"),
    Mechanism("copying blocker B", "rescuer", "[*:1]c1nc(N)c2ncn(C3CCC(CO[*:2])O3)c2n1"),
    Mechanism("host signal blocker C", "selective", "[*:1]c1nn(C)c2ncnc(N[*:2])c12"),
    Mechanism("vesicle buffer D", "selective", "[*:1]c1ccc2c(N[*:2])ccnc2c1"),
    Mechanism("stress relay opener E", "aggravator", "[*:1]c1ccc(C(O)CN[*:2])cc1"),
    Mechanism("ion pump blocker F", "toxic", "[*:1]c1ccc2[nH]c(C(=O)N[*:2])cc2c1"),
    Mechanism("spindle binder G", "toxic", "[*:1]c1ccc2[nH]c(NC(=O)O[*:2])nc2c1"),
    Mechanism("turnover blocker H", "toxic", "[*:1]c1ccc2Sc3ccccc3N([*:2])c2c1"),
    Mechanism("ring stacker J", "fluorescent", "[*:1]c1ccc2c(=O)c3ccccc3n([*:2])c2c1"),
    Mechanism("ring stacker K", "fluorescent", "[*:1]c1ccc2oc(=O)c(C(=O)N[*:2])cc2c1"),
    Mechanism("shape relay tuner L", "off_axis", "[*:1]c1ccc(-c2nc(C(=O)N[*:2])cs2)cc1"),
    Mechanism("lipid store tuner M", "off_axis", "[*:1]c1ccc(-c2ccc(C(=O)N[*:2])cc2)cc1"),
    Mechanism("cycle clock tuner N", "off_axis", "[*:1]c1ccc(-n2cc(CN[*:2])nn2)cc1"),
    Mechanism("channel tuner P", "inert", "[*:1]c1ccc(S(=O)(=O)N[*:2])cc1"),
    Mechanism("receptor tuner Q", "inert", "[*:1]c1ccc(N2CCN([*:2])CC2)cc1"),
    Mechanism("receptor tuner R", "inert", "[*:1]c1ccc(C2CC(=O)N([*:2])C2)cc1"),
    Mechanism("enzyme tuner S", "inert", "[*:1]c1ccc(C2NC(=O)N([*:2])C2=O)cc1"),
    Mechanism("enzyme tuner T", "inert", "[*:1]c1ccc(NC(=O)N[*:2])cc1"),
    Mechanism("transport tuner U", "inert", "[*:1]c1ccc(-c2noc(CN[*:2])n2)cc1"),
)
"""All mechanisms; the members of one share a scaffold, unless ``scaffold_tie`` is below 1."""

ON_CARBON = (
    *("F", "Cl", "Br", "C", "CC", "C(C)C", "C1CC1", "C(C)(C)C", "C(F)(F)F", "C#N", "OC", "OCC"),
    *("OCCOC", "OC(F)(F)F", "SC", "S(C)(=O)=O", "N(C)C", "N1CCCC1", "N1CCOCC1", "C(N)=O"),
    *("c1ccccc1", "c1ccc(F)cc1", "c1ccncc1", "c1cccs1"),
)
ON_HETERO = (
    *("CC", "CCC", "CCCC", "C(C)C", "CC(C)C", "C1CC1", "CC1CC1", "C1CCCC1", "C1CCCCC1"),
    *("C1CCOCC1", "CC1CCOCC1", "CCO", "CCOC", "CC(F)(F)F", "CC#N", "Cc1ccccc1"),
    *("Cc1ccc(F)cc1", "Cc1ccc(OC)cc1", "Cc1ccncc1", "Cc1ccco1", "Cc1cccs1", "CCc1ccccc1"),
)
BASIC = ("CCN(C)C", "CCCN(C)C", "CCN1CCOCC1", "C1CCN(C)CC1", "CCN1CCCC1", "CCN(CC)CC")
"""Substituents whose amine forms a hydrochloride; they go on the heteroatom."""

SALT = " hydrochloride"


def build_molecule(scaffold: str, on_carbon: str, on_hetero: str) -> Chem.Mol:
    """Join a scaffold and its two substituents.

    Parameters
    ----------
    scaffold : str
        SMILES with ``[*:1]`` and ``[*:2]``.
    on_carbon, on_hetero : str
        SMILES of the substituents; their first atom binds.

    Returns
    -------
    rdkit.Chem.Mol
        Sanitised, one fragment, neutral.
    """
    parts = (scaffold, f"[*:1]{on_carbon}", f"[*:2]{on_hetero}")
    joined = Chem.molzip(Chem.MolFromSmiles(".".join(parts)))
    # Back and forth through SMILES: a fresh molecule without the join's atom maps.
    return Chem.MolFromSmiles(Chem.MolToSmiles(joined))


def build_library(spec: ScreenSpec, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the compounds of a screen.

    Parameters
    ----------
    spec : ScreenSpec
        Numbers of compounds by class, of aliases, of ChemAxon tails.
    rng : numpy.random.Generator

    Returns
    -------
    DataFrame
        One row per compound in the order of its code, columns ``compound`` (its name),
        ``alias`` (second name, of the salt; ``""`` for most), ``compound_key`` (InChIKey of
        the parent), ``smiles`` (of the parent), ``metadata_smiles`` (as a file has it, with
        ChemAxon tail), ``scaffold`` (that it is built on), ``mechanism``, ``moa`` (the
        mechanism where it is known, else ``""``), ``class``, ``only`` (the one cell type it
        rescues; ``""`` otherwise) and ``reference``.

    Raises
    ------
    InputError
        If the scaffolds do not allow as many different structures.
    """
    table = pd.DataFrame(_classes(spec), columns=["class", "only"])
    table["reference"] = _pick_references(table, spec)
    table = table.iloc[rng.permutation(len(table))].reset_index(drop=True)
    table.insert(0, "compound", [f"SBK-{i + 1:04d}" for i in range(len(table))])
    table["mechanism"], own = _assign_mechanisms(table, spec, rng)
    table["scaffold"] = _loosen(own, spec.scaffold_tie, rng.spawn(1)[0])
    has_alias = np.zeros(len(table), dtype=bool)
    has_alias[_alias_rows(table, spec, rng)] = True
    table["smiles"], table["compound_key"] = _draw_structures(table, has_alias, rng)
    table["alias"] = np.where(has_alias, table["compound"] + SALT, "")
    known = rng.random(len(table)) < spec.annotated
    table["moa"] = np.where(known, table["mechanism"], "")
    table["metadata_smiles"] = table["smiles"]
    tailed = rng.permutation(np.flatnonzero(~has_alias))[: spec.n_chemaxon]
    table.loc[tailed, "metadata_smiles"] += " |c:4,t:11|"
    columns = "compound alias compound_key smiles metadata_smiles scaffold mechanism moa class"
    return table[[*columns.split(), "only", "reference"]]


def _classes(spec: ScreenSpec) -> list[tuple[str, str]]:
    """Class and single cell type of every compound, in a fixed order."""
    rows = [("rescuer", "")] * spec.n_rescuers
    for cell_type in spec.cell_types:
        rows += [("rescuer", cell_type.name)] * spec.n_selective
    rows += [("aggravator", "")] * spec.n_aggravators
    rows += [("toxic", "")] * spec.n_toxic
    rows += [("off_axis", "")] * spec.n_off_axis
    rows += [("fluorescent", "")] * spec.n_fluorescent
    return rows + [("inert", "")] * (spec.n_compounds - len(rows))


def _pick_references(table: pd.DataFrame, spec: ScreenSpec) -> np.ndarray:
    """Mark the references: the named classes first, inert ones after them."""
    reference = np.zeros(len(table), dtype=bool)
    wanted = (*spec.reference_classes, *("inert",) * spec.n_references)[: spec.n_references]
    for name in wanted:
        if name == "selective":
            fits = table["only"].eq(spec.cell_types[-1].name)
        else:
            fits = table["class"].eq(name) & table["only"].eq("")
        reference[np.flatnonzero(fits & ~reference)[0]] = True
    return reference


def _assign_mechanisms(
    table: pd.DataFrame, spec: ScreenSpec, rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Deal the mechanisms of each class to its members in turn."""
    selective = [m for m in MECHANISMS if m.kind == "selective"]
    inert = [m for m in MECHANISMS if m.kind == "inert"]
    active = [m for m in MECHANISMS if m.kind != "inert"]
    names = [c.name for c in spec.cell_types]
    turn: dict[tuple[str, str, int], int] = {}
    chosen = []
    for kind, only in zip(table["class"], table["only"], strict=True):
        if only:
            choice: Sequence[Mechanism] = [selective[names.index(only) % len(selective)]]
        elif kind == "inert":
            choice = active if rng.random() < spec.silent_analogues else inert
        else:
            choice = [m for m in MECHANISMS if m.kind == kind]
        key = (kind, only, len(choice))
        chosen.append(choice[turn.get(key, 0) % len(choice)])
        turn[key] = turn.get(key, 0) + 1
    return [m.name for m in chosen], [m.scaffold for m in chosen]


def _loosen(scaffolds: list[str], tie: float, rng: np.random.Generator) -> np.ndarray:
    """Give all but a share of compounds the scaffold of a random mechanism.

    The generator is one of its own, and a compound untied at one value is so at all lower ones.
    """
    untied = rng.random(len(scaffolds)) >= tie
    others = rng.choice([m.scaffold for m in MECHANISMS], len(scaffolds))
    return np.where(untied, others, scaffolds).astype(object)


def _alias_rows(table: pd.DataFrame, spec: ScreenSpec, rng: np.random.Generator) -> np.ndarray:
    """Rows with two names: one rescuer, so that a split name costs something, and others."""
    library = np.flatnonzero(~table["reference"])
    shuffled = rng.permutation(library)
    rescues = table["class"].to_numpy()[shuffled] == "rescuer"
    ordered = np.concatenate([shuffled[rescues][:1], shuffled[~rescues]])
    return ordered[: spec.n_aliases]


def _draw_structures(
    table: pd.DataFrame, basic: np.ndarray, rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Decorate the scaffolds so that no two compounds have one parent.

    Returns
    -------
    tuple of list of str
        Canonical SMILES and InChIKey of every compound.
    """
    decks: dict[tuple[str, bool], list[tuple[str, str]]] = {}
    seen: set[str] = set()
    smiles, keys = [], []
    for scaffold, is_basic in zip(table["scaffold"], basic, strict=True):
        if (scaffold, bool(is_basic)) not in decks:
            pairs = [(a, b) for a in ON_CARBON for b in (BASIC if is_basic else ON_HETERO)]
            shuffled = [pairs[i] for i in rng.permutation(len(pairs))]
            decks[scaffold, bool(is_basic)] = shuffled
        deck = decks[scaffold, bool(is_basic)]
        while True:
            if not deck:
                raise InputError(
                    f"n_compounds is {len(table)}, more than the scaffolds allow: lower it"
                )
            mol = build_molecule(scaffold, *deck.pop())
            key = Chem.MolToInchiKey(mol)
            if key not in seen:
                break
        seen.add(key)
        smiles.append(Chem.MolToSmiles(mol))
        keys.append(key)
    return smiles, keys
