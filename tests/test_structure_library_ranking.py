import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from planted_towers import planted
from screenbook.errors import InputError
from screenbook.structure import library_ranking
from screenbook.structure.held_out_towers import train_held_out
from screenbook.structure.library_ranking import COLUMNS, NEAR, UNLIKE, rank_library
from screenbook.structure.score_prediction import predict_held_out
from test_structure_two_towers import QUICK

NEW = "c1c({0})cc(C2CCOCC2)nc1"
GROUPS = ("C#N", "CC(=O)N", "S(=O)(=O)C", "CCO")


@pytest.fixture(scope="module")
def measured():
    imaged, on_axis = planted(n_groups=4)
    towers = train_held_out(
        imaged, rules=("scaffold",), encoders=("fingerprint",), n_folds=3, settings=QUICK
    )
    return imaged, on_axis, predict_held_out(imaged, on_axis, towers)


def library(*more):
    rows = [(f"new {i}", NEW.format(group)) for i, group in enumerate(GROUPS)]
    return pd.DataFrame([*rows, *more], columns=["compound", "smiles"])


def test_the_nearest_to_health_stand_first_with_their_doubt(measured):
    imaged, on_axis, predictions = measured
    table = rank_library(library(), imaged, on_axis, predictions, "ridge").table
    assert tuple(table) == COLUMNS
    assert table["predicted"].is_monotonic_increasing
    assert table["rank"].tolist() == [1, 2, 3, 4]
    # What is known of the side groups orders compounds on a scaffold never seen.
    of_group = {
        g: imaged.means[imaged.table["smiles"].map(lambda s, g=g: has(s, g)), 0].mean()
        for g in GROUPS
    }
    expected = sorted(GROUPS, key=lambda g: -of_group[g])
    first = GROUPS[int(table["compound"].iloc[0][-1])]
    assert first in expected[:2]
    ridge = predictions[predictions["method"] == "ridge"]
    off = (ridge["measured"] - ridge["predicted"]).abs()
    half = ((table["high"] - table["low"]) / 2).unique()
    assert half == pytest.approx([np.sort(off)[int(np.ceil(0.9 * (len(off) + 1))) - 1]])
    assert 0.9 <= (off <= half[0] + 1e-9).mean() < 0.94


def has(smiles, group):
    return Chem.MolFromSmiles(smiles).HasSubstructMatch(Chem.MolFromSmiles(group))


@pytest.mark.parametrize("method", ["nearest structures", "towers, fingerprint"])
def test_every_method_can_rank(measured, method):
    table = rank_library(library(), *measured, method, settings=QUICK).table
    assert table["predicted"].between(measured[1].min(), measured[1].max()).all()


def test_compounds_unlike_all_that_was_measured_are_marked(measured):
    odd = library(("far", "CCCCCCCCCCCCCC"), ("near", "c1c(C#N)nc(CC(=O)NC)cc1"))
    table = rank_library(odd, *measured, "ridge").table.set_index("compound")
    assert table.loc["near", "note"] == ""
    assert table.loc["far", "note"] == UNLIKE
    assert ((table["tanimoto"] < NEAR) == (table["note"] == UNLIKE)).all()
    assert set(table["nearest_compound"]) <= set(measured[0].table["compound"])


def test_what_cannot_be_ranked_is_listed_and_the_rest_is_ranked(measured):
    imaged = measured[0]
    given = library(
        ("bad", "C1CC"),
        ("none", None),
        ("known", imaged.table["smiles"].iloc[3] + ".Cl"),
        ("salt of new 0", NEW.format(GROUPS[0]) + ".Cl"),
        ("bad", "xyz"),
    )
    found = rank_library(given, *measured, "ridge")
    assert sorted(found.table["compound"]) == [f"new {i}" for i in range(4)]
    assert found.left_out[["compound", "why"]].to_numpy().tolist() == [
        ["bad", "structure cannot be read"],
        ["none", "no structure"],
        ["known", f"was imaged, as {imaged.table['compound'].iloc[3]}"],
        ["salt of new 0", "same parent as new 0"],
        ["bad", "structure cannot be read"],
    ]


def test_large_libraries_are_ranked_in_blocks(measured, monkeypatch):
    whole = rank_library(library(), *measured, "ridge").table
    monkeypatch.setattr(library_ranking, "_AT_ONCE", 3)
    pd.testing.assert_frame_equal(rank_library(library(), *measured, "ridge").table, whole)


def test_bad_libraries_are_named(measured):
    with pytest.raises(InputError, match=r"none of 2 structures can be ranked \('structure cannot"):
        rank_library(
            pd.DataFrame({"compound": ["a", "b"], "smiles": ["x!", ""]}), *measured, "ridge"
        )
    with pytest.raises(InputError, match=r"no column 'smiles' \(did you mean 'SMILES'\?\)"):
        rank_library(library().rename(columns={"smiles": "SMILES"}), *measured, "ridge")
    with pytest.raises(InputError, match="'towers, smiles' was not tested on held-out scaffolds"):
        rank_library(library(), *measured, "towers, smiles")
