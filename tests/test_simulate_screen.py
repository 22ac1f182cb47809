"""The simulated screen: seeds, knobs, and whether the truth is in the data."""

import hashlib

import numpy as np
import pytest

from screenbook.simulate import SHAPES, ScreenSpec, screen_spec, simulate_screen
from screenbook.simulate.embedding import feature_map
from screenbook.simulate.layout import ring_of
from screenbook.simulate.pharmacology import hill, infection_phenotype
from screenbook.simulate.spec import CellType, Experiment

NO_NOISE = {
    **dict.fromkeys(("well_noise", "site_noise", "feature_noise", "load_spread"), 0.0),
    **dict.fromkeys(("plate_load_spread", "outlier_fraction", "empty_fraction"), 0.0),
    **dict.fromkeys(("blank_empty_fraction", "site_shift", "edge", "gradient"), 0.0),
    **{"n_weak_plates": 0, "n_gradient_plates": 0},
}
NO_BATCH = {
    **dict.fromkeys(("experiment_shift", "plate_shift", "experiment_scale"), 0.0),
    **dict.fromkeys(("plate_scale", "experiment_rotation", "plate_tilt"), 0.0),
}


@pytest.fixture(scope="module")
def fast():
    return simulate_screen(screen_spec("fast"))


@pytest.fixture(scope="module")
def default():
    return simulate_screen(screen_spec())


def per_site(screen, values):
    """Spread a value per well over its sites."""
    return np.repeat(np.asarray(values), screen.spec.n_sites)


def well_means(screen, X):
    return X.reshape(-1, screen.spec.n_sites, X.shape[1]).mean(axis=1, dtype=np.float64)


def digest(screen):
    parts = hashlib.sha256()
    for obs, X in screen.plates():
        parts.update(obs.to_csv().encode())
        parts.update(X.tobytes())
    for name in sorted(screen.truth):
        parts.update(screen.truth[name].to_csv().encode())
    return parts.hexdigest()


def test_same_seed_same_bits_and_another_seed_another_truth(fast):
    again = simulate_screen(screen_spec("fast"))
    other = simulate_screen(screen_spec("fast", seed=1))
    assert digest(fast) == digest(again)
    for name, table in fast.truth.items():
        assert not table.equals(other.truth[name])
    assert not np.array_equal(fast.plate_features(0), other.plate_features(0))


def test_plates_do_not_depend_on_what_was_made_before(fast):
    alone = simulate_screen(screen_spec("fast")).plate_features(7)
    blocks = [X for _, X in fast.plates()]
    np.testing.assert_array_equal(alone, blocks[7])
    np.testing.assert_array_equal(np.concatenate(blocks), fast.X)
    assert fast.X.dtype == np.float32
    assert np.isfinite(fast.X).all()


def test_truth_and_rows_follow_the_same_order(fast):
    wells = fast.truth["wells"]
    obs = fast.obs[fast.obs["site"] == 1]
    for column in ("cell_type", "experiment", "plate", "well", "disease_condition"):
        assert (wells[column].to_numpy() == obs[column].to_numpy()).all()
    names = obs["treatment"].str.removesuffix(" hydrochloride")
    assert (wells["compound"].to_numpy() == names.to_numpy()).all()
    np.testing.assert_array_equal(wells["dose"], obs["treatment_conc"])


def tiny(**changes):
    """Four plates of the fast shape."""
    design = {
        "cell_types": (CellType("renal", 12, 2), CellType("simian", 8, 1)),
        "experiments": (
            Experiment("RENAL-1", "renal", 2),
            Experiment("RENAL-2", "renal", 1),
            Experiment("SIMIAN-1", "simian", 1),
        ),
    }
    return simulate_screen(ScreenSpec(**{**SHAPES["fast"], **design, **changes}))


def away_from_edge(screen):
    position = screen.obs["well"].str[1:].astype(int) - 1
    row = screen.obs["well"].str[0].map(ord) - ord("A")
    return ring_of(screen.spec, row.to_numpy(), position.to_numpy()) >= 2


UNTOUCHED = {
    "glow": lambda s: per_site(s, s.truth["wells"]["glow"] == 0),
    "cell_loss": lambda s: per_site(s, s.truth["wells"]["cell_loss"] == 0),
    "outlier": lambda s: per_site(s, ~s.truth["wells"]["outlier"]),
    "infection": lambda s: per_site(s, s.truth["wells"]["load"] == 0),
    "plate_tilt": lambda s: per_site(s, s.truth["wells"]["load"] == 0),
    "inactivated_effect": lambda s: ~s.obs["disease_condition"].str.startswith("UV").to_numpy(),
    "blank_effect": lambda s: (s.obs["disease_condition"] != "").to_numpy(),
    "edge": away_from_edge,
}


@pytest.mark.parametrize("knob", UNTOUCHED)
def test_a_knob_at_zero_changes_only_what_it_is_about(knob):
    options = {"outlier_fraction": 0.05, "blank_effect": 2.0}
    on = tiny(**options)
    off = tiny(**{**options, knob: 0.0})
    # float32 rounding may differ by an ulp where the same sum was made in another order.
    same = (np.abs(on.X - off.X) < 1e-4).all(axis=1)
    untouched = UNTOUCHED[knob](on)
    assert 0 < untouched.sum() < len(untouched)
    assert same[untouched].all()
    assert not same[~untouched].all()


@pytest.mark.parametrize(
    ("knob", "column"),
    [("rescue_emax", "rescue"), ("off_axis", "off_axis"), ("aggravation", "rescue")],
)
def test_an_effect_range_of_zero_takes_a_class_away(knob, column):
    on, off = tiny(), tiny(**{knob: (0.0, 0.0)}, rescue_off_axis=0.0)
    kind = {"rescue_emax": "rescuer", "off_axis": "off_axis", "aggravation": "aggravator"}[knob]
    members = on.library.loc[on.library["class"] == kind, "compound"]
    of_class = on.truth["wells"]["compound"].isin(members).to_numpy()
    assert (on.truth["wells"][column] != 0)[of_class].any()
    assert (off.truth["wells"][column] == 0)[of_class].all()


def test_shifts_are_the_same_for_all_sites_of_a_batch():
    on = tiny()
    none = tiny(plate_shift=0.0, experiment_shift=0.0)
    assert (none.truth["plates"][["shift", "experiment_shift"]] == 0).to_numpy().all()
    assert (on.truth["plates"][["shift", "experiment_shift"]] > 0.1).to_numpy().all()
    for plate in (0, 3):
        shift = on.plate_features(plate) - none.plate_features(plate)
        assert np.ptp(shift, axis=0).max() < 1e-4
        assert np.abs(shift).mean() > 0.1
    plates_only = tiny(plate_shift=0.0)
    shifts = [(plates_only.plate_features(i) - none.plate_features(i))[0] for i in (0, 1, 2)]
    np.testing.assert_allclose(shifts[0], shifts[1], atol=1e-4)  # the same experiment
    assert np.abs(shifts[0] - shifts[2]).mean() > 0.1


def test_scales_stretch_features_about_their_mean():
    still = {"plate_shift": 0.0, "experiment_shift": 0.0}
    on = tiny(**still).plate_features(0)
    off = tiny(**still, plate_scale=0.0, experiment_scale=0.0)
    mean = feature_map(64).mean
    x = off.plate_features(0)
    ratio = (on - mean) / (x - mean)
    far = np.abs(x - mean) > 0.1
    for j in range(64):
        np.testing.assert_allclose(ratio[far[:, j], j], np.median(ratio[far[:, j], j]), rtol=1e-3)
    spread = np.log([np.median(ratio[far[:, j], j]) for j in range(64)])
    assert 0.06 < spread.std() < 0.18  # 0.1 and 0.05 together


def test_without_noise_like_wells_are_alike():
    screen = tiny(**NO_NOISE, **NO_BATCH)
    obs, X = screen.obs, screen.X
    for cell_type in ("renal", "simian"):
        for condition in ("Mock", "Active SIMV-1"):
            like = (obs["cell_type"] == cell_type) & (obs["disease_condition"] == condition)
            like &= obs["treatment"] == ""
            assert np.ptp(X[like.to_numpy()], axis=0).max() < 1e-4


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        *[("well_noise", 1.0), ("load_spread", 0.3), ("plate_load_spread", 0.3)],
        *[("site_noise", 1.0), ("feature_noise", 0.3), ("site_shift", 1.0)],
        *[("edge", 1.0), ("gradient", 1.0), ("plate_tilt", 8.0), ("plate_shift", 1.0)],
        *[("experiment_shift", 1.0), ("experiment_scale", 0.1), ("plate_scale", 0.1)],
        *[("experiment_rotation", 6.0), ("n_weak_plates", 1), ("n_gradient_plates", 1)],
    ],
)
def test_each_nuisance_alone_makes_like_wells_differ(knob, value):
    screen = tiny(**{**NO_NOISE, **NO_BATCH, knob: value})
    like = (screen.obs["disease_condition"] == "Active SIMV-1") & (screen.obs["treatment"] == "")
    like &= screen.obs["cell_type"] == "renal"
    assert np.ptp(screen.X[like.to_numpy()], axis=0).max() > 0.01


def test_site_effect_is_that_of_the_corner():
    quiet = {**NO_NOISE, **NO_BATCH, "site_shift": 1.5}
    screen = tiny(**quiet)
    mock = (screen.obs["disease_condition"] == "Mock") & (screen.obs["cell_type"] == "renal")
    X, site = screen.X[mock.to_numpy()], screen.obs.loc[mock, "site"].to_numpy()
    for corner in (1, 2, 3, 4):
        assert np.ptp(X[site == corner], axis=0).max() < 1e-4
    means = np.stack([X[site == corner].mean(axis=0) for corner in (1, 2, 3, 4)])
    assert min(np.linalg.norm(a - b) for i, a in enumerate(means) for b in means[:i]) > 0.5


def test_bad_plates_are_recorded_and_bad():
    screen = simulate_screen(screen_spec(n_gradient_plates=2))
    plates, wells = screen.truth["plates"], screen.truth["wells"]
    assert plates["fault"].value_counts().to_dict() == {
        "": 21,
        "pipetting gradient": 2,
        "weak infection": 1,
    }
    assert (plates.loc[plates["fault"] != "", "cell_type"] == "renal").all()
    untreated = wells[(wells["load"] > 0) & (wells["compound"] == "")]
    keys = ["experiment", "plate"]
    for (experiment, plate), own in untreated.groupby(keys):
        row = plates[(plates["experiment"] == experiment) & (plates["plate"] == plate)].iloc[0]
        column = own["well"].str[1:].astype(int)
        slope = np.corrcoef(column, np.log(own["load"]))[0, 1]
        assert (own["infection"].mean() < 0.6) == (row["fault"] == "weak infection")
        assert (abs(slope) > 0.7) == (row["fault"] == "pipetting gradient")


def test_outliers_and_empty_wells_are_as_many_as_asked_for(default):
    wells = default.truth["wells"]
    blank = wells["disease_condition"] == ""
    assert 0.002 < wells["outlier"].mean() < 0.007
    assert 0.002 < wells.loc[~blank, "empty"].mean() < 0.007
    assert 0.18 < wells.loc[blank, "empty"].mean() < 0.37
    assert wells.loc[wells["empty"], "cell_loss"].min() >= 0.85


@pytest.fixture(scope="module")
def quiet():
    """A screen with effects and no noise, and its wells' features."""
    options = {**NO_NOISE, **NO_BATCH, "n_features": 256, "infection": 3.6, "infection_bend": 0.0}
    screen = simulate_screen(screen_spec("fast", **options, off_axis=[1.5, 4], cell_loss=8.0))
    return screen, well_means(screen, screen.X)


def on_axis(screen, X, cell_type):
    """0 healthy, 1 diseased: projection on the line between the untreated controls."""
    wells = screen.truth["wells"]
    own = (wells["cell_type"] == cell_type).to_numpy()
    healthy = X[own & (wells["disease_condition"] == "Mock").to_numpy()].mean(axis=0)
    untreated = own & ((wells["load"] > 0) & (wells["compound"] == "")).to_numpy()
    axis = X[untreated].mean(axis=0) - healthy
    score = (X - healthy) @ axis / (axis @ axis)
    return np.where(own, score, np.nan)


@pytest.mark.parametrize("cell_type", ["renal", "simian"])
def test_rescuers_move_towards_healthy_as_hill_says(quiet, cell_type):
    screen, X = quiet
    wells = screen.truth["wells"].assign(on=on_axis(screen, X, cell_type))
    truth = screen.truth["compounds"].query("cell_type == @cell_type").set_index("compound")
    rescuers = truth[truth["rescues"]]
    assert len(rescuers) == 3
    for name, row in rescuers.iterrows():
        own = wells[(wells["compound"] == name) & wells["on"].notna()]
        expected = 1 - row["emax"] * hill(own["dose"].to_numpy(), row["ec50"], row["hill"])
        np.testing.assert_allclose(own["on"], expected, atol=0.12)
        top = own[own["dose"] == 10]["on"].mean()
        assert top < 0.45 < own[own["dose"] == 0.03]["on"].mean()


def test_other_classes_move_as_they_should(quiet):
    screen, X = quiet
    wells = screen.truth["wells"].assign(on=on_axis(screen, X, "renal")).dropna(subset=["on"])
    kind = wells["compound"].map(screen.library.set_index("compound")["class"])
    top = wells["dose"] == 10
    on = wells["on"][top].groupby(kind).mean()
    assert abs(on["inert"] - 1) < 0.02
    assert abs(on["off_axis"] - 1) < 0.2
    assert on["aggravator"] > 1.2
    assert on["toxic"] < 0.8  # less infected, to those who look along the axis only


def test_selective_rescuers_rescue_one_cell_type(fast):
    truth = fast.truth["compounds"]
    only = fast.library.set_index("compound")["only"]
    for name in only.index[only != ""]:
        own = truth[truth["compound"] == name]
        assert own.loc[own["rescues"], "cell_type"].tolist() == [only[name]]
        elsewhere = own[own["cell_type"] != only[name]]
        assert (elsewhere["emax"] == 0).all()


def test_fluorescent_compounds_touch_few_features():
    options = {**NO_NOISE, **NO_BATCH}
    screen = simulate_screen(screen_spec("fast", **options, n_features=256, n_glow_features=5))
    X = well_means(screen, screen.X)
    wells = screen.truth["wells"]
    own = wells["cell_type"] == "renal"
    untreated = X[(own & (wells["load"] > 0) & (wells["compound"] == "")).to_numpy()].mean(axis=0)
    name = screen.library.loc[screen.library["class"] == "fluorescent", "compound"].iloc[0]
    shifts = []
    for dose in screen.spec.doses:
        rows = (own & (wells["compound"] == name) & (wells["dose"] == dose)).to_numpy()
        shifts.append((X[rows].mean(axis=0) - untreated) / feature_map(256).sd)
    touched = np.abs(shifts) > 1e-3
    assert touched.sum(axis=1).tolist() == [5] * 6
    size = np.abs(shifts).max(axis=1)
    assert (np.diff(size) > 0).all()  # more dose, more light
    assert size[-1] > 3


def test_potencies_are_given_only_where_there_is_an_effect(default):
    truth = default.truth["compounds"]
    silent = (truth[["emax", "off_axis", "cell_loss", "glow"]] == 0).all(axis=1)
    assert (truth["ec50"].isna() == silent).all()
    assert (truth["cell_loss_ec50"].isna() == (truth["cell_loss"] == 0)).all()
    assert silent[truth["class"] == "inert"].all()
    low, high = default.spec.rescue_emax
    assert truth.loc[truth["rescues"], "emax"].between(low, high).all()


def test_hill_and_saturation_are_what_they_are_called():
    assert hill(np.array([0.5]), np.array([0.5]), np.array([1.7])) == pytest.approx(0.5)
    assert hill(np.array([np.nan]), np.array([0.5]), np.array([1.0])) == 0
    assert hill(np.array([5.0]), np.array([0.5]), np.array([1.0])) == pytest.approx(10 / 11)
    assert infection_phenotype(np.array([0.0, 1.0]), 1.0).tolist() == [0, 1]
    assert infection_phenotype(np.array([1e9]), 1.0) == pytest.approx(2)
