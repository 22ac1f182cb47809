"""Methods to compare signatures: one by one or together, they give the same scores."""

import numpy as np
import pytest

from planted_signatures import two_plates
from screenbook.errors import InputError
from screenbook.expression.comparison import (
    Comparison,
    Method,
    SignatureRows,
    candidate_methods,
    combine_methods,
    score_library,
)
from screenbook.expression.connectivity import score_connectivity
from screenbook.expression.spaces import Space, centre_on_treated, fit_space


def test_methods_are_named_apart():
    methods = candidate_methods()
    assert len({str(m) for m in methods}) == len(methods) > 100
    assert not any(m.space.needs_controls for m in candidate_methods(with_controls=False))


def test_scores_are_those_of_the_steps():
    query, library, wells = two_plates()
    q, c = (centre_on_treated(side.delta, side.batch) for side in (query, library))
    for space in (Space(), Space("control", 0, 0.5), Space("ranks", 2)):
        fitted = fit_space(space, c, wells)
        for score in ("cosine", "spearman", "wtcs"):
            np.testing.assert_allclose(
                score_library(Method(space, score, centre=True), query, library, wells),
                score_connectivity(fitted.transform(q), fitted.transform(c), score),
                atol=1e-12,
            )


def test_shared_steps_do_not_mix_methods_up():
    query, library, wells = two_plates(12)
    methods = candidate_methods()
    methods = [methods[i] for i in np.random.default_rng(0).permutation(len(methods))[:25]]
    together = Comparison(query, library, wells)
    for method in [m for m in methods if m.score in ("cosine", "spearman")]:
        np.testing.assert_allclose(
            together.scores(method), score_library(method, query, library, wells)
        )


def test_a_signature_near_to_everything_stops_answering_all_queries():
    rng = np.random.default_rng(0)
    names = np.array([f"drug {i}" for i in range(40)], dtype=object)
    effect, shared = rng.normal(size=(40, 300)), np.sqrt(2) * rng.normal(size=300)
    q, c = (effect + shared + np.sqrt(2.5) * rng.normal(size=(40, 300)) for _ in range(2))
    query = SignatureRows(q, names, np.repeat("a", 40))
    library = SignatureRows(np.vstack([c, shared]), np.append(names, "hub"), np.repeat("b", 41))
    plain = score_library(Method(), query, library).argmax(axis=1)
    local = score_library(Method(local=True), query, library).argmax(axis=1)
    assert (plain == 40).mean() > 0.5 > 0.2 > (local == 40).mean()


def test_doses_of_one_compound_are_no_crowd():
    query, library, _ = two_plates(20, stress=0.0)
    extra = SignatureRows(
        np.vstack([library.delta, library.delta[:1], library.delta[:1]]),
        np.append(library.compound, library.compound[[0, 0]]),
        np.repeat("b", 22),
    )
    alone, copied = (
        score_library(Method(local=True), query, side)[:, 0] for side in (library, extra)
    )
    np.testing.assert_allclose(alone, copied)


def test_methods_are_averaged_on_one_scale():
    query, library, wells = two_plates(15)
    methods = [Method(), Method(score="xsum"), Method(score="spearman")]
    parts = [score_library(m, query, library, wells) for m in methods]
    z = [(p - p.mean(axis=1, keepdims=True)) / p.std(axis=1, keepdims=True) for p in parts]
    np.testing.assert_allclose(
        combine_methods(methods, query, library, wells), np.mean(z, axis=0), atol=1e-12
    )
    library.delta[3] = 0
    found = combine_methods(methods[:1], query, library)
    assert np.isnan(found[:, 3]).all()
    assert np.isfinite(np.delete(found, 3, axis=1)).all()
    assert np.isfinite(combine_methods(methods, query, library)).all()


def test_bad_input_is_refused():
    query, library, _ = two_plates(8)
    with pytest.raises(InputError, match="control wells, and there are 0"):
        score_library(Method(Space("control")), query, library)
    with pytest.raises(InputError, match="not for 'wtcs'"):
        Method(score="wtcs", local=True)
    with pytest.raises(InputError, match="no score 'cosin'"):
        score_library(Method(score="cosin"), query, library)
