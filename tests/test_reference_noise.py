import numpy as np
import pytest

from planted_batches import planted_part
from screenbook.profiles.judge import Questions
from screenbook.profiles.methods import METHODS, Settings
from screenbook.profiles.reference_noise import (
    plate_distances,
    plates_left,
    shift_only_plates,
    told_if_plates_only_shift,
)

ASKED = {"settings": Settings(n_components=15), "questions": Questions(n_permutations=0)}


def test_dealt_plates_keep_their_shift_and_lose_all_else():
    part = planted_part(n_controls=60, plate_shift=5.0, tilt=3.0)
    dealt = shift_only_plates(part.X, part.layout, seed=0)
    gaps = []
    for X in (part.X, dealt):
        layout = part.layout
        means = np.array(
            [
                [X[(layout.batch == b) & (layout.kind == k)].mean(axis=0) for k in (0, 1)]
                for b in range(8)
            ]
        )
        gaps.append(means[:, 1] - means[:, 0])  # the disease as each plate shows it
        centre = means.mean(axis=1)
        assert np.linalg.norm(centre - centre.mean(axis=0), axis=1).mean() > 10
    assert gaps[0].std(axis=0).mean() > 2 * gaps[1].std(axis=0).mean()
    within = [
        X[part.layout.kind == 0].reshape(8, 60, -1).std(axis=1).mean() for X in (part.X, dealt)
    ]
    assert within[0] == pytest.approx(within[1], rel=0.05)


def test_the_floor_falls_with_the_number_of_reference_wells():
    floors = [
        told_if_plates_only_shift(
            planted_part(n_controls=n, n_features=20), METHODS["control_center"], **ASKED
        )
        for n in (4, 16, 64)
    ]
    assert floors[0] > floors[1] > floors[2] > 1 / 8 - 0.03
    assert floors[2] < 0.3


def test_without_centring_the_shift_itself_is_told():
    part = planted_part()
    assert told_if_plates_only_shift(part, METHODS["none"], **ASKED) > 0.9


def test_distances_shrink_to_what_chance_gives():
    part = planted_part(n_controls=20)
    before, after = (
        plate_distances([part], METHODS[name], **ASKED) for name in ("none", "control_center")
    )
    assert before["distance"].min() > 1.0
    # Ten held-out wells of each kind on a plate: 1 / sqrt(20) by chance, and the same again
    # from the centre that the other ten and ten gave.
    assert after["expected"].tolist() == pytest.approx([1 / np.sqrt(20)] * 8)
    assert after["distance"].mean() == pytest.approx(np.sqrt(2 / 20), rel=0.15)


def test_the_number_of_a_plate_is_the_wrong_key():
    part = planted_part()
    assert plates_left(part, "plate") > 0.3
    assert plates_left(part, "batch") < 0.02
