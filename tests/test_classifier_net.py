import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from screenbook.classifier.classifier_net import NetSettings, balanced_weights, train_nets


def wells(n=240, k=6, gap=1.5, seed=0):
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    points = rng.normal(size=(n, k))
    points[:, 0] += gap * label
    return points, label


def halves(n, n_folds=2, n_members=2):
    """Each fold asks a random share of the wells; each member is stopped by a third of the rest."""
    rng = np.random.default_rng(1)
    asked = rng.integers(n_folds, size=n) == np.arange(n_folds)[:, None]
    stop = ~asked[:, None] & (rng.random((n_folds, n_members, n)) < 1 / 3)
    return ~asked[:, None] & ~stop, stop


def log_odds(trained, points):
    return np.stack([trained.log_odds(f, points) for f in range(len(trained.epochs))])


def test_the_same_seed_gives_the_same_nets_and_another_others():
    points, label = wells()
    cut = halves(len(label))
    first, again, other = (
        train_nets(points, label, *cut, seeds) for seeds in ([1, 2], [1, 2], [1, 3])
    )
    assert np.array_equal(log_odds(first, points), log_odds(again, points))
    assert np.array_equal(log_odds(first, points)[:, 0], log_odds(other, points)[:, 0])
    assert not np.allclose(log_odds(first, points)[:, 1], log_odds(other, points)[:, 1])


def test_a_net_is_the_same_alone_and_among_others():
    points, label = wells()
    learn, stop = halves(len(label), 3, 2)
    pair = train_nets(points, label, learn[:, [1, 1]], stop[:, [1, 1]], [6, 9])
    alone = train_nets(points, label, learn[:, [1]], stop[:, [1]], [6])
    np.testing.assert_allclose(
        log_odds(pair, points)[:, 0], log_odds(alone, points)[:, 0], atol=1e-9
    )
    one_fold = train_nets(points, label, learn[[2]][:, [1]], stop[[2]][:, [1]], [6])
    np.testing.assert_allclose(one_fold.log_odds(0, points), alone.log_odds(2, points), atol=1e-9)


def test_wells_held_out_teach_nothing():
    """Whatever stands in the wells of a fold, the fold's nets stay as they are."""
    points, label = wells()
    learn, stop = halves(len(label))
    unseen = ~(learn | stop)[0].any(axis=0)
    changed, flipped = points.copy(), label.copy()
    changed[unseen] += 100
    flipped[unseen] = 1 - flipped[unseen]
    before = train_nets(points, label, learn, stop, [0, 1])
    after = train_nets(changed, flipped, learn, stop, [0, 1])
    np.testing.assert_allclose(before.log_odds(0, points), after.log_odds(0, points), atol=1e-9)
    assert not np.allclose(before.log_odds(1, points), after.log_odds(1, points))


def test_it_does_as_well_as_logistic_regression_on_a_line():
    points, label = wells(n=1200)
    learn, stop = halves(len(label))
    trained = train_nets(points, label, learn, stop, [0, 1])
    asked = ~(learn | stop)[0].any(axis=0)
    ours = roc_auc_score(label[asked], trained.log_odds(0, points[asked]).mean(axis=0))
    line = LogisticRegression().fit(points[~asked], label[~asked])
    assert ours > roc_auc_score(label[asked], line.decision_function(points[asked])) - 0.02


def test_it_learns_what_no_line_can():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1200, 2))
    label = (points[:, 0] * points[:, 1] > 0).astype(int)
    learn, stop = halves(len(label), 2, 1)
    settings = NetSettings(n_hidden=16, dropout=0.1, weight_decay=1e-4, max_epochs=400, patience=60)
    trained = train_nets(points, label, learn, stop, [0], settings)
    asked = ~(learn | stop)[0].any(axis=0)
    line = LogisticRegression().fit(points[~asked], label[~asked])
    assert roc_auc_score(label[asked], trained.log_odds(0, points[asked])[0]) > 0.9
    assert roc_auc_score(label[asked], line.decision_function(points[asked])) < 0.65


def test_it_stops_early_where_there_is_nothing_to_learn():
    points, label = wells(gap=0)
    trained = train_nets(points, label, *halves(len(label)), [0, 1])
    assert trained.epochs.max() <= 60
    assert trained.loss.min() > 0.6  # log 2 is guessing
    real = train_nets(*wells(gap=3.0), *halves(len(label)), [0, 1])
    assert real.loss.max() < 0.4


def test_classes_weigh_the_same_however_many():
    label = np.array([1, 0, 0, 0, 1])
    weights = balanced_weights(label, np.array([True, True, True, False, False]))
    assert weights.tolist() == [0.5, 0.25, 0.25, 0, 0]
    points, label = wells(n=2000, gap=1.0)
    rare = (label == 0) | (np.arange(len(label)) % 20 == 1)
    learn, stop = halves(len(label))
    trained = train_nets(points[rare], label[rare], learn[:, :, rare], stop[:, :, rare], [0, 1])
    assert abs(float(np.median(trained.log_odds(0, points)))) < 0.6  # log(10) if unbalanced


def test_constant_features_are_harmless():
    points, label = wells()
    points[:, 3] = 7.0
    trained = train_nets(points, label, *halves(len(label)), [0, 1])
    assert np.isfinite(log_odds(trained, points)).all()


def test_training_leaves_torchs_threads_as_they_were():
    before = torch.get_num_threads()
    points, label = wells(n=60)
    train_nets(points, label, *halves(len(label)), [0, 1])
    assert torch.get_num_threads() == before


def test_rounding_decides_nothing():
    """Another device adds in another order: errors of that size must not change when nets stop."""
    points, label = wells(n=400)
    cut = halves(len(label))
    noise = 1e-13 * np.random.default_rng(0).normal(size=points.shape)
    one, two = (train_nets(p, label, *cut, [0, 1]) for p in (points, points + noise))
    assert np.array_equal(one.epochs, two.epochs)
    np.testing.assert_allclose(log_odds(one, points), log_odds(two, points), atol=1e-7)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same():
    points, label = wells(n=600)
    cut = halves(len(label))
    cpu, gpu = (
        train_nets(points, label, *cut, [0, 1], NetSettings(device=d)) for d in ("cpu", "cuda")
    )
    np.testing.assert_allclose(log_odds(cpu, points), log_odds(gpu, points), atol=1e-6)
