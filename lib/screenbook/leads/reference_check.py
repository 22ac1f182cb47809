"""Our list held against scores that somebody else gave the same compounds, once, at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

DEPTHS = (10, 25, 50)
"""Lengths of our list at which reference hits are counted."""


class Match(NamedTuple):
    """References joined to our compounds.

    Attributes
    ----------
    table : DataFrame
        Rows of the leads table that have a reference, with ``reference`` (its score).
    unmatched : DataFrame
        Rows of the reference table whose compound or cell type we do not have.
    """

    table: pd.DataFrame
    unmatched: pd.DataFrame


def match_references(leads: pd.DataFrame, reference: pd.DataFrame) -> Match:
    """Join reference scores by compound and cell type.

    Parameters
    ----------
    leads : DataFrame
        From :func:`screenbook.leads.leads.lead_table`: ``cell_type compound compound_key
        names``, the other names separated by ``;``.
    reference : DataFrame
        ``compound cell_type score``. Names are compared without case or outer blanks, and
        against display name, other names and key; a blank cell type stands for all. Where
        several rows name one compound, their mean counts.

    Returns
    -------
    Match
    """
    spelled = [
        (str(name).strip().casefold(), row.cell_type, row.compound_key)
        for row in leads.itertuples()
        for name in {row.compound, row.compound_key, *str(row.names or "").split(";")}
        if str(name).strip()
    ]
    known = pd.DataFrame(spelled, columns=["name", "type", "compound_key"]).drop_duplicates()
    known["type_folded"] = known["type"].astype(str).str.casefold()
    asked = reference.reset_index(drop=True).rename_axis("row").reset_index()
    asked["name"] = asked["compound"].astype(str).str.strip().str.casefold()
    asked["type_folded"] = asked["cell_type"].fillna("").astype(str).str.strip().str.casefold()
    own = asked[asked["type_folded"] != ""].merge(known, on=["name", "type_folded"])
    everywhere = asked[asked["type_folded"] == ""].merge(known, on="name")
    found = pd.concat([own, everywhere])
    means = found.groupby(["type", "compound_key"])["score"].mean()
    scores = means.rename_axis(["cell_type", "compound_key"]).reset_index(name="reference")
    table = leads.merge(scores, on=["cell_type", "compound_key"], how="inner")
    return Match(table, reference[~asked["row"].isin(found["row"]).to_numpy()])


def list_order(table: pd.DataFrame, by: str = "rank") -> np.ndarray:
    """Place every compound on our list: ranked ones by rank, then all others, sharing a place.

    Returns
    -------
    ndarray of float64, shape (n,)
        1 is the first; compounds without a rank share the mean of the places left.
    """
    rank = table[by].rank(method="average")
    n, ranked = len(rank), int(rank.notna().sum())
    return rank.fillna((ranked + 1 + n) / 2).to_numpy(dtype=np.float64)


def check_references(
    table: pd.DataFrame,
    *,
    hit: float,
    harm: float,
    by: str = "rank",
    depths: Sequence[int] = DEPTHS,
    most: int = 50,
) -> dict[str, float]:
    """Measure how far our order agrees with the reference, for one cell type.

    Parameters
    ----------
    table : DataFrame
        Of :func:`match_references`, one cell type: ``reference is_lead`` and the column `by`.
    hit : float
        Reference score from which a compound is a reference hit.
    harm : float
        Reference score below which a compound is toxic or aggravating.
    by : str
        Column of ranks, 1 best, NaN for compounds that are kept off the list.
    depths : sequence of int
        See :data:`DEPTHS`.
    most : int
        Depth of our list in which harm is looked for.

    Returns
    -------
    dict
        ``n``, ``n_hits``, ``n_harm``, ``spearman`` (of reference and our order, compounds
        without a rank last), ``average_precision`` and its ``chance``, ``recall_<k>`` for each
        depth (of reference hits among our first k; compounds without a rank are never among
        them), and toxic or aggravating ones among our first `most` (``harm_on_list``) and among
        our leads (``harm_in_leads``).
    """
    reference = table["reference"].to_numpy(dtype=np.float64)
    place, is_hit = list_order(table, by), reference >= hit
    listed = table[by].rank(method="first").to_numpy(dtype=np.float64)
    n, n_hits = len(table), int(is_hit.sum())
    varies = n >= 3 and np.ptp(reference) > 0 and np.ptp(place) > 0
    found: dict[str, float] = {
        "n": n,
        "n_hits": n_hits,
        "n_harm": int((reference < harm).sum()),
        "spearman": float(spearmanr(reference, -place).statistic) if varies else float("nan"),
        "average_precision": float(average_precision_score(is_hit, -place)) if n_hits else np.nan,
        "chance": n_hits / n if n else np.nan,
    }
    for depth in depths:
        among = is_hit & (listed <= depth)
        found[f"recall_{depth}"] = among.sum() / n_hits if n_hits else float("nan")
    harms = reference < harm
    found["harm_on_list"] = int((harms & (listed <= most)).sum())
    found["harm_in_leads"] = int((harms & table["is_lead"].to_numpy(dtype=bool)).sum())
    return found


def compare_orders(
    table: pd.DataFrame, orders: Mapping[str, str], *, hit: float, harm: float
) -> pd.DataFrame:
    """Check several orders of the same compounds, each cell type by itself.

    Parameters
    ----------
    table : DataFrame
        Of :func:`match_references`.
    orders : mapping of str to str
        Column of ranks, by the name of the method; columns that are missing or empty are
        passed over.
    hit, harm : float
        See :func:`check_references`.

    Returns
    -------
    DataFrame
        ``cell_type method`` and the measures of :func:`check_references`.
    """
    rows = [
        {
            "cell_type": cell_type,
            "method": name,
            **check_references(part, hit=hit, harm=harm, by=by),
        }
        for cell_type, part in table.groupby("cell_type")
        for name, by in orders.items()
        if by in part and part[by].notna().any()
    ]
    return pd.DataFrame(rows, columns=None if rows else ["cell_type", "method"])


def scores_from_effects(effects: pd.DataFrame) -> pd.DataFrame:
    """Make reference scores of effects whose size is known.

    Parameters
    ----------
    effects : DataFrame
        ``compound cell_type``, ``emax`` (share of the disease that is undone at most, negative
        if added to) and ``cell_loss`` (share of cells lost at most).

    Returns
    -------
    DataFrame
        ``compound cell_type score``: the effect on the disease, or minus the cells lost where
        there is none.
    """
    score = effects["emax"].where(effects["emax"] != 0, -effects["cell_loss"])
    return effects[["compound", "cell_type"]].assign(score=score)
