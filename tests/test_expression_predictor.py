from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from screenbook.expression import predictor as predictor_module
from screenbook.expression.fusion import fit_fusion
from screenbook.expression.predictor import fit_predictor
from screenbook.expression.split_study import FORWARD, FUSED, WHOLE_NET, study_split
from screenbook.expression.training_rows import subset_rows
from small_expression import BRIEF, rows, screen, steps, study

PLANTED = rows(n_drugs=14, n_lines=5, doses=(0.5, 5.0), noise=0.4)
HELD = PLANTED.obs["compound_key"].isin(PLANTED.fingerprints.index[-4:]).to_numpy()
GLANCE = steps(BRIEF, 5)


@dataclass(frozen=True)
class PlantedNet:
    """Stands for a net: adds a correction of its own to the prior."""

    fingerprints: pd.DataFrame
    correction: np.ndarray  # by condition of PLANTED

    def predict(self, obs, basal, *, prior):
        assert basal is PLANTED.basal
        return prior + self.correction[PLANTED.obs.index.get_indexer(obs.index)]


def fitted(correction, monkeypatch, train=PLANTED, held=HELD, **told):
    """Fit with a planted net; also what it was trained on."""
    asked = {}

    def train_forward(inner, settings, **rest):
        asked.update(inner=inner, settings=settings, **rest)
        return PlantedNet(inner.fingerprints, correction)

    monkeypatch.setattr(predictor_module, "train_forward", train_forward)
    return fit_predictor(train, held, GLANCE, **told), asked


def missing():
    """What the joined baselines of the other conditions lack."""
    inner = subset_rows(PLANTED, ~HELD)
    joined = fit_fusion(inner, seed=GLANCE.training.seed).predict(inner, PLANTED.obs)
    return PLANTED.delta - joined


@pytest.mark.parametrize(
    ("size", "share"), [(1.0, 1.0), (0.5, 1.0), (2.0, 0.5), (4.0, 0.25), (-1.0, 0.0), (0.0, 0.0)]
)
def test_share_is_what_brings_the_net_nearest_to_the_truth(size, share, monkeypatch):
    found, _ = fitted(size * missing(), monkeypatch)
    assert found.share == pytest.approx(share, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_a_correction_that_is_pure_noise_has_hardly_a_share(seed, monkeypatch):
    noise = 3 * np.random.default_rng(seed).normal(size=PLANTED.delta.shape)
    assert fitted(noise, monkeypatch)[0].share < 0.05


def test_share_is_a_weighted_regression_through_zero(monkeypatch):
    rng = np.random.default_rng(0)
    lacks = missing()
    correction = 1.5 * lacks + rng.normal(size=lacks.shape)
    found, _ = fitted(correction, monkeypatch)
    root = np.sqrt(np.repeat(PLANTED.weight[HELD], lacks.shape[1]))
    design = (root * correction[HELD].ravel())[:, None]
    expected = np.linalg.lstsq(design, root * lacks[HELD].ravel(), rcond=None)[0][0]
    assert 0.05 < expected < 0.95
    assert found.share == pytest.approx(expected, abs=1e-4)
    # Conditions that the net may learn from have no say.
    correction[~HELD] = rng.normal(size=correction[~HELD].shape)
    assert fitted(correction, monkeypatch)[0].share == found.share


def test_without_conditions_to_prove_itself_on_the_net_has_no_share(monkeypatch):
    none = np.zeros(len(HELD), dtype=bool)
    found, asked = fitted(missing(), monkeypatch, held=none)
    assert found.share == 0
    assert len(asked["inner"].obs) == len(PLANTED.obs)
    joined, correction = found.parts(PLANTED.obs)
    assert np.abs(correction).max() > 0.1
    assert (found.predict(PLANTED.obs) == joined).all()


def test_the_net_learns_from_the_other_conditions_on_what_baselines_say_unseen(monkeypatch):
    trust = np.linspace(0, 1, len(HELD))
    found, asked = fitted(missing(), monkeypatch, trust=trust, checkpoints="a keeper")
    assert asked["inner"].obs.index.equals(PLANTED.obs.index[~HELD])
    assert (asked["prior"] == found.fusion.out_of_fold).all()
    assert (asked["trust"] == trust[~HELD]).all()
    assert asked["settings"] is GLANCE
    assert asked["checkpoints"] == "a keeper"
    assert fitted(missing(), monkeypatch)[1]["trust"] is None
    # Whatever the held conditions show, the net is trained on the same.
    moved = replace(PLANTED, delta=np.where(HELD[:, None], 9 - PLANTED.delta, PLANTED.delta))
    other, asked_too = fitted(missing(), monkeypatch, train=moved)
    assert (asked_too["prior"] == asked["prior"]).all()
    assert (asked_too["inner"].delta == asked["inner"].delta).all()
    assert (other.fusion.weights == found.fusion.weights).all()
    assert other.share != found.share


def test_seed_of_the_folds_is_that_of_the_net(monkeypatch):
    inner = subset_rows(PLANTED, ~HELD)
    prior = {}
    for seed in (0, 1):
        settings = steps(BRIEF, 5, seed=seed)
        made = fit_predictor(PLANTED, HELD, settings)
        prior[seed] = made.fusion.out_of_fold
        assert (prior[seed] == fit_fusion(inner, seed=seed).out_of_fold).all()
    assert (prior[0] != prior[1]).any()


def test_prediction_is_joined_baselines_and_the_share_of_the_correction():
    made = fit_predictor(PLANTED, HELD, GLANCE)
    joined, correction = made.parts(PLANTED.obs)
    for share in (0.0, 0.3, 1.0):
        found = replace(made, share=share).predict(PLANTED.obs)
        assert found.dtype == np.float32
        assert found == pytest.approx(joined + share * correction, abs=1e-6)
    assert np.abs(correction).max() > 1e-4
    net = made.net.predict(PLANTED.obs, PLANTED.basal, prior=joined)
    assert net == pytest.approx(joined + correction, abs=1e-5)
    # In the end the baselines know the held conditions too.
    whole = made.fusion.predict(PLANTED, PLANTED.obs)
    assert (joined == whole).all()
    inner = made.fusion.predict(subset_rows(PLANTED, ~HELD), PLANTED.obs)
    assert np.abs(whole[HELD] - inner[HELD]).max() > 0.1


def test_a_drug_whose_structure_came_later_can_be_asked():
    made = fit_predictor(PLANTED, HELD, GLANCE)
    first = PLANTED.fingerprints.index[0]
    bits = pd.concat([PLANTED.fingerprints, PLANTED.fingerprints.loc[[first]].set_axis(["new"])])
    later = replace(made, train=replace(PLANTED, fingerprints=bits))
    asked = PLANTED.obs.iloc[:2].assign(compound_key="new")
    assert np.isfinite(later.predict(asked)).all()
    joined, correction = later.parts(asked)
    old = made.net.predict(asked.assign(compound_key=first), PLANTED.basal, prior=joined)
    assert correction == pytest.approx(old - joined, abs=1e-5)


def test_neither_mechanism_nor_cells_that_survived_are_looked_at():
    made = fit_predictor(PLANTED, HELD, GLANCE)
    told = PLANTED.obs.assign(moa="M", n_cells=1.0)
    assert (made.predict(told) == made.predict(PLANTED.obs)).all()


def test_no_test_condition_has_a_say():
    """What test conditions show is replaced: every prediction stays, to the bit."""
    signatures, bits = screen()
    before = study()
    test = before.split.test
    delta, error = signatures.delta.copy(), signatures.error.copy()
    delta[test] = 5 * np.random.default_rng(0).normal(size=delta[test].shape)
    error[test] = 3
    after = study_split(replace(signatures, delta=delta, error=error), bits, "pair", 0, BRIEF)
    assert (after.split.part == before.split.part).all()
    assert after.predictor.share == before.predictor.share
    assert after.predictions.keys() == before.predictions.keys()
    for name, prediction in before.predictions.items():
        assert (after.predictions[name] == prediction).all(), name


def test_the_tiny_screen_is_predicted_no_worse_than_by_the_joined_baselines():
    signatures, _ = screen()
    found = study()
    truth = signatures.delta[found.split.test]
    lost = {name: np.square(p - truth).sum() for name, p in found.predictions.items()}
    assert lost[FORWARD] < 0.98 * lost["zero"]
    assert lost[FORWARD] < 1.03 * min(lost[FUSED], lost[WHOLE_NET])
