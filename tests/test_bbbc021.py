"""BBBC021: the join of its three files, and the facts known of the real ones."""

import shutil

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from screenbook.chemistry import parent
from screenbook.errors import InputError
from screenbook.sources import bbbc021
from screenbook.sources.bbbc021_structures import STRUCTURES
from screenbook.sources.staging import to_screen
from small_screens import SHARED

WHERE = "params/bbbc021.yml screen"
REAL = SHARED / "bbbc021_ljosa"

FORMULAS = {
    "ALLN": "C20H37N3O4",
    "MG-132": "C26H41N3O5",
    "proteasome inhibitor I": "C32H50N4O8",
    "lactacystin": "C15H24N2O7S",
    "PD-169316": "C20H13FN4O2",
    "PP-2": "C15H16ClN5",
    "alsterpaullone": "C16H11N3O3",
    "anisomycin": "C14H19NO4",
    "bryostatin": "C47H68O17",
    "camptothecin": "C20H16N2O4",
    "chlorambucil": "C14H19Cl2NO2",
    "colchicine": "C22H25NO6",
    "cyclohexamide": "C15H23NO4",
    "cytochalasin B": "C29H37NO5",
    "cytochalasin D": "C30H37NO6",
    "demecolcine": "C21H25NO5",
    "docetaxel": "C43H53NO14",
    "emetine": "C29H40N2O4",
    "epothilone B": "C27H41NO6S",
    "etoposide": "C29H32O13",
    "floxuridine": "C9H11FN2O5",
    "latrunculin B": "C20H29NO5S",
    "methotrexate": "C20H22N8O5",
    "mevinolin/lovastatin": "C24H36O5",
    "mitomycin C": "C15H18N4O5",
    "mitoxantrone": "C22H28N4O6",
    "nocodazole": "C14H11N3O3S",
    "simvastatin": "C25H38O5",
    "taxol": "C47H51NO14",
    "vincristine": "C46H56N4O10",
}


def write_files(folder):
    """Two plates, three wells each, two images a well."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = [("B02", "DMSO", 0.0), ("B03", "taxol", 0.3), ("B04", "taxol", 3.0)]
    plates = ["Week1_22123", "Week2_24121"]
    wells = [(plate, *content) for plate in plates for content in contents]
    images = pd.DataFrame(
        [(i, *well) for i, well in enumerate(well for well in wells for _ in range(2))],
        columns=[
            *("ImageNumber", "Image_Metadata_Plate_DAPI", "Image_Metadata_Well_DAPI"),
            *("Image_Metadata_Compound", "Image_Metadata_Concentration"),
        ],
    )
    images.to_csv(folder / "BBBC021_v1_image.csv", index=False)
    (folder / "BBBC021_v1_moa.csv").write_text(
        '"compound",concentration,"moa"\n'
        '"taxol",0.300000,"Microtubule stabilizers"\n'
        '"DMSO",0.000000,"DMSO"\n'
    )
    profiles = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 3)), columns=list("abc"))
    profiles.insert(0, "Image_Metadata_Well", [well[1] for well in wells])
    profiles.insert(0, "Image_Metadata_Plate", [well[0] for well in wells])
    name = "ljosa_jbiomolscreen_2013_per_well_mean.csv.gz"
    profiles.iloc[::-1].to_csv(folder / name, index=False)
    return profiles.iloc[::-1].reset_index(drop=True)


def load(home, **section):
    scratch = home / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    return to_screen(bbbc021.find({"source": "bbbc021", **section}, WHERE, scratch))


def test_wells_are_joined_to_treatments_through_the_images(home):
    profiles = write_files(home / "data" / "bbbc021")
    screen = load(home)
    np.testing.assert_allclose(screen.X.compute(), profiles[list("abc")], rtol=1e-6)
    first = screen.obs.iloc[0]
    assert first[["experiment", "plate", "well"]].tolist() == ["Week2", "Week2_24121", "B04"]
    assert screen.obs["treatment"].tolist() == ["taxol", "taxol", "DMSO"] * 2
    assert screen.obs["treatment_conc"].tolist()[:2] == [3.0, 0.3]
    assert screen.obs["moa"].tolist() == ["", "Microtubule stabilizers", ""] * 2
    assert screen.obs["role"].tolist() == ["treated", "treated", "vehicle"] * 2
    assert set(screen.obs["cell_type"]) == {"MCF7"}


def test_features_that_are_not_finite_go_with_a_note(home):
    profiles = write_files(home / "data" / "bbbc021")
    profiles.loc[2, "b"] = np.nan
    name = "ljosa_jbiomolscreen_2013_per_well_mean.csv"
    profiles.to_csv(home / "data" / "bbbc021" / name, index=False)
    screen = load(home)
    assert screen.var_names.tolist() == ["a", "c"]
    assert screen.uns["dropped_features"] == '["b"]'


def test_structures_have_the_formulas_of_their_compounds():
    found = {name: CalcMolFormula(Chem.MolFromSmiles(s)) for name, s in STRUCTURES.items()}
    assert found == FORMULAS
    assert len({parent(s)[1] for s in STRUCTURES.values()}) == len(STRUCTURES) == 30


def test_missing_files_name_the_command_and_both_folders(home):
    with pytest.raises(InputError) as caught:
        load(home)
    message = str(caught.value)
    assert "make data DATASET=bbbc021" in message
    assert "'data/bbbc021', " in message
    assert "bbbc021_ljosa" in message
    assert "\n" not in message


def test_a_well_without_images(home):
    write_files(home / "data" / "bbbc021")
    path = home / "data" / "bbbc021" / "BBBC021_v1_image.csv"
    images = pd.read_csv(path)
    images[images["Image_Metadata_Well_DAPI"] != "B03"].to_csv(path, index=False)
    with pytest.raises(InputError, match=r"well Week2_24121_B03 .* not in this list .*\(2 such"):
        load(home)


def test_images_that_disagree(home):
    write_files(home / "data" / "bbbc021")
    path = home / "data" / "bbbc021" / "BBBC021_v1_image.csv"
    images = pd.read_csv(path)
    images.loc[0, "Image_Metadata_Compound"] = "ALLN"
    images.to_csv(path, index=False)
    with pytest.raises(InputError, match="well Week1_22123_B02 name different treatments"):
        load(home)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real BBBC021 in ../shared/data is not here")
def test_the_real_files(home):
    screen = load(home, folders=["data/bbbc021", str(REAL)])
    treated = screen.obs[screen.obs["role"].eq("treated")]
    assert screen.shape == (632, 516)
    assert screen.obs["batch"].nunique() == 55
    assert screen.obs["experiment"].nunique() == 10
    assert (screen.obs["role"] == "vehicle").sum() == 330
    assert treated["compound_key"].nunique() == 38
    assert len(treated.groupby(["compound_key", "treatment_conc"], observed=True)) == 103
    assert treated["moa"].nunique() == 12
    assert treated["moa"].ne("").all()
    per_plate = screen.obs[screen.obs["role"].eq("vehicle")].groupby("batch", observed=True).size()
    assert set(per_plate) == {6}
    assert screen.uns["level"] == "well"
