"""Grit: how much more alike replicates of a treatment are than negative controls are to them.

For each treated field, its similarities to replicates are standardised by its similarities to
controls (cytominer-eval). Where controls lie in a tight cluster these hardly vary, the
denominator goes to zero and a single field decides the mean. So similarities are cosines about
the centre of the controls, the denominator is a scaled median absolute deviation that cannot fall
below a floor, and the number of fields at the floor is told. The first form, by mean and SD of
plain cosines, stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t

from screenbook.images.probes import unit_rows
from screenbook.profiles.robust import MAD_TO_SD


@dataclass(frozen=True)
class Grit:
    """Grit of a set of treatments.

    Attributes
    ----------
    value, low, high : float
        Mean over treatments and its 95 % interval over treatments (Student's t); 0 if replicates
        are no more alike than controls are to them. NaN without a treatment that has replicates.
    plain : float
        The same in its first form, which can be anything where controls are tight.
    n_fields, n_controls, n_treatments : int
        Treated fields with a replicate, controls they are compared to, treatments.
    at_floor : float
        Share of fields whose denominator was raised to the floor.
    table : DataFrame
        One row per treatment: ``treatment n_fields n_replicates grit plain at_floor``
        (replicates: mean number per field).
    """

    value: float
    low: float
    high: float
    plain: float
    n_fields: int
    n_controls: int
    n_treatments: int
    at_floor: float
    table: pd.DataFrame


def grit(
    embedding: np.ndarray,
    treatment: np.ndarray,
    control: np.ndarray,
    batch: np.ndarray,
    *,
    cell_type: np.ndarray | None = None,
    floor: float = 0.05,
) -> Grit:
    """Compare replicates on other batches with negative controls.

    Parameters
    ----------
    embedding : ndarray, shape (n, d)
    treatment : ndarray, shape (n,)
        What each field was given; that of controls is not looked at.
    control : ndarray of bool, shape (n,)
        Negative controls.
    batch : ndarray, shape (n,)
        Replicates are fields of the same treatment in *other* batches, so that likeness of a
        plate to itself does not pass for an effect. With a single batch there are none.
    cell_type : ndarray, shape (n,), optional
        Replicates and controls of a field are those of its cell type.
    floor : float
        Least denominator, in units of cosine.

    Returns
    -------
    Grit
    """
    control = np.asarray(control, dtype=bool)
    points = np.asarray(embedding, dtype=np.float64)
    names = np.asarray(treatment).astype(str)
    kind = np.zeros(len(points)) if cell_type is None else np.asarray(cell_type)
    parts = []
    for name in np.unique(kind):
        mine = kind == name
        part = _score_fields(points[mine], names[mine], control[mine], batch[mine], floor)
        parts.append(part.assign(kind=name))
    fields = pd.concat(parts, ignore_index=True)
    groups = fields.groupby(["kind", "treatment"], sort=True)
    means = groups[_COLUMNS[1:]].mean().assign(n_fields=groups.size()).reset_index()
    table = means[["treatment", *_COLUMNS]]
    n = len(table)
    value = float(table["grit"].mean()) if n else np.nan
    reach = t.ppf(0.975, n - 1) * table["grit"].std() / np.sqrt(n) if n > 1 else np.nan
    return Grit(
        *(value, float(value - reach), float(value + reach)),
        float(table["plain"].mean()) if n else np.nan,
        *(len(fields), int(control.sum()), n),
        float(fields["at_floor"].mean()) if n else np.nan,
        table,
    )


_COLUMNS = ["n_fields", "n_replicates", "grit", "plain", "at_floor"]
_FEWEST_CONTROLS = 3


def _score_fields(
    points: np.ndarray, treatment: np.ndarray, control: np.ndarray, batch: np.ndarray, floor: float
) -> pd.DataFrame:
    """Score every treated field that has a replicate; none where controls are too few."""
    treated = np.flatnonzero(~control)
    same = treatment[treated][:, None] == treatment[treated]
    pairs = same & (batch[treated][:, None] != batch[treated])
    n_replicates = pairs.sum(axis=1)
    used = (n_replicates > 0) & (control.sum() >= _FEWEST_CONTROLS)
    if not used.any():
        columns = {name: np.zeros(0) for name in ("n_replicates", "grit", "plain", "at_floor")}
        return pd.DataFrame({"treatment": np.zeros(0, dtype=str), **columns})
    each, at_floor = _robust_scores(points[treated], points[control], pairs, floor)
    unit = unit_rows(points)
    fields = pd.DataFrame(
        {
            "treatment": treatment[treated],
            "n_replicates": n_replicates.astype(float),
            "grit": each,
            "plain": _plain_scores(unit[treated], unit[control], pairs),
            "at_floor": at_floor.astype(float),
        }
    )
    return fields[used]


def _robust_scores(
    treated: np.ndarray, control: np.ndarray, pairs: np.ndarray, floor: float
) -> tuple[np.ndarray, np.ndarray]:
    """Score of each treated field, and whether its denominator was raised."""
    centre = control.mean(axis=0)
    about = unit_rows(treated - centre)
    to_control = _cosines_about_others(treated - centre, control - centre)
    middle = np.median(to_control, axis=1)
    spread = MAD_TO_SD * np.median(np.abs(to_control - middle[:, None]), axis=1)
    excess = _mean_over(about @ about.T, pairs) - middle
    return excess / np.maximum(spread, floor), spread < floor


def _cosines_about_others(treated: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Cosine of each treated field with each control, about the mean of all other controls.

    About the mean of all, two treated fields share what that mean is off by, and a treated
    field and a control, which is part of the mean, do not: replicates would look alike by 1 / n.

    Parameters
    ----------
    treated, control : ndarray, shape (t, d) and (c, d)
        About the mean of all controls.
    """
    others = -control / (len(control) - 1)  # the mean of all but one, about that of all
    across = treated @ others.T
    size = np.einsum("ij,ij->i", others, others)
    products = treated @ control.T - across - np.einsum("ij,ij->i", control, others) + size
    length = np.einsum("ij,ij->i", treated, treated)[:, None] - 2 * across + size
    own = np.linalg.norm(control - others, axis=1)
    return products / np.maximum(np.sqrt(np.maximum(length, 0)) * own, 1e-12)


def _plain_scores(treated: np.ndarray, control: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    to_control = treated @ control.T
    # Rounding's size, so that controls in one point give a huge number and not a division by 0.
    spread = np.maximum(to_control.std(axis=1, ddof=1), 1e-9)
    return (_mean_over(treated @ treated.T, pairs) - to_control.mean(axis=1)) / spread


def _mean_over(similarity: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Mean similarity to the fields that each one is paired with, 0 where there is none."""
    return np.where(pairs, similarity, 0.0).sum(axis=1) / np.maximum(pairs.sum(axis=1), 1)
