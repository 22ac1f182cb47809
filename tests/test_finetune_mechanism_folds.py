"""Folds: each compound is asked once, by a net that never saw it and knows its mechanism."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planted_finetune import design
from screenbook.errors import InputError
from screenbook.finetune.mechanism_folds import KINDS, known_mechanisms, mechanism_folds


def table_of(counts, n_fields=3):
    """Treated fields of so many compounds for each mechanism, in four experiments."""
    rows = [
        (f"m{m}", f"m{m}-c{c}", f"E{e}", "treated")
        for m, n in enumerate(counts)
        for c in range(n)
        for e in range(4)
        for _ in range(n_fields)
    ]
    return pd.DataFrame(rows, columns=["moa", "compound", "experiment", "role"])


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(2, 6), min_size=2, max_size=5), st.integers(0, 7), st.integers(0, 10**6)
)
def test_every_compound_is_asked_once_and_no_mechanism_is_untaught(counts, n_folds, seed):
    known = known_mechanisms(table_of(counts))
    splits = mechanism_folds(known, n_folds=n_folds, seed=seed)
    most = max(counts)
    assert len(splits) == max(min(3, most), min(n_folds or most, most))
    assert most == 2 or all(split.validation.any() for split in splits)
    asked = np.sum([s.test for s in splits], axis=0)
    assert (asked == 1).all()
    for split in splits:
        parts = pd.DataFrame({"part": split.part, "compound": known.compound})
        assert not parts.drop_duplicates()["compound"].duplicated().any()
        # Taught even while the validation compounds are kept back.
        assert set(known.code[split.train]) == set(range(len(counts)))


def test_the_largest_mechanism_gives_one_compound_at_a_time():
    known = known_mechanisms(table_of([4, 2]))
    for split in mechanism_folds(known):
        assert len(set(known.compound[split.test & (known.code == 0)])) == 1
        validated = known.compound[split.validation]
        assert len(set(validated[np.char.startswith(validated, "m0")])) == 1


def test_two_compounds_each_leave_none_to_validate_on():
    for split in mechanism_folds(known_mechanisms(table_of([2, 2]))):
        assert not split.validation.any()
        assert split.train.any()
        assert split.test.any()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_experiments_and_fields_are_dealt_whole(kind):
    known = known_mechanisms(table_of([3, 3]))
    splits = mechanism_folds(known, kind, seed=2)
    unit = known.experiment if kind == "experiments" else np.arange(len(known.code))
    assert (np.sum([s.test for s in splits], axis=0) == 1).all()
    for split in splits:
        sides = [set(unit[part]) for part in (split.train, split.validation, split.test)]
        assert all(sides)
        assert not sides[0] & sides[1]
        assert not (sides[0] | sides[1]) & sides[2]
    # The compounds that are asked were seen.
    assert set(known.compound[splits[0].test]) <= set(known.compound[splits[0].train])


def test_what_is_unknown_or_alone_takes_no_part_and_is_counted():
    obs = design()
    obs.loc[obs["compound"] == "alpha-0", "moa"] = ["", np.nan, "  ", "", "", ""]
    lone = obs[obs["compound"] == "beta-0"].assign(moa="lone", compound="lone-1")
    obs = pd.concat([obs, lone])
    known = known_mechanisms(obs)
    assert list(known.names) == ["alpha", "beta"]
    out = (obs["role"] == "control") | (obs["moa"].fillna("").str.strip() == "")
    assert (known.known == ~(out | (obs["moa"] == "lone")).to_numpy()).all()
    assert known.notes[0].startswith("6 treated fields have no known mechanism")
    assert "'lone'" in known.notes[1]
    counts = known.table().set_index("mechanism")
    assert counts.loc["alpha", "n_compounds"] == 2
    assert counts.loc["beta", "n_fields"] == 18
    for split in mechanism_folds(known):
        assert (split.part[~known.known] == "").all()


def test_controls_with_a_mechanism_are_no_treatment():
    obs = design()
    obs.loc[obs["role"] == "control", "moa"] = "DMSO"
    assert list(known_mechanisms(obs).names) == ["alpha", "beta"]


def test_one_compound_per_mechanism_is_refused():
    with pytest.raises(InputError, match="one compound only: 'alpha', 'beta'"):
        known_mechanisms(design(n_compounds=1))


def test_a_column_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="did you mean 'moa'"):
        known_mechanisms(design(), "moas")


def test_too_few_experiments_and_unknown_splits_are_refused():
    known = known_mechanisms(design(n_experiments=2))
    with pytest.raises(InputError, match="column experiment: 'E0', 'E1' are too few"):
        mechanism_folds(known, "experiments")
    with pytest.raises(InputError, match="did you mean 'fields'"):
        mechanism_folds(known, "field")
