"""A small simulated expression screen, its signatures, and studies of its splits."""

from functools import cache

import numpy as np

from screenbook.expression.forward import ForwardSettings
from screenbook.expression.signatures import signatures
from screenbook.expression.split_study import study_split, training_rows
from screenbook.expression_set import make_profiles
from screenbook.fingerprints import morgan_fingerprints
from screenbook.simulate.expression import SCALE, ExpressionSpec, simulate_expression
from screenbook.training import TrainSettings

SPEC = ExpressionSpec(
    n_drugs=22,
    n_lines=4,
    n_genes=48,
    n_mechanisms=4,
    doses=(0.5, 5.0),
    plates_per_dose=1,
    n_dmso_wells=4,
    n_replicated=6,
    n_aliases=2,
    n_without_structure=1,
    effect=1.5,
    inactive=0.1,
    condition_noise=0.05,
)

QUICK = ForwardSettings(
    n_tokens=6,
    width=16,
    layers=1,
    n_components=8,
    training=TrainSettings(n_steps=6, learning_rate=3e-3, warmup_steps=1, device="cpu"),
)


@cache
def screen():
    """Profiles, and the change of each without noise."""
    made = simulate_expression(SPEC)
    profiles = make_profiles(
        made.mean,
        made.obs,
        made.genes.tolist(),
        scale=SCALE,
        origin="simulated",
        layers={"variance": made.variance},
    )
    return profiles, made.change


@cache
def small_signatures():
    return signatures(screen()[0])


@cache
def truth():
    """The change of each signature without noise."""
    profiles, change = screen()
    return change[profiles.obs_names.get_indexer(small_signatures().obs.index)]


@cache
def bits():
    obs = small_signatures().obs
    return morgan_fingerprints(obs["compound_key"], obs["SMILES"]).bits


@cache
def study(rule, seed=0):
    return study_split(small_signatures(), bits(), rule, seed, QUICK)


def all_rows(rule):
    """Every condition, as something to learn from."""
    chosen = small_signatures()
    return training_rows(chosen, bits(), rule, np.ones(len(chosen), dtype=bool))
