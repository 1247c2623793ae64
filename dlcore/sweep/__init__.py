"""Sweeps: a study over a grid of settings, by its chapter's notebook or without one, on one machine or many.

    from dlcore.sweep import sweep
    found = sweep("distributional", {"noise": [0.0, 0.2, 0.4]}, seeds=5, direct=True, workers=2)
    found.table          # one row per cell: the swept fields, status, seconds, metrics

The same on a command line: `python -m dlcore sweep distributional --grid noise=0:0.4:0.2 --seeds 5 --direct --workers 2`.
A cell that is done is skipped, a cell that fails is listed while the others go on, and a sweep that is stopped or
killed goes on when it is started again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcore.results import Result

if TYPE_CHECKING:  # a worker imports this package for its cells alone
    import pandas as pd

    from dlcore.sweep.plan import Plan

__all__ = ["Sweep", "sweep"]


class Sweep(Result, plot="sweep"):
    """What a sweep left.

    `table` has a row per cell: the swept fields, status ("done", "failed" or "to run"), seconds, metrics, all other fields,
    key, source of the record ("local" or "shipped"), error, executed notebook. `failures` says of each failed cell what its file says: parameters, error, traceback,
    notebook. `file` is the table's, which no other sweep writes to.
    """

    table: pd.DataFrame
    failures: list[dict[str, Any]]
    file: Path
    stopped: bool = False

    def to_frame(self) -> pd.DataFrame:
        """Returns the table."""
        return self.table


def sweep(
    study: str | Callable[..., Mapping[str, Any]],
    grid: Mapping[str, Any] | None = None,
    *,
    rows: Any = None,
    seeds: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    slurm: Mapping[str, Any] | None = None,
    threads: int | None = None,
    direct: bool = False,
    notebook: str | Path | None = None,
    store: str | Path | None = None,
    out: str | Path = "sweeps",
    timeout: int | None = None,
    retry_failed: bool = False,
    dashboard: bool = False,
    progress: bool = True,
    **fixed: Any,
) -> Sweep:
    """Runs a study, or a function of yours, over a grid and returns its table; cells that are done are skipped.

    A function takes its parameters by name and returns a mapping of names to numbers; workers must be able to import or
    unpickle it. Its calls are named by the parameters and a hash of its text: what it reads elsewhere is not in it.

    In a script, call it under `if __name__ == "__main__":`, as everything that starts processes.

    Args:
        grid: field -> values (one, or any collection of them); their product.
        rows: cells of their own (mappings, or a data frame), each times the grid.
        seeds: seeds 0 to `seeds` - 1, times the rest.
        workers: processes; None is one a GPU, else one a core, and one job of SLURM; 0 runs the cells here, without Dask.
        scheduler: the address of a running Dask scheduler, instead of own workers.
        slurm: options of dask_jobqueue.SLURMCluster, for `workers` jobs; {} takes those of its own files.
        threads: of each worker; None is $OMP_NUM_THREADS, else its share of the cores.
        direct: without a notebook; every field of the study can be swept, and the others are as in its chapter's notebook.
        notebook: instead of the study's chapter; the others have the values of its parameters cell.
        store: folder of the records; None takes `dlcore.records.default_path()`.
        out: folder of the table, the executed notebooks and the files of failed cells.
        timeout: seconds that a run may take without a notebook, or one cell of a notebook.
        retry_failed: runs cells again that failed in an earlier sweep; without it they are listed.
        fixed: fields that are the same in all cells.
    Raises:
        ValueError: a field, a value or an option that is not valid, before anything runs, and where nothing is left to run.
        RuntimeError: Dask, papermill, the scheduler or SLURM is missing, or workers have other code or other folders.
    """
    from dlcore.cache import expanded
    from dlcore.sweep import grid as grids
    from dlcore.sweep import plan as plans

    where, out = Workers(workers, scheduler, slurm, threads, dashboard), expanded(out).resolve()
    wanted = grids.expand(grid or {}, rows, seeds, fixed)
    plan = plans.make(study, wanted, store=store, out=out, notebook=notebook, direct=direct, timeout=timeout)
    stopped = execute(plan, plan.todo(retry_failed), where, progress=progress)
    return finish(plan, out, stopped)


@dataclasses.dataclass(frozen=True)
class Workers:
    """Where cells run: `count` processes or SLURM jobs, or the workers of a scheduler; the options are those of `sweep`.

    Raises: ValueError or RuntimeError when cells could not run there; nothing is started.
    """

    count: int | None = None
    scheduler: str | None = None
    slurm: Mapping[str, Any] | None = None
    threads: int | None = None
    dashboard: bool = False

    def __post_init__(self) -> None:
        from dlcore.sweep import cluster

        if (self.count is not None and self.count < 0) or (self.threads is not None and self.threads < 1):
            raise ValueError(
                f"workers = {self.count} and threads = {self.threads}: neither can be negative, nor threads 0"
            )
        if self.scheduler is not None:
            cluster.check_address(self.scheduler)
        if self.slurm is not None:
            cluster.slurm_job(self.threads or 1, self.slurm)

    def number(self, todo: int) -> int:
        """Returns how many workers so many cells have."""
        from dlcore.sweep import cluster

        if self.count is None and self.scheduler is None and self.slurm is None:
            return cluster.default_workers(todo, cluster.gpus(), self.threads)
        return 1 if self.count is None else self.count


def execute(plan: Plan, todo: Sequence[Any], where: Workers, *, progress: bool = True) -> bool:
    """Runs cells of a plan where they should run; returns whether the sweep was stopped."""
    from dlcore.sweep import cluster, engine, signals

    if not todo:
        return False
    count = where.number(len(todo))
    threads = cluster.threads_each(count, where.threads)
    engine.freeze(plan)
    if not count and where.scheduler is None and where.slurm is None:
        with cluster.environment(dict.fromkeys(cluster.THREADS, str(threads))):
            return engine.here(plan, todo, progress)
    # SIGTERM, which a batch system sends, is Ctrl-C: without it workers would go on for a while
    with signals.heard(), signals.handled(signals.interrupted, signal.SIGTERM), contextlib.ExitStack() as stack:
        if where.scheduler is not None:
            workers = cluster.existing(where.scheduler, plan.place)
        elif where.slurm is not None:
            workers = cluster.slurm(count or 1, threads, where.slurm, plan.place)
        else:
            workers = cluster.local(min(count, len(todo)), threads, plan.place, dashboard=where.dashboard)
        try:
            client = stack.enter_context(workers)
        except KeyboardInterrupt:
            return True
        return engine.on(client, plan, todo, progress)


def finish(plan: Plan, out: Path, stopped: bool) -> Sweep:
    """Reads what there is now, writes the table into the folder and returns both."""
    from dlcore.records import write_atomically
    from dlcore.sweep import engine
    from dlcore.sweep.cells import FAILED

    engine.tidy(plan)
    plan.look()
    table = plan.table()
    write_atomically(out / plan.name, table.to_csv(index=False))
    failures = [plan.place.read_failure(cell.key) for cell in plan.cells if plan.status[cell.key] == FAILED]
    return Sweep(table, failures, out / plan.name, stopped)
