"""What studies of splits may look at, and what their tables say of planted predictions."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_squared_error, r2_score

from screenbook.expression.baselines import BASELINES
from screenbook.expression.signatures import Signatures
from screenbook.expression.split_study import (
    FORWARD,
    FUSED,
    TOLD,
    WHOLE_NET,
    SplitStudy,
    askable_rules,
    clearest_condition,
    effect_table,
    explained,
    replicate_ceiling,
    study_split,
)
from screenbook.expression.splits import RULES, Split, parent_blocks
from small_studies import QUICK, all_rows, bits, small_signatures, study


def changed(rows, seed=0):
    """The small signatures with other changes and errors in some conditions."""
    chosen = small_signatures()
    rng = np.random.default_rng(seed)
    delta, error = chosen.delta.copy(), chosen.error.copy()
    delta[rows] = rng.normal(size=delta[rows].shape)
    error[rows] = 0.01
    return replace(chosen, delta=delta, error=error)


@pytest.mark.parametrize("rule", ["pair", "scaffold"])
def test_changes_of_test_conditions_are_not_looked_at(rule):
    before = study(rule)
    after = study_split(changed(before.split.test), bits(), rule, 0, QUICK)
    assert list(after.predictions) == [*BASELINES, FUSED, FORWARD, WHOLE_NET]
    for model, predicted in before.predictions.items():
        np.testing.assert_array_equal(after.predictions[model], predicted, err_msg=model)
    assert after.predictor.share == before.predictor.share


def test_changes_of_training_and_of_validation_conditions_are():
    before = study("pair")
    for part in ("train", "validation"):
        after = study_split(changed(getattr(before.split, part)), bits(), "pair", 0, QUICK)
        assert not np.allclose(after.predictions[FUSED], before.predictions[FUSED])
        assert not np.allclose(after.predictions["global_mean"], before.predictions["global_mean"])


def test_the_forward_model_is_the_joined_baselines_and_a_share_of_the_net():
    found = study("mechanism")
    joined, whole = (found.predictions[m].astype(float) for m in (FUSED, WHOLE_NET))
    np.testing.assert_allclose(
        found.predictions[FORWARD], joined + found.predictor.share * (whole - joined), atol=1e-6
    )
    asked = small_signatures().obs[found.split.test]
    np.testing.assert_array_equal(found.predictor.predict(asked), found.predictions[FORWARD])
    partly = replace(found.predictor, share=0.4).predict(asked)
    np.testing.assert_allclose(partly, joined + 0.4 * (whole - joined), atol=1e-6)
    assert np.abs(whole - joined).max() > 1e-4


def test_training_rows_keep_to_the_mask_and_know_the_units_of_the_rule():
    found, chosen = study("line"), small_signatures()
    known = found.split.train | found.split.validation
    rows = found.predictor.train
    np.testing.assert_array_equal(rows.delta, chosen.delta[known])
    assert rows.obs.index.tolist() == chosen.obs.index[known].tolist()
    assert rows.unit.tolist() == chosen.obs["cell_line"][known].tolist()
    held = set(chosen.obs["cell_line"][found.split.test])
    assert held
    assert not held & set(rows.obs["cell_line"])
    assert held <= set(rows.basal.index)
    assert len(all_rows("line").delta) == len(chosen)


def planted_study(part, predictions, rule="pair", serves=None):
    """A study of which only the split and the predictions are looked at."""
    return SplitStudy(
        split=Split(np.asarray(part), rule),
        seed=0,
        predictions=predictions,
        serves=dict.fromkeys(predictions, True) | (serves or {}),
        predictor=None,
        overlap=pd.DataFrame(),
    )


def planted_conditions(n_drugs=6, n_lines=5, n_genes=7, seed=0):
    rng = np.random.default_rng(seed)
    drug, line = (i.ravel() for i in np.mgrid[:n_drugs, :n_lines])
    obs = pd.DataFrame(
        {
            "compound_key": [f"{chr(65 + d) * 14}-X-N" for d in drug],
            "cell_line": [f"L{i}" for i in line],
        }
    )
    return obs, rng.normal(size=(len(obs), n_genes)).astype(np.float32), rng


def test_no_change_explains_nothing_and_the_truth_everything():
    obs, observed, _ = planted_conditions()
    part = np.where(np.arange(len(obs)) % 3 == 0, "test", "train")
    test = observed[part == "test"]
    found = explained(
        [
            planted_study(
                part,
                {
                    "zero": np.zeros_like(test),
                    "line_mean": 0.5 * test,
                    "mechanism_mean": 0.9 * test,
                    "knn": 2 * test,
                    FUSED: 0.6 * test,
                    FORWARD: test.copy(),
                    "drug_mean": test.copy(),
                },
                serves={"drug_mean": False},
            )
        ],
        observed,
        obs,
    ).set_index("model")
    assert "drug_mean" not in found.index
    for model, value in (("zero", 0), (FORWARD, 1)):
        assert found.loc[model, "value"] == value
        limits = found.loc[model, ["low", "high"]].to_numpy(dtype=float)
        assert limits == pytest.approx(value, abs=1e-12)
    # Half of the change leaves a quarter of its square, and twice the change all of it.
    assert found.loc["line_mean", "value"] == pytest.approx(0.75)
    assert found.loc["knn", "value"] == pytest.approx(0, abs=1e-6)
    assert found["kind"].to_dict() == {
        "zero": "baseline",
        "line_mean": "baseline",
        "mechanism_mean": "told",
        "knn": "baseline",
        FUSED: "fusion",
        FORWARD: "model",
    }
    # The best baseline is the line's mean: one that is told more is no measure.
    assert found.loc["line_mean", ["ahead", "ahead_low", "ahead_high"]].tolist() == [0, 0, 0]
    assert found.loc[FORWARD, "ahead"] == pytest.approx(0.25)
    assert found.loc["mechanism_mean", "ahead"] == pytest.approx(0.24)
    assert found.loc["line_mean", "label"] == BASELINES["line_mean"]
    assert found["sd"].isna().all()


def test_a_share_of_each_draw_and_one_of_all_draws_together():
    obs, observed, rng = planted_conditions()
    parts = [np.where(np.arange(len(obs)) % 4 == k, "test", "train") for k in (0, 1, 2)]
    studies = []
    for k, part in enumerate(parts):
        test = observed[part == "test"]
        noisy = test + (0.2 + 0.3 * k) * rng.normal(size=test.shape).astype(np.float32)
        studies.append(planted_study(part, {"zero": 0 * test, FORWARD: noisy}))
    found = explained(studies, observed, obs).set_index("model").loc[FORWARD]
    asked = [observed[part == "test"].ravel() for part in parts]
    told = [s.predictions[FORWARD].ravel() for s in studies]
    # r2_score of a change and its negative is centred on zero: the share of the square itself.
    each = [r2_score(np.r_[a, -a], np.r_[p, -p]) for a, p in zip(asked, told, strict=True)]
    assert found["sd"] == pytest.approx(np.std(each, ddof=1), rel=1e-5)
    a, p = np.concatenate(asked), np.concatenate(told)
    assert found["value"] == pytest.approx(r2_score(np.r_[a, -a], np.r_[p, -p]), rel=1e-5)
    assert found["low"] < found["value"] < found["high"]


def test_intervals_resample_drugs_and_lines_where_lines_are_held_out():
    obs, _, _ = planted_conditions()
    drug = obs["compound_key"].str[0].map(ord).to_numpy() - 65
    observed = np.ones((len(obs), 4), dtype=np.float32)
    by_drug = np.where(drug % 2 == 0, 0.9, 0.1)[:, None] * observed
    part = np.repeat("test", len(obs))
    models = {"zero": 0 * observed, FORWARD: by_drug}
    of_drugs = explained([planted_study(part, models)], observed, obs)
    of_lines = explained([planted_study(part, models, rule="line")], observed, obs)
    of_drugs, of_lines = (t.set_index("model").loc[FORWARD] for t in (of_drugs, of_lines))
    assert of_drugs["value"] == pytest.approx(of_lines["value"])
    # Every line has the same drugs, so no draw of lines differs from another.
    assert of_lines["high"] - of_lines["low"] == pytest.approx(0, abs=1e-9)
    # 1 - 0.1 ** 2 of the even drugs and 1 - 0.9 ** 2 of the odd ones.
    assert of_drugs["low"] < of_drugs["value"] - 0.2
    assert of_drugs["high"] > of_drugs["value"] + 0.2


def test_enantiomers_are_drawn_as_one_drug():
    obs, observed, _ = planted_conditions(n_drugs=2, n_lines=1)
    obs["compound_key"] = ["AAAAAAAAAAAAAA-RRRRRR-N", "AAAAAAAAAAAAAA-SSSSSS-N"]
    predicted = observed * np.array([[1.0], [0.0]], dtype=np.float32)
    one = planted_study(["test", "test"], {"zero": 0 * observed, FORWARD: predicted})
    found = explained([one], observed, obs).set_index("model").loc[FORWARD]
    limits = found[["low", "high"]].to_numpy(dtype=float)
    assert limits == pytest.approx(found["value"])
    assert 0 < found["value"] < 1


def test_drugs_that_were_never_asked_say_nothing():
    obs, observed, _ = planted_conditions(n_drugs=4, n_lines=4)
    part = np.where(obs["cell_line"] == "L0", "test", "train")
    test = observed[part == "test"]
    one = planted_study(part, {"zero": 0 * test, FORWARD: 0.5 * test}, rule="line")
    found = explained([one], observed, obs).set_index("model")
    # With one line asked every interval is its value, or none; no draw may count as right.
    for model, value in (("zero", 0.0), (FORWARD, 0.75)):
        limits = found.loc[model, ["low", "high"]].astype(float)
        assert limits.isna().all() or limits.to_numpy() == pytest.approx([value, value])


def test_the_table_of_a_real_study_stands_as_its_numbers_do():
    chosen = small_signatures()
    studies = [study("drug", seed) for seed in (0, 1)]
    found = explained(studies, chosen.delta, chosen.obs, seed=3)
    assert found["model"].tolist() == [
        m for m in studies[0].predictions if all(s.serves[m] for s in studies)
    ]
    assert "drug_mean" not in found["model"].tolist()  # of a new drug there is none
    assert found["low"].le(found["value"] + 1e-9).all()
    assert found["high"].ge(found["value"] - 1e-9).all()
    best = found[found["kind"] == "baseline"].set_index("model")["value"]
    np.testing.assert_allclose(found["ahead"], found["value"] - best.max())
    assert (found["ahead"] == 0).sum() >= 1
    assert not set(best.index) & {*TOLD, FUSED, FORWARD, WHOLE_NET}
    assert (found["sd"] >= 0).all()
    pd.testing.assert_frame_equal(explained(studies, chosen.delta, chosen.obs, seed=3), found)


def replicated(n=300, n_genes=40, signal=1.0, noise=0.5, n_plates=2, seed=0):
    rng = np.random.default_rng(seed)
    effect = signal * rng.normal(size=(n, n_genes))
    delta = np.repeat(effect, n_plates, axis=0)
    delta = delta + noise * rng.normal(size=delta.shape)
    obs = pd.DataFrame(
        {
            "compound_key": np.repeat([f"name:{i}" for i in range(n)], n_plates),
            "cell_line": "L",
            "dose": 5.0,
            "plate": np.tile([f"p{i}" for i in range(n_plates)], n),
        }
    )
    return of(delta, obs)


def of(delta, obs, error=None):
    delta = np.asarray(delta, dtype=np.float32)
    error = np.full_like(delta, 0.1) if error is None else np.asarray(error, dtype=np.float32)
    genes = np.array([f"G{i}" for i in range(delta.shape[1])], dtype=object)
    return Signatures(delta, error, obs, genes, pd.DataFrame())


@pytest.mark.parametrize(("noise", "n_plates"), [(0.5, 2), (1.0, 2), (1.0, 4)])
def test_the_ceiling_is_the_share_of_the_signal(noise, n_plates):
    share, n = replicate_ceiling(replicated(noise=noise, n_plates=n_plates))
    assert n == 300
    assert share == pytest.approx(1 / (1 + noise**2), abs=0.03)


def test_noise_alone_has_no_ceiling_and_signal_alone_a_full_one():
    assert replicate_ceiling(replicated(signal=0))[0] == pytest.approx(0, abs=0.03)
    assert replicate_ceiling(replicated(noise=0))[0] == pytest.approx(1)


@pytest.mark.parametrize("n_plates", [2, 9])
def test_a_condition_counts_once_however_often_it_was_repeated(n_plates):
    a, b = np.array([3.0, 0.0]), np.array([0.0, 4.0])
    delta = [a, -a, *[b] * n_plates]
    obs = pd.DataFrame({"compound_key": ["name:a"] * 2 + ["name:b"] * n_plates})
    obs = obs.assign(cell_line="L", dose=1.0, plate=["p0", "p1", *map(str, range(n_plates))])
    share, n = replicate_ceiling(of(delta, obs))
    assert n == 2
    assert share == pytest.approx((16 - 9) / (16 + 9))


@pytest.mark.parametrize("column", ["compound_key", "cell_line", "dose"])
def test_other_drugs_lines_and_doses_are_no_replicates(column):
    obs = pd.DataFrame({"compound_key": "name:a", "cell_line": "L", "dose": [1.0, 1.0]})
    obs = obs.assign(plate=["p0", "p1"])
    assert replicate_ceiling(of(np.ones((2, 3)), obs)) == (1.0, 1)
    obs[column] = ["1", "2"] if column != "dose" else [1.0, 2.0]
    share, n = replicate_ceiling(of(np.ones((2, 3)), obs))
    assert np.isnan(share)
    assert n == 0


def test_two_wells_of_one_plate_are_no_replicates():
    obs = pd.DataFrame({"compound_key": ["name:a"] * 3, "cell_line": "L", "dose": 1.0})
    share, n = replicate_ceiling(of(np.ones((3, 3)), obs.assign(plate="p")))
    assert np.isnan(share)
    assert n == 0
    # With one on another plate, its two pairs count and the pair within the plate does not.
    delta = np.array([[2.0], [2.0], [1.0]])
    share, n = replicate_ceiling(of(delta, obs.assign(plate=["p", "p", "q"])))
    assert share == pytest.approx(2 / ((4 + 1) / 2))
    assert n == 1


def test_effects_are_averaged_at_the_highest_dose_and_constants_are_counted():
    found, chosen = study("pair"), small_signatures()
    table = effect_table(found, chosen, top=10).set_index("model")
    assert table.index.tolist() == [m for m in found.predictions if found.serves[m]]
    test = chosen.subset(found.split.test)
    highest = (test.obs["dose"] == 5.0).to_numpy()
    assert 0 < highest.sum() < len(highest)
    for model in (FORWARD, "line_mean", "zero"):
        predicted = found.predictions[model][highest]
        error = mean_squared_error(test.delta[highest], predicted)
        assert table.loc[model, "mse"] == pytest.approx(error, rel=1e-5)
    assert table.loc["zero", "undefined"] == 1
    assert np.isnan(table.loc["zero", "pearson"])
    assert table.loc["zero", "discrimination"] == 0.5
    assert table.loc[FORWARD, "undefined"] == 0
    # What every prediction should know is taken off, so the mean of the line has nothing left.
    assert np.isnan(table.loc["line_mean", "centred_cosine"])
    assert np.isfinite(table.loc[FORWARD, "centred_cosine"])


def test_a_perfect_prediction_has_perfect_scores():
    found, chosen = study("pair"), small_signatures()
    perfect = replace(
        found, predictions=found.predictions | {FORWARD: chosen.delta[found.split.test]}
    )
    row = effect_table(perfect, chosen).set_index("model").loc[FORWARD]
    assert row[["mse", "undefined"]].tolist() == [0, 0]
    assert row[["pearson", "centred_spearman", "discrimination"]].to_numpy() == pytest.approx(1)


def test_half_of_the_predictions_constant_is_half_undefined():
    found, chosen = study("pair"), small_signatures()
    highest = np.flatnonzero((chosen.obs["dose"][found.split.test] == 5.0).to_numpy())
    predicted = found.predictions[FORWARD].copy()
    predicted[highest[: len(highest) // 2]] = 0.25
    some = replace(found, predictions=found.predictions | {FORWARD: predicted})
    row = effect_table(some, chosen).set_index("model").loc[FORWARD]
    assert row["undefined"] == pytest.approx((len(highest) // 2) / len(highest))
    assert np.isfinite(row["pearson"])


def test_one_line_leaves_the_rules_about_drugs():
    chosen = small_signatures()
    one = chosen.obs[chosen.obs["cell_line"] == chosen.obs["cell_line"].iloc[0]]
    why = askable_rules(one, list(RULES))
    assert {rule for rule, text in why.items() if text} == {"pair", "line", "drug_line"}
    assert "rule 'line'" in why["line"]
    assert list(why) == list(RULES)
    assert set(askable_rules(chosen.obs, list(RULES)).values()) == {""}


def test_the_clearest_condition_stands_out_of_its_noise_most():
    found, chosen = study("pair"), small_signatures()
    at = np.flatnonzero(found.split.test)[7]
    error = np.full_like(chosen.error, 10.0)
    error[at] = 1e-4
    error[np.flatnonzero(found.split.train)[0]] = 1e-6  # was learned from
    name, genes = clearest_condition(found, replace(chosen, error=error))
    row = chosen.obs.iloc[at]
    assert name == f"{row['compound']}, {row['dose']:g} µM, {row['cell_line']}"
    np.testing.assert_array_equal(genes["observed"], chosen.delta[at])
    np.testing.assert_array_equal(genes["predicted"], found.predictions[FORWARD][7])
    assert genes["gene"].tolist() == chosen.genes.tolist()
    assert set(genes["error"]) == {np.float32(1e-4)}
    largest = np.argsort(-np.abs(chosen.delta[at]))[:5]
    assert set(np.flatnonzero(genes["named"])) == set(largest)


def test_parents_are_what_is_held_out():
    obs = small_signatures().obs
    test = study("drug").split.test
    assert not set(parent_blocks(obs["compound_key"][test])) & set(
        parent_blocks(study("drug").predictor.train.obs["compound_key"])
    )
