from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from screenbook.checkpoints import Checkpoints
from screenbook.errors import InputError
from screenbook.expression import forward as forward_module
from screenbook.expression.forward import (
    FEWEST_VISIBLE,
    MOST_VISIBLE,
    ForwardSettings,
    train_forward,
)
from screenbook.expression.signatures import Signatures, reliability
from screenbook.expression.training_rows import subset_rows
from small_expression import BRIEF, GATE, MOVED, rows, screen, steps

LEARNS = steps(BRIEF, 80, learning_rate=4e-3)
GLANCE = steps(BRIEF, 6, record_every=1)
GATED = rows(n_drugs=24, n_lines=8, n_genes=12, noise=0.2)
TINY = rows(n_drugs=8, n_lines=4)
NEW_LINES, NEW_DRUGS = ("L6", "L7"), tuple(GATED.fingerprints.index[-4:])  # one line gated on


def in_mode(mode, settings=GLANCE):
    return replace(settings, mode=mode)


@pytest.fixture(scope="module")
def learned():
    """A model of the gated rule; two lines and four drugs were held out whole."""
    new = GATED.obs["cell_line"].isin(NEW_LINES) | GATED.obs["compound_key"].isin(NEW_DRUGS)
    new = new.to_numpy()
    train = subset_rows(GATED, ~new)
    return train, GATED.delta[new], GATED.obs[new], train_forward(train, LEARNS)


@pytest.fixture(scope="module")
def glances():
    """A model of each mode after few steps."""
    return {m: train_forward(TINY, in_mode(m)) for m in forward_module.MODES}


def carries(obs):
    return GATED.fingerprints.loc[obs["compound_key"]].iloc[:, 0].to_numpy() > 0


def explained(predicted, truth):
    return 1 - np.square(predicted - truth).sum() / np.square(truth).sum()


def test_a_bit_that_moves_a_gene_where_the_line_lets_it_is_learned(learned):
    train, truth, obs, model = learned
    found = explained(model.predict(obs, GATED.basal), truth)
    mean = explained(train.delta.mean(axis=0), truth)
    of_carriers = train.delta[carries(train.obs)].mean(axis=0)
    drug_only = explained(np.where(carries(obs)[:, None], of_carriers, 0), truth)
    assert found > 0.65
    assert mean < drug_only < found - 0.2


def test_a_line_never_seen_is_told_by_its_basal_expression_alone(learned):
    _, _, obs, model = learned
    asked = obs[carries(obs) & obs["cell_line"].isin(NEW_LINES)]
    moved = pd.Series(model.predict(asked, GATED.basal)[:, MOVED]).groupby(
        asked["cell_line"].to_numpy()
    )
    assert moved.mean()["L6"] > moved.mean()["L7"] + 1
    renamed = asked.assign(cell_line=asked["cell_line"].replace({"L6": "x", "L7": "L0"}))
    basal = GATED.basal.loc[["L6", "L7"]].set_axis(["x", "L0"])
    assert (model.predict(renamed, basal) == model.predict(asked, GATED.basal)).all()
    # With the basal expression of the other, each is predicted as the other.
    turned = asked.assign(cell_line=asked["cell_line"].replace({"L6": "L7", "L7": "L6"}))
    swapped = GATED.basal.loc[["L7", "L6"]].set_axis(["L6", "L7"])
    assert (model.predict(turned, swapped) == model.predict(asked, GATED.basal)).all()
    assert GATE in model.scales.tokens


def test_query_mode_knows_lines_by_number_and_looks_at_no_basal_expression(glances):
    model = glances["query"]
    other = TINY.basal + np.random.default_rng(0).normal(size=TINY.basal.shape)
    known = model.predict(TINY.obs, TINY.basal)
    assert (model.predict(TINY.obs, other) == known).all()
    names = TINY.obs["cell_line"].replace({"L0": "L1"})
    assert np.abs(model.predict(TINY.obs.assign(cell_line=names), TINY.basal) - known).max() > 1e-4
    # All lines that are not known are one.
    new = [model.predict(TINY.obs.assign(cell_line=x), TINY.basal.set_axis([x, *"bcd"]))
           for x in ("new", "newer")]  # fmt: skip
    assert (new[0] == new[1]).all()


def test_doses_have_a_say(glances):
    lower = TINY.obs.assign(dose=0.05)
    model = glances["basal"]
    moved = model.predict(lower, TINY.basal) - model.predict(TINY.obs, TINY.basal)
    assert np.abs(moved).max(axis=1).min() > 1e-5


def test_same_seed_same_weights_and_another_seed_others(glances):
    again = train_forward(TINY, in_mode("basal")).net.state_dict()
    first = glances["basal"].net.state_dict()
    assert all((again[name] == first[name]).all() for name in first)
    other = train_forward(TINY, in_mode("basal", steps(GLANCE, 6, seed=1))).net.state_dict()
    assert (other["head.1.weight"] - first["head.1.weight"]).abs().max() > 0.01


def test_random_numbers_of_the_caller_are_left_alone():
    torch.manual_seed(77)
    before = torch.get_rng_state()
    train_forward(TINY, steps(BRIEF, 1))
    assert (torch.get_rng_state() == before).all()


@pytest.mark.parametrize("mode", forward_module.MODES)
def test_each_condition_is_answered_alone(mode, glances, monkeypatch):
    model = glances[mode]
    whole = model.predict(TINY.obs, TINY.basal, visible=TINY.delta)
    assert whole.shape == TINY.delta.shape
    assert whole.dtype == np.float32
    order = np.random.default_rng(0).permutation(len(TINY.obs))[:9]
    some = model.predict(TINY.obs.iloc[order], TINY.basal, visible=TINY.delta[order])
    assert some == pytest.approx(whole[order], abs=1e-5)
    # What other conditions show is not seen.
    wild = TINY.delta + 9
    wild[order] = TINY.delta[order]
    among = model.predict(TINY.obs, TINY.basal, visible=wild)
    assert among[order] == pytest.approx(whole[order], abs=1e-5)
    monkeypatch.setattr(forward_module, "_AT_ONCE", 5)
    assert model.predict(TINY.obs, TINY.basal, visible=TINY.delta) == pytest.approx(whole, abs=1e-5)
    none = model.predict(TINY.obs.iloc[:0], TINY.basal, visible=TINY.delta[:0])
    assert none.shape == (0, TINY.delta.shape[1])


def test_only_leaky_and_masked_models_look_at_what_is_shown(glances):
    for mode, model in glances.items():
        a, b = (model.predict(TINY.obs, TINY.basal, visible=x) for x in (TINY.delta, -TINY.delta))
        assert (np.abs(a - b).max() > 1e-4) == (mode in ("leaky", "masked")), mode


def test_a_masked_model_sees_no_gene_that_is_withheld(glances):
    model = glances["masked"]
    nothing = model.predict(TINY.obs, TINY.basal)
    blank = np.full_like(TINY.delta, np.nan)
    assert (model.predict(TINY.obs, TINY.basal, visible=blank) == nothing).all()
    blank[:, 2] = TINY.delta[:, 2]
    assert np.abs(model.predict(TINY.obs, TINY.basal, visible=blank) - nothing).max() > 1e-5


def batch_of(mode, visible, settings=None):
    """What training gives the net for all of TINY, its random numbers held."""
    settings = settings or replace(in_mode(mode), n_tokens=6)
    scales = forward_module._scales(TINY, settings)
    made = forward_module._rows(TINY.obs, TINY.basal, TINY.fingerprints, scales, None, visible)
    every = np.arange(len(TINY.obs))
    return forward_module._batch(made, every, settings, scales, np.random.default_rng(0)), scales


def test_masked_training_hides_a_share_and_asks_for_what_is_hidden_alone():
    batch, scales = batch_of("masked", TINY.delta)
    shown = ~batch.hidden.numpy()
    assert 0.8 * FEWEST_VISIBLE < shown.mean() < 1.2 * MOST_VISIBLE
    assert not batch.value[batch.hidden].any()
    assert batch.value.numpy()[shown] * scales.size == pytest.approx(
        TINY.delta[:, scales.tokens][shown], abs=1e-5
    )
    asked = forward_module._asked(batch, TINY.delta.shape[1]).numpy()
    seen = np.zeros(TINY.delta.shape, dtype=bool)
    seen[:, scales.tokens] = shown
    assert not asked[seen].any()
    assert np.ptp(asked[~seen]) < 1e-6
    assert asked.mean() == pytest.approx(1, abs=1e-5)
    # Other values of the genes that are hidden: the same input.
    wild = np.where(seen, TINY.delta, TINY.delta + 7)
    again, _ = batch_of("masked", wild)
    assert all((getattr(again, n) == v).all() for n, v in vars(batch).items())


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_masked_training_is_scored_on_what_is_hidden(share, monkeypatch):
    monkeypatch.setattr(forward_module, "FEWEST_VISIBLE", share)
    monkeypatch.setattr(forward_module, "MOST_VISIBLE", share)
    all_genes = replace(in_mode("masked"), n_tokens=99, batch_size=len(TINY.delta))
    # Nothing is left to be asked for where all is shown.
    first = train_forward(TINY, all_genes).history.rows[0]
    assert first["mse"] == pytest.approx(1 - share, abs=1e-5)


def test_a_leaky_model_is_shown_the_genes_that_changed_most():
    batch, scales = batch_of("leaky", TINY.delta)
    for row in range(len(TINY.delta)):
        top = set(np.argsort(-np.abs(TINY.delta[row]))[:6])
        assert set(batch.gene[row].tolist()) == top
        shown = TINY.delta[row][batch.gene[row].numpy()] / scales.size
        assert batch.value[row].numpy() == pytest.approx(shown, abs=1e-5)
    assert not batch.hidden.any()


def test_basal_mode_is_told_neither_line_number_nor_change():
    told, scales = batch_of("basal", TINY.delta)
    blind, _ = batch_of("basal", -3 * TINY.delta)
    assert all((getattr(blind, n) == v).all() for n, v in vars(told).items())
    assert not told.line.any()
    values = TINY.basal.loc[TINY.obs["cell_line"]].to_numpy()
    standard = (values - TINY.basal.to_numpy().mean(axis=0)) / scales.basal_sd
    assert told.basal.numpy() == pytest.approx(standard, abs=1e-4)
    assert told.value.numpy() == pytest.approx(standard[:, scales.tokens], abs=1e-4)
    for mode in ("query", "masked", "leaky"):
        batch, _ = batch_of(mode, TINY.delta)
        # The token of the cell carries what gene tokens carry, and nothing else.
        carried = np.zeros_like(batch.basal)
        np.put_along_axis(carried, batch.gene.numpy(), batch.value.numpy(), axis=1)
        np.testing.assert_array_equal(batch.basal, carried)
        assert carried.any() == (mode != "query")
        assert sorted(set(batch.line.tolist())) == [1, 2, 3, 4]


def test_a_batch_of_one_condition_shares_no_memory_with_the_model():
    """Torch warns whoever asks for a single condition, and could write into the model."""
    settings = in_mode("basal")
    scales = forward_module._scales(TINY, settings)
    made = forward_module._rows(TINY.obs, TINY.basal, TINY.fingerprints, scales, None, None)
    batch = forward_module._batch(made, np.arange(1), settings, scales, None)
    assert not np.shares_memory(batch.gene.numpy(), scales.tokens)


def test_tokens_are_the_genes_that_differ_most_between_lines():
    signatures, _ = screen()
    lines = signatures.basal.index[:4]
    basal = signatures.basal.iloc[:4].set_axis(TINY.basal.index)
    wide = replace(TINY, basal=basal, delta=np.ones((len(TINY.obs), basal.shape[1]), np.float32))
    tokens = forward_module._scales(wide, BRIEF).tokens
    sd = signatures.basal.loc[lines].std(axis=0, ddof=0).to_numpy()
    assert set(tokens) == set(np.argsort(-sd)[: BRIEF.n_tokens])


def test_a_prior_is_what_a_model_that_learned_nothing_predicts():
    prior = np.random.default_rng(0).normal(size=TINY.delta.shape).astype(np.float32)
    untaught = train_forward(TINY, steps(BRIEF, 0), prior=prior)
    assert (untaught.predict(TINY.obs, TINY.basal, prior=prior) == prior).all()
    assert not untaught.predict(TINY.obs, TINY.basal).any()
    taught = train_forward(TINY, replace(GLANCE, n_components=3), prior=prior)
    added = taught.predict(TINY.obs, TINY.basal, prior=prior) - prior
    assert np.abs(added).max() > 1e-4
    assert np.linalg.matrix_rank(added, tol=1e-4) <= 3
    blank = taught.predict(TINY.obs, TINY.basal, prior=np.zeros_like(prior))
    assert np.abs(added - blank).max() > 1e-4  # the correction goes by what it corrects
    assert added @ taught.scales.basis.T @ taught.scales.basis == pytest.approx(added, abs=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_first_error_is_the_weighted_square_of_what_the_prior_lacks(share):
    whole = replace(GLANCE, batch_size=len(TINY.delta))
    model = train_forward(TINY, whole, prior=share * TINY.delta)
    # Changes are divided by their weighted root mean square.
    assert model.history.rows[0]["mse"] == pytest.approx((1 - share) ** 2, abs=1e-5)
    assert model.scales.size**2 == pytest.approx(
        np.average(np.square(TINY.delta).mean(axis=1), weights=TINY.weight), rel=1e-5
    )


def test_contrasts_come_in_slowly():
    settings = replace(GLANCE, rank_weight=0.3, align_weight=0.7, warm_up=0.5)
    for done, row in enumerate(train_forward(TINY, settings).history.rows):
        up = min(1, done / 3)
        expected = row["mse"] + up * (0.3 * row["rank"] + 0.7 * row["align"])
        assert row["loss"] == pytest.approx(expected, rel=1e-4)
        assert row["rank"] > 0.1
        assert row["align"] > 0.1


def test_conditions_without_trust_have_no_say_in_the_contrasts():
    silent = train_forward(TINY, GLANCE, trust=np.zeros(len(TINY.obs))).history.rows
    assert all(row["rank"] == 0 and row["align"] == 0 and row["mse"] > 0 for row in silent)
    half = np.where(TINY.obs["cell_line"] == "L0", 1.0, 0.0)
    assert train_forward(TINY, GLANCE, trust=half).history.rows[0]["rank"] > 0


def forms_of_one_parent(key):
    """TINY, each drug another form (salt, enantiomer) of the same parent."""
    names = {k: key(i) for i, k in enumerate(TINY.fingerprints.index)}
    bits = TINY.fingerprints.rename(index=names)
    return replace(
        TINY,
        obs=TINY.obs.assign(compound_key=TINY.obs["compound_key"].map(names)),
        fingerprints=bits[~bits.index.duplicated()],
    )


def test_conditions_of_one_drug_are_no_negatives():
    one = train_forward(forms_of_one_parent(lambda i: "A" * 14), GLANCE).history.rows
    assert all(row["rank"] == 0 and row["align"] == 0 for row in one)


def test_forms_of_one_parent_are_no_negatives():
    """The first block of the key says it, as in the splits and in the inverse model."""
    forms = train_forward(forms_of_one_parent(lambda i: f"{'A' * 14}-{i}-N"), GLANCE)
    assert all(row["rank"] == 0 and row["align"] == 0 for row in forms.history.rows)


def noisy(signal, sd, n=40, genes=400, told=None):
    rng = np.random.default_rng(0)
    delta = signal * rng.choice([-1, 1], (n, genes)) + sd * rng.normal(size=(n, genes))
    error = np.full((n, genes), sd if told is None else told, dtype=np.float32)
    obs = pd.DataFrame(index=range(n))
    return Signatures(delta.astype(np.float32), error, obs, np.arange(genes), pd.DataFrame())


@pytest.mark.parametrize(("signal", "sd"), [(1.0, 1.0), (2.0, 0.5), (0.3, 0.6), (1.0, 1e-4)])
def test_reliability_is_the_share_of_what_is_no_noise(signal, sd):
    found = reliability(noisy(signal, sd))
    assert found.shape == (40,)
    assert found.mean() == pytest.approx(signal**2 / (signal**2 + sd**2), abs=0.02)


def test_reliability_keeps_within_0_and_1_and_trusts_where_no_error_is_known():
    assert reliability(noisy(0.0, 1.0)).mean() < 0.06
    assert (reliability(noisy(0.0, 1.0, told=5.0)) == 0).all()
    assert (reliability(noisy(1.0, 1.0, told=np.nan)) == 1).all()
    assert (reliability(noisy(1.0, 1.0, told=0.0)) == 1).all()
    assert (reliability(noisy(0.0, 0.0, told=1.0)) == 0).all()


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path, glances):
    kept = Checkpoints(tmp_path / "forward.pt")

    class Stopped(Exception):
        pass

    class Once:
        path = kept.path

        def load(self):
            return kept.load()

        def save(self, state):
            kept.save(state)
            raise Stopped

    settings = in_mode("masked", steps(GLANCE, 6, checkpoint_every=4))
    with pytest.raises(Stopped):
        train_forward(TINY, settings, checkpoints=Once())
    assert kept.load()["done"] == 4
    went_on = train_forward(TINY, settings, checkpoints=kept)
    whole = glances["masked"].net.state_dict()
    assert all((v == whole[name]).all() for name, v in went_on.net.state_dict().items())
    assert went_on.history.rows == glances["masked"].history.rows


def test_what_does_not_fit_is_refused(glances):
    with pytest.raises(InputError, match="'basel' is none of basal, query, masked, leaky"):
        ForwardSettings(mode="basel")
    model = glances["basal"]
    with pytest.raises(InputError, match="compound 'QQ' has no fingerprint: add its structure"):
        model.predict(TINY.obs.assign(compound_key="QQ"), TINY.basal)
    with pytest.raises(InputError, match="line 'HELA' has no basal expression: add its row"):
        model.predict(TINY.obs.assign(cell_line="HELA"), TINY.basal)
    with pytest.raises(InputError, match="give visible="):
        glances["leaky"].predict(TINY.obs, TINY.basal)


@pytest.mark.parametrize("dose", [0.0, -1.0, np.nan])
def test_a_dose_that_has_no_logarithm_is_refused(dose, glances):
    with pytest.raises(InputError, match="dose"):
        glances["basal"].predict(TINY.obs.assign(dose=dose), TINY.basal)
