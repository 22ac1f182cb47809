import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support

from planted_embeddings import design, planted
from screenbook.errors import InputError
from screenbook.images.class_accuracy import class_table
from screenbook.images.embedding_scores import (
    MEASURES,
    differences,
    score_table,
    variant_table,
)
from screenbook.images.evaluate import Questions, evaluate
from screenbook.images.probes import weighted_knn
from screenbook.images.splits import Split, split_experiments, split_sites


@pytest.fixture(scope="module")
def fields():
    obs = design(n_experiments=8, n_controls=12)
    return obs, split_experiments(obs, test=["E6", "E7", "E8"])


def test_all_measures_are_asked_twice(fields):
    obs, split = fields
    found = evaluate(planted(obs), obs, split, variant="planted")
    assert found.scores["measure"].tolist() == 2 * list(MEASURES)
    assert found.scores["standardised"].value_counts().to_dict() == {"none": 12, "plate": 12}
    assert found.scores["value"].notna().all()
    assert found.notes == ()
    accuracies = found.scores[found.scores["measure"].isin(["knn", "linear"])]
    assert (accuracies["n_groups"] == 3).all()
    assert (accuracies["chance"] == 1 / 5).all()
    assert (accuracies["low"] < accuracies["value"]).all()
    assert found.about["test_experiments"] == ["E6", "E7", "E8"]


def test_accuracy_is_that_of_scikit_learn(fields):
    obs, split = fields
    points = planted(obs, effect=1.0, mechanism=1.0, batch=1.0)
    found = evaluate(points, obs, split)
    scaled = (points - points[split.train].mean(axis=0)) / points[split.train].std(axis=0)
    names, label = np.unique(obs["treatment"], return_inverse=True)
    guess = weighted_knn(scaled[split.train], label[split.train], scaled[split.test], len(names))
    expected = balanced_accuracy_score(label[split.test], guess)
    assert found.value("knn") == pytest.approx(expected, abs=1e-6)
    recall = found.per_class.query("standardised == 'none' and by == 'knn'")["recall"]
    assert recall.mean() == pytest.approx(found.value("knn"))
    by_experiment = found.by_experiment.query("standardised == 'none' and measure == 'knn'")
    assert by_experiment["value"].mean() == pytest.approx(found.value("knn"))


def test_without_any_signal_all_is_at_chance(fields):
    obs, split = fields
    found = score_table(
        [evaluate(planted(obs, effect=0, mechanism=0, seed=s), obs, split) for s in range(5)]
    )
    mean = found.groupby("measure")[["value", "chance"]].mean()
    for measure in MEASURES:
        near = 0.2 if "mechanism" in measure else 0.1  # of four compounds a run
        assert mean.loc[measure, "value"] == pytest.approx(mean.loc[measure, "chance"], abs=near)


def test_standardising_takes_off_what_a_plate_multiplies_and_adds(fields):
    obs, split = fields
    points = planted(obs)
    rng = np.random.default_rng(1)
    code = pd.factorize(obs["batch"])[0]
    gain, offset = rng.lognormal(0, 0.4, (8, 24)), rng.normal(0, 4, (8, 24))
    plain = evaluate(points, obs, split)
    shifted = evaluate((points * gain[code] + offset[code]).astype(np.float32), obs, split)
    assert shifted.value("knn") < plain.value("knn") - 0.2
    assert shifted.value("batch_id") > 0.95
    assert shifted.value("kbet") < 0.05
    for measure in ("knn", "linear", "batch_id", "mechanism_nsc"):
        after = shifted.value(measure, "plate")
        assert after == pytest.approx(plain.value(measure, "plate"), abs=0.02)


def test_a_mechanism_is_told_by_other_compounds(fields):
    obs, split = fields
    strong = evaluate(planted(obs, effect=1.0, mechanism=5.0), obs, split)
    none = evaluate(planted(obs, effect=5.0, mechanism=0.0, seed=3), obs, split)
    assert strong.value("mechanism_nsc") == strong.value("mechanism_nscb") == 1
    assert none.value("mechanism_nsc") < 0.75
    row = strong.scores.query("measure == 'mechanism_nsc'").iloc[0]
    assert (row["n"], row["n_groups"], row["groups"]) == (12, 4, "compounds")
    assert 0.2 < row["chance"] < 0.5


def test_results_are_plain_json(fields):
    obs, split = fields
    found = evaluate(planted(obs), obs, split, variant="DINO", training_seed=2)
    text = json.dumps(found.results(), allow_nan=False)
    again = json.loads(text)
    assert again["variant"] == "DINO"
    assert again["scores"]["plate"]["knn"]["value"] == found.value("knn", "plate")
    assert again["scores"]["none"]["batch_id_linear"]["low"] is None
    assert len(again["per_class"]) == 2 * 2 * 5
    once_more = evaluate(planted(obs), obs, split, variant="DINO", training_seed=2)
    assert json.dumps(once_more.results()) == text


def test_cell_types_can_be_asked_for():
    cell_types = ("HUVEC", "RPE", "U2OS")
    obs = design(n_experiments=4, n_controls=16, compounds=(), cell_types=cell_types)
    points = planted(obs, d=6)
    points[:, 0] += 6 * pd.factorize(obs["cell_type"])[0]
    split = split_experiments(obs, test=2)
    found = evaluate(points, obs, split, questions=Questions(target="cell_type"))
    assert found.value("linear") > 0.9
    assert set(found.scores["measure"]) == {m for m in MEASURES if m[:4] not in ("mech", "grit")}
    assert set(found.per_class["class"]) == {"HUVEC", "RPE", "U2OS"}


def test_a_leaking_split_is_refused(fields):
    obs, _ = fields
    with pytest.raises(InputError, match=r"wells held out have fields in training too"):
        evaluate(planted(obs), obs, split_sites(obs))


def test_fields_of_neither_part_take_no_part(fields):
    obs, split = fields
    part = np.where(obs["experiment"] == "E1", "validation", split.part)
    kept = part != "validation"
    points = planted(obs)
    whole = evaluate(points, obs, Split(part))
    less = evaluate(points[kept], obs[kept], Split(part[kept]))
    assert whole.results() == less.results()


def test_what_cannot_be_asked_is_noted(fields):
    obs, split = fields
    odd = obs.copy()
    odd.loc[(obs["experiment"] == "E8") & (obs["treatment"] == "a1"), "treatment"] = "new"
    rest = odd[(odd["treatment"] == "b2") & split.train].index
    odd.loc[rest[1:], "treatment"] = "control"
    points = planted(obs)
    points[:, 5] = 3.0
    found = evaluate(points, odd, split)
    about = found.about
    assert about["n_features_that_vary"] == about["n_features"] - 1
    assert "treatment: 'new' not in training: not asked about" in found.notes
    assert "treatment: 'b2' with a single field in training" in found.notes

    bare = obs[~((obs["role"] == "control") & (obs["experiment"] == "E7"))]
    found = evaluate(planted(bare), bare, split.subset(obs.index.isin(bare.index)))
    assert set(found.scores["standardised"]) == {"none"}
    assert any("plates 'E7/1' have fewer than 2 negative controls" in n for n in found.notes)

    last = evaluate(planted(obs), obs, split_experiments(obs, test=1))
    assert "batch: one batch only held out, so there is nothing to mix" in last.notes
    assert np.isnan(last.value("kbet_held_out"))
    assert np.isnan(last.scores.query("measure == 'knn'")["low"]).all()


def test_what_is_wrong_is_refused(fields):
    obs, split = fields
    points = planted(obs)
    points[7, 3] = np.nan
    with pytest.raises(InputError, match=r"field 'E1/1/U03/2' has a value that is no number"):
        evaluate(points, obs, split)
    with pytest.raises(InputError, match="at least two are needed"):
        evaluate(planted(obs), obs.assign(treatment="control"), split)


def test_unbalanced_is_the_plain_accuracy(fields):
    obs, split = fields
    found = evaluate(planted(obs), obs, split, questions=Questions(balanced=False))
    counts = obs["treatment"][split.test].value_counts(normalize=True)
    row = found.scores.query("measure == 'knn'").iloc[0]
    assert row["chance"] == pytest.approx(counts.max())
    recall = found.per_class.query("standardised == 'none' and by == 'knn'")
    assert row["value"] == pytest.approx(np.average(recall["recall"], weights=recall["n"]))


def test_variants_side_by_side(fields):
    obs, split = fields
    weak, strong = ({"effect": e, "mechanism": 0.5, "batch": 2.0} for e in (0.5, 3.0))
    runs = [
        evaluate(planted(obs, seed=s, **how), obs, split, variant=name, training_seed=s)
        for name, how in (("weak", weak), ("strong", strong))
        for s in (0, 1)
    ]
    table = variant_table(runs, ["knn", "kbet"])
    assert table["variant"].tolist() == ["weak", "weak", "strong", "strong"]
    assert table["standardised"].tolist() == ["none", "plate"] * 2
    assert (table["n_seeds"] == 2).all()
    both = [run.value("knn") for run in runs[:2]]
    assert table["knn"][0] == pytest.approx(np.mean(both))
    assert table["knn_sd"][0] == pytest.approx(np.std(both, ddof=1))
    assert set(variant_table(runs[:1])) >= {f"{m}_low" for m in MEASURES}

    gain = differences(runs, "weak").set_index("standardised")
    assert gain.loc["none", "difference"] > 0.1
    assert gain.loc["none", "n_experiments"] == 3
    assert (gain["low"] < gain["difference"]).all()
    with pytest.raises(InputError, match=r"no variant 'week' \(did you mean 'weak'\?\)"):
        differences(runs, "week")
    with pytest.raises(InputError, match="no measure 'knnn'"):
        variant_table(runs, ["knnn"])


def test_class_table_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 4, (2, 200))
    guess[guess == 3] = 0
    table = class_table(truth, guess, np.array(list("abcd")))
    precision, recall, _, n = precision_recall_fscore_support(truth, guess, zero_division=np.nan)
    np.testing.assert_allclose(table["recall"], recall)
    np.testing.assert_allclose(table["precision"], precision)
    assert (table["n"] == n).all()
    assert (table["confused_with"] != table["class"]).all()
    wrong = [(guess[truth == 2] == c).mean() for c in (0, 1, 3)]
    assert table["confused_share"][2] == pytest.approx(max(wrong))
