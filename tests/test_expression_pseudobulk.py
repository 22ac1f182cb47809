"""Sums of cells by group: those of a dense matrix, however the cells are cut up."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screenbook.errors import InputError
from screenbook.expression.pseudobulk import (
    GroupSums,
    add_sums,
    finish,
    gene_tokens,
    sum_cells,
)
from small_cells import FIRST_TOKEN, KEYS, N_GENES, draw_cells, expected_groups, to_table

TOKENS = gene_tokens(np.arange(N_GENES) + FIRST_TOKEN)


def summed(table, tokens=TOKENS, size=64, **options):
    batches = table.combine_chunks().to_batches(max_chunksize=size)
    return sum_cells(batches, KEYS, tokens, origin="cells.parquet", **options)


def assert_equal(one, other):
    """Equal up to the order of groups and the rounding of sums."""
    a, b = finish(one), finish(other)
    pd.testing.assert_frame_equal(a.groups, b.groups)
    np.testing.assert_array_equal(a.n_cells, b.n_cells)
    np.testing.assert_array_equal(a.nonzero, b.nonzero)
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-6)
    np.testing.assert_allclose(a.variance, b.variance, rtol=1e-5, atol=1e-9)
    assert one.n_empty == other.n_empty


@pytest.fixture(scope="module")
def cells():
    return draw_cells(400)


@pytest.mark.parametrize("target", [1e4, 1.0, 1e6])
def test_sums_are_those_of_a_dense_matrix(cells, target):
    bulk = finish(summed(to_table(*cells), target=target))
    n, mean, variance, seen = expected_groups(*cells, target)
    pd.testing.assert_index_equal(
        pd.MultiIndex.from_frame(bulk.groups), mean.index, check_names=False
    )
    np.testing.assert_array_equal(bulk.n_cells, n)
    np.testing.assert_allclose(bulk.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(bulk.variance, variance, rtol=2e-4, atol=1e-7 * target**0.5)
    np.testing.assert_allclose(bulk.nonzero, seen, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_size_of_batches_makes_no_difference(cells, size):
    assert_equal(summed(to_table(*cells), size=size), summed(to_table(*cells)))


def test_pieces_add_up_in_any_order_and_grouping(cells):
    table = to_table(*cells)
    a, b, c = (summed(table.slice(start, n)) for start, n in ((0, 90), (90, 201), (291, 109)))
    whole = summed(table)
    for together in (a + b + c, a + (b + c), c + a + b, add_sums(iter([b, c, a]))):
        assert_equal(together, whole)
    assert_equal(add_sums([c, b, a], groups=whole.groups), whole)


def test_adding_leaves_the_pieces_as_they_are(cells):
    table = to_table(*cells)
    a, b = summed(table.slice(0, 200)), summed(table.slice(200))
    before = a.total.copy()
    assert (a + b).n_cells.sum() == 400
    np.testing.assert_array_equal(a.total, before)


def test_nothing_to_add_up_is_refused():
    with pytest.raises(ValueError, match="nothing"):
        add_sums([])


def test_the_order_of_cells_and_of_genes_within_a_cell_makes_no_difference(cells):
    table = to_table(*cells)
    rng = np.random.default_rng(3)
    shuffled = table.take(pa.array(rng.permutation(len(table))))
    rows = shuffled.to_pylist()
    for row in rows:
        order = rng.permutation(len(row["genes"]))
        row["genes"] = [row["genes"][i] for i in order]
        row["expressions"] = [row["expressions"][i] for i in order]
    assert_equal(summed(pa.Table.from_pylist(rows, schema=table.schema)), summed(table))


def test_a_gene_twice_in_a_cell_has_the_sum_of_both(cells):
    counts, obs = cells
    rows = to_table(counts[:9], obs[:9]).to_pylist()
    for row in rows:  # the count of the first gene in two halves
        row["genes"].append(row["genes"][1])
        row["expressions"].append(row["expressions"][1] / 2)
        row["expressions"][1] /= 2
    halves = pa.Table.from_pylist(rows, schema=to_table(counts[:9], obs[:9]).schema)
    assert_equal(summed(halves), summed(to_table(counts[:9], obs[:9])))


def test_wanted_genes_are_normalised_by_all_counts(cells):
    wanted = np.array([4, 11, 29])
    some = gene_tokens(np.arange(N_GENES) + FIRST_TOKEN, wanted)
    part, whole = finish(summed(to_table(*cells), some)), finish(summed(to_table(*cells)))
    np.testing.assert_allclose(part.mean, whole.mean[:, wanted], rtol=1e-6)
    np.testing.assert_allclose(part.nonzero, whole.nonzero[:, wanted])


def test_special_tokens_count_for_nothing(cells):
    assert_equal(summed(to_table(*cells)), summed(to_table(*cells, special=False)))


@pytest.mark.parametrize("special", [True, False])
def test_cells_without_counts_are_left_out_and_counted(cells, special):
    counts, obs = cells[0].copy(), cells[1].copy()
    counts[::10] = 0
    obs.loc[obs.index[-2:], "sample"] = "alone"
    counts[-2:] = 0  # a group of nothing else
    sums = summed(to_table(counts, obs, special))
    assert sums.n_empty == 42
    bulk = finish(sums)
    assert bulk.n_cells.sum() == 358
    assert "alone" not in set(bulk.groups["sample"])
    assert np.isfinite(bulk.mean).all()


def test_the_variance_of_one_cell_is_not_known(cells):
    bulk = finish(summed(to_table(cells[0][:1], cells[1][:1])))
    assert np.isnan(bulk.variance).all()
    assert np.isfinite(bulk.mean).all()


def test_blanks_around_names_make_no_group_of_their_own(cells):
    counts, obs = cells[0][:40], cells[1][:40].assign(plate=["p1", "p1 "] * 20)
    assert set(summed(to_table(counts, obs)).groups["plate"]) == {"p1"}
    assert summed(to_table(counts, obs)).n_cells.sum() == 40


def test_lists_of_other_types_and_slices_are_read_the_same(cells):
    table = to_table(*cells)
    large = table.set_column(0, "genes", table["genes"].cast(pa.large_list(pa.int32())))
    large = large.set_column(1, "expressions", table["expressions"].cast(pa.list_(pa.float64())))
    coded = large.set_column(2, "sample", table["sample"].dictionary_encode())
    assert_equal(summed(coded), summed(table))


def test_groups_beyond_the_first_rows_keep_their_sums():
    counts, obs = draw_cells(300, seed=5)
    obs["sample"] = [f"s{i % 150}" for i in range(300)]
    bulk = finish(summed(to_table(counts, obs), size=13))
    n, mean, _, _ = expected_groups(counts, obs)
    assert len(n) > 128
    np.testing.assert_array_equal(bulk.n_cells, n)
    np.testing.assert_allclose(bulk.mean, mean, rtol=1e-5)


ragged = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "b "]),
        st.dictionaries(st.integers(0, 5), st.integers(0, 1000), max_size=6),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ragged, st.integers(1, 5), st.booleans())
def test_wild_cells_against_a_dense_matrix(cells, size, special):
    counts = np.zeros((len(cells), 6), dtype=np.float32)
    for row, (_, found) in enumerate(cells):
        counts[row, list(found)] = list(found.values())
    obs = pd.DataFrame(dict.fromkeys(KEYS, "x"), index=range(len(cells)))
    obs["drug"] = [name for name, _ in cells]
    tokens = gene_tokens(np.arange(6) + FIRST_TOKEN)
    sums = summed(to_table(counts, obs, special), tokens, size)
    assert sums.n_empty == int((counts.sum(axis=1) == 0).sum())
    bulk = finish(sums)
    if sums.n_empty < len(cells):
        n, mean, _, seen = expected_groups(counts, obs)
        np.testing.assert_array_equal(bulk.n_cells, n)
        np.testing.assert_allclose(bulk.mean, mean, rtol=1e-5)
        np.testing.assert_allclose(bulk.nonzero, seen, rtol=1e-6)
    else:
        assert len(bulk.n_cells) == 0


# --- refusals ---


def spoiled(cells, change):
    table = to_table(cells[0][:20], cells[1][:20])
    rows = table.to_pylist()
    change(rows)
    return pa.Table.from_pylist(rows, schema=table.schema)


def drop_count(rows):
    rows[4]["expressions"].pop()


def strange_token(rows):
    rows[4]["genes"][2] = 5000


def negative_token(rows):
    rows[4]["genes"][2] = -7


def negative_count(rows):
    rows[4]["expressions"][2] = -1.0


def infinite_count(rows):
    rows[4]["expressions"][2] = float("inf")


def nan_count(rows):
    rows[4]["expressions"][2] = float("nan")


def missing_count(rows):
    rows[4]["expressions"][2] = None


def nameless(rows):
    rows[4]["plate"] = None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (drop_count, "cell 5 has"),
        (strange_token, "token 5000 is no gene of the gene table"),
        (negative_token, "token -7 is no gene"),
        (negative_count, "cell 5 has the count -1.0 of token"),
        (infinite_count, "cell 5 has the count inf"),
        (nan_count, "cell 5 has the count nan"),
        (missing_count, "missing values inside its lists"),
        (nameless, "cell 5 has no 'plate'"),
    ],
)
def test_damaged_cells_are_refused(cells, change, says):
    with pytest.raises(InputError) as caught:
        summed(spoiled(cells, change))
    message = str(caught.value)
    assert message.startswith("cells.parquet, cells from 1: ")
    assert says in message
    assert "\n" not in message


def test_a_missing_column_is_named_with_its_neighbour(cells):
    table = to_table(*cells).rename_columns(
        ["gene", "expressions", "sample", "cell_line_id", "plate", "drug", "moa-fine"]
    )
    with pytest.raises(InputError, match=r"no column 'genes' \(did you mean 'gene'\?\)"):
        summed(table)


def test_columns_of_other_kinds_are_refused(cells):
    table = to_table(*cells)
    texts = table.set_column(0, "genes", table["genes"].cast(pa.list_(pa.string())))
    with pytest.raises(InputError, match="not lists of whole numbers"):
        summed(texts)
    with pytest.raises(InputError, match="'expressions' holds double, not lists of numbers"):
        summed(table.set_column(1, "expressions", pa.array([1.0] * len(table))))


def test_sums_say_what_they_are(cells):
    sums = summed(to_table(*cells))
    assert isinstance(sums, GroupSums)
    assert list(sums.groups) == list(KEYS)
    assert not sums.groups.duplicated().any()
    assert sums.total.shape == sums.squares.shape == sums.nonzero.shape == (len(sums.n_cells), 30)
