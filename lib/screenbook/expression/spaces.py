"""Spaces in which expression signatures are compared.

Two signatures of different drugs on one plate look alike for reasons that have nothing to do
with the drugs: the plate, the handling, the stress that most active drugs share. A space takes
such directions out, or lets them count less, before a score is computed. What it learns, it
learns from the library or from control wells, without names of compounds.

Removing the leading components of expression profiles is the usual remedy for hidden batch
effects (Leek & Storey 2007, 10.1371/journal.pgen.0030161, model them; here they are dropped);
whitening with a shrunken covariance follows Ledoit & Wolf 2004 (10.1016/S0047-259X(03)00096-4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.stats import norm, rankdata
from sklearn.covariance import ledoit_wolf_shrinkage

from screenbook.blocks import group_sums
from screenbook.errors import InputError, listing

SCALES = ("none", "control", "ranks")
BASES = ("library", "control")

_NOTHING = 1e-10
"""Variance, relative to the largest, below which a direction has none."""


@dataclass(frozen=True)
class Space:
    """How signatures are changed before they are compared.

    Attributes
    ----------
    scale : {"none", "control", "ranks"}
        Genes as they are; over the standard deviation among control wells; or each signature's
        genes by their ranks, as normal scores.
    remove : int
        Leading principal components to drop.
    whiten : float
        0 leaves the variances of components, 1 makes them equal, 0.5 goes half the way.
    basis : {"library", "control"}
        What components and variances are learned from: library signatures, or control wells.
    """

    scale: str = "none"
    remove: int = 0
    whiten: float = 0.0
    basis: str = "library"

    def __post_init__(self) -> None:
        for field, value, choices in (
            ("scale", self.scale, SCALES),
            ("basis", self.basis, BASES),
        ):
            if value not in choices:
                raise InputError(f"{field} {value!r} is none of {listing(choices)}")
        if self.remove < 0 or not 0 <= self.whiten <= 1:
            raise InputError(
                f"remove is {self.remove} and whiten {self.whiten:g}; take 0 components or more, "
                "and a power from 0 to 1"
            )

    @property
    def needs_controls(self) -> bool:
        """Whether it cannot be fitted without control wells."""
        return "control" in (self.scale, self.basis)

    @property
    def turns(self) -> bool:
        """Whether it uses principal components."""
        return self.remove > 0 or self.whiten > 0

    def __str__(self) -> str:
        scale = {"none": "change", "control": "change / control SD", "ranks": "ranks"}[self.scale]
        of = {"library": "", "control": " of controls"}[self.basis]
        removed = f" − {self.remove} PC{of}" if self.remove else ""
        return scale + removed + (f", whitened{of} {self.whiten:g}" if self.whiten else "")


@dataclass(frozen=True)
class FittedSpace:
    """A space that has been learned; :meth:`transform` takes signatures into it.

    Attributes
    ----------
    space : Space
    unit : ndarray of float64, shape (n_genes,)
        What genes are divided by.
    axes : ndarray of float64, shape (k, n_genes)
        Orthonormal directions that are treated by themselves.
    factor : ndarray of float64, shape (k,)
        By which each is multiplied.
    rest : float
        By which all other directions are.
    """

    space: Space
    unit: np.ndarray
    axes: np.ndarray
    factor: np.ndarray
    rest: float

    def transform(self, delta: np.ndarray) -> np.ndarray:
        """Take signatures (n, n_genes) into the space, float64 of the same shape."""
        values = _scaled(delta, self.space.scale, self.unit)
        if not self.space.turns:
            return values
        along = values @ self.axes.T  # (n, k)
        return self.rest * values + (along * (self.factor - self.rest)) @ self.axes


@dataclass(frozen=True)
class Components:
    """Principal components of what a space is learned from; shared by spaces of one scale.

    Attributes
    ----------
    unit : ndarray of float64, shape (n_genes,)
    axes : ndarray of float64, shape (k, n_genes)
        Leading first.
    variance : ndarray of float64, shape (k,)
        Shrunken variance along each.
    sphere : float
        Shrunken variance along all other directions.
    """

    unit: np.ndarray
    axes: np.ndarray
    variance: np.ndarray
    sphere: float

    def fit(self, space: Space) -> FittedSpace:
        """Give a space of this scale and basis.

        Raises
        ------
        InputError
            If it is to drop all components.
        """
        if space.remove and space.remove >= len(self.axes) - 1:
            raise InputError(
                f"space {str(space)!r} drops all of {len(self.axes)} components: drop fewer"
            )
        floor = _NOTHING * float(self.variance.max(initial=0.0)) or 1.0
        factor = np.maximum(self.variance, floor) ** (-space.whiten / 2)
        factor[: space.remove] = 0.0
        rest = max(self.sphere, floor) ** (-space.whiten / 2)
        return FittedSpace(space, self.unit, self.axes, factor, rest)


def learn_components(
    scale: str, basis: str, library: np.ndarray, controls: np.ndarray | None = None
) -> Components:
    """Find the principal components of scaled signatures, with shrunken variances.

    Parameters
    ----------
    scale, basis : str
        As in :class:`Space`.
    library : ndarray, shape (c, n_genes)
        Signatures that will be searched.
    controls : ndarray, shape (m, n_genes), optional
        Control wells about the mean of their plate.

    Returns
    -------
    Components

    Raises
    ------
    InputError
        If control wells are needed and there are fewer than three.
    """
    unit = np.ones(library.shape[1])
    source = library
    if "control" in (scale, basis):
        if controls is None or len(controls) < 3:
            raise InputError(
                f"this space is learned from control wells, and there are "
                f"{0 if controls is None else len(controls)}: take one without them"
            )
        unit = _control_unit(controls) if scale == "control" else unit
        source = controls if basis == "control" else library
    values = _scaled(source, scale, unit)
    values = values - values.mean(axis=0)
    variance, axes = _principal(values)
    shrinkage = float(ledoit_wolf_shrinkage(values, assume_centered=True))
    sphere = shrinkage * float(variance.sum()) / len(unit)
    return Components(unit, axes, (1 - shrinkage) * variance + sphere, sphere)


def fit_space(space: Space, library: np.ndarray, controls: np.ndarray | None = None) -> FittedSpace:
    """Learn a space; parameters and errors as for :func:`learn_components`."""
    return learn_components(space.scale, space.basis, library, controls).fit(space)


def centre_on_treated(delta: np.ndarray, batch: np.ndarray) -> np.ndarray:
    """Subtract the mean signature of each plate's treated wells.

    It takes out what a few control wells of a plate leave in, and what most drugs of a plate
    share. Drugs must be many and of many kinds: on a plate of one drug nothing is left.

    Parameters
    ----------
    delta : ndarray, shape (n, n_genes)
        Signatures of treated wells.
    batch : ndarray, shape (n,)
        Plate (and cell line) of each.

    Returns
    -------
    ndarray of float64, shape (n, n_genes)
    """
    _, code, count = np.unique(batch, return_inverse=True, return_counts=True)
    means = group_sums(np.asarray(delta, dtype=np.float64), code, len(count)) / count[:, None]
    return delta - means[code]


def _principal(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances (k,) and axes (k, n_genes) of centred values, from the smaller of both products.

    An order of magnitude faster than the singular values of the whole, at the cost of axes whose
    variance is below a ten-billionth of the first, which are left to the rest.
    """
    n, n_genes = values.shape
    if n < n_genes:
        variance, left = eigh(values @ values.T / n)
        kept = variance > _NOTHING * max(variance[-1], 0.0)
        axes = (values.T @ left[:, kept] / np.sqrt(n * variance[kept])).T
        return variance[kept][::-1], axes[::-1]
    variance, right = eigh(values.T @ values / n)
    kept = variance > _NOTHING * max(variance[-1], 0.0)
    return variance[kept][::-1], right[:, kept].T[::-1]


def _scaled(delta: np.ndarray, scale: str, unit: np.ndarray) -> np.ndarray:
    delta = np.asarray(delta, dtype=np.float64)
    if scale == "ranks":
        scores = norm.ppf((rankdata(delta, axis=1) - 0.5) / delta.shape[1])
        flat = np.ptp(delta, axis=1, keepdims=True) == 0
        return np.where(flat, 0.0, scores)
    return delta / unit


def _control_unit(controls: np.ndarray) -> np.ndarray:
    """Take each gene's standard deviation, in part only: few wells tell it badly.

    Half the weight goes to the median over genes, which also keeps a gene that happens not to
    vary from counting for everything.
    """
    spread = np.asarray(controls, dtype=np.float64).std(axis=0, ddof=1)
    middle = float(np.median(spread))
    return (spread + middle) / 2 if middle > 0 else np.ones(len(spread))
