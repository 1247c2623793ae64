"""A penalty curve with its controls, the bottoms' activations kept, against running the bottom anew in every step.

    python benchmarks/stitching.py

Chapter 2's pairs of MNIST-1D: at every stage the pair itself, the self-stitch and an untrained bottom.
"""

from __future__ import annotations

from collections.abc import Callable

import harness
import torch

from dlcore import data, training
from dlcore.models import network
from dlcore.stitching import StagePenalty, penalty_curve

CORES, REPEATS = 2, 3
SAMPLES, EPOCHS, FEW = 4000, 30, 3
# the study's networks
NETWORKS = {"mlp": {"width": 128, "depth": 4}, "convnet": {"width": 16, "depth": 4}}


def curve_of(name: str, samples: int, size: dict[str, int]) -> Callable[[int, bool], list[StagePenalty]]:
    """Returns `curve(epochs, keep)`, which stitches two networks at every stage.

    They are untrained: what a step costs does not depend on the weights.
    """
    found = data.load("mnist1d", n_train=samples)
    x, y, x_test, y_test = (
        torch.from_numpy(a) for a in (found.train_inputs, found.train_labels, found.test_inputs, found.test_labels)
    )
    bottom, top = (network(name, x.shape[1:], found.num_classes, seed=seed, **size) for seed in (0, 1))

    def curve(epochs: int, keep: bool) -> list[StagePenalty]:
        settings = training.TrainConfig(epochs, learning_rate=1e-3, optimizer="adam", precision="float32")
        return penalty_curve(bottom, top, (x, y, x_test, y_test), cache=keep, training=settings, device="cpu")

    return curve


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the table of curves."""
    samples, epochs, few, repeats = (256, 1, 1, 1) if quick else (SAMPLES, EPOCHS, FEW, REPEATS)
    rows = []
    # a few small steps, when another process has a core, wait long for a second thread
    with harness.threads_limited(1 if quick else CORES):
        for name, size in NETWORKS.items():
            curve = curve_of(name, samples, {"width": 8, "depth": 2} if quick else size)
            curve(1, True)  # what torch loads at its first step is no cost of either way
            spent = harness.turns({keep: lambda k=keep, c=curve: c(few, k) for keep in (False, True)}, repeats)
            whole = harness.measure(lambda c=curve: c(epochs, True), repeats)
            row = {"networks": name, "stages": len(whole.value), "epochs of a map": epochs}
            row |= {"a curve, wall s": whole.wall, "anew / kept": spent[False].wall / spent[True].wall}
            rows.append(row | {"kept, extra MB": spent[True].memory, "anew, extra MB": spent[False].memory})
    note = (
        f"{samples:,} samples in batches of 128, {CORES} threads, seconds of the clock, medians of {repeats} curves. Chapter 2's "
        f"curves train each of their three maps a stage for {epochs} epochs; the ratio is of {few} epochs, in turn. Run "
        "anew, the bottom's BatchNorm follows the batches, as in the authors' code; kept, it has its own statistics."
    )
    return [harness.Table("Penalty curves", note, rows, ("anew / kept",), harness.versions("torch"))]


if __name__ == "__main__":
    harness.main(tables, __doc__)
