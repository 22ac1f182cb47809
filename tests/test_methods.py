import numpy as np
import pytest

from planted_batches import planted_part
from screenbook.errors import InputError
from screenbook.profiles import methods as module
from screenbook.profiles.methods import (
    METHODS,
    Settings,
    Task,
    feature_units,
    method_named,
    represent,
)

SETTINGS = Settings(n_components=10)


def task(part, visible=None):
    visible = np.ones(len(part.X), bool) if visible is None else visible
    return Task(part.X, part.obs, part.layout, feature_units(part.X), visible)


@pytest.fixture(scope="module")
def part():
    return planted_part()


@pytest.mark.parametrize("name", METHODS)
def test_every_recipe_represents_every_well(part, name):
    done = represent(METHODS[name], task(part), SETTINGS)
    assert done.scores.shape == (len(part.X), 10)
    assert done.scores.dtype == np.float32
    assert np.isfinite(done.scores).all()
    if done.loadings is not None:
        assert done.loadings.shape == (10, part.X.shape[1])


CENTRING = [m for m in METHODS if m not in ("none", "harmony")]


@pytest.mark.parametrize("name", CENTRING)
def test_every_centring_recipe_forgets_the_offset_of_a_plate(part, name):
    """Distances between wells are those of plates that were never moved."""
    offsets = np.random.default_rng(1).normal(size=(8, part.X.shape[1])) * 5
    moved = part.X + offsets[part.layout.batch].astype(np.float32)
    # How far a centre is shrunken depends on how far plates stand apart.
    tolerance = 0.2 if METHODS[name].whiten or "shrunk" in name else 0.01
    # One unit for both: otherwise a feature that moved more would count for less.
    settings, unit = SETTINGS, feature_units(part.X)
    rows = np.random.default_rng(2).integers(0, len(part.X), (2, 400))
    spans = []
    for X in (part.X, moved):
        one = Task(X, part.obs, part.layout, unit, np.ones(len(X), bool))
        scores = represent(METHODS[name], one, settings).scores
        spans.append(np.linalg.norm(scores[rows[0]] - scores[rows[1]], axis=1))
    np.testing.assert_allclose(*spans, rtol=tolerance, atol=tolerance * spans[0].mean())


@pytest.mark.parametrize("name", [m for m in METHODS if m != "harmony"])
def test_a_recipe_learns_nothing_from_wells_it_must_not_see(part, name):
    """Whatever held-out controls are, all other wells come out the same."""
    hidden = part.layout.control & (np.arange(len(part.X)) % 2 == 0)
    plain = task(part, ~hidden)
    axes = represent(METHODS[name], plain, SETTINGS).axes
    strange = part.X.copy()
    strange[hidden] += 100 * np.random.default_rng(0).normal(size=strange[hidden].shape)
    other = Task(strange, part.obs, part.layout, plain.unit, ~hidden)
    before = represent(METHODS[name], plain, SETTINGS, axes).scores[~hidden]
    after = represent(METHODS[name], other, SETTINGS, axes).scores[~hidden]
    shift = (after - before).mean(axis=0)  # "none" takes off the mean of all: one shift for all
    np.testing.assert_allclose(after - shift, before, atol=2e-3)


def test_the_warning_is_the_only_recipe_that_gets_a_label():
    assert [m.name for m in METHODS.values() if m.status == "warning"] == ["sequence_condition"]
    compared = [m.name for m in METHODS.values() if m.status == "comparison"]
    assert compared == ["sequence", "sequence_standard", "harmony"]


def test_shuffled_labels_change_nothing_but_the_warning(part):
    """No other method looks at treatments, mechanisms or conditions."""
    rng = np.random.default_rng(0)
    obs = part.obs.copy()
    for column in ("treatment", "treatment_conc", "compound", "compound_key", "moa"):
        obs[column] = rng.permutation(obs[column].to_numpy())
    obs["disease_condition"] = rng.permutation(obs["disease_condition"].to_numpy())
    for method in METHODS.values():
        if method.status == "warning":
            continue
        plain = represent(method, task(part), SETTINGS).scores
        mixed = Task(part.X, obs, part.layout, feature_units(part.X), np.ones(len(obs), bool))
        assert (represent(method, mixed, SETTINGS).scores == plain).all()


def test_units_of_features_do_not_matter(part):
    factor = np.geomspace(1e-3, 1e3, part.X.shape[1]).astype(np.float32)
    for name in ("none", "control_center", "tvn"):
        plain = represent(METHODS[name], task(part), SETTINGS).scores
        X = part.X * factor
        scaled = Task(X, part.obs, part.layout, feature_units(X), np.ones(len(X), bool))
        np.testing.assert_allclose(
            np.abs(represent(METHODS[name], scaled, SETTINGS).scores), np.abs(plain), atol=0.02
        )


def test_feature_units_are_standard_deviations():
    X = np.random.default_rng(0).normal(size=(9000, 4)) * [1, 10, 0, 1e-3] + [0, 5e4, 3, 0]
    X = X.astype(np.float32)
    np.testing.assert_allclose(
        feature_units(X), [*X.std(axis=0, dtype=float)[:2], 1.0, 1e-3], rtol=0.02
    )


def test_a_screen_without_a_disease_has_no_condition_to_warn_of():
    part = planted_part(disease=False)
    with pytest.raises(InputError, match="no disease"):
        represent(METHODS["sequence_condition"], task(part), SETTINGS)


def test_harmony_that_is_not_installed_says_how_to_get_it(part, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install"):
        represent(METHODS["harmony"], task(part), SETTINGS)


def test_the_same_seed_gives_the_same_numbers(part):
    few = Settings(n_components=10, pca_wells=60, seed=4)
    for name in ("tvn", "harmony"):
        one, other = (represent(METHODS[name], task(part), few).scores for _ in range(2))
        assert (one == other).all()


def test_unknown_methods_are_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'tvn_coral'"):
        method_named("tvn_corl")
    assert method_named("tvn") is METHODS["tvn"]
