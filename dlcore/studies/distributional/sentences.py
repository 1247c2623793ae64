"""Numbers of chapter 3's sentences beside the ledger, by the name under which the page prints them."""

from __future__ import annotations

import math

import pandas as pd

from dlcore.measures import two_digits
from dlcore.metrics.statistics import mean_interval

# name -> which runs, and the column whose mean is printed
_MEANS = {
    "cats-clean": ("cifar10", "subgroup", "resnet", 0.0, "flip_rate_test"),
    "cats-epsilon": ("cifar10", "subgroup", "resnet", 0.3, "epsilon"),
    "human-epsilon": ("cifar10", "human", "resnet", None, "epsilon"),
    "fashion-nn": ("fashion_mnist", "subgroup", "knn", 0.3, "flip_rate_test"),
    "fashion-epsilon": ("fashion_mnist", "subgroup", "convnet", 0.3, "epsilon"),
    "marginal-error": ("fashion_mnist", "imbalance", "mlp", None, "label_error"),
}


def numbers(table: pd.DataFrame) -> dict[str, float | str]:
    """Returns what chapter 3's sentences glue beside the ledger: name -> number or text; infinity, or "no run", without runs.

    cats-clean: share of test cats labelled object without noise. *-epsilon: the premise, of the ResNet on CIFAR-10, of
    the convnet on Fashion-MNIST, and under people's labels. fashion-nn: share of pullovers that 1-NN returns.
    told-classes: how many of ten classes an MLP tells apart so well that a classifier that forgets their noise, 30 % of a tenth of
    the mass, would refute the bound. marginal-error: of the MLP with unequal classes. mlp-8000: TV minus epsilon of the MLP on MNIST-1D, with its interval.

    Args: table: of `tables.distributional`.
    """
    own = table[~table.feature.astype(bool) & (table.preset == "laptop")] if len(table) else table
    found: dict[str, float | str] = {}
    for name, (dataset, experiment, architecture, noise, column) in _MEANS.items():
        rows = _of(own, dataset, experiment, architecture)
        rows = rows if noise is None or rows.empty else rows[rows.noise == noise]
        values = rows[column].dropna() if len(rows) else rows
        found[name] = float(values.mean()) if len(values) else math.inf
    told = _of(own, "fashion_mnist", "one_class", "mlp")
    epsilon = (
        told.groupby("noisy").class_epsilon.mean() if len(told) and "class_epsilon" in told else pd.Series(dtype=float)
    )
    found["told-classes"] = f"{int((epsilon < 0.03).sum())} of {len(epsilon)}" if len(epsilon) else "no run"
    rows = _of(own, "mnist1d", "four", "mlp")
    excess = (rows.debiased - rows.epsilon)[rows.n_train == 8000].dropna() if len(rows) else rows
    if len(excess) < 2:
        return found | {"mlp-8000": "no run"}
    value, low, high = two_digits(*mean_interval(excess)[:3]).split()
    return found | {"mlp-8000": f"{value} ({low} to {high})"}


def _of(table: pd.DataFrame, dataset: str, experiment: str, architecture: str) -> pd.DataFrame:
    if table.empty:
        return table
    own = table[(table.dataset == dataset) & (table.experiment == experiment) & (table.neighbours == 1)]
    return own[own.architecture == architecture]
