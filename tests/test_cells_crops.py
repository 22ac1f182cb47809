"""Windows around nuclei, and what is measured of each cell."""

import numpy as np
import pytest

from planted_cells import disc_set, discs
from screenbook.cells.cell_features import LIGHT, SHAPE, cell_features
from screenbook.cells.crops import cut_crops, normalise_crops
from screenbook.cells.segmentation import SegmentationSettings, segment_images
from screenbook.errors import InputError

CENTRES = [(24, 24), (24, 70), (70, 24), (66, 66), (6, 48)]


@pytest.fixture(scope="module")
def segmented():
    images = disc_set([discs(CENTRES, seed=s) for s in range(8)])
    return images, segment_images(images, SegmentationSettings(nucleus_px=16))


def test_a_window_is_the_field_around_its_nucleus(segmented):
    images, found = segmented
    crops = cut_crops(images, found, 24)
    assert crops.pixels.shape == (8 * 4, 2, 24, 24)  # one of five is too near to the edge
    assert crops.pixels.dtype == np.uint8
    for i in (0, 9, 31):
        row = crops.obs.iloc[i]
        top, left = (round(row[a] - 11.5) for a in ("y", "x"))
        window = images.pixels[row["row"], :, top : top + 24, left : left + 24]
        np.testing.assert_array_equal(crops.pixels[i], window)
        middle = found.nuclei[row["row"], top + 12, left + 12]
        assert middle == row["cell"]
    assert (crops.obs["treatment"] == images.obs["treatment"].loc[crops.obs["field"]].array).all()
    assert crops.obs.index.is_unique


def test_other_cells_can_be_masked(segmented):
    images, found = segmented
    whole, masked = (cut_crops(images, found, 30, mask_others=m) for m in (False, True))
    shown = masked.pixels > 0
    np.testing.assert_array_equal(masked.pixels[shown], whole.pixels[shown])
    for i in (0, 5):
        row = masked.obs.iloc[i]
        cell = found.cells[row["row"]] == row["cell"]
        assert shown[i].any(axis=0).sum() <= cell.sum()
        assert shown[i].any(axis=0).sum() > 0.9 * min(cell.sum(), 900)


def test_crops_are_put_on_the_scale_of_reference_cells(segmented):
    images, found = segmented
    crops = cut_crops(images, found, 24)
    reference = crops.obs["role"].eq("control").to_numpy()
    scaled = normalise_crops(crops, reference, pool=2)
    assert scaled.pixels.shape == (32, 2, 12, 12)
    for plate in crops.obs["batch"].unique():
        mine = scaled.pixels[reference & (crops.obs["batch"] == plate).to_numpy()]
        assert mine.mean(axis=(0, 2, 3)) == pytest.approx(0, abs=1e-5)
        assert mine.std(axis=(0, 2, 3)) == pytest.approx(1, abs=1e-5)
    part = scaled.subset(~reference)
    assert len(part) == (~reference).sum() == len(part.obs)


def test_windows_that_do_not_fit_are_refused(segmented):
    images, found = segmented
    with pytest.raises(InputError, match="side = 97: a window of a cell has 1 to 96 pixels"):
        cut_crops(images, found, 97)
    with pytest.raises(InputError, match="of 40 cells none has so much room"):
        cut_crops(images, found, 94)


def test_measured_numbers_are_those_of_the_pixels(segmented):
    images, found = segmented
    obs = cut_crops(images, found, 24).obs
    table = cell_features(images, found, obs)
    assert [*table] == [*SHAPE, *(f"{c} {w}" for c in ("DNA", "actin") for w in LIGHT)]
    assert table.index.equals(obs.index)
    assert np.isfinite(table.to_numpy()).all()
    for i in (0, 13):
        row = obs.iloc[i]
        dna = images.pixels[row["row"], 0].astype(float)
        nucleus = found.nuclei[row["row"]] == row["cell"]
        body = (found.cells[row["row"]] == row["cell"]) & ~nucleus
        got = table.iloc[i]
        assert got["nucleus area"] == row["nucleus_area"]
        assert got["DNA nucleus mean"] == pytest.approx(dna[nucleus].mean())
        assert got["DNA nucleus sd"] == pytest.approx(dna[nucleus].std())
        assert got["DNA cytoplasm mean"] == pytest.approx(dna[body].mean())
        y, x = np.nonzero(nucleus | body)
        away = np.hypot(y - row["y"], x - row["x"])
        light = dna[y, x]
        assert got["DNA spread"] == pytest.approx((light * away).sum() / light.sum())


def test_a_long_nucleus_is_told_from_a_round_one():
    y, x = np.mgrid[:96, :96]
    oval = np.hypot((y - 30) / 6, (x - 48) / 15) < 1
    disc = np.hypot(y - 70, x - 48) < 9
    plane = np.where(oval | disc, 200, 20).astype(np.uint8)
    images = disc_set([np.stack([plane, plane])])
    found = segment_images(images, SegmentationSettings(nucleus_px=18, split_distance=1.5))
    table = cell_features(images, found, found.table.assign(batch="E0/1"))
    table = table.set_index(found.table["y"].round().astype(int))
    assert table.loc[30, "nucleus elongation"] == pytest.approx(2.5, rel=0.1)
    assert table.loc[70, "nucleus elongation"] == pytest.approx(1, abs=0.05)
