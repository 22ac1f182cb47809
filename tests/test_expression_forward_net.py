from dataclasses import replace

import pytest
import torch

from screenbook.expression.forward_net import Batch, ForwardNet, NetShape

SHAPE = NetShape(
    n_genes=15, n_components=5, n_tokens=6, n_bits=40, n_lines=3, width=16, heads=2, layers=2
)


def some(n=7, seed=0, shape=SHAPE):
    draw = torch.Generator().manual_seed(seed)

    def normal(*size):
        return torch.randn(*size, generator=draw)

    order = torch.rand(n, shape.n_genes, generator=draw).argsort(dim=1)
    return Batch(
        bits=(torch.rand(n, shape.n_bits, generator=draw) < 0.3).float(),
        log_dose=normal(n),
        basal=normal(n, shape.n_genes),
        line=torch.randint(0, shape.n_lines + 1, (n,), generator=draw),
        gene=order[:, : shape.n_tokens],
        value=normal(n, shape.n_tokens),
        hidden=torch.rand(n, shape.n_tokens, generator=draw) < 0.5,
        prior=normal(n, shape.n_components),
    )


def net(awake=True, seed=0, **changes):
    """A net; awake, with last layers that are no longer zero."""
    torch.manual_seed(seed)
    made = ForwardNet(replace(SHAPE, **changes))
    if awake:
        for last in (made.change, made.gate):
            torch.nn.init.normal_(last.weight, std=0.3)
            torch.nn.init.normal_(last.bias, std=0.3)
    return made


def answer(made, batch):
    made.eval()
    with torch.no_grad():
        return made(batch)


def test_a_new_net_adds_exactly_nothing_to_any_prior():
    assert answer(net(awake=False), some()).abs().max() == 0
    new = net(awake=False).train()
    assert new(some()).abs().max() == 0
    assert answer(net(), some()).abs().max() > 0.1


def test_shapes():
    made, batch = net(), some(4)
    assert answer(made, batch).shape == (4, SHAPE.n_components)
    assert made.drug_vector(batch.bits).shape == (4, SHAPE.width)
    assert made.signature_vector(batch.prior).shape == (4, SHAPE.width)
    assert answer(made, some(1)).shape == (1, SHAPE.n_components)


@pytest.mark.parametrize(
    "name", ["bits", "log_dose", "basal", "line", "gene", "value", "hidden", "prior"]
)
def test_each_input_has_a_say(name):
    made, batch = net(), some()
    value = getattr(batch, name)
    other = {
        "line": (batch.line + 1) % (SHAPE.n_lines + 1),
        "gene": (batch.gene + 1) % SHAPE.n_genes,
        "hidden": ~batch.hidden,
        "bits": 1 - batch.bits,
    }.get(name, value + 1)
    moved = (answer(made, replace(batch, **{name: other})) - answer(made, batch)).abs()
    assert moved.amax(dim=1).min() > 1e-4


def test_a_row_is_answered_alone():
    made, batch = net(), some()
    alone = Batch(**{name: value[2:3] for name, value in vars(batch).items()})
    torch.testing.assert_close(answer(made, alone)[0], answer(made, batch)[2])


def test_order_of_gene_tokens_does_not_matter_but_what_belongs_together_does():
    made, batch = net(), some()
    turn = torch.tensor([3, 0, 5, 1, 4, 2])
    turned = {name: getattr(batch, name)[:, turn] for name in ("gene", "value", "hidden")}
    whole = answer(made, batch)
    torch.testing.assert_close(answer(made, replace(batch, **turned)), whole)
    split = replace(batch, gene=turned["gene"])
    assert (answer(made, split) - whole).abs().max() > 1e-3


def test_prior_gate_is_a_factor_of_each_component():
    made, batch = net(), some()
    with torch.no_grad():
        made.gate.weight.zero_()
        made.gate.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5, 2.0]))
    with_gate = answer(made, batch)
    factor = made.gate.bias.detach().clone()
    with torch.no_grad():
        made.gate.bias.zero_()
    torch.testing.assert_close(with_gate - answer(made, batch), batch.prior * factor)


def test_gradients_reach_every_parameter():
    made, batch = net(bit_dropout=0.0).train(), some(32)
    loss = made(batch).square().sum()
    loss = loss + (made.drug_vector(batch.bits) * made.signature_vector(batch.prior)).sum()
    loss.backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_bits_are_dropped_in_training_alone():
    made, batch = net(bit_dropout=0.5), some(400)
    made.train()
    torch.manual_seed(1)
    first, second = made.drug_vector(batch.bits), made.drug_vector(batch.bits)
    assert (first - second).abs().max() > 1e-3
    made.eval()
    assert (made.drug_vector(batch.bits) == made.drug_vector(batch.bits)).all()
    kept = made.drug[0].train()(torch.ones(400, SHAPE.n_bits))
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert (kept == 0).float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_a_batch_moves_whole():
    moved = some().to(torch.device("meta"))
    assert {value.device.type for value in vars(moved).values()} == {"meta"}
