import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screenbook.expression.leaks import (
    OF_THE_DRUG,
    input_copy,
    kept_share,
    shuffle_drugs,
    shuffle_lines,
)
from screenbook.expression.splits import parent_blocks


def table(n_drugs=6, n_lines=4, doses=(0.5, 5.0)):
    """Each drug twice, the second time as a form that shares the first block of its key."""
    found = [
        {
            "compound_key": f"{chr(65 + d) * 14}-{form}-N",
            "compound": f"drug {d} form {form}",
            "SMILES": "C" * (d + 1),
            "moa": f"M{d}",
            "targets": f"T{d}",
            "cell_line": f"L{c}",
            "dose": dose,
            "n_cells": float(100 * d + 10 * c + form),
        }
        for d in range(n_drugs)
        for form in (0, 1)
        for c in range(n_lines)
        for dose in doses
    ]
    return pd.DataFrame(found).sample(frac=1, random_state=3)


def steps_of(before, after):
    """What each value became; one only."""
    pairs = pd.DataFrame({"from": before, "to": after}).drop_duplicates()
    assert pairs["from"].is_unique
    return dict(zip(pairs["from"], pairs["to"], strict=True))


@settings(deadline=None)
@given(n=st.integers(2, 9), seed=st.integers(0, 2**31))
def test_no_drug_keeps_its_own_and_none_is_given_twice(n, seed):
    obs = table(n, 2, (5.0,))
    found = shuffle_drugs(obs, seed)
    became = steps_of(parent_blocks(obs["compound_key"]), parent_blocks(found["compound_key"]))
    assert sorted(became) == sorted(became.values())
    assert all(a != b for a, b in became.items())


@settings(deadline=None)
@given(n=st.integers(2, 9), seed=st.integers(0, 2**31))
def test_no_line_keeps_its_own_and_none_is_given_twice(n, seed):
    obs = table(2, n, (5.0,))
    became = steps_of(obs["cell_line"], shuffle_lines(obs, seed)["cell_line"])
    assert sorted(became) == sorted(became.values())
    assert all(a != b for a, b in became.items())


def test_forms_of_one_drug_move_together_and_all_that_names_it_with_them():
    obs = table()
    found = shuffle_drugs(obs, 0)
    # Both forms are given one and the same row's drug.
    assert found["compound_key"].nunique() == 6
    letter = found["compound_key"].str[0].map(lambda c: ord(c) - 65)
    assert found["moa"].tolist() == [f"M{d}" for d in letter]
    assert found["targets"].tolist() == [f"T{d}" for d in letter]
    assert found["SMILES"].str.len().tolist() == (letter + 1).tolist()
    assert found["compound"].str.startswith("drug").all()
    assert (found["compound"].str.split().str[1].astype(int) == letter).all()


def test_dose_line_cells_and_order_stay_when_drugs_change_hands():
    obs = table()
    before = obs.copy()
    found = shuffle_drugs(obs, 1)
    stay = [c for c in obs if c not in OF_THE_DRUG]
    assert {"dose", "cell_line", "n_cells"} <= set(stay)
    pd.testing.assert_frame_equal(found[stay], obs[stay])
    assert found.columns.tolist() == obs.columns.tolist()
    pd.testing.assert_frame_equal(obs, before)


def test_all_but_the_line_stays_when_lines_change_hands():
    obs = table()
    before = obs.copy()
    found = shuffle_lines(obs, 1)
    pd.testing.assert_frame_equal(
        found.drop(columns="cell_line"), obs.drop(columns="cell_line"), check_like=False
    )
    assert (found["cell_line"] != obs["cell_line"]).all()
    pd.testing.assert_frame_equal(obs, before)


@pytest.mark.parametrize("shuffle", [shuffle_drugs, shuffle_lines])
def test_same_seed_same_exchange_and_other_seeds_others(shuffle):
    obs = table()
    pd.testing.assert_frame_equal(shuffle(obs, 5), shuffle(obs, 5))
    kinds = {tuple(shuffle(obs, s)[["compound_key", "cell_line"]].agg("|".join, axis=1))
             for s in range(12)}  # fmt: skip
    assert len(kinds) > 2


def test_what_is_alone_stays_as_it_is():
    one = table(1, 1)
    assert (parent_blocks(shuffle_drugs(one)["compound_key"]) == "A" * 14).all()
    pd.testing.assert_frame_equal(shuffle_lines(one), one)


def test_input_copy_keeps_the_largest_changes_and_nothing_else():
    delta = np.array([[0.1, -3.0, 2.0, 0.0], [1.0, 1.0, -1.0, 0.5]], dtype=np.float32)
    assert input_copy(delta, 2).tolist() == [[0, -3, 2, 0], [1, 1, 0, 0]]
    assert not input_copy(delta, 0).any()
    assert (input_copy(delta, 4) == delta).all()
    assert (input_copy(delta, 99) == delta).all()
    wild = np.random.default_rng(0).normal(size=(20, 15))
    found = input_copy(wild, 5)
    assert ((found != 0).sum(axis=1) == 5).all()
    held = np.where(found == 0, np.abs(wild), 0).max(axis=1)
    assert (held <= np.where(found != 0, np.abs(wild), np.inf).min(axis=1)).all()
    assert (found[found != 0] == wild[found != 0]).all()


def test_kept_share():
    assert kept_share(0.6, 0.2, 0.2) == 0
    assert kept_share(0.6, 0.6, 0.2) == 1
    assert kept_share(0.6, 0.3, 0.2) == pytest.approx(0.25)
    assert kept_share(0.6, -0.5, 0.2) == 0
    assert kept_share(0.6, 0.8, 0.2) == pytest.approx(1.5)


@pytest.mark.parametrize(
    "values", [(0.2, 0.2, 0.2), (0.1, 0.3, 0.2), (math.nan, 0.1, 0.0), (0.3, math.nan, 0.0),
               (0.3, 0.1, math.nan)],
)  # fmt: skip
def test_without_skill_or_score_no_share_is_known(values):
    assert math.isnan(kept_share(*values))
