"""Scores of embeddings: what one answered, and tables that set many beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from screenbook.errors import InputError, did_you_mean
from screenbook.images.shares import Share

NONE, PLATE = "none", "plate"
"""Embedding as it is, and standardised by the negative controls of each plate."""

MEASURES = {
    "knn": "accuracy by weighted nearest neighbours, held-out experiments",
    "linear": "accuracy by a linear probe, held-out experiments",
    "batch_id": "batch told by nearest neighbours, training experiments",
    "batch_id_linear": "batch told by linear discriminant analysis, training experiments",
    "kbet": "neighbourhoods accepted as mixed (kBET), training experiments",
    "batch_id_held_out": "batch told by nearest neighbours, held-out experiments",
    "batch_id_linear_held_out": "batch told by linear discriminant analysis, held-out experiments",
    "kbet_held_out": "neighbourhoods accepted as mixed (kBET), held-out experiments",
    "mechanism_nsc": "nearest profile of another compound has the mechanism (NSC)",
    "mechanism_nscb": "the same among other experiments only (NSCB)",
    "grit": "replicates against controls (grit), robust",
    "grit_plain": "replicates against controls (grit), first form",
}
"""What is measured, in the order of tables."""


@dataclass(frozen=True)
class Evaluation:
    """What one embedding answered.

    Attributes
    ----------
    variant : str
        What the embedding is called.
    training_seed : int
        Of the network it is from.
    target : str
    scores : DataFrame
        One row per ``standardised`` (:data:`NONE`, :data:`PLATE`) and ``measure``: ``value low
        high chance n n_groups groups``. ``chance`` is what an embedding without the signal
        would give, and for kBET what perfect mixing would; ``groups`` names what the 95 %
        interval is over.
    per_class : DataFrame
        ``standardised by class n recall precision confused_with confused_share``.
    by_experiment : DataFrame
        ``standardised measure experiment value n``: accuracy on each held-out experiment.
    about : dict
        Counts and names of what was asked.
    notes : tuple of str
        What could not be asked, and why.
    """

    variant: str
    training_seed: int
    target: str
    scores: pd.DataFrame
    per_class: pd.DataFrame
    by_experiment: pd.DataFrame
    about: dict[str, Any]
    notes: tuple[str, ...]

    def value(self, measure: str, standardised: str = NONE) -> float:
        """One number; NaN if it was not asked."""
        rows = self.scores
        found = rows[(rows["measure"] == measure) & (rows["standardised"] == standardised)]
        return float(found["value"].iloc[0]) if len(found) else float("nan")

    def results(self) -> dict[str, Any]:
        """All of it as plain numbers, text, lists and dicts; what is not a number is None."""
        scores = {
            how: {row.pop("measure"): row for row in _plain_rows(rows.drop(columns="standardised"))}
            for how, rows in self.scores.groupby("standardised", sort=False)
        }
        return {
            "variant": self.variant,
            "training_seed": self.training_seed,
            "target": self.target,
            **self.about,
            "scores": scores,
            "per_class": _plain_rows(self.per_class),
            "by_experiment": _plain_rows(self.by_experiment),
            "notes": list(self.notes),
        }


def score_row(measure: str, share: Share, chance: float, groups: str) -> dict[str, Any]:
    """One row of ``Evaluation.scores``."""
    return {
        "measure": measure,
        "value": share.value,
        "low": share.low,
        "high": share.high,
        "chance": chance,
        "n": share.n,
        "n_groups": share.n_groups,
        "groups": groups,
    }


def score_table(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """All scores of many embeddings, tidy.

    Returns
    -------
    DataFrame
        ``variant training_seed target standardised measure value low high chance n n_groups
        groups``, one row for each number.
    """
    parts = []
    for one in evaluations:
        part = one.scores.copy()
        part.insert(0, "target", one.target)
        part.insert(0, "training_seed", one.training_seed)
        part.insert(0, "variant", one.variant)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def variant_table(
    evaluations: Sequence[Evaluation], measures: Sequence[str] | None = None
) -> pd.DataFrame:
    """Set variants side by side, each as it is and standardised by plate.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        Of any number of variants and training seeds.
    measures : sequence of str, optional
        Some of :data:`MEASURES`, in this order; by default all that were asked.

    Returns
    -------
    DataFrame
        One row per variant and ``standardised``, in the order given: ``variant standardised
        n_seeds``, then for each measure its mean over seeds, ``_sd`` over seeds (NaN for one),
        ``_low`` and ``_high`` (mean over seeds of the bounds of the interval that one training
        has over experiments), and ``_chance``.
    """
    scores = score_table(evaluations)
    asked = set(scores["measure"])
    wanted = [name for name in MEASURES if name in asked] if measures is None else list(measures)
    for name in wanted:
        if name not in MEASURES:
            raise InputError(f"there is no measure {name!r}{did_you_mean(name, MEASURES)}")
    keys = ["variant", "standardised"]
    out = scores.groupby(keys, sort=False)["training_seed"].nunique().rename("n_seeds").to_frame()
    for name in wanted:
        groups = scores[scores["measure"] == name].groupby(keys, sort=False)
        out[name] = groups["value"].mean()
        out[f"{name}_sd"] = groups["value"].std()
        for end in ("low", "high", "chance"):
            out[f"{name}_{end}"] = groups[end].mean()
    return out.reset_index()


def differences(
    evaluations: Sequence[Evaluation], baseline: str, *, measure: str = "knn"
) -> pd.DataFrame:
    """How much better variants do than a baseline, paired by held-out experiment.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        On the same experiments.
    baseline : str
        A variant among them.
    measure : {"knn", "linear"}

    Returns
    -------
    DataFrame
        ``variant standardised difference low high n_experiments``: accuracy less that of the
        baseline standardised likewise, mean over experiments (seeds averaged first) with
        Student's 95 % interval over experiments.
    """
    parts = [e.by_experiment.assign(variant=e.variant) for e in evaluations]
    long = pd.concat(parts, ignore_index=True)
    long = long[long["measure"] == measure]
    if baseline not in set(long["variant"]):
        names = long["variant"].unique()
        raise InputError(f"there is no variant {baseline!r}{did_you_mean(baseline, names)}")
    values = {
        key: rows.groupby("experiment")["value"].mean()
        for key, rows in long.groupby(["variant", "standardised"], sort=False)
    }
    rows = []
    for (variant, how), value in values.items():
        if variant == baseline or (baseline, how) not in values:
            continue
        gain = (value - values[baseline, how]).dropna().to_numpy(dtype=np.float64)
        n, middle = len(gain), float(gain.mean())
        reach = t.ppf(0.975, n - 1) * gain.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
        rows.append(
            {
                "variant": variant,
                "standardised": how,
                "difference": middle,
                "low": middle - reach,
                "high": middle + reach,
                "n_experiments": n,
            }
        )
    return pd.DataFrame(rows)


def _plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts of what JSON knows; what is not a number is None."""
    return [{str(k): _plain(v) for k, v in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
