import math

import numpy as np
import pytest
import torch
from torch import nn

from screenbook.checkpoints import Checkpoints
from screenbook.errors import InputError
from screenbook.training import (
    TrainSettings,
    cosine,
    epoch_rows,
    pick_device,
    torch_threads,
    train,
)

SETTINGS = TrainSettings(n_steps=24, learning_rate=0.02, record_every=4, checkpoint_every=5)


class Net(nn.Module):
    """Something of everything that has state: weights, dropout, running means, a moving average."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.layers = nn.Sequential(
                nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1)
            )
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
        self.register_buffer("average", torch.zeros(8, 5))

    def keep(self, _step):
        self.average.lerp_(self.layers[0].weight.detach(), 0.1)


def problem(net, n=64):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(n, 5)).astype(np.float32))
    y = x[:, :1] - 2 * x[:, 1:2]

    def loss_of(step):
        rows = epoch_rows(n, 16, step.number, seed=3)
        noise = torch.randn(len(rows), 5, generator=step.draws)
        loss = (net.layers(x[rows] + 0.1 * noise) - y[rows]).pow(2).mean()
        return loss, {"noise": noise.mean() + step.rng.normal()}

    return loss_of


def run(settings=SETTINGS, checkpoints=None, **more):
    net = Net()
    history = train(
        net, problem(net), settings, after_step=net.keep, checkpoints=checkpoints, **more
    )
    return net, history


def assert_same(one, other):
    for (name, a), (_, b) in zip(one.state_dict().items(), other.state_dict().items(), strict=True):
        assert torch.equal(a, b), name


class Killed(Exception):
    pass


def test_the_loss_falls_and_the_history_says_so():
    net, history = run(TrainSettings(n_steps=150, learning_rate=0.05))
    table = history.table
    assert list(table.columns) == ["step", "loss", "learning_rate", "noise"]
    assert table.step.tolist() == list(range(10, 151, 10))
    assert table.loss.iloc[-1] < 0.5 * table.loss.iloc[0]
    assert history.stopped == ""
    assert not net.training
    assert (net.frozen == 1).all()


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before():
    one, first = run()
    torch.rand(7)
    before = torch.get_rng_state()
    other, second = run()
    assert_same(one, other)
    assert first.rows == second.rows
    assert torch.equal(before, torch.get_rng_state())
    another, _ = run(TrainSettings(**{**SETTINGS.__dict__, "seed": 1}))
    assert not torch.equal(one.average, another.average)


@pytest.mark.parametrize("killed_at", [0, 3, 5, 17])
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, killed_at):
    whole, history = run()
    kept = Checkpoints(tmp_path / "deep" / "net.pt")
    net = Net()
    loss_of = problem(net)

    def dies(step):
        if step.number == killed_at:
            raise Killed
        return loss_of(step)

    with pytest.raises(Killed):
        train(net, dies, SETTINGS, after_step=net.keep, checkpoints=kept)
    resumed, again = run(checkpoints=kept)
    assert_same(whole, resumed)
    assert again.rows == history.rows
    # A finished run is read, not repeated.
    finished, rows = run(checkpoints=kept, tell=lambda *_: pytest.fail("trained again"))
    assert_same(whole, finished)
    assert rows.rows == history.rows


def test_seconds_left_are_told_and_fall_to_nothing():
    told = []
    run(tell=lambda step, numbers: told.append((step, numbers)))
    assert [step for step, _ in told] == [4, 8, 12, 16, 20, 24]
    assert all(n["seconds_left"] >= 0 and math.isfinite(n["loss"]) for _, n in told)
    assert told[-1][1]["seconds_left"] == 0


def test_a_run_stops_with_a_word_and_stays_stopped(tmp_path):
    kept = Checkpoints(tmp_path / "net.pt")
    _, history = run(stop_when=lambda rows: "enough" * (len(rows) == 2), checkpoints=kept)
    assert history.stopped == "enough"
    assert history.table.step.tolist() == [4, 8]
    _, again = run(checkpoints=kept)
    assert (again.stopped, again.rows) == ("enough", history.rows)


def test_a_loss_that_is_no_number_stops_the_run():
    net = Net()
    history = train(net, lambda step: net.layers(torch.ones(4, 5)).sum() * math.nan, SETTINGS)
    assert history.stopped.startswith("stopped at step 4: the loss is no number")


def test_the_learning_rate_rises_then_falls():
    settings = TrainSettings(n_steps=10, learning_rate=1.0, warmup_steps=4, record_every=1)
    net = Net()
    rates = train(net, problem(net), settings).table.learning_rate
    assert rates[:4].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[9] == pytest.approx(1e-5)
    assert (rates[4:].diff()[1:] < 0).all()
    assert cosine(0, 5, 2.0, 1.0) == 2.0
    assert cosine(2, 5, 2.0, 1.0) == pytest.approx(1.5)
    assert cosine(4, 5, 2.0, 1.0) == pytest.approx(1.0)


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
def test_weights_decay_but_biases_and_norms_do_not(optimiser):
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    start = [p.detach().clone() for p in net.parameters()]
    settings = TrainSettings(
        n_steps=5, learning_rate=0.1, weight_decay=0.5, optimiser=optimiser, nesterov=True
    )
    train(net, lambda step: sum(p.sum() for p in net.parameters()) * 0, settings)
    moved = [not torch.equal(a, b) for a, b in zip(start, net.parameters(), strict=True)]
    assert moved == [True, False, False, False]


def test_an_epoch_goes_through_all_rows_once():
    first = np.concatenate([epoch_rows(20, 5, step, seed=1) for step in range(4)])
    second = np.concatenate([epoch_rows(20, 5, step, seed=1) for step in range(4, 8)])
    assert sorted(first) == sorted(second) == list(range(20))
    assert (first != second).any()
    assert len(epoch_rows(3, 8, 5, seed=1)) == 3


def test_gradients_are_clipped():
    net = nn.Linear(2, 1, bias=False)
    start = net.weight.detach().clone()
    settings = TrainSettings(
        n_steps=1, learning_rate=1.0, schedule="constant", optimiser="sgd", clip=0.5
    )
    train(net, lambda step: 1000 * net.weight.sum(), settings)
    assert (net.weight.detach() - start).norm().item() == pytest.approx(0.5, rel=1e-3)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_checkpoints_of_something_else_are_refused(tmp_path):
    kept = Checkpoints(tmp_path / "net.pt")
    assert kept.load() is None
    run(checkpoints=kept)
    with pytest.raises(InputError, match=r"net\.pt: of a training with n_steps=24, not 30"):
        run(TrainSettings(**{**SETTINGS.__dict__, "n_steps": 30}), checkpoints=kept)
    other = nn.Linear(2, 2)
    with pytest.raises(InputError, match=r"net\.pt: of another net"):
        train(other, lambda step: other.weight.sum(), SETTINGS, checkpoints=kept)
    whole = kept.path.read_bytes()
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2]):
        kept.path.write_bytes(damaged)
        with pytest.raises(InputError, match="delete it to train anew"):
            kept.load()
    torch.save([1], kept.path)
    with pytest.raises(InputError, match="not a checkpoint"):
        kept.load()
    assert [p.name for p in tmp_path.iterdir()] == ["net.pt"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"optimiser": "lion"}, "adamw"),
        ({"schedule": "steps"}, "cosine"),
        ({"device": "abacus"}, "cpu"),
    ],
)
def test_unknown_settings_are_refused(wrong, says):
    with pytest.raises(InputError, match=says):
        run(TrainSettings(**wrong))


def test_a_device_is_found():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in {"cpu", "cuda", "mps"}
