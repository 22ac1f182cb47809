import numpy as np
import pandas as pd
import pytest

from planted import plate_wells
from screenbook.profiles.position import (
    is_edge,
    layout_of,
    plate_gradients,
    position_effects,
    position_map,
    position_residuals,
)


def effects_of(values, wells, **options):
    options = {"n_permutations": 199, "seed": 0, **options}
    return position_effects(pd.DataFrame({"score": values}), wells, **options).set_index("effect")


@pytest.fixture
def wells():
    return plate_wells(n_plates=6)


@pytest.fixture
def noise(wells):
    return np.random.default_rng(0).normal(size=len(wells))


def edge_of(wells):
    return is_edge(wells["row"].to_numpy(), wells["column"].to_numpy())


def test_a_clean_screen_has_no_position_effect(wells):
    rng = np.random.default_rng(5)
    p = [effects_of(rng.normal(size=len(wells)), wells, seed=i)["p"].to_numpy() for i in range(40)]
    assert 0.005 < np.mean(np.array(p) < 0.05) < 0.12


def test_an_edge_effect_is_found_with_its_size(wells, noise):
    table = effects_of(noise + 1.0 * edge_of(wells), wells)
    assert table.loc["edge", "p"] == pytest.approx(1 / 200)
    sd = np.sqrt(1 + edge_of(wells).mean() * (1 - edge_of(wells).mean()))
    assert table.loc["edge", "size"] == pytest.approx(1 / sd, abs=0.15)
    assert table.loc["edge", "share"] == pytest.approx(1 - 1 / sd**2, abs=0.06)
    assert (table["q"] >= table["p"]).all()


def test_a_row_gradient_is_seen_in_rows_and_not_in_columns(wells, noise):
    table = effects_of(noise + 0.3 * wells["row"].to_numpy(), wells)
    assert table.loc["row", "p"] <= 0.01
    assert table.loc["column", "p"] > 0.05
    assert table.loc["row", "share"] > 5 * table.loc["column", "share"]


def test_where_the_controls_stand_is_no_position_effect():
    wells = plate_wells(n_plates=6)
    # all healthy wells at the edge, and healthy wells score low
    edge = edge_of(wells)
    role = wells["role"].astype(str).to_numpy().copy()
    role[edge & (role == "treated")] = "healthy"
    wells["role"] = role
    rng = np.random.default_rng(1)
    table = effects_of(rng.normal(size=len(wells)) - 5 * (role == "healthy"), wells)
    assert table["p"].min() > 0.01


def test_one_layout_on_all_plates_does_not_turn_compounds_into_positions():
    one = plate_wells(n_plates=1)
    wells = pd.concat([one.assign(plate=str(i), batch=f"e/{i}") for i in range(8)])
    rng = np.random.default_rng(2)
    p = []
    for i in range(25):
        compound = np.tile(3 * rng.normal(size=len(one)), 8)  # every position its own compound
        table = effects_of(compound + rng.normal(size=len(wells)), wells, seed=i)
        assert (table["layouts"] == 1).all()
        p += table["p"].tolist()
    assert np.mean(np.array(p) < 0.05) < 0.15


def test_controls_in_one_place_on_all_plates_gain_from_more_plates():
    one = plate_wells(n_plates=1, controls={"vehicle": 6})
    wells = pd.concat([one.assign(plate=str(i), batch=f"e/{i}") for i in range(30)])
    wells = wells[wells["role"] == "vehicle"]
    low = wells["row"].to_numpy() > wells["row"].median()
    values = np.random.default_rng(6).normal(size=len(wells)) + 1.5 * low
    assert effects_of(values, wells, average_layouts=False).loc["row", "p"] <= 0.01
    averaged = effects_of(values, wells)
    assert (averaged["layouts"] == 1).all()
    assert averaged.loc["row", "p"] > 1 / 200


def test_layouts_are_told_apart_by_what_is_in_the_wells(wells):
    assert len(np.unique(layout_of(wells))) == 6
    first = wells[wells["plate"] == "1"]
    same = pd.concat([first, first.sample(frac=1, random_state=0).assign(batch="other/1")])
    assert set(layout_of(same)) == {0}


def test_pooled_scores_find_what_is_spread_over_several(wells):
    rng = np.random.default_rng(3)
    scores = pd.DataFrame(rng.normal(size=(len(wells), 6)), columns=list("abcdef"))
    scores += 0.35 * edge_of(wells)[:, None]
    table = position_effects(scores, wells, pooled=list("abcde"), n_permutations=199, seed=0)
    assert list(table["score"].unique()) == ["pooled", *"abcdef"]
    pooled = table[table["score"] == "pooled"].set_index("effect")
    assert pooled.loc["edge", "p"] == pytest.approx(1 / 200)
    single = table[(table["effect"] == "edge") & table["score"].isin(list("abcde"))]["share"]
    assert pooled.loc["edge", "share"] == pytest.approx(single.mean(), abs=0.02)


def test_the_order_of_rows_does_not_matter_to_what_is_observed(wells, noise):
    values = noise + 0.5 * edge_of(wells)
    order = np.random.default_rng(4).permutation(len(wells))
    one, two = effects_of(values, wells), effects_of(values[order], wells.iloc[order])
    pd.testing.assert_series_equal(one["size"], two["size"])


def test_wells_without_address_or_score_are_left_out(wells, noise):
    wells = wells.copy()
    wells.iloc[:10, wells.columns.get_loc("row")] = -1
    noise[10:15] = np.nan
    assert (effects_of(noise, wells)["wells"] == len(wells) - 15).all()
    wells["row"] = -1
    assert effects_of(noise, wells).empty
    assert plate_gradients(noise, wells).empty
    assert position_map(noise, wells).empty


def test_residuals_have_no_plate_or_role_left_and_no_extremes(wells, noise):
    role = (wells["role"] == "healthy").to_numpy()
    noise[3] = 1e6
    residual = position_residuals((noise + 9 * role)[:, None], wells)[:, 0]
    means = (
        pd.Series(residual, index=wells.index)
        .groupby([wells["batch"], wells["role"]], observed=True)
        .mean()
    )
    np.testing.assert_allclose(means, 0, atol=1e-9)
    assert np.abs(residual).max() < 6


def test_the_map_shows_the_planted_place(wells, noise):
    hot = ((wells["row"] == 3) & (wells["column"] == 4)).to_numpy()
    table = position_map(noise + 3 * hot, wells).set_index(["row", "column"])
    assert (table["n"] == 6).all()
    assert table["mean"].idxmax() == (3, 4)


def test_a_tilted_plate_is_found_and_only_that(wells, noise):
    tilted = (wells["plate"] == "2").to_numpy()
    across = wells["column"].to_numpy() / 11 - 0.5
    table = plate_gradients(noise + 3 * tilted * across, wells).set_index("batch")
    assert list(table.index[table["tilt_q"] < 0.05]) == ["renal-1/2"]
    assert table.loc["renal-1/2", "tilt"] == pytest.approx(3, abs=0.7)
    assert table.loc["renal-1/2", "tilt_share"] > 0.3


def test_too_few_wells_for_a_plane_are_left_out(wells, noise):
    few = wells.groupby("batch", observed=True).head(5)
    assert plate_gradients(noise[: len(few)], few).empty
