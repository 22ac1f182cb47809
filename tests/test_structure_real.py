"""What the tests of structure say of BBBC021's own profiles (Ljosa et al. 2013)."""

import numpy as np
import pandas as pd
import pytest

from screenbook.sources.bbbc021 import IMAGES, MECHANISMS, PROFILES
from screenbook.sources.bbbc021_structures import STRUCTURES
from screenbook.structure.held_out_structure import BITS, OVERALL, held_out_table
from screenbook.structure.mantel import RESTRICTED, mantel_table
from screenbook.structure.neighbour_structure import RECALL, neighbour_table
from screenbook.structure.permutations import ALL, WITHIN
from screenbook.structure.similarity import compound_set
from small_screens import SHARED

REAL = SHARED / "bbbc021_ljosa"
WELL = ["Image_Metadata_Plate", "Image_Metadata_Well"]


@pytest.fixture(scope="module")
def compounds():
    """Directions from DMSO, z-scored by plate, averaged over a compound's annotated doses."""
    if not REAL.is_dir():
        pytest.skip("the profiles of BBBC021 are not beside the project")
    images = pd.read_csv(REAL / f"{IMAGES}.gz").rename(columns=lambda c: c.replace("_DAPI", ""))
    moa = pd.read_csv(REAL / MECHANISMS)
    wells = pd.read_csv(REAL / f"{PROFILES}.gz").merge(images.drop_duplicates(WELL), on=WELL)
    features = [c for c in wells if c.startswith(("Cells_", "Cytoplasm_", "Nuclei_"))]
    vehicle = wells["Image_Metadata_Compound"] == "DMSO"
    plate = wells["Image_Metadata_Plate"]
    controls = wells[vehicle].groupby("Image_Metadata_Plate")[features]
    mean, spread = (controls.agg(how).loc[plate].to_numpy() for how in ("mean", "std"))
    scores = (wells[features].to_numpy() - mean) / np.maximum(spread, 1e-6)
    scores = np.clip(np.nan_to_num(scores), -50, 50)
    scores /= np.linalg.norm(scores, axis=1, keepdims=True)
    dose = wells["Image_Metadata_Concentration"].round(6)
    keys = ["compound", "concentration"]
    told = pd.DataFrame({"compound": wells["Image_Metadata_Compound"], "concentration": dose})
    told = told.merge(moa.round(6), on=keys, how="left")["moa"]
    known = told.notna().to_numpy() & ~vehicle.to_numpy()
    name = wells.loc[known, "Image_Metadata_Compound"].to_numpy()
    means = pd.DataFrame(scores[known]).groupby(name).mean()
    mechanism = told[known].groupby(name).first()
    smiles = [STRUCTURES.get(n, "") for n in means.index]
    return compound_set(means.index, smiles, mechanism.loc[means.index], means.to_numpy())


def test_those_without_a_structure_are_named(compounds):
    assert len(compounds) == 30
    assert set(compounds.left_out["reason"]) == {"no structure"}
    assert len(compounds.left_out) == 8


def test_pictures_tell_mechanism_and_no_structure_beyond_it_is_shown(compounds):
    table = mantel_table(compounds, n_permutations=999).set_index(["test", "representation"])
    assert table.loc[("mechanism and picture", "same mechanism"), "p"] <= 0.002
    assert table.loc[("mechanism and structure", "Morgan"), "p"] <= 0.01
    plain, partial, restricted = (
        table.loc[(test, "Morgan")]
        for test in ("Mantel", "partial Mantel, mechanism held", RESTRICTED)
    )
    # Another choice of features, with 34 structures: 0.117 (p 0.034), 0.067 (0.14), and 0.99.
    assert 0.05 < plain["r"] < 0.25
    assert partial["r"] < plain["r"]
    assert restricted["p"] > 0.5


def test_all_analogues_share_their_mechanism(compounds):
    table = neighbour_table(compounds).set_index(["test", "pairs", "permuted"])
    assert table.loc[(RECALL, "other mechanisms", WITHIN), "n_pairs"] == 0
    found = table.loc[(RECALL, "all", ALL)]
    assert found["p"] < 0.05
    assert found["odds_ratio"] > 5
    assert table.loc[(RECALL, "all", WITHIN), "p"] > 0.2


def test_nothing_is_told_of_scaffolds_held_out_beyond_mechanism(compounds):
    table = held_out_table(compounds)
    whole = table[table["property"] == OVERALL].set_index(["kind", "permuted"])
    assert whole.loc[(BITS, WITHIN), "p"] > 0.05
    assert whole.loc[(BITS, ALL), "value"] < 0.65
