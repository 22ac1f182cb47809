import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    matthews_corrcoef,
    roc_auc_score,
)

from screenbook.classifier.classifier_metrics import (
    measure,
    measure_plates,
    permute_within,
    weighted_auc,
    weighted_average_precision,
    weighted_brier,
    weighted_mcc,
)


def scored(n=300, seed=0, digits=1):
    """Probabilities with many ties, classes, and whole weights with zeros among them."""
    rng = np.random.default_rng(seed)
    label = rng.integers(2, size=n)
    p = np.clip(rng.normal(0.35 + 0.3 * label, 0.25), 0, 1).round(digits)
    return p, label, rng.integers(0, 4, size=(3, n)).astype(float)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (weighted_auc, roc_auc_score),
        (weighted_average_precision, average_precision_score),
        (weighted_brier, brier_score_loss),
    ],
)
def test_weighted_measures_are_sklearns(ours, theirs):
    p, label, weights = scored()
    found = ours(p, label, weights)
    assert found == pytest.approx([theirs(label, p, sample_weight=w) for w in weights])


def test_weighted_correlation_is_sklearns():
    p, label, weights = scored()
    found = weighted_mcc(p >= 0.5, label, weights)
    known = [matthews_corrcoef(label, p >= 0.5, sample_weight=w) for w in weights]
    assert found == pytest.approx(known)


def test_a_missing_class_has_no_measure():
    ones = np.ones((1, 4))
    assert np.isnan(weighted_auc(np.arange(4.0), np.ones(4, dtype=int), ones))[0]
    assert np.isnan(weighted_mcc(np.ones(4, dtype=bool), np.arange(4) % 2, ones))[0]


def test_counting_a_plate_twice_is_resampling_it():
    p, label, _ = scored(60)
    twice = weighted_auc(p, label, np.where(np.arange(60) < 20, 2.0, 1.0)[None])
    assert twice[0] == pytest.approx(roc_auc_score(np.r_[label, label[:20]], np.r_[p, p[:20]]))


def test_intervals_grow_with_the_scatter_of_plates():
    rng = np.random.default_rng(0)
    plate, label = np.repeat(np.arange(12), 40), np.tile([0, 1], 240)
    gap = np.where(plate < 6, 0.0, 3.0)
    noise = rng.normal(size=480)
    alike, unlike = (1 / (1 + np.exp(-(noise + g * label))) for g in (1.0, gap))
    narrow, wide = (measure(p, label, plate) for p in (alike, unlike))
    assert narrow["auc_low"] < narrow["auc"] < narrow["auc_high"]
    assert wide["auc_high"] - wide["auc_low"] > 1.5 * (narrow["auc_high"] - narrow["auc_low"])
    assert (narrow["n"], narrow["n_plates"]) == (480, 12)
    assert np.isnan(measure(alike[:40], label[:40], plate[:40])["auc_low"])  # one plate


def test_plates_are_measured_one_by_one():
    p, label, _ = scored(300, digits=3)
    plate = np.arange(300) % 3
    label[plate == 2] = 1
    table = measure_plates(p, label, plate)
    mine = plate == 1
    assert table["auc"][1] == pytest.approx(roc_auc_score(label[mine], p[mine]))
    assert np.isnan(table["auc"][2])
    assert table["n"].tolist() == [100, 100, 100]


def test_labels_are_shuffled_within_groups_only():
    rng = np.random.default_rng(0)
    groups = rng.integers(5, size=200)
    label = rng.integers(2, size=200)
    mixed = permute_within(label, groups, rng)
    assert (np.bincount(groups, mixed) == np.bincount(groups, label)).all()
    assert (mixed != label).any()
    alone = permute_within(np.arange(6), np.arange(6), rng)
    assert alone.tolist() == [0, 1, 2, 3, 4, 5]
