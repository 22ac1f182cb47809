"""What a simulated image set is made of: every number that shapes it, with its unit."""

from __future__ import annotations

from dataclasses import dataclass

from screenbook.errors import InputError, did_you_mean
from screenbook.simulate.images.knobs import CELL_TYPES
from screenbook.simulate.images.treatments import BY_NAME, COMPOUNDS

CHANNELS = ("DNA", "ER", "actin", "RNA", "mitochondria", "Golgi")
"""What is stained, in the order of the channels (and of RxRx1)."""

N_ROWS, N_COLUMNS = 16, 24
"""Of a plate of 384 wells."""

LEAST = {
    **{"seed": 0, "n_experiments": 1, "n_sites": 1, "n_control_fields": 0, "n_treated_fields": 0},
    **{"size_px": 16, "um_per_px": 0.05, "treatment_strength": 0, "illumination": 0},
    **{"well_spread": 0, "stain_spread": 0, "density_spread": 0, "cell_spread": 0},
    **{"gain_strength": 0, "batch_strength": 0},
}
"""The smallest value of each number."""


@dataclass(frozen=True)
class ImageSpec:
    """Design and difficulty of a simulated image set.

    Each experiment is one plate, and so one batch. A strength of 0 takes an effect away and
    leaves all else as it was.

    Attributes
    ----------
    seed : int
        Everything random follows from it.
    n_experiments : int
        Named E01, E02, ...
    cell_types : tuple of str
        All of them on every plate, untreated.
    treated_cell_type : str
        The one that compounds are tried on.
    compounds : tuple of str
        Names in :data:`screenbook.simulate.images.treatments.BY_NAME`; all on every plate.
    n_control_fields : int
        Untreated fields of each cell type on a plate.
    n_treated_fields : int
        Fields of each compound on a plate.
    n_sites : int
        Fields of a well; it divides the two numbers above.
    size_px : int
        Height and width of a field.
    um_per_px : float
        Pixel size. 1.3 is a 20x objective on a camera of 6.5 um pixels, binned 4 x 4.
    treatment_strength : float
        Factor on what compounds do, over that which each has of its own.
    well_spread : float
        SD of biology knobs between like wells, on their logarithm or log odds.
    stain_spread : float
        SD of the stain that wells take up, of each channel, on its logarithm.
    density_spread : float
        SD of the number of cells between fields of a well, on its logarithm.
    cell_spread : float
        SD of size, shape and stain between cells of a field, on their logarithm.
    gain_strength : float
        Factor on batch effects that an affine correction of each channel takes off: stain
        and camera gain, offset.
    batch_strength : float
        Factor on batch effects that none takes off: blur, haze, bleed-through, loose
        stain, response curve, misalignment of channels, seeding density, shrinkage.
    illumination : float
        Factor on how much darker than the brightest point a field's corner is.
    """

    seed: int = 0
    n_experiments: int = 20
    cell_types: tuple[str, ...] = ("HUVEC", "RPE", "HEPG2", "U2OS")
    treated_cell_type: str = "U2OS"
    compounds: tuple[str, ...] = tuple(c.name for c in COMPOUNDS)
    n_control_fields: int = 28
    n_treated_fields: int = 8
    n_sites: int = 2
    size_px: int = 108
    um_per_px: float = 1.3
    treatment_strength: float = 1.4
    well_spread: float = 0.05
    stain_spread: float = 0.12
    density_spread: float = 0.10
    cell_spread: float = 0.10
    gain_strength: float = 1.0
    batch_strength: float = 1.0
    illumination: float = 1.0

    def __post_init__(self) -> None:
        for name in (*self.cell_types, self.treated_cell_type):
            if name not in CELL_TYPES:
                raise InputError(
                    f"cell type {name!r} cannot be simulated: choose from "
                    f"{', '.join(CELL_TYPES)}{did_you_mean(name, CELL_TYPES)}"
                )
        for name in self.compounds:
            if name not in BY_NAME:
                raise InputError(
                    f"compound {name!r} cannot be simulated: choose from "
                    f"{', '.join(BY_NAME)}{did_you_mean(name, BY_NAME)}"
                )
        for what in ("cell_types", "compounds"):
            names = getattr(self, what)
            if len(set(names)) < len(names):
                raise InputError(f"{what} names one of {list(names)} twice: drop it")
        for name, least in LEAST.items():
            if not getattr(self, name) >= least:  # nor NaN
                raise InputError(f"{name} = {getattr(self, name)} is below {least}: raise it")
        for name in ("n_control_fields", "n_treated_fields"):
            if getattr(self, name) % self.n_sites:
                raise InputError(
                    f"{name} = {getattr(self, name)} is no multiple of n_sites = {self.n_sites}: "
                    "every well has the same number of fields"
                )
        fields = (
            len(self.cell_types) * self.n_control_fields
            + len(self.compounds) * self.n_treated_fields
        )
        if not fields:
            raise InputError("cell_types and n_treated_fields leave no fields to draw: raise one")
        if fields > self.n_sites * N_ROWS * N_COLUMNS:
            raise InputError(
                f"n_control_fields and n_treated_fields need {fields // self.n_sites} wells a "
                f"plate, which has {N_ROWS * N_COLUMNS}: lower them, or raise n_sites"
            )


@dataclass(frozen=True)
class CellSpec(ImageSpec):
    """An image set for questions about single cells: finer pixels, one cell type, few compounds.

    Among them one mechanism twice, in nine cells of ten and in 15 % of them, and a compound that
    does nothing. Wells of a plate differ more than in the default set, plates differ less: with
    six of them a net cannot learn what a batch may do.
    """

    n_experiments: int = 6
    cell_types: tuple[str, ...] = ("U2OS",)
    compounds: tuple[str, ...] = ("actin-1", "actin-1 rare", "uncoupler-1", "inert")
    n_control_fields: int = 40
    n_treated_fields: int = 8
    n_sites: int = 4
    size_px: int = 180
    um_per_px: float = 0.9
    well_spread: float = 0.08
    stain_spread: float = 0.15
    batch_strength: float = 0.5
