"""One identity per structure: ChemAxon tails, salts, aliases, and names without structures."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from screenbook.chemistry import molecule_svg, name_compounds, parent, plain_smiles, scaffold

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
LACTATE = ("C[C@H](O)C(=O)O", "C[C@@H](O)C(=O)O")


def test_chemaxon_tail_is_cut():
    tailed = "C[C@H](N)C(O)=O |c:9,t:1,&1:2,r|"
    assert plain_smiles(tailed) == "C[C@H](N)C(O)=O"
    assert parent(tailed) == parent("C[C@H](N)C(O)=O")
    assert plain_smiles("  ") == ""


@pytest.mark.parametrize(
    ("salt", "free"),
    [
        ("CCN.Cl", "CCN"),
        ("CC[NH3+].[Cl-]", "CCN"),
        ("[Na+].CC(=O)Oc1ccccc1C(=O)[O-]", ASPIRIN),
        ("CCN(CC)CC.OS(=O)(=O)O", "CCN(CC)CC"),
    ],
)
def test_salts_share_the_parent(salt, free):
    assert parent(salt) == parent(free)


def test_parent_key_is_the_inchikey():
    assert parent(ASPIRIN)[1] == Chem.MolToInchiKey(Chem.MolFromSmiles(ASPIRIN))


@pytest.mark.parametrize("smiles", ["C1CC(", "not a smiles", "C(C)(C)(C)(C)C", "|c:9|"])
def test_unreadable_structures(smiles, capfd):
    assert parent(smiles) is None
    assert molecule_svg(smiles) == ""
    assert scaffold(smiles) == ""
    assert capfd.readouterr() == ("", "")  # RDKit keeps its log to itself


@pytest.mark.parametrize("smiles", ["[NH3][Pt]([NH3])(Cl)Cl", "[Li+].[Cl-]", "O"])
def test_what_has_no_carbon_has_no_parent(smiles):
    assert parent(smiles) is None


def test_aliases_and_salts_of_one_structure_are_one_compound():
    treatment = ["Aspirin", "ASA ", "Aspirin", "", "aspirin sodium"]
    smiles = [ASPIRIN, ASPIRIN + " |r|", ASPIRIN, "", ASPIRIN[:-1] + "[O-].[Na+]"]
    naming = name_compounds(treatment, smiles)
    key = parent(ASPIRIN)[1]
    assert naming.compound.tolist() == ["Aspirin", "Aspirin", "Aspirin", "", "Aspirin"]
    assert naming.compound_key.tolist() == [key, key, key, "", key]
    assert naming.names.loc[key, "names"] == "ASA; Aspirin; aspirin sodium"
    assert naming.names.loc[key, "smiles"] == parent(ASPIRIN)[0]


def test_without_a_structure_the_folded_name_is_the_key():
    naming = name_compounds(["Taxol", " taxol", "TAXOL"], ["", "", "C1CC("])
    assert set(naming.compound_key) == {"name:taxol"}
    assert len(set(naming.compound)) == 1
    assert naming.unreadable == ("C1CC(",)


def test_a_row_without_structure_takes_the_one_its_name_has():
    naming = name_compounds(["Aspirin", "aspirin"], [ASPIRIN, ""])
    assert len(set(naming.compound_key)) == 1


def test_a_name_with_two_structures_stays_ambiguous():
    naming = name_compounds(["X", "X", "X"], ["CCO", "CCN", ""])
    assert len(set(naming.compound_key)) == 3
    assert len(set(naming.compound)) == 3
    assert naming.compound[2] == "X"


def test_stereoisomers_under_one_name_can_be_told_apart():
    naming = name_compounds(["lactate", "lactate"], LACTATE)
    assert naming.compound[0] != naming.compound[1]
    assert all(name.startswith("lactate [") for name in naming.compound)


def test_a_structure_without_a_name_is_no_compound():
    naming = name_compounds(["", "A"], ["CCO", "CCO"])
    assert naming.compound_key[0] == ""
    assert naming.names["compound"].tolist() == ["A"]


def test_no_rows():
    naming = name_compounds([], [])
    assert naming.names.empty
    assert naming.compound.shape == (0,)


NAMES = st.sampled_from(["", "A", "a", " A", "B", "b ", "C", "name:a", "A [x]"])
STRUCTURES = st.sampled_from(["", "CCO", "CCO |c:1|", "OCC", "CCN", "CCN.Cl", *LACTATE, "C("])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(NAMES, STRUCTURES), max_size=12), st.randoms())
def test_naming_is_a_bijection_and_does_not_depend_on_order(rows, random):
    naming = name_compounds([n for n, _ in rows], [s for _, s in rows])
    pairs = set(zip(naming.compound_key, naming.compound, strict=True))
    assert len({key for key, _ in pairs}) == len(pairs)
    for (name, _), key in zip(rows, naming.compound_key, strict=True):
        assert (key == "") == (name.strip() == "")
    order = list(range(len(rows)))
    random.shuffle(order)
    again = name_compounds([rows[i][0] for i in order], [rows[i][1] for i in order])
    assert again.compound_key.tolist() == [naming.compound_key[i] for i in order]
    assert again.compound.tolist() == [naming.compound[i] for i in order]


def test_scaffold_is_that_of_the_parent():
    assert scaffold(ASPIRIN + ".[Na+]") == "c1ccccc1"
    assert scaffold("CCO") == ""


def test_drawing_is_a_small_svg_without_a_ground():
    svg = molecule_svg("CCN.Cl |c:1|", width=120, height=90)
    root = ET.fromstring(svg)
    assert root.attrib["width"] == "120px"
    assert "<rect" not in svg
    assert len(svg) < 10_000
    assert "#000000" not in svg
    assert svg == molecule_svg("CCN.Cl", width=120, height=90)
