"""Tables of the ladder: accuracies and gaps, curves, calls, compounds, embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.finetune.ladder import HONEST, LEAK, PLAIN, Ladder
from screenbook.finetune.outcomes import BASELINES, Outcome
from screenbook.held_out import TEST, TRAIN
from screenbook.images.probes import balanced_share

BY_MAPS = "layers that lose sight of the cells"
BY_PROBE = "layers behind the best probe"
BY_VALIDATION = "best on validation compounds"
CHOICES = (BY_MAPS, BY_PROBE, BY_VALIDATION)
"""Rungs chosen in each fold by itself, without a look at what is asked."""

TOLD, ALL_SEEN = "told mechanisms", "every compound seen"
"""Embeddings of networks that learned from some compounds, and from all of them."""


@dataclass(frozen=True)
class Embedding:
    """Points of all fields that take part, from one network.

    Attributes
    ----------
    name : str
    fold : int
        -1 where nothing was trained on mechanisms.
    points : ndarray of float32, shape (n, d)
    part : ndarray of str, shape (n,)
        What each field was to the network: ``"train"``, ``"validation"`` (it only chose the
        number of steps) or ``"test"``.
    """

    name: str
    fold: int
    points: np.ndarray
    part: np.ndarray

    @property
    def unseen(self) -> np.ndarray:
        """Fields that the network did not learn from, bool (n,)."""
        return self.part != TRAIN


def accuracy_table(ladder: Ladder) -> pd.DataFrame:
    """Set all models side by side.

    Returns
    -------
    DataFrame
        One row for each split and model: ``split`` (what is held out), ``model``, ``kind``
        (``"rung"``, ``"choice"``, ``"no remedy"``, ``"baseline"``), ``n_open`` (layers opened,
        mean over folds; missing for baselines), ``augmented``, ``weight_decay``,
        ``early_stopping``, ``steps`` (mean over folds), ``train`` (mean recall over mechanisms on
        what was learned from), ``validation`` (the same, of the network before it learned from
        the validation fields), ``test`` with its 95 % interval ``low high`` over ``groups`` (the
        compounds where these are held out, else experiments; ``n_groups``), ``gap`` (train less
        test), ``chance``, ``n`` (fields asked), ``n_folds``.
    """
    rows = []
    for kind in ladder.folds:
        for name, outcomes in _models(ladder, kind).items():
            rows.append(_row(ladder, kind, name, outcomes))
    return pd.DataFrame(rows)


def chosen_rungs(ladder: Ladder) -> pd.DataFrame:
    """Say which rung each rule chooses in each fold: ``choice fold n_open rung``.

    Of rungs that do alike on the validation compounds the one with fewer layers is taken; where
    there are none, :data:`BY_VALIDATION` takes all layers.
    """
    rows = []
    for fold in range(len(ladder.folds[HONEST])):
        layers = ladder.layers[ladder.layers["fold"] == fold]
        validation = [ladder.outcomes[HONEST, r, fold].validation for r in ladder.rungs]
        best = len(ladder.rungs) - 1
        if not np.isnan(validation).all():
            best = int(np.nanargmax(validation))
        for choice, n_open in (
            (BY_MAPS, int(layers["by_maps"].sum())),
            (BY_PROBE, int(layers["by_probe"].sum())),
            (BY_VALIDATION, best),
        ):
            rows.append((choice, fold, n_open, ladder.rungs[n_open]))
    return pd.DataFrame(rows, columns=["choice", "fold", "n_open", "rung"])


def layer_means(ladder: Ladder) -> pd.DataFrame:
    """Average the layers over folds.

    Returns
    -------
    DataFrame
        ``layer sees low high probe chance`` and the shares of folds in which a rule opens the
        layer, ``by_maps by_probe``; from the input on.
    """
    table = ladder.layers.assign(
        by_maps=ladder.layers["by_maps"].astype(float),
        by_probe=ladder.layers["by_probe"].astype(float),
    )
    means = table.drop(columns="fold").groupby("layer", sort=False).mean()
    return means.reset_index()


def learning_curves(ladder: Ladder) -> pd.DataFrame:
    """Give training and validation accuracy after so many steps, compounds held out.

    Returns
    -------
    DataFrame
        ``model fold step train validation validation_loss loss``, one row for each look; the
        networks that train without remedy are not validated.
    """
    parts = []
    for (kind, name, fold), outcome in ladder.outcomes.items():
        if kind == HONEST and len(outcome.history):
            parts.append(outcome.history.assign(model=name, fold=fold))
    columns = ["model", "fold", "step", "train", "validation", "validation_loss", "loss"]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def call_table(ladder: Ladder, model: str = BY_VALIDATION) -> pd.DataFrame:
    """Say what a model calls every field whose compound it never learned from.

    Returns
    -------
    DataFrame
        Indexed as the fields: ``compound mechanism experiment fold called share`` (of the call)
        and one column for each mechanism with its share.
    """
    known, parts = ladder.known, []
    for fold, outcome in enumerate(_models(ladder, HONEST)[model]):
        guess = outcome.share.argmax(axis=1)
        frame = pd.DataFrame(outcome.share, ladder.obs.index[outcome.asked], list(known.names))
        frame.insert(0, "compound", known.compound[outcome.asked])
        frame.insert(1, "mechanism", known.names[known.code[outcome.asked]])
        frame.insert(2, "experiment", known.experiment[outcome.asked])
        frame.insert(3, "fold", fold)
        frame.insert(4, "called", known.names[guess])
        frame.insert(5, "share", outcome.share.max(axis=1))
        parts.append(frame)
    return pd.concat(parts)


def compound_table(calls: pd.DataFrame) -> pd.DataFrame:
    """Sum the calls of each compound up.

    Parameters
    ----------
    calls : DataFrame
        Of :func:`call_table`.

    Returns
    -------
    DataFrame
        ``compound mechanism n_fields right`` (share of fields), ``called`` (the mechanism of the
        largest mean share) and ``called_share``; compounds of one mechanism together.
    """
    names = sorted(set(calls["mechanism"]))
    shares = calls.groupby(["mechanism", "compound"])[names].mean()
    right = (calls["called"] == calls["mechanism"]).groupby([calls["mechanism"], calls["compound"]])
    out = pd.DataFrame(
        {
            "n_fields": right.size(),
            "right": right.mean(),
            "called": shares.idxmax(axis=1),
            "called_share": shares.max(axis=1),
        }
    )
    return out.reset_index()[
        ["compound", "mechanism", "n_fields", "right", "called", "called_share"]
    ]


def confusion(calls: pd.DataFrame) -> pd.DataFrame:
    """Count fields by mechanism (rows) and by what they are called (columns)."""
    names = sorted(set(calls["mechanism"]))
    counts = pd.crosstab(calls["mechanism"], calls["called"])
    return counts.reindex(index=names, columns=names, fill_value=0)


def embeddings(ladder: Ladder) -> list[Embedding]:
    """Give the points of all fields that take part, for questions of geometry.

    Networks of different folds have spaces of their own: measure in each, then average. In the
    space of a fold the compounds of two folds are unseen (one chose the number of steps), so a
    mechanism of three compounds has two that can be compared without what it was told.

    Returns
    -------
    list of Embedding
        The baselines; ``"told mechanisms"`` for each fold of compounds (all layers trained); and
        ``"every compound seen"``, which shows how training flatters: fields were held out, and
        every compound was trained on.
    """
    nothing = np.full(len(ladder.rows), TEST)
    found = [Embedding(name, -1, ladder.features[name], nothing) for name in BASELINES]
    for fold, split in enumerate(ladder.folds[HONEST]):
        outcome = ladder.outcomes[HONEST, ladder.rungs[-1], fold]
        found.append(Embedding(TOLD, fold, outcome.first, split.part))
    leak, split = ladder.outcomes[LEAK, ladder.rungs[-1], 0], ladder.folds[LEAK][0]
    part = np.where(split.test, TEST, TRAIN)
    return [*found, Embedding(ALL_SEEN, 0, leak.final, part)]


def _models(ladder: Ladder, kind: str) -> dict[str, list[Outcome]]:
    """Outcomes by model, fold by fold."""
    found: dict[str, list[Outcome]] = {}
    for name in (*ladder.rungs, PLAIN, *BASELINES):
        outcomes = [o for (k, n, _), o in sorted(ladder.outcomes.items()) if (k, n) == (kind, name)]
        if outcomes:
            found[name] = outcomes
    if kind == HONEST:
        for choice, mine in chosen_rungs(ladder).groupby("choice", sort=False):
            picked = zip(mine["rung"], mine["fold"], strict=True)
            found[str(choice)] = [ladder.outcomes[kind, rung, fold] for rung, fold in picked]
    return found


def _row(ladder: Ladder, kind: str, name: str, outcomes: list[Outcome]) -> dict[str, object]:
    known, tuning = ladder.known, ladder.tuning
    asked = np.concatenate([o.asked for o in outcomes])
    right = np.concatenate([o.share.argmax(axis=1) for o in outcomes]) == known.code[asked]
    groups = "compounds" if kind == HONEST else "experiments"
    unit = known.compound if kind == HONEST else known.experiment
    share = balanced_share(right, known.code[asked], unit[asked])
    train = float(np.mean([o.train for o in outcomes]))
    validated = [o.validation for o in outcomes if not np.isnan(o.validation)]
    learns = name not in BASELINES
    remedies = learns and name != PLAIN
    n_open: float = np.nan
    if name in CHOICES:
        picked = chosen_rungs(ladder)
        n_open = float(picked.loc[picked["choice"] == name, "n_open"].mean())
    elif learns:
        n_open = ladder.rungs.index(name) if name in ladder.rungs else len(ladder.rungs) - 1
    return {
        "split": kind,
        "model": name,
        "kind": _kind(name),
        "n_open": n_open,
        "augmented": remedies and tuning.augment,
        "weight_decay": tuning.training.weight_decay if remedies else (0.0 if learns else np.nan),
        "early_stopping": remedies and tuning.early_stopping,
        "steps": float(np.mean([o.n_steps for o in outcomes])) if learns else np.nan,
        "train": train,
        "validation": float(np.mean(validated)) if validated else np.nan,
        "test": share.value,
        "low": share.low,
        "high": share.high,
        "gap": train - share.value,
        "chance": 1 / len(known.names),
        "n": share.n,
        "groups": groups,
        "n_groups": share.n_groups,
        "n_folds": len(outcomes),
    }


def _kind(name: str) -> str:
    if name in BASELINES:
        return "baseline"
    if name in CHOICES:
        return "choice"
    return "no remedy" if name == PLAIN else "rung"
