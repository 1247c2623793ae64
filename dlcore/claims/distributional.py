"""What the ledger measures of chapter 3, on the table of `dlcore.tables.distributional`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from dlcore.claims.measures import MEASURES, Measured, Table, by, largest, mean, measure
from dlcore.metrics.distributional import knn_flip_rate
from dlcore.metrics.statistics import paired_difference


def _rows(t: Table, usual: bool = True, **where) -> Table:
    for name, value in where.items():
        t = t[t[name].isin(value) if isinstance(value, (list, tuple)) else t[name] == value]
    t = t[~t.feature.astype(bool)]
    return t[t.usual] if usual else t


@measure("nn-is-a-sampler")
def _(t):
    t = _rows(t, experiment="cyclic", dataset="digits", family="1-NN")
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


def _subgroup(dataset: str, family: str, **more) -> Callable[[Table], Measured | None]:
    def measure(t):
        found = _rows(t, experiment="subgroup", dataset=dataset, family=family, noise=0.3, **more)
        return mean(found.flip_rate_test)

    return measure


MEASURES["cats-become-objects"] = _subgroup("cifar10", "ResNet")
MEASURES["digits-subgroup-mlp"] = _subgroup("digits", "MLP")
MEASURES["fashion-subgroup-convnet"] = _subgroup("fashion_mnist", "convnet")
MEASURES["cats-at-paper-scale"] = _subgroup("cifar10_full", "ResNet-18", preset="gpu")


def _excess(t: Table, family: str, noise: float = 0.3) -> Table:
    """Extra flips of cats and extra error of the other animals above the same seed's run without noise."""
    t = _rows(t, experiment="subgroup", dataset="cifar10", family=family).set_index("seed")
    noisy, clean = t[t.noise == noise], t[t.noise == 0]
    found = noisy[["flip_rate_test", "other_same_error"]] - clean[["flip_rate_test", "other_same_error"]]
    return found.dropna()


@measure("other-animals-unaffected")
def _(t):
    return mean(_excess(t, "ResNet").other_same_error)


@measure("mlp-does-not-localise")
def _(t):
    shares = []
    for family in ("MLP", "ResNet"):
        e = _excess(t, family)
        shares.append(e.other_same_error / e.flip_rate_test)
    both = pd.concat(shares, axis=1, keys=["mlp", "resnet"]).dropna()
    return Measured(*paired_difference(both.mlp, both.resnet)) if len(both) else None


@measure("tv-below-epsilon")
def _(t):
    t = _rows(t, experiment="four", family=["MLP", "convnet"])
    return largest(by(t, t.debiased - t.epsilon, "dataset", "family", "n_train"))


def _all_classes(dataset: str, family: str, column: str) -> Callable[[Table], Measured | None]:
    def measure(t):
        found = _rows(t, experiment="cyclic", dataset=dataset, family=family, noise=0.3)
        return mean(found.debiased - found.epsilon if column == "excess" else found[column])

    return measure


MEASURES["mlp-noise-on-all-classes"] = _all_classes("digits", "MLP", "flip_rate_test")
MEASURES["laplace-kernel-calibrated"] = _all_classes("digits", "Laplace kernel", "excess")
MEASURES["forest-calibrated"] = _all_classes("digits", "forest", "excess")


@measure("gaussian-kernel-calibrated")
def _(t):
    t = _rows(t, experiment="subgroup", dataset="digits", family="Gaussian kernel", noise=0.3)
    return mean(t.debiased - t.epsilon)


@measure("convnet-between-step-and-diagonal")
def _(t):
    t = _rows(t, experiment="cyclic", dataset="mnist1d", family="convnet")
    t = t[(t.noise > 0) & (t.noise != 0.5)]
    away = (t.flip_rate_test - t.noise).abs().groupby(t.seed).mean()
    step = ((t.noise > 0.5) - t.noise).abs().groupby(t.seed).mean()
    return mean(away / step)


@measure("constant-partition")
def _(t):
    return mean(_rows(t, experiment="imbalance", dataset="fashion_mnist", family="MLP").debiased)


@measure("constant-partition-families")
def _(t):
    t = _rows(t, experiment="imbalance", dataset="fashion_mnist")
    t = t[~t.family.isin(["forest", "logistic"])]
    return largest(by(t, "debiased", "family"))


def _agreement(families: list[str], datasets: list[str]) -> Callable[[Table], Measured | None]:
    def measure(t):
        t = _rows(t, experiment="agreement", family=families, dataset=datasets, noise=0.0)
        return mean((t.agreement - t.test_accuracy_noisy).abs()) if len(t) else None

    return measure


MEASURES["agreement-networks"] = _agreement(["MLP", "convnet"], ["digits", "fashion_mnist"])
MEASURES["agreement-trees"] = _agreement(["tree"], ["digits"])


def _path(architecture: str, bandwidth: float) -> Callable[[Table], Measured | None]:
    def measure(t):
        where = {"experiment": "cyclic", "dataset": "digits", "architecture": architecture, "bandwidth": bandwidth}
        t = _rows(t, usual=False, noise=0.3, **where)
        return largest(by(t, t.tt_tv - t.tt_null_mean, "ridge"))

    return measure


MEASURES["kernel-path-gaussian"] = _path("kernel_gaussian", 0.66)
MEASURES["kernel-path-laplace"] = _path("kernel_laplace", 1.65)


@measure("training-time")
def _(t):
    t = _rows(t, experiment="sparse", dataset="fashion_mnist", family="MLP", noise=0.4)
    return mean(t.largest_train_test_excess) if len(t) else None


@measure("human-noise")
def _(t):
    t = _rows(t, experiment="human", dataset="cifar10", family="ResNet", annotator="worse")
    return mean(t.debiased - t.epsilon)
