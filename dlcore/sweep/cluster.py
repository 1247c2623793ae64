"""The workers of a sweep: processes of this machine, an existing Dask scheduler, or SLURM jobs."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dlcore import machine
from dlcore.studies import STUDIES
from dlcore.sweep import cells
from dlcore.sweep.cells import Place
from dlcore.sweep.signals import handled, interrupted, put_off

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# a cell that has killed its worker this often is the reason, not its victim
DEATHS = 3
CONNECT = 20.0  # seconds to reach a scheduler
SMI = 15.0  # seconds to list the GPUs; a driver that is broken can hang for ever
RENEW = 5.0  # seconds between two looks for workers that are gone
# seconds after which a worker that its nanny has not restarted is given up; Dask's 15 are less than the import of torch
# takes on a busy machine, and the nanny would be ended in the middle of it
LOST = 120.0
# options of SLURMCluster that are not those of one job
CLUSTER_OPTIONS = ("silence_logs", "scheduler_options", "security", "shared_temp_directory", "scheduler_cls")


def threads_each(workers: int, asked: int | None = None) -> int:
    """Returns the threads of one worker: as asked for, else $OMP_NUM_THREADS, else its share of the cores."""
    return asked or machine.threads() or max(1, machine.cores() // max(1, workers))


def gpus(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Returns the names of the GPUs that this process may use: of CUDA_VISIBLE_DEVICES, else of nvidia-smi."""
    if (given := environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        names = [name.strip() for name in given.split(",")]
        # as CUDA reads it: what follows a -1 is not seen
        return names[: names.index("-1")] if "-1" in names else [name for name in names if name]
    if (smi := shutil.which("nvidia-smi")) is None:
        return []
    try:
        listed = subprocess.run([smi, "-L"], capture_output=True, text=True, check=False, timeout=SMI)
    except (OSError, subprocess.SubprocessError) as error:
        warnings.warn(f"nvidia-smi does not answer, so no GPU is counted (say --workers): {error}", stacklevel=2)
        return []
    return [str(i) for i, _ in enumerate(line for line in listed.stdout.splitlines() if line.startswith("GPU "))]


def device() -> str:
    """Returns the kind of device that a run would take here, without torch, which takes seconds to say so."""
    return "cuda" if gpus() else "mps" if (sys.platform, platform.machine()) == ("darwin", "arm64") else "cpu"


def share(workers: int, devices: Sequence[str]) -> list[dict[str, str]]:
    """Returns the environment of each worker: a GPU of its own while there are several, in turn when workers are more.

    >>> share(3, ["0", "2"])
    [{'CUDA_VISIBLE_DEVICES': '0'}, {'CUDA_VISIBLE_DEVICES': '2'}, {'CUDA_VISIBLE_DEVICES': '0'}]
    >>> share(2, ["0"])
    [{}, {}]
    """
    if len(devices) < 2:
        return [{} for _ in range(workers)]
    return [{"CUDA_VISIBLE_DEVICES": devices[i % len(devices)]} for i in range(workers)]


def default_workers(todo: int, devices: Sequence[str], threads: int | None = None) -> int:
    """Returns a worker a GPU, without one a worker for each `threads` cores, and never more than there are cells."""
    return max(1, min(todo, len(devices) or max(1, machine.cores() // (threads or 1))))


def need_dask() -> Any:
    """Returns the package distributed. Raises RuntimeError with the command that installs it."""
    try:
        import distributed
    except ImportError as error:
        raise RuntimeError(
            f"sweeps on workers need Dask: pip install dask distributed ({error}); "
            "--workers 0 runs the cells here, one after the other"
        ) from error
    return distributed


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables of this process's environment, and so of the workers that it starts, inside the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


def _quiet() -> Any:
    """Returns Dask's settings for cells that run for hours, hold what they need and print their own errors."""
    import dask

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    # a worker that is paused for its memory would wait for ever: a cell keeps what it has
    memory = {f"distributed.worker.memory.{name}": False for name in ("target", "spill", "pause", "terminate")}
    return dask.config.set(
        {
            **memory,
            # one cell a worker, none in its queue: a cell is not blamed for the death of its neighbour
            "distributed.scheduler.worker-saturation": 1.0,
            "distributed.scheduler.worker-ttl": None,
            "distributed.scheduler.allowed-failures": DEATHS - 1,
            "distributed.admin.tick.limit": "1h",
            "distributed.comm.timeouts.connect": "60s",
            "distributed.deploy.lost-worker-timeout": f"{LOST}s",
        }
    )


@contextlib.contextmanager
def local(workers: int, threads: int, place: Place, *, dashboard: bool = False) -> Iterator[Any]:
    """Yields the client of `workers` processes of this machine, which end with this process however it ends.

    Threads are limited in the environment that the processes start with: Dask itself loads NumPy, too early for
    anything later. A worker that dies is replaced by its nanny.
    """
    distributed = need_dask()
    from distributed.deploy.spec import SpecCluster

    # imported once a worker, before its first cell; a notebook's kernel imports what it needs itself
    slow = ["papermill", "jupytext"] if place.source is not None else [f"dlcore.studies.{place.study}"]
    if place.source is None and place.study not in STUDIES:  # a function, a study from outside, or runs of several
        slow = []
    common = {"host": "127.0.0.1", "silence_logs": logging.CRITICAL}
    spec = {
        i: {
            "cls": distributed.Nanny,
            "options": {
                **common,
                "nthreads": 1,
                "memory_limit": None,
                "env": {**dict.fromkeys(THREADS, str(threads)), **own},
                "preload": ["dlcore.sweep.signals", *slow],
                "dashboard": False,
                "dashboard_address": None,
            },
        }
        for i, own in enumerate(share(workers, gpus()))
    }
    scheduler = {"host": "127.0.0.1", "port": 0, "dashboard": dashboard, "dashboard_address": "127.0.0.1:0"}
    with environment(dict.fromkeys(THREADS, str(threads))), _quiet(), contextlib.ExitStack() as stack:
        with put_off():
            kind = {"cls": distributed.Scheduler, "options": scheduler}
            cluster = stack.enter_context(SpecCluster(workers=spec, scheduler=kind, silence_logs=logging.CRITICAL))
            client = stack.enter_context(distributed.Client(cluster))
        if dashboard:
            print(f"dashboard: {client.dashboard_link}", flush=True)
        with _kept(cluster, workers):
            yield client


@contextlib.contextmanager
def existing(address: str, place: Place) -> Iterator[Any]:
    """Yields the client of a running scheduler whose workers have this package and see the sweep's folders.

    Raises:
        RuntimeError: nobody answers at the address, or a worker differs.
    """
    distributed = need_dask()
    with _quiet():
        try:
            client = distributed.Client(address, timeout=CONNECT)
        except (OSError, ValueError) as error:
            raise RuntimeError(f"no Dask scheduler answers at {address!r}: {' '.join(str(error).split())}") from None
        with client:
            wait_for_one(client, address)
            check(client, place)
            yield client


def check_address(address: str) -> None:
    """Raises ValueError for what cannot be the address of a scheduler; nobody is asked."""
    need_dask()
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    try:
        scheme, place = parse_address(address)
        get_backend(scheme)
        if scheme != "inproc":
            parse_host_port(place)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{address!r} is no address of a Dask scheduler, such as tcp://node1:8786: {' '.join(str(error).split())}"
        ) from None


def slurm_job(threads: int, options: Mapping[str, Any]) -> tuple[type, dict[str, Any], dict[str, Any]]:
    """Returns dask-jobqueue's class, and the options of the cluster and of a job, checked; nothing is submitted.

    Raises: RuntimeError when dask-jobqueue or SLURM is missing, or an option is not valid.
    """
    need_dask()
    try:
        # dask-jobqueue 0.9 makes Ctrl-C end the process when imported: the handlers are put back
        with handled(interrupted, signal.SIGINT, signal.SIGTERM):
            from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise RuntimeError(f"--slurm needs dask-jobqueue: pip install dask-jobqueue ({error})") from error
    for command in ("sbatch", "scancel"):
        if shutil.which(command) is None:
            raise RuntimeError(f"--slurm: the command {command} is not found; is this a login node of the cluster?")
    exports = [f"export {name}={threads}" for name in THREADS]
    exports += [f"export DASK_DISTRIBUTED__WORKER__MEMORY__{n}=False" for n in ("TARGET", "SPILL", "PAUSE")]
    job = {"cores": 1, "processes": 1, "job_cpu": threads, **options}
    job["job_script_prologue"] = exports + list(job.get("job_script_prologue", []))
    whole = {"silence_logs": "critical", "scheduler_options": {"dashboard_address": ":0"}}
    whole |= {name: job.pop(name) for name in CLUSTER_OPTIONS if name in job}
    try:
        # a cluster that fails while it is made cannot be closed
        SLURMCluster.job_cls("tcp://127.0.0.1:0", "check", **job)
    except (TypeError, ValueError) as error:
        hint = "--slurm-option memory=4GB (or ~/.config/dask/jobqueue.yaml) says how much memory a job may take"
        raise RuntimeError(f"dask-jobqueue: {' '.join(str(error).split())}; {hint}") from error
    return SLURMCluster, whole, job


@contextlib.contextmanager
def slurm(workers: int, threads: int, options: Mapping[str, Any], place: Place) -> Iterator[Any]:
    """Yields the client of workers that SLURM starts, one a job; settings come from dask-jobqueue's own files too."""
    distributed = need_dask()
    SLURMCluster, whole, job = slurm_job(threads, options)
    with _quiet(), SLURMCluster(n_workers=workers, **whole, **job) as cluster, distributed.Client(cluster) as client:
        with _kept(cluster, workers):
            wait_for_one(client, "SLURM", lambda: _jobs_are_over(cluster))
            check(client, place)
            yield client


@contextlib.contextmanager
def _kept(cluster: Any, workers: int) -> Iterator[None]:
    """Restarts or resubmits workers that are gone for good, such as a job at the end of its time; no cluster does it by itself."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(RENEW):
            cluster.scale(workers)

    thread = threading.Thread(target=watch, daemon=True, name="dlcore-sweep-workers")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _jobs_are_over(cluster: Any) -> bool:
    """Whether squeue knows none of the submitted jobs any more; False where it cannot be asked."""
    jobs = [str(job.job_id) for job in list(cluster.workers.values()) if getattr(job, "job_id", None)]
    if not jobs or shutil.which("squeue") is None:
        return False
    asked = ["squeue", "--noheader", "--format=%i", "--jobs", ",".join(jobs)]
    try:
        found = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return False
    return not found.stdout.strip() and (found.returncode == 0 or "Invalid job id" in found.stderr)


def wait_for_one(client: Any, name: str, over: Callable[[], bool] = lambda: False) -> None:
    """Waits for the first worker, however long a queue is, and says so.

    Raises:
        RuntimeError: `over()` says that none will come.
    """
    told, looked = False, time.monotonic()
    while not client.nthreads():
        if time.monotonic() - looked > RENEW:
            if not told:
                print(f"waiting for the first worker of {name} ...", file=sys.stderr, flush=True)
            told, looked = True, time.monotonic()
            if over() and not client.nthreads():
                raise RuntimeError(f"the jobs of {name} ended before a worker started; their output says why")
        time.sleep(0.1)


def check(client: Any, place: Place) -> None:
    """Raises RuntimeError unless every worker has this package and sees the sweep's folders, by a token in each."""
    import dlcore

    folders = [place.store, place.folder]
    tokens = [folder / f".sweep-{place.token}" for folder in folders]
    try:
        for token in tokens:
            token.parent.mkdir(parents=True, exist_ok=True)
            token.touch()
        try:
            found = client.run(cells.probe, [str(folder) for folder in folders], place.token)
        except Exception as error:
            raise RuntimeError(f"the workers cannot run this package: {type(error).__name__}: {error}") from error
        for worker, about in found.items():
            mine, theirs = (dlcore.__version__, cells.code()), (about["version"], about["code"])
            if mine != theirs:
                raise RuntimeError(
                    f"the worker {worker} has dlcore {theirs[0]} (source {theirs[1]}), this is {mine[0]} ({mine[1]}): "
                    "records of different code would share names; install the same on both"
                )
            for folder in folders:
                if not about["seen"][str(folder)] or not (folder / f".sweep-{place.token}.{about['where']}").exists():
                    raise RuntimeError(
                        f"the worker {worker} on {about['where'].rpartition('.')[0]} does not share the folder {folder} "
                        "with this machine, or may not write there; choose shared ones by --store and --out"
                    )
    finally:
        for token in tokens:
            for path in [token, *token.parent.glob(f"{token.name}.*")]:
                path.unlink(missing_ok=True)
