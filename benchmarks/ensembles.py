"""Several models trained in one stack by training.fit_many, against one after the other by training.fit.

    python benchmarks/ensembles.py

MLPs of two hidden layers, and chapter 1's end-to-end runs on digits as they are recorded.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import harness
import torch

from dlcore import ensembles, runtime, training
from dlcore.models import network

SAMPLES = 1024
SIGNAL, DIGIT, IMAGE = (1, 40), (1, 8, 8), (1, 28, 28)
# input, width, numbers of models
NETWORKS = (
    *((SIGNAL, width, (2, 16)) for width in (16, 64, 256)),
    *((SIGNAL, width, (4,)) for width in (512,)),
    *((DIGIT, width, (4,)) for width in (256, 512)),
    *((IMAGE, width, (4,)) for width in (64, 128, 512)),
)
QUICK = ((SIGNAL, 16, (2,)),)
NOTE = (
    "The same models, trained with fit one after the other and in one stack: Adam, batches of 64, float32, the median of runs "
    'in turn. What fit_many does by itself should be "stack" where the ratio is above 1, and nowhere else: a step of '
    "a small network is mostly overhead, which a stack pays once; a large one fills the core by itself."
)


@contextlib.contextmanager
def allowed(parameters: float, where: torch.device) -> Iterator[None]:
    """Lets networks of so many parameters be stacked inside the block."""
    limit = ensembles.PAYS[where.type]
    ensembles.PAYS[where.type] = parameters
    try:
        yield
    finally:
        ensembles.PAYS[where.type] = limit


def training_of(shape: tuple[int, ...], width: int, count: int, samples: int, where: torch.device) -> Callable:
    """Returns `train(stack)`, which trains fresh models."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(samples, *shape, generator=g), torch.randint(0, 10, (samples,), generator=g)
    settings = training.TrainConfig(epochs=2, batch_size=64, optimizer="adam", learning_rate=1e-3, precision="float32")

    def train(stack: bool) -> None:
        nets = [network("mlp", shape, 10, seed=k, width=width, depth=2) for k in range(count)]
        with allowed(math.inf if stack else 0, where):
            training.fit_many(nets, (x, y), settings, device=where)

    return train


def row(shape: tuple[int, ...], width: int, count: int, samples: int, where: torch.device) -> dict[str, Any]:
    """Returns a row of the table of networks."""
    train = training_of(shape, width, count, samples, where)
    spent = harness.turns({stack: lambda stack=stack: train(stack) for stack in (False, True)}, memory=False)
    clock = "wall" if where.type == "cuda" else "cpu"
    one, many = (spent[stack] for stack in (False, True))
    nets = [network("mlp", shape, 10, seed=k, width=width, depth=2) for k in range(count)]
    return {
        "network": f"mlp, width {width}",
        "input": " x ".join(map(str, shape[1:] if shape[0] == 1 else shape)),
        "weights": sum(p.numel() for p in nets[0].parameters()),
        "models": count,
        "one by one, s": getattr(one, clock),
        "stack, s": getattr(many, clock),
        **harness.compared(one, many, "one by one / stack", wall=clock == "wall"),
        "fit_many": "stack" if ensembles.pays(nets, where) else "one by one",
    }


def recorded(quick: bool, where: torch.device) -> harness.Table:
    """Returns the table of chapter 1's end-to-end MLPs on digits: clean labels and noisy vectors, to zero error."""
    from dlcore.studies.rationality import Config, noisy_experiment

    small = {"n_train": 100, "epochs": 3, "draws": 2} if quick else {"draws": 2}
    config = Config(dataset="digits", objective="supervised", architecture="mlp", noise=0.2, **small)
    source = config.load()
    options = {"checkpoint": None, "progress": False, "device": where.type}

    def run(parameters: float) -> None:
        with allowed(parameters, where):
            noisy_experiment.end_to_end(config, source, options)

    works = {"stack": lambda: run(ensembles.PAYS[where.type]), "one by one": lambda: run(0)}
    spent = harness.turns(works, 1 if quick else 5)
    rows = [
        {"way": name, "CPU-s": cost.cpu, "extra MB": cost.memory, **harness.compared(cost, spent["stack"])}
        for name, cost in spent.items()
    ]
    note = (
        f"{config.draws + 1} MLPs of {config.depth} x {config.width} units on {config.n_train:,} digits, one on clean and the "
        "others on noisy labels, each until it makes no training error: what python -m dlcore run rationality "
        "objective=supervised architecture=mlp does."
    )
    return harness.Table("Chapter 1's end-to-end networks", note, rows, ("time / dlcore's",))


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the table of networks and that of a recorded setting."""
    where = runtime.device()
    rows = [
        row(shape, width, count, 128 if quick else SAMPLES, where)
        for shape, width, counts in (QUICK if quick else NETWORKS)
        for count in counts
    ]
    return [
        harness.Table("Several models at once", NOTE, rows, ("one by one / stack",)),
        recorded(quick, where),
    ]


if __name__ == "__main__":
    harness.main(tables, __doc__)
