import numpy as np
import pytest
from scipy.spatial.distance import cdist

from planted import plate_numbers
from planted_rescue import RESCUERS, rescue_screen, roles
from screenbook.errors import InputError
from screenbook.hits.healthy_likeness import (
    antipodal_cosine,
    cosine,
    healthy_share,
    mixture_density,
    near_on_map,
)


def mixture(wells, points, **changes):
    experiments = np.zeros(len(wells), dtype=int)
    return mixture_density(points, roles(wells), plate_numbers(wells), experiments, **changes)


def every_search(points, role, plates):
    return {
        "radius": near_on_map(points[:, :2], role),
        "neighbours": healthy_share(points, role),
        "mixture": mixture_density(points, role, plates, 0 * plates),
        "antipodal": antipodal_cosine(points, role, plates),
    }


@pytest.mark.parametrize("search", ["radius", "neighbours", "mixture", "antipodal"])
def test_rescued_wells_are_hits_and_inert_ones_are_not(search):
    wells, points = rescue_screen()
    found = every_search(points, roles(wells), plate_numbers(wells))[search]
    hit = found.hit(roles(wells))
    strong = (wells["treatment_conc"] == 1.0).to_numpy()
    rescued = wells["compound_key"].isin(RESCUERS).to_numpy() & strong
    inert = (wells["role"] == "treated").to_numpy() & ~rescued
    # The radius keeps half of healthy wells by its rule.
    assert hit[rescued].mean() > (0.3 if search == "radius" else 0.8)
    assert hit[inert].mean() < 0.15  # a cosine of noise reaches half of 1 in 8 axes
    assert not hit[~rescued & ~inert].any()
    assert found.score[rescued].mean() > found.score[inert].mean()


@pytest.mark.parametrize("search", ["radius", "neighbours", "mixture", "antipodal"])
def test_without_a_disease_effect_healthy_and_diseased_reach_the_level_alike(search):
    wells, points = rescue_screen(n_plates=10, gap=0.0)
    role = roles(wells)
    found = every_search(points, role, plate_numbers(wells))[search]
    kept = found.share_reached(role, "healthy")
    assert found.share_reached(role, "diseased") == pytest.approx(kept, abs=0.1)
    assert found.share_reached(role, "treated") == pytest.approx(kept, abs=0.1)


def test_the_radius_is_that_of_the_median_healthy_well_without_itself():
    wells, points = rescue_screen()
    role, k = roles(wells), 7
    healthy = np.flatnonzero(role == "healthy")
    found = near_on_map(points[:, :2], role, n_neighbors=k)
    apart = np.sort(cdist(points[:, :2], points[healthy, :2]), axis=1)
    expected = apart[:, k - 1]
    expected[healthy] = apart[healthy, k]  # passing over itself at distance 0
    np.testing.assert_allclose(found.score, -expected / np.median(expected[healthy]))
    assert found.share_reached(role, "healthy") == 0.5


def test_a_radius_given_is_taken_and_a_wider_one_finds_more():
    wells, points = rescue_screen()
    narrow = near_on_map(points[:, :2], roles(wells), radius=0.5)
    wide = near_on_map(points[:, :2], roles(wells), radius=1.0)
    assert narrow.facts["radius"] == 0.5
    np.testing.assert_allclose(narrow.score, 2 * wide.score)
    hits = [found.hit(roles(wells)).sum() for found in (narrow, wide)]
    assert 0 < hits[0] < hits[1]


def test_the_share_is_that_of_the_nearest_other_controls():
    rng = np.random.default_rng(3)
    role = np.array(["healthy"] * 12 + ["diseased"] * 30 + ["treated"] * 20 + ["blank"] * 3)
    role = rng.permutation(role)
    points = rng.normal(size=(len(role), 4)).astype(np.float32)
    points[5] = points[6]  # two wells that agree in every bit
    found = healthy_share(points, role, n_neighbors=4)
    control = np.flatnonzero(np.isin(role, ["healthy", "diseased"]))
    for well in range(len(role)):
        if well in (5, 6):
            continue
        others = control[control != well]
        near = others[np.argsort(cdist(points[[well]], points[others])[0])[:4]]
        healthy = (role[near] == "healthy").sum() / 12
        diseased = (role[near] == "diseased").sum() / 30
        assert found.score[well] == pytest.approx(healthy / (healthy + diseased)), well


def test_a_control_among_many_equal_wells_does_not_count_itself():
    # Four diseased wells in one place with one healthy: the healthy has no healthy neighbour.
    role = np.array(["diseased"] * 9 + ["healthy"] * 9)
    points = np.zeros((18, 2))
    points[10:, 0] = 100.0 + np.arange(8)
    found = healthy_share(points, role, n_neighbors=3)
    assert found.score[9] == 0.0


def test_rare_healthy_wells_weigh_more_so_that_chance_is_one_half():
    rng = np.random.default_rng(0)
    role = np.array(["healthy"] * 100 + ["diseased"] * 900 + ["treated"] * 500)
    found = healthy_share(rng.normal(size=(1500, 3)), role, n_neighbors=60)
    assert found.score[role == "treated"].mean() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("threshold", [0.7, 0.95])
def test_the_mixture_keeps_the_share_of_healthy_wells_asked_for(threshold):
    wells, points = rescue_screen(n_plates=20)
    found = mixture(wells, points, threshold=threshold)
    role = roles(wells)
    assert found.share_reached(role, "healthy") == pytest.approx(threshold, abs=0.01)
    fresh = (wells["compound_key"].isin(RESCUERS) & (wells["treatment_conc"] == 1.0)).to_numpy()
    assert found.reached[fresh].mean() == pytest.approx(threshold, abs=0.1)


def test_the_mixture_finds_as_many_clusters_as_there_are():
    wells, points = rescue_screen(n_plates=10, k=3)
    assert mixture(wells, points).facts["gaussians"] == 1
    apart = np.random.default_rng(1).integers(0, 2, len(points))
    points[:, 1] += 12 * apart
    found = mixture(wells, points)
    assert found.facts["gaussians"] == 2
    between = np.flatnonzero(roles(wells) == "treated")[:5]
    points[between] = [0.0, 6.0, 0.0]  # where the mean of all healthy wells is
    assert (mixture(wells, points).score[between] < -3).all()


def test_one_cluster_of_few_wells_is_not_split():
    found = [mixture(*rescue_screen(n_plates=4, k=2, seed=seed)) for seed in range(8)]
    assert [each.facts["gaussians"] for each in found] == [1.0] * 8


def test_a_healthy_well_has_no_part_in_the_mixture_it_is_judged_by():
    wells, points = rescue_screen()
    first = np.flatnonzero((roles(wells) == "healthy") & (wells["plate"] == "1"))[:3]
    points[first] = 50 + 0.01 * points[first]  # a dense cluster that its own plate alone has
    found = mixture(wells, points, components=3)
    assert (found.score[first] < -50).all()


def test_the_unit_of_the_profiles_changes_nothing():
    wells, points = rescue_screen()
    np.testing.assert_allclose(
        mixture(wells, 1000 * points).score, mixture(wells, points).score, rtol=1e-6
    )


def test_one_plate_is_halved_by_wells():
    wells, points = rescue_screen(n_plates=1, controls={"healthy": 30, "diseased": 20})
    found = mixture(wells, points)
    assert found.facts["halves_are_plates"] == 0
    assert found.share_reached(roles(wells), "healthy") == pytest.approx(0.9, abs=0.05)


def test_a_way_straight_back_has_cosine_one_and_on_towards_disease_minus_one():
    wells, points = rescue_screen(gap=30.0)
    role = roles(wells)
    back, on = np.flatnonzero(role == "treated")[:2]
    points[[back, on]] = 0.0
    points[on, 0] = 60.0
    score = antipodal_cosine(points, role, plate_numbers(wells)).score
    assert score[back] > 0.99
    assert score[on] < -0.99


@pytest.mark.parametrize("n_plates", [1, 4])
def test_inert_wells_have_no_cosine_however_few_untreated_wells_there_are(n_plates):
    means, naive = [], []
    for seed in range(60):
        wells, points = rescue_screen(
            n_plates, k=6, gap=0.0, seed=seed, controls={"healthy": 4, "diseased": 4}
        )
        role, plates = roles(wells), plate_numbers(wells)
        treated = role == "treated"
        means.append(antipodal_cosine(points, role, plates).score[treated].mean())
        here = plates == 0
        low, high = (points[here & (role == kind)].mean(axis=0) for kind in ("healthy", "diseased"))
        offset, way = (
            points[here & treated] - high,
            np.tile(low - high, ((here & treated).sum(), 1)),
        )
        naive.append(cosine(offset, way).mean())
    assert np.mean(naive) > 0.25  # the same untreated wells on both sides
    assert abs(np.mean(means)) < 0.12


@pytest.mark.parametrize("n_plates", [1, 5])
def test_plate_offsets_do_not_turn_the_direction(n_plates):
    wells, points = rescue_screen(n_plates)
    plates = plate_numbers(wells)
    moved = points + 100 * np.arange(n_plates)[plates, None]
    np.testing.assert_allclose(
        antipodal_cosine(moved, roles(wells), plates).score,
        antipodal_cosine(points, roles(wells), plates).score,
        atol=1e-9,
    )


def test_a_plate_without_untreated_wells_has_no_direction():
    wells, points = rescue_screen(n_plates=3)
    role = roles(wells)
    bare = (wells["plate"] == "2").to_numpy()
    role[bare & (role == "diseased")] = "blank"
    score = antipodal_cosine(points, role, plate_numbers(wells)).score
    assert np.isnan(score[bare]).all()
    assert np.isfinite(score[~bare]).all()


def test_with_too_few_controls_it_is_said_why_and_nothing_is_a_hit():
    wells, points = rescue_screen(n_plates=2)
    role, plates = roles(wells), plate_numbers(wells)
    few = np.where(role == "healthy", "blank", role)
    few[np.flatnonzero(role == "healthy")[:2]] = "healthy"
    for name, found in every_search(points, few, plates).items():
        if name == "antipodal":  # one plate's two healthy wells do have a mean
            continue
        assert np.isnan(found.score).all(), name
        assert "needed" in found.reason, name
        assert not found.hit(few).any(), name
    no_disease = np.where(role == "diseased", "blank", role)
    for name in ("neighbours", "antipodal"):
        found = every_search(points, no_disease, plates)[name]
        assert found.reason
        assert np.isnan(found.score).all()


def test_numbers_out_of_range_are_refused():
    wells, points = rescue_screen(n_plates=2)
    role = roles(wells)
    with pytest.raises(InputError, match="radius is -1"):
        near_on_map(points[:, :2], role, radius=-1)
    with pytest.raises(InputError, match="n_neighbors is 0"):
        healthy_share(points, role, n_neighbors=0)
    with pytest.raises(InputError, match="threshold is 1"):
        mixture(wells, points, threshold=1.0)
    with pytest.raises(InputError, match="components is 0"):
        mixture(wells, points, components=0)
