"""One direction for each compound: which doses count, and what a compound without any gets."""

import numpy as np
import pytest

from planted_mechanisms import planted_compounds, wells_of
from screenbook.errors import InputError
from screenbook.profiles.treatment_means import treatment_means
from screenbook.structure.compound_profiles import compound_profiles, unit_rows


def test_directions_are_means_of_unit_offsets_at_active_doses():
    points, wells, about, activity = wells_of(doses=(1.0, 2.0, 9.0))
    activity.loc[activity["dose"] == 9.0, "replicate_q"] = 0.9
    means = treatment_means(points, wells, "diseased")
    found = compound_profiles(means, about, activity)
    first = means.treatments.query("compound_key == 'K00' and dose < 9").index
    assert found.profiles[0] == pytest.approx(unit_rows(means.profiles[first]).mean(axis=0))
    assert found.table["n_active"].tolist() == [2] * 20 + [0] * 6
    length = np.linalg.norm(means.profiles[first], axis=1).mean()
    assert found.table["strength"].iloc[0] == pytest.approx(length)


def test_an_inactive_compound_is_taken_at_its_highest_dose():
    points, wells, about, activity = wells_of(doses=(1.0, 2.0))
    found = compound_profiles(treatment_means(points, wells, "diseased"), about, activity)
    inactive = np.flatnonzero(~found.table["active"])
    used = found.doses[found.doses["compound"].isin(inactive)]
    assert len(used) == len(inactive) == 6
    assert (used["dose"] == 2.0).all()


def test_stronger_doses_count_no_more_than_others():
    points, wells, about, activity = wells_of(doses=(1.0, 2.0))
    strong = points.copy()
    far = (wells["dose"] == 2.0).to_numpy()
    base = points[(wells["role"] == "diseased").to_numpy()]
    plate = wells["batch"].to_numpy()
    for name in np.unique(plate):
        centre = base[plate[(wells["role"] == "diseased").to_numpy()] == name].mean(axis=0)
        here = far & (plate == name)
        strong[here] = centre + 50 * (points[here] - centre)
    a = compound_profiles(treatment_means(points, wells, "diseased"), about, activity)
    b = compound_profiles(treatment_means(strong, wells, "diseased"), about, activity)
    assert a.profiles == pytest.approx(b.profiles)


def test_a_part_keeps_what_belongs_to_it():
    whole = planted_compounds()
    some = np.arange(len(whole)) % 3 == 0
    part = whole.subset(some)
    assert part.profiles == pytest.approx(whole.profiles[some])
    for about, points, key in (
        (part.doses, part.dose_profiles, "doses"),
        (part.on_plates, part.plate_profiles, "on_plates"),
    ):
        full = getattr(whole, key)
        assert len(about) == some[full["compound"]].sum() == len(points)
        names = part.table["compound_key"].to_numpy()[about["compound"]]
        kept = full[some[full["compound"]]]["compound"]
        assert names.tolist() == whole.table["compound_key"].to_numpy()[kept].tolist()


def test_tables_of_another_screen_are_refused():
    points, wells, about, activity = wells_of()
    about = about.assign(compound_key="other")
    with pytest.raises(InputError, match="run report 04"):
        compound_profiles(treatment_means(points, wells, "diseased"), about, activity)
