"""What all figures of cell images keep: text stays text, phones are served, nothing is said."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from planted_images import (
    CHANNELS,
    HOSTILE,
    ablated,
    by_treatment,
    clustering,
    consensus_results,
    embedded,
    fields,
    histories,
    label_results,
    long_scores,
    position_results,
    scores,
)
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


def every_figure(name):
    """One of each, with `name` wherever data can put text."""
    pixels, obs = fields(4, 24)
    pictures = composite(pixels, CHANNELS)
    obs = obs.assign(cell_type=name, batch=name).set_axis([name] * 4)
    square = pd.DataFrame(np.eye(2), [name, "b"], [name, "c"])
    table, moa = by_treatment()
    renamed, runs = (t.replace({"variant": {"CDCL": name}}) for t in (scores(), long_scores()))
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
    yield representations.layer_consensus(square, title="t")
    yield representations.few_label_curves(
        label_results().head(6).assign(representation=name), title="t"
    )
    yield deep_clustering.clustering_curves(clustering(), title="t")
    yield deep_clustering.cluster_confusion({name: square}, title="t")
    yield distillation.training_curves({name: histories()["CDCL"]}, title="t")
    yield distillation.accuracy_against_batches(renamed, runs=runs, title="t")
    yield embedding_scores.standardisation_gain(renamed, {"knn": name}, title="t")
    yield embedding_scores.differences_from(
        pd.DataFrame({"variant": [name], "difference": 0.1, "low": 0.0, "high": 0.2}), name,
        title="t",
    )  # fmt: skip
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
        deep_clustering.clustering_curves(pd.DataFrame({"step": [0]}), title="t"),
        distillation.training_curves({}, title="t"),
        distillation.accuracy_against_batches(scores().head(0), title="t"),
        heat_tables({}, title="t", value="v"),
        interval_rows(pd.DataFrame({"row": [], "value": []}), Axis("x"), title="t"),
    ]  # fmt: skip
    for fig in empty:
        assert len(fig.layout.annotations) == 1
        assert not fig.data
