"""Figures of hits draw what the tables hold: values, counts, marks, and names as text."""

import numpy as np
import pandas as pd
import pytest

import planted_figures as planted
from screenbook.errors import InputError
from screenbook.figures import hits as draw
from screenbook.figures.call_marks import CALL_MARKS
from screenbook.figures.enrichment import enrichment_bars
from screenbook.figures.hit_context import cell_type_contrast, hits_on_map
from screenbook.figures.labels import place_labels
from screenbook.figures.searches import search_comparison, search_ranks
from screenbook.figures.small_multiples import as_text

SAID = {"title": "T", "subtitle": "S"}


def drawn(fig):
    """Every point that takes part in the search: compound, x, y, panel, colour, symbol."""
    rows = []
    for trace in fig.data:
        if trace.meta != "compound":
            continue
        assert len(trace.customdata) == len(trace.x) == len(trace.y)
        for told, x, y in zip(trace.customdata, trace.x, trace.y, strict=True):
            rows.append((told[0], x, y, trace.xaxis, trace.marker.color, trace.marker.symbol))
    columns = ["compound", "x", "y", "panel", "colour", "symbol"]
    return pd.DataFrame(rows, columns=columns)


def titles(fig):
    return [a.text for a in fig.layout.annotations if a.text.startswith("<b>")]


def visible_text(fig):
    """Everything that a figure prints: annotations, ticks, names of traces, hover names."""
    texts = [a.text for a in fig.layout.annotations]
    texts += [t.name or "" for t in fig.data]
    for trace in fig.data:
        texts += list(trace.hovertext if trace.hovertext is not None else [])
    for axis in fig.select_yaxes():
        texts += list(axis.ticktext or [])
    return texts


@pytest.fixture(scope="module")
def every_figure():
    hits, treatments = planted.hits(), planted.treatments()
    return {
        "volcano": draw.volcano(treatments, level=0.1, **SAID),
        "plane": draw.on_off_plane(treatments, controls=planted.controls(), **SAID),
        "ranks": draw.rank_whiskers(hits, **SAID),
        "nulls": draw.null_agreement(treatments, level=0.1, **SAID),
        "wells": search_comparison(planted.searches(), hits, **SAID),
        "evidence": search_comparison(planted.searches(), hits, against="evidence", **SAID),
        "slopes": search_ranks(planted.searches(), hits, **SAID),
        "map": hits_on_map(planted.wells(), hits, **SAID),
        "contrast": cell_type_contrast(planted.contrasts(), treatments=treatments, **SAID),
    }


def test_volcano_draws_every_treatment_with_a_q_and_counts_the_rest():
    table = planted.treatments()
    fig = draw.volcano(table, level=0.1, **SAID)
    known = table[table["q"].notna()]
    found = drawn(fig).sort_values(["panel", "x", "y"])
    truth = known.assign(
        x=1 - known["on_score"], y=-np.log10(known["q"]),
        panel=known["cell_type"].map({"renal": "x", "simian": "x2"}),
    ).sort_values(["panel", "x", "y"])  # fmt: skip
    assert found["compound"].tolist() == truth["compound"].tolist()
    np.testing.assert_allclose(found[["x", "y"]].astype(float), truth[["x", "y"]])
    assert "6 without a q" in fig.layout.title.subtitle.text
    assert titles(fig) == ["<b>renal</b>", "<b>simian</b>"]


def test_calls_differ_by_colour_and_by_symbol():
    fig = draw.volcano(planted.treatments(), level=0.1, **SAID)
    marks = {(t.name, t.marker.color, t.marker.symbol) for t in fig.data if t.meta == "compound"}
    assert len(marks) == len({name for name, *_ in marks}) == 3
    for name, colour, symbol in marks:
        assert (colour, symbol) == (CALL_MARKS[name].colour, CALL_MARKS[name].symbol)
    seen = [(mark.colour, mark.symbol) for call, mark in CALL_MARKS.items() if call != "active"]
    assert len(set(seen)) == len(seen)
    legend = [t.name for t in fig.data if t.showlegend]
    assert len(legend) == len(set(legend))


def test_the_wing_of_harm_rises_with_its_own_q():
    table = planted.hits().head(2).assign(on_score=[0.2, 1.8], q=[1e-3, 1.0], q_worse=[1.0, 1e-4])
    fig = draw.volcano(table, level=0.1, **SAID)
    found = drawn(fig).set_index("compound")
    assert found.loc["Alpha", "y"] == pytest.approx(3)
    assert found.loc["Beta", "y"] == pytest.approx(4)
    assert found.loc["Beta", "x"] == pytest.approx(-0.8)


def test_a_q_of_zero_stands_at_the_top_and_is_finite():
    table = planted.hits().assign(q=[0.0, *planted.hits()["q"][1:]])
    found = drawn(draw.volcano(table, level=0.1, **SAID))
    assert np.isfinite(found["y"].astype(float)).all()
    top = found.loc[found["y"].astype(float).idxmax(), "compound"]
    assert top == "Alpha"


def test_labels_name_the_best_and_stay_few():
    fig = draw.volcano(planted.treatments(), level=0.1, labels=2, **SAID)
    names = [a.text for a in fig.layout.annotations if not a.text.startswith("<b>")]
    assert names == ["Alpha", "Beta"] * 2
    moved = fig.layout.meta["narrow"]
    assert {f"annotations[{i}].ax" for i in range(4)} <= set(moved)


def test_names_never_cover_each_other_nor_leave_the_panel():
    rng = np.random.default_rng(0)
    points = rng.uniform(40, 260, (12, 2))
    names = [f"compound {i}" for i in range(12)]
    places = place_labels(points, names, points, (300, 300))
    boxes = []
    for (x, y), name, place in zip(points, names, places, strict=True):
        if place is None:
            continue
        width = 6.8 * len(name) + 4
        left = x + place[0] - (width if place[0] < 0 else 0)
        boxes.append((left, y + place[1] - 8, left + width, y + place[1] + 8))
    assert len(boxes) >= 8
    for i, a in enumerate(boxes):
        assert a[0] >= 0
        assert a[1] >= 0
        assert a[2] <= 300
        assert a[3] <= 300
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_plane_gives_whiskers_to_moves_along_the_axis_only():
    fig = draw.on_off_plane(planted.treatments(), controls=planted.controls(), **SAID)
    for trace in fig.data:
        if trace.meta != "compound":
            continue
        called = trace.name in ("rescue", "aggravates")
        assert (trace.error_x.array is not None) == called
        if called:
            np.testing.assert_allclose(trace.error_x.array, 0.2)
            np.testing.assert_allclose(trace.error_x.arrayminus, 0.1)
            np.testing.assert_allclose(trace.error_y.array, 0.2)
    assert len(drawn(fig)) == 36


def test_plane_marks_controls_and_the_line_that_is_given():
    gate = pd.DataFrame({"cell_type": "renal", "on_score": [1.0, 0.0], "off_score": [0.0, 3.0]})
    fig = draw.on_off_plane(planted.treatments(), controls=planted.controls(), gate=gate, **SAID)
    boxes = [t for t in fig.data if t.fill == "toself"]
    assert {(t.name, t.xaxis, min(t.x), max(t.x)) for t in boxes} == {
        (f"range of {name} wells", panel, at - 0.3, at + 0.3)
        for name, at in (("healthy control", 0.0), ("untreated disease", 1.0))
        for panel in ("x", "x2")
    }
    line = next(t for t in fig.data if t.name.startswith("as far off") and t.xaxis == "x")
    assert (list(line.x), list(line.y)) == ([1, 0], [0, 3])


def test_ranks_are_in_order_with_intervals_and_flags():
    hits = planted.hits().sample(frac=1, random_state=1)
    fig = draw.rank_whiskers(hits, top=4, **SAID)
    found = drawn(fig)
    renal = found[found["panel"] == "x"].sort_values("y")
    assert renal["compound"].tolist() == planted.NAMES[:4]
    assert list(fig.layout.yaxis.ticktext[:2]) == ["Alpha · 0.03 µM", "Beta · 0.3 µM"]
    hollow = found[found["symbol"].str.endswith("-open")]["compound"]
    assert set(hollow) == {"Gamma"}
    trace = next(t for t in fig.data if t.meta == "compound")
    np.testing.assert_allclose(trace.error_x.arrayminus, 0.1)
    lines = {t.name: t.x[0] for t in fig.data if t.mode == "lines"}
    assert lines == {"healthy control": 0, "untreated disease": 1}


def test_nulls_stand_against_each_other():
    fig = draw.null_agreement(planted.treatments(), level=0.1, **SAID)
    found = drawn(fig)
    assert len(found) == 30
    alpha = found[(found["compound"] == "Alpha") & (found["x"] > 2)]
    assert alpha[["x", "y"]].to_numpy().tolist() == [[5, 4], [5, 4]]
    assert "6 not testable" in fig.layout.title.subtitle.text


def test_searches_are_held_against_wells_and_against_evidence():
    hits = planted.hits()
    fig = search_comparison(planted.searches(), hits, **SAID)
    assert titles(fig) == ["<b>radius on the map</b>", "<b>kNN, PCA</b>"]
    found = drawn(fig)
    assert len(found) == 24
    assert (found["y"] == found["x"] // 2).all()
    assert fig.layout.xaxis.type == "log"
    fig = search_comparison(planted.searches(), hits, against="evidence", **SAID)
    found = drawn(fig)
    np.testing.assert_allclose(found["x"].astype(float), found["y"].astype(float))
    with pytest.raises(ValueError, match="wells"):
        search_comparison(planted.searches(), hits, against="luck", **SAID)


def test_slopes_run_from_the_evidence_through_the_searches():
    searches = planted.searches()
    searches["knn_pca_count"] = [*range(6, 0, -1)] * 2  # Alpha first
    searches["radius_map_count"] = [*range(1, 7)] * 2  # Alpha last
    fig = search_ranks(searches, planted.hits(), top=2, last=4, **SAID)
    lines = {(t.customdata[0][0], t.xaxis): t for t in fig.data if t.meta == "compound"}
    assert set(lines) == {(n, p) for n in ("Alpha", "Beta") for p in ("x", "x2")}
    alpha = lines["Alpha", "x"]
    assert list(fig.layout.xaxis.ticktext) == ["evidence", "radius on the map", "kNN, PCA"]
    assert [row[2] for row in alpha.customdata] == ["1", "6", "1"]
    assert list(alpha.y) == [1, 6, 1]  # 6 is the line of what comes later: last + 2
    assert list(alpha.marker.symbol) == ["circle", "circle-open", "circle"]


def test_the_map_lights_called_compounds_at_their_best_dose():
    wells = planted.wells()
    fig = hits_on_map(wells, planted.hits(), **SAID)
    counts = pd.Series([t.name for t in fig.data for _ in t.x]).value_counts()
    assert counts["rescue, best dose"] == 3 * 2 * 2
    assert counts["off-axis, best dose"] == 2 * 2
    assert counts["healthy control"] == counts["untreated disease"] == 6
    assert counts.sum() == len(wells)
    lit = [c[0] for t in fig.data if t.name == "rescue, best dose" for c in t.customdata]
    assert set(lit) == {"Alpha", "Beta", planted.HOSTILE}
    more = hits_on_map(wells, planted.hits(), every_dose=True, **SAID)
    counts = pd.Series([t.name for t in more.data for _ in t.x]).value_counts()
    assert counts["rescue, all doses"] == 3 * 3 * 2 * 2
    spans = [np.ptp(axis.range) for axis in (fig.layout.xaxis, fig.layout.yaxis)]
    assert spans[0] == pytest.approx(spans[1])


def test_contrast_draws_both_recoveries_with_intervals():
    fig = cell_type_contrast(planted.contrasts(), treatments=planted.treatments(), **SAID)
    found = drawn(fig).set_index("compound")
    assert found.loc["Alpha", ["x", "y"]].tolist() == [0.9, 0.88]
    assert set(found.index) == {"Alpha", "Beta"}
    assert found["symbol"].nunique() == 2
    assert "1 without both scores" in fig.layout.title.subtitle.text
    trace = next(t for t in fig.data if t.name == "rescues in both")
    # on-axis 0.1 (0.0 to 0.3) is a recovery of 0.9 (0.7 to 1.0)
    assert trace.error_x.array[0] == pytest.approx(0.1)
    assert trace.error_x.arrayminus[0] == pytest.approx(0.2)
    assert "only in simian" in visible_text(fig)


def test_enrichment_draws_effects_from_their_null():
    fig = enrichment_bars(planted.classes(), **SAID)
    dots = [t for t in fig.data if "markers" in (t.mode or "") and len(t.x)]
    found = {t.name: list(t.x) for t in dots}
    assert found == {"q ≤ 0.1": [0.9], "q > 0.1": [0.4]}
    assert list(fig.layout.yaxis.ticktext) == [
        "kinase &lt;i&gt;inhibitor&lt;/i&gt; (5)",
        "channel blocker (7)",
    ]
    odds = enrichment_bars(planted.classes(), measure="odds_ratio", **SAID)
    assert [list(t.x) for t in odds.data if "markers" in (t.mode or "") and len(t.x)] == [[12.0]]
    assert odds.layout.xaxis.type == "log"
    assert "2 classes" in odds.layout.title.subtitle.text


def test_names_from_data_are_never_tags(every_figure):
    for name, fig in every_figure.items():
        printed = [text for text in visible_text(fig) if not text.startswith("<b>")]
        assert not [text for text in printed if "<" in text], name
        if name != "contrast":
            named = [row[0] for t in fig.data if t.meta == "compound" for row in t.customdata]
            assert planted.HOSTILE in named, name
    assert as_text(" a\n<b>  c") == "a &lt;b&gt; c"
    assert as_text("x" * 80, 10) == "x" * 9 + "…"


def test_every_figure_says_how_it_stands_on_a_phone(every_figure):
    for name, fig in every_figure.items():
        narrow = fig.layout.meta["narrow"]
        panels = [a for a in fig.layout if a.startswith("xaxis")]
        assert narrow["height"] >= 200 * (len(panels) + 1) // 2, name
        for axis in panels:
            low, high = narrow[f"{axis}.domain"]
            assert 0 <= low < high <= 1, name
            low, high = narrow[f"{axis.replace('x', 'y', 1)}.domain"]
            assert 0 <= low < high <= 1, name


def test_one_cell_type_is_one_panel():
    hits, table = (t[t["cell_type"] == "renal"] for t in (planted.hits(), planted.treatments()))
    for fig in (
        draw.volcano(table, level=0.1, **SAID),
        draw.on_off_plane(table, **SAID),
        draw.rank_whiskers(hits, **SAID),
        draw.null_agreement(table, level=0.1, **SAID),
        hits_on_map(planted.wells(), hits, **SAID).update_layout(),
    ):
        assert "<b>renal</b>" in titles(fig)
    assert titles(draw.volcano(table, level=0.1, **SAID)) == ["<b>renal</b>"]


def test_empty_tables_are_said_in_words():
    none, hits = planted.treatments().iloc[:0], planted.hits().iloc[:0]
    figures = [
        draw.volcano(none, level=0.1, **SAID),
        draw.on_off_plane(none, **SAID),
        draw.rank_whiskers(hits, **SAID),
        draw.null_agreement(none, level=0.1, **SAID),
        search_comparison(planted.searches().iloc[:0], hits, **SAID),
        search_ranks(planted.searches().iloc[:0], hits, **SAID),
        hits_on_map(planted.wells().iloc[:0], hits, **SAID),
        cell_type_contrast(planted.contrasts().iloc[:0], **SAID),
        enrichment_bars(planted.classes().iloc[:0], **SAID),
    ]
    for fig in figures:
        assert len(fig.data) == 0
        assert fig.layout.annotations[0].text.endswith(".")
        assert fig.layout.title.text == "T"


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match="'q'"):
        draw.volcano(planted.treatments().drop(columns="q"), level=0.1, **SAID)
    with pytest.raises(InputError, match="'rank'"):
        draw.rank_whiskers(planted.hits().drop(columns="rank"), **SAID)
    with pytest.raises(InputError, match="'finding'"):
        cell_type_contrast(planted.contrasts().drop(columns="finding"), **SAID)


def test_many_points_are_left_to_webgl():
    table = pd.concat([planted.treatments()] * 70)  # row names repeat
    kinds = {t.type for t in draw.volcano(table, level=0.1, **SAID).data if t.meta == "compound"}
    assert kinds == {"scattergl"}
    few = draw.volcano(planted.treatments(), level=0.1, **SAID)
    assert {t.type for t in few.data} == {"scatter"}
