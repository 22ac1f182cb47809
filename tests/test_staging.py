"""Staged features: on disk until asked for, in the order of the ids."""

import numpy as np
import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.sources.files import TextTable
from screenbook.sources.staging import (
    as_blocks,
    join_features,
    joined_key,
    scratch_array,
    take_features,
)
from small_screens import feature_table, features


def test_staged_features_stay_on_disk(tmp_path):
    staged = scratch_array(tmp_path, 10_000, 3)
    blocks = as_blocks(staged)
    assert len(blocks.chunks[0]) == 3
    staged[9_999] = 7  # were the array copied into memory, this would not be seen
    np.testing.assert_array_equal(blocks[-1].compute(), [7, 7, 7])
    block = blocks[:2].compute()
    block[:] = 1  # and what is read is a copy: the file is not changed through it
    assert staged[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("n_batches", [1, 5])
def test_join_puts_features_in_the_order_of_ids(tmp_path, monkeypatch, n_batches):
    ids = [f"s{i}" for i in range(60)]
    X = features(60)
    order = np.random.default_rng(0).permutation(60)
    path = tmp_path / "emb.csv"
    feature_table(X[order], [ids[i] for i in order]).to_csv(path, index=False)
    size = path.stat().st_size // n_batches
    monkeypatch.setattr("screenbook.sources.files._BLOCK_BYTES", size + 100)
    table = TextTable(path)
    names = [f"feature_{i}" for i in range(5)]
    kept, joined, note = join_features(
        pd.Index(ids), table, ["site_id"], names, tmp_path, origin="meta.csv"
    )
    assert kept.all()
    assert note is None
    np.testing.assert_allclose(joined.compute(), X, rtol=1e-6)
    taken = take_features(table, names, 60, tmp_path)
    np.testing.assert_allclose(taken.compute(), X[order], rtol=1e-6)


def test_a_copy_in_another_batch_is_found(tmp_path, monkeypatch):
    path = tmp_path / "emb.csv"
    ids = [*(f"s{i}" for i in range(60)), "s3"]
    feature_table(features(61), ids).to_csv(path, index=False)
    monkeypatch.setattr("screenbook.sources.files._BLOCK_BYTES", 600)
    with pytest.raises(InputError, match="'s3' is there more than once"):
        join_features(
            pd.Index(ids[:-1]), TextTable(path), ["site_id"], ["feature_0"], tmp_path, origin="m"
        )


def test_a_key_of_several_columns():
    table = pd.DataFrame({"plate": ["1", "2"], "well": ["A01", "B01"]})
    assert joined_key(table, "t").tolist() == ["1_A01", "2_B01"]
    assert joined_key(table[["well"]], "t").tolist() == ["A01", "B01"]
    with pytest.raises(InputError, match="t: 'well' is blank in row 2"):
        joined_key(table.assign(well=["A01", ""]), "t")
