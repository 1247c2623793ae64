"""Files are written whole or not at all; a full disk is called one; what killed processes left is removed."""

import ast
import datetime
import errno
import os
import pickle
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dlcore import cache, claims, command_line, data, notebook, optimization, reading
from dlcore import cache as kept
from dlcore.__main__ import main
from dlcore.cache import KeptWarning
from dlcore.claims import history, pages
from dlcore.records import Record, RecordStore
from dlcore.stitching.cached import Kept
from dlcore.stitching.options import StitchOptions
from dlcore.studies.distributional import Config
from dlcore.sweep import grid, plan
from dlcore.training import TrainConfig, fit
from dlcore.translation import text

FULL = Path("/dev/full")
ROOT = Path(__file__).resolve().parents[1]


class _Full:
    """A file on a disk that is full after some bytes."""

    def __init__(self, path, room):
        self.file, self.room = open(path, "xb", buffering=0), room  # noqa: SIM115

    def write(self, data):
        data = memoryview(data).cast("B")
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.fixture(params=[0, 128, 3000], ids=lambda room: f"{room} bytes left")
def full_disk(request, monkeypatch):
    """Every file that is written whole meets a full disk."""
    monkeypatch.setattr(cache, "open", lambda path, mode, buffering: _Full(path, request.param), raising=False)


def _writers():
    net = nn.Linear(60, 60)
    adam = torch.optim.Adam(net.parameters())
    steps = torch.optim.lr_scheduler.LambdaLR(adam, lambda _: 1.0)
    return {
        "checkpoint": lambda path: optimization.save(path, {"a": 1}, net, adam, steps, {}),
        "arrays": lambda path: kept.write_arrays(path, a=np.random.default_rng(0).random(5000)),
        "network": lambda path: cache.keep(path, lambda file: torch.save(net.state_dict(), file)),
    }


@pytest.mark.parametrize("kind", ["checkpoint", "arrays", "network"])
def test_what_only_saves_time_is_left_out_on_a_full_disk_and_the_reason_is_named(kind, tmp_path, full_disk):
    with pytest.warns(KeptWarning, match=rf"No space left on device.*{kind}"):
        _writers()[kind](tmp_path / kind)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["checkpoint", "arrays", "network"])
def test_what_is_kept_can_be_read(kind, tmp_path):
    path = tmp_path / "new" / kind
    _writers()[kind](path)
    assert [p.name for p in path.parent.iterdir()] == [kind]
    if kind == "arrays":
        assert kept.read_arrays(path)["a"].shape == (5000,)
    else:
        assert torch.load(path, weights_only=True)


def test_a_run_whose_record_finds_no_room_says_so(tmp_path, full_disk):
    store = RecordStore(tmp_path, packaged=False)
    config = Config()
    record = Record("distributional", {}, {f"metric {i}": i / 7 for i in range(400)})
    with pytest.raises(OSError, match=f"No space left on device.*{config.key}.json") as raised:
        store.load_or_run(config, run=lambda *_, **__: record)
    assert raised.value.errno == errno.ENOSPC
    assert not list((tmp_path / "distributional").glob(".*"))


@pytest.mark.parametrize("command", [["--write", "README.md"], ["--history"]], ids=lambda words: words[0])
def test_a_ledger_that_finds_no_room_leaves_what_was_there(command, tmp_path, full_disk, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("README.md", "history.json"):
        Path(name).write_text("before")
    monkeypatch.setattr(pages, "written", lambda name, text: text + 9999 * "x")
    monkeypatch.setattr(claims, "write_history", lambda: history.write({f"{i}": len for i in range(99)}, {}))
    monkeypatch.setattr(history, "FILE", tmp_path / "history.json")
    monkeypatch.setattr(history, "regions", lambda: {f"{i}": (datetime.datetime(2026, 1, 1), ()) for i in range(99)})
    assert main(["claims", *command]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"README.md": "before", "history.json": "before"}


REPLACE = [*(ROOT / "dlcore").rglob("*.py"), *(ROOT / "book" / "examples").glob("*.py")]
REPLACE += [ROOT / "book" / name for name in ("golden.py", "address.py")] + [ROOT / "benchmarks" / "harness.py"]


def test_what_replaces_a_file_is_written_by_the_one_function():
    """What goes into a folder that was just made may be written as one likes; all else of ours goes through `writing`."""
    own = re.compile(r"\.write_(text|bytes)\(|\bopen\([^)\n]*[\"'][wa]b?\+?[\"']|\.open\([\"'][wax]")
    found = {path.name: own.findall(path.read_text("utf8")) for path in REPLACE}
    # Linux is told to count anew
    assert {name: len(calls) for name, calls in found.items() if calls} == {"harness.py": 1}


def test_a_folder_that_cannot_be_made_is_a_warning_or_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(KeptWarning, match="Not a directory|File exists"):
        assert not cache.keep(tmp_path / "file" / "x", lambda file: file.write(b"x"))
    with pytest.raises(OSError, match="Not a directory|File exists"):
        cache.write_atomically(tmp_path / "file" / "x", "x")


def test_an_error_of_the_writer_is_its_own(tmp_path):
    path = tmp_path / "x"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError):
        cache.keep(path, lambda file: file.write(b"after") / 0)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def _dead() -> int:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


def test_what_dead_processes_left_is_removed_and_nothing_else(tmp_path):
    host, dead = cache._host(), _dead()
    gone = [f".a.json.{host}-{dead}-00000000.tmp", ".b.pt.elsewhere-1-00000001.tmp", ".c.json.1.tmp", ".d.9.tmp.npz"]
    stay = [f".a.json.{host}-{os.getpid()}-00000002.tmp", ".e.pt.elsewhere-1-00000003.tmp", "f.tmp", ".g.tmp", "h.json"]
    stay += [".i.json.1.tmp", ".sweep-0123456789ab", ".download-x", ".gitignore"]
    gone += [".sweep-ba9876543210.node1.7"]
    for name in gone + stay:
        (tmp_path / name).touch()
    gone.append(f".download.{host}-{dead}-00000009.tmp")
    (tmp_path / gone[-1] / "MNIST").mkdir(parents=True)
    old = time.time() - 2 * cache.WEEK
    for name in [*gone[1:], "f.tmp", ".g.tmp"]:
        os.utime(tmp_path / name, (old, old))
    cache.sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(stay)


KILLED = """
import os, signal, sys
from pathlib import Path
from dlcore import cache
cache.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with cache.writing(Path(sys.argv[1])) as file:
    file.write(b"x")
"""


@pytest.mark.parametrize("folder", ["", "unfinished", "networks", "controls", "reverse", "features", "end_to_end"])
def test_the_next_run_removes_what_a_kill_at_the_last_moment_left(folder, tmp_path, store):
    config = Config()
    place = store.path / "distributional" / folder
    subprocess.run([sys.executable, "-c", KILLED, str(place / "x")], check=False)
    assert len(list(place.glob(".*.tmp"))) == 1
    store.load_or_run(config, run=lambda *_, **__: Record("distributional", {}, {"tv": 1.0}))
    assert not list(store.path.rglob(".*.tmp"))
    # and the one after it, which only looks its record up
    subprocess.run([sys.executable, "-c", KILLED, str(place / "x")], check=False)
    cache._SWEPT.clear()  # as in another process
    store.load_or_run(config, run=None)
    assert not list(store.path.rglob(".*.tmp"))


@pytest.mark.skipif(os.name != "posix", reason="signals differ elsewhere")
def test_processes_that_are_alive_are_told_from_dead_ones():
    assert cache.alive(os.getpid())
    assert not cache.alive(_dead())
    assert not cache.alive(10**30)


# Places


@pytest.mark.parametrize(
    ("variables", "records", "data"),
    [
        ({"HOME": "/h"}, "/h/.cache/dlcore/records", "/h/.cache/dlcore/data"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/dlcore/records", "/x/dlcore/data"),
        ({"HOME": "/h", "XDG_CACHE_HOME": ""}, "/h/.cache/dlcore/records", "/h/.cache/dlcore/data"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "x"}, "/h/.cache/dlcore/records", "/h/.cache/dlcore/data"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "~/x"}, "/h/x/dlcore/records", "/h/x/dlcore/data"),
        ({"HOME": "/h", "DLCORE_RECORDS": ""}, "/h/.cache/dlcore/records", "/h/.cache/dlcore/data"),
        ({"HOME": "/h", "DLCORE_RECORDS": "~/r"}, "/h/r", "/h/.cache/dlcore/data"),
        ({"HOME": "/h", "DLCORE_RECORDS": "/r"}, "/r", "/h/.cache/dlcore/data"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/dlcore/records", "/x/dlcore/data"),
        ({"DLCORE_RECORDS": "/r"}, "/r", None),
        ({}, None, None),
        ({"HOME": ""}, None, None),
        ({"HOME": "relative", "XDG_CACHE_HOME": "~"}, None, None),
        ({"DLCORE_RECORDS": "~/r"}, None, None),
    ],
    ids=str,
)
def test_folders_are_where_the_variables_say(variables, records, data, monkeypatch):
    """HOME unset is an unknown user, too: `docker run --user 12345`."""
    from dlcore.data import cache_folder
    from dlcore.records import default_path

    for name in ("HOME", "XDG_CACHE_HOME", "DLCORE_RECORDS", "DLCORE_DATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def nobody(*_):
        raise KeyError("uid not found")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for find, expected in ((default_path, records), (cache_folder, data)):
        if expected is None:
            with pytest.raises(ValueError, match="there is no home folder"):
                find()
        else:
            assert find() == Path(expected)


def test_without_a_home_the_shipped_records_and_the_embedded_data_are_there(monkeypatch):
    from dlcore import data, doctor

    for name in ("XDG_CACHE_HOME", "DLCORE_RECORDS", "DLCORE_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cache, "home", lambda: None)
    assert len(RecordStore().table("scaling")) > 100
    assert data.available()["mnist"].startswith("missing")
    assert "go nowhere: there is no home folder" in doctor.report()
    with pytest.raises(FileNotFoundError, match=r"mnist was not found.*DLCORE_DATA is not set"):
        data.load("mnist")
    with pytest.raises(ValueError, match="set XDG_CACHE_HOME"):
        RecordStore().save(Config(), Record("distributional", {}, {"tv": 1.0}))


def test_what_follows_from_the_package_is_made_once_and_again_when_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = []

    def make():
        made.append(1)
        return {"numbers": [len(made)]}

    first, second = (cache.remembered("x", make) for _ in range(2))
    assert first == second == {"numbers": [1]}
    second["numbers"].append(7)
    assert cache.remembered("x", make) == {"numbers": [1]}, "every call has an object of its own"
    (file,) = (tmp_path / "dlcore" / "remembered").iterdir()
    file.write_bytes(b"damaged")
    assert cache.remembered("x", make) == {"numbers": [2]}
    monkeypatch.setattr(cache, "contents", lambda: "another")
    assert cache.remembered("x", make) == {"numbers": [3]}
    assert len(list(file.parent.iterdir())) == 1, "the old one is gone"


def test_what_was_made_with_a_warning_is_made_and_told_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        with pytest.warns(UserWarning, match="a record is damaged"):
            cache.remembered("x", lambda: warnings.warn("a record is damaged", UserWarning, stacklevel=1))


def test_without_a_place_it_is_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache.remembered("x", lambda: 1) == cache.remembered("x", lambda: 1) == 1


class Trap:
    """What a stranger may put down: it makes a folder when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (self.file,)


@pytest.mark.skipif(os.name != "posix", reason="needs the modes of files")
@pytest.mark.parametrize("how", ["all may write", "a group may write", "another user's", "a link"])
def test_a_pickle_that_a_stranger_could_have_written_is_never_opened(how, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.remembered("x", lambda: 1) == 1
    (file,) = (place := tmp_path / "dlcore" / "remembered").iterdir()
    assert place.stat().st_mode & 0o777 == 0o700
    file.write_bytes(planted := pickle.dumps(Trap(str(tmp_path / "sprung"))))
    if how == "another user's":
        monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    elif how == "a link":
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.chmod(0o777 if how == "all may write" else 0o770)
    assert cache.remembered("x", lambda: 2) == 2
    assert not (tmp_path / "sprung").exists()
    assert file.read_bytes() == planted, "it is not ours to remove"


# what opens a pickle, or code, and what it must say of it
LOADS = {
    "np.load": lambda call: not call.get("allow_pickle"),
    "torch.load": lambda call: call.get("weights_only") is True,
    "yaml.load": lambda call: (
        "SafeLoader" in (how := call.get("Loader", call.get(1))) or how in ("_loader()", "loader")
    ),
}
SAFE = {"pickle.loads": {"cache.py", "vision.py"}}  # of a folder of the user's alone, and of known content
NEVER = (
    *(
        "pickle.load",
        "pickle.Unpickler",
        "joblib.load",
        "pd.read_pickle",
        "pandas.read_pickle",
        "torch.jit.load",
        "marshal.loads",
    ),
    *("torch.hub.load", "torch.package.PackageImporter", "yaml.unsafe_load", "yaml.full_load", "shelve.open"),
    *("dill.loads", "cloudpickle.loads", "eval", "exec"),
)


def test_nothing_is_loaded_that_could_run_code():
    root, seen = Path(cache.__file__).parents[1], set()
    for path in [p for folder in ("dlcore", "book", "benchmarks", "notebooks") for p in (root / folder).rglob("*.py")]:
        for call in [node for node in ast.walk(ast.parse(path.read_text("utf8"))) if isinstance(node, ast.Call)]:
            name = ast.unparse(call.func)
            if name in LOADS:
                seen.add(name)
                given = {**dict(enumerate(call.args)), **{k.arg: k.value for k in call.keywords}}
                given = {k: v.value if isinstance(v, ast.Constant) else ast.unparse(v) for k, v in given.items()}
                assert LOADS[name](given), f"{path}:{call.lineno}"
            elif name in SAFE:
                seen.add(name)
                assert path.name in SAFE[name], f"{path}:{call.lineno}"
            else:
                assert name not in NEVER, f"{path}:{call.lineno}"
    assert seen == {*LOADS, *SAFE}


def test_every_file_of_the_package_counts(monkeypatch, tmp_path):
    (tmp_path / "records").mkdir()
    for name in ("cache.py", "records/a.jsonl"):
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "cache.py"))
    seen = {cache.contents.__wrapped__()}
    (tmp_path / "records" / "a.jsonl").write_text("2")
    seen.add(cache.contents.__wrapped__())
    (tmp_path / "b.csv").touch()
    seen.add(cache.contents.__wrapped__())
    assert len(seen) == 3


def _file(path, text):
    """The path as it was given, with a file where it stands for."""
    cache.expanded(path).write_text(text)
    return path


def _checkpoint(path):
    fit(nn.Linear(2, 2), (np.eye(2), [0, 1]), TrainConfig(epochs=1), device="cpu", checkpoint=f"{path}/c.pt")
    return cache.expanded(path) / "c.pt"


PATHS = {
    "sweep": lambda path: plan.make("distributional", [{}], out=path, direct=True).place.folder.parents[1],
    "grid file": lambda path: grid.read_file(_file(f"{path}/g.csv", "noise\n0.1\n")) and cache.expanded(path),
    "table": lambda path: len(reading.read_table(_file(f"{path}/g.csv", "noise\n0.1\n"))) and cache.expanded(path),
    "corpus": lambda path: text.read_tsv(_file(f"{path}/t.tsv", "a\tb\n")) and cache.expanded(path),
    "notebook": lambda path: notebook.read(_file(f"{path}/n.py", "# %%\n1\n")) and cache.expanded(path),
    "chapters": lambda path: notebook.copy_chapters(path)[0].parent,
    "stitches": lambda path: Kept(path, (), StitchOptions()).folder,
    "checkpoint": _checkpoint,
    "store": lambda path: RecordStore(path).path,
    "data": lambda path: next(iter(data._places(path))),
    "arrays": lambda path: data.own._stamp(_file(f"{path}/x.npz", "")) and cache.expanded(path),
    "option of a file": command_line.file,
    "option of a folder": command_line.folder,
}


@pytest.mark.parametrize("written", ["~", "$HOME", "${HOME}"])
@pytest.mark.parametrize("kind", PATHS)
def test_home_may_be_written_in_every_path(kind, written, tmp_path, monkeypatch):
    home, here = tmp_path / "home", tmp_path / "here"
    for folder in (home / "mine", here):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    assert (home / "mine") in (found := Path(PATHS[kind](f"{written}/mine")), *found.parents)
    assert not list(here.iterdir())


def test_every_path_that_a_caller_gives_goes_through_the_one_door():
    """`Path(given)` would take ~ literally and make a folder of that name."""
    for file in (ROOT / "dlcore").rglob("*.py"):
        for function in (f for f in ast.walk(ast.parse(file.read_text("utf8"))) if isinstance(f, ast.FunctionDef)):
            every = [*function.args.args, *function.args.kwonlyargs]
            given = {a.arg for a in every if a.annotation and re.search(r"str \| Path", ast.unparse(a.annotation))}
            calls = [c for c in ast.walk(function) if isinstance(c, ast.Call) and ast.unparse(c.func) == "Path"]
            literal = [c.lineno for c in calls if given & {ast.unparse(a) for a in c.args}]
            assert file.name == "cache.py" or not literal, f"{file.name}, lines {literal}"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "I/O error"), MemoryError()])
def test_a_kept_file_that_cannot_be_read_now_stays(error, tmp_path):
    path = tmp_path / "kept.npz"
    cache.write_arrays(path, a=np.arange(3))

    def fails(path):
        raise error

    assert cache.kept(path, fails) is None
    assert cache.read_arrays(path)["a"].tolist() == [0, 1, 2]


def test_a_page_remembers_nothing_so_that_its_files_are_those_that_it_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DLCORE_TRACE", str(tmp_path / "trace"))
    assert [cache.remembered("one", lambda value=value: value) for value in (1, 2)] == [1, 2]
