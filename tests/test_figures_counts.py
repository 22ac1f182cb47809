import json

import pytest

from planted import plate_wells
from screenbook.figures.counts import (
    breakdown_bars,
    listing_chances,
    plate_composition,
    replicate_ranks,
)
from screenbook.figures.palette import ROLE_COLOURS, ROLE_NAMES
from screenbook.profiles.design import blind_listing, breakdowns, compound_table, plate_counts


@pytest.fixture
def wells():
    return plate_wells()


@pytest.fixture
def compounds(wells):
    return compound_table(wells, references=["drug 3"])


def test_every_value_of_every_column_is_a_bar_with_its_count(wells):
    tables = breakdowns(wells, wells.assign(site=0))
    fig = breakdown_bars(tables, ["Mock"], ["Active"], title="t")
    assert len(fig.data) == len(tables) == 5
    for trace, table in zip(fig.data, tables.values(), strict=True):
        assert sum(trace.x) == table["wells"].sum() == len(wells)
    roles = dict(zip(fig.data[1].y, fig.data[1].marker.color, strict=True))
    assert roles[ROLE_NAMES["healthy"]] == ROLE_COLOURS["healthy"]
    conditions = dict(zip(fig.data[0].y, fig.data[0].marker.color, strict=True))
    assert conditions == {"Mock": ROLE_COLOURS["healthy"], "Active": ROLE_COLOURS["diseased"]}


def test_a_column_that_is_blank_throughout_gets_no_panel(wells):
    tables = breakdowns(wells.assign(disease_condition=""), wells.assign(site=1))
    assert "disease condition" not in tables
    assert "site within the well" in tables


def test_stacked_roles_add_up_to_the_plate(wells):
    fig = plate_composition(plate_counts(wells), title="t")
    assert fig.layout.barmode == "stack"
    assert [sum(trace.y[i] for trace in fig.data) for i in range(4)] == [96] * 4
    assert [trace.name for trace in fig.data] == [
        ROLE_NAMES[role] for role in ("healthy", "diseased", "treated")
    ]
    assert len({trace.marker.pattern.shape for trace in fig.data}) == 3


def test_compounds_can_be_searched_and_references_stand_out(compounds):
    fig = replicate_ranks(compounds, title="t")
    assert all(trace.meta == "compound" for trace in fig.data)
    assert [len(trace.x) for trace in fig.data] == [27, 1]
    assert fig.data[1].customdata[0][0] == "drug 3"
    assert fig.data[0].marker.symbol != fig.data[1].marker.symbol
    assert fig.layout.yaxis.type == "log"


def test_chances_are_drawn_beside_the_fair_one(compounds):
    blind = blind_listing(compounds, top_share=0.05, listed=7, n_draws=50, seed=0)
    assert (blind["fair"] == 0.25).all()
    assert not blind["often"].any()
    fig = listing_chances(blind, title="t")
    assert sum(len(trace.x) for trace in fig.data) == len(compounds)
    assert "25%" in fig.layout.annotations[-1].text
    json.loads(fig.to_json())
