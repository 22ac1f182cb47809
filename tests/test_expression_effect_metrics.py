"""Predicted against observed changes: oracles, and what a prediction without content scores."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, mean_squared_error
from sklearn.metrics.pairwise import cosine_similarity
from torchmetrics.functional import pearson_corrcoef, spearman_corrcoef

from screenbook.errors import InputError
from screenbook.expression.effect_metrics import discrimination_scores, score_effects
from screenbook.retrieval_metrics import summarise


def changes(n=30, genes=80, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    observed = rng.normal(size=(n, genes)) * rng.choice([0.2, 2.0], genes)
    return observed + noise * rng.normal(size=(n, genes)), observed


def test_agrees_with_scipy_sklearn_and_torchmetrics():
    predicted, observed = changes()
    found = score_effects(predicted, observed, top=20)
    for i, (p, o) in enumerate(zip(predicted, observed, strict=True)):
        best = np.argsort(-abs(o))[:20]
        for prefix, a, b in (("", p, o), ("top_", p[best], o[best])):
            row = {
                "mse": mean_squared_error(b, a),
                "mae": mean_absolute_error(b, a),
                "cosine": cosine_similarity([a], [b])[0, 0],
                "pearson": pearsonr(a, b).statistic,
                "spearman": spearmanr(a, b).statistic,
            }
            for name, wanted in row.items():
                assert found[prefix + name][i] == pytest.approx(wanted), name
        assert found["sign_accuracy"][i] == (np.sign(p[best]) == np.sign(o[best])).mean()
    p, o = (torch.tensor(x.T) for x in (predicted, observed))
    np.testing.assert_allclose(found["pearson"], pearson_corrcoef(p, o), atol=1e-6)
    np.testing.assert_allclose(found["spearman"], spearman_corrcoef(p, o), atol=1e-5)


def test_top_genes_are_those_of_the_truth_and_of_small_error():
    observed = np.array([[3.0, 2.0, 1.0, 0.5, 0.1]])
    predicted = np.array([[-3.0, 2.0, 1.0, 9.0, 9.0]])
    found = score_effects(predicted, observed, top=2)
    assert found["sign_accuracy"][0] == 0.5
    assert found["top_mae"][0] == 3
    error = np.array([[10.0, 1.0, 0.1, 1.0, np.nan]])
    assert score_effects(predicted, observed, error=error, top=2)["sign_accuracy"][0] == 1


def test_a_constant_prediction_has_no_correlation_and_is_counted():
    _, observed = changes()
    for value, cosine in ((0.0, False), (0.3, True)):
        found = score_effects(np.full(observed.shape, value), observed)
        assert found[["pearson", "spearman", "top_pearson"]].isna().all(axis=None)
        assert found["cosine"].notna().all() == cosine
    summary = summarise(found, np.arange(len(observed))).set_index("metric")
    assert summary.loc["pearson", "n_missing"] == 30
    assert np.isnan(summary.loc["pearson", "mean"])
    none = score_effects(np.zeros(observed.shape), observed)
    assert (none["sign_accuracy"] == 0.5).all()
    np.testing.assert_allclose(none["mse"], (observed**2).mean(axis=1))


def test_centring_takes_away_what_the_reference_knows():
    rng = np.random.default_rng(1)
    stress = np.tile(3 * rng.normal(size=80), (30, 1))
    own = rng.normal(size=(30, 80))
    observed = stress + own
    found = score_effects(stress.astype(np.float32), observed, reference=stress)
    assert found["pearson"].mean() > 0.9
    assert found[["centred_cosine", "centred_pearson", "centred_top_spearman"]].isna().all(None)
    guess = score_effects(stress + rng.normal(size=own.shape), observed, reference=stress)
    assert abs(guess["centred_pearson"].mean()) < 0.1
    right = score_effects(stress + 0.2 * own, observed, reference=stress)
    np.testing.assert_allclose(right[["centred_cosine", "centred_top_pearson"]], 1)


def test_invariances():
    predicted, observed = changes()
    found = score_effects(predicted, observed)
    order = np.random.default_rng(2).permutation(80)
    pd.testing.assert_frame_equal(found, score_effects(predicted[:, order], observed[:, order]))
    scaled = score_effects(5 * predicted, observed)
    np.testing.assert_allclose(scaled[["cosine", "pearson"]], found[["cosine", "pearson"]])
    flipped = score_effects(-predicted, observed)
    np.testing.assert_allclose(flipped["spearman"], -found["spearman"])
    np.testing.assert_allclose(flipped["sign_accuracy"], 1 - found["sign_accuracy"])
    bent = score_effects(np.exp(predicted), observed)
    np.testing.assert_allclose(bent["spearman"], found["spearman"])


def plain_discrimination(predicted, observed):
    """Perturbation discrimination as cell-eval has it (L1), ties by the order of rows."""
    out = []
    for i, p in enumerate(predicted):
        distance = np.abs(observed - p).sum(axis=1)
        rank = int(np.flatnonzero(np.argsort(distance, kind="stable") == i)[0])
        out.append(1 - rank / len(observed))
    return np.array(out)


def test_discrimination_agrees_with_a_plain_reference_but_for_the_denominator():
    predicted, observed = changes(noise=4.0)
    n = len(observed)
    wanted = plain_discrimination(predicted, observed)
    assert 0.6 < wanted.mean() < 0.99
    np.testing.assert_allclose(
        discrimination_scores(predicted, observed), 1 - (1 - wanted) * n / (n - 1)
    )
    assert (discrimination_scores(observed, observed) == 1).all()


@pytest.mark.parametrize("distance", ["l1", "l2", "cosine"])
@pytest.mark.parametrize("value", ["zero", "mean", "first", "large"])
def test_one_prediction_for_all_scores_a_half_exactly(distance, value):
    _, observed = changes(seed=3)
    observed[4] = observed[5]
    vector = {
        "zero": np.zeros(80),
        "mean": observed.mean(axis=0),
        "first": observed[0],
        "large": np.full(80, 1e3),
    }[value]
    constant = np.tile(vector, (30, 1))
    scores = discrimination_scores(constant, observed, distance=distance)
    assert scores.mean() == pytest.approx(0.5, abs=1e-12)
    line = np.repeat([0, 1, 2], [9, 20, 1])
    scores = discrimination_scores(constant, observed, distance=distance, within=line)
    assert np.isnan(scores[-1])
    assert np.nanmean(scores) == pytest.approx(0.5, abs=1e-12)


def test_only_the_own_group_competes():
    predicted, observed = changes(noise=3.0)
    line = np.arange(30) % 3
    found = discrimination_scores(predicted, observed, within=line)
    for g in range(3):
        mine = line == g
        np.testing.assert_allclose(
            found[mine], discrimination_scores(predicted[mine], observed[mine])
        )


def test_bad_input_is_refused():
    predicted, observed = changes(3, 5)
    with pytest.raises(InputError, match=r"predicted changes of shape \(3, 4\)"):
        score_effects(predicted[:, :4], observed)
    with pytest.raises(InputError, match=r"reference changes of shape \(5,\)"):
        score_effects(predicted, observed, reference=observed[0])
    with pytest.raises(InputError, match="top is 1"):
        score_effects(predicted, observed, top=1)
    with pytest.raises(InputError, match="distance 'l3'"):
        discrimination_scores(predicted, observed, distance="l3")
    predicted[1, 2] = np.nan
    with pytest.raises(InputError, match="predicted changes: row 2, gene 3 is nan"):
        score_effects(predicted, observed)
