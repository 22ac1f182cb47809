"""RxRx1: fetched from a mirror on this machine, packed or not, and the real table of wells."""

import http.server
import json
import threading
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from screenbook.__main__ import main
from screenbook.errors import InputError
from screenbook.sources.files import TextTable
from screenbook.sources.images import open_images, prepare_images
from screenbook.sources.images.rxrx1 import CHANNELS, read_metadata
from small_image_sets import save, write_csv

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "rxrx1_metadata"
WELLS = {"B02": ("EMPTY", "negative_control"), "B03": ("s501", "treatment")}
WELLS |= {"B04": ("s7", "positive_control")}


def rows():
    """The metadata of two experiments with a plate of three wells each."""
    return [
        {
            "site_id": f"{experiment}_1_{well}_{site}",
            "well_id": f"{experiment}_1_{well}",
            "cell_type": experiment.partition("-")[0],
            "dataset": "train",
            "experiment": experiment,
            "plate": 1,
            "well": well,
            "site": site,
            "well_type": well_type,
            "sirna": sirna,
            "sirna_id": 1138 if sirna == "EMPTY" else 5,
        }
        for experiment in ("HUVEC-01", "U2OS-02")
        for well, (sirna, well_type) in WELLS.items()
        for site in (1, 2)
    ]


def planes():
    return np.random.default_rng(0).integers(1, 255, (12, 6, 16, 16)).astype(np.uint8)


def write_images(folder):
    for row, fields in zip(rows(), planes(), strict=True):
        for channel, plane in enumerate(fields, start=1):
            name = f"{row['well']}_s{row['site']}_w{channel}.png"
            save(folder / row["experiment"] / f"Plate{row['plate']}" / name, plane)


def write_params(home, text=""):
    (home / "params" / "rxrx1.yml").write_text(f"images:\n  source: rxrx1\n{text}")


@pytest.fixture
def unpacked(home):
    """A checkout with RxRx1, unpacked."""
    write_params(home)
    write_csv(home / "data" / "rxrx1" / "metadata.csv", rows())
    write_images(home / "data" / "rxrx1" / "images")
    return home


def refusal(home, text=""):
    write_params(home, text)
    with pytest.raises(InputError) as caught:
        prepare_images("rxrx1")
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- from the mirror ---


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(tmp_path_factory, monkeypatch):
    """A server with both archives as their owner packs them; gives its address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path_factory.mktemp("mirror")
    write_csv(folder / "rxrx1" / "metadata.csv", rows())
    write_images(folder / "rxrx1" / "images")
    for archive, pattern in (("metadata", "*.csv"), ("images", "*.png")):
        with zipfile.ZipFile(folder / f"rxrx1-{archive}.zip", "w") as packed:
            for path in sorted((folder / "rxrx1").rglob(pattern)):
                packed.write(path, path.relative_to(folder))
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_from_the_registry_to_an_image_set(home, mirror):
    registry = yaml.safe_load((ROOT / "data" / "registry.yml").read_text())["rxrx1"]
    for entry in registry["files"]:
        entry["url"] = f"{mirror}/{entry['url'].rpartition('/')[2]}"
    (home / "data").mkdir()
    (home / "data" / "registry.yml").write_text(yaml.safe_dump({"rxrx1": registry}))
    write_params(home)
    assert main(["data", "rxrx1"]) == 0
    assert main(["images", "rxrx1"]) == 0
    images = open_images("rxrx1")
    np.testing.assert_array_equal(images.load(), planes())
    assert images.channels == CHANNELS
    facts = json.loads((home / "build" / "rxrx1" / "images.json").read_text())
    assert [Path(entry["path"]).name for entry in facts["inputs"]] == (
        ["rxrx1-metadata.zip", "rxrx1-images.zip"]
    )
    assert not (home / "data" / "rxrx1" / "rxrx1").exists()  # read packed


# --- unpacked ---


def test_metadata_become_fields_with_roles(unpacked):
    images = open_images("rxrx1")
    np.testing.assert_array_equal(images.load(), planes())
    obs = images.obs
    assert list(obs.index[:2]) == ["HUVEC-01/1/B02/1", "HUVEC-01/1/B02/2"]
    assert list(obs["role"].iloc[::2]) == ["control", "treated", "positive"] * 2
    assert list(obs["treatment"].iloc[:3]) == ["EMPTY", "EMPTY", "s501"]
    assert set(obs["batch"]) == {"HUVEC-01/1", "U2OS-02/1"}
    assert set(obs["cell_type"]) == {"HUVEC", "U2OS"}


def test_a_part_may_be_asked_for(unpacked):
    write_params(unpacked, "  only: {cell_type: U2OS, site: [1]}\n  pool: 4\n")
    images = open_images("rxrx1")
    assert images.pixels.shape == (3, 6, 4, 4)
    assert images.notes == (
        "only fields with cell_type 'U2OS': 6 of 12",
        "only fields with site '1': 3 of 6",
    )
    message = refusal(unpacked, "  only: {cell_type: [U20S]}\n")
    assert "has cell_type 'U20S' (did you mean 'U2OS'?); there are 'HUVEC', 'U2OS'" in message
    assert "there is no column 'cells'" in refusal(unpacked, "  only: {cells: [U2OS]}\n")


def test_metadata_without_image_and_image_without_metadata(unpacked):
    images = unpacked / "data" / "rxrx1" / "images"
    (images / "U2OS-02" / "Plate1" / "B03_s2_w4.png").unlink()
    save(images / "HUVEC-01" / "Plate1" / "C09_s1_w1.png", planes()[0, 0])
    message = refusal(unpacked)
    assert message == (
        "1 of 12 fields of data/rxrx1/metadata.csv have no image of channel 'RNA' (first: "
        "U2OS-02/1/B03/2, data/rxrx1/images/U2OS-02/Plate1/B03_s2_w4.png) and 1 images are of no "
        "row in data/rxrx1/metadata.csv (first: data/rxrx1/images/HUVEC-01/Plate1/C09_s1_w1.png): "
        "bring the images and complete the metadata, or set `join: inner` to leave out what has "
        "no counterpart"
    )
    write_params(unpacked, "  join: inner\n")
    assert list(open_images("rxrx1").obs.index[-3:]) == (
        ["U2OS-02/1/B03/1", "U2OS-02/1/B04/1", "U2OS-02/1/B04/2"]
    )
    assert open_images("rxrx1").notes[0].endswith("they are left out")


def test_a_channel_that_is_nowhere(unpacked):
    for path in (unpacked / "data" / "rxrx1" / "images").rglob("*_w6.png"):
        path.unlink()
    assert "12 of 12 fields of data/rxrx1/metadata.csv have no image of channel 'Golgi'" in (
        refusal(unpacked)
    )
    assert "no field is complete" in refusal(unpacked, "  join: inner\n")


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("well_type", "negative", "column 'well_type', row 2: 'negative' is none of"),
        ("site", "x", "column 'site', row 2: 'x' is no whole number"),
        ("site", 1, "field 'HUVEC-01/1/B02/1' is in row 1 and again in row 2"),
        ("experiment", "../../etc", "column 'experiment'"),
        ("well", "/etc/passwd", "'/etc/passwd' is no name of a file inside the image folder"),
        ("plate", "", "column 'plate'"),
    ],
)
def test_metadata_that_cannot_be_are_refused(unpacked, column, value, says):
    spoilt = rows()
    spoilt[1][column] = value
    write_csv(unpacked / "data" / "rxrx1" / "metadata.csv", spoilt)
    message = refusal(unpacked)
    assert "data/rxrx1/metadata.csv" in message
    assert says in message


def test_what_is_not_there_names_the_command(home):
    assert "run 'make data DATASET=rxrx1'" in refusal(home)
    write_csv(home / "data" / "rxrx1" / "metadata.csv", rows())
    assert "data/rxrx1: there is no folder 'images' (or rxrx1-images.zip)" in refusal(home)
    assert "'size' is no option here" in refusal(home, "  size: 3\n")


def test_images_may_lie_beside_the_table(home):
    write_csv(home / "mine" / "wells.csv", rows())
    write_images(home / "mine")
    write_params(home, "  folder: mine\n  metadata: mine/wells.csv\n")
    assert len(open_images("rxrx1")) == 12


# --- the challenge's tables ---


@pytest.mark.skipif(not REAL.is_dir(), reason=f"needs the real well tables in {REAL}")
def test_the_real_table_becomes_two_fields_a_well():
    tables = [read_metadata(TextTable(REAL / name)) for name in ("train_0.csv", "valid_0.csv")]
    wells = [table[table["site"] == 1] for table in tables]
    assert sum(map(len, tables)) == 2 * 36_515
    assert sum(map(len, wells)) == 36_515
    assert sum(table["experiment"].nunique() for table in tables) == 33
    assert set(tables[0]["cell_type"]) == {"HEPG2", "HUVEC", "RPE", "U2OS"}
    assert tables[0].index.is_unique
    assert set(tables[0]["role"]) == {"treated"}  # its controls are in a table of their own
    assert tables[0]["batch"].nunique() == 4 * tables[0]["experiment"].nunique()


def test_wells_without_sirna_are_controls(home):
    write_csv(
        home / "train.csv",
        [
            {"id_code": f"RPE-1_1_{w}", "experiment": "RPE-1", "plate": 1, "well": w, "sirna": s}
            for w, s in (("B02", 1138), ("B03", 17))
        ],
    )
    obs = read_metadata(TextTable(home / "train.csv"))
    assert list(obs["role"]) == ["control", "control", "treated", "treated"]
    assert list(obs["site"]) == [1, 2, 1, 2]
