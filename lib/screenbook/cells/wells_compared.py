"""Wells of a treatment against control wells of the same plates: what differs, and how surely.

A well is the unit: its cells share everything that happened to it. A treated well of an inert
compound could change places with a control well of its plate, so treatments are dealt anew within
plates and the statistic worked out again. That is fair only if both sorts of wells were treated
alike before. So control wells are parted: some are the reference that cells are scaled and scored
by, and only the others are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, norm, t
from sklearn.covariance import LedoitWolf

from screenbook.errors import InputError, listing

LEVEL = 0.95
"""Of intervals."""


def reference_wells(obs: pd.DataFrame, share: float = 0.5, seed: int = 0) -> np.ndarray:
    """Draw the control wells of each plate that serve as its reference.

    Parameters
    ----------
    obs : DataFrame, n rows
        Cells or fields, with ``batch``, ``well`` and ``role``.
    share : float
        Of a plate's control wells; at least one is a reference, and one is left.
    seed : int

    Returns
    -------
    ndarray of bool, shape (n,)
        Rows of those wells.

    Raises
    ------
    InputError
        If a plate has fewer than two control wells.
    """
    control = obs["role"].eq("control").to_numpy()
    names = well_names(obs)
    rng, drawn = np.random.default_rng(seed), list[str]()
    plates = obs["batch"].astype(str).to_numpy()
    for plate in np.unique(plates):
        wells = np.unique(names[control & (plates == plate)])
        if len(wells) < 2:
            raise InputError(
                f"column role: plate {plate!r} has {len(wells)} control wells with cells; one to "
                "be the reference and one to compare with are needed: leave the plate out"
            )
        n = min(max(1, round(share * len(wells))), len(wells) - 1)
        drawn += rng.permutation(wells)[:n].tolist()
    return np.isin(names, drawn)


def well_names(obs: pd.DataFrame) -> np.ndarray:
    """Name the well of each row, ``batch/well``; ndarray of str, shape (n,)."""
    return (obs["batch"].astype(str) + "/" + obs["well"].astype(str)).to_numpy().astype(str)


def well_means(values: np.ndarray, obs: pd.DataFrame, reference: np.ndarray) -> pd.DataFrame:
    """Average over the cells of each well.

    Parameters
    ----------
    values : ndarray, shape (n,) or (n, k)
        Of cells.
    obs : DataFrame, n rows
    reference : ndarray of bool, shape (n,)

    Returns
    -------
    DataFrame, one row a well
        Index: ``well experiment batch treatment role reference n_cells``; columns 0 to k - 1.
    """
    values = np.asarray(values, dtype=np.float64).reshape(len(obs), -1)
    keys = obs[["experiment", "batch", "treatment", "role"]].astype(str).reset_index(drop=True)
    keys = pd.DataFrame({"well": well_names(obs), **keys, "reference": reference})
    groups = pd.DataFrame(values).groupby([keys[c] for c in keys], sort=True)
    means = groups.mean()
    return means.set_index(
        pd.MultiIndex.from_frame(means.index.to_frame(False).assign(n_cells=groups.size().array))
    )


@dataclass(frozen=True)
class Comparison:
    """Wells of one treatment and control wells of its plates.

    Attributes
    ----------
    treatment : str
    values : ndarray, shape (n, k)
        About the mean of each plate's wells here.
    treated : ndarray of bool, shape (n,)
    plate : ndarray of int, shape (n,)
    """

    treatment: str
    values: np.ndarray
    treated: np.ndarray
    plate: np.ndarray


def comparisons(wells: pd.DataFrame) -> Iterator[Comparison]:
    """Set each treatment beside the controls that are no reference, plate by plate.

    Parameters
    ----------
    wells : DataFrame
        Of :func:`well_means`.

    Raises
    ------
    InputError
        If no treatment shares a plate with a control well that is compared.
    """
    about = wells.index.to_frame(False)
    control = (about["role"].eq("control") & ~about["reference"]).to_numpy()
    plates, plate = np.unique(about["batch"], return_inverse=True)
    some = False
    for name in sorted(about.loc[about["role"].ne("control"), "treatment"].unique()):
        treated = (about["treatment"].eq(name) & about["role"].ne("control")).to_numpy()
        both = np.intersect1d(plate[treated], plate[control])
        used = (treated | control) & np.isin(plate, both)
        if not len(both):
            continue
        some = True
        values = wells.to_numpy()[used]
        code = np.unique(plate[used], return_inverse=True)[1]
        yield Comparison(name, _about_plates(values, code), treated[used], code)
    if not some:
        raise InputError(
            f"column treatment: no plate of {listing(plates)} holds both treated wells and "
            "control wells to compare them with"
        )


def compare_wells(
    wells: pd.DataFrame, *, n_permutations: int = 1999, seed: int = 0
) -> pd.DataFrame:
    """Test of every treatment whether its wells differ from controls of the same plates.

    The statistic is the squared difference of means over the covariance of wells within plates
    (shrunken, Ledoit & Wolf 2004, 10.1016/S0047-259X(03)00096-4): Hotelling's, if there were
    wells enough for his distribution. p is the share of permutations within plates that reach it.

    Parameters
    ----------
    wells : DataFrame
        Of :func:`well_means`; one column or many.
    n_permutations, seed : int

    Returns
    -------
    DataFrame, one row a treatment
        ``treatment``, ``n_wells``, ``n_control_wells``, ``n_plates``, ``p``, ``q`` (Benjamini and
        Hochberg over treatments), ``effect`` (standardised difference, see :func:`effect_size`),
        ``low``, ``high`` (95 %).
    """
    rows = []
    for one in comparisons(wells):
        d, low, high = effect_size(one)
        rows.append(
            {
                "treatment": one.treatment,
                "n_wells": int(one.treated.sum()),
                "n_control_wells": int((~one.treated).sum()),
                "n_plates": int(one.plate.max()) + 1,
                "p": permutation_p(one, n_permutations, seed),
                **{"effect": d, "low": low, "high": high},
            }
        )
    table = pd.DataFrame(rows)
    table.insert(5, "q", false_discovery_control(table["p"]))
    return table


def permutation_p(one: Comparison, n_permutations: int = 1999, seed: int = 0) -> float:
    """Share of permutations within plates that are as far from no difference; see above."""
    white = one.values @ _whitening(one.values)
    weights = _dealt(one, n_permutations, np.random.default_rng(seed))
    found = ((weights @ white) ** 2).sum(axis=1)
    return float((found >= found[0] * (1 - 1e-9)).mean())


def with_fewer(one: Comparison, kept: np.ndarray) -> Comparison:
    """Leave wells out, and with its last treated well the controls of a plate.

    Parameters
    ----------
    one : Comparison
    kept : ndarray of bool, shape (n,)
    """
    used = kept & np.isin(one.plate, one.plate[kept & one.treated])
    plate = np.unique(one.plate[used], return_inverse=True)[1]
    values = _about_plates(one.values[used], plate)
    return Comparison(one.treatment, values, one.treated[used], plate)


def effect_size(one: Comparison) -> tuple[float, float, float]:
    """Standardised difference (Cohen's d, unit: SD between wells) with a 95 % interval.

    Several columns are first brought to one: wells of each plate are projected on the direction
    in which those of the other plates differ. A direction that was fitted to the same wells would
    show a difference where there is none. The interval is that of large samples (Hedges & Olkin
    1985); it leaves out that the direction is an estimate.

    Returns
    -------
    effect, low, high : float
        NaN where there is one plate only and several columns, or no degree of freedom.
    """
    line = one.values[:, 0] if one.values.shape[1] == 1 else _projected(one)
    n, m = int(one.treated.sum()), int((~one.treated).sum())
    free = n + m - int(one.plate.max()) - 2
    if free < 1 or not np.isfinite(line).all():
        return np.nan, np.nan, np.nan
    # Least squares with a level for each plate: plates with more pairs of wells count more.
    treated = _about_plates(one.treated[:, None].astype(float), one.plate)[:, 0]
    line = _about_plates(line[:, None], one.plate)[:, 0]
    weight = float(treated @ treated)
    difference = float(treated @ line) / weight
    spread = float(np.sqrt(((line - difference * treated) ** 2).sum() / free))
    if not spread > 0:
        return (0.0 if difference == 0 else np.inf * np.sign(difference)), np.nan, np.nan
    d = difference / spread
    error = np.sqrt(1 / weight + d**2 / (2 * free))
    reach = float(norm.ppf((1 + LEVEL) / 2)) * error
    return d, d - reach, d + reach


def responding_share(wells: pd.DataFrame) -> pd.DataFrame:
    """Estimate which share of a treatment's cells left the range of control cells.

    Where a share c of control cells is marked and a share s of treated cells, at least
    (s - c) / (1 - c) of the treated cells responded; those that responded and still look like
    controls are not counted, so this is a lower bound.

    Parameters
    ----------
    wells : DataFrame
        Of :func:`well_means`, one column: the share of marked cells.

    Returns
    -------
    DataFrame, one row a treatment
        ``treatment``, ``marked``, ``control_marked`` (means of wells), ``responding`` with ``low``
        and ``high`` (95 %, Student's t over plates; NaN for one plate).
    """
    rows = []
    raw = wells.to_numpy()[:, 0]
    about = wells.index.to_frame(False)
    compared = (about["role"].eq("control") & ~about["reference"]).to_numpy()
    for name in sorted(about.loc[about["role"].ne("control"), "treatment"].unique()):
        treated = (about["treatment"].eq(name) & about["role"].ne("control")).to_numpy()
        plates = np.intersect1d(about["batch"][treated], about["batch"][compared])
        means = np.array(
            [[raw[side & about["batch"].eq(p).to_numpy()].mean() for side in (treated, compared)]
             for p in plates]
        ).reshape(-1, 2)  # fmt: skip
        if not len(plates):
            continue
        marked, control = means.mean(axis=0)
        excess = (means[:, 0] - means[:, 1]) / max(1 - control, 1e-9)
        reach = np.nan
        if len(plates) > 1:
            error = excess.std(ddof=1) / np.sqrt(len(plates))
            reach = float(t.ppf((1 + LEVEL) / 2, len(plates) - 1)) * error
        middle = float(excess.mean())
        rows.append(
            {
                **{"treatment": name, "marked": marked, "control_marked": control},
                **{"responding": middle, "low": middle - reach, "high": middle + reach},
            }
        )
    return pd.DataFrame(rows)


def _about_plates(values: np.ndarray, plate: np.ndarray) -> np.ndarray:
    counts = np.bincount(plate)[:, None]
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, plate, values)
    return np.asarray(values - (sums / counts)[plate])


def _whitening(values: np.ndarray) -> np.ndarray:
    """Bring the covariance of wells within plates to one; permutations leave it as it is."""
    covariance = LedoitWolf(assume_centered=True).fit(values).covariance_
    size = max(float(np.trace(covariance)) / len(covariance), 1e-300)
    whole = covariance / size + 1e-9 * np.eye(len(covariance))
    return np.asarray(np.linalg.inv(np.linalg.cholesky(whole)).T / np.sqrt(size))


def _dealt(one: Comparison, n: int, rng: np.random.Generator) -> np.ndarray:
    """Weights (1 + n, wells) whose sums are differences of means; the first as observed."""
    share = np.bincount(one.plate[one.treated]) / one.treated.sum()
    weights = np.zeros((n + 1, len(one.treated)))
    for plate, part in enumerate(share):
        here = np.flatnonzero(one.plate == plate)
        k = int(one.treated[here].sum())
        order = np.argsort(rng.random((n + 1, len(here))), axis=1)
        order[0] = np.argsort(~one.treated[here], kind="stable")
        signed = np.repeat([part / k, -part / (len(here) - k)], [k, len(here) - k])
        dealt = np.empty((n + 1, len(here)))
        np.put_along_axis(dealt, order, np.broadcast_to(signed, dealt.shape), axis=1)
        weights[:, here] = dealt
    return weights


def _projected(one: Comparison) -> np.ndarray:
    """Wells of each plate along the direction in which those of the other plates differ."""
    line = np.full(len(one.values), np.nan)
    for plate in np.unique(one.plate):
        here = one.plate == plate
        if here.all():
            return line
        others, treated = one.values[~here], one.treated[~here]
        difference = others[treated].mean(axis=0) - others[~treated].mean(axis=0)
        within = np.where(treated[:, None], others - others[treated].mean(axis=0),
                          others - others[~treated].mean(axis=0))  # fmt: skip
        root = _whitening(within)
        axis = root @ (root.T @ difference)
        line[here] = one.values[here] @ axis / max(np.linalg.norm(root.T @ difference), 1e-12)
    return line
