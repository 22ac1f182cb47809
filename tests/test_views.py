import numpy as np
import pytest
import torch

from screenbook.errors import InputError
from screenbook.images.views import ViewSettings, crop_frames, draw_views, one_view, shift_channels

STILL = ViewSettings(channel_gain=0, channel_offset=0)


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def test_whole_fields_are_turned_and_mirrored_exactly():
    field = torch.randn(1, 3, 12, 12)
    kinds = [torch.rot90(f, k, (2, 3)) for f in (field, field.flip(3)) for k in range(4)]
    views = one_view(field.expand(200, -1, -1, -1), 12, (1.0, 1.0), STILL, draws())
    distance = torch.stack([(views - kind).abs().amax(dim=(1, 2, 3)) for kind in kinds])  # (8, n)
    assert (distance.min(dim=0).values < 1e-4).all()
    share = np.bincount(distance.argmin(dim=0), minlength=8) / 200
    assert ((share > 0.05) & (share < 0.22)).all()


def test_turns_and_mirrors_can_be_left_out():
    field = torch.randn(5, 2, 10, 10)
    same = one_view(
        field,
        10,
        (1.0, 1.0),
        ViewSettings(turn=False, mirror=False, channel_gain=0, channel_offset=0),
        draws(),
    )
    torch.testing.assert_close(same, field, atol=1e-5, rtol=1e-5)


def test_crops_lie_inside_and_have_the_area_asked_for():
    frames = crop_frames(500, (0.2, 0.6), ViewSettings(), draws())
    corners = torch.tensor([[x, y, 1.0] for x in (-1, 1) for y in (-1, 1)])
    assert (frames @ corners.T).abs().max() <= 1 + 1e-5
    area = torch.linalg.det(frames[:, :, :2]).abs()
    assert area.min() >= 0.2 - 1e-5
    assert area.max() <= 0.6 + 1e-5
    assert area.mean() == pytest.approx(0.4, abs=0.02)


def test_a_crop_shows_a_part_of_the_field():
    ramp = torch.arange(40.0).expand(1, 1, 40, 40).expand(300, 1, 40, 40)
    still = ViewSettings(turn=False, mirror=False, channel_gain=0, channel_offset=0)
    view = one_view(ramp, 20, (0.25, 0.25), still, draws())
    # A quarter of the area at half the size: every pixel is a pixel of the field.
    step = view[..., 1:] - view[..., :-1]
    torch.testing.assert_close(step, torch.ones_like(step), atol=1e-3, rtol=0)
    left = view[:, 0, 0, 0]
    assert left.min() >= 0
    assert left.max() <= 20
    assert left.std() > 4


def test_channels_shift_each_on_its_own():
    ones = torch.ones(2000, 2, 3, 3)
    view = shift_channels(ones, 0.1, 0.2, draws())
    assert (view.amax(dim=(2, 3)) - view.amin(dim=(2, 3))).max() < 1e-6
    per_channel = view[:, :, 0, 0]
    assert per_channel.std(dim=0).numpy() == pytest.approx(np.hypot(0.1, 0.2), rel=0.1)
    assert abs(np.corrcoef(per_channel.T.numpy())[0, 1]) < 0.1


def test_partners_take_turns_in_the_views():
    pair = torch.zeros(3, 1, 16, 16), torch.ones(3, 1, 16, 16)
    settings = ViewSettings(size=8, n_local=3, local_size=4, channel_gain=0, channel_offset=0)
    whole, small = draw_views(pair, settings, draws())
    assert [v.shape[-1] for v in whole + small] == [8, 8, 4, 4, 4]
    assert [v.mean().item() for v in whole + small] == pytest.approx([0, 1, 0, 1, 0])


def test_the_same_draws_give_the_same_views():
    pair = torch.randn(2, 2, 1, 16, 16).unbind()
    one, other = (draw_views(pair, ViewSettings(size=8), draws(5))[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(one[0], draw_views(pair, ViewSettings(size=8), draws(6))[0][0])


@pytest.mark.parametrize("area", [(0.0, 1.0), (0.5, 0.2), (0.5, 1.5)])
def test_impossible_areas_are_refused(area):
    with pytest.raises(InputError, match="between 0 and 1"):
        ViewSettings(area=area)
