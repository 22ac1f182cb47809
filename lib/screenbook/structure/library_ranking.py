"""Rank structures that were never imaged by how near to health they should bring cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.chemistry import name_compounds
from screenbook.errors import InputError, did_you_mean, listing
from screenbook.fingerprints import morgan_fingerprints, tanimoto
from screenbook.structure.imaged_compounds import ImagedCompounds
from screenbook.structure.score_prediction import predictors
from screenbook.structure.two_towers import TowerSettings, train_towers

NEAR = 0.4
"""Tanimoto similarity below which no measured compound counts as like."""

UNLIKE = "no like compound was measured"

COLUMNS = (
    *("rank", "compound", "smiles", "predicted", "low", "high"),
    *("nearest_compound", "tanimoto", "note"),
)
"""Columns of ``LibraryRanking.table``."""

_AT_ONCE = 4096  # structures


@dataclass(frozen=True)
class LibraryRanking:
    """A ranked library.

    Attributes
    ----------
    table : DataFrame
        From nearest to health to farthest: ``rank compound smiles predicted low high
        nearest_compound tanimoto note`` (:data:`UNLIKE` or ``""``).
    left_out : DataFrame
        ``compound smiles why``: what cannot be ranked, or was imaged already.
    """

    table: pd.DataFrame
    left_out: pd.DataFrame


def rank_library(
    library: pd.DataFrame,
    imaged: ImagedCompounds,
    on_axis: np.ndarray,
    predictions: pd.DataFrame,
    method: str,
    *,
    level: float = 0.9,
    settings: TowerSettings | None = None,
) -> LibraryRanking:
    """Predict the score of every structure of a library and rank it.

    Parameters
    ----------
    library : DataFrame
        ``compound smiles``. Salts and duplicates of one parent are one row.
    imaged : ImagedCompounds
        What was measured; all of it is learned from.
    on_axis : ndarray, shape (n,)
        See :func:`~screenbook.structure.score_prediction.measured_scores`.
    predictions : DataFrame
        From :func:`~screenbook.structure.score_prediction.predict_held_out`. How far those of
        `method` were off under the rule ``scaffold`` is the half width of the interval.
    method : str
        One of ``predictions["method"]``.
    level : float
        Share of held-out compounds whose score lay within the interval.
    settings : TowerSettings, optional
        Of a method with towers.

    Returns
    -------
    LibraryRanking

    Raises
    ------
    InputError
        If a column is missing, the method was not tested, or no structure is left to rank.
    """
    kept, left_out = _readable(library, imaged)
    half = _half_width(predictions, method, level)
    encoder = method.partition("towers, ")[2]
    towers = {}
    if encoder:
        smiles = imaged.table["smiles"].tolist()
        towers[encoder] = train_towers(imaged.points, imaged.compound, smiles, encoder, settings)
    everything = np.ones(len(imaged.table), dtype=bool)
    predict = predictors(imaged, on_axis, everything, towers)[method]
    parts = []
    for block in _blocks(kept):
        texts = block["smiles"].tolist()
        bits = morgan_fingerprints(block["parent_key"], texts).bits.to_numpy()
        alike = tanimoto(bits, imaged.bits)
        near = alike.argmax(axis=1)
        told = block[["compound", "smiles"]].assign(predicted=predict(texts, bits))
        names = imaged.table["compound"].to_numpy(dtype=object)[near]
        parts.append(told.assign(nearest_compound=names, tanimoto=alike.max(axis=1)))
    table = pd.concat(parts, ignore_index=True)
    table = table.sort_values(["predicted", "compound"], kind="stable", ignore_index=True)
    table["rank"] = table["predicted"].rank(method="min").astype(int)
    table["low"], table["high"] = table["predicted"] - half, table["predicted"] + half
    table["note"] = np.where(table["tanimoto"] < NEAR, UNLIKE, "")
    return LibraryRanking(table[list(COLUMNS)], left_out)


def _readable(library: pd.DataFrame, imaged: ImagedCompounds) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Structures to rank, one row each, and what is left out and why."""
    for column in ("compound", "smiles"):
        if column not in library:
            raise InputError(
                f"library: there is no column {column!r}{did_you_mean(column, library.columns)}; "
                f"found {listing(library.columns)}"
            )
    rows = library[["compound", "smiles"]].astype(object).fillna("").astype(str)
    # A name of its own for each row: a shared name is no shared structure.
    own = [f"{name} #{i}" for i, name in enumerate(rows["compound"])]
    naming = name_compounds(own, rows["smiles"])
    key = pd.Series(naming.compound_key, rows.index).astype(str)
    rows["parent_key"] = key.where(~key.str.startswith("name:"), "").str.partition("-")[0]
    measured = dict(zip(imaged.table["parent_key"], imaged.table["compound"], strict=True))
    why = np.where(rows["smiles"].str.strip() == "", "no structure", "structure cannot be read")
    why = np.where(rows["parent_key"] != "", "", why)
    seen = rows["parent_key"].isin(measured)
    why = np.where(seen, "was imaged, as " + rows["parent_key"].map(measured).fillna(""), why)
    again = rows.duplicated("parent_key") & (why == "")
    first = rows.drop_duplicates("parent_key").set_index("parent_key")["compound"]
    why = np.where(again, "same parent as " + rows["parent_key"].map(first), why)
    kept = rows[why == ""].reset_index(drop=True)
    if kept.empty:
        raise InputError(
            f"library: none of {len(rows):,} structures can be ranked "
            f"({listing(pd.unique(why), 3)}); give SMILES of compounds that were not imaged"
        )
    kept["smiles"] = naming.names["smiles"].reindex(key[why == ""]).to_numpy()
    left_out = rows.assign(why=why)[why != ""].drop(columns="parent_key")
    return kept, left_out.reset_index(drop=True)


def _half_width(predictions: pd.DataFrame, method: str, level: float) -> float:
    """Quantile of the errors out of fold, as of split conformal prediction."""
    mine = predictions[(predictions["rule"] == "scaffold") & (predictions["method"] == method)]
    if mine.empty:
        known = pd.unique(predictions["method"])
        raise InputError(
            f"library: method {method!r} was not tested on held-out scaffolds"
            f"{did_you_mean(method, known)}; there are {listing(known)}"
        )
    off = np.sort((mine["measured"] - mine["predicted"]).abs().to_numpy())
    place = int(np.ceil(level * (len(off) + 1)))
    return float(off[min(place, len(off)) - 1])


def _blocks(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for start in range(0, len(table), _AT_ONCE):
        yield table.iloc[start : start + _AT_ONCE]
