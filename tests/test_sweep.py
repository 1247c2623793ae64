"""Sweeps on this machine: cells are skipped when done, listed when failed, and survive kills and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import pandas as pd
import psutil
import pytest

from dlcore import cache
from dlcore.__main__ import main
from dlcore.records import Record, RecordStore
from dlcore.studies.distributional import Config
from dlcore.sweep import cells, sweep

ROOT = Path(__file__).resolve().parents[1]
CHEAP = {"n_train": 200, "architecture": "knn"}
# seed 1 fails, seed 2 is slow, seed 3 kills the worker that started the kernel; nothing here needs torch
TINY = """# %% tags=["parameters"]
noise = 0.1
seed = 0

# %%
import os, pathlib, time
pathlib.Path(os.environ["DLCORE_RECORDS"], f"started{seed}").touch()
print("threads", os.environ["OMP_NUM_THREADS"], "noise", noise)

# %%
assert seed != 1, "one is unlucky"
if seed == 2:
    time.sleep(600)
if seed == 3:
    os.kill(os.getppid(), 9)
    time.sleep(600)
"""


@pytest.fixture
def tiny(tmp_path):
    """A notebook whose records are there already, in the folder `s`."""
    for seed in range(5):
        config = Config(noise=0.1, seed=seed)
        RecordStore(tmp_path / "s").save(config, Record("distributional", config.to_dict(), {"tv": 0.1}))
    source = tmp_path / "tiny.py"
    source.write_text(TINY)
    return source


def _keys(store):
    """The names of the intact records; a damaged one is a warning, and warnings are errors."""
    return {record.key for record in RecordStore(store, packaged=False).records("distributional")}


def test_the_library_and_the_command_line_agree_and_skip_what_is_done(tmp_path, capsys):
    places = {"store": tmp_path / "s", "out": tmp_path / "o"}
    found = sweep(
        "distributional", {"noise": [0.0, 0.2]}, seeds=2, direct=True, workers=2, progress=False, **places, **CHEAP
    )
    assert list(found.table["status"]) == ["done"] * 4
    assert list(zip(found.table["noise"], found.table["seed"], strict=True)) == [(0.0, 0), (0.0, 1), (0.2, 0), (0.2, 1)]
    assert found.table["flip_rate_test"].notna().all()
    assert not found.failures
    written = pd.read_csv(found.file)
    assert list(written["key"]) == list(found.table["key"])
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "s").rglob("*.json")}
    command = ["sweep", "distributional", "--grid", "noise=0:0.2:0.2", "--direct", "--seeds", "2", "n_train=200"]
    command += ["architecture=knn", "--store", str(tmp_path / "s"), "--out", str(tmp_path / "o")]
    assert main(command) == 0
    assert "4 cells: 4 done, 0 failed, 0 to run" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "s").rglob("*.json")} == before


def test_a_failed_cell_is_listed_until_it_is_asked_for_again(tmp_path, capsys):
    command = ["sweep", "distributional", "--direct", "--workers", "0", "--grid", "n_train=200,1796"]
    command += ["experiment=agreement", "noise=0", "--store", str(tmp_path / "s"), "--out", str(tmp_path / "o")]
    assert main(command) == 1
    shown = capsys.readouterr()
    assert "failed: experiment=agreement noise=0.0 n_train=1796: ValueError: n_train = 3592 is too large" in shown.err
    assert len(_keys(tmp_path / "s")) == 1
    (file,) = (tmp_path / "o").rglob("*.failed.json")
    assert str(file) in shown.err
    about = json.loads(file.read_text())
    assert about["parameters"]["n_train"] == 1796
    assert "Traceback" in about["traceback"]
    assert "1797 rows" in about["error"]
    # the second time nothing runs
    assert main(command) == 1
    shown = capsys.readouterr()
    assert "1 done, 1 failed, 0 to run" in shown.out
    assert "--retry-failed" in shown.err
    assert json.loads(file.read_text())["when"] == about["when"]
    assert main([*command, "--retry-failed"]) == 1
    assert "--retry-failed" not in capsys.readouterr().err


def test_a_cell_that_works_the_second_time_leaves_no_trace_of_its_failure(tmp_path, monkeypatch):
    from dlcore.studies import distributional

    options = {"direct": True, "workers": 0, "progress": False, "store": tmp_path / "s", "out": tmp_path / "o", **CHEAP}
    with monkeypatch.context() as broken:
        broken.setattr(distributional, "run", lambda *_, **__: 1 / 0)
        first = sweep("distributional", **options)
    assert "division by zero" in first.failures[0]["error"]
    again = sweep("distributional", retry_failed=True, **options)
    assert (list(again.table["status"]), again.failures) == (["done"], [])
    assert not list((tmp_path / "o").rglob("*.failed.*"))


def test_a_dry_run_runs_nothing_and_says_by_what_it_estimates(tmp_path, capsys):
    command = ["sweep", "distributional", "--direct", "--dry-run", "--workers", "2", "--store", str(tmp_path / "s")]
    command += ["--out", str(tmp_path / "o"), "--grid", "noise=0:0.4:0.1", "--grid", "architecture=knn,resnet"]
    assert main([*command, "dataset=mnist1d"]) == 0
    shown = capsys.readouterr().out
    assert "10 cells: 0 done, 0 failed, 10 to run" in shown
    assert "5 cells: about" in shown
    assert "5 cells: no record to go by" in shown
    assert "for the 5 of 10 cells with an estimate" in shown
    assert not (tmp_path / "s").exists()
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grid", "noize=0.1", "--direct"], "did you mean 'noise'"),
        (
            ["--grid", "noise=0.1,1.5", "--direct"],
            "1 of 2 cells are not valid; the first, noise=1.5: noise = 1.5 is out",
        ),
        (["--grid", "noise", "--direct"], "write name=value"),
        (["--grid", "noise=0.1", "--grid", "noise=0.2", "--direct"], "'noise' is given twice"),
        (["--grid", "neighbours=1,3"], "does not set 'neighbours', only preset, experiment, dataset, architecture"),
        (["--grid", "noise=0.1", "--direct", "--only", "1"], "has the cells 0 to 0"),
        (["--direct", "--slurm-option", "a=1"], "is for --slurm"),
        (["--direct", "--notebook", "x.ipynb"], "leave --notebook out"),
        (["--notebook", "missing.ipynb"], "there is no notebook missing.ipynb"),
        (["--direct", "--workers", "-1"], "'-1' is not a whole number from 0"),
        (["--direct", "--scheduler", "127.0.0.1:1"], "no Dask scheduler answers at '127.0.0.1:1'"),
        (["--grid-file", "missing.csv", "--direct"], "missing.csv"),
    ],
)
def test_mistakes_are_one_clear_line(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dlcore.sweep.cluster.CONNECT", 0.5)
    assert main(["sweep", "distributional", "--store", "s", "--out", "o", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.rglob("*.json"))


def test_without_dask_the_error_is_the_command_that_installs_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    command = [
        "sweep",
        "distributional",
        "--direct",
        "n_train=200",
        "--store",
        str(tmp_path / "s"),
        "--out",
        str(tmp_path),
    ]
    assert main([*command, "--workers", "1"]) == 2
    assert "pip install dask distributed" in capsys.readouterr().err
    assert main([*command, "--workers", "0"]) == 0


def test_without_the_source_tree_the_error_says_how_to_name_a_notebook(tmp_path, monkeypatch):
    from dlcore.sweep import plan

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "__file__", str(tmp_path / "a" / "b" / "plan.py"))
    with pytest.raises(FileNotFoundError, match="--notebook PATH, or run the study without a notebook: --direct"):
        sweep("distributional", {"noise": [0.1]})


@pytest.mark.slow
def test_a_notebook_that_fails_or_kills_its_worker_is_listed_and_the_others_go_on(tiny, tmp_path, monkeypatch):
    """Seed 1 raises, seed 3 kills its worker every time; seeds 0 and 4 are done, with the threads asked for."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    options = {"notebook": tiny, "store": tmp_path / "s", "out": tmp_path / "o", "workers": 1, "progress": False}
    found = sweep("distributional", {"seed": [3, 0, 1, 4]}, threads=3, **options)
    assert list(found.table["status"]) == ["failed", "done", "failed", "done"]
    died, raised = found.failures
    assert "the worker died 3 times" in died["error"]
    assert raised["error"] == "AssertionError: one is unlucky"
    assert "assert seed != 1" in raised["traceback"]
    for failure in found.failures:
        assert Path(failure["notebook"]).name == f"seed={failure['parameters']['seed']}-{failure['key']}.failed.ipynb"
        assert Path(failure["notebook"]).exists()
    copy = Path(found.table["notebook"][1])
    text = "".join(o.get("text", "") for c in nbformat.read(copy, 4).cells for o in c.get("outputs", []))
    assert text == "threads 3 noise 0.1\n"
    assert not [p for p in copy.parent.iterdir() if p.name.startswith(".")], "half-written copies are removed"
    assert "OMP_NUM_THREADS" not in os.environ
    # an edited notebook is another cell, and a record alone does not make it done
    tiny.write_text(tiny.read_text().replace("unlucky", "bad luck"))
    again = sweep("distributional", {"seed": [0]}, **{**options, "workers": 0})
    assert Path(again.table["notebook"][0]).parent != copy.parent
    assert copy.exists()


def test_a_notebook_without_a_record_is_a_failure_that_says_so(tmp_path):
    source = tmp_path / "forgetful.py"
    source.write_text("# %% tags=['parameters']\nnoise = 0.15\n")
    found = sweep(
        "distributional", notebook=source, workers=0, store=tmp_path / "s", out=tmp_path / "o", progress=False
    )
    assert "left no record" in found.failures[0]["error"]


@pytest.mark.slow
def test_the_chapter_itself_is_swept(tmp_path):
    """Until its live run: test_notebooks executes the rest."""
    chapter = jupytext.read(ROOT / "notebooks" / "3_distributional_generalization.py")
    last = next(i for i, c in enumerate(chapter.cells) if "load_or_run(config)" in c.source and c.cell_type == "code")
    chapter.cells = chapter.cells[: last + 1]
    jupytext.write(chapter, tmp_path / "chapter.ipynb")
    found = sweep(
        "distributional",
        {"noise": [0.35]},
        notebook=tmp_path / "chapter.ipynb",
        workers=1,
        store=tmp_path / "s",
        out=tmp_path / "o",
        progress=False,
        preset="smoke",
    )
    assert list(found.table["status"]) == ["done"], found.failures
    assert found.table["num_train"].notna().all()
    cell = nbformat.read(found.table["notebook"][0], 4)
    assert cell.metadata.papermill.parameters == {"noise": 0.35, "preset": "smoke"}


def test_a_job_array_runs_every_cell_without_dask(tmp_path, capsys, monkeypatch):
    """Each task of the script, run as SLURM would; then the same sweep makes the table."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    script = tmp_path / "array.sbatch"
    command = ["sweep", "distributional", "--direct", "--grid", "noise=0.1,0.2", "--grid", "neighbours=1,3"]
    command += ["n_train=200", "--store", str(tmp_path / "s"), "--out", str(tmp_path / "o")]
    assert main([*command, "--job-array", str(script), "--threads", "2", "--workers", "3"]) == 0
    text = script.read_text()
    assert "#SBATCH --array=0-3%3\n" in text
    assert "#SBATCH --cpus-per-task=2\n" in text
    assert not (tmp_path / "s").exists()
    env = {**os.environ, "SLURM_ARRAY_TASK_ID": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", str(script)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "n_train=200 noise=0.2 neighbours=1: done" in done.stdout
    # the other tasks' commands in this process: the start of Python is most of a task
    rest = ["sweep", "distributional", "--grid-file", str(tmp_path / "array.cells.csv"), *command[2:3], *command[-4:]]
    for i in (0, 1, 3):
        assert main([*rest, "--only", str(i)]) == 0
    assert "neighbours=3: done" in capsys.readouterr().out
    assert main([*rest, "--only", "2"]) == 0
    assert "was done" in capsys.readouterr().out
    assert not list((tmp_path / "o").glob("*.csv"))
    assert main(command) == 0
    assert list(pd.read_csv(*(tmp_path / "o").glob("*.csv"))["status"]) == ["done"] * 4


def _start(tmp_path, *arguments):
    command = [sys.executable, "-m", "dlcore", "sweep", "distributional", *arguments]
    command += ["--store", str(tmp_path / "s"), "--out", str(tmp_path / "o")]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    # a group of its own, so that Ctrl-C can be sent as a terminal does: to everyone
    return subprocess.Popen(command, env=env, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _until(met, process, seconds=300):
    end = time.monotonic() + seconds
    while not met():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def _family(process, word):
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if word in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def _all_gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive, [p.cmdline() for p in alive]


def test_killing_a_worker_and_then_the_sweep_loses_nothing(tmp_path):
    """40 cells on two workers; a restart ends with 40 intact records, and no process outlives its sweep."""
    grid = ["--direct", "--grid", "noise=0:0.7:0.1", "--seeds", "5", "n_train=200", "--workers", "2"]
    process = _start(tmp_path, *grid)
    _until(lambda: len(list((tmp_path / "s").rglob("*.json"))) >= 3, process)
    first, second = _family(process, "spawn_main")
    first.kill()
    before = len(_keys(tmp_path / "s"))
    _until(lambda: len(_keys(tmp_path / "s")) >= before + 3, process)
    # the dead worker is replaced
    _until(lambda: len(set(_family(process, "spawn_main")) - {first, second}) == 1, process)
    everyone = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    _all_gone(everyone)
    assert len(_keys(tmp_path / "s")) < 40, "the kill came too late to test anything"
    process = _start(tmp_path, *grid)
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert len(_keys(tmp_path / "s")) == 40
    assert len(list((tmp_path / "s").rglob("*.json"))) == 40
    assert not list(tmp_path.rglob(".*.tmp"))
    assert list(pd.read_csv(*(tmp_path / "o").glob("*.csv"))["status"]) == ["done"] * 40
    assert b"to run" in out


# many short epochs: a cell is in one of them soon after it began, on a busy machine too
LONG = ["--direct", "architecture=mlp", "dataset=digits", "n_train=300", "noise=0.4", "epochs=1e6", "width=4"]


MARKS = """
import os, pathlib
from dlcore import runtime

report, mark = runtime.report, pathlib.Path(__file__).with_name(f"epoch-{os.getpid()}")
runtime.report = lambda *args, **values: mark.touch() or report(*args, **values)
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["2", "0"])
def test_ctrl_c_leaves_checkpoints_and_no_process(workers, tmp_path, monkeypatch):
    """A terminal sends SIGINT to the whole group; SIGTERM is taken alike (by the sweep in this process)."""
    (tmp_path / "marks.py").write_text(MARKS)
    monkeypatch.setenv("DLCORE_PLUGINS", "marks")
    monkeypatch.chdir(tmp_path)
    process = _start(tmp_path, *LONG, "--seeds", "3", "--workers", workers)
    unfinished = tmp_path / "s" / "distributional" / "unfinished"
    _until(unfinished.exists, process)
    _until(lambda: len(list(tmp_path.glob("epoch-*"))) == max(1, int(workers)), process)
    everyone = psutil.Process(process.pid).children(recursive=True)
    if workers == "0":
        process.send_signal(signal.SIGTERM)
    else:
        os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130, error
    assert b"finished records are kept, run again to go on" in error
    assert b"Traceback" not in error
    _all_gone(everyone)
    assert len(list(unfinished.glob("*.pt"))) == (2 if workers == "2" else 1)
    assert not list(tmp_path.rglob("*.json")), "no half record, and a stop is no failure"


@pytest.mark.slow
def test_killing_a_sweep_of_notebooks_leaves_no_kernel(tiny, tmp_path):
    process = _start(tmp_path, "--notebook", str(tiny), "seed=2", "--workers", "1")
    _until((tmp_path / "s" / "started2").exists, process)
    everyone = psutil.Process(process.pid).children(recursive=True)
    assert _family(process, "ipykernel")
    process.kill()
    process.communicate()
    _all_gone(everyone)


@pytest.mark.slow
def test_a_stopped_notebook_is_no_failure(tiny, tmp_path):
    process = _start(tmp_path, "--notebook", str(tiny), "--grid", "seed=2,4", "--workers", "1")
    _until((tmp_path / "s" / "started2").exists, process)
    everyone = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130, error
    _all_gone(everyone)
    assert [p.name for p in (tmp_path / "o" / "distributional").rglob("*.ipynb")] == ["source.ipynb"]
    assert not list((tmp_path / "o").rglob("*.failed.*"))


def test_half_written_files_of_processes_that_are_gone_are_removed(tmp_path):
    """A kill in the middle of a write leaves its temporary file; one that is being written stays."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    options = {"direct": True, "workers": 0, "progress": False, "store": tmp_path / "s", "out": tmp_path / "o", **CHEAP}
    key = sweep("distributional", **options).table["key"][0]
    folder = tmp_path / "s" / "distributional"
    dead, mine = (f"{cache._host()}-{pid}-00000000.tmp" for pid in (gone.pid, os.getpid()))
    names = [f".{key}.json.{dead}", f".{'0' * 16}.json.{dead}", f".{key}.json.{mine}"]
    for name in names:
        (folder / name).touch()
    sweep("distributional", **options)
    assert [p.name for p in folder.glob(".*")] == names[2:]


def test_the_hash_of_the_code_names_the_code(tmp_path, monkeypatch):
    module = tmp_path / "dlcore" / "sweep" / "cells.py"
    module.parent.mkdir(parents=True)
    module.write_text("x = 1\n")
    monkeypatch.setattr(cells, "__file__", str(module))
    one = cells.code.__wrapped__()
    module.write_text("x = 2\n")
    assert cells.code.__wrapped__() != one
