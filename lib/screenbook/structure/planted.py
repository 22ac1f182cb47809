"""What the tests of structure find where the answer is known, for a run's own compounds.

Phenotypes are planted on the compounds of a run, with their structures and mechanisms: a mechanism
effect, a random linear map of the structure times a dial, and noise. At dial 0 there are two
nulls. *Nothing*: noise alone. *Mechanism only*: phenotype follows mechanism, mechanism follows
scaffold as it does in the run, and structure adds nothing; a plain test rightly rejects there,
a test of structure beyond mechanism must not. Beyond dial 0 rejections are power: how much
structure a picture must carry before these many compounds could show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from screenbook.errors import InputError
from screenbook.processes import run_each
from screenbook.structure import mantel, neighbour_structure
from screenbook.structure.held_out_structure import (
    BITS,
    DESCRIPTORS,
    Targets,
    held_out_scores,
    smoother,
    targets,
)
from screenbook.structure.permutations import (
    ALL,
    WITHIN,
    cannot_permute,
    mechanism_codes,
    p_values,
    shuffles,
)
from screenbook.structure.similarity import REPRESENTATIONS, CompoundSet

NOTHING, MECHANISM, STRUCTURE = "nothing", "mechanism only", "mechanism and structure"
"""What phenotypes are made of, beside noise."""

LEVEL = 0.05
DIALS = (0.5, 1.0, 2.0)

_BLOCK = 5
"""Plantings that share their permutations. Few, because the level is held on average over draws of
permutations, not by every draw of 39."""


@dataclass(frozen=True)
class Planting:
    """How phenotypes are planted, and how often.

    Attributes
    ----------
    dials : tuple of float
        Strengths of the structure's part: its SD in each direction, in SD of the noise.
    mechanism_effect : float
        SD between mechanisms, in the same unit.
    n_dimensions : int
        Of a profile.
    n_plantings : int
        For each null and each dial.
    n_permutations : int
        For each test. With 39 the level is exactly 5 %; power is a little less than with many.
    seed : int
    """

    dials: tuple[float, ...] = DIALS
    mechanism_effect: float = 1.0
    n_dimensions: int = 20
    n_plantings: int = 40
    n_permutations: int = 39
    seed: int = 0


def rejection_rates(
    compounds: CompoundSet, planting: Planting | None = None, *, jobs: int = 1
) -> pd.DataFrame:
    """Count how often each test rejects on planted phenotypes.

    Parameters
    ----------
    compounds : CompoundSet
        Its structures and mechanisms are used, its profiles are not. A compound of unknown
        mechanism acts as the known one it resembles most.
    planting : Planting, optional
    jobs : int
        Processes; the nulls and dials are shared among them.

    Returns
    -------
    DataFrame
        A row for each scenario, dial and test: ``scenario`` (:data:`NOTHING`,
        :data:`MECHANISM`, :data:`STRUCTURE`), ``dial``, ``share`` (of a profile's variance that
        structure makes), ``test``, ``beyond`` (whether it asks for structure beyond mechanism),
        ``permuted``, ``rejected`` (share of plantings with p of 0.05 or less; missing where the
        test cannot be asked), ``low`` and ``high`` (95 %, Wilson), ``n_plantings``,
        ``n_compounds`` and ``holds`` (what is expected: at most 5 % of plantings).

    Raises
    ------
    InputError
        If there are too few compounds, or an amount is out of range.
    """
    planting = planting or Planting()
    _check(compounds, planting)
    scenarios = [(NOTHING, 0.0), (MECHANISM, 0.0), *((STRUCTURE, d) for d in planting.dials)]
    # What all of them need is computed once, before other processes get a copy.
    _ = compounds.structure, compounds.bits, compounds.descriptors
    asked = {(name, dial): (compounds, name, dial, planting) for name, dial in scenarios}
    tables = run_each(_rates, asked, jobs=jobs)
    return pd.concat(tables.values(), ignore_index=True).assign(n_compounds=len(compounds))


def _rates(compounds: CompoundSet, scenario: str, dial: float, planting: Planting) -> pd.DataFrame:
    """Plant one null or one dial, and count."""
    profiles = plant(compounds, scenario, dial, planting)
    size = 0.0 if scenario == NOTHING else planting.mechanism_effect
    about = {"scenario": scenario, "dial": dial, "share": dial**2 / (1 + size**2 + dial**2)}
    rows = []
    wanted = [targets(compounds, kind) for kind in (BITS, DESCRIPTORS)]
    n_blocks = -(-len(profiles) // _BLOCK)
    blocks = [
        _answers(compounds, wanted, block, planting.n_permutations, planting.seed + k)
        for k, block in enumerate(np.array_split(profiles, n_blocks))
    ]
    for answers in zip(*blocks, strict=True):
        test, beyond, permuted, _ = answers[0]
        p = np.concatenate([answer[-1] for answer in answers])
        null = dial == 0 and (beyond or scenario == NOTHING)
        row = {**about, "test": test, "beyond": beyond, "permuted": permuted}
        rows.append(row | {**_rate(p), "holds": null})
    return pd.DataFrame(rows)


def plant(compounds: CompoundSet, scenario: str, dial: float, planting: Planting) -> np.ndarray:
    """Draw phenotypes, (n_plantings, n, n_dimensions).

    The structure's part is a random linear map of the Tanimoto kernel's principal components,
    with a mean square of 1 in each direction, so compounds with like structures get like parts.
    """
    number = (NOTHING, MECHANISM, STRUCTURE).index(scenario)
    rng = np.random.default_rng([planting.seed, number, round(1000 * dial)])
    m, n, k = planting.n_plantings, len(compounds), planting.n_dimensions
    profiles = rng.normal(size=(m, n, k))
    if scenario != NOTHING:
        code = acting_mechanisms(compounds)
        effects = rng.normal(size=(m, code.max() + 1, k))
        profiles += planting.mechanism_effect * effects[:, code]
    if dial:
        root = kernel_root(compounds.structure[REPRESENTATIONS[0]])
        profiles += dial * (root @ rng.normal(size=(m, root.shape[1], k)))
    return profiles


def acting_mechanisms(compounds: CompoundSet) -> np.ndarray:
    """Mechanism by which each compound acts, int (n,): its own, or that of its best analogue."""
    code = mechanism_codes(compounds.mechanism)
    known = np.flatnonzero(code >= 0)
    if not known.size:
        return np.arange(len(code))
    alike = compounds.structure[REPRESENTATIONS[0]][:, known]
    return np.where(code >= 0, code, code[known[alike.argmax(axis=1)]])


def kernel_root(kernel: np.ndarray) -> np.ndarray:
    """Coordinates whose products are the centred kernel, of mean square norm 1, (n, rank)."""
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1, keepdims=True) + kernel.mean()
    values, vectors = np.linalg.eigh(centred)
    kept = values > 1e-9 * max(values.max(initial=0), 1e-12)
    root = vectors[:, kept] * np.sqrt(values[kept])
    return np.asarray(root / np.sqrt(max(np.mean(np.sum(root**2, axis=1)), 1e-12)))


def _answers(
    compounds: CompoundSet,
    wanted: list[Targets],
    profiles: np.ndarray,
    n_permutations: int,
    seed: int,
) -> list[tuple[str, bool, str, np.ndarray]]:
    """Name, scope, way to permute and p values of every test."""
    structure, mechanism = compounds.structure[REPRESENTATIONS[0]], compounds.mechanism
    pictures = mantel.Pictures.of(profiles)
    out = []
    for question in mantel.QUESTIONS:
        p = mantel.ask(question, structure, pictures, mechanism, n_permutations, seed).p
        out.append((question.name, question.beyond, question.permuted, p))
    for asked in neighbour_structure.QUESTIONS:
        p = neighbour_structure.ask_neighbours(
            asked, structure, pictures.similarity, mechanism, n_permutations, seed
        ).p
        name = f"{asked.name}, other mechanisms" if asked.other else asked.name
        out.append((name, asked.beyond, asked.permuted, p))
    smooth, group = smoother(profiles), mechanism_codes(mechanism)
    for permuted, swapped in ((ALL, None), (WITHIN, group)):
        p = np.full((len(wanted), len(profiles)), np.nan)
        asked_of = [k for k, told in enumerate(wanted) if not told.note]
        if asked_of and (swapped is None or not cannot_permute(swapped)):
            drawn = shuffles(len(compounds), n_permutations, seed, swapped)
            p[asked_of] = _held_out_p(smooth, [wanted[k] for k in asked_of], drawn)
        for told, of_kind in zip(wanted, p, strict=True):
            out.append((f"held-out scaffolds, {told.kind}", permuted == WITHIN, permuted, of_kind))
    return out


def _held_out_p(smooth: np.ndarray, wanted: list[Targets], drawn: np.ndarray) -> np.ndarray:
    """One-sided p of the mean over properties, (n_targets, m)."""
    every = np.vstack([np.arange(drawn.shape[1]), drawn])
    means = np.array([[k.mean(axis=1) for k in held_out_scores(s, wanted, every)] for s in smooth])
    return np.stack([p_values(k[:, 0], k[:, 1:].T) for k in means.swapaxes(0, 1)])


def _rate(p: np.ndarray) -> dict[str, float]:
    asked = p[~np.isnan(p)]
    if not asked.size:
        return {"rejected": np.nan, "low": np.nan, "high": np.nan, "n_plantings": 0}
    hits = int((asked <= LEVEL + 1e-9).sum())
    ends = binomtest(hits, asked.size).proportion_ci(method="wilson")
    return {
        "rejected": hits / asked.size, "low": float(ends.low), "high": float(ends.high),
        "n_plantings": asked.size,
    }  # fmt: skip


def _check(compounds: CompoundSet, planting: Planting) -> None:
    if compounds.refusal:
        raise InputError(compounds.refusal)
    amounts: Sequence[tuple[str, float, float]] = (
        ("n_plantings", planting.n_plantings, 1),
        ("n_permutations", planting.n_permutations, 19),
        ("n_dimensions", planting.n_dimensions, 2),
        ("mechanism_effect", planting.mechanism_effect, 0),
        *(("dials", dial, 0.001) for dial in planting.dials),
    )
    for name, value, least in amounts:
        if not least <= value:
            raise InputError(f"{name} is {value}: give {least} or more")
