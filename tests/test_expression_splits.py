from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screenbook.chemistry import name_compounds, scaffold
from screenbook.errors import InputError
from screenbook.expression.overlap import overlap_audit
from screenbook.expression.splits import (
    RULES,
    Split,
    parent_blocks,
    split_conditions,
    split_units,
)
from screenbook.fingerprints import morgan_fingerprints

TAHOE = Path(__file__).parents[2] / "shared" / "data" / "tahoe_metadata"
RINGS = ("c1ccccc1", "c1ccncc1", "C1CCNCC1", "c1ccc2ccccc2c1", "c1ccoc1", "c1ccsc1")
TAILS = ("", "C", "CC", "CO", "CN")


def conditions(n_lines=6, doses=(0.05, 0.5, 5.0)):
    """Thirty drugs of six scaffolds, five mechanisms across them, every line and dose."""
    drugs = [
        {
            "compound": f"drug {r}{t}",
            "compound_key": f"{'ABCDEF'[r]}{'ABCDE'[t]}{'X' * 12}-UHFFFAOYSA-N",
            "SMILES": tail + ring,
            "moa": f"M{t}",
        }
        for r, ring in enumerate(RINGS)
        for t, tail in enumerate(TAILS)
    ]
    rows = [
        {**drug, "cell_line": f"L{c}", "dose": dose, "plate": f"p{dose}"}
        for drug in drugs
        for c in range(n_lines)
        for dose in doses
    ]
    return pd.DataFrame(rows)


def sides(obs, split, column):
    return [set(obs.loc[split.part == p, column]) for p in ("train", "validation", "test")]


def disjoint(parts):
    return all(not a & b for i, a in enumerate(parts) for b in parts[i + 1 :])


@pytest.mark.parametrize("rule", RULES)
def test_a_drug_in_a_line_is_on_one_side_and_the_parts_cover_all(rule):
    obs = conditions()
    split = split_conditions(obs, rule, seed=3)
    parts = split.train | split.validation | split.test | split.dropped
    assert parts.all()
    assert split.rule == rule
    assert split.train.any()
    assert split.validation.any()
    assert split.test.any()
    per_pair = pd.Series(split.part).groupby([obs["compound_key"], obs["cell_line"]]).nunique()
    assert per_pair.eq(1).all()
    assert split.dropped.any() == (rule == "drug_line")


def test_what_each_rule_keeps_apart():
    obs = conditions()
    obs["scaffold"] = obs["SMILES"].map(scaffold)
    keeps = {
        "line": "cell_line",
        "drug": "compound_key",
        "scaffold": "scaffold",
        "mechanism": "moa",
    }
    for seed in range(5):
        for rule, column in keeps.items():
            split = split_conditions(obs, rule, seed=seed)
            assert disjoint(sides(obs, split, column)), rule
        both = split_conditions(obs, "drug_line", seed=seed)
        assert disjoint(sides(obs, both, "cell_line"))
        assert disjoint(sides(obs, both, "compound_key"))
        pair = split_conditions(obs, "pair", seed=seed)
        train, validation, test = sides(obs, pair, "compound_key")
        assert validation | test <= train
        train, validation, test = sides(obs, pair, "cell_line")
        assert validation | test <= train


def describe_split(obs, split):
    """Count what each part holds."""
    table = pd.DataFrame(
        {
            "part": split.part,
            "drug": parent_blocks(obs["compound_key"]),
            "line": obs["cell_line"].astype(str).to_numpy(),
        }
    )
    rows = [
        {
            "part": part,
            "n_conditions": len(some),
            "n_drugs": some["drug"].nunique(),
            "n_lines": some["line"].nunique(),
            "n_pairs": len(some[["drug", "line"]].drop_duplicates()),
        }
        for part in ("train", "validation", "test", "dropped")
        if len(some := table[table["part"] == part])
    ]
    return pd.DataFrame(rows)


def test_shares_are_kept():
    obs = conditions(n_lines=10)
    pair = describe_split(obs, split_conditions(obs, "pair")).set_index("part")
    assert pair["n_pairs"].to_dict() == {"train": 210, "validation": 30, "test": 60}
    assert pair["n_conditions"].to_dict() == {"train": 630, "validation": 90, "test": 180}
    drug = describe_split(obs, split_conditions(obs, "drug")).set_index("part")
    assert drug["n_drugs"].to_dict() == {"train": 21, "validation": 3, "test": 6}
    line = describe_split(obs, split_conditions(obs, "line", validation=0)).set_index("part")
    assert line["n_lines"].to_dict() == {"train": 8, "test": 2}
    both = describe_split(obs, split_conditions(obs, "drug_line")).set_index("part")
    assert both["n_pairs"].to_dict() == {
        "train": 21 * 7,
        "validation": 3 * 1,
        "test": 6 * 2,
        "dropped": 300 - 147 - 3 - 12,
    }


@pytest.mark.parametrize("rule", RULES)
def test_the_seed_decides_and_the_order_of_rows_does_not(rule):
    obs = conditions()
    split = split_conditions(obs, rule, seed=1)
    assert (split.part == split_conditions(obs, rule, seed=1).part).all()
    order = np.random.default_rng(0).permutation(len(obs))
    shuffled = split_conditions(obs.iloc[order], rule, seed=1)
    assert (shuffled.part == split.part[order]).all()
    others = {tuple(split_conditions(obs, rule, seed=s).part) for s in range(6)}
    assert len(others) > 2


def test_enantiomers_and_salts_stay_together():
    obs = conditions()
    twin = obs[obs["compound"] == "drug 00"].assign(
        compound="drug 00 (R)", compound_key=f"AA{'X' * 12}-RRRRRRRRSA-N"
    )
    obs = pd.concat([obs, twin], ignore_index=True)
    for seed in range(12):
        split = split_conditions(obs, "drug", seed=seed)
        assert disjoint(sides(obs.assign(p=parent_blocks(obs["compound_key"])), split, "p"))
    assert parent_blocks(["name:alpha-x-y", "ABCDEFGHIJKLMN-UHFFFAOYSA-N"]).tolist() == [
        "name:alpha-x-y",
        "ABCDEFGHIJKLMN",
    ]


def test_a_common_scaffold_and_unknown_units_train():
    obs = conditions()
    common = [
        obs[obs["compound"] == "drug 00"].assign(
            compound_key=f"Z{i:02d}{'Y' * 11}-UHFFFAOYSA-N", SMILES="C" * i + "c1ccccc1"
        )
        for i in range(3, 20)
    ]
    blank = obs[obs["compound"] == "drug 10"].assign(
        compound_key="name:odd", SMILES="not a structure", moa=""
    )
    acyclic = [
        obs[obs["compound"] == "drug 10"].assign(
            compound_key=f"W{i:02d}{'Y' * 11}-UHFFFAOYSA-N", SMILES="C" * i + "O"
        )
        for i in range(1, 3)
    ]
    obs = pd.concat([obs, *common, blank, *acyclic], ignore_index=True)
    units = split_units(obs, "scaffold")
    assert set(units[obs["compound_key"] == "name:odd"]) == {""}
    assert set(units[obs["compound_key"].str.startswith("W")]) == {"acyclic"}
    assert set(split_units(obs, "mechanism")[obs["compound_key"] == "name:odd"]) == {""}
    for seed in range(10):
        split = split_conditions(obs, "scaffold", test=0.5, seed=seed)
        benzene = obs["SMILES"].map(scaffold).eq("c1ccccc1").to_numpy()
        assert split.train[benzene].all()
        for rule in ("scaffold", "mechanism"):
            odd = split_conditions(obs, rule, test=0.5, seed=seed).part[
                obs["compound_key"] == "name:odd"
            ]
            assert set(odd) == {"train"}


@settings(max_examples=40, deadline=None)
@given(
    keep=st.lists(st.booleans(), min_size=540, max_size=540),
    rule=st.sampled_from(sorted(RULES)),
    seed=st.integers(0, 5),
)
def test_odd_designs_are_split_cleanly_or_refused(keep, rule, seed):
    obs = conditions()[keep]
    if obs.empty:
        return
    try:
        split = split_conditions(obs, rule, seed=seed)
    except InputError as error:
        assert "leaves no condition" in str(error)  # noqa: PT017
        return
    unit = split_units(obs, rule)
    parts = [set(unit[split.part == p]) for p in ("train", "validation", "test")]
    assert disjoint(parts)
    pairs = (obs["compound_key"] + obs["cell_line"]).to_numpy()
    assert pd.Series(split.part).groupby(pairs).nunique().eq(1).all()


def test_bad_requests_are_refused():
    obs = conditions()
    with pytest.raises(InputError, match=r"no rule 'scafold' \(did you mean 'scaffold'\?\)"):
        split_conditions(obs, "scafold")
    with pytest.raises(InputError, match=r"test=1\.2 is no share"):
        split_conditions(obs, "pair", test=1.2)
    with pytest.raises(InputError, match="test=0 is no share"):
        split_conditions(obs, "pair", test=0)
    with pytest.raises(InputError, match="column 'moa' is missing"):
        split_conditions(obs.drop(columns="moa"), "mechanism")
    with pytest.raises(InputError, match="row 2 has no compound_key"):
        split_conditions(obs.assign(compound_key=["A", "", *obs["compound_key"].iloc[2:]]), "drug")
    one = obs[obs["cell_line"] == "L0"]
    for rule in ("line", "pair"):
        with pytest.raises(InputError, match=rf"rule '{rule}' leaves no condition for .* 1 lines"):
            split_conditions(one, rule)


def test_the_audit_sees_what_a_split_leaves():
    obs = conditions()
    bits = morgan_fingerprints(obs["compound_key"], obs["SMILES"]).bits
    found = {
        rule: overlap_audit(obs, split_conditions(obs, rule, seed=2), bits).summary.iloc[0]
        for rule in RULES
    }
    assert found["pair"][["same_parent", "max_tanimoto", "lines_seen"]].tolist() == [1, 1, 1]
    assert found["line"][["same_parent", "lines_seen"]].tolist() == [1, 0]
    for rule in ("drug", "scaffold", "mechanism", "drug_line"):
        assert found[rule]["same_parent"] == 0, rule
        assert found[rule]["max_tanimoto"] < 1, rule
    assert found["mechanism"]["same_mechanism"] == 0
    assert found["scaffold"]["same_mechanism"] == 1
    assert found["drug_line"]["lines_seen"] == 0


def test_the_audit_of_a_planted_overlap():
    obs = pd.DataFrame(
        [
            ("AAAAAAAAAAAAAA-R-N", "right", "L0", "M", "CC(N)c1ccccc1"),
            ("BBBBBBBBBBBBBB-U-N", "other", "L1", "", "CCO"),
            ("AAAAAAAAAAAAAA-S-N", "left", "L0", "M", "CC(N)c1ccccc1"),
            ("CCCCCCCCCCCCCC-U-N", "unseen", "L2", "", "CCCO"),
            ("CCCCCCCCCCCCCC-U-N", "unseen", "L0", "", "CCCO"),
            ("name:x", "unread", "L0", "M", ""),
        ],
        columns=["compound_key", "compound", "cell_line", "moa", "SMILES"],
    )
    split = Split(np.array(["train", "train", "test", "test", "test", "test"]), "pair")
    found = overlap_audit(obs, split, morgan_fingerprints(obs["compound_key"], obs["SMILES"]).bits)
    table = found.drugs.set_index("compound")
    assert table["same_parent"].to_dict() == {"left": True, "unseen": False, "unread": False}
    assert table.loc["left", ["nearest", "nearest_compound"]].tolist() == [1, "right"]
    assert table.loc["unseen", "nearest_compound"] == "other"
    assert np.isnan(table.loc["unread", "nearest"])
    # Its own parent is no other drug of the mechanism.
    assert table["same_mechanism"].fillna(-1).to_dict() == {"left": 0, "unseen": -1, "unread": 1}
    assert table["lines_seen"].to_dict() == {"left": 1, "unseen": 0.5, "unread": 1}
    summary = found.summary.iloc[0]
    assert summary["n_conditions"] == 4
    assert summary["same_parent"] == pytest.approx(1 / 3)
    assert summary["lines_seen"] == 0.5
    with pytest.raises(InputError, match="no row for 'right'"):
        overlap_audit(obs, split, pd.DataFrame(np.zeros((1, 8)), index=["name:x"]))


@pytest.mark.skipif(not TAHOE.is_dir(), reason="the real Tahoe tables in shared/data are not here")
def test_a_split_by_name_would_leave_parents_in_training_on_real_drugs():
    table = pd.read_parquet(TAHOE / "drug_metadata.parquet")
    naming = name_compounds(table["drug"], table["canonical_smiles"].fillna(""))
    obs = pd.DataFrame(
        {
            "compound": table["drug"],
            "compound_key": naming.compound_key,
            "cell_line": "A549",
            "SMILES": table["canonical_smiles"].fillna(""),
            "moa": table["moa-fine"].where(table["moa-fine"] != "unclear", ""),
        }
    )
    bits = morgan_fingerprints(obs["compound_key"], obs["SMILES"]).bits
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(5):
        by_name = np.where(rng.random(len(obs)) < 0.2, "test", "train")
        shares.append(overlap_audit(obs, Split(by_name, "drug"), bits).summary["same_parent"][0])
    assert np.mean(shares) == pytest.approx(0.118, abs=0.05)
    for rule in ("drug", "scaffold", "mechanism"):
        found = overlap_audit(obs, split_conditions(obs, rule), bits).summary.iloc[0]
        assert found["same_parent"] == 0
        assert found["n_drugs"] > 20
