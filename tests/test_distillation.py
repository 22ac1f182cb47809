from dataclasses import replace

import numpy as np
import pytest
import torch

from screenbook.checkpoints import Checkpoints
from screenbook.errors import InputError
from screenbook.images.collapse import CollapseLimits
from screenbook.images.distillation import Distillation, train_variant
from screenbook.images.encoders import build_encoder, encode
from screenbook.images.positives import FieldCodes
from screenbook.images.variants import (
    ABLATION,
    VARIANTS,
    DistillationSettings,
    Variant,
    find_variant,
    quick,
)
from screenbook.images.views import ViewSettings
from screenbook.training import Step, TrainSettings, train

SETTINGS = DistillationSettings(
    training=TrainSettings(n_steps=4, record_every=2, checkpoint_every=1, device="cpu", clip=3.0),
    views=ViewSettings(size=12, n_local=2, local_size=8),
    encoder_options={"widths": (8, 16)},
    batch_size=12,
    n_prototypes=9,
    bottleneck=5,
    hidden=16,
    redundancy_weight=0.75,
)
ALL = sorted(VARIANTS | ABLATION)


def fields(n=36, n_batches=3, n_treatments=3, size=16, seed=0):
    rng = np.random.default_rng(seed)
    treatment, batch = np.arange(n) % n_treatments, (np.arange(n) // n_treatments) % n_batches
    images = rng.normal(size=(n, 2, size, size)) + treatment[:, None, None, None]
    names = tuple("abcdefgh")
    codes = FieldCodes(treatment, batch, names[:n_treatments], names[:n_batches])
    return images.astype(np.float32), codes


def one_step(variant, settings=SETTINGS):
    """A net, what its inputs were, and its loss."""
    _, codes = fields()
    torch.manual_seed(0)
    encoder = build_encoder("cnn", 2, **settings.encoder_options)
    net = Distillation(find_variant(variant), encoder, settings, codes)
    whole = [torch.randn(12, 2, 12, 12) for _ in range(2)]
    small = [torch.randn(12, 2, 8, 8) for _ in range(2)]
    step = Step(0, torch.device("cpu"), np.random.default_rng(0), torch.Generator())
    batch = torch.from_numpy(codes.batch[np.stack([np.arange(12), np.arange(3, 15)])])
    loss, numbers = net(whole, small, batch, torch.from_numpy(codes.treatment[:12]), step)
    return net, loss, numbers


@pytest.mark.parametrize("name", ALL)
def test_every_variant_trains_the_student_and_the_teacher_follows(name):
    images, codes = fields()
    start = build_encoder("cnn", 2, **SETTINGS.encoder_options)
    trained = train_variant(name, images, codes, SETTINGS)
    assert trained.name == name
    assert trained.history.table.step.tolist() == [2, 4]
    assert np.isfinite(trained.history.table.to_numpy()).all()
    assert not trained.encoder.training
    features = encode(trained.encoder, images, device="cpu")
    assert features.shape == (36, 16)
    assert not np.allclose(features, encode(start, images, device="cpu"))


@pytest.mark.parametrize("name", ALL)
def test_gradients_flow_into_the_student_and_nowhere_else(name):
    net, loss, _ = one_step(name)
    loss.backward()
    assert all(p.grad is None and not p.requires_grad for p in net.teacher.parameters())
    reached = {n for n, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    wanted = {n for n, p in net.named_parameters() if p.requires_grad}
    assert wanted == reached
    assert all(n.startswith(("student.", "predictor.")) for n in wanted)
    assert any(n.startswith("predictor.") for n in wanted) == (find_variant(name).loss == "byol")


@pytest.mark.parametrize("name", ALL)
def test_what_a_variant_reports_is_what_it_is_made_of(name):
    _, loss, numbers = one_step(name)
    variant = find_variant(name)
    main = {"dino": "dino", "byol": "byol", "supervised": "cross_entropy"}[variant.loss]
    more = {"redundancy"} if variant.redundancy else set()
    more |= {"target_entropy"} if variant.loss == "dino" else set()
    assert set(numbers) == {main, "spread", "rank"} | more
    total = float(numbers[main])
    if variant.redundancy:
        total = 0.25 * total + 0.75 * float(numbers["redundancy"])
    assert loss.item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("name", ["BYOL", "CDCL", "supervised"])
def test_losses_keep_their_digits_in_mixed_precision(name):
    _, whole, _ = one_step(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        net, half, _ = one_step(name)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(whole.item(), rel=0.05)
    half.backward()
    assert all(p.grad.dtype == torch.float32 for p in net.parameters() if p.requires_grad)


def test_the_teacher_is_the_moving_average_of_the_student():
    settings = replace(SETTINGS, teacher_momentum=(0.8, 0.8))
    net, loss, _ = one_step("DINO", settings)
    before = [p.clone() for p in net.teacher.parameters()]
    loss.backward()
    torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1).step()
    net.move_teacher(0)
    trios = zip(before, net.student.parameters(), net.teacher.parameters(), strict=True)
    for old, student, teacher in trios:
        torch.testing.assert_close(teacher, 0.8 * old + 0.2 * student)


def test_the_teacher_starts_as_the_student_but_is_not_the_student():
    net, _, _ = one_step("BYOL")
    for a, b in zip(net.student.parameters(), net.teacher.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.data_ptr() != b.data_ptr()


@pytest.mark.parametrize("redundancy", [False, True])
def test_centres_of_one_batch_are_plain_dino(redundancy):
    images, codes = fields(n_batches=1)
    plain, centred = (
        train_variant(
            Variant("dino", batch_centres=c, redundancy=redundancy), images, codes, SETTINGS
        )
        for c in (False, True)
    )
    assert plain.history.rows == centred.history.rows
    pairs = zip(plain.encoder.parameters(), centred.encoder.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_centres_of_several_batches_are_not():
    images, codes = fields()
    plain, centred = (
        train_variant(name, images, codes, SETTINGS).history.rows
        for name in ("DINO", "DINO + centres")
    )
    assert plain[-1]["loss"] != centred[-1]["loss"]


@pytest.mark.parametrize("encoder", ["cnn", "vit"])
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, encoder):
    images, codes = fields()
    options = (
        SETTINGS.encoder_options if encoder == "cnn" else {"patch": 4, "width": 16, "depth": 1}
    )
    settings = replace(SETTINGS, encoder=encoder, encoder_options=options)
    whole = train_variant("CDCL", images, codes, settings)
    kept = Checkpoints(tmp_path / "cdcl.pt")

    class Killed(Exception):
        pass

    def kill(step, _):
        raise Killed

    with pytest.raises(Killed):
        train_variant("CDCL", images, codes, settings, checkpoints=kept, tell=kill)
    assert kept.load()["done"] in (1, 2)
    resumed = train_variant("CDCL", images, codes, settings, checkpoints=kept)
    assert resumed.history.rows == whole.history.rows
    pairs = zip(whole.encoder.parameters(), resumed.encoder.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_collapsed_run_ends_with_a_line():
    images, codes = fields()
    limits = CollapseLimits(spread=2.0, patience=2, grace=0)
    settings = quick(replace(SETTINGS, limits=limits), n_steps=50, record_every=1)
    history = train_variant("BYOL", images, codes, settings).history
    assert history.stopped.startswith("collapsed at step 2: all fields have one embedding")
    assert len(history.rows) == 2


def test_fields_may_be_fetched_as_they_are_needed():
    images, codes = fields()
    asked = []

    def fetch(rows):
        asked.append(len(rows))
        return images[rows]

    lazy = train_variant("DINO-CB", fetch, codes, SETTINGS)
    held = train_variant("DINO-CB", images, codes, SETTINGS)
    assert lazy.history.rows == held.history.rows
    assert max(asked) == 12


def test_a_supervised_net_learns_the_names():
    images, codes = fields(n=60)
    settings = quick(SETTINGS, n_steps=40, learning_rate=0.02)
    table = train_variant("supervised", images, codes, settings).history.table
    assert table.cross_entropy.iloc[-1] < 0.5 * table.cross_entropy.iloc[0]


def test_fields_without_a_partner_are_counted():
    images, codes = fields(n=36)
    treatment = codes.treatment.copy()
    treatment[0] = 3
    lonely = FieldCodes(treatment, codes.batch, (*codes.treatments, "d"), codes.batches)
    assert train_variant("DINO-CB", images, lonely, SETTINGS).n_alone == 1
    assert train_variant("DINO", images, lonely, SETTINGS).n_alone == 0


def test_what_cannot_be_trained_is_refused():
    images, codes = fields(n_batches=1)
    with pytest.raises(InputError, match="cross-batch positives need two or more"):
        train_variant("CDCL", images, codes, SETTINGS)
    with pytest.raises(InputError, match="did you mean 'DINO-CB'"):
        train_variant("DINO-BC", images, codes, SETTINGS)
    one = FieldCodes(codes.treatment[:1], codes.batch[:1], ("a",), ("a",))
    with pytest.raises(InputError, match="1 field to train on"):
        train_variant("DINO", images[:1], one, SETTINGS)


def test_an_ablation_differs_in_one_ingredient_at_a_time():
    def ingredients(variant):
        return {k for k in ("cross_batch", "batch_centres", "redundancy") if getattr(variant, k)}

    found = {name: ingredients(variant) for name, variant in ABLATION.items()}
    assert found["DINO"] == set()
    assert found["CDCL"] == {"cross_batch", "batch_centres", "redundancy"}
    for name, more in found.items():
        assert more == set() or any(
            len(more - less) == 1 and less < more for less in found.values()
        )
        assert ABLATION[name].loss == "dino"


def test_the_trainer_never_sees_the_teacher(monkeypatch):
    images, codes = fields()
    seen = []

    def spy(net, loss_of, settings, **more):
        seen.append(net)
        return train(net, loss_of, settings, **more)

    optimised = []
    adamw = torch.optim.AdamW

    def remember(groups, **more):
        optimised.extend(p for group in groups for p in group["params"])
        return adamw(groups, **more)

    monkeypatch.setattr("screenbook.images.distillation.train", spy)
    monkeypatch.setattr(torch.optim, "AdamW", remember)
    train_variant("DINO", images, codes, SETTINGS)
    mine = {id(p) for p in seen[0].student.parameters()}
    assert {id(p) for p in optimised} == mine
