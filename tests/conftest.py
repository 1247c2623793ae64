"""A private record store, so that no test reads or writes the user's, nor his repository; the order of files for several workers."""

import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from dlcore import machine
from dlcore.records import RecordStore

# in a hook of a repository they lead to its index, and the repositories that tests make would be that one
for name in machine.ELSEWHERE:
    os.environ.pop(name, None)

# the longest files first, so that no worker is alone with one of them at the end
FIRST = ("test_pages.py", "test_colab.py", "test_lab.py", "test_notebooks.py")


def pytest_addoption(parser):
    """Adds the option of `make test`; without it, as in `make test-all`, every test runs."""
    parser.addoption("--quick", action="store_true", help="without slow tests, and a fifth of each table of siblings")


def parted(items):
    """Returns the tests of a quick run, and those it can do without: slow ones, and of a table all but the first and a fifth."""
    kept, left, begun = [], [], set()
    for item in items:
        table = (item.path, item.originalname) if item.get_closest_marker("table") else None
        sibling = table in begun and zlib.crc32(item.nodeid.encode()) % 5
        begun.add(table)
        (left if item.get_closest_marker("slow") or (table and sibling) else kept).append(item)
    return kept, left


def pytest_collection_modifyitems(config, items):
    """Orders the files that the workers of `pytest -n` take, each whole: the tests in it share what is slow to make."""
    if config.getoption("quick"):
        items[:], left = parted(items)
        config.hook.pytest_deselected(items=left)
    if hasattr(config, "workerinput"):
        order = {name: i for i, name in enumerate(FIRST)}
        items.sort(key=lambda item: order.get(item.path.name, len(FIRST)))


@pytest.fixture(autouse=True)
def private_records(tmp_path, monkeypatch):
    """Points the default record folder of every test at an empty one."""
    monkeypatch.setenv("DLCORE_RECORDS", str(tmp_path / "records"))


@pytest.fixture
def store(tmp_path):
    """A record store without the shipped records."""
    return RecordStore(tmp_path / "store", packaged=False)


@pytest.fixture(scope="session")
def find_python():
    """Finds a Python of a version, such as 3.12; this one where there is none."""

    def find(version: str) -> str:
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        for candidate in (f"python{version}", *sorted(pyenv.glob(f"{version}.*/bin/python"))):
            found = shutil.which(str(candidate))
            # a shim may be there without what it points to, and Debian's Python without the means to make environments
            known = [found, "-c", "import ensurepip"]
            if found and subprocess.run(known, capture_output=True, check=False).returncode == 0:
                return found
        return sys.executable

    return find
