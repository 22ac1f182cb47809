"""Fixtures that more than one test module needs."""

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty checkout in a temporary folder: every path of screenbook.paths lies in it."""
    for folder in ("params", "notebooks"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("SCREENBOOK_HOME", str(tmp_path))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    return tmp_path
