"""From the expression section of a params file to profiles on disk, with real files beside."""

import gzip
import json
import os
import shutil
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from screenbook.__main__ import main
from screenbook.errors import InputError
from screenbook.expression_set import read_profiles
from screenbook.screen import notes_of
from screenbook.sources import prepared
from screenbook.sources.expression import (
    KIND,
    open_counts,
    open_expression,
    prepare_expression,
)
from screenbook.sources.expression.counts import read_counts
from screenbook.sources.expression.l1000 import read_gct, read_gctx

SHARED = Path(__file__).parents[2] / "shared" / "data"
PARAMS = Path(__file__).parents[1] / "params"
NEEDS = "needs ../shared/data"

GENES = [f"G{i}" for i in range(4)]
OBS = pd.DataFrame(
    {
        "pert_iname": ["DMSO", "DMSO", "vorinostat", "vorinostat", "AICAR", "AICAR"],
        "pert_dose": ["-666", "-666", "0.5", "5", "10", "10"],
        "cell_id": ["A375", "MCF7"] * 3,
        "rna_plate": ["P1"] * 6,
        "rna_well": ["A01", "A02", "B01", "B02", "C01", "C02"],
        "time": ["24"] * 6,
    }
)
X = np.arange(24, dtype=np.float32).reshape(6, 4)

GCT = """
expression:
  source: l1000
  file: data/a.gct
  vehicle: [DMSO]
"""
ANNDATA = """
expression:
  source: anndata
  file: data/a.h5ad
  scale: log2 intensity
  columns: {treatment: pert_iname, dose: pert_dose, cell_line: cell_id, plate: rna_plate}
  vehicle: [DMSO]
  missing: ["-666"]
"""


def write_gct(path, X=X, obs=OBS, genes=GENES):
    """Write GCT 1.3: two columns about genes, a row for each column of `obs`."""
    lines = ["#1.3", f"{len(genes)}\t{len(obs)}\t2\t{obs.shape[1]}"]
    lines.append("\t".join(["id", "symbol", "kind", *(f"p{i}" for i in range(len(obs)))]))
    lines += ["\t".join([name, "na", "na", *obs[name]]) for name in obs]
    for gene, row in zip(genes, X.T, strict=True):
        lines.append("\t".join([f"{gene}_at", gene, "landmark", *map(str, row)]))
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_gctx(path, X=X, obs=OBS, genes=GENES):
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file["0/DATA/0/matrix"] = X
        for name in obs:
            file[f"0/META/COL/{name}"] = obs[name].to_numpy().astype("S")
        file["0/META/COL/pert_dose_number"] = np.arange(len(obs), dtype=float)
        file["0/META/COL/id"] = np.array([f"p{i}" for i in range(len(obs))]).astype("S")
        file["0/META/ROW/id"] = np.array([f"{gene}_at" for gene in genes]).astype("S")
        file["0/META/ROW/symbol"] = np.array(genes).astype("S")


def write_anndata(path, X=X, obs=OBS, genes=GENES):
    path.parent.mkdir(exist_ok=True)
    made = ad.AnnData(
        X, obs.set_axis([f"p{i}" for i in range(len(obs))]), pd.DataFrame(index=genes)
    )
    made.layers["doubled"] = 2 * X
    made.write_zarr(path) if path.suffix == ".zarr" else made.write_h5ad(path)


def write_params(home, text):
    (home / "params" / "mine.yml").write_text(text)


def refusal(home, text):
    write_params(home, text)
    with pytest.raises(InputError) as caught:
        prepare_expression("mine")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def gct(home):
    write_gct(home / "data" / "a.gct")
    write_params(home, GCT)
    return home


@pytest.fixture
def annfile(home):
    write_anndata(home / "data" / "a.h5ad")
    write_params(home, ANNDATA)
    return home


def edit_lines(home, change):
    path = home / "data" / "a.gct"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


# --- whatever the source ---


def test_a_run_without_expression_says_so_and_stops_nothing(home, capsys):
    write_params(home, "screen: {source: simulated}\n")
    assert not KIND.given("mine")
    for call in (open_expression, open_counts):
        with pytest.raises(InputError, match=r"params/mine\.yml has no section `expression:`"):
            call("mine")
    assert main(["expression", "mine"]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads((home / "build" / "mine" / "expression.json").read_text()) == (
        {"run": "mine", "source": None, "n_profiles": 0, "inputs": []}
    )


def test_an_unknown_source_is_refused(home):
    assert refusal(home, "expression: {source: l1000s}\n") == (
        "params/mine.yml expression: source 'l1000s' is not known (did you mean 'l1000'?); "
        "take one of simulated, tahoe, l1000, anndata"
    )


def test_files_are_converted_and_recorded(gct, capsys):
    assert main(["expression", "mine"]) == 0
    assert "expression  mine  6 profiles of 4 genes in " in capsys.readouterr().out
    build = gct / "build" / "mine"
    assert sorted(p.name for p in build.iterdir()) == [
        *("expression.d", "expression.json", "expression.zarr")
    ]
    facts = json.loads((build / "expression.json").read_text())
    assert {k: facts[k] for k in ("n_controls", "n_compounds", "n_cell_lines", "n_plates")} == (
        {"n_controls": 2, "n_compounds": 2, "n_cell_lines": 2, "n_plates": 1}
    )
    assert (
        (build / "expression.d").read_text().startswith("build/mine/expression.json: data/a.gct\n")
    )
    assert open_expression("mine@k3").n_obs == 6
    assert open_counts("mine") is None


def test_nothing_is_made_twice_and_other_values_are_seen(gct):
    record = prepare_expression("mine")
    os.utime(record, (1, 1))
    prepare_expression("mine")
    assert record.stat().st_mtime > 1
    assert "seconds" in json.loads(record.read_text())
    write_gct(gct / "data" / "a.gct", X + 1)
    prepare_expression("mine")
    np.testing.assert_array_equal(open_expression("mine").X, X + 1)


def test_inputs_too_large_to_hash_are_known_by_time(gct, monkeypatch):
    monkeypatch.setattr(prepared, "_HASHED_BYTES", 100)
    (gct / "data" / "cells.csv").write_text(COUNTS)
    write_params(gct, GCT + "  counts: data/cells.csv\n")
    record = prepare_expression("mine")
    large, small = json.loads(record.read_text())["inputs"]
    assert set(large) == {"path", "changed"}
    assert set(small) == {"path", "sha256"}
    before = record.read_text()
    prepare_expression("mine")
    assert record.read_text() == before
    os.utime(gct / "data" / "a.gct", (1, 1))
    prepare_expression("mine")
    assert json.loads(record.read_text())["inputs"][0]["changed"] == 10**9


@pytest.mark.parametrize("spoil", ["expression.zarr", "expression.json"])
def test_what_is_lost_is_made_again(gct, spoil):
    prepare_expression("mine")
    path = gct / "build" / "mine" / spoil
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert open_expression("mine").n_obs == 6


def test_a_failure_leaves_no_record_and_the_old_profiles(gct):
    prepare_expression("mine")
    assert "vehicle names 'DMS0'" in refusal(gct, GCT.replace("DMSO", "DMS0"))
    build = gct / "build" / "mine"
    assert [p.name for p in build.iterdir()] == ["expression.zarr"]
    assert read_profiles(build / "expression.zarr").n_obs == 6


# --- L1000 ---


def test_gct_becomes_profiles(gct):
    profiles = open_expression("mine")
    np.testing.assert_array_equal(profiles.X, X)
    assert list(profiles.var_names) == [f"{gene}_at" for gene in GENES]
    assert list(profiles.obs["role"]) == ["control"] * 2 + ["treated"] * 4
    assert list(profiles.obs["dose"]) == [0, 0, 0.5, 5, 10, 10]
    assert list(profiles.obs["well"]) == list(OBS["rna_well"])
    assert profiles.uns["scale"] == "log2 intensity (L1000 level 3)"


def test_genes_and_scale_are_named_by_the_user(gct):
    write_params(gct, GCT + "  genes: symbol\n  scale: z-score\n")
    profiles = open_expression("mine")
    assert list(profiles.var_names) == GENES
    assert profiles.uns["scale"] == "z-score"
    assert "(did you mean 'symbol'?)" in refusal(gct, GCT + "  genes: symbols\n")


def test_gctx_and_packed_gct_hold_the_same(gct):
    plain = open_expression("mine")
    write_gctx(gct / "data" / "a.gctx")
    packed = gzip.compress((gct / "data" / "a.gct").read_bytes())
    (gct / "data" / "b.gct.gz").write_bytes(packed)
    for name in ("a.gctx", "b.gct.gz"):
        write_params(gct, GCT.replace("a.gct", name))
        other = open_expression_again()
        np.testing.assert_array_equal(other.X, plain.X)
        pd.testing.assert_frame_equal(other.obs, plain.obs)


def open_expression_again():
    prepare_expression("mine")
    return open_expression("mine")


def test_a_part_is_taken_of_gctx_without_reading_the_rest(gct):
    write_gctx(gct / "data" / "a.gct")
    write_params(gct, GCT + "  only: {cell_id: MCF7}\n")
    profiles = open_expression("mine")
    np.testing.assert_array_equal(profiles.X, X[1::2])
    assert "3 of 6 rows are left out by `only:`" in notes_of(profiles)


def test_gct_1_2_has_values_and_names_alone(tmp_path):
    path = tmp_path / "old.gct"
    path.write_text("#1.2\n2 3\nName\tDescription\ta\tb\tc\ng1\tna\t1\t2\t3\ng2\tna\t4\t5\t6\n")
    matrix = read_gct(path)
    np.testing.assert_array_equal(matrix.take(np.arange(3)), [[1, 4], [2, 5], [3, 6]])
    assert list(matrix.profiles["id"]) == ["a", "b", "c"]
    assert list(matrix.genes["id"]) == ["g1", "g2"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda lines: lines[:-1],
            "line 2 tells 4 genes and 6 rows about profiles, which makes 11",
        ),
        (lambda lines: [lines[0], "4\t7\t2\t6", *lines[2:]], "a.gct line 3: has 9 cells, and line"),
        (lambda lines: [lines[0], "4\t6\t3\t6", *lines[2:]], "line 3: has 9 cells, and line 2 te"),
        (lambda lines: [lines[0], "5\t6\t2\t6", *lines[2:]], "and there are 11; the file is cut"),
        (lambda lines: [*lines[:-1], lines[-1].rpartition("\t")[0]], "line 13: has 8 cells"),
        (lambda lines: [lines[0], "4 genes", *lines[2:]], "line 2: '4 genes' does not tell"),
        (lambda lines: ["pert_id", *lines[1:]], "begins with 'pert_id', not with '#1.2'"),
        (lambda lines: [], "begins with '', not with"),
        (lambda lines: [*lines[:-1], lines[-1].replace("15.0", "n/a")], "'p3': 'n/a' is no number"),
        (lambda lines: [*lines[:-1], lines[-1].replace("15.0", "nan")], "of profile 4 (vorinost"),
        (lambda lines: [*lines[:-1], lines[-1].replace("G3_at", "G2_at")], "gene 'G2_at' is there"),
        (
            lambda lines: [line.replace("cell_id", "line") for line in lines],
            "no column 'cell_line'",
        ),
        (lambda lines: [line.replace("\t5\t", "\tlow\t") for line in lines], "'low' is no dose"),
    ],
)
def test_gct_with_damage_is_refused(gct, change, says):
    edit_lines(gct, change)
    message = refusal(gct, GCT)
    assert "data/a.gct" in message
    assert says in message


def test_gctx_with_wrong_dimensions_is_refused(gct):
    path = gct / "data" / "a.gct"
    write_gctx(path, X.T)
    assert "the matrix is 4 x 6, and the metadata tell 6 profiles and 4 genes" in refusal(gct, GCT)
    write_gctx(path)
    with h5py.File(path, "a") as file:
        del file["0/META/ROW"]
    assert "data/a.gct: cannot be read as GCTX (" in refusal(gct, GCT)
    write_gctx(path)
    path.write_bytes(path.read_bytes()[:2000])
    assert "data/a.gct: cannot be read as GCTX (" in refusal(gct, GCT)


def test_numbers_and_text_of_gctx_come_as_text(tmp_path):
    write_gctx(tmp_path / "a.gctx")
    matrix = read_gctx(tmp_path / "a.gctx")
    assert list(matrix.profiles["pert_dose_number"]) == list("012345")
    assert list(matrix.profiles["cell_id"]) == list(OBS["cell_id"])


# --- AnnData ---


@pytest.mark.parametrize("name", ["a.h5ad", "a.zarr"])
def test_anndata_becomes_profiles(annfile, name):
    write_anndata(annfile / "data" / name)
    write_params(annfile, ANNDATA.replace("a.h5ad", name))
    profiles = open_expression("mine")
    np.testing.assert_array_equal(profiles.X, X)
    assert list(profiles.var_names) == GENES
    assert list(profiles.obs["dose"]) == [0, 0, 0.5, 5, 10, 10]
    assert profiles.uns["scale"] == "log2 intensity"


def test_a_layer_and_a_part_may_be_taken(annfile):
    write_params(annfile, ANNDATA + "  layer: doubled\n  only: {cell_id: [A375]}\n")
    np.testing.assert_array_equal(open_expression("mine").X, 2 * X[::2])


def test_drugs_are_joined_from_a_table(annfile):
    (annfile / "data" / "drugs.csv").write_text(
        'name,smiles,mechanism,genes\nvorinostat ,ONC(=O)CCCCCCC(=O)Nc1ccccc1,HDAC,"HDAC1, HDAC2"\n'
    )
    text = ANNDATA + "  drugs: data/drugs.csv\n  drug_columns: {treatment: name, SMILES: smiles, "
    write_params(annfile, text + "moa: mechanism, targets: genes}\n")
    profiles = open_expression("mine")
    treated = profiles.obs[profiles.obs["treatment"] == "vorinostat"]
    assert set(treated["targets"]) == {"HDAC1;HDAC2"}
    assert set(treated["moa"]) == {"HDAC"}
    assert "1 of 2 treatments are not in data/drugs.csv ('AICAR')" in notes_of(profiles)
    assert set(profiles.obs.loc[profiles.obs["role"] == "control", "SMILES"]) == {""}
    inputs = json.loads((annfile / "build/mine/expression.json").read_text())["inputs"]
    assert [entry["path"] for entry in inputs] == ["data/a.h5ad", "data/drugs.csv"]
    assert "no column 'nome' (did you mean 'name'?)" in refusal(
        annfile, text.replace(": name", ": nome") + "moa: mechanism}\n"
    )


def test_unreadable_structures_are_told_and_kept(annfile):
    write_anndata(annfile / "data" / "a.h5ad", obs=OBS.assign(SMILES=["", "", *["C1CC"] * 4]))
    notes = notes_of(open_expression("mine"))
    assert any("1 SMILES cannot be read (first: 'C1CC')" in note for note in notes)
    assert open_expression("mine").n_obs == 6


def test_a_line_without_vehicle_is_refused(annfile):
    write_anndata(annfile / "data" / "a.h5ad", obs=OBS.assign(cell_id=[*["A375"] * 5, "HT29"]))
    assert refusal(annfile, ANNDATA).startswith("data/a.h5ad: cell line 'HT29' has no control")


def test_genes_that_come_twice_are_refused(annfile):
    write_anndata(annfile / "data" / "a.h5ad", genes=["a", "b", "a", "c"])
    assert "gene 'a' is there more than once (1 such rows)" in refusal(annfile, ANNDATA)


def test_a_file_cut_short_is_refused(annfile):
    path = annfile / "data" / "a.h5ad"
    path.write_bytes(path.read_bytes()[:5000])
    assert refusal(annfile, ANNDATA).startswith("data/a.h5ad: cannot be read as AnnData (")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("scale: log2 intensity", "", "'scale' is missing; add a line `scale: ...`"),
        ("a.h5ad", "b.h5ad", "data/b.h5ad: there is no such file (did you mean 'a.h5ad'?)"),
        ("treatment: pert_iname", "treatment: pert_name", "has no column 'pert_name' (did you"),
        ("treatment: pert_iname, ", "", "does not say which column of data/a.h5ad holds the tr"),
        ("vehicle: [DMSO]", "vehicle: [dmso]", "vehicle names 'dmso', which is no treatment of da"),
        ("plate: rna_plate", "plate: time", ""),
        ("missing:", "constants: {dose: 3}\n  missing:", "'dose' is under `columns:` and `const"),
        ("missing:", "genes: symbol\n  missing:", "'genes' is no option here"),
        ("missing:", "only: {cell: [A375]}\n  missing:", "only: data/a.h5ad has no column 'cell'"),
        ("missing:", "only: {cell_id: [A374]}\n  missing:", "'A374' is not in column 'cell_id'"),
        ("missing:", "only: {cell_id: [A375], rna_well: [A02]}\n  missing:", "no row of data/a."),
    ],
)
def test_options_that_cannot_be_are_refused(annfile, old, new, says):
    text = ANNDATA.replace(old, new)
    if says:
        assert says in refusal(annfile, text)
    else:
        write_params(annfile, text)
        assert set(open_expression("mine").obs["plate"]) == {"24"}


# --- counts of cells ---

COUNTS = "drug,cell_line_id,n_cells\nDMSO_TF,CVCL_1,30\n Talc ,CVCL_1,20\nTalc,CVCL_2,0\n"


def test_any_source_takes_a_table_of_counts(gct):
    (gct / "data" / "cells.csv").write_text(COUNTS)
    prepare_expression("mine")
    write_params(gct, GCT + "  counts: data/cells.csv\n")
    counts = open_counts("mine")
    assert counts.to_dict("list") == {
        "treatment": ["DMSO_TF", "Talc", "Talc"],
        "cell_line": ["CVCL_1", "CVCL_1", "CVCL_2"],
        "n_cells": [30, 20, 0],
    }
    record = gct / "build" / "mine" / "expression.json"
    assert [e["path"] for e in json.loads(record.read_text())["inputs"]] == [
        *("data/a.gct", "data/cells.csv")
    ]
    (gct / "data" / "cells.csv").write_text(COUNTS.replace("30", "31"))
    prepare_expression("mine")
    assert open_counts("mine")["n_cells"].sum() == 51
    write_params(gct, GCT)
    prepare_expression("mine")
    assert open_counts("mine") is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("drug,", "drugs,", "there is no column 'drug' (or 'treatment'); found 'drugs'"),
        ("n_cells", "cells", "there is no column 'n_cells'; found"),
        ("DMSO_TF", " ", "column 'drug', row 1: '' is blank"),
        ("CVCL_2", "", "column 'cell_line_id', row 3: '' is blank"),
        (",20", ",2.5", "column 'n_cells', row 2: '2.5' is no count of cells"),
        (",20", ",-2", "row 2: '-2' is no count of cells"),
        (",20", ",many", "row 2: 'many' is no count of cells"),
        ("CVCL_2", "CVCL_1", "row 3 repeats Talc, CVCL_1"),
        (COUNTS[26:], "", "there are no rows"),
    ],
)
def test_counts_that_cannot_be_are_refused(tmp_path, old, new, says):
    path = tmp_path / "cells.csv"
    path.write_text(COUNTS.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_counts(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(path))


# --- real files, by the params files of this repository ---


def real(home, run, folder):
    """Make the profiles of a run of this repository from the files that lie beside it."""
    if not (SHARED / folder).is_dir():
        pytest.skip(f"{NEEDS}/{folder}")
    shutil.copy(PARAMS / f"{run}.yml", home / "params")
    (home / "data").mkdir()
    (home / "data" / run).symlink_to(SHARED / folder)
    return open_expression(run)


def test_the_real_a375_plate(home):
    profiles = real(home, "l1000_a375", "cmappy_l1000")
    assert profiles.shape == (377, 978)
    treated = profiles.obs[profiles.obs["role"] == "treated"]
    assert treated["treatment"].nunique() == 59
    assert sorted(treated["dose"].unique()) == [0.04, 0.12, 0.37, 1.11, 3.33, 10.0]
    assert (profiles.obs["role"] == "control").sum() == 26
    assert {"DDR1", "PAX8", "TP53"} < set(profiles.var_names)
    assert profiles.obs["well"].nunique() == 377
    assert np.isfinite(profiles.X).all()
    assert 4 < profiles.X.mean() < 12


def test_the_real_ht115_plates(home):
    profiles = real(home, "l1000_ht115", "prnet_demo")
    assert profiles.shape == (681, 978)
    obs = profiles.obs
    assert obs["treatment"].nunique() == 350  # DMSO is one
    assert obs.loc[obs["role"] == "control", "treatment"].tolist() == ["DMSO"] * 20
    assert set(obs["plate"]) == {"CPC006_HT115_6H_X1", "CPC006_HT115_6H_X2"}
    assert (obs.loc[obs["role"] == "treated", "SMILES"] != "").all()
    both = obs[obs["role"] == "treated"].groupby("compound_key")["plate"].nunique().eq(2)
    assert both.sum() > 300


@pytest.mark.skipif(not (SHARED / "tahoe_counts").is_dir(), reason=f"{NEEDS}/tahoe_counts")
def test_the_real_counts_of_tahoe():
    counts = read_counts(SHARED / "tahoe_counts" / "tahoe_counts_per_drug_cell_line.csv")
    assert counts["n_cells"].sum() == 95_624_334
    assert counts["treatment"].nunique() == 380
    assert counts["cell_line"].nunique() == 50
    assert len(counts) == 19_000
    assert (counts["n_cells"] >= 1000).sum() == 16_846


@pytest.mark.skipif(not (SHARED / "tahoe_metadata").is_dir(), reason=f"{NEEDS}/tahoe_metadata")
def test_the_real_grid_of_tahoe():
    grid = read_counts(SHARED / "tahoe_metadata" / "obs_cell_grid.parquet")
    assert list(grid) == ["treatment", "cell_line", "n_cells", "plate", "dose"]
    assert grid["n_cells"].sum() == 100_648_790
    assert len(grid) == 65_943
    assert {"Erdafitinib", "Selinexor"} < set(grid["treatment"])
    assert not {"Erdafitinib ", "Selinexor "} & set(grid["treatment"])
    assert sorted(grid["dose"].unique()) == [0.0, 0.05, 0.5, 5.0]
