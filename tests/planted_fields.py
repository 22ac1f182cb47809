"""Small fields whose patches fit together, and labelled points, for tests of the image methods."""

import numpy as np
from scipy.ndimage import gaussian_filter


def textures(n=96, side=48, n_channels=2, sigma=5.0, seed=0):
    """Smooth noise without any preferred place or direction, float32 (n, channel, side, side)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, n_channels, side, side))
    smooth = gaussian_filter(noise, (0, 0, sigma, sigma), mode="wrap")
    return (smooth / smooth.std()).astype(np.float32)


def grey(fields):
    """The same as 8-bit pixels."""
    return np.clip(np.rint(110 + 30 * fields), 0, 255).astype(np.uint8)


def split(n, n_groups=8, n_held=3):
    """Experiment of each field, and whether it is one to train on."""
    groups = np.arange(n) % n_groups
    return groups, groups >= n_held


def labelled_points(n_batches=5, per_class=12, n_classes=4, apart=6.0, shift=0.0, k=5, seed=0):
    """Classes (centres `apart` spreads from the middle) crossed with shifted batches."""
    rng = np.random.default_rng(seed)
    batch, label = (
        a.ravel()
        for a in np.meshgrid(np.arange(n_batches), np.repeat(np.arange(n_classes), per_class))
    )
    points = rng.normal(size=(len(label), k)) + shift * rng.normal(size=(n_batches, k))[batch]
    points += (
        apart * np.linalg.qr(rng.normal(size=(max(k, n_classes),) * 2))[0][:n_classes, :k][label]
    )
    order = rng.permutation(len(label))
    return points[order], label[order], batch[order]
