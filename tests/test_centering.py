import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planted_batches import planted_part, planted_screen
from screenbook.errors import InputError
from screenbook.profiles.centering import center_in_sequence, fit_plate_reference, site_shift

SEQUENCE = ["experiment", "batch"]


def naive_sequence(X, obs, keys, *, standardise=False):
    """The original's way: one pass over the rows for each column."""
    frame = pd.DataFrame(X.astype(np.float64))
    for key in keys:
        group = frame.groupby(obs[key].astype(str).to_numpy())
        frame = frame - group.transform("mean")
        if standardise:
            frame = frame / group.transform(lambda v: v.std(ddof=0))
    return frame.to_numpy()


@pytest.mark.parametrize("standardise", [False, True])
def test_cells_give_what_passes_over_the_rows_give(standardise):
    part = planted_part()
    obs = part.obs.assign(site=np.arange(len(part.obs)) % 3)
    keys = ["experiment", "site", "batch"]
    found = center_in_sequence(part.X, obs, keys, standardise=standardise)
    expected = naive_sequence(part.X, obs, keys, standardise=standardise)
    np.testing.assert_allclose(found, expected, atol=2e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 5), st.booleans())
def test_any_unbalanced_design_gives_the_same_as_passes(seed, n_experiments, n_sites, standardise):
    rng = np.random.default_rng(seed)
    n = 40
    experiment = rng.integers(0, n_experiments, n)
    obs = pd.DataFrame(
        {
            "experiment": experiment.astype(str),
            "site": rng.integers(0, n_sites, n),
            "batch": [f"{e}/{p}" for e, p in zip(experiment, rng.integers(0, 2, n), strict=True)],
        }
    )
    X = (1000 + 50 * rng.normal(size=(n, 3))).astype(np.float32)
    keys = ["experiment", "site", "batch"]
    if standardise:  # a group of one or two rows has no spread worth a division
        obs["batch"] = "all"
        obs["site"] = 0
        obs["experiment"] = (np.arange(n) % 2).astype(str)
    found = center_in_sequence(X, obs, keys, standardise=standardise)
    np.testing.assert_allclose(
        found, naive_sequence(X, obs, keys, standardise=standardise), atol=2e-2, rtol=1e-3
    )


def test_the_last_column_of_a_sequence_is_centred():
    part = planted_part()
    out = center_in_sequence(part.X, part.obs, SEQUENCE)
    means = pd.DataFrame(out).groupby(part.layout.batch).mean()
    assert np.abs(means.to_numpy()).max() < 1e-5


def test_means_are_taken_over_the_wells_given():
    part = planted_part()
    fit = part.layout.bulk
    out = center_in_sequence(part.X, part.obs, ["batch"], fit=fit)
    assert np.abs(pd.DataFrame(out[fit]).groupby(part.layout.batch[fit]).mean()).max().max() < 1e-5
    assert np.abs(pd.DataFrame(out[~fit]).groupby(part.layout.batch[~fit]).mean()).max().max() > 0.5


def test_a_group_without_a_well_to_learn_from_loses_the_common_mean():
    part = planted_part()
    fit = part.layout.batch != 0
    out = center_in_sequence(part.X, part.obs, ["batch"], fit=fit)
    np.testing.assert_allclose(out[~fit], part.X[~fit] - part.X[fit].mean(axis=0), atol=1e-4)


def test_centring_on_the_condition_is_refused_unless_it_is_a_demonstration():
    part = planted_part()
    with pytest.raises(InputError, match="disease_condition"):
        center_in_sequence(part.X, part.obs, ["batch", "disease_condition"])
    out = center_in_sequence(part.X, part.obs, ["batch", "disease_condition"], demonstrate=True)
    means = pd.DataFrame(out).groupby(part.obs["disease_condition"].to_numpy()).mean()
    assert np.abs(means.to_numpy()).max() < 1e-5


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"robust": True},
        {"spread": "plate"},
        {"spread": "pooled"},
        {"robust": True, "spread": "plate"},
        {"robust": True, "spread": "pooled"},
    ],
)
def test_any_offset_of_a_plate_is_taken_off(options):
    part = planted_part()
    offsets = 100 * np.random.default_rng(3).normal(size=(8, part.X.shape[1]))
    moved = (part.X + offsets[part.layout.batch]).astype(np.float32)
    before, after = (
        fit_plate_reference(X, part.layout, part.layout.kind, **options).apply(X, part.layout.batch)
        for X in (part.X, moved)
    )
    np.testing.assert_allclose(before, after, atol=2e-3)


def test_the_order_of_wells_does_not_matter():
    part = planted_part()
    order = np.random.default_rng(0).permutation(len(part.X))
    screen = planted_screen()[order]
    shuffled = planted_part().take(np.ones(len(part.X), bool))
    assert (part.X[order] == screen.X).all()
    layout = shuffled.layout
    mixed = type(layout)(
        layout.batch[order],
        layout.experiment[order],
        layout.kind[order],
        layout.bulk[order],
        layout.batches,
        layout.experiments,
        layout.kinds,
    )
    options = {"spread": "pooled", "shrink": True}
    plain = fit_plate_reference(part.X, layout, layout.kind, **options).apply(part.X, layout.batch)
    other = fit_plate_reference(part.X[order], mixed, mixed.kind, **options).apply(
        part.X[order], mixed.batch
    )
    np.testing.assert_allclose(plain[order], other, atol=1e-5)


def test_a_plate_with_more_healthy_wells_is_not_shifted_along_the_disease():
    """Kinds weigh the same in a plate's centre, and a missing kind is borrowed."""
    part = planted_part(plate_shift=0.0, infection=20.0, n_controls=60)
    for dropped in (0.8, 1.0):
        healthy = np.flatnonzero((part.layout.kind == 0) & (part.layout.batch == 0))
        kind = part.layout.kind.copy()
        kind[healthy[: int(dropped * len(healthy))]] = -1
        centre = fit_plate_reference(part.X, part.layout, kind).centre
        assert np.linalg.norm(centre[0] - centre[1:].mean(axis=0)) < 3.0


def test_plate_and_disease_that_coincide_are_refused():
    part = planted_part(n_experiments=1, n_plates=2)
    kind = np.where(part.layout.batch == part.layout.kind, part.layout.kind, -1)
    with pytest.raises(InputError, match="cannot be told apart"):
        fit_plate_reference(part.X, part.layout, kind)


def test_a_plate_without_reference_wells_is_named():
    part = planted_part()
    kind = np.where(part.layout.batch == 2, -1, part.layout.kind)
    with pytest.raises(InputError, match="plate 'E1/3' has no reference well"):
        fit_plate_reference(part.X, part.layout, kind)


def test_spreads_bring_reference_wells_to_unit_scale():
    part = planted_part(n_controls=200, tilt=0.0)
    scale = np.linspace(0.1, 50, part.X.shape[1]).astype(np.float32)
    for options in (
        {"spread": "plate"},
        {"spread": "pooled"},
        {"spread": "pooled", "robust": True},
    ):
        fitted = fit_plate_reference(part.X * scale, part.layout, part.layout.kind, **options)
        out = fitted.apply(part.X * scale, part.layout.batch)
        healthy = out[(part.layout.kind == 0)]
        within = healthy - pd.DataFrame(healthy).groupby(
            part.layout.batch[part.layout.kind == 0]
        ).transform("mean")
        assert within.std().between(0.8, 1.2).all()


def test_plate_spreads_agree_with_pycytominer():
    """mad_robustize on the vehicle wells of each plate."""
    from pycytominer.operations import RobustMAD

    part = planted_part(disease=False)
    control, batch = part.layout.control, part.layout.batch
    ours = fit_plate_reference(
        part.X, part.layout, part.layout.kind, robust=True, spread="plate"
    ).apply(part.X, batch)
    for plate in range(3):
        rows = batch == plate
        theirs = RobustMAD(epsilon=0.0)
        theirs.fit(pd.DataFrame(part.X[rows & control].astype(np.float64)))
        expected = theirs.transform(pd.DataFrame(part.X[rows].astype(np.float64))).to_numpy()
        np.testing.assert_allclose(ours[rows], expected, rtol=1e-3, atol=1e-3)


def test_features_are_held_within_the_clip():
    part = planted_part()
    X = part.X.copy()
    X[0, 0] = 1e6
    fitted = fit_plate_reference(X, part.layout, part.layout.kind, spread="pooled", robust=True)
    assert fitted.apply(X, part.layout.batch, clip=10.0).max() == 10.0
    assert fitted.apply(X, part.layout.batch).max() > 1e3


def test_a_constant_feature_stays_finite():
    part = planted_part()
    X = part.X.copy()
    X[:, 3] = 7.0
    for spread in ("plate", "pooled"):
        fitted = fit_plate_reference(X, part.layout, part.layout.kind, robust=True, spread=spread)
        out = fitted.apply(X, part.layout.batch)
        assert np.isfinite(out).all()
        assert (out[:, 3] == 0).all()


def test_centres_are_shrunken_where_plates_do_not_differ_and_kept_where_they_do():
    alike = planted_part(plate_shift=0.0, n_controls=3, n_plates=8)
    apart = planted_part(plate_shift=5.0, n_controls=3, n_plates=8)
    for part, low, high in ((alike, 0.0, 0.35), (apart, 0.95, 1.0)):
        fitted = fit_plate_reference(part.X, part.layout, part.layout.kind, shrink=True)
        assert low <= fitted.kept.mean() <= high


def test_shrunken_centres_are_nearer_the_truth():
    """Empirical Bayes: less squared error than plain means when plates differ a little."""
    part = planted_part(plate_shift=0.3, infection=0.0, n_controls=3, n_plates=20, n_experiments=1)
    truth = fit_plate_reference(
        part.X, part.layout, np.where(part.layout.control | part.layout.bulk, 0, -1)
    ).centre
    errors = []
    for shrink in (False, True):
        fitted = fit_plate_reference(part.X, part.layout, part.layout.kind, shrink=shrink)
        off = fitted.centre - truth
        errors.append(((off - off.mean(axis=0)) ** 2).mean())
    assert errors[1] < 0.8 * errors[0]


def test_too_few_plates_teach_no_shrinkage():
    part = planted_part(n_experiments=2, n_plates=2)
    fitted = fit_plate_reference(part.X, part.layout, part.layout.kind, shrink=True)
    assert (fitted.kept == 1).all()


def test_complete_sites_move_no_well_and_missing_ones_do():
    rng = np.random.default_rng(0)
    wells, sites = np.repeat(np.arange(50), 4), np.tile(np.arange(4), 50)
    X = rng.normal(size=(200, 5)) + 3 * sites[:, None]
    assert site_shift(X, sites, wells, np.ones(5)) < 1e-9
    kept = ~((wells == 0) & (sites == 3))
    # Losing the last site takes a third of (0 + 1 + 2) against a quarter of (0 + 1 + 2 + 3).
    assert site_shift(X[kept], sites[kept], wells[kept], np.ones(5)) == pytest.approx(1.5, abs=0.4)
