import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from planted_towers import planted
from screenbook.errors import InputError
from screenbook.fingerprints import tanimoto
from screenbook.structure.held_out_towers import HeldOutTowers, train_held_out
from screenbook.structure.score_prediction import (
    COLUMNS,
    by_nearest_structures,
    judge_predictions,
    measured_scores,
    predict_held_out,
)


def predicted(dial, seed=0, n_groups=5):
    imaged, on_axis = planted(dial, seed=seed, n_groups=n_groups)
    towers = train_held_out(imaged, rules=("scaffold",), encoders=("fingerprint",), n_folds=3)
    return imaged, on_axis, towers, predict_held_out(imaged, on_axis, towers)


@pytest.fixture(scope="module")
def found():
    return predicted(1.0)


def test_scores_of_new_scaffolds_are_foretold_where_side_groups_tell(found):
    judged = judge_predictions(found[3], n_draws=200).set_index("method")
    assert list(judged.index) == ["nearest structures", "ridge", "towers, fingerprint"]
    assert (judged["spearman"] > 0.6).all()
    assert (judged["low"] > 0.4).all()
    assert (judged["p"] < 0.01).all()
    ridge = found[3][found[3]["method"] == "ridge"]
    expected = spearmanr(ridge["measured"], ridge["predicted"])[0]
    assert judged.loc["ridge", "spearman"] == pytest.approx(expected)


def test_nothing_is_foretold_where_profiles_are_noise():
    judged = pd.concat(
        judge_predictions(predicted(0.0, s, n_groups=4)[3], n_draws=200) for s in range(3)
    )
    assert (judged["p"] > 0.01).all()
    assert (judged["low"] < 0).all()


def test_what_was_measured_is_the_mean_over_profiles(found):
    imaged, on_axis, _, predictions = found
    assert tuple(predictions) == COLUMNS
    scores = measured_scores(imaged, on_axis)
    mine = predictions[predictions["method"] == "ridge"]
    np.testing.assert_allclose(mine["measured"], scores)
    np.testing.assert_allclose(scores[4], on_axis[imaged.rows[imaged.compound == 4]].mean())


def test_no_score_of_a_held_out_compound_is_looked_at(found):
    imaged, on_axis, towers, predictions = found
    asked = towers[0].fold == 0
    other = on_axis.copy()
    other[imaged.rows[asked[imaged.compound]]] += 5
    again = predict_held_out(imaged, other, towers)
    shift = measured_scores(imaged, other).mean() - measured_scores(imaged, on_axis).mean()
    before, after = (p[p["fold"] == 0]["predicted"].to_numpy() for p in (predictions, again))
    np.testing.assert_allclose(after - before, shift)  # the common mean alone


def test_nearest_structures_are_those_of_a_loop(found):
    imaged, on_axis, towers, _ = found
    scores, known = measured_scores(imaged, on_axis), towers[0].fold != 0
    predict = by_nearest_structures(scores[known], imaged.bits[known])
    asked = imaged.bits[~known][:4]
    alike = tanimoto(asked, imaged.bits[known])
    for row, value in zip(alike, predict([], asked), strict=True):
        near = np.argsort(-row, kind="stable")[:5]
        assert value == pytest.approx(np.average(scores[known][near], weights=row[near]), rel=1e-4)
    nothing = predict([], np.zeros((1, asked.shape[1]), dtype=np.float32))
    assert nothing == pytest.approx(scores[known][:5].mean())


def test_a_constant_prediction_has_no_correlation():
    table = pd.DataFrame(
        {"rule": "scaffold", "method": "m", "scaffold": list("aabbcc"), "fold": [0, 0, 0, 1, 1, 1],
         "measured": np.arange(6.0), "predicted": 1.0}
    )  # fmt: skip
    row = judge_predictions(table, n_draws=50).iloc[0]
    assert np.isnan(row[["spearman", "low", "high"]].astype(float)).all()
    assert row["p"] == 1


def test_permutations_stay_within_folds():
    """A prediction that knows the fold alone is no better than its permutations."""
    fold = np.repeat(np.arange(4), 10)
    measured = fold + np.random.default_rng(0).normal(size=40) / 10
    table = pd.DataFrame(
        {"rule": "scaffold", "method": "m", "scaffold": np.arange(40).astype(str), "fold": fold,
         "measured": measured, "predicted": fold.astype(float)}
    )  # fmt: skip
    row = judge_predictions(table, n_draws=100).iloc[0]
    assert row["spearman"] > 0.9
    assert row["p"] > 0.9


def test_bad_scores_are_named(found):
    imaged, on_axis, _, _ = found
    with pytest.raises(InputError, match="give one for each row that was matched"):
        measured_scores(imaged, on_axis[1:])
    broken = on_axis.copy()
    broken[imaged.rows[6]] = np.nan
    with pytest.raises(InputError, match=f"profile {imaged.rows[6] + 1} is not finite"):
        predict_held_out(imaged, broken, [HeldOutTowers("scaffold", np.zeros(1), {})])
