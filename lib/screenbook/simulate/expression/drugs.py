"""Invented drugs with a structure: scaffold and functional group speak of the mechanism.

As in a real library the members of a mechanism come on several scaffolds, most of them with
the functional group that binds its target: what can be learned of a scaffold that was never
tried is the group. Some analogues do nothing, and most mechanisms are not annotated for all.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from rdkit import Chem

from screenbook.errors import InputError
from screenbook.simulate.compounds import BASIC, ON_CARBON, ON_HETERO, SALT, build_molecule
from screenbook.simulate.expression.spec import ExpressionSpec

SCAFFOLDS = (
    *("[*:1]c1ccc2ncnc(N[*:2])c2c1", "[*:1]c1nc(N)c2ncn(C3CCC(CO[*:2])O3)c2n1"),
    *("[*:1]c1nn(C)c2ncnc(N[*:2])c12", "[*:1]c1ccc2c(N[*:2])ccnc2c1"),
    *("[*:1]c1ccc(C(O)CN[*:2])cc1", "[*:1]c1ccc2[nH]c(C(=O)N[*:2])cc2c1"),
    *("[*:1]c1ccc2[nH]c(NC(=O)O[*:2])nc2c1", "[*:1]c1ccc2Sc3ccccc3N([*:2])c2c1"),
    *("[*:1]c1ccc2c(=O)c3ccccc3n([*:2])c2c1", "[*:1]c1ccc2oc(=O)c(C(=O)N[*:2])cc2c1"),
    *("[*:1]c1ccc(-c2nc(C(=O)N[*:2])cs2)cc1", "[*:1]c1ccc(-c2ccc(C(=O)N[*:2])cc2)cc1"),
    *("[*:1]c1ccc(-n2cc(CN[*:2])nn2)cc1", "[*:1]c1ccc(S(=O)(=O)N[*:2])cc1"),
    *("[*:1]c1ccc(N2CCN([*:2])CC2)cc1", "[*:1]c1ccc(C2CC(=O)N([*:2])C2)cc1"),
    *("[*:1]c1ccc(C2NC(=O)N([*:2])C2=O)cc1", "[*:1]c1ccc(NC(=O)N[*:2])cc1"),
    *("[*:1]c1ccc(-c2noc(CN[*:2])n2)cc1", "[*:1]c1ccc2nc(N[*:2])sc2c1"),
    *("[*:1]c1ccc2oc(CN[*:2])cc2c1", "[*:1]c1cnc(N[*:2])nc1"),
    *("[*:1]c1cc(N[*:2])ncn1", "[*:1]c1ccc2c(c1)CCN([*:2])C2"),
    *("[*:1]c1ccc2cc(C(=O)N[*:2])ccc2c1", "[*:1]c1ccc(-c2cc(N[*:2])[nH]n2)cc1"),
    *("[*:1]c1ccc(-c2cnn([*:2])c2)cc1", "[*:1]c1ccc2c(cnn2[*:2])c1"),
    *("[*:1]c1ccc(C2CCN([*:2])CC2)cc1", "[*:1]c1ccc(OC2CCN([*:2])C2)cc1"),
    *("[*:1]c1ccc(C(=O)C2CCN([*:2])CC2)cc1", "[*:1]c1cc2ccccc2c(O[*:2])n1"),
    *("[*:1]c1ccc(-c2nnc(N[*:2])o2)cc1", "[*:1]c1ccc(-c2nnc(N[*:2])s2)cc1"),
    *("[*:1]c1csc(C(=O)N[*:2])c1", "[*:1]c1ccc2c(c1)OCC(N[*:2])C2"),
    *("[*:1]c1ccc(Oc2ccc(N[*:2])cc2)cc1", "[*:1]c1ccc(Cc2ccc(O[*:2])cc2)cc1"),
    *("[*:1]c1ccc(C=Cc2ccc(O[*:2])cc2)cc1", "[*:1]c1ccc2nccc(O[*:2])c2c1"),
    *("[*:1]c1nc2ccccc2c(=O)n1[*:2]", "[*:1]c1ccc2c(c1)C(=O)N([*:2])C2=O"),
    *("[*:1]c1ccc2[nH]cc(CCN[*:2])c2c1", "[*:1]c1ccc(C2=NN([*:2])CC2)cc1"),
    *("[*:1]c1cnc2c(ccn2[*:2])c1", "[*:1]c1nc(N[*:2])c2ccsc2n1"),
    *("[*:1]c1ccc(CN2CCC(O[*:2])CC2)cc1", "[*:1]c1cc(C(=O)N[*:2])on1"),
)
"""SMILES with two open places: ``[*:1]`` on a carbon, ``[*:2]`` on a heteroatom."""

WARHEADS = (
    *("CC(=O)NO", "CCS(N)(=O)=O", "CCB(O)O", "CP(=O)(O)O", "CCC(=N)N", "CC(N)C(=O)O"),
    *("CCN=[N+]=[N-]", "CC(=O)C(F)(F)F", "CCNC(N)=N", "CCC(=O)C=C", "CCSSC", "CCC(=O)OC"),
    *("CCS(=O)(=O)F", "CCC#C", "CCONC(C)=O", "CCC(O)C#N", "CCNC(=S)NC", "CCN(O)C=O"),
)
"""Functional groups without a ring, one for each mechanism; they go on the heteroatom."""

SCAFFOLDS_EACH = 3
"""Scaffolds of a mechanism."""


def build_drugs(spec: ExpressionSpec, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the drugs of a screen.

    Returns
    -------
    DataFrame
        One row per name, copies as salts last: ``treatment``, ``drug`` (number of the parent),
        ``SMILES`` (as the metadata give it; ``""`` for those without), ``structure`` (SMILES of
        the parent), ``mechanism`` (number), ``active``, ``warhead`` (whether it carries its
        mechanism's group), ``annotated``.

    Raises
    ------
    InputError
        If the scaffolds do not allow so many mechanisms or drugs.
    """
    most = min(len(WARHEADS), len(SCAFFOLDS) // SCAFFOLDS_EACH)
    if spec.n_mechanisms > most:
        raise InputError(f"n_mechanisms = {spec.n_mechanisms} is above {most}: lower it")
    scaffolds = rng.permutation(len(SCAFFOLDS))
    warheads = rng.permutation(len(WARHEADS))
    mechanism = rng.permutation(np.arange(spec.n_drugs) % spec.n_mechanisms)
    turn = rng.integers(SCAFFOLDS_EACH, size=spec.n_drugs)
    has_warhead = rng.random(spec.n_drugs) < spec.warhead_share
    salted = np.zeros(spec.n_drugs, dtype=bool)
    salted[rng.choice(spec.n_drugs, spec.n_aliases, replace=False)] = True
    structures = _structures(
        [
            SCAFFOLDS[scaffolds[SCAFFOLDS_EACH * m + t]]
            for m, t in zip(mechanism, turn, strict=True)
        ],
        [WARHEADS[warheads[m]] if w else "" for m, w in zip(mechanism, has_warhead, strict=True)],
        salted,
        rng,
    )
    table = pd.DataFrame(
        {
            "treatment": [f"SBX-{i + 1:03d}" for i in range(spec.n_drugs)],
            "drug": np.arange(spec.n_drugs),
            "SMILES": structures,
            "structure": structures,
            "mechanism": mechanism,
            "active": rng.random(spec.n_drugs) >= spec.inactive,
            "warhead": has_warhead,
            "annotated": rng.random(spec.n_drugs) < spec.annotated,
        }
    )
    copies = table[salted].assign(treatment=lambda t: t["treatment"] + SALT)
    copies["SMILES"] = copies["SMILES"] + ".Cl"
    without = rng.permutation(np.flatnonzero(~salted))[: spec.n_without_structure]
    table.loc[without, "SMILES"] = ""
    return pd.concat([table, copies], ignore_index=True)


def _structures(
    scaffolds: list[str], warheads: list[str], salted: np.ndarray, rng: np.random.Generator
) -> list[str]:
    """Decorate scaffolds, each drug in a way of its own; canonical SMILES."""
    seen: set[str] = set()
    found = []
    for scaffold, warhead, basic in zip(scaffolds, warheads, salted, strict=True):
        on_hetero = (warhead,) if warhead else (BASIC if basic else ON_HETERO)
        pairs = [(a, b) for a in ON_CARBON for b in on_hetero]
        for place in rng.permutation(len(pairs)):
            smiles = Chem.MolToSmiles(build_molecule(scaffold, *pairs[place]))
            if smiles not in seen:
                break
        else:
            raise InputError(
                f"n_drugs is {len(scaffolds)}, more than the scaffolds allow: lower it"
            )
        seen.add(smiles)
        found.append(smiles)
    return found
