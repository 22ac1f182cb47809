"""Figures of fine-tuning: every number of the table, whoever the models are."""

import numpy as np
import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.figures import finetuning

HOSTILE = "<img src=x onerror=window.hacked=1>"
MODELS = ("head alone", "all layers", HOSTILE)


def accuracies():
    rows = []
    for split in ("compounds", "fields"):
        for i, model in enumerate(MODELS):
            test = 0.4 + 0.1 * i + 0.2 * (split == "fields")
            rows.append(
                {"split": split, "model": model, "train": test + 0.2, "validation": test - 0.05,
                 "test": test, "low": test - 0.1, "high": test + 0.1, "chance": 0.25,
                 "steps": np.nan if model == HOSTILE else 50.0 + i}
            )  # fmt: skip
    return pd.DataFrame(rows)


def values(fig, name, panel="x"):
    return [v for t in fig.data if t.name == name and t.xaxis == panel for v in t.x]


def test_the_ladder_draws_three_accuracies_of_each_model_of_one_split():
    fig = finetuning.unfreezing_ladder(accuracies(), title="t")
    assert values(fig, "held out") == pytest.approx([0.4, 0.5, 0.6])
    assert values(fig, "learned from") == pytest.approx([0.6, 0.7, 0.8])
    assert values(fig, "validation") == pytest.approx([0.35, 0.45, 0.55])
    held = next(t for t in fig.data if t.name == "held out")
    np.testing.assert_allclose(held.error_x.array, 0.1)
    assert "51 steps" in str(held.customdata)
    assert [t.startswith("head") for t in fig.layout.yaxis.ticktext] == [True, False, False]
    assert HOSTILE not in fig.to_json()
    assert fig.layout.meta["narrow"]


def test_splits_are_set_side_by_side_in_the_order_of_the_models():
    fig = finetuning.gap_by_split(accuracies(), ["all layers", "head alone"], title="t")
    assert [a.text for a in fig.layout.annotations] == ["<b>all layers</b>", "<b>head alone</b>"]
    assert values(fig, "held out") == pytest.approx([0.5, 0.7])
    assert values(fig, "held out", "x2") == pytest.approx([0.4, 0.6])
    assert not values(fig, "validation")


def test_curves_have_a_line_for_each_fold():
    rows = [
        {"model": m, "fold": f, "step": s, "train": 0.1 * s,
         "validation": np.nan if m == "plain" else 0.2,
         "validation_loss": 1.0}
        for m in ("all layers", "plain") for f in range(3) for s in (1, 2)
    ]  # fmt: skip
    fig = finetuning.learning_curves(pd.DataFrame(rows), title="t")
    train = [t for t in fig.data if t.xaxis == "x"]
    assert len(train) == 6
    assert all(list(t.x) == [1, 2] for t in train)
    assert {t.name for t in fig.data if t.xaxis == "x2"} == {"all layers"}
    assert [t.name for t in fig.data if t.showlegend] == ["all layers", "plain"]


def test_layers_show_what_they_see_and_what_is_read_from_them():
    layers = pd.DataFrame(
        {"layer": ["stains", "block 1"], "sees": [0.9, 0.4], "low": [0.8, 0.3], "high": [1.0, 0.5],
         "probe": [0.7, 0.6], "chance": [0.25, 0.25]}
    )  # fmt: skip
    fig = finetuning.layer_rows(layers, title="t")
    marks = {t.xaxis: list(t.x) for t in fig.data if t.mode == "markers"}
    assert marks == {"x": [0.9, 0.4], "x2": [0.7, 0.6]}


def test_pictures_stand_under_their_layer():
    pictures = {"stains": np.zeros((3, 8, 8), np.uint8), "block 1": np.ones((3, 8, 8), np.uint8)}
    fig = finetuning.activation_pictures(pictures, ["a", "b", HOSTILE], title="t")
    assert len(fig.layout.images) == 6
    assert HOSTILE not in fig.to_json()
    assert {"<b>stains</b>", "<b>block 1</b>"} <= {a.text for a in fig.layout.annotations}


@pytest.mark.parametrize(
    ("draw", "table"),
    [
        (finetuning.unfreezing_ladder, accuracies().drop(columns="low")),
        (lambda t, **k: finetuning.gap_by_split(t, [], **k), accuracies().drop(columns="test")),
        (finetuning.learning_curves, pd.DataFrame({"model": [], "step": []})),
        (finetuning.layer_rows, pd.DataFrame({"layer": ["a"]})),
    ],
)  # fmt: skip
def test_a_missing_column_is_named(draw, table):
    with pytest.raises(InputError, match="is missing"):
        draw(table, title="t")


def test_nothing_trained_draws_a_sentence():
    fig = finetuning.unfreezing_ladder(accuracies().head(0), title="t")
    assert "No network was trained" in fig.layout.annotations[0].text
