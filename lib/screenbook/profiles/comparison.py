"""Judge every recipe by the same questions, on control wells it has not seen.

The control wells of each plate are split in halves. A recipe centres, scales and whitens by the
treated wells and one half, and is judged on the other; then the halves change places, and every
number is the mean of the two. Principal components, which take no label, are learned once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from screenbook.errors import InputError
from screenbook.profiles.batch_metrics import Neighbours, ilisi, kbet_pvalues, pc_regression
from screenbook.profiles.batches import Layout, split_controls
from screenbook.profiles.mechanism import match_mechanisms, mechanisms_of, treatment_profiles
from screenbook.profiles.methods import (
    METHODS,
    Method,
    Representation,
    Settings,
    Task,
    feature_units,
    represent,
)
from screenbook.profiles.reduce import Components
from screenbook.profiles.replicates import (
    join_halves,
    negatives_from,
    replicate_precision,
    sample_treatments,
    treatment_codes,
)
from screenbook.profiles.separability import Separation, predictability, separation
from screenbook.profiles.whitening import CovarianceCheck, check_whitening, kind_residuals

KBET_LEVEL = 0.05
"""A neighbourhood whose kBET p-value is above this counts as mixed."""


@dataclass(frozen=True)
class Questions:
    """Numbers that the questions share.

    Attributes
    ----------
    n_permutations : int
        For the null of the classifiers that tell plate and experiment.
    n_neighbours : int
        Size of a neighbourhood for kBET.
    perplexity : float
        Width of a neighbourhood for iLISI.
    max_wells : int
        Held-out control wells looked at in each half, a random sample if there are more.
    max_treatments : int
        Treatments whose replicate mAP is compared, a random sample if there are more.
    seed : int
    """

    n_permutations: int = 20
    n_neighbours: int = 15
    perplexity: float = 30.0
    max_wells: int = 3000
    max_treatments: int = 300
    seed: int = 0


@dataclass(frozen=True)
class Trial:
    """What one recipe gives on one half of the controls, having learned from the other.

    Attributes
    ----------
    held_out : ndarray of int, shape (n_judged,)
        Positions of the control wells it is judged on.
    points : ndarray of float32, shape (n, k)
        All wells.
    """

    held_out: np.ndarray
    points: np.ndarray


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
    "status": "candidate, warning (was given a label of interest) or comparison (not cross-fit)",
    "n_plates": "plates",
    "n_controls": "control wells judged, over both halves",
    "plate_accuracy": "share of held-out controls whose plate a classifier tells (0 to 1)",
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
    "map": "replicate mAP across plates against held-out controls, mean over treatments (0 to 1)",
    "map_se": "standard error of map over treatments",
    "n_treatments": "treatments (compound and dose) that map is over",
    "white_variance": "variance of held-out controls after whitening, mean over axes (1 if white)",
    "white_off_diagonal": "root mean square correlation between whitened axes, held-out controls",
    "white_expected": "the same expected by chance if the axes were uncorrelated",
    "nsc": "nearest treatment of another compound has the same mechanism (share of treatments)",
    "nscb": "the same, neighbours from other experiments only",
    "n_mechanism": "treatments with a known mechanism, all counted in nsc and nscb",
    "seconds": "time taken",
}
"""What the columns of a comparison hold."""


def compare_methods(
    X: np.ndarray,
    obs: pd.DataFrame,
    layout: Layout,
    *,
    methods: Sequence[Method] = tuple(METHODS.values()),
    settings: Settings | None = None,
    questions: Questions | None = None,
) -> Comparison:
    """Put all recipes to all questions, for the wells of one cell type.

    Parameters
    ----------
    X : ndarray, shape (n, n_features)
        Profiles.
    obs : DataFrame, n rows
        Their metadata.
    layout : Layout
        Their plates and controls.
    methods : sequence of Method
        Recipes; all by default.
    settings : Settings, optional
        Of the recipes.
    questions : Questions, optional
        Of the judge.

    Returns
    -------
    Comparison
    """
    settings, questions = settings or Settings(), questions or Questions()
    judge = _Judge(X, obs, layout, settings, questions)
    out = Comparison(pd.DataFrame())
    rows, refused = [], []
    for method in methods:
        start = time.perf_counter()
        try:
            rows.append(judge.row(method, out) | {"seconds": time.perf_counter() - start})
        except InputError as error:
            refused.append({"cell_type": judge.cell_type, "method": method.name, "why": str(error)})
    out.table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    out.refused = pd.DataFrame(refused, columns=["cell_type", "method", "why"])
    return out


def join_comparisons(parts: Sequence[Comparison]) -> Comparison:
    """Put the comparisons of several cell types into one."""
    out = Comparison(
        pd.concat([part.table for part in parts], ignore_index=True),
        refused=pd.concat([part.refused for part in parts], ignore_index=True),
    )
    for part in parts:
        out.replicate_maps |= part.replicate_maps
        out.separations |= part.separations
        out.coverings |= part.coverings
    return out


class _Judge:
    """The wells of one cell type, and what does not depend on the recipe."""

    def __init__(
        self,
        X: np.ndarray,
        obs: pd.DataFrame,
        layout: Layout,
        settings: Settings,
        questions: Questions,
    ):
        self.X, self.obs, self.layout = X, obs, layout
        self.settings, self.questions, self.unit = settings, questions, feature_units(X)
        self.cell_type = str(obs["cell_type"].iloc[0])
        self.half = split_controls(layout, questions.seed)
        self.codes, self.treatments = treatment_codes(obs)
        self.sampled = sample_treatments(
            self.codes, layout.batch, at_most=questions.max_treatments, seed=questions.seed
        )
        self.negatives = negatives_from(layout, self.half == 0)
        self.mechanism = mechanisms_of(obs, self.codes)

    def row(self, method: Method, out: Comparison) -> dict[str, object]:
        """One line of the table; what figures need besides goes into `out`."""
        key = (self.cell_type, method.name)
        whole = self._represent(method, np.ones(len(self.X), dtype=bool))
        trials = self._trials(method, whole)
        found: dict[str, object] = {
            "cell_type": self.cell_type,
            "method": method.name,
            "title": method.title,
            "status": method.status,
            "n_plates": len(self.layout.batches),
            "n_controls": sum(len(trial.held_out) for trial in trials),
        }
        found |= _mean([self._batch_left(trial) for trial in trials])
        if len(self.layout.kinds) > 1:
            parted = [self._separation(trial) for trial in trials]
            possible = [part for part in parted if part is not None]
            if possible:
                out.separations[key] = possible
                found |= _mean([_auc(part) for part in possible])
        maps = self._replicate_map(trials)
        out.replicate_maps[key] = maps
        if len(maps) > 1:
            se = float(maps.std(ddof=1) / np.sqrt(len(maps)))
            found |= {"map": float(maps.mean()), "map_se": se, "n_treatments": len(maps)}
        if method.whiten:
            checks = [
                check_whitening(trial.points[trial.held_out], self.layout.kind[trial.held_out])
                for trial in trials
            ]
            out.coverings[key] = checks
            found |= _mean([_white(check) for check in checks])
        return found | self._mechanisms(whole.scores)

    def _trials(self, method: Method, whole: Representation) -> list[Trial]:
        out = []
        rng = np.random.default_rng(self.questions.seed)
        for half in (0, 1):
            held_out = np.flatnonzero(self.half == half)
            points = whole.scores
            # Harmony has no way to place wells that it has not learned from.
            if not method.harmonise:
                points = self._represent(method, self.half != half, whole.axes).scores
            if len(held_out) > self.questions.max_wells:
                held_out = np.sort(rng.choice(held_out, self.questions.max_wells, replace=False))
            out.append(Trial(held_out, points))
        return out

    def _represent(
        self, method: Method, visible: np.ndarray, axes: Components | None = None
    ) -> Representation:
        task = Task(self.X, self.obs, self.layout, self.unit, visible)
        return represent(method, task, self.settings, axes)

    def _batch_left(self, trial: Trial) -> dict[str, float]:
        """Measure what is left of plates and experiments in held-out controls of all kinds."""
        wells, ask = trial.held_out, self.questions
        points, _ = kind_residuals(trial.points[wells], self.layout.kind[wells])
        batch, experiment = self.layout.batch[wells], self.layout.experiment[wells]
        found: dict[str, float] = {}
        plate = predictability(points, batch, n_permutations=ask.n_permutations, seed=ask.seed)
        if plate is not None:
            found |= {
                "plate_accuracy": plate.accuracy,
                "plate_chance": plate.chance,
                "plate_null_high": plate.null_high,
                "plate_p": plate.p,
            }
        told = predictability(
            points, experiment, blocks=batch, n_permutations=ask.n_permutations, seed=ask.seed
        )
        if told is not None:
            found |= {
                "experiment_accuracy": told.accuracy,
                "experiment_chance": told.chance,
                "experiment_p": told.p,
            }
        n_batches = len(np.unique(batch))
        if n_batches > 1:
            near = Neighbours.of(points, most=max(ask.n_neighbours, int(3 * ask.perplexity)))
            p = kbet_pvalues(near, batch, n_neighbours=ask.n_neighbours, seed=ask.seed)
            found["kbet"] = float((p > KBET_LEVEL).mean())
            shuffled = np.random.default_rng(ask.seed).permutation(batch)
            for name, labels in (("ilisi", batch), ("ilisi_mixed", shuffled)):
                around = np.median(ilisi(near, labels, perplexity=ask.perplexity))
                found[name] = float((around - 1) / (n_batches - 1))
            found["pcr"] = pc_regression(points, batch)[1]
        return found

    def _separation(self, trial: Trial) -> Separation | None:
        wells = trial.held_out
        return separation(
            trial.points[wells],
            self.layout.kind[wells] == self.layout.kinds.index("diseased"),
            self.layout.batch[wells],
            seed=self.questions.seed,
        )

    def _replicate_map(self, trials: list[Trial]) -> pd.Series:
        halves = []
        for trial in trials:
            negative = np.zeros(len(self.X), dtype=bool)
            negative[trial.held_out] = True
            halves.append(
                replicate_precision(
                    trial.points, self.sampled, self.layout, negative, negatives=self.negatives
                )
            )
        joined = join_halves(halves)
        return joined.groupby("treatment")["average_precision"].mean().rename("map")

    def _mechanisms(self, points: np.ndarray) -> dict[str, object]:
        if not (self.mechanism != "").any():
            return {}
        match = match_mechanisms(
            treatment_profiles(points, self.codes),
            self.mechanism,
            self.treatments["compound_key"].to_numpy(),
            self.codes,
            self.layout.experiment,
            n_permutations=0,
        )
        if match is None:
            return {}
        return {"nsc": match.nsc, "nscb": match.nscb, "n_mechanism": len(match.table)}


def _mean(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    means = pd.DataFrame(parts).mean()
    return {str(name): float(value) for name, value in means.items()}


def _auc(part: Separation) -> dict[str, float]:
    return {
        "auc": part.auc,
        "auc_low": part.low,
        "auc_high": part.high,
        "auc_se": part.se,
        "auc_within": part.within,
    }


def _white(check: CovarianceCheck) -> dict[str, float]:
    return {
        "white_variance": check.mean_variance,
        "white_off_diagonal": check.off_diagonal,
        "white_expected": check.expected_off_diagonal,
    }
