"""Differences between cell types against scipy, and the words for them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from planted_ranks import hits_of, ranked_wells
from screenbook.hits.contrasts import COLUMNS, cell_type_contrasts


def two_cell_types(renal, simian, **options):
    a = ranked_wells(renal, cell_type="renal", **options)
    b = ranked_wells(simian, cell_type="simian", **{**options, "seed": 9})
    wells = pd.concat([a, b.assign(batch="S" + b["batch"])], ignore_index=True)
    hits = pd.concat([hits_of(a), hits_of(b)], ignore_index=True)
    recovery = {"renal": renal, "simian": simian}
    number = hits["compound_key"].str[1:].astype(int)
    hits["on_score"] = [1 - recovery[c][i] for c, i in zip(hits["cell_type"], number, strict=True)]
    hits["call"] = np.where(hits["on_score"] < 0.7, "rescue", "no call")
    return wells, hits


def test_welch_against_scipy():
    wells, hits = two_cell_types([0.9, 0.9, 0.0, 0.0], [0.0, 0.8, 0.9, 0.0], sd=0.3)
    table = cell_type_contrasts(wells, hits).set_index("compound")
    assert set(table) | {"compound"} == set(COLUMNS)
    top = wells[wells["dose"] == wells["dose"].max()].groupby(["compound", "cell_type"])
    for name, row in table.iterrows():
        a, b = (top.get_group((name, ct))["recovery"] for ct in ("renal", "simian"))
        expected = ttest_ind(a, b, equal_var=False)
        interval = expected.confidence_interval(0.95)
        assert row["dose"] == wells["dose"].max()
        assert row["p"] == pytest.approx(expected.pvalue)
        assert row[["low", "high"]].tolist() == pytest.approx([interval.low, interval.high])
        assert row["difference"] == pytest.approx(a.mean() - b.mean())
    assert table["n_first"].eq(6).all()


def test_findings_are_worded():
    wells, hits = two_cell_types([0.9, 0.9, 0.0, 0.0, 0.9], [0.0, 0.9, 0.9, 0.0, 0.4], sd=0.05)
    finding = cell_type_contrasts(wells, hits).set_index("compound")["finding"]
    assert finding.to_dict() == {
        "drug 000": "rescues in renal only",
        "drug 001": "rescues in both",
        "drug 002": "rescues in simian only",
        "drug 003": "no difference shown",
        "drug 004": "rescues in both, more in renal",
    }
    noisy, hits = two_cell_types([0.9, 0.0], [0.0, 0.0], sd=2.0)
    finding = cell_type_contrasts(noisy, hits).set_index("compound")["finding"]
    assert finding["drug 000"] == "called in one, difference not shown"


def test_only_doses_that_both_have_are_compared():
    wells, hits = two_cell_types([0.9, 0.9], [0.5, 0.5], sd=0.05)
    top = wells["dose"].max()
    wells = wells[(wells["cell_type"] == "renal") | (wells["dose"] < top)]
    hits.loc[hits["cell_type"] == "simian", "best_dose"] = 1.0
    table = cell_type_contrasts(wells, hits)
    assert table["dose"].tolist() == [1.0, 1.0]  # the other's best dose
    hits["best_dose"] = top
    assert cell_type_contrasts(wells, hits).empty


def test_one_cell_type_has_no_contrast():
    wells = ranked_wells([0.9, 0.0])
    table = cell_type_contrasts(wells, hits_of(wells))
    assert table.empty
    assert list(table) == list(COLUMNS)
    assert cell_type_contrasts(wells.iloc[:0], hits_of(wells).iloc[:0]).empty


def test_alike_cell_types_differ_as_often_as_they_may():
    n = 150
    wells, hits = two_cell_types(np.full(n, 0.5), np.full(n, 0.5), sd=0.4)
    table = cell_type_contrasts(wells, hits)
    covered = (table["low"] <= 0) & (table["high"] >= 0)
    assert covered.mean() == pytest.approx(0.95, abs=0.05)
    assert (table["q"] <= 0.05).sum() <= 2


def test_one_plate_has_no_interval():
    wells, hits = two_cell_types([0.9, 0.1], [0.1, 0.1], n_plates=1, n_experiments=1)
    table = cell_type_contrasts(wells, hits)
    assert table[["low", "high", "p", "q"]].isna().all(axis=None)
    assert table["difference"].notna().all()
