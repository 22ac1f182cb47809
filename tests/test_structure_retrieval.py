"""Retrieval beats chance where structure is planted in profiles, and not where it is not."""

import numpy as np
import pandas as pd
import pytest

from planted_towers import planted
from screenbook.structure.held_out_towers import HeldOutTowers, train_held_out
from screenbook.structure.retrieval_scores import IMAGE_TO_MOLECULE, MOLECULE_TO_IMAGE
from screenbook.structure.structure_retrieval import METRICS, retrieve_structures

LEARNED = ("nearest compound", "ridge", "towers, fingerprint")


def asked(dial, seed=0, n_groups=5):
    imaged, _ = planted(dial, seed=seed, n_groups=n_groups)
    towers = train_held_out(
        imaged, rules=("scaffold",), encoders=("fingerprint",), n_folds=3, seed=seed
    )
    return imaged, towers, *retrieve_structures(imaged, towers, n_draws=200)


@pytest.fixture(scope="module")
def found():
    return asked(1.0)


def at(summary, metric):
    return summary[summary["metric"] == metric].set_index(["direction", "method"])


def test_new_scaffolds_are_found_both_ways_where_side_groups_tell(found):
    summary = found[2]
    for metric in ("hit@1", "hit@5", "reciprocal_rank"):
        rows = at(summary, metric)
        for direction in (IMAGE_TO_MOLECULE, MOLECULE_TO_IMAGE):
            for method in LEARNED:
                row = rows.loc[(direction, method)]
                assert row["low"] > row["chance"], (metric, direction, method)
    p = at(summary, "reciprocal_rank").drop(index="random", level="method")["p"]
    assert (p < 0.02).all()
    ranks = at(summary, "rank").drop(index="random", level="method")
    assert (ranks["high"] < ranks["chance"]).all()


def test_nothing_is_found_where_profiles_are_noise():
    summaries = [asked(0.0, seed, n_groups=4)[2].assign(seed=seed) for seed in range(2)]
    rows = pd.concat(summaries)
    rows = rows[(rows["metric"] == "reciprocal_rank") & rows["method"].isin(LEARNED)]
    assert (rows["p"] > 0.01).all()
    assert (rows["p"] < 0.05).sum() <= 2  # of 12
    assert rows["value"].mean() == pytest.approx(rows["chance"].mean(), abs=0.02)


def test_chance_is_what_a_random_order_gives(found):
    imaged, towers, summary, queries = found
    size = np.bincount(towers[0].fold)[towers[0].fold]
    rows = at(summary, "hit@5")
    assert rows["chance"].unique() == pytest.approx([np.mean(5 / size)])
    assert at(summary, "rank")["chance"].unique() == pytest.approx([np.median((size + 1) / 2)])
    harmonic = [np.mean(1 / np.arange(1, n + 1)) for n in size]
    assert at(summary, "reciprocal_rank")["chance"].unique() == pytest.approx([np.mean(harmonic)])
    same = imaged.table["moa"].to_numpy()
    expected = [
        np.mean(same[towers[0].fold == f] == m) for f, m in zip(towers[0].fold, same, strict=True)
    ]
    assert at(summary, "same_mechanism@1")["chance"].unique() == pytest.approx([np.mean(expected)])
    random = queries[queries["method"] == "random"]
    assert (random["first"] == "").all()


def test_every_compound_is_asked_once_by_each_method(found):
    imaged, _, summary, queries = found
    counts = queries.groupby(["direction", "method"])["compound_key"].agg(["size", "nunique"])
    assert (counts == len(imaged.table)).all(axis=None)
    assert set(summary["metric"]) == set(METRICS)
    assert (queries["rank"].between(1, queries["n_candidates"])).all()
    means = queries.groupby(["direction", "method"])["hit@5"].mean()
    pd.testing.assert_series_equal(
        at(summary, "hit@5")["value"].sort_index(), means.sort_index(), check_names=False
    )


def test_the_first_is_named_and_judged(found):
    queries = found[3][found[3]["method"] == "ridge"]
    own = queries["first"] == queries["compound"]
    np.testing.assert_array_equal(own, queries["hit@1"] == 1)
    of = found[0].table.set_index("compound")
    same = of.loc[queries["first"], "moa"].to_numpy() == queries["moa"].to_numpy()
    np.testing.assert_array_equal(same, queries["same_mechanism@1"] == 1)


def test_a_compound_without_mechanism_is_not_asked_for_it():
    imaged, _ = planted(n_groups=3)
    table = imaged.table.assign(moa=["", *imaged.table["moa"][1:]])
    blind = type(imaged)(**{**vars(imaged), "table": table})
    towers = [HeldOutTowers("scaffold", np.arange(len(table)) % 3, {})]
    summary, queries = retrieve_structures(blind, towers, n_draws=20)
    rows = queries[queries["compound"] == table["compound"].iloc[0]]
    assert rows["same_mechanism@1"].isna().all()
    assert rows["same_scaffold@1"].notna().all()
    assert at(summary, "same_mechanism@1")["n"].unique() == [len(table) - 1]
