"""Structures of the compounds of BBBC021, which its tables do not give.

Public facts, written down without stereochemistry, which fingerprints do not see here; a test
holds each against its molecular formula. Seven compounds coded AZ have no structure that we could
check, and cisplatin none that a fingerprint describes: without its metal it would be ammonia.
"""

from __future__ import annotations

STRUCTURES: dict[str, str] = {
    "ALLN": "CCCCC(C=O)NC(=O)C(CC(C)C)NC(=O)C(CC(C)C)NC(C)=O",
    "MG-132": "CC(C)CC(C=O)NC(=O)C(CC(C)C)NC(=O)C(CC(C)C)NC(=O)OCc1ccccc1",
    "proteasome inhibitor I": (
        "CCC(C)C(NC(=O)OCc1ccccc1)C(=O)NC(CCC(=O)OC(C)(C)C)C(=O)NC(C)C(=O)NC(CC(C)C)C=O"
    ),
    "lactacystin": "CC(C)C(O)C1(C(=O)SCC(NC(C)=O)C(=O)O)NC(=O)C(C)C1O",
    "PD-169316": "O=[N+]([O-])c1ccc(cc1)-c1nc(-c2ccc(F)cc2)c([nH]1)-c1ccncc1",
    "PP-2": "CC(C)(C)n1nc(-c2ccc(Cl)cc2)c2c(N)ncnc12",
    "alsterpaullone": "O=C1Cc2c([nH]c3ccc(cc23)[N+](=O)[O-])-c2ccccc2N1",
    "anisomycin": "COc1ccc(CC2NCC(O)C2OC(C)=O)cc1",
    "bryostatin": (
        "CCCC=CC=CC(=O)OC1C(=CC(=O)OC)CC2CC(OC(=O)CC(CC3CC(C(C(O3)(CC4CC(=CC(=O)OC)CC(O4)C=CC("
        "C1(O2)O)(C)C)O)(C)C)OC(=O)C)O)C(C)O"
    ),
    "camptothecin": "CCC1(O)C(=O)OCC2=C1C=C1N(Cc3cc4ccccc4nc13)C2=O",
    "chlorambucil": "OC(=O)CCCc1ccc(cc1)N(CCCl)CCCl",
    "colchicine": "COc1cc2CCC(NC(C)=O)C3=CC(=O)C(OC)=CC=C3c2c(OC)c1OC",
    "cyclohexamide": "CC1CC(C)C(=O)C(C1)C(O)CC1CC(=O)NC(=O)C1",
    "cytochalasin B": "CC1C2C(Cc3ccccc3)NC(=O)C23OC(=O)C=CC(O)CCCC(C)CC=CC3C(O)C1=C",
    "cytochalasin D": "CC1CC=CC2C(O)C(=C)C(C)C3C(Cc4ccccc4)NC(=O)C23C(OC(C)=O)C=CC(C)(O)C1=O",
    "demecolcine": "CNC1CCc2cc(OC)c(OC)c(OC)c2C2=CC=C(OC)C(=O)C=C12",
    "docetaxel": (
        "CC1=C2C(C(=O)C3(C(CC4C(C3C(C(C2(C)C)(CC1OC(=O)C(C(C5=CC=CC=C5)NC(=O)OC(C)(C)C)O)O)OC("
        "=O)C6=CC=CC=C6)(CO4)OC(=O)C)O)C)O"
    ),
    "emetine": "CCC1CN2CCc3cc(OC)c(OC)cc3C2CC1CC1NCCc2cc(OC)c(OC)cc12",
    "epothilone B": "CC1CCCC2(C)OC2CC(OC(=O)CC(O)C(C)(C)C(=O)C(C)C1O)C(C)=Cc1csc(C)n1",
    "etoposide": "COc1cc(cc(OC)c1O)C1C2C(COC2=O)C(OC2OC3COC(C)OC3C(O)C2O)c2cc3OCOc3cc12",
    "floxuridine": "OCC1OC(CC1O)n1cc(F)c(=O)[nH]c1=O",
    "latrunculin B": "CC1CCC2CC(CC(O)(O2)C2CSC(=O)N2)OC(=O)C=C(C)CCC=C1",
    "methotrexate": "CN(Cc1cnc2nc(N)nc(N)c2n1)c1ccc(cc1)C(=O)NC(CCC(=O)O)C(=O)O",
    "mevinolin/lovastatin": "CCC(C)C(=O)OC1CC(C)C=C2C=CC(C)C(CCC3CC(O)CC(=O)O3)C12",
    "mitomycin C": "COC12C(COC(N)=O)C3=C(C(=O)C(C)=C(N)C3=O)N1CC1NC12",
    "mitoxantrone": "OCCNCCNc1ccc(NCCNCCO)c2C(=O)c3c(O)ccc(O)c3C(=O)c12",
    "nocodazole": "COC(=O)Nc1nc2cc(ccc2[nH]1)C(=O)c1cccs1",
    "simvastatin": "CCC(C)(C)C(=O)OC1CC(C)C=C2C=CC(C)C(CCC3CC(O)CC(=O)O3)C12",
    "taxol": (
        "CC1=C2C(C(=O)C3(C(CC4C(C3C(C(C2(C)C)(CC1OC(=O)C(C(C5=CC=CC=C5)NC(=O)C6=CC=CC=C6)O)O)O"
        "C(=O)C7=CC=CC=C7)(CO4)OC(=O)C)O)C)OC(=O)C"
    ),
    "vincristine": (
        "CCC1(O)CC2CN(C1)CCc1c([nH]c3ccccc13)C(C2)(C(=O)OC)c1cc2c(cc1OC)N(C=O)C1C22CCN3CC=CC(C"
        "C)(C23)C(OC(C)=O)C1(O)C(=O)OC"
    ),
}
"""SMILES by the name that BBBC021 uses."""
