"""Files to a store: pixels kept to the last bit, damage refused, a break gone on from."""

import io
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from screenbook import image_set
from screenbook.errors import InputError
from screenbook.image_set import read_image_set
from screenbook.sources.images import convert as conversion
from screenbook.sources.images.convert import convert
from screenbook.sources.images.fields import FieldFiles
from screenbook.sources.images.planes import cut, read_planes
from screenbook.sources.images.trees import (
    ArchiveTree,
    DamagedImage,
    FolderTree,
    archive_tops,
    safe_name,
)
from small_image_sets import CHANNELS, metadata, pixels, save, write_tree

NAME = "{experiment}_{well}_s{site}_{channel}.png"


def refusal(call, *arguments, kind=InputError):
    with pytest.raises(kind) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def encoded(plane, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(plane).save(file, kind, **options)
    return file.getvalue()


# --- planes ---


@pytest.fixture
def tree(home):
    (home / "images").mkdir()
    return FolderTree(home / "images")


def planted(tree, data, name="a.png"):
    (tree.path / name).write_bytes(data)
    return tree, name


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ],
)
def test_every_bit_is_kept(tree, dtype, kind, options):
    plane = pixels(1, 30, dtype)[0, 0]
    read = read_planes(*planted(tree, encoded(plane, kind, **options)))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, plane[None])


def test_big_endian_and_pages(tree):
    plane = pixels(1, 30, np.uint16)[0, 0]
    swapped = Image.frombytes("I;16B", (30, 30), plane.astype(">u2").tobytes())
    file = io.BytesIO()
    swapped.save(file, "TIFF")
    np.testing.assert_array_equal(read_planes(*planted(tree, file.getvalue())), plane[None])
    planes = pixels(1, 20)[0]
    first, *rest = (Image.fromarray(plane) for plane in planes)
    file = io.BytesIO()
    first.save(file, "TIFF", save_all=True, append_images=rest)
    data = file.getvalue()
    np.testing.assert_array_equal(read_planes(*planted(tree, data), 3), planes)
    assert "has 3 pages and should have 1" in refusal(read_planes, *planted(tree, data))


PLANE = np.arange(900, dtype=np.uint16).reshape(30, 30)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "images/a.png: the file is empty (0 bytes); bring it again"),
        (b"not an image", "cannot be read as PNG or TIFF (12 bytes)"),
        (encoded(pixels(1, 30)[0, 0])[:400], "damaged or cut short"),
        (encoded(PLANE, "TIFF")[:900], "images/a.png: "),
        (encoded(PLANE, "TIFF", compression="tiff_lzw")[:700], "images/a.png: "),
        (encoded(PLANE * 0), "every pixel is 0 (a black image); image it again, or leave"),
        (encoded(PLANE * 0 + 9), "every pixel is 9 (nothing was measured)"),
    ],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_files_are_told_from_others(tree, data, says):
    assert says in refusal(read_planes, *planted(tree, data), kind=DamagedImage)


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_truncated_tiff_is_named_with_its_mend(tree, options, share):
    data = encoded(pixels(1, 30, np.uint16)[0, 0], "TIFF", **options)
    cut = data[: int(share * len(data))]
    message = refusal(read_planes, *planted(tree, cut, "a.tif"), kind=DamagedImage)
    assert message.startswith("images/a.tif: ")
    assert message.endswith("bring it again")


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (Image.new("RGB", (4, 4)), "is of colours (RGB), not greyscale"),
        (Image.new("1", (4, 4)), "is black and white only"),
        (Image.new("P", (4, 4)), "is coloured by a palette"),
        (Image.new("F", (4, 4)), "is of floating-point numbers"),
    ],
)
def test_what_is_not_measured_intensity_is_refused(tree, image, says):
    file = io.BytesIO()
    image.save(file, "TIFF")
    assert says in refusal(read_planes, *planted(tree, file.getvalue(), "a.tif"))


def test_cutting_averages_squares_of_the_middle():
    plane = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    np.testing.assert_array_equal(cut(plane, 4, 1, "a"), plane[:, 2:6, 2:6])
    np.testing.assert_array_equal(
        cut(plane, 0, 3, "a")[0], [[9, 12], [33, 36]]
    )  # the rest of 2 px goes
    bright = np.full((1, 4, 4), 65535, np.uint16)
    np.testing.assert_array_equal(cut(bright, 0, 4, "a"), [[[65535]]])
    assert "is 8 x 8 px, too small for `crop: 9`" in refusal(cut, plane, 9, 1, "a")


# --- names and places ---


@pytest.mark.parametrize(
    "name",
    [
        *("../up.png", "a/../../up.png", "/etc/passwd", "C:/x.png", "C:\\x.png", "..\\up.png"),
        *("", ".", "a\0.png", "//host/x.png", ".."),
    ],
)
def test_names_never_lead_out(name):
    message = refusal(safe_name, name, "list.csv: row 1")
    assert message.startswith(f"list.csv: row 1: {name!r} is no name of a file inside")


def test_names_of_other_systems_are_understood():
    assert safe_name("plate\\A01 s1.png", "t") == "plate/A01 s1.png"
    assert safe_name("./a//b..c.png", "t") == "a/b..c.png"


def test_an_archive_is_read_like_a_folder(home):
    with zipfile.ZipFile(home / "a.zip", "w") as archive:
        archive.writestr("top/images/p/a.png", encoded(PLANE))
        archive.writestr("top/images/p/notes.txt", "x")
        archive.writestr("__MACOSX/images/p/._a.png", b"x")
    assert "top/images" in archive_tops(home / "a.zip", "images")
    tree = ArchiveTree(home / "a.zip", "top/images")
    assert list(tree.files()) == ["p/a.png"]
    assert tree.names_in("p") == {"a.png", "notes.txt"}
    assert tree.names_in("q") == set()
    np.testing.assert_array_equal(read_planes(tree, "p/a.png")[0], PLANE)
    assert tree.label("p/a.png") == "a.zip: top/images/p/a.png"
    assert "there is no such file" in refusal(tree.read, "p/b.png")
    damaged = bytearray((home / "a.zip").read_bytes())
    damaged[60] ^= 0xFF
    (home / "b.zip").write_bytes(damaged)
    spoilt = ArchiveTree(home / "b.zip", "top/images")
    assert "archive is damaged there" in refusal(spoilt.read, "p/a.png", kind=DamagedImage)
    (home / "c.zip").write_bytes(b"PK")
    assert "cannot be read as a zip archive" in refusal(ArchiveTree, home / "c.zip")
    assert "there is no such folder" in refusal(FolderTree, home / "nowhere")


# --- conversion ---


@pytest.fixture
def work(home, monkeypatch):
    """Twelve fields as files, converted four to a shard, and what is read of them."""
    monkeypatch.setattr(image_set, "_CHUNK_BYTES", 2 * 3 * 64)
    monkeypatch.setattr(image_set, "_SHARD_BYTES", 4 * 3 * 64)
    obs = metadata()
    write_tree(home / "images", pixels(12), obs, NAME)
    names = np.array(
        [[NAME.format(**row, channel=c) for c in CHANNELS] for row in obs.to_dict("records")],
        dtype=object,
    )
    read = []
    real = conversion.read_planes
    work = SimpleNamespace(home=home, read=read, target=home / "images.zarr", stop_at=None)

    def listening(tree, name, n_pages=1):
        read.append(name)
        if name == work.stop_at:
            raise KeyboardInterrupt
        return real(tree, name, n_pages)

    monkeypatch.setattr(conversion, "read_planes", listening)

    def run(**section):
        read.clear()
        tree = FolderTree(home / "images")
        files = FieldFiles(obs, names, CHANNELS, tree, "list.csv")
        convert(files, section, "params/mine.yml images", work.target)
        return read_image_set(work.target)

    work.run, work.names, work.obs = run, names, obs
    return work


def test_pixels_and_metadata_arrive_whole(work):
    images = work.run()
    np.testing.assert_array_equal(images.load(), pixels(12))
    assert list(images.obs.index) == list(work.obs.index)
    assert images.channels == CHANNELS
    assert len(list((work.target / "pixels" / "c").iterdir())) == 3


def test_a_conversion_that_was_killed_goes_on_where_it_was(work):
    work.stop_at = work.names[6, 0]  # in the second shard of three
    with pytest.raises(KeyboardInterrupt):
        work.run()
    assert not work.target.exists()
    work.stop_at = None
    images = work.run()
    again = {name for name in work.read if name not in work.names[0]}
    assert again == set(work.names[4:].ravel())
    np.testing.assert_array_equal(images.load(), pixels(12))
    assert sorted(p.name for p in work.home.iterdir() if "zarr" in p.name) == ["images.zarr"]


def test_a_journal_cut_short_costs_a_shard_and_no_more(work):
    work.stop_at = work.names[9, 0]
    with pytest.raises(KeyboardInterrupt):
        work.run()
    journal = work.home / ".images.zarr.part" / conversion.JOURNAL
    journal.write_text(journal.read_text()[:-3])
    work.stop_at = None
    np.testing.assert_array_equal(work.run().load(), pixels(12))
    assert not set(work.names[1:4].ravel()) & set(work.read)


def test_a_damaged_file_stops_it_and_is_mended_without_loss(work):
    bad = work.home / "images" / work.names[5, 1]
    good = bad.read_bytes()
    bad.write_bytes(good[:40])
    message = refusal(work.run)
    assert message.startswith(f"images/{work.names[5, 1]}: ")
    bad.write_bytes(good)
    np.testing.assert_array_equal(work.run().load(), pixels(12))
    assert not set(work.names[1:4].ravel()) & set(work.read)


def test_damaged_fields_are_left_out_on_request(work):
    (work.home / "images" / work.names[0, 2]).write_bytes(b"")
    save(work.home / "images" / work.names[7, 0], np.zeros((8, 8), np.uint8))
    refusal(work.run)
    images = work.run(damaged="leave_out")
    kept = np.setdiff1d(np.arange(12), [0, 7])
    np.testing.assert_array_equal(images.load(), pixels(12)[kept])
    assert list(images.obs.index) == list(work.obs.index[kept])
    assert images.notes == (
        "2 fields with a damaged or black image are left out (first: E1/1/B02/1)",
    )
    assert "the file is empty" in refusal(work.run)  # asked for again, it is refused again


def test_leaving_damage_out_goes_on_after_a_refusal(work):
    (work.home / "images" / work.names[6, 0]).write_bytes(b"")
    refusal(work.run)
    assert len(work.run(damaged="leave_out")) == 11
    assert not set(work.names[1:4].ravel()) & set(work.read)


def test_a_replaced_file_is_read_again_and_the_others_are_not(work):
    work.run()
    plane = pixels(1, seed=9)[0, 0]
    save(work.home / "images" / work.names[10, 0], plane)
    images = work.run()
    np.testing.assert_array_equal(images.load([10])[0, 0], plane)
    assert set(work.read) == {*work.names[0], *work.names[8:].ravel()}


def test_the_old_set_stays_whole_until_the_new_one_is(work):
    work.run()
    save(work.home / "images" / work.names[1, 0], pixels(1, seed=9)[0, 0])
    (work.home / "images" / work.names[6, 0]).write_bytes(b"")
    refusal(work.run)
    np.testing.assert_array_equal(read_image_set(work.target).load(), pixels(12))


def test_other_cuts_start_anew(work):
    work.run()
    images = work.run(crop=6, pool=2)
    assert images.pixels.shape == (12, 3, 3, 3)
    assert set(work.read) == set(work.names.ravel())


@pytest.mark.parametrize(
    ("row", "channel", "plane", "says"),
    [
        (5, 0, pixels(1, 9)[0, 0], "is 9 x 9 px and images/E1_B02_s1_DNA.png is 8 x 8 px"),
        (0, 1, pixels(1, 9)[0, 0], "is 9 x 9 px and images/E1_B02_s1_DNA.png is 8 x 8 px"),
        (9, 2, pixels(1, 8, np.uint16)[0, 0], "has 16 bits a pixel and"),
    ],
)
def test_mixed_sizes_and_depths_are_refused(work, row, channel, plane, says):
    save(work.home / "images" / work.names[row, channel], plane)
    for section in ({}, {"damaged": "leave_out"}):
        message = refusal(lambda given=section: work.run(**given))
        assert message.startswith(f"images/{work.names[row, channel]}: ")
        assert says in message
        assert "; bring " in message


def test_nothing_but_damage_is_refused(work):
    for name in work.names[:, 0]:
        (work.home / "images" / name).write_bytes(b"")
    assert "every image is damaged or black" in refusal(lambda: work.run(damaged="leave_out"))


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("crop", -1, "crop is -1; give a whole number of pixels"),
        ("pool", 0, "pool is 0"),
        ("pool", 2.5, "pool is 2.5"),
        ("damaged", "skip", "damaged is 'skip'; take one of 'refuse', 'leave_out'"),
    ],
)
def test_options_are_checked_before_anything_is_read(work, option, value, says):
    message = refusal(lambda: work.run(**{option: value}))
    assert message.startswith("params/mine.yml images: ")
    assert says in message
    assert work.read == []


def test_a_full_disk_is_told_in_a_line(work, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion, "_fill", full)
    assert "the disk is full; make room and run this again" in refusal(work.run)
