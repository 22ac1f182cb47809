import numpy as np
import pandas as pd
import pytest

from planted_batches import planted_part
from screenbook.classifier.classifier_doubts import (
    cell_counts,
    explained_share,
    original_scheme,
    sample_wells,
    well_factors,
    what_drives,
)


def test_the_share_explained_is_one_minus_what_is_left():
    values, codes = np.array([1.0, 2, 3, 10]), np.array([0, 0, 1, 1])
    within = 2 * 0.25 + 2 * 3.5**2
    assert explained_share(values, codes) == pytest.approx(1 - within / ((values - 4) ** 2).sum())
    assert explained_share(np.ones(4), codes) == 0


def test_planted_drivers_are_found_and_others_are_not():
    rng = np.random.default_rng(0)
    plates = np.repeat(np.arange(10), 60)
    row, dose = rng.integers(8, size=600), rng.integers(4, size=600)
    density = rng.normal(size=600)
    score = rng.normal(size=600) + 1.5 * (plates < 3) + 1.5 * (row == 0) + 1.5 * np.abs(density)
    factors = {"plate": plates, "row": row, "dose": dose, "cell count": density}
    found = what_drives(score, factors, plates).set_index("factor")
    assert (found.loc[["plate", "row", "cell count"], "p"] <= 0.01).all()
    assert found.loc["dose", "p"] > 0.01
    assert found.loc["dose", "share"] == pytest.approx(found.loc["dose", "null"], abs=0.01)
    assert found.loc["cell count", "groups"] == 10


def test_a_position_is_not_blamed_for_its_plate():
    """All wells of row 0 stand on shifted plates: within plates, rows do not differ."""
    rng = np.random.default_rng(1)
    plates = np.repeat(np.arange(8), 50)
    row = np.where(plates < 4, rng.integers(2, size=400), 1)
    score = rng.normal(size=400) + 3.0 * (plates < 4)
    found = what_drives(score, {"row": row}, plates).set_index("factor")
    assert found.loc["row", "p"] > 0.05
    assert explained_share(score, row) > 0.2


def test_factors_come_from_the_metadata():
    obs = planted_part().obs
    obs = obs[obs["role"] == "treated"]
    factors = well_factors(obs, np.ones(len(obs)))
    names = ["plate", "experiment", "row", "column", "edge", "distance from controls"]
    assert list(factors) == [*names, "dose", "compound"]
    assert len(set(factors["plate"])) == 8  # plate numbers recur in both experiments
    off = obs.assign(row=-1)
    assert "row" not in well_factors(off, np.ones(len(off)))
    assert "dose" not in well_factors(obs.assign(treatment_conc=np.nan), np.ones(len(obs)))


def test_features_that_count_cells_are_known_by_name():
    X = np.arange(6.0).reshape(2, 3)
    assert cell_counts(["area", "Count_Cells", "x"], X).tolist() == [1.0, 4.0]
    assert cell_counts(["feature_0", "axis_cells_shape", "y"], X) is None


def sites(part, n_sites=3, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(len(part.X)), n_sites)
    obs = part.obs.iloc[rows].assign(site=np.tile(np.arange(1, n_sites + 1), len(part.X)))
    return part.X[rows] + noise * rng.normal(size=(len(rows), part.X.shape[1])), obs


def test_the_originals_scheme_learns_the_wrong_sign_and_is_mended():
    X, obs = sites(planted_part(n_plates=5, n_controls=10, n_compounds=40, plate_shift=2.0))
    found = original_scheme(X.astype(np.float32), obs, n_components=20)
    auc = found.table["auc"].to_numpy()
    assert auc[2] < 0.5  # centred on the condition: what is left of the disease points away
    assert auc[-1] > 0.85  # controls only, plates held out, no condition
    assert found.table["n"].iloc[0] == len(X)
    assert (found.table["n"].iloc[1:] == 3 * 200).all()
    assert found.p.shape == (len(X),)
    assert found.table["scheme"].is_unique


def test_whole_wells_are_sampled_and_blank_ones_left_out():
    _, obs = sites(planted_part())
    obs["role"] = obs["role"].astype(str)
    obs.iloc[:30, list(obs).index("role")] = "blank"
    rows = sample_wells(obs, 300, seed=0)
    some = obs.iloc[rows]
    assert len(rows) == pytest.approx(300, abs=3)
    assert (some.groupby(["batch", "well"], observed=True).size() == 3).all()
    assert rows.min() >= 30
    assert (np.diff(rows) > 0).all()
    assert len(sample_wells(obs, 10**9, 0)) == len(obs) - 30
    assert isinstance(some, pd.DataFrame)
