"""Predict held-out conditions by every model, by one rule and one draw of the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.expression.baselines import BASELINES, predict_baselines
from screenbook.expression.effect_metrics import discrimination_scores, score_effects
from screenbook.expression.forward import ForwardSettings
from screenbook.expression.overlap import overlap_audit
from screenbook.expression.predictor import Predictor, fit_predictor
from screenbook.expression.signatures import Signatures, at_top_dose, reliability
from screenbook.expression.splits import Split, parent_blocks, split_conditions, split_units
from screenbook.expression.training_rows import TrainingRows, cell_weights

FUSED, FORWARD, WHOLE_NET = "joined baselines", "forward model", "net without a brake"
TOLD = ("mechanism_mean", "cell_count")
"""Baselines that are told what a prediction cannot know: mechanism, or cells that survived."""


@dataclass(frozen=True)
class SplitStudy:
    """What every model predicts for the conditions that one split holds out.

    Attributes
    ----------
    split : Split
    seed : int
        Of the draw and the net.
    predictions : dict of str to ndarray of float32, shape (m, n_genes)
        By model: baselines by their key, then :data:`FUSED`, :data:`FORWARD` and
        :data:`WHOLE_NET`.
    serves : dict of str to bool
        Whether the model is defined for most of these conditions.
    predictor : Predictor
        The forward model.
    overlap : DataFrame, one row
        What test drugs have in common with those learned from.
    """

    split: Split
    seed: int
    predictions: dict[str, np.ndarray]
    serves: dict[str, bool]
    predictor: Predictor
    overlap: pd.DataFrame


def training_rows(
    signatures: Signatures, bits: pd.DataFrame, rule: str, rows: np.ndarray
) -> TrainingRows:
    """Take the conditions that may be learned from, chosen by a mask."""
    some = signatures.subset(rows)
    return TrainingRows(
        delta=some.delta,
        obs=some.obs,
        fingerprints=bits,
        basal=signatures.basal,
        weight=cell_weights(some.obs["n_cells"]),
        unit=split_units(signatures.obs, rule)[rows],
    )


def study_split(
    signatures: Signatures,
    bits: pd.DataFrame,
    rule: str,
    seed: int = 0,
    settings: ForwardSettings | None = None,
) -> SplitStudy:
    """Split, fit everything on the training part, predict the test part.

    Parameters
    ----------
    signatures : Signatures
    bits : DataFrame, shape (n_compounds, n_bits)
        Fingerprints by compound key.
    rule : str
        Key of :data:`screenbook.expression.splits.RULES`.
    seed : int
        Of the split. The net's own seed is in `settings`.
    settings : ForwardSettings, optional

    Raises
    ------
    InputError
        If the rule cannot be asked of these conditions.
    """
    split = split_conditions(signatures.obs, rule, seed=seed)
    known = split.train | split.validation
    rows = training_rows(signatures, bits, rule, known)
    asked = signatures.obs[split.test]
    found = predict_baselines(rows, asked)
    predictor = fit_predictor(
        rows, split.validation[known], settings, trust=reliability(signatures.subset(known))
    )
    joined, correction = predictor.parts(asked)
    return SplitStudy(
        split=split,
        seed=seed,
        predictions={name: one.prediction for name, one in found.items()}
        | {
            FUSED: joined,
            FORWARD: (joined + predictor.share * correction).astype(np.float32),
            WHOLE_NET: joined + correction,
        },
        serves={name: one.serves for name, one in found.items()}
        | dict.fromkeys((FUSED, FORWARD, WHOLE_NET), True),
        predictor=predictor,
        overlap=overlap_audit(signatures.obs, split, bits).summary,
    )


def askable_rules(obs: pd.DataFrame, rules: Sequence[str], seed: int = 0) -> dict[str, str]:
    """Say which rules can hold out any of these conditions.

    Returns
    -------
    dict of str to str
        By rule, ``""`` or why it cannot be asked.
    """
    out = {}
    for rule in rules:
        try:
            split_conditions(obs, rule, seed=seed)
            out[rule] = ""
        except InputError as error:
            out[rule] = str(error)
    return out


def explained(
    studies: Sequence[SplitStudy],
    observed: np.ndarray,
    obs: pd.DataFrame,
    *,
    n_draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Share of the squared change that each model explains, over several draws of one rule.

    1 less the squared error over the squared change: 0 for a prediction of no change, below 0
    for one that is worse. Intervals resample drugs (lines, scaffolds or mechanisms, where those are
    held out), each with all its conditions of all draws; differences from the best baseline do so
    in pairs.

    Parameters
    ----------
    studies : sequence of SplitStudy
        Draws of the same rule.
    observed : ndarray, shape (n, n_genes)
        Changes of all conditions; what was measured, or a known truth.
    obs : DataFrame, n rows
    n_draws, seed : int
        Resamples, and their seed.

    Returns
    -------
    DataFrame
        One row per model that serves: ``model``, ``kind`` (``baseline``, ``told``, ``fusion`` or
        ``model``), ``label``, ``value``, ``low``, ``high`` (95 %), ``sd`` (over draws of the
        split), ``ahead``, ``ahead_low``, ``ahead_high``: what it explains beyond the best
        baseline that is not told.
    """
    drug = parent_blocks(obs["compound_key"])
    rule = studies[0].split.rule
    unit = split_units(obs, rule) if rule in ("line", "scaffold", "mechanism") else drug
    unit = np.where(unit == "", drug, unit)
    names, code = np.unique(unit.astype(str), return_inverse=True)
    models = [m for m in studies[0].predictions if all(s.serves[m] for s in studies)]
    lost = np.zeros((len(models), len(names)))
    there = np.zeros(len(names))
    each = np.zeros((len(models), len(studies)))
    for place, study in enumerate(studies):
        test = study.split.test
        size = np.square(observed[test], dtype=np.float64).sum(axis=1)
        there += np.bincount(code[test], size, minlength=len(names))
        for i, model in enumerate(models):
            error = np.square(study.predictions[model] - observed[test], dtype=np.float64).sum(1)
            lost[i] += np.bincount(code[test], error, minlength=len(names))
            each[i, place] = 1 - error.sum() / size.sum()
    asked = there > 0  # what no draw of the split held out says nothing, and is not drawn
    lost, there, n_units = lost[:, asked], there[asked], int(asked.sum())
    drawn = np.random.default_rng(seed).multinomial(
        n_units, np.full(n_units, 1 / n_units), size=n_draws
    )
    whole = 1 - lost.sum(axis=1) / there.sum()
    spread = 1 - (drawn @ lost.T) / (drawn @ there)[:, None]  # (draw, model)
    plain = [i for i, m in enumerate(models) if _kind(m) == "baseline"]
    best = plain[int(np.argmax(whole[plain]))]
    ahead = spread - spread[:, [best]]
    low, high = np.quantile(spread, (0.025, 0.975), axis=0)
    ahead_low, ahead_high = np.quantile(ahead, (0.025, 0.975), axis=0)
    return pd.DataFrame(
        {
            "model": models,
            "kind": [_kind(m) for m in models],
            "label": [BASELINES.get(m, m) for m in models],
            "value": whole,
            "low": low,
            "high": high,
            "sd": each.std(axis=1, ddof=1) if len(studies) > 1 else np.nan,
            "ahead": whole - whole[best],
            "ahead_low": ahead_low,
            "ahead_high": ahead_high,
        }
    )


def _kind(model: str) -> str:
    if model in TOLD:
        return "told"
    return "fusion" if model == FUSED else "baseline" if model in BASELINES else "model"


def replicate_ceiling(signatures: Signatures) -> tuple[float, int]:
    """Share of the squared change that comes again on another plate: the most to be explained.

    Returns
    -------
    share : float
        Products of replicates over mean squares, each condition counted once however often it
        was repeated; NaN without replicates on different plates.
    n_repeated : int
        Conditions (compound, line and dose) that were measured on two plates or more.
    """
    obs = signatures.obs
    key = obs[["compound_key", "cell_line", "dose"]].astype(str).agg("|".join, axis=1).to_numpy()
    plate = obs["plate"].to_numpy()
    product = size = 0.0
    n_repeated = 0
    for found in pd.Series(np.arange(len(obs))).groupby(key).indices.values():
        rows = np.asarray(found)
        a, b = (rows[i] for i in np.triu_indices(len(rows), 1))
        apart = plate[a] != plate[b]
        one, other = (signatures.delta[x[apart]].astype(np.float64) for x in (a, b))
        if apart.any():
            product += float((one * other).sum() / apart.sum())
            size += float((one**2 + other**2).sum() / 2 / apart.sum())
            n_repeated += 1
    return (product / size if n_repeated else float("nan")), n_repeated


def effect_table(study: SplitStudy, signatures: Signatures, *, top: int = 50) -> pd.DataFrame:
    """Average every score of predicted changes, at each drug's highest dose, for each model.

    Changes are centred on the mean change of the line at that dose over training drugs, where
    columns say so.

    Returns
    -------
    DataFrame
        One row per model that serves: ``model`` and the columns of
        :func:`~screenbook.expression.effect_metrics.score_effects`, then ``discrimination``
        (among the test drugs of the line, cosine) and ``undefined`` (share of conditions that
        have no correlation, as those of a constant prediction).
    """
    test = study.split.test
    at_top = at_top_dose(signatures.obs)
    highest, asked = at_top[test], signatures.subset(at_top & test)
    line = study.predictions["line_mean"][highest]
    rows = []
    for model, predicted in study.predictions.items():
        if not study.serves[model]:
            continue
        p = predicted[highest]
        scores = score_effects(p, asked.delta, error=asked.error, reference=line, top=top)
        discriminates = discrimination_scores(
            p, asked.delta, within=asked.obs["cell_line"].to_numpy(), distance="cosine"
        )
        undefined = float(scores["pearson"].isna().mean())
        rows.append(
            {"model": model, **scores.mean().to_dict()}
            | {"discrimination": float(np.nanmean(discriminates)), "undefined": undefined}
        )
    return pd.DataFrame(rows)


def clearest_condition(study: SplitStudy, signatures: Signatures) -> tuple[str, pd.DataFrame]:
    """Take the held-out condition that stands out of its noise most, and what was predicted.

    Returns
    -------
    name : str
        Drug, dose and line.
    genes : DataFrame
        ``gene``, ``observed``, ``predicted`` (by the forward model), ``error`` and ``named`` (the
        five that changed most).
    """
    test = signatures.subset(study.split.test)
    place = int(np.argmax(reliability(test)))
    row = test.obs.iloc[place]
    genes = pd.DataFrame(
        {
            "gene": signatures.genes,
            "observed": test.delta[place],
            "predicted": study.predictions[FORWARD][place],
            "error": test.error[place],
        }
    )
    rank = genes["observed"].abs().rank(ascending=False)
    return f"{row['compound']}, {row['dose']:g} µM, {row['cell_line']}", genes.assign(
        named=rank <= 5
    )
