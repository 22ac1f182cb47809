"""A tiny simulated expression screen, and conditions that follow a planted rule."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from screenbook.expression.forward import ForwardSettings
from screenbook.expression.signatures import signatures
from screenbook.expression.split_study import study_split
from screenbook.expression.training_rows import TrainingRows
from screenbook.expression_set import make_profiles
from screenbook.fingerprints import morgan_fingerprints
from screenbook.simulate.expression import SCALE, ExpressionSpec, simulate_expression
from screenbook.training import TrainSettings

SPEC = ExpressionSpec(
    n_drugs=30, n_lines=5, n_genes=60, n_mechanisms=5, n_dmso_wells=4, n_replicated=4, n_aliases=2
)
BRIEF = ForwardSettings(
    n_tokens=12,
    width=32,
    layers=1,
    n_components=16,
    training=TrainSettings(n_steps=60, learning_rate=2e-3, warmup_steps=10, clip=1.0),
)
GATE, MOVED = 0, 3  # the gene whose basal level gates the rule, and the gene that it moves


def steps(settings, n, **changes):
    return replace(settings, training=replace(settings.training, n_steps=n, **changes))


@cache
def screen():
    """Signatures of the tiny screen, and fingerprints of its drugs."""
    made = simulate_expression(SPEC)
    layers = {"variance": made.variance}
    profiles = make_profiles(
        made.mean, made.obs, made.genes.tolist(), scale=SCALE, origin="simulated", layers=layers
    )
    found = signatures(profiles)
    drugs = found.obs.drop_duplicates("compound_key")
    return found, morgan_fingerprints(drugs["compound_key"], drugs["SMILES"]).bits


@cache
def study():
    """What is learned on the pair split of the tiny screen."""
    return study_split(*screen(), "pair", 0, BRIEF)


def rows(
    n_drugs=12, n_lines=4, n_genes=10, doses=(5.0,), n_bits=32, seed=0, noise=0.1, unit="drug"
):
    """Every second drug carries six bits, and moves one gene where the line has the gate on."""
    rng = np.random.default_rng(seed)
    drug, line, dose = (i.ravel() for i in np.mgrid[:n_drugs, :n_lines, : len(doses)])
    bits = (rng.random((n_drugs, n_bits)) < 0.15).astype(np.float32)
    bits[:, :6] = (np.arange(n_drugs) % 2 == 0)[:, None]
    basal = rng.normal(0, 0.02, (n_lines, n_genes))
    basal[:, GATE] = np.where(np.arange(n_lines) % 2 == 0, 2.0, -2.0)
    delta = noise * rng.normal(size=(len(drug), n_genes))
    delta[:, MOVED] += 3.0 * bits[drug, 0] * (basal[line, GATE] > 0)
    keys = np.array([f"{chr(65 + d % 26) * 14}-{d}-N" for d in range(n_drugs)], dtype=object)
    lines = np.array([f"L{i}" for i in range(n_lines)], dtype=object)
    obs = pd.DataFrame(
        {
            "compound_key": keys[drug],
            "cell_line": lines[line],
            "dose": np.array(doses, dtype=float)[dose],
            "moa": "",
            "n_cells": rng.integers(20, 900, len(drug)).astype(float),
        }
    )
    return TrainingRows(
        delta=delta.astype(np.float32),
        obs=obs,
        fingerprints=pd.DataFrame(bits, index=keys),
        basal=pd.DataFrame(basal, index=lines),
        weight=rng.uniform(0.5, 2.0, len(drug)),
        unit=obs["compound_key" if unit == "drug" else "cell_line"].to_numpy(),
    )
