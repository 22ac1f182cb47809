from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.images.splits import (
    Split,
    balanced_rows,
    leaks,
    refuse_few_held_out,
    refuse_leaks,
    refuse_single_class,
    rows_where,
    split_experiments,
    split_sites,
)

REAL = Path(__file__).parents[2] / "shared/data/rxrx1_metadata"


def fields(n_experiments=10, wells=6, cell_types=("U2OS",)):
    """Two plates an experiment, two sites a well; every experiment has all cell types."""
    rows = [
        {"cell_type": c, "experiment": f"E{e:02d}", "plate": p, "well": f"{c[0]}{w:02d}", "site": s}
        for e in range(n_experiments)
        for p in (1, 2)
        for c in cell_types
        for w in range(wells)
        for s in (1, 2)
    ]
    return pd.DataFrame(rows)


def test_a_value_that_no_field_has_is_named_with_those_there_are():
    obs = fields(cell_types=("U2OS", "RPE"))
    assert (rows_where(obs, "cell_type", "RPE") == (obs["cell_type"] == "RPE")).all()
    with pytest.raises(InputError, match=r"no field has 'U20S'.*'U2OS'.*have 'RPE', 'U2OS'"):
        rows_where(obs, "cell_type", "U20S")


def test_one_class_alone_is_refused():
    refuse_single_class(fields(cell_types=("U2OS", "RPE")), "cell_type")
    with pytest.raises(InputError, match=r"column cell_type: all 24 fields are of 'U2OS'"):
        refuse_single_class(fields(n_experiments=1), "cell_type")


def test_one_experiment_held_out_is_too_few():
    obs = fields()
    refuse_few_held_out(obs, split_experiments(obs, test=2))
    with pytest.raises(InputError, match=r"test_share: 'E0\d' alone is held out"):
        refuse_few_held_out(obs, split_experiments(obs, test=1))


def test_whole_experiments_are_held_out():
    obs = fields()
    split = split_experiments(obs, test=3, validation=2, seed=4)
    parts = obs.groupby("experiment")["plate"].size().index
    for name in parts:
        assert len(set(split.part[obs["experiment"] == name])) == 1
    counts = {p: obs["experiment"][split.part == p].nunique() for p in np.unique(split.part)}
    assert counts == {"train": 5, "validation": 2, "test": 3}
    assert (split.train | split.validation | split.test).all()
    refuse_leaks(obs, split)
    assert (leaks(obs, split)["n_shared"] == 0).all()


def test_the_seed_decides_and_nothing_else():
    obs = fields()
    one, again = (split_experiments(obs, seed=1) for _ in range(2))
    assert (one.part == again.part).all()
    drawn = {frozenset(obs["experiment"][split_experiments(obs, seed=s).test]) for s in range(20)}
    assert len(drawn) > 10
    shuffled = obs.sample(frac=1, random_state=0)
    assert set(shuffled["experiment"][split_experiments(shuffled, seed=1).test]) == set(
        obs["experiment"][one.test]
    )


def test_experiments_can_be_named():
    obs = fields()
    split = split_experiments(obs, test=["E08", "E09"], validation=["E01"])
    assert set(obs["experiment"][split.test]) == {"E08", "E09"}
    assert set(obs["experiment"][split.validation]) == {"E01"}
    with pytest.raises(InputError, match=r"no experiment 'E9' for test \(did you mean 'E09'\?\)"):
        split_experiments(obs, test=["E9"])
    with pytest.raises(InputError, match="'E01' is named for test and for validation"):
        split_experiments(obs, test=["E01"], validation=["E01"])


def test_cell_types_that_have_experiments_of_their_own_all_give_some():
    parts = [fields(n, cell_types=(c,)) for n, c in ((8, "HUVEC"), (4, "RPE"), (1, "HEPG2"))]
    for part in parts:
        part["experiment"] = part["cell_type"] + part["experiment"]
    obs = pd.concat(parts, ignore_index=True)
    for seed in range(10):
        held_out = obs[split_experiments(obs, test=3, seed=seed).test]
        assert held_out.groupby("cell_type")["experiment"].nunique().to_dict() == {
            "HUVEC": 2,
            "RPE": 1,
        }


def test_too_few_experiments_are_refused():
    with pytest.raises(InputError, match="'E00' is the only experiment"):
        split_experiments(fields(1))
    with pytest.raises(InputError, match="leave at least one to train on"):
        split_experiments(fields(3), test=3)
    with pytest.raises(InputError, match="leave none of 3 to train on"):
        split_experiments(fields(3), test=2, validation=1)


def test_the_site_level_leak_is_seen():
    obs = fields()
    split = split_sites(obs, test=0.25, seed=0)
    assert split.test.mean() == pytest.approx(0.25)
    found = leaks(obs, split).set_index("level")
    # A site outside training has its other site in training with probability 3/4.
    assert found.loc["well", "share_of_fields"] == pytest.approx(0.75, abs=0.1)
    assert found.loc["experiment", "share_of_fields"] == 1
    with pytest.raises(InputError, match=r"wells held out have fields in training too .*sites of"):
        refuse_leaks(obs, split)


def test_coarser_leaks_are_told_from_finer_ones():
    obs = fields()
    by_well = Split(np.where(obs["well"] == "U00", "test", "train"))
    with pytest.raises(InputError, match=r"20 of 20 plates .*'E00/1'"):
        refuse_leaks(obs, by_well)
    refuse_leaks(obs, by_well, level="well")
    by_plate = Split(np.where(obs["plate"] == 2, "test", "train"))
    with pytest.raises(InputError, match="10 of 10 experiments"):
        refuse_leaks(obs, by_plate)
    refuse_leaks(obs, by_plate, level="plate")
    assert leaks(obs, by_plate)["n_shared"].tolist() == [0, 0, 10]


def test_classes_are_balanced():
    label = np.array(["a"] * 10 + ["b"] * 4 + ["c"] * 6)
    rows = balanced_rows(label, seed=1)
    assert np.unique(label[rows], return_counts=True)[1].tolist() == [4, 4, 4]
    assert len(np.unique(rows)) == 12
    assert (balanced_rows(label, seed=1) == rows).all()
    assert len(balanced_rows(label, most=2)) == 6
    batch = np.array([0, 1] * 10)
    rows = balanced_rows(label, within=batch)
    assert pd.crosstab(label[rows], batch[rows]).to_numpy().tolist() == [[2, 2]] * 3
    with pytest.raises(InputError, match="class 'd' has a single field"):
        balanced_rows(np.append(label, "d"))
    with pytest.raises(InputError, match="no batch has all classes"):
        balanced_rows(label, within=(label == "a"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real RxRx1 table in ../shared/data is not here")
def test_the_real_table_is_split_without_a_leak():
    files = (REAL / name for name in ("train_0.csv", "valid_0.csv"))
    obs = pd.concat([pd.read_csv(file) for file in files], ignore_index=True)
    obs = obs.rename(columns={"experiment_type": "cell_type"})
    assert len(obs) == 36_515
    split = split_experiments(obs, test=4 / 33, validation=4 / 33, seed=0)
    sides = [set(obs["experiment"][split.part == p]) for p in ("train", "validation", "test")]
    assert [len(side) for side in sides] == [25, 4, 4]
    assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]
    wells = obs["experiment"] + "/" + obs["plate"].astype(str) + "/" + obs["well"]
    assert not set(wells[split.train]) & set(wells[~split.train])
    refuse_leaks(obs, split)
    twice = pd.concat([obs.assign(site=1), obs.assign(site=2)], ignore_index=True)
    with pytest.raises(InputError, match="wells held out have fields in training"):
        refuse_leaks(twice, split_sites(twice))
