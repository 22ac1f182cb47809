import numpy as np
import pytest

from planted_batches import planted_part
from screenbook.profiles.mechanism import (
    match_mechanisms,
    match_part,
    mechanisms_of,
    treatment_profiles,
)


def by_hand(profiles, mechanism, compound, weeks, *, other_week):
    """The definition, treatment by treatment."""
    right = []
    for i in range(len(profiles)):
        best, neighbour = -np.inf, None
        for j in range(len(profiles)):
            barred = compound[i] == compound[j] or (other_week and weeks[i] & weeks[j])
            cosine = profiles[i] @ profiles[j]
            cosine /= np.linalg.norm(profiles[i]) * np.linalg.norm(profiles[j])
            if not barred and cosine > best:
                best, neighbour = cosine, j
        right.append(neighbour is not None and mechanism[neighbour] == mechanism[i])
    return np.mean(right)


def random_case(seed, n_weeks=4):
    rng = np.random.default_rng(seed)
    n, wells = 40, 160
    compound = np.array([f"c{i}" for i in rng.integers(0, 15, n)])
    of_compound = {name: f"m{rng.integers(0, 5)}" for name in np.unique(compound)}
    mechanism = np.array([of_compound[name] for name in compound], dtype=object)
    codes = np.r_[np.arange(n), rng.integers(-1, n, wells - n)]
    batch = rng.integers(0, n_weeks, wells)
    weeks = [set(batch[codes == i]) for i in range(n)]
    return rng.normal(size=(n, 8)), mechanism, compound, codes, batch, weeks


@pytest.mark.parametrize("seed", range(4))
def test_accuracies_are_those_of_the_definition(seed):
    profiles, mechanism, compound, codes, batch, weeks = random_case(seed, n_weeks=12)
    match = match_mechanisms(profiles, mechanism, compound, codes, batch)
    hand = [by_hand(profiles, mechanism, compound, weeks, other_week=w) for w in (False, True)]
    assert [match.nsc, match.nscb] == pytest.approx(hand)


def test_perfect_profiles_match_perfectly_and_chance_does_not():
    profiles, mechanism, compound, codes, _, _ = random_case(0)
    pattern = np.random.default_rng(0).normal(size=(5, 8))
    profiles = pattern[[int(m[1:]) for m in mechanism]]
    batch = np.where(codes >= 0, codes, 0)  # a week for each treatment
    match = match_mechanisms(profiles, mechanism, compound, codes, batch)
    lonely = [m for m in np.unique(mechanism) if len(np.unique(compound[mechanism == m])) == 1]
    assert match.nsc == match.nscb == pytest.approx(np.mean(~np.isin(mechanism, lonely)))
    assert match.chance_nsc < 0.5


def test_a_treatment_without_an_eligible_neighbour_counts_as_wrong():
    mechanism = np.array(["a", "a", "b", "b"], dtype=object)
    compound = np.array(["1", "2", "3", "4"])
    profiles = np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]])
    # Treatment 3 stands in every week and so has no neighbour from another.
    codes, batch = np.array([0, 1, 2, 3, 3, 3]), np.array([0, 1, 2, 0, 1, 2])
    match = match_mechanisms(profiles, mechanism, compound, codes, batch)
    assert match.nsc == 1.0
    assert match.table["nscb_neighbour"].tolist() == [1, 0, 1, -1] or match.nscb <= 0.5
    assert match.table["nscb_mechanism"].iloc[3] == ""
    assert match.nscb == pytest.approx(0.5)


def test_where_all_share_all_batches_nscb_is_not_defined():
    mechanism = np.array(["a", "a", "b", "b"], dtype=object)
    match = match_mechanisms(
        np.eye(4), mechanism, np.arange(4).astype(str), np.arange(4), np.zeros(4, dtype=int)
    )
    assert np.isnan(match.nscb)
    assert np.isnan(match.chance_nscb)
    assert np.isfinite(match.nsc)


def test_unknown_mechanisms_are_neither_asked_nor_answered_with():
    profiles, mechanism, compound, codes, batch, _ = random_case(1, n_weeks=12)
    mechanism = np.where(np.arange(40) < 10, "", mechanism)
    match = match_mechanisms(profiles, mechanism, compound, codes, batch)
    assert set(match.table["treatment"]) == set(range(10, 40))
    assert match.table["nsc_neighbour"].min() >= 10


def test_too_few_mechanisms_are_not_asked():
    compound, codes = np.array(["1", "2", "3"]), np.arange(3)
    mechanism = np.array(["a", "a", "b"], dtype=object)
    assert match_mechanisms(np.eye(3), mechanism, compound, codes, codes) is None


def test_profiles_are_means_over_wells_and_scale_does_not_matter():
    points = np.arange(10.0).reshape(5, 2)
    codes = np.array([0, 1, 0, -1, 1])
    np.testing.assert_allclose(treatment_profiles(points, codes), [[2, 3], [5, 6]])


def test_mechanisms_that_disagree_are_none():
    part = planted_part()
    obs = part.obs.copy()
    codes = np.where(part.layout.bulk, np.arange(len(obs)) % 3, -1)
    obs["moa"] = np.where(codes == 0, "a", np.where(codes == 1, "b", ""))
    obs.loc[obs.index[np.flatnonzero(codes == 1)[0]], "moa"] = "c"
    assert mechanisms_of(obs, codes).tolist() == ["a", "", ""]
    assert mechanisms_of(obs.drop(columns="moa"), codes).tolist() == ["", "", ""]


def test_planted_mechanisms_are_found():
    part = planted_part(plate_shift=0.0, infection=0.0, effect=12.0)
    match = match_part(part, part.X - part.X[part.layout.baseline].mean(axis=0))
    active = match.table["mechanism"].isin([f"mechanism {i}" for i in range(3)])
    hits = match.table["nsc_mechanism"] == match.table["mechanism"]
    assert hits[active].mean() > 0.9
    assert hits[~active].mean() < 0.6
