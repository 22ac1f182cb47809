"""How far a handful of labels goes: cell type by the nearest labelled fields.

Labels are drawn anew many times, since with one label for each class everything hangs on which
field it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import t

from screenbook.errors import InputError
from screenbook.profiles.nearest import cross_blocks, nearest_columns

SIZES = (1, 2, 5, 10, 20, 50)


def few_label_curve(
    points: np.ndarray,
    labels: np.ndarray,
    *,
    may_be_labelled: np.ndarray,
    is_asked: np.ndarray,
    batches: np.ndarray,
    sizes: Sequence[int] = SIZES,
    k: int = 5,
    n_draws: int = 50,
    seed: int = 0,
) -> pd.DataFrame:
    """Classify fields by the majority of the k nearest of a few labelled ones.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        Fields in a space in which Euclidean distance means something; made without labels.
    labels : ndarray, shape (n,)
        Class of each.
    may_be_labelled, is_asked : ndarray of bool, shape (n,)
        Fields among which labels are drawn, and those that are classified. A field that is in
        both is not asked in a draw in which it is labelled.
    batches : ndarray, shape (n,)
        Experiment or plate of each: where both kinds of fields share batches, labelled fields
        of the asked field's own batch do not count.
    sizes : sequence of int
        Labelled fields of each class.
    k : int
        Nearest labelled fields that vote, but no more than there are of one class: else the
        other classes always had the most votes. An even vote is shared out: half a right answer
        for one of two.
    n_draws : int
        Draws of the labelled fields.
    seed : int

    Returns
    -------
    DataFrame
        One row for each size: ``labels_per_class accuracy low high draw_low draw_high chance``.
        Accuracy is the mean over draws; ``low`` and ``high`` are its 95 % interval over the
        batches of the asked fields (Student's t), ``draw_low`` and ``draw_high`` hold 95 % of
        the draws: what one person who labels so many fields may get.

    Raises
    ------
    InputError
        If a class has fewer fields that may be labelled than are to be drawn.
    """
    classes, code = np.unique(np.asarray(labels), return_inverse=True)
    batch = np.unique(np.asarray(batches), return_inverse=True)[1]
    pools = [
        np.flatnonzero(np.asarray(may_be_labelled, bool) & (code == c)) for c in range(len(classes))
    ]
    _refuse_small(pools, classes, max(sizes))
    asked = np.flatnonzero(is_asked)
    apart = bool(np.intersect1d(batch[np.concatenate(pools)], batch[asked]).size)
    points = np.asarray(points, dtype=np.float64)
    plate = np.unique(batch[asked], return_inverse=True)[1]
    rows = []
    for size in sizes:
        credit = np.empty((n_draws, len(asked)))
        for draw in range(n_draws):
            rng = np.random.default_rng([seed, size, draw])
            bank = np.concatenate([rng.choice(pool, size, replace=False) for pool in pools])
            allowed = batch[asked][:, None] != batch[bank] if apart else None
            credit[draw] = _credit(points, code, asked, bank, allowed, min(k, size), len(classes))
        rows.append(
            {"labels_per_class": size, **_summary(credit, plate)} | {"chance": 1 / len(classes)}
        )
    return pd.DataFrame(rows)


def few_label_table(
    representations: Mapping[str, np.ndarray],
    labels: np.ndarray,
    *,
    may_be_labelled: np.ndarray,
    is_asked: np.ndarray,
    batches: np.ndarray,
    sizes: Sequence[int] = SIZES,
    k: int = 5,
    n_draws: int = 50,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw the curve of many representations from the same labelled fields.

    Returns
    -------
    DataFrame
        Rows of :func:`few_label_curve` under the ``representation`` they are of.
    """
    curves = [
        few_label_curve(
            points,
            labels,
            may_be_labelled=may_be_labelled,
            is_asked=is_asked,
            batches=batches,
            sizes=sizes,
            k=k,
            n_draws=n_draws,
            seed=seed,
        ).assign(representation=name)
        for name, points in representations.items()
    ]
    table = pd.concat(curves, ignore_index=True)
    return table[["representation", *table.columns.drop("representation")]]


def _credit(
    points: np.ndarray,
    code: np.ndarray,
    asked: np.ndarray,
    bank: np.ndarray,
    allowed: np.ndarray | None,
    k: int,
    n_classes: int,
) -> np.ndarray:
    """Part of a right answer that each asked field gets, NaN where it has no labelled one."""
    out = np.empty(len(asked))
    k = min(k, len(bank))
    for rows, distance in cross_blocks(points[asked], points[bank]):
        distance[asked[rows][:, None] == bank] = np.inf
        if allowed is not None:
            distance[~allowed[rows]] = np.inf
        near = nearest_columns(distance, k)
        found = np.isfinite(np.take_along_axis(distance, near, axis=1))
        votes = ((code[bank][near][:, :, None] == np.arange(n_classes)) & found[:, :, None]).sum(1)
        most = votes == votes.max(axis=1, keepdims=True)
        mine = most[np.arange(len(near)), code[asked[rows]]] / most.sum(axis=1)
        out[rows] = np.where(found.any(axis=1), mine, np.nan)
    out[np.isin(asked, bank)] = np.nan
    return out


def _summary(credit: np.ndarray, plate: np.ndarray) -> dict[str, float]:
    """Mean over draws, its interval over batches, and the spread of draws."""
    each = np.nanmean(credit, axis=1)
    by_plate = np.array([np.nanmean(credit[:, plate == p]) for p in range(plate.max() + 1)])
    n = len(by_plate)
    reach = t.ppf(0.975, n - 1) * by_plate.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    accuracy = float(each.mean())
    draw_low, draw_high = np.percentile(each, [2.5, 97.5])
    return {
        "accuracy": accuracy,
        "low": float(np.clip(accuracy - reach, 0, 1)),
        "high": float(np.clip(accuracy + reach, 0, 1)),
        "draw_low": float(draw_low),
        "draw_high": float(draw_high),
    }


def _refuse_small(pools: list[np.ndarray], classes: np.ndarray, most: int) -> None:
    for name, pool in zip(classes, pools, strict=True):
        if len(pool) < most:
            raise InputError(
                f"class {str(name)!r} has {len(pool)} field(s) that may be labelled, and {most} "
                "are to be drawn: ask for fewer labels, or leave the class out"
            )
