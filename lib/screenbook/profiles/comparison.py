"""Put every recipe to the same questions, and their answers into one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from screenbook.errors import InputError, listing
from screenbook.profiles.batches import Part
from screenbook.profiles.judge import Judge, Questions
from screenbook.profiles.methods import METHODS, Method, Settings
from screenbook.profiles.replicates import replicate_map, sample_treatments, treatment_codes
from screenbook.profiles.separability import Separation
from screenbook.profiles.whitening import CovarianceCheck


@dataclass
class Comparison:
    """All recipes held side by side.

    Attributes
    ----------
    table : DataFrame
        One row per recipe and cell type; see :data:`COLUMNS`.
    replicate_maps : dict
        (cell type, method) to a Series of mAP by treatment code.
    separations : dict
        (cell type, method) to the :class:`Separation` of each half.
    coverings : dict
        (cell type, method) to the :class:`CovarianceCheck` of each half, for whitened ones.
    refused : DataFrame
        ``cell_type``, ``method``, ``why`` for those that could not be had.
    """

    table: pd.DataFrame
    replicate_maps: dict[tuple[str, str], pd.Series] = field(default_factory=dict)
    separations: dict[tuple[str, str], list[Separation]] = field(default_factory=dict)
    coverings: dict[tuple[str, str], list[CovarianceCheck]] = field(default_factory=dict)
    refused: pd.DataFrame = field(default_factory=pd.DataFrame)


COLUMNS = {
    "cell_type": "cell type; every number is within one",
    "method": "name of the recipe, as the parameter takes it",
    "title": "name of the recipe, as figures show it",
    "status": "candidate, comparison (not chosen by the rule) or warning (given a label of "
    "interest)",
    "n_plates": "plates",
    "n_controls": "control wells judged, over both halves",
    "plate_accuracy": "share of held-out controls whose plate a classifier tells (0 to 1)",
    "plate_se": "standard error of plate_accuracy (binomial)",
    "plate_chance": "the same under permuted plates, mean (0 to 1)",
    "plate_null_high": "the same under permuted plates, 95th percentile (0 to 1)",
    "plate_p": "permutation p of plate_accuracy",
    "experiment_accuracy": "share of plates' controls whose experiment a classifier that has not "
    "seen the plate tells (0 to 1)",
    "experiment_chance": "the same under experiments permuted over plates, mean (0 to 1)",
    "experiment_p": "permutation p of experiment_accuracy",
    "kbet": "share of held-out controls whose neighbourhood mixes plates (kBET p > 0.05; 0.95 if "
    "mixed)",
    "ilisi": "median plates around a held-out control, 0 (one) to 1 (all equally)",
    "ilisi_mixed": "the same under permuted plates: what mixed wells would reach",
    "pcr": "share of held-out controls' variance that plates explain beyond chance (adjusted R²)",
    "auc": "held-out diseased controls above healthy ones, plates left out: AUC (0 to 1)",
    "auc_low": "2.5 % bound of auc, plates resampled",
    "auc_high": "97.5 % bound of auc, plates resampled",
    "auc_se": "standard error of auc, plates resampled",
    "auc_within": "the same for pairs of wells of one plate, mean over plates",
    "map": "replicate mAP across plates against held-out untreated wells (diseased, or vehicle), "
    "mean over treatments (0 to 1)",
    "map_se": "standard error of map over treatments",
    "n_treatments": "treatments (compound and dose) that map is over",
    "white_variance": "variance of held-out controls after whitening, mean over axes (1 if white)",
    "white_off_diagonal": "root mean square correlation between whitened axes, held-out controls",
    "white_expected": "the same expected by chance if the axes were uncorrelated",
    "nsc": "nearest treatment of another compound has the same mechanism (share of treatments)",
    "nscb": "the same, neighbours from other experiments only",
    "n_mechanism": "treatments with a known mechanism, all counted in nsc and nscb",
}
"""What the columns of a comparison hold."""


def compare_methods(
    parts: Sequence[Part],
    *,
    methods: Sequence[Method] = tuple(METHODS.values()),
    settings: Settings | None = None,
    questions: Questions | None = None,
) -> Comparison:
    """Put all recipes to all questions, for each cell type by itself.

    Parameters
    ----------
    parts : sequence of Part
        The wells of each cell type.
    methods : sequence of Method
        Recipes; all by default.
    settings : Settings, optional
        Of the recipes.
    questions : Questions, optional
        Of the judge.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If no cell type has two plates: there is no batch to be compared with another.
    """
    settings, questions = settings or Settings(), questions or Questions()
    if all(len(part.layout.batches) < 2 for part in parts):
        raise InputError(
            f"the screen has one plate of each cell type ({listing(p.cell_type for p in parts)}), "
            "so there is no other plate to hold it against: add plates to take batch effects out"
        )
    out = Comparison(pd.DataFrame())
    rows: list[dict[str, object]] = []
    refused: list[dict[str, object]] = []
    for part in parts:
        judge = Judge(wells_to_compare(part, questions), settings, questions)
        for method in methods:
            key = (part.cell_type, method.name)
            try:
                verdict = judge.verdict(method)
            except InputError as error:
                refused.append(
                    dict(zip(("cell_type", "method", "why"), (*key, str(error)), strict=True))
                )
                continue
            rows.append(verdict.row)
            out.replicate_maps[key] = verdict.replicate_map
            out.separations[key] = verdict.separations
            out.coverings[key] = verdict.coverings
    out.table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    out.refused = pd.DataFrame(refused, columns=["cell_type", "method", "why"])
    return out


def wells_to_compare(part: Part, questions: Questions) -> Part:
    """Leave out treated wells that no question asks for, where a plate has very many.

    All wells of the treatments whose replicates are compared stay, and all that are not
    treated; of the others as many as give a plate ``questions.max_bulk`` treated wells.
    """
    layout = part.layout
    codes, _ = treatment_codes(part.obs)
    asked = sample_treatments(
        codes, layout.batch, at_most=questions.max_treatments, seed=questions.seed
    )
    rng = np.random.default_rng(questions.seed)
    wells = np.flatnonzero(layout.bulk)
    order = np.lexsort((rng.random(len(wells)), asked[wells] < 0, layout.batch[wells]))
    wells = wells[order]  # by plate, those asked for first
    _, start, size = np.unique(layout.batch[wells], return_index=True, return_counts=True)
    rank = np.arange(len(wells)) - np.repeat(start, size)
    kept = np.ones(len(part.X), dtype=bool)
    kept[wells] = (rank < questions.max_bulk) | (asked[wells] >= 0)
    return part if kept.all() else part.take(kept)


def separation_by_plate(
    compared: Comparison, parts: Sequence[Part], methods: Sequence[str]
) -> pd.DataFrame:
    """Leave-plate-out AUC within every plate, mean over the halves.

    Returns
    -------
    DataFrame
        ``cell_type``, ``title`` (of the method), ``batch``, ``auc``.
    """
    rows = [
        pd.DataFrame(
            {
                "cell_type": part.cell_type,
                "title": METHODS[name].title,
                "batch": np.array(part.layout.batches)[half.plates],
                "auc": half.by_plate,
            }
        )
        for part in parts
        for name in methods
        for half in compared.separations.get((part.cell_type, name), [])
    ]
    columns = ["cell_type", "title", "batch"]
    if not rows:
        return pd.DataFrame(columns=[*columns, "auc"])
    return pd.concat(rows).groupby(columns, sort=False)["auc"].mean().reset_index()


TREATMENT_COLUMNS = {
    "cell_type": "cell type",
    "compound_key": "InChIKey of the parent structure, or name: and the name",
    "compound": "name, one per structure",
    "treatment_conc": "concentration, µM",
    "n_wells": "wells with a replicate on another plate, count",
    "n_plates": "plates, count",
    "map_uncentred": "replicate mAP across plates of uncentred profiles (0 to 1)",
    "map": "replicate mAP across plates of centred profiles (0 to 1)",
    "map_normalised": "the same, 0 chance and 1 perfect",
    "p": "p of map, against treatments without effect in the same design, simulated",
    "p_least": "p of a perfect ranking: no smaller one can be had with so few wells",
    "q": "Benjamini-Hochberg q over all treatments of the cell type",
}
"""What the columns of :func:`replicate_table` hold."""


def replicate_table(
    parts: Sequence[Part],
    method: Method,
    *,
    settings: Settings | None = None,
    questions: Questions | None = None,
    null_size: int = 10_000,
) -> pd.DataFrame:
    """Replicate mAP of all treatments, with p and q.

    Cross-fit as in the comparison: controls that a treatment is held against were no part of
    the centring.

    Parameters
    ----------
    parts : sequence of Part
        Wells of each cell type; q is over the treatments of one cell type.
    method : Method
    settings, questions : Settings and Questions, optional
        ``max_treatments`` and ``max_bulk`` are not asked: all treatments count.
    null_size : int
        Draws of the null behind each p.

    Returns
    -------
    DataFrame
        See :data:`TREATMENT_COLUMNS`; by cell type and falling mAP.
    """
    settings, questions = settings or Settings(), questions or Questions()
    tables = [_replicate_table(part, method, settings, questions, null_size) for part in parts]
    return pd.concat([t for t in tables if len(t)] or tables[:1], ignore_index=True)


def _replicate_table(
    part: Part, method: Method, settings: Settings, questions: Questions, null_size: int
) -> pd.DataFrame:
    judge = Judge(part, settings, replace(questions, max_treatments=len(part.X)))
    before = judge.precision(judge.trials(METHODS["none"])[1])
    after = judge.precision(judge.trials(method)[1])
    found = replicate_map(after, part.layout, null_size=null_size, seed=questions.seed)
    uncentred = before.groupby("treatment")["average_precision"].mean()
    n_plates = (
        pd.DataFrame({"treatment": judge.codes, "batch": part.layout.batch})
        .groupby("treatment")["batch"]
        .nunique()
    )
    out = judge.treatments.loc[found["treatment"]].reset_index(drop=True)
    out = out.assign(
        cell_type=judge.cell_type,
        n_plates=found["treatment"].map(n_plates).to_numpy(),
        map_uncentred=found["treatment"].map(uncentred).to_numpy(),
        **{str(name): found[name].to_numpy() for name in found.columns.drop("treatment")},
    )
    order = ["map", "compound", "treatment_conc"]
    out = out.sort_values(order, ascending=[False, True, True], kind="stable")
    return out[list(TREATMENT_COLUMNS)].reset_index(drop=True)
