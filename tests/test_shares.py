import numpy as np
import pytest

from screenbook.images.shares import clustered_share


def test_the_interval_covers_with_few_groups_of_related_answers():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 60)
    hit = 0
    for _ in range(400):
        level = np.clip(rng.normal(0.6, 0.1, size=8), 0, 1)
        found = clustered_share(rng.random(480) < level[groups], groups)
        hit += found.low <= 0.6 <= found.high
    assert hit / 400 == pytest.approx(0.95, abs=0.03)


def test_answers_by_themselves_get_about_wilsons_interval():
    right = np.arange(400) < 240
    found = clustered_share(right, np.arange(400))
    assert found.value == 0.6
    assert (found.low, found.high) == pytest.approx((0.551, 0.648), abs=0.002)


def test_certainty_is_never_claimed():
    found = clustered_share(np.ones(50), np.repeat([0, 1], 25))
    assert found.value == found.high == 1.0
    assert 0.9 < found.low < 0.95
    alike = clustered_share(np.tile([True, False], 50), np.repeat(np.arange(10), 10))
    assert alike.high - alike.low > 0.15


def test_groups_of_unequal_size_count_by_their_answers():
    found = clustered_share(np.r_[np.ones(90), np.zeros(10)], np.repeat(["a", "b"], [90, 10]))
    assert found.value == 0.9
    assert found.low < 0.3


def test_one_group_has_no_interval():
    found = clustered_share(np.array([1, 0, 1]), np.zeros(3))
    assert found.value == pytest.approx(2 / 3)
    assert np.isnan([found.low, found.high]).all()
    assert clustered_share(np.array([]), np.array([])).n == 0
