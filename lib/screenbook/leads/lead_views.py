"""What the figures of leads are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from screenbook.leads.leads import BARRED_DOSES, Ranked


def evidence_bands(
    scored: pd.DataFrame, classified: pd.DataFrame | None, n_wells: float
) -> pd.DataFrame:
    """Where treatments would lie that did nothing, or healed completely.

    Nineteen of twenty means over `n_wells` control wells of one kind lie in its band.

    Parameters
    ----------
    scored : DataFrame
        Wells: ``role on_score used``.
    classified : DataFrame or None
        Wells: ``role p_healthy``.
    n_wells : float
        Wells of a typical treatment.

    Returns
    -------
    DataFrame
        ``panel`` (``on`` or ``p``), ``role`` (healthy, diseased), ``low``, ``high``.
    """
    sides = {"on": (scored[scored["used"].astype(bool)], "on_score")}
    if classified is not None:
        sides["p"] = (classified, "p_healthy")
    rows = []
    for panel, (wells, column) in sides.items():
        for role in ("healthy", "diseased"):
            values = wells.loc[wells["role"] == role, column].dropna()
            if len(values) > 1:
                reach = 1.96 * values.std() / np.sqrt(max(n_wells, 1))
                rows.append((panel, role, values.mean() - reach, values.mean() + reach))
    return pd.DataFrame(rows, columns=["panel", "role", "low", "high"])


def dose_table(
    key: str, treatments: pd.DataFrame, classified: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Collect what is known of every dose of a compound.

    Parameters
    ----------
    key : str
        Compound key.
    treatments : DataFrame
        Of report 04: ``cell_type compound compound_key dose``, scores and ``verdict``.
    classified : DataFrame, optional
        Of report 05: ``cell_type compound_key dose p_healthy p_low p_high``.

    Returns
    -------
    DataFrame
        Rows of `treatments`, with ``p_healthy p_low p_high`` (NaN without a classifier) and
        ``open`` (bool): the dose is barred from standing for the compound.
    """
    doses = treatments[treatments["compound_key"] == key].drop(
        columns=["p_healthy", "p_low", "p_high"], errors="ignore"
    )
    keys = ["cell_type", "compound_key", "dose"]
    columns = [*keys, "p_healthy", "p_low", "p_high"]
    said = pd.DataFrame(columns=columns) if classified is None else classified[columns]
    said = said[said["compound_key"] == key].astype({"dose": float})
    table = doses.merge(said, on=keys, how="left")
    return table.assign(open=table["verdict"].isin(BARRED_DOSES))


def stability_tables(
    ranked: Mapping[str, Ranked], leads: pd.DataFrame, n_shown: int = 20
) -> dict[str, pd.DataFrame]:
    """List the ranks of leads with one thing left out at a time.

    Parameters
    ----------
    ranked : mapping of str to Ranked
        By cell type.
    leads : DataFrame
        From :func:`screenbook.leads.leads.lead_table`.
    n_shown : int
        Leads of each cell type, the first ones.

    Returns
    -------
    dict of str to DataFrame
        By cell type: ``compound full kind what rank``; cell types without leads are missing.
    """
    tables = {}
    for cell_type, r in ranked.items():
        mine = leads[(leads["cell_type"] == cell_type) & leads["is_lead"]].nsmallest(
            n_shown, "rank"
        )
        if mine.empty:
            continue
        at = pd.Index(r.consensus.candidates).get_indexer(pd.Index(mine["compound_key"]))
        n_things = len(r.left.summary)
        tables[cell_type] = pd.DataFrame(
            {
                "compound": np.repeat(mine["compound"].to_numpy(), n_things),
                "full": np.repeat(r.left.full[at], n_things),
                "kind": np.tile(r.left.summary["kind"], len(mine)),
                "what": np.tile(r.left.summary["what"], len(mine)),
                "rank": r.left.ranks[at].ravel(),
            }
        )
    return tables


def stability_summary(ranked: Mapping[str, Ranked]) -> pd.DataFrame:
    """Summarise what leaving out one thing of each kind does to the list.

    Returns
    -------
    DataFrame
        One row per cell type and kind: ``cell_type left_out n spearman spearman_least kept
        kept_least``: number of things, mean and least of Spearman's rho with the full order and
        of the share of the top that stays.
    """
    words = {"witness": "none; a witness more", "method": "a method"}
    parts = [r.left.summary.assign(cell_type=cell_type) for cell_type, r in ranked.items()]
    if not parts:
        return pd.DataFrame()
    grouped = pd.concat(parts).groupby(["cell_type", "kind"], sort=False)
    table = grouped.agg(
        n=("what", "size"),
        spearman=("spearman", "mean"),
        spearman_least=("spearman", "min"),
        kept=("kept", "mean"),
        kept_least=("kept", "min"),
    ).reset_index()
    kinds = table.pop("kind")
    named = [words.get(kind, f"a{'n' * (kind[0] in 'aeiou')} {kind}") for kind in kinds]
    table.insert(1, "left_out", named)
    return table


def listed(names: Sequence[str], most: int = 6) -> str:
    """Join names by commas, the last of many as a count."""
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
