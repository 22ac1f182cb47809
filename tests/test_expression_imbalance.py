from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from screenbook.errors import InputError
from screenbook.expression.imbalance import (
    apply_thresholds,
    condition_counts,
    effective_number,
    gini,
    lorenz_curves,
    measure_imbalance,
    pair_matrix,
    plate_doses,
)

SHARED = Path(__file__).parents[2] / "shared" / "data"
real = pytest.mark.skipif(
    not (SHARED / "tahoe_counts").is_dir(), reason="the real Tahoe tables are not in shared/data"
)
COUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=40).filter(any)


def small_counts():
    return pd.DataFrame(
        [
            ("A", "L1", 60, "p1", 1.0),
            ("A", "L1", 40, "p2", 5.0),
            ("A", "L2", 50, "p1", 1.0),
            ("B", "L1", 30, "p1", 1.0),
            ("B", "L2", 20, "p1", 1.0),
            ("C", "L1", 5, "p2", 5.0),
        ],
        columns=["treatment", "cell_line", "n_cells", "plate", "dose"],
    )


def test_cells_of_conditions_are_kept_and_wells_that_were_not_counted_are_one():
    obs = small_counts().assign(role="treated", SMILES="", n_cells=[60, 40, np.nan, 30, 0, 5])
    obs.index = [f"row {i}" for i in range(6)]
    found = condition_counts(obs)
    assert list(found) == ["treatment", "cell_line", "plate", "dose", "n_cells"]
    assert found["n_cells"].tolist() == [60, 40, 1, 30, 0, 5]
    assert found["n_cells"].dtype == int
    assert found.index.tolist() == list(range(6))
    assert found["treatment"].tolist() == obs["treatment"].tolist()
    assert measure_imbalance(found).set_index("level").loc["pair", "n_cells"] == 136


def test_screens_of_whole_wells_are_counted_in_wells():
    found = condition_counts(small_counts().assign(n_cells=np.nan))
    assert set(found["n_cells"]) == {1}
    assert measure_imbalance(found)["n_cells"].tolist() == [6] * 3
    assert pair_matrix(found).loc["A"].to_dict() == {"L1": 2, "L2": 1}  # on two plates in L1


@given(COUNTS)
def test_gini_is_half_the_mean_difference_over_the_mean(counts):
    values = np.array(counts, dtype=float)
    expected = np.abs(values[:, None] - values[None, :]).mean() / (2 * values.mean())
    assert gini(values) == pytest.approx(expected, abs=1e-9)
    assert gini(7 * values) == pytest.approx(gini(values))


@given(COUNTS)
def test_the_effective_number_is_that_of_equal_groups_at_most(counts):
    number = effective_number(np.array(counts))
    assert number == pytest.approx(np.exp(entropy(counts)))
    assert 1 - 1e-9 <= number <= len(counts) + 1e-6


def test_equal_groups_are_balanced():
    assert gini(np.full(9, 4)) == pytest.approx(0)
    assert effective_number(np.full(9, 4)) == pytest.approx(9)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(0.75)


def test_doses_and_plates_are_summed():
    table = measure_imbalance(small_counts()).set_index("level")
    assert table["n"].to_dict() == {"drug": 3, "line": 2, "pair": 5}
    assert table["n_cells"].tolist() == [205] * 3
    assert table.loc["pair", ["largest", "n_largest"]].tolist() == ["A in L1", 100]
    assert table.loc["drug", ["smallest", "n_smallest", "max_over_min"]].tolist() == ["C", 5, 30]
    assert table.loc["pair", "median"] == 30
    nothing = small_counts().assign(n_cells=[60, 40, 50, 30, 20, 0])
    assert measure_imbalance(nothing).set_index("level").loc["drug", "max_over_min"] == np.inf


def test_lorenz_curves_enclose_the_gini():
    rng = np.random.default_rng(0)
    counts = pd.DataFrame(
        [(f"D{d}", f"L{c}", rng.integers(1, 1000)) for d in range(60) for c in range(20)],
        columns=["treatment", "cell_line", "n_cells"],
    )
    measured = measure_imbalance(counts).set_index("level")["gini"]
    curves = lorenz_curves(counts)
    assert curves.groupby("level").size().max() == 200
    for level, curve in curves.groupby("level"):
        assert curve.iloc[0][["groups", "cells"]].tolist() == [0, 0]
        assert curve.iloc[-1][["groups", "cells"]].tolist() == [1, 1]
        assert (curve["cells"] <= curve["groups"] + 1e-12).all()
        assert (curve["cells"].diff().dropna() >= 0).all()
        area = np.trapezoid(curve["cells"], curve["groups"])
        assert 1 - 2 * area == pytest.approx(measured[level], abs=1e-3)


def test_thresholds():
    table = apply_thresholds(small_counts(), [0, 30, 51, 1000]).set_index("threshold")
    assert table["pairs"].tolist() == [5, 3, 1, 0]
    assert table["drugs"].tolist() == [3, 2, 1, 0]
    assert table["lines"].tolist() == [2, 2, 1, 0]
    assert table["n_cells"].tolist() == [205, 180, 100, 0]
    assert table.loc[30, "share_of_pairs"] == pytest.approx(0.6)
    assert table.loc[30, "share_of_cells"] == pytest.approx(180 / 205)
    assert table.loc[51, "share_of_lines"] == pytest.approx(0.5)
    assert (table["share_of_drugs"].diff().dropna() <= 0).all()


def test_the_matrix_is_sorted_and_holes_are_missing():
    matrix = pair_matrix(small_counts())
    assert matrix.index.tolist() == ["A", "B", "C"]
    assert matrix.columns.tolist() == ["L1", "L2"]
    assert matrix.loc["A", "L1"] == 100
    assert np.isnan(matrix.loc["C", "L2"])


def layout(doses_of, control=True):
    rows = [(f"D{p}{d}{i}", p, d) for p, doses in doses_of.items() for d in doses for i in range(4)]
    rows += [("control", p, 0.5) for p in doses_of if control]
    rows += [("DMSO", p, 0.0) for p in doses_of]
    return pd.DataFrame(rows, columns=["treatment", "plate", "dose"])


def test_confounding_of_plate_and_dose():
    whole = plate_doses(layout({"plate2": [1.0], "plate10": [5.0], "plate1": [1.0]}))
    assert whole.plate_controls == ("control",)
    assert whole.single_dose == 1
    assert whole.told == pytest.approx(1)
    assert whole.table.index.tolist() == ["plate1", "plate2", "plate10"]
    assert whole.table.columns.tolist() == [1.0, 5.0]
    crossed = plate_doses(layout({"a": [1.0, 5.0], "b": [1.0, 5.0]}))
    assert crossed.single_dose == 0
    assert crossed.told == pytest.approx(0, abs=1e-12)
    mixed = plate_doses(layout({"a": [1.0], "b": [1.0, 5.0]}, control=False))
    assert mixed.plate_controls == ()
    assert mixed.single_dose == 0.5
    assert 0 < mixed.told < 1
    assert np.isnan(plate_doses(layout({"a": [1.0], "b": [1.0]}, control=False)).told)
    with pytest.raises(InputError, match="no dose above 0"):
        plate_doses(layout({"a": []}, control=False))


def test_bad_counts_are_refused():
    counts = small_counts()
    with pytest.raises(InputError, match=r"no column 'n_cells' \(did you mean 'cells'\?\)"):
        measure_imbalance(counts.rename(columns={"n_cells": "cells"}))
    for odd in (-1, np.nan, "many"):
        bad = counts.assign(n_cells=[60, odd, 50, 30, 20, 5])
        with pytest.raises(InputError, match="column 'n_cells', row 2"):
            lorenz_curves(bad)
    with pytest.raises(InputError, match="not all 0"):
        measure_imbalance(counts.assign(n_cells=0))


def tahoe_counts():
    table = pd.read_csv(SHARED / "tahoe_counts" / "tahoe_counts_per_drug_cell_line.csv")
    return table.rename(columns={"drug": "treatment", "cell_line_id": "cell_line"})


def tahoe_grid():
    grid = pd.read_parquet(SHARED / "tahoe_metadata" / "obs_cell_grid.parquet")
    return grid.rename(columns={"drug": "treatment", "cell_name": "cell_line", "conc": "dose"})


@real
def test_the_real_imbalance_table():
    counts = tahoe_counts()
    table = measure_imbalance(counts).set_index("level")
    # The vehicle, DMSO_TF, is one of the 380.
    assert table["n"].to_dict() == {"drug": 380, "line": 50, "pair": 19_000}
    assert table["n_cells"].tolist() == [95_624_334] * 3
    assert table["gini"].round(2).tolist() == [0.21, 0.31, 0.40]
    assert table["effective"].round().tolist() == [344, 41, 13_948]
    assert table["max_over_min"].round().tolist() == [48, 329, 13_922]
    assert table.loc["pair", ["n_largest", "n_smallest"]].tolist() == [139_224, 10]
    assert table.loc["drug", "largest"] == "DMSO_TF"
    kept = apply_thresholds(counts).set_index("threshold")["pairs"]
    assert kept[[200, 500, 1000, 10000]].tolist() == [18_089, 17_398, 16_846, 1_579]
    matrix = pair_matrix(counts)
    assert matrix.shape == (380, 50)
    assert matrix.index[:2].tolist() == ["DMSO_TF", "Adagrasib"]
    assert matrix.notna().to_numpy().all()


@real
def test_the_real_tables_of_one_level_agree_with_the_pairs():
    totals = tahoe_counts().groupby("treatment")["n_cells"].sum()
    own = pd.read_csv(SHARED / "tahoe_counts" / "tahoe_counts_per_drug.csv", index_col="drug")
    assert totals.sort_index().equals(own["n_cells"].rename_axis("treatment").sort_index())


@real
def test_the_real_plates_carry_one_dose_each():
    grid = tahoe_grid()
    assert measure_imbalance(grid)["n_cells"].tolist() == [100_648_790] * 3
    found = plate_doses(grid)
    assert found.plate_controls == ("Adagrasib",)
    assert found.table.shape == (14, 3)
    assert (found.table.gt(0).sum(axis=1) == 1).sum() == 13
    assert found.table.loc["plate13"].gt(0).all()
    assert found.single_dose == pytest.approx(13 / 14)
    assert found.told > 0.9
