from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control
from sklearn.metrics import average_precision_score

from planted_batches import planted_part
from screenbook.profiles.replicates import (
    join_halves,
    negatives_from,
    null_maps,
    replicate_map,
    replicate_precision,
    sample_treatments,
    treatment_codes,
)


def unit(points):
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def centred(part):
    """About the untreated wells: cosine is asked from there."""
    return replace(part, X=part.X - part.X[part.layout.baseline].mean(axis=0))


@pytest.fixture(scope="module")
def part():
    return centred(planted_part(plate_shift=0.3, effect=6.0))


@pytest.fixture(scope="module")
def precision(part):
    codes, _ = treatment_codes(part.obs)
    return replicate_precision(part.X, codes, part.layout, part.layout.baseline)


def test_treatments_are_compounds_at_a_dose(part):
    codes, treatments = treatment_codes(part.obs)
    assert len(treatments) == 24
    treated = (part.obs["role"] == "treated").to_numpy()
    assert ((codes >= 0) == treated).all()
    of_well = treatments.iloc[codes[treated]].reset_index(drop=True)
    wells = part.obs[treated].reset_index(drop=True)
    assert (of_well["compound"] == wells["compound"].astype(str)).all()
    assert (of_well["treatment_conc"] == wells["treatment_conc"]).all()


def test_a_treatment_without_a_dose_is_one():
    obs = planted_part().obs.assign(treatment_conc=np.nan)
    codes, treatments = treatment_codes(obs)
    assert len(treatments) == 12
    assert codes.max() == 11


def test_precision_is_that_of_sklearn(part, precision):
    """Positives on other plates, negatives on the well's own plate, by cosine."""
    codes, _ = treatment_codes(part.obs)
    points, batch = unit(part.X.astype(np.float64)), part.layout.batch
    for row in precision.iloc[::29].itertuples():
        i = row.well
        positive = (codes == codes[i]) & (batch != batch[i])
        negative = part.layout.baseline & (batch == batch[i])
        similarity = points[positive | negative] @ points[i]
        expected = average_precision_score(positive[positive | negative], similarity)
        assert row.average_precision == pytest.approx(expected, abs=1e-6)
        assert (row.n_pos_pairs, row.n_total_pairs) == (7, 7 + 16)


def test_replicates_of_the_same_plate_do_not_count(part):
    codes, _ = treatment_codes(part.obs)
    one_plate = np.where(part.layout.batch == 0, codes, -1)
    assert replicate_precision(part.X, one_plate, part.layout, part.layout.baseline).empty


def test_negatives_come_from_the_experiment_where_plates_have_few(part):
    layout = part.layout
    assert negatives_from(layout, layout.baseline) == "batch"
    few = layout.baseline & (np.cumsum(layout.baseline) % 8 == 0)
    assert negatives_from(layout, few) == "experiment"
    codes, _ = treatment_codes(part.obs)
    found = replicate_precision(part.X, codes, layout, few)
    assert (
        found["n_total_pairs"] - found["n_pos_pairs"] == few[layout.experiment == 0].sum()
    ).all()


def test_a_plate_effect_hides_replicates_and_centring_brings_them_back():
    codes = None
    means = []
    for shift in (0.0, 20.0):
        part = planted_part(plate_shift=shift, effect=8.0)
        codes, _ = treatment_codes(part.obs)
        found = replicate_precision(part.X, codes, part.layout, part.layout.baseline)
        means.append(found["average_precision"].mean())
    assert means[1] < means[0] - 0.2


def test_sampling_keeps_whole_treatments_that_have_replicates(part):
    codes, _ = treatment_codes(part.obs)
    single = codes.copy()
    single[(codes == 3) & (part.layout.batch > 0)] = -1
    kept = sample_treatments(single, part.layout.batch, at_most=100, seed=0)
    assert set(kept[kept >= 0]) == set(range(24)) - {3}
    few = sample_treatments(codes, part.layout.batch, at_most=5, seed=0)
    names = np.unique(few[few >= 0])
    assert len(names) == 5
    assert all((few == name).sum() == (codes == name).sum() for name in names)


def test_halves_are_averaged_and_keep_the_smaller_count():
    columns = ["well", "treatment", "average_precision", "n_pos_pairs", "n_total_pairs"]
    one = pd.DataFrame([[4, 0, 0.5, 2, 6], [7, 0, 1.0, 2, 6]], columns=columns)
    other = pd.DataFrame([[4, 0, 0.7, 2, 5], [7, 0, 0.0, 2, 5]], columns=columns)
    joined = join_halves([x.assign(normalized_average_precision=0.0) for x in (one, other)])
    assert joined["average_precision"].tolist() == pytest.approx([0.6, 0.5])
    assert joined["n_total_pairs"].tolist() == [5, 5]


def test_active_treatments_are_found_and_inert_ones_are_not(part, precision):
    found = replicate_map(precision, part.layout, null_size=4000, seed=0)
    _, treatments = treatment_codes(part.obs)
    active = treatments["compound"].str[5:].astype(int) < 6  # see planted_screen
    strong = active & (treatments["treatment_conc"] == 10)
    assert (found["q"][strong] < 0.05).all()
    assert (found["q"][~active] < 0.05).sum() <= 1
    np.testing.assert_allclose(found["q"], false_discovery_control(found["p"]))
    assert (found["p"] >= found["p_least"]).all()


def test_p_is_uniform_for_treatments_that_do_nothing():
    p = []
    for seed in range(8):
        part = centred(planted_part(effect=0.0, plate_shift=0.0, seed=seed, n_compounds=24))
        codes, _ = treatment_codes(part.obs)
        found = replicate_precision(part.X, codes, part.layout, part.layout.baseline)
        p.append(replicate_map(found, part.layout, null_size=2000, seed=seed)["p"])
    p = np.concatenate(p)
    for level in (0.05, 0.2, 0.5):
        assert (p < level).mean() == pytest.approx(level, abs=0.06)


def test_p_least_is_what_the_design_allows():
    """One replicate on another plate among three controls comes first in one of four rankings."""
    layout = planted_part(n_experiments=1, n_plates=2).layout
    precision = pd.DataFrame(
        {
            "well": [np.flatnonzero(layout.batch == 0)[0], np.flatnonzero(layout.batch == 1)[0]],
            "treatment": 0,
            "average_precision": 1.0,
            "n_pos_pairs": 1,
            "n_total_pairs": 4,
            "normalized_average_precision": 1.0,
        }
    )
    found = replicate_map(precision, layout, null_size=20_000, seed=0).iloc[0]
    # Both rankings hold the same similarity: first among six controls, so one in seven.
    assert found["p_least"] == pytest.approx(1 / 7, abs=0.01)
    assert found["p"] == found["p_least"]


def test_null_of_one_pair_is_exact():
    null = null_maps((1, 1), 1, size=40_000, seed=1)
    values, counts = np.unique(null, return_counts=True)
    np.testing.assert_allclose(values, [0.5, 0.75, 1.0])
    np.testing.assert_allclose(counts / counts.sum(), [1 / 3, 1 / 3, 1 / 3], atol=0.01)


def test_nothing_in_gives_nothing_out():
    layout = planted_part().layout
    empty = pd.DataFrame(columns=["treatment", "well"])
    assert replicate_map(empty, layout, null_size=10, seed=0).empty


def test_the_order_of_wells_does_not_matter(part, precision):
    shuffled = precision.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(
        replicate_map(precision, part.layout, null_size=500, seed=0),
        replicate_map(shuffled, part.layout, null_size=500, seed=0),
    )
