"""What the figures of leads are drawn from, and that they can be drawn."""

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from plotly.utils import PlotlyJSONEncoder

from planted_ranks import hits_of, ranked_wells, treatments_of
from screenbook.figures.lead_questions import reference_figure, repeat_figure
from screenbook.figures.leads import evidence_strip, rank_intervals, rank_stability
from screenbook.leads.lead_views import (
    dose_table,
    evidence_bands,
    listed,
    stability_summary,
    stability_tables,
)
from screenbook.leads.leads import lead_table, rank_cell_type
from screenbook.leads.score_questions import repeats

TEXT = {"title": "It holds", "subtitle": "n = 12"}


@pytest.fixture(scope="module")
def screen():
    """Two cell types of twelve compounds, ranked; a name that is markup."""
    tables = []
    for cell_type in ("renal", "simian"):
        wells = ranked_wells(np.linspace(1, 0, 12), sd=0.1, cell_type=cell_type)
        wells["compound"] = wells["compound"].replace("drug 001", "<b>bold</b>")
        tables.append(wells)
    wells = pd.concat(tables)
    hits = pd.concat([hits_of(t) for t in tables]).assign(names="", flags="")
    ranked = {
        cell_type: rank_cell_type(cell_type, hits, treatments_of(wells), wells, wells, n_draws=50)
        for cell_type in ("renal", "simian")
    }
    return wells, ranked, lead_table(hits, ranked)


def as_json(fig):
    assert isinstance(fig, go.Figure)
    return json.loads(json.dumps(fig.to_dict(), cls=PlotlyJSONEncoder))


def compounds_of(fig):
    """Names on traces that take part in the page's search."""
    traces = [t for t in fig.data if t.meta == "compound"]
    assert traces
    return {str(row[0]) for t in traces for row in t.customdata}


def test_bands_hold_means_of_controls():
    rng = np.random.default_rng(0)
    role = np.repeat(["healthy", "diseased"], 600)
    scored = pd.DataFrame({"role": role, "on_score": rng.normal(size=1200), "used": True})
    scored.loc[role == "diseased", "on_score"] += 1
    bands = evidence_bands(scored, scored.assign(p_healthy=scored["on_score"]), 6)
    assert bands["panel"].tolist() == ["on", "on", "p", "p"]
    healthy = bands.iloc[0]
    assert healthy["low"] == pytest.approx(-1.96 / np.sqrt(6), abs=0.1)
    means = scored.loc[role == "healthy", "on_score"].to_numpy().reshape(100, 6).mean(axis=1)
    inside = (means > healthy["low"]) & (means < healthy["high"])
    assert inside.mean() == pytest.approx(0.95, abs=0.05)
    assert evidence_bands(scored.assign(used=False), None, 6).empty


def test_doses_are_joined_to_the_classifier():
    treatments = pd.DataFrame(
        {
            "cell_type": "renal",
            "compound_key": ["K", "K", "L"],
            "dose": [1.0, 10.0, 1.0],
            "verdict": ["rescue", "off-axis", "rescue"],
        }
    )
    said = treatments.iloc[:1].assign(p_healthy=0.9, p_low=0.8, p_high=1.0)
    table = dose_table("K", treatments, said)
    assert table["open"].tolist() == [False, True]
    assert table["p_healthy"].fillna(-1).tolist() == [0.9, -1]
    assert dose_table("K", treatments)["p_healthy"].isna().all()


def test_ranks_left_out_are_those_of_the_lead(screen):
    _, ranked, leads = screen
    tables = stability_tables(ranked, leads, n_shown=5)
    assert {name: t["compound"].nunique() for name, t in tables.items()} == {
        "renal": 5,
        "simian": 5,
    }
    long, r = tables["renal"], ranked["renal"]
    name = long["compound"].iloc[0]
    at = list(r.consensus.candidates).index(
        leads.loc[leads["compound"] == name, "compound_key"].iloc[0]
    )
    np.testing.assert_array_equal(long.loc[long["compound"] == name, "rank"], r.left.ranks[at])
    assert stability_tables(ranked, leads.assign(is_lead=False)) == {}


def test_stability_is_summed_up(screen):
    _, ranked, _ = screen
    table = stability_summary(ranked).set_index(["cell_type", "left_out"])
    assert table.loc[("renal", "a plate"), "n"] == 6
    assert table.loc[("renal", "an experiment"), "n"] == 2
    assert table.loc[("renal", "a method"), "n"] == 2
    summary = ranked["renal"].left.summary
    own = summary[summary["kind"] == "plate"]
    assert table.loc[("renal", "a plate"), "kept_least"] == own["kept"].min()
    assert stability_summary({}).empty


def test_names_are_listed():
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdefgh"), 3) == "a, b, c and 5 more"
    assert listed([]) == ""


def test_rank_figures_draw_every_lead_and_escape_names(screen):
    _, ranked, leads = screen
    fig = rank_intervals(leads, **TEXT, n_shown=12)
    assert compounds_of(fig) == set(leads["compound"])
    assert "&lt;b&gt;bold&lt;/b&gt;" in fig.layout.yaxis.ticktext
    assert "<b>bold</b>" not in json.dumps(as_json(fig)["layout"])
    whole = next(t for t in fig.data if t.meta == "compound")
    at = leads[(leads["cell_type"] == "renal")].set_index("compound").loc[whole.customdata[0][0]]
    assert whole.x[0] - whole.error_x.arrayminus[0] == at["rank_low"]
    fig = rank_stability(stability_tables(ranked, leads), **TEXT, n_top={"renal": 3, "simian": 3})
    assert compounds_of(fig) == set(leads["compound"])
    assert fig.layout.meta["narrow"]["height"] > fig.layout.height  # panels stand in a column
    as_json(fig)


def test_the_strip_draws_what_there_is():
    doses = pd.DataFrame(
        {
            "cell_type": ["renal"] * 3 + ["simian"] * 3,
            "compound": "<i>x</i>",
            "dose": [0.1, 1, 10] * 2,
            "on_score": [1, 0.5, 0.1] * 2,
            "on_low": 0.0,
            "on_high": 1.2,
            "off_score": 0.5,
            "off_low": 0.0,
            "off_high": 1.0,
            "p_healthy": np.nan,
            "p_low": np.nan,
            "p_high": np.nan,
            "open": [False, False, True] * 2,
        }
    )
    bands = pd.DataFrame({"panel": ["on"], "role": ["healthy"], "low": [-0.2], "high": [0.2]})
    curve = {"renal": (np.array([0.1, 10]), np.array([1, 0.1])), "simian": (np.empty(0),) * 2}
    fig = evidence_strip(doses, curve, bands, ["renal", "simian"], **TEXT)
    assert len([a for a in fig.layout.annotations if a.text.startswith("<b>")]) == 2
    doses = doses.assign(p_healthy=0.5, p_low=0.4, p_high=0.6)
    fig = evidence_strip(doses, {}, bands, ["renal", "simian"], **TEXT)
    assert len([a for a in fig.layout.annotations if a.text.startswith("<b>")]) == 3
    assert compounds_of(fig) == {"<i>x</i>"}
    points = [t for t in fig.data if t.meta == "compound"]
    assert [s.endswith("-open") for s in points[0].marker.symbol] == [False, False, True]
    assert points[0].x[0] != points[1].x[0]  # side by side
    assert sum(s.type == "rect" for s in fig.layout.shapes) == 1
    assert set(as_json(fig)["layout"]["meta"]["narrow"]) > {"height"}


def test_questions_are_drawn(screen):
    _, ranked, leads = screen
    found = repeats(ranked)
    fig = repeat_figure(found, **TEXT)
    drawn = [v for t in fig.data for v in t.x]
    assert sorted(drawn) == pytest.approx(sorted(found["rho"].dropna()))
    part = leads.assign(reference=np.linspace(1, -1, len(leads)), place=leads["rank"])
    part.loc[3, ["place", "is_lead"]] = [np.nan, False]
    part["is_lead"] = part["is_lead"].astype(bool)
    fig = reference_figure({"renal": part}, 0.6, -0.2, **TEXT)
    assert sum(len(t.x) for t in fig.data) == len(part)
    as_json(fig)
