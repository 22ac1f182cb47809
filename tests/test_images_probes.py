import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torchmetrics.classification import MulticlassAccuracy

from screenbook.images.probes import balanced_share, linear_probe, weighted_knn
from screenbook.images.shares import clustered_share


def classes(n=240, d=10, k=4, apart=1.5, seed=0, frequencies=None):
    rng = np.random.default_rng(seed)
    label = rng.choice(k, n, p=frequencies)
    centres = np.random.default_rng(99).normal(size=(k, d)) * apart / np.sqrt(d) * 2
    return rng.normal(size=(n, d)) + centres[label] + 1.0, label


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_weighted_knn_is_that_of_scikit_learn(temperature):
    bank, label = classes(seed=1)
    queries, _ = classes(seed=2)
    theirs = KNeighborsClassifier(
        10,
        metric="cosine",
        algorithm="brute",
        weights=lambda distance: np.exp((1 - distance) / temperature),
    ).fit(bank, label)
    ours = weighted_knn(bank, label, queries, 4, temperature=temperature, balanced=False)
    assert (ours == theirs.predict(queries)).all()


def test_weighted_knn_written_out():
    bank, label = classes(n=40, seed=3)
    query = classes(n=1, seed=4)[0]
    cosine = (bank @ query[0]) / np.linalg.norm(bank, axis=1) / np.linalg.norm(query)
    votes = np.zeros(4)
    for i in np.argsort(-cosine)[:7]:
        votes[label[i]] += np.exp(cosine[i] / 0.1) / (label == label[i]).sum()
    assert weighted_knn(bank, label, query, 4, k=7)[0] == votes.argmax()


def test_a_frequent_class_does_not_win_by_being_frequent():
    frequencies = [0.85, 0.05, 0.05, 0.05]
    bank, label = classes(n=800, apart=0.8, seed=5, frequencies=frequencies)
    queries, truth = classes(n=800, apart=0.8, seed=6)
    guesses = [weighted_knn(bank, label, queries, 4, balanced=b) for b in (True, False)]
    fair, plain = (balanced_accuracy_score(truth, guess) for guess in guesses)
    assert fair > plain + 0.1


def test_linear_probe_is_that_of_scikit_learn():
    train, label = classes(seed=7)
    queries, truth = classes(seed=8)
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=300, tol=1e-3)
    )
    ours = linear_probe(train, label, queries)
    assert (ours == model.fit(train, label).predict(queries)).mean() > 0.99
    assert (ours == truth).mean() > 0.6
    flat = np.column_stack([train, np.ones(len(train))])
    assert (linear_probe(flat, label, np.column_stack([queries, np.ones(240)])) == ours).all()


def test_balanced_share_is_balanced_accuracy():
    rng = np.random.default_rng(9)
    truth = rng.choice(3, 500, p=[0.7, 0.2, 0.1])
    guess = np.where(rng.random(500) < 0.3 + 0.2 * truth, truth, rng.integers(0, 3, 500))
    found = balanced_share(guess == truth, truth, rng.integers(0, 8, 500))
    assert found.value == pytest.approx(balanced_accuracy_score(truth, guess))
    assert found.low < found.value < found.high
    assert (found.n, found.n_groups) == (500, 8)


def test_balanced_share_is_that_of_torchmetrics():
    truth, guess = np.random.default_rng(10).integers(0, 4, (2, 300))
    theirs = MulticlassAccuracy(4, average="macro")
    expected = float(theirs(torch.tensor(guess), torch.tensor(truth)))
    ours = balanced_share(guess == truth, truth, np.arange(300))
    assert ours.value == pytest.approx(expected, abs=1e-6)


def test_with_equal_classes_it_is_the_plain_share():
    rng = np.random.default_rng(11)
    truth, groups = np.tile(np.arange(4), 50), np.repeat(np.arange(10), 20)
    right = rng.random(200) < 0.6
    fair, plain = balanced_share(right, truth, groups), clustered_share(right, groups)
    assert fair.value == pytest.approx(plain.value)
    assert fair.high - fair.low == pytest.approx(plain.high - plain.low, rel=0.25)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(12)
    hits = 0
    for _ in range(300):
        easy = np.clip(rng.normal(0.5, 0.12, 6), 0, 1)  # each experiment has its own difficulty
        truth = np.tile([0, 0, 0, 1], (6, 25)).reshape(6, 100)
        right = rng.random((6, 100)) < easy[:, None]
        found = balanced_share(right.ravel(), truth.ravel(), np.repeat(np.arange(6), 100))
        hits += found.low <= 0.5 <= found.high
    assert 0.90 < hits / 300 <= 0.99
