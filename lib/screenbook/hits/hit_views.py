"""What figures and sentences about hits are made from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from screenbook.hits.dose_bands import dose_curves
from screenbook.hits.hit_search import HitSearch
from screenbook.profiles.batches import Part


def control_boxes(search: HitSearch, parts: list[Part]) -> pd.DataFrame:
    """Find where treatments would lie that did nothing, or healed completely.

    A mean over as many wells as a typical treatment has scatters less than a well; nineteen of
    twenty such means of one kind of control lie inside its box along the axis, and 99 of 100
    below its upper end off it.

    Returns
    -------
    DataFrame
        ``cell_type role on_low on_high off_low off_high``; empty without a disease.
    """
    rows = []
    for part in parts:
        if part.cell_type not in search.scores or "diseased" not in part.layout.kinds:
            continue
        found, table = search.scores[part.cell_type], search.evidence[part.cell_type].treatments
        n = max(float(table["n_wells"].median()), 1.0)
        limit = float(table["off_limit"].median())
        for kind, role in enumerate(part.layout.kinds):
            own = found.on[found.used & (part.layout.kind == kind)]
            reach = 1.96 * own.std() / np.sqrt(n)
            rows.append((part.cell_type, role, kind - reach, kind + reach, 0.0, limit))
    columns = ["cell_type", "role", "on_low", "on_high", "off_low", "off_high"]
    return pd.DataFrame(rows, columns=columns)


def gate_lines(search: HitSearch) -> pd.DataFrame:
    """Draw where a treatment moves as far off the way as along it.

    Returns
    -------
    DataFrame
        ``cell_type on_score off_score``: two corners for each cell type.
    """
    rows = []
    for name, found in search.scores.items():
        gap = found.gap[found.used]
        if np.isfinite(gap).any():
            rows += [(name, 1.0, 0.0), (name, 0.0, float(np.nanmean(gap)))]
    return pd.DataFrame(rows, columns=["cell_type", "on_score", "off_score"])


def power_of_design(search: HitSearch) -> pd.DataFrame:
    """Sum up what the design of each cell type could show.

    Returns
    -------
    DataFrame
        ``cell_type wells`` (used), ``treated`` (of them), ``compounds treatments testable`` (of
        the treatments), ``gap`` (healthy to diseased, control SD, mean over wells), ``p_least``
        (least p that the median treatment could reach).
    """
    rows = []
    for name, found in search.scores.items():
        table = search.treatments[search.treatments["cell_type"] == name]
        codes = search.evidence[name].codes[found.used]
        rows.append(
            {
                "cell_type": name,
                "wells": int(found.used.sum()),
                "treated": int((codes >= 0).sum()),
                "compounds": table["compound_key"].nunique(),
                "treatments": len(table),
                "testable": int(table["testable"].sum()),
                "gap": float(np.nanmean(found.gap[found.used])) if found.used.any() else np.nan,
                "p_least": float(table["p_least"].median()),
            }
        )
    return pd.DataFrame(rows)


def dose_lines(search: HitSearch, compounds: pd.Series) -> pd.DataFrame:
    """Fitted curves, with their bands, of some compounds.

    Parameters
    ----------
    search : HitSearch
    compounds : Series of str
        Keys of the compounds.

    Returns
    -------
    DataFrame
        ``cell_type compound dose score low high``, by rising dose.
    """
    tables = []
    for name, fitted in search.curves.items():
        groups = np.flatnonzero(np.isin(search.compounds[name], compounds))
        lines = dose_curves(fitted, groups)
        key = search.compounds[name][lines["group"].to_numpy(dtype=int)]
        tables.append(lines.assign(cell_type=name, compound_key=key))
    lines = pd.concat(tables, ignore_index=True)
    shown = search.hits.drop_duplicates("compound_key").set_index("compound_key")["compound"]
    lines["compound"] = lines["compound_key"].map(shown)
    return lines[["cell_type", "compound", "dose", "score", "low", "high"]]


def search_columns(compounds: pd.DataFrame) -> dict[str, str]:
    """Explain the columns of ``searches.tsv``.

    Parameters
    ----------
    compounds : DataFrame
        From :func:`screenbook.hits.searches.search_screen`.
    """
    explained = {
        "compound": "compound",
        "compound_key": "key of its structure (InChIKey of the parent) or name",
        "cell_type": "cell type",
        "n_wells": "wells that take part",
    }
    for column in compounds.columns.difference(list(explained)):
        search, _, what = column.rpartition("_")
        asked = "wells found, count" if what == "count" else "fair score of the best dose"
        explained[column] = f"{search.replace('_', ' ')}: {asked}"
    return explained


def activity_by_mechanism(treatments: pd.DataFrame, hits: pd.DataFrame) -> pd.DataFrame:
    """Order mechanisms by how far their treatments lie from the vehicle, weakest first.

    Parameters
    ----------
    treatments : DataFrame
        ``cell_type compound_key dose off_score replicate_map verdict``.
    hits : DataFrame
        ``cell_type compound_key moa``.

    Returns
    -------
    DataFrame
        ``cell_type mechanism compounds treatments active`` (of the treatments), ``share``
        (active, 0 to 1), ``distance`` (median off-axis score: control SD from the vehicle),
        ``replicate_map`` (median). Compounds without a mechanism make a row of their own.
    """
    key = ["cell_type", "compound_key"]
    named = treatments.merge(hits[[*key, "moa"]], on=key, how="left", validate="m:1")
    named["mechanism"] = named["moa"].fillna("").replace("", "not annotated")
    table = named.groupby(["cell_type", "mechanism"], sort=True).agg(
        compounds=("compound_key", "nunique"),
        treatments=("dose", "size"),
        active=("verdict", lambda verdict: int((verdict == "active").sum())),
        distance=("off_score", "median"),
        replicate_map=("replicate_map", "median"),
    )
    table.insert(3, "share", table["active"] / table["treatments"])
    return table.sort_values(["cell_type", "distance"]).reset_index()
