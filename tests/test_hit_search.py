"""The hit search finds what was planted, and nothing else; bad screens are refused or said so."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from planted_batches import planted_screen
from planted_hits import GAP, planted_hits
from screenbook.errors import InputError
from screenbook.hits import hit_tables
from screenbook.hits.calls import Rule, harm_direction
from screenbook.hits.hit_search import search_hits
from screenbook.profiles.batches import cell_type_parts

NO_REPLICATES = pd.DataFrame(
    {c: [] for c in ("cell_type", "compound_key", "treatment_conc", "map", "p", "q")}
).astype({"cell_type": str, "compound_key": str, "treatment_conc": float})


def search(screen, *, left_out=None, replicates=NO_REPLICATES, rule=None, **options):
    parts = cell_type_parts(screen)
    gone = np.zeros(screen.n_obs, dtype=bool) if left_out is None else left_out
    options.setdefault("n_draws", 200)
    return search_hits(parts, parts, gone, replicates, rule or Rule(), **options)


def kinds(table):
    return table["compound"].astype(str).str.split().str[0]


@pytest.fixture(scope="module")
def screen():
    return planted_hits()


@pytest.fixture(scope="module")
def found(screen):
    return search(screen)


def test_rescuers_are_called_and_poisons_are_not(found):
    calls = pd.crosstab(kinds(found.hits), found.hits["call"])
    assert calls.loc["rescuer", "rescue"] == 4
    assert calls["rescue"].sum() == 4
    assert calls.loc["poison", "off-axis"] == 4
    assert calls.loc["sideways", "off-axis"] == 4
    assert calls.loc["aggravator", "aggravates"] == 2
    assert calls.loc["idle", "no call"] >= 28
    first = found.hits.sort_values("rank")["compound"][:4]
    assert set(first) == {f"rescuer {i}" for i in range(30, 34)}


def test_evidence_has_the_planted_sizes(found):
    t = found.treatments
    rescued = (kinds(t) == "rescuer") & (t["dose"] >= 1)
    np.testing.assert_allclose(t.loc[rescued, "on_score"], 0.2, atol=0.3)
    assert (t.loc[rescued, "alignment"] > 0.9).mean() > 0.7
    sideways = (kinds(t) == "sideways") & (t["dose"] >= 1)
    np.testing.assert_allclose(t.loc[sideways, "off_score"], 1.2 * GAP, rtol=0.3)
    idle = kinds(t) == "idle"
    assert ((t["on_low"] <= 1) & (t["on_high"] >= 1))[idle].mean() == pytest.approx(0.95, abs=0.06)
    assert (t.loc[idle, "p"] < 0.05).mean() < 0.11
    assert (t.loc[idle, "off_p"] < 0.05).mean() < 0.11


def test_poison_is_told_by_the_direction_it_shares(found):
    t = found.treatments
    top = t["dose"] == 10
    flagged = t["flags"].str.contains("toxicity-like")
    assert flagged[top & (kinds(t) == "poison")].all()
    assert not flagged[kinds(t).isin(["rescuer", "idle"])].any()


def test_wells_unlike_any_control_are_no_rescue_even_when_their_mean_is():
    screen = planted_hits(classes={"idle": 20, "rescuer": 3, "scatterer": 4}, seed=2)
    found = search(screen)
    t = found.treatments
    wild = kinds(t) == "scatterer"
    assert (t.loc[wild, "outside"] > 0.8).all()
    assert found.hits.loc[kinds(found.hits) == "scatterer", "call"].eq("off-axis").all()
    assert found.hits.loc[kinds(found.hits) == "rescuer", "call"].eq("rescue").all()
    # Left out as accidents, they still count as wells unlike any control.
    gone = screen.obs["treatment"].astype(str).str.startswith("scatterer").to_numpy(copy=True)
    gone &= np.random.default_rng(0).random(len(gone)) < 0.5
    other = search(screen, left_out=gone).treatments
    assert (other.loc[wild, "outside"] > 0.8).all()
    assert (other.loc[wild, "n_wells"] < t.loc[wild, "n_wells"]).any()


def test_best_dose_and_curve(found):
    rescued = found.hits[found.hits["call"] == "rescue"]
    assert rescued["best_dose"].isin([1.0, 10.0]).all()
    assert rescued["ec50"].between(0.05, 2).all()


def test_a_screen_without_a_rescuer_has_no_rescue():
    called = [
        search(planted_hits(classes={"idle": 40, "poison": 4}, seed=s)).hits["call"].eq("rescue")
        for s in range(4)
    ]
    assert sum(c.sum() for c in called) <= 1  # of 176 compounds at q <= 0.1


def test_the_order_of_wells_does_not_matter(screen, found):
    shuffled = screen[np.random.default_rng(0).permutation(screen.n_obs)].copy()
    other = search(shuffled)
    columns = ["compound", "on_score", "off_score", "p", "call", "rank"]
    pd.testing.assert_frame_equal(found.hits[columns], other.hits[columns], atol=1e-4)


def test_the_same_seed_gives_the_same_tables(screen, found):
    pd.testing.assert_frame_equal(search(screen).treatments, found.treatments)


def test_names_of_treatments_decide_nothing(screen):
    """Compounds change names at random: calls at most by chance."""
    rng = np.random.default_rng(1)
    other = screen.copy()
    treated = np.flatnonzero(other.obs["role"] == "treated")
    moved = rng.permutation(treated)
    for column in ("compound", "compound_key", "treatment", "treatment_conc"):
        values = other.obs[column].to_numpy(copy=True)
        values[treated] = screen.obs[column].to_numpy()[moved]
        other.obs[column] = pd.Categorical(values) if column != "treatment_conc" else values
    assert search(other).hits["call"].eq("rescue").sum() <= 1


def test_tables_have_the_columns_they_explain(screen, found):
    parts = cell_type_parts(screen)
    assert list(hit_tables.hit_table(found, screen.obs)) == list(hit_tables.HIT_COLUMNS)
    assert list(hit_tables.treatment_table(found)) == list(hit_tables.TREATMENT_COLUMNS)
    wells = hit_tables.well_table(found, parts)
    assert list(wells) == list(hit_tables.WELL_COLUMNS)
    assert list(wells["id"]) == list(screen.obs_names)


def test_replicate_evidence_is_joined_by_compound_and_dose(screen):
    hits = search(screen).hits
    key = hits.loc[hits["compound"] == "rescuer 30", "compound_key"].iloc[0]
    row = {"cell_type": "renal", "compound_key": key, "treatment_conc": 10.0}
    one = pd.DataFrame([row | {"map": 0.7, "p": 0.01, "q": 0.02}])
    t = search(screen, replicates=one).treatments
    there = t["replicate_map"].notna()
    assert there.sum() == 1
    assert t.loc[there, ["compound", "dose"]].iloc[0].tolist() == ["rescuer 30", 10.0]


# --- screens that cannot answer ---------------------------------------------------------------


def test_sites_are_refused(screen):
    doubled = screen[np.repeat(np.arange(40), 2)].copy()
    doubled.obs_names_make_unique()
    with pytest.raises(InputError, match="sites of one well are no replicates"):
        search(doubled)


def test_no_diseased_wells_is_refused_in_one_line(screen):
    with pytest.raises(InputError, match="healthy and untreated diseased wells are together in 0"):
        search(screen, left_out=(screen.obs["role"] == "diseased").to_numpy())


def test_one_replicate_is_not_testable(screen):
    first = (screen.obs["batch"] == screen.obs["batch"].iloc[0]).to_numpy()
    found = search(screen[first | (screen.obs["role"] != "treated").to_numpy()].copy())
    assert found.hits["call"].eq("not testable").all()
    assert found.treatments["flags"].str.contains("few wells").all()
    assert found.treatments["on_score"].notna().all()
    assert found.treatments["on_low"].isna().all()


def test_too_few_controls_cannot_reach_the_level():
    found = search(planted_hits(n_diseased=2, n_healthy=6, n_experiments=1, n_plates=2))
    assert found.hits["call"].eq("not testable").all()


def test_a_missing_dose_is_a_treatment_of_its_own(screen):
    other = screen.copy()
    dose = other.obs["treatment_conc"].to_numpy(copy=True)
    mine = (other.obs["compound"] == "rescuer 30").to_numpy()
    dose[mine] = np.nan
    other.obs["treatment_conc"] = dose
    found = search(other)
    hit = found.hits.set_index("compound").loc["rescuer 30"]
    assert hit["shape"] == "not testable"
    assert np.isnan(hit["best_dose"])
    assert hit["call"] == "rescue"  # twelve of eighteen wells are rescued


def test_a_compound_at_the_edge_only_is_flagged(screen):
    other = screen.copy()
    row = other.obs["row"].to_numpy(copy=True)
    row[(other.obs["compound"] == "idle 3").to_numpy()] = 0
    other.obs["row"] = row
    t = search(other).treatments
    mine = t["compound"] == "idle 3"
    assert t.loc[mine, "flags"].str.contains("edge wells only").all()
    assert t["flags"].str.contains("edge wells only").sum() < 10


def test_a_shift_in_few_features_is_flagged_as_fluorescence():
    screen = planted_hits(n_features=60)
    mine = (screen.obs["compound"] == "idle 5").to_numpy() & (screen.obs["treatment_conc"] == 10)
    screen.X[mine.to_numpy(), 40] += 8
    t = search(screen).treatments
    # Planted rescuers and poisons live in one feature each, and so look alike; the idle do not.
    flagged = t[t["flags"].str.contains("fluorescence-like") & (kinds(t) == "idle")]
    assert flagged[["compound", "dose"]].to_numpy().tolist() == [["idle 5", 10.0]]


def test_one_cell_type_that_cannot_be_scored_does_not_stop_the_other(screen):
    other = planted_hits(cell_type="simian", seed=3, n_plates=1, n_experiments=1)
    parts = [*cell_type_parts(screen), *cell_type_parts(other)]
    n = screen.n_obs
    shifted = [
        dataclasses.replace(p, rows=np.r_[np.full(n, i == 0), np.full(other.n_obs, i == 1)])
        for i, p in enumerate(parts)
    ]
    nobody = np.zeros(n + other.n_obs, bool)
    found = search_hits(shifted, shifted, nobody, NO_REPLICATES, Rule(), n_draws=100)
    assert list(found.scores) == ["renal"]
    assert "scores need two" in found.refused["simian"]


def test_without_a_disease_activity_is_called():
    screen = planted_screen(disease=False)
    parts = cell_type_parts(screen)
    treated = screen.obs[screen.obs["role"] == "treated"]
    keys = treated[["compound_key", "treatment_conc"]].astype({"compound_key": str})
    table = keys.drop_duplicates().assign(cell_type="renal")
    active = table["compound_key"].str.extract(r"(\d+)$")[0].astype(int) < 6
    table = table.assign(map=np.where(active, 0.9, 0.2), p=np.where(active, 1e-4, 0.6))
    found = search(screen, replicates=table.assign(q=table["p"] * 1.5))
    numbers = found.hits["compound"].str.extract(r"(\d+)$")[0].astype(int)
    assert (found.hits["call"].eq("active") == (numbers < 6)).all()
    assert found.hits["on_score"].isna().all()
    far = found.treatments.set_index("compound")["off_score"]
    assert far["drug 0"].min() > 1.5 * far["drug 11"].max()
    assert list(hit_tables.hit_table(found, screen.obs)) == list(hit_tables.HIT_COLUMNS)
    assert len(hit_tables.well_table(found, parts)) == screen.n_obs


def test_wells_left_out_are_those_that_report_01_names(screen):
    batches = screen.obs["batch"].astype(str)
    plates = pd.DataFrame({"batch": batches.unique()}).assign(verdict="keep")
    plates.loc[0, "verdict"] = "flag"
    one = screen.obs[batches != batches.iloc[0]].iloc[0]
    kind = ["outlier", "sites disagree"]
    wells = pd.DataFrame({"batch": one["batch"], "well": [one["well"], "P24"], "kind": kind})
    gone = hit_tables.wells_left_out(screen.obs, plates, wells, keep_flagged=False)
    assert gone.sum() == (batches == batches.iloc[0]).sum() + 1
    assert not hit_tables.wells_left_out(screen.obs, plates, wells, keep_flagged=True).any()


def test_ten_thousand_compounds_at_one_dose():
    classes = {"idle": 9_990, "rescuer": 10}
    screen = planted_hits(
        classes=classes, doses=(1.0,), n_experiments=1, n_plates=4, n_features=6, n_columns=640
    )
    found = search(screen)
    assert len(found.hits) == 10_000
    called = found.hits[found.hits["call"] == "rescue"]
    assert (kinds(called) == "rescuer").mean() >= 0.75
    assert len(called) >= 5
    assert found.hits["shape"].eq("not testable").all()  # one dose makes no curve


def test_harm_needs_three_strong_compounds():
    shifts = np.eye(4)[[0, 0, 0, 1]]
    table = pd.DataFrame(
        {"compound_key": list("abcd"), "dose": 1.0, "off_p": [1e-6, 1e-6, 1e-6, 0.9]}
    )
    np.testing.assert_allclose(harm_direction(shifts, table, 0.1), [1, 1, 1, 0], atol=1e-12)
    assert np.isnan(harm_direction(shifts, table.assign(off_p=0.9), 0.1)).all()
