from dataclasses import replace

import numpy as np
import pytest

from planted_fields import grey, split, textures
from screenbook.errors import InputError
from screenbook.images.patches import PatchGrid
from screenbook.images.position_net import PositionNetSettings
from screenbook.images.position_training import (
    PositionSettings,
    position_table,
    train_position,
)
from screenbook.images.position_variants import (
    VARIANTS,
    Variant,
    traced_images,
    variant_settings,
)
from screenbook.training import TrainSettings

PIXELS = grey(0.5 * textures(96, side=60, n_channels=2, sigma=2.0))
GROUPS, IS_TRAIN = split(len(PIXELS), n_groups=4, n_held=1)
CONTROL = np.ones(len(PIXELS), bool)
SETTINGS = PositionSettings(
    PositionNetSettings((8, 8)),
    PatchGrid(margin_px=1, jitter_px=1),
    n_fields=16,
    training=TrainSettings(n_steps=50, learning_rate=0.01, optimiser="adam", device="cpu"),
)


def test_only_what_makes_a_variant_is_changed():
    concat, small, add, blind, open_gap, *_ = (variant_settings(v, SETTINGS) for v in VARIANTS)
    assert concat == SETTINGS
    assert small.net.widths == (64, 16, 4)
    assert (add.net.merge, blind.net.merge) == ("add", "blind")
    assert (open_gap.grid.margin_px, open_gap.grid.jitter_px) == (0, 0)
    jpeg = variant_settings(Variant("x", "blind", trace="JPEG"), SETTINGS)
    assert jpeg.grid == replace(SETTINGS.grid, jitter_px=0)
    assert not jpeg.turn
    assert variant_settings(Variant("x", trace="vignette"), SETTINGS) == SETTINGS


def test_traces_are_put_on_and_taken_off():
    def fall(images):
        """From the middle of the mean field to its corners."""
        mean = images.mean(axis=(0, 1))
        return mean[12:18, 12:18].mean() - mean[[0, 0, -1, -1], [0, -1, 0, -1]].mean()

    even = {t: traced_images(PIXELS, GROUPS, CONTROL, t) for t in ("none", "as recorded")}
    dark = traced_images(PIXELS, GROUPS, CONTROL, "vignette")
    assert even["none"].shape == (96, 2, 30, 30)
    assert abs(fall(even["none"])) < 0.3 < 0.8 < fall(dark)
    assert even["none"].std() == pytest.approx(1.0, abs=0.01)
    jpeg = traced_images(PIXELS, GROUPS, CONTROL, "JPEG", jpeg_quality=10)
    step = np.abs(np.diff(jpeg, axis=3)).mean(axis=(0, 1, 2))
    assert step[7::8].mean() > 1.2 * np.delete(step, np.s_[7::8]).mean()
    with pytest.raises(InputError, match="none of none, as recorded"):
        traced_images(PIXELS, GROUPS, CONTROL, "coffee")


def test_a_blind_net_reads_the_traces_and_nothing_else():
    variants = [v for v in VARIANTS if v.name in ("blind", "blind, vignette")]
    found = {
        v.name: train_position(
            traced_images(PIXELS, GROUPS, CONTROL, v.trace),
            *(IS_TRAIN, GROUPS, variant_settings(v, SETTINGS)),
        )
        for v in variants
    }
    table = position_table(found).set_index("variant")
    assert table.loc["blind", "accuracy"] == pytest.approx(0.25, abs=0.08)
    assert table.loc["blind, vignette", "accuracy"] > 0.45
