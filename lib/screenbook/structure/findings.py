"""Everything that was found about mechanisms and structures, in one table."""

from __future__ import annotations

import numpy as np
import pandas as pd

COLUMNS = ("measure", "value", "low", "high", "chance", "p", "n", "published")
"""Columns of :func:`summarise_findings`."""

_OF_TESTS = ("Mantel", "partial Mantel, mechanism held", "restricted permutation")


def summarise_findings(
    measures: pd.DataFrame,
    matches: pd.DataFrame,
    mechanisms: pd.DataFrame,
    pairs: pd.DataFrame | None,
    published: pd.DataFrame,
    fdr: float,
) -> pd.DataFrame:
    """Bring the numbers of a report into one table, beside those of others.

    Parameters
    ----------
    measures, mechanisms : DataFrame
        Of :mod:`screenbook.structure.mechanism_geometry`; empty if nothing could be asked.
    matches : DataFrame
        Of :func:`screenbook.structure.mechanism_matches.match_scores` with a column ``which``.
    pairs : DataFrame or None
        Of :func:`screenbook.structure.mantel.mantel_table`.
    published : DataFrame
        ``method NSC NSCB source``.
    fdr : float
        Largest q of a mechanism that holds together.

    Returns
    -------
    DataFrame
        :data:`COLUMNS`; ``n`` says in words what was counted, ``p`` of a single mechanism is
        its q.
    """
    rows: list[dict[str, object]] = []
    for m in measures.to_dict("records"):
        n = f"{m['n_compounds']} compounds of {m['n_mechanisms']} mechanisms"
        rows.append(_row(m["title"], m["value"], chance=m["chance"], p=m["p"], n=n))
    for m in matches.to_dict("records"):
        n = f"{m['n']} treatments of {m['n_compounds']} compounds"
        name = f"{m['rule']}, {m['which']}"
        row = _row(name, m["value"], low=m["low"], high=m["high"], chance=m["chance"], n=n)
        theirs = _beside(published, m["rule"]) if m["which"] == "all treatments" else ""
        why = "no partner in another experiment" if m["rule"] == "NSCB" and not m["n"] else ""
        rows.append(row | {"published": theirs} | ({"n": why} if why else {}))
    if len(mechanisms):
        together = int((mechanisms["q"] <= fdr).sum())
        n = f"{together} of {len(mechanisms)} mechanisms with q of {fdr:g} or less"
        rows.append(_row("mechanisms that hold together (share)", together / len(mechanisms), n=n))
    for m in mechanisms.to_dict("records"):
        n = f"{m['n_compounds']} compounds"
        rows.append(_row(f"mAP, {m['mechanism']}", m["map"], chance=m["chance"], p=m["q"], n=n))
    if pairs is not None:
        some = pairs[pairs["test"].isin(_OF_TESTS)]
        for m in some.to_dict("records"):
            n = f"{m['n_compounds']} compounds, {m['n_pairs']} pairs"
            name = f"{m['test']}, {m['representation']} (r)"
            rows.append(_row(name, m["r"], m["low"], m["high"], m["null_mean"], m["p"], n))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(
    measure: str,
    value: float,
    low: float = np.nan,
    high: float = np.nan,
    chance: float = np.nan,
    p: float = np.nan,
    n: str = "",
) -> dict[str, object]:
    found = {"measure": measure, "value": value, "low": low, "high": high, "chance": chance, "p": p}
    return {**found, "n": n, "published": ""}


def _beside(published: pd.DataFrame, rule: str) -> str:
    """Say what others reported under a rule, with their sources."""
    there = published[published[rule].notna()] if rule in published else published.iloc[:0]
    return "; ".join(f"{r['method']} {r[rule]:.2f} ({r['source']})" for _, r in there.iterrows())
