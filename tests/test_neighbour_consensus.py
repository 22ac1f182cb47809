import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from planted_fields import labelled_points
from screenbook.errors import InputError
from screenbook.images.neighbour_consensus import consensus_table, neighbour_consensus


def test_one_neighbour_is_sklearns():
    points, label, _ = labelled_points(apart=2.0)
    near = NearestNeighbors(n_neighbors=1).fit(points).kneighbors()[1][:, 0]
    found = neighbour_consensus(points, label)
    assert found.share.value == (label == label[near]).mean()
    np.testing.assert_array_equal(found.credit, label == label[near])


def test_classes_apart_agree_and_noise_is_at_chance():
    points, label, _ = labelled_points(apart=20.0)
    assert neighbour_consensus(points, label).share.value == 1.0
    rng = np.random.default_rng(0)
    values = [neighbour_consensus(rng.normal(size=(200, 4)), np.arange(200) % 4) for _ in range(10)]
    assert values[0].chance == pytest.approx(49 / 199)
    assert np.mean([v.share.value for v in values]) == pytest.approx(49 / 199, abs=0.03)


def test_counting_oneself_among_five_makes_chance_a_half():
    rng = np.random.default_rng(1)
    label = np.arange(1000) % 4
    found = neighbour_consensus(rng.normal(size=(1000, 3)), label, k=5, include_self=True)
    assert found.chance == pytest.approx(0.495, abs=0.01)
    assert found.share.value == pytest.approx(0.495, abs=0.05)
    without = neighbour_consensus(rng.normal(size=(1000, 3)), label, k=5)
    assert without.chance == pytest.approx(0.25, abs=0.01)


def test_votes_by_hand():
    points = np.array([[0.0], [1.0], [2.0], [3.5], [5.5]])
    label = np.array(["a", "b", "a", "a", "b"])
    three = neighbour_consensus(points, label, k=3, include_self=True)
    assert three.credit.tolist() == [1.0, 0.0, 1.0, 1.0, 0.0]
    two = neighbour_consensus(points, label, k=2)
    assert two.credit.tolist() == [0.5, 0.0, 0.5, 0.5, 0.0]


def test_neighbours_of_the_own_batch_may_be_left_out():
    points, label, batch = labelled_points(apart=3.0, shift=8.0)
    apart = neighbour_consensus(points, label, not_same=batch)
    together = neighbour_consensus(points, label)
    assert apart.share.value < together.share.value
    assert apart.share.n_groups == 5
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    distance[batch[:, None] == batch] = np.inf
    assert apart.share.value == (label == label[distance.argmin(axis=1)]).mean()


def test_a_batch_of_one_class_only_agrees_with_itself_and_with_no_other():
    # As in RxRx1, where an experiment holds one cell type: three classes, four batches.
    rng = np.random.default_rng(0)
    batch = np.repeat(np.arange(4), 30)
    label = np.array([0, 1, 2, 2])[batch]
    points = rng.normal(size=(120, 3)) + 30 * rng.normal(size=(4, 3))[batch]
    assert neighbour_consensus(points, label).share.value == 1.0
    apart = neighbour_consensus(points, label, not_same=batch)
    assert apart.share.value < 0.6
    # Classes 0 and 1 have no one to agree with; class 2 has one batch in three.
    assert apart.chance == pytest.approx(0.5 / 3)


def test_chance_is_what_random_points_give_under_every_rule():
    rng = np.random.default_rng(2)
    label = rng.choice(3, p=[0.6, 0.3, 0.1], size=150)
    batch = np.where(rng.random(150) < 0.5, label % 2, 2)
    for rule in ({}, {"not_same": batch}, {"k": 4}, {"k": 5, "include_self": True}):
        found = [neighbour_consensus(rng.normal(size=(150, 5)), label, **rule) for _ in range(40)]
        seen = np.mean([f.share.value for f in found])
        assert seen == pytest.approx(found[0].chance, abs=0.02), rule


def test_fields_that_are_not_asked_are_neighbours_only():
    points, label, batch = labelled_points(apart=2.0)
    asked = batch == 0
    everyone = neighbour_consensus(points, label)
    some = neighbour_consensus(points, label, asked=asked, clusters=batch)
    np.testing.assert_array_equal(some.credit[asked], everyone.credit[asked])
    assert np.isnan(some.credit[~asked]).all()
    assert some.share.n == asked.sum()
    assert some.chance == pytest.approx(everyone.chance)


def test_the_table_measures_the_same_of_all():
    points, label, batch = labelled_points(apart=4.0, shift=2.0)
    noise = np.random.default_rng(0).normal(size=(len(points), 2))
    table = consensus_table({"good": points, "noise": noise}, label, batch)
    assert table["representation"].tolist() == ["good", "noise"]
    assert table["dimension"].tolist() == [5, 2]
    good, bad = table.iloc[0], table.iloc[1]
    assert good["consensus"] == neighbour_consensus(points, label).share.value
    assert good["consensus"] > good["other_batch"] > bad["other_batch"]
    assert good["low"] < good["consensus"] < good["high"]
    assert good["batch"] > 1.5 * good["batch_chance"]
    assert bad["five_with_self"] == pytest.approx(bad["five_with_self_chance"], abs=0.1)
    assert bad["other_batch_chance"] == pytest.approx(0.25, abs=0.001)


def test_one_batch_has_no_neighbours_elsewhere():
    points, label, _ = labelled_points()
    with pytest.raises(InputError, match="all are of one batch"):
        neighbour_consensus(points, label, not_same=np.zeros(len(label)))
    with pytest.raises(InputError, match="give at least 2"):
        neighbour_consensus(points, label, k=1, include_self=True)
