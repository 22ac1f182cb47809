"""A simulated image set: who is where, what is drawn, and that the same call draws the same."""

import dataclasses
import time

import numpy as np
import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.simulate.images import (
    CELL_TYPES,
    CHANNELS,
    COMPOUNDS,
    KNOBS,
    MECHANISMS,
    ImageSpec,
    design_images,
    render_fields,
    simulate_images,
)
from screenbook.simulate.images.cells import place_cells, quadratic
from screenbook.simulate.images.knobs import shifted
from screenbook.simulate.images.render import canvas_px, draw_field
from screenbook.simulate.images.textures import noise

SMALL = ImageSpec(n_experiments=2, n_control_fields=2, n_treated_fields=2, size_px=48)


@pytest.fixture(scope="module")
def small():
    return simulate_images(SMALL)


def test_every_plate_has_all_cell_types_and_all_compounds():
    obs = design_images(ImageSpec(n_experiments=3)).obs
    controls, treated = obs[obs["role"] == "control"], obs[obs["role"] == "treated"]
    assert (controls.groupby(["batch", "cell_type"]).size() == 28).all()
    assert (treated.groupby(["batch", "treatment"]).size() == 8).all()
    assert set(treated["treatment"]) == {c.name for c in COMPOUNDS}
    assert set(treated["cell_type"]) == {"U2OS"}
    assert len(obs) == 3 * (4 * 28 + 12 * 8)


def test_obs_says_what_an_image_set_must(small):
    obs = small.obs
    assert [*obs.columns] == [
        *("cell_type", "experiment", "plate", "well", "site", "treatment", "role", "batch"),
        *("compound", "moa"),
    ]
    assert obs.index.is_unique
    first = obs.iloc[0]
    assert obs.index[0] == f"{first['experiment']}/{first['plate']}/{first['well']}/{first['site']}"
    assert (obs["batch"] == obs["experiment"] + "/" + obs["plate"]).all()
    control = obs["role"] == "control"
    assert (obs.loc[control, "treatment"] == "control").all()
    assert (obs.loc[control, ["compound", "moa"]] == "").all(axis=None)
    moa = {c.name: c.moa for c in COMPOUNDS}
    assert (obs.loc[~control, "moa"] == obs.loc[~control, "compound"].map(moa)).all()
    wells = obs.groupby(["batch", "well"])[["cell_type", "treatment"]].nunique()
    assert (wells == 1).all(axis=None)


def test_pictures_are_what_they_say(small):
    assert small.channels == CHANNELS
    assert small.pixels.dtype == np.uint8
    assert small.pixels.shape == (len(small.obs), 6, 48, 48)
    assert (small.pixels.std(axis=(2, 3)) > 0.5).all()


def test_four_mechanisms_of_three_compounds():
    moa = pd.Series([c.moa for c in COMPOUNDS]).value_counts()
    assert dict(moa) == dict.fromkeys(MECHANISMS, 3)
    assert all(knob in KNOBS for effects in MECHANISMS.values() for knob in effects)
    assert all(knob in KNOBS for c in COMPOUNDS for knob in c.quirks)
    assert all(set(preset) == set(KNOBS) for preset in CELL_TYPES.values())


def test_truth_has_every_knob_of_every_field(small):
    truth = small.truth
    assert truth.index.equals(small.obs.index)
    assert truth.notna().all(axis=None)
    assert {f"biology_{k}" for k in KNOBS} <= set(truth.columns)
    for name in ("gain", "psf_um", "haze", "gamma", "illumination_depth"):
        assert {f"batch_{name}_{c}" for c in CHANNELS} <= set(truth.columns)
    batch = truth.filter(like="batch_")
    of_batch = batch.groupby(small.obs["batch"])
    assert (of_batch.transform("first") == batch).all(axis=None)
    constant = (batch == batch.iloc[0]).all()
    assert set(batch.columns[constant]) == {"batch_haze_um", "batch_read_noise"}
    assert (truth["n_affected"] <= truth["n_cells"]).all()
    assert (truth.loc[small.obs["role"] == "control", "n_affected"] == 0).all()


def test_truth_shows_what_a_compound_does():
    spec = ImageSpec(n_experiments=1, well_spread=0)
    design = design_images(spec)
    row = design.biology[design.obs["treatment"] == COMPOUNDS[0].name].iloc[0]
    effect = np.log(row["treated_actin_fibres"] / row["base_actin_fibres"])
    strength = spec.treatment_strength * COMPOUNDS[0].strength
    assert effect == pytest.approx(strength * MECHANISMS[COMPOUNDS[0].moa]["actin_fibres"])
    still = design_images(dataclasses.replace(spec, treatment_strength=0)).biology
    for knob in KNOBS:
        np.testing.assert_allclose(still[f"treated_{knob}"], still[f"base_{knob}"])


@pytest.mark.filterwarnings("error")
def test_effects_far_too_strong_still_give_pictures():
    strong = dataclasses.replace(SMALL, treatment_strength=4.0)
    made = simulate_images(strong)
    treated = (made.obs["role"] == "treated").to_numpy()
    assert (np.ptp(made.pixels[treated].astype(int), axis=(2, 3)) > 0).all()


def test_same_call_same_pictures_for_any_number_of_processes(small):
    again = simulate_images(SMALL, jobs=2)
    np.testing.assert_array_equal(again.pixels, small.pixels)
    pd.testing.assert_frame_equal(again.truth, small.truth)


def test_any_subset_in_any_order_is_the_same(small):
    rows = np.array([40, 3, 17])
    pixels, counts = render_fields(design_images(SMALL), rows)
    np.testing.assert_array_equal(pixels, small.pixels[rows])
    assert counts["n_cells"].tolist() == small.truth["n_cells"].iloc[rows].tolist()


def test_a_smaller_design_is_part_of_a_larger_one(small):
    fewer = dataclasses.replace(SMALL, n_experiments=1, cell_types=("RPE",), n_treated_fields=0)
    part = simulate_images(fewer)
    same = (small.obs["experiment"] == "E01") & (small.obs["cell_type"] == "RPE")
    np.testing.assert_array_equal(part.pixels, small.pixels[same.to_numpy()])


def test_another_seed_is_another_set(small):
    other = simulate_images(dataclasses.replace(SMALL, n_experiments=1, seed=1))
    pairs = zip(other.pixels, small.pixels, strict=False)
    assert not any(np.array_equal(a, b) for a, b in pairs)


def test_without_batch_effects_all_batches_are_alike_and_cells_stay_as_they_are():
    none = dict.fromkeys(("batch_strength", "gain_strength", "illumination"), 0.0)
    plain = design_images(dataclasses.replace(SMALL, **none))
    harsh = design_images(SMALL)
    first, second = (optics.table() for optics in plain.optics.values())
    differ = {name for name in first if first[name] != second[name]}
    assert differ == {"batch_illumination_centre_y", "batch_illumination_centre_x"}  # of no depth
    pd.testing.assert_frame_equal(plain.biology, harsh.biology)


def test_progress_is_told(small):
    told = []
    design = design_images(SMALL)
    render_fields(design, np.arange(5), tell=lambda done, of: told.append((done, of)))
    assert told[-1] == (5, 5)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"cell_types": ("U20S",)}, "did you mean 'U2OS'"),
        ({"treated_cell_type": "HeLa"}, "HeLa"),
        ({"n_control_fields": 3}, "n_control_fields"),
        ({"n_control_fields": 400}, "384"),
        ({"n_sites": 0}, "n_sites"),
        ({"n_experiments": 0}, "n_experiments"),
        ({"size_px": 4}, "size_px"),
        ({"um_per_px": 0.0}, "um_per_px"),
        ({"seed": -1}, "seed"),
        ({"well_spread": -0.1}, "well_spread"),
        ({"cell_types": ("RPE", "RPE")}, "twice"),
        ({"cell_types": (), "n_treated_fields": 0}, "no fields"),
    ],
)
def test_a_spec_that_cannot_be_drawn_is_refused(change, word):
    with pytest.raises(InputError, match=word):
        ImageSpec(**change)


def test_a_field_takes_at_most_25_ms():
    """96 px on one core; the fastest of several, as other work may be in the way."""
    spec = ImageSpec(n_experiments=1, size_px=96)
    design = design_images(spec)
    optics = design.optics["E01/1"]
    taken = []
    for cell_type in spec.cell_types:
        row = design.biology[(design.obs["cell_type"] == cell_type).to_numpy()].iloc[0].to_dict()
        draws = []
        for _ in range(6):
            start = time.thread_time()
            draw_field(spec, row, optics)
            draws.append(time.thread_time() - start)
        taken.append(min(draws))
    assert np.mean(taken) <= 0.025


def test_effects_add_on_the_log_and_on_the_log_odds():
    turned = shifted({"nucleus_radius": 8.0, "mitotic": 0.5}, {"nucleus_radius": 1, "mitotic": 1})
    assert turned["nucleus_radius"] == pytest.approx(8 * np.e)
    assert turned["mitotic"] == pytest.approx(1 / (1 + np.exp(-1)))
    with pytest.raises(KeyError):
        shifted({"mitotic": 0.5}, {"mitosis": 1.0})


def test_elliptic_distance_is_one_on_the_ellipse():
    """Against the parametric form of an ellipse, turned and moved."""
    centre, axes, angle = np.array([[3.0, -2.0]]), np.array([[5.0, 2.0]]), np.array([0.6])
    t = np.linspace(0, 2 * np.pi, 9)
    along, across = 5 * np.cos(t), 2 * np.sin(t)
    y = 3 + along * np.sin(0.6) + across * np.cos(0.6)
    x = -2 + along * np.cos(0.6) - across * np.sin(0.6)
    terms = np.stack([y * y, x * y, x * x, y, x, np.ones_like(x)])
    np.testing.assert_allclose(quadratic(centre, axes, angle) @ terms, 1, atol=1e-4)


def test_noise_has_unit_sd_and_its_period():
    texture = noise(256, 1.0, (6.0, 16.0), np.random.default_rng(0))
    np.testing.assert_allclose(texture.std(axis=(1, 2)), 1, atol=0.1)
    np.testing.assert_allclose(texture.mean(axis=(1, 2)), 0, atol=1e-3)
    for period, one in zip((6, 16), texture, strict=True):
        power = np.abs(np.fft.rfft2(one)) ** 2
        f = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
        assert (power * f).sum() / power.sum() == pytest.approx(1 / period, rel=0.15)


def _place(cell_type, seed=0, **changed):
    knobs = CELL_TYPES[cell_type] | changed
    return place_cells(
        knobs,
        knobs,
        0.0,
        extent_um=600.0,
        cell_spread=0.1,
        size=1.0,
        density=1.0,
        rng=np.random.default_rng(seed),
    )


def test_cells_are_as_dense_as_the_knob_says():
    for cell_type, preset in CELL_TYPES.items():
        cells = _place(cell_type)
        expected = preset["density"] * (0.6 + 1.4e-3 * preset["cell_radius"]) ** 2
        assert len(cells.angle) == pytest.approx(expected, rel=0.2)


def test_islands_are_denser_than_their_field():
    """Distance to the nearest neighbour: short in islands, of one size in a cobblestone."""

    def nearest(cells):
        d = np.linalg.norm(cells.centre[:, None] - cells.centre[None], axis=-1)
        np.fill_diagonal(d, np.inf)
        return d.min(axis=1)

    scattered = nearest(_place("HEPG2", clustering=0.02))
    assert np.median(nearest(_place("HEPG2"))) < 0.8 * np.median(scattered)
    cobbles = nearest(_place("RPE"))
    assert cobbles.std() / cobbles.mean() < 0.25


def test_cells_in_mitosis_and_with_several_nuclei_are_as_many_as_the_knobs_say():
    cells = _place("U2OS", mitotic=0.3, multinucleate=0.4)
    assert cells.mitotic.mean() == pytest.approx(0.3, abs=0.1)
    resting = ~cells.mitotic
    several = np.bincount(cells.parent)[resting] > 1
    assert several.mean() == pytest.approx(0.4, abs=0.12)


def test_canvas_covers_the_field_on_all_sides_alike():
    for size in (48, 72, 96, 108, 133, 256):
        spec = ImageSpec(size_px=size)
        margin = canvas_px(spec) - size
        assert margin % 2 == 0
        assert margin / 2 * spec.um_per_px >= 8
