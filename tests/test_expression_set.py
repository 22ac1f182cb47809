import numpy as np
import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.expression_set import COLUMNS, make_profiles, read_profiles, write_profiles
from screenbook.screen import notes_of

GENES = ["EGFR", "TP53", "MYC"]
ASPIRIN, ASPIRIN_SALT = "CC(=O)Oc1ccccc1C(=O)O", "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]"


def table():
    return pd.DataFrame(
        {
            "treatment": [" Aspirin ", "aspirin sodium", "Odd", "DMSO", "DMSO"],
            "dose": ["5", 0.5, 5.0, np.nan, 0.1],
            "cell_line": ["A", "B", "A", "A", "B"],
            "plate": [7, 7, 7, 7, np.nan],
            "role": ["treated", "treated", "treated", "control", "control"],
            "SMILES": [ASPIRIN, ASPIRIN_SALT, "not a structure", None, None],
            "moa": ["COX inhibitor", "Unclear", "none", "", ""],
            "n_cells": [100, 50, np.nan, 400, 300],
            "well": ["A01", "A02", "A03", "A04", "A05"],
        }
    ).assign(plate=["7", "7", "7", "7", "7"])


def values(n=5):
    return np.arange(n * len(GENES), dtype=np.float64).reshape(n, len(GENES))


def made(obs=None, X=None, genes=GENES, **more):
    obs = table() if obs is None else obs
    X = values(len(obs)) if X is None else X
    return make_profiles(X, obs, genes, scale="log1p", origin="file.csv", **more)


def test_profiles_have_the_fixed_columns_first_and_keep_others():
    profiles = made(layers={"variance": values()}, notes=["two wells were dropped"])
    assert set(COLUMNS) <= set(profiles.obs)
    assert profiles.obs["well"].tolist() == table()["well"].tolist()
    assert profiles.X.dtype == profiles.layers["variance"].dtype == np.float32
    assert profiles.var_names.tolist() == GENES
    assert profiles.uns["scale"] == "log1p"
    assert notes_of(profiles)[0] == "two wells were dropped"
    assert profiles.obs["dose"].tolist() == [5, 0.5, 5, 0, 0]
    assert profiles.obs["treatment"].iloc[0] == "Aspirin"
    assert profiles.obs["targets"].eq("").all()
    assert profiles.obs["moa"].tolist() == ["COX inhibitor", "", "", "", ""]


def test_the_table_that_was_given_is_left_alone():
    obs = table()
    made(obs)
    pd.testing.assert_frame_equal(obs, table())


def test_salts_share_a_key_and_a_name_and_controls_have_none():
    obs = made().obs
    assert (
        obs["compound_key"].iloc[0]
        == obs["compound_key"].iloc[1]
        == ("BSYNRYMUTXBXSQ-UHFFFAOYSA-N")
    )
    assert obs["compound"].iloc[0] == obs["compound"].iloc[1] != ""
    assert obs.loc[obs["role"] == "control", ["compound", "compound_key"]].eq("").all(axis=None)


def test_a_structure_that_cannot_be_read_is_told_and_keyed_by_name():
    profiles = made()
    assert profiles.obs["compound_key"].iloc[2] == "name:odd"
    assert any("'not a structure'" in note for note in notes_of(profiles))
    clean = made(table().assign(SMILES=""))
    assert not notes_of(clean)


def test_rows_are_named_after_their_condition_and_numbered_where_it_repeats():
    obs = pd.concat([table(), table().iloc[[0]]], ignore_index=True)
    names = made(obs).obs_names
    assert names[0] == "7|A|Aspirin|5"
    assert names[-1] == "7|A|Aspirin|5|2"
    assert names[3] == "7|A|DMSO|0"
    assert names.is_unique


def test_columns_a_source_has_not_are_blank():
    profiles = made(table().drop(columns=["SMILES", "moa", "n_cells"]))
    assert profiles.obs[["SMILES", "moa", "targets"]].eq("").all(axis=None)
    assert profiles.obs["n_cells"].isna().all()


def test_zarr_gives_back_what_it_got(tmp_path):
    profiles = made(layers={"variance": values(), "nonzero": values() / 100}, notes=["a note"])
    write_profiles(profiles, tmp_path / "p.zarr")
    again = read_profiles(tmp_path / "p.zarr")
    assert (again.X == profiles.X).all()
    for name in ("variance", "nonzero"):
        assert (again.layers[name] == profiles.layers[name]).all()
    pd.testing.assert_frame_equal(again.obs, profiles.obs, check_dtype=False)
    for column in ("treatment", "role", "compound_key"):
        assert again.obs[column].dtype == object
    assert again.var_names.tolist() == GENES
    assert again.uns["scale"] == "log1p"
    assert notes_of(again) == notes_of(profiles)


def test_what_is_not_there_or_damaged_is_told(tmp_path):
    with pytest.raises(InputError, match="nothing"):
        read_profiles(tmp_path / "nothing.zarr")
    write_profiles(made(), tmp_path / "p.zarr")
    described = [f for f in (tmp_path / "p.zarr" / "X").iterdir() if f.suffix or f.name[0] == "."]
    assert described
    for file in described:
        file.write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        read_profiles(tmp_path / "p.zarr")


def changed(row, **values):
    obs = table().astype({"dose": object})
    for column, value in values.items():
        obs.loc[row, column] = value
    return obs


@pytest.mark.parametrize(
    ("obs", "words"),
    [
        (table().iloc[:0], "there are no profiles"),
        (table().rename(columns={"plate": "plates"}), "no column 'plate'.*did you mean 'plates'"),
        (changed(1, treatment="  "), "column 'treatment', row 2: '' is blank"),
        (changed(2, cell_line=None), "column 'cell_line', row 3"),
        (changed(0, plate=""), "column 'plate', row 1"),
        (changed(1, role="dmso"), "column 'role', row 2: 'dmso' is none of 'control', 'treated'"),
        (changed(0, dose="high"), "column 'dose', row 1.*is no dose"),
        (changed(0, dose=-1), "column 'dose', row 1"),
        (changed(0, dose=np.inf), "column 'dose', row 1"),
        (table().drop(index=4), "cell line 'B' has no control profile.*1 such lines"),
    ],
)
def test_metadata_that_cannot_be_used_are_refused(obs, words):
    with pytest.raises(InputError, match=words) as raised:
        made(obs.reset_index(drop=True))
    assert str(raised.value).startswith("file.csv: ")
    assert "\n" not in str(raised.value)


def test_the_value_that_is_no_dose_is_quoted_as_it_stands():
    with pytest.raises(InputError, match="'high'"):
        made(changed(0, dose="high"))


def with_value(value):
    X = values()
    X[2, 1] = value
    return X


@pytest.mark.parametrize(
    ("X", "genes", "words"),
    [
        (values(4), GENES, r"shape \(4, 3\) does not fit 5 conditions and 3 genes"),
        (values()[:, :2], GENES, r"shape \(5, 2\)"),
        (values(), ["EGFR", "", "MYC"], "gene 2 has no name"),
        (values(), ["EGFR", "MYC", " MYC"], "gene 'MYC' is there more than once"),
        (with_value(np.nan), GENES, r"gene 'TP53' of profile 3 \(Odd in A\) is nan"),
        (with_value(np.inf), GENES, "is inf"),
    ],
)
def test_values_that_cannot_be_used_are_refused(X, genes, words):
    with pytest.raises(InputError, match=words):
        made(X=X, genes=genes)


def test_a_dose_of_a_control_is_none_of_ours():
    assert made(changed(3, dose="vehicle")).obs["dose"].iloc[3] == 0
