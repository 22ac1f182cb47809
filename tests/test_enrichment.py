import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact, mannwhitneyu
from sklearn.metrics import roc_auc_score

from screenbook.errors import InputError
from screenbook.hits.enrichment import auc_interval, class_enrichment, scaffolds_of


def library(n=120, n_classes=12, seed=0, better=0.0, cell_type="renal"):
    """Compounds in classes of ten; class 0 scores better by so many SD."""
    rng = np.random.default_rng(seed)
    code = np.arange(n) % n_classes
    score = rng.normal(size=n) + better * (code == 0)
    return pd.DataFrame(
        {
            "cell_type": cell_type,
            "compound_key": [f"K{i}" for i in range(n)],
            "compound": [f"drug {i:03d}" for i in range(n)],
            "moa": [f"mechanism {c:02d}" for c in code],
            "hit": score > 1.3,
            "score": score,
        }
    )


def test_tests_and_effects_are_those_of_scipy_and_sklearn():
    table = library(better=1.0)
    found = class_enrichment(table, "moa").set_index("class")
    assert len(found) == 12
    for name in found.index:
        row, inside = found.loc[name], table["moa"] == name
        counts = [
            [(table["hit"] & inside).sum(), (~table["hit"] & inside).sum()],
            [(table["hit"] & ~inside).sum(), (~table["hit"] & ~inside).sum()],
        ]
        assert row["p_hits"] == pytest.approx(fisher_exact(counts, alternative="greater")[1])
        rank = mannwhitneyu(table["score"][inside], table["score"][~inside], alternative="greater")
        assert row["p_score"] == pytest.approx(rank.pvalue)
        assert row["auc"] == pytest.approx(roc_auc_score(inside, table["score"]))
        assert row["auc_low"] < row["auc"] < row["auc_high"]
        assert row["odds_low"] <= row["odds_ratio"] <= row["odds_high"]
        assert [row["n_hits"], row["n_members"]] == [counts[0][0], inside.sum()]


def test_q_is_benjamini_hochberg_within_a_cell_type():
    two = pd.concat([library(seed=1, better=2.0), library(seed=2, cell_type="simian")])
    found = class_enrichment(two, "moa")
    alone = class_enrichment(library(seed=1, better=2.0), "moa")
    renal = found[found["cell_type"] == "renal"].reset_index(drop=True)
    pd.testing.assert_frame_equal(renal, alone)
    for test in ("hits", "score"):
        ranked = alone.sort_values(f"p_{test}")
        by_hand = ranked[f"p_{test}"] * len(ranked) / np.arange(1, len(ranked) + 1)
        by_hand = by_hand[::-1].cummin()[::-1]
        np.testing.assert_allclose(ranked[f"q_{test}"], by_hand.clip(upper=1))


def test_a_planted_class_is_found_and_named_with_its_members():
    found = class_enrichment(library(seed=3, better=2.5), "moa")
    first = found.iloc[0]
    assert first["class"] == "mechanism 00"
    assert first["q_score"] < 0.001
    assert first["q_hits"] < 0.01
    assert first["auc_low"] > 0.5
    assert first["odds_low"] > 1
    assert first["members"].split("; ") == [f"drug {i:03d}" for i in range(0, 120, 12)]
    assert set(first["hits"].split("; ")) <= set(first["members"].split("; "))
    assert len(first["hits"].split("; ")) == first["n_hits"]
    assert (found.iloc[1:]["q_score"] > 0.05).all()


def test_classes_without_effect_are_called_at_the_level_at_most():
    p_score, p_hits, covered = [], [], []
    for seed in range(30):
        found = class_enrichment(library(seed=seed), "moa")
        p_score += list(found["p_score"])
        p_hits += list(found["p_hits"])
        covered += list((found["auc_low"] <= 0.5) & (found["auc_high"] >= 0.5))
    assert np.mean(np.array(p_score) <= 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(np.array(p_hits) <= 0.05) <= 0.06
    assert 0.92 <= np.mean(covered) <= 0.98


def test_a_class_that_scores_lower_is_not_enriched():
    found = class_enrichment(library(seed=4, better=-3.0), "moa").set_index("class")
    assert found.loc["mechanism 00", "p_score"] > 0.99
    assert found.loc["mechanism 00", "auc_high"] < 0.5


def test_small_classes_are_left_out_and_their_compounds_count_as_others():
    table = library(n=30, n_classes=3)
    table.loc[:1, "moa"] = "rare"
    table.loc[2, "moa"] = None
    table.loc[3, "moa"] = " "
    found = class_enrichment(table, "moa", fewest=3)
    assert "rare" not in set(found["class"])
    assert set(found["class"]) == {f"mechanism {c:02d}" for c in range(3)}
    assert (found["n_members"] + found["n_others"] == 30).all()
    assert "rare" in set(class_enrichment(table, "moa", fewest=2)["class"])


def test_a_field_may_name_several_classes():
    table = library(n=12, n_classes=2)
    table["moa"] = ["a|b"] * 3 + ["b"] * 3 + ["c | a"] * 3 + [""] * 3
    size = class_enrichment(table, "moa", separator="|").set_index("class")["n_members"]
    assert size.to_dict() == {"a": 6, "b": 6, "c": 3}


def test_missing_scores_are_not_ranked_and_no_hit_is_no_error():
    table = library(n=40, n_classes=4)
    table["hit"] = False
    table.loc[table["moa"] == "mechanism 01", "score"] = np.nan
    found = class_enrichment(table, "moa").set_index("class")
    assert (found["p_hits"] == 1).all()
    assert found["odds_ratio"].isna().all()
    assert np.isnan(found.loc["mechanism 01", "p_score"])
    assert np.isnan(found.loc["mechanism 01", "q_score"])
    kept = table[table["moa"] != "mechanism 01"]
    alone = class_enrichment(kept, "moa").set_index("class")
    np.testing.assert_allclose(
        found["p_score"].dropna().sort_index(), alone["p_score"].sort_index()
    )
    np.testing.assert_allclose(
        found["q_score"].dropna().sort_index(), alone["q_score"].sort_index()
    )


def test_nothing_to_test_gives_an_empty_table_with_its_columns():
    table = library(n=5, n_classes=5)
    assert class_enrichment(table, "moa").empty
    assert "q_score" in class_enrichment(table, "moa").columns
    whole = library(n=6, n_classes=1)  # a class of all compounds has no others
    assert class_enrichment(whole, "moa").empty
    assert class_enrichment(table.iloc[:0], "moa").empty


def test_tables_that_cannot_be_used_are_refused():
    with pytest.raises(InputError, match="lacks 'scaffold'"):
        class_enrichment(library(), "scaffold")
    with pytest.raises(InputError, match="'K0' has two rows"):
        class_enrichment(pd.concat([library(), library().iloc[:1]]), "moa")


def test_the_interval_of_a_perfect_class_is_not_a_point():
    low, high = auc_interval(1.0, 3, 100)
    assert high == 1.0
    assert 0.4 < low < 0.9
    mirrored = auc_interval(0.0, 3, 100)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-6)
    assert auc_interval(0.7, 50, 50)[0] > auc_interval(0.7, 5, 5)[0]


def test_scaffolds_of_structures():
    found = scaffolds_of(["Cc1ccccc1", "CCO", "no molecule", "", None])
    assert found.tolist() == ["c1ccccc1", "", "", "", ""]
