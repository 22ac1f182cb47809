"""Single cells in the layout of Tahoe-100M, a few of them, and the tables beside them."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

N_GENES = 30
FIRST_TOKEN = 3
KEYS = ("drug", "cell_line_id", "plate", "sample")
SAMPLES = {
    "smp_1": ("plate1", "DMSO_TF", "[('DMSO_TF', 0.0, 'uM')]"),
    "smp_2": ("plate1", "DMSO_TF", "[('DMSO_TF', 0.0, 'uM')]"),
    "smp_3": ("plate1", "Erdafitinib ", "[('Erdafitinib ', 0.05, 'uM')]"),
    "smp_4": (
        "plate1",
        "Trametinib (DMSO_TF solvate)",
        "[('Trametinib (DMSO_TF solvate)', 5.0, 'uM')]",
    ),
    "smp_5": ("plate2", "DMSO_TF", "[('DMSO_TF', 0.0, 'uM')]"),
    "smp_6": ("plate2", "Talc", "[('Talc', 0.5, 'uM')]"),
}
LINES = {"CVCL_0023": "A549", "CVCL_0546": "SW480"}


def draw_cells(n, seed=0, n_genes=N_GENES):
    """Counts as a dense array, most of them zero, and what each cell is."""
    rng = np.random.default_rng(seed)
    rates = rng.lognormal(-0.5, 1.0, n_genes)
    counts = rng.poisson(rates, (n, n_genes)).astype(np.float32)
    sample = np.sort(rng.choice(list(SAMPLES), n))
    obs = pd.DataFrame({"sample": sample, "cell_line_id": rng.choice(list(LINES), n)})
    obs["plate"] = obs["sample"].map({name: facts[0] for name, facts in SAMPLES.items()})
    obs["drug"] = obs["sample"].map({name: facts[1] for name, facts in SAMPLES.items()})
    return counts, obs


def to_table(counts, obs, special=True):
    """Cells as published: lists of tokens and counts, each beginning with token 1 and -2."""
    tokens, values = [], []
    for row in counts:
        seen = np.flatnonzero(row)
        tokens.append([*([1] if special else []), *(seen + FIRST_TOKEN).tolist()])
        values.append([*([-2.0] if special else []), *row[seen].tolist()])
    columns = {
        "genes": pa.array(tokens, pa.list_(pa.int64())),
        "expressions": pa.array(values, pa.list_(pa.float32())),
        **{name: pa.array(obs[name].tolist(), pa.string()) for name in obs},
        "moa-fine": pa.array([""] * len(obs), pa.string()),
    }
    return pa.table(columns)


def write_metadata(folder):
    """Write the four tables beside the cells."""
    folder.mkdir(parents=True, exist_ok=True)
    symbols = [f"GENE{i}" for i in range(N_GENES)]
    pd.DataFrame(
        {
            "gene_symbol": symbols,
            "ensembl_id": [f"ENSG{i:05d}" for i in range(N_GENES)],
            "token_id": np.arange(N_GENES) + FIRST_TOKEN,
        }
    ).to_parquet(folder / "gene_metadata.parquet")
    pd.DataFrame(
        {
            "drug": ["Erdafitinib", "Trametinib (DMSO_TF solvate)"],
            "targets": ["FGFR1, FGFR2", "MAP2K1"],
            "moa-fine": ["FGFR inhibitor", "unclear"],
            "canonical_smiles": ["CCO", "not a structure"],
        }
    ).to_parquet(folder / "drug_metadata.parquet")
    samples = pd.DataFrame.from_dict(
        SAMPLES, orient="index", columns=["plate", "drug", "drugname_drugconc"]
    )
    samples.rename_axis("sample").reset_index().to_parquet(folder / "sample_metadata.parquet")
    pd.DataFrame(
        {
            "cell_name": [name for name in LINES.values() for _ in range(2)],
            "Cell_ID_Cellosaur": [name for name in LINES for _ in range(2)],
        }
    ).to_parquet(folder / "cell_line_metadata.parquet")


def write_shards(folder, counts, obs, edges):
    """Write cells to one file for each piece between `edges`."""
    folder.mkdir(parents=True, exist_ok=True)
    table = to_table(counts, obs)
    bounds = [0, *edges, len(counts)]
    paths = []
    for i, (start, stop) in enumerate(pairwise(bounds)):
        paths.append(folder / f"train-{i:05d}.parquet")
        pq.write_table(table.slice(start, stop - start), paths[-1], row_group_size=17)
    return paths


def expected_groups(counts, obs, target=1e4):
    """The oracle: a dense log-normalised matrix, and pandas."""
    some = counts.sum(axis=1) > 0
    dense = np.log1p(counts[some] / counts[some].sum(axis=1, keepdims=True) * target)
    named = obs[some].reset_index(drop=True)
    keys = [named[k].str.strip() for k in KEYS]
    frame = pd.DataFrame(dense.astype(float))
    groups = frame.groupby(keys)
    seen = (frame > 0).groupby(keys).mean()
    return groups.size(), groups.mean(), groups.var(), seen
