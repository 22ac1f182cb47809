"""What do a well's neighbours share? The same questions, put to the same wells in every space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from screenbook.profiles.nearest import (
    distance_blocks,
    nearest,
    nearest_columns,
    sample_rows,
)
from screenbook.screen import Roles


@dataclass(frozen=True)
class Question:
    """Something that could be shared by neighbours.

    Attributes
    ----------
    name : str
        What a neighbour shares.
    labels : ndarray of int, shape (n,)
        Class of each well; negative: the well neither asks nor answers.
    within : ndarray of int, shape (n,), optional
        Only wells with the same code are candidates (the same cell type, say).
    apart : ndarray of int, shape (n,), optional
        Only wells with another code are candidates (another plate, say).
    """

    name: str
    labels: np.ndarray
    within: np.ndarray | None = None
    apart: np.ndarray | None = None


def label_codes(values: pd.Series) -> np.ndarray:
    """Turn the classes of a column into numbers from 0; blank and missing ones are -1."""
    text = values.astype(object).where(values.notna(), "").astype(str)
    return pd.factorize(text.where(text != "", np.nan))[0]


def screen_questions(obs: pd.DataFrame, roles: Roles) -> list[Question]:
    """List what neighbours in a screen may share, wanted or not.

    Candidates are of the same cell type throughout. Plates and experiments are asked of
    controls among controls of the same kind, since plates differ in what they were given.
    Whatever replicates share is asked of other plates only, lest a plate's own look answer
    for them.

    Parameters
    ----------
    obs : DataFrame, n rows
        Metadata of wells, or of sites (which are then asked for their own well, too).
    roles : Roles
        Which wells are controls.

    Returns
    -------
    list of Question
    """
    within, plate = label_codes(obs["cell_type"]), label_codes(obs["batch"])
    compound = label_codes(obs["compound"])
    treatment = obs["compound_key"].astype(str) + "@" + obs["treatment_conc"].astype(str)
    control = obs["role"].astype(str).where(obs["role"].isin(roles.controls))
    like = label_codes(obs["cell_type"].astype(str) + "/" + control)
    is_control = control.notna()
    has_sites = bool((obs["site"] > 0).any())
    well = label_codes(obs["batch"].astype(str) + "/" + obs["well"].astype(str))
    other_well = well if has_sites else None
    on_plate = label_codes(obs["batch"].where(is_control))
    in_experiment = label_codes(obs["experiment"].where(is_control))
    given = label_codes(treatment.where(obs["compound"] != ""))
    found = [
        Question("its plate, among like controls", on_plate, like, other_well),
        Question("its experiment, among like controls", in_experiment, like, other_well),
        Question("its plate position, another plate", label_codes(obs["well"]), within, plate),
        Question("its compound and dose, another plate", given, within, plate),
    ]
    if roles.has_disease:
        name = "its control (healthy or diseased), another plate"
        found.insert(2, Question(name, label_codes(control), within, plate))
    if "moa" in obs and label_codes(obs["moa"]).max(initial=-1) > 0:
        name = "its mechanism, another compound"
        found.append(Question(name, label_codes(obs["moa"]), within, compound))
    if has_sites:
        found.insert(0, Question("its own well", well, within))
    return found


def ask(
    space: np.ndarray,
    question: Question,
    k: int,
    *,
    n_queries: int,
    seed: int,
) -> pd.DataFrame:
    """Ask wells which share of their neighbours shares a label.

    Where a well has fewer partners than k, it is asked for as many neighbours as it has
    partners: 1 always means *all that could be*.

    Parameters
    ----------
    space : ndarray, shape (n, d)
        Coordinates.
    question : Question
        What is looked for.
    k : int
        Neighbours of each well.
    n_queries : int
        Wells that ask at most; those with a partner are drawn from.
    seed : int
        Of the draw, so that each space is asked by the same wells.

    Returns
    -------
    DataFrame
        A row per asking well: ``well`` (row in `space`), ``shared`` (share of its
        neighbours), ``chance`` (share of its partners among its candidates).
    """
    answering = np.flatnonzero(question.labels >= 0)
    if len(answering) < 2:
        return pd.DataFrame(columns=["well", "shared", "chance"], dtype=np.float64)
    labels = question.labels[answering]
    within, apart = (
        None if codes is None else codes[answering] for codes in (question.within, question.apart)
    )
    queries = sample_rows(len(answering), n_queries, seed)
    shared, chance = np.full(len(queries), np.nan), np.full(len(queries), np.nan)
    for rows, distance in distance_blocks(space[answering], queries):
        asking = queries[rows]
        barred = np.isinf(distance)
        if within is not None:
            barred |= within[asking, None] != within
        if apart is not None:
            barred |= apart[asking, None] == apart
        partner = (labels[asking, None] == labels) & ~barred
        distance[barred] = np.inf
        candidates, partners = (~barred).sum(axis=1), partner.sum(axis=1)
        wanted = np.minimum(k, partners)  # (q,)
        most = min(k, distance.shape[1])
        order = nearest_columns(distance, most)
        hit = np.take_along_axis(partner, order, axis=1) & (np.arange(most) < wanted[:, None])
        with np.errstate(invalid="ignore", divide="ignore"):
            shared[rows] = hit.sum(axis=1) / wanted
            chance[rows] = np.where(partners > 0, partners / candidates, np.nan)
    out = pd.DataFrame({"well": answering[queries], "shared": shared, "chance": chance})
    return out.dropna(ignore_index=True)


def ask_all(
    spaces: dict[str, np.ndarray],
    questions: Sequence[Question],
    k: int,
    *,
    clusters: np.ndarray,
    n_queries: int = 1000,
    n_boot: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Put the same questions to the same wells in several spaces.

    Parameters
    ----------
    spaces : dict of str to ndarray of shape (n, d)
        Raw features, components, maps.
    questions : sequence of Question
        Those that no well can answer are left out.
    k : int
        Neighbours of each well.
    clusters : ndarray of int, shape (n,)
        Plate of each well: intervals come from resampling plates, since wells of one plate
        are not independent.
    n_queries, n_boot, seed : int
        Asking wells and bootstrap samples at most; seed of both.

    Returns
    -------
    DataFrame
        ``question``, ``space``, ``shared`` (mean over wells), ``low``, ``high`` (95 %
        bootstrap over plates), ``chance``, ``n_queries``.
    """
    rows = []
    for question in questions:
        for name, space in spaces.items():
            answers = ask(space, question, k, n_queries=n_queries, seed=seed)
            if answers.empty:
                continue
            low, high = _cluster_interval(
                answers["shared"].to_numpy(), clusters[answers["well"]], n_boot, seed
            )
            means = answers[["shared", "chance"]].mean()
            rows.append(
                (question.name, name, means["shared"], low, high, means["chance"], len(answers))
            )
    columns = ["question", "space", "shared", "low", "high", "chance", "n_queries"]
    return pd.DataFrame(rows, columns=columns)


def neighbour_r2(
    space: np.ndarray, values: np.ndarray, k: int, *, n_queries: int, seed: int
) -> float:
    """Measure how smooth a quantity is: its share of variance that neighbours predict.

    The mean of the k nearest wells is the prediction; 0 is no better than the overall mean.

    Parameters
    ----------
    space : ndarray, shape (n, d)
        Coordinates.
    values : ndarray, shape (n,)
        The quantity; wells where it is NaN take no part.
    k : int
        Neighbours.
    n_queries, seed : int
        Wells asked at most, and the seed of their draw.
    """
    known = np.flatnonzero(np.isfinite(values))
    values, space = values[known], space[known]
    queries = sample_rows(len(known), n_queries, seed)
    predicted = values[nearest(space, k, queries)].mean(axis=1)
    about = ((values[queries] - values.mean()) ** 2).sum()
    return float(1 - ((values[queries] - predicted) ** 2).sum() / about) if about > 0 else np.nan


def _cluster_interval(
    values: np.ndarray, clusters: np.ndarray, n_boot: int, seed: int
) -> tuple[float, float]:
    """95 % percentile interval of the mean, resampling clusters; NaN for a single one."""
    _, codes = np.unique(clusters, return_inverse=True)
    total, size = np.bincount(codes, values), np.bincount(codes)
    n = len(size)
    if n < 2:
        return float("nan"), float("nan")
    weight = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_boot)
    means = (weight @ total) / (weight @ size)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
