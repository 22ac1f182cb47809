"""Figures of mechanisms: what they are given is what they draw, and text stays text."""

import numpy as np
import pandas as pd

from screenbook.figures import mechanism_geometry as pictures


def compounds():
    return pd.DataFrame(
        {"compound": ["b1", "a2", "<b>x</b>", "a1"], "moa": ["beta", "alpha", "beta", "alpha"]}
    )


def test_the_heat_map_sorts_by_mechanism_and_keeps_pairs_together():
    distance = np.abs(np.subtract.outer([0.0, 1.0, 2.0, 4.0], [0.0, 1.0, 2.0, 4.0]))
    fig = pictures.distance_heat(distance, compounds(), title="t")
    heat = fig.data[0]
    names = heat.customdata[:, 0, 0].tolist()
    assert names == ["a1", "a2", "&lt;b&gt;x&lt;/b&gt;", "b1"]
    at = {name: i for i, name in enumerate(names)}
    assert heat.z[at["b1"], at["a1"]] == 4.0
    assert heat.z[at["a1"], at["a2"]] == 3.0
    assert list(fig.layout.yaxis.ticktext) == ["alpha", "beta"]
    assert len(fig.layout.shapes) == 2


def test_no_compound_is_said_in_words():
    fig = pictures.distance_heat(np.zeros((0, 0)), compounds().iloc[:0], title="t")
    assert "no compound" in fig.layout.annotations[0].text


def test_found_mechanisms_are_marked():
    table = pd.DataFrame(
        {
            "mechanism": ["a", "b"], "n_compounds": [3, 2], "map": [0.9, 0.2],
            "chance": [0.2, 0.1], "q": [0.01, 0.6], "nearest_other": ["b", "a"],
        }
    )  # fmt: skip
    fig = pictures.mechanism_rows(table, 0.05, title="t")
    drawn = {t.name: list(t.x) for t in fig.data if t.mode == "markers"}
    assert drawn == {"found": [0.9], "not found": [0.2]}
    assert any("random groups" in (t.name or "") for t in fig.data)


def test_all_compounds_of_a_mechanism_share_a_row():
    groups = pd.DataFrame(
        {
            "compound": ["x", "y", "z"], "moa": ["a", "a", ""], "median": [0.1, 0.2, 0.9],
            "chance": [0.8, 0.8, 0.8], "n": [3, 3, 2],
        }
    )  # fmt: skip
    fig = pictures.own_mean_rows(groups, title="t")
    assert list(fig.layout.yaxis.ticktext) == ["unknown", "a"]
    points = next(t for t in fig.data if t.mode == "markers")
    assert sorted(points.x) == [0.1, 0.2, 0.9]
    assert len(set(points.y)) == 2


def test_confusions_are_drawn_as_given():
    shares = pd.DataFrame([[0.5, 0.25], [0.0, 1.0]], index=["a", "b"], columns=["a", "b"])
    fig = pictures.confusion_heat(shares, title="t")
    assert np.array_equal(fig.data[0].z, [[0.5, 0.25], [np.nan, 1.0]], equal_nan=True)
