"""Who can be asked about structure, and how alike compounds are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, DataStructs
from rdkit.Chem import MACCSkeys
from sklearn.metrics.pairwise import cosine_similarity

from planted_structures import compounds_of, library
from screenbook.errors import InputError
from screenbook.structure.similarity import (
    DESCRIPTORS,
    FEWEST,
    REPRESENTATIONS,
    compound_set,
    cosine,
)

DRUGS = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "naproxen": "COc1ccc2cc(ccc2c1)C(C)C(=O)O",
    "procaine": "CCN(CC)CCOC(=O)c1ccc(N)cc1",
}


def drugs(extra=(), mechanism=None):
    rows = [(name, smiles, "m") for name, smiles in DRUGS.items()] + list(extra)
    names, smiles, moa = (list(column) for column in zip(*rows, strict=True))
    profiles = np.eye(len(rows), 6) + 0.1
    return compound_set(names, smiles, mechanism or moa, profiles)


def test_what_has_no_structure_or_profile_is_left_out_with_its_reason():
    extra = [
        *(("coded", "", "m"), ("blank", "  ", "m"), ("broken", "C1CC(", "m")),
        *(("metal", "[Pt]", "m"), ("gap", "CCO", "m"), ("still", "CCCO", "m")),
    ]
    rows = [(name, smiles, "m") for name, smiles in DRUGS.items()] + extra
    names, smiles, moa = (list(column) for column in zip(*rows, strict=True))
    profiles = np.ones((len(rows), 3))
    profiles[names.index("gap"), 1] = np.nan
    profiles[names.index("still")] = 0
    found = compound_set(names, smiles, moa, profiles)
    assert list(found.table["compound"]) == list(DRUGS)
    assert dict(zip(found.left_out["compound"], found.left_out["reason"], strict=True)) == {
        "coded": "no structure",
        "blank": "no structure",
        "broken": "SMILES cannot be read",
        "metal": "SMILES cannot be read",
        "gap": "profile has missing numbers",
        "still": "profile is zero",
    }


def test_salts_and_copies_of_a_parent_are_one_compound_with_the_mean_profile():
    names = ["a", "base", "b", "salt", "copy"]
    smiles = ["CCO", "CCN(CC)CC", "CCC", "CCN(CC)CC.Cl", "C(C)N(CC)CC |c:1|"]
    profiles = np.arange(10.0).reshape(5, 2) + 1
    found = compound_set(names, smiles, ["", "m", "", "", "m"], profiles)
    assert list(found.table["compound"]) == ["a", "base", "b"]
    assert list(found.table["n_rows"]) == [1, 3, 1]
    assert list(found.mechanism) == ["", "m", ""]
    np.testing.assert_allclose(found.profiles[1], profiles[[1, 3, 4]].mean(axis=0))
    assert list(found.left_out["compound"]) == ["salt", "copy"]
    assert set(found.left_out["reason"]) == {"same parent as another: 'base', profiles averaged"}


def test_mechanisms_that_disagree_are_unknown_and_it_is_said():
    found = compound_set(["a", "b"], ["CCO", "OCC"], ["x", "y"], np.ones((2, 2)))
    assert list(found.mechanism) == [""]
    reason = found.left_out["reason"].iloc[0]
    assert reason.endswith("averaged; mechanisms 'x' and 'y' disagree: unknown")


def test_too_few_compounds_are_told_in_one_line():
    refusal = drugs([("coded", "", "m"), ("broken", "C1CC(", "m"), ("no", "", "")]).refusal
    assert refusal.startswith("5 compounds have a readable structure and a profile, and 10 are")
    assert "2 x no structure; 1 x SMILES cannot be read" in refusal
    assert "\n" not in refusal
    nobody = compound_set(["a"], [""], [""], np.ones((1, 3)))
    assert len(nobody) == 0
    assert nobody.refusal.startswith("0 compounds")
    assert nobody.refusal.endswith("(left out: 1 x no structure): give SMILES in the metadata")
    empty = compound_set([], [], [], np.ones((0, 3)))
    assert empty.refusal.endswith("needed to ask about structure: add compounds")
    assert len(empty.left_out) == 0
    assert compounds_of(library(FEWEST)).refusal == ""


def test_columns_of_different_length_are_refused():
    with pytest.raises(InputError, match=r"shape \(3, 2\) .*2 of smiles.*give one row of each"):
        compound_set(["a", "b", "c"], ["C", "CC"], ["", "", ""], np.ones((3, 2)))
    with pytest.raises(InputError, match=r"shape \(2,\)"):
        compound_set(["a", "b"], ["C", "CC"], ["", ""], np.ones(2))


def test_strength_is_the_length_of_the_profile_unless_given():
    profiles = np.array([[3.0, 4.0], [0.0, 2.0]])
    plain = compound_set(["a", "b"], ["CCO", "CCC"], ["", ""], profiles)
    assert list(plain.table["strength"]) == [5.0, 2.0]
    told = compound_set(["a", "b"], ["CCO", "CCC"], ["", ""], profiles, np.array([7.0, 8.0]))
    assert list(told.table["strength"]) == [7.0, 8.0]


def test_similarities_are_those_of_rdkit_and_sklearn():
    found = compounds_of(library(15))
    mols = [Chem.MolFromSmiles(s) for s in found.table["smiles"]]
    keys = [MACCSkeys.GenMACCSKeys(mol) for mol in mols]
    bits = [
        DataStructs.CreateFromBitString("".join(map(str, row))) for row in found.bits.astype(int)
    ]
    for name, prints in (("MACCS", keys), ("Morgan", bits)):
        wanted = [DataStructs.BulkTanimotoSimilarity(one, prints) for one in prints]
        np.testing.assert_allclose(found.structure[name], wanted, atol=1e-6)
    np.testing.assert_allclose(found.phenotype, cosine_similarity(found.profiles), atol=1e-12)
    assert tuple(found.structure) == REPRESENTATIONS


def test_descriptors_say_what_a_chemist_would():
    table = drugs().descriptors
    assert list(table.columns) == list(DESCRIPTORS)
    assert table.loc["aspirin", "mass"] == pytest.approx(180.042, abs=1e-3)
    assert table.loc["caffeine", "rings"] == 2
    assert table.loc["ibuprofen", "H donors"] == 1
    # Acids and a tertiary amine; the aniline, the amides of caffeine are neither.
    wanted = {"aspirin": 1, "caffeine": 0, "ibuprofen": 1, "naproxen": 1, "procaine": 1}
    assert table["basic or acidic groups"].to_dict() == wanted
    similar = drugs().structure["descriptors"]
    assert np.diag(similar).max() == 0
    assert (similar <= 0).all()
    # Two aryl propionic acids are nearer to each other than to caffeine.
    assert similar[2, 3] > similar[2, 1]


def test_a_subset_keeps_rows_of_everything():
    found = compounds_of(library(14))
    rows = np.zeros(14, dtype=bool)
    rows[[2, 5, 11]] = True
    some = found.subset(rows)
    assert list(some.table["compound"]) == list(found.table["compound"][rows])
    np.testing.assert_array_equal(some.phenotype, found.phenotype[np.ix_(rows, rows)])
    np.testing.assert_array_equal(
        some.structure["Morgan"], found.structure["Morgan"][np.ix_(rows, rows)]
    )
    np.testing.assert_array_equal(found.subset(np.flatnonzero(rows)).profiles, some.profiles)


def test_a_profile_of_zeros_has_no_likeness():
    found = cosine(np.array([[0.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(found, [[0, 0], [0, 1]], atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.text("CNOc1()=#.[]+-@/Pt ", max_size=12),
            st.text("ab", max_size=1),
            st.sampled_from([0.0, 1.0, np.nan, np.inf]),
        ),
        max_size=12,
    )
)
def test_whatever_is_given_is_kept_or_left_out(rows):
    names = [f"c{i}" for i in range(len(rows))]
    profiles = np.array([[value, 1.0 if value else 0.0] for *_, value in rows]).reshape(-1, 2)
    found = compound_set(names, [r[0] for r in rows], [r[1] for r in rows], profiles)
    assert sorted([*found.table["compound"], *found.left_out["compound"]]) == sorted(names)
    assert found.left_out["reason"].ne("").all()
    assert found.table["compound_key"].is_unique
    assert found.table["n_rows"].sum() + found.left_out["reason"].str.startswith(
        ("no", "SMILES", "profile")
    ).sum() == len(rows)
    assert np.isfinite(found.phenotype).all()
