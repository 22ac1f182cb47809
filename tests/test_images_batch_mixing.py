import numpy as np
import pytest

from planted_embeddings import design, planted
from screenbook.images.batch_mixing import (
    batch_mixing,
    comparable_fields,
    neighbours_of_other_wells,
)


def test_kbet_accepts_95_of_100_where_batches_are_mixed():
    obs = design(n_experiments=8)
    found = [batch_mixing(planted(obs, seed=s), obs, seed=s) for s in range(8)]
    assert np.mean([f.kbet.value for f in found]) == pytest.approx(0.95, abs=0.02)
    for measure in ("knn", "linear"):
        told = np.mean([getattr(f, measure).value if measure == "knn" else f.linear for f in found])
        assert told == pytest.approx(1 / 8, abs=0.03)
    assert {f.chance for f in found} == {1 / 8}


def test_two_sites_of_a_well_do_not_pass_for_a_batch():
    obs = design(n_experiments=8)
    found = [batch_mixing(planted(obs, well=3.0, seed=s), obs, seed=s) for s in range(4)]
    assert np.mean([f.kbet.value for f in found]) > 0.9
    assert np.mean([f.knn.value for f in found]) == pytest.approx(1 / 8, abs=0.04)
    # As single wells, each site finds the other of its well in its own batch.
    apart = obs.assign(well=obs["well"] + obs["site"].astype(str))
    assert batch_mixing(planted(obs, well=6.0), apart, k=1).knn.value > 0.5
    assert batch_mixing(planted(obs, well=6.0), obs, k=1).knn.value < 0.2


def test_batches_that_stand_apart_are_told():
    obs = design(n_experiments=8)
    found = [batch_mixing(planted(obs, batch=b), obs) for b in (0.0, 2.0, 4.0, 12.0)]
    assert np.all(np.diff([f.knn.value for f in found]) > 0)
    assert np.all(np.diff([f.kbet.value for f in found]) <= 0)
    assert found[-1].knn.value == pytest.approx(1, abs=0.02)
    assert found[-1].linear == pytest.approx(1, abs=0.02)
    assert found[-1].kbet.value == pytest.approx(0, abs=0.02)


def test_cell_types_are_asked_apart():
    """Where an experiment holds one cell type, its batch is not told by the cell type."""
    types = ("HUVEC", "RPE", "U2OS", "HEPG2")
    obs = design(n_experiments=8)
    obs["cell_type"] = [types[int(e[1:]) % 4] for e in obs["experiment"]]
    points = planted(obs)
    points[:, 0] += 20 * obs["cell_type"].map(dict(zip(types, range(4), strict=True)))
    found = batch_mixing(points, obs)
    assert found.chance == pytest.approx(0.5)
    assert found.knn.value == pytest.approx(0.5, abs=0.12)
    assert found.kbet.value > 0.85


def test_controls_alone_are_asked_where_plates_hold_other_treatments():
    obs = design(n_experiments=6)
    used, kind = comparable_fields(obs)
    assert used.all()
    assert kind == "all fields"
    other = (obs["experiment"] == "E1") & (obs["treatment"] == "a1")
    obs.loc[other, "treatment"] = "z9"
    used, kind = comparable_fields(obs)
    assert (used == (obs["role"] == "control")).all()
    assert batch_mixing(planted(obs), obs).kind == kind == "negative controls"


def test_batches_of_one_well_are_not_asked():
    obs = design(n_experiments=8)
    points = planted(obs, batch=12.0)
    alone = (obs["batch"] != "E1/1") | (obs["well"] == obs["well"].iloc[0])
    assert obs["batch"].iloc[0] == "E1/1"
    found = batch_mixing(points[alone], obs[alone])
    assert found.chance == pytest.approx(1 / 7)
    assert found.knn.value == pytest.approx(1, abs=0.02)
    single = (~obs.duplicated("batch")).to_numpy()
    assert batch_mixing(points[single], obs[single]) is None


def test_one_batch_has_nothing_to_mix():
    obs = design(n_experiments=1)
    assert batch_mixing(planted(obs), obs) is None


def test_neighbours_are_of_other_wells():
    rng = np.random.default_rng(0)
    points, well = rng.normal(size=(30, 5)), np.repeat(np.arange(10), 3)
    near, similarity = neighbours_of_other_wells(points, well, 6)
    assert (well[near.index] != well[:, None]).all()
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    distance = np.linalg.norm(unit[:, None] - unit[near.index], axis=2)
    np.testing.assert_allclose(near.distance, distance, atol=1e-7)
    assert (np.diff(similarity, axis=1) <= 0).all()
    assert neighbours_of_other_wells(points, well, 99)[0].index.shape == (30, 27)
