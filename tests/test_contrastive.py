"""The loss that brings pairs together, against its definition written out."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from screenbook.contrastive import COLDEST, WARMEST, bounded_temperature, contrast


def reference(a, b, alike, weight, temperature):
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    total = 0.0
    for i in range(len(a)):
        allowed = [j for j in range(len(a)) if j == i or not alike[i, j]]
        right = a[i] @ b[i] / temperature
        row = logsumexp([a[i] @ b[j] / temperature for j in allowed]) - right
        column = logsumexp([a[j] @ b[i] / temperature for j in allowed]) - right
        total += weight[i] * (row + column) / 2
    return total / weight.sum()


def contrasted(a, b, alike, weight, temperature=0.3):
    return contrast(*(torch.from_numpy(np.array(x)) for x in (a, b, alike, weight)), temperature)


def pairs(n=9, d=5, seed=0):
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 4, n)
    same = kind[:, None] == kind[None]
    return rng.normal(size=(n, d)), rng.normal(size=(n, d)), same, rng.uniform(0, 1, n)


@pytest.mark.parametrize("seed", range(4))
def test_contrast_is_the_cross_entropy_written_out(seed):
    a, b, alike, weight = pairs(seed=seed)
    found = contrasted(a, b, alike, weight).item()
    assert found == pytest.approx(reference(a, b, alike, weight, 0.3))
    assert contrasted(b, a, alike, weight).item() == pytest.approx(found)
    lengths = np.arange(1, 10)[:, None]
    assert contrasted(lengths * a, b / lengths, alike, weight).item() == pytest.approx(found)
    apart = contrasted(a, b, np.eye(9, dtype=bool), weight).item()
    assert apart > found + 1e-3  # masked pairs are no negatives


def test_contrast_has_its_minimum_where_partners_meet_and_others_are_far():
    _, _, _, weight = pairs(5)
    own = np.eye(5, dtype=bool)
    assert contrasted(np.eye(5), np.eye(5), own, weight, 0.01).item() == pytest.approx(0, abs=1e-9)
    turned = np.eye(5)[[1, 2, 3, 4, 0]]
    assert contrasted(np.eye(5), turned, own, weight, 0.1).item() == pytest.approx(10, abs=0.1)
    # What cannot be told apart costs the log of how many there are.
    assert contrasted(np.ones((5, 2)), np.ones((5, 2)), own, weight).item() == pytest.approx(
        np.log(5)
    )
    everyone = np.ones((5, 5), dtype=bool)
    assert contrasted(np.ones((5, 2)), np.ones((5, 2)), everyone, weight).item() == 0
    assert contrasted(np.eye(5), turned, own, np.zeros(5)).item() == 0


def test_contrast_weighs_rows():
    a, b, alike, _ = pairs()
    alone = [contrasted(a, b, alike, np.eye(9)[i]).item() for i in range(9)]
    weight = np.arange(9.0)
    expected = np.average(alone, weights=weight)
    assert contrasted(a, b, alike, weight).item() == pytest.approx(expected)


def test_temperatures_stay_within_their_limits_and_are_learned_between_them():
    log = torch.tensor([-30.0, -2.0, 30.0], requires_grad=True)
    found = bounded_temperature(log)
    assert found.tolist() == pytest.approx([COLDEST, np.exp(-2.0), WARMEST])
    found.sum().backward()
    assert log.grad.tolist() == pytest.approx([0, np.exp(-2.0), 0])
