import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screenbook.errors import InputError
from screenbook.structure.compound_folds import RULES, compound_folds, deal


def table(scaffolds):
    return pd.DataFrame({"scaffold": scaffolds})


@given(st.lists(st.sampled_from("abcdefg"), min_size=12, max_size=60), st.integers(0, 5))
@settings(deadline=None)
def test_no_scaffold_is_in_two_folds(scaffolds, seed):
    n_folds = min(3, len(set(scaffolds)))
    if n_folds < 2:
        return
    fold = compound_folds(table(scaffolds), "scaffold", n_folds, seed)
    assert set(fold) == set(range(n_folds))
    assert pd.Series(fold).groupby(scaffolds).nunique().max() == 1
    # Dealing the largest first to the smallest fold: none is ahead by more than one scaffold.
    load = np.bincount(fold)
    assert load.max() - load.min() <= max(map(scaffolds.count, scaffolds))


def test_compounds_of_a_scaffold_are_dealt_singly_where_only_compounds_are_held_out():
    fold = compound_folds(table(["a"] * 11), "compound", 5)
    assert sorted(np.bincount(fold)) == [2, 2, 2, 2, 3]


def test_acyclic_compounds_are_held_out_together():
    fold = compound_folds(table(["", "a", "", "b", "", "c"]), "scaffold", 2)
    assert len(set(fold[[0, 2, 4]])) == 1


def test_the_seed_deals_equal_units_anew_and_the_same_seed_alike():
    unit = np.arange(40)
    np.testing.assert_array_equal(deal(unit, 4, 1), deal(unit, 4, 1))
    assert (deal(unit, 4, 1) != deal(unit, 4, 2)).any()


@pytest.mark.parametrize(
    ("rule", "n_folds", "said"),
    [
        ("scafold", 2, "did you mean 'scaffold'"),
        ("scaffold", 3, "2 scaffolds cannot be dealt into 3 folds"),
        ("compound", 1, "from 2 folds"),
    ],
)
def test_what_cannot_be_dealt_is_refused(rule, n_folds, said):
    with pytest.raises(InputError, match=said):
        compound_folds(table(["a", "b", "b"]), rule, n_folds)
    assert set(RULES) == {"compound", "scaffold"}
