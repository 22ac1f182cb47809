"""Sites to wells: the well is the unit of every later statistic."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd

from screenbook.blocks import group_sums
from screenbook.errors import InputError

_PER_WELL = ("cell_type", "disease_condition", "treatment", "treatment_conc")
"""Columns in which the sites of one well must agree."""


def aggregate_wells(screen: ad.AnnData) -> ad.AnnData:
    """Average the sites of every well.

    The sites of a well share cells, medium and staining: they are repeated measurements of
    one experimental unit, not replicates.

    Parameters
    ----------
    screen : AnnData, n_sites x n_features
        A screen; ``X`` may be a Dask array, which is then read block by block.

    Returns
    -------
    AnnData, n_wells x n_features
        Means as float32 in memory, wells in the order of their first site, indexed
        ``experiment/plate/well``. ``obs`` gains ``n_sites``; ``site`` is 0; further numeric
        columns are averaged, further text is that of the first site.

    Raises
    ------
    InputError
        If two sites of one well differ in cell type, condition, treatment or dose.
    """
    address = screen.obs[["experiment", "plate", "well"]].agg("/".join, axis=1)
    codes, wells = pd.factorize(address)
    _check_agreement(screen, codes, wells)

    n_sites = np.bincount(codes, minlength=len(wells))
    X = group_sums(screen.X, codes, len(wells))
    X /= n_sites[:, None]

    first = np.unique(codes, return_index=True)[1]
    obs = screen.obs.iloc[first].set_axis(pd.Index(wells, dtype=object))
    obs["site"] = 0
    obs["n_sites"] = n_sites
    measured = screen.obs.columns[screen.obs.dtypes.map(pd.api.types.is_float_dtype)]
    for column in measured.drop("treatment_conc"):
        obs[column] = screen.obs[column].groupby(codes).mean().to_numpy()
    return ad.AnnData(
        X=X.astype(np.float32),
        obs=obs,
        var=screen.var.copy(),
        uns={**screen.uns, "level": "well"},
    )


def _check_agreement(screen: ad.AnnData, codes: np.ndarray, wells: pd.Index) -> None:
    for column in _PER_WELL:
        kinds = pd.factorize(screen.obs[column], use_na_sentinel=False)[0]
        seen = pd.DataFrame({"well": codes, "kind": kinds}).drop_duplicates()
        mixed = seen["well"][seen["well"].duplicated()]
        if len(mixed):
            well = mixed.iloc[0]
            values = screen.obs[column].iloc[np.flatnonzero(codes == well)].unique()
            raise InputError(
                f"screen {screen.uns['name']!r}: the sites of well {wells[well]} differ in "
                f"{column!r} ({values[0]!r} and {values[1]!r}; {mixed.nunique():,} such wells): "
                "give all sites of a well the same metadata"
            )
