"""Ranking metrics are expected values over ties, and agree with independent implementations."""

from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score
from torchmetrics.functional.retrieval import (
    retrieval_normalized_dcg,
    retrieval_precision,
    retrieval_recall,
    retrieval_reciprocal_rank,
)

from screenbook.errors import InputError
from screenbook.retrieval_metrics import grade_relevance, score_rankings, summarise


def plain(grades, k):
    """Metrics of one untied order, written down from their definitions."""
    grades = np.asarray(grades)
    relevant, own = grades >= 1, grades == 3
    rank = np.arange(1, len(grades) + 1)
    n = relevant.sum()
    hits = np.cumsum(relevant) / rank * relevant
    gain = (grades / np.log2(rank + 1))[:k].sum()
    best = (np.sort(grades)[::-1] / np.log2(rank + 1))[:k].sum()
    first = rank[relevant][0] if n else np.nan
    first_own = rank[own][0] if own.any() else np.nan
    return {
        f"precision@{k}": relevant[:k].sum() / k if n else np.nan,
        f"recall@{k}": relevant[:k].sum() / n if n else np.nan,
        f"ndcg@{k}": gain / best if n else np.nan,
        f"ap@{k}": hits[:k].sum() / min(n, k) if n else np.nan,
        "ap": hits.sum() / n if n else np.nan,
        "reciprocal_rank": 1 / first,
        f"hit@{k}": float(first_own <= k) if own.any() else np.nan,
        "own_reciprocal_rank": 1 / first_own,
        "own_rank": first_own,
    }


def over_all_orders(scores, grades, k):
    """Mean of the plain metrics over every order that the ties allow."""
    score = np.where(np.isnan(scores), -np.inf, scores)
    orders = [
        p
        for p in permutations(range(len(score)))
        if all(score[a] >= score[b] for a, b in pairwise(p))
    ]
    return pd.DataFrame([plain(np.asarray(grades)[list(p)], k) for p in orders]).mean()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 1.0, 2.0, np.nan]), st.integers(0, 3)),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 7),
)
def test_every_metric_is_its_mean_over_the_orders_of_ties(candidates, k):
    scores, grades = map(np.array, zip(*candidates, strict=True))
    found = score_rankings(scores[None], grades[None], ks=(k,)).iloc[0]
    wanted = over_all_orders(scores, grades, k)
    np.testing.assert_allclose(found[wanted.index].to_numpy(float), wanted, atol=1e-9)


def random_case(n_values, seed=0, q=40, c=60):
    rng = np.random.default_rng(seed)
    scores = rng.integers(n_values, size=(q, c)).astype(float)
    return scores, np.where(rng.random((q, c)) < 0.15, rng.integers(1, 4, (q, c)), 0)


def test_agrees_with_torchmetrics_where_nothing_ties():
    rng = np.random.default_rng(1)
    # torchmetrics takes a candidate with a score of 0 or less for irrelevant: all are above.
    scores, grades = rng.random((40, 60)) + 0.01, random_case(2)[1]
    found = score_rankings(scores, grades, ks=(5, 10))
    for i in range(len(scores)):
        p, t = torch.tensor(scores[i]), torch.tensor(grades[i])
        if not (grades[i] > 0).any():
            continue
        for k in (5, 10):
            assert found[f"precision@{k}"][i] == pytest.approx(
                float(retrieval_precision(p, t > 0, top_k=k))
            )
            assert found[f"recall@{k}"][i] == pytest.approx(
                float(retrieval_recall(p, t > 0, top_k=k))
            )
            assert found[f"ndcg@{k}"][i] == pytest.approx(
                float(retrieval_normalized_dcg(p, t, top_k=k)), abs=1e-6
            )
        assert found["reciprocal_rank"][i] == pytest.approx(
            float(retrieval_reciprocal_rank(p, t > 0))
        )
        assert found["ap"][i] == pytest.approx(average_precision_score(grades[i] > 0, scores[i]))


@pytest.mark.parametrize("n_values", [1, 3, 20])
def test_ndcg_with_ties_agrees_with_sklearn(n_values):
    scores, grades = random_case(n_values)
    grades[:, 0] = 1  # scikit-learn has no word for a query without anything relevant
    found = score_rankings(scores, grades, ks=(10, 60))
    for k in (10, 60):
        wanted = [ndcg_score(grades[[i]], scores[[i]], k=k) for i in range(len(scores))]
        np.testing.assert_allclose(found[f"ndcg@{k}"], wanted)


def test_a_constant_score_earns_what_chance_earns():
    grades = random_case(2)[1]
    found = score_rankings(np.zeros(grades.shape), grades)
    share = (grades > 0).mean(axis=1)
    np.testing.assert_allclose(found["precision@10"], share)
    np.testing.assert_allclose(found["recall@5"], 5 / 60)
    n_own = (grades == 3).sum(axis=1)
    some = n_own > 0
    np.testing.assert_allclose(found["own_rank"][some], 61 / (n_own[some] + 1))
    rng = np.random.default_rng(0)
    random = [score_rankings(rng.random(grades.shape), grades) for _ in range(400)]
    mean = sum(random) / len(random)
    for metric in ("ap", "ap@5", "reciprocal_rank", "hit@5", "own_reciprocal_rank"):
        assert found[metric].mean() == pytest.approx(mean[metric].mean(), abs=0.01)
    # What the order of the table would have given, were ties broken by it.
    by_table = score_rankings(-np.tile(np.arange(60.0), (40, 1)), np.sort(grades)[:, ::-1])
    assert by_table["ap"].mean() > 2 * found["ap"].mean()


def test_the_order_of_the_table_does_not_matter():
    scores, grades = random_case(4)
    order = np.random.default_rng(5).permutation(60)
    pd.testing.assert_frame_equal(
        score_rankings(scores, grades), score_rankings(scores[:, order], grades[:, order])
    )


def test_what_cannot_be_scored_ranks_last_and_what_is_out_of_the_pool_not_at_all():
    scores = np.array([[np.nan, -np.inf, 5.0, 9.0, np.nan]])
    grades = np.array([[3, 0, 0, -1, 0]])
    row = score_rankings(scores, grades, ks=(2, 3, 4)).iloc[0]
    assert row["n_candidates"] == 4
    assert row["own_rank"] == pytest.approx(3.5)
    assert row["hit@2"] == 0
    assert row["hit@3"] == pytest.approx(0.5)
    assert row["hit@4"] == pytest.approx(1)
    assert row["own_reciprocal_rank"] == pytest.approx((1 / 3 + 1 / 4) / 2)


def test_a_query_with_nothing_to_find_is_nan_and_counted():
    found = score_rankings(np.eye(2), np.array([[0, 0], [1, 0]]))
    assert found.drop(columns=["n_candidates", "n_relevant", "n_own"]).iloc[0].isna().all()
    assert found.loc[1, "precision@1"] == 0
    assert np.isnan(found.loc[1, "own_rank"])
    summary = summarise(found, np.array(["a", "b"])).set_index("metric")
    assert summary.loc["ap", ["n", "n_missing", "n_groups"]].tolist() == [1, 1, 1]
    assert summary.loc["own_rank", "n"] == 0
    assert np.isnan(summary.loc["ap", "low"])


def drugs(*rows):
    return pd.DataFrame(rows, columns=["compound_key", "moa", "targets"])


def test_relevance_is_graded():
    queries = drugs(
        ("A", "EGFR inhibitor", "EGFR;ERBB2"), ("B", "", ""), ("C", "unclear", "TOP1"), ("", "", "")
    )
    candidates = drugs(
        ("A", "", ""),
        ("D", "EGFR inhibitor", " erbb2 ; KIT"),
        ("E", "egfr inhibitor", "KIT"),
        ("F", "unclear", "EGFR"),
        ("G", "Unclear", ""),
        ("B", "", "TOP1"),
        ("", "", "EGFR"),
    )
    grade = grade_relevance(queries, candidates)
    assert grade.tolist() == [
        [3, 2, 1, 1, 0, 0, -1],
        [0, 0, 0, 0, 0, 3, -1],
        [0, 0, 0, 0, 0, 1, -1],
        [0, 0, 0, 0, 0, 0, -1],
    ]
    pool = np.ones((4, 7), dtype=bool)
    pool[0, 0] = False
    assert grade_relevance(queries, candidates, pool=pool)[0, 0] == -1
    blank = drugs(("A", "", ""), ("B", "", ""))
    assert grade_relevance(blank, blank).tolist() == [[3, 0], [0, 3]]


def test_intervals_hold_the_truth_and_know_groups():
    rng = np.random.default_rng(3)
    held = 0
    for seed in range(200):
        drug = np.repeat(np.arange(30), 4)
        values = pd.DataFrame({"x": rng.normal(size=30)[drug] + 0.1 * rng.normal(size=120)})
        row = summarise(values, drug, n_draws=300, seed=seed).iloc[0]
        held += row["low"] <= 0 <= row["high"]
    assert 175 <= held <= 199
    alone = summarise(values, np.arange(120)).iloc[0]
    assert row["high"] - row["low"] > 1.5 * (alone["high"] - alone["low"])
    pd.testing.assert_frame_equal(summarise(values, drug, seed=1), summarise(values, drug, seed=1))


def test_a_paired_difference_is_sharper_than_two_intervals():
    rng = np.random.default_rng(4)
    hard = rng.random(100)
    a, b = (pd.DataFrame({"x": hard + 0.05 * rng.normal(size=100) + s}) for s in (0.05, 0.0))
    groups = np.arange(100)
    row = summarise(a - b, groups).iloc[0]
    assert row["low"] > 0
    assert summarise(b, groups).iloc[0]["high"] > summarise(a, groups).iloc[0]["low"]


def test_bad_input_is_refused():
    with pytest.raises(InputError, match=r"shape \(2, 3\) do not fit .*\(2, 2\)"):
        score_rankings(np.zeros((2, 3)), np.zeros((2, 2)))
    with pytest.raises(InputError, match="K is 0"):
        score_rankings(np.zeros((2, 2)), np.zeros((2, 2)), ks=(0,))
    with pytest.raises(InputError, match="nothing to rank"):
        score_rankings(np.zeros((2, 0)), np.zeros((2, 0)))
    with pytest.raises(InputError, match=r"candidates: there is no column 'moa'.*did you mean"):
        grade_relevance(drugs(), drugs().rename(columns={"moa": "mao"}))
