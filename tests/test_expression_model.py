"""A model that is kept, read back and asked: what it says, and what it refuses."""

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import screenbook.expression
from screenbook.checkpoints import Checkpoints
from screenbook.chemistry import parent
from screenbook.errors import InputError
from screenbook.expression import load_model, predict, rank_drugs, save_model
from screenbook.expression.libraries import line_mean
from screenbook.expression.model import ExpressionModel, ship
from screenbook.fingerprints import morgan_fingerprints
from small_studies import SPEC, all_rows, screen, small_signatures, study, truth

RULES = ("pair", "line", "scaffold")
NEW = "CC(=O)Nc1ccc(O)cc1"  # in no simulated library
NEW_AMINE = "CCN(CC)CCNC(=O)c1ccc(N)cc1"
LINE, TOP = "SBL-02", 5.0


@cache
def shipped():
    return ship(
        {rule: study(rule) for rule in RULES},
        {rule: all_rows(rule) for rule in RULES},
        small_signatures().genes,
    )


def known_smiles():
    drugs = shipped().drugs
    return drugs["SMILES"][drugs["SMILES"] != ""].iloc[3]


def a_new_line(seed=0):
    """Basal expression between two lines, and a little beside."""
    basal = small_signatures().basal
    row = basal.iloc[:2].mean() + np.random.default_rng(seed).normal(0, 0.2, basal.shape[1])
    return row.clip(lower=0)


@pytest.fixture
def kept(tmp_path):
    keeper = Checkpoints(tmp_path / "model.pt")
    save_model(shipped(), keeper)
    return keeper


def test_a_model_knows_every_condition_and_each_drug_once():
    model = shipped()
    assert list(model.predictors) == list(RULES)
    assert len(model.train.delta) == len(small_signatures())
    assert model.drugs["compound_key"].is_unique
    assert set(model.drugs["compound_key"]) == set(small_signatures().obs["compound_key"])
    assert (model.drugs["dose"] == TOP).all()
    for rule in RULES:
        # What was found on the split stays.
        assert model.predictors[rule].fusion is study(rule).predictor.fusion
        assert model.predictors[rule].share == study(rule).predictor.share


@pytest.mark.parametrize("basal", [LINE, "new"])
@pytest.mark.parametrize("smiles", ["known", NEW])
def test_a_model_read_back_predicts_the_same(kept, smiles, basal):
    asked = known_smiles() if smiles == "known" else smiles
    row = a_new_line() if basal == "new" else basal
    pd.testing.assert_series_equal(
        predict(load_model(kept), asked, TOP, row),
        predict(shipped(), asked, TOP, row),
        rtol=0,
        atol=1e-5,
    )


def test_a_model_read_back_predicts_the_same_bits(kept):
    model, again = shipped(), load_model(kept)
    for smiles in (known_smiles(), NEW):
        for basal in (LINE, a_new_line()):
            pd.testing.assert_series_equal(
                predict(again, smiles, TOP, basal),
                predict(model, smiles, TOP, basal),
                check_exact=True,
            )
    state = small_signatures().basal.loc[LINE] - small_signatures().basal.mean()
    for basal in (LINE, a_new_line()):
        pd.testing.assert_frame_equal(
            rank_drugs(again, state, basal=basal, reverse=True),
            rank_drugs(model, state, basal=basal, reverse=True),
            check_exact=True,
        )


def test_a_model_kept_twice_is_the_same_model(kept, tmp_path):
    other = Checkpoints(tmp_path / "again.pt")
    save_model(load_model(kept), other)
    pd.testing.assert_series_equal(
        predict(load_model(other), NEW, TOP, LINE),
        predict(shipped(), NEW, TOP, LINE),
        check_exact=True,
    )


def test_the_file_holds_numbers_and_text_alone(kept):
    state = torch.load(kept.path, weights_only=True)
    plain = (str, int, float, bool, type(None), torch.Tensor)

    def walk(value):
        if isinstance(value, dict):
            assert all(isinstance(key, str) for key in value)
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            for item in value:
                walk(item)
        else:
            assert isinstance(value, plain), type(value)

    walk(state)
    assert state["form"] == 1


@pytest.mark.parametrize(
    ("smiles", "basal", "rule"),
    [
        ("known", LINE, "pair"),
        ("known", "new", "line"),
        (NEW, LINE, "scaffold"),
        (NEW, "new", "scaffold"),
    ],
)
def test_what_is_new_chooses_the_prediction(smiles, basal, rule):
    asked = known_smiles() if smiles == "known" else smiles
    row = a_new_line() if basal == "new" else basal
    whole = predict(shipped(), asked, TOP, row)
    alone = {
        one: predict(replace(shipped(), predictors={one: p}), asked, TOP, row)
        for one, p in shipped().predictors.items()
    }
    pd.testing.assert_series_equal(whole, alone[rule], check_exact=True)
    for other in set(RULES) - {rule}:
        assert not np.allclose(alone[other], whole, atol=1e-4)


def test_without_the_right_rule_the_next_best_answers():
    model = shipped()
    one = {"line": model.predictors["line"]}
    assert replace(model, predictors=one).predictor(("scaffold", "drug")) is one["line"]
    assert model.predictor(("line", "pair")) is model.predictors["line"]
    two = {"pair": model.predictors["pair"], "drug": model.predictors["scaffold"]}
    assert replace(model, predictors=two).predictor(("scaffold", "drug")) is two["drug"]


def test_a_prediction_is_that_of_the_fitted_predictor():
    model = shipped()
    smiles = known_smiles()
    asked = pd.DataFrame(
        {
            "compound_key": [parent(smiles)[1]],
            "cell_line": LINE,
            "dose": TOP,
            "moa": "",
            "n_cells": np.nan,
        }
    )
    got = predict(model, smiles, TOP, LINE)
    np.testing.assert_array_equal(got, model.predictors["pair"].predict(asked)[0])
    assert got.index.tolist() == small_signatures().genes.tolist()
    assert got.name == "change"
    rows = model.predictors["scaffold"].train
    key = parent(NEW)[1]
    bits = pd.concat([rows.fingerprints, morgan_fingerprints([key], [NEW]).bits])
    fitted = replace(model.predictors["scaffold"], train=replace(rows, fingerprints=bits))
    wanted = fitted.predict(asked.assign(compound_key=key))[0]
    np.testing.assert_array_equal(predict(model, NEW, TOP, LINE), wanted)


@pytest.mark.parametrize(
    ("smiles", "salt"),
    [
        (NEW_AMINE, NEW_AMINE + ".Cl"),
        (NEW_AMINE, "CC[NH+](CC)CCNC(=O)c1ccc(N)cc1.[Cl-]"),
        ("known", "known"),
    ],
)
def test_a_salt_is_its_parent(smiles, salt):
    if smiles == "known":
        obs = small_signatures().obs
        salts = obs[obs["treatment"].str.endswith("hydrochloride")]["SMILES"].unique()
        salt, smiles = salts[0], parent(salts[0])[0]
        assert "." in salt
    assert salt != smiles
    pd.testing.assert_series_equal(
        predict(shipped(), salt, TOP, LINE), predict(shipped(), smiles, TOP, LINE), check_exact=True
    )


def test_drug_dose_and_line_matter():
    first = predict(shipped(), known_smiles(), TOP, LINE)
    assert not np.allclose(first, predict(shipped(), known_smiles(), 0.5, LINE))
    assert not np.allclose(first, predict(shipped(), known_smiles(), TOP, "SBL-01"))
    assert not np.allclose(first, predict(shipped(), shipped().drugs["SMILES"].iloc[-1], TOP, LINE))
    lines = [predict(shipped(), NEW, TOP, a_new_line(seed)) for seed in (0, 1)]
    assert not np.array_equal(*lines)


def test_a_line_may_be_given_by_its_genes_in_any_order_and_among_others():
    row = a_new_line()
    mixed = pd.concat([row.iloc[::-1], pd.Series({"NO SUCH GENE": np.nan})])
    pd.testing.assert_series_equal(
        predict(shipped(), NEW, TOP, mixed), predict(shipped(), NEW, TOP, row), check_exact=True
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"smiles": "not a structure"}, "SMILES 'not a structure' cannot be read"),
        ({"smiles": ""}, "SMILES '' cannot be read"),
        ({"dose": 0.0}, "dose 0.0 is no dose"),
        ({"dose": -1.0}, "dose -1.0 is no dose"),
        ({"dose": float("nan")}, "dose nan is no dose"),
        ({"dose": float("inf")}, "dose inf is no dose"),
        ({"basal": "SBL-2"}, r"'SBL-2' is not known \(did you mean 'SBL-0"),
        ({"basal": "sbl-02"}, r"did you mean 'SBL-02'\?"),
        ({"basal": a_new_line().iloc[3:]}, r"no number for gene '.+' \(3 in all\)"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(changes, said):
    asked = {"smiles": NEW, "dose": TOP, "basal": LINE} | changes
    with pytest.raises(InputError, match=said) as error:
        predict(shipped(), **asked)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["infinite", "twice", "text"])
def test_basal_expression_that_is_no_number_or_comes_twice_is_refused(kind):
    row = a_new_line()
    if kind == "twice":
        row = pd.concat([row, row.iloc[:1]])
    else:
        row = row.astype(object if kind == "text" else float)
        row.iloc[0] = "high" if kind == "text" else np.inf
    with pytest.raises(InputError):
        predict(shipped(), NEW, TOP, row)


def ranks(signature, line=LINE, **options):
    table = rank_drugs(shipped(), signature, basal=line, **options)
    return table.set_index("compound_key")["rank"].astype(int)


@cache
def strong():
    """True changes at the highest dose in one line, of the drugs that change most."""
    obs, change = small_signatures().obs, truth()
    here = ((obs["dose"] == TOP) & (obs["cell_line"] == LINE)).to_numpy()
    table = pd.DataFrame(change[here], columns=small_signatures().genes)
    table.index = obs["compound_key"][here].to_numpy()
    table = table[~table.index.duplicated()]
    return table.loc[(table**2).sum(axis=1).nlargest(8).index]


def test_a_true_change_finds_its_drug_and_its_reverse_does_not():
    n = len(shipped().drugs)
    own = np.array([ranks(change)[key] for key, change in strong().iterrows()])
    assert np.median(own) <= 2
    assert own.max() <= n / 3
    reverse = np.array([ranks(-change)[key] for key, change in strong().iterrows()])
    assert np.median(reverse) >= n - 2
    undone = np.array([ranks(change, reverse=True)[key] for key, change in strong().iterrows()])
    assert np.median(undone) >= 0.75 * n


def test_to_undo_the_reverse_of_a_change_is_to_make_it():
    change = strong().iloc[0]
    shared = pd.Series(line_mean(shipped().train, LINE), change.index)
    made = rank_drugs(shipped(), change, basal=LINE)
    undone = rank_drugs(shipped(), shared - change, basal=LINE, reverse=True)
    np.testing.assert_allclose(made["score"], undone["score"], atol=1e-5)
    assert made["compound"].tolist() == undone["compound"].tolist()


def test_scores_are_cosines_to_predicted_changes_beyond_the_mean():
    change = strong().iloc[1]
    shared = line_mean(shipped().train, LINE)
    table = rank_drugs(shipped(), change, basal=LINE)
    assert list(table) == [
        "rank", "compound", "score", "moa", "targets", "SMILES", "compound_key",
    ]  # fmt: skip
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    assert table["score"].is_monotonic_decreasing
    structured = table[table["SMILES"] != ""]
    for _, row in structured.iloc[[0, 5, -1]].iterrows():
        a = change.to_numpy() - shared
        b = predict(shipped(), row["SMILES"], TOP, LINE).to_numpy() - shared
        assert row["score"] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-5)


def test_another_dose_line_and_score_rank_otherwise():
    change = strong().iloc[0]
    first = rank_drugs(shipped(), change, basal=LINE)
    same = rank_drugs(shipped(), change, basal=LINE, dose=TOP)
    pd.testing.assert_frame_equal(first, same)
    for other in ({"dose": 0.5}, {"basal": "SBL-01"}, {"basal": a_new_line()}, {"score": "zhang"}):
        table = rank_drugs(shipped(), change, **({"basal": LINE} | other))
        assert set(table["compound_key"]) == set(first["compound_key"])
        assert not np.allclose(
            table.sort_values("compound")["score"], first.sort_values("compound")["score"]
        )


def test_a_line_that_is_not_known_is_asked_by_the_rule_of_new_lines():
    change, row = strong().iloc[0], a_new_line()
    for basal, rule in ((LINE, "pair"), (row, "line")):
        one = ExpressionModel({rule: shipped().predictors[rule]}, shipped().genes, shipped().drugs)
        pd.testing.assert_frame_equal(
            rank_drugs(shipped(), change, basal=basal), rank_drugs(one, change, basal=basal)
        )


def test_genes_that_the_model_lacks_are_passed_over():
    change = strong().iloc[0]
    more = pd.concat(
        [pd.Series({"NO SUCH": np.inf, "OTHER": 3.0}), change.sample(frac=1, random_state=0)]
    )
    pd.testing.assert_frame_equal(
        rank_drugs(shipped(), change, basal=LINE), rank_drugs(shipped(), more, basal=LINE)
    )
    # Twenty genes are enough, and then only they are compared.
    some = change.iloc[:20]
    table = rank_drugs(shipped(), some, basal=LINE)
    best = table.iloc[0]
    if best["SMILES"]:
        shared = line_mean(shipped().train, LINE)[:20]
        a = some.to_numpy() - shared
        b = predict(shipped(), best["SMILES"], TOP, LINE).to_numpy()[:20] - shared
        assert best["score"] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-5)


def with_value(value):
    change = strong().iloc[0].astype(object)
    change.iloc[4] = value
    return change


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (lambda: strong().iloc[0].iloc[:19], "19 of its 19 genes are among the model's 48"),
        (lambda: pd.Series(1.0, ["A", "B"]), "0 of its 2 genes"),
        (lambda: pd.concat([strong().iloc[0]] * 2), "is there more than once"),
        (lambda: with_value(np.nan), "give a finite number"),
        (lambda: with_value(-np.inf), "give a finite number"),
        (lambda: with_value("up"), "is 'up'; give a finite number"),
    ],
)
def test_signatures_that_cannot_be_compared_are_refused(signature, said):
    with pytest.raises(InputError, match=said) as error:
        rank_drugs(shipped(), signature(), basal=LINE)
    assert "\n" not in str(error.value)


def test_an_unknown_line_or_score_is_refused():
    with pytest.raises(InputError, match="did you mean 'SBL-02'"):
        rank_drugs(shipped(), strong().iloc[0], basal="SBL_02")
    with pytest.raises(InputError, match=r"no score 'cosin' \(did you mean 'cosine'\?\)"):
        rank_drugs(shipped(), strong().iloc[0], basal=LINE, score="cosin")


@pytest.mark.parametrize("dose", [0.0, -1.0, float("nan")])
def test_a_ranking_at_no_dose_is_refused(dose):
    with pytest.raises(InputError, match="is no dose"):
        rank_drugs(shipped(), strong().iloc[0], basal=LINE, dose=dose)


def test_a_missing_a_damaged_and_a_strange_file_are_told(kept, tmp_path):
    with pytest.raises(InputError, match="there is no model here"):
        load_model(Checkpoints(tmp_path / "none.pt"))
    state = kept.load()
    whole = kept.path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not a model"):
        kept.path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"model\.pt: not a checkpoint"):
            load_model(kept)
    for other in ({**state, "form": 2}, {"done": 3}):
        kept.save(other)
        with pytest.raises(InputError, match="of another version"):
            load_model(kept)
    torch.save({"form": 1, "genes": Path("x")}, kept.path)
    with pytest.raises(InputError, match="not a checkpoint that can be read"):
        load_model(kept)


def test_the_package_gives_what_a_user_needs_and_loads_it_late():
    for name in screenbook.expression.__all__:
        assert getattr(screenbook.expression, name).__module__ == "screenbook.expression.model"
    assert screenbook.expression.predict is predict
    with pytest.raises(AttributeError, match="no attribute 'retrieve_drugs'"):
        screenbook.expression.retrieve_drugs  # noqa: B018
    late = "import sys, screenbook.expression; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", late], check=True, timeout=60)


def test_the_small_screen_is_what_these_tests_take_it_for():
    assert LINE in small_signatures().basal.index
    assert max(SPEC.doses) == TOP
    assert parent(NEW)[1] not in set(small_signatures().obs["compound_key"])
    assert screen()[0].n_vars == 48
