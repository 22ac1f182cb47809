"""What embeddings are worth: accuracy by plate standardisation, ingredient, treatment and knob."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.errors import InputError
from screenbook.figures.heat_tables import SEPARATOR, heat_tables
from screenbook.figures.interval_rows import Axis, interval_rows
from screenbook.figures.palette import BLUE, GREY, SKY
from screenbook.figures.small_multiples import require

_WITHIN, _ACROSS = "views of one field", "views of two batches"


def standardisation_gain(table: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Show accuracy before and after every plate is put on the scale of its controls.

    Parameters
    ----------
    table : DataFrame
        ``variant before after``, and optionally ``before_sd after_sd`` (over seeds), ``chance``
        and ``panel`` (the measure).
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["variant", "before", "after"], "standardisation_gain()")
    kept = [column for column in ("chance", "panel") if column in table]
    parts = []
    for column, series in (("before", "as embedded"), ("after", "plates standardised")):
        sd = table.get(f"{column}_sd", pd.Series(np.nan, index=table.index))
        parts.append(
            table[["variant", *kept]].rename(columns={"variant": "row"}).assign(
                value=table[column], low=table[column] - sd, high=table[column] + sd, series=series
            )
        )  # fmt: skip
    return interval_rows(
        pd.concat(parts, ignore_index=True), Axis("accuracy (0 to 1)"), title=title,
        subtitle=subtitle, join=True,
        marks={"as embedded": (GREY, "circle-open"), "plates standardised": (BLUE, "circle")},
    )  # fmt: skip


def ablation(
    table: pd.DataFrame,
    measures: Mapping[str, str],
    *,
    chance: Mapping[str, float] | None = None,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Show what each ingredient does, a row for every set of ingredients.

    Parameters
    ----------
    table : DataFrame
        ``variant`` (which ingredients, in words), the columns of `measures`, and optionally
        ``<measure>_sd`` (over seeds) and ``cross_batch`` (bool: positives of another batch).
    measures : mapping of str to str
        Columns, a panel each, and the titles of their axes.
    chance : mapping of str to float, optional
        Level of chance of a measure.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing, or no measure is given.
    """
    require(table, ["variant", *measures], "ablation()")
    if not measures:
        raise InputError("ablation(): no measure is given; name a column and its title")
    parts = []
    for column, text in measures.items():
        sd = table.get(f"{column}_sd", pd.Series(np.nan, index=table.index))
        part = pd.DataFrame(
            {"row": table["variant"], "value": table[column], "panel": text}
        ).assign(low=table[column] - sd, high=table[column] + sd)
        part["chance"] = (chance or {}).get(column, np.nan)
        if "cross_batch" in table:
            across = table["cross_batch"].astype(bool)
            part["series"] = np.where(across, _ACROSS, _WITHIN)
        parts.append(part)
    return interval_rows(
        pd.concat(parts, ignore_index=True), Axis("mean and SD over seeds (0 to 1)"),
        title=title, subtitle=subtitle, dodge=False,
        marks={_WITHIN: (SKY, "circle-open"), _ACROSS: (BLUE, "circle")},
    )  # fmt: skip


def treatment_accuracy(
    table: pd.DataFrame,
    mechanism: pd.Series | None = None,
    *,
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Show how often fields of each treatment are recognised, by variant.

    Parameters
    ----------
    table : DataFrame
        Accuracies 0 to 1, a row for each treatment (index) and a column for each variant.
    mechanism : Series, optional
        Mechanism of each treatment, by the same index: rows are put together by it.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    rules: list[int] = []
    if mechanism is not None:
        group = mechanism.reindex(table.index).fillna("").astype(str)
        order = group.map(list(pd.unique(group)).index).argsort(kind="stable")
        table, group = table.iloc[order], group.iloc[order]
        rules = [i for i in range(1, len(group)) if group.iloc[i] != group.iloc[i - 1]]
        table = table.set_axis(
            [f"{a}{SEPARATOR}{b}" if b else str(a) for a, b in zip(table.index, group, strict=True)]
        )
    return heat_tables(
        {"": table}, title=title, subtitle=subtitle, value="accuracy", rules={"": rules}
    )


def knob_recovery(
    tables: Mapping[str, pd.DataFrame], *, title: str, subtitle: str = ""
) -> go.Figure:
    """Show how well each knob of the simulation is told from each embedding.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Kind of knob (biology, batch) to R² on held-out experiments, a row for each knob (index)
        and a column for each embedding. Below zero is worse than the mean.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    return heat_tables(tables, title=title, subtitle=subtitle, value="R²", beside=False, y="")
