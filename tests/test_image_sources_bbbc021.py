"""BBBC021's images: fetched from a mirror on this machine, packed or not, and the real tables."""

import http.server
import io
import json
import threading
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from screenbook.__main__ import main
from screenbook.errors import InputError
from screenbook.finetune.mechanism_folds import known_mechanisms
from screenbook.sources.files import TextTable
from screenbook.sources.images import open_images, prepare_images
from screenbook.sources.images.bbbc021 import CHANNELS, read_fields
from small_image_sets import save, write_csv

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "bbbc021_ljosa"
PLATES = ("Week1_22123", "Week2_24121")
WELLS = {
    "B02": ("DMSO", "0"),
    "C03": ("taxol", "0.3"),
    "C04": ("taxol", "0.003"),  # too little to have a mechanism
    "D05": ("emetine", "1.0"),
}
MOA = [
    {"compound": "taxol", "concentration": "0.300000", "moa": "Microtubule stabilizers"},
    {"compound": "emetine", "concentration": "1.000000", "moa": "Protein synthesis"},
    {"compound": "DMSO", "concentration": "0.000000", "moa": "DMSO"},
]


def rows():
    """A row for each field, as the owner's table has them."""
    found = []
    for p, plate in enumerate(PLATES):
        for well, (compound, dose) in WELLS.items():
            for site in (1, 2):
                # Only some weeks put their date before the well.
                start = f"{'Week2_180607_' if p else ''}{well}_s{site}"
                row = {"TableNumber": 4, "ImageNumber": len(found)}
                for w, theirs in zip((1, 2, 4), CHANNELS.values(), strict=True):
                    row[f"Image_FileName_{theirs}"] = f"{start}_w{w}ABC-{w}.tif"
                    row[f"Image_PathName_{theirs}"] = f"Week{p + 1}/{plate}"
                row |= {"Image_Metadata_Plate_DAPI": plate, "Image_Metadata_Well_DAPI": well}
                row |= {"Replicate": 1, "Image_Metadata_Compound": compound}
                found.append(row | {"Image_Metadata_Concentration": dose})
    return found


def planes():
    return np.random.default_rng(0).integers(1, 60_000, (16, 3, 16, 20)).astype(np.uint16)


def write_tables(folder):
    write_csv(folder / "BBBC021_v1_image.csv", rows())
    write_csv(folder / "BBBC021_v1_moa.csv", MOA)


def file_of(row, theirs, weeks=False):
    start = row["Image_PathName_DAPI"] if weeks else row["Image_Metadata_Plate_DAPI"]
    return f"{start}/{row[f'Image_FileName_{theirs}']}"


def write_images(folder, weeks=False):
    for row, fields in zip(rows(), planes(), strict=True):
        for theirs, plane in zip(CHANNELS.values(), fields, strict=True):
            save(folder / file_of(row, theirs, weeks), plane)


def tiff(plane):
    file = io.BytesIO()
    Image.fromarray(plane).save(file, format="TIFF")
    return file.getvalue()


def write_params(home, text=""):
    params = home / "params" / "bbbc021_images.yml"
    params.write_text(f"images:\n  source: bbbc021\n{text}")


@pytest.fixture
def unpacked(home):
    """A checkout with two plates, unpacked; gives their folder."""
    write_params(home)
    folder = home / "data" / "bbbc021_images"
    write_tables(folder)
    write_images(folder)
    return folder


def refusal(home, text=""):
    write_params(home, text)
    with pytest.raises(InputError) as caught:
        prepare_images("bbbc021_images")
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- from the mirror ---


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(tmp_path_factory, monkeypatch):
    """A server with the archives as their owner packs them; gives its address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path_factory.mktemp("mirror")
    write_tables(folder)
    for plate in PLATES:
        with zipfile.ZipFile(folder / f"BBBC021_v1_images_{plate}.zip", "w") as packed:
            for row, fields in zip(rows(), planes(), strict=True):
                if row["Image_Metadata_Plate_DAPI"] == plate:
                    for theirs, plane in zip(CHANNELS.values(), fields, strict=True):
                        packed.writestr(file_of(row, theirs), tiff(plane))
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_from_the_registry_to_an_image_set(home, mirror):
    registry = yaml.safe_load((ROOT / "data" / "registry.yml").read_text())["bbbc021_images"]
    assert len(registry["files"]) == 57
    endings = (".csv", *(f"{plate}.zip" for plate in PLATES))
    mine = [entry for entry in registry["files"] if entry["name"].endswith(endings)]
    for entry in mine:
        entry["url"] = f"{mirror}/{entry['url'].rpartition('/')[2]}"
    (home / "data").mkdir()
    registry["files"] = mine
    (home / "data" / "registry.yml").write_text(yaml.safe_dump({"bbbc021_images": registry}))
    write_params(home)
    assert main(["data", "bbbc021_images"]) == 0
    assert main(["images", "bbbc021_images"]) == 0
    images = open_images("bbbc021_images")
    assert images.pixels.dtype == np.uint16
    np.testing.assert_array_equal(images.load(), planes())
    assert images.channels == ("DNA", "tubulin", "actin")
    facts = json.loads((home / "build" / "bbbc021_images" / "images.json").read_text())
    assert [Path(entry["path"]).name for entry in facts["inputs"]] == [
        *("BBBC021_v1_image.csv", "BBBC021_v1_moa.csv"),
        *(f"BBBC021_v1_images_{plate}.zip" for plate in PLATES),
    ]
    assert not list((home / "data" / "bbbc021_images").glob("Week*"))  # read packed


def test_the_registry_has_an_archive_for_each_plate_of_the_real_table():
    if not REAL.is_dir():
        pytest.skip("the tables of BBBC021 are not beside the project")
    text = TextTable(REAL / "BBBC021_v1_image.csv.gz").read_text(["Image_Metadata_Plate_DAPI"])
    registry = yaml.safe_load((ROOT / "data" / "registry.yml").read_text())["bbbc021_images"]
    archives = [f["name"] for f in registry["files"] if f["name"].endswith(".zip")]
    expected = {f"BBBC021_v1_images_{plate}.zip" for plate in set(text.iloc[:, 0])}
    assert len(archives) == 55
    assert set(archives) == expected


def test_the_real_tables_become_fields():
    if not REAL.is_dir():
        pytest.skip("the tables of BBBC021 are not beside the project")
    images, mechanisms = REAL / "BBBC021_v1_image.csv.gz", REAL / "BBBC021_v1_moa.csv"
    obs, names = read_fields(TextTable(images), TextTable(mechanisms))
    assert len(obs) == 13_200
    assert (obs["plate"].nunique(), obs["experiment"].nunique()) == (55, 10)
    assert obs["role"].eq("control").sum() == 1_320
    known = obs[obs["moa"] != ""]
    assert known["moa"].nunique() == 12
    assert known["treatment"].nunique() == 103
    assert known["compound"].nunique() == 38
    assert names.shape == (13_200, 3)
    assert len(set(names.ravel())) == names.size
    # No mechanism of theirs has one compound alone, so that all can be asked.
    assert len(known_mechanisms(obs).names) == 12


# --- unpacked ---


@pytest.mark.parametrize("weeks", [False, True])
def test_tables_become_fields_with_roles_and_mechanisms(home, weeks):
    write_params(home)
    write_tables(home / "data" / "bbbc021")  # those of the profiles will do
    write_images(home / "data" / "bbbc021_images", weeks)
    images = open_images("bbbc021_images")
    np.testing.assert_array_equal(images.load(), planes())
    obs = images.obs
    assert list(obs.index[:2]) == [f"Week1/Week1_22123/B02/{site}" for site in (1, 2)]
    first = obs[obs["plate"] == PLATES[0]].iloc[::2]
    assert list(first["role"]) == ["control", "treated", "treated", "treated"]
    assert list(first["treatment"]) == ["DMSO", "taxol 0.3", "taxol 0.003", "emetine 1"]
    assert list(first["compound"]) == ["", "taxol", "taxol", "emetine"]
    assert list(first["moa"]) == ["", "Microtubule stabilizers", "", "Protein synthesis"]
    assert first["SMILES"].astype(bool).tolist() == [False, True, True, True]
    assert set(obs["experiment"]) == {"Week1", "Week2"}
    assert set(obs["cell_type"]) == {"MCF7"}


def test_a_part_needs_its_own_plates_alone(unpacked, home):
    for path in (unpacked / PLATES[1]).iterdir():
        path.unlink()
    (unpacked / PLATES[1]).rmdir()
    message = refusal(home)
    assert "there is no BBBC021_v1_images_Week2_24121.zip" in message
    assert "only: {plate: [...]}" in message
    write_params(
        home, "  only: {plate: [Week1_22123]}\n  known_only: true\n  crop: 16\n  pool: 4\n"
    )
    images = open_images("bbbc021_images")
    assert images.pixels.shape == (6, 3, 4, 4)
    assert "taxol 0.003" not in set(images.obs["treatment"])
    assert images.notes[0] == "only DMSO and treatments of known mechanism: 12 of 16"
    assert "known_only is 'yes please'" in refusal(home, "  known_only: yes please\n")


def test_a_missing_channel_names_field_channel_and_file(unpacked, home):
    (unpacked / file_of(rows()[3], "Tubulin")).unlink()
    message = refusal(home)
    assert "1 of 16 fields" in message
    assert "no image of channel 'tubulin' (first: Week1/Week1_22123/C03/2" in message
    assert "C03_s2_w2ABC-2.tif" in message
    write_params(home, "  join: inner\n")
    assert len(open_images("bbbc021_images")) == 15


def test_a_missing_channel_in_an_archive(home, mirror, unpacked):
    """The same where images are packed: the archive and the file in it are named."""
    for path in (unpacked / PLATES[0]).iterdir():
        path.unlink()
    (unpacked / PLATES[0]).rmdir()
    with zipfile.ZipFile(unpacked / f"BBBC021_v1_images_{PLATES[0]}.zip", "w") as packed:
        for row, fields in list(zip(rows(), planes(), strict=True))[:8]:
            for theirs, plane in list(zip(CHANNELS.values(), fields, strict=True))[:2]:
                packed.writestr(f"a/{file_of(row, theirs)}", tiff(plane))
    message = refusal(home)
    assert "8 of 16 fields" in message
    assert "images_Week1_22123.zip: a/Week1_22123/B02_s1_w4ABC-4.tif" in message


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda body: body[: len(body) // 2], "cut"),
        (lambda body: b"", "empty"),
        (lambda _: tiff(planes()[0, 0][:8]), "is 8 x 20 px and"),
        (lambda _: tiff((planes()[0, 0] >> 8).astype(np.uint8)), "has 8 bits a pixel and"),
        (lambda _: tiff(np.zeros((16, 20, 3), np.uint8)), "is of colours (RGB)"),
    ],
)
def test_an_image_that_does_not_fit_is_named_with_its_mend(unpacked, home, spoil, told):
    path = unpacked / file_of(rows()[5], "Actin")
    path.write_bytes(spoil(path.read_bytes()))
    message = refusal(home)
    assert path.name in message
    assert told in message


def test_tables_that_are_wrong_are_refused(unpacked, home):
    table = unpacked / "BBBC021_v1_image.csv"
    text = table.read_text()
    table.write_text(text.replace("C03_s2_w1ABC", "C03_w1ABC", 1))
    assert "row 4: 'C03_w1ABC-1.tif' names no site" in refusal(home)
    table.write_text(text.replace("Image_FileName_Actin", "Image_FileName_Aktin"))
    assert "no column 'Image_FileName_Actin' (did you mean 'Image_FileName_Aktin'?)" in refusal(
        home
    )
    table.write_text(text.replace("Week1_22123", "../22123"))
    assert "is no name of a file inside" in refusal(home)
    table.unlink()
    assert "there is no BBBC021_v1_image.csv" in refusal(home)


def test_mechanisms_that_are_wrong_are_refused_and_unknown_ones_are_blank(unpacked, home):
    table = unpacked / "BBBC021_v1_moa.csv"
    text = table.read_text()
    table.write_text(text.replace("moa", "mechanism"))
    message = refusal(home)
    assert "BBBC021_v1_moa.csv: there is no column 'moa'" in message
    table.write_text(text.replace("1.000000", "much"))
    message = refusal(home)
    assert "dose 'much' of row 2 is not a number; fetch the file again" in message
    table.write_text(text.replace("emetine", "emetin").replace("Microtubule stabilizers", " "))
    prepare_images("bbbc021_images")
    assert set(open_images("bbbc021_images").obs["moa"].str.strip()) == {""}
    with pytest.raises(InputError, match="column moa: 0 mechanisms have two compounds or more"):
        known_mechanisms(open_images("bbbc021_images").obs)
