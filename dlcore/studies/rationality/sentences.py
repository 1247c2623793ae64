"""Numbers of chapter 1's sentences beside the ledger, by the name under which the page prints them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from dlcore import published
from dlcore.measures import average
from dlcore.metrics.rationality import cluster_vote_complexity, sharp_memorization_bound
from dlcore.studies.rationality.table import RELEASED
from dlcore.summaries import select

_SIMCLR = {"objective": "simclr", "probe": "ridge"}
# name -> the runs whose test accuracy is printed, one a seed
_TESTS = {
    "simclr-cifar10": _SIMCLR | {"usual": True, "dataset": "cifar10"},
    "simclr-fashion": _SIMCLR | {"usual": True, "dataset": "fashion_mnist"},
    "shorter-fashion": _SIMCLR | {"dataset": "fashion_mnist", "epochs": 60},
    "relu-cifar10": {"objective": "random_relu", "dataset": "cifar10", "dimension": 128},
    "relu-fashion": {"objective": "random_relu", "dataset": "fashion_mnist", "dimension": 128},
    "large-untrained": {"objective": "random", "preset": "gpu"},
    "large-supervised": {"objective": "supervised", "preset": "gpu"},
}


def numbers(table: pd.DataFrame) -> dict[str, float | int]:
    """Returns what chapter 1's sentences glue beside the ledger: name -> number; infinity without runs.

    Test accuracies of _TESTS. large-gap, -bound, -lost: of the ResNet-18 trained end to end, its gap, its bound at 5 % noise, the
    clean accuracy lost at 40 %. released-rows, rational-rows, rational-most: released rows, how many of them have more than a point
    of rationality, the most. simclr-*: the bound on its memorization as published, ours, and what was measured, in points.
    clusters: the bound for ten clusters with a label each. budget, weights: nats, of exercise `ex-budget`.

    Args: table: that of `studies.table("rationality")`.
    """
    found = {name: average(select(table, **where).groupby("seed").test.first()) for name, where in _TESTS.items()}
    ended = select(table, preset="gpu", objective="supervised")
    little, worst = (select(ended, noise=rate) for rate in (0.05, 0.4))
    found |= {"large-gap": average(ended.generalization), "large-bound": average(little.bound)}
    found["large-lost"] = average(worst.test - worst.test_after_noise)
    released = published.read("bansal2021_gaps").query("method != 'end to end'")
    row = select(released, **RELEASED).iloc[0]
    nats = float(row.theorem_bits * np.log(2) ** 0.5)  # released in bits
    return found | {
        "released-rows": len(released),
        "rational-rows": int((released.rationality > 1).sum()),
        "rational-most": float(released.rationality.max()),
        "simclr-published": nats,
        "simclr-sharper": nats * (0.05 * 0.95) ** 0.5,
        "simclr-measured": float(row.memorization),
        "clusters": float(sharp_memorization_bound(cluster_vote_complexity(10, 10), 50_000, 0.05)),
        "budget": 2 * 1000 * 0.2 * 0.1**2 / (1 - 0.2),
        "weights": 512 * 10 * 8 * math.log(2),
    }
