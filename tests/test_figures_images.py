"""Figures of cell images: pictures that decode, text that stays text, layouts that hold."""

import base64
import io
import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from planted_images import (
    CELL_TYPES,
    CHANNELS,
    HOSTILE,
    ablated,
    by_treatment,
    clustering,
    consensus_results,
    embedded,
    fields,
    histories,
    knobs,
    label_results,
    position_results,
    scores,
)
from screenbook.errors import InputError
from screenbook.figures import (
    deep_clustering,
    distillation,
    embedding_scores,
    image_fields,
    position,
    representations,
)
from screenbook.figures.heat_tables import heat_tables
from screenbook.figures.interval_rows import Axis, interval_rows
from screenbook.images.composite import composite, greys


def picture_of(uri):
    assert uri.startswith("data:image/png;base64,")
    return np.array(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def legend(fig):
    return [trace.name for trace in fig.data if trace.showlegend is not False and trace.name]


def named(fig, name):
    return [trace for trace in fig.data if trace.name == name]


@pytest.fixture(scope="module")
def planted():
    pixels, obs = fields(8, 24)
    return pixels, obs, composite(pixels, CHANNELS)


# Pictures


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


# The position task


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


# Representations


def test_embeddings_are_drawn_twice():
    points = embedded(("PCA", "t-SNE"), 60)
    fig = representations.embedding_panels(points, title="t")
    assert [note.text for note in fig.layout.annotations] == [
        f"<b>{name}: {by}</b>" for name in ("PCA", "t-SNE") for by in ("cell type", "batch")
    ]
    panels = {}
    for trace in fig.data:
        panels.setdefault(trace.xaxis, []).append(trace)
    assert [sum(len(t.x) for t in panels[f"x{k}"]) for k in ("", 2, 3, 4)] == [60] * 4
    assert sorted(legend(fig)) == sorted([*CELL_TYPES, *(f"E{17 + i}/1" for i in range(4))])
    marks = {(t.marker.color, t.marker.symbol) for t in panels["x"]}
    assert len(marks) == len({symbol for _, symbol in marks}) == 4  # colour is not the only sign


def test_twenty_batches_keep_marks_apart():
    points = embedded(("PCA",), 400)
    points["batch"] = [f"E{i % 20:02d}/1" for i in range(400)]
    fig = representations.embedding_panels(points, title="t")
    marks = [(t.marker.color, t.marker.symbol) for t in fig.data if t.xaxis == "x2"]
    assert len(marks) == len(set(marks)) == 20


def test_consensus_has_three_forms_with_their_own_chance():
    table = consensus_results()
    fig = representations.consensus(table, title="t")
    assert legend(fig) == [
        "nearest field", "nearest field of another batch", "majority of 5 with itself", "chance",
    ]  # fmt: skip
    first = table[table["panel"] == "all features"]
    other = next(t for t in named(fig, "nearest field of another batch") if t.xaxis == "x")
    np.testing.assert_allclose(other.x, first["other_batch"])
    assert {v for v in named(fig, "chance")[0].x if v is not None} == {0.25, 0.24, 0.495}
    plain = table[["representation", "consensus", "low", "high", "chance"]].head(4)
    assert legend(representations.consensus(plain, title="t")) == ["nearest field", "chance"]


def test_curves_have_bands_of_their_colour():
    table = label_results()
    fig = representations.few_label_curves(table, title="t")
    lines = [t for t in fig.data if t.mode == "lines+markers"]
    assert [line.name for line in lines] == list(pd.unique(table["representation"]))
    bands = [t for t in fig.data if t.fill == "toself"]
    assert len(bands) == 4
    assert fig.layout.xaxis.type == "log"
    assert list(fig.layout.xaxis.tickvals) == [1, 2, 5, 10, 20, 50]
    assert max(bands[3].y) == table["high"].max()


# Clustering and distillation


def test_clustering_tells_the_illusion_from_the_whole():
    fig = deep_clustering.clustering_curves(
        clustering(), chance={"accuracy": 0.28, "batch_accuracy": 0.4}, title="t"
    )
    whole, flattered = fig.data[:2]
    assert (np.array(flattered.y) > np.array(whole.y)).all()
    dashed = [t for t in fig.data if t.name.startswith("chance")]
    assert [t.y[0] for t in dashed] == [0.28, 0.4]
    assert [t.line.color for t in dashed] == [whole.line.color, flattered.line.color]
    confusion = pd.DataFrame(np.eye(4) * 5, CELL_TYPES, list("1234"))
    fig = deep_clustering.cluster_confusion({"start": confusion}, title="t")
    assert np.trace(np.array(fig.data[0].z)) == 4


def test_training_has_a_panel_a_measure_and_a_limit():
    fig = distillation.training_curves(
        histories(), limits={"dino": 0.999, "spread": 0.01, "rank": 1.5}, title="t"
    )
    assert len(fig.layout.annotations) == 4
    assert sorted(legend(fig)) == sorted([*histories(), "counts as collapsed"])
    dino = [t for t in fig.data if t.xaxis == "x" and t.name == "CDCL"]
    assert len(dino) == 2  # a line a seed
    assert not [t for t in fig.data if t.xaxis == "x" and t.name == "BYOL"]
    limit = next(t for t in named(fig, "counts as collapsed") if t.yaxis == "y")
    assert limit.y == (0.999, 0.999)
    only = distillation.training_curves({"BYOL": histories()["BYOL"]}, title="t")
    assert len(only.layout.annotations) == 3
    with pytest.raises(InputError, match="history of x: column 'step'"):
        distillation.training_curves({"x": pd.DataFrame({"loss": [1]})}, title="t")


def test_the_plane_has_a_point_a_variant_with_its_spread():
    table = scores()
    runs = pd.concat([table] * 3, ignore_index=True)
    fig = distillation.accuracy_against_batches(
        table, chance={"accuracy": 1 / 13, "batch_id": 1 / 16}, runs=runs, title="t"
    )
    for panel, column in (("x", "batch_id"), ("x2", "kbet")):
        points = [t for t in fig.data if t.xaxis == panel and len(t.x) == 1]
        assert [t.name for t in points] == list(table["variant"])
        for trace, row in zip(points, table.to_dict("records"), strict=True):
            assert (trace.x[0], trace.y[0]) == (row[column], row["accuracy"])
            if row["variant"] == "pixel statistics":
                assert trace.error_x.array is None
            else:
                assert trace.error_x.array[0] == row[f"{column}_sd"]
                assert trace.error_y.array[0] == row["accuracy_sd"]
    assert len({(t.marker.color, t.marker.symbol) for t in fig.data if len(t.x) == 1}) == 8
    texts = {note.text for note in fig.layout.annotations}
    assert set(table["variant"]) <= texts
    low, high = fig.layout.yaxis.range
    assert low < 1 / 13 < table["accuracy"].max() < high


def test_a_variant_looks_the_same_wherever_it_stands():
    marks = distillation.variant_marks(["mine", "CDCL", "other"])
    assert marks["CDCL"] == distillation.variant_marks(["CDCL"])["CDCL"]
    assert marks["mine"] != marks["other"]


def test_standardisation_joins_before_and_after():
    table = scores().rename(columns={"accuracy": "before", "accuracy_sd": "before_sd"})
    fig = embedding_scores.standardisation_gain(
        table.assign(after=table["before"] + 0.1), title="t"
    )
    before, after = named(fig, "as embedded")[0], named(fig, "plates standardised")[0]
    np.testing.assert_allclose(before.y, after.y)
    np.testing.assert_allclose(np.subtract(after.x, before.x), 0.1)
    assert np.isnan(after.error_x.array).all()  # no SD was given
    joins = next(t for t in fig.data if t.mode == "lines")
    assert joins.x[0] == before.x[0]
    assert joins.x[1] == after.x[0]


def test_ablation_marks_where_positives_come_from():
    fig = embedding_scores.ablation(
        ablated(), {"accuracy": "treatment", "kbet": "kBET"}, chance={"accuracy": 0.08}, title="t"
    )
    assert legend(fig) == ["views of one field", "views of two batches", "chance"]
    assert len(fig.layout.yaxis.ticktext) == 7
    assert all(float(y).is_integer() for t in fig.data if t.mode == "markers" for y in t.y)
    with pytest.raises(InputError, match="column 'grit'"):
        embedding_scores.ablation(ablated(), {"grit": "grit"}, title="t")
    with pytest.raises(InputError, match="no measure"):
        embedding_scores.ablation(ablated(), {}, title="t")


def test_treatments_stand_by_mechanism():
    table, moa = by_treatment()
    shuffled = table.sample(frac=1, random_state=1)
    fig = embedding_scores.treatment_accuracy(shuffled, moa, title="t")
    ticks = [t.partition(" · ")[2] for t in fig.layout.yaxis.ticktext]
    assert sum(a != b for a, b in itertools.pairwise(ticks)) == 4
    assert len(fig.layout.shapes) == 4
    row = [t.partition(" · ")[0] for t in fig.layout.yaxis.ticktext].index("compound 05")
    np.testing.assert_allclose(fig.data[0].z[row], table.loc["compound 05"])
    narrow = fig.layout.meta["narrow"]["yaxis.ticktext"]
    assert "compound 05" in narrow
    plain = embedding_scores.treatment_accuracy(table, title="t")
    assert not plain.layout.shapes


def test_knobs_stand_in_two_panels_of_one_scale():
    fig = embedding_scores.knob_recovery(knobs(), title="t")
    assert [note.text for note in fig.layout.annotations] == ["<b>biology</b>", "<b>batch</b>"]
    assert {trace.coloraxis for trace in fig.data} == {"coloraxis"}
    assert fig.layout.xaxis.showticklabels is False  # written once, below
    assert fig.layout.xaxis2.showticklabels is not False


# What all of them keep


def every_figure(name):
    """One of each, with `name` wherever data can put text."""
    pixels, obs = fields(4, 24)
    pictures = composite(pixels, CHANNELS)
    obs = obs.assign(cell_type=name, batch=name).set_axis([name] * 4)
    square = pd.DataFrame(np.eye(2), [name, "b"], [name, "c"])
    table, moa = by_treatment()
    renamed = scores().replace({"variant": {"CDCL": name}})
    yield image_fields.field_gallery(pictures, obs, group="batch", label="cell_type", title="t")
    yield image_fields.channel_strip(
        greys(pixels[:1])[0], [name, *CHANNELS[1:]], pictures[0], title="t"
    )
    yield position.patch_task(pictures[0], tile=8, margin=1, title="t")
    yield position.direction_accuracy(position_results().assign(variant=name), title="t")
    yield position.direction_confusion({name: square}, title="t")
    yield position.first_layer_filters(np.ones((2, 1, 3, 3)), [name], title="t")
    yield position.feature_maps({name: pictures[0]}, title="t")
    yield representations.embedding_panels(
        embedded((name,), 20).assign(cell_type=name, batch=name), title="t"
    )
    yield representations.consensus(consensus_results().assign(representation=name), title="t")
    yield representations.few_label_curves(
        label_results().head(6).assign(representation=name), title="t"
    )
    yield deep_clustering.clustering_curves(clustering(), title="t")
    yield deep_clustering.cluster_confusion({name: square}, title="t")
    yield distillation.training_curves({name: histories()["CDCL"]}, title="t")
    yield distillation.accuracy_against_batches(renamed, runs=renamed, title="t")
    yield embedding_scores.standardisation_gain(
        renamed.assign(before=0.1, after=0.2, panel=name), title="t"
    )
    yield embedding_scores.ablation(
        ablated().replace({"variant": {"CDCL": name}}), {"kbet": name}, title="t"
    )
    yield embedding_scores.treatment_accuracy(
        table.rename(index={"compound 05": name}, columns={"CDCL": name}),
        moa.rename({"compound 05": name}), title="t",
    )  # fmt: skip
    yield embedding_scores.knob_recovery({name: square}, title="t")


def strings(node):
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


@pytest.fixture(scope="module")
def hostile():
    return list(every_figure(HOSTILE))


def test_text_of_data_is_never_a_tag(hostile):
    allowed = re.compile(r"</?(?:b|br|extra)>")
    for fig in hostile:
        content = json.loads(fig.to_json())
        shown = {**content["layout"], "template": None}
        groups = [{k: v for k, v in t.items() if k != "legendgroup"} for t in content["data"]]
        for text in strings([shown, groups]):
            assert "<" not in allowed.sub("", text), text


def test_every_figure_fits_a_phone(hostile):
    for fig in hostile:
        narrow = fig.layout.meta["narrow"]
        assert 130 < narrow["height"] < 2500
        for axis, foot in ((k, v) for k, v in narrow.items() if k.endswith(".domain")):
            assert 0 <= foot[0] < foot[1] <= 1, axis


def test_nothing_to_draw_is_said_not_raised():
    empty = [
        representations.embedding_panels(embedded(n=0), title="t"),
        representations.few_label_curves(label_results().assign(accuracy=np.nan), title="t"),
        representations.consensus(consensus_results().assign(
            consensus=np.nan, other_batch=np.nan, five_with_self=np.nan), title="t"),
        deep_clustering.clustering_curves(pd.DataFrame({"epoch": [0]}), title="t"),
        distillation.training_curves({}, title="t"),
        distillation.accuracy_against_batches(scores().head(0), title="t"),
        heat_tables({}, title="t", value="v"),
        interval_rows(pd.DataFrame({"row": [], "value": []}), Axis("x"), title="t"),
    ]  # fmt: skip
    for fig in empty:
        assert len(fig.layout.annotations) == 1
        assert not fig.data
