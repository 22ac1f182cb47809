from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from screenbook.chemistry import parent
from screenbook.errors import InputError
from screenbook.expression.splits import parent_blocks
from screenbook.expression.target_baselines import (
    frequent_targets,
    neighbour_targets,
    score_targets,
    target_table,
)
from screenbook.fingerprints import morgan_fingerprints

DRUGS = Path(__file__).parents[2] / "shared" / "data" / "tahoe_metadata" / "drug_metadata.parquet"

BITS = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 1], [0, 0, 0, 1, 0]], dtype=float)
KNOWN = target_table(["A;B", "A", "C", ""])


def test_targets_are_read_in_any_case_and_unknown_ones_are_none():
    table = target_table(["egfr; ERBB2", "", "unclear", "EGFR;None"])
    assert table.columns.tolist() == ["EGFR", "ERBB2"]
    assert table.to_numpy().tolist() == [[1, 1], [0, 0], [0, 0], [1, 0]]
    assert target_table(["B;X"], ["A", "B"]).to_numpy().tolist() == [[False, True]]


def test_neighbours_give_their_targets_by_their_similarity():
    found = neighbour_targets(BITS[:1], BITS, KNOWN)
    assert found.loc[0].tolist() == pytest.approx([1 + 2 / 3, 1, 0])
    only = neighbour_targets(BITS[:1], BITS, KNOWN, k=1)
    assert only.loc[0].tolist() == pytest.approx([1, 1, 0])


def test_a_query_learns_nothing_from_what_is_excluded():
    own = np.eye(4, dtype=bool)
    found = neighbour_targets(BITS, BITS, KNOWN, excluded=own)
    assert found.loc[0].tolist() == pytest.approx([2 / 3, 0, 0])
    other = KNOWN.copy()
    other.loc[0] = [False, False, True]
    changed = neighbour_targets(BITS, BITS, other, excluded=own)
    assert (changed.loc[0] == found.loc[0]).all()
    assert not (changed.loc[1] == found.loc[1]).all()
    counts = frequent_targets(4, KNOWN, excluded=own)
    assert counts.to_numpy().tolist() == [[1, 0, 1], [1, 1, 1], [2, 1, 0], [2, 1, 1]]


def test_a_structure_that_cannot_be_read_has_no_neighbours():
    found = neighbour_targets(np.zeros((1, 5)), BITS, KNOWN)
    assert found.isna().all(axis=None)
    scored = score_targets(found, ["A"], ks=(1,))
    assert scored["recall@1"].tolist() == pytest.approx([1 / 3])


def test_scores_are_those_of_the_textbook():
    scores = pd.DataFrame([[3.0, 2, 1]], columns=["A", "B", "C"])
    found = score_targets(scores, ["A;C"], ks=(2, 3)).loc[0]
    assert found["recall@2"] == 0.5
    assert found["ap@3"] == pytest.approx((1 + 2 / 3) / 2)
    ideal = 1 + 1 / np.log2(3)
    assert found["ndcg@3"] == pytest.approx((1 + 1 / np.log2(4)) / ideal)


def test_a_target_that_cannot_be_named_is_missed_and_an_unknown_list_is_not_scored():
    scores = pd.DataFrame([[3.0, 2, 1]] * 2, columns=["A", "B", "C"])
    found = score_targets(scores, ["A;NEW", ""], ks=(3,))
    assert found["n_targets"].tolist() == [2, 0]
    assert found["recall@3"].iloc[0] == 0.5
    assert np.isnan(found["recall@3"].iloc[1])


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="4 fingerprints and 1 lists"):
        neighbour_targets(BITS, BITS, KNOWN.iloc[:1])
    with pytest.raises(InputError, match="excluded has shape"):
        frequent_targets(3, KNOWN, excluded=np.eye(4, dtype=bool))
    with pytest.raises(InputError, match="1 rankings and 2 lists"):
        score_targets(pd.DataFrame([[1.0]], columns=["A"]), ["A", "A"])


@pytest.mark.skipif(not DRUGS.exists(), reason="the real drug table of Tahoe-100M is not here")
def test_structure_names_targets_of_real_drugs_as_often_as_published():
    drugs = pd.read_parquet(DRUGS)
    smiles = drugs["canonical_smiles"].fillna("")
    found = [parent(s) if s else None for s in smiles]
    keys = [p[1] if p else f"name:{n}" for p, n in zip(found, drugs["drug"], strict=True)]
    bits = morgan_fingerprints(drugs["drug"], smiles).bits.to_numpy()
    targets = drugs["targets"].fillna("").str.replace(",", ";")
    known = (targets != "").to_numpy()
    table = target_table(targets[known])
    assert table.shape == (264, 280)
    block = parent_blocks(keys)[known]
    same_name, same_parent = np.eye(len(block), dtype=bool), block[:, None] == block[None]
    # Recall@5, mAP@5 and NDCG@5 as found before, with and without other names of the drug.
    for excluded, expected in (
        (same_name, (0.385, 0.336, 0.360)),
        (same_parent, (0.316, 0.272, 0.296)),
    ):
        scores = neighbour_targets(bits[known], bits[known], table, excluded=excluded)
        ours = score_targets(scores, targets[known])[["recall@5", "ap@5", "ndcg@5"]].mean()
        assert tuple(ours) == pytest.approx(expected, abs=0.02)
        rare = score_targets(frequent_targets(264, table, excluded=excluded), targets[known])
        assert rare["recall@5"].mean() < 0.6 * ours["recall@5"]
