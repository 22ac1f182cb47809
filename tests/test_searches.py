import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from planted import plate_numbers
from planted_rescue import RESCUERS, rescue_screen, roles, spaces_for
from screenbook.errors import InputError
from screenbook.hits.earth_mover import earth_mover_scores
from screenbook.hits.searches import (
    PER_WELL,
    SEARCHES,
    SearchSettings,
    Spaces,
    antipodal_of_treatments,
    places_of,
    search_screen,
)


@pytest.fixture(scope="module")
def planted():
    return rescue_screen()


@pytest.fixture(scope="module")
def found(planted):
    wells, points = planted
    return search_screen(wells, spaces_for(points))


def take(spaces: Spaces, rows) -> Spaces:
    return Spaces(spaces.places[rows], spaces.components[rows], spaces.profiles[rows])


@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_puts_rescuers_first(found, search):
    is_rescuer = found.compounds["compound_key"].isin(RESCUERS)
    score = found.compounds[f"{search}_score"]
    assert average_precision_score(is_rescuer, score) > 0.9
    best = found.treatments.loc[
        found.treatments.groupby("compound_key")[f"{search}_score"].idxmax()
    ]
    assert (best.loc[best["compound_key"].isin(RESCUERS), "dose"] == 1.0).all()
    counts = found.compounds[f"{search}_count"]
    assert counts[is_rescuer].min() > counts[~is_rescuer].mean()


def test_tables_have_the_columns_that_later_reports_read(planted, found):
    wells, _ = planted
    named = [f"{search}_{what}" for search in SEARCHES for what in ("count", "score")]
    assert [c for c in found.compounds if c.endswith(("_count", "_score"))] == named
    assert {"compound", "compound_key", "cell_type", "n_wells"} <= set(found.compounds)
    assert found.wells.index.equals(wells.index)
    for search in PER_WELL:
        assert found.wells[f"{search}_hit"].dtype == bool
        assert found.wells[f"{search}_score"].notna().all()
    assert not found.compounds.duplicated(["cell_type", "compound_key"]).any()
    keys = ["cell_type", "compound_key", "dose"]
    assert not found.treatments.duplicated(keys).any()
    assert found.compounds["n_wells"].sum() == (wells["role"] == "treated").sum()


def test_counts_are_those_of_the_hit_wells(found):
    for search in PER_WELL:
        hits = found.wells[found.wells[f"{search}_hit"]].groupby("compound_key").size()
        counted = found.compounds.set_index("compound_key")[f"{search}_count"]
        pd.testing.assert_series_equal(
            counted[counted > 0], hits.sort_index(), check_names=False, check_dtype=False
        )
        assert counted.sum() == found.rules.set_index("search").loc[search, "hits"]


def test_wells_in_another_order_have_the_same_scores_hits_and_names(planted, found):
    wells, points = planted
    order = np.random.default_rng(5).permutation(len(wells))
    other = search_screen(wells.iloc[order], take(spaces_for(points), order))
    pd.testing.assert_frame_equal(other.wells.loc[wells.index], found.wells)
    pd.testing.assert_frame_equal(other.treatments, found.treatments)
    pd.testing.assert_frame_equal(other.compounds, found.compounds)
    pd.testing.assert_frame_equal(other.rules, found.rules)


def test_only_treated_wells_are_hits_and_controls_are_judged_without_themselves(planted):
    wells, points = planted
    wells = wells.copy()
    role = roles(wells)
    free = np.flatnonzero(role == "treated")
    role[free[:10]], role[free[10:20]] = "treated_healthy", "blank"
    points = points.copy()
    points[free[:20], 0] -= 5  # they look healthy
    wells["role"] = role
    result = search_screen(wells, spaces_for(points))
    for search in PER_WELL:
        assert not result.wells.loc[role != "treated", f"{search}_hit"].any()
    rules = result.rules.set_index("search").loc[list(PER_WELL)]
    assert (rules["healthy_kept"] > rules["diseased_caught"] + 0.4).all()


def test_shuffled_labels_of_controls_find_nothing():
    kept, precision = [], []
    for seed in range(6):
        wells, points = rescue_screen(n_plates=4, seed=seed)
        role = roles(wells)
        control = np.flatnonzero(np.isin(role, ["healthy", "diseased"]))
        role[control] = np.random.default_rng(seed).permutation(role[control])
        wells["role"] = role
        result = search_screen(wells, spaces_for(points))
        rules = result.rules.set_index("search").loc[list(PER_WELL)]
        kept.append(rules["healthy_kept"] - rules["diseased_caught"])
        is_rescuer = result.compounds["compound_key"].isin(RESCUERS)
        share = result.compounds["knn_full_count"][is_rescuer].mean()
        precision.append(share - result.compounds["knn_full_count"].mean())
    mean = pd.concat(kept, axis=1).mean(axis=1)
    assert (mean.abs() < 0.1).all(), mean
    assert abs(np.mean(precision)) < 2.0  # of 8 wells; 3 more are hits with the true labels


def test_cell_types_have_nothing_to_do_with_one_another(planted, found):
    wells, points = planted
    other, elsewhere = rescue_screen(n_plates=3, seed=8, cell_type="simian")
    elsewhere = np.column_stack([-elsewhere[:, :5], np.zeros((len(elsewhere), 3))])
    both = search_screen(
        pd.concat([other, wells]), spaces_for(np.vstack([elsewhere, points])), SearchSettings()
    )
    pd.testing.assert_frame_equal(both.wells.loc[wells.index], found.wells)
    mine = both.compounds[both.compounds["cell_type"] == "renal"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, found.compounds)
    assert both.compounds["cell_type"].unique().tolist() == ["renal", "simian"]
    alone = search_screen(other, spaces_for(elsewhere[:, :5]))
    pd.testing.assert_frame_equal(both.wells.loc[other.index], alone.wells)


def test_wells_left_out_have_no_part(planted):
    wells, points = planted
    used = np.random.default_rng(0).random(len(wells)) > 0.2
    spoiled = points.copy()
    spoiled[~used] = np.nan
    result = search_screen(wells, spaces_for(spoiled), used=used)
    alone = search_screen(wells[used], spaces_for(points[used]))
    pd.testing.assert_frame_equal(result.wells[used], alone.wells)
    pd.testing.assert_frame_equal(result.compounds, alone.compounds)
    for search in PER_WELL:
        assert result.wells.loc[~used, f"{search}_score"].isna().all()
        assert not result.wells.loc[~used, f"{search}_hit"].any()


def test_many_wells_win_the_count_and_not_the_score():
    wells, points = rescue_screen(n_plates=6, seed=2)
    key = wells["compound_key"].astype(str)
    wells["compound_key"] = key.where(~key.isin([f"KEY{i}" for i in range(15, 28)]), "MANY")
    wells["compound"] = wells["compound_key"]
    result = search_screen(wells, spaces_for(points), SearchSettings(radius=2.5))
    table = result.compounds.set_index("compound_key")
    counts = table["radius_map_count"]
    assert counts.idxmax() == "MANY"  # before all rescuers
    assert result.rules.set_index("search").loc["radius_map", "follows_count"] > 0.2
    for search in SEARCHES:
        rank = table[f"{search}_score"].rank(ascending=False)
        assert rank["MANY"] > len(RESCUERS), search


def test_one_plate_and_one_experiment_are_enough():
    wells, points = rescue_screen(n_plates=1, controls={"healthy": 24, "diseased": 24})
    result = search_screen(wells, spaces_for(points), SearchSettings(fewest_wells=1))
    assert result.rules["reason"].eq("").all()
    assert (
        result.compounds.drop(columns=["compound", "compound_key", "cell_type"]).notna().all(None)
    )


def test_with_few_healthy_wells_it_is_said_which_search_cannot_be_had():
    wells, points = rescue_screen(n_plates=2)
    rare = np.flatnonzero(roles(wells) == "healthy")[4:]
    wells["role"] = np.where(np.isin(np.arange(len(wells)), rare), "blank", roles(wells))
    result = search_screen(wells, spaces_for(points))
    rules = result.rules.set_index("search")
    assert "10 are needed" in rules.loc["mixture", "reason"]
    assert result.wells["mixture_score"].isna().all()
    assert result.compounds["mixture_score"].isna().all()
    assert (result.compounds["mixture_count"] == 0).all()
    assert rules.loc["knn_full", "reason"] == ""
    assert result.wells["knn_full_score"].notna().all()


def test_without_untreated_disease_wells_only_what_needs_none_is_searched(planted):
    wells, points = planted
    kept = (wells["role"] != "diseased").to_numpy()
    result = search_screen(wells[kept], spaces_for(points[kept]))
    can = result.rules.set_index("search")["reason"] == ""
    assert can[can].index.tolist() == ["radius_map", "mixture"]
    assert result.compounds["antipodal_score"].isna().all()
    assert result.compounds["radius_map_count"].sum() > 0


def test_what_cannot_be_searched_is_refused(planted):
    wells, points = planted
    spaces = spaces_for(points)
    kept = (wells["role"] != "healthy").to_numpy()
    with pytest.raises(InputError, match="no healthy wells"):
        search_screen(wells[kept], take(spaces, kept))
    with pytest.raises(InputError, match=r"places have shape \(9, 2\)"):
        search_screen(wells, Spaces(points[:9, :2], points, points))
    with pytest.raises(InputError, match="components are not finite"):
        search_screen(wells, Spaces(points[:, :2], np.where(points > 2, np.nan, points), points))
    with pytest.raises(InputError, match="there twice"):
        search_screen(wells.rename(index=lambda name: "same"), spaces)
    with pytest.raises(InputError, match="`used` has 3 entries"):
        search_screen(wells, spaces, used=np.ones(3, dtype=bool))


def test_missing_doses_keep_scores_with_their_treatments(planted):
    wells, points = planted
    wells = wells.copy()
    wells.loc[wells["compound_key"].isin(["KEY3", "KEY5"]), "treatment_conc"] = np.nan
    result = search_screen(wells, spaces_for(points))
    table = result.treatments.set_index("compound_key")
    assert np.isnan(table.loc["KEY3", "dose"])
    assert table.loc["KEY3", "n_wells"] == 12
    assert table.loc["KEY3", "antipodal_score"] > table.loc["KEY5", "antipodal_score"]
    assert table.loc["KEY3", "knn_full_score"] > table.loc["KEY5", "knn_full_score"]
    moved = earth_mover_scores(points, wells.sort_index()).treatments
    assert len(moved) == len(table)


def test_the_cosine_of_a_treatment_is_that_of_its_mean(planted):
    wells, points = planted
    plates = plate_numbers(wells)
    found = antipodal_of_treatments(points, wells, roles(wells), plates)
    rows = ((wells["compound_key"] == "KEY0") & (wells["treatment_conc"] == 1.0)).to_numpy()
    role = roles(wells)
    ways, offsets = [], []
    for plate in range(6):
        here, others = plates == plate, plates != plate
        untreated = points[here & (role == "diseased")].mean(axis=0)
        offsets.append(points[here & rows].mean(axis=0) - untreated)
        means = [points[others & (role == kind)].mean(axis=0) for kind in ("healthy", "diseased")]
        ways.append(means[0] - means[1])
    a, b = np.mean(offsets, axis=0), np.mean(ways, axis=0)
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert found[1] == pytest.approx(expected)  # KEY0 at the second of its two doses
    assert expected > 0.9


def test_places_are_found_by_id():
    table = pd.DataFrame({"id": ["c", "a", "b"], "x": [3.0, 1.0, 2.0], "y": [30.0, 10.0, 20.0]})
    np.testing.assert_array_equal(places_of(table, pd.Index(["a", "c"])), [[1, 10], [3, 30]])
    with pytest.raises(InputError, match="no place for 'd'"):
        places_of(table, pd.Index(["a", "d"]))
    with pytest.raises(InputError, match="'a' twice"):
        places_of(pd.concat([table, table.iloc[[1]]]), pd.Index(["b"]))
