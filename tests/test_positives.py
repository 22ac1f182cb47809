import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from screenbook.errors import InputError
from screenbook.images.positives import CrossBatchPartners, FieldCodes, subset_rows


def fields(n=60, n_batches=5, seed=0):
    rng = np.random.default_rng(seed)
    treatment = np.where(np.arange(n) % 3 == 0, "control", [f"t{i % 7}" for i in range(n)])
    return pd.DataFrame(
        {
            "treatment": treatment,
            "batch": rng.choice([f"E{i}/1" for i in range(n_batches)], n),
            "role": np.where(treatment == "control", "control", "treated"),
        }
    )


def test_partners_share_the_treatment_and_never_the_batch():
    codes = FieldCodes.of(fields())
    partners = CrossBatchPartners(codes)
    rows = np.flatnonzero(~partners.alone)
    for seed in range(20):
        drawn = partners.draw(rows, np.random.default_rng(seed))
        assert (codes.treatment[drawn] == codes.treatment[rows]).all()
        assert (codes.batch[drawn] != codes.batch[rows]).all()


def test_partners_are_drawn_uniformly_and_none_is_left_out():
    codes = FieldCodes.of(fields())
    partners = CrossBatchPartners(codes)
    rng = np.random.default_rng(1)
    for row in np.flatnonzero(~partners.alone)[:6]:
        other = (codes.treatment == codes.treatment[row]) & (codes.batch != codes.batch[row])
        drawn = partners.draw(np.full(200 * other.sum(), row), rng)
        seen = np.bincount(drawn, minlength=len(codes))
        assert (seen[~other] == 0).all()
        assert chisquare(seen[other]).pvalue > 1e-4


def test_a_treatment_of_one_batch_or_one_field_is_its_own_partner():
    obs = pd.DataFrame({"treatment": list("aaabbcz"), "batch": list("1121213")})
    codes = FieldCodes.of(obs)
    partners = CrossBatchPartners(codes)
    assert partners.alone.tolist() == [False, False, False, False, False, True, True]
    drawn = partners.draw(np.array([5, 6]), np.random.default_rng(0))
    assert drawn.tolist() == [5, 6]


def test_one_batch_and_no_shared_treatment_are_refused():
    one = pd.DataFrame({"treatment": list("aabb"), "batch": ["E1/1"] * 4})
    with pytest.raises(InputError, match=r"all fields are of 'E1/1', and cross-batch positives"):
        CrossBatchPartners(FieldCodes.of(one))
    apart = pd.DataFrame({"treatment": list("aabb"), "batch": list("1122")})
    with pytest.raises(InputError, match="none is in two batches"):
        CrossBatchPartners(FieldCodes.of(apart))


def test_codes_name_what_is_missing():
    with pytest.raises(InputError, match="no column 'batch'"):
        FieldCodes.of(pd.DataFrame({"treatment": ["a"]}))


def test_subsets_keep_what_their_names_say():
    obs = fields()
    control = obs.role.eq("control").to_numpy()
    assert subset_rows("all", obs).tolist() == list(range(60))
    assert control[subset_rows("only_controls", obs)].all()
    assert len(subset_rows("only_controls", obs)) == control.sum()
    assert not control[subset_rows("only_treatments", obs)].any()
    half = subset_rows("only_treatments_half_as_many_with_controls", obs, seed=2)
    kept = obs.treatment.iloc[half]
    assert set(np.flatnonzero(control)) <= set(half)
    assert kept[kept != "control"].nunique() == 4  # of 7
    everything = obs.treatment.isin(kept)
    assert everything.sum() == len(half)


def test_odd_subsets_are_refused():
    with pytest.raises(InputError, match="did you mean 'only_controls'"):
        subset_rows("only_control", fields())
    treated = fields().query("role == 'treated'")
    with pytest.raises(InputError, match="no field is left"):
        subset_rows("only_controls", treated)
