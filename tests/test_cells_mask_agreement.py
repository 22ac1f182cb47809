"""Dice and matched objects, against sums done by hand."""

import numpy as np
import pytest

from screenbook.cells.mask_agreement import mask_agreement
from screenbook.errors import InputError


def boxes(*corners, size=20, side=6):
    out = np.zeros((size, size), dtype=int)
    for number, (y, x) in enumerate(corners, start=1):
        out[y : y + side, x : x + side] = number
    return out


def test_the_same_is_whole_agreement():
    labels = boxes((2, 2), (10, 10))
    told = {"dice": 1.0, "n_found": 2, "n_mask": 2, "n_matched": 2, "f1": 1.0}
    assert mask_agreement(labels, labels) == told
    assert mask_agreement(labels, (labels > 0) * 255) == told


def test_a_shifted_object_counts_by_its_share():
    ours, theirs = boxes((2, 2)), boxes((2, 4))  # 24 of 36 pixels; 24 of 48 of the union
    agreed = mask_agreement(ours, theirs)
    assert agreed["dice"] == pytest.approx(24 / 36)
    assert agreed["n_matched"] == 0  # not more than a half
    assert mask_agreement(ours, theirs, least_iou=0.49)["f1"] == 1


def test_each_object_matches_once():
    whole = boxes((2, 2), side=12)
    halves = whole.copy()
    halves[:8][whole[:8] > 0] = 2
    agreed = mask_agreement(halves, whole, least_iou=0.3)
    assert (agreed["n_found"], agreed["n_mask"], agreed["n_matched"]) == (2, 1, 1)
    assert agreed["f1"] == pytest.approx(2 / 3)
    assert agreed["dice"] == 1


def test_what_touches_the_border_can_be_left_out():
    ours, theirs = boxes((0, 2), (10, 10)), boxes((10, 10))
    assert mask_agreement(ours, theirs)["dice"] < 1
    assert mask_agreement(ours, theirs, whole_only=True)["f1"] == 1


def test_numbers_may_have_gaps_and_nothing_is_no_number():
    ours = boxes((2, 2), (10, 10)) * 7
    assert mask_agreement(ours, boxes((2, 2), (10, 10)))["f1"] == 1
    none = mask_agreement(np.zeros((4, 4), int), np.zeros((4, 4), int))
    assert np.isnan(none["dice"])
    assert np.isnan(none["f1"])
    assert mask_agreement(boxes((2, 2)), np.zeros((20, 20)))["dice"] == 0


@pytest.mark.parametrize("mask", [np.zeros((20, 19)), np.zeros((20, 20, 3))])
def test_a_mask_of_another_shape_is_refused(mask):
    with pytest.raises(InputError, match="bring the mask of this field"):
        mask_agreement(boxes((2, 2)), mask)
