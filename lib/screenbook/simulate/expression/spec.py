"""What a simulated expression screen is made of: every number that shapes it, with its unit."""

from __future__ import annotations

from dataclasses import dataclass

from screenbook.errors import InputError

LEAST = {
    **{"seed": 0, "n_drugs": 4, "n_lines": 1, "n_genes": 40, "n_mechanisms": 2},
    **{"plates_per_dose": 1, "n_dmso_wells": 1, "n_replicated": 0, "n_aliases": 0},
    **{"n_without_structure": 0, "annotated": 0, "inactive": 0, "warhead_share": 0},
    **{"cells_per_condition": 10, "effect": 0, "off_target": 0, "stress": 0},
    **{
        "sensitivity": 0,
        "well_noise": 0,
        "condition_noise": 0,
        "plate_shift": 0,
        "plate_line_shift": 0,
    },
}
"""The smallest value of each number."""

SHARES = ("annotated", "inactive", "warhead_share")


@dataclass(frozen=True)
class ExpressionSpec:
    """Design and difficulty of a simulated expression screen.

    Expression is the mean over cells of log1p counts per 10,000, and changes are differences of
    it. A strength of 0 takes an effect away.

    Attributes
    ----------
    seed : int
        Everything random follows from it.
    n_drugs, n_lines, n_genes, n_mechanisms : int
        How many; of drugs those under a second name are not counted.
    doses : tuple of float
        uM, lowest first; each dose has plates of its own.
    plates_per_dose : int
        Over which drugs are dealt.
    n_dmso_wells : int
        Vehicle wells on a plate; all lines share every well.
    n_replicated : int
        Drugs that come again, at all doses, on a last plate.
    n_aliases : int
        Drugs that are there a second time as a salt, under another name, in wells of their own.
    n_without_structure : int
        Drugs whose SMILES is not given.
    annotated : float
        Share of drugs whose mechanism is known.
    inactive : float
        Share of drugs that do nothing but stress cells at high doses.
    warhead_share : float
        Share of the members of a mechanism that carry its functional group, on any scaffold.
    cells_per_condition : float
        Median over drugs and lines of the cells behind a profile.
    effect, off_target, stress : float
        Factor on a mechanism's change, on what a drug does beside it, on the stress programme.
    sensitivity : float
        How much a mechanism's effect follows the activity of its programme in a line, in units
        of log odds by SD of activity; 0 makes all lines alike.
    well_noise, condition_noise, plate_shift, plate_line_shift : float
        SD of expression over genes: between like wells, in all lines of a well and in each of
        them; between plates, in all lines and in each of them.
    """

    seed: int = 0
    n_drugs: int = 150
    n_lines: int = 24
    n_genes: int = 256
    n_mechanisms: int = 14
    doses: tuple[float, ...] = (0.05, 0.5, 5.0)
    plates_per_dose: int = 3
    n_dmso_wells: int = 8
    n_replicated: int = 30
    n_aliases: int = 5
    n_without_structure: int = 2
    annotated: float = 0.6
    inactive: float = 0.35
    warhead_share: float = 0.75
    cells_per_condition: float = 300.0
    effect: float = 0.8
    off_target: float = 0.5
    stress: float = 1.0
    sensitivity: float = 1.5
    well_noise: float = 0.015
    condition_noise: float = 0.1
    plate_shift: float = 0.15
    plate_line_shift: float = 0.05

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            if not getattr(self, name) >= least:  # nor NaN
                raise InputError(f"{name} = {getattr(self, name)} is below {least}: raise it")
        for name in SHARES:
            if getattr(self, name) > 1:
                raise InputError(f"{name} = {getattr(self, name)} is a share: lower it to 1")
        if not self.doses or not all(dose > 0 for dose in self.doses):
            raise InputError(f"doses = {list(self.doses)}: give uM above 0, at least one")
        if list(self.doses) != sorted(set(self.doses)):
            raise InputError(f"doses = {list(self.doses)}: give each once, the lowest first")
        for name in ("n_replicated", "n_aliases", "n_without_structure"):
            if getattr(self, name) > self.n_drugs:
                raise InputError(f"{name} = {getattr(self, name)} is more than n_drugs: lower it")
