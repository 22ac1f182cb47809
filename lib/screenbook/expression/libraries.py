"""Which drug does a change come from: libraries of changes that a query is compared with.

A query is one measured change; candidates are all drugs, each with one change in the query's
line at the highest dose that the drug was given at, from one of these libraries:

``observed``
    mean of what was measured in training: in that line where it was, over lines where not. A
    drug that was never profiled has none, and ranks after all that have.
``neighbour-filled``
    the same, and for a drug never profiled the mean of its neighbours by structure.
``predicted``
    what the forward model says, for all drugs alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.expression.connectivity import score_connectivity
from screenbook.expression.predictor import Predictor
from screenbook.expression.priors import drug_prior
from screenbook.expression.signatures import Signatures, at_top_dose
from screenbook.expression.split_study import SplitStudy
from screenbook.expression.training_rows import TrainingRows, group_means

LIBRARIES = ("observed", "neighbour-filled", "predicted")


@dataclass(frozen=True)
class Retrieval:
    """Queries of one split, and the candidates they are asked to find.

    Attributes
    ----------
    queries : Signatures
        Test conditions at each drug's highest dose.
    candidates : DataFrame, c rows
        Drugs: ``compound_key``, ``compound``, ``moa``, ``targets``, ``SMILES``, ``dose`` (the
        highest, uM) and ``profiled`` (whether it is in the training part).
    scores : dict of str to ndarray, shape (q, c)
        Cosine to each library; NaN where a candidate has no change.
    """

    queries: Signatures
    candidates: pd.DataFrame
    scores: dict[str, np.ndarray]


def retrieve(
    signatures: Signatures,
    study: SplitStudy,
    *,
    score: str = "cosine",
    libraries: Sequence[str] = LIBRARIES,
) -> Retrieval:
    """Rank all drugs for every held-out condition at its drug's highest dose, by each library.

    Changes are compared after the mean change of training drugs in the line, at their highest
    doses, is taken off query and library: what all drugs do names none of them.

    Parameters
    ----------
    signatures : Signatures
    study : SplitStudy
    score : str
        See :data:`screenbook.expression.connectivity.SCORES`.
    libraries : sequence of str
        Any of :data:`LIBRARIES`.
    """
    queries = signatures.subset(at_top_dose(signatures.obs) & study.split.test)
    train = study.predictor.train
    drugs = candidates(signatures.obs, train.obs)
    lines = sorted(queries.obs["cell_line"].unique())
    changes = line_libraries(study.predictor, drugs, lines, libraries)
    scores = {name: np.full((len(queries), len(drugs)), np.nan) for name in changes}
    asked_in = queries.obs["cell_line"].to_numpy()
    for place, line in enumerate(lines):
        rows = np.flatnonzero(asked_in == line)
        shared = line_mean(train, line)
        for name, library in changes.items():
            here = library[place] - shared
            there = np.isfinite(here).all(axis=1)
            if there.any():
                near = score_connectivity(queries.delta[rows] - shared, here[there], score)
                scores[name][np.ix_(rows, there)] = near
    return Retrieval(queries, drugs, scores)


def candidates(obs: pd.DataFrame, profiled: pd.DataFrame) -> pd.DataFrame:
    """List the drugs of some conditions, one row for each parent."""
    columns = ["compound_key", "compound", "moa", "targets", "SMILES"]
    drugs = obs[columns].drop_duplicates("compound_key").sort_values("compound")
    drugs = drugs.assign(dose=drugs["compound_key"].map(obs.groupby("compound_key")["dose"].max()))
    return drugs.assign(profiled=drugs["compound_key"].isin(profiled["compound_key"])).reset_index(
        drop=True
    )


def line_libraries(
    predictor: Predictor,
    drugs: pd.DataFrame,
    lines: Sequence[str],
    libraries: Sequence[str] = LIBRARIES,
) -> dict[str, np.ndarray]:
    """Give each drug's change in some lines at its highest dose.

    Returns
    -------
    dict of str to ndarray, shape (n_lines, c, n_genes)
        By library; NaN where a drug has no change.
    """
    train = predictor.train
    asked = pd.concat([asked_conditions(drugs, line) for line in lines], ignore_index=True)
    found = {"observed": _observed(train, asked)}
    if "neighbour-filled" in libraries:
        filled = found["observed"].copy()
        unseen = np.isnan(filled).any(axis=1)
        filled[unseen] = drug_prior(train, asked[unseen])
        found["neighbour-filled"] = filled
    if "predicted" in libraries:
        found["predicted"] = predictor.predict(asked)
    return {n: found[n].reshape(len(lines), len(drugs), -1) for n in libraries}


def asked_conditions(drugs: pd.DataFrame, line: str) -> pd.DataFrame:
    """Conditions to be predicted: each drug in one line at its dose."""
    asked = drugs[["compound_key", "dose"]].reset_index(drop=True)
    return asked.assign(cell_line=line, moa="", n_cells=np.nan)


def line_mean(train: TrainingRows, line: str) -> np.ndarray:
    """Mean change of training drugs at their highest doses: in the line, or over all lines."""
    here = at_top_dose(train.obs)
    own = here & (train.obs["cell_line"] == line).to_numpy()
    rows = own if own.any() else here
    weight = train.weight[rows][:, None]
    return np.asarray((weight * train.delta[rows]).sum(axis=0) / weight.sum(), dtype=np.float32)


def _observed(train: TrainingRows, asked: pd.DataFrame) -> np.ndarray:
    level, at = train.levels(train.obs["dose"]), train.levels(asked["dose"])
    known, line = (train.obs[c].to_numpy(dtype=object) for c in ("compound_key", "cell_line"))
    key, where = (asked[c].to_numpy(dtype=object) for c in ("compound_key", "cell_line"))
    in_line = group_means(train.delta, train.weight, level, known, line)
    over_lines = group_means(train.delta, train.weight, level, known)
    out = np.full((len(asked), train.delta.shape[1]), np.nan, dtype=np.float32)
    for means, place in (
        (over_lines.means, over_lines.find(at, key)),
        (in_line.means, in_line.find(at, key, where)),
    ):
        out[place >= 0] = means[place[place >= 0]]
    return out
