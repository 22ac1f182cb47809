"""Judge a recipe on control wells that it has not seen.

The control wells of each plate are split in halves. A recipe centres, scales and whitens by the
treated wells and one half, and is judged on the other; then the halves change places, and every
number is the mean of the two. Principal components, which take no label, are learned once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from screenbook.profiles.batch_metrics import Neighbours, ilisi, kbet_pvalues, pc_regression
from screenbook.profiles.batches import Part, split_controls
from screenbook.profiles.mechanism import match_part
from screenbook.profiles.methods import (
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
from screenbook.profiles.separability import (
    Predictability,
    Separation,
    predictability,
    separation,
)
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
    max_bulk : int
        Treated wells of a plate that are looked at, beside those of these treatments.
    seed : int
    """

    n_permutations: int = 20
    n_neighbours: int = 15
    perplexity: float = 30.0
    max_wells: int = 3000
    max_treatments: int = 300
    max_bulk: int = 400
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


@dataclass(frozen=True)
class Verdict:
    """What one recipe is found to do.

    Attributes
    ----------
    row : dict
        Its line of the table; see :data:`screenbook.profiles.comparison.COLUMNS`.
    replicate_map : Series
        Replicate mAP by treatment code.
    separations : list of Separation
        One for each half; empty without a disease.
    coverings : list of CovarianceCheck
        One for each half; empty for recipes that do not whiten.
    """

    row: dict[str, object]
    replicate_map: pd.Series
    separations: list[Separation]
    coverings: list[CovarianceCheck]


class Judge:
    """The wells of one cell type, and what does not depend on the recipe."""

    def __init__(self, part: Part, settings: Settings, questions: Questions):
        self.part = part
        self.X, self.obs, self.layout = part.X, part.obs, part.layout
        self.settings, self.questions = settings, questions
        self.cell_type, self.unit = part.cell_type, feature_units(part.X)
        layout = part.layout
        self.half = split_controls(layout, questions.seed)
        self.codes, self.treatments = treatment_codes(part.obs)
        self.sampled = sample_treatments(
            self.codes, layout.batch, at_most=questions.max_treatments, seed=questions.seed
        )
        self.negatives = negatives_from(layout, layout.baseline & (self.half == 0))

    def verdict(self, method: Method) -> Verdict:
        """Put one recipe to all questions."""
        whole, trials = self.trials(method)
        n_controls = sum(len(trial.held_out) for trial in trials)
        row: dict[str, object] = {
            "cell_type": self.cell_type,
            "method": method.name,
            "title": method.title,
            "status": method.status,
            "n_plates": len(self.layout.batches),
            "n_controls": n_controls,
        }
        row |= (left := _mean([self._batch_left(trial) for trial in trials]))
        if (told := left.get("plate_accuracy")) is not None:
            row["plate_se"] = float(np.sqrt(told * (1 - told) / n_controls))
        separations = [part for part in map(self._separation, trials) if part is not None]
        if separations:
            row |= _mean([_auc(part) for part in separations])
        maps = self.precision(trials).groupby("treatment")["average_precision"].mean()
        if len(maps) > 1:
            se = float(maps.std(ddof=1) / np.sqrt(len(maps)))
            row |= {"map": float(maps.mean()), "map_se": se, "n_treatments": len(maps)}
        coverings = [self._covering(trial) for trial in trials] if method.whiten else []
        if coverings:
            row |= _mean([_white(check) for check in coverings])
        return Verdict(row | self._mechanisms(whole.scores), maps, separations, coverings)

    def trials(self, method: Method) -> tuple[Representation, list[Trial]]:
        """Run a recipe on everything, and on each half."""
        whole = self._represent(method, np.ones(len(self.X), dtype=bool))
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
        return whole, out

    def tell_plates(self, trial: Trial, n_permutations: int) -> Predictability | None:
        """Tell the plates of held-out controls."""
        points, _ = kind_residuals(trial.points[trial.held_out], self.layout.kind[trial.held_out])
        batch = self.layout.batch[trial.held_out]
        return predictability(
            points, batch, n_permutations=n_permutations, seed=self.questions.seed
        )

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
        plate = self.tell_plates(trial, ask.n_permutations)
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
            around = np.median(ilisi(near, batch, shuffled, perplexity=ask.perplexity), axis=1)
            for name, plates in zip(("ilisi", "ilisi_mixed"), around, strict=True):
                found[name] = float((plates - 1) / (n_batches - 1))
            found["pcr"] = pc_regression(points, batch)[1]
        return found

    def _covering(self, trial: Trial) -> CovarianceCheck:
        return check_whitening(trial.points[trial.held_out], self.layout.kind[trial.held_out])

    def _separation(self, trial: Trial) -> Separation | None:
        if "diseased" not in self.layout.kinds:
            return None
        wells = trial.held_out
        return separation(
            trial.points[wells],
            self.layout.kind[wells] == self.layout.kinds.index("diseased"),
            self.layout.batch[wells],
            seed=self.questions.seed,
        )

    def precision(self, trials: Sequence[Trial]) -> pd.DataFrame:
        """Rank replicates of the sampled treatments; mean over the halves."""
        halves = []
        for trial in trials:
            negative = np.zeros(len(self.X), dtype=bool)
            negative[trial.held_out] = self.layout.baseline[trial.held_out]
            halves.append(
                replicate_precision(
                    trial.points, self.sampled, self.layout, negative, negatives=self.negatives
                )
            )
        return join_halves(halves)

    def _mechanisms(self, points: np.ndarray) -> dict[str, object]:
        match = match_part(self.part, points, n_permutations=0)
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


def covariance_before_whitening(
    part: Part, method: Method, settings: Settings, questions: Questions
) -> np.ndarray:
    """Covariance (k, k) of held-out controls as they are before a recipe whitens them.

    In units of its mean variance; on the axes that the whitening starts from.
    """
    plain = replace(method, whiten=False, align=False)
    judge = Judge(part, settings, questions)
    trial = judge.trials(plain)[1][0]
    wells = trial.held_out
    covariance = check_whitening(trial.points[wells], judge.layout.kind[wells]).covariance
    return covariance / np.diag(covariance).mean()
