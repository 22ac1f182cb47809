import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from screenbook.classifier.classifier_ranking import (
    COMPOUND_COLUMNS,
    ORIGINAL_SHARE,
    TREATMENT_COLUMNS,
    among_top,
    compare_treatments,
    rank_compounds,
    rank_correlation,
    rank_treatments,
    ranking_quality,
    rankings_against,
)

DOSES = (0.1, 1.0, 10.0)


def screen(seed=0, n_plates=8, effects=None, wells_of=None, outside=None, n_untreated=20):
    """Wells with a probability each; effects and shares outside by compound and dose."""
    rng = np.random.default_rng(seed)
    effects, wells_of, outside = effects or {}, wells_of or {}, outside or {}
    names = sorted({"dud a", "dud b", *(name for name, _ in effects), *wells_of})
    rows = []
    for plate in range(n_plates):
        batch = f"E1/{plate}"
        for i in range(n_untreated):
            kind = "healthy" if i % 2 else "diseased"
            p = np.clip(rng.normal(0.9 if i % 2 else 0.1, 0.05), 0, 1)
            rows.append((batch, "", "", np.nan, kind, p, False))
        for name in names:
            for dose in DOSES:
                for _ in range(wells_of.get(name, 1)):
                    p = np.clip(rng.normal(effects.get((name, dose), 0.1), 0.05), 0, 1)
                    away = rng.random() < outside.get((name, dose), 0.0)
                    rows.append((batch, name, name.upper(), dose, "treated", p, away))
    columns = ["batch", "compound", "compound_key", "dose", "role", "p_healthy", "outside"]
    wells = pd.DataFrame(rows, columns=columns).assign(cell_type="renal", used=True)
    return wells.assign(id=[f"w{i}" for i in range(len(wells))])


def ranked(wells, **options):
    treatments = rank_treatments(wells)
    return rank_compounds(treatments, wells, pd.Series({"DUD A": "dud a; nothing"}), **options)


def test_a_treatment_is_the_mean_of_its_plates():
    wells = screen(wells_of={"dud a": 1})
    crowded = wells[(wells["compound"] == "dud a") & (wells["batch"] == "E1/0")].assign(
        p_healthy=0.9
    )
    wells = pd.concat([wells, *[crowded] * 5], ignore_index=True)
    wells.loc[(wells["compound"] == "dud a") & (wells["batch"] == "E1/0"), "p_healthy"] = 0.9
    table = rank_treatments(wells).set_index(["compound", "dose"])
    mine = wells[(wells["compound"] == "dud a") & (wells["dose"] == 1.0)]
    plates = mine.groupby("batch")["p_healthy"].mean()
    row = table.loc[("dud a", 1.0)]
    assert row["p_healthy"] == pytest.approx(plates.mean())
    assert (row["n_wells"], row["n_plates"]) == (13, 8)
    assert 0 <= row["p_low"] < row["p_healthy"] < row["p_high"] <= 1
    assert list(rank_treatments(wells)) == list(TREATMENT_COLUMNS)


def test_z_is_against_the_treated_wells_of_the_plate():
    table = rank_treatments(screen(effects={("cure", 10.0): 0.8})).set_index(["compound", "dose"])
    assert table.loc[("cure", 10.0), "z"] > 8
    assert table["z"].abs().idxmax() == ("cure", 10.0)
    assert table["z"].drop(("cure", 10.0)).abs().median() < 1.5


def test_the_best_dose_ranks_a_compound():
    wells = screen(effects={("cure", 1.0): 0.8, ("weak", 10.0): 0.4})
    table = ranked(wells)
    assert table["compound"].tolist()[:2] == ["cure", "weak"]
    assert table["best_dose"].tolist()[:2] == [1.0, 10.0]
    assert table["above"].tolist()[:2] == [True, True]
    assert table["rank"].tolist() == list(range(1, 5))
    assert table["n_wells"].iloc[0] == 24
    assert list(table) == list(COMPOUND_COLUMNS)
    assert "dud a; nothing" in set(table["names"])


def test_more_wells_lift_nobody_without_an_effect():
    places = []
    for seed in range(12):
        wells = screen(seed, wells_of={f"dud {i}": 8 if i < 3 else 1 for i in range(12)})
        table = ranked(wells).set_index("compound")
        places.append(table.loc[[f"dud {i}" for i in range(3)], "rank"].mean())
    assert np.mean(places) == pytest.approx((14 + 1) / 2, abs=1.5)


def test_one_lucky_plate_does_not_beat_a_steady_effect():
    wells = screen(effects={("steady", 10.0): 0.6})
    lucky = (wells["compound"] == "dud a") & (wells["dose"] == 10.0)
    wells.loc[
        lucky & wells["batch"].isin(["E1/0", "E1/1", "E1/2", "E1/3", "E1/4"]), "p_healthy"
    ] = 1
    table = ranked(wells)
    assert table["compound"].iloc[0] == "steady"
    assert table.set_index("compound").loc["dud a", "p_healthy"] > table["p_healthy"].iloc[0]


def test_doses_unlike_any_control_do_not_count():
    effects = {
        ("killer", 10.0): 0.95,
        ("killer", 1.0): 0.95,
        ("killer", 0.1): 0.95,
        ("cure", 1.0): 0.6,
    }
    outside = {("killer", dose): 1.0 for dose in DOSES}
    table = ranked(screen(effects=effects, outside=outside)).set_index("compound")
    assert table.loc["cure", "rank"] == 1
    assert table.loc["killer", "rank"] == len(table)
    assert not table.loc["killer", "above"]
    half = ranked(screen(effects=effects, outside={("killer", 10.0): 1.0})).set_index("compound")
    assert half.loc["killer", "best_dose"] != 10.0


def test_without_evidence_compounds_with_odd_wells_come_later():
    table = ranked(screen(outside={("toxic", 10.0): 1.0}, effects={("toxic", 10.0): 0.05}))
    assert table["compound"].iloc[-1] == "toxic"
    assert not table["above"].any()


def test_wells_left_out_do_not_count():
    wells = screen(effects={("cure", 1.0): 0.8})
    wells.loc[wells["batch"].isin(["E1/0", "E1/1"]), "used"] = False
    table = ranked(wells).set_index("compound")
    assert table.loc["cure", "n_plates"] == 6
    assert table.loc["cure", "n_wells"] == 18


def test_a_single_plate_gives_no_interval_and_no_first_place():
    table = ranked(screen(n_plates=1, effects={("cure", 1.0): 0.9}))
    assert table["p_low"].isna().all()
    assert not table["above"].any()
    assert table["p_healthy"].max() > 0.6


def test_a_missing_dose_is_a_treatment_of_its_own():
    wells = screen()
    wells.loc[wells["compound"] == "dud a", "dose"] = np.nan
    table = rank_treatments(wells)
    assert table["compound"].tolist().count("dud a") == 1
    assert ranked(wells)["compound"].is_unique


def test_the_originals_top_is_a_share_of_all_rows():
    wells = screen()
    wells["p_healthy"] = np.linspace(0, 1, len(wells))
    top = among_top(wells, 0.05)
    treated = wells["role"] == "treated"
    assert top.sum() == round(0.05 * len(wells))
    assert not top[~treated].any()
    assert wells.loc[top, "p_healthy"].min() > wells.loc[treated & ~top, "p_healthy"].max()
    assert round(ORIGINAL_SHARE * 305_520) == 10_000
    assert among_top(wells, 1.0).sum() == treated.sum()


def test_counts_are_of_wells_among_the_top():
    wells = screen(effects={("cure", 10.0): 0.95}, wells_of={"cure": 2})
    table = ranked(wells, top=8 / len(wells)).set_index("compound")
    assert table.loc["cure", "count_top"] == 8
    assert table["count_top"].sum() == 8


def test_treatments_are_joined_by_cell_type_compound_and_dose():
    ours = rank_treatments(screen())
    theirs = ours[["cell_type", "compound_key", "dose"]].assign(on_score=1.0, off_score=0.5)
    theirs = pd.concat([theirs.iloc[1:], theirs.iloc[1:].assign(cell_type="simian")])
    joined = compare_treatments(ours, theirs)
    assert len(joined) == len(ours) - 1
    assert {"p_healthy", "on_score", "off_score"} <= set(joined)


def test_a_correlation_needs_something_that_varies():
    assert np.isnan(rank_correlation(pd.Series([1, 2, 3]), pd.Series([1, 1, 1])))
    assert rank_correlation(pd.Series([1, 2, 3]), pd.Series([1, 5, 90])) == pytest.approx(1)


def test_quality_of_a_ranking():
    score = np.array([9.0, 8, 7, 6, 5, 4])
    positive = np.array([True, False, True, False, False, False])
    toxic = np.array([False, True, False, False, False, True])
    found = ranking_quality(score, positive, toxic)
    assert found["average_precision"] == pytest.approx(average_precision_score(positive, score))
    assert found["recall"] == 0.5
    assert (found["recall_top"], found["toxic_top"], found["most"]) == (1.0, 1.0, 3.0)
    assert found["by_chance"] == pytest.approx(1 / 3)
    level = ranking_quality(np.zeros(6), positive, toxic)
    assert level["average_precision"] == pytest.approx((1 / 5 + 2 / 6) / 2)  # the worst order
    nothing = ranking_quality(score, np.zeros(6, dtype=bool), toxic)
    assert np.isnan([nothing[name] for name in ("average_precision", "recall", "recall_top")]).all()


def test_compounds_that_a_ranking_lacks_come_last():
    rescues = pd.Series([True, False, False, True], index=list("abcd"))
    toxic = pd.Series(False, index=list("abcd"))
    table = rankings_against({"some": pd.Series({"a": 2.0, "b": 1.0})}, rescues, toxic)
    assert table["average_precision"].tolist() == pytest.approx([(1 + 2 / 4) / 2])
