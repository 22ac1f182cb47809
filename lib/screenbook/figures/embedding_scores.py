"""What embeddings are worth: accuracy by plate standardisation, ingredient, treatment and knob."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.errors import InputError
from screenbook.figures.heat_tables import SEPARATOR, heat_tables
from screenbook.figures.interval_rows import Axis, interval_rows
from screenbook.figures.palette import BLUE, GREY, SKY
from screenbook.figures.small_multiples import as_text, require

_WITHIN, _ACROSS = "views of one field", "views of two batches"


def standardisation_gain(
    table: pd.DataFrame, measures: Mapping[str, str], *, title: str, subtitle: str = ""
) -> go.Figure:
    """Show scores before and after every plate is put on the scale of its controls.

    Parameters
    ----------
    table : DataFrame
        Of :func:`screenbook.images.embedding_scores.variant_table`: ``variant``, ``standardised``
        (``"none"`` or ``"plate"``), the columns of `measures`, and optionally ``<measure>_low``
        and ``<measure>_high`` (95 % interval over held-out experiments) and
        ``<measure>_chance``.
    measures : mapping of str to str
        Columns, a panel each, and the titles of the panels.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing, or no measure is given.
    """
    _require_measures(table, ["variant", "standardised"], measures, "standardisation_gain()")
    names = {"none": "as embedded", "plate": "plates standardised"}
    parts = [
        _part(table, column, text, f"{column}_low", f"{column}_high").assign(
            series=table["standardised"].map(names)
        )
        for column, text in measures.items()
    ]
    return interval_rows(
        pd.concat(parts, ignore_index=True), Axis("share (0 to 1)"), title=title,
        subtitle=subtitle, join=True,
        marks={"as embedded": (GREY, "circle-open"), "plates standardised": (BLUE, "circle")},
    )  # fmt: skip


def ablation(
    table: pd.DataFrame,
    measures: Mapping[str, str],
    *,
    cross_batch: Collection[str] = (),
    title: str,
    subtitle: str = "",
) -> go.Figure:
    """Show what each ingredient does, a row for every set of ingredients.

    Parameters
    ----------
    table : DataFrame
        Of :func:`screenbook.images.embedding_scores.variant_table`, one kind of ``standardised``:
        ``variant`` (which ingredients, in words), the columns of `measures`, and optionally
        ``<measure>_sd`` (over seeds) and ``<measure>_chance``.
    measures : mapping of str to str
        Columns, a panel each, and the titles of the panels.
    cross_batch : collection of str
        Variants whose positives are of another batch; marked by colour and symbol.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing, or no measure is given.
    """
    _require_measures(table, ["variant"], measures, "ablation()")
    parts = []
    for column, text in measures.items():
        sd = table.get(f"{column}_sd", pd.Series(np.nan, index=table.index))
        ends = table.assign(sd_low=table[column] - sd, sd_high=table[column] + sd)
        part = _part(ends, column, text, "sd_low", "sd_high")
        if cross_batch:
            across = table["variant"].isin(list(cross_batch))
            part["series"] = np.where(across, _ACROSS, _WITHIN)
        parts.append(part)
    return interval_rows(
        pd.concat(parts, ignore_index=True), Axis("mean and SD over seeds (0 to 1)"),
        title=title, subtitle=subtitle, dodge=False,
        marks={_WITHIN: (SKY, "circle-open"), _ACROSS: (BLUE, "circle")},
    )  # fmt: skip


def _require_measures(
    table: pd.DataFrame, columns: list[str], measures: Mapping[str, str], what: str
) -> None:
    require(table, [*columns, *measures], what)
    if not measures:
        raise InputError(f"{what}: no measure is given; name a column and its title")


def _part(table: pd.DataFrame, column: str, panel: str, low: str, high: str) -> pd.DataFrame:
    """Rows of one measure, as :func:`interval_rows` takes them."""
    part = pd.DataFrame({"row": table["variant"], "value": table[column], "panel": panel})
    for end, source in (("low", low), ("high", high), ("chance", f"{column}_chance")):
        part[end] = table.get(source, pd.Series(np.nan, index=table.index))
    return part


def differences_from(
    table: pd.DataFrame, baseline: str, *, title: str, subtitle: str = ""
) -> go.Figure:
    """Show how much better each variant does than a baseline, paired by experiment.

    Parameters
    ----------
    table : DataFrame
        Of :func:`screenbook.images.embedding_scores.differences`: ``variant difference low
        high``, and optionally ``standardised``, which becomes a panel each.
    baseline : str
        Its name, for the axis.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(table, ["variant", "difference", "low", "high"], "differences_from()")
    rows = table.rename(columns={"variant": "row", "difference": "value"}).assign(chance=0.0)
    if "standardised" in table:
        names = {"none": "as embedded", "plate": "plates standardised"}
        rows["panel"] = table["standardised"].replace(names)
    ends = rows[["value", "low", "high"]].to_numpy(dtype=float)
    most = float(np.nanmax(np.abs(ends), initial=0.01)) * 1.08
    return interval_rows(
        rows, Axis(f"accuracy less that of {as_text(baseline)}", (-most, most)),
        title=title, subtitle=subtitle, chance="no difference",
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
        Kind of knob to R² on held-out experiments, a row for each knob (index) and a column for
        each embedding. Below zero is worse than the mean. Knobs are shown without the
        ``biology_`` or ``batch_`` that the truth table has before their names.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    shown = {kind: table.rename(index=_knob) for kind, table in tables.items()}
    return heat_tables(shown, title=title, subtitle=subtitle, value="R²", beside=False, y="")


def _knob(name: str) -> str:
    return str(name).removeprefix("biology_").removeprefix("batch_").replace("_", " ")
