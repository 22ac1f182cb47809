"""Figures of representations, clusterings, trainings and scores."""

import itertools

import numpy as np
import pandas as pd
import pytest

from planted_images import (
    CELL_TYPES,
    ablated,
    by_treatment,
    clustering,
    consensus_results,
    embedded,
    histories,
    knobs,
    label_results,
    legend,
    long_scores,
    named,
    scores,
)
from screenbook.errors import InputError
from screenbook.figures import (
    deep_clustering,
    distillation,
    embedding_scores,
    representations,
)
from screenbook.images.compare_variants import BASELINES
from screenbook.images.variants import VARIANTS


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


def test_every_variant_has_a_mark_of_its_own():
    names = {*BASELINES, *VARIANTS}
    assert set(distillation.VARIANT_MARKS) == names
    assert len({mark[:2] for mark in distillation.VARIANT_MARKS.values()}) == len(names)


def test_layers_are_rows_and_embeddings_columns():
    table = pd.DataFrame({"PCA": [0.3, 0.5], "t-SNE": [0.4, 0.6]}, index=["conv1", "conv2"])
    heat = representations.layer_consensus(table, title="t").data[0]
    np.testing.assert_allclose(heat.z, table)
    assert heat.customdata[1][0][0] == "conv2"


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
    fig = distillation.accuracy_against_batches(table, runs=long_scores(), title="t")
    plain = table[table["standardised"] == "none"]
    for panel, column in (("x", "batch_id"), ("x2", "kbet")):
        points = [t for t in fig.data if t.xaxis == panel and len(t.x) == 1]
        assert [t.name for t in points] == list(plain["variant"])
        for trace, row in zip(points, plain.to_dict("records"), strict=True):
            assert (trace.x[0], trace.y[0]) == (row[column], row["knn"])
            if row["variant"] == "channel statistics":
                assert trace.error_x.array is None
            else:
                assert trace.error_x.array[0] == row[f"{column}_sd"]
                assert trace.error_y.array[0] == row["knn_sd"]
    assert len({(t.marker.color, t.marker.symbol) for t in fig.data if len(t.x) == 1}) == 8
    assert [len(t.x) for t in named(fig, "one seed")] == [24, 24]
    assert set(plain["variant"]) <= {note.text for note in fig.layout.annotations}
    chance = named(fig, "chance")
    assert chance[0].x[0] == 1 / 16
    assert chance[1].y == (1 / 13, 1 / 13)  # kBET has none here
    low, high = fig.layout.yaxis.range
    assert low < 1 / 13 < plain["knn"].max() < high


def test_a_variant_looks_the_same_wherever_it_stands():
    marks = distillation.variant_marks(["mine", "CDCL", "other"])
    assert marks["CDCL"] == distillation.variant_marks(["CDCL"])["CDCL"]
    assert marks["mine"] != marks["other"]


def test_standardisation_joins_before_and_after():
    table = scores()
    fig = embedding_scores.standardisation_gain(
        table, {"knn": "nearest neighbours", "kbet": "kBET"}, title="t"
    )
    before, after = named(fig, "as embedded")[0], named(fig, "plates standardised")[0]
    np.testing.assert_allclose(before.y, after.y)
    np.testing.assert_allclose(after.x, table.loc[8:, "knn"])
    np.testing.assert_allclose(after.error_x.array, 0.05)
    assert np.isnan(named(fig, "as embedded")[1].error_x.array).all()  # no interval was given
    joins = next(t for t in fig.data if t.mode == "lines")
    assert joins.x[0] == before.x[0]
    assert joins.x[1] == after.x[0]


def test_ablation_marks_where_positives_come_from():
    across = [name for name in ablated()["variant"] if name.startswith(("DINO-CB", "CDCL"))]
    measures = {"knn": "treatment", "kbet": "kBET"}
    fig = embedding_scores.ablation(ablated(), measures, cross_batch=across, title="t")
    assert legend(fig) == ["views of one field", "views of two batches", "chance"]
    assert len(named(fig, "views of two batches")[0].x) == 4
    assert len(fig.layout.yaxis.ticktext) == 7
    assert all(float(y).is_integer() for t in fig.data if t.mode == "markers" for y in t.y)
    with pytest.raises(InputError, match="column 'grit'"):
        embedding_scores.ablation(ablated(), {"grit": "grit"}, title="t")
    with pytest.raises(InputError, match="no measure"):
        embedding_scores.ablation(ablated(), {}, title="t")


def test_differences_lie_about_zero():
    table = pd.DataFrame(
        {
            **{"variant": ["CDCL", "BYOL"] * 2, "standardised": np.repeat(["none", "plate"], 2)},
            **{"difference": [0.1, -0.05, 0.02, -0.1], "low": -0.2, "high": 0.3},
        }
    )
    fig = embedding_scores.differences_from(table, "DINO", title="t")
    low, high = fig.layout.xaxis.range
    assert -low == high > 0.3
    assert {v for v in named(fig, "no difference")[0].x if v is not None} == {0.0}
    assert [note.text for note in fig.layout.annotations] == [
        "<b>as embedded</b>", "<b>plates standardised</b>",
    ]  # fmt: skip


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
