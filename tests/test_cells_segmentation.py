"""Nuclei and cells, on planted discs and on real fields with masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from planted_cells import disc_set, discs
from screenbook.cells.mask_agreement import mask_agreement
from screenbook.cells.segmentation import (
    SegmentationSettings,
    find_cells,
    find_nuclei,
    ground,
    nuclear_channel,
    segment_images,
)
from screenbook.errors import InputError

REAL = Path(__file__).parents[2] / "shared/data/nf1_jump_images/NF1_cellpainting_data_shrunken"
SIXTEEN = SegmentationSettings(nucleus_px=16)
APART = [(24, 24), (24, 70), (70, 24), (66, 66)]


def found_at(labels, centres):
    """Whether each number sits on one centre, one on each."""
    numbers = [labels[int(y), int(x)] for y, x in centres]
    return 0 not in numbers and len(set(numbers)) == len(centres) == labels.max()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_nucleus_is_found_where_it_is(dtype):
    labels = find_nuclei(discs(APART, dtype=dtype)[0], SIXTEEN)
    assert found_at(labels, APART)
    areas = np.bincount(labels.ravel())[1:]
    assert areas == pytest.approx(np.pi * 8**2, rel=0.12)


@pytest.mark.parametrize("gap", [12, 14, 17])
def test_touching_nuclei_are_split_half_way(gap):
    pair = [(48, 48 - gap / 2), (48, 48 + gap / 2)]
    labels = find_nuclei(discs(pair)[0], SIXTEEN)
    assert found_at(labels, pair)
    y, x = np.nonzero(labels)
    nearest = cKDTree(pair).query(np.stack([y, x], 1))[1]
    right = labels[48, int(pair[1][1])]
    assert ((labels[y, x] == right) == (nearest == 1)).mean() > 0.95


def test_one_long_nucleus_stays_one():
    y, x = np.mgrid[:96, :96]
    oval = np.hypot((y - 48) / 8, (x - 48) / 13) < 1
    plane = (20 + 150 * oval).astype(np.uint8)
    assert find_nuclei(plane, SIXTEEN).max() == 1


def test_uneven_light_hides_and_makes_no_nucleus():
    plane = discs(APART)[0].astype(float)
    ramp = np.linspace(0, 120, 96)
    labels = find_nuclei(plane * 0.5 + ramp, SIXTEEN)
    assert found_at(labels, APART)
    under = ground((plane + ramp).astype(np.float32), 16)
    assert np.corrcoef(under.ravel(), np.broadcast_to(ramp, (96, 96)).ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    "plane",
    [
        np.zeros((40, 50), np.uint8),
        np.full((40, 50), 65535, np.uint16),
        np.random.default_rng(0).normal(100, 5, (60, 60)).astype(np.uint8),
        np.random.default_rng(0).poisson(3, (60, 60)).astype(np.uint16),
    ],
)
def test_an_empty_field_has_no_cell(plane):
    nuclei = find_nuclei(plane, SIXTEEN)
    assert not nuclei.any()
    assert nuclei.shape == plane.shape
    assert not find_cells(plane[None], nuclei, SIXTEEN).any()


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0), (1.0, 40), (2.0, 10)])
def test_gain_and_offset_of_the_camera_change_nothing(gain, offset):
    plane = discs(APART)[0].astype(np.uint16) * 100
    changed = (plane * gain + 100 * offset).astype(np.uint16)
    again = mask_agreement(find_nuclei(changed, SIXTEEN), find_nuclei(plane, SIXTEEN))
    assert again["dice"] > 0.99
    assert again["f1"] == 1


def test_a_turned_field_has_turned_cells():
    field = discs(APART, seed=3)
    nuclei = find_nuclei(field[0], SIXTEEN)
    turned = find_nuclei(np.rot90(field[0]).copy(), SIXTEEN)
    assert mask_agreement(np.rot90(nuclei), turned)["dice"] > 0.97


def test_cells_hold_their_nuclei_and_end_where_the_cytoplasm_does():
    field = discs(APART, radius=8)
    nuclei = find_nuclei(field[0], SIXTEEN)
    cells = find_cells(field[1:], nuclei, SIXTEEN)
    assert (cells[nuclei > 0] == nuclei[nuclei > 0]).all()
    areas = np.bincount(cells.ravel())[1:]
    assert areas == pytest.approx(np.pi * (2.2 * 8) ** 2, rel=0.2)
    y, x = np.nonzero(cells)
    nearest = cKDTree(APART).query(np.stack([y, x], 1))[1]
    owner = np.array([nuclei[a, b] for a, b in APART])
    assert (owner[nearest] == cells[y, x]).mean() > 0.98


def test_a_gap_in_the_cytoplasm_is_not_crossed():
    """A strip nearer to the right nucleus, tied to the left one alone, is the left one's."""
    nuclei = find_nuclei(discs([(30, 30), (66, 66)])[0], SIXTEEN)
    body = np.full((96, 96), 5.0)
    body[20:40, 20:76], body[56:76, 56:76] = 120.0, 120.0
    cells = find_cells(body[None], nuclei, SIXTEEN)
    assert (cells[22:38, 66:72] == nuclei[30, 30]).all()
    assert (cells[58:74, 58:74] == nuclei[66, 66]).all()


def test_a_set_becomes_labels_and_a_table():
    empty = np.full((2, 96, 96), 7, np.uint8)
    images = disc_set([discs(APART), empty, discs([(4, 40), (50, 50)])])
    found = segment_images(images, SIXTEEN)
    assert found.nuclei.shape == found.cells.shape == (3, 96, 96)
    assert found.table["row"].tolist() == [0] * 4 + [2] * 2
    assert (found.table["field"] == images.obs.index.to_numpy()[found.table["row"]]).all()
    at = cKDTree(APART).query(found.table.loc[found.table["row"] == 0, ["y", "x"]].to_numpy())
    assert at[0].max() < 0.6
    last = found.table[found.table["row"] == 2].set_index("cell")
    assert last.loc[found.nuclei[2, 4, 40], "touches_border"]
    assert not last.loc[found.nuclei[2, 50, 50], "touches_border"]
    assert (found.table["cell_area"] >= found.table["nucleus_area"]).all()


def test_one_channel_alone_is_enough():
    images = disc_set([discs(APART)[:1]], channels=("Hoechst 33342",))
    assert len(segment_images(images, SIXTEEN).table) == 4


def test_a_set_without_any_nucleus_gives_an_empty_table():
    images = disc_set([np.full((2, 40, 40), 9, np.uint8)] * 2)
    assert segment_images(images, SIXTEEN).table.empty


@pytest.mark.parametrize(
    ("channels", "at"), [(("actin", "DNA"), 1), (("DAPI", "GFP", "RFP"), 0), (("w1_hoechst",), 0)]
)
def test_the_nuclear_channel_is_told_by_its_name(channels, at):
    assert nuclear_channel(channels) == at


@pytest.mark.parametrize(
    ("channels", "name", "says"),
    [
        (("ch1", "ch2"), "", "none of them is known to be the channel of the nuclei"),
        (("DNA", "DAPI"), "", "'DNA', 'DAPI' could each be the channel of the nuclei"),
        (("DNA", "actin"), "DNE", r"'DNE' is not in these images \(did you mean 'DNA'\?\)"),
    ],
)
def test_an_unclear_nuclear_channel_is_refused(channels, name, says):
    with pytest.raises(InputError, match=says):
        nuclear_channel(channels, name)


def test_a_missing_cytoplasm_and_a_nucleus_too_small_are_refused():
    images = disc_set([discs(APART)])
    with pytest.raises(InputError, match="channel 'ER' is not in these images"):
        segment_images(images, SegmentationSettings(nucleus_px=16, cytoplasm=("ER",)))
    with pytest.raises(InputError, match="nucleus_px = 2"):
        SegmentationSettings(nucleus_px=2)


@pytest.mark.skipif(not REAL.is_dir(), reason="the NF1 fields are not beside this checkout")
def test_real_nuclei_agree_with_the_masks_shipped_with_them():
    """F7 is one of the fields on which no setting was looked at."""
    plane = np.asarray(Image.open(REAL / "Plate_2_images/F7_01_1_2_DAPI_001.tif"))
    mask = np.asarray(Image.open(REAL / "Plate_2_masks/F7_01_1_2_DAPI_001_MaskNuclei.tiff"))
    nuclei = find_nuclei(plane, SegmentationSettings(nucleus_px=60))
    agreed = mask_agreement(nuclei, mask, whole_only=True)
    assert agreed["n_mask"] == 25
    assert agreed["dice"] > 0.94
    assert agreed["f1"] > 0.94
