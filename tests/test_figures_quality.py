import numpy as np
import pandas as pd
import pytest

from planted import noisy_points, plate_wells, vehicle_screen
from screenbook.figures.quality import (
    outlier_scatter,
    plate_verdicts,
    scores_by_plate,
    site_confusion,
)
from screenbook.profiles.control_axis import control_scores
from screenbook.profiles.outliers import find_outliers, thin_out
from screenbook.profiles.quality import PlateRules, assess_plates


def assessed(wells, points, has_disease=True):
    score = control_scores(points, wells, has_disease=has_disease)
    judged = assess_plates(score, wells, PlateRules(), has_disease=has_disease, n_boot=50, seed=0)
    return wells.assign(score=score), judged


@pytest.fixture
def disease():
    wells = plate_wells(n_plates=4)
    return assessed(wells, noisy_points(wells))


def test_controls_are_points_and_treated_wells_boxes(disease):
    wells, judged = disease
    controls = wells[wells["role"] != "treated"]
    fig = scores_by_plate(controls, judged, ["healthy", "diseased"], axis="score", title="t")
    box, healthy, diseased = fig.data
    assert box.type == "box"
    np.testing.assert_allclose(box.median, judged["treated"])
    assert len(healthy.x) == len(diseased.x) == 80
    assert healthy.marker.symbol != diseased.marker.symbol
    # each plate's controls stand beside its own box
    assert {round(x) for x in healthy.x} == {0, 1, 2, 3}
    assert fig.layout.yaxis.title.text == "score"


def test_verdicts_show_what_is_defined_and_where_the_limits_are(disease):
    _, judged = disease
    judged.loc[2, ["verdict", "reason"]] = "flag", "for a test"
    fig = plate_verdicts(judged, {"auc": 0.5, "relative_gap": 0.5}, title="t")
    assert len(fig.layout.annotations) == 5
    assert len(fig.layout.shapes) == 2
    flagged = [trace for trace in fig.data if trace.name == "flag"]
    assert len(flagged) == 5
    assert flagged[0].marker.symbol == "triangle-up"
    assert flagged[0].error_x.array is not None
    assert flagged[1].error_x.array is None
    assert flagged[0].customdata[0][0] == "for a test"


def test_without_a_disease_what_is_not_defined_has_no_panel():
    wells, points = vehicle_screen(n_plates=5)
    wells, judged = assessed(wells, points, has_disease=False)
    fig = plate_verdicts(judged, {}, title="t")
    titles = [a.text for a in fig.layout.annotations]
    assert titles == ["AUC", "gap / usual", "spread / usual"]
    controls = wells[wells["role"] == "vehicle"]
    drawn = scores_by_plate(controls, judged, ["vehicle"], axis="distance", title="t")
    assert len(drawn.data) == 2
    judged.loc[1, "treated"] = np.nan
    drawn = scores_by_plate(controls, judged, ["vehicle"], axis="distance", title="t")
    assert len(drawn.data[0].median) == 4


def test_confusion_is_read_row_by_row():
    table = pd.DataFrame([[0.7, 0.3], [0.1, 0.9]], index=[1, 2], columns=[1, 2])
    fig = site_confusion({"renal": table}, chance=0.5, title="t")
    assert list(fig.data[0].text[0]) == ["70%", "30%"]
    assert fig.layout.yaxis.autorange == "reversed"
    assert fig.layout.coloraxis.cmax == 1


def test_kinds_of_wells_have_colours_symbols_and_counts():
    wells = plate_wells(n_plates=4)
    points = noisy_points(wells)
    points[7] += 60
    judged = wells.join(find_outliers(points, wells, np.full(len(wells), np.nan), 3.5))
    thin = thin_out(judged, 50, seed=0)
    assert (thin["kind"] == "").sum() == 50
    assert (thin["kind"] != "").sum() == (judged["kind"] != "").sum() >= 1
    assert thin.index.tolist() == [i for i in judged.index if i in set(thin.index)]
    fig = outlier_scatter(thin, threshold=3.5, title="t")
    assert fig.data[0].name == "unremarkable (50)"
    assert len({trace.marker.symbol for trace in fig.data}) == len(fig.data)
    assert all(trace.meta == "compound" for trace in fig.data)
    assert len(fig.layout.shapes) == 2
