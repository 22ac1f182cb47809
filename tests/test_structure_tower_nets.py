import torch
from torch.nn import functional as F

from screenbook.structure.smiles_tokens import PADDING
from screenbook.structure.tower_nets import FingerprintTower, SmilesTower, TowerShape, TwoTowers

SHAPE = TowerShape(n_space=6, width=10, n_letters=5, n_channels=7)


def smiles_tower(seed=0):
    torch.manual_seed(seed)
    return SmilesTower(9, SHAPE).eval()


def test_what_stands_behind_the_end_of_a_string_has_no_say():
    tokens = torch.tensor([[2, 3, 4, 5], [6, 7, PADDING, PADDING]])
    tower = smiles_tower()
    longer = F.pad(tokens, (0, 9), value=PADDING)
    torch.testing.assert_close(tower(tokens), tower(longer))
    torch.testing.assert_close(tower(tokens)[1:], tower(tokens[1:, :2]))


def test_the_order_of_tokens_is_read_and_tokens_far_apart_are_not_confused():
    tower = smiles_tower()
    a, b = torch.tensor([[2, 3, 4, 5]]), torch.tensor([[5, 4, 3, 2]])
    assert (tower(a) - tower(b)).abs().max() > 1e-3


def test_places_are_of_length_one_and_every_weight_is_learned():
    torch.manual_seed(1)
    for tower, structures in (
        (FingerprintTower(12, SHAPE), torch.ones(5, 12)),
        (SmilesTower(9, SHAPE), torch.randint(2, 11, (5, 8))),
    ):
        net = TwoTowers(4, tower, SHAPE)
        seen, read = net.see(torch.randn(5, 4)), net.read(structures)
        for places in (seen, read):
            assert places.shape == (5, 6)
            torch.testing.assert_close(places.norm(dim=1), torch.ones(5))
        ((seen * read).sum(dim=1) / net.temperature).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_the_temperature_starts_where_it_is_told():
    net = TwoTowers(4, FingerprintTower(12, SHAPE), TowerShape(temperature=0.2))
    torch.testing.assert_close(net.temperature.detach(), torch.tensor(0.2))
