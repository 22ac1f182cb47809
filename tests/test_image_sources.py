"""From the images section of a params file to a set on disk: made once, made again when asked."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from screenbook.__main__ import main
from screenbook.errors import InputError
from screenbook.image_set import read_image_set
from screenbook.sources import images as image_sources
from screenbook.sources.images import KIND, open_images, prepare_images
from small_image_sets import metadata, pixels, write_tree

SIMULATED = """
images:
  source: simulated
  seed: 3
  n_experiments: 2
  cell_types: [U2OS]
  n_control_fields: 2
  n_treated_fields: 2
  size_px: 24
"""
FOLDER = """
images:
  source: folder
  folder: fields
  pattern: "{experiment}/{plate}/{well}_s{site}_{channel}.png"
  constants: {cell_type: U2OS, treatment: DMSO}
  controls: [DMSO]
"""


def write_params(home, text):
    (home / "params" / "mine.yml").write_text(text)


@pytest.fixture
def folder(home):
    """A checkout with a folder of images, not converted yet."""
    write_params(home, FOLDER)
    write_tree(home / "fields", pixels(12), metadata())
    return home


def refusal(home, text):
    write_params(home, text)
    with pytest.raises(InputError) as caught:
        prepare_images("mine")
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- simulated ---


def test_simulated_images_come_with_their_truth(home, capsys):
    write_params(home, SIMULATED)
    assert main(["images", "mine"]) == 0
    assert "images  mine  52 fields in " in capsys.readouterr().out
    images = open_images("mine@k30")
    assert images.pixels.shape == (52, 6, 24, 24)
    assert set(images.obs["role"]) == {"control", "treated"}
    truth = pd.read_csv(home / "build" / "mine" / "truth" / "images.tsv", sep="\t", index_col=0)
    assert list(truth.index) == list(images.obs.index)
    assert not set(truth) & set(images.obs)
    facts = json.loads((home / "build" / "mine" / "images.json").read_text())
    assert [facts[k] for k in ("source", "n_images", "n_batches", "inputs")] == (
        ["simulated", 52, 2, []]
    )
    first = images.load()
    (home / "build" / "mine" / "images.json").unlink()
    np.testing.assert_array_equal(open_images("mine").load(), first)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("  size: 24", "'size' is no option of simulated images (did you mean 'size_px'?)"),
        ("  size_px: big", "size_px is 'big'; give a whole number"),
        ("  batch_strength: true", "batch_strength is True; give a number"),
        ("  cell_types: U2OS", "cell_types is 'U2OS'; give a list"),
        ("  cell_types: [Vero]", "cell type 'Vero' cannot be simulated"),
    ],
)
def test_options_that_cannot_be_are_refused(home, line, says):
    message = refusal(home, f"images:\n  source: simulated\n{line}\n")
    assert message.startswith("params/mine.yml images: ")
    assert says in message


# --- what is made, and when again ---


def test_a_run_without_images_says_so_and_stops_nothing(home, capsys):
    write_params(home, "screen: {source: simulated}\n")
    assert not KIND.given("mine")
    with pytest.raises(InputError, match=r"params/mine\.yml has no section `images:`"):
        open_images("mine")
    assert main(["images", "mine"]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads((home / "build" / "mine" / "images.json").read_text()) == (
        {"run": "mine", "source": None, "n_images": 0, "inputs": []}
    )


def test_an_unknown_source_is_refused(home):
    message = refusal(home, "images: {source: rxrx}\n")
    assert message == (
        "params/mine.yml images: source 'rxrx' is not known (did you mean 'rxrx1'?); "
        "take one of simulated, rxrx1, bbbc021, load_data, folder"
    )


def test_files_are_converted_and_recorded(folder):
    assert main(["images", "mine"]) == 0
    build = folder / "build" / "mine"
    np.testing.assert_array_equal(read_image_set(build / "images.zarr").load(), pixels(12))
    facts = json.loads((build / "images.json").read_text())
    assert facts["channels"] == ["DNA", "ER", "actin"]
    assert [entry["path"] for entry in facts["inputs"]] == [
        *("fields", "fields/E1", "fields/E1/1", "fields/E2", "fields/E2/1")
    ]
    assert (
        (build / "images.d")
        .read_text()
        .startswith("build/mine/images.json: fields fields/E1 fields/E1/1 fields/E2 fields/E2/1\n")
    )
    assert sorted(p.name for p in build.iterdir()) == ["images.d", "images.json", "images.zarr"]


@pytest.fixture
def made(folder, monkeypatch):
    """A checkout with converted images, and the list of files read since."""
    prepare_images("mine")
    read = []
    real = image_sources.convert.read_planes

    def listening(tree, name, n_pages=1):
        read.append(name)
        return real(tree, name, n_pages)

    monkeypatch.setattr(image_sources.convert, "read_planes", listening)
    return folder, read


def test_nothing_is_made_twice(made):
    home, read = made
    record = home / "build" / "mine" / "images.json"
    os.utime(record, (1, 1))
    write_params(home, FOLDER + "common: {seed: 1}\n")
    prepare_images("mine")
    assert read == []
    assert record.stat().st_mtime > 1


def test_other_roles_need_no_pixel_but_those_that_tell_the_size(made):
    home, read = made
    write_params(home, FOLDER.replace("DMSO", "water"))
    prepare_images("mine")
    assert len(read) == 3
    assert set(open_images("mine").obs["treatment"]) == {"water"}


def test_new_images_make_it_again(made):
    home, read = made
    fresh = pixels(4, seed=1)
    write_tree(home / "fields", fresh, metadata(n_experiments=1, n_wells=2).assign(experiment="E3"))
    prepare_images("mine")
    assert len(read) >= 12
    np.testing.assert_array_equal(open_images("mine").load(slice(12, None)), fresh)


@pytest.mark.parametrize("spoil", ["images.zarr", "images.json"])
def test_what_is_lost_is_made_again(made, spoil):
    home, _ = made
    path = home / "build" / "mine" / spoil
    path.rename(home / "lost") if path.is_dir() else path.write_text("{")
    prepare_images("mine")
    assert len(open_images("mine")) == 12


def test_a_failure_leaves_no_record_and_the_old_images(made):
    home, _ = made
    message = refusal(home, FOLDER.replace("controls: [DMSO]", "controls: [DMSOO]"))
    assert "controls names 'DMSOO'" in message
    assert "(did you mean 'DMSO'?)" in message
    build = home / "build" / "mine"
    assert [p.name for p in build.iterdir()] == ["images.zarr"]
    assert len(read_image_set(build / "images.zarr")) == 12
