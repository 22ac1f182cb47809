from zlib import crc32

import numpy as np
import pytest

from planted_embeddings import design, planted
from screenbook.images.grit import grit


def fields(seed=0, **effects):
    obs = design(n_experiments=4, n_controls=16)
    columns = [obs[name].to_numpy() for name in ("treatment", "role", "batch")]
    return planted(obs, seed=seed, **effects), columns[0], columns[1] == "control", columns[2]


def test_the_first_form_written_out():
    points, treatment, control, batch = fields()
    unit = points.astype(float) / np.linalg.norm(points.astype(float), axis=1, keepdims=True)
    similarity = unit @ unit.T
    expected = {}
    for i in np.flatnonzero(~control):
        to_control = similarity[i, control]
        like = [
            similarity[i, j]
            for j in np.flatnonzero(~control)
            if treatment[j] == treatment[i] and batch[j] != batch[i]
        ]
        score = (np.mean(like) - to_control.mean()) / to_control.std(ddof=1)
        expected.setdefault(treatment[i], []).append(score)
    found = grit(points, treatment, control, batch)
    by_hand = [np.mean(expected[name]) for name in found.table["treatment"]]
    assert found.table["plain"].to_numpy() == pytest.approx(by_hand)
    assert found.plain == pytest.approx(np.mean(by_hand))


def test_the_robust_form_written_out():
    points, treatment, control, batch = fields(seed=1)
    points = points.astype(float)

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    centre, where = points[control].mean(axis=0), np.flatnonzero(control)
    scores = []
    for i in np.flatnonzero(treatment == "b2"):
        like = np.flatnonzero((treatment == "b2") & (batch != batch[i]))
        others = [points[where[where != c]].mean(axis=0) for c in where]
        to_control = [
            cosine(points[i] - o, points[c] - o) for c, o in zip(where, others, strict=True)
        ]
        middle = np.median(to_control)
        spread = 1.4826 * np.median(np.abs(to_control - middle))
        alike = np.mean([cosine(points[i] - centre, points[j] - centre) for j in like])
        scores.append((alike - middle) / spread)
    row = grit(points, treatment, control, batch).table.set_index("treatment").loc["b2"]
    assert row["grit"] == pytest.approx(np.mean(scores))
    assert (row["n_fields"], row["n_replicates"], row["at_floor"]) == (16, 12, 0)


def test_shift_scale_rotation_and_order_do_not_matter():
    points, treatment, control, batch = fields(seed=2)
    rng = np.random.default_rng(3)
    rotation = np.linalg.qr(rng.normal(size=(points.shape[1],) * 2))[0]
    order = rng.permutation(len(points))
    value = grit(points, treatment, control, batch).value
    moved = 7.5 * points @ rotation + rng.normal(size=points.shape[1]) * 30
    assert grit(moved, treatment, control, batch).value == pytest.approx(value, rel=1e-4)
    shuffled = grit(points[order], treatment[order], control[order], batch[order])
    assert shuffled.value == pytest.approx(value, rel=1e-6)


def test_without_an_effect_it_is_zero():
    found = [grit(*fields(seed=s, effect=0.0, mechanism=0.0)) for s in range(12)]
    assert np.mean([f.value for f in found]) == pytest.approx(0, abs=0.05)
    assert np.mean([f.low <= 0 <= f.high for f in found]) >= 0.75


def test_it_grows_with_the_effect():
    values = [grit(*fields(seed=4, effect=e, mechanism=0.0)).value for e in (0.0, 2.0, 4.0)]
    assert values[0] < values[1] < values[2]


def test_tight_controls_explode_the_first_form_only():
    points, treatment, control, batch = fields(seed=5)
    tight = points.copy()
    tight[:, 0] += 10
    tight[control] = tight[control].mean(axis=0) + 1e-6 * points[control]
    found = grit(tight, treatment, control, batch)
    assert abs(found.plain) > 1e4
    assert abs(found.value) <= 2 / 0.05
    point = tight.copy()
    point[control] = point[control].mean(axis=0)
    found = grit(point, treatment, control, batch)
    assert found.at_floor == 1
    assert np.isfinite(found.value)
    assert abs(found.value) <= 2 / 0.05


def test_likeness_of_a_plate_to_itself_is_no_effect():
    points, treatment, control, batch = fields(seed=6, effect=0.0, mechanism=0.0)
    for b in np.unique(batch):
        for name in np.unique(treatment):
            # Each treatment has a direction of its own on each plate, and none in common.
            mine = (batch == b) & (treatment == name) & ~control
            points[mine] += np.random.default_rng(crc32(f"{b}{name}".encode())).normal(size=24)
    assert abs(grit(points, treatment, control, batch).value) < 0.3


def test_counts_and_cell_types():
    points, treatment, control, batch = fields(seed=7)
    found = grit(points, treatment, control, batch)
    assert (found.n_treatments, found.n_controls) == (4, 64)
    assert found.n_fields == (~control).sum()
    assert found.low < found.value < found.high
    kind = np.where(np.isin(batch, ["E1/1", "E2/1"]), "RPE", "U2OS")
    parts = [
        grit(points[m], treatment[m], control[m], batch[m]) for m in (kind == "RPE", kind != "RPE")
    ]
    both = grit(points, treatment, control, batch, cell_type=kind)
    assert both.n_treatments == 8
    assert both.value == pytest.approx(np.mean([p.value for p in parts]))


def test_nothing_to_compare():
    points, treatment, control, batch = fields()
    one = batch == "E1/1"
    found = grit(points[one], treatment[one], control[one], batch[one])
    assert (found.n_treatments, found.n_fields) == (0, 0)
    assert np.isnan(found.value)
    assert np.isnan(grit(points, treatment, control & False, batch).value)
