"""Figures of single cells: what is drawn is what the tables hold."""

import numpy as np
import pandas as pd
import pytest

from planted_images import HOSTILE, legend, named, picture_of
from screenbook.errors import InputError
from screenbook.figures.cells import (
    cell_gallery,
    effects_by_test,
    outlined_fields,
    power_curves,
    responding_shares,
    score_distributions,
)

TESTS = ("well means", "share of changed cells")


def effects():
    rows = [
        {
            **{"test": test, "treatment": treatment, "effect": d, "low": d - 0.7, "high": d + 0.7},
            **{"q": 0.01, "n_wells": 12},
        }
        for test, values in zip(TESTS, ((5.7, 0.4, 0.5), (5.1, 1.4, 0.4)), strict=True)
        for treatment, d in zip(("full", "rare", "inert"), values, strict=True)
    ]
    return pd.DataFrame(rows)


def test_outlines_lie_around_nuclei_and_cells():
    numbers = np.zeros((1, 60, 60), dtype=int)
    numbers[0, 20:40, 20:40] = 3
    pictures = np.full((1, 60, 60, 3), 40, np.uint8)
    fig = outlined_fields(pictures, numbers * 0, numbers, ["well A"], title="t")
    drawn = picture_of(fig.layout.images[0].source)
    assert drawn.shape == (480, 480, 3)
    amber = (drawn[..., 0] > 200) & (drawn[..., 2] < 50)
    y, x = np.nonzero(amber)
    assert (y.min(), y.max(), x.min(), x.max()) == (159, 319, 159, 319)
    assert amber.sum() == pytest.approx(4 * 160, abs=4)
    assert (drawn[300:310, 300:310] < 60).all()
    white = picture_of(
        outlined_fields(pictures, numbers, numbers, ["a"], title="t").layout.images[0].source
    )
    assert ((white > 240).all(axis=-1) == amber).all()
    assert fig.layout.meta["narrow"]


def test_outlines_need_one_of_each():
    zeros, pictures = np.zeros((1, 8, 8), int), np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="2 pictures, 1 and 1 numbered fields and 2 labels"):
        outlined_fields(pictures, zeros, zeros, ["a", "b"], title="t")


def test_distributions_are_densities_without_reference_cells():
    rng = np.random.default_rng(0)
    cells = pd.DataFrame(
        {
            "treatment": np.repeat(["control", "rare", HOSTILE], 3000),
            "score": np.concatenate([rng.normal(c, 1, 3000) for c in (0, 1, 5)]),
            "reference": np.tile([True, False, False], 3000),
        }
    )
    fig = score_distributions(cells, ["control", "rare", HOSTILE], title="t", threshold=2.0)
    assert legend(fig)[:2] == ["control (2,000)", "rare (2,000)"]
    assert "<img" not in fig.to_json().replace("\\u003c", "<")
    for trace, centre in zip(fig.data, (0, 1, 5), strict=False):
        x, y = np.array(trace.x), np.array(trace.y)
        assert (y * (x[1] - x[0])).sum() == pytest.approx(1, abs=0.02)
        assert (x * y).sum() / y.sum() == pytest.approx(centre, abs=0.1)
    assert set(named(fig, "marked from here")[0].x) == {2.0}
    assert fig.data[0].fill == "tozeroy"


def test_a_treatment_without_cells_is_left_out():
    cells = pd.DataFrame({"treatment": ["control"] * 4, "score": range(4), "reference": False})
    fig = score_distributions(cells, ["control", "drug"], title="t")
    assert legend(fig) == ["control (4)"]
    none = score_distributions(cells, ["drug"], title="t")
    assert none.layout.annotations[0].text == "There is no cell with a score."


def test_effects_stand_side_by_side_with_their_intervals():
    table = effects()
    fig = effects_by_test(table, title="t")
    for test in TESTS:
        (trace,) = named(fig, test)
        some = table[table["test"] == test]
        assert list(trace.x) == some["effect"].tolist()
        np.testing.assert_allclose(trace.error_x.array, 0.7)
    assert list(fig.layout.yaxis.ticktext) == ["full", "rare", "inert"]
    low, high = fig.layout.xaxis.range
    assert low < -0.7
    assert high > 6.4
    assert named(fig, "no difference")


def test_effects_that_are_not_known_are_left_out():
    table = effects()
    table.loc[0, ["effect", "low", "high"]] = np.nan
    assert len(named(effects_by_test(table, title="t"), TESTS[0])[0].x) == 2


def test_responding_shares_stand_beside_what_was_drawn():
    table = pd.DataFrame(
        {"treatment": ["full", "rare"], "responding": [0.7, 0.1], "low": 0.01, "high": 0.9}
    )
    fig = responding_shares(table, title="t", truth={"full": 0.9, "rare": 0.15})
    (level,) = named(fig, "drawn so")
    assert {x for x in level.x if x is not None} == {0.9, 0.15}
    assert not named(responding_shares(table, title="t"), "drawn so")


def test_power_has_a_panel_for_each_treatment():
    table = pd.DataFrame(
        [
            {"test": test, "treatment": treatment, "n_wells": n, "power": n / 12}
            for test in TESTS
            for treatment in ("full", HOSTILE)
            for n in (6, 2, 12)
        ]
    )
    fig = power_curves(table, title="t")
    assert len(fig.data) == 4
    assert list(fig.data[0].x) == [2, 6, 12]
    assert legend(fig) == list(TESTS)
    assert "<img" not in "".join(a.text for a in fig.layout.annotations)
    empty = power_curves(table.iloc[:0], title="t")
    assert empty.layout.annotations[0].text == "There is no number of wells to draw."


def test_cells_are_shown_under_their_group():
    rng = np.random.default_rng(0)
    groups = {
        name: rng.integers(0, 255, (n, 20, 20, 3), dtype=np.uint8)
        for name, n in (("control", 9), ("rare", 8))
    }
    fig = cell_gallery(groups, title="t")
    assert len(fig.layout.images) == 17
    headings = [a.text for a in fig.layout.annotations if a.text.startswith("<b>")]
    assert headings == ["<b>control</b>", "<b>rare</b>"]


@pytest.mark.parametrize("draw", [effects_by_test, responding_shares, power_curves])
def test_a_missing_column_is_named(draw):
    with pytest.raises(InputError, match=r"\(\): column '\w+' is missing"):
        draw(pd.DataFrame({"nothing": [1]}), title="t")
