import numpy as np
import pandas as pd
import pytest

from planted_towers import library, planted
from screenbook.errors import InputError
from screenbook.structure.held_out_towers import train_held_out
from screenbook.structure.imaged_compounds import COLUMNS, match_structures, mean_by

TWELVE = library(3).head(12)[["compound_key", "compound", "moa", "smiles"]]


def rows(table, *more):
    """Two profiles of each compound: its number, and its number and a half."""
    keys = [*table["compound_key"], *table["compound_key"], *more]
    points = np.concatenate([np.arange(len(table)), np.arange(len(table)) + 0.5])
    return np.append(points, [99.0] * len(more))[:, None] * [1.0, -1.0], keys


def with_rows(*more):
    return pd.concat([TWELVE, pd.DataFrame(more, columns=TWELVE.columns)], ignore_index=True)


def test_profiles_keep_their_compound_and_their_place():
    points, keys = rows(TWELVE, "")
    keys[3] = ""  # a control among them
    found = match_structures(points, keys, TWELVE)
    assert tuple(found.table) == COLUMNS
    assert found.table["compound_key"].tolist() == TWELVE["compound_key"].tolist()
    assert found.n_given == 25
    assert 3 not in found.rows
    assert 24 not in found.rows
    np.testing.assert_array_equal(found.points, points[found.rows].astype(np.float32))
    assert [keys[r] for r in found.rows] == list(found.table["compound_key"].iloc[found.compound])
    assert found.table["n_profiles"].tolist() == [2, 2, 2, 1] + [2] * 8
    np.testing.assert_allclose(found.means[:, 0], [0.25, 1.25, 2.25, 3.5, *np.arange(4, 12) + 0.25])
    assert found.bits.shape[0] == 12
    assert found.left_out.empty


def test_salts_and_stereoisomers_of_one_parent_are_one_compound():
    smiles = TWELVE["smiles"].iloc[2]
    table = with_rows(
        ("salt", "salt", "other", f"{smiles}.Cl"),
        ("L", "L", "", "C[C@H](N)C(=O)O"),
        ("D", "D", "", "C[C@@H](N)C(=O)O"),
    )
    points, keys = rows(table)
    found = match_structures(points, keys, table)
    assert len(found.table) == 13
    assert found.table["n_profiles"].iloc[[2, 12]].tolist() == [4, 4]
    assert (found.compound == 2).sum() == 4
    assert found.table["moa"].iloc[2] == ""  # the names disagree
    turned = match_structures(points, keys, table[::-1])
    by_parent = [f.table.set_index("parent_key")[["moa", "smiles"]] for f in (found, turned)]
    assert by_parent[0].index[:2].tolist() != by_parent[1].index[:2].tolist()
    pd.testing.assert_frame_equal(
        by_parent[0].drop("QNAYBMKLOCPYGJ"),
        by_parent[1].reindex(by_parent[0].index).drop("QNAYBMKLOCPYGJ"),
    )


def test_what_cannot_be_used_is_listed_with_its_reason():
    table = with_rows(
        ("bad", "bad", "m", "C1CC"), ("none", "none", "m", None), ("away", "away", "m", "CCCCN")
    )
    points, keys = rows(table.drop(index=14))
    left_out = match_structures(points, keys, table).left_out
    assert left_out[["compound_key", "why"]].to_numpy().tolist() == [
        ["bad", "structure cannot be read"],
        ["none", "no structure"],
        ["away", "never imaged"],
    ]


def test_bad_input_is_named():
    points, keys = rows(TWELVE)
    with pytest.raises(InputError, match=r"no column 'smiles' \(did you mean 'SMILES'\?\)"):
        match_structures(points, keys, TWELVE.rename(columns={"smiles": "SMILES"}))
    with pytest.raises(InputError, match=r"\(24, 2\) for 23 compound keys"):
        match_structures(points, keys[1:], TWELVE)
    with pytest.raises(InputError, match="'X' of the profiles"):
        match_structures(points, ["X", *keys[1:]], TWELVE)
    broken = points.copy()
    broken[5, 1] = np.nan
    with pytest.raises(InputError, match="row 6 is not finite"):
        match_structures(broken, keys, TWELVE)
    keys[5] = ""
    assert match_structures(broken, keys, TWELVE).n_given == 24


def test_too_few_compounds_are_told_with_the_mend():
    assert planted()[0].refusal == ""
    nine = match_structures(*rows(TWELVE.head(9)), TWELVE.head(9))
    assert nine.refusal.endswith("9 compounds have both, and it takes 10: add compounds")
    for smiles, reason in (("", "no structure"), ("C1CC(", "structure cannot be read")):
        nobody = match_structures(*rows(TWELVE), TWELVE.assign(smiles=smiles))
        assert len(nobody.table) == len(nobody.points) == len(nobody.bits) == 0
        assert f"0 compounds have both, and it takes 10 (left out: 12 x {reason})" in nobody.refusal
        assert nobody.refusal.endswith("add SMILES to the metadata")
    away = match_structures(np.zeros((0, 2)), [], TWELVE)
    assert "(left out: 12 x never imaged): add compounds" in away.refusal
    with pytest.raises(InputError, match="0 compounds have both"):
        train_held_out(nobody, encoders=())


def test_one_scaffold_cannot_be_held_out():
    alike = TWELVE.assign(smiles=["c1ccccc1" + "C" * (i + 1) for i in range(12)])
    imaged = match_structures(*rows(alike), alike)
    assert set(imaged.table["scaffold"]) == {"c1ccccc1"}
    assert "12 compounds are of 1 scaffolds, and it takes 5 to hold whole" in imaged.refusal
    with pytest.raises(InputError, match="add compounds of others"):
        train_held_out(imaged, encoders=())


def test_means_are_those_of_pandas():
    imaged, _ = planted()
    expected = pd.DataFrame(imaged.points).groupby(imaged.compound).mean()
    np.testing.assert_allclose(imaged.means, expected, rtol=1e-5)
    np.testing.assert_array_equal(mean_by(np.array([1.0, 3.0]), np.array([2, 2]), 4), [0, 0, 2, 0])
