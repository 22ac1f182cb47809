import numpy as np
import pandas as pd
import pytest

from planted_batches import planted_screen
from screenbook.errors import InputError
from screenbook.profiles.batches import cell_type_parts
from screenbook.profiles.centred import (
    center_screen,
    control_views,
    follow_latent,
    recipe_of,
    represent_part,
)
from screenbook.profiles.methods import METHODS, Settings
from screenbook.screen import read_screen, roles_of, write_screen

SETTINGS = Settings(n_components=8)


@pytest.fixture(scope="module")
def two_types():
    screen = planted_screen()
    screen.obs["cell_type"] = np.where(screen.obs["experiment"] == "E1", "renal/1", "simian")
    return screen


def test_every_cell_type_is_represented_by_itself(two_types):
    centred = center_screen(two_types, METHODS["tvn"], SETTINGS)
    assert centred.shape == (two_types.n_obs, 8)
    pd.testing.assert_frame_equal(centred.obs, two_types.obs)
    for part in cell_type_parts(two_types):
        alone = represent_part(part, METHODS["tvn"], SETTINGS).scores
        assert (centred.X[part.rows] == alone).all()
    assert set(centred.varm) == {"loadings renal_1", "loadings simian"}
    assert centred.varm["loadings simian"].shape == (8, two_types.n_vars)


def test_what_is_written_can_be_read(two_types, tmp_path):
    centred = center_screen(two_types, METHODS["tvn"], SETTINGS)
    write_screen(centred, tmp_path / "centred.zarr")
    back = read_screen(tmp_path / "centred.zarr")
    assert (back.X == centred.X).all()
    assert roles_of(back) == roles_of(two_types)
    assert back.uns["features"].tolist() == two_types.var_names.tolist()
    recipe = recipe_of(back)
    assert recipe["method"] == "tvn"
    assert recipe["settings"]["n_components"] == 8
    assert set(recipe["facts"]) == {"renal/1", "simian"}
    assert 0 < recipe["facts"]["simian"]["shrinkage"] <= 1
    np.testing.assert_allclose(back.varm["loadings simian"], centred.varm["loadings simian"])


def test_loadings_lead_from_features_to_scores(two_types):
    """Differences within a plate: scores are loadings times centred and scaled features."""
    part = cell_type_parts(two_types)[0]
    done = represent_part(part, METHODS["control_center"], SETTINGS)
    rows = np.flatnonzero(part.layout.batch == 0)[:6]
    features = (part.X[rows] - part.X[rows[0]]) / part.X.std(axis=0)
    np.testing.assert_allclose(
        features @ done.loadings.T, done.scores[rows] - done.scores[rows[0]], atol=1e-3
    )


def test_a_cell_type_with_fewer_axes_is_filled_with_zeros(two_types):
    part = cell_type_parts(two_types)[1]
    keep = np.ones(two_types.n_obs, dtype=bool)
    keep[np.flatnonzero(part.rows)] = False
    kinds = part.layout.kind >= 0
    keep[np.flatnonzero(part.rows)[kinds][::16]] = True  # a few controls of the second type
    centred = center_screen(two_types[keep].copy(), METHODS["none"], Settings(n_components=20))
    few = (centred.obs["cell_type"] == "simian").to_numpy()
    assert few.sum() < 20
    assert (centred.X[few][:, few.sum() - 1 :] == 0).all()
    assert np.abs(centred.X[~few][:, -1]).max() > 0


def test_a_method_that_cannot_be_had_says_why():
    screen = planted_screen(disease=False)
    with pytest.raises(InputError, match="no disease"):
        center_screen(screen, METHODS["sequence_condition"], SETTINGS)


def test_views_show_controls_on_two_axes(two_types):
    parts = cell_type_parts(two_types)
    views = control_views(parts, [METHODS["none"], METHODS["tvn"]], SETTINGS)
    n = sum(part.layout.control.sum() for part in parts)
    assert len(views) == 2 * n
    assert views["panel"].unique().tolist() == [METHODS["none"].title, METHODS["tvn"].title]
    assert np.isfinite(views[["x", "y"]].to_numpy()).all()


def test_a_planted_quantity_is_followed_after_centring():
    """Rescue moves a well back from diseased; plates hide it until they are centred."""
    screen = planted_screen(effect=0.0, infection=5.0, plate_shift=6.0, n_controls=24)
    part = cell_type_parts(screen)[0]
    healthy, diseased = (part.X[part.layout.kind == k] for k in (0, 1))
    axis = diseased.mean(axis=0) - healthy.mean(axis=0)
    rescue = np.random.default_rng(0).uniform(0, 1, screen.n_obs) * part.layout.bulk
    screen.X -= (rescue[:, None] * axis).astype(np.float32)
    latent = pd.DataFrame(
        {"infection": 1 - rescue, "noise": np.random.default_rng(1).random(len(rescue))}
    )
    latent.loc[np.flatnonzero(part.layout.bulk)[:5], "infection"] = np.nan
    methods = [METHODS["none"], METHODS["control_center"]]
    found = follow_latent(cell_type_parts(screen), latent, methods, SETTINGS).set_index("method")
    assert found.loc["control_center", "infection"] > 0.6
    assert found.loc["none", "infection"] < found.loc["control_center", "infection"] - 0.1
    assert abs(found.loc["control_center", "noise"]) < 0.3


def test_without_an_axis_there_is_no_correlation():
    screen = planted_screen(n_experiments=1, n_plates=1)
    latent = pd.DataFrame({"infection": np.ones(screen.n_obs)})
    found = follow_latent(cell_type_parts(screen), latent, [METHODS["none"]], SETTINGS)
    assert found["infection"].isna().all()
