"""A penalty curve with its controls: the maps of a stage trained together, one by one, or with the bottom run anew in every step.

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

CORES, REPEATS = 2, 5
# whole curves take a third of the study's epochs: the ratios are those of a step
SAMPLES, EPOCHS, FEW = 4000, 10, 1
# the study's networks
NETWORKS = {"mlp": {"width": 128, "depth": 4}, "convnet": {"width": 16, "depth": 4}}


def curve_of(name: str, samples: int, size: dict[str, int]) -> Callable[[int, str], list[StagePenalty]]:
    """Returns `curve(epochs, way)`, which stitches two networks at every stage, "together", "alone" or "anew".

    They are untrained: what a step costs does not depend on the weights.
    """
    found = data.load("mnist1d", n_train=samples)
    x, y, x_test, y_test = (
        torch.from_numpy(a) for a in (found.train_inputs, found.train_labels, found.test_inputs, found.test_labels)
    )
    bottom, top = (network(name, x.shape[1:], found.num_classes, seed=seed, **size) for seed in (0, 1))

    def curve(epochs: int, way: str) -> list[StagePenalty]:
        settings = training.TrainConfig(epochs=epochs, learning_rate=1e-3, optimizer="adam", precision="float32")
        how = {"cache": way != "anew", "together": way == "together", "training": settings, "device": "cpu"}
        return penalty_curve(bottom, top, (x, y, x_test, y_test), **how)

    return curve


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the table of curves."""
    samples, epochs, few, repeats = (256, 1, 1, 1) if quick else (SAMPLES, EPOCHS, FEW, REPEATS)
    rows = []
    # a few small steps, when another process has a core, wait long for a second thread
    with harness.threads_limited(1 if quick else CORES):
        for name, size in NETWORKS.items():
            curve = curve_of(name, samples, {"width": 8, "depth": 2} if quick else size)
            curve(1, "together")  # what torch loads at its first step is no cost of any way
            ways = ("together", "alone", "anew")
            spent = harness.turns({way: lambda w=way, c=curve: c(few, w) for way in ways}, repeats)
            whole = {way: harness.measure(lambda w=way, c=curve: c(epochs, w), 1) for way in ways[:2]}
            pairs = zip(*(whole[way].value for way in ways[:2]), strict=True)
            moved = [
                abs(getattr(a, k) - getattr(b, k))
                for a, b in pairs
                for k in ("penalty", "self_penalty", "random_penalty")
            ]
            row = {"networks": name, "stages": len(whole["together"].value), "epochs of a map": epochs}
            row |= {"a curve, wall s": whole["together"].wall}
            for way in ways[1:]:
                found = harness.compared(spent[way], spent["together"], f"{way} / together", wall=True)
                row |= {**found, f"{way}, min to max": found["min to max"]}
            del row["min to max"]
            row |= {"penalties differ by": sum(moved) / len(moved), "at most": max(moved)}
            rows.append(row | {"together, extra MB": spent["together"].memory, "anew, extra MB": spent["anew"].memory})
    note = (
        f"{samples:,} samples in batches of 128, {CORES} threads, seconds of the clock. A curve trains its three maps a stage for "
        f"{epochs} epochs, chapter 2's for three times as many; the ratios are of {few} epochs, medians of {repeats} turns. Alone and together the same "
        "steps are taken up to rounding, which moves some of 1,000 test errors: the columns say how far the penalties of whole "
        "curves are apart, fractions. Run anew, the bottom's BatchNorm follows the batches, as in the authors' code; kept, it has "
        "its own statistics."
    )
    return [
        harness.Table("Penalty curves", note, rows, ("alone / together", "anew / together"), harness.versions("torch"))
    ]


if __name__ == "__main__":
    harness.main(tables, __doc__)
