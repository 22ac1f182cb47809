"""Retrieval on two real L1000 sets: published-style figures, and what the chosen methods add."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from screenbook.expression.comparison import (
    Method,
    RetrievalTask,
    SignatureRows,
    combine_methods,
    score_library,
)
from screenbook.expression.connectivity import score_connectivity, spearman
from screenbook.expression.method_choice import choose_methods, cross_fit, judge_methods
from screenbook.expression.plate_position import rank_neighbour_wells, remove_plate_trend
from screenbook.expression.spaces import Space
from screenbook.retrieval_metrics import score_rankings, summarise

SHARED = Path(__file__).parents[2] / "shared" / "data"
HT115 = SHARED / "prnet_demo" / "demo.h5ad"
A375 = SHARED / "cmappy_l1000" / "test_l1000.gct"

needs_ht115 = pytest.mark.skipif(not HT115.exists(), reason=f"{HT115} is not here")
needs_a375 = pytest.mark.skipif(not A375.exists(), reason=f"{A375} is not here")

METHODS = [
    Method(space, score, centre, local)
    for space in (Space(), Space("ranks", 3), Space("ranks", 0, 0.5))
    for score in ("cosine", "spearman")
    for centre, local in ((False, False), (True, True))
]


def places(wells):
    parts = pd.Series(wells).astype(str).str.extract(r"([A-P])(\d+)")
    return np.column_stack([parts[0].map(ord) - ord("A"), parts[1].astype(int)])


def own_scores(scores, query, library):
    own = np.where(np.asarray(query)[:, None] == np.asarray(library), 3, 0)
    return score_rankings(scores, own)


@pytest.fixture(scope="module")
def ht115():
    """Change against the mean of DMSO wells of the plate: queries, library, DMSO residuals."""
    data = ad.read_h5ad(HT115)
    values, obs = np.asarray(data.X, dtype=float), data.obs.astype(str)
    control = (obs["pert_type"] == "ctl_vehicle").to_numpy()
    sides, delta = [], np.empty_like(values)
    for plate in ("CPC006_HT115_6H_X1", "CPC006_HT115_6H_X2"):
        mine = (obs["rna_plate"] == plate).to_numpy()
        delta[mine] = values[mine] - values[mine & control].mean(axis=0)
        rows = mine & ~control
        name = obs["condition"].to_numpy()[rows]
        sides.append(SignatureRows(delta[rows], name, np.repeat(plate, rows.sum())))
    return sides[0], sides[1], delta[control]


@pytest.fixture(scope="module")
def a375():
    """Expression (377, 978) and metadata of the wells, straight from the GCT text."""
    table = pd.read_csv(A375, sep="\t", skiprows=2, index_col=0, low_memory=False)
    obs = table.iloc[:35, 11:].T
    obs["dose"] = pd.to_numeric(obs["pert_dose"])
    obs["control"] = obs["pert_type"] == "ctl_vehicle"
    return table.iloc[35:, 11:].T.to_numpy(dtype=float), obs


def a375_pair(obs, low, high):
    """Row numbers of treatments at two doses, of drugs that have both."""
    treated = ~obs["control"].to_numpy()
    dose, drug = obs["dose"].to_numpy(), obs["pert_id"].to_numpy()
    q, c = (np.flatnonzero(treated & np.isclose(dose, d)) for d in (low, high))
    return q[np.isin(drug[q], drug[c])], c


def robust_z(values, reference):
    middle = np.median(values[reference], axis=0)
    spread = 1.4826 * np.median(np.abs(values[reference] - middle), axis=0)
    return (values - middle) / np.maximum(spread, 0.1)


@needs_ht115
def test_ht115_replicates_by_plain_cosine(ht115):
    query, library, _ = ht115
    for method, wanted in (
        (Method(), [0.111, 0.281, 46]),
        (Method(centre=True), [0.147, 0.307, 35]),
    ):
        ranks = own_scores(score_library(method, query, library), query.compound, library.compound)
        assert ranks["own_rank"].notna().sum() == 306
        assert (ranks["n_candidates"] == 332).all()
        found = [ranks["hit@1"].mean(), ranks["hit@10"].mean(), ranks["own_rank"].median()]
        assert found[:2] == pytest.approx(wanted[:2], abs=0.002)
        assert found[2] == pytest.approx(wanted[2], abs=1)


@needs_ht115
def test_ht115_a_method_chosen_by_other_compounds_finds_twice_as_many(ht115):
    query, library, wells = ht115
    plain = own_scores(
        score_library(Method(centre=True), query, library), query.compound, library.compound
    )
    fitted = cross_fit([RetrievalTask(query, library, wells)], METHODS)
    better = own_scores(fitted.scores[0], query.compound, library.compound)
    gain = summarise(better - plain, query.compound).set_index("metric")
    assert gain.loc["hit@1", "low"] > 0.05
    assert gain.loc["hit@10", "low"] > 0.1
    assert gain.loc["own_reciprocal_rank", "low"] > 0.1
    assert better["own_rank"].median() < 15


@needs_a375
@pytest.mark.parametrize(
    ("score", "reference", "hit", "reciprocal"),
    [
        ("cosine", "DMSO", 0.224, 0.362),
        ("spearman", "DMSO", 0.431, 0.531),
        ("wtcs", "DMSO", 0.276, 0.425),
        ("xsum", "DMSO", 0.172, 0.296),
        ("zhang", "DMSO", 0.345, 0.464),
        ("cosine", "plate", 0.172, 0.330),
        ("spearman", "plate", 0.397, 0.504),
        ("wtcs", "plate", 0.293, 0.429),
        ("xsum", "plate", 0.276, 0.403),
        ("zhang", "plate", 0.345, 0.481),
    ],
)
def test_a375_doses_by_every_score(a375, score, reference, hit, reciprocal):
    values, obs = a375
    rows = obs["control"].to_numpy() if reference == "DMSO" else np.ones(len(obs), dtype=bool)
    z = robust_z(values, rows)
    q, c = a375_pair(obs, 3.33, 10)
    assert (len(q), len(c)) == (58, 58)
    drug = obs["pert_id"].to_numpy()
    ranks = own_scores(score_connectivity(z[q], z[c], score), drug[q], drug[c])
    assert ranks["hit@1"].mean() == pytest.approx(hit, abs=0.018)
    assert ranks["own_reciprocal_rank"].mean() == pytest.approx(reciprocal, abs=0.01)


def a375_sides(values, obs):
    control = obs["control"].to_numpy()
    delta, drug = values - np.median(values[control], axis=0), obs["pert_id"].to_numpy()
    query, library = (
        SignatureRows(delta[i], drug[i], np.repeat("LJP005", len(i)))
        for i in a375_pair(obs, 3.33, 10)
    )
    return query, library, delta[control]


@needs_a375
def test_a375_a_chosen_method_is_no_worse(a375):
    values, obs = a375
    query, library, wells = a375_sides(values, obs)
    q, c = a375_pair(obs, 3.33, 10)
    z = robust_z(values, obs["control"].to_numpy())
    plain = own_scores(spearman(z[q], z[c]), query.compound, library.compound)
    fitted = cross_fit([RetrievalTask(query, library, wells)], METHODS)
    better = own_scores(fitted.scores[0], query.compound, library.compound)
    gain = summarise(better - plain, query.compound).set_index("metric")
    # 58 drugs: what is gained is within noise, or nearly.
    assert gain.loc["own_rank", "mean"] < 0
    assert gain.loc["own_reciprocal_rank", "mean"] > 0
    assert gain.loc["own_reciprocal_rank", "low"] > -0.06


@needs_ht115
@needs_a375
def test_methods_chosen_on_a375_find_more_on_ht115(a375, ht115):
    sides = a375_sides(*a375)
    found = judge_methods(*sides[:2], METHODS, sides[2])
    names = choose_methods(found, sides[0].compound)
    query, library, wells = ht115
    plain, better = (
        own_scores(scores, query.compound, library.compound)
        for scores in (
            score_library(Method(centre=True), query, library),
            combine_methods([m for m in METHODS if str(m) in names], query, library, wells),
        )
    )
    gain = summarise(better - plain, query.compound).set_index("metric")
    assert gain.loc["hit@1", "low"] > 0.03
    assert gain.loc["own_reciprocal_rank", "low"] > 0.05


@needs_a375
def test_a375_position_flatters_adjacent_doses(a375):
    values, obs = a375
    control, drug = obs["control"].to_numpy(), obs["pert_id"].to_numpy()
    place = places(obs["rna_well"])
    level = remove_plate_trend(values, place[:, 0], place[:, 1], np.repeat("p", len(values)))
    found = {}
    for name, x in (("raw", values), ("level", level)):
        delta = x - np.median(x[control], axis=0)
        for low, high in ((0.04, 0.12), (0.04, 10), (3.33, 10)):
            q, c = a375_pair(obs, low, high)
            scores = spearman(delta[q], delta[c])
            same = drug[q][:, None] == drug[c]
            strangers = rank_neighbour_wells(scores, same, place[q], place[c])
            ranks = own_scores(scores, drug[q], drug[c])
            found[name, low, high] = ranks["own_reciprocal_rank"].mean(), np.nanmean(strangers)
    # Strangers in wells around the right answer rank better than others.
    assert found["raw", 3.33, 10][1] < 0.45
    # A dose that does nothing finds the next dose next door, but not the one five wells away.
    assert found["raw", 0.04, 0.12][0] > 1.5 * found["raw", 0.04, 10][0]
    # Without the surface, strangers lose their advantage in part, and the drugs keep most.
    assert found["level", 3.33, 10][1] > found["raw", 3.33, 10][1]
    assert 0.4 < found["level", 3.33, 10][0] < found["raw", 3.33, 10][0]
