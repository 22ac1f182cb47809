import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from screenbook.profiles.separability import (
    ShrunkenLDA,
    leave_plate_out_scores,
    predictability,
    separation,
)


def wells(n_plates=8, per_plate=24, k=10, shift=0.0, disease=0.0, seed=0):
    rng = np.random.default_rng(seed)
    plate = np.repeat(np.arange(n_plates), per_plate)
    diseased = np.arange(len(plate)) % 2 == 1
    points = rng.normal(size=(len(plate), k)) + shift * rng.normal(size=(n_plates, k))[plate]
    points[:, 0] += disease * diseased
    return points, plate, diseased


def test_decisions_are_those_of_sklearn():
    points, plate, _ = wells(shift=1.0)
    ours = ShrunkenLDA().fit(points, plate, 8).decide(points)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=np.full(8, 1 / 8))
    theirs.fit(points, plate)
    # sklearn shrinks each class's covariance, we the pooled one: the same calls all but always.
    assert (ours.argmax(axis=1) == theirs.predict(points)).mean() > 0.97


def test_a_class_without_a_row_is_never_predicted():
    points, plate, _ = wells()
    assert (ShrunkenLDA().fit(points, plate, 9).decide(points).argmax(axis=1) < 8).all()


def test_alike_plates_are_told_by_chance():
    told = [predictability(*wells(seed=s)[:2], seed=s) for s in range(6)]
    assert np.mean([t.accuracy for t in told]) == pytest.approx(1 / 8, abs=0.03)
    assert np.mean([t.chance for t in told]) == pytest.approx(1 / 8, abs=0.02)
    assert np.median([t.p for t in told]) > 0.1


def test_shifted_plates_are_told():
    told = predictability(*wells(shift=2.0)[:2], n_permutations=30)
    assert told.accuracy > 0.9
    assert told.null_high < 0.25
    assert told.p == pytest.approx(1 / 31)
    assert (told.n, told.n_batches) == (192, 8)


def test_every_fold_learns_every_batch_even_from_three_wells():
    points, plate, _ = wells(n_plates=40, per_plate=3, shift=6.0)
    assert predictability(points, plate, n_permutations=0).accuracy > 0.95


def test_experiments_are_told_from_plates_not_seen():
    """A plate that gives itself away must not give its experiment away."""
    points, plate, _ = wells(shift=3.0)
    experiment = plate // 4
    naive = predictability(points, experiment, n_permutations=0)
    honest = predictability(points, experiment, blocks=plate, n_permutations=30)
    assert naive.accuracy > 0.9
    assert honest.p > 0.05
    points += 8 * np.array([-1, 1])[experiment][:, None]
    assert predictability(points, experiment, blocks=plate, n_permutations=0).accuracy > 0.95


def test_what_cannot_be_told_is_none():
    points, plate, _ = wells()
    assert predictability(points, np.zeros(len(plate))) is None
    assert predictability(points, np.arange(len(plate))) is None
    assert predictability(points, (plate == 0).astype(int), blocks=plate) is None


def test_auc_is_that_of_sklearn_on_leave_plate_out_scores():
    points, plate, diseased = wells(shift=0.5, disease=1.0)
    found = separation(points, diseased, plate)
    assert found.auc == pytest.approx(roc_auc_score(diseased, found.scores))
    own = [roc_auc_score(diseased[plate == p], found.scores[plate == p]) for p in range(8)]
    np.testing.assert_allclose(found.by_plate, own)
    assert found.within == pytest.approx(np.mean(own))
    assert found.low < found.auc < found.high


def test_the_plate_that_is_scored_teaches_nothing():
    points, plate, diseased = wells(disease=1.0)
    scores = leave_plate_out_scores(points, diseased.astype(int), plate)
    swapped = np.where(plate == 3, 1 - diseased, diseased)
    again = leave_plate_out_scores(points, swapped.astype(int), plate)
    np.testing.assert_allclose(scores[plate == 3], again[plate == 3])
    assert not np.allclose(scores[plate == 4], again[plate == 4])


def test_wells_that_teach_nothing_are_scored_too():
    points, plate, diseased = wells(disease=4.0)
    label = np.where(np.arange(len(plate)) % 3 == 0, -1, diseased.astype(int))
    scores = leave_plate_out_scores(points, label, plate)
    assert roc_auc_score(diseased[label < 0], scores[label < 0]) > 0.95


def test_the_interval_covers_the_auc_of_new_plates():
    """Plates differ in how ill they are: the interval is wider than wells alone would make it."""
    rng = np.random.default_rng(0)
    points, plate, diseased = wells(n_plates=12)
    points[:, 0] += (rng.choice([0.0, 3.0], 12)[plate]) * diseased
    found = separation(points, diseased, plate)
    assert found.high - found.low > 0.12


def test_centring_every_plate_by_kind_inverts_what_is_left():
    """The trap of centring on the label: held-out controls come out on the wrong side."""
    points, plate, diseased = wells(disease=2.0)
    for kind in (False, True):
        points[diseased == kind] -= points[diseased == kind].mean(axis=0)
    assert separation(points, diseased, plate).auc < 0.4


@pytest.mark.parametrize("plates", [np.zeros(192), np.arange(192) // 96])
def test_without_controls_elsewhere_there_is_no_separation(plates):
    points, _, diseased = wells()
    diseased = diseased if len(np.unique(plates)) == 1 else plates == 1
    assert separation(points, diseased, plates) is None
