import json

import numpy as np
import pandas as pd
import pytest

from screenbook.figures import classify, classify_ranking

TITLES = {"net": "the net", "lda": "discriminant"}


def traces(fig, name):
    return [trace for trace in fig.data if trace.name and name in trace.name]


def legend(fig):
    return [trace.name for trace in fig.data if trace.showlegend is not False]


@pytest.fixture
def measures():
    rows = [
        (cell_type, model, held_out, auc)
        for cell_type in ("renal", "simian")
        for model, auc in (("net", 0.95), ("lda", 0.9))
        for held_out in ("plate", "experiment")
    ]
    table = pd.DataFrame(rows, columns=["cell_type", "model", "held_out", "auc"])
    return table.assign(auc_low=table["auc"] - 0.02, auc_high=table["auc"] + 0.01)


@pytest.fixture
def plates():
    rows = [
        (cell_type, model, f"E1/{i}", 0.9 + 0.01 * i if i else 0.7, 80, i > 0)
        for cell_type in ("renal", "simian")
        for model in TITLES
        for i in range(4)
    ]
    return pd.DataFrame(rows, columns=["cell_type", "model", "batch", "auc", "n", "used"])


@pytest.fixture
def compounds():
    table = pd.DataFrame(
        {
            "cell_type": ["renal"] * 4 + ["simian"] * 2,
            "compound": ["a", "b", "c", "<i>d</i>", "a", "b"],
            "p_healthy": [0.9, 0.6, 0.3, 0.2, 0.8, 0.1],
            "rank": [1, 2, 3, 4, 1, 2],
            "best_dose": 10.0,
            "n_wells": [36, 36, 120, 36, 36, 36],
            "outside": [0.0, 0.1, 0.0, 0.9, 0.0, 0.0],
            "above": [True, True, False, False, True, False],
            "count_top": [9, 3, 12, 0, 5, 0],
        }
    )
    return table.assign(p_low=table["p_healthy"] - 0.1, p_high=table["p_healthy"] + 0.05)


def test_auc_shows_plates_intervals_and_flagged_ones(plates, measures):
    fig = classify.auc_by_plate(plates, measures, TITLES, null_high=0.56, title="T")
    assert sorted(set(legend(fig))) == sorted(legend(fig))  # each name once
    crosses = traces(fig, "flagged in report 01")
    assert [len(t.x) for t in crosses] == [2, 2]
    assert crosses[0].marker.symbol == "x"
    pooled = traces(fig, "plates held out")[0]
    assert pooled.x.tolist() == [0.95, 0.9]
    np.testing.assert_allclose(pooled.error_x.array, 0.01)
    np.testing.assert_allclose(pooled.error_x.arrayminus, 0.02)
    assert list(fig.layout.yaxis.ticktext) == ["the net", "discriminant"]
    assert {round(float(y)) for t in fig.data for y in t.y} == {0, 1}
    assert fig.layout.xaxis.range[0] == pytest.approx(0.68)
    assert "narrow" in fig.layout.meta


def test_reliability_has_its_diagonal_interval_and_histogram():
    table = pd.DataFrame(
        {
            "predicted": [0.1, 0.8],
            "observed": [0.2, 0.7],
            "low": [0.1, 0.6],
            "high": [0.35, 0.8],
            "n": 50,
        }
    )
    wells = pd.DataFrame(
        {
            "cell_type": "renal",
            "role": ["healthy"] * 4 + ["diseased"] * 2,
            "p_healthy": [0.9, 0.92, 0.97, 0.1, 0.02, 0.03],
        }
    )
    fig = classify.reliability({"renal": table, "simian": table}, wells, title="T")
    curve = traces(fig, "held-out controls")[0]
    np.testing.assert_allclose(curve.error_y.array, [0.15, 0.1])
    np.testing.assert_allclose(curve.error_y.arrayminus, [0.1, 0.1])
    bars = [t for t in fig.data if t.type == "bar" and len(t.y)]
    assert [sum(t.y) for t in bars[:2]] == pytest.approx([1.0, 1.0])
    assert traces(fig, "healthy control")[0].y.max() == 0.5
    assert len(fig.layout.annotations) == 4
    assert fig.layout.yaxis3.range[1] == pytest.approx(1.05)


def test_the_histogram_gives_shares_of_each_role():
    rng = np.random.default_rng(0)
    wells = pd.DataFrame(
        {
            "cell_type": np.repeat(["renal", "simian"], 300),
            "role": np.tile(["healthy", "diseased", "treated"], 200),
            "p_healthy": rng.random(600),
        }
    )
    fig = classify.probability_histogram(wells, title="T")
    assert len(fig.data) == 6
    assert all(np.nansum(t.y) == pytest.approx(1) for t in fig.data)
    assert fig.layout.yaxis.type == "log"
    lines = {(t.line.color, t.line.dash, t.line.width) for t in fig.data}
    assert len(lines) == 3  # colour is not the only sign
    some = classify.probability_histogram(wells[wells["role"] != "treated"], title="T")
    assert len(some.data) == 4


def test_the_ranking_takes_part_in_the_search(compounds):
    levels = pd.DataFrame({"cell_type": ["renal", "simian"], "diseased": 0.1, "healthy": 0.9})
    fig = classify_ranking.ranking(compounds, levels, most=3, title="T")
    dots = [t for t in fig.data if t.meta == "compound"]
    assert [row[0] for t in dots for row in t.customdata] == ["a", "b", "c", "a", "b"]
    assert list(fig.layout.yaxis.categoryarray) == ["c", "b", "a"]  # the first on top
    assert dots[0].marker.symbol != dots[1].marker.symbol
    np.testing.assert_allclose(dots[0].error_x.arrayminus, 0.1)
    assert sum(shape.type == "line" for shape in fig.layout.shapes) == 4


def test_counts_and_treatments_take_part_in_the_search(compounds):
    fig = classify_ranking.count_against_wells(compounds, title="T")
    assert {t.meta for t in fig.data} == {"compound"}
    assert sum(len(t.x) for t in fig.data) == len(compounds)
    joined = compounds.assign(dose=1.0, on_score=np.linspace(0, 1, 6))
    fig = classify_ranking.against_on_axis(joined, title="T")
    assert {t.meta for t in fig.data} == {"compound"}
    odd = [t for t in traces(fig, "unlike any control") if len(t.x)]
    assert [row[0] for t in odd for row in t.customdata] == ["<i>d</i>"]


def test_drivers_stand_beside_their_null():
    table = pd.DataFrame(
        {
            "panel": ["renal"] * 4,
            "role": ["healthy", "healthy", "treated", "treated"],
            "factor": ["plate", "row", "plate", "dose"],
            "share": [0.1, 0.02, 0.01, 0.3],
            "null_high": [0.05, 0.04, 0.03, 0.02],
            "p": 0.01,
            "n": 100,
        }
    )
    fig = classify.drivers(table, title="T")
    assert list(fig.layout.yaxis.ticktext) == ["plate", "row", "dose"]
    ticks = [t for t in fig.data if t.name.startswith("95 %")]
    marks = [t for t in fig.data if not t.name.startswith("95 %")]
    for mark, tick in zip(marks, ticks, strict=True):
        assert mark.y.tolist() == tick.y.tolist()
    assert marks[0].marker.symbol != marks[1].marker.symbol
    assert sum(t.showlegend is not False for t in ticks) == 1


def test_schemes_keep_their_order():
    table = pd.DataFrame(
        {
            "scheme": ["first", "second", "third"],
            "auc": [0.4, 0.3, 0.9],
            "split": ["rows", "plates", "plates"],
        }
    )
    fig = classify.schemes(table, title="T")
    assert list(fig.layout.yaxis.categoryarray) == ["third", "second", "first"]
    assert [len(t.x) for t in fig.data] == [1, 2]


def test_figures_are_json_without_surprise(compounds, plates, measures):
    fig = classify.auc_by_plate(plates, measures, TITLES, null_high=0.56, title="T")
    assert json.loads(fig.to_json())["layout"]["template"]
    assert classify_ranking.count_against_wells(compounds, title="T").layout.height < 600
