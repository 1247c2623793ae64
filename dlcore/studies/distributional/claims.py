"""What the ledger measures of chapter 3, on the table of `studies.distributional.table`."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from dlcore.measures import (
    CONFIDENCE,
    MEASURES,
    Measured,
    Table,
    by,
    exact,
    largest,
    mean,
    mean_where,
    measure,
    with_arguments,
)
from dlcore.metrics.distributional import knn_flip_rate
from dlcore.metrics.statistics import welch_interval
from dlcore.summaries import select


def _rows(t: Table, usual: bool = True, **where) -> Table:
    t = select(t, feature=False, **where)
    # of the nearest neighbours one; others are asked for with usual=False
    return select(t, usual=True, neighbours=1) if usual else t


@measure("nn-is-a-sampler")
def _(t):
    t = _rows(t, experiment="cyclic", dataset="digits", architecture="knn")
    return largest(by(t, t.flip_rate_test - t.noise, "noise"), absolute=True)


def _paths(t: Table, architecture: str, **where) -> Table:
    return _rows(t, usual=False, experiment="cyclic", dataset="digits", architecture=architecture, noise=0.3, **where)


@measure("knn-binomial")
def _(t):
    t = _paths(t, "knn")
    t = t[t.neighbours <= 15]
    law = np.array([float(knn_flip_rate(int(k), 0.3)) for k in t.neighbours])
    return largest(by(t, t.flip_rate_test - law, "neighbours"), absolute=True)


def _without_interpolation(t: Table, architecture: str, path: str, **where) -> Measured | None:
    t = _paths(t, architecture, **where)
    return largest(by(t, t.tt_tv - t.tt_null_mean, path))


MEASURES["knn-without-interpolation"] = with_arguments(_without_interpolation, "knn", "neighbours")
for _name, _bandwidth in (("gaussian", 0.66), ("laplace", 1.65)):
    MEASURES[f"kernel-path-{_name}"] = with_arguments(
        _without_interpolation, f"kernel_{_name}", "ridge", bandwidth=_bandwidth
    )


# 3 of 3,000 samples, of which 90 are noisy: the conjecture is of networks that have learnt their labels
INTERPOLATES = 0.001
# a bound above this forgives whatever happens to 30 % of a few classes
TELLS = 0.2


def _above_epsilon(t: Table) -> Measured | None:
    """Measures TV - epsilon over the runs that interpolate and whose epsilon leaves something to fail."""
    return mean_where(t.debiased - t.epsilon, (t.train_error <= INTERPOLATES) & (t.epsilon <= TELLS))


def _noisy(t: Table, column: str, experiment: str, dataset: str, architecture: str, **where) -> Measured | None:
    """Measures the mean of a column at 30 % noise; "excess" is the distance above its bound."""
    t = _rows(t, experiment=experiment, dataset=dataset, architecture=architecture, noise=0.3, **where)
    return _above_epsilon(t) if column == "excess" else mean(t[column])


for _name, _column, *_where in (
    ("cats-become-objects", "flip_rate_test", "subgroup", "cifar10", "resnet"),
    ("digits-subgroup-mlp", "flip_rate_test", "subgroup", "digits", "mlp"),
    ("fashion-subgroup-convnet", "flip_rate_test", "subgroup", "fashion_mnist", "convnet"),
    ("cats-calibrated", "excess", "subgroup", "cifar10", "resnet"),
    ("digits-subgroup-calibrated", "excess", "subgroup", "digits", "mlp"),
    ("fashion-subgroup-calibrated", "excess", "subgroup", "fashion_mnist", "convnet"),
    ("gaussian-kernel-calibrated", "excess", "subgroup", "digits", "kernel_gaussian"),
    ("mlp-noise-on-all-classes", "flip_rate_test", "cyclic", "digits", "mlp"),
    ("laplace-kernel-calibrated", "excess", "cyclic", "digits", "kernel_laplace"),
    ("forest-calibrated", "excess", "cyclic", "digits", "forest"),
):
    MEASURES[_name] = with_arguments(_noisy, _column, *_where, preset="laptop")
MEASURES["cats-at-paper-scale"] = with_arguments(
    _noisy, "flip_rate_test", "subgroup", "cifar10_full", "resnet18", preset="gpu"
)


def _cats(t: Table, architecture: str, **where) -> Table:
    return _rows(t, experiment="subgroup", dataset="cifar10", architecture=architecture, **where)


def _slopes(t: Table, architecture: str, x: str, y: str, **where) -> pd.Series:
    """Returns, by seed, the least-squares slope of a column over another one across the noise rates of cats."""
    t = _cats(t, architecture, preset="laptop", **where)
    found = {seed: np.polyfit(g[x], g[y], 1)[0] for seed, g in t.groupby("seed") if g.noise.nunique() > 2}
    return pd.Series(found, dtype=float)


def _excess(t: Table, architecture: str, noise: float = 0.3) -> Table:
    """Extra flips of cats and extra error of the other animals above the same seed's run without noise."""
    t = _cats(t, architecture).set_index("seed")[["noise", "flip_rate_test", "other_same_error"]]
    noisy, clean = (select(t, noise=rate).drop(columns="noise") for rate in (noise, 0.0))
    return (noisy - clean).dropna()


MEASURES["cats-slope"] = lambda t: mean(_slopes(t, "resnet", "noise", "flip_rate_test"))
MEASURES["cats-excess"] = lambda t: mean(_excess(t, "resnet").flip_rate_test)
MEASURES["other-animals-slope"] = lambda t: mean(_slopes(t, "resnet", "noise", "other_same_error"))
MEASURES["other-animals-unaffected"] = lambda t: mean(_excess(t, "resnet").other_same_error)


@measure("mlp-slope")
def _(t):
    mlp, resnet = (
        _slopes(t, name, "flip_rate_test", "other_same_error", noise=[0.0, 0.3, 0.5]) for name in ("mlp", "resnet")
    )
    if min(len(mlp), len(resnet)) < 2:
        return None
    return Measured(*welch_interval(mlp, resnet, confidence=CONFIDENCE.get()))


@measure("mlp-does-not-localise")
def _(t):
    both = (_excess(t, architecture) for architecture in ("mlp", "resnet"))
    mlp, resnet = (e.other_same_error / e.flip_rate_test for e in both)
    return mean(mlp - resnet)


@measure("tv-below-epsilon")
def _(t):
    t = _rows(t, experiment="four", architecture=["mlp", "convnet"])
    return largest(by(t, t.debiased - t.epsilon, "dataset", "architecture", "n_train"))


@measure("convnet-between-step-and-diagonal")
def _(t):
    t = _rows(t, experiment="cyclic", dataset="mnist1d", architecture="convnet")
    t = t[(t.noise > 0) & (t.noise != 0.5)]
    away = (t.flip_rate_test - t.noise).abs().groupby(t.seed).mean()
    step = ((t.noise > 0.5) - t.noise).abs().groupby(t.seed).mean()
    return mean(away / step)


def _constant(t: Table, **where) -> Table:
    return _rows(t, experiment="imbalance", dataset="fashion_mnist", **where)


MEASURES["constant-partition"] = lambda t: mean(_constant(t, architecture="mlp").debiased)


@measure("constant-partition-families")
def _(t):
    t = _constant(t)
    return largest(by(t[~t.architecture.isin(["forest", "logistic"])], "debiased", "architecture"))


def _agreement(t: Table, architectures: list[str], datasets: list[str]) -> Measured | None:
    t = _rows(t, experiment="agreement", architecture=architectures, dataset=datasets, noise=0.0)
    # sizes and data sets of one seed share their training sets: a seed is one run
    return mean((t.agreement - t.test_accuracy_noisy).abs().groupby(t.seed).mean())


MEASURES["agreement-networks"] = with_arguments(_agreement, ["mlp", "convnet"], ["digits", "fashion_mnist"])
MEASURES["agreement-trees"] = with_arguments(_agreement, ["tree"], ["digits"])


@measure("training-time")
def _(t):
    t = _rows(t, experiment="sparse", dataset="fashion_mnist", architecture="mlp", noise=0.4)
    return mean(t.largest_train_test_excess)


@measure("human-noise")
def _(t):
    return _above_epsilon(_rows(t, experiment="human", dataset="cifar10", architecture="resnet", annotator="worse"))


def _one_class(t: Table, architecture: str) -> Table:
    """The interpolating runs with each class of ten noisy in turn, none until every class has its premise."""
    t = _rows(t, experiment="one_class", dataset="fashion_mnist", architecture=architecture, noise=0.3)
    t = t.dropna(subset=["class_epsilon", "returned"])
    t = t[t.train_error <= INTERPOLATES].sort_values("epochs").drop_duplicates(["noisy", "seed"], keep="last")
    return t if t.noisy.nunique() == 10 else t[:0]


def _over_seeds(values: pd.Series, runs: int, **options) -> Measured | None:
    m = mean(values, **options)
    return m and m._replace(runs=runs, method="")


def _worst_class(t: Table, architecture: str) -> Measured | None:
    t = _one_class(t, architecture)
    groups = by(t, t.class_debiased - t.class_epsilon, "noisy")
    return largest(groups) if min(map(len, groups), default=0) > 1 else None


def _returned(t: Table, architecture: str) -> Measured | None:
    """Mean returned share of the noise over the classes with epsilon of at most 0.01, seed by seed."""
    t = _one_class(t, architecture)
    told = t[t.groupby("noisy").class_epsilon.transform("mean") <= 0.01]
    if told.empty and len(t):
        return exact(math.nan, len(t))
    return _over_seeds(told.groupby("seed").returned.mean(), len(told))


def _rank(t: Table, architecture: str, column: str) -> Measured | None:
    """Rank correlation of a column with epsilon over the ten classes, seed by seed."""
    t = _one_class(t, architecture)
    t = t.assign(epsilon=t.groupby("noisy").class_epsilon.transform("mean"))
    found = [own[column].corr(own.epsilon, method="spearman") for _, own in t.groupby("seed")]
    return _over_seeds(pd.Series(found, dtype=float), len(t), within=(-1, 1))


MEASURES["ten-classes-forest"] = with_arguments(_worst_class, "forest")
for _name, _architecture in (("1nn", "knn"), ("mlp", "mlp"), ("convnet", "convnet")):
    MEASURES[f"ten-classes-{_name}"] = with_arguments(_worst_class, _architecture)
    MEASURES[f"ten-classes-returned-{_name}"] = with_arguments(_returned, _architecture)
for _name in ("mlp", "convnet"):
    MEASURES[f"ten-classes-rank-{_name}"] = with_arguments(_rank, _name, "returned")
    MEASURES[f"ten-classes-elsewhere-{_name}"] = with_arguments(_rank, _name, "elsewhere")
