"""NSC and NSCB of treatments as the literature counts them, with intervals over compounds.

The literature on BBBC021 leaves out of NSCB the treatments whose mechanism no other compound has
in another batch: they could not be matched rightly. :mod:`screenbook.profiles.mechanism`, which
compares representations of one screen, counts them as wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.profiles.mechanism import MechanismMatch, match_mechanisms
from screenbook.profiles.treatment_means import TreatmentMeans


def match_treatments(
    means: TreatmentMeans,
    about: pd.DataFrame,
    experiment_of: dict[str, str],
    used: np.ndarray | None = None,
    *,
    n_permutations: int = 200,
    seed: int = 0,
) -> MechanismMatch | None:
    """Match treatments of known mechanism to their nearest of another compound.

    Parameters
    ----------
    means : TreatmentMeans
        Of one cell type.
    about : DataFrame
        ``compound_key moa``.
    experiment_of : dict of str to str
        Experiment of every plate (``batch``), which is the batch of NSCB.
    used : ndarray of bool, shape (t,), optional
        Treatments that take part; by default all.
    n_permutations, seed : int
        See :func:`screenbook.profiles.mechanism.match_mechanisms`.

    Returns
    -------
    MechanismMatch or None
        None if fewer than two mechanisms have two compounds each.
    """
    moa = about.drop_duplicates("compound_key").set_index("compound_key")["moa"].fillna("")
    compound = means.treatments["compound_key"].to_numpy(dtype=object)
    mechanism = means.treatments["compound_key"].map(moa).fillna("").to_numpy(dtype=object)
    if used is not None:
        mechanism = np.where(used, mechanism, "")
    experiments = means.on_plates["batch"].map(experiment_of)
    return match_mechanisms(
        means.profiles,
        mechanism,
        compound,
        means.on_plates["treatment"].to_numpy(),
        pd.factorize(experiments)[0],
        n_permutations=n_permutations,
        seed=seed,
    )


def match_scores(
    match: MechanismMatch, means: TreatmentMeans, experiment_of: dict[str, str], *, seed: int = 0
) -> pd.DataFrame:
    """Count matches with the exclusions of the literature, and how sure the counts are.

    Parameters
    ----------
    match : MechanismMatch
        Of :func:`match_treatments`.
    means, experiment_of
        As given there.
    seed : int
        Of the bootstrap over compounds.

    Returns
    -------
    DataFrame
        Rows ``NSC`` and ``NSCB``: ``rule value low high`` (95 %, bootstrap over compounds)
        ``chance n n_compounds``, and ``n_left_out``: treatments whose mechanism no other
        compound has (for NSCB: in another experiment). NaN where none can be asked.
    """
    table = match.table
    treatment = table["treatment"].to_numpy()
    compound = means.treatments["compound_key"].to_numpy(dtype=object)[treatment]
    labels = table["mechanism"].to_numpy(dtype=object)
    batches = means.on_plates["batch"].map(experiment_of)
    member = pd.crosstab(means.on_plates["treatment"], batches).reindex(treatment, fill_value=0)
    shared = member.to_numpy() @ member.to_numpy().T > 0
    partner = (labels[:, None] == labels) & (compound[:, None] != compound)
    rows = []
    for rule, eligible in (("nsc", partner), ("nscb", partner & ~shared)):
        asked = eligible.any(axis=1)
        chance = _chance(table, rule, compound, asked, seed)
        right = (table[f"{rule}_mechanism"] == table["mechanism"]).to_numpy()[asked]
        low, high = _interval(right, compound[asked], seed)
        rows.append(
            {
                **{"rule": rule.upper(), "value": right.mean() if asked.any() else np.nan},
                **{"low": low, "high": high, "chance": chance, "n": int(asked.sum())},
                "n_compounds": len(set(compound[asked])),
                "n_left_out": int((~asked).sum()),
            }
        )
    return pd.DataFrame(rows)


def _chance(
    table: pd.DataFrame, rule: str, compound: np.ndarray, asked: np.ndarray, seed: int
) -> float:
    """Mean share of the treatments asked when whole compounds swap their mechanism."""
    if not asked.any():
        return float("nan")
    place = pd.Series(np.arange(len(table)), index=table["treatment"].to_numpy())
    near = place.reindex(table[f"{rule}_neighbour"]).to_numpy()
    there = asked & np.isfinite(near)
    owner = pd.factorize(compound)[0]
    first = np.unique(owner, return_index=True)[1]
    of_compound = pd.factorize(table["mechanism"])[0][first]
    rng = np.random.default_rng(seed)
    hits = []
    for _ in range(200):
        dealt = rng.permutation(of_compound)[owner]
        hits.append((dealt[near[there].astype(int)] == dealt[there]).sum() / asked.sum())
    return float(np.mean(hits))


def published_scores(lines: Sequence[str]) -> pd.DataFrame:
    """Read what others reported on the same screen.

    Parameters
    ----------
    lines : sequence of str
        ``method | NSC | NSCB | source``, shares from 0 to 1; blank where not reported.

    Returns
    -------
    DataFrame
        ``method NSC NSCB source``.

    Raises
    ------
    InputError
        If a line has other parts, or a share is none.
    """
    rows = []
    for line in lines:
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 4 or not parts[0]:
            raise InputError(
                f"published: {line!r} has {len(parts)} parts; write 'method | NSC | NSCB | source'"
            )
        shares = []
        for part in parts[1:3]:
            share = pd.to_numeric(part or "nan", errors="coerce")
            if part and not 0 <= share <= 1:
                raise InputError(f"published: {part!r} in {line!r} is no share between 0 and 1")
            shares.append(float(share))
        rows.append((parts[0], *shares, parts[3]))
    return pd.DataFrame(rows, columns=["method", "NSC", "NSCB", "source"])


def _interval(
    right: np.ndarray, compound: np.ndarray, seed: int, n_draws: int = 2000
) -> tuple[float, float]:
    """Middle 95 % of the share over draws of compounds."""
    code, names = pd.factorize(compound)
    if len(names) < 2:
        return float("nan"), float("nan")
    hits, counts = np.bincount(code, right), np.bincount(code)
    draws = np.random.default_rng(seed).integers(len(names), size=(n_draws, len(names)))
    shares = hits[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)
