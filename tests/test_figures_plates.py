import numpy as np
import pandas as pd
import pytest

from planted import noisy_points, plate_wells
from screenbook.figures.plates import (
    control_places as draw_control_places,
)
from screenbook.figures.plates import (
    layout_map,
    position_effect_bars,
    position_heatmaps,
    row_name,
)
from screenbook.profiles.position import (
    control_places,
    position_maps,
    screen_position_effects,
)


@pytest.fixture
def wells():
    return plate_wells(n_plates=3)


@pytest.mark.parametrize(("row", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (31, "AF")])
def test_rows_are_lettered_as_on_plates(row, name):
    assert row_name(row) == name


def test_one_plate_is_visible_and_the_menu_shows_each_alone(wells):
    fig = layout_map(wells, title="t")
    visible = [trace for trace in fig.data if trace.visible]
    assert sum(len(trace.x) for trace in visible) == 96
    buttons = fig.layout.updatemenus[0].buttons
    assert len(buttons) == 3
    states = np.array([button.args[0]["visible"] for button in buttons])
    assert states.shape == (3, len(fig.data))
    assert (states.sum(axis=0) == 1).all()
    assert len({trace.marker.symbol for trace in visible}) == 3


def test_the_layout_map_turns_the_plate_the_right_way_up(wells):
    fig = layout_map(wells[wells["plate"] == "1"], title="t")
    corner = [t for t in fig.data for x, y in zip(t.x, t.y, strict=True) if (x, y) == (1, 0)]
    assert (
        corner[0].customdata[list(zip(corner[0].x, corner[0].y, strict=True)).index((1, 0))][1]
        == "A01"
    )
    top, bottom = fig.layout.yaxis.range[1], fig.layout.yaxis.range[0]
    assert top < bottom  # row A is above
    assert not fig.layout.updatemenus


def test_places_of_controls_are_shares_of_plates(wells):
    places = control_places(wells, ["healthy", "diseased", "vehicle"])
    assert list(places) == ["healthy", "diseased"]
    assert places["healthy"]["share"].sum() * 3 == pytest.approx(60)
    fig = draw_control_places(places, title="t")
    assert len(fig.data) == 2
    first = places["healthy"].iloc[17]
    assert fig.data[0].z[int(first["row"])][int(first["column"])] == first["share"]


def test_heatmaps_keep_unused_positions_blank(wells):
    kept = wells[(wells["row"] > 0) & (wells["column"] > 1)]
    score = np.random.default_rng(0).normal(size=len(kept))
    maps = position_maps(score, kept)
    fig = position_heatmaps(maps, title="t")
    assert np.isnan(fig.data[0].z[0]).all()
    assert fig.layout.coloraxis.cmin == -fig.layout.coloraxis.cmax
    assert fig.data[0].y[0] == "A"


def test_only_sure_effects_are_filled(wells):
    both = pd.concat([wells, plate_wells(n_plates=3, cell_type="simian", seed=5)])
    points = noisy_points(both, k=3)
    scores = pd.DataFrame(points, columns=["PC1", "PC2", "axis"], index=both.index)
    scores["axis"] += 2 * both["row"]
    effects = screen_position_effects(
        scores, both, ["healthy", "diseased"], pooled=["PC1", "PC2"], n_permutations=499, seed=0
    )
    assert effects.groupby(["cell_type", "among"]).size().tolist() == [12] * 4
    fig = position_effect_bars(effects, level=0.05, title="t")
    bars = [trace for trace in fig.data if trace.type == "bar"]
    assert len(bars) == 12  # two cell types, all wells and controls, three effects
    filled = {
        (bar.name, score)
        for bar in bars
        for score, colour in zip(bar.x, bar.marker.color, strict=True)
        if colour.startswith("#")
    }
    assert ("row", "axis") in filled
    legend = [trace.name for trace in fig.data if trace.showlegend is not False]
    assert legend == ["row", "column", "edge"]
