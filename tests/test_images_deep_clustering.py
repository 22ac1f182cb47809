from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from screenbook.errors import InputError
from screenbook.images.cluster_agreement import matched_accuracy
from screenbook.images.deep_clustering import ClusterModel, DecSettings, deep_clusters
from screenbook.images.residual_autoencoder import ResidualAutoencoder
from screenbook.images.soft_clusters import k_means_clusters, sharpened, student_t
from screenbook.training import TrainSettings, train

SMALL = DecSettings(
    n_clusters=3,
    n_maps=4,
    widths=(8, 8, 8),
    batch_size=16,
    update_every=5,
    autoencoder=TrainSettings(n_steps=60, learning_rate=5e-3, optimiser="adam", device="cpu"),
    clustering=TrainSettings(n_steps=20, learning_rate=2e-3, optimiser="adam", device="cpu"),
)


def tiny_fields(n=60, seed=0, side=12):
    """Three classes, each bright in its own channel, spots anywhere."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 3
    fields = 0.3 * rng.normal(size=(n, 3, side, side))
    for i in range(n):
        for _ in range(4):
            y, x = rng.integers(1, side - 1, 2)
            fields[i, label[i], y - 1 : y + 2, x - 1 : x + 2] += 2
    return fields.astype(np.float32), label


class Kept:
    """A keeper in memory, which may fail after some saves."""

    def __init__(self, fail_after=10**9):
        self.state, self.left = None, fail_after

    def load(self):
        return self.state

    def save(self, state):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.state = deepcopy(state)


def test_soft_assignments_written_out():
    rng = np.random.default_rng(0)
    points, centres = rng.normal(size=(6, 3)), rng.normal(size=(4, 3))
    for freedom in (1.0, 2.5):
        by_hand = np.empty((6, 4))
        for i in range(6):
            for j in range(4):
                d = ((points[i] - centres[j]) ** 2).sum()
                by_hand[i, j] = (1 + d / freedom) ** (-(freedom + 1) / 2)
            by_hand[i] /= by_hand[i].sum()
        q = student_t(torch.tensor(points), torch.tensor(centres), freedom).numpy()
        np.testing.assert_allclose(q, by_hand)


def test_the_target_written_out():
    q = np.random.default_rng(1).dirichlet(np.ones(3), size=5)
    by_hand = np.array([[q[i, j] ** 2 / q[:, j].sum() for j in range(3)] for i in range(5)])
    by_hand /= by_hand.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(sharpened(torch.tensor(q)).numpy(), by_hand)
    empty = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert torch.isfinite(sharpened(empty)).all()


class Linear(nn.Module):
    """Features that are a matrix times the field."""

    def __init__(self, d):
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(d))

    def features(self, x):
        return x.flatten(1) @ self.matrix


@pytest.mark.parametrize("target", ["data", "mini-batch"])
def test_planted_blobs_are_found_and_pulled_together(target):
    rng = np.random.default_rng(2)
    label = rng.integers(0, 4, 400)
    points = (rng.normal(size=(4, 5)) * 3)[label] + rng.normal(size=(400, 5))
    x = torch.tensor(points.reshape(400, 5, 1, 1), dtype=torch.float32)
    settings = replace(
        DecSettings(n_clusters=4, update_every=10, batch_size=50, target=target),
        clustering=TrainSettings(n_steps=60, learning_rate=0.01, optimiser="adam", device="cpu"),
    )
    model = ClusterModel(Linear(5), points.astype(np.float32), settings)
    before = model.soft(model.net.features(x)).detach()
    train(model, model.loss_on(x, settings, 0), settings.clustering)
    after = model.soft(model.net.features(x)).detach()
    assert matched_accuracy(label, after.argmax(1)) > 0.9
    assert after.max(dim=1).values.mean() > before.max(dim=1).values.mean() + 0.02
    assert int(model.n_targets) == 6


def test_classes_of_tiny_images_are_found():
    fields, label = tiny_fields()
    found = deep_clusters(fields, SMALL)
    assert matched_accuracy(label, found.clusters) > 0.9
    assert found.soft.shape == (60, 3)
    np.testing.assert_allclose(found.soft.sum(axis=1), 1, rtol=1e-5)
    assert found.embedding.shape == found.start_embedding.shape == (60, 8)
    assert found.steps.tolist() == [0, 5, 10, 15][: len(found.steps)]
    assert found.assignments.shape == (len(found.steps), 60)
    assert (found.assignments[0] == found.start).all()
    again = deep_clusters(fields, SMALL)
    assert (again.embedding == found.embedding).all()


def test_a_run_that_was_killed_goes_on_to_the_same_bits():
    fields, _ = tiny_fields(n=12)
    often = {"checkpoint_every": 5, "n_steps": 12}
    settings = replace(
        SMALL,
        tolerance=0.0,
        autoencoder=replace(SMALL.autoencoder, **often),
        clustering=replace(SMALL.clustering, **often),
    )
    whole = deep_clusters(fields, settings)
    for saves in (1, 4):
        keeper = Kept(fail_after=saves)
        with pytest.raises(KeyboardInterrupt):
            deep_clusters(fields, settings, checkpoints=keeper)
        keeper.left = 10**9
        resumed = deep_clusters(fields, settings, checkpoints=keeper)
        assert (resumed.embedding == whole.embedding).all()
        assert (resumed.assignments == whole.assignments).all()
        assert (resumed.soft == whole.soft).all()
    done = deep_clusters(fields, settings, checkpoints=keeper)
    assert (done.clusters == whole.clusters).all()


def test_it_stops_when_clusters_have_settled():
    fields, _ = tiny_fields()
    longer = replace(SMALL, clustering=replace(SMALL.clustering, n_steps=100), tolerance=0.01)
    found = deep_clusters(fields, longer)
    assert found.clustering_history.stopped.startswith("settled at step")
    assert found.clustering_history.rows[-1]["step"] < 100


def test_progress_counts_on():
    fields, _ = tiny_fields(n=12)
    heard = []
    short = replace(SMALL, autoencoder=replace(SMALL.autoencoder, n_steps=10))
    deep_clusters(fields, short, tell=lambda step, row: heard.append((step, row["loss"])))
    steps = [step for step, _ in heard]
    assert steps == sorted(steps)
    assert 10 < steps[-1] <= 30


def test_only_what_should_learn_learns():
    fields, _ = tiny_fields(n=24)
    for weight, moves in ((0.0, False), (1.0, True)):
        settings = replace(SMALL, reconstruction=weight)
        torch.manual_seed(0)
        net = ResidualAutoencoder(3, 12, 4, (8, 8, 8))
        x = torch.from_numpy(fields)
        model = ClusterModel(net, net.features(x).detach().numpy(), settings)
        before = {name: value.clone() for name, value in model.named_parameters()}
        train(model, model.loss_on(x, settings, 0), replace(settings.clustering, n_steps=3))
        changed = {n for n, v in model.named_parameters() if not torch.equal(v, before[n])}
        assert "centres" in changed
        assert any(n.startswith("net.encoder") for n in changed)
        assert any(n.startswith("net.decoder") for n in changed) == moves


@pytest.mark.parametrize("pooling", ["moments", "mean", "flatten"])
def test_the_autoencoder(pooling):
    torch.manual_seed(0)
    net = ResidualAutoencoder(6, 24, n_maps=5, widths=(8, 16, 24), pooling=pooling)
    x = torch.randn(3, 6, 24, 24) + 2 * torch.randn(3, 6, 1, 1)
    features, again = net(x)
    assert features.shape == (3, 10 if pooling == "moments" else 5)
    assert again.shape == x.shape
    assert torch.allclose(features, net.features(x))
    # Moments over the field hardly know where things are.
    moved = net.features(x.roll((4, 8), dims=(2, 3)))
    change = (moved - features).norm() / (features - features.mean(0)).norm()
    assert (change < 0.5) == (pooling != "flatten")


def test_k_means_beside_it():
    fields, label = tiny_fields(n=90)
    means = fields.mean(axis=(2, 3)) * [1, 100, 0.01]
    assert matched_accuracy(label, k_means_clusters(means, 3)) > 0.95


def test_what_cannot_be_clustered_is_refused():
    fields, _ = tiny_fields(n=12)
    with pytest.raises(InputError, match="2 fields cannot form 3 clusters"):
        deep_clusters(fields[:2], SMALL)
    with pytest.raises(InputError, match="fields of 12 x 11 px: crop them to squares"):
        deep_clusters(fields[:, :, :, 1:], SMALL)
    with pytest.raises(InputError, match="fields of 10 px: the autoencoder halves them twice"):
        deep_clusters(fields[:, :, 1:11, 1:11], SMALL)
    with pytest.raises(InputError, match="pooling 'max' is none of"):
        ResidualAutoencoder(3, 12, pooling="max")
    with pytest.raises(InputError, match="target 'batch' is neither"):
        DecSettings(target="batch")
