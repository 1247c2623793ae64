"""Shared fixtures: a private record store, so that no test reads or writes the user's."""

import pytest

from dlcore.records import RecordStore


@pytest.fixture(autouse=True)
def private_records(tmp_path, monkeypatch):
    """Points the default record folder of every test at an empty one."""
    monkeypatch.setenv("DLCORE_RECORDS", str(tmp_path / "records"))


@pytest.fixture
def store(tmp_path):
    """A record store without the shipped records."""
    return RecordStore(tmp_path / "store", packaged=False)
