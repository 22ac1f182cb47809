"""Which fields are learned from and which are asked: whole experiments on either side.

Two sites of a well show the same cells' neighbours under the same lamp, two plates of an
experiment one passage of cells and one week's stain. A split of fields lets a net recognise
what it has seen; :func:`leaks` tells at which level a split does that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.held_out import TEST, TRAIN, VALIDATION, Split

LEVELS = {
    "well": ("experiment", "plate", "well"),
    "plate": ("experiment", "plate"),
    "experiment": ("experiment",),
}
"""What a unit is at each level, from the smallest to the largest."""

_WHY = {
    "well": "sites of one well share cells, stain and lamp",
    "plate": "wells of one plate share stain and lamp",
    "experiment": "plates of one experiment share a passage of cells and a week's stain",
}


def rows_where(obs: pd.DataFrame, column: str, value: str) -> np.ndarray:
    """Find the fields that have a value in a column.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    InputError
        If no field has it.
    """
    values = obs[column].astype(str)
    rows = (values == value).to_numpy()
    if not rows.any():
        there = sorted(set(values))
        raise InputError(
            f"column {column}: no field has {value!r}{did_you_mean(value, there)}; "
            f"these images have {listing(there)}"
        )
    return rows


def refuse_single_class(obs: pd.DataFrame, column: str) -> None:
    """Stop where all fields are alike, so that there is nothing to tell apart.

    Raises
    ------
    InputError
        If a column has one value only.
    """
    names = obs[column].astype(str).unique()
    if len(names) < 2:
        raise InputError(
            f"column {column}: all {len(obs):,} fields are of {listing(names)}, and to tell "
            f"one {column} from another takes two: add fields, or leave this report out"
        )


def split_experiments(
    obs: pd.DataFrame,
    *,
    test: float | int | Sequence[str] = 0.2,
    validation: float | int | Sequence[str] = 0,
    seed: int = 0,
) -> Split:
    """Hold whole experiments out.

    Where experiments hold different cell types, as in RxRx1, each cell type gives its share; an
    experiment that is the only one with its cell types stays in training.

    Parameters
    ----------
    obs : DataFrame, n rows
        Metadata of fields with ``experiment`` and ``cell_type``.
    test, validation : float, int or sequence of str
        Share of the experiments (below 1), how many, or which.
    seed : int
        Of the draw.

    Raises
    ------
    InputError
        If there are not experiments enough, or one that is named is not there.
    """
    groups = obs.groupby(obs["experiment"].astype(str), observed=True, sort=True)
    content = groups["cell_type"].agg(lambda types: "/".join(sorted(set(map(str, types)))))
    names = np.asarray(content.index, dtype=object)
    if len(names) < 2:
        raise InputError(
            f"column experiment: {listing(names)} is the only experiment, so none can be held "
            "out: add fields of another experiment"
        )
    order = _drawing_order(content.to_numpy(), seed)
    held_out = _chosen(names, order, test, TEST)
    left = order[~np.isin(names[order], held_out)]
    checked = _chosen(names, left, validation, VALIDATION) if validation else names[:0]
    both = np.intersect1d(held_out.astype(str), checked.astype(str))
    if len(both):
        raise InputError(f"experiment {str(both[0])!r} is named for test and for validation")
    if len(held_out) + len(checked) >= len(names):
        raise InputError(
            f"split: {len(held_out)} experiments for test and {len(checked)} for validation "
            f"leave none of {len(names)} to train on: hold fewer out"
        )
    part = pd.Series(TRAIN, index=names)
    part[held_out], part[checked] = TEST, VALIDATION
    return Split(part[obs["experiment"].astype(str)].to_numpy().astype(str))


def refuse_few_held_out(obs: pd.DataFrame, split: Split) -> None:
    """Stop where one experiment alone is held out: no other has its neighbours, or an interval.

    Raises
    ------
    InputError
    """
    held = obs["experiment"].astype(str)[split.test].unique()
    if len(held) < 2:
        raise InputError(
            f"test_share: {listing(held)} alone is held out, and neighbours of other experiments "
            "and intervals need two: raise test_share, or add experiments"
        )


def split_sites(obs: pd.DataFrame, *, test: float = 0.2, seed: int = 0) -> Split:
    """Draw single fields at random: the classic leak, here to show what it claims.

    Parameters
    ----------
    obs : DataFrame, n rows
    test : float
        Share of the fields.
    seed : int
    """
    n = len(obs)
    drawn = np.random.default_rng(seed).permutation(n) < round(test * n)
    return Split(np.where(drawn, TEST, TRAIN))


def leaks(obs: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Count wells, plates and experiments that have fields in training and elsewhere.

    Parameters
    ----------
    obs : DataFrame, n rows
        With the columns of :data:`LEVELS`.
    split : Split

    Returns
    -------
    DataFrame
        One row per level: ``level``, ``n_held_out`` (units with fields outside training),
        ``n_shared`` (those that are in training too), ``share_of_fields`` (of the fields
        outside training, those of shared units) and ``example`` (first shared unit or ``""``).
    """
    rows = []
    for level, columns in LEVELS.items():
        groups = obs.groupby(list(columns), observed=True, sort=True, dropna=False)
        unit, outside = groups.ngroup().to_numpy(), ~split.train
        seen = (np.bincount(unit[split.train], minlength=unit.max() + 1) > 0)[unit]
        shared = np.unique(unit[outside & seen])
        first = np.flatnonzero(unit == shared[0])[0] if len(shared) else None
        rows.append(
            {
                "level": level,
                "n_held_out": len(np.unique(unit[outside])),
                "n_shared": len(shared),
                "share_of_fields": float(seen[outside].mean()) if outside.any() else 0.0,
                "example": ""
                if first is None
                else "/".join(map(str, obs[list(columns)].iloc[first])),
            }
        )
    return pd.DataFrame(rows)


def refuse_leaks(obs: pd.DataFrame, split: Split, *, level: str = "experiment") -> None:
    """Stop where a split has a unit on both sides.

    Parameters
    ----------
    obs : DataFrame, n rows
    split : Split
    level : {"well", "plate", "experiment"}
        Largest unit that must not be divided.

    Raises
    ------
    InputError
        Naming the smallest unit that is divided, which is the worst.
    """
    wanted = list(LEVELS)[: list(LEVELS).index(level) + 1]
    found = leaks(obs, split).set_index("level").loc[wanted]
    found = found[found["n_shared"] > 0]
    if len(found):
        worst = found.iloc[0]
        raise InputError(
            f"split: {worst['n_shared']:,} of {worst['n_held_out']:,} {found.index[0]}s held out "
            f"have fields in training too (first {worst['example']!r}), and "
            f"{_WHY[str(found.index[0])]}: divide by experiment (split_experiments)"
        )


def balanced_rows(
    labels: np.ndarray,
    *,
    within: np.ndarray | None = None,
    most: int | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Draw equally many fields of every class, without replacement.

    Parameters
    ----------
    labels : ndarray, shape (n,)
        Class of each field.
    within : ndarray, shape (n,), optional
        Batch of each: classes are balanced in every batch by itself, and a batch that lacks a
        class of the others gives none.
    most : int, optional
        Fields of a class (in a batch) at most.
    seed : int

    Returns
    -------
    ndarray of int
        Sorted row numbers.

    Raises
    ------
    InputError
        If a class has a single field, to which all others would be cut down, or no batch has
        all classes.
    """
    names, label = np.unique(np.asarray(labels).astype(str), return_inverse=True)
    size = np.bincount(label)
    if size.min() < 2:
        raise InputError(
            f"class {str(names[size.argmin()])!r} has a single field, to which all classes would "
            "be cut down: leave it out or add fields"
        )
    _, batch = np.unique(np.zeros(len(label)) if within is None else within, return_inverse=True)
    rng = np.random.default_rng(seed)
    kept = []
    for b in range(batch.max() + 1):
        rows = [np.flatnonzero((batch == b) & (label == c)) for c in range(len(names))]
        n = min(min(map(len, rows)), most or len(label))
        kept += [rng.choice(mine, n, replace=False) for mine in rows]
    found = np.sort(np.concatenate(kept))
    if not len(found):
        raise InputError(f"no batch has all classes {listing(names)}: balance over all batches")
    return found


def _drawing_order(content: np.ndarray, seed: int) -> np.ndarray:
    """Experiments in an order whose every beginning has a like share of each kind of them."""
    rng = np.random.default_rng(seed)
    _, kind, size = np.unique(content, return_inverse=True, return_counts=True)
    place = np.empty(len(content))
    for k in range(len(size)):
        mine = np.flatnonzero(kind == k)
        # Evenly over (0, 1), a jitter of less than one step; a kind of one goes to the end.
        at = (np.arange(len(mine)) + rng.random()) / len(mine) if len(mine) > 1 else 2.0
        place[rng.permutation(mine)] = at
    return np.argsort(place, kind="stable")


def _chosen(
    names: np.ndarray, order: np.ndarray, wanted: float | int | Sequence[str], part: str
) -> np.ndarray:
    """Experiments of a part: those named, or the first of an order."""
    if isinstance(wanted, (int, float)):
        n = max(1, round(wanted * len(names))) if wanted < 1 else int(wanted)
        if wanted <= 0 or n >= len(names):
            raise InputError(
                f"split: {wanted:g} experiments for {part} of {len(names)}: take at least one "
                "and leave at least one to train on"
            )
        return names[order[:n]]
    for name in wanted:
        if name not in set(names):
            raise InputError(
                f"split: there is no experiment {str(name)!r} for {part}{did_you_mean(name, names)}"
            )
    return np.asarray(list(dict.fromkeys(wanted)), dtype=object)
