from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import nnls

from screenbook.expression import fusion as fused
from screenbook.expression.fusion import (
    MEMBERS,
    N_FOLDS,
    change_basis,
    fit_fusion,
    member_predictions,
    unit_folds,
)
from screenbook.expression.split_study import training_rows
from screenbook.expression.training_rows import subset_rows
from small_expression import rows, screen

PLANTED = rows(n_drugs=14, n_lines=4, doses=(0.5, 5.0), noise=0.5)


@pytest.fixture(scope="module")
def found():
    return fit_fusion(PLANTED, seed=3)


def out_of_fold_members(train, seed):
    """Each member for each condition, from the conditions of the other folds."""
    fold = unit_folds(train, seed)
    members = {name: np.zeros(train.delta.shape) for name in MEMBERS}
    for one in set(fold):
        rest = subset_rows(train, fold != one)
        for name, values in member_predictions(rest, train.obs[fold == one]).items():
            members[name][fold == one] = values
    return members


def test_weights_are_those_of_nnls_on_the_stacked_design(found):
    members = out_of_fold_members(PLANTED, 3)
    root = np.sqrt(np.repeat(PLANTED.weight, PLANTED.delta.shape[1]))
    design = np.column_stack([root * members[name].ravel() for name in MEMBERS])
    weights, loss = nnls(design, root * PLANTED.delta.ravel())
    assert found.weights.index.tolist() == list(MEMBERS)
    assert (found.weights >= 0).all()
    # Members lie near one another: weights may differ where the loss does not.
    assert found.weights.to_numpy() == pytest.approx(weights, abs=0.01)
    own = np.linalg.norm(design @ found.weights.to_numpy() - root * PLANTED.delta.ravel())
    assert own == pytest.approx(loss, rel=1e-6)
    joined = sum(found.weights[name] * members[name] for name in MEMBERS)
    assert found.out_of_fold == pytest.approx(joined, abs=1e-4)
    assert found.out_of_fold.dtype == np.float32


def test_weights_heed_how_much_each_condition_counts():
    # All weight on conditions of lines with the gate on, or on those with it off.
    gated = PLANTED.obs["cell_line"].isin(["L0", "L2"]).to_numpy()
    joined = [
        fit_fusion(replace(PLANTED, weight=np.where(some, 1.0, 1e-6)), seed=3).weights.sum()
        for some in (gated, ~gated)
    ]
    assert joined[0] > joined[1] + 0.3


def planted_members(exact):
    """One member knows the answer and the others are noise."""

    def predict(train, obs):
        rng = np.random.default_rng(len(obs))
        truth = PLANTED.delta[PLANTED.obs.index.get_indexer(obs.index)]
        out = {name: rng.normal(size=truth.shape).astype(np.float32) for name in MEMBERS}
        return out | {exact: truth}

    return predict


@pytest.mark.parametrize("exact", MEMBERS)
def test_a_member_that_is_exact_gets_all_the_weight(exact, monkeypatch):
    monkeypatch.setattr(fused, "member_predictions", planted_members(exact))
    joined = fit_fusion(PLANTED)
    assert joined.weights[exact] == pytest.approx(1, abs=1e-3)
    assert joined.weights.drop(exact).max() < 1e-3
    asked = PLANTED.obs.iloc[:5]
    assert joined.predict(PLANTED, asked) == pytest.approx(PLANTED.delta[:5], abs=0.02)


def test_a_member_that_is_wrong_way_round_gets_none(monkeypatch):
    def predict(train, obs):
        truth = PLANTED.delta[PLANTED.obs.index.get_indexer(obs.index)]
        return dict.fromkeys(MEMBERS, -truth)

    monkeypatch.setattr(fused, "member_predictions", predict)
    joined = fit_fusion(PLANTED)
    assert (joined.weights == 0).all()
    assert not joined.out_of_fold.any()


def test_what_depends_on_line_and_dose_alone_is_predicted_for_new_drugs():
    rng = np.random.default_rng(1)
    group = PLANTED.obs.groupby(["cell_line", "dose"]).ngroup().to_numpy()
    effect = rng.normal(size=(group.max() + 1, 10)).astype(np.float32)[group]
    joined = fit_fusion(replace(PLANTED, delta=effect))
    assert np.abs(joined.out_of_fold - effect).max() < 0.02


def test_members_of_a_condition_have_not_seen_its_unit(monkeypatch, found):
    """With weights held, no change of a fold moves what is predicted for it, to the bit."""
    monkeypatch.setattr(fused, "nnls", lambda a, b: (found.weights.to_numpy() + 0.1, 0.0))
    before = fit_fusion(PLANTED, seed=3).out_of_fold
    fold = unit_folds(PLANTED, 3)
    for one in np.unique(fold):
        moved = PLANTED.delta.copy()
        moved[fold == one] += np.random.default_rng(int(one)).normal(0, 5, moved[fold == one].shape)
        after = fit_fusion(replace(PLANTED, delta=moved), seed=3).out_of_fold
        assert (after[fold == one] == before[fold == one]).all()
        assert np.abs(after[fold != one] - before[fold != one]).max() > 0.1


def test_a_unit_lies_in_one_fold_and_folds_are_even():
    fold = unit_folds(PLANTED, 0)
    by_unit = pd.Series(fold).groupby(PLANTED.unit).nunique()
    assert (by_unit == 1).all()
    sizes = pd.Series(fold).groupby(fold).apply(lambda f: len(set(PLANTED.unit[f.index])))
    assert len(sizes) == N_FOLDS
    assert sizes.max() - sizes.min() <= 1
    assert (unit_folds(PLANTED, 0) == fold).all()
    assert (unit_folds(PLANTED, 1) != fold).any()
    few = replace(PLANTED, unit=PLANTED.obs["cell_line"].map({"L0": "a"}).fillna("b").to_numpy())
    assert set(unit_folds(few, 0)) == {0, 1}


def test_a_blank_unit_is_its_drug():
    """As TrainingRows says, and as the folds of the ridge do."""
    blank = replace(PLANTED, unit=np.full(len(PLANTED.unit), ""))
    assert (unit_folds(blank, 0) == unit_folds(PLANTED, 0)).all()


def test_order_of_conditions_does_not_matter(found):
    order = np.random.default_rng(0).permutation(len(PLANTED.delta))
    mixed = replace(
        PLANTED,
        delta=PLANTED.delta[order],
        obs=PLANTED.obs.iloc[order],
        weight=PLANTED.weight[order],
        unit=PLANTED.unit[order],
    )
    again = fit_fusion(mixed, seed=3)
    assert again.weights.to_numpy() == pytest.approx(found.weights.to_numpy(), abs=1e-3)
    assert again.out_of_fold == pytest.approx(found.out_of_fold[order], abs=1e-3)


def test_prediction_is_the_weighted_sum_of_members_from_all_conditions(found):
    asked = PLANTED.obs.iloc[[0, 9, 40]]
    members = member_predictions(PLANTED, asked)
    assert list(members) == list(MEMBERS)
    joined = sum(found.weights[name] * members[name] for name in MEMBERS)
    assert found.predict(PLANTED, asked) == pytest.approx(joined, abs=1e-4)


def test_neither_mechanism_nor_cells_that_survived_are_looked_at(found):
    asked = PLANTED.obs.iloc[:12]
    told = asked.assign(moa="M1", n_cells=1.0)
    assert (found.predict(PLANTED, told) == found.predict(PLANTED, asked)).all()


def test_low_rank_profiles_lie_in_the_span_of_the_components():
    signatures, bits = screen()
    train = training_rows(signatures, bits, "drug", np.arange(len(signatures)) < 150)
    members = member_predictions(train, train.obs.iloc[:20])
    whole, low = members["drug profile"], members["drug profile, low rank"]
    basis = change_basis(train, fused.N_COMPONENTS)
    assert len(basis) < train.delta.shape[1]
    assert low @ basis.T @ basis == pytest.approx(low, abs=1e-4)
    assert (whole - low) @ basis.T == pytest.approx(0, abs=1e-4)
    assert np.abs(whole - low).max() > 1e-3


@pytest.mark.parametrize("n_components", [1, 4, 10, 99])
def test_components_are_those_of_a_singular_value_decomposition_about_zero(n_components):
    basis = change_basis(PLANTED, n_components)
    k = min(n_components, PLANTED.delta.shape[1])
    assert basis.shape == (k, PLANTED.delta.shape[1])
    assert basis.dtype == np.float32
    assert basis @ basis.T == pytest.approx(np.eye(k), abs=1e-5)
    scaled = np.sqrt(PLANTED.weight)[:, None] * PLANTED.delta
    axes = np.linalg.svd(scaled, full_matrices=False)[2][:k]
    assert np.abs((basis * axes).sum(axis=1)) == pytest.approx(1, abs=1e-4)


def test_there_are_no_more_components_than_conditions():
    few = subset_rows(PLANTED, np.arange(len(PLANTED.delta)) < 3)
    basis = change_basis(few, 32)
    assert basis.shape == (3, 10)
    assert few.delta @ basis.T @ basis == pytest.approx(few.delta, abs=1e-4)
