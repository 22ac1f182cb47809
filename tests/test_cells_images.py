"""The simulated image set for single cells, and the set that a run's cells are looked at in."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from screenbook.cells.cells_against_truth import found_nuclei
from screenbook.cells.segmentation import SegmentationSettings, segment_images
from screenbook.errors import InputError
from screenbook.image_set import ImageSet
from screenbook.simulate.images import (
    CellSpec,
    ImageSpec,
    design_images,
    nucleus_table,
    simulate_images,
)
from screenbook.sources.images import open_cells, open_images, prepare_images
from small_image_sets import metadata, pixels, write_tree

SMALL = CellSpec(n_experiments=1, n_control_fields=2, n_treated_fields=2, n_sites=2, size_px=120)
PARAMS = """
images:
  source: simulated
  n_experiments: 1
  cell_types: [U2OS]
  n_control_fields: 2
  n_treated_fields: 0
  size_px: 24
"""
CELLS = """
  cells:
    seed: 4
    n_experiments: 2
    n_control_fields: 1
    n_treated_fields: 1
    n_sites: 1
    size_px: 32
"""


@pytest.fixture(scope="module")
def drawn():
    return simulate_images(SMALL)


def test_compounds_of_a_design_are_those_that_are_named():
    obs = design_images(SMALL).obs
    assert set(obs["treatment"]) == {"control", "actin-1", "actin-1 rare", "uncoupler-1", "inert"}
    moa = obs.groupby("treatment")["moa"].first()
    assert moa["actin-1"] == moa["actin-1 rare"] == "actin inhibitor"
    assert moa["inert"] == ""


def test_who_else_is_on_a_plate_changes_no_picture():
    """A compound's fields are found by its name: the default set is as it was before."""
    few = ImageSpec(n_experiments=1, size_px=32, n_control_fields=0, n_treated_fields=2)
    alone = simulate_images(replace(few, compounds=("topo-1",)))
    many = simulate_images(replace(few, compounds=("inert", "actin-1", "topo-1")))
    same = (many.obs["treatment"] == "topo-1").to_numpy()
    np.testing.assert_array_equal(many.pixels[same], alone.pixels)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("actin1",), r"compound 'actin1' cannot be simulated.*did you mean 'actin-1'"),
        (("inert", "inert"), r"compounds names one of \['inert', 'inert'\] twice"),
    ],
)
def test_compounds_that_cannot_be_are_refused(names, says):
    with pytest.raises(InputError, match=says):
        CellSpec(compounds=names)


def test_the_inert_compound_does_nothing_and_the_rare_one_little(drawn):
    biology = design_images(SMALL).biology
    inert = drawn.obs["treatment"] == "inert"
    treated, base = (biology.loc[inert].filter(like=name) for name in ("treated_", "base_"))
    np.testing.assert_array_equal(treated.to_numpy(), base.to_numpy())
    assert (drawn.truth.loc[inert, "n_affected"] == 0).all()
    many = replace(SMALL, n_treated_fields=90, n_sites=1)
    nuclei = nucleus_table(design_images(many))
    share = nuclei.groupby(nuclei["field"].map(design_images(many).obs["treatment"]))["treated"]
    assert share.mean()["actin-1 rare"] == pytest.approx(0.15, abs=0.03)
    assert share.mean()["actin-1"] == pytest.approx(0.9, abs=0.03)


def test_the_truth_of_nuclei_is_where_they_were_drawn(drawn):
    nuclei = nucleus_table(design_images(SMALL))
    assert [*nuclei] == ["field", "cell", "y", "x", "treated", "mitotic"]
    assert set(nuclei["field"]) <= set(drawn.obs.index)
    images = ImageSet(drawn.pixels, drawn.obs, drawn.channels)
    table = segment_images(images, SegmentationSettings(nucleus_px=18)).table
    whole = table[["y", "x"]].gt(8).all(axis=1) & table[["y", "x"]].lt(112).all(axis=1)
    assert found_nuclei(table[whole], nuclei, reach=5)["precision"] > 0.9
    told = found_nuclei(table, nuclei, reach=5)
    assert told["recall"] > 0.9


def test_cells_are_made_when_they_are_asked_for(home):
    (home / "params" / "mine.yml").write_text(PARAMS)
    assert len(open_cells("mine")) == 2  # the image set itself
    plain = open_images("mine").load()
    (home / "params" / "mine.yml").write_text(PARAMS + CELLS)
    cells = open_cells("mine@variant")
    assert cells.pixels.shape == (2 * 5, 6, 32, 32)
    np.testing.assert_array_equal(open_images("mine").load(), plain)
    truth = home / "build" / "mine" / "truth"
    fields = pd.read_csv(truth / "cells.tsv", sep="\t", index_col=0)
    assert list(fields.index) == list(cells.obs.index)
    nuclei = pd.read_csv(truth / "nuclei.tsv", sep="\t")
    assert set(nuclei["field"]) <= set(cells.obs.index)
    facts = json.loads((home / "build" / "mine" / "images.json").read_text())
    assert facts["n_images"] == 2
    assert facts["n_cell_images"] == 10
    (home / "params" / "mine.yml").write_text(PARAMS)
    prepare_images("mine")
    assert not (home / "build" / "mine" / "cells.zarr").exists()


def test_a_set_that_was_lost_is_made_again(home):
    (home / "params" / "mine.yml").write_text(PARAMS + CELLS)
    first = open_cells("mine").load()
    store = home / "build" / "mine" / "cells.zarr"
    store.rename(store.with_name("elsewhere"))
    np.testing.assert_array_equal(open_cells("mine").load(), first)


def test_options_of_cells_that_cannot_be_are_refused(home):
    (home / "params" / "mine.yml").write_text(PARAMS + "  cells: {size: 24}\n")
    with pytest.raises(InputError, match=r"mine.yml images cells: 'size' is no option"):
        open_cells("mine")
    write_tree(home / "fields", pixels(12), metadata())
    (home / "params" / "mine.yml").write_text(
        "images: {source: folder, folder: fields, cells: {seed: 0}, "
        'pattern: "{experiment}/{plate}/{well}_s{site}_{channel}.png"}\n'
    )
    with pytest.raises(InputError, match="'cells' is an option of simulated images"):
        open_cells("mine")
