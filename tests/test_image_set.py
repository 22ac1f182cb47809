"""What an image set is: read by rows, refused in one line, whole on disk or not at all."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest

from screenbook import image_set
from screenbook.errors import InputError
from screenbook.image_set import (
    ImageSet,
    StoredPixels,
    check_fields,
    field_ids,
    new_store,
    read_image_set,
    validate,
    write_image_set,
    write_metadata,
)
from small_image_sets import CHANNELS, metadata, pixels
from small_image_sets import image_set as small


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder with a set on disk, in six shards of two chunks; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_set, "_CHUNK_BYTES", 3 * 64)
        patch.setattr(image_set, "_SHARD_BYTES", 2 * 3 * 64)
        write_image_set(small(), folder / "images.zarr")
    return folder


@pytest.fixture
def stored(finished):
    """The set on disk, and the same in memory."""
    return read_image_set(finished / "images.zarr"), small()


@pytest.fixture
def copied(finished, tmp_path):
    """A set on disk that may be spoilt."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path / "images.zarr"


def refusal(call, *arguments, **options):
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- on disk and back ---


def test_what_is_written_is_read(stored):
    on_disk, held = stored
    assert isinstance(on_disk.pixels, StoredPixels)
    assert on_disk.pixels.shape == held.pixels.shape
    assert on_disk.pixels.dtype == np.uint8
    np.testing.assert_array_equal(on_disk.load(), held.pixels)
    pd.testing.assert_frame_equal(on_disk.obs, held.obs)
    assert on_disk.channels == CHANNELS
    assert on_disk.notes == ("made for tests",)


def test_sixteen_bits_stay_sixteen(tmp_path):
    held = ImageSet(pixels(12, dtype=np.uint16), metadata(), CHANNELS)
    write_image_set(held, tmp_path / "a.zarr")
    again = read_image_set(tmp_path / "a.zarr").load()
    assert again.dtype == np.uint16
    np.testing.assert_array_equal(again, held.pixels)


def test_a_stored_set_can_be_written_again(stored, tmp_path):
    on_disk, held = stored
    write_image_set(on_disk.subset([3, 1]), tmp_path / "part.zarr")
    np.testing.assert_array_equal(
        read_image_set(tmp_path / "part.zarr").load(), held.pixels[[3, 1]]
    )


def test_a_shard_is_one_file_and_a_lost_one_is_noticed(copied):
    shards = sorted((copied / "pixels" / "c").glob("*/0/0/0"))
    assert len(shards) == 6
    shards[2].unlink()
    message = refusal(read_image_set, copied)
    assert message.endswith("c/2/0/0/0: is lost; delete images.zarr and make it again")


def test_black_images_are_stored_and_not_lost(tmp_path):
    held = dataclasses.replace(small(), pixels=np.zeros((12, 3, 8, 8), np.uint8))
    write_image_set(held, tmp_path / "black.zarr")
    assert not read_image_set(tmp_path / "black.zarr").load().any()


def test_rows_name_the_part_of_a_store_that_is_the_set(tmp_path):
    held = small()
    group, stored = new_store(tmp_path / "a.zarr", held.pixels.shape, np.uint8)
    stored[:] = held.pixels
    rows = np.array([0, 3, 4])
    write_metadata(group, held.obs.iloc[rows], CHANNELS, rows=rows)
    part = read_image_set(tmp_path / "a.zarr")
    np.testing.assert_array_equal(part.load(), held.pixels[rows])
    np.testing.assert_array_equal(part.subset([2]).load(), held.pixels[[4]])


def test_what_cannot_be_read_says_what_to_do(tmp_path):
    assert "there are no images here; run" in refusal(read_image_set, tmp_path / "none.zarr")
    (tmp_path / "odd.zarr").mkdir()
    assert "delete it and make it again" in refusal(read_image_set, tmp_path / "odd.zarr")


def test_a_failure_leaves_the_old_set_whole(tmp_path):
    held = small()
    write_image_set(held, tmp_path / "a.zarr")

    class Broken:
        shape, dtype = held.pixels.shape, held.pixels.dtype

        def __getitem__(self, rows):
            raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        write_image_set(dataclasses.replace(held, pixels=Broken()), tmp_path / "a.zarr")
    np.testing.assert_array_equal(read_image_set(tmp_path / "a.zarr").load(), held.pixels)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


# --- rows and channels ---


@pytest.mark.parametrize(
    "rows",
    [
        slice(2, 9),
        slice(None, None, -2),
        np.array([7, 0, 7, 3]),
        [5],
        [],
        np.arange(12) % 3 == 0,
        np.array([-1, 0]),
    ],
)
def test_rows_are_those_of_the_array(stored, rows):
    on_disk, held = stored
    expected = held.pixels[np.arange(12)[rows]]
    for images in stored:
        np.testing.assert_array_equal(images.load(rows), expected)
        part = images.subset(rows)
        np.testing.assert_array_equal(part.load(), expected)
        assert len(part) == len(part.obs) == len(expected)
    np.testing.assert_array_equal(np.asarray(on_disk.subset(rows).pixels), expected)


def test_a_series_selects_by_place(stored):
    on_disk, held = stored
    control = on_disk.obs["role"] == "control"
    np.testing.assert_array_equal(on_disk.load(control), held.pixels[control.to_numpy()])


def test_selections_follow_each_other(stored):
    on_disk, held = stored
    part = on_disk.subset([9, 2, 4, 11]).select_channels(["actin", "DNA"]).subset([3, 1])
    assert part.channels == ("actin", "DNA")
    assert list(part.obs.index) == [held.obs.index[11], held.obs.index[2]]
    np.testing.assert_array_equal(part.load(), held.pixels[[11, 2]][:, [2, 0]])
    np.testing.assert_array_equal(part.pixels[1], held.pixels[2][[2, 0]])


def test_nothing_is_read_before_it_is_asked_for(copied):
    part = read_image_set(copied).subset(slice(0, 2)).select_channels(["ER"])
    for shard in (copied / "pixels" / "c").glob("[1-5]/0/0/0"):
        shard.unlink()  # what the rows asked for do not lie in
    assert part.load().shape == (2, 1, 8, 8)
    assert part.load().any()


def test_stored_pixels_take_rows_only(stored):
    with pytest.raises(TypeError, match="by rows only"):
        stored[0].pixels[:, 0]


def test_unknown_and_repeated_channels_are_refused(stored):
    message = refusal(stored[0].select_channels, ["DNA", "Actin"])
    assert message == (
        "channel 'Actin' is not in these images (did you mean 'actin'?); "
        "they have 'DNA', 'ER', 'actin'"
    )
    assert "each once" in refusal(stored[0].select_channels, ["DNA", "DNA"])
    assert "each once" in refusal(stored[0].select_channels, [])


# --- what is no image set ---


def changed(column, row, value):
    obs = metadata().astype({column: object})
    obs.iloc[row, obs.columns.get_loc(column)] = value
    return obs


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pixels": pixels(11)}, "pixels of shape (11, 3, 8, 8) do not fit 12 rows"),
        ({"channels": ("a", "b")}, "do not fit 12 rows of metadata and 2 channels"),
        ({"channels": ("a", "b", "b")}, "need names, each its own"),
        ({"pixels": pixels(12).astype(float)}, "pixels are float64; give them as uint8 or uint16"),
        ({"pixels": pixels(12)[0]}, "pixels of shape (3, 8, 8) do not fit"),
        ({"pixels": pixels(0), "obs": metadata()[:0]}, "there is no image"),
        ({"obs": metadata().drop(columns="role")}, "there is no column 'role'"),
        (
            {"obs": changed("well", 3, " ")},
            "column 'well', row 4 (field 'E1/1/B03/2'): ' ' is blank",
        ),
        ({"obs": changed("treatment", 0, None)}, "column 'treatment', row 1"),
        (
            {"obs": changed("role", 2, "DMSO")},
            "row 3 (field 'E1/1/B03/1'): 'DMSO' is no role; take",
        ),
        ({"obs": changed("batch", 1, "E1")}, "'E1' is not experiment/plate"),
        ({"obs": metadata().astype({"site": str})}, "column 'site' holds object; number sites"),
        (
            {"obs": metadata().set_axis(["a"] * 12)},
            "field 'a' is in row 1 and again in row 2 (11 repeated in all)",
        ),
    ],
)
def test_what_is_no_image_set_is_refused(changes, says):
    message = refusal(validate, dataclasses.replace(small(), **changes), "mine")
    assert message.startswith("mine: ")
    assert says in message


def test_ids_name_experiment_plate_well_and_site():
    assert list(field_ids(metadata())[:2]) == ["E1/1/B02/1", "E1/1/B02/2"]
    check_fields(metadata(), "mine")
