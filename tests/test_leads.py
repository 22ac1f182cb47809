"""Who may be ranked, who is a lead, and that nothing is lost on the way to the table."""

import numpy as np
import pandas as pd
import pytest

from planted_ranks import hits_of, ranked_wells, treatments_of
from screenbook.leads.leads import choose_leads, lead_table, rank_cell_type


def ranked(wells, hits=None, treatments=None, **options):
    hits = hits_of(wells) if hits is None else hits
    treatments = treatments_of(wells) if treatments is None else treatments
    options = {"n_draws": 60, **options}
    return rank_cell_type("renal", hits, treatments, wells, wells, **options)


def test_calls_against_a_compound_bar_it_before_ranking():
    wells = ranked_wells(np.linspace(1, 0, 12), sd=0.05)
    calls = ["off-axis", "aggravates", "not testable"] + ["rescue"] * 4 + ["no call"] * 5
    hits = hits_of(wells, calls)
    found = ranked(wells, hits)
    assert "K000" not in found.consensus.candidates  # the best of all, but off the way
    table = lead_table(hits, {"renal": found}).set_index("compound_key")
    assert table.loc[["K000", "K001", "K002"], "rank"].isna().all()
    assert table.loc["K003", "rank"] == 1
    assert table["is_lead"].sum() == 4
    assert not table.loc["K007", "is_lead"]  # ranked, not called
    assert table.loc["K007", "rank"] == 5
    assert len(table) == 12


def test_barred_doses_do_not_speak_for_a_compound():
    wells = ranked_wells(np.r_[2.0, np.linspace(1, 0, 11)], sd=0.05)
    treatments = treatments_of(wells)
    top = treatments["dose"] == wells["dose"].max()
    treatments.loc[top & (treatments["compound_key"] == "K000"), "verdict"] = "off-axis"
    open_, barred = ranked(wells), ranked(wells, treatments=treatments)
    first = open_.consensus.table.iloc[0]
    assert first["compound_key"] == "K000"
    assert barred.consensus.table.iloc[0]["compound_key"] == "K001"
    assert barred.consensus.table.set_index("compound_key").loc["K000", "score_on_axis"] < 0.5


def test_unused_wells_and_other_roles_take_no_part():
    wells = ranked_wells(np.linspace(1, 0, 12), sd=0.05)
    last = wells["compound_key"] == "K011"
    spoilt = wells.copy()
    spoilt.loc[last & (wells["dose"] == 0.1), ["on_score", "p_healthy"]] = [-9, 9]
    spoilt["used"] = ~(last & (wells["dose"] == 0.1))
    assert ranked(spoilt).consensus.table["compound_key"].iloc[-1] == "K011"
    control = spoilt.assign(used=True, role="treated")
    assert ranked(control).consensus.table["compound_key"].iloc[0] == "K011"


def test_without_a_classifier_the_axis_ranks_alone():
    wells = ranked_wells(np.linspace(1, 0, 12), sd=0.05)
    found = rank_cell_type("renal", hits_of(wells), treatments_of(wells), wells, n_draws=60)
    assert found.consensus.names == ("on_axis",)
    table = lead_table(hits_of(wells), {"renal": found})
    assert table["rank_classifier"].isna().all()
    assert table["p_healthy"].isna().all()
    assert table["rank"].tolist() == list(range(1, 13))


def test_searches_are_witnesses():
    wells = ranked_wells(np.linspace(1, 0, 12), sd=0.05)
    hits = hits_of(wells)
    searches = hits.assign(earth_mover_score=np.arange(12.0), knn_pca_score=-np.arange(12.0))
    found = ranked(wells, searches=searches.drop(columns="knn_pca_score"))
    assert list(found.witnesses) == ["earth mover"]
    found = ranked(wells, searches=searches)
    table = lead_table(hits, {"renal": found})
    assert table["rank_earth_mover"].tolist() == list(range(12, 0, -1))
    assert table["rank_kNN"].tolist() == list(range(1, 13))
    assert table["rank"].tolist() == list(range(1, 13))  # they do not vote


def test_the_classifier_of_compounds_is_joined():
    wells = ranked_wells(np.linspace(1, 0, 12), sd=0.05)
    of_compounds = hits_of(wells).assign(p_healthy=0.9, p_low=0.7, p_high=0.95, outside=0.25)
    table = lead_table(hits_of(wells), {"renal": ranked(wells)}, of_compounds)
    row = table.iloc[0]
    assert row[["p_healthy", "p_healthy_low", "p_healthy_high", "p_outside"]].tolist() == [
        0.9,
        0.7,
        0.95,
        0.25,
    ]


def test_leads_are_chosen_over_cell_types_and_once():
    table = pd.DataFrame(
        {
            "compound_key": ["A", "B", "C", "A", "C", "D"],
            "rank": [1, 2, 40, 5, 1, np.nan],
            "n_ranked": [100, 100, 100, 10, 10, 10],
            "is_lead": [True, True, True, True, True, False],
        }
    )
    assert choose_leads(table, 10) == ["A", "B", "C"]
    assert choose_leads(table, 2) == ["A", "B"]
    assert choose_leads(table[~table["is_lead"]], 5) == []


def test_nothing_to_rank_still_gives_a_table():
    wells = ranked_wells(np.linspace(1, 0, 5))
    hits = hits_of(wells, "not testable")
    assert ranked(wells, hits) is None
    table = lead_table(hits, {})
    assert len(table) == 5
    assert not table["is_lead"].any()
    assert table["rank"].isna().all()
    assert choose_leads(table, 3) == []
    assert lead_table(hits.iloc[:0], {}).empty


def test_a_compound_on_one_plate_is_not_ranked():
    wells = ranked_wells(np.linspace(1, 0, 12), sd=0.05)
    wells = wells[(wells["compound_key"] != "K000") | (wells["batch"] == "E1/1")]
    table = lead_table(hits_of(wells), {"renal": ranked(wells)}).set_index("compound_key")
    assert np.isnan(table.loc["K000", "rank"])
    assert not table.loc["K000", "is_lead"]
    assert table.loc["K001", "n_ranked"] == pytest.approx(11)
