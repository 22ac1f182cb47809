"""The views of a screen that are drawn: what is kept, and that cell types stay apart."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.profiles.views import (
    leading_components,
    view_as_it_came,
    view_chosen,
    view_in_sequence,
)
from screenbook.screen import Roles

ROLES = Roles(healthy=("Mock",), diseased=("Active",))


@pytest.fixture(scope="module")
def chosen():
    """240 wells of two cell types, 12 white axes; treated wells also vary along axis 0."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 12)).astype(np.float32)
    role = np.tile(["healthy", "diseased", "treated", "treated"], 60)
    X[role == "treated", 0] += rng.normal(scale=6, size=120)
    cell_type = np.repeat(["b", "a"], [160, 80])
    index = pd.Index([str(i) for i in range(240)])
    return ad.AnnData(X, obs=pd.DataFrame({"role": role, "cell_type": cell_type}, index=index))


def test_only_components_above_noise_are_kept(chosen):
    view = view_chosen(chosen, ROLES, most=10)
    assert list(view.rows) == ["b", "a"]  # the cell type with most wells first
    for name, rows in view.rows.items():
        assert len(view.components[name].variance) < 6
        along = np.corrcoef(view.scores[rows, 0], chosen.X[rows, 0])[0, 1]
        assert abs(along) > 0.95


def test_each_cell_type_is_mapped_by_itself(chosen):
    view = view_chosen(chosen, ROLES, most=10)
    drawing = {"n_early": 30, "n_iter": 30, "seed": 1}
    maps, places = view.draw(**drawing)
    assert places.shape == (240, 2)
    for name, rows in view.rows.items():
        assert np.array_equal(places[rows], maps[name].coordinates)
    alone = view_chosen(chosen[view.rows["a"]].copy(), ROLES, most=10).draw(**drawing)[1]
    assert np.array_equal(alone, places[view.rows["a"]])


def test_features_count_alike_whatever_their_unit():
    X = np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)
    scaled = X * np.array([1, 10, 1e4, 1, 0.01], dtype=np.float32)
    plain, other = (view_as_it_came(x, most=5).scores for x in (X, scaled))
    np.testing.assert_allclose(np.abs(plain), np.abs(other), atol=1e-3)


def test_an_offset_of_a_plate_is_gone_and_labels_are_refused():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 6)).astype(np.float32)
    obs = pd.DataFrame(
        {"experiment": "1", "batch": np.repeat(["1/1", "1/2"], 60), "role": "treated"}
    )
    moved = X + np.where(obs["batch"] == "1/2", 50, 0)[:, None].astype(np.float32)
    view = view_in_sequence(moved, obs, ["experiment", "batch"], most=6)
    means = [view.scores[obs["batch"] == b].mean(axis=0) for b in ("1/1", "1/2")]
    np.testing.assert_allclose(means[0], means[1], atol=1e-4)
    with pytest.raises(InputError, match="label of interest"):
        view_in_sequence(moved, obs, ["experiment", "role"], most=6)


def test_leading_components_keep_what_is_no_wider_than_noise(chosen):
    found = leading_components(chosen, 8)
    assert found.shape == (240, 8)
    own = (chosen.obs["cell_type"] == "a").to_numpy()
    variance = found[own].var(axis=0)
    assert (np.diff(variance) <= 1e-4).all()
    assert variance.min() > 0.3
    alone = leading_components(chosen[own], 8)
    np.testing.assert_allclose(found[own], alone, atol=1e-4)
