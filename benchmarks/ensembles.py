"""Several models in one stack (`training.fit_many`) against one after the other (`training.fit`).

MLPs on signals of 40 points, digits of 8 x 8 and images of 28 x 28 (two hidden layers), a 1-D convolutional network and a
small ResNet; K = 2 to 16 models; Adam, batch 64, float32. CPU seconds of this process (on a GPU: seconds), the median of
REPEATS runs of both in turn, in one run. The last column says what `fit_many` does by itself: it should be "stack" where the
ratio is above 1, and nowhere else. With --recorded, the configuration of chapter 1's end-to-end runs on digits instead,
early stop and precision included.

    OMP_NUM_THREADS=1 python benchmarks/ensembles.py [--recorded]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import torch

from dlcore import ensembles, runtime, training
from dlcore.models import network

REPEATS, SAMPLES = 5, 1024
COUNTS = (2, 4, 8, 16)
MLPS = [((1, 40), w) for w in (16, 64, 128, 256, 512)] + [((1, 8, 8), w) for w in (16, 64, 128, 256, 512)]
MLPS += [((1, 28, 28), w) for w in (16, 64, 128, 256, 512)]
NETWORKS = [("mlp", shape, width) for shape, width in MLPS] + [("convnet", (1, 40), 16), ("resnet", (3, 16, 16), 8)]


def seconds(work: Callable[[], object], where: torch.device) -> float:
    """Returns the time of one call: of this process on a CPU, of the clock on a GPU."""
    clock = time.process_time if where.type == "cpu" else time.perf_counter
    start = clock()
    work()
    if where.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def compare(name: str, shape: tuple[int, ...], width: int, count: int, where: torch.device) -> None:
    """Prints a row."""
    g = torch.Generator().manual_seed(0)
    size = SAMPLES if name == "mlp" else SAMPLES // 4
    x, y = torch.randn(size, *shape, generator=g), torch.randint(0, 10, (size,), generator=g)
    epochs = 2 if name == "mlp" else 1
    settings = training.TrainConfig(
        epochs=epochs, batch_size=64, optimizer="adam", learning_rate=1e-3, precision="float32"
    )

    def train(stack: bool) -> None:
        nets = [network(name, shape, 10, seed=k, width=width, depth=2) for k in range(count)]
        training.fit_many(nets, (x, y), settings, stack=stack, device=where)

    for stack in (False, True):  # the first call of each is slower
        train(stack)
    spent: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(REPEATS):
        for stack, times in spent.items():
            times.append(seconds(lambda stack=stack: train(stack), where))
    one, many = (median(times) for times in spent.values())
    nets = [network(name, shape, 10, width=width, depth=2) for _ in range(count)]
    rule = "stack" if ensembles.pays(nets, where) else "one by one"
    parameters = sum(p.numel() for p in nets[0].parameters())
    size = "x".join(map(str, shape))
    print(
        f"{name:8} {size:>8} {width:6} {parameters:10,} {count:4} {one:10.3f} {many:9.3f} {one / many:6.2f}  {rule}",
        flush=True,
    )


def recorded(where: torch.device) -> None:
    """Prints the time of chapter 1's end-to-end MLP on digits, clean labels and five noisy vectors."""
    from dlcore.studies import noisy_experiment
    from dlcore.studies.rationality import Config

    config = Config(dataset="digits", objective="supervised", architecture="mlp", noise=0.2)
    source = noisy_experiment.load(config)
    options = {"checkpoint": None, "progress": False, "device": where.type}
    limit = ensembles.PAYS[where.type]
    for name, allowed in (("one by one", 0), ("stack", limit)):
        ensembles.PAYS[where.type] = allowed
        spent = seconds(lambda: noisy_experiment.end_to_end(config, source, options), where)
        print(f"digits, MLP 2 x 256, 6 models, to zero error: {name:10} {spent:8.2f} s", flush=True)


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    where = runtime.device()
    if "--recorded" in sys.argv[1:]:
        return recorded(where)
    print(
        f"{'network':8} {'input':>8} {'width':>6} {'weights':>10} {'K':>4} {'fit, s':>10} {'stack, s':>9} {'ratio':>6}  rule"
    )
    for name, shape, width in NETWORKS:
        for count in COUNTS if name == "mlp" else COUNTS[:3]:
            compare(name, shape, width, count, where)


if __name__ == "__main__":
    main()
