"""How the columns of a screen's metadata colour its wells: classes by legend, numbers by scale."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from plotly.colors import sample_colorscale

from screenbook.figures.palette import (
    OKABE_ITO,
    ROLE_COLOURS,
    ROLE_NAMES,
    condition_colours,
)
from screenbook.screen import Roles

PALE = "#B4B9BF"
"""Wells that a colouring says nothing about; seen on light and on dark ground."""

MOST_CLASSES = 24
"""Classes told apart: eight colours by three markers."""

_SYMBOLS = (("circle", 0), ("diamond", 2), ("cross", 3))  # plotly's names and numbers
_SCALE = "Viridis"  # Cividis runs through grey, which here means that there is no value
_COLOURS = OKABE_ITO[:-1]  # grey is for the rest
_FIRST = (
    *("role", "disease_condition", "cell_type", "experiment", "batch", "plate"),
    *("compound", "treatment", "treatment_conc", "moa", "row", "column"),
)  # in the menu
_MENU = {"batch": "plate of an experiment", "plate": "plate number", "moa": "mechanism"}
_MOST_SHOWN = 14  # of more classes than that: the largest
_FEW = 8  # distinct whole numbers that count as classes
_NONE_BELOW = 0.04  # of a scale's length, set aside at its foot for wells without a value


@dataclass(frozen=True)
class Entry:
    """One line of a legend: what it means, and colour and marker (plotly's name) of its wells."""

    label: str
    colour: str
    symbol: str


@dataclass(frozen=True)
class Colouring:
    """One way of colouring n wells.

    Attributes
    ----------
    name : str
        What the menu calls it, with the unit of a number.
    values : ndarray, shape (n,)
        int8 class codes, or float32 numbers; where there is none, a code or number below all.
    symbols : ndarray of int8, shape (n,)
        Markers, by plotly's numbers.
    scale : list of (float, str)
        Colours from `low` to `high`.
    low, high : float
        Ends of the scale.
    legend : list of Entry
        Of classes; empty for numbers.
    ticks : list of (float, str)
        Of numbers; empty for classes.
    """

    name: str
    values: np.ndarray
    symbols: np.ndarray
    scale: list[tuple[float, str]]
    low: float
    high: float
    legend: list[Entry]
    ticks: list[tuple[float, str]]


def by_class(
    name: str,
    values: pd.Series,
    *,
    colours: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> Colouring:
    """Colour by the classes of a column.

    Up to 24 classes differ by colour and marker. Of more, the 14 largest do, and the others
    are pale. A blank value is pale too, and named.

    Parameters
    ----------
    name : str
        What the menu calls it.
    values : Series, n rows
        The column; taken as text.
    colours, names : mapping, optional
        Colour and name of classes that have their own.
    """
    text = values.astype(object).where(values.notna(), "").astype(str)
    sizes = text[text != ""].value_counts()
    ordered = sorted(sizes.index, key=_natural_key)
    if len(ordered) > MOST_CLASSES:
        shown = sorted(ordered, key=lambda value: -sizes[value])[:_MOST_SHOWN]
    else:
        own = list(colours or ())  # in the order in which they are given
        shown = sorted(ordered, key=lambda v: own.index(v) if v in own else len(own))
    legend, markers = [], []
    for i, value in enumerate(shown):
        # Few classes with colours of their own differ by marker too, many once colours repeat.
        symbol, number = _SYMBOLS[i % 2 if colours else i // len(_COLOURS) % len(_SYMBOLS)]
        colour = (colours or {}).get(value, _COLOURS[i % len(_COLOURS)])
        label = (names or {}).get(value, value)
        legend.append(Entry(f"{label} ({sizes[value]:,})", colour, symbol))
        markers.append(number)
    codes = pd.Categorical(text, categories=shown).codes  # -1: blank, or one of the others
    blank, others = int((text == "").sum()), int(sizes.sum() - sizes[shown].sum())
    if others:
        label = f"{len(sizes) - len(shown)} others ({others:,})"
        legend.append(Entry(label, PALE, "circle"))
    if blank:
        legend.append(Entry(f"(blank) ({blank:,})", PALE, "circle"))
    steps = [PALE, *(entry.colour for entry in legend[: len(shown)])]
    edges = np.repeat(np.linspace(0, 1, len(steps) + 1), 2)[1:-1]
    return Colouring(
        name=name,
        values=codes.astype(np.int8),
        symbols=np.array([*markers, 0], dtype=np.int8)[codes],  # the last is that of code -1
        scale=list(zip(edges.tolist(), np.repeat(steps, 2).tolist(), strict=True)),
        low=-1.5,
        high=len(shown) - 0.5,
        legend=legend,
        ticks=[],
    )


def by_number(name: str, values: pd.Series, *, log: bool = False, trim: float = 0.0) -> Colouring:
    """Colour by a quantity, from low (dark) to high (light).

    Parameters
    ----------
    name : str
        What the menu calls it, with unit.
    values : Series, n rows
        Where it is missing (or not positive, if `log`), wells are pale.
    log : bool
        Equal steps of colour for equal ratios; ticks still name the quantity itself.
    trim : float
        Share of the wells at either end that get the colour of the end, so that a few
        extreme wells do not leave one colour to all others.
    """
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    if log:
        numbers = np.log10(np.where(numbers > 0, numbers, np.nan))
    known = np.isfinite(numbers)
    low, high = np.quantile(numbers[known], [trim, 1 - trim]) if known.any() else (0.0, 1.0)
    high = high if high > low else low + 1.0
    numbers = np.clip(numbers, low, high)
    at = _round_steps(float(low), float(high))
    whole = np.arange(np.ceil(low - 1e-6), np.floor(high + 1e-6) + 1)
    if log:
        at = whole if len(whole) > 1 else at
    elif not (numbers[known] % 1).any():
        at = whole[:: max(1, -(-len(whole) // 6))]
    ticks = [(float(v), f"{10**v if log else v:.3g}") for v in at]
    foot, colours = low, sample_colorscale(_SCALE, np.linspace(0.14, 0.97, 9))
    scale = list(zip(np.linspace(0, 1, 9).tolist(), colours, strict=True))
    if not known.all():
        foot = low - _NONE_BELOW * (high - low) / (1 - _NONE_BELOW)
        ticks = [(float(foot), "none"), *ticks]
        step = 0.75 * _NONE_BELOW
        above = np.linspace(_NONE_BELOW, 1, 9)
        scale = [(0.0, PALE), (step, PALE), (step, colours[0])]
        scale += list(zip(above.tolist(), colours, strict=True))
    return Colouring(
        name=name,
        values=np.where(known, numbers, foot).astype(np.float32),
        symbols=np.zeros(len(numbers), dtype=np.int8),
        scale=scale,
        low=float(foot),
        high=float(high),
        legend=[],
        ticks=ticks,
    )


def metadata_colourings(
    obs: pd.DataFrame, roles: Roles, *, extra: Sequence[Colouring] = ()
) -> tuple[list[Colouring], dict[str, str]]:
    """Colour wells by every column of their metadata that tells some of them apart.

    Parameters
    ----------
    obs : DataFrame, n rows
        Metadata of wells, or of sites.
    roles : Roles
        Which conditions are healthy and diseased: these have colours of their own.
    extra : sequence of Colouring
        Put after ``role``.

    Returns
    -------
    list of Colouring
        ``role`` first, then conditions, batches and compounds, then what else `obs` has.
    dict of str to str
        Columns that were left out, and why.
    """
    found: list[Colouring] = []
    left_out: dict[str, str] = {}
    seen: dict[str, np.ndarray] = {}
    first = [column for column in _FIRST if column in obs]
    for column in [*first, *(c for c in obs.columns if c not in first)]:
        codes, classes = pd.factorize(obs[column])
        if (len(classes) < 2 and (codes >= 0).all()) or len(classes) == 0:
            left_out[column] = "the same for all"
        elif column == "well" and {"row", "column"} <= set(obs.columns):
            left_out[column] = "shown as row and column"
        elif twin := next((name for name, other in seen.items() if _same_groups(codes, other)), ""):
            left_out[column] = f"the same groups as {twin}"
        else:
            seen[column] = codes
            found.append(_colouring(obs, column, roles))
    return [*found[:1], *extra, *found[1:]], left_out


def _colouring(obs: pd.DataFrame, column: str, roles: Roles) -> Colouring:
    values, name = obs[column], column.replace("_", " ")
    if column == "treatment_conc":
        return by_number("dose (µM)", values, log=True)
    if column in ("row", "column"):
        return by_number(f"plate {column}", values.where(values >= 0) + 1)
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > _FEW:
        return by_number(name, values)
    if column == "role":
        return by_class(name, values, colours=ROLE_COLOURS, names=ROLE_NAMES)
    if column == "disease_condition":
        colours = condition_colours(values.unique(), roles.healthy, roles.diseased)
        return by_class(name, values, colours=colours)
    return by_class(_MENU.get(column, name), values)


def _round_steps(low: float, high: float) -> np.ndarray:
    """Return three to seven round numbers between two."""
    rough = (high - low) / 4
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * max(m for m in (1, 2, 5) if m * power <= rough)
    steps = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1)
    return steps * step + 0.0  # minus nought is nought


def _same_groups(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two codings part the wells alike."""
    pairs = len(np.unique(a.astype(np.int64) * (b.max() + 2) + b))
    return pairs == len(np.unique(a)) == len(np.unique(b))


def _natural_key(text: str) -> list[str | int]:
    """Sort the numbers in names by value, so that plate 10 follows plate 9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", text)]
