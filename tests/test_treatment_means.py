"""Means of treatments: plates count alike, and offsets are from the plate's own untreated wells."""

import numpy as np
import pandas as pd
import pytest

from screenbook.profiles.treatment_means import treatment_means


def planted(rng):
    """Two plates with shifts of their own; a compound at two doses, more wells on plate 1."""
    rows = []
    for plate, shift, n in (("p1", 5.0, 3), ("p2", -2.0, 1)):
        rows += [(plate, "diseased", "", np.nan, shift)] * 4
        rows += [(plate, "treated", "A", 1.0, shift + 1 + (plate == "p2"))] * n
        rows += [(plate, "treated", "A", 3.0, shift + 4)] * n
    rows += [("p3", "treated", "A", 1.0, 99.0)]
    wells = pd.DataFrame(rows, columns=["batch", "role", "compound_key", "dose", "at"])
    return wells.sample(frac=1, random_state=int(rng.integers(100))).reset_index(drop=True)


def test_offsets_are_averaged_over_plates_not_wells():
    wells = planted(np.random.default_rng(0))
    points = np.column_stack([wells["at"], 2 * wells["at"]])
    found = treatment_means(points, wells, "diseased")
    assert found.treatments["dose"].tolist() == [1.0, 3.0]
    assert found.treatments["n_wells"].tolist() == [4, 4]
    assert found.treatments["n_plates"].tolist() == [2, 2]
    assert found.profiles == pytest.approx(np.array([[1.5, 3.0], [4.0, 8.0]]))
    on = found.on_plates.assign(x=found.plate_profiles[:, 0])
    assert sorted(on.loc[on["treatment"] == 0, "x"]) == pytest.approx([1.0, 2.0])
    assert set(on["batch"]) == {"p1", "p2"}


def test_a_treatment_without_a_dose_is_a_treatment():
    wells = planted(np.random.default_rng(1)).assign(dose=np.nan)
    found = treatment_means(wells[["at"]].to_numpy(), wells, "diseased")
    assert len(found.treatments) == 1
    assert found.treatments["n_plates"].tolist() == [2]


def test_the_order_of_wells_is_of_no_account():
    one, other = (planted(np.random.default_rng(s)) for s in (0, 5))
    a = treatment_means(one[["at"]].to_numpy(), one, "diseased")
    b = treatment_means(other[["at"]].to_numpy(), other, "diseased")
    assert a.profiles == pytest.approx(b.profiles)
    pd.testing.assert_frame_equal(a.treatments, b.treatments)
