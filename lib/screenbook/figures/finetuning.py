"""A network told mechanisms: rungs, gaps, curves, and what its layers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.distillation import training_curves
from screenbook.figures.image_fields import PictureGroup, picture_groups
from screenbook.figures.interval_rows import Axis, interval_rows
from screenbook.figures.palette import BLUE, GREEN, ORANGE
from screenbook.figures.small_multiples import require

MARKS = {
    "learned from": (ORANGE, "circle-open"),
    "validation": (GREEN, "square-open"),
    "held out": (BLUE, "diamond"),
}
"""Colour and symbol of an accuracy, by what the fields were to the network."""

CURVES = {
    "train": "accuracy on compounds that are learned from",
    "validation": "accuracy on validation compounds",
    "validation_loss": "loss on validation compounds",
}
"""Columns of learning curves that are drawn, and what their panels are called."""

_COLUMNS = dict(zip(("train", "validation", "test"), MARKS, strict=True))
_ACCURACY = Axis("accuracy (0 to 1), mean over mechanisms")


def unfreezing_ladder(
    accuracy: pd.DataFrame, *, split: str = "compounds", title: str, subtitle: str = ""
) -> go.Figure:
    """Draw, for every model, its accuracy on what it learned from and on what it did not.

    Parameters
    ----------
    accuracy : DataFrame
        Of :func:`screenbook.finetune.ladder_tables.accuracy_table`: ``split model train
        validation test low high chance steps``.
    split : str
        Rows of which split.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    _require(accuracy, "unfreezing_ladder()")
    mine = accuracy[accuracy["split"] == split]
    return interval_rows(
        _long(mine, mine["model"]), _ACCURACY, title=title, subtitle=subtitle, marks=MARKS,
        empty="No network was trained, so there is nothing to draw.",
    )  # fmt: skip


def gap_by_split(
    accuracy: pd.DataFrame, models: Sequence[str], *, title: str, subtitle: str = ""
) -> go.Figure:
    """Set side by side what the same models seem to reach as other things are held out.

    Parameters
    ----------
    accuracy : DataFrame
        As for :func:`unfreezing_ladder`.
    models : sequence of str
        Which, a panel each.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    _require(accuracy, "gap_by_split()")
    mine = accuracy[accuracy["model"].isin(list(models))]
    order = {name: i for i, name in enumerate(models)}
    mine = mine.sort_values(
        "model", key=lambda names: names.map(order), kind="stable", ignore_index=True
    )
    rows = _long(mine, mine["split"] + " held out", panel=mine["model"])
    return interval_rows(
        rows[rows["series"] != "validation"], _ACCURACY, title=title, subtitle=subtitle,
        marks=MARKS,
    )  # fmt: skip


def learning_curves(curves: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Follow every rung while it trains, a line for each fold.

    Parameters
    ----------
    curves : DataFrame
        Of :func:`screenbook.finetune.ladder_tables.learning_curves`: ``model fold step`` and
        columns of :data:`CURVES`.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(curves, ["model", "fold", "step"], "learning_curves()")
    histories = {
        str(name): rows.rename(columns={"fold": "seed"})
        for name, rows in curves.groupby("model", sort=False)
    }
    fig = training_curves(histories, measures=CURVES, title=title, subtitle=subtitle)
    for trace in fig.data:
        if trace.x is not None and len(trace.x) == 1:
            trace.mode = "markers"  # a line of one point is not seen
    return fig


def layer_rows(layers: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Draw what every layer sees of the cells, and what a probe reads from it.

    Parameters
    ----------
    layers : DataFrame
        Of :func:`screenbook.finetune.ladder_tables.layer_means`: ``layer sees low high probe
        chance``.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(layers, ["layer", "sees", "low", "high", "probe", "chance"], "layer_rows()")
    seen = layers[["layer", "low", "high"]].assign(
        value=layers["sees"], panel="mean map follows the stain (correlation)"
    )
    read = layers[["layer", "chance"]].assign(
        value=layers["probe"], panel="probe tells the mechanism (accuracy)"
    )
    rows = pd.concat([seen, read], ignore_index=True).rename(columns={"layer": "row"})
    return interval_rows(rows, Axis("0 to 1", (-0.05, 1.02)), title=title, subtitle=subtitle)


def activation_pictures(
    pictures: Mapping[str, np.ndarray], labels: Sequence[str], *, title: str, subtitle: str = ""
) -> go.Figure:
    """Show the averaged activation maps of some fields, layer by layer.

    Parameters
    ----------
    pictures : mapping of str to ndarray of uint8, shape (n, y, x)
        Of :func:`screenbook.finetune.activation_maps.map_pictures`.
    labels : sequence of str
        Of the n fields, below each picture.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    groups = [PictureGroup(name, list(maps), list(labels)) for name, maps in pictures.items()]
    return picture_groups(
        groups, columns=min(8, max(1, len(labels))), narrow_columns=min(4, max(1, len(labels))),
        title=title, subtitle=subtitle, most_pixels=120,
    )  # fmt: skip


def _require(accuracy: pd.DataFrame, what: str) -> None:
    require(accuracy, ["split", "model", *_COLUMNS, "low", "high", "chance", "steps"], what)


def _long(table: pd.DataFrame, row: pd.Series, panel: pd.Series | None = None) -> pd.DataFrame:
    """One row for each model and accuracy; only what was held out has an interval."""
    parts = []
    for column, series in _COLUMNS.items():
        asked = column == "test"
        parts.append(
            pd.DataFrame(
                {
                    "row": row,
                    "panel": "" if panel is None else panel,
                    "series": series,
                    "value": table[column],
                    "low": table["low"] if asked else np.nan,
                    "high": table["high"] if asked else np.nan,
                    "chance": table["chance"],
                    "detail": [f"{s:.0f} steps" if s == s else "" for s in table["steps"]],
                }
            )
        )
    # Model by model, so that rows keep the order of the table.
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)
