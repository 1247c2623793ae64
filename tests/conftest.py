"""A private record store, so that no test reads or writes the user's; which tests stay together in one worker."""

from pathlib import Path

import pytest

from dlcore.records import RecordStore

HERE = Path(__file__).resolve().parent
# the longest first, so that no worker is alone with one of them at the end
FIRST = ("browser", "test_colab.py", "test_notebooks.py")


def _place(item: pytest.Item) -> str:
    """Returns the folder or file of a test inside tests/, or its path."""
    return item.path.relative_to(HERE).parts[0] if item.path.is_relative_to(HERE) else str(item.path)


def pytest_collection_modifyitems(config, items):
    """Workers (`pytest -n`) take whole files, which share fixtures; one worker builds the book and opens its pages."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    order = {name: i for i, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(_place(item), len(FIRST)))
    for item in items:
        place = _place(item)
        item.add_marker(pytest.mark.xdist_group(item.nodeid if place == "test_notebooks.py" else place))


@pytest.fixture(autouse=True)
def private_records(tmp_path, monkeypatch):
    """Points the default record folder of every test at an empty one."""
    monkeypatch.setenv("DLCORE_RECORDS", str(tmp_path / "records"))


@pytest.fixture
def store(tmp_path):
    """A record store without the shipped records."""
    return RecordStore(tmp_path / "store", packaged=False)
