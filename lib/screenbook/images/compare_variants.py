"""Train methods of self-distillation side by side and ask all of them the same.

Beside them stand what was never trained, an encoder with its first random weights, and what
needs no network, statistics of the channels: what does not beat these has learned nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from screenbook.errors import InputError, listing
from screenbook.images.distillation import train_variant
from screenbook.images.embedding_scores import Evaluation
from screenbook.images.encoders import build_encoder, encode
from screenbook.images.evaluate import Questions, evaluate
from screenbook.images.pixel_statistics import channel_statistics
from screenbook.images.positives import CrossBatchPartners, FieldCodes, subset_rows
from screenbook.images.splits import Split
from screenbook.images.variants import DistillationSettings, find_variant
from screenbook.processes import run_each
from screenbook.training import Keeper, fixed_seed

UNTRAINED, PIXELS = "untrained", "channel statistics"
BASELINES = (PIXELS, UNTRAINED)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """One variant, trained from one seed and asked.

    Attributes
    ----------
    evaluation : Evaluation
    embedding : ndarray of float32, shape (n, d)
        Of all fields.
    history : DataFrame
        Of the training; no rows for a baseline.
    stopped : str
        Why the training ended early; empty if it did not.
    n_alone : int
        Fields without a partner in another batch, for cross-batch variants.
    """

    evaluation: Evaluation
    embedding: np.ndarray
    history: pd.DataFrame
    stopped: str = ""
    n_alone: int = 0


@dataclass(frozen=True)
class Trial:
    """What all variants of a comparison share.

    Attributes
    ----------
    fields : ndarray of float32, shape (n, channel, y, x)
        Normalised.
    obs : DataFrame, n rows
        See :func:`screenbook.images.evaluate.evaluate`.
    split : Split
        Variants learn from its training fields alone.
    settings : DistillationSettings
    subset : str
        Which training fields they learn from: see
        :func:`screenbook.images.positives.subset_rows`.
    questions : Questions
    """

    fields: np.ndarray
    obs: pd.DataFrame
    split: Split
    settings: DistillationSettings
    subset: str = "all"
    questions: Questions = field(default_factory=Questions)

    def learned_from(self) -> np.ndarray:
        """Rows that variants are trained on."""
        rows = np.flatnonzero(self.split.train)
        seed = self.settings.training.seed
        return rows[subset_rows(self.subset, self.obs.iloc[rows], seed)]

    def digest(self) -> str:
        """Name all that trainings depend on, but for the variant and its seed: 16 letters."""
        found = hashlib.sha256(repr((self.settings, self.subset)).encode())
        found.update(np.ascontiguousarray(self.fields).data)
        told = self.obs[["treatment", "role", "batch"]].astype(str).assign(part=self.split.part)
        found.update(pd.util.hash_pandas_object(told).to_numpy().tobytes())
        return found.hexdigest()[:16]


def check_trial(trial: Trial, names: Sequence[str]) -> None:
    """Stop, before anything is trained, where training or asking would end in an error.

    Parameters
    ----------
    trial : Trial
    names : sequence of str
        Variants that are to be trained.

    Raises
    ------
    InputError
        If no variant is named or one is unknown; one batch is left to train on; cross-batch
        partners are impossible; or a plate has fewer than two negative controls.
    """
    wanted = [find_variant(name) for name in names if name not in BASELINES]
    if not wanted:
        raise InputError("variants: none given that learns; name at least one, such as DINO")
    obs, learned = trial.obs, trial.learned_from()
    batch = obs["batch"].astype(str).to_numpy()
    if len(set(batch[trial.split.train])) < 2:
        raise InputError(
            f"column batch: all fields to learn from are of {batch[trial.split.train][0]!r}, so "
            "nothing can be asked of batches: add plates, or hold fewer experiments out"
        )
    if any(variant.cross_batch for variant in wanted):
        CrossBatchPartners(FieldCodes.of(obs.iloc[learned]))
    controls = pd.Series(obs["role"].to_numpy() == "control").groupby(batch).sum()
    few = controls.index[controls < 2]
    if len(few):
        raise InputError(
            f"column role: {listing(few)} have fewer than two negative controls, and embeddings "
            "are put on the scale of each plate's controls: mark more fields as controls, or "
            "leave these plates out"
        )


def compare_variants(
    trial: Trial,
    names: Sequence[str],
    seeds: Sequence[int] = (0,),
    *,
    jobs: int = 1,
    keep: Callable[[str], Keeper] | None = None,
    tell: Tell | None = None,
) -> dict[tuple[str, int], Result]:
    """Train and ask every variant from every seed.

    Parameters
    ----------
    trial : Trial
    names : sequence of str
        Of :data:`BASELINES`, or of the variants and ablations of
        :mod:`screenbook.images.variants`.
    seeds : sequence of int
        Of the training. Channel statistics have none and are asked once.
    jobs : int
        Trainings at a time, a process each.
    keep : callable, optional
        Gives the checkpoints of a training by its name; it goes on where it was.
    tell : callable, optional
        Gets a line of progress.

    Returns
    -------
    dict of (variant, seed) to Result

    Raises
    ------
    InputError
        If a name is unknown, or cross-batch positives are impossible; :func:`check_trial`
        tells before.
    """
    tasks: dict[tuple[str, int], tuple] = {}
    for seed in seeds:
        for name in dict.fromkeys(names):
            if name == PIXELS and seed != seeds[0]:
                continue
            keeper = keep(f"{name} seed {seed}") if keep and name not in BASELINES else None
            # Bound to this process: another one could not take the call.
            said = tell if jobs == 1 else None
            tasks[name, seed] = (trial, name, seed, keeper, said)
    return run_each(
        train_and_ask,
        tasks,
        jobs=jobs,
        tell=(lambda done, n: tell(f"{done} of {n} variants trained and asked")) if tell else None,
    )


def train_and_ask(
    trial: Trial, name: str, seed: int, keeper: Keeper | None = None, tell: Tell | None = None
) -> Result:
    """Train one variant and ask it; baselines are only asked."""
    training = replace(trial.settings.training, seed=seed)
    settings = replace(trial.settings, training=training)
    history, stopped, n_alone = pd.DataFrame(), "", 0
    if name == PIXELS:
        embedding = channel_statistics(trial.fields)
    else:
        if name == UNTRAINED:
            options = settings.encoder_options
            encoder = build_encoder(
                settings.encoder, trial.fields.shape[1], fixed_seed(seed, 1), **options
            )
        else:
            rows = trial.learned_from()
            trained = train_variant(
                name,
                lambda picked: trial.fields[rows[picked]],
                FieldCodes.of(trial.obs.iloc[rows]),
                settings,
                checkpoints=keeper,
                tell=_spoken(name, settings, tell),
            )
            encoder, n_alone = trained.encoder, trained.n_alone
            history, stopped = trained.history.table, trained.history.stopped
        embedding = encode(encoder, trial.fields, device=training.device, threads=training.threads)
        if (
            stopped
        ):  # weights may be no numbers any more; what is left of them is asked all the same
            embedding = np.nan_to_num(embedding, nan=0.0, posinf=0.0, neginf=0.0)
    asked = evaluate(
        embedding,
        trial.obs,
        trial.split,
        variant=name,
        training_seed=seed,
        questions=trial.questions,
    )
    return Result(asked, embedding, history, stopped, n_alone)


def histories(results: Mapping[tuple[str, int], Result]) -> dict[str, pd.DataFrame]:
    """Histories of all trainings, by variant, with a column ``seed``."""
    parts: dict[str, list[pd.DataFrame]] = {}
    for (name, seed), result in results.items():
        if len(result.history):
            parts.setdefault(name, []).append(result.history.assign(seed=seed))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}


def _spoken(
    name: str, settings: DistillationSettings, tell: Tell | None
) -> Callable[[int, dict], None] | None:
    """Put a row of a history into words."""
    if tell is None:
        return None
    n = settings.training.n_steps
    return lambda step, row: tell(
        f"{name}, step {step} of {n}, loss {row['loss']:.2f}, {row['seconds_left']:.0f} s left"
    )
