import numpy as np
import pandas as pd
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from screenbook.fingerprints import N_BITS, morgan_fingerprints, tanimoto

ASPIRIN, CAFFEINE, IBUPROFEN = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
)


def test_similarities_are_rdkits():
    smiles = [ASPIRIN, CAFFEINE, IBUPROFEN]
    found = morgan_fingerprints("abc", smiles)
    assert found.bits.shape == (3, N_BITS)
    assert found.bits.index.tolist() == ["a", "b", "c"]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=N_BITS)
    own = [generator.GetFingerprint(Chem.MolFromSmiles(s)) for s in smiles]
    expected = [DataStructs.BulkTanimotoSimilarity(one, own) for one in own]
    ours = tanimoto(found.bits.to_numpy(), found.bits.to_numpy())
    assert ours == pytest.approx(np.array(expected), abs=1e-6)


def test_a_salt_has_the_bits_of_its_parent():
    found = morgan_fingerprints(["acid", "salt"], [ASPIRIN, "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]"])
    assert (found.bits.loc["acid"] == found.bits.loc["salt"]).all()


def test_what_cannot_be_read_is_a_row_of_zeros_and_told():
    keys = ["x", "y", "x", "", "z"]
    smiles = ["no structure", "", ASPIRIN, CAFFEINE, None]
    found = morgan_fingerprints(keys, smiles)
    assert found.bits.index.tolist() == ["x", "y", "z"]
    assert found.without == ("y", "z")
    assert found.bits.loc["x"].sum() > 0
    assert not found.bits.loc[["y", "z"]].to_numpy().any()
    alike = tanimoto(found.bits.to_numpy(), found.bits.to_numpy())
    assert alike[0, 0] == 1
    assert not alike[1:].any()


def test_similarity_is_symmetric_and_bounded():
    bits = np.random.default_rng(0).random((12, 40)) < 0.3
    alike = tanimoto(bits, bits)
    assert (alike == alike.T).all()
    assert alike.min() >= 0
    assert np.diag(alike) == pytest.approx(1)
    expected = [[(a & b).sum() / (a | b).sum() for b in bits] for a in bits]
    assert alike == pytest.approx(np.array(expected), abs=1e-6)
    assert pd.isna(alike).sum() == 0
