from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp

from planted_rescue import RESCUERS, rescue_screen, roles
from screenbook.errors import InputError
from screenbook.hits.earth_mover import (
    earth_mover_scores,
    find_signature,
    ks_p_values,
    ks_statistics,
    transport_cost,
)


def by_linear_programme(a: np.ndarray, b: np.ndarray) -> float:
    """Optimal transport between equal weights, as the linear programme that it is."""
    n, m = len(a), len(b)
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    marginals = np.r_[np.full(n, 1 / n), np.full(m, 1 / m)]
    cost = cdist(a, b, "sqeuclidean").ravel()
    return linprog(cost, A_eq=np.vstack([rows, columns]), b_eq=marginals).fun


@pytest.mark.parametrize(("n", "times", "k"), [(1, 5, 2), (3, 1, 4), (4, 3, 2), (5, 4, 7)])
def test_the_distance_is_that_of_the_linear_programme(n, times, k):
    rng = np.random.default_rng(n)
    few, many = rng.normal(size=(n, k)), rng.normal(1, 2, size=(times * n, k))
    assert transport_cost(few, many) == pytest.approx(by_linear_programme(few, many), rel=1e-7)


def test_equal_samples_take_the_best_of_all_pairings():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 3))
    pairings = [((a - b[list(order)]) ** 2).sum(axis=1).mean() for order in permutations(range(5))]
    assert transport_cost(a, b) == pytest.approx(min(pairings))
    assert transport_cost(a, a[::-1]) == pytest.approx(0, abs=1e-12)


def test_moving_all_wells_adds_the_square_of_the_way():
    rng = np.random.default_rng(0)
    wells = rng.normal(size=(6, 3))
    assert transport_cost(wells, wells + np.array([3.0, 0, 4.0])) == pytest.approx(25)


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(InputError, match="samples of 4 and 6 wells"):
        transport_cost(np.zeros((4, 2)), np.zeros((6, 2)))
    with pytest.raises(InputError, match="samples of 0 and 6"):
        transport_cost(np.zeros((0, 2)), np.zeros((6, 2)))


@pytest.mark.parametrize(("n", "m"), [(2, 6), (6, 60), (7, 11), (30, 30), (1, 4), (90, 111)])
def test_kolmogorov_smirnov_is_exact_as_that_of_scipy(n, m):
    rng = np.random.default_rng(n * m)
    a, b = rng.normal(size=(n, 12)), rng.normal(0.5, 1.5, size=(m, 12))
    a[:, 0] = b[0, 0]  # one value throughout
    a[:, 1:4], b[:, 1:4] = a[:, 1:4].round(), b[:, 1:4].round()  # ties
    a[:, 4] += 100
    found = ks_statistics(a, b)
    p = ks_p_values(found, n, m)
    for i in range(12):
        expected = ks_2samp(a[:, i], b[:, i], method="exact")
        assert found[i] == pytest.approx(expected.statistic)
        assert p[i] == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


def test_kolmogorov_smirnov_of_many_wells_is_near_the_exact_one():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(150, 5)), rng.normal(0.2, 1, size=(160, 5))
    p = ks_p_values(ks_statistics(a, b), 150, 160)
    exact = [ks_2samp(a[:, i], b[:, i], method="exact").pvalue for i in range(5)]
    np.testing.assert_allclose(p, exact, rtol=0.15)
    asymptotic = [ks_2samp(a[:, i], b[:, i], method="asymp").pvalue for i in range(5)]
    np.testing.assert_allclose(p, asymptotic, rtol=1e-9)


def test_two_wells_against_six_cannot_differ():
    apart = ks_statistics(np.array([[100.0], [101.0]]), np.arange(6.0)[:, None])
    assert apart[0] == pytest.approx(1)
    assert ks_p_values(apart, 2, 6)[0] == pytest.approx(2 / 28)  # 0.071


def test_features_that_tell_the_disease_are_on():
    wells, points = rescue_screen(k=10)
    points[roles(wells) == "diseased", 3] += 2
    role = roles(wells)
    found = find_signature(points[role == "diseased"], points[role == "healthy"])
    assert np.flatnonzero(found.on).tolist() == [0, 3]
    assert (found.q >= found.p).all()


def test_rescuers_lie_near_healthy_and_inert_treatments_where_untreated_wells_do():
    wells, points = rescue_screen()
    found = earth_mover_scores(points, wells)
    table = found.treatments
    rescued = table["compound_key"].isin(RESCUERS) & (table["dose"] == 1.0)
    assert table.loc[rescued, "hit"].all()
    assert not table.loc[~rescued, "hit"].any()
    assert table.loc[rescued, "on_score"].max() < 0.3
    assert table.loc[~rescued, "on_score"].mean() == pytest.approx(1, abs=0.15)
    assert table.loc[~rescued, "score"].mean() == pytest.approx(0, abs=0.05)
    assert table.loc[rescued, "score"].mean() == pytest.approx(1, abs=0.05)
    assert found.reference == pytest.approx(25, rel=0.15)
    assert set(table["n_wells"]) == {6}


def test_off_features_that_move_are_seen_and_the_on_score_is_not_touched():
    wells, points = rescue_screen(k=10)
    moved = points.copy()
    key1 = (wells["compound_key"] == "KEY1").to_numpy()
    moved[np.ix_(key1, [5, 6, 7])] += 8
    before, after = (earth_mover_scores(p, wells).treatments for p in (points, moved))
    mine = before["compound_key"] == "KEY1"
    np.testing.assert_allclose(after.loc[mine, "off_score"], 3 / 9)
    assert before["off_score"].max() < 0.3
    pd.testing.assert_series_equal(after["on_score"], before["on_score"])


def test_few_wells_score_worse_than_many_and_the_null_says_so():
    tables = []
    for seed in range(8):
        wells, points = rescue_screen(n_plates=12, k=12, gap=0.0, seed=seed)
        points[roles(wells) != "healthy"] += 1.0  # in all axes, so that noise is on, too
        few = wells["compound_key"].isin(["KEY2", "KEY4"]) & wells["plate"].isin(["1", "2", "3"])
        kept = few | wells["compound_key"].isin(["KEY1", "KEY5"]) | (wells["role"] != "treated")
        tables.append(earth_mover_scores(points[kept.to_numpy()], wells[kept]).treatments)
    mean = pd.concat(tables).groupby("n_wells")[["on_score", "on_untreated", "score"]].mean()
    assert mean.index.tolist() == [3, 12]
    assert (mean.loc[3, ["on_score", "on_untreated"]] > mean.loc[12].iloc[:2] + 0.1).all()
    np.testing.assert_allclose(mean["score"], 0, atol=0.2)


def test_healthy_wells_are_not_held_against_themselves():
    scores = []
    for seed in range(6):
        wells, points = rescue_screen(
            k=12, gap=0.0, seed=seed, controls={"healthy": 4, "diseased": 30}
        )
        points[roles(wells) == "diseased"] += 1.0  # all treated wells are like healthy ones
        scores.append(earth_mover_scores(points, wells).treatments["score"].mean())
    assert np.mean(scores) == pytest.approx(1, abs=0.1)


def test_a_plate_is_held_against_healthy_wells_of_its_own():
    wells, points = rescue_screen(n_plates=4, gap=40.0)
    kept = ((wells["compound_key"] != "KEY5") | (wells["plate"] == "1")).to_numpy()
    wells, points = wells[kept], points[kept]
    shifted = points.copy()
    shifted[(wells["plate"] == "1").to_numpy()] += [0, 3.0, *[0] * 6]
    before, after = (earth_mover_scores(p, wells, fewest=1) for p in (points, shifted))
    np.testing.assert_array_equal(after.signature.on, before.signature.on)
    costs = [f.treatments["on_score"] * f.reference for f in (before, after)]
    own = before.treatments["compound_key"] == "KEY5"
    np.testing.assert_allclose(costs[1][own], costs[0][own])


def test_large_treatments_are_sampled_and_few_healthy_wells_are_enough():
    wells, points = rescue_screen(n_plates=6)
    wells["compound_key"] = wells["compound_key"].astype(str)
    merged = wells["role"].astype(str).eq("treated") & ~wells["compound_key"].isin(RESCUERS)
    wells.loc[merged, "compound_key"] = "MANY"
    kept = ~((roles(wells) == "healthy") & (wells["plate"] > "1"))
    found = earth_mover_scores(points[kept], wells[kept], most=30).treatments.set_index(
        "compound_key"
    )
    assert found.loc["MANY", "n_wells"].min() > 60
    assert found["on_score"].notna().all()
    assert (found.loc["MANY", "on_score"] > 0.7).all()
    rescued = found[found.index.isin(RESCUERS) & (found["dose"] == 1.0)]
    assert (rescued["on_score"] < 0.3).all()


def test_too_few_wells_have_no_score_and_too_few_controls_are_named():
    wells, points = rescue_screen(n_plates=2)
    found = earth_mover_scores(points, wells)
    assert found.treatments["on_score"].isna().all()
    assert not found.treatments["hit"].any()
    assert "3 wells" in found.reason
    assert earth_mover_scores(points, wells, fewest=2).treatments["on_score"].notna().all()
    bare = ~(wells["role"] == "diseased").to_numpy()
    assert "0 untreated disease wells" in earth_mover_scores(points[bare], wells[bare]).reason
    with pytest.raises(InputError, match="most is 0"):
        earth_mover_scores(points, wells, most=0)


def test_where_disease_does_nothing_there_is_no_signature():
    wells, points = rescue_screen(gap=0.0)
    found = earth_mover_scores(points, wells)
    assert "no feature" in found.reason
    assert found.treatments["on_score"].isna().all()


def test_the_package_agrees_on_the_same_wells():
    buscar = pytest.importorskip("buscar")
    pl = pytest.importorskip("polars")
    wells, points = rescue_screen(n_plates=6, k=8, controls={"healthy": 10, "diseased": 20})
    wells["batch"] = "one"  # 60 healthy wells, of which every treatment of six takes all
    found = earth_mover_scores(points, wells)
    names = [f"f{i}" for i in range(points.shape[1])]
    treatment = wells["compound_key"].astype(str) + "@" + wells["treatment_conc"].astype(str)
    label = treatment.where(wells["role"].astype(str) == "treated", wells["role"].astype(str))
    frame = pl.DataFrame(points, schema=names).with_columns(pl.Series("state", label.to_list()))
    kinds = [
        frame.filter(pl.col("state") == kind).select(names) for kind in ("diseased", "healthy")
    ]
    on, off, _ = buscar.identify_signatures(*kinds, names)
    assert on == [names[i] for i in np.flatnonzero(found.signature.on)]
    theirs = buscar.calculate_buscar_scores(
        frame, ["state"], on, off, "diseased", "healthy", "state", raw_emd_scores=True
    )
    theirs = pd.DataFrame(theirs.to_dict(as_series=False)).set_index("perturbation")
    table = found.treatments
    label = table["compound_key"] + "@" + table["dose"].astype(str)
    theirs = theirs.loc[label]
    np.testing.assert_allclose(theirs["on_buscar_scores"], table["on_score"] * found.reference)
    np.testing.assert_allclose(theirs["off_buscar_scores"], table["off_score"])
