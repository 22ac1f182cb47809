"""All that the classifiers are asked of a screen, cell type by cell type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import anndata as ad
import numpy as np
import pandas as pd
from scipy.special import logit

from screenbook.classifier.calibration import calibration_error, expected_by_chance
from screenbook.classifier.classifier_doubts import well_factors, what_drives
from screenbook.classifier.classifier_metrics import (
    measure,
    measure_plates,
    permute_within,
    weighted_auc,
)
from screenbook.classifier.classifier_models import MODELS, Settings
from screenbook.classifier.classifier_ranking import (
    COMPOUND_COLUMNS,
    ORIGINAL_SHARE,
    TREATMENT_COLUMNS,
    WELL_COLUMNS,
    rank_compounds,
    rank_treatments,
)
from screenbook.classifier.classify import (
    HeldOut,
    Probabilities,
    Task,
    calibrate,
    fold_codes,
    held_out_scores,
    refuse_sites,
    task_of,
)
from screenbook.errors import InputError
from screenbook.profiles.batches import Part, cell_type_parts

MEASURE_COLUMNS = {
    "cell_type": "cell type",
    "model": "model",
    "held_out": "what was held out: plate (whole folds of them) or experiment",
    "auc": "probability that a healthy well scores above an untreated diseased one (0.5 is chance)",
    "auc_low": "95 % interval over plates, lower end",
    "auc_high": "95 % interval over plates, upper end",
    "average_precision": "average precision of healthy wells (0 to 1)",
    "average_precision_low": "95 % interval over plates, lower end",
    "average_precision_high": "95 % interval over plates, upper end",
    "mcc": "Matthews correlation of calls at p = 0.5 (-1 to 1)",
    "mcc_low": "95 % interval over plates, lower end",
    "mcc_high": "95 % interval over plates, upper end",
    "brier": "mean squared distance of probability and class (0 is best, 0.25 says nothing)",
    "brier_low": "95 % interval over plates, lower end",
    "brier_high": "95 % interval over plates, upper end",
    "calibration_error": "expected calibration error, bins of equally many wells (0 to 1)",
    "calibration_by_chance": "the same if probabilities were exactly right, mean",
    "calibration_by_chance_high": "the same, 95th percentile",
    "n": "control wells",
    "n_plates": "plates",
}
"""What ``classifier_models.tsv`` holds."""


@dataclass(frozen=True)
class Answers:
    """What the models say of one cell type.

    Attributes
    ----------
    part : Part
    task : Task
    held : dict of str to HeldOut
        By model; plates held out.
    probabilities : dict of str to Probabilities
        By model; plates held out.
    measures : DataFrame
        Columns of :data:`MEASURE_COLUMNS`: every model, plates and (where there are two or
        more) experiments held out. Controls that may teach are measured.
    plates : DataFrame
        ``cell_type model batch auc average_precision mcc brier n used`` of every plate, plates
        held out.
    no_experiment : str
        Why experiments could not be held out; blank if they were.
    null_auc : ndarray of float64, shape (n_permutations,)
        AUC of the first model under labels permuted within plates.
    """

    part: Part
    task: Task
    held: dict[str, HeldOut]
    probabilities: dict[str, Probabilities]
    measures: pd.DataFrame
    plates: pd.DataFrame
    no_experiment: str
    null_auc: np.ndarray


def ask_screen(
    centred: ad.AnnData,
    used: np.ndarray,
    model: str = "net",
    settings: Settings | None = None,
    *,
    n_permutations: int = 19,
) -> tuple[dict[str, Answers], dict[str, str]]:
    """Train and judge all models on every cell type.

    Parameters
    ----------
    centred : AnnData, n_wells x k
        Wells, as :func:`screenbook.profiles.centred.center_screen` leaves them.
    used : ndarray of bool, shape (n_wells,)
        Wells that may teach, if they are controls.
    model : {"net", "logistic", "lda"}
        The model that comes first.
    settings : Settings, optional
    n_permutations : int
        Permuted labels behind the null of its AUC.

    Returns
    -------
    answers : dict of str to Answers
        By cell type.
    reasons : dict of str to str
        Why other cell types have none.

    Raises
    ------
    InputError
        If the rows are sites.
    """
    refuse_sites(centred)
    answers, reasons = {}, {}
    for part in cell_type_parts(centred):
        try:
            answers[part.cell_type] = ask_part(
                part, used[part.rows], model, settings, n_permutations=n_permutations
            )
        except InputError as error:
            reasons[part.cell_type] = str(error)
    return answers, reasons


def ask_part(
    part: Part,
    used: np.ndarray,
    model: str = "net",
    settings: Settings | None = None,
    *,
    n_permutations: int = 19,
) -> Answers:
    """Train and judge all models on one cell type; see :func:`ask_screen`.

    Raises
    ------
    InputError
        If there is no disease, or too few plates with both kinds of control.
    """
    settings = settings or Settings()
    task = task_of(part, used)
    plates = fold_codes(part, "batch", settings.n_folds, settings.seed)
    order = [model, *(name for name in MODELS if name != model)]
    held = {name: held_out_scores(task, plates, name, settings) for name in order}
    probabilities = {name: calibrate(one, task, settings) for name, one in held.items()}
    rows = [
        {"model": name, "held_out": "plate"} | _measured(p, task, settings)
        for name, p in probabilities.items()
    ]
    by_plate = [_by_plate(part, task, p).assign(model=name) for name, p in probabilities.items()]
    why = ""
    try:
        experiments = fold_codes(part, "experiment", len(part.layout.experiments), settings.seed)
        for name in order:
            p = calibrate(held_out_scores(task, experiments, name, settings), task, settings)
            found = _measured(p, task, settings)
            rows.append({"model": name, "held_out": "experiment"} | found)
    except InputError as error:
        why = str(error)
    measures = pd.DataFrame(rows).assign(cell_type=part.cell_type)[list(MEASURE_COLUMNS)]
    null = null_aucs(task, plates, model, settings, n_permutations)
    together = pd.concat(by_plate, ignore_index=True).assign(cell_type=part.cell_type)
    return Answers(part, task, held, probabilities, measures, together, why, null)


def null_aucs(
    task: Task, fold: np.ndarray, model: str, settings: Settings, n_permutations: int
) -> np.ndarray:
    """AUC that the same training reaches on labels permuted within plates.

    One member stands for the ensemble.

    Returns
    -------
    ndarray of float64, shape (n_permutations,)
    """
    rng = np.random.default_rng(settings.seed)
    rows = np.flatnonzero(task.teach)
    alone = replace(settings, n_seeds=1)
    found = np.empty(n_permutations)
    for i in range(n_permutations):
        label = task.label.copy()
        label[rows] = permute_within(task.label[rows], task.plate[rows], rng)
        held = held_out_scores(replace(task, label=label), fold, model, alone, n_parts=1)
        ones = np.ones((1, len(rows)))
        found[i] = weighted_auc(held.members.mean(axis=0)[rows], label[rows], ones)[0]
    return found


def well_table(answers: Answers, used: np.ndarray, model: str) -> pd.DataFrame:
    """Every well of a cell type with its held-out probability.

    Parameters
    ----------
    answers : Answers
    used : ndarray of bool, shape (n,)
        Wells of this cell type that count.
    model : str

    Returns
    -------
    DataFrame
        Columns of :data:`screenbook.classifier.classifier_ranking.WELL_COLUMNS`, indexed by id.
    """
    obs, p, held = answers.part.obs, answers.probabilities[model], answers.held[model]
    names = ["cell_type", "batch", "compound", "compound_key", "role"]
    text = obs[names].astype(str)
    return text.assign(
        id=obs.index,
        dose=obs["treatment_conc"].to_numpy(dtype=float),
        p_healthy=p.p,
        p_low=p.low,
        p_high=p.high,
        outside=held.outside,
        call=p.call,
        distance=held.distance,
        used=used,
    )


def rank_screen(
    answers: Mapping[str, Answers],
    used: np.ndarray,
    model: str,
    names: pd.Series,
    *,
    top: float = ORIGINAL_SHARE,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Make the tables of wells, treatments and compounds of all cell types.

    Parameters
    ----------
    answers : mapping of str to Answers
        May be empty: then the tables have columns and no rows.
    used : ndarray of bool, shape (n_wells,)
        Wells of the screen that count.
    model : str
        Whose probabilities.
    names : Series
        Other names of each compound, by compound key.
    top, seed
        See :func:`screenbook.classifier.classifier_ranking.rank_compounds`.

    Returns
    -------
    wells, treatments, compounds : DataFrame
        Columns of ``WELL_COLUMNS``, ``TREATMENT_COLUMNS`` and ``COMPOUND_COLUMNS`` of
        :mod:`screenbook.classifier.classifier_ranking`.
    """
    wells, treatments, compounds = [], [], []
    for one in answers.values():
        wells.append(well_table(one, used[one.part.rows], model))
        treatments.append(rank_treatments(wells[-1], seed=seed))
        compounds.append(rank_compounds(treatments[-1], wells[-1], names, top))
    return (
        _together(wells, WELL_COLUMNS),
        _together(treatments, TREATMENT_COLUMNS),
        _together(compounds, COMPOUND_COLUMNS),
    )


def ranking_of(answers: Answers, used: np.ndarray, model: str, seed: int = 0) -> pd.Series:
    """Place the compounds of one cell type by one of its models.

    Returns
    -------
    Series
        By compound key, larger first: the rank with its sign turned.
    """
    none = pd.Series(dtype=str)
    table = rank_screen({answers.part.cell_type: answers}, used, model, none, seed=seed)[2]
    return -table.set_index("compound_key")["rank"]


def class_table(wells: pd.DataFrame) -> pd.DataFrame:
    """Say how wells of each role are taken.

    Parameters
    ----------
    wells : DataFrame
        Columns of ``WELL_COLUMNS``; those used are counted.

    Returns
    -------
    DataFrame
        ``cell_type role n p_healthy`` (mean), and shares (0 to 1) of ``healthy diseased either
        neither outside``.
    """
    kept = wells[wells["used"]]
    calls = pd.get_dummies(kept["call"]).reindex(
        columns=["healthy", "diseased", "either", "neither"], fill_value=False
    )
    shares = pd.concat([kept[["cell_type", "role", "p_healthy", "outside"]], calls], axis=1)
    groups = shares.groupby(["cell_type", "role"], sort=False)
    table = groups.mean().assign(n=groups.size()).reset_index()
    return table[["cell_type", "role", "n", "p_healthy", *calls, "outside"]]


def driver_table(
    answers: Mapping[str, Answers],
    wells: pd.DataFrame,
    cell_count: np.ndarray | None = None,
    *,
    n_permutations: int = 199,
    seed: int = 0,
) -> pd.DataFrame:
    """Ask of plate, position, dose and more what they explain of the scores, role by role.

    Parameters
    ----------
    answers : mapping of str to Answers
    wells : DataFrame
        From :func:`rank_screen`.
    cell_count : ndarray, shape (n_wells,), optional
        Cells of each well of the screen, where the features count them.
    n_permutations, seed : int

    Returns
    -------
    DataFrame
        ``panel`` (cell type), ``role``, and the columns of
        :func:`screenbook.classifier.classifier_doubts.what_drives`.
    """
    tables = []
    for name, one in answers.items():
        mine = wells[wells["cell_type"] == name]
        role = mine["role"].to_numpy()
        for kind in ("healthy", "diseased", "treated"):
            rows = (role == kind) & mine["used"].to_numpy()
            if not rows.any():
                continue
            score = logit(mine["p_healthy"].to_numpy()[rows].clip(1e-6, 1 - 1e-6))
            factors = well_factors(one.part.obs[rows], mine["distance"].to_numpy()[rows])
            if cell_count is not None:
                factors["cell count"] = cell_count[one.part.rows][rows]
            found = what_drives(
                score, factors, one.task.plate[rows], n_permutations=n_permutations, seed=seed
            )
            tables.append(found.assign(panel=name, role=kind))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _measured(p: Probabilities, task: Task, settings: Settings) -> dict[str, float]:
    rows = task.teach
    value, label = p.p[rows], task.label[rows]
    found = measure(value, label, task.plate[rows], seed=settings.seed)
    chance, high = expected_by_chance(value, seed=settings.seed)
    return found | {
        "calibration_error": calibration_error(value, label),
        "calibration_by_chance": chance,
        "calibration_by_chance_high": high,
    }


def _by_plate(part: Part, task: Task, p: Probabilities) -> pd.DataFrame:
    control = task.label >= 0
    table = measure_plates(p.p[control], task.label[control], task.plate[control])
    names = np.array(part.layout.batches, dtype=object)[table["plate"]]
    taught = np.unique(task.plate[task.teach])
    return table.assign(batch=names, used=table["plate"].isin(taught)).drop(columns="plate")


def _together(tables: list[pd.DataFrame], columns: Mapping[str, str]) -> pd.DataFrame:
    if not tables:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(tables, ignore_index=True)[list(columns)]
