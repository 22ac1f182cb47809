from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from screenbook.expression.effect_metrics import score_effects
from screenbook.expression.leaks import input_copy, kept_share, shuffle_drugs
from screenbook.expression.signatures import Signatures
from screenbook.expression.splits import Split
from screenbook.expression.variants import (
    COPIED,
    OTHER_DRUG,
    OTHER_LINE,
    RIGHT,
    imputed,
    leak_table,
    train_variant,
)
from small_expression import BRIEF, screen, steps, study

QUESTIONS = [RIGHT, OTHER_DRUG, OTHER_LINE]
N_GENES = 30


def planted(n_drugs=10, n_lines=4, seed=0):
    """Changes of a drug in a line, at two doses; the lower one is noise alone.

    The first drug was given at a tenth of the doses of the others.
    """
    rng = np.random.default_rng(seed)
    drug, line, dose = (i.ravel() for i in np.mgrid[:n_drugs, :n_lines, :2])
    effect = rng.normal(size=(n_drugs, n_lines, N_GENES))
    delta = np.where(dose[:, None] == 1, effect[drug, line], rng.normal(size=(len(drug), N_GENES)))
    obs = pd.DataFrame(
        {
            "compound_key": [f"{chr(65 + d) * 14}-X-N" for d in drug],
            "cell_line": [f"L{c}" for c in line],
            "dose": np.array([0.5, 5.0])[dose] * np.where(drug == 0, 0.1, 1),
        }
    )
    lines = [f"L{i}" for i in range(n_lines)]
    basal = pd.DataFrame(np.zeros((n_lines, N_GENES)), index=lines)
    genes = np.arange(N_GENES).astype(str)
    return Signatures(delta.astype(np.float32), 0 * delta + 1, obs, genes, basal)


SHOWN = planted()
TOP = np.arange(len(SHOWN)) % 2 == 1  # the higher dose of each drug
TRUTH = {
    (row.compound_key, row.cell_line): SHOWN.delta[i]
    for i, row in enumerate(SHOWN.obs.itertuples())
    if TOP[i]
}
TEST = np.arange(len(SHOWN)) % 8 < 6  # the last line trains


def looked_up(obs):
    return np.stack(
        [TRUTH[pair] for pair in zip(obs["compound_key"], obs["cell_line"], strict=True)]
    )


class Knows:
    """A forward model that knows what each drug does in each line."""

    settings = BRIEF

    def predict(self, obs, basal=None, visible=None):
        assert visible is None
        return looked_up(obs)


class Copies:
    """A leaky model that says what it is shown, whichever drug it is told."""

    settings = replace(BRIEF, mode="leaky", n_tokens=7)

    def predict(self, obs, basal, visible):
        return visible


class OfTheDrug(Knows):
    """Knows drugs, and takes all lines for the first."""

    def predict(self, obs, basal=None, visible=None):
        return looked_up(obs.assign(cell_line="L0"))


def planted_study():
    split = Split(np.where(TEST, "test", "train"), "pair")
    return SimpleNamespace(split=split, predictor=Knows())


@pytest.fixture(scope="module")
def planted_table():
    return leak_table(SHOWN, planted_study(), {"copies": Copies(), "of the drug": OfTheDrug()})


def test_each_model_is_asked_each_question_and_a_copy_stands_beside_the_leaky_one(planted_table):
    assert planted_table.columns.tolist() == ["model", "question", "value", "low", "high"]
    asked = planted_table.groupby("model", sort=False)["question"].agg(list).to_dict()
    assert asked == {
        "forward model": QUESTIONS,
        "copies": [*QUESTIONS, COPIED],
        "of the drug": QUESTIONS,
    }
    assert (planted_table["low"] <= planted_table["value"] + 1e-9).all()
    assert (planted_table["value"] <= planted_table["high"] + 1e-9).all()


def scores(table, model):
    return table[table["model"] == model].set_index("question")["value"]


def test_a_model_that_knows_is_right_with_the_right_drug_and_line_alone(planted_table):
    knows = scores(planted_table, "forward model")
    assert knows[RIGHT] == pytest.approx(1)
    assert abs(knows[OTHER_DRUG]) < 0.2
    assert abs(knows[OTHER_LINE]) < 0.2


def test_a_model_that_copies_scores_the_same_whichever_drug_it_is_told(planted_table):
    copies = scores(planted_table, "copies")
    assert copies[QUESTIONS].tolist() == pytest.approx([1, 1, 1])
    asked = TEST & TOP
    shown = input_copy(SHOWN.delta[asked], Copies.settings.n_tokens)
    expected = score_effects(shown, SHOWN.delta[asked])["pearson"].mean()
    assert copies[COPIED] == pytest.approx(expected)
    assert expected < 0.99


def test_a_model_that_takes_lines_for_one_loses_nothing_by_their_exchange(planted_table):
    of_drug = scores(planted_table, "of the drug")
    assert of_drug[RIGHT] == pytest.approx(of_drug[OTHER_LINE])
    assert of_drug[OTHER_DRUG] < of_drug[RIGHT] - 0.2


def test_drugs_are_exchanged_by_the_seed_and_by_no_other_draw(planted_table):
    again = leak_table(SHOWN, planted_study(), {"copies": Copies(), "of the drug": OfTheDrug()})
    pd.testing.assert_frame_equal(again, planted_table)
    asked = SHOWN.subset(TEST & TOP)
    for seed in (0, 4):
        table = leak_table(SHOWN, planted_study(), {}, seed=seed)
        told = looked_up(shuffle_drugs(asked.obs, seed))
        expected = score_effects(told, asked.delta)["pearson"].mean()
        assert scores(table, "forward model")[OTHER_DRUG] == pytest.approx(expected)


@dataclass(frozen=True)
class Fills:
    """A masked model that gives back what it is shown, and of the rest knows a part or nothing."""

    knows: bool
    scales: SimpleNamespace

    def predict(self, obs, basal, visible=None):
        noise = np.random.default_rng(1).normal(size=(len(obs), N_GENES))
        if visible is None:
            return noise
        rest = looked_up(obs) if self.knows else noise
        own = np.zeros(N_GENES, dtype=bool)
        own[self.scales.tokens] = True
        return np.where(np.isfinite(visible) & own, visible, rest)


def test_imputation_is_scored_on_genes_that_are_withheld_alone():
    tokens = SimpleNamespace(tokens=np.arange(0, N_GENES, 2))
    fills = imputed(SHOWN, planted_study(), Fills(True, tokens))
    assert list(fills) == ["some shown", "none shown"]
    assert fills["some shown"] == pytest.approx(1)
    assert abs(fills["none shown"]) < 0.15
    copies = imputed(SHOWN, planted_study(), Fills(False, tokens))
    # It gives back a seventh of all genes exactly, and none of those is asked for.
    assert copies["some shown"] == pytest.approx(copies["none shown"])


@pytest.fixture(scope="module")
def variants():
    signatures, bits = screen()
    return {
        mode: train_variant(signatures, bits, study(), replace(BRIEF, mode=mode))
        for mode in ("leaky", "masked")
    }


def test_told_wrong_drugs_the_leaky_model_keeps_its_score_and_the_forward_model_does_not(variants):
    signatures, _ = screen()
    table = leak_table(signatures, study(), {"leaky": variants["leaky"]})
    kept = {}
    for model in ("forward model", "leaky"):
        found = scores(table, model)
        assert found[RIGHT] > 0.2
        kept[model] = kept_share(found[RIGHT], found[OTHER_DRUG], 0.0)
    assert kept["leaky"] > 0.7
    assert kept["forward model"] < 0.5


def test_a_masked_model_can_be_asked_to_fill_in(variants):
    signatures, _ = screen()
    found = imputed(signatures, study(), variants["masked"])
    assert list(found) == ["some shown", "none shown"]
    assert np.isfinite(list(found.values())).all()
    assert found["some shown"] != found["none shown"]
    assert imputed(signatures, study(), variants["masked"]) == found


def test_a_variant_learns_from_the_training_part_alone():
    signatures, bits = screen()
    settings = steps(BRIEF, 3)
    moved = {}
    for name in ("train", "validation", "test"):
        rows = study().split.part == name
        delta, error = signatures.delta.copy(), signatures.error.copy()
        delta[rows] += 1
        error[rows] *= 2
        other = replace(signatures, delta=delta, error=error)
        weights = train_variant(other, bits, study(), settings).net.state_dict()
        moved[name] = weights["head.1.weight"]
    first = train_variant(signatures, bits, study(), settings)
    weight = first.net.state_dict()["head.1.weight"]
    assert (moved["test"] == weight).all()
    assert (moved["train"] != weight).any()
    assert (moved["validation"] != weight).any()
