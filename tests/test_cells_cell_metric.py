"""Losses against sums done pair by pair, and a net that learns what plates do not share."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from screenbook.cells.cell_metric import (
    MetricSettings,
    contrastive_loss,
    cross_fit,
    experiment_folds,
    train_cell_net,
    triplet_loss,
)
from screenbook.cells.crops import CellCrops
from screenbook.errors import InputError
from screenbook.training import TrainSettings

QUICK = MetricSettings(
    n_pairs=24, widths=(8, 16), n_features=8, stain_shift=0.05,
    training=TrainSettings(n_steps=40, learning_rate=5e-3, warmup_steps=2),
)  # fmt: skip


@pytest.fixture
def some_points():
    draws = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(12, 4, generator=draws), dim=1)
    label = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 3])
    batch = torch.tensor([0, 1, 2, 0, 1, 1, 0, 0, 2, 0, 2, 1])
    return points, label, batch


def pairs_of(i, label, batch):
    others = range(len(label))
    positive = [j for j in others if label[j] == label[i] and batch[j] != batch[i]]
    return positive, [j for j in others if label[j] != label[i]]


def test_triplets_take_the_hardest_of_both(some_points):
    points, label, batch = some_points
    losses = []
    for i in range(12):
        positive, negative = pairs_of(i, label, batch)
        if positive and negative:
            away = [float((points[i] - p).norm()) / 0.2 for p in points]
            gap = max(away[j] for j in positive) - min(away[j] for j in negative)
            losses.append(np.log1p(np.exp(gap)))
    assert len(losses) == 11  # the one cell of its treatment has no positive
    ours = triplet_loss(points, label, batch, temperature=0.2)
    assert float(ours) == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_contrastive_loss_is_the_log_share_of_each_positive(some_points):
    points, label, batch = some_points
    losses = []
    for i in range(12):
        positive, negative = pairs_of(i, label, batch)
        if positive and negative:
            like = np.exp((points @ points[i]).numpy() / 0.3)
            shares = [like[j] / (like[j] + like[negative].sum()) for j in positive]
            losses.append(-np.log(shares).mean())
    ours = contrastive_loss(points, label, batch, temperature=0.3)
    assert float(ours) == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("loss", [triplet_loss, contrastive_loss])
def test_cells_of_one_plate_are_no_pair(loss, some_points):
    points = some_points[0][:3].clone().requires_grad_()
    label, one_plate = torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1])
    found = loss(points, label, one_plate)
    found.backward()
    assert float(found.detach()) == 0
    assert not points.grad.any()
    assert float(loss(points, label, torch.tensor([0, 1, 1])).detach()) > 0


@pytest.mark.parametrize("loss", [triplet_loss, contrastive_loss])
def test_the_order_of_cells_does_not_matter(loss, some_points):
    points, label, batch = some_points
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    again = loss(points[order], label[order], batch[order])
    assert float(again) == pytest.approx(float(loss(points, label, batch)), rel=1e-5)


def planted_crops(seed=0, n_each=24):
    """Treated cells have a stripe, in any direction; plates are brighter or darker."""
    rng = np.random.default_rng(seed)
    pixels, rows = [], []
    for plate in range(4):
        for treatment in ("control", "drug"):
            cells = rng.normal(plate * 0.5, 1, (n_each, 2, 12, 12))
            if treatment == "drug":
                cells[: n_each // 2, 0, 5:7] += 3
                cells[n_each // 2 :, 0, :, 5:7] += 3
            pixels.append(cells)
            role = "control" if treatment == "control" else "treated"
            rows += [{"experiment": f"E{plate}", "batch": f"E{plate}/1", "well": treatment,
                      "treatment": treatment, "role": role}] * n_each  # fmt: skip
    return CellCrops(np.concatenate(pixels).astype(np.float32), pd.DataFrame(rows), ("a", "b"))


@pytest.fixture(scope="module")
def fitted():
    crops = planted_crops()
    return crops, cross_fit(crops, experiment_folds(crops.obs), QUICK)


def separation(crops, fitted):
    """Difference of mean cosines within and between treatments, among cells of unseen plates."""
    parts = []
    for fold, points in enumerate(fitted.points):
        unseen = fitted.fold == fold
        like = points[unseen] @ points[unseen].T
        label = crops.obs["treatment"].to_numpy()[unseen]
        same = label[:, None] == label[None]
        parts.append(like[same].mean() - like[~same].mean())
    return min(parts)


def test_treatments_part_on_plates_that_were_not_seen(fitted):
    crops, learned = fitted
    assert learned.points.shape == (2, 192, 8)
    np.testing.assert_allclose(np.linalg.norm(learned.points, axis=2), 1, rtol=1e-5)
    none = replace(QUICK, training=replace(QUICK.training, n_steps=0))
    assert separation(crops, learned) > 0.5
    assert separation(crops, cross_fit(crops, learned.fold, none)) < 0.2


def test_triplets_learn_it_too(fitted):
    crops, learned = fitted
    triplets = cross_fit(crops, learned.fold, replace(QUICK, loss="triplet", temperature=0.3))
    assert separation(crops, triplets) > 0.5


def test_same_seed_same_points_and_another_another(fitted):
    crops, learned = fitted
    short = replace(QUICK, training=replace(QUICK.training, n_steps=3))
    one, same = (cross_fit(crops, learned.fold, short).points for _ in range(2))
    np.testing.assert_array_equal(one, same)
    other = replace(short, training=replace(short.training, seed=1))
    assert not np.array_equal(one, cross_fit(crops, learned.fold, other).points)


def test_nothing_of_a_held_out_experiment_is_learned_from(fitted):
    crops, learned = fitted
    short = replace(QUICK, training=replace(QUICK.training, n_steps=3))
    held = learned.fold == 0
    changed = crops.pixels.copy()
    changed[held] = 9
    kept = cross_fit(crops, learned.fold, short).points[0][~held]
    again = cross_fit(replace(crops, pixels=changed), learned.fold, short).points[0][~held]
    np.testing.assert_array_equal(kept, again)


def test_folds_are_whole_experiments():
    obs = planted_crops().obs
    fold = experiment_folds(obs, seed=3)
    assert not set(obs["experiment"][fold == 0]) & set(obs["experiment"][fold == 1])
    assert np.bincount(fold).tolist() == [96, 96]
    with pytest.raises(InputError, match="column experiment: 4 experiments for 3 folds"):
        experiment_folds(obs, 3)


def test_what_cannot_be_learned_is_refused():
    crops = planted_crops(n_each=4)
    with pytest.raises(InputError, match="all cells had 'drug'"):
        train_cell_net(crops.pixels, crops.obs.assign(treatment="drug"))
    with pytest.raises(InputError, match="batch: all fields are of 'E0/1'"):
        train_cell_net(crops.pixels, crops.obs.assign(batch="E0/1"))
    with pytest.raises(InputError, match=r"loss 'triplets' is none of .*did you mean 'triplet'"):
        MetricSettings(loss="triplets")
