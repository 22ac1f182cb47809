import math

import numpy as np
import pytest
import torch

from screenbook.images.distillation_losses import Centres, byol_loss, dino_loss, redundancy_loss


def logits(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def written_out_dino(student, teacher, centre, tau_s, tau_t):
    """Algorithm 1 of the paper, with loops: teacher view u against student view v, u not v."""
    terms = []
    for u in range(len(teacher)):
        for v in range(len(student)):
            if u == v:
                continue
            for i in range(student.shape[1]):
                p = softmax((teacher[u, i] - centre[u, i]) / tau_t)
                q = softmax(student[v, i] / tau_s)
                terms.append(-(p * np.log(q)).sum())
    return np.mean(terms)


@pytest.mark.parametrize("n_views", [2, 5])
def test_dino_as_written_out(n_views):
    student, teacher = logits(n_views, 4, 7), logits(2, 4, 7, seed=1)
    centre = logits(2, 4, 7, seed=2)
    mine = dino_loss(student, teacher, centre, student_temperature=0.2, teacher_temperature=0.05)
    theirs = written_out_dino(student.numpy(), teacher.numpy(), centre.numpy(), 0.2, 0.05)
    assert mine.item() == pytest.approx(theirs / math.log(7), rel=1e-9)


def test_dino_is_one_if_nothing_is_known_and_less_if_both_agree():
    nothing = torch.zeros(2, 3, 8)
    assert dino_loss(nothing, nothing, torch.zeros(8)).item() == pytest.approx(1)
    sure = 5 * torch.eye(8)[:3].expand(2, 3, 8)
    assert dino_loss(sure, sure, torch.zeros(8)).item() < 0.01


def test_dino_with_one_centre_against_lightly():
    try:
        from lightly.loss import DINOLoss
    except Exception as e:  # a torchvision that does not fit torch raises a RuntimeError
        pytest.skip(f"lightly cannot be imported: {e}")
    theirs = DINOLoss(output_dim=7, warmup_teacher_temp=0.05, teacher_temp=0.05, student_temp=0.2)
    centres, everyone = Centres(7, torch.tensor([4.0]), momentum=0.9), torch.zeros(2, 4).long()
    for seed in range(3):  # the centre moves after each step
        student, teacher = (
            logits(4, 4, 7, seed=seed).float(),
            logits(2, 4, 7, seed=9 + seed).float(),
        )
        mine = dino_loss(
            *(student, teacher, centres.of(everyone)),
            student_temperature=0.2,
            teacher_temperature=0.05,
        )
        centres.update(teacher, everyone)
        wanted = theirs(list(teacher), list(student), teacher_temp=0.05)
        assert mine.item() * math.log(7) == pytest.approx(wanted.item(), rel=1e-5)


def test_byol_as_written_out():
    guess, target = logits(5, 6), logits(5, 6, seed=1)
    p, z = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (guess.numpy(), target.numpy()))
    assert byol_loss(guess, target).item() == pytest.approx(((p - z) ** 2).sum(axis=1).mean())
    assert byol_loss(guess, 3 * guess).item() == pytest.approx(0, abs=1e-12)
    assert byol_loss(guess, -guess).item() == pytest.approx(4)


def test_redundancy_as_written_out():
    student, teacher, off = logits(40, 5), logits(40, 5, seed=1) + logits(40, 5), 0.9
    c = np.corrcoef(student.numpy().T, teacher.numpy().T)[:5, 5:]
    diagonal = ((np.diag(c) - 1) ** 2).mean()
    rest = (c[~np.eye(5, dtype=bool)] ** 2).mean()
    theirs = (0.1 * diagonal + 0.9 * rest) / (0.1 + 0.009)
    assert redundancy_loss(student, teacher, off).item() == pytest.approx(theirs, rel=1e-3)


def test_redundancy_is_nil_for_outputs_that_agree_and_do_not_correlate():
    q = torch.linalg.qr(logits(64, 7) - logits(64, 7).mean(dim=0))[0][:, :6]
    q = q - q.mean(dim=0)
    assert redundancy_loss(q * 8, q * 8).item() < 0.02
    copies = logits(64, 1).expand(64, 6)
    assert redundancy_loss(copies, copies).item() > 0.9


@pytest.mark.parametrize("name", ["dino", "byol", "redundancy"])
def test_gradients_reach_the_student_alone(name):
    student = logits(2, 6, 5).requires_grad_()
    teacher = logits(2, 6, 5, seed=1).requires_grad_()
    if name == "dino":
        loss = dino_loss(student, teacher, torch.zeros(5))
    elif name == "byol":
        loss = byol_loss(student[0], teacher[1]) + byol_loss(student[1], teacher[0])
    else:
        loss = redundancy_loss(student[0], teacher[1]) + redundancy_loss(student[1], teacher[0])
    loss.backward()
    assert teacher.grad is None
    assert (student.grad.abs().sum(dim=2) > 0).all()


def test_one_batch_is_the_plain_centre():
    centres = Centres(4, torch.tensor([50.0]), momentum=0.9)
    plain = torch.zeros(4)
    for seed in range(5):
        seen = logits(2, 6, 4, seed=seed).float()
        plain = 0.9 * plain + 0.1 * seen.mean(dim=(0, 1))
        centres.update(seen, torch.zeros(2, 6, dtype=torch.int64))
    torch.testing.assert_close(centres.of(torch.zeros(3, dtype=torch.int64)), plain.expand(3, 4))


def test_centres_as_written_out():
    sizes, momentum = np.array([30.0, 10.0, 60.0]), 0.8
    centres, mine = Centres(4, torch.from_numpy(sizes).float(), momentum), np.zeros((3, 4))
    for seed in range(4):
        seen = logits(2, 8, 4, seed=seed).float()
        batch = torch.randint(3, (2, 8), generator=torch.Generator().manual_seed(seed))
        centres.update(seen, batch)
        flat, code = seen.numpy().reshape(-1, 4), batch.numpy().ravel()
        for d in np.unique(code):
            weight = (code == d).mean() / (sizes[d] / sizes.sum())
            rate = min((1 - momentum) * weight, 1.0)
            mine[d] += rate * (flat[code == d].mean(axis=0) - mine[d])
    np.testing.assert_allclose(centres.centres, mine, rtol=1e-4, atol=1e-6)


def test_a_batch_that_is_not_seen_keeps_its_centre_and_a_rare_one_cannot_overshoot():
    centres = Centres(2, torch.tensor([1.0, 999.0]), momentum=0.5)
    centres.centres[1] = 7.0
    ones = torch.ones(4, 2)
    centres.update(ones, torch.zeros(4, dtype=torch.int64))
    assert centres.centres.tolist() == [[1, 1], [7, 7]]
