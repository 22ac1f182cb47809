"""Expression change of each condition against its controls, with its uncertainty.

``plate``
    The vehicle of the same line on the same plate. Its own error is in every change of that line
    and plate, where a model can learn it and gain nothing.
``adjusted``
    The same, less what all treatments of a line on a plate share beyond what they share with
    other lines on that plate and with that line on other plates: of effects that would be
    little, of the reference's error it is most.
``pooled``
    The vehicle of the line on all plates together. Where doses have plates of their own, as in
    Tahoe-100M, this puts the difference between plates into every change and calls it an effect
    of the dose. It can be asked for, to see what it costs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from screenbook.errors import InputError

REFERENCES = ("adjusted", "plate", "pooled")


@dataclass(frozen=True)
class Signatures:
    """Expression changes of treated conditions.

    Attributes
    ----------
    delta : ndarray of float32, shape (n, n_genes)
        Change against the controls, on the scale of the profiles.
    error : ndarray of float32, shape (n, n_genes)
        Its standard error: between cells, and between control wells where there are several.
        NaN where neither is known.
    obs : DataFrame, n rows
        Metadata of the conditions, see :mod:`screenbook.expression_set`; ``n_control`` is the
        number of cells (of wells, where cells were not counted) of the reference.
    genes : ndarray of str, shape (n_genes,)
    basal : DataFrame, shape (n_lines, n_genes)
        Mean expression of each line's controls, every plate counted alike.
    notes : tuple of str
        What was left out.
    """

    delta: np.ndarray
    error: np.ndarray
    obs: pd.DataFrame
    genes: np.ndarray
    basal: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.obs)

    def subset(self, rows: Any) -> Signatures:
        """Keep some conditions: a mask, positions, or a Series of bool taken by position."""
        rows = rows.to_numpy() if isinstance(rows, pd.Series) else np.asarray(rows)
        places = np.arange(len(self))[rows]
        return replace(
            self, delta=self.delta[places], error=self.error[places], obs=self.obs.iloc[places]
        )


def at_top_dose(obs: pd.DataFrame) -> np.ndarray:
    """Find the conditions at the highest dose that their drug was given at, in any line.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    highest = obs.groupby("compound_key", observed=True)["dose"].transform("max")
    return (obs["dose"] == highest).to_numpy()


def signatures(
    profiles: ad.AnnData,
    *,
    reference: str = "adjusted",
    min_cells: int = 0,
    min_pair_cells: int = 0,
) -> Signatures:
    """Subtract from each treated condition the controls of its line.

    Parameters
    ----------
    profiles : AnnData
        See :mod:`screenbook.expression_set`.
    reference : {"adjusted", "plate", "pooled"}
        See the text of this module. With one line, or one plate, ``adjusted`` is ``plate``.
    min_cells : int
        Conditions of fewer cells are left out; those whose cells were not counted are kept.
    min_pair_cells : int
        Pairs of drug and line of fewer cells over all their conditions are left out.

    Raises
    ------
    InputError
        If the reference is unknown, or nothing is left.
    """
    if reference not in REFERENCES:
        raise InputError(f"reference {reference!r} is none of {', '.join(REFERENCES)}")
    obs = profiles.obs
    key = obs["cell_line"].astype(str)
    if reference != "pooled":
        key = key + "\n" + obs["plate"].astype(str)
    # A condition whose cells were counted, and none were, has no expression.
    control = (obs["role"].eq("control") & ~obs["n_cells"].lt(1)).to_numpy()
    kept, notes = _kept(obs, key, control, min_cells, min_pair_cells)
    X = np.asarray(profiles.X, dtype=np.float64)
    variance = profiles.layers.get("variance")
    means, errors, counts = _references(X, variance, obs, key, control)
    place = means.index.get_indexer(key.iloc[kept])
    own = _error_of_mean(variance, obs["n_cells"].to_numpy(), kept)
    n_wells = key[control].value_counts().reindex(key.iloc[kept]).to_numpy(dtype=float)
    between = _between_wells(X, variance, obs, control)
    spread = between * (1 + 1 / n_wells[:, None])
    error = np.sqrt(np.nan_to_num(own) + np.nan_to_num(errors[place]) + np.nan_to_num(spread))
    error[~np.isfinite(own).all(axis=1) & ~np.isfinite(spread).all(axis=1)] = np.nan
    plates = obs.loc[control, ["cell_line", "plate"]].astype(str).agg("\n".join, axis=1)
    by_plate = (
        pd.DataFrame(X[control], columns=profiles.var_names).groupby(plates.to_numpy()).mean()
    )
    basal = by_plate.groupby(by_plate.index.str.partition("\n").get_level_values(0)).mean()
    table = obs.iloc[kept].copy()
    table["n_control"] = counts.reindex(key.iloc[kept]).to_numpy()
    delta = X[kept] - means.to_numpy()[place]
    if reference == "adjusted":
        delta = delta - _shared_by_line_and_plate(delta, table)
    return Signatures(
        delta=delta.astype(np.float32),
        error=error.astype(np.float32),
        obs=table,
        genes=profiles.var_names.to_numpy().astype(object),
        basal=basal.rename_axis("cell_line"),
        notes=tuple(notes),
    )


def reliability(signatures: Signatures) -> np.ndarray:
    """Share of each signature's squared length that is not noise, 0 to 1, shape (n,).

    1 where no error is known.
    """
    noise = np.square(signatures.error).mean(axis=1)
    total = np.square(signatures.delta).mean(axis=1)
    share = 1 - noise / np.maximum(total, 1e-12)
    return np.asarray(np.where(np.isfinite(share), np.clip(share, 0, 1), 1.0))


def _shared_by_line_and_plate(delta: np.ndarray, obs: pd.DataFrame) -> np.ndarray:
    """Find what treatments of a line on a plate share, beyond the plate's and the line's share."""
    where = pd.MultiIndex.from_frame(obs[["plate", "cell_line"]].astype(str))
    mean = pd.DataFrame(delta).groupby(where).mean()
    mean.index = pd.MultiIndex.from_tuples(mean.index)
    rest = mean - mean.groupby(level=0).transform("mean")
    rest = rest - rest.groupby(level=1).transform("mean")
    return rest.reindex(where).to_numpy()


def _kept(
    obs: pd.DataFrame, key: pd.Series, control: np.ndarray, min_cells: int, min_pair_cells: int
) -> tuple[np.ndarray, list[str]]:
    """Treated conditions that have controls and cells enough."""
    n_cells = obs["n_cells"]
    compared = key.isin(key[control]).to_numpy()
    treated = obs["role"].eq("treated").to_numpy()
    counted = ~(n_cells < max(min_cells, 1)).to_numpy()
    pairs = n_cells.groupby([obs["compound_key"], obs["cell_line"]], observed=True)
    pairs_counted = ~(pairs.transform(lambda n: n.sum(min_count=1)) < min_pair_cells).to_numpy()
    notes = []
    for bad, why in (
        (~compared, "have no control of their line on their plate"),
        (compared & ~counted, f"have fewer than {max(min_cells, 1):,} cells"),
        (compared & counted & ~pairs_counted, f"are of pairs below {min_pair_cells:,} cells"),
    ):
        n = int((bad & treated).sum())
        if n:
            notes.append(f"{n:,} of {int(treated.sum()):,} conditions {why}: left out")
    kept = np.flatnonzero(treated & compared & counted & pairs_counted)
    if not len(kept):
        raise InputError("no treated condition is left: " + ("; ".join(notes) or "there is none"))
    return kept, notes


def _weights(obs: pd.DataFrame) -> np.ndarray:
    n = obs["n_cells"].to_numpy(dtype=float)
    return np.where(np.isfinite(n), n, 1.0)


def _references(
    X: np.ndarray, variance: Any, obs: pd.DataFrame, key: pd.Series, control: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray, pd.Series]:
    """Mean of each group's controls by cells, its error between cells squared, and their number."""
    rows = np.flatnonzero(control)
    groups, n = key.iloc[rows].to_numpy(), _weights(obs)[rows]
    total = pd.Series(n, index=groups).groupby(level=0).sum()
    mean = pd.DataFrame(X[rows] * n[:, None]).groupby(groups).sum().div(total, axis=0)
    if variance is None:
        return mean, np.full(mean.shape, np.nan), total
    within = pd.DataFrame(np.asarray(variance)[rows] * n[:, None]).groupby(groups).sum()
    return mean, within.div(total**2, axis=0).to_numpy(), total


def _error_of_mean(variance: Any, n_cells: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Squared error of a condition's mean, between its cells."""
    if variance is None:
        return np.full((len(rows), 1), np.nan)
    return np.asarray(np.asarray(variance, dtype=np.float64)[rows] / n_cells[rows, None])


def _between_wells(
    X: np.ndarray, variance: Any, obs: pd.DataFrame, control: np.ndarray
) -> np.ndarray:
    """Squared difference between like wells beyond their cells, for each gene."""
    rows = np.flatnonzero(control)
    plate = (obs["cell_line"].astype(str) + "\n" + obs["plate"].astype(str)).iloc[rows].to_numpy()
    frame = pd.DataFrame(X[rows]).groupby(plate)
    free = len(rows) - frame.ngroups
    if free <= 0:
        return np.full(X.shape[1], np.nan)
    residual = X[rows] - frame.transform("mean").to_numpy()
    between = (residual**2).sum(axis=0) / free
    if variance is not None:
        between = between - _error_of_mean(variance, obs["n_cells"].to_numpy(), rows).mean(axis=0)
    return np.asarray(np.maximum(between, 0.0))
