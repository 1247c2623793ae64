"""Every bad command line ends in one line that says what would be right, with status 2, and leaves nothing behind."""

import gzip
import os
import shlex
import time
from pathlib import Path

import pytest

from dlcore.__main__ import main
from dlcore.command_line import LONGEST

LINES = Path(__file__).with_name("bad").joinpath("commands.txt").read_text("utf8").splitlines()
BAD = [tuple(line.split(" => ", 1)) for line in LINES if line and not line.startswith("#")]
LONG = {"MANYBRACKETS": "[" * 100_000, "MANYDIGITS": "9" * 5000, "MANYLETTERS": "x" * 1_000_000}
DEEP = "[" * 20_000 + "]" * 20_000
LAUGHS = (
    "a0: &a0 [0, 0]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}0]\n" for i in range(1, 30)) + "noise: [*a29]\n"
)
FILES = {
    "file": "",
    "plain.md": "# no table\n",
    "half.md": "<!-- ledger:start -->\n",
    "grid.txt": "noise\n0.1\n",
    "empty.csv": "\n\n",
    "header.csv": "noise\n",
    "good.csv": "noise,\n0.1,\n",
    "typo.csv": "noize\n0.1\n",
    "quote.csv": 'noise,architecture\n0.1,"mlp\n',
    "long.csv": f"noise\n{'1' * 200_000}\n",
    "twice.csv": "noise,noise\n0.1,0.2\n",
    "nameless.csv": "noise,,seed\n0.1,2,3\n",
    "ragged.csv": "noise,seed\n0.1,2\n0.1\n",
    "wide.csv": "noise,seed\n0.1,2,3\n",
    "latin.csv": "architecture\nr\xe9seau\n".encode("latin1"),
    "latin.yml": "# one\narchitecture: r\xe9seau\n".encode("latin1"),
    "utf16.csv": "noise\n0.1\n".encode("utf-16-le"),
    "empty.yml": "",
    "twice.yml": "noise: 0.1\nseed: 1\nnoise: 0.2\n",
    "list.yml": "- noise\n- seed\n",
    "scalar.yml": "0.1\n",
    "nested.yml": "noise: {rate: 0.1}\n",
    "laughs.yml": LAUGHS,
    "none.yml": "noise: []\n",
    "tag.yml": "noise: !!python/object/apply:os.getcwd []\n",
    "tabs.yml": "noise:\n\t- 0.1\n",
    "deep.yml": f"noise: {DEEP}\n",
    "self.yml": "noise: &n [*n]\n",
    "unhashable.yml": "{[1]: 2}\n",
    "broken.ipynb": "{",
    "other.py": "# %%\nnoise = 0.1\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the command lines name, and a store in which one run is done."""
    path = tmp_path_factory.mktemp("bad")
    for name, content in FILES.items():
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for name in ("empty", "folder.csv"):
        (path / name).mkdir()
    os.mkfifo(path / "pipe.csv")
    with open(path / "hole.csv", "wb") as hole:
        hole.truncate(2**40)
    with gzip.open(path / "bomb.csv", "wb") as bomb:
        for _ in range(300):
            bomb.write(bytes(2**20))
    assert main(["run", "distributional", "n_train=120", "--store", str(path / "done")]) == 0
    return path


def _everything(folder):
    return sorted(str(p) for p in folder.rglob("*"))


def test_the_list_is_long_and_every_line_is_there_once():
    assert len(set(BAD)) == len(BAD) >= 200
    assert all(len(entry) == 2 and entry[1] for entry in BAD)


def _memory():
    """The largest memory in bytes since the last call; Linux counts anew."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.table
@pytest.mark.parametrize(("command", "says"), BAD, ids=[command or "(nothing)" for command, _ in BAD])
def test_a_bad_command_is_one_line_and_status_2(command, says, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DLCORE_DATA", raising=False)
    monkeypatch.setattr("dlcore.sweep.cluster.CONNECT", 0.5)
    words = shlex.split(command)
    for word, stands_for in LONG.items():
        words = [given.replace(word, stands_for) for given in words]
    before, start = _everything(folder), time.monotonic()
    _memory()
    busy, held = time.process_time(), _memory()
    status = main(words)
    busy, took = time.process_time() - busy, time.monotonic() - start
    out, error = capsys.readouterr()
    assert status == 2, (out, error)
    *bars, line = error.replace("\r", "\n").strip().splitlines()
    assert all("epoch" in bar for bar in bars), "above it there may be how far a training got"
    assert line.startswith("error: ")
    assert len(line) < LONGEST + 50
    assert says in line
    assert busy < 5
    assert took < 5 + 10 * busy, "it waits; on a busy machine the work itself takes its time"
    assert _memory() - held < 2**30
    changed = set(_everything(folder)) ^ set(before)
    assert not [path for path in changed if not path.endswith("unfinished")], "a mistake leaves nothing behind"
