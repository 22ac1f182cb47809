import dask.array as da
import numpy as np
import pandas as pd

from planted import plate_numbers, plate_wells
from screenbook.profiles.plate_space import about_plate, fit_plate_space, plate_components


def test_plate_space_sees_what_differs_within_plates_only():
    wells = plate_wells(n_plates=5)
    plates = plate_numbers(wells)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(len(wells), 20)).astype(np.float32)
    X[:, 7] *= 5
    X[:, 3] += 100 * plates  # a plate effect far larger than anything within plates
    components = plate_components(X, plates, most=4)
    assert np.abs(components.axes[0]).argmax() == 7
    points = about_plate(components.scores(X), plates)
    means = pd.DataFrame(points).groupby(plates).mean()
    np.testing.assert_allclose(means, 0, atol=1e-4)


def test_units_do_not_matter_where_features_are_standardised():
    wells = plate_wells(n_plates=3)
    X = np.random.default_rng(1).normal(size=(len(wells), 12)).astype(np.float32)
    scale = np.geomspace(1e-3, 1e3, 12).astype(np.float32)
    one, two = (
        fit_plate_space(x, wells, n_components=5, standardise=True).points(x, wells)
        for x in (X, X * scale)
    )
    np.testing.assert_allclose(np.abs(one), np.abs(two), atol=2e-3)


def test_cell_types_have_axes_of_their_own_and_sites_lie_about_their_well():
    wells = pd.concat([plate_wells(n_plates=2), plate_wells(n_plates=2, cell_type="simian")])
    rng = np.random.default_rng(2)
    X = rng.normal(size=(len(wells), 15)).astype(np.float32)
    simian = (wells["cell_type"] == "simian").to_numpy()
    X[~simian, 2] *= 9
    X[simian, 11] *= 9
    space = fit_plate_space(X, wells, n_components=4)
    assert np.abs(space.components["renal"].axes[0]).argmax() == 2
    assert np.abs(space.components["simian"].axes[0]).argmax() == 11

    sites = wells.loc[wells.index.repeat(4)]
    noise = rng.normal(size=(len(wells), 4, 15))
    noise -= noise.mean(axis=1, keepdims=True)
    S = (X[:, None, :] + noise).reshape(-1, 15).astype(np.float32)
    points = space.points(da.from_array(S, chunks=(100, 15)), sites)
    mean = points.reshape(len(wells), 4, -1).mean(axis=1)
    np.testing.assert_allclose(mean, space.points(X, wells), atol=1e-4)
