"""RxRx19a: a small pair of files in exactly its format."""

import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.screen import roles_of
from screenbook.sources import rxrx19a
from screenbook.sources.staging import to_screen

WHERE = "params/rxrx19a.yml screen"
ACTIVE, MOCK, UV = "Active SARS-CoV-2", "Mock", "UV Inactivated SARS-CoV-2"
REMDESIVIR = (
    "CCC(CC)COC(=O)[C@H](C)N[P@](=O)(OC[C@H]1O[C@@](C#N)([C@H](O)[C@@H]1O)"
    "C1=CC=C2C(N)=NC=NN12)OC1=CC=CC=C1 |r,c:35|"
)


def write_pair(folder, n_plates=2, n_features=1024, shuffle=True):
    """``metadata.csv`` and ``embeddings.csv`` with the columns and spellings of RxRx19a."""
    kinds = [
        (MOCK, "", "", ""),
        (UV, "", "", ""),
        (ACTIVE, "", "", ""),
        (ACTIVE, "Remdesivir (GS-5734)", 0.3, REMDESIVIR),
        (ACTIVE, "GS-441524", 3.0, "NC1=NC=NN2C1=CC=C2C"),
        ("", "", "", ""),
    ]
    rows = []
    for experiment, cells in (("HRCE-1", "HRCE"), ("VERO-1", "VERO")):
        for plate in range(1, n_plates + 1):
            for kind, values in enumerate(kinds):
                well = f"AF{kind + 1:02}"
                well_id = f"{experiment}_{plate}_{well}"
                for site in range(1, 5):
                    place = (cells, experiment, plate, well, site)
                    rows.append((f"{well_id}_{site}", well_id, *place, *values))
    columns = ["site_id", "well_id", "cell_type", "experiment", "plate", "well", "site"]
    columns += ["disease_condition", "treatment", "treatment_conc", "SMILES"]
    metadata = pd.DataFrame(rows, columns=columns)
    X = np.random.default_rng(0).normal(size=(len(metadata), n_features)).astype(np.float32)
    embeddings = pd.DataFrame(X, columns=[f"feature_{i}" for i in range(n_features)])
    embeddings.insert(0, "site_id", metadata["site_id"])
    metadata.to_csv(folder / "metadata.csv", index=False)
    embeddings = embeddings.sample(frac=1, random_state=1) if shuffle else embeddings
    embeddings.to_csv(folder / "embeddings.csv", index=False)
    return metadata, X


@pytest.fixture
def pair(home):
    folder = home / "data" / "rxrx19a"
    folder.mkdir(parents=True)
    return folder, *write_pair(folder)


def load(home, **section):
    scratch = home / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    return to_screen(rxrx19a.find({"source": "rxrx19a", **section}, WHERE, scratch))


def pack(folder):
    """Zip both files as their owner does, and take the plain ones away."""
    for name, archive in (("metadata", "metadata"), ("embeddings", "DL-embeddings")):
        with zipfile.ZipFile(
            folder / f"RxRx19a-{archive}.zip", "w", zipfile.ZIP_DEFLATED
        ) as packed:
            packed.write(folder / f"{name}.csv", f"RxRx19a/{name}.csv")
            packed.writestr("RxRx19a/LICENSE", "CC BY 4.0")
        (folder / f"{name}.csv").unlink()


def test_sites_are_joined_by_id(home, pair):
    _, metadata, X = pair
    screen = load(home)
    np.testing.assert_allclose(screen.X.compute(), X, rtol=1e-6)
    assert screen.obs_names.tolist() == metadata["site_id"].tolist()
    assert screen.uns["level"] == "site"
    assert screen.obs["well_id"].tolist() == metadata["well_id"].tolist()
    assert screen.obs["batch"].cat.categories.tolist() == [
        *("HRCE-1/1", "HRCE-1/2", "VERO-1/1", "VERO-1/2")
    ]
    assert (screen.obs["row"].iloc[0], screen.obs["column"].iloc[0]) == (31, 0)


def test_roles_and_compounds(home, pair):
    screen = load(home, roles={"references": ["Remdesivir (GS-5734)"]})
    counts = screen.obs["role"].value_counts()
    assert counts[["healthy", "diseased", "treated", "blank"]].tolist() == [32, 16, 32, 16]
    blank = screen.obs[screen.obs["role"].eq("blank")]
    assert set(blank["disease_condition"]) == {""}
    assert screen.obs["compound_key"].str.match(r"[A-Z]{14}-[A-Z]{10}-[A-Z]$").sum() == 32
    assert roles_of(screen).healthy == (MOCK, UV)
    assert roles_of(screen).references == ("Remdesivir (GS-5734)",)


def test_as_downloaded_or_unpacked_is_the_same(home, pair):
    folder = pair[0]
    plain = load(home)
    pack(folder)
    zipped = load(home)
    np.testing.assert_array_equal(zipped.X.compute(), plain.X.compute())
    pd.testing.assert_frame_equal(zipped.obs, plain.obs)
    shutil.move(folder, home / "elsewhere")
    moved = load(home, folder=str(home / "elsewhere"))
    pd.testing.assert_frame_equal(moved.obs, plain.obs)


def test_order_of_embeddings_does_not_matter(home, pair):
    shuffled = load(home)
    write_pair(pair[0], shuffle=False)
    np.testing.assert_array_equal(load(home).X.compute(), shuffled.X.compute())


def test_missing_files_name_the_command(home):
    with pytest.raises(InputError, match=r"run 'make data DATASET=rxrx19a'") as caught:
        load(home)
    assert str(caught.value).startswith("data/rxrx19a: there is no metadata.csv")


def test_unknown_option(home):
    with pytest.raises(InputError, match=r"'foldr' is no option here \(did you mean 'folder'"):
        load(home, foldr="x")
