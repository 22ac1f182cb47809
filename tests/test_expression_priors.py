import numpy as np
import pandas as pd
import pytest

from screenbook.expression.priors import drug_prior
from screenbook.expression.training_rows import TrainingRows

BITS = pd.DataFrame(
    [
        [1, 1, 1, 0, 0, 0],  # A
        [1, 1, 0, 0, 0, 0],  # B
        [0, 0, 0, 1, 1, 0],  # C
        [1, 1, 1, 1, 0, 0],  # new: 3/4 like A, 2/4 like B, 1/5 like C
        [0, 0, 0, 0, 0, 1],  # other: like none
        [0, 0, 0, 0, 0, 0],  # blank: no structure
    ],
    index=["A", "B", "C", "new", "other", "blank"],
    dtype=np.float32,
)


def known(seed=0):
    """Drugs A, B and C in two lines at two doses; C not at the higher one."""
    rng = np.random.default_rng(seed)
    obs = pd.DataFrame(
        [(k, c, x) for k in "ABC" for c in ("L0", "L1") for x in (0.5, 5.0)],
        columns=["compound_key", "cell_line", "dose"],
    ).assign(moa="", n_cells=100.0)
    obs = obs[(obs["compound_key"] != "C") | (obs["dose"] < 1)].reset_index(drop=True)
    return TrainingRows(
        delta=rng.normal(size=(len(obs), 4)).astype(np.float32),
        obs=obs,
        fingerprints=BITS,
        basal=pd.DataFrame(np.zeros((3, 4)), index=["L0", "L1", "L2"]),
        weight=rng.uniform(0.2, 3.0, len(obs)),
        unit=obs["compound_key"].to_numpy(),
    )


def ask(*rows):
    return pd.DataFrame(rows, columns=["compound_key", "dose"]).assign(
        cell_line="L2", moa="", n_cells=1.0
    )


def mean_of(train, key, dose):
    rows = (train.obs["dose"] == dose).to_numpy()
    if key is not None:
        rows = rows & (train.obs["compound_key"] == key).to_numpy()
    return np.average(train.delta[rows], axis=0, weights=train.weight[rows])


def test_a_drug_seen_takes_its_own_weighted_mean_at_the_dose():
    train = known()
    found = drug_prior(train, ask(("A", 5.0), ("B", 0.5), ("A", 0.5), ("A", 5.0)))
    assert found.dtype == np.float32
    for row, (key, dose) in enumerate([("A", 5.0), ("B", 0.5), ("A", 0.5), ("A", 5.0)]):
        assert found[row] == pytest.approx(mean_of(train, key, dose), abs=1e-6)
    assert np.abs(found[0] - found[2]).max() > 0.1


def test_a_new_drug_takes_its_neighbours_by_similarity():
    train = known()
    alike = {"A": 3 / 4, "B": 2 / 4, "C": 1 / 5}
    expected = sum(a * mean_of(train, key, 0.5) for key, a in alike.items()) / sum(alike.values())
    assert drug_prior(train, ask(("new", 0.5)))[0] == pytest.approx(expected, abs=1e-6)
    two = (0.75 * mean_of(train, "A", 0.5) + 0.5 * mean_of(train, "B", 0.5)) / 1.25
    assert drug_prior(train, ask(("new", 0.5)), k=2)[0] == pytest.approx(two, abs=1e-6)
    assert drug_prior(train, ask(("new", 0.5)), k=1)[0] == pytest.approx(
        mean_of(train, "A", 0.5), abs=1e-6
    )


def test_at_a_dose_where_it_was_not_profiled_a_drug_is_new():
    train = known()
    found = drug_prior(train, ask(("C", 5.0), ("new", 5.0)))
    # C shares no bit with A or B, which alone were profiled there.
    assert found[0] == pytest.approx(mean_of(train, None, 5.0), abs=1e-6)
    expected = (0.75 * mean_of(train, "A", 5.0) + 0.5 * mean_of(train, "B", 5.0)) / 1.25
    assert found[1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("key", ["other", "blank"])
def test_a_drug_like_none_takes_the_mean_of_all_at_the_dose(key):
    train = known()
    found = drug_prior(train, ask((key, 0.5), (key, 5.0)))
    assert found[0] == pytest.approx(mean_of(train, None, 0.5), abs=1e-6)
    assert found[1] == pytest.approx(mean_of(train, None, 5.0), abs=1e-6)


def test_a_dose_between_levels_counts_as_the_nearest():
    train = known()
    found = drug_prior(train, ask(("A", 4.0), ("A", 0.1)))
    assert found[0] == pytest.approx(mean_of(train, "A", 5.0), abs=1e-6)
    assert found[1] == pytest.approx(mean_of(train, "A", 0.5), abs=1e-6)


def test_the_line_that_is_asked_for_has_no_say():
    train = known()
    asked = ask(("A", 5.0), ("new", 0.5))
    assert (drug_prior(train, asked) == drug_prior(train, asked.assign(cell_line="L0"))).all()
