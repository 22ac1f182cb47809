"""Run names, where runs read and write, and writes that leave nothing half-made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screenbook import paths
from screenbook.errors import InputError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SCREENBOOK_HOME", str(tmp_path))
    return tmp_path


def test_a_variant_belongs_to_its_run_and_writes_apart(home):
    assert paths.base_run("simulated@k-30") == "simulated"
    assert paths.params_file("simulated@k-30") == home / "params" / "simulated.yml"
    assert paths.build_dir("simulated@k-30") != paths.build_dir("simulated")
    assert paths.reports_dir("simulated@k-30") != paths.reports_dir("simulated")


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "a..b", "../a", "a@", "@b", "a@b@c", "a b", ".a"]
)
def test_a_name_that_is_no_folder_is_refused(home, name):
    with pytest.raises(InputError, match="is not a name"):
        paths.build_dir(name)


@given(st.text(max_size=20))
def test_no_name_leads_out_of_the_build_folder(name):
    try:
        folder = paths.build_dir(name)
    except InputError:
        return
    assert folder.resolve().parent == (paths.root() / "build").resolve()


def test_a_variant_reads_its_own_file_first_then_that_of_its_run(home):
    of_run = paths.build_dir("one") / "centred.zarr"
    of_run.mkdir(parents=True)
    assert paths.find("one@k", "centred.zarr", made_by="02") == of_run
    own = paths.build_dir("one@k") / "centred.zarr"
    own.mkdir(parents=True)
    assert paths.find("one@k", "centred.zarr", made_by="02") == own
    assert paths.find("one", "centred.zarr", made_by="02") == of_run


def test_what_is_missing_is_named_with_the_command_that_makes_it(home):
    with pytest.raises(InputError, match="make report NB=02 RUN=one") as refusal:
        paths.find("one@k", "centred.zarr", made_by="02")
    assert "\n" not in str(refusal.value)


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path):
    target = tmp_path / "table.tsv"
    target.write_text("good")

    def stop_halfway():
        with paths.replacing(target) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_halfway()
    assert target.read_text() == "good"
    with paths.replacing(target) as part:
        part.write_text("new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "screen.zarr"
    for content in ("old", "new"):
        with paths.replacing(target) as part:
            part.mkdir()
            (part / content).touch()
    assert [p.name for p in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_body_that_writes_nothing_leaves_the_old_one(tmp_path):
    target = tmp_path / "screen.zarr"
    target.mkdir()
    with pytest.raises(FileNotFoundError), paths.replacing(target):
        pass
    assert target.is_dir()
