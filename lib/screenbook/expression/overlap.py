"""What a test set shares with what was learned from: parents, structures, mechanisms, lines.

A split keeps apart what its rule names and nothing else. The audit says what is left, so that
a score on unseen drugs can be read with the likeness of those drugs to the seen ones beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.expression.splits import Split, parent_blocks
from screenbook.fingerprints import tanimoto

CLOSE = 0.7
"""Tanimoto similarity from which two drugs count as close analogues."""


@dataclass(frozen=True)
class Overlap:
    """What a test set shares with the conditions learned from (training and validation).

    Attributes
    ----------
    drugs : DataFrame
        One row per test drug: ``compound_key``, ``compound``, ``n_conditions``,
        ``same_parent`` (bool: its parent was learned from), ``nearest`` (largest Tanimoto
        similarity to a drug learned from; NaN without a readable structure),
        ``nearest_compound``, ``mechanism`` (``""`` if unknown), ``same_mechanism`` (1 if
        another drug of it was learned from, 0 if not, NaN if unknown) and ``lines_seen``
        (share of its test conditions whose line was learned from).
    summary : DataFrame
        One row: ``rule``, ``n_conditions``, ``n_drugs``, shares of the test drugs
        ``same_parent``, ``close`` (a drug at :data:`CLOSE` or nearer), ``same_mechanism`` (of
        those with a known one), then ``median_tanimoto``, ``max_tanimoto`` and ``lines_seen``
        (share of the test lines).
    """

    drugs: pd.DataFrame
    summary: pd.DataFrame


def overlap_audit(obs: pd.DataFrame, split: Split, fingerprints: pd.DataFrame) -> Overlap:
    """Compare the test drugs and lines of a split with those learned from.

    Parameters
    ----------
    obs : DataFrame, n rows
        ``compound_key``, ``compound``, ``cell_line``, ``moa``.
    split : Split
        Of the same rows.
    fingerprints : DataFrame
        Bits indexed by ``compound_key`` (:func:`.fingerprints.morgan_fingerprints`).

    Raises
    ------
    InputError
        If a drug has no fingerprint row.
    """
    table = pd.DataFrame(
        {c: obs[c].astype(str).to_numpy() for c in ("compound_key", "compound", "cell_line", "moa")}
    )
    table["parent"] = parent_blocks(table["compound_key"])
    absent = table.loc[~table["compound_key"].isin(fingerprints.index), "compound"]
    if len(absent):
        raise InputError(
            f"fingerprints: there is no row for {absent.iloc[0]!r}; compute them over all drugs"
        )
    learned, asked = table[split.train | split.validation], table[split.test]
    seen_lines = set(learned["cell_line"])
    drugs = asked.drop_duplicates("compound_key")[["compound_key", "compound", "parent", "moa"]]
    groups = asked.assign(seen=asked["cell_line"].isin(seen_lines)).groupby("compound_key")["seen"]
    drugs = drugs.rename(columns={"moa": "mechanism"}).assign(
        n_conditions=drugs["compound_key"].map(groups.size()),
        same_parent=drugs["parent"].isin(set(learned["parent"])),
        lines_seen=drugs["compound_key"].map(groups.mean()),
    )
    drugs["same_mechanism"] = _mechanism_met(drugs, learned)
    drugs["nearest"], drugs["nearest_compound"] = _nearest(drugs, learned, fingerprints)
    order = ["compound_key", "compound", "n_conditions", "same_parent", "nearest"]
    drugs = drugs[[*order, "nearest_compound", "mechanism", "same_mechanism", "lines_seen"]]
    drugs = drugs.sort_values("nearest", ascending=False, kind="stable").reset_index(drop=True)
    lines = pd.Series(asked["cell_line"].unique())
    summary = {
        "rule": split.rule,
        "n_conditions": len(asked),
        "n_drugs": len(drugs),
        "same_parent": drugs["same_parent"].mean(),
        "close": drugs["nearest"].ge(CLOSE).mean(),
        "same_mechanism": drugs["same_mechanism"].mean(),
        "median_tanimoto": drugs["nearest"].median(),
        "max_tanimoto": drugs["nearest"].max(),
        "lines_seen": lines.isin(seen_lines).mean(),
    }
    return Overlap(drugs, pd.DataFrame([summary]))


def _mechanism_met(drugs: pd.DataFrame, learned: pd.DataFrame) -> pd.Series:
    """1 if a drug of another parent with the mechanism was learned from, NaN if unknown."""
    pairs = learned[["moa", "parent"]].drop_duplicates()
    parents = pairs.groupby("moa")["parent"].agg(set)
    met = [
        float(bool(parents.get(moa, set()) - {own})) if moa else np.nan
        for moa, own in zip(drugs["mechanism"], drugs["parent"], strict=True)
    ]
    return pd.Series(met, index=drugs.index)


def _nearest(
    drugs: pd.DataFrame, learned: pd.DataFrame, fingerprints: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    others = learned.drop_duplicates("compound_key")
    bits = fingerprints.loc[drugs["compound_key"]].to_numpy()
    alike = tanimoto(bits, fingerprints.loc[others["compound_key"]].to_numpy()).astype(float)
    readable = bits.any(axis=1)
    best = alike.argmax(axis=1)
    names = others["compound"].to_numpy(dtype=object)[best]
    return np.where(readable, alike.max(axis=1), np.nan), np.where(readable, names, "")
