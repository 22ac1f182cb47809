"""Pictures that decode, in layouts that hold; and the position task."""

import numpy as np
import pandas as pd
import pytest

from planted_images import (
    CELL_TYPES,
    CHANNELS,
    fields,
    legend,
    named,
    picture_of,
    position_results,
)
from screenbook.errors import InputError
from screenbook.figures import (
    image_fields,
    position,
)
from screenbook.images.composite import composite, greys


@pytest.fixture(scope="module")
def planted():
    pixels, obs = fields(8, 24)
    return pixels, obs, composite(pixels, CHANNELS)


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3), (1, 1)])
def test_a_picture_is_its_own_address(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    back = picture_of(image_fields.picture_uri(picture))
    assert back.shape == shape
    assert np.abs(back.astype(int) - picture).max() <= 7  # five bits of eight
    white = picture_of(image_fields.picture_uri(np.full(shape, 255, np.uint8)))
    assert (white == 255).all()


def test_only_pictures_become_pictures():
    for bad in (np.zeros((3, 3)), np.zeros((3, 3, 4), np.uint8), np.zeros((0, 3), np.uint8)):
        with pytest.raises(InputError, match="uint8 is needed"):
            image_fields.picture_uri(bad)


def test_a_gallery_shows_every_field_under_its_group(planted):
    _, obs, pictures = planted
    fig = image_fields.field_gallery(
        pictures, obs, group="cell_type", label="batch", title="t", subtitle="s"
    )
    assert len(fig.layout.images) == 8
    texts = [note.text for note in fig.layout.annotations]
    assert texts[:4] == [f"<b>{name}</b>" for name in CELL_TYPES]
    order = [i for name in CELL_TYPES for i in np.flatnonzero(obs["cell_type"] == name)]
    for k, i in enumerate(order):
        shown = picture_of(fig.layout.images[k].source)
        assert np.abs(shown.astype(int) - pictures[i]).max() <= 7
        assert texts[4 + k] == obs["batch"].iloc[i]
        assert fig.layout.annotations[4 + k].hovertext == obs.index[i]
    assert [trace.name for trace in fig.data] == list(CELL_TYPES)  # the data that the page saves
    assert sum(len(trace.text) for trace in fig.data) == 8


def boxes(fig, narrow):
    """Left, top, right and bottom of every picture, on the sheet of the page."""
    changes = fig.layout.meta["narrow"] if narrow else {}
    out = []
    for i, image in enumerate(fig.layout.images):
        at = {
            k: changes.get(f"images[{i}].{k}", getattr(image, k))
            for k in ("x", "y", "sizex", "sizey")
        }
        out.append((at["x"], at["y"], at["x"] + at["sizex"], at["y"] + at["sizey"]))
    return np.array(out)


@pytest.mark.parametrize("narrow", [False, True])
def test_pictures_neither_touch_nor_leave_the_sheet(planted, narrow):
    pixels, obs, pictures = planted
    many = pd.concat([obs] * 3)
    task = position.patch_task(pictures[0], tile=8, margin=1, title="t")
    strip = image_fields.channel_strip(greys(pixels[:1])[0], CHANNELS, pictures[0], title="t")
    gallery = image_fields.field_gallery(
        np.concatenate([pictures] * 3), many, group="batch", label="cell_type", title="t"
    )
    for fig in (task, strip, gallery):
        found = boxes(fig, narrow)
        changes = fig.layout.meta["narrow"]
        across = changes["xaxis.range"] if narrow else fig.layout.xaxis.range
        down = changes["yaxis.range"] if narrow else fig.layout.yaxis.range
        assert found[:, 0].min() >= 0
        assert found[:, 2].max() <= across[1] + 1e-6
        assert found[:, 3].max() <= down[0] + 1e-6
        for i, one in enumerate(found):
            for other in found[i + 1 :]:
                apart = (
                    one[2] <= other[0] or other[2] <= one[0]
                    or one[3] <= other[1] or other[3] <= one[1]
                )  # fmt: skip
                assert apart


def test_a_strip_names_its_channels(planted):
    pixels, _, pictures = planted
    planes = greys(pixels[:1])[0]
    fig = image_fields.channel_strip(planes, CHANNELS, pictures[0], title="t")
    assert [note.text for note in fig.layout.annotations] == ["composite", *CHANNELS]
    assert picture_of(fig.layout.images[3].source).shape == planes[2].shape
    with pytest.raises(InputError, match="2 names for 6 channels"):
        image_fields.channel_strip(planes, CHANNELS[:2], pictures[0], title="t")


def test_a_gallery_says_what_is_wrong(planted):
    _, obs, pictures = planted
    with pytest.raises(InputError, match="column 'moa' is missing"):
        image_fields.field_gallery(pictures, obs, group="moa", label="batch", title="t")
    with pytest.raises(InputError, match="8 rows for 3 pictures"):
        image_fields.field_gallery(pictures[:3], obs, group="batch", label="batch", title="t")
    fig = image_fields.field_gallery(pictures[:0], obs[:0], group="batch", label="batch", title="t")
    assert "no field" in fig.layout.annotations[0].text


def test_the_task_shows_the_patches_it_frames(planted):
    picture = planted[2][0]
    fig = position.patch_task(picture, tile=8, margin=1, title="t")
    assert len(fig.layout.shapes) == 9
    assert len(fig.layout.images) == 1 + 2 * 4
    up = picture_of(fig.layout.images[2].source)
    assert np.abs(up.astype(int) - picture[1:7, 9:15]).max() <= 7
    down = picture_of(fig.layout.images[8].source)
    assert np.abs(down.astype(int) - picture[17:23, 9:15]).max() <= 7
    with pytest.raises(InputError, match="three tiles must fit"):
        position.patch_task(picture, tile=9, margin=1, title="t")


def test_accuracies_stand_beside_chance_and_bound():
    table = position_results()
    fig = position.direction_accuracy(table, title="t")
    direction, axis = named(fig, "direction")[0], named(fig, "axis only")[0]
    np.testing.assert_allclose(direction.x, table["accuracy"])
    np.testing.assert_allclose(direction.error_x.array, 0.03)
    np.testing.assert_allclose(axis.error_x.arrayminus, 0.02)
    chance = [v for v in named(fig, "chance")[0].x if v is not None]
    assert set(chance) == {0.25, 0.5}
    bound = named(fig, "bound of a symmetric merge")[0]
    at = {round(y) for y in bound.y if y is not None}
    assert at == {2, 3}  # the nets that add
    plain = position.direction_accuracy(table[["variant", "accuracy", "low", "high"]], title="t")
    assert legend(plain) == ["direction", "chance"]


def test_confusions_are_shares_of_rows():
    counts = pd.DataFrame([[30, 10], [0, 0]], ["left", "right"], ["left", "right"])
    fig = position.direction_confusion({"add": counts, "concat": counts}, title="t")
    np.testing.assert_allclose(fig.data[0].z[0], [0.75, 0.25])
    assert np.isnan(fig.data[0].z[1]).all()


def test_filters_keep_place_and_sign():
    weights = np.random.default_rng(0).normal(size=(5, 6, 3, 3))
    fig = position.first_layer_filters(weights, CHANNELS, title="t")
    assert len(fig.data) == 6
    sheet = np.array(fig.data[2].z, dtype=float)
    assert sheet.shape == (7, 11)
    np.testing.assert_allclose(sheet[4:7, 4:7], weights[4, 2])
    assert np.isnan(sheet[:, 3]).all()
    assert -fig.layout.coloraxis.cmin == fig.layout.coloraxis.cmax == np.abs(weights).max()
    with pytest.raises(InputError, match="for 2 channels"):
        position.first_layer_filters(weights, CHANNELS[:2], title="t")


def test_small_maps_are_enlarged_by_whole_pixels():
    sheet = np.array([[0, 255], [255, 0]], np.uint8)
    fig = position.feature_maps({"conv 3": sheet}, title="t")
    shown = picture_of(fig.layout.images[0].source)
    assert shown.shape == (240, 240)
    assert set(np.unique(shown)) == {0, 255}
