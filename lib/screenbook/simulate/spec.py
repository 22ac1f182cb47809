"""What a simulated screen is made of: every number that shapes it, with its unit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from screenbook.errors import InputError

VIRUS = "SIMV-1"
MOCK = "Mock"
INACTIVATED = f"UV Inactivated {VIRUS}"
ACTIVE = f"Active {VIRUS}"

CLASSES = ("inert", "off_axis", "toxic", "fluorescent", "rescuer", "aggravator")
"""What a compound can do. A rescuer may rescue in one cell type only."""


@dataclass(frozen=True)
class CellType:
    """Cells of one kind, and what is tried on them.

    Attributes
    ----------
    name : str
        Value of ``cell_type``.
    n_compounds : int
        Compounds tried beside the references; rescuers come first.
    replicates : int
        Dose series of each of these compounds, on as many plates. The references share
        whatever room is left.
    infection : float
        Strength of the infection, relative to :attr:`ScreenSpec.infection`.
    """

    name: str
    n_compounds: int
    replicates: int
    infection: float = 1.0


@dataclass(frozen=True)
class Experiment:
    """A batch of plates: ``n_plates`` plates numbered from 1, all of one cell type."""

    name: str
    cell_type: str
    n_plates: int


@dataclass(frozen=True)
class ScreenSpec:
    """Design and effect sizes of a simulated screen; the defaults are shape ``default``.

    Lengths in the state space behind the features are in *well SD*: 1 is the standard
    deviation between like wells, in any direction. *Feature SD* is the standard deviation
    of a feature over sites that differ by well and site noise only. A value of 0 takes an
    effect away and leaves the others as they were.

    Attributes
    ----------
    seed : int
        Everything random but the map from state to features follows from it.
    cell_types, experiments : tuple
        Who is on which plates.
    n_rows, n_columns : int
        Wells of a plate.
    n_mock, n_inactivated, n_blank, n_series : int
        Wells of a plate without virus, with inactivated virus, without any condition in the
        metadata, and the number of dose series. All else is active virus, untreated.
    n_untreated : int
        Wells of a plate with active virus and no compound; wells beyond these stay unused.
    n_extra_blank_plates : int
        The first plates, as many as this, have one blank well more and one untreated less.
    wells_per_dose : int
        Wells of one dose in a series, all on the same plate.
    n_sites : int
        Fields imaged in a well, at its four corners in turn.
    doses : tuple of float
        µM, the same for all compounds.
    n_features : int
        Width of the embedding.
    n_compounds : int
        All compounds, the references among them.
    n_references : int
        Compounds with many more replicates, tried on all cell types.
    reference_classes : tuple of str
        Classes of the first references (``"selective"``: rescues in the last cell type
        only); the others are inert.
    n_rescuers : int
        Compounds that rescue all cell types.
    n_selective : int
        For each cell type, compounds that rescue it alone.
    n_aggravators, n_toxic, n_off_axis, n_fluorescent : int
        Compounds of the other classes; the rest is inert.
    n_unscreened : int
        Further analogues of these compounds, in no well.
    n_aliases : int
        Compounds that go by two names, free base on some plates and salt on others.
    n_chemaxon : int
        Compounds whose SMILES carries a ChemAxon tail.
    annotated : float
        Fraction of compounds whose mechanism is in the metadata.
    silent_analogues : float
        Fraction of the inert compounds that share the scaffold, and hence the annotation,
        of an active class.
    scaffold_tie : float
        Fraction of compounds built on the scaffold of their mechanism; the others are built on
        that of a mechanism drawn at random, and act as their own.
    infection : float
        Length of the infection: healthy wells to untreated active ones, well SD.
    infection_bend : float
        How far the way from healthy to infected leaves the straight line, as a fraction of
        its length.
    load_spread : float
        SD of log viral load between wells of a plate.
    plate_load_spread : float
        SD of log viral load between plates (plate × infection interaction).
    saturation : float
        Load, over its median, at which the phenotype is half of what it could be.
    plate_tilt : float
        Degrees by which the infection's direction differs on a plate.
    inactivated_effect, blank_effect : float
        Length of the effect of inactivated virus, and of being blank, well SD.
    rescue_emax, rescue_ec50, hill : tuple of float
        Ranges of a rescuer: fraction of the infection undone, µM, Hill slope. EC50 and
        slope hold for the other classes too.
    rescue_off_axis : float
        Largest off-axis effect of a rescuer, well SD.
    toxic_ec50 : tuple of float
        Range of EC50 of toxic compounds, µM.
    rescue_toxicity : float
        Fraction of rescuers that kill cells near the top dose (bell-shaped curves).
    aggravation : tuple of float
        Range of the fraction by which an aggravator adds to the infection.
    off_axis : tuple of float
        Range of the largest effect of an off-axis compound, well SD.
    selective_ec50_spread : float
        SD of log EC50 of a compound between cell types.
    cell_loss : float
        Length of the effect of losing all cells, well SD.
    cell_loss_disguise : float
        Cosine between losing cells and losing the infection: why a dying well may be
        mistaken for a healthy one.
    glow, n_glow_features : float, int
        Largest shift of a fluorescent compound, feature SD, and the features it shifts.
    cell_type_shift : float
        Distance between cell types, well SD.
    experiment_shift, plate_shift : float
        SD of the additive effect, along each direction of the state, well SD. Half as much
        again, in feature SD, falls on each feature by itself.
    experiment_scale, plate_scale : float
        SD of the log factor on each feature's spread.
    experiment_rotation : float
        Degrees by which an experiment turns the state about its cell type.
    site_shift : float
        Length of the effect of the corner at which a site lies, well SD.
    edge : float
        Effect of lying in the outermost ring, well SD; half of it one ring further in.
    gradient : float
        SD over plates of the row and of the column gradient, centre to edge, well SD.
    well_noise, site_noise : float
        SD in each direction of the state, well SD.
    feature_noise : float
        SD of white noise at a site, feature SD.
    outlier_fraction, outlier : float
        Fraction of wells that something happened to, and how far it throws them, well SD.
    empty_fraction, blank_empty_fraction : float
        Fraction of wells, and of blank wells, that are nearly empty of cells.
    n_weak_plates, weak_load : int, float
        Plates of the first cell type on which the virus was weak, and their load relative to
        the others.
    n_gradient_plates, pipetting_gradient : int, float
        Plates of the first cell type on which one side got more virus, and the log load from
        centre to side.
    """

    seed: int = 0
    cell_types: tuple[CellType, ...] = (
        CellType("renal", n_compounds=112, replicates=6),
        CellType("simian", n_compounds=36, replicates=6, infection=1.15),
    )
    experiments: tuple[Experiment, ...] = (
        Experiment("RENAL-1", "renal", 6),
        Experiment("RENAL-2", "renal", 6),
        Experiment("RENAL-3", "renal", 6),
        Experiment("SIMIAN-1", "simian", 3),
        Experiment("SIMIAN-2", "simian", 3),
    )
    n_rows: int = 16
    n_columns: int = 24
    n_mock: int = 24
    n_inactivated: int = 24
    n_blank: int = 8
    n_series: int = 48
    n_untreated: int = 40
    n_extra_blank_plates: int = 0
    wells_per_dose: int = 1
    n_sites: int = 4
    doses: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    n_features: int = 1024

    n_compounds: int = 120
    n_references: int = 8
    reference_classes: tuple[str, ...] = ("rescuer", "toxic", "off_axis")
    n_rescuers: int = 6
    n_selective: int = 3
    n_aggravators: int = 4
    n_toxic: int = 12
    n_off_axis: int = 18
    n_fluorescent: int = 5
    n_unscreened: int = 200
    n_aliases: int = 2
    n_chemaxon: int = 3
    annotated: float = 0.85
    silent_analogues: float = 0.25
    scaffold_tie: float = 1.0

    infection: float = 3.6
    infection_bend: float = 0.2
    load_spread: float = 0.25
    plate_load_spread: float = 0.15
    saturation: float = 1.0
    plate_tilt: float = 8.0
    inactivated_effect: float = 0.4
    blank_effect: float = 1.5

    rescue_emax: tuple[float, float] = (0.5, 0.95)
    rescue_ec50: tuple[float, float] = (0.06, 1.2)
    hill: tuple[float, float] = (1.0, 2.0)
    toxic_ec50: tuple[float, float] = (0.3, 6.0)
    rescue_off_axis: float = 1.0
    rescue_toxicity: float = 0.2
    aggravation: tuple[float, float] = (0.3, 0.6)
    off_axis: tuple[float, float] = (1.5, 4.0)
    selective_ec50_spread: float = 0.3
    cell_loss: float = 8.0
    cell_loss_disguise: float = 0.5
    glow: float = 6.0
    n_glow_features: int = 12

    cell_type_shift: float = 10.0
    experiment_shift: float = 2.0
    plate_shift: float = 1.5
    experiment_scale: float = 0.1
    plate_scale: float = 0.05
    experiment_rotation: float = 6.0
    site_shift: float = 1.5
    edge: float = 1.0
    gradient: float = 0.4
    well_noise: float = 1.0
    site_noise: float = 1.2
    feature_noise: float = 0.3
    outlier_fraction: float = 0.004
    outlier: float = 25.0
    empty_fraction: float = 0.004
    blank_empty_fraction: float = 0.27
    n_weak_plates: int = 1
    weak_load: float = 0.2
    n_gradient_plates: int = 1
    pipetting_gradient: float = 1.0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def n_plates(self) -> int:
        """Plates of all experiments."""
        return sum(e.n_plates for e in self.experiments)

    @property
    def wells_per_plate(self) -> int:
        """Wells that are used on each plate."""
        treated = self.n_series * len(self.doses) * self.wells_per_dose
        return self.n_mock + self.n_inactivated + self.n_blank + self.n_untreated + treated


MAX_ROWS = 52

_MOST = {
    **dict.fromkeys(("annotated", "silent_analogues", "rescue_toxicity"), 1.0),
    **dict.fromkeys(("cell_loss_disguise", "outlier_fraction", "empty_fraction"), 1.0),
    **dict.fromkeys(("blank_empty_fraction", "infection_bend", "scaffold_tie"), 1.0),
    **dict.fromkeys(("load_spread", "plate_load_spread", "selective_ec50_spread"), 3.0),
    **dict.fromkeys(("experiment_scale", "plate_scale", "pipetting_gradient"), 3.0),
    **dict.fromkeys(("plate_tilt", "experiment_rotation"), 90.0),
}
"""Largest values: of fractions, of what is exponentiated, of angles."""

_LARGEST = 1e4
_AT_LEAST_ONE = ("n_rows", "n_columns", "n_features", "n_sites", "wells_per_dose", "n_compounds")
_RANGES = {
    **dict.fromkeys(("rescue_ec50", "toxic_ec50"), _LARGEST),
    **dict.fromkeys(("aggravation", "off_axis"), _LARGEST),
    **{"rescue_emax": 1.0, "hill": 10.0},
}
"""Pairs of low and high, and the most that high may be."""


def _check(spec: ScreenSpec) -> None:
    """Refuse what cannot be a screen, in one line that names the option."""
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if isinstance(value, int | float) and field.name != "seed":
            most = _MOST.get(field.name, _LARGEST)
            least = int(field.name in _AT_LEAST_ONE)
            if not least <= value <= most:
                raise InputError(f"{field.name} is {value}: give a value from {least} to {most:g}")
    if spec.seed < 0:
        raise InputError(f"seed is {spec.seed}: give 0 or more")
    for name, most in _RANGES.items():
        value = getattr(spec, name)
        if len(value) != 2 or not 0 <= value[0] <= value[1] <= most:
            raise InputError(f"{name} is {value}: give [low, high], 0 <= low <= high <= {most:g}")
    for name in ("rescue_ec50", "toxic_ec50"):
        if getattr(spec, name)[0] <= 0:
            raise InputError(f"{name} is {getattr(spec, name)}: give values above 0 µM")
    if spec.saturation <= 0:
        raise InputError("saturation is 0: give a value above 0")
    if not spec.doses or not all(0 < dose <= _LARGEST for dose in spec.doses):
        raise InputError(
            f"doses are {spec.doses}: give at least one, all above 0 and up to {_LARGEST:g} µM"
        )
    _check_library(spec)
    _check_room(spec)


def _check_library(spec: ScreenSpec) -> None:
    """Refuse a library whose classes do not add up."""
    counts = {
        "rescuer": spec.n_rescuers,
        "selective": spec.n_selective,
        "aggravator": spec.n_aggravators,
        "toxic": spec.n_toxic,
        "off_axis": spec.n_off_axis,
        "fluorescent": spec.n_fluorescent,
    }
    active = sum(counts.values()) + spec.n_selective * (len(spec.cell_types) - 1)
    inert_references = spec.n_references - len(spec.reference_classes)
    if active + max(inert_references, 0) > spec.n_compounds:
        raise InputError(
            f"n_compounds is {spec.n_compounds}, fewer than the {active} active "
            f"compounds and {inert_references} inert references: raise n_compounds"
        )
    if inert_references < 0:
        raise InputError(
            f"reference_classes names {len(spec.reference_classes)} references, "
            f"n_references is {spec.n_references}: raise n_references"
        )
    for name in spec.reference_classes:
        if name != "inert" and spec.reference_classes.count(name) > counts.get(name, 0):
            raise InputError(
                f"reference_classes names more {name!r} than there are "
                f"({counts.get(name, 0)}): take one of {', '.join(('inert', *counts))}"
            )


def _check_room(spec: ScreenSpec) -> None:
    """Refuse a design that does not fit on its plates."""
    if spec.n_rows > MAX_ROWS:
        raise InputError(f"n_rows is {spec.n_rows}: give at most {MAX_ROWS}, the rows A to AZ")
    size = spec.n_rows * spec.n_columns
    if spec.wells_per_plate > size:
        raise InputError(
            f"the design takes {spec.wells_per_plate} wells, a plate has {size}: "
            "lower n_series or the controls, or raise n_rows and n_columns"
        )
    for cell_type in spec.cell_types:
        plates = sum(e.n_plates for e in spec.experiments if e.cell_type == cell_type.name)
        if cell_type is spec.cell_types[0] and spec.n_weak_plates + spec.n_gradient_plates > plates:
            raise InputError(
                "n_weak_plates and n_gradient_plates together ask for more than the "
                f"{plates} {cell_type.name} plates: lower them"
            )
        wanted = min(cell_type.n_compounds, spec.n_compounds - spec.n_references)
        if wanted * cell_type.replicates > plates * spec.n_series:
            raise InputError(
                f"{wanted} compounds x {cell_type.replicates} replicates do not fit on "
                f"{plates} {cell_type.name} plates of {spec.n_series} series: lower n_compounds "
                "or raise n_series"
            )
