"""Calls of mechanisms: planted ones are found, noise is not, and calls can be trusted."""

import numpy as np
import pytest

from planted_mechanisms import planted_compounds
from screenbook.structure.mechanism_calls import call_mechanisms, calls_checked


def unannotated(share=0.25, **options):
    """Planted compounds of which some have lost their annotation; the truth beside them."""
    compounds = planted_compounds(**options)
    truth = compounds.table["moa"].copy()
    rng = np.random.default_rng(1)
    lost = compounds.table["moa"].ne("") & (rng.random(len(truth)) < share)
    compounds.table.loc[lost, "moa"] = ""
    return compounds, dict(zip(compounds.table["compound_key"], truth, strict=True))


def test_planted_mechanisms_are_called_rightly():
    compounds, truth = unannotated(n_mechanisms=6, size=6)
    calls = call_mechanisms(compounds, null_size=1999)
    mine = calls[calls["active"] & calls["moa"].eq("")]
    assert len(mine) > 4
    assert (mine["verdict"] == "called").mean() > 0.8
    called = mine[mine["verdict"] == "called"]
    assert (called["mechanism"] == called["compound_key"].map(truth)).all()
    assert (called["support"] > 0.9).all()
    assert (called["n_plates"] == 4).all()


def test_inactive_compounds_are_not_called():
    compounds, _ = unannotated()
    calls = call_mechanisms(compounds, null_size=499)
    inactive = calls[~calls["active"]]
    assert (inactive["verdict"] == "inactive").all()
    assert inactive[["p", "q"]].isna().all(axis=None)


def test_noise_is_called_no_more_often_than_the_level_says():
    p = []
    for seed in range(12):
        compounds = planted_compounds(effect=0, own=0, n_inactive=0, seed=seed, n_mechanisms=6)
        p.append(call_mechanisms(compounds, null_size=999, seed=seed)["p"])
    share = (np.concatenate(p) <= 0.05).mean()
    assert share < 0.09


def test_a_compounds_own_annotation_plays_no_part():
    compounds, _ = unannotated(share=0)
    before = call_mechanisms(compounds, null_size=499).set_index("compound_key")
    compounds.table.loc[0, "moa"] = "M4"
    after = call_mechanisms(compounds, null_size=499).set_index("compound_key")
    key = compounds.table["compound_key"].iloc[0]
    assert before.loc[key, "mechanism"] == after.loc[key, "mechanism"] == "M0"


def test_single_compounds_of_a_mechanism_cannot_be_named():
    compounds = planted_compounds(n_mechanisms=6, size=1, n_inactive=0)
    calls = call_mechanisms(compounds, null_size=99)
    assert (calls["verdict"] == "not testable").all()
    assert calls["nearest"].str.contains("M").all()
    assert calls_checked(calls, calls)["n"].tolist() == [0, 0, 0]


def test_the_check_counts_what_came_right():
    compounds, _ = unannotated(share=0, n_mechanisms=6, size=6)
    calls = call_mechanisms(compounds, null_size=1999)
    lost = call_mechanisms(compounds, without_own=True, null_size=1999)
    checked = calls_checked(calls, lost).set_index("which")
    assert checked.loc["called", "share"] > 0.95
    assert checked.loc["likeliest, called or not", "n"] == 36
    assert checked.loc["called though its mechanism is not known", "n"] == 36
    assert checked.loc["called though its mechanism is not known", "share"] < 0.1


def test_near_a_cluster_is_not_in_it():
    """Half way to a tight cluster a compound has it at the top, and is no member of it."""
    compounds, _ = unannotated(share=0, n_mechanisms=5, size=5, own=0.2)
    unit = compounds.profiles / np.linalg.norm(compounds.profiles, axis=1, keepdims=True)
    cluster = (compounds.table["moa"] == "M1").to_numpy()
    side = np.random.default_rng(0).standard_normal(unit.shape[1])
    middle = unit[cluster].mean(axis=0)
    side -= middle * (side @ middle) / (middle @ middle)
    compounds.profiles[0] = middle + side / np.linalg.norm(side)
    compounds.table.loc[0, "moa"] = ""
    found = call_mechanisms(compounds, fdr=0.1, null_size=1999).set_index("compound_key")
    found = found.loc[compounds.table["compound_key"].iloc[0]]
    assert found["mechanism"] == "M1"
    assert found["q"] <= 0.1
    assert found["distance"] > found["reach"]
    assert found["verdict"] == "no call"


def test_distance_is_that_of_the_nearest_of_the_mechanism():
    compounds, _ = unannotated(share=0)
    calls = call_mechanisms(compounds, null_size=199).set_index("compound_key")
    unit = compounds.profiles / np.linalg.norm(compounds.profiles, axis=1, keepdims=True)
    mine = (compounds.table["moa"] == "M0").to_numpy(copy=True)
    mine[0] = False
    key = compounds.table["compound_key"].iloc[0]
    assert calls.loc[key, "distance"] == pytest.approx(1 - (unit[mine] @ unit[0]).max())
