"""Tables on disk: every kind gives the same rows, every damage one line."""

import gzip
import zipfile

import anndata as ad
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from scipy import sparse

from screenbook.errors import InputError
from screenbook.sources import files
from screenbook.sources.files import AnnDataTable, Progress, TextTable, open_table, sha256

KINDS = (
    *("t.csv", "t.tsv", "t.csv.gz", "t.zip", "t.parquet", "semicolon.csv", "bom.csv"),
    *("t.h5ad", "t.zarr"),
)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": [f"s{i}" for i in range(50)],
            "plate": [str(i // 10) for i in range(50)],
            "name": ["", "NA", " Ångström, the 1st", 'quoted "x"', "None"] * 10,
            **{f"f{j}": rng.normal(size=50).astype(np.float32) for j in range(4)},
        }
    )


def write(table, path):
    """Write a table in the kind its name asks for."""
    text = table.to_csv(index=False, sep="\t" if path.suffix == ".tsv" else ",")
    if path.suffix in (".h5ad", ".zarr"):
        names = [c for c in table if c.startswith("f")]
        obs = table.drop(columns=names).set_axis([f"r{i}" for i in range(len(table))])
        data = ad.AnnData(table[names].to_numpy(np.float32), obs)
        data.var_names = names
        data.write_h5ad(path) if path.suffix == ".h5ad" else data.write_zarr(path)
    elif path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("LICENSE.txt", "free")
            archive.writestr("inside/t.csv", text)
            archive.writestr("__MACOSX/._t.csv", "\0")
    elif path.name == "semicolon.csv":
        path.write_text(table.to_csv(index=False, sep=";"), encoding="utf-8")
    else:
        path.write_text(text, encoding="utf-8-sig" if path.name == "bom.csv" else "utf-8")
    return path


@pytest.fixture(params=KINDS)
def path(request, tmp_path, table):
    return write(table, tmp_path / request.param)


def test_every_kind_gives_the_same_text(path, table):
    opened = open_table(path)
    assert [c for c in opened.columns if c != AnnDataTable.INDEX] == list(table)
    text = opened.read_text(["name", "id", "plate"])
    assert list(text) == ["name", "id", "plate"]
    assert text["id"].tolist() == table["id"].tolist()
    assert text["plate"].tolist() == table["plate"].tolist()
    assert text["name"].tolist() == ["", "", "Ångström, the 1st", 'quoted "x"', "None"] * 10


def test_every_kind_gives_the_same_numbers(path, table, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(files, "_BATCH_ROWS", 7)
    keys, values = zip(*open_table(path).feature_batches(["id"], ["f2", "f0"]), strict=True)
    assert pd.concat(keys)["id"].tolist() == table["id"].tolist()
    found = np.concatenate(values)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, table[["f2", "f0"]], rtol=1e-6)


def test_large_files_come_in_batches(tmp_path, table, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK_BYTES", 600)
    for name in ("t.csv", "t.zip"):
        batches = list(open_table(write(table, tmp_path / name)).feature_batches(["id"], ["f0"]))
        assert len(batches) > 3


def test_missing_numbers_are_nan(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,f\na,1\nb,\nc,NA\nd,inf\n")
    [(_, values)] = TextTable(path).feature_batches(["id"], ["f"])
    np.testing.assert_array_equal(values[:, 0], [1, np.nan, np.nan, np.inf])


def test_whole_numbers_in_parquet_stay_whole(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"plate": [1.0, None], "site": [1, 2]}).to_parquet(path)
    text = TextTable(path).read_text(["plate", "site"])
    assert text.to_numpy().tolist() == [["1", "1"], ["", "2"]]


def test_sparse_layer_of_an_anndata(tmp_path):
    data = ad.AnnData(np.zeros((3, 2), np.float32), pd.DataFrame(index=list("abc")))
    data.layers["counts"] = sparse.csr_matrix([[1, 0], [0, 2], [3, 0]])
    data.write_h5ad(tmp_path / "t.h5ad")
    table = AnnDataTable(tmp_path / "t.h5ad", layer="counts")
    [(keys, values)] = table.feature_batches([AnnDataTable.INDEX], table.features)
    assert keys[AnnDataTable.INDEX].tolist() == list("abc")
    assert values.tolist() == [[1, 0], [0, 2], [3, 0]]


def test_an_unknown_column_is_named_with_the_nearest(path):
    with pytest.raises(InputError, match=r"no column 'nmae' \(did you mean 'name'\?\)"):
        open_table(path).read_text(["nmae"])


# --- refusals ---


def read_all(path):
    table = open_table(path)
    return list(table.feature_batches(["id"], [c for c in table.columns if c != "id"]))


def refusal(path, text=None):
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        read_all(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_no_such_file(tmp_path):
    (tmp_path / "embeddings.csv").touch()
    message = refusal(tmp_path / "embedding.csv")
    assert "did you mean 'embeddings.csv'?" in message
    assert "no folder" in refusal(tmp_path / "nowhere" / "t.csv")
    assert "no such file" in refusal(tmp_path / "t.h5ad")


def test_unknown_kind(tmp_path):
    assert "what kind of table" in refusal(tmp_path / "t.xlsx", "x")


@pytest.mark.parametrize("text", ["", "\n"])
def test_empty_file(tmp_path, text):
    assert "the file is empty" in refusal(tmp_path / "t.csv", text)


def test_text_among_the_features(tmp_path):
    message = refusal(tmp_path / "t.csv", "id,f\na,1\nb,dark\n")
    assert "'dark'" in message


def test_ragged_rows(tmp_path):
    assert "Expected 2 columns, got 3" in refusal(tmp_path / "t.csv", "id,f\na,1\nb,2,3\n")


def test_not_utf8(tmp_path):
    refusal(tmp_path / "t.csv", "id,f\n\xe9,1\n".encode("latin-1"))


def test_duplicate_columns(tmp_path):
    assert "column 'f' is there twice" in refusal(tmp_path / "t.csv", "id,f,f\na,1,2\n")


def test_text_column_in_parquet_as_feature(tmp_path):
    path = tmp_path / "t.parquet"
    pa.parquet.write_table(pa.table({"id": ["a"], "f": ["x"]}), path)
    assert "feature column 'f' holds string" in refusal(path)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.zip", "t.parquet", "t.h5ad"])
def test_truncated_archives(tmp_path, table, name):
    path = write(pd.concat([table] * 20), tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refusal(path)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.zip", "t.parquet", "t.h5ad"])
def test_no_archive_at_all(tmp_path, name):
    refusal(tmp_path / name, "id,f\na,1\n")


def test_two_tables_in_one_archive(tmp_path):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "id\n")
        archive.writestr("b.csv", "id\n")
    assert "holds 2 tables ('a.csv', 'b.csv')" in refusal(path)


def test_an_archive_writes_nothing_anywhere(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    with zipfile.ZipFile(home / "t.zip", "w") as archive:
        archive.writestr("../../evil.csv", "id,f\na,1\n")
    [(keys, _)] = open_table(home / "t.zip").feature_batches(["id"], ["f"])
    assert keys["id"].tolist() == ["a"]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["home", "t.zip"]


# --- small things ---


def test_progress_is_a_line_for_every_tenth_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK_BYTES", 10)
    progress = Progress(100, "reading t.csv")
    for done in range(0, 101, 5):
        progress.at(done)
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"reading t.csv: {10 * i} %" for i in range(1, 11)]


def test_small_work_says_nothing(capsys):
    progress = Progress(100, "reading t.csv")
    progress.at(100)
    progress.close()
    assert capsys.readouterr().err == ""


def test_digest(tmp_path):
    (tmp_path / "t").write_bytes(b"abc")
    assert sha256(tmp_path / "t").startswith("ba7816bf8f01cfea")
