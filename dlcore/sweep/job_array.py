"""A job array of SLURM for clusters without Dask: a script, and the cells beside it, one row a task."""

from __future__ import annotations

import csv
import io
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from dlcore.records import write_atomically
from dlcore.sweep.cluster import THREADS
from dlcore.sweep.plan import Plan


def write(plan: Plan, script: Path, *, threads: int, together: int | None, options: Sequence[str]) -> tuple[Path, Path]:
    """Writes the script and its cells; returns both paths. A task runs one cell and ends; a done cell costs seconds.

    Args:
        threads: processors of a task.
        together: tasks that run at once; None leaves it to the cluster.
        options: words of the command line that each task repeats (--direct, --store, --out and the like).
    """
    script = script.resolve()
    rows = script.with_suffix(".cells.csv")
    # one name at least, and its value in every row: a row without an entry is none
    names = list(dict.fromkeys(name for cell in plan.cells for name in cell.given)) or ["preset"]
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(names)
    for cell in plan.cells:
        # as Python writes it, so that the reader sees the same type; an empty entry is the default
        entries = [cell.given.get(name, getattr(cell.config, name)) for name in names]
        lines.writerow(["" if e is None else e if isinstance(e, str) else repr(e) for e in entries])
    write_atomically(rows, text.getvalue())
    command = [sys.executable, "-m", "dlcore", "sweep", plan.place.study, "--grid-file", str(rows), *options]
    at_once = f"%{together}" if together else ""
    write_atomically(
        script,
        "\n".join(
            [
                "#!/bin/bash",
                f"# {len(plan.cells)} cells of {rows.name}, one a task; add what your cluster wants (partition, time, memory)",
                f"#SBATCH --job-name=dlcore-{plan.place.study}",
                f"#SBATCH --array=0-{len(plan.cells) - 1}{at_once}",
                f"#SBATCH --cpus-per-task={threads}",
                f"#SBATCH --output={script.with_suffix('')}.%a.log",
                "# the task has a minute to write its checkpoint before its time is over",
                "#SBATCH --signal=TERM@60",
                *(f"export {name}={threads}" for name in THREADS),
                f"cd {shlex.quote(str(Path.cwd()))}",
                f'exec {shlex.join(command)} --only "$SLURM_ARRAY_TASK_ID"',
                "",
            ]
        ),
    )
    return script, rows
