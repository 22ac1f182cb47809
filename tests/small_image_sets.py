"""Tiny image sets and trees of image files, for tests."""

import csv

import numpy as np
import pandas as pd
from PIL import Image

from screenbook.image_set import ImageSet, field_ids

CHANNELS = ("DNA", "ER", "actin")


def metadata(n_experiments=2, n_wells=3, n_sites=2):
    """Metadata of fields: the first well of each plate is a control."""
    rows = [
        {
            "cell_type": "U2OS",
            "experiment": f"E{e + 1}",
            "plate": "1",
            "well": f"B{w + 2:02d}",
            "site": s + 1,
            "treatment": "DMSO" if w == 0 else f"drug {w}",
            "role": "control" if w == 0 else "treated",
            "batch": f"E{e + 1}/1",
        }
        for e in range(n_experiments)
        for w in range(n_wells)
        for s in range(n_sites)
    ]
    obs = pd.DataFrame(rows)
    obs.index = field_ids(obs)
    return obs


def pixels(n, size=8, dtype=np.uint8, seed=0):
    """Random pixels, shape (n, 3, size, size)."""
    high = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(1, high, (n, 3, size, size)).astype(dtype)


def image_set(**shape):
    """A set in memory."""
    obs = metadata(**shape)
    return ImageSet(pixels(len(obs)), obs, CHANNELS, ("made for tests",))


def save(path, plane):
    """Write a plane as PNG or TIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(plane).save(path)


def write_tree(folder, values, obs, name="{experiment}/{plate}/{well}_s{site}_{channel}.png"):
    """Write each plane to a file of its own; names from the metadata."""
    for row, planes in zip(obs.to_dict("records"), values, strict=True):
        for channel, plane in zip(CHANNELS, planes, strict=True):
            save(folder / name.format(**row, channel=channel), plane)


def write_csv(path, rows):
    """Write rows (dicts) as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
