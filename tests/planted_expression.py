"""Result tables of expression reports, as the library leaves them, for tests of figures."""

import numpy as np
import pandas as pd

HOSTILE = "<img src=x onerror=window.hacked=1>"
MODELS = {
    "no change": "baseline",
    "mean over all, per dose": "baseline",
    "mean over drugs, per line": "baseline",
    "mean over lines, per drug": "baseline",
    "drug effect + line effect": "baseline",
    "nearest structures": "baseline",
    "ridge on structure × line": "baseline",
    "transformer": "model",
    "baseline + residual": "fusion",
}
SPLITS = ["pair", "line", "drug", "scaffold", "mechanism", "drug + line"]


def cell_counts(n_drugs=40, n_lines=12, seed=0):
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(0, 0.5, n_drugs))[:, None] * np.exp(rng.normal(0, 0.8, n_lines))
    cells = rng.poisson(800 * size)
    rows = [
        (HOSTILE if d == 1 else f"drug {d:02d}", f"LINE-{c:02d}", cells[d, c])
        for d in range(n_drugs)
        for c in range(n_lines)
        if (d + c) % 17
    ]
    return pd.DataFrame(rows, columns=["treatment", "cell_line", "n_cells"])


def plates():
    doses = np.tile([0.05, 0.5, 5.0], 5)[:14]
    table = pd.DataFrame(0, index=[f"plate{i + 1}" for i in range(14)], columns=[0.05, 0.5, 5.0])
    for plate, dose in zip(table.index, doses, strict=True):
        table.loc[plate, dose] = 92
    table.loc["plate13"] = [38, 30, 25]
    return table


def ladder(seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for s, split in enumerate(SPLITS):
        for m, (model, kind) in enumerate(MODELS.items()):
            absent = (m == 3 and s >= 2) or (m == 4 and s >= 1)
            value = np.nan if absent else 0.06 * m + 0.35 - 0.09 * s + rng.normal(0, 0.02)
            rows.append(
                {
                    "split": split,
                    "model": model,
                    "kind": kind,
                    "value": value,
                    "low": value - 0.03,
                    "high": value + 0.03,
                    "ceiling": 0.92,
                    "detail": f"{200 + s} conditions",
                }
            )
    return pd.DataFrame(rows)


def leaks():
    values = {
        "basal in, change out": [0.40, 0.06, 0.33],
        "cell in, cell out (leaks)": [0.75, 0.71, 0.74],
    }
    rows = [
        (
            split,
            model,
            question,
            v * scale,
            v * scale - 0.02,
            v * scale + 0.02,
            0.2,
            f"{v:.0%} kept",
        )
        for split, scale in (("pair", 1.0), ("scaffold", 0.8))
        for model, some in values.items()
        for question, v in zip(("right drug", "drug shuffled", "line shuffled"), some, strict=True)
    ]
    columns = ["split", "model", "question", "value", "low", "high", "chance", "detail"]
    return pd.DataFrame(rows, columns=columns)


def overlaps():
    table = pd.DataFrame(
        {
            "rule": ["pair", "line", "drug", "scaffold", "mechanism", "drug_line"],
            "same_parent": [1, 1, 0, 0, 0, 0],
            "close": [1, 1, 0.22, 0.02, 0.05, 0.2],
            "same_mechanism": [0.95, 0.95, 0.9, 0.7, 0, 0.88],
            "median_tanimoto": [1, 1, 0.35, 0.28, 0.3, 0.36],
            "max_tanimoto": [1, 1, 0.93, 0.74, 0.81, 0.93],
            "lines_seen": [1, 0, 1, 1, 1, 0],
        }
    )
    return table.astype(dict.fromkeys(table.columns[1:], float))


def genes(n=256, seed=0):
    rng = np.random.default_rng(seed)
    observed = rng.normal(0, 0.5, n) ** 3
    table = pd.DataFrame(
        {
            "gene": [HOSTILE if i == 3 else f"GENE{i}" for i in range(n)],
            "observed": observed,
            "predicted": 0.6 * observed + rng.normal(0, 0.08, n),
            "error": 0.05,
        }
    )
    table["named"] = table["observed"].abs().rank(ascending=False) <= 6
    return table


def hit_rates():
    k = np.array([1, 2, 3, 5, 10, 20, 30, 50, 100])
    rows = []
    for split in ("drug seen", "drug never profiled"):
        for i, name in enumerate(
            ["observed library", "predicted library", "kNN-filled library", HOSTILE]
        ):
            hit = np.minimum(1, (0.18 - 0.03 * i) * k ** (0.55 - 0.04 * i))
            if split != "drug seen":
                hit = hit * (0.05 if i == 0 else 0.6)
            rows += [
                (split, name, kk, h, max(0, h - 0.04), min(1, h + 0.04), kk / 160)
                for kk, h in zip(k, hit, strict=True)
            ]
    columns = ["panel", "series", "k", "hit", "low", "high", "chance"]
    return pd.DataFrame(rows, columns=columns)


def score_metrics():
    names = ["cosine", "Spearman", "weighted connectivity", "XSum", "Zhang", "random"]
    rng = np.random.default_rng(0)
    values = np.sort(rng.random((6, 5)) * 0.6, axis=1)
    return pd.DataFrame(values, index=names, columns=["hit@1", "MRR", "mAP", "NDCG@10", "hit@10"])


def candidates():
    return pd.DataFrame(
        {
            "compound": [
                HOSTILE if i == 2 else f"compound with a long name {i}" for i in range(20)
            ],
            "score": np.linspace(0.8, -0.15, 20),
            "grade": [1, 3, 2, 0, 0, 1, 0, 0, 2, 0, *([0] * 10)],
            "detail": "HDAC inhibitor",
        }
    )
