import io

import numpy as np
import pytest
from PIL import Image

from planted_fields import grey, textures
from screenbook.errors import InputError
from screenbook.images.shortcuts import (
    illumination,
    with_jpeg_grid,
    with_vignette,
    without_illumination,
)


def test_a_vignette_leaves_the_middle_and_darkens_corners():
    flat = np.full((2, 3, 41, 41), 200, dtype=np.uint8)
    dark = with_vignette(flat, 0.5)
    assert dark.dtype == np.uint8
    assert dark[0, 0, 20, 20] == 200
    assert dark[1, 2, 0, 0] == dark[1, 2, -1, -1] == 100
    assert dark[0, 0, 20, 0] == 150  # an edge is half as far off as a corner, squared
    assert (with_vignette(flat, 0.0) == flat).all()


def test_a_vignette_may_lie_off_centre_and_in_16_bits():
    dark = with_vignette(np.full((1, 1, 20, 20), 60_000, dtype=np.uint16), 0.5, (0.0, 0.0))
    assert dark[0, 0, 0, 0] > dark[0, 0, 0, -1] > dark[0, 0, -1, -1] == 30_000


@pytest.mark.parametrize("quality", [10, 30, 75])
def test_the_jpeg_grid_is_that_of_a_jpeg_file(quality):
    fields = grey(textures(3, 48, 1, sigma=1.5))
    made = with_jpeg_grid(fields, quality)
    for field, ours in zip(fields[:, 0], made[:, 0], strict=True):
        file = io.BytesIO()
        Image.fromarray(field).save(file, "JPEG", quality=quality)
        theirs = np.asarray(Image.open(file)).astype(int)
        # A coefficient near a half may be rounded the other way, which shows in its whole block.
        assert (np.abs(theirs - ours) <= 1).mean() > 0.9


def test_jpeg_blocks_start_at_the_corner_and_sizes_need_not_fit():
    fields = grey(textures(4, 50, 2, sigma=1.0))
    made = with_jpeg_grid(fields, 10)
    assert made.shape == fields.shape
    step = np.abs(np.diff(made.astype(float), axis=3)).mean(axis=(0, 1, 2))
    border = np.arange(49) % 8 == 7
    assert step[border].mean() > 1.2 * step[~border].mean()


def test_illumination_is_found_and_divided_out():
    rng = np.random.default_rng(0)
    flat = np.clip(rng.gamma(8, 12, size=(120, 2, 30, 30)), 0, 255).astype(np.uint8)
    lit = flat.copy()
    lit[:60] = with_vignette(flat[:60], 0.6, (0.4, 0.6))
    batch = np.repeat(["a", "b"], 60)
    names, light = illumination(lit, batch)
    assert names.tolist() == ["a", "b"]
    assert light.mean(axis=(2, 3)) == pytest.approx(1.0, abs=1e-3)
    assert light[0, 0, 0, 0] < 0.9 < light[0, 0, 12, 18]
    assert light[1] == pytest.approx(1.0, abs=0.06)
    mended = without_illumination(lit, batch)[:60].mean(axis=(0, 1))
    corner, middle = mended[20:, :10].mean(), mended[8:16, 14:22].mean()
    assert corner / middle == pytest.approx(1.0, abs=0.03)


def test_what_cannot_be_is_refused():
    fields = grey(textures(1, 16))
    with pytest.raises(InputError, match=r"0 \(none\) to 1"):
        with_vignette(fields, 1.5)
    with pytest.raises(InputError, match="1 to 100"):
        with_jpeg_grid(fields, 0)
