"""A GPU: CIFAR-10 to 94 % beside airbench, SimCLR, many small runs at once, and two GPUs.

    python benchmarks/gpu.py     # pip install airbench; CIFAR-10 where dlcore.data finds it

Without a GPU the rows say so. What it times is tried on the CPU, at sizes that mean nothing, by `--quick`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import harness
import torch

from dlcore import augment, data, pretraining, training
from dlcore.models import network
from dlcore.training import TrainConfig, predict

TARGET = 0.94
# He et al.'s network for CIFAR-10, large batches, one cycle of the rate
CONFIG = TrainConfig(epochs=20, batch_size=512, learning_rate=0.4, weight_decay=5e-4)
SMALL = ("distributional", "--recorded", "mnist1d-noise")
DIGITS = ("distributional", "architecture=mlp", "dataset=digits", "n_train=300", "epochs=20")
DDP = ("distributional", "architecture=resnet18", "dataset=cifar10_full", "n_train=50000", "epochs=4")
NONE = "no GPU yet"


def ours(sets: data.Dataset, config: TrainConfig, width: int, device: str) -> float:
    """Trains a ResNet-18 with the studies' loop and returns its test accuracy."""
    x, x_test = (
        torch.from_numpy(data.to_float(part, sets.train_inputs)) for part in (sets.train_inputs, sets.test_inputs)
    )
    net = network("resnet18", x.shape[1:], 10, seed=config.seed, width=width)
    training.fit(net, (x, sets.train_labels), config, augment=augment.crop_flip, device=device)
    right = predict(net, x_test).cpu() == torch.from_numpy(sets.test_labels)
    return float(right.double().mean())


@contextlib.contextmanager
def airbench_data() -> Iterator[None]:
    """A folder in which airbench finds CIFAR-10 as its loader keeps it, without a download."""
    raw = data.load("cifar10_full")
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cifar10").mkdir()
        for name, x, y in (("train", raw.train_inputs, raw.train_labels), ("test", raw.test_inputs, raw.test_labels)):
            saved = {"images": torch.from_numpy(x).permute(0, 2, 3, 1), "labels": torch.from_numpy(y), "classes": []}
            torch.save(saved, Path(folder) / "cifar10" / f"{name}.pt")
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def airbench_run() -> float:
    """Trains airbench's network by its recipe and returns its test accuracy, without averaging over views."""
    import airbench

    net = airbench.train94(verbose=False)
    return float(airbench.evaluate(net, airbench.CifarLoader("cifar10", train=False, batch_size=2000), tta_level=0))


def accuracy(quick: bool, device: str) -> harness.Table:
    """Returns the table of seconds to 94 %."""
    seeds, width = (1, 4) if quick else (5, 64)
    config = TrainConfig(epochs=1, batch_size=32, learning_rate=0.1) if quick else CONFIG
    sets = data.load("digits", n_train=64, n_test=64) if quick else data.load("cifar10_full")
    rows = []
    with contextlib.ExitStack() as stack:
        works: dict[str, Any] = {}
        if not quick:
            with contextlib.suppress(ImportError):
                import airbench  # noqa: F401

                stack.enter_context(airbench_data())
                works["airbench, its network and recipe"] = lambda seed: airbench_run()
        first = "dlcore, ResNet-18"
        works = {first: lambda seed: ours(sets, dataclasses.replace(config, seed=seed), width, device), **works}
        spent: dict[str, list[harness.Cost]] = {name: [] for name in works}
        for seed in range(-1, seeds):  # a first one warms up
            for name, work in works.items():
                cost = harness.measure(lambda w=work, s=seed: w(max(0, s)), 1)
                if seed >= 0:
                    spent[name].append(cost)
    base = harness.together(spent[first])
    for name, costs in spent.items():
        one = base if name == first else harness.together(costs)
        reached = [cost.value for cost in costs]
        rows.append(
            {"method": name, "wall, s": one.wall, **harness.compared(one, base, wall=True)}
            | {
                "test accuracy": f"{median(reached):.2%}",
                "runs at 94 %": f"{sum(a >= TARGET for a in reached)} of {seeds}",
            }
        )
    note = (
        f"The official split of CIFAR-10; {config.epochs} epochs of ResNet-18 with crop and flip in bfloat16, by the studies' "
        "own loop, beside airbench's train94, which has another network, made for speed. Both without averages over views of "
        f"a test image. Seconds of the clock, of training and of one pass over the test set; {seeds} seeds in turn."
    )
    return harness.Table("CIFAR-10 to 94 %", note, rows, ("time / dlcore's",), harness.versions("torch", "airbench"))


def simclr(quick: bool, device: str) -> harness.Table:
    """Returns the table of SimCLR's images a second, with views made by dlcore, and with the same images for views."""
    n, batch, epochs = (64, 16, 1) if quick else (20_480, 512, 2)
    images = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    size = {"width": 4, "depth": 1} if quick else {"width": 64}

    def work(objective: str) -> None:
        options = {"epochs": epochs, "batch_size": batch, "device": device, **size}
        pretraining.pretrain(images, objective, "resnet" if quick else "resnet18", **options)

    spent = harness.turns({name: lambda o=name: work(o) for name in ("simclr", "rotation")}, 1 if quick else 5)
    rows = [
        {"objective": name, "images / s": n * epochs / cost.wall}
        | harness.compared(cost, spent["simclr"], "time / SimCLR's", wall=True)
        | {"GPU MB": cost.gpu or 0.0}
        for name, cost in spent.items()
    ]
    note = (
        f"ResNet-18 on {n:,} images of 32 x 32 in batches of {batch}, two random views each, bfloat16; each image counted once. "
        "Rotation prediction has one view, in four turns."
    )
    return harness.Table("SimCLR pretraining", note, rows, ("time / SimCLR's",))


def command(*words: str, store: str, launcher: tuple[str, ...] = ()) -> float:
    """Returns the wall seconds of a command of dlcore with a store of its own."""
    start = time.perf_counter()
    line = [sys.executable, *launcher, "-m", "dlcore", "run", *words, "--store", store]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - start


def several(quick: bool) -> harness.Table:
    """Returns the table of many small runs, so many at once."""
    numbers, rows = ((1,), []) if quick else ((1, 4, 12), [])
    words = DIGITS if quick else SMALL
    for workers in numbers:
        with tempfile.TemporaryDirectory() as folder:
            seconds = command(*words, *(() if quick else ("--workers", str(workers))), store=folder)
        rows.append(
            {"at once": f"{workers}", "wall, s": seconds, "speed-up": rows[0]["wall, s"] / seconds if rows else 1.0}
        )
    note = (
        f"python -m dlcore run {' '.join(words)}: small networks that leave a GPU idle between their kernels, so many processes "
        "on one GPU, with NVIDIA's Multi-Process Service where it runs. From start to end, one run each."
    )
    return harness.Table("Several runs at once", note, rows, ("speed-up",))


def two() -> harness.Table:
    """Returns the table of one network on one and on two processes."""
    rows: list[dict[str, Any]] = []
    for count in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2") if count > 1 else ()
            seconds = command(*DDP, store=folder, launcher=launcher)
        rows.append(
            {"processes": f"{count}", "wall, s": seconds, "speed-up": rows[0]["wall, s"] / seconds if rows else 1.0}
        )
    note = (
        f"torchrun --nproc-per-node 2 -m dlcore run {' '.join(DDP)}, beside one process: DDP with the same whole batch, "
        "BatchNorm over all of it. From start to end, one run each."
    )
    return harness.Table("Two GPUs", note, rows, ("speed-up",))


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the tables; without a GPU each has one row, which says so."""
    graphics = torch.cuda.is_available()
    if not graphics and not quick:
        names = {
            "CIFAR-10 to 94 %": "the studies' loop beside airbench's recipe, seconds and accuracy over five seeds",
            "SimCLR pretraining": "images a second of ResNet-18 with two views each",
            "Several runs at once": "small runs that share one GPU, by the number of processes",
            "Two GPUs": "one network on one and on two GPUs, by DDP",
        }
        row = harness.remark(NONE, method="dlcore")
        return [
            harness.Table(
                name, f"To be measured by the same command on a machine with a GPU: {what}.", [row], ("speed-up",)
            )
            for name, what in names.items()
        ]
    device = "cuda" if graphics else "cpu"
    found = [accuracy(quick, device), simclr(quick, device), several(quick)]
    if quick:  # tests/test_parallel.py has two processes on a CPU
        return found
    if torch.cuda.device_count() > 1:
        return [*found, two()]
    row = harness.remark("one GPU only", method="dlcore")
    return [
        *found,
        harness.Table(
            "Two GPUs", "One network on two GPUs, by DDP: to be measured where there are two.", [row], ("speed-up",)
        ),
    ]


if __name__ == "__main__":
    harness.main(tables, __doc__)
