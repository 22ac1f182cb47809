import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from screenbook.errors import InputError
from screenbook.expression.retrieval_baselines import (
    RETRIEVAL_BASELINES,
    magnitude_scores,
    popularity_scores,
    random_scores,
    retrieval_baselines,
    structure_scores,
)


def signatures(n, seed=0, genes=15):
    return np.random.default_rng(seed).normal(size=(n, genes)) + 0.5


def test_random_order_has_no_favourite_and_a_seed():
    scores = random_scores(3000, 8, seed=1)
    assert (scores == random_scores(3000, 8, seed=1)).all()
    assert (scores != random_scores(3000, 8, seed=2)).all()
    first = np.bincount(scores.argmax(axis=1), minlength=8) / 3000
    assert first == pytest.approx(np.full(8, 1 / 8), abs=0.03)


def test_popularity_is_the_mean_cosine_to_training():
    candidates, training = signatures(6), signatures(40, seed=1)
    scores = popularity_scores(3, candidates, training)
    assert scores.shape == (3, 6)
    assert (scores == scores[0]).all()
    assert scores[0] == pytest.approx(cosine_similarity(candidates, training).mean(axis=1))


def test_magnitude_looks_at_size_alone():
    queries, rng = signatures(4), np.random.default_rng(3)
    turned = queries @ np.linalg.qr(rng.normal(size=(15, 15)))[0]
    scores = magnitude_scores(queries, turned)
    assert np.diag(scores) == pytest.approx(0)
    assert scores.max() <= 1e-12
    assert magnitude_scores(queries, 2 * queries).diagonal() == pytest.approx(-np.log(2))
    assert scores == pytest.approx(magnitude_scores(queries, -turned))


def test_structure_is_tanimoto_and_silent_where_there_is_none():
    bits = (np.random.default_rng(0).random((5, 60)) < 0.3).astype(float)
    bits[2] = 0
    scores = structure_scores(bits, bits)
    kept = [0, 1, 3, 4]
    assert np.diag(scores)[kept] == pytest.approx(1)
    assert np.isnan(scores[2]).all()
    assert np.isnan(scores[:, 2]).all()
    assert np.isfinite(scores[np.ix_(kept, kept)]).all()


def test_missing_signatures_stay_missing():
    queries, candidates, training = signatures(3), signatures(5, 1), signatures(9, 2)
    candidates[1], candidates[3], training[0] = np.nan, 0, 0
    bits = np.eye(5)
    found = retrieval_baselines(queries, candidates, training, bits[:3], bits)
    assert list(found) == list(RETRIEVAL_BASELINES)
    for name in ("popularity", "magnitude"):
        missing = np.isnan(found[name])
        assert missing[:, [1, 3]].all()
        assert not missing[:, [0, 2, 4]].any()
    assert found["structure"] == pytest.approx(np.eye(3, 5))
    assert np.isfinite(found["random"]).all()


def test_shapes_that_do_not_fit_are_refused():
    a, b = signatures(3), signatures(4)
    with pytest.raises(InputError, match="15, 15 and 14 genes"):
        retrieval_baselines(a, b, signatures(5, genes=14), np.eye(3), np.eye(4))
    with pytest.raises(InputError, match="one fingerprint for each query"):
        retrieval_baselines(a, b, a, np.eye(4), np.eye(4))
