import numpy as np
import pandas as pd
import pytest

from screenbook.figures import batches


@pytest.fixture
def table():
    rows = [
        ("none", "uncentred", "candidate", 0.9, 0.3),
        ("tvn", "whitened", "candidate", 0.1, 0.6),
        ("sequence_condition", "with condition", "warning", 0.1, 0.6),
        ("harmony", "Harmony", "comparison", 0.4, 0.5),
    ]
    columns = ["method", "title", "status", "plate_accuracy", "map"]
    frame = pd.DataFrame(rows, columns=columns)
    frame = pd.concat([frame.assign(cell_type=c) for c in ("renal", "simian")], ignore_index=True)
    return frame.assign(plate_chance=0.06, low=frame["map"] - 0.1, high=frame["map"] + 0.1)


MEASURES = (
    {"column": "plate_accuracy", "title": "plate told", "reference": "plate_chance"},
    {"column": "map", "title": "replicate mAP", "low": "low", "high": "high"},
)


def legend(fig):
    return [trace.name for trace in fig.data if trace.showlegend]


def test_method_scores_put_each_method_in_its_row(table):
    fig = batches.method_scores(table, MEASURES, chosen="tvn", title="T", subtitle="S")
    assert list(fig.layout.yaxis.ticktext) == [
        "uncentred",
        "<b>whitened</b>",
        "with condition",
        "Harmony",
    ]
    assert legend(fig).count("level without batch (by chance)") == 1
    assert {"renal", "simian"} <= set(legend(fig))
    assert sum("warning" in name for name in legend(fig)) == 1
    dots = [t for t in fig.data if t.xaxis == "x2"]
    assert sorted(x for t in dots for x in t.x) == sorted(table["map"])
    assert all(np.allclose(t.error_x.array, 0.1) for t in dots)
    rows = {round(y) for t in dots for y in t.y}
    assert rows == {0, 1, 2, 3}


def test_one_cell_type_is_not_named(table):
    fig = batches.method_scores(
        table[table["cell_type"] == "renal"], MEASURES[:1], chosen="tvn", title="T"
    )
    assert "can be chosen" in legend(fig)
    assert "renal" not in legend(fig)


def test_selection_shows_the_steps_of_the_rule():
    choice = pd.DataFrame(
        {
            "method": list("abcd"),
            "title": ["A", "B", "C", "D"],
            "map": [0.2, 0.5, 0.52, 0.9],
            "map_se": 0.05,
            "plate_excess": [0.8, 0.1, 0.3, 0.0],
            "plate_se": 0.01,
            "keeps_controls": [True, True, True, False],
            "near_best": [False, True, True, True],
            "chosen": [False, True, False, False],
            "candidate": True,
        }
    )
    choice.loc[4] = ["e", "E", 0.95, 0.05, 0.0, 0.01, True, True, False, False]
    fig = batches.selection(choice, title="T")
    named = {t.name: list(t.y) for t in fig.data if t.showlegend}
    assert named == {
        "chosen": ["B"],
        "within one standard error of the best": ["C"],
        "less replicable": ["A"],
        "loses control separation": ["D"],
        "for comparison": ["E"],
    }
    band = fig.layout.shapes[0]
    assert (band.x0, band.x1) == pytest.approx((0.47, 0.52))
    assert list(fig.layout.yaxis.categoryarray) == ["E", "D", "C", "B", "A"]


def test_selection_without_replicates_still_draws():
    choice = pd.DataFrame(
        {
            "method": ["a"],
            "title": ["A"],
            "map": [np.nan],
            "map_se": [np.nan],
            "plate_excess": [0.1],
            "plate_se": [0.01],
            "keeps_controls": [True],
            "near_best": [True],
            "chosen": [True],
            "candidate": [True],
        }
    )
    batches.selection(choice, title="T").to_json()


def test_separation_has_a_panel_for_each_cell_type():
    plates = pd.DataFrame(
        {
            "cell_type": ["a", "a", "b"],
            "title": "M",
            "batch": ["1", "2", "3"],
            "auc": [0.9, 0.8, 0.7],
        }
    )
    pooled = pd.DataFrame(
        {"cell_type": ["a", "b"], "title": "M", "auc": 0.8, "auc_low": 0.7, "auc_high": 0.9}
    )
    fig = batches.separation_by_plate(plates, pooled, title="T")
    assert [a.text for a in fig.layout.annotations] == ["a", "b"]
    assert [len(t.x) for t in fig.data] == [2, 1, 1, 1]
    assert sum(shape.x0 == 0.5 for shape in fig.layout.shapes) == 2


def test_controls_keep_colour_and_symbol_in_both_panels():
    points = pd.DataFrame(
        {
            "cell_type": "renal",
            "panel": np.repeat(["uncentred", "TVN"], 4),
            "x": np.arange(8.0),
            "y": 0.0,
            "experiment": np.tile(["E1", "E1", "E2", "E2"], 2),
            "batch": "E1/1",
            "well": "A01",
            "role": np.tile(["healthy", "diseased"], 4),
        }
    )
    fig = batches.controls_before_after(points, title="T")
    marks = {}
    for trace in fig.data:
        marks.setdefault(trace.name, set()).add((trace.marker.color, trace.marker.symbol))
    assert len(marks) == 4
    assert all(len(found) == 1 for found in marks.values())
    assert len(legend(fig)) == 4
    assert [a.text for a in fig.layout.annotations] == ["renal, uncentred", "renal, TVN"]


def test_covariances_share_a_scale_about_zero():
    fig = batches.covariances({"before": 3 * np.eye(4), "after": np.eye(4)}, limit=2.0, title="T")
    assert [np.asarray(t.z).shape for t in fig.data] == [(4, 4)] * 2
    assert (fig.layout.coloraxis.cmin, fig.layout.coloraxis.cmax) == (-2.0, 2.0)
    assert all(t.coloraxis == "coloraxis" for t in fig.data)


def test_offsets_are_drawn_before_and_after():
    offsets = pd.DataFrame(
        {"batch": ["1", "2"], "injected": [1.0, 2.0], "before": 2.0, "after": 0.2}
    )
    fig = batches.plate_offsets(offsets, title="T")
    assert [t.name for t in fig.data] == ["uncentred", "chosen method"]
    assert "SD" in fig.layout.xaxis.title.text
    assert "SD" in fig.layout.yaxis.title.text
