import numpy as np
import pandas as pd
import pytest

from planted_figures import HOSTILE
from screenbook.errors import InputError
from screenbook.figures.structure_towers import METRIC_NAMES, predicted_scores, retrieval_rows
from screenbook.structure.structure_retrieval import METRICS

METHODS = ["random", "ridge", "towers, smiles"]


def summary():
    rows = []
    for r, rule in enumerate(("compound", "scaffold")):
        for direction in ("image to molecule", "molecule to image"):
            for m, method in enumerate(METHODS):
                for metric, chance in (("hit@5", 0.2), ("rank", 12.0)):
                    value = chance * (1 + m - 0.2 * r)
                    rows.append(
                        {"rule": rule, "direction": direction, "method": method, "metric": metric,
                         "n": 120, "value": value, "low": 0.9 * value, "high": 1.1 * value,
                         "chance": chance}
                    )  # fmt: skip
    return pd.DataFrame(rows)


def predictions():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"rule": "scaffold", "method": np.repeat(METHODS[1:], 20), "compound": HOSTILE,
         "moa": "m", "measured": np.tile(rng.normal(size=20), 2), "predicted": rng.normal(size=40)}
    )  # fmt: skip
    return pd.concat([table, table.assign(rule="compound", predicted=5.0)])


def test_both_directions_have_a_panel_with_chance_and_both_splits():
    fig = retrieval_rows(summary(), metric="hit@5", title="t")
    titles = [a.text for a in fig.layout.annotations]
    assert titles == ["<b>image to molecule</b>", "<b>molecule to image</b>"]
    shown = [t.name for t in fig.data if t.showlegend]
    assert shown == ["compound held out", "scaffold held out", "a random order"]
    assert list(fig.layout.yaxis.ticktext) == METHODS
    marks = [t for t in fig.data if t.mode == "markers"]
    assert list(marks[1].x) == pytest.approx([0.16, 0.36, 0.56])
    np.testing.assert_allclose(marks[1].error_x.array, [0.016, 0.036, 0.056])
    assert fig.layout.xaxis.range[1] >= 0.66
    assert fig.layout.meta["narrow"]["height"] > 200


def test_every_metric_has_a_name():
    assert set(METRIC_NAMES) == set(METRICS)
    fig = retrieval_rows(summary(), metric="rank", title="t")
    assert "median rank" in "".join(
        a.title.text or "" for a in (fig.layout.xaxis, fig.layout.xaxis2)
    )


def test_predictions_of_one_split_are_drawn_with_the_line_of_equality():
    fig = predicted_scores(predictions(), title="t")
    assert [a.text for a in fig.layout.annotations] == [f"<b>{m}</b>" for m in METHODS[1:]]
    points = [t for t in fig.data if t.mode == "markers"]
    assert [len(t.x) for t in points] == [20, 20]
    assert max(map(max, (t.x for t in points))) < 5
    assert [t.name for t in fig.data if t.showlegend] == ["predicted as measured"]
    assert "<img" not in fig.to_json()


def test_nothing_to_draw_is_said_and_missing_columns_are_named():
    empty = retrieval_rows(summary().iloc[:0], title="t")
    assert empty.layout.annotations[0].text == "No compound could be asked."
    assert (
        "No score"
        in predicted_scores(predictions(), rule="x", title="t").layout.annotations[0].text
    )
    with pytest.raises(InputError, match="'chance' is missing"):
        retrieval_rows(summary().drop(columns="chance"), title="t")
    with pytest.raises(InputError, match="'measured' is missing"):
        predicted_scores(predictions().drop(columns="measured"), title="t")
