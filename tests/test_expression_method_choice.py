"""The method is chosen by other compounds than those it is judged by."""

import numpy as np
import pandas as pd
import pytest

from planted_signatures import two_plates
from screenbook.errors import InputError
from screenbook.expression.comparison import (
    Method,
    RetrievalTask,
    SignatureRows,
    candidate_methods,
    score_library,
)
from screenbook.expression.method_choice import choose_methods, cross_fit, judge_methods
from screenbook.expression.spaces import Space
from screenbook.retrieval_metrics import score_rankings, summarise

METHODS = [
    Method(space, "cosine", centre)
    for space in (Space(), Space(remove=3), Space(whiten=0.5))
    for centre in (False, True)
]


def own_ranks(scores, query, library):
    own = np.where(query.compound[:, None] == library.compound, 3, 0)
    return score_rankings(scores, own)


def test_the_planted_nuisance_is_found_and_retrieval_gains():
    query, library, wells = two_plates(80, stress=6.0, noise=2.5)
    plain = own_ranks(score_library(Method(), query, library), query, library)
    fitted = cross_fit([RetrievalTask(query, library, wells)], METHODS, n_best=1)
    better = own_ranks(fitted.scores[0], query, library)
    assert fitted.choice["method"].str.contains("3 PC|whitened").all()
    gain = summarise(better - plain, query.compound).set_index("metric")
    assert gain.loc["own_reciprocal_rank", "low"] > 0.1


def test_judging_gives_reciprocal_ranks():
    query, library, wells = two_plates(30, stress=5.0, noise=2.0)
    found = judge_methods(query, library, METHODS[::-1], wells)
    assert list(found) == [str(m) for m in METHODS[::-1]]
    for method in METHODS:
        wanted = own_ranks(score_library(method, query, library), query, library)
        np.testing.assert_allclose(found[str(method)], wanted["own_reciprocal_rank"])


def test_each_compound_counts_once():
    found = pd.DataFrame({"a": [1.0, 1.0, 1.0, 0.0], "b": [0.0, 0.0, 0.0, 1.1], "c": [np.nan] * 4})
    assert choose_methods(found, np.array(["x", "x", "x", "y"]), 1) == ["b"]
    assert choose_methods(found, np.array(list("wxyz")), 2) == ["a", "b"]


def test_no_query_is_scored_by_a_method_that_its_own_compound_chose():
    query, library, wells = two_plates(30, stress=4.0, noise=2.0)
    folds = cross_fit([RetrievalTask(query, library, wells)], METHODS, n_folds=3, n_best=1)
    assert np.bincount(folds.fold).tolist() == [10, 10, 10]
    for f in range(3):
        # Names of the fold's compounds are shuffled: nothing that they say may reach the choice.
        mine = np.flatnonzero(folds.fold == f)
        names = query.compound.copy()
        names[mine] = np.roll(names[mine], 1)
        wrong = SignatureRows(query.delta, names, query.batch)
        again = cross_fit([RetrievalTask(wrong, library, wells)], METHODS, n_folds=3, n_best=1)
        np.testing.assert_array_equal(again.fold[mine], folds.fold[mine])
        pd.testing.assert_series_equal(
            again.choice.loc[f, ["method", "chosen_on"]],
            folds.choice.loc[f, ["method", "chosen_on"]],
        )
        np.testing.assert_allclose(again.scores[0][mine], folds.scores[0][mine])


def test_replicates_of_a_compound_stay_in_one_fold():
    query, library, wells = two_plates(20)
    twice = SignatureRows(
        np.vstack([query.delta, query.delta]),
        np.tile(query.compound, 2),
        np.tile(query.batch, 2),
    )
    fold = cross_fit([RetrievalTask(twice, library, wells)], METHODS[:2]).fold
    assert (fold[:20] == fold[20:]).all()


def test_choosing_among_many_from_noise_gains_nothing():
    names = np.array([f"drug {i}" for i in range(30)], dtype=object)
    methods = candidate_methods(with_controls=False)[::2]
    best, honest = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        query, library = (
            SignatureRows(rng.normal(size=(30, 110)), names, np.repeat(p, 30)) for p in "ab"
        )
        best.append(judge_methods(query, library, methods).mean().max())
        fitted = cross_fit([RetrievalTask(query, library)], methods, n_best=1)
        honest.append(own_ranks(fitted.scores[0], query, library)["own_reciprocal_rank"].mean())
    chance = (1 / np.arange(1, 31)).mean()
    assert np.mean(best) > 1.3 * chance
    assert np.mean(honest) < 1.15 * chance


def test_same_seed_same_choice():
    query, library, wells = two_plates(20)
    first, second = (
        cross_fit([RetrievalTask(query, library, wells)], METHODS, seed=4) for _ in range(2)
    )
    np.testing.assert_array_equal(first.scores[0], second.scores[0])
    assert list(first.choice) == [
        "fold", "place", "method", "n_chosen_on", "chosen_on", "held_out",
    ]  # fmt: skip
    assert len(first.choice) == 15


def test_bad_input_is_refused():
    query, library, _ = two_plates(4)
    with pytest.raises(InputError, match="5 folds of 4 compounds"):
        cross_fit([RetrievalTask(query, library)], METHODS)
    strange = SignatureRows(library.delta, np.array(list("abcd"), dtype=object), library.batch)
    with pytest.raises(InputError, match="no query has its compound in the library"):
        cross_fit([RetrievalTask(query, strange)], METHODS[:2], n_folds=2)
