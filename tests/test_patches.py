import numpy as np
import pytest
import torch

from screenbook.errors import InputError
from screenbook.images.patches import DIRECTIONS, OPPOSITE, PatchGrid, cut, turned, turned_patches


def addressed(n=3, side=30):
    """Fields whose pixels say where they are: channel 0 the row, 1 the column, 2 the field."""
    y, x = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    fields = np.stack([np.stack([y, x, np.full_like(y, i)]) for i in range(n)])
    return torch.from_numpy(fields.astype(np.float32))


def middles(patches):
    """Middle of every patch, (n, 5, 2) as row and column."""
    return patches[:, :, :2].mean(dim=(3, 4)).numpy()


def test_patches_are_the_middle_tile_and_its_neighbours():
    patches = cut(addressed(), PatchGrid(margin_px=2))
    assert patches.shape == (3, 5, 3, 6, 6)
    away = middles(patches)[0] - middles(patches)[0, 0]
    expected = {"up": (-10, 0), "left": (0, -10), "right": (0, 10), "down": (10, 0)}
    assert {d: tuple(away[i + 1]) for i, d in enumerate(DIRECTIONS)} == expected
    assert (patches[:, :, 2] == torch.arange(3)[:, None, None, None]).all()


def test_the_margin_is_a_gap_of_twice_its_size():
    centre, up = cut(addressed(), PatchGrid(margin_px=3))[0, :2, 0]
    assert centre.min() - up.max() == 1 + 2 * 3


def test_without_margin_patches_touch():
    centre, up = cut(addressed(), PatchGrid(margin_px=0))[0, :2, 0]
    assert centre.min() - up.max() == 1


def test_jitter_moves_patches_one_by_one_and_keeps_them_apart():
    grid = PatchGrid(margin_px=2, jitter_px=2)
    fields = addressed(200)
    patches = cut(fields, grid, torch.Generator().manual_seed(0))
    moved = middles(patches) - middles(cut(fields, grid))
    assert sorted(np.unique(moved)) == [-2, -1, 0, 1, 2]
    assert len(np.unique(moved.reshape(200, 10), axis=0)) > 190
    assert (patches[:, 0, 0].amin(dim=(1, 2)) > patches[:, 1, 0].amax(dim=(1, 2))).all()
    again = cut(fields, grid, torch.Generator().manual_seed(0))
    assert torch.equal(patches, again)


def test_a_random_anchor_moves_all_tiles_together():
    grid = PatchGrid(tile_px=6, margin_px=1, random_anchor=True)
    patches = cut(addressed(300), grid, torch.Generator().manual_seed(1))
    centre = middles(patches)[:, 0]
    assert set(np.unique(centre)) == set(np.arange(8.5, 21.0))
    np.testing.assert_array_equal(middles(patches)[:, 4] - centre, np.tile([6, 0], (300, 1)))
    # A test has no draws: tiles lie in the middle.
    assert middles(cut(addressed(1), grid))[0, 0].tolist() == [14.5, 14.5]


def test_turns_are_all_eight_and_take_patches_along():
    fields = addressed(1)
    seen = {turned(fields, way).numpy().tobytes() for way in range(8)}
    assert len(seen) == 8
    assert torch.equal(turned(fields, 0), fields)
    grid = PatchGrid(margin_px=2)
    mirrored = cut(turned(fields, 4), grid)[:, 1 + DIRECTIONS.index("left")]
    right = cut(fields, grid)[:, 1 + DIRECTIONS.index("right")]
    assert torch.equal(mirrored, right.flip(3))


@pytest.mark.parametrize("way", range(8))
def test_turning_patches_is_turning_their_fields(way):
    fields, grid = addressed(2), PatchGrid(margin_px=2)
    assert torch.equal(turned_patches(cut(fields, grid), way), cut(turned(fields, way), grid))


def test_some_rows_only():
    fields, grid = addressed(5), PatchGrid(margin_px=2)
    rows = np.array([4, 1, 1])
    assert torch.equal(cut(fields, grid, rows=rows), cut(fields[rows], grid))


def test_opposite_directions():
    names = {DIRECTIONS[a]: DIRECTIONS[b] for a, b in enumerate(OPPOSITE)}
    assert names == {"up": "down", "left": "right", "right": "left", "down": "up"}


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (PatchGrid(tile_px=11), "at most 10"),
        (PatchGrid(margin_px=5), "give 0 to 4"),
        (PatchGrid(margin_px=-1), "give 0 to 4"),
        (PatchGrid(margin_px=2, jitter_px=3), "give 0 to 2"),
    ],
)
def test_what_does_not_fit_is_refused(grid, said):
    with pytest.raises(InputError, match=said):
        cut(addressed(), grid)
