"""Fixtures that more than one test module needs."""

import pandas as pd
import pytest

# An oracle (pycytominer) turns this on for the rest of its process, as pandas 3 will for all: on
# from the start, no result depends on which test came before.
pd.options.mode.copy_on_write = True


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty checkout in a temporary folder: every path of screenbook.paths lies in it."""
    for folder in ("params", "notebooks"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("SCREENBOOK_HOME", str(tmp_path))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    return tmp_path
