from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from planted_towers import library
from screenbook.errors import InputError
from screenbook.structure.smiles_tokens import (
    PADDING,
    UNKNOWN,
    encode,
    tokenise,
    vocabulary,
    written_anew,
)

REAL = Path(__file__).parents[2] / "shared" / "data"


@pytest.mark.parametrize(
    ("smiles", "tokens"),
    [
        ("CCl", ["C", "Cl"]),
        ("BrC", ["Br", "C"]),
        ("BC", ["B", "C"]),
        ("c1cc[nH]c1", ["c", "1", "c", "c", "[nH]", "c", "1"]),
        ("C[C@@H](N)/C=C\\F", ["C", "[C@@H]", "(", "N", ")", "/", "C", "=", "C", "\\", "F"]),
        ("C%12CC%12", ["C", "%12", "C", "C", "%12"]),
        ("[13C]#[N+]", ["[13C]", "#", "[N+]"]),
        ("", []),
    ],
)
def test_tokens_are_atoms_bonds_and_rings(smiles, tokens):
    assert tokenise(smiles) == tokens


def test_what_is_no_smiles_is_refused():
    with pytest.raises(InputError, match="'!' is no part"):
        tokenise("CC!C")
    with pytest.raises(InputError, match=r"'\[' is no part"):
        tokenise("C[NH")


def test_rows_are_padded_and_strange_tokens_marked():
    tokens = vocabulary(["CCl", "CO"])
    assert tokens == ("C", "Cl", "O")
    np.testing.assert_array_equal(
        encode(["CO", "NClC"], tokens), [[2, 4, PADDING], [UNKNOWN, 3, 2]]
    )
    assert encode([], tokens).shape == (0, 0)


def test_random_strings_are_of_the_same_molecule():
    smiles = library(3)["smiles"].map(Chem.CanonSmiles).tolist()
    written = written_anew(smiles, 6, seed=3)
    for text, forms in zip(smiles, written, strict=True):
        assert len(forms) == 6
        assert forms[0] == text
        assert {Chem.CanonSmiles(form) for form in forms} == {text}
    assert np.mean([len(set(forms)) for forms in written]) > 4
    assert written_anew(smiles[5:7], 6, seed=3) == written[5:7]
    assert written_anew(smiles, 6, seed=4) != written
    assert written_anew(smiles[:2], 1, seed=0) == [[smiles[0]], [smiles[1]]]


@pytest.mark.skipif(not REAL.exists(), reason="shared/data is not here")
def test_real_structures_are_cut_without_rest():
    tables = sorted(REAL.glob("tahoe_metadata/*drug*.parquet"))
    if not tables:
        pytest.skip("no table of real structures in shared/data/tahoe_metadata")
    smiles = pd.read_parquet(tables[0])["canonical_smiles"].dropna().astype(str).str.strip()
    assert len(smiles) > 300
    assert all("".join(tokenise(s)) == s for s in smiles)
