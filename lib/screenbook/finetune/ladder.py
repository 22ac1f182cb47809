"""The unfreezing ladder: from the head alone to all layers, on compounds that were held out.

Beside it: the recipe without any remedy against overfitting, and what the same network seems to
reach where only experiments, or only fields, are held out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.finetune.activation_maps import layer_table
from screenbook.finetune.backbones import layers_of
from screenbook.finetune.fine_tuning import Tuning, answers, fine_tune_twice
from screenbook.finetune.mechanism_folds import KINDS, Mechanisms, mechanism_folds
from screenbook.finetune.outcomes import (
    BASELINES,
    Outcome,
    baseline_features,
    baseline_outcome,
    mean_recall,
)
from screenbook.finetune.pretraining import Start
from screenbook.held_out import Split
from screenbook.processes import run_each

HONEST, LEAK = KINDS[0], KINDS[-1]
PLAIN = "all layers, no remedy"
"""All layers trained to the last step; nothing augmented, decayed, stopped early or averaged."""

Key = tuple[str, str, int]


@dataclass(frozen=True)
class Ladder:
    """What all rungs answered.

    Attributes
    ----------
    known : Mechanisms
        Of the fields that take part alone, n rows; so are all rows below.
    obs : DataFrame, n rows
        Their metadata.
    rows : ndarray of int, shape (n,)
        Where they are among the fields that were given.
    rungs : tuple of str
        Names of the rungs, from the head alone to all layers.
    layers : DataFrame
        :func:`screenbook.finetune.activation_maps.layer_table` for each fold of compounds, with
        a column ``fold``.
    folds : dict of str to list of Split
        By what is held out.
    outcomes : dict of (kind, model, fold) to Outcome
        Models are the rungs, :data:`PLAIN` and the baselines.
    features : dict of str to ndarray, shape (n, d)
        Of the baselines.
    tuning : Tuning
    notes : tuple of str
        What could not be asked, a sentence each.
    """

    known: Mechanisms
    obs: pd.DataFrame
    rows: np.ndarray
    rungs: tuple[str, ...]
    layers: pd.DataFrame
    folds: dict[str, list[Split]]
    outcomes: dict[Key, Outcome]
    features: dict[str, np.ndarray]
    tuning: Tuning
    notes: tuple[str, ...] = ()


def climb(
    fields: np.ndarray,
    obs: pd.DataFrame,
    known: Mechanisms,
    start: Start,
    tuning: Tuning | None = None,
    *,
    n_folds: int = 0,
    jobs: int = 1,
    tell: Callable[[str], None] | None = None,
) -> Ladder:
    """Train every rung in every fold of compounds, and the contrasts.

    Where experiments or fields are held out, all layers are trained in one fold: it shows how
    much easier the question is, and no more is asked of it. With too few experiments that one is
    left out, and a note says so.

    Parameters
    ----------
    fields : ndarray of float32, shape (n_all, channel, y, x)
        Normalised.
    obs : DataFrame, n_all rows
    known : Mechanisms
        Of the same fields.
    start : Start
    tuning : Tuning, optional
    n_folds : int
        See :func:`screenbook.finetune.mechanism_folds.mechanism_folds`.
    jobs : int
        Trainings at a time, a process each.
    tell : callable, optional
        Gets a line of progress.

    Returns
    -------
    Ladder

    """
    tuning = tuning or Tuning()
    rows = np.flatnonzero(known.known)
    fields, obs = np.ascontiguousarray(fields[rows]), obs.iloc[rows]
    known = known.subset(rows)
    folds, notes = _folds(known, n_folds, tuning.training.seed)
    rungs = rung_names(list(layers_of(start.backbone)))
    done = run_each(
        _do,
        _tasks(fields, known, start, tuning, folds, rungs),
        jobs=jobs,
        tell=(lambda i, n: tell(f"{i} of {n} trainings and probes done")) if tell else None,
    )
    features = done.pop(("features", "", 0))
    tables = [done.pop(("layers", "", k)).assign(fold=k) for k in range(len(folds[HONEST]))]
    for kind in folds:
        for k, split in _asked(folds, kind):
            for name in BASELINES:
                done[kind, name, k] = baseline_outcome(features[name], known, split)
    layers = pd.concat(tables, ignore_index=True)
    return Ladder(known, obs, rows, rungs, layers, folds, done, features, tuning, notes)


def rung_names(layers: list[str]) -> tuple[str, ...]:
    """Name the rungs: ``"head alone"``, ``"block 3 on"``, ..., ``"all layers"``."""
    return ("head alone", *(f"{name} on" for name in reversed(layers[1:])), "all layers")


def without_remedies(tuning: Tuning) -> Tuning:
    """Take off what is meant to keep a network from overfitting."""
    training = replace(tuning.training, weight_decay=0.0)
    return replace(tuning, training=training, augment=False, early_stopping=False, memory=0.0)


def _folds(
    known: Mechanisms, n_folds: int, seed: int
) -> tuple[dict[str, list[Split]], tuple[str, ...]]:
    """Deal folds of all kinds that there can be."""
    folds, notes = {}, []
    for kind in KINDS:
        try:
            folds[kind] = mechanism_folds(known, kind, n_folds=n_folds, seed=seed)
        except InputError as error:
            notes.append(f"Not asked with {kind} held out: {error}.")
    return folds, tuple(notes)


def _tasks(
    fields: np.ndarray,
    known: Mechanisms,
    start: Start,
    tuning: Tuning,
    folds: dict[str, list[Split]],
    rungs: tuple[str, ...],
) -> dict[Any, tuple[Any, ...]]:
    """List what is to be done, the longest first."""
    share = (fields, known.code, start)
    last = len(rungs) - 1
    tasks: dict[Any, tuple[Any, ...]] = {}
    for kind in folds:
        for k, split in _asked(folds, kind):
            for n_open in range(last, -1 if kind == HONEST else last - 1, -1):
                keep = n_open == last
                tasks[kind, rungs[n_open], k] = (_tune, *share, split, n_open, tuning, keep)
            tasks[kind, PLAIN, k] = (_tune, *share, split, last, without_remedies(tuning))
    for k, split in enumerate(folds[HONEST]):
        tasks["layers", "", k] = (_layers, fields, known, start, split, tuning.training.seed)
    tasks["features", "", 0] = (baseline_features, fields, start)
    return tasks


def _asked(folds: dict[str, list[Split]], kind: str) -> Iterable[tuple[int, Split]]:
    """Give the folds that are asked, with their numbers: all of compounds, one of the others."""
    return enumerate(folds[kind] if kind == HONEST else folds[kind][:1])


def _do(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _layers(
    fields: np.ndarray, known: Mechanisms, start: Start, split: Split, seed: int
) -> pd.DataFrame:
    return layer_table(start.backbone, fields, known, split, seed=seed)


def _tune(
    fields: np.ndarray,
    code: np.ndarray,
    start: Start,
    split: Split,
    n_open: int,
    tuning: Tuning,
    keep: bool = False,
) -> Outcome:
    """Fine-tune in one fold, and ask."""
    learn, check, asked = (
        np.flatnonzero(part) for part in (split.train, split.validation, split.test)
    )
    first, final = fine_tune_twice(fields, code, learn, check, start.backbone, n_open, tuning)
    told = np.random.default_rng(0).permutation(np.concatenate([learn, check]))[: len(asked)]
    rows = np.concatenate([asked, told])
    scores, _ = answers(final.net, fields[rows])
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    likely /= likely.sum(axis=1, keepdims=True)
    validation = np.nan
    if first is not final and len(check):
        seen, _ = answers(first.net, fields[check])
        validation = mean_recall(seen.argmax(axis=1), code[check])
    outcome = Outcome(
        asked=asked,
        share=likely[: len(asked)],
        train=mean_recall(likely[len(asked) :].argmax(axis=1), code[told]),
        n_steps=final.n_steps,
        validation=validation,
        history=first.history,
    )
    if keep:
        points = [answers(net, fields)[1] for net in (first.net, final.net)]
        outcome = replace(outcome, first=points[0], final=points[1])
    return outcome
