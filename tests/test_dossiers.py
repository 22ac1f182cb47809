"""Dossiers say what the tables say, doubt what deserves it, and take data for text."""

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from screenbook.leads.dossiers import dose_curve, doubt_words, write_dossiers
from screenbook.leads.doubts import find_doubts, literal
from screenbook.report.text import markdown, plain

FINE = {
    "cell_type": "renal",
    "compound": "drug",
    "compound_key": "K",
    "names": "drug; other name",
    "smiles": "CCO",
    "moa": "copying blocker",
    "call": "rescue",
    "is_lead": True,
    "rank": 3.0,
    "rank_low": 1.0,
    "rank_high": 6.0,
    "top_share": 0.98,
    "n_top": 20.0,
    "n_ranked": 90.0,
    "worst_rank": 5.0,
    "worst_without": "plate E1/2",
    "rank_on_axis": 3.0,
    "rank_classifier": 4.0,
    "rank_earth_mover": 8.0,
    "rank_kNN": 2.0,
    "best_dose": 1.0,
    "n_wells": 6.0,
    "n_plates": 6.0,
    "on_score": 0.1,
    "on_low": -0.05,
    "on_high": 0.3,
    "off_score": 0.2,
    "off_low": 0.0,
    "off_high": 1.2,
    "q": 0.0001,
    "ec50": 0.2,
    "ec50_low": 0.1,
    "ec50_high": 0.4,
    "hill": 1.0,
    "emax": 0.8,
    "plateau": 0.95,
    "p_flat": 0.001,
    "shape": "sigmoid",
    "replicate_map": 0.8,
    "replicate_q": 0.01,
    "p_healthy": 0.9,
    "p_healthy_low": 0.8,
    "p_healthy_high": 0.95,
    "p_outside": 0.0,
    "flags": "",
}
DOSES = pd.DataFrame(
    {
        "cell_type": "renal",
        "compound_key": "K",
        "dose": [0.1, 1.0, 10.0],
        "n_experiments": 3,
        "flags": "",
        "verdict": "no call",
    }
)
NO_CONTRASTS = pd.DataFrame(columns=["compound_key"])
NO_NEIGHBOURS = pd.DataFrame(columns=["compound_key", "cell_type"])


def dossier(rows, doses=DOSES, contrasts=NO_CONTRASTS, near=NO_NEIGHBOURS):
    leads = pd.DataFrame(rows)
    return write_dossiers(["K"], leads, doses, contrasts, near, {"renal": 3, "simian": 2})[0]


def test_nothing_weak_is_no_doubt():
    assert find_doubts(FINE, DOSES, 3) == {}


@pytest.mark.parametrize(
    ("changes", "word", "says"),
    [
        ({"worst_rank": 40.0}, "hangs on one part", "Without plate E1/2 it falls from rank 3 to"),
        ({"top_share": 0.5}, "rank unsure", "in 50% of draws"),
        ({"on_high": 0.85}, "interval reaches disease", "reaches 0.85"),
        ({"on_low": -0.4}, "wide interval", "from −0.40 to 0.30"),
        ({"on_low": np.nan}, "no interval", "too few plates"),
        ({"replicate_q": 0.3}, "replicates differ", "mAP 0.80, q 0.30"),
        ({"n_plates": 2.0}, "few plates", "2 plates"),
        ({"flags": "edge wells only; nulls disagree"}, "edge wells only", "edge of plates"),
        ({"flags": "edge wells only; nulls disagree"}, "nulls disagree", "treated bulk"),
        ({"flags": "unlike any control"}, "unlike any control", "unlike any control"),
        ({"flags": "fluorescence-like"}, "fluorescence-like", "fluorescence"),
        ({"flags": "toxicity-like"}, "toxicity-like", "count cells"),
        ({"shape": "bell"}, "bell-shaped", "turns back"),
        ({"shape": "partial"}, "EC50 beyond the doses", "0.1 to 10 µM"),
        ({"ec50_high": np.nan}, "EC50 open", "on one side at most"),
        ({"p_flat": 0.4, "shape": "flat"}, "no dose response", "p 0.40"),
        ({"p_healthy": 0.3}, "classifier disagrees", "p = 0.30"),
        ({"p_outside": 0.6}, "classifier out of its depth", "60%"),
        ({"rank_classifier": 50.0}, "methods differ", "by the classifier 50"),
        ({"rank_earth_mover": 80.0}, "witnesses against it", "the earth mover's distance"),
    ],
)
def test_each_weakness_is_doubted(changes, word, says):
    found = find_doubts({**FINE, **changes}, DOSES, 3)
    assert word in found
    assert says in found[word]
    # Only what was changed is doubted.
    assert len(found) == len(changes.get("flags", "x").split(";"))


def test_doses_and_experiments_are_doubted():
    doses = DOSES.assign(flags=["", "", "few wells; off-axis"])
    found = find_doubts(FINE, doses, 3)
    assert found["off-axis at other doses"].startswith("At 10 µM")
    assert "factor of 10" in found["off-axis at other doses"]
    once = DOSES.assign(n_experiments=[3, 1, 3])
    assert "one of 3 experiments" in find_doubts(FINE, once, 3)["one experiment"]
    assert "one experiment with this" in find_doubts(FINE, once, 1)["one experiment"]


def test_missing_evidence_is_no_doubt_and_no_crash():
    known = ("worst_rank", "rank", "top_share", "n_top", "on_low", "on_high", "best_dose")
    bare = {k: (v if k in known or isinstance(v, str) else np.nan) for k, v in FINE.items()}
    bare |= {"flags": np.nan, "shape": np.nan}
    assert find_doubts(bare, DOSES, 3) == {}
    assert find_doubts({"rank": 1.0}, DOSES.iloc[:0], 0).keys() == {"no interval"}


def test_facts_stand_in_the_table():
    d = dossier([FINE, {**FINE, "cell_type": "simian", "call": "no call", "is_lead": False}])
    assert d.cell_types == ("renal", "simian")
    assert "rank 3 of 90 candidates (90 % of draws 1 to 6)" in d.opening
    assert "also other name" in d.opening
    assert "copying blocker" in d.opening
    table = BeautifulSoup(markdown(d.facts), "html.parser").find("table")
    rows = {r.find_all(["td", "th"])[0].text: r for r in table.find_all("tr")}
    assert [c.text for c in rows["on-axis score, 95 %"].find_all("td")[1:]] == [
        "0.10 (−0.05 to 0.30)"
    ] * 2
    assert "< 0.001" in rows["q of the compound"].text
    assert "5, without plate E1/2" in rows["worst rank, one part left out"].text
    assert d.title == "drug: on-axis score 0.10 at 1 µM in renal"
    assert "0.10 (−0.05 to 0.30)" in d.caption


def test_empty_lines_are_left_out():
    lacking = ("p_healthy", "p_healthy_low", "p_healthy_high", "rank_classifier", "ec50")
    d = dossier([{**FINE, **dict.fromkeys(lacking, np.nan)}])
    assert "classifier" not in d.facts
    assert "EC50" not in d.facts
    assert "off-axis shift" in d.facts


def test_the_deciding_test_has_twice_the_variance():
    d = dossier([{**FINE, "on_score": 0.1, "on_low": 0.0, "on_high": 0.2}])
    low, high = 0.1 - np.sqrt(2) * 0.1, 0.1 + np.sqrt(2) * 0.1
    assert f"from {low:.2f} to {high:.2f}".replace("-", "−") in d.doubts
    assert "Nothing measured here is weak" in d.doubts
    assert "above that we were wrong" in d.doubts
    wide = dossier([{**FINE, "on_high": 0.79}])
    assert "takes more plates" in wide.doubts
    assert "no interval" in dossier([{**FINE, "on_low": np.nan}]).doubts


def test_repeats_fall_into_the_forecast_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n, inside = 6, []
    for _ in range(400):
        first, again = rng.normal(size=(2, n))
        half = 2.571 * first.std(ddof=1) / np.sqrt(n)  # Student's t with five degrees of freedom
        inside.append(abs(again.mean() - first.mean()) <= np.sqrt(2) * half)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def test_contrast_and_neighbours_are_told():
    contrasts = pd.DataFrame(
        [
            {
                "compound_key": "K",
                "first": "renal",
                "second": "simian",
                "dose": 1.0,
                "recovery_first": 0.9,
                "recovery_second": -0.05,
                "difference": 0.95,
                "low": 0.5,
                "high": 1.4,
                "q": 0.001,
                "finding": "rescues in renal only",
            }
        ]
    )
    near = pd.DataFrame(
        {
            "compound_key": "K",
            "cell_type": "renal",
            "neighbour": ["like it", "unlike it"],
            "cosine": [0.9, 0.4],
            "moa": ["copying blocker", ""],
            "call": ["rescue", "no call"],
            "share_below": [0.97, 0.6],
        }
    )
    d = dossier([FINE], contrasts=contrasts, near=near)
    said = plain(d.context)
    assert "recovery 0.90 in renal and −0.05 in simian, difference +0.95" in said
    assert "rescues in renal only" in said
    assert "like it (0.90, copying blocker, rescue), unlike it (0.40, no call)" in said
    assert "97% are less alike" in said
    assert dossier([FINE]).context == ""


NASTY = "*a*|b_c_[x](javascript:1)`d`<script>alert(1)</script>\n# h ~~e~~"


def test_text_from_data_stays_text():
    row = {**FINE, "compound": NASTY, "moa": NASTY, "flags": NASTY, "worst_without": NASTY}
    row |= {"cell_type": NASTY, "names": NASTY, "worst_rank": 50.0}
    d = dossier([row], doses=DOSES.assign(cell_type=NASTY))
    for text in (d.opening, d.facts, d.doubts, d.caption):
        page = BeautifulSoup(markdown(text), "html.parser")
        assert not page.find_all(["script", "a", "em", "code", "del", "h1"])
        assert " ".join(NASTY.split()) in " ".join(page.text.split())
    table = BeautifulSoup(markdown(d.facts), "html.parser").find_all("tr")
    assert {len(r.find_all(["td", "th"])) for r in table} == {2}
    assert markdown(literal("a_b*c")) == "<p>a_b*c</p>"


def test_leads_get_words_and_others_none():
    leads = pd.DataFrame(
        [
            {**FINE, "top_share": 0.5, "on_high": 0.9},
            {**FINE, "compound_key": "L", "top_share": 0.1, "is_lead": False},
            {**FINE, "compound_key": "M"},
        ]
    )
    words = doubt_words(leads, DOSES, {"renal": 3})
    assert words == ["rank unsure; interval reaches disease", "", ""]


def test_the_curve_meets_its_numbers():
    dose, score = dose_curve(FINE, [0.1, 1.0, 10.0])
    assert dose[0] == pytest.approx(0.1)
    assert dose[-1] == pytest.approx(10)
    assert score[-1] == pytest.approx(0.95 - 0.8)
    half = np.interp(np.log(0.2), np.log(dose), score)
    whole = 0.8 * (1 + 0.2 / 10)  # at infinite dose
    assert half == pytest.approx(0.95 - whole / 2, abs=0.01)
    for shape in ("flat", "bell", "not testable", np.nan):
        assert len(dose_curve({**FINE, "shape": shape}, [0.1, 1.0])[0]) == 0
    assert len(dose_curve({**FINE, "ec50": np.nan}, [0.1, 1.0])[0]) == 0
    assert len(dose_curve(FINE, [])[0]) == 0
