"""What a screen is: roles, refusals in one line, and a faithful way to disk and back."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from screenbook.errors import InputError
from screenbook.screen import (
    Roles,
    add_note,
    make_screen,
    notes_of,
    read_screen,
    roles_of,
    write_screen,
)
from small_screens import DISEASE, features, metadata


def small(obs=None, X=None, roles=DISEASE, **more):
    obs = metadata() if obs is None else obs
    X = features(len(obs)) if X is None else X
    return make_screen(X, obs, roles, name="small", origin="meta.csv", **more)


def refusal(**arguments):
    with pytest.raises(InputError) as caught:
        small(**arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("meta.csv: ")
    return message


# --- what is derived ---


def test_roles_follow_from_condition_and_treatment():
    screen = small()
    by_well = screen.obs.groupby("well", observed=True)["role"].first()
    expected = ["healthy", "healthy", "diseased", "treated", "treated_healthy", "blank"]
    assert by_well.loc[[f"A{i:02}" for i in range(1, 7)]].tolist() == expected


def test_a_vehicle_is_no_compound():
    obs = metadata()
    obs.loc[obs["well"].eq("A03"), ["treatment", "treatment_conc"]] = ["PBS", "0.1"]
    screen = small(obs, roles=Roles(("Mock",), ("Active",), vehicle=("PBS",)))
    wells = screen.obs[screen.obs["well"].eq("A03")]
    assert set(wells["role"]) == {"diseased"}
    assert set(wells["compound_key"]) == {""}
    assert wells["treatment_conc"].isna().all()


def test_without_a_disease_the_vehicle_is_the_control():
    obs = metadata().drop(columns="disease_condition")
    obs.loc[obs["well"].str.endswith("01"), "treatment"] = "DMSO"
    screen = small(obs, roles=Roles(vehicle=("DMSO",)))
    assert set(screen.obs["role"]) == {"vehicle", "treated", "blank"}
    assert not roles_of(screen).has_disease
    assert roles_of(screen).controls == ("vehicle",)


def test_a_condition_without_a_role_is_blank_and_noted():
    obs = metadata()
    obs.loc[obs["well"].eq("B06"), "disease_condition"] = "Storm"
    screen = small(obs)
    assert set(screen.obs.loc[screen.obs["well"].eq("B06"), "role"]) == {"blank"}
    assert any("'Storm'" in note for note in notes_of(screen))


def test_batch_is_the_plate_within_its_experiment():
    obs = metadata()
    obs.loc[obs["plate"].eq("2"), "experiment"] = "E2"
    obs.loc[obs["plate"].eq("2"), "plate"] = "1"
    screen = small(obs)
    assert screen.obs["batch"].cat.categories.tolist() == ["E1/1", "E2/1"]


def test_batch_columns_can_be_named():
    screen = small(roles=Roles(("Mock",), ("Active",), batch=("cell_type", "plate")))
    assert screen.obs["batch"].cat.categories.tolist() == ["renal/1", "renal/2"]


@pytest.mark.parametrize(
    ("well", "row", "column"),
    [
        ("A01", 0, 0),
        ("a1", 0, 0),
        ("P24", 15, 23),
        ("AF48", 31, 47),
        ("AA02", 26, 1),
        ("A001", 0, 0),
        ("1A", -1, -1),
        ("A0", -1, -1),
        ("well 7", -1, -1),
        ("ZZ99", -1, -1),
    ],
)
def test_well_names_are_addresses(well, row, column):
    obs = metadata()
    obs.loc[obs["well"].eq("A01"), "well"] = well
    found = small(obs).obs.query("well == @well")
    assert set(found["row"]) == {row}
    assert set(found["column"]) == {column}


def test_missing_values_become_blank_text_and_whole_numbers_stay_whole():
    obs = metadata()
    obs["plate"] = obs["plate"].astype(float)
    obs["treatment"] = obs["treatment"].replace("", None)
    obs["SMILES"] = obs["SMILES"].replace("", np.nan)
    screen = small(obs)
    assert set(screen.obs["plate"]) == {"1", "2"}
    assert (screen.obs["treatment"] == "").sum() == 32
    assert not screen.obs["SMILES"].isna().any()
    assert screen.obs["treatment_conc"].isna().sum() == 32


def test_optional_columns_are_filled_in():
    obs = metadata(n_sites=1).drop(columns=["site", "treatment_conc", "SMILES"])
    screen = small(obs)
    assert screen.uns["level"] == "well"
    assert set(screen.obs["site"]) == {0}
    assert screen.obs["treatment_conc"].isna().all()


def test_ids_are_made_from_the_address_where_the_index_only_counts():
    screen = small(metadata().reset_index(drop=True))
    assert screen.obs_names[0] == "E1_1_A01_1"


def test_other_columns_are_kept_and_the_input_is_not_changed():
    obs = metadata().assign(moa="solvent", cells=np.arange(48.0))
    before = obs.copy()
    screen = small(obs)
    pd.testing.assert_frame_equal(obs, before)
    assert screen.obs["moa"].eq("solvent").all()
    assert screen.obs["cells"].tolist() == list(range(48))


def test_unreadable_smiles_are_noted_and_do_not_stop():
    obs = metadata()
    obs.loc[obs["well"].eq("B04"), ["treatment", "SMILES"]] = ["riddle", "C1CC("]
    screen = small(obs)
    assert "name:riddle" in set(screen.obs["compound_key"])
    assert "1 SMILES cannot be read (first: 'C1CC(')" in notes_of(screen)[0]


# --- refusals: each one line that names the place and the mend ---


@pytest.mark.parametrize("column", ["cell_type", "experiment", "plate", "well", "treatment"])
def test_missing_column(column):
    message = refusal(obs=metadata().rename(columns={column: f"my_{column}"}))
    assert f"no column {column!r} (did you mean 'my_{column}'?)" in message
    assert "`columns:`" in message


def test_missing_condition_column_only_matters_with_a_disease():
    assert "'disease_condition'" in refusal(obs=metadata().drop(columns="disease_condition"))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("treatment_conc", "10 uM", "'10 uM' is not a number"),
        ("treatment_conc", "-1", "'-1' is not a dose"),
        ("treatment_conc", "inf", "'inf' is not a dose"),
        ("site", "1.5", "'1.5' is no whole number"),
        ("site", "left", "'left' is no whole number"),
        ("plate", " ", "'' is blank"),
        ("well", None, "'' is blank"),
    ],
)
def test_bad_value_names_column_row_and_id(column, value, words):
    obs = metadata()
    obs.iloc[4, obs.columns.get_loc(column)] = value
    message = refusal(obs=obs)
    assert f"column {column!r}, row 5 (id 'E1_1_A02_1')" in message
    assert words in message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.asarray, lambda X: da.from_array(X, chunks=(7, 5))])
def test_features_that_are_not_finite(bad, kind):
    X = features(48)
    X[30, 2], X[31, 4] = bad, bad
    message = refusal(X=kind(X), key="site_id")
    assert f"feature 'feature_2' is {bad} in row 31 (id 'E1_2_B02_1')" in message
    assert "2 of 5 features and 2 of 48 rows" in message
    assert "drop_features" in message
    assert "drop_rows" in message


def test_features_that_float32_cannot_hold_are_refused():
    X = features(48).astype(float)
    X[0, 0] = 1e300
    assert "feature_0" in refusal(X=X)


def test_features_that_are_text():
    assert "not numbers" in refusal(X=features(48).astype(str))


def test_rows_of_features_must_match():
    assert "48 rows of metadata and 47 rows of features" in refusal(X=features(47))


def test_feature_names_must_match_and_differ():
    assert "4 feature names for 5 columns" in refusal(features=list("abcd"))
    assert "feature 'a' is there twice" in refusal(features=list("abcda"))


def test_duplicate_ids():
    obs = metadata()
    obs.index = pd.Index([*obs.index[:-1], obs.index[2]], dtype=object)
    message = refusal(obs=obs, key="site_id")
    assert "site_id 'E1_1_B01_1' is in row 3 and again in row 48 (1 repeated" in message


def test_empty_file():
    assert "no rows" in refusal(obs=metadata().iloc[:0], X=features(0))


def test_no_control_wells_lists_what_there_is():
    obs = metadata()
    obs.loc[obs["disease_condition"].eq("Active"), "treatment"] = "something"
    message = refusal(obs=obs)
    assert "no diseased control wells" in message
    assert "'Mock', 'Active', 'UV Inactivated', '(blank)'" in message


def test_no_vehicle_wells():
    message = refusal(obs=metadata().drop(columns="disease_condition"), roles=Roles())
    assert "no vehicle control wells" in message
    assert "'ethanol'" in message


def test_unknown_condition_is_named_with_the_nearest():
    message = refusal(roles=Roles(("Mokc",), ("Active",)))
    assert "roles.healthy names 'Mokc'" in message
    assert "did you mean 'Mock'?" in message


def test_unknown_vehicle_and_reference():
    assert "roles.vehicle names 'DMSO'" in refusal(roles=Roles(("Mock",), ("Active",), ("DMSO",)))
    message = refusal(roles=Roles(("Mock",), ("Active",), references=("ethanal",)))
    assert "did you mean 'ethanol'?" in message


def test_contradicting_roles():
    assert "both healthy and diseased" in refusal(roles=Roles(("Mock",), ("Mock",)))
    assert "no diseased one" in refusal(roles=Roles(("Mock",)))


# --- disk ---


@pytest.mark.parametrize("lazy", [False, True])
def test_round_trip(tmp_path, lazy):
    screen = small(metadata().assign(moa="solvent"))
    add_note(screen, "one more")
    screen.obsm["pca"] = features(48, 2, seed=1)
    write_screen(screen, tmp_path / "s.zarr")
    back = read_screen(tmp_path / "s.zarr", lazy=lazy)
    assert isinstance(back.X, da.Array) is lazy
    np.testing.assert_array_equal(np.asarray(back.X), screen.X)
    np.testing.assert_array_equal(back.obsm["pca"], screen.obsm["pca"])
    pd.testing.assert_frame_equal(back.obs, screen.obs)
    assert roles_of(back) == DISEASE
    assert notes_of(back) == ["one more"]
    assert back.uns["compounds"]["compound"].tolist() == ["ethanol"]


def test_writing_a_lazy_screen_over_itself(tmp_path):
    path = tmp_path / "s.zarr"
    screen = small(X=da.from_array(features(48), chunks=(10, 5)))
    write_screen(screen, path)
    write_screen(read_screen(path, lazy=True), path)
    np.testing.assert_array_equal(read_screen(path).X, features(48))
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


def test_writing_leaves_the_screen_as_it_was(tmp_path):
    screen = small()
    before = screen.obs.copy()
    write_screen(screen, tmp_path / "s.zarr")
    pd.testing.assert_frame_equal(screen.obs, before)


def test_sparse_features_become_dense():
    np.testing.assert_array_equal(small(X=sparse.csr_matrix(features(48))).X, features(48))


def test_the_same_screen_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_screen(small(), tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*"))
    assert files == sorted(p.relative_to(tmp_path / "b") for p in (tmp_path / "b").rglob("*"))
    for file in files:
        if (tmp_path / "a" / file).is_file():
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_no_screen_or_a_damaged_one(tmp_path):
    with pytest.raises(InputError, match="no screen here"):
        read_screen(tmp_path / "none.zarr")
    write_screen(small(), tmp_path / "s.zarr")
    for file in (tmp_path / "s.zarr").rglob("*.json"):
        file.write_text("{")
    for file in (tmp_path / "s.zarr").rglob(".z*"):
        file.write_text("{")
    with pytest.raises(InputError, match="delete it and make it again") as caught:
        read_screen(tmp_path / "s.zarr")
    assert "\n" not in str(caught.value)
