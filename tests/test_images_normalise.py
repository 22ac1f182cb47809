import numpy as np
import pytest

from screenbook.errors import InputError
from screenbook.images.normalise import normalise, standardise


def fields(n=12, seed=0, dtype=np.uint8):
    """Three plates, each brighter than the last, two channels."""
    rng = np.random.default_rng(seed)
    batch = np.repeat(["E1/1", "E2/1", "E3/1"], n // 3)
    level = np.repeat([20.0, 60.0, 120.0], n // 3)[:, None, None, None]
    pixels = rng.poisson(level, size=(n, 2, 8, 10)).astype(dtype)
    control = np.tile([True, True, False, True], n // 4)
    return pixels, batch, control


def test_control_pixels_of_every_plate_have_mean_0_and_sd_1():
    pixels, batch, control = fields()
    out = normalise(pixels, batch, control)
    assert out.dtype == np.float32
    assert out.shape == pixels.shape
    for name in np.unique(batch):
        mine = out[control & (batch == name)]
        assert mine.mean(axis=(0, 2, 3)) == pytest.approx(0, abs=1e-5)
        assert mine.std(axis=(0, 2, 3)) == pytest.approx(1, abs=1e-5)


def test_global_keeps_the_differences_between_plates():
    pixels, batch, control = fields()
    out = normalise(pixels, batch, control, "global")
    assert out[control].mean(axis=(0, 2, 3)) == pytest.approx(0, abs=1e-5)
    assert out[batch == "E3/1"].mean() > out[batch == "E1/1"].mean() + 1


def test_an_affine_batch_effect_goes_and_a_gamma_stays():
    rng = np.random.default_rng(1)
    base = rng.gamma(2.0, 10.0, size=(6, 1, 8, 8))
    plain = np.concatenate([base, 3 * base + 7]).astype(np.float32)
    bent = np.concatenate([base, base**1.5]).astype(np.float32)
    batch, control = np.repeat([0, 1], 6), np.tile([True, True, True, False, False, False], 2)
    out = normalise(plain, batch, control)
    np.testing.assert_allclose(out[:6], out[6:], atol=1e-4)
    out = normalise(bent, batch, control)
    assert np.abs(out[:6] - out[6:]).max() > 0.3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pooling_is_the_mean_of_squares(dtype):
    pixels, batch, control = fields(dtype=dtype)
    by_hand = pixels.astype(float).reshape(12, 2, 4, 2, 5, 2).mean(axis=(3, 5))
    expected = normalise(by_hand, batch, control)
    np.testing.assert_allclose(normalise(pixels, batch, control, pool=2), expected, rtol=1e-5)
    assert normalise(pixels, batch, control, pool=3).shape == (12, 2, 2, 3)


def test_lazy_rows_give_the_same():
    zarr = pytest.importorskip("zarr")
    pixels, batch, control = fields()
    stored = zarr.create_array({}, data=pixels, chunks=(4, 2, 8, 10))
    np.testing.assert_array_equal(
        normalise(stored, batch, control), normalise(pixels, batch, control)
    )


def test_sixteen_bits_do_not_overflow():
    pixels = np.full((4, 1, 64, 64), 65_000, dtype=np.uint16)
    pixels[:, :, ::2] = 64_000
    out = normalise(pixels, np.zeros(4), np.ones(4, bool))
    assert out.std() == pytest.approx(1, abs=1e-4)
    assert abs(out.mean()) < 1e-4


def test_what_cannot_be_normalised_is_refused():
    pixels, batch, control = fields()
    none = control & (batch != "E2/1")
    with pytest.raises(InputError, match=r"plates 'E2/1' have no negative control .*global"):
        normalise(pixels, batch, none)
    assert np.isfinite(normalise(pixels, batch, none, "global")).all()
    with pytest.raises(InputError, match="the set has no negative control"):
        normalise(pixels, batch, control & False, "global")
    with pytest.raises(InputError, match="'per well' is not known"):
        normalise(pixels, batch, control, "per well")
    with pytest.raises(InputError, match="empty once pooled"):
        normalise(pixels, batch, control, pool=9)
    pixels[batch == "E3/1", 1] = 0
    with pytest.raises(InputError, match=r"channel 'ER': all control pixels of plate 'E3/1'"):
        normalise(pixels, batch, control, channels=("DNA", "ER"))


def test_features_are_standardised_by_their_batch():
    rng = np.random.default_rng(2)
    batch = np.repeat([3, 7], 20)
    embedding = rng.normal(size=(40, 4)) * np.where(batch == 3, 1, 5)[:, None] + batch[:, None]
    embedding[:, 3] = batch
    reference = np.tile([True, False], 20)
    out = standardise(embedding, batch, reference)
    for b in (3, 7):
        mine = out[reference & (batch == b)]
        assert mine.mean(axis=0) == pytest.approx(0, abs=1e-5)
        assert mine[:, :3].std(axis=0, ddof=1) == pytest.approx(1, abs=1e-5)
    assert (out[:, 3] == 0).all()
    whole = standardise(embedding, batch)
    assert whole[batch == 7].mean(axis=0) == pytest.approx(0, abs=1e-5)
    with pytest.raises(InputError, match="fewer than 2 negative controls"):
        standardise(embedding, batch, np.arange(40) < 21)
