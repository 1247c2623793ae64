"""Sweeps: how much faster several workers are, and what a cell costs beside its own work.

python benchmarks/sweep.py     # on a quiet machine
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import psutil

from dlcore import machine
from dlcore.records import Record, RecordStore
from dlcore.sweep import cells, cluster, engine
from dlcore.sweep import plan as plans

NOTHING = "# %% tags=['parameters']\nnoise = 0.1\nseed = 0\n\n# %%\nprint(noise)\n"


def command_line(workers: int, count: int, folder: Path) -> tuple[float, float, float]:
    """Returns seconds in all, seconds from the first record to the last, and the peak of all processes' memory in MB."""
    command = [sys.executable, "-m", "dlcore", "sweep", "distributional", "--direct", "--workers", str(workers)]
    command += ["--grid", f"seed=0:{count - 1}:1", "architecture=mlp", "n_train=300", "noise=0.3", "--threads", "1"]
    command += ["--store", str(folder / "s"), "--out", str(folder / "o")]
    start, peak = time.time(), 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        looked = start
        while process.poll() is None:
            if time.time() - looked > 2:  # reading the pages of some processes takes a good part of a core
                peak, looked = max(peak, _memory(process.pid)), time.time()
            time.sleep(0.05)
        if process.returncode:
            raise RuntimeError(process.stderr.read())
    ends = sorted(path.stat().st_mtime for path in (folder / "s" / "distributional").glob("*.json"))
    if len(ends) != count:
        raise RuntimeError(f"{len(ends)} records of {count} cells")
    # the first `workers` cells end together, about a cell's time after all have begun
    span = (ends[-1] - ends[workers - 1]) * count / (count - workers)
    return time.time() - start, span, peak


def _memory(pid: int) -> float:
    """Returns the proportional set size of a process and its descendants, in MB: shared pages count once."""
    found = 0
    try:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            info = process.memory_full_info()
            found += getattr(info, "pss", info.rss)
    except psutil.Error:
        pass
    return found / 1e6


def direct_overhead(count: int, folder: Path, turns: int = 5) -> list[float]:
    """Returns the seconds that a direct cell whose run takes no time costs on one worker, in each turn of `count` cells."""
    wanted, spent = [{"seed": seed} for seed in range(turns * count + 1)], []
    plan = plans.make("distributional", wanted, store=folder / "s", out=folder / "o", direct=True)
    for cell in plan.cells:
        RecordStore(folder / "s").save(cell.config, Record("distributional", cell.config.to_dict(), {}))
    with cluster.local(1, 1, plan.place) as client:
        engine.on(client, plan, plan.cells[:1], progress=False)  # first use
        for first in range(1, turns * count, count):
            start = time.perf_counter()
            engine.on(client, plan, plan.cells[first : first + count], progress=False)
            spent.append((time.perf_counter() - start) / count)
    return spent


def notebook_overhead(count: int, folder: Path) -> tuple[list[float], list[float]]:
    """Returns seconds per trivial notebook: as a cell of a sweep on one worker, and by bare papermill, in turn."""
    import papermill

    source = folder / "nothing.py"
    source.write_text(NOTHING)
    wanted = [{"seed": seed} for seed in range(count + 1)]
    plan = plans.make("distributional", wanted, store=folder / "s", out=folder / "o", notebook=source)
    for cell in plan.cells:
        RecordStore(folder / "s").save(cell.config, Record("distributional", cell.config.to_dict(), {}))
    engine.freeze(plan)
    ours, bare = [], []
    with cluster.local(1, 1, plan.place) as client:
        for i, cell in enumerate(plan.cells):
            start = time.perf_counter()
            engine.on(client, plan, [cell], progress=False)
            middle = time.perf_counter()
            papermill.execute_notebook(
                str(plan.place.source), str(folder / "bare.ipynb"), cell.given, progress_bar=False, log_output=False
            )
            if i:  # the first loads what both need
                ours.append(middle - start)
                bare.append(time.perf_counter() - middle)
    if any(plan.status[cell.key] != cells.DONE for cell in plan.cells):
        raise RuntimeError(json.dumps([plan.place.read_failure(c.key) for c in plan.cells], indent=1))
    return ours, bare


def speed(quick: bool) -> harness.Table:
    """Returns the table of one sweep on several numbers of workers."""
    count, numbers, turns = (4, (1,), 1) if quick else (16, (1, 2), 5)
    runs: dict[int, list[tuple[float, float, float]]] = {workers: [] for workers in numbers}
    for _ in range(turns):
        for workers in numbers:
            with tempfile.TemporaryDirectory() as folder:
                runs[workers].append(command_line(workers, count, Path(folder)))
    rows = []
    for workers, each in runs.items():
        total, span, peak = (statistics.median(values) for values in zip(*each, strict=True))
        ratios = [one[1] / more[1] for one, more in zip(runs[1], each, strict=True)]
        rows.append(
            {
                "workers": f"{workers}",
                "cells, s": span,
                "from start to end, s": total,
                "all processes, MB": peak,
                "speed-up": statistics.median(ratios),
                "min to max": "–" if workers == 1 else f"{harness.cell(min(ratios))} to {harness.cell(max(ratios))}",
                "from start to end": statistics.median(
                    one[0] / more[0] for one, more in zip(runs[1], each, strict=True)
                ),
            }
        )
    note = (
        f"python -m dlcore sweep distributional --direct over {count} seeds (an MLP on 300 digits), one thread a worker, each "
        f"time with a new store, on {machine.cores()} cores; the median of {turns} turns. Wall seconds from the first cell's "
        "start to the last one's end; the start of Python and of the workers is in the other column. Memory is that of all "
        "processes together, shared pages once."
    )
    return harness.Table("A sweep on several workers", note, rows, ("speed-up", "from start to end"))


def overhead(quick: bool) -> harness.Table:
    """Returns the table of cells that do nothing."""
    with tempfile.TemporaryDirectory() as folder:
        direct = direct_overhead(4 if quick else 40, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        ours, bare = notebook_overhead(1 if quick else 10, Path(folder))
    each = {
        "papermill's execute_notebook, in a loop": bare,
        "notebook, in a sweep": ours,
        "direct, in a sweep": direct,
    }
    rows, middle = [], statistics.median(bare)
    for name, seconds in each.items():
        ratios = [
            s / b
            for s, b in zip(seconds, bare if len(bare) == len(seconds) else itertools.repeat(middle), strict=False)
        ]
        span = f"{harness.cell(min(ratios))} to {harness.cell(max(ratios))}" if len(seconds) > 1 else "–"
        spent = statistics.median(seconds)
        rows.append(
            {"cell": name, "wall, s": spent, "time / papermill's": statistics.median(ratios), "min to max": span}
        )
    note = (
        "A cell whose work takes no time, on one worker: a notebook of two trivial cells, and a run whose record is there. "
        "The median; the start of the workers is not in it. The rest of a notebook's time is the start of its kernel."
    )
    return harness.Table("What a cell costs beside its own work", note, rows, ("time / papermill's",))


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the tables of speed and of overheads."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return [speed(quick), overhead(quick)]


if __name__ == "__main__":
    harness.main(tables, __doc__)
