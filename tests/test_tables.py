"""Your own tables: mapping, joining, and every wrong option refused in one line."""

import shutil
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from screenbook.errors import InputError
from screenbook.screen import notes_of
from screenbook.sources import tables
from screenbook.sources.staging import to_screen
from small_screens import SHARED, feature_table, features, metadata

ROOT = Path(__file__).resolve().parents[1]
WHERE = "params/mine.yml screen"
BASE = {
    "source": "tables",
    "metadata": "meta.csv",
    "features": "emb.csv",
    "key": "site_id",
    "feature_columns": {"prefix": "feature_"},
    "roles": {"healthy": ["Mock", "UV Inactivated"], "diseased": "Active"},
}


@pytest.fixture
def mine(home):
    """A checkout with a metadata and a feature table, in different order."""
    obs, X = metadata(), features(48)
    obs.rename_axis("site_id").to_csv(home / "meta.csv")
    order = np.random.default_rng(1).permutation(48)
    feature_table(X[order], obs.index[order]).to_csv(home / "emb.csv", index=False)
    return home


def load(home, **changes):
    section = {name: value for name, value in {**BASE, **changes}.items() if value is not None}
    scratch = home / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    return to_screen(tables.find(section, WHERE, scratch))


def refusal(home, **changes):
    with pytest.raises(InputError) as caught:
        load(home, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewrite(path, change):
    """Read a table, change it, write it back."""
    change(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(path, index=False)


# --- joining ---


def test_two_tables_are_joined_by_id_whatever_their_order(mine):
    screen = load(mine)
    assert isinstance(screen.X, da.Array)
    np.testing.assert_allclose(screen.X.compute(), features(48), rtol=1e-6)
    assert screen.obs_names.tolist() == metadata().index.tolist()
    assert screen.uns["level"] == "site"


def test_key_under_two_names_or_of_several_columns(mine):
    rewrite(mine / "meta.csv", lambda t: t.rename(columns={"site_id": "image"}))
    one = load(mine, key={"metadata": "image", "features": "site_id"})
    parts = ["plate", "well", "site"]
    rewrite(
        mine / "emb.csv",
        lambda t: t.assign(**t["site_id"].str.extract(r"_(?P<plate>.*)_(?P<well>.*)_(?P<site>.*)")),
    )
    several = load(mine, key=parts)
    assert several.obs_names[0] == "1_A01_1"
    np.testing.assert_array_equal(several.X.compute(), one.X.compute())


def test_ids_in_one_table_only(mine):
    rewrite(mine / "meta.csv", lambda t: t.iloc[2:])
    rewrite(mine / "emb.csv", lambda t: t[t["site_id"] != "E1_2_B06_2"])
    message = refusal(mine)
    assert "1 ids are in meta.csv only (first 'E1_2_B06_2')" in message
    assert "2 ids are in emb.csv only (first 'E1_1_A01_" in message
    assert "`join: inner`" in message
    screen = load(mine, join="inner")
    assert screen.n_obs == 45
    np.testing.assert_allclose(screen.X.compute(), features(48)[2:47], rtol=1e-6)
    assert "left out" in notes_of(screen)[0]


def test_no_common_id(mine):
    rewrite(mine / "emb.csv", lambda t: t.assign(site_id="x" + t["site_id"]))
    assert "no id is in both" in refusal(mine, join="inner")


def test_duplicate_ids_on_either_side(mine):
    shutil.copy(mine / "emb.csv", mine / "good.csv")
    rewrite(mine / "emb.csv", lambda t: pd.concat([t, t.iloc[3:4]]))
    assert "is there more than once" in refusal(mine)
    shutil.copy(mine / "good.csv", mine / "emb.csv")
    rewrite(mine / "meta.csv", lambda t: pd.concat([t, t.iloc[3:4]]))
    assert "'E1_1_B01_2' is in row 4 and again in row 49" in refusal(mine)


def test_blank_ids(mine):
    rewrite(mine / "meta.csv", lambda t: t.assign(site_id=t["site_id"].replace("E1_1_A01_2", " ")))
    assert "'site_id' is blank in row 2" in refusal(mine)


def test_empty_tables(mine):
    rewrite(mine / "meta.csv", lambda t: t.iloc[:0])
    assert "no rows" in refusal(mine, join="inner")


# --- one table ---


@pytest.mark.parametrize("kind", ["both.csv", "both.tsv.gz", "both.parquet"])
def test_one_table_with_both(mine, kind):
    both = pd.concat(
        [metadata().reset_index(drop=True), feature_table(features(48), range(48)).iloc[:, 1:]],
        axis=1,
    )
    if kind.endswith("parquet"):
        both.to_parquet(mine / kind)
    else:
        both.to_csv(mine / kind, index=False, sep="\t" if "tsv" in kind else ",")
    screen = load(mine, metadata=kind, features=None, key=None)
    np.testing.assert_allclose(screen.X.compute(), features(48), rtol=1e-6)
    assert screen.obs_names[0] == "E1_1_A01_1"
    assert "feature_0" not in screen.obs
    message = refusal(mine, metadata=kind, features=None, key=None, feature_columns=None)
    assert "'feature_columns' is missing" in message


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_anndata_needs_no_more_than_roles(mine, suffix):
    import anndata as ad

    data = ad.AnnData(features(48), metadata())
    path = mine / f"mine{suffix}"
    data.write_h5ad(path) if suffix == ".h5ad" else data.write_zarr(path)
    screen = load(mine, metadata=path.name, features=None, key=None, feature_columns=None)
    np.testing.assert_array_equal(screen.X.compute(), features(48))
    assert screen.obs_names.tolist() == metadata().index.tolist()
    apart = load(mine, features=path.name, key={"metadata": "site_id", "features": "obs_names"},
                 feature_columns=None)  # fmt: skip
    np.testing.assert_array_equal(apart.X.compute(), features(48))


@pytest.mark.parametrize(
    "ways",
    [
        {"prefix": "feature_"},
        {"pattern": r"^feature_\d$"},
        {"all_but": ["Meta", "site"]},
        [f"feature_{i}" for i in range(5)],
        None,
    ],
)
def test_ways_to_name_features(mine, ways):
    assert load(mine, feature_columns=ways).n_vars == 5


# --- columns and values ---


def test_columns_are_mapped_and_constants_filled_in(mine):
    names = {"well": "position", "treatment": "drug", "moa": "mechanism"}
    rewrite(
        mine / "meta.csv",
        lambda t: (
            t.assign(mechanism="m", row="north")
            .drop(columns=["cell_type", "experiment"])
            .rename(columns={"well": "position", "treatment": "drug"})
        ),
    )
    screen = load(mine, columns=names, constants={"cell_type": "A549", "experiment": 7})
    assert set(screen.obs["cell_type"]) == {"A549"}
    assert set(screen.obs["experiment"]) == {"7"}
    assert set(screen.obs["moa"]) == {"m"}
    assert not {"position", "drug", "mechanism"} & set(screen.obs)
    # What a user calls by the name of a derived column is kept under another.
    assert set(screen.obs["row_given"]) == {"north"}
    assert any("row_given" in note for note in notes_of(screen))


def test_a_column_can_serve_twice(mine):
    rewrite(mine / "meta.csv", lambda t: t.rename(columns={"plate": "barcode"}))
    screen = load(mine, columns={"plate": "barcode", "SMILES": "barcode"})
    assert screen.obs["SMILES"].tolist() == screen.obs["plate"].tolist()


def test_doses_are_brought_to_micromolar(mine):
    screen = load(mine, dose_unit="nM")
    assert set(screen.obs["treatment_conc"].dropna()) == {0.0003, 0.001}
    rewrite(mine / "meta.csv", lambda t: t.assign(treatment_conc="much"))
    assert "'much' is not a number" in refusal(mine, dose_unit="nM")


def test_level(mine):
    assert load(mine, level="well").uns["level"] == "well"
    rewrite(mine / "meta.csv", lambda t: t.drop(columns="site"))
    assert "no column 'site'" in refusal(mine, level="site")


def test_codes_for_missing_values(mine):
    rewrite(mine / "meta.csv", lambda t: t.replace({"treatment_conc": {"": "-666.0"}}))
    assert "'-666.0' is not a dose" in refusal(mine)
    assert load(mine, missing=[-666]).obs["treatment_conc"].isna().sum() == 32


def test_features_that_are_not_finite_can_be_dropped(mine):
    def spoil(table):
        table.loc[3, "feature_2"] = "NaN"
        table.loc[4, "feature_2"] = ""
        return table

    rewrite(mine / "emb.csv", spoil)
    assert "feature 'feature_2' is nan" in refusal(mine)
    by_feature = load(mine, nonfinite="drop_features")
    assert by_feature.shape == (48, 4)
    assert by_feature.uns["dropped_features"] == '["feature_2"]'
    by_row = load(mine, nonfinite="drop_rows")
    assert by_row.shape == (46, 5)
    assert "2 rows" in notes_of(by_row)[0]
    np.testing.assert_allclose(by_row.X.compute(), by_row[by_row.obs_names].X.compute())


def test_constant_features_go(mine):
    rewrite(mine / "emb.csv", lambda t: t.assign(feature_1="3"))
    screen = load(mine)
    assert screen.var_names.tolist() == ["feature_0", "feature_2", "feature_3", "feature_4"]
    assert "1 features that are constant" in notes_of(screen)[0]
    rewrite(mine / "emb.csv", lambda t: t.assign(**{f"feature_{i}": "3" for i in range(5)}))
    assert "every feature is constant" in refusal(mine)


# --- options ---


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metdata": "x"}, "'metdata' is no option here (did you mean 'metadata'?)"),
        ({"metadata": None}, "'metadata' is missing"),
        ({"metadata": "no.csv"}, "no such file"),
        ({"key": None}, "'key' is missing"),
        ({"key": "id"}, "no column 'id'"),
        ({"key": {"metadata": "site_id"}}, "'features' is missing"),
        ({"key": {"metadata": "site_id", "features": ["a", "b"]}}, "1 columns of one table"),
        ({"join": "outer"}, "join is 'outer'"),
        ({"columns": {"wel": "well"}}, "'wel' is no column of a screen (did you mean 'well'?)"),
        ({"columns": {"well": "wells"}}, "no column 'wells', which `columns:` gives for 'well'"),
        ({"columns": ["well"]}, "write `name: value` lines"),
        ({"constants": {"plate": 1}}, "'plate' is a column of meta.csv already"),
        ({"constants": {"plat": 1}}, "'plat' is no column of a screen"),
        ({"constants": {"moa": True}}, "moa is True"),
        ({"feature_columns": {"prefix": "f_"}}, "no column of emb.csv fits prefix 'f_'"),
        ({"feature_columns": {"prefixes": "f_"}}, "did you mean 'prefix'?"),
        ({"feature_columns": {"prefix": "f", "pattern": "f"}}, "give one of"),
        ({"feature_columns": {"pattern": "("}}, "is no regular expression"),
        ({"feature_columns": ["feature_9"]}, "no column 'feature_9'"),
        ({"roles": {"healhty": ["Mock"]}}, "did you mean 'healthy'?"),
        ({"roles": {"healthy": [True], "diseased": ["Active"]}}, "healthy is True"),
        ({"roles": None}, "no vehicle control wells"),
        ({"roles": {"healthy": "Mock", "diseased": "Actve"}}, "did you mean 'Active'?"),
        ({"level": "sites"}, "did you mean 'site'?"),
        ({"dose_unit": "mg"}, "dose_unit is 'mg'"),
        ({"nonfinite": "drop"}, "nonfinite is 'drop'"),
    ],
)
def test_wrong_options(mine, changes, words):
    assert words in refusal(mine, **changes)


def test_the_example_names_every_option_and_none_else():
    text = (ROOT / "params" / "my_screen.yml.example").read_text()
    assert set(yaml.safe_load(text)["screen"]) <= set(tables.OPTIONS)
    for option in set(tables.OPTIONS) - {"name"}:
        assert f"  {option}:" in text or f"# {option}:" in text, option
    assert not (ROOT / "params" / "my_screen.yml").exists()


def test_the_example_works(home):
    """With tables named as the example has them, its section loads as it stands."""
    section = yaml.safe_load((ROOT / "params" / "my_screen.yml.example").read_text())["screen"]
    obs = metadata().replace({"Mock": "mock", "UV Inactivated": "mock", "Active": "infected"})
    obs = obs.replace({"treatment": {"ethanol": "remdesivir", "": "DMSO"}}).assign(moa="m")
    obs = obs.rename(columns=section["columns"]).rename_axis("site_id")
    (home / "data" / "mine").mkdir(parents=True)
    obs.to_csv(home / section["metadata"])
    feature_table(features(48), obs.index).to_csv(home / section["features"], index=False)
    screen = to_screen(tables.find(section, WHERE, home))
    assert set(screen.obs["role"]) == {
        *("healthy", "diseased"),
        "treated",
        "treated_healthy",
        "blank",
    }


# --- wild input ---

IDS = st.lists(st.text("ab_1é \"',;", min_size=1, max_size=4), min_size=1, max_size=8)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(IDS, IDS, st.randoms())
def test_inner_join_is_the_intersection_of_ids(home, left, right, random):
    """Whatever ids look like: trimmed, as text, in the order of the metadata, or one line."""
    left = list(dict.fromkeys(i.strip() for i in left if i.strip()))
    right = list(dict.fromkeys(i.strip() for i in right if i.strip()))
    assume(left and right)
    both = [i for i in left if i in right]
    random.shuffle(right)
    obs = pd.concat([metadata(1, 1).iloc[4:5]] * len(left), ignore_index=True)
    obs = obs.assign(site=[str(i + 1) for i in range(len(left))], site_id=left)
    obs.to_csv(home / "meta.csv", index=False)
    X = np.array([[right.index(i), right.index(i) ** 2 + 1] for i in right], dtype=np.float32)
    feature_table(X.reshape(-1, 2), right).to_csv(home / "emb.csv", index=False)
    (home / "scratch").mkdir(exist_ok=True)
    section = {**BASE, "join": "inner", "roles": {}}
    if not both:
        with pytest.raises(InputError):
            tables.find(section, WHERE, home / "scratch")
        return
    found = tables.find(section, WHERE, home / "scratch")
    assert found.obs.index.tolist() == both
    expected = [[right.index(i), right.index(i) ** 2 + 1] for i in both]
    np.testing.assert_array_equal(np.asarray(found.X), expected)


# --- real tables ---


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real tables in ../shared/data are not here")
def test_a_lincs_plate(home):
    path = SHARED / "lincs_plate_SQ00015054" / "SQ00015054_normalized_feature_select.csv.gz"
    text = f"""
    source: tables
    metadata: {path}
    columns:
      cell_type: Metadata_cell_id
      plate: Metadata_Plate
      well: Metadata_Well
      treatment: Metadata_broad_sample
      treatment_conc: Metadata_mmoles_per_liter
      moa: Metadata_moa
    constants: {{experiment: "1"}}
    feature_columns: {{all_but: Metadata_}}
    roles: {{vehicle: [DMSO]}}
    """
    screen = to_screen(tables.find(yaml.safe_load(text), WHERE, home))
    assert screen.shape == (384, 454)
    assert (screen.obs["role"] == "vehicle").sum() == 24
    assert screen.obs["compound_key"].nunique() == 58 + 1
    assert screen.obs.loc[screen.obs["moa"].ne(""), "moa"].nunique() == 50
    assert screen.obs["row"].max() == 15
    assert screen.uns["level"] == "well"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real tables in ../shared/data are not here")
def test_an_l1000_anndata(home):
    text = f"""
    source: tables
    metadata: {SHARED / "prnet_demo" / "demo.h5ad"}
    columns: {{plate: rna_plate, well: rna_well, treatment: pert_iname, treatment_conc: pert_dose}}
    constants: {{experiment: "1"}}
    roles: {{vehicle: [DMSO]}}
    missing: [-666]
    """
    screen = to_screen(tables.find(yaml.safe_load(text), WHERE, home))
    assert screen.shape == (681, 978)
    assert (screen.obs["role"] == "vehicle").sum() == 20
    assert screen.obs["batch"].nunique() == 2
    assert screen.obs.loc[screen.obs["role"].eq("treated"), "treatment"].nunique() == 349
