"""What was put on the plates: counts, replicates, rows that are missing and rows that are twice.

All functions take ``wells.obs`` (one row per well, with ``n_sites``) unless they say *rows*,
which are sites in a screen that has them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from screenbook.blocks import Array, row_blocks

BLANK = "(blank)"
"""How tables show an empty text."""
OFTEN = 1.5
"""Times the median number of wells above which a compound counts as often tried."""
UNTREATED = "(untreated)"
"""How tables show the concentration of a well without a compound."""

_BREAKDOWNS = {
    "disease_condition": "disease condition",
    "role": "role in the analysis",
    "cell_type": "cell type",
    "experiment": "experiment",
    "treatment_conc": "dose, µM",
}

COMPOUND_COLUMNS = {
    "cell_type": "cell type",
    "compound": "name, one per structure",
    "compound_key": "InChIKey of the parent structure, or 'name:' and the name",
    "aliases": "other names met for it, separated by ;",
    "reference": "whether it is a reference compound",
    "wells": "wells, count",
    "doses": "distinct concentrations, count",
    "wells_per_dose": "median wells per concentration, count",
    "dose_low": "lowest concentration, µM",
    "dose_high": "highest concentration, µM",
    "plates": "plates, count",
    "experiments": "experiments, count",
    "SMILES": "structure as given",
}
"""What the columns of :func:`compound_table` hold."""


def breakdown(wells: pd.DataFrame, column: str) -> pd.DataFrame:
    """Count wells and sites for each value of a metadata column.

    Parameters
    ----------
    wells : DataFrame, shape (n_wells, ...)
        Metadata with `column` and ``n_sites``.
    column : str
        What to count by. A blank value is a class of its own, never dropped.

    Returns
    -------
    DataFrame
        ``value`` (text), ``wells``, ``sites``, ``share`` (of all wells, 0 to 1). Numbers are in
        ascending order with *untreated* first, all else by falling count, ties by name.
    """
    counts = wells.groupby(column, observed=True, dropna=False)["n_sites"].agg(["size", "sum"])
    numeric = pd.api.types.is_numeric_dtype(wells[column])
    if numeric:
        counts = counts.sort_index(na_position="first")
        labels = [UNTREATED if pd.isna(v) else f"{v:g}" for v in counts.index]
    else:
        counts = counts.sort_index().sort_values("size", ascending=False, kind="stable")
        labels = [str(v) or BLANK for v in counts.index]
    return pd.DataFrame(
        {
            "value": labels,
            "wells": counts["size"].to_numpy(),
            "sites": counts["sum"].to_numpy(),
            "share": counts["size"].to_numpy() / max(len(wells), 1),
        }
    )


def breakdowns(wells: pd.DataFrame, rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Apply :func:`breakdown` to every column of the metadata that says something.

    Parameters
    ----------
    wells : DataFrame
        Metadata of the wells.
    rows : DataFrame
        Metadata of the sites; their ``site`` is counted if there are sites.

    Returns
    -------
    dict of str to DataFrame
        Name of the column, for readers, to its table; a column that is blank throughout (the
        condition, in a screen without a disease) is left out.
    """
    shown = [column for column in _BREAKDOWNS if wells[column].astype(str).ne("").any()]
    tables = {_BREAKDOWNS[column]: breakdown(wells, column) for column in shown}
    if (rows["site"] > 0).any():
        tables["site within the well"] = breakdown(rows.assign(n_sites=1), "site")
    return tables


def plate_counts(wells: pd.DataFrame) -> pd.DataFrame:
    """Count what stands on each plate.

    Returns
    -------
    DataFrame
        One row per plate in the order of first appearance: ``batch``, ``cell_type``,
        ``experiment``, ``plate``, ``wells``, ``sites``, ``compounds`` (distinct), and one
        ``n_<role>`` column for each role that the screen has.
    """
    plates = wells.groupby("batch", observed=True, sort=False)
    out = plates.agg(
        cell_type=("cell_type", "first"),
        experiment=("experiment", "first"),
        plate=("plate", "first"),
        wells=("well", "size"),
        sites=("n_sites", "sum"),
    )
    treated = wells[wells["compound_key"].astype(str) != ""]
    out["compounds"] = treated.groupby("batch", observed=True)["compound_key"].nunique()
    roles = pd.crosstab(wells["batch"], wells["role"].astype(str)).add_prefix("n_")
    out = out.join(roles).fillna({"compounds": 0}).astype({"compounds": int})
    return out.rename_axis("batch").reset_index().astype({"batch": str})


def compound_table(wells: pd.DataFrame, references: Sequence[str] = ()) -> pd.DataFrame:
    """Count the replicates of each compound in each cell type.

    Parameters
    ----------
    wells : DataFrame
        Metadata of the wells.
    references : sequence of str
        Names of the reference compounds, in any of a compound's spellings.

    Returns
    -------
    DataFrame
        One row per cell type and compound, most wells first; see :data:`COMPOUND_COLUMNS`.
    """
    treated = wells[wells["compound_key"].astype(str) != ""]
    keys = ["cell_type", "compound_key"]
    groups = treated.groupby(keys, observed=True, sort=True)
    out = groups.agg(
        compound=("compound", "first"),
        wells=("well", "size"),
        doses=("treatment_conc", "nunique"),
        dose_low=("treatment_conc", "min"),
        dose_high=("treatment_conc", "max"),
        plates=("batch", "nunique"),
        experiments=("experiment", "nunique"),
        SMILES=("SMILES", "max"),  # "" sorts before any structure
    )
    per_dose = treated.groupby([*keys, "treatment_conc"], observed=True, dropna=False).size()
    out["wells_per_dose"] = per_dose.groupby(level=keys, observed=True).median()
    out = out.reset_index().astype({"cell_type": str, "compound_key": str, "compound": str})
    spellings = _spellings(treated)
    wanted = {name.casefold() for name in references}
    known = {key: {n.casefold() for n in names} for key, names in spellings.items()}
    out["reference"] = [bool(known[key] & wanted) for key in out["compound_key"]]
    out["aliases"] = [
        "; ".join(name for name in spellings[key] if name != compound)
        for key, compound in zip(out["compound_key"], out["compound"], strict=True)
    ]
    out = out.sort_values(
        ["cell_type", "wells", "compound"], ascending=[True, False, True], kind="stable"
    )
    return out[list(COMPOUND_COLUMNS)].reset_index(drop=True)


def _spellings(treated: pd.DataFrame) -> dict[str, list[str]]:
    """All names that each compound goes by, in alphabetical order."""
    pairs = treated[["compound_key", "compound", "treatment"]].astype(str).drop_duplicates()
    names = pairs.melt("compound_key", value_name="name").drop_duplicates(["compound_key", "name"])
    grouped = names.sort_values("name").groupby("compound_key")["name"]
    return {str(key): list(group) for key, group in grouped}


def chance_of_listing(
    n_wells: pd.Series, *, top: int, listed: int, n_draws: int, seed: int
) -> pd.DataFrame:
    """How often a compound is listed when hits are picked blindly and names are counted.

    `top` wells are drawn at random, without replacement, from all treated wells, as if no
    compound did anything; compounds are ordered by how many of their wells were drawn (ties
    at random), and the first `listed` names are the list.

    Parameters
    ----------
    n_wells : Series of int, length n_compounds
        Wells of each compound.
    top : int
        Wells taken as hits.
    listed : int
        Names on the list.
    n_draws : int
        Random draws.
    seed : int
        Of the draws.

    Returns
    -------
    DataFrame, indexed as `n_wells`
        ``wells``, ``expected`` (wells among the hits, exact: top × wells / total) and
        ``probability`` (share of draws in which the name is on the list).
    """
    counts = n_wells.to_numpy(dtype=np.int64)
    rng = np.random.default_rng(seed)
    top = min(top, int(counts.sum()))
    drawn = rng.multivariate_hypergeometric(counts, top, size=n_draws, method="marginals")
    order = np.argsort(-(drawn + rng.random(drawn.shape)), axis=1)[:, :listed]
    times = np.bincount(order.ravel(), minlength=len(counts))
    return pd.DataFrame(
        {
            "wells": counts,
            "expected": top * counts / max(counts.sum(), 1),
            "probability": times / n_draws,
        },
        index=n_wells.index,
    )


def blind_listing(
    compounds: pd.DataFrame, *, top_share: float, listed: int, n_draws: int, seed: int
) -> pd.DataFrame:
    """Apply :func:`chance_of_listing` to the compounds of each cell type.

    Parameters
    ----------
    compounds : DataFrame
        From :func:`compound_table`.
    top_share : float
        Share of the treated wells taken as hits, 0 to 1; one well at least.
    listed, n_draws, seed
        As in :func:`chance_of_listing`.

    Returns
    -------
    DataFrame, length of `compounds`
        ``cell_type compound reference wells expected probability``; ``fair``, the chance that
        every compound of the cell type would have if all had equally many wells; ``often``,
        whether it has more than `OFTEN` times the median number of wells.
    """
    tables = []
    for _, mine in compounds.groupby("cell_type", sort=False):
        top = max(1, round(top_share * int(mine["wells"].sum())))
        drawn = chance_of_listing(mine["wells"], top=top, listed=listed, n_draws=n_draws, seed=seed)
        fair = min(listed / len(mine), 1.0)
        tables.append(mine[["cell_type", "compound", "reference"]].join(drawn).assign(fair=fair))
    out = pd.concat(tables)
    typical = out.groupby("cell_type")["wells"].transform("median")
    return out.assign(often=out["wells"] > OFTEN * typical)


def missing(wells: pd.DataFrame, X: np.ndarray, controls: Sequence[str]) -> pd.DataFrame:
    """Count what a complete screen would have and this one has not.

    Parameters
    ----------
    wells : DataFrame, shape (n_wells, ...)
        Metadata of the wells.
    X : ndarray, shape (n_wells, n_features)
        Their profiles.
    controls : sequence of str
        Roles that every plate should carry.

    Returns
    -------
    DataFrame
        ``what``, ``n``, ``of`` (how many were looked at), ``share`` (0 to 1).
    """
    treated = wells["compound_key"].astype(str).ne("")
    usual = int(wells["n_sites"].mode().iloc[0])
    roles = pd.crosstab(wells["batch"], wells["role"].astype(str))
    filled = wells.groupby("batch", observed=True).size()
    rows = [
        ("wells with a blank condition", (wells["role"].astype(str) == "blank").sum(), len(wells)),
        (
            "treated wells without a concentration",
            (treated & wells["treatment_conc"].isna()).sum(),
            treated.sum(),
        ),
        (
            "treated wells without a structure",
            (treated & wells["SMILES"].astype(str).eq("")).sum(),
            treated.sum(),
        ),
        (f"wells with fewer than {usual} sites", (wells["n_sites"] < usual).sum(), len(wells)),
        ("wells whose name is no plate address", (wells["row"] < 0).sum(), len(wells)),
        (
            f"wells missing where the fullest plate has {filled.max():,}",
            (filled.max() - filled).sum(),
            filled.max() * len(filled),
        ),
        *(
            (f"plates without a {role} well", (roles.get(role, 0 * filled) == 0).sum(), len(roles))
            for role in controls
        ),
        ("features that never vary", int((np.ptp(X, axis=0) == 0).sum()), X.shape[1]),
    ]
    out = pd.DataFrame(rows, columns=["what", "n", "of"]).astype({"n": int, "of": int})
    out["share"] = out["n"] / out["of"].clip(lower=1)
    return out


def repeated(rows: pd.DataFrame, X: Array) -> pd.DataFrame:
    """Count rows that are there twice, in the form of :func:`missing`.

    Parameters
    ----------
    rows : DataFrame, shape (n, ...)
        Metadata of the sites, or of the wells of a screen without sites.
    X : ndarray or dask.array.Array, shape (n, n_features)
        Their profiles.
    """
    found = {
        "rows whose place on the plate another row claims": len(repeated_addresses(rows)),
        "rows whose features agree with another's in every bit": (repeated_profiles(X) >= 0).sum(),
    }
    table = [(what, int(n), len(rows), n / len(rows)) for what, n in found.items()]
    return pd.DataFrame(table, columns=["what", "n", "of", "share"])


def repeated_addresses(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that claim a plate position (experiment, plate, well, site) which another has.

    Returns
    -------
    DataFrame
        Those rows of the metadata, sorted so that claimants stand together; empty if none.
    """
    address = ["batch", "well", "site"]
    twice = rows.duplicated(address, keep=False)
    return rows[twice].sort_values(address, kind="stable")


def repeated_profiles(X: Array) -> np.ndarray:
    """Find the groups of rows whose features agree in every bit.

    Each row is hashed with exact integer arithmetic (modulo 2⁶⁴), so equal rows have equal
    hashes however the array is cut into blocks, and two different rows share one by chance
    in fewer than one of 10⁸ screens of 300,000 rows.

    Parameters
    ----------
    X : ndarray or dask.array.Array of float32, shape (n, n_features)
        Profiles.

    Returns
    -------
    ndarray of int, shape (n,)
        Group from 0 for rows that are there more than once, -1 for all others.
    """
    multipliers = np.random.default_rng(0).integers(1, 2**64, X.shape[1], np.uint64) | np.uint64(1)
    hashes = np.empty(X.shape[0], dtype=np.uint64)
    for rows, block in row_blocks(X):
        # Adding zero makes -0.0 and 0.0 one value before their bits are read.
        bits = (np.ascontiguousarray(block, dtype=np.float32) + np.float32(0)).view(np.uint32)
        hashes[rows] = bits.astype(np.uint64) @ multipliers
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    numbers = np.full(len(counts), -1)
    numbers[counts > 1] = np.arange((counts > 1).sum())
    return numbers[inverse]
