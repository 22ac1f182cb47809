"""Single cells in many files to profiles: one answer by any road, and nothing read twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster

from screenbook.errors import InputError
from screenbook.expression.pseudobulk import finish, gene_tokens
from screenbook.screen import notes_of
from screenbook.sources.expression import open_expression, prepare_expression, shards
from screenbook.sources.expression.shards import Recipe, sum_shards
from screenbook.sources.expression.tahoe import read_design
from small_cells import (
    FIRST_TOKEN,
    KEYS,
    LINES,
    N_GENES,
    draw_cells,
    expected_groups,
    to_table,
    write_metadata,
    write_shards,
)

SHARED = Path(__file__).parents[2] / "shared" / "data" / "tahoe_metadata"
PARAMS = """
expression:
  source: tahoe
  shards: cells/*.parquet
  metadata: tables
"""
RECIPE = Recipe(KEYS, gene_tokens(np.arange(N_GENES) + FIRST_TOKEN), 1e4)


@pytest.fixture(scope="module")
def cells():
    counts, obs = draw_cells(600, seed=2)
    counts[::50] = 0
    return counts, obs


@pytest.fixture
def tahoe(home, cells):
    """A checkout with cells in five files, not summed yet."""
    (home / "params" / "mine.yml").write_text(PARAMS)
    write_metadata(home / "tables")
    write_shards(home / "cells", *cells, edges=[100, 130, 131, 400])
    return home


def refusal(home, text=PARAMS):
    (home / "params" / "mine.yml").write_text(text)
    with pytest.raises(InputError) as caught:
        prepare_expression("mine")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def listen(monkeypatch):
    """Keep the names of the files that are summed from now on."""
    read = []
    real = shards.sum_shard

    def listening(path, part, recipe):
        real(path, part, recipe)
        read.append(path.name)

    monkeypatch.setattr(shards, "sum_shard", listening)
    monkeypatch.setattr(shards, "cores", lambda: 1)  # in this process, where the list is
    return read


def edit(path, **columns):
    """Write a table again with other columns."""
    pd.read_parquet(path).assign(**columns).to_parquet(path)


# --- what the profiles are ---


def test_profiles_are_the_means_of_cells(tahoe, cells):
    profiles = open_expression("mine")
    n, mean, variance, seen = expected_groups(*cells)
    obs = profiles.obs.set_index(["treatment", "cell_line_id", "plate", "well"])
    np.testing.assert_array_equal(obs.loc[n.index, "n_cells"], n)
    rows = [obs.index.get_loc(key) for key in n.index]
    np.testing.assert_allclose(profiles.X[rows], mean, rtol=1e-5)
    np.testing.assert_allclose(profiles.layers["nonzero"][rows], seen, rtol=1e-6)
    np.testing.assert_allclose(profiles.layers["variance"][rows], variance, rtol=1e-3, atol=1e-5)
    assert list(profiles.var_names) == [f"GENE{i}" for i in range(N_GENES)]
    assert profiles.uns["scale"] == "mean of ln(1 + counts per 10,000)"


def test_tables_are_joined_past_their_traps(tahoe):
    profiles = open_expression("mine")
    drugs = profiles.obs.drop_duplicates("treatment").set_index("treatment")
    assert set(drugs.index) == {"DMSO_TF", "Erdafitinib", "Trametinib (DMSO_TF solvate)", "Talc"}
    assert drugs["role"].eq("control").to_dict() == {
        name: name == "DMSO_TF" for name in drugs.index
    }
    assert drugs.loc["Erdafitinib", ["SMILES", "moa", "targets", "dose"]].tolist() == [
        *("CCO", "FGFR inhibitor", "FGFR1;FGFR2", 0.05)
    ]
    assert drugs.loc["Trametinib (DMSO_TF solvate)", "moa"] == ""  # "unclear"
    assert set(profiles.obs["cell_line"]) == set(LINES.values())
    notes = notes_of(profiles)
    assert "600 cells in 5 shards" in notes
    assert "12 cells have no counts and are in no profile" in notes
    assert "1 of 3 treatments are not in tables/drug_metadata.parquet ('Talc')" in notes
    assert any("1 SMILES cannot be read (first: 'not a structure')" in note for note in notes)


def test_every_well_of_the_vehicle_is_a_profile_of_its_own(tahoe):
    obs = open_expression("mine").obs
    wells = obs[obs["role"].eq("control")].groupby("plate")["well"].unique()
    assert sorted(wells["plate1"]) == ["smp_1", "smp_2"]
    assert list(wells["plate2"]) == ["smp_5"]


def test_the_most_variable_genes_of_controls_are_kept(tahoe, cells):
    (tahoe / "params" / "mine.yml").write_text(PARAMS + "  genes: 4\n")
    counts, obs = cells
    some = (counts.sum(axis=1) > 0) & obs["drug"].eq("DMSO_TF").to_numpy()
    dense = np.log1p(counts[some] / counts[some].sum(axis=1, keepdims=True) * 1e4)
    best = np.sort(np.argsort(-dense.var(axis=0), kind="stable")[:4])
    assert list(open_expression("mine").var_names) == [f"GENE{i}" for i in best]


def test_genes_may_be_listed(tahoe):
    text = PARAMS + "  genes: [GENE9, GENE2]\n"
    (tahoe / "params" / "mine.yml").write_text(text)
    assert list(open_expression("mine").var_names) == ["GENE2", "GENE9"]
    assert "genes names 'GENE99', which is not in" in refusal(tahoe, text.replace("E9", "E99"))


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/tahoe_metadata")
def test_the_real_tables_are_read():
    design = read_design(SHARED)
    assert len(design.genes) == design.genes["name"].nunique() == 62_710
    assert design.genes["token_id"].min() == 3
    assert len(design.samples) == 1344
    assert design.samples["dose"].value_counts().to_dict() == (
        {5.0: 490, 0.05: 424, 0.5: 402, 0.0: 28}
    )
    assert design.samples["drug"].eq(design.samples["drug"].str.strip()).all()
    assert design.lines["CVCL_0023"] == "A549"


# --- one answer by any road ---


@pytest.fixture(scope="module")
def whole(cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return sum_shards(write_shards(folder, *cells, edges=[]), RECIPE, folder / "sums", "", jobs=1)


def assert_equal(one, other):
    a, b = finish(one), finish(other)
    pd.testing.assert_frame_equal(a.groups, b.groups)
    np.testing.assert_array_equal(a.n_cells, b.n_cells)
    for name in ("mean", "variance", "nonzero"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-6, atol=1e-9)
    assert one.n_empty == other.n_empty


@pytest.mark.parametrize("edges", [[300], [1, 2, 3], list(range(50, 600, 50))])
def test_any_sharding_gives_the_same(cells, whole, tmp_path, edges):
    paths = write_shards(tmp_path / "cells", *cells, edges)
    assert_equal(sum_shards(paths[::-1], RECIPE, tmp_path / "sums", "", jobs=1), whole)


def test_processes_give_the_same(cells, whole, tmp_path):
    paths = write_shards(tmp_path / "cells", *cells, edges=[200, 400])
    assert_equal(sum_shards(paths, RECIPE, tmp_path / "sums", "", jobs=2), whole)


def test_a_cluster_gives_the_same(cells, whole, tmp_path, monkeypatch):
    paths = write_shards(tmp_path / "cells", *cells, edges=[200, 400])
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
        assert_equal(sum_shards(paths, RECIPE, tmp_path / "sums", "", jobs=1), whole)
    assert len(list((tmp_path / "sums").glob("*.npz"))) == 3


# --- going on ---


def test_a_failure_keeps_what_was_done(tahoe, monkeypatch):
    damaged = tahoe / "cells" / "train-00003.parquet"
    good = damaged.read_bytes()
    middle = bytearray(good)
    middle[40:4000] = bytes(len(middle[40:4000]))  # the end, which is looked at first, is whole
    damaged.write_bytes(middle)
    read = listen(monkeypatch)
    message = refusal(tahoe)
    assert message.startswith("cells/train-00003.parquet: cannot be read as Parquet (")
    assert "fetch it again" in message
    assert read == [f"train-0000{i}.parquet" for i in range(3)]
    assert not (tahoe / "build" / "mine" / "expression.json").exists()
    read.clear()
    damaged.write_bytes(good)
    prepare_expression("mine")
    assert read == ["train-00003.parquet", "train-00004.parquet"]
    assert open_expression("mine").obs["n_cells"].sum() == 588
    assert not list((tahoe / "build" / "mine").glob(".expression.sums"))


KILLED = """
import sys
from screenbook.sources.expression import prepare_expression, shards
real = shards.sum_shard
def slow(path, part, recipe):
    if path.name == "train-00002.parquet":
        print("there", flush=True)
        import time; time.sleep(60)
    real(path, part, recipe)
shards.sum_shard = slow
shards.cores = lambda: 1
prepare_expression("mine")
"""


def test_a_killed_run_goes_on_where_it_was(tahoe, monkeypatch):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, env=os.environ, text=True
    )
    assert process.stdout.readline() == "there\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    read = listen(monkeypatch)
    prepare_expression("mine")
    assert read == [f"train-0000{i}.parquet" for i in (2, 3, 4)]
    assert open_expression("mine").obs["n_cells"].sum() == 588


def test_nothing_is_summed_twice_and_a_file_that_comes_is_seen(tahoe, cells, monkeypatch):
    read = listen(monkeypatch)
    prepare_expression("mine")
    assert len(read) == 5
    prepare_expression("mine")
    assert len(read) == 5
    pq.write_table(to_table(*cells), tahoe / "cells" / "train-00005.parquet")
    prepare_expression("mine")
    assert open_expression("mine").obs["n_cells"].sum() == 2 * 588


def test_a_file_that_was_replaced_is_summed_again(cells, tmp_path):
    counts, obs = cells
    paths = write_shards(tmp_path / "cells", counts, obs, edges=[300])
    sum_shards(paths, RECIPE, tmp_path / "sums", "", jobs=1)
    time.sleep(0.01)
    pq.write_table(to_table(counts[:10], obs[:10]), paths[0])
    again = sum_shards(paths, RECIPE, tmp_path / "sums", "", jobs=1)
    expected = int((counts[:10].sum(axis=1) > 0).sum() + (counts[300:].sum(axis=1) > 0).sum())
    assert again.n_cells.sum() == expected


def test_controls_are_read_without_the_other_row_groups(tahoe, monkeypatch):
    paths = sorted((tahoe / "cells").glob("*.parquet"))
    with pq.ParquetFile(paths[-1]) as file:  # 200 cells: the last samples alone
        n = file.metadata.num_row_groups
        assert len(shards._row_groups(file, ())) == n > 2
        assert len(shards._row_groups(file, ("no such drug",))) == 0
        assert len(shards._row_groups(file, ("DMSO_TF",))) < n


# --- refusals ---


def test_a_shard_with_a_missing_column_is_refused_before_any_work(tahoe, monkeypatch):
    path = tahoe / "cells" / "train-00004.parquet"
    pq.write_table(
        pq.read_table(path).rename_columns(
            [name.replace("sample", "samples") for name in pq.read_schema(path).names]
        ),
        path,
    )
    read = listen(monkeypatch)
    message = refusal(tahoe)
    assert message.startswith(
        "cells/train-00004.parquet: there is no column 'sample' (did you mean 'samples'?); found "
    )
    assert read == []


def test_a_truncated_shard_is_refused_before_any_work(tahoe, monkeypatch):
    path = tahoe / "cells" / "train-00001.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    read = listen(monkeypatch)
    message = refusal(tahoe)
    assert message.startswith("cells/train-00001.parquet: cannot be read as Parquet (")
    assert read == []


def test_no_shards(tahoe):
    shutil.rmtree(tahoe / "cells")
    assert "shards: there is no Parquet file cells/*.parquet" in refusal(tahoe)


@pytest.mark.parametrize("value", ["cells", "cells/train-00000.parquet"])
def test_shards_may_be_a_folder_or_one_file(tahoe, value):
    (tahoe / "params" / "mine.yml").write_text(PARAMS.replace("cells/*.parquet", value))
    record = json.loads(prepare_expression("mine").read_text())
    assert sum("cells/t" in entry["path"] for entry in record["inputs"]) == (
        5 if value == "cells" else 1
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("  gene: 3", "'gene' is no option here (did you mean 'genes'?)"),
        ("  genes: some", "genes is 'some'; give a number, a list of gene symbols, or all"),
        ("  genes: 0", "genes is 0"),
        ("  target: 0", "target is 0; give a number of counts above 0"),
        ("  vehicle: [DMSO]", "vehicle names 'DMSO', which is no treatment of the shards"),
        ("  vehicle: [water]\n  genes: 3", "there are 0 control cells with counts ('water')"),
    ],
)
def test_options_that_cannot_be_are_refused(tahoe, line, says):
    message = refusal(tahoe, PARAMS + line + "\n")
    assert message.startswith("params/mine.yml expression: ")
    assert says in message


def test_a_line_without_vehicle_is_refused(tahoe, cells):
    counts, obs = cells
    alone = obs["cell_line_id"].eq("CVCL_0023") | ~obs["drug"].eq("DMSO_TF")
    shutil.rmtree(tahoe / "cells")
    write_shards(tahoe / "cells", counts[alone], obs[alone].reset_index(drop=True), [])
    assert "cell line 'SW480' has no control profile" in refusal(tahoe)


def test_a_line_that_no_table_names_keeps_its_id(tahoe):
    path = tahoe / "tables" / "cell_line_metadata.parquet"
    table = pd.read_parquet(path)
    table[table["cell_name"] != "SW480"].to_parquet(path)
    profiles = open_expression("mine")
    assert set(profiles.obs["cell_line"]) == {"A549", "CVCL_0546"}
    assert any("keep their id ('CVCL_0546')" in note for note in notes_of(profiles))


def test_symbols_that_are_shared_give_way_to_ids(tahoe):
    symbols = ["SAME", "SAME", *(f"GENE{i}" for i in range(2, N_GENES))]
    edit(tahoe / "tables" / "gene_metadata.parquet", gene_symbol=symbols)
    assert list(open_expression("mine").var_names[:3]) == ["ENSG00000", "ENSG00001", "GENE2"]


@pytest.mark.parametrize(
    ("table", "columns", "says"),
    [
        ("gene", {"token_id": [3] * N_GENES}, "column 'token_id', row 2: '3' is no number of its"),
        ("gene", {"token_id": np.arange(N_GENES) + 4}, "token 3 is no gene of the gene table"),
        ("sample", {"sample": [f"s{i}" for i in range(6)]}, "there is no sample 'smp_1'"),
        ("sample", {"sample": ["smp_1"] * 6}, "sample 'smp_1' is there more than once"),
        ("sample", {"plate": ["plate3"] * 6}, "has plate 'plate3', and its cells say 'plate1'"),
        ("sample", {"drugname_drugconc": ["__import__('os')"] * 6}, "row 1: drugname_drugconc is"),
        ("sample", {"drugname_drugconc": ["[('DMSO_TF', 0, 'nM')]"] * 6}, "of drug 'DMSO_TF'; it"),
        ("drug", {"drug": ["Talc"] * 2}, "'Talc' is there more than once, with different facts"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tahoe, table, columns, says):
    edit(tahoe / "tables" / f"{table}_metadata.parquet", **columns)
    assert says in refusal(tahoe)


def test_a_table_that_is_missing_is_named(tahoe):
    (tahoe / "tables" / "sample_metadata.parquet").unlink()
    assert refusal(tahoe).startswith("tables/sample_metadata.parquet: there is no such file")


def test_cells_that_say_another_drug_are_refused(tahoe, cells):
    counts, obs = cells
    obs = obs.assign(drug=obs["drug"].replace("Talc", "Aspirin"))
    pq.write_table(to_table(counts, obs), tahoe / "cells" / "train-00009.parquet")
    assert "has drug 'Talc', and its cells say 'Aspirin'" in refusal(tahoe)


def test_dictionary_columns_of_another_writer_are_read(tahoe, cells):
    before = open_expression("mine")
    table = to_table(*cells)
    for name in KEYS:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].dictionary_encode())
    shutil.rmtree(tahoe / "cells")
    (tahoe / "cells").mkdir()
    pq.write_table(table.cast(pa.schema(table.schema)), tahoe / "cells" / "a.parquet")
    after = open_expression("mine")
    np.testing.assert_allclose(before.X, after.X, rtol=1e-6)
