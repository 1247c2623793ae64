"""python -m dlcore sweep: the grammar of its command line, and what it prints."""

from __future__ import annotations

import argparse
import csv
import io
import shlex
import sys
from pathlib import Path
from typing import Any

from dlcore.command_line import file, folder, whole, word

HELP = "Runs a study over a grid: cells that are done are skipped, failures are listed, a stopped sweep goes on."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add = parser.add_argument
    add("study")
    add("parameters", nargs="*", default=[], metavar="name=value", help="the same in all cells")
    add("--grid", action="append", default=[], metavar="NAME=VALUES", help="0:0.9:0.1, or 1,2,4; repeat for a product")
    add("--grid-file", type=file, metavar="FILE", help="cells of a .yml (products, their union) or .csv (a row a cell)")
    add("--seeds", type=whole(1), metavar="N", help="seeds 0 to N-1")
    add("--direct", action="store_true", help="the study without a notebook")
    add("--notebook", type=file, metavar="FILE", help="instead of the study's chapter")
    limit = "for a run without a notebook, or for one cell of a notebook (default: none)"
    add("--timeout", type=whole(1), metavar="SECONDS", help=limit)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scheduler", type=word, metavar="ADDRESS", help="of a running Dask scheduler")
    where.add_argument("--slurm", action="store_true", help="workers are SLURM jobs, by dask-jobqueue")
    where.add_argument(
        "--job-array", type=file, metavar="FILE", help="write an sbatch script instead, for clusters without Dask"
    )
    where.add_argument("--only", type=whole(0), metavar="I", help="run the I-th cell here; a task of a job array")
    add(
        "--workers",
        type=whole(0),
        metavar="N",
        help="processes, or jobs (default: one a GPU, else one a core); 0: here",
    )
    add("--threads", type=whole(1), metavar="N", help="of each worker (default: its share of the cores)")
    add("--slurm-option", action="append", default=[], metavar="KEY=VALUE", help="of dask_jobqueue.SLURMCluster")
    add("--dashboard", action="store_true", help="serve Dask's dashboard and print its address")
    add("--store", type=folder, metavar="FOLDER", help="of the local records")
    add(
        "--out",
        type=folder,
        default="sweeps",
        metavar="FOLDER",
        help="table, executed notebooks, failures (default: sweeps)",
    )
    add("--retry-failed", action="store_true", help="run cells again that failed before")
    add("--dry-run", action="store_true", help="print what would run and how long it should take")


def call(args: argparse.Namespace) -> int:
    """Runs the command; returns 0 when all cells are done, 1 when some failed, 130 when it was stopped."""
    import dlcore.sweep as package
    from dlcore.sweep import cluster, grid, plan

    if args.slurm_option and not args.slurm:
        raise ValueError("--slurm-option is for --slurm")
    if args.dry_run and args.job_array:
        raise ValueError("--dry-run writes nothing: leave out --job-array, or --dry-run")
    if args.dashboard and (args.workers == 0 or args.only is not None or args.job_array):
        raise ValueError("--dashboard is that of Dask's workers, and there are none")
    if args.scheduler and args.workers is not None:
        raise ValueError("--workers is for workers of this sweep's own; those of --scheduler are there already")
    slurm = grid.parameters(args.slurm_option) if args.slurm else None
    where = package.Workers(args.workers, args.scheduler, slurm, args.threads, args.dashboard)
    rows = grid.read_file(args.grid_file) if args.grid_file else None
    axes, fixed = grid.parameters(args.grid, grid.values), grid.parameters(args.parameters)
    wanted = grid.expand(axes, rows, args.seeds, fixed)
    made = plan.make(
        args.study,
        wanted,
        store=args.store,
        out=args.out,
        notebook=args.notebook,
        direct=args.direct,
        timeout=args.timeout,
    )
    if made.repeated:
        print(f"{made.repeated} cells say the same as another and run once")
    todo = made.todo(args.retry_failed)
    if args.job_array:
        return _job_array(args, made)
    if args.only is not None:
        return _only(args, made)
    print(f"{made.place.study}: {made.counts()}")
    if args.dry_run:
        print(made.table()[[*made.fields, "status", "key"]].to_string(index=False, max_rows=60))
        if todo:
            print("\n".join(plan.describe_time(made, todo, max(1, where.number(len(todo))), f"{cluster.device()}:")))
        return 0
    stopped = package.execute(made, todo, where)
    found = package.finish(made, Path(args.out).resolve(), stopped)
    print(made.summary(found.table))
    print(f"table: {found.file}; records: {made.place.store / made.place.study}")
    return _end(found, args.retry_failed)


def _end(found: Any, retried: bool) -> int:
    """Lists the failed cells and returns the exit status."""
    from dlcore.sweep.grid import describe

    for failure in found.failures:
        print(f"failed: {describe(failure.get('parameters', {}))}: {failure['error']}", file=sys.stderr)
        for path in filter(None, (failure["file"], failure.get("notebook"))):
            print(f"        {path}", file=sys.stderr)
    if found.failures:
        again = "" if retried else "; --retry-failed runs them again"
        count = len(found.failures)
        print(f"{count} cell{'s' * (count > 1)} failed{again}", file=sys.stderr)
    if found.stopped:
        print("stopped; finished records are kept, run again to go on", file=sys.stderr)
        return 130
    return 1 if found.failures else 0


def _job_array(args: argparse.Namespace, made: Any) -> int:
    """Writes a job array of SLURM, for clusters without Dask: a script, and the cells beside it, one row a task.

    A task runs one cell and ends; a done cell costs seconds.
    """
    from dlcore.cache import write_atomically
    from dlcore.sweep.cluster import THREADS

    script, threads, study = Path(args.job_array).resolve(), args.threads or 1, made.place.study
    rows = script.with_suffix(".cells.csv")
    # one name at least, and its value in every row: a row without an entry is none
    names = list(dict.fromkeys(name for cell in made.cells for name in cell.given)) or ["preset"]
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(names)
    for cell in made.cells:
        # as Python writes it, so that the reader sees the same type; an empty entry is the default
        entries = [cell.given.get(name, getattr(cell.config, name)) for name in names]
        lines.writerow(["" if e is None else e if isinstance(e, str) else repr(e) for e in entries])
    write_atomically(rows, text.getvalue())
    command = [sys.executable, "-m", "dlcore", "sweep", study, "--grid-file", str(rows)]
    command += ["--store", str(made.place.store), "--out", str(Path(args.out).resolve())]
    command += ["--direct"] if args.direct else ["--notebook", str(made.place.source)]
    command += ["--timeout", str(args.timeout)] if args.timeout else []
    command += ["--retry-failed"] if args.retry_failed else []
    command += [word for module in made.place.plugins for word in ("--plugin", module)]
    at_once = f"%{args.workers}" if args.workers else ""
    head = [
        "#!/bin/bash",
        f"# {len(made.cells)} cells of {rows.name}, one a task; add what your cluster wants (partition, time, memory)",
        f"#SBATCH --job-name=dlcore-{study}",
        f"#SBATCH --array=0-{len(made.cells) - 1}{at_once}",
        f"#SBATCH --cpus-per-task={threads}",
        f"#SBATCH --output={script.with_suffix('')}.%a.log",
        "# the task has a minute to write its checkpoint before its time is over",
        "#SBATCH --signal=TERM@60",
        *(f"export {name}={threads}" for name in THREADS),
        f"cd {shlex.quote(str(Path.cwd()))}",
        f'exec {shlex.join(command)} --only "$SLURM_ARRAY_TASK_ID"',
    ]
    write_atomically(script, "\n".join(head) + "\n")
    print(f"wrote {script} and {rows}: {made.counts()}")
    print(f"sbatch {script}; when it is done, the same sweep without --job-array makes the table")
    return 0


def _only(args: argparse.Namespace, made: Any) -> int:
    """Runs one cell here. The table is left to the whole sweep: tasks of an array would overwrite each other's."""
    import dlcore.sweep as package
    from dlcore.sweep.cells import FAILED

    if not 0 <= args.only < len(made.cells):
        raise ValueError(f"--only {args.only}: the sweep has the cells 0 to {len(made.cells) - 1}")
    cell = made.cells[args.only]
    todo = [c for c in made.todo(args.retry_failed) if c is cell]
    stopped = package.execute(made, todo, package.Workers(0, threads=args.threads), progress=False)
    failures = []
    if made.status[cell.key] == FAILED:
        failures = [made.place.read_failure(cell.key)]
    else:
        print(f"{cell}: {'was done' if not todo else made.status[cell.key]}, record {cell.key} in {made.place.store}")
    return _end(package.Sweep(made.table(), failures, Path(args.out).resolve() / made.name, stopped), args.retry_failed)
