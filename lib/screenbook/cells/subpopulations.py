"""What well means hide: compounds that change some cells of a well and leave the others.

A mean over cells that shifts by a little can be one cell in seven that changed much. Every cell
gets a score, how much nearer it lies to treated cells than to control cells of experiments that
are not its own; cells beyond the range of the reference controls are marked; and wells are
compared by the share of marked cells. Beside it stands the usual test, on the mean profiles of
the same wells. See :mod:`.wells_compared` for how both are tested.

A third test is on well means in the learned space. Where a space has one place for cells that
responded and one for those that did not, a mean over it is a share by another name: with wells
enough it finds what means of measured features do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from screenbook.cells.cell_metric import CrossFitted
from screenbook.cells.wells_compared import (
    compare_wells,
    comparisons,
    permutation_p,
    reference_wells,
    responding_share,
    well_means,
    well_names,
    with_fewer,
)
from screenbook.errors import InputError
from screenbook.images.normalise import standardise
from screenbook.images.shares import clustered_share
from screenbook.profiles.robust import MAD_TO_SD

MEANS, CHANGED, LEARNED = "well means", "share of changed cells", "well means, learned space"
"""The tests: mean measured features, marked cells, mean embedding."""


@dataclass(frozen=True)
class Subpopulations:
    """Treatments against controls, by mean and by cell.

    Attributes
    ----------
    table : DataFrame
        One row for each ``test`` and ``treatment``, with the columns of
        :func:`screenbook.cells.wells_compared.compare_wells` and ``found`` (q below 0.05).
    responding : DataFrame
        Of :func:`screenbook.cells.wells_compared.responding_share`.
    cells : DataFrame, n rows
        ``score`` (SD of the reference cells of the plate; larger is less like a control),
        ``marked``, ``reference``, ``treatment``, ``role``, ``batch``, ``well``; index as `obs`.
    wells : dict of str to DataFrame
        What each test compared.
    """

    table: pd.DataFrame
    responding: pd.DataFrame
    cells: pd.DataFrame
    wells: dict[str, pd.DataFrame]


def responder_scores(
    fitted: CrossFitted, obs: pd.DataFrame, reference: np.ndarray, *, k: int = 15
) -> np.ndarray:
    """Score how unlike controls each cell is, by cells of other experiments.

    The score is the logarithm of the mean distance to the k nearest control cells over that to
    the k nearest treated cells, a ratio of densities (Loftsgaarden & Quesenberry 1965,
    10.1214/aoms/1177700079, up to the factor of the dimension).

    Parameters
    ----------
    fitted : CrossFitted
        A space, learned or measured.
    obs : DataFrame, n rows
        With ``batch`` and ``role``.
    reference : ndarray of bool, shape (n,)
        Of :func:`screenbook.cells.wells_compared.reference_wells`.
    k : int

    Returns
    -------
    ndarray of float64, shape (n,)
        Median 0 and SD 1 (by the median absolute deviation) among the reference cells of a plate.

    Raises
    ------
    InputError
        If there are no treated cells to learn from, or fewer than k of a kind.
    """
    batch = obs["batch"].astype(str).to_numpy()
    control = obs["role"].eq("control").to_numpy()
    score = np.full(len(obs), np.nan)
    for fold in np.unique(fitted.fold):
        asked = fitted.fold == fold
        points = standardise(fitted.points[fold], batch, reference)
        away = []
        for what, kind in (("control", control), ("treated", ~control)):
            known = kind & ~asked
            if known.sum() < k:
                raise InputError(
                    f"column role: {int(known.sum())} {what} cells outside fold {fold + 1}, and "
                    f"k = {k} neighbours are asked for: lower k, or bring more wells"
                )
            nearest = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points[known])
            away.append(nearest.kneighbors(points[asked])[0].mean(axis=1))
        score[asked] = np.log(np.maximum(away[0], 1e-9) / np.maximum(away[1], 1e-9))
    for plate in np.unique(batch):
        here = batch == plate
        kept = score[here & reference]
        middle = np.median(kept)
        score[here] -= middle
        score[here] /= max(MAD_TO_SD * float(np.median(np.abs(kept - middle))), 1e-9)
    return score


def hidden_changes(
    features: pd.DataFrame,
    fitted: CrossFitted,
    obs: pd.DataFrame,
    reference: np.ndarray,
    *,
    share: float = 0.03,
    k: int = 15,
    n_permutations: int = 1999,
    seed: int = 0,
) -> Subpopulations:
    """Test every treatment on its well means and on its share of changed cells.

    Parameters
    ----------
    features : DataFrame, n rows
        Measured, see :func:`screenbook.cells.cell_features.cell_features`.
    fitted : CrossFitted
        The learned space.
    obs : DataFrame, n rows
        Cells: ``experiment batch well treatment role``.
    reference : ndarray of bool, shape (n,)
    share : float
        Of the reference cells that are marked, 0 to 1.
    k : int
        See :func:`responder_scores`.
    n_permutations, seed : int

    Returns
    -------
    Subpopulations
    """
    batch = obs["batch"].astype(str).to_numpy()
    score = responder_scores(fitted, obs, reference, k=k)
    marked = score > np.quantile(score[reference], 1 - share)
    measured = standardise(features.to_numpy(), batch, reference)
    wells = {
        MEANS: well_means(measured, obs, reference),
        CHANGED: well_means(marked, obs, reference),
        LEARNED: well_means(own_points(fitted, obs, reference), obs, reference),
    }
    parts = [
        compare_wells(one, n_permutations=n_permutations, seed=seed).assign(test=test)
        for test, one in wells.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "test", table.pop("test"))
    about = obs[["treatment", "role", "batch", "well"]]
    cells = about.assign(score=score, marked=marked, reference=reference)
    return Subpopulations(
        table.assign(found=table["q"] < 0.05), responding_share(wells[CHANGED]), cells, wells
    )


def own_points(fitted: CrossFitted, obs: pd.DataFrame, reference: np.ndarray) -> np.ndarray:
    """Cells as the net of their own fold sees them, on the scale of their plate's reference.

    Returns
    -------
    ndarray of float32, shape (n, k)
    """
    batch = obs["batch"].astype(str).to_numpy()
    points = fitted.points[fitted.fold, np.arange(len(obs))]
    return standardise(points, batch, reference)


def power_by_wells(
    wells: Mapping[str, pd.DataFrame],
    numbers: Sequence[int],
    *,
    n_draws: int = 100,
    n_permutations: int = 199,
    seed: int = 0,
) -> pd.DataFrame:
    """How often each test finds a treatment with fewer wells of it, at p <= 0.05.

    Wells are drawn from those that there are; controls stay. Draws overlap, so this says what
    these wells would have shown, not what others would.

    Parameters
    ----------
    wells : mapping of str to DataFrame
        ``Subpopulations.wells``.
    numbers : sequence of int
        Wells of a treatment; more than there are is left out.
    n_draws, n_permutations, seed : int

    Returns
    -------
    DataFrame
        ``test``, ``treatment``, ``n_wells``, ``power``, ``n_draws``.
    """
    rows = []
    for test, table in wells.items():
        for one in comparisons(table):
            mine = np.flatnonzero(one.treated)
            for n in (n for n in numbers if n <= len(mine)):
                rng = np.random.default_rng([seed, n])
                found = []
                for draw in range(n_draws if n < len(mine) else 1):
                    kept = ~one.treated
                    kept[rng.permutation(mine)[:n]] = True
                    found.append(permutation_p(with_fewer(one, kept), n_permutations, draw) <= 0.05)
                rows.append(
                    {
                        **{"test": test, "treatment": one.treatment, "n_wells": n},
                        **{"power": float(np.mean(found)), "n_draws": len(found)},
                    }
                )
    return pd.DataFrame(rows)


def null_rejections(
    features: pd.DataFrame,
    fitted: CrossFitted,
    obs: pd.DataFrame,
    *,
    n_draws: int = 60,
    share: float = 0.03,
    k: int = 15,
    n_permutations: int = 199,
    seed: int = 0,
) -> pd.DataFrame:
    """Let control wells pose as a treatment, and count how often it is found at p <= 0.05.

    In each draw a control well of every plate changes its label; reference, scale, scores and
    tests are then worked out anew, with one treated cell in three as those to learn from.

    Parameters
    ----------
    features, fitted, obs, share, k
        See :func:`hidden_changes`; every plate has three control wells or more.
    n_draws, n_permutations, seed : int

    Returns
    -------
    DataFrame, one row a test
        ``test``, ``rejected`` (share, with ``low`` and ``high``), ``n_draws``.
    """
    control = obs["role"].eq("control").to_numpy()
    names, batch = well_names(obs), obs["batch"].astype(str).to_numpy()
    found: dict[str, list[bool]] = {}
    for draw in range(n_draws):
        rng = np.random.default_rng([seed, draw])
        posing = [rng.choice(np.unique(names[control & (batch == p)])) for p in np.unique(batch)]
        poses = np.isin(names, posing)
        kept = control | (rng.random(len(obs)) < 1 / 3)
        labels = obs.assign(
            treatment=np.where(poses, "posing", obs["treatment"]),
            role=np.where(poses, "treated", obs["role"]),
        )[kept]
        part = CrossFitted(fitted.points[:, kept], fitted.fold[kept])
        reference = reference_wells(labels, seed=draw)
        score = responder_scores(part, labels, reference, k=k)
        marked = score > np.quantile(score[reference], 1 - share)
        measured = standardise(features.to_numpy()[kept], batch[kept], reference)
        learned = own_points(part, labels, reference)
        asked = (labels["role"].eq("control") | labels["treatment"].eq("posing")).to_numpy()
        for test, values in ((MEANS, measured), (CHANGED, marked), (LEARNED, learned)):
            wells = well_means(values[asked], labels[asked], reference[asked])
            p = permutation_p(next(comparisons(wells)), n_permutations, draw)
            found.setdefault(test, []).append(p <= 0.05)
    shares = {t: clustered_share(np.array(f), np.arange(n_draws)) for t, f in found.items()}
    return pd.DataFrame(
        {"test": t, "rejected": s.value, "low": s.low, "high": s.high, "n_draws": s.n}
        for t, s in shares.items()
    )
