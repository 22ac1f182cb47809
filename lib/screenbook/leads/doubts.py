"""What would change our mind about a lead: its weakest evidence, in sentences.

Every doubt has a word, for tables, and a sentence that says what was measured and what a further
experiment would have to show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

WIDE = 0.5
"""Width of the on-axis score's 95 % interval, above which it is called wide."""

HARDLY = 0.8
"""On-axis score that is hardly a rescue."""

_FLAGS = {
    "off-axis": "At its best dose cells also move off the way to health: look at them under a "
    "microscope before anything else.",
    "toxicity-like": "It moves cells in the direction that most strong compounds of the library "
    "share at their top dose, which is that of dying cells: count cells.",
    "unlike any control": "Most of its wells are unlike any control, so no score of theirs was "
    "learned from wells like them.",
    "fluorescence-like": "Its shift looks like fluorescence of the compound itself: repeat it in "
    "wells without cells or without dye.",
    "edge wells only": "All its wells stand at the edge of plates: repeat it inside.",
    "nulls disagree": "It stands against untreated wells but not against the treated bulk of its "
    "plates; what all treated wells share may explain it.",
    "few wells": "There are too few wells at its best dose.",
}
_MARKS = re.compile(r"([\\`*_\[\]<>#|~])")


def literal(text: object) -> str:
    """Text of data inside a line of markdown: one line, and none of its characters is a mark."""
    return _MARKS.sub(r"\\\1", " ".join(str(text).split()))


def minus(number: str) -> str:
    """Print a number with a true minus sign."""
    return number.replace("-", "−")


def find_doubts(lead: Mapping[str, Any], doses: pd.DataFrame, n_experiments: int) -> dict[str, str]:
    """Say what speaks against a compound in one cell type.

    Parameters
    ----------
    lead : mapping
        A row of :func:`screenbook.leads.leads.lead_table`.
    doses : DataFrame
        Rows of the table of treatments for this compound and cell type: ``dose n_experiments
        flags verdict``.
    n_experiments : int
        Experiments of the cell type.

    Returns
    -------
    dict of str to str
        Sentence by word, markdown, the gravest first; empty if nothing measured is weak.
    """
    rules = (_of_rank, _of_effect, _of_design, _of_flags, _of_curve, _of_methods)
    found: dict[str, str] = {}
    for rule in rules:
        found.update(rule(lead, doses, n_experiments))
    return found


def _number(lead: Mapping[str, Any], name: str) -> float:
    value = lead.get(name)
    return float(value) if value is not None and not pd.isna(value) else float("nan")


def _of_rank(
    lead: Mapping[str, Any], doses: pd.DataFrame, n_experiments: int
) -> Iterator[tuple[str, str]]:
    rank, worst, top = (_number(lead, name) for name in ("rank", "worst_rank", "n_top"))
    if worst > max(top, 2 * rank) and rank <= top:
        without = literal(lead.get("worst_without", ""))
        yield (
            "hangs on one part",
            f"Without {without} it falls from rank {rank:.0f} to {worst:.0f}, out of the first "
            f"{top:.0f}: that part of the data carries it.",
        )
    share = _number(lead, "top_share")
    if share < 0.8:
        yield (
            "rank unsure",
            f"It is among the first {top:.0f} in {share:.0%} of draws of plates only.",
        )


def _of_effect(
    lead: Mapping[str, Any], doses: pd.DataFrame, n_experiments: int
) -> Iterator[tuple[str, str]]:
    low, high, dose = (_number(lead, name) for name in ("on_low", "on_high", "best_dose"))
    if np.isnan(low) or np.isnan(high):
        yield "no interval", "Its on-axis score has no interval: there are too few plates."
    elif high > HARDLY:
        yield (
            "interval reaches disease",
            f"The interval of its on-axis score at {dose:g} µM reaches {high:.2f}, which is hardly "
            f"a rescue: more plates have to bring that end below {HARDLY:g}.",
        )
    elif high - low > WIDE:
        yield (
            "wide interval",
            f"Its on-axis score at {dose:g} µM may lie anywhere from {minus(f'{low:.2f}')} to "
            f"{minus(f'{high:.2f}')}: how strong the rescue is, is open.",
        )
    if _number(lead, "replicate_q") > 0.05:
        yield (
            "replicates differ",
            f"Its replicates do not find each other on other plates (mAP "
            f"{_number(lead, 'replicate_map'):.2f}, q {_number(lead, 'replicate_q'):.2f}).",
        )


def _of_design(
    lead: Mapping[str, Any], doses: pd.DataFrame, n_experiments: int
) -> Iterator[tuple[str, str]]:
    at_best = doses[np.isclose(doses["dose"].astype(float), _number(lead, "best_dose"))]
    here = int(at_best["n_experiments"].max()) if len(at_best) else 0
    if here == 1 and n_experiments > 1:
        yield (
            "one experiment",
            f"Its best dose was seen in one of {n_experiments} experiments: another has to agree.",
        )
    elif n_experiments == 1:
        yield (
            "one experiment",
            "There is one experiment with this cell type: nothing here was seen on another day.",
        )
    plates = _number(lead, "n_plates")
    if plates < 4:
        yield "few plates", f"{plates:.0f} plates hold its best dose; four would be few."


def _of_flags(
    lead: Mapping[str, Any], doses: pd.DataFrame, n_experiments: int
) -> Iterator[tuple[str, str]]:
    text = lead.get("flags")
    words = {w.strip() for w in str(text).split(";")} if text and not pd.isna(text) else set()
    for word, sentence in _FLAGS.items():
        if word in words:
            yield word, sentence
    best = _number(lead, "best_dose")
    off = doses[doses["flags"].fillna("").astype(str).str.contains("off-axis")]
    near = sorted(float(d) for d in off["dose"] if not np.isclose(d, best))
    if near:
        at = ", ".join(f"{dose:g}" for dose in near)
        window = f"; from {best:g} µM that leaves a factor of {min(near) / best:.2g}"
        yield (
            "off-axis at other doses",
            f"At {at} µM cells move off the way{window if min(near) > best else ''}.",
        )


def _of_curve(
    lead: Mapping[str, Any], doses: pd.DataFrame, n_experiments: int
) -> Iterator[tuple[str, str]]:
    shape, flat = lead.get("shape"), _number(lead, "p_flat")
    top, least = (float(f(doses["dose"])) if len(doses) else np.nan for f in (np.max, np.min))
    if shape == "bell":
        yield (
            "bell-shaped",
            "Its effect turns back at higher doses: a second effect, or cells that suffer. Doses "
            "around the best one would tell.",
        )
    elif shape == "partial":
        yield (
            "EC50 beyond the doses",
            f"Its EC50 lies outside the doses tested ({least:g} to {top:g} µM): the curve has to "
            "be extended before its potency means anything.",
        )
    elif shape == "sigmoid" and (
        np.isnan(_number(lead, "ec50_low")) or np.isnan(_number(lead, "ec50_high"))
    ):
        yield (
            "EC50 open",
            f"The doses tested ({least:g} to {top:g} µM) bound its EC50 of "
            f"{_number(lead, 'ec50'):.2g} µM on one side at most.",
        )
    if flat > 0.05:
        yield "no dose response", f"Its doses do not differ beyond chance (p {flat:.2f})."


def _of_methods(
    lead: Mapping[str, Any], doses: pd.DataFrame, n_experiments: int
) -> Iterator[tuple[str, str]]:
    p, outside = _number(lead, "p_healthy"), _number(lead, "p_outside")
    if p < 0.5:
        yield (
            "classifier disagrees",
            f"The classifier takes its wells for healthy with p = {p:.2f} only.",
        )
    if outside > 0.25:
        yield (
            "classifier out of its depth",
            f"{outside:.0%} of its wells are unlike the controls that the classifier knows.",
        )
    ranks = {name: _number(lead, f"rank_{name}") for name in ("on_axis", "classifier")}
    top, n = _number(lead, "n_top"), _number(lead, "n_ranked")
    if min(ranks.values()) <= top < max(ranks.values()):
        yield (
            "methods differ",
            f"By the on-axis score it is number {ranks['on_axis']:.0f}, by the classifier "
            f"{ranks['classifier']:.0f}.",
        )
    witnesses = {"the earth mover's distance": "rank_earth_mover", "its neighbours": "rank_kNN"}
    low = [name for name, column in witnesses.items() if _number(lead, column) > n / 2]
    if low:
        yield (
            "witnesses against it",
            f"By {' and by '.join(low)} it is in the lower half of the list.",
        )
