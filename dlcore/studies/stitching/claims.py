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
from dlcore.studies.stitching.table import CONVNET, FASHION, IMAGES, MLP, code
from dlcore.summaries import select

ANY = [True, False]
_SSL, _MORE = code("bottom", "simclr", 1.0), code("to a quarter", 1.0)


def _rows(t: Table, contrast: str | list[str] = "seeds", **where) -> Table:
    """Returns the pairs of the main comparison on MNIST-1D, unless the fields say otherwise."""
    return select(t, contrast=contrast, **{"dataset": "mnist1d", "usual": True, "usual_width": True} | where)


def _mean(t: Table, column: str, contrast: str = "seeds", **where) -> Measured | None:
    return mean(_rows(t, contrast, **where)[column])


for _name, _column, _contrast, _net in (
    ("stitching-random-fashion", "random_excess_last", "seeds", FASHION),
    ("stitching-random-cifar10", "random_excess_last", "seeds", IMAGES),
    ("stitching-excess-cifar10", "excess_max", "seeds", IMAGES),
    ("stitching-halves", "excess_mid", "halves", MLP),
    ("stitching-self-supervised", "excess_mid", _SSL, CONVNET),
    ("stitching-self-supervised-mlp", "excess_mid", _SSL, MLP),
    ("stitching-self-supervised-fashion", "excess_mid", _SSL, FASHION),
    ("stitching-self-supervised-cifar10", "excess_mid", _SSL, IMAGES),
    ("stitching-self-supervised-longer-cifar10", "excess_mid", code("bottom", "simclr", 2.0), IMAGES),
    ("stitching-more-data", "excess_last", _MORE, MLP),
    ("stitching-more-data-fashion", "excess_last", _MORE, FASHION),
    ("stitching-more-data-cifar10", "excess_last", _MORE, IMAGES),
    ("stitching-less-data", "excess_last", code("to a quarter", 0.05), MLP),
    ("stitching-random-labels", "excess_mid", code("noise", 1.0), MLP),
    ("stitching-width", "excess_last", code("width", 2.0), CONVNET),
    ("stitching-width-cifar10", "excess_last", code("width", 4.0), {"dataset": "cifar10", "usual_width": ANY}),
    ("stitching-time", "excess_last", code("time", 2.0), CONVNET),
    ("stitching-identity", "penalty_mid", "seeds", MLP | {"usual": ANY, "family": "identity"}),
):
    MEASURES[_name] = with_arguments(_mean, _column, _contrast, **_net)


def _by_seed(t: Table, column: str, *contrasts: str, **where) -> Measured | None:
    """Measures the mean of a column over seeds: pairs of one seed share their data and count as one run."""
    return mean(_rows(t, [*contrasts], **where).groupby("seed")[column].mean())


MEASURES["stitching-excess"] = with_arguments(_by_seed, "excess_mid", "seeds")
MEASURES["stitching-random"] = with_arguments(_by_seed, "random_excess_last", "seeds")
for _name, _net in {"": CONVNET, "-mlp": MLP, "-fashion": FASHION, "-cifar10": IMAGES}.items():
    MEASURES[f"stitching-path{_name}"] = with_arguments(_by_seed, "barrier", "seeds", "halves", **_net)


def _share(t: Table, **net) -> Measured | None:
    rows = _rows(t, **net)
    return mean(rows.excess_mid / rows.random_excess_mid)


for _name, _net in {"convnet": CONVNET, "mlp": MLP, "fashion": FASHION, "cifar10": IMAGES}.items():
    MEASURES[f"stitching-connectivity-{_name}"] = with_arguments(_share, **_net)


def _two_seeds(t: Table, column: str, **changed) -> pd.Series:
    """Returns a column of the pairs of two seeds, by seed; the usual setting, with what is changed."""
    usual = {"family": "auto", "bn_mode": "recalibrate", "init": "random", "kernel_size": 1}
    usual |= {"freeze": False, "converged": False, "shuffles": 0}
    return _rows(t, usual=ANY, **usual | changed).set_index("seed")[column]


def _changed(t: Table, column: str, setting: str, value: object, **net) -> Measured | None:
    """Measures what one setting of the map changes between two seeds: with it, minus without."""
    return mean(_two_seeds(t, column, **net, **{setting: value}) - _two_seeds(t, column, **net))


MEASURES["stitching-path-least-squares"] = lambda t: mean(_two_seeds(t, "barrier", init="least_squares", **CONVNET))
for _name, _net in {"": CONVNET, "-fashion": FASHION}.items():
    MEASURES[f"stitching-kernel{_name}"] = with_arguments(_changed, "excess_mid", "kernel_size", 3, **_net)
    MEASURES[f"stitching-batchnorm{_name}"] = with_arguments(_changed, "penalty_mid", "bn_mode", "frozen", **_net)


def _converged(t: Table, contrast: str, **where) -> Table:
    """The pairs whose maps are the best of a search over starts and steps."""
    return _rows(t, contrast, usual=ANY, converged=True, **where)


def _able(t: Table, column: str, contrast: str, **net) -> Measured | None:
    """Measures a column where the map can do what it should: no self-stitch costs more than a point."""
    rows = _converged(t, contrast, **net)
    return mean_where(rows[column], rows.self_penalty_max <= 0.01)


for _name, _net in {"": CONVNET, "-mlp": MLP, "-fashion": FASHION}.items():
    MEASURES[f"stitching-path-seeds{_name}"] = with_arguments(_able, "barrier", "seeds", **_net)
    MEASURES[f"stitching-path-halves{_name}"] = with_arguments(_able, "barrier", "halves", **_net)
for _name, _net in {"": CONVNET, "-mlp": MLP}.items():
    MEASURES[f"stitching-self-supervised-converged{_name}"] = with_arguments(_able, "excess_mid", _SSL, **_net)


def _width(t: Table, column: str, width: int, beside: int) -> Measured | None:
    """Measures what one width of convnets has above another, with the best maps."""
    one, two = (
        _converged(t, "seeds", width=w, usual_width=ANY, **CONVNET).set_index("seed")[column] for w in (width, beside)
    )
    return mean(one - two)


MEASURES["stitching-width-connects-converged"] = with_arguments(_width, "barrier", 4, 32)
MEASURES["stitching-cka-null-width"] = with_arguments(_width, "cka_null", 32, 4)


def _by_width(t: Table, narrow: int, wide: int, **net) -> Measured | None:
    rows = _rows(t, usual_width=ANY, **net).set_index("seed")
    return mean(rows.barrier[rows.width == narrow] - rows.barrier[rows.width == wide])


MEASURES["stitching-width-connects"] = with_arguments(_by_width, 4, 32, **CONVNET)
MEASURES["stitching-width-connects-fashion"] = with_arguments(_by_width, 8, 16, **FASHION)


@measure("stitching-cka-null")
def _(t):
    return mean(_rows(t, ["seeds", _SSL], usual=ANY).groupby("seed").cka_null.max())


def _cka_apart(t: Table, **net) -> Measured | None:
    rows = _rows(t, _SSL, **net)
    # the claim is about networks that stitch well: others say nothing of it
    return mean_where(rows.linear_cka_mid, rows.excess_mid <= 0.05)


def _order(t: Table, **net) -> Measured | None:
    return mean(_rows(t, _SSL, **net).cka_order, within=(-1, 1))


def _label_order(t: Table, **net) -> Measured | None:
    few, half, every = (
        _rows(t, code("noise", share), **net).set_index("seed").excess_last for share in (0.1, 0.5, 1.0)
    )
    return mean(np.minimum(half - few, every - half))


def _weak(t: Table, column: str, **net) -> Measured | None:
    """Measures the worst of the three bottoms of a seed: they share the top, so they are one run."""
    kinds = ("superclasses", code("noise", 0.1), code("noise", 0.5))
    rows = [_rows(t, name, **net).set_index("seed")[column] for name in kinds]
    return mean(pd.concat(rows, axis=1).dropna().max(axis=1))


for _name, _net in {"": CONVNET, "-cifar10": IMAGES}.items():
    MEASURES[f"stitching-cka-disagrees{_name}"] = with_arguments(_cka_apart, **_net)
    MEASURES[f"stitching-weak-early{_name}"] = with_arguments(_weak, "excess_first", **_net)
    MEASURES[f"stitching-weak-half{_name}"] = with_arguments(_weak, "excess_half", **_net)
for _name, _net in {"": CONVNET, "-fashion": FASHION, "-cifar10": IMAGES}.items():
    MEASURES[f"stitching-cka-order{_name}"] = with_arguments(_order, **_net)
    MEASURES[f"stitching-label-order{_name}"] = with_arguments(_label_order, **_net)


@measure("stitching-late-into-early")
def _(t):
    rows = _rows(t, **CONVNET)
    return mean(rows.late_into_early_least_squares - rows.late_into_early_task)


@measure("stitching-noisy-labels")
def _(t):
    rows = _rows(t, code("noise", 0.5), **MLP)
    return mean(rows.excess_last - rows.excess_first)


@measure("stitching-freeze")
def _(t):
    rows = select(t, dataset="mnist1d", architecture="mlp", freeze=True, bottom_share=0.25)
    remains = (rows.freeze_error - rows.top_error) / (rows.bottom_error - rows.top_error)
    return mean_where(remains, rows.freeze_error.notna())


@measure("stitching-confound")
def _(t):
    rows = select(t, dataset="mnist1d", architecture="mlp", stitcher_data="all", top_share=0.25)
    # the self-stitch of one top is the same beside every bottom
    return mean((rows.penalty_last - rows.excess_last).groupby(rows.seed).first())


# One population of convnets, and the measures of three chapters


def _of_population(t: Table) -> Table:
    return t[t.population & (t.dataset == "mnist1d") & (t.noise > 0)]


def _ranks(t: Table, one: str, two: str, *within: str) -> Measured | None:
    """Measures Spearman's correlation over the population of a seed, or its mean over groups of equal `within`."""
    groups = t.groupby(["seed", *within])[[one, two]]
    found = groups.apply(lambda g: g[one].corr(g[two], method="spearman"))
    return mean(found.groupby("seed").mean(), within=(-1, 1))


MEASURES["population-sampler"] = lambda t: _ranks(_of_population(t), "memorized_share", "sampler_share")
MEASURES["population-stitching"] = lambda t: _ranks(_of_population(t), "fitted_wrong", "excess_last")


@measure("population-stitching-within")
def _(t):
    t = _of_population(t)
    t = t[t.groupby("noise").bottom_time.transform("nunique") > 2]
    return _ranks(t, "memorized_share", "excess_last", "noise")


def _learnt(t: Table) -> Table:
    """Those of the population that have learnt their labels."""
    rows = _of_population(t)
    return rows[rows.bottom_train_error <= 0.02]


@measure("population-agreement")
def _(t):
    rows = _learnt(t)
    return mean((rows.agreement - rows.accuracy_noisy).abs().groupby(rows.seed).mean())


@measure("population-first-stage")
def _(t):
    rows = _learnt(t)
    return largest(by(rows[rows.bottom_time >= 1], "excess_first", "noise", "bottom_time"))
