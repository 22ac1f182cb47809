"""Compounds with structures, mechanisms and profiles of which it is known what follows what."""

import numpy as np

from screenbook.simulate import screen_spec
from screenbook.simulate.compounds import build_library
from screenbook.structure.similarity import compound_set


def library(n=60, tie=1.0, seed=0):
    """First n compounds of a simulated library."""
    spec = screen_spec(n_compounds=max(n, 120), scaffold_tie=tie, annotated=1.0)
    return build_library(spec, np.random.default_rng(seed)).iloc[:n].reset_index(drop=True)


def compounds_of(table, profiles=None, seed=0):
    """Compounds of a library; their profiles are noise unless given."""
    if profiles is None:
        profiles = np.random.default_rng(seed).normal(size=(len(table), 8))
    return compound_set(table["compound"], table["smiles"], table["moa"], profiles)


def of_structure(table, mechanism=0.0, structure=0.0, noise=0.1, k=24, seed=0):
    """Compounds whose profiles are a random linear map of their bits, and a mechanism effect."""
    rng = np.random.default_rng(seed)
    plain = compounds_of(table)
    bits = plain.bits - plain.bits.mean(axis=0)
    part = bits @ rng.normal(size=(bits.shape[1], k))
    code = np.unique(plain.mechanism, return_inverse=True)[1]
    effect = rng.normal(size=(code.max() + 1, k))[code]
    profiles = structure * part / part.std() + mechanism * effect
    return compounds_of(table, profiles + noise * rng.normal(size=profiles.shape))
