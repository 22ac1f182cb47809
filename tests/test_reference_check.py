"""The comparison with somebody else's scores, against oracles; and tables that are refused."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from screenbook.errors import InputError
from screenbook.leads.reference_check import check_references, list_order, match_references
from screenbook.sources.reference_scores import read_reference_scores


def our_list(n=60, seed=0):
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=n)
    rank = pd.Series(-(reference + rng.normal(size=n))).rank()
    return pd.DataFrame({"reference": reference, "rank": rank, "is_lead": rank <= 10})


def test_measures_against_scipy_and_sklearn():
    table = our_list()
    found = check_references(table, hit=0.6, harm=-1.0)
    hits = table["reference"] >= 0.6
    assert found["spearman"] == pytest.approx(
        spearmanr(table["reference"], -table["rank"]).statistic
    )
    assert found["average_precision"] == pytest.approx(
        average_precision_score(hits, -table["rank"])
    )
    for k in (10, 25, 50):
        first = table.nsmallest(k, "rank")
        assert found[f"recall_{k}"] == pytest.approx((first["reference"] >= 0.6).sum() / hits.sum())
    assert found["harm_on_list"] == (table.nsmallest(50, "rank")["reference"] < -1).sum() > 0
    assert found["harm_in_leads"] == (table.nsmallest(10, "rank")["reference"] < -1).sum()
    assert found["chance"] == pytest.approx(hits.mean())


def test_a_perfect_list_is_perfect_and_a_reversed_one_is_not():
    table = our_list().assign(rank=lambda t: (-t["reference"]).rank())
    best = check_references(table, hit=0.6, harm=-1.0, depths=(30,))
    assert best["spearman"] == pytest.approx(1)
    assert best["average_precision"] == best["recall_30"] == 1
    worst = check_references(table.assign(rank=table["reference"].rank()), hit=0.6, harm=-1.0)
    assert worst["spearman"] == pytest.approx(-1)
    assert worst["average_precision"] < 0.4


def test_compounds_off_the_list_come_last_and_are_no_finds():
    table = our_list()
    poison = table["reference"] < -1
    table["rank"] = table["rank"].mask(poison).rank()
    place = list_order(table)
    assert (place[poison] > place[~poison].max()).all()
    assert len(set(place[poison])) == 1
    assert place.sum() == pytest.approx(60 * 61 / 2)
    assert check_references(table, hit=0.6, harm=-1.0)["harm_on_list"] == 0
    nobody = check_references(table.assign(rank=np.nan), hit=0.6, harm=-1.0)
    assert nobody["recall_50"] == 0
    assert np.isnan(nobody["spearman"])


def test_without_reference_hits_there_is_no_precision():
    found = check_references(our_list(), hit=99, harm=-99)
    assert np.isnan(found["average_precision"])
    assert np.isnan(found["recall_10"])
    assert found["n_hits"] == found["harm_on_list"] == 0


def leads():
    return pd.DataFrame(
        {
            "cell_type": ["HRCE", "HRCE", "VERO"],
            "compound": ["Remdesivir", "Idelalisib", "Remdesivir"],
            "compound_key": ["KEY-R", "KEY-I", "KEY-R"],
            "names": ["GS-5734; Remdesivir", "CAL-101", np.nan],
        }
    )


def test_names_match_without_case_through_aliases_and_keys():
    reference = pd.DataFrame(
        {
            "compound": ["gs-5734", " cal-101 ", "key-r", "aspirin", "Remdesivir"],
            "cell_type": ["hrce", "HRCE", "VERO", "HRCE", "HUVEC"],
            "score": [0.9, 0.6, 0.5, 0.1, 0.2],
        }
    )
    found = match_references(leads(), reference)
    scores = found.table.set_index(["compound", "cell_type"])["reference"]
    assert scores.to_dict() == {
        ("Remdesivir", "HRCE"): 0.9,
        ("Idelalisib", "HRCE"): 0.6,
        ("Remdesivir", "VERO"): 0.5,
    }
    assert found.unmatched["compound"].tolist() == ["aspirin", "Remdesivir"]


def test_a_blank_cell_type_stands_for_all_and_aliases_are_averaged():
    reference = pd.DataFrame(
        {"compound": ["remdesivir", "GS-5734"], "cell_type": ["", "HRCE"], "score": [0.4, 0.8]}
    )
    scores = match_references(leads(), reference).table.set_index("cell_type")["reference"]
    assert scores.to_dict() == pytest.approx({"HRCE": 0.6, "VERO": 0.4})
    none = match_references(leads(), reference.iloc[:0])
    assert none.table.empty
    assert none.unmatched.empty


GOOD = "compound\tcell_type\tscore\tnote\nremdesivir\tHRCE\t0.96\tx\naspirin\t\t-1e-1\t\n"


def test_a_good_table_is_read(tmp_path):
    path = tmp_path / "scores.tsv"
    path.write_text(GOOD)
    table = read_reference_scores(path)
    assert table.to_dict("list") == {
        "compound": ["remdesivir", "aspirin"],
        "cell_type": ["HRCE", ""],
        "score": [0.96, -0.1],
    }


def test_a_relative_path_starts_at_the_project(tmp_path, monkeypatch):
    monkeypatch.setenv("SCREENBOOK_HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "scores.csv").write_text(GOOD.replace("\t", ","))
    assert len(read_reference_scores("data/scores.csv")) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("score", "hit"), "there is no column 'score'"),
        (GOOD.replace("0.96", "high"), "column 'score', row 2: 'high'; write a number"),
        (GOOD.replace("-1e-1", "inf"), "column 'score', row 3: 'inf'"),
        (GOOD.replace("-1e-1", ""), "column 'score', row 3: ''"),
        (GOOD.replace("aspirin", ""), "column 'compound', row 3: ''; name the compound"),
        (GOOD + "REMDESIVIR\thrce\t0.1\t\n", "row 4: 'REMDESIVIR'; it has another score"),
        ("compound\tcell_type\tscore\n", "holds no row"),
        ("", "the file is empty"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, text, says):
    path = tmp_path / "scores.tsv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_reference_scores(path)
    assert says in str(error.value)
    assert "scores.tsv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    (tmp_path / "scores.tsv").write_text(GOOD)
    with pytest.raises(InputError, match="did you mean"):
        read_reference_scores(tmp_path / "score.tsv")
