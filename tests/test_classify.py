import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from planted_batches import planted_part, planted_screen
from screenbook.classifier.classifier_metrics import weighted_auc
from screenbook.classifier.classifier_models import Segment, Settings, fit_members
from screenbook.classifier.classifier_screen import ask_screen, null_aucs, well_table
from screenbook.classifier.classify import (
    calibrate,
    fold_codes,
    held_out_scores,
    refuse_shared_plates,
    refuse_sites,
    task_of,
)
from screenbook.errors import InputError

SETTINGS = Settings(n_folds=4, n_parts=3)


@pytest.fixture(scope="module")
def part():
    return planted_part(plate_shift=0.0, infection=3.0)


@pytest.fixture(scope="module")
def task(part):
    return task_of(part, np.ones(len(part.X), dtype=bool))


def auc(scores, task):
    rows = task.label >= 0
    return weighted_auc(scores[rows], task.label[rows], np.ones((1, int(rows.sum()))))[0]


def test_healthy_and_untreated_diseased_wells_teach_and_no_others(part, task):
    role = part.obs["role"].astype(str).to_numpy()
    assert set(role[task.label == 1]) == {"healthy"}
    assert set(role[task.label == 0]) == {"diseased"}
    assert set(role[task.label == -1]) == {"treated"}
    assert (task.teach == (task.label >= 0)).all()
    flagged = np.arange(len(part.X)) % 2 == 0
    assert not task_of(part, ~flagged).teach[flagged].any()


@pytest.mark.parametrize("model", ["net", "logistic", "lda"])
def test_every_model_tells_them_apart_on_plates_not_seen(part, task, model):
    fold = fold_codes(part, "batch", 4, 0)
    held = held_out_scores(task, fold, model, SETTINGS)
    assert auc(held.members.mean(axis=0), task) > 0.94
    p = calibrate(held, task, SETTINGS)
    assert ((p.low <= p.p) & (p.p <= p.high)).all()
    assert ((p.p > 0.5) == (task.label == 1))[task.label >= 0].mean() > 0.85


@pytest.mark.parametrize("model", ["net", "logistic", "lda"])
@pytest.mark.parametrize("key", ["batch", "experiment"])
def test_no_well_of_a_held_out_plate_is_seen_in_training(part, task, model, key):
    fold = fold_codes(part, key, 4, 0)
    held = held_out_scores(task, fold, model, SETTINGS)
    for f in range(fold.max() + 1):
        asked = set(task.plate[fold == f])
        for member in held.learned[f]:
            assert member.any()
            assert not asked & set(task.plate[member])
        # Nor is the calibration of the fold taught by them.
        assert not asked & set(task.plate[held.known_rows[f]])
    assert not held.learned[:, :, task.label < 0].any()


@pytest.mark.parametrize("model", ["net", "logistic", "lda"])
def test_what_stands_on_a_held_out_plate_changes_no_answer_there(part, task, model):
    """Labels and profiles of a fold's controls are spoiled: its wells are scored as before."""
    fold = fold_codes(part, "batch", 4, 0)
    spoiled = task_of(part, np.ones(len(part.X), dtype=bool))
    mine = (fold == 2) & (task.label >= 0)
    spoiled.label[mine] = 1 - spoiled.label[mine]
    spoiled.points[mine] += 50.0
    before, after = (held_out_scores(t, fold, model, SETTINGS) for t in (task, spoiled))
    asked = (fold == 2) & (task.label < 0)
    first, second = calibrate(before, task, SETTINGS), calibrate(after, spoiled, SETTINGS)
    np.testing.assert_allclose(first.p[asked], second.p[asked], atol=1e-9)
    assert (first.call[asked] == second.call[asked]).all()
    np.testing.assert_allclose(before.distance[asked], after.distance[asked])
    others = (fold != 2) & (task.label < 0)
    assert not np.allclose(first.p[others], second.p[others])


def test_a_planted_leak_is_refused():
    plates, fold = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    fair = np.array([[[False, False, True, True]], [[True, True, False, False]]])
    refuse_shared_plates(fair, plates, fold)
    leak = fair.copy()
    leak[1, 0, 2] = True
    with pytest.raises(InputError, match="plate 1 has wells that the models of fold 1 learned"):
        refuse_shared_plates(leak, plates, fold)


def test_folds_that_cut_a_plate_are_refused(part, task):
    by_well = np.arange(len(part.X)) % 4
    with pytest.raises(InputError, match="keep whole plates in one fold"):
        held_out_scores(task, by_well, "lda", SETTINGS)


@pytest.mark.parametrize("label", ["disease_condition", "treatment", "compound", "role", "moa"])
def test_labels_are_no_folds(part, label):
    with pytest.raises(InputError, match="label of interest"):
        fold_codes(part, label, 4, 0)


def test_sites_are_refused():
    screen = planted_screen(n_plates=2, n_experiments=1)
    screen.uns["level"] = "site"
    for refuse in (refuse_sites, lambda s: ask_screen(s, np.ones(s.n_obs, dtype=bool))):
        with pytest.raises(InputError, match="are sites; classifiers here learn from wells"):
            refuse(screen)


def test_folds_hold_whole_plates_of_several_experiments(part):
    fold = fold_codes(part, "batch", 3, 0)
    layout = part.layout
    assert set(fold) == {0, 1, 2}
    for batch in range(len(layout.batches)):
        assert len(set(fold[layout.batch == batch])) == 1
    for f in range(3):
        assert len(set(layout.experiment[fold == f])) == 2
    assert len(set(fold_codes(part, "batch", 99, 0))) == len(layout.batches)


def test_shuffled_labels_are_told_by_chance(part, task):
    fold = fold_codes(part, "batch", 4, 0)
    for model in ("lda", "net"):
        null = null_aucs(task, fold, model, SETTINGS, 12)
        assert null.mean() == pytest.approx(0.5, abs=0.04)
        assert null.max() < 0.62


def test_logistic_members_are_sklearns(task):
    rows = task.label >= 0
    points, label, plate = task.points[rows], task.label[rows], task.plate[rows]
    stop = np.stack([plate == 0, plate == 1])[None]
    learn = ~stop & (plate != 7)
    members = fit_members("logistic", points, label, learn, stop, SETTINGS)
    mean, scale = points[learn[0, 0]].mean(axis=0), points[learn[0, 0]].std(axis=0)
    some = (points - mean) / scale
    known = [
        LogisticRegression(C=c, class_weight="balanced")
        .fit(some[learn[0, 0]], label[learn[0, 0]])
        .decision_function(some)
        for c in (0.001, 0.01, 0.1, 1.0)
    ]
    found = members.log_odds(0, points)[0]
    assert min(np.abs(found - one).max() for one in known) < 0.05


def test_a_well_between_the_controls_is_inside_and_one_beside_them_outside(task):
    rows = task.label >= 0
    learn = np.ones((1, 1, int(rows.sum())), dtype=bool)
    points, label = task.points[rows], task.label[rows]
    segment = Segment.fit(points, label, learn)
    healthy, diseased = (points[label == value].mean(axis=0) for value in (1, 0))
    line = diseased - healthy
    rng = np.random.default_rng(0)
    beside = rng.normal(size=len(line))
    beside -= beside @ line / (line @ line) * line
    asked = np.stack(
        [healthy, diseased, (healthy + diseased) / 2, healthy + 30 * beside, diseased + 5 * line]
    )
    distance = segment.distance(0, asked)[0]
    assert distance[:3] == pytest.approx(np.zeros(3), abs=1e-6)
    assert (distance[3:] > 2).all()
    assert segment.distance(0, points)[0].mean() == pytest.approx(1, abs=0.15)


def test_about_one_control_in_a_hundred_is_outside(part, task):
    held = held_out_scores(task, fold_codes(part, "batch", 4, 0), "lda", SETTINGS)
    assert held.outside[task.label >= 0].mean() < 0.05


def test_a_screen_without_a_disease_gets_a_reason():
    screen = planted_screen(disease=False, n_plates=2)
    answers, reasons = ask_screen(screen, np.ones(screen.n_obs, dtype=bool))
    assert answers == {}
    assert "no disease" in reasons["renal"]


@pytest.mark.parametrize(
    ("n_experiments", "n_plates", "says"),
    [(1, 1, "one plate only"), (1, 2, "2 plates with both"), (2, 1, "2 plates with both")],
)
def test_too_few_plates_get_a_reason(n_experiments, n_plates, says):
    screen = planted_screen(n_experiments=n_experiments, n_plates=n_plates)
    answers, reasons = ask_screen(screen, np.ones(screen.n_obs, dtype=bool), n_permutations=1)
    assert answers == {}
    assert says in reasons["renal"]


def test_one_experiment_is_answered_and_says_what_it_lacks():
    screen = planted_screen(n_experiments=1, n_plates=4, plate_shift=0.0)
    used = np.ones(screen.n_obs, dtype=bool)
    answers, reasons = ask_screen(screen, used, "lda", SETTINGS, n_permutations=2)
    assert reasons == {}
    assert "one experiment only" in answers["renal"].no_experiment
    assert set(answers["renal"].measures["held_out"]) == {"plate"}


def test_a_plate_without_controls_is_scored_and_teaches_nothing():
    screen = planted_screen(plate_shift=0.0)
    bare = ((screen.obs["batch"] == "E1/1") & (screen.obs["role"] != "treated")).to_numpy()
    screen = screen[~bare].copy()
    used = np.ones(screen.n_obs, dtype=bool)
    answers, _ = ask_screen(screen, used, "lda", SETTINGS, n_permutations=2)
    table = well_table(answers["renal"], used, "lda")
    assert np.isfinite(table.loc[table["batch"] == "E1/1", "p_healthy"]).all()
    assert "E1/1" not in set(answers["renal"].plates["batch"])


def test_an_unknown_model_is_named(part, task):
    with pytest.raises(InputError, match="choose net, logistic, lda"):
        held_out_scores(task, fold_codes(part, "batch", 4, 0), "svm", SETTINGS)


def test_the_same_seed_gives_the_same_answers(part, task):
    fold = fold_codes(part, "batch", 4, 0)
    one, two = (
        calibrate(held_out_scores(task, fold, "net", SETTINGS), task, SETTINGS).p for _ in "ab"
    )
    assert np.array_equal(one, two)
