"""Fine-tuning: what is shut stays, what is planted is learned, the depth of pixels is no matter."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from planted_finetune import design, fields_of
from screenbook.errors import InputError
from screenbook.finetune.backbones import build_backbone, layers_of
from screenbook.finetune.fine_tuning import (
    MechanismNet,
    Tuning,
    answers,
    fine_tune,
    fine_tune_twice,
    quick,
)
from screenbook.finetune.mechanism_folds import known_mechanisms, mechanism_folds
from screenbook.finetune.pretraining import starting_backbone
from screenbook.images.normalise import normalise

FEW = quick(Tuning(n_fields=12), n_steps=4, record_every=2, device="cpu")


@pytest.fixture(scope="module")
def planted():
    obs = design()
    known = known_mechanisms(obs)
    return obs, fields_of(obs), known, mechanism_folds(known)[0]


def rows_of(split):
    return [np.flatnonzero(part) for part in (split.train, split.validation, split.test)]


@pytest.mark.parametrize("name", ["cnn", "resnet18"])
@pytest.mark.parametrize("n_open", [0, 1, 2])
def test_shut_layers_keep_weights_and_statistics(planted, name, n_open):
    _, fields, known, split = planted
    learn, check, _ = rows_of(split)
    backbone = build_backbone(name, 2)
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    net = fine_tune(fields, known.code, learn, check, backbone, n_open, FEW).net
    layers = list(layers_of(net.backbone).items())
    changed = set()
    for k, v in net.backbone.state_dict().items():
        if not torch.equal(v, before[k]):
            changed.add(k)
    shut = {id(p) for _, mods in layers[: len(layers) - n_open] for m in mods for p in
            [*m.parameters(), *m.buffers()]}  # fmt: skip
    names = {id(t): k for k, t in [*net.backbone.named_parameters(), *net.backbone.named_buffers()]}
    shut_names = {names[i] for i in shut}
    assert not changed & shut_names
    assert all(k in changed for k in set(before) - shut_names if k.endswith("weight"))
    # The backbone that was given is another.
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())


def test_a_mode_does_not_wake_what_is_shut():
    net = MechanismNet(build_backbone("resnet18", 2), 3, 1).train()
    assert not net.backbone.bn1.training
    assert not net.backbone.layer3[0].bn1.training
    assert net.backbone.layer4[0].bn1.training
    with pytest.raises(InputError, match="5 layers to open"):
        MechanismNet(build_backbone("resnet18", 2), 3, 6)


def test_a_planted_mechanism_is_told_of_compounds_never_seen(planted):
    _, fields, known, split = planted
    learn, check, asked = rows_of(split)
    tuning = quick(Tuning(n_fields=16), n_steps=60, device="cpu")
    first, final = fine_tune_twice(
        fields, known.code, learn, check, build_backbone("cnn", 2), 3, tuning
    )
    scores, features = answers(final.net, fields[asked])
    assert (scores.argmax(axis=1) == known.code[asked]).mean() > 0.9
    assert features.shape == (len(asked), 96)
    weight, bias = (p.detach().numpy() for p in final.net.head.parameters())
    np.testing.assert_allclose(features @ weight.T + bias, scores, rtol=1e-4, atol=1e-4)
    # The second is trained for as many steps as the first was found best at.
    assert final.n_steps == max(1, first.n_steps)
    best = first.history.loc[first.history["validation_loss"].idxmin()]
    assert first.n_steps == best["step"] - 1


def test_the_first_network_has_the_weights_of_its_lowest_validation_loss(planted):
    _, fields, known, split = planted
    learn, check, _ = rows_of(split)
    tuning = replace(quick(FEW, n_steps=12, learning_rate=0.05), n_watched=10**6)
    tuned = fine_tune(fields, known.code, learn, check, build_backbone("cnn", 2), 3, tuning)
    scores, _ = answers(tuned.net, fields[check])
    found = torch.nn.functional.cross_entropy(
        torch.from_numpy(scores), torch.from_numpy(known.code[check])
    )
    assert float(found) == pytest.approx(tuned.history["validation_loss"].min(), rel=1e-4)


def test_a_training_without_progress_is_given_up(planted):
    _, fields, known, split = planted
    learn, check, _ = rows_of(split)
    wrong = known.code.copy()
    wrong[check] = 1 - wrong[check]  # the more is learned, the worse it gets
    tuning = replace(quick(FEW, n_steps=200, record_every=2), patience=2)
    tuned = fine_tune(fields, wrong, learn, check, build_backbone("cnn", 2), 3, tuning)
    assert len(tuned.history) < 50
    assert tuned.n_steps < tuned.history["step"].max()


def test_without_validation_fields_all_steps_are_taken(planted):
    _, fields, known, split = planted
    learn, check, _ = rows_of(split)
    none = check[:0]
    first, final = fine_tune_twice(
        fields, known.code, np.sort(np.r_[learn, check]), none, build_backbone("cnn", 2), 1, FEW
    )
    assert first is final
    assert final.n_steps == 4
    assert "validation" not in final.history


def test_the_same_seed_gives_the_same_network(planted):
    _, fields, known, split = planted
    learn, check, asked = rows_of(split)
    told = [
        answers(
            fine_tune(fields, known.code, learn, check, build_backbone("cnn", 2), 2, tuning).net,
            fields[asked],
        )[0]
        for tuning in (FEW, FEW, quick(FEW, seed=1))
    ]
    np.testing.assert_array_equal(told[0], told[1])
    assert not np.allclose(told[0], told[2])


def test_mechanisms_are_drawn_alike_however_many_fields_they_have(planted, monkeypatch):
    _, fields, known, split = planted
    learn, check, _ = rows_of(split)
    rare = np.flatnonzero(known.code[learn] == 0)[3:]
    learn = np.delete(learn, rare)  # three fields of one, six of the other
    seen = []
    real = torch.nn.functional.cross_entropy
    monkeypatch.setattr(
        "screenbook.finetune.fine_tuning.cross_entropy",
        lambda s, t: (seen.extend(t.tolist()) if s.requires_grad else None, real(s, t))[1],
    )
    tuning = replace(quick(FEW, n_steps=60), n_fields=9)
    fine_tune(fields, known.code, learn, check, build_backbone("cnn", 2), 0, tuning)
    assert np.mean(np.array(seen) == 0) == pytest.approx(0.5, abs=0.07)


def test_eight_and_sixteen_bits_are_told_alike(planted):
    """The same scene, recorded in either depth, is on the scale of its own controls."""
    obs, scene, known, split = planted
    learn, check, asked = rows_of(split)
    control, batch = (obs["role"] == "control").to_numpy(), obs["batch"].to_numpy()
    light = np.clip((scene + 6) / 16, 0, 1)
    eight = np.round(255 * light).astype(np.uint8)
    sixteen = np.round(65535 * light).astype(np.uint16)
    fields = [normalise(pixels, batch, control, "plate") for pixels in (eight, sixteen)]
    tuning = quick(FEW, n_steps=20)
    net = fine_tune(fields[0], known.code, learn, check, build_backbone("cnn", 2), 3, tuning).net
    told = [answers(net, each[asked])[0] for each in fields]
    # One step of eight bits is 0.06 SD of the controls; scores range over several units.
    assert np.ptp(told[0]) > 0.5
    np.testing.assert_allclose(told[0], told[1], atol=0.02)
    again = fine_tune(fields[1], known.code, learn, check, build_backbone("cnn", 2), 3, tuning).net
    np.testing.assert_allclose(answers(again, fields[1][asked])[0], told[0], atol=0.15)


def test_the_stand_in_learns_cell_types_and_says_so(planted):
    obs, _, _, _ = planted
    fields = fields_of(obs, by="cell_type")
    start = starting_backbone(fields, obs, tuning=quick(Tuning(n_fields=16), n_steps=40))
    assert "stand-in" in start.note
    assert "2 cell types" in start.note
    assert start.history["validation"].iloc[-1] > 0.85
    first = [n.blocks[0][0].weight for n in (start.untrained, start.backbone)]
    assert not torch.equal(*first)


def test_the_stand_in_never_looks_at_a_treated_field(planted):
    obs, fields, _, _ = planted
    treated = (obs["role"] != "control").to_numpy()
    spoiled = np.where(treated[:, None, None, None], np.float32(1e6), fields)
    states = [
        starting_backbone(x, obs, tuning=FEW).backbone.state_dict() for x in (fields, spoiled)
    ]
    assert all(torch.equal(v, states[1][k]) for k, v in states[0].items())


def test_one_cell_type_starts_from_nothing_and_weights_come_first(planted):
    obs, fields, _, _ = planted
    start = starting_backbone(fields, obs.assign(cell_type="A"), tuning=FEW)
    assert "random" in start.note
    assert start.history.empty
    given = build_backbone("cnn", 2, 9)
    start = starting_backbone(
        fields, obs, weights=given.state_dict(), origin="mine.pth", tuning=FEW
    )
    assert "mine.pth" in start.note
    assert torch.equal(start.backbone.blocks[2][0].weight, given.blocks[2][0].weight)
