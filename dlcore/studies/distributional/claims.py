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
    largest,
    mean,
    mean_where,
    measure,
    with_arguments,
)
from dlcore.metrics.distributional import knn_flip_rate
from dlcore.metrics.statistics import welch_interval


def _rows(t: Table, usual: bool = True, **where) -> Table:
    for name, value in where.items():
        t = t[t[name].isin(value) if isinstance(value, (list, tuple)) else t[name] == value]
    t = t[~t.feature.astype(bool)]
    # of the nearest neighbours one; others are asked for by their number
    return t[t.usual & (t.neighbours == where.get("neighbours", 1))] if usual else t


@measure("nn-is-a-sampler")
def _(t):
    t = _rows(t, experiment="cyclic", dataset="digits", architecture="knn")
    return largest(by(t, t.flip_rate_test - t.noise, "noise"), absolute=True)


@measure("knn-binomial")
def _(t):
    t = _rows(t, usual=False, experiment="cyclic", dataset="digits", architecture="knn", noise=0.3)
    t = t[t.neighbours <= 15]
    law = np.array([float(knn_flip_rate(int(k), 0.3)) for k in t.neighbours])
    return largest(by(t, t.flip_rate_test - law, "neighbours"), absolute=True)


@measure("knn-without-interpolation")
def _(t):
    t = _rows(t, usual=False, experiment="cyclic", dataset="digits", architecture="knn", noise=0.3)
    return largest(by(t, t.tt_tv - t.tt_null_mean, "neighbours"))


def _subgroup(t: Table, dataset: str, architecture: str, preset: str = "laptop") -> Measured | None:
    return mean(
        _rows(
            t, experiment="subgroup", dataset=dataset, architecture=architecture, noise=0.3, preset=preset
        ).flip_rate_test
    )


MEASURES["cats-become-objects"] = with_arguments(_subgroup, "cifar10", "resnet")
MEASURES["digits-subgroup-mlp"] = with_arguments(_subgroup, "digits", "mlp")
MEASURES["fashion-subgroup-convnet"] = with_arguments(_subgroup, "fashion_mnist", "convnet")
MEASURES["cats-at-paper-scale"] = with_arguments(_subgroup, "cifar10_full", "resnet18", "gpu")


# 3 of 3,000 samples, of which 90 are noisy: the conjecture is of networks that have learnt their labels
INTERPOLATES = 0.001
# a bound above this forgives whatever happens to 30 % of a few classes
TELLS = 0.2


def _above_epsilon(t: Table) -> Measured | None:
    """Measures TV - epsilon over the runs that interpolate and whose epsilon leaves something to fail."""
    return mean_where(t.debiased - t.epsilon, (t.train_error <= INTERPOLATES) & (t.epsilon <= TELLS))


def _calibrated(t: Table, dataset: str, architecture: str) -> Measured | None:
    return _above_epsilon(
        _rows(t, experiment="subgroup", dataset=dataset, architecture=architecture, noise=0.3, preset="laptop")
    )


MEASURES["cats-calibrated"] = with_arguments(_calibrated, "cifar10", "resnet")
MEASURES["digits-subgroup-calibrated"] = with_arguments(_calibrated, "digits", "mlp")
MEASURES["fashion-subgroup-calibrated"] = with_arguments(_calibrated, "fashion_mnist", "convnet")


def _slopes(t: Table, architecture: str, x: str, y: str, rates: tuple[float, ...] = ()) -> pd.Series:
    """Returns, by seed, the least-squares slope of a column over another one across the noise rates of cats."""
    t = _rows(t, experiment="subgroup", dataset="cifar10", architecture=architecture, preset="laptop")
    t = t[t.noise.isin(rates)] if rates else t
    found = {seed: np.polyfit(g[x], g[y], 1)[0] for seed, g in t.groupby("seed") if g.noise.nunique() > 2}
    return pd.Series(found, dtype=float)


@measure("cats-slope")
def _(t):
    return mean(_slopes(t, "resnet", "noise", "flip_rate_test"))


@measure("cats-excess")
def _(t):
    return mean(_excess(t, "resnet").flip_rate_test)


@measure("other-animals-slope")
def _(t):
    return mean(_slopes(t, "resnet", "noise", "other_same_error"))


@measure("mlp-slope")
def _(t):
    mlp, resnet = (
        _slopes(t, name, "flip_rate_test", "other_same_error", (0.0, 0.3, 0.5)) for name in ("mlp", "resnet")
    )
    if min(len(mlp), len(resnet)) < 2:
        return None
    return Measured(*welch_interval(mlp, resnet, confidence=CONFIDENCE.get()))


def _excess(t: Table, architecture: str, noise: float = 0.3) -> Table:
    """Extra flips of cats and extra error of the other animals above the same seed's run without noise."""
    t = _rows(t, experiment="subgroup", dataset="cifar10", architecture=architecture).set_index("seed")
    noisy, clean = t[t.noise == noise], t[t.noise == 0]
    found = noisy[["flip_rate_test", "other_same_error"]] - clean[["flip_rate_test", "other_same_error"]]
    return found.dropna()


@measure("other-animals-unaffected")
def _(t):
    return mean(_excess(t, "resnet").other_same_error)


@measure("mlp-does-not-localise")
def _(t):
    shares = []
    for architecture in ("mlp", "resnet"):
        e = _excess(t, architecture)
        shares.append(e.other_same_error / e.flip_rate_test)
    both = pd.concat(shares, axis=1, keys=["mlp", "resnet"]).dropna()
    return mean(both.mlp - both.resnet)


@measure("tv-below-epsilon")
def _(t):
    t = _rows(t, experiment="four", architecture=["mlp", "convnet"])
    return largest(by(t, t.debiased - t.epsilon, "dataset", "architecture", "n_train"))


def _all_classes(t: Table, dataset: str, architecture: str, column: str) -> Measured | None:
    found = _rows(t, experiment="cyclic", dataset=dataset, architecture=architecture, noise=0.3)
    return _above_epsilon(found) if column == "excess" else mean(found[column])


MEASURES["mlp-noise-on-all-classes"] = with_arguments(_all_classes, "digits", "mlp", "flip_rate_test")
MEASURES["laplace-kernel-calibrated"] = with_arguments(_all_classes, "digits", "kernel_laplace", "excess")
MEASURES["forest-calibrated"] = with_arguments(_all_classes, "digits", "forest", "excess")


@measure("gaussian-kernel-calibrated")
def _(t):
    return _above_epsilon(_rows(t, experiment="subgroup", dataset="digits", architecture="kernel_gaussian", noise=0.3))


@measure("convnet-between-step-and-diagonal")
def _(t):
    t = _rows(t, experiment="cyclic", dataset="mnist1d", architecture="convnet")
    t = t[(t.noise > 0) & (t.noise != 0.5)]
    away = (t.flip_rate_test - t.noise).abs().groupby(t.seed).mean()
    step = ((t.noise > 0.5) - t.noise).abs().groupby(t.seed).mean()
    return mean(away / step)


@measure("constant-partition")
def _(t):
    return mean(_rows(t, experiment="imbalance", dataset="fashion_mnist", architecture="mlp").debiased)


@measure("constant-partition-families")
def _(t):
    t = _rows(t, experiment="imbalance", dataset="fashion_mnist")
    t = t[~t.architecture.isin(["forest", "logistic"])]
    return largest(by(t, "debiased", "architecture"))


def _agreement(t: Table, architectures: list[str], datasets: list[str]) -> Measured | None:
    t = _rows(t, experiment="agreement", architecture=architectures, dataset=datasets, noise=0.0)
    # sizes and data sets of one seed share their training sets: a seed is one run
    return mean((t.agreement - t.test_accuracy_noisy).abs().groupby(t.seed).mean()) if len(t) else None


MEASURES["agreement-networks"] = with_arguments(_agreement, ["mlp", "convnet"], ["digits", "fashion_mnist"])
MEASURES["agreement-trees"] = with_arguments(_agreement, ["tree"], ["digits"])


def _path(t: Table, architecture: str, bandwidth: float) -> Measured | None:
    where = {"experiment": "cyclic", "dataset": "digits", "architecture": architecture, "bandwidth": bandwidth}
    t = _rows(t, usual=False, noise=0.3, **where)
    return largest(by(t, t.tt_tv - t.tt_null_mean, "ridge"))


MEASURES["kernel-path-gaussian"] = with_arguments(_path, "kernel_gaussian", 0.66)
MEASURES["kernel-path-laplace"] = with_arguments(_path, "kernel_laplace", 1.65)


@measure("training-time")
def _(t):
    t = _rows(t, experiment="sparse", dataset="fashion_mnist", architecture="mlp", noise=0.4)
    return mean(t.largest_train_test_excess) if len(t) else None


@measure("human-noise")
def _(t):
    return _above_epsilon(_rows(t, experiment="human", dataset="cifar10", architecture="resnet", annotator="worse"))


def _one_class(t: Table, architecture: str) -> Table:
    """The interpolating runs with each class of ten noisy in turn, none until every class has its premise."""
    if "class_epsilon" not in t:
        return t[:0]
    t = _rows(t, experiment="one_class", dataset="fashion_mnist", architecture=architecture, noise=0.3)
    t = t.dropna(subset=["class_epsilon", "returned"])
    t = t[t.train_error <= INTERPOLATES].sort_values("epochs").drop_duplicates(["noisy", "seed"], keep="last")
    return t if t.noisy.nunique() == 10 else t[:0]


def _over_seeds(values: pd.Series, runs: int, within: tuple[float, float] = (-math.inf, math.inf)) -> Measured:
    found = mean(values, within)
    return Measured(found.value, found.low, found.high, runs)


def _worst_class(t: Table, architecture: str) -> Measured | None:
    t = _one_class(t, architecture)
    groups = by(t, t.class_debiased - t.class_epsilon, "noisy")
    return largest(groups) if len(t) and min(map(len, groups)) > 1 else None


def _returned(t: Table, architecture: str) -> Measured | None:
    """Mean returned share of the noise over the classes with epsilon of at most 0.01, seed by seed."""
    t = _one_class(t, architecture)
    epsilon = t.groupby("noisy").class_epsilon.mean()
    told = t[t.noisy.isin(epsilon[epsilon <= 0.01].index)]
    if not len(told):
        return Measured(*(float("nan"),) * 3, len(t)) if len(t) else None
    return _over_seeds(told.groupby("seed").returned.mean(), len(told))


def _rank(t: Table, architecture: str, column: str) -> Measured | None:
    """Rank correlation of a column with epsilon over the ten classes, seed by seed."""
    t = _one_class(t, architecture)
    if not len(t):
        return None
    epsilon = t.noisy.map(t.groupby("noisy").class_epsilon.mean())
    found = [g[column].corr(epsilon[g.index], method="spearman") for _, g in t.groupby("seed")]
    return _over_seeds(pd.Series(found).dropna(), len(t), (-1, 1))


MEASURES["ten-classes-forest"] = with_arguments(_worst_class, "forest")
for _name, _architecture in (("1nn", "knn"), ("mlp", "mlp"), ("convnet", "convnet")):
    MEASURES[f"ten-classes-{_name}"] = with_arguments(_worst_class, _architecture)
    MEASURES[f"ten-classes-returned-{_name}"] = with_arguments(_returned, _architecture)
for _name in ("mlp", "convnet"):
    MEASURES[f"ten-classes-rank-{_name}"] = with_arguments(_rank, _name, "returned")
    MEASURES[f"ten-classes-elsewhere-{_name}"] = with_arguments(_rank, _name, "elsewhere")
