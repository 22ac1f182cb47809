from pathlib import Path

import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.expression.name_traps import find_name_traps

SHARED = Path(__file__).parents[2] / "shared" / "data"
real = pytest.mark.skipif(
    not (SHARED / "tahoe_metadata").is_dir(), reason="the real Tahoe tables are not in shared/data"
)


def test_name_traps_are_found():
    structures = pd.DataFrame(
        {
            "treatment": ["Aspirin", "aspirin sodium", "Lost", "Odd", "Caffeine"],
            "SMILES": [
                "CC(=O)Oc1ccccc1C(=O)O",
                "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]",
                None,
                "not a structure",
                "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
            ],
        }
    )
    names = {
        "drugs": structures["treatment"],
        "samples": ["Aspirin ", "CAFFEINE", "Lost", "Only here "],
    }
    found = find_name_traps(names, structures)
    assert found.spellings.to_numpy().tolist() == [
        ["samples", "Aspirin ", "Aspirin"],
        ["samples", "CAFFEINE", "Caffeine"],
        ["samples", "Only here ", "Only here"],
    ]
    assert found.structures[["name", "why"]].to_numpy().tolist() == [
        ["Lost", "missing"],
        ["Odd", "unreadable"],
    ]
    assert found.parents["names"].tolist() == ["Aspirin; aspirin sodium"]


def test_clean_names_have_no_traps():
    structures = pd.DataFrame({"treatment": ["A", "B"], "SMILES": ["CCO", "CCC"]})
    found = find_name_traps({"x": ["A", "B"], "y": ["B"]}, structures)
    assert found.spellings.empty
    assert found.structures.empty
    assert found.parents.empty


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match=r"no column 'SMILES' \(did you mean 'smiles'\?\)"):
        find_name_traps({}, pd.DataFrame({"treatment": ["A"], "smiles": ["C"]}))


@real
def test_the_real_name_traps():
    drugs = pd.read_parquet(SHARED / "tahoe_metadata" / "drug_metadata.parquet")
    samples = pd.read_parquet(SHARED / "tahoe_metadata" / "sample_metadata.parquet")
    structures = drugs.rename(columns={"drug": "treatment", "canonical_smiles": "SMILES"})
    found = find_name_traps({"drug": drugs["drug"], "sample": samples["drug"]}, structures)
    assert found.spellings.to_numpy().tolist() == [
        ["sample", "Erdafitinib ", "Erdafitinib"],
        ["sample", "Selinexor ", "Selinexor"],
    ]
    # Talc holds no carbon, and so has no parent.
    assert found.structures["name"].tolist() == ["Talc", "Sacubitril/Valsartan", "Verteporfin"]
    assert found.structures["why"].tolist() == ["unreadable", "missing", "missing"]
    assert len(found.parents) == 25
    assert found.parents["n_names"].sum() == 51
