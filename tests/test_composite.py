import numpy as np
import pytest

from planted_images import CHANNELS, fields
from screenbook.errors import InputError
from screenbook.images.composite import CHANNEL_COLOURS, composite, display_limits, greys, mosaic


@pytest.fixture(scope="module")
def pixels():
    return fields(4, 24)[0]


def test_limits_are_percentiles_over_all_fields(pixels):
    limits = display_limits(pixels, 5, 90)
    assert limits.shape == (6, 2)
    np.testing.assert_allclose(limits[2], np.percentile(pixels[:, 2], [5, 90]))
    np.testing.assert_array_equal(display_limits(pixels.astype(np.uint16), 5, 90), limits)


def test_greys_run_from_black_to_white_and_keep_order(pixels):
    limits = np.tile([50.0, 150.0], (6, 1))
    shown = greys(pixels, limits)
    assert shown.shape == pixels.shape
    assert shown.dtype == np.uint8
    assert (shown[pixels <= 50] == 0).all()
    assert (shown[pixels >= 150] == 255).all()
    assert (shown[pixels == 100] == 128).all()
    assert (greys(pixels, limits, gamma=0.5) >= shown).all()


def test_the_same_limits_keep_fields_comparable(pixels):
    dim = np.concatenate([pixels, pixels // 2])
    limits = display_limits(dim)
    assert greys(dim[4:], limits).mean() < 0.6 * greys(dim[:4], limits).mean()


def test_an_even_channel_is_black_and_nothing_divides_by_zero():
    flat = np.full((2, 3, 5, 5), 7, dtype=np.uint16)
    with np.errstate(all="raise"):
        assert not greys(flat).any()
        assert not composite(flat, ["DNA", "x", "y"]).any()


def test_each_channel_has_its_hue():
    pixels = np.zeros((1, 6, 1, 6), dtype=np.uint8)
    for i in range(6):
        pixels[0, i, 0, i] = 200
    shown = composite(pixels, CHANNELS, np.tile([0, 200], (6, 1)))[0, 0].astype(int)
    for i, name in enumerate(CHANNELS):
        colour = [int(CHANNEL_COLOURS[name][k : k + 2], 16) for k in (1, 3, 5)]
        np.testing.assert_allclose(
            shown[i] / shown[i].max(), np.array(colour) / max(colour), atol=0.02
        )
    black = composite(np.zeros_like(pixels), CHANNELS, np.tile([0, 200], (6, 1)))
    assert not black.any()


def test_channels_screen_over_each_other(pixels):
    """Against the definition, written out for one pixel."""
    hue = {"a": "#804020", "b": "#204080"}
    limits = np.array([[0, 255], [0, 255]])
    shown = composite(pixels[:1, :2], ["a", "b"], limits, colours=hue, gamma=1.0)
    a, b = pixels[0, :2, 3, 4] / 255
    want = 1 - (1 - a * np.array([128, 64, 32]) / 255) * (1 - b * np.array([32, 64, 128]) / 255)
    np.testing.assert_allclose(shown[0, 3, 4] / 255, want, atol=0.003)


def test_unknown_channels_get_hues_of_their_own():
    pixels = np.zeros((1, 4, 1, 4), dtype=np.uint8)
    for i in range(4):
        pixels[0, i, 0, i] = 255
    shown = composite(pixels, ["p", "q", "r", "s"], np.tile([0, 255], (4, 1)))[0, 0]
    assert len({tuple(colour) for colour in shown}) == 4


def test_what_cannot_be_shown_is_refused_in_a_line(pixels):
    with pytest.raises(InputError, match=r"2 channel names .* fields of 6"):
        composite(pixels, ["DNA", "ER"])
    with pytest.raises(InputError, match="'blue' of channel 'DNA'"):
        composite(pixels, CHANNELS, colours={"DNA": "blue"})
    with pytest.raises(InputError, match=r"\(n, channel, y, x\)"):
        display_limits(pixels[0])
    with pytest.raises(InputError, match="at least one field"):
        greys(pixels[:0])
    with pytest.raises(InputError, match=r"\(channel, 2\)"):
        greys(pixels, np.zeros((3, 2)))
    with pytest.raises(InputError, match="percentiles 90 and 10"):
        display_limits(pixels, 90, 10)


def test_a_mosaic_shows_each_plane_in_its_place():
    planes = np.arange(5 * 6, dtype=float).reshape(5, 2, 3)
    planes[4] = -1
    sheet = mosaic(planes, 3)
    assert sheet.shape == (5, 11)
    assert sheet.dtype == np.uint8
    for i in range(4):
        top, left = (i // 3) * 3, (i % 3) * 4
        np.testing.assert_array_equal(
            sheet[top : top + 2, left : left + 3], [[0, 51, 102], [153, 204, 255]]
        )
    assert (sheet[2] == 128).all()  # the gap
    assert not sheet[3:5, 4:7].any()  # a plane without contrast
    with pytest.raises(InputError, match="columns"):
        mosaic(planes, 0)
