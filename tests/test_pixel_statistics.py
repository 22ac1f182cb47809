import numpy as np
import pytest

from planted_fields import grey, textures
from screenbook.images.pixel_statistics import channel_statistics, statistic_names


def test_statistics_by_hand_and_in_blocks():
    pixels = grey(textures(10, 20, 3))
    found = channel_statistics(pixels, block=4)
    flat = pixels.reshape(10, 3, -1)
    expected = np.concatenate([flat.mean(axis=2), flat.std(axis=2), flat.max(axis=2)], axis=1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    names = statistic_names(["DNA", "ER", "actin"])
    assert len(names) == found.shape[1]
    assert names[:4] == ["DNA mean", "ER mean", "actin mean", "DNA sd"]


def test_one_hot_pixel_need_not_decide():
    pixels = np.full((1, 1, 40, 40), 10, dtype=np.uint8)
    pixels[0, 0, 3, 3] = 255
    assert channel_statistics(pixels)[0, 2] == 255
    assert channel_statistics(pixels, maximum_percentile=99.5)[0, 2] == pytest.approx(10)
