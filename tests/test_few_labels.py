import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from planted_fields import labelled_points
from screenbook.errors import InputError
from screenbook.images.few_labels import few_label_curve, few_label_table


def curve(points, label, batch, **changes):
    held = batch >= 3
    given = {"may_be_labelled": ~held, "is_asked": held, "batches": batch, "sizes": (1, 5, 20)}
    return few_label_curve(points, label, **(given | {"n_draws": 20} | changes))


def test_more_labels_help_where_there_is_something_to_know():
    found = curve(*labelled_points(apart=2.0, per_class=30))
    assert found["labels_per_class"].tolist() == [1, 5, 20]
    assert found["accuracy"].is_monotonic_increasing
    assert (found["chance"] == 0.25).all()
    spread = found["draw_high"] - found["draw_low"]
    assert spread.iloc[0] > spread.iloc[-1]
    assert ((found["low"] < found["accuracy"]) & (found["accuracy"] < found["high"])).all()


def test_noise_stays_at_chance():
    points, label, batch = labelled_points(apart=0.0, per_class=30)
    assert curve(points, label, batch)["accuracy"].to_numpy() == pytest.approx(0.25, abs=0.05)


def test_with_all_labels_it_is_sklearns_nearest_neighbour():
    points, label, batch = labelled_points(apart=2.0, per_class=10)
    held = batch >= 3
    found = curve(points, label, batch, sizes=(30,), k=1, n_draws=2)
    theirs = (
        KNeighborsClassifier(1).fit(points[~held], label[~held]).score(points[held], label[held])
    )
    assert found["accuracy"].item() == pytest.approx(theirs)
    assert found["draw_low"].item() == found["draw_high"].item()


def test_labelled_fields_of_the_own_batch_do_not_count():
    points, label, batch = labelled_points(apart=0.0, shift=30.0, per_class=20)
    # Batches lie far apart, and each repeats its points: only the own batch could help.
    points = points + 1e-3 * label[:, None]
    everyone = np.ones(len(label), bool)
    found = curve(points, label, batch, may_be_labelled=everyone, is_asked=everyone)
    assert found["accuracy"].iloc[-1] < 0.35


def test_the_same_seed_draws_the_same_fields():
    given = labelled_points(apart=2.0)
    assert curve(*given, seed=3).equals(curve(*given, seed=3))
    assert not curve(*given, seed=3).equals(curve(*given, seed=4))


def test_the_table_has_a_curve_for_each():
    points, label, batch = labelled_points(apart=3.0, per_class=12)
    held = batch >= 3
    table = few_label_table(
        {"good": points, "half": points[:, :2]},
        label,
        may_be_labelled=~held,
        is_asked=held,
        batches=batch,
        sizes=(1, 5),
        n_draws=5,
    )
    assert table["representation"].tolist() == ["good", "good", "half", "half"]
    assert table.columns[0] == "representation"


def test_too_few_fields_of_a_class_are_refused():
    points, label, batch = labelled_points(per_class=4)
    with pytest.raises(InputError, match="class '0' has 12 field"):
        curve(points, label, batch)
