"""What every benchmark shares: measuring time and memory, tables (see report.py), and the command line.

A benchmark is a script of this folder with a function `tables(quick: bool) -> list[Table]` that ends with
`harness.main(tables, __doc__)`. Alone it prints its tables; `make bench` runs all of them for the book's page.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import dataclasses
import functools
import gc
import itertools
import json
import math
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from report import Table, cell, escaped, remark, versions

__all__ = [
    "Axis",
    "Cost",
    "Memory",
    "Table",
    "alone",
    "apart",
    "bandwidth",
    "cell",
    "clocked",
    "compared",
    "cpu_seconds",
    "devices",
    "escaped",
    "flops",
    "growth",
    "main",
    "measure",
    "peak",
    "remark",
    "threads_limited",
    "timed",
    "together",
    "turns",
    "versions",
]

THREADS = 1
_MEGABYTE = 2**20
_CONTEXT = multiprocessing.get_context("spawn")


class Cost(NamedTuple):
    """What a run costs: the medians of `cpu` and `wall` (seconds), their smallest and largest `cpu`.

    cpu: of all threads of this process and of its child processes that have ended (DataLoader's workers do).
    memory: see `Memory`; of the first run, which is the one that allocates.
    gpu: MB at the peak of what torch had allocated on the GPU above what it held before, None without a GPU.
    value: what the last run returned.
    runs: CPU and wall seconds of each run.
    """

    cpu: float
    wall: float
    memory: float
    gpu: float | None
    low: float
    high: float
    value: Any
    runs: tuple[tuple[float, float], ...] = ()


def cpu_seconds() -> float:
    """Returns the CPU seconds of this process and of its ended children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _status(field: str) -> float | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":")), None)


class Memory:
    """The peak of this process's resident memory since the object was made, above what it held then, in MB.

    What was freed before goes back to the system first, so that it cannot serve unseen. Pools that a library keeps (the
    buffers of a BLAS, say) serve unseen after their first use. Child processes are not counted.

    >>> memory = Memory()
    >>> big = bytearray(64 * 2**20)
    >>> del big
    >>> 60 < memory.peak() < 90
    True
    """

    def __init__(self) -> None:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError, TypeError):  # glibc alone has it
            ctypes.CDLL(None).malloc_trim(0)
        with contextlib.suppress(OSError):
            # on Linux this forgets the earlier peak; elsewhere a peak before this moment can hide a later one
            Path("/proc/self/clear_refs").write_text("5")
        held = _status("VmRSS")
        self.before = self._usage() if held is None else held

    @staticmethod
    def _usage() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

    def peak(self) -> float:
        """Returns the MB at the peak above those at the start, to a tenth."""
        # not ru_maxrss on Linux: a child's starts at its parent's peak, even after exec
        highest = _status("VmHWM")
        return round(max(0.0, (self._usage() if highest is None else highest) - self.before), 1)


def devices() -> list[str]:
    """Returns "cpu", and "cuda" where torch sees a GPU."""
    import torch

    return ["cpu", *["cuda"] * torch.cuda.is_available()]


def _graphics():
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None


def timed(work: Callable[[], Any], least: float = 0.0) -> tuple[float, float, Any]:
    """Returns CPU seconds and wall seconds of a call, and what it returned; a GPU is waited for.

    Short work is repeated until `least` CPU seconds are spent, and the mean of a call is given.
    """
    gpu, calls = _graphics(), 0
    if gpu is not None:
        gpu.synchronize()
    wall, cpu = time.perf_counter(), cpu_seconds()
    while True:
        value = work()
        calls += 1
        if cpu_seconds() - cpu >= least:
            break
    if gpu is not None:
        gpu.synchronize()
    return (cpu_seconds() - cpu) / calls, (time.perf_counter() - wall) / calls, value


def _weighed(work: Callable[[], Any]) -> Cost:
    """Returns the cost of one call, memory included."""
    gpu, memory = _graphics(), Memory()
    held = 0
    if gpu is not None:
        gpu.reset_peak_memory_stats()
        held = gpu.memory_allocated()
    cpu, wall, value = timed(work)
    peak = memory.peak()
    graphics = None if gpu is None else (gpu.max_memory_allocated() - held) / _MEGABYTE
    return Cost(cpu, wall, peak, graphics, cpu, cpu, value, ((cpu, wall),))


def clocked(work: Callable[[], Any], least: float = 0.0) -> Cost:
    """Returns the cost of a call (see `timed` for `least`) without its memory, NaN."""
    # memory is not looked at: giving what is free back to the system would cost the work time
    cpu, wall, value = timed(work, least)
    return Cost(cpu, wall, math.nan, None, cpu, cpu, value, ((cpu, wall),))


def together(runs: Sequence[Cost], first: Cost | None = None) -> Cost:
    """Returns the cost of some runs, with the memory of `first`, by default the first of them."""
    first = first or runs[0]
    cpu = [run.cpu for run in runs]
    wall = median(run.wall for run in runs)
    each = tuple(pair for run in runs for pair in run.runs)
    return Cost(median(cpu), wall, first.memory, first.gpu, min(cpu), max(cpu), runs[-1].value, each)


def compared(cost: Cost, base: Cost, name: str = "time / dlcore's", *, wall: bool = False) -> dict[str, Any]:
    """Returns the columns of a ratio of two things that took turns: its median and, as text, its smallest and largest.

    What was run another number of times, because it is slow, is compared with the median of the other.

    >>> mine, theirs = (Cost(0, 0, 0, None, 0, 0, None, tuple((c, c) for c in runs)) for runs in ((1, 2, 1), (2, 5, 4)))
    >>> compared(theirs, mine)
    {"time / dlcore's": 2.5, 'min to max': '2 to 4'}
    >>> compared(mine, mine)
    {"time / dlcore's": 1.0, 'min to max': '–'}
    """
    taken, known = ([run[wall] for run in one.runs] for one in (cost, base))
    if len(taken) != len(known):
        known = [median(known)] * len(taken)
    ratios = [a / b for a, b in zip(taken, known, strict=True)]
    span = "–" if cost is base else f"{cell(min(ratios))} to {cell(max(ratios))}"
    return {name: median(ratios), "min to max": span}


def measure(work: Callable[[], Any], repeats: int = 5) -> Cost:
    """Returns the cost of some calls of `work` in this process. A first call, if it is slower, is the caller's."""
    return together([_weighed(work), *(clocked(work) for _ in range(repeats - 1))])


def turns(
    works: dict[Hashable, Callable[[], Any]], repeats: int = 5, *, least: float = 0.0, memory: bool = True
) -> dict[Hashable, Cost]:
    """Returns the cost of several things that take turns, so that other work on the machine meets all alike.

    A first turn, which warms up, gives the memory (NaN without `memory`) but not the time. See `timed` for `least`.
    """
    first = {name: _weighed(work) if memory else clocked(work) for name, work in works.items()}
    runs: dict[Hashable, list[Cost]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            runs[name].append(clocked(work, least))
    return {name: together(each, first[name]) for name, each in runs.items()}


def alone(function: Callable[..., Any], *args: Any, limit: float = 600) -> Any:
    """Returns what a module-level function returns in a fresh process, or a remark (str) on why there is none.

    The remark: "NAME is not installed" for an ImportError, "failed: ...", "too slow: more than LIMIT s", or that the
    process ended without an answer, as one without memory does. The function itself must not return a string.
    """
    mine, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_answer, args=(theirs, function, args, THREADS))
    process.start()
    theirs.close()
    try:
        found, value = mine.recv() if mine.poll(limit) else (False, f"too slow: more than {limit:g} s")
    except EOFError:
        found, value = False, "ended without an answer: out of memory?"
    finally:
        process.kill()
        process.join()
        mine.close()
    return value if found else str(value)


def apart(works: dict[str, Callable[..., Any]], rounds: Iterable[tuple], quick: bool = False) -> dict[str, list[Any]]:
    """Returns what each work returns for the arguments of each round; they take turns, each in a process of its own.

    So no rival profits from what another does to its process: dlcore's training loops tell the C library to keep freed
    memory, which makes every loop after them faster. `works` can be pickled; `quick` has all in this process.
    """
    found: dict[str, list[Any]] = {name: [] for name in works}
    with contextlib.ExitStack() as stack:
        pools = {} if quick else {name: stack.enter_context(ProcessPoolExecutor(1, _CONTEXT)) for name in works}
        for args in rounds:
            for name, work in works.items():
                found[name].append(work(*args) if quick else pools[name].submit(work, *args).result())
    return found


def _answer(pipe: Any, function: Callable[..., Any], args: tuple, threads: int) -> None:
    try:
        with threads_limited(threads):
            pipe.send((True, function(*args)))
    except ImportError as error:
        pipe.send((False, f"{error.name or error} is not installed"))
    except Exception as error:
        pipe.send((False, f"failed: {type(error).__name__}: {str(error)[:80]}"))


@contextlib.contextmanager
def threads_limited(count: int = THREADS) -> Iterator[None]:
    """Fixes the threads of linear algebra and of torch, in this process and in those that start inside the block."""
    from threadpoolctl import threadpool_limits

    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ |= dict.fromkeys(names, str(count))
    torch = sys.modules.get("torch")
    used = torch.get_num_threads() if torch else count
    if torch:
        torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        if torch:
            torch.set_num_threads(used)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _fastest(work: Callable[[], Any], calls: int = 8) -> float:
    """Returns the wall seconds of the fastest of some calls after a first one: a limit is what nothing disturbs."""
    work()
    return min(timed(work)[1] for _ in range(calls))


@functools.cache
def peak(dtype: Any, device: str = "cpu") -> float:
    """Returns the FLOP/s of the fastest square matrix product, at the threads that are set at the first call.

    The limit of whatever consists of matrix products. A multiplication and an addition are two, as in `flops`.

    Args: dtype: torch.float32, torch.bfloat16 or torch.float64.
    """
    import torch

    rates = []
    for side in (1024, 2048):  # the caches of one CPU like the smaller, AMX and GPUs the larger one
        a, out = torch.ones(side, side, dtype=dtype, device=device), torch.empty(side, side, dtype=dtype, device=device)
        rates.append(2 * side**3 / _fastest(functools.partial(torch.mm, a, a, out=out)))
    return max(rates)


@functools.cache
def bandwidth(device: str = "cpu") -> float:
    """Returns the bytes/s, read and written together, of a copy of 512 MB, which no cache holds; threads as for `peak`."""
    import torch

    source = torch.zeros(2**27, device=device)
    target = torch.ones_like(source)
    return 2 * source.nbytes / _fastest(lambda: target.copy_(source))


def flops(work: Callable[[], Any]) -> int:
    """Returns the FLOPs of torch's matrix products and convolutions in a call of `work`, backward passes included."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


class Axis(NamedTuple):
    """One size that doubles: its name, three or more values, the work at a value, the ratio that is expected."""

    name: str
    values: Sequence[int]
    work: Callable[[int], Callable[[], Any]]
    expected: str


def growth(title: str, note: str, axes: Iterable[Axis], repeats: int = 3, *, least: float = 0.05) -> Table:
    """Returns a table of CPU-second ratios as each size doubles, beside the expected ones; the sizes take turns."""
    rows = []
    for axis in axes:
        spent = turns({v: axis.work(v) for v in axis.values}, repeats, least=least, memory=False)
        seconds = [spent[v].cpu for v in axis.values]
        ratios = {f"doubling {i + 1}": b / a for i, (a, b) in enumerate(itertools.pairwise(seconds))}
        sizes = " → ".join(f"{v:,}" for v in axis.values)
        rows.append(
            {"what doubles": axis.name, "sizes": sizes, "CPU-s, first": seconds[0], "CPU-s, last": seconds[-1]}
            | ratios
            | {"expected": axis.expected}
        )
    names = tuple(dict.fromkeys(name for row in rows for name in row if name.startswith("doubling")))
    return Table(title, note, rows, names)


def main(tables: Callable[[bool], list[Table]], doc: str) -> None:
    """Runs a benchmark from the command line: prints its tables, or writes them as JSON for the page."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, whose ratios mean nothing: to try it out")
    parser.add_argument("--json", type=Path, help="a file to write the tables to as well")
    options = parser.parse_args()
    with threads_limited():
        found = tables(options.quick)
    for table in found:
        print(table.text(), flush=True)
    if options.json:
        from dlcore.cache import write_atomically

        write_atomically(options.json, json.dumps([dataclasses.asdict(table) for table in found]))
