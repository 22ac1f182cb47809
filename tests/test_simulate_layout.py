"""The design of the simulated screen: counts, replicates, places, metadata."""

import pandas as pd
import pytest

from screenbook.screen import make_screen
from screenbook.simulate import screen_spec, simulate_screen
from screenbook.simulate.screen import OBS_COLUMNS


@pytest.fixture(scope="module")
def fast():
    return simulate_screen(screen_spec("fast"))


@pytest.fixture(scope="module")
def full():
    return simulate_screen(screen_spec("rxrx19a"))


@pytest.fixture(scope="module")
def default():
    return simulate_screen(screen_spec())


def test_full_shape_has_the_counts_of_rxrx19a(full):
    obs = full.obs
    assert len(obs) == full.n_sites == 305_520
    assert obs.index.is_unique
    batch = obs["experiment"] + "/" + obs["plate"]
    assert batch.nunique() == full.n_plates == 57
    assert set(batch.value_counts()) == {1340 * 4}
    assert obs.groupby("experiment", sort=False)["plate"].nunique().tolist() == [26, 27, 2, 2]
    assert obs.groupby("experiment", sort=False).size().tolist() == [
        *(139_360, 144_720),
        *(10_720, 10_720),
    ]
    assert obs["disease_condition"].value_counts().to_dict() == {
        "Active SIMV-1": 280_376,
        "Mock": 9_120,
        "UV Inactivated SIMV-1": 9_120,
        "": 6_904,
    }
    by_plate = pd.crosstab(batch, obs["disease_condition"]) / 4
    assert set(by_plate["Mock"]) == set(by_plate["UV Inactivated SIMV-1"]) == {40}
    assert set(by_plate[""]) == {30, 31}
    assert full.spec.n_features == 1024


def test_full_shape_tries_1670_compounds_at_six_doses(full):
    wells = full.obs[full.obs["site"] == 1]
    treated = wells[wells["treatment"] != ""]
    parents = treated["treatment"].str.removesuffix(" hydrochloride")
    assert parents.nunique() == 1670
    renal = treated[treated["cell_type"] == "renal"]
    replicates = renal.groupby([parents[renal.index], "treatment_conc"]).size()
    assert len(replicates) == 1670 * 6
    references = replicates.index.get_level_values(0).isin(full.roles.references)
    assert set(replicates[~references]) == {6}
    assert replicates[references].min() >= 14
    simian = treated[treated["cell_type"] == "simian"]
    assert set(simian["treatment"]) == set(full.roles.references)
    assert len(full.roles.references) == 32


def test_full_shape_uses_1536_well_addresses(full):
    wells = full.plate_obs(0)["well"]
    assert wells.str.fullmatch(r"A?[A-Z](0[1-9]|[1-3]\d|4[0-8])").all()
    assert wells.str.startswith("AE").any()
    assert not wells.str.startswith("AF").any()  # the outermost rows stay empty


def test_default_shape(default):
    obs = default.obs[default.obs["site"] == 1]
    assert obs.groupby("cell_type")["experiment"].nunique().to_dict() == {"renal": 3, "simian": 2}
    batch = obs["experiment"] + "/" + obs["plate"]
    assert batch.nunique() == 24
    assert set(batch.value_counts()) == {384}
    conditions = pd.crosstab(batch, obs["disease_condition"])
    assert (conditions[["", "Mock", "UV Inactivated SIMV-1"]] == [8, 24, 24]).to_numpy().all()
    assert set(obs["plate"]) == set("123456")  # numbers start anew in each experiment
    assert default.spec.n_features == 1024
    assert sorted(obs["treatment_conc"].dropna().unique()) == [0.03, 0.1, 0.3, 1, 3, 10]


def test_compounds_are_on_diseased_cells_only_and_there_is_no_vehicle(fast):
    treated = fast.obs["treatment"] != ""
    assert set(fast.obs.loc[treated, "disease_condition"]) == {"Active SIMV-1"}
    assert (fast.obs["treatment_conc"].notna() == treated).all()
    assert ((fast.obs["SMILES"] != "") == treated).all()
    assert not fast.obs["treatment"].str.contains("DMSO|PBS").any()


def test_every_position_holds_one_well(fast):
    wells = fast.obs[fast.obs["site"] == 1]
    assert not wells.duplicated(["experiment", "plate", "well"]).any()
    assert set(fast.obs.groupby(["experiment", "plate", "well"])["site"].agg(tuple)) == {
        (1, 2, 3, 4)
    }


def test_replicates_lie_on_different_plates_and_experiments(default):
    wells = default.obs[(default.obs["site"] == 1) & (default.obs["cell_type"] == "renal")]
    treated = wells[(wells["treatment"] != "") & ~wells["treatment"].isin(default.roles.references)]
    parents = treated["treatment"].str.removesuffix(" hydrochloride")
    groups = treated.groupby([parents, "treatment_conc"])
    batch = treated["experiment"] + "/" + treated["plate"]
    assert set(groups.size()) == {6}
    assert set(batch.groupby([parents, treated["treatment_conc"]]).nunique()) == {6}
    spread = treated.groupby(parents)["experiment"].nunique()
    assert (spread == 3).mean() > 0.9


def test_references_are_on_every_plate_with_many_more_replicates(default):
    wells = default.obs[default.obs["site"] == 1]
    own = wells[wells["treatment"].isin(default.roles.references)]
    assert len(default.roles.references) == 8
    assert (own.groupby(["experiment", "plate"])["treatment"].nunique() == 8).all()
    counts = wells.loc[wells["treatment"] != "", "treatment"].value_counts()
    references = counts.index.isin(default.roles.references)
    assert counts[references].min() > 2 * counts[~references].max()


def test_one_compound_goes_by_two_names_on_different_plates(default):
    wells = default.obs[default.obs["site"] == 1]
    salts = wells[wells["treatment"].str.endswith(" hydrochloride")]
    assert salts["treatment"].nunique() == default.spec.n_aliases
    assert salts["SMILES"].str.endswith(".Cl").all()
    for salt, rows in salts.groupby("treatment"):
        base = wells[wells["treatment"] == salt.removesuffix(" hydrochloride")]
        assert len(base) > 0
        plates = [set(zip(t["experiment"], t["plate"], strict=True)) for t in (rows, base)]
        assert not plates[0] & plates[1]


def test_controls_prefer_columns_but_lie_all_over_the_plate(default):
    wells = default.obs[default.obs["site"] == 1]
    column = wells["well"].str[1:].astype(int) - 1
    row = wells["well"].str[0].map(ord) - ord("A")
    control = wells["treatment"] == ""
    share = control.groupby(column).mean()
    preferred = [1, 2, 11, 12, 21, 22]
    assert share[preferred].min() > 2 * share.drop(preferred).max()
    assert share.min() > 0.05
    # Every quarter of every plate has healthy and diseased controls.
    quarter = (row >= 8).astype(int) * 2 + (column >= 12)
    keys = [wells["experiment"], wells["plate"], quarter]
    counts = pd.crosstab([k[control] for k in keys], wells.loc[control, "disease_condition"])
    assert len(counts) == 24 * 4
    assert (counts[["Active SIMV-1", "Mock"]] > 0).to_numpy().all()


def test_metadata_pass_as_a_screen(fast):
    screen = make_screen(fast.X, fast.obs, fast.roles, name="fast", origin="simulated")
    roles = screen.obs["role"].value_counts()
    assert roles["treated"] == fast.spec.n_plates * 66 * 4
    assert roles["healthy"] == roles["diseased"] == fast.spec.n_plates * 14 * 4
    assert roles["blank"] == fast.spec.n_plates * 2 * 4
    keys = set(screen.obs["compound_key"]) - {""}
    assert keys == set(fast.truth["compounds"]["compound_key"])
    assert keys == set(fast.library["compound_key"])


def test_metadata_hold_no_truth(fast):
    assert tuple(fast.obs.columns) == OBS_COLUMNS
    assert not fast.obs.drop(columns="treatment_conc").isna().any().any()
    assert fast.obs.index[0] == "RENAL-1_1_A01_1"
