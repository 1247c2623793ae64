"""Numbers of chapter 3's sentences beside the ledger, by the name under which the page prints them."""

from __future__ import annotations

import pandas as pd

from dlcore.measures import average, with_interval
from dlcore.metrics.statistics import mean_interval
from dlcore.summaries import select

_FIELDS = ("dataset", "experiment", "architecture", "noise")
# name -> which runs, and the column whose mean is printed
_MEANS = {
    "cats-clean": ("cifar10", "subgroup", "resnet", 0.0, "flip_rate_test"),
    "cats-epsilon": ("cifar10", "subgroup", "resnet", 0.3, "epsilon"),
    "human-epsilon": ("cifar10", "human", "resnet", 0.0, "epsilon"),
    "fashion-nn": ("fashion_mnist", "subgroup", "knn", 0.3, "flip_rate_test"),
    "fashion-epsilon": ("fashion_mnist", "subgroup", "convnet", 0.3, "epsilon"),
    "marginal-error": ("fashion_mnist", "imbalance", "mlp", 0.0, "label_error"),
}


def numbers(table: pd.DataFrame) -> dict[str, float | str]:
    """Returns what chapter 3's sentences glue beside the ledger: name -> number or text; infinity, or "no run", without runs.

    cats-clean: share of test cats labelled object without noise. *-epsilon: the premise, of the ResNet on CIFAR-10, of
    the convnet on Fashion-MNIST, and under people's labels. fashion-nn: share of pullovers that 1-NN returns.
    told-classes: how many of ten classes an MLP tells apart so well that a classifier that forgets their noise, 30 % of a tenth of
    the mass, would refute the bound. marginal-error: of the MLP with unequal classes. mlp-8000: TV minus epsilon of the MLP on MNIST-1D, with its interval.

    Args: table: of `tables.distributional`.
    """
    own = select(table, feature=False, preset="laptop", neighbours=1)
    found: dict[str, float | str] = {
        name: average(select(own, **dict(zip(_FIELDS, where, strict=True)))[column])
        for name, (*where, column) in _MEANS.items()
    }
    told = select(own, dataset="fashion_mnist", experiment="one_class", architecture="mlp")
    epsilon = told.groupby("noisy").class_epsilon.mean()
    found["told-classes"] = f"{int((epsilon < 0.03).sum())} of {len(epsilon)}" if len(epsilon) else "no run"
    rows = select(own, dataset="mnist1d", experiment="four", architecture="mlp", n_train=8000)
    excess = (rows.debiased - rows.epsilon).dropna()
    found["mlp-8000"] = with_interval(*mean_interval(excess)[:3]) if len(excess) > 1 else "no run"
    return found
