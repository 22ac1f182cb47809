"""Figures of structure tests: what is drawn where, beside which null, and what is said of it."""

import numpy as np
import pandas as pd
import pytest

from planted_images import legend, named
from screenbook.errors import InputError
from screenbook.figures.structure_tests import (
    POWER_TESTS,
    correlations_beside_nulls,
    held_out_properties,
    neighbours_beside_nulls,
    power_curves,
)

HOSTILE = "<img src=x onerror=window.hacked=1>"


def correlations():
    rows = [("mechanism and picture", "same mechanism", False, 0.37)]
    for test, beyond, r in (("Mantel", False, 0.2), ("restricted permutation", True, -0.1)):
        rows += [(test, name, beyond, r + 0.02 * k) for k, name in enumerate(("Morgan", HOSTILE))]
    rows.append(("means of mechanisms", "Morgan", True, np.nan))
    table = pd.DataFrame(rows, columns=["test", "representation", "beyond", "r"])
    return table.assign(
        low=table["r"] - 0.1, high=table["r"] + 0.1, null_low=-0.15, null_high=0.12,
        p=0.04, n_compounds=30, n_pairs=435,
    )  # fmt: skip


def neighbours():
    rows = [
        (test, pairs, permuted, value + 0.1 * (permuted == "all compounds"))
        for test, value in (
            ("analogues among the nearest", 0.5),
            ("similarity of the nearest", 0.1),
        )
        for pairs, permuted in (
            *(("all", "all compounds"), ("all", "within mechanisms")),
            ("other mechanisms", "within mechanisms"),
        )
    ]
    table = pd.DataFrame(rows, columns=["test", "pairs", "permuted", "value"])
    return table.assign(null_low=0.05, null_high=0.3, p=0.01, n_pairs=7)


def properties(n_bits=12):
    rows = []
    for kind, measure, names in (
        ("fingerprint bits", "AUROC", ["all", *(f"C{k} ({k})" for k in range(n_bits))]),
        ("descriptors", "Spearman", ["all", "logP", HOSTILE]),
    ):
        for permuted in ("all compounds", "within mechanisms"):
            rows += [
                (kind, name, measure, permuted, 0.5 + 0.01 * k) for k, name in enumerate(names)
            ]
    table = pd.DataFrame(rows, columns=["kind", "property", "measure", "permuted", "value"])
    return table.assign(null_low=0.4, null_high=0.55, p=0.2)


def rates():
    rows = []
    for beyond in (False, True):
        for test in (*POWER_TESTS, "something else"):
            rows.append(("nothing", 0.0, test, beyond, 0.04))
            rows.append(("mechanism only", 0.0, test, beyond, 0.05 if beyond else 0.9))
            rows += [("mechanism and structure", d, test, beyond, d / 2) for d in (0.5, 2.0, 1.0)]
    table = pd.DataFrame(rows, columns=["scenario", "dial", "test", "beyond", "rejected"])
    table.loc[table["test"].eq("Mantel") & table["beyond"], "rejected"] = np.nan
    return table.assign(low=table["rejected"] - 0.03, high=table["rejected"] + 0.03)


def every_figure():
    return [
        correlations_beside_nulls(correlations(), title="t"),
        neighbours_beside_nulls(neighbours(), title="t"),
        held_out_properties(properties(), title="t"),
        power_curves(rates(), title="t"),
    ]


def test_figures_have_a_form_for_phones_and_no_html_of_the_data():
    for fig in every_figure():
        assert fig.layout.meta["narrow"]["height"] > 200
        assert "<img" not in fig.to_json().replace("\\u003c", "<")


def test_correlations_stand_over_their_nulls_with_what_lies_beyond_apart():
    fig = correlations_beside_nulls(correlations(), title="t")
    titles = [note.text for note in fig.layout.annotations]
    assert titles == ["<b>mechanism and structure</b>", "<b>beyond mechanism</b>"]
    assert legend(fig)[:2] == ["95 % of permutations", "same mechanism"]
    morgan = named(fig, "Morgan")
    assert [list(trace.x) for trace in morgan] == [[0.2], [-0.1]]
    assert [trace.xaxis for trace in morgan] == ["x", "x2"]
    assert morgan[0].error_x.array[0] == pytest.approx(0.1)
    assert "30 compounds, 435 pairs" in morgan[0].customdata[0][1]
    bars = named(fig, "95 % of permutations")
    assert all(list(bar.x[:2]) == [-0.15, 0.12] for bar in bars)
    # A bar lies under its own value, and rows with one series in the middle.
    for value, bar in zip(fig.data[1::2], fig.data[::2], strict=True):
        assert list(bar.y[::3]) == list(value.y)
    assert list(named(fig, "same mechanism")[0].y) == [0]
    assert fig.layout.yaxis.ticktext == ("mechanism and picture", "Mantel")
    assert fig.layout.yaxis2.ticktext == ("restricted permutation",)
    assert fig.layout.xaxis.range == fig.layout.xaxis2.range


def test_neighbours_have_a_panel_for_each_question():
    fig = neighbours_beside_nulls(neighbours(), title="t")
    assert [note.text for note in fig.layout.annotations] == [
        "<b>analogues in the top 5 %</b>",
        "<b>Tanimoto of the nearest</b>",
    ]
    assert [list(t.x) for t in named(fig, "swapped among all")] == [[0.6], [0.2]]
    assert [list(t.x) for t in named(fig, "within mechanisms")] == [[0.5, 0.5], [0.1, 0.1]]


def test_of_many_bits_the_best_are_drawn_below_their_mean():
    fig = held_out_properties(properties(), title="t")
    names = fig.layout.yaxis.ticktext
    assert names == ("mean of all", *(f"C{k} ({k})" for k in range(11, 3, -1)))
    assert fig.layout.yaxis2.ticktext[:2] != names[:2]
    assert len(fig.layout.yaxis2.ticktext) == 3
    assert [n.text for n in fig.layout.annotations] == [
        "<b>AUROC of fingerprint bits</b>",
        "<b>Spearman of descriptors</b>",
    ]


def test_power_runs_over_the_dials_from_the_null_in_which_mechanism_acts():
    fig = power_curves(rates(), title="t")
    assert legend(fig).count("restricted permutation") == 1
    assert "something else" not in legend(fig)
    lines = [t for t in named(fig, "restricted permutation") if t.mode == "lines+markers"]
    assert [list(t.y) for t in lines] == [[0.05, 0.25, 0.5, 1.0]] or [list(t.y) for t in lines] == [
        [0.9, 0.25, 0.5, 1.0],
        [0.05, 0.25, 0.5, 1.0],
    ]
    open_marks = [t for t in named(fig, "restricted permutation") if t.mode == "markers"]
    assert all(t.marker.symbol.endswith("-open") and max(t.x) < 0 for t in open_marks)
    assert {t.xaxis for t in named(fig, "Mantel")} == {"x"}
    assert [list(t.y) for t in named(fig, "level, 5 %")] == [[0.05, 0.05]] * 2
    assert fig.layout.xaxis.ticktext == ("none", "0", "0.5", "1", "2")
    marks = {(t.line.color, t.marker.symbol) for t in fig.data if t.mode == "lines+markers"}
    assert len({symbol for _, symbol in marks}) == len(POWER_TESTS)


def test_what_cannot_be_drawn_is_told():
    for draw, table, value in (
        (correlations_beside_nulls, correlations(), "r"),
        (neighbours_beside_nulls, neighbours(), "value"),
        (held_out_properties, properties(), "value"),
        (power_curves, rates(), "rejected"),
    ):
        for nothing in (table.head(0), table.assign(**{value: np.nan})):
            fig = draw(nothing, title="t")
            assert not fig.data
            assert fig.layout.annotations[0].text == "No test could be asked."
        with pytest.raises(InputError, match=f"column '{value}' is missing"):
            draw(table.drop(columns=value), title="t")
