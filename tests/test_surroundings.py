"""What a process inherits: variables, signals, repositories. Right or refused; a failure is never read as "none"."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlcore import machine, parallel, runtime
from dlcore.records import Record, RecordStore
from dlcore.studies.distributional import Config
from dlcore.sweep import cells, cluster, recorded, signals, sweep

ROOT = Path(__file__).resolve().parents[1]
CHEAP = {"n_train": 120, "architecture": "knn"}
LIMIT = 300  # seconds that no test waits on a quiet machine, and a busy one may need

# Commits


def _git(*args, cwd):
    who = ["-c", "user.email=a@b", "-c", "user.name=a", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *who, *args], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A source tree of one module and a record, committed, which `runtime.commit` takes for its own."""
    root = tmp_path / "project"
    (root / "dlcore" / "records" / "scaling").mkdir(parents=True)
    for name in ("runtime.py", "records/scaling/0.json", "laws.yml"):
        (root / "dlcore" / name).write_text("1\n")
    (root / "README.md").write_text("1\n")
    _git("init", "-q", cwd=root)
    _git("add", "-A", cwd=root)
    _git("commit", "-qm", "x", cwd=root)
    monkeypatch.setattr(runtime, "__file__", str(root / "dlcore" / "runtime.py"))
    for name in machine.ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    return root


def _commit():
    return runtime.commit.__wrapped__()


def _other(tree):
    other = tree.parent / "other"
    other.mkdir()
    _git("init", "-q", cwd=other)
    _git("commit", "-qm", "y", "--allow-empty", cwd=other)
    return other


CHANGES = {
    "a module is edited": lambda root: (root / "dlcore" / "runtime.py").write_text("2\n"),
    "a module is new": lambda root: (root / "dlcore" / "more.py").write_text("2\n"),
    "a module is new in a new folder": lambda root: [
        (root / "dlcore" / "a" / "b").mkdir(parents=True),
        (root / "dlcore" / "a" / "b" / "c.py").write_text("2\n"),
    ],
    "a module is gone": lambda root: (root / "dlcore" / "runtime.py").unlink(),
    "a claim is edited": lambda root: (root / "dlcore" / "laws.yml").write_text("2\n"),
    "a change is staged": lambda root: [
        (root / "dlcore" / "runtime.py").write_text("2\n"),
        _git("add", "-A", cwd=root),
    ],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_package_is_not_its_commit(change, tree):
    head = _git("rev-parse", "--short=12", "HEAD", cwd=tree)
    assert _commit() == head
    CHANGES[change](tree)
    assert _commit() == f"{head}+changes"


@pytest.mark.parametrize("name", ["README.md", "dlcore/records/scaling/1.json", "dlcore/__pycache__/runtime.pyc"])
def test_other_files_are_no_change_of_the_package(name, tree):
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_text("2\n")
    assert _commit() == _git("rev-parse", "--short=12", "HEAD", cwd=tree)


def test_one_function_asks_git():
    """The others would ask the repository that a hook's environment names."""
    sources = [*(ROOT / "dlcore").rglob("*.py"), *(ROOT / "book").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    asks = {p.name for p in sources if re.search(r"""["']git["']""", p.read_text("utf8"))}
    assert asks == {"machine.py"}


def test_tests_in_a_hook_leave_its_repository_alone():
    said = "import os, conftest; print([name for name in conftest.machine.ELSEWHERE if name in os.environ])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))}
    env |= dict.fromkeys(machine.ELSEWHERE, "elsewhere")
    done = subprocess.run([sys.executable, "-c", said], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("variable", machine.ELSEWHERE)
def test_another_repository_of_a_hook_is_not_asked(variable, tree, monkeypatch):
    other, head = _other(tree), _git("rev-parse", "--short=12", "HEAD", cwd=tree)
    monkeypatch.setenv(variable, str(other / ".git"))
    assert _commit() == head


def test_a_package_that_is_not_in_the_repository_around_it_has_no_commit(tree, monkeypatch):
    other = _other(tree)
    shutil.copytree(tree / "dlcore", other / "dlcore")
    monkeypatch.setattr(runtime, "__file__", str(other / "dlcore" / "runtime.py"))
    assert _commit() == "unknown"


@pytest.mark.parametrize("fails", ["status", "everything", "no git"])
def test_a_git_that_fails_is_not_taken_for_no_changes(fails, tree, monkeypatch):
    head = _git("rev-parse", "--short=12", "HEAD", cwd=tree)
    run = subprocess.run

    def broken(command, **options):
        if fails == "no git":
            raise FileNotFoundError("git")
        if fails == "everything" or "status" in command:
            raise subprocess.TimeoutExpired(command, 20)
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", broken)
    assert _commit() == (f"{head}+unknown" if fails == "status" else "unknown")


@pytest.mark.parametrize("made", ["unknown", "0123456789ab+changes", "0123456789ab+unknown"])
def test_records_of_code_that_is_not_known_are_not_promoted(made, store, monkeypatch):
    config = Config()
    monkeypatch.setattr(recorded.studies, "recorded", lambda study: {"few": [config]})
    monkeypatch.setattr(recorded, "PACKAGED", store.path / "package")
    monkeypatch.setattr(runtime, "commit", lambda: "0123456789ab")
    store.save(config, Record("distributional", {}, {"tv": 1.0}, environment={"commit": made}))
    with pytest.raises(RuntimeError, match="was made by uncommitted code"):
        recorded.promote("distributional", store)
    if made != "unknown":
        monkeypatch.setattr(runtime, "commit", lambda: made)
        with pytest.raises(RuntimeError, match="commit first"):
            recorded.promote("distributional", store)


# Variables of clusters


@pytest.mark.parametrize(
    ("given", "threads"),
    [("3", 3), ("4,2", 4), (" 4 , 2 ", 4), ("", None), ("0", None), ("-1", None), ("many", None), ("\u0663", None)],
)
def test_threads_are_read_as_openmp_reads_them(given, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert machine.threads() == threads
    assert cluster.threads_each(1) == threads or machine.cores()


@pytest.mark.parametrize(
    "variables", [{"WORLD_SIZE": ""}, {"WORLD_SIZE": "4", "LOCAL_RANK": ""}, {"WORLD_SIZE": " 1 "}]
)
def test_empty_variables_of_torchrun_are_as_none(variables, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with parallel.group() as rank:
        assert rank == 0


def test_a_number_of_processes_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "four")
    with pytest.raises(RuntimeError, match="WORLD_SIZE = 'four' is not a number of processes"), parallel.group():
        pass


def test_a_driver_that_hangs_is_a_warning(tmp_path, monkeypatch):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\nexec sleep 100\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(cluster, "SMI", 0.3)
    with pytest.warns(UserWarning, match="nvidia-smi does not answer"):
        assert cluster.gpus(os.environ) == []


# Signals


def deaf(*numbers):
    """Ignores signals in a child, as a shell does with what it starts in the background."""
    return lambda: [signal.signal(number, signal.SIG_IGN) for number in numbers]


def blocked(*numbers):
    """Blocks signals in a child."""
    return lambda: signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


INHERITED = {
    "SIGINT ignored": deaf(signal.SIGINT),
    "SIGINT and SIGTERM ignored": deaf(signal.SIGINT, signal.SIGTERM),
    "SIGINT blocked": blocked(signal.SIGINT),
    "all of them": lambda: [deaf(signal.SIGINT, signal.SIGHUP)(), blocked(signal.SIGINT, signal.SIGTERM)()],
}
LONG = ["architecture=mlp", "dataset=digits", "n_train=300", "noise=0.4", "epochs=1e6", "width=4"]


@pytest.mark.table
# one kind is enough for a sweep, which takes long to start
@pytest.mark.parametrize(("kind", "command"), [*((kind, "run") for kind in INHERITED), ("all of them", "sweep")])
def test_ctrl_c_is_heard_whatever_the_parent_said(kind, command, tmp_path):
    more = ["--direct", "--workers", "1", "--out", str(tmp_path / "o")] if command == "sweep" else []
    process = subprocess.Popen(
        [sys.executable, "-m", "dlcore", command, "distributional", *LONG, *more, "--store", str(tmp_path / "s")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        preexec_fn=INHERITED[kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    unfinished, end = tmp_path / "s" / "distributional" / "unfinished", time.monotonic() + LIMIT
    while not unfinished.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=LIMIT)
    # in the midst of an import, Python itself ends by the signal: a shell says 130 of both
    assert process.returncode in (130, -signal.SIGINT), error
    assert b"finished records are kept" in error
    assert b"Traceback" not in error


def test_handlers_are_put_back_after_the_block():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals.heard():
            assert callable(signal.getsignal(signal.SIGINT))
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_lost_ctrl_c_comes_again(monkeypatch):
    """It may fall into a destructor, which Python lets no exception leave, or into a package's import."""
    monkeypatch.setattr(signals, "AGAIN", 0.05)
    lost, before = [], signal.getsignal(signal.SIGINT)

    def deaf() -> None:
        while len(lost) < 3:
            try:
                if not lost:
                    os.kill(os.getpid(), signal.SIGINT)
                time.sleep(LIMIT)
            except BaseException as error:
                lost.append(error)
        time.sleep(LIMIT)

    with pytest.raises(KeyboardInterrupt), signals.heard():
        deaf()
    assert len(lost) == 3
    assert signal.getsignal(signal.SIGINT) == before


def test_a_failed_command_is_none_although_the_parent_ignores_the_end_of_children():
    """With SIGCHLD ignored, Python sees status 0 of every child: git that fails would mean "no changes"."""
    code = (
        "import subprocess; from dlcore.sweep import signals\n"
        "with signals.heard():\n    print(subprocess.run(['false']).returncode)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, preexec_fn=deaf(signal.SIGCHLD), capture_output=True)
    assert done.stdout.strip() == b"1", done.stderr


# Time limits of cells without a notebook


@pytest.mark.parametrize("how", ["sleeps", "computes"])
def test_a_cell_that_hangs_here_is_ended_and_the_others_go_on(how, tmp_path, monkeypatch):
    from dlcore.studies import distributional

    real = distributional.run

    def run(config, **options):
        if config.seed == 1:
            assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= LIMIT
            signal.setitimer(signal.ITIMER_REAL, 0.5)  # its time is up soon, that of the others is not
            time.sleep(1000) if how == "sleeps" else [i for i in iter(int, 1)]
        return real(config, **options)

    monkeypatch.setattr(distributional, "run", run)
    places = {"store": tmp_path / "s", "out": tmp_path / "o", "progress": False}
    found = sweep("distributional", {"seed": [0, 1, 2]}, direct=True, workers=0, timeout=LIMIT, **places, **CHEAP)
    assert list(found.table["status"]) == ["done", "failed", "done"]
    assert found.failures[0]["error"] == f"TimeIsUp: it had not ended after {LIMIT} s (--timeout)"


# a plugin, for the worker alone, where no exception is heard in a sleep; the limit is that of seed 1, from when all is imported
HANGS = """
import dataclasses, os, time
from dlcore.sweep import cells

def limit(place, key, given):
    return limited(place if given["seed"] == 1 else dataclasses.replace(place, timeout=None), key, given)

def run(config, **options):
    if config.seed == 1:
        time.sleep(1000)
    return experiment.run(config, **options)

if os.getpid() != {parent}:
    from dlcore.studies import distributional
    from dlcore.studies.distributional import experiment

    limited, cells.LAST_WORDS = cells.limited, 1.0
    cells.limited, distributional.run = limit, run
"""


@pytest.mark.slow
def test_a_cell_that_hangs_on_a_worker_ends_with_it_and_the_others_go_on(tmp_path, monkeypatch):
    (tmp_path / "hangs.py").write_text(HANGS.replace("{parent}", str(os.getpid())))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DLCORE_PLUGINS", "hangs")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    places = {"store": tmp_path / "s", "out": tmp_path / "o", "progress": False}
    found = sweep("distributional", {"seed": [1, 0]}, direct=True, workers=1, timeout=5, **places, **CHEAP)
    assert list(found.table["status"]) == ["failed", "done"]
    assert found.failures[0]["error"] == "TimeIsUp: it had not ended after 5 s (--timeout)"
    assert "time.sleep" in found.failures[0]["traceback"]


def test_an_exception_is_heard_in_a_worker_that_computes(tmp_path):
    import threading

    place = cells.Place("distributional", tmp_path, tmp_path, "token", timeout=1)
    caught = []

    def work():
        try:
            with cells.limited(place, "key", {}):
                while True:
                    pass
        except cells.TimeIsUp as error:
            caught.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=LIMIT)
    assert caught == ["it had not ended after 1 s (--timeout)"]
    assert not list(tmp_path.iterdir())


def test_a_record_of_changed_data_stops_a_sweep_before_it_runs(tmp_path, monkeypatch):
    places = {"store": tmp_path / "s", "out": tmp_path / "o", "progress": False, "direct": True, "workers": 0}
    made = sweep("distributional", {"seed": [0]}, **places, **CHEAP)
    kept = {record.key: record for record in RecordStore(tmp_path / "s").records("distributional")}
    checksum = kept[made.table["key"].item()].data["checksum"]
    monkeypatch.setattr(Config, "data_checksum", lambda self: "fedcba9876543210")
    with pytest.raises(ValueError, match=f"checksum {checksum}, but .* has fedcba9876543210"):
        sweep("distributional", {"seed": [0, 1]}, **places, **CHEAP)
    monkeypatch.setattr(Config, "data_checksum", lambda self: checksum)
    assert list(sweep("distributional", {"seed": [0]}, **places, **CHEAP).table["key"]) == list(made.table["key"])
