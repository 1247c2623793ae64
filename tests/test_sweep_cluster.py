"""Sweeps on other people's workers: a running Dask scheduler, and SLURM by commands that stand in for its own."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from dlcore.records import Record, RecordStore
from dlcore.studies.distributional import Config
from dlcore.sweep import cells, cluster, sweep

ROOT = Path(__file__).resolve().parents[1]
CHEAP = {"n_train": 200, "direct": True, "progress": False}
SBATCH = """#!/bin/sh
# runs a copy of the job in the background, in a session of its own, and answers as SLURM does
cp "$1" "{log}/script"
setsid sh "{log}/script" > "{log}/$$.out" 2>&1 &
echo $! >> "{log}/jobs"
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
for job in "$@"; do kill -TERM -- "-$job"; done
"""

WAITS = """# %% tags=["parameters"]
noise = 0.1

# %%
import os, pathlib, time
mark = pathlib.Path(os.environ["DLCORE_RECORDS"], "started")
if not mark.exists():
    mark.touch()
    time.sleep(600)
"""


def _end(processes):
    found = [
        c for p in processes if psutil.pid_exists(p) for c in [psutil.Process(p), *psutil.Process(p).children(True)]
    ]
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, timeout=120)


@pytest.fixture
def scheduler(tmp_path):
    """The address of a scheduler with one worker, each a process of its own, as somebody else would start them."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "False",
    }
    file = tmp_path / "scheduler.json"
    quiet = {"env": env, "cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    begin = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
    ]
    one = subprocess.Popen([*begin, "--scheduler-file", str(file)], **quiet)
    worker = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        "--nthreads",
        "2",
        "--no-dashboard",
        "--host",
        "127.0.0.1",
    ]
    two = subprocess.Popen([*worker, "--scheduler-file", str(file)], **quiet)
    try:
        end = time.monotonic() + 300
        while not (file.exists() and (found := re.search(r"tcp://[\d.:]+", file.read_text()))):
            assert time.monotonic() < end
            time.sleep(0.1)
        yield found.group()
    finally:
        _end([two.pid, one.pid])
        for process in (two, one):
            process.wait(120)


@pytest.mark.slow
def test_an_existing_scheduler_runs_the_cells_or_refuses_strangers(scheduler, tmp_path, monkeypatch):
    places = {"store": tmp_path / "s", "out": tmp_path / "o", "scheduler": scheduler}
    found = sweep("distributional", {"noise": [0.1, 0.2, 0.3]}, **places, **CHEAP)
    assert list(found.table["status"]) == ["done"] * 3, found.failures
    assert not list(tmp_path.rglob(".sweep-*")), "the tokens are removed"
    # the client's token is not where the worker looks, as with a folder of the same name on another machine
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(Path, "touch", lambda *_, **__: None)
        with pytest.raises(RuntimeError, match="does not share the folder"):
            sweep("distributional", {"noise": [0.4]}, **places, **CHEAP)
    with monkeypatch.context() as other:
        other.setattr(cells, "code", lambda: "other")
        with pytest.raises(RuntimeError, match="records of different code would share names"):
            sweep("distributional", {"noise": [0.4]}, **places, **CHEAP)
    assert not list(tmp_path.rglob(".sweep-*"))


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Commands that stand in for SLURM's; what is left of their jobs is ended."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (folder / name).write_text(text.replace("{log}", str(folder)))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    yield folder
    for job in (folder / "jobs").read_text().split() if (folder / "jobs").exists() else []:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(job), signal.SIGKILL)


def _alive(job):
    return psutil.pid_exists(job) and psutil.Process(job).status() != psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_slurm_jobs_run_the_cells_are_replaced_when_killed_and_cancelled_at_the_end(slurm, tmp_path, monkeypatch):
    """The first cell waits until its job has been killed, as at the end of the job's time; another job runs it."""
    monkeypatch.setattr(cluster, "RENEW", 0.5)
    monkeypatch.setattr(cluster, "LOST", 2.0)
    source = tmp_path / "waits.py"
    source.write_text(WAITS)
    config = Config(noise=0.1)
    RecordStore(tmp_path / "s").save(config, Record("distributional", config.to_dict(), {"tv": 0.1}))
    options = {"memory": "2GB", "walltime": "00:30:00", "queue": "short", "interface": "lo"}

    def kill() -> None:
        while not (tmp_path / "s" / "started").exists():
            time.sleep(0.1)
        os.killpg(int((slurm / "jobs").read_text().split()[0]), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    places = {"store": tmp_path / "s", "out": tmp_path / "o"}
    found = sweep("distributional", notebook=source, slurm=options, workers=1, threads=2, progress=False, **places)
    assert list(found.table["status"]) == ["done"], found.failures
    script = (slurm / "script").read_text()
    for line in ("#SBATCH -p short", "#SBATCH --cpus-per-task=2", "export OMP_NUM_THREADS=2", "#SBATCH -t 00:30:00"):
        assert line in script
    jobs = [int(job) for job in (slurm / "jobs").read_text().split()]
    assert len(jobs) == 2
    end = time.monotonic() + 300
    while any(map(_alive, jobs)):
        assert time.monotonic() < end, "a job was not cancelled"
        time.sleep(0.1)


def test_jobs_that_end_before_a_worker_starts_are_an_error(slurm, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "RENEW", 0.5)
    (slurm / "squeue").write_text("#!/bin/sh\n")
    (slurm / "squeue").chmod(0o755)
    options = {"memory": "2GB", "interface": "lo", "job_script_prologue": ["exit 1"]}
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="ended before a worker started"):
        sweep("distributional", slurm=options, workers=1, store=tmp_path / "s", out=tmp_path / "o", **CHEAP)
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize(
    ("missing", "options", "message"),
    [
        ("sbatch", {"memory": "2GB"}, "sbatch is not found; is this a login node"),
        (None, {}, "--slurm-option memory=4GB"),
        (None, {"memory": "2GB", "quue": "short"}, "quue"),
    ],
)
def test_slurm_without_what_it_needs_says_so(missing, options, message, slurm, tmp_path):
    if missing:
        (slurm / missing).unlink()
        assert shutil.which(missing) is None
    with pytest.raises(RuntimeError, match=message):
        sweep("distributional", slurm=options, workers=1, store=tmp_path / "s", out=tmp_path / "o", **CHEAP)


def test_slurm_without_dask_jobqueue_says_how_to_install_it(slurm, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(RuntimeError, match="pip install dask-jobqueue"):
        sweep("distributional", slurm={}, workers=1, store=tmp_path / "s", out=tmp_path / "o", **CHEAP)
