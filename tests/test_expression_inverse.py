"""Planted signatures: groups of drugs that share a change, some bits of structure and a target."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from screenbook.checkpoints import Checkpoints
from screenbook.contrastive import COLDEST, WARMEST
from screenbook.errors import InputError
from screenbook.expression.inverse import InverseSettings, train_inverse
from screenbook.expression.inverse_net import (
    InverseNet,
    InverseShape,
    target_loss,
)
from screenbook.expression.training_rows import TrainingRows
from screenbook.training import TrainSettings

N_DRUGS, N_LINES, N_GENES, N_BITS = 24, 6, 30, 64
N_GROUPS = 4
QUICK = InverseSettings(
    n_components=16,
    width=48,
    n_space=16,
    batch_size=72,
    training=TrainSettings(n_steps=130, learning_rate=5e-3, warmup_steps=10, clip=1.0),
)


def planted(seed=0, noise=0.3, twins=False):
    """Drug d of group d % 4: bits and a direction of its group, some of its own, in all lines.

    With twins, every second drug is another name of the one before it.
    """
    rng = np.random.default_rng(seed)
    drug, line = (i.ravel() for i in np.mgrid[:N_DRUGS, :N_LINES])
    group = np.arange(N_DRUGS) % N_GROUPS
    bits = (rng.random((N_DRUGS, N_BITS)) < 0.1).astype(np.float32)
    bits[:, : 6 * N_GROUPS] = np.repeat(np.eye(N_GROUPS)[group], 6, axis=1)
    effect = 1.5 * rng.normal(size=(N_GROUPS, N_GENES))[group]
    effect = effect + 0.6 * rng.normal(size=(N_DRUGS, N_GENES))
    if twins:
        first = np.arange(N_DRUGS) // 2 * 2
        bits, effect, group = bits[first], effect[first], group[first]
    keys = [f"{chr(65 + d) * 14}-X-N" for d in range(N_DRUGS)]
    lines = [f"L{i}" for i in range(N_LINES)]
    obs = pd.DataFrame(
        {
            "compound_key": np.array(keys, dtype=object)[drug],
            "cell_line": np.array(lines, dtype=object)[line],
            "dose": 5.0,
            "moa": "",
            "n_cells": 100.0,
            "targets": [f"T{g}" for g in group[drug]],
        }
    )
    delta = effect[drug] + noise * rng.normal(size=(len(drug), N_GENES))
    return TrainingRows(
        delta=delta.astype(np.float32),
        obs=obs,
        fingerprints=pd.DataFrame(bits, index=keys),
        basal=pd.DataFrame(rng.normal(size=(N_LINES, N_GENES)), index=lines),
        weight=np.ones(len(drug)),
        unit=obs["compound_key"].to_numpy(),
    )


def part(rows, keep):
    return replace(
        rows,
        delta=rows.delta[keep],
        obs=rows.obs[keep],
        weight=rows.weight[keep],
        unit=rows.unit[keep],
    )


def asked(rows):
    return rows.delta, rows.basal.loc[rows.obs["cell_line"]].to_numpy()


@pytest.fixture(scope="module")
def seen_in_other_lines():
    rows = planted()
    new = rows.obs["cell_line"].eq("L5").to_numpy()
    train = part(rows, ~new)
    return train, part(rows, new), train_inverse(train, train.obs["targets"], QUICK)


def own_ranks(scores):
    return 1 + (scores > np.diag(scores)[:, None]).sum(axis=1)


def test_a_signature_finds_its_drug_and_its_target_in_a_line_never_seen(seen_in_other_lines):
    train, test, model = seen_in_other_lines
    scores = model.rank(*asked(test), train.fingerprints.to_numpy())
    assert scores.shape == (N_DRUGS, N_DRUGS)
    assert np.abs(scores).max() <= 1 + 1e-5
    assert np.mean(own_ranks(scores) == 1) > 0.8
    targets = model.targets(*asked(test))
    assert targets.columns.tolist() == ["T0", "T1", "T2", "T3"]
    assert np.mean(targets.idxmax(axis=1).to_numpy() == test.obs["targets"].to_numpy()) > 0.95


def test_a_drug_never_profiled_is_found_by_the_bit_of_its_group():
    rows = planted()
    new = rows.obs["compound_key"].isin(rows.fingerprints.index[-4:]).to_numpy()
    train, test = part(rows, ~new), part(rows, new)
    model = train_inverse(train, train.obs["targets"], QUICK)
    scores = model.rank(*asked(test), rows.fingerprints.to_numpy()[-4:])
    own = rows.fingerprints.index[-4:].get_indexer(test.obs["compound_key"])
    assert np.mean(scores.argmax(axis=1) == own) > 0.6  # 0.25 by chance


def test_shuffled_structures_are_not_found():
    rows = planted()
    new = rows.obs["compound_key"].isin(rows.fingerprints.index[-4:]).to_numpy()
    mixed = rows.fingerprints.copy()
    mixed.iloc[:-4] = mixed.iloc[np.random.default_rng(1).permutation(N_DRUGS - 4)].to_numpy()
    train = replace(part(rows, ~new), fingerprints=mixed)
    model = train_inverse(train, [""] * len(train.obs), QUICK)
    scores = model.rank(*asked(part(rows, new)), rows.fingerprints.to_numpy()[-4:])
    own = np.repeat(np.arange(4), N_LINES)
    assert np.mean(scores.argmax(axis=1) == own) < 0.6
    assert model.targets(*asked(train)).shape == (len(train.obs), 0)


def test_same_seed_same_model_and_another_seed_another(seen_in_other_lines):
    train, test, model = seen_in_other_lines
    again = train_inverse(train, train.obs["targets"], QUICK)
    assert (again.embed(*asked(test)) == model.embed(*asked(test))).all()
    other = replace(QUICK, training=replace(QUICK.training, seed=1))
    moved = train_inverse(train, train.obs["targets"], other).embed(*asked(test))
    assert np.abs(moved - model.embed(*asked(test))).max() > 0.1


def test_changes_without_trust_have_hardly_a_say():
    rows = planted()
    rng = np.random.default_rng(3)
    junk = np.arange(len(rows.obs)) % 2 == 1
    delta = rows.delta.copy()
    # Half of the training shows another drug's change.
    delta[junk] = delta[rng.permutation(np.flatnonzero(junk))]
    dirty = replace(rows, delta=delta)
    found = {}
    for name, trust in (("told", np.where(junk, 0.0, 1.0)), ("not told", None)):
        model = train_inverse(dirty, dirty.obs["targets"], QUICK, trust=trust)
        scores = model.rank(*asked(part(planted(), ~junk)), rows.fingerprints.to_numpy())
        own = np.repeat(np.arange(N_DRUGS), N_LINES)[~junk]
        found[name] = scores[np.arange(len(own)), own].mean()
    assert found["told"] > found["not told"] + 0.05


def test_names_of_one_parent_are_no_negatives():
    rows = planted(twins=True)
    # The first block of the key says it: the rest tells salts and enantiomers apart.
    block = {f"{chr(65 + d) * 14}-X-N": f"{chr(65 + d - d % 2) * 14}-{d}-N" for d in range(N_DRUGS)}
    told = replace(
        rows,
        obs=rows.obs.assign(compound_key=rows.obs["compound_key"].map(block)),
        fingerprints=rows.fingerprints.rename(index=block),
    )
    left = [
        train_inverse(some, some.obs["targets"], QUICK).history.rows[-1]["structure"]
        for some in (told, rows)
    ]
    # Two names that cannot be told apart cost the log of 2 at least where they have to be.
    assert left[0] < left[1] - np.log(2)


def test_drugs_without_structure_have_no_say_in_the_term_of_structures():
    rows = planted()
    blind = rows.fingerprints.copy()
    blind.iloc[N_DRUGS // 2 :] = 0
    model = train_inverse(replace(rows, fingerprints=blind), rows.obs["targets"], QUICK)
    # Half of the signatures would each be at a loss between twelve equal structures.
    assert model.history.rows[-1]["structure"] < np.log(N_DRUGS / 2) / 2
    blind[:] = 0
    with pytest.raises(InputError, match="no two training drugs differ in structure"):
        train_inverse(replace(rows, fingerprints=blind), rows.obs["targets"], QUICK)


def test_temperatures_stay_within_their_limits():
    net = InverseNet(InverseShape(n_change=3, n_basal=1, n_bits=4, n_targets=2))
    with torch.no_grad():
        net.log_temperature.copy_(torch.tensor([-30.0, 30.0]))
    assert net.temperatures.tolist() == pytest.approx([COLDEST, WARMEST])


def test_target_loss_is_the_cross_entropy_over_targets():
    rng = np.random.default_rng(0)
    read, genes = (
        torch.from_numpy(rng.normal(size=(3, 5))),
        torch.from_numpy(rng.normal(size=(4, 5))),
    )
    member = torch.tensor([[1.0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], dtype=torch.float64)
    weight = torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64)
    logits = read @ genes.T / 0.2
    share = member / member.sum(dim=1, keepdim=True).clamp_min(1)
    each = torch.nn.functional.cross_entropy(logits, share, reduction="none")
    expected = (each[:2] * weight[:2]).sum() / 4
    assert target_loss(read, genes, member, weight, 0.2).item() == pytest.approx(expected.item())


def test_a_run_that_was_stopped_goes_on_to_the_same_model(tmp_path, seen_in_other_lines):
    train, test, model = seen_in_other_lines
    kept = Checkpoints(tmp_path / "inverse.pt")

    class Stopped(Exception):
        pass

    class Once:
        path = kept.path

        def load(self):
            return kept.load()

        def save(self, state):
            kept.save(state)
            raise Stopped

    settings = replace(QUICK, training=replace(QUICK.training, checkpoint_every=50))
    with pytest.raises(Stopped):
        train_inverse(train, train.obs["targets"], settings, checkpoints=Once())
    resumed = train_inverse(train, train.obs["targets"], settings, checkpoints=kept)
    assert (resumed.embed(*asked(test)) == model.embed(*asked(test))).all()


def test_a_candidate_without_structure_has_no_score(seen_in_other_lines):
    train, test, model = seen_in_other_lines
    bits = train.fingerprints.to_numpy().copy()
    bits[2] = 0
    scores = model.rank(*asked(test), bits)
    assert np.isnan(scores[:, 2]).all()
    assert np.isnan(scores).sum() == len(scores)


def test_what_does_not_fit_is_refused(seen_in_other_lines):
    train, test, model = seen_in_other_lines
    delta, basal = asked(test)
    with pytest.raises(InputError, match="30 genes"):
        model.embed(delta[:, :5], basal)
    with pytest.raises(InputError, match="basal has shape"):
        model.embed(delta, basal[:2])
    broken = delta.copy()
    broken[3, 1] = np.nan
    with pytest.raises(InputError, match="row 4 of delta"):
        model.targets(broken, basal)
    with pytest.raises(InputError, match="5 bits"):
        model.rank(delta, basal, np.ones((2, 5)))
    with pytest.raises(InputError, match="2 targets for 120"):
        train_inverse(train, ["", ""], QUICK)
    with pytest.raises(InputError, match="1 trust for 120"):
        train_inverse(train, train.obs["targets"], QUICK, trust=np.ones(1))
