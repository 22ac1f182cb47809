"""Publishing tables beside their report, with a dictionary of every column."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from screenbook.report.tables import publish_tables


def saved(home, name, frame, **columns):
    """Write a table as save_table() does, and return what it says of it."""
    path = home / "build" / "mine" / "tables" / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, sep="\t", index=False)
    columns = {column: f"{column}, described" for column in frame} | columns
    return {"name": name, "path": f"build/mine/tables/{name}.tsv", "columns": columns}


@pytest.fixture
def published(home):
    def read():
        folder = home / "reports" / "mine" / "tables"
        dictionary = pd.read_csv(folder / "dictionary.tsv", sep="\t", dtype=str)
        return sorted(path.name for path in folder.iterdir()), dictionary

    return read


FRAME = pd.DataFrame({"n": [1, 2], "x": [0.5, None], "on": [True, False], "name": ["a", "b"]})


def test_columns_are_described_in_their_order(home, published):
    publish_tables("mine", "04_score", [saved(home, "hits", FRAME, x="a\nlong\tmeaning")])
    files, dictionary = published()
    assert files == ["dictionary.tsv", "hits.tsv"]
    assert dictionary["column"].tolist() == ["n", "x", "on", "name"]
    assert dictionary["type"].tolist() == ["whole number", "number", "true or false", "text"]
    assert dictionary["meaning"].tolist()[1] == "a long meaning"
    assert set(dictionary["notebook"]) == {"04_score"}


def test_the_same_tables_again_change_nothing(home, published):
    tables = [saved(home, "b", FRAME), saved(home, "a", FRAME[["n"]])]
    publish_tables("mine", "04_score", tables)
    first = (home / "reports/mine/tables/dictionary.tsv").read_bytes()
    publish_tables("mine", "04_score", tables[::-1])
    assert (home / "reports/mine/tables/dictionary.tsv").read_bytes() == first
    assert published()[1]["table"].tolist() == ["a", "b", "b", "b", "b"]


def test_a_table_that_is_no_longer_saved_goes_and_those_of_others_stay(home, published):
    publish_tables("mine", "04_score", [saved(home, "old", FRAME), saved(home, "kept", FRAME)])
    publish_tables("mine", "05_near", [saved(home, "near", FRAME)])
    publish_tables("mine", "04_score", [saved(home, "kept", FRAME[["n"]])])
    files, dictionary = published()
    assert files == ["dictionary.tsv", "kept.tsv", "near.tsv"]
    assert dictionary.groupby("table").size().to_dict() == {"kept": 1, "near": 4}


def test_a_table_moves_with_its_notebook(home, published):
    publish_tables("mine", "04_score", [saved(home, "hits", FRAME)])
    publish_tables("mine", "05_near", [saved(home, "hits", FRAME)])
    publish_tables("mine", "04_score", [])
    files, dictionary = published()
    assert files == ["dictionary.tsv", "hits.tsv"]
    assert set(dictionary["notebook"]) == {"05_near"}


def test_nothing_saved_leaves_nothing(home):
    publish_tables("mine", "04_score", [])
    assert not (home / "reports" / "mine" / "tables").exists()


def test_notebooks_that_end_at_once_lose_no_line(home, published):
    tables = [saved(home, f"table_{i}", FRAME) for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda i: publish_tables("mine", f"{i:02d}_x", [tables[i]]), range(12)))
    assert len(published()[1]) == 12 * len(FRAME.columns)
