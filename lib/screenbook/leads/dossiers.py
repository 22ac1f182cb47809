"""All that is known of a lead, as text: one dossier per compound, its cell types side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from screenbook.leads.doubts import HARDLY, find_doubts, literal, minus


@dataclass(frozen=True)
class Dossier:
    """What is said of one compound.

    Attributes
    ----------
    number : int
        From 1.
    compound, compound_key, smiles : str
    cell_types : tuple of str
        Those it was tested in, the one where it ranks best first.
    title, caption : str
        Of the figure that goes with it: plain text, and markdown.
    opening : str
        Markdown: heading, names, mechanism, verdict.
    facts : str
        Markdown: a table, one column per cell type.
    context : str
        Markdown: neighbours and the contrast between cell types.
    doubts : str
        Markdown: what would change our mind.
    """

    number: int
    compound: str
    compound_key: str
    smiles: str
    cell_types: tuple[str, ...]
    title: str
    caption: str
    opening: str
    facts: str
    context: str
    doubts: str


def write_dossiers(
    keys: Sequence[str],
    leads: pd.DataFrame,
    treatments: pd.DataFrame,
    contrasts: pd.DataFrame,
    neighbours: pd.DataFrame,
    n_experiments: Mapping[str, int],
) -> list[Dossier]:
    """Write a dossier for each compound; text from data is escaped.

    Parameters
    ----------
    keys : sequence of str
        From :func:`screenbook.leads.leads.choose_leads`.
    leads : DataFrame
        From :func:`screenbook.leads.leads.lead_table`.
    treatments : DataFrame
        ``cell_type compound_key dose n_experiments flags verdict``.
    contrasts : DataFrame
        From :func:`screenbook.hits.contrasts.cell_type_contrasts`.
    neighbours : DataFrame
        From :func:`screenbook.leads.lead_neighbours.lead_neighbours`, with ``cell_type``.
    n_experiments : mapping of str to int
        Experiments of each cell type.
    """
    written = []
    for number, key in enumerate(keys, start=1):
        rows = leads[leads["compound_key"] == key].copy()
        rows["share"] = rows["rank"] / rows["n_ranked"]
        rows = rows.sort_values(["is_lead", "share"], ascending=[False, True], kind="stable")
        first = rows.iloc[0]
        doses = treatments[treatments["compound_key"] == key]
        written.append(
            Dossier(
                number,
                str(first["compound"]),
                str(key),
                "" if pd.isna(first["smiles"]) else str(first["smiles"]),
                tuple(str(name) for name in rows["cell_type"]),
                *_figure_text({str(k): v for k, v in first.items()}),
                _opening(number, rows),
                _facts(rows),
                _context(key, contrasts, neighbours),
                _doubts(rows, doses, n_experiments),
            )
        )
    return written


def doubt_words(
    leads: pd.DataFrame, treatments: pd.DataFrame, n_experiments: Mapping[str, int]
) -> list[str]:
    """Words for the doubts about every lead, joined by ``; ``; blank for what is no lead."""
    keys = ["cell_type", "compound_key"]
    doses = dict(list(treatments.groupby(keys)))
    empty = treatments.iloc[:0]
    words = []
    for row in leads.to_dict("records"):
        lead = {str(name): value for name, value in row.items()}
        at = (lead["cell_type"], lead["compound_key"])
        n = n_experiments.get(str(lead["cell_type"]), 0)
        found = find_doubts(lead, doses.get(at, empty), n) if lead["is_lead"] else {}
        words.append("; ".join(found))
    return words


def _figure_text(first: Mapping[str, Any]) -> tuple[str, str]:
    """Title and caption of the figure of a compound."""
    name, cell_type, dose = first["compound"], first["cell_type"], f"{first['best_dose']:g} µM"
    score = minus(f"{first['on_score']:.2f}")
    span = _span("on_score", "on_low", "on_high", "{:.2f}")(first)
    return (
        f"{name}: on-axis score {score} at {dose} in {cell_type}",
        f"{literal(name)} dose by dose, along the way from diseased to healthy, off it, and by the "
        f"classifier where one ran. At {dose} its on-axis score in {literal(cell_type)} wells is "
        f"{span}.",
    )


def _opening(number: int, rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    spelled = [n.strip() for n in str(first.get("names") or "").split(";")]
    others = [n for n in spelled if n and n not in (str(first["compound"]), "nan")]
    named = f" (also {literal(', '.join(others))})" if others else ""
    moa = first.get("moa")
    mechanism = f"Mechanism: {literal(moa)}." if _given(moa) else "Mechanism not given."
    verdicts = " ".join(_verdict(row) for row in _records(rows))
    rule = "---\n\n" if number > 1 else ""
    return f"{rule}### {number}. {literal(first['compound'])}{named}\n\n{verdicts} {mechanism}"


def _verdict(row: Mapping[str, Any]) -> str:
    where = f"**{literal(row['cell_type'])}**: {literal(row['call'])}"
    if pd.isna(row["rank"]):
        return f"{where}, not ranked."
    return (
        f"{where}, rank {row['rank']:.0f} of {row['n_ranked']:.0f} candidates (90 % of draws "
        f"{row['rank_low']:.0f} to {row['rank_high']:.0f}), among the first {row['n_top']:.0f} in "
        f"{row['top_share']:.0%} of draws."
    )


def _facts(rows: pd.DataFrame) -> str:
    """Write a table of the evidence; a line whose every cell is blank is left out."""
    records = _records(rows)
    lines = [(name, [make(row) for row in records]) for name, make in _LINES.items()]
    heads = "".join(f" {literal(row['cell_type'])} |" for row in records)
    table = [f"| |{heads}", "|---|" + "---|" * len(records)]
    table += [
        f"| {name} |" + "".join(f" {cell} |" for cell in cells)
        for name, cells in lines
        if any(cell != "–" for cell in cells)
    ]
    return "\n".join(table)


def _context(key: str, contrasts: pd.DataFrame, neighbours: pd.DataFrame) -> str:
    said = []
    for row in _records(contrasts[contrasts["compound_key"] == key]):
        first, second = literal(row["first"]), literal(row["second"])
        interval = (
            minus(f" (95 % interval {row['low']:+.2f} to {row['high']:+.2f}, q {row['q']:.2g})")
            if np.isfinite(row["low"])
            else " (no interval)"
        )
        said.append(
            f"**Between cell types**, at {row['dose']:g} µM: recovery "
            + minus(f"{row['recovery_first']:.2f} in ")
            + first
            + minus(f" and {row['recovery_second']:.2f} in ")
            + second
            + minus(f", difference {row['difference']:+.2f}")
            + f"{interval}: {literal(row['finding'])}."
        )
    for cell_type, near in neighbours[neighbours["compound_key"] == key].groupby("cell_type"):
        listed = ", ".join(
            f"{literal(row['neighbour'])} ({row['cosine']:.2f}"
            + (f", {literal(row['moa'])}" if _given(row["moa"]) else "")
            + f", {literal(row['call'])})"
            for row in _records(near)
        )
        beyond = near["share_below"].iloc[0]
        beyond_text = "more than 99%" if beyond > 0.99 else f"{beyond:.0%}"
        said.append(
            f"**Nearest profiles in {literal(cell_type)}** (cosine, mechanism, call): {listed}. "
            f"Of all pairs of compounds {beyond_text} are less alike than the first of these."
        )
    return "\n\n".join(said)


def _doubts(rows: pd.DataFrame, doses: pd.DataFrame, n_experiments: Mapping[str, int]) -> str:
    """List doubts about the cell types in which it is a lead, then the test that would decide."""
    lines = []
    mine = rows[rows["is_lead"]]
    for row in _records(mine):
        name = str(row["cell_type"])
        found = find_doubts(row, doses[doses["cell_type"] == name], n_experiments.get(name, 0))
        where = f"*{literal(name)}*: " if len(mine) > 1 else ""
        lines += [f"- {where}{sentence}" for sentence in found.values()]
        if not found:
            lines.append(f"- {where}Nothing measured here is weak.")
        lines.append(f"- {where}{_deciding_test(row)}")
    return "\n".join(["**What would change our mind**", "", *lines])


def _deciding_test(row: Mapping[str, Any]) -> str:
    """Foretell a repeat: the difference of two means has twice the variance of one."""
    middle, low, high = row["on_score"], row["on_low"], row["on_high"]
    dose = f"{row['best_dose']:g} µM"
    if pd.isna(low) or pd.isna(high):
        return f"Repeat it at {dose} on plates of its own: there is no interval to foretell it by."
    least = middle - np.sqrt(2) * (middle - low)
    most = middle + np.sqrt(2) * (high - middle)
    said = f"The test: {dose} on as many new plates. We expect a mean on-axis score from "
    said += f"{minus(f'{least:.2f}')} to {minus(f'{most:.2f}')} (95 %); "
    if most > HARDLY:
        return f"{said}that reaches {HARDLY:g}, hardly a rescue, so it takes more plates than that."
    return f"{said}above that we were wrong."


def dose_curve(
    lead: Mapping[str, Any], doses: Sequence[float], n: int = 60
) -> tuple[np.ndarray, np.ndarray]:
    """Trace the fitted dose response of a compound over the doses it was tested at.

    Parameters
    ----------
    lead : mapping
        ``shape plateau emax ec50 hill``, as report 04 gives them.
    doses : sequence of float
        µM.
    n : int
        Points.

    Returns
    -------
    dose, on_score : ndarray of float64, shape (n,)
        Both empty where the curve is flat, bell-shaped (its descent is not fitted) or missing.
    """
    numbers = [lead.get(name) for name in ("plateau", "emax", "ec50", "hill")]
    fitted = all(v is not None and not pd.isna(v) for v in numbers)
    if lead.get("shape") not in ("sigmoid", "partial") or not fitted or not len(doses):
        return np.empty(0), np.empty(0)
    plateau, emax, ec50, hill = (float(v) for v in numbers)  # type: ignore[arg-type]
    dose = np.geomspace(min(doses), max(doses), n)
    share = 1 / (1 + (ec50 / dose) ** hill)
    return dose, plateau - emax * share / share[-1]


def _given(value: Any) -> bool:
    return bool(not pd.isna(value) and str(value).strip())


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]


def _value(name: str, form: str) -> Any:
    """Print one number of a row, or a dash."""

    def make(row: Mapping[str, Any]) -> str:
        value = row.get(name)
        return "–" if value is None or pd.isna(value) else minus(form.format(value))

    return make


def _chance(name: str) -> Any:
    """Print a p or q of a row; very small ones as a bound."""

    def make(row: Mapping[str, Any]) -> str:
        value = row.get(name)
        if value is None or pd.isna(value):
            return "–"
        return "< 0.001" if value < 0.001 else f"{value:.2g}"

    return make


def _span(name: str, low: str, high: str, form: str, unit: str = "") -> Any:
    """Print a number with its interval, an open end as a dash."""

    def make(row: Mapping[str, Any]) -> str:
        values = [_value(column, form)(row) for column in (name, low, high)]
        if values[0] == "–":
            return "–"
        both = f" ({values[1]} to {values[2]})" if values[1:] != ["–", "–"] else ""
        return f"{values[0]}{both}{unit}"

    return make


def _worst(row: Mapping[str, Any]) -> str:
    if pd.isna(row.get("worst_rank", np.nan)):
        return "–"
    without = row.get("worst_without") or ""
    return f"{row['worst_rank']:.0f}" + (f", without {literal(without)}" if without else "")


def _flags(row: Mapping[str, Any]) -> str:
    return literal(row["flags"]) if _given(row.get("flags")) else "none"


_LINES = {
    "best dose (µM)": _value("best_dose", "{:g}"),
    "wells, plates there": lambda row: f"{row['n_wells']:.0f}, {row['n_plates']:.0f}",
    "on-axis score, 95 %": _span("on_score", "on_low", "on_high", "{:.2f}"),
    "off-axis shift, 95 % (control SD)": _span("off_score", "off_low", "off_high", "{:.1f}"),
    "q of the compound": _chance("q"),
    "EC50, 95 % (µM)": _span("ec50", "ec50_low", "ec50_high", "{:.2g}"),
    "dose response": lambda row: literal(row["shape"]) if _given(row.get("shape")) else "–",
    "replicate mAP": _value("replicate_map", "{:.2f}"),
    "its q": _chance("replicate_q"),
    "classifier: p healthy, 95 %": _span("p_healthy", "p_healthy_low", "p_healthy_high", "{:.2f}"),
    "rank by on-axis score": _value("rank_on_axis", "{:.0f}"),
    "rank by classifier": _value("rank_classifier", "{:.0f}"),
    "rank by earth mover": _value("rank_earth_mover", "{:.0f}"),
    "rank by neighbours": _value("rank_kNN", "{:.0f}"),
    "worst rank, one part left out": _worst,
    "flags": _flags,
}
