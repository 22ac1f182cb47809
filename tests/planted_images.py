"""Small fields and results of image notebooks, for the tests of their figures."""

import base64
import io

import numpy as np
import pandas as pd
from PIL import Image

CHANNELS = ("DNA", "ER", "actin", "RNA", "mitochondria", "Golgi")
CELL_TYPES = ("HUVEC", "RPE", "HEPG2", "U2OS")
HOSTILE = "<img src=x onerror=window.hacked=1>"


def picture_of(uri):
    """Read a picture that is its own address."""
    assert uri.startswith("data:image/png;base64,")
    return np.array(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def legend(fig):
    """Names of a figure's legend."""
    return [trace.name for trace in fig.data if trace.showlegend is not False and trace.name]


def named(fig, name):
    """Traces of that name."""
    return [trace for trace in fig.data if trace.name == name]


def fields(n=8, size=48, seed=0):
    """Blobs in six channels, uint8 (n, 6, size, size), and their table."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    pixels = np.empty((n, 6, size, size), dtype=np.uint8)
    for i in range(n):
        at = rng.uniform(0, size, (size // 8, 2))
        far = np.min([np.hypot(y - a, x - b) for a, b in at], axis=0)
        for c, reach in enumerate((3, 7, 8, 4, 6, 2.5)):
            plane = 10 + rng.uniform(120, 220) / (1 + np.exp((far - reach) * 1.5))
            pixels[i, c] = np.clip(plane + rng.normal(0, 8, plane.shape), 0, 255)
    obs = pd.DataFrame(
        {
            "cell_type": [CELL_TYPES[i % 4] for i in range(n)],
            "batch": [f"E{1 + i // 4:02d}/1" for i in range(n)],
            "treatment": "control",
        },
        index=[f"E{1 + i // 4:02d}/1/A{i:02d}/1" for i in range(n)],
    )
    return pixels, obs


def position_results():
    """Seven variants of the position net, two of which add."""
    rows = [
        ("concatenating", "concat", 0.62, 0.73),
        ("concatenating, no gap", "concat", 0.85, 0.9),
        ("adding", "add", 0.36, 0.66),
        ("adding, as first published", "add", 0.33, 0.63),
        ("blind", "blind", 0.26, 0.51),
        ("blind, with vignette", "blind", 0.44, 0.58),
    ]
    table = pd.DataFrame(rows, columns=["variant", "merge", "accuracy", "axis"])
    return table.assign(
        low=table["accuracy"] - 0.03, high=table["accuracy"] + 0.03,
        axis_low=table["axis"] - 0.02, axis_high=table["axis"] + 0.02,
    )  # fmt: skip


def consensus_results():
    """Four representations of fields, by both kinds of neighbour and the first public one."""
    names = ["channel mean and SD", "untrained trunk", "trained trunk", "supervised"]
    rows = []
    for panel, shift in (("all features", 0.1), ("FastICA, 2 components", 0.0)):
        for name, one, other in zip(names, (0.38, 0.3, 0.58, 0.8), (0.3, 0.25, 0.55, 0.78)):  # noqa: B905
            rows.append(
                {
                    **{"representation": name, "panel": panel},
                    **{"consensus": one + shift, "low": one, "high": one + 0.2, "chance": 0.25},
                    **{"other_batch": other + shift, "other_batch_low": other},
                    **{"other_batch_high": other + 0.2, "other_batch_chance": 0.24},
                    **{"five_with_self": one + 0.2, "five_with_self_chance": 0.495},
                }
            )
    return pd.DataFrame(rows)


def label_results():
    """Curves over seven numbers of labels for four representations."""
    parts = []
    for i, name in enumerate(["channel mean and SD", "untrained", "trained", "supervised"]):
        n = np.array([1, 2, 5, 10, 20, 50])
        accuracy = 0.25 + (0.1 + 0.15 * i) * np.log(1 + n) / np.log(51)
        parts.append(
            pd.DataFrame({"labels_per_class": n, "accuracy": accuracy, "chance": 0.25}).assign(
                representation=name, low=accuracy - 0.05, high=accuracy + 0.06
            )
        )
    return pd.concat(parts, ignore_index=True)


def embedded(names=("PCA", "t-SNE", "FastICA"), n=120, seed=0):
    """Points of some embeddings, clustered by cell type or by batch."""
    rng = np.random.default_rng(seed)
    parts = []
    for k, name in enumerate(names):
        cell, batch = rng.integers(0, 4, n), rng.integers(0, 4, n)
        by = cell if k % 2 else batch
        parts.append(
            pd.DataFrame(
                {
                    "embedding": name,
                    "x": rng.normal(2 * (by % 2), 0.6),
                    "y": rng.normal(2 * (by // 2), 0.6),
                    "cell_type": np.array(CELL_TYPES)[cell],
                    "batch": [f"E{17 + b}/1" for b in batch],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


VARIANTS = ("DINO", "BYOL", "DINO-CB", "BYOL-CB", "CDCL", "supervised")


def histories(seeds=(0, 1)):
    """Trainings of six variants, of which none collapsed."""
    out = {}
    for k, name in enumerate(VARIANTS):
        parts = []
        for seed in seeds:
            step = np.arange(10, 460, 10)
            wave = 0.02 * np.sin(step / 20 + seed)
            table = pd.DataFrame({"step": step, "seed": seed, "spread": 0.2 + 0.1 * k + wave})
            table["rank"] = 2 + k + step / 50 + 10 * wave
            if "DINO" in name or name == "CDCL":
                table["dino"] = 1 - (0.2 + 0.05 * k) * (1 - np.exp(-step / 100)) + wave
            if "BYOL" in name:
                table["byol"] = np.exp(-step / 150) + wave
            parts.append(table)
        out[name] = pd.concat(parts, ignore_index=True)
    return out


def scores(seed=0):
    """Eight variants, as they are and standardised: accuracy, batch told, kBET, SD over seeds."""
    names = [*VARIANTS, "untrained", "channel statistics"]
    at = {
        "knn": [0.52, 0.5, 0.69, 0.63, 0.6, 0.78, 0.48, 0.39],
        "batch_id": [0.57, 0.6, 0.22, 0.28, 0.22, 0.32, 0.73, 0.58],
        "kbet": [0.03, 0.02, 0.43, 0.35, 0.34, 0.32, 0.0, 0.0],
    }
    table = pd.DataFrame({"variant": names, **at})
    rng = np.random.default_rng(seed)
    for column in at:
        table[f"{column}_sd"] = rng.uniform(0.01, 0.04, len(table))
    table.loc[7, [f"{column}_sd" for column in at]] = np.nan  # nothing random in it
    table = table.assign(knn_chance=1 / 13, batch_id_chance=1 / 16, standardised="none")
    after = table.assign(standardised="plate", knn=(table["knn"] + 0.1).clip(upper=0.95))
    table = pd.concat([table, after], ignore_index=True)
    return table.assign(knn_low=table["knn"] - 0.04, knn_high=table["knn"] + 0.05)


def long_scores():
    """Scores of three seeds each, long."""
    wide = scores()
    parts = []
    for seed, shift in enumerate((-0.01, 0.0, 0.01)):
        for measure in ("knn", "batch_id", "kbet"):
            part = wide[["variant", "standardised"]].assign(training_seed=seed, measure=measure)
            parts.append(part.assign(value=wide[measure] + shift))
    return pd.concat(parts, ignore_index=True)


def ablated():
    """Seven sets of ingredients, in two measures."""
    names = [
        *("DINO", "DINO + centres", "DINO + redundancy"),
        *("DINO-CB", "DINO-CB + centres", "DINO-CB + redundancy", "CDCL"),
    ]
    return pd.DataFrame(
        {
            "variant": names,
            "knn": [0.52, 0.5, 0.45, 0.69, 0.68, 0.6, 0.6],
            "knn_sd": 0.03,
            "knn_chance": 1 / 13,
            "kbet": [0.03, 0.1, 0.03, 0.43, 0.38, 0.4, 0.34],
            "kbet_sd": 0.05,
        }
    )


def by_treatment(seed=0):
    """Accuracy of twelve treatments by eight variants, and their mechanisms."""
    names = ["control", *(f"compound {i:02d}" for i in range(12))]
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        rng.uniform(0.1, 0.95, (13, 8)), names, [*VARIANTS, "untrained", "channel statistics"]
    )
    moa = ["", *np.repeat(["actin", "tubulin", "Golgi", "mitochondria"], 3)]
    return table, pd.Series(moa, names)


def knobs(seed=0):
    """R² of biology and batch knobs by five embeddings."""
    rng = np.random.default_rng(seed)
    embeddings = ["channel statistics", "untrained", "DINO", "DINO-CB", "CDCL", "supervised"]
    biology = ["nucleus size", "nucleus aspect", "density", "actin fibres", "Golgi dispersal"]
    batch = ["PSF", "illumination depth", "haze", "gamma"]
    return {
        "biology": pd.DataFrame(rng.uniform(0, 0.9, (5, 6)), biology, embeddings),
        "batch": pd.DataFrame(rng.uniform(-0.1, 0.7, (4, 6)), batch, embeddings),
    }


def clustering():
    """Ten epochs, in which mini-batches flatter."""
    epoch = np.arange(10)
    whole = 0.5 + 0.15 * (1 - np.exp(-epoch / 3))
    return pd.DataFrame(
        {
            **{"step": epoch, "accuracy": whole, "batch_accuracy": whole + 0.13},
            **{"nmi": whole - 0.2, "ari": whole - 0.25},
        }
    )
