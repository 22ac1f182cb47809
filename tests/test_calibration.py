import numpy as np
import pytest
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from screenbook.classifier.calibration import (
    adaptive_bins,
    calibration_error,
    conformal_p,
    expected_by_chance,
    fit_calibration,
    reliability_table,
)
from screenbook.errors import InputError


def scored(n=4000, slope=1.0, offset=0.0, seed=0):
    """Scores whose true log odds are slope * score + offset."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, n)
    p = expit(slope * scores + offset)
    return scores, (rng.random(n) < p).astype(int), p


def test_platt_is_logistic_regression_on_the_score():
    scores, label, _ = scored(slope=0.4, offset=-0.7)
    ours = fit_calibration(scores, label)(scores)
    theirs = LogisticRegression(C=1e9).fit(scores[:, None], label).predict_proba(scores[:, None])
    assert ours == pytest.approx(theirs[:, 1], abs=2e-3)  # Platt's targets differ by 1 / n


@pytest.mark.parametrize("how", ["platt", "isotonic"])
def test_a_map_mends_scores_that_are_too_sure(how):
    scores, label, _ = scored(slope=0.3)
    new, new_label, p = scored(slope=0.3, seed=1)
    mended = fit_calibration(scores, label, how)(new)
    assert calibration_error(expit(new), new_label) > 0.1
    assert calibration_error(mended, new_label) < 0.03
    assert np.abs(mended - p).mean() < 0.03
    assert (np.diff(mended[np.argsort(new)]) >= 0).all()


def test_isotonic_never_says_never():
    map_ = fit_calibration(np.array([0.0, 1, 2, 3]), np.array([0, 0, 1, 1]), "isotonic")
    assert map_(np.array([[-9.0, 9.0]])) == pytest.approx(np.array([[0.001, 0.999]]))


def test_platt_of_separable_scores_stays_off_0_and_1():
    p = fit_calibration(np.arange(20.0), (np.arange(20) > 9).astype(int))(np.arange(20.0))
    assert 0 < p.min() < 0.15
    assert 0.85 < p.max() < 1


def test_scores_that_point_the_wrong_way_say_nothing():
    scores, label, _ = scored(slope=-1.0)
    p = fit_calibration(scores, label)(scores)
    assert np.ptp(p) == pytest.approx(0, abs=1e-9)


def test_what_is_refused():
    with pytest.raises(InputError, match="choose platt or isotonic"):
        fit_calibration(np.arange(4.0), np.array([0, 1, 0, 1]), "beta")
    with pytest.raises(InputError, match="both classes"):
        fit_calibration(np.arange(4.0), np.ones(4, dtype=int))


def test_calibration_error_by_hand():
    p = np.array([0.1, 0.1, 0.3, 0.3, 0.8, 0.8])
    label = np.array([0, 1, 0, 0, 1, 1])
    # Bins: {0.1, 0.1} off by 0.4, {0.3, 0.3} by 0.3, {0.8, 0.8} by 0.2; two wells each.
    assert adaptive_bins(p, 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert calibration_error(p, label, 3) == pytest.approx(0.3)


def test_equal_probabilities_share_a_bin():
    assert set(adaptive_bins(np.full(50, 0.4), 10)) == {0}
    assert calibration_error(np.full(50, 0.4), np.arange(50) % 2) == pytest.approx(0.1)


def test_the_table_is_sklearns():
    scores, label, p = scored()
    table = reliability_table(p, label, 10)
    observed, predicted = calibration_curve(label, p, n_bins=10, strategy="quantile")
    assert table["observed"].to_numpy() == pytest.approx(observed, abs=5e-3)
    assert table["predicted"].to_numpy() == pytest.approx(predicted, abs=5e-3)
    assert table["n"].sum() == len(scores)
    assert ((table["low"] < table["observed"]) & (table["observed"] < table["high"])).all()


def test_right_probabilities_err_as_chance_says():
    errors, means = [], []
    for seed in range(30):
        _, label, p = scored(n=500, seed=seed)
        errors.append(calibration_error(p, label))
        means.append(expected_by_chance(p, n_draws=100)[0])
    assert np.mean(errors) == pytest.approx(np.mean(means), rel=0.15)
    assert expected_by_chance(p)[1] > expected_by_chance(p)[0] > 0.01
    _, _, many = scored(n=50_000)
    assert expected_by_chance(many, n_draws=20)[0] < 0.005


def test_conformal_p_keeps_its_error_in_either_class():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], [300, 900])
    known, asked = (rng.normal(2.0 * label) for _ in range(2))
    p = conformal_p(known, label, asked)
    assert (p[label == 0, 0] < 0.1).mean() == pytest.approx(0.1, abs=0.04)
    assert (p[label == 1, 1] < 0.1).mean() == pytest.approx(0.1, abs=0.03)
    far = conformal_p(known, label, np.array([-50.0, 50.0]))
    assert far[:, 0] == pytest.approx([1, 1 / 301])
    assert far[:, 1] == pytest.approx([1 / 901, 1])
