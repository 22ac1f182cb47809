"""Colourings and maps: what the menu does is worked out here as plotly.js would do it."""

import base64

import numpy as np
import pandas as pd
import pytest

from screenbook.figures.colouring import (
    MOST_CLASSES,
    PALE,
    by_class,
    by_number,
    metadata_colourings,
)
from screenbook.figures.map_evidence import (
    distance_figure,
    question_figure,
    recall_figure,
    variance_figure,
)
from screenbook.figures.maps import Panel, map_figure
from screenbook.figures.palette import ROLE_COLOURS, ROLE_NAMES
from screenbook.screen import Roles


def colour_at(colouring, i):
    """The colour that plotly gives a well on a scale of steps."""
    t = (float(colouring.values[i]) - colouring.low) / (colouring.high - colouring.low)
    below = [colour for position, colour in colouring.scale if position <= t]
    return below[-1]


def decode(spec):
    return np.frombuffer(base64.b64decode(spec["bdata"]), np.dtype(spec["dtype"]).newbyteorder("<"))


@pytest.fixture
def obs():
    """Sixty wells of three plates, a third of them controls."""
    n = 60
    rng = np.random.default_rng(0)
    treated = np.arange(n) % 3 > 0
    compound = np.where(treated, np.char.add("SBK-", (np.arange(n) % 7).astype(str)), "")
    return pd.DataFrame(
        {
            "cell_type": "renal",
            "experiment": np.repeat(["E1", "E2"], n // 2),
            "plate": np.repeat(["1", "2", "10"], n // 3),
            "well": [f"A{i:02d}" for i in range(n)],
            "site": 0,
            "disease_condition": np.where(np.arange(n) % 6 == 0, "Mock", "Active"),
            "treatment": compound,
            "treatment_conc": np.where(treated, rng.choice([0.01, 0.1, 1.0], n), np.nan),
            "SMILES": compound,
            "batch": np.repeat(["E1/1", "E1/2", "E2/10"], n // 3),
            "row": 0,
            "column": np.arange(n),
            "role": pd.Categorical(
                np.select([treated, np.arange(n) % 6 == 0], ["treated", "healthy"], "diseased")
            ),
            "compound": pd.Categorical(compound),
        }
    )


@pytest.fixture
def roles():
    return Roles(healthy=("Mock",), diseased=("Active",))


@pytest.fixture
def figure(obs, roles):
    rng = np.random.default_rng(1)
    every = np.arange(60)
    panels = [Panel(t, rng.normal(size=(60, 2)).astype("f4"), every) for t in ("before", "after")]
    colourings, _ = metadata_colourings(obs, roles)
    return map_figure(panels, obs, colourings, title="Wells part", subtitle="60 wells"), colourings


# --- colourings ----------------------------------------------------------------------------------


def test_every_class_gets_its_own_colour_and_marker():
    values = pd.Series(np.repeat([f"class {i}" for i in range(20)], 2))
    found = by_class("moa", values)
    marks = {(entry.colour, entry.symbol) for entry in found.legend}
    assert len(marks) == 20
    for i in range(40):
        assert colour_at(found, i) == found.legend[i // 2].colour
    assert len({(colour_at(found, i), found.symbols[i]) for i in range(40)}) == 20


def test_role_keeps_the_colours_of_the_series():
    values = pd.Series(["treated", "healthy", "treated", "diseased"])
    found = by_class("role", values, colours=ROLE_COLOURS, names=ROLE_NAMES)
    assert [entry.label for entry in found.legend] == [
        "healthy control (1)",
        "untreated disease (1)",
        "treated (2)",
    ]
    assert [colour_at(found, i) for i in range(4)] == [ROLE_COLOURS[v] for v in values]


def test_blank_and_missing_classes_are_pale_and_counted():
    found = by_class("moa", pd.Series(["a", "", None, "b"]))
    assert found.legend[-1].label == "(blank) (2)"
    assert [colour_at(found, i) == PALE for i in range(4)] == [False, True, True, False]


def test_of_very_many_classes_the_largest_are_coloured():
    sizes = {f"c{i}": 2 for i in range(100)} | {"big": 9}
    values = pd.Series([name for name, size in sizes.items() for _ in range(size)])
    found = by_class("compound", values)
    assert len(found.legend) < MOST_CLASSES
    assert found.legend[0].label == "big (9)"
    assert found.legend[-1].label.endswith(f"({len(values) - 9 - 2 * 13})")
    assert colour_at(found, values.index[values == "big"][0]) != PALE


def test_plates_are_in_the_order_of_their_numbers():
    found = by_class("plate", pd.Series(["10", "9", "2"]))
    assert [entry.label for entry in found.legend] == ["2 (1)", "9 (1)", "10 (1)"]


def test_dose_is_on_a_log_scale_and_untreated_wells_are_pale():
    found = by_number("dose (µM)", pd.Series([0.01, 0.1, 1.0, np.nan, 0.0]), log=True)
    assert found.values[:3] == pytest.approx([-2, -1, 0])
    assert found.ticks[1:] == [
        (pytest.approx(-2), "0.01"),
        (pytest.approx(-1), "0.1"),
        (pytest.approx(0), "1"),
    ]
    assert found.ticks[0][1] == "none"
    assert colour_at(found, 3) == colour_at(found, 4) == PALE
    assert colour_at(found, 0) != PALE
    assert found.low <= found.values.min()
    assert found.high >= found.values.max()


def test_number_without_gaps_has_no_pale_foot():
    found = by_number("load", pd.Series([1.5, 2.0, 4.0]))
    assert found.low == 1.5
    assert PALE not in [colour for _, colour in found.scale]
    assert "none" not in [text for _, text in found.ticks]


def test_trimmed_ends_leave_the_scale_to_the_many():
    values = pd.Series([*np.linspace(0, 1, 98), 50.0, -50.0])
    found = by_number("score", values, trim=0.02)
    assert found.low > -1
    assert found.high < 2
    assert found.values[98] == pytest.approx(found.high)
    assert found.values[99] == pytest.approx(found.low)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0.013, 1.48, ["0.2", "1.4"]),
        (-7, 930, ["0", "800"]),
    ],
)
def test_ticks_are_round_numbers(low, high, ticks):
    found = [text for _, text in by_number("x", pd.Series([low, high, 0.5 * (low + high)])).ticks]
    assert (found[0], found[-1]) == (ticks[0], ticks[-1])
    assert 3 <= len(found) <= 9


def test_constant_or_empty_number_still_has_a_scale():
    for values in ([2.0, 2.0], [np.nan, np.nan]):
        found = by_number("x", pd.Series(values))
        assert found.high > found.low
        assert np.isfinite(found.values).all()


def test_every_column_that_tells_wells_apart_is_offered_once(obs, roles):
    found, left_out = metadata_colourings(obs, roles)
    assert [c.name for c in found] == [
        "role",
        "disease condition",
        "experiment",
        "plate of an experiment",
        "compound",
        "dose (µM)",
        "plate column",
    ]
    assert left_out["cell_type"] == "the same for all"
    assert left_out["plate"] == "the same groups as batch"
    assert left_out["SMILES"] == "the same groups as compound"
    offered = {"role", "disease_condition", "experiment", "batch", "compound", "treatment_conc"}
    assert offered | {"column"} | set(left_out) == set(obs.columns)


def test_extra_colourings_follow_the_role(obs, roles):
    extra = by_number("score", pd.Series(np.arange(60.0)))
    found, _ = metadata_colourings(obs, roles, extra=[extra])
    assert found[1] is extra


# --- the map -------------------------------------------------------------------------------------


def test_map_has_one_menu_with_every_colouring_for_both_panels(figure):
    fig, colourings = figure
    (menu,) = fig.layout.updatemenus
    assert [b.label for b in menu.buttons] == [f"Colour: {c.name}" for c in colourings]
    panels = [t for t in fig.data if t.type == "scattergl"]
    assert len(panels) == 2
    for button, colouring in zip(menu.buttons, colourings, strict=True):
        restyle, relayout, traces = button.args
        assert list(traces) == list(range(len(fig.data)))
        assert all(len(values) == len(traces) for values in restyle.values())
        for i, trace in enumerate(panels):
            # The wells of a trace are told by their address, whatever order they are drawn in.
            where = [int(row[2][1:]) for row in trace.customdata]
            assert decode(restyle["marker.color"][i]).tolist() == colouring.values[where].tolist()
            symbols = restyle["marker.symbol"][i]
            found = decode(symbols).tolist() if isinstance(symbols, dict) else [0] * len(where)
            assert found == colouring.symbols[where].tolist()
        shown = restyle["visible"].count(True) - 2
        assert shown == len(colouring.legend)
        assert restyle["name"][2 : 2 + shown] == [e.label for e in colouring.legend]
        assert relayout["coloraxis.showscale"] is (not colouring.legend)
        assert relayout["coloraxis.cmax"] == colouring.high


def test_map_opens_in_the_first_state_of_its_menu(figure):
    fig, colourings = figure
    assert fig.layout.legend.title.text == colourings[0].name
    lines = [t.name for t in fig.data[2:] if t.visible is True]
    assert lines == [e.label for e in colourings[0].legend]
    assert fig.layout.coloraxis.cmin == colourings[0].low
    assert fig.layout.coloraxis.showscale is False


def test_map_follows_the_compound_convention_and_is_made_of_typed_arrays(figure, obs):
    fig, _ = figure
    for trace in fig.data[:2]:
        assert trace.meta == "compound"
        assert {row[0] for row in trace.customdata} == set(obs["compound"].astype(str))
        assert trace.x.dtype == np.float32
        assert trace.marker.color["dtype"] == trace.marker.symbol["dtype"] == "i1"
    experiment = fig.layout.updatemenus[0].buttons[2].args[0]
    assert experiment["marker.symbol"][:2] == ["circle", "circle"]  # no cycle, no array


def test_controls_lie_on_top_and_treated_wells_are_shuffled(figure, obs):
    fig, _ = figure
    where = [int(row[2][1:]) for row in fig.data[0].customdata]
    treated = (obs["role"] == "treated").to_numpy()[where]
    assert treated[: treated.sum()].all()
    assert sorted(where) == list(range(60))
    assert where[:40] != sorted(where[:40])


def test_hover_names_the_well_with_its_dose_or_role(figure):
    fig, _ = figure
    by_well = {row[2]: list(row) for row in fig.data[0].customdata}
    assert by_well["A00"] == ["", "E1/1", "A00", "healthy control"]
    assert by_well["A03"] == ["", "E1/1", "A03", "untreated disease"]
    assert by_well["A59"][:3] == ["SBK-3", "E2/10", "A59"]
    assert by_well["A59"][3] in {"0.01 µM", "0.1 µM", "1 µM"}


def test_panels_may_hold_different_wells(obs, roles):
    rng = np.random.default_rng(2)
    colourings, _ = metadata_colourings(obs, roles)
    wells = [np.arange(10), np.arange(10, 60)]
    panels = [Panel("", rng.normal(size=(len(w), 2)).astype("f4"), w) for w in wells]
    fig = map_figure(panels, obs, colourings, title="t", subtitle="s")
    colours = fig.layout.updatemenus[0].buttons[3].args[0]["marker.color"]
    assert [len(decode(c)) for c in colours[:2]] == [10, 50]


def test_panels_are_square_and_hold_all_wells(obs, roles):
    rng = np.random.default_rng(3)
    flat = (rng.normal(size=(60, 2)) * [1, 20]).astype("f4")
    colourings, _ = metadata_colourings(obs, roles)
    fig = map_figure([Panel("", flat, np.arange(60))], obs, colourings, title="t", subtitle="s")
    for axis, values in ((fig.layout.xaxis, flat[:, 0]), (fig.layout.yaxis, flat[:, 1])):
        assert axis.range[0] < values.min() <= values.max() < axis.range[1]
        assert np.diff(axis.range) == pytest.approx(1.06 * np.ptp(flat[:, 1]), rel=1e-5)


def test_narrow_pages_get_panels_one_below_the_other(figure):
    narrow = figure[0].layout.meta["narrow"]
    upper, lower = narrow["yaxis.domain"], narrow["yaxis2.domain"]
    assert 0 <= lower[0] < lower[1] < upper[0] < upper[1] <= 1
    assert narrow["xaxis.domain"] == narrow["xaxis2.domain"] == [0, 1]


# --- evidence ------------------------------------------------------------------------------------


def test_question_figure_marks_every_space_and_chance():
    table = pd.DataFrame(
        {
            "question": ["plate", "plate", "compound, another plate", "compound, another plate"],
            "space": ["raw", "map"] * 2,
            "shared": [0.9, 0.8, 0.2, 0.3],
            "low": [0.85, 0.75, 0.1, 0.2],
            "high": [0.95, 0.85, 0.3, 0.4],
            "chance": [0.05, 0.05, 0.01, 0.01],
            "n_queries": 100,
        }
    )
    fig = question_figure({"before": table, "after": table}, title="t", subtitle="s", x="share")
    names = [t.name for t in fig.data if t.showlegend]
    assert names == ["raw", "map", "chance"]
    raw = fig.data[0]
    assert list(raw.x) == [0.9, 0.2]
    assert list(raw.error_x.array) == pytest.approx([0.05, 0.1])
    assert list(raw.error_x.arrayminus) == pytest.approx([0.05, 0.1])
    assert fig.data[2].x[0] == 0.05
    assert fig.layout.yaxis2.matches == "y"


def test_evidence_figures_carry_their_numbers():
    recall = pd.DataFrame(
        {"drawing": ["a", "a", "b", "b"], "k": [5, 50] * 2, "recall": [0.4, 0.6, 0.1, 0.2]}
    ).assign(chance=0.01)
    fig = recall_figure(recall, title="t", subtitle="s")
    assert [t.name for t in fig.data] == ["a", "b", "a random map"]
    assert list(fig.data[0].y) == [0.4, 0.6]

    pairs = pd.DataFrame(
        {"reference": [1.0, 2.0], "drawn": [5.0, 10.0], "a_name": "<b>x", "b_name": "y"}
    )
    fig = distance_figure({"map": pairs, "PCA": pairs}, title="t", subtitle="s", reference="d")
    assert list(fig.data[1].y) == [0.5, 1.0]

    fig = variance_figure({"before": [0.5, 0.3]}, 0.95, title="t", subtitle="s")
    assert list(fig.data[0].y) == pytest.approx([0.5, 0.8])
