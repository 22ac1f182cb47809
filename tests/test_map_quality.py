"""Map quality against scikit-learn and scipy, and on spaces whose neighbours are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from sklearn.neighbors import NearestNeighbors

from screenbook.profiles import nearest as nearest_module
from screenbook.profiles.map_quality import (
    group_distances,
    neighbour_recall,
    rank_correlation,
    stability,
    trustworthiness,
)
from screenbook.profiles.nearest import nearest, nearest_to, sample_rows, shared_share
from screenbook.profiles.neighbour_questions import (
    Question,
    ask,
    ask_all,
    label_codes,
    neighbour_r2,
    screen_questions,
)
from screenbook.screen import Roles


@pytest.fixture
def cloud():
    return np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32) + 1000


def as_sets(rows):
    return [set(row) for row in rows.tolist()]


# --- neighbours ----------------------------------------------------------------------------------


def test_nearest_are_those_of_scikit_learn(cloud):
    theirs = NearestNeighbors(n_neighbors=7).fit(cloud - 1000).kneighbors(return_distance=False)
    assert as_sets(nearest(cloud, 7)) == as_sets(theirs)


def test_nearest_come_by_growing_distance(cloud):
    rows = nearest(cloud, 12)
    distance = np.linalg.norm(cloud[rows] - cloud[:, None], axis=2)
    assert (np.diff(distance, axis=1) >= -1e-4).all()
    assert np.array_equal(rows[:, :5], nearest(cloud, 5))


def test_blocks_and_samples_of_queries_change_nothing(cloud, monkeypatch):
    whole = nearest(cloud, 7)
    queries = sample_rows(300, 40, seed=1)
    monkeypatch.setattr(nearest_module, "_BLOCK_BYTES", 8 * 300 * 11)
    assert as_sets(nearest(cloud, 7)) == as_sets(whole)
    assert as_sets(nearest(cloud, 7, queries)) == as_sets(whole[queries])


def test_sample_is_sorted_without_repeats_and_whole_if_small():
    rows = sample_rows(1000, 50, seed=3)
    assert len(np.unique(rows)) == 50
    assert (np.diff(rows) > 0).all()
    assert np.array_equal(sample_rows(10, 50, seed=3), np.arange(10))


def test_more_neighbours_than_wells_are_all_others():
    assert as_sets(nearest(np.eye(3), 10)) == [{1, 2}, {0, 2}, {0, 1}]


def test_nearest_to_lists_by_distance_to_the_closest_anchor():
    space = np.array([[0.0, 0], [10, 0], [1, 0], [8.5, 0], [5, 0], [0.5, 0]])
    found = nearest_to(space, np.array([0, 1]), np.array([2, 3, 4, 5]), 3)
    assert found.tolist() == [5, 2, 3]


# --- quality of a map ----------------------------------------------------------------------------


def test_shared_share_counts_common_entries_whatever_their_order():
    a, b = np.array([[1, 2, 3], [4, 5, 6]]), np.array([[3, 1, 9], [7, 8, 9]])
    assert shared_share(a, b).tolist() == [pytest.approx(2 / 3), 0.0]


def test_recall_is_one_for_the_space_itself_and_chance_for_a_random_map(cloud):
    every = np.arange(300)
    perfect = neighbour_recall(cloud, 2 * cloud[:, ::-1], [5, 20], every)
    assert perfect["recall"].tolist() == [1.0, 1.0]
    random = np.random.default_rng(5).normal(size=(300, 2))
    found = neighbour_recall(cloud, random, [30], every).iloc[0]
    assert found["chance"] == pytest.approx(30 / 299)
    assert found["recall"] == pytest.approx(found["chance"], abs=0.02)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_trustworthiness_is_that_of_scikit_learn(cloud, k):
    rng = np.random.default_rng(6)
    for drawn in (cloud[:, :2], rng.normal(size=(300, 2))):
        ours = trustworthiness(cloud, drawn, k, np.arange(300))
        theirs = sklearn_trustworthiness(cloud - 1000, drawn, n_neighbors=k)
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_trustworthiness_of_a_sample_estimates_that_of_all(cloud):
    drawn = cloud[:, :2]
    every = trustworthiness(cloud, drawn, 10, np.arange(300))
    sample = trustworthiness(cloud, drawn, 10, sample_rows(300, 150, seed=0))
    assert sample == pytest.approx(every, abs=0.02)


def test_trustworthiness_refuses_neighbourhoods_of_half_the_wells(cloud):
    with pytest.raises(ValueError, match="less than half"):
        trustworthiness(cloud, cloud, 150, np.arange(300))


# --- neighbour questions -------------------------------------------------------------------------


def brute_force(space, question, k):
    """The definition, well by well."""
    out = {}
    distance = cdist(space, space)
    for i in np.flatnonzero(question.labels >= 0):
        allowed = (question.labels >= 0) & (np.arange(len(space)) != i)
        if question.within is not None:
            allowed &= question.within == question.within[i]
        if question.apart is not None:
            allowed &= question.apart != question.apart[i]
        partners = allowed & (question.labels == question.labels[i])
        wanted = min(k, partners.sum())
        if wanted:
            order = np.argsort(np.where(allowed, distance[i], np.inf))[:wanted]
            out[i] = (partners[order].mean(), partners.sum() / allowed.sum())
    return out


@pytest.mark.parametrize("with_within", [False, True])
@pytest.mark.parametrize("with_apart", [False, True])
def test_answers_are_those_of_the_definition(with_within, with_apart):
    rng = np.random.default_rng(7)
    space = rng.normal(size=(120, 3))
    question = Question(
        "class",
        rng.integers(-1, 12, 120),
        within=rng.integers(0, 2, 120) if with_within else None,
        apart=rng.integers(0, 5, 120) if with_apart else None,
    )
    answers = ask(space, question, 6, n_queries=1000, seed=0).set_index("well")
    expected = brute_force(space, question, 6)
    assert set(answers.index) == set(expected)
    for well, (shared, chance) in expected.items():
        assert answers.loc[well].tolist() == pytest.approx([shared, chance])


def test_shared_is_one_if_partners_are_nearest_and_chance_if_labels_are_random():
    rng = np.random.default_rng(8)
    label = np.repeat(np.arange(100), 4)  # three partners each, fewer than k
    space = 100.0 * rng.normal(size=(100, 5))[label] + rng.normal(size=(400, 5))
    assert ask(space, Question("", label), 15, n_queries=999, seed=0)["shared"].eq(1).all()
    coin = rng.integers(0, 2, 400)
    answers = ask(space, Question("", coin), 15, n_queries=999, seed=0)
    assert answers["shared"].mean() == pytest.approx(answers["chance"].mean(), abs=0.05)


def test_a_well_without_partner_does_not_ask():
    answers = ask(np.eye(4), Question("", np.array([0, 0, 1, -1])), 3, n_queries=9, seed=0)
    assert answers["well"].tolist() == [0, 1]


def test_all_spaces_are_asked_by_the_same_wells_and_intervals_hold_the_mean():
    rng = np.random.default_rng(9)
    label, plate = rng.integers(0, 3, 500), rng.integers(0, 8, 500)
    good = label[:, None] * 4.0 + rng.normal(size=(500, 2))
    spaces = {"good": good, "noise": rng.normal(size=(500, 2))}
    questions = [Question("class", label), Question("nobody", np.full(500, -1))]
    table = ask_all(spaces, questions, 10, clusters=plate, n_queries=200, seed=1)
    assert table["question"].unique().tolist() == ["class"]
    assert table["n_queries"].tolist() == [200, 200]
    assert table["low"].le(table["shared"]).all()
    assert table["high"].ge(table["shared"]).all()
    shared = table.set_index("space")["shared"]
    assert shared["good"] > 0.9
    assert table.set_index("space").loc["noise", "low"] < 0.36
    again = ask_all(spaces, questions, 10, clusters=plate, n_queries=200, seed=1)
    pd.testing.assert_frame_equal(table, again)


def test_interval_is_that_of_plates_not_of_wells():
    label = np.array([0, 1] * 200)
    plate = np.repeat([0, 1, 2, 3], 100)
    rng = np.random.default_rng(10)
    # On two plates the label can be seen, on two it cannot: four observations, not 400.
    space = (
        (label * 10.0 * (plate < 2))[:, None] + rng.normal(size=(400, 1)) + 1000 * plate[:, None]
    )
    by_plate = ask_all({"": space}, [Question("", label)], 5, clusters=plate, seed=0).iloc[0]
    by_well = ask_all({"": space}, [Question("", label)], 5, clusters=np.arange(400), seed=0).iloc[
        0
    ]
    assert by_plate["high"] - by_plate["low"] > 3 * (by_well["high"] - by_well["low"])


def test_neighbour_r2_is_one_for_a_gradient_and_none_for_noise():
    rng = np.random.default_rng(11)
    space = rng.uniform(size=(800, 2))
    smooth, noise = 3 * space[:, 0], rng.normal(size=800)
    assert neighbour_r2(space, smooth, 8, n_queries=400, seed=0) > 0.98
    assert neighbour_r2(space, noise, 8, n_queries=400, seed=0) < 0.05
    with_gaps = np.where(rng.random(800) < 0.3, np.nan, smooth)
    assert neighbour_r2(space, with_gaps, 8, n_queries=400, seed=0) > 0.98


@pytest.fixture
def obs():
    """Two cell types, four plates each, twelve wells a plate."""
    wells = pd.DataFrame(
        [
            (cell_type, f"{cell_type}/{plate}", f"A{column:02d}", column)
            for cell_type in ("renal", "simian")
            for plate in range(4)
            for column in range(12)
        ],
        columns=["cell_type", "batch", "well", "column"],
    )
    treated = wells["column"] >= 6
    compound = ("SBK-" + (wells["column"] % 3).astype(str)).where(treated, "")
    return wells.assign(
        experiment=wells["cell_type"] + "-1",
        site=0,
        role=np.select([treated, wells["column"] < 3], ["treated", "healthy"], "diseased"),
        compound=compound,
        compound_key=compound,
        treatment_conc=np.where(treated, 1.0 + (wells["column"] >= 9), np.nan),
        moa=compound.map({"SBK-0": "a", "SBK-1": "a", "SBK-2": "b"}).fillna(""),
    )


def test_questions_of_a_screen_are_asked_of_the_right_wells(obs):
    roles = Roles(healthy=("Mock",), diseased=("Active",))
    found = {question.name: question for question in screen_questions(obs, roles)}
    assert list(found) == [
        "its plate, among like controls",
        "its experiment, among like controls",
        "its control (healthy or diseased), another plate",
        "its plate position, another plate",
        "its compound and dose, another plate",
        "its mechanism, another compound",
    ]
    space = np.random.default_rng(0).normal(size=(len(obs), 2))
    asked = {n: ask(space, q, 5, n_queries=999, seed=0) for n, q in found.items()}
    expected = {
        "its plate, among like controls": 2 / 11,
        "its compound and dose, another plate": 3 / 18,
    }
    for name, chance in expected.items():
        assert asked[name]["chance"].to_numpy() == pytest.approx(chance)
    controls = obs.loc[asked["its control (healthy or diseased), another plate"]["well"], "role"]
    assert set(controls) == {"healthy", "diseased"}
    # SBK-2 alone has mechanism b: it finds no other compound that shares it.
    partners = obs.loc[asked["its mechanism, another compound"]["well"], "compound"]
    assert set(partners) == {"SBK-0", "SBK-1"}


def test_a_screen_without_disease_or_mechanisms_is_not_asked_for_them(obs):
    bare = obs.assign(role=np.where(obs["role"] == "treated", "treated", "vehicle"), moa="")
    names = [question.name for question in screen_questions(bare, Roles(vehicle=("DMSO",)))]
    assert not any("healthy" in name or "mechanism" in name for name in names)


def test_sites_are_asked_for_their_own_well(obs):
    sites = pd.concat([obs.assign(site=1), obs.assign(site=2)], ignore_index=True)
    question = screen_questions(sites, Roles(healthy=("x",), diseased=("y",)))[0]
    assert question.name == "its own well"
    assert (np.bincount(question.labels)[np.unique(question.labels)] == 2).all()
    assert np.array_equal(question.labels[: len(obs)], question.labels[len(obs) :])


def test_label_codes_leave_blanks_out():
    values = pd.Series(pd.Categorical(["a", "", "b", None, "a"]))
    assert label_codes(values).tolist() == [0, -1, 1, -1, 0]


# --- distances -----------------------------------------------------------------------------------


def test_group_distances_are_those_of_the_centres():
    rng = np.random.default_rng(12)
    space, groups = rng.normal(size=(60, 4)), rng.integers(-1, 5, 60)
    groups[groups == 3] = 1  # group 3 has no wells
    table = group_distances(space, space[:, :2], groups, 5)
    centres = pd.DataFrame(space[groups >= 0]).groupby(groups[groups >= 0]).mean()
    assert len(table) == 6
    for pair in table.itertuples():
        gap = centres.loc[pair.a] - centres.loc[pair.b]
        assert pair.reference == pytest.approx(np.linalg.norm(gap))
        assert pair.drawn == pytest.approx(np.linalg.norm(gap[:2]))


def test_rank_correlation_is_undefined_where_nothing_varies():
    assert rank_correlation(np.arange(5), np.arange(5) ** 3) == pytest.approx(1)
    assert np.isnan(rank_correlation(np.ones(5), np.arange(5)))
    assert np.isnan(rank_correlation(np.arange(2), np.arange(2)))


def test_pca_start_comes_back_and_random_start_moves_the_clusters():
    rng = np.random.default_rng(13)
    groups = np.repeat(np.arange(12), 25)
    scores = 10 * rng.normal(size=(12, 6))[groups] + rng.normal(size=(300, 6))
    table = stability(
        scores,
        groups,
        anchors=np.arange(25),
        others=np.arange(25, 300),
        count=50,
        seeds=[0, 1, 2],
        k=10,
        n_iter=150,
    )
    assert table["start"].value_counts().to_dict() == {"pca": 3, "random": 3}
    by_start = table.groupby("start").mean()
    assert by_start.loc["pca", "distances"] > by_start.loc["random", "distances"] + 0.2
    assert by_start.loc["pca", "selected"] > by_start.loc["random", "selected"] + 0.1
    assert (by_start["neighbours"] > 0.4).all()


def test_without_controls_to_look_around_the_rest_is_still_measured():
    rng = np.random.default_rng(14)
    nobody, every = np.zeros(0, dtype=int), np.arange(40)
    table = stability(
        rng.normal(size=(40, 3)),
        np.zeros(40, dtype=int),
        anchors=nobody,
        others=every,
        count=5,
        seeds=[0, 1],
        k=5,
        n_early=20,
        n_iter=20,
    )
    assert table["selected"].isna().all()
    assert table["distances"].isna().all()  # one group has no pair
    assert table["neighbours"].between(0, 1).all()
