"""Sixteen times today's sizes: how each cost grows, where memory ends, and what to do then.

python benchmarks/scale.py
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import harness
import numpy as np
import psutil
from similarity import inputs

from dlcore.metrics import similarity
from dlcore.sweep import plan as plans

FACTORS = (1, 4, 16)
BATCH, SPARE = 512, 128
# what grows, the first number of inputs, their features, how bytes grow with n, and what to do where memory ends
INDICES: dict[str, tuple[Callable[..., Any], int, int, int, str]] = {
    "linear_cka": (similarity.linear_cka, 2_000, 256, 1, "MinibatchCKA, from np.memmap"),
    "procrustes": (similarity.procrustes, 2_000, 256, 1, "np.memmap: it reads blocks of rows"),
    "rsa": (similarity.rsa, 400, 256, 2, "a random sample of the inputs"),
    "rbf_cka": (similarity.rbf_cka, 400, 256, 1, "a random sample of the inputs: time ends first"),
}


def _index(name: str, n: int) -> harness.Cost:
    function, _, d, *_ = INDICES[name]
    x, y = inputs(n, d)
    function(x[:64], y[:64])
    return harness.measure(lambda: function(x, y), 1 if n > 2_000 else 3)


def _cells(_: str, count: int) -> harness.Cost:
    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            wanted = [{"seed": seed, "noise": 0.1} for seed in range(count)]
            return len(plans.make("distributional", wanted, store=f"{folder}/s", out=f"{folder}/o", direct=True).cells)

    with contextlib.redirect_stdout(None):
        found = harness.measure(work, 1)
    if found.value != count:
        raise RuntimeError(f"{found.value} cells of {count}")
    return found


def grown(quick: bool) -> harness.Table:
    """Returns the table of costs at up to 16 times the usual size."""
    rows, whole = [], psutil.virtual_memory().total / 2**20
    works = [(f"{name}, inputs", _index, name, spec[1], spec[3], spec[4]) for name, spec in INDICES.items()]
    works.append(("cells of a planned sweep", _cells, "", 625, 1, "several sweeps: they share a store"))
    for what, function, name, first, power, then in works:
        sizes = [max(8, first // 40) * f if quick else first * f for f in FACTORS]
        spent = [harness.alone(function, name, size) for size in sizes]
        if bad := [s for s in spent if isinstance(s, str)]:
            rows.append(harness.remark(bad[0], **{"what grows": what}))
            continue
        row = {"what grows": what, "sizes": " → ".join(f"{s:,}" for s in sizes), "CPU-s, first": spent[0].cpu}
        row |= {"CPU-s, last": spent[-1].cpu, "16 times the size": spent[-1].cpu / spent[0].cpu}
        end = sizes[-1] * (whole / max(spent[-1].memory, 1.0)) ** (1 / power)
        rows.append({**row, "extra MB, last": spent[-1].memory, "memory ends near": f"{end:.0e}", "then": then})
    note = (
        f"Each size in a process of its own, one thread; 256 features. Memory is above that of the inputs, and it ends, "
        f"on this machine of {whole / 1024:.0f} GB, where the largest size's, carried on by its power, fills it: about when 16 n² bytes "
        "do for RSA. A plan of cells is what a dry run makes: every cell checked, named, and looked for in the store."
    )
    return harness.Table("Sixteen times the size", note, rows, ("16 times the size",))


def _limited(way: str, files: list[str]) -> tuple[float, harness.Cost]:
    """Returns the size of the features in MB and the cost of a CKA in a process that may allocate little more than it holds."""
    similarity.MinibatchCKA().update(*inputs(8, 4))
    # private memory: the pages of a mapped file can be dropped and are not counted
    held = psutil.Process().memory_full_info().data
    resource.setrlimit(resource.RLIMIT_DATA, (held + SPARE * 2**20,) * 2)

    def work() -> float:
        x, y = (np.load(file, mmap_mode=None if way == "in memory" else "r") for file in files)
        if way == "in memory":
            return similarity.linear_cka(x, y, debiased=True)
        found, order = similarity.MinibatchCKA(), np.random.default_rng(0).permutation(len(x) // BATCH)
        for i in order:  # the rows of a file of activations are in random order already
            found.update(x[i * BATCH : (i + 1) * BATCH], y[i * BATCH : (i + 1) * BATCH])
        return found.compute().value

    return sum(Path(file).stat().st_size for file in files) / 2**20, harness.measure(work, 1)


def _written(n: int, d: int, files: list[str]) -> float:
    """Writes features in parts and returns the CKA of all, from their moments in float64."""
    out = [np.lib.format.open_memmap(file, "w+", np.float32, (n, d)) for file in files]
    rng, sums = np.random.default_rng(0), [np.zeros((d, d)) for _ in range(3)]
    mix, means = rng.normal(size=(2, 16, d)) / 4, np.zeros((2, d))
    for start in range(0, n, 4096):
        rows = slice(start, min(start + 4096, n))
        shared = rng.normal(size=(rows.stop - start, 16))
        parts = [(shared @ m + rng.normal(size=(len(shared), d))).astype(np.float32) for m in mix]
        for file, part in zip(out, parts, strict=True):
            file[rows] = part
        x, y = (part.astype(float) for part in parts)
        sums = [s + new for s, new in zip(sums, (x.T @ y, x.T @ x, y.T @ y), strict=True)]
        means += [x.sum(0), y.sum(0)]
    means /= n
    pairs = ((0, 1), (0, 0), (1, 1))
    squares = [np.sum((s - n * np.outer(means[i], means[j])) ** 2) for s, (i, j) in zip(sums, pairs, strict=True)]
    return float(squares[0] / np.sqrt(squares[1] * squares[2]))


def larger(quick: bool) -> harness.Table:
    """Returns the table of features larger than the memory that is allowed."""
    n, d = (40_960, 512) if quick else (163_840, 512)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/{side}.npy" for side in "xy"]
        truth = harness.alone(_written, n, d, files)
        if isinstance(truth, str):
            raise RuntimeError(truth)
        base = None
        for way in ("minibatches from np.memmap", "in memory"):
            found = harness.alone(_limited, way, files)
            if isinstance(found, str):
                rows.append(harness.remark(found, way=way))
                continue
            size, cost = found
            base = base or cost.cpu
            row = {"way": way, "features, MB": size, "allowed, MB": SPARE, "CPU-s": cost.cpu}
            rows.append({**row, "features / allowed": size / SPARE, "error": f"{abs(cost.value / truth - 1):.0e}"})
    note = (
        f"Two files of {n:,} x {d} float32 features, in a process that the system allows {SPARE} MB beyond what it holds (RLIMIT_DATA). "
        f"MinibatchCKA takes {BATCH} rows at a time; its error is relative to the CKA of all inputs in float64."
    )
    return harness.Table("Features larger than memory", note, rows, ("features / allowed",))


def _sweep(store: Path, first: int, last: int, port: int | None = None) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "dlcore",
        "sweep",
        "distributional",
        "--direct",
        "--workers",
        "1",
        "--threads",
        "1",
    ]
    command += ["--grid", f"seed={first}:{last}:1", "architecture=mlp", "n_train=300", "noise=0.3"]
    command += ["--store", str(store / "s"), "--out", str(store / "o")]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def machines(quick: bool) -> harness.Table:
    """Returns the table of a grid shared out among machines that share no disk."""
    count, turns = (4, 1) if quick else (8, 5)
    spent: dict[int, list[float]] = {1: [], 2: []}
    for number in [*spent] * turns:
        with tempfile.TemporaryDirectory() as folder:
            share, stores = count // number, [Path(folder) / f"machine{i}" for i in range(number)]

            def work(stores=stores, share=share) -> None:
                running = [_sweep(store, i * share, (i + 1) * share - 1) for i, store in enumerate(stores)]
                if any([process.wait() for process in running]):
                    raise RuntimeError("a sweep failed")

            spent[number].append(harness.timed(work)[1])
            whole = Path(folder) / "whole"
            # records are files named by the hash of their settings: stores are joined by copying
            for store in stores:
                shutil.copytree(store / "s", whole, dirs_exist_ok=True)
            wanted = [{"seed": s, "architecture": "mlp", "n_train": 300, "noise": 0.3} for s in range(count)]
            plan = plans.make("distributional", wanted, store=whole, out=Path(folder) / "o", direct=True)
            if len(plan.records) != count:
                raise RuntimeError(f"{len(plan.records)} records of {count} in the joined store")
    rows = []
    for number, walls in spent.items():
        ratios = [alone / wall for alone, wall in zip(spent[1], walls, strict=True)]
        rows.append(
            {
                "machines": f"{number}",
                "wall, s": median(walls),
                "records in the joined store": count,
                "speed-up": median(ratios),
                "min to max": "–" if number == 1 else f"{harness.cell(min(ratios))} to {harness.cell(max(ratios))}",
            }
        )
    note = (
        f"One grid of {count} cells, each machine a Dask cluster of its own: processes with one worker and a store that no other "
        f"sees, here all on {os.cpu_count()} cores, start of Python and Dask included; the median of {turns} turns. Machines that "
        "see one disk share a scheduler and a store instead (`--scheduler`), which is checked."
    )
    return harness.Table("A sweep on machines that share no disk", note, rows, ("speed-up",))


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the tables of growth, of features beyond memory, and of several machines."""
    return [grown(quick), larger(quick), machines(quick)]


if __name__ == "__main__":
    harness.main(tables, __doc__)
