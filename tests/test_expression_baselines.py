from time import process_time

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor

from screenbook.errors import InputError
from screenbook.expression.baselines import BASELINES, predict_baselines
from screenbook.expression.splits import split_conditions, split_units
from screenbook.expression.structure_baselines import STRENGTHS, fit_ridge
from screenbook.expression.training_rows import TrainingRows, cell_weights
from screenbook.fingerprints import tanimoto

DOSES = (0.05, 0.5, 5.0)


def planted(n_drugs=20, n_lines=6, n_genes=12, noise=0.0, kind="additive", seed=0, n_families=4):
    """Conditions of known effects: additive in drug and line, or linear in the drug's bits."""
    rng = np.random.default_rng(seed)
    keys = [f"K{d:03d}" for d in range(n_drugs)]
    core = rng.random((n_families, 256)) < 0.25
    bits = core[np.arange(n_drugs) % n_families] ^ (rng.random((n_drugs, 256)) < 0.03)
    fingerprints = pd.DataFrame(bits.astype(np.float32), index=keys)
    lines = [f"L{c}" for c in range(n_lines)]
    basal = pd.DataFrame(rng.normal(size=(n_lines, n_genes)), index=lines)
    obs = pd.DataFrame(
        [(k, c, dose) for k in keys for c in lines for dose in DOSES],
        columns=["compound_key", "cell_line", "dose"],
    )
    d, c = obs["compound_key"].str[1:].astype(int), obs["cell_line"].str[1:].astype(int)
    k = np.searchsorted(DOSES, obs["dose"])
    obs["moa"] = [f"M{x % n_families}" for x in d]
    obs["n_cells"] = rng.integers(20, 3000, len(obs)).astype(float)
    obs["SMILES"] = ""
    if kind == "additive":
        drug, line = rng.normal(size=(3, n_drugs, n_genes)), rng.normal(size=(3, n_lines, n_genes))
        delta = 0.7 * k[:, None] + drug[k, d] + line[k, c]
    else:
        family = rng.normal(size=(n_families, n_genes))[d % n_families]
        sensitivity = 1 + 0.8 * np.tanh(basal.to_numpy()[c, :1]) * (kind == "crossed")
        delta = family * sensitivity * (k[:, None] + 1) / 3
    delta = delta + noise * rng.normal(size=delta.shape)
    return delta.astype(np.float32), obs, fingerprints, basal


def asked(delta, obs, fingerprints, basal, rule, seed=0):
    split = split_conditions(obs, rule, validation=0, seed=seed)
    train = TrainingRows(
        delta[split.train],
        obs[split.train],
        fingerprints,
        basal,
        cell_weights(obs["n_cells"][split.train]),
        split_units(obs, rule)[split.train],
    )
    return train, obs[split.test], delta[split.test]


def error(found, truth):
    return {name: float(np.mean((b.prediction - truth) ** 2)) for name, b in found.items()}


def test_every_baseline_answers_every_condition():
    for rule in ("pair", "drug", "line", "mechanism", "drug_line"):
        train, obs, truth = asked(*planted(noise=0.3), rule)
        found = predict_baselines(train, obs)
        assert list(found) == list(BASELINES)
        for name, baseline in found.items():
            assert baseline.prediction.shape == truth.shape, name
            assert baseline.prediction.dtype == np.float32, name
            assert np.isfinite(baseline.prediction).all(), name
            assert baseline.served.shape == (len(obs),), name
            assert baseline.note.endswith("."), name
        assert not found["zero"].prediction.any()


def test_who_serves_which_split():
    unseen_drug, unseen_line = {"drug_mean", "additive"}, {"line_mean", "additive"}
    silent = {
        "pair": set(),
        "drug": unseen_drug,
        "line": unseen_line,
        "mechanism": unseen_drug | {"mechanism_mean"},
        "drug_line": unseen_drug | unseen_line,
    }
    for rule, expected in silent.items():
        train, obs, _ = asked(*planted(), rule)
        found = predict_baselines(train, obs)
        assert {name for name, b in found.items() if not b.serves} == expected, rule
    assert "conditions have none: the mean over all" in found["drug_mean"].note
    assert np.array_equal(found["drug_mean"].prediction, found["global_mean"].prediction)


def test_means_are_means():
    train, obs, _ = asked(*planted(noise=0.5), "pair")
    found = predict_baselines(train, obs)
    table = train.obs.reset_index(drop=True)
    for row in (0, 17, len(obs) - 1):
        one = obs.iloc[row]
        same_dose = table["dose"] == one["dose"]
        for name, same in {
            "global_mean": same_dose,
            "line_mean": same_dose & (table["cell_line"] == one["cell_line"]),
            "drug_mean": same_dose & (table["compound_key"] == one["compound_key"]),
            "mechanism_mean": same_dose
            & (table["moa"] == one["moa"])
            & (table["cell_line"] == one["cell_line"]),
        }.items():
            expected = np.average(train.delta[same], axis=0, weights=train.weight[same])
            assert found[name].prediction[row] == pytest.approx(expected, abs=1e-5), name


def test_additive_effects_are_recovered_exactly_from_holes_and_uneven_weights():
    train, obs, truth = asked(*planted(), "pair", seed=3)
    loss = error(predict_baselines(train, obs), truth)
    assert loss.pop("additive") < 1e-9
    assert min(loss.values()) > 0.1


def test_the_additive_baseline_is_least_squares():
    train, obs, _ = asked(*planted(noise=0.5), "pair")
    found = predict_baselines(train, obs)["additive"]
    for dose in DOSES:
        rows, test = train.obs["dose"] == dose, (obs["dose"] == dose).to_numpy()
        columns = ["compound_key", "cell_line"]
        both = pd.concat([train.obs.loc[rows, columns], obs.loc[test, columns]])
        X = pd.get_dummies(both).to_numpy(float)
        n = rows.sum()
        model = LinearRegression().fit(X[:n], train.delta[rows], train.weight[rows])
        assert found.prediction[test] == pytest.approx(model.predict(X[n:]), abs=1e-4)


def test_neighbours_are_scikit_learns():
    train, obs, _ = asked(*planted(noise=0.5), "drug")
    found = predict_baselines(train, obs)["knn"]
    for line in ("L0", "L3"):
        rows = ((train.obs["cell_line"] == line) & (train.obs["dose"] == 5)).to_numpy()
        test = ((obs["cell_line"] == line) & (obs["dose"] == 5)).to_numpy()
        bits = train.fingerprints.loc[train.obs["compound_key"][rows]].to_numpy()
        new = train.fingerprints.loc[obs["compound_key"][test]].to_numpy()
        model = KNeighborsRegressor(5, metric="precomputed", weights=lambda far: 1 - far)
        model.fit(1 - tanimoto(bits, bits), train.delta[rows])
        expected = model.predict(1 - tanimoto(new, bits))
        assert found.prediction[test] == pytest.approx(expected, abs=1e-4)


def test_a_neighbour_unknown_in_the_line_gives_its_mean_over_lines():
    delta, obs, fingerprints, basal = planted(noise=0.5)
    train, asked_obs, _ = asked(delta, obs, fingerprints, basal, "line")
    found = predict_baselines(train, asked_obs)["knn"].prediction[0]
    one = asked_obs.iloc[0]
    keys = fingerprints.index
    alike = pd.Series(
        tanimoto(fingerprints.loc[[one["compound_key"]]].to_numpy(), fingerprints.to_numpy())[0],
        index=keys,
    ).nlargest(5)
    assert alike.index[0] == one["compound_key"]
    expected = 0
    for key, weight in alike.items():
        rows = (train.obs["compound_key"] == key) & (train.obs["dose"] == one["dose"])
        mean = np.average(train.delta[rows], axis=0, weights=train.weight[rows])
        expected = expected + weight * mean / alike.sum()
    assert found == pytest.approx(expected, abs=1e-4)


def test_structure_serves_drugs_never_profiled():
    train, obs, truth = asked(*planted(60, noise=0.3, kind="family"), "drug")
    loss = error(predict_baselines(train, obs), truth)
    for name in ("knn", "ridge", "pca_linear"):
        assert loss[name] < 0.5 * loss["global_mean"], name


def test_basal_expression_serves_lines_never_treated():
    train, obs, truth = asked(*planted(40, 30, noise=0.2, kind="crossed"), "line")
    loss = error(predict_baselines(train, obs), truth)
    assert loss["ridge"] < 0.8 * loss["pca_linear"]
    assert loss["ridge"] < 0.8 * loss["drug_mean"]


def test_structure_that_says_nothing_is_regressed_to_nothing():
    delta, obs, fingerprints, basal = planted(60, noise=0.2)
    rng = np.random.default_rng(1)
    fingerprints.iloc[:] = (rng.random(fingerprints.shape) < 0.2).astype(np.float32)
    train, test_obs, truth = asked(delta, obs, fingerprints, basal, "drug")
    loss = error(predict_baselines(train, test_obs), truth)
    assert loss["ridge"] < 1.1 * loss["line_mean"]
    # The penalty is chosen by drugs held out: rows of the same drug would ask for a weaker one.
    by_row = TrainingRows(
        train.delta,
        train.obs,
        fingerprints,
        basal,
        train.weight,
        split_units(train.obs, "pair"),
    )
    assert error(predict_baselines(by_row, test_obs), truth)["ridge"] > loss["ridge"]


def test_ridge_is_scikit_learns_at_the_penalty_that_folds_choose():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 30))
    Y = X @ rng.normal(size=(30, 5)) * 0.3 + rng.normal(size=(200, 5)) * 2
    fold = np.arange(200) % 4
    losses = []
    for s in STRENGTHS:
        loss = 0.0
        for f in range(4):
            model = Ridge(alpha=(fold != f).sum() * s, fit_intercept=False)
            model.fit(X[fold != f], Y[fold != f])
            loss += ((model.predict(X[fold == f]) - Y[fold == f]) ** 2).sum()
        losses.append(loss)
    best = STRENGTHS[int(np.argmin(losses))]
    assert STRENGTHS[0] < best < STRENGTHS[-1]
    model = Ridge(alpha=200 * best, fit_intercept=False).fit(X, Y)
    assert fit_ridge(X, Y, fold) == pytest.approx(model.coef_.T, abs=1e-5)
    model = Ridge(alpha=200, fit_intercept=False).fit(X, Y)
    assert fit_ridge(X, Y, 0 * fold) == pytest.approx(model.coef_.T, abs=1e-5)


def test_cell_numbers_alone():
    delta, obs, fingerprints, basal = planted()
    slope = np.linspace(-1, 1, delta.shape[1])
    delta = (np.log(obs["n_cells"]).to_numpy()[:, None] * slope + 2).astype(np.float32)
    train, test_obs, truth = asked(delta, obs, fingerprints, basal, "drug_line")
    assert error(predict_baselines(train, test_obs), truth)["cell_count"] < 1e-8
    uncounted = test_obs.assign(n_cells=np.nan)
    found = predict_baselines(train, uncounted)
    assert not found["cell_count"].serves
    assert np.array_equal(found["cell_count"].prediction, found["global_mean"].prediction)
    blind = TrainingRows(
        train.delta, train.obs.assign(n_cells=np.nan), fingerprints, basal,
        cell_weights(train.obs["n_cells"] * np.nan), train.unit,
    )  # fmt: skip
    assert "not counted" in predict_baselines(blind, test_obs)["cell_count"].note


def test_a_dose_never_seen_takes_the_nearest_on_the_log_scale():
    delta, obs, fingerprints, basal = planted(noise=0.4)
    train, test_obs, _ = asked(delta, obs, fingerprints, basal, "pair")
    assert train.levels(pd.Series([0.0, 0.05, 0.1, 0.4, 1.5, 2.0, 99.0])).tolist() == [
        *(0, 0, 0, 1, 1, 2, 2),
    ]
    close = predict_baselines(train, test_obs.assign(dose=test_obs["dose"] * 1.5))
    for name, exact in predict_baselines(train, test_obs).items():
        assert np.array_equal(close[name].prediction, exact.prediction), name


def test_a_dose_of_few_drugs_is_no_level():
    delta, obs, fingerprints, basal = planted(noise=0.4)
    odd = obs["compound_key"].isin(["K003", "K004"])
    scattered = obs.assign(dose=obs["dose"].where(~odd, obs["dose"] * 1.3))
    weight, unit = np.ones(len(obs)), split_units(obs, "drug")
    train = TrainingRows(delta, scattered, fingerprints, basal, weight, unit)
    assert train.doses.tolist() == list(DOSES)
    level = TrainingRows(delta, obs, fingerprints, basal, weight, unit).levels(obs["dose"])
    assert np.array_equal(train.levels(scattered["dose"]), level)
    few = obs["compound_key"] < "K005"
    small = TrainingRows(delta[few], obs[few], fingerprints, basal, weight[few], unit[few])
    assert small.doses.tolist() == list(DOSES)


def test_what_cannot_be_read_is_said():
    delta, obs, fingerprints, basal = planted()
    train, test_obs, _ = asked(delta, obs, fingerprints, basal, "drug")
    lost = test_obs["compound_key"].iloc[0]
    fingerprints.loc[lost] = 0
    found = predict_baselines(train, test_obs)
    rows = (test_obs["compound_key"] == lost).to_numpy()
    for name in ("knn", "ridge", "pca_linear"):
        assert np.array_equal(found[name].served, ~rows), name
        assert f"{rows.sum()} of {len(rows)} conditions have none" in found[name].note
    same = found["knn"].prediction[rows] == found["global_mean"].prediction[rows]
    assert same.all()


def test_one_line_one_dose_is_enough():
    delta, obs, fingerprints, basal = planted(noise=0.3)
    one = ((obs["cell_line"] == "L0") & (obs["dose"] == 5)).to_numpy()
    train, test_obs, _ = asked(delta[one], obs[one], fingerprints, basal.iloc[:1], "drug")
    found = predict_baselines(train, test_obs)
    assert all(np.isfinite(b.prediction).all() for b in found.values())
    assert np.allclose(found["line_mean"].prediction, found["global_mean"].prediction)


def test_the_order_of_rows_does_not_matter():
    train, obs, _ = asked(*planted(noise=0.3), "drug")
    order = np.random.default_rng(5).permutation(len(train.delta))
    mixed = TrainingRows(
        train.delta[order], train.obs.iloc[order], train.fingerprints, train.basal,
        train.weight[order], train.unit[order],
    )  # fmt: skip
    back = np.random.default_rng(6).permutation(len(obs))
    first, second = predict_baselines(train, obs), predict_baselines(mixed, obs.iloc[back])
    for name in BASELINES:
        assert second[name].prediction == pytest.approx(first[name].prediction[back], abs=1e-4)


def test_weights_of_cells():
    weights = cell_weights(pd.Series([0, 100, 1000, 99999, np.nan]))
    assert weights == pytest.approx([1, 10, 1000**0.5, 1000**0.5, (10 + 1000**0.5) / 2])
    assert cell_weights(pd.Series([np.nan, np.nan])).tolist() == [1, 1]


def test_bad_rows_are_refused():
    delta, obs, fingerprints, basal = planted()
    weight, unit = np.ones(len(obs)), split_units(obs, "drug")
    with pytest.raises(InputError, match="delta has 359 rows and obs 360"):
        TrainingRows(delta[1:], obs, fingerprints, basal, weight, unit)
    with pytest.raises(InputError, match="column 'moa' is missing"):
        TrainingRows(delta, obs.drop(columns="moa"), fingerprints, basal, weight, unit)
    with pytest.raises(InputError, match=r"basal: .*cell_line 'L0' \(60 conditions\)"):
        TrainingRows(delta, obs, fingerprints, basal.iloc[1:], weight, unit)
    with pytest.raises(InputError, match="weights must be finite and above 0"):
        TrainingRows(delta, obs, fingerprints, basal, 0 * weight, unit)
    odd = delta.copy()
    odd[4, 2] = np.nan
    with pytest.raises(InputError, match="row 5 of delta is not finite"):
        TrainingRows(odd, obs, fingerprints, basal, weight, unit)
    train = TrainingRows(delta, obs, fingerprints, basal, weight, unit)
    with pytest.raises(InputError, match="fingerprints: there is no row for compound_key 'new'"):
        predict_baselines(train, obs.assign(compound_key="new"))


def test_a_split_of_the_default_set_takes_seconds():
    train, obs, _ = asked(*planted(160, 24, 256, noise=0.3), "drug")
    start = process_time()
    predict_baselines(train, obs)
    assert process_time() - start < 8  # about 1 s on an idle core
