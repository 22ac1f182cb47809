import numpy as np
import pandas as pd
import pytest

from planted_batches import planted_part, planted_screen
from screenbook.errors import InputError
from screenbook.profiles.batches import (
    LABELS,
    batch_codes,
    cell_type_parts,
    refuse_labels,
    split_controls,
)


@pytest.mark.parametrize("label", [*LABELS, "Disease_Condition", "SMILES", "smiles", "MoA"])
def test_labels_of_interest_are_refused_as_batches(label):
    with pytest.raises(InputError) as refusal:
        refuse_labels(["experiment", label])
    message = str(refusal.value)
    assert repr(label) in message
    assert "takes away the effect" in message
    assert "\n" not in message


def test_every_label_has_its_own_reason():
    reasons = []
    for label in LABELS:
        with pytest.raises(InputError) as refusal:
            refuse_labels([label])
        reasons.append(str(refusal.value).split(": ", 1)[1])
    assert all(len(reason) > 40 for reason in reasons)


def test_plates_and_experiments_pass():
    refuse_labels(["experiment", "batch", "site", "row"])


def test_a_plate_number_that_recurs_is_no_batch():
    obs = planted_screen().obs
    with pytest.raises(InputError, match="recur in several experiments"):
        batch_codes(obs, "plate")
    codes, names = batch_codes(obs, "batch")
    assert len(names) == 8
    assert (np.array(names)[codes] == obs["batch"].astype(str)).all()


def test_a_plate_number_of_one_experiment_is_a_batch():
    obs = planted_screen(n_experiments=1).obs
    assert batch_codes(obs, "plate")[1] == ["1", "2", "3", "4"]


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match="'week' is not in the metadata"):
        batch_codes(planted_screen().obs, "week")


def test_layout_says_who_is_control_and_who_is_bulk():
    part = planted_part(n_controls=5)
    layout = part.layout
    role = part.obs["role"].astype(str).to_numpy()
    assert layout.kinds == ("healthy", "diseased")
    assert (np.array([*layout.kinds, "none"])[layout.kind][role == "healthy"] == "healthy").all()
    assert (layout.control == np.isin(role, ["healthy", "diseased"])).all()
    assert (layout.bulk == (role == "treated")).all()
    assert (layout.baseline == (role == "diseased")).all()
    assert layout.experiment_of().tolist() == [0] * 4 + [1] * 4


def test_the_baseline_of_a_screen_without_a_disease_is_its_vehicle():
    layout = planted_part(disease=False).layout
    assert layout.kinds == ("vehicle",)
    assert (layout.baseline == layout.control).all()


@pytest.mark.parametrize("n_controls", [4, 5])
def test_halves_are_even_on_every_plate_and_kind(n_controls):
    layout = planted_part(n_controls=n_controls).layout
    half = split_controls(layout, seed=1)
    assert (half[~layout.control] == -1).all()
    counts = pd.crosstab(
        [layout.batch[layout.control], layout.kind[layout.control]], half[half >= 0]
    )
    assert counts.to_numpy().min() == n_controls // 2
    assert counts.to_numpy().max() == (n_controls + 1) // 2
    assert (half == split_controls(layout, seed=1)).all()
    assert (half != split_controls(layout, seed=2)).any()


def test_cell_types_are_cut_apart_and_cover_the_screen():
    screen = planted_screen()
    screen.obs["cell_type"] = np.where(screen.obs["experiment"] == "E1", "renal", "simian")
    parts = cell_type_parts(screen)
    assert [part.cell_type for part in parts] == ["renal", "simian"]
    assert (parts[0].rows ^ parts[1].rows).all()
    assert all(len(part.layout.batches) == 4 for part in parts)
    some = parts[0].take(parts[0].layout.control)
    assert some.rows.sum() == len(some.X) == len(some.obs) == len(some.layout.batch)
    assert (screen.X[some.rows] == some.X).all()
