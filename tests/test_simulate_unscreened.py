"""Structures that were not screened are new, readable, and distributed as the screen's own."""

import numpy as np
import pandas as pd
from rdkit import Chem

from screenbook.chemistry import parent
from screenbook.simulate import screen_spec, simulate_screen
from screenbook.simulate.compounds import build_library
from screenbook.simulate.unscreened import unscreened_analogues


def test_analogues_are_new_and_share_scaffold_and_class():
    library = build_library(screen_spec("fast"), np.random.default_rng(0))
    found = unscreened_analogues(library, 60, np.random.default_rng(1))
    keys = [parent(s)[1] for s in found["smiles"]]
    assert len(set(keys)) == len(found) == 60
    assert not set(keys) & set(library["compound_key"])
    core = library.drop_duplicates("mechanism").set_index("mechanism")["scaffold"]
    for row in found.itertuples():
        pattern = Chem.MolFromSmarts(core[row.mechanism])
        assert Chem.MolFromSmiles(row.smiles).HasSubstructMatch(pattern), row
    pairs = set(zip(library["mechanism"], library["class"], strict=True))
    assert set(zip(found["mechanism"], found["class"], strict=True)) <= pairs
    assert found["compound"].is_unique


def test_the_screen_is_the_same_with_and_without_them():
    some, none = (simulate_screen(screen_spec("fast", n_unscreened=n)) for n in (50, 0))
    assert len(some.truth["library"]) == 50
    assert none.truth["library"].empty
    pd.testing.assert_frame_equal(some.obs, none.obs)
    assert np.array_equal(some.plate_features(0), none.plate_features(0))
