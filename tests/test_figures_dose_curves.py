"""Dose curves draw wells, means, curves and EC50 of the tables, and a menu that swaps them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import planted_figures as planted
from screenbook.errors import InputError
from screenbook.figures import dose_curves as module
from screenbook.figures.dose_curves import (
    DoseTables,
    chosen_dose_curve,
    dose_curves,
)
from screenbook.figures.dose_traces import LEGEND
from screenbook.figures.palette import class_colours

SAID = {"title": "T", "subtitle": "S"}


@pytest.fixture
def tables():
    wells = planted.wells()
    return DoseTables(
        wells=wells[wells["role"] == "treated"],
        treatments=planted.treatments(),
        curves=planted.curves(),
        hits=planted.hits(),
        controls=planted.controls(),
    )


def of(fig, panel, name, cell_type):
    """The one trace of a kind and cell type in a panel."""
    found = [
        t for t in fig.data
        if t.name == name and t.legendgroup == cell_type and t.xaxis == panel
    ]  # fmt: skip
    assert len(found) == 1
    return found[0]


def test_panels_hold_what_the_tables_hold(tables):
    fig = dose_curves(tables, ["Alpha", "Gamma"], **SAID)
    for panel, name in (("x", "Alpha"), ("x2", "Gamma")):
        for cell_type in planted.CELL_TYPES:
            rows = {
                key: table[(table["compound"] == name) & (table["cell_type"] == cell_type)]
                for key, table in vars(tables).items()
                if key != "controls"
            }
            wells = of(fig, panel, LEGEND["wells"], cell_type)
            assert sorted(wells.y) == pytest.approx(sorted(rows["wells"]["on_score"]))
            assert len(wells.x) == 6
            means = of(fig, panel, LEGEND["means"], cell_type)
            assert list(means.x) == planted.DOSES
            assert list(means.y) == pytest.approx(rows["treatments"]["on_score"].tolist())
            np.testing.assert_allclose(means.error_y.array, 0.2)
            np.testing.assert_allclose(means.error_y.arrayminus, 0.1)
            fit = of(fig, panel, "fit", cell_type)
            assert list(fit.y) == pytest.approx(rows["curves"]["score"].tolist())
            band = of(fig, panel, "band", cell_type)
            assert max(band.y) == pytest.approx(rows["curves"]["high"].max())
            assert min(band.y) == pytest.approx(rows["curves"]["low"].min())


def test_ec50_has_its_interval_and_only_where_there_is_one(tables):
    fig = dose_curves(tables, ["Alpha", "Gamma"], **SAID)
    tick = of(fig, "x", LEGEND["ec50"], "renal")
    assert list(tick.x) == [0.2]
    assert tick.error_x.array[0] == pytest.approx(0.3)
    assert tick.error_x.arrayminus[0] == pytest.approx(0.1)
    assert len(of(fig, "x2", LEGEND["ec50"], "renal").x) == 0


def test_doses_off_the_axis_are_hollow_and_flags_are_in_the_title(tables):
    fig = dose_curves(tables, ["Beta", "Gamma"], **SAID)
    hollow = of(fig, "x2", LEGEND["means"], "renal").marker.symbol
    assert list(hollow) == ["circle", "circle", "circle-open"]
    assert set(of(fig, "x", LEGEND["means"], "renal").marker.symbol) == {"circle"}
    titles = [a.text for a in fig.layout.annotations]
    assert titles == ["<b>Beta · bell</b>", "<b>Gamma · off-axis</b>"]


def test_cell_types_differ_by_colour_and_symbol(tables):
    fig = dose_curves(tables, ["Alpha"], **SAID)
    colours = class_colours(planted.CELL_TYPES)
    marks = [of(fig, "x", LEGEND["wells"], c).marker for c in planted.CELL_TYPES]
    assert [m.color for m in marks] == [colours[c] for c in planted.CELL_TYPES]
    assert marks[0].symbol != marks[1].symbol


def test_controls_stand_left_of_the_lowest_dose_on_the_same_axis(tables):
    fig = dose_curves(tables, ["Alpha", "Beta"], **SAID)
    boxes = [t for t in fig.data if t.fill == "toself" and t.name != "band"]
    assert len(boxes) == 2 * 2 * 2
    for box in boxes:
        assert max(box.x) < planted.DOSES[0]
        at = 0 if box.legendgroup == "healthy" else 1
        assert (min(box.y), max(box.y)) == pytest.approx((at - 0.3, at + 0.3))
    assert list(fig.layout.xaxis.ticktext) == ["0", "0.03", "0.1", "0.3", "1", "3"]
    assert fig.layout.xaxis.type == "log"
    assert fig.layout.xaxis.range == fig.layout.xaxis2.range
    assert fig.layout.yaxis.range == fig.layout.yaxis2.range


def test_every_trace_of_a_compound_takes_part_in_the_search(tables):
    fig = dose_curves(tables, planted.NAMES[:4], **SAID)
    panels = ["x", "x2", "x3", "x4"]
    for trace in fig.data:
        if trace.legendgroup in planted.CELL_TYPES:
            assert trace.meta == "compound"
            name = planted.NAMES[panels.index(trace.xaxis)]
            assert [row[0] for row in trace.customdata or []] == [name] * len(trace.x)
    printed = [a.text for a in fig.layout.annotations]
    assert printed[3] == "<b>&lt;img src=x onerror=wind…</b>"


def test_the_menu_turns_the_figure_to_each_compound(tables):
    fig = chosen_dose_curve(tables, planted.NAMES, **SAID)
    buttons = fig.layout.updatemenus[0].buttons
    assert fig.layout.meta["follow"] == planted.NAMES
    assert len(buttons) == 6
    assert not [b.label for b in buttons if "<" in b.label]
    for name, button in zip(planted.NAMES, buttons, strict=True):
        state, layout, which = button.args
        turned = dose_curves(tables, [name], **SAID)
        for i in which:
            trace = fig.data[i]
            other = of(turned, "x", trace.name, trace.legendgroup)
            assert list(state["x"][i]) == pytest.approx(list(other.x), rel=1e-3)
            assert list(state["y"][i]) == pytest.approx(list(other.y), rel=1e-3, abs=1e-4)
            if trace.name == LEGEND["means"]:
                assert list(state["marker.symbol"][i]) == list(other.marker.symbol)
                assert list(state["error_y.array"][i]) == pytest.approx(
                    list(other.error_y.array), rel=1e-3
                )
        assert layout["annotations[0].text"] == turned.layout.annotations[0].text


def test_a_long_menu_is_cut_and_says_so(tables, monkeypatch):
    monkeypatch.setattr(module, "MOST_IN_MENU", 3)
    fig = chosen_dose_curve(tables, planted.NAMES, **SAID)
    assert [b.label for b in fig.layout.updatemenus[0].buttons] == planted.NAMES[:3]
    assert "3 further compounds" in fig.layout.title.subtitle.text


def test_the_menu_carries_curves_thinned_to_their_shape(tables):
    many = [tables.curves.assign(dose=tables.curves["dose"] * f) for f in (1, 1.01, 1.02)]
    many = pd.concat(many)
    fig = chosen_dose_curve(replace(tables, curves=many), ["Alpha"], **SAID)
    fit = of(fig, "x", "fit", "renal")
    every = many[(many["compound"] == "Alpha") & (many["cell_type"] == "renal")]["dose"]
    assert 20 <= len(fit.x) <= 26 < len(every)
    assert (min(fit.x), max(fit.x)) == (every.min(), every.max())


def test_a_compound_without_a_curve_still_shows_its_wells(tables):
    bare = replace(tables, curves=tables.curves[tables.curves["compound"] != "Alpha"])
    fig = dose_curves(bare, ["Alpha"], **SAID)
    assert len(of(fig, "x", "fit", "renal").x) == 0
    assert len(of(fig, "x", LEGEND["wells"], "renal").x) == 6


def test_one_cell_type_and_no_compound(tables):
    one = DoseTables(*(t[t["cell_type"] == "renal"] for t in vars(tables).values()))
    fig = dose_curves(one, ["Alpha"], **SAID)
    assert {t.legendgroup for t in fig.data if t.meta == "compound"} == {"renal"}
    for draw in (dose_curves, chosen_dose_curve):
        none = draw(tables, [], **SAID)
        assert len(none.data) == 0
        assert "no compound" in none.layout.annotations[0].text


def test_what_cannot_be_drawn_is_refused(tables):
    with pytest.raises(InputError, match="Omega"):
        dose_curves(tables, ["Alpha", "Omega"], **SAID)
    broken = replace(tables, curves=tables.curves.drop(columns="score"))
    with pytest.raises(InputError, match="'score'"):
        dose_curves(broken, ["Alpha"], **SAID)
    zero = replace(
        tables, wells=tables.wells.assign(dose=0.0), treatments=tables.treatments.assign(dose=0.0)
    )
    with pytest.raises(InputError, match="dose above zero"):
        dose_curves(zero, ["Alpha"], **SAID)


def test_the_figure_grows_with_its_panels(tables):
    heights = [
        dose_curves(tables, planted.NAMES[:n], **SAID).layout.meta["narrow"]["height"]
        for n in (1, 3)
    ]
    assert heights[1] - heights[0] == 2 * 220
