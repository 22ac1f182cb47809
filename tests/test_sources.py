"""From params file to screen on disk: made once, made again when asked for something else."""

import json
import os
import re
import shutil
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest

from screenbook import sources
from screenbook.errors import InputError
from screenbook.sources import open_screen, open_wells, prepare
from screenbook.sources.files import sha256
from small_screens import feature_table, features, metadata

TABLES = """
screen:
  source: tables
  metadata: meta.csv
  features: emb.csv
  key: site_id
  roles: {healthy: [Mock], diseased: [Active]}
"""
FAST = "screen: {source: simulated, shape: fast, seed: 3}\n"


def write_tables(home):
    (home / "params").mkdir(exist_ok=True)
    (home / "params" / "mine.yml").write_text(TABLES)
    metadata().rename_axis("site_id").to_csv(home / "meta.csv")
    feature_table(features(48), metadata().index).to_csv(home / "emb.csv", index=False)


@pytest.fixture
def mine(home):
    """A checkout with the tables of a run that is not made yet."""
    write_tables(home)
    return home


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A checkout with a finished screen, to be copied only."""
    home = tmp_path_factory.mktemp("finished")
    write_tables(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCREENBOOK_HOME", str(home))
        prepare("mine")
    return home


def contents(folder):
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def later(path, seconds=5):
    """Give a file a modification time in the future, as an editor would in a while."""
    stamp = path.stat().st_mtime + seconds
    os.utime(path, (stamp, stamp))


# --- what is written ---


def test_prepare_writes_sites_wells_and_a_record(mine):
    record = prepare("mine")
    assert record == mine / "build" / "mine" / "screen.json"
    facts = json.loads(record.read_text())
    counts = [facts[k] for k in ("run", "source", "n_sites", "n_wells", "n_features", "level")]
    assert counts == ["mine", "tables", 48, 24, 5, "site"]
    assert facts["inputs"] == [
        {"path": name, "sha256": sha256(mine / name)} for name in ("meta.csv", "emb.csv")
    ]
    assert facts["seconds"] >= 0
    assert any("'UV Inactivated'" in note for note in facts["notes"])
    assert sorted(p.name for p in record.parent.iterdir()) == [
        *("screen.json", "screen.zarr", "wells.zarr")
    ]


def test_open_makes_what_is_not_there(mine):
    screen = open_screen("mine")
    assert isinstance(screen.X, da.Array)
    np.testing.assert_allclose(screen.X.compute(), features(48), rtol=1e-6)
    assert isinstance(open_screen("mine", lazy=False).X, np.ndarray)
    wells = open_wells("mine")
    np.testing.assert_allclose(wells.X, features(48).reshape(24, 2, 5).mean(axis=1), atol=1e-6)


def test_a_variant_shares_the_screen_of_its_run(made):
    mine, _ = made
    open_wells("mine@k30")
    assert not (mine / "build" / "mine@k30").exists()
    assert (mine / "build" / "mine" / "screen.json").is_file()


def test_the_simulated_screen_comes_with_its_truth(home):
    (home / "params" / "fast.yml").write_text(FAST)
    prepare("fast")
    truth = home / "build" / "fast" / "truth"
    tables = {p.stem: pd.read_csv(p, sep="\t") for p in truth.iterdir()}
    assert set(tables) == {"compounds", "plates", "wells", "library"}
    wells = open_wells("fast")
    assert len(tables["wells"]) == wells.n_obs
    known = set(wells.obs["compound_key"]) - {""}
    # The analysis finds the same compounds from names and structures as the truth has.
    assert known == set(tables["compounds"]["compound_key"])
    assert not {"mechanism", "class", "ec50"} & set(wells.obs)


def test_the_truth_of_other_data_stays(mine):
    truth = mine / "build" / "mine" / "truth"
    truth.mkdir(parents=True)
    for name in ("images.tsv", "compounds.tsv"):
        (truth / name).write_text("of before\n")
    prepare("mine")
    assert sorted(p.name for p in truth.iterdir()) == ["images.tsv"]


def test_the_same_params_give_the_same_bytes(home, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    (home / "params" / "fast.yml").write_text(FAST)
    once = contents(prepare("fast").parent)
    (home / "build" / "fast" / "screen.json").unlink()
    assert contents(prepare("fast").parent) == once
    assert "seconds" not in json.loads(once["screen.json"])


# --- when it is made again ---


@pytest.fixture
def made(home, finished, monkeypatch):
    """A checkout with a finished screen, and a list that grows when one is made."""
    shutil.copytree(finished, home, dirs_exist_ok=True)
    times = []
    real = sources.to_screen
    monkeypatch.setattr(sources, "to_screen", lambda found: times.append(1) or real(found))
    return home, times


def test_nothing_is_made_twice(made):
    home, times = made
    record = home / "build" / "mine" / "screen.json"
    os.utime(record, (1, 1))
    later(home / "params" / "mine.yml")
    os.utime(record, None)
    prepare("mine")
    assert times == []


def test_sections_of_notebooks_do_not_touch_the_screen_but_its_time(made):
    home, times = made
    params = home / "params" / "mine.yml"
    params.write_text(TABLES + "common: {seed: 5}\n")
    record = home / "build" / "mine" / "screen.json"
    before, wells = record.stat().st_mtime_ns, contents(home / "build" / "mine" / "wells.zarr")
    prepare("mine")
    assert times == []
    assert record.stat().st_mtime_ns > before
    assert contents(home / "build" / "mine" / "wells.zarr") == wells


def test_another_screen_section_makes_it_again(made):
    home, times = made
    text = TABLES.replace("healthy: [Mock]", "healthy: [Mock, UV Inactivated]")
    (home / "params" / "mine.yml").write_text(text)
    prepare("mine")
    assert times == [1]
    assert (open_wells("mine").obs["role"] == "healthy").sum() == 8


def test_changed_inputs_make_it_again_and_touched_ones_do_not(made):
    home, times = made
    later(home / "meta.csv")
    prepare("mine")
    assert times == []
    text = (home / "meta.csv").read_text()
    (home / "meta.csv").write_text(text.replace("ethanol", "methanol"))
    later(home / "meta.csv")
    prepare("mine")
    assert times == [1]


@pytest.mark.parametrize("spoil", ["screen.zarr", "wells.zarr", "screen.json"])
def test_what_is_lost_is_made_again(made, spoil):
    home, times = made
    path = home / "build" / "mine" / spoil
    path.rename(home / "lost") if path.is_dir() else path.write_text("{")
    prepare("mine")
    assert times == [1]
    assert open_wells("mine").n_obs == 24


def test_a_failure_leaves_no_record_and_no_litter(made):
    mine, _ = made
    (mine / "params" / "mine.yml").write_text(TABLES.replace("Active", "Actve"))
    with pytest.raises(InputError, match="did you mean 'Active'"):
        prepare("mine")
    left = [p.name for p in (mine / "build" / "mine").iterdir()]
    assert "screen.json" not in left
    assert not [name for name in left if name.startswith(".")]


# --- refusals ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "params/mine.yml screen: 'source' is missing"),
        ("screen: {sorce: tables}\n", "'source' is missing"),
        ("screen: {source: table}\n", "source 'table' is not known (did you mean 'tables'?)"),
        ("screen: {source: simulated, shape: huge}\n", "shape 'huge' is not known"),
        ("screen: {source: simulated, seeed: 1}\n", "'seeed'"),
        ("screen: {source: rxrx19a}\n", "make data DATASET=rxrx19a"),
        ("screen: {source: bbbc021, folders: [nowhere]}\n", "make data DATASET=bbbc021"),
        ("screen: [source\n", "params/mine.yml line"),
    ],
)
def test_wrong_params_are_one_line(home, text, words):
    (home / "params" / "mine.yml").write_text(text)
    with pytest.raises(InputError) as caught:
        prepare("mine")
    assert "\n" not in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("run", ["rxrx19a", "bbbc021", "simulated", "fast"])
def test_the_runs_of_this_repository_name_a_known_source(run, monkeypatch):
    monkeypatch.delenv("SCREENBOOK_HOME", raising=False)
    path = Path(__file__).resolve().parents[1] / "params" / f"{run}.yml"
    if not path.is_file():
        pytest.fail(f"params/{run}.yml is missing")
    assert re.search(r"source: *(\w+)", path.read_text())[1] in sources.SOURCES
