"""Sites to wells: plain means, whatever the order of the sites and the kind of array."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.profiles.aggregate import aggregate_wells
from screenbook.screen import make_screen
from small_screens import DISEASE, features, metadata


def small(obs, X):
    return make_screen(X, obs, DISEASE, name="small", origin="meta.csv")


def test_wells_are_the_means_of_their_sites():
    obs, X = metadata(n_sites=3), features(72)
    wells = aggregate_wells(small(obs, X))
    np.testing.assert_allclose(wells.X, X.reshape(24, 3, 5).mean(axis=1), rtol=1e-5, atol=1e-6)
    assert wells.X.dtype == np.float32
    assert wells.uns["level"] == "well"
    assert wells.obs_names[0] == "E1/1/A01"
    assert set(wells.obs["n_sites"]) == {3}
    assert set(wells.obs["site"]) == {0}
    assert wells.obs["role"].tolist() == small(obs, X).obs["role"].tolist()[::3]


def test_lazy_sites_give_the_same_wells():
    obs, X = metadata(), features(48)
    lazy = aggregate_wells(small(obs, da.from_array(X, chunks=(7, -1))))
    eager = aggregate_wells(small(obs, X))
    np.testing.assert_allclose(lazy.X, eager.X, rtol=1e-6)
    pd.testing.assert_frame_equal(lazy.obs, eager.obs)


def test_order_of_sites_only_orders_the_wells():
    obs, X = metadata(), features(48)
    order = np.random.default_rng(0).permutation(48)
    wells = aggregate_wells(small(obs, X))
    shuffled = aggregate_wells(small(obs.iloc[order], X[order]))
    assert shuffled.obs_names[0] == "/".join(obs.iloc[order[0]][["experiment", "plate", "well"]])
    np.testing.assert_allclose(shuffled[wells.obs_names].X, wells.X, rtol=1e-5, atol=1e-6)


def test_wells_with_fewer_sites_are_averaged_over_those_they_have():
    obs, X = metadata().iloc[1:], features(48)[1:]
    wells = aggregate_wells(small(obs, X))
    assert wells.obs["n_sites"].tolist() == [1] + [2] * 23
    np.testing.assert_array_equal(wells.X[0], X[0])


def test_same_well_on_two_plates_is_two_wells():
    wells = aggregate_wells(small(metadata(n_plates=2), features(48)))
    assert wells.n_obs == 24
    assert wells.obs_names.is_unique


def test_numbers_are_averaged_and_text_is_that_of_the_first_site():
    obs = metadata().assign(cells=np.arange(48.0), note=[f"n{i}" for i in range(48)])
    wells = aggregate_wells(small(obs, features(48)))
    assert wells.obs["cells"].iloc[0] == 0.5
    assert wells.obs["note"].iloc[1] == "n2"


@pytest.mark.parametrize(
    ("column", "value"),
    [("treatment", "other"), ("disease_condition", "Active"), ("cell_type", "vero")],
)
def test_sites_that_disagree_are_refused(column, value):
    obs = metadata()
    obs.iloc[0, obs.columns.get_loc(column)] = value
    with pytest.raises(InputError, match=f"well E1/1/A01 differ in '{column}'") as caught:
        aggregate_wells(small(obs, features(48)))
    assert "\n" not in str(caught.value)


def test_wells_of_a_well_level_screen_stay_as_they_are():
    obs, X = metadata(n_sites=1).drop(columns="site"), features(24)
    np.testing.assert_array_equal(aggregate_wells(small(obs, X)).X, X)
