import numpy as np
import pytest
import torch

from screenbook.errors import InputError
from screenbook.images.encoders import build_encoder, encode, sine_positions

NAMES = ["cnn", "vit"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_channels", [1, 5, 6])
def test_any_channels_and_any_size_give_the_same_features(name, n_channels):
    encoder = build_encoder(name, n_channels)
    for size in (24, 32, 47):
        assert encoder(torch.randn(2, n_channels, size, size)).shape == (2, encoder.n_features)
    assert (encoder.n_channels, encoder.n_features) == (n_channels, 96)


@pytest.mark.parametrize("name", NAMES)
def test_weights_come_from_the_seed_alone(name):
    torch.rand(3)
    one, same, other = (build_encoder(name, 3, seed) for seed in (0, 0, 1))
    pairs = list(zip(one.parameters(), same.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    first = next(iter(one.parameters())), next(iter(other.parameters()))
    assert not torch.equal(*first)


@pytest.mark.parametrize("name", NAMES)
def test_features_of_a_field_do_not_depend_on_its_neighbours(name):
    encoder = build_encoder(name, 3).train()
    fields = torch.randn(4, 3, 24, 24)
    torch.testing.assert_close(encoder(fields)[:1], encoder(fields[:1]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_maps_lead_to_the_features(name):
    encoder = build_encoder(name, 3)
    fields = torch.randn(2, 3, 24, 24)
    maps = encoder.feature_maps(fields)
    assert all(m.ndim == 4 and len(m) == 2 for m in maps.values())
    last = list(maps.values())[-1]
    if name == "vit":
        last = encoder.norm(last.flatten(2).transpose(1, 2)).transpose(1, 2)[..., None]
    torch.testing.assert_close(last.mean(dim=(2, 3)), encoder(fields), atol=1e-5, rtol=1e-4)


def test_shapes_and_parameters_of_the_small_net():
    encoder = build_encoder("cnn", 6)
    sizes = [tuple(m.shape[1:]) for m in encoder.feature_maps(torch.zeros(1, 6, 32, 32)).values()]
    assert sizes == [(32, 16, 16), (64, 8, 8), (96, 4, 4)]
    weights = 9 * (6 * 32 + 32 * 64 + 64 * 96)
    assert sum(p.numel() for p in encoder.parameters()) == weights + 2 * (32 + 64 + 96)
    deep = build_encoder("cnn", 6, depth=2)
    more = 9 * (32**2 + 64**2 + 96**2) + 2 * (32 + 64 + 96)
    assert sum(p.numel() for p in deep.parameters()) == weights + 2 * 192 + more


def test_every_place_of_a_grid_has_its_own_code():
    codes = sine_positions(5, 7, 16)
    assert codes.shape == (35, 16)
    apart = torch.cdist(codes, codes) + 10 * torch.eye(35)
    assert apart.min() > 0.1
    # A smaller grid has the same codes: rows and columns count from the same corner.
    assert torch.equal(sine_positions(2, 7, 16), codes[:14])


def test_embedding_goes_block_by_block():
    encoder = build_encoder("cnn", 2)
    images = np.random.default_rng(0).normal(size=(7, 2, 16, 16)).astype(np.float32)
    whole = encode(encoder, images, device="cpu")
    assert whole.dtype == np.float32
    assert whole.shape == (7, 96)
    np.testing.assert_allclose(
        encode(encoder, images, batch_size=3, device="cpu"), whole, atol=1e-5
    )


def test_unknown_encoders_are_refused():
    with pytest.raises(InputError, match="did you mean 'vit'"):
        build_encoder("vitt", 6)
