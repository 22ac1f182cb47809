from functools import cache

import numpy as np
import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.expression.signatures import signatures
from screenbook.expression_set import make_profiles
from screenbook.simulate.expression import SCALE, ExpressionSpec, simulate_expression

GENES = [f"G{i}" for i in range(4)]
LINES, PLATES, DRUGS, DMSO = ("A", "B", "C"), ("p1", "p2"), ("x", "y", "z"), 2


def conditions():
    """Three lines and three drugs, each on two plates beside two vehicle wells."""
    rows = [
        (name, 1.0 if role == "treated" else 0.0, line, plate, role)
        for plate in PLATES
        for line in LINES
        for role, names in (("treated", DRUGS), ("control", ["DMSO"] * DMSO))
        for name in names
    ]
    obs = pd.DataFrame(rows, columns=["treatment", "dose", "cell_line", "plate", "role"])
    rng = np.random.default_rng(0)
    return obs.assign(n_cells=rng.integers(20, 500, len(obs)).astype(float))


def planted(obs=None, *, variance=True, seed=1):
    obs = conditions() if obs is None else obs.reset_index(drop=True)
    rng = np.random.default_rng(seed)
    X = rng.gamma(2.0, 1.0, (len(obs), len(GENES)))
    layers = {"variance": rng.gamma(2.0, 0.2, X.shape)} if variance else {}
    return make_profiles(X, obs, GENES, scale="log1p", origin="planted", layers=layers)


def reference_of(profiles, row, *, pooled=False):
    """Vehicle wells of a row's line (and plate): their positions."""
    same = (profiles.obs["role"] == "control") & (profiles.obs["cell_line"] == row["cell_line"])
    if not pooled:
        same &= profiles.obs["plate"] == row["plate"]
    return np.flatnonzero(same)


def plain(profiles, *, pooled=False):
    """Change of each treated row from the mean over the cells of its vehicle wells."""
    out = []
    for place, (_, row) in enumerate(profiles.obs.iterrows()):
        if row["role"] == "treated":
            wells = reference_of(profiles, row, pooled=pooled)
            n = profiles.obs["n_cells"].to_numpy()[wells]
            out.append(profiles.X[place] - np.average(profiles.X[wells], axis=0, weights=n))
    return np.array(out)


@pytest.mark.parametrize(("reference", "pooled"), [("plate", False), ("pooled", True)])
def test_change_is_the_plain_subtraction(reference, pooled):
    profiles = planted()
    found = signatures(profiles, reference=reference)
    assert found.delta == pytest.approx(plain(profiles, pooled=pooled), abs=1e-5)
    treated = profiles.obs[profiles.obs["role"] == "treated"]
    assert found.obs.index.equals(treated.index)
    assert found.genes.tolist() == GENES
    n_control = [
        profiles.obs["n_cells"].to_numpy()[reference_of(profiles, row, pooled=pooled)].sum()
        for _, row in treated.iterrows()
    ]
    assert found.obs["n_control"].tolist() == n_control


def test_adjusted_takes_off_what_a_line_shows_on_a_plate_and_neither_alone():
    profiles = planted()
    change = plain(profiles).reshape(len(PLATES), len(LINES), len(DRUGS), len(GENES))
    mean = change.mean(axis=2, keepdims=True)
    by_plate, by_line = mean.mean(axis=1, keepdims=True), mean.mean(axis=0, keepdims=True)
    both = mean - by_plate - by_line + mean.mean(axis=(0, 1), keepdims=True)
    assert np.abs(both).max() > 0.1
    found = signatures(profiles, reference="adjusted")
    assert found.delta == pytest.approx((change - both).reshape(-1, len(GENES)), abs=1e-5)


@pytest.mark.parametrize("column", ["cell_line", "plate"])
def test_with_one_line_or_one_plate_adjusted_is_plate(column):
    obs = conditions()
    profiles = planted(obs[obs[column] == obs[column].iloc[0]])
    adjusted, plate = (signatures(profiles, reference=r).delta for r in ("adjusted", "plate"))
    assert adjusted == pytest.approx(plate, abs=1e-6)


def test_basal_expression_counts_plates_alike():
    obs = conditions()
    second = (obs["plate"] == "p2") & (obs["role"] == "control")
    profiles = planted(obs.drop(index=obs.index[second][::DMSO]))  # one well there, two on p1
    control = profiles.obs["role"].eq("control").to_numpy()
    found = signatures(profiles).basal
    assert found.index.tolist() == list(LINES)
    assert found.columns.tolist() == GENES
    for line in LINES:
        rows = control & profiles.obs["cell_line"].eq(line).to_numpy()
        plates = [profiles.X[rows & profiles.obs["plate"].eq(p).to_numpy()] for p in PLATES]
        expected = np.mean([wells.mean(axis=0) for wells in plates], axis=0)
        assert found.loc[line].to_numpy() == pytest.approx(expected, abs=1e-5)


def test_error_adds_cells_of_both_sides_and_the_difference_of_like_wells():
    # Like wells far apart, so that their variance beyond cells stays above 0.
    profiles = planted()
    obs, X = profiles.obs, profiles.X.astype(float)
    n, variance = obs["n_cells"].to_numpy(), profiles.layers["variance"].astype(float)
    between, cells = [], []
    for plate in PLATES:
        for line in LINES:
            wells = reference_of(profiles, {"plate": plate, "cell_line": line})
            between.append(X[wells].var(axis=0, ddof=1))
            cells.append((variance[wells] / n[wells, None]).mean(axis=0))
    between = np.maximum(np.mean(between, axis=0) - np.mean(cells, axis=0), 0)
    assert between.min() > 0
    found = signatures(profiles, reference="plate")
    for place, name in enumerate(found.obs.index):
        row = obs.loc[name]
        at, wells = obs.index.get_loc(name), reference_of(profiles, row)
        of_control = (variance[wells] * n[wells, None]).sum(axis=0) / n[wells].sum() ** 2
        expected = variance[at] / n[at] + of_control + between * (1 + 1 / DMSO)
        assert found.error[place] == pytest.approx(np.sqrt(expected), rel=1e-4)


@cache
def simulation():
    spec = ExpressionSpec(n_drugs=60, n_lines=10, n_genes=80, n_mechanisms=6, n_replicated=10)
    screen = simulate_expression(spec)
    profiles = make_profiles(
        screen.mean, screen.obs, screen.genes, scale=SCALE, origin="simulated",
        layers={"variance": screen.variance, "nonzero": screen.nonzero},
    )  # fmt: skip
    return screen, profiles


def against_truth(reference):
    screen, profiles = simulation()
    found = signatures(profiles, reference=reference)
    truth = screen.change[profiles.obs_names.get_indexer(found.obs.index)]
    expressed = found.basal.mean().to_numpy() > 0.6  # others are cut off at 0
    return (
        found,
        (found.delta - truth)[:, expressed],
        found.error[:, expressed],
        truth[:, expressed],
    )


@pytest.mark.parametrize("reference", ["plate", "adjusted"])
def test_errors_are_as_large_as_they_say(reference):
    _, off, error, _ = against_truth(reference)
    assert 0.9 < (off / error).std() < 1.1
    # Not on the whole only: also where cells are few and where they are many.
    few = error.mean(axis=1) > np.median(error.mean(axis=1))
    for rows in (few, ~few):
        assert 0.85 < (off[rows] / error[rows]).std() < 1.15


def test_pooled_controls_are_worse_than_those_of_the_plate_and_these_than_adjusted_ones():
    mse, r = {}, {}
    for reference in ("pooled", "plate", "adjusted"):
        _, off, _, truth = against_truth(reference)
        mse[reference] = np.square(off).mean()
        r[reference] = np.corrcoef((off + truth).ravel(), truth.ravel())[0, 1]
    assert mse["pooled"] > 1.3 * mse["plate"]
    assert mse["plate"] > 1.02 * mse["adjusted"]
    assert r["pooled"] < r["plate"] < r["adjusted"]


def test_pooled_controls_make_an_effect_of_dose_out_of_plates():
    # At the lowest dose hardly any drug works, yet all share a change.
    found, off, _, _ = against_truth("pooled")
    low = found.obs["dose"].eq(0.05).to_numpy()
    plate = against_truth("plate")[1]
    assert np.abs(off[low].mean(axis=0)).mean() > 2 * np.abs(plate[low].mean(axis=0)).mean()


def test_thresholds_drop_what_they_say_and_tell_it():
    profiles = planted()
    whole = signatures(profiles, reference="plate")
    cut = 150
    found = signatures(profiles, reference="plate", min_cells=cut)
    kept = (whole.obs["n_cells"] >= cut).to_numpy()
    assert 0 < kept.sum() < len(whole)
    assert found.obs.index.equals(whole.obs.index[kept])
    assert (found.delta == whole.delta[kept]).all()
    assert found.notes == (
        f"{(~kept).sum()} of {len(whole)} conditions have fewer than 150 cells: left out",
    )
    assert whole.notes == ()


def test_pairs_count_the_cells_of_all_their_conditions():
    profiles = planted()
    whole = signatures(profiles)
    cells = whole.obs.groupby(["compound_key", "cell_line"])["n_cells"].transform("sum")
    cut = int(cells.median())
    found = signatures(profiles, min_pair_cells=cut)
    assert set(found.obs.index) == set(whole.obs.index[cells >= cut])
    assert 0 < len(found) < len(whole)
    assert f"are of pairs below {cut:,} cells" in found.notes[0]


def test_cells_that_were_not_counted_pass_any_threshold():
    obs = conditions()
    obs.loc[0, "n_cells"] = np.nan
    profiles = planted(obs)
    found = signatures(profiles, min_cells=10_000)
    assert found.obs.index.tolist() == [profiles.obs_names[0]]


def test_a_line_without_control_on_a_plate_is_told_and_left_out():
    obs = conditions()
    gone = (obs["plate"] == "p1") & (obs["cell_line"] == "B") & (obs["role"] == "control")
    profiles = planted(obs[~gone])
    found = signatures(profiles, reference="plate")
    lost = (found.obs["plate"] == "p1") & (found.obs["cell_line"] == "B")
    assert not lost.any()
    assert len(found) == len(PLATES) * len(LINES) * len(DRUGS) - len(DRUGS)
    assert found.notes == (
        "3 of 18 conditions have no control of their line on their plate: left out",
    )
    assert len(signatures(profiles, reference="pooled")) == 18
    assert np.isfinite(signatures(profiles, reference="adjusted").delta).all()


def test_bulk_profiles_have_the_error_of_their_control_wells():
    obs = conditions().assign(n_cells=np.nan)
    profiles = planted(obs, variance=False)
    found = signatures(profiles, reference="plate")
    wells = profiles.X[profiles.obs["role"].eq("control").to_numpy()].astype(float)
    within = wells.reshape(len(PLATES) * len(LINES), DMSO, len(GENES)).var(axis=1, ddof=1)
    expected = np.sqrt(within.mean(axis=0) * (1 + 1 / DMSO))
    assert found.error == pytest.approx(np.tile(expected, (len(found), 1)), rel=1e-4)
    assert found.obs["n_control"].eq(DMSO).all()
    same = signatures(profiles, reference="plate").delta
    assert same == pytest.approx(plain(planted(obs.assign(n_cells=1.0), variance=False)), abs=1e-5)


def test_an_error_that_nothing_tells_is_not_made_up():
    obs = conditions().assign(n_cells=np.nan)
    single = obs.drop(index=obs[obs["role"] == "control"].index[::DMSO])
    found = signatures(planted(single, variance=False))
    assert np.isnan(found.error).all()
    assert np.isfinite(found.delta).all()


def test_a_subset_is_taken_by_mask_position_or_series():
    whole = signatures(planted())
    mask = np.arange(len(whole)) % 3 == 0
    backwards = pd.Series(mask, index=whole.obs.index[::-1])  # by position, whatever its index
    for rows in (mask, np.flatnonzero(mask), backwards):
        part = whole.subset(rows)
        assert len(part) == mask.sum()
        assert (part.delta == whole.delta[mask]).all()
        assert (part.error == whole.error[mask]).all()
        assert part.obs.index.equals(whole.obs.index[mask])
    assert part.basal is whole.basal
    assert len(whole.subset(np.zeros(len(whole), dtype=bool))) == 0


def test_the_order_of_rows_has_no_part_in_it():
    profiles = planted()
    found = signatures(profiles)
    order = np.random.default_rng(0).permutation(profiles.n_obs)
    mixed = signatures(profiles[order].copy())
    places = mixed.obs.index.get_indexer(found.obs.index)
    assert mixed.delta[places] == pytest.approx(found.delta, abs=1e-5)
    assert mixed.error[places] == pytest.approx(found.error, abs=1e-5)


def test_what_cannot_be_is_refused():
    profiles = planted()
    with pytest.raises(InputError, match="reference 'well' is none of adjusted, plate, pooled"):
        signatures(profiles, reference="well")
    with pytest.raises(InputError, match=r"no treated condition is left: 18 of 18 .* 9,999 cells"):
        signatures(profiles, min_cells=9999)
    with pytest.raises(InputError, match="no treated condition is left: there is none"):
        signatures(profiles[profiles.obs["role"] == "control"].copy())


def test_a_change_scales_with_expression():
    profiles = planted()
    double = profiles.copy()
    double.X, double.layers["variance"] = 2 * profiles.X, 4 * profiles.layers["variance"]
    one, two = signatures(profiles), signatures(double)
    assert two.delta == pytest.approx(2 * one.delta, abs=1e-5)
    assert two.error == pytest.approx(2 * one.error, rel=1e-5)
