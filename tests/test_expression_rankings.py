"""Rankings of drugs for a change: planted answers, and scores written out."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from screenbook.expression import rankings
from screenbook.expression.connectivity import score_connectivity
from screenbook.expression.inverse import InverseSettings, train_inverse
from screenbook.expression.libraries import Retrieval, retrieve
from screenbook.expression.rankings import (
    DEPTHS,
    FAMILY,
    by_part,
    hit_table,
    over_lines,
    rank_by_all,
    ranking_table,
    target_rankings,
)
from screenbook.expression.retrieval_baselines import RETRIEVAL_BASELINES
from screenbook.expression.signatures import Signatures
from screenbook.expression.split_study import study_split
from screenbook.training import TrainSettings
from small_studies import QUICK, bits, small_signatures, study

N_DRUGS, N_LINES, N_GENES = 14, 4, 80
ALL_LINES = ["all lines, cosine", "all lines, NCS", "all lines, tau"]
OF_OBSERVED = ["observed", *(f"observed, {name}" for name in FAMILY), *ALL_LINES]


@cache
def planted():
    """Each drug has a signature of its own, the same in all lines but for its strength."""
    rng = np.random.default_rng(0)
    drug, line = (i.ravel() for i in np.mgrid[:N_DRUGS, :N_LINES])
    effect = rng.standard_t(5, size=(N_DRUGS, N_GENES))
    delta = rng.uniform(0.8, 1.2, len(drug))[:, None] * effect[drug]
    keys = np.array([f"{chr(65 + d) * 14}-X-N" for d in range(N_DRUGS)], dtype=object)
    obs = pd.DataFrame(
        {
            "compound_key": keys[drug],
            "compound": [f"drug {d:02d}" for d in drug],
            "cell_line": [f"L{i}" for i in line],
            "dose": 5.0,
            "plate": "p",
            "moa": "",
            "targets": "",
            "SMILES": "",
            "n_cells": 100.0,
        }
    )
    genes = np.array([f"G{i}" for i in range(N_GENES)], dtype=object)
    basal = pd.DataFrame(rng.normal(size=(N_LINES, N_GENES)), [f"L{i}" for i in range(N_LINES)])
    made = Signatures(
        delta.astype(np.float32),
        np.full(delta.shape, 0.1, np.float32),
        obs,
        genes,
        basal.set_axis(genes, axis=1),
    )
    structures = pd.DataFrame((rng.random((N_DRUGS, 64)) < 0.3).astype(np.float32), index=keys)
    return made, structures, study_split(made, structures, "pair", 0, QUICK)


def reader(rule):
    """Train f_p, shortly, on the training part of a small study."""
    rows = study(rule).predictor.train
    targets = small_signatures().obs.loc[rows.obs.index, "targets"].tolist()
    quick = TrainSettings(n_steps=3, device="cpu")
    small = InverseSettings(n_components=8, width=16, n_space=8, training=quick)
    return train_inverse(rows, targets, small)


@pytest.mark.parametrize("name", OF_OBSERVED)
def test_a_drug_whose_signature_is_its_own_comes_first(name):
    made, structures, split = planted()
    found = rank_by_all(made, split, structures)
    own = found.queries.obs["compound_key"].to_numpy()[:, None]
    own = own == found.candidates["compound_key"].to_numpy()
    scores = found.scores[name]
    assert len(scores) >= 8
    assert (scores.argmax(axis=1) == own.argmax(axis=1)).all()
    # No other drug may stand beside it.
    assert (scores >= scores[own][:, None]).sum(axis=1).max() == 1


def test_every_way_is_asked_of_drugs_that_were_profiled():
    found = rank_by_all(small_signatures(), study("pair"), bits(), reader("pair"))
    libraries = ["observed", "neighbour-filled", "predicted"]
    others = [f"observed, {name}" for name in FAMILY]
    assert list(found.scores) == [
        *libraries, *others, *ALL_LINES, "f_p", *RETRIEVAL_BASELINES,
    ]  # fmt: skip
    for scores in found.scores.values():
        assert scores.shape == (len(found.queries), len(found.candidates))
    for name in FAMILY:
        alone = retrieve(small_signatures(), study("pair"), score=name, libraries=["observed"])
        np.testing.assert_array_equal(found.scores[f"observed, {name}"], alone.scores["observed"])


def test_drugs_never_profiled_are_in_no_observed_library():
    found = rank_by_all(small_signatures(), study("drug"), bits())
    assert not [name for name in found.scores if name.startswith(("observed,", "all lines"))]
    own = found.queries.obs["compound_key"].to_numpy()[:, None]
    own = own == found.candidates["compound_key"].to_numpy()
    assert np.isnan(found.scores["observed"][own]).all()
    assert np.isnan(found.scores["popularity"][own]).all()
    assert np.isfinite(found.scores["predicted"][own]).all()
    assert "f_p" not in found.scores


def test_the_seed_draws_the_random_order_alone():
    first, again, other = (
        rank_by_all(small_signatures(), study("drug"), bits(), seed=s).scores for s in (0, 0, 1)
    )
    for name, scores in first.items():
        np.testing.assert_array_equal(scores, again[name])
        assert np.array_equal(scores, other[name], equal_nan=True) == (name != "random")


def normalised(scores, lines):
    """Scores over the mean size of those of their sign in their line."""
    out = scores.copy()
    for q, c in np.ndindex(*scores.shape):
        same = (lines == lines[c]) & (np.sign(scores[q]) == np.sign(scores[q, c]))
        if scores[q, c] != 0:
            out[q, c] = scores[q, c] / np.abs(scores[q, same]).mean()
    return out


def loudest(values):
    """The 67 or 33 % quantile, by linear interpolation, whichever is further from 0."""
    values = np.sort(values)
    high, low = (
        np.interp(share * (len(values) - 1), np.arange(len(values)), values)
        for share in (0.67, 0.33)
    )
    return high if abs(high) >= abs(low) else low


def by_drug(scores, of, keys, speak):
    out = np.full((len(scores), len(keys)), np.nan)
    for c, key in enumerate(keys):
        for q in range(len(scores)):
            if (of == key).any():
                out[q, c] = speak(scores[q, of == key])
    return out


@pytest.mark.parametrize("rule", ["pair", "line", "drug"])
def test_lines_speak_for_their_drugs_as_written_out(rule):
    found = retrieve(small_signatures(), study(rule), libraries=["observed"])
    got = over_lines(found, study(rule))
    rows = study(rule).predictor.train
    top = (rows.obs["dose"] == rows.obs["dose"].max()).to_numpy()
    line, of = (rows.obs.loc[top, c].to_numpy() for c in ("cell_line", "compound_key"))
    delta, weight = rows.delta[top].astype(float), rows.weight[top]
    mean = {x: np.average(delta[line == x], axis=0, weights=weight[line == x]) for x in set(line)}
    unseen = np.mean([mean[x] for x in sorted(mean)], axis=0)
    library = delta - np.array([mean[x] for x in line])
    asked_in = found.queries.obs["cell_line"]
    asked = found.queries.delta - np.array([mean.get(x, unseen) for x in asked_in])
    assert (rule == "line") == (not set(asked_in) & set(line))
    keys = found.candidates["compound_key"].to_numpy()

    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (asked, library)]
    cosine = by_drug(unit[0] @ unit[1].T, of, keys, np.mean)
    np.testing.assert_allclose(got["all lines, cosine"], cosine, atol=1e-5)

    connected, reference = (
        by_drug(normalised(score_connectivity(x, library, "wtcs"), line), of, keys, loudest)
        for x in (asked, library)
    )
    np.testing.assert_allclose(got["all lines, NCS"], connected, atol=1e-5)
    assert (connected < 0).any()
    assert (connected > 0).any()

    percent = np.full_like(connected, np.nan)
    for q, c in np.ndindex(*connected.shape):
        if np.isfinite(connected[q, c]):
            weaker = np.abs(reference[:, c]) < abs(connected[q, c]) - 1e-9
            percent[q, c] = np.sign(connected[q, c]) * 100 * weaker.mean()
    # All signatures are reference queries, as there are fewer than 500.
    np.testing.assert_allclose(got["all lines, tau"], percent, atol=1e-4)
    blank = np.isnan(got["all lines, tau"]).all(axis=0)
    assert (blank == ~found.candidates["profiled"]).all()


def test_few_reference_queries_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(rankings, "N_BACKGROUND", 5)
    found = retrieve(small_signatures(), study("pair"), libraries=["observed"])
    first, again, other = (over_lines(found, study("pair"), seed=s) for s in (0, 0, 1))
    tau = "all lines, tau"
    np.testing.assert_array_equal(first[tau], again[tau])
    assert not np.array_equal(first[tau], other[tau], equal_nan=True)
    steps = first[tau][np.isfinite(first[tau])] / 20  # fifths of a hundred
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)


def small_retrieval():
    """Three queries, four drugs: the first is found at once, the second third, the third last."""
    obs = pd.DataFrame(
        {
            "compound_key": ["name:a", "name:b", "name:d"],
            "cell_line": ["L1", "L1", "L2"],
            "moa": "",
            "targets": "",
        }
    )
    drugs = pd.DataFrame({"compound_key": [f"name:{x}" for x in "abcd"], "moa": "", "targets": ""})
    scores = np.array([[4.0, 3, 2, 1], [4, 2, 3, 1], [4, 3, 2, np.nan]])
    none = np.zeros((3, 2))
    queries = Signatures(none, none, obs, np.array(["G1", "G2"], object), pd.DataFrame())
    return Retrieval(queries, drugs, {"way": scores, "reverse": -scores})


def test_a_table_of_rankings_counts_hits_by_depth():
    table, queries = ranking_table(small_retrieval())
    assert list(queries) == ["way", "reverse"]
    means = table.set_index(["ranking", "metric"])["mean"]
    assert [means["way", f"hit@{k}"] for k in (1, 2, 3, 5)] == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3, 1]
    )
    assert means["way", "own_rank"] == pytest.approx((1 + 3 + 4) / 3)
    assert queries["way"]["own_rank"].tolist() == [1, 3, 4]
    # What has no score is last both ways.
    assert queries["reverse"]["own_rank"].tolist() == [4, 2, 4]
    only, _ = ranking_table(small_retrieval(), ["reverse"])
    assert set(only["ranking"]) == {"reverse"}


def test_a_pool_takes_candidates_out():
    pool = np.array([False, True, True, True])
    _, queries = ranking_table(small_retrieval(), ["way"], pool=pool)
    assert queries["way"]["n_candidates"].tolist() == [3, 3, 3]
    ranks = queries["way"]["own_rank"].to_numpy()
    assert np.isnan(ranks[0])  # the first query's drug is not in the pool
    assert ranks[1:].tolist() == [2, 3]


def test_hits_are_arranged_by_depth_with_their_chance():
    table, _ = ranking_table(small_retrieval())
    hits = hit_table(table, {1: 0.25, 2: 0.5})
    assert list(hits) == ["series", "k", "hit", "low", "high", "chance"]
    way = hits[hits["series"] == "way"]
    assert way["k"].tolist() == list(DEPTHS)
    assert way["hit"].tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 1, 1, 1, 1])
    assert way["chance"].tolist()[:2] == [0.25, 0.5]
    assert way["chance"].isna().tolist()[2:] == [True] * 5
    assert hit_table(table)["chance"].isna().all()
    rows = table[table["metric"] == "hit@2"]
    np.testing.assert_array_equal(hits.loc[hits["k"] == 2, "low"], rows["low"])


def test_parts_are_listed_best_first():
    found = small_retrieval()
    queries = ranking_table(found, ["way"])[1]["way"]
    lines = by_part(queries, found.queries.obs, "cell_line", "own_rank")
    assert lines.to_numpy().tolist() == [["L2", 1, 4.0], ["L1", 2, 2.0]]
    assert list(lines) == ["cell_line", "n_queries", "own_rank"]
    drugs = by_part(queries, found.queries.obs, "compound_key", "hit@2")
    assert drugs["compound_key"].tolist() == ["name:a", "name:b", "name:d"]
    assert drugs["hit@2"].tolist() == [1, 0, 0]


class TargetsTold:
    """Stands in for f_p: names the same genes for every query, best first."""

    def __init__(self, *genes):
        self.genes = genes

    def targets(self, delta, basal):
        assert delta.shape == basal.shape
        scores = np.arange(len(self.genes), 0, -1.0)
        return pd.DataFrame(np.tile(scores, (len(delta), 1)), columns=list(self.genes))


def target_case(own_targets="OWN"):
    """A drug, its enantiomer with the same target, and six others with a target each."""
    keys = ["AAAAAAAAAAAAAA-RRRRRR-N", "AAAAAAAAAAAAAA-SSSSSS-N"]
    keys += [f"{chr(66 + i) * 14}-X-N" for i in range(6)]
    drugs = pd.DataFrame(
        {
            "compound_key": keys,
            "targets": [own_targets, own_targets, *(f"T{i}" for i in range(6))],
            "profiled": True,
        }
    )
    obs = pd.DataFrame(
        {"compound_key": [keys[0]], "cell_line": ["L"], "targets": [own_targets], "moa": [""]}
    )
    genes = np.array(["G1", "G2", "G3"], dtype=object)
    basal = pd.DataFrame(np.zeros((1, 3)), index=["L"], columns=genes)
    asked = Signatures(np.ones((1, 3)), np.ones((1, 3)), obs, genes, basal)
    structures = pd.DataFrame(np.ones((8, 9)), index=keys)
    structures.iloc[2:, :3] = 0.0  # alike, but less so than the enantiomers
    return Retrieval(asked, drugs, {}), structures, asked


def test_targets_of_the_own_parent_are_left_out():
    found, structures, asked = target_case()
    table = target_rankings(TargetsTold("OWN"), found, None, structures, asked).set_index("way")
    assert table.index.tolist() == ["f_p", "neighbours by structure", "most frequent targets"]
    # Five of the six others fill the first five places, and OWN has no say left.
    assert table["recall@5"].to_dict() == {
        "f_p": 1.0,
        "neighbours by structure": 0.0,
        "most frequent targets": 0.0,
    }
    assert (table["n_targets"] == 1).all()
    assert (table["compound_key"] == found.queries.obs["compound_key"].iloc[0]).all()
    # Were another drug of that target known, both would name it.
    drugs = found.candidates.copy()
    drugs.loc[2:3, "targets"] = "OWN"
    more = target_rankings(
        TargetsTold(*"VWXYZ", "OWN"), replace(found, candidates=drugs), None, structures, asked
    ).set_index("way")
    assert more.loc["most frequent targets", "recall@5"] == 1
    assert more.loc["neighbours by structure", "recall@5"] == 1
    assert more.loc["f_p", "recall@5"] == 0


def test_targets_are_learned_from_profiled_drugs_and_asked_where_known():
    found, structures, asked = target_case()
    drugs = found.candidates.copy()
    drugs.loc[2:4, "targets"] = "OWN"
    drugs["profiled"] = [True, True, False, False, False, True, True, True]
    table = target_rankings(
        TargetsTold("OWN"), replace(found, candidates=drugs), None, structures, asked
    ).set_index("way")
    # Who else has the target was not profiled: three others are known, so it is fourth by ties.
    assert table.loc["most frequent targets", "recall@5"] == 1
    scores = table.loc["most frequent targets", "ap@5"]
    assert scores == pytest.approx(1 / 4)
    unknown, structures, asked = target_case("")
    table = target_rankings(TargetsTold("OWN"), unknown, None, structures, asked)
    assert len(table) == 0


def test_target_rankings_of_a_small_screen():
    found = rank_by_all(small_signatures(), study("pair"), bits())
    table = target_rankings(reader("pair"), found, study("pair"), bits(), small_signatures())
    told = found.queries.obs["targets"].ne("").sum()
    assert 0 < told < len(found.queries)
    assert table["way"].value_counts().to_dict() == dict.fromkeys(
        ["f_p", "neighbours by structure", "most frequent targets"], told
    )
    assert table["recall@5"].between(0, 1).all()
