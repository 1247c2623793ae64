"""A sweep's speed-up over 1, 2, 4 workers, and what a cell costs over its own work; run it on a quiet machine.

    OMP_NUM_THREADS=1 python benchmarks/sweep.py

40 cells of the study "distributional" without notebooks, by the command line, each with a new store; the clock runs
from the first cell's start to the last one's end (their files' times), so that the start of Python and of the workers,
which is given apart, does not count. Overheads: cells that do nothing (their records are there), less nothing for a
direct cell and less a kernel that runs the same cells for a notebook; bare papermill beside it. One thread a worker.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from dlcore.records import Record, RecordStore
from dlcore.sweep import cells, cluster, engine
from dlcore.sweep import plan as plans

NOTHING = "# %% tags=['parameters']\nnoise = 0.1\nseed = 0\n\n# %%\nprint(noise)\n"


def command_line(workers: int, count: int, folder: Path) -> tuple[float, float, float]:
    """Returns seconds in all, seconds from the first record to the last, and the peak of all processes' memory in MB."""
    command = [sys.executable, "-m", "dlcore", "sweep", "distributional", "--direct", "--workers", str(workers)]
    command += ["--grid", f"seed=0:{count - 1}:1", "architecture=forest", "noise=0.3", "--threads", "1"]
    command += ["--store", str(folder / "s"), "--out", str(folder / "o")]
    start, peak = time.time(), 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(0.1)
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


def direct_overhead(count: int, folder: Path) -> float:
    """Returns the milliseconds that a direct cell whose run takes no time costs on one worker."""
    wanted = [{"seed": seed} for seed in range(count)]
    plan = plans.make("distributional", wanted, store=folder / "s", out=folder / "o", direct=True)
    for cell in plan.cells:
        RecordStore(folder / "s").save(cell.config, Record("distributional", cell.config.to_dict(), {}))
    with cluster.local(1, 1, plan.place) as client:
        engine.on(client, plan, plan.cells[:1], progress=False)  # first use
        start = time.perf_counter()
        engine.on(client, plan, plan.cells[1:], progress=False)
        return (time.perf_counter() - start) / (count - 1) * 1000


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


def main() -> None:
    """Prints one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=40)
    parser.add_argument("--workers", default="1,2,4")
    parser.add_argument("--notebooks", type=int, default=10)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    load = re.sub(r"[()]", "", str(os.getloadavg())) if hasattr(os, "getloadavg") else "?"
    print(f"{cluster.cores()} cores; load {load} at the start\n")
    print("| what | value | against |\n| --- | --- | --- |")
    first = None
    for workers in map(int, options.workers.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            total, span, peak = command_line(workers, options.cells, Path(folder))
        first = first or (total, span)
        ratios = (
            f"{first[1] / span:.2f} times as fast as with the first number (from start to end {first[0] / total:.2f})"
        )
        print(
            f"| {options.cells} cells, {workers} workers | {span:.1f} s ({total:.1f} s from start to end), {peak:.0f} MB | {ratios} |"
        )
    with tempfile.TemporaryDirectory() as folder:
        print(f"| direct cell, overhead | {direct_overhead(200, Path(folder)):.1f} ms | target: under 50 ms |")
    with tempfile.TemporaryDirectory() as folder:
        ours, bare = notebook_overhead(options.notebooks, Path(folder))
    middle, plain = statistics.median(ours), statistics.median(bare)
    print(
        f"| notebook cell, overhead | {middle:.2f} s ({min(ours):.2f} to {max(ours):.2f}) | target: under 1 s; bare "
        f"papermill {plain:.2f} s, ratio {middle / plain:.2f} |"
    )


if __name__ == "__main__":
    main()
