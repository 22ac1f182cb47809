"""The forward net in other formulations, each asked with the right drug and with a wrong one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from screenbook.expression.effect_metrics import score_effects
from screenbook.expression.forward import ForwardModel, ForwardSettings, train_forward
from screenbook.expression.leaks import input_copy, shuffle_drugs, shuffle_lines
from screenbook.expression.signatures import Signatures, at_top_dose, reliability
from screenbook.expression.split_study import SplitStudy, training_rows
from screenbook.expression.splits import parent_blocks
from screenbook.retrieval_metrics import summarise

RIGHT, OTHER_DRUG, OTHER_LINE = "right drug", "drug shuffled", "line shuffled"
COPIED = "input copied"

MASKED_SHOWN = 0.3
"""Share of gene tokens shown where ``masked`` is asked to fill in the rest."""


def train_variant(
    signatures: Signatures, bits: pd.DataFrame, study: SplitStudy, settings: ForwardSettings
) -> ForwardModel:
    """Train the net alone, without joined baselines below it, on the training part of a split."""
    rows = study.split.train | study.split.validation
    return train_forward(
        training_rows(signatures, bits, study.split.rule, rows),
        settings,
        trust=reliability(signatures.subset(rows)),
    )


def leak_table(
    signatures: Signatures,
    study: SplitStudy,
    variants: dict[str, ForwardModel],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Score the forward model and variants of it with the right and with wrong drugs and lines.

    Parameters
    ----------
    signatures : Signatures
    study : SplitStudy
        Gives the test conditions, of which those at each drug's highest dose are asked.
    variants : dict of str to ForwardModel
        By name; a leaky one is shown the conditions that it is asked for.
    seed : int
        Of the exchange.

    Returns
    -------
    DataFrame
        One row per model and question: ``model``, ``question``, ``value`` (mean Pearson
        correlation of predicted and observed change over genes), ``low``, ``high`` (95 %, over
        drugs).
    """
    asked = signatures.subset(at_top_dose(signatures.obs) & study.split.test)
    questions = {
        RIGHT: asked.obs,
        OTHER_DRUG: shuffle_drugs(asked.obs, seed),
        OTHER_LINE: shuffle_lines(asked.obs, seed),
    }
    if asked.obs["cell_line"].nunique() < 2:  # there is no other line to be told
        del questions[OTHER_LINE]
    found = {("forward model", q): study.predictor.predict(obs) for q, obs in questions.items()}
    for name, model in variants.items():
        leaky = model.settings.mode == "leaky"
        shown = asked.delta if leaky else None
        for q, obs in questions.items():
            found[name, q] = model.predict(obs, signatures.basal, visible=shown)
        if leaky:
            found[name, COPIED] = input_copy(asked.delta, model.settings.n_tokens)
    parent = parent_blocks(asked.obs["compound_key"])
    rows = []
    for (name, question), predicted in found.items():
        pearson = score_effects(predicted, asked.delta)[["pearson"]]
        told = summarise(pearson, parent, seed=seed).iloc[0]
        rows.append(
            {"model": name, "question": question, "value": told["mean"]}
            | {"low": told["low"], "high": told["high"]}
        )
    return pd.DataFrame(rows)


def imputed(
    signatures: Signatures, study: SplitStudy, model: ForwardModel, *, seed: int = 0
) -> dict[str, float]:
    """Score a masked model with some genes shown, and with none.

    Returns
    -------
    dict of str to float
        Mean Pearson correlation over the genes that are withheld where some are shown:
        ``"some shown"`` (imputation), ``"none shown"`` (forward prediction, on the same genes).
    """
    asked = signatures.subset(at_top_dose(signatures.obs) & study.split.test)
    rng = np.random.default_rng(seed)
    shown = np.where(rng.random(asked.delta.shape) < MASKED_SHOWN, asked.delta, np.nan)
    tokens = np.zeros(asked.delta.shape, dtype=bool)
    tokens[:, model.scales.tokens] = True
    withheld = ~(tokens & np.isfinite(shown))
    out = {}
    for name, given in (("some shown", shown.astype(np.float32)), ("none shown", None)):
        predicted = model.predict(asked.obs, signatures.basal, visible=given)
        out[name] = float(
            np.nanmean(
                [
                    score_effects(p[None, w], o[None, w])["pearson"].iloc[0]
                    for p, o, w in zip(predicted, asked.delta, withheld, strict=True)
                ]
            )
        )
    return out
