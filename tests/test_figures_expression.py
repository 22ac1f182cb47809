"""Figures of expression reports: cells, models, retrieval."""

import numpy as np
import pandas as pd
import pytest

from planted_expression import (
    HOSTILE,
    MODELS,
    SPLITS,
    candidates,
    cell_counts,
    genes,
    hit_rates,
    ladder,
    leaks,
    overlaps,
    plates,
    score_metrics,
)
from planted_images import legend, named
from screenbook.errors import InputError
from screenbook.expression import imbalance
from screenbook.expression.overlap import overlap_audit
from screenbook.expression.splits import RULES, split_conditions
from screenbook.figures import expression_counts, expression_models, expression_retrieval
from screenbook.figures.interval_rows import Axis

AXIS = Axis("r", (0, 1))


def every_figure():
    counts = cell_counts()
    return [
        expression_counts.lorenz_curves(imbalance.lorenz_curves(counts), title="t"),
        expression_counts.threshold_curves(imbalance.apply_thresholds(counts), title="t"),
        expression_counts.cells_heatmap(imbalance.pair_matrix(counts), title="t"),
        expression_counts.plate_dose_table(plates(), title="t"),
        expression_models.model_ladder(ladder(), AXIS, title="t"),
        expression_models.overlap_table(overlaps(), title="t"),
        expression_models.leak_tests(leaks(), AXIS, title="t"),
        expression_models.predicted_against_observed(genes(), title="t"),
        expression_retrieval.hit_curves(hit_rates(), title="t"),
        expression_retrieval.score_table(score_metrics(), title="t"),
        expression_retrieval.ranked_candidates(candidates(), title="t"),
    ]


def test_figures_have_titles_a_narrow_form_and_no_markup_of_the_data():
    for fig in every_figure():
        assert fig.layout.title.text == "t"
        assert fig.layout.height > 200
        assert "<img" not in fig.to_json()
    tall = [fig for fig in every_figure() if fig.layout.meta]
    assert len(tall) == 10  # three columns of doses fit everywhere
    assert all(fig.layout.meta["narrow"]["height"] > 200 for fig in tall)


def test_lorenz_curves_have_names_and_dashes_of_their_own():
    curves = imbalance.lorenz_curves(cell_counts())
    fig = expression_counts.lorenz_curves(curves, {"pair": "Gini 0.5"}, title="t")
    assert legend(fig) == ["drugs", "cell lines", "drug × line pairs (Gini 0.5)", "all alike"]
    assert len({trace.line.dash for trace in fig.data}) == 4
    np.testing.assert_allclose(fig.data[1].y, curves.loc[curves["level"] == "line", "cells"])


def test_thresholds_leave_zero_out_of_a_logarithmic_axis():
    table = imbalance.apply_thresholds(cell_counts(), [0, 10, 1000])
    fig = expression_counts.threshold_curves(table, title="t")
    assert [list(trace.x) for trace in fig.data] == [[10, 1000]] * 4
    np.testing.assert_allclose(named(fig, "cells")[0].y, table["share_of_cells"][1:])
    none = expression_counts.threshold_curves(table.head(1), title="t")
    assert "no threshold" in none.layout.annotations[0].text


def test_cells_are_coloured_by_their_logarithm_and_holes_are_blank():
    matrix = imbalance.pair_matrix(cell_counts())
    fig = expression_counts.cells_heatmap(matrix, title="t")
    heat = fig.data[0]
    np.testing.assert_allclose(10.0 ** np.asarray(heat.z), matrix.where(matrix > 0))
    assert np.isnan(heat.z).sum() == matrix.isna().to_numpy().sum() > 0
    assert "&lt;img" in "".join(heat.y)
    assert fig.layout.xaxis.showticklabels
    assert not fig.layout.yaxis.showticklabels  # forty names do not fit
    wide = pd.concat([matrix] * 3, axis=1, keys="abc")
    wide.columns = ["".join(pair) for pair in wide.columns]
    assert not expression_counts.cells_heatmap(wide, title="t").layout.meta["narrow"][
        "xaxis.showticklabels"
    ]
    assert not expression_counts.cells_heatmap(matrix * 0, title="t").data


def test_plates_without_a_dose_are_blank():
    heat = expression_counts.plate_dose_table(plates(), title="t").data[0]
    assert np.isnan(heat.z).sum() == 13 * 2
    assert list(heat.x) == ["0.05 µM", "0.5 µM", "5 µM"]
    assert heat.z[12].tolist() == [38, 30, 25]


def test_every_split_is_a_panel_and_what_does_not_serve_is_absent():
    table = ladder()
    fig = expression_models.model_ladder(table, AXIS, title="t")
    assert [note.text for note in fig.layout.annotations] == [f"<b>{s}</b>" for s in SPLITS]
    assert sorted(legend(fig)) == sorted([*set(MODELS.values()), "noise ceiling"])
    assert fig.layout.yaxis.ticktext == tuple(MODELS)
    drawn = sum(len(t.x) for t in fig.data if t.mode == "markers")
    assert drawn == table["value"].notna().sum() < len(table)
    first = next(t for t in named(fig, "fusion") if t.xaxis == "x")
    row = table[(table["split"] == "pair") & (table["kind"] == "fusion")].iloc[0]
    assert first.x[0] == pytest.approx(row["value"])
    assert first.error_x.array[0] == pytest.approx(0.03)
    marks = {(t.marker.color, t.marker.symbol) for t in fig.data if t.mode == "markers"}
    assert len({symbol for _, symbol in marks}) == 3  # colour is not the only sign
    bare = expression_models.model_ladder(
        table[["split", "model", "kind", "value"]], AXIS, title="t"
    )
    assert "noise ceiling" not in legend(bare)


def test_an_audit_can_be_drawn_as_it_is():
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        [
            (f"K{d:012d}X-U-N", f"d{d}", f"L{c}", "", f"M{d % 5}")
            for d in range(25)
            for c in range(6)
        ],
        columns=["compound_key", "compound", "cell_line", "SMILES", "moa"],
    )
    bits = pd.DataFrame(rng.random((25, 64)) < 0.3, index=obs["compound_key"].unique())
    rules = [rule for rule in RULES if rule != "scaffold"]
    audits = [overlap_audit(obs, split_conditions(obs, r), bits).summary for r in rules]
    heat = expression_models.overlap_table(pd.concat(audits), title="t").data[0]
    assert [row[0][0] for row in heat.customdata] == [r.replace("_", " + ") for r in rules]
    assert heat.z.shape == (5, len(expression_models.OVERLAP_COLUMNS))
    assert heat.z[rules.index("line"), -1] == 0


def test_leak_tests_have_a_mark_for_each_question():
    fig = expression_models.leak_tests(leaks(), AXIS, title="t")
    assert legend(fig) == ["right drug", "drug shuffled", "line shuffled", "without the drug"]
    wrong = next(t for t in named(fig, "drug shuffled") if t.xaxis == "x")
    assert list(wrong.x) == [0.06, 0.71]
    assert wrong.marker.symbol == "diamond"


def test_named_genes_are_written_and_all_can_be_hovered():
    table = genes()
    fig = expression_models.predicted_against_observed(table, title="t")
    plain, written = fig.data[:2]
    assert len(plain.x) == len(table) - 6
    assert plain.mode == "markers"
    assert written.mode == "markers+text"
    assert set(written.text) == set(table.loc[table["named"], "gene"])
    assert "%{text}" in plain.hovertemplate
    assert fig.layout.xaxis.range == fig.layout.yaxis.range
    bare = expression_models.predicted_against_observed(
        table[["gene", "observed", "predicted"]].assign(predicted=np.nan), title="t"
    )
    assert "No gene" in bare.layout.annotations[0].text


def test_hit_curves_have_bands_and_chance_in_every_panel():
    table = hit_rates()
    fig = expression_retrieval.hit_curves(table, title="t")
    series = list(pd.unique(table["series"]))
    assert legend(fig) == [*series[:3], HOSTILE.replace("<", "&lt;").replace(">", "&gt;"), "chance"]
    assert sum(t.fill == "toself" for t in fig.data) == 8
    assert fig.layout.xaxis.type == fig.layout.xaxis2.type == "log"
    assert [note.text for note in fig.layout.annotations] == [
        "<b>drug seen</b>",
        "<b>drug never profiled</b>",
    ]
    chance = named(fig, "chance")
    assert [t.xaxis for t in chance] == ["x", "x2"]
    np.testing.assert_allclose(chance[0].y, np.array(chance[0].x) / 160)
    plain = expression_retrieval.hit_curves(table[["series", "k", "hit"]].head(9), title="t")
    assert legend(plain) == ["observed library"]


def test_candidates_are_coloured_by_grade_and_say_it():
    fig = expression_retrieval.ranked_candidates(candidates(), title="t", top=10)
    assert [trace.name.split(":")[0] for trace in fig.data] == ["3", "2", "1", "0"]
    assert [list(trace.y) for trace in fig.data] == [[1], [2, 8], [0, 5], [3, 4, 6, 7, 9]]
    assert set(fig.data[0].text) == {"3"}
    assert len(fig.layout.yaxis.ticktext) == 10
    assert fig.layout.yaxis.ticktext[0].startswith("1. compound")
    below = expression_retrieval.ranked_candidates(candidates(), title="t", top=20)
    assert below.layout.xaxis.range[0] < -0.15


def test_empty_tables_say_so():
    for draw, table in (
        (lambda t: expression_models.model_ladder(t, AXIS, title="t"), ladder()),
        (lambda t: expression_models.leak_tests(t, AXIS, title="t"), leaks()),
        (lambda t: expression_retrieval.hit_curves(t, title="t"), hit_rates()),
        (lambda t: expression_retrieval.ranked_candidates(t, title="t"), candidates()),
    ):
        fig = draw(table.head(0))
        assert not fig.data
        assert fig.layout.annotations[0].text == "There is no result to draw."


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match=r"lorenz_curves\(\): column 'cells' is missing"):
        expression_counts.lorenz_curves(pd.DataFrame({"level": [], "groups": []}), title="t")
    with pytest.raises(InputError, match=r"threshold_curves\(\): column 'share_of_lines'"):
        expression_counts.threshold_curves(
            imbalance.apply_thresholds(cell_counts()).drop(columns="share_of_lines"), title="t"
        )
    for draw, table, column in (
        (lambda t: expression_models.model_ladder(t, AXIS, title="t"), ladder(), "kind"),
        (lambda t: expression_models.overlap_table(t, title="t"), overlaps(), "close"),
        (lambda t: expression_models.leak_tests(t, AXIS, title="t"), leaks(), "question"),
        (
            lambda t: expression_models.predicted_against_observed(t, title="t"),
            genes(),
            "observed",
        ),
        (lambda t: expression_retrieval.hit_curves(t, title="t"), hit_rates(), "k"),
        (lambda t: expression_retrieval.ranked_candidates(t, title="t"), candidates(), "grade"),
    ):
        with pytest.raises(InputError, match=f"column '{column}' is missing"):
            draw(table.drop(columns=column))
