"""What the simulated expression screen claims of itself: one cause, one effect."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from screenbook.errors import InputError
from screenbook.expression_set import make_profiles
from screenbook.retrieval_metrics import SAME_PARENT, score_rankings
from screenbook.simulate.expression import SCALE, ExpressionSpec, simulate_expression

SMALL = ExpressionSpec(
    n_drugs=40, n_lines=5, n_genes=60, n_mechanisms=5, n_dmso_wells=6, n_replicated=8, n_aliases=3
)
STILL = {"well_noise": 0.0, "condition_noise": 0.0, "plate_shift": 0.0, "plate_line_shift": 0.0}
MANY_CELLS = 1e8  # no error of counting left


@cache
def simulated(**changes):
    return simulate_expression(replace(SMALL, **changes))


def controls(screen):
    """Vehicle expression less its mean, (plate, well on it, line, gene)."""
    rows = screen.obs["role"].eq("control").to_numpy()
    n_plates = screen.obs["plate"].nunique()
    shape = (n_plates, SMALL.n_dmso_wells, SMALL.n_lines, SMALL.n_genes)
    values = screen.mean[rows].astype(float).reshape(shape)
    return values - values.mean(axis=(0, 1))


def test_same_seed_same_screen_and_another_seed_another():
    first, again = simulate_expression(SMALL), simulate_expression(SMALL)
    assert (first.mean == again.mean).all()
    assert (first.nonzero == again.nonzero).all()
    pd.testing.assert_frame_equal(first.obs, again.obs)
    pd.testing.assert_frame_equal(first.drugs, again.drugs)
    other = simulated(seed=1)
    assert set(other.drugs["structure"]) != set(first.drugs["structure"])
    assert np.abs(other.change - first.change).max() > 0.1


def test_change_is_the_sum_of_mechanism_off_target_and_stress():
    whole = simulated().change
    alone = [
        simulated(off_target=0, stress=0).change,
        simulated(effect=0, stress=0).change,
        simulated(effect=0, off_target=0).change,
    ]
    assert min(np.abs(part).max() for part in alone) > 0.1
    assert np.sum(alone, axis=0) == pytest.approx(whole, abs=1e-5)
    assert not simulated(effect=0, off_target=0, stress=0).change.any()
    half = simulated(effect=SMALL.effect / 2, off_target=0, stress=0).change
    assert 2 * half == pytest.approx(alone[0], abs=1e-5)


@pytest.mark.parametrize("name", ["effect", "off_target", "stress"])
def test_what_drugs_do_leaves_vehicle_wells_and_the_design_alone(name):
    base, without = simulated(), simulated(**{name: 0})
    vehicle = base.obs["role"].eq("control").to_numpy()
    assert not base.change[vehicle].any()
    assert (without.mean[vehicle] == base.mean[vehicle]).all()
    pd.testing.assert_frame_equal(
        without.obs.drop(columns="n_cells"), base.obs.drop(columns="n_cells")
    )
    pd.testing.assert_frame_equal(without.drugs, base.drugs)


def test_all_stress_looks_alike():
    screen = simulated(effect=0, off_target=0)
    for line in screen.lines["cell_line"]:
        rows = screen.change[(screen.obs["cell_line"] == line).to_numpy()]
        values = np.linalg.svd(rows.astype(float), compute_uv=False)
        assert values[0] > 0.5
        assert values[1] < 1e-4 * values[0]


def test_inactive_drugs_do_nothing_but_stress():
    screen = simulated(stress=0)
    active = dict(screen.drugs[["treatment", "active"]].to_numpy())
    treated = screen.obs["role"].eq("treated")
    works = screen.obs["treatment"].map(active).where(treated, False).astype(bool).to_numpy()
    assert 0.4 < screen.drugs["active"].mean() < 0.9
    assert not screen.change[~works].any()
    assert (np.abs(screen.change[works]).max(axis=1) > 0).all()
    assert simulated(inactive=0).drugs["active"].all()
    assert not simulated(inactive=1.0, stress=0).change.any()


def test_lines_differ_in_sensitivity_by_the_activity_of_the_programme_only():
    columns = [f"sensitivity_{i + 1}" for i in range(SMALL.n_mechanisms)]
    assert (simulated(sensitivity=0).lines[columns] == 0.5).all(axis=None)
    weak, strong = (simulated(sensitivity=s).lines[columns].to_numpy() for s in (0.5, 3.0))
    assert strong.std() > 2 * weak.std()
    logit = [np.log(s / (1 - s)) for s in (weak, strong)]
    assert logit[1] == pytest.approx(6 * logit[0])


@pytest.mark.parametrize("name", STILL)
def test_a_nuisance_changes_no_truth(name):
    base, without = simulated(), simulated(**{name: 0.0})
    assert (without.change == base.change).all()
    pd.testing.assert_frame_equal(without.obs, base.obs)
    assert np.abs(without.mean - base.mean).max() > 0.01


def test_without_nuisance_expression_is_the_lines_own_and_the_change():
    screen = simulated(**STILL, cells_per_condition=MANY_CELLS)
    assert np.abs(controls(screen)).max() < 1e-3
    line = screen.obs["cell_line"].to_numpy()
    vehicle = screen.obs["role"].eq("control").to_numpy()
    for name in screen.lines["cell_line"]:
        basal = screen.mean[vehicle & (line == name)].mean(axis=0)
        rows = ~vehicle & (line == name)
        expected = np.maximum(basal + screen.change[rows], 0.01)
        assert np.abs(screen.mean[rows] - expected).max() < 5e-3


@pytest.mark.parametrize(
    ("name", "within_plates", "shared_by_lines"),
    [
        ("well_noise", True, True),
        ("condition_noise", True, False),
        ("plate_shift", False, True),
        ("plate_line_shift", False, False),
    ],
)
def test_each_nuisance_is_between_what_it_says(name, within_plates, shared_by_lines):
    screen = simulated(**STILL | {name: 0.05}, cells_per_condition=MANY_CELLS)
    apart = controls(screen)
    within = apart - apart.mean(axis=1, keepdims=True)
    assert (np.abs(within).max() > 0.01) == within_plates
    expressed = np.argsort(-screen.mean.mean(axis=0))[:10]
    shifts = apart.reshape(-1, *apart.shape[2:])[:, :, expressed]
    between = [np.corrcoef(shifts[:, :, g].T) for g in range(len(expressed))]
    alike = np.mean([r[np.triu_indices(SMALL.n_lines, 1)] for r in between])
    assert alike > 0.99 if shared_by_lines else abs(alike) < 0.25
    assert 0.6 < shifts.std() / 0.05 < 1.2  # what is hardly expressed moves less


def test_few_cells_make_noise_of_the_size_that_their_variance_says():
    screen = simulated(**STILL, cells_per_condition=100.0)
    rows = screen.obs["role"].eq("control").to_numpy()
    noise = controls(screen).reshape(-1, SMALL.n_genes)
    expected = screen.variance[rows] / screen.obs.loc[rows, "n_cells"].to_numpy()[:, None]
    sure = screen.mean[rows].mean(axis=0) > 0.8  # far from the floor at 0
    ratio = np.square(noise[:, sure]).mean() / expected[:, sure].mean()
    assert ratio == pytest.approx(1, abs=0.1)


def test_annotated_drugs_name_targets_of_their_mechanism_and_others_none():
    screen = simulated()
    drugs = screen.drugs
    told = drugs["annotated"]
    assert (drugs.loc[~told, "moa"] == "unclear").all()
    assert (drugs.loc[~told, "targets"] == "").all()
    for _, some in drugs[told].groupby("mechanism"):
        named = [set(text.split(";")) for text in some["targets"]]
        assert set.intersection(*named)
        assert set.union(*named) <= set(screen.genes)
        assert len(set(some["moa"])) == 1
    first = drugs[told].groupby("mechanism")["targets"].agg(lambda t: t.iloc[0].split(";")[0])
    assert first.is_unique
    assert simulated(annotated=0).drugs["targets"].eq("").all()
    assert simulated(annotated=1).drugs["targets"].ne("").all()


def test_metadata_say_what_the_truth_says():
    screen = simulated()
    treated = screen.obs[screen.obs["role"] == "treated"]
    truth = screen.drugs.set_index("treatment").loc[treated["treatment"]]
    for column in ("SMILES", "moa", "targets"):
        assert (treated[column].to_numpy() == truth[column].to_numpy()).all()
    vehicle = screen.obs[screen.obs["role"] == "control"]
    assert vehicle[["SMILES", "moa", "targets"]].eq("").all(axis=None)
    assert vehicle["dose"].eq(0).all()
    drivers = screen.lines["drivers"].str.split(";").explode()
    assert set(drivers) - {""} <= set(screen.genes)


def test_salts_share_parent_and_change_and_some_drugs_have_no_structure():
    screen = simulated()
    profiles = make_profiles(screen.mean, screen.obs, screen.genes, scale=SCALE, origin="x")
    names = profiles.obs[profiles.obs["role"] == "treated"].drop_duplicates("treatment")
    sharing = names.groupby("compound_key")["treatment"].agg(set)
    salts = sharing[sharing.str.len() > 1]
    assert len(salts) == SMALL.n_aliases
    assert len(sharing) == SMALL.n_drugs
    for pair in salts:
        one, other = (
            screen.change[(screen.obs["treatment"] == name).to_numpy() & _top(screen)][
                : SMALL.n_lines
            ]
            for name in sorted(pair)
        )
        assert one == pytest.approx(other)
    assert names["SMILES"].eq("").sum() == SMALL.n_without_structure
    plain = simulated(n_aliases=0, n_without_structure=0).drugs
    assert len(plain) == SMALL.n_drugs
    assert plain["SMILES"].ne("").all()


def _top(screen):
    return screen.obs["dose"].eq(SMALL.doses[-1]).to_numpy()


def test_functional_groups_are_on_as_many_drugs_as_asked():
    assert simulated(warhead_share=1.0).drugs["warhead"].all()
    assert not simulated(warhead_share=0.0).drugs["warhead"].any()
    assert simulated().drugs["warhead"].mean() == pytest.approx(SMALL.warhead_share, abs=0.15)


def test_dose_and_plate_are_one_but_for_the_plate_control_and_the_last_plate():
    obs = simulated().obs
    treated = obs[obs["role"] == "treated"]
    last = treated["plate"].max()
    everywhere = treated.groupby("treatment")["plate"].nunique()
    n_plates = len(SMALL.doses) * SMALL.plates_per_dose + 1
    assert obs["plate"].nunique() == n_plates
    control = everywhere.idxmax()
    assert everywhere[control] == n_plates
    assert everywhere.drop(control).max() <= len(SMALL.doses) + 1
    rest = treated[(treated["treatment"] != control) & (treated["plate"] != last)]
    assert rest.groupby("plate")["dose"].nunique().eq(1).all()
    again = treated[treated["plate"] == last]
    assert set(again["dose"]) == set(SMALL.doses)
    assert again["treatment"].nunique() == SMALL.n_replicated
    wells = obs[obs["role"] == "control"].groupby("plate")["well"].nunique()
    assert wells.eq(SMALL.n_dmso_wells).all()
    assert simulated(n_replicated=0).obs["plate"].nunique() == n_plates - 1


def test_all_lines_share_every_well():
    obs = simulated().obs
    lines = obs.groupby("well")["cell_line"].nunique()
    assert lines.eq(SMALL.n_lines).all()
    assert obs.groupby("well")["treatment"].nunique().eq(1).all()


def test_cells_fall_with_stress():
    base, calm = simulated(), simulated(stress=0)
    assert (base.obs["n_cells"] <= calm.obs["n_cells"]).all()
    lost = 1 - base.obs["n_cells"] / calm.obs["n_cells"]
    hurt = np.linalg.norm(simulated(effect=0, off_target=0).change, axis=1)
    assert spearmanr(lost, hurt).statistic > 0.8
    # The line's own sensitivity to stress is in both, so the rank is of drugs and doses.
    assert lost[_top(base)].mean() > 3 * lost[base.obs["dose"].eq(SMALL.doses[0])].mean()
    assert lost[base.obs["role"].eq("control")].eq(0).all()


def test_replicates_find_each_other_as_often_as_on_real_plates():
    """HT115 plates of L1000, plain cosine: hit@1 0.11, hit@10 0.28 among 332 profiles."""
    screen = simulate_expression(
        ExpressionSpec(
            n_drugs=330, n_lines=6, doses=(5.0,), n_replicated=330, plates_per_dose=1,
            n_aliases=0, n_dmso_wells=10,
        )
    )  # fmt: skip
    obs, hits = screen.obs, []
    vehicle = obs["role"].eq("control").to_numpy()
    for line in screen.lines["cell_line"]:
        found = {}
        for plate, rows in obs[obs["cell_line"] == line].groupby("plate").indices.items():
            at = np.flatnonzero(obs["cell_line"] == line)[rows]
            treated, untreated = at[~vehicle[at]], at[vehicle[at]]
            change = screen.mean[treated] - screen.mean[untreated].mean(axis=0)
            change /= np.linalg.norm(change, axis=1, keepdims=True)
            order = np.argsort(obs["treatment"].to_numpy()[treated])
            found[plate] = change[order]
        query, library = found.values()
        assert len(query) == len(library) == 330
        own = np.where(np.eye(330, dtype=bool), SAME_PARENT, 0)
        hits.append(score_rankings(query @ library.T, own)[["hit@1", "hit@10"]].mean())
    mean = pd.DataFrame(hits).mean()
    assert 0.07 < mean["hit@1"] < 0.18
    assert 0.22 < mean["hit@10"] < 0.42


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_drugs": 3}, "n_drugs = 3 is below 4"),
        ({"well_noise": -0.1}, "well_noise = -0.1 is below 0"),
        ({"effect": float("nan")}, "effect = nan is below 0"),
        ({"annotated": 1.5}, "annotated = 1.5 is a share"),
        ({"doses": ()}, "at least one"),
        ({"doses": (0.0, 1.0)}, "uM above 0"),
        ({"doses": (5.0, 0.5)}, "the lowest first"),
        ({"doses": (5.0, 5.0)}, "each once"),
        ({"n_replicated": 151}, "n_replicated = 151 is more than n_drugs"),
        ({"n_aliases": 200}, "n_aliases = 200 is more than n_drugs"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(changes, words):
    with pytest.raises(InputError, match=words):
        ExpressionSpec(**changes)


def test_more_than_the_scaffolds_allow_is_refused():
    with pytest.raises(InputError, match="n_mechanisms = 30 is above"):
        simulate_expression(replace(SMALL, n_mechanisms=30, n_genes=100))
    with pytest.raises(InputError, match="more than the scaffolds allow"):
        simulate_expression(replace(SMALL, n_drugs=3000, n_mechanisms=2))
