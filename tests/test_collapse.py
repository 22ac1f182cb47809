import math

import pytest
import torch

from screenbook.images.collapse import (
    CollapseLimits,
    collapse_watch,
    effective_rank,
    evenness,
    spread,
)


def test_spread_is_nil_for_one_direction_and_one_for_all():
    same = torch.tensor([[1.0, 2.0, 3.0]]).expand(5, 3) * torch.arange(1.0, 6.0)[:, None]
    assert spread(same) == pytest.approx(0, abs=1e-5)
    assert spread(torch.cat([torch.eye(4), -torch.eye(4)])) == pytest.approx(1)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_rank_counts_equal_directions(rank):
    basis = torch.linalg.qr(torch.randn(20, 20, generator=torch.Generator().manual_seed(0)))[0]
    points = torch.cat([basis[:rank], -basis[:rank]]) + 5.0
    assert effective_rank(points) == pytest.approx(rank, rel=1e-3)


def test_rank_of_what_is_no_number_is_none():
    assert math.isnan(effective_rank(torch.tensor([[1.0, math.nan], [0.0, 1.0]])))


def test_rank_of_a_point_is_nil():
    assert effective_rank(torch.full((6, 4), 3.0)) == 0
    assert effective_rank(torch.zeros(6, 4)) == 0


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"dino": 0.9999, "target_entropy": 0.999, "spread": 0.3}, "loss / log K is 1.000"),
        ({"dino": 1.05, "target_entropy": 0.4, "spread": 0.3, "rank": 9}, ""),
        ({"spread": 0.001, "rank": 9}, "one embedding"),
        ({"dino": 0.4, "spread": 0.3, "rank": 1.1}, "on a line"),
        ({"dino": 0.4, "spread": 0.3, "rank": 9}, ""),
        ({"loss": 1.0}, ""),
    ],
)
def test_the_watch_names_what_collapsed(numbers, says):
    watch = collapse_watch(CollapseLimits(patience=3, grace=20))
    rows = [{"step": step, **numbers} for step in (10, 20, 30, 40, 50)]
    assert watch(rows[:4]) == ""  # steps 30 and 40 alone count
    line = watch(rows)
    assert says in line
    assert bool(line) == bool(says)
    assert "\n" not in line
    # One good row among the last ends the alarm.
    rows[3] = {"step": 40, "dino": 0.5, "spread": 0.5, "rank": 20}
    assert watch(rows) == ""


def test_even_targets_have_an_entropy_of_one():
    assert evenness(torch.full((2, 3, 8), 1 / 8)) == pytest.approx(1)
    assert evenness(torch.eye(8)) == pytest.approx(0, abs=1e-6)
    half = torch.tensor([[0.5, 0.5, 0, 0]])
    assert evenness(half) == pytest.approx(0.5)
