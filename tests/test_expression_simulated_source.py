"""The simulated expression screen as a source: its files, its options, the same twice."""

import numpy as np
import pandas as pd
import pytest

from screenbook.errors import InputError
from screenbook.expression_set import read_profiles
from screenbook.simulate.expression import SCALE, ExpressionSpec, simulate_expression
from screenbook.sources.expression.simulated import write

SMALL = {
    "source": "simulated",
    "n_drugs": 6,
    "n_lines": 2,
    "n_genes": 40,
    "n_mechanisms": 2,
    "doses": [0.5, 5],
    "plates_per_dose": 1,
    "n_dmso_wells": 2,
    "n_replicated": 2,
    "n_aliases": 1,
    "n_without_structure": 1,
    "stress": 2,
}
WHERE = "params/mine.yml expression"
FILES = ["expression_change.npy", "expression_drugs.tsv", "expression_lines.tsv"]


@pytest.fixture
def written(tmp_path):
    assert write(SMALL, WHERE, tmp_path) == []
    return tmp_path


def simulated():
    given = {k: v for k, v in SMALL.items() if k != "source"}
    return simulate_expression(ExpressionSpec(**given | {"doses": (0.5, 5.0), "stress": 2.0}))


def test_profiles_are_what_was_simulated(written):
    profiles, made = read_profiles(written / "expression.zarr"), simulated()
    np.testing.assert_array_equal(profiles.X, made.mean)
    np.testing.assert_array_equal(profiles.layers["variance"], made.variance)
    np.testing.assert_array_equal(profiles.layers["nonzero"], made.nonzero)
    assert profiles.var_names.tolist() == made.genes.tolist()
    assert profiles.uns["scale"] == SCALE
    for column in ("treatment", "dose", "cell_line", "plate", "role", "SMILES", "n_cells", "well"):
        assert profiles.obs[column].tolist() == made.obs[column].tolist(), column
    # A mechanism that is not told is blank.
    told = made.obs["moa"].replace("unclear", "")
    assert profiles.obs["moa"].tolist() == told.tolist()
    treated = profiles.obs[profiles.obs["role"] == "treated"]
    assert treated["compound_key"].nunique() == SMALL["n_drugs"]  # the salt is its parent
    assert treated["treatment"].nunique() == SMALL["n_drugs"] + 1


def test_the_truth_stands_beside_in_the_order_of_the_profiles(written):
    made = simulated()
    assert sorted(p.name for p in (written / "truth").iterdir()) == FILES
    change = np.load(written / "truth" / "expression_change.npy", allow_pickle=False)
    np.testing.assert_array_equal(change, made.change)
    assert change.dtype == np.float32
    profiles = read_profiles(written / "expression.zarr")
    control = (profiles.obs["role"] == "control").to_numpy()
    assert change.shape == profiles.shape
    assert (change[control] == 0).all()
    assert (change[~control] != 0).any(axis=1).all()
    for name, table in (("drugs", made.drugs), ("lines", made.lines)):
        read = pd.read_csv(
            written / "truth" / f"expression_{name}.tsv", sep="\t", keep_default_na=False
        )
        assert list(read) == list(table)
        pd.testing.assert_frame_equal(read, table, check_dtype=False, rtol=1e-12)
    assert set(profiles.obs["cell_line"]) == set(made.lines["cell_line"])


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_second_run_gives_the_same_bytes_and_leaves_nothing_else(written, tmp_path):
    before = files_of(written)
    write(SMALL, WHERE, written)
    assert files_of(written) == before
    other = tmp_path / "other"
    write(SMALL | {"seed": 1}, WHERE, other)
    after = files_of(other)
    assert set(after) == set(before)
    changed = {name for name in after if after[name] != before[name]}
    assert {f"truth/{name}" for name in FILES} <= changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_drug": 6}, r"'n_drug' is no option of simulated expression \(did you mean 'n_drugs"),
        ({"colour": 1}, "'colour' is no option of simulated expression; they take 'seed'"),
        ({"n_drugs": "six"}, "n_drugs is 'six'; give a whole number"),
        ({"n_drugs": 6.5}, "n_drugs is 6.5; give a whole number"),
        ({"n_lines": True}, "n_lines is True; give a whole number"),
        ({"effect": "strong"}, "effect is 'strong'; give a number"),
        ({"doses": 5.0}, r"doses is 5.0; give a list"),
        ({"doses": ["low"]}, "doses is 'low'; give a number"),
        ({"doses": [5, 0.5]}, "the lowest first"),
        ({"n_drugs": 1}, "n_drugs = 1 is below 4: raise it"),
        ({"annotated": 1.5}, "annotated = 1.5 is a share"),
    ],
)
def test_options_that_cannot_be_are_refused_and_nothing_is_written(tmp_path, change, said):
    with pytest.raises(InputError, match=said) as error:
        write(SMALL | change, WHERE, tmp_path)
    assert str(error.value).startswith(f"{WHERE}: ")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
