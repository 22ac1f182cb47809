"""An expression screen with a known truth: conditions on plates, and what their cells show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.simulate.expression.biology import Biology, draw_biology
from screenbook.simulate.expression.drugs import build_drugs
from screenbook.simulate.expression.spec import ExpressionSpec
from screenbook.simulate.pharmacology import hill

VEHICLE = "DMSO"

SCALE = "mean over cells of log1p counts per 10,000"

COLUMNS = ("treatment", "dose", "cell_line", "plate", "role", "SMILES", "moa", "targets", "n_cells")


@dataclass(frozen=True)
class SimulatedExpression:
    """A simulated screen and its truth.

    Attributes
    ----------
    mean, variance, nonzero : ndarray of float32, shape (n, n_genes)
        Of the cells of each condition.
    obs : DataFrame, n rows
        Columns :data:`COLUMNS` and ``well``.
    genes : ndarray of str, shape (n_genes,)
    drugs : DataFrame
        Truth of each name: as :func:`~screenbook.simulate.expression.drugs.build_drugs`, with
        ``ec50`` and ``stress_ec50`` (uM), ``hill``, ``emax``, ``stress`` (largest effects).
    lines : DataFrame
        Truth of each line: as in :class:`~screenbook.simulate.expression.biology.Biology`,
        with ``sensitivity_<mechanism>``.
    change : ndarray of float32, shape (n, n_genes)
        Expression change without any noise; 0 for the vehicle.
    """

    mean: np.ndarray
    variance: np.ndarray
    nonzero: np.ndarray
    obs: pd.DataFrame
    genes: np.ndarray
    drugs: pd.DataFrame
    lines: pd.DataFrame
    change: np.ndarray


def simulate_expression(spec: ExpressionSpec) -> SimulatedExpression:
    """Draw an expression screen.

    Each part has a stream of random numbers of its own: taking an effect away leaves the others
    as they were.
    """
    streams = [np.random.default_rng([spec.seed, part]) for part in range(5)]
    biology = draw_biology(spec, streams[0])
    drugs = _pharmacology(spec, build_drugs(spec, streams[1]), biology, streams[2])
    wells = _wells(spec, drugs, streams[3])
    return _measure(spec, biology, drugs, wells, streams[4])


def _pharmacology(
    spec: ExpressionSpec, drugs: pd.DataFrame, biology: Biology, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw potency and largest effects, the same for all names of a drug."""
    n = spec.n_drugs
    own = pd.DataFrame(
        {
            "ec50": np.exp(rng.normal(np.log(0.7), 1.3, n)),
            "hill": rng.uniform(0.8, 1.8, n),
            "emax": np.exp(rng.normal(0, 0.35, n)),
            "stress_ec50": np.exp(rng.normal(np.log(6.0), 1.2, n)),
            "stress": rng.gamma(1.2, 0.8, n),
            "n_targets": rng.integers(1, 3, n),
        }
    )
    own["emax"] = own["emax"].where(drugs["active"][:n], 0.0)
    table = pd.concat([drugs, own.iloc[drugs["drug"]].reset_index(drop=True)], axis=1)
    bound = [
        biology.targets[m][:k] for m, k in zip(table["mechanism"], table["n_targets"], strict=True)
    ]
    told = table["annotated"]
    table["moa"] = np.where(told, "mechanism " + (table["mechanism"] + 1).astype(str), "unclear")
    named = pd.Series([";".join(biology.genes[list(t)]) for t in bound], dtype=object)
    table["targets"] = named.where(told, "")
    return table.drop(columns="n_targets")


def _wells(spec: ExpressionSpec, drugs: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Deal treatments to plates: each dose has its own, and a last plate has all doses.

    Returns
    -------
    DataFrame
        One row per well: ``plate``, ``well``, ``name`` (row of `drugs`, -1 for the vehicle),
        ``dose`` (uM).
    """
    parts = []
    for i, dose in enumerate(spec.doses):
        plate = rng.permutation(np.arange(len(drugs)) % spec.plates_per_dose)
        number = 1 + plate + i * spec.plates_per_dose
        parts.append(pd.DataFrame({"plate": number, "name": np.arange(len(drugs)), "dose": dose}))
    last = 1 + len(spec.doses) * spec.plates_per_dose
    # A plate control, as Tahoe's: one treatment on every plate.
    parts.append(pd.DataFrame({"plate": np.arange(1, last), "name": 0, "dose": spec.doses[0]}))
    others = 1 + rng.permutation(spec.n_drugs - 1)
    again = np.sort(np.append(0, others[: spec.n_replicated - 1])[: spec.n_replicated])
    for dose in spec.doses:
        parts.append(pd.DataFrame({"plate": last, "name": again, "dose": dose}))
    treated = pd.concat(parts).drop_duplicates(["plate", "name", "dose"])
    plates = np.unique(treated["plate"])
    vehicle = pd.DataFrame({"plate": np.repeat(plates, spec.n_dmso_wells), "name": -1, "dose": 0.0})
    wells = pd.concat([treated, vehicle], ignore_index=True)
    wells = wells.iloc[rng.permutation(len(wells))].sort_values("plate", kind="stable")
    place = wells.groupby("plate").cumcount() + 1
    wells["well"] = wells["plate"].map("{:02d}-".format) + place.map("{:03d}".format)
    return wells.reset_index(drop=True)


def _measure(
    spec: ExpressionSpec,
    biology: Biology,
    drugs: pd.DataFrame,
    wells: pd.DataFrame,
    rng: np.random.Generator,
) -> SimulatedExpression:
    """Let every line of every well respond, and measure it by its cells."""
    n_lines, n_genes = biology.mean.shape
    change, loss = _response(spec, biology, drugs, wells, rng)
    shape = (len(wells), n_lines)
    cells = spec.cells_per_condition * biology.lines["growth"].to_numpy() * (1 - loss)
    cells = cells * np.exp(rng.normal(0, 0.35, (len(wells), 1)) + rng.normal(0, 0.3, shape))
    n_cells = np.maximum(np.round(cells), 3).astype(int).reshape(-1, 1)
    expected = biology.mean + change + _gate(biology) * _nuisance(spec, wells, biology, rng)
    expected = np.maximum(expected, 0.01).reshape(-1, n_genes)
    variance = 0.15 + 0.5 * expected * np.exp(-0.4 * expected)
    noise = rng.standard_normal(expected.shape) * np.sqrt(variance / n_cells)
    free = np.maximum(n_cells - 1, 1)
    names = [f"sensitivity_{i + 1}" for i in range(spec.n_mechanisms)]
    sensitivity = pd.DataFrame(biology.sensitivity, columns=names)
    return SimulatedExpression(
        mean=np.maximum(expected + noise, 0).astype(np.float32),
        variance=(variance * rng.chisquare(free, expected.shape) / free).astype(np.float32),
        nonzero=(rng.binomial(n_cells, 1 - np.exp(-1.2 * expected)) / n_cells).astype(np.float32),
        obs=_metadata(biology, drugs, wells, n_cells.ravel()),
        genes=biology.genes,
        drugs=drugs,
        lines=pd.concat([biology.lines, sensitivity], axis=1),
        change=change.reshape(-1, n_genes).astype(np.float32),
    )


def _gate(biology: Biology) -> np.ndarray:
    """How much of a change a gene shows in each line: what is hardly expressed cannot fall."""
    return np.asarray(biology.mean / (biology.mean + 0.4))


def _response(
    spec: ExpressionSpec,
    biology: Biology,
    drugs: pd.DataFrame,
    wells: pd.DataFrame,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Change without noise, (well, line, gene), and share of cells lost, (well, line)."""
    n_lines, n_genes = biology.mean.shape
    off = rng.normal(0, 0.27 * spec.off_target, (spec.n_drugs, n_genes))
    off *= rng.random(off.shape) < 0.25
    treated = np.flatnonzero(wells["name"] >= 0)
    drug = drugs.iloc[wells["name"].to_numpy()[treated]]
    dose = wells["dose"].to_numpy()[treated]
    share, stressed = (
        hill(dose, drug[ec50].to_numpy(), drug["hill"].to_numpy())
        for ec50 in ("ec50", "stress_ec50")
    )
    mechanism, parent = drug["mechanism"].to_numpy(), drug["drug"].to_numpy()
    works = (share * drug["emax"].to_numpy())[:, None] * biology.sensitivity.T[mechanism]
    hurt = spec.stress * (stressed * drug["stress"].to_numpy())[:, None]
    hurt = hurt * np.exp(0.3 * biology.activity[:, -1])
    change, loss = np.zeros((len(wells), n_lines, n_genes)), np.zeros((len(wells), n_lines))
    own = biology.effects[mechanism] + off[parent]  # (treated, gene)
    change[treated] = (
        works[:, :, None] * own[:, None] + 0.5 * hurt[:, :, None] * biology.programmes[-1]
    )
    loss[treated] = 1 - np.exp(-0.5 * (hurt + 0.4 * works))
    return change * _gate(biology), loss


def _nuisance(
    spec: ExpressionSpec, wells: pd.DataFrame, biology: Biology, rng: np.random.Generator
) -> np.ndarray:
    """Draw what plates and wells add to expression, (well, line, gene)."""
    n_lines, n_genes = biology.mean.shape
    plate = pd.factorize(wells["plate"])[0]
    n = plate.max() + 1
    return np.asarray(
        (
            rng.normal(0, spec.plate_shift, (n, 1, n_genes))
            + rng.normal(0, spec.plate_line_shift, (n, n_lines, n_genes))
        )[plate]
        + rng.normal(0, spec.well_noise, (len(wells), 1, n_genes))
        + rng.normal(0, spec.condition_noise, (len(wells), n_lines, n_genes))
    )


def _metadata(
    biology: Biology,
    drugs: pd.DataFrame,
    wells: pd.DataFrame,
    n_cells: np.ndarray,
) -> pd.DataFrame:
    """One row per well and line, wells outermost."""
    well, line = (i.ravel() for i in np.mgrid[: len(wells), : len(biology.lines)])
    name = wells["name"].to_numpy()[well]
    vehicle = name < 0
    drug = drugs.iloc[np.where(vehicle, 0, name)].reset_index(drop=True)
    obs = pd.DataFrame({c: drug[c].where(~vehicle, "") for c in ("SMILES", "moa", "targets")})
    obs["treatment"] = drug["treatment"].where(~vehicle, VEHICLE)
    obs["dose"] = wells["dose"].to_numpy()[well]
    obs["cell_line"] = biology.lines["cell_line"].to_numpy()[line]
    obs["plate"] = [f"plate{p:02d}" for p in wells["plate"].to_numpy()[well]]
    obs["role"] = np.where(vehicle, "control", "treated")
    obs["n_cells"] = n_cells
    obs["well"] = wells["well"].to_numpy()[well]
    return obs[[*COLUMNS, "well"]]
