"""What the ledger measures of chapter 2, on the table of `studies.stitching.table`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dlcore.measures import (
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
from dlcore.studies.stitching.table import code

CONNECTED = ("seeds", "halves")


def _rows(
    t: Table, contrast: str = "seeds", usual: bool = True, dataset: str = "mnist1d", any_width: bool = False, **where
) -> Table:
    t = t[(t.contrast == contrast) & (t.dataset == dataset)]
    if not any_width:
        t = t[t.usual_width]
    for name, value in where.items():
        t = t[t[name] == value]
    return t[t.usual] if usual else t


def _by_seed(rows: Table, column: str) -> Measured | None:
    """Measures the mean of a column over seeds: pairs of one seed share their data and count as one run."""
    return mean(rows.groupby("seed")[column].mean())


def _share(t: Table, architecture: str, dataset: str = "mnist1d") -> Measured | None:
    rows = _rows(t, architecture=architecture, dataset=dataset)
    return mean(rows.excess_mid / rows.random_excess_mid)


MEASURES["stitching-connectivity-convnet"] = with_arguments(_share, "convnet")
MEASURES["stitching-connectivity-mlp"] = with_arguments(_share, "mlp")
MEASURES["stitching-connectivity-fashion"] = with_arguments(_share, "resnet", "fashion_mnist")


def _path(t: Table, architecture: str, dataset: str = "mnist1d") -> Measured | None:
    return _by_seed(
        pd.concat([_rows(t, name, architecture=architecture, dataset=dataset) for name in CONNECTED]), "barrier"
    )


MEASURES["stitching-path"] = with_arguments(_path, "convnet")
MEASURES["stitching-path-mlp"] = with_arguments(_path, "mlp")
MEASURES["stitching-path-fashion"] = with_arguments(_path, "resnet", "fashion_mnist")


@measure("stitching-path-least-squares")
def _(t):
    return mean(_two_seeds(t, "barrier", "convnet", "mnist1d", init="least_squares"))


def _converged(t: Table, contrast: str, architecture: str, dataset: str, width: int | None = None) -> Table:
    """The pairs whose maps are the best of a search over starts and steps."""
    rows = _rows(t, contrast, usual=False, architecture=architecture, dataset=dataset, any_width=width is not None)
    return rows[rows.converged & ((rows.width == width) if width else True)]


def _converged_path(t: Table, *where: str) -> Measured | None:
    """The barrier where the map can do what it should: no self-stitch costs more than a point."""
    rows = _converged(t, *where)
    return mean_where(rows.barrier, rows.self_penalty_max <= 0.01)


for _name, _where in (
    ("", ("convnet", "mnist1d")),
    ("-mlp", ("mlp", "mnist1d")),
    ("-fashion", ("resnet", "fashion_mnist")),
):
    MEASURES[f"stitching-path-seeds{_name}"] = with_arguments(_converged_path, "seeds", *_where)
    MEASURES[f"stitching-path-halves{_name}"] = with_arguments(_converged_path, "halves", *_where)


@measure("stitching-width-connects-converged")
def _(t):
    narrow, wide = (_converged(t, "seeds", "convnet", "mnist1d", w).set_index("seed").barrier for w in (4, 32))
    return mean(narrow - wide)


@measure("stitching-cka-null")
def _(t):
    rows = t[(t.dataset == "mnist1d") & t.usual_width & t.contrast.isin(["seeds", _SSL])]
    return mean(rows.dropna(subset=["cka_null"]).groupby("seed").cka_null.max())


@measure("stitching-cka-null-width")
def _(t):
    narrow, wide = (_converged(t, "seeds", "convnet", "mnist1d", w).set_index("seed").cka_null for w in (4, 32))
    return mean(wide - narrow)


def _label_order(t: Table, architecture: str, dataset: str = "mnist1d") -> Measured | None:
    few, half, every = (
        _rows(t, code("noise", share), architecture=architecture, dataset=dataset).set_index("seed").excess_last
        for share in (0.1, 0.5, 1.0)
    )
    return mean(np.minimum(half - few, every - half))


MEASURES["stitching-label-order"] = with_arguments(_label_order, "convnet")
MEASURES["stitching-label-order-fashion"] = with_arguments(_label_order, "resnet", "fashion_mnist")


def _excess(t: Table, column: str, contrast: str, architecture: str, dataset: str = "mnist1d") -> Measured | None:
    return mean(_rows(t, contrast, architecture=architecture, dataset=dataset)[column])


def _converged_excess(t: Table, contrast: str, architecture: str) -> Measured | None:
    rows = _converged(t, contrast, architecture, "mnist1d")
    return mean_where(rows.excess_mid, rows.self_penalty_max <= 0.01)


_SSL, _MORE = code("bottom", "simclr", 1.0), code("to a quarter", 1.0)
MEASURES["stitching-random-fashion"] = with_arguments(_excess, "random_excess_last", "seeds", "resnet", "fashion_mnist")
MEASURES["stitching-self-supervised"] = with_arguments(_excess, "excess_mid", _SSL, "convnet")
MEASURES["stitching-self-supervised-mlp"] = with_arguments(_excess, "excess_mid", _SSL, "mlp")
MEASURES["stitching-self-supervised-fashion"] = with_arguments(_excess, "excess_mid", _SSL, "resnet", "fashion_mnist")
MEASURES["stitching-more-data-fashion"] = with_arguments(_excess, "excess_last", _MORE, "resnet", "fashion_mnist")
MEASURES["stitching-self-supervised-converged"] = with_arguments(_converged_excess, _SSL, "convnet")
MEASURES["stitching-self-supervised-converged-mlp"] = with_arguments(_converged_excess, _SSL, "mlp")
MEASURES["stitching-width"] = with_arguments(_excess, "excess_last", code("width", 2.0), "convnet")
MEASURES["stitching-time"] = with_arguments(_excess, "excess_last", code("time", 2.0), "convnet")


def _cka_apart(t: Table, architecture: str, dataset: str = "mnist1d") -> Measured | None:
    rows = _rows(t, _SSL, architecture=architecture, dataset=dataset)
    # the claim is about networks that stitch well: others say nothing of it
    return mean_where(rows.linear_cka_mid, rows.excess_mid <= 0.05)


def _order(t: Table, architecture: str, dataset: str) -> Measured | None:
    rows = _rows(t, _SSL, architecture=architecture, dataset=dataset)
    return mean(rows.cka_order, within=(-1, 1))


_WEAK = ("superclasses", code("noise", 0.1), code("noise", 0.5))


def _weak(t: Table, column: str, architecture: str, dataset: str = "mnist1d") -> Measured | None:
    """Measures the worst of the three bottoms of a seed: they share the top, so they are one run."""
    rows = [_rows(t, name, architecture=architecture, dataset=dataset).set_index("seed")[column] for name in _WEAK]
    return mean(pd.concat(rows, axis=1).dropna().max(axis=1))


def _two_seeds(t: Table, column: str, architecture: str, dataset: str, **changed) -> pd.Series:
    """Returns a column of the pairs of two seeds, by seed; the usual setting, with what is changed."""
    usual = {"family": "auto", "bn_mode": "recalibrate", "init": "random", "kernel_size": 1}
    usual |= {"freeze": False, "converged": False, "shuffles": 0}
    rows = _rows(t, usual=False, architecture=architecture, dataset=dataset, **usual | changed)
    return rows.set_index("seed")[column]


def _changed(t: Table, column: str, setting: str, value: object, *where: str) -> Measured | None:
    """Measures what one setting of the map changes between two seeds: with it, minus without."""
    return mean(_two_seeds(t, column, *where, **{setting: value}) - _two_seeds(t, column, *where))


for _name, _where in (("", ("convnet", "mnist1d")), ("-fashion", ("resnet", "fashion_mnist"))):
    MEASURES[f"stitching-kernel{_name}"] = with_arguments(_changed, "excess_mid", "kernel_size", 3, *_where)
    MEASURES[f"stitching-batchnorm{_name}"] = with_arguments(_changed, "penalty_mid", "bn_mode", "frozen", *_where)


@measure("stitching-late-into-early")
def _(t):
    rows = _rows(t, architecture="convnet")
    return mean(rows.late_into_early_least_squares - rows.late_into_early_task)


@measure("stitching-freeze")
def _(t):
    rows = t[(t.dataset == "mnist1d") & (t.architecture == "mlp") & t.freeze & (t.bottom_share == 0.25)]
    remains = (rows.freeze_error - rows.top_error) / (rows.bottom_error - rows.top_error)
    return mean_where(remains, rows.freeze_error.notna())


@measure("stitching-excess")
def _(t):
    return _by_seed(_rows(t), "excess_mid")


@measure("stitching-random")
def _(t):
    return _by_seed(_rows(t), "random_excess_last")


@measure("stitching-halves")
def _(t):
    return mean(_rows(t, "halves", architecture="mlp").excess_mid)


@measure("stitching-more-data")
def _(t):
    return mean(_rows(t, _MORE, architecture="mlp").excess_last)


@measure("stitching-less-data")
def _(t):
    return mean(_rows(t, code("to a quarter", 0.05), architecture="mlp").excess_last)


@measure("stitching-confound")
def _(t):
    rows = t[(t.dataset == "mnist1d") & (t.architecture == "mlp") & (t.stitcher_data == "all") & (t.top_share == 0.25)]
    # the self-stitch of one top is the same beside every bottom
    return mean((rows.penalty_last - rows.excess_last).groupby(rows.seed).first())


@measure("stitching-random-labels")
def _(t):
    return mean(_rows(t, code("noise", 1.0), architecture="mlp").excess_mid)


@measure("stitching-noisy-labels")
def _(t):
    rows = _rows(t, code("noise", 0.5), architecture="mlp")
    return mean(rows.excess_last - rows.excess_first)


@measure("stitching-identity")
def _(t):
    return mean(_rows(t, usual=False, architecture="mlp", family="identity").penalty_mid)


def _by_width(t: Table, architecture: str, dataset: str, narrow: int, wide: int) -> Measured | None:
    rows = _rows(t, architecture=architecture, dataset=dataset, any_width=True).set_index("seed")
    return mean(rows.barrier[rows.width == narrow] - rows.barrier[rows.width == wide])


MEASURES["stitching-width-connects"] = with_arguments(_by_width, "convnet", "mnist1d", 4, 32)
MEASURES["stitching-width-connects-fashion"] = with_arguments(_by_width, "resnet", "fashion_mnist", 8, 16)


# One population of convnets, and the measures of three chapters


def _of_population(t: Table) -> Table:
    return t[t.population & (t.dataset == "mnist1d") & (t.noise > 0)]


def _ranks(t: Table, one: str, two: str, *within: str) -> Measured | None:
    """Measures Spearman's correlation over the population of a seed, or its mean over groups of equal `within`."""
    found = [
        group.groupby(list(within)).apply(lambda g: g[one].corr(g[two], method="spearman")).mean()
        if within
        else group[one].corr(group[two], method="spearman")
        for _, group in _of_population(t).groupby("seed")
    ]
    return mean(pd.Series(found, dtype=float), within=(-1, 1)) if found else None


MEASURES["population-sampler"] = with_arguments(_ranks, "memorized_share", "sampler_share")
MEASURES["population-stitching"] = with_arguments(_ranks, "fitted_wrong", "excess_last")


@measure("population-stitching-within")
def _(t):
    several = _of_population(t).groupby("noise").bottom_time.transform("nunique") > 2
    return _ranks(t.loc[several.index[several]], "memorized_share", "excess_last", "noise")


def _memorised(t: Table) -> Table:
    """Those of the population that have learnt their labels."""
    rows = _of_population(t)
    return rows[rows.bottom_train_error <= 0.02]


@measure("population-agreement")
def _(t):
    rows = _memorised(t)
    return _by_seed(rows.assign(apart=(rows.agreement - rows.accuracy_noisy).abs()), "apart")


@measure("population-first-stage")
def _(t):
    rows = _memorised(t)
    return largest(by(rows[rows.bottom_time >= 1], "excess_first", "noise", "bottom_time"))


# CIFAR-10 with ResNet-18, preset gpu

_IMAGES = ("resnet18", "cifar10")
MEASURES["stitching-connectivity-cifar10"] = with_arguments(_share, *_IMAGES)
MEASURES["stitching-path-cifar10"] = with_arguments(_path, *_IMAGES)
MEASURES["stitching-label-order-cifar10"] = with_arguments(_label_order, *_IMAGES)
for _name, _column, _contrast in (
    ("excess", "excess_max", "seeds"),
    ("random", "random_excess_last", "seeds"),
    ("self-supervised", "excess_mid", _SSL),
    ("self-supervised-longer", "excess_mid", code("bottom", "simclr", 2.0)),
    ("more-data", "excess_last", _MORE),
):
    MEASURES[f"stitching-{_name}-cifar10"] = with_arguments(_excess, _column, _contrast, *_IMAGES)
MEASURES["stitching-cka-disagrees"] = with_arguments(_cka_apart, "convnet")
MEASURES["stitching-cka-disagrees-cifar10"] = with_arguments(_cka_apart, *_IMAGES)
for _name, _where in (
    ("", ("convnet", "mnist1d")),
    ("-fashion", ("resnet", "fashion_mnist")),
    ("-cifar10", _IMAGES),
):
    MEASURES[f"stitching-cka-order{_name}"] = with_arguments(_order, *_where)
MEASURES["stitching-weak-early"] = with_arguments(_weak, "excess_first", "convnet")
MEASURES["stitching-weak-early-cifar10"] = with_arguments(_weak, "excess_first", *_IMAGES)
MEASURES["stitching-weak-half"] = with_arguments(_weak, "excess_half", "convnet")
MEASURES["stitching-weak-half-cifar10"] = with_arguments(_weak, "excess_half", *_IMAGES)


@measure("stitching-width-cifar10")
def _(t):
    return mean(_rows(t, code("width", 4.0), dataset="cifar10", any_width=True).excess_last)
