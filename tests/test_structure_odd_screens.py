"""Screens that have little to ask go through what report 08 does, in its order, and say so."""

import re

import numpy as np
import pandas as pd
import pytest

from planted_mechanisms import wells_of
from planted_structures import library
from screenbook.errors import InputError
from screenbook.figures import mechanism_geometry, structure_tests, structure_towers
from screenbook.profiles.treatment_means import treatment_means
from screenbook.structure.compound_profiles import compound_profiles
from screenbook.structure.findings import summarise_findings
from screenbook.structure.held_out_structure import held_out_table
from screenbook.structure.held_out_towers import train_held_out
from screenbook.structure.imaged_compounds import match_structures
from screenbook.structure.mantel import RESTRICTED, mantel_table
from screenbook.structure.mechanism_calls import call_mechanisms
from screenbook.structure.mechanism_geometry import (
    askable,
    confusion,
    cosine_distances,
    mechanism_measures,
    mechanism_table,
)
from screenbook.structure.mechanism_matches import match_scores, match_treatments
from screenbook.structure.neighbour_structure import neighbour_table
from screenbook.structure.own_mean import own_mean_distances
from screenbook.structure.planted import Planting, rejection_rates
from screenbook.structure.score_prediction import judge_predictions, predict_held_out
from screenbook.structure.similarity import compound_set
from screenbook.structure.structure_retrieval import retrieve_structures

ONE_SCAFFOLD = ["c1ccccc1" + "C" * (i + 1) for i in range(12)]


class Screen:
    """Twelve active compounds of three mechanisms, each with a structure, on four plates."""

    def __init__(self, n_mechanisms=3, size=4, n_plates=4):
        made = wells_of(n_mechanisms, size, n_inactive=0, n_plates=n_plates)
        self.points, self.wells, self.about, self.activity = made
        self.about["smiles"] = library(n_mechanisms * size)["smiles"].to_numpy()
        self.where = dict.fromkeys(self.wells["batch"], "E")

    def profiles(self):
        self.means = treatment_means(self.points, self.wells, "diseased")
        self.everyone = compound_profiles(self.means, self.about, self.activity)
        self.active = self.everyone.subset(self.everyone.table["active"].to_numpy())
        return self.active

    def mechanisms(self):
        """Measures, matches and calls; every figure is drawn."""
        active = self.profiles()
        about = active.table[["compound", "moa"]]
        _, own = own_mean_distances(active.plate_profiles, active.on_plates["compound"].to_numpy())
        mechanism_geometry.own_mean_rows(own.join(about, on="group"), title="")
        known = active.subset(askable(active.table["moa"].to_numpy()))
        moa, distance = known.table["moa"].to_numpy(), cosine_distances(known.profiles)
        measures = mechanism_measures(distance, moa, n_permutations=99)
        mechanism_geometry.distance_heat(distance, known.table, title="")
        each = pd.DataFrame()
        if len(measures):
            each = mechanism_table(distance, moa, null_size=99)
            mechanism_geometry.mechanism_rows(each, 0.05, title="")
        match = match_treatments(self.means, self.about, self.where, n_permutations=20)
        matches = pd.DataFrame()
        if match is not None:
            matches = match_scores(match, self.means, self.where).assign(which="all treatments")
            mechanism_geometry.confusion_heat(confusion(match.table), title="")
        calls = call_mechanisms(self.everyone, null_size=99)
        summary = summarise_findings(measures, matches, each, None, pd.DataFrame(), 0.05)
        return measures, matches, calls, summary

    def compounds(self):
        t = self.active.table
        columns = t["compound"], t["smiles"], t["moa"]
        return compound_set(*columns, self.active.profiles, t["strength"].to_numpy())

    def imaged(self):
        return match_structures(
            self.means.profiles, self.means.treatments["compound_key"], self.about
        )

    def structure(self):
        """Tests of structure, plantings, and scaffolds held out; every figure is drawn."""
        compounds = self.compounds()
        pairs = mantel_table(compounds, n_permutations=99)
        structure_tests.correlations_beside_nulls(pairs, title="")
        rates = rejection_rates(compounds, Planting(n_plantings=1))
        structure_tests.power_curves(rates, title="")
        neighbour_table(compounds, n_permutations=99)
        told = held_out_table(compounds, n_permutations=19)
        structure_tests.held_out_properties(told, title="")
        return pairs, told


def verdict_of(pairs):
    return pairs[pairs["representation"] == "Morgan"].set_index("test").loc[RESTRICTED]


def label(screen, mechanisms):
    screen.about["moa"] = mechanisms
    return screen


@pytest.mark.parametrize(
    "mechanisms",
    ["", "M", [f"M{i}" for i in range(12)]],
    ids=["none known", "one only", "one compound each"],
)
def test_mechanisms_that_cannot_be_told_apart_are_not_asked(mechanisms):
    screen = label(Screen(), mechanisms)
    measures, matches, calls, summary = screen.mechanisms()
    assert measures.empty
    assert matches.empty
    assert summary.empty
    assert "p" in summary
    assert (calls["verdict"] != "called").all()
    if mechanisms != "M":
        assert (calls["verdict"] == "not testable").all()
        strict = verdict_of(screen.structure()[0])
        assert np.isnan(strict["p"])
        assert strict["note"] in (
            "0 compounds of known mechanism, 10 are needed",
            "too few compounds share a mechanism",
        )


def test_without_an_active_compound_there_is_an_empty_answer():
    screen = Screen()
    screen.activity["replicate_q"] = 1.0
    measures, _, calls, _ = screen.mechanisms()
    assert measures.empty
    assert (calls["verdict"] == "inactive").all()
    refusal = screen.compounds().refusal
    assert refusal.startswith("0 compounds")
    assert refusal.endswith("structure: add compounds")  # SMILES are there: nothing to mend


@pytest.mark.parametrize(
    ("smiles", "said"), [("", "no structure"), ("C1CC(", r"(SMILES|structure) cannot be read")]
)
def test_without_a_readable_structure_mechanisms_are_asked_all_the_same(smiles, said):
    screen = Screen()
    screen.about["smiles"] = smiles
    measures, *_ = screen.mechanisms()
    assert measures.set_index("measure").loc["ratio", "value"] < 0.5
    for refusal in (screen.compounds().refusal, screen.imaged().refusal):
        assert re.search(f"left out: 12 x {said}", refusal)
        assert refusal.endswith(("give SMILES in the metadata", "add SMILES to the metadata"))


def test_one_plate_has_no_replicates_to_agree_and_is_asked_the_rest():
    screen = Screen(n_plates=1)
    _, matches, calls, _ = screen.mechanisms()
    _, own = own_mean_distances(screen.active.plate_profiles, np.arange(12))
    assert own.empty
    assert (calls["n_plates"] == 1).all()
    by_rule = matches.set_index("rule")
    assert by_rule.loc["NSC", "value"] > 0.9
    assert np.isnan(by_rule.loc["NSCB", "value"])
    assert by_rule.loc["NSCB", "n_left_out"] == 12


def test_two_compounds_are_too_few_for_everything():
    screen = Screen(n_mechanisms=1, size=2)
    measures, _, calls, _ = screen.mechanisms()
    assert measures.empty
    assert (calls["verdict"] == "not testable").all()
    assert screen.compounds().refusal.startswith("2 compounds")
    assert "2 compounds have both, and it takes 10: add compounds" in screen.imaged().refusal


def test_compounds_of_one_scaffold_have_none_to_hold_out():
    screen = Screen()
    screen.about["smiles"] = ONE_SCAFFOLD
    screen.mechanisms()
    pairs, told = screen.structure()
    assert np.isfinite(verdict_of(pairs)["p"])
    assert told["value"].isna().all()
    assert told["note"].str.contains("scaffold").all()
    with pytest.raises(InputError, match="12 compounds are of 1 scaffolds, and it takes 5"):
        train_held_out(screen.imaged(), encoders=())


def test_without_networks_the_baselines_answer():
    screen = Screen(n_mechanisms=5)
    screen.mechanisms()
    imaged = screen.imaged()
    held_out = train_held_out(imaged, encoders=())
    found, _ = retrieve_structures(imaged, held_out, n_draws=50)
    structure_towers.retrieval_rows(found, metric="reciprocal_rank", title="")
    assert not found["method"].str.startswith("towers").any()
    foretold = predict_held_out(imaged, np.zeros(imaged.n_given), held_out)
    structure_towers.predicted_scores(foretold, title="")
    judged = judge_predictions(foretold, n_draws=50)
    assert judged["spearman"].isna().all()  # all scores are equal: there is no order to foretell
    assert (judged["p"] == 1).all()
