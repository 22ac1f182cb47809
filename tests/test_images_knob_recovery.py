import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from planted_embeddings import design
from screenbook.errors import InputError
from screenbook.images.knob_recovery import (
    BETWEEN,
    PENALTIES,
    WITHIN,
    _solve,
    knob_recovery,
    knob_tables,
)
from screenbook.images.splits import split_experiments


def planted(n_experiments=10, noise=0.3, seed=0):
    """A knob of the cell, one of the lens, one that is nowhere in the embedding, one constant."""
    obs = design(n_experiments=n_experiments)
    rng = np.random.default_rng(seed)
    lens = rng.normal(size=n_experiments)[pd.factorize(obs["batch"])[0]]
    knobs = pd.DataFrame(
        {"nucleus": rng.normal(size=len(obs)), "focus": lens, "hidden": 0.0, "photons": 2.0},
        index=obs.index,
    )
    knobs["hidden"] = rng.normal(size=len(obs))
    mixing = rng.normal(size=(2, 12))
    points = knobs[["nucleus", "focus"]].to_numpy() @ mixing
    return points + noise * rng.normal(size=points.shape), knobs, obs


def test_what_is_in_the_embedding_is_told():
    table = knob_recovery(*planted()).set_index("knob")
    assert table.index.tolist() == ["nucleus", "focus", "hidden"]
    assert table.loc["nucleus", "r2"] > 0.9
    assert table.loc["nucleus", "r2_within"] > 0.9
    assert table.loc["focus", "r2"] > 0.8
    assert abs(table.loc["hidden", "r2"]) < 0.1
    assert table["varies"].tolist() == [WITHIN, BETWEEN, WITHIN]
    assert np.isnan(table.loc["focus", "r2_within"])
    assert (table["low"] <= table["r2"]).all()
    assert (table["n_experiments"] == 10).all()


def test_r2_is_that_of_scikit_learn_on_held_out_experiments():
    points, knobs, obs = planted(noise=2.0)
    split = split_experiments(obs, test=3, seed=1)
    table = knob_recovery(points, knobs, obs, split).set_index("knob")
    mean, sd = points[split.train].mean(axis=0), points[split.train].std(axis=0)
    scaled = (points - mean) / sd
    possible = [
        r2_score(
            knobs["nucleus"][split.test],
            Ridge(alpha=penalty)
            .fit(scaled[split.train], knobs["nucleus"][split.train])
            .predict(scaled[split.test]),
        )
        for penalty in PENALTIES
    ]
    assert np.min(np.abs(np.array(possible) - table.loc["nucleus", "r2"])) < 1e-9
    assert (table["n_experiments"] == 3).all()


def test_ridge_is_that_of_scikit_learn():
    rng = np.random.default_rng(2)
    train, values, test = (
        rng.normal(size=(40, 6)),
        rng.normal(size=(40, 3)),
        rng.normal(size=(9, 6)),
    )
    train[:, 5] = test[:, 5] = 1.0
    scaled = [(part - train.mean(0))[:, :5] / train.std(0)[:5] for part in (train, test)]
    for penalty, ours in zip(PENALTIES, _solve(train, values, test), strict=True):
        theirs = Ridge(alpha=penalty).fit(scaled[0], values).predict(scaled[1])
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_a_knob_can_be_told_within_batches_only():
    points, knobs, obs = planted()
    drift = 5 * np.random.default_rng(3).normal(size=(10, 1))[pd.factorize(obs["batch"])[0]]
    points = knobs[["nucleus"]].to_numpy() + drift + 0.05 * points[:, :1]
    row = knob_recovery(points, knobs[["nucleus"]], obs).iloc[0]
    assert row["r2"] < 0.2
    told = knob_recovery(points - drift, knobs[["nucleus"]], obs).iloc[0]
    assert told["r2_within"] > 0.9


def test_intervals_hold_the_truth_as_often_as_they_say():
    obs = planted(n_experiments=12)[2]
    hits = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        nucleus = rng.normal(size=(len(obs), 1))
        # A regression on this explains one half, in all experiments alike.
        told = knob_recovery(
            nucleus + rng.normal(size=nucleus.shape),
            pd.DataFrame(nucleus, columns=["nucleus"]),
            obs,
        )
        hits += told["low"][0] <= 0.5 <= told["high"][0]
    assert 0.88 <= hits / 100 <= 0.99


def test_the_same_call_gives_the_same():
    pd.testing.assert_frame_equal(knob_recovery(*planted()), knob_recovery(*planted()))


def test_embeddings_side_by_side():
    points, knobs, obs = planted()
    noise = np.random.default_rng(4).normal(size=points.shape)
    found = {"good": knob_recovery(points, knobs, obs), "none": knob_recovery(noise, knobs, obs)}
    tables = knob_tables(found)
    assert tables[WITHIN].columns.tolist() == ["good", "none"]
    assert tables[WITHIN].index.tolist() == ["nucleus", "hidden"]
    assert tables[BETWEEN].loc["focus", "good"] > tables[BETWEEN].loc["focus", "none"]


def test_what_cannot_be_asked_is_refused():
    points, knobs, obs = planted(n_experiments=4)
    with pytest.raises(InputError, match="knob 'focus' has a missing value"):
        knob_recovery(points, knobs.assign(focus=np.nan), obs)
    few = (obs["experiment"] < "E3").to_numpy()
    with pytest.raises(InputError, match="three experiments or more"):
        knob_recovery(points[few], knobs[few], obs[few])
