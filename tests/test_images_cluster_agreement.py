from itertools import permutations

import numpy as np
import pytest

from screenbook.images.cluster_agreement import (
    agreement_history,
    chance_accuracy,
    cluster_agreement,
    matched_accuracy,
    minibatch_accuracy,
)


def noisy(n=400, k=4, right=0.7, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, k, n)
    cluster = np.where(rng.random(n) < right, label, rng.integers(0, k, n))
    return np.array(list("wxyz"))[label], rng.permutation(k)[cluster] * 10


def test_accuracy_is_the_best_of_all_matchings():
    label, cluster = noisy()
    code = np.unique(label, return_inverse=True)[1]
    best = max((np.array(p)[cluster // 10] == code).mean() for p in permutations(range(4)))
    found = cluster_agreement(label, cluster)
    assert found.accuracy.value == matched_accuracy(label, cluster) == pytest.approx(best)
    assert np.trace(found.table.to_numpy()) == best * 400
    assert found.table.to_numpy().sum() == 400


def test_the_same_partition_and_none():
    label, _ = noisy()
    same = cluster_agreement(label, np.unique(label, return_inverse=True)[1][::1] + 7)
    assert (same.accuracy.value, same.nmi, same.ari) == pytest.approx((1, 1, 1))
    rng = np.random.default_rng(1)
    chance = cluster_agreement(label, rng.permutation(label))
    assert chance.ari == pytest.approx(0, abs=0.03)
    assert chance.accuracy.value == pytest.approx(chance.chance, abs=0.05)
    assert chance.accuracy.low < chance.chance < chance.accuracy.high


@pytest.mark.parametrize("k", [2, 3, 6])
def test_more_or_fewer_clusters_than_classes(k):
    label, _ = noisy()
    other = np.random.default_rng(2).integers(0, k, 400)
    found = cluster_agreement(label, other)
    assert found.table.shape == (4, k)
    assert found.accuracy.value == pytest.approx(np.diag(found.table).sum() / 400)
    assert found.accuracy.value == pytest.approx(matched_accuracy(label, other))


def test_intervals_are_over_experiments():
    label, cluster = noisy()
    groups = np.repeat(np.arange(8), 50)
    found = cluster_agreement(label, cluster, groups)
    assert found.accuracy.n_groups == 8
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high


def test_the_minibatch_illusion():
    assert chance_accuracy(32, 4) == pytest.approx(0.40, abs=0.01)
    assert chance_accuracy(1000, 4) == pytest.approx(0.276, abs=0.005)
    label, cluster = np.random.default_rng(3).integers(0, 4, (2, 3200))
    assert minibatch_accuracy(label, cluster) == pytest.approx(0.40, abs=0.02)
    assert matched_accuracy(label, cluster) < 0.28
    label, cluster = noisy(n=3200, right=0.2)
    assert minibatch_accuracy(label, cluster) > matched_accuracy(label, cluster) + 0.02


def test_history():
    label, cluster = noisy(n=640)
    table = agreement_history(label, [cluster, label], [0, 10])
    assert table.columns.tolist() == ["step", "accuracy", "batch_accuracy", "nmi", "ari"]
    assert table["accuracy"].tolist() == [matched_accuracy(label, cluster), 1]
    assert table["step"].tolist() == [0, 10]
