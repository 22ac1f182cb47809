"""Within and between mechanisms: against scikit-learn, copairs and planted truths."""

import numpy as np
import pandas as pd
import pytest
from copairs.map import average_precision
from sklearn.metrics import silhouette_samples

from planted_mechanisms import planted_compounds
from screenbook.structure import mechanism_geometry as geometry


def cloud(n_groups=4, size=5, apart=1.0, seed=0):
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(n_groups), size)
    centres = apart * rng.standard_normal((n_groups, 8))
    names = np.array([f"M{c}" for c in code], dtype=object)
    return centres[code] + rng.standard_normal((len(code), 8)), names


def test_silhouettes_are_those_of_scikit_learn():
    points, names = cloud()
    distance = geometry.cosine_distances(points)
    table = geometry.mechanism_measures(distance, names, n_permutations=9).set_index("measure")
    expected = silhouette_samples(distance, names, metric="precomputed")
    assert table.loc["silhouette", "value"] == pytest.approx(expected.mean())
    by = geometry.mechanism_table(distance, names, null_size=99).set_index("mechanism")
    assert by.loc["M1", "silhouette"] == pytest.approx(expected[names == "M1"].mean())


def test_average_precision_is_that_of_copairs():
    points, names = cloud(apart=0.7)
    meta = pd.DataFrame({"moa": names})
    theirs = average_precision(meta, points, ["moa"], [], [], ["moa"], progress_bar=False)
    by = geometry.mechanism_table(geometry.cosine_distances(points), names, null_size=99)
    expected = theirs.groupby("moa")["average_precision"].mean()
    assert by.set_index("mechanism")["map"].sort_index().to_numpy() == pytest.approx(
        expected.to_numpy()
    )


def test_measures_find_planted_mechanisms_and_nothing_in_noise():
    found = geometry.mechanism_measures(geometry.cosine_distances(cloud(apart=2)[0]), cloud()[1])
    assert (found["p"] < 0.01).all()
    ratio = found.set_index("measure").loc["ratio"]
    assert ratio["value"] < ratio["chance_low"] < 1 < ratio["chance_high"]
    rejected = []
    for seed in range(60):
        points, names = cloud(apart=0, seed=seed)
        distance = geometry.cosine_distances(points)
        rejected.append(
            geometry.mechanism_measures(distance, names, n_permutations=99, seed=seed)["p"] <= 0.05
        )
    assert (np.mean(rejected, axis=0) < 0.14).all()  # binomial(60, 0.05), 99.5 %


def test_p_of_mechanisms_is_flat_in_noise():
    p = [
        geometry.mechanism_table(
            geometry.cosine_distances(cloud(apart=0, seed=s)[0]), cloud()[1], null_size=199, seed=s
        )["p"]
        for s in range(60)
    ]
    share = (np.concatenate(p) <= 0.1).mean()
    assert 0.05 < share < 0.16


def test_names_and_order_are_of_no_account():
    points, names = cloud()
    order = np.random.default_rng(3).permutation(len(names))
    one = geometry.mechanism_table(geometry.cosine_distances(points), names, null_size=199)
    renamed = np.array([f"X{n}" for n in names], dtype=object)[order]
    other = geometry.mechanism_table(
        geometry.cosine_distances(points[order]), renamed, null_size=199
    )
    assert one["map"].to_numpy() == pytest.approx(other["map"].to_numpy())
    assert ["X" + n for n in one["mechanism"]] == other["mechanism"].tolist()


def test_the_nearest_other_mechanism_is_named():
    points = np.array(
        [[1, 0, 0], [1, 0.1, 0], [0.9, 0.4, 0], [0.9, 0.5, 0], [0, 0, 1], [0, 0.1, 1]]
    )
    names = np.array(["a", "a", "b", "b", "c", "c"], dtype=object)
    by = geometry.mechanism_table(geometry.cosine_distances(points), names, null_size=99)
    by = by.set_index("mechanism")
    assert by["nearest_other"].to_dict() == {"a": "b", "b": "a", "c": "b"}
    assert (by["map"] == 1).all()


def test_what_can_be_asked():
    names = np.array(["a", "a", "b", "", "", "c", "c"], dtype=object)
    assert geometry.askable(names).tolist() == [True, True, False, False, False, True, True]
    assert geometry.mechanism_measures(np.zeros((2, 2)), np.array(["a", "a"])).empty


def test_confusion_rows_are_shares():
    table = pd.DataFrame(
        {
            "mechanism": ["a", "a", "a", "b"],
            "nsc_mechanism": ["a", "b", "", "b"],
        }
    )
    found = geometry.confusion(table)
    assert found.loc["a"].to_dict() == {"a": pytest.approx(1 / 3), "b": pytest.approx(1 / 3)}
    assert found.loc["b", "b"] == 1


def test_planted_compounds_are_told():
    compounds = planted_compounds(n_inactive=0)
    distance = geometry.cosine_distances(compounds.profiles)
    table = geometry.mechanism_table(distance, compounds.table["moa"].to_numpy())
    assert (table["q"] < 0.01).all()
    assert (table["map"] > 0.95).all()
