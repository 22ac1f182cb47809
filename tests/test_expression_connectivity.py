"""Connectivity scores find planted matches and agree with plain references."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics.pairwise import cosine_similarity

from screenbook.errors import InputError
from screenbook.expression.connectivity import (
    SCORES,
    normalise_connectivity,
    score_connectivity,
    tau,
    wtcs,
    xcos,
    xsum,
    zhang,
)


def planted(q=12, genes=240, noise=0.7, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.standard_t(3, size=(q, genes))
    return truth + noise * rng.normal(size=truth.shape), truth + noise * rng.normal(
        size=truth.shape
    )


def running_sum(values, members):
    """Enrichment score by walking down the whole list."""
    order = np.argsort(-values, kind="stable")
    inside = np.isin(order, members)
    step = np.where(inside, np.abs(values[order]), 0.0)
    walk = np.cumsum(step / step.sum() - ~inside / (~inside).sum())
    high, low = max(walk.max(), 0), min(walk.min(), 0)
    if abs(high + low) < 1e-9:
        return 0.0
    return high if high > -low else low


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.booleans())
def test_wtcs_agrees_with_a_walk_down_the_list(seed, k, related):
    rng = np.random.default_rng(seed)
    query, library = rng.normal(size=(3, 30)), rng.normal(size=(4, 30))
    library += query[0] * related
    found = wtcs(query, library, k=k)
    for i, q in enumerate(query):
        order = np.argsort(q)
        for j, values in enumerate(library):
            up, down = running_sum(values, order[-k:]), running_sum(values, order[:k])
            wanted = 0.0 if np.sign(up) == np.sign(down) else (up - down) / 2
            assert found[i, j] == pytest.approx(wanted)


def test_correlations_agree_with_scipy_and_sklearn():
    query, library = planted(4)
    np.testing.assert_allclose(
        score_connectivity(query, library, "cosine"), cosine_similarity(query, library)
    )
    for name, oracle in (("pearson", pearsonr), ("spearman", spearmanr)):
        wanted = [[oracle(q, c).statistic for c in library] for q in query]
        np.testing.assert_allclose(score_connectivity(query, library, name), wanted)


def test_small_cases_by_hand():
    query = np.array([[4.0, 3.0, 0.1, -0.1, -3.0, -4.0]])
    library = np.array([[5.0, -1.0, 2.0, 0.5, 3.0, -4.0]])
    # Sets: genes 1 and 2 up, 5 and 6 down; extremes of the library: 1 and 5 up, 2 and 6 down.
    assert xsum(query, library, k=2, extremes=2)[0, 0] == (5 - 1) - (3 - 4)
    num = 4 * 5 + 3 * -1 + -3 * 3 + -4 * -4
    assert xcos(query, library, k=2, extremes=2)[0, 0] == pytest.approx(
        num / np.sqrt((16 + 9 + 9 + 16) * (25 + 1 + 9 + 16))
    )
    # Signed ranks 6, -2, 3, 1, 4, -5.
    assert zhang(query, library, k=2)[0, 0] == pytest.approx((6 - 2 - 4 + 5) / (6 + 5 + 4 + 3))
    # Genes 1 and 6 are extreme in both.
    assert xcos(query, library, k=1, extremes=1)[0, 0] == pytest.approx(36 / np.sqrt(32 * 41))
    assert wtcs(query, query, k=2)[0, 0] == 1
    assert zhang(query, query, k=2)[0, 0] == 1
    assert zhang(query, -query, k=2)[0, 0] == -1


@pytest.mark.parametrize("name", SCORES)
def test_a_planted_match_is_found_and_its_reverse_is_last(name):
    query, library = planted()
    scores = score_connectivity(query, np.vstack([library, -library]), name)
    assert (scores.argmax(axis=1) == np.arange(12)).all()
    assert (scores.argmin(axis=1) == np.arange(12) + 12).all()


@pytest.mark.parametrize("name", SCORES)
def test_invariances(name):
    query, library = planted(6)
    scores = score_connectivity(query, library, name)
    order = np.random.default_rng(1).permutation(query.shape[1])
    np.testing.assert_allclose(
        score_connectivity(query[:, order], library[:, order], name), scores, atol=1e-12
    )
    for q, c in ((-query, library), (query, -library)):
        np.testing.assert_allclose(score_connectivity(q, c, name), -scores, atol=1e-12)
    np.testing.assert_allclose(score_connectivity(3 * query, library, name), scores, atol=1e-12)
    if name != "xsum":
        np.testing.assert_allclose(score_connectivity(query, 3 * library, name), scores, atol=1e-12)
    bent = score_connectivity(np.exp(query), library**3, "spearman")
    np.testing.assert_allclose(bent, score_connectivity(query, library, "spearman"))


def test_what_says_nothing_has_no_score():
    query, library = planted(3)
    query[1] = 0
    for name in SCORES:
        scores = score_connectivity(query, library, name)
        assert np.isnan(scores[1]).all(), name
        assert np.isfinite(scores[[0, 2]]).all(), name
    library[0] = 0
    for name in ("cosine", "pearson", "spearman", "wtcs"):
        scores = score_connectivity(query, library, name)
        assert np.isnan(scores[:, 0]).all(), name


def test_normalisation_is_within_query_line_and_sign():
    scores = np.array([[0.2, 0.6, -0.1, 0.0, 0.5, -0.4, np.nan]])
    groups = np.array(["a", "a", "a", "a", "b", "b", "b"])
    found = normalise_connectivity(scores, groups)
    np.testing.assert_allclose(found, [[0.5, 1.5, -1, 0, 1, -1, np.nan]])
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(5, 40)) * 0.1
    raw[:, 20:] *= 4
    even = normalise_connectivity(raw, np.repeat(["a", "b"], 20))
    for part in (even[:, :20], even[:, 20:]):
        assert np.where(part > 0, part, np.nan).shape == (5, 20)
        np.testing.assert_allclose(np.nanmean(np.where(part > 0, part, np.nan), axis=1), 1)


def test_tau_corrects_for_candidates_that_resemble_everything():
    rng = np.random.default_rng(0)
    background = rng.normal(size=(500, 3)) * [1.0, 10.0, 1.0]
    scores = np.array([[2.5, 2.5, -2.5], [0.0, np.nan, 5.0]])
    found = tau(scores, background)
    for c, value in enumerate(scores[0]):
        share = (np.abs(background[:, c]) < abs(value)).mean()
        assert found[0, c] == pytest.approx(100 * np.sign(value) * share)
    assert found[0, 0] > 95 > 40 > found[0, 1]
    assert found[1, 0] == 0
    assert np.isnan(found[1, 1])
    assert np.isnan(tau(scores, np.full((4, 3), np.nan))).all()


def test_a_large_library_takes_seconds():
    rng = np.random.default_rng(0)
    query, library = rng.normal(size=(100, 978)), rng.normal(size=(250, 978))
    for name in SCORES:
        start = time.process_time()
        score_connectivity(query, library, name)
        # A sixteenth of 400 queries in 1,000 signatures.
        assert time.process_time() - start < 2, name


def test_bad_input_is_refused():
    query, library = planted(2)
    with pytest.raises(InputError, match=r"no score 'spearmen'.*did you mean"):
        score_connectivity(query, library, "spearmen")
    with pytest.raises(InputError, match="over the same genes"):
        score_connectivity(query[:, :50], library, "cosine")
    with pytest.raises(InputError, match=r"sets of 50 raised .* of 60 genes: take k up to 30"):
        wtcs(query[:, :60], library[:, :60])
    library[1, 3] = np.inf
    with pytest.raises(InputError, match="library signatures: row 2, gene 4 is inf"):
        score_connectivity(query, library, "xsum")
    with pytest.raises(InputError, match="the same candidates"):
        tau(np.zeros((1, 2)), np.zeros((1, 3)))
