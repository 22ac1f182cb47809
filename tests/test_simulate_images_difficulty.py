"""Simulated images are as hard as they should be: easy answers fall short on them."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import pairwise_distances
from sklearn.preprocessing import StandardScaler

from screenbook.simulate.images import ImageSpec, simulate_images

BATCHES = ImageSpec(n_experiments=6, cell_types=("U2OS",), n_control_fields=20, n_treated_fields=0)
TYPES = ImageSpec(n_experiments=6, n_control_fields=8, n_treated_fields=0)


def affine_corrected(images):
    """Subtract the mean of a batch's controls, divide by their SD, channel by channel."""
    pixels = images.pixels.astype(np.float32)
    out = np.empty_like(pixels)
    for rows in images.obs.groupby("batch").indices.values():
        mine = pixels[rows]
        mean = mine.mean(axis=(0, 2, 3), keepdims=True)
        out[rows] = (mine - mean) / mine.std(axis=(0, 2, 3), keepdims=True)
    return out


def channel_statistics(pixels):
    return np.concatenate([f(pixels, axis=(2, 3)) for f in (np.mean, np.std, np.max)], axis=1)


def untrained_features(pixels, seed=0):
    """Mean and SD of the feature maps of two random layers."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        net = torch.nn.Sequential(
            *(torch.nn.Conv2d(6, 24, 5, stride=2), torch.nn.ReLU()),
            *(torch.nn.Conv2d(24, 32, 3, stride=2), torch.nn.ReLU()),
        )
        maps = net(torch.from_numpy(pixels))
        return torch.cat([maps.mean((2, 3)), maps.std((2, 3))], dim=1).numpy()


def told_batches(features, images):
    """Share of fields whose batch a linear classifier tells, wells kept together."""
    batch = images.obs["batch"].to_numpy()
    wells = images.obs.groupby(["batch", "well"]).ngroup().to_numpy()
    first = np.isin(wells, np.unique(wells)[::2])
    right = []
    for learn in (first, ~first):
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        lda.fit(features[learn], batch[learn])
        right.append(lda.predict(features[~learn]) == batch[~learn])
    return np.concatenate(right).mean()


def told_types_by_another_batch(features, images):
    """1-NN consensus on the cell type among fields of other batches."""
    scaled = StandardScaler().fit_transform(features)
    batch, kind = (images.obs[c].to_numpy() for c in ("batch", "cell_type"))
    distance = pairwise_distances(scaled)
    distance[batch[:, None] == batch[None]] = np.inf
    return (kind[distance.argmin(axis=1)] == kind).mean()


@pytest.fixture(scope="module")
def batches():
    return simulate_images(BATCHES)


@pytest.fixture(scope="module")
def types():
    return simulate_images(TYPES)


def test_no_affine_correction_of_channels_hides_the_batch(batches):
    chance = 1 / BATCHES.n_experiments
    corrected = affine_corrected(batches)
    assert told_batches(channel_statistics(corrected), batches) > 2.5 * chance
    assert told_batches(untrained_features(corrected), batches) > 2.5 * chance


def test_it_hides_batches_that_differ_in_gain_and_offset_alone():
    spec = dataclasses.replace(BATCHES, batch_strength=0.0, illumination=0.0)
    images = simulate_images(spec)
    raw, corrected = images.pixels.astype(np.float32), affine_corrected(images)
    assert told_batches(channel_statistics(raw), images) > 0.9
    chance = 1 / BATCHES.n_experiments
    assert told_batches(channel_statistics(corrected), images) < 2 * chance
    assert told_batches(untrained_features(corrected), images) < 2.5 * chance


def test_brightness_alone_does_not_tell_cell_types(types):
    pixels = types.pixels.astype(np.float32)
    mean_and_sd = channel_statistics(pixels)[:, :12]
    assert 0.3 < told_types_by_another_batch(mean_and_sd, types) < 0.65


def test_texture_and_shape_tell_cell_types(types):
    """Log power of four bands of each channel, per field: free of brightness."""
    pixels = types.pixels.astype(np.float32)
    power = np.abs(np.fft.rfft2(pixels - pixels.mean(axis=(2, 3), keepdims=True))) ** 2
    f = np.hypot(np.fft.fftfreq(108)[:, None], np.fft.rfftfreq(108)[None])
    bands = [
        power[:, :, (f >= low) & (f < 2 * low)].sum(axis=2) for low in (0.02, 0.04, 0.08, 0.16)
    ]
    share = np.log(bands) - np.log(np.sum(bands, axis=0))
    shape = np.concatenate(share, axis=1)
    assert told_types_by_another_batch(shape, types) > 0.7


def test_fields_use_the_range_of_grey_levels(types):
    """Bright enough to be seen, few pixels cut off at either end."""
    for channel in range(6):
        grey = types.pixels[:, channel]
        assert 40 < np.percentile(grey, 99.5) <= 255
        assert (grey == 255).mean() < 0.02
        assert (grey == 0).mean() < 0.05
